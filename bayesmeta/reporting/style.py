"""What all figures share: sizes, colours, fonts, checks, and how a figure is saved.

Colours are from the Okabe-Ito set, told apart by colour-blind readers; shape or position says the
same again.
"""

from __future__ import annotations

import os
import tempfile
import warnings
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from contextvars import ContextVar
from dataclasses import dataclass
from functools import wraps
from os import PathLike
from pathlib import Path
from typing import Any, NamedTuple, ParamSpec

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.collections import Collection
from matplotlib.colors import Colormap, LinearSegmentedColormap, to_hex, to_rgba
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.text import Text
from numpy.typing import NDArray

from bayesmeta.effects.contrasts import check_ci_prob
from bayesmeta.errors import QueryError, listing, shorten, suggest
from bayesmeta.reporting.fonts import choose_families, name_letters, set_families, written_in

__all__ = [
    "COLUMN_WIDTH",
    "FAINT",
    "FORMATS",
    "INK",
    "PAGE_WIDTH",
    "PALE",
    "STYLES",
    "THEMES",
    "Drawn",
    "build_figure",
    "check_given",
    "diverging",
    "draw_recorded",
    "drawn_from",
    "interval_words",
    "is_dark",
    "percent",
    "printable",
    "pt",
    "save_figure",
    "short",
    "use",
]

COLUMN_WIDTH = 3.35
"""Inches: one column of a two-column paper."""

PAGE_WIDTH = 7.0
"""Inches: both columns of a two-column paper."""

FORMATS = (".pdf", ".png", ".svg")
_WIDTHS = (2.0, 20.0)
"""Inches between which a figure can be laid out."""

INK, FAINT, PALE = "#222222", "#999999", "#DDDDDD"
STYLES = {"paper": (1.0, 300), "screen": (1.5, 200)}
"""How large everything is beside its size on paper, and pixels per inch of a bitmap."""

THEMES = ("light", "dark")
_BLACK = "#141414"
_DARK = {
    INK: "#E8E8E8", FAINT: "#8C8C8C", PALE: "#3A3A3A", "#ffffff": _BLACK, "#000000": "#E8E8E8",
    "#0072B2": "#4DA6E8", "#56B4E9": "#A3DCF7", "#D55E00": "#FF8A3C", "#009E73": "#2CC79A",
    "#CC79A7": "#E59CC6", "#E69F00": "#F0B323", "#F0E442": "#6B6414",
}  # fmt: skip
"""What stands for a colour on a dark ground."""

_ON_DARK = {to_hex(colour): shown for colour, shown in _DARK.items()}
_RED_TO_BLUE = {
    "light": ("#B2480A", "#E8935A", "#F7F7F5", "#6BAED6", "#08589E"),
    "dark": ("#FFA366", "#B8591C", "#262626", "#2E7EB8", "#8CCBF5"),
}
"""Surely harmful, unclear, surely helpful; orange and blue are told apart by all readers."""

P = ParamSpec("P")


@dataclass(frozen=True, slots=True)
class _Look:
    style: str = "paper"
    theme: str = "light"


_LOOK: ContextVar[_Look] = ContextVar("look", default=_Look())  # noqa: B039 -- it is frozen


class Drawn(NamedTuple):
    """A figure and the numbers in it."""

    figure: Figure
    table: pd.DataFrame


class _Use(AbstractContextManager[None]):
    """A choice that is in force already; left as a context, it gives way to the one before."""

    def __init__(self, before: _Look) -> None:
        self._before = before

    def __exit__(self, *_: object) -> None:
        _LOOK.set(self._before)


def use(*, style: str | None = None, theme: str | None = None) -> AbstractContextManager[None]:
    """Choose how the figures look that are drawn from now on, or inside a `with` block.

    Parameters
    ----------
    style
        `paper`: text of 7 points, in figures as wide as columns; `screen`: everything half as large
        again. Kept as it is if left out.
    theme
        `light` or `dark`; kept as it is if left out.

    Returns
    -------
    context manager
        In a `with` statement, the choice ends with the block.

    Raises
    ------
    QueryError
        If the style or theme is not known.

    Examples
    --------
    >>> import bayesmeta as bm
    >>> found = bm.effects(bm.load_reference_fit(), "norm")
    >>> with use(style="screen", theme="dark"):
    ...     drawn = bm.plot.forest(found)
    >>> float(drawn.figure.get_figwidth() / bm.plot.COLUMN_WIDTH)
    1.5
    """
    before = _LOOK.get()
    for name, value, allowed in (("style", style, [*STYLES]), ("theme", theme, [*THEMES])):
        if value is not None and value not in allowed:
            raise QueryError(
                f"{name} '{shorten(value)}' is not known.{suggest(value, allowed)} Allowed: "
                f"{listing(allowed)}."
            )
    _LOOK.set(_Look(style or before.style, theme=theme or before.theme))
    return _Use(before)


def is_dark() -> bool:
    """Say whether figures are drawn on a dark ground."""
    return _LOOK.get().theme == "dark"


def pt(size: float) -> float:
    """Points that a size on paper has in the chosen style."""
    return size * STYLES[_LOOK.get().style][0]


def diverging() -> Colormap:
    """Colours from orange (0) over the ground's colour to blue (1)."""
    colours = _RED_TO_BLUE[_LOOK.get().theme]
    return LinearSegmentedColormap.from_list("diverging", colours)


def _settings() -> Any:
    """List what matplotlib is told for the chosen look."""
    dark = is_dark()
    ground, ink = (_BLACK, _DARK[INK]) if dark else ("white", "black")
    return {
        "font.size": pt(7),
        "axes.labelsize": pt(7),
        "axes.titlesize": pt(7),
        "axes.titlepad": pt(6),
        "axes.labelpad": pt(4),
        "xtick.labelsize": pt(6.5),
        "ytick.labelsize": pt(6.5),
        "legend.fontsize": pt(6.5),
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.linewidth": pt(0.6),
        "hatch.linewidth": pt(0.5),
        **{f"{axis}tick.major.width": pt(0.6) for axis in "xy"},
        **{f"{axis}tick.minor.width": pt(0.4) for axis in "xy"},
        **{f"{axis}tick.major.size": pt(3.5) for axis in "xy"},
        **{f"{axis}tick.minor.size": pt(2) for axis in "xy"},
        **{f"{axis}tick.major.pad": pt(3.5) for axis in "xy"},
        **{f"{axis}tick.color": ink for axis in "xy"},
        **dict.fromkeys(("text.color", "axes.labelcolor", "axes.edgecolor"), ink),
        **dict.fromkeys(("figure.facecolor", "axes.facecolor"), ground),
        "savefig.facecolor": "auto",
        "pdf.fonttype": 42,
        "svg.hashsalt": "bayesmeta",
        "figure.dpi": 100,
    }


class _Sheet(Figure):
    """A figure that is drawn and saved in the look it was made in, whatever is chosen later."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self.settings: Any = _settings()
        self.lacking: set[str] = set()
        self.resolution: int = STYLES[_LOOK.get().style][1]
        super().__init__(*args, **kwargs)

    def find_fonts(self) -> None:
        """Take further fonts for letters that its own lacks."""
        families, self.lacking = choose_families(written_in(self))
        if len(families) > 1:
            self.settings["font.family"] = families
            set_families(self, families)

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
            super().savefig(fname, **{"dpi": self.resolution, **kwargs})


def build_figure(*, width: float, height: float) -> Figure:
    """Make an empty figure whose size on paper is given in inches."""
    return _Sheet(figsize=(pt(width), pt(height)), layout="constrained")


def drawn_from(*kinds: type, made_by: str) -> Callable[[Callable[P, Drawn]], Callable[P, Drawn]]:
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
        @wraps(function)
        def draw(*args: P.args, **kwargs: P.kwargs) -> Drawn:
            name = f"plot.{function.__name__}"
            if args:
                check_given(name, args[0], *kinds, made_by=made_by)
            _check_numbers(name, kwargs)
            with mpl.rc_context(_settings()):
                drawn = function(*args, **kwargs)
                if isinstance(drawn.figure, _Sheet):
                    drawn.figure.find_fonts()
            if is_dark():
                _darken(drawn.figure)
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


def _check_numbers(name: str, given: Mapping[str, Any]) -> None:
    """Refuse a width, a probability or a number of draws that is none."""
    if "width" in given and not _is_number(given["width"], *_WIDTHS):
        raise QueryError(
            f"width of {name} is {shorten(given['width'])}. Allowed: a number of inches from "
            f"{_WIDTHS[0]:g} to {_WIDTHS[1]:g}, such as plot.COLUMN_WIDTH or plot.PAGE_WIDTH."
        )
    if "ci_prob" in given:
        if not _is_number(given["ci_prob"], -np.inf, np.inf):
            raise QueryError(
                f"ci_prob is {shorten(given['ci_prob'])}. Allowed: a number between 0 and 1, such "
                "as 0.9."
            )
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


def _darken(figure: Figure) -> None:
    """Replace every colour that a plot names by what stands for it on a dark ground."""
    for artist in figure.findobj():
        for getter, setter in _colours_of(artist):
            old = getter()
            new = _replace(old)
            if new is not None:
                setter(new)


def _colours_of(artist: Artist) -> list[tuple[Callable[[], Any], Callable[[Any], None]]]:
    if isinstance(artist, Line2D):
        return [
            (artist.get_color, artist.set_color),
            (artist.get_markerfacecolor, artist.set_markerfacecolor),
            (artist.get_markeredgecolor, artist.set_markeredgecolor),
        ]
    if isinstance(artist, Text):
        return [(artist.get_color, artist.set_color)]
    if isinstance(artist, Collection | Patch):
        return [
            (artist.get_facecolor, artist.set_facecolor),
            (artist.get_edgecolor, artist.set_edgecolor),
        ]
    return []


def _replace(colour: Any) -> Any:
    """Give the colour, or the rows of colours, on a dark ground; None where nothing changes."""
    if isinstance(colour, str) and colour in ("none", "auto"):
        return None
    if isinstance(colour, np.ndarray) and colour.ndim == 2:
        rows = [_replace(row) for row in colour]
        if all(row is None for row in rows):
            return None
        return [old if row is None else row for old, row in zip(colour, rows, strict=True)]
    rgba: Any = to_rgba(colour)  # type: ignore[arg-type]
    shown = _ON_DARK.get(to_hex(rgba))
    return None if shown is None else to_rgba(shown, alpha=rgba[3])


def printable(name: object, *, most: int = 32) -> str:
    """Write a name of the data as a label: not too long, with no character read as markup."""
    text = " ".join(str(name).split())
    text = text if len(text) <= most else f"{text[: most - 3]}..."
    return f" {text}".replace("$", r"\$") if text.startswith("_") else text.replace("$", r"\$")


def short(probability: float) -> str:
    """Two digits; what would round to 0 or 1 prints as a bound."""
    if probability > 0.995:
        return "> .99"
    return "< .01" if probability < 0.005 else f"{probability:.2f}".lstrip("0")


def percent(share: float) -> str:
    """Write a share as captions do: `90 %`."""
    return f"{100 * share:.6g} %"


def interval_words(ci_prob: float, *, noun: str = "interval") -> str:
    """Name the kind and probability of what is drawn, such as `90 % equal-tailed intervals`."""
    return f"{percent(ci_prob)} equal-tailed {noun}"


def draw_recorded(axes: Axes, recorded: NDArray[np.float64]) -> None:
    """Mark the recorded values on the horizontal axis."""
    values = np.unique(recorded)
    axes.plot(values, np.zeros(len(values)), "|", color=INK, markersize=pt(4),
              markeredgewidth=pt(0.5), transform=axes.get_xaxis_transform(),
              clip_on=False)  # fmt: skip


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
        If the ending is another, or the folder cannot be written.
    """
    check_given("plot.save_figure", drawn, Drawn, made_by="every function of bm.plot")
    path = Path(path)
    if path.suffix not in FORMATS:
        raise QueryError(f"{path} has no known ending. Allowed: {listing(FORMATS)}.")
    stamp = {".pdf": {"CreationDate": None}, ".svg": {"Date": None}}.get(path.suffix, {})
    figure = drawn.figure
    settings = nullcontext() if isinstance(figure, _Sheet) else mpl.rc_context(_settings())
    try:
        with tempfile.TemporaryDirectory(dir=path.parent, prefix=".figure.") as folder, settings:
            part = Path(folder) / path.name
            figure.savefig(part, metadata=stamp)
            os.replace(part, path)
    except OSError as error:
        raise QueryError(
            f"{path} cannot be written: {error.strerror}. Name a file in a folder that exists and "
            "may be written to."
        ) from error
    return path
