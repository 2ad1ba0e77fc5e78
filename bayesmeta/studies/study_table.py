"""Tables of effect sizes with known standard errors: one row per study, of any field."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from os import PathLike
from pathlib import Path

import pandas as pd

from bayesmeta.data.csv_tables import (
    BLANK,
    check_columns_differ,
    check_lengths,
    parse_rows,
    write_rows,
)
from bayesmeta.errors import DataError, listing, suggest
from bayesmeta.model.predictor import Array

_FEWEST = 2
"""Studies: one alone says nothing of how studies differ."""


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class EffectSizes:
    """Effect sizes of studies, checked; `read_effect_sizes` makes it.

    Parameters
    ----------
    frame
        One row per study, with the columns named below. Effects, errors and numeric moderators are
        numbers, everything else is text.
    effect, se, study
        Columns of the effects, of their standard errors, and of the studies' names.
    groups
        Columns of nested groups, the outermost first.
    moderators
        Columns of what may explain differences between studies.
    source
        The file, or `memory`.

    Examples
    --------
    >>> frame = pd.DataFrame({"trial": ["a", "b"], "yi": [0.1, 0.3], "sei": [0.1, 0.2]})
    >>> read_effect_sizes(frame, effect="yi", se="sei", study="trial")
    EffectSizes(2 studies, source='memory')
    """

    frame: pd.DataFrame
    effect: str
    se: str
    study: str
    groups: tuple[str, ...] = ()
    moderators: tuple[str, ...] = ()
    source: str = "memory"

    @property
    def y(self) -> Array:
        """Effects, shape (study,)."""
        return self.frame[self.effect].to_numpy(float)

    @property
    def errors(self) -> Array:
        """Standard errors of the effects, shape (study,)."""
        return self.frame[self.se].to_numpy(float)

    @property
    def studies(self) -> tuple[str, ...]:
        """Names of the studies."""
        return tuple(self.frame[self.study])

    @property
    def checksum(self) -> str:
        """The SHA-256 of the content and of the columns' roles, the same on every platform."""
        digest = hashlib.sha256()
        for text in (json.dumps(self.roles), self.format_table()):
            digest.update(text.encode())
        return digest.hexdigest()

    @property
    def roles(self) -> dict[str, str | tuple[str, ...]]:
        """Names of the columns, as `read_effect_sizes` takes them."""
        names = ("effect", "se", "study", "groups", "moderators")
        return {name: getattr(self, name) for name in names}

    def format_table(self) -> str:
        """Write the table as CSV text that reads back to the same values.

        Returns
        -------
        str
            The text, with lines that end in a line feed.
        """
        return write_rows(self.frame, [map(str, self.frame[name].tolist()) for name in self.frame])

    def __repr__(self) -> str:
        parts = [f"{len(self.frame)} studies"]
        parts += [f"groups {listing(self.groups)}"] if self.groups else []
        parts += [f"moderators {listing(self.moderators)}"] if self.moderators else []
        return f"EffectSizes({', '.join(parts)}, source={self.source!r})"


def read_effect_sizes(
    table: str | PathLike[str] | pd.DataFrame,
    *,
    effect: str,
    se: str,
    study: str,
    groups: Sequence[str] = (),
    moderators: Sequence[str] = (),
) -> EffectSizes:
    r"""Read and check a table of effect sizes with known standard errors.

    Parameters
    ----------
    table
        A CSV file, or a frame; other columns than those named are left out.
    effect
        Column of the effects: differences, log ratios, correlations after Fisher's transform, all
        in one unit.
    se
        Column of their standard errors (not variances), in the same unit.
    study
        Column of the studies' names, each of them once.
    groups
        Columns of nested groups, the outermost first. A label of an inner group is taken inside its
        outer one: class 1 of school A is another than class 1 of school B.
    moderators
        Columns of what may explain differences between studies: numbers, or text, whose levels are
        compared with the first in alphabetical order.

    Returns
    -------
    EffectSizes
        The table, to be handed to `fit`.

    Raises
    ------
    DataError
        If a column is missing or has two roles, a cell is blank or not a number where it has to be
        one, a standard error is not positive, a study appears twice, there are fewer than two
        studies, a moderator is constant, or a column of groups groups nothing.

    Examples
    --------
    >>> path = getfixture("tmp_path") / "trials.csv"
    >>> _ = path.write_text("trial,yi,sei,dose\na,0.1,0.1,5\nb,0.3,0.2,10\n")
    >>> found = read_effect_sizes(path, effect="yi", se="sei", study="trial", moderators=["dose"])
    >>> found.frame["dose"].tolist()
    [5.0, 10.0]
    """
    groups, moderators = _names(groups, role="groups"), _names(moderators, role="moderators")
    roles = [("effect", effect), ("se", se), ("study", study)]
    roles += [("groups", name) for name in groups] + [("moderators", name) for name in moderators]
    if isinstance(table, pd.DataFrame):
        where, source = "the frame, row", "memory"
        if not table.columns.is_unique:
            twice = table.columns[table.columns.duplicated()][0]
            raise DataError(f"the frame has two columns '{twice}'. Keep one of them.")
        cells = {str(name): table[name].tolist() for name in table.columns}
        lines = list(range(1, len(table) + 1))
    else:
        cells, lines = _read_file(Path(table))
        where, source = f"{table}, line", str(table)
    _check_roles(roles, list(cells), where=where.rpartition(",")[0])
    if len(lines) < _FEWEST:
        raise DataError(
            f"{where.rpartition(',')[0]} holds {len(lines)} studies. Allowed: at least {_FEWEST}, "
            "since one study says nothing of how studies differ. Add a row for every study."
        )
    reader = _Cells(cells, lines, where)
    columns = {study: reader.texts(study), effect: reader.numbers(effect), se: reader.numbers(se)}
    reader.check_distinct(study, columns[study])
    reader.check_positive(se, columns[se])
    columns |= {name: reader.texts(name) for name in groups}
    columns |= {name: reader.numbers_or_texts(name) for name in moderators}
    for name in moderators:
        _check_varies(columns[name], name)
    _check_groups(columns, groups)
    return EffectSizes(
        frame=pd.DataFrame(columns),
        effect=effect, se=se, study=study, groups=groups, moderators=moderators, source=source,
    )  # fmt: skip


def _names(given: Sequence[str], *, role: str) -> tuple[str, ...]:
    """Column names as a tuple; one name alone is a slip that would be read letter by letter."""
    if not isinstance(given, list | tuple) or not all(isinstance(name, str) for name in given):
        raise DataError(f"{role} is {given!r}. Allowed: a list of column names, such as ['dose'].")
    return tuple(given)


def _read_file(path: Path) -> tuple[dict[str, list[str]], list[int]]:
    """Cells by column, and the line number of every row."""
    if not path.is_file():
        raise DataError(
            f"{path} does not exist. Name a CSV file with one row per study, or hand over a frame."
        )
    rows = parse_rows(path)
    if not rows:
        raise DataError(f"{path} is empty. Its first line must name the columns.")
    (first, header), body = rows[0], rows[1:]
    check_columns_differ(header, where=f"{path}, line {first}")
    check_lengths(rows, file=str(path))
    lines = [line for line, _ in body]
    return {name: [cells[k] for _, cells in body] for k, name in enumerate(header)}, lines


def _check_roles(roles: list[tuple[str, str]], columns: list[str], *, where: str) -> None:
    """Every role names a column that exists, and no column has two roles."""
    taken: dict[str, str] = {}
    for role, name in roles:
        if name not in columns:
            raise DataError(
                f"{where}: {role} names the column '{name}', which is missing."
                f"{suggest(name, columns)} Columns that there are: {listing(columns)}. Correct the "
                "name, or add the column."
            )
        if name in taken:
            raise DataError(
                f"column '{name}' is named twice, as {taken[name]} and as {role}. Allowed: one "
                "role for each column. Leave one of them out."
            )
        taken[name] = role
        if role == "groups" and "/" in name:
            raise DataError(
                f"groups names the column '{name}'. Allowed: names without a slash, since saved "
                "draws are named after it. Rename the column."
            )


class _Cells:
    """Cells of a table by column, and where they stand."""

    def __init__(self, cells: dict[str, list], lines: list[int], where: str) -> None:
        self.cells, self.lines, self.where = cells, lines, where

    def fail(self, row: int, column: str, said: str) -> DataError:
        return DataError(f"{self.where} {self.lines[row]}, column '{column}': {said}")

    def texts(self, column: str) -> list[str]:
        """Read filled cells as text."""
        found = [_text(cell) for cell in self.cells[column]]
        if "" in found:
            raise self.fail(
                found.index(""), column, "the cell is blank. Allowed: a value for every study. "
                "Fill the cell, or remove the row."
            )  # fmt: skip
        return found

    def numbers(self, column: str) -> list[float]:
        """Read finite numbers."""
        found = []
        for row, text in enumerate(self.texts(column)):
            value = _number(text)
            if not math.isfinite(value):
                raise self.fail(
                    row, column, f"'{text}' is not a finite number. Allowed: digits with a point "
                    "for decimals, without units. Correct the cell, or remove the row."
                )  # fmt: skip
            found.append(value)
        return found

    def numbers_or_texts(self, column: str) -> list[float] | list[str]:
        """Read numbers where every cell is one, or text where none is."""
        texts = self.texts(column)
        is_number = [math.isfinite(_number(text)) for text in texts]
        if any(is_number) and not all(is_number):
            row = is_number.index(False)
            raise self.fail(
                row, column, f"'{texts[row]}' is not a finite number, but other cells of this "
                "moderator are. Allowed: numbers in every row, or text in every row. Correct the "
                "cell, or write the levels as words."
            )  # fmt: skip
        return [_number(text) for text in texts] if all(is_number) else texts

    def check_positive(self, column: str, values: list[float]) -> None:
        """Raise where a standard error is not above zero."""
        for row, value in enumerate(values):
            if value <= 0:
                raise self.fail(
                    row, column, f"the standard error is {value:g}. Allowed: a number above 0. An "
                    "effect without sampling error is no estimate; correct the cell, or remove the "
                    "row."
                )  # fmt: skip

    def check_distinct(self, column: str, names: list[str]) -> None:
        """Raise where a study stands twice."""
        first: dict[str, int] = {}
        for row, name in enumerate(names):
            if name in first:
                raise self.fail(
                    row, column, f"study '{name}' stood already in "
                    f"{self.where.rpartition(' ')[2]} {self.lines[first[name]]}. Allowed: every "
                    "study once. Give the rows names of their own, and the study as a group if "
                    "both are results of it."
                )  # fmt: skip
            first[name] = row


def _text(cell: object) -> str:
    """Write a cell as text, blank where it is not known; numbers read back as they were."""
    if cell is None or cell is pd.NA or cell is pd.NaT:
        return ""
    if isinstance(cell, float):
        return "" if math.isnan(cell) else repr(float(cell))
    text = str(cell).strip()
    return "" if text in BLANK else text


def _number(text: str) -> float:
    """Read the number that a text is, or NaN."""
    try:
        return float(text)
    except ValueError:
        return math.nan


def _check_varies(values: list[float] | list[str], name: str) -> None:
    if len(set(values)) == 1:
        raise DataError(
            f"moderator '{name}' is {values[0]!r} in every study. Allowed: columns that vary, "
            "since an effect of what never changes cannot be told from the mean. Leave it out."
        )


def _check_groups(columns: dict[str, list], groups: tuple[str, ...]) -> None:
    """Every level has several groups, fewer than what it groups, and more than the level above."""
    n_above, path = 1, [()] * len(next(iter(columns.values())))
    for k, name in enumerate(groups):
        path = [(*outer, label) for outer, label in zip(path, columns[name], strict=True)]
        n = len(set(path))
        if n == n_above:
            where = f"inside '{groups[k - 1]}'" if k else "in every study"
            raise DataError(
                f"group '{name}' has one label {where}. Allowed: columns with several labels, "
                "since one group shows no difference between groups. Leave it out."
            )
        if n == len(path):
            raise DataError(
                f"group '{name}' has another label in every study. Allowed: columns in which some "
                "studies share a label, since differences between studies are modelled already. "
                "Leave it out."
            )
        n_above = n
