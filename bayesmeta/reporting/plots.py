"""Figures for papers: sized for columns, vector output, the drawn numbers returned.

Every function takes draws and returns the figure and a table of what it shows. Colours are from
the Okabe-Ito set, told apart by colour-blind readers; shape or position says the same again.
"""

from bayesmeta.reporting.atlas import atlas
from bayesmeta.reporting.calibration import calibration, ppc, ranks
from bayesmeta.reporting.cards import evidence
from bayesmeta.reporting.curves import curve
from bayesmeta.reporting.forests import forest, prior_posterior
from bayesmeta.reporting.ladders import ladders
from bayesmeta.reporting.look import COLUMN_WIDTH, PAGE_WIDTH, VENUES, use
from bayesmeta.reporting.scaling import scaling
from bayesmeta.reporting.scoreboards import gains, scoreboard
from bayesmeta.reporting.specifications import specification_curve
from bayesmeta.reporting.style import Drawn, save_figure
from bayesmeta.reporting.tradeoffs import tradeoff

__all__ = [
    "COLUMN_WIDTH",
    "PAGE_WIDTH",
    "VENUES",
    "Drawn",
    "atlas",
    "calibration",
    "curve",
    "evidence",
    "forest",
    "gains",
    "ladders",
    "ppc",
    "prior_posterior",
    "ranks",
    "save_figure",
    "scaling",
    "scoreboard",
    "specification_curve",
    "tradeoff",
    "use",
]
