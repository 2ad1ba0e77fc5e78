"""What stands behind a statement: lms and families, siblings, missing facts, prior, influence."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from functools import lru_cache
from statistics import NormalDist
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bayesmeta import defaults
from bayesmeta.effects.estimands import is_prior
from bayesmeta.effects.latent import LatentChange, change_of
from bayesmeta.effects.linearised import Estimate, Linearised, linearise, prob_above_zero
from bayesmeta.effects.mix_swaps import Asked
from bayesmeta.effects.scores import mean_slope
from bayesmeta.effects.support import count_support, is_extrapolation, measure_bundles
from bayesmeta.inference.fits import Fit

__all__ = ["Evidence", "Judgement", "build_evidence", "judge", "support_of"]

PRIOR_PROBABILITY = 0.5
"""Every effect has a prior that is symmetric about zero, so that no direction is favoured."""

_NORMAL = NormalDist()


@dataclass(frozen=True, slots=True)
class Judgement:
    """How far the data speak to a contrast.

    Parameters
    ----------
    verdict
        `identified`, `weakly identified` or `prior-driven`.
    contraction
        Share of the prior variance of the latent contrast that the data removed.
    """

    verdict: str
    contraction: float


@dataclass(frozen=True, slots=True)
class Evidence:
    """What stands behind a statement.

    Parameters
    ----------
    lms, lm_families
        Numbers of lms, and of families with at least one, at each level. Of a numeric decision:
        how many record it. Of a swap: over how many it is averaged, how many record less of the
        donor than moves, and how many do not disclose it, among all lms of the data.
    effective_lms
        Number of lms that would say as much if all pulled alike on the estimate (Kish 1965).
    families_with_both
        Families in which the decision varies; a numeric one by at least half a reported step, and
        of a swap both parts.
    within_family_share
        Share of the decision's variance that is inside families; the rest comes bundled with all
        else that distinguishes families.
    missing_share
        Share of the lms whose value is not recorded.
    bundled_with
        The decisions that go along with this one most, and the share of its variance that each
        would predict on its own.
    prior_probability
        Probability of the statement before the data.
    prior_sd
        Standard deviation of the effect before the data, its scales as learned.
    contraction
        Share of the prior variance of the effect that the data removed.
    all_families
        The effect by the linearised model given all data, to compare the next ones with:
        `estimate`, `lower`, `upper` in the units of the effect and `prob_helps`. It is that of a
        small change at the average lm, times its size, and differs from the effect asked for where
        scores bend.
    within_families, between_families
        The effect estimated from differences between siblings alone, and from the means of the
        families alone, each under the same prior, which draws both towards zero. None where no
        family varies in the decision.
    most_influential_family
        The family without which the estimate would move furthest.
    influence
        That move, in posterior standard deviations of the effect.
    without_it
        The effect without that family, as `within_families`.
    extrapolates
        Whether a value lies outside what the lms record.
    verdict
        `identified`, `weakly identified` or `prior-driven`.

    Notes
    -----
    What parts of the data say is computed by `linearise` and not by refits.
    """

    lms: Mapping[str, int]
    lm_families: Mapping[str, int]
    effective_lms: float
    families_with_both: int
    within_family_share: float
    missing_share: float
    bundled_with: Mapping[str, float]
    prior_probability: float
    prior_sd: float
    contraction: float
    all_families: Mapping[str, float]
    within_families: Mapping[str, float] | None
    between_families: Mapping[str, float] | None
    most_influential_family: str
    influence: float
    without_it: Mapping[str, float]
    extrapolates: bool
    verdict: str

    def to_dict(self) -> dict[str, Any]:
        """Turn into plain values."""
        return asdict(self)


@dataclass(frozen=True, slots=True, eq=False)
class _Asked:
    """What verdict and card share of a contrast."""

    change: LatentChange
    moved: NDArray[np.float64]
    support: Mapping[str, Any]


@lru_cache(maxsize=2)
def _prepare(fit: Fit, contrast: Asked) -> _Asked:
    change = change_of(fit, contrast=contrast)
    return _Asked(
        change,
        moved=change.coefficients(fit.design),
        support=count_support(fit, contrast=contrast),
    )


def support_of(fit: Fit, contrast: Asked) -> Mapping[str, Any]:
    """Count the lms and families that inform a contrast, as `count_support` does."""
    return _prepare(fit, contrast).support


def build_evidence(
    fit: Fit,
    *,
    contrast: Asked,
    weights: NDArray[np.float64],
    probability: float,
    scale: str = "score",
) -> Evidence:
    """Collect what stands behind a contrast.

    Parameters
    ----------
    fit
        The fit.
    contrast
        What is compared with what, or swapped.
    weights
        Weight of every benchmark, shape (benchmark,), summing to one.
    probability
        Posterior probability that the effect is positive.
    scale
        `score` or `latent`: the scale of the estimates from parts of the data.

    Returns
    -------
    Evidence
        The card.
    """
    asked, model = _prepare(fit, contrast), linearise(fit)
    change, support, moved = asked.change, asked.support, asked.moved
    slope = mean_slope(fit, weights=weights) if scale == "score" else 1.0
    (judgement,) = judge(
        fit, contrast=contrast, weights=weights[None], probabilities=np.array([probability])
    )

    def describe(mean: float, sd: float) -> dict[str, float]:
        return _describe(slope * mean, slope * sd)

    def estimate(from_part: Callable[..., Estimate]) -> dict[str, float] | None:
        if not support["families_with_both"]:
            return None
        found = from_part(moved, weights=weights)
        return describe(float(found.mean), float(found.sd))

    whole = model.estimate(moved, weights=weights)
    without = model.without_each_family(moved, weights=weights)
    worst = int(np.argmax(np.abs(without.mean - whole.mean)))
    sd = float(change.draws(fit, weights=weights).std())
    pulls = model.pulls(moved, weights=weights)
    return Evidence(
        **support,
        all_families=describe(float(whole.mean), float(whole.sd)),
        within_families=estimate(model.estimate_within),
        between_families=estimate(model.estimate_between),
        effective_lms=float(pulls.sum() ** 2 / np.square(pulls).sum()) if pulls.any() else 0.0,
        bundled_with=measure_bundles(fit, contrast=contrast),
        prior_probability=PRIOR_PROBABILITY,
        prior_sd=slope * model.prior_variance(moved, weights=weights) ** 0.5,
        contraction=judgement.contraction,
        most_influential_family=fit.design.lm_families[worst],
        influence=float(abs(without.mean[worst] - whole.mean) / sd) if sd > 0 else 0.0,
        without_it=describe(float(without.mean[worst]), float(without.sd[worst])),
        extrapolates=is_extrapolation(fit, contrast=contrast),
        verdict=judgement.verdict,
    )


def _describe(mean: float, sd: float) -> dict[str, float]:
    """Estimate, interval and probability of a normal distribution."""
    half = _NORMAL.inv_cdf((1 + defaults.CI_PROB) / 2) * sd
    return {
        "estimate": mean,
        "lower": mean - half,
        "upper": mean + half,
        "prob_helps": prob_above_zero(mean, sd),
    }


def judge(
    fit: Fit,
    *,
    contrast: Asked,
    weights: NDArray[np.float64],
    probabilities: NDArray[np.float64],
) -> tuple[Judgement, ...]:
    """Say how far the data speak to a contrast, on one target or several.

    `prior-driven`: the data removed less than a quarter of the prior variance, or one side has a
    single family, whose own effect cannot be told from the decision's, or a value lies outside
    what the lms record. So is whatever is asked of draws of the prior.

    `identified`: the data tell the direction, and not by one family or by what comes bundled with
    the decision. They removed at least half of the prior variance; several families stand on each
    side, and the decision varies inside several; the direction has a probability of at least 0.95,
    and of at least 0.9 both without any one family and from differences between siblings alone,
    who share the rest of the recipe.

    `weakly identified`: anything between.

    Parameters
    ----------
    fit
        The fit.
    contrast
        What is compared with what, or swapped.
    weights
        Weight of every benchmark, shape (target, benchmark); rows sum to one.
    probabilities
        Posterior probability that the effect is positive, shape (target,).

    Returns
    -------
    tuple of Judgement
        Verdict and contraction on every target.
    """
    if is_prior(fit):
        return tuple(Judgement("prior-driven", contraction=0.0) for _ in weights)
    asked = _prepare(fit, contrast)
    change, support, moved, model = asked.change, asked.support, asked.moved, linearise(fit)
    sides = support["lm_families"]
    recorded = sides.get("averaged_over", sides.get("recorded"))
    n_families = min(sides.values()) if recorded is None else recorded
    varying = support["families_with_both"]
    alone = n_families < defaults.FAMILIES_WEAK and not varying
    alone = alone or is_extrapolation(fit, contrast=contrast)
    several = min(n_families, varying) >= defaults.FAMILIES_IDENTIFIED
    separated = support["within_family_share"] >= defaults.WITHIN_SHARE_IDENTIFIED
    judged = []
    for row, p in zip(weights, probabilities, strict=True):
        prior = model.prior_variance(moved, weights=row)
        drawn = float(change.draws(fit, weights=row).var())
        contraction = 1 - drawn / prior if prior > 0 else 0.0
        verdict = "weakly identified"
        if alone or contraction < defaults.CONTRACTION_WEAK:
            verdict = "prior-driven"
        elif (
            several
            and separated
            and contraction >= defaults.CONTRACTION_IDENTIFIED
            and max(p, 1 - p) >= defaults.PROB_IDENTIFIED
            and _is_stable(model, moved, weights=row, sign=1 if p > 0.5 else -1)
        ):
            verdict = "identified"
        judged.append(Judgement(verdict, contraction=contraction))
    return tuple(judged)


def _is_stable(
    model: Linearised, moved: NDArray[np.float64], *, weights: NDArray[np.float64], sign: int
) -> bool:
    """Say whether every part of the data that could stand alone tells the same direction."""
    without = model.without_each_family(sign * moved, weights=weights)
    within = model.estimate_within(sign * moved, weights=weights)
    bound = _NORMAL.inv_cdf(defaults.PROB_STABLE)
    return bool((without.mean >= bound * without.sd).all() and within.mean >= bound * within.sd)
