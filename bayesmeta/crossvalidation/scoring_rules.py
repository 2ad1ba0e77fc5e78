"""Proper scores of predictive distributions and of point forecasts."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from bayesmeta import defaults
from bayesmeta.inference.refit import Refit
from bayesmeta.model.predictor import Array, score_distribution
from bayesmeta.model.spec import ModelSpec

Scores = dict[str, Array]
"""Of every held-out score: `estimate` in native units, `abs_error`, `crps`, `log_density`, and
`pit`, the predictive probability of a lower score; each of shape (test obs,)."""


def score_refit(refit: Refit, *, spec: ModelSpec, test: NDArray[np.bool_], seed: int) -> Scores:
    """Score the posterior predictive distribution of held-out scores.

    Parameters
    ----------
    refit
        Draws given the other scores.
    spec
        The model.
    test
        Which scores were held out, shape (obs,).
    seed
        Seed of the simulated scores behind the CRPS.

    Returns
    -------
    dict of ndarray
        The estimate is the median of the expected score. A central interval of probability p
        holds the outcome where `pit` is within p / 2 of one half.
    """
    parameters, design = refit.parameters, refit.design
    y = design.outcomes.y[test]
    law = score_distribution(parameters, design=design, spec=spec)
    density, below = law.log_density()[:, test], law.probability_below()[:, test]
    repeats = -(-defaults.PREDICTIVE_DRAWS // len(law.mu))
    simulated = [
        law.draw(int(state))[:, test]
        for state in np.random.SeedSequence(seed).generate_state(repeats)
    ]
    estimate = np.median(law.mu[:, test], axis=0)
    return {
        "estimate": estimate,
        "abs_error": np.abs(estimate - y),
        "crps": crps(np.concatenate(simulated), y=y),
        "log_density": np.logaddexp.reduce(density, axis=0) - np.log(len(density)),
        "pit": below.mean(axis=0),
    }


def score_point(estimate: Array, *, y: Array) -> Scores:
    """Score point forecasts: the CRPS of a point is its absolute error, the rest is undefined."""
    error, undefined = np.abs(estimate - y), np.full(len(y), np.nan)
    return {
        "estimate": estimate,
        "abs_error": error,
        "crps": error,
        "log_density": undefined,
        "pit": undefined,
    }


def crps(draws: Array, *, y: Array) -> Array:
    """Compute the continuous ranked probability score from simulated scores.

    The mean distance to the outcome less half the mean distance of two draws (Gneiting & Raftery
    2007, https://doi.org/10.1198/016214506000001437), the latter without the bias of pairing a
    draw with itself.

    Parameters
    ----------
    draws
        Simulated scores, shape (draw, obs).
    y
        Outcomes, shape (obs,).

    Returns
    -------
    ndarray
        Scores in the units of y, lower is better, shape (obs,).

    Examples
    --------
    >>> crps(np.array([[0.0], [2.0]]), y=np.array([1.0]))
    array([0.])
    """
    n = len(draws)
    rank = 2 * np.arange(1, n + 1) - n - 1
    spread = rank @ np.sort(draws, axis=0) / (n * (n - 1))
    return np.abs(draws - y).mean(axis=0) - spread
