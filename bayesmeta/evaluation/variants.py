"""The model and the data of a specification."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from bayesmeta.data import Dataset, load_dataset
from bayesmeta.data.corrections import SCORE_PREFIX
from bayesmeta.data.load import load_corrections
from bayesmeta.data.schema import MIX_COLUMNS
from bayesmeta.design import DOMAINS, FACTS
from bayesmeta.evaluation.specifications import OF_SPEC, Specification
from bayesmeta.model import ModelSpec

__all__ = ["Variant", "apply_to_spec", "build_variant"]

_WIDTHS = {"default": 1.0, "halved": 0.5, "doubled": 2.0}


def apply_to_spec(spec: ModelSpec, specification: Specification) -> ModelSpec:
    """Make the model of a specification.

    Parameters
    ----------
    spec
        The model of the default specification.
    specification
        A level of every choice.

    Returns
    -------
    ModelSpec
        The model.

    Examples
    --------
    >>> apply_to_spec(ModelSpec(), {"prior_width": "halved"}).priors.beta_tau
    0.05
    """
    options = {name: specification[name] for name in OF_SPEC if name in specification}
    width = _WIDTHS[specification.get("prior_width", "default")]
    priors = replace(spec.priors, beta_tau=width * spec.priors.beta_tau)
    return replace(spec, **options, priors=priors)


@dataclass(frozen=True, slots=True, eq=False)
class Variant:
    """The data of a specification.

    Parameters
    ----------
    dataset
        The tables. Those of specifications that differ in flagged scores alone are the same.
    train
        Which scores are learned from, shape (score,).
    identity
        What two variants with the same scores to learn from have in common: a checksum.
    """

    dataset: Dataset
    train: NDArray[np.bool_]
    identity: str


def build_variant(
    data: Dataset, specification: Specification, *, decisions: Sequence[str]
) -> Variant:
    """Make the data of a specification.

    Parameters
    ----------
    data
        The data of the default specification.
    specification
        A level of every choice.
    decisions
        What is asked for: lms that do not record it are dropped where missing facts are. The
        parts of the training mix are one decision, since a change of one changes the others.

    Returns
    -------
    Variant
        Tables, and which of their scores count.

    Examples
    --------
    >>> data = load_dataset()
    >>> whole = build_variant(data, {"data": "corrected", "flagged": "out"}, decisions=[])
    >>> len(whole.train), int(whole.train.sum()) == len(data.scores)
    (1151, True)
    """
    version = specification.get("data")
    dataset, flagged = (data, np.zeros(len(data.scores), bool)) if version is None else (
        _with_flagged(version)
    )  # fmt: skip
    if specification.get("missing") == "dropped":
        kept = ~_is_missing(dataset.lms, decisions)
        scored = dataset.scores["lm"].isin(dataset.lms["lm"][kept]).to_numpy()
        dataset, flagged = _drop_lms(dataset, kept=kept), flagged[scored]
    train = ~flagged if specification.get("flagged") == "out" else np.ones(len(flagged), bool)
    digest = hashlib.sha256(f"{dataset.checksum}{train.tolist()}".encode())
    return Variant(dataset, train=train, identity=digest.hexdigest())


@cache
def _with_flagged(version: str) -> tuple[Dataset, NDArray[np.bool_]]:
    """Read the bundled data in one version of the facts, and mark the flagged scores among all.

    Flagged are the scores that the corrections blank: runs that failed, or probably did.
    """
    data, published = (load_dataset(version=v) for v in (version, "as-published"))
    corrections = load_corrections()
    drops = corrections["field"].str.startswith(SCORE_PREFIX)
    drops &= corrections["corrected_value"].isna()
    names = corrections["field"][drops].str.removeprefix(SCORE_PREFIX)
    flagged = set(zip(corrections["lm"][drops], names, strict=True))

    def mark(scores: pd.DataFrame) -> NDArray[np.bool_]:
        pairs = zip(scores["lm"], scores["benchmark"], strict=True)
        return np.array([pair in flagged for pair in pairs], dtype=bool)

    kept, back = (
        data.scores[~mark(data.scores)],
        published.scores[mark(published.scores)],
    )
    order = {"lm": list(data.lms["lm"]), "benchmark": list(data.benchmarks["benchmark"])}
    scores = pd.concat([kept, back]).sort_values(
        ["lm", "benchmark"], key=lambda names: names.map(order[str(names.name)].index)
    )
    dataset = replace(data, scores=scores.reset_index(drop=True))
    return dataset, mark(dataset.scores)


def _is_missing(lms: pd.DataFrame, decisions: Sequence[str]) -> pd.Series:
    """Say which lms do not record a decision that is asked for, with the index of the table."""
    columns: list[str] = []
    for name in decisions:
        if name in DOMAINS:
            columns += [part for part in MIX_COLUMNS if lms[part].notna().any()]
        elif FACTS[name].name in lms:
            columns.append(name)
    return lms[list(dict.fromkeys(columns))].isna().any(axis=1)


def _drop_lms(dataset: Dataset, *, kept: pd.Series) -> Dataset:
    lms = dataset.lms[kept].reset_index(drop=True)
    scores = dataset.scores[dataset.scores["lm"].isin(lms["lm"])].reset_index(drop=True)
    benchmarks = dataset.benchmarks
    benchmarks = benchmarks[benchmarks["benchmark"].isin(scores["benchmark"])]
    written = dataset.generations
    if written is not None:
        written = written[written["lm"].isin(lms["lm"])].reset_index(drop=True)
    return replace(
        dataset,
        lms=lms,
        scores=scores,
        benchmarks=benchmarks.reset_index(drop=True),
        generations=written,
    )
