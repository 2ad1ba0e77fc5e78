"""Tables to text: aligned columns, JSON, CSV, Markdown, LaTeX, HTML."""

from __future__ import annotations

import html
import json
import re
from collections.abc import Callable

import pandas as pd

from bayesmeta.errors import QueryError, listing, suggest

__all__ = ["FORMATS", "describe_intervals", "escape_latex", "format_frame"]

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
_BOUNDS = {"0.000": "< 0.001", "1.000": "> 0.999"}


def _for_reading(frame: pd.DataFrame) -> pd.DataFrame:
    """Round for the eye; a probability that would read as 0 or 1 reads as a bound."""
    texts = {
        name: ["-" if pd.isna(value) else f"{value:.{digits}f}" for value in frame[name]]
        for name, digits in _ROUNDED.items()
        if name in frame
    }
    for name in set(texts) & _PROBABILITIES:
        texts[name] = [_BOUNDS.get(text, text) for text in texts[name]]
    return frame.assign(**texts)


def _as_table(frame: pd.DataFrame) -> str:
    return _for_reading(frame).to_string(index=False)


def _as_json(frame: pd.DataFrame) -> str:
    return json.dumps(json.loads(frame.to_json(orient="records")), indent=2)


def _as_csv(frame: pd.DataFrame) -> str:
    return frame.to_csv(index=False).rstrip("\n")


_MARKDOWN = re.compile(r"([\\`*|]|<(?=[A-Za-z/!?])|&(?=#?\w+;))")
"""What Markdown would not show as it is; an underscore inside a name and `< 0.01` it does."""

_BREAKS = re.compile(r"[\s\x00-\x1f\x7f]+")


def _on_one_line(text: object) -> str:
    """Write a cell on one line: a break would end the row of a table."""
    return _BREAKS.sub(" ", str(text)).strip()


def _escape_markdown(text: object) -> str:
    return _MARKDOWN.sub(r"\\\1", _on_one_line(text))


def _as_markdown(frame: pd.DataFrame) -> str:
    cells = _for_reading(frame)
    names = [_escape_markdown(name) for name in cells.columns]
    rows = [[_escape_markdown(cell) for cell in row] for row in cells.to_numpy().tolist()]
    return "\n".join(f"| {' | '.join(row)} |" for row in [names, ["---"] * len(names), *rows])


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


def _latex_cell(text: object) -> str:
    """Escape a cell; neither its start is an option of the row before, nor two hyphens a dash."""
    cell = escape_latex(_on_one_line(text)).replace("--", "-{}-")
    return f"{{}}{cell}" if cell[:1] in ("[", "*") else cell


def _are_numbers(frame: pd.DataFrame) -> list[bool]:
    """Say which columns hold numbers, and stand on the right."""
    kinds = [frame.iloc[:, k] for k in range(frame.shape[1])]
    return [pd.api.types.is_numeric_dtype(c) and not pd.api.types.is_bool_dtype(c) for c in kinds]


def _as_latex(frame: pd.DataFrame) -> str:
    """Write a booktabs tabular, with the characters escaped that LaTeX treats specially."""
    cells = [[_latex_cell(c) for c in row] for row in _for_reading(frame).to_numpy().tolist()]
    header = " & ".join(_latex_cell(name) for name in frame.columns)
    body = "".join(" & ".join(row) + " \\\\\n" for row in cells)
    columns = "".join("r" if number else "l" for number in _are_numbers(frame))
    return (
        f"\\begin{{tabular}}{{{columns}}}\n\\toprule\n{header} \\\\\n\\midrule\n{body}"
        "\\bottomrule\n\\end{tabular}"
    )


def _as_html(frame: pd.DataFrame) -> str:
    """Write a table element, with the characters escaped that HTML treats specially."""
    styles = [' style="text-align: right"' if number else "" for number in _are_numbers(frame)]

    def row(tag: str, cells: list[object]) -> str:
        parts = zip(styles, cells, strict=True)
        return "".join(f"<{tag}{s}>{html.escape(str(c))}</{tag}>" for s, c in parts)

    body = [f"<tr>{row('td', cells)}</tr>" for cells in _for_reading(frame).to_numpy().tolist()]
    head = f"<thead>\n<tr>{row('th', list(frame.columns))}</tr>\n</thead>"
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
    'Medians with 90 % equal-tailed intervals, in percentage points.'
    """
    if "ci_prob" not in frame or frame["ci_prob"].nunique() != 1:
        return None
    units = ""
    if "units" in frame and frame["units"].nunique() == 1:
        units = f", in {frame['units'].iloc[0]}"
    return f"Medians with {100 * frame['ci_prob'].iloc[0]:g} % equal-tailed intervals{units}."


def format_frame(frame: pd.DataFrame, *, fmt: str = "table", caption: str | None = None) -> str:
    """Write a table as text.

    Parameters
    ----------
    frame
        The table.
    fmt
        `table`, `json`, `csv`, `md`, `latex` or `html`; JSON and CSV keep full precision.
    caption
        A caption, such as `describe_intervals` words; it makes LaTeX a floating table. Programs
        read JSON and CSV, which go without.

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
    >>> print(format_frame(pd.DataFrame({"lm": ["a_b"], "sd": [0.123]}), fmt="md"))
    | lm | sd |
    | --- | --- |
    | a_b | 0.12 |
    """
    if fmt not in FORMATS:
        raise QueryError(
            f"format '{fmt}' is not known.{suggest(fmt, FORMATS)} Allowed: {listing(FORMATS)}."
        )
    text = FORMATS[fmt](frame)
    return text if caption is None else _add_caption(text, fmt=fmt, caption=caption)


def _add_caption(text: str, *, fmt: str, caption: str) -> str:
    if fmt == "latex":
        words = escape_latex(_on_one_line(caption))
        return f"\\begin{{table}}\n\\centering\n\\caption{{{words}}}\n{text}\n\\end{{table}}"
    if fmt == "html":
        return text.replace("<table>", f"<table>\n<caption>{html.escape(caption)}</caption>", 1)
    words = {"table": _on_one_line(caption), "md": _escape_markdown(caption)}.get(fmt)
    return text if words is None else f"{text}\n\n{words}"
