"""The scales of counts come back from the sampler, apart from what chance alone adds."""

from dataclasses import replace

import numpy as np
import pytest

from bayesmeta import ModelSpec, Priors
from bayesmeta.inference import fit
from bayesmeta.model import build_design_for, simulate_scores

SPEC = ModelSpec(
    decisions=(), interactions="none", family_effects="none", likelihood="beta-binomial",
    priors=Priors(sigma_score_log_sd=1.0),
)  # fmt: skip
SETTINGS = {"draws": 300, "tune": 300, "chains": 2, "cores": 1, "seed": 5, "progress": False}

ON_SCORE = 0.03
"""Residual on the score scale, far from the centre of its prior, 0.008."""

LEVEL = 0.99
"""Each of the intervals holds its truth in all but one of a hundred datasets."""


@pytest.fixture(scope="module")
def counted_only(bundled):
    """The real lms on the benchmarks with exact counts, with counts drawn from the model."""
    benchmarks = bundled.benchmarks[
        bundled.benchmarks["benchmark"].isin(["arc_challenge", "hellaswag", "winogrande"])
    ].reset_index(drop=True)
    scores = bundled.scores[bundled.scores["benchmark"].isin(benchmarks["benchmark"])]
    data = replace(bundled, benchmarks=benchmarks, scores=scores.reset_index(drop=True))
    design = build_design_for(data, spec=SPEC)
    truth = {
        "alpha": np.zeros(3),
        "kappa": np.array([[0.6, 0.35, 0.05, 0.1]] * 3),
        "sigma": np.full(3, 0.02),
        "rho_lm": np.array(0.5),
        "v": np.random.default_rng(3).normal(size=len(design.lms)),
        "sigma_score": np.array(ON_SCORE),
        "nu_beyond_one": np.array(20.0),
    }
    drawn = simulate_scores(truth, design=design, spec=SPEC, seed=4)
    return replace(data, scores=data.scores.assign(score=drawn))


@pytest.fixture(scope="module")
def on_score(counted_only):
    """Draws of the residual standard deviation at mid-range on the score scale, by benchmark."""
    found = fit(counted_only, SPEC, **SETTINGS)
    assert found.design.outcomes.is_count.all()
    draws = found.parameters
    slope = (1 - found.design.outcomes.floor) / 4
    latent = draws["sigma"] * np.sqrt(1 - draws["rho_lm"])[..., None] * slope
    return np.sqrt(draws["sigma_score"][..., None] ** 2 + latent**2).reshape(-1, 3)


def test_residual_of_counts_is_recovered(on_score):
    low, high = np.quantile(on_score, [(1 - LEVEL) / 2, (1 + LEVEL) / 2], axis=0)
    assert ((low < ON_SCORE) & (high > ON_SCORE)).all()


def test_residual_of_counts_is_told_from_half_and_twice_as_much(on_score):
    low, high = np.quantile(on_score, [(1 - LEVEL) / 2, (1 + LEVEL) / 2], axis=0)
    assert (low > ON_SCORE / 2).all()
    assert (high < ON_SCORE * 2).all()
