"""The meta-analysis of effect sizes as plain values, its priors, and its densities in numpy."""

from __future__ import annotations

import dataclasses
import itertools
import math
import numbers
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from bayesmeta import defaults
from bayesmeta.errors import SpecError
from bayesmeta.model.predictor import Array, Parameters, StudentScores
from bayesmeta.model.spec import hash_values, refuse_unknown
from bayesmeta.studies.study_design import EffectDesign, build_effect_design
from bayesmeta.studies.study_table import EffectSizes

OPTIONS: dict[str, tuple[str, ...]] = {
    "tau": ("half-cauchy", "half-normal", "log-normal", "uniform", "none"),
    "likelihood": ("normal", "student-t", "binomial"),
    "small_study": ("none", "pet", "peese"),
    "favoured": ("positive", "negative"),
}
"""The switches of a spec and what each may be."""

_TAU_SCALES = {"half-cauchy": 1.0, "half-normal": 1.0, "log-normal": 0.1, "uniform": 5.0}
"""Default scale of the heterogeneity's prior, in `EFFECT_PRIOR_WIDTH` median standard errors."""

BIAS_SD = 2.0
"""Prior standard deviation of a regression on the standard error, in standard errors: publishing
significant results alone moves a null effect by 2.3."""


@dataclass(frozen=True, slots=True)
class EffectSizeSpec:
    """A meta-analysis of effect sizes with known standard errors.

    The effect of study i is measured as y_i, with standard error se_i, about theta_i = mu + x_i
    gamma + effects of its groups + tau z_i, where z_i is standard normal. `mu` is the mean effect
    where every moderator is 0, or at its first level.

    Scales that are left out follow from the table's standard errors, and never from its effects, so
    that nothing depends on units or on where a moderator has its zero. Heterogeneity is half-Cauchy
    with ten median standard errors: nearly uniform where studies of any precision differ, and
    proper. Mean effect and slopes, per standard deviation of the moderator, are normal about 0 and
    worth a hundredth of one study each (unit information: Röver 2020,
    https://doi.org/10.18637/jss.v093.i06). Where more is known, state it in the unit of the
    effects: with few studies intervals get much narrower (Röver et al. 2021,
    https://doi.org/10.1002/jrsm.1475, has half-normal scales by kind of effect: 0.5 for log odds
    ratios and standardised mean differences).

    Parameters
    ----------
    mu_sd
        Standard deviation of the normal prior of the mean effect, at the mean of every moderator.
        By default ten times the standard deviation of one study's effect, heterogeneity included.
    moderator_sd
        Standard deviation of the normal prior of a moderator's coefficient: effect per unit of the
        moderator. By default such that one standard deviation of the moderator has that of the mean
        effect.
    tau
        Prior of the standard deviation between studies, and of that between the groups of every
        level: `half-cauchy`, `half-normal`, `log-normal` or `uniform`; `none` where studies of one
        group, or all studies, share one effect.
    tau_scale
        Its scale (half-Cauchy, half-normal), its median (log-normal) or its upper end (uniform). By
        default 10, 10, 1 or 50 median standard errors.
    tau_log_sd
        Its standard deviation on the log scale; log-normal only.
    likelihood
        `normal`; `student-t` with scale se_i and degrees of freedom that are learned, for studies
        that miss by more than their standard errors say; or `binomial`: events given their sum, for
        tables with counts (noncentral hypergeometric; Stijnen et al. 2010,
        https://doi.org/10.1002/sim.4040).
    nu_shape, nu_rate
        Gamma prior of the degrees of freedom beyond one; Student-t only.
    small_study
        Regression on the standard error (`pet`) or on its square (`peese`), so that `mu` is the
        effect of a study without error (Stanley & Doucouliagos 2014,
        https://doi.org/10.1002/jrsm.1095); `none` for none.
    selection
        One-sided p values between which studies differ in how likely they are published, such as
        (0.025, 0.5); none if empty. Probabilities fall from one step to the next, the first being 1
        (Vevea & Hedges 1995, https://doi.org/10.1007/BF02294384; prior of Maier et al. 2023,
        https://doi.org/10.1037/met0000405).
    favoured
        Sign of the effects that are published more easily: `positive` or `negative`.

    Raises
    ------
    SpecError
        If an option is not known, or a number is not positive and finite: scales of priors have to
        be both.

    Examples
    --------
    >>> EffectSizeSpec(tau="half-normal", tau_scale=5.0).checksum == EffectSizeSpec().checksum
    False
    """

    mu_sd: float | None = None
    moderator_sd: float | None = None
    tau: str = "half-cauchy"
    tau_scale: float | None = None
    tau_log_sd: float = 0.7
    likelihood: str = "normal"
    nu_shape: float = 2.0
    nu_rate: float = 0.1
    small_study: str = "none"
    selection: tuple[float, ...] = ()
    favoured: str = "positive"

    def __post_init__(self) -> None:
        """Reject what is not known, at the border."""
        for option, allowed in OPTIONS.items():
            if getattr(self, option) not in allowed:
                raise refuse_unknown(option, getattr(self, option), allowed)
        for item in dataclasses.fields(self):
            value = getattr(self, item.name)
            if item.name in OPTIONS or item.name == "selection":
                continue
            if value is None and item.default is None:
                continue
            if value is None or not _is_positive(value):
                left_out = "; None for what follows from the table" if item.default is None else ""
                raise SpecError(
                    f"{item.name} is {value!r}. Allowed: a positive number, in the unit of the "
                    f"effects where it is a scale{left_out}. Correct it or leave it out."
                )
            object.__setattr__(self, item.name, float(value))
        self._check_selection()

    def _check_selection(self) -> None:
        steps = self.selection
        fine = isinstance(steps, list | tuple) and all(_is_positive(p) and p < 1 for p in steps)
        if not fine or list(steps) != sorted(set(steps)):
            raise SpecError(
                f"selection is {steps!r}. Allowed: one-sided p values that rise, between 0 and 1, "
                "such as (0.025, 0.5), or () for none. Correct it."
            )
        object.__setattr__(self, "selection", tuple(float(p) for p in steps))
        if steps and self.likelihood != "normal":
            raise SpecError(
                f"selection {steps!r} with likelihood '{self.likelihood}' is not there. Allowed: "
                "selection with normal errors. Leave one out."
            )

    @property
    def checksum(self) -> str:
        """SHA-256 of the values."""
        return hash_values(self.to_dict())

    def to_dict(self) -> dict[str, Any]:
        """Turn the spec into plain values for JSON or TOML."""
        return dataclasses.asdict(self) | {"selection": list(self.selection)}

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
                raise refuse_unknown("key", key, known)
        return cls(**values)


def _is_positive(value: object) -> bool:
    if isinstance(value, bool | np.bool_) or not isinstance(value, numbers.Real):
        return False
    return math.isfinite(value) and float(value) > 0


def build_study_design(table: EffectSizes, *, spec: EffectSizeSpec) -> EffectDesign:
    """Turn a table into the arrays that a spec asks for."""
    is_counted = spec.likelihood == "binomial"
    return build_effect_design(table, small_study=spec.small_study, use_counts=is_counted)


@dataclass(frozen=True, slots=True)
class EffectPriors:
    """The priors of a spec for one table, in its unit.

    Parameters
    ----------
    unit
        Median standard error of the table.
    mean_sd, slope_sds
        Standard deviations of the mean effect and of every coefficient of the design's centred and
        scaled columns; None where they follow the spread of one study's effect.
    tau, tau_scale, tau_log_sd
        As in the spec.
    """

    unit: float
    mean_sd: float | None
    slope_sds: tuple[float | None, ...]
    tau: str
    tau_scale: float
    tau_log_sd: float

    def coefficient_sd(self, spread: Any) -> list[Any]:
        """Give the standard deviation of every coefficient, given the spread of one study."""
        wide = defaults.EFFECT_PRIOR_WIDTH * spread
        given = (self.mean_sd, *self.slope_sds)
        return [wide if sd is None else sd + 0 * spread for sd in given]

    def spread(self, variance: Any) -> Any:
        """Give the spread of one typical study's effect, given the variance of true effects."""
        return (self.unit**2 + variance) ** 0.5

    def tau_log_density(self, tau: Array) -> Array:
        """Log density of a heterogeneity, elementwise."""
        z = tau / self.tau_scale
        if self.tau == "half-normal":
            found = 0.5 * np.log(2 / np.pi) - 0.5 * z**2
        elif self.tau == "half-cauchy":
            found = np.log(2 / np.pi) - np.log1p(z**2)
        elif self.tau == "uniform":
            found = np.where(z <= 1, 0.0, -np.inf)
        else:
            ratio = np.log(z) / self.tau_log_sd
            found = -0.5 * ratio**2 - np.log(z * self.tau_log_sd) - 0.5 * np.log(2 * np.pi)
        return found - np.log(self.tau_scale)

    def describe(self, spec: EffectSizeSpec, *, unit: str = "") -> str:
        """Say in one sentence what the priors are and what they follow from."""
        width = defaults.EFFECT_PRIOR_WIDTH
        wide = f"{width:g} x sqrt({self.unit:.3g}^2 + heterogeneity^2)"
        mean = f"normal(0, {wide if self.mean_sd is None else f'{self.mean_sd:.3g}'})"
        parts = [f"mean effect {mean}"]
        if spec.tau == "none":
            parts.append("no heterogeneity between studies")
        else:
            log = f", {self.tau_log_sd:g} on the log scale" if self.tau == "log-normal" else ""
            parts.append(f"heterogeneity {self.tau} ({self.tau_scale:.3g}{log})")
        if self.slope_sds:
            slope = "as the mean effect, per standard deviation of the moderator"
            if spec.moderator_sd is not None:
                slope = f"normal(0, {spec.moderator_sd:.3g}), per unit of the moderator"
            parts.append(f"slopes {slope}")
        derived = None in (spec.mu_sd, spec.tau_scale)
        source = f"; the median standard error of the table is {self.unit:.3g}" if derived else ""
        return f"Priors: {'; '.join(parts)}{source}."


def derive_priors(spec: EffectSizeSpec, design: EffectDesign) -> EffectPriors:
    """Give the priors of a spec for a table: what was left out follows from its standard errors.

    Parameters
    ----------
    spec, design
        The model and the table.

    Returns
    -------
    EffectPriors
        Numbers in the unit of the effects.
    """
    unit = design.typical_error
    n = design.X.shape[1] - design.n_bias
    given = spec.moderator_sd
    slopes: list[float | None] = [
        None if given is None else given * float(scale) for scale in design.scale[:n]
    ]
    # A squared error is divided by the typical one: both regressions are then in errors.
    slopes += [BIAS_SD] * design.n_bias
    kind = "half-cauchy" if spec.tau == "none" else spec.tau
    return EffectPriors(
        unit=unit,
        mean_sd=spec.mu_sd,
        slope_sds=tuple(slopes),
        tau=kind,
        tau_scale=defaults.EFFECT_PRIOR_WIDTH * _TAU_SCALES[kind] * unit
        if spec.tau_scale is None
        else spec.tau_scale,
        tau_log_sd=spec.tau_log_sd,
    )


def mean_effect(parameters: Parameters, design: EffectDesign) -> Array:
    """Mean effect of studies like each one, its groups included, shape (..., study)."""
    mean = np.asarray(parameters["mu"])[..., None]
    if design.moderators:
        mean = mean + np.asarray(parameters["gamma"]) @ design.X.T
    for level in design.groups:
        mean = mean + np.asarray(parameters[f"u_{level.name}"])[..., level.index]
    return mean + np.zeros(len(design.y))


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
        under Student-t errors, which have no such form, given the true effects. Where errors are
        correlated, each effect is given all others (Bürkner et al. 2021,
        https://doi.org/10.1007/s00180-020-01045-4).
    """
    if spec.likelihood == "student-t":
        theta, nu = parameters["theta"], parameters["nu_beyond_one"][..., None] + 1
        sd = np.broadcast_to(design.se, theta.shape)
        return StudentScores(y=design.y, mu=theta, sd=sd, nu=nu)
    mean = mean_effect(parameters, design)
    tau = np.asarray(parameters.get("tau", np.zeros(mean.shape[:-1])))[..., None]
    if design.covariance is None:
        sd = np.sqrt(tau**2 + np.square(design.se))
        return StudentScores(y=design.y, mu=mean, sd=sd, nu=None)
    vectors, values = design.axes
    assert vectors is not None
    precision = 1 / (tau**2 + values)
    pull = ((design.y - mean) @ vectors * precision) @ vectors.T
    own = precision @ np.square(vectors).T
    return StudentScores(y=design.y, mu=design.y - pull / own, sd=own**-0.5, nu=None)


def selection_bounds(design: EffectDesign, spec: EffectSizeSpec) -> tuple[Array, Array, Array]:
    """Say between which favoured effects every study falls into each step of p values.

    Returns
    -------
    tuple
        The step of every study, shape (study,), and lower and upper bounds of effects in the
        favoured direction, shape (study, step).
    """
    from scipy.special import ndtri

    cuts = -ndtri(np.array(spec.selection)) * design.se[:, None]
    # Finite, since a derivative at infinity is 0 times infinity.
    far = np.full((len(cuts), 1), 1e6 * (np.abs(design.y).max() + design.se.max()))
    lower, upper = np.hstack([cuts, -far]), np.hstack([far, cuts])
    favoured = design.y if spec.favoured == "positive" else -design.y
    step = (favoured[:, None] < cuts).sum(axis=1)
    return step, lower, upper


def label_steps(spec: EffectSizeSpec) -> list[str]:
    """Name the steps of one-sided p values."""
    edges = [0.0, *spec.selection, 1.0]
    return [f"{low:g} to {high:g}" for low, high in itertools.pairwise(edges)]


def parameter_dims(design: EffectDesign, spec: EffectSizeSpec) -> dict[str, tuple[str, ...]]:
    """Name the dims of every parameter that there may be."""
    return {
        "mu": (), "tau": (), "nu_beyond_one": (), "gamma": ("moderator",), "theta": ("study",),
        "omega": ("step",), "tau_group": ("grouping",),
        **{f"u_{level.name}": (level.dim,) for level in design.groups},
    }  # fmt: skip
