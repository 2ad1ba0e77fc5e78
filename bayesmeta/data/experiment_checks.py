"""The checks that controlled experiments pass before anything is computed from them."""

from __future__ import annotations

import pandas as pd

from bayesmeta.data.checks import (
    check_mix,
    check_partner,
    check_rows,
    find_line,
    find_positions,
    list_some,
    name_arm,
)
from bayesmeta.data.csv_tables import build_cell_error
from bayesmeta.data.experiments import FACTS, list_differences
from bayesmeta.data.vocabulary import METRIC_RANGE
from bayesmeta.errors import listing, suggest


def validate_arms(arms: pd.DataFrame, *, studies: pd.DataFrame | None, folder: str) -> None:
    """Check a table of arms, blank cells filled from the group, and that of the studies.

    Parameters
    ----------
    arms, studies
        The tables; None where there is no table of studies. An index named `line` holds line
        numbers; otherwise row 0 is line 2.
    folder
        The folder that the tables came from, for error messages.

    Raises
    ------
    DataError
        At the first problem, naming file, line, column, study and arm.

    Examples
    --------
    >>> from bayesmeta.data.load import load_experiments
    >>> validate_arms(load_experiments().arms.iloc[:1], studies=None, folder="own")
    Traceback (most recent call last):
    bayesmeta.errors.DataError: own/arms.csv, line 2, column 'group': arm ... is alone ...
    """
    file = f"{folder}/arms.csv"
    check_rows(arms, table="arms", file=file)
    check_mix(arms, file=file)
    if studies is not None:
        check_rows(studies, table="studies", file=f"{folder}/studies.csv")
        check_partner(arms, "study", studies["study"], file=file, partner="studies.csv")
    groups = arms.reset_index(drop=True).groupby(["study", "group"], sort=False).groups
    for positions in groups.values():
        first, group = int(positions[0]), arms.iloc[list(positions)]
        if len(group) == 1:
            raise build_cell_error(
                file, line=find_line(arms, first), column="group",
                said=f"{name_arm(group.iloc[0])} is alone in its group.",
                mend="Allowed: two arms or more in every group, which are compared with each "
                "other. Add the arm that it is compared with, or correct the group.",
            )  # fmt: skip
        if not list_differences(group):
            named = listing(f"'{name}'" for name in group["arm"])
            raise build_cell_error(
                file, line=find_line(arms, first), column="group",
                said=f"the arms {named} of group '{group['group'].iloc[0]}' (study "
                f"'{group['study'].iloc[0]}') differ in nothing; a blank cell counts as the value "
                "of the other arms.",
                mend=f"Allowed: a difference in one of {listing(FACTS)}. Fill in what was varied.",
            )  # fmt: skip


def validate_results(
    results: pd.DataFrame, *, arms: pd.DataFrame, benchmarks: pd.DataFrame, folder: str
) -> None:
    """Check a table of results, and against arms and benchmarks.

    Parameters
    ----------
    results, arms
        The tables, lines numbered as by `validate_arms`.
    benchmarks
        All benchmarks that are known.
    folder
        The folder that the tables came from, for error messages.

    Raises
    ------
    DataError
        At the first problem, naming file, line, column, study and arm.

    Examples
    --------
    >>> from bayesmeta.data.load import load_experiments
    >>> known = load_experiments()
    >>> wrong = known.results.iloc[:1].assign(score=41.2)
    >>> validate_results(wrong, arms=known.arms, benchmarks=known.benchmarks, folder="own")
    Traceback (most recent call last):
    bayesmeta.errors.DataError: own/results.csv, line 2, column 'score': ... percent ...
    """
    file = f"{folder}/results.csv"
    check_rows(results, table="results", file=file)
    _check_arms(results, arms, file=file)
    units = dict(zip(benchmarks["benchmark"], benchmarks["metric"], strict=True))
    for position in find_positions(~results["benchmark"].isin(list(units))):
        name = results["benchmark"].iloc[position]
        raise build_cell_error(
            file, line=find_line(results, position), column="benchmark",
            said=f"{name_arm(results.iloc[position])} has a score on '{name}', which is no "
            f"benchmark that is known.{suggest(name, units)}",
            mend=f"Allowed: {list_some(units)}. Correct the name, or add benchmarks.csv with the "
            "columns benchmark, task_family and metric.",
        )  # fmt: skip
    ranges = [METRIC_RANGE[units[name]] for name in results["benchmark"]]
    inside = [low <= x <= high for (low, high), x in zip(ranges, results["score"], strict=True)]
    for position in find_positions(not good for good in inside):
        row, (low, high) = results.iloc[position], ranges[position]
        score, unit = row["score"], units[row["benchmark"]]
        like = "a loss or a perplexity" if score > high else "no score at all"
        if unit == "accuracy" and 1 < score <= 100:
            like = "percent, or like a loss or a perplexity"
        raise build_cell_error(
            file, line=find_line(results, position), column="score",
            said=f"{name_arm(row)}: {score:g} on '{row['benchmark']}' looks like {like}.",
            mend=f"Allowed: {unit} from {low:g} to {high:g}. Divide percent by 100; leave losses "
            "and perplexities out: they have no link to scores.",
        )  # fmt: skip
    for position in find_positions(results["se"] == 0):
        row = results.iloc[position]
        raise build_cell_error(
            file, line=find_line(results, position), column="se",
            said=f"{name_arm(row)}: the standard error on '{row['benchmark']}' is 0.",
            mend="Allowed: a number above 0, or a blank cell for unknown. Leave it blank.",
        )  # fmt: skip


def _check_arms(results: pd.DataFrame, arms: pd.DataFrame, *, file: str) -> None:
    """Raise if a result is of an arm that has no row in the table of arms."""
    key = ["study", "group", "arm"]
    known = set(arms[key].itertuples(index=False, name=None))
    given = results[key].itertuples(index=False, name=None)
    for position, (study, group, arm) in enumerate(given):
        if (study, group, arm) in known:
            continue
        among = arms
        for column, value in zip(key, (study, group, arm), strict=True):
            inside = among[among[column] == value]
            if not len(inside):
                allowed = among[column].unique()
                raise build_cell_error(
                    file, line=find_line(results, position), column=column,
                    said=f"{name_arm(results.iloc[position])} has no row in arms.csv: there is no "
                    f"{column} '{value}'.{suggest(value, allowed)}",
                    mend=f"Allowed: {listing(allowed)}. Correct the name, or add a row to "
                    "arms.csv.",
                )  # fmt: skip
            among = inside
