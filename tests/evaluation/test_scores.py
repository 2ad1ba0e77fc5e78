"""Scores of predictive distributions against closed forms, and formulas written out by hand."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import stats

from bayesmeta.crossvalidation.scoring_rules import crps, score_point, score_refit
from bayesmeta.inference.refit import Refit
from bayesmeta.model.predictor import score_distribution
from bayesmeta.model.spec import ModelSpec, build_design_for

ROUNDING = 1e-10
"""Two orders of summation of the same terms in double precision."""

N_DRAWS = 20_000
"""Draws behind a CRPS: its Monte Carlo error is then below 0.01 standard deviations."""

CRPS_ERROR = 0.03
"""Four Monte Carlo errors, in standard deviations."""

N_SIMULATED = 80
"""Datasets simulated from the predictive."""

COVERAGE_ERROR = 0.04
"""Three Monte Carlo errors of a coverage by 80 datasets whose 47 scores move together."""

SPECS = {
    "student": ModelSpec(),
    "normal": ModelSpec(likelihood="normal"),
    "additive": ModelSpec(interactions="none", unknown_numbers="estimated"),
    "scale": ModelSpec(decisions=(), family_effects="none"),
}
OPTIONS = pytest.mark.parametrize("spec", SPECS.values(), ids=SPECS.keys())
METRICS = {"estimate", "abs_error", "crps", "log_density", "pit"}

VALUES = st.floats(-1e3, 1e3)


def crps_of_normal(y, *, mean, sd):
    """Closed form of Gneiting & Raftery 2007, section 4.2, with the sign of a loss."""
    z = (y - mean) / sd
    return sd * (z * (2 * stats.norm.cdf(z) - 1) + 2 * stats.norm.pdf(z) - 1 / np.sqrt(np.pi))


def crps_of_pairs(draws, y):
    """Mean distance to the outcome less half the mean distance of two different draws."""
    n = len(draws)
    spread = sum(abs(draws[i] - draws[j]) for i in range(n) for j in range(n))
    return sum(abs(draw - y) for draw in draws) / n - spread / (2 * n * (n - 1))


def make_refit(dataset, fit, *, train=None):
    """The draws of a fit, chains one after the other, as a refit hands them over."""
    flat = {k: v.reshape(-1, *v.shape[2:]) for k, v in fit.parameters.items()}
    design = build_design_for(dataset, spec=fit.spec, train=train)
    return Refit(parameters=flat, design=design, seconds=0.0, n_divergences=0)


def held_out_lms(dataset, *names):
    return dataset.scores["lm"].isin(names).to_numpy()


def with_outcomes(refit, y):
    """The refit with other scores to be predicted, and nothing else changed."""
    design = replace(refit.design, outcomes=replace(refit.design.outcomes, y=y))
    return replace(refit, design=design)


def laws(refit, spec, test):
    """Predictive distribution of every held-out score, one component per draw."""
    law = score_distribution(refit.parameters, design=refit.design, spec=spec)
    mu, sd = law.mu, law.sd
    mu, sd = mu[:, test], sd[:, test]
    if spec.likelihood == "normal":
        return stats.norm(mu, sd)
    return stats.t(1 + refit.parameters["nu_beyond_one"][:, None], mu, sd)


@pytest.mark.parametrize("y", [-2.5, 0.0, 0.4, 3.0])
def test_crps_of_a_normal_is_its_closed_form(y):
    mean, sd = 0.3, 1.7
    draws = np.random.default_rng(1).normal(mean, sd, (N_DRAWS, 1))
    expected = crps_of_normal(y, mean=mean, sd=sd)
    assert crps(draws, y=np.array([y])) == pytest.approx(expected, abs=CRPS_ERROR * sd)


@given(draws=arrays(float, st.integers(2, 8), elements=VALUES), y=VALUES)
def test_crps_is_the_pairwise_formula(draws, y):
    found = crps(draws[:, None], y=np.array([y]))
    np.testing.assert_allclose(found, crps_of_pairs(draws, y), atol=1e-9)


def test_crps_scores_every_column_by_its_own_outcome():
    rng = np.random.default_rng(2)
    draws, y = rng.normal(size=(7, 5)), rng.normal(size=5)
    expected = [crps_of_pairs(column, outcome) for column, outcome in zip(draws.T, y, strict=True)]
    np.testing.assert_allclose(crps(draws, y=y), expected, rtol=ROUNDING)


@given(arrays(float, 5, elements=VALUES), VALUES, st.floats(0.01, 100), VALUES)
def test_crps_has_the_units_of_the_outcome(draws, y, factor, shift):
    one = crps(draws[:, None], y=np.array([y]))
    other = crps(factor * draws[:, None] + shift, y=np.array([factor * y + shift]))
    np.testing.assert_allclose(other, factor * one, rtol=1e-6, atol=1e-6)


def test_crps_is_fair_to_few_draws():
    # Without the correction for a draw paired with itself, three draws would score 80 % worse.
    draws = np.random.default_rng(3).normal(size=(3, N_DRAWS))
    y = np.zeros(N_DRAWS)
    expected = crps_of_normal(0.0, mean=0, sd=1)
    assert crps(draws, y=y).mean() == pytest.approx(expected, abs=CRPS_ERROR)


@OPTIONS
def test_scores_of_a_refit_are_those_of_scipy(small, build_fake_fit, spec):
    test = held_out_lms(small, "bee-2", "elk-1")
    refit = make_refit(small, build_fake_fit(small, spec=spec), train=~test)
    found = score_refit(refit, spec=spec, test=test, seed=1)
    y, law = small.scores["score"].to_numpy()[test], laws(refit, spec, test)
    assert set(found) == METRICS
    assert {value.shape for value in found.values()} == {(test.sum(),)}
    np.testing.assert_allclose(found["pit"], law.cdf(y).mean(axis=0), rtol=1e-8)
    np.testing.assert_allclose(
        found["log_density"], np.log(law.pdf(y).mean(axis=0)), rtol=1e-8, atol=1e-8
    )
    middle = np.median(law.args[-2], axis=0)
    np.testing.assert_allclose(found["estimate"], middle, rtol=ROUNDING)
    np.testing.assert_allclose(found["abs_error"], np.abs(middle - y), rtol=1e-8)


@pytest.mark.parametrize("likelihood", ["student", "normal"])
def test_log_density_survives_an_outcome_far_from_every_draw(small, build_fake_fit, likelihood):
    spec = ModelSpec(likelihood=likelihood)
    test = held_out_lms(small, "ant-1")
    refit = make_refit(small, build_fake_fit(small, spec=spec))
    far = with_outcomes(refit, refit.design.outcomes.y + 1e3)
    found = score_refit(far, spec=spec, test=test, seed=1)
    assert np.isfinite(found["log_density"]).all()
    assert (found["log_density"] < -20).all()
    np.testing.assert_allclose(found["pit"], 1, atol=1e-6)


def test_crps_of_a_refit_is_that_of_its_predictive(small, build_fake_fit):
    # One draw alone: the predictive is a normal, whose CRPS is known in closed form.
    spec = ModelSpec(likelihood="normal")
    one = build_fake_fit(small, spec=spec, chains=1, draws=1)
    same = {name: values[0, 0] for name, values in one.parameters.items()}
    refit = make_refit(small, build_fake_fit(small, spec=spec, draws=600, override=same))
    test = held_out_lms(small, "ant-1", "dog-1")
    law = score_distribution(refit.parameters, design=refit.design, spec=spec)
    mu, sd = law.mu, law.sd
    mu, sd = mu[0, test], sd[0, test]
    expected = crps_of_normal(small.scores["score"].to_numpy()[test], mean=mu, sd=sd)
    found = score_refit(refit, spec=spec, test=test, seed=4)["crps"]
    # 1200 simulated scores: the spread alone has a Monte Carlo error of 0.017 sd.
    np.testing.assert_allclose(found / sd, expected / sd, atol=0.12)


def test_simulated_scores_are_those_of_the_seed(small, build_fake_fit):
    test = held_out_lms(small, "ant-1")
    refit = make_refit(small, build_fake_fit(small))
    one, same, other = (score_refit(refit, spec=ModelSpec(), test=test, seed=s) for s in (1, 1, 2))
    for name in METRICS:
        np.testing.assert_array_equal(one[name], same[name])
    assert (one["crps"] != other["crps"]).all()
    np.testing.assert_array_equal(one["pit"], other["pit"])


@OPTIONS
def test_pit_is_uniform_where_the_predictive_is_true(small, build_fake_fit, spec):
    refit = make_refit(small, build_fake_fit(small, spec=spec, chains=1, draws=300))
    everything = np.ones(len(small.scores), dtype=bool)
    outcomes = score_distribution(refit.parameters, design=refit.design, spec=spec).draw(6)
    pits = np.array(
        [
            score_refit(with_outcomes(refit, y), spec=spec, test=everything, seed=1)["pit"]
            for y in outcomes[:N_SIMULATED]
        ]
    )
    # A draw of the mixture moves all its scores together, so each score is tested alone.
    p_values = [stats.kstest(column, "uniform").pvalue for column in pits.T]
    assert min(p_values) > 0.01 / len(p_values)
    shares = [(np.abs(pits - 0.5) <= prob / 2).mean() for prob in (0.5, 0.9)]
    np.testing.assert_allclose(shares, [0.5, 0.9], atol=COVERAGE_ERROR)


def test_score_of_a_point_is_its_distance():
    estimate, y = np.array([0.2, 0.5, 0.9]), np.array([0.3, 0.5, 0.6])
    found = score_point(estimate, y=y)
    assert set(found) == METRICS
    np.testing.assert_array_equal(found["estimate"], estimate)
    np.testing.assert_allclose(found["abs_error"], [0.1, 0, 0.3], atol=ROUNDING)
    np.testing.assert_allclose(found["crps"], [0.1, 0, 0.3], atol=ROUNDING)
    assert np.isnan(found["log_density"]).all()
    assert np.isnan(found["pit"]).all()


def test_crps_of_equal_draws_is_the_score_of_a_point():
    y = np.array([0.3, 0.5])
    np.testing.assert_allclose(crps(np.full((4, 2), 0.4), y=y), [0.1, 0.1], rtol=ROUNDING)
