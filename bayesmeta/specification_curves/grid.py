"""The choices that analysts make differently, grids of them, and the model and data of each."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from itertools import product

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from bayesmeta import defaults
from bayesmeta.data.corrections import SCORE_PREFIX
from bayesmeta.data.dataset import VERSIONS, Dataset
from bayesmeta.data.load import load_corrections, load_dataset
from bayesmeta.data.vocabulary import MIX_COLUMNS
from bayesmeta.design.composition import DOMAINS
from bayesmeta.errors import EvaluationError, listing, unknown
from bayesmeta.model.spec import OPTIONS, ModelSpec

Specification = Mapping[str, str]
"""A level of every choice, by the name of the choice."""

CHOICES: dict[str, tuple[str, ...]] = {
    "data": tuple(reversed(VERSIONS)),
    "flagged": ("out", "in"),
    "family_effects": ("orthogonal", "random", "within-between", "none"),
    "release_date": ("linear", "none"),
    "scaling": ("loglinear", "chinchilla"),
    "missing": ("kept", "dropped"),
    "likelihood": ("student", "normal"),
    "prior_width": ("default", "halved", "doubled"),
    "experiments": ("included", "ignored"),
    "bias_width": ("default", "halved", "doubled"),
}
"""Choices with the levels that are tried, the usual one first.

- `data`: the facts as corrected by the audit, or as published. Bundled data only.
- `flagged`: the scores that the audit calls failed or suspect runs, out or in. Bundled data only.
  Either way of treating them goes with both versions of the facts.
- `family_effects`, `release_date`, `scaling`, `likelihood`: options of a `ModelSpec`.
- `missing`: LMs whose value of the asked decision is missing are kept, as the model does it (a
  level of their own, or typical values), or dropped.
- `prior_width`: scale of the prior of the decisions' effects (`beta_tau`), halved and doubled.
- `experiments`: with them a statement is asked of effects, without them of associations; and
  `bias_width`: how biased associations are a priori (`bias_ratio`), halved and doubled. Only of
  data with experiments.
"""

_OF_SPEC = ("family_effects", "release_date", "scaling", "likelihood", "experiments")
_WIDTHS = {"default": 1.0, "halved": 0.5, "doubled": 2.0}
_BUNDLED_ONLY = ("data", "flagged")
_OF_EXPERIMENTS = ("experiments", "bias_width")
_FLAGGED = {"corrected": "out", "as-published": "in"}
"""What the two versions of the bundled data do with flagged scores."""

_EXCHANGES = 20_000
"""Exchanges of levels that the search for a balanced fraction tries; it hardly gains from more."""

_CORRECT = "Correct it or leave it out."

_LARGEST_CROSS = 100_000
"""Specifications of a full cross that are listed; nobody fits so many."""


def list_choices(
    data: Dataset, *, spec: ModelSpec, grid: Mapping[str, Sequence[str]] | None = None
) -> dict[str, tuple[str, ...]]:
    """List the choices that data and model leave, the level of the default specification first.

    Parameters
    ----------
    data
        Validated tables. What they are and what the model is make the default specification.
    spec
        The model.
    grid
        Choices and their levels; all choices with the levels of `CHOICES` if left out. A choice
        that is not named stays as it is.

    Returns
    -------
    dict of tuple
        Levels by choice.

    Raises
    ------
    EvaluationError
        If a choice or level is not known to the data and the model that are given, or is
        named twice.

    Examples
    --------
    >>> data = load_dataset(version="as-published")
    >>> list_choices(data, spec=ModelSpec(), grid={"likelihood": ["normal", "student"]})["data"]
    ('as-published',)
    """
    usual = {name: levels[0] for name, levels in CHOICES.items() if name not in _BUNDLED_ONLY}
    usual |= {name: getattr(spec, name) for name in _OF_SPEC}
    if data.experiments is None:
        usual = {name: first for name, first in usual.items() if name not in _OF_EXPERIMENTS}
    if _is_bundled(data):
        usual = {"data": data.version, "flagged": _FLAGGED[data.version], **usual}
    if grid is None:
        return {n: tuple(dict.fromkeys((first, *CHOICES[n]))) for n, first in usual.items()}
    given = _read_grid(grid, allowed=list(usual))
    return {
        name: tuple(sorted(given.get(name, (first,)), key=lambda level: level != first))
        for name, first in usual.items()
    }


def _read_grid(
    grid: Mapping[str, Sequence[str]], *, allowed: Sequence[str]
) -> dict[str, tuple[str, ...]]:
    if not isinstance(grid, Mapping) or not grid:
        raise EvaluationError(
            f"grid is {grid!r}. Allowed: levels by choice, such as {{'likelihood': ['student', "
            f"'normal']}}; the choices are {listing(allowed)}."
        )
    for name, levels in grid.items():
        if name not in allowed:
            why = "Only the bundled data have it." * (name in _BUNDLED_ONLY)
            why += "Only data with experiments have it." * (name in _OF_EXPERIMENTS)
            raise unknown(EvaluationError, "choice", name, allowed, why=why, mend=_CORRECT)
        known = OPTIONS.get(name, CHOICES[name])
        if isinstance(levels, str) or not isinstance(levels, Sequence) or not levels:
            raise EvaluationError(
                f"levels of choice '{name}' are {levels!r}. Allowed: a list of {listing(known)}."
            )
        for level in levels:
            if level not in known:
                what = f"level of choice '{name}'"
                raise unknown(EvaluationError, what, level, known, mend=_CORRECT)
            if list(levels).count(level) > 1:
                raise EvaluationError(
                    f"level '{level}' of choice '{name}' is named twice. Allowed: each level once. "
                    "Leave one out."
                )
    return {name: tuple(levels) for name, levels in grid.items()}


def _is_bundled(data: Dataset) -> bool:
    """Whether the LMs and their scores are the bundled ones, whatever experiments come along."""
    bundled = load_dataset(version=data.version, experiments=False)
    return replace(data, experiments=None).checksum == bundled.checksum


def build_grid(
    choices: Mapping[str, Sequence[str]], *, n: int | str = defaults.SPECIFICATIONS, seed: int
) -> list[dict[str, str]]:
    """Choose specifications: all of them, or a balanced fraction.

    A fraction holds the default specification, every specification that differs from it in one
    choice, and others, found by exchanging levels so that every level of a choice occurs equally
    often and every pair of levels of two choices nearly so.

    Parameters
    ----------
    choices
        Levels by choice, the default one first.
    n
        Number of specifications, or `all`. A number beyond the full cross gives that.
    seed
        Seed of the search.

    Returns
    -------
    list of dict
        Different specifications, the default one first.

    Raises
    ------
    EvaluationError
        If there is no room for the departures in one choice, or the number makes no sense.

    Examples
    --------
    >>> len(build_grid({"a": ("x", "y"), "b": ("x", "y", "z")}, n="all", seed=1))
    6
    >>> grid = build_grid(CHOICES, n=48, seed=1)
    >>> [specification["flagged"] for specification in grid].count("in")
    24
    """
    sizes = [len(levels) for levels in choices.values()]
    total = int(np.prod(sizes))
    fixed = [tuple(0 for _ in sizes)]
    fixed += [tuple(k * (j == i) for j in range(len(sizes))) for i, m in enumerate(sizes)
              for k in range(1, m)]  # fmt: skip
    wanted = _read_n(n, least=len(fixed), total=total)
    if wanted < total:
        rows = _balance(fixed, sizes=sizes, n=wanted, seed=seed)
    else:
        rows = list(dict.fromkeys([*fixed, *product(*map(range, sizes))]))
    levels = list(choices.items())
    return [{name: names[k] for (name, names), k in zip(levels, row, strict=True)} for row in rows]


def _read_n(n: int | str, *, least: int, total: int) -> int:
    number = total if n == "all" else n
    if isinstance(number, bool) or not isinstance(number, int) or number < min(least, total):
        raise EvaluationError(
            f"n is {n!r}. Allowed: 'all', or a whole number from {least} up: the default "
            f"specification and its departures in one choice are {least}. Raise n, or name fewer "
            "choices."
        )
    if min(number, total) > _LARGEST_CROSS:
        raise EvaluationError(
            f"n is {n!r}, which asks for {min(number, total)} specifications. Allowed: at most "
            f"{_LARGEST_CROSS}. Lower n, or name fewer levels."
        )
    return min(number, total)


def _balance(
    fixed: list[tuple[int, ...]], *, sizes: Sequence[int], n: int, seed: int
) -> list[tuple[int, ...]]:
    """Fill up to n rows, every level equally often; exchange levels until pairs are even too."""
    rng = np.random.default_rng(seed)
    columns = [
        _fill(np.array(fixed)[:, j], m, n=n, rng=rng) if m > 1 else np.zeros(n, int)
        for j, m in enumerate(sizes)
    ]
    rows = np.column_stack(columns)
    offset = np.concatenate([[0], np.cumsum(sizes)[:-1]]).astype(int)
    eye, share = np.eye(sum(sizes)), np.concatenate([np.full(m, 1 / m) for m in sizes])
    marks = eye[rows + offset].sum(axis=1)
    excess = marks.T @ marks - n * np.outer(share, share)
    cost, repeated = float((excess**2).sum()), n - len({*map(tuple, rows)})
    for _ in range(_EXCHANGES if n > len(fixed) else 0):
        j = rng.integers(len(sizes))
        pair = rng.integers(len(fixed), n, size=2)
        if rows[pair[0], j] == rows[pair[1], j]:
            continue
        changed = rows[pair].copy()
        changed[:, j] = changed[::-1, j]
        new = eye[changed + offset].sum(axis=1)
        moved = excess + new.T @ new - marks[pair].T @ marks[pair]
        found = float((moved**2).sum())
        if found > cost and not repeated:
            continue
        trial = rows.copy()
        trial[pair] = changed
        again = n - len({*map(tuple, trial)})
        if (again, found) <= (repeated, cost):
            rows, excess, cost, repeated = trial, moved, found, again
            marks[pair] = new
    return list(dict.fromkeys(tuple(map(int, row)) for row in rows))


def _fill(
    given: NDArray[np.int64], n_levels: int, *, n: int, rng: np.random.Generator
) -> NDArray[np.int64]:
    """Add levels to a column, those that are rarest first, and shuffle what was added."""
    counts = np.bincount(given, minlength=n_levels)
    added = []
    for _ in range(n - len(given)):
        rarest = int(np.argmin(counts))
        counts[rarest] += 1
        added.append(rarest)
    return np.concatenate([given, rng.permutation(added)]).astype(np.int64)


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
    options = {name: specification[name] for name in _OF_SPEC if name in specification}
    width = _WIDTHS[specification.get("prior_width", "default")]
    bias = _WIDTHS[specification.get("bias_width", "default")]
    priors = replace(
        spec.priors,
        beta_tau=width * spec.priors.beta_tau,
        bias_ratio=bias * spec.priors.bias_ratio,
    )
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
        What is asked for: LMs that do not record it are dropped where missing facts are. The
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
    dataset, flagged = data, np.zeros(len(data.scores), bool)
    if "data" in specification:
        dataset, flagged = _with_flagged(specification["data"])
        dataset = replace(dataset, experiments=data.experiments)
    if specification.get("missing") == "dropped":
        kept = ~_is_missing(dataset.lms, decisions)
        scored = dataset.scores["lm"].isin(dataset.lms["lm"][kept]).to_numpy()
        dataset, flagged = dataset.keep_lms(kept.to_numpy()), flagged[scored]
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

    kept, back = data.scores[~mark(data.scores)], published.scores[mark(published.scores)]
    order = {"lm": list(data.lms["lm"]), "benchmark": list(data.benchmarks["benchmark"])}
    scores = pd.concat([kept, back]).sort_values(
        ["lm", "benchmark"], key=lambda names: names.map(order[str(names.name)].index)
    )
    dataset = replace(data, scores=scores.reset_index(drop=True))
    return dataset, mark(dataset.scores)


def _is_missing(lms: pd.DataFrame, decisions: Sequence[str]) -> pd.Series:
    """Say which LMs do not record a decision that is asked for, with the index of the table."""
    columns = [name for name in decisions if name in lms and name not in DOMAINS]
    if set(decisions) & set(DOMAINS):
        columns += [part for part in MIX_COLUMNS if lms[part].notna().any()]
    return lms[columns].isna().any(axis=1)
