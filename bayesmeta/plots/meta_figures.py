"""Figures of a meta-analysis of effect sizes: forest, funnel, Baujat plot, bubble plot."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from statistics import NormalDist
from typing import Unpack

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.patches import Polygon

from bayesmeta import defaults
from bayesmeta.errors import QueryError, listing
from bayesmeta.estimates.pooled_effects import (
    mean_at,
    name_mean,
    predict_effects,
    study_table,
    study_weights,
    summary,
    total_variance,
)
from bayesmeta.inference.fits import EffectSizeFit
from bayesmeta.plots.figure import Drawn, Layout, check_known, drawn_from
from bayesmeta.plots.layout import Page
from bayesmeta.plots.look import COLUMN_WIDTH, FAINT, INK, PALE, pt
from bayesmeta.plots.marks import (
    draw_band,
    draw_intervals,
    draw_zero,
    interval_words,
    label_rows,
    printable,
    write_number,
)
from bayesmeta.robustness.study_influence import leave_study_out
from bayesmeta.studies.study_design import is_number
from bayesmeta.tables.wording import percent, signed

_MADE_BY = "bm.fit of effect sizes, or bm.load_fit"
_OWN, _POOLED = "#0072B2", "#D55E00"
_SQUARES = (1.5, 6.0)
"""Points of the lightest and of the heaviest study's square."""

MOST_ROWS = 150
"""Studies that a forest plot holds."""

_ENDS = ("lower", "upper")


@drawn_from(EffectSizeFit, made_by=_MADE_BY)
def study_forest(
    fit: EffectSizeFit, *, ci_prob: float = defaults.CI_PROB, **how: Unpack[Layout]
) -> Drawn:
    """Draw the studies of a meta-analysis, their mean and the prediction interval.

    Squares are effects as they were measured, as large as the study weighs, with intervals by their
    standard errors; circles below them are the studies' own effects given all studies.

    Parameters
    ----------
    fit
        A fit of effect sizes.
    ci_prob
        Probability of the intervals.

    Returns
    -------
    Drawn
        The figure and the table of `study_table`, with rows for the mean effect (at mean
        moderators) and for the effect in a new study.

    Raises
    ------
    QueryError
        If there are more studies than a figure holds.

    Examples
    --------
    >>> import bayesmeta as bm
    >>> frame = pd.DataFrame({"s": list("abc"), "y": [0.1, 0.3, 0.2], "se": [0.1, 0.2, 0.1]})
    >>> fit = bm.fit(bm.read_effect_sizes(frame, effect="y", se="se", study="s"))
    >>> study_forest(fit).table["study"].tolist()
    ['a', 'b', 'c', 'mean effect', 'effect in a new study']
    """
    page = Page(how)
    table = page.tabulate(partial(study_table, fit), ci_prob)
    n = len(table)
    if n > MOST_ROWS:
        raise QueryError(
            f"this figure shows at most {MOST_ROWS} studies, and the fit has {n}. Allowed: a fit "
            "of fewer; plot.funnel shows any number."
        )
    rows = summary(fit, ci_prob=ci_prob)
    pooled, new = rows[name_mean(fit)], rows["effect in a new study"]
    order = page.arrange([(study,) for study in fit.design.studies], table["observed"])
    weight = study_weights(fit)[order]
    attrs, table, n = table.attrs, table.iloc[order].reset_index(drop=True), len(order)
    (axes,) = page.panels(width=COLUMN_WIDTH, height=0.5 + 0.17 * (n + 2))
    places = np.arange(n, 0, -1) + 1.5
    sizes = _SQUARES[0] + (_SQUARES[1] - _SQUARES[0]) * np.sqrt(weight / weight.max())
    for row, place, size in zip(table.to_dict("records"), places, sizes, strict=True):
        axes.plot([row["observed_lower"], row["observed_upper"]], [place + 0.1] * 2, color=INK,
                  linewidth=pt(0.8))  # fmt: skip
        axes.plot(row["observed"], place + 0.1, "s", color=INK, markersize=pt(size),
                  markeredgewidth=0)  # fmt: skip
    draw_intervals(axes, table, places - 0.25, size=2.2, line=0.6, color=_OWN, marker="o")
    _draw_pooled(axes, pooled, new)
    draw_zero(axes, zorder=0)
    shown = [fit.design.studies[k] for k in order]
    labels = [page.label(name) for name in (*shown, "mean effect", "new study")]
    label_rows(axes, [*places, 1.0, 0.0], labels)
    axes.set_ylim(-0.6, n + 2.2)
    texts = [signed(y, 2) for y in table["observed"]]
    if "weight" in table:
        texts = [f"{text}  {w:.1f}%" for text, w in zip(texts, table["weight"], strict=True)]
    texts += [signed(pooled["estimate"], 2), " to ".join(signed(new[k], 2) for k in _ENDS)]
    for text, place in zip(texts, [*places, 1.0, 0.0], strict=True):
        write_number(axes, text, (1.02, place), va="center", ha="left")
    ends = {"mean effect": pooled, "effect in a new study": new}
    extra = pd.DataFrame(
        [{"study": name, **{k: row[k] for k in ("estimate", *_ENDS)}} for name, row in ends.items()]
    )
    whole = pd.concat([table, extra], ignore_index=True)
    whole.attrs = attrs
    words = interval_words(ci_prob, inner=page.inner(ci_prob), noun="intervals")
    weighs = " and weight" if "weight" in table else ""
    return page.finish(
        whole,
        xlabel="effect",
        note=[f"Squares: as measured, as large as they weigh, with {interval_words(ci_prob)}; "
              f"circles: given all studies, {words}; line at the bottom: prediction interval.",
              f"Right: effect{weighs}."],
    )  # fmt: skip


def _draw_pooled(axes: Axes, mean: Mapping[str, float], new: Mapping[str, float]) -> None:
    """Draw the mean effect as a diamond, and the prediction interval as a line below it."""
    corners = [(mean["lower"], 1), (mean["estimate"], 1.3), (mean["upper"], 1),
               (mean["estimate"], 0.7)]  # fmt: skip
    axes.add_patch(Polygon(corners, closed=True, facecolor=_POOLED, edgecolor="none"))
    axes.plot([new["lower"], new["upper"]], [0, 0], color=_POOLED, linewidth=pt(1.6),
              solid_capstyle="butt")  # fmt: skip
    axes.axvline(mean["estimate"], color=_POOLED, linewidth=pt(0.5), linestyle=":", zorder=0)


@drawn_from(EffectSizeFit, made_by=_MADE_BY)
def funnel(
    fit: EffectSizeFit, *, ci_prob: float = defaults.CI_PROB, **how: Unpack[Layout]
) -> Drawn:
    """Draw effects against their standard errors, within limits about the mean effect.

    Parameters
    ----------
    fit
        A fit of effect sizes. With moderators, residuals are drawn about zero.
    ci_prob
        Probability of the limits.

    Returns
    -------
    Drawn
        The figure and its points: `study`, `effect` (or residual), `se`.

    Examples
    --------
    >>> import bayesmeta as bm
    >>> frame = pd.DataFrame({"s": list("abc"), "y": [0.1, 0.3, 0.2], "se": [0.1, 0.2, 0.1]})
    >>> fit = bm.fit(bm.read_effect_sizes(frame, effect="y", se="se", study="s"))
    >>> len(funnel(fit).table)
    3
    """
    design = fit.design
    fitted = np.median(mean_at(fit, fit.dataset.frame), axis=(0, 1))
    has_slopes = bool(fit.dataset.moderators)
    effect, center = (design.y - fitted, 0.0) if has_slopes else (design.y, float(fitted[0]))
    page = Page(how)
    (axes,) = page.panels(width=COLUMN_WIDTH, height=_high(page))
    z = NormalDist().inv_cdf((1 + ci_prob) / 2)
    errors = np.linspace(0, 1.08 * design.se.max(), 60)
    tau2 = float(np.median(total_variance(fit)))
    for extra, style in ((tau2, PALE), (0.0, FAINT)):
        half = z * np.sqrt(errors**2 + extra)
        if extra:
            axes.fill_betweenx(errors, center - half, center + half, color=style, linewidth=0,
                               label="with heterogeneity")  # fmt: skip
            continue
        for side, label in ((-1, "sampling error alone"), (1, None)):
            axes.plot(center + side * half, errors, color=style, linewidth=pt(0.7),
                      linestyle="--", label=label)  # fmt: skip
    axes.axvline(center, color=_POOLED, linewidth=pt(0.8))
    axes.plot(effect, design.se, "o", color=_OWN, markersize=pt(3), markeredgewidth=0)
    axes.set_ylim(errors[-1], 0)
    page.legend(ncols=2)
    return page.finish(
        pd.DataFrame({"study": list(design.studies), "effect": effect, "se": design.se}),
        xlabel="residual from the regression" if has_slopes else "effect",
        ylabel="standard error",
        note=[f"Limits hold {percent(ci_prob, whole=False)} of studies about the mean."],
    )


def _high(page: Page) -> float:
    """Height of a figure of points, in inches."""
    return min(0.75 * page.inches(COLUMN_WIDTH), 3.2)


@drawn_from(EffectSizeFit, made_by=_MADE_BY)
def baujat(fit: EffectSizeFit, **how: Unpack[Layout]) -> Drawn:
    """Draw how much each study adds to the heterogeneity, and how far it moves the mean.

    Parameters
    ----------
    fit
        A fit of effect sizes; it is fitted anew without each study.

    Returns
    -------
    Drawn
        The figure and the table of `leave_study_out`.

    Examples
    --------
    >>> import bayesmeta as bm
    >>> frame = pd.DataFrame({"s": list("abc"), "y": [0.1, 0.3, 0.2], "se": [0.1, 0.2, 0.1]})
    >>> fit = bm.fit(bm.read_effect_sizes(frame, effect="y", se="se", study="s"))
    >>> len(baujat(fit).table)
    4
    """
    table = leave_study_out(fit, progress=False)
    shown = table.iloc[1:].dropna(subset=["move"])
    page = Page(how)
    (axes,) = page.panels(width=COLUMN_WIDTH, height=_high(page))
    x, y = shown["heterogeneity"].to_numpy(float), shown["move"].abs().to_numpy(float)
    axes.plot(x, y, "o", color=_OWN, markersize=pt(3), markeredgewidth=0)
    far = np.argsort(x / x.max() + y / max(y.max(), 1e-9))[::-1][:5]
    for k in far:
        axes.annotate(page.label(shown["left_out"].iloc[k], most=18), (x[k], y[k]),
                      xytext=(pt(3), pt(2)), textcoords="offset points", fontsize=pt(6),
                      ha="left" if x[k] < 0.7 * x.max() else "right")  # fmt: skip
    axes.margins(0.1)
    return page.finish(
        table,
        xlabel="share of the heterogeneity Q (%)",
        ylabel="move of the mean without it (SD)",
    )


@drawn_from(EffectSizeFit, made_by=_MADE_BY)
def bubble(
    fit: EffectSizeFit,
    *,
    moderator: str | None = None,
    ci_prob: float = defaults.CI_PROB,
    **how: Unpack[Layout],
) -> Drawn:
    """Draw effects against a moderator, with the mean effect along it and the prediction interval.

    Parameters
    ----------
    fit
        A fit of effect sizes with a moderator that is a number.
    moderator
        Which one; the first that is a number if left out. The others are held at their means, or at
        their reference.
    ci_prob
        Probability of the bands.

    Returns
    -------
    Drawn
        The figure and the line: the moderator, `estimate`, `lower`, `upper`, `new_lower`,
        `new_upper`.

    Raises
    ------
    QueryError
        If there is no such moderator.

    Examples
    --------
    >>> import bayesmeta as bm
    >>> frame = pd.DataFrame(
    ...     {"s": list("abcd"), "y": [0.1, 0.3, 0.2, 0.5], "se": [0.1] * 4, "dose": [1, 2, 3, 4]}
    ... )
    >>> table = bm.read_effect_sizes(frame, effect="y", se="se", study="s", moderators=["dose"])
    >>> len(bubble(bm.fit(table)).table)
    60
    """
    data, design = fit.dataset, fit.design
    numbers = [name for name in data.moderators if is_number(data, name)]
    if not numbers:
        raise QueryError(
            f"plot.bubble needs a moderator that is a number, and the fit has "
            f"{listing(data.moderators) or 'none'}. Allowed: such a fit; plot.study_forest shows "
            "any."
        )
    moderator = numbers[0] if moderator is None else moderator
    check_known("moderator", [moderator], numbers, said="is no number of this fit")
    values = data.frame[moderator].to_numpy(float)
    grid = np.linspace(values.min(), values.max(), 60)
    others = {
        name: data.frame[name].mean() if name in numbers else data.levels.get(
            name, sorted(set(data.frame[name]))
        )[0]
        for name in data.moderators if name != moderator
    }  # fmt: skip
    line = predict_effects(fit, pd.DataFrame({moderator: grid}).assign(**others), ci_prob=ci_prob)
    page = Page(how)
    (axes,) = page.panels(width=COLUMN_WIDTH, height=_high(page))
    new = line.rename(columns={"new_lower": "lower", "new_upper": "upper"})
    new = new.loc[:, ~new.columns.duplicated(keep="last")]
    draw_band(axes, new, moderator, color=PALE, alpha=1.0, label="new study")
    draw_band(axes, line, moderator, color=_POOLED, alpha=0.3, label="mean effect")
    axes.plot(grid, line["estimate"], color=_POOLED, linewidth=pt(1.2))
    precision = 1 / (design.se**2 + float(np.median(total_variance(fit))))
    size = 25 * precision / precision.max()
    axes.scatter(values, design.y, s=pt(1) ** 2 * (2 + size), facecolor="none", edgecolor=INK,
                 linewidth=pt(0.7))  # fmt: skip
    draw_zero(axes, upright=False, zorder=0)
    held = f" Held: {listing(others)}." if others else ""
    page.legend(ncols=2)
    return page.finish(
        line,
        xlabel=printable(moderator),
        ylabel="effect",
        note=[f"{interval_words(ci_prob, noun='bands').capitalize()}; circles as large as a study "
              f"weighs.{held}"],
    )  # fmt: skip
