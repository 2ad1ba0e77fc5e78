"""From scores of families on benchmarks to comparisons, with intervals over families.

An interval says how much a figure would move with other families of lms: families are drawn with
replacement, the same ones for all models and schemes (Efron & Tibshirani 1993,
https://doi.org/10.1201/9780429246593). The predictions themselves are held fixed.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from bayesmeta import defaults

__all__ = [
    "AVERAGES",
    "ErrorGrid",
    "build_cells",
    "interval",
    "mean_known",
    "resample_families",
]

METRICS = ("abs_error", "crps", "log_density", "inside_50", "inside_90")
AVERAGES = ("benchmarks", "families")
"""Each benchmark counts the same; within a benchmark every score does, or every lm family."""


def build_cells(rows: pd.DataFrame) -> pd.DataFrame:
    """Average scored predictions by lm family and benchmark.

    Parameters
    ----------
    rows
        What `run_fold` returns, of many folds.

    Returns
    -------
    pandas.DataFrame
        One row per scheme, model, benchmark and lm_family: the mean metrics, `n` predictions
        and `n_scores` different scores behind them.
    """
    distance = (rows["pit"] - 0.5).abs()
    inside = {
        f"inside_{prob:.0%}".rstrip("%"): (distance <= prob / 2)
        .where(distance.notna())
        .astype(float)
        for prob in defaults.SCORED_PROBS
    }
    groups = rows.assign(**inside).groupby(
        ["scheme", "model", "benchmark", "lm_family"], sort=False
    )
    means = groups[list(METRICS)].mean()
    return means.assign(n=groups.size(), n_scores=groups["lm"].nunique()).reset_index()


class ErrorGrid:
    """Absolute errors by family and benchmark, for one scheme and model.

    Parameters
    ----------
    cells
        Rows of one scheme and model.
    families, benchmarks
        Labels of the grid.
    """

    def __init__(
        self, cells: pd.DataFrame, *, families: Sequence[str], benchmarks: Sequence[str]
    ) -> None:
        """Lay the cells out as arrays of shape (lm_family, benchmark)."""
        rows = pd.Index(families).get_indexer(pd.Index(cells["lm_family"]))
        columns = pd.Index(benchmarks).get_indexer(pd.Index(cells["benchmark"]))
        self.count = np.zeros((len(families), len(benchmarks)))
        self.error = np.zeros_like(self.count)
        self.count[rows, columns] = cells["n"]
        self.error[rows, columns] = 100 * cells["abs_error"]

    def by_benchmark(
        self, weight: NDArray[np.float64], *, average: str = "benchmarks"
    ) -> NDArray[np.float64]:
        """Average errors over families, in points.

        Parameters
        ----------
        weight
            How often each family counts, shape (..., lm_family).
        average
            Within a benchmark, whether every score counts the same (`benchmarks`) or every
            family (`families`).

        Returns
        -------
        ndarray
            Shape (..., benchmark); NaN where no family has a score.
        """
        count = self.count if average == "benchmarks" else (self.count > 0).astype(float)
        total = weight @ count
        with np.errstate(invalid="ignore"):
            return (weight @ (count * self.error)) / np.where(total > 0, total, np.nan)

    @property
    def n_families(self) -> int:
        """Number of families with a score."""
        return int((self.count.sum(axis=1) > 0).sum())

    def mean(
        self, weight: NDArray[np.float64], *, average: str = "benchmarks"
    ) -> NDArray[np.float64]:
        """Average over benchmarks too, shape (...)."""
        return mean_known(self.by_benchmark(weight, average=average))


def mean_known(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Average the last axis without what is missing; NaN where nothing is known."""
    known = ~np.isnan(values)
    count = known.sum(axis=-1)
    return np.where(known, values, 0.0).sum(axis=-1) / np.where(count > 0, count, np.nan)


def resample_families(n_families: int, *, seed: int = defaults.SEED) -> NDArray[np.float64]:
    """Draw families with replacement; how often each is drawn, shape (resample, lm_family)."""
    rng = np.random.default_rng(seed)
    even = np.full(n_families, 1 / n_families)
    return rng.multinomial(n_families, even, size=defaults.BOOTSTRAP_DRAWS).astype(float)


def interval(resampled: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Compute the ends of the equal-tailed interval along the first axis."""
    tail = (1 - defaults.CI_PROB) / 2
    lower, upper = np.nanquantile(resampled, [tail, 1 - tail], axis=0)
    return lower, upper
