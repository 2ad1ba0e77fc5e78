"""Draws and studies summed up: intervals, probabilities with Monte Carlo errors, pooled means.

ArviZ computes the same Monte Carlo errors (the tests compare), but importing it takes longer than
a whole question may.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import NormalDist
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from bayesmeta import defaults
from bayesmeta.errors import QueryError, shorten
from bayesmeta.model.predictor import Array

if TYPE_CHECKING:
    import xarray as xr


@dataclass(frozen=True, slots=True)
class Probability:
    """A posterior probability and its Monte Carlo error.

    Parameters
    ----------
    estimate
        Share of draws in which the statement holds.
    mcse
        Monte Carlo standard error of the estimate.
    n_draws
        Number of draws; an estimate of 0 or 1 is a bound set by it.

    Examples
    --------
    >>> str(Probability(1.0, mcse=0.001, n_draws=1000))
    '> 0.999'
    """

    estimate: float
    mcse: float
    n_draws: int

    def __str__(self) -> str:
        bound = 1 / self.n_draws
        if self.estimate >= 1:
            return f"> {1 - bound:.3g}"
        if self.estimate <= 0:
            return f"< {bound:.3g}"
        digits = 2 if 0.005 <= self.estimate < 0.995 else 3
        return f"{self.estimate:.{digits}f} (MCSE {self.mcse:.3f})"

    @property
    def relation(self) -> str:
        """The estimate as the right-hand side of a sentence: `= 0.50 (MCSE 0.016)`, `> 0.999`."""
        text = str(self)
        return text if text[0] in "<>" else f"= {text}"

    def __float__(self) -> float:
        return self.estimate


def estimate_probability(holds: NDArray[np.bool_]) -> Probability:
    """Estimate the probability of a statement from the draws in which it holds.

    Parameters
    ----------
    holds
        Truth of the statement in every draw, shape (chain, draw).

    Returns
    -------
    Probability
        Share of draws and its MCSE. Where all draws agree the MCSE is that of one that differs.

    Raises
    ------
    TypeError
        If the draws are not logical: a probability is the mean of true and false.

    Examples
    --------
    >>> estimate_probability(np.array([[True, False, False, True]])).estimate
    0.5
    """
    return estimate_probabilities(holds[..., None])[0]


def estimate_probabilities(holds: NDArray[np.bool_]) -> list[Probability]:
    """Do so for many statements at once, shape (chain, draw, statement).

    Examples
    --------
    >>> [float(p) for p in estimate_probabilities(np.array([[[True, False], [True, True]]]))]
    [1.0, 0.5]
    """
    if holds.dtype != np.bool_:
        raise TypeError(f"draws are {holds.dtype}. Allowed: bool, such as `effect > 0`.")
    p, n = holds.mean(axis=(0, 1)), holds[..., 0].size
    agree = (p == 0) | (p == 1)
    size = np.full(p.shape, float(n))
    size[~agree] = effective_size(holds[..., ~agree].astype(float))
    mcse = np.sqrt(np.where(agree, (1 / n) * (1 - 1 / n), p * (1 - p)) / size)
    return [Probability(*pair, n_draws=n) for pair in zip(p.tolist(), mcse.tolist(), strict=True)]


def effective_size(values: Array) -> Array:
    """Compute the effective sample size of a mean from split chains.

    Geyer's initial monotone sequence with the multi-chain variance of Vehtari et al. 2021,
    https://doi.org/10.1214/20-BA1221.

    Parameters
    ----------
    values
        Draws, shape (chain, draw, ...).

    Returns
    -------
    ndarray
        Effective numbers of independent draws, shape (...), each at most draws x log10(draws).
    """
    half, size = values.shape[1] // 2, values.shape[0] * values.shape[1]
    chains = np.concatenate([values[:, :half], values[:, -half:]]) if half > 1 else values
    chains = np.moveaxis(chains, (0, 1), (-2, -1))  # draws of a chain side by side
    m, n = chains.shape[-2:]
    within = chains.var(axis=-1, ddof=1).mean(axis=-1) if n > 1 else np.zeros(chains.shape[:-2])
    if n < 4:
        return np.full(within.shape, float(size))
    means = chains.mean(axis=-1, keepdims=True)
    total = within * (n - 1) / n + means[..., 0].var(axis=-1, ddof=1 if m > 1 else 0)
    spectrum = np.fft.rfft(chains - means, n=2 * n)
    autocov = np.fft.irfft(np.abs(spectrum) ** 2)[..., :n].mean(axis=-2) / n
    still = within == 0
    rest = (within[..., None] - autocov * n / (n - 1)) / np.where(still, 1.0, total)[..., None]
    rho = 1 - rest
    rho[..., 0] = 1.0
    pairs = rho[..., 0 : n - n % 2 : 2] + rho[..., 1 : n - n % 2 : 2]
    positive = np.logical_and.accumulate(pairs >= 0, axis=-1)
    tau = -1 + 2 * np.where(positive, np.minimum.accumulate(pairs, axis=-1), 0.0).sum(axis=-1)
    found = m * n / np.maximum(tau, 1 / np.log10(m * n))
    return np.where(still, float(size), found)


def check_ci_prob(ci_prob: float) -> None:
    """Refuse a probability of an interval that is none."""
    is_number = isinstance(ci_prob, int | float | np.number) and not isinstance(ci_prob, bool)
    if not is_number or not 0 < ci_prob < 1:
        meant = f" Did you mean {ci_prob / 100:g}?" if is_number and 1 < ci_prob < 100 else ""
        raise QueryError(
            f"ci_prob is {shorten(ci_prob)}.{meant} Allowed: a number between 0 and 1, such as 0.9."
        )


def quantiles(values: Array, *, ci_prob: float, axis: int | tuple[int, ...] | None = None) -> Array:
    """Compute lower end, median and upper end of an equal-tailed interval, along the first axis."""
    tail = (1 - ci_prob) / 2
    return np.quantile(values, [tail, 0.5, 1 - tail], axis=axis)


def summarise(values: Array, *, ci_prob: float, units: str) -> dict[str, float | str]:
    """Summarise draws by median, standard deviation and equal-tailed interval."""
    return summarise_each(values[..., None], ci_prob=ci_prob, units=units)[0]


def summarise_each(values: Array, *, ci_prob: float, units: str) -> list[dict[str, float | str]]:
    """Summarise each of many effects, shape (chain, draw, effect)."""
    lower, estimate, upper = quantiles(values, ci_prob=ci_prob, axis=(0, 1)).tolist()
    parts = {"estimate": estimate, "sd": values.std(axis=(0, 1)).tolist(),
             "lower": lower, "upper": upper}  # fmt: skip
    return [
        {**dict(zip(parts, row, strict=True)), "ci_prob": ci_prob, "units": units}
        for row in zip(*parts.values(), strict=True)
    ]


def summarise_effect(values: Array, *, ci_prob: float, units: str) -> dict[str, float | str]:
    """Summarise draws of an effect, with the probability that it is positive and its MCSE."""
    helps = estimate_probability(values > 0)
    found = summarise(values, ci_prob=ci_prob, units=units)
    return {**found, "prob_helps": helps.estimate, "mcse": helps.mcse}


def outline(of: object, said: str, draws: xr.DataArray | xr.Dataset) -> str:
    """Write what holds draws in one line: its kind, what it is of, and how many draws."""
    sizes = draws.sizes
    return f"{type(of).__name__}({said}, {sizes['chain']} chains x {sizes['draw']} draws)"


def normal_interval(mean: float, sd: float, *, ci_prob: float) -> dict[str, float]:
    """Summarise a normal distribution: estimate, interval, probability that it is positive."""
    half = NormalDist().inv_cdf((1 + ci_prob) / 2) * sd
    return {
        "estimate": mean,
        "lower": mean - half,
        "upper": mean + half,
        "prob_helps": prob_above_zero(mean, sd),
    }


def prob_above_zero(mean: float, sd: float) -> float:
    """Probability that a normal variable is positive; one half where it is surely zero."""
    return NormalDist().cdf(mean / sd) if sd > 0 else float(np.sign(mean) / 2 + 0.5)


@dataclass(frozen=True, slots=True)
class Pooled:
    """Studies averaged, in percentage points.

    Parameters
    ----------
    estimate, sd
        Of their mean.
    tau
        Posterior mean of the heterogeneity.
    prediction_sd
        Standard deviation of the effect in another study.
    """

    estimate: float
    sd: float
    tau: float
    prediction_sd: float


def pool_studies(studies: Sequence[Mapping[str, Any]]) -> Pooled | None:
    """Average studies whose effects differ: Bayesian random effects, integrated over a grid.

    The mean has a flat prior and the heterogeneity a half-normal one, which one study needs and
    few studies lean on (Roever et al. 2021, https://doi.org/10.1002/jrsm.1475).

    Parameters
    ----------
    studies
        With `estimate` and `se`, in points.

    Returns
    -------
    Pooled or None
        None without studies.

    Examples
    --------
    >>> found = pool_studies([{"estimate": 1.0, "se": 0.1}, {"estimate": 1.2, "se": 0.1}])
    >>> round(found.estimate, 1)
    1.1
    """
    if not studies:
        return None
    estimates, se = (np.array([one[name] for one in studies]) for name in ("estimate", "se"))
    scale = defaults.STUDY_HETEROGENEITY
    tau = np.linspace(0.0, 4 * scale, 401)[:, None]
    precision = 1 / (np.square(se) + tau**2)
    total = precision.sum(axis=1)
    mean = (precision * estimates).sum(axis=1) / total
    misfit = (precision * np.square(estimates - mean[:, None])).sum(axis=1)
    log = 0.5 * (np.log(precision).sum(axis=1) - np.log(total) - misfit)
    log -= 0.5 * np.square(tau[:, 0] / scale)
    weight = np.exp(log - log.max())
    weight /= weight.sum()
    center = float(weight @ mean)
    variance = float(weight @ (1 / total + np.square(mean - center)))
    spread = float(weight @ np.square(tau[:, 0]))
    return Pooled(
        estimate=center,
        sd=variance**0.5,
        tau=float(weight @ tau[:, 0]),
        prediction_sd=(variance + spread) ** 0.5,
    )
