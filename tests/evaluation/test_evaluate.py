"""One call scores models on folds: wherever they run, whatever was stored before."""

import json
import multiprocessing
import os
import threading
import time
from concurrent.futures import BrokenExecutor, ProcessPoolExecutor, ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas.testing as pdt
import pytest

from bayesmeta import ModelSpec, defaults, evaluate, jobs
from bayesmeta.crossvalidation import folds, scoreboard
from bayesmeta.crossvalidation.folds import MODELS, Candidate, read_candidates, run_fold
from bayesmeta.crossvalidation.schemes import build_folds
from bayesmeta.errors import DataError, EvaluationError, SpecError
from bayesmeta.inference.refit import Refitter

# pandas 3.1 reads every digit by default and calls the argument that asks for it outdated; pandas
# 3.0, which is allowed too, needs it.
pytestmark = pytest.mark.filterwarnings("ignore:The 'float_precision' argument is deprecated")

SCALE = ModelSpec(decisions=(), family_effects="none", experiments="ignored")
"""The cheapest Bayesian model; it is `scale` among the models with names."""

BASELINES = ("median", "ols")
SETTINGS = {"scheme": ("random", "leave-family-out"), "seeds": 2, "progress": False}
N_FOLDS = 2 * 3 + 5

SHORT = {"chains": 2, "tune": 100, "draws": 50}
LONG = {"chains": 2, "tune": 500, "draws": 1000}
"""Of one benchmark's intercept, 2000 draws give a mean with a Monte Carlo error near 0.04 sd."""


def run_baselines(dataset, models=BASELINES, **settings):
    return evaluate(dataset, models, **{**SETTINGS, **settings})


def assert_same(board, other):
    """The same cells, to the last digit and in the same order."""
    pdt.assert_frame_equal(board.cells, other.cells, check_exact=True)
    pdt.assert_frame_equal(board.table(), other.table(), check_exact=True)


def names_in(folder):
    return sorted(path.name for path in (folder / "folds").iterdir())


def contents_of(folder):
    return {path.name: path.read_bytes() for path in (folder / "folds").iterdir()}


def refuse(*_, **__):
    raise AssertionError("a fold was computed again")


@pytest.fixture(scope="module")
def board(small):
    """Two baselines on all folds, one after the other."""
    return run_baselines(small)


@pytest.fixture
def stored(small, board, tmp_path):
    """A folder with the finished folds of the same run."""
    folder = tmp_path / "run"
    assert_same(run_baselines(small, out=folder), board)
    return folder


@pytest.fixture(scope="module")
def compilations():
    """Count how often a model is asked to be compiled, or loaded."""
    from bayesmeta.inference import refit

    compile_for, asked = refit.compile_for, []

    def count(data, spec):
        asked.append(spec)
        return compile_for(data, spec)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(refit, "compile_for", count)
        patch.setattr(folds, "_refitters", {})
        yield asked


@pytest.fixture(scope="module")
def warm(small, compilations):
    return Refitter(small, spec=SCALE)


@pytest.fixture(scope="module")
def cold(small, compilations):
    return Refitter(small, spec=SCALE, warm=False)


def test_data_of_accuracies_alone_are_refitted(small):
    accuracies = small.benchmarks[small.benchmarks["metric"] == "accuracy"].reset_index(drop=True)
    assert 0 < len(accuracies) < len(small.benchmarks)
    kept = small.scores["benchmark"].isin(accuracies["benchmark"])
    scores = small.scores[kept].reset_index(drop=True)
    refitter = Refitter(
        replace(small, benchmarks=accuracies, scores=scores), spec=SCALE, warm=False
    )
    found = refitter.refit(np.arange(len(scores)) % 3 > 0, seed=1, chains=1, tune=20, draws=10)
    assert found.parameters["alpha"].shape == (10, len(accuracies))


@pytest.fixture(scope="module")
def masks(small):
    return [fold.train for fold in build_folds(small, scheme="random", seeds=[0])]


@pytest.fixture(scope="module")
def bayesian_board(small, compilations):
    assert MODELS["scale"] == SCALE
    return evaluate(small, ["scale", "median"], seeds=1, progress=False)


def test_all_folds_of_all_models_are_scored(small, board):
    table = board.table().set_index(["scheme", "model", "benchmark"])["n"]
    assert len(table) == 2 * 2 * 4
    for (_, _, benchmark), n in table.items():
        assert n == small.counts()[benchmark]
    assert board.means()["model"].tolist() == [*BASELINES, *BASELINES]


def test_threads_give_the_same(small, board):
    with ThreadPoolExecutor(2) as pool:
        assert_same(run_baselines(small, executor=pool), board)


def test_processes_give_the_same(small, board):
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
        assert_same(run_baselines(small, executor=pool), board)


def test_order_in_which_folds_finish_does_not_matter(small, board, monkeypatch):
    finished, later_one = [], threading.Event()

    def run_late_ones_first(dataset, candidate, fold):
        if fold.index == 0:
            later_one.wait()
        finished.append(fold.index)
        if fold.index > 0:
            later_one.set()
        return run_fold(dataset, candidate, fold)

    monkeypatch.setattr(scoreboard, "run_fold", run_late_ones_first)
    with ThreadPoolExecutor(8) as pool:
        assert_same(run_baselines(small, executor=pool), board)
    assert finished != sorted(finished)


def test_few_tasks_at_once_give_the_same(small, board, monkeypatch):
    monkeypatch.setattr(jobs, "_WAITING", 2)
    with ThreadPoolExecutor(2) as pool:
        assert_same(run_baselines(small, executor=pool), board)


def test_one_model_and_scheme_may_be_given_by_name(small, board):
    one = evaluate(small, "ols", scheme="random", seeds=range(2), progress=False)
    expected = board.cells.query("model == 'ols' and scheme == 'random'").reset_index(drop=True)
    pdt.assert_frame_equal(one.cells, expected, check_exact=True)


def test_finished_folds_are_not_computed_again(small, board, stored, monkeypatch):
    assert len(names_in(stored)) == len(BASELINES) * N_FOLDS
    monkeypatch.setattr(scoreboard, "run_fold", refuse)
    assert_same(run_baselines(small, out=stored), board)


@pytest.mark.parametrize("gone", [0, 7, -1])
def test_missing_fold_alone_is_computed(small, board, stored, monkeypatch, gone):
    before, name = contents_of(stored), names_in(stored)[gone]
    (stored / "folds" / name).unlink()
    computed = []

    def run_and_note(dataset, candidate, fold):
        computed.append(f"{candidate.name}-{fold.label}.csv")
        return run_fold(dataset, candidate, fold)

    monkeypatch.setattr(scoreboard, "run_fold", run_and_note)
    assert_same(run_baselines(small, out=stored), board)
    assert computed == [name]
    after = contents_of(stored)
    assert after.keys() == before.keys()
    assert all(after[other] == before[other] for other in before if other != name)


def test_stored_folds_hold_every_digit(small, stored):
    (fold, *_) = build_folds(small, scheme="random", seeds=[0])
    keep = folds.keep_folds(stored, dataset=small, candidates=read_candidates(BASELINES))
    found = keep.read(f"ols-{fold.label}").drop(columns="seconds")
    expected = run_fold(small, Candidate("ols"), fold).drop(columns="seconds")
    pdt.assert_frame_equal(found, expected, check_exact=True, check_dtype=False)


def test_models_schemes_and_seeds_can_be_added(small, board, stored, monkeypatch):
    before = contents_of(stored)
    more = {"models": (*BASELINES, "xgboost-scale"), "scheme": (*SETTINGS["scheme"], "largest"),
            "seeds": 3}  # fmt: skip
    found = run_baselines(small, out=stored, **more)
    assert_same(found, run_baselines(small, **more))
    after = contents_of(stored)
    assert {name: after[name] for name in before} == before
    monkeypatch.setattr(scoreboard, "run_fold", refuse)
    assert_same(run_baselines(small, out=stored), board)  # and the first run is still there


def test_models_of_earlier_calls_are_remembered(small, stored):
    run_baselines(small, ["xgboost-scale"], scheme="largest", out=stored)
    manifest = json.loads((stored / "manifest.json").read_text())
    assert list(manifest["models"]) == [*BASELINES, "xgboost-scale"]
    assert_refused(small, stored, r"\(model 'ols' is peer there, ", models=["ols"],
                   specs={"ols": SCALE})  # fmt: skip


def test_results_do_not_depend_on_the_other_seeds(small, stored):
    alone = stored.with_name("alone")
    run_baselines(small, out=alone, seeds=[1], scheme="random")
    (fold, *_) = build_folds(small, scheme="random", seeds=[1])
    rows = [
        folds.keep_folds(folder, dataset=small, candidates=[Candidate("ols")])
        .read(f"ols-{fold.label}")
        .drop(columns="seconds")
        for folder in (stored, alone)
    ]
    pdt.assert_frame_equal(*rows, check_exact=True)


def assert_refused(dataset, folder, message, **settings):
    """The folder is refused and left as it is."""
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    with pytest.raises(EvaluationError, match=message) as caught:
        run_baselines(dataset, out=folder, **settings)
    assert str(folder) in str(caught.value)
    assert "\n" not in str(caught.value)
    after = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    assert after == before


def test_folder_of_other_data_is_refused(small, stored):
    other = replace(small, scores=small.scores.assign(score=0.5))
    assert_refused(other, stored, r"other data or settings \(data_checksum is .*choose another")


def test_folder_of_other_settings_is_refused(small, stored, monkeypatch):
    there = defaults.REFIT_DRAWS
    monkeypatch.setattr(defaults, "REFIT_DRAWS", 99)
    assert_refused(small, stored, rf"\(draws is {there} there, 99 now\)")


def test_folder_of_another_model_of_that_name_is_refused(small, tmp_path):
    folder = tmp_path / "run"
    folds.keep_folds(folder, dataset=small, candidates=[Candidate("mine", SCALE)])
    other = {"mine": replace(SCALE, likelihood="normal")}
    assert_refused(small, folder, r"settings \(model 'mine' is ", models=["mine"],
                   specs=other)  # fmt: skip


def test_folder_with_something_else_is_refused(small, tmp_path):
    (tmp_path / "thesis.txt").write_text("years of work")
    assert_refused(small, tmp_path, "exists and holds no results of an evaluation")


def test_file_is_no_folder(small, tmp_path):
    path = tmp_path / "results"
    path.write_text("a table")
    with pytest.raises(EvaluationError, match=r"results exists and holds no results"):
        run_baselines(small, out=path)
    assert path.read_text() == "a table"


def test_folder_that_cannot_be_made(small, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(EvaluationError, match=r"cannot be made: .*Choose a folder"):
        run_baselines(small, out=tmp_path / "file" / "run")


DAMAGED = {
    "half": lambda text: text[: len(text) // 2],
    "empty": lambda _: "",
    "no text": lambda _: "\x00\x01",
    "a list": lambda _: "[]",
    "foreign": lambda _: '{"name": "web app"}',
    "newer": lambda text: text.replace('"bayesmeta_scoreboard": 1', '"bayesmeta_scoreboard": 2'),
    "no models": lambda text: text.replace('"models": {', '"models": 3, "rest": {'),
}


@pytest.mark.parametrize("case", DAMAGED)
def test_damaged_manifest_is_refused(small, stored, case):
    manifest = stored / "manifest.json"
    manifest.write_text(DAMAGED[case](manifest.read_text()))
    assert_refused(small, stored, "manifest.json cannot be read, or is of another version")


def test_empty_folder_is_as_good_as_a_new_one(small, board, tmp_path):
    assert_same(run_baselines(small, out=str(tmp_path)), board)
    assert {path.name for path in tmp_path.iterdir()} == {"manifest.json", "folds"}


def test_unfinished_files_of_a_killed_run_are_passed_over(small, board, stored):
    # What a process leaves that is killed while it writes: a part, under another name.
    name = names_in(stored)[3]
    whole = stored / "folds" / name
    part = whole.with_name(f".{name}.4711.tmp")
    part.write_bytes(whole.read_bytes()[:40])
    whole.unlink()
    (stored / ".manifest.json.4711.tmp").write_text("{")
    assert_same(run_baselines(small, out=stored), board)
    assert whole.exists()


def test_result_that_is_cut_off_is_not_there(tmp_path):
    def write_half(path, text):
        path.write_text(text[:2])
        raise KeyboardInterrupt

    folder = jobs.Folder(tmp_path, form=jobs.Form(".txt", Path.read_text, write_half))
    with pytest.raises(KeyboardInterrupt):
        folder.write("fold", "whole")
    assert folder.read("fold") is None
    assert list(tmp_path.iterdir()) == []


def test_interrupted_run_goes_on(small, board, tmp_path, monkeypatch):
    def run_five(dataset, candidate, fold):
        if len(names_in(tmp_path)) == 5:
            raise KeyboardInterrupt
        return run_fold(dataset, candidate, fold)

    with monkeypatch.context() as patch:
        patch.setattr(scoreboard, "run_fold", run_five)
        with pytest.raises(KeyboardInterrupt):
            run_baselines(small, out=tmp_path)
    before = contents_of(tmp_path)
    assert len(before) == 5
    assert_same(run_baselines(small, out=tmp_path), board)
    after = contents_of(tmp_path)
    assert {name: after[name] for name in before} == before


def test_worker_that_dies_is_reported_and_finished_folds_are_kept(
    small, board, tmp_path, monkeypatch
):
    monkeypatch.setattr(jobs, "_WAITING", 1)  # each is stored before the next one starts
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
        submit = pool.submit

        def kill_the_fourth(function, *args):
            if len(names_in(tmp_path)) == 3:
                return submit(os._exit, 1)
            return submit(function, *args)

        monkeypatch.setattr(pool, "submit", kill_the_fourth)
        with pytest.raises(EvaluationError, match=r"worker process died .*the same command cont"):
            run_baselines(small, executor=pool, out=tmp_path)
    before = contents_of(tmp_path)
    assert len(before) == 3
    assert_same(run_baselines(small, out=tmp_path), board)
    assert contents_of(tmp_path).items() >= before.items()


def test_executor_that_is_broken_from_the_start(small, monkeypatch):
    with ThreadPoolExecutor(1) as pool:

        def break_down(*_):
            raise BrokenExecutor("no more threads")

        monkeypatch.setattr(pool, "submit", break_down)
        with pytest.raises(EvaluationError, match=r"\(BrokenExecutor: no more threads\)"):
            run_baselines(small, executor=pool)


def test_error_of_a_fold_cancels_the_others(small, monkeypatch):
    started = []

    def fail(dataset, candidate, fold):
        started.append(fold)
        raise DataError("disk full")

    monkeypatch.setattr(scoreboard, "run_fold", fail)
    with ThreadPoolExecutor(1) as pool, pytest.raises(DataError, match="disk full"):
        run_baselines(small, executor=pool)
    assert len(started) < len(BASELINES) * N_FOLDS


def test_progress_goes_to_stderr_or_nowhere(small, capsys):
    run_baselines(small, ["median"], scheme="largest")
    assert capsys.readouterr() == ("", "")
    run_baselines(small, ["median"], scheme="largest", progress=True)
    captured = capsys.readouterr()
    assert captured.out == ""
    assert "evaluating" in captured.err


WRONG = {
    "unknown model": (
        {"models": ["fulll"]},
        r"'fulll' is not known\. Did you mean 'full'\? Allowed: full, scale, scale\+family, median",
    ),
    "unknown model among your own": (
        {"models": ["minne"], "specs": {"mine": SCALE}},
        r"'minne' is not known\. Did you mean 'mine'\? Allowed: full, .*mine, median, ols",
    ),
    "model named twice": ({"models": ["ols", "ols"]}, "'ols' is named twice"),
    "no model": ({"models": []}, "no model is named"),
    "name for a file": ({"models": ["a/b"], "specs": {"a/b": SCALE}}, "'a/b' would not do as"),
    "no seeds": ({"seeds": 0}, "seeds is 0. Allowed: a whole number from 1 to 1000"),
    "too many seeds": ({"seeds": 10**20}, "seeds is 10{20}. Allowed: a whole number from 1 to"),
    "seeds too large": ({"seeds": [2**40]}, "Allowed: .* from 0 to 2147483647"),
    "empty seeds": ({"seeds": []}, r"seeds is \[\]. Allowed"),
    "negative seed": ({"seeds": [3, -1]}, r"seeds is \[3, -1\]. Allowed"),
    "broken seed": ({"seeds": [0.5]}, r"seeds is \[0\.5\]. Allowed"),
    "no scheme": ({"scheme": []}, "no score is held out: .* Allowed: one or more of random"),
    "unknown scheme": ({"scheme": "randm"}, r"'randm' is not known\. Did you mean 'random'\?"),
}


@pytest.mark.parametrize("case", WRONG)
def test_wrong_input_is_refused_before_the_work(small, tmp_path, monkeypatch, case):
    monkeypatch.setattr(scoreboard, "run_fold", refuse)
    settings, message = WRONG[case]
    folder = tmp_path / "run"
    with pytest.raises(EvaluationError, match=message):
        run_baselines(small, out=folder, **settings)
    assert not folder.exists()


def test_data_must_be_a_dataset(small):
    with pytest.raises(EvaluationError, match=r"data is 'tables'\. Allowed: a Dataset, such as"):
        evaluate("tables", BASELINES)


def test_missing_library_is_named_before_the_work(small, monkeypatch):
    import importlib.util

    find = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name: None if name == "xgboost" else find(name)
    )
    monkeypatch.setattr(scoreboard, "run_fold", refuse)
    with pytest.raises(EvaluationError, match=r"need xgboost.* install bayesmeta\[baselines\]"):
        run_baselines(small)
    assert [c.name for c in read_candidates(["full"])] == ["full"]  # needs no baselines


def test_spec_files_are_models_called_by_their_names(tmp_path):
    path = tmp_path / "mine.toml"
    path.write_text('decisions = []\nfamily_effects = "none"\n')
    mine = replace(SCALE, experiments="included")
    found = read_candidates([str(path), "full"])
    assert found == [Candidate("mine", mine), Candidate("full", ModelSpec())]
    with pytest.raises(EvaluationError, match="'mine' is named twice"):
        read_candidates([str(path), "mine"], specs={"mine": SCALE})
    with pytest.raises(SpecError, match="nowhere"):
        read_candidates([str(tmp_path / "nowhere.toml")])


def test_own_specs_go_before_models_with_names():
    own = replace(SCALE, likelihood="normal")
    assert read_candidates(["scale"], specs={"scale": own}) == [Candidate("scale", own)]


def test_model_is_compiled_once_whichever_thread_asks_first(small, monkeypatch):
    built = []

    def build(dataset, *, spec):
        time.sleep(0.2)
        built.append(spec)
        return object()

    monkeypatch.setattr(folds, "_refitters", {})
    monkeypatch.setattr(folds, "Refitter", build)
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda _: folds.find_refitter(small, spec=SCALE), range(8)))
    assert built == [SCALE]
    assert len(set(map(id, found))) == 1


def test_few_compiled_models_are_kept(small, monkeypatch):
    specs = [replace(SCALE, decisions=decisions) for decisions in
             ((), ("norm",), ("attention",), ("block",), ("biases",), ("activation",))]  # fmt: skip
    monkeypatch.setattr(folds, "_refitters", {})
    monkeypatch.setattr(folds, "Refitter", lambda _, spec: spec)
    assert [folds.find_refitter(small, spec=spec) for spec in specs] == specs
    assert list(folds._refitters.values()) == specs[-folds._KEPT_REFITTERS :]


def test_bayesian_model_is_scored_with_its_intervals(small, bayesian_board):
    table = bayesian_board.table().query("model == 'scale'")
    scored = table[["mae", "coverage50", "coverage90", "crps", "log_density"]]
    assert np.isfinite(scored).all(axis=None)
    assert (table["coverage50"] <= table["coverage90"]).all()
    assert (table["crps"] < table["mae"]).all()  # a sensible distribution beats its own median


def test_slopes_of_scale_beat_the_median(small):
    """The scores rise along a straight line: twelve lms tell no surface beyond it."""
    specs = {"slopes": replace(SCALE, interactions="none")}
    board = evaluate(small, ["slopes", "median"], specs=specs, seeds=1, progress=False)
    means = board.means().set_index("model")
    assert means.loc["slopes", "mae"] < means.loc["median", "mae"]


def test_bayesian_model_gives_the_same_in_threads_and_from_a_folder(
    small, bayesian_board, tmp_path, monkeypatch
):
    with ThreadPoolExecutor(2) as pool:
        found = evaluate(
            small, ["scale", "median"], seeds=1, executor=pool, out=tmp_path, progress=False
        )
    assert_same(found, bayesian_board)
    (tmp_path / "folds" / "scale-random-000-001.csv").unlink()
    again = evaluate(small, ["scale", "median"], seeds=1, out=tmp_path, progress=False)
    assert_same(again, bayesian_board)
    monkeypatch.setattr(scoreboard, "run_fold", refuse)
    again = evaluate(small, ["scale", "median"], seeds=1, out=tmp_path, progress=False)
    assert_same(again, bayesian_board)


def test_folds_of_a_model_share_one_compilation(small, bayesian_board, compilations):
    before = len(compilations)
    evaluate(small, "scale", scheme="largest", progress=False)
    evaluate(small, ["scale"], specs={"mine": SCALE}, scheme="largest", progress=False)
    assert len(compilations) == before


@pytest.mark.parametrize("kind", ["warm", "cold"])
def test_refit_depends_on_its_seed_and_scores_only(request, masks, kind):
    refitter = request.getfixturevalue(kind)
    first = refitter.refit(masks[0], seed=5, **SHORT)
    others = [refitter.refit(masks[1], seed=5, **SHORT), refitter.refit(masks[0], seed=6, **SHORT)]
    again = refitter.refit(masks[0], seed=5, **SHORT)
    for name, draws in first.parameters.items():
        np.testing.assert_array_equal(draws, again.parameters[name])
        for other in others:
            assert (draws != other.parameters[name]).any()


@pytest.mark.parametrize("kind", ["warm", "cold"])
def test_refit_hands_over_draws_and_what_made_them(request, small, masks, list_dims, kind):
    refit = request.getfixturevalue(kind).refit(masks[0], seed=1, **SHORT)
    np.testing.assert_array_equal(refit.design.outcomes.train, masks[0])
    assert type(refit.n_divergences) is int
    assert 0 <= refit.n_divergences <= 100
    assert refit.seconds > 0
    dims = list_dims(refit.design, SCALE)
    assert refit.parameters.keys() == dims.keys()
    for name, draws in refit.parameters.items():
        expected = [len(refit.design.coords[dim]) for dim in dims[name]]
        assert draws.shape == (100, *expected), name
        assert np.isfinite(draws).all(), name


def test_warm_and_cold_refits_agree(warm, cold, masks):
    # The long run that warm starts come from has seen the held-out scores; the draws have not.
    one, other = (refitter.refit(masks[0], seed=3, **LONG) for refitter in (warm, cold))
    for name in ("alpha", "kappa", "sigma"):
        a, b = one.parameters[name], other.parameters[name]
        np.testing.assert_allclose((a.mean(axis=0) - b.mean(axis=0)) / b.std(axis=0), 0, atol=0.25)
        np.testing.assert_allclose(a.std(axis=0) / b.std(axis=0), 1, atol=0.25)


def test_refit_learns_from_the_training_scores(small, cold, masks):
    # Without a score of `puzzles` its intercept is what the prior says, and far wider.
    without = (small.scores["benchmark"] != "puzzles").to_numpy()
    b = small.benchmarks["benchmark"].tolist().index("puzzles")
    spread = [
        cold.refit(train, seed=2, **SHORT).parameters["alpha"][:, b].std()
        for train in (masks[0], without)
    ]
    assert spread[1] > 2 * spread[0]
