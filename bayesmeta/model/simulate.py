"""The same model in plain numpy: predictor, expected score, log-likelihood, simulated scores.

Posterior effects use these functions, so a question needs no PyMC; and because they are written
apart from the graph, the tests hold the two against each other.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from bayesmeta.design import MIX_UNIT, Design
from bayesmeta.model.law import law_skill
from bayesmeta.model.spec import ModelSpec
from bayesmeta.model.student import StudentScores

__all__ = [
    "Parameters",
    "complete_matrix",
    "draw_scores",
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
        Holds `x_unknown` (..., unknown), `mix_unknown` (..., mix_group, domain) and, of new lms,
        `choice` (..., record) where needed.
    design
        Arrays and coordinates.

    Returns
    -------
    tuple of ndarray
        Matrix (..., lm, term) and composition (..., lm, domain), or None without a mix.
    """
    shapes: list[tuple[int, ...]] = [()]
    unknown, mix, choice = np.empty(0), None, np.empty(0, int)
    if design.missing.names:
        unknown = np.asarray(parameters["x_unknown"], float)
        shapes.append(unknown.shape[:-1])
    if design.mix is not None:
        mix = design.mix.complete(parameters.get("mix_unknown", np.empty((0, 0))))
        shapes.append(mix.shape[:-2])
    if design.unknown is not None:
        choice = np.asarray(parameters["choice"]).astype(np.int64)
        shapes.append(choice.shape[:-1])
    X = np.broadcast_to(
        np.nan_to_num(design.X), (*np.broadcast_shapes(*shapes), *design.X.shape)
    ).copy()
    if design.missing.names:
        X[..., design.missing.row, design.missing.term] = unknown[..., design.missing.slot]
    if design.unknown is not None:
        X[..., design.unknown.rows, :] += design.unknown.columns(choice)
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
    eta = np.asarray(parameters["alpha"], float)[..., None, :]
    if design.scale_terms:
        kappa = np.asarray(parameters["kappa"], float)
        eta = eta + _centered(design.scale, design.scale_center, np.swapaxes(kappa, -1, -2))
    if spec.scaling == "chinchilla":
        eta = eta + _law_part(parameters, design=design)
    if design.terms:
        X, _ = complete_matrix(parameters, design=design)
        eta = eta + _centered(X, design.X_center, np.asarray(parameters["beta"], float))
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
    if spec.family_effects == "within-between" and design.between_terms:
        effect = effect + design.between @ np.swapaxes(
            np.asarray(parameters["kappa_between"], float), -1, -2
        )
    full = spec.family_effects == "orthogonal"
    basis = design.scale_basis if full else design.scale_basis[:, :1]
    return effect - basis @ (basis.T @ effect)


def expected_score(eta: NDArray[np.float64], *, design: Design) -> NDArray[np.float64]:
    """Map latent values to expected scores in native units, shape (..., benchmark)."""
    outcomes = design.outcomes
    floor, linear = outcomes.floor, ~outcomes.is_logistic
    with np.errstate(over="ignore"):
        scores = np.exp(-eta)
    scores += 1  # in place: this is most of the time of a question
    np.divide(1 - floor, scores, out=scores)
    scores += floor
    scores[..., linear] = outcomes.location[linear] + outcomes.spread[linear] * eta[..., linear]
    return scores


def score_distribution(
    parameters: Parameters, *, design: Design, spec: ModelSpec
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Compute location and scale of every observed score, both of shape (..., obs)."""
    law = _law_of_scores(parameters, design=design, spec=spec)
    return law.mu, law.sd


def _latent_of_scores(
    parameters: Parameters, *, design: Design, spec: ModelSpec
) -> NDArray[np.float64]:
    """Latent value behind every score, shape (..., obs)."""
    eta = linear_predictor(parameters, design=design, spec=spec)
    return eta[..., design.outcomes.lm_index, design.outcomes.benchmark_index]


def _law_of_scores(parameters: Parameters, *, design: Design, spec: ModelSpec) -> StudentScores:
    """Law of every score, shape (..., obs)."""
    latent = _latent_of_scores(parameters, design=design, spec=spec)
    return _student(parameters, latent, design=design, spec=spec)


def _moments(
    parameters: Parameters, latent: NDArray[np.float64], *, design: Design
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Compute expected scores and variance of residuals by latent values, both (..., obs)."""
    outcomes, b = design.outcomes, design.outcomes.benchmark_index
    logistic, floor, spread = outcomes.is_logistic[b], outcomes.floor[b], outcomes.spread[b]
    with np.errstate(over="ignore"):
        p = 1 / (1 + np.exp(-latent))
    mu = np.where(logistic, floor + (1 - floor) * p, outcomes.location[b] + spread * latent)
    slope = np.where(logistic, (1 - floor) * p * (1 - p), np.abs(spread))
    rho_lm = np.asarray(parameters["rho_lm"], float)[..., None]
    residual = (np.asarray(parameters["sigma"], float) * np.sqrt(1 - rho_lm))[..., b]
    on_score = np.asarray(parameters["sigma_score"], float)[..., None] * logistic
    return mu, on_score**2 + (residual * slope) ** 2


def _student(
    parameters: Parameters, latent: NDArray[np.float64], *, design: Design, spec: ModelSpec
) -> StudentScores:
    """Scores with known errors, about their expected values."""
    mu, variance = _moments(parameters, latent, design=design)
    is_normal = spec.likelihood == "normal"
    return StudentScores(
        y=design.outcomes.y,
        mu=mu,
        sd=np.sqrt(design.outcomes.se**2 + variance),
        nu=None if is_normal else 1 + np.asarray(parameters["nu_beyond_one"], float)[..., None],
    )


def pointwise_log_likelihood(
    parameters: Parameters, *, design: Design, spec: ModelSpec
) -> NDArray[np.float64]:
    """Compute the log density of every score, shape (..., obs)."""
    return _law_of_scores(parameters, design=design, spec=spec).log_density()


def pointwise_probability(
    parameters: Parameters, *, design: Design, spec: ModelSpec
) -> NDArray[np.float64]:
    """Compute the probability of a score below the observed one, shape (..., obs)."""
    return _law_of_scores(parameters, design=design, spec=spec).probability_below()


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
    latent = _latent_of_scores(parameters, design=design, spec=spec)
    rng = np.random.default_rng(seed)
    return draw_scores(parameters, latent, design=design, spec=spec, rng=rng)


def draw_scores(
    parameters: Parameters,
    latent: NDArray[np.float64],
    *,
    design: Design,
    spec: ModelSpec,
    rng: np.random.Generator,
) -> NDArray[np.float64]:
    """Draw scores about given latent values: residuals on both scales, and sampling error.

    Parameters
    ----------
    parameters
        Named values with the same leading axes.
    latent
        Latent value behind every score of the design's outcomes, shape (..., obs).
    design
        Arrays and coordinates.
    spec
        The model.
    rng
        Random numbers.

    Returns
    -------
    ndarray
        Scores in native units, the shape of `latent`; not clipped to the possible range.
    """
    return _student(parameters, latent, design=design, spec=spec).draw(rng)
