"""How the sections of a report write numbers, intervals and verdicts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

__all__ = [
    "BOUNDS",
    "MARKS",
    "count",
    "marked",
    "name_few",
    "percent",
    "readable",
    "signed",
    "with_interval",
    "with_mcse",
]

MARKS = {"identified": "●", "weakly identified": "◐", "prior-driven": "○"}
BOUNDS = {"0.000": "< 0.001", "1.000": "> 0.999"}
"""What stands for a probability that would read as 0 or 1."""

_MINUS = "\N{MINUS SIGN}"


def signed(value: float, digits: int = 1) -> str:
    """Write a number with its sign; zero has none."""
    text = f"{value:+.{digits}f}".replace("-", _MINUS)
    return text if float(f"{value:.{digits}f}") else text[1:]  # zero has no sign


def percent(share: float, *, whole: bool = True) -> str:
    """Write a share in percent, rounded, or a chosen probability as it is."""
    return f"{100 * share:.0f} %" if whole else f"{100 * share:g} %"


def with_interval(values: Mapping[str, Any]) -> str:
    """Write an estimate with its interval."""
    estimate, lower, upper = (signed(float(values[k])) for k in ("estimate", "lower", "upper"))
    return f"{estimate} ({lower} to {upper})"


def readable(name: str) -> str:
    """Write a name of ours without underscores."""
    return name.replace("_", " ")


def count(n: int, one: str, many: str) -> str:
    """Write a number of things."""
    return f"{n} {one if n == 1 else many}"


def name_few(names: Sequence[str], *, most: int = 3) -> str:
    """List a few names; of more say how many there are."""
    return (
        ", ".join(names)
        if len(names) <= most
        else f"{', '.join(names[:most])} and " + (f"{len(names) - most} more")
    )


def marked(name: str) -> str:
    """Write a verdict behind its mark."""
    return f"{MARKS[name]} {name}"


def with_mcse(estimate: Any, mcse: Any) -> str:
    """Write a probability with its Monte Carlo error; 0 and 1 as bounds."""
    text = f"{float(estimate):.3f}"
    return f"{BOUNDS.get(text, text)} ({float(mcse):.3f})"
