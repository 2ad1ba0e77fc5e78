"""Figures of what experiments tell: effects beside associations, and a funnel of comparisons."""

from __future__ import annotations

from statistics import NormalDist
from typing import Any, Unpack

import numpy as np
import pandas as pd

from bayesmeta import defaults
from bayesmeta.errors import QueryError, listing
from bayesmeta.estimates.contrasts import Effects
from bayesmeta.estimates.study_evidence import Sources
from bayesmeta.plots.figure import Drawn, Layout, check_given, drawn_from
from bayesmeta.plots.forests import (
    EFFECTS_BY,
    check_one_way,
    group_targets,
    label_groups,
    name_rows,
    name_statement,
    place_rows,
    write_columns,
)
from bayesmeta.plots.layout import Page
from bayesmeta.plots.look import COLUMN_WIDTH, FAINT, INK, PALE, pt
from bayesmeta.plots.marks import (
    draw_intervals,
    draw_zero,
    interval_words,
    short,
)
from bayesmeta.tables.wording import percent

_KINDS: dict[str, dict[str, Any]] = {
    "new_setting": {"color": "#56B4E9", "marker": "|", "label": "in a new setting"},
    "effect": {"color": "#0072B2", "marker": "o", "label": "effect on average"},
    "association": {"color": "#D55E00", "marker": "D", "label": "association"},
}
"""Kinds from the back to the front, and how they are drawn."""

_ROW, _STEP = 0.118, 1.5
"""Height of a heading in inches, and of a row in headings."""


@drawn_from(Effects, made_by=EFFECTS_BY)
def three_answers(
    effects: Effects,
    *,
    new_setting: Effects,
    association: Effects,
    ci_prob: float = defaults.CI_PROB,
    **how: Unpack[Layout],
) -> Drawn:
    """Draw effects on average, in a new setting behind them, and associations below them.

    Parameters
    ----------
    effects
        Effects of a fit that experiments informed, on one target, or one contrast on many.
    new_setting, association
        The same, asked with `kind="new_setting"` and `kind="association"`.
    ci_prob
        Probability of the intervals, which are equal-tailed.

    Returns
    -------
    Drawn
        The figure and the tables drawn, one below the other, told apart by `kind`.

    Raises
    ------
    QueryError
        If they are not of these kinds or not of the same question, or there are several contrasts
        on several targets.

    Examples
    --------
    >>> import bayesmeta as bm
    >>> fit = bm.load_reference_fit()
    >>> new, association = (
    ...     bm.effects(fit, "norm", kind=kind) for kind in ("new_setting", "association")
    ... )
    >>> drawn = three_answers(bm.effects(fit, "norm"), new_setting=new, association=association)
    >>> sorted(set(drawn.table["kind"]))
    ['association', 'effect', 'new_setting']
    """
    given = {"effect": effects, "new_setting": new_setting, "association": association}
    _check_kinds(given)
    page = Page(how)
    tables = {kind: page.tabulate(one.table, ci_prob) for kind, one in given.items()}
    pairs, order = _label(page, effects, tables["effect"])
    rows = place_rows([group for group, _ in pairs], step=_STEP)
    (axes,) = page.panels(width=COLUMN_WIDTH, height=0.6 + _ROW * (rows.top + 2))
    draw_zero(axes, zorder=0)
    for kind, style in _KINDS.items():
        table = tables[kind].iloc[order]
        below = 0.5 * (kind == "association")
        is_wide = kind == "new_setting"
        if is_wide:
            table = table.drop(columns=["inner_lower", "inner_upper"], errors="ignore")
        look = {**style, "label": page.label(style["label"])}
        draw_intervals(axes, table, rows.places - below, size=3.2, line=2.4 if is_wide else 0.8,
                       **look)  # fmt: skip
    size = 6.0
    taken = label_groups(axes, rows._replace(places=rows.places - 0.25),
                         [item for _, item in pairs], size=size,
                         room=0.45 * page.inches(COLUMN_WIDTH))  # fmt: skip
    helps = {heading: [short(p) for p in tables[kind]["prob_helps"].iloc[order]]
             for heading, kind in (("P(helps)", "effect"), ("P(new)", "new_setting"))}  # fmt: skip
    write_columns(axes, rows, helps, size=5.5, room=0.52 * page.inches(COLUMN_WIDTH) - taken)
    axes.set_ylim(-1.1, rows.top + 1.9)
    page.legend(ncols=3, pad=0.2, gap=0.8)
    where = " over all benchmarks" if effects.by == "overall" else ""
    units = effects.draws.attrs["units"]
    asked = (
        f" of {name_statement(effects.contrasts[0])}" if effects.draws.sizes["target"] > 1 else ""
    )
    words = interval_words(ci_prob, inner=page.inner(ci_prob), noun="intervals")
    return page.finish(
        pd.concat(list(tables.values()), ignore_index=True),
        xlabel=f"difference in score ({units})",
        note=[f"Effects and associations{asked}{where}.", f"Marks: medians; lines: {words}, in a "
              f"new setting {percent(ci_prob, whole=False)} alone.",
              "P(helps): on average; P(new): in a new setting."],
    )  # fmt: skip


def _check_kinds(given: dict[str, Effects]) -> None:
    """Refuse effects of other kinds, or of other questions."""
    first = given["effect"]
    for kind, one in given.items():
        check_given("plot.three_answers", one, Effects, made_by=f'bm.effects(..., kind="{kind}")')
        if one.kind != kind:
            raise QueryError(
                f"what is given as {kind} is of the kind '{one.kind}'. Allowed: effects asked with "
                f'kind="{kind}", of a fit that experiments informed.'
            )
        if (one.by, *(c.label for c in one.contrasts)) != (
            first.by, *(c.label for c in first.contrasts)
        ):  # fmt: skip
            asked = [listing(c.label for c in x.contrasts) for x in (first, one)]
            raise QueryError(
                f"effects and {kind} are of different questions: {asked[0]} by {first.by}, and "
                f"{asked[1]} by {one.by}. Allowed: the same contrasts and targets."
            )
    check_one_way(first)


def _label(
    page: Page, effects: Effects, table: pd.DataFrame
) -> tuple[list[tuple[str, str]], list[int]]:
    """Name the rows, and say where each stands in the table."""
    if effects.draws.sizes["target"] > 1:
        pairs, places = group_targets(effects)
        names = [(item, str(effects.draws["target"].values[k])) for (_, item), k in
                 zip(pairs, places, strict=True)]  # fmt: skip
    else:
        named, places = name_rows(table), [*range(len(table))]
        pairs = [*zip(named["group"], named["label"], strict=True)]
        names = [(f"{group}: {item}", item) for group, item in pairs]
    order = page.arrange(names, table["estimate"].iloc[places])
    shown = [(pairs[k][0], page.label(*names[k], shown=pairs[k][1])) for k in order]
    return shown, [places[k] for k in order]


_COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
_MARKS = ("o", "D", "^", "v", "s", "P")


@drawn_from(Sources, made_by="bm.evidence")
def study_funnel(
    sources: Sources, *, ci_prob: float = defaults.CI_PROB, **how: Unpack[Layout]
) -> Drawn:
    """Draw comparisons of arms against their standard errors, within limits about their mean.

    Every dot is a group of arms on a benchmark, coloured by study. Dots outside the dashed lines
    differ by more than the noise of training runs, which is what heterogeneity is for.

    Parameters
    ----------
    sources
        What `bm.evidence(fit, statement)` returned.
    ci_prob
        Probability of the limits.

    Returns
    -------
    Drawn
        The figure and its dots: `study`, `group`, `benchmark`, `estimate` and `se` in points.

    Raises
    ------
    QueryError
        If there are fewer than ten comparisons.

    Examples
    --------
    >>> import bayesmeta as bm
    >>> found = bm.evidence(bm.load_reference_fit(), "attention: gqa > mha")
    >>> sorted(set(study_funnel(found).table["study"]))
    ['deepseek-v2', 'llama2', 'smol-playbook', 'tpa']
    """
    table, pooled = sources.comparisons, sources.answer.evidence.experiments
    if len(table) < defaults.FUNNEL_LEAST or pooled is None:
        raise QueryError(
            f"'{sources.answer.statement}' has {len(table)} comparisons of arms, and a funnel of "
            f"so few shows nothing. Allowed: at least {defaults.FUNNEL_LEAST}; plot.studies draws "
            "any number."
        )
    page = Page(how)
    width = page.inches(COLUMN_WIDTH)
    (axes,) = page.panels(width=COLUMN_WIDTH, height=min(0.75 * width, 3.2))
    errors = np.linspace(0, 1.08 * table["se"].max(), 60)
    z, center = NormalDist().inv_cdf((1 + ci_prob) / 2), pooled["estimate"]
    half = z * np.hypot(errors, pooled["tau"])
    axes.fill_betweenx(errors, center - half, center + half, color=PALE, linewidth=0,
                       label="with heterogeneity")  # fmt: skip
    for side in (-1, 1):
        axes.plot(center + side * z * errors, errors, color=FAINT, linewidth=pt(0.7),
                  linestyle="--", label="noise of runs alone" if side < 0 else None)  # fmt: skip
    axes.axvline(center, color=INK, linewidth=pt(0.8))
    for k, (study, part) in enumerate(table.groupby("study", sort=False)):
        turn, place = divmod(k, len(_COLOURS))
        axes.plot(part["estimate"], part["se"], _MARKS[(place + turn) % len(_MARKS)],
                  color=_COLOURS[place], markersize=pt(3.2), markeredgewidth=0,
                  label=page.label(str(study)))  # fmt: skip
    axes.set_ylim(errors[-1], 0)
    page.legend(ncols=3, pad=0.2, gap=0.8)
    return page.finish(
        table,
        title=name_statement(sources.answer.contrast),
        xlabel="difference between arms (percentage points)",
        ylabel="standard error (percentage points)",
        note=[f"Limits hold {percent(ci_prob, whole=False)} of comparisons about the mean."],
    )
