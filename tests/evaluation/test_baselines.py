"""Baselines: published figures come back, held-out scores stay unseen, odd facts break nothing."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

import bayesmeta as bm
from bayesmeta.crossvalidation.baselines import (
    BASELINES,
    _features,
    _list_numbers,
    _list_words,
    predict_baseline,
)
from bayesmeta.crossvalidation.folds import Candidate, run_fold
from bayesmeta.crossvalidation.schemes import build_folds
from bayesmeta.data.load import load_dataset

ANY_BASELINE = pytest.mark.parametrize("baseline", BASELINES)

ROUNDING = 1e-9
"""Two ways of solving the same least-squares problem in double precision."""

PRINTED = 0.005
"""Half a digit of figures given with two decimals."""

CLOSE = 0.05
"""Points within which a figure counts as reproduced where its data preparation is not ours."""

# Mean absolute errors in points of the paper's trees (depth 3, rate 0.1, 100 trees), which know
# size and data, on lm families that they have not seen; facts as published.
UNSEEN_BY_BENCHMARK = {
    "anli": 6.75, "arc_challenge": 5.39, "gsm8k": 7.01, "hellaswag": 4.45, "humaneval": 10.55,
    "lambada": 11.43, "logiqa2": 6.54, "mathqa": 2.83, "mmlu_0shot": 5.76, "mmlu_5shot": 5.22,
    "truthfulqa": 3.20, "winogrande": 3.62, "xnli": 6.05,
}  # fmt: skip

# The same averaged over benchmarks, for the trees that know size and data, and all facts. All
# eight take a minute and a half, so that half of them are run on demand.
UNSEEN = [
    pytest.param("as-published", "xgboost-all", 5.44),
    # Published as 5.27 before CodeGen had the tokens that its stages saw.
    pytest.param("corrected", "xgboost-scale", 5.43),
    pytest.param("corrected", "xgboost-all", 4.68, marks=pytest.mark.slow),
]
RANDOM = [
    pytest.param("as-published", "xgboost-scale", 4.76),
    pytest.param("as-published", "xgboost-all", 4.47, marks=pytest.mark.slow),
    pytest.param("corrected", "xgboost-scale", 4.17, marks=pytest.mark.slow),
    pytest.param("corrected", "xgboost-all", 3.85, marks=pytest.mark.slow),
]
PUBLISHED_SEEDS = range(10)


def mean_errors(version, baseline, *, scheme, seeds=(0,)):
    """Mean absolute error in points by seed (rows) and benchmark (columns)."""
    data = load_dataset(version=version)
    folds = build_folds(data, scheme=scheme, seeds=seeds)
    with ThreadPoolExecutor(2) as pool:
        rows = pd.concat(pool.map(lambda fold: run_fold(data, Candidate(baseline), fold), folds))
    return 100 * rows.groupby(["seed", "benchmark"])["abs_error"].mean().unstack()


def predict(dataset, baseline, test):
    return predict_baseline(baseline, dataset, train=~test, test=test)


def held_out_lms(dataset, *names):
    return dataset.scores["lm"].isin(names).to_numpy()


def change_facts(dataset, lm, **facts):
    lms = dataset.lms.copy()
    for column, value in facts.items():
        lms.loc[lms["lm"] == lm, column] = value
    return replace(dataset, lms=lms)


def test_published_error_on_unseen_families_by_benchmark():
    found = mean_errors("as-published", "xgboost-scale", scheme="leave-family-out").loc[0]
    assert found.to_dict() == {
        name: pytest.approx(value, abs=PRINTED) for name, value in UNSEEN_BY_BENCHMARK.items()
    }
    assert found.mean() == pytest.approx(6.06, abs=PRINTED)


@pytest.mark.parametrize("version, baseline, published", UNSEEN)
def test_published_error_on_unseen_families(version, baseline, published):
    found = mean_errors(version, baseline, scheme="leave-family-out").loc[0].mean()
    assert found == pytest.approx(published, abs=CLOSE)


@pytest.mark.parametrize("version, baseline, published", RANDOM)
def test_published_error_on_random_splits(version, baseline, published):
    found = mean_errors(version, baseline, scheme="random", seeds=PUBLISHED_SEEDS).mean(axis=1)
    assert found.mean() == pytest.approx(published, abs=found.std())


def test_median_is_that_of_the_training_scores(bundled):
    (fold,) = build_folds(bundled, scheme="largest", seeds=[0])
    scores = bundled.scores
    medians = scores[fold.train].groupby("benchmark")["score"].median()
    found = predict_baseline("median", bundled, train=fold.train, test=fold.test)
    np.testing.assert_array_equal(found, medians.loc[scores.loc[fold.test, "benchmark"]])


def test_least_squares_are_those_of_numpy(bundled):
    (fold,) = build_folds(bundled, scheme="largest", seeds=[0])
    lms = bundled.lms.set_index("lm").loc[bundled.scores["lm"]]
    size, data = (np.log(lms[name].to_numpy(float)) for name in ("n_params", "n_tokens"))
    columns = np.column_stack([np.ones(len(lms)), size, data, size * data])
    y, expected = bundled.scores["score"].to_numpy(), np.full(len(lms), np.nan)
    for name in bundled.benchmarks["benchmark"]:
        own = (bundled.scores["benchmark"] == name).to_numpy()
        learn = own & fold.train
        weights = np.linalg.lstsq(columns[learn], y[learn], rcond=None)[0]
        expected[own] = columns[own] @ weights
    found = predict_baseline("ols", bundled, train=fold.train, test=fold.test)
    np.testing.assert_allclose(found, expected[fold.test], rtol=ROUNDING)


@ANY_BASELINE
@pytest.mark.parametrize("scheme", ["leave-family-out", "leave-benchmark-out"])
def test_held_out_scores_change_no_prediction(small, baseline, scheme):
    rng = np.random.default_rng(1)
    for fold in build_folds(small, scheme=scheme, seeds=[0])[:3]:
        scores = small.scores.copy()
        scores.loc[fold.test, "score"] = rng.uniform(0.1, 0.9, fold.test.sum())
        found, again = (
            predict_baseline(baseline, data, train=fold.train, test=fold.test)
            for data in (small, replace(small, scores=scores))
        )
        np.testing.assert_array_equal(found, again)


@ANY_BASELINE
def test_training_scores_do_change_predictions(small, baseline):
    test = held_out_lms(small, "bee-2")
    scores = small.scores.assign(score=small.scores["score"].where(test, 0.5))
    found = predict(replace(small, scores=scores), baseline, test)
    np.testing.assert_allclose(found, 0.5, atol=1e-6)  # trees count in single precision
    assert (np.abs(predict(small, baseline, test) - 0.5) > 1e-3).any()


@ANY_BASELINE
def test_every_benchmark_is_a_regression_of_its_own(small, baseline):
    test = held_out_lms(small, "bee-2", "cat-1")
    other = small.scores["score"].where(small.scores["benchmark"] == "reading", 0.3)
    changed = replace(small, scores=small.scores.assign(score=other))
    reading = (small.scores.loc[test, "benchmark"] == "reading").to_numpy()
    np.testing.assert_array_equal(
        predict(small, baseline, test)[reading], predict(changed, baseline, test)[reading]
    )


@ANY_BASELINE
def test_every_split_of_facts_with_gaps_is_predicted(small, baseline):
    # `cat` has no mix, `elk` no position embedding, nobody a width, and all have one norm.
    for fold in build_folds(small, scheme="leave-family-out", seeds=[0]):
        found = predict_baseline(baseline, small, train=fold.train, test=fold.test)
        assert found.shape == (fold.test.sum(),)
        assert np.isfinite(found).all()


@ANY_BASELINE
def test_one_score_to_learn_from_is_enough(small, baseline):
    train = held_out_lms(small, "ant-1")
    found = predict_baseline(baseline, small, train=train, test=~train)
    only = small.scores[train].set_index("benchmark")["score"]
    np.testing.assert_allclose(found, only.loc[small.scores.loc[~train, "benchmark"]], atol=1e-6)


@ANY_BASELINE
def test_level_that_was_not_learned_counts_as_not_recorded(small, baseline):
    test = held_out_lms(small, "bee-2")
    unseen = change_facts(small, "bee-2", attention="mqa", position_embedding="alibi")
    blank = change_facts(small, "bee-2", attention=None, position_embedding=None)
    np.testing.assert_array_equal(predict(unseen, baseline, test), predict(blank, baseline, test))


@ANY_BASELINE
def test_family_that_was_not_learned_counts_as_none(small, baseline):
    test = held_out_lms(small, "ant-1", "ant-2", "ant-3")
    renamed = replace(small, lms=small.lms.replace({"lm_family": {"ant": "fox"}}))
    np.testing.assert_array_equal(predict(small, baseline, test), predict(renamed, baseline, test))


KNOWS_FACTS = {"xgboost-all": "code_share", "scale+family-dummies": "lm_family"}


@ANY_BASELINE
def test_baselines_know_what_their_names_say(bundled, baseline):
    (fold,) = build_folds(bundled, scheme="largest", seeds=[0])
    turned = bundled.lms.iloc[::-1].reset_index(drop=True)
    facts = bundled.lms.columns.difference(["lm", "lm_family", "n_params", "n_tokens"])
    found = {}
    for name, columns in (("code_share", list(facts)), ("lm_family", ["lm_family"])):
        changed = replace(bundled, lms=bundled.lms.assign(**turned[columns]))
        one, other = (
            predict_baseline(baseline, data, train=fold.train, test=fold.test)
            for data in (bundled, changed)
        )
        found[name] = (one != other).any()
    assert found == {name: KNOWS_FACTS.get(baseline) == name for name in found}


def test_trees_see_declared_decisions(small):
    declared = [bm.Decision("depth", "number"), bm.Decision("optimizer", "categorical")]
    n = len(small.lms)
    lms = small.lms.assign(depth=np.arange(1.0, n + 1), optimizer=["adamw", "muon"] * (n // 2))
    features = _features(replace(small, lms=lms, decisions=declared))
    assert _list_numbers(features)[-1] == "depth"
    assert _list_words(features)[-1] == "optimizer"
    assert "depth" not in _features(small)
