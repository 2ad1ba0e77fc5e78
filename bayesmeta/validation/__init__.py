"""Is the default model right: calibration, known truths, placebo, and their records."""
