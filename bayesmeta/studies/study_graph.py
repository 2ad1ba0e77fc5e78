"""A table of effect sizes to a `pm.Model`. Importing this module imports PyMC."""

# PyTensor types its results as unions without arithmetic, so these three rules say nothing here.
# pyright: reportAttributeAccessIssue=false, reportOperatorIssue=false, reportIndexIssue=false
from __future__ import annotations

from typing import Any

import numpy as np
import pymc as pm
import pytensor.tensor as pt

from bayesmeta.errors import FitError
from bayesmeta.model.blocks import Tensor, _scale, degrees_of_freedom, score_law
from bayesmeta.studies.study_design import EffectDesign
from bayesmeta.studies.study_model import (
    EffectPriors,
    EffectSizeSpec,
    derive_priors,
    label_steps,
    selection_bounds,
)


def build_effect_model(design: EffectDesign, *, spec: EffectSizeSpec) -> pm.Model:
    """Build the random-effects model of effect sizes with known standard errors.

    Under normal errors the true effects are summed out of the likelihood: y_i is normal about its
    mean with variance tau^2 + se_i^2, and theta_i is drawn from its normal distribution given y_i
    and all else, by an offset that the data say nothing about. That is the same joint posterior
    without the funnel of tau. Under Student-t errors the same offsets are used, and the density is
    corrected for the change of variables, in the potential `theta_density`. Correlated errors are
    independent along their principal axes, and so are the true effects.

    Parameters
    ----------
    design
        Arrays and coordinates.
    spec
        Priors and likelihood.

    Returns
    -------
    pymc.Model
        Observed variable `y` with dim study (along the axes of the errors where these are
        correlated); `mu`, `theta`; `tau`, unless there is none; `gamma` where there are moderators;
        `omega` where publication selects; where there are groups, `tau_group` and effects `u_NAME`
        of every level.

    Raises
    ------
    FitError
        If the likelihood is binomial, or Student-t with correlated errors.

    Examples
    --------
    >>> import pandas as pd
    >>> from bayesmeta.studies.study_design import build_effect_design
    >>> from bayesmeta.studies.study_table import read_effect_sizes
    >>> frame = pd.DataFrame({"trial": ["a", "b"], "yi": [0.1, 0.3], "sei": [0.1, 0.2]})
    >>> table = read_effect_sizes(frame, effect="yi", se="sei", study="trial")
    >>> build_effect_model(build_effect_design(table), spec=EffectSizeSpec())["theta"].name
    'theta'
    """
    refuse_impossible(design, spec)
    priors = derive_priors(spec, design)
    vectors, variances = design.axes
    y, error = design.along(design.y), np.sqrt(variances)
    coords = {name: list(labels) for name, labels in design.coords.items()}
    with pm.Model(coords=coords) as model:
        tau, groups = _scales(design, spec, priors)
        mean = _coefficients(design, priors) + _group_effects(design, groups)
        mean = mean if vectors is None else pt.dot(vectors.T, mean)
        z = pm.Normal("z_theta", shape=len(y))
        variance = tau**2 + variances
        own = tau * (y - mean) / variance + error / pt.sqrt(variance) * z
        theta = mean + tau * own
        theta = pm.Deterministic(
            "theta", theta if vectors is None else pt.dot(vectors, theta), dims="study"
        )
        if spec.likelihood == "normal":
            kind, law, how = score_law(mean, variance, nu=None)
        else:
            nu = degrees_of_freedom(spec.nu_shape, spec.nu_rate)
            kind, law, how = score_law(theta, pt.as_tensor(design.se**2), nu=nu)
            volume = np.log(design.se) - 0.5 * pt.log(variance)
            pm.Potential("theta_density", 0.5 * (z**2 - own**2) + volume)
        kind("y", *law, **how, observed=y)
        if spec.selection:
            _select(design, spec, mean, variance)
    return model


def refuse_impossible(design: EffectDesign, spec: EffectSizeSpec) -> None:
    """Raise where the graph has no such model."""
    if spec.likelihood == "binomial":
        raise FitError(
            "likelihood 'binomial' is sampled independently, not by a Markov chain. Allowed: "
            "sampler 'exact'. Leave sampler out."
        )
    if spec.likelihood == "student-t" and design.covariance is not None:
        raise FitError(
            "likelihood 'student-t' needs independent errors, and those of this table are "
            "correlated. Allowed: 'normal'. Leave out either."
        )


def _scales(design: EffectDesign, spec: EffectSizeSpec, priors: EffectPriors) -> tuple[Any, Any]:
    """Add the standard deviations between studies, and between groups of every level."""
    tau = 0.0 if spec.tau == "none" else _heterogeneity("tau", priors)
    return tau, _heterogeneity("tau_group", priors, dims="grouping") if design.groups else None


def _heterogeneity(name: str, priors: EffectPriors, *, dims: str | None = None) -> Tensor:
    """Add a standard deviation between studies or groups under its prior."""
    if priors.tau == "log-normal":
        return _scale(name, priors.tau_scale, priors.tau_log_sd, dims=dims)
    if priors.tau == "uniform":
        return pm.Uniform(name, 0.0, priors.tau_scale, dims=dims)
    kind = pm.HalfNormal if priors.tau == "half-normal" else pm.HalfCauchy
    return kind(name, priors.tau_scale, dims=dims)


def _coefficients(design: EffectDesign, priors: EffectPriors) -> Tensor:
    """Add the mean effect and the moderators' coefficients; return the mean of every study.

    They are sampled for centred and scaled moderators, and kept in the moderators' own units.
    """
    inside: Any = pm.Normal("z_coefficients", 0.0, np.array(priors.coefficient_sds))
    gamma = inside[1:] / design.scale
    pm.Deterministic("mu", inside[0] - (gamma * design.center).sum())
    if design.moderators:
        pm.Deterministic("gamma", gamma, dims="moderator")
    return pt.dot(design.columns, inside)


def _group_effects(design: EffectDesign, tau: Any) -> Tensor | float:
    """Add effects of groups, every level with a scale of its own."""
    total: Tensor | float = 0.0
    for k, level in enumerate(design.groups):
        z = pm.Normal(f"z_u_{level.name}", dims=level.dim)
        effects = pm.Deterministic(f"u_{level.name}", tau[k] * z, dims=level.dim)
        total = total + effects[level.index]
    return total


def _select(design: EffectDesign, spec: EffectSizeSpec, mean: Tensor, variance: Tensor) -> None:
    """Add that effects were published by their p value: weights of steps over their mean."""
    n = len(spec.selection)
    pm.modelcontext(None).add_coord("step", label_steps(spec))
    ratio = pm.Beta("z_omega", np.arange(n, 0, -1), 1.0, shape=n)
    omega: Any = pt.concatenate([[1.0], pm.Deterministic("omega", pt.cumprod(ratio), dims="step")])
    step, lower, upper = selection_bounds(design, spec)
    sign = 1.0 if spec.favoured == "positive" else -1.0
    sd: Any = pt.sqrt(variance)
    z = [(edge - sign * mean[:, None]) / sd[:, None] for edge in (lower, upper)]
    shares = pm.math.invprobit(z[1]) - pm.math.invprobit(z[0])
    pm.Potential("selection", pt.log(omega[step]) - pt.log((shares * omega).sum(axis=1)))
