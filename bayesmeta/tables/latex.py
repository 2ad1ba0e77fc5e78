"""Tables in LaTeX, laid out so that they fit a column of text."""

from __future__ import annotations

import re
from collections.abc import Container, Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby
from textwrap import wrap

_SPECIAL = str.maketrans(
    {
        **{c: f"\\{c}" for c in "_%&#${}"},
        "<": "$<$",
        ">": "$>$",
        "|": "\\textbar{}",
        "~": "\\textasciitilde{}",
        "^": "\\textasciicircum{}",
        "\\": "\\textbackslash{}",
    }
)
_NEGATIVE = re.compile(r"-[0-9.]+(e[+-]?[0-9]+)?")

_WIDE = 40
"""Characters of a cell from which on it is set as a paragraph."""

_WIDE_ROW = 90
"""Characters of a row over all columns from which on it is."""

_PAGE = 45
"""Rows from which on a table may run over several pages."""

_REPEATED = 0.75
"""Largest number of groups, by rows, for which what they share is worth a row of its own."""

_SMALL = r"\footnotesize\setlength{\tabcolsep}{2.5pt}"


@dataclass(frozen=True, slots=True)
class Grid:
    """A table as text: headings, rows of cells, and which columns hold numbers."""

    names: list[str]
    rows: list[list[str]]
    are_numbers: list[bool]

    def pick(self, columns: Sequence[int]) -> Grid:
        """Take some of the columns."""
        return Grid(
            [self.names[k] for k in columns],
            [[row[k] for k in columns] for row in self.rows],
            [self.are_numbers[k] for k in columns],
        )

    def width(self, k: int) -> int:
        """Characters of the longest cell of a column."""
        return max((len(row[k]) for row in self.rows), default=0)

    def is_wide(self, k: int) -> bool:
        """Say whether a column holds texts that are set as paragraphs."""
        return not self.are_numbers[k] and self.width(k) > _WIDE


def escape_latex(text: str) -> str:
    """Escape the characters that LaTeX treats specially."""
    return text.translate(_SPECIAL)


def write_table(grid: Grid, *, caption: str | None = None) -> str:
    """Write a booktabs table, with the characters escaped that LaTeX treats specially.

    So that it fits a column of text, headings run over several lines, what several rows begin with
    stands above them, long texts are set as paragraphs, blank columns are left out, and a single
    row is laid out as a list.

    Parameters
    ----------
    grid
        The table.
    caption
        Makes it a floating table, or where it has many rows one over several pages (`longtable`).

    Returns
    -------
    str
        The LaTeX.
    """
    said = [k for k in range(len(grid.names)) if grid.width(k)]
    grid = grid.pick(said or range(len(grid.names)))
    if len(grid.rows) == 1:
        pairs = [list(pair) for pair in zip(grid.names, grid.rows[0], strict=True)]
        grid = Grid(["", ""], pairs, [False, False])
    n = _count_shared(grid)
    also = _list_wide(grid, n) if n else []
    own = grid.pick([k for k in range(n, len(grid.names)) if k not in also])
    wide = [k for k in range(len(own.names)) if own.is_wide(k)]
    head = [_row(line) for line in _stack(own)] if any(own.names) else []
    body = []
    if n:
        head.insert(0, _across(", ".join(grid.names[:n]), n_columns=len(own.names)))
    for _, group in groupby(range(len(grid.rows)), key=lambda i: grid.rows[i][:n]):
        first, *rest = group
        if n:
            row = grid.rows[first]
            words = [", ".join(row[:n]), *(f"{grid.names[k]}: {row[k]}" for k in also)]
            body.append(_across("; ".join(words), n_columns=len(own.names)))
        body += [_row(own.rows[i], wide=wide) for i in (first, *rest)]
    edge = r"\enspace" if n else ""
    return _frame(f"@{{{edge}}}{_align(own, wide)}@{{}}", head=head, body=body, caption=caption)


def _count_shared(grid: Grid) -> int:
    """Count the first columns, all of text, that many rows have in common with the row before."""
    n_texts = [*grid.are_numbers, True].index(True)
    for n in range(min(n_texts, len(grid.names) - 1), 0, -1):
        groups = list(groupby(grid.rows, key=lambda row: row[:n]))
        if len(groups) <= _REPEATED * len(grid.rows):
            return n
    return 0


def _list_wide(grid: Grid, n: int) -> list[int]:
    """List the columns of long texts that do not differ between rows with the same beginning."""
    groups = [list(group) for _, group in groupby(grid.rows, key=lambda row: row[:n])]
    found = [
        k
        for k in range(n, len(grid.names))
        if grid.is_wide(k) and all(len({row[k] for row in group}) == 1 for group in groups)
    ]
    return found if n + len(found) < len(grid.names) else []  # a row has a cell of its own


def _stack(grid: Grid) -> list[tuple[str, ...]]:
    """Lay headings out in lines, none wider than the cells below or its longest word."""
    stacks = []
    for k, name in enumerate(grid.names):
        width = max([1, min(grid.width(k), _WIDE), *map(len, name.split())])
        stacks.append(wrap(name, width, break_on_hyphens=False) or [""])
    height = max(map(len, stacks), default=1)
    return list(zip(*([""] * (height - len(s)) + s for s in stacks), strict=True))


def _align(grid: Grid, wide: Sequence[int]) -> str:
    share = 0.7 if len(grid.names) == 2 else 0.35 / max(1, len(wide))
    letters = ["r" if is_number else "l" for is_number in grid.are_numbers]
    for k in wide:
        letters[k] = rf"p{{{share:.2f}\linewidth}}"
    return "".join(letters)


def _row(cells: Iterable[str], *, wide: Container[int] = ()) -> str:
    """Write a row; long texts are not stretched to the width of their column."""
    texts = (_ragged(_cell(c)) if k in wide else _cell(c) for k, c in enumerate(cells))
    return " & ".join(texts) + r" \\"


def _ragged(text: str) -> str:
    return rf"{{\raggedright {text}\par}}"


def _across(text: str, *, n_columns: int) -> str:
    """Write a row over all columns, flush with the margin."""
    align, cell = "@{}l", _cell(text)
    if len(text) > _WIDE_ROW:
        align, cell = r"@{}p{\linewidth}@{}", _ragged(cell)
    return rf"\multicolumn{{{n_columns}}}{{{align}}}{{{cell}}} \\"


def _cell(text: str) -> str:
    """Escape a cell; neither its start is an option of the row before, nor two hyphens a dash.

    The sign of a negative number is a minus.
    """
    cell = escape_latex(text).replace("--", "-{}-")
    if _NEGATIVE.fullmatch(cell):
        return f"$-${cell[1:]}"
    return f"{{}}{cell}" if cell[:1] in ("[", "*") else cell


def _frame(columns: str, *, head: list[str], body: list[str], caption: str | None) -> str:
    """Put rules and, where there is a caption, what carries it around a table."""
    ruled = [r"\toprule", *head, r"\midrule"] if head else [r"\toprule"]
    if caption is None or len(body) <= _PAGE:
        lines = [rf"\begin{{tabular}}{{{columns}}}", *ruled, *body, r"\bottomrule"]
        lines.append(r"\end{tabular}")
        if caption is None:
            return "\n".join(lines)
        title = rf"\caption{{{escape_latex(caption)}}}"
        return "\n".join([r"\begin{table}", rf"\centering{_SMALL}", title, *lines, r"\end{table}"])
    title = rf"\caption{{{escape_latex(caption)}}} \\"
    foot = [r"\endhead", r"\bottomrule", r"\endfoot"]
    start = [rf"\begingroup{_SMALL}", rf"\begin{{longtable}}{{{columns}}}", title]
    return "\n".join([*start, *ruled, *foot, *body, r"\end{longtable}", r"\endgroup"])
