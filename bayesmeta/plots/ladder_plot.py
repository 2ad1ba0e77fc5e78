"""The figure of ladders: one effect by every ladder alone, and by all other families."""

from __future__ import annotations

from typing import Any

import numpy as np

from bayesmeta import defaults
from bayesmeta.plots.figure import (
    Drawn,
    build_figure,
    count_columns,
    drawn_from,
    interval_words,
    printable,
    short,
)
from bayesmeta.plots.theme import COLUMN_WIDTH, FAINT, INK, PALE, pt
from bayesmeta.robustness.within_family import OTHERS, Ladders

__all__ = ["ladders"]

_COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9")
_MARKERS = ("o", "D", "^", "v", "P")
_OTHERS: dict[str, Any] = {"color": INK, "marker": "s"}
_ROW = 0.16
"""Height of an interval, in inches."""


@drawn_from(Ladders, made_by="bm.ladders")
def ladders(
    found: Ladders, *, ci_prob: float = defaults.CI_PROB, width: float = COLUMN_WIDTH
) -> Drawn:
    """Draw an effect by every ladder alone and by all other families, target by target.

    Parameters
    ----------
    found
        What `bm.ladders` returned.
    ci_prob
        Probability of the equal-tailed intervals.
    width
        Width in inches.

    Returns
    -------
    Drawn
        The figure and the table drawn.

    Raises
    ------
    QueryError
        If the probability is not between 0 and 1.

    Examples
    --------
    >>> import bayesmeta as bm
    >>> drawn = ladders(bm.ladders(bm.load_reference_fit(), by="overall"))
    >>> drawn.table["lm_family"].tolist()
    ['codegen', 'llama2-220M', 'all others']
    """
    table = found.table(ci_prob=ci_prob)
    names = [OTHERS, *found.families]
    styles = {OTHERS: _OTHERS}
    for k, name in enumerate(found.families):
        turn, k = divmod(k, len(_COLOURS))
        colour, marker = _COLOURS[k], _MARKERS[(k + turn) % len(_MARKERS)]
        styles[name] = {"color": colour, "marker": marker}
    step, n = len(names) + 1, len(found.targets)
    figure = build_figure(width=width, height=_ROW * step * n + 1.0)
    axes = figure.subplots()
    axes.axvline(0, color=FAINT, linewidth=pt(0.6), zorder=0)
    for place, name in enumerate(names):
        part = table[table["lm_family"] == name]
        y = step * np.arange(n) + place
        error = np.stack([part["estimate"] - part["lower"], part["upper"] - part["estimate"]])
        axes.errorbar(part["estimate"], y, xerr=error, linestyle="none", markersize=pt(3.2),
                      elinewidth=pt(0.9), markeredgewidth=0, label=printable(name),
                      **styles[name])  # fmt: skip
        if name == OTHERS:
            continue
        for height, conflict in zip(y, part["prob_conflict"], strict=True):
            axes.annotate(short(float(conflict)), (1.02, height), va="center", fontsize=pt(6),
                          xycoords=axes.get_yaxis_transform(), color=INK,
                          annotation_clip=False)  # fmt: skip
    axes.annotate("P(conflict)", (1.02, -1.3), xycoords=axes.get_yaxis_transform(),
                  va="center", fontsize=pt(6), color=INK, annotation_clip=False)  # fmt: skip
    for k in range(1, n):
        axes.axhline(step * k - 1, color=PALE, linewidth=pt(0.5))
    middle = step * np.arange(n) + (len(names) - 1) / 2
    axes.set_yticks(middle, [printable(name.replace("_", " "), most=24) for name in found.targets])
    axes.tick_params(axis="y", length=0)
    axes.set_ylim(step * n - 1, -2)
    axes.set_xlabel(
        f"{printable(found.contrast.label.replace('_', ' '), most=60)} (percentage points),\n"
        f"{interval_words(ci_prob, noun='intervals')}"
    )
    figure.legend(loc="outside upper center", ncols=count_columns(figure, names), frameon=False,
                  handletextpad=0.3, columnspacing=1.2)  # fmt: skip
    return Drawn(figure, table)
