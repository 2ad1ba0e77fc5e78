"""Figures along a decision: a curve, a trade-off, and where a place on either of them lies."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from numpy.typing import NDArray

from bayesmeta import defaults
from bayesmeta.estimates.curves import Curve, Tradeoff
from bayesmeta.plots.figure import Drawn, build_figure, drawn_from
from bayesmeta.plots.look import COLUMN_WIDTH, INK, PAGE_WIDTH, pt
from bayesmeta.plots.marks import (
    draw_band,
    draw_recorded,
    draw_zero,
    equals,
    interval_words,
    legend_above,
    printable,
    short,
    write_below,
)
from bayesmeta.tables.wording import KIND_WORDS

_COLUMNS = 4
_NARROWEST = 1.6
"""Inches that a panel needs for its title."""

_PANEL, _STRIP = 1.3, 0.3
"""Heights of a panel with its title, and of the strip below it, in inches."""


@drawn_from(Curve, made_by="bm.curve")
def curve(draws: Curve, *, ci_prob: float = defaults.CI_PROB, width: float = PAGE_WIDTH) -> Drawn:
    """Draw the expected score along a numeric decision, one panel per target.

    Below each panel stand the posterior probabilities of the points of the grid as the place of
    the maximum.

    Parameters
    ----------
    draws
        Draws of the curve.
    ci_prob
        Probability of the equal-tailed band.
    width
        Width in inches.

    Returns
    -------
    Drawn
        The figure and the points drawn: the table of the curve, with `prob_optimum`, the
        probability that the maximum lies at that point, and the probability of the band that
        titles name.

    Examples
    --------
    >>> import bayesmeta as bm
    >>> drawn = curve(bm.curve(bm.load_reference_fit(), "code_share"))
    >>> drawn.table.groupby("target")["prob_optimum"].sum().round(6).unique().tolist()
    [1.0]
    """
    table, band = _tabulate(draws, ci_prob=ci_prob)
    targets = list(dict.fromkeys(table["target"]))
    columns = max(1, min(_COLUMNS, len(targets), int(width / _NARROWEST)))
    rows = -(-len(targets) // columns)
    figure = build_figure(width=width, height=0.65 + (_PANEL + _STRIP) * rows)
    grid = figure.subplots(
        2 * rows, columns, sharex=True, squeeze=False, height_ratios=[_PANEL - 0.3, _STRIP] * rows
    )
    upper, lower = grid[::2].ravel(), grid[1::2].ravel()
    for axes in (*upper[len(targets) :], *lower[len(targets) :]):
        axes.set_visible(False)
    for k, (target, axes, strip) in enumerate(zip(targets, upper, lower, strict=False)):
        points = table[table["target"] == target]
        _draw_panel(axes, points, draws)
        axes.set_title(_title(target, points, band), loc="left")
        draw_mass(strip, points["grid"], points["prob_optimum"], bar=1.4)
        is_lowest = k + columns >= len(targets)  # some have no panel below them
        strip.tick_params(axis="x", labelbottom=is_lowest)
    name = printable(draws.decision.replace("_", " "))
    write_below(
        figure,
        f"{name} ({draws.units}); ticks: recorded LMs; line and band: median and "
        f"{interval_words(ci_prob)},",
        f"by {KIND_WORDS[draws.kind]}; bars: posterior probability that the maximum lies there",
        beside="change in score from the left\nedge (percentage points)",
    )
    return Drawn(figure, table)


def place_mass(values: NDArray[np.float64], grid: NDArray[np.float64]) -> list[float]:
    """Give the share of draws of a place that lie at every point of the grid."""
    return [float((values == point).mean()) for point in grid]


def draw_mass(axes: Axes, grid: pd.Series, probability: pd.Series, *, bar: float) -> None:
    """Draw a strip of bars as high as probabilities; the one tick is the highest of them.

    Parameters
    ----------
    axes
        The strip.
    grid, probability
        Points, and what they have.
    bar
        Width of a bar in points on paper.
    """
    highest = float(probability.max())
    axes.vlines(grid, 0, probability, color=INK, linewidth=pt(bar))
    axes.set_ylim(0, max(1e-9, highest))
    axes.set_yticks([highest], [short(highest)], fontsize=pt(6))
    axes.tick_params(axis="y", length=0)
    axes.spines["left"].set_visible(False)


def _tabulate(draws: Curve, *, ci_prob: float) -> tuple[pd.DataFrame, str | None]:
    """Build the table drawn, and find the column of the band if the grid holds the band."""
    table = draws.table(ci_prob=ci_prob)
    grid = draws.draws["grid"].values
    best = grid[draws.draws.argmax("grid").transpose("target", "chain", "draw").values]
    table["prob_optimum"] = np.concatenate([place_mass(values, grid) for values in best])
    low, high = defaults.OPTIMUM_BAND
    if low < grid[0] or high > grid[-1]:
        return table, None
    optimum = draws.optimum(ci_prob=ci_prob)
    band = next(str(name) for name in optimum.columns if str(name).startswith("prob_between"))
    return table.assign(**{band: table["target"].map(optimum[band])}), band


def _draw_panel(axes: Axes, points: pd.DataFrame, draws: Curve) -> None:
    draw_zero(axes, upright=False)
    draw_band(axes, points, "grid", color="#56B4E9", alpha=0.45)
    axes.plot(points["grid"], points["estimate"], color="#0072B2", linewidth=pt(1.2))
    draw_recorded(axes, draws.recorded)
    axes.tick_params(axis="x", length=0, labelbottom=False)


def _title(target: str, points: pd.DataFrame, band: str | None) -> str:
    name = printable(target.replace("_", " "), most=24)
    if band is None:
        return name
    low, high = band.split("_")[2:]
    return f"{name}\nP(best at {low}-{high}) {equals(float(points[band].iloc[0]))}"


_SIDES: dict[str, dict[str, Any]] = {
    "gain": {"color": "#D55E00", "linestyle": "--"},
    "loss": {"color": "#0072B2", "linestyle": "-"},
}


@drawn_from(Tradeoff, Curve, made_by="bm.curve or its method tradeoff")
def tradeoff(
    draws: Tradeoff | Curve, *, ci_prob: float = defaults.CI_PROB, width: float = COLUMN_WIDTH
) -> Drawn:
    """Draw what gains and what pays along a decision, and where the loss starts.

    Parameters
    ----------
    draws
        A trade-off; of a curve, that of code against all other targets.
    ci_prob
        Probability of the equal-tailed bands and intervals.
    width
        Width in inches.

    Returns
    -------
    Drawn
        The figure and its numbers: both curves, and the posterior probability of every point of
        the grid as the place where the loss starts or the weighted sum is best, with median and
        interval of that place (`place_estimate`, `place_lower`, `place_upper`).

    Examples
    --------
    >>> import bayesmeta as bm
    >>> drawn = tradeoff(bm.curve(bm.load_reference_fit()))
    >>> drawn.table["side"].unique().tolist()
    ['gain', 'loss', 'loss_starts', 'best_sum']
    """
    found = draws.tradeoff() if isinstance(draws, Curve) else draws
    path, places = found.path(ci_prob=ci_prob), found.table(ci_prob=ci_prob)
    masses = {str(name): _mass(found, str(name), place) for name, place in places.iterrows()}
    figure = build_figure(width=width, height=3.0)
    top, *strips = figure.subplots(3, 1, sharex=True, height_ratios=(6, 1, 1))
    _draw_sides(top, path, found)
    for axes, (name, place) in zip(strips, places.iterrows(), strict=True):
        mass = masses[str(name)]
        draw_mass(axes, mass["grid"], mass["probability"], bar=2)
        axes.set_title(
            _title_of_place(str(name), place, found), loc="left", pad=pt(3), fontsize=pt(6)
        )
    name = found.decision.replace("_", " ")
    write_below(
        figure,
        f"{name} ({found.units}); ticks: recorded LMs; change: from the left edge, by "
        f"{KIND_WORDS[found.kind]}; lines: medians; "
        f"bands, brackets: {interval_words(ci_prob, noun='intervals')}; bars: posterior "
        "probability",
    )
    return Drawn(figure, pd.concat([path, *masses.values()], ignore_index=True))


def _mass(found: Tradeoff, name: str, place: pd.Series) -> pd.DataFrame:
    """Tabulate where a place lies: a row per point of the grid, with what sums it up."""
    values, grid = getattr(found, name).values, found.gain["grid"].values
    mass = pd.DataFrame({"side": name, "grid": grid, "probability": place_mass(values, grid)})
    return mass.assign(**{f"place_{key}": place[key] for key in ("estimate", "lower", "upper")})


def _draw_sides(axes: Axes, path: pd.DataFrame, found: Tradeoff) -> None:
    n = len(found.loss_names)
    loss = found.loss_label if n <= 2 else f"mean of the {n} other tasks"
    draw_zero(axes, upright=False)
    for (side, style), label in zip(_SIDES.items(), (found.gain_name, loss), strict=True):
        points = path[path["side"] == side]
        draw_band(axes, points, "grid", color=style["color"], alpha=0.2)
        axes.plot(points["grid"], points["estimate"], linewidth=pt(1.2), **style,
                  label=label.replace("_", " "))  # fmt: skip
    draw_recorded(axes, found.recorded)
    axes.tick_params(axis="x", length=0)
    axes.set_ylabel("change in score\n(percentage points)")
    legend_above(axes.figure, ncols=2, pad=0.8, gap=2)


def _title_of_place(name: str, place: pd.Series, found: Tradeoff) -> str:
    low, high = found.gain["grid"].values[[0, -1]]
    what = "loss starts" if name == "loss_starts" else f"best sum ({_weights(found)})"
    edges = {low: place["prob_at_lower_edge"], high: place["prob_at_upper_edge"]}
    likely = max(edges, key=lambda edge: edges[edge])
    return (
        f"{what}: {place['estimate']:.3g} [{place['lower']:.3g}, {place['upper']:.3g}], "
        f"P({likely:g}) {equals(float(edges[likely]))}"
    )


def _weights(found: Tradeoff) -> str:
    first, second = found.weights
    return "equal weights" if np.isclose(first, second) else f"weights {first:.2g} : {second:.2g}"
