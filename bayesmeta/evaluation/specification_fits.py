"""Fits of specifications: what is asked of which fit, how it is computed, and how it is kept."""

from __future__ import annotations

import hashlib
import json
import logging
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from bayesmeta import defaults
from bayesmeta.data import Dataset
from bayesmeta.design import DECISIONS, find_overlaps
from bayesmeta.effects.contrasts import pick_target
from bayesmeta.effects.estimands import UNITS
from bayesmeta.effects.mix_swaps import Swap
from bayesmeta.effects.scores import contrast_draws
from bayesmeta.effects.statements import parse_statement
from bayesmeta.errors import QueryError, SpecError, listing, suggest
from bayesmeta.evaluation.specifications import Specification
from bayesmeta.evaluation.variants import Variant, apply_to_spec, build_variant
from bayesmeta.inference.fits import Fit
from bayesmeta.inference.refit import Refitter
from bayesmeta.model import ModelSpec, build_design_for

__all__ = ["Job", "Question", "Task", "fit_graph", "plan_fits", "read_questions"]

Result = Mapping[str, Any]
"""What is kept of a fit: divergences, seconds, and draws of every effect that was asked for."""

FORMAT = 1
_FEWEST_LMS = 3
"""Fewer lms do not tell size from data."""

_DIGITS = 5
"""Decimals of kept draws, in percentage points."""

_compiling = threading.Lock()


@dataclass(frozen=True, slots=True)
class Question:
    """A statement, and where it is asked.

    Parameters
    ----------
    statement
        Such as `position_embedding: rotary > learned`.
    by, target
        `benchmark`, `task_family` or `overall`, and the name of the target.
    decisions
        The columns that it is about.
    """

    statement: str
    by: str
    target: str
    decisions: tuple[str, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Job:
    """One fit, and what is asked of it.

    Parameters
    ----------
    key
        Checksum of data, model, settings and questions: the name of its file.
    train
        Which scores of the data are learned from, shape (score,).
    seed
        Seed of the sampler.
    questions
        What is asked.
    """

    key: str
    train: NDArray[np.bool_]
    seed: int
    questions: tuple[Question, ...]


Task = tuple[Dataset, ModelSpec, tuple[Job, ...]]
"""Jobs of one graph: their data differ in which scores are learned from, and in nothing else."""


def read_questions(
    statements: str | Sequence[str | tuple[str, str]], *, data: Dataset, spec: ModelSpec
) -> list[Question]:
    """Read statements as the default specification understands them.

    Parameters
    ----------
    statements
        One statement or several; each alone, which asks for the mean over all benchmarks, or with
        the name of a benchmark or task family.
    data, spec
        Data and model of the default specification.

    Returns
    -------
    list of Question
        One per statement.

    Raises
    ------
    QueryError
        If a statement or target cannot be read.

    Examples
    --------
    >>> import bayesmeta as bm
    >>> asked = read_questions(
    ...     [("norm: rmsnorm > layernorm", "code")], data=bm.load_dataset(), spec=bm.ModelSpec()
    ... )
    >>> asked[0].by
    'task_family'
    """
    given = [statements] if isinstance(statements, str) else statements
    if not isinstance(given, Sequence) or not len(given):
        raise QueryError(
            f"statement is {statements!r}. Allowed: a statement such as 'position_embedding: rotary"
            " > learned', or a list of such, each alone or in a pair with the name of a benchmark "
            "or task family."
        )
    fit = _hollow_fit(data, spec)
    found = [_read_question(fit, entry) for entry in given]
    for question in found:
        if found.count(question) > 1:
            raise QueryError(
                f"'{question.statement}' on {question.target} is asked twice. Allowed: each "
                "statement once. Leave one out."
            )
    return found


def _read_question(fit: Fit, entry: str | tuple[str, str]) -> Question:
    statement, target = (entry, "overall") if isinstance(entry, str) else _unpack(entry)
    contrast = parse_statement(fit, statement=statement)
    by = _kind_of_target(fit, target)
    donor = (contrast.donor,) if isinstance(contrast, Swap) else ()
    return Question(contrast.label, by=by, target=target, decisions=(contrast.decision, *donor))


def _unpack(entry: Any) -> tuple[str, str]:
    if isinstance(entry, Sequence) and len(entry) == 2 and all(isinstance(e, str) for e in entry):
        return entry[0], entry[1]
    raise QueryError(
        f"statement is {entry!r}. Allowed: text, such as 'norm: rmsnorm > layernorm', or a pair of "
        "such text and the name of a benchmark or task family."
    )


def _kind_of_target(fit: Fit, target: str) -> str:
    benchmarks, families = fit.design.benchmarks, fit.design.task_families
    if target in ("overall", *benchmarks, *families):
        return "overall" if target == "overall" else (
            "benchmark" if target in benchmarks else "task_family"
        )  # fmt: skip
    raise QueryError(
        f"target '{target}' is not known.{suggest(target, [*benchmarks, *families])} Allowed: "
        f"overall; a benchmark: {listing(benchmarks)}; or a task family: {listing(families)}."
    )


def _hollow_fit(data: Dataset, spec: ModelSpec) -> Fit:
    """Make a fit without draws: statements can be read by it."""
    return Fit(posterior=xr.DataTree(), spec=spec, dataset=data, provenance={})


def plan_fits(
    grid: Sequence[Specification],
    questions: Sequence[Question],
    *,
    data: Dataset,
    spec: ModelSpec,
    seed: int,
) -> tuple[list[Task], dict[tuple[int, Question], tuple[str, int]]]:
    """Find the fits that specifications need; those of the same model and data are one.

    Where missing facts are dropped, statements about different decisions need different data.
    Elsewhere all statements are asked of the same fit.

    Parameters
    ----------
    grid
        Specifications.
    questions
        What is asked.
    data, spec
        Data and model of the default specification.
    seed
        A seed; every fit gets its own, which depends on this, its data and its model alone.

    Returns
    -------
    tuple
        Tasks, one for each graph; and for the number of a specification and a question the key of
        the job that answers it, and the place of the answer.
    """
    variants: dict[tuple[Any, ...], Variant] = {}
    asked: dict[tuple[str, str], list[Question]] = {}
    parts: dict[tuple[str, str], tuple[Variant, ModelSpec]] = {}
    place: dict[tuple[int, Question], tuple[str, str]] = {}
    for k, specification in enumerate(grid):
        model = apply_to_spec(spec, specification)
        for question in questions:
            levels = [specification.get(name) for name in ("data", "flagged", "missing")]
            dropped = question.decisions if levels[-1] == "dropped" else ()
            name = (*levels, dropped)
            if name not in variants:
                variants[name] = build_variant(data, specification, decisions=dropped)
            fit = variants[name].identity, model.checksum
            place[k, question] = fit
            parts[fit] = variants[name], model
            if question not in asked.setdefault(fit, []):
                asked[fit].append(question)
    jobs = {fit: _make_job(fit, found, parts[fit][0], seed=seed) for fit, found in asked.items()}
    graphs: dict[tuple[str, str], list[tuple[str, str]]] = {}
    for fit, (variant, model) in parts.items():
        graphs.setdefault((variant.dataset.checksum, model.checksum), []).append(fit)
    tasks: list[Task] = [
        (parts[fits[0]][0].dataset, parts[fits[0]][1], tuple(jobs[fit] for fit in fits))
        for fits in graphs.values()
    ]
    answers = {at: (jobs[fit].key, asked[fit].index(at[1])) for at, fit in place.items()}
    return tasks, answers


def _make_job(
    fit: tuple[str, str], questions: Sequence[Question], variant: Variant, *, seed: int
) -> Job:
    own = int(hashlib.sha256("".join(fit).encode()).hexdigest()[:8], 16)
    drawn = int(np.random.SeedSequence([seed, own]).generate_state(1)[0]) % defaults.LARGEST_SETTING
    asked = [[question.statement, question.by, question.target] for question in questions]
    settings = (defaults.RECOVERY_CHAINS, defaults.RECOVERY_TUNE, defaults.RECOVERY_DRAWS)
    text = json.dumps([FORMAT, *fit, drawn, *settings, asked])
    key = hashlib.sha256(text.encode()).hexdigest()[:24]
    return Job(key, train=variant.train, seed=drawn, questions=tuple(questions))


def fit_graph(dataset: Dataset, spec: ModelSpec, jobs: tuple[Job, ...]) -> list[Result]:
    """Compile a model once, fit it to every job's scores, and ask each fit.

    Parameters
    ----------
    dataset
        Tables.
    spec
        The model.
    jobs
        Which scores to learn from, and what to ask.

    Returns
    -------
    list of dict
        A result per job: `divergences`, `seconds` without compiling, and `answers`, each with
        `draws` by chain, missing where it cannot be asked, and a `note` that says why. The same
        for the same job, whatever ran before.
    """
    read = [_read_notes(dataset, spec, job) for job in jobs]
    refitter: Refitter | None = None
    out = []
    for job, notes in zip(jobs, read, strict=True):
        if not any(note.answerable for note in notes):
            out.append(_wrap(notes, {}))
            continue
        if refitter is None:
            with _compiling, _unwarned():
                refitter = Refitter(dataset, spec=spec, warm=False)
        started = time.perf_counter()
        fit = refitter.fit(
            seed=job.seed,
            train=job.train,
            chains=defaults.RECOVERY_CHAINS,
            tune=defaults.RECOVERY_TUNE,
            draws=defaults.RECOVERY_DRAWS,
        )
        asked = enumerate(job.questions)
        draws = {k: _draw(fit, question) for k, question in asked if notes[k].answerable}
        seconds = round(time.perf_counter() - started, 2)
        out.append(_wrap(notes, draws, fit.provenance["divergences"], seconds))
    return out


class Note(NamedTuple):
    """What is to be said of a question to a fit, empty where nothing is, and if it is answered."""

    text: str
    answerable: bool


@contextmanager
def _unwarned() -> Iterator[None]:
    """Keep quiet about decisions that dropped lms made constant: notes say what was asked of."""
    logger = logging.getLogger("bayesmeta.model.build")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(level)


def _wrap(
    notes: Sequence[Note],
    draws: Mapping[int, list[list[float]]],
    divergences: int = 0,
    seconds: float = 0.0,
) -> Result:
    answers = [{"note": note.text, "draws": draws.get(k)} for k, note in enumerate(notes)]
    return {"divergences": divergences, "seconds": seconds, "units": UNITS, "answers": answers}


def _read_notes(dataset: Dataset, spec: ModelSpec, job: Job) -> list[Note]:
    """Say of every question why it cannot be asked of these data, or why the answer is a prior."""
    data = replace(dataset, scores=dataset.scores[job.train].reset_index(drop=True))
    n_lms = data.scores["lm"].nunique()
    if n_lms < _FEWEST_LMS:
        return [Note(f"Only {n_lms} lms with a score are left.", False)] * len(job.questions)
    try:
        design = build_design_for(data, spec=spec)
    except SpecError as error:
        return [Note(str(error), False)] * len(job.questions)
    fit, notes = _hollow_fit(data, spec), []
    for question in job.questions:
        try:
            parse_statement(fit, statement=question.statement)
            _pick(fit, question)
        except QueryError as error:
            notes.append(Note(str(error), False))
            continue
        modelled = [name for name in question.decisions if name in DECISIONS]
        said = [overlap.said for overlap in find_overlaps(design, decisions=modelled)]
        said += ["Only the prior tells its effect."] if said else []
        notes.append(Note(" ".join(said), True))
    return notes


def _pick(fit: Fit, question: Question) -> None:
    names = {question.by: question.target} if question.by != "overall" else {}
    pick_target(fit, benchmark=names.get("benchmark"), task_family=names.get("task_family"))


def _draw(fit: Fit, question: Question) -> list[list[float]]:
    contrast = parse_statement(fit, statement=question.statement)
    values = contrast_draws(fit, contrast=contrast, by=question.by).sel(target=question.target)
    chains = fit.provenance["chains"]
    return np.asarray(values, float).reshape(chains, -1).round(_DIGITS).tolist()
