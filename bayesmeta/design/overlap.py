"""Decisions that the data cannot tell apart: constant ones, and exact combinations of others."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from bayesmeta.data.vocabulary import MIX_COLUMNS
from bayesmeta.design.composition import Array
from bayesmeta.design.facts import Design
from bayesmeta.errors import listing

_EXACT = 1e-8
"""Residual, relative to the column, below which a combination is exact but for rounding."""


@dataclass(frozen=True, slots=True)
class Overlap:
    """A decision whose effect the data alone cannot tell.

    Parameters
    ----------
    decision
        Its name.
    others
        The decisions that it is a combination of, `mix` for the training mix; none where it is
        constant.

    Examples
    --------
    >>> Overlap("norm", others=("block",)).said
    "Decision 'norm' is an exact linear combination of block over the LMs of these data."
    """

    decision: str
    others: tuple[str, ...] = ()

    @property
    def said(self) -> str:
        """What is wrong, as one sentence."""
        if not self.others:
            undisclosed = ", or none discloses its training mix in full"
            return (
                f"Decision '{self.decision}' does not vary over the LMs of these data that record "
                f"it{undisclosed if self.decision in MIX_COLUMNS else ''}."
            )
        return (
            f"Decision '{self.decision}' is an exact linear combination of "
            f"{listing(self.others)} over the LMs of these data."
        )

    @property
    def message(self) -> str:
        """What is wrong, what is allowed and how to mend it."""
        instead = f", or {listing(self.others)}" if self.others else ""
        return (
            f"{self.said} Its effect cannot be told. Allowed: decisions that vary, each apart from "
            f"the others. Leave out {self.decision}{instead}, or add LMs that differ."
        )


def find_overlaps(design: Design, *, decisions: Sequence[str]) -> tuple[Overlap, ...]:
    """Find the decisions whose effects the data cannot tell, whatever the scores.

    A decision is compared over the LMs that record it with the other decisions that all of these
    LMs record. Where those tell every LM from every other, they fit anything, and nothing is said.

    Parameters
    ----------
    design
        Arrays and coordinates.
    decisions
        Names of the decisions to look at.

    Returns
    -------
    tuple of Overlap
        In the order of the decisions.

    Examples
    --------
    >>> from bayesmeta.data.load import load_dataset
    >>> from bayesmeta.design.facts import build_design
    >>> find_overlaps(build_design(load_dataset()), decisions=("norm", "block"))
    ()
    """
    found = []
    for name in decisions:
        others = _explain(design, name)
        if others is not None:
            found.append(Overlap(name, others=others))
    return tuple(found)


def describe_overlaps(overlaps: Sequence[Overlap]) -> str:
    """Say in one paragraph which decisions the data cannot tell.

    Parameters
    ----------
    overlaps
        At least one.

    Returns
    -------
    str
        The decisions, why, and what becomes of them.

    Examples
    --------
    >>> describe_overlaps([Overlap("norm", others=("block",))])
    'Exact linear combinations of others: norm (of block). Only the prior tells their effects.'
    """
    constant = [overlap.decision for overlap in overlaps if not overlap.others]
    combined = [f"{o.decision} (of {listing(o.others)})" for o in overlaps if o.others]
    said = []
    if constant:
        said.append(f"Decisions without variation in these data: {listing(constant)}.")
    if combined:
        said.append(f"Exact linear combinations of others: {listing(combined)}.")
    return " ".join([*said, "Only the prior tells their effects."])


def _explain(design: Design, name: str) -> tuple[str, ...] | None:
    """Name the fewest decisions that determine another; None if it varies by itself."""
    target = design.X[:, _columns(design, name)]
    known = ~np.isnan(target).any(axis=1)
    target = target[known] - target[known].mean(axis=0) if known.any() else target[:0]
    if not np.abs(target).max(initial=0.0) > _EXACT:
        return ()
    own = "mix" if name in MIX_COLUMNS else name
    others = {other: _free_columns(design, other)[known] for other in design.decisions}
    del others[own]
    others = {k: columns for k, columns in others.items() if not np.isnan(columns).any()}
    if not _determine(others, target):
        return None
    for other in list(others):
        fewer = {k: columns for k, columns in others.items() if k != other}
        others = fewer if _determine(fewer, target) else others
    return tuple(others)


def _columns(design: Design, name: str) -> list[int]:
    """Columns of a decision; of a part of the mix, its own."""
    if name not in MIX_COLUMNS:
        return design.columns_of(name)
    return [k for k in design.columns_of("mix") if design.terms[k].level == name]


def _free_columns(design: Design, decision: str) -> Array:
    """Combine the columns that the free coefficients of a decision multiply, shape (lm, free)."""
    rows = design.columns_of(decision)
    own = design.free_decision == design.decisions.index(decision)
    return design.X[:, rows] @ design.loading[np.ix_(rows, own)]


def _determine(others: dict[str, Array], target: Array) -> bool:
    """Say whether a target lies in the span of the intercept and the others' columns."""
    columns = np.column_stack([np.ones(len(target)), *others.values()])
    weights, _, rank, _ = np.linalg.lstsq(columns, target, rcond=1e-10)
    residual = target - columns @ weights
    return bool(rank < len(target) and np.linalg.norm(residual) <= _EXACT * np.linalg.norm(target))
