"""Decisions of a user's own: declared beside the tables or in Python, read, checked, saved."""

from dataclasses import replace

import pytest

import bayesmeta as bm
from bayesmeta.data.decisions import DECISIONS, Decision, find_faults, know_decisions
from bayesmeta.data.declared import RESERVED, format_declared, parse_text_of_declared
from bayesmeta.errors import DataError

LMS = """\
lm,lm_family,n_params,n_tokens,optimizer,attention,warmup_share,depth
a,f,1e9,1e12,adamw,mla,10,-1
b,f,2e9,1e12,muon,gqa,5,0
c,g,1e9,1e12,Muon,MLA,5,2.5
d,g,2e9,1e12,,,,
"""
SCORES = "lm,benchmark,score\na,hellaswag,.5\nb,hellaswag,.6\nc,hellaswag,.6\nd,hellaswag,.7\n"
DECLARED = """\
[optimizer]
kind = "categorical"
levels = ["adamw", "muon"]
reference = "adamw"
label = "training optimizer"

[attention]
levels = ["mla"]

[warmup_share]
kind = "share"
unit = "% of the steps"
step = 5

[depth]
kind = "number"
log = false
step = 0.5
"""


def write(folder, *, declared=DECLARED, lms=LMS, scores=SCORES):
    for name, text in (("decisions.toml", declared), ("lms.csv", lms), ("scores.csv", scores)):
        (folder / name).write_text(text)
    return folder


def test_tables_with_declared_decisions(tmp_path):
    data = bm.read_dataset(write(tmp_path))
    assert list(data.lms.columns[-3:]) == ["optimizer", "warmup_share", "depth"]
    assert data.lms["optimizer"].tolist()[:3] == ["adamw", "muon", "muon"]
    assert data.lms["attention"].tolist()[:3] == ["mla", "gqa", "mla"]
    assert data.lms["depth"].tolist()[:3] == [-1, 0, 2.5]
    assert data.lms["optimizer"].isna().tolist() == [False, False, False, True]
    known = data.known_decisions
    assert list(known) == [*DECISIONS, "optimizer", "warmup_share", "depth"]
    assert known["attention"].levels == (*DECISIONS["attention"].levels, "mla")
    assert (known["optimizer"].title, known["warmup_share"].step) == ("training optimizer", 5)


def test_declarations_may_be_passed_along(tmp_path, refusal):
    declared = DECLARED.partition("[depth]")[0]
    folder = write(tmp_path, declared=declared)
    depth = Decision("depth", "number", log=False, step=0.5)
    data = bm.read_dataset(folder, decisions=[depth])
    assert data.checksum != bm.read_dataset(write(tmp_path)).checksum  # in another order
    assert set(data.decisions) == set(bm.read_dataset(write(tmp_path)).decisions)
    with refusal(DataError, "'depth' is declared twice"):
        bm.read_dataset(folder, decisions=[depth, depth])


def test_levels_follow_from_the_table_where_none_are_declared(tmp_path):
    declared = '[optimizer]\nkind = "categorical"\n'
    lms = "lm,lm_family,n_params,n_tokens,optimizer\na,f,1e9,1e12,sgd\nb,f,1e9,1e12,adamw\n"
    data = bm.read_dataset(write(tmp_path, declared=declared, lms=lms, scores=SCORES[:48]))
    assert data.decisions[0].levels == ("adamw", "sgd")


def test_declarations_are_saved_with_the_tables(tmp_path):
    data = bm.read_dataset(write(tmp_path))
    (tmp_path / "again").mkdir()
    data.save(tmp_path / "again")
    again = bm.read_dataset(tmp_path / "again")
    assert (again.decisions, again.checksum) == (data.decisions, data.checksum)
    assert replace(data, decisions=data.decisions[:-1]).checksum != data.checksum


def test_tables_without_declarations_do_not_take_those_that_lie_there(tmp_path, refusal):
    write(tmp_path)
    with refusal(DataError, "holds decisions.toml", "another folder"):
        bm.load_dataset(experiments=False).save(tmp_path)


def test_declared_decisions_below_the_bundled_tables(tmp_path):
    bundled, own = bm.load_dataset(), bm.read_dataset(write(tmp_path))
    both = bundled.add(own)
    assert both.lms["optimizer"].count() == 3
    assert both.decisions == own.decisions
    assert own.add(bundled).known_decisions.keys() == both.known_decisions.keys()
    assert bundled.decisions == ()


def test_known_lms_get_a_decision_of_ones_own(tmp_path):
    bundled = bm.load_dataset(experiments=False)
    rows = bundled.lms.loc[:1, ["lm", "lm_family", "n_params", "n_tokens"]]
    rows.assign(optimizer=["adamw", "adafactor"]).to_csv(tmp_path / "lms.csv", index=False)
    blank = rows.assign(benchmark="lambada", score="")[["lm", "benchmark", "score"]]
    kept = bundled.scores[bundled.scores["benchmark"] != "lambada"]
    blank.assign(score=0.5).to_csv(tmp_path / "scores.csv", index=False)
    (tmp_path / "decisions.toml").write_text('[optimizer]\nkind = "categorical"\n')
    both = replace(bundled, scores=kept).add(bm.read_dataset(tmp_path))
    assert both.lms["optimizer"].dropna().tolist() == ["adamw", "adafactor"]
    assert len(both.lms) == len(bundled.lms)


def test_levels_of_two_data_sets_are_joined_and_other_differences_refused(tmp_path, refusal):
    one = Decision("optimizer", "categorical", levels=("adamw", "muon"))
    two = replace(one, levels=("adamw", "sgd", "muon"))
    data = bm.load_dataset(experiments=False)
    data = replace(data, lms=data.lms.assign(optimizer="adamw"), decisions=[one])
    other = bm.read_dataset(write(tmp_path, declared=DECLARED.replace('"muon"]', '"muon"]')))
    joined = data.add(replace(other, decisions=(two, *other.decisions[1:])))
    assert joined.known_decisions["optimizer"].levels == ("adamw", "muon", "sgd")
    assert joined.lms["optimizer"].value_counts().to_dict() == {"adamw": 93, "muon": 2}
    with refusal(DataError, "'optimizer'", "label", "one declaration"):
        data.add(other)


def test_experiments_record_declared_decisions(tmp_path):
    folder = write(tmp_path)
    inside = folder / "experiments"
    inside.mkdir()
    arms = "study,group,arm,n_params,n_tokens,optimizer\ns,g,x,1e9,1e10,adamw\n"
    (inside / "arms.csv").write_text(f"{arms}s,g,y,1e9,1e10,muon\n")
    results = "study,group,arm,benchmark,score\ns,g,x,hellaswag,.4\ns,g,y,hellaswag,.5\n"
    (inside / "results.csv").write_text(results)
    data = bm.read_dataset(folder)
    assert data.experiments.summarise()["decisions"].tolist() == ["optimizer"]
    data.save(tmp_path / "again")
    assert bm.read_dataset(tmp_path / "again").checksum == data.checksum
    (inside / "decisions.toml").write_text('[optimizer]\nkind = "categorical"\n')
    alone = bm.read_experiments(inside)
    assert bm.load_dataset().add(alone).known_decisions["optimizer"].levels == ("adamw", "muon")


def test_new_lms_may_record_declared_decisions(tmp_path):
    from bayesmeta.data.load import read_lms

    own = bm.read_dataset(write(tmp_path)).decisions
    path = tmp_path / "new.csv"
    path.write_text("lm,lm_family,n_params,n_tokens,optimizer\nx,f,7B,1T,muon\n")
    assert read_lms(path, decisions=own)["optimizer"].tolist() == ["muon"]


FAULTY = {
    "unknown kind": ('[optimizer]\nkind = "words"\n', "[optimizer], kind: 'words' is not known"),
    "no kind": ('[optimizer]\nlabel = "x"\n', "[optimizer], kind: it is missing"),
    "unknown key": ('[depth]\nkind = "number"\nunits = "m"\n', "Did you mean 'unit'"),
    "empty unit": ('[depth]\nkind = "number"\nunit = ""\n', "[depth], unit: ''"),
    "empty label": ('[depth]\nkind = "number"\nlabel = " "\n', "[depth], label: ' '"),
    "a column": ('[d_model]\nkind = "number"\n', "'d_model' is another column"),
    "a part of the model": ('[mix]\nkind = "number"\n', "'mix' is a part of the model"),
    "disclosure": ('[disclosure]\nkind = "categorical"\n', "'disclosure' follows from the shares"),
    "a built-in kind": ('[norm]\nkind = "number"\n', "[norm], kind: 'number' clashes"),
    "a built-in label": ('[norm]\nlabel = "x"\n', "[norm], label: 'norm' is built in"),
    "no name": ('["Opt imizer"]\nkind = "number"\n', "[Opt imizer]: 'Opt imizer' is no name"),
    "a level nobody has": (
        '[optimizer]\nkind = "categorical"\nlevels = ["adamw", "muon", "lion"]\n',
        "[optimizer], levels: no LM has lion.",
    ),
    "a built-in level nobody has": (
        '[attention]\nlevels = ["mla", "nsa"]\n',
        "[attention], levels: no LM has nsa.",
    ),
    "a reference that is no level": (
        '[optimizer]\nkind = "categorical"\nlevels = ["adamw", "muon"]\nreference = "adam"\n',
        "[optimizer], reference: 'adam' is not one of the levels. Did you mean 'adamw'?",
    ),
    "a reference nobody has": (
        '[optimizer]\nkind = "categorical"\nreference = "adam"\n',
        "[optimizer], reference: no LM has 'adam'. Did you mean 'adamw'?",
    ),
    "levels of a number": (
        '[depth]\nkind = "number"\nlevels = ["a"]\n',
        "[depth], levels: a number has none",
    ),
    "step of levels": ('[optimizer]\nkind = "categorical"\nstep = 2\n', "[optimizer], step: a cat"),
    "factor of 1": ('[depth]\nkind = "number"\nstep = 1\n', "[depth], step: '1' is no step"),
    "no step": ('[depth]\nkind = "number"\nlog = false\n', "[depth], step: a number without log"),
    "a word as step": ('[depth]\nkind = "number"\nstep = "2"\n', "[depth], step: '2' is no step"),
    "no list": (
        '[optimizer]\nkind = "categorical"\nlevels = "adamw"\n',
        "[optimizer], levels: adamw is no list",
    ),
    "a number as level": (
        '[optimizer]\nkind = "categorical"\nlevels = ["1", "two"]\n',
        "[optimizer], levels: '1' is a number. Name the level, such as v1",
    ),
    "a sign in a level": (
        '[optimizer]\nkind = "categorical"\nlevels = ["a > b", "c"]\n',
        "[optimizer], levels: 'a > b' is no word of a level",
    ),
    "a level twice": (
        '[optimizer]\nkind = "categorical"\nlevels = ["muon", "muon"]\n',
        "[optimizer], levels: muon stands twice",
    ),
    "no column": ('[width]\nkind = "number"\n', "[width]: nothing is recorded of it"),
    "no table": ('optimizer = "categorical"\n', "[optimizer]: it is no table"),
    "twice": ('[depth]\nkind = "number"\n[depth]\nkind = "share"\n', "cannot be read as TOML"),
    "no TOML": ("[depth\n", "cannot be read as TOML"),
}


@pytest.mark.parametrize("fault", FAULTY)
def test_a_fault_is_named_with_file_table_and_key(tmp_path, fault):
    declared, said = FAULTY[fault]
    every = "".join(
        f'\n[{name}]\nkind = "{kind}"\n{more}'
        for name, kind, more in (
            ("optimizer", "categorical", ""),
            ("warmup_share", "share", ""),
            ("depth", "number", "log = false\nstep = 1\n"),
        )
        if f"[{name}]" not in declared and "TOML" not in said and f"{name} =" not in declared
    )
    mla = '\n[attention]\nlevels = ["mla"]\n' * ("[attention]" not in declared)
    lms = LMS.replace("Muon", "muon")
    with pytest.raises(DataError) as caught:
        bm.read_dataset(write(tmp_path, declared=declared + every + mla, lms=lms))
    first = str(caught.value).splitlines()[0]
    assert first.startswith(str(tmp_path / "decisions.toml"))
    assert said in first
    assert len(caught.value.problems) == 1, caught.value


def test_all_faults_are_named_at_once(tmp_path):
    declared = '[optimizer]\nkind = "words"\n[norm]\nkind = "share"\n[depth]\nkind = "number"\n'
    declared += 'unit = ""\nstep = 0\n[lm]\nkind = "number"\n'
    with pytest.raises(DataError) as caught:
        bm.read_dataset(write(tmp_path, declared=declared))
    keys = ["[optimizer], kind", "[norm], kind", "[depth], unit", "[depth], step", "[lm]"]
    assert [any(key in line for line in caught.value.problems) for key in keys] == [True] * 5
    assert len(caught.value.problems) == 5


@pytest.mark.parametrize(
    "cell, said",
    [
        ("a,f,1e9,1e12,lion,mla,10,-1", "'lion' is not one of the words"),
        ("a,f,1e9,1e12,adamw,mla,110,-1", "110 is outside the allowed range"),
        ("a,f,1e9,1e12,adamw,mla,-1,-1", "-1 is outside the allowed range"),
        ("a,f,1e9,1e12,adamw,mla,10,deep", "'deep' is not a number"),
        ("a,f,1e9,1e12,adamw,nsa,10,1", "declare a level of your own in decisions.toml"),
    ],
)
def test_cells_of_declared_columns_are_checked(tmp_path, cell, said):
    lms = LMS.replace("a,f,1e9,1e12,adamw,mla,10,-1", cell)
    declared = DECLARED if "lion" not in cell else DECLARED.replace('"adamw", ', '"adamw", ')
    with pytest.raises(DataError, match=r"lms\.csv, line 2, column") as caught:
        bm.read_dataset(write(tmp_path, declared=declared, lms=lms))
    assert said in str(caught.value)


def test_shares_that_look_like_fractions_are_asked_about(tmp_path, refusal):
    lms = LMS.replace(",10,", ",.1,").replace(",5,", ",.05,")
    with refusal(DataError, "line 2, column 'warmup_share'", "fraction"):
        bm.read_dataset(write(tmp_path, lms=lms))


def test_two_spellings_of_a_level_that_is_not_declared(tmp_path, refusal):
    declared = DECLARED.replace('levels = ["adamw", "muon"]\n', "")
    with refusal(DataError, "lms.csv, line 4, column 'optimizer'", "'Muon' stands as 'muon'"):
        bm.read_dataset(write(tmp_path, declared=declared))


def test_an_undeclared_column_says_where_it_can_be_declared(tmp_path, refusal):
    declared = DECLARED.replace("[optimizer]", "[schedule]")
    with refusal(DataError, "'optimizer' is not known", "declare", "decisions.toml ([optimizer]"):
        bm.read_dataset(write(tmp_path, declared=declared))


def test_declarations_in_python_are_checked(refusal):
    data = bm.load_dataset()
    with refusal(DataError, "'width' is declared twice"):
        replace(data, decisions=[Decision("width", "number"), Decision("width", "share")])
    with refusal(DataError, "decision 'd_model'", "another column"):
        replace(data, decisions=[Decision("d_model", "number")])
    with refusal(DataError, "decision 'norm', kind", "clashes"):
        replace(data, decisions=[Decision("norm", "share")])
    optimizer = Decision("optimizer", "categorical", levels=("adamw", "muon"))
    with refusal(DataError, "decision 'optimizer' has no column", "Add it"):
        replace(data, decisions=[optimizer])
    with refusal(DataError, "'optimizer': 'sgd' stands in its column", "Allowed: adamw, muon"):
        replace(data, lms=data.lms.assign(optimizer="sgd"), decisions=[optimizer])
    with refusal(DataError, "'depth': '-1.0'", "from 1e-12 up"):
        replace(data, lms=data.lms.assign(depth=-1.0), decisions=[Decision("depth", "number")])
    with pytest.raises(DataError, match="levels") as caught:
        Decision("optimizer", "categorical", levels=("a", "a", "2"), reference="b", step=3)
    assert len(caught.value.problems) == 4


def test_every_column_and_word_of_the_model_is_reserved():
    assert {"lm", "lm_family", "n_params", "n_tokens", "released", "d_model", "study", "arm",
            "corpus", "generated_web_share", "mix", "benchmark"} <= RESERVED  # fmt: skip
    assert not RESERVED & set(DECISIONS)


def test_text_of_declarations_says_all_of_them():
    decisions = (
        Decision("optimizer", "categorical", label='a "b" \\ c', levels=("adamw", "é")),
        Decision("depth", "number", log=False, step=2.0, reference=-1.5, unit="layers"),
        Decision("depth_2", "number", step=3),
        Decision("warmup_share", "share", reference=5, step=2.5),
        Decision("norm", "categorical", levels=("dyt",), reference="rmsnorm"),
    )
    assert parse_text_of_declared(format_declared(decisions)) == decisions


def test_built_in_decisions_are_declared_without_fault():
    for name, decision in DECISIONS.items():
        assert list(find_faults(name, decision.to_table())) == []
    assert know_decisions() == DECISIONS


def test_importers_keep_declared_columns(tmp_path):
    folder = write(tmp_path)
    results = tmp_path / "results.json"
    results.write_text(
        '{"results": {"winogrande": {"acc,none": 0.62}}, "n-shot": {"winogrande": 5}, '
        '"model_name": "lab/new"}'
    )
    facts = {"n_params": "1B", "n_tokens": "1T", "lm_family": "lab"}
    bm.read_lm_eval(results, facts=facts).save(folder)
    data = bm.read_dataset(folder)
    assert data.lms["lm"].tolist() == ["a", "b", "c", "d", "lab/new"]
    assert data.lms["optimizer"].tolist()[:3] == ["adamw", "muon", "muon"]
