"""The same model in plain numpy: predictor, expected score, log-likelihood, simulated scores.

Posterior effects use these functions, so a question needs no PyMC; and because they are written
apart from the graph, the tests hold the two against each other.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from bayesmeta.design import MIX_UNIT, Design
from bayesmeta.model.counts import Counts
from bayesmeta.model.law import law_skill
from bayesmeta.model.spec import ModelSpec

__all__ = [
    "Parameters",
    "complete_matrix",
    "expected_score",
    "linear_predictor",
    "pointwise_log_likelihood",
    "pointwise_probability",
    "score_distribution",
    "simulate_scores",
]

Parameters = Mapping[str, NDArray[np.float64]]
"""Values by the names of the model's variables, each with leading axes for draws (or none)."""


def complete_matrix(
    parameters: Parameters, *, design: Design
) -> tuple[NDArray[np.float64], NDArray[np.float64] | None]:
    """Put the unknown facts into the matrix of decisions.

    Parameters
    ----------
    parameters
        Holds `x_unknown` (..., unknown) and `mix_unknown` (..., mix_group, domain) where needed.
    design
        Arrays and coordinates.

    Returns
    -------
    tuple of ndarray
        Matrix (..., lm, term) and composition (..., lm, domain), or None without a mix.
    """
    shapes: list[tuple[int, ...]] = [()]
    unknown, mix = np.empty(0), None
    if design.missing.names:
        unknown = np.asarray(parameters["x_unknown"], float)
        shapes.append(unknown.shape[:-1])
    if design.mix is not None:
        mix = design.mix.complete(parameters.get("mix_unknown", np.empty((0, 0))))
        shapes.append(mix.shape[:-2])
    X = np.broadcast_to(
        np.nan_to_num(design.X), (*np.broadcast_shapes(*shapes), *design.X.shape)
    ).copy()
    if design.missing.names:
        X[..., design.missing.row, design.missing.term] = unknown[..., design.missing.slot]
    if mix is not None:
        X[..., design.mix_columns] = mix / MIX_UNIT
    return X, mix


def linear_predictor(
    parameters: Parameters, *, design: Design, spec: ModelSpec
) -> NDArray[np.float64]:
    """Compute the latent value of every lm on every benchmark.

    Parameters
    ----------
    parameters
        Named values with the same leading axes.
    design
        Arrays and coordinates.
    spec
        The model.

    Returns
    -------
    ndarray
        Latent values, shape (..., lm, benchmark).
    """
    task = design.task_family_index
    eta = np.asarray(parameters["alpha"], float)[..., None, :]
    if design.scale_terms:
        kappa = np.asarray(parameters["kappa"], float)
        eta = eta + _centered(design.scale, design.scale_center, np.swapaxes(kappa, -1, -2))
    if spec.scaling == "chinchilla":
        eta = eta + _law_part(parameters, design=design)
    if design.terms:
        X, mix = complete_matrix(parameters, design=design)
        eta = eta + _centered(X, design.X_center, np.asarray(parameters["beta"], float))
        if design.code_basis is not None and design.mix is not None:
            weights = np.asarray(parameters["curve"], float)[..., task]
            phi = design.code_basis.evaluate(design.mix.code_of(mix))
            eta = eta + _centered(phi, design.basis_center, weights)
    if design.surface is not None:
        weights = np.asarray(parameters["surface"], float)
        eta = eta + _centered(design.surface.evaluate(), design.surface_center, weights)
    return eta + family_effects(parameters, design=design, spec=spec)


def _law_part(parameters: Parameters, *, design: Design) -> NDArray[np.float64]:
    """Multiply the scaling law, less its centre, by its slopes, shape (..., lm, benchmark)."""
    assert design.log_scale is not None
    skill = law_skill(
        design.log_scale,
        size_exponent=parameters["law_size_exponent"],
        data_exponent=parameters["law_data_exponent"],
        size_fraction=parameters["law_size_fraction"],
    )
    center = skill @ design.outcomes.information(n_lms=len(design.lms))
    slope = np.asarray(parameters["kappa_law"], float)[..., None, :]
    return slope * (skill[..., None] - center[..., None, :])


def _centered(
    columns: NDArray[np.float64], center: NDArray[np.float64], weights: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Multiply columns (..., lm, k), less their centre, by weights (..., k, benchmark)."""
    return columns @ weights - np.einsum("bk,...kb->...b", center, weights)[..., None, :]


def family_effects(
    parameters: Parameters, *, design: Design, spec: ModelSpec
) -> NDArray[np.float64]:
    """Compute family and lm effects on the latent scale, shape (..., lm, benchmark)."""
    family, task = design.lm_family_index, design.task_family_index
    sigma = np.asarray(parameters["sigma"], float)[..., None, :]
    rho_lm = np.asarray(parameters["rho_lm"], float)[..., None, None]
    effect = sigma * np.sqrt(rho_lm) * np.asarray(parameters["v"], float)[..., :, None]
    if spec.family_effects != "none":
        rho = np.asarray(parameters["rho_family"], float)[..., None, None]
        u = np.asarray(parameters["u"], float)[..., family, None]
        w = np.asarray(parameters["w"], float)[..., family, :][..., task]
        tau = np.asarray(parameters["tau_family"], float)[..., None, :]
        effect = effect + tau * (np.sqrt(rho) * u + np.sqrt(1 - rho) * w)
    full = spec.family_effects == "orthogonal"
    basis = design.scale_basis if full else design.scale_basis[:, :1]
    return effect - basis @ (basis.T @ effect)


def expected_score(eta: NDArray[np.float64], *, design: Design) -> NDArray[np.float64]:
    """Map latent values to expected scores in native units, shape (..., benchmark)."""
    outcomes = design.outcomes
    with np.errstate(over="ignore"):
        accuracy = outcomes.floor + (1 - outcomes.floor) / (1 + np.exp(-eta))
    return np.where(outcomes.is_logistic, accuracy, outcomes.location + outcomes.spread * eta)


def score_distribution(
    parameters: Parameters, *, design: Design, spec: ModelSpec
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Compute location and scale of every observed score, both of shape (..., obs).

    Of a score that is a count they are the mean and, by its known error, about the standard
    deviation.
    """
    mu, variance = _moments(parameters, design=design, spec=spec)
    return mu, np.sqrt(design.outcomes.se**2 + variance)


def _moments(
    parameters: Parameters, *, design: Design, spec: ModelSpec
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Compute expected scores and the variance of their residuals, both of shape (..., obs)."""
    outcomes = design.outcomes
    i, b = outcomes.lm_index, outcomes.benchmark_index
    eta = linear_predictor(parameters, design=design, spec=spec)
    mu = expected_score(eta, design=design)[..., i, b]
    with np.errstate(over="ignore"):
        p = 1 / (1 + np.exp(-eta[..., i, b]))
    slope = np.where(
        outcomes.is_logistic[b], (1 - outcomes.floor[b]) * p * (1 - p), np.abs(outcomes.spread[b])
    )
    rho_lm = np.asarray(parameters["rho_lm"], float)[..., None]
    residual = (np.asarray(parameters["sigma"], float) * np.sqrt(1 - rho_lm))[..., b]
    on_score = np.asarray(parameters["sigma_score"], float)[..., None] * outcomes.is_logistic[b]
    return mu, on_score**2 + (residual * slope) ** 2


def pointwise_log_likelihood(
    parameters: Parameters, *, design: Design, spec: ModelSpec
) -> NDArray[np.float64]:
    """Compute the log density of every score, shape (..., obs).

    Of a score that is a count it is the log of its probability times the number of items: a
    probability spread over the step between two counts, in the units of the other densities.
    """
    mu, variance = _moments(parameters, design=design, spec=spec)
    z, nu, sd = _standardise(mu, variance, parameters, design=design, spec=spec)
    out = _log_density(z, nu) - np.log(sd)
    counts = Counts.of(mu, variance, design=design)
    out[..., design.outcomes.is_count] = counts.log_probability() + np.log(counts.n)
    return out


def pointwise_probability(
    parameters: Parameters, *, design: Design, spec: ModelSpec
) -> NDArray[np.float64]:
    """Compute the probability of a score below the observed one, shape (..., obs).

    Of a score that is a count half the probability of the same count is added (mid-P: Lancaster
    1961, https://doi.org/10.1080/01621459.1961.10482105), so that its mean is one half.
    """
    from scipy import special

    mu, variance = _moments(parameters, design=design, spec=spec)
    z, nu, _ = _standardise(mu, variance, parameters, design=design, spec=spec)
    out = special.ndtr(z) if nu is None else special.stdtr(nu, z)
    counts = Counts.of(mu, variance, design=design)
    out[..., design.outcomes.is_count] = counts.probability_below()
    return out


def _standardise(
    mu: NDArray[np.float64],
    variance: NDArray[np.float64],
    parameters: Parameters,
    *,
    design: Design,
    spec: ModelSpec,
) -> tuple[NDArray[np.float64], NDArray[np.float64] | None, NDArray[np.float64]]:
    """Compute standardised scores, degrees of freedom (None: normal), and scales."""
    sd = np.sqrt(design.outcomes.se**2 + variance)
    z = (design.outcomes.y - mu) / sd
    if spec.likelihood == "normal":
        return z, None, sd
    return z, 1 + np.asarray(parameters["nu_beyond_one"], float)[..., None], sd


def _log_density(z: NDArray[np.float64], nu: NDArray[np.float64] | None) -> NDArray[np.float64]:
    from scipy import special

    if nu is None:
        return -0.5 * z**2 - 0.5 * np.log(2 * np.pi)
    constant = special.gammaln((nu + 1) / 2) - special.gammaln(nu / 2) - 0.5 * np.log(nu * np.pi)
    return constant - (nu + 1) / 2 * np.log1p(z**2 / nu)


def simulate_scores(
    parameters: Parameters, *, design: Design, spec: ModelSpec, seed: int
) -> NDArray[np.float64]:
    """Draw scores from the model.

    Parameters
    ----------
    parameters
        Named values with the same leading axes.
    design
        Arrays and coordinates.
    spec
        The model.
    seed
        Seed of the random numbers.

    Returns
    -------
    ndarray
        Scores in native units, shape (..., obs); not clipped to the possible range.
    """
    rng = np.random.default_rng(seed)
    mu, variance = _moments(parameters, design=design, spec=spec)
    _, nu, sd = _standardise(mu, variance, parameters, design=design, spec=spec)
    noise = (
        rng.standard_normal(mu.shape)
        if nu is None
        else rng.standard_t(np.broadcast_to(nu, mu.shape))
    )
    out = mu + sd * noise
    counts = Counts.of(mu, variance, design=design)
    out[..., design.outcomes.is_count] = counts.draw(rng) / counts.n
    return out
