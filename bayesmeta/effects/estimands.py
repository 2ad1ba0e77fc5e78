"""What is asked: contrasts of a decision's levels."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass

import numpy as np
import pandas as pd

from bayesmeta.data.schema import get_column
from bayesmeta.design import DECISIONS, SIZES, UNDISCLOSED, Decision, Design
from bayesmeta.errors import QueryError, listing, shorten, suggest
from bayesmeta.inference.fits import Fit

__all__ = [
    "BY",
    "LM_FAMILY",
    "UNITS",
    "Contrast",
    "build_contrast",
    "check_seed",
    "default_contrasts",
    "find_decision",
    "in_units",
    "is_prior",
    "knows_sizes",
    "read_number",
    "read_size",
    "refuse_prior",
]

UNITS = "percentage points"
BY = ("benchmark", "task_family", "overall")
"""Over what an effect is averaged: one benchmark, a task family's benchmarks, all of them."""

_LARGE = 1e7
_PLAIN = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?", re.ASCII | re.IGNORECASE)
"""A number as one types it; `float` would also read 2_0 and digits of other scripts."""

LM_FAMILY = "lm_family"
"""Another kind of target: all benchmarks, and the lms of one family."""


@dataclass(frozen=True, slots=True)
class Contrast:
    """A decision at one level against another, all other recorded facts held as they are.

    Parameters
    ----------
    decision
        Name of the decision.
    level, reference
        Two levels of a categorical decision, or two values in the units of the table.

    Examples
    --------
    >>> Contrast("norm", level="rmsnorm", reference="layernorm").label
    'norm: rmsnorm > layernorm'
    """

    decision: str
    level: str | float
    reference: str | float

    @property
    def label(self) -> str:
        """The statement that the effect is positive."""
        return f"{self.decision}: {format_level(self.level)} > {format_level(self.reference)}"


def format_level(level: str | float) -> str:
    """Write a level or a value as a user would type it; counts of tokens as 2e12."""
    if isinstance(level, str):
        return level
    return re.sub(r"e\+0*", "e", f"{level:.{10 if abs(level) < _LARGE else 4}g}")


def find_decision(fit: Fit, *, name: str) -> Decision:
    """Look up a decision that the fit knows.

    Parameters
    ----------
    fit
        The fit.
    name
        Name of the decision.

    Returns
    -------
    Decision
        The decision.

    Raises
    ------
    QueryError
        If the fit has no such decision.
    """
    allowed = list_decisions(fit)
    if isinstance(name, str) and name in allowed:
        return DECISIONS[name]
    if isinstance(name, str) and name in SIZES and fit.spec.scaling != "none":
        raise QueryError(
            f"'{name}' is no design decision, and has no effect of a step to list. Ask for two "
            f"values of it: bm.query(fit, '{name}: 2e12 > 1e12')."
        )
    if not allowed:
        raise QueryError(
            f"decision '{name}' cannot be asked for: this fit has no decisions (a scale-only "
            "model). Fit a spec with decisions."
        )
    if isinstance(name, str) and any(sign in name for sign in ":<>"):
        raise QueryError(
            f"'{shorten(name)}' is a statement where the name of a decision is wanted, or one "
            f"without its colon. Allowed: {listing(allowed)}. Statements, such as 'attention: gqa "
            "> mha', are taken by bm.query and bm.effects."
        )
    known = isinstance(name, str) and name in DECISIONS
    why = " It does not vary in this fit's data or was left out of its spec." * known
    raise QueryError(
        f"decision '{shorten(name)}' is not in this fit.{suggest(name, allowed)}{why} Allowed: "
        f"{listing(allowed)}."
    )


def in_units(table: pd.DataFrame, units: str) -> pd.DataFrame:
    """Say the units of a table's estimates and intervals, for the headings of a paper."""
    table.attrs["units"] = units
    return table


def is_prior(fit: Fit) -> bool:
    """Say whether a fit holds draws of the prior, behind which no data stand."""
    return fit.provenance.get("sampler") == "prior"


def refuse_prior(fit: Fit) -> None:
    """Refuse draws of the prior where it is asked what the data say."""
    list_decisions(fit)
    if is_prior(fit):
        raise QueryError(
            "these are draws of the prior: no data stand behind them, and there is nothing to "
            "weigh or to claim. Allowed: a posterior, such as bm.load_reference_fit(). Of prior "
            "draws ask bm.effects or bm.prob_helps."
        )


def read_number(value: object) -> float:
    """Read a number as one types it in a table; NaN where it is none."""
    if isinstance(value, bool) or (isinstance(value, str) and not _PLAIN.fullmatch(value.strip())):
        return math.nan
    try:
        return float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError, OverflowError):
        return math.nan


def check_seed(seed: int) -> None:
    """Refuse a seed that is none."""
    is_whole = isinstance(seed, int | np.integer) and not isinstance(seed, bool)
    if not is_whole or seed < 0:
        raise QueryError(f"seed is {shorten(seed)}. Allowed: a whole number from 0 up, such as 1.")


def list_decisions(fit: Fit) -> list[str]:
    """List the decisions that a fit can be asked for."""
    if not isinstance(fit, Fit):
        raise QueryError(
            f"fit is {fit!r}. Allowed: a Fit, such as bm.load_reference_fit() or bm.load_fit(path)."
        )
    return [name for name, item in DECISIONS.items() if _is_modelled(fit.design, item)]


def _is_modelled(design: Design, decision: Decision) -> bool:
    if decision.in_mix:
        return design.mix is not None and decision.name in design.mix.domains
    return decision.name in design.decisions


def list_levels(fit: Fit, *, decision: Decision) -> list[str]:
    """List the levels of a categorical decision that occur in the data."""
    return [term.level for term in fit.design.terms if term.decision == decision.name]


def build_contrast(
    fit: Fit, *, decision: str, level: str | float, reference: str | float
) -> Contrast:
    """Check two levels of a decision.

    Parameters
    ----------
    fit
        The fit.
    decision
        Name of the decision; or `n_params`, `n_tokens`.
    level, reference
        What is compared with what.

    Returns
    -------
    Contrast
        The contrast.

    Raises
    ------
    QueryError
        If the fit does not know the decision or a level, or the two are the same.

    Examples
    --------
    >>> import bayesmeta as bm
    >>> fit = bm.load_reference_fit()
    >>> build_contrast(fit, decision="code_share", level="20", reference=10).level
    20.0
    """
    sides = [_read_side(fit, decision, side) for side in (level, reference)]
    contrast = Contrast(decision, level=sides[0], reference=sides[1])
    if contrast.level == contrast.reference:
        raise QueryError(
            f"'{contrast.label}' compares a level with itself. Name two different ones."
        )
    return contrast


def _read_side(fit: Fit, name: str, side: str | float) -> str | float:
    if isinstance(name, str) and name in SIZES and knows_sizes(fit):
        return read_size(name, side)
    return read_level(fit, decision=find_decision(fit, name=name), level=side)


def knows_sizes(fit: Fit) -> bool:
    """Say whether a fit can be asked for size and data."""
    list_decisions(fit)
    return fit.spec.scaling != "none"


def read_size(name: str, value: str | float) -> float:
    """Check a number of parameters or tokens."""
    column, count = get_column("lms", name=name), read_number(value)
    if not column.low <= count <= column.high:
        raise QueryError(f"{name} is '{shorten(value)}'. {column.expects} Write it as 7e9.")
    return count


def read_level(fit: Fit, *, decision: Decision, level: str | float) -> str | float:
    """Check a level, or a value in the units of the table, of a decision that the fit knows."""
    read = _read_word if decision.kind == "categorical" else _read_value
    return read(fit, decision, level)


def _read_word(fit: Fit, decision: Decision, level: str | float) -> str:
    levels = list_levels(fit, decision=decision)
    word = decision.level_of(str(level))
    if word not in levels:
        raise QueryError(
            f"level '{shorten(level)}' of {decision.name} is not in this fit."
            f"{suggest(level, levels)} Allowed: {listing(levels)}."
        )
    return word


def _read_value(fit: Fit, decision: Decision, level: str | float) -> float:
    top = 100.0 if decision.kind == "share" else math.inf
    unit = "percent of the training tokens" if decision.kind == "share" else "the table's unit"
    value = read_number(level)
    if not (0 <= value <= top) or value == math.inf or (decision.kind == "numeric" and value == 0):
        upper = f" to {top:g}" if top < math.inf else " up, without zero"
        raise QueryError(
            f"value '{shorten(level)}' of {decision.name} is not allowed. Allowed: a number from 0"
            f"{upper} ({unit}), as in '{decision.name}: 20 > 10'."
        )
    return value


def default_contrasts(fit: Fit, *, decision: str) -> tuple[Contrast, ...]:
    """List the contrasts that a table of effects shows for a decision.

    Every level of a categorical decision against the commonest one; one step up from the median
    of a numeric one.

    Parameters
    ----------
    fit
        The fit.
    decision
        Name of the decision.

    Returns
    -------
    tuple of Contrast
        In the order of the levels.
    """
    found = find_decision(fit, name=decision)
    if found.kind == "categorical":
        recorded = found.read_levels(fit.dataset.lms)
        counts = recorded[recorded != UNDISCLOSED].value_counts()
        common = str(counts.index[0])
        levels = [level for level in list_levels(fit, decision=found) if level != common]
        return tuple(Contrast(decision, level=level, reference=common) for level in levels)
    column = found.read(fit.dataset.lms)
    median, top = float(np.nanmedian(column.to_numpy(float))), float(column.max())
    if found.kind == "share":
        low = float(max(0.0, min(round(median), top - found.step)))
        return (Contrast(decision, level=low + found.step, reference=low),)
    low = min(median, top / found.step)
    return (Contrast(decision, level=low * found.step, reference=low),)


def lies_outside(fit: Fit, *, name: str, value: str | float) -> bool:
    """Say whether a number, or a month, lies outside what the lms of the data record."""
    if name in DECISIONS and DECISIONS[name].kind == "categorical":
        return False
    column = fit.dataset.lms[name].dropna()
    return not column.empty and not column.min() <= value <= column.max()
