"""Tables to labelled arrays: coordinates, covariates, contrasts, missing facts. No PyMC here."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from bayesmeta.data import Dataset
from bayesmeta.design.composition import (
    CodeBasis,
    Mix,
    build_code_basis,
    build_mix,
)
from bayesmeta.design.decisions import DECISIONS, UNDISCLOSED, Decision
from bayesmeta.design.generations import ENGLISH, Generations, build_generations
from bayesmeta.design.outcomes import Outcomes, build_outcomes
from bayesmeta.design.scale import SCALE_TERMS, orthonormal_basis, scale_covariates
from bayesmeta.errors import SpecError, listing, suggest

__all__ = [
    "MIX_UNIT",
    "Design",
    "MissingNumbers",
    "Term",
    "build_design",
    "standardise",
]

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
    """

    decision: str
    level: str = ""
    center: float = 0.0
    unit: float = 1.0

    @property
    def label(self) -> str:
        """Name of the column, such as `norm[rmsnorm]`."""
        return f"{self.decision}[{self.level}]" if self.level else self.decision


@dataclass(frozen=True, slots=True, eq=False)
class MissingNumbers:
    """Unknown cells of numeric columns; the lms of a family share the unknown value.

    Parameters
    ----------
    row, term, slot
        Position in the matrix, and which unknown stands there, shape (cell,).
    location, spread
        Prior of every unknown: of the value, or of its logit where `is_share`, shape (slot,).
    is_share
        Whether the unknown is a percentage, shape (slot,).
    center, unit
        Standardisation of the column of every unknown, shape (slot,).
    names
        Column and family of every unknown, shape (slot,).
    """

    row: NDArray[np.int64]
    term: NDArray[np.int64]
    slot: NDArray[np.int64]
    location: NDArray[np.float64]
    spread: NDArray[np.float64]
    is_share: NDArray[np.bool_]
    center: NDArray[np.float64]
    unit: NDArray[np.float64]
    names: tuple[str, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Design:
    """Everything the model needs to know of the data, as arrays with named dimensions.

    Parameters
    ----------
    lms, lm_families, benchmarks, benchmark_labels, task_families
        Coordinates.
    lm_family_index
        Family of every lm, shape (lm,).
    task_family_index
        Task family of every benchmark, shape (benchmark,).
    outcomes
        Scores and links.
    scale_terms
        Names of the scale covariates.
    scale, scale_center
        Covariates, shape (lm, scale_term), and their centre, shape (benchmark, scale_term).
    scale_basis
        Orthonormal basis of the intercept and the scale covariates over the lms with a score to
        learn from, zero for the others, shape (lm, 1 + scale_term). Family and lm effects are made
        orthogonal to it, so that those of held-out lms stay free.
    terms, decisions
        Columns of the matrix, and the decisions whose prior scale they share (`mix` is one).
    X, X_center
        Matrix of decisions, NaN where unknown, shape (lm, term); centre, shape (benchmark, term).
    loading
        Basis in which the effects of a decision's levels sum to zero, shape (term, free).
    free_decision
        Decision of every free coefficient, shape (free,).
    missing
        Unknown numeric cells.
    mix
        The composition of the training data, or None.
    code_basis, basis_center
        Functions of the code share (None without a curve); centre, shape (benchmark, basis).
    generations
        What the lms write, where that measures an undisclosed share, or None.
    """

    lms: tuple[str, ...]
    lm_families: tuple[str, ...]
    benchmarks: tuple[str, ...]
    benchmark_labels: tuple[str, ...]
    task_families: tuple[str, ...]
    lm_family_index: NDArray[np.int64]
    task_family_index: NDArray[np.int64]
    outcomes: Outcomes
    scale_terms: tuple[str, ...]
    scale: NDArray[np.float64]
    scale_center: NDArray[np.float64]
    scale_basis: NDArray[np.float64]
    terms: tuple[Term, ...]
    decisions: tuple[str, ...]
    X: NDArray[np.float64]
    X_center: NDArray[np.float64]
    loading: NDArray[np.float64]
    free_decision: NDArray[np.int64]
    missing: MissingNumbers
    mix: Mix | None
    code_basis: CodeBasis | None
    basis_center: NDArray[np.float64]
    generations: Generations | None

    @property
    def coords(self) -> dict[str, Sequence[str]]:
        """Coordinates of the model's variables."""
        return {
            "lm": self.lms,
            "lm_family": self.lm_families,
            "benchmark": self.benchmarks,
            "task_family": self.task_families,
            "scale_term": self.scale_terms,
            "term": tuple(term.label for term in self.terms),
            "decision": self.decisions,
            "domain": self.mix.domains if self.mix is not None else (),
            "mix_group": tuple(f"{n}:{k}" for k, n in enumerate(self.mix_groups)),
            "unknown": self.missing.names,
            "written": self.generations.names if self.generations is not None else (),
            "basis": tuple(str(k) for k in range(self.basis_center.shape[1])),
        }

    @property
    def mix_groups(self) -> tuple[str, ...]:
        """Family behind every undisclosed mix."""
        return self.mix.group_names if self.mix is not None else ()

    @property
    def mix_columns(self) -> slice:
        """Where the parts of the composition stand in the matrix."""
        labels = [term.decision for term in self.terms]
        start = labels.index("mix") if "mix" in labels else len(labels)
        return slice(start, start + labels.count("mix"))

    @property
    def english_column(self) -> int | None:
        """Where the share of English stands in the matrix, if what the lms write measures it."""
        if self.generations is None or ENGLISH not in self.generations.names:
            return None
        return self.columns_of(ENGLISH)[0]

    def fraction_of(self, column_values: Any, *, column: int) -> Any:
        """Turn standardised values of a share's column, an array or a tensor, into fractions."""
        term = self.terms[column]
        return column_values * term.unit + term.center

    def columns_of(self, decision: str) -> list[int]:
        """Positions of the columns of one decision."""
        return [k for k, term in enumerate(self.terms) if term.decision == decision]


def build_design(
    dataset: Dataset,
    *,
    decisions: Sequence[str] = tuple(DECISIONS),
    scale_terms: Sequence[str] = SCALE_TERMS,
    code_curve: bool = True,
    generations: bool = True,
    train: NDArray[np.bool_] | None = None,
) -> Design:
    """Turn validated tables into the arrays that the model needs.

    Parameters
    ----------
    dataset
        Validated tables.
    decisions
        Names of the decisions to enter. One that does not vary over the lms is left out.
    scale_terms
        Scale covariates to enter, a subset of `SCALE_TERMS`.
    code_curve
        Whether the code share has a smooth effect by task family besides its linear one.
    generations
        Whether what the lms write measures undisclosed shares.
    train
        Which scores the model learns from, shape (obs,); all if left out. The facts of held-out
        lms count as known.

    Returns
    -------
    Design
        Arrays and coordinates.

    Raises
    ------
    SpecError
        If a decision is not known.

    Examples
    --------
    >>> from bayesmeta.data import load_dataset
    >>> design = build_design(load_dataset())
    >>> design.X.shape[0], len(design.lm_families), len(design.task_families)
    (92, 33, 8)
    """
    _check_names(decisions)
    lms, outcomes = dataset.lms, build_outcomes(dataset, train=train)
    wanted = [DECISIONS[name] for name in DECISIONS if name in decisions]
    mix = build_mix(lms) if any(decision.in_mix for decision in wanted) else None
    blocks = [_encode(lms, decision) for decision in wanted if not decision.in_mix]
    if mix is not None:
        parts = tuple(Term("mix", domain, unit=MIX_UNIT) for domain in mix.domains)
        blocks.append((parts, mix.known / MIX_UNIT))
    blocks = [block for block in blocks if block[0]]
    terms = tuple(term for block, _ in blocks for term in block)
    X = np.column_stack([np.empty((len(lms), 0)), *(columns for _, columns in blocks)])
    weight = outcomes.information(n_lms=len(lms))
    learned_from = np.bincount(outcomes.lm_index[outcomes.train], minlength=len(lms)) > 0
    scale = scale_covariates(lms)[:, [SCALE_TERMS.index(term) for term in scale_terms]]
    loading, free_decision, names = _loading(terms)
    has_code = mix is not None and "code_share" in mix.domains
    basis = build_code_basis() if code_curve and has_code else None
    missing = _missing_numbers(lms, terms, X)
    families = tuple(dict.fromkeys(lms["lm_family"]))
    benchmarks = dataset.benchmarks
    task_families = tuple(dict.fromkeys(benchmarks["task_family"]))
    return Design(
        lms=tuple(lms["lm"]),
        lm_families=families,
        benchmarks=tuple(benchmarks["benchmark"]),
        benchmark_labels=tuple(benchmarks["label"]),
        task_families=task_families,
        lm_family_index=pd.Index(families).get_indexer(pd.Index(lms["lm_family"])),
        task_family_index=pd.Index(task_families).get_indexer(pd.Index(benchmarks["task_family"])),
        outcomes=outcomes,
        scale_terms=tuple(scale_terms),
        scale=scale,
        scale_center=_weighted_mean(scale, weight),
        scale_basis=orthonormal_basis(scale, rows=learned_from),
        terms=terms,
        decisions=names,
        X=X,
        X_center=_weighted_mean(X, weight),
        loading=loading,
        free_decision=free_decision,
        missing=missing,
        mix=mix,
        code_basis=basis,
        basis_center=_weighted_mean(
            basis.evaluate(mix.code_of(mix.known)), weight
        ) if basis is not None and mix is not None else np.empty((len(benchmarks), 0)),
        generations=build_generations(
            dataset.generations if generations else None,
            lms=lms,
            mix=mix if mix is not None and len(mix.rows) else None,
            with_english=any(name.startswith(f"{ENGLISH}:") for name in missing.names),
        ),
    )  # fmt: skip


def _check_names(decisions: Sequence[str]) -> None:
    for name in decisions:
        if name not in DECISIONS:
            raise SpecError(
                f"decision '{name}' is not known.{suggest(name, DECISIONS)} Allowed: "
                f"{listing(DECISIONS)}. Correct the name or leave it out."
            )


def _encode(lms: pd.DataFrame, decision: Decision) -> tuple[tuple[Term, ...], NDArray[np.float64]]:
    """Encode one decision; no terms where it does not vary."""
    nothing: tuple[tuple[Term, ...], NDArray[np.float64]] = ((), np.empty((len(lms), 0)))
    if decision.kind == "categorical":
        words = lms[decision.name].astype(object)
        level = words.map(lambda word: UNDISCLOSED if pd.isna(word) else decision.level_of(word))
        levels = sorted(set(level), key=lambda name: (name == UNDISCLOSED, name))
        if len(set(levels) - {UNDISCLOSED}) < 2:
            return nothing
        terms = tuple(Term(decision.name, name) for name in levels)
        return terms, np.column_stack([level == name for name in levels]).astype(np.float64)
    raw = _transform(lms[decision.name].to_numpy(float), kind=decision.kind)
    if np.isnan(raw).all() or np.nanstd(raw) == 0:
        return nothing
    term = Term(decision.name, center=float(np.nanmean(raw)), unit=float(np.nanstd(raw)))
    return (term,), ((raw - term.center) / term.unit)[:, None]


def _transform(value: NDArray[np.float64], *, kind: str) -> NDArray[np.float64]:
    """Numeric decisions enter as their base-2 logarithm, shares as fractions."""
    return np.log2(value) if kind == "numeric" else value / 100


def standardise(value: float, *, term: Term, kind: str) -> float:
    """Turn a value in the units of the table into the units of a numeric column."""
    return (float(_transform(np.array(value), kind=kind)) - term.center) / term.unit


def _weighted_mean(
    columns: NDArray[np.float64], weight: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Average the known cells of every column over the lms, shape (benchmark, column)."""
    known = ~np.isnan(columns)
    total = weight.T @ np.nan_to_num(columns)
    return (total / np.maximum(weight.T @ known, np.finfo(float).tiny)).astype(np.float64)


def _loading(
    terms: tuple[Term, ...],
) -> tuple[NDArray[np.float64], NDArray[np.int64], tuple[str, ...]]:
    """Give the levels of each decision effects that sum to zero, with no level singled out."""
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


def _zero_sum_basis(n: int) -> NDArray[np.float64]:
    """Orthonormal contrasts of n levels, shape (n, n - 1); any rotation gives the same prior."""
    steps = np.tril(np.ones((n, n - 1)), k=-1)
    return np.linalg.qr(steps - steps.mean(axis=0))[0].astype(np.float64)


def _missing_numbers(
    lms: pd.DataFrame, terms: tuple[Term, ...], X: NDArray[np.float64]
) -> MissingNumbers:
    """List the unknown numeric cells, one unknown per column and family."""
    numeric = np.array([not term.level for term in terms], dtype=bool)
    rows, columns = np.nonzero(np.isnan(X) & numeric)
    families = lms["lm_family"].to_numpy()
    keys = [(int(k), str(families[row])) for row, k in zip(rows, columns, strict=True)]
    slots = list(dict.fromkeys(keys))
    owners = [terms[k] for k, _ in slots]
    shares = np.array([DECISIONS[term.decision].kind == "share" for term in owners], dtype=bool)
    prior = [_unknown_prior(lms, term) for term in owners]
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


def _unknown_prior(lms: pd.DataFrame, term: Term) -> tuple[float, float]:
    """Centre an unknown on the known values of the other families, each counted once."""
    kind = DECISIONS[term.decision].kind
    known = _transform(lms[term.decision].to_numpy(float), kind=kind)
    by_family = pd.Series(known).groupby(lms["lm_family"].to_numpy()).mean().dropna().to_numpy()
    if kind == "share":
        clipped = np.clip(by_family, 0.02, 0.98)
        by_family = np.log(clipped / (1 - clipped))
    spread = float(by_family.std(ddof=1)) if len(by_family) > 1 else 1.0
    return float(by_family.mean()), max(spread, 0.1)
