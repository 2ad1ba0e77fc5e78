"""Where refits are computed: here, in any `concurrent.futures` executor, or on a Dask cluster."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import (
    FIRST_COMPLETED,
    BrokenExecutor,
    CancelledError,
    Executor,
    Future,
    wait,
)
from contextlib import contextmanager
from itertools import islice
from typing import Any

import pandas as pd

from bayesmeta.data import Dataset
from bayesmeta.errors import EvaluationError
from bayesmeta.evaluation.folds import Candidate, run_fold
from bayesmeta.evaluation.schemes import Fold

__all__ = ["Task", "connect_dask", "run_folds", "run_tasks"]

Task = tuple[Candidate, Fold]

_WAITING = 64
"""Tasks handed to an executor at once: enough to keep a cluster busy, few enough to stop soon."""

_ADDRESS = re.compile(r"\w+://[^\s/]+:\d+")
_DASK_SECONDS = 10
"""How long a scheduler may take to answer."""


def run_folds(
    dataset: Dataset, tasks: list[Task], *, executor: Executor | None
) -> Iterator[tuple[Task, pd.DataFrame]]:
    """Run models on folds, and hand each one over when it is finished.

    Parameters
    ----------
    dataset
        Validated tables.
    tasks
        Models and folds.
    executor
        Where to run; here and one after the other if None.

    Yields
    ------
    tuple
        A task and its rows, in the order in which they finish.

    Raises
    ------
    EvaluationError
        If workers died for good. What was handed over before is not lost.
    """
    calls = [(dataset, *task) for task in tasks]
    for (_, candidate, fold), rows in run_tasks(run_fold, calls, executor=executor):
        yield (candidate, fold), rows


def run_tasks[T: tuple[Any, ...], R](
    function: Callable[..., R], tasks: Sequence[T], *, executor: Executor | None
) -> Iterator[tuple[T, R]]:
    """Call a function with the arguments of each task, and hand over what is finished.

    Parameters
    ----------
    function
        What to call; a function of a module, so that it can be sent to other processes.
    tasks
        Its arguments, task by task.
    executor
        Where to run; here and one after the other if None.

    Yields
    ------
    tuple
        A task and what the function made of it, in the order in which they finish.

    Raises
    ------
    EvaluationError
        If workers died for good. What was handed over before is not lost.

    Examples
    --------
    >>> list(run_tasks(pow, [(2, 3)], executor=None))
    [((2, 3), 8)]
    """
    if executor is None:
        for task in tasks:
            yield task, function(*task)
        return
    left = iter(tasks)
    running: dict[Future[R], T] = {}
    try:
        while True:
            for task in islice(left, _WAITING - len(running)):
                running[executor.submit(function, *task)] = task
            if not running:
                return
            done, _ = wait(running, return_when=FIRST_COMPLETED)
            for future in done:
                yield running.pop(future), future.result()
    except (BrokenExecutor, CancelledError) as error:
        raise EvaluationError(
            f"a worker process died or was taken away ({type(error).__name__}: {error}), perhaps "
            "for lack of memory. What is finished is kept where a results folder was named; the "
            "same command continues there. Try fewer workers."
        ) from error
    finally:
        for future in running:
            future.cancel()


@contextmanager
def connect_dask(address: str) -> Iterator[Executor]:
    """Use the workers of a Dask cluster; what a dying worker had at hand is run again on another.

    Parameters
    ----------
    address
        Of the scheduler, such as `tcp://127.0.0.1:8786`.

    Yields
    ------
    concurrent.futures.Executor
        Runs what it is given on the cluster.

    Raises
    ------
    EvaluationError
        If Dask is not installed, or no scheduler answers.
    """
    try:
        from distributed import Client
        from distributed.scheduler import KilledWorker
    except ImportError as error:
        raise EvaluationError(
            "Dask is not installed. Install it with: pip install bayesmeta[dask]"
        ) from error
    allowed = (
        "Allowed: the address of a running scheduler, such as tcp://127.0.0.1:8786. Start one with "
        "`dask scheduler`, and workers with `dask worker ADDRESS`."
    )
    if not _ADDRESS.fullmatch(address):  # the client would retry it and be noisy about it
        raise EvaluationError(f"no Dask scheduler answers at '{address}': no address. {allowed}")
    try:
        client = Client(address, timeout=_DASK_SECONDS, set_as_default=False)
    except (OSError, ValueError, TimeoutError) as error:
        raise EvaluationError(
            f"no Dask scheduler answers at '{address}' within {_DASK_SECONDS} s ({error}). "
            f"{allowed}"
        ) from error
    with client:
        if not client.scheduler_info()["workers"]:
            raise EvaluationError(
                f"the Dask scheduler at '{address}' has no workers. Start some with: dask worker "
                f"{address}"
            )
        try:
            yield client.get_executor(pure=False)
        except KilledWorker as error:
            raise EvaluationError(
                f"Dask workers died again and again on the same task ({error}), perhaps for lack "
                "of memory. What is finished is kept where a results folder was named; the same "
                "command continues there."
            ) from error
