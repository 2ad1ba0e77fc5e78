"""Files and folders written whole or not at all."""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from bayesmeta.errors import QueryError, StoreError


@contextmanager
def atomic(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Write a file so that it is either complete or untouched.

    Parameters
    ----------
    path
        The file; its folder must exist. An existing one is replaced.

    Yields
    ------
    pathlib.Path
        A temporary file beside it, with the same ending, which takes its place at the end.

    Raises
    ------
    StoreError
        If it cannot be written.

    Examples
    --------
    >>> path = getfixture("tmp_path") / "note.txt"
    >>> with atomic(path) as part:
    ...     _ = part.write_text("done")
    >>> path.read_text()
    'done'
    """
    path = Path(path)
    part = path.with_name(f".{path.stem}.{os.getpid()}.tmp{path.suffix}")
    try:
        part.touch()  # a refusal of the system says why; libraries wrap it up
        yield part
        os.replace(part, path)
    except OSError as error:
        raise StoreError(
            f"{path} cannot be written: {error.strerror or error}. Name a file in a folder that "
            "exists and may be written to."
        ) from error
    finally:
        with contextlib.suppress(OSError):
            part.unlink()


def write_text(path: str | os.PathLike[str], *, text: str) -> None:
    """Write a text, in UTF-8 and with its own ends of lines, as `atomic` does.

    Examples
    --------
    >>> path = getfixture("tmp_path") / "note.txt"
    >>> write_text(path, text="done")
    >>> path.read_text()
    'done'
    """
    with atomic(path) as part:
        part.write_bytes(text.encode("utf-8"))


def write_folder(folder: str | os.PathLike[str], texts: Mapping[str, str]) -> None:
    """Write texts into a folder, all of them or none.

    A new folder appears with all its files. In one that is there every file is written beside its
    place first; only when all are whole do they take their places, one right after the other.

    Parameters
    ----------
    folder
        Made if the folder that it stands in is there.
    texts
        By the place of the file in the folder, such as `lms.csv` or `experiments/arms.csv`.

    Raises
    ------
    StoreError
        If a file cannot be written.

    Examples
    --------
    >>> folder = getfixture("tmp_path") / "new"
    >>> write_folder(folder, {"a.txt": "one", "b/c.txt": "two"})
    >>> sorted(path.name for path in folder.rglob("*.txt"))
    ['a.txt', 'c.txt']
    """
    folder = Path(folder)
    new = not folder.exists()
    staged = folder.with_name(f".{folder.name}.{os.getpid()}.tmp") if new else folder
    try:
        staged.mkdir(exist_ok=True)
        with contextlib.ExitStack() as parts:
            for name, text in texts.items():
                (staged / name).parent.mkdir(exist_ok=True)
                part = parts.enter_context(atomic(staged / name))
                part.write_bytes(text.encode("utf-8"))
        if new:
            os.rename(staged, folder)
    except OSError as error:
        raise StoreError(
            f"{folder} cannot be written: {error.strerror or error}. Name a folder inside one that "
            "exists and may be written to."
        ) from error
    finally:
        if new:
            shutil.rmtree(staged, ignore_errors=True)


def make_folder(path: Path, *, option: str) -> Path:
    """Make a folder, unless it is there; the one that it stands in must be."""
    try:
        path.mkdir(exist_ok=True)
    except OSError as error:
        raise QueryError(
            f"{option} {path} cannot be made: {error.strerror}. Allowed: a folder inside one that "
            "exists. Name another."
        ) from error
    if not os.access(path, os.W_OK | os.X_OK):
        raise QueryError(
            f"{option} {path} cannot be written to. Allowed: a folder that may be written to. Name "
            "another."
        )
    return path
