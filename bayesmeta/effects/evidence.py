"""What stands behind a statement: lms and families, variation, missing facts, prior, influence."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from bayesmeta import defaults
from bayesmeta.design import DECISIONS, MIX_UNIT, Decision, standardise
from bayesmeta.effects.estimands import format_level
from bayesmeta.effects.mix_swaps import ROUNDING, Asked, Swap, can_give, known_part
from bayesmeta.effects.scores import surface_change, surface_swap
from bayesmeta.inference.fit import Fit

__all__ = ["Evidence", "Judgement", "build_evidence", "judge"]

PRIOR_PROBABILITY = 0.5
"""Every effect has a prior that is symmetric about zero, so that no direction is favoured."""


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
    families_with_both
        Families in which the decision varies; a numeric one by at least half a reported step, and
        of a swap both parts.
    within_family_share
        Share of the decision's variance that is inside families; the rest comes bundled with all
        else that distinguishes families.
    missing_share
        Share of the lms whose value is not recorded.
    prior_probability
        Probability of the statement before the data.
    contraction
        Share of the prior variance of the effect that the data removed.
    most_influential_family
        The family without which the estimate would move furthest, by a linear approximation.
    influence
        That move, in posterior standard deviations of the effect.
    verdict
        `identified`, `weakly identified` or `prior-driven`.
    """

    lms: Mapping[str, int]
    lm_families: Mapping[str, int]
    families_with_both: int
    within_family_share: float
    missing_share: float
    prior_probability: float
    contraction: float
    most_influential_family: str
    influence: float
    verdict: str

    def to_dict(self) -> dict[str, Any]:
        """Turn into plain values."""
        return asdict(self)


def build_evidence(fit: Fit, *, contrast: Asked, weights: NDArray[np.float64]) -> Evidence:
    """Collect what stands behind a contrast.

    Parameters
    ----------
    fit
        The fit.
    contrast
        What is compared with what, or swapped.
    weights
        Weight of every benchmark, shape (benchmark,), summing to one.

    Returns
    -------
    Evidence
        The card.
    """
    support = count_support(fit, contrast=contrast)
    verdict = judge(fit, contrast=contrast, weights=weights)
    family, influence = _influence(fit, contrast=contrast, weights=weights)
    return Evidence(
        **support,
        prior_probability=PRIOR_PROBABILITY,
        contraction=verdict.contraction,
        most_influential_family=family,
        influence=influence,
        verdict=verdict.verdict,
    )


def count_support(fit: Fit, *, contrast: Asked) -> dict[str, Any]:
    """Count the lms and families that inform a contrast, over lms with at least one score."""
    if isinstance(contrast, Swap):
        return _count_swap_support(fit, contrast)
    decision = DECISIONS[contrast.decision]
    lms = fit.dataset.lms
    lms = lms[lms["lm"].isin(fit.dataset.scores["lm"])]
    value, family = decision.read(lms), lms["lm_family"]
    if decision.kind == "categorical":
        level = decision.read_levels(lms)
        sides = {format_level(side): level == side for side in (contrast.level, contrast.reference)}
        kept = (level == contrast.level) | (level == contrast.reference)
        x = (level == contrast.level).astype(float)[kept]
    else:
        kept = value.notna()
        sides = {"recorded": kept, "undisclosed": ~kept}
        x = value[kept].astype(float)
    ranges = _choices(x, decision).groupby(family[kept]).agg(np.ptp)
    return {
        **_count_sides(sides, family),
        "families_with_both": int((ranges >= 1).sum()),
        "within_family_share": _within_share(x, family[kept]),
        "missing_share": float(value.isna().mean()),
    }


def _count_swap_support(fit: Fit, swap: Swap) -> dict[str, Any]:
    """Count the lms that a swap is averaged over, and the families in which both parts vary."""
    family = fit.dataset.lms["lm_family"].reset_index(drop=True)
    parts = pd.DataFrame({n: known_part(fit, name=n) for n in (swap.decision, swap.donor)})
    gives, undisclosed = pd.Series(can_give(fit, swap=swap)), parts[swap.donor].isna()
    sides = {
        "averaged_over": gives,
        "too_little": ~gives & ~undisclosed,
        "undisclosed": undisclosed,
    }
    kept = parts.notna().all(axis=1)
    ranges = parts[kept].groupby(family[kept]).agg(np.ptp).min(axis=1)
    varies = _choices(100 * ranges, DECISIONS["code_share"]) >= 1 - ROUNDING
    difference = (parts[swap.decision] - parts[swap.donor])[kept]
    return {
        **_count_sides(sides, family),
        "families_with_both": int(varies.sum()),
        "within_family_share": _within_share(difference, family[kept]),
        "missing_share": float(1 - kept.mean()),
    }


def _count_sides(sides: Mapping[str, pd.Series], family: pd.Series) -> dict[str, Any]:
    return {
        "lms": {name: int(mask.sum()) for name, mask in sides.items()},
        "lm_families": {name: int(family[mask].nunique()) for name, mask in sides.items()},
    }


def _within_share(x: pd.Series, family: pd.Series) -> float:
    """Share of the variance of a value that is inside families."""
    spread = x - x.groupby(family).transform("mean")
    total = float(((x - x.mean()) ** 2).sum())
    return float((spread**2).sum() / total) if total > 0 else 0.0


def _choices(x: pd.Series, decision: Decision) -> pd.Series:
    """Measure a decision in units of the least difference that counts as a different choice.

    Two levels differ; two values do if they are half a reported step apart, so that a family
    does not vary in a share that was written down as 80.83 once and 80.86 once.
    """
    if decision.kind == "categorical":
        return x
    if decision.kind == "numeric":
        return x.map(np.log2) / (np.log2(decision.step) / 2)
    return x / (decision.step / 2)


def judge(fit: Fit, *, contrast: Asked, weights: NDArray[np.float64]) -> Judgement:
    """Say how far the data speak to a contrast.

    `prior-driven`: the data removed less than a quarter of the prior variance, or one side has a
    single family, whose own effect cannot be told from the decision's, or a value lies outside
    what the lms record. `identified`: they removed
    at least half, and the decision varies inside families, with several families on each side;
    siblings share the rest of the recipe, so that only this separates a decision from what comes
    bundled with it. `weakly identified`: anything between.

    Parameters
    ----------
    fit
        The fit.
    contrast
        What is compared with what, or swapped.
    weights
        Weight of every benchmark, shape (benchmark,), summing to one.

    Returns
    -------
    Judgement
        Verdict and contraction.
    """
    direction = contrast_direction(fit, contrast=contrast)
    draws = np.einsum("k,cdkb,b->cd", direction, fit.parameters["beta"], weights)
    prior = _prior_variance(fit, direction=direction, weights=weights)
    bend = _surface_direction(fit, contrast=contrast)
    if bend is not None:
        draws = draws + np.einsum("k,cdkb,b->cd", bend, fit.parameters["surface"], weights)
        prior += float(np.square(bend).sum() * _surface_variance(fit, weights=weights))
    contraction = 1 - draws.var() / prior
    support = count_support(fit, contrast=contrast)
    sides = support["lm_families"]
    recorded = sides.get("averaged_over", sides.get("recorded"))
    is_numeric = recorded is not None
    n_families = recorded if is_numeric else min(sides.values())
    alone = n_families < defaults.FAMILIES_WEAK and not support["families_with_both"]
    alone = alone or _is_extrapolation(fit, contrast=contrast)
    if alone or contraction < defaults.CONTRACTION_WEAK:
        return Judgement("prior-driven", contraction=float(contraction))
    enough = support["families_with_both"] if is_numeric else n_families
    separated = support["within_family_share"] >= defaults.WITHIN_SHARE_IDENTIFIED
    strong = contraction >= defaults.CONTRACTION_IDENTIFIED
    several = enough >= defaults.FAMILIES_IDENTIFIED
    verdict = "identified" if strong and several and separated else "weakly identified"
    return Judgement(verdict, contraction=float(contraction))


def _is_extrapolation(fit: Fit, *, contrast: Asked) -> bool:
    """Say whether a numeric contrast leaves the range that the lms record.

    A swap does where a single family, or none, records as much of the growing part as the median
    lm has after the swap.
    """
    if isinstance(contrast, Swap):
        known = known_part(fit, name=contrast.decision)
        start = known[can_give(fit, swap=contrast) & ~np.isnan(known)]
        end = np.median(start) + contrast.points / 100 if len(start) else np.inf
        families = fit.design.lm_family_index[known >= end]
        return len(np.unique(families)) < defaults.FAMILIES_WEAK
    if DECISIONS[contrast.decision].kind == "categorical":
        return False
    recorded = DECISIONS[contrast.decision].read(fit.dataset.lms).astype(float)
    values = float(contrast.level), float(contrast.reference)
    return min(values) < recorded.min() or max(values) > recorded.max()


def contrast_direction(fit: Fit, *, contrast: Asked) -> NDArray[np.float64]:
    """Change of the columns of the matrix that a contrast makes, shape (term,)."""
    design = fit.design
    change = np.zeros(len(design.terms))
    if isinstance(contrast, Swap) and design.mix is not None:
        for part, sign in ((contrast.decision, 1), (contrast.donor, -1)):
            k = design.mix_columns.start + design.mix.domains.index(part)
            change[k] = sign * contrast.points / 100 / MIX_UNIT
        return change
    decision = DECISIONS[contrast.decision]
    if decision.in_mix and design.mix is not None:
        others = np.exp(design.mix.log_mean)
        part = design.mix.domains.index(contrast.decision)
        others[part] = 0
        unit = -others / others.sum()
        unit[part] = 1
        step = float(contrast.level) - float(contrast.reference)
        change[design.mix_columns] = unit * step / 100 / MIX_UNIT
        return change
    for k in design.columns_of(contrast.decision):
        term = design.terms[k]
        if decision.kind == "categorical":
            change[k] = float(term.level == contrast.level) - float(
                term.level == contrast.reference
            )
        else:
            high, low = (
                standardise(float(value), term=term, kind=decision.kind)
                for value in (contrast.level, contrast.reference)
            )
            change[k] = high - low
    return change


def _surface_direction(fit: Fit, *, contrast: Asked) -> NDArray[np.float64] | None:
    """Mean change of the surface's functions that a contrast makes, shape (function,)."""
    if isinstance(contrast, Swap):
        rows = can_give(fit, swap=contrast)
        change = surface_swap(fit.design, swap=contrast, rows=rows)
        return None if change is None else change.mean(axis=0)
    at = [
        surface_change(fit.design, settings={contrast.decision: value})
        for value in (contrast.level, contrast.reference)
    ]
    return None if at[0] is None or at[1] is None else (at[0] - at[1]).mean(axis=0)


def _surface_variance(fit: Fit, *, weights: NDArray[np.float64]) -> float:
    """Prior variance of the weight of a function averaged over benchmarks; scales as learned."""
    shared, task, own = np.square(fit.parameters["tau_surface"]).mean(axis=(0, 1))
    by_task = np.square(np.bincount(fit.design.task_family_index, weights=weights)).sum()
    return float(shared + task * by_task + own * np.square(weights).sum())


def _prior_variance(
    fit: Fit, *, direction: NDArray[np.float64], weights: NDArray[np.float64]
) -> float:
    """Prior variance of the latent contrast, in closed form."""
    free = np.square(fit.design.loading.T @ direction)
    return float(_free_variance(fit, weights=weights) @ free)


def _free_variance(fit: Fit, *, weights: NDArray[np.float64]) -> NDArray[np.float64]:
    """Prior variance of every free coefficient averaged over benchmarks, shape (free,).

    A learned scale is taken from the posterior: what a contrast gains from a scale that other
    levels made small is shrinkage, not evidence. Without pooling the scale is fixed, and the
    effects of the benchmarks average out.
    """
    design, priors, pooling = fit.design, fit.spec.priors, fit.spec.pooling
    own = np.square(weights).sum()
    if pooling == "none":
        return np.full(len(design.free_decision), priors.beta_sd**2 * own)
    squared_scale = np.square(fit.parameters["tau_beta"]).mean(axis=(0, 1))[design.free_decision]
    if pooling == "complete":
        return squared_scale
    task = np.square(np.bincount(design.task_family_index, weights=weights)).sum()
    return squared_scale * (1 + priors.beta_ratio**2 * (task + own))


def _influence(fit: Fit, *, contrast: Asked, weights: NDArray[np.float64]) -> tuple[str, float]:
    """Find the family whose removal moves the contrast most.

    A generalised ridge regression at the posterior means: the part of every lm's latent value that
    scale does not explain, on the free columns, with family and lm variance. Leaving a family out
    then costs one small solve instead of a refit.
    """
    design, mean = fit.design, {k: v.mean(axis=(0, 1)) for k, v in fit.parameters.items()}
    quality, columns = _latent_quality(fit, mean, weights)
    scored = np.isin(np.arange(len(design.lms)), design.outcomes.lm_index)
    precision = np.diag(1 / _free_variance(fit, weights=weights))
    family_variance = float(weights @ mean["tau_family"] ** 2) if "tau_family" in mean else 0.0
    lm_variance = float(weights @ mean["sigma"] ** 2)
    direction = design.loading.T @ contrast_direction(fit, contrast=contrast)

    def estimate(keep: NDArray[np.bool_]) -> float:
        family = design.lm_family_index[keep]
        cov = family_variance * (family[:, None] == family) + lm_variance * np.eye(keep.sum())
        Z = design.scale_basis[keep]
        solved = np.linalg.solve(cov, np.column_stack([Z, columns[keep], quality[keep]]))
        A, b = solved[:, :-1], solved[:, -1]
        full = np.column_stack([Z, columns[keep]])
        k = Z.shape[1]
        system = full.T @ A
        system[k:, k:] += precision
        return float(direction @ np.linalg.lstsq(system, full.T @ b, rcond=None)[0][k:])

    whole = estimate(scored)
    moves = [
        abs(whole - estimate(scored & (design.lm_family_index != g)))
        for g in range(len(design.lm_families))
    ]
    latent = np.einsum(
        "k,cdkb,b->cd", contrast_direction(fit, contrast=contrast), fit.parameters["beta"], weights
    )
    worst = int(np.argmax(moves))
    return design.lm_families[worst], float(moves[worst] / latent.std())


def _latent_quality(
    fit: Fit, mean: Mapping[str, NDArray[np.float64]], weights: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Latent value without scale and intercept, shape (lm,), and free columns, (lm, free)."""
    from bayesmeta.model.simulate import complete_matrix, linear_predictor

    design = fit.design
    eta = linear_predictor(mean, design=design, spec=fit.spec) @ weights
    rest = eta - design.scale_basis @ (design.scale_basis.T @ eta)
    X, _ = complete_matrix(mean, design=design)
    return rest, (X - design.X_center.T @ weights) @ design.loading
