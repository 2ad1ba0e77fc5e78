"""Tables to text: aligned columns, JSON, CSV, Markdown, LaTeX."""

from __future__ import annotations

import json
from collections.abc import Callable

import pandas as pd

from bayesmeta.errors import QueryError, listing, suggest

__all__ = ["FORMATS", "escape_latex", "format_frame"]

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


def _as_markdown(frame: pd.DataFrame) -> str:
    cells = _for_reading(frame).astype(str)
    rows = [list(cells.columns), ["---"] * len(cells.columns), *cells.to_numpy().tolist()]
    return "\n".join("| " + " | ".join(row) + " |" for row in rows)


_SPECIAL = str.maketrans(
    {
        **{c: f"\\{c}" for c in "_%&#${}"},
        "<": "$<$",
        ">": "$>$",
        "~": "\\textasciitilde{}",
        "^": "\\textasciicircum{}",
        "\\": "\\textbackslash{}",
    }
)


def escape_latex(text: str) -> str:
    """Escape the characters that LaTeX treats specially."""
    return text.translate(_SPECIAL)


def _as_latex(frame: pd.DataFrame) -> str:
    """Write a booktabs tabular, with the characters escaped that LaTeX treats specially."""
    cells = [[escape_latex(str(c)) for c in row] for row in _for_reading(frame).to_numpy()]
    header = " & ".join(escape_latex(str(name)) for name in frame.columns)
    body = " \\\\\n".join(" & ".join(row) for row in cells)
    columns = "l" * len(frame.columns)
    return (
        f"\\begin{{tabular}}{{{columns}}}\n\\toprule\n{header} \\\\\n\\midrule\n{body} \\\\\n"
        "\\bottomrule\n\\end{tabular}"
    )


FORMATS: dict[str, Callable[[pd.DataFrame], str]] = {
    "table": _as_table,
    "json": _as_json,
    "csv": _as_csv,
    "md": _as_markdown,
    "latex": _as_latex,
}
"""How a table may be written."""


def format_frame(frame: pd.DataFrame, *, fmt: str = "table") -> str:
    """Write a table as text.

    Parameters
    ----------
    frame
        The table.
    fmt
        `table`, `json`, `csv`, `md` or `latex`; JSON and CSV keep full precision.

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
    return FORMATS[fmt](frame)
