"""Tables to labelled arrays: decisions, outcomes, composition, matrix. No PyMC."""

from bayesmeta.design.composition import (
    DOMAINS,
    Mix,
    set_parts,
    swap_parts,
)
from bayesmeta.design.decisions import (
    DECISIONS,
    DEFAULT_DECISIONS,
    FACTS,
    SIZES,
    UNDISCLOSED,
    Decision,
)
from bayesmeta.design.matrix import Design, build_design
from bayesmeta.design.outcomes import Outcomes
from bayesmeta.design.overlap import Overlap, describe_overlaps, find_overlaps
from bayesmeta.design.scale import LOG_D_UNIT, LOG_N_UNIT, SCALE_TERMS, scale_covariates
from bayesmeta.design.terms import MIX_UNIT, Term, standardise

__all__ = [
    "DECISIONS",
    "DEFAULT_DECISIONS",
    "DOMAINS",
    "FACTS",
    "LOG_D_UNIT",
    "LOG_N_UNIT",
    "MIX_UNIT",
    "SCALE_TERMS",
    "SIZES",
    "UNDISCLOSED",
    "Decision",
    "Design",
    "Mix",
    "Outcomes",
    "Overlap",
    "Term",
    "build_design",
    "describe_overlaps",
    "find_overlaps",
    "scale_covariates",
    "set_parts",
    "standardise",
    "swap_parts",
]
