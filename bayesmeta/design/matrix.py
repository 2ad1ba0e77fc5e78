"""Tables to labelled arrays: coordinates, covariates, contrasts, missing facts. No PyMC here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from bayesmeta.data import Dataset
from bayesmeta.design.composition import Mix, build_mix
from bayesmeta.design.decisions import DECISIONS
from bayesmeta.design.generations import ENGLISH, Generations, build_generations
from bayesmeta.design.outcomes import Outcomes, build_outcomes
from bayesmeta.design.scale import (
    LOG_D_UNIT,
    LOG_N_UNIT,
    SCALE_TERMS,
    family_means,
    orthonormal_basis,
    scale_bends,
    scale_covariates,
)
from bayesmeta.design.surface import Surface, build_surface
from bayesmeta.design.terms import (
    MIX_UNIT,
    MissingNumbers,
    Term,
    build_loading,
    encode_decisions,
    list_missing_numbers,
)
from bayesmeta.design.unknown import UnknownChoices, build_unknown_choices
from bayesmeta.errors import SpecError, listing, suggest

__all__ = [
    "Design",
    "build_design",
]


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
        Orthonormal basis of the intercept, the scale covariates and, with a surface, their squares
        and products over the lms with a score to learn from, zero for the others, shape (lm,
        column). Family and lm effects are made orthogonal to it, so that those of held-out lms stay
        free.
    between, between_terms
        Scale covariates averaged over the lms of every family, shape (lm, between_term), and
        their names.
    log_scale
        Natural logs of size and data over those of the reference lm, shape (lm, 2), for a scaling
        law with parameters; None without one. The basis then spans the logs and their product
        beside the covariates with slopes.
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
    generations
        What the lms write, where that measures an undisclosed share, or None.
    unknown
        Choices that new lms leave open, where that is no level of the data; else None.
    surface, surface_center
        Functions of scale, date and mix together (None without); centre, shape (benchmark,
        function).
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
    between: NDArray[np.float64]
    between_terms: tuple[str, ...]
    log_scale: NDArray[np.float64] | None
    terms: tuple[Term, ...]
    decisions: tuple[str, ...]
    X: NDArray[np.float64]
    X_center: NDArray[np.float64]
    loading: NDArray[np.float64]
    free_decision: NDArray[np.int64]
    missing: MissingNumbers
    mix: Mix | None
    generations: Generations | None
    unknown: UnknownChoices | None
    surface: Surface | None
    surface_center: NDArray[np.float64]

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
            "mix_group": _numbered(self.mix_groups),
            "unknown": self.missing.names,
            "written": self.generations.names if self.generations is not None else (),
            "level": ("shared", "task_family", "benchmark"),
            "between_term": self.between_terms,
            "function": tuple(str(k) for k in range(self.surface_center.shape[1])),
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


def _numbered(names: Sequence[str]) -> tuple[str, ...]:
    return tuple(f"{name}:{k}" for k, name in enumerate(names))


def build_design(
    dataset: Dataset,
    *,
    decisions: Sequence[str] = tuple(DECISIONS),
    scale_terms: Sequence[str] = SCALE_TERMS,
    law: bool = False,
    estimate_unknown: bool = True,
    generations: bool = False,
    surface_lengths: Mapping[str, float] | None = None,
    train: NDArray[np.bool_] | None = None,
    among: NDArray[np.bool_] | None = None,
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
    law
        Whether size and data enter through a scaling law with parameters. Family effects are then
        projected off the covariates of the log-linear form: the law lies in their span but for a
        fraction of a percent of its variance, they do not move with its parameters, and family
        effects mean the same under both forms.
    estimate_unknown
        Whether undisclosed numbers and mixes are unknowns, or stand at their typical values.
    generations
        Whether what the lms write measures undisclosed shares.
    surface_lengths
        Length scales of a smooth function of scale, date and mix together, by the names
        `n_params`, `n_tokens`, `released`, `mix` and `english_share`; left out, there is none.
    train
        Which scores the model learns from, shape (obs,); all if left out. The facts of held-out
        lms count as known.
    among
        Which lms the coding rests on, shape (lm,); all if left out. Levels, units, typical values
        and functions are theirs, and the other lms are coded in them: new lms, which have no
        scores, stand below those of the data. A choice that they leave open, and that is no level
        of its own, is one of the choices that others made.

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
    among = np.ones(len(lms), dtype=bool) if among is None else among
    mix = build_mix(lms, among=among) if any(decision.in_mix for decision in wanted) else None
    if mix is not None and not estimate_unknown:
        mix = mix.at_typical()
    terms, X = encode_decisions(lms, wanted, mix, among=among)
    missing = list_missing_numbers(lms, terms, X, among=among)
    if not estimate_unknown:
        X = missing.fill(X)
        missing = list_missing_numbers(lms, terms, X, among=among)
    weight = outcomes.information(n_lms=len(lms))
    learned_from = np.bincount(outcomes.lm_index[outcomes.train], minlength=len(lms)) > 0
    covariates = pd.DataFrame(scale_covariates(lms, among=among), columns=list(SCALE_TERMS))
    scale = covariates[list(scale_terms)].to_numpy()
    projected_names = [*(SCALE_TERMS[:3] if law else ()), *scale_terms]
    projected = covariates[projected_names].to_numpy()
    loading, free_decision, names = build_loading(terms)
    surface = (
        _build_surface(lms, covariates, mix, terms, X, lengths=surface_lengths, among=among)
        if surface_lengths
        else None
    )
    spanned = projected
    if surface is not None:
        bends = scale_bends(covariates[projected_names], rows=learned_from)
        spanned = np.column_stack([projected, bends])
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
        scale_basis=orthonormal_basis(spanned, rows=learned_from),
        between=family_means(projected, families=lms["lm_family"], among=among),
        between_terms=tuple(projected_names),
        log_scale=covariates.to_numpy()[:, :2] * (LOG_N_UNIT, LOG_D_UNIT) if law else None,
        terms=terms,
        decisions=names,
        X=X,
        X_center=_weighted_mean(X, weight),
        loading=loading,
        free_decision=free_decision,
        missing=missing,
        mix=mix,
        generations=build_generations(
            dataset.generations if generations else None,
            lms=lms,
            mix=mix if mix is not None and len(mix.rows) else None,
            with_english=any(name.startswith(f"{ENGLISH}:") for name in missing.names),
        ),
        unknown=build_unknown_choices(
            lms, columns=[(term.decision, term.level) for term in terms], among=among
        )
        if not among.all()
        else None,
        surface=surface,
        surface_center=_weighted_mean(surface.evaluate(), weight)
        if surface is not None
        else np.empty((len(benchmarks), 0)),
    )  # fmt: skip


def _build_surface(
    lms: pd.DataFrame,
    covariates: pd.DataFrame,
    mix: Mix | None,
    terms: tuple[Term, ...],
    X: NDArray[np.float64],
    *,
    lengths: Mapping[str, float],
    among: NDArray[np.bool_],
) -> Surface | None:
    """Choose the facts of the surface: scale covariates with a length scale, what else varies."""
    names = [name for name in SCALE_TERMS if name in lengths]
    english = [k for k, term in enumerate(terms) if term.decision == "english_share"]
    return build_surface(
        covariates[names].to_numpy(),
        scale_lengths=[lengths[name] for name in names],
        mix=mix,
        mix_length=lengths["mix"] * MIX_UNIT,
        english=X[:, english[0]] if english else None,
        english_length=lengths["english_share"],
        first_of_family=np.flatnonzero(~lms["lm_family"].duplicated().to_numpy() & among),
        among=among,
    )


def _check_names(decisions: Sequence[str]) -> None:
    for name in decisions:
        if name not in DECISIONS:
            raise SpecError(
                f"decision '{name}' is not known.{suggest(name, DECISIONS)} Allowed: "
                f"{listing(DECISIONS)}. Correct the name or leave it out."
            )


def _weighted_mean(
    columns: NDArray[np.float64], weight: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Average the known cells of every column over the lms, shape (benchmark, column)."""
    known = ~np.isnan(columns)
    total = weight.T @ np.nan_to_num(columns)
    return (total / np.maximum(weight.T @ known, np.finfo(float).tiny)).astype(np.float64)
