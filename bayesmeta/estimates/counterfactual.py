"""Expected scores of LMs, as they are and with facts changed; over which LMs and benchmarks."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from bayesmeta import defaults
from bayesmeta.design.scale import SCALE_TERMS, measure_distance
from bayesmeta.errors import BayesmetaError, QueryError, listing, shorten, suggest, unknown
from bayesmeta.estimates.phrases import find_names, fold, names_no_target
from bayesmeta.estimates.question import (
    BY,
    LM_FAMILY,
    SCALES,
    UNITS,
    Names,
    Side,
    Sizes,
    Statement,
    find_name,
    list_words,
)
from bayesmeta.model.predictor import (
    Array,
    build_columns,
    combine,
    complete_facts,
    draw_remainder,
    draw_setting,
    expected_score,
    list_coefficients,
    mean_expected_score,
    multiply,
)

if TYPE_CHECKING:
    import xarray as xr

    from bayesmeta.design.facts import Design, Facts, Settings
    from bayesmeta.design.surface import Surface
    from bayesmeta.inference.fits import Fit


ASSOCIATION, EFFECT, NEW_SETTING = "association", "effect", "new_setting"
"""What a difference may be: what distinguishes LMs that have it; what changing it does on average;
and what changing it does in a setting that is not in the data."""

_SHOWN = 3
"""How many names of LMs a refusal lists."""

_LONGEST_NAME = 3
"""Words of a benchmark's name."""

_AROUND_PLACE = re.compile(
    r"^(the|a|an|better) | (tasks?|benchmarks?|problems|questions)$", re.IGNORECASE
)
"""Words beside a place."""

_MOVING = re.compile(
    r"\b(swap|replac|mov(e|ing)|trad(e|ing)|shift|tak(e|ing)|exchang|transfer|substitut)",
    re.IGNORECASE,
)
"""What tells of a substitution: `for code` names a part of the mix there, and no place."""

_SWAP = re.compile(r"swap \w+ -> \w+ by [0-9.]+")
"""A substitution as it is written in full."""

_SHOT_WORDS = {"zero": "0", "five": "5"}
"""Numbers of examples in the prompt, as words."""

_SHOTS = re.compile(r"\b(?:with )?(zero|five|[0-9]+)[- ]shots?\b", re.IGNORECASE)

_CLAUSE = re.compile(
    r"(?<=\w), (?:do|does|will|would|can|should) (?P<place>[\w -]+?) "
    r"(?:improve|benefit|suffer|gain|change|drop|rise|increase|decrease|get better|get worse|go up"
    r"|go down)[?.! ]*$",
    re.IGNORECASE,
)
"""A place in a clause behind: `if code replaces web, does math improve?`."""

_BEFORE_PLACE = ("on", "in", "for", "at", "to", "of", "with", "w/")
"""Words that a place follows."""

_VERBS = (" help ", " helps ", " hurt ", " hurts ", " improve ", " improves ")
"""Verbs that a place follows, as in `does code help math?`."""

KINDS = (ASSOCIATION, EFFECT, NEW_SETTING)

POINTS = 100.0
"""Percentage points in a score of one."""

REMAINDER = "remainder"
"""Block of columns of what the surface leaves out at sizes that are asked about."""


@dataclass(frozen=True, slots=True, eq=False)
class Baseline:
    """The LMs of a fit as they are.

    Parameters
    ----------
    facts
        Their facts.
    columns, coefficients
        By block, see `model.predictor`; at given sizes also what the surface leaves out there.
    """

    facts: Facts
    columns: Mapping[str, Array]
    coefficients: Mapping[str, Array]


def read_baseline(fit: Fit, at: Sizes = ()) -> Baseline:
    """Compute what every question of a fit shares, once; LMs as they are, or all of one size."""
    return _compute_baseline(fit, at)


@lru_cache(maxsize=4)
def _compute_baseline(fit: Fit, at: Sizes) -> Baseline:
    parameters, design = fit.parameters, fit.design
    facts = complete_facts(parameters, design=design).put(dict(at))
    columns = build_columns(facts, parameters=parameters)
    if at:
        columns |= _leave_out(fit, facts, at)
    return Baseline(facts, columns, _coefficients(fit, ASSOCIATION, at))


def read_latent(fit: Fit, at: Sizes = ()) -> Array:
    """Compute the latent values of all LMs once, shape (chain, draw, lm, benchmark)."""
    return _compute_latent(fit, at)


@lru_cache(maxsize=4)
def _compute_latent(fit: Fit, at: Sizes) -> Array:
    base, design = read_baseline(fit, at), fit.design
    if at:
        still = read_baseline(fit).columns
        change = {k: v - still[k] if k in still else v for k, v in base.columns.items()}
        return read_latent(fit) + multiply(change, base.coefficients)
    found = np.empty((*fit.shape, len(design.lms), len(design.benchmarks)))
    for chain, eta in enumerate(found):  # what stands between is as large as a chain's
        columns = _take_chain(base.columns, chain)
        coefficients, own = (
            {name: values[chain] for name, values in blocks.items()}
            for blocks in (base.coefficients, fit.parameters)
        )
        eta[:] = combine(columns, coefficients, own, design=design, spec=fit.spec)
    return found


@lru_cache(maxsize=4)
def _compute_points(fit: Fit, at: Sizes) -> Array:
    """Compute expected scores in points, higher is better, of the shape of the latent values."""
    found = np.empty_like(read_latent(fit, at))
    for points, eta in zip(found, read_latent(fit, at), strict=True):
        points[:] = to_points(expected_score(eta, design=fit.design), design=fit.design)
    return found


def _take_chain(columns: Mapping[str, Array], chain: Any) -> dict[str, Array]:
    """Take a chain of columns that differ between draws."""
    return {name: values if values.ndim == 2 else values[chain] for name, values in columns.items()}


def tells_effects(fit: Fit) -> bool:
    """Whether a fit tells effects from associations: controlled experiments informed it."""
    return fit.design.contrasts is not None


def choose_kind(fit: Fit, kind: str | None = None) -> str:
    """Take the kind of difference that is asked for: the effect, where the fit tells it.

    Raises
    ------
    QueryError
        If the kind is not known, or the fit does not tell it.
    """
    if kind is None:
        return EFFECT if tells_effects(fit) else ASSOCIATION
    if kind not in KINDS:
        raise unknown(QueryError, "kind", kind, KINDS)
    if kind != ASSOCIATION and not tells_effects(fit):
        raise QueryError(
            f"kind is '{kind}', and this fit tells associations alone: no experiments informed it. "
            f"Allowed: {ASSOCIATION}. For effects fit data with experiments, such as "
            "bm.load_dataset() or data.add(bm.read_experiments(folder)), and leave the option "
            "experiments of the model as it is."
        )
    return kind


@lru_cache(maxsize=8)
def _coefficients(fit: Fit, kind: str, at: Sizes = ()) -> Mapping[str, Array]:
    """Coefficients of associations, of effects, or of effects in a new setting.

    The further sizes that are asked about are from those of all LMs and arms, the more effects
    differ there, at most as they do between settings, and the more of the surface is unknown.
    """
    parameters, design, spec, seed = fit.parameters, fit.design, fit.spec, defaults.SEED
    of = ASSOCIATION if kind == ASSOCIATION else EFFECT
    found = list_coefficients(parameters, design=design, kind=of)
    if kind == NEW_SETTING and design.terms:
        other = draw_setting(parameters, design=design, spec=spec, seed=seed)
        found["beta"] = found["beta"] + other
    if not at:
        return found
    if design.terms and tells_effects(fit):
        distance = how_far(fit, at)
        other = draw_setting(parameters, design=design, spec=spec, seed=seed + 1)
        found["beta"] = found["beta"] + np.sqrt(distance) * other
    if design.surface is not None:
        n = _remainder(fit, at).n_functions
        weights = draw_remainder(parameters, design=design, n=n, seed=seed + 2)
        found[REMAINDER] = weights.get(of, weights[ASSOCIATION])
    return found


def how_far(fit: Fit, at: Sizes) -> float:
    """Measure how far LMs of these sizes stand from all LMs and arms, between 0 and 1."""
    arms, lengths = fit.design.arm_scores, fit.spec.priors.surface_length[:2]
    known = fit.design.recorded, arms and arms.facts
    return measure_distance(*known, lengths=lengths, sizes=dict(at))


@lru_cache(maxsize=4)
def _remainder(fit: Fit, at: Sizes) -> Surface:
    """Functions that the surface leaves out at sizes."""
    design = fit.design
    assert design.surface is not None
    first = complete_facts(fit.parameters, design=design).put(dict(at)).covariates
    column = {name: SCALE_TERMS.index(name) for name, _ in at}
    places = {k: float(first[..., k].flat[0]) for k in column.values()}
    return design.surface.remainder(places)


def _leave_out(fit: Fit, facts: Facts, at: Sizes) -> dict[str, Array]:
    """Columns of what the surface leaves out at sizes, shape (..., lm, function)."""
    if fit.design.surface is None:
        return {}
    known = facts.covariates, facts.typical_mix, facts.english
    return {REMAINDER: _remainder(fit, at).evaluate(*known)}


def to_points(scores: Array, *, design: Design) -> Array:
    """Turn scores (..., benchmark) into points, higher is better: a Brier score gets a minus."""
    sign = np.where(design.outcomes.is_logistic, 1.0, np.sign(design.outcomes.spread))
    return POINTS * sign * scores


def _mean_points(eta: Array, *, design: Design) -> Array:
    """Average expected scores over LMs in points, higher is better, shape (..., benchmark)."""
    return to_points(mean_expected_score(eta, design=design), design=design)


def _change(fit: Fit, facts: Facts, at: Sizes = ()) -> dict[str, Array]:
    """Change of the columns by other facts of all LMs; blocks that do not move are left out."""
    base = read_baseline(fit, at)
    moved = facts.differs(base.facts)
    new = build_columns(facts, parameters=fit.parameters, only=moved)
    if at and "surface" in moved:
        new |= _leave_out(fit, facts, at)
    return {name: values - base.columns[name] for name, values in new.items()}


def side_change(fit: Fit, side: Side, at: Sizes = ()) -> Mapping[str, Array]:
    """Change of the columns of all LMs by one side of a statement, by block, (..., lm, column)."""
    return _compute_side(fit, side, at)


@lru_cache(maxsize=4)
def _compute_side(fit: Fit, side: Side, at: Sizes) -> Mapping[str, Array]:
    return _change(fit, side.of(read_baseline(fit, at).facts), at)


def _latent_change(
    fit: Fit,
    change: Mapping[str, Array],
    rows: Any,
    kind: str,
    at: Sizes,
    chain: Any = slice(None),
) -> Array | float:
    """Latent change of the LMs of the rows, shape (chain, draw, lm, benchmark); or zero.

    Of a chain that of its draws alone.
    """
    kept = {name: values[..., rows, :] for name, values in _take_chain(change, chain).items()}
    return multiply(kept, {name: _coefficients(fit, kind, at)[name][chain] for name in kept})


def _mean_score(
    fit: Fit, change: Mapping[str, Array], rows: Any, kind: str, at: Sizes = ()
) -> Array:
    """Average expected scores of the LMs of the rows, changed, shape (chain, draw, benchmark).

    Chain by chain, so that the latent values stay in a processor's reach.
    """
    if not any(values.any() for values in change.values()):
        return _compute_points(fit, at)[..., rows, :].mean(axis=-2)
    found = np.empty((*fit.shape, len(fit.design.benchmarks)))
    for chain, eta in enumerate(read_latent(fit, at)):
        moved = eta[..., rows, :] + _latent_change(fit, change, rows, kind, at, chain)
        found[chain] = _mean_points(moved, design=fit.design)
    return found


def mean_score_at(
    fit: Fit,
    *,
    settings: Settings,
    rows: NDArray[np.bool_] | slice = slice(None),
    kind: str | None = None,
    at: Sizes = (),
) -> Array:
    """Average the expected scores of LMs with some facts set to other values.

    Parameters
    ----------
    fit
        The fit.
    settings
        Levels or values by decision, or by `n_params` and `n_tokens`, that every LM is given, all
        its other recorded facts, and the effects of the LM and of its family, held as they are.
        Parts of the training mix take their place from the other parts in proportion. With none
        the LMs are as they are.
    rows
        Which LMs are averaged over, shape (lm,); all if left out.
    kind
        Whether the change is an `association`, an `effect`, or one in a `new_setting`; the effect
        where the fit tells it, if left out.
    at
        Size and tokens that all LMs are given first.

    Returns
    -------
    ndarray
        Points, higher is better, shape (chain, draw, benchmark).
    """
    change = _change(fit, read_baseline(fit, at).facts.put(settings), at)
    return _mean_score(fit, change, rows, choose_kind(fit, kind), at)


def mean_slope(fit: Fit, *, weights: Array) -> float:
    """Points that a small latent effect of one is worth, averaged over LMs and benchmarks."""
    return float(weights @ _slopes(fit))


@lru_cache(maxsize=2)
def _slopes(fit: Fit) -> Array:
    """Points that a small latent effect of one is worth on every benchmark, (benchmark,)."""
    return slopes_at(read_latent(fit).mean(axis=(0, 1)), design=fit.design)


def slopes_at(eta: Array, *, design: Design) -> Array:
    """Do so at latent values of shape (lm, benchmark)."""
    step = 1e-3
    high, low = (_mean_points(eta + side, design=design) for side in (step, -step))
    return (high - low) / (2 * step)


def effect_on_benchmarks(
    fit: Fit,
    statement: Statement,
    *,
    rows: NDArray[np.bool_] | None = None,
    scale: str = "score",
    kind: str = ASSOCIATION,
    at: Sizes = (),
) -> Array:
    """Compute an effect on every benchmark, averaged over LMs, draw by draw.

    Parameters
    ----------
    fit
        The fit.
    statement
        What is compared.
    rows
        Which LMs are asked about, shape (lm,); all if left out. Of a substitution, those of them
        count that record as much of the donor as moves.
    scale
        `score` or `latent`.
    kind
        An `association`, an `effect`, or one in a `new_setting`.
    at
        Size and tokens that all LMs are given.

    Returns
    -------
    ndarray
        Points or latent units, shape (chain, draw, benchmark).

    Raises
    ------
    QueryError
        If the statement applies to none of the LMs.
    """
    applies = statement.applies(fit.design)
    kept = applies if rows is None else rows & applies
    if not kept.any():
        raise QueryError(
            f"'{statement.label}' cannot be averaged: of the LMs that are asked about none records "
            f"{statement.needs}. Move fewer points, or ask about other LMs."
        )
    if scale == "latent":
        first, second = (
            _latent_change(fit, side_change(fit, side, at), kept, kind, at)
            for side in statement.sides
        )
        return np.asarray(first - second).mean(axis=-2)
    high, low = (_mean_score_of(fit, side, kept.tobytes(), kind, at) for side in statement.sides)
    return high - low


@lru_cache(maxsize=256)  # a report asks for every level several times; 100 kB per 1000 draws
def _mean_score_of(fit: Fit, side: Side, kept: bytes, kind: str, at: Sizes) -> Array:
    rows = np.frombuffer(kept, dtype=bool)
    rows = slice(None) if rows.all() else rows
    return _mean_score(fit, side_change(fit, side, at), rows, kind, at)


def contrast_draws(
    fit: Fit,
    *,
    contrast: Statement,
    by: str = "overall",
    rows: NDArray[np.bool_] | None = None,
    scale: str = "score",
    kind: str = ASSOCIATION,
    at: Sizes = (),
) -> xr.DataArray:
    """Compute the effect of one statement, draw by draw.

    Parameters
    ----------
    fit
        The fit.
    contrast
        What is compared with what, or which parts of the mix change places.
    by
        `benchmark`, `task_family` or `overall`; or `lm_family`, over all benchmarks.
    rows
        Which LMs it is averaged over, shape (lm,); all if left out.
    scale
        `score`, or `latent`: logits of the share of solved items above chance, and standard
        deviations of a Brier score.
    kind
        An `association`, an `effect`, or one in a `new_setting`.
    at
        Size and tokens that all LMs are given.

    Returns
    -------
    xarray.DataArray
        Percentage points, or latent units, with dims chain, draw, target: the difference in
        expected score in the benchmark's good direction, averaged over the LMs of the data; of a
        substitution, over the LMs that record as much of the donor as moves.

    Raises
    ------
    QueryError
        If `by` or `scale` is not known, or the statement applies to none of the LMs.
    """
    check_by(by, more=(LM_FAMILY,))
    check_scale(scale)
    if by != LM_FAMILY:
        gain = effect_on_benchmarks(fit, contrast, rows=rows, scale=scale, kind=kind, at=at)
        return average_benchmarks(gain, fit=fit, by=by).assign_attrs(units=SCALES[scale])
    design, applies = fit.design, contrast.applies(fit.design)
    kept = applies if rows is None else rows & applies
    parts = {}
    for k, name in enumerate(design.lm_families):
        own = kept & (design.lm_family_index == k)
        if own.any():
            gain = effect_on_benchmarks(fit, contrast, rows=own, scale=scale, kind=kind, at=at)
            parts[name] = average_benchmarks(gain, fit=fit, by="overall").values[..., 0]
    values = np.stack(list(parts.values()), axis=-1)
    return label_draws(fit, values, target=list(parts)).assign_attrs(units=SCALES[scale], by=by)


def average_benchmarks(values: Array, *, fit: Fit, by: str) -> xr.DataArray:
    """Average draws of shape (chain, draw, benchmark, ...) over the benchmarks of each target."""
    names, weights = weigh_benchmarks(fit.design, by=by)
    averaged = np.einsum("tb,cdb...->cdt...", weights, values)
    return label_draws(fit, averaged, target=list(names), grid=None).assign_attrs(
        units=UNITS, by=by
    )


def label_draws(fit: Fit, values: Array, **dims: Sequence[str] | None) -> xr.DataArray:
    """Label draws of shape (chain, draw, ...) by names of further dims, as many as occur."""
    import xarray as xr

    names = list(dims)[: values.ndim - 2]
    labels = {name: dims[name] for name in names if dims[name] is not None}
    return xr.DataArray(
        values,
        dims=("chain", "draw", *names),
        coords={**fit.sample_coords, **labels},
        name="effect",
    )


def find_target(design: Design, name: str) -> tuple[str, str]:
    """Find a benchmark, a task family or `overall`; answer its kind and its name."""
    kinds = {"overall": "overall", **dict.fromkeys(design.task_families, "task_family")}
    kinds |= dict.fromkeys(design.benchmarks, "benchmark")
    labels = dict(zip(design.benchmarks, design.benchmark_labels, strict=True))
    mend = "These are the mean over all benchmarks, task families and benchmarks."
    found = find_name(
        name, list(kinds), "target", mend=mend, labels=[labels.get(n, n) for n in kinds]
    )
    return kinds[found], found


def split_place(
    design: Design, text: str, *, benchmark: str | None = None, task_family: str | None = None
) -> tuple[str, str | None, str | None]:
    """Split `... on HumanEval` into the question, its benchmark and its task family.

    A text that ends otherwise stays whole, and the target is the one given beside it.

    Raises
    ------
    QueryError
        If what follows may be several benchmarks or is none, or a target is given beside it too.

    Examples
    --------
    >>> import bayesmeta as bm
    >>> split_place(bm.load_reference_fit().design, "GQA vs MHA on HumanEval?")
    ('GQA vs MHA', 'humaneval', None)
    """
    moves = isinstance(text, str) and bool(_MOVING.search(text))
    if isinstance(text, str):
        text = _SHOTS.sub(lambda found: f"{_SHOT_WORDS.get(found[1].lower(), found[1])}-shot", text)
        text = _CLAUSE.sub(r" on \g<place>", text)
    marks = (" on ",) if moves else (" on ", " in ", " for ", *_VERBS)
    marks = (", ", " | ", " @ ", " wrt ", *marks)
    parts = [text.rpartition(mark) for mark in marks] if isinstance(text, str) else []
    parts = [part for part in parts if not part[2].startswith(("place of ", "contrast "))]
    names = [*design.benchmarks, *design.task_families, "overall"]
    for head, found, tail in sorted(parts, key=lambda part: -len(part[0])):
        tail = _AROUND_PLACE.sub("", tail.strip(" ?.!"))
        if head.strip() and find_names(tail, names, labels=design.benchmark_labels):
            break
        strange = found in marks[3:] and names_no_target(tail, list_words(design))
        if strange and not _split_place(design, tail)[1]:
            raise unknown(QueryError, "benchmark or task family", tail, names)
    else:
        is_form = str(text).partition(":")[0] in design.known_facts or _SWAP.fullmatch(str(text))
        head, tail = ("", "") if is_form else _split_place(design, text)
        if not tail:
            return text, benchmark, task_family
    by, name = find_target(design, tail)
    if benchmark or task_family:
        raise QueryError(
            f"'{shorten(text)}' names {name}, and {benchmark or task_family} is given beside it. "
            "Name one of them."
        )
    return head, name if by == "benchmark" else None, name if by == "task_family" else None


def _split_place(design: Design, text: object) -> tuple[str, str]:
    """Split off a benchmark, wherever it stands, or a task family at an end or behind its word."""
    first, _, rest = str(text).partition(":")
    if rest and find_names(first, design.benchmarks, labels=design.benchmark_labels, exact=True):
        return rest.strip(), first.strip()
    words = text.strip(" ?.!").split(" ") if isinstance(text, str) else []
    names = [*design.benchmarks, *design.task_families]
    told = (*_BEFORE_PLACE, *(verb.strip() for verb in _VERBS))
    for n in range(min(_LONGEST_NAME, len(words) - 1), 0, -1):
        for start in range(len(words) - n, -1, -1):
            place, rest = words[start : start + n], words[start + n :]
            place = [*place[:-1], place[-1].rstrip(",;:")]  # `better for code, MQA or GQA?`
            before = words[: start - 1] if words[:start][-1:] == ["the"] else words[:start]
            is_told = [word.lower() in told for word in before[-1:]] == [True]
            anywhere = design.benchmarks if before and rest and not is_told else names
            if _is_place(design, place, anywhere):
                return " ".join([*before[: len(before) - is_told], *rest]), " ".join(place)
    return "", ""


def _is_place(design: Design, words: Sequence[str], names: Sequence[str]) -> bool:
    """Say whether words name a benchmark or task family, and not a decision."""
    name = " ".join(words)
    if not find_names(name, names, labels=design.benchmark_labels, exact=True):
        return False
    meanings = list_words(design).get(fold(name), ())
    return not any(one.kind in ("decision", "level") for one in meanings)


def name_target(by: str, name: str) -> dict[str, Any]:
    """Name a target as questions take it: by `benchmark`, by `task_family`, or not at all."""
    return {} if by == "overall" else {by: name}


def weigh_benchmarks(design: Design, *, by: str) -> tuple[tuple[str, ...], Array]:
    """Name the targets, and weigh the benchmarks in each: (target, benchmark), rows sum to one.

    Benchmarks with a unit of their own are no part of the mean over all.

    Raises
    ------
    QueryError
        If a mean is asked for over benchmarks of which each has a unit of its own.
    """
    n = len(design.benchmarks)
    if by == "benchmark":
        return design.benchmarks, np.eye(n)
    if by != "task_family":
        return ("overall",), _weigh_all(design)[None]
    names = design.task_families
    member = (np.arange(len(names))[:, None] == design.task_family_index).astype(float)
    return names, member / member.sum(axis=1, keepdims=True)


def _weigh_all(design: Design) -> Array:
    """Weigh all benchmarks alike that share a unit, shape (benchmark,)."""
    n = len(design.benchmarks)
    alike = np.array([name not in design.apart for name in design.benchmarks], dtype=float)
    if n > 1 and not alike.any():
        raise QueryError(
            f"the benchmarks {listing(design.benchmarks)} have units of their own, and no mean. "
            "Ask of one of them: benchmark='...', or by='benchmark'."
        )
    return alike / alike.sum() if alike.any() else np.ones(n)


def weigh_target(
    design: Design, *, benchmark: str | None = None, task_family: str | None = None
) -> tuple[str, Array]:
    """Turn the two optional names into the name of a target and its weights (benchmark,)."""
    if benchmark is not None and task_family is not None:
        raise QueryError("both a benchmark and a task family were given. Name one of them.")
    by = target = "overall"
    if benchmark is not None:
        labels = design.benchmark_labels
        target = find_name(benchmark, design.benchmarks, "benchmark", labels=labels)
        by = "benchmark"
    if task_family is not None:
        by, target = "task_family", find_name(task_family, design.task_families, "task family")
    names, weights = weigh_benchmarks(design, by=by)
    return target, weights[names.index(target)]


def select_lms(
    design: Design, *, lms: Names = None, lm_family: Names = None
) -> tuple[NDArray[np.bool_], tuple[str, ...]]:
    """Say which LMs of the data are asked about, and by what names.

    Parameters
    ----------
    design
        What is known.
    lms
        Names of LMs; all if left out.
    lm_family
        Names of families whose LMs are kept; all if left out.

    Returns
    -------
    ndarray
        Shape (lm,).
    tuple of str
        The names, of LMs where both kinds were given; none for all.

    Raises
    ------
    QueryError
        If a name is not in the data, or no LM is left.

    Examples
    --------
    >>> import bayesmeta as bm
    >>> rows, among = select_lms(bm.load_reference_fit().design, lm_family="pythia")
    >>> int(rows.sum()), among
    (17, ('pythia',))
    """
    names, families = _as_list(lms, "lms"), _as_list(lm_family, "lm_family")
    kept = np.ones(len(design.lms), bool)
    if names:
        kept = np.isin(np.arange(len(kept)), [find_lm(design, name) for name in names])
    if not families:
        return kept, tuple(names)
    known, said = design.lm_families, "is not in this fit's data"
    chosen = [known.index(find_name(name, known, "LM family", said)) for name in families]
    rows = kept & np.isin(design.lm_family_index, chosen)
    if not rows.any():
        theirs = sorted({known[k] for k in design.lm_family_index[kept]})
        raise QueryError(
            f"no LM is left: {listing(names)} is of family {listing(theirs)}, and lm_family is "
            f"{listing(families)}. Name LMs of the family, or leave one of the two out."
        )
    return rows, tuple(names or families)


def find_lm(design: Design, name: str) -> int:
    """Find the row of an LM of the data, by its name with or without its developer's."""
    known = design.lms
    if name in known:
        return known.index(name)
    short = [full.rpartition("/")[2] for full in known]
    asked = fold(str(name))
    found = [k for k, pair in enumerate(zip(known, short, strict=True)) if asked in map(fold, pair)]
    if len(found) == 1:
        return found[0]
    begun = [full for full, part in zip(known, short, strict=True) if fold(part).startswith(asked)]
    near = (found and [known[k] for k in found]) or (begun if len(asked) > 1 else [])
    guess = f" Did you mean {listing(f"'{one}'" for one in near[:_SHOWN])}?" if near else ""
    more = len(known) - _SHOWN
    some = [*known[:_SHOWN], f"and {more} more"] if more > 0 else known
    raise QueryError(
        f"lm '{shorten(name)}' is not in this fit's data.{guess or suggest(name, known)} Allowed: "
        f"a name in the column lm of the data, such as: {listing(some)}; `bayesmeta list models` "
        "lists them. For an LM that is not in the data use bm.predict."
    )


def _as_list(names: object, what: str) -> list[str]:
    if names is None:
        return []
    found = _listed(names)
    if not found or not all(isinstance(name, str) for name in found):
        raise QueryError(f"{what} is {shorten(names)}. Allowed: a name, or a list of at least one.")
    return [str(name) for name in found]


def as_names(
    names: Names,
    *,
    allowed: Sequence[str],
    what: str = "",
    said: str = "",
    error: type[BayesmetaError] = QueryError,
) -> list[str]:
    """List names, each once; all that are allowed where none is given.

    Others are refused where it is told `what` they are and what is `said` of them.
    """
    if names is None:
        return list(allowed)
    given = [str(name) for name in _listed(names)]
    meant = [find_names(name, allowed) if what else [name] for name in given]
    for name, found in zip(given, meant, strict=True):
        if len(found) != 1:
            raise unknown(error, what, name, allowed, said=said)
    return list(dict.fromkeys(found[0] for found in meant))


def _listed(names: object) -> list[object]:
    is_list = isinstance(names, Iterable) and not isinstance(names, str)
    return list(names) if is_list else [names]  # type: ignore[arg-type]


def check_by(by: str, *, more: tuple[str, ...] = ()) -> None:
    """Refuse a kind of target that is not known."""
    find_name(by, (*BY, *more), "by", "is not known")


def check_scale(scale: str) -> None:
    """Refuse a scale that is not known."""
    find_name(scale, tuple(SCALES), "scale", "is not known")
