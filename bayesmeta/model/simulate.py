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
        Holds `x_unknown` (..., unknown), `mix_unknown` (..., mix_group, domain) and
        `configuration_weight` (..., record, configuration) where needed. An undisclosed choice
        that is summed out is entered by the probabilities of its levels.
    design
        Arrays and coordinates.

    Returns
    -------
    tuple of ndarray
        Matrix (..., lm, term) and composition (..., lm, domain), or None without a mix.
    """
    shapes: list[tuple[int, ...]] = [()]
    unknown, mix, weight = np.empty(0), None, np.empty((0, 0))
    if design.missing.names:
        unknown = np.asarray(parameters["x_unknown"], float)
        shapes.append(unknown.shape[:-1])
    if design.mix is not None:
        mix = design.mix.complete(parameters.get("mix_unknown", np.empty((0, 0))))
        shapes.append(mix.shape[:-2])
    if design.unknown is not None:
        weight = np.asarray(parameters["configuration_weight"], float)
        shapes.append(weight.shape[:-2])
    X = np.broadcast_to(
        np.nan_to_num(design.X), (*np.broadcast_shapes(*shapes), *design.X.shape)
    ).copy()
    if design.missing.names:
        X[..., design.missing.row, design.missing.term] = unknown[..., design.missing.slot]
    if design.unknown is not None:
        X[..., design.unknown.rows, :] += _expected_choices(weight, design=design)
    if mix is not None:
        X[..., design.mix_columns] = mix / MIX_UNIT
    return X, mix


def _expected_choices(weight: NDArray[np.float64], *, design: Design) -> NDArray[np.float64]:
    """Average the configurations of every undisclosed lm, shape (..., undisclosed lm, term)."""
    assert design.unknown is not None
    average = np.einsum("...gk,gkt->...gt", weight, design.unknown.shift)
    return average[..., design.unknown.record, :]


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
    """Compute location and scale of every observed score, both of shape (..., obs).

    Of an lm with an undisclosed choice that is summed out, they are mean and standard deviation
    over its configurations, weighted by `configuration_weight`.
    """
    eta = linear_predictor(parameters, design=design, spec=spec)
    every = np.arange(len(design.outcomes.y))
    latent = eta[..., design.outcomes.lm_index, design.outcomes.benchmark_index]
    mu, sd = _law(parameters, latent, rows=every, design=design)
    if design.unknown is None:
        return mu, sd
    rows, means, sds = _by_configuration(parameters, design=design, spec=spec)
    weight = np.asarray(parameters["configuration_weight"], float)
    weight = np.swapaxes(weight[..., design.record_of_scores[rows], :], -1, -2)
    mean = (weight * means).sum(axis=-2)
    mu[..., rows] = mean
    spread = (weight * (sds**2 + (means - mean[..., None, :]) ** 2)).sum(axis=-2)
    sd[..., rows] = np.sqrt(spread)
    return mu, sd


def _law(
    parameters: Parameters, latent: NDArray[np.float64], *, rows: NDArray[np.int64], design: Design
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Location and scale of some scores given their latent values, shapes (..., rows)."""
    outcomes, b = design.outcomes, design.outcomes.benchmark_index[rows]
    logistic, floor = outcomes.is_logistic[b], outcomes.floor[b]
    lead = latent.ndim - np.ndim(parameters["rho_lm"])
    shape = (*np.shape(parameters["rho_lm"]), *(1,) * (lead - 1))
    with np.errstate(over="ignore"):
        p = 1 / (1 + np.exp(-latent))
    mu = np.where(
        logistic, floor + (1 - floor) * p, outcomes.location[b] + outcomes.spread[b] * latent
    )
    slope = np.where(logistic, (1 - floor) * p * (1 - p), np.abs(outcomes.spread[b]))
    rho_lm = np.reshape(parameters["rho_lm"], (*shape, 1))
    sigma = np.reshape(parameters["sigma"], (*shape, -1))[..., b]
    on_score = np.reshape(parameters["sigma_score"], (*shape, 1)) * logistic
    residual = sigma * np.sqrt(1 - rho_lm)
    return mu, np.sqrt(outcomes.se[rows] ** 2 + on_score**2 + (residual * slope) ** 2)


def _by_configuration(
    parameters: Parameters, *, design: Design, spec: ModelSpec
) -> tuple[NDArray[np.int64], NDArray[np.float64], NDArray[np.float64]]:
    """Scores behind undisclosed choices: rows, location and scale (..., configuration, rows)."""
    unknown, record = design.unknown, design.record_of_scores
    assert unknown is not None
    rows = np.flatnonzero(record >= 0)
    i, b = design.outcomes.lm_index[rows], design.outcomes.benchmark_index[rows]
    nothing = {"configuration_weight": np.zeros(unknown.log_weight.shape)}
    eta = linear_predictor({**parameters, **nothing}, design=design, spec=spec)
    beta = np.asarray(parameters["beta"], float)
    change = np.einsum("gkt,...tb->...kgb", unknown.shift, beta)
    latent = eta[..., None, i, b] + change[..., record[rows], b]
    return rows, *_law(parameters, latent, rows=rows, design=design)


def _standard_law(
    parameters: Parameters, z: NDArray[np.float64], *, spec: ModelSpec, of: str
) -> NDArray[np.float64]:
    """Log density or probability of standardised scores, the shape of `z`."""
    from scipy import special

    if spec.likelihood == "normal":
        return special.ndtr(z) if of == "probability" else -0.5 * (z**2 + np.log(2 * np.pi))
    nu = 1 + np.asarray(parameters["nu_beyond_one"], float)
    nu = nu.reshape(*nu.shape, *(1,) * (z.ndim - nu.ndim))
    if of == "probability":
        return special.stdtr(nu, z)
    constant = special.gammaln((nu + 1) / 2) - special.gammaln(nu / 2) - 0.5 * np.log(nu * np.pi)
    return constant - (nu + 1) / 2 * np.log1p(z**2 / nu)


def pointwise_log_likelihood(
    parameters: Parameters, *, design: Design, spec: ModelSpec
) -> NDArray[np.float64]:
    """Compute the log density of every score, shape (..., obs).

    Of an lm with an undisclosed choice that is summed out, it is the density given the other
    scores of its record that the model learns from: a mixture over the configurations, weighted
    by their probabilities given those scores. That is what leaving one score out needs.
    """
    mu, sd = score_distribution(parameters, design=design, spec=spec)
    z = (design.outcomes.y - mu) / sd
    out = _standard_law(parameters, z, spec=spec, of="density") - np.log(sd)
    if design.unknown is not None:
        rows, means, sds = _by_configuration(parameters, design=design, spec=spec)
        z = (design.outcomes.y[rows] - means) / sds
        density = _standard_law(parameters, z, spec=spec, of="density") - np.log(sds)
        weight = _weigh_by_others(density, rows=rows, design=design)
        out[..., rows] = np.logaddexp.reduce(weight + density, axis=-2)
    return out


def _weigh_by_others(
    density: NDArray[np.float64], *, rows: NDArray[np.int64], design: Design
) -> NDArray[np.float64]:
    """Log probabilities of the configurations of every score given its record's other scores.

    Parameters
    ----------
    density
        Log densities, shape (..., configuration, rows).
    rows
        Scores behind undisclosed choices.
    design
        Arrays and coordinates.

    Returns
    -------
    ndarray
        The shape of `density`; only scores that the model learns from count.
    """
    unknown, record = design.unknown, design.record_of_scores[rows]
    assert unknown is not None
    counted = density * design.outcomes.train[rows]
    total = counted @ (record[:, None] == np.arange(len(unknown.names)))
    joint = (unknown.log_weight.T + total)[..., record] - counted
    return joint - np.logaddexp.reduce(joint, axis=-2, keepdims=True)


def pointwise_probability(
    parameters: Parameters, *, design: Design, spec: ModelSpec
) -> NDArray[np.float64]:
    """Compute the probability of a score below the observed one, shape (..., obs).

    Undisclosed choices that are summed out are weighted by `configuration_weight`.
    """
    mu, sd = score_distribution(parameters, design=design, spec=spec)
    z = (design.outcomes.y - mu) / sd
    out = _standard_law(parameters, z, spec=spec, of="probability")
    if design.unknown is not None:
        rows, means, sds = _by_configuration(parameters, design=design, spec=spec)
        z = (design.outcomes.y[rows] - means) / sds
        below = _standard_law(parameters, z, spec=spec, of="probability")
        weight = np.asarray(parameters["configuration_weight"], float)
        weight = np.swapaxes(weight[..., design.record_of_scores[rows], :], -1, -2)
        out[..., rows] = (weight * below).sum(axis=-2)
    return out


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
        Scores in native units, shape (..., obs); not clipped to the possible range. Each record
        whose choice is summed out gets one of its configurations.
    """
    rng = np.random.default_rng(seed)
    if design.unknown is not None:
        weight = np.asarray(parameters["configuration_weight"], float)
        level = np.cumsum(weight, axis=-1) / weight.sum(axis=-1, keepdims=True)
        chosen = (rng.random((*weight.shape[:-1], 1)) > level).sum(axis=-1)
        one_hot = np.eye(weight.shape[-1])[np.minimum(chosen, weight.shape[-1] - 1)]
        parameters = {**parameters, "configuration_weight": one_hot}
    mu, sd = score_distribution(parameters, design=design, spec=spec)
    if spec.likelihood == "normal":
        return mu + sd * rng.standard_normal(mu.shape)
    nu = 1 + np.asarray(parameters["nu_beyond_one"], float)[..., None]
    return mu + sd * rng.standard_t(np.broadcast_to(nu, mu.shape))
