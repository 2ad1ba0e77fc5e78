"""Expected scores of the lms, as they are and changed, draw by draw; averages over benchmarks."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr
from numpy.typing import NDArray

from bayesmeta.design import (
    MIX_UNIT,
    SCALE_TERMS,
    SIZES,
    Design,
)
from bayesmeta.effects.estimands import BY, LM_FAMILY, UNITS
from bayesmeta.effects.mix_swaps import Asked, Swap, can_give
from bayesmeta.effects.settings import (
    Settings,
    columns_at,
    covariates_at,
    law_at,
    law_exponents,
    parts_at,
    parts_of_mix,
    surface_change,
    surface_scale,
    surface_swap,
    swap_rows,
)
from bayesmeta.errors import QueryError, listing, shorten, suggest
from bayesmeta.inference.fits import Fit
from bayesmeta.model.simulate import complete_matrix, expected_score, linear_predictor

__all__ = [
    "POINTS",
    "SCALES",
    "average_benchmarks",
    "check_by",
    "contrast_draws",
    "mean_score_at",
    "mean_slope",
    "target_weights",
    "to_points",
]

POINTS = 100.0
"""Percentage points in a score of one."""

SCALES = {"score": UNITS, "latent": "latent units"}
"""Scales on which an effect may be asked for, and their units."""


@dataclass(frozen=True, slots=True, eq=False)
class Baseline:
    """The lms as they are: latent values, expected scores, decisions and mix, draws in front."""

    eta: NDArray[np.float64]
    scores: NDArray[np.float64]
    X: NDArray[np.float64]
    mix: NDArray[np.float64] | None


@lru_cache(maxsize=2)
def build_baseline(fit: Fit) -> Baseline:
    """Compute latent values and scores of every lm on every benchmark once per fit."""
    X, mix = complete_matrix(fit.parameters, design=fit.design)
    eta = linear_predictor(fit.parameters, design=fit.design, spec=fit.spec)
    return Baseline(eta=eta, scores=expected_score(eta, design=fit.design), X=X, mix=mix)


def mean_score_at(
    fit: Fit, *, settings: Settings, rows: NDArray[np.bool_] | slice = slice(None)
) -> NDArray[np.float64]:
    """Average the expected scores of lms with some facts set to other values.

    Parameters
    ----------
    fit
        The fit.
    settings
        Levels or values by decision, or by `n_params` and `n_tokens`, that every lm is given, all
        its other recorded facts, and the effects of the lm and of its family, held as they are.
        Parts of the training mix take their place from the other parts in proportion. With none
        the lms are as they are.
    rows
        Which lms are averaged over, shape (lm,); all if left out.

    Returns
    -------
    ndarray
        Points, higher is better, shape (chain, draw, benchmark).
    """
    base = build_baseline(fit)
    if not settings:
        return to_points(base.scores[..., rows, :].mean(axis=-2), design=fit.design)
    eta = base.eta[..., rows, :] + _latent_change(fit, base, settings, rows)
    return _mean_points(eta, design=fit.design)


def _mean_points(eta: NDArray[np.float64], *, design: Design) -> NDArray[np.float64]:
    """Average expected scores over lms in points, higher is better, shape (..., benchmark)."""
    return to_points(expected_score(eta, design=design).mean(axis=-2), design=design)


def to_points(scores: NDArray[np.float64], *, design: Design) -> NDArray[np.float64]:
    """Turn scores (..., benchmark) into points, higher is better: a Brier score gets a minus."""
    sign = np.where(design.outcomes.is_logistic, 1.0, np.sign(design.outcomes.spread))
    return POINTS * sign * scores


def mean_slope(fit: Fit, *, weights: NDArray[np.float64]) -> float:
    """Points that a small latent effect of one is worth, averaged over lms and benchmarks."""
    design, step = fit.design, 1e-3
    eta = build_baseline(fit).eta.mean(axis=(0, 1))
    high, low = (_mean_points(eta + side, design=design) for side in (step, -step))
    return float(weights @ (high - low) / (2 * step))


def _latent_change(fit: Fit, base: Baseline, settings: Settings, rows: Any) -> NDArray[np.float64]:
    """Latent change of every lm of the rows, shape (chain, draw, lm, benchmark)."""
    design = fit.design
    change = _scale_change(fit, settings, rows)
    scale = surface_scale(fit, settings, rows)
    bend = surface_change(design, settings=settings, rows=rows, scale=scale)
    change = change + _bend(fit, bend)
    parts = parts_of_mix(settings)
    if parts:
        assert base.mix is not None
        mix = base.mix[..., rows, :]
        change = change + _mix_change(fit, mix, parts_at(design, mix, parts))
    columns, target = columns_at(design, settings)
    if columns:
        X = base.X[..., rows, :][..., columns]
        change = change + (target - X) @ fit.parameters["beta"][..., columns, :]
    return change


def _scale_change(fit: Fit, settings: Settings, rows: Any) -> Any:
    """Latent change by other sizes, through slopes and law; nothing where none is set."""
    if not set(SIZES) & set(settings):
        return 0.0
    design, parameters = fit.design, fit.parameters
    old, new = (covariates_at(fit, chosen, rows) for chosen in ({}, settings))
    change: Any = 0.0
    if design.scale_terms:
        columns = [SCALE_TERMS.index(name) for name in design.scale_terms]
        change = (new - old)[:, columns] @ np.swapaxes(parameters["kappa"], -1, -2)
    if design.log_scale is not None:
        before, after = (law_at(part, law_exponents(parameters)) for part in (old, new))
        change = change + (after - before)[..., None] * parameters["kappa_law"][..., None, :]
    return change


def _bend(fit: Fit, change: NDArray[np.float64] | None) -> Any:
    """Latent change by a change of the surface's functions; nothing where there is none."""
    return 0.0 if change is None else change @ fit.parameters["surface"]


def _mix_change(
    fit: Fit, mix: NDArray[np.float64], new: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Latent change from one composition to another, (..., lm, domain) to (..., lm, benchmark)."""
    return (new - mix) / MIX_UNIT @ fit.parameters["beta"][..., fit.design.mix_columns, :]


def _swap_gain(fit: Fit, swap: Swap, rows: NDArray[np.bool_], *, scale: str) -> NDArray[np.float64]:
    """Gain by a swap over lms that can give, shape (chain, draw, benchmark)."""
    base, design = build_baseline(fit), fit.design
    assert base.mix is not None
    mix = base.mix[..., rows, :]
    eta = _mix_change(fit, mix, swap_rows(swap, design, mix))
    eta += _bend(fit, surface_swap(design, swap=swap, rows=rows))
    if scale == "latent":
        return eta.mean(axis=-2)
    eta += base.eta[..., rows, :]
    return _mean_points(eta, design=design) - mean_score_at(fit, settings={}, rows=rows)


def contrast_draws(
    fit: Fit,
    *,
    contrast: Asked,
    by: str = "overall",
    rows: NDArray[np.bool_] | None = None,
    scale: str = "score",
) -> xr.DataArray:
    """Compute the effect of one contrast or swap, draw by draw.

    Parameters
    ----------
    fit
        The fit.
    contrast
        What is compared with what, or which parts of the mix are swapped.
    by
        `benchmark`, `task_family` or `overall`; or `lm_family`, over all benchmarks.
    rows
        Which lms it is averaged over, shape (lm,); all if left out.
    scale
        `score`, or `latent`: logits of the share of solved items above chance, and standard
        deviations of a Brier score.

    Returns
    -------
    xarray.DataArray
        Percentage points, or latent units, with dims chain, draw, target: the difference in
        expected score in the benchmark's good direction, averaged over the lms of the data; of a
        swap, over the lms that record as much of the donor as moves.

    Raises
    ------
    QueryError
        If `by` or `scale` is not known, or no lm that is averaged over can make a swap.
    """
    check_by(by, more=(LM_FAMILY,))
    if not isinstance(scale, str) or scale not in SCALES:
        raise QueryError(
            f"scale '{shorten(scale)}' is not known.{suggest(scale, SCALES)} Allowed: "
            f"{listing(SCALES)}."
        )
    if by != LM_FAMILY:
        gain = _mean_gain(fit, contrast, rows, scale=scale)
        return average_benchmarks(gain, fit=fit, by=by).assign_attrs(units=SCALES[scale])
    parts = {}
    for k, name in enumerate(fit.design.lm_families):
        own = _can_change(fit, contrast, rows) & (fit.design.lm_family_index == k)
        if own.any():
            gain = _mean_gain(fit, contrast, own, scale=scale)
            parts[name] = average_benchmarks(gain, fit=fit, by="overall").isel(target=0, drop=True)
    targets = pd.Index(list(parts), name="target")
    found = xr.concat(list(parts.values()), dim=targets).transpose("chain", "draw", "target")
    return found.assign_attrs(units=SCALES[scale], by=by)


def _can_change(fit: Fit, contrast: Asked, rows: NDArray[np.bool_] | None) -> NDArray[np.bool_]:
    """Say which of the lms a contrast is averaged over, shape (lm,)."""
    kept = np.ones(len(fit.design.lms), bool) if rows is None else rows
    if not isinstance(contrast, Swap):
        return kept
    kept = kept & can_give(fit, swap=contrast)
    if not kept.any():
        raise QueryError(
            f"'{contrast.label}' cannot be averaged: of the lms that are asked about none records "
            f"{contrast.points:g} percent of {contrast.donor}. Move fewer points, or ask about "
            "other lms."
        )
    return kept


def _mean_gain(
    fit: Fit, contrast: Asked, rows: NDArray[np.bool_] | None, *, scale: str
) -> NDArray[np.float64]:
    """Gain averaged over lms, in points or latent units, shape (chain, draw, benchmark)."""
    if isinstance(contrast, Swap):
        return _swap_gain(fit, contrast, _can_change(fit, contrast, rows), scale=scale)
    sides = contrast.level, contrast.reference
    if scale == "score" and rows is None:
        high, low = (_mean_score_of_all(fit, contrast.decision, side) for side in sides)
        return high - low
    kept = slice(None) if rows is None else rows
    if scale == "score":
        high, low = (
            mean_score_at(fit, settings={contrast.decision: side}, rows=kept) for side in sides
        )
        return high - low
    base = build_baseline(fit)
    high, low = (_latent_change(fit, base, {contrast.decision: side}, kept) for side in sides)
    return (high - low).mean(axis=-2)


@lru_cache(maxsize=2)  # the contrasts of a decision share their reference
def _mean_score_of_all(fit: Fit, decision: str, value: str | float) -> NDArray[np.float64]:
    return mean_score_at(fit, settings={decision: value})


def average_benchmarks(values: NDArray[np.float64], *, fit: Fit, by: str) -> xr.DataArray:
    """Average draws of shape (chain, draw, benchmark, ...) over the benchmarks of each target."""
    weights = target_weights(fit.design, by=by)
    names = weights["target"].values
    averaged = np.einsum("tb,cdb...->cdt...", weights.values, values)
    coords = {**{d: fit.draws[d].values for d in ("chain", "draw")}, "target": names}
    return xr.DataArray(
        averaged, dims=("chain", "draw", "target", *(["grid"] * (averaged.ndim - 3))),
        coords=coords, name="effect", attrs={"units": UNITS, "by": by},
    )  # fmt: skip


@lru_cache(maxsize=8)
def target_weights(design: Design, *, by: str) -> xr.DataArray:
    """Weight of every benchmark in every target, dims target and benchmark; rows sum to one."""
    n = len(design.benchmarks)
    if by == "benchmark":
        names, member = design.benchmarks, np.eye(n)
    elif by == "task_family":
        names = design.task_families
        member = (np.arange(len(names))[:, None] == design.task_family_index).astype(float)
    else:
        names, member = ("overall",), np.ones((1, n))
    return xr.DataArray(
        member / member.sum(axis=1, keepdims=True),
        dims=("target", "benchmark"),
        coords={"target": list(names), "benchmark": list(design.benchmarks)},
    )


def check_by(by: str, *, more: tuple[str, ...] = ()) -> None:
    """Refuse a kind of target that is not known."""
    allowed = (*BY, *more)
    if by not in allowed:
        raise QueryError(
            f"by '{shorten(by)}' is not known.{suggest(by, allowed)} Allowed: {listing(allowed)}."
        )
