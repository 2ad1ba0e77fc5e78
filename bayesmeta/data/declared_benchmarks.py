"""Benchmarks that a user declares: metrics with ranges of their own, read as fractions of these.

Everything downstream is in hundredths of a benchmark's range. Of an accuracy that is a percentage
point; of a score from 1 to 10 it is 0.09, and of a loss what its declared range says, which the
label of the benchmark tells wherever it is shown.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from bayesmeta.data.csv_tables import build_cell_error, name_arm, parse_frame
from bayesmeta.data.schema import column_names
from bayesmeta.data.vocabulary import BENCHMARK_VOCABULARY, SCALED
from bayesmeta.errors import DataError, listing, shorten, suggest

REAL = ("loss", "perplexity", "elo", "nll", "bits per byte", "cross-entropy")
"""Metrics without ends: where their scores lie has to be declared."""

_LOWER = ("loss", "perplexity", "nll", "bits per byte", "cross-entropy", "brier", "error rate",
          "word error rate")  # fmt: skip
"""Metrics of which less is better, where no direction is declared."""

KEYS = ("task_family", "metric", "direction", "range", "chance", "label", "log", "n_items",
        "n_shots")  # fmt: skip
"""What can be declared of a benchmark."""


@dataclass(frozen=True, slots=True)
class DeclaredBenchmark:
    """A benchmark with a metric and range of its own.

    Parameters
    ----------
    name, task_family, metric
        As the table of benchmarks has them, but that the metric is any text.
    direction
        `higher` or `lower` is better.
    low, high
        Ends of the range, in the unit of the scores.
    log
        Whether the logarithm of a score is what counts, as of a perplexity.
    chance
        Expected score of a uniform guess, NaN where there is none.
    label
        How figures and answers call it.
    n_items, n_shots
        Numbers of items and of worked examples, NaN where they are not known.

    Examples
    --------
    >>> judged = build_benchmark("judged", {"task_family": "chat", "metric": "judge",
    ...                                     "range": [0, 10]})
    >>> judged.rescale(np.array([5.0, 8.0])).tolist(), judged.title
    ([0.5, 0.8], 'judged (judge; a point is 0.1)')
    """

    name: str
    task_family: str
    metric: str
    direction: str
    low: float
    high: float
    log: bool = False
    chance: float = math.nan
    label: str = ""
    n_items: float = math.nan
    n_shots: float = math.nan

    @property
    def is_real(self) -> bool:
        """Whether its scores have no ends, so that it has a unit of its own."""
        return self.log or self.metric.lower() in REAL

    @property
    def title(self) -> str:
        """Its label, with the size of a point where that is not a hundredth or one percent."""
        label, width = self.label or self.name, self.high - self.low
        if self.log:
            factor = (self.high / self.low) ** 0.01
            return f"{label} ({self.metric}; a point is a factor of {factor:.4g})"
        if self.is_real or (self.low, self.high) not in ((0, 1), (0, 100)):
            return f"{label} ({self.metric}; a point is {width / 100:.3g})"
        return label

    def rescale(self, score: Any) -> Any:
        """Turn scores into fractions of the range."""
        low, high, score = (np.log(x) if self.log else x for x in (self.low, self.high, score))
        return (score - low) / (high - low)

    def rescale_error(self, se: Any, score: Any) -> Any:
        """Turn standard errors of scores into fractions of the range."""
        if self.log:
            return se / score / np.log(self.high / self.low)
        return se / (self.high - self.low)

    def to_row(self) -> dict[str, Any]:
        """Give its row of the table of benchmarks."""
        return {
            "benchmark": self.name,
            "label": self.title,
            "task_family": self.task_family,
            "metric": SCALED if self.is_real else "accuracy",
            "direction": self.direction,
            "chance": self.rescale(self.chance),
            "n_items": self.n_items,
            "n_shots": self.n_shots,
        }


def find_benchmark_faults(
    name: str, table: Mapping[str, Any], *, known: Iterable[str] = ()
) -> Iterator[tuple[str, str]]:
    """Report what is wrong with the declaration of a benchmark, by key.

    Examples
    --------
    >>> table = {"task_family": "chat", "metric": "elo"}
    >>> [said[:44] for _, said in find_benchmark_faults("arena", table)]
    ["'elo' has no ends. Allowed: range = [low, hi"]
    """
    if name in known:
        said = (
            f"'{name}' is a benchmark that is known already, with a metric and a range. Give "
            "this one another name."
        )
        yield "", said
    for key in table:
        if key not in KEYS:
            yield key, f"the key is not known.{suggest(key, KEYS)} Allowed: {listing(KEYS)}."
    for key in ("task_family", "metric", "label"):
        value = table.get(key, "" if key != "label" else "-")
        if not isinstance(value, str) or not value.strip() or not value.isprintable():
            said = "it is missing." if key not in table else f"'{shorten(value)}' is no text."
            yield key, f"{said} Allowed: one line of text, such as {_EXAMPLES[key]}. Fill it in."
    allowed = BENCHMARK_VOCABULARY["direction"]
    if table.get("direction", "higher") not in allowed:
        given = shorten(table["direction"])
        yield "direction", f"'{given}' is not known. Allowed: {listing(allowed)}. Correct it."
    if not isinstance(table.get("log", False), bool):
        yield "log", f"{shorten(table['log'])} is not known. Allowed: true or false."
    for key in ("n_items", "n_shots"):
        if key in table and not (_is_number(table[key]) and table[key] >= 0):
            yield key, f"{shorten(table[key])} is no count. Allowed: a whole number from 0 up."
    yield from _find_range_faults(table)


_EXAMPLES = {"task_family": "code", "metric": "pass@k", "label": "My benchmark"}


def _find_range_faults(table: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Report what is wrong with the range, and a chance outside it."""
    metric, log = str(table.get("metric", "")), table.get("log") is True
    if "range" not in table and (metric.lower() in REAL or log):
        said = (
            f"'{metric}' has no ends. Allowed: range = [low, high], between which the scores "
            "of LMs lie: effects are hundredths of it. Declare one, with log = true if "
            "ratios count, as those of a perplexity."
        )
        yield "range", said
        return
    ends: Any = table.get("range", (0, 1))
    good = isinstance(ends, list | tuple) and len(ends) == 2 and all(map(_is_number, ends))
    if not good or not ends[0] < ends[1] or (log and ends[0] <= 0):
        more = ", both above 0 where log = true" * log
        said = (
            f"{shorten(ends)} is no range. Allowed: two numbers, the lower first{more}, such "
            "as [0, 100]. Correct it."
        )
        yield "range", said
        return
    chance = table.get("chance", ends[0])
    if not _is_number(chance) or not ends[0] <= chance < ends[1]:
        said = (
            f"{shorten(chance)} is no score of a guess. Allowed: a number from {ends[0]:g} up, "
            f"below {ends[1]:g}. Correct it."
        )
        yield "chance", said


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def build_benchmark(name: str, table: Mapping[str, Any]) -> DeclaredBenchmark:
    """Make a benchmark of a declaration without a fault."""
    values, (low, high) = dict(table), table.get("range", (0.0, 1.0))
    values.pop("range", None)
    usual = "lower" if str(table["metric"]).lower() in _LOWER else "higher"
    return DeclaredBenchmark(name, **{"direction": usual, **values}, low=low, high=high)


def check_families(
    benchmarks: Iterable[DeclaredBenchmark], table: pd.DataFrame, *, file: str
) -> Iterator[DataError]:
    """Report benchmarks with a unit of their own that share a task family with others."""
    for one in benchmarks:
        others = table[(table["task_family"] == one.task_family) & (table["benchmark"] != one.name)]
        if one.is_real and len(others):
            yield DataError(
                f"{file}, [benchmark.{one.name}], task_family: '{one.task_family}' is that of "
                f"{listing(others['benchmark'])} too, and means over its benchmarks would mix "
                f"units. Allowed: a task family of its own, such as '{one.name}'. Rename it."
            )


def tabulate_benchmarks(benchmarks: Iterable[DeclaredBenchmark]) -> list[pd.DataFrame]:
    """Put declared benchmarks into a table of benchmarks; there is none without any."""
    rows = [one.to_row() for one in benchmarks]
    if not rows:
        return []
    frame = pd.DataFrame(rows, columns=list(column_names("benchmarks")))
    return [parse_frame(frame, table="benchmarks")]


def rescale_scores(
    scores: pd.DataFrame, benchmarks: Iterable[DeclaredBenchmark], *, file: str
) -> tuple[pd.DataFrame, list[DataError]]:
    """Turn the scores on declared benchmarks into fractions of their ranges.

    Parameters
    ----------
    scores
        Scores of LMs, or results of arms, indexed by line.
    benchmarks
        Declared ones.
    file
        The name of the file of scores, for error messages.

    Returns
    -------
    tuple of pandas.DataFrame and list of DataError
        The table, blank where a score is outside the range; and what is wrong with those.
    """
    known, problems = {one.name: one for one in benchmarks}, []
    score, se = (scores[name].to_numpy(float, copy=True) for name in ("score", "se"))
    for k, name in enumerate(scores["benchmark"]):
        one = known.get(str(name))
        if one is None or math.isnan(score[k]):
            continue
        if not one.low <= score[k] <= one.high:
            row = scores.iloc[k]
            owner = f"{name_arm(row)}: " if "arm" in row else ""
            problems.append(build_cell_error(
                file, line=int(str(scores.index[k])), column="score",
                said=f"{owner}{score[k]:g} is outside the range of '{name}'.",
                mend=f"Allowed: {one.metric} from {one.low:g} to {one.high:g}, as [benchmark."
                f"{name}] of decisions.toml says, or a blank cell. Correct the score or the range.",
            ))  # fmt: skip
            score[k] = se[k] = math.nan
            continue
        se[k] = one.rescale_error(se[k], score[k])
        score[k] = one.rescale(score[k])
    return scores.assign(score=score, se=se), problems
