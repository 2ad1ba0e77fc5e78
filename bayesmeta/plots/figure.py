"""A figure and the numbers in it: made in the chosen look, its arguments checked, saved."""

from __future__ import annotations

import io
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import wraps
from inspect import Parameter, Signature, cleandoc, signature
from os import PathLike
from pathlib import Path
from typing import Any, TypedDict

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.text import Text
from numpy.typing import NDArray

from bayesmeta.errors import QueryError, listing, shorten, unknown
from bayesmeta.estimates.summary import check_ci_prob
from bayesmeta.plots.look import (
    choose_families,
    darken,
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


@dataclass(frozen=True, eq=False, repr=False)
class Drawn:
    """A figure and the numbers in it.

    Parameters
    ----------
    figure
        The figure, of matplotlib.
    table
        The numbers drawn.
    caption
        The sentences that explain it, written below the figure unless `note=False` or `ax` was
        given.
    axes
        The panels.

    Examples
    --------
    >>> import bayesmeta as bm
    >>> figure, table = bm.plot.forest(bm.effects(bm.load_reference_fit(), "norm"), note=False)
    >>> len(table)
    2
    """

    figure: Figure
    table: pd.DataFrame
    caption: str = ""
    axes: tuple[Axes, ...] = ()

    def __iter__(self) -> Iterator[Any]:
        return iter((self.figure, self.table))

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


class Layout(TypedDict, total=False):
    """What every figure takes besides what it shows."""

    ax: Axes | Sequence[Axes] | NDArray[Any] | None
    figsize: tuple[float, float] | None
    width: float | None
    title: str | None
    note: bool
    labels: Mapping[str, str] | None
    order: str | Sequence[str] | None
    inner: float | None


INNER = 0.5
"""Probability of the inner interval, if none is asked for."""

ORDERS = ("given", "effect")

_USUAL = {"note": True, "inner": INNER}
_TOLD = """ax
    Axes of a figure of one's own, or an array or list of them where there are several panels;
    title and legend then stand on the axes, and the note is left out.
figsize, width
    Width and height in inches, or the width alone; that of the venue if left out.
title, note
    The title, in place of the usual one; False leaves the explanation below the figure out, which
    `caption` of what is returned has in any case.
labels
    What to write in place of names, such as `{"gqa": "grouped-query"}`.
order
    `given`, `effect` (the largest first), or a list of the names to draw.
inner
    Probability of the inner intervals; None draws none."""
"""What every plot's documentation says of the layout."""


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
        known = _spell_out(signature(function))

        @wraps(function)
        def draw(*args: P.args, **kwargs: P.kwargs) -> Drawn:
            name = f"plot.{function.__name__}"
            for key in kwargs:
                if key not in known.parameters:
                    raise TypeError(f"{name}() got an unexpected keyword argument '{key}'")
            if args:
                check_given(name, args[0], *kinds, made_by=made_by)
            _check_numbers(name, kwargs)
            _check_layout(kwargs)
            with mpl.rc_context(settings()):
                drawn = function(*args, **kwargs)
                if isinstance(drawn.figure, _Sheet):
                    drawn.figure.find_fonts()
            if is_dark():
                darken(drawn.figure if isinstance(drawn.figure, _Sheet) else drawn.axes)
            return drawn

        draw.__signature__ = known  # type: ignore[attr-defined]
        told, returns = cleandoc(function.__doc__ or ""), "\n\nReturns\n---"
        draw.__doc__ = told.replace(returns, f"\n{_TOLD}{returns}", 1)
        return draw

    return decorate


def _spell_out(given: Signature) -> Signature:
    """List the arguments of the layout one by one in a signature that has them as `**how`."""
    own = [p for p in given.parameters.values() if p.kind is not Parameter.VAR_KEYWORD]
    more = [
        Parameter(
            name,
            Parameter.KEYWORD_ONLY,
            default=_USUAL.get(name),
            annotation=getattr(annotation, "__forward_arg__", annotation),
        )
        for name, annotation in Layout.__annotations__.items()
    ]
    return given.replace(parameters=[*own, *more])


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
    if given.get("width") is not None and not _is_number(given["width"], *_WIDTHS):
        raise QueryError(
            f"width of {name} is {shorten(given['width'])}. Allowed: a number of inches from "
            f"{_WIDTHS[0]:g} to {_WIDTHS[1]:g}, such as plot.COLUMN_WIDTH or plot.PAGE_WIDTH."
        )
    if "ci_prob" in given:
        check_ci_prob(given["ci_prob"])
    if given.get("inner") is not None and not _is_number(given["inner"], 1e-9, 1 - 1e-9):
        raise QueryError(
            f"inner is {shorten(given['inner'])}. Allowed: a number between 0 and 1, such as 0.5, "
            "or None for no inner interval."
        )
    for key in {"draws", "n_draws"} & set(given):
        whole = isinstance(given[key], int | np.integer)
        if not whole or not _is_number(given[key], 1, np.inf):
            raise QueryError(
                f"{key} of {name} is {shorten(given[key])}. Allowed: a whole number from 1 up."
            )


def _check_layout(given: Mapping[str, Any]) -> None:
    """Refuse axes, sizes, labels and words that are none."""
    size, ax, labels = (given.get(name) for name in ("figsize", "ax", "labels"))
    two = isinstance(size, Sequence) and len(size) == 2
    if size is not None and not (two and all(_is_number(x, 1.0, 40.0) for x in size)):
        raise QueryError(
            f"figsize is {shorten(size)}. Allowed: width and height in inches, such as (5.5, 4)."
        )
    for one in [] if ax is None else np.ravel(np.asarray(ax, dtype=object)):
        if not isinstance(one, Axes):
            raise QueryError(
                f"ax has an object of type {type(one).__name__}. Allowed: axes of matplotlib, or "
                "an array or list of them, as plt.subplots makes them."
            )
    if labels is not None and not (
        isinstance(labels, Mapping) and all(isinstance(text, str) for text in labels.values())
    ):
        raise QueryError(
            f"labels is {shorten(labels)}. Allowed: a mapping from names to what is written for "
            'them, such as {"gqa": "grouped-query"}.'
        )
    for name, kind in (("title", str), ("note", bool)):
        if given.get(name) is not None and not isinstance(given[name], kind):
            wanted = "a text" if kind is str else "True or False"
            raise QueryError(f"{name} is {shorten(given[name])}. Allowed: {wanted}.")
    if not isinstance(given.get("order") or (), str | Sequence | np.ndarray):
        raise QueryError(
            f"order is {shorten(given['order'])}. Allowed: {listing(ORDERS)}, or a list of names."
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
