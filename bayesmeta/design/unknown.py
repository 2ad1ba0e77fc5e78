"""Undisclosed choices as discrete unknowns: which joint choices are possible, and how likely."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from bayesmeta.design.decisions import DECISIONS, UNDISCLOSED

__all__ = ["UnknownChoices", "build_unknown_choices"]

_SMOOTHING = 0.5
"""Families added to the count of every configuration, as in Jeffreys' prior."""


@dataclass(frozen=True, slots=True, eq=False)
class UnknownChoices:
    """The configurations that every undisclosed record may stand for, with prior weights.

    A record is what one lm family leaves open in the same way for some of its lms; these share
    the unknown choice. A configuration is a joint choice in all decisions that a record leaves
    open.

    Parameters
    ----------
    rows, record
        Row of every lm with an undisclosed choice, and its record, shape (undisclosed lm,).
    names
        The lm family behind each record, shape (record,).
    shift
        What a configuration puts into the columns that are unknown, zero in the others, shape
        (record, configuration, term).
    log_weight
        Log prior probabilities, shape (record, configuration); minus infinity where a record has
        fewer configurations than others.
    """

    rows: NDArray[np.int64]
    record: NDArray[np.int64]
    names: tuple[str, ...]
    shift: NDArray[np.float64]
    log_weight: NDArray[np.float64]

    @property
    def prior(self) -> NDArray[np.float64]:
        """Prior probabilities, shape (record, configuration)."""
        return np.exp(self.log_weight)

    def record_of(self, lm_index: NDArray[np.int64], *, n_lms: int) -> NDArray[np.int64]:
        """Find the record of every score's lm, -1 where all its choices are known; (obs,)."""
        of_lm = np.full(n_lms, -1)
        of_lm[self.rows] = self.record
        return of_lm[lm_index]


def build_unknown_choices(
    lms: pd.DataFrame,
    *,
    columns: Sequence[tuple[str, str]],
    among: NDArray[np.bool_] | slice = slice(None),
) -> UnknownChoices | None:
    """List what every undisclosed record may stand for.

    The configurations of a record are the joint choices of lms that disclose all that it leaves
    open, out of those that agree with most of its disclosed choices (with all of them, where any
    such lm exists). Each is weighted by the number of families that made it. Where nobody
    discloses the open decisions together they are independent.

    Parameters
    ----------
    lms
        The table of lms.
    columns
        Decision and level of every column of the matrix, shape (term,); the level is empty for a
        numeric one. A decision with a column for undisclosed choices has no unknown ones.
    among
        The lms whose choices count, shape (lm,); all if left out.

    Returns
    -------
    UnknownChoices or None
        None where every choice is disclosed.
    """
    names = list(dict.fromkeys(d for d, level in columns if level and d in DECISIONS))
    table = pd.DataFrame(
        {
            name: DECISIONS[name]
            .read_levels(lms)
            .replace(UNDISCLOSED, UNDISCLOSED if (name, UNDISCLOSED) in columns else "")
            .to_numpy()
            for name in names
        },
        dtype=object,
    )
    levels, families = table.to_numpy(dtype=object), lms["lm_family"].to_numpy()
    rows = np.flatnonzero((levels == "").any(axis=1))
    if not len(rows):
        return None
    keys = [(families[row], *levels[row]) for row in rows]
    distinct = list(dict.fromkeys(keys))
    listed = [
        _configurations(np.array(key[1:], dtype=object), levels[among], families[among])
        for key in distinct
    ]
    width = max(len(weights) for _, weights in listed)
    shift = np.zeros((len(distinct), width, len(columns)))
    log_weight = np.full((len(distinct), width), -np.inf)
    for g, (configurations, weights) in enumerate(listed):
        log_weight[g, : len(weights)] = np.log(weights / weights.sum())
        for k, configuration in enumerate(configurations):
            chosen = {(names[j], level) for j, level in configuration.items()}
            shift[g, k] = [column in chosen for column in columns]
    return UnknownChoices(
        rows=rows,
        record=np.array([distinct.index(key) for key in keys], dtype=np.int64),
        names=tuple(str(key[0]) for key in distinct),
        shift=shift,
        log_weight=log_weight,
    )


def _configurations(
    record: NDArray[np.object_], levels: NDArray[np.object_], families: NDArray[np.object_]
) -> tuple[list[dict[int, str]], NDArray[np.float64]]:
    """Joint choices in the open decisions of a record, by position, and families behind each."""
    is_open = record == ""
    where = np.flatnonzero(is_open)
    full = np.flatnonzero((levels[:, is_open] != "").all(axis=1))
    if not len(full):
        return _independent(where, levels, families)
    agreement = (levels[full] == record)[:, ~is_open].sum(axis=1)
    similar = full[agreement == agreement.max()]
    made = {(tuple(levels[row, is_open]), families[row]) for row in similar}
    counts = pd.Series([choice for choice, _ in made]).value_counts()
    found = sorted(counts.index)
    weights = np.array([counts[choice] + _SMOOTHING for choice in found])
    return [dict(zip(where.tolist(), choice, strict=True)) for choice in found], weights


def _independent(
    where: NDArray[np.int64], levels: NDArray[np.object_], families: NDArray[np.object_]
) -> tuple[list[dict[int, str]], NDArray[np.float64]]:
    """All combinations of levels, with the product of their families as weights."""
    counts = []
    for j in where:
        made = {(level, family) for level, family in zip(levels[:, j], families, strict=True)}
        counts.append(pd.Series([level for level, _ in made if level]).value_counts().sort_index())
    found = list(product(*(count.index for count in counts)))
    weights = [
        np.prod([count[level] + _SMOOTHING for count, level in zip(counts, choice, strict=True)])
        for choice in found
    ]
    return [dict(zip(where.tolist(), choice, strict=True)) for choice in found], np.array(weights)
