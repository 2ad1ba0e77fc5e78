"""Spec and design to a `pm.Model`. Importing this module imports PyMC."""

from __future__ import annotations

import logging

import numpy as np
import pymc as pm

from bayesmeta.design.facts import Design
from bayesmeta.design.overlap import describe_overlaps, find_overlaps
from bayesmeta.model import blocks
from bayesmeta.model.likelihood import likelihood_block
from bayesmeta.model.spec import ModelSpec

__all__ = ["build_fact_model", "build_model"]

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
        Observed variable `y` with dim obs, which numbers the scores of the dataset, and `generated`
        where what lms write is measured; named variables as in `model.simulate`.

    Examples
    --------
    >>> from bayesmeta.data.load import load_dataset
    >>> from bayesmeta.model.spec import ModelSpec
    >>> from bayesmeta.model.spec import build_design_for
    >>> spec = ModelSpec(decisions=())
    >>> build_model(build_design_for(load_dataset(), spec=spec), spec=spec)["y"].name
    'y'
    """
    overlaps = find_overlaps(design, decisions=spec.decisions)
    if overlaps:
        logger.warning(describe_overlaps(overlaps))
    coords = {name: list(labels) for name, labels in design.coords.items()}
    rows = np.flatnonzero(design.outcomes.train)
    arrays = blocks.training_data(design)
    with pm.Model(coords={**coords, "obs": rows}) as model:
        data = {name: pm.Data(name, values) for name, values in arrays.items()}
        eta = blocks.scale_block(design, spec, data)
        if spec.scaling == "chinchilla":
            eta = eta + blocks.law_block(design, spec, data)
        if design.terms:
            eta = eta + blocks.decision_block(design, spec, data, _facts(design, spec))
        if design.surface is not None:
            eta = eta + blocks.surface_block(design, spec, data)
        effect, residual = blocks.family_block(design, spec, data)
        likelihood_block(design, spec, data, eta + effect, residual)
    return model


def build_fact_model(design: Design, *, spec: ModelSpec) -> pm.Model:
    """Build the part of the model that holds the undisclosed facts, without any score.

    Parameters
    ----------
    design
        Arrays and coordinates.
    spec
        Under which priors, and whether what lms write measures the facts.

    Returns
    -------
    pymc.Model
        The prior of the facts, or their posterior given what the lms write.

    Examples
    --------
    >>> from bayesmeta.data.load import load_dataset
    >>> from bayesmeta.model.spec import ModelSpec
    >>> from bayesmeta.model.spec import build_design_for
    >>> spec = ModelSpec(unknown_numbers="estimated")
    >>> design = build_design_for(load_dataset(), spec=spec)
    >>> build_fact_model(design, spec=spec)["mix_unknown"].eval().shape
    (13, 6)
    """
    with pm.Model(coords={name: list(labels) for name, labels in design.coords.items()}) as model:
        _facts(design, spec)
    return model


def _facts(design: Design, spec: ModelSpec) -> blocks.Tensor:
    """Add undisclosed facts and their measurements; return the matrix of decisions."""
    X, mix = blocks.missing_block(design, spec.priors)
    if design.generations is not None:
        blocks.generation_block(design, spec, X, mix)
    return X
