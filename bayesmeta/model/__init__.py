"""Spec and design to a model: `build` (PyMC) and `simulate` (the same model in numpy)."""

import numpy as np
from numpy.typing import NDArray

from bayesmeta.data import Dataset
from bayesmeta.design import Design, build_design
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
    dataset: Dataset, *, spec: ModelSpec, train: NDArray[np.bool_] | None = None
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

    Returns
    -------
    Design
        Arrays and coordinates.

    Examples
    --------
    >>> from bayesmeta.data import load_dataset
    >>> build_design_for(load_dataset(), spec=ModelSpec(decisions=("norm",))).decisions
    ('norm',)
    """
    return build_design(
        dataset,
        decisions=spec.decisions,
        scale_terms=spec.scale_terms,
        code_curve=spec.code_curve == "smooth",
        generations=spec.generations == "measured",
        sum_unknown=spec.unknown_categories == "summed",
        train=train,
    )
