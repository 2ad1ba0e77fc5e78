"""Figures that hold a model's predictions against the scores: calibration and predictive checks."""

from __future__ import annotations

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from bayesmeta import defaults
from bayesmeta.inference import Fit, LeaveOneOut, loo
from bayesmeta.model import simulate_scores
from bayesmeta.reporting.style import FAINT, INK, PAGE_WIDTH, STYLE, Drawn

__all__ = ["calibration", "ppc"]

_COLUMNS = 5
_GRID = 60
"""Points at which empirical distributions of simulated scores are drawn."""

_BAND_SIMULATIONS = 1000
_BAND, _LINE = "#56B4E9", "#0072B2"


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
    https://doi.org/10.1007/s11222-022-10090-6). A line that falls before it rises shows intervals
    that are too wide; one that rises before it falls, too narrow ones; one on one side, scores
    that are all higher or all lower than expected.

    Parameters
    ----------
    fit
        A fit.
    found
        What `bm.loo` made of it; computed by importance sampling if left out.
    ci_prob
        Probability of the simultaneous band.
    width
        Width in inches.

    Returns
    -------
    Drawn
        The figure and the points drawn: `benchmark`, `pit`, `difference`, `lower`, `upper`.

    Examples
    --------
    >>> import bayesmeta as bm
    >>> drawn = calibration(bm.load_reference_fit())
    >>> drawn.table["benchmark"].nunique()
    13
    """
    from arviz_stats.ecdf_utils import ecdf_pit

    found = found if found is not None else loo(fit)
    parts = []
    for benchmark in fit.design.benchmarks:
        pit = found.table.loc[found.table["benchmark"] == benchmark, "pit"].to_numpy(float)
        rng = np.random.default_rng(defaults.SEED)
        points, ecdf, lower, upper = ecdf_pit(pit, ci_prob, _BAND_SIMULATIONS, rng=rng)
        parts.append(
            pd.DataFrame(
                {
                    "benchmark": benchmark,
                    "pit": points,
                    "difference": ecdf - points,
                    "lower": lower - points,
                    "upper": upper - points,
                }
            )
        )
    table = pd.concat(parts, ignore_index=True)
    coverage = found.by("benchmark").set_index("benchmark").filter(like="coverage")
    with mpl.rc_context(STYLE):
        figure, panels = _build_panels(fit, width=width, sharex=True, sharey=True)
        for benchmark, axes in panels.items():
            points = table[table["benchmark"] == benchmark]
            axes.axhline(0, color=FAINT, linewidth=0.6)
            axes.fill_between(points["pit"], points["lower"], points["upper"], color=_BAND,
                              alpha=0.35, linewidth=0)  # fmt: skip
            axes.plot(points["pit"], points["difference"], color=_LINE, linewidth=1.1,
                      drawstyle="steps-post")  # fmt: skip
            inside = ", ".join(f"{share:.0f}%" for share in coverage.loc[benchmark])
            axes.set_title(f"{axes.get_title('left')}\n{inside}", loc="left")
        first, second = (f"{prob:.0%}" for prob in defaults.SCORED_PROBS)
        bad = f"{found.n_bad} of {len(found.table)} scores"
        figure.supxlabel(
            f"leave-one-out probability of a lower score (PIT); band: {ci_prob:.0%}, simultaneous;"
            f"\ntitles: share of scores in {first} and {second} intervals; "
            f"{bad} have a Pareto k above {defaults.PARETO_K_MAX}",
            fontsize=7,
        )
        figure.supylabel("distribution less\nthe uniform one", fontsize=7)
    return Drawn(figure, table)


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
    simulated data sets of the same lms, at every point with probability `ci_prob`.

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
        The figure and the points drawn: `benchmark`, `score` in native units, `recorded` (share
        of scores at or below it), `lower` and `upper`.

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
    simulated = simulate_scores(
        {name: values[chosen] for name, values in flat.items()},
        design=fit.design,
        spec=fit.spec,
        seed=seed,
    )
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
        parts.append(
            pd.DataFrame(
                {
                    "benchmark": benchmark,
                    "score": grid,
                    "recorded": recorded,
                    "lower": lower,
                    "upper": upper,
                }
            )
        )
    table = pd.concat(parts, ignore_index=True)
    with mpl.rc_context(STYLE):
        figure, panels = _build_panels(fit, width=width, sharex=False, sharey=True)
        for benchmark, axes in panels.items():
            points = table[table["benchmark"] == benchmark]
            axes.fill_between(points["score"], points["lower"], points["upper"], color=_BAND,
                              alpha=0.45, linewidth=0)  # fmt: skip
            axes.plot(points["score"], points["recorded"], color=INK, linewidth=0.9)
            axes.locator_params(axis="x", nbins=4)
        figure.supxlabel(
            "score (accuracy as a fraction, or Brier score); line: recorded; band: "
            f"{len(chosen)} simulated data sets, {ci_prob:.0%} equal-tailed, pointwise",
            fontsize=7,
        )
        figure.supylabel("share of lms at or below", fontsize=7)
    return Drawn(figure, table)


def _build_panels(
    fit: Fit, *, width: float, sharex: bool, sharey: bool
) -> tuple[Figure, dict[str, Axes]]:
    """Lay out one panel per benchmark, titled by its label."""
    design = fit.design
    rows = -(-len(design.benchmarks) // _COLUMNS)
    columns = min(_COLUMNS, len(design.benchmarks))
    figure = Figure(figsize=(width, 0.55 + 1.25 * rows), layout="constrained")
    grid = figure.subplots(rows, columns, sharex=sharex, sharey=sharey, squeeze=False)
    for axes in grid.flat[len(design.benchmarks) :]:
        axes.set_visible(False)
    for axes, label in zip(grid.flat, design.benchmark_labels, strict=False):
        axes.set_title(label, loc="left")
    for axes in grid.flat[: len(design.benchmarks)][-columns:]:  # some have no panel below them
        axes.tick_params(axis="x", labelbottom=True)
    return figure, dict(zip(design.benchmarks, grid.flat, strict=False))
