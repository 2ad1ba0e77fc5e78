"""What figures are drawn of: panels, intervals, bands, dots, and the words that explain them."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from bayesmeta.plots.figure import build_figure
from bayesmeta.plots.look import FAINT, INK, pt
from bayesmeta.tables.wording import percent

_LETTERS = 18.5
"""Letters of 7 points that an inch holds."""


def printable(name: object, *, most: int = 32) -> str:
    """Write a name of the data as a label: not too long, with no character read as markup."""
    text = " ".join(str(name).split())
    text = text if len(text) <= most else f"{text[: most - 3]}..."
    return f" {text}".replace("$", r"\$") if text.startswith("_") else text.replace("$", r"\$")


def short(probability: float) -> str:
    """Two digits; what would round to 0 or 1 prints as a bound."""
    if probability > 0.995:
        return "> .99"
    return "< .01" if probability < 0.005 else f"{probability:.2f}".lstrip("0")


def equals(probability: float) -> str:
    """Write what a probability is: `= .53`, or a bound."""
    text = short(probability)
    return text if text[0] in "<>" else f"= {text}"


def interval_words(ci_prob: float, *, noun: str = "interval") -> str:
    """Name the kind and probability of what is drawn, such as `90 % equal-tailed intervals`."""
    return f"{percent(ci_prob, whole=False)} equal-tailed {noun}"


def write_below(figure: Figure, *lines: str, beside: str = "") -> None:
    """Write what axis and marks are below a figure, in lines that fit, and beside it."""
    most = _count_letters(figure)
    fitting = [textwrap.fill(line, most, break_on_hyphens=False) for line in lines]
    figure.supxlabel("\n".join(fitting), fontsize=pt(7))
    if beside:
        figure.supylabel(beside, fontsize=pt(7))


def count_columns(figure: Figure, labels: Sequence[str]) -> int:
    """Count the columns of a legend that fit a figure; a mark is as wide as four letters."""
    longest = max(len(printable(name)) for name in labels)
    return max(1, min(len(labels), _count_letters(figure) // (longest + 4)))


def _count_letters(figure: Figure) -> int:
    return int(_LETTERS * figure.get_figwidth() / pt(1))


def lay_out(
    titles: Sequence[str],
    *,
    columns: int,
    width: float,
    heights: tuple[float, float],
    most: int = 32,
    sharex: bool = False,
    sharey: bool = False,
) -> tuple[Figure, list[Axes]]:
    """Lay out one panel per title, row by row.

    Parameters
    ----------
    titles
        Titles of the panels.
    columns
        At most so many panels in a row.
    width
        Width in inches.
    heights
        Inches of all but the panels, and of a panel with its title.
    most
        Letters of a title.
    sharex, sharey
        As matplotlib takes them.
    """
    columns = min(columns, len(titles))
    rows = -(-len(titles) // columns)
    figure = build_figure(width=width, height=heights[0] + heights[1] * rows)
    grid = figure.subplots(rows, columns, sharex=sharex, sharey=sharey, squeeze=False)
    for axes in grid.flat[len(titles) :]:
        axes.set_visible(False)
    panels = list(grid.flat[: len(titles)])
    for axes, title in zip(panels, titles, strict=True):
        axes.set_title(printable(title, most=most), loc="left")
    for axes in panels[-columns:]:  # some have no panel below them
        axes.tick_params(axis="x", labelbottom=True)
    return figure, panels


def draw_intervals(
    axes: Axes,
    table: pd.DataFrame,
    places: Any,
    *,
    size: float,
    line: float,
    edge: float = 0.0,
    middle: str = "estimate",
    upright: bool = False,
    **style: Any,
) -> None:
    """Draw middles of a table as markers, and `lower` to `upper` as lines, at places of an axis."""
    middles = table[middle]
    error = np.stack([middles - table["lower"], table["upper"] - middles])
    x, y = (places, middles) if upright else (middles, places)
    axes.errorbar(x, y, **{"yerr" if upright else "xerr": error}, linestyle="none",
                  markersize=pt(size), elinewidth=pt(line), markeredgewidth=pt(edge),
                  **style)  # fmt: skip


def draw_zero(axes: Axes, *, upright: bool = True, **style: Any) -> None:
    """Draw the line of no difference."""
    draw = axes.axvline if upright else axes.axhline
    draw(0, color=FAINT, linewidth=pt(0.6), **style)


def draw_band(
    axes: Axes, points: pd.DataFrame, along: str, *, color: str, alpha: float, **style: Any
) -> None:
    """Draw the band from `lower` to `upper` along a column of a table."""
    axes.fill_between(points[along], points["lower"], points["upper"], color=color, alpha=alpha,
                      linewidth=0, **style)  # fmt: skip


def draw_dots(axes: Axes, x: Any, y: Any, marker: str, *, size: float, **style: Any) -> None:
    """Draw marks without edges and without lines between them."""
    axes.plot(
        x, y, marker=marker, markersize=pt(size), linestyle="none", markeredgewidth=0, **style
    )


def write_number(axes: Axes, text: str, at: tuple[float, float], **style: Any) -> None:
    """Write a small text at a height of an axis, beside it."""
    axes.annotate(text, at, xycoords=axes.get_yaxis_transform(), fontsize=pt(6), color=INK,
                  annotation_clip=False, **style)  # fmt: skip


def label_rows(axes: Axes, places: Any, labels: Sequence[str], **style: Any) -> None:
    """Name rows beside an axis without ticks."""
    axes.set_yticks(places, labels, **style)
    axes.tick_params(axis="y", length=0)


def legend_above(
    figure: Any, *given: Any, ncols: int, pad: float = 0.3, gap: float = 1.2, **style: Any
) -> None:
    """Write the legend above a figure, marks and columns some letters apart."""
    figure.legend(*given, loc="outside upper center", ncols=ncols, handletextpad=pad,
                  columnspacing=gap, **style)  # fmt: skip


def draw_recorded(axes: Axes, recorded: NDArray[np.float64]) -> None:
    """Mark the recorded values on the horizontal axis."""
    values = np.unique(recorded)
    axes.plot(values, np.zeros(len(values)), "|", color=INK, markersize=pt(4),
              markeredgewidth=pt(0.5), transform=axes.get_xaxis_transform(),
              clip_on=False)  # fmt: skip
