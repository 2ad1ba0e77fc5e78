"""Draws of effects on the score scale, and answers. Nothing here imports PyMC or matplotlib."""

from bayesmeta.effects.contrasts import Effects, effects, prob_helps, swaps
from bayesmeta.effects.curves import Curve, curve
from bayesmeta.effects.estimands import Contrast, list_decisions
from bayesmeta.effects.evidence import Evidence
from bayesmeta.effects.mix_swaps import Swap
from bayesmeta.effects.monte_carlo import Probability
from bayesmeta.effects.queries import Answer, evidence, query
from bayesmeta.effects.ranking import Ranking, rank_levels
from bayesmeta.effects.scores import contrast_draws
from bayesmeta.effects.tradeoffs import Tradeoff

__all__ = [
    "Answer",
    "Contrast",
    "Curve",
    "Effects",
    "Evidence",
    "Probability",
    "Ranking",
    "Swap",
    "Tradeoff",
    "contrast_draws",
    "curve",
    "effects",
    "evidence",
    "list_decisions",
    "prob_helps",
    "query",
    "rank_levels",
    "swaps",
]
