"""Sampling: the posterior by one of three samplers, or the prior; a fixed seed."""

from __future__ import annotations

import importlib.metadata
import logging
import platform
import time
from typing import TYPE_CHECKING, Any, TypedDict, Unpack, overload

import xarray as xr

from bayesmeta import defaults
from bayesmeta.data.dataset import Dataset
from bayesmeta.errors import FitError, unknown
from bayesmeta.inference.chains import STATISTICS, Stopping, run_chains
from bayesmeta.inference.fits import EffectSizeFit, Fit
from bayesmeta.inference.graph import build_graph, draw_prior, list_kept
from bayesmeta.jobs import count_processors, progress_bar, spinner
from bayesmeta.model.spec import ModelSpec
from bayesmeta.studies.study_model import EffectSizeSpec
from bayesmeta.studies.study_table import EffectSizes

if TYPE_CHECKING:
    import pymc as pm

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
    sampler: str
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
    sampler: str = "nutpie",
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
        Warm-up draws of every chain (400, or 700 of effect sizes and where `draws` is given, if
        left out), and the number of chains.
    cores
        Chains that run at once where `draws` is given; as many as there are processors if left out.
        Otherwise all run side by side.
    sampler
        `nutpie`, `pymc` or `numpyro`; all run the no-U-turn sampler (Hoffman & Gelman 2014,
        https://doi.org/10.48550/arXiv.1111.4246) on the same graph.
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
    stopping = _plan_draws(
        data, sampler, draws=draws, target_ess=target_ess, least=least_draws, most=most_draws
    )
    if tune is None:
        is_short = isinstance(data, Dataset) and stopping.target_ess is not None
        tune = defaults.SHORT_TUNE if is_short else defaults.TUNE
    _check_settings(sampler, tune=tune, chains=chains, seed=seed, cores=cores)
    started = time.perf_counter()
    model = build_graph(data, spec)
    names = list_kept(model)
    cores = cores if cores is not None else min(chains, count_processors())
    settings = {"seed": seed, "tune": tune, "chains": chains, "cores": cores}
    sample = _sample_nutpie if sampler == "nutpie" else _sample_pymc
    target = defaults.TARGET_ACCEPT if isinstance(data, Dataset) else defaults.EFFECT_TARGET_ACCEPT
    tree, compile_seconds = sample(
        model, names, stopping, progress=progress, sampler=sampler, target_accept=target, **settings
    )
    total = time.perf_counter() - started
    version = {"data_version": data.version} if isinstance(data, Dataset) else {}
    provenance = {
        "sampler": sampler,
        **settings,
        "draws": tree["posterior"].sizes["draw"],
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
    posterior = xr.DataTree.from_dict(
        {
            "posterior": tree["posterior"].to_dataset()[names],
            "sample_stats": tree["sample_stats"].to_dataset()[list(STATISTICS)],
        }
    )
    if isinstance(data, EffectSizes):
        assert isinstance(spec, EffectSizeSpec)
        return EffectSizeFit(posterior, spec=spec, dataset=data, provenance=provenance)
    assert isinstance(spec, ModelSpec)
    return Fit(posterior, spec=spec, dataset=data, provenance=provenance)


def _match_spec(
    data: Dataset | EffectSizes, spec: ModelSpec | EffectSizeSpec | None
) -> ModelSpec | EffectSizeSpec:
    """Give the spec, or the default one, that goes with the data."""
    if not isinstance(data, Dataset | EffectSizes):
        raise FitError(
            f"data is {data!r}. Allowed: a Dataset, such as bm.load_dataset() or "
            "bm.read_dataset(folder), or EffectSizes, as bm.read_effect_sizes makes them."
        )
    kind = ModelSpec if isinstance(data, Dataset) else EffectSizeSpec
    spec = spec if spec is not None else kind()
    if not isinstance(spec, kind):
        raise FitError(
            f"spec is {spec!r}. Allowed: for a Dataset a ModelSpec, for EffectSizes an "
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
    if sampler not in defaults.SAMPLERS:
        raise unknown(FitError, "sampler", sampler, defaults.SAMPLERS)
    if draws is not None or sampler != "nutpie":
        draws = draws if draws is not None else defaults.DRAWS
        _check_number("draws", draws, least=4)
        return Stopping(draws, draws)
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
    if isinstance(value, int) and value > defaults.LARGEST_SETTING:
        raise FitError(f"{name} is {value}. Allowed: at most {defaults.LARGEST_SETTING}.")
    if not isinstance(value, int) or value < least:
        raise FitError(f"{name} is {value}. Allowed: a whole number from {least} up.")


def _check_settings(sampler: str, *, tune: int, chains: int, seed: int, cores: int | None) -> None:
    for name, value, least in (("tune", tune, 1), ("chains", chains, 1), ("seed", seed, 0)):
        _check_number(name, value, least=least)
    if cores is not None and (not isinstance(cores, int) or cores < 1):
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


def _sample_nutpie(
    model: pm.Model,
    names: list[str],
    stopping: Stopping,
    *,
    progress: bool,
    sampler: str,
    **settings: Any,
) -> tuple[xr.DataTree, float]:
    """Compile once with numba, then sample."""
    import nutpie

    logger.info("compiling the model for %s", sampler)
    started = time.perf_counter()
    with spinner("compiling the model", shown=progress):
        compiled = nutpie.compile_pymc_model(model, var_names=names, freeze_model=True)
    seconds = time.perf_counter() - started
    total = settings["chains"] * (stopping.most + settings["tune"])
    label = "sampling" if stopping.target_ess is None else "sampling, at most"
    with progress_bar(label, total=total, unit="draws", shown=progress) as show:
        tree = run_chains(
            compiled,
            names=names,
            stopping=stopping,
            report=lambda drawn, divergent: show(drawn, f"{divergent} divergent"),
            adaptation="draw_diag",
            **settings,
        )
    return tree, seconds


def _sample_pymc(
    model: pm.Model,
    names: list[str],
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

    with model:
        tree = pm.sample(
            stopping.most,
            **settings,
            random_seed=seed,
            progressbar=progress,
            nuts_sampler=sampler,
            var_names=names,
            nuts={"target_accept": target_accept},
            compute_convergence_checks=False,
        )
    if tree["posterior"].sizes["draw"] < stopping.most:  # PyMC hands back what it has
        raise KeyboardInterrupt
    return tree, 0.0


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
                f"{name} is {value!r}. Allowed: a {kind.__name__}, such as bm.load_dataset() for "
                "data and bm.ModelSpec() for spec."
            )
    if not isinstance(draws, int) or not 1 <= draws <= defaults.LARGEST_SETTING:
        raise FitError(f"draws is {draws!r}. Allowed: a whole number from 1 up.")
    return Fit(
        posterior=draw_prior(data, spec, draws=draws, seed=seed),
        spec=spec,
        dataset=data,
        provenance={"sampler": "prior", "seed": seed, "draws": draws},
    )
