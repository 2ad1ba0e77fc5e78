"""Models with and without an effect, heterogeneity and publication bias: priors and densities."""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from bayesmeta.errors import SpecError, listing, unknown
from bayesmeta.model.predictor import Array, Parameters
from bayesmeta.model.spec import refuse_unknown
from bayesmeta.studies.study_design import SMALL_STUDY, EffectDesign
from bayesmeta.studies.study_model import OPTIONS, EffectSizeSpec, is_positive, log_selection

UNIT_WIDTH = 4.0
"""Median standard errors in what stands for one standard deviation of participants where no scale
was stated: as many as there are with 64 participants in two groups."""

TAU_SHARE, PEESE_SHARE = 0.15, 5.0
"""Default scales of heterogeneity and of PEESE, in that unit and in its inverse: RoBMA's."""

_CHUNK = 2_000_000
"""Numbers held at once."""

_LEFT_OUT = ("mu_sd", "mu_df", "tau_scale", "peese_scale")
_SCALES = (*_LEFT_OUT, "tau_shape", "pet_scale")
"""Positive numbers of a spec, and those that may be None."""


@dataclass(frozen=True, slots=True)
class EnsembleSpec:
    """Models of one table, over which `average_models` averages, and their priors.

    Every combination of an effect or none, heterogeneity or none, and one of several kinds of
    publication bias or none is a model (Maier et al. 2023, https://doi.org/10.1037/met0000405;
    Bartoš et al. 2023, https://doi.org/10.1002/jrsm.1594, whose 36 models are the default). Under
    selection models, studies are published by their p value with probabilities that fall like
    sorted uniform numbers; under PET and PEESE the mean grows with the standard error or its square
    in the favoured direction, and the mean effect is that of a study without error.

    Bayes factors depend on how wide the priors of what is tested are, however many studies there
    are. State `mu_sd` in the unit of the effects where it is known, and the other scales follow as
    RoBMA has them: 1 for standardised mean differences, 1.81 (pi / sqrt(3)) for log odds ratios,
    0.5 for Fisher's z. Without it, nothing depends on the unit.

    Parameters
    ----------
    mu_sd
        Scale of the prior of the mean effect, about 0. By default 4 median standard errors, which
        is 1 for standardised mean differences of 64 participants; or the median absolute effect
        where that is larger.
    mu_df
        Degrees of freedom of that prior, a t distribution; normal if left out, 1 for Cauchy.
    tau_shape, tau_scale
        Inverse gamma prior of the standard deviation between studies. By default the scale is
        0.15 `mu_sd`.
    pet_scale, peese_scale
        Scales of the half-Cauchy priors of the slopes on the standard error, and on its square; the
        second by default 5 divided by `mu_sd`.
    one_sided, two_sided
        Selection models: for each the p values at which the probability of publication falls.
    regressions
        `pet`, `peese`, both or neither.
    favoured
        Sign of the effects that are published more easily: `positive` or `negative`.
    prob_effect, prob_heterogeneity, prob_bias
        Prior probabilities that there is one; 0 or 1 leaves models out. That of bias is shared
        equally by selection and regression models, and inside both by the models.

    Raises
    ------
    SpecError
        If a number is not positive, a probability is none, or p values do not rise between 0 and 1.

    Examples
    --------
    >>> len(EnsembleSpec().members), len(EnsembleSpec(two_sided=(), regressions=()).members)
    (36, 20)
    """

    mu_sd: float | None = None
    mu_df: float | None = None
    tau_shape: float = 1.0
    tau_scale: float | None = None
    pet_scale: float = 1.0
    peese_scale: float | None = None
    one_sided: tuple[tuple[float, ...], ...] = (
        (0.05,), (0.025, 0.05), (0.05, 0.5), (0.025, 0.05, 0.5),
    )  # fmt: skip
    two_sided: tuple[tuple[float, ...], ...] = ((0.05,), (0.05, 0.10))
    regressions: tuple[str, ...] = ("pet", "peese")
    favoured: str = "positive"
    prob_effect: float = 0.5
    prob_heterogeneity: float = 0.5
    prob_bias: float = 0.5

    def __post_init__(self) -> None:
        """Reject what makes no sense, at the border."""
        for name in _SCALES:
            value = getattr(self, name)
            if not (is_positive(value) or (value is None and name in _LEFT_OUT)):
                raise SpecError(
                    f"{name} is {value!r}. Allowed: a positive number. Correct it or leave it out."
                )
        for name in ("prob_effect", "prob_heterogeneity", "prob_bias"):
            value = getattr(self, name)
            if not (value == 0 or is_positive(value)) or value > 1:
                raise SpecError(f"{name} is {value!r}. Allowed: a probability, such as 0.5.")
        for name in ("one_sided", "two_sided"):
            object.__setattr__(self, name, _read_steps(getattr(self, name), name))
        if self.favoured not in OPTIONS["favoured"]:
            raise refuse_unknown("favoured", self.favoured, OPTIONS["favoured"])
        object.__setattr__(self, "regressions", _read_regressions(self.regressions))

    @property
    def members(self) -> tuple[Member, ...]:
        """The models that have a prior probability."""
        effects, taus = (
            [(there, p) for there, p in ((False, 1 - prob), (True, prob)) if p > 0]
            for prob in (self.prob_effect, self.prob_heterogeneity)
        )
        return tuple(
            Member(effect, tau, bias, prior_prob=p * q * r)
            for effect, p in effects
            for tau, q in taus
            for bias, r in self._list_biases()
        )

    def _list_biases(self) -> list[tuple[Bias, float]]:
        """List kinds of publication bias and their prior probabilities."""
        kinds = [[Bias("one-sided", cuts) for cuts in self.one_sided]]
        kinds[0] += [Bias("two-sided", cuts) for cuts in self.two_sided]
        kinds += [[Bias(name) for name in self.regressions]]
        kinds = [kind for kind in kinds if kind]
        prob = self.prob_bias if kinds else 0.0
        found = [(Bias("none"), 1 - prob)]
        found += [(one, prob / len(kinds) / len(kind)) for kind in kinds for one in kind]
        return [(bias, p) for bias, p in found if p > 0]

    def scaled_to(self, design: EffectDesign) -> EnsembleSpec:
        """State the scales that were left out for a table."""
        unit = self.mu_sd
        if unit is None:
            unit = max(UNIT_WIDTH * design.typical_error, float(np.median(np.abs(design.y))))
        return dataclasses.replace(
            self,
            mu_sd=unit,
            tau_scale=TAU_SHARE * unit if self.tau_scale is None else self.tau_scale,
            peese_scale=PEESE_SHARE / unit if self.peese_scale is None else self.peese_scale,
        )


def _read_regressions(given: Any) -> tuple[str, ...]:
    """Check the regressions on the error."""
    if not isinstance(given, list | tuple):
        raise SpecError(
            f"regressions is {given!r}. Allowed: a list of {listing(SMALL_STUDY)}, or [] for none."
        )
    for name in given:
        if name not in SMALL_STUDY:
            raise unknown(SpecError, "regression", name, SMALL_STUDY)
    return tuple(dict.fromkeys(given))


def _read_steps(given: Any, name: str) -> tuple[tuple[float, ...], ...]:
    """Check the p values of selection models."""

    def rises(cuts: Any) -> bool:
        fine = isinstance(cuts, list | tuple) and cuts and all(is_positive(p) for p in cuts)
        return bool(fine) and list(cuts) == sorted(set(cuts)) and cuts[-1] < 1

    if not (isinstance(given, list | tuple) and all(rises(cuts) for cuts in given)):
        raise SpecError(
            f"{name} is {given!r}. Allowed: for each model p values that rise, between 0 and 1, "
            "such as [[0.05], [0.025, 0.5]]; [] for no such model."
        )
    return tuple(tuple(float(p) for p in cuts) for cuts in given)


@dataclass(frozen=True, slots=True)
class Bias:
    """One kind of publication bias: `none`, `one-sided`, `two-sided`, `pet`, `peese`.

    Parameters
    ----------
    kind
        Which.
    cuts
        The p values at which the probability of publication falls.
    """

    kind: str
    cuts: tuple[float, ...] = ()

    def __str__(self) -> str:
        if self.cuts:
            return f"{self.kind}, p {', '.join(f'{p:g}' for p in self.cuts)}"
        return self.kind.upper() if self.kind in SMALL_STUDY else self.kind

    @property
    def one_sided_cuts(self) -> tuple[float, ...]:
        """The same steps of one-sided p values."""
        if self.kind != "two-sided":
            return self.cuts
        half = tuple(p / 2 for p in self.cuts)
        return (*half, *(1 - p for p in reversed(half)))

    def spread_out(self, omega: Array) -> Array:
        """Give every one-sided step beyond the first its probability, shape (..., step)."""
        if self.kind != "two-sided":
            return omega
        return np.concatenate([omega, omega[..., -2::-1], np.ones((*omega.shape[:-1], 1))], axis=-1)


@dataclass(frozen=True, slots=True)
class Member:
    """One model: what there is in it, and its prior probability."""

    has_effect: bool
    has_heterogeneity: bool
    bias: Bias
    prior_prob: float


class MemberMarginal:
    """Density of a model's unknowns: mean effect, log tau, log slope on the error, logits of steps.

    Parameters
    ----------
    design
        A table without moderators and groups.
    spec
        Priors with all scales stated.
    member
        The model.
    """

    def __init__(self, design: EffectDesign, spec: EnsembleSpec, member: Member) -> None:
        self.design, self.spec, self.member = design, spec, member
        self.sign = 1.0 if spec.favoured == "positive" else -1.0
        power = {"pet": 1, "peese": 2}.get(member.bias.kind)
        self.errors = None if power is None else design.se**power
        self.n_steps = len(member.bias.cuts)
        weight = 1 / design.se**2
        found = []
        if member.has_effect:
            found.append((np.average(design.y, weights=weight), design.y.std() + design.se.min()))
        if member.has_heterogeneity:
            found.append((math.log(0.5 * design.y.std() + 0.3 * design.typical_error), 1.0))
        if power is not None:
            found.append((math.log(0.5 * self.slope_scale), 1.5))
        found += [(0.0, 1.5)] * self.n_steps
        self.start = np.array([start for start, _ in found])
        self.spread = np.array([spread for _, spread in found])

    @cached_property
    def steps(self) -> EffectSizeSpec:
        """One-sided p values between steps, as the likelihood of selection takes them."""
        cuts = self.member.bias.one_sided_cuts
        return EffectSizeSpec(selection=cuts, favoured=self.spec.favoured)

    @property
    def slope_scale(self) -> float:
        """Scale of the half-Cauchy prior of the slope on the error."""
        spec = self.spec
        scale = spec.pet_scale if self.member.bias.kind == "pet" else spec.peese_scale
        assert scale is not None
        return scale

    def _split(self, points: Array) -> tuple[Array, Array, Array, Array]:
        """Give mean effect, tau, slope on the error, and logits of ratios of steps."""
        nothing, k = np.zeros(len(points)), 0
        mu = tau = slope = nothing
        if self.member.has_effect:
            mu, k = points[:, k], k + 1
        if self.member.has_heterogeneity:
            tau, k = np.exp(points[:, k]), k + 1
        if self.errors is not None:
            slope, k = np.exp(points[:, k]), k + 1
        return mu, tau, slope, points[:, k:]

    def _log_prior(self, mu: Array, tau: Array, slope: Array, logits: Array) -> Array:
        from scipy.special import gammaln

        found = np.zeros(len(mu))
        if self.member.has_effect:
            found += log_t(mu, scale=self.spec.mu_sd, df=self.spec.mu_df)
        if self.member.has_heterogeneity:
            shape, scale = self.spec.tau_shape, self.spec.tau_scale
            assert scale is not None
            found += shape * np.log(scale / tau) - scale / tau - gammaln(shape)
        if self.errors is not None:
            z = slope / self.slope_scale
            found += np.log(2 * z / np.pi) - np.log1p(z**2)
        a = np.arange(self.n_steps, 0, -1)  # ratios are beta(a, 1): steps fall like sorted uniforms
        ratio = a * -np.log1p(np.exp(-logits)) - np.log1p(np.exp(logits)) + np.log(a)
        return found + ratio.sum(axis=1)

    def log_density(self, points: Array) -> Array:
        """Log joint density of effects and unknowns, shape (point,)."""
        size = max(1, _CHUNK // (len(self.design.y) * (1 + 2 * self.n_steps)))
        parts = np.array_split(points, -(-len(points) // size))
        return np.concatenate([self._log_density(part) for part in parts])

    def _log_density(self, points: Array) -> Array:
        mu, tau, slope, logits = self._split(points)
        mean = mu[:, None] + np.zeros(len(self.design.y))
        if self.errors is not None:
            mean = mean + self.sign * slope[:, None] * self.errors
        sd = np.sqrt(tau[:, None] ** 2 + self.design.se**2)
        found = -0.5 * ((self.design.y - mean) / sd) ** 2 - np.log(sd) - 0.5 * np.log(2 * np.pi)
        if self.n_steps:
            omega = self.member.bias.spread_out(np.cumprod(1 / (1 + np.exp(-logits)), axis=1))
            found = found + log_selection(self.design, self.steps, mean, sd, omega)
        return found.sum(axis=1) + self._log_prior(mu, tau, slope, logits)

    def draw(self, points: Array, rng: np.random.Generator) -> Parameters:
        """Name what was drawn: `mu` and `tau`, 0 where the model has none."""
        mu, tau, _, _ = self._split(points)
        return {"mu": mu, "tau": tau}


def log_t(x: Array, *, scale: float | None, df: float | None) -> Array:
    """Log density of a t distribution about 0, or of a normal one."""
    assert scale is not None
    z = x / scale
    if df is None:
        return -0.5 * z**2 - math.log(scale) - 0.5 * math.log(2 * math.pi)
    constant = math.lgamma((df + 1) / 2) - math.lgamma(df / 2) - 0.5 * math.log(df * math.pi)
    return constant - math.log(scale) - 0.5 * (df + 1) * np.log1p(z**2 / df)
