"""What the priors do to a meta-analysis, and whether the data contradict those that were stated."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator
from typing import Any

import numpy as np

from bayesmeta import defaults
from bayesmeta.model.predictor import Array, Parameters
from bayesmeta.studies.event_counts import find_unbounded
from bayesmeta.studies.exact_posterior import is_exact, sample_exactly
from bayesmeta.studies.study_design import EffectDesign
from bayesmeta.studies.study_model import EffectPriors, EffectSizeSpec, derive_priors

SHIFTED = 0.3
"""Standard deviations by which an estimate moves when the prior counts twice, above which it is
said: where power scaling (Kallioinen et al. 2024, https://doi.org/10.1007/s11222-023-10366-5) calls
a posterior sensitive."""

_DRAWS = 2000


def examine_priors(
    parameters: Parameters, *, design: EffectDesign, spec: EffectSizeSpec
) -> dict[str, Any]:
    """Say what the priors are, how they move the estimates, and where the data contradict them.

    A prior that was stated is in conflict where it gives a probability below 0.05 to what the data
    say under the default, vague priors: to a mean or slope as far from 0, or to heterogeneity above
    (below) the lower (upper) end of its 90 % interval (Box 1980, https://doi.org/10.2307/2982063).

    Parameters
    ----------
    parameters
        Draws by name, shape (..., dims).
    design, spec
        What they are draws of.

    Returns
    -------
    dict
        Plain values: `stated`, a sentence; `shift`, by name the standard deviations by which an
        estimate moves when the prior counts twice; `failures` and `advice`, sentences.
    """
    priors = derive_priors(spec, design)
    flat = {name: np.asarray(x).reshape(-1, *x.shape[2:]) for name, x in parameters.items()}
    shift = find_shifts(flat, design=design, spec=spec)
    advice = []
    moved = {name: by for name, by in shift.items() if abs(by) > SHIFTED}
    if moved:
        shown = ", ".join(f"{name} by {by:+.2f}" for name, by in moved.items())
        advice.append(
            f"The prior counts: twice as strong it would move {shown} standard deviations, as it "
            "does where studies are few; say which prior it was and why."
        )
    return {
        "stated": priors.describe(spec),
        "shift": shift,
        "failures": _find_conflicts(flat, design, spec, priors),
        "advice": advice,
    }


def find_shifts(
    parameters: Parameters, *, design: EffectDesign, spec: EffectSizeSpec
) -> dict[str, float]:
    """Move of each estimate, in its standard deviations, when the prior is squared.

    To first order it is the covariance with the log prior density, times log 2.
    """
    density = log_prior(parameters, design=design, spec=spec)
    found = {}
    for name, values in name_estimates(parameters, design).items():
        spread = values.std()
        moved = np.mean((values - values.mean()) * (density - density.mean())) * math.log(2)
        found[name] = float(moved / spread) if spread > 0 else 0.0
    return found


def name_estimates(parameters: Parameters, design: EffectDesign) -> dict[str, Array]:
    """Give the mean effect at mean moderators, slopes and logs of scales, each of shape (draw,)."""
    inside = _coefficients(parameters, design)
    found = {"mean effect": inside[:, 0]}
    found |= {name: inside[:, 1 + j] for j, name in enumerate(design.moderators)}
    if "tau" in parameters:
        found["tau"] = np.log(parameters["tau"])
    if design.groups:
        logs = np.log(parameters["tau_group"])
        found |= {f"tau of {level.name}": logs[:, j] for j, level in enumerate(design.groups)}
    return found


def _coefficients(parameters: Parameters, design: EffectDesign) -> Array:
    """Coefficients of the centred and scaled columns, shape (draw, 1 + moderator)."""
    mu = np.asarray(parameters["mu"])[:, None]
    if not design.moderators:
        return mu
    gamma = np.asarray(parameters["gamma"])
    return np.hstack([mu + (gamma @ design.center)[:, None], gamma * design.scale])


def log_prior(parameters: Parameters, *, design: EffectDesign, spec: EffectSizeSpec) -> Array:
    """Log prior density of coefficients and scales but for a constant, shape (draw,)."""
    priors = derive_priors(spec, design)
    inside = _coefficients(parameters, design)
    tau = np.asarray(parameters.get("tau", np.zeros(len(inside))))
    groups = np.asarray(parameters.get("tau_group", np.zeros((len(inside), 0))))
    found = -0.5 * np.square(inside / np.array(priors.coefficient_sds)).sum(axis=1)
    found = found + priors.tau_log_density(groups).sum(axis=1)
    return found + priors.tau_log_density(tau) if "tau" in parameters else found


def _find_conflicts(
    parameters: Parameters, design: EffectDesign, spec: EffectSizeSpec, priors: EffectPriors
) -> list[str]:
    """Word the conflicts of stated priors with what the data say under vague ones."""
    if spec.mu_sd is None and spec.moderator_sd is None and spec.tau_scale is None:
        return []
    has_bound = design.counts is None or find_unbounded(design.counts) is None
    vague = dataclasses.replace(
        spec,
        mu_sd=None if has_bound else spec.mu_sd,
        moderator_sd=None,
        tau_scale=None,
        tau="none" if spec.tau == "none" else "half-cauchy",
        likelihood="normal" if spec.likelihood == "student-t" else spec.likelihood,
    )
    if is_exact(design, vague):
        drawn = sample_exactly(design, spec=vague, draws=_DRAWS, seed=defaults.SEED)
        parameters = drawn.parameters
    found = list(_conflicts_of_coefficients(parameters, design, spec, priors))
    return found + list(_conflicts_of_scales(parameters, design, spec, priors))


def _conflicts_of_coefficients(
    parameters: Parameters, design: EffectDesign, spec: EffectSizeSpec, priors: EffectPriors
) -> Iterator[str]:
    inside = _coefficients(parameters, design)
    n = 1 + len(design.moderators) - design.n_bias
    units = np.concatenate([[1.0], design.scale])
    stated = [spec.mu_sd, *[spec.moderator_sd] * (n - 1)]
    for k, name in enumerate(("mean effect", *design.moderators)[:n]):
        sd, values = priors.coefficient_sds[k], inside[:, k]
        z = abs(values.mean()) / math.hypot(sd, values.std())
        if stated[k] is not None and math.erfc(z / math.sqrt(2)) < 1 - defaults.CERTAIN:
            yield (
                f"The prior of the {name}, normal(0, {sd / units[k]:.3g}), contradicts the data, "
                f"which alone say {values.mean() / units[k]:.3g} (standard deviation "
                f"{values.std() / units[k]:.3g}). State a wider one, or find out which is wrong."
            )


def _conflicts_of_scales(
    parameters: Parameters, design: EffectDesign, spec: EffectSizeSpec, priors: EffectPriors
) -> Iterator[str]:
    if spec.tau_scale is None:
        return
    for name, values in list_scales(parameters, design).items():
        low, high = np.quantile(values, [1 - defaults.CERTAIN, defaults.CERTAIN])
        if min(1 - priors.tau_cdf(low), priors.tau_cdf(high)) < 1 - defaults.CERTAIN:
            yield (
                f"The prior of {name}, {priors.tau} ({priors.tau_scale:.3g}), contradicts the "
                f"data, which alone say {np.median(values):.3g} ({low:.3g} to {high:.3g}). Scales "
                "are in the unit of the effects; state another, or leave it out."
            )


def list_scales(parameters: Parameters, design: EffectDesign) -> dict[str, Array]:
    """Give the standard deviations between studies and between groups by name."""
    found = {"tau": np.asarray(parameters["tau"])} if "tau" in parameters else {}
    for j, level in enumerate(design.groups):
        found[f"tau of {level.name}"] = np.asarray(parameters["tau_group"])[..., j]
    return found
