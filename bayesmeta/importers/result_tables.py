"""Tables of many LMs that others collected: leaderboards, ObsScaling."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from os import PathLike
from pathlib import Path
from typing import Any

from bayesmeta.data.csv_tables import check_columns_differ, check_lengths, parse_rows
from bayesmeta.errors import DataError, listing, shorten
from bayesmeta.importers.foreign_files import as_number, read_bytes
from bayesmeta.importers.imported import Imported, build_imported
from bayesmeta.importers.protocols import Measured, read_protocols

NAMES = ("fullname", "model_name_for_query", "Model", "model", "model_name", "lm")
"""Headings of the column of names, the surest first."""

FACTS = {
    "Model Family": ("lm_family", 0),
    "Model Size (B)": ("n_params", 9),
    "#Params (B)": ("n_params", 9),
    "Params (B)": ("n_params", 9),
    "Pretraining Data Size (T)": ("n_tokens", 12),
}
"""Columns of facts, what they are here, and the power of ten that their numbers count."""

_LINK = re.compile(r"<a [^>]*>([^<]*)</a>|\[([^\]]*)\]\([^)]*\)")


def read_result_table(
    path: str | PathLike[str],
    *,
    protocols: str | PathLike[str] | None = None,
    names: Mapping[str, str] | None = None,
    facts: Mapping[str, str] | None = None,
) -> Imported:
    r"""Read a CSV table with a row per LM and a column per benchmark.

    Parameters
    ----------
    path
        A table of an Open LLM Leaderboard or of ObsScaling, or one like these. Which column is
        which benchmark stands in `data/protocols.toml` as the task `column HEADING`. Scores of all
        columns are percent where one of them is above 1, and shares of 1 otherwise.
    protocols, names, facts
        As in `read_lm_eval`.

    Returns
    -------
    Imported
        LMs with families, sizes and tokens where the table has them, scores, benchmarks. A column
        that is no benchmark is listed as left out once.

    Raises
    ------
    DataError
        If it is no such table.

    Examples
    --------
    >>> path = getfixture("tmp_path") / "board.csv"
    >>> _ = path.write_text("Model,Model Size (B),Winograd,ARC-C\nlab/a,7.0,0.71,\n")
    >>> found = read_result_table(path)
    >>> found.lms["n_params"].tolist(), found.scores["benchmark"].tolist()
    ([7000000000.0], ['winogrande'])
    """
    path = Path(path)
    table = read_cells(path)
    header = list(table[0]) if table else []
    name = next((one for one in NAMES if one in header), None)
    if name is None:
        raise DataError(
            f"{shorten(path)} is no table of results. Needed: a column that names the LM, one of "
            f"{listing(NAMES)}, and a row for each. Rename the column."
        )
    tasks = {part for one in read_protocols(protocols) for task in one.tasks for part in task}
    scored = [one for one in header if f"column {one}" in tasks]
    lms: dict[str, dict[str, Any]] = {}
    for row in table:
        row[name] = _LINK.sub(lambda link: link[1] or link[2], row[name]).strip()
        if row[name]:
            lms.setdefault(row[name], {}).update(_read_facts(row))
    left_out = [
        {"task": one, "why": "no entry for this column", "file": str(path)}
        for one in header if one not in (*scored, *FACTS, *NAMES)
    ]  # fmt: skip
    return build_imported(
        _list_scores(table, name=name, scored=scored, file=str(path)),
        lms=lms, left_out=left_out, protocols=protocols, names=names, facts=facts,
    )  # fmt: skip


def read_cells(path: Path) -> list[dict[str, str]]:
    """Read the cells of a CSV table by heading, row by row, within limits of size.

    Raises
    ------
    DataError
        If it cannot be read, or a heading stands twice.
    """
    read_bytes(path)
    rows = parse_rows(path)
    if rows:
        check_columns_differ(rows[0][1], where=f"{path}, line 1")
        check_lengths(rows, file=str(path))
    return [dict(zip(rows[0][1], cells, strict=True)) for _, cells in rows[1:]]


def _read_facts(row: Mapping[str, str]) -> dict[str, Any]:
    """Read family, size and tokens; numbers are rounded to whole counts."""
    found: dict[str, Any] = {}
    for heading, (column, power) in FACTS.items():
        cell = row.get(heading, "")
        value = as_number(cell)
        if power and value > 0:
            found[column] = round(value * 10**power)
        elif not power and cell:
            found[column] = cell
    return found


def _list_scores(
    table: Sequence[Mapping[str, str]], *, name: str, scored: Sequence[str], file: str
) -> Iterator[Measured]:
    """Give the scores of the columns that are benchmarks, as shares of 1."""
    cells = [(row[name], one, as_number(row[one])) for row in table for one in scored if row[name]]
    percent = any(value > 1 for _, _, value in cells)
    for lm, one, value in cells:
        if value == value:
            score = value / 100 if percent else value
            yield Measured(lm, f"column {one}", "acc", "none", None, score, file=file)
