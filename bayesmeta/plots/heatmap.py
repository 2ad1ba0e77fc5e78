"""The atlas: every contrast on every benchmark or task family, in one figure."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Colormap, Normalize
from matplotlib.patches import Patch, Rectangle
from numpy.typing import NDArray

from bayesmeta import defaults
from bayesmeta.data.decisions import UNDISCLOSED
from bayesmeta.errors import QueryError, listing
from bayesmeta.estimates.contrasts import Effects
from bayesmeta.estimates.question import BY, UNITS, UNITS_APART
from bayesmeta.plots.figure import Drawn, build_figure, drawn_from
from bayesmeta.plots.forests import EFFECTS_BY, group_targets, head_groups, name_contrast
from bayesmeta.plots.look import FAINT, INK, PAGE_WIDTH, diverging, is_dark, pt
from bayesmeta.tables.wording import name_few, signed

_ROW, _GAP = 0.15, 0.35
"""Height of a row in inches, and the gap between two groups in rows or columns."""

_LABELS, _REST = 1.85, 1.95
"""Inches left of the cells, and above and below them."""

_PAD = 0.2
"""Inches between the cells and the scale of colours."""

_TEXT = 5.8
"""Points of the numbers, where the cells are wide enough."""

_LUMINANCE = np.array([0.2126, 0.7152, 0.0722])
"""Weights of linear red, green and blue in how bright a colour is."""

_MIDDLE = 0.18
"""Luminance at which black and white stand out alike."""

_FRAMES: dict[str, dict[str, Any]] = {
    defaults.SUPPORTED: {"linestyle": "-", "linewidth": 1.1, "edgecolor": INK, "zorder": 2},
    defaults.CONFLICTING: {"linestyle": "--", "linewidth": 0.9, "edgecolor": INK, "zorder": 2},
    defaults.ASSOCIATION_ONLY: {"linewidth": 0},
    defaults.PRIOR_DOMINATED: {"linestyle": ":", "linewidth": 0.7, "edgecolor": FAINT, "zorder": 2},
}


@drawn_from(Effects, made_by=EFFECTS_BY)
def atlas(
    effects: Effects, *, ci_prob: float = defaults.CI_PROB, width: float = PAGE_WIDTH
) -> Drawn:
    """Draw contrasts against targets: direction and certainty as colour, size as a number.

    Orange cells hurt, blue ones help, the stronger the surer. Numbers are median effects. A solid
    frame marks what experiments support, a dashed one what they contradict; a dotted one, with the
    number in brackets, what is prior-dominated.

    Parameters
    ----------
    effects
        Effects by benchmark or by task family.
    ci_prob
        Probability of the equal-tailed intervals of the table.
    width
        Width in inches.

    Returns
    -------
    Drawn
        The figure and the table of the effects in it.

    Raises
    ------
    QueryError
        If the effects are those on lm families, of which there are too many for columns,
        or of no contrast.

    Examples
    --------
    >>> import bayesmeta as bm
    >>> drawn = atlas(bm.effects(bm.load_reference_fit(), "norm", by="task_family"))
    >>> len(drawn.table)
    16
    """
    if effects.by not in BY:
        raise QueryError(
            f"an atlas by '{effects.by}' would have {effects.draws.sizes['target']} columns. "
            f"Allowed: {listing(BY)}. Call effects with one of them, or plot.forest for one "
            "contrast."
        )
    table = effects.table(ci_prob=ci_prob)
    table = table[table["level"] != UNDISCLOSED].reset_index(drop=True)
    kept = [contrast for contrast in effects.contrasts if contrast.level != UNDISCLOSED]
    columns, order = group_targets(effects)
    rows = [name_contrast(contrast) for contrast in kept]
    x, y = (_places([group or name for group, name in pairs]) for pairs in (columns, rows))
    height = _ROW * (y[-1] + 1) + _REST
    figure = build_figure(width=width, height=height)
    axes = figure.subplots()
    cell = 72 * (width - _LABELS) / (x[-1] + 1)
    grid = [part.iloc[order] for _, part in table.groupby(np.arange(len(table)) // len(order))]
    for place, part in zip(y, grid, strict=True):
        _draw_row(axes, part, x=x, y=float(place), size=min(_TEXT, cell / 4.2))
    _label_cells(axes, rows=rows, columns=columns, x=x, y=y)
    among = f" averaged over {name_few(effects.among)}" if effects.among else ""
    kind = "effect in a new setting" if effects.kind == "new_setting" else effects.kind
    words = f"P(helps); numbers: median {kind} ({effects.draws.attrs['units']}){among}"
    _draw_legend(axes, words=words, pad=_PAD / height)
    return Drawn(figure, table)


def _places(groups: Sequence[str]) -> NDArray[np.float64]:
    """Place rows or columns one apart, groups of several a gap further from their neighbours."""
    places = [0.0]
    for before, after in pairwise(groups):
        places.append(places[-1] + 1 + _GAP * (before != after))
    return np.array(places)


def _draw_row(
    axes: Axes, part: pd.DataFrame, *, x: NDArray[np.float64], y: float, size: float
) -> None:
    colours = diverging()
    for place, row in zip(x, part.to_dict("records"), strict=True):
        colour = np.array(colours(float(row["prob_helps"])))
        verdict = str(row["verdict"])
        corner = (float(place) - 0.46, y - 0.45)
        axes.add_patch(Rectangle(corner, 0.92, 0.9, facecolor=colour, **_frame(verdict)))
        number = signed(
            float(row["estimate"]), digits=1 if row["units"] in (UNITS, UNITS_APART) else 2
        )
        axes.annotate(
            f"({number})" if verdict == defaults.PRIOR_DOMINATED else number,
            (float(place), y), ha="center", va="center_baseline", fontsize=pt(size),
            color=_readable(colour),
            fontweight="bold" if verdict == defaults.SUPPORTED else "normal",
        )  # fmt: skip


def _frame(verdict: str) -> dict[str, Any]:
    return {**_FRAMES[verdict], "linewidth": pt(_FRAMES[verdict]["linewidth"])}


def _readable(colour: NDArray[np.float64]) -> str:
    """Choose black or white, whichever stands out; neither is a colour that themes replace."""
    linear = np.where(colour[:3] > 0.04, ((colour[:3] + 0.055) / 1.055) ** 2.4, colour[:3] / 12.92)
    return "#010101" if float(_LUMINANCE @ linear) > _MIDDLE else "#FEFEFE"


def _label_cells(
    axes: Axes,
    *,
    rows: Sequence[tuple[str, str]],
    columns: Sequence[tuple[str, str]],
    x: NDArray[np.float64],
    y: NDArray[np.float64],
) -> None:
    axes.set_yticks(y, head_groups(rows))
    names = head_groups(columns, joint=":\n")
    axes.set_xticks(x, names, rotation=90, ha="center", multialignment="left")
    axes.tick_params(length=0, top=True, labeltop=True, bottom=False, labelbottom=False)
    axes.set_xlim(-0.6, x[-1] + 0.6)
    axes.set_ylim(y[-1] + 0.6, -0.6)
    axes.spines[:].set_visible(False)


def _draw_legend(axes: Axes, *, words: str, pad: float) -> None:
    figure, colours = axes.figure, diverging()
    scale = ScalarMappable(Normalize(0, 1), cmap=colours)
    bar = figure.colorbar(scale, ax=axes, location="bottom", shrink=0.4, aspect=28, pad=pad)
    bar.set_ticks([0, 0.25, 0.5, 0.75, 1], labels=["0", ".25", ".5", ".75", "1"])
    bar.outline.set_visible(False)  # type: ignore[operator]
    bar.set_label(words)
    figure.legend(handles=_examples(colours), loc="outside lower center", ncols=2,
                  handletextpad=0.5, columnspacing=1.5)  # fmt: skip


def _examples(colours: Colormap) -> list[Patch]:
    ground = colours(0.7 if is_dark() else 0.62)
    looks = ("solid frame", "dashed frame", "no frame", "dotted frame, (number)")
    return [
        Patch(facecolor=ground, label=f"{verdict}: {look}", **_frame(verdict))
        for verdict, look in zip(_FRAMES, looks, strict=True)
    ]
