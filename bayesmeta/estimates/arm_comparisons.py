"""Controlled experiments compared along a statement: differences between arms, study by study."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bayesmeta import defaults
from bayesmeta.data.decisions import SIZES
from bayesmeta.data.vocabulary import MIX_COLUMNS
from bayesmeta.design.arm_scores import CONTROLS, ArmScores
from bayesmeta.estimates.question import Sizes, Statement, Substitution
from bayesmeta.model.predictor import Array


@dataclass(frozen=True, slots=True, eq=False)
class Runs:
    """Comparisons of a statement's two sides, one for every group of arms and benchmark.

    Parameters
    ----------
    studies
        Names of studies.
    study, group, benchmark
        What every comparison belongs to, shape (comparison,).
    estimate, variance
        In points, protocols averaged, shape (comparison,).
    protocols
        Number of protocols, shape (comparison,).
    control
        Position of the weakest control among the arms in `CONTROLS`, shape (comparison,).
    at
        Geometric means of the arms' size and tokens; none without comparisons.
    """

    studies: tuple[str, ...]
    study: NDArray[np.int64]
    group: NDArray[np.int64]
    benchmark: NDArray[np.int64]
    estimate: Array
    variance: Array
    protocols: NDArray[np.int64]
    control: NDArray[np.int64]
    at: Sizes

    def of(self, kept: NDArray[np.bool_]) -> Runs:
        """Keep some comparisons."""
        per = ("study", "group", "benchmark", "estimate", "variance", "protocols", "control")
        return replace(self, **{name: getattr(self, name)[kept] for name in per})


def compare_runs(arms: ArmScores, statement: Statement) -> Runs:
    """Compare the two sides of a statement in every group of arms that can.

    In every group that varies the decision and keeps its corpus, the score is regressed on the
    decision (for two levels: the difference of their means) over arms between the two values, on
    every benchmark and under every protocol; arms of a substitution may stand anywhere.

    Parameters
    ----------
    arms
        Scores and facts.
    statement
        What is compared.

    Returns
    -------
    Runs
        Protocols of a run are averaged.
    """
    dose, size = _place(arms, statement)
    used = ~np.isnan(dose[arms.arm_index])
    arm, benchmark = arms.arm_index[used], arms.benchmark_index[used]
    _, first, cell = np.unique(arms.cell_index[used], return_index=True, return_inverse=True)
    n, x = len(first), dose[arm]
    weight = x - _average(x, cell, n)[cell]
    squares = np.bincount(cell, weights=weight**2, minlength=n)
    low, high = _ends(x, cell, n)
    corpus = _ends(arms.corpus[arm], cell, n)
    kept = (high - low >= defaults.REACH * abs(size)) & (corpus[0] == corpus[1])
    weight *= size / np.where(squares > 0, squares, 1.0)[cell]
    estimate = np.bincount(cell, weights=weight * arms.points[used], minlength=n)
    variance = np.bincount(cell, weights=weight**2 * arms.variance[used], minlength=n)
    group = arms.group_index[arm[first]]
    number = group * (benchmark.max(initial=0) + 1) + benchmark[first]
    _, place, run = np.unique(number[kept], return_index=True, return_inverse=True)
    m, own = len(place), first[kept][place]
    return Runs(
        studies=arms.studies,
        study=arms.study_index[arm[own]],
        group=arms.group_index[arm[own]],
        benchmark=benchmark[own],
        estimate=_average(estimate[kept], run, m),
        variance=_average(variance[kept], run, m),
        protocols=np.bincount(run, minlength=m),
        control=_ends(_ends(arms.control[arm], cell, n)[1][kept], run, m)[1].astype(np.int64),
        at=_sizes_of(arms, np.unique(arm[kept[cell]])),
    )


def _average(values: Array, group: NDArray[np.int64], n: int) -> Array:
    """Average the values of every group."""
    counts = np.bincount(group, minlength=n)
    return np.bincount(group, weights=values, minlength=n) / np.maximum(counts, 1)


def _ends(
    values: NDArray[Any], group: NDArray[np.int64], n: int
) -> tuple[NDArray[Any], NDArray[Any]]:
    """Least and largest value of every group."""
    low, high = np.full(n, np.inf), np.full(n, -np.inf)
    np.minimum.at(low, group, values)
    np.maximum.at(high, group, values)
    return low, high


def _sizes_of(arms: ArmScores, which: NDArray[np.int64]) -> Sizes:
    """Geometric means of the size and tokens of some arms, where they record them."""
    logs = {name: np.log(arms.facts[name][which]) for name in SIZES}
    known = {name: x[~np.isnan(x)] for name, x in logs.items()}
    return tuple((name, float(np.exp(x.mean()))) for name, x in known.items() if len(x))


def _place(arms: ArmScores, statement: Statement) -> tuple[Array, float]:
    """Say where arms stand along a statement, missing where they do not, and how long it is."""
    values = _read_fact(arms, statement.decision)
    if isinstance(statement, Substitution):
        return np.where(_keeps_others(arms, statement), values, np.nan), statement.points
    if statement.about.kind == "categorical":
        dose = np.where(values == statement.level, 1.0, np.nan)
        return np.where(values == statement.reference, 0.0, dose), 1.0
    level, reference = float(statement.level), float(statement.reference)
    low, high = sorted((level, reference))
    with np.errstate(invalid="ignore"):
        values = np.where((values >= low) & (values <= high), values, np.nan)
    if not statement.about.is_log:
        return values, level - reference
    return np.log2(values), float(np.log2(level / reference))


def _read_fact(arms: ArmScores, name: str) -> Array:
    """Give a fact of every arm; the part of the mix that none records is what the others leave."""
    if name in arms.facts:
        return arms.facts[name]
    return 100.0 - np.sum([arms.facts[part] for part in MIX_COLUMNS], axis=0)


def _keeps_others(arms: ArmScores, statement: Substitution) -> NDArray[np.bool_]:
    """Say whose group keeps all parts of the mix that do not change places, shape (arm,)."""
    kept = np.ones(len(arms.group_index), bool)
    n = int(arms.group_index.max(initial=-1)) + 1
    for name in MIX_COLUMNS:
        if name not in statement.parts:
            known = arms.facts[name]
            rows = ~np.isnan(known)
            low, high = _ends(known[rows], arms.group_index[rows], n)
            with np.errstate(invalid="ignore"):
                kept &= ~(high - low > defaults.KEPT_PARTS)[arms.group_index]
    return kept


def estimate_studies(runs: Runs, *, on: NDArray[np.bool_]) -> list[dict[str, Any]]:
    """Estimate a statement from the comparisons of every study, in percentage points.

    Benchmarks of a group are averaged, whose noise is partly that of the run; groups of a study are
    weighed by their precision. Confounded comparisons count where a study has no others.

    Parameters
    ----------
    runs
        Comparisons.
    on
        Which benchmarks count, shape (benchmark,).

    Returns
    -------
    list of dict
        `study`, `estimate` and `se` in points, `n` comparisons, `control`.
    """
    found = []
    for weights in weigh_comparisons(runs, on=on):
        own = weights > 0
        study = int(runs.study[own][0])
        found.append(
            {
                "study": runs.studies[study],
                "estimate": float(weights @ runs.estimate),
                "se": _error_of(runs, weights),
                "n": int(runs.protocols[own].sum()),
                "control": CONTROLS[int(runs.control[own].max())],
            }
        )
    return found


def weigh_comparisons(runs: Runs, *, on: NDArray[np.bool_]) -> list[Array]:
    """Weights of all comparisons in the estimate of every study, see `estimate_studies`.

    Returns
    -------
    list of ndarray
        One of shape (comparison,) for every study that has any; they sum to one.
    """
    found, counts = [], on[runs.benchmark] if len(runs.benchmark) else np.zeros(0, bool)
    for k in dict.fromkeys(runs.study[counts].tolist()):
        own = counts & (runs.study == k)
        controlled = own & (runs.control < len(CONTROLS) - 1)
        own = controlled if controlled.any() else own
        _, group = np.unique(runs.group[own], return_inverse=True)
        n, precision = _weigh_groups(runs.variance[own], group)
        weights = np.zeros(len(own))
        weights[own] = (precision / precision.sum() / n)[group]
        found.append(weights)
    return found


def _weigh_groups(variance: Array, group: NDArray[np.int64]) -> tuple[NDArray[np.int64], Array]:
    """Count the comparisons of every group, and compute the precision of their mean."""
    n, share = np.bincount(group), defaults.BENCHMARKS_SHARE
    mean = np.bincount(group, weights=variance) / n
    return n, 1 / (mean * ((1 - share) / n + share))


def _error_of(runs: Runs, weights: Array) -> float:
    """Compute the standard error of the estimate of a study."""
    own = weights > 0
    _, group = np.unique(runs.group[own], return_inverse=True)
    return float(_weigh_groups(runs.variance[own], group)[1].sum() ** -0.5)
