"""Benchmarks that come with the package, and those of a user beside them."""

from __future__ import annotations

from functools import cache

import pandas as pd

from bayesmeta.data.csv_tables import build_cell_error, read_table
from bayesmeta.data.vocabulary import BENCHMARK_VOCABULARY
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
    scores: pd.DataFrame, own: pd.DataFrame | None, *, where: str
) -> tuple[pd.DataFrame, list[DataError]]:
    """Put bundled benchmarks that have scores below a user's own, which may be none.

    Parameters
    ----------
    scores, own
        Scores, and the user's benchmarks if there are any.
    where
        The folder that they came from, for error messages.

    Returns
    -------
    tuple of pandas.DataFrame and list of DataError
        The benchmarks; and, where there are no own ones, those that have scores and no row.
    """
    bundled = bundled_benchmarks()
    used = bundled["benchmark"].isin(scores["benchmark"])
    if own is not None:
        own = complete_benchmarks(own)
        more = bundled.loc[used & ~bundled["benchmark"].isin(own["benchmark"])]
        return pd.concat([own, more]).rename_axis("line"), []
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
    return bundled.loc[used], problems


def complete_benchmarks(own: pd.DataFrame) -> pd.DataFrame:
    """Fill in labels and directions that a table of benchmarks leaves out.

    Examples
    --------
    >>> own = pd.DataFrame({"benchmark": ["a"], "metric": ["brier"], "label": [None]})
    >>> complete_benchmarks(own.assign(direction=None))[["label", "direction"]].to_dict("records")
    [{'label': 'a', 'direction': 'lower'}]
    """
    better = dict(zip(*BENCHMARK_VOCABULARY.values(), strict=True))
    usual = pd.Series([better.get(unit) for unit in own["metric"]], own.index, dtype="str")
    return own.assign(
        label=own["label"].fillna(own["benchmark"]), direction=own["direction"].fillna(usual)
    )
