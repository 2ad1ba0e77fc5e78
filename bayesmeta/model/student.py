"""Student-t and normal scores in numpy: log density, distribution function, draws."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["StudentScores"]


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
