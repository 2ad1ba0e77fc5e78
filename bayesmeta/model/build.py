"""Spec and design to a `pm.Model`. Importing this module imports PyMC."""

from __future__ import annotations

import logging

import numpy as np
import pymc as pm

from bayesmeta.design import Design, describe_overlaps, find_overlaps
from bayesmeta.model import blocks
from bayesmeta.model.scaling import law_block
from bayesmeta.model.spec import ModelSpec
from bayesmeta.model.surface import surface_block

__all__ = ["build_model"]

logger = logging.getLogger(__name__)


def build_model(design: Design, *, spec: ModelSpec) -> pm.Model:
    """Build the hierarchical model of all scores.

    Parameters
    ----------
    design
        Arrays and coordinates.
    spec
        Which blocks, in which form, under which priors.

    Returns
    -------
    pymc.Model
        Observed variable `y` with dim obs, and `k` with dim count where scores are counts (both
        dims number the scores of the dataset); named variables as in `model.simulate`.

    Examples
    --------
    >>> from bayesmeta.data import load_dataset
    >>> from bayesmeta.model import ModelSpec, build_design_for
    >>> spec = ModelSpec(decisions=())
    >>> build_model(build_design_for(load_dataset(), spec=spec), spec=spec)["y"].name
    'y'
    """
    overlaps = find_overlaps(design, decisions=spec.decisions)
    if overlaps:
        logger.warning(describe_overlaps(overlaps))
    coords = {name: list(labels) for name, labels in design.coords.items()}
    rows = {name: np.flatnonzero(mask) for name, mask in blocks.observed_rows(design).items()}
    arrays = blocks.training_data(design)
    with pm.Model(coords={**coords, **rows}) as model:
        data = {name: pm.Data(name, values) for name, values in arrays.items()}
        eta = blocks.scale_block(design, spec, data)
        if spec.scaling == "chinchilla":
            eta = eta + law_block(design, spec, data)
        if design.terms:
            X, mix = blocks.missing_block(design, spec.priors)
            eta = eta + blocks.decision_block(design, spec, data, X)
            if design.code_basis is not None and mix is not None:
                eta = eta + blocks.curve_block(design, spec, data, mix)
        if design.surface is not None:
            eta = eta + surface_block(design, spec, data)
        effect, residual = blocks.family_block(design, spec, data)
        blocks.likelihood_block(design, spec, data, eta + effect, residual)
    return model
