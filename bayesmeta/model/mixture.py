"""Choices that are summed out, in numpy: the scores behind them, by configuration."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bayesmeta.design import Design

__all__ = ["Mixture", "choose_configurations", "expected_choices"]


@dataclass(frozen=True, slots=True, eq=False)
class Mixture:
    """The scores behind undisclosed choices, and the configurations that these may be.

    Configurations are the first axis of every array, so that draws broadcast.

    Parameters
    ----------
    rows, record, train
        Position of every score, its record, and whether it is learned from, shape (hidden,).
    shift
        Change of the matrix, shape (record, configuration, term).
    log_weight
        Log prior probabilities, shape (record, configuration).
    """

    rows: NDArray[np.int64]
    record: NDArray[np.int64]
    train: NDArray[np.bool_]
    shift: NDArray[np.float64]
    log_weight: NDArray[np.float64]

    @classmethod
    def of(cls, design: Design) -> Mixture:
        """Pick the scores of a design that has undisclosed choices to sum out."""
        assert design.unknown is not None
        record = design.record_of_scores
        rows = np.flatnonzero(record >= 0)
        return cls(
            rows=rows,
            record=record[rows],
            train=design.outcomes.train[rows],
            shift=design.unknown.shift,
            log_weight=design.unknown.log_weight,
        )

    def change(self, beta: NDArray[np.float64], *, b: NDArray[np.int64]) -> NDArray[np.float64]:
        """Compute what a configuration adds to latent values, (configuration, ..., hidden).

        `beta` has shape (..., term, benchmark); `b` is every score's benchmark.
        """
        by_record = np.einsum("gkt,...tb->k...gb", self.shift, np.asarray(beta, float))
        return by_record[..., self.record, b]

    def weight_of_scores(self, weight: NDArray[np.float64]) -> NDArray[np.float64]:
        """Give every score the weights (..., record, configuration) of its record."""
        return np.moveaxis(np.asarray(weight, float), -1, 0)[..., self.record]

    def log_weight_by_others(self, density: NDArray[np.float64]) -> NDArray[np.float64]:
        """Weigh the configurations of every score by its record's other scores.

        Parameters
        ----------
        density
            Log densities of the scores, shape (configuration, ..., hidden).

        Returns
        -------
        ndarray
            Log probabilities, the shape of `density`; only scores that the model learns from
            count.
        """
        counted = density * self.train
        total = counted @ (self.record[:, None] == np.arange(len(self.log_weight)))
        draws = tuple(range(1, density.ndim - 1))
        joint = (np.expand_dims(self.log_weight.T, draws) + total)[..., self.record] - counted
        return joint - np.logaddexp.reduce(joint, axis=0)


def expected_choices(weight: NDArray[np.float64], *, design: Design) -> NDArray[np.float64]:
    """Average the configurations of every undisclosed lm.

    Parameters
    ----------
    weight
        Probabilities, shape (..., record, configuration).
    design
        Arrays and coordinates.

    Returns
    -------
    ndarray
        What to add to the rows of the matrix, shape (..., undisclosed lm, term).
    """
    assert design.unknown is not None
    average = np.einsum("...gk,gkt->...gt", weight, design.unknown.shift)
    return average[..., design.unknown.record, :]


def choose_configurations(
    weight: NDArray[np.float64], *, rng: np.random.Generator
) -> NDArray[np.float64]:
    """Draw one configuration of every record: weights of zero and one, the shape of `weight`."""
    weight = np.asarray(weight, float)
    level = np.cumsum(weight, axis=-1) / weight.sum(axis=-1, keepdims=True)
    chosen = (rng.random((*weight.shape[:-1], 1)) > level).sum(axis=-1)
    return np.eye(weight.shape[-1])[np.minimum(chosen, weight.shape[-1] - 1)]
