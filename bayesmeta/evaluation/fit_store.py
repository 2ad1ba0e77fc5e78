"""Finished fits of a multiverse in a folder."""

from __future__ import annotations

import json
from pathlib import Path

from bayesmeta.data.csv_tables import write_text
from bayesmeta.errors import EvaluationError
from bayesmeta.evaluation.specification_fits import FORMAT, Result

__all__ = ["FitStore"]


class FitStore:
    """Finished fits in a folder, each in a file of its own, written whole or not at all.

    A file's name says of which data, model, settings and questions it is, so that several runs may
    share a folder.

    Parameters
    ----------
    folder
        Made if it does not exist.

    Raises
    ------
    EvaluationError
        If the folder holds something else.
    """

    def __init__(self, folder: Path) -> None:
        """Check the folder, and mark it as one of a multiverse."""
        self.folder = folder
        mark = folder / "multiverse.json"
        if not mark.exists():
            if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
                raise EvaluationError(
                    f"{folder} exists and holds no results of a multiverse. Allowed: a new or empty"
                    " folder, or one that a multiverse has made. Choose another --out."
                )
            try:
                (folder / "fits").mkdir(parents=True, exist_ok=True)
            except OSError as error:
                raise EvaluationError(
                    f"{folder} cannot be made: {error.strerror}. Choose a folder that may be "
                    "written."
                ) from error
            write_text(mark, text=json.dumps({"bayesmeta_multiverse": FORMAT}) + "\n")
        (folder / "fits").mkdir(exist_ok=True)

    def _path(self, key: str) -> Path:
        return self.folder / "fits" / f"{key}.json"

    def read(self, key: str) -> Result | None:
        """Read a finished fit, or nothing where there is none."""
        path = self._path(key)
        return json.loads(path.read_text(encoding="utf-8")) if path.exists() else None

    def write(self, key: str, *, result: Result) -> None:
        """Keep a finished fit."""
        write_text(self._path(key), text=json.dumps(result) + "\n")
