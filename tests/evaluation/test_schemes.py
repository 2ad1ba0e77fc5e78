"""Folds: who is held out together, how often, and what is refused."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from sklearn.model_selection import KFold

from bayesmeta.crossvalidation.schemes import SCHEMES, build_folds
from bayesmeta.data.load import load_dataset
from bayesmeta.errors import EvaluationError

SEEDS = (0, 1, 17)
N_LARGEST = 5
N_FAMILIES = {"as-published": 33, "corrected": 32}  # an audit left one without a score
DATASETS = pytest.mark.parametrize("name", ["bundled", "small"])
BY_CHANCE = pytest.mark.parametrize("scheme", ["random", "leave-benchmark-out"])


@pytest.fixture
def dataset(request, name):
    """The dataset of that name."""
    return request.getfixturevalue(name)


def lms_of(dataset, rows):
    return set(dataset.scores.loc[rows, "lm"])


def times_held_out(folds):
    return np.sum([fold.test for fold in folds], axis=0)


def keep_rows(dataset, wanted):
    """The dataset with some of its scores, and the lms and benchmarks that these name."""
    scores = dataset.scores[np.asarray(wanted)].reset_index(drop=True)
    lms = dataset.lms[dataset.lms["lm"].isin(scores["lm"])].reset_index(drop=True)
    return replace(dataset, scores=scores, lms=lms)


@DATASETS
@pytest.mark.parametrize("seed", SEEDS)
def test_random_folds_are_those_of_scikit_learn(dataset, seed):
    names = np.sort(dataset.lms["lm"].to_numpy(str))
    splits = KFold(3, shuffle=True, random_state=seed).split(names)
    folds = build_folds(dataset, scheme="random", seeds=[seed])
    for fold, (_, held_out) in zip(folds, splits, strict=True):
        expected = dataset.scores["lm"].isin(names[held_out])
        np.testing.assert_array_equal(fold.test, expected)
        np.testing.assert_array_equal(fold.train, ~expected)


@DATASETS
@pytest.mark.parametrize("scheme", ["random", "leave-family-out", "largest"])
def test_lm_leaves_all_benchmarks_at_once(dataset, scheme):
    for fold in build_folds(dataset, scheme=scheme, seeds=SEEDS):
        assert not lms_of(dataset, fold.train) & lms_of(dataset, fold.test)


@DATASETS
@pytest.mark.parametrize("scheme", ["random", "leave-family-out", "leave-benchmark-out"])
def test_every_score_is_held_out_once_per_seed(dataset, scheme):
    folds = build_folds(dataset, scheme=scheme, seeds=SEEDS)
    for seed in {fold.seed for fold in folds}:
        own = [fold for fold in folds if fold.seed == seed]
        np.testing.assert_array_equal(times_held_out(own), 1)


@DATASETS
@pytest.mark.parametrize("scheme", SCHEMES)
def test_train_and_test_are_disjoint_and_not_empty(dataset, scheme):
    for fold in build_folds(dataset, scheme=scheme, seeds=SEEDS):
        assert fold.train.shape == fold.test.shape == (len(dataset.scores),)
        assert fold.train.dtype == fold.test.dtype == bool
        assert not (fold.train & fold.test).any()
        assert fold.train.any()
        assert fold.test.any()


@pytest.mark.parametrize("version", N_FAMILIES)
def test_leave_family_out_holds_out_one_family_whole(version):
    data = load_dataset(version=version)
    family = data.scores["lm"].map(data.lms.set_index("lm")["lm_family"])
    folds = build_folds(data, scheme="leave-family-out", seeds=range(5))
    assert len(folds) == family.nunique() == N_FAMILIES[version]
    for fold in folds:
        (name,) = set(family[fold.test])
        assert name not in set(family[fold.train])
    assert {fold.seed for fold in folds} == {0}


@DATASETS
def test_largest_holds_out_the_lms_with_most_parameters(dataset):
    (fold,) = build_folds(dataset, scheme="largest", seeds=range(5))
    size = dataset.lms.set_index("lm")["n_params"]
    held_out = lms_of(dataset, fold.test)
    assert len(held_out) == N_LARGEST
    assert size[list(held_out)].min() >= size.drop(list(held_out)).max()
    assert fold.seed == 0


def test_largest_settles_ties_the_same_way_whatever_the_order(small):
    tied = replace(small, lms=small.lms.assign(n_params=7_000_000_000))
    turned = replace(tied, lms=tied.lms.iloc[::-1].reset_index(drop=True))
    (one,), (other,) = (build_folds(d, scheme="largest", seeds=[0]) for d in (tied, turned))
    np.testing.assert_array_equal(one.test, other.test)
    assert len(lms_of(tied, one.test)) == N_LARGEST


@DATASETS
def test_leave_benchmark_out_holds_out_half_the_lms_of_one_benchmark(dataset):
    counts = dataset.counts()
    folds = build_folds(dataset, scheme="leave-benchmark-out", seeds=SEEDS)
    assert len(folds) == len(SEEDS) * 2 * len(counts)
    for fold in folds:
        (name,) = set(dataset.scores.loc[fold.test, "benchmark"])
        assert abs(fold.test.sum() - counts[name] / 2) <= 0.5
        np.testing.assert_array_equal(fold.train, ~fold.test)


@BY_CHANCE
def test_same_seed_gives_the_same_folds_and_another_seed_others(bundled, scheme):
    one, same, other = (build_folds(bundled, scheme=scheme, seeds=[s]) for s in (3, 3, 4))
    for a, b, c in zip(one, same, other, strict=True):
        np.testing.assert_array_equal(a.test, b.test)
        assert (a.test != c.test).any()


@BY_CHANCE
def test_folds_of_a_seed_do_not_depend_on_the_other_seeds(bundled, scheme):
    alone = build_folds(bundled, scheme=scheme, seeds=[5])
    among = [f for f in build_folds(bundled, scheme=scheme, seeds=[2, 5, 9]) if f.seed == 5]
    for a, b in zip(alone, among, strict=True):
        np.testing.assert_array_equal(a.test, b.test)
        assert a.index == b.index


@BY_CHANCE
def test_folds_do_not_depend_on_scores(small, scheme):
    better = replace(small, scores=small.scores.assign(score=0.6))
    folds = (build_folds(data, scheme=scheme, seeds=[1]) for data in (small, better))
    for a, b in zip(*folds, strict=True):
        np.testing.assert_array_equal(a.test, b.test)


def test_labels_are_different_and_do_for_files(small):
    folds = [f for name in SCHEMES for f in build_folds(small, scheme=name, seeds=range(12))]
    labels = [fold.label for fold in folds]
    assert len(set(labels)) == len(labels)
    assert all(label.replace("-", "").isalnum() for label in labels)


def test_benchmark_without_a_score_to_learn_from_is_on_neither_side(small):
    ant = small.scores["lm"].str.startswith("ant")
    only_ant = keep_rows(small, ant | (small.scores["benchmark"] != "puzzles"))
    puzzles = (only_ant.scores["benchmark"] == "puzzles").to_numpy()
    folds = build_folds(only_ant, scheme="leave-family-out", seeds=[0])
    assert len(folds) == 5
    first, others = folds[0], folds[1:]
    assert lms_of(only_ant, first.test) == {"ant-1", "ant-2", "ant-3"}
    assert not (first.train | first.test)[puzzles].any()
    assert (first.train | first.test)[~puzzles].all()
    assert all(fold.train[puzzles].all() for fold in others)


def test_benchmark_with_a_single_score_is_never_held_out(small):
    single = (small.scores["lm"] == "ant-1") | (small.scores["benchmark"] != "puzzles")
    data = keep_rows(small, single)
    folds = build_folds(data, scheme="leave-benchmark-out", seeds=[0])
    puzzles = (data.scores["benchmark"] == "puzzles").to_numpy()
    assert times_held_out(folds)[puzzles] == 0
    np.testing.assert_array_equal(times_held_out(folds)[~puzzles], 1)
    assert len({fold.index for fold in folds}) == len(folds) == 6


def test_unknown_scheme(small, refusal):
    with refusal(
        EvaluationError,
        "'leave-famly-out'",
        "'leave-family-out'",
        "random, leave-family-out, largest, leave-benchmark-out",
    ):
        build_folds(small, scheme="leave-famly-out", seeds=[0])


NOTHING_LEFT = {
    "leave-family-out": ["ant-1", "ant-2", "ant-3"],
    "largest": ["ant-1", "bee-1", "cat-1", "dog-1", "elk-1"],
    "random": ["ant-1"],
}


@pytest.mark.parametrize("scheme", NOTHING_LEFT)
def test_scheme_that_leaves_nothing_to_learn_from(small, scheme):
    few = keep_rows(small, small.scores["lm"].isin(NOTHING_LEFT[scheme]))
    with pytest.raises(EvaluationError) as caught:
        build_folds(few, scheme=scheme, seeds=[0])
    message = str(caught.value)
    assert message.startswith(f"scheme '{scheme}' leaves no scores to learn from in fold 0")
    assert f"{len(few.lms)} lms" in message
    assert "Allowed: " in message
    assert "\n" not in message


def test_two_lms_make_two_random_folds(small):
    few = keep_rows(small, small.scores["lm"].isin(["ant-1", "bee-1"]))
    folds = build_folds(few, scheme="random", seeds=[0])
    assert [fold.index for fold in folds] == [0, 1]
    assert pd.Series(times_held_out(folds)).eq(1).all()
