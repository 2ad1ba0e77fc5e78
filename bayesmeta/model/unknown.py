"""The block of undisclosed choices: summed out of the likelihood of the scores behind them."""

# PyTensor types its results as unions without arithmetic, so these three rules say nothing here.
# pyright: reportAttributeAccessIssue=false, reportOperatorIssue=false, reportIndexIssue=false
from __future__ import annotations

import numpy as np
import pymc as pm
import pytensor.tensor as pt

from bayesmeta.design import Design
from bayesmeta.model.blocks import LAWS, Data, Tensor, score_law
from bayesmeta.model.spec import ModelSpec


def unknown_block(
    design: Design, spec: ModelSpec, data: Data, eta: Tensor, residual: Tensor
) -> None:
    """Add the scores of lms with undisclosed choices, summed over the possible configurations.

    The scores of a record's lms have the joint density sum_k p_k prod_j p(y_j | configuration k):
    siblings share the unknown choice. `eta`, dims (lm, benchmark), holds nothing for it. The
    posterior probabilities of the configurations are kept as `configuration_weight`.
    """
    unknown, model = design.unknown, pm.modelcontext(None)
    assert unknown is not None
    change = pt.tensordot(unknown.shift, model["beta"], axes=1)
    i, b, record = (data[f"data_unknown_{name}"] for name in
                    ("lm_index", "benchmark_index", "record"))  # fmt: skip
    latent = eta[i, b] + change[record, :, b].T
    law = score_law(design, data, latent=latent, b=b, se=data["data_unknown_se"], residual=residual)
    density = pm.logp(LAWS[spec.likelihood].dist(**law), data["data_unknown_y"])
    belongs = pt.eq(record[:, None], np.arange(len(unknown.names)))
    joint = unknown.log_weight + pt.dot(density, belongs).T
    total = pt.logsumexp(joint, axis=1, keepdims=True)
    pm.Potential("y_unknown", total[:, 0], dims="record")
    pm.Deterministic(
        "configuration_weight", pt.exp(joint - total), dims=("record", "configuration")
    )
