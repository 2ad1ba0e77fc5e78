"""Scores given the predictor, in plain numpy: distribution, log density, simulated scores."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bayesmeta.design.facts import Design
from bayesmeta.model.predictor import (
    Parameters,
    complete_facts,
    linear_predictor,
    score_moments,
)
from bayesmeta.model.spec import ModelSpec

__all__ = [
    "StudentScores",
    "draw_scores",
    "generation_distribution",
    "pointwise_log_likelihood",
    "pointwise_probability",
    "score_distribution",
    "simulate_scores",
]


@dataclass(frozen=True, slots=True, eq=False)
class StudentScores:
    """Scores and the distributions that they have.

    Parameters
    ----------
    y
        Scores, shape (score,).
    mu, sd
        Location and scale, shape (..., score).
    nu
        Degrees of freedom, shape (..., 1); None where the scores are normal.

    Examples
    --------
    >>> StudentScores(y=np.ones(1), mu=np.ones(1), sd=np.ones(1), nu=None).probability_below()
    array([0.5])
    """

    y: NDArray[np.float64]
    mu: NDArray[np.float64]
    sd: NDArray[np.float64]
    nu: NDArray[np.float64] | None

    @property
    def _z(self) -> NDArray[np.float64]:
        return (self.y - self.mu) / self.sd

    def log_density(self) -> NDArray[np.float64]:
        """Compute the log density of the scores, shape (..., score)."""
        from scipy.special import gammaln

        z, nu = self._z, self.nu
        if nu is None:
            return -0.5 * z**2 - 0.5 * np.log(2 * np.pi) - np.log(self.sd)
        constant = gammaln((nu + 1) / 2) - gammaln(nu / 2) - 0.5 * np.log(nu * np.pi)
        return constant - (nu + 1) / 2 * np.log1p(z**2 / nu) - np.log(self.sd)

    def probability_below(self) -> NDArray[np.float64]:
        """Compute the probability of lower scores, shape (..., score)."""
        from scipy import special

        return special.ndtr(self._z) if self.nu is None else special.stdtr(self.nu, self._z)

    def draw(self, rng: np.random.Generator) -> NDArray[np.float64]:
        """Draw scores, shape (..., score)."""
        shape = self.mu.shape
        if self.nu is None:
            return self.mu + self.sd * rng.standard_normal(shape)
        return self.mu + self.sd * rng.standard_t(np.broadcast_to(self.nu, shape))


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
    facts = complete_facts(parameters, design=design)
    english = None if column is None else design.fraction_of(facts.X[..., column], column=column)
    read = np.concatenate(written.read_parts(facts.mix, english), axis=-1)
    intercept, slope, tau, sigma = (
        np.asarray(parameters[name], float)[..., None, :]
        for name in ("generation_intercept", "generation_slope", "tau_generation",
                     "sigma_generation")
    )  # fmt: skip
    mu = written.rotation @ (intercept + slope * read)
    return mu, np.sqrt(sigma**2 + written.n_siblings[:, None] * tau**2)


def _latent_of_scores(
    parameters: Parameters, *, design: Design, spec: ModelSpec
) -> NDArray[np.float64]:
    """Latent value behind every score, shape (..., obs)."""
    outcomes = design.outcomes
    eta = linear_predictor(parameters, design=design, spec=spec)
    return eta[..., outcomes.lm_index, outcomes.benchmark_index]


def score_distribution(
    parameters: Parameters, *, design: Design, spec: ModelSpec
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Compute location and scale of every observed score, both of shape (..., obs)."""
    found = _scores(parameters, design=design, spec=spec)
    return found.mu, found.sd


def _scores(parameters: Parameters, *, design: Design, spec: ModelSpec) -> StudentScores:
    """Give every observed score its distribution, over the axis obs."""
    latent = _latent_of_scores(parameters, design=design, spec=spec)
    return _about(parameters, latent, design=design, spec=spec)


def _about(
    parameters: Parameters, latent: NDArray[np.float64], *, design: Design, spec: ModelSpec
) -> StudentScores:
    """Scores with known errors, about what latent values (..., obs) lead one to expect."""
    mu, variance = score_moments(parameters, latent, design=design)
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
    return _scores(parameters, design=design, spec=spec).log_density()


def pointwise_probability(
    parameters: Parameters, *, design: Design, spec: ModelSpec
) -> NDArray[np.float64]:
    """Compute the probability of a score below the observed one, shape (..., obs)."""
    return _scores(parameters, design=design, spec=spec).probability_below()


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
    found = _scores(parameters, design=design, spec=spec)
    return found.draw(np.random.default_rng(seed))


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
    return _about(parameters, latent, design=design, spec=spec).draw(rng)
