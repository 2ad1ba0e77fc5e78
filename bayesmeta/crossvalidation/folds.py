"""One model on one fold: what is computed, and where it is kept."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from bayesmeta import defaults
from bayesmeta.crossvalidation.baselines import BASELINES, check_installed, predict_baseline
from bayesmeta.crossvalidation.schemes import Fold
from bayesmeta.crossvalidation.scoring_rules import score_point, score_refit
from bayesmeta.data.dataset import Dataset
from bayesmeta.errors import EvaluationError, listing, unknown
from bayesmeta.inference.refit import Refitter
from bayesmeta.jobs import CSV, Folder, claim_folder
from bayesmeta.model.spec import ModelSpec, read_spec

MODELS: dict[str, ModelSpec] = {
    "full": ModelSpec(),
    "scale": ModelSpec(decisions=(), family_effects="none", experiments="ignored"),
    "scale+family": ModelSpec(decisions=(), experiments="ignored"),
}
"""Bayesian models by name. All know size, data and release date; the first alone learns from
controlled experiments as well; the second has no families."""

_GOOD_NAME = re.compile(r"\w[\w.+-]*")
_SPEC_FILES = (".toml", ".json")
_FORMAT = 1
_KEPT_REFITTERS = 4
"""Compiled models that a process keeps; each holds some tens of megabytes."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """A model to be scored: a Bayesian one with its spec, or a baseline without.

    Parameters
    ----------
    name
        What it is called in tables.
    spec
        The Bayesian model, or None for a baseline of that name.
    """

    name: str
    spec: ModelSpec | None = None

    @property
    def identity(self) -> str:
        """What must be the same for two results to be of the same model."""
        return "peer" if self.spec is None else self.spec.checksum


def read_candidates(
    models: Iterable[str],
    *,
    specs: Mapping[str, ModelSpec] | None = None,
    baselines: Collection[str] = tuple(BASELINES),
) -> list[Candidate]:
    """Turn names into models.

    Parameters
    ----------
    models
        Names of Bayesian models, of baselines, of entries in `specs`, or paths of spec files, which
        are called by the file's name without its ending.
    specs
        Models of your own by name.
    baselines
        Names of the baselines that the scheme has.

    Returns
    -------
    list of Candidate
        One for each name, in their order.

    Raises
    ------
    EvaluationError
        If a name is not known or occurs twice, or the libraries of the baselines are not installed.
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
        elif name in baselines:
            if name in BASELINES:
                check_installed()
            candidate = Candidate(name)
        else:
            allowed = [*known, *baselines]
            mend = "Correct the name, or name a spec file ending in .toml or .json."
            raise unknown(EvaluationError, "model", name, allowed, mend=mend)
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
            f"no model is named. Allowed: one or more of {listing([*known, *baselines])}."
        )
    return out


_refitters: dict[tuple[str, str], Refitter] = {}
_compiling = threading.Lock()


def find_refitter(dataset: Dataset, *, spec: ModelSpec) -> Refitter:
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
    >>> from bayesmeta.data.load import load_dataset
    >>> from bayesmeta.crossvalidation.schemes import build_folds
    >>> data = load_dataset()
    >>> fold = build_folds(data, scheme="largest", seeds=[0])[0]
    >>> run_fold(data, Candidate("median"), fold)["lm"].nunique()
    5
    """
    held_out = dataset.scores[fold.test]
    if candidate.spec is None:
        started = time.perf_counter()
        estimate = predict_baseline(candidate.name, dataset, train=fold.train, test=fold.test)
        scores = score_point(estimate, y=held_out["score"].to_numpy(float))
    else:
        refitter = find_refitter(dataset, spec=candidate.spec)
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


def keep_folds(folder: Path, *, dataset: Dataset, candidates: Iterable[Candidate]) -> Folder:
    """Keep finished folds in a folder, where folds of other models and schemes may stand as well.

    Parameters
    ----------
    folder
        Made if it does not exist.
    dataset, candidates
        What the folds are of.

    Returns
    -------
    Folder
        Of tables by the name of the model and the label of the fold, as `MODEL-LABEL`.

    Raises
    ------
    EvaluationError
        If the folder holds something else: other data, or other models of the same names.
    """
    about = {
        "bayesmeta_scoreboard": _FORMAT,
        "data_checksum": dataset.checksum,
        "chains": defaults.REFIT_CHAINS,
        "tune": defaults.REFIT_TUNE,
        "draws": defaults.REFIT_DRAWS,
        "models": {candidate.name: candidate.identity for candidate in candidates},
    }
    path = claim_folder(folder, mark="manifest.json", of="an evaluation", unit="folds", about=about)
    return Folder(path, form=CSV)
