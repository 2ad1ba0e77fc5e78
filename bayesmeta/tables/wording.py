"""How tables, figures and reports write names, numbers, intervals and verdicts."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from bayesmeta import defaults

MARKS: dict[str, str] = dict(zip(defaults.VERDICTS, "●▲◐○", strict=True))
MEANINGS: dict[str, str] = {
    defaults.SUPPORTED: "controlled experiments of two studies or more and the posterior tell the "
    "same direction, and LMs do not contradict them",
    defaults.CONFLICTING: "controlled experiments and LMs disagree: an association that an "
    "experiment does not find",
    defaults.ASSOCIATION_ONLY: "LMs that have it differ; no controlled experiment that informed "
    "the fit says so, or too few do, or not clearly",
    defaults.PRIOR_DOMINATED: "the data hardly speak to it: do not read the probability as "
    "evidence",
}
"""What each verdict means."""

KIND_HEADINGS = {
    "effect": "effect on average",
    "new_setting": "effect in a new setting",
    "association": "association",
}
"""Kinds of differences, as tables head them."""

KIND_WORDS = {
    "association": "associations",
    "effect": "effects",
    "new_setting": "effects in a new setting",
}
"""What differences are: what distinguishes LMs, what changing a decision does on average, and what
it does in a setting that is not in the data."""

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


_FACTS = ("position_embedding", "weight_tying", "context_length", "mlp_ratio", "n_params",
          "n_tokens", "best_sum", "loss_starts")  # fmt: skip
_SHARES = ("web_share", "code_share", "books_share", "reference_share", "academic_share",
           "english_share")  # fmt: skip
"""Names of ours with underscores, and those of them that are measured in percent."""


def write_fact(value: object) -> str:
    """Write the name of a fact or of a place on a curve; a name of the data stays as it is."""
    text = str(value)
    if text in _SHARES:
        return f"{readable(text)} (%)"
    return readable(text) if text in _FACTS else text


_MARKDOWN = re.compile(r"([\\`*|$]|(?<!\w)_|_(?!\w)|<(?=[A-Za-z/!?])|&(?=#?\w+;))")
_MARKDOWN_ANYWHERE = re.compile(r"([\\`*_\[\]<>|~$#&])")
"""What Markdown would not show as it is in a cell, where an underscore inside a name and `< 0.01`
are shown, and what it would not at any place of a document."""


def escape_markdown(text: str, *, in_cell: bool = True) -> str:
    r"""Escape what Markdown, and HTML inside it, treat specially.

    Examples
    --------
    >>> print(escape_markdown("a_b | <c>"), escape_markdown("a_b | <c>", in_cell=False))
    a_b \| \<c> a\_b \| \<c\>
    """
    return (_MARKDOWN if in_cell else _MARKDOWN_ANYWHERE).sub(r"\\\1", text)


def count(n: int, one: str, many: str) -> str:
    """Write a number of things."""
    return f"{n} {one if n == 1 else many}"


def name_few(names: Sequence[str], *, most: int = 3) -> str:
    """List a few names; of more say how many there are."""
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more


def marked(name: str) -> str:
    """Write a verdict behind its mark."""
    return f"{MARKS[name]} {name}"


def with_mcse(estimate: Any, mcse: Any) -> str:
    """Write a probability with its Monte Carlo error; 0 and 1 as bounds."""
    text = f"{float(estimate):.3f}"
    return f"{BOUNDS.get(text, text)} ({float(mcse):.3f})"
