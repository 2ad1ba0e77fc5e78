"""A graph compiled for all scores and given a fold's data is the graph built for that fold."""

from dataclasses import replace

import numpy as np
import pytest

from bayesmeta.crossvalidation.schemes import build_folds
from bayesmeta.design.facts import training_data
from bayesmeta.model.blocks import build_model
from bayesmeta.model.predictor import score_distribution
from bayesmeta.model.spec import ModelSpec, build_design_for

ROUNDING = 1e-8
"""Two orders of summation of the same terms in double precision."""

QUICK_COMPILE = "FAST_COMPILE"
"""A graph that is evaluated a few times is not worth machine code."""

N_POINTS = 3

OPTIONS = pytest.mark.specs(
    "default", "no decisions", "random families", "no families", "within-between", "additive",
    "estimated", "additive and estimated", "normal", "no covariates", "law", "no pooling",
    "complete pooling",
)  # fmt: skip


@pytest.fixture(scope="module")
def low(small):
    """The small dataset with scores that a split holds out, so that what follows from them moves.

    One lies below chance, and moves a floor.
    """
    scores, test = small.scores.copy(), ~splits_of(small)[0]
    scores.loc[np.flatnonzero(test & (scores["benchmark"] == "puzzles"))[0], "score"] = 0.4
    return replace(small, scores=scores)


def splits_of(dataset):
    """Without some lms, without a part of a benchmark, and without a whole benchmark."""
    schemes = ("random", "leave-benchmark-out")
    masks = [build_folds(dataset, scheme=name, seeds=[1])[0].train for name in schemes]
    return [*masks, (dataset.scores["benchmark"] != "puzzles").to_numpy()]


def compile_densities(model):
    """Log density of the prior and of the scores, and the named values, at a point."""
    # One call for both takes half the time. Their sum would be too long for QUICK_COMPILE.
    variables, n_scores = [*model.observed_RVs, *model.free_RVs], len(model.observed_RVs)
    parts = model.logp(vars=variables, sum=False, jacobian=False)
    named = [v for v in model.unobserved_value_vars if not str(v.name).endswith("__")]
    function = model.compile_fn([*parts, *named], inputs=model.value_vars, mode=QUICK_COMPILE)
    names = [str(v.name) for v in named]

    def evaluate(point):
        found = function(point)
        densities, values = found[: len(parts)], found[len(parts) :]
        scores, prior = (
            sum(part.sum() for part in some)
            for some in (densities[:n_scores], densities[n_scores:])
        )
        return prior, scores, dict(zip(names, values, strict=True))

    return evaluate


def log_likelihood(values, *, design, spec):
    """By numpy, of the scores learned from."""
    found = score_distribution(values, design=design, spec=spec).log_density()
    return found[design.outcomes.train]


def fixed_points(model):
    rng = np.random.default_rng(7)
    start = model.initial_point()
    return [
        {name: value + rng.normal(0, 0.3, np.shape(value)) for name, value in start.items()}
        for _ in range(N_POINTS)
    ]


@OPTIONS
def test_graph_given_the_data_of_a_fold_is_the_graph_of_that_fold(low, spec):
    model = build_model(build_design_for(low, spec=spec), spec=spec)
    whole, points = compile_densities(model), fixed_points(model)
    priors = [whole(point)[0] for point in points]
    for train in splits_of(low):
        design = build_design_for(low, spec=spec, train=train)
        fresh = compile_densities(build_model(design, spec=spec))
        for name, values in training_data(design).items():
            model.set_data(name, values)
        for point, prior in zip(points, priors, strict=True):
            found_prior, found, values = whole(point)
            fresh_prior, expected, _ = fresh(point)
            np.testing.assert_allclose(found, expected, rtol=ROUNDING)
            by_numpy = log_likelihood(values, design=design, spec=spec)
            np.testing.assert_allclose(found, by_numpy.sum(), rtol=ROUNDING)
            np.testing.assert_allclose([found_prior, fresh_prior], prior, rtol=ROUNDING)


@pytest.mark.parametrize(
    "options",
    [{}, {"scaling": "chinchilla"}],
    ids=str,
)
def test_splits_move_everything_that_a_fold_may_change(low, options):
    spec = ModelSpec(**options)
    whole = training_data(build_design_for(low, spec=spec))
    part = training_data(build_design_for(low, spec=spec, train=splits_of(low)[0]))
    for name, values in whole.items():
        assert not np.array_equal(values, part[name]), name


def test_folds_change_the_log_density_of_scores_that_both_learn_from(low):
    # The probe works: floors, centres and the projection move with the scores learned from.
    spec = ModelSpec()
    one, other = (splits_of(low)[k] for k in (0, 1))
    densities = []
    for train in (one, other):
        design = build_design_for(low, spec=spec, train=train)
        model = build_model(design, spec=spec)
        density = np.full(len(train), np.nan)
        values = compile_densities(model)(fixed_points(model)[0])[2]
        density[train] = log_likelihood(values, design=design, spec=spec)
        densities.append(density)
    both = one & other
    assert both.sum() > 10
    assert (densities[0] != densities[1])[both].all()


def test_everything_that_a_fold_changes_is_data_of_the_graph(low):
    spec = ModelSpec()
    design = build_design_for(low, spec=spec)
    model = build_model(design, spec=spec)
    names = {variable.name for variable in model.data_vars}
    assert names == set(training_data(design))
    for name, values in training_data(design).items():
        np.testing.assert_array_equal(model[name].get_value(), values)
