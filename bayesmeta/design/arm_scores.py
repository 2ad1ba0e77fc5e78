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
        Square of the noise of a training run, in points, over the number of runs that the score is
        the mean of, shape (score,).
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

    from bayesmeta.data.load import load_run_noise

    key = ["study", "group", "arm"]
    arms = experiments.arms.reset_index(drop=True)
    study, studies = pd.factorize(arms["study"])
    results = experiments.results[experiments.results["benchmark"].isin(list(benchmarks))]
    results = results.merge(arms[key].assign(row=np.arange(len(arms))), on=key)
    noise, names = load_run_noise(), results["benchmark"]
    runs = names.map(lambda name: noise.get(str(name), defaults.USUAL_NOISE)).to_numpy(float)
    lower = experiments.benchmarks.set_index("benchmark")["direction"] == "lower"
    sign = np.where(names.map(lower).fillna(False).astype(bool), -1.0, 1.0)
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
        points=100 * sign * results["score"].to_numpy(float),
        variance=(100 * runs) ** 2 / results["n_seeds"].fillna(1.0).to_numpy(float),
    )


def rate_control(arms: pd.DataFrame) -> pd.Series:
    """Say how well arms are controlled; of a group that says nothing, by what its arms differ in.

    Arms that differ in one decision are clean, those that differ in the mix or the corpus alone
    compositional, and all others confounded.
    """
    import pandas as pd

    from bayesmeta.data.experiments import find_differences

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
