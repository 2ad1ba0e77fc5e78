"""Beta-binomial counts in numpy: log probability, distribution function, draws."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from bayesmeta.design import Design
from bayesmeta.model.spec import SMALLEST_SHARE

__all__ = ["Counts"]

_FEW = 300
"""Fewer items than this are summed over, more are integrated."""

_N_NODES = 40
"""Nodes of the quadrature: right to 1e-3 where the residual is at least a quarter of the sampling
error, as it is from 300 items up."""

_NEGLIGIBLE = 1e-9
"""Weight of a node that changes no probability in its first eight digits."""


@dataclass(frozen=True, slots=True, eq=False)
class Counts:
    """Solved items, each out of a number of items, and the distributions that they have.

    Parameters
    ----------
    k, n
        Solved items and all items, shape (count,).
    a, b
        Parameters of the beta distribution of the share of solved items, shape (..., count).

    Examples
    --------
    >>> Counts(k=np.array([1.0]), n=np.array([3.0]), a=np.ones(1), b=np.ones(1)).log_probability()
    array([-1.38629436])
    """

    k: NDArray[np.float64]
    n: NDArray[np.float64]
    a: NDArray[np.float64]
    b: NDArray[np.float64]

    @classmethod
    def of(
        cls, mu: NDArray[np.float64], variance: NDArray[np.float64], *, design: Design
    ) -> Counts:
        """Pick the counts of a design.

        Parameters
        ----------
        mu, variance
            Expected scores and variance of their residuals, shape (..., obs).
        design
            Marks the scores that are counts.

        Returns
        -------
        Counts
            With the concentration mu (1 - mu) / variance, as in the graph.
        """
        outcomes, which = design.outcomes, design.outcomes.is_count
        m = np.clip(mu[..., which], SMALLEST_SHARE, 1 - SMALLEST_SHARE)
        phi = m * (1 - m) / variance[..., which]
        k, n = outcomes.n_solved[which], outcomes.n_items[which]
        return cls(k=k, n=n, a=m * phi, b=(1 - m) * phi)

    def log_probability(self) -> NDArray[np.float64]:
        """Compute the log probability of the counts, shape (..., count)."""
        from scipy.special import betaln

        k, n, a, b = self.k, self.n, self.a, self.b
        ways = -np.log1p(n) - betaln(n - k + 1, k + 1)
        return ways + betaln(k + a, n - k + b) - betaln(a, b)

    def probability_below(self) -> NDArray[np.float64]:
        """Compute the probability of fewer, and half that of the same count, shape (..., count)."""
        out, few = np.empty(self.a.shape), self.n < _FEW
        out[..., few] = self._pick(few)._sum_below()
        out[..., ~few] = self._pick(~few)._integrate_below()
        return out

    def draw(self, rng: np.random.Generator) -> NDArray[np.float64]:
        """Draw solved items, shape (..., count)."""
        return rng.binomial(self.n.astype(np.int64), rng.beta(self.a, self.b)).astype(np.float64)

    def _pick(self, which: NDArray[np.bool_]) -> Counts:
        return Counts(k=self.k[which], n=self.n[which], a=self.a[..., which], b=self.b[..., which])

    def _sum_below(self) -> NDArray[np.float64]:
        total = 0.5 * np.exp(self.log_probability())
        for fewer in range(int(self.k.max(initial=0))):
            below = self.k > fewer
            one = replace(self._pick(below), k=np.full(below.sum(), float(fewer)))
            total[..., below] += np.exp(one.log_probability())
        return total

    def _integrate_below(self) -> NDArray[np.float64]:
        """Integrate instead, since a sum over thousands of items takes long.

        At most k of n are solved with probability E[I_q(a, b)], where q is the (k + 1)-th lowest
        of n uniform numbers, and I the distribution function of the share: a smooth function of
        the normal score of q, whose expectation Gauss-Hermite quadrature takes.
        """
        from scipy import special

        nodes, weights = special.roots_hermitenorm(_N_NODES)
        weights = weights / weights.sum()
        k, rest = self.k, np.maximum(self.n - self.k, 1)
        at_most = np.zeros(self.a.shape)
        for z, weight in zip(nodes, weights, strict=True):
            if weight > _NEGLIGIBLE:
                q = np.where(k < self.n, special.betaincinv(k + 1, rest, special.ndtr(z)), 1.0)
                at_most += weight * special.betainc(self.a, self.b, q)
        return at_most - 0.5 * np.exp(self.log_probability())
