"""Decisions of a user's own go the whole way: tables, fit, effect, figure, page, claim, new LMs.

Twelve LMs of four families record an optimizer whose effect on the scores is known, and an
attention that no bundled LM has.
"""

import json

import matplotlib.pyplot as plt
import numpy as np
import pytest
from click.testing import CliRunner

import bayesmeta as bm
from bayesmeta.cli.shared import app
from bayesmeta.errors import QueryError, SpecError
from bayesmeta.inference.shipped import pack, unpack
from bayesmeta.model.spec import build_design_for
from bayesmeta.validation.placebo import permute_decisions

GAIN = 0.6
"""Latent gain of muon over adamw: about fifteen points at mid-range."""

CHANCE = {"hellaswag": 0.25, "lambada": 0.0, "winogrande": 0.5, "arc_challenge": 0.25}

SETTINGS = {"draws": 300, "tune": 300, "chains": 2, "seed": 3, "progress": False}

DECLARED = """\
[optimizer]
kind = "categorical"
label = "training optimizer"
levels = ["adamw", "muon"]
reference = "adamw"

[attention]
levels = ["mla"]

[warmup_share]
kind = "share"
unit = "% of the steps"

[depth_to_width]
kind = "number"
log = false
step = 0.5
"""
SPEC = bm.ModelSpec(interactions="none", experiments="ignored")


def write_tables(folder, *, gain):
    rng = np.random.default_rng(11)
    lms = ["lm,lm_family,n_params,n_tokens,optimizer,attention,warmup_share,depth_to_width"]
    scores = ["lm,benchmark,score,se"]
    optimizers = rng.permutation(["adamw", "muon"] * 6)
    for k in range(12):
        family, size = "fghi"[k // 3], (1, 2, 4)[k % 3] * 1e9
        attention, warmup, depth = ("mla", "gqa", "mha")[k % 3], (2, 20)[k % 2], (k * 5) % 12 / 4
        lms.append(f"lm{k},{family},{size:.0f},1e12,{optimizers[k]},{attention},{warmup},{depth}")
        skill = np.log10(size / 2e9) + gain * (optimizers[k] == "muon")
        for name, chance in CHANCE.items():
            score = chance + (1 - chance) / (1 + np.exp(-skill - rng.normal(0, 0.1)))
            scores.append(f"lm{k},{name},{score:.4f},0.01")
    (folder / "lms.csv").write_text("\n".join(lms) + "\n")
    (folder / "scores.csv").write_text("\n".join(scores) + "\n")
    (folder / "decisions.toml").write_text(DECLARED)
    return folder


@pytest.fixture(scope="module")
def own(tmp_path_factory):
    return bm.read_dataset(write_tables(tmp_path_factory.mktemp("own"), gain=GAIN))


@pytest.fixture(scope="module")
def fit(own):
    return bm.fit(own, bm.ModelSpec(decisions=("optimizer",), interactions="none"), **SETTINGS)


@pytest.fixture(scope="module")
def saved(own, build_fake_fit, tmp_path_factory):
    """A fit of all decisions, saved and loaded, whose draws are made up."""
    path = tmp_path_factory.mktemp("fit") / "own.nc"
    build_fake_fit(own, spec=SPEC).save(path)
    return path


@pytest.fixture(scope="module")
def asked(saved):
    return bm.load_fit(saved)


def test_a_known_effect_lies_in_the_interval(fit):
    answer = bm.query(fit, "muon vs adamw", scale="latent")
    assert answer.effect["lower"] < GAIN < answer.effect["upper"]
    assert answer.probability.estimate > 0.95
    assert answer.evidence.lms == {"muon": 6, "adamw": 6}
    points = bm.query(fit, "optimizer: muon > adamw")
    assert 5 < points.effect["estimate"] < 20


def test_the_saved_fit_knows_its_decisions(own, asked):
    assert asked.dataset.checksum == own.checksum
    assert asked.dataset.decisions == own.decisions
    built_in, of_own = asked.design.decisions[:-3], asked.design.decisions[-3:]
    assert of_own == ("optimizer", "warmup_share", "depth_to_width")
    assert built_in == ("attention",)


def test_effects_have_the_declared_reference_and_step(asked):
    table = bm.effects(asked).table().set_index("decision")
    assert table.loc["optimizer", ["level", "reference"]].tolist() == ["muon", "adamw"]
    assert set(table.loc["attention", ["level", "reference"]].to_numpy().ravel()) == {
        "mla", "gqa", "mha",
    }  # fmt: skip
    level, start = table.loc["depth_to_width", ["level", "reference"]].astype(float)
    assert level - start == 0.5
    level, start = table.loc["warmup_share", ["level", "reference"]].astype(float)
    assert level - start == 10


@pytest.mark.parametrize(
    "text, read",
    [
        ("optimizer: muon > adamw", "optimizer: muon > adamw"),
        ("is Muon better than AdamW?", "optimizer: muon > adamw"),
        ("training optimizer: Muon vs adamw", "optimizer: muon > adamw"),
        ("mla vs gqa", "attention: mla > gqa"),
        ("attention: MLA > grouped-query attention", "attention: mla > gqa"),
        ("warmup share 20% vs 5%", "warmup_share: 20% > 5%"),
        ("warmup_share: 20 > 5", "warmup_share: 20% > 5%"),
        ("depth to width from 1 to 2.5", "depth_to_width: 2.5 > 1"),
        ("depth_to_width: 0 > -1", "depth_to_width: 0 > -1"),
    ],
)
def test_questions(asked, text, read):
    answer = bm.query(asked, text)
    assert answer.read_as == read
    assert bm.query(asked, answer.read_as).effect == answer.effect


@pytest.mark.parametrize(
    "text, parts",
    [
        ("optimizer: muno > adamw", ("'muno' of optimizer", "Did you mean 'muon'")),
        ("warmup_share: .2 > .05", ("20% > 5%", "0.2% > 0.05%")),
        ("warmup_share: 200% > 5%", ("'200%' of warmup_share", "percent of the steps")),
        ("optimizr: muon > adamw", ("Did you mean 'optimizer'",)),
    ],
)
def test_questions_that_are_refused(asked, text, parts):
    with pytest.raises(QueryError) as caught:
        bm.query(asked, text)
    assert [part for part in parts if part not in str(caught.value)] == []


def test_sentences_use_the_label(asked):
    assert "muon (training optimizer)" in bm.query(asked, "muon vs adamw").sentence
    made = bm.claim(asked, "muon vs adamw")
    assert "muon (training optimizer)" in made.sentence
    assert bm.check_claim(made, asked)["agree"].all()
    assert "a warmup share of 20 %" in bm.query(asked, "warmup_share: 20 > 5").sentence
    assert "mla (attention)" in bm.claim(asked, "mla vs gqa").sentence


def test_figures(asked, tmp_path):
    drawn = bm.plot.forest(bm.effects(asked))
    names = {text.get_text() for axes in drawn.figure.axes for text in axes.texts}
    names |= {t.get_text() for axes in drawn.figure.axes for t in axes.get_yticklabels()}
    assert any("training optimizer" in name for name in names)
    bm.plot.atlas(bm.effects(asked, by="benchmark"))
    curve = bm.curve(asked, "depth_to_width")
    assert np.allclose(np.diff(curve.draws["grid"], 2), 0)
    assert bm.curve(asked, "warmup_share").units == "% of the steps"
    bm.plot.curve(curve)
    plt.close("all")


def test_new_and_changed_lms(asked):
    new = asked.dataset.lms.head(2).assign(lm=["x", "y"], optimizer=["muon", None])
    table = bm.predict(asked, new).table().set_index(["lm", "benchmark"])
    assert "optimizer" in table.loc[("y", "lambada"), "undisclosed"]
    with pytest.raises(QueryError, match="which no LM of this fit's data has"):
        bm.predict(asked, new.assign(attention="mqa"))
    changed = bm.whatif(asked, "lm0", optimizer="muon", warmup_share="20%")
    same = bm.whatif(asked, "lm0", optimizer="adamw", warmup_share="20%")
    assert len({changed.changes["optimizer"], same.changes["optimizer"]}) == 2
    ranked = bm.rank_levels(asked, "training optimizer").table()
    assert set(ranked["level"]) == {"adamw", "muon"}


def test_the_page(asked, tmp_path):
    paths = bm.report(asked, tmp_path, decisions=("optimizer", "attention"), progress=False)
    text = next(path for path in paths if path.suffix == ".md").read_text()
    assert "optimizer: muon against adamw" in text
    assert "attention: gqa against mla" in text


def test_the_command_line(saved):
    def run(*words):
        asked = [*words, "--fit", str(saved), "--format", "json"]
        return json.loads(CliRunner().invoke(app, asked, catch_exceptions=False).stdout)

    rows = {row["name"]: row for row in run("list", "decisions")}
    assert rows["optimizer"]["label"] == "training optimizer"
    assert rows["optimizer"]["levels"] == "adamw, muon"
    assert rows["warmup_share"]["levels"] == "% of the steps"
    assert (rows["depth_to_width"]["kind"], list(rows)[-3]) == ("number", "depth_to_width")
    assert "mla" in {row["name"] for row in run("list", "levels")}
    assert run("query", "muon vs adamw")["statement"] == "optimizer: muon > adamw"
    assert run("effects", "--decision", "optimizer")[0]["level"] == "muon"


def test_a_spec_may_name_them_and_is_held_against_the_data(own, refusal):
    spec = bm.ModelSpec.from_dict({"decisions": ["optimizer", "attention"]})
    assert spec.decisions == ("attention", "optimizer")
    assert build_design_for(own, spec=spec).decisions == ("attention", "optimizer")
    with refusal(SpecError, "decision 'optimizer'"):
        build_design_for(bm.load_dataset(), spec=spec)


def write_experiments(folder):
    """Two studies that vary the optimizer, and one the depth; the last varies what no LM has."""
    arms = ["study,group,arm,n_params,n_tokens,optimizer,depth_to_width,schedule"]
    results = ["study,group,arm,benchmark,score"]
    for study, benchmark, better in (("s1", "hellaswag", 0.05), ("s2", "lambada", 0.04)):
        for arm, optimizer in (("x", "adamw"), ("y", "muon")):
            arms.append(f"{study},g,{arm},1e9,1e10,{optimizer},1,")
            score = 0.5 + better * (arm == "y")
            results.append(f"{study},g,{arm},{benchmark},{score}")
    arms += ["s3,g,x,1e9,1e10,,1,", "s3,g,y,1e9,1e10,,2,"]
    arms += ["s4,g,x,1e9,1e10,,,cosine", "s4,g,y,1e9,1e10,,,wsd"]
    results += ["s3,g,x,hellaswag,0.5", "s3,g,y,hellaswag,0.52"]
    results += ["s4,g,x,hellaswag,0.5", "s4,g,y,hellaswag,0.6"]
    (folder / "experiments").mkdir()
    (folder / "experiments" / "arms.csv").write_text("\n".join(arms) + "\n")
    (folder / "experiments" / "results.csv").write_text("\n".join(results) + "\n")


@pytest.fixture(scope="module")
def tried(tmp_path_factory, build_fake_fit):
    folder = write_tables(tmp_path_factory.mktemp("tried"), gain=GAIN)
    write_experiments(folder)
    with (folder / "decisions.toml").open("a") as file:
        file.write('\n[schedule]\nkind = "categorical"\n')
    data = bm.read_dataset(folder)
    return build_fake_fit(data, spec=bm.ModelSpec(interactions="none"))


def test_experiments_on_them_are_evidence(tried):
    table = bm.evidence(tried, "muon vs adamw").table().set_index("source")
    assert table.loc[["s1", "s2"], "estimate"].round(6).tolist() == [5, 4]
    assert table.loc[["s1", "s2"], "control"].tolist() == ["clean", "clean"]
    table = bm.evidence(tried, "depth_to_width: 2 > 1").table().set_index("source")
    assert round(table.loc["s3", "estimate"], 6) == 2
    assert "effect" in bm.query(tried, "muon vs adamw").to_dict()


def test_contrasts_of_arms_stand_on_them(tried):
    contrasts, design = tried.design.contrasts, tried.design
    columns = contrasts.columns["beta"]
    moved = {name: np.abs(columns[:, design.columns_of(name)]).sum(axis=1) > 0
             for name in ("optimizer", "depth_to_width")}  # fmt: skip
    study = np.array(contrasts.studies)[contrasts.study_index]
    assert set(study[moved["optimizer"]]) == {"s1", "s2"}
    assert set(study[moved["depth_to_width"]]) == {"s3"}
    # What no LM records is a fact of arms: it explains their difference, and no LM's.
    assert contrasts.arm_labels == ("schedule[cosine]", "schedule[wsd]")
    assert set(study[np.abs(contrasts.columns["arm_facts"]).sum(axis=1) > 0]) == {"s4"}


def test_placebo_permutes_them(tried):
    data = tried.dataset
    shuffled = [permute_decisions(data, seed=seed).lms["optimizer"] for seed in range(4)]
    assert any((one != data.lms["optimizer"]).any() for one in shuffled)
    assert all(one.value_counts().sum() == 12 for one in shuffled)


def test_a_packed_design_knows_them(asked):
    arrays = {}
    packed = json.loads(json.dumps(pack(asked.design, arrays)))
    again = unpack(packed, arrays)
    assert again.own_decisions == asked.design.own_decisions
    assert again.known_decisions == asked.dataset.known_decisions
