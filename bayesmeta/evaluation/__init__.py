"""Whatever refits: held-out schemes, peers, scores, executors, the scoreboard."""

from bayesmeta.evaluation.execution import connect_dask
from bayesmeta.evaluation.folds import MODELS
from bayesmeta.evaluation.influence import leave_family_out
from bayesmeta.evaluation.peers import PEERS
from bayesmeta.evaluation.prior_sensitivity import prior_sensitivity
from bayesmeta.evaluation.schemes import SCHEMES
from bayesmeta.evaluation.scoreboard import Scoreboard, evaluate, load_scoreboard
from bayesmeta.evaluation.validation import load_validation

__all__ = [
    "MODELS",
    "PEERS",
    "SCHEMES",
    "Scoreboard",
    "connect_dask",
    "evaluate",
    "leave_family_out",
    "load_scoreboard",
    "load_validation",
    "prior_sensitivity",
]
