"""The scaling law as a block of the PyMC model, its exponents estimated."""

# PyTensor types its results as unions without arithmetic, so these two rules say nothing here.
# pyright: reportAttributeAccessIssue=false, reportOperatorIssue=false
from __future__ import annotations

import numpy as np
import pymc as pm

from bayesmeta.design import Design
from bayesmeta.model.blocks import Data, Tensor, _scale
from bayesmeta.model.spec import ModelSpec, Priors

__all__ = ["law_block"]


def law_block(design: Design, spec: ModelSpec, data: Data) -> Tensor:
    """Add slopes on the scaling law, pooled over task families about a positive mean.

    One law serves all benchmarks; they differ in their slope on it. It is centred, at every value
    of its parameters, at the information-weighted mean of each benchmark's lms. Slopes are centred
    about their pooled means, since scores pin them down. A benchmark's own slope may be negative:
    some hardly rise with scale.

    Parameters
    ----------
    design
        Arrays and coordinates, with `log_scale`.
    spec
        Holds the priors.
    data
        Holds `data_information`, shape (lm, benchmark).

    Returns
    -------
    TensorVariable
        What scale adds to the latent values, dims (lm, benchmark).
    """
    priors = spec.priors
    skill = _law(design, priors)
    slope = pm.HalfNormal("law_slope", priors.law_slope_sd)
    tau_task = _scale("tau_kappa_law_task", priors.law_tau_task, priors.kappa_tau_log_sd)
    tau = _scale("tau_kappa_law", priors.law_tau_benchmark, priors.kappa_tau_log_sd)
    by_task = slope + tau_task * pm.Normal("z_kappa_law_task", dims="task_family")
    kappa = pm.Normal("kappa_law", by_task[design.task_family_index], tau, dims="benchmark")
    return kappa * (skill[:, None] - pm.math.dot(skill, data["data_information"]))


def _law(design: Design, priors: Priors) -> Tensor:
    """Minus log of the reducible loss of every lm, relative to the reference lm; dims (lm,)."""
    assert design.log_scale is not None
    a, b = (
        pm.TruncatedNormal(name, getattr(priors, name), priors.law_exponent_sd, lower=0.0)
        for name in ("law_size_exponent", "law_data_exponent")
    )
    n, mean = priors.law_fraction_count, priors.law_size_fraction
    rho = pm.Beta("law_size_fraction", n * mean, n * (1 - mean))
    size, tokens = np.asarray(design.log_scale).T
    return -pm.math.logaddexp(pm.math.log(rho) - a * size, pm.math.log1p(-rho) - b * tokens)
