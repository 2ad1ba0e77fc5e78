"""What figures are drawn of: panels, intervals, bands, dots, and the words that explain them."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.font_manager import FontProperties
from matplotlib.textpath import TextToPath
from numpy.typing import NDArray

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


def interval_words(ci_prob: float, *, inner: float | None = None, noun: str = "interval") -> str:
    """Name the kind and probability of what is drawn, such as `90 % equal-tailed intervals`."""
    also = "" if inner is None else f"{percent(inner, whole=False)} and "
    return f"{also}{percent(ci_prob, whole=False)} equal-tailed {noun}"


def chance(probability: float) -> str:
    """Write a probability in percent, with a digit more near 0 and 1; never as 0 or 100.

    Examples
    --------
    >>> chance(0.53), chance(0.998), chance(1.0), chance(0.0)
    ('= 53 %', '= 99.8 %', '> 99.9 %', '< 0.1 %')
    """
    if not 0.0005 <= probability < 0.9995:
        return "< 0.1 %" if probability < 0.5 else "> 99.9 %"
    return f"= {100 * probability:.{int(not 0.05 <= probability < 0.95)}f} %"


def count_columns(width: float, labels: Sequence[str]) -> int:
    """Count the columns of a legend that fit so many inches; a mark is as wide as four letters."""
    longest = max(len(printable(name)) for name in labels)
    return max(1, min(len(labels), int(_LETTERS * width) // (longest + 4)))


def measure(texts: Iterable[str], size: float) -> float:
    """Measure the widest of some texts, in inches on paper at a size in points."""
    font, path = FontProperties(size=size), TextToPath()
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph .* missing from")  # a box is as wide
        widths = [path.get_text_width_height_descent(text, font, False)[0] for text in texts]
    return max(widths, default=0.0) / 72


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
    """Draw middles of a table as markers, and `lower` to `upper` as lines, at places of an axis.

    Where the table has `inner_lower` and `inner_upper`, a thicker line joins them.
    """
    middles = table[middle]
    x, y = (places, middles) if upright else (middles, places)
    which = "yerr" if upright else "xerr"
    if "inner_lower" in table:
        within = {key: style[key] for key in ("color", "zorder") if key in style}
        axes.errorbar(x, y, **{which: _reach(table, middles, "inner_")}, fmt="none",
                      elinewidth=pt(2.2 * line), ecolor=within.pop("color", INK),
                      **within)  # fmt: skip
    axes.errorbar(x, y, **{which: _reach(table, middles, "")}, linestyle="none",
                  markersize=pt(size), elinewidth=pt(line), markeredgewidth=pt(edge),
                  **style)  # fmt: skip


def _reach(table: pd.DataFrame, middles: pd.Series, part: str) -> NDArray[np.float64]:
    """How far an interval reaches below and above its middle, as matplotlib wants it."""
    ends = middles - table[f"{part}lower"], table[f"{part}upper"] - middles
    return np.clip(np.stack(ends), 0, None)


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


def write_number(
    axes: Axes, text: str, at: tuple[float, float], *, size: float = 6.0, **style: Any
) -> None:
    """Write a small text at a height of an axis, beside it."""
    axes.annotate(text, at, xycoords=axes.get_yaxis_transform(), fontsize=pt(size), color=INK,
                  annotation_clip=False, **style)  # fmt: skip


def label_rows(axes: Axes, places: Any, labels: Sequence[str], **style: Any) -> None:
    """Name rows beside an axis without ticks."""
    axes.set_yticks(places, labels, **style)
    axes.tick_params(axis="y", length=0)


def draw_recorded(axes: Axes, recorded: NDArray[np.float64]) -> None:
    """Mark the recorded values on the horizontal axis."""
    values = np.unique(recorded)
    axes.plot(values, np.zeros(len(values)), "|", color=INK, markersize=pt(4),
              markeredgewidth=pt(0.5), transform=axes.get_xaxis_transform(),
              clip_on=False)  # fmt: skip
