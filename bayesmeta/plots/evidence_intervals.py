"""The figure of an evidence card: what parts of the data say of one statement."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping
from statistics import NormalDist

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from numpy.typing import NDArray

from bayesmeta import defaults
from bayesmeta.estimates.answer import Answer, query
from bayesmeta.estimates.counterfactual import mean_slope, weigh_target
from bayesmeta.estimates.linearised import linearise, mean_change, to_free
from bayesmeta.estimates.summary import normal_interval
from bayesmeta.inference.fits import Fit
from bayesmeta.plots.figure import Drawn, build_figure, drawn_from
from bayesmeta.plots.look import COLUMN_WIDTH, INK, PALE, pt
from bayesmeta.plots.marks import (
    draw_dots,
    draw_intervals,
    draw_zero,
    equals,
    interval_words,
    label_rows,
    printable,
)
from bayesmeta.tables.wording import percent

_NORMAL = NormalDist()
_CHARACTERS = 19
"""Characters of text in an inch."""

_LINE = 0.115
"""Height of a line of text in inches."""

_BINS = 45
_INTERVAL = ("estimate", "lower", "upper")
_ROWS = {
    "all data": ("o", "#0072B2"),
    "all, linearised": ("P", "#56B4E9"),
    "within families": ("^", "#009E73"),
    "between families": ("s", "#CC79A7"),
    "without": ("D", "#D55E00"),
}
"""Marker and colour of every interval."""


@drawn_from(Fit, made_by="bm.fit or bm.load_fit")
def evidence(
    fit: Fit,
    statement: str,
    *,
    benchmark: str | None = None,
    task_family: str | None = None,
    ci_prob: float = defaults.CI_PROB,
    width: float = COLUMN_WIDTH,
) -> Drawn:
    """Draw the evidence card of a statement: its effect by all data and by parts of them.

    Parts of the data, and the data without single families, speak through the model linearised
    about its posterior means, as on the card that `query` returns.

    Parameters
    ----------
    fit
        A fit.
    statement
        As `query` reads it.
    benchmark, task_family
        Where; over all benchmarks if both are left out.
    ci_prob
        Probability of the equal-tailed intervals, and of the prior's.
    width
        Width in inches.

    Returns
    -------
    Drawn
        The figure and the table drawn: `part`, `estimate`, `lower`, `upper`, and `lm_family` where
        one is left out; of those left out in turn, the estimate alone.

    Raises
    ------
    QueryError
        If the statement cannot be read,
        or names what the fit does not know.

    Examples
    --------
    >>> import bayesmeta as bm
    >>> drawn = evidence(bm.load_reference_fit(), "code_share: 20 > 5")
    >>> drawn.table["part"].unique().tolist()[:4]
    ['all data', 'all, linearised', 'within families', 'between families']
    """
    answer = query(fit, statement, benchmark=benchmark, task_family=task_family, ci_prob=ci_prob)
    answer = answer.as_association  # what LMs say, in whole and in parts
    intervals = _tabulate(answer, ci_prob=ci_prob)
    each = _leave_out(fit, answer, benchmark=benchmark, task_family=task_family)
    before = normal_interval(0.0, answer.evidence.prior_sd, ci_prob=ci_prob)
    prior = {"part": "prior", **{key: before[key] for key in _INTERVAL}}
    title, notes = _words(answer, width=width)
    lines = len(title.splitlines()) + len(notes.splitlines())
    height = 1.0 + 0.17 * len(intervals) + 0.45 + _LINE * lines
    figure = build_figure(width=width, height=height)
    axes = figure.subplots()
    _draw_prior(axes, prior)
    _draw_intervals(axes, intervals)
    card, below = answer.evidence, len(intervals) + 0.55
    _draw_strip(axes, each, place=below, worst=card.most_influential_family)
    names = [printable(part, most=24) for part in intervals["part"]]
    label_rows(axes, [*range(len(intervals)), below], [*names, "without each\nfamily in turn"])
    axes.set_ylim(len(intervals) + 1.6, -0.7)
    axes.set_xlabel(
        f"effect ({answer.effect['units']}),\n{interval_words(ci_prob, noun='intervals')};\n"
        "shaded: prior, its scales as learned"
    )
    figure.suptitle(title, x=0.02, ha="left", fontsize=pt(7), fontweight="bold")
    figure.supxlabel(notes, x=0.02, ha="left", fontsize=pt(6.5))
    table = pd.concat([intervals, pd.DataFrame([prior]), each], ignore_index=True)
    table = table.assign(
        ci_prob=ci_prob,
        probability=answer.probability.estimate,
        contraction=card.contraction,
        support=answer.support,
        verdict=card.verdict,
    )
    return Drawn(figure, table)


def _tabulate(answer: Answer, *, ci_prob: float) -> pd.DataFrame:
    """Effect by all data and by parts of them, from top to bottom."""
    card = answer.evidence
    rows = [{"part": "all data", **{key: answer.effect[key] for key in _INTERVAL}}]
    parts: dict[str, Mapping[str, float] | None] = {
        "all, linearised": card.all_families,
        "within families": card.within_families,
        "between families": card.between_families,
        f"without {card.most_influential_family}": card.without_it,
    }
    scale = _NORMAL.inv_cdf((1 + ci_prob) / 2) / _NORMAL.inv_cdf((1 + defaults.CI_PROB) / 2)
    for name, found in parts.items():
        if found is not None:
            middle = found["estimate"]
            wide = {key: middle + scale * (found[key] - middle) for key in _INTERVAL}
            rows.append({"part": name, **wide})
    return pd.DataFrame(rows)


def _leave_out(
    fit: Fit, answer: Answer, *, benchmark: str | None, task_family: str | None
) -> pd.DataFrame:
    """Estimate without every family that has scores."""
    _, weights = weigh_target(fit.design, benchmark=benchmark, task_family=task_family)
    model, design = linearise(fit), fit.design
    moved = to_free(fit.design, mean_change(fit, answer.contrast))
    mean = mean_slope(fit, weights=weights) * model.without_each_family(moved, weights=weights).mean
    scored = np.unique(model.family)
    names = np.array(design.lm_families)[scored]
    return pd.DataFrame(
        {"part": "without each family", "lm_family": names, "estimate": mean[scored]}
    )


def _draw_prior(axes: Axes, prior: Mapping[str, float | str]) -> None:
    axes.axvspan(float(prior["lower"]), float(prior["upper"]), color=PALE, linewidth=0,
                 zorder=0)  # fmt: skip
    draw_zero(axes, zorder=1)


def _draw_intervals(axes: Axes, intervals: pd.DataFrame) -> None:
    for place, part in enumerate(intervals["part"]):
        marker, colour = _ROWS.get(part, _ROWS["without"])
        row = intervals.iloc[[place]]
        draw_intervals(axes, row, [place], size=3.6, line=1.1, marker=marker, color=colour)


def _draw_strip(axes: Axes, each: pd.DataFrame, *, place: float, worst: str) -> None:
    """Draw one dot per family left out; those that would cover each other stand side by side."""
    marker, colour = _ROWS["without"]
    values = each["estimate"].to_numpy(float)
    height = place + _spread(values, width=float(np.ptp(axes.get_xlim())))
    is_worst = (each["lm_family"] == worst).to_numpy()
    rest, one = (values[~is_worst], height[~is_worst]), (values[is_worst], height[is_worst])
    draw_dots(axes, *rest, "o", size=2.4, color=INK, alpha=0.6, zorder=3)
    draw_dots(axes, *one, marker, size=3.2, color=colour, zorder=4)


def _spread(values: NDArray[np.float64], *, width: float) -> NDArray[np.float64]:
    """Move values that fall into one bin of the axis up and down in turn, at most half a row."""
    bins = np.floor(values / max(width / _BINS, 1e-12)).astype(int)
    offset = np.zeros(len(values))
    for one in np.unique(bins):
        members = np.flatnonzero(bins == one)
        steps = (np.arange(len(members)) + 1) // 2 * np.where(np.arange(len(members)) % 2, 1, -1)
        offset[members] = steps * min(0.17, 1.3 / max(len(members), 1))
    return offset


def _words(answer: Answer, *, width: float) -> tuple[str, str]:
    """Title and notes, broken into lines that fit."""
    card, most = answer.evidence, int(_CHARACTERS * width)
    where = "over all benchmarks" if answer.target == "overall" else f"on {answer.target}"
    title = [
        f"{answer.statement}, {where}".replace("_", " "),
        f"P {equals(answer.probability.estimate)}; {card.verdict}",
    ]
    notes = [
        f"Evidence: {answer.support}.",
        *["It lies outside what LMs record."] * card.extrapolates,
        f"The data removed {percent(card.contraction)} of the prior variance.",
        f"Without {card.most_influential_family} the estimate moves furthest.",
        "An association adjusted for the modelled covariates.",
    ]
    lines = [line for part in title for line in textwrap.wrap(part, int(0.85 * most))]
    below = textwrap.wrap(" ".join(notes), most)
    first, second = ("\n".join(printable(x, most=len(x)) for x in part) for part in (lines, below))
    return first, second
