"""Figures of what experiments tell: effects beside associations, and a funnel of comparisons."""

from __future__ import annotations

from statistics import NormalDist
from typing import Any

import numpy as np
import pandas as pd

from bayesmeta import defaults
from bayesmeta.errors import QueryError, listing
from bayesmeta.estimates.contrasts import Effects
from bayesmeta.estimates.study_evidence import Sources
from bayesmeta.plots.figure import Drawn, build_figure, check_given, drawn_from
from bayesmeta.plots.forests import EFFECTS_BY, group_targets, head_groups, name_contrast
from bayesmeta.plots.look import COLUMN_WIDTH, FAINT, INK, PALE, pt
from bayesmeta.plots.marks import (
    draw_intervals,
    draw_zero,
    interval_words,
    label_rows,
    legend_above,
    printable,
    short,
    write_below,
    write_number,
)

_KINDS: dict[str, dict[str, Any]] = {
    "new_setting": {"color": "#56B4E9", "marker": "|", "label": "in a new setting"},
    "effect": {"color": "#0072B2", "marker": "o", "label": "effect on average"},
    "association": {"color": "#D55E00", "marker": "D", "label": "association"},
}
"""Kinds from the back to the front, and how they are drawn."""

_ROW = 0.22
"""Height of a row in inches."""


@drawn_from(Effects, made_by=EFFECTS_BY)
def three_answers(
    effects: Effects,
    *,
    new_setting: Effects,
    association: Effects,
    ci_prob: float = defaults.CI_PROB,
    width: float = COLUMN_WIDTH,
) -> Drawn:
    """Draw effects on average, in a new setting behind them, and associations below them.

    Parameters
    ----------
    effects
        Effects of a fit that experiments informed, on one target, or one contrast on many.
    new_setting, association
        The same, asked with `kind="new_setting"` and `kind="association"`.
    ci_prob, width
        Probability of the intervals, which are equal-tailed; inches.

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
    tables = {kind: one.table(ci_prob=ci_prob) for kind, one in given.items()}
    labels, order = _label(effects)
    n, places = len(labels), np.arange(len(labels))[::-1]
    figure = build_figure(width=width, height=1.0 + _ROW * n)
    axes = figure.subplots()
    draw_zero(axes, zorder=0)
    for kind, style in _KINDS.items():
        table = tables[kind].iloc[order]
        below = 0.34 * (kind == "association")
        line = 2.4 if kind == "new_setting" else 1.1
        draw_intervals(axes, table, places - below, size=3.4, line=line, **style)
    label_rows(axes, places - 0.17, labels)
    axes.set_ylim(-0.8, n - 0.3)
    beside = {"va": "center_baseline", "textcoords": "offset points", "ha": "center"}
    write_number(axes, "P(helps)", (1, n + 0.3), xytext=(pt(28.0), 0), **beside)
    for place, kind, heading in ((14.0, "effect", "average"), (44.0, "new_setting", "new")):
        texts = [short(p) for p in tables[kind]["prob_helps"].iloc[order]]
        for height, text in zip([n - 0.25, *places.astype(float)], [heading, *texts], strict=True):
            write_number(axes, text, (1, height), xytext=(pt(place), 0), **beside)
    legend_above(figure, ncols=3, pad=0.2, gap=0.8)
    where = " over all benchmarks" if effects.by == "overall" else ""
    units = effects.draws.attrs["units"]
    write_below(figure, *_asked(effects), f"{units}{where}; median and {interval_words(ci_prob)}")
    return Drawn(figure, pd.concat(list(tables.values()), ignore_index=True))


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
    if first.draws.sizes["target"] > 1 and len(first.contrasts) > 1:
        raise QueryError(
            f"this figure shows one target or one contrast, not {len(first.contrasts)} contrasts "
            f"on {first.draws.sizes['target']} targets. Ask for one contrast, or by overall."
        )


def _label(effects: Effects) -> tuple[list[str], list[int]]:
    """Name the rows, and say where each stands in the table."""
    if effects.draws.sizes["target"] > 1:
        pairs, order = group_targets(effects)
        return head_groups(pairs), order
    pairs = [name_contrast(one) for one in effects.contrasts]
    return head_groups(pairs), list(range(len(pairs)))


def _asked(effects: Effects) -> list[str]:
    """Name the contrast where rows name targets."""
    several = effects.draws.sizes["target"] > 1
    return [effects.contrasts[0].label.replace(" >", " against")] * several


_COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
_MARKS = ("o", "D", "^", "v", "s", "P")


@drawn_from(Sources, made_by="bm.evidence")
def study_funnel(
    sources: Sources, *, ci_prob: float = defaults.CI_PROB, width: float = COLUMN_WIDTH
) -> Drawn:
    """Draw comparisons of arms against their standard errors, within limits about their mean.

    Every dot is a group of arms on a benchmark, coloured by study. Dots outside the dashed lines
    differ by more than the noise of training runs, which is what heterogeneity is for.

    Parameters
    ----------
    sources
        What `bm.evidence(fit, statement)` returned.
    ci_prob, width
        Probability of the limits; inches.

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
    figure = build_figure(width=width, height=0.8 * width)
    axes = figure.subplots()
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
                  label=printable(str(study)))  # fmt: skip
    axes.set_ylim(errors[-1], 0)
    axes.set_ylabel("standard error (points)")
    statement = printable(sources.answer.statement.replace("_", " "), most=60)
    write_below(figure, f"{statement} (percentage points); limits hold {100 * ci_prob:g} %")
    legend_above(figure, ncols=3, pad=0.2, gap=0.8)
    return Drawn(figure, table)
