"""One statement under many specifications: their grid, their fits, what they say."""

from bayesmeta.specification_curves.grid import CHOICES
from bayesmeta.specification_curves.results import Multiverse, load_multiverse
from bayesmeta.specification_curves.specification_fits import multiverse

__all__ = ["CHOICES", "Multiverse", "load_multiverse", "multiverse"]
