"""The model as a Gaussian regression about its posterior means: what a part of the data says.

Given its variances, and with every link replaced by its tangent at the posterior mean, the model is
a Gaussian regression (the working responses of iteratively reweighted least squares: Green 1984,
https://doi.org/10.1111/j.2517-6161.1984.tb01288.x). What an effect would be without one family, or
from differences within families alone, is then a matter of linear algebra instead of a refit.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from bayesmeta.estimates.counterfactual import read_baseline, side_change, slopes_at
from bayesmeta.model.predictor import (
    Array,
    build_columns,
    combine,
    complete_facts,
    list_centers,
    list_coefficients,
    multiply,
    prior_variances,
    score_moments,
)

if TYPE_CHECKING:
    from bayesmeta.design.facts import Design, Facts
    from bayesmeta.estimates.question import Sizes, Statement
    from bayesmeta.inference.fits import Fit
    from bayesmeta.model.predictor import Parameters
    from bayesmeta.model.spec import ModelSpec


@dataclass(frozen=True, slots=True, eq=False)
class Estimate:
    """Latent effects and their standard deviations.

    Parameters
    ----------
    mean, sd
        On the latent scale, both of the same shape.
    """

    mean: Array
    sd: Array


@dataclass(frozen=True, eq=False)
class Linearised:
    """A Gaussian regression that stands for a fit.

    An effect is asked for by its `change`, how far it moves the first coefficients, shape (k,), and
    by `weights` of the benchmarks, shape (..., benchmark), which sum to one; with several rows of
    weights every answer has their leading axes.

    Parameters
    ----------
    response
        Latent values that the scores stand for, shape (obs,).
    columns
        Columns of all coefficients, shape (obs, coefficient): the free ones of the decisions, those
        of the functions of the code share, of the surface, of the scale covariates, of a scaling
        law, and of families' mean scale.
    variance
        Prior variance of every coefficient: what all benchmarks share, deviations of task families
        and of benchmarks, shape (3, coefficient).
    build_covariance
        Builds the prior covariance of the responses, with their noise, shape (obs, obs).
    lm, family, benchmark
        What every score belongs to, each of shape (obs,).
    task
        Task family of every benchmark, shape (benchmark,).
    n_families
        Number of LM families.
    """

    response: Array
    columns: Array
    variance: Array
    build_covariance: Callable[[], Array]
    lm: NDArray[np.int64]
    family: NDArray[np.int64]
    benchmark: NDArray[np.int64]
    task: NDArray[np.int64]
    n_families: int

    @cached_property
    def covariance(self) -> Array:
        """Prior covariance of the responses, with their noise, shape (obs, obs).

        It is built when it is first needed: with ten times the scores it takes a gigabyte.
        """
        return self.build_covariance()

    @cached_property
    def whitening(self) -> Array:
        """Inverse of the Cholesky factor of the covariance of the responses, shape (obs, obs).

        Its square is the precision, whose computation pays where much is asked at once.
        """
        return _invert_lower(np.linalg.cholesky(self.covariance))

    @cached_property
    def precision(self) -> Array:
        """Inverse of the covariance of the responses, shape (obs, obs)."""
        return self.whitening.T @ self.whitening

    def _gain(self, covariance: Array) -> Array:
        """Regress quantities on the responses, by their covariance with them, shape (..., obs)."""
        if covariance.ndim > 1 and len(covariance) > _FEW:
            return covariance @ self.precision
        return (covariance @ self.whitening.T) @ self.whitening

    @cached_property
    def _solved(self) -> dict[tuple[object, ...], tuple[Array, Array]]:
        return {}

    def _solve(self, change: Array, weights: Array) -> tuple[Array, Array]:
        """Covariance of an effect with the responses, and what it gains by each, (..., obs).

        The last ones are kept: what parts of the data say of an effect starts from them.
        """
        asked = change.tobytes(), weights.shape, weights.tobytes()
        if asked not in self._solved:
            covariance = self._with_responses(change, weights=weights)
            self._solved.clear()
            self._solved[asked] = covariance, self._gain(covariance)
        return self._solved[asked]

    @cached_property
    def _means(self) -> tuple[Array, Array]:
        """What takes the means of families out of the precision.

        The precision summed over the scores of a family on a benchmark, shape (sum, obs); and the
        inverse of the precision of these sums, shape (sum, sum).
        """
        sums = self._of_groups(self.whitening, axis=1)
        return sums.T @ self.whitening, np.linalg.inv(sums.T @ sums)

    @cached_property
    def _family_means(self) -> Linearised:
        """The regression of families' mean responses on every benchmark, one for a family."""
        group, first = self._group, np.unique(self._group, return_index=True)[1]
        size = np.bincount(group)

        def build_covariance() -> Array:
            summed = self._of_groups(self._of_groups(self.covariance, axis=1))
            return summed / np.outer(size, size)

        return Linearised(
            response=self._of_groups(self.response) / size,
            columns=self._of_groups(self.columns) / size[:, None],
            variance=self.variance,
            build_covariance=build_covariance,
            lm=self.lm[first],
            family=self.family[first],
            benchmark=self.benchmark[first],
            task=self.task,
            n_families=self.n_families,
        )

    @cached_property
    def _blocks(self) -> list[tuple[int, NDArray[np.int64], Array]]:
        """Scores of every family, and the inverse of their block of the precision."""
        found = []
        for k in np.unique(self.family):
            rows = np.flatnonzero(self.family == k)
            own = self.whitening[rows[0] :, rows]
            found.append((int(k), rows, np.linalg.inv(own.T @ own)))
        return found

    @cached_property
    def _group(self) -> NDArray[np.int64]:
        """Number of the family and benchmark of every score, shape (obs,)."""
        pairs = self.family * len(self.task) + self.benchmark
        return np.unique(pairs, return_inverse=True)[1]

    @cached_property
    def _sorted_groups(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Scores in the order of their groups, and where each group begins."""
        order = np.argsort(self._group, kind="stable")
        return order, np.unique(self._group[order], return_index=True)[1]

    def _of_groups(self, values: Array, *, axis: int = 0) -> Array:
        """Sum over the scores of every family on every benchmark."""
        order, starts = self._sorted_groups
        return np.add.reduceat(np.take(values, order, axis=axis), starts, axis=axis)

    def _padded(self, change: Array) -> Array:
        """Fill a change up: what is not named does not change."""
        return np.pad(change, (0, self.columns.shape[1] - len(change)))

    def _by_task(self, weights: Array) -> Array:
        """Sum weights of benchmarks over task families, shape (..., task)."""
        return weights @ (self.task[:, None] == np.arange(self.task.max() + 1))

    def prior_variance(self, change: Array, *, weights: Array) -> Array:
        """Prior variance of an effect, its scales as learned."""
        shared, of_task, own = self.variance @ np.square(self._padded(change))
        by_task = np.square(self._by_task(weights)).sum(axis=-1)
        return shared + of_task * by_task + own * np.square(weights).sum(axis=-1)

    def estimate(self, change: Array, *, weights: Array) -> Estimate:
        """Estimate an effect from all data."""
        return self._estimate(*self._solve(change, weights), change, weights)

    def estimate_within(self, change: Array, *, weights: Array) -> Estimate:
        """Estimate an effect as if nothing were known of the mean of any family."""
        (covariance, gain), (sums, inverse) = self._solve(change, weights), self._means
        gain = gain - (self._of_groups(gain, axis=-1) @ inverse) @ sums
        return self._estimate(covariance, gain, change, weights)

    def estimate_between(self, change: Array, *, weights: Array) -> Estimate:
        """Estimate an effect as if nothing were known of differences within families."""
        return self._family_means.estimate(change, weights=weights)

    def _estimate(self, covariance: Array, gain: Array, change: Array, weights: Array) -> Estimate:
        """Estimate an effect by its covariance with the responses and what it gains by each."""
        variance = self.prior_variance(change, weights=weights) - (gain * covariance).sum(axis=-1)
        return Estimate(gain @ self.response, sd=np.sqrt(np.maximum(variance, 0.0)))

    def without_each_family(self, change: Array, *, weights: Array) -> Estimate:
        """Estimate an effect without each LM family in turn, shape (..., lm_family)."""
        (covariance, gain), explained = self._solve(change, weights), self._gain(self.response)
        left = self.prior_variance(change, weights=weights) - (gain * covariance).sum(axis=-1)
        whole = np.ones(self.n_families)
        mean, variance = (
            np.multiply.outer(gain @ self.response, whole),
            np.multiply.outer(left, whole),
        )
        for k, rows, inverse in self._blocks:
            lost = gain[..., rows] @ inverse
            mean[..., k] -= lost @ explained[rows]
            variance[..., k] += (lost * gain[..., rows]).sum(axis=-1)
        return Estimate(mean, sd=np.sqrt(np.maximum(variance, 0)))

    def given(self, rows: NDArray[np.bool_]) -> Linearised:
        """Give the regression of some of the scores, shape (obs,), alone."""
        return replace(
            self,
            response=self.response[rows],
            columns=self.columns[rows],
            build_covariance=lambda: self.covariance[np.ix_(rows, rows)],
            lm=self.lm[rows],
            family=self.family[rows],
            benchmark=self.benchmark[rows],
        )

    def pulls(self, change: Array, *, weights: Array) -> Array:
        """How strongly every LM pulls on an effect: length of its scores' weights, (..., lm)."""
        squares = np.square(self._solve(change, weights)[1])
        return np.sqrt(squares @ (self.lm[:, None] == np.arange(self.lm.max() + 1)))

    def _with_responses(self, change: Array, *, weights: Array) -> Array:
        """Prior covariance of an effect with every response, shape (..., obs)."""
        by_task, moved, b = self._by_task(weights), self._padded(change), self.benchmark
        shared, of_task, own = (self.columns @ (variance * moved) for variance in self.variance)
        return shared + of_task * by_task[..., self.task[b]] + own * weights[..., b]


_FEW = 4
"""Effects for which the precision is not worth computing."""

_SMALL = 64
"""Rows of a triangle that is inverted as a whole."""


def _invert_lower(lower: Array) -> Array:
    """Invert a lower triangular matrix, half by half, in a third of the operations of any other."""
    n = len(lower)
    if n <= _SMALL:
        return np.tril(np.linalg.inv(lower))
    half, out = n // 2, np.zeros((n, n))
    out[:half, :half] = _invert_lower(lower[:half, :half])
    out[half:, half:] = _invert_lower(lower[half:, half:])
    out[half:, :half] = -out[half:, half:] @ (lower[half:, :half] @ out[:half, :half])
    return out


@lru_cache(maxsize=2)
def posterior_means(fit: Fit) -> Parameters:
    """Average every parameter over the draws."""
    return {name: draws.mean(axis=(0, 1)) for name, draws in fit.parameters.items()}


@lru_cache(maxsize=2)
def facts_at_means(fit: Fit) -> Facts:
    """Give the facts of the LMs with missing ones at their posterior means."""
    base = read_baseline(fit)
    if _is_constant(base.columns):
        return base.facts
    return complete_facts(posterior_means(fit), design=fit.design)


def _is_constant(columns: Mapping[str, Array]) -> bool:
    """Say whether columns are the same in every draw: nothing that they stand on is estimated."""
    return all(values.ndim == 2 for values in columns.values())


def columns_at_means(fit: Fit, facts: Facts) -> Mapping[str, Array]:
    """Compute columns at facts without draws, a scaling law at its posterior means."""
    base = read_baseline(fit)
    if facts is base.facts and _is_constant(base.columns):
        return base.columns
    return build_columns(facts, parameters=posterior_means(fit))


@lru_cache(maxsize=4)
def mean_change(fit: Fit, statement: Statement, at: Sizes = ()) -> Mapping[str, Array]:
    """Say how far a statement moves every column, averaged over the LMs that it applies to.

    Parameters
    ----------
    fit, statement
        The fit, and what is compared.
    at
        Size and tokens that all LMs are given.

    Returns
    -------
    dict of ndarray
        Changes by block of coefficients (see `model.predictor`), each of shape (column,).
    """
    rows, whole = statement.applies(fit.design), read_baseline(fit).columns
    if _is_constant(whole) and not at:
        high, low = (side_change(fit, side) for side in statement.sides)
    else:
        facts = facts_at_means(fit).put(dict(at))
        high, low = (columns_at_means(fit, side.of(facts)) for side in statement.sides)

    def average(name: str) -> Array:
        still = np.zeros(whole[name].shape[-2:])
        up, down = (side.get(name, still)[rows] for side in (high, low))
        return (up - down).mean(axis=0)

    return {name: average(name) for name in whole}


@lru_cache(maxsize=4)
def slopes_of_sizes(fit: Fit, at: Sizes) -> Array:
    """Points that a small latent effect is worth on benchmarks to LMs of a size, (benchmark,)."""
    facts = facts_at_means(fit)
    old, new = (columns_at_means(fit, one) for one in (facts, facts.put(dict(at))))
    change = {name: values - old[name] for name, values in new.items()}
    moved = multiply(change, list_coefficients(posterior_means(fit), design=fit.design))
    return slopes_at(read_baseline(fit).eta.mean(axis=(0, 1)) + moved, design=fit.design)


def latent_draws(fit: Fit, change: Mapping[str, Array]) -> Array:
    """Compute a latent effect on every benchmark in every draw, shape (chain, draw, benchmark)."""
    coefficients = list_coefficients(fit.parameters, design=fit.design)
    moved = multiply({name: row[None] for name, row in change.items()}, coefficients)
    if not isinstance(moved, np.ndarray):
        return np.zeros((*fit.shape, len(fit.design.benchmarks)))
    return moved[..., 0, :]


def to_free(design: Design, blocks: Mapping[str, Array]) -> Array:
    """Put columns, or a change of them, (..., column), into those of free coefficients.

    The effects of a decision's levels sum to zero, so that they have one coefficient fewer.
    """
    return np.concatenate(
        [values @ design.loading if name == "beta" else values for name, values in blocks.items()],
        axis=-1,
    )


@lru_cache(maxsize=2)
def linearise(fit: Fit) -> Linearised:
    """Replace a fit's model by the Gaussian regression at its posterior means.

    Parameters
    ----------
    fit
        A posterior.

    Returns
    -------
    Linearised
        Without uncertainty of scales, missing facts and the exponents of a scaling law.

    Examples
    --------
    >>> import bayesmeta as bm
    >>> linearise(bm.load_reference_fit()).response.shape
    (1105,)
    """
    return linearise_at(fit, facts_at_means(fit))


def linearise_at(fit: Fit, facts: Facts) -> Linearised:
    """Do so with other facts of the LMs than recorded ones and posterior means."""
    design, spec, mean = fit.design, fit.spec, posterior_means(fit)
    i, b = design.outcomes.lm_index, design.outcomes.benchmark_index
    response, noise = _working_responses(fit)
    columns = _columns(fit, facts)
    variance = prior_variances(fit.parameters, mean, design=design, spec=spec)

    def build_covariance() -> Array:
        covariance, of_task, own = ((columns * row) @ columns.T for row in variance)
        task = design.task_family_index[b]
        own += spec.priors.alpha_sd**2
        for level, same in (of_task, task[:, None] == task), (own, b[:, None] == b):
            level *= same
            covariance += level
        covariance += _family_covariance(mean, design=design, spec=spec)
        covariance[np.diag_indices_from(covariance)] += noise
        return covariance

    return Linearised(
        response=response,
        columns=columns,
        variance=variance,
        build_covariance=build_covariance,
        lm=i,
        family=design.lm_family_index[i],
        benchmark=b,
        task=design.task_family_index,
        n_families=len(design.lm_families),
    )


def _working_responses(fit: Fit) -> tuple[Array, Array]:
    """Latent values that the scores stand for, and the variance of their noise; both (obs,)."""
    design, mean = fit.design, posterior_means(fit)
    outcomes, b = design.outcomes, design.outcomes.benchmark_index
    columns = columns_at_means(fit, facts_at_means(fit))
    coefficients = list_coefficients(mean, design=design)
    eta = combine(columns, coefficients, mean, design=design, spec=fit.spec)
    latent = eta[outcomes.lm_index, b]
    mu, variance = score_moments(mean, latent, design=design)
    sd = np.sqrt(outcomes.se**2 + variance)
    p = 1 / (1 + np.exp(-latent))
    slope = np.where(
        outcomes.is_logistic[b], (1 - outcomes.floor[b]) * p * (1 - p), outcomes.spread[b]
    )
    residual, noise = (outcomes.y - mu) / slope, np.square(sd / slope)
    if fit.spec.likelihood != "normal":
        nu = 1 + mean["nu_beyond_one"]
        noise = noise * (nu + residual**2 / noise) / (nu + 1)
    return latent + residual, noise


def _columns(fit: Fit, facts: Facts) -> Array:
    """Centred columns of all that is pooled over benchmarks, shape (obs, coefficient)."""
    design = fit.design
    i, b = design.outcomes.lm_index, design.outcomes.benchmark_index
    columns = columns_at_means(fit, facts)
    centers = list_centers(columns, design=design)
    centred = {name: values[i] - centers[name][b] for name, values in columns.items()}
    if fit.spec.family_effects == "within-between" and design.between_terms:
        centred["between"] = design.between[i]
    return to_free(design, centred)


def _family_covariance(mean: Parameters, *, design: Design, spec: ModelSpec) -> Array:
    """Prior covariance that family and LM effects give the responses, shape (obs, obs)."""
    i, b = design.outcomes.lm_index, design.outcomes.benchmark_index
    basis = design.scale_basis
    basis = basis if spec.family_effects == "orthogonal" else basis[:, :1]
    projection = np.eye(len(design.lms)) - basis @ basis.T
    sigma = mean["sigma"][b]
    covariance = mean["rho_lm"] * np.outer(sigma, sigma) * projection[np.ix_(i, i)]
    if spec.family_effects == "none":
        return covariance
    family, task = design.lm_family_index, design.task_family_index[b]
    same = projection @ (family[:, None] == family) @ projection
    tau, rho = mean["tau_family"][b], mean["rho_family"]
    shared = rho + (1 - rho) * (task[:, None] == task)
    return covariance + np.outer(tau, tau) * shared * same[np.ix_(i, i)]
