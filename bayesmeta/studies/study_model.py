"""The meta-analysis of effect sizes as plain values, its priors, and its densities in numpy."""

from __future__ import annotations

import dataclasses
import itertools
import math
import numbers
from collections.abc import Mapping
from dataclasses import dataclass
from statistics import NormalDist
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bayesmeta import defaults
from bayesmeta.errors import SpecError
from bayesmeta.model.predictor import Array, Parameters, StudentScores
from bayesmeta.model.spec import hash_values, refuse_unknown
from bayesmeta.studies.event_counts import EventCounts
from bayesmeta.studies.study_design import EffectDesign, build_effect_design
from bayesmeta.studies.study_table import EffectSizes

OPTIONS: dict[str, tuple[str, ...]] = {
    "tau": ("half-cauchy", "half-normal", "log-normal", "uniform", "none"),
    "likelihood": ("normal", "student-t", "binomial"),
    "small_study": ("none", "pet", "peese"),
    "favoured": ("positive", "negative"),
}
"""The switches of a spec and what each may be."""

_TAU_SCALES = {"half-cauchy": 1.0, "half-normal": 1.0, "log-normal": 0.2, "uniform": 10.0}
"""Default scale of the heterogeneity's prior, in `EFFECT_TAU_WIDTH` median standard errors."""

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
    with five median standard errors: nearly uniform where studies of any precision differ, and
    proper. Mean effect and slopes, per standard deviation of the moderator, are normal about 0 with
    a million median standard errors, which is flat. Where more is known, state it in the
    unit of the effects: with few studies intervals get much narrower (Röver et al. 2021,
    https://doi.org/10.1002/jrsm.1475, has half-normal scales by kind of effect: 0.5 for log odds
    ratios and standardised mean differences).

    Parameters
    ----------
    mu_sd
        Standard deviation of the normal prior of the mean effect, at the mean of every moderator.
        By default a million median standard errors.
    moderator_sd
        Standard deviation of the normal prior of a moderator's coefficient: effect per unit of the
        moderator. By default a million median standard errors per standard deviation of the
        moderator.
    tau
        Prior of the standard deviation between studies, and of that between the groups of every
        level: `half-cauchy`, `half-normal`, `log-normal` or `uniform`; `none` where studies of one
        group, or all studies, share one effect.
    tau_scale
        Its scale (half-Cauchy, half-normal), its median (log-normal) or its upper end (uniform). By
        default 5, 5, 1 or 50 median standard errors.
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
            if value is None or not is_positive(value):
                left_out = "; None for what follows from the table" if item.default is None else ""
                raise SpecError(
                    f"{item.name} is {value!r}. Allowed: a positive number, in the unit of the "
                    f"effects where it is a scale{left_out}. Correct it or leave it out."
                )
            object.__setattr__(self, item.name, float(value))
        self._check_selection()

    def _check_selection(self) -> None:
        steps = self.selection
        fine = isinstance(steps, list | tuple) and all(is_positive(p) and p < 1 for p in steps)
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


def is_positive(value: object) -> bool:
    """Say whether something is a positive, finite number, and not a truth value."""
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
    coefficient_sds
        Standard deviations of the mean effect and of every coefficient of the design's centred and
        scaled columns.
    tau, tau_scale, tau_log_sd
        As in the spec.
    """

    unit: float
    coefficient_sds: tuple[float, ...]
    tau: str
    tau_scale: float
    tau_log_sd: float

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

    def tau_cdf(self, tau: float) -> float:
        """Probability of a smaller heterogeneity."""
        z = tau / self.tau_scale
        if self.tau == "half-normal":
            return math.erf(z / math.sqrt(2))
        if self.tau == "half-cauchy":
            return 2 / math.pi * math.atan(z)
        if self.tau == "uniform":
            return min(z, 1.0)
        return NormalDist().cdf(math.log(z) / self.tau_log_sd)

    def describe(self, spec: EffectSizeSpec) -> str:
        """Say in one sentence what the priors are and what they follow from."""
        parts = [f"mean effect normal(0, {self.coefficient_sds[0]:.3g})"]
        if spec.tau == "none":
            parts.append("no heterogeneity between studies")
        else:
            log = f", {self.tau_log_sd:g} on the log scale" if self.tau == "log-normal" else ""
            parts.append(f"heterogeneity {self.tau} ({self.tau_scale:.3g}{log})")
        n_slopes = len(self.coefficient_sds) - 1 - int(spec.small_study != "none")
        if n_slopes:
            sd, per = self.coefficient_sds[1], "standard deviation"
            if spec.moderator_sd is not None:
                sd, per = spec.moderator_sd, "unit"
            parts.append(f"slopes normal(0, {sd:.3g}) per {per} of the moderator")
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
    wide = defaults.EFFECT_MEAN_WIDTH * unit
    scales = design.scale[: design.X.shape[1] - design.n_bias]
    slopes = [wide if spec.moderator_sd is None else spec.moderator_sd * float(x) for x in scales]
    # A squared error is divided by the typical one: both regressions are then in errors.
    slopes += [BIAS_SD] * design.n_bias
    kind = "half-cauchy" if spec.tau == "none" else spec.tau
    return EffectPriors(
        unit=unit,
        coefficient_sds=(wide if spec.mu_sd is None else spec.mu_sd, *slopes),
        tau=kind,
        tau_scale=defaults.EFFECT_TAU_WIDTH * _TAU_SCALES[kind] * unit
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


@dataclass(frozen=True, slots=True)
class SelectedEffects:
    """Effects that were published by their p values.

    Parameters
    ----------
    law
        Their distribution before publication.
    omega
        Relative probability of publication beyond the first step, shape (..., step).
    design, spec
        The table, and the p values between steps.
    """

    law: StudentScores
    omega: Array
    design: EffectDesign
    spec: EffectSizeSpec

    @property
    def y(self) -> Array:
        """Effects, shape (study,)."""
        return self.law.y

    def log_density(self) -> Array:
        """Log density of the published effects, shape (..., study)."""
        weight = log_selection(self.design, self.spec, self.law.mu, self.law.sd, self.omega)
        return self.law.log_density() + weight

    def _shares(self) -> tuple[Array, Array, Array]:
        """Distribution function at the bounds of every step, and its published mass."""
        from scipy.special import ndtr

        _, lower, upper = selection_bounds(self.design, self.spec)
        sign = 1.0 if self.spec.favoured == "positive" else -1.0
        center, sd = sign * self.law.mu[..., None], self.law.sd[..., None]
        low, high = ndtr((lower - center) / sd), ndtr((upper - center) / sd)
        ones = np.ones((*self.omega.shape[:-1], 1))
        omega = np.concatenate([ones, self.omega], axis=-1)[..., None, :]
        return low, high, omega

    def probability_below(self) -> Array:
        """Compute the probability of lower published effects, shape (..., study)."""
        from scipy.special import ndtr

        low, high, omega = self._shares()
        sign = 1.0 if self.spec.favoured == "positive" else -1.0
        here = ndtr(sign * (self.law.y - self.law.mu) / self.law.sd)[..., None]
        below = (omega * (np.clip(here, low, high) - low)).sum(axis=-1)
        share = below / (omega * (high - low)).sum(axis=-1)
        return share if sign > 0 else 1 - share

    def draw(self, seed: int | np.random.Generator) -> Array:
        """Draw published effects, shape (..., study)."""
        from scipy.special import ndtri

        rng = np.random.default_rng(seed)
        low, high, omega = self._shares()
        mass = (omega * (high - low)).cumsum(axis=-1)
        u = rng.random(mass.shape[:-1]) * mass[..., -1]
        step = (mass < u[..., None]).sum(axis=-1)[..., None]
        bottom, top = (np.take_along_axis(x, step, axis=-1)[..., 0] for x in (low, high))
        z = ndtri(bottom + rng.random(u.shape) * (top - bottom))
        sign = 1.0 if self.spec.favoured == "positive" else -1.0
        return self.law.mu + sign * self.law.sd * z


@dataclass(frozen=True, slots=True)
class CountedEffects:
    """Log odds ratios by the exact distribution of events.

    Parameters
    ----------
    counts
        The studies' likelihoods.
    mu, tau
        Mean effect of every study, shape (..., study), and heterogeneity, shape (...).
    """

    counts: EventCounts
    mu: Array
    tau: Array

    @property
    def y(self) -> Array:
        """Log odds ratios, half a case added where a cell has none, shape (study,)."""
        return self.counts.y

    def log_density(self) -> Array:
        """Log probability of the events, shape (..., study)."""
        return self.counts.log_density(self.mu, self.tau)

    def probability_below(self) -> Array:
        """Compute the probability of fewer events, shape (..., study)."""
        return self.counts.probability_below(self.mu, self.tau)

    def draw(self, seed: int | np.random.Generator) -> Array:
        """Draw log odds ratios, shape (..., study)."""
        rng = np.random.default_rng(seed)
        theta = self.mu + self.tau[..., None] * rng.standard_normal(self.mu.shape)
        return self.counts.simulate(theta, rng)


def effect_distribution(
    parameters: Parameters, *, design: EffectDesign, spec: EffectSizeSpec
) -> StudentScores | SelectedEffects | CountedEffects:
    """Distribution of the effects given parameters, as the likelihood has it.

    Parameters
    ----------
    parameters
        Arrays of shape (...) and the dims of the parameter, by name.
    design, spec
        What they are parameters of.

    Returns
    -------
    StudentScores, SelectedEffects or CountedEffects
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
    own = np.asarray(parameters.get("tau", np.zeros(mean.shape[:-1])))
    if design.counts is not None:
        counts = EventCounts(design.counts, y=design.y, se=design.se)
        return CountedEffects(counts, mu=mean, tau=own)
    tau = own[..., None]
    if design.covariance is None:
        sd = np.sqrt(tau**2 + np.square(design.se))
        law = StudentScores(y=design.y, mu=mean, sd=sd, nu=None)
        if not spec.selection:
            return law
        return SelectedEffects(law, np.asarray(parameters["omega"]), design, spec)
    vectors, values = design.axes
    assert vectors is not None
    precision = 1 / (tau**2 + values)
    pull = ((design.y - mean) @ vectors * precision) @ vectors.T
    alone = precision @ np.square(vectors).T
    return StudentScores(y=design.y, mu=design.y - pull / alone, sd=alone**-0.5, nu=None)


def selection_bounds(
    design: EffectDesign, spec: EffectSizeSpec
) -> tuple[NDArray[np.int64], Array, Array]:
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


def log_selection(
    design: EffectDesign, spec: EffectSizeSpec, mean: Array, sd: Array, omega: Array
) -> Array:
    """Log weight of every study's step less that of the mean weight, shape (..., study).

    Parameters
    ----------
    design, spec
        The table, and the p values between steps.
    mean, sd
        Of effects before publication, shape (..., study).
    omega
        Relative probability of publication beyond the first step, shape (..., step).
    """
    from scipy.special import ndtr

    omega = np.concatenate([np.ones((*omega.shape[:-1], 1)), omega], axis=-1)
    step, lower, _ = selection_bounds(design, spec)
    center = mean if spec.favoured == "positive" else -mean
    above = ndtr((center[..., None] - lower[:, :-1]) / sd[..., None])
    rises = omega[..., None, :-1] - omega[..., None, 1:]
    average = omega[..., None, -1] + (above * rises).sum(axis=-1)
    return np.log(omega[..., step]) - np.log(average)


def label_steps(spec: EffectSizeSpec) -> list[str]:
    """Name the steps of one-sided p values beyond the first, whose relative probability is 1."""
    edges = [*spec.selection, 1.0]
    return [f"{low:g} to {high:g}" for low, high in itertools.pairwise(edges)]


def parameter_dims(design: EffectDesign, spec: EffectSizeSpec) -> dict[str, tuple[str, ...]]:
    """Name the dims of every parameter that there may be."""
    return {
        "mu": (), "tau": (), "nu_beyond_one": (), "gamma": ("moderator",), "theta": ("study",),
        "omega": ("step",), "tau_group": ("grouping",),
        **{f"u_{level.name}": (level.dim,) for level in design.groups},
    }  # fmt: skip
