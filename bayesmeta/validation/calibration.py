"""Simulation-based calibration: do posteriors hold the truth as often as they say."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from bayesmeta import defaults
from bayesmeta.data.dataset import Dataset
from bayesmeta.design.facts import Design, training_data
from bayesmeta.inference.graph import draw_prior
from bayesmeta.inference.refit import Refitter
from bayesmeta.model.predictor import (
    Array,
    Parameters,
    contrast_distribution,
    score_distribution,
)
from bayesmeta.model.spec import ModelSpec, build_design_for

JOINT = "log_likelihood"
"""What is ranked beside the parameters: the joint log density of all data, which sees what no
single parameter does (Modrák et al. 2023, https://doi.org/10.1214/23-BA1404)."""


_CHUNK = 10_000
"""Simulated sets of ranks that are held in memory at once."""


@dataclass(frozen=True, slots=True, eq=False)
class Ranks:
    """Ranks of one truth among the draws of the posterior given the scores that it made.

    Parameters
    ----------
    ranks
        By the name of the parameter, in its own shape; each from 0 to `n_draws`.
    n_draws
        Number of thinned draws.
    n_divergences
        Divergent transitions.
    """

    ranks: dict[str, NDArray[np.int64]]
    n_draws: int
    n_divergences: int


class Calibrator:
    """A model compiled once, to be fitted to data sets that it makes itself.

    Truths come from the prior, scores and contrasts of experiments from the numpy model given
    them, with the real LMs, arms, benchmarks, standard errors and gaps; the rank of a truth among
    draws given its data is uniform if sampler, graph and numpy model agree (Talts et al. 2018,
    https://doi.org/10.48550/arXiv.1804.06788). What a design reads off recorded scores, such as
    floors and centres, stays as it is: otherwise the prior would depend on the data.

    Parameters
    ----------
    dataset
        Validated tables; only the scores' values are replaced.
    spec
        The model.
    n
        Number of truths to draw from the prior.
    seed
        Seed of the truths, and with the number of a truth of all that follows from it.

    Examples
    --------
    >>> import bayesmeta as bm
    >>> spec = bm.ModelSpec(decisions=(), family_effects="none", interactions="none")
    >>> calibrator = Calibrator(bm.load_dataset(experiments=False), spec=spec, n=2, seed=1)
    >>> found = calibrator.rank(0, tune=20, draws=20, thin=2)
    >>> found.n_draws, found.ranks["alpha"].shape
    (20, (13,))
    """

    def __init__(self, dataset: Dataset, *, spec: ModelSpec, n: int, seed: int) -> None:
        self.spec, self.seed = spec, seed
        self.design = build_design_for(dataset, spec=spec)
        self._refitter = Refitter(dataset, spec=spec, warm=False)
        drawn = draw_prior(dataset, spec, draws=n, seed=seed)["posterior"].to_dataset()
        prior = drawn.transpose("chain", "draw", ...)
        self.truths: Parameters = {
            name: np.asarray(prior[name], float)[0] for name in self._refitter.names
        }

    def simulate(self, k: int) -> Design:
        """Simulate the scores of a truth and, where there are any, the contrasts of experiments."""
        truth = {name: values[k] for name, values in self.truths.items()}
        seeds = np.random.SeedSequence((self.seed, k)).generate_state(2)
        law = score_distribution(truth, design=self.design, spec=self.spec)
        found = replace(
            self.design, outcomes=replace(self.design.outcomes, y=law.draw(int(seeds[0])))
        )
        contrasts = self.design.contrasts
        if contrasts is None:
            return found
        law = contrast_distribution(truth, contrasts=contrasts, spec=self.spec)
        return replace(found, contrasts=replace(contrasts, y=law.draw(int(seeds[1]))))

    def rank(
        self,
        k: int,
        *,
        chains: int = defaults.CALIBRATION_CHAINS,
        tune: int = defaults.CALIBRATION_TUNE,
        draws: int = defaults.CALIBRATION_DRAWS,
        thin: int = defaults.CALIBRATION_THIN,
    ) -> Ranks:
        """Fit the scores of a truth, on one core, and rank the truth.

        Parameters
        ----------
        k
            Number of the truth.
        chains, tune, draws
            Chains, and warm-up and kept draws of each.
        thin
            Every so many draws one is ranked against, so that they are nearly independent.

        Returns
        -------
        Ranks
            Ranks of all parameters and of the joint log density.
        """
        design = self.simulate(k)
        made = training_data(design)
        tree = self._refitter.sample(
            {name: made[name] for name in ("data_y", "data_contrast_y") if name in made},
            chains=chains,
            tune=tune,
            draws=draws,
            seed=self.seed + k,
        )
        posterior = tree["posterior"].to_dataset().transpose("chain", "draw", ...)
        kept: dict[str, Array] = {}
        for name in self.truths:
            values = np.asarray(posterior[name], float)[:, thin - 1 :: thin]
            kept[name] = values.reshape(-1, *values.shape[2:])
        truth = {name: values[k] for name, values in self.truths.items()}
        ranks = {name: (kept[name] < truth[name]).sum(axis=0) for name in self.truths}
        joint, true_joint = (self._log_likelihood(one, design) for one in (kept, truth))
        ranks[JOINT] = (joint < true_joint).sum(axis=0)
        return Ranks(
            ranks={name: np.asarray(rank, np.int64) for name, rank in ranks.items()},
            n_draws=len(joint),
            n_divergences=int(np.sum(tree["sample_stats"]["diverging"].to_numpy())),
        )

    def _log_likelihood(self, parameters: Parameters, design: Design) -> Array:
        """Joint log density of scores and contrasts, shape (...)."""
        laws = [score_distribution(parameters, design=design, spec=self.spec)]
        if design.contrasts is not None:
            laws.append(
                contrast_distribution(parameters, contrasts=design.contrasts, spec=self.spec)
            )
        return np.sum([law.log_density().sum(axis=-1) for law in laws], axis=0)


def uniformity(
    ranks: NDArray[np.int64], *, n_draws: int, simulations: int = 100_000, seed: int = defaults.SEED
) -> Array:
    """Compute how probable ranks so far from uniform are, were they uniform.

    The distance is that of simultaneous envelopes of empirical distributions: the smallest
    two-sided binomial tail over all ranks (Säilynoja et al. 2022,
    https://doi.org/10.1007/s11222-022-10090-6). An empirical distribution leaves its 99 % envelope
    where this is below 0.01.

    Parameters
    ----------
    ranks
        Ranks from 0 to `n_draws`, shape (truth, ...).
    n_draws
        Number of draws that truths were ranked among.
    simulations
        Sets of uniform ranks that distances are compared with.
    seed
        Seed of these.

    Returns
    -------
    ndarray
        Probabilities, shape (...); below 1 / simulations they are upper bounds.

    Examples
    --------
    >>> even = np.arange(200) % 101
    >>> bool(uniformity(even, n_draws=100, simulations=1000) > 0.9)
    True
    >>> bool(uniformity(even // 2, n_draws=100, simulations=1000) < 0.01)
    True
    """
    n, flat = len(ranks), ranks.reshape(len(ranks), -1).T
    found = _distance(flat, tail=_tail(n, n_draws))
    chance = _chance(n, n_draws, simulations, seed)
    as_far = np.searchsorted(chance, found, side="right")
    probability = (as_far + 1) / (simulations + 1)
    # Further out than any simulated set the sum of the tails of all ranks bounds the probability.
    bound = np.minimum(probability, n_draws * found)
    return np.where(as_far == 0, bound, probability).reshape(ranks.shape[1:])


def _tail(n: int, n_draws: int) -> Array:
    """Two-sided binomial tails of the count of truths up to a rank, shape (count, rank)."""
    from scipy.stats import binom

    places, counts = np.arange(1, n_draws + 1) / (n_draws + 1), np.arange(n + 1)[:, None]
    return 2 * np.minimum(binom.cdf(counts, n, places), binom.sf(counts - 1, n, places))


def _distance(flat: NDArray[np.int64], *, tail: Array) -> Array:
    """Find the smallest tail of every row of ranks, shape (row,)."""
    n_draws = tail.shape[1]
    rows = np.repeat(np.arange(len(flat)), flat.shape[1])
    histogram = np.zeros((len(flat), n_draws + 1), np.int64)
    np.add.at(histogram, (rows, flat.ravel()), 1)
    below = np.cumsum(histogram, axis=1)[:, :-1]
    return tail[below, np.arange(n_draws)].min(axis=1)


@lru_cache(maxsize=8)
def _chance(n: int, n_draws: int, simulations: int, seed: int) -> Array:
    """Distances of uniform ranks, in order."""
    rng, tail = np.random.default_rng(seed), _tail(n, n_draws)
    sizes = np.diff(np.r_[0:simulations:_CHUNK, simulations])
    drawn = (rng.integers(0, n_draws + 1, size=(size, n)) for size in sizes)
    return np.sort(np.concatenate([_distance(flat, tail=tail) for flat in drawn]))
