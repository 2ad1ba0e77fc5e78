"""Many tasks: one way to run them, a folder that keeps them, and how far they are."""

from __future__ import annotations

import atexit
import contextlib
import json
import logging
import os
import re
import signal
import sys
import threading
from collections.abc import Callable, Generator, Hashable, Iterator, Mapping, Sequence
from concurrent.futures import (
    FIRST_COMPLETED,
    BrokenExecutor,
    CancelledError,
    Executor,
    Future,
    ProcessPoolExecutor,
    ThreadPoolExecutor,
    wait,
)
from contextlib import contextmanager
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

from bayesmeta.errors import EvaluationError
from bayesmeta.whole_files import atomic, write_text

_WAITING = 64
"""Tasks handed to an executor at once: enough to keep a cluster busy, few enough to stop soon."""

_ADDRESS = re.compile(r"\w+://[^\s/]+:\d+")
_DASK_SECONDS = 10
"""How long a scheduler may take to answer."""

_SHOWN = 14
"""Characters of a setting that a refusal shows: enough to tell checksums apart."""


class Form(NamedTuple):
    """How results are kept: the ending of their files, how one is read and written."""

    ending: str
    read: Callable[[Path], Any]
    write: Callable[[Path, Any], object]


def _read_table(path: Path) -> Any:
    import pandas as pd

    return pd.read_csv(path, float_precision="round_trip")


CSV = Form(".csv", _read_table, lambda path, table: table.to_csv(path, index=False))
JSON = Form(
    ".json",
    lambda path: json.loads(path.read_text(encoding="utf-8")),
    lambda path, result: path.write_text(json.dumps(result) + "\n", encoding="utf-8"),
)


class Folder:
    """Finished tasks in a folder, each in a file of its own, written whole or not at all.

    Parameters
    ----------
    path
        The folder, which is there.
    form
        How results are kept.

    Examples
    --------
    >>> folder = Folder(getfixture("tmp_path"), form=JSON)
    >>> folder.write("first", {"seconds": 2})
    >>> folder.read("first"), folder.read("second")
    ({'seconds': 2}, None)
    """

    def __init__(self, path: Path, *, form: Form) -> None:
        self.path, self.form = path, form

    def read(self, key: str) -> Any | None:
        """Read a finished task, or nothing where there is none."""
        path = self._place(key)
        return self.form.read(path) if path.exists() else None

    def write(self, key: str, result: object) -> None:
        """Keep a finished task."""
        with atomic(self._place(key)) as part:
            self.form.write(part, result)

    def _place(self, key: str) -> Path:
        return self.path / f"{key}{self.form.ending}"


def claim_folder(folder: Path, *, mark: str, of: str, unit: str, about: Mapping[str, Any]) -> Path:
    """Make a folder for finished tasks, or see whether one that is there holds the same tasks.

    Parameters
    ----------
    folder
        Made if it does not exist.
    mark
        Name of the file in it that says what it holds.
    of
        Whose results these are, such as `an evaluation`.
    unit
        What is kept, such as `folds`: the name of the folder inside it that holds the files.
    about
        What must be the same for files to be of the same tasks, as JSON holds it. The first is
        the version of this format. Of a mapping, entries that are in the file and in this one must
        be the same; others are added.

    Returns
    -------
    pathlib.Path
        The folder of the files.

    Raises
    ------
    EvaluationError
        If it holds something else, or tasks of other settings, or cannot be made.
    """
    path = folder / mark
    stored = _read_mark(path, of=of, about=about)
    merged: dict[str, Any] = {**stored, **about}
    for key, value in about.items() if stored else ():
        pairs, mend = {key: (stored[key], value)}, "choose another --out."
        if isinstance(value, Mapping):
            merged[key] = {**stored[key], **value}
            mend = f"choose another --out, or give this {key.removesuffix('s')} another name."
            pairs = {f"{key.removesuffix('s')} '{name}'": (stored[key][name], value[name])
                     for name in value if name in stored[key]}  # fmt: skip
        for name, (there, now) in pairs.items():
            if there != now:
                raise EvaluationError(
                    f"{folder} holds {unit} of other data or settings ({name} is "
                    f"{str(there)[:_SHOWN]} there, {str(now)[:_SHOWN]} now). Its {unit} are kept; "
                    f"{mend}"
                )
    try:
        (folder / unit).mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise EvaluationError(
            f"{folder} cannot be made: {error.strerror}. Choose a folder that may be written."
        ) from error
    if merged != stored:
        write_text(path, text=json.dumps(merged, indent=2) + "\n")
    return folder / unit


def _read_mark(path: Path, *, of: str, about: Mapping[str, Any]) -> dict[str, Any]:
    """Read what a folder says that it holds; nothing where it is new or empty."""
    folder = path.parent
    if not path.exists():
        if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
            raise EvaluationError(
                f"{folder} exists and holds no results of {of}. Allowed: a new or empty folder, or "
                f"one that {of} has made. Choose another --out."
            )
        return {}
    version = next(iter(about))
    with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
        stored = json.loads(path.read_text(encoding="utf-8"))
        same = stored[version] == about[version] and all(
            isinstance(stored[key], dict) == isinstance(value, Mapping)
            for key, value in about.items()
        )
        if same:
            return stored
    raise EvaluationError(
        f"{path} cannot be read, or is of another version of bayesmeta. Choose another --out, or "
        "remove the folder."
    )


def run[T: Sequence[Any], R](
    function: Callable[..., Any],
    tasks: Mapping[str, T],
    *,
    together: Callable[[T], Hashable] | None = None,
    executor: Executor | None = None,
    keep: Folder | None = None,
    report: Callable[[int, str], object] | None = None,
) -> dict[str, Any]:
    """Call a function with the arguments of every task, but for those that a folder keeps.

    Parameters
    ----------
    function
        What to call; a function of a module, so that it can be sent to other processes.
    tasks
        Arguments by the key of the task, which is good for a file.
    together
        What tasks have in common that one call does: the function then takes a list of the tasks
        that are left of such a group, and gives a list of as many results.
    executor
        Where to run; here and one after the other if None.
    keep
        Where each finished task is kept at once, and is taken from.
    report
        Told of the number of finished tasks, with the key of the last one; at first without.

    Returns
    -------
    dict
        What the function made of each task, by key and in the order of the tasks, wherever and
        whenever it was made.

    Raises
    ------
    EvaluationError
        If workers died for good. What is kept by then stays.

    Examples
    --------
    >>> run(pow, {"cube": (2, 3), "square": (2, 2)})
    {'cube': 8, 'square': 4}
    """
    kept = {key: keep.read(key) for key in tasks} if keep is not None else {}
    finished = {key: result for key, result in kept.items() if result is not None}
    groups: dict[Hashable, list[str]] = {}
    for key in tasks:
        if key not in finished:
            groups.setdefault(together(tasks[key]) if together is not None else key, []).append(key)
    call = function if together is not None else partial(_call_one, function)
    calls = [([tasks[key] for key in keys], keys) for keys in groups.values()]
    if report is not None:
        report(len(finished), "")
    with contextlib.closing(_compute(call, calls, executor=executor)) as computed:
        for keys, results in computed:
            for key, result in zip(keys, results, strict=True):
                if keep is not None:
                    keep.write(key, result)
                finished[key] = result
            if report is not None:
                report(len(finished), keys[-1])
    return {key: finished[key] for key in tasks}


def _call_one(function: Callable[..., Any], tasks: Sequence[Sequence[Any]]) -> list[Any]:
    return [function(*task) for task in tasks]


def _compute(
    function: Callable[..., Any],
    calls: Sequence[tuple[list[Any], list[str]]],
    *,
    executor: Executor | None,
) -> Generator[tuple[list[str], list[Any]]]:
    """Call a function with each list of tasks, and hand over what is finished, with its keys."""
    if executor is None:
        for tasks, keys in calls:
            yield keys, function(tasks)
        return
    left = iter(calls)
    running: dict[Future[Any], list[str]] = {}
    try:
        while True:
            for tasks, keys in islice(left, _WAITING - len(running)):
                running[executor.submit(function, tasks)] = keys
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


def count_processors() -> int:
    """Count the processors that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@contextmanager
def open_executor(
    address: str | None = None, *, workers: int | None = None, processes: bool = False
) -> Iterator[Executor]:
    """Run on a cluster, or here: in threads, since sampling leaves the interpreter lock alone.

    Compiling does not; where that takes most of the time, processes are faster.

    Parameters
    ----------
    address
        Of a Dask scheduler; here if left out.
    workers
        Tasks at once; as many as processors if left out. Not for a cluster.
    processes
        Whether to run here in processes.

    Yields
    ------
    concurrent.futures.Executor
        Which drops what it has not begun when it is left.

    Raises
    ------
    EvaluationError
        As `connect_dask`.
    """
    if address is not None:
        with connect_dask(address) as executor:
            yield executor
        return
    workers = workers if workers is not None else count_processors()
    executor: Executor = ThreadPoolExecutor(workers)
    if processes:
        from multiprocessing import get_context

        context = get_context("spawn")
        executor = ProcessPoolExecutor(workers, mp_context=context, initializer=_end_quietly)
    try:
        yield executor
    finally:
        executor.shutdown(wait=False, cancel_futures=True)


def _end_quietly() -> None:
    """End a worker process at Ctrl-C without a traceback, and at its end without tearing it down.

    What it computed has been handed over, and unloading all modules takes longer than loading some.
    """
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    atexit.register(os._exit, 0)
    if sys.stdout is not None:
        atexit.register(sys.stdout.flush)
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    """End a worker process whose parent was killed: nobody will ask for what it computes."""
    from multiprocessing import parent_process
    from multiprocessing.connection import wait as wait_for

    parent = parent_process()
    if parent is not None:
        wait_for([parent.sentinel])
        os._exit(1)


class _DaskExecutor(Executor):
    """Runs calls on a cluster.

    The executor of Dask itself loses a result whose worker dies just after handing it over.
    """

    def __init__(self, client: Any) -> None:
        self._client = client

    def submit(self, function: Callable[..., Any], /, *args: Any, **options: Any) -> Future[Any]:
        """Call a function on a worker; on another one if that dies."""
        asked, found = self._client.submit(function, *args, pure=False, **options), Future()
        found.add_done_callback(lambda given: asked.cancel() if given.cancelled() else None)

        def hand_over(answered: Any) -> None:
            if found.set_running_or_notify_cancel():
                try:
                    found.set_result(answered.result())
                except BaseException as error:  # noqa: BLE001 (whatever a worker raised)
                    found.set_exception(error)

        asked.add_done_callback(hand_over)
        return found


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
            yield _DaskExecutor(client)
        except KilledWorker as error:
            raise EvaluationError(
                f"Dask workers died again and again on the same task ({error}), perhaps for lack "
                "of memory. What is finished is kept where a results folder was named; the same "
                "command continues there."
            ) from error


@contextmanager
def spinner(label: str, *, shown: bool) -> Iterator[None]:
    """Show that something of unknown length is going on."""
    from rich.console import Console

    console = Console(stderr=True, quiet=not shown, force_jupyter=False)
    with console.status(label):
        yield


@contextmanager
def progress_bar(
    label: str, *, total: int, unit: str, shown: bool
) -> Iterator[Callable[[int, str], None]]:
    """Show how much is done and the time left; where there is no terminal, one line.

    Parameters
    ----------
    label
        What is going on, such as `sampling`.
    total
        Number of units.
    unit
        What is counted, such as `draws`.
    shown
        Whether to show anything.

    Yields
    ------
    callable
        Takes the number done and a note to stand behind it.
    """
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeRemainingColumn,
    )

    bar = Progress(
        TextColumn(label),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn(unit + "{task.fields[note]},"),
        TimeRemainingColumn(),
        TextColumn("left"),
        console=Console(stderr=True, force_jupyter=False),
        disable=not shown,
    )
    if shown and not bar.console.is_terminal:
        bar.console.print(f"{label} {total} {unit}")
    with bar:
        task = bar.add_task(label, total=total, note="")

        def report(done: int, note: str = "") -> None:
            bar.update(task, completed=done, note=f", {note}" if note else "")

        yield report


@contextmanager
def hush(name: str, *, below: int) -> Iterator[None]:
    """Keep a logger quiet of what is below a level."""
    logger = logging.getLogger(name)
    level = logger.level
    logger.setLevel(below)
    try:
        yield
    finally:
        logger.setLevel(level)
