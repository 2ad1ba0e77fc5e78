"""One statement under every choice that reasonable analysts make differently: the fits."""

from __future__ import annotations

import hashlib
import json
import logging
import threading
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, replace
from os import PathLike
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import xarray as xr
from numpy.typing import NDArray

from bayesmeta import defaults, jobs
from bayesmeta.crossvalidation.schemes import check_dataset
from bayesmeta.data.dataset import Dataset
from bayesmeta.design.facts import Design
from bayesmeta.design.overlap import find_overlaps
from bayesmeta.errors import EvaluationError, QueryError, SpecError
from bayesmeta.estimates.counterfactual import (
    choose_kind,
    contrast_draws,
    find_target,
    name_target,
    weigh_target,
)
from bayesmeta.estimates.question import UNITS, parse_statement
from bayesmeta.estimates.summary import summarise_effect
from bayesmeta.inference.fits import Fit
from bayesmeta.inference.refit import Refitter
from bayesmeta.jobs import progress_bar
from bayesmeta.model.spec import ModelSpec, build_design_for
from bayesmeta.specification_curves.grid import (
    Specification,
    Variant,
    apply_to_spec,
    build_grid,
    build_variant,
    list_choices,
)
from bayesmeta.specification_curves.results import Multiverse

Result = Mapping[str, Any]
"""What is kept of a fit: divergences, seconds, and draws of every effect that was asked for."""

FORMAT = 1
_FEWEST_LMS = 3
"""Fewer LMs do not tell size from data."""

_DIGITS = 5
"""Decimals of kept draws, in percentage points."""

_compiling = threading.Lock()


@dataclass(frozen=True, slots=True)
class Inquiry:
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
    train
        Which scores of the data are learned from, shape (score,).
    seed
        Seed of the sampler.
    inquiries
        What is asked.
    """

    train: NDArray[np.bool_]
    seed: int
    inquiries: tuple[Inquiry, ...]


Task = tuple[Dataset, ModelSpec, Job]
"""Those with the same data and model are one graph: they learn from other scores of it."""


def multiverse(
    data: Dataset,
    statement: str | Sequence[str | tuple[str, str]],
    *,
    grid: Mapping[str, Sequence[str]] | None = None,
    n: int | str = defaults.SPECIFICATIONS,
    seed: int = defaults.SEED,
    spec: ModelSpec | None = None,
    executor: Executor | None = None,
    out: str | PathLike[str] | None = None,
    progress: bool = True,
) -> Multiverse:
    """Ask a statement under every choice that reasonable analysts make differently.

    A multiverse analysis (Steegen et al. 2016, https://doi.org/10.1177/1745691616658637), shown as
    a specification curve (Simonsohn et al. 2020, https://doi.org/10.1038/s41562-020-0912-z). Each
    specification is fitted anew with short chains. Every compiled model leaves about a hundred
    megabytes in the process that made it; where memory is short, a run with `out` can be stopped
    and called again.

    Parameters
    ----------
    data
        Validated tables: those of the default specification. Choices between versions of the facts
        are there for the bundled data alone.
    statement
        `DECISION: A > B` or `PART: +POINTS from PART`, over all benchmarks; or a pair of that and
        the name of a benchmark or task family; or a list of such.
    grid
        Choices and their levels, out of those of `CHOICES`; all if left out.
    n
        Number of specifications, a balanced fraction of the full cross, or `all`.
    seed
        Seed of the fraction and of the fits.
    spec
        The model of the default specification; the default model if left out.
    executor, out, progress
        As `evaluate` takes them. Processes suit, since compiling takes most of the time.

    Returns
    -------
    Multiverse
        What every specification says, and which choice matters most.

    Raises
    ------
    QueryError
        If a statement cannot be asked in the default specification.
    EvaluationError
        If a choice or level is not known, the number makes no sense, the folder holds other
        results, or workers died.

    Examples
    --------
    >>> import bayesmeta as bm
    >>> bm.multiverse(bm.load_dataset(), "norm: rmsnorm > layernorm", grid={"prior": ["wide"]})
    Traceback (most recent call last):
    ...
    bayesmeta.errors.EvaluationError: choice 'prior' is not known. Did you mean 'prior_width'? ...
    """
    check_dataset(data)
    if not isinstance(seed, int) or not 0 <= seed <= defaults.LARGEST_SETTING:
        raise EvaluationError(
            f"seed is {seed!r}. Allowed: a whole number from 0 to {defaults.LARGEST_SETTING}."
        )
    spec = spec if spec is not None else ModelSpec()
    choices = list_choices(data, spec=spec, grid=grid)
    specifications = build_grid(choices, n=n, seed=seed)
    inquiries = read_inquiries(statement, data=data, spec=spec)
    tasks, answers = plan_fits(specifications, inquiries, data=data, spec=spec, seed=seed)
    keep = _keep_fits(Path(out)) if out is not None else None
    with progress_bar("fitting", total=len(tasks), unit="fits", shown=progress) as show:
        results = jobs.run(
            fit_graph, tasks, together=_graph_of, executor=executor, keep=keep,
            report=lambda done, _: show(done, ""),
        )  # fmt: skip
    return _collect(specifications, inquiries, answers, results)


def _keep_fits(folder: Path) -> jobs.Folder:
    """Keep finished fits in a folder, which several runs may share: their keys say what they are.

    Raises
    ------
    EvaluationError
        If the folder holds something else.
    """
    path = jobs.claim_folder(
        folder, mark="multiverse.json", of="a multiverse", unit="fits",
        about={"bayesmeta_multiverse": FORMAT},
    )  # fmt: skip
    return jobs.Folder(path, form=jobs.JSON)


def _collect(
    grid: Sequence[Specification],
    inquiries: Sequence[Inquiry],
    answers: Mapping[tuple[int, Inquiry], tuple[str, int]],
    results: Mapping[str, Result],
) -> Multiverse:
    shape = defaults.RECOVERY_CHAINS, defaults.RECOVERY_DRAWS
    rows, draws = [], []
    for inquiry in inquiries:
        for k, specification in enumerate(grid):
            key, place = answers[k, inquiry]
            answer = results[key]["answers"][place]
            known = answer["draws"] is not None
            values = np.array(answer["draws"], float) if known else np.full(shape, np.nan)
            draws.append(values)
            rows.append(
                {
                    "specification": k,
                    **specification,
                    "statement": inquiry.statement,
                    "target": inquiry.target,
                    **_summarise(values),
                    "rhat": np.nan,
                    "divergences": results[key]["divergences"] if known else np.nan,
                    "note": answer["note"],
                }
            )
    stacked = np.stack(draws)
    cells = pd.DataFrame(rows).assign(rhat=_rhat(stacked))
    return Multiverse(cells, draws=stacked.reshape(len(stacked), -1))


def _summarise(values: NDArray[np.float64]) -> dict[str, Any]:
    """Summarise draws of an effect; numbers are missing where it was not asked."""
    found = summarise_effect(values, ci_prob=defaults.CI_PROB, units=UNITS)
    numbers = {"probability": found["prob_helps"]}
    numbers |= {name: found[name] for name in ("mcse", "estimate", "lower", "upper")}
    if np.isnan(values).any():
        numbers = dict.fromkeys(numbers, np.nan)
    return {**numbers, "ci_prob": defaults.CI_PROB, "units": UNITS}


def _rhat(draws: NDArray[np.float64]) -> NDArray[np.float64]:
    """Compute R-hat of every row, NaN where it was not asked; draws of shape (row, chain, draw)."""
    import arviz as az

    data = xr.Dataset({"x": (("row", "chain", "draw"), draws)})
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray(az.rhat(data)["x"].values, float)


def read_inquiries(
    statements: str | Sequence[str | tuple[str, str]], *, data: Dataset, spec: ModelSpec
) -> list[Inquiry]:
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
    list of Inquiry
        One per statement.

    Raises
    ------
    QueryError
        If a statement cannot be read, or the target that it comes with is neither a benchmark
        nor a task family.

    Examples
    --------
    >>> import bayesmeta as bm
    >>> asked = read_inquiries(
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
    design = build_design_for(data, spec=spec)
    found = [_read_inquiry(design, entry) for entry in given]
    for inquiry in found:
        if found.count(inquiry) > 1:
            raise QueryError(
                f"'{inquiry.statement}' on {inquiry.target} is asked twice. Allowed: each "
                "statement once. Leave one out."
            )
    return found


def _read_inquiry(design: Design, entry: str | tuple[str, str]) -> Inquiry:
    statement, target = (entry, "overall") if isinstance(entry, str) else _unpack(entry)
    asked = parse_statement(design, statement)
    by, target = find_target(design, target)
    return Inquiry(asked.label, by=by, target=target, decisions=asked.parts)


def _unpack(entry: Any) -> tuple[str, str]:
    if isinstance(entry, Sequence) and len(entry) == 2 and all(isinstance(e, str) for e in entry):
        return entry[0], entry[1]
    raise QueryError(
        f"statement is {entry!r}. Allowed: text, such as 'norm: rmsnorm > layernorm', or a pair of "
        "such text and the name of a benchmark or task family."
    )


def plan_fits(
    grid: Sequence[Specification],
    inquiries: Sequence[Inquiry],
    *,
    data: Dataset,
    spec: ModelSpec,
    seed: int,
) -> tuple[dict[str, Task], dict[tuple[int, Inquiry], tuple[str, int]]]:
    """Find the fits that specifications need; those of the same model and data are one.

    Where missing facts are dropped, statements about different decisions need different data.
    Elsewhere all statements are asked of the same fit.

    Parameters
    ----------
    grid
        Specifications.
    inquiries
        What is asked.
    data, spec
        Data and model of the default specification.
    seed
        A seed; every fit gets its own, which depends on this, its data and its model alone.

    Returns
    -------
    tuple
        Tasks by key, one for each fit; and for the number of a specification and an inquiry the key
        of the fit that answers it, and the place of the answer.
    """
    variants: dict[tuple[Any, ...], Variant] = {}
    asked: dict[tuple[str, str], list[Inquiry]] = {}
    parts: dict[tuple[str, str], tuple[Variant, ModelSpec]] = {}
    place: dict[tuple[int, Inquiry], tuple[str, str]] = {}
    for k, specification in enumerate(grid):
        model = apply_to_spec(spec, specification)
        for inquiry in inquiries:
            levels = [specification.get(name) for name in ("data", "flagged", "missing")]
            dropped = inquiry.decisions if levels[-1] == "dropped" else ()
            name = (*levels, dropped)
            if name not in variants:
                variants[name] = build_variant(data, specification, decisions=dropped)
            fit = variants[name].identity, model.checksum
            place[k, inquiry] = fit
            parts[fit] = variants[name], model
            if inquiry not in asked.setdefault(fit, []):
                asked[fit].append(inquiry)
    keys: dict[tuple[str, str], str] = {}
    tasks: dict[str, Task] = {}
    for fit, found in asked.items():
        variant, model = parts[fit]
        job = Job(variant.train, seed=_seed_of(fit, seed), inquiries=tuple(found))
        keys[fit] = _hash_job(fit, job)
        tasks[keys[fit]] = variant.dataset, model, job
    answers = {at: (keys[fit], asked[fit].index(at[1])) for at, fit in place.items()}
    return tasks, answers


def _seed_of(fit: tuple[str, str], seed: int) -> int:
    """Choose the seed of a fit, which depends on a seed, its data and its model alone."""
    own = int(hashlib.sha256("".join(fit).encode()).hexdigest()[:8], 16)
    return int(np.random.SeedSequence([seed, own]).generate_state(1)[0]) % defaults.LARGEST_SETTING


def _hash_job(fit: tuple[str, str], job: Job) -> str:
    """Take a checksum of data, model, settings and inquiries: the name of a fit's file."""
    asked = [[inquiry.statement, inquiry.by, inquiry.target] for inquiry in job.inquiries]
    settings = (defaults.RECOVERY_CHAINS, defaults.RECOVERY_TUNE, defaults.RECOVERY_DRAWS)
    text = json.dumps([FORMAT, *fit, job.seed, *settings, asked])
    return hashlib.sha256(text.encode()).hexdigest()[:24]


def _graph_of(task: Task) -> tuple[str, str]:
    """Say what tasks have in common that share a compiled model."""
    dataset, spec, _ = task
    return dataset.checksum, spec.checksum


def fit_graph(tasks: Sequence[Task]) -> list[Result]:
    """Compile a model once, fit it to every task's scores, and ask each fit.

    Parameters
    ----------
    tasks
        Of the same data and model.

    Returns
    -------
    list of dict
        A result per task: `divergences`, `seconds` without compiling, and `answers`, each with
        `draws` by chain, missing where it cannot be asked, and a `note` that says why. The same
        for the same task, whatever ran before.
    """
    refitter: Refitter | None = None
    out = []
    for dataset, spec, job in tasks:
        notes = _read_notes(dataset, spec, job)
        if not any(note.answerable for note in notes):
            out.append(_wrap(notes, {}))
            continue
        if refitter is None:
            # Notes say which decisions dropped LMs made constant.
            with _compiling, jobs.hush("bayesmeta.model.blocks", below=logging.ERROR):
                refitter = Refitter(dataset, spec=spec, warm=False)
        started = time.perf_counter()
        fit = refitter.fit(
            seed=job.seed,
            train=job.train,
            chains=defaults.RECOVERY_CHAINS,
            tune=defaults.RECOVERY_TUNE,
            draws=defaults.RECOVERY_DRAWS,
        )
        asked = enumerate(job.inquiries)
        draws = {k: _draw(fit, inquiry) for k, inquiry in asked if notes[k].answerable}
        seconds = round(time.perf_counter() - started, 2)
        out.append(_wrap(notes, draws, fit.provenance["divergences"], seconds))
    return out


class Note(NamedTuple):
    """What is to be said of an inquiry to a fit, empty where nothing is, and if it is answered."""

    text: str
    answerable: bool


def _wrap(
    notes: Sequence[Note],
    draws: Mapping[int, list[list[float]]],
    divergences: int = 0,
    seconds: float = 0.0,
) -> Result:
    answers = [{"note": note.text, "draws": draws.get(k)} for k, note in enumerate(notes)]
    return {"divergences": divergences, "seconds": seconds, "units": UNITS, "answers": answers}


def _read_notes(dataset: Dataset, spec: ModelSpec, job: Job) -> list[Note]:
    """Say of every inquiry why it cannot be asked of these data, or why the answer is a prior."""
    data = replace(dataset, scores=dataset.scores[job.train].reset_index(drop=True))
    n_lms = data.scores["lm"].nunique()
    if n_lms < _FEWEST_LMS:
        return [Note(f"Only {n_lms} LMs with a score are left.", False)] * len(job.inquiries)
    try:
        design = build_design_for(data, spec=spec)
    except SpecError as error:
        return [Note(str(error), False)] * len(job.inquiries)
    notes = []
    for inquiry in job.inquiries:
        try:
            parse_statement(design, inquiry.statement)
            weigh_target(design, **name_target(inquiry.by, inquiry.target))
        except QueryError as error:
            notes.append(Note(str(error), False))
            continue
        modelled = [n for n in inquiry.decisions if n in design.known_decisions]
        said = [overlap.said for overlap in find_overlaps(design, decisions=modelled)]
        said += ["Only the prior tells its effect."] if said else []
        notes.append(Note(" ".join(said), True))
    return notes


def _draw(fit: Fit, inquiry: Inquiry) -> list[list[float]]:
    contrast = parse_statement(fit.design, inquiry.statement)
    kind = choose_kind(fit)
    drawn = contrast_draws(fit, contrast=contrast, by=inquiry.by, kind=kind)
    values = drawn.sel(target=inquiry.target)
    chains = fit.provenance["chains"]
    return np.asarray(values, float).reshape(chains, -1).round(_DIGITS).tolist()
