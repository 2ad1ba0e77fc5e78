"""The data as a model sees them: `Design`, and `Facts` of LMs, as they are or changed."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from bayesmeta.data.decisions import SIZES, Decision, know_decisions, know_facts
from bayesmeta.data.vocabulary import SCALED
from bayesmeta.design.arm_scores import ArmScores
from bayesmeta.design.composition import DOMAINS, Array, Mix, build_mix
from bayesmeta.design.generations import ENGLISH, Generations, build_generations
from bayesmeta.design.outcomes import ArmContrasts, Outcomes, build_outcomes
from bayesmeta.design.scale import (
    D_REFERENCE,
    LOG_D_UNIT,
    LOG_N_UNIT,
    N_REFERENCE,
    SCALE_TERMS,
    family_means,
    orthonormal_basis,
    scale_bends,
    scale_covariates,
)
from bayesmeta.design.sizes import MissingSizes, find_missing_sizes
from bayesmeta.design.surface import Surface, build_surface
from bayesmeta.design.terms import (
    MIX_UNIT,
    MissingNumbers,
    Term,
    UnknownChoices,
    build_loading,
    build_unknown_choices,
    encode_decisions,
    list_missing_numbers,
)
from bayesmeta.errors import SpecError, unknown

if TYPE_CHECKING:
    import pandas as pd

    from bayesmeta.data.dataset import Dataset

Settings = Mapping[str, str | float]
"""Levels, or values in the units of the tables, by the names of decisions and sizes."""


@dataclass(frozen=True, slots=True, eq=False)
class Design:
    """Everything the model needs to know of the data, as arrays with named dimensions.

    Parameters
    ----------
    lms, lm_families, benchmarks, benchmark_labels, task_families
        Coordinates.
    lm_family_index
        Family of every LM, shape (lm,).
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
        and products over the LMs with a score to learn from, zero for the others, shape (lm,
        column). Family and LM effects are made orthogonal to it, so that those of held-out LMs stay
        free.
    between, between_terms
        Scale covariates averaged over the LMs of every family, shape (lm, between_term), and
        their names.
    covariates
        All scale covariates, whether or not they enter with slopes, shape (lm, covariate). Sizes
        that are not recorded stand at their means, as they do in `scale`, `scale_basis`,
        `between`, `log_scale` and the centres.
    log_scale
        Natural logs of size and data over those of the reference LM, shape (lm, 2), for a scaling
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
        What the LMs write, where that measures an undisclosed share, or None.
    unknown
        Choices that new LMs leave open, where that is no level of the data; else None.
    recorded
        What every LM records of every decision and size: levels (`undisclosed` where nothing is),
        or numbers in the units of the table (NaN), each of shape (lm,).
    surface, surface_center
        Functions of scale, date and mix together (None without); centre, shape (benchmark,
        function).
    contrasts
        Differences between arms of controlled experiments; None where the model has none.
    arm_scores
        Scores of the same experiments, for what they say without any model; None likewise.
    own_decisions
        Decisions that the data set declares beside the built-in ones.
    apart
        Benchmarks with a unit of their own, which means over benchmarks leave out.
    sizes
        Numbers of parameters and tokens that are not recorded and are parameters of the model;
        None where there are none.
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
    scale: Array
    scale_center: Array
    scale_basis: Array
    between: Array
    between_terms: tuple[str, ...]
    covariates: Array
    log_scale: Array | None
    terms: tuple[Term, ...]
    decisions: tuple[str, ...]
    X: Array
    X_center: Array
    loading: Array
    free_decision: NDArray[np.int64]
    missing: MissingNumbers
    mix: Mix | None
    generations: Generations | None
    unknown: UnknownChoices | None
    recorded: Mapping[str, NDArray[Any]]
    surface: Surface | None
    surface_center: Array
    contrasts: ArmContrasts | None = None
    arm_scores: ArmScores | None = None
    own_decisions: tuple[Decision, ...] = ()
    apart: tuple[str, ...] = ()
    sizes: MissingSizes | None = None

    @property
    def known_decisions(self) -> dict[str, Decision]:
        """Every decision that may be asked for, by name: built-in ones, then declared ones."""
        return know_decisions(self.own_decisions)

    @property
    def known_facts(self) -> dict[str, Decision]:
        """The same, with size and data."""
        return know_facts(self.own_decisions)

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
            "unknown_size": () if self.sizes is None else self.sizes.names,
            "written": self.generations.names if self.generations is not None else (),
            "level": ("shared", "task_family", "benchmark"),
            "between_term": self.between_terms,
            "function": tuple(str(k) for k in range(self.surface_center.shape[1])),
            "effect_block": self.effect_blocks,
            "arm_term": () if self.contrasts is None else self.contrasts.arm_labels,
            "arm_decision": () if self.contrasts is None else self.contrasts.arm_decisions,
            "setting": self.contrasts.setting_names if self.contrasts is not None else (),
            "run": self.contrasts.runs if self.contrasts is not None else (),
        }

    @property
    def entered(self) -> list[int]:
        """Where the covariates that enter with slopes stand in `covariates`."""
        return [SCALE_TERMS.index(name) for name in self.scale_terms]

    @property
    def effect_blocks(self) -> tuple[str, ...]:
        """Blocks of coefficients with a share of effect of their own: decisions, the surface."""
        return self.decisions + ("surface",) * (self.surface is not None)

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
        """Where the share of English stands in the matrix, if what the LMs write measures it."""
        if self.generations is None or ENGLISH not in self.generations.names:
            return None
        return self.columns_of(ENGLISH)[0]

    def fraction_of(self, column_values: Any, *, column: int) -> Any:
        """Turn standardised values of a share's column, an array or a tensor, into fractions."""
        term = self.terms[column]
        return column_values * term.unit + term.center

    @property
    def facts(self) -> Facts:
        """The facts of the LMs, with undisclosed ones at their typical values."""
        english = self.columns_of(ENGLISH)
        mix = None
        if self.mix is not None:
            mix = self.mix.at_typical().known if len(self.mix.rows) else self.mix.known
        X = np.nan_to_num(self.X)
        if mix is not None:
            X[:, self.mix_columns] = mix / MIX_UNIT
        return Facts(
            design=self,
            covariates=self.covariates,
            X=X,
            mix=mix,
            typical_mix=np.empty((len(X), 0)) if mix is None else mix,
            english=X[:, english[0]] if english else np.zeros(len(X)),
        )

    @property
    def domains(self) -> tuple[str, ...]:
        """Parts of the training mix; none without one."""
        return () if self.mix is None else self.mix.domains

    @property
    def typical_parts(self) -> Array:
        """What the parts of a mix hold in proportion, where an LM says nothing, (domain,)."""
        assert self.mix is not None
        return np.exp(self.mix.log_mean)

    @property
    def knows_sizes(self) -> bool:
        """Whether size and data enter, so that their effects can be asked for."""
        return self.log_scale is not None or "n_params" in self.scale_terms

    def count_blank_sizes(self, rows: NDArray[np.bool_]) -> dict[str, int]:
        """Count LMs of the rows, shape (lm,), whose sizes are estimated, by name of the size."""
        blank = {name: int(np.isnan(self.recorded[name][rows]).sum()) for name in SIZES}
        return {name: n for name, n in blank.items() if n}

    def column_values(self, settings: Settings) -> list[tuple[int, float]]:
        """List the columns of the matrix that levels and values fill, and with what."""
        return [
            (k, float(term.level == value) if term.level else standardise(float(value), term))
            for name, value in settings.items()
            for k, term in enumerate(self.terms)
            if term.decision == name
        ]

    def columns_of(self, decision: str) -> list[int]:
        """Positions of the columns of one decision."""
        return [k for k, term in enumerate(self.terms) if term.decision == decision]


def _numbered(names: Sequence[str]) -> tuple[str, ...]:
    return tuple(f"{name}:{k}" for k, name in enumerate(names))


@dataclass(frozen=True, slots=True, eq=False)
class Facts:
    """Everything that the model takes as known of LMs, in the coding of a design.

    Whatever is asked of a model is asked of facts: as they are, with a level or value put in its
    place, or with points of the training mix moved.

    Parameters
    ----------
    design
        What the facts are coded by.
    covariates
        Size, data, their product and the release date, shape (..., lm, covariate); leading axes
        are those of draws where sizes are parameters.
    X
        Matrix of decisions, parts of the mix included, shape (..., lm, term); leading axes are
        those of draws where undisclosed facts are parameters.
    mix
        Fractions of the training mix, shape (..., lm, domain); None without a mix.
    typical_mix
        The same with undisclosed parts at their typical values, whatever the draw, shape (lm,
        domain): the surface stands on them.
    english
        Standardised share of English, the mean where it is unknown, shape (lm,); the surface's too.
    """

    design: Design
    covariates: Array
    X: Array
    mix: Array | None
    typical_mix: Array
    english: Array

    def of(self, rows: NDArray[np.bool_] | slice) -> Facts:
        """Keep the facts of some LMs; arrays that nothing changes stay the same objects."""
        if isinstance(rows, slice) or rows.all():
            return self
        return replace(
            self,
            covariates=self.covariates[..., rows, :],
            X=self.X[..., rows, :],
            mix=None if self.mix is None else self.mix[..., rows, :],
            typical_mix=self.typical_mix[rows],
            english=self.english[rows],
        )

    def put(self, settings: Settings) -> Facts:
        """Give every LM other levels or values, all its other facts held as they are.

        Parameters
        ----------
        settings
            Levels or values by name. Parts of the training mix take their place from the other
            parts in proportion.

        Returns
        -------
        Facts
            Changed ones; the old ones stay.
        """
        design, domains = self.design, () if self.mix is None else self.design.domains
        parts = {n: float(value) / 100 for n, value in settings.items() if n in domains}
        others = {n: value for n, value in settings.items() if n not in parts}
        changed = self
        if set(SIZES) & set(others):
            changed = replace(changed, covariates=_set_sizes(self.covariates, others))
        if columns := design.column_values(others):
            X, english = self.X.copy(), self.english
            for column, value in columns:
                X[..., column] = value
                if design.terms[column].decision == ENGLISH:
                    english = np.full(len(english), value)
            changed = replace(changed, X=X, english=english)
        if not parts:
            return changed
        return changed._remix(
            lambda mix: set_parts(mix, shares=parts, typical=design.typical_parts, domains=domains)
        )

    def move(self, receiver: str, *, donor: str, amount: float) -> Facts:
        """Move a fraction of the whole from one part of the training mix to another."""
        return self._remix(
            lambda mix: swap_parts(
                mix, receiver=receiver, donor=donor, amount=amount, domains=self.design.domains
            )
        )

    @property
    def functions(self) -> Array:
        """Functions of the surface at these facts, shape (..., lm, function)."""
        assert self.design.surface is not None
        return self.design.surface.evaluate(self.covariates, self.typical_mix, self.english)

    def differs(self, other: Facts) -> tuple[str, ...]:
        """Name the blocks of columns that stand on facts which are not the other's."""
        same_scale = self.covariates is other.covariates
        same_mix = self.typical_mix is other.typical_mix and self.english is other.english
        moved = {
            "beta": self.X is not other.X,
            "surface": not (same_scale and same_mix),
            "kappa": not same_scale,
            "kappa_law": not same_scale,
        }
        return tuple(name for name, has in moved.items() if has)

    def _remix(self, change: Callable[[Array], Array]) -> Facts:
        """Apply a change to both forms of the mix."""
        assert self.mix is not None
        return replace(self, typical_mix=change(self.typical_mix)).with_mix(change(self.mix))

    def with_mix(self, mix: Array) -> Facts:
        """Enter a training mix into the matrix, fractions of shape (..., lm, domain)."""
        X = self.X.copy()
        X[..., self.design.mix_columns] = mix / MIX_UNIT
        return replace(self, mix=mix, X=X)


def set_parts(
    mix: Array,
    *,
    shares: Mapping[str, Array | float],
    typical: Array,
    domains: Sequence[str] = DOMAINS,
) -> Array:
    """Set one part of a composition or several, and scale the others in proportion.

    Parameters
    ----------
    mix
        Fractions, shape (..., domain).
    shares
        New fractions by part, each broadcastable to the shape of `mix` without its last axis; at
        least one part is left for the rest.
    typical
        Proportions used where an LM has nothing but these parts, shape (domain,).
    domains
        Names of the parts.

    Returns
    -------
    ndarray
        Fractions that sum to one, the shape of `mix`.

    Examples
    --------
    >>> mix = np.array([0.6, 0.2, 0.1, 0.0, 0.0, 0.1])
    >>> set_parts(mix, shares={"web_share": 0.4, "code_share": 0.4}, typical=mix).round(3)
    array([0.4, 0.4, 0.1, 0. , 0. , 0.1])
    """
    where = [list(domains).index(domain) for domain in shares]
    rest = np.delete(np.arange(len(domains)), where)
    others = mix[..., rest]
    held = others.sum(-1, keepdims=True)
    fallback = typical[rest] / typical[rest].sum()
    proportions = np.where(held > 0, others / np.where(held > 0, held, 1.0), fallback)
    new = [np.broadcast_to(np.asarray(share, float), mix.shape[:-1]) for share in shares.values()]
    out = np.empty(mix.shape)
    out[..., where] = np.stack(new, axis=-1)
    out[..., rest] = proportions * (1 - np.sum(new, axis=0))[..., None]
    return out


def swap_parts(
    mix: Array, *, receiver: str, donor: str, amount: float, domains: Sequence[str] = DOMAINS
) -> Array:
    """Move a fraction of the whole from one part of a composition to another.

    Parameters
    ----------
    mix
        Fractions, shape (..., domain); every donor part holds at least the amount.
    receiver, donor
        The part that grows and the part that shrinks.
    amount
        What moves, as a fraction of the whole.
    domains
        Names of the parts.

    Returns
    -------
    ndarray
        Fractions that sum to one, the shape of `mix`; all other parts are as they were.

    Examples
    --------
    >>> mix = np.array([0.6, 0.2, 0.1, 0.0, 0.0, 0.1])
    >>> swap_parts(mix, receiver="code_share", donor="web_share", amount=0.1).round(3)
    array([0.5, 0.3, 0.1, 0. , 0. , 0.1])
    """
    move = np.zeros(mix.shape[-1])
    move[list(domains).index(receiver)] += amount
    move[list(domains).index(donor)] -= amount
    return np.maximum(mix + move, 0.0)


def _set_sizes(covariates: Array, sizes: Mapping[str, str | float]) -> Array:
    """Give every LM another size or number of tokens, where one is named, (..., lm, covariate)."""
    units = (("n_params", N_REFERENCE, LOG_N_UNIT), ("n_tokens", D_REFERENCE, LOG_D_UNIT))
    out = covariates.copy()
    for column, (name, reference, unit) in enumerate(units):
        if name in sizes:
            out[..., column] = np.log(float(sizes[name]) / reference) / unit
    out[..., 2] = out[..., 0] * out[..., 1]
    return out


def standardise(value: float, term: Term) -> float:
    """Turn a value in the units of the table into the units of a numeric column."""
    return (float(np.log2(value) if term.is_log2 else value / 100) - term.center) / term.unit


_CODE_LADDER = (0.0, 0.5, 1.0)
"""Code shares at which one LM of every family is imagined, so that the surface also
reaches where questions about the code share go and no LM stands."""


def build_design(
    dataset: Dataset,
    *,
    decisions: Sequence[str] | None = None,
    scale_terms: Sequence[str] = SCALE_TERMS,
    law: bool = False,
    estimate_unknown: bool = True,
    generations: bool = False,
    train: NDArray[np.bool_] | None = None,
    among: NDArray[np.bool_] | None = None,
    surface_lengths: Mapping[str, float] | None = None,
) -> Design:
    """Turn validated tables into the arrays that the model needs.

    Parameters
    ----------
    dataset
        Validated tables.
    decisions
        Names of the decisions to enter; all that are known if left out. One that does not vary over
        the LMs is left out.
    scale_terms
        Scale covariates to enter, a subset of `SCALE_TERMS`.
    law
        Whether size and data enter through a scaling law with parameters. Family effects are then
        projected off the covariates of the log-linear form: the law lies in their span but for a
        fraction of a percent of its variance, they do not move with its parameters, and family
        effects mean the same under both forms.
    estimate_unknown
        Whether undisclosed numbers, sizes and mixes are unknowns, or stand at their typical values.
    generations
        Whether what the LMs write measures undisclosed shares.
    surface_lengths
        Length scales of a smooth function of scale, date and mix together, by the names
        `n_params`, `n_tokens`, `released`, `mix` and `english_share`; left out, there is none.
    train
        Which scores the model learns from, shape (obs,); all if left out. The facts of held-out
        LMs count as known.
    among
        Which LMs the coding rests on, shape (lm,); all if left out. Levels, units, typical values
        and functions are theirs, and the other LMs are coded in them: new LMs, which have no
        scores, stand below those of the data. A choice that they leave open, and that is no level
        of its own, is one of the choices that others made.

    Returns
    -------
    Design
        Arrays and coordinates: every array of LMs has the order of the table of LMs, every array of
        scores that of the scores.

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
    known = dataset.known_decisions
    for name in decisions or ():
        if name not in known:
            raise unknown(SpecError, "decision", name, known)
    outcomes = build_outcomes(dataset, train=train)
    among = np.ones(len(dataset.lms), dtype=bool) if among is None else among
    coded = _code_decisions(
        dataset,
        known if decisions is None else decisions,
        estimate_unknown=estimate_unknown,
        generations=generations,
        among=among,
    )
    scaled = _code_scale(
        dataset, scale_terms, law=law, estimate_unknown=estimate_unknown, among=among
    )
    surface = None
    if surface_lengths:
        surface = _build_surface(
            dataset.lms, scaled["covariates"], coded["mix"], coded["terms"], coded["X"],
            lengths=surface_lengths, among=among,
        )  # fmt: skip
    learned_from = np.bincount(outcomes.lm_index[outcomes.train], minlength=len(among)) > 0
    entered = [SCALE_TERMS.index(name) for name in scaled["between_terms"]]
    spanned = [scaled["covariates"][:, entered]]
    if surface is not None:
        spanned.append(scale_bends(spanned[0], scaled["between_terms"], rows=learned_from))
    weight = outcomes.information(n_lms=len(among))
    design = Design(
        **_number(dataset),
        **coded,
        **scaled,
        outcomes=outcomes,
        scale_center=_weighted_mean(scaled["scale"], weight),
        scale_basis=orthonormal_basis(np.column_stack(spanned), rows=learned_from),
        X_center=_weighted_mean(coded["X"], weight),
        recorded={
            name: fact.record(dataset.lms) for name, fact in know_facts(dataset.decisions).items()
        },
        own_decisions=tuple(dataset.decisions),
        surface=surface,
        surface_center=np.empty((len(dataset.benchmarks), 0)),
    )
    if surface is None:
        return design
    return replace(design, surface_center=_weighted_mean(design.facts.functions, weight))


def _number(dataset: Dataset) -> dict[str, Any]:
    """List names, and number families in the order in which they appear."""
    import pandas as pd

    lms, benchmarks = dataset.lms, dataset.benchmarks
    family, families = pd.factorize(lms["lm_family"])
    task, tasks = pd.factorize(benchmarks["task_family"])
    return {
        "lms": tuple(lms["lm"]),
        "lm_families": tuple(families),
        "lm_family_index": family,
        "benchmarks": tuple(benchmarks["benchmark"]),
        "benchmark_labels": tuple(benchmarks["label"]),
        "task_families": tuple(tasks),
        "apart": tuple(benchmarks.loc[benchmarks["metric"] == SCALED, "benchmark"]),
        "task_family_index": task,
    }


def _code_decisions(
    dataset: Dataset,
    decisions: Collection[str],
    *,
    estimate_unknown: bool,
    generations: bool,
    among: NDArray[np.bool_],
) -> dict[str, Any]:
    """Code decisions and mix, with what is missing in them, and what measures it."""
    lms, known = dataset.lms, dataset.known_decisions
    wanted = [decision for name, decision in known.items() if name in decisions]
    mix = build_mix(lms, among=among) if any(decision.in_mix for decision in wanted) else None
    if mix is not None and not estimate_unknown:
        mix = mix.at_typical()
    terms, X = encode_decisions(lms, wanted, mix, among=among)
    missing = list_missing_numbers(lms, terms, X, known=known, among=among)
    if not estimate_unknown:
        X = missing.fill(X)
        missing = list_missing_numbers(lms, terms, X, known=known, among=among)
    loading, free_decision, names = build_loading(terms)
    levels = [(term.decision, term.level) for term in terms]
    return {
        "terms": terms,
        "decisions": names,
        "X": X,
        "loading": loading,
        "free_decision": free_decision,
        "missing": missing,
        "mix": mix,
        "generations": build_generations(
            dataset.generations if generations else None,
            lms=lms,
            mix=mix if mix is not None and len(mix.rows) else None,
            with_english=any(name.startswith(f"{ENGLISH}:") for name in missing.names),
        ),
        "unknown": None
        if among.all()
        else build_unknown_choices(lms, columns=levels, known=known, among=among),
    }


def _code_scale(
    dataset: Dataset,
    scale_terms: Sequence[str],
    *,
    law: bool,
    estimate_unknown: bool,
    among: NDArray[np.bool_],
) -> dict[str, Any]:
    """Code size, data and date: as covariates, as logs for a law, and averaged over families."""
    names = (*(SCALE_TERMS[:3] if law else ()), *scale_terms)
    covariates, sizes = _complete_scale(dataset, among=among, estimated=estimate_unknown)
    entered, projected = (
        covariates[:, [SCALE_TERMS.index(name) for name in chosen]]
        for chosen in (scale_terms, names)
    )
    return {
        "scale_terms": tuple(scale_terms),
        "scale": entered,
        "covariates": covariates,
        "sizes": sizes if "n_params" in names else None,
        "between": family_means(projected, families=dataset.lms["lm_family"], among=among),
        "between_terms": names,
        "log_scale": covariates[:, :2] * (LOG_N_UNIT, LOG_D_UNIT) if law else None,
    }


def _complete_scale(
    dataset: Dataset, *, among: NDArray[np.bool_], estimated: bool
) -> tuple[Array, MissingSizes | None]:
    """Build covariates with unknown sizes at their means, and say which of these are parameters.

    Those of new LMs always are.
    """
    covariates = scale_covariates(dataset.lms, among=among)
    sizes = find_missing_sizes(dataset.lms, among=among, estimated=estimated)
    if sizes is None:
        return covariates, None
    return sizes.fill(covariates, sizes.location), sizes.of(~among | estimated)


def _build_surface(
    lms: pd.DataFrame,
    covariates: Array,
    mix: Mix | None,
    terms: tuple[Term, ...],
    X: Array,
    *,
    lengths: Mapping[str, float],
    among: NDArray[np.bool_],
) -> Surface | None:
    """Choose the facts of the surface: scale covariates with a length scale, what else varies."""
    english = [k for k, term in enumerate(terms) if term.decision == ENGLISH]
    parts = np.empty((len(lms), 0)) if mix is None else mix.at_typical().known
    return build_surface(
        covariates,
        scale_lengths={k: lengths[n] for k, n in enumerate(SCALE_TERMS) if n in lengths},
        mix=parts,
        mix_length=lengths["mix"] * MIX_UNIT,
        english=np.nan_to_num(X[:, english[0]]) if english else np.zeros(len(X)),
        english_length=lengths[ENGLISH],
        imagined=_imagine_mixes(lms, mix, parts, among=among),
        among=among,
    )


def _imagine_mixes(
    lms: pd.DataFrame, mix: Mix | None, parts: Array, *, among: NDArray[np.bool_]
) -> list[tuple[NDArray[np.int64], Array]]:
    """Give one LM of every family other shares of code."""
    if mix is None or "code_share" not in mix.domains:
        return []
    one = np.flatnonzero(~lms["lm_family"].duplicated().to_numpy() & among)
    return [
        (one, set_parts(parts[one], shares={"code_share": share}, typical=mix.typical,
                        domains=mix.domains))
        for share in _CODE_LADDER
    ]  # fmt: skip


def _weighted_mean(columns: Array, weight: Array) -> Array:
    """Average the known cells of every column over the LMs, shape (benchmark, column)."""
    known = ~np.isnan(columns)
    total = weight.T @ np.nan_to_num(columns)
    return (total / np.maximum(weight.T @ known, np.finfo(float).tiny)).astype(np.float64)


def training_data(design: Design) -> dict[str, NDArray[Any]]:
    """List the arrays that change with the scores learned from; the others stay constants."""
    outcomes = design.outcomes
    names = ("y", "se", "lm_index", "benchmark_index")
    rows = {name: getattr(outcomes, name)[outcomes.train] for name in names}
    links = {name: getattr(outcomes, name) for name in ("floor", "location", "spread")}
    arrays = {**rows, **links, "scale_basis": design.scale_basis}
    centers = (design.scale_center, design.X_center @ design.loading, design.surface_center)
    if any(center.size for center in centers):
        arrays["column_center"] = np.hstack(centers).T
    if design.log_scale is not None:
        arrays["information"] = outcomes.information(n_lms=len(design.lms))
    if design.contrasts is not None:
        arrays |= _contrast_data(design, design.contrasts.of(design.contrasts.train))
    return {f"data_{name}": values for name, values in arrays.items()}


def _contrast_data(design: Design, contrasts: ArmContrasts) -> dict[str, NDArray[Any]]:
    """List the arrays of contrasts, which studies may be held out of."""
    differences, index, slope = contrasts.factor()
    runs = differences.pop("runs")
    row, run = np.nonzero(runs)
    if "beta" in differences:
        differences["beta"] = differences["beta"] @ design.loading
    names = ("y", "sampling", "repeats", "benchmark_index")
    arrays = {name: getattr(contrasts, name) for name in names}
    arrays |= {"difference_index": index, "slope": slope}
    arrays |= {"run_row": row, "run_index": run, "run_weight": runs[row, run]}
    arrays["differences"] = np.hstack(list(differences.values()))
    return {f"contrast_{name}": values for name, values in arrays.items()}
