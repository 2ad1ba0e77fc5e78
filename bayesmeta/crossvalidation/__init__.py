"""Models scored on held-out scores: schemes, baselines, scoring rules, folds, the scoreboard."""

from bayesmeta.crossvalidation.baselines import BASELINES
from bayesmeta.crossvalidation.folds import MODELS
from bayesmeta.crossvalidation.schemes import SCHEMES
from bayesmeta.crossvalidation.scoreboard import Scoreboard, evaluate, load_scoreboard

__all__ = ["BASELINES", "MODELS", "SCHEMES", "Scoreboard", "evaluate", "load_scoreboard"]
