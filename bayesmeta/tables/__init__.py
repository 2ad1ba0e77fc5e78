"""Tables whose columns say how they are written, and the writers: text, papers, programs."""

from bayesmeta.tables.headed_columns import PROBABILITY, Column, head
from bayesmeta.tables.text import FORMATS, describe_intervals, format_table, set_for_paper

__all__ = [
    "FORMATS",
    "PROBABILITY",
    "Column",
    "describe_intervals",
    "format_table",
    "head",
    "set_for_paper",
]
