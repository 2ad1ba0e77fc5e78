"""Tables to text: aligned columns, JSON, CSV, Markdown, LaTeX, HTML.

Aligned columns, JSON and CSV keep the names of columns, for those who look things up or go on
computing. Markdown, LaTeX and HTML are for papers: headings that can be read, with units, and what
is the same in every row in the caption.
"""

from __future__ import annotations

import html
import json
import re
from collections.abc import Callable
from typing import Any

import pandas as pd

from bayesmeta.errors import QueryError, shorten, unknown
from bayesmeta.tables.frames import as_frame
from bayesmeta.tables.headed_columns import describe_columns, short_unit
from bayesmeta.tables.latex import Grid, write_table
from bayesmeta.tables.wording import (
    BOUNDS,
    KIND_WORDS,
    escape_markdown,
    name_few,
    readable,
    write_fact,
)

_HUGE = 1e9
"""From here on a number with decimals is written with a power of ten."""


def _for_reading(frame: pd.DataFrame) -> pd.DataFrame:
    """Round for the eye; a probability that would read as 0 or 1 reads as a bound."""
    texts = {}
    for name, column in describe_columns(frame).items():
        if column.digits is None or not pd.api.types.is_numeric_dtype(frame[name]):
            continue
        written = [_write_number(x, column.digits) for x in frame[name]]
        texts[name] = [BOUNDS.get(x, x) for x in written] if column.is_probability else written
    return frame.assign(**texts)


def _write_number(x: float, digits: int) -> str:
    """Write a number with so many decimals, or with a power of ten where these say nothing."""
    if pd.isna(x):
        return "-"
    return f"{x:.4g}" if digits and abs(x) >= _HUGE else f"{x:.{digits}f}"


def _as_table(frame: pd.DataFrame, caption: str | None) -> str:
    text = _for_reading(frame).to_string(index=False)
    return text if caption is None else f"{text}\n\n{caption}"


def _as_json(frame: pd.DataFrame, _: str | None) -> str:
    return json.dumps(json.loads(frame.to_json(orient="records")), indent=2)


def _as_csv(frame: pd.DataFrame, _: str | None) -> str:
    return frame.to_csv(index=False).rstrip("\n")


def set_for_paper(frame: pd.DataFrame) -> pd.DataFrame:
    """Give a table the headings of a paper, with units; its caption says what it leaves out.

    Parameters
    ----------
    frame
        A table of the package; where all rows share the units, they are in a column `units` or in
        `attrs["units"]`.

    Returns
    -------
    pandas.DataFrame
        Without `ci_prob`, `units`, `by`, `kind` and a target that are the same in every row.

    Examples
    --------
    >>> row = {"by": "overall", "target": "overall", "sd": 0.5, "ci_prob": 0.9}
    >>> set_for_paper(pd.DataFrame([row | {"units": "percentage points", "prob_helps": 0.7}]))
       SD (pp)  P(helps)
    0      0.5       0.7
    """
    units = _only(frame, "units") or frame.attrs.get("units")
    columns = describe_columns(frame)
    titles = {name: column.title(name, units=units) for name, column in columns.items()}
    by = _only(frame, "by")
    if by is not None and "target" in frame:
        titles["target"] = readable(by)
    left_out = [
        name for name in ("ci_prob", "units", "by", "kind") if _only(frame, name) is not None
    ]
    left_out += ["target"] if by == "overall" and "target" in frame else []
    facts = {str(n): frame[n].map(write_fact) for n in columns if columns[n].holds_facts}
    kept = frame.assign(**facts).drop(columns=left_out)
    kept = kept[_order_columns(kept)]
    return kept.set_axis([titles[name] for name in kept.columns], axis="columns")


_CONSTANTS: dict[str, str] = {
    "statement": "{}",
    "decision": "{}",
    "level": "{}",
    "reference": "against {}",
    "levels": "{} levels",
    "by": "by {}",
    "target": "on {}",
    "at": "LMs at {}",
    "units": "in {}",
    "ci_prob": "{} % equal-tailed intervals",
}
"""Columns that say of what a table is, and how its title says it where all rows are alike."""


def name_constants(frame: pd.DataFrame) -> tuple[list[str], pd.DataFrame]:
    """Take columns that are the same in all rows out of a table, for its title.

    Parameters
    ----------
    frame
        A table of at least two rows; a shorter one stays as it is.

    Returns
    -------
    list of str
        What the title has to say.
    pandas.DataFrame
        The other columns.

    Examples
    --------
    >>> rows = [{"by": "overall", "target": "overall", "ci_prob": 0.9, "sd": sd} for sd in (1, 2)]
    >>> said, rest = name_constants(pd.DataFrame(rows))
    >>> said, list(rest)
    (['over all benchmarks', '90 % equal-tailed intervals'], ['sd'])
    """
    found = {name: _only(frame, name) for name in _CONSTANTS if len(frame) > 1}
    same = {name: value for name, value in found.items() if value is not None}
    rest = frame.drop(columns=list(same))
    words = {name: _CONSTANTS[name].format(readable(value)) for name, value in same.items()}
    if same.get("target") == "overall":
        words |= {"target": "over all benchmarks", "by": ""}
    if "ci_prob" in same:
        words["ci_prob"] = _CONSTANTS["ci_prob"].format(f"{100 * float(same['ci_prob']):g}")
    return [words[name] for name in same if words[name]], rest


def _order_columns(frame: pd.DataFrame) -> list[Any]:
    """Put a target that changes less often than the level, from row to row, before it."""
    order = list(frame)
    if not {"target", "level"} <= set(order):
        return order
    if _count_runs(frame["target"]) < _count_runs(frame["level"]):
        order.remove("target")
        order.insert(order.index("level"), "target")
    return order


def _count_runs(values: pd.Series) -> int:
    """Count how often a column changes from one row to the next."""
    return int((values != values.shift()).sum())


def _only(frame: pd.DataFrame, column: str) -> str | None:
    """Give the one value of a column as text; None where there is none, or several."""
    values = frame[column].map(str).unique() if column in frame else []
    return values[0] if len(values) == 1 else None


_BREAKS = re.compile(r"[\s\x00-\x1f\x7f]+")


def _on_one_line(value: object) -> str:
    """Write a cell on one line: a break would end the row of a table."""
    if isinstance(value, float):
        return "-" if pd.isna(value) else f"{value:.10g}"
    missing = value is None or value is pd.NA or value is pd.NaT
    return "-" if missing else _BREAKS.sub(" ", str(value)).strip()


def build_grid(frame: pd.DataFrame) -> Grid:
    """Lay a table out for a paper."""
    raw, cells = set_for_paper(frame), set_for_paper(_for_reading(frame))
    kinds = [raw.iloc[:, k] for k in range(raw.shape[1])]
    return Grid(
        [_on_one_line(name) for name in cells.columns],
        [[_on_one_line(cell) for cell in row] for row in cells.astype(object).to_numpy().tolist()],
        [pd.api.types.is_numeric_dtype(c) and not pd.api.types.is_bool_dtype(c) for c in kinds],
    )


def _as_markdown(frame: pd.DataFrame, caption: str | None) -> str:
    """Write a pipe table, with the characters escaped that Markdown treats specially."""
    grid = build_grid(frame)
    rules = ["---:" if is_number else "---" for is_number in grid.are_numbers]
    names, *rows = [[escape_markdown(cell) for cell in row] for row in (grid.names, *grid.rows)]
    lines = [f"| {' | '.join(row)} |" for row in (names, rules, *rows)]
    return "\n".join([*lines, *([] if caption is None else ["", escape_markdown(caption)])])


def _as_latex(frame: pd.DataFrame, caption: str | None) -> str:
    return write_table(build_grid(frame), caption=caption)


def _as_html(frame: pd.DataFrame, caption: str | None) -> str:
    return write_elements(build_grid(frame), caption=caption)


def write_elements(grid: Grid, *, caption: str | None = None, left: str = "") -> str:
    """Write a table element, with the characters escaped that HTML treats specially.

    Parameters
    ----------
    grid
        The table.
    caption
        Stands above it.
    left
        Attributes of cells that hold no numbers, with a blank before them.

    Returns
    -------
    str
        The element.
    """
    right = ' style="text-align: right"'
    styles = [right if is_number else left for is_number in grid.are_numbers]

    def row(tag: str, cells: list[str]) -> str:
        parts = zip(styles, cells, strict=True)
        return "".join(f"<{tag}{s}>{html.escape(cell)}</{tag}>" for s, cell in parts)

    title = [] if caption is None else [f"<caption>{html.escape(caption)}</caption>"]
    head = f"<thead>\n<tr>{row('th', grid.names)}</tr>\n</thead>"
    body = [f"<tr>{row('td', line)}</tr>" for line in grid.rows]
    return "\n".join(["<table>", *title, head, "<tbody>", *body, "</tbody>", "</table>"])


FORMATS: dict[str, Callable[[pd.DataFrame, str | None], str]] = {
    "table": _as_table,
    "json": _as_json,
    "csv": _as_csv,
    "md": _as_markdown,
    "latex": _as_latex,
    "html": _as_html,
}
"""How a table, with its caption, may be written."""

_FOR_PAPERS = ("md", "latex", "html")


def describe_intervals(frame: pd.DataFrame) -> str | None:
    """Say in a sentence what the intervals of a table are, as a caption does.

    Parameters
    ----------
    frame
        A table of the package.

    Returns
    -------
    str or None
        Kind and probability of the intervals, and the units; None where the table has none.

    Examples
    --------
    >>> describe_intervals(pd.DataFrame({"ci_prob": [0.9], "units": ["percentage points"]}))
    'Medians with 90 % equal-tailed intervals, in percentage points (pp).'
    """
    ci_prob, units = _only(frame, "ci_prob"), _only(frame, "units")
    if ci_prob is None or not pd.api.types.is_numeric_dtype(frame["ci_prob"]):
        return None
    kind = KIND_WORDS.get(_only(frame, "kind") or "")
    of_kind = "" if kind is None else f" of {kind}"
    words = f"Medians{of_kind} with {100 * float(ci_prob):g} % equal-tailed intervals"
    if units is not None:
        words += f", in {units}" + (f" ({short})" if (short := short_unit(units)) != units else "")
    words += ", over all benchmarks" if _only(frame, "by") in ("overall", "lm_family") else ""
    among = frame.attrs.get("among")
    return f"{words}, averaged over {name_few(among)}." if among else f"{words}."


def format_table(frame: Any, *, fmt: str = "table", caption: str | None = None) -> str:
    """Write a table as text.

    Parameters
    ----------
    frame
        The table: a frame of pandas, polars or another library that narwhals knows, or a dict of
        columns.
    fmt
        `table`, `json`, `csv`, `md`, `latex` or `html`; JSON and CSV keep full precision.
    caption
        What the table shows; what its intervals are is added in the formats for papers. A caption
        makes LaTeX a floating table. Programs read JSON and CSV, which go without.

    Returns
    -------
    str
        The text.

    Raises
    ------
    QueryError
        If the format is not known, or it is no table.

    Examples
    --------
    >>> print(format_table(pd.DataFrame({"lm": ["a_b"], "sd": [0.123]}), fmt="md"))
    | lm | SD |
    | --- | ---: |
    | a_b | 0.12 |
    """
    if fmt not in FORMATS:
        raise unknown(QueryError, "format", fmt, FORMATS, mend="")
    frame = _check_table(frame)
    if fmt in _FOR_PAPERS:
        parts = [None if caption is None else _end(caption), describe_intervals(frame)]
        caption = " ".join(filter(None, parts)) or None
    return FORMATS[fmt](frame, None if caption is None else _on_one_line(caption))


def _check_table(frame: object) -> pd.DataFrame:
    """Refuse what is no table; what an index is named for is a column of it."""
    if not isinstance(frame, pd.DataFrame):
        mend = "Such a table is bm.effects(fit).table()."
        frame = as_frame(frame, what="the table", mend=mend, error=QueryError).infer_objects()
    if not len(frame.columns):
        raise QueryError(
            "the table has no columns. Allowed: one of at least one column, such as "
            "bm.effects(fit).table()."
        )
    if any(name is not None for name in frame.index.names):
        frame = frame.reset_index()
    twice = frame.columns[frame.columns.duplicated()]
    if len(twice):
        raise QueryError(
            f"column '{shorten(str(twice[0]))}' is there twice. Allowed: each name once. Rename "
            "one of them."
        )
    return frame


def _end(caption: str) -> str:
    """End a caption with a full stop, so that another sentence can follow."""
    text = caption.rstrip()
    return text if not text or text[-1] in ".!?:;" else f"{text}."
