"""Forests by source: within families and beside them, and by study, experiments and LMs."""

from __future__ import annotations

from typing import Any, Unpack

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from bayesmeta import defaults
from bayesmeta.estimates.study_evidence import Sources
from bayesmeta.plots.figure import Drawn, Layout, drawn_from
from bayesmeta.plots.forests import name_statement
from bayesmeta.plots.layout import Page
from bayesmeta.plots.look import COLUMN_WIDTH, FAINT, INK, PALE, PALEST, pt
from bayesmeta.plots.marks import (
    chance,
    count_columns,
    draw_intervals,
    draw_zero,
    interval_words,
    label_rows,
    short,
    write_number,
)
from bayesmeta.robustness.within_family import OTHERS, Ladders
from bayesmeta.tables.wording import readable

_COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9")
_MARKERS = ("o", "D", "^", "v", "P")
_OTHERS: dict[str, Any] = {"color": INK, "marker": "s"}
_ROW = 0.16
"""Height of an interval, in inches."""


@drawn_from(Ladders, made_by="bm.ladders")
def ladders(found: Ladders, *, ci_prob: float = defaults.CI_PROB, **how: Unpack[Layout]) -> Drawn:
    """Draw an effect by every ladder alone and by all other families, target by target.

    Parameters
    ----------
    found
        What `bm.ladders` returned.
    ci_prob
        Probability of the intervals, between 0 and 1.

    Returns
    -------
    Drawn
        The figure and the table drawn.

    Examples
    --------
    >>> import bayesmeta as bm
    >>> drawn = ladders(bm.ladders(bm.load_reference_fit(), by="overall"))
    >>> drawn.table["lm_family"].tolist()
    ['codegen', 'llama2-220M', 'all others']
    """
    page = Page(how)
    table = page.tabulate(found.table, ci_prob)
    whole = table[table["lm_family"] == OTHERS]
    order = page.arrange([(name, readable(name)) for name in found.targets], whole["estimate"])
    targets = [found.targets[k] for k in order]
    names, n = [OTHERS, *found.families], len(targets)
    step = len(names) + 1
    (axes,) = page.panels(width=COLUMN_WIDTH, height=_ROW * step * n + 0.75)
    draw_zero(axes, zorder=0)
    beside: list[tuple[float, str]] = []
    for k, name in enumerate(names):
        part = table[table["lm_family"] == name].set_index("target").loc[targets]
        y = step * np.arange(n) + k
        draw_intervals(axes, part, y, size=3.2, line=0.8, label=page.label(name), **_style(k))
        if name != OTHERS:
            beside += zip(y.astype(float), map(short, part["prob_conflict"]), strict=True)
    for height, text in [*beside, (-1.3, "P(conflict)")]:
        write_number(axes, text, (1.02, height), va="center")
    for k in range(1, n):
        axes.axhline(step * k - 1, color=PALE, linewidth=pt(0.5))
    middle = step * np.arange(n) + (len(names) - 1) / 2
    labels = [page.label(name, shown=readable(name), most=24) for name in targets]
    label_rows(axes, middle, labels)
    axes.set_ylim(step * n - 1, -2)
    page.legend(ncols=count_columns(page.inches(COLUMN_WIDTH), names))
    words = interval_words(ci_prob, inner=page.inner(ci_prob), noun="intervals")
    return page.finish(
        table,
        title=name_statement(found.contrast),
        xlabel="effect (percentage points)",
        note=[f"Lines: {words}.",
              "P(conflict) is near one half where a family agrees with all others, near one where "
              "they differ."],
    )  # fmt: skip


def _style(k: int) -> dict[str, Any]:
    """Colour and marker of the others, which come first, and of every family."""
    turn, place = divmod(k - 1, len(_COLOURS))
    if k == 0:
        return _OTHERS
    return {"color": _COLOURS[place], "marker": _MARKERS[(place + turn) % len(_MARKERS)]}


_SOURCE_STYLES = {
    "study": {"marker": "s", "color": "#0072B2"},
    "experiments": {"marker": "D", "color": "#0072B2"},
    "LMs": {"marker": "o", "color": "#D55E00"},
    "posterior": {"marker": "^", "color": INK},
}
_SOURCE_GROUPS = {
    "experiments": "experiments", "another study": "experiments",
    "within families": "LMs", "between families": "LMs", "all LMs": "LMs",
    "association": "posterior", "effect": "posterior", "new setting": "posterior",
}  # fmt: skip
_SOURCE_ROW, _SOURCE_GAP, _SOURCE_REST = 0.155, 0.5, 0.5
"""Height of a row in inches, gap between two groups in rows, and height of the rest in inches."""

_SMALLEST, _LARGEST = 2.0, 5.0
"""Size of the mark of a study without weight, and of one with all of it, in points."""


@drawn_from(Sources, made_by="bm.evidence(fit, statement)")
def studies(sources: Sources, *, ci_prob: float = defaults.CI_PROB, **how: Unpack[Layout]) -> Drawn:
    """Draw what each study, all experiments and the LMs say of a statement.

    Parameters
    ----------
    sources
        What `bm.evidence(fit, statement)` returned.
    ci_prob
        Of the equal-tailed intervals.

    Returns
    -------
    Drawn
        The figure and the table drawn, from top to bottom. Marks of studies grow with their weight;
        a hollow one is confounded and has none. `another study` is the prediction interval.

    Examples
    --------
    >>> import bayesmeta as bm
    >>> found = bm.evidence(bm.load_reference_fit(), "attention: gqa > mha")
    >>> studies(found).table["source"].tolist()[-1]
    'new setting'
    """
    page = Page(how)
    table = page.tabulate(sources.table, ci_prob)
    n = len(sources.studies)
    groups = [_SOURCE_GROUPS.get(str(source), "study") for source in table["source"]]
    groups[:n] = ["study"] * n
    table.loc[: n - 1, "source"] = sources.studies["study"].to_numpy()
    order = page.arrange([(str(source),) for source in table["source"]], table["estimate"])
    table, group = table.iloc[order].reset_index(drop=True), np.array(groups)[order]
    place = np.arange(len(order)) + _SOURCE_GAP * np.cumsum(group != np.roll(group, 1))
    rows = float(np.ptp(place)) + 1.4
    (axes,) = page.panels(width=COLUMN_WIDTH, height=_SOURCE_REST + _SOURCE_ROW * rows)
    axes.axvspan(-defaults.EQUIVALENCE, defaults.EQUIVALENCE, color=PALEST, linewidth=0, zorder=-2)
    draw_zero(axes, zorder=-1)
    for name, style in _SOURCE_STYLES.items():
        _draw_group(axes, table[group == name], place[group == name], **style)
    labels = [page.label(str(source), most=24) for source in table["source"]]
    label_rows(axes, place, labels)
    axes.set_ylim(place.max() + 0.7, place.min() - 0.7)
    conflict = sources.prob_conflict
    said = "" if conflict is None else f"; Pr(conflict) {chance(conflict)}"
    where = "" if sources.answer.target == "overall" else f" on {sources.answer.target}"
    words = interval_words(ci_prob, inner=page.inner(ci_prob), noun="intervals")
    return page.finish(
        table.assign(ci_prob=ci_prob, verdict=sources.verdict),
        title=f"{name_statement(sources.answer.contrast)}{readable(where)}; "
        f"{sources.verdict}{said}",
        xlabel="effect (percentage points)",
        note=[f"Lines: {words}; band: within {defaults.EQUIVALENCE:g} points of zero.",
              "Squares: studies, as large as they weigh; diamonds: their mean, and the prediction "
              "for another study; circles: LMs; triangles: the posterior."],
    )  # fmt: skip


def _draw_group(axes: Axes, table: pd.DataFrame, place: Any, *, marker: str, color: str) -> None:
    for row, at in zip(table.index, place, strict=True):
        one = table.loc[[row]]
        weight = one["weight"].fillna(40.0).iloc[0] / 100
        hollow = one["control"].iloc[0] == "confounded" or one["source"].iloc[0] == "another study"
        draw_intervals(
            axes, one, [at], size=_SMALLEST + (_LARGEST - _SMALLEST) * weight**0.5, line=0.9,
            edge=0.8, marker=marker, color=FAINT if hollow else color,
            markerfacecolor="none" if hollow else color,
        )  # fmt: skip
