"""The atlas: every contrast on every benchmark or task family, in one figure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any, Unpack

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.colors import to_rgba
from matplotlib.patches import Rectangle
from matplotlib.transforms import ScaledTranslation, blended_transform_factory
from numpy.typing import NDArray

from bayesmeta import defaults
from bayesmeta.data.decisions import UNDISCLOSED, Decision
from bayesmeta.errors import QueryError, listing
from bayesmeta.estimates.contrasts import Effects
from bayesmeta.estimates.question import BY, UNITS, UNITS_APART
from bayesmeta.plots.figure import Drawn, Layout, check_given, drawn_from
from bayesmeta.plots.forests import (
    EFFECTS_BY,
    find_known,
    group_targets,
    head_groups,
    name_contrast,
)
from bayesmeta.plots.layout import Page
from bayesmeta.plots.look import FAINT, INK, PAGE_WIDTH, diverging, is_dark, pt
from bayesmeta.plots.marks import measure, printable
from bayesmeta.tables.wording import name_few, signed

_ROW, _GAP = 0.15, 0.35
"""Height of a row in inches, and the gap between two groups in rows or columns."""

_LABELS = 1.85
"""Inches left of the cells."""

_KEY, _KEY_ROW = 0.98, 0.13
"""Inches that the key of colours takes below the cells, and the height of a row of it."""

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

_PALETTE = {
    defaults.SUPPORTED: (9, 1.0),
    defaults.CONFLICTING: (5, 0.75),
    defaults.ASSOCIATION_ONLY: (5, 0.45),
    defaults.PRIOR_DOMINATED: (1, 0.0),
}
"""Colours that the probability is told by, and how strong they are: fewer and paler, the less an
effect rests on (value-suppressing palettes: Correll et al. 2018, doi 10.1145/3173574.3174216)."""

_KEYS = ["decision", "level", "reference"]
_ALL = "overall"


@drawn_from(Effects, made_by=EFFECTS_BY)
def atlas(
    effects: Effects,
    *,
    overall: Effects | None = None,
    ci_prob: float = defaults.CI_PROB,
    **how: Unpack[Layout],
) -> Drawn:
    """Draw contrasts against targets: how sure and how well founded as colour, size as a number.

    Orange cells hurt, blue ones help, the stronger the surer, and the paler the less they rest on:
    associations alone are pale, and what is prior-dominated is grey. Numbers are median effects. A
    solid frame marks what experiments support, a dashed one what they contradict; a dotted one,
    with the number in brackets, what is prior-dominated.

    Parameters
    ----------
    effects
        Effects by benchmark or by task family.
    overall
        The same effects over all benchmarks, for a column of their own.
    ci_prob
        Probability of the equal-tailed intervals of the table.

    Returns
    -------
    Drawn
        The figure and the table of the effects in it, those over all benchmarks last.

    Raises
    ------
    QueryError
        If the effects are those on lm families, of which there are too many for columns,
        or of no contrast, or those over all benchmarks are of other contrasts.

    Examples
    --------
    >>> import bayesmeta as bm
    >>> fit = bm.load_reference_fit()
    >>> found = bm.effects(fit, "norm", by="task_family")
    >>> len(atlas(found).table), len(atlas(found, overall=bm.effects(fit, "norm")).table)
    (16, 18)
    """
    _check(effects, overall)
    page = Page(how)
    tables = [one.table(ci_prob=ci_prob) for one in (effects, overall) if one is not None]
    table = tables[0] if overall is None else pd.concat(tables, ignore_index=True)
    table = table[table["level"] != UNDISCLOSED].reset_index(drop=True)
    columns, order = group_targets(effects)
    targets = [str(effects.draws["target"].values[k]) for k in order]
    if overall is not None:
        columns, targets = [("", "all benchmarks"), *columns], [_ALL, *targets]
    names, grid = _arrange(page, table, targets, find_known(effects))
    shown = [(group, page.label(target, shown=printable(name)))
             for target, (group, name) in zip(targets, columns, strict=True)]  # fmt: skip
    x, y = (_places([group or name for group, name in pairs]) for pairs in (shown, names))
    high, width = _ROW * (y[-1] + 1), page.inches(PAGE_WIDTH)
    above = measure((line for name in head_groups(shown) for line in name.split(": ")), 6.5)
    (axes,) = page.panels(width=PAGE_WIDTH, height=high + above + 0.2 + _KEY)
    cell = 72 * (width - _LABELS * page.is_own) / (x[-1] + 1)
    for place, part in zip(y, grid, strict=True):
        _draw_row(axes, part, x=x, y=float(place), size=min(_TEXT, cell / 4.2))
    _label_cells(axes, rows=names, columns=shown, x=x, y=y)
    _draw_key(axes)
    among = f" averaged over {name_few(effects.among)}" if effects.among else ""
    kind = "effects in a new setting" if effects.kind == "new_setting" else f"{effects.kind}s"
    note = [f"Numbers: median {kind} ({effects.draws.attrs['units']}){among}.",
            "Colour: probability that the effect is positive, paler the less stands behind it; in "
            "brackets: prior-dominated."]  # fmt: skip
    return page.finish(table, note=note)


def _check(effects: Effects, overall: Effects | None) -> None:
    """Refuse targets that are no columns, and a column of other contrasts."""
    if effects.by not in BY:
        raise QueryError(
            f"an atlas by '{effects.by}' would have {effects.draws.sizes['target']} columns. "
            f"Allowed: {listing(BY)}. Call effects with one of them, or plot.forest for one "
            "contrast."
        )
    if overall is None:
        return
    check_given("plot.atlas", overall, Effects, made_by="bm.effects")
    same = [c.label for c in overall.contrasts] == [c.label for c in effects.contrasts]
    if overall.by != _ALL or not same:
        raise QueryError(
            f"overall has {listing(c.label for c in overall.contrasts)} by {overall.by}. Allowed: "
            "the contrasts of the atlas, over all benchmarks. Call effects in the same way without "
            "`by`."
        )


def _arrange(
    page: Page, table: pd.DataFrame, targets: Sequence[str], known: Mapping[str, Decision]
) -> tuple[list[tuple[str, str]], list[pd.DataFrame]]:
    """Give the names of the rows in the order asked for, and the cells of every one."""
    parts = [part for _, part in table.groupby(_KEYS, sort=False)]
    named = [name_contrast(*part[_KEYS].iloc[0], known=known)[:2] for part in parts]
    whole = [(f"{group}: {item}", item, str(part["level"].iloc[0]))
             for (group, item), part in zip(named, parts, strict=True)]  # fmt: skip
    means = [part["estimate"].mean() for part in parts]
    order = page.arrange(whole, means)
    names = [(named[k][0], page.label(*whole[k], shown=named[k][1], most=40)) for k in order]
    return names, [parts[k].set_index("target").reindex([*targets]) for k in order]


def _places(groups: Sequence[str]) -> NDArray[np.float64]:
    """Place rows or columns one apart, groups of several a gap further from their neighbours."""
    places = [0.0]
    for before, after in pairwise(groups):
        places.append(places[-1] + 1 + _GAP * (before != after))
    return np.array(places)


def colour_cell(probability: float, verdict: str) -> NDArray[np.float64]:
    """Choose the colour of a cell: that of the middle of its bin, paler the less it rests on."""
    bins, strength = _PALETTE[verdict]
    if bins == 1:
        return np.array(to_rgba(_GREY[is_dark()]))
    middle = (min(int(probability * bins), bins - 1) + 0.5) / bins
    far = (middle - 0.5) / (1 - 1 / bins) + 0.5  # the outer bins have the outer colours
    ground, colour = (np.array(diverging()(value)) for value in (0.5, far))
    return ground + strength * (colour - ground)


_GREY = {False: "#E4E4E4", True: "#333333"}
"""What is prior-dominated, on a light and on a dark ground."""


def _draw_row(
    axes: Axes, part: pd.DataFrame, *, x: NDArray[np.float64], y: float, size: float
) -> None:
    for place, row in zip(x, part.to_dict("records"), strict=True):
        verdict = str(row["verdict"])
        colour = colour_cell(float(row["prob_helps"]), verdict)
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


def _draw_key(axes: Axes) -> None:
    """Draw what colours and frames mean below the cells: a row per verdict, probability along."""
    figure = axes.get_figure(root=True)
    assert figure is not None
    inches = figure.dpi_scale_trans + ScaledTranslation(0, 0, axes.transAxes)  # type: ignore[arg-type]
    tall = pt(_KEY_ROW * len(_PALETTE))
    key = axes.inset_axes((0.25, -tall - pt(0.1), 0.5, tall),
                          transform=blended_transform_factory(axes.transAxes, inches))  # fmt: skip
    for place, (verdict, (bins, _)) in enumerate(_PALETTE.items()):
        for k in range(bins):
            colour = colour_cell((k + 0.5) / bins, verdict)
            key.add_patch(Rectangle((k / bins + 0.004, place - 0.42), 1 / bins - 0.008, 0.84,
                                    facecolor=colour, **_frame(verdict)))  # fmt: skip
    key.set_xlim(-0.01, 1.01)
    key.set_ylim(len(_PALETTE) - 0.4, -0.6)
    key.set_yticks(range(len(_PALETTE)), [*_PALETTE])
    key.set_xticks([0, 0.2, 0.4, 0.6, 0.8, 1], labels=["0", ".2", ".4", ".6", ".8", "1"])
    key.tick_params(length=0, pad=pt(2))
    key.set_xlabel("P(helps)")
    key.spines[:].set_visible(False)
