"""Which lms and families stand behind a contrast, and what the decision comes bundled with."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Any

import numpy as np
import pandas as pd

from bayesmeta import defaults
from bayesmeta.design import DECISIONS, FACTS, Decision
from bayesmeta.effects.estimands import Contrast, format_level, list_decisions
from bayesmeta.effects.mix_swaps import ROUNDING, Asked, Swap, can_give, known_part
from bayesmeta.inference.fits import Fit

__all__ = ["count_support", "is_extrapolation", "measure_bundles", "vary_inside"]

_BUNDLES = 3
_BINS = 4
"""How many decisions are named, and into how many groups of like size numbers are cut."""


def count_support(fit: Fit, *, contrast: Asked) -> dict[str, Any]:
    """Count the lms and families that inform a contrast, over lms with at least one score."""
    if isinstance(contrast, Swap):
        return _count_swap_support(fit, contrast)
    decision = FACTS[contrast.decision]
    lms = _scored_lms(fit)
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
    return {
        **_count_sides(sides, family),
        "families_with_both": len(_vary(x, family[kept], decision)),
        "within_family_share": _within_share(x, family[kept]),
        "missing_share": float(value.isna().mean()),
    }


def _scored_lms(fit: Fit) -> pd.DataFrame:
    """Rows of the lms with at least one score, by their position."""
    lms = fit.dataset.lms.reset_index(drop=True)
    return lms[np.isin(np.arange(len(lms)), fit.design.outcomes.lm_index)]


def vary_inside(fit: Fit, *, contrast: Contrast) -> list[str]:
    """List the families whose scored lms differ in a numeric decision by half a step or more."""
    decision, lms = FACTS[contrast.decision], _scored_lms(fit)
    value = decision.read(lms).astype(float)
    kept = value.notna()
    return _vary(value[kept], lms["lm_family"][kept], decision)


def _vary(x: pd.Series, family: pd.Series, decision: Decision) -> list[str]:
    """List the families in which a value differs by at least one choice."""
    ranges = _choices(x, decision).groupby(family).agg(np.ptp)
    return [str(name) for name in ranges.index[ranges >= 1]]


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


def is_extrapolation(fit: Fit, *, contrast: Asked) -> bool:
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
    if FACTS[contrast.decision].kind == "categorical":
        return False
    recorded = FACTS[contrast.decision].read(fit.dataset.lms).astype(float)
    values = float(contrast.level), float(contrast.reference)
    return bool(min(values) < recorded.min() or max(values) > recorded.max())


@lru_cache(maxsize=2)  # the same on every target
def measure_bundles(fit: Fit, *, contrast: Asked) -> Mapping[str, float]:
    """Measure with which other decisions a contrast comes bundled.

    Parameters
    ----------
    fit
        The fit.
    contrast
        What is compared with what, or swapped.

    Returns
    -------
    dict
        The three decisions that predict the value best, each on its own, and the share of its
        variance that they predict, adjusted for the number of their levels; over the scored lms at
        one of the two levels, or that record the value and the other decision.
    """
    lms = _scored_lms(fit)
    x = _value_of(fit, contrast, lms)
    parts = () if fit.design.mix is None else fit.design.mix.domains
    own = parts if isinstance(contrast, Swap) or contrast.decision in parts else ()
    others = [n for n in list_decisions(fit) if n != contrast.decision and n not in own]
    shares = {name: _share_predicted(x, DECISIONS[name], lms) for name in others}
    most = sorted(shares, key=lambda name: -shares[name])[:_BUNDLES]
    return {name: shares[name] for name in most if shares[name] > 0}


def _value_of(fit: Fit, contrast: Asked, lms: pd.DataFrame) -> pd.Series:
    """Value of a contrast's decision, missing at levels that it does not compare."""
    if isinstance(contrast, Swap):
        known = known_part(fit, name=contrast.decision) - known_part(fit, name=contrast.donor)
        return pd.Series(known)[lms.index]
    decision = FACTS[contrast.decision]
    if decision.kind != "categorical":
        return decision.read(lms).astype(float)
    level = decision.read_levels(lms)
    is_level = (level == contrast.level).astype(float)
    return is_level.where((level == contrast.level) | (level == contrast.reference))


def _share_predicted(x: pd.Series, other: Decision, lms: pd.DataFrame) -> float:
    """Compute the adjusted share of the variance of a value that another decision predicts."""
    if other.kind == "categorical":
        code = pd.factorize(other.read_levels(lms))[0]
    else:
        rank = other.read(lms).astype(float).rank(pct=True).to_numpy()
        code = np.where(np.isnan(rank), -1, np.ceil(_BINS * np.nan_to_num(rank))).astype(int)
    values = x.to_numpy(float)
    kept = ~np.isnan(values) & (code >= 0)
    values, code = values[kept], np.unique(code[kept], return_inverse=True)[1]
    n, k = len(values), len(np.unique(code))
    total = float(((values - values.mean()) ** 2).sum()) if n else 0.0
    if total <= 0 or n <= k:
        return 0.0
    means = np.bincount(code, weights=values) / np.bincount(code)
    rest = float(((values - means[code]) ** 2).sum())
    return max(0.0, 1 - (rest / (n - k)) / (total / (n - 1)))
