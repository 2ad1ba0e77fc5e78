"""Expected scores of the lms, as they are and changed, draw by draw; averages over benchmarks."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from bayesmeta.design import (
    DECISIONS,
    MIX_UNIT,
    Design,
    shift_part,
    standardise,
    swap_parts,
)
from bayesmeta.effects.estimands import BY, UNITS
from bayesmeta.effects.mix_swaps import Asked, Swap, can_give
from bayesmeta.errors import QueryError, listing, suggest
from bayesmeta.inference.fit import Fit
from bayesmeta.model.simulate import complete_matrix, expected_score, linear_predictor

__all__ = [
    "average_benchmarks",
    "check_by",
    "contrast_draws",
    "mean_score_at",
    "mean_slope",
    "set_part",
    "surface_change",
    "surface_swap",
    "swap_rows",
    "target_weights",
]

_POINTS = 100.0


@dataclass(frozen=True, slots=True, eq=False)
class Baseline:
    """The lms as they are: latent values, matrix of decisions and mix, with draws in front."""

    eta: NDArray[np.float64]
    X: NDArray[np.float64]
    mix: NDArray[np.float64] | None


@lru_cache(maxsize=2)
def build_baseline(fit: Fit) -> Baseline:
    """Compute the latent value of every lm on every benchmark once per fit."""
    X, mix = complete_matrix(fit.parameters, design=fit.design)
    eta = linear_predictor(fit.parameters, design=fit.design, spec=fit.spec)
    return Baseline(eta=eta, X=X, mix=mix)


@lru_cache(maxsize=2)  # the contrasts of a decision share their reference
def mean_score_at(fit: Fit, *, decision: str, value: str | float) -> NDArray[np.float64]:
    """Average the expected scores of all lms with one decision set to a value.

    Parameters
    ----------
    fit
        The fit.
    decision
        Name of the decision.
    value
        Level or value that every lm is given, all its other recorded facts held as they are. A
        part of the training mix takes its place from the other parts in proportion.

    Returns
    -------
    ndarray
        Points, higher is better, shape (chain, draw, benchmark).
    """
    base, design = build_baseline(fit), fit.design
    return _mean_points(base.eta + _latent_change(fit, base, decision, value), design=design)


def _mean_points(eta: NDArray[np.float64], *, design: Design) -> NDArray[np.float64]:
    """Average expected scores over lms in points, higher is better, shape (..., benchmark)."""
    sign = np.where(design.outcomes.is_logistic, 1.0, np.sign(design.outcomes.spread))
    return _POINTS * sign * expected_score(eta, design=design).mean(axis=-2)


def mean_slope(fit: Fit, *, weights: NDArray[np.float64]) -> float:
    """Points that a small latent effect of one is worth, averaged over lms and benchmarks."""
    design, step = fit.design, 1e-3
    eta = build_baseline(fit).eta.mean(axis=(0, 1))
    high, low = (_mean_points(eta + side, design=design) for side in (step, -step))
    return float(weights @ (high - low) / (2 * step))


def _latent_change(
    fit: Fit, base: Baseline, decision: str, value: str | float
) -> NDArray[np.float64]:
    """Latent change of every lm, shape (chain, draw, lm, benchmark)."""
    design, found = fit.design, DECISIONS[decision]
    beta = fit.parameters["beta"]
    bend = _bend(fit, surface_change(design, decision=decision, value=value))
    if found.in_mix:
        assert base.mix is not None
        return bend + _mix_change(fit, base.mix, set_part(design, base.mix, decision, value))
    columns = design.columns_of(decision)
    if found.kind == "categorical":
        target = np.array([design.terms[k].level == value for k in columns], float)
    else:
        term = design.terms[columns[0]]
        target = np.array([standardise(float(value), term=term, kind=found.kind)])
    return bend + (target - base.X[..., columns]) @ beta[..., columns, :]


def set_part(
    design: Design, mix: NDArray[np.float64], decision: str, value: str | float
) -> NDArray[np.float64]:
    """Set one part of compositions (..., lm, domain) and scale the others in proportion."""
    assert design.mix is not None
    return shift_part(
        mix, domain=decision, share=float(value) / 100, typical=np.exp(design.mix.log_mean),
        domains=design.mix.domains,
    )  # fmt: skip


def swap_rows(swap: Swap, design: Design, mix: NDArray[np.float64]) -> NDArray[np.float64]:
    """Move points from one part of compositions (..., lm, domain) to another."""
    assert design.mix is not None
    return swap_parts(
        mix, receiver=swap.decision, donor=swap.donor, amount=swap.points / 100,
        domains=design.mix.domains,
    )  # fmt: skip


def surface_change(
    design: Design, *, decision: str, value: str | float
) -> NDArray[np.float64] | None:
    """Change of the surface's functions when every lm is given a value, shape (lm, function).

    Undisclosed facts stand at their typical values there, whatever the draw. None where the
    decision is no part of the surface.
    """
    surface, found = design.surface, DECISIONS[decision]
    if surface is None:
        return None
    if found.in_mix:
        return surface.evaluate(mix=set_part(design, surface.mix, decision, value)) - (
            surface.evaluate()
        )
    if decision != "english_share":
        return None
    term = design.terms[design.columns_of(decision)[0]]
    english = np.full(len(design.lms), standardise(float(value), term=term, kind=found.kind))
    return surface.evaluate(english=english) - surface.evaluate()


def surface_swap(
    design: Design, *, swap: Swap, rows: NDArray[np.bool_]
) -> NDArray[np.float64] | None:
    """Change of the surface's functions when some lms swap, shape (lm that swaps, function)."""
    surface = design.surface
    if surface is None:
        return None
    moved = swap_rows(swap, design, surface.mix[rows])
    return surface.evaluate(mix=moved, rows=rows) - surface.evaluate(rows=rows)


def _bend(fit: Fit, change: NDArray[np.float64] | None) -> Any:
    """Latent change by a change of the surface's functions; nothing where there is none."""
    return 0.0 if change is None else change @ fit.parameters["surface"]


def _mix_change(
    fit: Fit, mix: NDArray[np.float64], new: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Latent change from one composition to another, (..., lm, domain) to (..., lm, benchmark)."""
    design = fit.design
    change = (new - mix) / MIX_UNIT @ fit.parameters["beta"][..., design.mix_columns, :]
    if design.code_basis is None:
        return change
    assert design.mix is not None
    bend = [design.code_basis.evaluate(design.mix.code_of(part)) for part in (new, mix)]
    return change + (bend[0] - bend[1]) @ fit.parameters["curve"][..., design.task_family_index]


def _swap_gain(fit: Fit, swap: Swap) -> NDArray[np.float64]:
    """Points gained by a swap over the lms that can give, shape (chain, draw, benchmark)."""
    base, design, rows = build_baseline(fit), fit.design, can_give(fit, swap=swap)
    assert base.mix is not None
    eta, mix = base.eta[..., rows, :], base.mix[..., rows, :]
    bend = _bend(fit, surface_swap(design, swap=swap, rows=rows))
    changed = eta + bend + _mix_change(fit, mix, swap_rows(swap, design, mix))
    return _mean_points(changed, design=design) - _mean_points(eta, design=design)


def contrast_draws(fit: Fit, *, contrast: Asked, by: str = "overall") -> xr.DataArray:
    """Compute the effect of one contrast or swap, draw by draw.

    Parameters
    ----------
    fit
        The fit.
    contrast
        What is compared with what, or which parts of the mix are swapped.
    by
        `benchmark`, `task_family` or `overall`.

    Returns
    -------
    xarray.DataArray
        Percentage points with dims chain, draw, target: the difference in expected score in the
        benchmark's good direction, averaged over the lms of the data; of a swap, over the lms that
        record as much of the donor as moves.

    Raises
    ------
    QueryError
        If `by` is not known.
    """
    check_by(by)
    if isinstance(contrast, Swap):
        return average_benchmarks(_swap_gain(fit, contrast), fit=fit, by=by)
    at = [
        mean_score_at(fit, decision=contrast.decision, value=value)
        for value in (contrast.level, contrast.reference)
    ]
    return average_benchmarks(at[0] - at[1], fit=fit, by=by)


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


def check_by(by: str) -> None:
    """Refuse a kind of target that is not known."""
    if by not in BY:
        raise QueryError(f"by '{by}' is not known.{suggest(by, BY)} Allowed: {listing(BY)}.")
