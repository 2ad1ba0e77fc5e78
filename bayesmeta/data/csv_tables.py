"""CSV files in and out: read with line numbers that a text editor shows, write atomically.

Tables read here carry the line number of every row as their index (named `line`), so that every
later check can point at the cell to mend.
"""

from __future__ import annotations

import csv
import hashlib
import io
import math
import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import pandas as pd

from bayesmeta.data.schema import COLUMNS, Column, column_names
from bayesmeta.errors import DataError, listing, shorten, suggest

BLANK = frozenset({"", "NA", "NaN", "nan"})
"""Cell texts that mean: not known."""


def build_cell_error(file: str, *, line: int, column: str, said: str, mend: str) -> DataError:
    """Word an error about one cell: where it is, what is wrong, how to mend it.

    Parameters
    ----------
    file
        The name of the file, with its folder.
    line
        The 1-based line number, the header being line 1.
    column
        The header of the column.
    said
        What is wrong, with the value shown.
    mend
        What is allowed and what to do.

    Returns
    -------
    DataError
        The error, to be raised by the caller.

    Examples
    --------
    >>> str(build_cell_error("lms.csv", line=2, column="lm", said="it is blank.", mend="Fill it."))
    "lms.csv, line 2, column 'lm': it is blank. Fill it."
    """
    return DataError(f"{file}, line {line}, column '{column}': {said} {mend}")


def name_arm(row: Mapping[str, str] | pd.Series) -> str:
    """Name an arm, its study and its group."""
    arm, study, group = (shorten(row[name]) for name in ("arm", "study", "group"))
    return f"arm '{arm}' (study '{study}', group '{group}')"


def read_table(path: Path, *, table: str) -> pd.DataFrame:
    r"""Read one CSV table and turn its cells into text and numbers.

    Columns that the file leaves out are added as unknown; blank cells are unknown.

    Parameters
    ----------
    path
        The file.
    table
        Which table it is: lms, scores, benchmarks, corrections or generation.

    Returns
    -------
    pandas.DataFrame
        All columns of the table in schema order, indexed by line number.

    Raises
    ------
    DataError
        If the file is missing, empty or no CSV text, or if a header or a cell is not allowed.

    Examples
    --------
    >>> folder = getfixture("tmp_path")
    >>> _ = (folder / "scores.csv").write_text("lm,benchmark,score\na,arc,0.5\n")
    >>> read_table(folder / "scores.csv", table="scores").loc[2, "score"]
    np.float64(0.5)
    """
    return _build_frame(parse_rows(path), file=str(path), table=table)


def parse_text(text: str, *, table: str) -> pd.DataFrame:
    r"""Turn the text of a table that was checked before, such as one in a saved fit, into a frame.

    Examples
    --------
    >>> parse_text("lm,benchmark,score\na,arc,0.5\n", table="scores").loc[0, "score"]
    np.float64(0.5)
    """
    rows = [(line, cells) for line, cells in enumerate(csv.reader(io.StringIO(text)), start=1)]
    return _build_frame(rows, file=table, table=table).reset_index(drop=True)


def parse_frame(frame: pd.DataFrame, *, table: str, file: str | None = None) -> pd.DataFrame:
    """Turn a frame with some columns of a table into one with all, checked as a file would be.

    Cells are text or numbers; the rows are indexed by the line of a file on which they would stand.
    Messages call it `file`, or else as the table.

    Examples
    --------
    >>> frame = pd.DataFrame({"lm": ["a"], "benchmark": ["arc"], "score": [0.5]})
    >>> parse_frame(frame, table="scores").loc[2, "score"]
    np.float64(0.5)
    """
    header = [str(name) for name in frame.columns]
    cells = zip(*([_cell_text(v).strip() for v in frame.iloc[:, k]] for k in range(len(header))),
                strict=True)  # fmt: skip
    rows = [(line, list(row)) for line, row in enumerate(cells, start=2)]
    return _build_frame([(1, header), *rows] if header else [], file=file or table, table=table)


def _build_frame(rows: list[tuple[int, list[str]]], *, file: str, table: str) -> pd.DataFrame:
    """Check the header and turn cells into text and numbers; the first row is the header."""
    if not rows:
        raise DataError(
            f"{file} is empty. Its first line must name the columns: "
            f"{listing(column_names(table))}."
        )
    header, body = rows[0][1], rows[1:]
    _check_header(header, file=file, table=table)
    if not body:
        raise DataError(f"{file} has a header but no rows. Add at least one row below line 1.")
    check_lengths(rows, file=file)
    index = pd.Index([line for line, _ in body], name="line")
    given = {name: [cells[i] for _, cells in body] for i, name in enumerate(header)}
    blank = [""] * len(body)
    columns = {}
    for column in COLUMNS[table]:
        cells = given.get(column.name, blank)
        try:
            columns[column.name] = _coerce(cells, column)
        except _BadCell as bad:
            row = dict(zip(header, body[bad.position][1], strict=True))
            raise build_cell_error(
                file, line=body[bad.position][0], column=column.name,
                said=f"{name_arm(row)}: {bad.said}" if "arm" in row else bad.said,
                mend=f"{column.expects} {bad.mend}",
            ) from None  # fmt: skip
    return pd.DataFrame(columns).set_index(index)


def parse_rows(path: Path, *, delimiter: str = ",") -> list[tuple[int, list[str]]]:
    """Split a file into (line number, cells), leaving blank lines out."""
    if not os.path.isfile(path):  # unlike a path's own, it bears names that are too long
        state = "is a folder" if os.path.isdir(path) else "does not exist"
        raise DataError(
            f"{path} {state}. A dataset folder holds lms.csv, scores.csv and, where the "
            "benchmarks are your own, benchmarks.csv; add the file or correct the path."
        )
    rows, start = [], 1
    try:
        text = path.read_bytes().decode("utf-8-sig")
        reader = csv.reader(io.StringIO(text, newline=""), strict=True, delimiter=delimiter)
        for cells in reader:
            if any(cell.strip() for cell in cells):
                rows.append((start, [cell.strip() for cell in cells]))
            start = reader.line_num + 1
    except UnicodeDecodeError as error:
        line = error.object.count(b"\n", 0, error.start) + 1
        raise _no_csv(path, f"line {line}: {error}") from error
    except csv.Error as error:
        raise _no_csv(path, f"the row from line {start} on: {error}") from error
    except OSError as error:
        raise DataError(
            f"{path} cannot be read ({error.strerror}). Give yourself the right to read it."
        ) from error
    if "\0" in text:
        raise _no_csv(path, "it contains NUL bytes")
    return rows


def _no_csv(path: Path, why: str) -> DataError:
    return DataError(
        f"{path} is not CSV text ({why}). Allowed: comma-separated values in UTF-8. Save the "
        "sheet as 'CSV UTF-8' from the program that holds it."
    )


def check_columns_differ(header: Sequence[str], *, where: str) -> None:
    """Raise if a column is twice in the header."""
    for name in header:
        if header.count(name) > 1:
            raise DataError(
                f"{where}: column '{name}' appears {header.count(name)} times. Keep one of them."
            )


def check_lengths(rows: Sequence[tuple[int, Sequence[str]]], *, file: str) -> None:
    """Raise if a row is longer or shorter than the first, which is the header."""
    for line, cells in rows[1:]:
        if len(cells) != len(rows[0][1]):
            raise DataError(
                f"{file}, line {line}: the row has {len(cells)} cells, but the header names "
                f"{len(rows[0][1])} columns. Add or remove commas, and put text that contains a "
                "comma in double quotes."
            )


def _check_header(header: Sequence[str], *, file: str, table: str) -> None:
    """Raise if a column of the header is there twice, unknown or missing."""
    allowed = column_names(table)
    if "" in header:
        raise DataError(
            f"{file}, line 1: column {header.index('') + 1} has no name. Allowed: "
            f"{listing(allowed)}. Name or remove the column; pandas writes none with index=False."
        )
    if len(header) == 1 and any(mark in header[0] for mark in ";\t"):
        raise DataError(
            f"{file}, line 1: the columns are separated by semicolons or tabs. Allowed: commas. "
            "Save the sheet again as comma-separated values."
        )
    check_columns_differ(header, where=f"{file}, line 1")
    for name in header:
        if name not in allowed:
            missing = [option for option in allowed if option not in header]
            raise DataError(
                f"{file}, line 1: column '{shorten(name)}' is not known.{suggest(name, missing)} "
                f"Allowed: {listing(allowed)}. Rename or remove the column."
            )
    for column in COLUMNS[table]:
        if column.required and column.name not in header:
            needed = [option.name for option in COLUMNS[table] if option.required]
            raise DataError(
                f"{file}, line 1: column '{column.name}' is missing. Needed: {listing(needed)}. "
                f"Add a column '{column.name}' ({column.meaning})."
            )


class _BadCell(Exception):
    """A cell that cannot be read: its position, what is wrong with it, how to mend it."""

    def __init__(self, position: int, *, said: str, mend: str) -> None:
        super().__init__(said)
        self.position, self.said, self.mend = position, said, mend


def _coerce(cells: Sequence[str], column: Column) -> pd.Series:
    """Turn the texts of one column into its type, or raise at the first bad cell."""
    for position, cell in enumerate(cells if column.filled else ()):
        if cell in BLANK:
            said = f"'{cell}' means a blank cell." if cell else "the cell is blank."
            raise _BadCell(position, said=said, mend="Fill the cell or remove the row.")
    if column.kind != "number":
        return pd.Series([None if cell in BLANK else cell for cell in cells], dtype="str")
    numbers = [_number(cell, column, position) for position, cell in enumerate(cells)]
    return pd.Series(numbers, dtype="int64" if column.whole and column.filled else "float64")


def _number(cell: str, column: Column, position: int) -> float:
    """Read one number, exactly where it is a whole one."""
    if cell in BLANK:
        return math.nan
    try:
        value = int(cell) if column.whole and cell.isdecimal() else float(cell)
    except ValueError:
        value = math.inf
    if not math.isfinite(value):
        said, mend = f"'{shorten(cell)}' is not a number.", (
            "Write digits with a point for decimals, without units, percent signs or thousands "
            "separators."
        )  # fmt: skip
    elif column.whole and value != int(value):
        said = f"'{shorten(cell)}' is not a whole number."
        mend = "Round it." if value >= column.low else "Write the count itself."
    elif column.whole and value > column.high:  # would not fit the column's integers
        said, mend = f"{value:g} is outside the range.", "Correct the cell."
    else:
        return value
    raise _BadCell(position, said=said, mend=mend)


def hash_tables(texts: Mapping[str, str]) -> str:
    """Compute the SHA-256 of tables written as text, the same on every platform."""
    return hashlib.sha256("".join(texts.values()).encode()).hexdigest()


def format_table(frame: pd.DataFrame, *, table: str) -> str:
    r"""Write a table as CSV text in one canonical form.

    Numbers use the shortest text that reads back to the same value, so the text is the same on
    every platform and serves as the content that a checksum is taken of.

    Parameters
    ----------
    frame
        The table; its index is left out.
    table
        Which table it is.

    Returns
    -------
    str
        The text, with lines that end in a line feed.

    Examples
    --------
    >>> frame = pd.DataFrame({"lm": ["a"], "benchmark": ["arc"], "score": [0.5]})
    >>> format_table(frame, table="scores")
    'lm,benchmark,score\na,arc,0.5\n'
    """
    columns = [
        column.name
        for column in COLUMNS[table]
        if column.name in frame and not (column.left_out and frame[column.name].isna().all())
    ]
    return write_rows(columns, [[_cell_text(value) for value in frame[name]] for name in columns])


def write_rows(header: Iterable[object], columns: Iterable[Iterable[str]]) -> str:
    """Write columns of cells below a header as CSV text, with lines that end in a line feed."""
    out = io.StringIO(newline="")
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(header)
    writer.writerows(zip(*columns, strict=True))
    return out.getvalue()


def _cell_text(value: object) -> str:
    if value is None or value is pd.NA or (isinstance(value, float) and math.isnan(value)):
        return ""
    if isinstance(value, float):
        return str(int(value)) if value == int(value) else repr(float(value))
    return str(value)
