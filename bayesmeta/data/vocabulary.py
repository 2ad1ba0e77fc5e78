"""The words and ranges of the tables that more than their schema has to know."""

from __future__ import annotations

LM_VOCABULARY: dict[str, tuple[str, ...]] = {
    "position_embedding": ("rotary", "learned", "alibi", "sinusoidal"),
    "norm": ("layernorm", "rmsnorm", "nonparametric"),
    "attention": ("mha", "gqa", "mqa", "mha_local"),
    "biases": (
        "all", "none", "qkv_only", "no_qkv", "no_attn", "ln_only", "attn_only", "some",
    ),
    "block": ("sequential", "parallel"),
    "activation": ("gelu", "relu", "swiglu", "geglu", "silu", "gelu_new", "gelu_fast"),
    "weight_tying": ("tied", "untied"),
}  # fmt: skip
"""The words a categorical column of `lms.csv` may hold; the first is the commonest level."""

ARM_VOCABULARY: dict[str, tuple[str, ...]] = {
    **LM_VOCABULARY,
    "position_embedding": (*LM_VOCABULARY["position_embedding"], "rotary_partly", "none"),
    "document_masking": ("no", "yes"),
    "control": ("clean", "compositional", "parameter-matched", "confounded"),
}
"""The words of the arms of experiments: those of LMs, and what was only tried in experiments."""

ALIASES: dict[str, str] = {
    "rope": "rotary", "absolute": "learned", "parametric": "layernorm", "layer_norm": "layernorm",
    "non-parametric": "nonparametric", "rms_norm": "rmsnorm", "full": "mha", "multi-head": "mha",
    "local,full": "mha_local", "false": "untied", "true": "tied", "acc": "accuracy",
    "brier_score": "brier", "max": "higher", "min": "lower",
}  # fmt: skip
"""Usual spellings elsewhere and the word used here, to make an error message helpful."""

MIX_COLUMNS = ("web_share", "code_share", "books_share", "reference_share", "academic_share")
"""The domains of the training mix, in percent of the training tokens."""

GENERATED_COLUMNS = (*[f"generated_{name}" for name in MIX_COLUMNS], "generated_specific_share")
"""The domains of what an LM writes, in percent of its free generations."""

MIX_LIMIT = 100.5
"""Largest allowed sum of the five domain shares: 100 percent and room for rounding."""

SCALED = "scaled"
"""Metric of a score without ends, as a fraction of a declared range: it has a unit of its own."""

BENCHMARK_VOCABULARY: dict[str, tuple[str, ...]] = {
    "metric": ("accuracy", "brier", SCALED),
    "direction": ("higher", "lower"),
}

USUAL_DIRECTION: dict[str, str] = {"accuracy": "higher", "brier": "lower"}
"""Which scores are better, where a table of benchmarks does not say."""

FRACTION_LIMIT = 1.5
"""A mix that sums to less than this many percent, complete or with some web in it, was written in
fractions."""

ONE_TOLERANCE = 0.02
"""Two shares or more whose sum is this close to 1 were written in fractions too."""

METRIC_RANGE: dict[str, tuple[float, float]] = {
    "accuracy": (0.0, 1.0), "brier": (0.0, 2.0), SCALED: (0.0, 1.0),
}  # fmt: skip
"""Smallest and largest possible score of each metric, in its native unit."""

ERROR_RANGE = (1e-6, 0.1, 0.5)
"""Standard errors of a score as shares of the range of its metric: the smallest; the largest of a
benchmark with 26 items or more; and the largest there can be, that of a coin. A larger one was
written in percent."""

NAME_LENGTH = 200
"""Most characters of a name."""

COUNT_RANGE = (1000.0, 1e18)
"""Fewest and most parameters or training tokens; more of anything countable than there can be is
still a 64-bit integer."""
