"""One model on one fold: what is computed, and how it is kept."""

from __future__ import annotations

import json
import re
import threading
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from bayesmeta import defaults
from bayesmeta.data import Dataset
from bayesmeta.data.csv_tables import write_text
from bayesmeta.errors import EvaluationError, listing, suggest
from bayesmeta.evaluation.peers import PEERS, check_installed, predict_peer
from bayesmeta.evaluation.schemes import Fold
from bayesmeta.evaluation.scores import score_point, score_refit
from bayesmeta.inference.refit import Refitter
from bayesmeta.model import ModelSpec, read_spec

__all__ = ["MODELS", "Candidate", "FoldStore", "read_candidates", "run_fold"]

MODELS: dict[str, ModelSpec] = {
    "full": ModelSpec(),
    "scale": ModelSpec(decisions=(), family_effects="none"),
    "scale+family": ModelSpec(decisions=()),
}
"""Bayesian models by name. All know size, data and release date; the second has no families."""

_GOOD_NAME = re.compile(r"\w[\w.+-]*")
_SPEC_FILES = (".toml", ".json")
_FORMAT = 1
_KEPT_REFITTERS = 4
"""Compiled models that a process keeps; each holds some tens of megabytes."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """A model to be scored: a Bayesian one with its spec, or a peer without.

    Parameters
    ----------
    name
        What it is called in tables.
    spec
        The Bayesian model, or None for a peer of that name.
    """

    name: str
    spec: ModelSpec | None = None

    @property
    def identity(self) -> str:
        """What must be the same for two results to be of the same model."""
        return "peer" if self.spec is None else self.spec.checksum


def read_candidates(
    models: Iterable[str], *, specs: Mapping[str, ModelSpec] | None = None
) -> list[Candidate]:
    """Turn names into models.

    Parameters
    ----------
    models
        Names of Bayesian models, of peers, of entries in `specs`, or paths of spec files, which
        are called by the file's name without its ending.
    specs
        Models of your own by name.

    Returns
    -------
    list of Candidate
        One for each name, in their order.

    Raises
    ------
    EvaluationError
        If a name is not known or occurs twice, or the peers' libraries are not installed.
    SpecError
        If a spec file cannot be read.

    Examples
    --------
    >>> [c.name for c in read_candidates(["full", "median"])]
    ['full', 'median']
    """
    known = {**MODELS, **(specs or {})}
    out: list[Candidate] = []
    for name in models:
        if Path(name).suffix in _SPEC_FILES:
            candidate = Candidate(Path(name).stem, read_spec(name))
        elif name in known:
            candidate = Candidate(name, known[name])
        elif name in PEERS:
            check_installed()
            candidate = Candidate(name)
        else:
            allowed = [*known, *PEERS]
            raise EvaluationError(
                f"model '{name}' is not known.{suggest(name, allowed)} Allowed: {listing(allowed)},"
                " or the path of a spec file ending in .toml or .json. Correct the name."
            )
        if not _GOOD_NAME.fullmatch(candidate.name):
            raise EvaluationError(
                f"model name '{candidate.name}' would not do as the name of a file. Allowed: "
                "letters, digits and . + - _. Rename it."
            )
        if candidate.name in [other.name for other in out]:
            raise EvaluationError(
                f"model '{candidate.name}' is named twice. Allowed: each name once. Leave one out, "
                "or rename the spec file."
            )
        out.append(candidate)
    if not out:
        raise EvaluationError(
            f"no model is named. Allowed: one or more of {listing([*known, *PEERS])}."
        )
    return out


_refitters: dict[tuple[str, str], Refitter] = {}
_compiling = threading.Lock()


def _find_refitter(dataset: Dataset, *, spec: ModelSpec) -> Refitter:
    """Compile each model once in each process, whichever thread asks first."""
    key = dataset.checksum, spec.checksum
    with _compiling:
        if key not in _refitters:
            while len(_refitters) >= _KEPT_REFITTERS:
                _refitters.pop(next(iter(_refitters)))
            _refitters[key] = Refitter(dataset, spec=spec)
        return _refitters[key]


def run_fold(dataset: Dataset, candidate: Candidate, fold: Fold) -> pd.DataFrame:
    """Fit one model to a fold's training scores and score its predictions of the others.

    Parameters
    ----------
    dataset
        Validated tables.
    candidate
        The model.
    fold
        The split.

    Returns
    -------
    pandas.DataFrame
        One row per held-out score: lm, lm_family, benchmark, `estimate` in native units,
        `abs_error`, `crps`, `log_density`, `pit`, and `seconds` of the whole fold without
        compiling. The same for the same seed, whatever ran before.

    Examples
    --------
    >>> from bayesmeta.data import load_dataset
    >>> from bayesmeta.evaluation.schemes import build_folds
    >>> data = load_dataset()
    >>> fold = build_folds(data, scheme="largest", seeds=[0])[0]
    >>> run_fold(data, Candidate("median"), fold)["lm"].nunique()
    5
    """
    held_out = dataset.scores[fold.test]
    if candidate.spec is None:
        started = time.perf_counter()
        estimate = predict_peer(candidate.name, dataset, train=fold.train, test=fold.test)
        scores = score_point(estimate, y=held_out["score"].to_numpy(float))
    else:
        refitter = _find_refitter(dataset, spec=candidate.spec)
        seed = int(np.random.SeedSequence([fold.seed, fold.index]).generate_state(1)[0])
        started = time.perf_counter()
        refit = refitter.refit(fold.train, seed=seed)
        scores = score_refit(refit, spec=candidate.spec, test=fold.test, seed=seed)
    families = dataset.lms.set_index("lm")["lm_family"]
    return pd.DataFrame(
        {
            "scheme": fold.scheme,
            "seed": fold.seed,
            "fold": fold.index,
            "model": candidate.name,
            "lm": held_out["lm"].to_numpy(),
            "lm_family": held_out["lm"].map(families).to_numpy(),
            "benchmark": held_out["benchmark"].to_numpy(),
            **scores,
            "seconds": time.perf_counter() - started,
        }
    )


class FoldStore:
    """Finished folds in a folder, each in a file of its own, written whole or not at all.

    Parameters
    ----------
    folder
        Made if it does not exist.
    dataset, candidates
        What the folds are of. Folds of other models and schemes may stand beside them.

    Raises
    ------
    EvaluationError
        If the folder holds something else: other data, or other models of the same names.
    """

    def __init__(self, folder: Path, *, dataset: Dataset, candidates: list[Candidate]) -> None:
        """Check the folder against what is asked, and note down what is new."""
        self.folder = folder
        self._manifest = folder / "manifest.json"
        wanted = self._describe(dataset, candidates)
        stored = self._read_manifest()
        if stored:
            self._compare(stored, wanted)
            wanted["models"] = {**stored["models"], **wanted["models"]}
        try:
            (folder / "folds").mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise EvaluationError(
                f"{folder} cannot be made: {error.strerror}. Choose a folder that may be written."
            ) from error
        if wanted != stored:
            write_text(self._manifest, text=json.dumps(wanted, indent=2) + "\n")

    @staticmethod
    def _describe(dataset: Dataset, candidates: list[Candidate]) -> dict[str, Any]:
        return {
            "bayesmeta_scoreboard": _FORMAT,
            "data_version": dataset.version,
            "data_checksum": dataset.checksum,
            "chains": defaults.REFIT_CHAINS,
            "tune": defaults.REFIT_TUNE,
            "draws": defaults.REFIT_DRAWS,
            "models": {candidate.name: candidate.identity for candidate in candidates},
        }

    def _read_manifest(self) -> dict[str, Any]:
        if not self._manifest.exists():
            if self.folder.exists() and (not self.folder.is_dir() or any(self.folder.iterdir())):
                raise EvaluationError(
                    f"{self.folder} exists and holds no results of an evaluation. Allowed: a new "
                    "or empty folder, or one that an evaluation has made. Choose another --out."
                )
            return {}
        try:
            stored = json.loads(self._manifest.read_text(encoding="utf-8"))
            if stored["bayesmeta_scoreboard"] == _FORMAT and isinstance(stored["models"], dict):
                return stored
        except (OSError, ValueError, KeyError, TypeError):
            pass
        raise EvaluationError(
            f"{self._manifest} cannot be read, or is of another version of bayesmeta. Choose "
            "another --out, or remove the folder."
        )

    def _compare(self, stored: dict[str, Any], wanted: dict[str, Any]) -> None:
        for key in ("data_checksum", "chains", "tune", "draws"):
            if stored.get(key) != wanted[key]:
                raise EvaluationError(
                    f"{self.folder} holds folds of other data or settings ({key} is "
                    f"{stored.get(key)!r} there, {wanted[key]!r} now). Its folds are kept; choose "
                    "another --out for this evaluation."
                )
        for name, identity in wanted["models"].items():
            if stored["models"].get(name, identity) != identity:
                raise EvaluationError(
                    f"{self.folder} holds folds of a model '{name}' with another spec (checksum "
                    f"{stored['models'][name][:12]} there, {identity[:12]} now). Its folds are "
                    "kept; choose another --out, or give this model another name."
                )

    def _path(self, candidate: Candidate, fold: Fold) -> Path:
        return self.folder / "folds" / f"{candidate.name}-{fold.label}.csv"

    def read(self, candidate: Candidate, fold: Fold) -> pd.DataFrame | None:
        """Read a finished fold, or nothing where there is none."""
        path = self._path(candidate, fold)
        if not path.exists():
            return None
        return pd.read_csv(path, float_precision="round_trip")

    def write(self, candidate: Candidate, fold: Fold, *, rows: pd.DataFrame) -> None:
        """Keep a finished fold."""
        write_text(self._path(candidate, fold), text=rows.to_csv(index=False))
