"""Exact likelihood of events in two groups: noncentral hypergeometric, given their sum.

The baseline risk of a study drops out by conditioning, so that a study without events in either
group says nothing, and no half case is added to anything (Stijnen et al. 2010,
https://doi.org/10.1002/sim.4040).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from bayesmeta.errors import FitError
from bayesmeta.model.predictor import Array

_GRID = np.linspace(-20.0, 20.0, 1601)
"""Log odds ratios at which log likelihoods are computed; cubic between, linear beyond."""

_NODES, _WEIGHTS = np.polynomial.hermite.hermgauss(31)
_WIDER = 1.3
"""Nodes lie where the normal approximation of a study's posterior has its mass, and beyond."""

_MOST_EVENTS, _CHUNK = 200_000, 4_000_000
"""Possible numbers of events of a study that are listed, and numbers held at once."""

_FINE = np.linspace(-7.0, 7.0, 141)
"""Standard deviations at which a study's own effect is drawn."""


class EventCounts:
    """Events of studies as functions of their log odds ratios.

    Parameters
    ----------
    counts
        Events and totals, treated and control, shape (study, 4).
    y, se
        Log odds ratios and their standard errors, by which integrals are centred, shape (study,).
    """

    def __init__(self, counts: Array, *, y: Array, se: Array) -> None:
        """Tabulate log likelihoods and distribution functions."""
        from scipy.interpolate import CubicSpline

        self.y, self.se = y, se
        self.tables = [tabulate(*row) for row in counts.astype(int)]
        self._log = [CubicSpline(_GRID, table.log_density) for table in self.tables]
        self._below = [CubicSpline(_GRID, table.below) for table in self.tables]

    def log_density(self, mean: Array, tau: Array) -> Array:
        """Log probability of each study's events, its own effect summed out.

        Parameters
        ----------
        mean
            Mean of the effects of such studies, shape (..., study).
        tau
            Their standard deviation, shape (...).

        Returns
        -------
        ndarray
            Shape (..., study).
        """
        found = np.empty_like(mean)
        for i in range(mean.shape[-1]):
            m = mean[..., i]
            center, sd = self._approximate(i, m, tau)
            theta = center[..., None] + np.sqrt(2) * _WIDER * sd[..., None] * _NODES
            spread = np.where(tau > 0, tau, 1.0)[..., None]
            log_prior = -0.5 * ((theta - m[..., None]) / spread) ** 2 - np.log(spread)
            scale = np.log(_WIDER * np.where(tau > 0, sd, 1.0))[..., None] - 0.5 * np.log(np.pi)
            terms = self._evaluate(i, theta) + log_prior + scale + _NODES**2 + np.log(_WEIGHTS)
            top = terms.max(axis=-1, keepdims=True)
            summed = top[..., 0] + np.log(np.exp(terms - top).sum(axis=-1))
            found[..., i] = np.where(tau > 0, summed, self._evaluate(i, m))
        return found

    def probability_below(self, mean: Array, tau: Array) -> Array:
        """Probability of fewer events, and half of that of as many, shape (..., study)."""
        theta = mean[..., None] + np.sqrt(2) * tau[..., None, None] * _NODES
        parts = [self._below[i](np.clip(theta[..., i, :], -20, 20)) for i in range(len(self.y))]
        return np.stack(parts, axis=-2) @ _WEIGHTS / np.sqrt(np.pi)

    def draw_theta(self, mean: Array, tau: Array, rng: np.random.Generator) -> Array:
        """Draw the studies' own effects given their means, shape (draw, study)."""
        found = np.empty_like(mean)
        for i in range(mean.shape[1]):
            center, sd = self._approximate(i, mean[:, i], tau)
            theta = center[:, None] + sd[:, None] * _FINE
            spread = np.where(tau > 0, tau, 1.0)[:, None]
            log = self._evaluate(i, theta) - 0.5 * ((theta - mean[:, [i]]) / spread) ** 2
            mass = np.exp(log - log.max(axis=1, keepdims=True)).cumsum(axis=1)
            u = rng.random(len(theta)) * mass[:, -1]
            k = np.clip((mass < u[:, None]).sum(axis=1), 1, len(_FINE) - 1)
            row = np.arange(len(theta))
            below = mass[row, k - 1]
            share = (u - below) / np.maximum(mass[row, k] - below, 1e-300)
            found[:, i] = theta[row, k - 1] + np.clip(share, 0, 1) * (
                theta[row, k] - theta[row, k - 1]
            )
        return found

    def simulate(self, theta: Array, rng: np.random.Generator) -> Array:
        """Draw log odds ratios of events given true ones, shape (..., study)."""
        found = np.empty_like(theta)
        nearest = np.clip(np.round((theta + 20) / (_GRID[1] - _GRID[0])), 0, len(_GRID) - 1)
        for i, table in enumerate(self.tables):
            k = nearest[..., i].astype(int).ravel()
            drawn, u = np.empty(len(k), int), rng.random(k.shape)
            for j in np.unique(k):
                here = k == j
                drawn[here] = np.searchsorted(table.cumulate(float(_GRID[j])), u[here])
            effects = table.effects[np.minimum(drawn, len(table.effects) - 1)]
            found[..., i] = effects.reshape(theta.shape[:-1])
        return found

    def _evaluate(self, i: int, theta: Array) -> Array:
        inside = np.clip(theta, -20, 20)
        return self._log[i](inside) + self._log[i](inside, 1) * (theta - inside)

    def _approximate(self, i: int, mean: Array, tau: Array) -> tuple[Array, Array]:
        """Mean and standard deviation of a study's own effect, were its error normal."""
        share = tau**2 / (tau**2 + self.se[i] ** 2)
        return mean + share * (self.y[i] - mean), np.sqrt(share) * self.se[i]


def find_unbounded(counts: Array) -> str | None:
    """Name what no study has, where the odds ratio has no bound for want of it."""
    events, total, control_events, control_total = counts.T
    kinds = {
        "an event among the treated": events,
        "an event among the controls": control_events,
        "a case without event among the treated": total - events,
        "a case without event among the controls": control_total - control_events,
    }
    return next((name for name, some in kinds.items() if not some.any()), None)


@dataclass(frozen=True, slots=True)
class Tabulated:
    """One study over the grid.

    Parameters
    ----------
    log_density, below
        Log probability of its events, and probability of fewer, shape (grid,).
    log_ways, possible, effects
        Log number of ways to every possible number of events, these numbers, and their log odds
        ratios, shape (event,).
    """

    log_density: Array
    below: Array
    log_ways: Array
    possible: Array
    effects: Array

    def cumulate(self, theta: float) -> Array:
        """Probability of at most so many events at a log odds ratio, shape (event,)."""
        log = self.log_ways + theta * self.possible
        chance = np.exp(log - log.max())
        return chance.cumsum() / chance.sum()


def tabulate(events: int, total: int, control_events: int, control_total: int) -> Tabulated:
    """Tabulate the noncentral hypergeometric distribution of a study's events.

    Raises
    ------
    FitError
        If there are more possible numbers of events than can be listed.
    """
    from scipy.special import gammaln

    both = events + control_events
    lowest, highest = max(0, both - control_total), min(total, both)
    if highest - lowest > _MOST_EVENTS:
        raise FitError(
            f"a study has {both} events, which the exact likelihood would list one by one. "
            f"Allowed: at most {_MOST_EVENTS} of likelihood 'binomial'; of so many 'normal' gives "
            "the same. State likelihood='normal'."
        )
    possible = np.arange(lowest, highest + 1)
    rest = both - possible
    kinds = np.stack([possible, total - possible, rest, control_total - rest]).astype(float)
    ways = -gammaln(kinds + 1).sum(axis=0)
    k, found = events - lowest, []
    for part in np.array_split(_GRID, 1 + len(_GRID) * len(possible) // _CHUNK):
        log = ways + part[:, None] * possible
        log -= log.max(axis=1, keepdims=True)
        chance = np.exp(log)
        whole = chance.sum(axis=1)
        below = (chance[:, :k].sum(axis=1) + 0.5 * chance[:, k]) / whole
        found.append((log[:, k] - np.log(whole), below))
    cells = kinds + 0.5 * (kinds == 0).any(axis=0)
    return Tabulated(
        log_density=np.concatenate([log for log, _ in found]),
        below=np.concatenate([below for _, below in found]),
        log_ways=ways,
        possible=kinds[0],
        effects=np.log(cells[0] * cells[3] / (cells[1] * cells[2])),
    )
