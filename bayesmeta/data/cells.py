"""One cell of a table: its text to a value, to a problem, or to a value that is worth a word."""

from __future__ import annotations

import math
import re
from datetime import date
from decimal import Decimal
from typing import NamedTuple

from bayesmeta.data.schema import Column
from bayesmeta.errors import shorten

NOT_KNOWN = frozenset({"", "na", "n/a", "#n/a", "nan", "nat", "null", "<na>"})
"""Cell texts that mean: not known. Case does not count."""

_NAMED = frozenset({"", "nan", "nat", "<na>"})
"""The same where the cell is a label, which may well be NA."""

_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", re.ASCII)
_COUNT = re.compile(r"(\d+\.?\d*|\.\d+) ?([kmbt])", re.ASCII | re.IGNORECASE)
_DATE = re.compile(r"(\d{4}-\d{2})-\d{2}([T ][\d:.]+(Z|[+-]\d{2}:?\d{2})?)?", re.ASCII)
_ENDINGS = {"k": 10**3, "m": 10**6, "b": 10**9, "t": 10**12}

_DUST = 1e-12
"""Largest relative distance from a whole number, or from the end of a range, that comes from
computing with doubles."""


class Cell(NamedTuple):
    """What a cell says: its value, None where it is blank or cannot be read.

    `note` says how it was read where that is not plain; `said` and `mend` what is wrong with it.
    """

    value: str | float | None
    note: str = ""
    said: str = ""
    mend: str = ""


def read_cell(text: str, column: Column) -> Cell:
    """Read the text of a cell by the rule of its column.

    Parameters
    ----------
    text
        Without blanks around it.
    column
        What the column holds. That a number lies in its range is for `check_rows` to say.

    Returns
    -------
    Cell
        Words in the case that the column has, dates as months, counts as whole numbers.

    Examples
    --------
    >>> from bayesmeta.data.schema import get_column
    >>> read_cell("1.5T", get_column("lms", name="n_tokens"))[:2]
    (1500000000000, "read '1.5T' as 1,500,000,000,000")
    >>> read_cell("RMSNorm", get_column("lms", name="norm")).value
    'rmsnorm'
    >>> read_cell("2023-07-18", get_column("lms", name="released")).value
    '2023-07'
    """
    if text.lower() in (_NAMED if column.name == "label" else NOT_KNOWN):
        if not column.filled:
            return Cell(None)
        said = f"'{shorten(text)}' means a blank cell." if text else "the cell is blank."
        return Cell(None, said=said, mend="Fill the cell or remove the row.")
    if column.kind == "number":
        return _read_number(text, column)
    if column.kind == "category" and text not in column.allowed:
        folded = {word.lower(): word for word in column.allowed}
        return Cell(folded.get(text.lower(), text))
    if column.kind == "month" and _DATE.fullmatch(text) and _is_date(text[:10]):
        return Cell(text[:7])
    return Cell(text)


def _is_date(text: str) -> bool:
    try:
        date.fromisoformat(text)
    except ValueError:
        return False
    return True


def _read_number(text: str, column: Column) -> Cell:
    """Read one number, exactly where it is a whole one."""
    if column.percent and text.endswith("%"):
        text = text[:-1].rstrip()
    short = _COUNT.fullmatch(text) if column.abbreviated else None
    if short:
        count = Decimal(short[1]) * _ENDINGS[short[2].lower()]
        if count == int(count):
            return Cell(int(count), note=f"read '{shorten(text)}' as {int(count):,}")
    value = float(text) if _NUMBER.fullmatch(text) else math.inf
    if not math.isfinite(value):
        return Cell(None, said=f"'{shorten(text)}' is not a number.",
                    mend="Write digits with a point for decimals, without units, percent signs or "
                    "thousands separators.")  # fmt: skip
    if column.abbreviated and 0 < value < column.low:
        what = column.meaning.partition(";")[0]
        return Cell(None, said=f"'{shorten(text)}' is too small for {what}: billions?",
                    mend=f"If so, write {value:g}B.")  # fmt: skip
    if column.whole:
        return _read_count(text, value, column)
    for end in (column.low, column.high):
        if value != end and math.isclose(value, end, rel_tol=_DUST):
            return Cell(end)
    return Cell(value)


def _read_count(text: str, value: float, column: Column) -> Cell:
    """Read a whole number: digits as they stand, floating point but for its last digits."""
    if value > column.high:  # would not fit the column's integers
        return Cell(None, said=f"{value:g} is outside the range.", mend="Correct the cell.")
    if text.isdecimal():
        return Cell(int(text))
    if not math.isclose(value, round(value), rel_tol=_DUST):
        return Cell(None, said=f"'{shorten(text)}' is not a whole number.", mend="Round it.")
    return Cell(round(value))
