"""Independent draws of a meta-analysis, without a Markov chain and without PyMC.

Given the heterogeneities, mean effect, coefficients and effects of groups and studies are normal
under normal errors, and are summed out in closed form. What is left, a few scales, is drawn by
adaptive importance sampling (Cornuet et al. 2012, https://doi.org/10.1111/j.1467-9469.2011.00756.x)
from a multivariate t, and the rest given them. The mean of the weights is the marginal likelihood.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from bayesmeta.errors import FitError
from bayesmeta.model.predictor import Array, Parameters
from bayesmeta.studies.event_counts import EventCounts, find_unbounded
from bayesmeta.studies.study_design import EffectDesign
from bayesmeta.studies.study_model import (
    EffectPriors,
    EffectSizeSpec,
    derive_priors,
    log_selection,
)

_DF = 5.0
"""Degrees of freedom of the proposals: heavier tails than a posterior of log scales has."""

_PILOT, _ROUNDS, _MOST_ROUNDS = 2000, 4, 40
"""Proposals of a round that adapts, and such rounds: at least, and where few proposals count."""

_ENOUGH = 0.1
"""Share of effective draws from which on proposals fit."""

_MOST_PROPOSALS = 64
"""Most proposals for each draw that is asked for."""

_CHUNK = 4_000_000
"""Numbers held at once."""

MOST_WORK = 5e5
"""Studies times squared number of normal unknowns, above which a Markov chain is faster."""


@dataclass(frozen=True, slots=True)
class ExactDraws:
    """Independent draws of a posterior.

    Parameters
    ----------
    parameters
        Draws by name, shape (draw, ...).
    log_density
        Log posterior density of the scales drawn, up to a constant, shape (draw,).
    log_marginal, mcse
        Log marginal likelihood, and its Monte Carlo standard error.
    """

    parameters: Parameters
    log_density: Array
    log_marginal: float
    mcse: float


class Marginal(Protocol):
    """A density of few unconstrained numbers, and how to draw all else given these."""

    start: Array
    spread: Array

    def log_density(self, points: Array) -> Array:
        """Log joint density of data and points of shape (point, number)."""
        ...

    def draw(self, points: Array, rng: np.random.Generator) -> Parameters:
        """Draw every parameter given points."""
        ...


def is_exact(design: EffectDesign, spec: EffectSizeSpec) -> bool:
    """Say whether independent draws can be had, and in little time."""
    unknowns = 1 + design.X.shape[1] + sum(len(level.labels) for level in design.groups)
    return spec.likelihood != "student-t" and len(design.y) * unknowns**2 <= MOST_WORK


def sample_exactly(
    design: EffectDesign, *, spec: EffectSizeSpec, draws: int, seed: int
) -> ExactDraws:
    """Draw from the posterior, independently.

    Parameters
    ----------
    design, spec
        The table and the model.
    draws
        Number of draws.
    seed
        Seed of the random numbers.

    Returns
    -------
    ExactDraws
        Draws of the parameters that the graph has.

    Raises
    ------
    FitError
        If the likelihood has no such form, or the proposals fit too badly.

    Examples
    --------
    >>> import pandas as pd
    >>> from bayesmeta.studies.study_design import build_effect_design
    >>> from bayesmeta.studies.study_table import read_effect_sizes
    >>> frame = pd.DataFrame({"trial": ["a", "b"], "yi": [0.1, 0.3], "sei": [0.1, 0.2]})
    >>> table = read_effect_sizes(frame, effect="yi", se="sei", study="trial")
    >>> found = sample_exactly(build_effect_design(table), spec=EffectSizeSpec(), draws=9, seed=1)
    >>> found.parameters["theta"].shape
    (9, 2)
    """
    rng = np.random.default_rng(seed)
    return draw_marginal(choose_marginal(design, spec), draws=draws, rng=rng)


def choose_marginal(design: EffectDesign, spec: EffectSizeSpec) -> Marginal:
    """Sum out what the likelihood allows."""
    priors = derive_priors(spec, design)
    if not spec.selection and design.counts is None:
        return NormalMarginal(design, spec, priors)
    if design.groups or design.covariance is not None:
        asked = "selection" if spec.selection else "likelihood 'binomial'"
        raise FitError(
            f"{asked} needs independent studies, and these are in groups or have correlated "
            "errors. Allowed: a table without groups, crossed and correlations. Leave out either."
        )
    return JointMarginal(design, spec, priors)


def draw_marginal(marginal: Marginal, *, draws: int, rng: np.random.Generator) -> ExactDraws:
    """Draw from a density by adaptive importance sampling and resampling."""
    center, root = marginal.start, np.diag(marginal.spread)
    for done in range(_MOST_ROUNDS if len(center) else 0):
        points, log_weight, _ = _propose(marginal, center, root, n=_PILOT, rng=rng)
        center, root = _fit(points, log_weight, center, root)
        if done + 1 >= _ROUNDS and _count_effective(log_weight) >= _ENOUGH * _PILOT:
            break
    n = 2 * draws
    while True:
        points, log_weight, log_density = _propose(marginal, center, root, n=n, rng=rng)
        weight = np.exp(log_weight - log_weight.max())
        effective = _count_effective(log_weight)
        if effective >= draws:
            break
        if n > _MOST_PROPOSALS * draws:
            raise FitError(
                f"independent draws are too rare: {effective:.0f} effective ones of {n}, and "
                f"{draws} are asked for. Allowed: fewer draws, or in bm.fit the sampler 'nutpie'."
            )
        center, root = _fit(points, log_weight, center, root)
        n *= 2
    # Systematic resampling: a proposal comes up as often as its weight says, or once more.
    ladder = (rng.random() + np.arange(draws)) / draws * weight.sum()
    chosen = rng.permutation(np.minimum(np.searchsorted(np.cumsum(weight), ladder), n - 1))
    return ExactDraws(
        marginal.draw(points[chosen], rng),
        log_density=log_density[chosen],
        log_marginal=float(log_weight.max() + np.log(weight.mean())),
        mcse=math.sqrt(max(0.0, 1 / effective - 1 / n)),
    )


def _count_effective(log_weight: Array) -> float:
    """Effective number of weighted draws."""
    weight = np.exp(log_weight - log_weight.max())
    return float(weight.sum() ** 2 / (weight**2).sum())


def _propose(
    marginal: Marginal, center: Array, root: Array, *, n: int, rng: np.random.Generator
) -> tuple[Array, Array, Array]:
    """Propose points from a multivariate t; give their log weights and log densities."""
    from scipy.special import gammaln

    d = len(center)
    z, chi = rng.standard_normal((n, d)), rng.chisquare(_DF, n) / _DF
    t = z / np.sqrt(chi)[:, None]
    points = center + t @ root.T
    log_proposal = -0.5 * (_DF + d) * np.log1p(np.square(t).sum(axis=1) / _DF)
    if d:
        log_proposal += gammaln((_DF + d) / 2) - gammaln(_DF / 2) - 0.5 * d * np.log(_DF * np.pi)
        log_proposal -= np.linalg.slogdet(root)[1]
    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
        log_density = marginal.log_density(points)
    log_density = np.where(np.isnan(log_density), -np.inf, log_density)
    if not np.isfinite(log_density - log_proposal).any():
        raise FitError(
            "no draw is possible: under these priors the data have no probability that a number "
            "could hold. Allowed: priors in the unit of the effects, and effects without "
            "outliers beyond all bounds. Widen the priors, or check the table."
        )
    return points, log_density - log_proposal, log_density


def _fit(points: Array, log_weight: Array, center: Array, root: Array) -> tuple[Array, Array]:
    """Move the proposals to the weighted mean and covariance; flattened weights while few count."""
    power = 1.0
    while True:
        weight = np.exp(power * (log_weight - log_weight.max()))
        weight /= weight.sum()
        if 1 / (weight**2).sum() >= 10 * (1 + len(center)) or power < 1e-12:
            break
        power /= 2
    mean = weight @ points
    off = points - mean
    covariance = (weight[:, None] * off).T @ off + 1e-10 * np.eye(len(center))
    return mean, np.linalg.cholesky(covariance)


@dataclass(slots=True)
class Scales:
    """Heterogeneities by their logarithms: that between studies first, where there is one."""

    design: EffectDesign
    spec: EffectSizeSpec
    priors: EffectPriors

    @property
    def has_tau(self) -> bool:
        """Whether studies differ."""
        return self.spec.tau != "none"

    @property
    def n(self) -> int:
        """Number of scales."""
        return int(self.has_tau) + len(self.design.groups)

    @property
    def start(self) -> Array:
        """Logs of where proposals start."""
        beyond = max(self.design.y.std(), self.priors.unit)
        return np.full(self.n, np.log(beyond) - 0.5)

    def split(self, points: Array) -> tuple[Array, Array, Array]:
        """Give tau, scales of groups, and log prior density of the logs."""
        values = np.exp(points)
        log_prior = (self.priors.tau_log_density(values) + points).sum(axis=1)
        if self.has_tau:
            return values[:, 0], values[:, 1:], log_prior
        return np.zeros(len(points)), values, log_prior

    def name(self, points: Array) -> Parameters:
        """Give the scales by name."""
        tau, groups, _ = self.split(points)
        found = {"tau": tau} if self.has_tau else {}
        return found | ({"tau_group": groups} if self.design.groups else {})


class NormalMarginal:
    """Normal errors: all but the scales is summed out.

    Effects of groups enter as columns like moderators. Each unknown is divided by its prior
    standard deviation, so that nothing degenerates where a scale goes to zero.
    """

    def __init__(self, design: EffectDesign, spec: EffectSizeSpec, priors: EffectPriors) -> None:
        """Lay out columns along the principal axes of the errors."""
        self.design, self.scales = design, Scales(design, spec, priors)
        self.start, self.spread = self.scales.start, np.full(self.scales.n, 1.0)
        members = [np.eye(len(level.labels))[level.index] for level in design.groups]
        self.A = design.along(np.column_stack([design.columns, *members]))
        self.y, self.variances = design.along(design.y), design.axes[1]
        self.level = np.repeat(
            np.arange(len(design.groups)), [len(level.labels) for level in design.groups]
        )

    def _solve(self, points: Array) -> tuple[Array, Array, Array, Array]:
        """Cholesky factors, half-solved right sides, prior scales and variances of the axes."""
        tau, groups, _ = self.scales.split(points)
        fixed = np.tile(self.scales.priors.coefficient_sds, (len(points), 1))
        S = np.concatenate([fixed, groups[:, self.level]], axis=1)
        variance = tau[:, None] ** 2 + self.variances
        weighted = self.A.T / variance[:, None, :]
        Q = S[:, :, None] * (weighted @ self.A) * S[:, None, :]
        L = np.linalg.cholesky(Q + np.eye(Q.shape[-1]))
        half = np.linalg.solve(L, (S * (weighted @ self.y))[..., None])[..., 0]
        return L, half, S, variance

    def _chunks(self, points: Array) -> list[Array]:
        size = max(1, _CHUNK // (self.A.size + self.A.shape[1] ** 2))
        return np.array_split(points, max(1, -(-len(points) // size)))

    def log_density(self, points: Array) -> Array:
        """Log joint density of effects and logs of scales."""
        found = []
        for some in self._chunks(points):
            L, half, S, variance = self._solve(some)
            log_root = np.log(np.diagonal(L, axis1=1, axis2=2)).sum(axis=1)
            # By residuals: effects far from zero would cancel in a difference of squares.
            z = np.linalg.solve(L.transpose(0, 2, 1), half[..., None])[..., 0]
            off = self.y - (S * z) @ self.A.T
            square = (off**2 / variance).sum(axis=1) + np.square(z).sum(axis=1)
            normal = -0.5 * (np.log(2 * np.pi * variance).sum(axis=1) + square) - log_root
            found.append(normal + self.scales.split(some)[2])
        return np.concatenate(found)

    def draw(self, points: Array, rng: np.random.Generator) -> Parameters:
        """Draw coefficients, effects of groups and of studies, given scales."""
        parts = []
        for some in self._chunks(points):
            L, half, S, _ = self._solve(some)
            z = half + rng.standard_normal(half.shape)
            parts.append(S * np.linalg.solve(L.transpose(0, 2, 1), z[..., None])[..., 0])
        unknowns, k = np.concatenate(parts), self.design.columns.shape[1]
        found = {
            **self.scales.name(points), **name_coefficients(self.design, unknowns[:, :k])
        }  # fmt: skip
        for j, level in enumerate(self.design.groups):
            found[f"u_{level.name}"] = unknowns[:, k:][:, self.level == j]
        mean = unknowns @ self.A.T
        tau = self.scales.split(points)[0]
        return found | {"theta": draw_theta(self.design, mean, tau, rng)}


def name_coefficients(design: EffectDesign, coefficients: Array) -> Parameters:
    """Give coefficients of centred columns by name, in the units of the moderators."""
    mu, gamma = design.hand_back(coefficients)
    return {"mu": mu} | ({"gamma": gamma} if design.moderators else {})


def draw_theta(design: EffectDesign, mean: Array, tau: Array, rng: np.random.Generator) -> Array:
    """Draw the studies' own effects given their means along the axes, shape (draw, study)."""
    vectors, variances = design.axes
    total = tau[:, None] ** 2 + variances
    share = tau[:, None] / total
    own = share * (design.along(design.y) - mean) * tau[:, None]
    own += tau[:, None] * np.sqrt(variances / total) * rng.standard_normal(mean.shape)
    theta = mean + own
    return theta if vectors is None else theta @ vectors.T


class JointMarginal:
    """Likelihoods that leave coefficients in: publication by p values, and counts of events."""

    def __init__(self, design: EffectDesign, spec: EffectSizeSpec, priors: EffectPriors) -> None:
        """Start at least squares."""
        self.design, self.spec, self.scales = design, spec, Scales(design, spec, priors)
        self.C = design.columns
        self.k, self.n_steps = self.C.shape[1], len(spec.selection)
        weight = 1 / (design.se**2 + design.y.var())
        inverse = np.linalg.inv((self.C.T * weight) @ self.C + 1e-8 * np.eye(self.k) * weight.sum())
        first = inverse @ ((self.C.T * weight) @ design.y)
        self.start = np.concatenate([first, self.scales.start, np.ones(self.n_steps)])
        spread = np.sqrt(np.diag(inverse))
        self.spread = np.concatenate([spread, np.ones(self.scales.n), 1.5 * np.ones(self.n_steps)])
        self.counts = None
        if design.counts is not None:
            lacking = find_unbounded(design.counts)
            if spec.mu_sd is None and lacking is not None:
                raise FitError(
                    f"no study has {lacking}, so that the data set no bound to the odds ratio. "
                    "Allowed: a prior that does: state mu_sd, in log odds, such as 2.8."
                )
            self.counts = EventCounts(design.counts, y=design.y, se=design.se)

    def _split(self, points: Array) -> tuple[Array, Array, Array, Array]:
        """Give coefficients, tau, logits of ratios of steps, and log prior density."""
        coefficients = points[:, : self.k]
        logits = points[:, self.k + self.scales.n :]
        tau, _, log_prior = self.scales.split(points[:, self.k : self.k + self.scales.n])
        sd = np.array(self.scales.priors.coefficient_sds)
        normal = -0.5 * (coefficients / sd) ** 2 - np.log(sd) - 0.5 * np.log(2 * np.pi)
        a = np.arange(self.n_steps, 0, -1)  # ratios are beta(a, 1): steps fall like sorted uniforms
        ratio = a * -np.log1p(np.exp(-logits)) - np.log1p(np.exp(logits)) + np.log(a)
        return coefficients, tau, logits, log_prior + normal.sum(axis=1) + ratio.sum(axis=1)

    def log_density(self, points: Array) -> Array:
        """Log joint density of data and coefficients, logs of scales, logits of steps."""
        coefficients, tau, logits, log_prior = self._split(points)
        mean = coefficients @ self.C.T
        if self.counts is not None:
            return log_prior + self.counts.log_density(mean, tau).sum(axis=1)
        sd = np.sqrt(tau[:, None] ** 2 + self.design.se**2)
        z = (self.design.y - mean) / sd
        normal = -0.5 * z**2 - np.log(sd) - 0.5 * np.log(2 * np.pi)
        chosen = log_selection(self.design, self.spec, mean, sd, _omega(logits))
        return log_prior + (normal + chosen).sum(axis=1)

    def draw(self, points: Array, rng: np.random.Generator) -> Parameters:
        """Name what was drawn, and draw the studies' own effects."""
        coefficients, tau, logits, _ = self._split(points)
        mean = coefficients @ self.C.T
        found = {
            **self.scales.name(points[:, self.k : self.k + self.scales.n]),
            **name_coefficients(self.design, coefficients),
        }
        if self.counts is not None:
            return found | {"theta": self.counts.draw_theta(mean, tau, rng)}
        return found | {
            "theta": draw_theta(self.design, mean, tau, rng), "omega": _omega(logits),
        }  # fmt: skip


def _omega(logits: Array) -> Array:
    """Relative probabilities of publication beyond the first step, shape (point, step)."""
    return np.cumprod(1 / (1 + np.exp(-logits)), axis=1)
