"""CSV files in and out: read with line numbers that a text editor shows, write atomically.

Tables read here carry the line number of every row as their index (named `line`), so that every
later check can point at the cell to mend.
"""

from __future__ import annotations

import csv
import hashlib
import io
import logging
import math
import os
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pandas as pd

from bayesmeta.data.cells import Cell, read_cell
from bayesmeta.data.decisions import Decision
from bayesmeta.data.schema import Column, column_names, list_columns
from bayesmeta.errors import MOST_SHOWN, DataError, listing, refuse, shorten, suggest
from bayesmeta.tables.frames import as_frame

logger = logging.getLogger(__name__)

_PLACE = re.compile(r"^(?:memory/)?(\w+)(?:\.csv)?, line (\d+), column", re.MULTILINE)
_INDEX_NAMES = ("", "index", "unnamed: 0", "level_0")
"""Headers that pandas gives an index that nobody named, in small letters."""


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
    text = f"{file}, line {line}, column '{column}': {said} {mend}"
    return DataError(text, place=(file, line, column))


def echo(notes: Sequence[str]) -> None:
    """Say how cells were read where that is not plain, some of them where they are many."""
    for note in notes[:MOST_SHOWN]:
        logger.warning("%s", note)
    if len(notes) > MOST_SHOWN:
        logger.warning("%s more cells were read like this", f"{len(notes) - MOST_SHOWN:,}")


def name_arm(row: Mapping[str, str] | pd.Series) -> str:
    """Name an arm, its study and its group."""
    arm, study, group = (shorten(row[name]) for name in ("arm", "study", "group"))
    return f"arm '{arm}' (study '{study}', group '{group}')"


def read_table(path: Path, *, table: str, own: Sequence[Decision] = ()) -> pd.DataFrame:
    r"""Read one CSV table and turn its cells into text and numbers.

    Columns that the file leaves out are added as unknown; blank cells are unknown.

    Parameters
    ----------
    path
        The file.
    table
        Which table it is: lms, scores, benchmarks, corrections or generation.
    own
        Declared decisions, which have columns as well.

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
    frame, problems = scan_table(path, table=table, own=own)
    refuse(problems)
    return frame


def scan_table(
    path: Path, *, table: str, own: Sequence[Decision] = ()
) -> tuple[pd.DataFrame, list[DataError]]:
    """Read one CSV table as `read_table` does, and report its cells that cannot be read.

    Returns
    -------
    tuple of pandas.DataFrame and list of DataError
        The table, blank where a cell cannot be read; and what is wrong with those.

    Raises
    ------
    DataError
        If there are no rows and columns of this table to be read.
    """
    return _build_frame(parse_rows(path), file=str(path), table=table, own=own, asked=True)


def parse_text(text: str, *, table: str, own: Sequence[Decision] = ()) -> pd.DataFrame:
    r"""Turn the text of a table that was checked before, such as one in a saved fit, into a frame.

    Examples
    --------
    >>> parse_text("lm,benchmark,score\na,arc,0.5\n", table="scores").loc[0, "score"]
    np.float64(0.5)
    """
    rows = [(line, cells) for line, cells in enumerate(csv.reader(io.StringIO(text)), start=1)]
    frame, problems = _build_frame(rows, file=table, table=table, own=own)
    refuse(problems)
    return frame.reset_index(drop=True)


def parse_frame(
    frame: pd.DataFrame, *, table: str, file: str | None = None, own: Sequence[Decision] = ()
) -> pd.DataFrame:
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
    found, problems = _build_frame([(1, header), *rows] if header else [], file=file or table,
                                   table=table, own=own, asked=True)  # fmt: skip
    refuse(problems)
    return found


def read_frame(
    given: Any, *, what: str, table: str, own: Sequence[Decision] = (), also: str = ""
) -> pd.DataFrame:
    """Turn a table of any library into one with all its columns, as `parse_frame` does.

    An index that has the name of a column of the table is one.

    Parameters
    ----------
    given
        The table, see `as_frame`.
    what, also
        What it is called in messages, and what else is allowed.
    table
        Which table it is.
    own
        Declared decisions, which have columns as well.

    Examples
    --------
    >>> given = {"lm": ["a"], "benchmark": "arc", "score": 0.5}
    >>> read_frame(given, what="scores", table="scores").loc[2, "score"]
    np.float64(0.5)
    """
    known = list_columns(table, own)
    mend = f"Hand over the columns {listing(c.name for c in known if c.required)}."
    frame = as_frame(given, what=what, also=also, mend=mend)
    names = {column.name for column in known}
    inside = [name for name in frame.index.names if name in names and name not in frame]
    return parse_frame(frame.reset_index(level=inside), table=table, file=what, own=own)


@contextmanager
def rows_of_frames() -> Iterator[None]:
    """Name rows of frames, counted from 1, where a refusal would name lines of files.

    Examples
    --------
    >>> with rows_of_frames():
    ...     raise DataError("memory/lms.csv, line 2, column 'lm': it is blank. Fill it.")
    Traceback (most recent call last):
    bayesmeta.errors.DataError: lms, row 1, column 'lm': it is blank. Fill it.
    """

    def reword(text: str) -> str:
        text = _PLACE.sub(lambda found: f"{found[1]}, row {int(found[2]) - 1}, column", text)
        return text.replace("memory has no benchmarks.csv", "no table of benchmarks is given")

    try:
        yield
    except DataError as error:
        problems = tuple(map(reword, error.problems))
        raise DataError(reword(str(error)), place=error.place, problems=problems) from None


def _build_frame(
    rows: list[tuple[int, list[str]]],
    *,
    file: str,
    table: str,
    own: Sequence[Decision] = (),
    asked: bool = False,
) -> tuple[pd.DataFrame, list[DataError]]:
    """Turn cells into text and numbers, and report those that cannot be read.

    The first row is the header. Where a user wrote the table, who can be `asked`, doubtful cells
    are asked about, and others named with what they were read as.
    """
    if not rows:
        raise DataError(
            f"{file} is empty. Its first line must name the columns: "
            f"{listing(column_names(table, own))}."
        )
    rows, known = _drop_index(rows), list_columns(table, own)
    header, body = _fold_header(rows[0][1], known), rows[1:]
    refuse(_check_header(header, file=file, known=known))
    if not body:
        raise DataError(f"{file} has a header but no rows. Add at least one row below line 1.")
    refuse(_check_lengths(rows, file=file))
    index = pd.Index([line for line, _ in body], name="line")
    given = {name: [cells[i] for _, cells in body] for i, name in enumerate(header)}
    blank = [""] * len(body)
    columns: dict[str, pd.Series] = {}
    problems: list[DataError] = []
    notes: list[str] = []
    for column in known:
        cells = [read_cell(cell, column) for cell in given.get(column.name, blank)]
        columns[column.name] = _build_column(cells, column)
        for position, cell in enumerate(cells):
            if not (cell.said or cell.note):
                continue
            row = dict(zip(header, body[position][1], strict=True))
            if cell.note:
                owner = name_arm(row) if "arm" in row else shorten(row.get("lm", file))
                notes.append(f"{column.name} of {owner}: {cell.note}")
                continue
            problems.append(
                build_cell_error(
                    file, line=body[position][0], column=column.name,
                    said=f"{name_arm(row)}: {cell.said}" if "arm" in row else cell.said,
                    mend=f"{column.expects} {cell.mend}",
                )
            )  # fmt: skip
    frame = pd.DataFrame(columns).set_index(index)
    if asked:
        echo(notes)
        problems += _ask_for_percent(frame, given, file=file, table=table, known=known)
    return frame, problems


def _build_column(cells: Sequence[Cell], column: Column) -> pd.Series:
    values = [cell.value for cell in cells]
    if column.kind != "number":
        return pd.Series(values, dtype="str")
    whole = column.whole and column.required and None not in values
    return pd.Series([math.nan if value is None else value for value in values],
                     dtype="int64" if whole else "float64")  # fmt: skip


def _ask_for_percent(
    frame: pd.DataFrame,
    given: Mapping[str, Sequence[str]],
    *,
    file: str,
    table: str,
    known: Sequence[Column],
) -> Iterable[DataError]:
    """Ask whether shares are fractions, where none that an LM has is above 1."""
    meaning = {c.name: c.meaning for c in known if c.percent and c.name in given}
    names = list(meaning)
    if "lms" not in table or not (frame[names].max().max() <= 1):
        return
    for position, line in enumerate(frame.index):
        for name in names:
            text, value = given[name][position], frame[name].iloc[position]
            if value > 0 and "%" not in text:
                yield build_cell_error(
                    file, line=line, column=name,
                    said=f"{text} percent, or the fraction {text}, which is {100 * value:g} "
                    "percent? No share of the table is above 1.",
                    mend=f"Allowed: {meaning[name].replace('%', 'percent')}, such as 5 for a "
                    f"twentieth. Multiply the shares by 100, or write '{text}%' if percent is "
                    "meant.",
                )  # fmt: skip
                return


def mark_percent(frame: pd.DataFrame, *, own: Sequence[Decision] = ()) -> pd.DataFrame:
    """Write shares of LMs with their sign where one would be asked whether they are fractions.

    Examples
    --------
    >>> mark_percent(pd.DataFrame({"lm": ["a"], "code_share": [0.5]}))["code_share"].tolist()
    ['0.5%']
    """
    names = [c.name for c in list_columns("lms", own) if c.percent and c.name in frame]
    if not (frame[names].max().max() <= 1):
        return frame
    marked = {name: [f"{text}%" if (text := _cell_text(value)) else text for value in frame[name]]
              for name in names}  # fmt: skip
    return frame.assign(**marked)


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
    refuse(_twice(header, name, where=where) for name in header if header.count(name) > 1)


def _twice(header: Sequence[str], name: str, *, where: str) -> DataError:
    return DataError(
        f"{where}: column '{name}' appears {header.count(name)} times. Keep one of them."
    )


def check_lengths(rows: Sequence[tuple[int, Sequence[str]]], *, file: str) -> None:
    """Raise if rows are longer or shorter than the first, which is the header."""
    refuse(_check_lengths(rows, file=file))


def _check_lengths(
    rows: Sequence[tuple[int, Sequence[str]]], *, file: str
) -> Iterable[DataError]:  # fmt: skip
    for line, cells in rows[1:]:
        if len(cells) != len(rows[0][1]):
            yield DataError(
                f"{file}, line {line}: the row has {len(cells)} cells, but the header names "
                f"{len(rows[0][1])} columns. Add or remove commas, and put text that contains a "
                "comma in double quotes."
            )


def _drop_index(rows: list[tuple[int, list[str]]]) -> list[tuple[int, list[str]]]:
    """Leave out columns without a name that count the rows: an index that pandas wrote."""
    header, body = rows[0][1], rows[1:]
    counts = [[str(k) for k in range(first, first + len(body))] for first in (0, 1)]
    drop = {
        i for i, name in enumerate(header)
        if name.lower() in _INDEX_NAMES and all(len(cells) == len(header) for _, cells in body)
        and [cells[i] for _, cells in body] in counts
    }  # fmt: skip
    if not drop:
        return rows
    return [(line, [cell for i, cell in enumerate(cells) if i not in drop]) for line, cells in rows]


def _fold_header(header: Sequence[str], known: Sequence[Column]) -> list[str]:
    """Write names of columns in the case that they have here."""
    names = {column.name for column in known}
    return [name.lower() if name.lower() in names else name for name in header]


def _check_header(
    header: Sequence[str], *, file: str, known: Sequence[Column]
) -> Iterable[DataError]:
    """Report columns of the header that are there twice, unknown or missing."""
    allowed = [column.name for column in known]
    if len(header) == 1 and any(mark in header[0] for mark in ";\t"):
        yield DataError(
            f"{file}, line 1: the columns are separated by semicolons or tabs. Allowed: commas. "
            "Save the sheet again as comma-separated values."
        )
        return
    for position, name in enumerate(header):
        if not name:
            yield DataError(
                f"{file}, line 1: column {position + 1} has no name. Allowed: "
                f"{listing(allowed)}. Name or remove the column; pandas writes none with "
                "index=False."
            )
    meant, of_design = "", "attention" in allowed
    for name in dict.fromkeys(name for name in header if name):
        declare = f", or declare it in decisions.toml ([{shorten(name)}], kind = ...)" * of_design
        if header.count(name) > 1:
            yield _twice(header, name, where=f"{file}, line 1")
        if name not in allowed:
            hint = suggest(name, [option for option in allowed if option not in header])
            meant += hint
            yield DataError(
                f"{file}, line 1: column '{shorten(name)}' is not known.{hint} "
                f"Allowed: {listing(allowed)}. Rename or remove the column{declare}."
            )
    needed = [option.name for option in known if option.required]
    for column in known:
        if column.required and column.name not in header and f"'{column.name}'" not in meant:
            yield DataError(
                f"{file}, line 1: column '{column.name}' is missing. Needed: {listing(needed)}. "
                f"Add a column '{column.name}' ({column.meaning})."
            )


def hash_tables(texts: Mapping[str, str]) -> str:
    """Compute the SHA-256 of tables written as text, the same on every platform."""
    return hashlib.sha256("".join(texts.values()).encode()).hexdigest()


def format_table(frame: pd.DataFrame, *, table: str, own: Sequence[Decision] = ()) -> str:
    r"""Write a table as CSV text in one canonical form.

    Numbers use the shortest text that reads back to the same value, so the text is the same on
    every platform and serves as the content that a checksum is taken of.

    Parameters
    ----------
    frame
        The table; its index is left out.
    table
        Which table it is.
    own
        Declared decisions, which have columns as well.

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
        for column in list_columns(table, own)
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
