"""Progress on standard error: a spinner, and a bar with the time left."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

__all__ = ["progress_bar", "spinner"]


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
