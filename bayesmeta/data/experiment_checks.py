"""The checks that controlled experiments pass before anything is computed from them."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import pandas as pd

from bayesmeta.data.checks import (
    check_errors,
    check_in_turn,
    check_mix,
    check_partner,
    check_rows,
    find_line,
    find_positions,
    list_some,
)
from bayesmeta.data.csv_tables import build_cell_error, name_arm
from bayesmeta.data.decisions import Decision
from bayesmeta.data.experiments import fill_from_group, find_differences, list_facts
from bayesmeta.data.vocabulary import METRIC_RANGE, MIX_COLUMNS
from bayesmeta.errors import DataError, listing, refuse, suggest


def validate_arms(
    arms: pd.DataFrame,
    *,
    studies: pd.DataFrame | None,
    folder: str,
    own: Sequence[Decision] = (),
) -> None:
    """Check a table of arms, and that of the studies; blank cells count as filled from the group.

    Parameters
    ----------
    arms, studies
        The tables; None where there is no table of studies. An index named `line` holds line
        numbers; otherwise row 0 is line 2.
    folder
        The folder that the tables came from, for error messages.
    own
        Declared decisions.

    Raises
    ------
    DataError
        With every problem, naming file, line, column, study and arm.

    Examples
    --------
    >>> from bayesmeta.data.load import load_experiments
    >>> validate_arms(load_experiments().arms.iloc[:1], studies=None, folder="own")
    Traceback (most recent call last):
    bayesmeta.errors.DataError: own/arms.csv, line 2, column 'group': arm ... is alone ...
    """
    groups = _check_groups(fill_from_group(arms), file=f"{folder}/arms.csv")
    refuse(check_in_turn(_check_arms(arms, studies=studies, folder=folder, own=own), groups))


def _check_arms(
    arms: pd.DataFrame, *, studies: pd.DataFrame | None, folder: str, own: Sequence[Decision]
) -> Iterator[DataError]:
    file = f"{folder}/arms.csv"
    yield from check_rows(arms, table="arms", file=file, own=own)
    yield from check_mix(arms, file=file)
    yield from _check_fractions(arms, file=file)
    if studies is not None:
        yield from check_rows(studies, table="studies", file=f"{folder}/studies.csv")
        yield from check_partner(arms, "study", studies["study"], file=file, partner="studies.csv")


def _check_groups(arms: pd.DataFrame, *, file: str) -> Iterator[DataError]:
    """Report arms that are alone in their group, and groups whose arms differ in nothing."""
    groups = arms.reset_index(drop=True).groupby(["study", "group"], sort=False).groups
    differ = find_differences(arms).any(axis="columns")
    for positions, varied in zip(groups.values(), differ, strict=True):
        first = int(positions[0])
        if len(positions) == 1:
            yield build_cell_error(
                file, line=find_line(arms, first), column="group",
                said=f"{name_arm(arms.iloc[first])} is alone in its group.",
                mend="Allowed: two arms or more in every group, which are compared with each "
                "other. Add the arm that it is compared with, or correct the group.",
            )  # fmt: skip
        elif not varied:
            group = arms.iloc[list(positions)]
            named = list_some(f"'{name}'" for name in group["arm"])
            yield build_cell_error(
                file, line=find_line(arms, first), column="group",
                said=f"the arms {named} of group '{group['group'].iloc[0]}' (study "
                f"'{group['study'].iloc[0]}') differ in nothing; a blank cell counts as the value "
                "of the other arms.",
                mend=f"Allowed: a difference in one of {listing(list_facts(arms))}. Fill in what "
                "was varied.",
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
        With every problem, naming file, line, column, study and arm.

    Examples
    --------
    >>> from bayesmeta.data.load import load_experiments
    >>> known = load_experiments()
    >>> wrong = known.results.iloc[:1].assign(score=41.2)
    >>> validate_results(wrong, arms=known.arms, benchmarks=known.benchmarks, folder="own")
    Traceback (most recent call last):
    bayesmeta.errors.DataError: own/results.csv, line 2, column 'score': ... percent ...
    """
    found = _check_results(results, arms=arms, benchmarks=benchmarks, folder=folder)
    refuse(check_in_turn(found, _check_compared(results, arms, file=f"{folder}/arms.csv")))


def _check_results(
    results: pd.DataFrame, *, arms: pd.DataFrame, benchmarks: pd.DataFrame, folder: str
) -> Iterator[DataError]:
    file = f"{folder}/results.csv"
    yield from check_rows(results, table="results", file=file)
    yield from _check_known(results, arms, file=file)
    units = dict(zip(benchmarks["benchmark"], benchmarks["metric"], strict=True))
    unknown = ~results["benchmark"].isin(list(units)) & results["benchmark"].notna()
    for position in find_positions(unknown & ~results["benchmark"].duplicated()):
        name = results["benchmark"].iloc[position]
        yield build_cell_error(
            file, line=find_line(results, position), column="benchmark",
            said=f"{name_arm(results.iloc[position])} has a score on '{name}', which is no "
            f"benchmark that is known.{suggest(name, units)}",
            mend=f"Allowed: {list_some(units)}. Correct the name, or add benchmarks.csv with the "
            "columns benchmark, task_family and metric.",
        )  # fmt: skip
    ranges = [METRIC_RANGE.get(str(units.get(name)), (-math.inf, math.inf))
              for name in results["benchmark"]]  # fmt: skip
    inside = [not (x < low or x > high)
              for (low, high), x in zip(ranges, results["score"], strict=True)]  # fmt: skip
    for position in find_positions(not good for good in inside):
        row, (low, high) = results.iloc[position], ranges[position]
        score, unit = row["score"], units[row["benchmark"]]
        like = "a loss or a perplexity" if score > high else "no score at all"
        if unit == "accuracy" and 1 < score <= 100:
            brier = ", a Brier score" if score <= METRIC_RANGE["brier"][1] else ""
            like = f"percent{brier}, a loss or a perplexity"
        yield build_cell_error(
            file, line=find_line(results, position), column="score",
            said=f"{name_arm(row)}: {score:g} on '{row['benchmark']}' looks like {like}.",
            mend=f"Allowed: {unit} from {low:g} to {high:g}. Divide percent by 100; a Brier score "
            "needs a benchmark whose metric is brier; leave losses and perplexities out: they have "
            "no link to scores.",
        )  # fmt: skip
    yield from check_errors(results, benchmarks, file=file)


def _check_fractions(arms: pd.DataFrame, *, file: str) -> Iterator[DataError]:
    """Report groups of which no domain share is above 1, but some are above 0."""
    mix = arms.reindex(columns=list(MIX_COLUMNS))
    highest = mix.max(axis="columns")
    groups = highest.groupby([arms["study"], arms["group"]])
    doubtful = (highest > 0) & (groups.transform("max") <= 1)
    for position in find_positions(doubtful & ~arms[doubtful].duplicated(["study", "group"])):
        name = str(mix.iloc[position].idxmax())
        yield build_cell_error(
            file, line=find_line(arms, position), column=name,
            said=f"{name_arm(arms.iloc[position])}: no share of the group is above 1 percent; "
            f"{highest.iloc[position]:g} looks like a fraction.",
            mend="Allowed: percent of the training tokens, such as 5 for a twentieth. Multiply the "
            "shares by 100, or fill in what the rest of the tokens are.",
        )  # fmt: skip


def _check_compared(results: pd.DataFrame, arms: pd.DataFrame, *, file: str) -> Iterator[DataError]:
    """Report groups of which no two arms have a score on one benchmark under one protocol."""
    both = results.duplicated(["study", "group", "benchmark", "protocol"])
    compared = set(results.loc[both, ["study", "group"]].itertuples(index=False, name=None))
    given = arms[["study", "group"]].itertuples(index=False, name=None)
    alone = pd.Series([group not in compared for group in given], arms.index)
    for position in find_positions(alone & ~arms.duplicated(["study", "group"])):
        study, group = arms.iloc[position][["study", "group"]]
        yield build_cell_error(
            file, line=find_line(arms, position), column="group",
            said=f"no two arms of group '{group}' (study '{study}') have a score on the same "
            "benchmark under the same protocol in results.csv.",
            mend="Allowed: scores of two arms or more on every benchmark that they are compared "
            "on. Add them, write benchmark and protocol alike, or remove the group.",
        )  # fmt: skip


def _check_known(results: pd.DataFrame, arms: pd.DataFrame, *, file: str) -> Iterator[DataError]:
    """Report results of arms that have no row in the table of arms."""
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
                yield build_cell_error(
                    file, line=find_line(results, position), column=column,
                    said=f"{name_arm(results.iloc[position])} has no row in arms.csv: there is no "
                    f"{column} '{value}'.{suggest(value, allowed)}",
                    mend=f"Allowed: {list_some(allowed)}. Correct the name, or add a row to "
                    "arms.csv.",
                )  # fmt: skip
                break
            among = inside
