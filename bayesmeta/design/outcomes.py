"""Scores as the model sees them: links, known errors, floors; contrasts between arms."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from bayesmeta.design.composition import Array
from bayesmeta.design.terms import Term

if TYPE_CHECKING:
    from bayesmeta.data.dataset import Dataset

_FLOOR_MARGIN = 2.0
"""Standard errors between the lowest score and a floor that it pushes down.

A score of 0 pushes the floor of a benchmark without chance below 0, by a point or two. With a floor
at 0 the logit of a score near 0 has no bottom: failed runs and small LMs then make families look
utterly unlike each other where they differ by two points.
"""

_CLIP = 0.01
"""Keeps the information weight of a score at the floor or the ceiling above zero."""


@dataclass(frozen=True, slots=True, eq=False)
class Outcomes:
    """Scores, and per benchmark what turns a latent value into an expected score.

    Parameters
    ----------
    y, se
        Score and known standard error in native units, shape (obs,). A Brier score has none
        reported (0 here): the free residual of its benchmark holds it.
    train
        Whether the model learns from the score, shape (obs,). The others are held out: nothing
        below, nor anything else in a design, depends on them.
    lm_index, benchmark_index
        Row of the LM and of the benchmark of every observation, shape (obs,).
    is_logistic
        Whether the benchmark is an accuracy with a logistic link, shape (benchmark,).
    floor
        Lowest expected accuracy: chance, or lower where LMs score below it, shape (benchmark,).
    location, spread
        Mean and signed standard deviation of the scores of an identity-link benchmark; the sign
        makes higher latent values better, shape (benchmark,).
    """

    y: Array
    se: Array
    train: NDArray[np.bool_]
    lm_index: NDArray[np.int64]
    benchmark_index: NDArray[np.int64]
    is_logistic: NDArray[np.bool_]
    floor: Array
    location: Array
    spread: Array

    def information(self, *, n_lms: int) -> Array:
        """Weigh the LMs by what their scores say about a benchmark's latent scale.

        A score at the chance floor says little about where its lm is on the logit scale. Centring
        every benchmark at the weighted mean of its LMs puts the intercept where the data are and
        removes most of its posterior correlation with the slopes.

        Returns
        -------
        ndarray
            Non-negative weights, shape (lm, benchmark); every column sums to one.
        """
        floor = self.floor[self.benchmark_index]
        p = np.clip((self.y - floor) / (1 - floor), _CLIP, 1 - _CLIP)
        weight = np.where(self.is_logistic[self.benchmark_index], (p * (1 - p)) ** 2, 1.0)
        out = np.zeros((n_lms, len(self.floor)))
        out[self.lm_index, self.benchmark_index] = weight * self.train
        return out / np.maximum(out.sum(axis=0), np.finfo(float).tiny)

    def imagine_scores(self) -> Outcomes:
        """Imagine one score of every benchmark, with a typical error.

        Returns
        -------
        Outcomes
            Scores of 0 of one LM, to be drawn anew. The standard error is the median over the
            benchmark's scores.
        """
        import pandas as pd

        every = np.arange(len(self.floor))
        typical = pd.Series(self.se).groupby(self.benchmark_index).median().reindex(every)
        return replace(
            self,
            y=np.zeros(len(every)),
            se=typical.fillna(0.0).to_numpy(float),
            train=np.zeros(len(every), dtype=bool),
            lm_index=np.zeros(len(every), dtype=np.int64),
            benchmark_index=every,
        )


@dataclass(frozen=True, slots=True, eq=False)
class ArmContrasts:
    """Differences between arms of a group on a benchmark under a protocol, and what explains them.

    A cell is a group on a benchmark under a protocol. Its scores enter by orthonormal contrasts,
    which leave its level out: exactly as an intercept with a flat prior would, where the errors of
    its arms are alike. Everything is on the score scale: columns are multiplied by the slope of
    the benchmark's link at the mean score of the cell.

    Parameters
    ----------
    n_benchmarks
        Number of benchmarks of the design.
    studies, runs
        Names.
    arm_terms
        Columns of what arms record and LMs do not, such as named corpora.
    y
        Contrasts of scores, in native units, shape (contrast,).
    sampling
        Variance of their known errors, shape (contrast,).
    repeats
        What the variance of one run's own error on one benchmark counts for: the sum of the squared
        weights over the numbers of seeds, shape (contrast,).
    train
        Whether the model learns from the contrast, shape (contrast,); others are held out.
    study_index, benchmark_index
        Study and benchmark of every contrast, shape (contrast,).
    labels
        Names of `group`, `protocol`, `arm` and, of pairs, what it is compared with, `base`, each of
        shape (contrast,).
    columns
        Differences of columns by block, each of shape (contrast, column): those of
        `model.predictor`; `arm_facts`, those of `arm_terms`; `settings`, the columns of one
        decision within one study, rotated so that as few as possible are needed, which may have
        another effect in that study; `runs`, indicators of training runs over the root of their
        seeds, whose coefficients all benchmarks share.
    setting_study
        Study of every setting.
    setting_block
        Decision of every setting: its position in `Design.decisions` and then `arm_decisions`,
        shape (setting,).
    """

    n_benchmarks: int
    studies: tuple[str, ...]
    arm_terms: tuple[Term, ...]
    runs: tuple[str, ...]
    y: Array
    sampling: Array
    repeats: Array
    train: NDArray[np.bool_]
    study_index: NDArray[np.int64]
    benchmark_index: NDArray[np.int64]
    labels: Mapping[str, NDArray[Any]]
    columns: Mapping[str, Array]
    setting_study: tuple[str, ...]
    setting_block: NDArray[np.int64]

    @property
    def arm_decisions(self) -> tuple[str, ...]:
        """Facts that arms record and LMs do not."""
        return tuple(dict.fromkeys(term.decision for term in self.arm_terms))

    @property
    def arm_labels(self) -> tuple[str, ...]:
        """Names of the columns of what arms record and LMs do not."""
        return tuple(term.label for term in self.arm_terms)

    @property
    def setting_names(self) -> tuple[str, ...]:
        """Study and number of every setting."""
        return tuple(f"{name}:{k}" for k, name in enumerate(self.setting_study))

    def factor(self) -> tuple[dict[str, Array], NDArray[np.int64], Array]:
        """Split contrasts into how arms differ and how much a difference counts.

        The same arms differ in the same way on all benchmarks, so that there are fewer differences
        than contrasts; the slope of the link says what one counts at the scores of a cell.

        Returns
        -------
        tuple
            Differences by block, each of shape (difference, column), the largest of which is one;
            and the difference and the slope of every contrast, each of shape (contrast,).
        """
        weights = np.hstack(list(self.columns.values()))
        size = np.abs(weights)
        lead = np.argmax(size > 0.999 * size.max(axis=1, keepdims=True, initial=0), axis=1)
        slope = np.take_along_axis(weights, lead[:, None], axis=1)
        unit = weights / np.where(slope == 0, 1, slope)
        _, first, index = np.unique(unit.round(9), axis=0, return_index=True, return_inverse=True)
        ends = np.cumsum([values.shape[1] for values in self.columns.values()])[:-1]
        parts = zip(self.columns, np.split(unit[first], ends, axis=1), strict=True)
        return dict(parts), index.reshape(-1), slope[:, 0]

    def measured_settings(self) -> NDArray[np.bool_]:
        """Say which settings are measured on which benchmark, shape (setting, benchmark)."""
        used = self.columns["settings"] != 0
        on = self.benchmark_index[:, None] == np.arange(self.n_benchmarks)
        return used.T.astype(float) @ on > 0

    def hold_out(self, study: str) -> ArmContrasts:
        """Learn from all studies but one."""
        return replace(self, train=self.study_index != self.studies.index(study))

    def of(self, rows: NDArray[np.bool_]) -> ArmContrasts:
        """Keep some contrasts, shape (contrast,)."""
        names = ("y", "sampling", "repeats", "train", "study_index", "benchmark_index")
        kept: dict[str, Any] = {name: getattr(self, name)[rows] for name in names}
        for name in ("labels", "columns"):
            kept[name] = {key: values[rows] for key, values in getattr(self, name).items()}
        return replace(self, **kept)


def build_outcomes(dataset: Dataset, *, train: NDArray[np.bool_] | None = None) -> Outcomes:
    """Turn the table of scores into arrays.

    Parameters
    ----------
    dataset
        Validated tables.
    train
        Which scores the model learns from, shape (obs,); all if left out.

    Returns
    -------
    Outcomes
        One entry per score, in the order of `dataset.scores`.

    Examples
    --------
    >>> from bayesmeta.data.load import load_dataset
    >>> build_outcomes(load_dataset()).y.shape
    (1105,)
    """
    import pandas as pd

    scores, benchmarks = dataset.scores, dataset.benchmarks.set_index("benchmark")
    y = scores["score"].to_numpy(float)
    train = np.ones(len(y), dtype=bool) if train is None else np.asarray(train, dtype=bool)
    b = pd.Index(benchmarks.index).get_indexer(pd.Index(scores["benchmark"]))
    accuracy = (benchmarks["metric"] == "accuracy").to_numpy()
    higher = (benchmarks["direction"] == "higher").to_numpy()
    is_logistic = accuracy & higher
    n_items = benchmarks["n_items"].to_numpy(float)[b]
    se = _known_error(y, scores["se"].to_numpy(float), n_items, accuracy[b])
    every = range(len(benchmarks))
    lowest = pd.Series(y - _FLOOR_MARGIN * se)[train].groupby(b[train]).min().reindex(every)
    chance = benchmarks["chance"].fillna(0.0).to_numpy(float)
    floor = np.where(is_logistic, np.fmin(chance, lowest), 0.0)
    groups = pd.Series(y)[train].groupby(b[train])
    spread = groups.std(ddof=1).reindex(every).fillna(0.0).to_numpy()
    return Outcomes(
        y=y,
        se=se,
        train=train,
        lm_index=pd.Index(dataset.lms["lm"]).get_indexer(pd.Index(scores["lm"])).astype(np.int64),
        benchmark_index=b.astype(np.int64),
        is_logistic=is_logistic,
        floor=floor,
        location=groups.mean().reindex(every).fillna(0.0).to_numpy(),
        spread=np.where(higher, 1.0, -1.0) * np.where(spread > 0, spread, 1.0),
    )


def _known_error(y: Array, se: Array, n_items: Array, accuracy: NDArray[np.bool_]) -> Array:
    """Fill a missing standard error of an accuracy from its number of items (Agresti-Coull)."""
    p = np.clip((y * n_items + 2) / (n_items + 4), 0.0, 1.0)
    binomial = np.sqrt(p * (1 - p) / (n_items + 4))
    filled = np.where(np.isnan(se) & accuracy, binomial, se)
    return np.nan_to_num(filled, nan=0.0)
