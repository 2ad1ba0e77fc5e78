"""Whatever refits: held-out schemes, peers, scores, executors, the scoreboard, the multiverse."""

from bayesmeta.evaluation.execution import connect_dask
from bayesmeta.evaluation.folds import MODELS
from bayesmeta.evaluation.influence import leave_family_out
from bayesmeta.evaluation.multiverse import multiverse
from bayesmeta.evaluation.multiverse_results import Multiverse, load_multiverse
from bayesmeta.evaluation.peers import PEERS
from bayesmeta.evaluation.prior_sensitivity import prior_sensitivity
from bayesmeta.evaluation.schemes import SCHEMES
from bayesmeta.evaluation.scoreboard import Scoreboard, evaluate, load_scoreboard
from bayesmeta.evaluation.specifications import CHOICES
from bayesmeta.evaluation.validation import load_validation

__all__ = [
    "CHOICES",
    "MODELS",
    "PEERS",
    "SCHEMES",
    "Multiverse",
    "Scoreboard",
    "connect_dask",
    "evaluate",
    "leave_family_out",
    "load_multiverse",
    "load_scoreboard",
    "load_validation",
    "multiverse",
    "prior_sensitivity",
]
