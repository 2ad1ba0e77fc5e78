"""The block of what lms write, which narrows what is not known of what they read."""

# PyTensor types its results as unions without arithmetic, so these three rules say nothing here.
# pyright: reportAttributeAccessIssue=false, reportOperatorIssue=false, reportIndexIssue=false
from __future__ import annotations

import numpy as np
import pymc as pm
import pytensor.tensor as pt

from bayesmeta.design import Design
from bayesmeta.model.blocks import Tensor
from bayesmeta.model.spec import ModelSpec


def generation_block(design: Design, spec: ModelSpec, X: Tensor, mix: Tensor | None) -> None:
    """Add log-ratios of generated shares as noisy measurements of those that were read.

    Intercepts, slopes and errors are learned from all lms whose mix is known. The error of a
    family counts once, however many siblings write (see `Generations`). It has heavy tails, since
    a family or two write what they hardly read: LLaMA and BLOOM mostly code.
    """
    written, priors = design.generations, spec.priors
    assert written is not None
    intercept = pm.Normal("generation_intercept", 0, priors.generation_intercept, dims="written")
    slope = pm.HalfNormal("generation_slope", priors.generation_slope, dims="written")
    tau, sigma = (
        pm.LogNormal(name, np.log(median), priors.generation_log_sd, dims="written")
        for name, median in (
            ("tau_generation", priors.generation_tau),
            ("sigma_generation", priors.generation_sigma),
        )
    )
    column = design.english_column
    english = None if column is None else design.fraction_of(X[:, column], column=column)
    read = pt.concatenate(written.read_parts(mix, english, log=pt.log), axis=-1)
    mu = written.rotation.sum(axis=1)[:, None] * intercept + pt.dot(written.rotation, read) * slope
    sd = pt.sqrt(sigma**2 + written.n_siblings[:, None] * tau**2)
    pm.StudentT("generated", nu=priors.generation_nu, mu=mu, sigma=sd, observed=written.values)
