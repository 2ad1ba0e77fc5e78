"""Dose and response: expected score along a numeric decision, and where it is highest."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import xarray as xr

from bayesmeta import defaults
from bayesmeta.design.decisions import DECISIONS
from bayesmeta.errors import QueryError, listing
from bayesmeta.estimates.counterfactual import average_benchmarks, mean_score_at
from bayesmeta.estimates.question import check_by, check_fit, find_decision
from bayesmeta.estimates.summary import (
    check_ci_prob,
    estimate_probability,
    in_units,
    quantiles,
)
from bayesmeta.estimates.tradeoffs import Tradeoff, build_tradeoff, summarise_place
from bayesmeta.inference.diagnostics import thin_fit

if TYPE_CHECKING:
    from bayesmeta.inference.fits import Fit

__all__ = ["Curve", "curve"]

_SHARE_GRID = np.linspace(0, 100, 41)
_N_GRID = 25
_MAX_DRAWS = 1000
"""Draws along a curve: one every few of a full fit, which changes no reported digit."""


@dataclass(frozen=True, eq=False, repr=False)
class Curve:
    """Draws of a dose-response curve.

    Parameters
    ----------
    draws
        Percentage points above the first point of the grid, dims chain, draw, target, grid.
    decision
        Name of the decision.
    by
        What a target is: a benchmark, a task family, or all benchmarks.
    recorded
        Values of the lms that record the decision, shape (lm,).
    """

    draws: xr.DataArray
    decision: str
    by: str
    recorded: np.ndarray

    @property
    def units(self) -> str:
        """Unit of the grid."""
        return "% of training tokens" if DECISIONS[self.decision].kind == "share" else "value"

    def table(self, *, ci_prob: float = defaults.CI_PROB) -> pd.DataFrame:
        """Summarise every point by median and equal-tailed interval.

        Parameters
        ----------
        ci_prob
            Probability of the interval.

        Returns
        -------
        pandas.DataFrame
            Columns target, grid, estimate, lower, upper, ci_prob.
        """
        check_ci_prob(ci_prob)
        draws = self.draws.transpose("chain", "draw", "target", "grid").values
        lower, estimate, upper = quantiles(draws, ci_prob=ci_prob, axis=(0, 1))
        targets, grid = self.draws["target"].values, self.draws["grid"].values
        return pd.DataFrame(
            {
                "target": np.repeat(targets, len(grid)),
                "grid": np.tile(grid, len(targets)),
                "estimate": estimate.ravel(),
                "lower": lower.ravel(),
                "upper": upper.ravel(),
                "ci_prob": ci_prob,
            }
        )

    def optimum(
        self,
        *,
        ci_prob: float = defaults.CI_PROB,
        band: tuple[float, float] = defaults.OPTIMUM_BAND,
    ) -> pd.DataFrame:
        """Summarise where the curve is highest, draw by draw.

        Parameters
        ----------
        ci_prob
            Probability of the interval.
        band
            Range whose probability of holding the optimum is reported.

        Returns
        -------
        pandas.DataFrame
            Indexed by target: median and interval of the optimum in the unit of the grid; the
            probability that it lies in the band, with its MCSE; and those that it lies at either
            end of the grid, where the curve may rise further, with the larger MCSE of the two.
        """
        check_ci_prob(ci_prob)
        grid = self.draws["grid"].values
        best = grid[self.draws.argmax("grid").transpose("chain", "draw", "target").values]
        rows = {}
        for k, target in enumerate(self.draws["target"].values):
            values = best[:, :, k]
            inside = estimate_probability((values >= band[0]) & (values <= band[1]))
            place = summarise_place(values, grid=grid, ci_prob=ci_prob)
            rows[str(target)] = {
                **{key: place[key] for key in ("estimate", "lower", "upper", "ci_prob")},
                f"prob_between_{band[0]:g}_{band[1]:g}": inside.estimate,
                "mcse": inside.mcse,
                **{key: place[key] for key in ("prob_at_lower_edge", "prob_at_upper_edge")},
                "mcse_edges": place["mcse"],
            }
        table = pd.DataFrame.from_dict(rows, orient="index").rename_axis("target")
        return in_units(table, self.units)

    def tradeoff(
        self,
        *,
        gain: str = "code",
        loss: str | Sequence[str] | None = None,
        weights: tuple[float, float] = (1, 1),
    ) -> Tradeoff:
        """Set what one target gains along the curve against what others lose, draw by draw.

        Parameters
        ----------
        gain
            The target that gains.
        loss
            One target or several, of which the mean is taken; all others if left out.
        weights
            Weights of the gain and of the mean of the losses in the sum whose best place is asked
            for.

        Returns
        -------
        Tradeoff
            Draws of both, with `.table()` and `.path()`.

        Raises
        ------
        QueryError
            If a target is not in the curve or on both sides, or the weights are none.

        Examples
        --------
        >>> import bayesmeta as bm
        >>> tradeoff = bm.curve(bm.load_reference_fit()).tradeoff(loss="language_modelling")
        >>> tradeoff.table().index.tolist()
        ['loss_starts', 'best_sum']
        """
        return build_tradeoff(
            self.draws, gain=gain, loss=loss, weights=weights, decision=self.decision,
            units=self.units, recorded=self.recorded,
        )  # fmt: skip

    def __repr__(self) -> str:
        sizes = self.draws.sizes
        return f"Curve({self.decision} at {sizes['grid']} points on {sizes['target']} targets)"


def curve(fit: Fit, decision: str = "code_share", *, by: str = "task_family") -> Curve:
    """Compute the expected score along a numeric decision, draw by draw.

    Every lm of the data is given each value of the grid in turn, all its other recorded facts held
    as they are; a part of the training mix takes its place from the other parts in proportion.

    Parameters
    ----------
    fit
        The fit.
    decision
        Name of a decision measured in percent or as a number.
    by
        `benchmark`, `task_family` or `overall`.

    Returns
    -------
    Curve
        Draws, with `.table()`, `.optimum()` and `.tradeoff()`.

    Raises
    ------
    QueryError
        If the decision is not in the fit or has levels instead of values.

    Examples
    --------
    >>> import bayesmeta as bm
    >>> curve = bm.curve(bm.load_reference_fit(), "code_share")
    >>> float(curve.draws.sel(grid=0).max())
    0.0
    """
    check_fit(fit)
    found = find_decision(fit.design, decision)
    if found.kind == "categorical":
        numeric = [name for name, item in DECISIONS.items() if item.kind != "categorical"]
        raise QueryError(
            f"decision '{decision}' has levels, not values, so it has no curve. Allowed: "
            f"{listing(numeric)}."
        )
    check_by(by)
    values = fit.design.recorded[decision]
    recorded = values[~np.isnan(values)]
    grid = _SHARE_GRID if found.kind == "share" else np.geomspace(
        recorded.min(), recorded.max(), _N_GRID
    )  # fmt: skip
    thin = thin_fit(fit, draws=_MAX_DRAWS) if np.prod(fit.shape) > _MAX_DRAWS else fit
    at = np.stack([mean_score_at(thin, settings={decision: x}) for x in grid], axis=-1)
    draws = average_benchmarks(at - at[..., :1], fit=thin, by=by).assign_coords(grid=grid)
    return Curve(draws=draws, decision=decision, by=by, recorded=recorded)
