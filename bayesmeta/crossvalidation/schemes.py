"""Which scores are held out together: the folds of every scheme."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bayesmeta import defaults
from bayesmeta.data.dataset import Dataset
from bayesmeta.errors import EvaluationError, listing, name_given, unknown


@dataclass(frozen=True, slots=True, eq=False)
class Fold:
    """One split of the scores.

    Parameters
    ----------
    scheme
        Name of the scheme, as the command line takes it and the
        scoreboard shows it.
    seed
        Seed of the split; 0 where a scheme knows no chance.
    index
        Position among the folds of its scheme and seed.
    train, test
        Which scores are learned from and which predicted, shape (obs,). A score of a benchmark
        that leaves nothing to learn from is in neither.
    """

    scheme: str
    seed: int
    index: int
    train: NDArray[np.bool_]
    test: NDArray[np.bool_]

    @property
    def label(self) -> str:
        """Name of the fold, good for a file."""
        return f"{self.scheme}-{self.seed:03d}-{self.index:03d}"


def _split_random(dataset: Dataset, seed: int) -> Iterator[NDArray[np.bool_]]:
    """Split the LMs in three; the same splits as scikit-learn's shuffled `KFold`."""
    lms = np.sort(dataset.lms["lm"].to_numpy(str))
    # Not an explicit generator: published figures come from folds drawn in this way.
    np.random.RandomState(seed).shuffle(lms)
    for part in np.array_split(lms, defaults.RANDOM_FOLDS):
        yield dataset.scores["lm"].isin(part).to_numpy()


def _split_families(dataset: Dataset, seed: int) -> Iterator[NDArray[np.bool_]]:
    family = dataset.scores["lm"].map(dataset.lms.set_index("lm")["lm_family"])
    for name in dict.fromkeys(dataset.lms["lm_family"]):
        yield (family == name).to_numpy()


def _split_largest(dataset: Dataset, seed: int) -> Iterator[NDArray[np.bool_]]:
    ordered = dataset.lms.sort_values(["n_params", "lm"], ascending=False)
    yield dataset.scores["lm"].isin(ordered["lm"].head(defaults.LARGEST_HELD_OUT)).to_numpy()


def _split_benchmarks(dataset: Dataset, seed: int) -> Iterator[NDArray[np.bool_]]:
    """Hold each benchmark out for a random half of its LMs, then for the other half."""
    rng = np.random.default_rng(seed)
    for name in dataset.benchmarks["benchmark"]:
        rows = np.flatnonzero((dataset.scores["benchmark"] == name).to_numpy())
        for part in np.array_split(rng.permutation(rows), 2):
            yield np.isin(np.arange(len(dataset.scores)), part)


SCHEMES: dict[str, Callable[[Dataset, int], Iterator[NDArray[np.bool_]]]] = {
    "random": _split_random,
    "leave-family-out": _split_families,
    "largest": _split_largest,
    "leave-benchmark-out": _split_benchmarks,
}
"""Every scheme by name: held-out scores of each of its folds."""

LEAVE_STUDY_OUT = "leave-study-out"
"""The scheme that holds out experiments instead of scores of LMs."""

_BY_CHANCE = ("random", "leave-benchmark-out")


def check_dataset(data: object) -> None:
    """Refuse what is no dataset.

    Raises
    ------
    EvaluationError
        If it is something else.
    """
    if not isinstance(data, Dataset):
        raise EvaluationError(
            f"data is {name_given(data)}. Allowed: a Dataset, such as bm.load_dataset(), "
            "bm.read_dataset(folder) or bm.Dataset.from_frames(lms, scores)."
        )


def build_folds(dataset: Dataset, *, scheme: str, seeds: Iterable[int]) -> list[Fold]:
    """Split the scores by one scheme.

    Parameters
    ----------
    dataset
        Validated tables.
    scheme
        `random`: a third of the LMs, which leave all benchmarks at once; `leave-family-out`: all
        LMs of one LM family; `largest`: the five largest LMs; `leave-benchmark-out`: one benchmark
        for half of its lms.
    seeds
        Seeds of the splits. `leave-family-out` and `largest` know no chance and are split once.

    Returns
    -------
    list of Fold
        Every fold of every seed; folds without a score to predict are left out.

    Raises
    ------
    EvaluationError
        If the scheme is not known or leaves no scores to learn from.

    Examples
    --------
    >>> from bayesmeta.data.load import load_dataset
    >>> len(build_folds(load_dataset(), scheme="random", seeds=range(2)))
    6
    >>> data = load_dataset(version="as-published")
    >>> len(build_folds(data, scheme="leave-family-out", seeds=range(2)))
    33
    """
    if scheme not in SCHEMES:
        raise unknown(EvaluationError, "scheme", scheme, [*SCHEMES, LEAVE_STUDY_OUT])
    folds = []
    benchmark = dataset.scores["benchmark"].to_numpy()
    for seed in seeds if scheme in _BY_CHANCE else (0,):
        for index, held_out in enumerate(SCHEMES[scheme](dataset, seed)):
            train = ~held_out
            if held_out.any() and not train.any():
                raise EvaluationError(
                    f"scheme '{scheme}' leaves no scores to learn from in fold {index} of seed "
                    f"{seed}: the data hold {dataset!r}. Allowed: data in which each fold leaves "
                    f"some LMs out and keeps others. Choose another scheme ({listing(SCHEMES)}) or "
                    "add LMs."
                )
            test = held_out & np.isin(benchmark, benchmark[train])
            if test.any():
                folds.append(Fold(scheme, int(seed), index, train, test))
    return folds
