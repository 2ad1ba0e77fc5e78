"""Benchmarks that come with the package, and those of a user beside them."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

import pandas as pd

from bayesmeta.data.csv_tables import build_cell_error, read_table
from bayesmeta.data.declared_benchmarks import DeclaredBenchmark, tabulate_benchmarks
from bayesmeta.data.vocabulary import USUAL_DIRECTION
from bayesmeta.defaults import BUNDLED
from bayesmeta.errors import DataError, listing, suggest


@cache
def bundled_benchmarks() -> pd.DataFrame:
    """Read the benchmarks of the bundled scores.

    Examples
    --------
    >>> len(bundled_benchmarks())
    13
    """
    return read_table(BUNDLED / "benchmarks.csv", table="benchmarks")


def known_benchmarks() -> pd.DataFrame:
    """Read all benchmarks that need no row of one's own in experiments, bundled ones first.

    Examples
    --------
    >>> len(known_benchmarks())
    65
    """
    path = BUNDLED / "experiments" / "benchmarks.csv"
    more = read_table(path, table="experiment_benchmarks")
    return pd.concat([bundled_benchmarks(), more]).drop_duplicates("benchmark")


def match_benchmarks(
    scores: pd.DataFrame,
    own: pd.DataFrame | None,
    *,
    where: str,
    ranged: Sequence[DeclaredBenchmark] = (),
) -> tuple[pd.DataFrame, list[DataError]]:
    """Put bundled benchmarks that have scores below a user's own, which may be none.

    Parameters
    ----------
    scores, own
        Scores, and the user's benchmarks if there are any.
    where
        The folder that they came from, for error messages.
    ranged
        Declared benchmarks.

    Returns
    -------
    tuple of pandas.DataFrame and list of DataError
        The benchmarks; and problems: those that have a row and a declaration, or where there are no
        own rows, those that have scores and neither.
    """
    bundled = bundled_benchmarks()
    ranged = [one for one in ranged if one.name in set(scores["benchmark"])]
    if own is not None:
        problems = _find_twice(own, ranged, file=f"{where}/benchmarks.csv")
        own = pd.concat([complete_benchmarks(own), *tabulate_benchmarks(ranged)])
        used = bundled["benchmark"].isin(scores["benchmark"])
        more = bundled.loc[used & ~bundled["benchmark"].isin(own["benchmark"])]
        return pd.concat([own, more]).rename_axis("line"), problems
    bundled = pd.concat([*tabulate_benchmarks(ranged), bundled])
    names = scores["benchmark"].dropna().drop_duplicates()
    problems = [
        build_cell_error(
            f"{where}/scores.csv", line=int(str(line)), column="benchmark",
            said=f"'{name}' is not a bundled benchmark, and {where} has no benchmarks.csv."
            f"{suggest(name, bundled['benchmark'])}",
            mend=f"Allowed: {listing(bundled['benchmark'])}. Correct the name, or add "
            "benchmarks.csv with the columns benchmark, task_family and metric.",
        )
        for line, name in names[~names.isin(bundled["benchmark"])].items()
    ]  # fmt: skip
    return bundled.loc[bundled["benchmark"].isin(scores["benchmark"])], problems


def _find_twice(
    own: pd.DataFrame, ranged: Sequence[DeclaredBenchmark], *, file: str
) -> list[DataError]:
    """Report benchmarks that have a row and a declaration."""
    names = [one.name for one in ranged]
    return [
        build_cell_error(
            file, line=int(str(line)), column="benchmark",
            said=f"'{name}' is declared in decisions.toml too.",
            mend=f"Allowed: a row, or [benchmark.{name}]. Remove one of them.",
        )
        for line, name in own["benchmark"].items() if name in names
    ]  # fmt: skip


def complete_benchmarks(own: pd.DataFrame) -> pd.DataFrame:
    """Fill in labels and directions that a table of benchmarks leaves out.

    Examples
    --------
    >>> own = pd.DataFrame({"benchmark": ["a"], "metric": ["brier"], "label": [None]})
    >>> complete_benchmarks(own.assign(direction=None))[["label", "direction"]].to_dict("records")
    [{'label': 'a', 'direction': 'lower'}]
    """
    usual = pd.Series([USUAL_DIRECTION.get(unit) for unit in own["metric"]], own.index, dtype="str")
    return own.assign(
        label=own["label"].fillna(own["benchmark"]), direction=own["direction"].fillna(usual)
    )
