"""What the commands share: reading, printing, refusals before the work."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from bayesmeta.errors import QueryError, listing, suggest

if TYPE_CHECKING:
    import pandas as pd

    from bayesmeta.data import Dataset
    from bayesmeta.inference import Fit

EXIT_UNCHECKED, EXIT_BAD_INPUT, EXIT_INTERRUPTED = 1, 2, 130

POINTS = "percentage points"


def load_data(folder: Path | None, *, version: str) -> Dataset:
    """Read the tables of a folder, or the bundled ones."""
    from bayesmeta.data import load_dataset, read_dataset

    if folder is None:
        return load_dataset(version=version)
    return read_dataset(folder, version=version)


def load_fit(path: Path | None) -> Fit:
    """Read a fit, or the shipped one; warn where it failed its checks."""
    from bayesmeta.inference import EffectSizeFit, load_fit, load_reference_fit

    fit = load_reference_fit() if path is None else load_fit(path)
    if isinstance(fit, EffectSizeFit):
        raise QueryError(
            f"--fit {path} is a fit of effect sizes, not of lms and their scores. Allowed: what "
            "`bayesmeta fit` wrote. Ask this one in Python: bm.load_fit, bm.check, fit.draws."
        )
    if fit.failures:
        say(f"warning: this fit failed its checks; do not report it. {' '.join(fit.failures)}")
    return fit


def check_format(fmt: str) -> None:
    """Refuse a format that is not known before the work."""
    from bayesmeta.tables import FORMATS

    if fmt not in FORMATS:
        raise QueryError(
            f"--format '{fmt}' is not known.{suggest(fmt, FORMATS)} Allowed: {listing(FORMATS)}."
        )


def check_out(path: Path, *, option: str = "--out") -> None:
    """Refuse before the work, not after it."""
    if not path.parent.is_dir() or path.is_dir():
        what = "is a folder" if path.is_dir() else f"cannot be written: {path.parent} is no folder"
        raise QueryError(f"{option} {path} {what}. Name a file in a folder that exists.")


def check_ending(path: Path) -> None:
    """Refuse the name of a figure's file whose ending no figure can have."""
    from bayesmeta.plots.figure import FORMATS

    if path.suffix not in FORMATS:
        raise QueryError(f"--out {path} has no known ending. Allowed: {listing(FORMATS)}.")


def check_folder(path: Path) -> None:
    """Make a folder for figures; its parent must exist."""
    try:
        path.mkdir(exist_ok=True)
    except OSError as error:
        raise QueryError(
            f"--out {path} cannot be made: {error.strerror}. Name a folder inside one that exists."
        ) from error


def show_frame(frame: pd.DataFrame, *, fmt: str, caption: str | None = None) -> None:
    """Print a table; one for a paper has a caption."""
    from bayesmeta.tables import format_table

    show(format_table(frame, fmt=fmt, caption=None if fmt == "table" else caption))


def show(text: str) -> None:
    """Print a result."""
    if text:
        typer.echo(text)


def say(text: str) -> None:
    """Print what is not a result to standard error."""
    typer.echo(text, err=True)


def leave_if(failed: bool) -> None:
    """End with the code for a fit that did not pass its checks."""
    if failed:
        raise typer.Exit(EXIT_UNCHECKED)


def word_unknown(option: str, value: str, allowed: list[str]) -> QueryError:
    """Word the refusal of a value that an option does not know."""
    return QueryError(
        f"{option} '{value}' is not known.{suggest(value, allowed)} Allowed: {listing(allowed)}."
    )


def split_names(names: str) -> list[str]:
    """Split names at commas, and drop the blanks."""
    return [name.strip() for name in names.split(",") if name.strip()]


def working(what: str) -> AbstractContextManager[None]:
    """Show on a terminal that something is under way that takes seconds and has no steps."""
    from bayesmeta.progress import spinner

    return spinner(what, shown=sys.stderr.isatty())


def show_parts(parts: Mapping[str, tuple[str, pd.DataFrame]]) -> None:
    """Print tables for reading, each below its title."""
    for title, table in parts.values():
        show(f"\n{title}:")
        show_frame(table, fmt="table")
