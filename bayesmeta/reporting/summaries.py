"""Tables to text: aligned columns, JSON, CSV, Markdown, LaTeX, HTML.

Aligned columns, JSON and CSV keep the names of columns, for those who look things up or go on
computing. Markdown, LaTeX and HTML are for papers: headings that can be read, with units, and what
is the same in every row in the caption.
"""

from __future__ import annotations

import html
import json
import re
from collections.abc import Callable, Iterable
from itertools import groupby
from textwrap import wrap

import pandas as pd

from bayesmeta.errors import QueryError, listing, suggest
from bayesmeta.reporting.wording import BOUNDS, readable

__all__ = ["FORMATS", "describe_intervals", "escape_latex", "format_table", "set_for_paper"]

_ROUNDED = {"estimate": 2, "sd": 2, "lower": 2, "upper": 2, "prob_helps": 3, "mcse": 3, "rhat": 3,
            "ess_bulk": 0, "ess_tail": 0, "prob_between_15_25": 3, "prob_at_lower_edge": 3,
            "prob_at_upper_edge": 3, "mcse_edges": 3, "mae": 2, "mae_families": 2,
            "crps": 2, "log_density": 2, "coverage50": 1, "coverage90": 1, "difference": 2,
            "gain": 1, "prior_lower": 2, "prior_upper": 2, "narrowed": 2,
            "prob_best": 3, "expected_rank": 2, "mcse_rank": 2,
            "lower_observed": 2, "upper_observed": 2, "as_is": 2, "changed": 2,
            "probability": 3, "effect_spread": 2, "probability_spread": 3, "share_above": 2,
            "share_below": 2, "median": 2, "lowest": 2, "highest": 2, "divergences": 0,
            "move": 2, "pareto_k": 2, "prob_conflict": 3, "tips_at": 0,
            "prob_helps_least": 3, "prob_helps_most": 3,
            "random": 2, "leave_family_out": 2, "leakage": 2}  # fmt: skip


_PROBABILITIES = {name for name in _ROUNDED if name.startswith("prob_")} | {"probability"}


def _for_reading(frame: pd.DataFrame) -> pd.DataFrame:
    """Round for the eye; a probability that would read as 0 or 1 reads as a bound."""
    texts = {
        name: ["-" if pd.isna(value) else f"{value:.{digits}f}" for value in frame[name]]
        for name, digits in _ROUNDED.items()
        if name in frame
    }
    for name in set(texts) & _PROBABILITIES:
        texts[name] = [BOUNDS.get(text, text) for text in texts[name]]
    return frame.assign(**texts)


def _as_table(frame: pd.DataFrame) -> str:
    return _for_reading(frame).to_string(index=False)


def _as_json(frame: pd.DataFrame) -> str:
    return json.dumps(json.loads(frame.to_json(orient="records")), indent=2)


def _as_csv(frame: pd.DataFrame) -> str:
    return frame.to_csv(index=False).rstrip("\n")


_SHORT_UNITS = {"percentage points": "pp", "% of training tokens": "%"}
_IN_UNITS = ("estimate", "sd", "lower", "upper", "as_is", "changed", "difference",
             "prior_lower", "prior_upper", "lower_observed", "upper_observed")  # fmt: skip
"""Columns whose unit is that of the effects of a table."""

_HEADINGS = {"prob_helps": "P(helps)", "prob_best": "P(best)", "prob_conflict": "P(conflict)",
             "prob_equivalent": "P(no difference)", "prob_at_lower_edge": "P(at lower edge)",
             "prob_at_upper_edge": "P(at upper edge)", "prob_between_15_25": "P(best at 15-25)",
             "prob_helps_least": "least P(helps)", "prob_helps_most": "most P(helps)",
             "probability": "P(statement)", "mcse": "MCSE", "mcse_rank": "MCSE of rank",
             "mcse_edges": "MCSE of edges", "sd": "SD", "lm_family": "lm family",
             "mae": "MAE (pp)", "mae_families": "MAE, families alike (pp)", "crps": "CRPS (pp)",
             "coverage50": "in 50 % intervals (%)", "coverage90": "in 90 % intervals (%)",
             "gain": "gain (%)", "leakage": "leakage (pp)", "rhat": "R-hat",
             "ess_bulk": "bulk ESS", "ess_tail": "tail ESS", "pareto_k": "Pareto k",
             "training_flop": "training compute (FLOP)"}  # fmt: skip
"""Headings of columns that are not named as one would write them, with their units."""


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
        Without `ci_prob`, `units`, `by` and a target that are the same in every row.

    Examples
    --------
    >>> row = {"by": "overall", "target": "overall", "sd": 0.5, "ci_prob": 0.9}
    >>> set_for_paper(pd.DataFrame([row | {"units": "percentage points", "prob_helps": 0.7}]))
       SD (pp)  P(helps)
    0      0.5       0.7
    """
    units = _only(frame, "units") or frame.attrs.get("units")
    heading = {**_HEADINGS}
    if units is not None:
        short = _SHORT_UNITS.get(units, units)
        heading |= {name: f"{_HEADINGS.get(name, readable(name))} ({short})" for name in _IN_UNITS}
    by = _only(frame, "by")
    if by is not None and "target" in frame:
        heading["target"] = readable(by)
    left_out = [name for name in ("ci_prob", "units", "by") if _only(frame, name) is not None]
    left_out += ["target"] if by == "overall" and "target" in frame else []
    kept = frame.drop(columns=left_out)
    ours = [name for name in ("decision", "place") if name in kept]
    kept = kept.assign(**{name: kept[name].map(readable) for name in ours})  # not names of data
    return kept.set_axis(
        [heading.get(str(n), readable(str(n))) for n in kept.columns], axis="columns"
    )


def _only(frame: pd.DataFrame, column: str) -> str | None:
    """Give the one value of a column as text; None where there is none, or several."""
    if column not in frame or frame[column].nunique(dropna=False) != 1:
        return None
    return str(frame[column].iloc[0])


_MARKDOWN = re.compile(r"([\\`*|$]|(?<!\w)_|_(?!\w)|<(?=[A-Za-z/!?])|&(?=#?\w+;))")
"""What Markdown would not show as it is; an underscore inside a name and `< 0.01` it does."""

_NEGATIVE = re.compile(r"-[0-9.]+(e[+-]?[0-9]+)?")
_BREAKS = re.compile(r"[\s\x00-\x1f\x7f]+")


def _on_one_line(text: object) -> str:
    """Write a cell on one line: a break would end the row of a table."""
    return _BREAKS.sub(" ", str(text)).strip()


def _escape_markdown(text: object) -> str:
    return _MARKDOWN.sub(r"\\\1", _on_one_line(text))


def _as_markdown(frame: pd.DataFrame) -> str:
    """Write a pipe table, with the characters escaped that Markdown treats specially."""
    cells = set_for_paper(_for_reading(frame))
    names = [_escape_markdown(name) for name in cells.columns]
    rules = ["---:" if number else "---" for number in _are_numbers(frame)]
    rows = [[_escape_markdown(cell) for cell in row] for row in cells.to_numpy().tolist()]
    return "\n".join(f"| {' | '.join(row)} |" for row in [names, rules, *rows])


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


def escape_latex(text: str) -> str:
    """Escape the characters that LaTeX treats specially."""
    return text.translate(_SPECIAL)


def _latex_cell(text: str) -> str:
    """Escape a cell; neither its start is an option of the row before, nor two hyphens a dash.

    The sign of a negative number is a minus.
    """
    cell = escape_latex(text).replace("--", "-{}-")
    if _NEGATIVE.fullmatch(cell):
        return f"$-${cell[1:]}"
    return f"{{}}{cell}" if cell[:1] in ("[", "*") else cell


def _are_numbers(frame: pd.DataFrame) -> list[bool]:
    """Say which columns of a paper's table hold numbers, and stand on the right."""
    shown = set_for_paper(frame)
    kinds = [shown.iloc[:, k] for k in range(shown.shape[1])]
    return [pd.api.types.is_numeric_dtype(c) and not pd.api.types.is_bool_dtype(c) for c in kinds]


def _as_latex(frame: pd.DataFrame) -> str:
    """Write a booktabs tabular, with the characters escaped that LaTeX treats specially.

    So that it fits a column of text, headings run over several lines, what several rows begin with
    stands above them, and a single row is laid out as a list.
    """
    cells, numbers = set_for_paper(_for_reading(frame)), _are_numbers(frame)
    names = [_on_one_line(name) for name in cells.columns]
    rows = [[_on_one_line(cell) for cell in row] for row in cells.to_numpy().tolist()]
    if len(rows) == 1:
        rows = [[name, cell] for name, cell in zip(names, rows[0], strict=True) if cell]
        names, numbers = [], [False, False]
    n = _count_shared(rows, n_texts=[*numbers, True].index(True))
    columns = "".join("r" if number else "l" for number in numbers[n:])
    head = [_across(names[:n], n_columns=len(columns))] if n else []
    head += [_latex_row(line) for line in _stack(names[n:], [row[n:] for row in rows])]
    body = []
    for shared, group in groupby(rows, key=lambda row: row[:n]):
        body += [_across(shared, n_columns=len(columns))] if n else []
        body += [_latex_row(row[n:]) for row in group]
    edge = r"\enspace" if n else ""
    parts = [*head, r"\midrule", *body] if head else body
    parts = [rf"\begin{{tabular}}{{@{{{edge}}}{columns}@{{}}}}", r"\toprule", *parts]
    return "\n".join([*parts, r"\bottomrule", r"\end{tabular}"])


def _latex_row(cells: Iterable[str]) -> str:
    return " & ".join(map(_latex_cell, cells)) + r" \\"


def _across(cells: Iterable[str], *, n_columns: int) -> str:
    """Write a row over all columns, flush with the margin."""
    return rf"\multicolumn{{{n_columns}}}{{@{{}}l}}{{{_latex_cell(', '.join(cells))}}} \\"


def _count_shared(rows: list[list[str]], *, n_texts: int) -> int:
    """Count the first columns, all of text, that say the same in rows that follow each other."""
    for n in range(n_texts - 1, 0, -1):
        if len(list(groupby(rows, key=lambda row: row[:n]))) < len(rows):
            return n
    return 0


def _stack(names: list[str], rows: list[list[str]]) -> list[tuple[str, ...]]:
    """Lay headings out in lines, none wider than the cells below or its longest word."""
    stacks = []
    for k, name in enumerate(names):
        width = max([1, *(len(row[k]) for row in rows), *map(len, name.split())])
        stacks.append(wrap(name, width, break_on_hyphens=False) or [""])
    height = max(map(len, stacks), default=1)
    return list(zip(*([""] * (height - len(s)) + s for s in stacks), strict=True))


def _as_html(frame: pd.DataFrame) -> str:
    """Write a table element, with the characters escaped that HTML treats specially."""
    cells = set_for_paper(_for_reading(frame))
    styles = [' style="text-align: right"' if number else "" for number in _are_numbers(frame)]

    def row(tag: str, cells: list[object]) -> str:
        parts = zip(styles, cells, strict=True)
        return "".join(f"<{tag}{s}>{html.escape(str(c))}</{tag}>" for s, c in parts)

    body = [f"<tr>{row('td', line)}</tr>" for line in cells.to_numpy().tolist()]
    head = f"<thead>\n<tr>{row('th', list(cells.columns))}</tr>\n</thead>"
    return "\n".join(["<table>", head, "<tbody>", *body, "</tbody>", "</table>"])


FORMATS: dict[str, Callable[[pd.DataFrame], str]] = {
    "table": _as_table,
    "json": _as_json,
    "csv": _as_csv,
    "md": _as_markdown,
    "latex": _as_latex,
    "html": _as_html,
}
"""How a table may be written."""

_FLOAT = "\\begin{table}\n\\centering\\footnotesize\\setlength{\\tabcolsep}{2.5pt}\n"
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
    if ci_prob is None:
        return None
    words = f"Medians with {100 * float(ci_prob):g} % equal-tailed intervals"
    if units is not None:
        words += f", in {units}" + (f" ({_SHORT_UNITS[units]})" if units in _SHORT_UNITS else "")
    return f"{words}, over all benchmarks." if _only(frame, "by") == "overall" else f"{words}."


def format_table(frame: pd.DataFrame, *, fmt: str = "table", caption: str | None = None) -> str:
    """Write a table as text.

    Parameters
    ----------
    frame
        The table.
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
        If the format is not known.

    Examples
    --------
    >>> print(format_table(pd.DataFrame({"lm": ["a_b"], "sd": [0.123]}), fmt="md"))
    | lm | SD |
    | --- | ---: |
    | a_b | 0.12 |
    """
    if fmt not in FORMATS:
        raise QueryError(
            f"format '{fmt}' is not known.{suggest(fmt, FORMATS)} Allowed: {listing(FORMATS)}."
        )
    text = FORMATS[fmt](frame)
    if fmt in _FOR_PAPERS:
        caption = " ".join(filter(None, [caption, describe_intervals(frame)])) or None
    return text if caption is None else _add_caption(text, fmt=fmt, caption=caption)


def _add_caption(text: str, *, fmt: str, caption: str) -> str:
    if fmt == "latex":
        words = escape_latex(_on_one_line(caption))
        return f"{_FLOAT}\\caption{{{words}}}\n{text}\n\\end{{table}}"
    if fmt == "html":
        return text.replace("<table>", f"<table>\n<caption>{html.escape(caption)}</caption>", 1)
    words = {"table": _on_one_line(caption), "md": _escape_markdown(caption)}.get(fmt)
    return text if words is None else f"{text}\n\n{words}"
