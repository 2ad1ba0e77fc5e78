"""What a notebook shows of an object: words, tables, pictures, and parts that fold out.

It is HTML that stands by itself, without scripts, in the colours and fonts of the notebook, light
or dark. All text is escaped here: names with markup in them stay names.
"""

from __future__ import annotations

import base64
import html
from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING

from bayesmeta import defaults
from bayesmeta.errors import BayesmetaError, shorten

if TYPE_CHECKING:
    import pandas as pd

_LACKING = (ArithmeticError, AttributeError, BayesmetaError, LookupError, TypeError, ValueError)
"""What goes wrong with an object that was put together by hand and lacks something."""

_WIDEST = 160
"""Characters of a cell; long ones would push all others out of sight."""

_LEFT = ' style="text-align: left"'


class NotebookView:
    """An object that a notebook shows as HTML; anything else shows its text."""

    __slots__ = ()

    def _show_parts(self) -> Iterator[str]:
        """Give what is shown, as the functions of this module write it."""
        raise NotImplementedError

    def _show_title(self) -> str:
        """Write the line of its text, such as `Curve(effect of code_share)`, as a title."""
        kind, _, said = repr(self).partition("(")
        return show_title(kind, said.removesuffix(")"))

    def _repr_html_(self) -> str | None:
        """Write the parts below each other; without some of the object its text is shown."""
        try:
            return box(self._show_parts())
        except _LACKING:
            return None


def box(parts: Iterable[str]) -> str:
    r"""Put parts below each other.

    Examples
    --------
    >>> box([show_text("a < b")])
    '<div style="overflow-x: auto; max-width: 100%">\n<p>a &lt; b</p>\n</div>'
    """
    inside = "\n".join(parts)
    return f'<div style="overflow-x: auto; max-width: 100%">\n{inside}\n</div>'


def show_title(kind: str, said: str = "") -> str:
    """Write what an object is, and of what.

    Examples
    --------
    >>> show_title("Dataset", "3 LMs")
    '<p><strong>Dataset</strong> 3 LMs</p>'
    """
    return f"<p><strong>{html.escape(kind)}</strong> {html.escape(said)}</p>"


def show_text(text: str, *, strong: bool = False) -> str:
    """Write a paragraph.

    Examples
    --------
    >>> show_text("It helps.", strong=True)
    '<p><strong>It helps.</strong></p>'
    """
    inside = html.escape(text).replace("\n", "<br>")
    return f"<p><strong>{inside}</strong></p>" if strong else f"<p>{inside}</p>"


def show_pairs(pairs: Mapping[str, object]) -> str:
    """Write names with what they stand for; what is blank is left out.

    Examples
    --------
    >>> "<td" in show_pairs({"seed": 1}), "<td" in show_pairs({"seed": ""})
    (True, False)
    """
    rows = [
        f"<tr><th{_LEFT}>{html.escape(name)}</th><td{_LEFT}>{html.escape(str(value))}</td></tr>"
        for name, value in pairs.items()
        if value not in ("", None)
    ]
    return "\n".join(["<table><tbody>", *rows, "</tbody></table>"])


def show_code(lines: Iterable[str]) -> str:
    r"""Write lines as they are.

    Examples
    --------
    >>> show_code(["a", "b"])
    '<pre>a\nb</pre>'
    """
    return f"<pre>{html.escape('\n'.join(lines))}</pre>"


def show_table(frame: pd.DataFrame, *, n_rows: int | None = None, whole: str = "") -> str:
    """Write the first rows of a table, and how many there are.

    Parameters
    ----------
    frame
        The table, or its first rows.
    n_rows
        Rows of the whole table; those of `frame` if left out.
    whole
        What gives all rows, such as `.table()`.

    Returns
    -------
    str
        HTML.

    Examples
    --------
    >>> import pandas as pd
    >>> text = show_table(pd.DataFrame({"n": range(1000)}), whole=".table()")
    >>> text.count("<tr>"), text[-44:]
    (31, '<p>30 of 1,000 rows; .table() gives all.</p>')
    """
    from bayesmeta.tables.text import build_grid, describe_intervals, write_elements

    n_rows = len(frame) if n_rows is None else n_rows
    if any(name is not None for name in frame.index.names):
        frame = frame.reset_index()
    if not len(frame.columns) or not n_rows:
        return show_text("No rows.")
    shown = frame.head(defaults.ROWS_SHOWN)
    caption = describe_intervals(shown)
    grid = build_grid(shown)
    cells = [[shorten(cell, most=_WIDEST) for cell in row] for row in grid.rows]
    names = [shorten(name, most=_WIDEST) for name in grid.names]
    parts = [write_elements(type(grid)(names, cells, grid.are_numbers), left=_LEFT)]
    if caption:
        parts.append(show_text(caption))
    if n_rows > len(shown):
        more = f"; {whole} gives all" if whole else ""
        parts.append(show_text(f"{len(shown):,} of {n_rows:,} rows{more}."))
    return "\n".join(parts)


def show_picture(png: bytes, *, said: str, inches: float) -> str:
    """Write a picture into the page, as wide as on paper.

    Examples
    --------
    >>> show_picture(b"", said="a < b", inches=3)[:39]
    '<img alt="a &lt; b" style="width: 3in; '
    """
    data = base64.b64encode(png).decode("ascii")
    style = f"width: {inches:g}in; max-width: 100%; height: auto"
    return f'<img alt="{html.escape(said)}" style="{style}" src="data:image/png;base64,{data}">'


def fold(title: str, *parts: str) -> str:
    r"""Fold parts below a title until they are asked for.

    Examples
    --------
    >>> fold("More", "<p>a</p>")
    '<details><summary>More</summary>\n<p>a</p>\n</details>'
    """
    inside = "\n".join(parts)
    return f"<details><summary>{html.escape(title)}</summary>\n{inside}\n</details>"
