"""Bayesian meta-analysis of what makes language models good.

The public names, in the order in which data flow:

- data: `load_dataset`, `read_dataset`, `Dataset`
- model: `ModelSpec`, `Priors`, `read_spec`
- studies of any field: `read_effect_sizes`, `EffectSizes`, `EffectSizeSpec`
- inference: `fit`, `Fit`, `EffectSizeFit`, `load_fit`, `load_reference_fit`, `sample_prior`,
  `check`, `loo`, `compare`
- effects: `effects`, `prob_helps`, `query`, `evidence`, `curve`, `swaps`, `rank_levels`, `whatif`,
  `predict`, `rank_designs`, `ladders`, `tipping_point`
- evaluation: `evaluate`, `Scoreboard`, `load_scoreboard`, `load_validation`, `prior_sensitivity`,
  `leave_family_out`, `multiverse`, `Multiverse`, `load_multiverse`
- reporting: `claim`, `check_claim`, `format_table`, `plot`, `report`

Importing the package, or asking the shipped posterior a question, does not import PyMC.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from bayesmeta.data import Dataset, load_dataset, read_dataset
from bayesmeta.effects import (
    curve,
    effects,
    evidence,
    ladders,
    predict,
    prob_helps,
    query,
    rank_designs,
    rank_levels,
    swaps,
    tipping_point,
    whatif,
)
from bayesmeta.errors import BayesmetaError
from bayesmeta.inference import (
    EffectSizeFit,
    Fit,
    check,
    compare,
    fit,
    load_fit,
    load_reference_fit,
    loo,
    sample_prior,
)
from bayesmeta.model import ModelSpec, Priors, read_spec
from bayesmeta.studies import EffectSizes, EffectSizeSpec, read_effect_sizes

if TYPE_CHECKING:
    from bayesmeta import plots as plot
    from bayesmeta.crossvalidation import Scoreboard, evaluate, load_scoreboard
    from bayesmeta.reporting.claims import check_claim, claim
    from bayesmeta.reporting.page import report
    from bayesmeta.robustness import leave_family_out, prior_sensitivity
    from bayesmeta.specification_curves import Multiverse, load_multiverse, multiverse
    from bayesmeta.tables import format_table
    from bayesmeta.validation import load_validation

__all__ = [
    "BayesmetaError",
    "Dataset",
    "EffectSizeFit",
    "EffectSizeSpec",
    "EffectSizes",
    "Fit",
    "ModelSpec",
    "Multiverse",
    "Priors",
    "Scoreboard",
    "check",
    "check_claim",
    "claim",
    "compare",
    "curve",
    "effects",
    "evaluate",
    "evidence",
    "fit",
    "format_table",
    "ladders",
    "leave_family_out",
    "load_dataset",
    "load_fit",
    "load_multiverse",
    "load_reference_fit",
    "load_scoreboard",
    "load_validation",
    "loo",
    "multiverse",
    "plot",
    "predict",
    "prior_sensitivity",
    "prob_helps",
    "query",
    "rank_designs",
    "rank_levels",
    "read_dataset",
    "read_effect_sizes",
    "read_spec",
    "report",
    "sample_prior",
    "swaps",
    "tipping_point",
    "whatif",
]

__version__ = "0.1.0"


_LAZY = {
    "Multiverse": "specification_curves",
    "Scoreboard": "crossvalidation",
    "check_claim": "reporting.claims",
    "claim": "reporting.claims",
    "evaluate": "crossvalidation",
    "format_table": "tables",
    "leave_family_out": "robustness",
    "load_multiverse": "specification_curves",
    "load_scoreboard": "crossvalidation",
    "load_validation": "validation",
    "multiverse": "specification_curves",
    "prior_sensitivity": "robustness",
    "report": "reporting.page",
}
"""Names that no question of a posterior needs, and where they are: loading that takes a while."""


def __getattr__(name: str) -> Any:
    """Load `plot`, and with it matplotlib, and whatever refits when it is first used."""
    if name == "plot":
        from bayesmeta import plots

        return plots
    if name in _LAZY:
        return getattr(import_module(f"bayesmeta.{_LAZY[name]}"), name)
    raise AttributeError(f"module 'bayesmeta' has no attribute '{name}'")
