"""Dose and response: scores along a numeric decision, where they are best, how tasks trade off."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import xarray as xr

from bayesmeta import defaults
from bayesmeta.errors import QueryError, listing
from bayesmeta.estimates.answer_words import columns_of
from bayesmeta.estimates.counterfactual import (
    ASSOCIATION,
    as_names,
    average_benchmarks,
    check_by,
    choose_kind,
    mean_score_at,
)
from bayesmeta.estimates.evidence_card import list_outside
from bayesmeta.estimates.question import Sizes, check_fit, find_decision, read_sizes
from bayesmeta.estimates.summary import check_ci_prob, estimate_probability, outline, quantiles
from bayesmeta.inference.diagnostics import thin_fit
from bayesmeta.model.predictor import Array
from bayesmeta.tables.headed_columns import head
from bayesmeta.tables.notebook import NotebookView, show_table

if TYPE_CHECKING:
    from bayesmeta.design.facts import Settings
    from bayesmeta.inference.fits import Fit


_SHARE_GRID = np.linspace(0, 100, 41)
_N_GRID = 25
_MAX_DRAWS = 1000
"""Draws along a curve: one every few of a full fit, which changes no reported digit."""


@dataclass(frozen=True, eq=False, repr=False)
class Curve(NotebookView):
    """Draws of a dose-response curve.

    Parameters
    ----------
    draws
        Percentage points above the first point of the grid, dims chain, draw, target, grid;
        benchmarks with their `label` as a coordinate.
    decision
        Name of the decision.
    by
        What a target is: a benchmark, a task family, or all benchmarks.
    recorded
        Values of the LMs that record the decision, shape (lm,).
    kind
        Whether it is of an `association`, an `effect`, or an effect in a `new_setting`.
    units
        Unit of the grid.
    at
        Size and tokens that all LMs were given; none where they have their own.
    outside
        Which of these lie outside the data.
    """

    draws: xr.DataArray
    decision: str
    by: str
    recorded: np.ndarray
    kind: str = ASSOCIATION
    units: str = "value"
    at: Sizes = ()
    outside: tuple[str, ...] = ()

    def table(self, *, ci_prob: float = defaults.CI_PROB) -> pd.DataFrame:
        """Summarise every point by median and equal-tailed interval of probability `ci_prob`.

        Returns
        -------
        pandas.DataFrame
            Columns target, grid, estimate, lower, upper, ci_prob, kind; `at`, the size and tokens
            that all LMs were given, if any.
        """
        table = _tabulate_grid(self.draws, ci_prob=ci_prob)
        return table.assign(kind=self.kind, **columns_of(self.at, self.outside))

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
            end of the grid, where the curve may rise further, with the larger MCSE of the two; and
            the kind.
        """
        grid = self.draws["grid"].values
        best = grid[self.draws.argmax("grid").transpose("target", "chain", "draw").values]
        places = dict(zip(map(str, self.draws["target"].values), best, strict=True))
        table = _tabulate_places(places, grid=grid, ci_prob=ci_prob).rename_axis("target")
        table = table.rename(columns={"mcse": "mcse_edges"})
        inside = [estimate_probability((band[0] <= at) & (at <= band[1])) for at in best]
        table.insert(4, f"prob_between_{band[0]:g}_{band[1]:g}", [p.estimate for p in inside])
        table.insert(5, "mcse", [p.mcse for p in inside])
        table = table.assign(kind=self.kind, **columns_of(self.at, self.outside))
        return head(table, units=self.units)

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
        targets = [str(name) for name in self.draws["target"].values]
        what = {"allowed": targets, "what": "target", "said": "is not in this curve"}
        (gain,) = as_names(gain, **what)
        names = [n for n in targets if n != gain] if loss is None else as_names(loss, **what)
        if gain in names or not names:
            raise QueryError(
                f"a trade-off needs a gain and a loss that differ, not '{gain}' and "
                f"'{listing(names)}'. Name other targets, of a curve by task_family or benchmark."
            )
        return Tradeoff(
            gain=self.draws.sel(target=gain, drop=True),
            loss=self.draws.sel(target=names).mean("target"),
            gain_name=gain,
            loss_names=tuple(names),
            weights=_read_weights(weights),
            decision=self.decision,
            units=self.units,
            recorded=self.recorded,
            kind=self.kind,
            at=self.at,
            outside=self.outside,
        )

    def _show_parts(self) -> Iterator[str]:
        yield self._show_title()
        yield show_table(self.optimum(), whole=".optimum()")

    def __repr__(self) -> str:
        sizes = self.draws.sizes
        where = f"{sizes['grid']} points on {sizes['target']} targets"
        return f"Curve({self.kind} of {self.decision} at {where})"


def curve(
    fit: Fit,
    decision: str = "code_share",
    *,
    by: str = "task_family",
    kind: str | None = None,
    at: Settings | None = None,
) -> Curve:
    """Compute the expected score along a numeric decision, draw by draw.

    Every LM of the data is given each value of the grid in turn, all its other recorded facts held
    as they are; a part of the training mix takes its place from the other parts in proportion.

    Parameters
    ----------
    fit
        The fit.
    decision
        Name of a decision measured in percent or as a number.
    by
        `benchmark`, `task_family` or `overall`.
    kind
        Whether scores change by the `effect` of the decision, by that in a `new_setting`, or by its
        `association`; the effect where the fit tells it, if left out.
    at
        Size and tokens that all LMs are given first, such as `{"n_params": 7e9, "n_tokens": 2e12}`;
        their own if left out.

    Returns
    -------
    Curve
        Draws, with `.table()`, `.optimum()` and `.tradeoff()`.

    Raises
    ------
    QueryError
        If the decision is not in the fit or has levels instead of values, or `by` or `kind` is not
        known.

    Examples
    --------
    >>> import bayesmeta as bm
    >>> curve = bm.curve(bm.load_reference_fit(), "code_share")
    >>> float(curve.draws.sel(grid=0).max())
    0.0
    """
    check_fit(fit)
    found = find_decision(fit.design, decision)
    decision = found.name
    if found.kind == "categorical":
        known = fit.design.known_decisions
        numeric = [name for name, item in known.items() if item.kind != "categorical"]
        raise QueryError(
            f"decision '{decision}' has levels, not values, so it has no curve. Allowed: "
            f"{listing(numeric)}."
        )
    check_by(by)
    chosen = choose_kind(fit, kind)
    values = fit.design.recorded[decision]
    recorded = values[~np.isnan(values)]
    spaced = np.geomspace if found.is_log else np.linspace
    ends = recorded.min(), recorded.max()
    grid = _SHARE_GRID if found.kind == "share" else spaced(*ends, _N_GRID)
    thin = thin_fit(fit, draws=_MAX_DRAWS) if np.prod(fit.shape) > _MAX_DRAWS else fit
    sizes = read_sizes(fit.design, at)
    scores = np.stack(
        [mean_score_at(thin, settings={decision: x}, kind=chosen, at=sizes) for x in grid], axis=-1
    )
    draws = average_benchmarks(scores - scores[..., :1], fit=thin, by=by).assign_coords(grid=grid)
    if by == "benchmark":
        draws = draws.assign_coords(label=("target", list(fit.design.benchmark_labels)))
    return Curve(draws=draws, decision=decision, by=by, recorded=recorded, kind=chosen,
                 units=found.unit or ("%" if found.kind == "share" else "value"),
                 at=sizes, outside=list_outside(fit, sizes))  # fmt: skip


_FLAT = 1e-9
"""Percentage points: a step down by less is rounding, not a loss."""


@dataclass(frozen=True, eq=False, repr=False)
class Tradeoff(NotebookView):
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
        Values of the LMs that record the decision, shape (lm,).
    kind
        Whether it is of an `association`, an `effect`, or an effect in a `new_setting`.
    at
        Size and tokens that all LMs were given; none where they have their own.
    outside
        Which of these lie outside the data.
    """

    gain: xr.DataArray
    loss: xr.DataArray
    gain_name: str
    loss_names: tuple[str, ...]
    weights: tuple[float, float]
    decision: str
    units: str
    recorded: Array
    kind: str = ASSOCIATION
    at: Sizes = ()
    outside: tuple[str, ...] = ()

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
        """Summarise where the loss starts and the sum is best, with intervals of `ci_prob`.

        Returns
        -------
        pandas.DataFrame
            Indexed by place (`loss_starts`, `best_sum`): median and interval in the unit of the
            grid; the probabilities that the place is at either end of the grid, where it stands
            for a loss from the start on, for none, or for a sum that is best beyond; the larger
            MCSE of the two; and the kind.
        """
        places = {"loss_starts": self.loss_starts.values, "best_sum": self.best_sum.values}
        table = _tabulate_places(places, grid=self.gain["grid"].values, ci_prob=ci_prob)
        table = table.assign(kind=self.kind, **columns_of(self.at, self.outside))
        return head(table.rename_axis("place"), units=self.units)

    def path(self, *, ci_prob: float = defaults.CI_PROB) -> pd.DataFrame:
        """Summarise gain and loss at every point of the grid, with intervals of `ci_prob`.

        Returns
        -------
        pandas.DataFrame
            Columns side (`gain`, `loss`), target, grid, estimate, lower, upper, ci_prob, kind.
        """
        names = pd.Index([self.gain_name, self.loss_label], name="target")
        table = _tabulate_grid(xr.concat([self.gain, self.loss], dim=names), ci_prob=ci_prob)
        table.insert(0, "side", np.repeat(["gain", "loss"], len(table) // 2))
        return table.assign(kind=self.kind, **columns_of(self.at, self.outside))

    @property
    def loss_label(self) -> str:
        """Name of what loses."""
        names = self.loss_names
        return names[0] if len(names) == 1 else f"mean of {listing(names)}"

    def _show_parts(self) -> Iterator[str]:
        yield self._show_title()
        yield show_table(self.table(), whole=".table()")

    def __repr__(self) -> str:
        what = f"{self.gain_name} against {self.loss_label} along {self.decision}"
        return outline(self, what, self.gain)


def _tabulate_grid(draws: xr.DataArray, *, ci_prob: float) -> pd.DataFrame:
    """Summarise draws of every target at every point of the grid."""
    check_ci_prob(ci_prob)
    values = draws.transpose("chain", "draw", "target", "grid").values
    lower, estimate, upper = quantiles(values, ci_prob=ci_prob, axis=(0, 1))
    targets, grid = draws["target"].values, draws["grid"].values
    return pd.DataFrame(
        {"target": np.repeat(targets, len(grid)), "grid": np.tile(grid, len(targets)),
         "estimate": estimate.ravel(), "lower": lower.ravel(), "upper": upper.ravel(),
         "ci_prob": ci_prob}
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


def _tabulate_places(places: Mapping[str, Array], *, grid: Array, ci_prob: float) -> pd.DataFrame:
    """Summarise draws of places on a grid: median, interval, probability of either edge.

    Parameters
    ----------
    places
        Points of the grid, each of shape (chain, draw), by name.
    grid
        The grid, rising.
    ci_prob
        Probability of the equal-tailed interval.

    Returns
    -------
    pandas.DataFrame
        One row per place; `mcse` is the larger one of the two probabilities.
    """
    check_ci_prob(ci_prob)
    rows = {}
    for name, values in places.items():
        lower, estimate, upper = quantiles(values, ci_prob=ci_prob)
        low, high = (estimate_probability(values == edge) for edge in (grid[0], grid[-1]))
        rows[name] = {
            "estimate": estimate, "lower": lower, "upper": upper, "ci_prob": ci_prob,
            "prob_at_lower_edge": low.estimate, "prob_at_upper_edge": high.estimate,
            "mcse": max(low.mcse, high.mcse),
        }  # fmt: skip
    return pd.DataFrame.from_dict(rows, orient="index")
