"""The checks that a dataset passes before anything is computed from it.

What is named `check_` reports problems, one by one; what is named `validate_` raises them together.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain, islice
from typing import Any

import pandas as pd

from bayesmeta.data.csv_tables import build_cell_error, name_arm
from bayesmeta.data.decisions import Decision, know_decisions
from bayesmeta.data.schema import KEYS, Column, list_columns
from bayesmeta.data.vocabulary import (
    ALIASES,
    ERROR_RANGE,
    FRACTION_LIMIT,
    GENERATED_COLUMNS,
    METRIC_RANGE,
    MIX_COLUMNS,
    MIX_LIMIT,
    ONE_TOLERANCE,
    SCALED,
)
from bayesmeta.errors import MOST_FOUND, DataError, listing, refuse, shorten, suggest


def validate_tables(
    lms: pd.DataFrame,
    scores: pd.DataFrame,
    benchmarks: pd.DataFrame,
    *,
    where: str = "data",
    own: Sequence[Decision] = (),
) -> None:
    """Check three tables cell by cell and against each other.

    A row of scores with a blank score counts as a score that is known to be unavailable, so an
    lm or a benchmark with only such rows passes.

    Parameters
    ----------
    lms, scores, benchmarks
        The tables. An index named `line` holds line numbers; otherwise row 0 is line 2.
    where
        The folder that the tables came from, for error messages.
    own
        Declared decisions.

    Raises
    ------
    DataError
        With every problem, naming file, line and column.

    Examples
    --------
    >>> from bayesmeta.data.load import load_dataset
    >>> data = load_dataset()
    >>> validate_tables(data.lms.iloc[:1], data.scores.iloc[:3], data.benchmarks.iloc[:4])
    Traceback (most recent call last):
    bayesmeta.errors.DataError: data/benchmarks.csv, line 5, column 'benchmark': no score ...
    """
    refuse(check_tables(lms, scores, benchmarks, where=where, own=own))


def check_tables(
    lms: pd.DataFrame,
    scores: pd.DataFrame,
    benchmarks: pd.DataFrame,
    *,
    where: str,
    own: Sequence[Decision] = (),
) -> Iterator[DataError]:
    """Report what is wrong with three tables, as `validate_tables` says."""
    file = f"{where}/scores.csv"
    return check_in_turn(
        chain(
            check_lms(lms, file=f"{where}/lms.csv", own=own),
            check_rows(benchmarks, table="benchmarks", file=f"{where}/benchmarks.csv"),
            check_rows(scores, table="scores", file=file),
            check_partner(scores, "lm", lms["lm"], file=file, partner="lms.csv"),
            check_partner(scores, "benchmark", benchmarks["benchmark"], file=file,
                          partner="benchmarks.csv"),
            _check_score_range(scores, benchmarks, file=file),
            check_errors(scores, benchmarks, file=file),
        ),
        chain(
            _check_scored(lms, "lm", scores["lm"], file=f"{where}/lms.csv"),
            _check_scored(benchmarks, "benchmark", scores["benchmark"],
                          file=f"{where}/benchmarks.csv"),
        ),
    )  # fmt: skip


def check_in_turn(*stages: Iterable[DataError]) -> Iterator[DataError]:
    """Report the first stage that finds anything; what later ones say would follow from it.

    Examples
    --------
    >>> [str(one) for one in check_in_turn([], [DataError("a")], [DataError("b")])]
    ['a']
    """
    for stage in stages:
        found = list(islice(stage, MOST_FOUND))
        if found:
            return iter(found)
    return iter(())


def validate_lms(lms: pd.DataFrame, *, file: str = "lms.csv") -> None:
    """Check a table of LMs by itself.

    Parameters
    ----------
    lms, file
        The table, and the name of its file with its folder, for error messages.

    Raises
    ------
    DataError
        With every problem, as `validate_tables`.

    Examples
    --------
    >>> from bayesmeta.data.load import load_dataset
    >>> validate_lms(load_dataset().lms)
    """
    refuse(check_lms(lms, file=file))


def check_lms(lms: pd.DataFrame, *, file: str, own: Sequence[Decision] = ()) -> Iterator[DataError]:
    """Report what is wrong with a table of LMs, as `validate_lms` says."""
    yield from check_rows(lms, table="lms", file=file, own=own)
    yield from _check_sizes(lms, file=file)
    yield from check_mix(lms, file=file)
    yield from _check_stages(lms, file=file)


def _check_sizes(lms: pd.DataFrame, *, file: str) -> Iterator[DataError]:
    """Report LMs that record neither size: nothing says where they stand."""
    for position in find_positions(lms["n_params"].isna() & lms["n_tokens"].isna()):
        yield build_cell_error(
            file, line=find_line(lms, position), column="n_tokens",
            said=f"neither n_params nor n_tokens of {_owner(lms, position)} is known.",
            mend="Allowed: one of the two is blank, and estimated from the other, family and "
            "date. Fill one in, or leave the LM out.",
        )  # fmt: skip


def trace_stages(lms: pd.DataFrame) -> list[list[str]]:
    """Name the LMs whose weights came before those of every LM, the latest first.

    An LM that has no row of its own is followed by what it continued itself, after a semicolon.
    Where LMs continue each other in a circle, a name stands twice, and is the last.

    Examples
    --------
    >>> trace_stages(pd.DataFrame({"lm": ["a", "b", "c"], "derived_from": [None, "x; a", "b"]}))
    [[], ['x', 'a'], ['b', 'x', 'a']]
    """
    cells = lms["derived_from"].fillna("") if "derived_from" in lms else [""] * len(lms)
    named = [[name.strip() for name in cell.split(";") if name.strip()] for cell in cells]
    before = dict(zip(lms["lm"], named, strict=True))
    found = []
    for lm in lms["lm"]:
        line = [lm]
        while len(set(line)) == len(line) and before.get(line[-1]):
            line += before[line[-1]]
        found.append(line[1:])
    return found


def _check_stages(lms: pd.DataFrame, *, file: str) -> Iterator[DataError]:
    """Report if an LM continues itself, by way of others or not."""
    circles: set[frozenset[str]] = set()
    for position, (lm, line) in enumerate(zip(lms["lm"], trace_stages(lms), strict=True)):
        whole = [lm, *line]
        circle = frozenset(whole[whole.index(whole[-1]) :])
        if len(set(whole)) < len(whole) and circle not in circles:
            circles.add(circle)
            chain = ", which continues ".join(f"'{shorten(name)}'" for name in line)
            yield build_cell_error(
                file, line=find_line(lms, position), column="derived_from",
                said=f"'{shorten(lm)}' continues {chain}: a circle.",
                mend="Allowed: the lm whose weights its training continued, or a blank cell for "
                "training from scratch. Correct the cell, or that of another lm of the circle.",
            )  # fmt: skip


def check_mix(frame: pd.DataFrame, *, file: str) -> Iterator[DataError]:
    """Report if the domain shares of an LM, or of an arm, sum to too much or are fractions."""
    present = [name for name in MIX_COLUMNS if name in frame.columns]
    frame = frame.assign(**{name: frame[name].where(frame[name].between(0, 100))
                            for name in present})  # fmt: skip
    total = frame[present].sum(axis="columns").round(9)  # 33.4 + 33.4 + 33.7: a bit over 100.5
    for position in find_positions(total > MIX_LIMIT):
        parts = frame[present].iloc[position].dropna()
        shares = listing(f"{name} {value:g}" for name, value in parts.items())
        yield build_cell_error(
            file, line=find_line(frame, position), column=str(parts.index[0]),
            said=f"the shares of {_owner(frame, position)} sum to {total.iloc[position]:g} "
            f"percent ({shares}).",
            mend=f"Allowed: a sum of {', '.join(present)} of at most {MIX_LIMIT:g}. Rescale them "
            "to 100, or leave unknown shares blank.",
        )  # fmt: skip
    known = frame[present].notna()
    whole = known.all(axis="columns") & (len(present) == len(MIX_COLUMNS))
    one = (known.sum(axis="columns") > 1) & ((total - 1).abs() < ONE_TOLERANCE)
    some = whole | (frame["web_share"] > 0) if "web_share" in present else whole
    for position in find_positions((some & (total > 0) & (total <= FRACTION_LIMIT)) | one):
        yield build_cell_error(
            file, line=find_line(frame, position), column=present[0],
            said=f"the shares of {_owner(frame, position)} sum to {total.iloc[position]:g} "
            "percent, as if they were fractions.",
            mend="Allowed: percent of the training tokens, such as 5 for a twentieth. Multiply "
            "the shares by 100.",
        )  # fmt: skip


def validate_generations(
    generations: pd.DataFrame, *, lms: pd.DataFrame, file: str = "generation.csv"
) -> None:
    """Check what LMs write: cell by cell, and against the table of LMs.

    Lines are numbered, and problems are raised, as by `validate_lms`.

    Examples
    --------
    >>> from bayesmeta.data.load import load_dataset
    >>> data = load_dataset()
    >>> validate_generations(data.generations, lms=data.lms)
    """
    refuse(_check_generations(generations, lms=lms, file=file))


def _check_generations(
    generations: pd.DataFrame, *, lms: pd.DataFrame, file: str
) -> Iterator[DataError]:  # fmt: skip
    yield from check_rows(generations, table="generation", file=file)
    yield from check_partner(generations, "lm", lms["lm"], file=file, partner="lms.csv")
    parts = [name for name in GENERATED_COLUMNS if name in generations.columns]
    total = generations[parts].sum(axis="columns")
    for position in find_positions(total > MIX_LIMIT):
        yield build_cell_error(
            file, line=find_line(generations, position), column=parts[0],
            said=f"the generated shares of '{generations['lm'].iloc[position]}' sum to "
            f"{total.iloc[position]:g} percent.",
            mend=f"Allowed: a sum of {', '.join(parts)} of at most {MIX_LIMIT:g}. Rescale them.",
        )  # fmt: skip


def _owner(frame: pd.DataFrame, position: int) -> str:
    """Name whose row it is: an LM, or an arm and its study."""
    row = frame.iloc[position]
    return f"'{row['lm']}'" if "lm" in frame else name_arm(row)


def find_line(frame: pd.DataFrame, position: int) -> int:
    """Return the line on which an editor shows a row."""
    return int(frame.index[position]) if frame.index.name == "line" else int(position) + 2


def find_positions(hits: Iterable[object]) -> list[int]:
    """Return the positions of the rows for which something holds."""
    return [position for position, hit in enumerate(hits) if hit]


def validate_rows(
    frame: pd.DataFrame, *, table: str, file: str, own: Sequence[Decision] = ()
) -> None:
    """Raise what `check_rows` reports."""
    refuse(check_rows(frame, table=table, file=file, own=own))


def check_rows(
    frame: pd.DataFrame, *, table: str, file: str, own: Sequence[Decision] = ()
) -> Iterator[DataError]:
    """Report cells that break the rule of their column, and keys that stand twice.

    Raises
    ------
    DataError
        If a column is not known, or missing.
    """
    known = list_columns(table, own)
    columns, names = [c for c in known if c.name in frame], [c.name for c in known]
    wrong = [name for name in frame if name not in names]
    wrong += [c.name for c in known if c.required and c not in columns]
    if wrong:
        raise DataError(
            f"{file}, line 1: column '{wrong[0]}' is "
            f"{'not known' if wrong[0] in frame else 'missing'}. Allowed columns: "
            f"{listing(names)}. Rename, add or remove columns."
        )
    cells, decisions = enumerate(columns), know_decisions(own)
    bad = [(row, k) for k, c in cells for row in find_positions(~c.accepts(frame[c.name]))]
    for position, k in sorted(bad):
        said, hint = _word(frame[columns[k].name].iloc[position], columns[k])
        if "arm" in frame:
            said = f"{name_arm(frame.iloc[position])}: {said}"
        declared = columns[k].name in decisions and columns[k].kind == "category"
        more = ", or declare a level of your own in decisions.toml" * declared
        yield build_cell_error(
            file, line=find_line(frame, position), column=columns[k].name, said=said,
            mend=f"{columns[k].expects}{hint} Correct the cell{more}.",
        )  # fmt: skip
    key = list(KEYS[table])
    keys = frame.reindex(columns=key).fillna("")
    for position in find_positions(keys.duplicated()):
        row = keys.iloc[position]
        same = find_positions((keys == row).all(axis="columns"))
        names = " and ".join(f"{name} '{shorten(row[name])}'" for name in key if row[name] != "")
        yield build_cell_error(
            file, line=find_line(frame, position), column=key[-1],
            said=f"{names} already stands on line {find_line(frame, same[0])}.",
            mend=f"Allowed: one row for every {' and '.join(key)}. Remove one of the two rows, "
            "or rename one.",
        )  # fmt: skip


def _word(value: Any, column: Column) -> tuple[str, str]:
    """Say what is wrong with a cell, and hint at what was meant."""
    if column.kind == "category":
        alias = ALIASES.get(str(value).lower())
        known = alias in column.allowed
        hint = f" Here it is called '{alias}'." if known else suggest(value, column.allowed)
        return f"'{shorten(value)}' is not one of the words used here.", hint
    if column.kind == "month":
        return f"'{shorten(value)}' is not a month.", ""
    if value is None or value != value:
        return "the cell is blank.", ""
    if column.kind == "text":
        return f"'{shorten(value)}' is too long, or holds what cannot be printed.", ""
    shown = f"'{value}' is not a number." if isinstance(value, str) else f"{value:g} is outside"
    return shown if isinstance(value, str) else f"{shown} the allowed range.", ""


def check_partner(
    frame: pd.DataFrame, column: str, known: Iterable[str], *, file: str, partner: str
) -> Iterator[DataError]:
    """Report names of this table that are not in its partner table, each where it stands first."""
    known = list(known)
    missing = ~frame[column].isin(known) & frame[column].notna()
    for position in find_positions(missing & ~frame[column].duplicated()):
        value = frame[column].iloc[position]
        yield build_cell_error(
            file, line=find_line(frame, position), column=column,
            said=f"'{value}' has no row in {partner}.{suggest(value, known)}",
            mend=f"Allowed: {list_some(known)}. Correct the name, or add a row to {partner}.",
        )  # fmt: skip


def list_some(names: Iterable[str], *, most: int = 15) -> str:
    """List names, and say how many more there are than can be read."""
    names = list(names)
    more = [f"and {len(names) - most} more"] if len(names) > most else []
    return listing([*names[:most], *more])


def _check_score_range(
    scores: pd.DataFrame, benchmarks: pd.DataFrame, *, file: str
) -> Iterator[DataError]:
    """Report scores that lie outside the range of their benchmark's metric."""
    units = dict(zip(benchmarks["benchmark"], benchmarks["metric"], strict=True))
    for position, (benchmark, value) in enumerate(
        zip(scores["benchmark"], scores["score"], strict=True)
    ):
        unit = str(units.get(benchmark))
        low, high = METRIC_RANGE.get(unit, (-math.inf, math.inf))
        if math.isnan(value) or low <= value <= high:
            continue
        in_percent = unit == "accuracy" and 1 < value <= 100
        percent = f" If {value:g} is in percent, divide it by 100." if in_percent else ""
        yield build_cell_error(
            file, line=find_line(scores, position), column="score",
            said=f"{value:g} is outside the range of '{benchmark}', whose metric is {unit}.",
            mend=f"Allowed: {unit} from {low:g} to {high:g}, or a blank cell where there is no "
            f"score.{percent} Correct the score, or the metric in benchmarks.csv.",
        )  # fmt: skip


def check_errors(
    scores: pd.DataFrame, benchmarks: pd.DataFrame, *, file: str
) -> Iterator[DataError]:
    """Report standard errors that the metric makes impossible: 0, or as large as in percent.

    Parameters
    ----------
    scores
        Scores of LMs, or results of arms.
    benchmarks
        Their metrics and, where they are known, numbers of items.
    file
        The name of the file of scores, for error messages.
    """
    if "se" not in scores:
        return
    items = benchmarks["n_items"] if "n_items" in benchmarks else [math.nan] * len(benchmarks)
    known = {name: (metric, n) for name, metric, n in
             zip(benchmarks["benchmark"], benchmarks["metric"], items, strict=True)}  # fmt: skip
    for position, (name, se) in enumerate(zip(scores["benchmark"], scores["se"], strict=True)):
        metric, n = known.get(name, ("", math.nan))
        if metric not in METRIC_RANGE or math.isnan(se) or se < 0:
            continue  # said elsewhere
        if metric == SCALED and 0 < se <= 1:
            continue  # nothing says how precise it can be
        least, usual, most = (share * METRIC_RANGE[metric][1] for share in ERROR_RANGE)
        limit = max(usual, most / math.sqrt(max(n - 1, 1))) if n >= 1 else usual
        if least <= se <= limit:
            continue
        row = scores.iloc[position]
        owner = f"{name_arm(row)}: " if "arm" in row else ""
        yield build_cell_error(
            file, line=find_line(scores, position), column="se",
            said=f"{owner}the standard error on '{name}' is {se:g}.",
            mend=f"Allowed: a number above 0, at most {limit:g}, in the unit of the score, or a "
            f"blank cell for unknown. No {metric} can have more than {most:g}, and more than "
            f"{usual:g} only with fewer than 26 items (n_items in benchmarks.csv). Divide percent "
            "by 100; leave 0 blank.",
        )  # fmt: skip


def _check_scored(
    frame: pd.DataFrame, column: str, scored: Iterable[str], *, file: str
) -> Iterator[DataError]:
    """Report LMs or benchmarks that have no row in the scores."""
    for position in find_positions(~frame[column].isin(list(scored))):
        value = frame[column].iloc[position]
        yield build_cell_error(
            file, line=find_line(frame, position), column=column,
            said=f"no score of '{value}' is in scores.csv.",
            mend=f"Allowed: every {column} has at least one row in scores.csv. Add its scores, or "
            "remove this row.",
        )  # fmt: skip
