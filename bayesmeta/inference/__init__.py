"""Sampling, saving and loading, and checks. PyMC and ArviZ are imported where they are used."""

from bayesmeta.inference.diagnostics import Diagnostics, check, thin_fit
from bayesmeta.inference.fits import EffectSizeFit, Fit, load_fit, load_reference_fit
from bayesmeta.inference.leave_one_out import LeaveOneOut, compare, loo
from bayesmeta.inference.sample import fit, sample_prior

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
    "loo",
    "sample_prior",
    "thin_fit",
]
