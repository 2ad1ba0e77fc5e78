"""Sampling, saving and loading, and checks. PyMC and ArviZ are imported where they are used."""

from bayesmeta.inference.diagnostics import Diagnostics, check
from bayesmeta.inference.fit import EffectSizeFit, Fit
from bayesmeta.inference.leave_one_out import LeaveOneOut, compare, loo
from bayesmeta.inference.prior import log_prior, sample_prior
from bayesmeta.inference.sample import fit
from bayesmeta.inference.store import load_fit, load_reference_fit, thin_fit

__all__ = [
    "Diagnostics",
    "EffectSizeFit",
    "Fit",
    "LeaveOneOut",
    "check",
    "compare",
    "fit",
    "load_fit",
    "load_reference_fit",
    "log_prior",
    "loo",
    "sample_prior",
    "thin_fit",
]
