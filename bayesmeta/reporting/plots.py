"""Figures for papers: sized for columns, vector output, the drawn numbers returned.

Every function takes draws and returns the figure and a table of what it shows. Colours are from
the Okabe-Ito set, told apart by colour-blind readers; shape or position says the same again.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from bayesmeta import defaults
from bayesmeta.design import DECISIONS, UNDISCLOSED
from bayesmeta.effects.contrasts import Effects
from bayesmeta.effects.curves import Curve
from bayesmeta.effects.estimands import format_level
from bayesmeta.effects.mix_swaps import Asked, Swap
from bayesmeta.errors import QueryError, listing
from bayesmeta.evaluation import Scoreboard
from bayesmeta.reporting.calibration import calibration, ppc, ranks
from bayesmeta.reporting.ladders import ladders
from bayesmeta.reporting.specifications import specification_curve
from bayesmeta.reporting.style import (
    COLUMN_WIDTH,
    FAINT,
    INK,
    PAGE_WIDTH,
    PALE,
    STYLE,
    Drawn,
    draw_recorded,
    literal,
    save_figure,
    short,
)
from bayesmeta.reporting.tradeoffs import tradeoff

__all__ = [
    "COLUMN_WIDTH",
    "Drawn",
    "calibration",
    "curve",
    "forest",
    "ladders",
    "ppc",
    "prior_posterior",
    "ranks",
    "save_figure",
    "scoreboard",
    "specification_curve",
    "tradeoff",
]

_VERDICT_STYLE: dict[str, dict[str, Any]] = {
    "identified": {"color": "#0072B2", "marker": "o", "markerfacecolor": "#0072B2"},
    "weakly identified": {"color": "#E69F00", "marker": "s", "markerfacecolor": "#E69F00"},
    "prior-driven": {"color": FAINT, "marker": "D", "markerfacecolor": "white"},
}
_SCHEME_STYLE: dict[str, dict[str, Any]] = {
    "random": {"color": "#56B4E9", "marker": "o", "markerfacecolor": "white"},
    "leave-family-out": {"color": "#0072B2", "marker": "o", "markerfacecolor": "#0072B2"},
    "largest": {"color": "#D55E00", "marker": "s", "markerfacecolor": "#D55E00"},
    "leave-benchmark-out": {"color": "#009E73", "marker": "D", "markerfacecolor": "#009E73"},
}
_SCHEME_NAMES = {
    "random": "random thirds of the lms",
    "leave-family-out": "unseen lm families",
    "largest": "largest lms",
    "leave-benchmark-out": "unseen benchmarks",
}
_NAMES = {
    "position_embedding": "position embedding",
    "weight_tying": "weight tying",
    "mlp_ratio": "MLP ratio",
    "context_length": "context length",
}


def forest(
    effects: Effects, *, ci_prob: float = defaults.CI_PROB, width: float = COLUMN_WIDTH
) -> Drawn:
    """Draw medians and intervals of effects, one row per contrast.

    Parameters
    ----------
    effects
        Effects on one target, or one contrast on many targets.
    ci_prob
        Probability of the equal-tailed interval.
    width
        Width in inches.

    Returns
    -------
    Drawn
        The figure and the table drawn, top to bottom.

    Raises
    ------
    QueryError
        If there are several contrasts on several targets.

    Examples
    --------
    >>> import bayesmeta as bm
    >>> from bayesmeta.effects import effects
    >>> drawn = forest(effects(bm.load_reference_fit(), "norm"))
    >>> len(drawn.table)
    2
    """
    return _draw_forest(effects, prior=None, ci_prob=ci_prob, width=width)


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
    ci_prob
        Probability of the equal-tailed intervals.
    width
        Width in inches.

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
            f"a forest shows one target or one contrast, not {len(effects.contrasts)} contrasts on "
            f"{effects.draws.sizes['target']} targets. Ask for one decision with one contrast, or "
            "use by='overall'."
        )
    table = effects.table(ci_prob=ci_prob)
    if prior is not None:
        before = prior.table(ci_prob=ci_prob)
        narrowed = (table["upper"] - table["lower"]) / (before["upper"] - before["lower"])
        table = table.assign(
            prior_lower=before["lower"], prior_upper=before["upper"], narrowed=1 - narrowed
        )
    table = table[table["level"] != UNDISCLOSED].reset_index(drop=True)
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(width, 0.85 + 0.165 * len(table)), layout="constrained")
        axes = figure.subplots()
        shown = [c for c in effects.contrasts if c.level != UNDISCLOSED]
        targets = [literal(str(t)) for t in table["target"]]
        labels = targets if many_targets else [_label(c) for c in shown]
        if prior is not None:
            _draw_prior(axes, table)
        _draw_intervals(axes, table, labels=labels)
        label = effects.contrasts[0].label if effects.contrasts else ""
        what = f"{label.replace(' >', ' against')}\n" if many_targets else ""
        figure.supxlabel(
            f"{what}effect on the score (percentage points); median and\n{ci_prob:.0%} "
            "equal-tailed interval; numbers: P(helps)",
            fontsize=7,
        )
    return Drawn(figure, table)


def _label(contrast: Asked) -> str:
    name = _NAMES.get(contrast.decision, contrast.decision.replace("_", " "))
    if isinstance(contrast, Swap):
        parts = [part.removesuffix("_share") for part in (contrast.decision, contrast.donor)]
        return f"{parts[0]}: {contrast.level} points from {parts[1]}"
    unit = " %" if DECISIONS[contrast.decision].kind == "share" else ""
    return f"{name}: {format_level(contrast.level)} vs {format_level(contrast.reference)}{unit}"


def _draw_prior(axes: Axes, table: pd.DataFrame) -> None:
    """Draw prior intervals as bars behind what comes later."""
    axes.use_sticky_edges = False
    width = table["prior_upper"] - table["prior_lower"]
    axes.barh(np.arange(len(table))[::-1], width, left=table["prior_lower"], height=0.7,
              color=PALE, label="prior", zorder=0)  # fmt: skip


def _draw_intervals(axes: Axes, table: pd.DataFrame, *, labels: list[str]) -> None:
    y = np.arange(len(table))[::-1]
    axes.axvline(0, color=FAINT, linewidth=0.6, zorder=0)
    for verdict, style in _VERDICT_STYLE.items():
        rows = (table["verdict"] == verdict).to_numpy()
        if not rows.any():
            continue
        part = table[rows]
        error = np.stack([part["estimate"] - part["lower"], part["upper"] - part["estimate"]])
        axes.errorbar(part["estimate"], y[rows], xerr=error, linestyle="none", markersize=3.2,
                      elinewidth=1.0, markeredgewidth=0.8, label=verdict, **style)  # fmt: skip
    axes.set_yticks(y, labels)
    axes.set_ylim(-0.7, len(table) - 0.3)
    axes.tick_params(axis="y", length=0)
    for height, probability in zip(y, table["prob_helps"], strict=True):
        axes.annotate(short(probability), (1.01, height), xycoords=("axes fraction", "data"),
                      va="center", fontsize=6.5, color=INK)  # fmt: skip
    axes.figure.legend(loc="outside upper center", ncols=4, frameon=False, handletextpad=0.2,
                       columnspacing=0.9)  # fmt: skip


def curve(draws: Curve, *, ci_prob: float = defaults.CI_PROB, width: float = PAGE_WIDTH) -> Drawn:
    """Draw the expected score along a numeric decision, one panel per target.

    Parameters
    ----------
    draws
        Draws of the curve.
    ci_prob
        Probability of the equal-tailed band.
    width
        Width in inches.

    Returns
    -------
    Drawn
        The figure and the points drawn.

    Examples
    --------
    >>> import bayesmeta as bm
    >>> drawn = curve(bm.curve(bm.load_reference_fit(), "code_share"))
    >>> drawn.table["target"].nunique()
    8
    """
    table = draws.table(ci_prob=ci_prob)
    targets = list(dict.fromkeys(table["target"]))
    columns = min(4, len(targets))
    rows = -(-len(targets) // columns)
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(width, 0.5 + 1.35 * rows), layout="constrained")
        grid = figure.subplots(rows, columns, sharex=True, squeeze=False)
        optimum = draws.optimum(ci_prob=ci_prob)
        for axes, target in zip(grid.flat, targets, strict=False):
            _draw_panel(axes, table[table["target"] == target], draws)
            axes.set_title(_panel_title(target, optimum.loc[target]), loc="left")
        for axes in grid.flat[len(targets) :]:
            axes.set_visible(False)
        name = draws.decision.replace("_", " ")
        figure.supxlabel(
            f"{name} ({draws.units}); ticks: recorded lms; band: {ci_prob:.0%} equal-tailed",
            fontsize=7,
        )
        figure.supylabel("change in score from the left\nedge (percentage points)", fontsize=7)
    return Drawn(figure, table)


def _draw_panel(axes: Axes, points: pd.DataFrame, draws: Curve) -> None:
    axes.axhline(0, color=FAINT, linewidth=0.6)
    axes.fill_between(points["grid"], points["lower"], points["upper"], color="#56B4E9", alpha=0.45,
                      linewidth=0)  # fmt: skip
    axes.plot(points["grid"], points["estimate"], color="#0072B2", linewidth=1.2)
    draw_recorded(axes, draws.recorded)


def _panel_title(target: str, optimum: pd.Series) -> str:
    band = next(str(name) for name in optimum.index if str(name).startswith("prob_between"))
    low, high = band.split("_")[2:]
    probability = short(float(optimum[band]))
    joint = "" if probability[0] in "<>" else "= "
    return f"{literal(target.replace('_', ' '))}\nP(best at {low}-{high}) {joint}{probability}"


def scoreboard(
    board: Scoreboard,
    *,
    schemes: Sequence[str] = ("random", "leave-family-out"),
    models: Sequence[str] | None = None,
    width: float = COLUMN_WIDTH,
) -> Drawn:
    """Draw the mean absolute error of every model, one row per model and a mark per scheme.

    Parameters
    ----------
    board
        Scores.
    schemes
        Schemes to show, where they were run.
    models
        Models to show, top to bottom; if left out, all but the training median, which is so far
        off that nothing else could be told apart, the best on the last scheme first.
    width
        Width in inches.

    Returns
    -------
    Drawn
        The figure and the means drawn.

    Raises
    ------
    QueryError
        If none of the schemes or models was scored.

    Examples
    --------
    >>> import bayesmeta as bm
    >>> drawn = scoreboard(bm.load_scoreboard())
    >>> sorted(drawn.table["scheme"].unique())
    ['leave-family-out', 'random']
    """
    means = board.means()
    table = means[means["scheme"].isin(list(schemes))]
    if models is None:
        last = table[table["scheme"] == table["scheme"].iloc[-1]] if len(table) else table
        models = [m for m in last.sort_values("mae")["model"] if m != "median"]
    table = table[table["model"].isin(list(models))].reset_index(drop=True)
    if table.empty:
        scored = [listing(dict.fromkeys(means[column])) for column in ("scheme", "model")]
        raise QueryError(
            f"nothing of {listing(schemes)} and {listing(models)} was scored. Allowed schemes: "
            f"{scored[0]}; models: {scored[1]}."
        )
    shown = [name for name in _SCHEME_STYLE if name in set(table["scheme"])]
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(width, 0.9 + 0.24 * len(models)), layout="constrained")
        axes = figure.subplots()
        for k, scheme in enumerate(shown):
            part = table[table["scheme"] == scheme].set_index("model").reindex(list(models))
            height = np.arange(len(models))[::-1] + 0.16 * ((len(shown) - 1) / 2 - k)
            error = np.stack([part["mae"] - part["lower"], part["upper"] - part["mae"]])
            axes.errorbar(part["mae"], height, xerr=error, linestyle="none", markersize=3.2,
                          elinewidth=1.0, markeredgewidth=0.8, label=_SCHEME_NAMES[scheme],
                          **_SCHEME_STYLE[scheme])  # fmt: skip
        axes.set_yticks(np.arange(len(models))[::-1], list(models))
        axes.tick_params(axis="y", length=0)
        figure.legend(loc="outside upper center", ncols=2, frameon=False, handletextpad=0.2)
        figure.supxlabel(
            "mean absolute error (percentage points), mean over benchmarks;\n"
            f"{defaults.CI_PROB:.0%} intervals: lm families drawn with replacement",
            fontsize=7,
        )
    return Drawn(figure, table)
