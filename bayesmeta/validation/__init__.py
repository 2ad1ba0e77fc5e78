"""Is the default model right: calibration, known truths, placebo, and their records."""

from bayesmeta.validation.records import load_validation

__all__ = ["load_validation"]
