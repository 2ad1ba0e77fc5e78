"""Studies held out whole: what predicts them, what the scores mean, what is refused, the record."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pandas.testing as pdt
import pytest
from scipy import stats

import bayesmeta as bm
from bayesmeta import defaults
from bayesmeta.crossvalidation import folds, held_out_studies
from bayesmeta.crossvalidation.folds import MODELS, Candidate
from bayesmeta.crossvalidation.held_out_studies import (
    STUDY_BASELINES,
    STUDY_MODELS,
    StudyScoreboard,
    run_studies,
    summarise_pairs,
)
from bayesmeta.crossvalidation.schemes import LEAVE_STUDY_OUT
from bayesmeta.design.arm_contrasts import noise_variance
from bayesmeta.errors import EvaluationError
from bayesmeta.model.predictor import StudentScores
from bayesmeta.model.spec import build_design_for, build_pairs

pytestmark = pytest.mark.filterwarnings("ignore:The 'float_precision' argument is deprecated")

SCHEME = {"scheme": LEAVE_STUDY_OUT, "progress": False}
CLOSED = ("no-effect", "experiments-alone")
"""Baselines in closed form."""

SMALL = bm.ModelSpec(
    decisions=("attention",), interactions="none", family_effects="none", release_date="none",
    experiments="included",
)  # fmt: skip
KEYS = ["scheme", "model", "study", "n", "coverage90", "log_density", "mae", "sign_right"]

ARMS = """\
study,group,arm,n_params,n_tokens,attention,context_length
one,main,few,1e9,2e10,gqa,2048
one,main,all,1e9,2e10,mha,2048
two,main,all,3e9,6e10,mha,4096
two,main,few,3e9,6e10,gqa,4096
two,long,short,3e9,6e10,mha,2048
two,long,long,3e9,6e10,mha,8192
three,main,all,2e9,4e10,mha,2048
three,main,few,2e9,4e10,gqa,2048
"""
RESULTS = """\
study,group,arm,benchmark,score,n_seeds
one,main,few,reading,0.50,1
one,main,all,reading,0.56,1
one,main,few,recall,0.31,1
one,main,all,recall,0.33,1
two,main,all,reading,0.62,2
two,main,few,reading,0.58,2
two,long,short,reading,0.60,1
two,long,long,reading,0.61,1
three,main,all,puzzles,0.72,1
three,main,few,puzzles,0.70,1
"""


@pytest.fixture(scope="module")
def trials(small, small_folder, tmp_path_factory):
    """The small dataset with three studies."""
    folder = tmp_path_factory.mktemp("trials")
    (folder / "arms.csv").write_text(ARMS)
    (folder / "results.csv").write_text(RESULTS)
    (folder / "benchmarks.csv").write_text((small_folder / "benchmarks.csv").read_text())
    return small.add(bm.read_experiments(folder))


@pytest.fixture(scope="module")
def short():
    """Short chains of a small model, compiled once."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(defaults, "PILOT_TUNE", 30)
        patch.setattr(defaults, "PILOT_DRAWS", 20)
        patch.setattr(folds, "_refitters", {})
        yield


@pytest.fixture(scope="module")
def board(trials, short):
    return bm.evaluate(trials, ["small", *CLOSED], specs={"small": SMALL}, **SCHEME)


def other_scores(dataset, study, *, by=0.02):
    """The same data with other differences in a study and the same means of its cells."""
    results = dataset.experiments.results.copy()
    own = results["study"] == study
    place = results[own].groupby(["group", "benchmark"]).cumcount()
    results.loc[own, "score"] += np.where(place == 0, by, -by)
    return replace(dataset, experiments=replace(dataset.experiments, results=results))


def predictions(dataset, candidate, study):
    names = ["benchmark", "group", "arm", "base", "part", "estimate"]
    return run_studies([(dataset, candidate, study)])[0][names]


def test_every_study_and_model_is_scored_and_means_come_last(board):
    table = board.table()
    assert list(table) == KEYS
    assert list(dict.fromkeys(table["model"])) == ["small", *CLOSED]
    for _, own in table.groupby("model"):
        assert own["study"].tolist() == ["one", "two", "three", "mean"]
        assert own["n"].tolist() == [2, 2, 1, 5]
    assert np.isfinite(table[["coverage90", "log_density", "mae"]]).all(axis=None)
    assert repr(board) == "StudyScoreboard(3 models, 3 studies)"


@pytest.mark.parametrize("name", ["small", *CLOSED])
def test_scores_of_a_held_out_study_change_no_prediction_of_it(trials, short, name):
    candidate = Candidate(name, SMALL if name == "small" else None)
    refitter = folds.find_refitter(trials, spec=SMALL)  # one graph, one place to start from
    before, found = predictions(trials, candidate, 0), {}
    for study in ("one", "two"):
        changed = other_scores(trials, study)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(held_out_studies, "find_refitter", lambda data, spec: refitter)
            patch.setattr(refitter, "dataset", changed)
            found[study] = predictions(changed, candidate, 0)
    pdt.assert_frame_equal(found["one"], before, rtol=1e-6, atol=1e-9)
    if name != "no-effect":
        assert (found["two"]["estimate"] - before["estimate"]).abs().max() > 0.05


def test_experiments_alone_is_the_regression_that_can_be_worked_out_by_hand(trials, monkeypatch):
    """One study predicts another that has the same arms on the same benchmark."""
    experiments = trials.experiments
    kept = experiments.results.query("benchmark == 'reading' and group == 'main'")
    data = replace(trials, experiments=replace(experiments, results=kept.reset_index(drop=True)))
    spec = replace(SMALL, scaling="none")
    monkeypatch.setitem(MODELS, "full", spec)
    (rows,) = run_studies([(data, Candidate("experiments-alone"), 1)])
    design, priors = build_design_for(data, spec=spec), spec.priors
    pairs = build_pairs(data, design, spec=spec)
    noise = noise_variance(pairs, benchmarks=design.benchmarks)
    x = (pairs.columns["beta"] @ design.loading)[:, 0]
    effect = 0.5 * priors.beta_tau**2 * (1 + 2 * priors.beta_ratio**2)
    own = (priors.study_ratio * priors.beta_tau) ** 2 * (1 + 2 * priors.beta_ratio**2)
    runs = priors.run_sigma**2 * np.square(pairs.columns["runs"]).sum(axis=1)
    variance = x**2 * (effect + own) + runs + noise
    gain = effect * x[0] * x[1] / variance[0]
    mean, sd = gain * pairs.y[0], np.sqrt(variance[1] - gain * effect * x[0] * x[1])
    assert rows["estimate"].item() == pytest.approx(100 * mean)
    law = stats.norm(100 * mean, 100 * sd)
    assert rows["log_density"].item() == pytest.approx(law.logpdf(100 * pairs.y[1]))
    assert rows["pit"].item() == pytest.approx(law.cdf(100 * pairs.y[1]))


def test_no_effect_is_a_normal_law_about_zero(trials):
    (rows,) = run_studies([(trials, Candidate("no-effect"), 1)])
    design = build_design_for(trials, spec=MODELS["full"])
    pairs = build_pairs(trials, design, spec=MODELS["full"])
    noise = noise_variance(pairs, benchmarks=design.benchmarks)[pairs.study_index == 1]
    law = stats.norm(0, 100 * np.sqrt(noise + 0.02**2))
    np.testing.assert_allclose(rows["log_density"], law.logpdf(rows["difference"]))
    assert (rows["estimate"] == 0).all()


def test_noise_is_that_of_recorded_runs_and_less_with_more_of_them(trials):
    pairs = build_pairs(trials, build_design_for(trials, spec=SMALL), spec=SMALL)
    noise = noise_variance(pairs, benchmarks=["arc_easy", "no such", "none", "puzzles"])
    recorded = pd.read_csv(bm.data.load.bundled_folder() / "experiments" / "run_noise.csv")
    repeats = recorded.query("benchmark == 'arc_easy'")
    pooled = np.average(repeats["sd"] ** 2, weights=repeats["n_runs"])
    reading = pairs.benchmark_index == 0
    seeds = np.where((pairs.study_index == 1) & (pairs.labels["group"] == "main"), 2, 1)
    usual = pairs.sampling + 2 / seeds * 0.008**2
    assert 0 < reading.sum() < len(reading)
    np.testing.assert_allclose(noise, np.where(reading, 2 / seeds * pooled, usual))


def test_associations_are_coefficients_of_the_model_without_experiments(trials, monkeypatch):
    monkeypatch.setitem(MODELS, "full", replace(SMALL, experiments="ignored"))
    monkeypatch.setitem(MODELS, "full", SMALL)
    design, rng, asked = build_design_for(trials, spec=SMALL), np.random.default_rng(1), []
    draws = {
        "beta": rng.normal(0, 0.3, (50, len(design.terms), 4)),
        "kappa": rng.normal(1, 0.3, (50, 4, len(design.scale_terms))),
        "sigma_score": np.full(50, 0.01),
    }

    class Refitter:
        def refit(self, train, *, seed):
            asked.append(train.all())
            return SimpleNamespace(parameters=draws)

    specs = []
    monkeypatch.setattr(
        held_out_studies, "find_refitter", lambda _, spec: specs.append(spec) or Refitter()
    )
    rows = pd.concat(run_studies([(trials, Candidate("associations"), k) for k in range(3)]))
    assert (specs, asked) == (
        [replace(MODELS["full"], experiments="ignored")],
        [True],
    )  # one refit for all studies
    pairs = build_pairs(trials, design, spec=SMALL)
    effect = np.einsum(
        "pt,dtp->dp", pairs.columns["beta"], draws["beta"][..., pairs.benchmark_index]
    )
    whole = rows.query("part == 'all'")
    expected = 100 * np.median(effect, axis=0)
    np.testing.assert_allclose(whole["estimate"], expected, atol=1e-9)
    sd = np.sqrt(noise_variance(pairs, benchmarks=design.benchmarks))
    density = stats.norm(100 * effect, 100 * sd).pdf(100 * pairs.y).mean(axis=0)
    np.testing.assert_allclose(whole["log_density"], np.log(density))


def test_predictions_of_a_true_law_are_covered_as_often_as_they_say():
    rng = np.random.default_rng(1)
    n, sd = 20_000, 0.01
    mu = rng.normal(0, 0.02, n)

    class Pairs:
        y = mu + rng.normal(0, sd, n)

    law = StudentScores(y=Pairs.y, mu=np.tile(mu, (4, 1)), sd=np.full((4, n), sd), nu=None)
    scored = held_out_studies._score_pairs(law, Pairs, noise=np.full(n, sd**2))
    labels = {"scheme": LEAVE_STUDY_OUT, "model": "m", "study": "s"}
    found = summarise_pairs(scored.assign(**labels)).set_index("part")
    assert found.index.tolist() == ["all", "first half", "second half"]
    whole = found.loc["all"]
    assert whole["coverage90"] == pytest.approx(90, abs=1)
    assert whole["mae"] == pytest.approx(np.sqrt(2 / np.pi), abs=0.02)
    assert whole["log_density"] == pytest.approx(-stats.norm.entropy(), abs=0.02)
    clear = np.abs(Pairs.y) > 1.64 * sd
    right = np.sign(Pairs.y) == np.sign(mu)
    assert whole["sign_right"] == pytest.approx(100 * right[clear].mean())


def test_every_study_counts_the_same_and_errors_are_between_studies_and_halves():
    common = {"scheme": LEAVE_STUDY_OUT, "model": "m"}
    rows = pd.DataFrame(
        [
            {**common, "study": study, "part": part, "n": n, "coverage90": 90.0,
             "log_density": -2.0, "mae": mae + gap, "sign_right": sign}
            for study, n, mae, sign in (("big", 99, 1.0, 80.0), ("tiny", 1, 3.0, np.nan))
            for part, gap in (("all", 0.0), ("first half", 0.1), ("second half", -0.1))
        ]
    )  # fmt: skip
    found = StudyScoreboard(rows)
    (mean,) = found.means().to_dict("records")
    assert (mean["mae"], mean["n_studies"]) == (2.0, 2)
    assert mean["mae_se"] == pytest.approx(1.0)
    assert mean["mae_mcse"] == pytest.approx(0.1 / np.sqrt(2))
    assert mean["sign_right"] == 80.0
    assert np.isnan(mean["sign_right_se"])
    assert found.table().iloc[-1][["study", "n", "mae"]].tolist() == ["mean", 100, 2.0]


def test_a_run_goes_on_and_any_executor_gives_the_same(trials, board, short, tmp_path, monkeypatch):
    settings = {"specs": {"small": SMALL}, "out": tmp_path / "run", **SCHEME}
    with ThreadPoolExecutor(2) as pool:
        found = bm.evaluate(trials, ["small", *CLOSED], executor=pool, **settings)
    pdt.assert_frame_equal(found.rows, board.rows)
    files = sorted((tmp_path / "run" / "folds").iterdir())
    assert len(files) == 3 * 3
    for path in (files[0], files[-1]):
        path.unlink()
    ran = []

    def note(tasks):
        ran.extend((task[1].name, task[2]) for task in tasks)
        return run_studies(tasks)

    monkeypatch.setattr(held_out_studies, "run_studies", note)
    again = bm.evaluate(trials, ["small", *CLOSED], **settings)
    pdt.assert_frame_equal(again.rows, board.rows)
    assert sorted(ran) == [("experiments-alone", 0), ("small", 2)]


def test_what_cannot_be_scored_is_refused(trials, small, refusal):
    with refusal(EvaluationError, LEAVE_STUDY_OUT, "load_dataset()", "data.add"):
        bm.evaluate(small, **SCHEME)
    with refusal(EvaluationError, LEAVE_STUDY_OUT, "random", "call of its own"):
        bm.evaluate(trials, scheme=["random", LEAVE_STUDY_OUT])
    with refusal(EvaluationError, "'scale'", "full", "associations"):
        bm.evaluate(trials, ["scale"], **SCHEME)
    with refusal(EvaluationError, "'median'", *STUDY_BASELINES):
        bm.evaluate(trials, ["median"], **SCHEME)
    arms = trials.experiments.arms.query("arm == 'all'").reset_index(drop=True)
    alone = replace(trials, experiments=replace(trials.experiments, arms=arms))
    with (
        pytest.warns(UserWarning, match="experiments of the data say nothing here"),
        refusal(EvaluationError, LEAVE_STUDY_OUT, "no two arms", "Add such results"),
    ):
        bm.evaluate(alone, ["no-effect"], **SCHEME)


def test_saved_rows_come_back(board, tmp_path):
    board.save(tmp_path / "board.csv")
    again = StudyScoreboard(pd.read_csv(tmp_path / "board.csv"))
    pdt.assert_frame_equal(again.table(), board.table(), rtol=1e-4)


# --- The record -----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def data():
    return bm.load_dataset()


def test_record_is_of_these_models_and_tables(data):
    rows = bm.load_study_scoreboard().rows
    assert list(dict.fromkeys(rows["model"])) == list(STUDY_MODELS)
    assert set(rows["data_checksum"]) == {data.checksum[:12]}
    assert set(rows["spec_checksum"]) == {MODELS["full"].checksum[:12]}
    design = build_design_for(data, spec=MODELS["full"])
    pairs = build_pairs(data, design, spec=MODELS["full"])
    counts = dict(zip(pairs.studies, np.bincount(pairs.study_index).tolist(), strict=True))
    for _, own in rows.query("part == 'all'").groupby("model"):
        assert own.set_index("study")["n"].to_dict() == counts


def test_baselines_of_the_record_can_be_computed_again(data):
    again = bm.evaluate(data, CLOSED, **SCHEME).table()
    recorded = bm.load_study_scoreboard().table()
    recorded = recorded[recorded["model"].isin(CLOSED)].reset_index(drop=True)
    pdt.assert_frame_equal(again, recorded, rtol=1e-4)


def test_what_is_said_of_the_record():
    """`VALIDATION.md` says it in words; its table is printed by the command above it."""
    board = bm.load_study_scoreboard()
    means = board.means().set_index("model")
    others = means.drop(index="full")
    best = [means["mae"].idxmin(), means["log_density"].idxmax(), means["sign_right"].idxmax()]
    assert best == ["full"] * 3
    assert means["mae"].idxmax() == means["log_density"].idxmin() == "associations"
    assert means.loc["full", "coverage90"] == pytest.approx(84, abs=0.5)
    table = board.table()
    own = table.set_index(["study", "model"]).loc["deepseek-v2"]
    assert (own["n"] == 3).all()
    assert own["coverage90"].drop("no-effect").eq(0).all()
    assert own.loc["no-effect", "coverage90"] == pytest.approx(100 / 3, abs=0.01)
    full = table.query("model == 'full' and study != 'mean'")
    assert full["n"].sum() == 1163
    large = full.nlargest(4, "n")
    assert large["n"].sum() == 1020
    assert (large["coverage90"].min().round(), large["coverage90"].max().round()) == (85, 93)
    assert (large["mae"].min().round(1), large["mae"].max().round(1)) == (1.1, 1.5)
    wide = board.table().query("study != 'mean'").pivot(index="study", columns="model")
    for name in ("log_density", "mae"):
        for other in others.index:
            gap = wide[name]["full"] - wide[name][other]
            lead = abs(gap.mean()) / (gap.std() / np.sqrt(len(gap)))
            assert lead > 1.9 if other == "associations" else lead < 1.5
