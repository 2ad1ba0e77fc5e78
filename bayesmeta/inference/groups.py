"""ArviZ groups beside the draws: what a fit predicts, its data, its densities and its prior."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import pandas as pd
import xarray as xr
from numpy.typing import NDArray

from bayesmeta.errors import QueryError, listing, shorten, suggest
from bayesmeta.inference.fit import EffectSizeFit, Fit
from bayesmeta.model import (
    Parameters,
    effect_distribution,
    pointwise_log_likelihood,
    simulate_scores,
)

__all__ = ["build_tree", "label_observations", "log_density"]

_OF_EVERY_FIT = ("posterior_predictive", "observed_data", "constant_data", "log_likelihood")
_OF_SCORES = ("log_prior", "prior", "prior_predictive")
"""Groups that need the graph of the model, which is there for fits of scores only."""

_VARIABLE = "y"


def build_tree(fit: Fit | EffectSizeFit, *, groups: str | Sequence[str], seed: int) -> xr.DataTree:
    """Put computed groups beside those that a fit holds, see `Fit.to_datatree`."""
    wanted = _check_groups(fit, groups)
    tree = {name: node.to_dataset() for name, node in fit.posterior.children.items()}
    makers: dict[str, Callable[[], xr.Dataset]] = {
        "posterior_predictive": lambda: _attach(fit, _simulate(fit, fit.parameters, seed=seed)),
        "observed_data": lambda: _attach(fit, _observed(fit)),
        "constant_data": lambda: _describe(fit),
        "log_likelihood": lambda: _attach(fit, log_density(fit)),
    }
    tree |= {name: make() for name, make in makers.items() if name in wanted}
    if isinstance(fit, Fit):
        tree |= _build_prior(fit, wanted, seed=seed)
    return xr.DataTree.from_dict(tree)


def _check_groups(fit: Fit | EffectSizeFit, groups: str | Sequence[str]) -> tuple[str, ...]:
    """Give the names that are asked for; refuse those that a fit has no group for."""
    allowed = _OF_EVERY_FIT + (_OF_SCORES if isinstance(fit, Fit) else ())
    if isinstance(groups, str):
        groups = allowed if groups == "all" else (groups,)
    for name in groups:
        if name not in allowed:
            raise QueryError(
                f"group '{shorten(name)}' cannot be computed of {type(fit).__name__}."
                f"{suggest(name, allowed)} Allowed: all, or some of {listing(allowed)}. Correct "
                "the name or leave it out; the draws are in every tree."
            )
    return tuple(groups)


def _build_prior(fit: Fit, wanted: Sequence[str], *, seed: int) -> dict[str, xr.Dataset]:
    """Compute the groups that need the graph."""
    from bayesmeta.inference.prior import log_prior, sample_prior

    out = {"log_prior": log_prior(fit)} if "log_prior" in wanted else {}
    if not {"prior", "prior_predictive"} & set(wanted):
        return out
    prior = sample_prior(fit.dataset, fit.spec, seed=seed)
    made = {
        "prior": lambda: prior.draws,
        "prior_predictive": lambda: _attach(prior, _simulate(prior, prior.parameters, seed=seed)),
    }
    return out | {name: make() for name, make in made.items() if name in wanted}


def label_observations(fit: Fit | EffectSizeFit) -> pd.DataFrame:
    """Say what each score, or each effect size, is about: one row each, in the data's order."""
    if isinstance(fit, EffectSizeFit):
        data = fit.dataset
        return data.frame[list(data.groups)].assign(study=list(data.studies))
    design, outcomes = fit.design, fit.design.outcomes
    lms, benchmarks = np.array(design.lms), np.array(design.benchmarks)
    return pd.DataFrame(
        {
            "lm": lms[outcomes.lm_index],
            "lm_family": np.array(design.lm_families)[design.lm_family_index[outcomes.lm_index]],
            "benchmark": benchmarks[outcomes.benchmark_index],
            "task_family": np.array(design.task_families)[
                design.task_family_index[outcomes.benchmark_index]
            ],
        }
    )


def log_density(fit: Fit | EffectSizeFit) -> NDArray[np.float64]:
    """Log densities of the observations, shape (chain, draw, obs)."""
    if isinstance(fit, EffectSizeFit):
        found = effect_distribution(fit.parameters, design=fit.design, spec=fit.spec)
        return found.log_density()
    return pointwise_log_likelihood(fit.parameters, design=fit.design, spec=fit.spec)


def _simulate(
    fit: Fit | EffectSizeFit, parameters: Parameters, *, seed: int
) -> NDArray[np.float64]:
    """Draw observations from the model, shape (chain, draw, obs)."""
    if isinstance(fit, EffectSizeFit):
        law = effect_distribution(parameters, design=fit.design, spec=fit.spec)
        return law.draw(np.random.default_rng(seed))
    return simulate_scores(parameters, design=fit.design, spec=fit.spec, seed=seed)


def _observed(fit: Fit | EffectSizeFit) -> NDArray[np.float64]:
    return fit.design.y if isinstance(fit, EffectSizeFit) else fit.design.outcomes.y


def _describe(fit: Fit | EffectSizeFit) -> xr.Dataset:
    """Give what is known of the observations beside their values."""
    if isinstance(fit, EffectSizeFit):
        design = fit.design
        moderators = ("study", "moderator"), design.X
        known = _attach(fit, design.se, name="se")
        return known.assign(X=moderators).assign_coords(moderator=list(design.moderators))
    outcomes = fit.design.outcomes
    known = _attach(fit, outcomes.se, name="se")
    sizes = fit.dataset.lms[["n_params", "n_tokens"]].to_numpy(float)[outcomes.lm_index]
    return known.assign(n_params=("obs", sizes[:, 0]), n_tokens=("obs", sizes[:, 1]))


def _attach(
    fit: Fit | EffectSizeFit, values: NDArray[np.float64], *, name: str = _VARIABLE
) -> xr.Dataset:
    """Label values of shape (obs,) or (chain, draw, obs): scores by number, effects by study."""
    labels = label_observations(fit)
    dim = "study" if "study" in labels else "obs"
    coords: dict[str, object] = {
        str(column): (dim, np.array([str(label) for label in labels[column]])) for column in labels
    }
    if dim == "obs":
        coords["obs"] = np.arange(len(labels))
    dims = ("chain", "draw", dim) if values.ndim > 1 else (dim,)
    if values.ndim > 1:
        coords |= {sample: fit.draws[sample].values for sample in ("chain", "draw")}
    return xr.Dataset({name: (dims, values)}, coords=coords)
