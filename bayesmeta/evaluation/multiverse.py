"""One statement under every choice that reasonable analysts make differently."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import Executor
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr
from numpy.typing import NDArray

from bayesmeta import defaults
from bayesmeta.data import Dataset
from bayesmeta.effects.estimands import UNITS
from bayesmeta.effects.monte_carlo import estimate_probability
from bayesmeta.errors import EvaluationError
from bayesmeta.evaluation.execution import run_tasks
from bayesmeta.evaluation.fit_store import FitStore
from bayesmeta.evaluation.multiverse_results import Multiverse
from bayesmeta.evaluation.specification_fits import (
    Question,
    Result,
    Task,
    fit_graph,
    plan_fits,
    read_questions,
)
from bayesmeta.evaluation.specifications import (
    Specification,
    build_grid,
    list_choices,
)
from bayesmeta.model import ModelSpec
from bayesmeta.progress import progress_bar

__all__ = ["multiverse"]


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
    executor
        Where fits run: one after the other in this process if left out; any
        `concurrent.futures.Executor` (processes suit, since compiling takes most of the time), or
        `get_executor(pure=False)` of a Dask client.
    out
        A folder in which each finished fit is kept. The same call continues there after an
        interruption, and gives what it would have given without.
    progress
        Whether to show a progress bar on standard error.

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
    if not isinstance(data, Dataset):
        raise EvaluationError(
            f"data is {data!r}. Allowed: a Dataset, such as bm.load_dataset() or "
            "bm.read_dataset(folder)."
        )
    if not isinstance(seed, int) or not 0 <= seed <= defaults.LARGEST_SETTING:
        raise EvaluationError(
            f"seed is {seed!r}. Allowed: a whole number from 0 to {defaults.LARGEST_SETTING}."
        )
    spec = spec if spec is not None else ModelSpec()
    choices = list_choices(data, spec=spec, grid=grid)
    specifications = build_grid(choices, n=n, seed=seed)
    questions = read_questions(statement, data=data, spec=spec)
    store = FitStore(Path(out)) if out is not None else None
    tasks, answers = plan_fits(specifications, questions, data=data, spec=spec, seed=seed)
    results = _run(tasks, store=store, executor=executor, progress=progress)
    return _collect(specifications, questions, answers, results)


def _run(
    tasks: Sequence[Task], *, store: FitStore | None, executor: Executor | None, progress: bool
) -> dict[str, Result]:
    """Compute what is not kept yet, and keep it; results by key."""
    results: dict[str, Result] = {}
    left: list[Task] = []
    for dataset, spec, jobs in tasks:
        kept = {job.key: store.read(job.key) for job in jobs} if store is not None else {}
        results.update({key: found for key, found in kept.items() if found is not None})
        rest = tuple(job for job in jobs if job.key not in results)
        if rest:
            left.append((dataset, spec, rest))
    total = sum(len(jobs) for _, _, jobs in tasks)
    with progress_bar("fitting", total=total, unit="fits", shown=progress) as show:
        show(len(results), "")
        for (_, _, jobs), found in run_tasks(fit_graph, left, executor=executor):
            for job, result in zip(jobs, found, strict=True):
                if store is not None:
                    store.write(job.key, result=result)
                results[job.key] = result
            show(len(results), "")
    return results


def _collect(
    grid: Sequence[Specification],
    questions: Sequence[Question],
    answers: Mapping[tuple[int, Question], tuple[str, int]],
    results: Mapping[str, Result],
) -> Multiverse:
    shape = defaults.RECOVERY_CHAINS, defaults.RECOVERY_DRAWS
    rows, draws = [], []
    for question in questions:
        for k, specification in enumerate(grid):
            key, place = answers[k, question]
            answer = results[key]["answers"][place]
            known = answer["draws"] is not None
            values = np.array(answer["draws"], float) if known else np.full(shape, np.nan)
            draws.append(values)
            rows.append(
                {
                    "specification": k,
                    **specification,
                    "statement": question.statement,
                    "target": question.target,
                    **_summarise(values, known=known),
                    "rhat": np.nan,
                    "divergences": results[key]["divergences"] if known else np.nan,
                    "note": answer["note"],
                }
            )
    stacked = np.stack(draws)
    cells = pd.DataFrame(rows).assign(rhat=_rhat(stacked))
    return Multiverse(cells, draws=stacked.reshape(len(stacked), -1))


def _summarise(values: NDArray[np.float64], *, known: bool) -> dict[str, Any]:
    numbers = [np.nan] * 5
    if known:
        tail = (1 - defaults.CI_PROB) / 2
        helps = estimate_probability(values > 0)
        middle = np.quantile(values, [0.5, tail, 1 - tail])
        numbers = [helps.estimate, helps.mcse, *map(float, middle)]
    names = ("probability", "mcse", "estimate", "lower", "upper")
    out = dict(zip(names, numbers, strict=True))
    return {**out, "ci_prob": defaults.CI_PROB, "units": UNITS}


def _rhat(draws: NDArray[np.float64]) -> NDArray[np.float64]:
    """Compute R-hat of every row, NaN where it was not asked; draws of shape (row, chain, draw)."""
    import arviz as az

    data = xr.Dataset({"x": (("row", "chain", "draw"), draws)})
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray(az.rhat(data)["x"].values, float)
