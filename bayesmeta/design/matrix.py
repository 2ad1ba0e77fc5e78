"""Tables to a design: coordinates, covariates, contrasts, missing facts. No PyMC here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from bayesmeta.design.composition import Mix, build_mix
from bayesmeta.design.decisions import DECISIONS, FACTS
from bayesmeta.design.facts import Design, set_parts
from bayesmeta.design.generations import ENGLISH, build_generations
from bayesmeta.design.outcomes import build_outcomes
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
    Term,
    build_loading,
    encode_decisions,
    list_missing_numbers,
)
from bayesmeta.design.unknown import build_unknown_choices
from bayesmeta.errors import SpecError, listing, suggest

if TYPE_CHECKING:
    import pandas as pd

    from bayesmeta.data.dataset import Dataset

__all__ = ["build_design"]

_CODE_LADDER = (0.0, 0.5, 1.0)
"""Code shares at which one lm of every family is imagined, so that the surface also
reaches where questions about the code share go and no lm stands."""


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
    >>> from bayesmeta.data.load import load_dataset
    >>> design = build_design(load_dataset())
    >>> design.X.shape[0], len(design.lm_families), len(design.task_families)
    (92, 33, 8)
    """
    import pandas as pd

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
    design = Design(
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
        covariates=covariates.to_numpy(),
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
        recorded={name: fact.record(lms) for name, fact in FACTS.items()},
        surface=surface,
        surface_center=np.empty((len(benchmarks), 0)),
    )  # fmt: skip
    if surface is None:
        return design
    return replace(design, surface_center=_weighted_mean(design.facts.functions, weight))


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
    english = [k for k, term in enumerate(terms) if term.decision == ENGLISH]
    parts = np.empty((len(lms), 0)) if mix is None else mix.at_typical().known
    return build_surface(
        covariates.to_numpy(),
        scale_lengths={k: lengths[n] for k, n in enumerate(SCALE_TERMS) if n in lengths},
        mix=parts,
        mix_length=lengths["mix"] * MIX_UNIT,
        english=np.nan_to_num(X[:, english[0]]) if english else np.zeros(len(X)),
        english_length=lengths[ENGLISH],
        imagined=_imagine_mixes(lms, mix, parts, among=among),
        among=among,
    )


def _imagine_mixes(
    lms: pd.DataFrame, mix: Mix | None, parts: NDArray[np.float64], *, among: NDArray[np.bool_]
) -> list[tuple[NDArray[np.int64], NDArray[np.float64]]]:
    """Give one lm of every family other shares of code."""
    if mix is None or "code_share" not in mix.domains:
        return []
    one = np.flatnonzero(~lms["lm_family"].duplicated().to_numpy() & among)
    return [
        (one, set_parts(parts[one], shares={"code_share": share}, typical=mix.typical,
                        domains=mix.domains))
        for share in _CODE_LADDER
    ]  # fmt: skip


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
