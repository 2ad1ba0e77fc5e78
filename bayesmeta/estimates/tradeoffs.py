"""What one task gains along a decision against what others lose, and where the loss begins."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
import xarray as xr
from numpy.typing import NDArray

from bayesmeta import defaults
from bayesmeta.errors import QueryError, listing, suggest
from bayesmeta.estimates.summary import (
    check_ci_prob,
    estimate_probability,
    in_units,
    quantiles,
)

__all__ = ["Tradeoff", "build_tradeoff", "summarise_place"]

_FLAT = 1e-9
"""Percentage points: a step down by less is rounding, not a loss."""


@dataclass(frozen=True, eq=False, repr=False)
class Tradeoff:
    """Draws of two curves along one decision: what gains and what loses.

    Parameters
    ----------
    gain, loss
        Percentage points above the first point of the grid, dims chain, draw, grid. The loss is
        the mean of its targets.
    gain_name, loss_names
        The targets.
    weights
        Weights of gain and loss in the sum whose best place is asked for; they sum to one.
    decision, units
        Name of the decision and unit of the grid.
    recorded
        Values of the lms that record the decision, shape (lm,).
    """

    gain: xr.DataArray
    loss: xr.DataArray
    gain_name: str
    loss_names: tuple[str, ...]
    weights: tuple[float, float]
    decision: str
    units: str
    recorded: NDArray[np.float64]

    @property
    def loss_starts(self) -> xr.DataArray:
        """First point of the grid from which the loss curve falls, dims chain, draw.

        The first point where it falls from the start, the last where it never falls.
        """
        falls = self.loss.diff("grid", label="lower") < -_FLAT
        grid = self.loss["grid"].values
        first = falls.argmax("grid").where(falls.any("grid"), len(grid) - 1).astype(int)
        return first.copy(data=grid[first.values])

    @property
    def best_sum(self) -> xr.DataArray:
        """Point of the grid with the highest weighted sum of both, dims chain, draw."""
        total = self.weights[0] * self.gain + self.weights[1] * self.loss
        best = total.argmax("grid")
        return best.copy(data=total["grid"].values[best.values])

    def table(self, *, ci_prob: float = defaults.CI_PROB) -> pd.DataFrame:
        """Summarise where the loss starts and where the weighted sum is best.

        Parameters
        ----------
        ci_prob
            Probability of the equal-tailed interval.

        Returns
        -------
        pandas.DataFrame
            Indexed by place (`loss_starts`, `best_sum`): median and interval in the unit of the
            grid; the probabilities that the place is at either end of the grid, where it stands
            for a loss from the start on, for none, or for a sum that is best beyond; and the
            larger MCSE of the two.
        """
        check_ci_prob(ci_prob)
        grid = self.gain["grid"].values
        places = {"loss_starts": self.loss_starts, "best_sum": self.best_sum}
        rows = {k: summarise_place(v.values, grid=grid, ci_prob=ci_prob) for k, v in places.items()}
        table = pd.DataFrame.from_dict(rows, orient="index").rename_axis("place")
        return in_units(table, self.units)

    def path(self, *, ci_prob: float = defaults.CI_PROB) -> pd.DataFrame:
        """Summarise gain and loss at every point of the grid.

        Parameters
        ----------
        ci_prob
            Probability of the equal-tailed interval.

        Returns
        -------
        pandas.DataFrame
            Columns side (`gain`, `loss`), target, grid, estimate, lower, upper, ci_prob.
        """
        check_ci_prob(ci_prob)
        parts = []
        sides = (("gain", self.gain, self.gain_name), ("loss", self.loss, self.loss_label))
        for side, draws, target in sides:
            values = draws.transpose("chain", "draw", "grid").values
            lower, estimate, upper = quantiles(values, ci_prob=ci_prob, axis=(0, 1))
            parts.append(
                pd.DataFrame(
                    {"side": side, "target": target, "grid": draws["grid"].values,
                     "estimate": estimate, "lower": lower, "upper": upper, "ci_prob": ci_prob}
                )
            )  # fmt: skip
        return pd.concat(parts, ignore_index=True)

    @property
    def loss_label(self) -> str:
        """Name of what loses."""
        names = self.loss_names
        return names[0] if len(names) == 1 else f"mean of {listing(names)}"

    def __repr__(self) -> str:
        sizes = self.gain.sizes
        return (
            f"Tradeoff({self.gain_name} against {self.loss_label} along {self.decision}, "
            f"{sizes['chain']} chains x {sizes['draw']} draws)"
        )


def build_tradeoff(
    draws: xr.DataArray,
    *,
    gain: str,
    loss: str | Sequence[str] | None,
    weights: tuple[float, float],
    decision: str,
    units: str,
    recorded: NDArray[np.float64],
) -> Tradeoff:
    """Divide the targets of a curve into what gains and what loses.

    Parameters
    ----------
    draws
        Draws of a curve, dims chain, draw, target, grid.
    gain, loss
        Names of targets; the loss is all other targets if left out.
    weights
        Weights of gain and loss, not below zero.
    decision, units, recorded
        As of `Tradeoff`.

    Returns
    -------
    Tradeoff
        The two curves.

    Raises
    ------
    QueryError
        If a target is not in the curve or on both sides, or the weights are none.
    """
    targets = [str(name) for name in draws["target"].values]
    others = [name for name in targets if name != gain]
    names = others if loss is None else [loss] if isinstance(loss, str) else list(loss)
    for name in (gain, *names):
        if name not in targets:
            raise QueryError(
                f"target '{name}' is not in this curve.{suggest(name, targets)} Allowed: "
                f"{listing(targets)}."
            )
    if gain in names or not names:
        raise QueryError(
            f"a trade-off needs a gain and a loss that differ, not '{gain}' and "
            f"'{listing(names)}'. Name other targets, of a curve by task_family or benchmark."
        )
    share = _read_weights(weights)
    unique = tuple(dict.fromkeys(names))
    return Tradeoff(
        gain=draws.sel(target=gain, drop=True), loss=draws.sel(target=list(unique)).mean("target"),
        gain_name=gain, loss_names=unique, weights=share, decision=decision, units=units,
        recorded=recorded,
    )  # fmt: skip


def _read_weights(weights: tuple[float, float]) -> tuple[float, float]:
    values = np.asarray(weights, float)
    if values.shape != (2,) or not np.isfinite(values).all() or (values < 0).any() or (
        values.sum() == 0
    ):  # fmt: skip
        raise QueryError(
            f"weights are {weights}. Allowed: two numbers from 0 up, of the gain and of the mean "
            "of the losses, not both zero, such as (1, 1)."
        )
    first, second = values / values.sum()
    return float(first), float(second)


def summarise_place(
    values: NDArray[np.float64], *, grid: NDArray[np.float64], ci_prob: float
) -> dict[str, float]:
    """Summarise draws of a place on a grid: median, interval, probability of either edge.

    Parameters
    ----------
    values
        Points of the grid, shape (chain, draw).
    grid
        The grid, rising.
    ci_prob
        Probability of the equal-tailed interval.

    Returns
    -------
    dict
        The numbers by name; `mcse` is the larger one of the two probabilities.
    """
    lower, estimate, upper = quantiles(values, ci_prob=ci_prob)
    low, high = (estimate_probability(values == edge) for edge in (grid[0], grid[-1]))
    return {
        "estimate": float(estimate), "lower": float(lower), "upper": float(upper),
        "ci_prob": ci_prob, "prob_at_lower_edge": low.estimate,
        "prob_at_upper_edge": high.estimate, "mcse": max(low.mcse, high.mcse),
    }  # fmt: skip
