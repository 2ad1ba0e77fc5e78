"""Benchmarks with metrics of a user's own: read as fractions of their ranges, averaged by unit."""

from dataclasses import replace

import numpy as np
import pytest

import bayesmeta as bm
from bayesmeta.errors import DataError, QueryError
from bayesmeta.estimates.counterfactual import weigh_benchmarks
from bayesmeta.model.spec import build_design_for

LMS = "lm,lm_family,n_params,n_tokens\na,f,1e9,1e12\nb,f,2e9,1e12\nc,g,1e9,1e12\n"
SCORES = """\
lm,benchmark,score,se
a,hellaswag,.5,.01
a,judged,7.5,.2
b,judged,5,
a,edits,62.5,1
a,word_errors,.2,
a,wiki,8,.4
b,wiki,16,
c,wiki,4,
a,arena,1100,10
"""
DECLARED = """\
[benchmark.judged]
task_family = "chat"
metric = "judge"
range = [0, 10]

[benchmark.edits]
task_family = "code"
metric = "f1"
range = [0, 100]
chance = 25
label = "Code edits"

[benchmark.word_errors]
task_family = "speech"
metric = "word error rate"

[benchmark.wiki]
task_family = "wiki"
metric = "perplexity"
range = [4, 64]
log = true

[benchmark.arena]
task_family = "arena"
metric = "elo"
range = [1000, 1400]
"""


def write(folder, *, declared=DECLARED, scores=SCORES):
    for name, text in (("decisions.toml", declared), ("lms.csv", LMS), ("scores.csv", scores)):
        (folder / name).write_text(text)
    return folder


@pytest.fixture
def data(tmp_path):
    return bm.read_dataset(write(tmp_path))


def test_scores_are_fractions_of_the_range(data):
    scores = data.scores.set_index(["lm", "benchmark"])
    found = scores["score"]
    assert np.allclose(found["a"], [0.5, 0.75, 0.625, 0.2, 0.25, 0.25])
    assert np.allclose([found["b", "wiki"], found["c", "wiki"]], [0.5, 0.0])
    errors = scores["se"].dropna()
    assert np.allclose(errors, [0.01, 0.02, 0.01, 0.05 / np.log(16), 0.025])


def test_declared_benchmarks_have_a_row(data):
    table = data.benchmarks.set_index("benchmark")
    assert table.loc["edits", ["label", "chance", "metric"]].tolist() == [
        "Code edits", 0.25, "accuracy",
    ]  # fmt: skip
    assert table["direction"].to_dict() == {
        "hellaswag": "higher", "judged": "higher", "edits": "higher", "word_errors": "lower",
        "wiki": "lower", "arena": "higher",
    }  # fmt: skip
    assert table.loc["judged", "label"] == "judged (judge; a point is 0.1)"
    assert table.loc["wiki", "label"] == "wiki (perplexity; a point is a factor of 1.028)"
    assert table.loc["arena", "label"] == "arena (elo; a point is 4)"


def test_links_follow_metric_and_direction(data):
    design = build_design_for(data, spec=bm.ModelSpec(decisions=()))
    logistic = dict(zip(design.benchmarks, design.outcomes.is_logistic, strict=True))
    assert logistic == {
        "hellaswag": True, "judged": True, "edits": True, "word_errors": False,
        "wiki": False, "arena": False,
    }  # fmt: skip
    sign = dict(zip(design.benchmarks, np.sign(design.outcomes.spread), strict=True))
    assert (sign["wiki"], sign["arena"]) == (-1, 1)


def test_means_leave_out_units_of_their_own(data, build_fake_fit):
    fit = build_fake_fit(data, spec=bm.ModelSpec(decisions=(), interactions="none"))
    _, weights = weigh_benchmarks(fit.design, by="overall")
    weight = dict(zip(fit.design.benchmarks, weights[0], strict=True))
    assert weight["wiki"] == weight["arena"] == 0
    assert weight["hellaswag"] == 1 / 4
    answer = bm.query(fit, "n_params: 2B > 1B")
    assert answer.where == "over all 6 benchmarks but wiki, arena"
    on_wiki = bm.query(fit, "n_params: 2B > 1B", benchmark="wiki")
    assert "a point is a factor of 1.028" in on_wiki.sentence
    assert on_wiki.effect["units"] == "hundredths of the range"
    assert " hundredths of the range on wiki" in on_wiki.sentence
    assert (
        "hundredths of the range" in bm.claim(fit, "n_params: 2B > 1B", benchmark="wiki").sentence
    )
    assert answer.effect["units"] == "percentage points"


def test_no_mean_of_units_of_their_own_alone(tmp_path, build_fake_fit):
    scores = "lm,benchmark,score\na,wiki,8\nb,wiki,9\na,arena,1100\nb,arena,1200\nc,wiki,9\n"
    data = bm.read_dataset(write(tmp_path, scores=scores))
    fit = build_fake_fit(data, spec=bm.ModelSpec(decisions=(), interactions="none"))
    with pytest.raises(QueryError, match="units of their own, and no mean"):
        bm.query(fit, "n_params: 2B > 1B")
    assert bm.query(fit, "n_params: 2B > 1B", benchmark="arena").target == "arena"


def test_predictions_of_fractions(data, build_fake_fit):
    fit = build_fake_fit(data, spec=bm.ModelSpec(decisions=(), interactions="none"))
    table = bm.predict(fit, data.lms.head(1).assign(lm="new")).table().set_index("benchmark")
    assert table.loc["arena", "lower_observed"] >= 0
    assert table.loc["arena", "upper_observed"] <= 100


def test_tables_tell_the_unit_of_every_target(data, build_fake_fit):
    lms = data.lms.assign(norm=["rmsnorm", "layernorm", "layernorm"])
    fit = build_fake_fit(replace(data, lms=lms), spec=bm.ModelSpec(
        decisions=("norm",), interactions="none", family_effects="none"
    ))  # fmt: skip
    new = lms.head(1).assign(lm="new")
    tables = (
        bm.effects(fit, by="benchmark").table().set_index("target"),
        bm.whatif(fit, "a", norm="layernorm").table().set_index("target"),
        bm.predict(fit, new).table().set_index("benchmark"),
    )
    for table in tables:
        assert set(table.index[table["units"] == "hundredths of the range"]) == {"wiki", "arena"}
        assert (table["units"].drop(["wiki", "arena"]) == "percentage points").all()


def test_saved_tables_are_read_back(data, tmp_path):
    data.save(tmp_path / "again")
    again = bm.read_dataset(tmp_path / "again")
    assert again.checksum == data.checksum
    assert not (tmp_path / "again" / "decisions.toml").exists()


def test_results_of_experiments_are_rescaled(tmp_path):
    folder = write(tmp_path)
    inside = folder / "experiments"
    inside.mkdir()
    arms = "study,group,arm,n_params,n_tokens,norm\ns,g,x,1e9,1e10,rmsnorm\n"
    (inside / "arms.csv").write_text(f"{arms}s,g,y,1e9,1e10,layernorm\n")
    results = "study,group,arm,benchmark,score\ns,g,x,judged,4\ns,g,y,judged,5\n"
    (inside / "results.csv").write_text(results)
    data = bm.read_dataset(folder)
    assert data.experiments.results["score"].tolist() == [0.4, 0.5]
    (inside / "results.csv").write_text(results.replace("judged,4", "judged,14"))
    with pytest.raises(DataError, match=r"results\.csv, line 2.*14 is outside the range"):
        bm.read_dataset(folder)


FAULTY = {
    "no range": ('task_family = "x"\nmetric = "loss"\n', "range: 'loss' has no ends"),
    "no range of logs": ('task_family = "x"\nmetric = "y"\nlog = true\n', "range: 'y' has no ends"),
    "range of logs": (
        'task_family = "x"\nmetric = "y"\nlog = true\nrange = [0, 1]\n',
        "range: [0, 1] is no range",
    ),
    "turned round": ('task_family = "x"\nmetric = "y"\nrange = [1, 0]\n', "range: [1, 0] is no"),
    "three ends": ('task_family = "x"\nmetric = "y"\nrange = [0, 1, 2]\n', "is no range"),
    "no metric": ('task_family = "x"\n', "metric: it is missing"),
    "empty metric": ('task_family = "x"\nmetric = ""\n', "metric: '' is no text"),
    "no task family": ('metric = "f1"\n', "task_family: it is missing"),
    "direction": (
        'task_family = "x"\nmetric = "f1"\ndirection = "up"\n',
        "direction: 'up' is not known",
    ),
    "chance": ('task_family = "x"\nmetric = "f1"\nchance = 25\n', "chance: 25 is no score"),
    "key": ('task_family = "x"\nmetric = "f1"\nunit = "%"\n', "unit: the key is not known"),
    "items": ('task_family = "x"\nmetric = "f1"\nn_items = -1\n', "n_items: -1 is no count"),
}


@pytest.mark.parametrize("fault", FAULTY)
def test_a_fault_is_named_with_file_table_and_key(tmp_path, fault):
    table, said = FAULTY[fault]
    declared = f"{DECLARED}\n[benchmark.new]\n{table}"
    with pytest.raises(DataError) as caught:
        bm.read_dataset(write(tmp_path, declared=declared))
    text = str(caught.value)
    assert text.startswith(f"{tmp_path / 'decisions.toml'}, [benchmark.new], ")
    assert said in text
    assert len(caught.value.problems) == 1


def test_names_that_are_known_are_refused(tmp_path, refusal):
    declared = f'{DECLARED}\n[benchmark.hellaswag]\ntask_family = "x"\nmetric = "f1"\n'
    with refusal(DataError, "[benchmark.hellaswag]", "known already"):
        bm.read_dataset(write(tmp_path, declared=declared))
    (tmp_path / "benchmarks.csv").write_text("benchmark,task_family,metric\njudged,chat,accuracy\n")
    with refusal(DataError, "benchmarks.csv, line 2", "declared in decisions.toml too"):
        bm.read_dataset(write(tmp_path))


def test_scores_outside_the_range(tmp_path):
    scores = SCORES.replace("a,judged,7.5", "a,judged,75").replace("b,wiki,16", "b,wiki,3")
    with pytest.raises(DataError) as caught:
        bm.read_dataset(write(tmp_path, scores=scores))
    first, second = caught.value.problems
    assert "scores.csv, line 3, column 'score': 75 is outside the range of 'judged'" in first
    assert "line 8, column 'score': 3 is outside the range of 'wiki'" in second


def test_a_unit_of_its_own_needs_a_task_family_of_its_own(tmp_path, refusal):
    declared = DECLARED.replace('"arena"', '"chat"')
    with refusal(DataError, "[benchmark.arena], task_family", "'chat'", "judged"):
        bm.read_dataset(write(tmp_path, declared=declared))


def test_designs_are_ranked_on_benchmarks_that_share_a_unit(data, build_fake_fit, refusal):
    fit = build_fake_fit(data, spec=bm.ModelSpec(decisions=(), interactions="none"))
    new = data.lms.head(2).assign(lm=["x", "y"])
    alike = {"hellaswag", "judged", "edits", "word_errors"}
    assert set(bm.rank_designs(fit, new).benchmarks) == alike
    assert bm.rank_designs(fit, new, benchmarks="wiki").benchmarks == ("wiki",)
    with refusal(QueryError, "arena", "units of their own", "judged"):
        bm.rank_designs(fit, new, benchmarks=["arena", "judged"])
