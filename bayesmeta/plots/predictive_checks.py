"""Figures that hold a model's predictions against the scores: calibration and predictive checks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Unpack

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from numpy.typing import NDArray

from bayesmeta import defaults
from bayesmeta.inference.fits import Fit
from bayesmeta.inference.leave_one_out import LeaveOneOut, loo
from bayesmeta.model.predictor import score_distribution
from bayesmeta.plots.figure import Drawn, Layout, drawn_from
from bayesmeta.plots.layout import Page, balance
from bayesmeta.plots.look import INK, PAGE_WIDTH, pt
from bayesmeta.plots.marks import draw_band, draw_zero
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
    **how: Unpack[Layout],
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
    ci_prob
        Probability of the simultaneous band.

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
    page = Page(how)
    shown, panels = _lay_out(page, fit, said[_INSIDE[-1]], sharex=True)
    intervals = " and ".join(percent(prob, whole=False) for prob in defaults.SCORED_PROBS)
    for (benchmark, label), axes in zip(shown, panels, strict=True):
        points = table[table["benchmark"] == benchmark]
        draw_zero(axes, upright=False)
        draw_band(axes, points, "pit", color=_BAND, alpha=0.35)
        axes.plot(points["pit"], points["difference"], color=_LINE, linewidth=pt(1.1),
                  drawstyle="steps-post")  # fmt: skip
        inside = " and ".join(f"{said.at[benchmark, name]:.0f}" for name in _INSIDE)
        axes.set_title(f"{label}\n{inside} % inside", loc="left", fontsize=pt(6))
    return page.finish(
        table,
        xlabel="leave-one-out probability of a lower score (PIT)",
        ylabel="ECDF difference",
        note=["Band: holds the whole line of a calibrated model with probability "
              f"{percent(ci_prob, whole=False)}, were its scores independent.",
              f"Inside: shares of scores in equal-tailed {intervals} intervals.",
              f"{said['pareto_k_bad'].sum():.0f} of {said['n'].sum():.0f} scores have a Pareto k "
              f"above {defaults.PARETO_K_MAX}."],
    )  # fmt: skip


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
    **how: Unpack[Layout],
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
    page, names = Page(how), list(table["parameter"].unique())
    furthest = table["difference"].abs().groupby(table["parameter"]).max()
    order = page.arrange([(name,) for name in names], furthest[names])
    columns = balance(len(order), _COLUMNS + 1)
    panels = page.panels(len(order), columns=columns, width=PAGE_WIDTH, sharex=True, sharey=True,
                         height=0.1 + _PANEL * -(-len(order) // columns))  # fmt: skip
    for k, axes in zip(order, panels, strict=True):
        lines = table[table["parameter"] == names[k]]
        draw_band(axes, lines[lines["element"] == 0], "rank", color=_BAND, alpha=0.35)
        count = lines["element"].nunique()
        for _, line in lines.groupby("element"):
            axes.plot(line["rank"], line["difference"], color=_LINE, linewidth=pt(0.5),
                      alpha=max(0.06, min(0.8, 4 / count)), rasterized=True)  # fmt: skip
        name = page.label(names[k], most=_TITLE)
        title = f"{name} ({count})" if count > 1 else name
        axes.set_title(title, loc="left", fontsize=pt(6.5))
        axes.set_xticks([0, 0.5, 1])
        axes.tick_params(axis="x", labelbottom=True)
    return page.finish(
        table,
        xlabel=f"rank of the truth among {n_draws} draws, as a fraction",
        ylabel="ECDF difference",
        note=[f"{n} truths; band: holds the whole of one line with probability "
              f"{percent(ci_prob, whole=False)} where posteriors are right.",
              "In brackets: number of lines."],
    )  # fmt: skip


@drawn_from(Fit, made_by="bm.fit or bm.load_fit")
def ppc(
    fit: Fit,
    *,
    draws: int = 200,
    ci_prob: float = defaults.CI_PROB,
    seed: int = defaults.SEED,
    **how: Unpack[Layout],
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
    page = Page(how)
    means = table.groupby("benchmark")["recorded"].mean()
    shown, panels = _lay_out(page, fit, means, sharex=False)
    for (benchmark, label), axes in zip(shown, panels, strict=True):
        points = table[table["benchmark"] == benchmark]
        draw_band(axes, points, "score", color=_BAND, alpha=0.45)
        axes.plot(points["score"], points["recorded"], color=INK, linewidth=pt(0.9))
        axes.locator_params(axis="x", nbins=4)
        axes.set_title(label, loc="left")
    return page.finish(
        table,
        xlabel="score (percentage points; a Brier score times 100)",
        ylabel="share of LMs at or below",
        note=[f"Line: recorded scores; band: {len(chosen)} simulated data sets, "
              f"{percent(ci_prob, whole=False)} equal-tailed at every point."],
    )  # fmt: skip


def _lay_out(
    page: Page, fit: Fit, values: pd.Series, *, sharex: bool
) -> tuple[list[tuple[str, str]], list[Axes]]:
    """Lay out a panel per benchmark; give name and label of each."""
    names = fit.design.benchmarks
    known = [*zip(names, fit.design.benchmark_labels, strict=True)]
    order = page.arrange(known, values[list(names)])
    most = min(_COLUMNS, max(1, round(page.inches(PAGE_WIDTH) / _PANEL)))
    columns = balance(len(order), most)
    panels = page.panels(len(order), columns=columns, width=PAGE_WIDTH, sharex=sharex, sharey=True,
                         height=0.1 + (_PANEL + 0.1) * -(-len(order) // columns))  # fmt: skip
    for axes in panels:
        axes.tick_params(axis="x", labelbottom=True)
    shown = [page.label(known[k][0], shown=known[k][1], most=_TITLE) for k in order]
    return [*zip([names[k] for k in order], shown, strict=True)], panels
