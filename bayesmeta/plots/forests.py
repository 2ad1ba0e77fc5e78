"""Forest plots: effects alone, before their prior, within families, or beside experiments."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from bayesmeta import defaults
from bayesmeta.data.decisions import UNDISCLOSED
from bayesmeta.errors import QueryError, listing
from bayesmeta.estimates.contrasts import Effects
from bayesmeta.estimates.question import LM_FAMILY, UNITS, Statement, Substitution, format_level
from bayesmeta.estimates.study_evidence import Sources
from bayesmeta.plots.figure import Drawn, build_figure, check_given, drawn_from
from bayesmeta.plots.look import COLUMN_WIDTH, FAINT, INK, PALE, pt
from bayesmeta.plots.marks import (
    count_columns,
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
from bayesmeta.robustness.within_family import OTHERS, Ladders
from bayesmeta.tables.wording import name_few

_VERDICT_STYLE: dict[str, dict[str, Any]] = {
    defaults.SUPPORTED: {"color": "#0072B2", "marker": "o"},
    defaults.CONFLICTING: {"color": "#D55E00", "marker": "X"},
    defaults.ASSOCIATION_ONLY: {"color": "#E69F00", "marker": "s"},
    defaults.PRIOR_DOMINATED: {"color": FAINT, "marker": "D", "markerfacecolor": "white"},
}


EFFECTS_BY = "bm.effects or bm.substitutions"
_COLUMNS = {"P(helps)": 14.0, "LMs": 36.0, "fam.": 51.0}
"""Middles of the columns beside the intervals, in points from their right edge."""


@drawn_from(Effects, made_by=EFFECTS_BY)
def forest(
    effects: Effects, *, ci_prob: float = defaults.CI_PROB, width: float = COLUMN_WIDTH
) -> Drawn:
    """Draw medians and intervals of effects, one row per contrast.

    Contrasts stand below the name of their decision, benchmarks below that of their task family.

    Parameters
    ----------
    effects
        Effects on one target, or one contrast on many targets.
    ci_prob, width
        Probability of the equal-tailed interval; inches.

    Returns
    -------
    Drawn
        The figure and the table drawn, top to bottom: that of the effects, with the numbers of
        `lms` and `lm_families` at the level, or that record a number or can make a substitution.

    Raises
    ------
    QueryError
        If there are several contrasts on several targets: no row could name them, and an atlas
        shows them.

    Examples
    --------
    >>> import bayesmeta as bm
    >>> drawn = forest(bm.effects(bm.load_reference_fit(), "norm"))
    >>> len(drawn.table)
    2
    """
    return _draw_forest(effects, prior=None, ci_prob=ci_prob, width=width)


@drawn_from(Effects, made_by=EFFECTS_BY)
def prior_posterior(
    effects: Effects,
    *,
    prior: Effects,
    ci_prob: float = defaults.CI_PROB,
    width: float = COLUMN_WIDTH,
) -> Drawn:
    """Draw what was believed of effects before the data behind what is believed after them.

    Parameters
    ----------
    effects
        Effects of a fit on one target, or one contrast on many targets.
    prior
        The same effects of draws from the prior (`sample_prior`).
    ci_prob, width
        Probability of the intervals, which are equal-tailed; inches.

    Returns
    -------
    Drawn
        The figure and the table drawn, top to bottom: that of a forest, with `prior_lower`,
        `prior_upper` and `narrowed`, the share of the prior interval's width that is gone.

    Raises
    ------
    QueryError
        If there are several contrasts on several targets, or the two are not of the same.

    Examples
    --------
    >>> import bayesmeta as bm
    >>> fit = bm.load_reference_fit()
    >>> prior = bm.sample_prior(fit.dataset, fit.spec, draws=50)
    >>> drawn = prior_posterior(bm.effects(fit, "norm"), prior=bm.effects(prior, "norm"))
    >>> len(drawn.table)
    2
    """
    check_given("plot.prior_posterior", prior, Effects, made_by="bm.effects of bm.sample_prior")
    if effects.draws.indexes["contrast"].tolist() != prior.draws.indexes["contrast"].tolist() or (
        effects.by != prior.by
    ):
        asked, other = (listing(c.label for c in one.contrasts) for one in (effects, prior))
        raise QueryError(
            f"effects and prior are of different questions: {asked} by {effects.by}, and {other} "
            f"by {prior.by}. Allowed: the same contrasts and targets. Call effects in the same way "
            "for both."
        )
    return _draw_forest(effects, prior=prior, ci_prob=ci_prob, width=width)


def _draw_forest(effects: Effects, *, prior: Effects | None, ci_prob: float, width: float) -> Drawn:
    many_targets = effects.draws.sizes["target"] > 1
    if many_targets and len(effects.contrasts) > 1:
        raise QueryError(
            f"this figure shows one target or one contrast, not {len(effects.contrasts)} contrasts "
            f"on {effects.draws.sizes['target']} targets. Ask for one contrast, such as "
            f"'{effects.contrasts[0].label}', or by overall; an atlas shows many on many."
        )
    table, rows = _tabulate(effects, prior=prior, ci_prob=ci_prob, many_targets=many_targets)
    figure = build_figure(width=width, height=1.0 + 0.165 * len(table))
    axes = figure.subplots()
    if prior is not None:
        _draw_prior(axes, table)
    _draw_intervals(axes, table, labels=rows, is_crowded=prior is not None)
    is_bare = prior is not None  # no room beside priors
    columns = ["P(helps)"] if many_targets or is_bare else list(_COLUMNS)
    _draw_columns(axes, table, columns=columns)
    also = "" if is_bare else f"; {_describe_counts(effects, many_targets)}"
    also += "" if prior is None else "; prior: before the data"
    labels = effects.draws["contrast"].values
    asked = [str(labels[0]).replace(" >", " against")] if many_targets else []
    write_below(figure, *asked, f"{_describe(effects, ci_prob=ci_prob)}{also}")
    return Drawn(figure, table)


def _tabulate(
    effects: Effects, *, prior: Effects | None, ci_prob: float, many_targets: bool
) -> tuple[pd.DataFrame, list[str]]:
    """Build the table drawn, and the label of every row."""
    table = effects.table(ci_prob=ci_prob)
    if prior is not None:
        before = prior.table(ci_prob=ci_prob)
        narrowed = (table["upper"] - table["lower"]) / (before["upper"] - before["lower"])
        table = table.assign(
            prior_lower=before["lower"], prior_upper=before["upper"], narrowed=1 - narrowed
        )
    counts = np.repeat(np.array(effects.counts), effects.draws.sizes["target"], axis=0)
    table = table.assign(lms=counts[:, 0], lm_families=counts[:, 1])
    if many_targets:
        pairs, order = group_targets(effects)
        if any(group for group, _ in pairs):
            table = table.assign(task_family=effects.draws["task_family"].values.tolist())
        return table.iloc[order].reset_index(drop=True), head_groups(pairs)
    shown = [c.level != UNDISCLOSED for c in effects.contrasts]
    pairs = [name_contrast(c) for c in effects.contrasts if c.level != UNDISCLOSED]
    return table[shown].reset_index(drop=True), head_groups(pairs)


def group_targets(effects: Effects) -> tuple[list[tuple[str, str]], list[int]]:
    """Bring benchmarks of a task family together.

    Parameters
    ----------
    effects
        Effects on several targets.

    Returns
    -------
    list of tuple of str
        Task family, blank for what is no benchmark, and name of every target, in their new order.
    list of int
        Where each of them stands among the targets.
    """
    names = [str(name) for name in effects.draws["target"].values]
    if "task_family" not in effects.draws.coords:
        shown = names if effects.by == LM_FAMILY else [name.replace("_", " ") for name in names]
        return [("", printable(name)) for name in shown], list(range(len(names)))
    tasks = [str(name).replace("_", " ") for name in effects.draws["task_family"].values]
    labels = [str(name) for name in effects.draws["label"].values]
    order = sorted(range(len(tasks)), key=lambda k: (tasks.index(tasks[k]), k))
    return [(printable(tasks[k]), printable(labels[k])) for k in order], order


_MEASURED = {
    "association": "association with",
    "effect": "effect on",
    "new_setting": "effect in a new setting on",
}


def _describe(effects: Effects, *, ci_prob: float) -> str:
    """Say what is shown."""
    units = effects.draws.attrs["units"]
    kind = _MEASURED[effects.kind]
    measured = (
        f"{kind} the score ({units})" if units == UNITS else f"{kind} latent values ({units})"
    )
    where = " over all benchmarks" if effects.by in ("overall", LM_FAMILY) else ""
    among = f", averaged over {name_few(effects.among)}" if effects.among else ""
    return f"{measured}{where}{among}; median and {interval_words(ci_prob)}"


def _describe_counts(effects: Effects, many_targets: bool) -> str:
    """Say which LMs and families are counted, or how many there are."""
    contrast = effects.contrasts[0]
    is_swap = isinstance(contrast, Substitution)
    if not many_targets:
        which = "that can give as much" if is_swap else "at the level, or that record the number"
        return f"LMs, fam.: {which}"
    lms, families = effects.counts[0]
    counted = f"{lms} LMs of {families} families"
    if is_swap:
        return f"{counted} can give as much"
    is_level = contrast.about.kind == "categorical"
    return f"{counted} {f'have {format_level(contrast.level)}' if is_level else 'record it'}"


def name_contrast(contrast: Statement) -> tuple[str, str]:
    """Name a decision and what is compared in it."""
    name = contrast.about.title
    if isinstance(contrast, Substitution):
        sides = [part.removesuffix("_share") for part in (contrast.decision, contrast.donor)]
        return sides[0], f"{contrast.level} points from {sides[1]}"
    unit = " %" if contrast.about.kind == "share" else ""
    level, reference = (format_level(side) for side in (contrast.level, contrast.reference))
    return name, printable(f"{level} vs {reference}{unit}", most=40)


def head_groups(pairs: Sequence[tuple[str, str]], *, joint: str = ": ") -> list[str]:
    """Name the group of every row, or column, where it begins; a group without a name nowhere."""
    labels = []
    for k, (group, item) in enumerate(pairs):
        begins = group and (k == 0 or pairs[k - 1][0] != group)
        labels.append(f"{group}{joint}{item}" if begins else item)
    return labels


def _draw_prior(axes: Axes, table: pd.DataFrame) -> None:
    """Draw prior intervals as bars behind what comes later."""
    axes.use_sticky_edges = False
    width = table["prior_upper"] - table["prior_lower"]
    axes.barh(np.arange(len(table))[::-1], width, left=table["prior_lower"], height=0.7,
              color=PALE, label="prior", zorder=0)  # fmt: skip


def _draw_intervals(
    axes: Axes, table: pd.DataFrame, *, labels: list[str], is_crowded: bool
) -> None:
    """Draw medians and intervals; beside wide priors they are short, and markers are smaller."""
    marker, line = (2.1, 1.1) if is_crowded else (3.2, 1.0)
    y = np.arange(len(table))[::-1]
    draw_zero(axes, zorder=0)
    for verdict, style in _VERDICT_STYLE.items():
        rows = (table["verdict"] == verdict).to_numpy()
        if rows.any():
            draw_intervals(axes, table[rows], y[rows], size=marker, line=line,
                                 edge=0.22 * marker, label=verdict, **style)  # fmt: skip
    label_rows(axes, y, labels)
    axes.set_ylim(-0.7, len(table) - 0.3)
    axes.xaxis.set_major_locator(MaxNLocator("auto", steps=[1, 2, 5, 10]))
    legend_above(axes.figure, ncols=4, pad=0.2, gap=0.7, handlelength=1.4)


def _draw_columns(axes: Axes, table: pd.DataFrame, *, columns: Sequence[str]) -> None:
    """Write numbers beside the intervals, below their headings."""
    cells = {"P(helps)": [short(p) for p in table["prob_helps"]]}
    for name, column in (("LMs", "lms"), ("fam.", "lm_families")):
        if name in columns:
            cells[name] = [str(n) for n in table[column]]
    rows = np.arange(len(table))[::-1]
    for name in columns:
        for height, text in zip([len(table) - 0.1, *rows], [name, *cells[name]], strict=True):
            write_number(axes, text, (1, height), xytext=(pt(_COLUMNS[name]), 0),
                               textcoords="offset points", ha="center",
                               va="center_baseline")  # fmt: skip


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
    ci_prob, width
        Probability of the intervals, between 0 and 1; inches.

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
    draw_zero(axes, zorder=0)
    beside: list[tuple[float, str]] = []
    for place, name in enumerate(names):
        part = table[table["lm_family"] == name]
        y = step * np.arange(n) + place
        draw_intervals(axes, part, y, size=3.2, line=0.9, label=printable(name), **styles[name])
        if name != OTHERS:
            beside += zip(y.astype(float), map(short, part["prob_conflict"]), strict=True)
    for height, text in [*beside, (-1.3, "P(conflict)")]:
        write_number(axes, text, (1.02, height), va="center")
    for k in range(1, n):
        axes.axhline(step * k - 1, color=PALE, linewidth=pt(0.5))
    middle = step * np.arange(n) + (len(names) - 1) / 2
    targets = [printable(name.replace("_", " "), most=24) for name in found.targets]
    label_rows(axes, middle, targets)
    axes.set_ylim(step * n - 1, -2)
    axes.set_xlabel(
        f"{printable(found.contrast.label.replace('_', ' '), most=60)} (percentage points),\n"
        f"{interval_words(ci_prob, noun='intervals')}"
    )
    legend_above(figure, ncols=count_columns(figure, names))
    return Drawn(figure, table)


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
_SOURCE_ROW, _SOURCE_GAP, _SOURCE_REST = 0.155, 0.5, 0.95
"""Height of a row in inches, gap between two groups in rows, and height of the rest in inches."""

_SMALLEST, _LARGEST = 2.0, 5.0
"""Size of the mark of a study without weight, and of one with all of it, in points."""


@drawn_from(Sources, made_by="bm.evidence(fit, statement)")
def studies(
    sources: Sources, *, ci_prob: float = defaults.CI_PROB, width: float = COLUMN_WIDTH
) -> Drawn:
    """Draw what each study, all experiments and the LMs say of a statement.

    Parameters
    ----------
    sources
        What `bm.evidence(fit, statement)` returned.
    ci_prob
        Of the equal-tailed intervals.
    width
        Inches.

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
    table = sources.table(ci_prob=ci_prob)
    group = table["source"].map(_SOURCE_GROUPS).fillna("study")
    table.loc[: len(sources.studies) - 1, "source"] = sources.studies["study"].to_numpy()
    group.iloc[: len(sources.studies)] = "study"
    place = table.index + _SOURCE_GAP * (group != group.shift()).cumsum()
    rows = float(place.max() - place.min()) + 1.4
    figure = build_figure(width=width, height=_SOURCE_REST + _SOURCE_ROW * rows)
    axes = figure.subplots()
    draw_zero(axes)
    for name, style in _SOURCE_STYLES.items():
        _draw_group(axes, table[group == name], place[group == name], **style)
    label_rows(axes, [*place], [printable(source, most=24) for source in table["source"]])
    axes.set_ylim(float(place.max()) + 0.7, float(place.min()) - 0.7)
    axes.set_xlabel(
        f"effect (percentage points),\n{interval_words(ci_prob, noun='intervals')}",
        fontsize=pt(7),
    )
    conflict = sources.prob_conflict
    said = "" if conflict is None else f"; P(conflict) {conflict:.2f}"
    where = "" if sources.answer.target == "overall" else f" on {sources.answer.target}"
    figure.suptitle(
        f"{sources.answer.statement}{where}\n{sources.verdict}{said}",
        x=0.02, ha="left", fontsize=pt(7), fontweight="bold",
    )  # fmt: skip
    return Drawn(figure, table.assign(ci_prob=ci_prob, verdict=sources.verdict))


def _draw_group(
    axes: Axes, table: pd.DataFrame, place: pd.Series, *, marker: str, color: str
) -> None:
    for row, at in zip(table.index, place, strict=True):
        one = table.loc[[row]]
        weight = one["weight"].fillna(40.0).iloc[0] / 100
        hollow = one["control"].iloc[0] == "confounded" or one["source"].iloc[0] == "another study"
        draw_intervals(
            axes, one, [at], size=_SMALLEST + (_LARGEST - _SMALLEST) * weight**0.5, line=0.9,
            edge=0.8, marker=marker, color=FAINT if hollow else color,
            markerfacecolor="none" if hollow else color,
        )  # fmt: skip
