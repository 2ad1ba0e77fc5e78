"""Simulation-based calibration of meta-analyses, and coverage of their intervals.

Default priors depend on standard errors alone, so that truths can be drawn from them (Talts et al.
2018, https://doi.org/10.48550/arXiv.1804.06788): the rank of a truth among independent draws of its
posterior is uniform.
"""

import numpy as np
import pandas as pd
import pytest
from scipy import stats

import bayesmeta as bm
from bayesmeta.studies.exact_posterior import sample_exactly
from bayesmeta.studies.study_model import (
    StudentScores,
    build_study_design,
    derive_priors,
    effect_distribution,
)

DRAWS, BINS = 99, 10
ERRORS = np.array([0.1, 0.15, 0.2, 0.2, 0.3, 0.4, 0.5, 0.25])
"""Standard errors of the tables of the calibration."""

UNLIKELY = 1e-4
"""A smaller p value of uniform ranks is a failure: one right run in 10,000 for each quantity."""

UNITS = {"as is": 1.0, "hundredths": 0.01, "thousands": 1000.0}


def table(y, se, **columns):
    frame = pd.DataFrame({"s": range(len(y)), "y": y, "se": se, **columns})
    return bm.read_effect_sizes(frame, effect="y", se="se", study="s", moderators=list(columns))


def simulate(spec, rng):
    """A table whose truth is a draw from the prior: the truth by name, and the design."""
    x = np.linspace(1990, 2020, len(ERRORS))
    design = build_study_design(table(np.zeros(len(x)), ERRORS, year=x), spec=spec)
    priors = derive_priors(spec, design)
    inside = rng.normal(0, priors.coefficient_sds)
    tau = priors.tau_scale * abs(np.tan(np.pi * (rng.random() - 0.5)))
    if spec.tau == "half-normal":
        tau = abs(rng.normal(0, priors.tau_scale))
    mu, gamma = design.hand_back(inside)
    theta = design.columns @ inside + tau * rng.standard_normal(len(x))
    truth = {"mu": mu, "tau": tau, "gamma": gamma[0], "theta": theta[0]}
    if not spec.selection:
        return truth, table(theta + ERRORS * rng.standard_normal(len(x)), ERRORS, year=x)
    omega = np.sort(rng.random(len(spec.selection)))[::-1]
    law = effect_distribution(
        {"mu": np.array(mu), "gamma": gamma, "tau": np.array(tau), "omega": omega},
        design=design, spec=spec,
    )  # fmt: skip
    # The studies' own effects before publication are not those of the published ones.
    del truth["theta"]
    return truth | {"omega": omega[0]}, table(law.draw(rng), ERRORS, year=x)


def pick(parameters, name):
    values = parameters[name]
    return values if values.ndim == 1 else values[:, 0]


def rank(spec, n, *, change=lambda draws: draws):
    rng, ranks = np.random.default_rng(7), {}
    for _ in range(n):
        truth, data = simulate(spec, rng)
        design = build_study_design(data, spec=spec)
        found = sample_exactly(design, spec=spec, draws=DRAWS, seed=int(rng.integers(2**31)))
        for name, value in truth.items():
            draws = change(pick(found.parameters, name))
            ranks.setdefault(name, []).append(int((draws < value).sum()))
    return ranks


def p_value(ranks):
    counts = np.histogram(ranks, bins=BINS, range=(0, DRAWS + 1))[0]
    return stats.chisquare(counts).pvalue


SELECTION = bm.EffectSizeSpec(
    mu_sd=0.5, moderator_sd=0.05, tau="half-normal", tau_scale=0.3, selection=(0.025, 0.5)
)


@pytest.mark.parametrize(
    "spec,n", [(bm.EffectSizeSpec(), 300), (SELECTION, 200)], ids=["default", "selection"]
)
def test_ranks_of_truths_are_uniform(spec, n):
    for name, ranks in rank(spec, n).items():
        assert p_value(ranks) > UNLIKELY, name


def test_posteriors_that_are_too_narrow_are_noticed():
    def narrow(draws):
        return draws.mean() + 0.67 * (draws - draws.mean())

    assert p_value(rank(bm.EffectSizeSpec(), 300, change=narrow)["mu"]) < UNLIKELY


def test_published_effects_have_the_density_that_they_are_drawn_from():
    """Probabilities of lower effects are uniform, and the density integrates to one."""
    design = build_study_design(table(np.full(8, 0.3), ERRORS), spec=SELECTION)
    many = {"mu": np.full(4000, 0.1), "tau": np.full(4000, 0.2), "omega": np.full((4000, 2), 0.4)}
    law = effect_distribution(many, design=design, spec=SELECTION)
    drawn = law.draw(3)
    grid = np.linspace(-4, 4, 4001)
    for study in (0, 6):
        density = []
        for y in grid:
            here = build_study_design(table(np.full(8, y), ERRORS), spec=SELECTION)
            one = {name: values[:1] for name, values in many.items()}
            density.append(effect_distribution(one, design=here, spec=SELECTION).log_density())
        density = np.exp(np.array(density)[:, 0, study])
        assert np.trapezoid(density, grid) == pytest.approx(1, abs=2e-3)
        below = np.interp(drawn[:, study], grid, np.cumsum(density) * (grid[1] - grid[0]))
        assert stats.kstest(below, "uniform").pvalue > UNLIKELY
    assert not isinstance(law, StudentScores)


def cover(k, tau, *, unit, n, seed):
    """Share of 95 % intervals that hold the mean effect."""
    rng, held = np.random.default_rng(seed), 0
    for _ in range(n):
        se = unit * rng.uniform(0.1, 0.4, k)
        y = unit * (0.3 + tau * rng.standard_normal(k)) + se * rng.standard_normal(k)
        spec = bm.EffectSizeSpec()
        design = build_study_design(table(y, se), spec=spec)
        found = sample_exactly(design, spec=spec, draws=1000, seed=int(rng.integers(2**31)))
        low, high = np.quantile(found.parameters["mu"], [0.025, 0.975])
        held += low < 0.3 * unit < high
    return held / n


@pytest.mark.parametrize("k", [5, 10, 30])
@pytest.mark.parametrize("tau", [0.05, 1.0])
def test_intervals_cover_in_every_unit(k, tau):
    """At least 93 %, less three Monte Carlo errors of 120 tables in each of three units."""
    shares = [cover(k, tau, unit=unit, n=120, seed=5) for unit in UNITS.values()]
    assert shares[0] == pytest.approx(shares[1], abs=0.02)  # the same tables in other units
    assert np.mean(shares) > 0.93 - 3 * np.sqrt(0.93 * 0.07 / 120)


@pytest.mark.slow
@pytest.mark.parametrize("k", [5, 10, 30])
@pytest.mark.parametrize("tau", [0.05, 1.0])
def test_intervals_cover_in_many_tables(k, tau):
    assert cover(k, tau, unit=1.0, n=3000, seed=6) >= 0.93


@pytest.mark.slow
@pytest.mark.parametrize("k", [5, 10, 30])
def test_intervals_cover_as_stated_where_heterogeneity_is_drawn_from_the_prior(k):
    rng, held, n = np.random.default_rng(8), 0, 3000
    for _ in range(n):
        se = rng.uniform(0.1, 0.4, k)
        spec = bm.EffectSizeSpec()
        tau = 5 * np.median(se) * abs(np.tan(np.pi * (rng.random() - 0.5)))
        y = 0.3 + tau * rng.standard_normal(k) + se * rng.standard_normal(k)
        design = build_study_design(table(y, se), spec=spec)
        found = sample_exactly(design, spec=spec, draws=1000, seed=int(rng.integers(2**31)))
        low, high = np.quantile(found.parameters["mu"], [0.025, 0.975])
        held += low < 0.3 < high
    assert 0.93 <= held / n <= 0.97
