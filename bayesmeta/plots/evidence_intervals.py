"""The figure of an evidence card: what parts of the data say of one statement."""

from __future__ import annotations

from collections.abc import Mapping
from statistics import NormalDist
from typing import Unpack

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from numpy.typing import NDArray

from bayesmeta import defaults
from bayesmeta.estimates.answer import Answer, query
from bayesmeta.estimates.counterfactual import mean_slope, weigh_target
from bayesmeta.estimates.linearised import linearise, mean_change, to_free
from bayesmeta.estimates.question import Contrast, format_level
from bayesmeta.estimates.summary import normal_interval
from bayesmeta.inference.fits import Fit
from bayesmeta.plots.figure import Drawn, Layout, drawn_from
from bayesmeta.plots.layout import Page
from bayesmeta.plots.look import COLUMN_WIDTH, INK, PALE
from bayesmeta.plots.marks import (
    chance,
    draw_dots,
    draw_intervals,
    draw_zero,
    interval_words,
    label_rows,
)
from bayesmeta.tables.wording import percent, readable

_NORMAL = NormalDist()
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
    **how: Unpack[Layout],
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
    page = Page(how)

    def ask(ci_prob: float) -> pd.DataFrame:
        asked = query(fit, statement, benchmark=benchmark, task_family=task_family, ci_prob=ci_prob)
        return _tabulate(asked.as_association, ci_prob=ci_prob)

    intervals = page.tabulate(ask, ci_prob)
    each = _leave_out(fit, answer, benchmark=benchmark, task_family=task_family)
    before = normal_interval(0.0, answer.evidence.prior_sd, ci_prob=ci_prob)
    prior = {"part": "prior", **{key: before[key] for key in _INTERVAL}}
    (axes,) = page.panels(width=COLUMN_WIDTH, height=0.55 + 0.17 * (len(intervals) + 2.3))
    _draw_prior(axes, prior)
    _draw_intervals(axes, intervals)
    card, below = answer.evidence, len(intervals) + 0.55
    _draw_strip(axes, each, place=below, worst=card.most_influential_family)
    parts = [*intervals["part"], "without each\nfamily in turn"]
    names = [page.label(part, most=26) for part in parts[:-1]]
    names.append(page.label("without each", shown=parts[-1]).replace("each family", "each\nfamily"))
    label_rows(axes, [*range(len(intervals)), below], names)
    axes.set_ylim(len(intervals) + 1.6, -0.7)
    table = pd.concat([intervals, pd.DataFrame([prior]), each], ignore_index=True)
    table = table.assign(
        ci_prob=ci_prob,
        probability=answer.probability.estimate,
        contraction=card.contraction,
        support=answer.support,
        verdict=card.verdict,
    )
    words = interval_words(ci_prob, inner=page.inner(ci_prob), noun="intervals")
    return page.finish(
        table,
        title=f"{_say_chance(answer)}; {card.verdict}",
        xlabel=f"effect ({answer.effect['units']})",
        note=[f"Lines: {words}; shaded: prior, its scales as learned.", *_explain(answer)],
    )


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
        draw_intervals(axes, row, [place], size=4.0, line=0.8, marker=marker, color=colour)


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


def _say_chance(answer: Answer) -> str:
    """Say which side is likelier to be better, how likely, and where."""
    probability, contrast = answer.probability.estimate, answer.contrast
    where = "over all benchmarks" if answer.target == "overall" else f"on {answer.target}"
    name = contrast.about.title
    if not isinstance(contrast, Contrast):
        better = "better" if probability >= 0.5 else "worse"
        likely = max(probability, 1 - probability)
        said = readable(contrast.label.removeprefix(f"{contrast.decision}: "))
        return f"{name} {where}: Pr({said} is {better}) {chance(likely)}"
    sides = [_write_side(contrast, side) for side in (contrast.level, contrast.reference)]
    if probability < 0.5:
        sides, probability = sides[::-1], 1 - probability
    return f"{name} {where}: Pr({sides[0]} better than {sides[1]}) {chance(probability)}"


def _write_side(contrast: Contrast, side: str | float) -> str:
    if contrast.about.kind == "share":
        return f"{side:g} %"
    return format_level(side)


def _explain(answer: Answer) -> list[str]:
    """Say who stands behind a statement."""
    card = answer.evidence
    return [
        f"Evidence: {answer.support}.",
        *["It lies outside what LMs record."] * card.extrapolates,
        f"The data removed {percent(card.contraction)} of the prior variance.",
        f"Without {card.most_influential_family} the estimate moves furthest.",
        "An association adjusted for the modelled covariates.",
    ]
