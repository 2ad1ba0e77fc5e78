"""Where commands refit: on a cluster, or here in threads or processes."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from concurrent.futures import Executor, ProcessPoolExecutor, ThreadPoolExecutor
from contextlib import contextmanager

__all__ = ["open_executor"]


@contextmanager
def open_executor(
    address: str | None, *, workers: int | None, processes: bool = False
) -> Iterator[Executor]:
    """Run on a cluster, or here: in threads, since sampling leaves the interpreter lock alone.

    Compiling does not; where that takes most of the time, processes are faster.
    """
    from multiprocessing import get_context

    from bayesmeta.evaluation import connect_dask
    from bayesmeta.inference.sample import count_processors

    if address is not None:
        with connect_dask(address) as executor:
            yield executor
        return
    workers = workers if workers is not None else count_processors()
    executor: Executor = ThreadPoolExecutor(workers)
    if processes:
        executor = ProcessPoolExecutor(
            workers, mp_context=get_context("spawn"), initializer=_end_quietly
        )
    try:
        yield executor
    finally:
        executor.shutdown(wait=False, cancel_futures=True)


def _end_quietly() -> None:
    """End a worker process at Ctrl-C without a traceback."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)
