"""A table of effect sizes to a `pm.Model`. Importing this module imports PyMC."""

# PyTensor types its results as unions without arithmetic, so these three rules say nothing here.
# pyright: reportAttributeAccessIssue=false, reportOperatorIssue=false, reportIndexIssue=false
from __future__ import annotations

import logging

import numpy as np
import pymc as pm
import pytensor.tensor as pt

from bayesmeta.model.blocks import Tensor, _scale, degrees_of_freedom, score_law
from bayesmeta.model.predictor import Array
from bayesmeta.studies.study_model import EffectDesign, EffectSizeSpec

logger = logging.getLogger(__name__)

_FAR = 5.0
"""Effects that scatter more than so many times the scale of `tau` are likely in another unit."""


def build_effect_model(design: EffectDesign, *, spec: EffectSizeSpec) -> pm.Model:
    """Build the random-effects model of effect sizes with known standard errors.

    Under normal errors the true effects are summed out of the likelihood: y_i is normal about its
    mean with variance tau^2 + se_i^2, and theta_i is drawn from its normal distribution given y_i
    and all else, by an offset that the data say nothing about. That is the same joint posterior
    without the funnel of tau. Under Student-t errors the same offsets are used, and the density is
    corrected for the change of variables, in the potential `theta_density`.

    Parameters
    ----------
    design
        Arrays and coordinates.
    spec
        Priors and likelihood.

    Returns
    -------
    pymc.Model
        Observed variable `y` with dim study; `mu`, `tau`, `theta`; `gamma` where there are
        moderators; where there are groups, `tau_group` and effects `u_NAME` of every level.

    Examples
    --------
    >>> import pandas as pd
    >>> from bayesmeta.studies.study_model import build_effect_design
    >>> from bayesmeta.studies.study_table import read_effect_sizes
    >>> frame = pd.DataFrame({"trial": ["a", "b"], "yi": [0.1, 0.3], "sei": [0.1, 0.2]})
    >>> table = read_effect_sizes(frame, effect="yi", se="sei", study="trial")
    >>> build_effect_model(build_effect_design(table), spec=EffectSizeSpec())["theta"].name
    'theta'
    """
    _warn_of_units(design, spec)
    coords = {name: list(labels) for name, labels in design.coords.items()}
    with pm.Model(coords=coords) as model:
        mean = _coefficients(design, spec) + _group_effects(design, spec)
        tau = _heterogeneity("tau", spec)
        z = pm.Normal("z_theta", dims="study")
        variance = tau**2 + design.se**2
        own = tau * (design.y - mean) / variance + design.se / pt.sqrt(variance) * z
        theta = pm.Deterministic("theta", mean + tau * own, dims="study")
        if spec.likelihood == "normal":
            kind, law, how = score_law(mean, variance, nu=None)
        else:
            nu = degrees_of_freedom(spec.nu_shape, spec.nu_rate)
            kind, law, how = score_law(theta, pt.as_tensor(design.se**2), nu=nu)
            volume = np.log(design.se) - 0.5 * pt.log(variance)
            pm.Potential("theta_density", 0.5 * (z**2 - own**2) + volume, dims="study")
        kind("y", *law, **how, observed=design.y, dims="study")
    return model


def _heterogeneity(name: str, spec: EffectSizeSpec, *, dims: str | None = None) -> Tensor:
    """Add a standard deviation between studies or groups under the prior of the spec."""
    if spec.tau == "log-normal":
        return _scale(name, spec.tau_scale, spec.tau_log_sd, dims=dims)
    if spec.tau == "uniform":
        return pm.Uniform(name, 0.0, spec.tau_scale, dims=dims)
    kind = pm.HalfNormal if spec.tau == "half-normal" else pm.HalfCauchy
    return kind(name, spec.tau_scale, dims=dims)


def _coefficients(design: EffectDesign, spec: EffectSizeSpec) -> Tensor:
    """Add the mean effect and the moderators' coefficients; return the mean of every study.

    Coefficients are independent and normal. Divided by their standard deviations they stay so under
    any rotation, and one is chosen in which their posterior is nearly uncorrelated: `mu` lies where
    all moderators are 0, which may be far from every study.
    """
    if not design.moderators:
        return pm.Normal("mu", 0.0, spec.mu_sd) + np.zeros(len(design.y))
    sd = np.array([spec.mu_sd, *([spec.moderator_sd] * len(design.moderators))])
    z = pm.Normal("z_coefficients", shape=len(sd))
    coefficients = pt.dot(sd[:, None] * rotation(design, sd=sd), z)
    mu = pm.Deterministic("mu", coefficients[0])
    gamma = pm.Deterministic("gamma", coefficients[1:], dims="moderator")
    return mu + pt.dot(design.X, gamma)


def rotation(design: EffectDesign, *, sd: Array) -> Array:
    """Orthogonal matrix of the principal axes of what the data say of scaled coefficients."""
    columns = design.columns * sd
    weight = 1 / (design.se**2 + design.y.var())
    return np.linalg.eigh(columns.T @ (weight[:, None] * columns))[1]


def _group_effects(design: EffectDesign, spec: EffectSizeSpec) -> Tensor | float:
    """Add effects of nested groups, every level with a scale of its own."""
    if not design.groups:
        return 0.0
    tau = _heterogeneity("tau_group", spec, dims="grouping")
    total: Tensor = 0.0
    for k, level in enumerate(design.groups):
        z = pm.Normal(f"z_u_{level.name}", dims=level.dim)
        effects = pm.Deterministic(f"u_{level.name}", tau[k] * z, dims=level.dim)
        total = total + effects[level.index]
    return total


def _warn_of_units(design: EffectDesign, spec: EffectSizeSpec) -> None:
    spread, sampling = design.y.std(), np.sqrt(np.mean(design.se**2))
    beyond = np.sqrt(max(spread**2 - sampling**2, 0.0))
    if beyond > _FAR * spec.tau_scale:
        logger.warning(
            "the effects scatter by %.3g more than their standard errors say, %.0f times tau_scale "
            "(%g): the prior will hold the heterogeneity down. Numbers of EffectSizeSpec are in "
            "the unit of the effects; state tau_scale and mu_sd in it.",
            beyond, beyond / spec.tau_scale, spec.tau_scale,
        )  # fmt: skip
