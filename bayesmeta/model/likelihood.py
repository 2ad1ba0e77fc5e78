"""The likelihood of the scores as blocks of the PyMC model."""

# PyTensor types its results as unions without arithmetic, so these three rules say nothing here.
# pyright: reportAttributeAccessIssue=false, reportOperatorIssue=false, reportIndexIssue=false
from __future__ import annotations

from typing import Any

import numpy as np
import pymc as pm
import pytensor.tensor as pt

from bayesmeta.design.facts import Design
from bayesmeta.model.blocks import Data, Tensor, _scale
from bayesmeta.model.spec import ModelSpec

__all__ = ["degrees_of_freedom", "likelihood_block", "score_law"]


def likelihood_block(
    design: Design, spec: ModelSpec, data: Data, eta: Tensor, residual: Tensor
) -> None:
    """Add scores given latent values: known error, latent and score-scale residual, heavy tails.

    Parameters
    ----------
    design, spec
        Links of the benchmarks, and the law of the scores.
    data
        Scores and links, see `training_data`.
    eta
        Latent values, dims (lm, benchmark).
    residual
        Scale of the latent residual, dims (benchmark,).
    """
    priors = spec.priors
    _scale("sigma_score", priors.sigma_score, priors.sigma_score_log_sd)
    if spec.likelihood != "normal":
        degrees_of_freedom(priors.nu_shape, priors.nu_rate)
    moments = _moments(design, data, eta, residual)
    mu, variance = _take(design, data, moments)
    kind, law, how = score_law(mu, variance + data["data_se"] ** 2, nu=_nu(spec))
    kind("y", *law, **how, observed=data["data_y"], dims="obs")


def _moments(design: Design, data: Data, latent: Tensor, residual: Tensor) -> tuple[Tensor, Tensor]:
    """Compute the expected score and the variance of its residuals, by the delta method."""
    is_logistic = pt.as_tensor(design.outcomes.is_logistic.astype(float))
    floor, spread = data["data_floor"], data["data_spread"]
    height, straight = is_logistic * (1 - floor), (1 - is_logistic) * spread
    p = pm.math.sigmoid(latent)
    mu = pt.switch(is_logistic, floor, data["data_location"]) + height * p + straight * latent
    slope = height * p * (1 - p) + straight
    on_score = is_logistic * pm.modelcontext(None)["sigma_score"] ** 2
    return mu, on_score + (residual * slope) ** 2


def _take(design: Design, data: Data, moments: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
    """Take the moments of all lms on all benchmarks, dims (lm, benchmark), where scores stand.

    To compute them for every cell and take them from flat tables is faster than to take latent
    values by lm and benchmark first: few cells have no score.
    """
    cell = data["data_lm_index"] * len(design.benchmarks) + data["data_benchmark_index"]
    mu, variance = moments
    return mu.ravel()[cell], variance.ravel()[cell]


def degrees_of_freedom(shape: float, rate: float) -> Tensor:
    """Add the degrees of freedom of heavy tails: more than one, so that there is a mean."""
    return pm.Gamma("nu_beyond_one", shape, rate) + 1


def _nu(spec: ModelSpec) -> Tensor | None:
    """Degrees of freedom of the open model; None where its scores are normal."""
    return None if spec.likelihood == "normal" else pm.modelcontext(None)["nu_beyond_one"] + 1


def score_law(
    mu: Tensor, variance: Tensor, *, nu: Tensor | None
) -> tuple[Any, tuple[Tensor, ...], dict[str, Any]]:
    """Distribution of measurements with known errors, its parameters, and how it is computed.

    Parameters
    ----------
    mu, variance
        Location and squared scale, known error included.
    nu
        Degrees of freedom; None for normal measurements.

    Returns
    -------
    tuple
        A PyMC distribution, its arguments and its keywords.
    """
    if nu is None:
        return pm.Normal, (mu, pt.sqrt(variance)), {}
    return pm.CustomDist, (mu, variance, nu), {"dist": _student, "logp": _student_log_density}


def _student(mu: Tensor, variance: Tensor, nu: Tensor, size: Any) -> Tensor:
    return pm.StudentT.dist(nu=nu, mu=mu, sigma=pt.sqrt(variance), size=size)


def _student_log_density(y: Tensor, mu: Tensor, variance: Tensor, nu: Tensor) -> Tensor:
    """Log density of Student-t in the squared scale: two logarithms, no root and no power."""
    half = (nu + 1) / 2
    constant = pt.gammaln(half) - pt.gammaln(nu / 2) - 0.5 * pt.log(nu * np.pi)
    heavy = half * pt.log(variance + (y - mu) ** 2 / nu)
    return constant + 0.5 * nu * pt.log(variance) - heavy
