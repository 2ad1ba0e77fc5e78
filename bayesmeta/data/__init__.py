"""Tables in, validated: the bundled data in two versions, your own folder, foreign formats.

Start with `load_dataset` or `read_dataset`, which return a `Dataset`.
"""

from bayesmeta.data.checks import validate_lms, validate_tables
from bayesmeta.data.corrections import apply_corrections
from bayesmeta.data.dataset import VERSIONS, Dataset
from bayesmeta.data.importers import import_upstream
from bayesmeta.data.load import (
    load_corrections,
    load_dataset,
    load_generation,
    read_dataset,
    read_lms,
)

__all__ = [
    "VERSIONS",
    "Dataset",
    "apply_corrections",
    "import_upstream",
    "load_corrections",
    "load_dataset",
    "load_generation",
    "read_dataset",
    "read_lms",
    "validate_lms",
    "validate_tables",
]
