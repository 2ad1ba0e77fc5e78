"""The overlay of corrections that turns the tables as published into the corrected ones."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from functools import partial

import pandas as pd

from bayesmeta.data.cells import read_cell
from bayesmeta.data.csv_tables import build_cell_error
from bayesmeta.data.decisions import Decision
from bayesmeta.data.schema import Column, get_column
from bayesmeta.errors import DataError, listing, suggest

SCORE_PREFIX = "score:"
KEPT = ("lm", "lm_family", "developer")
"""Columns that name an LM and are never corrected by the overlay."""


def apply_corrections(
    lms: pd.DataFrame,
    scores: pd.DataFrame,
    corrections: pd.DataFrame,
    *,
    where: str = "corrections.csv",
    own: Sequence[Decision] = (),
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Replace every listed cell by its corrected value.

    Parameters
    ----------
    lms, scores
        The tables as published.
    corrections
        Rows of lm, field, published_value, corrected_value. The field is a column of lms.csv or
        `score:<benchmark>`; a blank corrected value drops the fact or the score.
    where
        The name of the corrections file, for error messages.
    own
        Declared decisions.

    Returns
    -------
    lms, scores : pandas.DataFrame
        Corrected copies with the rows, columns and index of the originals.

    Raises
    ------
    DataError
        If a row names an unknown lm, field or score, or if its published value is not what the
        table holds, which means that the overlay belongs to another version of the tables.

    Examples
    --------
    >>> lms = pd.DataFrame({"lm": ["a"], "norm": ["rmsnorm"]})
    >>> scores = pd.DataFrame({"lm": ["a"], "benchmark": ["arc"], "score": [0.5]})
    >>> rows = pd.DataFrame({"lm": ["a"], "field": ["score:arc"],
    ...                      "published_value": ["0.5"], "corrected_value": ["0.6"]})
    >>> apply_corrections(lms, scores, rows)[1]["score"].tolist()
    [0.6]
    """
    changed_lms = {name: lms[name].tolist() for name in lms.columns if name not in KEPT}
    changed_scores = scores["score"].tolist()
    lm_rows = {lm: position for position, lm in enumerate(lms["lm"])}
    pairs = zip(scores["lm"], scores["benchmark"], strict=True)
    score_rows = {pair: position for position, pair in enumerate(pairs)}
    for line, row in _rows_with_lines(corrections):
        fail = partial(build_cell_error, where, line=line)
        lm, field = str(row["lm"]), str(row["field"])
        if lm not in lm_rows:
            raise fail(
                column="lm", said=f"'{lm}' is not in lms.csv.{suggest(lm, lm_rows)}",
                mend="Allowed: an lm of lms.csv. Correct the name, or remove the row.",
            )  # fmt: skip
        if field.startswith(SCORE_PREFIX):
            column, cells = get_column("scores", name="score"), changed_scores
            position = _find_score(lm, field.removeprefix(SCORE_PREFIX), score_rows, fail=fail)
        elif field in changed_lms:
            column = get_column("lms", name=field, own=own)
            cells, position = changed_lms[field], lm_rows[lm]
        else:
            raise fail(
                column="field",
                said=f"'{field}' is not a field that can be corrected."
                f"{suggest(field, changed_lms)}",
                mend=f"Allowed: {listing(changed_lms)}, or score:<benchmark>. Correct the name.",
            )
        cells[position] = _replace(cells[position], row, column, fail=fail)
    lms, scores = lms.copy(), scores.copy()
    for name, cells in changed_lms.items():
        blanked = lms[name].dtype.kind == "i" and None in cells
        lms[name] = pd.Series(cells, lms.index, dtype=float if blanked else lms[name].dtype)
    scores["score"] = pd.Series(changed_scores, index=scores.index, dtype="float64")
    return lms, scores


def _rows_with_lines(frame: pd.DataFrame) -> list[tuple[int, dict[Hashable, object]]]:
    """Pair every row with the line on which an editor shows it."""
    lines = frame.index if frame.index.name == "line" else range(2, len(frame) + 2)
    return list(zip(lines, frame.to_dict("records"), strict=True))


def _find_score(
    lm: str, benchmark: str, known: dict[tuple[str, str], int], *, fail: Callable[..., DataError]
) -> int:
    """Give the row of a score, which the table holds."""
    if (lm, benchmark) in known:
        return known[lm, benchmark]
    names = sorted({name for _, name in known})
    raise fail(
        column="field",
        said=f"scores.csv has no row for lm '{lm}' and benchmark '{benchmark}'."
        f"{suggest(benchmark, names)}",
        mend=f"Allowed: {listing(names)}. Correct the name, or add the row to scores.csv with a "
        "blank score.",
    )


def _replace(
    cell: object, row: dict[Hashable, object], column: Column, *, fail: Callable[..., DataError]
) -> object:
    """Check that the published value is the cell's, and return the corrected one."""
    names = ("published_value", "corrected_value")
    published, corrected = (_value(row[name], column, partial(fail, column=name)) for name in names)
    if not (_is_blank(cell) and published is None) and cell != published:
        shown = "a blank cell" if _is_blank(cell) else f"'{cell}'"
        raise fail(
            column="published_value",
            said=f"it says '{row['published_value']}' for '{column.name}' of '{row['lm']}', but "
            f"the table holds {shown}.",
            mend="The corrections belong to another version of the tables. Allowed: the value "
            "that the table holds. Update this row, or remove it.",
        )
    return corrected


def _is_blank(value: object) -> bool:
    return value is None or value is pd.NA or value != value


def _value(
    text: object, column: Column, fail: Callable[..., DataError]
) -> str | float | int | None:
    """Read a corrections cell as a value of the column that it is about."""
    if _is_blank(text):
        return None
    cell = read_cell(str(text), column)
    if cell.said:
        raise fail(said=f"{cell.said[:-1]}, but '{column.name}' is.", mend=column.expects)
    return cell.value
