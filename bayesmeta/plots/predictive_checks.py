"""Figures that hold a model's predictions against the scores: calibration and predictive checks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from bayesmeta import defaults
from bayesmeta.inference.fits import Fit
from bayesmeta.inference.leave_one_out import LeaveOneOut, loo
from bayesmeta.model.predictor import score_distribution
from bayesmeta.plots.figure import Drawn, drawn_from
from bayesmeta.plots.look import INK, PAGE_WIDTH, pt
from bayesmeta.plots.marks import draw_band, draw_zero, lay_out, write_below
from bayesmeta.tables.wording import percent, readable
from bayesmeta.validation.records import ENVELOPE

_COLUMNS, _PANEL = 5, 1.2
"""At most so many panels in a row, each about so many inches wide: titles then fit above them."""

_TITLE = 22
"""Letters of a title that stand above a panel."""

_GRID = 60
"""Points at which empirical distributions of simulated scores are drawn."""


_BAND_SIMULATIONS = 1000
_BAND, _LINE = "#56B4E9", "#0072B2"


@drawn_from(Fit, made_by="bm.fit or bm.load_fit")
def calibration(
    fit: Fit,
    *,
    found: LeaveOneOut | None = None,
    ci_prob: float = defaults.CI_PROB,
    width: float = PAGE_WIDTH,
) -> Drawn:
    """Draw whether scores left out fall where the model says, one panel per benchmark.

    The line is the empirical distribution of the leave-one-out probabilities of a lower score
    (PIT) less that of uniform values. Inside the band it is what a calibrated model gives, at all
    points together with probability `ci_prob` (Säilynoja et al. 2022,
    https://doi.org/10.1007/s11222-022-10090-6), were the scores left out independent of each
    other. A line that falls before it rises shows intervals
    that are too wide; one that rises before it falls, too narrow ones; one on one side, scores
    that are all higher or all lower than expected.

    Parameters
    ----------
    fit, found
        A fit, and what `bm.loo` made of it; computed by importance sampling if left out.
    ci_prob, width
        Probability of the simultaneous band; inches.

    Returns
    -------
    Drawn
        The figure and the points drawn: `benchmark`, `pit`, `difference`, `lower`, `upper`; and on
        every row of a benchmark what is said of it: the percentages `inside_50` and `inside_90` of
        its scores in such intervals, their number `n`, and how many of them, `pareto_k_bad`, have
        weights that cannot be trusted.

    Examples
    --------
    >>> import bayesmeta as bm
    >>> drawn = calibration(bm.load_reference_fit())
    >>> drawn.table["benchmark"].nunique()
    13
    """
    found = found if found is not None else loo(fit)
    said = _describe(found)
    parts = []
    for benchmark in fit.design.benchmarks:
        pit = found.table.loc[found.table["benchmark"] == benchmark, "pit"].to_numpy(float)
        points, ecdf, band = _simulate_band(pit, ci_prob=ci_prob)
        columns = {"benchmark": benchmark, "pit": points, "difference": ecdf - points}
        parts.append(pd.DataFrame({**columns, **band, **said.loc[benchmark]}))
    table = pd.concat(parts, ignore_index=True)
    figure, panels = _lay_out(fit.design.benchmark_labels, width=width, sharex=True)
    for benchmark, axes in zip(fit.design.benchmarks, panels, strict=True):
        points = table[table["benchmark"] == benchmark]
        draw_zero(axes, upright=False)
        draw_band(axes, points, "pit", color=_BAND, alpha=0.35)
        axes.plot(points["pit"], points["difference"], color=_LINE, linewidth=pt(1.1),
                  drawstyle="steps-post")  # fmt: skip
        inside = ", ".join(f"{said.at[benchmark, name]:.0f} %" for name in _INSIDE)
        axes.set_title(f"{axes.get_title('left')}\n{inside}", loc="left")
    intervals = " and ".join(percent(prob, whole=False) for prob in defaults.SCORED_PROBS)
    write_below(
        figure,
        "leave-one-out probability of a lower score (PIT)",
        "band: holds the whole line of a calibrated model with probability "
        f"{percent(ci_prob, whole=False)}, were its scores independent",
        f"titles: share of scores in equal-tailed {intervals} intervals; "
        f"{said['pareto_k_bad'].sum():.0f} of {said['n'].sum():.0f} scores have a Pareto k above "
        f"{defaults.PARETO_K_MAX}",
        beside="distribution less\nthe uniform one",
    )
    return Drawn(figure, table)


def _simulate_band(
    values: NDArray[np.float64], *, ci_prob: float
) -> tuple[NDArray[np.float64], NDArray[np.float64], dict[str, NDArray[np.float64]]]:
    """Give points, the distribution of values there, and the band, less the uniform one."""
    from arviz_stats.ecdf_utils import ecdf_pit

    rng = np.random.default_rng(defaults.SEED)
    points, ecdf, lower, upper = ecdf_pit(values, ci_prob, _BAND_SIMULATIONS, rng=rng)
    return points, ecdf, {"lower": lower - points, "upper": upper - points}


_INSIDE = tuple(f"inside_{100 * prob:.0f}" for prob in defaults.SCORED_PROBS)


def _describe(found: LeaveOneOut) -> pd.DataFrame:
    """Say of every benchmark what share of its scores is in intervals, and how many are bad."""
    said = found.by("benchmark").set_index("benchmark")
    rows = found.table.groupby("benchmark", sort=False)
    said["pareto_k_bad"] = {name: replace(found, table=table).n_bad for name, table in rows}
    said = said.rename(columns=lambda name: name.replace("coverage", "inside_"))
    return said[[*_INSIDE, "n", "pareto_k_bad"]]


@drawn_from(Mapping, made_by="bayesmeta.validation.records.read_ranks")
def ranks(
    ranks: Mapping[str, NDArray[np.int64]],
    *,
    n_draws: int,
    ci_prob: float = ENVELOPE,
    width: float = PAGE_WIDTH,
) -> Drawn:
    """Draw whether true parameters fall where their posteriors say, one panel per parameter.

    A line per element is the empirical distribution of the truth's rank among the draws less that
    of uniform ranks. Each has the probability `ci_prob` to stay inside the band at all points
    (Säilynoja et al. 2022, https://doi.org/10.1007/s11222-022-10090-6): with hundreds of elements
    a few lines leave it by chance.

    Parameters
    ----------
    ranks
        By the name of the parameter, each of shape (truth, ...), from 0 to `n_draws`.
    n_draws
        Number of draws that truths were ranked among.
    ci_prob
        Probability of the simultaneous band.
    width
        Width in inches.

    Returns
    -------
    Drawn
        The figure and the points drawn: `parameter`, `element`, `rank` as a fraction, `difference`,
        `lower`, `upper`.

    Examples
    --------
    >>> even = {"theta": np.arange(200)[:, None] % 101}
    >>> drawn = ranks(even, n_draws=100)
    >>> bool(drawn.table["difference"].between(drawn.table["lower"], drawn.table["upper"]).all())
    True
    """
    n = len(next(iter(ranks.values())))
    points, _, band = _simulate_band(np.arange(n) / n, ci_prob=ci_prob)
    parts = []
    for name, values in ranks.items():
        place = (values.reshape(n, -1) + 0.5) / (n_draws + 1)
        for element, column in enumerate(place.T):
            ecdf = np.searchsorted(np.sort(column), points, side="right") / n
            columns = {"parameter": readable(name), "element": element, "rank": points}
            parts.append(pd.DataFrame({**columns, "difference": ecdf - points, **band}))
    table = pd.concat(parts, ignore_index=True)
    figure, panels = _lay_out(list(table["parameter"].unique()), width=width, sharex=True)
    for (name, lines), axes in zip(table.groupby("parameter", sort=False), panels, strict=True):
        draw_band(axes, lines[lines["element"] == 0], "rank", color=_BAND, alpha=0.35)
        for _, line in lines.groupby("element"):
            axes.plot(line["rank"], line["difference"], color=_LINE, linewidth=pt(0.4), alpha=0.5,
                      rasterized=True)  # fmt: skip
        count = lines["element"].nunique()
        axes.set_title(f"{name} ({count})" if count > 1 else str(name), loc="left")
    write_below(
        figure,
        f"rank of the truth among {n_draws} draws, as a fraction",
        f"{n} truths; band: holds the whole of one line with probability "
        f"{percent(ci_prob, whole=False)} where posteriors are right; in brackets: number of lines",
        beside="distribution less the uniform one",
    )
    return Drawn(figure, table)


@drawn_from(Fit, made_by="bm.fit or bm.load_fit")
def ppc(
    fit: Fit,
    *,
    draws: int = 200,
    ci_prob: float = defaults.CI_PROB,
    width: float = PAGE_WIDTH,
    seed: int = defaults.SEED,
) -> Drawn:
    """Draw the scores of every benchmark against scores that the fitted model simulates.

    The line is the empirical distribution of the recorded scores; the band holds those of
    simulated data sets of the same LMs, at every point with probability `ci_prob`.

    Parameters
    ----------
    fit
        A fit.
    draws
        Number of simulated data sets, spread over the posterior draws.
    ci_prob
        Probability of the pointwise equal-tailed band.
    width
        Width in inches.
    seed
        Seed of the simulated scores.

    Returns
    -------
    Drawn
        The figure and the points drawn: `benchmark`, `score` in percentage points (a Brier score
        times 100), `recorded` (share of LMs at or below it), `lower` and `upper`.

    Examples
    --------
    >>> import bayesmeta as bm
    >>> drawn = ppc(bm.load_reference_fit(), draws=20)
    >>> bool((drawn.table["upper"] >= drawn.table["lower"]).all())
    True
    """
    flat = {name: values.reshape(-1, *values.shape[2:]) for name, values in fit.parameters.items()}
    n = len(next(iter(flat.values())))
    chosen = np.unique(np.linspace(0, n - 1, draws).round().astype(int))
    simulated = score_distribution(
        {name: values[chosen] for name, values in flat.items()}, design=fit.design, spec=fit.spec
    ).draw(seed)
    outcomes, tail = fit.design.outcomes, (1 - ci_prob) / 2
    parts = []
    for b, benchmark in enumerate(fit.design.benchmarks):
        rows = outcomes.benchmark_index == b
        y, replicated = outcomes.y[rows], simulated[:, rows]
        grid = np.linspace(min(y.min(), np.quantile(replicated, 0.01)),
                           max(y.max(), np.quantile(replicated, 0.99)), _GRID)  # fmt: skip
        below = (replicated[:, :, None] <= grid).mean(axis=1)
        lower, upper = np.quantile(below, [tail, 1 - tail], axis=0)
        recorded = (y[:, None] <= grid).mean(axis=0)
        columns = {"benchmark": benchmark, "score": 100 * grid, "recorded": recorded}
        parts.append(pd.DataFrame({**columns, "lower": lower, "upper": upper}))
    table = pd.concat(parts, ignore_index=True)
    figure, panels = _lay_out(fit.design.benchmark_labels, width=width, sharex=False)
    for benchmark, axes in zip(fit.design.benchmarks, panels, strict=True):
        points = table[table["benchmark"] == benchmark]
        draw_band(axes, points, "score", color=_BAND, alpha=0.45)
        axes.plot(points["score"], points["recorded"], color=INK, linewidth=pt(0.9))
        axes.locator_params(axis="x", nbins=4)
    write_below(
        figure,
        "score, percentage points (a Brier score times 100)",
        f"line: recorded scores; band: {len(chosen)} simulated data sets, "
        f"{percent(ci_prob, whole=False)} equal-tailed at every point",
        beside="share of LMs at or below",
    )
    return Drawn(figure, table)


def _lay_out(titles: Sequence[str], *, width: float, sharex: bool) -> tuple[Figure, list[Axes]]:
    """Lay out one panel per title, as many in a row as leave room for their titles."""
    columns = min(_COLUMNS, max(1, round(width / _PANEL)))
    return lay_out(titles, columns=columns, width=width, heights=(0.55, 1.25), most=_TITLE,
                   sharex=sharex, sharey=True)  # fmt: skip
