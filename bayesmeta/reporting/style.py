"""What all figures share: sizes, colours, fonts, and how a figure is saved.

Colours are from the Okabe-Ito set, told apart by colour-blind readers; shape or position says the
same again.
"""

from __future__ import annotations

import os
import tempfile
from os import PathLike
from pathlib import Path
from typing import Any, NamedTuple

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from bayesmeta.errors import QueryError, listing

__all__ = [
    "COLUMN_WIDTH",
    "FAINT",
    "INK",
    "PAGE_WIDTH",
    "PALE",
    "STYLE",
    "Drawn",
    "draw_recorded",
    "literal",
    "save_figure",
    "short",
]

COLUMN_WIDTH = 3.35
"""Inches: one column of a two-column paper."""

PAGE_WIDTH = 7.0
"""Inches: both columns of a two-column paper."""

FORMATS = (".pdf", ".png", ".svg")
_DPI = 300
INK, FAINT, PALE = "#222222", "#999999", "#DDDDDD"
STYLE: Any = {
    "font.size": 7,
    "axes.labelsize": 7,
    "axes.titlesize": 7,
    "xtick.labelsize": 6.5,
    "ytick.labelsize": 6.5,
    "legend.fontsize": 6.5,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.linewidth": 0.6,
    "xtick.major.width": 0.6,
    "ytick.major.width": 0.6,
    "pdf.fonttype": 42,
    "svg.hashsalt": "bayesmeta",
    "figure.dpi": 100,
}


class Drawn(NamedTuple):
    """A figure and the numbers in it."""

    figure: Figure
    table: pd.DataFrame


def short(probability: float) -> str:
    """Two digits; what would round to 0 or 1 prints as a bound."""
    if probability > 0.995:
        return "> .99"
    return "< .01" if probability < 0.005 else f"{probability:.2f}".lstrip("0")


def literal(name: str) -> str:
    """Write a name of the data so that a dollar sign in it starts no formula."""
    return name.replace("$", r"\$")


def draw_recorded(axes: Axes, recorded: NDArray[np.float64]) -> None:
    """Mark the recorded values on the horizontal axis."""
    values = np.unique(recorded)
    axes.plot(values, np.zeros(len(values)), "|", color=INK, markersize=4, markeredgewidth=0.5,
              transform=axes.get_xaxis_transform(), clip_on=False)  # fmt: skip


def save_figure(drawn: Drawn, path: str | PathLike[str]) -> Path:
    """Save a figure, whole or not at all.

    Parameters
    ----------
    drawn
        What a plot function returned.
    path
        A file whose name ends in .pdf, .png or .svg; an existing one is replaced.

    Returns
    -------
    pathlib.Path
        The file.

    Raises
    ------
    QueryError
        If the ending is another, or the folder cannot be written.
    """
    path = Path(path)
    if path.suffix not in FORMATS:
        raise QueryError(f"{path} has no known ending. Allowed: {listing(FORMATS)}.")
    stamp = {".pdf": {"CreationDate": None}, ".svg": {"Date": None}}.get(path.suffix, {})
    try:
        with tempfile.TemporaryDirectory(dir=path.parent, prefix=".figure.") as folder:
            part = Path(folder) / path.name
            with mpl.rc_context(STYLE):
                drawn.figure.savefig(part, dpi=_DPI, metadata=stamp)
            os.replace(part, path)
    except OSError as error:
        raise QueryError(
            f"{path} cannot be written: {error.strerror}. Name a file in a folder that exists and "
            "may be written to."
        ) from error
    return path
