"""Effect sizes of studies of any field, with known standard errors: table, design and model."""

from bayesmeta.studies.study_design import EffectDesign, GroupLevel, build_effect_design
from bayesmeta.studies.study_model import EffectSizeSpec, effect_distribution
from bayesmeta.studies.study_table import EffectSizes, read_effect_sizes

__all__ = [
    "EffectDesign",
    "EffectSizeSpec",
    "EffectSizes",
    "GroupLevel",
    "build_effect_design",
    "effect_distribution",
    "read_effect_sizes",
]
