"""What a claim rests on: single lm families, the prior."""

from bayesmeta.robustness.influence import leave_family_out
from bayesmeta.robustness.power_scaling import prior_sensitivity

__all__ = ["leave_family_out", "prior_sensitivity"]
