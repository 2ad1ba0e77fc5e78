"""Tables to labelled arrays: decisions, outcomes, composition, matrix. No PyMC."""

from bayesmeta.design.composition import DOMAINS, CodeBasis, Mix, shift_part, swap_parts
from bayesmeta.design.decisions import DECISIONS, DEFAULT_DECISIONS, UNDISCLOSED, Decision
from bayesmeta.design.matrix import (
    MIX_UNIT,
    Design,
    Term,
    build_design,
    standardise,
)
from bayesmeta.design.outcomes import Outcomes
from bayesmeta.design.overlap import Overlap, describe_overlaps, find_overlaps
from bayesmeta.design.scale import SCALE_TERMS

__all__ = [
    "DECISIONS",
    "DEFAULT_DECISIONS",
    "DOMAINS",
    "MIX_UNIT",
    "SCALE_TERMS",
    "UNDISCLOSED",
    "CodeBasis",
    "Decision",
    "Design",
    "Mix",
    "Outcomes",
    "Overlap",
    "Term",
    "build_design",
    "describe_overlaps",
    "find_overlaps",
    "shift_part",
    "standardise",
    "swap_parts",
]
