"""The figure of a trade-off: what gains, what pays, and where the paying starts."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from bayesmeta import defaults
from bayesmeta.estimates.curves import Curve, Tradeoff
from bayesmeta.plots.dose_response import draw_mass, place_mass
from bayesmeta.plots.figure import (
    Drawn,
    build_figure,
    draw_recorded,
    drawn_from,
    interval_words,
    short,
    write_below,
)
from bayesmeta.plots.theme import COLUMN_WIDTH, FAINT, pt

__all__ = ["tradeoff"]

_SIDES: dict[str, dict[str, Any]] = {
    "gain": {"color": "#D55E00", "linestyle": "--"},
    "loss": {"color": "#0072B2", "linestyle": "-"},
}


@drawn_from(Tradeoff, Curve, made_by="bm.curve or its method tradeoff")
def tradeoff(
    draws: Tradeoff | Curve, *, ci_prob: float = defaults.CI_PROB, width: float = COLUMN_WIDTH
) -> Drawn:
    """Draw what gains and what pays along a decision, and where the loss starts.

    Parameters
    ----------
    draws
        A trade-off; of a curve, that of code against all other targets.
    ci_prob
        Probability of the equal-tailed bands and intervals.
    width
        Width in inches.

    Returns
    -------
    Drawn
        The figure and its numbers: both curves, and the posterior probability of every point of
        the grid as the place where the loss starts or the weighted sum is best, with median and
        interval of that place (`place_estimate`, `place_lower`, `place_upper`).

    Examples
    --------
    >>> import bayesmeta as bm
    >>> drawn = tradeoff(bm.curve(bm.load_reference_fit()))
    >>> drawn.table["side"].unique().tolist()
    ['gain', 'loss', 'loss_starts', 'best_sum']
    """
    found = draws.tradeoff() if isinstance(draws, Curve) else draws
    path, places = found.path(ci_prob=ci_prob), found.table(ci_prob=ci_prob)
    masses = {str(name): _mass(found, str(name), place) for name, place in places.iterrows()}
    figure = build_figure(width=width, height=3.0)
    top, *strips = figure.subplots(3, 1, sharex=True, height_ratios=(6, 1, 1))
    _draw_sides(top, path, found)
    for axes, (name, place) in zip(strips, places.iterrows(), strict=True):
        mass = masses[str(name)]
        draw_mass(axes, mass["grid"], mass["probability"], bar=2)
        axes.set_title(_title(str(name), place, found), loc="left", pad=pt(3), fontsize=pt(6))
    name = found.decision.replace("_", " ")
    write_below(
        figure,
        f"{name} ({found.units}); ticks: recorded lms; change: from the left edge; lines: medians; "
        f"bands, brackets: {interval_words(ci_prob, noun='intervals')}; bars: posterior "
        "probability",
    )
    return Drawn(figure, pd.concat([path, *masses.values()], ignore_index=True))


def _mass(found: Tradeoff, name: str, place: pd.Series) -> pd.DataFrame:
    """Tabulate where a place lies: a row per point of the grid, with what sums it up."""
    values, grid = getattr(found, name).values, found.gain["grid"].values
    mass = pd.DataFrame({"side": name, "grid": grid, "probability": place_mass(values, grid)})
    return mass.assign(**{f"place_{key}": place[key] for key in ("estimate", "lower", "upper")})


def _draw_sides(axes: Axes, path: pd.DataFrame, found: Tradeoff) -> None:
    n = len(found.loss_names)
    loss = found.loss_label if n <= 2 else f"mean of the {n} other tasks"
    axes.axhline(0, color=FAINT, linewidth=pt(0.6))
    for (side, style), label in zip(_SIDES.items(), (found.gain_name, loss), strict=True):
        points = path[path["side"] == side]
        axes.fill_between(points["grid"], points["lower"], points["upper"], linewidth=0,
                          color=style["color"], alpha=0.2)  # fmt: skip
        axes.plot(points["grid"], points["estimate"], linewidth=pt(1.2), **style,
                  label=label.replace("_", " "))  # fmt: skip
    draw_recorded(axes, found.recorded)
    axes.tick_params(axis="x", length=0)
    axes.set_ylabel("change in score\n(percentage points)")
    axes.figure.legend(loc="outside upper center", ncols=2, frameon=False)


def _title(name: str, place: pd.Series, found: Tradeoff) -> str:
    low, high = found.gain["grid"].values[[0, -1]]
    what = "loss starts" if name == "loss_starts" else f"best sum ({_weights(found)})"
    edges = {low: place["prob_at_lower_edge"], high: place["prob_at_upper_edge"]}
    likely = max(edges, key=lambda edge: edges[edge])
    probability = short(float(edges[likely]))
    joint = "" if probability[0] in "<>" else "= "
    return (
        f"{what}: {place['estimate']:.3g} [{place['lower']:.3g}, {place['upper']:.3g}], "
        f"P({likely:g}) {joint}{probability}"
    )


def _weights(found: Tradeoff) -> str:
    first, second = found.weights
    return "equal weights" if np.isclose(first, second) else f"weights {first:.2g} : {second:.2g}"
