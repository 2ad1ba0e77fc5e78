"""Columns of the matrix of decisions, and what is missing in them: numbers, and open choices."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from bayesmeta.data.decisions import DECISIONS, UNDISCLOSED, Decision
from bayesmeta.design.composition import Array, Mix

if TYPE_CHECKING:
    import pandas as pd

MIX_UNIT = 0.25
"""A quarter of the training mix is one unit, so that its coefficient compares with a switch."""


@dataclass(frozen=True, slots=True)
class Term:
    """One column of the matrix of decisions.

    Parameters
    ----------
    decision
        The decision it belongs to, or `mix` for the parts of the composition.
    level
        Level of a categorical decision or part of the mix; empty for a numeric one.
    center, unit
        A numeric column holds (transformed value - center) / unit.
    is_log2
        Whether a number enters as its base-2 logarithm; otherwise as a fraction of 100, a share or
        not.
    """

    decision: str
    level: str = ""
    center: float = 0.0
    unit: float = 1.0
    is_log2: bool = False

    @property
    def label(self) -> str:
        """Name of the column, such as `norm[rmsnorm]`."""
        return f"{self.decision}[{self.level}]" if self.level else self.decision


@dataclass(frozen=True, slots=True, eq=False)
class MissingNumbers:
    """Unknown cells of numeric columns; the LMs of a family share the unknown value.

    Parameters
    ----------
    row, term, slot
        Position in the matrix, and which unknown stands there, shape (cell,).
    names
        Column and family of every unknown, shape (slot,).
    location, spread
        Prior of every unknown: of the value, or of its logit where `is_share`, shape (slot,).
    is_share
        Whether the unknown is a percentage, shape (slot,).
    center, unit
        Standardisation of the column of every unknown, shape (slot,).
    """

    row: NDArray[np.int64]
    term: NDArray[np.int64]
    slot: NDArray[np.int64]
    names: tuple[str, ...]
    location: Array
    spread: Array
    is_share: NDArray[np.bool_]
    center: Array
    unit: Array

    def fill(self, X: Array) -> Array:
        """Give every unknown cell the typical value of its column, shape (lm, term)."""
        value = np.where(self.is_share, 1 / (1 + np.exp(-self.location)), self.location)
        out = X.copy()
        out[self.row, self.term] = ((value - self.center) / self.unit)[self.slot]
        return out


def transform(value: Array, *, is_log: bool) -> Array:
    """Numbers enter as their base-2 logarithm, shares and plain numbers as fractions of 100."""
    return np.log2(value) if is_log else value / 100


def _encode(
    lms: pd.DataFrame, decision: Decision, *, among: NDArray[np.bool_] | slice
) -> tuple[tuple[Term, ...], Array]:
    """Encode one decision as columns of the matrix.

    Parameters
    ----------
    lms
        The table of LMs.
    decision
        What to encode; no part of the mix.
    among
        The LMs that levels, centre and unit are taken from, shape (lm,). Another choice than
        theirs is NaN in all columns.

    Returns
    -------
    tuple
        Terms, and columns of shape (lm, term); none where the decision does not vary.
    """
    nothing: tuple[tuple[Term, ...], Array] = ((), np.empty((len(lms), 0)))
    if decision.kind == "categorical":
        level = decision.read_levels(lms)
        levels = sorted(set(level[among]), key=lambda name: (name == UNDISCLOSED, name))
        if len(set(levels) - {UNDISCLOSED}) < 2:
            return nothing
        columns = np.column_stack([level == name for name in levels]).astype(np.float64)
        columns[~level.isin(levels).to_numpy()] = np.nan
        return tuple(Term(decision.name, name) for name in levels), columns
    raw = transform(decision.read(lms).to_numpy(float), is_log=decision.is_log)
    known = raw[among]
    if np.isnan(known).all() or np.nanstd(known) == 0:
        return nothing
    term = Term(
        decision.name,
        center=float(np.nanmean(known)),
        unit=float(np.nanstd(known)),
        is_log2=decision.is_log,
    )
    return (term,), ((raw - term.center) / term.unit)[:, None]


def encode_decisions(
    lms: pd.DataFrame,
    decisions: Sequence[Decision],
    mix: Mix | None,
    *,
    among: NDArray[np.bool_] | slice = slice(None),
) -> tuple[tuple[Term, ...], Array]:
    """Put the columns of all decisions side by side, the parts of the mix last; (lm, term)."""
    blocks = [_encode(lms, decision, among=among) for decision in decisions if not decision.in_mix]
    if mix is not None:
        parts = tuple(Term("mix", domain, unit=MIX_UNIT) for domain in mix.domains)
        blocks.append((parts, mix.known / MIX_UNIT))
    terms = tuple(term for block, _ in blocks for term in block)
    columns = [columns for _, columns in blocks]
    return terms, np.column_stack([np.empty((len(lms), 0)), *columns])


def list_missing_numbers(
    lms: pd.DataFrame,
    terms: tuple[Term, ...],
    X: Array,
    *,
    known: Mapping[str, Decision] = DECISIONS,
    among: NDArray[np.bool_] | slice = slice(None),
) -> MissingNumbers:
    """List the unknown numeric cells, one unknown per column and family; priors are of `among`."""
    numeric = np.array([not term.level for term in terms], dtype=bool)
    rows, columns = np.nonzero(np.isnan(X) & numeric)
    families = lms["lm_family"].to_numpy()
    keys = [(int(k), str(families[row])) for row, k in zip(rows, columns, strict=True)]
    slots = list(dict.fromkeys(keys))
    owners = [terms[k] for k, _ in slots]
    shares = np.array([known[term.decision].kind == "share" for term in owners], dtype=bool)
    prior = [_unknown_prior(lms[among], known[term.decision]) for term in owners]
    return MissingNumbers(
        row=rows,
        term=columns,
        slot=np.array([slots.index(key) for key in keys], dtype=np.int64),
        location=np.array([location for location, _ in prior]),
        spread=np.array([spread for _, spread in prior]),
        is_share=shares,
        center=np.array([term.center for term in owners]),
        unit=np.array([term.unit for term in owners]),
        names=tuple(f"{terms[k].decision}:{family}" for k, family in slots),
    )


def _unknown_prior(lms: pd.DataFrame, decision: Decision) -> tuple[float, float]:
    """Centre an unknown on the known values of the other families, each counted once."""
    import pandas as pd

    known = transform(decision.read(lms).to_numpy(float), is_log=decision.is_log)
    by_family = pd.Series(known).groupby(lms["lm_family"].to_numpy()).mean().dropna().to_numpy()
    if decision.kind == "share":
        clipped = np.clip(by_family, 0.02, 0.98)
        by_family = np.log(clipped / (1 - clipped))
    spread = float(by_family.std(ddof=1)) if len(by_family) > 1 else 1.0
    return float(by_family.mean()), max(spread, 0.1)


def build_loading(terms: tuple[Term, ...]) -> tuple[Array, NDArray[np.int64], tuple[str, ...]]:
    """Give the levels of each decision effects that sum to zero, with no level singled out.

    Parameters
    ----------
    terms
        Columns of the matrix of decisions.

    Returns
    -------
    ndarray
        What free coefficients weigh in the effect of every term, shape (term, free).
    ndarray
        Place of the decision of every free coefficient, shape (free,).
    tuple of str
        Names of the decisions.
    """
    names = tuple(dict.fromkeys(term.decision for term in terms))
    counts = [sum(term.decision == name for term in terms) for name in names]
    blocks = [np.eye(1) if n == 1 else _zero_sum_basis(n) for n in counts]
    loading = np.zeros((len(terms), sum(block.shape[1] for block in blocks)))
    row = column = 0
    for block in blocks:
        loading[row : row + block.shape[0], column : column + block.shape[1]] = block
        row, column = row + block.shape[0], column + block.shape[1]
    owner = [k for k, block in enumerate(blocks) for _ in range(block.shape[1])]
    return loading, np.array(owner, dtype=np.int64), names


def _zero_sum_basis(n: int) -> Array:
    """Orthonormal contrasts of n levels, shape (n, n - 1); any rotation gives the same prior."""
    steps = np.tril(np.ones((n, n - 1)), k=-1)
    return np.linalg.qr(steps - steps.mean(axis=0))[0].astype(np.float64)


_SMOOTHING = 0.5
"""Families added to the count of every configuration, as in Jeffreys' prior."""


@dataclass(frozen=True, slots=True, eq=False)
class UnknownChoices:
    """The configurations that every undisclosed record may stand for, with probabilities.

    A record is what one LM family leaves open in the same way for some of its LMs; these share
    the unknown choice. A configuration is a joint choice in all decisions that a record leaves
    open.

    Parameters
    ----------
    rows, record
        Row of every LM with an undisclosed choice, and its record, shape (undisclosed lm,).
    names
        The LM family behind each record, shape (record,).
    shift
        What a configuration puts into the columns that are unknown, zero in the others, shape
        (record, configuration, term).
    prior
        Probabilities, shape (record, configuration); zero where a record has fewer configurations
        than others.
    """

    rows: NDArray[np.int64]
    record: NDArray[np.int64]
    shift: Array
    prior: Array
    names: tuple[str, ...]

    def columns(self, choice: NDArray[np.int64]) -> Array:
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
    known: Mapping[str, Decision] = DECISIONS,
    among: NDArray[np.bool_] | slice = slice(None),
) -> UnknownChoices | None:
    """List what every undisclosed record may stand for.

    The configurations of a record are the joint choices of LMs that disclose all that it leaves
    open, out of those that agree with most of its disclosed choices (with all of them, where any
    such lm exists). Each is weighted by the number of families that made it. Where nobody
    discloses the open decisions together they are independent.

    Parameters
    ----------
    lms
        The table of LMs.
    columns
        Decision and level of every column of the matrix, shape (term,); the level is empty for a
        numeric one. A decision with a column for undisclosed choices has no unknown ones.
    known
        Decisions by name.
    among
        The LMs whose choices count, shape (lm,); all if left out.

    Returns
    -------
    UnknownChoices or None
        None where every choice is disclosed.
    """
    import pandas as pd

    names = list(dict.fromkeys(d for d, level in columns if level and d in known))
    table = pd.DataFrame(
        {
            name: known[name]
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
) -> tuple[list[dict[int, str]], Array]:
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
) -> tuple[list[dict[int, str]], Array]:
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
