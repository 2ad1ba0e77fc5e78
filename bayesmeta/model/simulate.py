"""The same model in plain numpy: predictor, expected score, log-likelihood, simulated scores.

Posterior effects use these functions, so a question needs no PyMC; and because they are written
apart from the graph, the tests hold the two against each other.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from bayesmeta.design import MIX_UNIT, Design
from bayesmeta.model.spec import ModelSpec

__all__ = [
    "Parameters",
    "complete_matrix",
    "expected_score",
    "generation_distribution",
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


def generation_distribution(
    parameters: Parameters, *, design: Design
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Compute location and scale of the rotated log-ratios of what the lms write.

    Parameters
    ----------
    parameters
        Named values with the same leading axes.
    design
        Arrays and coordinates, with generations.

    Returns
    -------
    tuple of ndarray
        Both of shape (..., measured lm, written); the law is Student-t with `generation_nu`.
    """
    written, column = design.generations, design.english_column
    assert written is not None
    X, mix = complete_matrix(parameters, design=design)
    english = None if column is None else design.fraction_of(X[..., column], column=column)
    read = np.concatenate(written.read_parts(mix, english), axis=-1)
    intercept, slope, tau, sigma = (
        np.asarray(parameters[name], float)[..., None, :]
        for name in ("generation_intercept", "generation_slope", "tau_generation",
                     "sigma_generation")
    )  # fmt: skip
    mu = written.rotation @ (intercept + slope * read)
    return mu, np.sqrt(sigma**2 + written.n_siblings[:, None] * tau**2)


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
    if design.terms:
        X, mix = complete_matrix(parameters, design=design)
        eta = eta + _centered(X, design.X_center, np.asarray(parameters["beta"], float))
        if design.code_basis is not None and design.mix is not None:
            weights = np.asarray(parameters["curve"], float)[..., task]
            phi = design.code_basis.evaluate(design.mix.code_of(mix))
            eta = eta + _centered(phi, design.basis_center, weights)
    return eta + family_effects(parameters, design=design, spec=spec)


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
    """Compute location and scale of every observed score, both of shape (..., obs)."""
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
    return mu, np.sqrt(outcomes.se**2 + on_score**2 + (residual * slope) ** 2)


def pointwise_log_likelihood(
    parameters: Parameters, *, design: Design, spec: ModelSpec
) -> NDArray[np.float64]:
    """Compute the log density of every score, shape (..., obs)."""
    from scipy import special

    mu, sd = score_distribution(parameters, design=design, spec=spec)
    z = (design.outcomes.y - mu) / sd
    if spec.likelihood == "normal":
        return -0.5 * z**2 - np.log(sd) - 0.5 * np.log(2 * np.pi)
    nu = 1 + np.asarray(parameters["nu_beyond_one"], float)[..., None]
    constant = special.gammaln((nu + 1) / 2) - special.gammaln(nu / 2) - 0.5 * np.log(nu * np.pi)
    return constant - np.log(sd) - (nu + 1) / 2 * np.log1p(z**2 / nu)


def pointwise_probability(
    parameters: Parameters, *, design: Design, spec: ModelSpec
) -> NDArray[np.float64]:
    """Compute the probability of a score below the observed one, shape (..., obs)."""
    from scipy import special

    mu, sd = score_distribution(parameters, design=design, spec=spec)
    z = (design.outcomes.y - mu) / sd
    if spec.likelihood == "normal":
        return special.ndtr(z)
    return special.stdtr(1 + np.asarray(parameters["nu_beyond_one"], float)[..., None], z)


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
    mu, sd = score_distribution(parameters, design=design, spec=spec)
    if spec.likelihood == "normal":
        return mu + sd * rng.standard_normal(mu.shape)
    nu = 1 + np.asarray(parameters["nu_beyond_one"], float)[..., None]
    return mu + sd * rng.standard_t(np.broadcast_to(nu, mu.shape))
