"""Scores of controlled experiments as a statement is estimated from them, without any model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from bayesmeta import defaults
from bayesmeta.data.decisions import Decision, know_facts
from bayesmeta.data.vocabulary import ARM_VOCABULARY, MIX_COLUMNS
from bayesmeta.design.composition import Array

if TYPE_CHECKING:
    import pandas as pd

    from bayesmeta.data.experiments import Experiments

UNSHARED = 0.3
"""Share of a score's binomial variance by which two runs of one recipe differ: they answer the same
items. Recorded repeats differ by 0.2 to 0.5 of it, run effects included (`run_noise.csv`)."""

_INSIDE = 0.03
"""Least distance from 0 and 1 of a score of which the binomial variance is taken."""

CONTROLS = ARM_VOCABULARY["control"]
"""How well arms are controlled, the best first; of confounded ones nothing is learned."""


@dataclass(frozen=True, slots=True, eq=False)
class ArmScores:
    """Arms of controlled experiments with their facts, and the scores on some benchmarks.

    Parameters
    ----------
    studies
        Names.
    facts
        By decision or size what every arm records: levels, or numbers in the units of the table
        with NaN where there is none, each of shape (arm,).
    study_index, group_index
        Study, and group within all studies, of every arm, shape (arm,).
    corpus
        Number of the corpus of every arm, -1 where none is named, shape (arm,).
    control
        Position in `CONTROLS`, shape (arm,); inferred where an arm does not say.
    arm_index, benchmark_index
        Arm and benchmark of every score, shape (score,).
    cell_index
        Group, benchmark and protocol of every score, as one number, shape (score,).
    points
        Scores in percentage points, higher is better, shape (score,).
    variance
        That which repeated runs of the arm would give the score, in squared points, shape (score,).
    """

    studies: tuple[str, ...]
    facts: Mapping[str, NDArray[Any]]
    study_index: NDArray[np.int64]
    group_index: NDArray[np.int64]
    corpus: NDArray[np.int64]
    control: NDArray[np.int64]
    arm_index: NDArray[np.int64]
    benchmark_index: NDArray[np.int64]
    cell_index: NDArray[np.int64]
    points: Array
    variance: Array


def build_arm_scores(
    experiments: Experiments, *, benchmarks: Sequence[str], own: Sequence[Decision] = ()
) -> ArmScores:
    """Turn tables of experiments into arrays.

    Parameters
    ----------
    experiments
        Tables of arms and results.
    benchmarks
        Names of the benchmarks whose scores are kept.
    own
        Declared decisions, beside those that the package knows.

    Returns
    -------
    ArmScores
        Benchmarks by their position in the names.

    Examples
    --------
    >>> from bayesmeta.data.load import load_experiments
    >>> scores = build_arm_scores(load_experiments(), benchmarks=["hellaswag"])
    >>> len(scores.facts["attention"])
    207
    """
    import pandas as pd

    key = ["study", "group", "arm"]
    arms = experiments.arms.reset_index(drop=True)
    study, studies = pd.factorize(arms["study"])
    results = experiments.results[experiments.results["benchmark"].isin(list(benchmarks))]
    results = results.merge(arms[key].assign(row=np.arange(len(arms))), on=key)
    names, table = results["benchmark"], experiments.benchmarks.set_index("benchmark")
    lower = names.map(table["direction"] == "lower").fillna(False).astype(bool)
    score, seeds = results["score"].to_numpy(float), results["n_seeds"].fillna(1.0)
    results = results.assign(n_seeds=seeds, n_items=names.map(table["n_items"]))
    sampling = sampling_variance(results, mean=score)
    cells = results.groupby([*key[:2], "benchmark", "protocol"], sort=False, dropna=False)
    return ArmScores(
        studies=tuple(studies),
        facts=_read_facts(arms, know_facts(own)),
        study_index=study.astype(np.int64),
        group_index=arms.groupby(key[:2], sort=False).ngroup().to_numpy().astype(np.int64),
        corpus=pd.factorize(arms["corpus"])[0].astype(np.int64),
        control=pd.Index(CONTROLS).get_indexer(pd.Index(rate_control(arms))),
        arm_index=results["row"].to_numpy(np.int64),
        benchmark_index=pd.Index(list(benchmarks)).get_indexer(pd.Index(names)).astype(np.int64),
        cell_index=cells.ngroup().to_numpy().astype(np.int64),
        points=np.where(lower, -100.0, 100.0) * score,
        variance=100**2
        * run_variance(names.to_list(), repeats=1 / seeds.to_numpy(float), sampling=sampling),
    )


def sampling_variance(results: pd.DataFrame, *, mean: Array) -> Array:
    """Compute the variance between runs on the same items that items alone give.

    Parameters
    ----------
    results
        Columns se, n_seeds and n_items; where a single run has no standard error, or for the mean
        of several, the binomial one.
    mean
        Probabilities of a right answer, shape (result,).

    Returns
    -------
    ndarray
        On the score scale, zero where no number of items is known; shape (result,).
    """
    p, seeds = np.clip(mean, _INSIDE, 1 - _INSIDE), results["n_seeds"].to_numpy(float)
    binomial = p * (1 - p) / results["n_items"].to_numpy(float)
    given = np.square(results["se"].to_numpy(float))
    known = np.where((seeds == 1) & ~np.isnan(given), given, np.nan_to_num(binomial))
    return UNSHARED * known / seeds


def run_variance(names: Sequence[str], *, repeats: Array, sampling: Array) -> Array:
    """Compute the variance that repeated runs of the same recipe would give scores or contrasts.

    Parameters
    ----------
    names
        Their benchmarks.
    repeats
        Variance in units of that of one run, such as one over the number of runs, shape (row,).
    sampling
        Sampling variance, shape (row,).

    Returns
    -------
    ndarray
        That between recorded runs of one recipe on the benchmark (`run_noise.csv`); where none are
        recorded, that of a usual run and the sampling variance; shape (row,).
    """
    from bayesmeta.data.load import load_run_noise

    recorded = load_run_noise()
    of_run = np.array([recorded.get(name, defaults.USUAL_NOISE) for name in names])
    is_unknown = np.array([name not in recorded for name in names])
    return repeats * of_run**2 + sampling * is_unknown


def rate_control(arms: pd.DataFrame) -> pd.Series:
    """Say how well arms are controlled; of a group that says nothing, by what its arms differ in.

    Arms that differ in one decision are clean, those that differ in the mix or the corpus alone
    compositional, and all others confounded.
    """
    import pandas as pd

    from bayesmeta.data.arm_facts import find_differences

    differ = find_differences(arms)
    of_mix = [name for name in (*MIX_COLUMNS, "english_share", "corpus") if name in differ]
    mix, others = differ[of_mix].any(axis=1), differ.drop(columns=of_mix).sum(axis=1)
    clean, compositional, _, confounded = CONTROLS
    guess = pd.Series(confounded, index=differ.index)
    guess[(others == 1) & ~mix] = clean
    guess[(others == 0) & mix] = compositional
    by_arm = guess.reindex(pd.MultiIndex.from_frame(arms[["study", "group"]])).to_numpy()
    said = arms.reindex(columns=["control", "also_changes"])
    found = pd.Series(by_arm, index=arms.index).where(said["also_changes"].isna(), confounded)
    return said["control"].astype(object).where(said["control"].notna(), found)


def _read_facts(arms: pd.DataFrame, known: Mapping[str, Decision]) -> dict[str, NDArray[Any]]:
    """Read what arms record of every decision and size; a table of one's own may lack some."""
    wanted = dict.fromkeys([*arms, *MIX_COLUMNS, *known])
    arms = arms.reindex(columns=list(wanted))
    found = {}
    for name, decision in known.items():
        if decision.kind == "categorical":
            found[name] = decision.read_levels(arms).to_numpy(object)
        else:
            found[name] = arms[name].astype(float).to_numpy()
    return found
