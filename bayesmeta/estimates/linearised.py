"""The model as a Gaussian regression about its posterior means: what a part of the data says.

Given its variances, and with every link replaced by its tangent at the posterior mean, the model is
a Gaussian regression (the working responses of iteratively reweighted least squares: Green 1984,
https://doi.org/10.1111/j.2517-6161.1984.tb01288.x). What an effect would be without one family, or
from differences within families alone, is then a matter of linear algebra instead of a refit.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from bayesmeta.estimates.counterfactual import read_baseline, read_latent, side_change, slopes_at
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


@dataclass(frozen=True, slots=True, eq=False)
class Level:
    """What the effects of groups of one kind take off the precision of the responses.

    Parameters
    ----------
    group
        Group of every response, shape (obs,), members next to each other.
    columns
        Their outer product within every group is taken off, shape (obs, effect).
    roots
        Of the covariance of every group's effects given its responses and the effects of larger
        groups, shape (group with responses, effect, effect).
    parts
        Where the responses of each of these groups lie.
    """

    group: NDArray[np.int64]
    columns: Array
    roots: Array
    parts: list[slice]


@dataclass(frozen=True, slots=True, eq=False)
class Precision:
    """Inverse covariance of responses whose groups share effects, of groups within groups.

    It is that of their noise less what each group's effects have in common, by the identity of
    Woodbury: what it costs grows with the number of effects, and nothing is as large as its square.

    Parameters
    ----------
    weight
        Inverse variance of the noise, shape (obs,).
    levels
        From the smallest groups to the largest.

    Examples
    --------
    >>> one_group, columns = np.zeros(2, int), np.ones((2, 1))
    >>> Precision(np.ones(2)).add_effects(columns, one_group).times(np.eye(2)).round(3)
    array([[ 0.667, -0.333],
           [-0.333,  0.667]])
    """

    weight: Array
    levels: tuple[Level, ...] = ()

    def times(self, values: Array) -> Array:
        """Multiply rows by it, shape (..., obs)."""
        found = values * self.weight
        for level in self.levels:
            for part in level.parts:
                own = level.columns[part]
                found[..., part] -= (values[..., part] @ own) @ own.T
        return found

    def block(self, rows: NDArray[np.int64]) -> Array:
        """Give its rows and columns of some responses, shape (row, row)."""
        found = np.diag(self.weight[rows])
        for level in self.levels:
            same = level.group[rows, None] == level.group[rows]
            found -= (level.columns[rows] @ level.columns[rows].T) * same
        return found

    def add_effects(self, columns: Array, group: NDArray[np.int64]) -> Precision:
        """Let the responses of every group, shape (obs,), share effects too.

        Their prior variances are one and their columns, shape (obs, effect), are used up.
        """
        explained, n_effects = self.times(columns.T).T, columns.shape[1]
        parts = [slice(*ends) for ends in pairwise([*_starts(group).tolist(), len(group)])]
        roots = np.empty((len(parts), n_effects, n_effects))
        for part, root in zip(parts, roots, strict=True):
            own = columns[part]
            information = np.eye(n_effects) + own.T @ explained[part]
            root[:] = np.linalg.inv(np.linalg.cholesky(information)).T
            np.matmul(explained[part], root, out=own)
        return Precision(self.weight, (*self.levels, Level(group, columns, roots, parts)))


def _starts(group: NDArray[np.int64]) -> NDArray[np.int64]:
    """Find where each group begins whose members are next to each other."""
    return np.flatnonzero(np.diff(group, prepend=-1))


@dataclass(frozen=True, eq=False)
class Linearised:
    """A Gaussian regression that stands for a fit.

    An effect is asked for by its `change`, how far it moves the first coefficients, shape (k,), and
    by `weights` of the benchmarks, shape (..., benchmark), which sum to one; with several rows of
    weights every answer has their leading axes.

    Parameters
    ----------
    response
        Latent values that the scores stand for, shape (obs,), those of a task family next to each
        other, in it those of a benchmark, and in it those of a family.
    noise
        Variance of their noise, shape (obs,).
    columns
        Columns of all coefficients, shape (obs, coefficient): the free ones of the decisions, those
        of the functions of the code share, of the surface, of the scale covariates, of a scaling
        law, and of families' mean scale.
    variance
        Prior variance of every coefficient: what all benchmarks share, deviations of task families
        and of benchmarks, shape (3, coefficient).
    build_effects
        Builds the columns of other effects on one of these three levels, for prior variances of
        one: of LMs, families and intercepts, each of shape (obs, effect).
    lm, family, benchmark
        What every score belongs to, each of shape (obs,).
    task
        Task family of every benchmark, shape (benchmark,).
    n_families
        Number of LM families.
    """

    response: Array
    noise: Array
    columns: Array
    variance: Array
    build_effects: Callable[[int], Iterable[Array]]
    lm: NDArray[np.int64]
    family: NDArray[np.int64]
    benchmark: NDArray[np.int64]
    task: NDArray[np.int64]
    n_families: int

    def columns_of_level(self, level: int) -> Array:
        """Columns of all effects on a level, for prior variances of one, shape (obs, effect)."""
        scale = np.sqrt(self.variance[level])
        return np.hstack([self.columns * scale, *self.build_effects(level)])

    @property
    def levels(self) -> tuple[NDArray[np.int64], ...]:
        """Groups that share the effects of each level, shape (obs,): all, task families, own."""
        return np.zeros_like(self.benchmark), self.task[self.benchmark], self.benchmark

    @cached_property
    def precision(self) -> Precision:
        """Inverse of the prior covariance of the responses, with their noise."""
        found = Precision(1 / self.noise)
        for level, group in reversed(list(enumerate(self.levels))):
            found = found.add_effects(self.columns_of_level(level), group)
        return found

    @cached_property
    def _solved(self) -> dict[tuple[object, ...], tuple[Array, Array]]:
        return {}

    def _solve(self, change: Array, weights: Array) -> tuple[Array, Array]:
        """Say what an effect gains by each response, (..., obs), and what variance it keeps, (...).

        The last ones are kept: what parts of the data say of an effect starts from them.
        """
        asked = change.tobytes(), weights.shape, weights.tobytes()
        if asked not in self._solved:
            self._solved.clear()
            self._solved[asked] = self._condition(self._padded(change), self._scales(weights))
        return self._solved[asked]

    def _condition(self, moved: Array, scales: tuple[Array, ...]) -> tuple[Array, Array]:
        """Regress an effect on the responses, its own part first, then those of larger groups.

        Of each part that counts which the smaller groups do not know yet; variances are sums of
        squares, not differences, which would lose digits where the prior is wide.
        """
        gain = np.zeros((*scales[0].shape[:-1], len(self.response)))
        before, left = np.zeros_like(gain), np.zeros(gain.shape[:-1])
        by_size = zip(self.precision.levels, self.variance[::-1], scales[::-1], strict=True)
        for level, variance, scale in by_size:
            vector, told = moved * np.sqrt(variance), level.group[_starts(level.group)]
            found = scale[..., told, None] * (vector @ level.roots[:, : len(vector)])
            for k, part in enumerate(level.parts):
                own = level.columns[part]
                found[..., k, :] -= before[..., part] @ own
                gain[..., part] += found[..., k, :] @ own.T
            rest = np.square(np.delete(scale, told, axis=-1)).sum(axis=-1)
            left += np.square(found).sum(axis=(-2, -1)) + rest * (vector @ vector)
            before += scale[..., level.group] * (self.columns @ (variance * moved))
        return gain, left

    @cached_property
    def _sets(self) -> NDArray[np.int64]:
        """First score of every family on every benchmark, shape (set,)."""
        return _starts(self.family + self.n_families * self.benchmark)

    @property
    def _sizes(self) -> NDArray[np.int64]:
        """Number of scores of every family on every benchmark, shape (set,)."""
        return np.diff(self._sets, append=len(self.response))

    @cached_property
    def _within(self) -> Linearised:
        """The regression of differences from families' means on every benchmark.

        With means weighted as the noise weighs them, it says what a flat prior over them would.
        """
        weight, sizes = 1 / self.noise, self._sizes
        total = np.add.reduceat(weight, self._sets)

        def center(values: Array) -> Array:
            sums = np.add.reduceat((values.T * weight).T, self._sets)
            means = np.repeat((sums.T / total).T, sizes, axis=0)
            return np.subtract(values, means, out=means)

        return self._change_rows(center)

    @cached_property
    def _between(self) -> Linearised:
        """The regression of families' mean responses on every benchmark, one for a family."""
        first, sizes = self._sets, self._sizes

        def average(values: Array) -> Array:
            return (np.add.reduceat(values, first).T / sizes).T

        return replace(
            self._change_rows(average),
            noise=average(self.noise) / sizes,
            lm=self.lm[first],
            family=self.family[first],
            benchmark=self.benchmark[first],
        )

    def _change_rows(self, change: Callable[[Array], Array]) -> Linearised:
        """Change the rows of the responses and of all columns, shape (obs, ...), in one way."""
        return replace(
            self,
            response=change(self.response),
            columns=change(self.columns),
            build_effects=lambda level: map(change, self.build_effects(level)),
        )

    @cached_property
    def _blocks(self) -> list[tuple[int, NDArray[np.int64], Array]]:
        """Scores of every family, and the inverse of their block of the precision."""
        found = []
        for k in np.unique(self.family):
            rows = np.flatnonzero(self.family == k)
            found.append((int(k), rows, np.linalg.inv(self.precision.block(rows))))
        return found

    def _padded(self, change: Array) -> Array:
        """Fill a change up: what is not named does not change."""
        return np.pad(change, (0, self.columns.shape[1] - len(change)))

    def _scales(self, weights: Array) -> tuple[Array, ...]:
        """Weights of what all share, of task families and of benchmarks, shape (..., group)."""
        by_task = weights @ (self.task[:, None] == np.arange(self.task.max() + 1))
        return np.ones((*weights.shape[:-1], 1)), by_task, weights

    def prior_variance(self, change: Array, *, weights: Array) -> Array:
        """Prior variance of an effect, its scales as learned."""
        variances = self.variance @ np.square(self._padded(change))
        squares = (np.square(scale).sum(axis=-1) for scale in self._scales(weights))
        return sum(map(np.multiply, variances, squares), np.zeros(weights.shape[:-1]))

    def estimate(self, change: Array, *, weights: Array) -> Estimate:
        """Estimate an effect from all data."""
        gain, left = self._solve(change, weights)
        return Estimate(gain @ self.response, sd=np.sqrt(left))

    def estimate_within(self, change: Array, *, weights: Array) -> Estimate:
        """Estimate an effect as if nothing were known of the mean of any family."""
        return self._within.estimate(change, weights=weights)

    def estimate_between(self, change: Array, *, weights: Array) -> Estimate:
        """Estimate an effect as if nothing were known of differences within families."""
        return self._between.estimate(change, weights=weights)

    def without_each_family(self, change: Array, *, weights: Array) -> Estimate:
        """Estimate an effect without each LM family in turn, shape (..., lm_family)."""
        (gain, left), explained = self._solve(change, weights), self.precision.times(self.response)
        whole = np.ones(self.n_families)
        mean, variance = (
            np.multiply.outer(gain @ self.response, whole),
            np.multiply.outer(left, whole),
        )
        for k, rows, inverse in self._blocks:
            lost = gain[..., rows] @ inverse
            mean[..., k] -= lost @ explained[rows]
            variance[..., k] += (lost * gain[..., rows]).sum(axis=-1)
        return Estimate(mean, sd=np.sqrt(variance))

    def given(self, rows: NDArray[np.bool_]) -> Linearised:
        """Give the regression of some of the scores, shape (obs,), alone."""
        return replace(
            self._change_rows(lambda values: values[rows]),
            noise=self.noise[rows],
            lm=self.lm[rows],
            family=self.family[rows],
            benchmark=self.benchmark[rows],
        )

    def pulls(self, change: Array, *, weights: Array) -> Array:
        """How strongly every LM pulls on an effect: length of its scores' weights, (..., lm)."""
        squares = np.square(self._solve(change, weights)[0])
        flat = squares.reshape(-1, len(self.lm))
        sums = np.array([np.bincount(self.lm, weights=row) for row in flat])
        return np.sqrt(sums.reshape(*squares.shape[:-1], -1))


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
    return slopes_at(read_latent(fit).mean(axis=(0, 1)) + moved, design=fit.design)


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
    lm, benchmark = design.outcomes.lm_index, design.outcomes.benchmark_index
    family, task = design.lm_family_index[lm], design.task_family_index
    order = np.lexsort((family, benchmark, task[benchmark]))
    lm, benchmark = lm[order], benchmark[order]
    response, noise = _working_responses(fit)
    effects = _list_effects(mean, design=design, spec=spec)

    def build_effects(level: int) -> Iterator[Array]:
        for scale, columns in effects[level]:
            built = columns[lm]
            built *= scale[benchmark, None]  # in place: it is large where scores are many
            yield built

    return Linearised(
        response=response[order],
        noise=noise[order],
        columns=_columns(fit, facts)[order],
        variance=prior_variances(fit.parameters, mean, design=design, spec=spec),
        build_effects=build_effects,
        lm=lm,
        family=family[order],
        benchmark=benchmark,
        task=task,
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


def _list_effects(
    mean: Parameters, *, design: Design, spec: ModelSpec
) -> tuple[list[tuple[Array, Array]], ...]:
    """List effects that all benchmarks share, or those of a task family, or of none other.

    Each as its scale on every benchmark, shape (benchmark,), and its columns, shape (lm, effect).
    """
    n_lms, basis = len(design.lms), design.scale_basis
    basis = basis if spec.family_effects == "orthogonal" else basis[:, :1]
    projection = np.eye(n_lms) - basis @ basis.T
    shared = [(np.sqrt(mean["rho_lm"]) * mean["sigma"], projection)]
    own = [(np.full(len(design.benchmarks), spec.priors.alpha_sd), np.ones((n_lms, 1)))]
    if spec.family_effects == "none":
        return shared, [], own
    member = design.lm_family_index[:, None] == np.arange(len(design.lm_families))
    families, rho, tau = projection @ member, mean["rho_family"], mean["tau_family"]
    shared.append((np.sqrt(rho) * tau, families))
    return shared, [(np.sqrt(1 - rho) * tau, families)], own
