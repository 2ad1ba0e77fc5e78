"""Chains of a compiled graph, side by side, until there are enough draws."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from bayesmeta import defaults
from bayesmeta.inference.convergence import find_insufficient, stack_draws

_POLL_SECONDS = 0.1
_REFRESH_MS = 100

STATISTICS = ("diverging", "energy")
"""What is kept of the sampler's statistics: what every sampler has."""


NO_U_TURN: Final[Mapping[str, Any]] = {"adaptation": "draw_diag"}
"""The no-U-turn sampler (Hoffman & Gelman 2014, https://doi.org/10.48550/arXiv.1111.4246), with the
mass matrix of its draws."""

FIXED_LENGTH: Final[Mapping[str, Any]] = {
    "adaptation": "diag",
    "check_turning": False,
    "target_integration_time": defaults.TRAJECTORY,
    "target_accept": defaults.TRAJECTORY_ACCEPT,
}
"""Trajectories of a fixed length, of whose points one is drawn by its density (multinomial
Hamiltonian Monte Carlo: Betancourt 2017, https://doi.org/10.48550/arXiv.1701.02434).

The mass matrix balances draws and gradients, which allows steps three times as long; where
trajectories end at a U-turn, scales lag behind under it. nutpie has two more ways to longer
trajectories, `extra_doublings` and `mindepth`, which do not leave the distribution as it is:
quantiles of a funnel's scale were off by 20 standard errors."""


def choose_trajectories(n_values: int) -> dict[str, Any]:
    """Choose trajectories for a posterior of so many unknown values: `FIXED_LENGTH`, or longer.

    nutpie takes steps by powers of two, so that lengths between would double the steps of those
    chains alone whose steps are a little shorter.

    Examples
    --------
    >>> choose_trajectories(7000)["target_integration_time"]
    14.0
    """
    times = 2.0 ** max(0, round(math.log2(n_values / defaults.TRAJECTORY_VALUES)))
    return {**FIXED_LENGTH, "target_integration_time": defaults.TRAJECTORY * times}


@dataclass(frozen=True, slots=True)
class Stopping:
    """When chains have drawn enough: once everything reported passes, looked at now and then.

    Looks are at fixed numbers of draws, each at the first draws of every chain, and the first that
    passes decides. Whatever the chains have drawn beyond is left out, so that the same seed stops
    at the same draw on every machine, however fast its chains are.

    Parameters
    ----------
    least, most
        Draws of every chain at the first look, and at the last.
    target_ess
        Effective draws, bulk and tail, of everything reported; R-hat is to be at most 1.01. None
        where the number of draws is fixed.
    """

    least: int
    most: int
    target_ess: float | None = None

    def describe(self) -> dict[str, Any]:
        """Say for the provenance when chains were to stop; nothing where that was fixed."""
        if self.target_ess is None:
            return {}
        rule = {"least_draws": self.least, "most_draws": self.most, "every": defaults.LOOK_EVERY}
        return {"stopping": {"target_ess": self.target_ess, "rhat": defaults.RHAT_MAX, **rule}}

    def list_looks(self) -> list[int]:
        """List the numbers of draws at which is looked."""
        return [*range(self.least, self.most, defaults.LOOK_EVERY), self.most]


def run_chains(
    compiled: Any,
    *,
    names: Sequence[str],
    stopping: Stopping,
    cores: int,
    report: Callable[[int, int], object] = lambda drawn, divergent: None,
    **settings: Any,
) -> xr.DataTree:
    """Sample a compiled graph by nutpie until there are enough draws.

    Parameters
    ----------
    compiled
        What nutpie compiled.
    names
        What is reported, in the order in which it is kept.
    stopping
        When to stop.
    cores
        Chains that run at once where the number of draws is fixed. Else all run at once, since a
        look needs draws of all.
    report
        Told the number of draws of all chains so far, warm-up included, and of divergences.
    **settings
        Chains, tune, seed, target_accept and `NO_U_TURN` or `FIXED_LENGTH`: see `nutpie.sample`.

    Returns
    -------
    xarray.DataTree
        Groups `posterior` and `sample_stats`, as many draws of every chain.

    Raises
    ------
    KeyboardInterrupt
        If interrupted; the chains are ended.
    """
    import nutpie

    least = [0]

    def count(chains: Sequence[Any]) -> None:
        least[0] = min(chain.finished_draws for chain in chains)
        report(
            sum(chain.finished_draws for chain in chains),
            sum(chain.divergences for chain in chains),
        )

    is_fixed = stopping.target_ess is None
    sampler: Any = nutpie.sample(
        compiled,
        draws=stopping.most,
        cores=cores if is_fixed else settings["chains"],
        save_warmup=False,
        progress_bar=False,
        progress_callback=count,
        progress_rate=_REFRESH_MS,
        blocking=False,
        return_raw_trace=True,
        **settings,
    )
    with contextlib.ExitStack() as broken_off:
        broken_off.callback(sampler.cancel)  # by an interruption, or whatever else comes between
        draws = _look(sampler, least, names=names, stopping=stopping, tune=settings["tune"])
        broken_off.pop_all()
    return _label(draws, names=names, compiled=compiled)


def _look(
    sampler: Any, least: list[int], *, names: Sequence[str], stopping: Stopping, tune: int
) -> dict[str, NDArray[Any]]:
    """Look at the draws as they come, end the chains, and give all draws of the last look."""
    batches: Any = None
    now: Any = None
    n, seen, insufficient = stopping.most, 0, np.empty(0, np.intp)
    rounded: list[NDArray[np.float32]] = []
    for n in stopping.list_looks():
        now = None  # a copy of all draws, gone before the next one is made
        while batches is None and (n == stopping.most or least[0] < tune + n):
            with contextlib.suppress(TimeoutError):
                batches = sampler.wait(timeout=_POLL_SECONDS).get_arrow_trace()
        now = batches if batches is not None else sampler.inspect().get_arrow_trace()
        if stopping.target_ess is None:
            continue
        rounded.append(stack_draws(_read(now, names, start=seen, stop=n).values()))
        seen = n
        with contextlib.nullcontext() if batches is not None else _paused(sampler):
            insufficient = find_insufficient(
                np.concatenate(rounded, axis=2),
                target_ess=stopping.target_ess,
                first=insufficient,
            )
        if not len(insufficient):
            break
    if batches is None:
        sampler.cancel()
    return _read(now, [*names, *STATISTICS], start=0, stop=n)


@contextlib.contextmanager
def _paused(sampler: Any) -> Iterator[None]:
    """Leave the processors to something else; a paused sampler can be neither read nor ended."""
    sampler.pause()
    try:
        yield
    finally:
        sampler.resume()


def _read(
    batches: tuple[Any, Any], names: Sequence[str], *, start: int, stop: int
) -> dict[str, NDArray[Any]]:
    """Read draws of every chain, from one number up to another; each (chain, draw, ...)."""
    import pyarrow as pa

    found: dict[str, list[NDArray[Any]]] = {name: [] for name in names}
    for draws, statistics in zip(*batches, strict=True):
        tuning = int(np.asarray(pa.array(statistics.column("tuning"))).sum())
        for name, values in found.items():
            column = (statistics if name in STATISTICS else draws).column(name)
            kept = pa.array(column).slice(tuning + start, stop - start)
            shape = _shape(column.field.metadata)
            flat = (kept.flatten() if shape else kept).to_numpy(zero_copy_only=False)
            values.append(flat.reshape(stop - start, *shape))
    return {name: np.stack(values) for name, values in found.items()}


def _shape(metadata: Mapping[bytes, bytes]) -> tuple[int, ...]:
    """Shape of one draw, as nutpie writes it beside a column."""
    text = metadata.get(b"shape", b"").decode()
    return tuple(int(size) for size in text.split(",")) if text else ()


def _label(
    draws: Mapping[str, NDArray[Any]], *, names: Sequence[str], compiled: Any
) -> xr.DataTree:
    """Give draws and statistics their dims and coordinates."""
    import arviz as az

    return az.from_dict(
        {
            "posterior": {name: draws[name] for name in names},
            "sample_stats": {name: draws[name] for name in STATISTICS},
        },
        dims={name: list(dims) for name, dims in compiled.dims.items()},
        coords=compiled.coords,
    )
