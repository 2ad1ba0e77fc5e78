"""Sampling: the posterior by one of three samplers, or the prior; a fixed seed."""

from __future__ import annotations

import importlib.metadata
import logging
import platform
import time
from dataclasses import replace
from numbers import Integral, Real
from typing import Any, TypedDict, Unpack, overload

import numpy as np
import xarray as xr

from bayesmeta import defaults
from bayesmeta.data.dataset import Dataset
from bayesmeta.errors import FitError, listing, name_given, unknown
from bayesmeta.inference.chains import (
    NO_U_TURN,
    STATISTICS,
    Stopping,
    choose_trajectories,
    run_chains,
)
from bayesmeta.inference.fits import EffectSizeFit, Fit
from bayesmeta.inference.graph import build_graph, compile_for, draw_prior, list_kept
from bayesmeta.jobs import count_processors, progress_bar, spinner
from bayesmeta.model.spec import ModelSpec
from bayesmeta.studies.exact_posterior import is_exact, sample_exactly
from bayesmeta.studies.study_model import (
    EffectSizeSpec,
    build_study_design,
    label_steps,
    parameter_dims,
)
from bayesmeta.studies.study_table import EffectSizes

logger = logging.getLogger(__name__)

_RECORDED = ("bayesmeta", "pymc", "nutpie", "arviz", "numpy", "pytensor")


class _Settings(TypedDict, total=False):
    """Keyword arguments of `fit`, said once for both kinds of data."""

    seed: int
    draws: int | None
    target_ess: int
    least_draws: int | None
    most_draws: int
    tune: int | None
    chains: int
    cores: int | None
    sampler: str | None
    target_accept: float | None
    progress: bool


@overload
def fit(data: Dataset, spec: ModelSpec | None = None, **settings: Unpack[_Settings]) -> Fit: ...
@overload
def fit(
    data: EffectSizes, spec: EffectSizeSpec | None = None, **settings: Unpack[_Settings]
) -> EffectSizeFit: ...
def fit(
    data: Dataset | EffectSizes,
    spec: ModelSpec | EffectSizeSpec | None = None,
    *,
    seed: int = defaults.SEED,
    draws: int | None = None,
    target_ess: int = defaults.ESS_MIN,
    least_draws: int | None = None,
    most_draws: int = defaults.MOST_DRAWS,
    tune: int | None = None,
    chains: int = defaults.CHAINS,
    cores: int | None = None,
    sampler: str | None = None,
    target_accept: float | None = None,
    progress: bool = True,
) -> Fit | EffectSizeFit:
    """Sample the posterior of the model given the data.

    Parameters
    ----------
    data
        Validated tables of LMs and scores, or of effect sizes.
    spec
        The model; the default one for such data if left out: `ModelSpec()`, or `EffectSizeSpec()`.
    seed
        Seed of the sampler: the same seed, versions and machine give the same draws.
    draws
        Kept draws of every chain. If left out, nutpie draws until they are enough, and the other
        samplers 1000.
    target_ess
        Draws are enough when everything that `check` reports has so many effective ones, in bulk
        and tail, and an R-hat of at most 1.01. That is looked at after fixed numbers of draws, so
        that no machine's speed has a say.
    least_draws, most_draws
        Draws of every chain at the first look (300 if left out, and 1000 of effect sizes), and
        those at which chains end whether or not they are enough, as `check` then says.
    tune, chains
        Warm-up draws of every chain (150 of scores by nutpie and else 700, if left out), and the
        number of chains.
    cores
        Chains that run at once where `draws` is given; as many as there are processors if left out.
        Otherwise all run side by side.
    sampler
        `nutpie`, `pymc` or `numpyro`, all on the same graph: the no-U-turn sampler (Hoffman &
        Gelman 2014, https://doi.org/10.48550/arXiv.1111.4246), except for scores by nutpie, whose
        trajectories have a fixed length (Betancourt 2017,
        https://doi.org/10.48550/arXiv.1701.02434), so that scales move faster. Of effect sizes also
        `exact`: independent draws, within a second and without PyMC. If left out, `exact` where the
        likelihood can be summed out (all but Student-t errors and large tables with groups), and
        else `nutpie`.
    target_accept
        Share of proposals that the sampler aims to accept, between 0 and 1: 0.65 of scores by
        nutpie, 0.85 by the others, 0.99 of effect sizes, if left out. A higher one takes smaller
        steps, and helps where transitions diverge.
    progress
        Whether to show a progress bar on standard error.

    Returns
    -------
    Fit or EffectSizeFit
        Draws with dims chain and draw, and what made them. Look at `check` before using it.

    Raises
    ------
    FitError
        If data and spec do not belong together, the sampler is not known or not installed, or a
        number makes no sense.

    Examples
    --------
    >>> import bayesmeta as bm
    >>> bm.fit(bm.load_dataset(), draws=0)
    Traceback (most recent call last):
    ...
    bayesmeta.errors.FitError: draws is 0. Allowed: a whole number from 4 up.
    """
    spec = _match_spec(data, spec)
    sampler = _choose_sampler(data, spec, sampler)
    stopping = _plan_draws(
        data, sampler, draws=draws, target_ess=target_ess, least=least_draws, most=most_draws
    )
    if tune is None:
        is_short = isinstance(data, Dataset) and sampler == "nutpie"
        tune = defaults.SHORT_TUNE if is_short else defaults.TUNE
    _check_settings(sampler, tune=tune, chains=chains, seed=seed, cores=cores)
    if target_accept is not None:
        _check_share("target_accept", target_accept)
    started = time.perf_counter()
    cores = cores if cores is not None else min(chains, count_processors())
    counts = {"seed": seed, "tune": tune, "chains": chains, "cores": cores}
    settings = {name: int(value) for name, value in counts.items()}
    aimed = {} if target_accept is None else {"target_accept": float(target_accept)}
    if sampler == defaults.EXACT:
        posterior, compile_seconds = _sample_independently(data, spec, stopping, **settings), 0.0
    else:
        posterior, compile_seconds = _sample_chains(
            data, spec, stopping, progress=progress, sampler=sampler,
            target_accept=target_accept, **settings,
        )  # fmt: skip
    total = time.perf_counter() - started
    version = {"data_version": data.version} if isinstance(data, Dataset) else {}
    provenance = {
        "sampler": sampler,
        **settings,
        **aimed,
        "draws": posterior["posterior"].sizes["draw"],
        **stopping.describe(),
        **version,
        "data_checksum": data.checksum,
        "spec_checksum": spec.checksum,
        "seconds": {
            "compile": round(compile_seconds, 2),
            "sample": round(total - compile_seconds, 2),
            "total": round(total, 2),
        },
        "versions": {name: importlib.metadata.version(name) for name in _RECORDED},
        "python": platform.python_version(),
        "created": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
    }
    if isinstance(data, EffectSizes):
        assert isinstance(spec, EffectSizeSpec)
        fitted = EffectSizeFit(posterior, spec=spec, dataset=data, provenance=provenance)
        return replace(fitted, provenance={**provenance, "priors": fitted.prior_report})
    assert isinstance(spec, ModelSpec)
    return Fit(posterior, spec=spec, dataset=data, provenance=provenance)


def _choose_sampler(
    data: Dataset | EffectSizes, spec: ModelSpec | EffectSizeSpec, sampler: str | None
) -> str:
    """Take independent draws where they can be had, and refuse them where they cannot."""
    if isinstance(data, EffectSizes) and isinstance(spec, EffectSizeSpec):
        if spec.likelihood == "binomial" and not data.counts:
            raise FitError(
                "likelihood 'binomial' needs counts, and this table has effects. Allowed: a table "
                "read with counts=[events, total, control events, control total]; or 'normal'."
            )
        possible = is_exact(build_study_design(data, spec=spec), spec)
        if sampler is None:
            return defaults.EXACT if possible else "nutpie"
        if sampler != defaults.EXACT or possible:
            return sampler
        raise FitError(
            "sampler 'exact' cannot draw from this model: its errors are Student-t, or it has too "
            f"many groups. Allowed: {listing(defaults.SAMPLERS)}."
        )
    if sampler == defaults.EXACT:
        raise FitError(
            "sampler 'exact' is for effect sizes, and these data are scores of LMs. Allowed: "
            f"{listing(defaults.SAMPLERS)}."
        )
    return "nutpie" if sampler is None else sampler


def _sample_independently(
    data: Any, spec: Any, stopping: Stopping, *, seed: int, chains: int, **_: int
) -> xr.DataTree:
    """Draw independently, of effect sizes, and lay the draws out like those of chains."""
    draws = stopping.most
    design = build_study_design(data, spec=spec)
    found = sample_exactly(design, spec=spec, draws=draws * chains, seed=seed)
    dims = parameter_dims(design, spec)
    coords: dict[str, Any] = {name: list(labels) for name, labels in design.coords.items()}
    coords |= {"step": label_steps(spec)} if spec.selection else {}
    coords |= {"chain": np.arange(chains), "draw": np.arange(draws)}
    posterior = xr.Dataset(
        {
            name: (("chain", "draw", *dims[name]), values.reshape(chains, draws, *values.shape[1:]))
            for name, values in found.parameters.items()
        },
        coords=coords,
    )
    energy = -found.log_density.reshape(chains, draws)
    stats = xr.Dataset(
        {
            "diverging": (("chain", "draw"), np.zeros((chains, draws), bool)),
            "energy": (("chain", "draw"), energy),
        },
        coords={name: coords[name] for name in ("chain", "draw")},
    )
    return xr.DataTree.from_dict({"posterior": posterior, "sample_stats": stats})


def _sample_chains(
    data: Dataset | EffectSizes,
    spec: ModelSpec | EffectSizeSpec,
    stopping: Stopping,
    *,
    progress: bool,
    sampler: str,
    target_accept: float | None,
    **settings: int,
) -> tuple[xr.DataTree, float]:
    """Sample by Markov chains; give what is kept, and the seconds that compiling took."""
    sample = _sample_nutpie if sampler == "nutpie" else _sample_pymc
    usual = defaults.TARGET_ACCEPT if isinstance(data, Dataset) else defaults.EFFECT_TARGET_ACCEPT
    if isinstance(data, Dataset) and sampler == "nutpie":
        usual = defaults.TRAJECTORY_ACCEPT
    target = target_accept if target_accept is not None else usual
    return sample(
        data, spec, stopping, progress=progress, sampler=sampler, target_accept=target, **settings
    )


def _match_spec(
    data: Dataset | EffectSizes, spec: ModelSpec | EffectSizeSpec | None
) -> ModelSpec | EffectSizeSpec:
    """Give the spec, or the default one, that goes with the data."""
    if not isinstance(data, Dataset | EffectSizes):
        raise FitError(
            f"data is {name_given(data)}. Allowed: a Dataset, such as bm.load_dataset(), "
            "bm.read_dataset(folder) or, of frames, bm.Dataset.from_frames(lms, scores); or "
            "EffectSizes, as bm.read_effect_sizes makes them."
        )
    kind = ModelSpec if isinstance(data, Dataset) else EffectSizeSpec
    if spec is None and isinstance(data, EffectSizes) and data.counts:
        return EffectSizeSpec(likelihood="binomial")
    spec = spec if spec is not None else kind()
    if not isinstance(spec, kind):
        raise FitError(
            f"spec is {name_given(spec)}. Allowed: for a Dataset a ModelSpec, for EffectSizes an "
            f"EffectSizeSpec. These data are {type(data).__name__}: pass bm.{kind.__name__}(), or "
            "leave spec out."
        )
    return spec


def _plan_draws(
    data: Dataset | EffectSizes,
    sampler: str,
    *,
    draws: int | None,
    target_ess: int,
    least: int | None,
    most: int,
) -> Stopping:
    """Say how many draws there will be, or when they will be enough."""
    if sampler not in (*defaults.SAMPLERS, defaults.EXACT):
        raise unknown(FitError, "sampler", sampler, defaults.SAMPLERS)
    if draws is not None or sampler != "nutpie":
        draws = draws if draws is not None else defaults.DRAWS
        _check_number("draws", draws, least=4)
        return Stopping(int(draws), int(draws))
    _check_number("most_draws", most, least=4)
    _check_number("target_ess", target_ess, least=1)
    if least is None:
        usual = defaults.LEAST_DRAWS if isinstance(data, Dataset) else defaults.EFFECT_LEAST_DRAWS
        least = min(usual, most)
    _check_number("least_draws", least, least=4)
    if least > most:
        raise FitError(
            f"least_draws is {least} and most_draws {most}. Allowed: at most as many at the first "
            "look as at the last. Lower the one or raise the other."
        )
    return Stopping(least, most, target_ess)


def _check_number(name: str, value: int, *, least: int) -> None:
    if _is_whole(value) and value > defaults.LARGEST_SETTING:
        raise FitError(f"{name} is {value}. Allowed: at most {defaults.LARGEST_SETTING}.")
    if not _is_whole(value) or value < least:
        raise FitError(f"{name} is {value}. Allowed: a whole number from {least} up.")


def _check_share(name: str, value: float) -> None:
    if isinstance(value, bool) or not isinstance(value, Real) or not 0 < value < 1:
        raise FitError(f"{name} is {value!r}. Allowed: a number between 0 and 1, such as 0.9.")


def _check_settings(sampler: str, *, tune: int, chains: int, seed: int, cores: int | None) -> None:
    for name, value, least in (("tune", tune, 1), ("chains", chains, 1), ("seed", seed, 0)):
        _check_number(name, value, least=least)
    if cores is not None and (not _is_whole(cores) or cores < 1):
        raise FitError(
            f"cores is {cores!r}. Allowed: a whole number from 1 up, or None for as many as there "
            "are processors."
        )
    if sampler == "numpyro":
        try:
            importlib.metadata.version("numpyro")
        except importlib.metadata.PackageNotFoundError as error:
            raise FitError(
                "sampler 'numpyro' is not installed. Install it with: pip install bayesmeta[jax]"
            ) from error


def _is_whole(value: object) -> bool:
    return isinstance(value, Integral) and not isinstance(value, bool)


def _sample_nutpie(
    data: Dataset | EffectSizes,
    spec: ModelSpec | EffectSizeSpec,
    stopping: Stopping,
    *,
    progress: bool,
    sampler: str,
    **settings: Any,
) -> tuple[xr.DataTree, float]:
    """Compile with numba, unless that was done before, then sample."""
    logger.info("compiling the model for %s", sampler)
    started = time.perf_counter()
    with spinner("compiling the model", shown=progress):
        compiled, names = compile_for(data, spec)
    seconds = time.perf_counter() - started
    is_lms = isinstance(data, Dataset)
    how = choose_trajectories(compiled.n_dim) if is_lms else NO_U_TURN
    total = settings["chains"] * (stopping.most + settings["tune"])
    label = "sampling" if stopping.target_ess is None else "sampling, at most"
    with progress_bar(label, total=total, unit="draws", shown=progress) as show:
        tree = run_chains(
            compiled,
            names=names,
            stopping=stopping,
            report=lambda drawn, divergent: show(drawn, f"{divergent} divergent"),
            **{**how, **settings},
        )
    return tree, seconds


def _sample_pymc(
    data: Dataset | EffectSizes,
    spec: ModelSpec | EffectSizeSpec,
    stopping: Stopping,
    *,
    seed: int,
    progress: bool,
    sampler: Any,
    target_accept: float,
    **settings: Any,
) -> tuple[xr.DataTree, float]:
    """Sample with PyMC's own sampler or numpyro; compile time is part of the sampling time."""
    import pymc as pm

    model = build_graph(data, spec)
    names = list_kept(model)
    aims = {"target_accept": target_accept, **_place_chains(sampler)}
    with model:
        tree = pm.sample(
            stopping.most,
            **settings,
            random_seed=seed,
            progressbar=progress,
            nuts_sampler=sampler,
            var_names=names,
            nuts=aims,
            compute_convergence_checks=False,
        )
    if tree["posterior"].sizes["draw"] < stopping.most:  # PyMC hands back what it has
        raise KeyboardInterrupt
    kept = {
        "posterior": tree["posterior"].to_dataset()[names],
        "sample_stats": tree["sample_stats"].to_dataset()[list(STATISTICS)],
    }
    return xr.DataTree.from_dict(kept), 0.0


def _place_chains(sampler: str) -> dict[str, str]:
    """Let all chains of numpyro step together on an accelerator, which has one device for all."""
    if sampler != "numpyro":
        return {}
    import pymc.sampling.jax  # noqa: F401  # first, since it gives every chain a device of its own
    from jax import default_backend

    return {} if default_backend() == "cpu" else {"chain_method": "vectorized"}


def sample_prior(
    data: Dataset,
    spec: ModelSpec | None = None,
    *,
    draws: int = defaults.PRIOR_DRAWS,
    seed: int = defaults.SEED,
) -> Fit:
    """Draw every parameter from the prior.

    What comes out can be asked everything that a fit can be asked: `effects` of it are the prior
    effects in percentage points. It is no fit to report, and there is nothing in it to `check`.

    Parameters
    ----------
    data
        Validated tables. The scores say nothing here, except where the centres and floors of the
        benchmarks lie.
    spec
        The model; the default one if left out.
    draws
        Number of independent draws.
    seed
        Seed of the random numbers.

    Returns
    -------
    Fit
        One chain; the `sampler` in its provenance is `prior`.

    Raises
    ------
    FitError
        If data or spec are of another kind (effect sizes have no prior fit), or the number of draws
        makes no sense.

    Examples
    --------
    >>> import bayesmeta as bm
    >>> spec = bm.ModelSpec(decisions=("norm",), interactions="none")
    >>> prior = sample_prior(bm.load_dataset(), spec, draws=50)
    >>> prior.parameters["beta"].shape
    (1, 50, 3, 13)
    """
    spec = spec if spec is not None else ModelSpec()
    for name, value, kind in (("data", data, Dataset), ("spec", spec, ModelSpec)):
        if not isinstance(value, kind):
            raise FitError(
                f"{name} is {name_given(value)}. Allowed: a {kind.__name__}, such as "
                "bm.load_dataset() for data and bm.ModelSpec() for spec."
            )
    if not _is_whole(draws) or not 1 <= draws <= defaults.LARGEST_SETTING:
        raise FitError(f"draws is {draws!r}. Allowed: a whole number from 1 up.")
    return Fit(
        posterior=draw_prior(data, spec, draws=draws, seed=seed),
        spec=spec,
        dataset=data,
        provenance={"sampler": "prior", "seed": seed, "draws": draws},
    )
