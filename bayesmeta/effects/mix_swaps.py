"""What is asked of the training mix: points moved from one of its parts to another."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bayesmeta.design import DOMAINS, Mix
from bayesmeta.effects.estimands import Contrast, list_decisions, read_number
from bayesmeta.errors import QueryError, listing, suggest
from bayesmeta.inference.fits import Fit

__all__ = ["Asked", "Swap", "build_swap", "can_give", "known_part", "list_swaps"]

ROUNDING = 1e-9
"""Rounding error of a share, as a fraction of the mix."""


@dataclass(frozen=True, slots=True)
class Swap:
    """Points of the training mix moved from one part to another, all other parts held as they are.

    Parameters
    ----------
    decision
        The part that grows.
    donor
        The part that shrinks.
    points
        What moves, in percent of the training tokens.

    Examples
    --------
    >>> Swap("code_share", donor="web_share", points=10).label
    'code_share: +10 from web_share'
    """

    decision: str
    donor: str
    points: float

    @property
    def level(self) -> str:
        """What the growing part gains, as a table of effects shows it."""
        return f"+{self.points:.10g}"

    @property
    def reference(self) -> str:
        """Where it comes from."""
        return self.donor

    @property
    def label(self) -> str:
        """The statement that the effect is positive."""
        return f"{self.decision}: {self.level} from {self.donor}"


Asked = Contrast | Swap
"""What an effect may be asked of."""


def build_swap(fit: Fit, *, receiver: str, donor: str, points: str | float) -> Swap:
    """Check a swap of two parts of the training mix.

    Parameters
    ----------
    fit
        The fit.
    receiver, donor
        The part that grows and the part that shrinks.
    points
        What moves, in percent of the training tokens.

    Returns
    -------
    Swap
        The swap.

    Raises
    ------
    QueryError
        If a part is not in the data, both are the same, the points are out of range, or no lm
        records that much of the donor.

    Examples
    --------
    >>> import bayesmeta as bm
    >>> fit = bm.load_reference_fit()
    >>> build_swap(fit, receiver="code_share", donor="web_share", points="10").points
    10.0
    """
    parts = [find_part(fit, name=name) for name in (receiver, donor)]
    swap = Swap(parts[0], donor=parts[1], points=read_points(points))
    if receiver == donor:
        raise QueryError(
            f"'{swap.label}' takes from a part what it gives to it. Name two different parts of: "
            f"{listing(_mix_of(fit).domains)}."
        )
    if not can_give(fit, swap=swap).any():
        most = 100 * float(np.nanmax(known_part(fit, name=donor)))
        raise QueryError(
            f"'{swap.label}' cannot be averaged: no lm records {swap.points:g} percent of {donor}; "
            f"the most is {most:.3g}. Move fewer points, or take them from another part."
        )
    return swap


def find_part(fit: Fit, *, name: str) -> str:
    """Look up a part of the training mix that the fit knows."""
    allowed = _mix_of(fit).domains
    if name not in allowed:
        why = " No lm of this fit's data records it." * (name in DOMAINS)
        raise QueryError(
            f"part '{name}' is not in the training mix of this fit.{suggest(name, allowed)}{why} "
            f"Allowed: {listing(allowed)}."
        )
    return name


def _mix_of(fit: Fit) -> Mix:
    list_decisions(fit)
    if fit.design.mix is None:
        raise QueryError(
            "this fit has no training mix to swap parts of. Fit a spec with decisions such as "
            "'code_share', on data in which at least one lm records all parts."
        )
    return fit.design.mix


def read_points(points: str | float) -> float:
    """Read what a swap moves, in percent of the training tokens."""
    value = read_number(points)
    if not 0 < value <= 100:
        raise QueryError(
            f"points '{points}' are not allowed. Allowed: a number above 0 and up to 100 (percent "
            "of the training tokens), as in 'code_share: +10 from web_share'."
        )
    return value


def known_part(fit: Fit, *, name: str) -> NDArray[np.float64]:
    """List recorded fractions of one part of the mix, NaN where undisclosed, shape (lm,)."""
    mix = _mix_of(fit)
    return mix.recorded[:, mix.domains.index(name)]


def can_give(fit: Fit, *, swap: Swap) -> NDArray[np.bool_]:
    """Say which lms record as much of the donor as a swap moves, shape (lm,)."""
    return known_part(fit, name=swap.donor) >= swap.points / 100 - ROUNDING


def list_swaps(fit: Fit, *, receiver: str | None, points: float) -> list[Swap]:
    """List the swaps that at least one lm can make, of one receiver or of all parts."""
    domains = _mix_of(fit).domains
    parts = domains if receiver is None else (find_part(fit, name=receiver),)
    moved = read_points(points)
    pairs = [Swap(part, donor=donor, points=moved) for part in parts for donor in domains]
    possible = [s for s in pairs if s.decision != s.donor and can_give(fit, swap=s).any()]
    if not possible:
        raise QueryError(
            f"no lm records {moved:g} percent of a part that could be given. Move fewer points."
        )
    return possible
