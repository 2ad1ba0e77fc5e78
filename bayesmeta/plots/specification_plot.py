"""The figure of a multiverse: a specification curve."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Unpack

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from bayesmeta import defaults
from bayesmeta.errors import QueryError
from bayesmeta.plots.figure import Drawn, Layout, drawn_from
from bayesmeta.plots.layout import Page
from bayesmeta.plots.look import FAINT, INK, PAGE_WIDTH, PALE, pt
from bayesmeta.plots.marks import (
    draw_dots,
    draw_intervals,
    draw_zero,
    interval_words,
    label_rows,
)
from bayesmeta.specification_curves.results import Multiverse
from bayesmeta.tables.wording import readable

_VERSION_STYLE: dict[str, dict[str, Any]] = {
    "corrected": {"color": "#0072B2", "marker": "o"},
    "as-published": {"color": "#D55E00", "marker": "s"},
    "your data": {"color": "#0072B2", "marker": "o"},
}
_LEVEL_NAMES = {
    "data": {"corrected": "facts: corrected", "as-published": "facts: as published"},
    "flagged": {"out": "failed runs out", "in": "failed runs in"},
    "missing": {"kept": "not recorded: kept", "dropped": "not recorded: dropped"},
    "release_date": {"linear": "release date: in", "none": "release date: out"},
    "family_effects": {"none": "no family effects", "orthogonal": "families: orthogonal",
                       "random": "families: random",
                       "within-between": "families: within-between"},
    "scaling": {"loglinear": "scaling: log-linear", "chinchilla": "scaling: Chinchilla",
                "none": "scaling: none"},
    "likelihood": {"student": "likelihood: Student-t", "normal": "likelihood: normal"},
    "prior_width": {"default": "prior: default", "halved": "prior: halved",
                    "doubled": "prior: doubled"},
}  # fmt: skip
_ROW, _GAP = 0.118, 0.45
"""Height of a row of dots in inches, and the gap between two choices in rows."""

_EFFECTS, _PROBABILITIES, _REST = 1.55, 0.75, 0.4
"""Heights of the two upper panels, and of legend and caption, in inches."""


@drawn_from(Multiverse, made_by="bm.multiverse or bm.load_multiverse")
def specification_curve(
    multiverse: Multiverse,
    *,
    statement: str | None = None,
    target: str | None = None,
    ci_prob: float = defaults.CI_PROB,
    **how: Unpack[Layout],
) -> Drawn:
    """Draw what every specification says of a statement, sorted, with its choices marked below.

    Parameters
    ----------
    multiverse
        What `bm.multiverse` or `bm.load_multiverse` returned.
    statement, target
        What was asked; may be left out where that leaves one.
    ci_prob
        Of the equal-tailed intervals.

    Returns
    -------
    Drawn
        The figure and the table drawn, from left to right. Specifications in which the statement
        cannot be asked are counted in the caption.

    Raises
    ------
    QueryError
        If not exactly one statement is meant, or it can be asked in no specification.

    Examples
    --------
    >>> import bayesmeta as bm
    >>> drawn = specification_curve(bm.load_multiverse(), statement="code_share: 20 > 5",
    ...                             target="code")
    >>> bool(drawn.table["estimate"].is_monotonic_increasing)
    True
    """
    asked = multiverse.select(statement, target).iloc[[0]]
    whole = multiverse.table(ci_prob=ci_prob).merge(asked[["statement", "target"]])
    table = whole[whole["estimate"].notna()]
    table = table.sort_values("estimate", kind="stable", ignore_index=True)
    if table.empty:
        raise QueryError(
            f"'{asked['statement'].iloc[0]}' can be asked in no specification. Allowed: a statement"
            " with an estimate. The notes in bm.multiverse(...).table() say why."
        )
    choices = {name: found for name, found in multiverse.choices.items() if len(found) > 1}
    n_rows = sum(map(len, choices.values())) + _GAP * max(len(choices) - 1, 0)
    heights = [_EFFECTS, _PROBABILITIES, *([_ROW * n_rows + 0.1] if choices else [])]
    page = Page(how)
    panels = page.panels(len(heights), width=PAGE_WIDTH, height=sum(heights) + _REST, sharex=True,
                         height_ratios=heights)  # fmt: skip
    _draw_effects(panels[0], table)
    _draw_probabilities(panels[1], table)
    if choices:
        _draw_choices(page, panels[2], table, choices)
    for axes in panels:
        _mark_default(axes, table)
        axes.tick_params(axis="x", length=0, labelbottom=False)
        axes.spines["bottom"].set_visible(False)
        axes.set_xlim(-0.8, len(table) - 0.2)
    handles, labels = panels[0].get_legend_handles_labels()
    page.legend(handles[::-1], labels[::-1], ncols=4)
    title, note = _caption(whole, table, ci_prob=ci_prob)
    return page.finish(table, title=title, note=note)


def _versions(table: pd.DataFrame) -> pd.Series:
    return table["data"] if "data" in table else pd.Series("your data", table.index)


def _draw_effects(axes: Axes, table: pd.DataFrame) -> None:
    draw_zero(axes, upright=False, zorder=0)
    versions = _versions(table)
    for version in dict.fromkeys(versions.sort_values(ascending=False)):
        part = table[versions == version]
        style = _VERSION_STYLE[str(version)]
        label = f"facts {str(version).replace('-', ' ')}" if "data" in table else None
        draw_intervals(axes, part, part.index, size=3, line=0.9, upright=True, label=label,
                       **style)  # fmt: skip
    axes.set_ylabel("effect\n(percentage points)")


def _draw_probabilities(axes: Axes, table: pd.DataFrame) -> None:
    for height in (0.05, 0.5, 0.95):
        axes.axhline(height, color=FAINT if height == 0.5 else PALE, linewidth=pt(0.6), zorder=0)
    versions = _versions(table)
    for version in dict.fromkeys(versions):
        part, style = table[versions == version], _VERSION_STYLE[str(version)]
        draw_dots(axes, part.index, part["probability"], size=2.6, clip_on=False, **style)
    axes.set_ylim(0, 1)
    axes.set_yticks([0.05, 0.5, 0.95], [".05", ".5", ".95"])
    axes.set_ylabel("Pr(statement)")


def _draw_choices(
    page: Page, axes: Axes, table: pd.DataFrame, choices: Mapping[str, Sequence[str]]
) -> None:
    """Draw a row of dots for every level: filled where a specification has it."""
    height, ticks, labels = 0.0, [], []
    everywhere = np.arange(len(table))
    for name, levels in choices.items():
        for level in levels:
            has = (table[name] == level).to_numpy()
            for which, marker, size, colour in ((~has, ".", 2, PALE), (has, "s", 3, INK)):
                places = everywhere[which]
                draw_dots(
                    axes, places, np.full(len(places), height), marker, size=size, color=colour
                )
            ticks.append(height)
            words = f"{name.replace('_', ' ')}: {level}"
            shown = _LEVEL_NAMES.get(name, {}).get(level, words)
            labels.append(page.label(f"{name}: {level}", shown=shown))
            height += 1
        height += _GAP
    label_rows(axes, ticks, labels, fontsize=pt(6))
    axes.set_ylim(height - _GAP - 0.4, -0.6)
    axes.spines["left"].set_visible(False)


def _mark_default(axes: Axes, table: pd.DataFrame) -> None:
    for place in table.index[table["specification"] == 0]:
        axes.axvspan(place - 0.5, place + 0.5, color="#F0E442", alpha=0.6, linewidth=0, zorder=-1,
                     label="default specification")  # fmt: skip


def _caption(whole: pd.DataFrame, table: pd.DataFrame, *, ci_prob: float) -> tuple[str, list[str]]:
    """Title and note."""
    first = whole.iloc[0]
    where = "mean over benchmarks" if first["target"] == "overall" else f"on {first['target']}"
    lost = len(whole) - len(table)
    left = f"; it cannot be asked in {lost} others" if lost else ""
    return readable(f"{first['statement']}, {where}"), [
        f"{len(table)} specifications, sorted by their effect{left}: median and "
        f"{interval_words(ci_prob)}; filled squares: the choices made."
    ]
