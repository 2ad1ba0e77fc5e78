"""The meta-analysis of effect sizes as plain values, and its densities in numpy."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bayesmeta.errors import SpecError
from bayesmeta.model.predictor import Parameters
from bayesmeta.model.simulate import StudentScores
from bayesmeta.model.spec import hash_values, word_unknown
from bayesmeta.studies.study_design import EffectDesign

__all__ = ["EffectSizeSpec", "effect_distribution"]

OPTIONS: dict[str, tuple[str, ...]] = {
    "tau": ("half-normal", "half-cauchy", "log-normal", "uniform"),
    "likelihood": ("normal", "student-t"),
}
"""The switches of a spec and what each may be."""


@dataclass(frozen=True, slots=True)
class EffectSizeSpec:
    """A meta-analysis of effect sizes with known standard errors.

    The effect of study i is measured as y_i, with standard error se_i, about theta_i = mu + x_i
    gamma + effects of its groups + tau z_i, where z_i is standard normal. Moderators are not
    centred: `mu` is the mean effect where every moderator is 0, or at its first level.

    All numbers are in the unit of the effects. The defaults fit log odds ratios and standardised
    mean differences; for effects in another unit state them.

    Parameters
    ----------
    mu_sd
        Standard deviation of the normal prior of the mean effect. By default 4, the unit
        information of a log odds ratio (Röver 2020, https://doi.org/10.18637/jss.v093.i06).
    moderator_sd
        Standard deviation of the normal prior of a moderator's coefficient: effect per unit of the
        moderator.
    tau
        Prior of the standard deviation between studies, and of that between the groups of every
        level: `half-normal`, `half-cauchy`, `log-normal` or `uniform`.
    tau_scale
        Its scale (half-normal, half-Cauchy), its median (log-normal) or its upper end (uniform). By
        default 0.5, half-normal (Röver et al. 2021, https://doi.org/10.1002/jrsm.1475).
    tau_log_sd
        Its standard deviation on the log scale; log-normal only.
    likelihood
        `normal`, or `student-t` with scale se_i and degrees of freedom that are learned, for
        studies that miss by more than their standard errors say.
    nu_shape, nu_rate
        Gamma prior of the degrees of freedom beyond one; Student-t only.

    Raises
    ------
    SpecError
        If an option is not known or a number is not positive.

    Examples
    --------
    >>> EffectSizeSpec(tau="half-cauchy", tau_scale=5.0).checksum == EffectSizeSpec().checksum
    False
    """

    mu_sd: float = 4.0
    moderator_sd: float = 1.0
    tau: str = "half-normal"
    tau_scale: float = 0.5
    tau_log_sd: float = 0.7
    likelihood: str = "normal"
    nu_shape: float = 2.0
    nu_rate: float = 0.1

    def __post_init__(self) -> None:
        """Reject what is not known, at the border."""
        for option, allowed in OPTIONS.items():
            if getattr(self, option) not in allowed:
                raise SpecError(word_unknown(option, getattr(self, option), allowed))
        for item in dataclasses.fields(self):
            value = getattr(self, item.name)
            if item.name not in OPTIONS and not _is_positive(value):
                raise SpecError(
                    f"{item.name} is {value!r}. Allowed: a positive number, in the unit of the "
                    "effects where it is a scale. Correct it or leave it out."
                )

    @property
    def checksum(self) -> str:
        """SHA-256 of the values."""
        return hash_values(self.to_dict())

    def to_dict(self) -> dict[str, Any]:
        """Turn the spec into plain values for JSON or TOML."""
        return dataclasses.asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> EffectSizeSpec:
        """Build a spec from plain values; what is left out keeps its default.

        Raises
        ------
        SpecError
            If a key is not known or a value is not allowed.

        Examples
        --------
        >>> EffectSizeSpec.from_dict({"tau": "uniform"}).tau
        'uniform'
        """
        known = [item.name for item in dataclasses.fields(cls)]
        for key in values:
            if key not in known:
                raise SpecError(word_unknown("key", key, known))
        return cls(**values)


def _is_positive(value: object) -> bool:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    return math.isfinite(value) and value > 0


def effect_distribution(
    parameters: Parameters, *, design: EffectDesign, spec: EffectSizeSpec
) -> StudentScores:
    """Distribution of the effects given parameters, as the likelihood has it.

    Parameters
    ----------
    parameters
        Arrays of shape (...) and the dims of the parameter, by name.
    design, spec
        What they are parameters of.

    Returns
    -------
    StudentScores
        Under normal errors that of the effects with the true effects of the studies summed out;
        under Student-t errors, which have no such form, given the true effects.
    """
    if spec.likelihood == "student-t":
        theta, nu = parameters["theta"], parameters["nu_beyond_one"][..., None] + 1
        sd = np.broadcast_to(design.se, theta.shape)
        return StudentScores(y=design.y, mu=theta, sd=sd, nu=nu)
    sd = np.sqrt(np.square(parameters["tau"])[..., None] + np.square(design.se))
    return StudentScores(y=design.y, mu=_mean_effect(parameters, design), sd=sd, nu=None)


def _mean_effect(parameters: Parameters, design: EffectDesign) -> NDArray[np.float64]:
    """Mean effect of studies like each one, its groups included, shape (..., study)."""
    mean = np.asarray(parameters["mu"])[..., None]
    if design.moderators:
        mean = mean + np.asarray(parameters["gamma"]) @ design.X.T
    for level in design.groups:
        mean = mean + np.asarray(parameters[f"u_{level.name}"])[..., level.index]
    return mean + np.zeros(len(design.y))
