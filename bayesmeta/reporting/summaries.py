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

from bayesmeta.design import FACTS
from bayesmeta.errors import QueryError, listing, shorten, suggest
from bayesmeta.reporting.latex import Grid, write_table
from bayesmeta.reporting.wording import BOUNDS, name_few, readable

__all__ = ["FORMATS", "describe_intervals", "format_table", "set_for_paper"]

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
            "prob_helps_least": 3, "prob_helps_most": 3, "prob_equivalent": 3, "prob_more": 3,
            "prob_more_mcse": 3, "prior_more": 3, "equivalence": 2, "more_than": 2,
            "random": 2, "leave_family_out": 2, "leakage": 2}  # fmt: skip


_PROBABILITIES = {"probability", "prior_more"} | {
    name for name in _ROUNDED if name.startswith("prob_") and not name.endswith("_mcse")
}


def _for_reading(frame: pd.DataFrame) -> pd.DataFrame:
    """Round for the eye; a probability that would read as 0 or 1 reads as a bound."""
    texts = {
        name: ["-" if pd.isna(value) else f"{value:.{digits}f}" for value in frame[name]]
        for name, digits in _ROUNDED.items()
        if name in frame and pd.api.types.is_numeric_dtype(frame[name])
    }
    for name in set(texts) & _PROBABILITIES:
        texts[name] = [BOUNDS.get(text, text) for text in texts[name]]
    return frame.assign(**texts)


def _as_table(frame: pd.DataFrame, caption: str | None) -> str:
    text = _for_reading(frame).to_string(index=False)
    return text if caption is None else f"{text}\n\n{caption}"


def _as_json(frame: pd.DataFrame, _: str | None) -> str:
    return json.dumps(json.loads(frame.to_json(orient="records")), indent=2)


def _as_csv(frame: pd.DataFrame, _: str | None) -> str:
    return frame.to_csv(index=False).rstrip("\n")


_PLACES = ("best_sum", "loss_starts")
_SHORT_UNITS = {"percentage points": "pp", "% of training tokens": "%"}
_IN_UNITS = ("estimate", "sd", "lower", "upper", "as_is", "changed", "difference",
             "prior_lower", "prior_upper", "lower_observed", "upper_observed", "lowest", "highest",
             "equivalence", "more_than")  # fmt: skip
"""Columns whose unit is that of the effects of a table."""

_HEADINGS = {"prob_helps": "P(helps)", "prob_best": "P(best)", "prob_conflict": "P(conflict)",
             "prob_equivalent": "P(no difference)", "prob_at_lower_edge": "P(at lower edge)",
             "prob_at_upper_edge": "P(at upper edge)", "prob_between_15_25": "P(best at 15-25)",
             "prob_helps_least": "least P(helps)", "prob_helps_most": "most P(helps)",
             "prob_more": "P(more)", "prob_more_mcse": "MCSE of P(more)",
             "prior_more": "prior P(more)",
             "equivalence": "no difference up to", "among": "averaged over",
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
    ours = [name for name in ("decision", "reference", "place") if name in kept]
    kept = kept.assign(**{name: kept[name].map(_name) for name in ours})
    kept = kept[_order_columns(kept)]
    return kept.set_axis(
        [heading.get(str(n), readable(str(n))) for n in kept.columns], axis="columns"
    )


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


def _name(word: object) -> str:
    """Write a name of ours as in a paper; a name of the data stays as it is."""
    text = str(word)
    if text not in FACTS and text not in _PLACES:
        return text
    return readable(text) + (" (%)" if text in FACTS and FACTS[text].kind == "share" else "")


def _only(frame: pd.DataFrame, column: str) -> str | None:
    """Give the one value of a column as text; None where there is none, or several."""
    values = frame[column].map(str).unique() if column in frame else []
    return values[0] if len(values) == 1 else None


_MARKDOWN = re.compile(r"([\\`*|$]|(?<!\w)_|_(?!\w)|<(?=[A-Za-z/!?])|&(?=#?\w+;))")
"""What Markdown would not show as it is; an underscore inside a name and `< 0.01` it does."""

_BREAKS = re.compile(r"[\s\x00-\x1f\x7f]+")


def _on_one_line(value: object) -> str:
    """Write a cell on one line: a break would end the row of a table."""
    if isinstance(value, float):
        return "-" if pd.isna(value) else f"{value:.10g}"
    missing = value is None or value is pd.NA or value is pd.NaT
    return "-" if missing else _BREAKS.sub(" ", str(value)).strip()


def _build_grid(frame: pd.DataFrame) -> Grid:
    """Lay a table out for a paper."""
    raw, cells = set_for_paper(frame), set_for_paper(_for_reading(frame))
    kinds = [raw.iloc[:, k] for k in range(raw.shape[1])]
    return Grid(
        [_on_one_line(name) for name in cells.columns],
        [[_on_one_line(cell) for cell in row] for row in cells.astype(object).to_numpy().tolist()],
        [pd.api.types.is_numeric_dtype(c) and not pd.api.types.is_bool_dtype(c) for c in kinds],
    )


def _escape_markdown(text: str) -> str:
    return _MARKDOWN.sub(r"\\\1", text)


def _as_markdown(frame: pd.DataFrame, caption: str | None) -> str:
    """Write a pipe table, with the characters escaped that Markdown treats specially."""
    grid = _build_grid(frame)
    rules = ["---:" if is_number else "---" for is_number in grid.are_numbers]
    names, *rows = [[_escape_markdown(cell) for cell in row] for row in (grid.names, *grid.rows)]
    lines = [f"| {' | '.join(row)} |" for row in (names, rules, *rows)]
    return "\n".join([*lines, *([] if caption is None else ["", _escape_markdown(caption)])])


def _as_latex(frame: pd.DataFrame, caption: str | None) -> str:
    return write_table(_build_grid(frame), caption=caption)


def _as_html(frame: pd.DataFrame, caption: str | None) -> str:
    """Write a table element, with the characters escaped that HTML treats specially."""
    grid = _build_grid(frame)
    styles = [' style="text-align: right"' if is_number else "" for is_number in grid.are_numbers]

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
    words = f"Medians with {100 * float(ci_prob):g} % equal-tailed intervals"
    if units is not None:
        words += f", in {units}" + (f" ({_SHORT_UNITS[units]})" if units in _SHORT_UNITS else "")
    words += ", over all benchmarks" if _only(frame, "by") in ("overall", "lm_family") else ""
    among = frame.attrs.get("among")
    return f"{words}, averaged over {name_few(among)}." if among else f"{words}."


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
        If the format is not known, or it is no table.

    Examples
    --------
    >>> print(format_table(pd.DataFrame({"lm": ["a_b"], "sd": [0.123]}), fmt="md"))
    | lm | SD |
    | --- | ---: |
    | a_b | 0.12 |
    """
    if fmt not in FORMATS:
        raise QueryError(
            f"format '{shorten(fmt)}' is not known.{suggest(fmt, FORMATS)} Allowed: "
            f"{listing(FORMATS)}."
        )
    frame = _check_table(frame)
    if fmt in _FOR_PAPERS:
        parts = [None if caption is None else _end(caption), describe_intervals(frame)]
        caption = " ".join(filter(None, parts)) or None
    return FORMATS[fmt](frame, None if caption is None else _on_one_line(caption))


def _check_table(frame: object) -> pd.DataFrame:
    """Refuse what is no table; what an index is named for is a column of it."""
    if not isinstance(frame, pd.DataFrame) or not len(frame.columns):
        what = "has no columns" if isinstance(frame, pd.DataFrame) else f"is {type(frame).__name__}"
        raise QueryError(
            f"the table {what}. Allowed: a pandas DataFrame of at least one column, such as "
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
