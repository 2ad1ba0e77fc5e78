"""Figures for papers: sized for columns, vector output, the drawn numbers returned.

Every function takes draws and returns the figure and a table of what it shows, and takes `ax`,
`figsize`, `title`, `note`, `labels`, `order` and `inner`. Colours are from the Okabe-Ito set, told
apart by colour-blind readers; shape or position says the same again.
"""

from bayesmeta.plots.dose_response import curve, tradeoff
from bayesmeta.plots.evidence_intervals import evidence
from bayesmeta.plots.experiment_figures import study_funnel, three_answers
from bayesmeta.plots.figure import Drawn, save_figure
from bayesmeta.plots.forests import forest, prior_posterior
from bayesmeta.plots.heatmap import atlas
from bayesmeta.plots.heldout import gains, scoreboard
from bayesmeta.plots.look import COLUMN_WIDTH, PAGE_WIDTH, VENUES, use
from bayesmeta.plots.meta_figures import baujat, bubble, funnel, study_forest
from bayesmeta.plots.predictive_checks import calibration, ppc, ranks
from bayesmeta.plots.scaling_plot import scaling
from bayesmeta.plots.source_forests import ladders, studies
from bayesmeta.plots.specification_plot import specification_curve

__all__ = [
    "COLUMN_WIDTH",
    "PAGE_WIDTH",
    "VENUES",
    "Drawn",
    "atlas",
    "baujat",
    "bubble",
    "calibration",
    "curve",
    "evidence",
    "forest",
    "funnel",
    "gains",
    "ladders",
    "ppc",
    "prior_posterior",
    "ranks",
    "save_figure",
    "scaling",
    "scoreboard",
    "specification_curve",
    "studies",
    "study_forest",
    "study_funnel",
    "three_answers",
    "tradeoff",
    "use",
]
