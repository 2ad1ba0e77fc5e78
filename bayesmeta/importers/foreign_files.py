"""Files that others wrote: found without leaving their folder, read within limits of size and time.

Whatever is wrong with one ends in a `DataError` that names it: truncated or nested text, keys that
stand twice, archives that would unpack to gigabytes, links that lead elsewhere.
"""

from __future__ import annotations

import json
import math
import os
import stat
import zipfile
import zlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from bayesmeta.errors import DataError, shorten

MOST_BYTES = 32_000_000
"""Of a file, or of a part of an archive, that is read at once."""

MOST_VALUES = 1_000_000
"""Values of a JSON text, as counted by its commas and brackets."""

MOST_LINE = 4_000_000
"""Bytes of one line of a JSONL file."""

MOST_FILES = 20_000
"""Files that a folder is searched for."""


type Paths = str | os.PathLike[str] | Sequence[str | os.PathLike[str]]
"""One file or folder, or several."""


def list_paths(paths: Paths) -> list[Path]:
    """List what is named, be it one or several."""
    return [Path(p) for p in ([paths] if isinstance(paths, str | os.PathLike) else paths)]


def find_files(paths: Paths, *, endings: Sequence[str], what: str) -> list[Path]:
    """List the files that are named, and those below the folders that are named.

    Parameters
    ----------
    paths
        Files, which are taken whatever they are called, and folders, whose files with one of the
        endings are taken at any depth. Links inside a folder are not followed out of it.
    endings
        Such as `.json`.
    what
        What the files hold, for the message where there are none.

    Returns
    -------
    list of pathlib.Path
        Each file once, sorted within every folder.

    Raises
    ------
    DataError
        If a path does not exist, is no plain file or folder, or if nothing is found.

    Examples
    --------
    >>> folder = getfixture("tmp_path")
    >>> _ = (folder / "a.json").write_text("{}")
    >>> [path.name for path in find_files([folder], endings=[".json"], what="results")]
    ['a.json']
    """
    found: dict[Path, None] = {}
    for path in list_paths(paths):
        if os.path.isdir(path):
            inside = _search(path, endings=tuple(endings))
            if not inside:
                raise DataError(
                    f"{shorten(path)} holds no file that ends in {' or '.join(endings)}. Allowed: "
                    f"files or folders with {what}. Correct the path."
                )
            found |= dict.fromkeys(inside)
        else:
            check_plain(path, what=what)
            found[path] = None
    if not found:
        raise DataError(f"No file is named. Allowed: files or folders with {what}. Name one.")
    return list(found)


def _search(folder: Path, *, endings: tuple[str, ...]) -> list[Path]:
    """List plain files below a folder; links are followed only where they stay inside."""
    home, found = folder.resolve(), []
    for place, folders, names in os.walk(folder):
        folders.sort()
        for name in sorted(names):
            path = Path(place, name)
            if name.endswith(endings) and path.is_file() and path.resolve().is_relative_to(home):
                found.append(path)
        if len(found) > MOST_FILES:
            raise DataError(
                f"{shorten(folder)} holds more than {MOST_FILES:,} files that end in "
                f"{' or '.join(endings)}. Name a folder inside it."
            )
    return found


def check_plain(path: Path, *, what: str) -> None:
    """Refuse what is no plain file: nothing, a folder, a pipe, a device."""
    try:
        mode = os.stat(path).st_mode
    except (OSError, ValueError) as error:
        why = getattr(error, "strerror", None) or str(error)
        raise DataError(
            f"{shorten(path)} cannot be read ({why}). Allowed: a file or folder with {what}. "
            "Correct the path."
        ) from error
    if not stat.S_ISREG(mode):
        raise DataError(f"{shorten(path)} is no plain file. Allowed: a file with {what}.")


def read_bytes(path: Path) -> bytes:
    """Read a plain file that is not too large.

    Raises
    ------
    DataError
        If it cannot be read, or is larger than `MOST_BYTES`.

    Examples
    --------
    >>> path = getfixture("tmp_path") / "a.json"
    >>> _ = path.write_text("{}")
    >>> read_bytes(path)
    b'{}'
    """
    check_plain(path, what="results")
    try:
        with path.open("rb") as file:
            content = file.read(MOST_BYTES + 1)
    except OSError as error:
        raise DataError(
            f"{shorten(path)} cannot be read ({error.strerror}). Give yourself the right to."
        ) from error
    _check_size(len(content), str(path))
    return content


def _check_size(size: int, name: str) -> None:
    if size > MOST_BYTES:
        raise DataError(
            f"{shorten(name)} is larger than {MOST_BYTES // 1_000_000} MB. Allowed: a file of "
            "results without the prompts and answers of every item. Leave these out."
        )


def read_object(path: Path) -> dict[str, Any]:
    """Read a JSON file whose outermost value is an object.

    Raises
    ------
    DataError
        If it is too large, no JSON, too deep, or another kind of value; or if a key of an object
        stands twice.

    Examples
    --------
    >>> path = getfixture("tmp_path") / "a.json"
    >>> _ = path.write_text('{"a": 1, "a": 2}')
    >>> read_object(path)
    Traceback (most recent call last):
    bayesmeta.errors.DataError: ...a.json: key 'a' stands twice in one object. ...
    """
    return parse_object(read_bytes(path), name=str(path))


def parse_object(content: bytes, *, name: str) -> dict[str, Any]:
    """Parse the text of `read_object`, which came out of `name`."""
    value = _parse(content, name=name)
    if not isinstance(value, dict):
        raise DataError(
            f"{shorten(name)} holds a JSON {_kind(value)}. Allowed: an object, {{...}}. Name "
            "another file."
        )
    return value


def _parse(content: bytes, *, name: str) -> Any:
    """Parse JSON text within the limits."""
    values = sum(content.count(mark) for mark in (b",", b"{", b"["))
    if values > MOST_VALUES:
        raise DataError(
            f"{shorten(name)} holds more than {MOST_VALUES:,} values. Allowed: a file of results "
            "without the prompts and answers of every item. Leave these out."
        )
    try:
        return json.loads(content.decode("utf-8-sig"), object_pairs_hook=_refuse_second_key)
    except _SecondKey as second:
        raise DataError(
            f"{shorten(name)}: key '{shorten(second)}' stands twice in one object. Remove one of "
            "the two."
        ) from None
    except RecursionError:
        why = "it is nested too deeply"
    except UnicodeDecodeError as error:
        why = f"byte {error.start} is no UTF-8"
    except json.JSONDecodeError as error:
        why = f"line {error.lineno}, column {error.colno}: {error.msg}"
    except ValueError:  # a number of thousands of digits
        why = "it holds a number with too many digits"
    raise DataError(
        f"{shorten(name)} is no JSON text ({why}). Allowed: the file as the tool wrote it, whole. "
        "Write or fetch it again."
    )


class _SecondKey(Exception):
    """A key that stands twice in one object."""


def _refuse_second_key(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        seen: set[str] = set()
        raise _SecondKey(next(key for key, _ in pairs if key in seen or seen.add(key)))
    return found


def _kind(value: object) -> str:
    kinds = {list: "list", str: "text", bool: "truth value", int: "number", float: "number"}
    return kinds.get(type(value), "null")


def read_lines(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    """Read the objects of a JSONL file one by one, with the numbers of their lines.

    A file that holds one JSON list of objects, as the first versions of some tools wrote them,
    is read as well.

    Raises
    ------
    DataError
        At the first line that is too long or no JSON object.
    """
    check_plain(path, what="items")
    with path.open("rb") as file:
        start = file.read(1)
        file.seek(0)
        if start == b"[":
            yield from _read_list(path)
            return
        line = 0
        while content := file.readline(MOST_LINE + 1):
            line += 1
            if len(content) > MOST_LINE:
                raise DataError(
                    f"{shorten(path)}, line {line} is longer than {MOST_LINE // 1_000_000} MB. "
                    "Allowed: one JSON object per line. Write the file again."
                )
            if content.strip():
                yield line, parse_object(content, name=f"{path}, line {line}")


def _read_list(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    value = _parse(read_bytes(path), name=str(path))
    for position, item in enumerate(value, start=1):
        if not isinstance(item, dict):
            raise DataError(
                f"{shorten(path)}, item {position} is a JSON {_kind(item)}. Allowed: an object, "
                "{...}. Correct the file."
            )
        yield position, item


def read_member(path: Path, *, names: Sequence[str]) -> tuple[str, bytes] | None:
    """Read the first of these parts that a ZIP archive has; nothing is unpacked to disk.

    Parameters
    ----------
    path
        The archive.
    names
        Names of parts, the best first.

    Returns
    -------
    tuple of str and bytes, or None
        The name of the part and what it holds; None where the archive has none of them.

    Raises
    ------
    DataError
        If it is no archive, is damaged, or if the part is larger than `MOST_BYTES` unpacked.
    """
    check_plain(path, what="results")
    try:
        with zipfile.ZipFile(path) as archive:
            for name in names:
                if name in archive.namelist():
                    _check_size(archive.getinfo(name).file_size, f"{path}, {name}")
                    with archive.open(name) as part:
                        content = part.read(MOST_BYTES + 1)
                    _check_size(len(content), f"{path}, {name}")
                    return name, content
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError) as error:
        raise DataError(
            f"{shorten(path)} is no ZIP archive that can be read ({error}). Allowed: the log as it "
            "was written, or its JSON form. Write or fetch it again."
        ) from error
    except OSError as error:
        raise DataError(
            f"{shorten(path)} cannot be read ({error.strerror or error}). Fetch it again."
        ) from error
    return None


def as_number(value: object) -> float:
    """Give a finite number, NaN for whatever else: text such as "N/A", infinity, a truth value.

    Examples
    --------
    >>> as_number(0.5), as_number("N/A"), as_number("0.5")
    (0.5, nan, 0.5)
    """
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return math.nan
    try:
        number = float(value)
    except (ValueError, OverflowError):
        return math.nan
    return number if math.isfinite(number) else math.nan


def as_mapping(value: object) -> Mapping[str, Any]:
    """Give an object as it is, and an empty one for whatever else."""
    return value if isinstance(value, dict) else {}
