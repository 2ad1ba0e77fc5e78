"""The likelihood of the scores as blocks of the PyMC model."""

# PyTensor types its results as unions without arithmetic, so these three rules say nothing here.
# pyright: reportAttributeAccessIssue=false, reportOperatorIssue=false, reportIndexIssue=false
from __future__ import annotations

import numpy as np
import pymc as pm
import pytensor.tensor as pt

from bayesmeta.design import Design
from bayesmeta.model.blocks import Data, Tensor, _scale
from bayesmeta.model.spec import SMALLEST_SHARE, ModelSpec

__all__ = ["likelihood_block"]


def likelihood_block(
    design: Design, spec: ModelSpec, data: Data, eta: Tensor, residual: Tensor
) -> None:
    """Add scores given latent values: known error, latent and score-scale residual, heavy tails.

    Parameters
    ----------
    design, spec
        Which scores are counts, and which have lms with choices that are summed out.
    data
        Scores and links, see `training_data`.
    eta
        Latent values without what is summed out, dims (lm, benchmark).
    residual
        Scale of the latent residual, dims (benchmark,).
    """
    priors = spec.priors
    _scale("sigma_score", priors.sigma_score, priors.sigma_score_log_sd)
    if spec.likelihood != "normal":
        pm.Gamma("nu_beyond_one", priors.nu_shape, priors.nu_rate)
    b = data["data_benchmark_index"]
    moments = _moments(design, data, eta[data["data_lm_index"], b], b, residual)
    kind, law = _score_law(spec, *moments, se=data["data_se"])
    kind("y", **law, observed=data["data_y"], dims="obs")
    if spec.likelihood == "beta-binomial":
        _add_counts(design, data, eta, residual)
    if design.unknown is not None:
        _add_hidden(design, spec, data, eta, residual)


def _moments(
    design: Design, data: Data, latent: Tensor, b: Tensor, residual: Tensor
) -> tuple[Tensor, Tensor]:
    """Compute the expected score and the variance of its residuals, by the delta method.

    `latent` holds latent values on the benchmarks `b`, dims (..., score).
    """
    p = pm.math.sigmoid(latent)
    floor, spread = data["data_floor"][b], data["data_spread"][b]
    logistic = pt.as_tensor(design.outcomes.is_logistic)[b]
    mu = pt.switch(logistic, floor + (1 - floor) * p, data["data_location"][b] + spread * latent)
    slope = pt.switch(logistic, (1 - floor) * p * (1 - p), pt.abs(spread))
    on_score = pt.switch(logistic, pm.modelcontext(None)["sigma_score"] ** 2, 0.0)
    return mu, on_score + (residual[b] * slope) ** 2


def _score_law(
    spec: ModelSpec, mu: Tensor, variance: Tensor, *, se: Tensor
) -> tuple[type[pm.Normal] | type[pm.StudentT], dict[str, Tensor]]:
    """Distribution of scores with known errors, and its parameters."""
    law = {"mu": mu, "sigma": pt.sqrt(se**2 + variance)}
    if spec.likelihood == "normal":
        return pm.Normal, law
    return pm.StudentT, {**law, "nu": pm.modelcontext(None)["nu_beyond_one"] + 1}


def _add_counts(design: Design, data: Data, eta: Tensor, residual: Tensor) -> None:
    """Add exact counts, beta-binomial.

    They are binomial given an accuracy that scatters about the expected one in a beta
    distribution. Its concentration is m (1 - m) / v for mean m and variance v of the residuals, so
    that the scales mean the same as in the other likelihoods. The variance comes out as
    v / (1 + v / (m (1 - m))): that of a beta distribution is bounded.
    """
    b = data["data_count_benchmark_index"]
    mu, variance = _moments(design, data, eta[data["data_count_lm_index"], b], b, residual)
    mu = pt.clip(mu, SMALLEST_SHARE, 1 - SMALLEST_SHARE)
    phi = mu * (1 - mu) / variance
    pm.BetaBinomial("k", n=data["data_n_items"], alpha=mu * phi, beta=(1 - mu) * phi,
                    observed=data["data_n_solved"], dims="count")  # fmt: skip


def _add_hidden(design: Design, spec: ModelSpec, data: Data, eta: Tensor, residual: Tensor) -> None:
    """Add the scores of lms with undisclosed choices, summed over the possible configurations.

    The scores of a record's lms have the joint density sum_k p_k prod_j p(y_j | configuration k):
    siblings share the unknown choice. `eta` holds nothing for it. The posterior probabilities of
    the configurations are kept as `configuration_weight`.
    """
    unknown, beta = design.unknown, pm.modelcontext(None)["beta"]
    assert unknown is not None
    y, se, i, b, record = (
        data[f"data_hidden_{name}"] for name in ("y", "se", "lm_index", "benchmark_index", "record")
    )
    change = pt.tensordot(unknown.shift, beta, axes=1)
    latent = eta[i, b] + change[record, :, b].T
    kind, law = _score_law(spec, *_moments(design, data, latent, b, residual), se=se)
    belongs = pt.eq(record[:, None], np.arange(len(unknown.names)))
    joint = unknown.log_weight + pt.dot(pm.logp(kind.dist(**law), y), belongs).T
    total: Tensor = pm.math.logsumexp(joint, axis=1, keepdims=True)
    pm.Potential("y_unknown", total[:, 0], dims="record")
    pm.Deterministic(
        "configuration_weight", pt.exp(joint - total), dims=("record", "configuration")
    )
