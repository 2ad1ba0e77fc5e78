"""Every model and baseline scored on the same held-out scores, and what the scores say.

An interval says how much a figure would move with other families of LMs: families are drawn with
replacement, the same ones for all models and schemes (Efron & Tibshirani 1993,
https://doi.org/10.1201/9780429246593). The predictions themselves are held fixed.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from itertools import islice
from os import PathLike
from pathlib import Path
from typing import Literal, TypedDict, Unpack, overload

import numpy as np
import pandas as pd

from bayesmeta import defaults, jobs
from bayesmeta.crossvalidation.folds import keep_folds, read_candidates, run_fold
from bayesmeta.crossvalidation.held_out_studies import StudyScoreboard, evaluate_studies
from bayesmeta.crossvalidation.schemes import (
    LEAVE_STUDY_OUT,
    SCHEMES,
    build_folds,
    check_dataset,
)
from bayesmeta.data.dataset import VERSIONS, Dataset
from bayesmeta.data.load import bundled_folder
from bayesmeta.errors import EvaluationError, listing, unknown
from bayesmeta.estimates.question import UNITS
from bayesmeta.jobs import progress_bar
from bayesmeta.model.predictor import Array
from bayesmeta.model.spec import ModelSpec
from bayesmeta.tables.headed_columns import head
from bayesmeta.tables.notebook import NotebookView, fold, show_table
from bayesmeta.whole_files import write_text

_LEAK_FREE, _LEAKY = "leave-family-out", "random"

METRICS = ("abs_error", "crps", "log_density", "inside_50", "inside_90")
AVERAGES = ("benchmarks", "families")
"""Each benchmark counts the same; within a benchmark every score does, or every LM family."""


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Scoreboard(NotebookView):
    """Scores of models on held-out scores of lms.

    Parameters
    ----------
    cells
        One row per scheme, model, benchmark and LM family: mean `abs_error`, `crps`,
        `log_density` (native units), shares `inside_50` and `inside_90`, `n` predictions of
        `n_scores` different scores.
    """

    cells: pd.DataFrame

    def table(self) -> pd.DataFrame:
        """Score every model on every benchmark.

        Returns
        -------
        pandas.DataFrame
            Columns scheme, model, benchmark, `mae` and `crps` in points, `coverage50` and
            `coverage90` in percent, `log_density`, and `n` held-out scores. A point forecast has
            no intervals, and its CRPS is its absolute error.
        """
        groups = ["scheme", "model", "benchmark"]
        metrics = ["abs_error", "inside_50", "inside_90", "crps", "log_density"]
        weighted = self.cells[metrics].mul(self.cells["n"], axis=0)
        sums = pd.concat([self.cells[[*groups, "n", "n_scores"]], weighted], axis=1).groupby(
            groups, sort=False
        )
        total = sums[["n", "n_scores"]].sum()
        means = sums[metrics].sum(min_count=1).div(total["n"], axis=0)
        percent = 100 * means[["abs_error", "inside_50", "inside_90", "crps"]]
        percent.columns = ["mae", "coverage50", "coverage90", "crps"]
        out = percent.assign(log_density=means["log_density"], n=total["n_scores"])
        return out.reset_index()

    def means(self) -> pd.DataFrame:
        """Average every model's scores over benchmarks.

        Returns
        -------
        pandas.DataFrame
            Columns scheme, model, `mae` in points with `lower` and `upper` (missing where too few
            families were held out), `mae_families` (every LM family counts the same within a
            benchmark), `coverage50` and `coverage90` in percent, `crps` in points, `log_density`
            per score.
        """
        columns = ["coverage50", "coverage90", "crps", "log_density"]
        averages = self.table().groupby(["scheme", "model"], sort=False)[columns].mean()
        weights, rows = self._weights(), []
        for (scheme, model), grid in self._grids().items():
            values = self._summarise(grid.mean(weights), grid)
            rows.append((scheme, model, *values, grid.mean(weights[0], average="families")))
        table = _tabulate(rows, "scheme model", "mae lower upper mae_families")
        return head(table.merge(averages.reset_index(), on=["scheme", "model"]), units=UNITS)

    def differences(self, reference: str) -> pd.DataFrame:
        """Compare every model with one of them.

        Parameters
        ----------
        reference
            Name of that model.

        Returns
        -------
        pandas.DataFrame
            Columns scheme, model, reference, average (over `benchmarks` or `families`), and
            `difference` of the mean absolute errors in points, negative where the model is better
            than the reference, with `lower` and `upper`.

        Raises
        ------
        EvaluationError
            If the model was not scored.
        """
        self._require(reference)
        grids, weights, rows = self._grids(), self._weights(), []
        for (scheme, model), grid in grids.items():
            other = grids.get((scheme, reference))
            if model == reference or other is None:
                continue
            for average in AVERAGES:
                gap = grid.mean(weights, average=average) - other.mean(weights, average=average)
                values = self._summarise(gap, grid, other)
                rows.append((scheme, model, reference, average, *values))
        table = _tabulate(rows, "scheme model reference average", "difference lower upper")
        return head(table, units=UNITS)

    def gains(self, model: str, *, over: str) -> pd.DataFrame:
        """Say by how much one model's error is below another's, benchmark by benchmark.

        Parameters
        ----------
        model, over
            Names of the models.

        Returns
        -------
        pandas.DataFrame
            Columns scheme, benchmark, model, over, and `gain` in percent of the other model's
            mean absolute error, with `lower` and `upper`; the row `mean` is the gain in the mean
            over benchmarks.

        Raises
        ------
        EvaluationError
            If a model was not scored.
        """
        self._require(model)
        self._require(over)
        grids, weights, rows = self._grids(), self._weights(), []
        labels = [*self._labels("benchmark"), "mean"]
        for scheme in self._labels("scheme"):
            mine, other = grids.get((scheme, model)), grids.get((scheme, over))
            if mine is None or other is None:
                continue
            errors = [_with_mean(grid.by_benchmark(weights)) for grid in (mine, other)]
            values = self._summarise(100 * (1 - errors[0] / errors[1]), mine, other)
            for label, *numbers in zip(labels, *values, strict=True):
                rows.append((scheme, label, model, over, *numbers))
        return head(_tabulate(rows, "scheme benchmark model over", "gain lower upper"), units="%")

    def leakage(self) -> pd.DataFrame:
        """Say how much better models look when LMs of a family stand on both sides of a split.

        Returns
        -------
        pandas.DataFrame
            Columns model, `random` and `leave_family_out` (mean absolute errors in points),
            `leakage`, their difference, with `lower` and `upper`. Empty where not both schemes
            were run.
        """
        grids, weights, rows = self._grids(), self._weights(), []
        for model in self._labels("model"):
            leaky, free = grids.get((_LEAKY, model)), grids.get((_LEAK_FREE, model))
            if leaky is not None and free is not None:
                errors = leaky.mean(weights), free.mean(weights)
                values = self._summarise(errors[1] - errors[0], leaky, free)
                rows.append((model, errors[0][0], errors[1][0], *values))
        table = _tabulate(rows, "model", "random leave_family_out leakage lower upper")
        return head(table, units=UNITS)

    def save(self, path: str | PathLike[str]) -> None:
        """Write the cells to a CSV file, whole or not at all.

        Raises
        ------
        StoreError
            If the file cannot be written.
        """
        text = self.cells.to_csv(index=False, float_format="%.5g", lineterminator="\n")
        write_text(path, text=text)

    def _labels(self, column: str) -> list[str]:
        return list(dict.fromkeys(self.cells[column]))

    def _weights(self) -> Array:
        """Every family once in the first row, families drawn with replacement in the others."""
        n = len(self._labels("lm_family"))
        return np.vstack([np.ones(n), resample_families(n)])

    @staticmethod
    def _summarise(values: Array, *grids: ErrorGrid) -> tuple[Array, ...]:
        """Value and ends of its interval, which a handful of families cannot give."""
        if min(grid.n_families for grid in grids) < defaults.BOOTSTRAP_FAMILIES:
            nothing = np.full_like(values[0], np.nan)
            return values[0], nothing, nothing
        return values[0], *interval(values[1:])

    def _grids(self) -> dict[tuple[str, str], ErrorGrid]:
        families, benchmarks = self._labels("lm_family"), self._labels("benchmark")
        return {
            (str(scheme), str(model)): ErrorGrid(part, families=families, benchmarks=benchmarks)
            for (scheme, model), part in self.cells.groupby(["scheme", "model"], sort=False)
        }

    def _require(self, model: str) -> None:
        known = self._labels("model")
        if model not in known:
            mend = "Name one of these, or add it to the models of the evaluation."
            raise unknown(EvaluationError, "model", model, known, said="was not scored", mend=mend)

    def _show_parts(self) -> Iterator[str]:
        yield self._show_title()
        yield show_table(self.means(), whole=".means()")
        yield fold("By benchmark", show_table(self.table(), whole=".table()"))

    def __repr__(self) -> str:
        counts = (f"{len(self._labels(n))} {n}s" for n in ("scheme", "model", "benchmark"))
        return f"Scoreboard({listing(counts)})"


def _tabulate(rows: Sequence[tuple[object, ...]], labels: str, numbers: str) -> pd.DataFrame:
    """Make a table of rows of labels and numbers, whose columns are given with blanks between."""
    columns = [*labels.split(), *numbers.split()]
    return pd.DataFrame(rows, columns=columns).astype(dict.fromkeys(numbers.split(), float))


def _with_mean(errors: Array) -> Array:
    """Append the mean over benchmarks, shape (..., benchmark + 1)."""
    return np.concatenate([errors, mean_known(errors)[..., None]], axis=-1)


def build_cells(rows: pd.DataFrame) -> pd.DataFrame:
    """Average scored predictions by LM family and benchmark.

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

    def by_benchmark(self, weight: Array, *, average: str = "benchmarks") -> Array:
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

    def mean(self, weight: Array, *, average: str = "benchmarks") -> Array:
        """Average over benchmarks too, shape (...)."""
        return mean_known(self.by_benchmark(weight, average=average))


def mean_known(values: Array) -> Array:
    """Average the last axis without what is missing; NaN where nothing is known."""
    known = ~np.isnan(values)
    count = known.sum(axis=-1)
    return np.where(known, values, 0.0).sum(axis=-1) / np.where(count > 0, count, np.nan)


def resample_families(n_families: int, *, seed: int = defaults.SEED) -> Array:
    """Draw families with replacement; how often each is drawn, shape (resample, lm_family)."""
    rng = np.random.default_rng(seed)
    even = np.full(n_families, 1 / n_families)
    return rng.multinomial(n_families, even, size=defaults.BOOTSTRAP_DRAWS).astype(float)


def interval(resampled: Array) -> tuple[Array, Array]:
    """Compute the ends of the equal-tailed interval along the first axis."""
    tail = (1 - defaults.CI_PROB) / 2
    lower, upper = np.nanquantile(resampled, [tail, 1 - tail], axis=0)
    return lower, upper


def load_scoreboard(version: str = "corrected") -> Scoreboard:
    """Load the recorded evaluation of the bundled data.

    Parameters
    ----------
    version
        Version of the data, `corrected` or `as-published`.

    Returns
    -------
    Scoreboard
        All models and baselines under all schemes.

    Raises
    ------
    EvaluationError
        If there is no record of that version of the facts: the installation is
        incomplete.

    Examples
    --------
    >>> load_scoreboard()
    Scoreboard(...)
    """
    if version not in VERSIONS:
        raise unknown(EvaluationError, "data version", version, VERSIONS, said="is not recorded")
    return Scoreboard(pd.read_csv(bundled_folder() / f"scoreboard-{version}.csv"))


class _Settings(TypedDict, total=False):
    """Keyword arguments of `evaluate`, said once for both kinds of schemes."""

    seeds: int | Iterable[int]
    specs: Mapping[str, ModelSpec] | None
    executor: Executor | None
    out: str | PathLike[str] | None
    progress: bool


@overload
def evaluate(  # pyright: ignore[reportOverlappingOverload]
    data: Dataset,
    models: str | Sequence[str] | None = None,
    *,
    scheme: Literal["leave-study-out"],
    **settings: Unpack[_Settings],
) -> StudyScoreboard: ...
@overload
def evaluate(
    data: Dataset,
    models: str | Sequence[str] | None = None,
    *,
    scheme: str | Sequence[str] = "random",
    **settings: Unpack[_Settings],
) -> Scoreboard: ...
def evaluate(
    data: Dataset,
    models: str | Sequence[str] | None = None,
    *,
    scheme: str | Sequence[str] = "random",
    seeds: int | Iterable[int] = defaults.EVALUATION_SEEDS,
    specs: Mapping[str, ModelSpec] | None = None,
    executor: Executor | None = None,
    out: str | PathLike[str] | None = None,
    progress: bool = True,
) -> Scoreboard | StudyScoreboard:
    """Score models and baselines on the same held-out scores.

    Parameters
    ----------
    data
        Validated tables.
    models
        Names: `full`, `scale`, `scale+family`; baselines `median`, `ols`, `xgboost-scale`,
        `xgboost-all`, `scale+family-dummies`; keys of `specs`; or paths of spec files. `full` and
        `scale` if left out. Under `leave-study-out` `full`, other specs that include experiments,
        and baselines `no-effect`, `associations` (without experiments) and `experiments-alone`
        (without LMs); all four if left out.
    scheme
        One or more of `random`, `leave-family-out`, `largest`, `leave-benchmark-out`; or
        `leave-study-out`, which predicts pairs of arms of held-out studies, by itself.
    seeds
        A number n for the seeds 0 to n - 1, or the seeds themselves. Studies know no chance.
    specs
        Models of your own by name.
    executor
        Where folds run: one after the other in this process if left out; any
        `concurrent.futures.Executor` (threads suit, since sampling runs outside the interpreter
        lock), or `get_executor(pure=False)` of a Dask client.
    out
        A folder in which each finished fold is kept. The same call continues there after an
        interruption, and gives what it would have given without.
    progress
        Whether to show a progress bar on standard error.

    Returns
    -------
    Scoreboard or StudyScoreboard
        Scores by benchmark, means, differences, gains and leakage; or scores by study, and means.

    Raises
    ------
    EvaluationError
        If a scheme or model is not known, a fold has no scores to learn from, the folder holds
        other results, workers died, or studies are to be held out of data without any.

    Examples
    --------
    >>> import bayesmeta as bm
    >>> board = bm.evaluate(
    ...     bm.load_dataset(), ["median", "ols"], scheme="largest", progress=False
    ... )
    >>> board.means()["model"].tolist()
    ['median', 'ols']
    """
    check_dataset(data)
    models = [models] if isinstance(models, str) else models
    names = dict.fromkeys([scheme] if isinstance(scheme, str) else scheme)
    if LEAVE_STUDY_OUT in names:
        if len(names) > 1:
            raise EvaluationError(
                f"scheme '{LEAVE_STUDY_OUT}' scores pairs of arms and goes with no other scheme; "
                f"given are {listing(names)}. Evaluate it in a call of its own."
            )
        return evaluate_studies(
            data, models, specs=specs, executor=executor, out=out, progress=progress
        )
    candidates = read_candidates(("full", "scale") if models is None else models, specs=specs)
    chosen = _read_seeds(seeds)
    folds = {name: build_folds(data, scheme=name, seeds=chosen) for name in names}
    if not any(folds.values()):
        raise EvaluationError(
            f"no score is held out: the schemes are [{listing(names)}], the data are {data!r}. "
            f"Allowed: one or more of {listing(SCHEMES)}, and data with scores of several LMs."
        )
    keep = keep_folds(Path(out), dataset=data, candidates=candidates) if out is not None else None
    tasks = {  # one model after the other, so that few compiled models are needed
        f"{candidate.name}-{fold.label}": (data, candidate, fold)
        for candidate in candidates
        for part in folds.values()
        for fold in part
    }
    with progress_bar("evaluating", total=len(tasks), unit="folds", shown=progress) as show:
        found = jobs.run(run_fold, tasks, executor=executor, keep=keep, report=show)
    ordered = [
        found[f"{candidate.name}-{fold.label}"]
        for part in folds.values()
        for candidate in candidates
        for fold in part
    ]
    return Scoreboard(build_cells(pd.concat(ordered)))


def _read_seeds(seeds: int | Iterable[int]) -> list[int]:
    given = repr(seeds)
    most = defaults.MOST_SEEDS
    if isinstance(seeds, int):
        seeds = range(seeds) if 0 < seeds <= most else ()
    chosen = list(dict.fromkeys(islice(seeds, most + 1)))
    good = all(isinstance(s, int) and 0 <= s <= defaults.LARGEST_SETTING for s in chosen)
    if not 0 < len(chosen) <= most or not good:
        raise EvaluationError(
            f"seeds is {given}. Allowed: a whole number from 1 to {most}, or so many whole numbers "
            f"from 0 to {defaults.LARGEST_SETTING}."
        )
    return chosen
