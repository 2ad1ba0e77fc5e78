"""A figure and the numbers in it: made in the chosen look, its arguments checked, saved."""

from __future__ import annotations

import io
import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import wraps
from inspect import signature
from os import PathLike
from pathlib import Path
from typing import Any, NamedTuple

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.text import Text

from bayesmeta.errors import QueryError, listing, shorten, unknown
from bayesmeta.estimates.summary import check_ci_prob
from bayesmeta.plots.look import (
    choose_families,
    darken,
    fit_width,
    is_dark,
    name_letters,
    pt,
    settings,
    written_in,
)
from bayesmeta.tables.notebook import box, fold, show_picture, show_table
from bayesmeta.whole_files import atomic

FORMATS = (".pdf", ".png", ".svg")
_SCREEN_DPI = 192
"""Two pixels for each of a screen of the usual fineness."""

_WIDTHS = (2.0, 20.0)
"""Inches between which a figure can be laid out."""


class Drawn(NamedTuple):
    """A figure and the numbers in it."""

    figure: Figure
    table: pd.DataFrame

    def _repr_html_(self) -> str:
        """Show the picture in a notebook, and fold the numbers below it."""
        width, height = self.figure.get_size_inches()
        said = f"{width:.3g} x {height:.3g} in; {len(self.table):,} rows of numbers below"
        picture = show_picture(as_png(self), said=said, inches=float(width))
        return box([picture, fold("Numbers in the figure", show_table(self.table, whole=".table"))])

    def __repr__(self) -> str:
        width, height = self.figure.get_size_inches()
        return (
            f"Drawn({width:.3g} x {height:.3g} in, {len(self.table):,} rows; .figure, .table, and "
            "bm.plot.save_figure writes it)"
        )


class _Sheet(Figure):
    """A figure that is drawn and saved in the look it was made in, whatever is chosen later."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self.settings: Any = settings()
        self.lacking: set[str] = set()
        super().__init__(*args, **kwargs)

    def find_fonts(self) -> None:
        """Take further fonts for letters that its own lacks."""
        families, self.lacking = choose_families(written_in(self))
        if len(families) > 1:
            self.settings["font.family"] = families
            for text in self.findobj(Text):
                text.set_fontfamily(families)

    def draw(self, renderer: Any) -> None:
        """Draw with the settings of its look."""
        with mpl.rc_context(self.settings), warnings.catch_warnings():
            if self.lacking:  # one message stands for one per letter
                warnings.filterwarnings("ignore", message="Glyph .* missing from")
            super().draw(renderer)

    def savefig(self, fname: Any, **kwargs: Any) -> None:  # type: ignore[override]
        """Save with the settings of its look."""
        if self.lacking:
            warnings.warn(name_letters(self.lacking), stacklevel=2)
        with mpl.rc_context(self.settings):
            super().savefig(fname, **kwargs)


def build_figure(*, width: float, height: float) -> Figure:
    """Make an empty figure whose size on paper is given in inches."""
    return _Sheet(figsize=(pt(width), pt(height)), layout="constrained")


def drawn_from[**P](
    *kinds: type, made_by: str
) -> Callable[[Callable[P, Drawn]], Callable[P, Drawn]]:
    """Make a function a plot: its arguments are checked, and its figure takes the chosen look.

    Parameters
    ----------
    kinds
        What the first argument may be.
    made_by
        Which functions return such an object.

    Returns
    -------
    callable
        The decorator.
    """

    def decorate(function: Callable[P, Drawn]) -> Callable[P, Drawn]:
        usual = signature(function).parameters["width"].default

        @wraps(function)
        def draw(*args: P.args, **kwargs: P.kwargs) -> Drawn:
            name = f"plot.{function.__name__}"
            if args:
                check_given(name, args[0], *kinds, made_by=made_by)
            _check_numbers(name, kwargs)
            if "width" not in kwargs:
                kwargs["width"] = fit_width(usual)
            with mpl.rc_context(settings()):
                drawn = function(*args, **kwargs)
                if isinstance(drawn.figure, _Sheet):
                    drawn.figure.find_fonts()
            if is_dark():
                darken(drawn.figure)
            return drawn

        return draw

    return decorate


def check_given(name: str, given: object, *kinds: type, made_by: str) -> None:
    """Refuse an object that a plot cannot show."""
    if not isinstance(given, kinds):
        shown = "None" if given is None else f"an object of type {type(given).__name__}"
        raise QueryError(
            f"{name} was given {shown}. Allowed: {' or '.join(kind.__name__ for kind in kinds)}, "
            f"as {made_by} returns it."
        )


def check_known(what: str, names: Iterable[str], known: Sequence[str], *, said: str) -> None:
    """Refuse a name that is not among those known."""
    for name in names:
        if name not in known:
            raise unknown(QueryError, what, name, known, said=said, mend="")


def _check_numbers(name: str, given: Mapping[str, Any]) -> None:
    """Refuse a width, a probability or a number of draws that is none."""
    if "width" in given and not _is_number(given["width"], *_WIDTHS):
        raise QueryError(
            f"width of {name} is {shorten(given['width'])}. Allowed: a number of inches from "
            f"{_WIDTHS[0]:g} to {_WIDTHS[1]:g}, such as plot.COLUMN_WIDTH or plot.PAGE_WIDTH."
        )
    if "ci_prob" in given:
        check_ci_prob(given["ci_prob"])
    for key in {"draws", "n_draws"} & set(given):
        whole = isinstance(given[key], int | np.integer)
        if not whole or not _is_number(given[key], 1, np.inf):
            raise QueryError(
                f"{key} of {name} is {shorten(given[key])}. Allowed: a whole number from 1 up."
            )


def _is_number(value: object, low: float, high: float) -> bool:
    number = isinstance(value, int | float | np.number) and not isinstance(value, bool)
    return number and low <= float(value) <= high  # type: ignore[arg-type]


def save_figure(drawn: Drawn, path: str | PathLike[str]) -> Path:
    """Save a figure, whole or not at all.

    Parameters
    ----------
    drawn
        What a plot function returned.
    path
        A file whose name ends in .pdf, .png or .svg; an existing one is replaced. Text in a PDF
        stays text, its fonts embedded.

    Returns
    -------
    pathlib.Path
        The file.

    Raises
    ------
    QueryError
        If the ending is another.
    StoreError
        If the file cannot be written.
    """
    check_given("plot.save_figure", drawn, Drawn, made_by="every function of bm.plot")
    path = Path(path)
    if path.suffix not in FORMATS:
        raise QueryError(f"{path} has no known ending. Allowed: {listing(FORMATS)}.")
    stamp = {".pdf": {"CreationDate": None}, ".svg": {"Date": None}}.get(path.suffix, {})
    with atomic(path) as part, mpl.rc_context(settings()):
        drawn.figure.savefig(part, metadata=stamp)
    return path


def as_png(drawn: Drawn) -> bytes:
    """Draw a figure in pixels, for a screen."""
    buffer = io.BytesIO()
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="no installed font has")
        drawn.figure.savefig(buffer, format="png", dpi=_SCREEN_DPI)
    return buffer.getvalue()


def as_svg(drawn: Drawn) -> str:
    """Write a figure as SVG whose text is text, in the fonts of whoever opens it."""
    buffer = io.StringIO()
    style: Any = {"svg.fonttype": "none", "svg.hashsalt": "bayesmeta"}
    with mpl.rc_context(style), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="no installed font has")  # a browser has them
        drawn.figure.savefig(buffer, format="svg", metadata={"Date": None})
    return buffer.getvalue()
