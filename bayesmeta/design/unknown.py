"""Choices that new lms leave open: which joint choices others made, and how often."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from bayesmeta.design.decisions import DECISIONS, UNDISCLOSED

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["UnknownChoices", "build_unknown_choices"]

_SMOOTHING = 0.5
"""Families added to the count of every configuration, as in Jeffreys' prior."""


@dataclass(frozen=True, slots=True, eq=False)
class UnknownChoices:
    """The configurations that every undisclosed record may stand for, with probabilities.

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
    prior
        Probabilities, shape (record, configuration); zero where a record has fewer configurations
        than others.
    """

    rows: NDArray[np.int64]
    record: NDArray[np.int64]
    names: tuple[str, ...]
    shift: NDArray[np.float64]
    prior: NDArray[np.float64]

    def columns(self, choice: NDArray[np.int64]) -> NDArray[np.float64]:
        """Look up what configurations (..., record) put into the matrix, (..., open lm, term)."""
        return self.shift[self.record, choice[..., self.record]]

    def draw(self, record: int, *, shape: tuple[int, ...], rng: np.random.Generator) -> NDArray:
        """Draw configurations of a record by their probabilities."""
        level = np.cumsum(self.prior[record])
        last = np.count_nonzero(self.prior[record]) - 1
        return np.minimum(np.searchsorted(level / level[-1], rng.random(shape)), last)


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
    import pandas as pd

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
    prior = np.zeros((len(distinct), width))
    for g, (configurations, weights) in enumerate(listed):
        prior[g, : len(weights)] = weights / weights.sum()
        for k, configuration in enumerate(configurations):
            chosen = {(names[j], level) for j, level in configuration.items()}
            shift[g, k] = [column in chosen for column in columns]
    return UnknownChoices(
        rows=rows,
        record=np.array([distinct.index(key) for key in keys], dtype=np.int64),
        names=tuple(str(key[0]) for key in distinct),
        shift=shift,
        prior=prior,
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
    counts = Counter(choice for choice, _ in made)
    found = sorted(counts)
    weights = np.array([counts[choice] + _SMOOTHING for choice in found])
    return [dict(zip(where.tolist(), choice, strict=True)) for choice in found], weights


def _independent(
    where: NDArray[np.int64], levels: NDArray[np.object_], families: NDArray[np.object_]
) -> tuple[list[dict[int, str]], NDArray[np.float64]]:
    """All combinations of levels, with the product of their families as weights."""
    counts = []
    for j in where:
        made = {(level, family) for level, family in zip(levels[:, j], families, strict=True)}
        counts.append(dict(sorted(Counter(level for level, _ in made if level).items())))
    found = list(product(*counts))
    weights = [
        np.prod([count[level] + _SMOOTHING for count, level in zip(counts, choice, strict=True)])
        for choice in found
    ]
    return [dict(zip(where.tolist(), choice, strict=True)) for choice in found], np.array(weights)
