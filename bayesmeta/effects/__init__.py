"""Draws of effects on the score scale, and answers. Nothing here imports PyMC or matplotlib."""

from bayesmeta.effects.contrasts import Effects, effects, prob_helps, swaps
from bayesmeta.effects.curves import Curve, curve
from bayesmeta.effects.designs import DesignRanking, rank_designs
from bayesmeta.effects.estimands import Contrast, list_decisions
from bayesmeta.effects.evidence import Evidence
from bayesmeta.effects.ladders import Ladders, ladders
from bayesmeta.effects.mix_swaps import Swap
from bayesmeta.effects.monte_carlo import Probability
from bayesmeta.effects.predictions import Predictions, predict
from bayesmeta.effects.queries import Answer, evidence, query
from bayesmeta.effects.ranking import Ranking, rank_levels
from bayesmeta.effects.scores import contrast_draws
from bayesmeta.effects.tipping import tipping_point
from bayesmeta.effects.tradeoffs import Tradeoff
from bayesmeta.effects.whatif import WhatIf, whatif

__all__ = [
    "Answer",
    "Contrast",
    "Curve",
    "DesignRanking",
    "Effects",
    "Evidence",
    "Ladders",
    "Predictions",
    "Probability",
    "Ranking",
    "Swap",
    "Tradeoff",
    "WhatIf",
    "contrast_draws",
    "curve",
    "effects",
    "evidence",
    "ladders",
    "list_decisions",
    "predict",
    "prob_helps",
    "query",
    "rank_designs",
    "rank_levels",
    "swaps",
    "tipping_point",
    "whatif",
]
