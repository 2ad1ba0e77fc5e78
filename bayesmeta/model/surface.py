"""The block of how scale and the training mix work together."""

# PyTensor types its results as unions without arithmetic, so these two rules say nothing here.
# pyright: reportOperatorIssue=false, reportAttributeAccessIssue=false
from __future__ import annotations

import numpy as np
import pymc as pm
import pytensor.tensor as pt

from bayesmeta.design import Design
from bayesmeta.model.blocks import Data, Tensor, _deviations, _scale
from bayesmeta.model.spec import ModelSpec

__all__ = ["surface_block"]


def surface_block(design: Design, spec: ModelSpec, data: Data) -> Tensor:
    """Add a smooth function of scale, date and mix, pooled like the decisions.

    Every benchmark has its own surface: a shared one, a deviation of its task family, and its own
    deviation, each with an amplitude that is learned.

    Parameters
    ----------
    design
        Arrays and coordinates, with a `surface`.
    spec
        Holds the priors.
    data
        Holds `data_surface_center`, shape (benchmark, function).

    Returns
    -------
    TensorVariable
        What the surface adds to the latent values, dims (lm, benchmark).
    """
    assert design.surface is not None
    priors, n = spec.priors, design.surface.n_functions
    medians = np.array(priors.surface_tau)
    tau = _scale("tau_surface", medians, priors.surface_tau_log_sd, dims="level")
    weights = pm.Deterministic(
        "surface",
        tau[0] * pm.Normal("z_surface_shared", shape=(n, 1))
        + _deviations("surface", design, n=n, of_task=tau[1], own=tau[2]),
        dims=("function", "benchmark"),
    )
    values = design.surface.evaluate()
    return pt.dot(values, weights) - (weights.T * data["data_surface_center"]).sum(axis=1)
