"""Figures along a decision: a curve, a trade-off, and where a place on either of them lies."""

from __future__ import annotations

from typing import Any, Unpack

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from numpy.typing import NDArray

from bayesmeta import defaults
from bayesmeta.estimates.curves import Curve, Tradeoff
from bayesmeta.plots.figure import Drawn, Layout, drawn_from
from bayesmeta.plots.layout import Page, balance
from bayesmeta.plots.look import COLUMN_WIDTH, INK, PAGE_WIDTH, pt
from bayesmeta.plots.marks import (
    chance,
    draw_band,
    draw_recorded,
    draw_zero,
    interval_words,
    short,
)
from bayesmeta.tables.wording import KIND_WORDS, readable

_COLUMNS = 5
_NARROWEST = 1.35
"""Inches that a panel needs for its title."""

_PANEL = 1.65
"""Height of a panel with its title in inches."""

_STRIP = 0.2
"""Height of the strip at the foot of a panel, as a share of it."""


@drawn_from(Curve, made_by="bm.curve")
def curve(draws: Curve, *, ci_prob: float = defaults.CI_PROB, **how: Unpack[Layout]) -> Drawn:
    """Draw the expected score along a numeric decision, one panel per target.

    Below each panel stand the posterior probabilities of the points of the grid as the place of
    the maximum.

    Parameters
    ----------
    draws
        Draws of the curve.
    ci_prob
        Probability of the equal-tailed band.

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
    page = Page(how)
    table, band = _tabulate(draws, page, ci_prob=ci_prob)
    names = list(dict.fromkeys(table["target"]))
    means = [table.loc[table["target"] == name, "estimate"].max() for name in names]
    shown = _name_targets(draws)
    order = page.arrange([(name, shown[name]) for name in names], means)
    targets = [names[k] for k in order]
    most = max(1, min(_COLUMNS, int(page.inches(PAGE_WIDTH) / _NARROWEST)))
    columns = balance(len(targets), most)
    rows = -(-len(targets) // columns)
    panels = page.panels(len(targets), columns=columns, width=PAGE_WIDTH, sharex=True,
                         height=0.15 + _PANEL * rows, sharey=page.is_own)  # fmt: skip
    for target, axes in zip(targets, panels, strict=True):
        points = table[table["target"] == target]
        _draw_panel(axes, points, draws)
        name = page.label(target, shown=shown[target], most=24)
        axes.set_title(f"{name}\n{_say_optimum(points, band)}".strip(), loc="left", fontsize=pt(6))
    for axes in panels[:1] if page.is_own else panels:  # its own panels share their height
        low, high = axes.get_ylim()
        axes.set_ylim(low - (high - low) * _STRIP / (1 - _STRIP), high)
    for target, axes in zip(targets, panels, strict=True):
        _draw_strip(axes, table[table["target"] == target])
    words = interval_words(ci_prob, inner=page.inner(ci_prob))
    return page.finish(
        table,
        xlabel=f"{readable(draws.decision)} ({draws.units})",
        ylabel="change in score (percentage points)",
        note=[f"Change from the left edge, by {KIND_WORDS[draws.kind]}: median and {words}.",
              "Ticks: recorded LMs; bars: posterior probability that the maximum lies there, the "
              "highest as the number says."],
    )  # fmt: skip


def _name_targets(draws: Curve) -> dict[str, str]:
    """Names of the targets as they are written."""
    names = [str(name) for name in draws.draws["target"].values]
    labels = draws.draws["label"].values if "label" in draws.draws.coords else map(readable, names)
    return dict(zip(names, map(str, labels), strict=True))


def _draw_strip(axes: Axes, points: pd.DataFrame) -> None:
    """Draw a strip at the foot of a panel: where its maximum lies."""
    strip = axes.inset_axes((0, 0.03, 1, 0.85 * _STRIP), sharex=axes)
    strip.patch.set_alpha(0)
    strip.spines[:].set_visible(False)
    draw_mass(strip, points["grid"], points["prob_optimum"], bar=1.2)
    strip.tick_params(axis="y", pad=pt(1), left=False, labelleft=False, labelright=True)
    strip.tick_params(axis="x", bottom=False, labelbottom=False)


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


def _tabulate(draws: Curve, page: Page, *, ci_prob: float) -> tuple[pd.DataFrame, str | None]:
    """Build the table drawn, and find the column of the band if the grid holds the band."""
    table = page.tabulate(draws.table, ci_prob)
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
    draw_bands(axes, points, color="#56B4E9", alpha=0.4)
    axes.plot(points["grid"], points["estimate"], color="#0072B2", linewidth=pt(1.2))
    draw_recorded(axes, draws.recorded)
    axes.tick_params(axis="x", length=0, labelbottom=True)


def draw_bands(axes: Axes, points: pd.DataFrame, *, color: str, alpha: float) -> None:
    """Draw the outer band, and the inner one on it where there is one."""
    draw_band(axes, points, "grid", color=color, alpha=alpha)
    if "inner_lower" in points:
        within = points.drop(columns=["lower", "upper"])
        names = {"inner_lower": "lower", "inner_upper": "upper"}
        draw_band(axes, within.rename(columns=names), "grid", color=color, alpha=alpha)


def _say_optimum(points: pd.DataFrame, band: str | None) -> str:
    if band is None:
        return ""
    low, high = band.split("_")[2:]
    return f"Pr(best at {low}-{high}) {chance(float(points[band].iloc[0]))}"


_SIDES: dict[str, dict[str, Any]] = {
    "gain": {"color": "#D55E00", "linestyle": "--"},
    "loss": {"color": "#0072B2", "linestyle": "-"},
}


@drawn_from(Tradeoff, Curve, made_by="bm.curve or its method tradeoff")
def tradeoff(
    draws: Tradeoff | Curve, *, ci_prob: float = defaults.CI_PROB, **how: Unpack[Layout]
) -> Drawn:
    """Draw what gains and what pays along a decision, and where the loss starts.

    Parameters
    ----------
    draws
        A trade-off; of a curve, that of code against all other targets.
    ci_prob
        Probability of the equal-tailed bands and intervals.

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
    page = Page(how)
    path, places = page.tabulate(found.path, ci_prob), found.table(ci_prob=ci_prob)
    masses = {str(name): _mass(found, str(name), place) for name, place in places.iterrows()}
    top, *strips = page.panels(3, width=COLUMN_WIDTH, height=2.4, sharex=True,
                               height_ratios=(6, 1, 1))  # fmt: skip
    _draw_sides(page, top, path, found)
    for axes, (name, place) in zip(strips, places.iterrows(), strict=True):
        mass = masses[str(name)]
        draw_mass(axes, mass["grid"], mass["probability"], bar=2)
        axes.set_title(
            _title_of_place(str(name), place, found), loc="left", pad=pt(3), fontsize=pt(5.6)
        )
    words = interval_words(ci_prob, inner=page.inner(ci_prob), noun="intervals")
    top.set_ylabel("change in score\n(percentage points)")
    drawn = page.finish(
        pd.concat([path, *masses.values()], ignore_index=True),
        xlabel=f"{readable(found.decision)} ({found.units})",
        note=[f"Change from the left edge, by {KIND_WORDS[found.kind]}: medians; bands: "
              f"{words}; brackets: {interval_words(ci_prob)}.",
              "Ticks: recorded LMs; bars: posterior probability."],
    )  # fmt: skip
    top.set_xlabel("")
    return drawn


def _mass(found: Tradeoff, name: str, place: pd.Series) -> pd.DataFrame:
    """Tabulate where a place lies: a row per point of the grid, with what sums it up."""
    values, grid = getattr(found, name).values, found.gain["grid"].values
    mass = pd.DataFrame({"side": name, "grid": grid, "probability": place_mass(values, grid)})
    return mass.assign(**{f"place_{key}": place[key] for key in ("estimate", "lower", "upper")})


def _draw_sides(page: Page, axes: Axes, path: pd.DataFrame, found: Tradeoff) -> None:
    n = len(found.loss_names)
    loss = found.loss_label if n <= 2 else f"mean of the {n} other tasks"
    draw_zero(axes, upright=False)
    for (side, style), label in zip(_SIDES.items(), (found.gain_name, loss), strict=True):
        points = path[path["side"] == side]
        draw_bands(axes, points, color=style["color"], alpha=0.16)
        axes.plot(points["grid"], points["estimate"], linewidth=pt(1.2), **style,
                  label=page.label(label, shown=readable(label)))  # fmt: skip
    draw_recorded(axes, found.recorded)
    axes.tick_params(axis="x", length=0)
    page.legend(ncols=2, pad=0.8, gap=2)


def _title_of_place(name: str, place: pd.Series, found: Tradeoff) -> str:
    low, high = found.gain["grid"].values[[0, -1]]
    what = "loss starts at" if name == "loss_starts" else f"best sum ({_weights(found)}) at"
    edges = {low: place["prob_at_lower_edge"], high: place["prob_at_upper_edge"]}
    likely = max(edges, key=lambda edge: edges[edge])
    return (
        f"{what} {place['estimate']:.3g} [{place['lower']:.3g}, {place['upper']:.3g}]; "
        f"Pr({likely:g}) {chance(float(edges[likely]))}"
    )


def _weights(found: Tradeoff) -> str:
    first, second = found.weights
    return "equal weights" if np.isclose(first, second) else f"weights {first:.2g} : {second:.2g}"
