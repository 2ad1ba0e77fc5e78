"""Cells of a table of effect sizes: taken from wherever they are, and read by what they are for."""

from __future__ import annotations

import datetime
import itertools
import math
import re
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from bayesmeta.data.csv_tables import check_columns_differ, check_lengths, parse_rows
from bayesmeta.errors import DataError, listing, shorten, suggest, unknown
from bayesmeta.tables.frames import as_frame
from bayesmeta.tables.wording import count

FEWEST = 2
"""Studies: one alone says nothing of how studies differ."""

_BLANK_TEXT = frozenset({"", "na", "n/a", "nan", "nat", "null", "<na>", "#n/a", "#na"})
_BLANK_NUMBER = _BLANK_TEXT | {
    "-", "--", "\u2013", "\u2014", ".", "..", "...", "\u2026", "?", "*", "none", "missing",
    "n.a.", "n.a", "n/r", "nr", "nd", "not reported", "not available", "not applicable", "unknown",
}  # fmt: skip
"""Spellings of a missing cell, in any case: of text, and beside numbers."""

_WHOLE = 1e15
"""Above it a float no longer tells whole numbers apart."""

_SHOWN = 5
"""Rows that a message names."""


_TIMES = (datetime.date, datetime.time, datetime.timedelta, np.datetime64, np.timedelta64)


# --- What was handed over -------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Given:
    """Cells by column, the number of every row, and what the columns say of themselves."""

    labels: Sequence[Hashable]
    cells: list[list[Any]]
    lines: list[int]
    source: str
    where: str
    categories: dict[int, list[str]] = field(default_factory=dict)
    has_decimal_commas: bool = False

    def find(self, roles: Sequence[tuple[str, Hashable]]) -> dict[Hashable, str]:
        """Name every column that has a role, and check that it has one only."""
        taken: dict[Hashable, str] = {}
        for role, name in roles:
            if name not in self.labels:
                raise DataError(
                    f"{self.what}: {role} names the column {name!r}, which is missing."
                    f"{suggest(name, self.labels)} Columns that there are: {listing(self.labels)}. "
                    "Correct the name, or add the column."
                )
            if self.labels.count(name) > 1:
                raise DataError(f"{self.what} has two columns '{name}'. Keep one of them.")
            if name in taken and {role, taken[name]} != {"cluster", "groups"}:
                raise DataError(
                    f"column '{name}' is named twice, as {taken[name]} and as {role}. Allowed: one "
                    "role for each column. Leave one of them out."
                )
            taken[name] = role
            if [str(other) for other in taken].count(str(name)) > 1:
                raise DataError(
                    f"two columns read '{name}': {listing(map(repr, taken))}. Allowed: names that "
                    "differ as text. Rename one."
                )
            if role in ("groups", "crossed") and "/" in str(name):
                raise DataError(
                    f"{role} names the column '{name}'. Allowed: names without a slash, since "
                    "saved draws are named after it. Rename the column."
                )
        return {name: str(name) for name in taken}

    @property
    def what(self) -> str:
        """The file, or the frame."""
        return self.where.rpartition(",")[0]


def open_table(given: Any) -> Given:
    """Take cells from a file, a frame of any library, a dict of columns, or a list of rows."""
    table: Any = given
    if isinstance(table, str | PathLike):
        return _read_file(Path(table).expanduser())
    table = _with_index(as_frame(table, what="the table", also="the path of a CSV file, "))
    columns = [table.iloc[:, k] for k in range(table.shape[1])]
    kinds = {
        k: [str(level) for level in column.cat.categories]
        for k, column in enumerate(columns)
        if isinstance(column.dtype, pd.CategoricalDtype)
    }
    return _from_memory(list(table.columns), [column.tolist() for column in columns], kinds)


def _with_index(table: pd.DataFrame) -> pd.DataFrame:
    """Make columns of an index that has names, as a table read by study has."""
    names = [name for name in table.index.names if name is not None and name not in table.columns]
    if not names or table.columns.nlevels > 1:
        return table
    return table.reset_index(level=names)


def _from_memory(
    labels: Sequence[Hashable], cells: list[list[Any]], categories: dict[int, list[str]]
) -> Given:
    lines = list(range(1, 1 + len(cells[0]))) if cells else []
    return Given(labels, cells, lines, "memory", "the frame, row", categories)


def _read_file(path: Path) -> Given:
    """Cells by column, and the line number of every row."""
    if not path.is_file():
        what = "is a folder" if path.is_dir() else "does not exist"
        raise DataError(
            f"{path} {what}. Name a CSV file with one row per study, or hand over a frame."
        )
    with path.open(encoding="utf-8-sig", errors="replace") as file:
        lines = [line for line in itertools.islice(file, 20) if line.strip()]
    # A line such as "sep=;" is a spreadsheet's word about the file, not a part of the table.
    told = re.fullmatch(r'"?sep=(.)"?', lines[0].rstrip("\r\n")) if lines else None
    mark = told[1] if told else max(",;\t|", key=lines[0].count) if lines else ","
    rows = parse_rows(path, delimiter=mark)[1 if told else 0 :]
    if not rows:
        raise DataError(f"{path} is empty. Its first line must name the columns.")
    (first, header), body = rows[0], rows[1:]
    if len(header) == 1:
        raise DataError(
            f"{path}, line {first}: '{shorten(header[0], most=60)}' would be the only column. "
            "Allowed: a first line that names the columns, with commas, semicolons, tabs or | "
            "between them. Remove lines above the names, or save the table as CSV."
        )
    check_columns_differ(header, where=f"{path}, line {first}")
    check_lengths(rows, file=str(path))
    columns = [[cells[k] for _, cells in body] for k in range(len(header))]
    has_commas = mark != "," and any(_COMMA.fullmatch(cell) for cells in columns for cell in cells)
    return Given(
        list(header), columns, [line for line, _ in body], str(path), f"{path}, line",
        has_decimal_commas=has_commas,
    )  # fmt: skip


_COMMA = re.compile(r"\s*[-+\u2212]?\d*,\d+([eE][-+]?\d+)?\s*")
"""A number with a comma for decimals."""


# --- Cells ----------------------------------------------------------------------------------------


class Cells:
    """Cells of the columns that have a role, as numbers and text, and where they stand."""

    def __init__(self, given: Given) -> None:
        self.given, self.lines = given, given.lines
        self.columns: dict[str, list[Any]] = {}
        self.kept: list[int] = list(range(len(given.lines)))

    def fail(self, row: int, column: str, said: str) -> DataError:
        """Word the refusal of a cell."""
        return DataError(f"{self.given.where} {self.lines[row]}, column '{column}': {said}")

    def read(self, role: str, label: Hashable, *, levels: Mapping[str, tuple[str, ...]]) -> None:
        """Read a column as its role asks; missing cells are None."""
        k, column = self.given.labels.index(label), str(label)
        raw = self.given.cells[k]
        if role in ("study", "groups", "crossed", "cluster"):
            # A study may be called NA, as a country may; an empty cell is missing anyway.
            blank = {""} if role == "study" else _BLANK_TEXT
            found = [write_cell(cell) for cell in raw]
            self.columns[column] = [None if x.lower() in blank else x for x in found]
        elif role == "moderators":
            is_text = column in levels or k in self.given.categories
            self.columns[column] = self.moderator(column, raw, is_text=is_text)
        else:
            self.columns[column] = self.numbers(column, raw)

    def number(self, text: str) -> float:
        """Read the number that a text is, NaN if none."""
        text = text.replace("\u2212", "-")  # the minus sign of word processors
        if self.given.has_decimal_commas and "." in text:
            return math.nan  # a point for thousands, or for decimals: nobody knows
        if self.given.has_decimal_commas and text.count(",") == 1:
            text = text.replace(",", ".")
        try:
            return math.nan if "_" in text else float(text)
        except ValueError:
            return math.nan

    @property
    def mark(self) -> str:
        """What stands before decimals."""
        return "a comma, as in other cells," if self.given.has_decimal_commas else "a point"

    def numbers(self, column: str, raw: Sequence[Any]) -> list[float | None]:
        """Read finite numbers."""
        found: list[float | None] = []
        for row, text in enumerate(map(write_cell, raw)):
            value = None if text.lower() in _BLANK_NUMBER else self.number(text)
            if value is not None and not math.isfinite(value):
                raise self.fail(
                    row, column, f"'{shorten(text)}' is not a finite number. Allowed: digits with "
                    f"{self.mark} for decimals, without units. Correct the cell, or remove the row."
                )  # fmt: skip
            found.append(value)
        return found

    def moderator(self, column: str, raw: Sequence[Any], *, is_text: bool) -> list[Any]:
        """Read numbers where every cell is one, or text where none is."""
        if any(isinstance(cell, _TIMES) for cell in raw):
            raise DataError(
                f"moderator '{column}' holds dates or times. Allowed: numbers or text. Turn it "
                "into a number, such as the year, or the number of days."
            )
        texts = [write_cell(cell) for cell in raw]
        texts = [None if text.lower() in _BLANK_TEXT else text for text in texts]
        numeric = [text is not None and math.isfinite(self.number(text)) for text in texts]
        if is_text or not any(numeric):
            return list(texts)
        for row, text in enumerate(texts):
            if text is not None and not numeric[row] and text.lower() not in _BLANK_NUMBER:
                raise self.fail(
                    row, column, f"'{shorten(text)}' is not a finite number, but other cells of "
                    "this moderator are. Allowed: numbers in every row, or text in every row. "
                    "Correct the cell, write the levels as words, or list them as levels."
                )  # fmt: skip
        return [
            self.number(text) if fine and text is not None else None
            for text, fine in zip(texts, numeric, strict=True)
        ]

    def settle(self, missing: str, *, study: str) -> tuple[str, ...]:
        """Refuse missing cells, or drop their rows; give the names of the studies dropped."""
        gaps = {
            name: [row for row, cell in enumerate(cells) if cell is None]
            for name, cells in self.columns.items()
        }
        gone = sorted({row for rows in gaps.values() for row in rows})
        if gone and missing == "refuse":
            raise self.missing({name: rows for name, rows in gaps.items() if rows}, gone)
        self.kept = [row for row in self.kept if row not in set(gone)]
        names = [self.columns[study][row] or f"row {self.lines[row]}" for row in gone]
        self.columns = {
            name: [cells[row] for row in self.kept] for name, cells in self.columns.items()
        }
        self.lines = [self.lines[row] for row in self.kept]
        if len(self.lines) < FEWEST:
            left = f" without the {len(gone)} that lack a value" if gone else ""
            held = count(len(self.lines), "study", "studies")
            raise DataError(
                f"{self.given.what} holds {held}{left}. Allowed: at least {FEWEST}, since one "
                "study says nothing of how studies differ. Add a row for every study."
            )
        return tuple(names)

    def missing(self, gaps: Mapping[str, list[int]], gone: Sequence[int]) -> DataError:
        """Name and count missing cells."""
        noun = self.given.where.rpartition(" ")[2]
        (column, rows), *rest = gaps.items()
        if not rest and len(rows) == 1:
            return self.fail(
                rows[0], column, "the cell is blank. Allowed: a value for every study. Fill the "
                "cell, or remove the row: missing='drop' does that."
            )  # fmt: skip
        parts = []
        for name, rows in gaps.items():
            shown = listing(self.lines[row] for row in rows[:_SHOWN])
            more = f" and {len(rows) - _SHOWN} more" if len(rows) > _SHOWN else ""
            parts.append(f"'{name}' in {noun} {shown}{more}")
        return DataError(
            f"{self.given.what}: {len(gone)} of {len(self.lines)} rows lack a value: "
            f"{'; '.join(parts)}. Allowed: a value for every study. Fill the cells, or remove the "
            "rows: missing='drop' does that, and says which."
        )

    def check_distinct(self, column: str) -> None:
        """Raise where a study stands twice."""
        first: dict[str, int] = {}
        for row, name in enumerate(self.columns[column]):
            if name in first:
                raise self.fail(
                    row, column, f"study '{name}' stood already in "
                    f"{self.given.where.rpartition(' ')[2]} {self.lines[first[name]]}. Allowed: "
                    "every study once. Give the rows names of their own, and the study as a group "
                    "if both are results of it."
                )  # fmt: skip
            first[name] = row

    def check_cells(
        self, column: str, is_fine: Callable[[float], bool], say: Callable[[float], str]
    ) -> None:
        """Raise at the first number that is not allowed."""
        for row, value in enumerate(self.columns[column]):
            if not is_fine(value):
                raise self.fail(row, column, say(value))

    def order_levels(self, chosen: Mapping[str, tuple[str, ...]]) -> dict[str, tuple[str, ...]]:
        """List the levels of text moderators whose order was given, the reference first."""
        by_column = {
            str(self.given.labels[k]): levels for k, levels in self.given.categories.items()
        }
        found = {}
        for name in {**by_column, **chosen}:
            if name not in self.columns or isinstance(self.columns[name][0], float):
                continue
            there = sorted(set(self.columns[name]))
            order = [level for level in by_column.get(name, there) if level in there]
            asked = chosen.get(name, ())
            for level in asked:
                if level not in there:
                    raise unknown(DataError, f"level of '{name}'", level, there)
            if len(asked) > 1 and set(asked) != set(there):
                lacking = listing(level for level in there if level not in asked)
                raise DataError(
                    f"levels of '{name}' leave out {lacking}. Allowed: all levels in order, or the "
                    "reference alone. Add what is missing."
                )
            found[name] = tuple(dict.fromkeys([*asked, *order]))
        return found


def write_cell(cell: object) -> str:
    """Write a cell as text, blank where it is not known; numbers read back as they were."""
    if cell is None or cell is pd.NA or cell is pd.NaT:
        return ""
    if isinstance(cell, float | np.floating):
        value = float(cell)
        if math.isnan(value):
            return ""
        # Whole numbers become floats where a frame lacks a cell: label 2 stays 2.
        return str(int(value)) if value.is_integer() and abs(value) < _WHOLE else repr(value)
    return str(cell).strip()
