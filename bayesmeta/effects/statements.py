"""Statements in the user's words, parsed once."""

from __future__ import annotations

import re

from bayesmeta.effects.estimands import build_contrast
from bayesmeta.effects.mix_swaps import Asked, build_swap
from bayesmeta.errors import QueryError, shorten
from bayesmeta.inference.fits import Fit

__all__ = ["parse_statement"]

_STATEMENT = re.compile(
    r"^\s*(?P<name>[^:<>]+?)\s*:\s*(?P<a>[^<>]+?)\s*(?P<op>[<>])\s*(?P<b>[^<>]+?)\s*$"
)
_SWAPS = (
    re.compile(
        r"^\s*(?P<name>[^:<>]+?)\s*:\s*\+?\s*(?P<points>\S+)\s+from\s+(?P<donor>[^:<>]+?)\s*$"
    ),
    re.compile(
        r"^\s*swap\s+(?P<donor>\S+)\s*(?:->|\u2192)\s*(?P<name>\S+)\s+by\s+(?P<points>\S+)\s*$",
        re.IGNORECASE,
    ),
)

_MOST = 500
"""Characters of a statement; no names are so long."""


def parse_statement(fit: Fit, *, statement: str) -> Asked:
    """Read a statement such as `position_embedding: rotary > learned`.

    Parameters
    ----------
    fit
        The fit that is asked.
    statement
        `DECISION: A > B`; `DECISION: A < B`, which asks for the opposite; the same of two values of
        `n_params` or `n_tokens`; or `PART: +POINTS from PART`, also written
        `swap PART -> PART by POINTS`, which moves points of the training mix.

    Returns
    -------
    Contrast or Swap
        A against B, or the swap.

    Raises
    ------
    QueryError
        If it has another form, or names what the fit does not know.

    Examples
    --------
    >>> import bayesmeta as bm
    >>> parse_statement(bm.load_reference_fit(), statement="norm: layernorm < rmsnorm").label
    'norm: rmsnorm > layernorm'
    """
    text = statement if isinstance(statement, str) and len(statement) <= _MOST else ""
    for form in _SWAPS:
        if swap := form.match(text):
            return build_swap(
                fit, receiver=swap["name"], donor=swap["donor"], points=swap["points"]
            )
    match = _STATEMENT.match(text)
    if match is None:
        raise QueryError(
            f"statement '{shorten(statement)}' cannot be read. Allowed: 'DECISION: A > B', such as "
            "'position_embedding: rotary > learned', 'code_share: 20 > 10' or 'n_tokens: 2e12 > "
            "1e12', and 'swap PART -> PART by POINTS', such as 'swap web_share -> code_share by "
            "10', which is the same as 'code_share: +10 from web_share'."
        )
    high, low = (match["a"], match["b"]) if match["op"] == ">" else (match["b"], match["a"])
    return build_contrast(fit, decision=match["name"], level=high, reference=low)
