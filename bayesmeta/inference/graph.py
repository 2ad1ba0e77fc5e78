"""What the graph of a model is asked: what is kept of it, draws of the prior and their density."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr

from bayesmeta.data.dataset import Dataset
from bayesmeta.design.facts import Design, training_data
from bayesmeta.design.overlap import describe_overlaps, find_overlaps
from bayesmeta.inference.compiled import compile_graph, hash_design
from bayesmeta.jobs import hush
from bayesmeta.model.predictor import Parameters
from bayesmeta.model.spec import ModelSpec, build_design_for
from bayesmeta.studies.study_model import EffectSizeSpec, build_study_design, label_steps
from bayesmeta.studies.study_table import EffectSizes

if TYPE_CHECKING:
    import pymc as pm

logger = logging.getLogger(__name__)

_ADAPTED = ("u", "v", "w")
"""Effects whose scale is a parameter of its own."""


def build_graph(data: Dataset | EffectSizes, spec: ModelSpec | EffectSizeSpec) -> pm.Model:
    """Build the model that goes with the data. This imports PyMC."""
    if isinstance(data, EffectSizes):
        from bayesmeta.studies.study_graph import build_effect_model

        assert isinstance(spec, EffectSizeSpec)
        return build_effect_model(build_study_design(data, spec=spec), spec=spec)
    from bayesmeta.model.blocks import build_model

    assert isinstance(spec, ModelSpec)
    return build_model(_build_design(data, spec), spec=spec)


def _build_design(data: Dataset, spec: ModelSpec) -> Design:
    """Build the design, and warn of decisions that are combinations of others."""
    design = build_design_for(data, spec=spec)
    overlaps = find_overlaps(design, decisions=spec.choose_decisions(design.known_decisions))
    if overlaps:
        logger.warning(describe_overlaps(overlaps))
    return design


def compile_for(
    data: Dataset | EffectSizes, spec: ModelSpec | EffectSizeSpec
) -> tuple[Any, list[str]]:
    """Compile the model that goes with the data, for nutpie; and name what is reported of it.

    Scores and what follows from them are data of the compiled graph, so that tables with other
    scores, and refits to a part of them, share it. Effect sizes are constants in theirs.
    """
    if isinstance(data, EffectSizes):
        assert isinstance(spec, EffectSizeSpec)
        key = ("effect sizes", spec.checksum, data.checksum)
        coords = {**build_study_design(data, spec=spec).coords, "step": label_steps(spec)}
        return compile_graph(lambda: _name_kept(build_graph(data, spec)), key, coords=coords)
    assert isinstance(spec, ModelSpec)
    design = _build_design(data, spec)

    def build() -> tuple[pm.Model, list[str]]:
        from bayesmeta.model.blocks import build_model

        return _name_kept(build_model(design, spec=spec))

    key = ("scores", spec.checksum, hash_design(design))
    return compile_graph(build, key, coords=design.coords, data=training_data(design))


def _name_kept(model: pm.Model) -> tuple[pm.Model, list[str]]:
    return model, list_kept(model)


def list_kept(model: pm.Model) -> list[str]:
    """Name what is kept: not the offsets and unconstrained twins that nobody asks for."""
    names = [str(variable.name) for variable in model.unobserved_value_vars]
    return [name for name in names if not name.startswith("z_") and not name.endswith("__")]


def draw_prior(data: Dataset, spec: ModelSpec, *, draws: int, seed: int) -> xr.DataTree:
    """Draw every parameter from the prior: one chain in the group `posterior`."""
    import pymc as pm

    model = build_graph(data, spec)
    # PyMC lists all variables, which is no news.
    with model, hush("pymc.sampling.forward", below=logging.WARNING):
        tree = pm.sample_prior_predictive(draws, var_names=list_kept(model), random_seed=seed)
    return xr.DataTree.from_dict({"posterior": tree["prior"].to_dataset()})


def prior_density(parameters: Parameters, *, data: Dataset, spec: ModelSpec) -> xr.Dataset:
    """Compute log prior densities of draws of shape (chain, draw, ...), see `Fit.log_prior`."""
    import arviz as az
    import pymc as pm

    model = build_graph(data, spec)
    kept = set(list_kept(model))
    names = [str(variable.name) for variable in model.free_RVs if variable.name in kept]
    values = {name: np.asarray(parameters[name]) for name in kept}
    shapes, sample = model.eval_rv_shapes(), next(iter(values.values())).shape[:2]
    # Offsets are not kept; their density is not asked for, but the graph wants a value.
    offsets = {
        str(variable.name): np.zeros((*sample, *shapes[variable.name]))
        for variable in model.free_RVs
        if variable.name not in kept
    }
    tree = az.from_dict({"posterior": {**values, **offsets}})
    with model:
        found = pm.stats.compute_log_prior(
            tree,
            var_names=[name for name in names if name not in _ADAPTED],
            extend_inferencedata=False,
            progressbar=False,
        )
    return found if isinstance(found, xr.Dataset) else found.to_dataset()
