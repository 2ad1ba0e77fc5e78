"""Spec and design to a model: `build` (PyMC) and `simulate` (the same model in numpy)."""

import numpy as np
from numpy.typing import NDArray

from bayesmeta.data import Dataset
from bayesmeta.design import DEFAULT_DECISIONS, Design, build_design, find_overlaps
from bayesmeta.errors import SpecError
from bayesmeta.model.simulate import (
    Parameters,
    expected_score,
    linear_predictor,
    pointwise_log_likelihood,
    pointwise_probability,
    score_distribution,
    simulate_scores,
)
from bayesmeta.model.spec import ModelSpec, Priors, read_spec

__all__ = [
    "ModelSpec",
    "Parameters",
    "Priors",
    "build_design_for",
    "expected_score",
    "linear_predictor",
    "pointwise_log_likelihood",
    "pointwise_probability",
    "read_spec",
    "score_distribution",
    "simulate_scores",
]


def build_design_for(
    dataset: Dataset,
    *,
    spec: ModelSpec,
    train: NDArray[np.bool_] | None = None,
    among: NDArray[np.bool_] | None = None,
) -> Design:
    """Build the design that a spec asks for.

    Parameters
    ----------
    dataset
        Validated tables.
    spec
        The model.
    train
        Which scores the model learns from, shape (obs,); all if left out.
    among
        Which lms the coding rests on, shape (lm,); all if left out. The others are new, and coded
        as these are.

    Returns
    -------
    Design
        Arrays and coordinates.

    Raises
    ------
    SpecError
        If the spec names decisions of which one is constant in the data, or an exact linear
        combination of others (under the default decisions, constant ones are left out).

    Examples
    --------
    >>> from bayesmeta.data import load_dataset
    >>> build_design_for(load_dataset(), spec=ModelSpec(decisions=("norm",))).decisions
    ('norm',)
    """
    design = build_design(
        dataset,
        decisions=spec.decisions,
        scale_terms=spec.scale_terms,
        law=spec.scaling == "chinchilla",
        estimate_unknown=spec.unknown_numbers == "estimated",
        generations=spec.generations == "measured",
        surface_lengths=spec.surface_lengths,
        train=train,
        among=among,
    )
    if spec.decisions != DEFAULT_DECISIONS and among is None:
        for overlap in find_overlaps(design, decisions=spec.decisions):
            raise SpecError(overlap.message)
    return design
