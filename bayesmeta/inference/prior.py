"""The prior as draws, and the prior density of posterior draws."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import numpy as np
import xarray as xr

from bayesmeta import defaults
from bayesmeta.data import Dataset
from bayesmeta.errors import FitError
from bayesmeta.inference.fit import Fit
from bayesmeta.inference.sample import list_kept
from bayesmeta.model import ModelSpec, build_design_for

if TYPE_CHECKING:
    import pymc as pm

__all__ = ["log_prior", "sample_prior"]


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
        If data or spec are of another kind, or the number of draws makes no sense.

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
    import pymc as pm

    model = _build(data, spec)
    with model, _without_list_of_variables():
        tree = pm.sample_prior_predictive(draws, var_names=list_kept(model), random_seed=seed)
    return Fit(
        posterior=xr.DataTree.from_dict({"posterior": tree["prior"].to_dataset()}),
        spec=spec,
        dataset=data,
        provenance={"sampler": "prior", "seed": seed, "draws": draws},
    )


def log_prior(fit: Fit) -> xr.Dataset:
    """Compute the log prior density of what stands at the top of the model.

    These are intercepts, mean slopes, scales and shares of variance. Weights that have a learned
    scale are left out: their prior is a part of the model that the scale adapts, and is not stated
    by anybody (Kallioinen et al. 2024, https://doi.org/10.1007/s11222-023-10366-5, section 2.3).

    Parameters
    ----------
    fit
        A fit.

    Returns
    -------
    xarray.Dataset
        A variable for each parameter with dims chain, draw and its own.

    Examples
    --------
    >>> import bayesmeta as bm
    >>> found = log_prior(bm.load_reference_fit())
    >>> "tau_beta" in found, "beta" in found
    (True, False)
    """
    import arviz as az
    import pymc as pm

    model = _build(fit.dataset, fit.spec)
    kept = set(list_kept(model))
    names = [str(variable.name) for variable in model.free_RVs if variable.name in kept]
    names = [name for name in names if name not in _ADAPTED]
    shapes, (chains, draws) = model.eval_rv_shapes(), fit.shape
    # Offsets are not kept; their density is not asked for, but the graph wants a value.
    offsets = {
        str(variable.name): np.zeros((chains, draws, *shapes[variable.name]))
        for variable in model.free_RVs
        if variable.name not in kept
    }
    values = {name: np.asarray(fit.parameters[name]) for name in kept}
    tree = az.from_dict({"posterior": {**values, **offsets}})
    with model:
        found = pm.stats.compute_log_prior(
            tree, var_names=names, extend_inferencedata=False, progressbar=False
        )
    density = found if isinstance(found, xr.Dataset) else found.to_dataset()
    return density.assign_coords(chain=fit.draws["chain"], draw=fit.draws["draw"])


_ADAPTED = ("u", "v", "w")
"""Effects whose scale is a parameter of its own."""


def _build(data: Dataset, spec: ModelSpec) -> pm.Model:
    from bayesmeta.model.build import build_model

    return build_model(build_design_for(data, spec=spec), spec=spec)


@contextmanager
def _without_list_of_variables() -> Iterator[None]:
    """Keep PyMC from listing all variables, which is no news."""
    log = logging.getLogger("pymc.sampling.forward")
    level = log.level
    log.setLevel(logging.WARNING)
    try:
        yield
    finally:
        log.setLevel(level)
