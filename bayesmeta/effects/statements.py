"""Statements in the user's words, parsed once."""

from __future__ import annotations

import re

from bayesmeta.effects.estimands import build_contrast
from bayesmeta.effects.mix_swaps import Asked, build_swap
from bayesmeta.errors import QueryError
from bayesmeta.inference.fit import Fit

__all__ = ["parse_statement"]

_STATEMENT = re.compile(
    r"^\s*(?P<name>[^:<>]+?)\s*:\s*(?P<a>[^<>]+?)\s*(?P<op>[<>])\s*(?P<b>[^<>]+?)\s*$"
)
_SWAP = re.compile(
    r"^\s*(?P<name>[^:<>]+?)\s*:\s*\+?\s*(?P<points>\S+)\s+from\s+(?P<donor>[^:<>]+?)\s*$"
)


def parse_statement(fit: Fit, *, statement: str) -> Asked:
    """Read a statement such as `position_embedding: rotary > learned`.

    Parameters
    ----------
    fit
        The fit that is asked.
    statement
        `DECISION: A > B`; `DECISION: A < B`, which asks for the opposite; or
        `PART: +POINTS from PART`, which moves points of the training mix.

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
    text = statement if isinstance(statement, str) else ""
    if swap := _SWAP.match(text):
        return build_swap(fit, receiver=swap["name"], donor=swap["donor"], points=swap["points"])
    match = _STATEMENT.match(text)
    if match is None:
        raise QueryError(
            f"statement '{statement}' cannot be read. Allowed: 'DECISION: A > B', such as "
            "'position_embedding: rotary > learned' or 'code_share: 20 > 10', and "
            "'PART: +POINTS from PART', such as 'code_share: +10 from web_share'."
        )
    high, low = (match["a"], match["b"]) if match["op"] == ">" else (match["b"], match["a"])
    return build_contrast(fit, decision=match["name"], level=high, reference=low)
