"""Figures for papers: sized for columns, vector output, the drawn numbers returned.

Every function takes draws and returns the figure and a table of what it shows. Colours are from
the Okabe-Ito set, told apart by colour-blind readers; shape or position says the same again.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from bayesmeta import defaults
from bayesmeta.effects.curves import Curve
from bayesmeta.errors import QueryError, listing
from bayesmeta.evaluation import Scoreboard
from bayesmeta.reporting.atlas import atlas
from bayesmeta.reporting.calibration import calibration, ppc, ranks
from bayesmeta.reporting.cards import evidence
from bayesmeta.reporting.forests import forest, prior_posterior
from bayesmeta.reporting.ladders import ladders
from bayesmeta.reporting.scaling import scaling
from bayesmeta.reporting.specifications import specification_curve
from bayesmeta.reporting.style import (
    COLUMN_WIDTH,
    FAINT,
    PAGE_WIDTH,
    Drawn,
    build_figure,
    draw_recorded,
    drawn_from,
    printable,
    pt,
    save_figure,
    short,
    use,
)
from bayesmeta.reporting.tradeoffs import tradeoff

__all__ = [
    "COLUMN_WIDTH",
    "Drawn",
    "atlas",
    "calibration",
    "curve",
    "evidence",
    "forest",
    "ladders",
    "ppc",
    "prior_posterior",
    "ranks",
    "save_figure",
    "scaling",
    "scoreboard",
    "specification_curve",
    "tradeoff",
    "use",
]

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


@drawn_from(Curve, made_by="bm.curve")
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
    figure = build_figure(width=width, height=0.5 + 1.35 * rows)
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
        fontsize=pt(7),
    )
    figure.supylabel("change in score from the left\nedge (percentage points)", fontsize=pt(7))
    return Drawn(figure, table)


def _draw_panel(axes: Axes, points: pd.DataFrame, draws: Curve) -> None:
    axes.axhline(0, color=FAINT, linewidth=pt(0.6))
    axes.fill_between(points["grid"], points["lower"], points["upper"], color="#56B4E9", alpha=0.45,
                      linewidth=0)  # fmt: skip
    axes.plot(points["grid"], points["estimate"], color="#0072B2", linewidth=pt(1.2))
    draw_recorded(axes, draws.recorded)


def _panel_title(target: str, optimum: pd.Series) -> str:
    band = next(str(name) for name in optimum.index if str(name).startswith("prob_between"))
    low, high = band.split("_")[2:]
    probability = short(float(optimum[band]))
    joint = "" if probability[0] in "<>" else "= "
    return f"{printable(target.replace('_', ' '))}\nP(best at {low}-{high}) {joint}{probability}"


@drawn_from(Scoreboard, made_by="bm.evaluate or bm.load_scoreboard")
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
    figure = build_figure(width=width, height=0.9 + 0.24 * len(models))
    axes = figure.subplots()
    for k, scheme in enumerate(shown):
        part = table[table["scheme"] == scheme].set_index("model").reindex(list(models))
        height = np.arange(len(models))[::-1] + 0.16 * ((len(shown) - 1) / 2 - k)
        error = np.stack([part["mae"] - part["lower"], part["upper"] - part["mae"]])
        axes.errorbar(part["mae"], height, xerr=error, linestyle="none", markersize=pt(3.2),
                      elinewidth=pt(1.0), markeredgewidth=pt(0.8), label=_SCHEME_NAMES[scheme],
                      **_SCHEME_STYLE[scheme])  # fmt: skip
    axes.set_yticks(np.arange(len(models))[::-1], list(models))
    axes.tick_params(axis="y", length=0)
    figure.legend(loc="outside upper center", ncols=2, frameon=False, handletextpad=0.2)
    figure.supxlabel(
        "mean absolute error (percentage points), mean over benchmarks;\n"
        f"{defaults.CI_PROB:.0%} intervals: lm families drawn with replacement",
        fontsize=pt(7),
    )
    return Drawn(figure, table)
