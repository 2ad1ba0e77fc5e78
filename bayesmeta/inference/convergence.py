"""R-hat and effective sample sizes of many elements at once, fast enough to ask while sampling."""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Callable, Generator, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from bayesmeta import defaults
from bayesmeta.jobs import count_processors

Array = NDArray[np.floating]

_BLOCK = 128
"""Elements that are computed together: few enough to stay in a processor's cache."""

_TAIL = (1 - 0.89, 0.89)
"""Quantiles whose effective sizes are the tail's: those that ArviZ takes."""


class Convergence(NamedTuple):
    """R-hat and effective sample sizes, each of shape (element,); NaN where there is none."""

    rhat: Array
    ess_bulk: Array
    ess_tail: Array

    def suffices(self, target_ess: float) -> NDArray[np.bool_]:
        """Say which elements have the effective draws and chains that agree, (element,)."""
        least = np.minimum(self.ess_bulk, self.ess_tail)
        return (self.rhat <= defaults.RHAT_MAX) & (least >= target_ess)


def stack_draws(parameters: Iterable[NDArray[np.floating]]) -> NDArray[np.float32]:
    """Lay parameters of shape (chain, draw, ...) one under the other; (element, chain, draw).

    Draws are rounded as files hold them: what is said of them in memory is then true of the same
    draws when they are read.
    """
    flat = [np.asarray(values, np.float32) for values in parameters]
    rows = [values.reshape(*values.shape[:2], -1).transpose(2, 0, 1) for values in flat]
    return np.concatenate(rows)


def measure_convergence(draws: Array) -> Convergence:
    """Compute R-hat and the effective sample sizes of bulk and tail.

    They are those of Vehtari et al. 2021 (https://doi.org/10.1214/20-BA1221), of ranks and of split
    chains, as ArviZ computes them element by element.

    Parameters
    ----------
    draws
        Shape (element, chain, draw).

    Returns
    -------
    Convergence
        NaN where an element is not a number somewhere, where it never moves (R-hat), and where
        there are fewer than 4 draws, or fewer than 2 chains (R-hat).

    Examples
    --------
    >>> import numpy as np
    >>> draws = np.random.default_rng(1).normal(size=(3, 4, 500))
    >>> measure_convergence(draws).suffices(400)
    array([ True,  True,  True])
    """
    key = _identify(draws)
    found = _measured.get(key)
    if found is None:
        blocks = _cut(np.arange(len(draws)))
        found = _keep(key, blocks, _measure_blocks(_measure_block, draws, blocks))
    return found


_measured: dict[str, Convergence] = {}
"""Of the draws that were measured last: those at which chains end are asked about again."""


def _identify(draws: Array) -> str:
    content = np.ascontiguousarray(draws)
    return f"{content.shape}{content.dtype}{hashlib.blake2b(content).hexdigest()}"


def _keep(
    key: str, blocks: Sequence[NDArray[np.intp]], parts: Iterable[Convergence]
) -> Convergence:
    """Put blocks of elements in their order, and remember what was found of these draws."""
    none = Convergence(*(np.empty(0),) * 3)
    order = np.argsort(np.concatenate([np.empty(0, np.intp), *blocks]))
    columns = zip(none, *parts, strict=True)
    found = Convergence(*(np.concatenate(values)[order] for values in columns))
    _measured.clear()
    _measured[key] = found
    return found


def measure_efficiency(draws: Array) -> float:
    """Compute the effective draws of a mean as a share of all draws, on average over elements.

    Parameters
    ----------
    draws
        Shape (element, chain, draw).

    Returns
    -------
    float
        One for a single chain, and for independent draws.
    """
    if draws.shape[1] == 1:
        return 1.0

    def measure(block: Array) -> Array:
        return _effective_size(_split(block.astype(float)))

    parts = list(_measure_blocks(measure, draws, _cut(np.arange(len(draws)))))
    return float(np.concatenate(parts).mean() / draws[0].size)


def find_insufficient(
    draws: Array, *, target_ess: float, first: NDArray[np.intp]
) -> NDArray[np.intp]:
    """Find elements that do not suffice yet, of one block at a time: none where all suffice.

    Parameters
    ----------
    draws
        Shape (element, chain, draw).
    target_ess
        Effective draws that every element is to have.
    first
        Elements to look at first, since they did not suffice the last time.

    Returns
    -------
    numpy.ndarray
        The first elements found, whatever block they are in.
    """
    rest = np.setdiff1d(np.arange(len(draws)), first)
    blocks = [*_cut(first), *_cut(rest)]
    parts: list[Convergence] = []
    with contextlib.closing(_measure_blocks(_measure_block, draws, blocks)) as measured:
        for block, convergence in zip(blocks, measured, strict=True):
            found = block[~convergence.suffices(target_ess)]
            if len(found):
                return found
            parts.append(convergence)
    _keep(_identify(draws), blocks, parts)
    return np.empty(0, np.intp)


def _cut(elements: NDArray[np.intp]) -> list[NDArray[np.intp]]:
    return [elements[start : start + _BLOCK] for start in range(0, len(elements), _BLOCK)]


def _measure_blocks[Found](
    measure: Callable[[Array], Found], draws: Array, blocks: Sequence[NDArray[np.intp]]
) -> Generator[Found, None, None]:
    """Measure blocks of elements in their order, on as many threads as there are processors."""
    pool = ThreadPoolExecutor(count_processors())
    try:
        yield from pool.map(lambda block: measure(draws[block]), blocks)
    finally:
        pool.shutdown(cancel_futures=True)


def _measure_block(draws: Array) -> Convergence:
    n, n_chains, n_draws = draws.shape
    draws = draws.astype(float)  # quantiles are means of neighbours, which single precision merges
    rhat = np.full(n, np.nan)
    if n_draws < 4:
        return Convergence(rhat, rhat, rhat)
    split = _split(draws)
    scores = _score_ranks(split)
    if n_chains > 1:
        center = np.median(split, axis=(1, 2), keepdims=True)
        rhat = np.maximum(_rhat(scores), _rhat(_score_ranks(np.abs(split - center))))
    ends = np.quantile(draws.reshape(n, -1), _TAIL, axis=1)
    tails = [_effective_size(_split((draws <= end[:, None, None]).astype(float))) for end in ends]
    found = Convergence(rhat, _effective_size(scores), np.minimum(*tails))
    known = np.isfinite(draws).all(axis=(1, 2))
    return Convergence(*(np.where(known, values, np.nan) for values in found))


def _split(draws: Array) -> Array:
    """Cut every chain in halves, (element, half chain, draw); a middle draw is left out."""
    half = draws.shape[2] // 2
    return np.concatenate([draws[:, :, :half], draws[:, :, -half:]], axis=1)


def _score_ranks(values: Array) -> Array:
    """Replace the values of every element by normal scores of their ranks, ties by that of both."""
    flat = values.reshape(len(values), -1)
    size = flat.shape[1]
    order = np.argsort(flat, axis=1)
    ordered = np.take_along_axis(flat, order, axis=1)
    twice = np.broadcast_to(np.arange(0, 2 * size, 2), flat.shape).copy()
    _share_ranks(twice.reshape(-1), ordered[:, 1:] == ordered[:, :-1])
    scores = np.empty(flat.shape)
    half_ranks = _normal_score(np.arange(1.0, size + 0.5, 0.5), size)
    np.put_along_axis(scores, order, half_ranks[twice], axis=1)
    return scores.reshape(values.shape)


def _share_ranks(twice: NDArray[np.intp], same: NDArray[np.bool_]) -> None:
    """Give equal values the mean of their ranks, in place; all numbers are twice the ranks.

    `twice` has shape (element times value,), and `same` says whether an ordered value is equal to
    the next, shape (element, value - 1).
    """
    edge = np.zeros((len(same), 1), bool)
    change = np.diff(np.hstack([same, edge]).reshape(-1), prepend=False)
    first, last = np.flatnonzero(change).reshape(-1, 2).T  # of every run of equal values
    counts = last - first + 1
    place = (
        np.repeat(first, counts)
        + np.arange(counts.sum())
        - np.repeat(np.cumsum(counts) - counts, counts)
    )
    twice[place] = np.repeat((twice[first] + twice[last]) // 2, counts)


def _normal_score(ranks: Array, size: int) -> Array:
    from scipy.special import ndtri

    return ndtri((ranks - 3 / 8) / (size + 1 / 4))


def _rhat(values: Array) -> Array:
    n = values.shape[2]
    between = n * values.mean(axis=2).var(axis=1, ddof=1)
    within = values.var(axis=2, ddof=1).mean(axis=1)
    with np.errstate(invalid="ignore", divide="ignore"):  # an element that never moves has none
        return np.sqrt((between / within + n - 1) / n)


def _effective_size(values: Array) -> Array:
    """Compute effective sizes by Geyer's initial monotone sequence of autocorrelations."""
    _, n_chains, n = values.shape
    covariance = _autocovariance(values)
    within = covariance[:, :1] * n / (n - 1)
    total = within * (n - 1) / n + values.mean(axis=2).var(axis=1, ddof=1)[:, None]
    with np.errstate(invalid="ignore", divide="ignore"):
        rho = 1 - (within - covariance) / total
    rho[:, 0] = 1
    n_pairs = 1 + max(0, (n - 3) // 2)
    even, odd = rho[:, 0 : 2 * n_pairs : 2], rho[:, 1 : 2 * n_pairs : 2]
    pairs = even + odd
    ends = pairs <= 0
    ends[:, -1] = True
    last = ends.argmax(axis=1)[:, None]
    summed = np.where(np.arange(n_pairs) < last, np.minimum.accumulate(pairs, axis=1), 0)
    end, pair = (np.take_along_axis(values, last, axis=1)[:, 0] for values in (even, pairs))
    tau = -1 + 2 * summed.sum(axis=1) + np.where((end > 0) | (pair >= 0), end, 0)
    size = n_chains * n
    found = size / np.maximum(tau, 1 / np.log10(size))
    is_constant = np.ptp(values, axis=(1, 2)) < np.finfo(float).resolution
    return np.where(is_constant, size, found)


def _autocovariance(values: Array) -> Array:
    """Compute autocovariances at every lag, averaged over the chains; (element, lag)."""
    from scipy.fft import next_fast_len

    n = values.shape[2]
    size = next_fast_len(2 * n, real=True)  # not less than twice the draws: no lag wraps around
    spectrum = np.fft.rfft(values - values.mean(axis=2, keepdims=True), n=size, axis=2)
    power = (spectrum.real**2 + spectrum.imag**2).mean(axis=1)
    return np.fft.irfft(power, n=size, axis=1)[:, :n] / n
