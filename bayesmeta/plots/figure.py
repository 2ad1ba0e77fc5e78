"""What all figures share: their look, an empty sheet, checks, the parts they are drawn of, saving.

Colours are from the Okabe-Ito set, told apart by colour-blind readers; shape or position says the
same again. A font that is named after the first one is taken for what the first lacks, letter by
letter.
"""

from __future__ import annotations

import io
import textwrap
import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from contextvars import ContextVar
from dataclasses import dataclass, replace
from functools import cache, wraps
from inspect import signature
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
from matplotlib.font_manager import FontEntry, FontProperties, findfont, fontManager
from matplotlib.ft2font import FT2Font
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.text import Text
from numpy.typing import NDArray

from bayesmeta.errors import QueryError, listing, shorten, unknown
from bayesmeta.estimates.summary import check_ci_prob
from bayesmeta.jobs import atomic
from bayesmeta.tables.wording import percent

COLUMN_WIDTH = 3.35
"""Inches: one column of a two-column paper."""

PAGE_WIDTH = 7.0
"""Inches: both columns of a two-column paper."""

VENUES = {
    "default": (COLUMN_WIDTH, PAGE_WIDTH),
    "acl": (3.03, 6.3),
    "iclr": (COLUMN_WIDTH, 5.5),
    "icml": (3.25, 6.75),
    "ieee": (3.5, 7.16),
    "jmlr": (COLUMN_WIDTH, 6.0),
    "nature": (3.5, 7.2),
    "neurips": (COLUMN_WIDTH, 5.5),
}
"""Inches of a column and of the page's text; where the text has one column, of a small figure."""

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


@dataclass(frozen=True, slots=True)
class _Look:
    style: str = "paper"
    theme: str = "light"
    venue: str = "default"


_LOOK: ContextVar[_Look] = ContextVar("look", default=_Look())  # noqa: B039 -- it is frozen


class _Use(AbstractContextManager[None]):
    """A choice that is in force already; left as a context, it gives way to the one before."""

    def __init__(self, before: _Look) -> None:
        self._before = before

    def __exit__(self, *_: object) -> None:
        _LOOK.set(self._before)


def use(
    *, style: str | None = None, theme: str | None = None, venue: str | None = None
) -> AbstractContextManager[None]:
    """Choose how the figures look that are drawn from now on, or inside a `with` block.

    Parameters
    ----------
    style
        `paper`: text of 7 points, in figures as wide as columns; `screen`: everything half as large
        again. Kept as it is if left out.
    theme
        `light` or `dark`; kept as it is if left out.
    venue
        Whose columns figures fit that are given no width: `acl`, `iclr`, `icml`, `ieee`, `jmlr`,
        `nature`, `neurips` or `default`; kept as it is if left out.

    Returns
    -------
    context manager
        In a `with` statement, the choice ends with the block.

    Raises
    ------
    QueryError
        If the style, theme or venue is not known.

    Examples
    --------
    >>> import bayesmeta as bm
    >>> found = bm.effects(bm.load_reference_fit(), "norm")
    >>> with use(style="screen", theme="dark"):
    ...     drawn = bm.plot.forest(found)
    >>> float(drawn.figure.get_figwidth() / bm.plot.COLUMN_WIDTH)
    1.5
    >>> with use(venue="icml"):
    ...     drawn = bm.plot.forest(found)
    >>> float(drawn.figure.get_figwidth())
    3.25
    """
    before = _LOOK.get()
    given = {"style": (style, STYLES), "theme": (theme, THEMES), "venue": (venue, VENUES)}
    for name, (value, allowed) in given.items():
        if value is not None and value not in [*allowed]:
            raise unknown(QueryError, name, value, allowed, mend="")
    chosen = {name: value for name, (value, _) in given.items() if value is not None}
    _LOOK.set(replace(before, **chosen))
    return _Use(before)


def fit_width(width: float) -> float:
    """Give the width that stands for a default one at the chosen venue, in inches."""
    usual = VENUES["default"]
    return VENUES[_LOOK.get().venue][usual.index(width)] if width in usual else width


def resolution() -> int:
    """Pixels per inch of a bitmap in the chosen style."""
    return STYLES[_LOOK.get().style][1]


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


_POINTS = {
    "font.size": 7, "axes.labelsize": 7, "axes.titlesize": 7, "axes.titlepad": 6,
    "axes.labelpad": 4, "legend.fontsize": 6.5, "axes.linewidth": 0.6, "hatch.linewidth": 0.5,
}  # fmt: skip
_TICKS = {"labelsize": 6.5, "major.width": 0.6, "minor.width": 0.4, "major.size": 3.5,
          "minor.size": 2.0, "major.pad": 3.5}  # fmt: skip


def settings() -> Any:
    """List what matplotlib is told for the chosen look."""
    dark = is_dark()
    ground, ink = (_BLACK, _DARK[INK]) if dark else ("white", "black")
    return {
        **{name: pt(size) for name, size in _POINTS.items()},
        **dict.fromkeys(("axes.spines.top", "axes.spines.right", "legend.frameon"), False),
        **{f"{axis}tick.{name}": pt(size) for axis in "xy" for name, size in _TICKS.items()},
        **{f"{axis}tick.color": ink for axis in "xy"},
        **dict.fromkeys(("text.color", "axes.labelcolor", "axes.edgecolor"), ink),
        **dict.fromkeys(("figure.facecolor", "axes.facecolor"), ground),
        "savefig.facecolor": "auto",
        "pdf.fonttype": 42,
        "svg.hashsalt": "bayesmeta",
        "figure.dpi": 100,
    }


def darken(figure: Figure) -> None:
    """Replace every colour that a plot names by what stands for it on a dark ground."""
    for artist in figure.findobj():
        for getter, setter in _colours_of(artist):
            old = getter()
            new = _replace(old)
            if new is not None:
                setter(new)


_COLOURED: dict[type, tuple[str, ...]] = {
    Line2D: ("color", "markerfacecolor", "markeredgecolor"),
    Text: ("color",),
    **dict.fromkeys((Collection, Patch), ("facecolor", "edgecolor")),
}
"""What has a colour in every kind of thing that is drawn."""


def _colours_of(artist: Artist) -> list[tuple[Callable[[], Any], Callable[[Any], None]]]:
    names = next((names for kind, names in _COLOURED.items() if isinstance(artist, kind)), ())
    return [(getattr(artist, f"get_{name}"), getattr(artist, f"set_{name}")) for name in names]


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


# ---- fonts for letters of names that the figures' own font lacks

_PREFERRED = ("Noto Sans", "Noto", "Source Han Sans")
_BOXES = "Last Resort"
"""A font that has a box for every letter."""

_SHOWN = 10
"""Letters that a message names."""


@cache
def _letters_of(path: str) -> frozenset[int]:
    """Code points that a font can draw."""
    return frozenset(FT2Font(path).get_charmap())


def written_in(figure: Figure) -> set[str]:
    """Collect the letters of all texts of a figure, tick labels included."""
    for axes in figure.axes:
        for axis in (axes.xaxis, axes.yaxis):
            axis.get_ticklabels()  # makes the texts that are drawn
    texts = figure.findobj(Text)
    return {letter for text in texts for letter in text.get_text() if not letter.isspace()}


def choose_families(letters: Iterable[str]) -> tuple[list[str], set[str]]:
    """Choose fonts that have letters which the default font lacks.

    Parameters
    ----------
    letters
        What is to be written.

    Returns
    -------
    list of str
        Families: the default ones, then as few installed ones as have all the other letters.
    set of str
        Letters that no installed font has.

    Examples
    --------
    >>> choose_families("plain text")
    (['sans-serif'], set())
    """
    families = list(mpl.rcParams["font.family"])
    own = _letters_of(str(findfont(FontProperties(family=families))))
    lacking = {letter for letter in letters if ord(letter) not in own}
    if lacking:
        fonts = sorted((f for f in fontManager.ttflist if _BOXES not in f.name), key=_rank)
        while lacking:
            best = max(fonts, key=lambda font: len(_drawn_by(font, lacking)), default=None)
            found = set() if best is None else _drawn_by(best, lacking)
            if best is None or not found:
                break
            families.append(best.name)
            lacking -= found
    return families, lacking


def _rank(font: FontEntry) -> tuple[int, bool, bool, str]:
    """Order fonts: families made to go with others first, upright and regular before others."""
    place = [k for k, name in enumerate(_PREFERRED) if font.name.startswith(name)]
    plain = str(font.weight) in ("400", "normal", "regular")
    return (place or [len(_PREFERRED)])[0], not plain, font.style != "normal", font.name


def _drawn_by(font: FontEntry, letters: set[str]) -> set[str]:
    try:
        known = _letters_of(font.fname)
    except (OSError, RuntimeError):  # a file that is gone, or no font
        return set()
    return {letter for letter in letters if ord(letter) in known}


def set_families(figure: Figure, families: list[str]) -> None:
    """Write all texts of a figure in these families."""
    for text in figure.findobj(Text):
        text.set_fontfamily(families)


def name_letters(lacking: set[str]) -> str:
    """Word the warning that letters will be drawn as boxes."""
    shown = "".join(sorted(lacking)[:_SHOWN])
    more = f" and {len(lacking) - _SHOWN} more letters" if len(lacking) > _SHOWN else ""
    return (
        f"no installed font has {shown}{more}: they are drawn as boxes. Install a font that has "
        "them: the Noto font of that script, such as Noto Sans CJK for Chinese."
    )


FORMATS = (".pdf", ".png", ".svg")
_WIDTHS = (2.0, 20.0)
"""Inches between which a figure can be laid out."""

_LETTERS = 18.5
"""Letters of 7 points that an inch holds."""

P = ParamSpec("P")


class Drawn(NamedTuple):
    """A figure and the numbers in it."""

    figure: Figure
    table: pd.DataFrame


class _Sheet(Figure):
    """A figure that is drawn and saved in the look it was made in, whatever is chosen later."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self.settings: Any = settings()
        self.lacking: set[str] = set()
        self.resolution: int = resolution()
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


def equals(probability: float) -> str:
    """Write what a probability is: `= .53`, or a bound."""
    text = short(probability)
    return text if text[0] in "<>" else f"= {text}"


def check_known(what: str, names: Iterable[str], known: Sequence[str], *, said: str) -> None:
    """Refuse a name that is not among those known."""
    for name in names:
        if name not in known:
            raise unknown(QueryError, what, name, known, said=said, mend="")


def interval_words(ci_prob: float, *, noun: str = "interval") -> str:
    """Name the kind and probability of what is drawn, such as `90 % equal-tailed intervals`."""
    return f"{percent(ci_prob, whole=False)} equal-tailed {noun}"


def write_below(figure: Figure, *lines: str, beside: str = "") -> None:
    """Write what axis and marks are below a figure, in lines that fit, and beside it."""
    most = _count_letters(figure)
    fitting = [textwrap.fill(line, most, break_on_hyphens=False) for line in lines]
    figure.supxlabel("\n".join(fitting), fontsize=pt(7))
    if beside:
        figure.supylabel(beside, fontsize=pt(7))


def count_columns(figure: Figure, labels: Sequence[str]) -> int:
    """Count the columns of a legend that fit a figure; a mark is as wide as four letters."""
    longest = max(len(printable(name)) for name in labels)
    return max(1, min(len(labels), _count_letters(figure) // (longest + 4)))


def _count_letters(figure: Figure) -> int:
    return int(_LETTERS * figure.get_figwidth() / pt(1))


def lay_out(
    titles: Sequence[str],
    *,
    columns: int,
    width: float,
    heights: tuple[float, float],
    most: int = 32,
    sharex: bool = False,
    sharey: bool = False,
) -> tuple[Figure, list[Axes]]:
    """Lay out one panel per title, row by row.

    Parameters
    ----------
    titles
        Titles of the panels.
    columns
        At most so many panels in a row.
    width
        Width in inches.
    heights
        Inches of all but the panels, and of a panel with its title.
    most
        Letters of a title.
    sharex, sharey
        As matplotlib takes them.
    """
    columns = min(columns, len(titles))
    rows = -(-len(titles) // columns)
    figure = build_figure(width=width, height=heights[0] + heights[1] * rows)
    grid = figure.subplots(rows, columns, sharex=sharex, sharey=sharey, squeeze=False)
    for axes in grid.flat[len(titles) :]:
        axes.set_visible(False)
    panels = list(grid.flat[: len(titles)])
    for axes, title in zip(panels, titles, strict=True):
        axes.set_title(printable(title, most=most), loc="left")
    for axes in panels[-columns:]:  # some have no panel below them
        axes.tick_params(axis="x", labelbottom=True)
    return figure, panels


def draw_intervals(
    axes: Axes,
    table: pd.DataFrame,
    places: Any,
    *,
    size: float,
    line: float,
    edge: float = 0.0,
    middle: str = "estimate",
    upright: bool = False,
    **style: Any,
) -> None:
    """Draw middles of a table as markers, and `lower` to `upper` as lines, at places of an axis."""
    middles = table[middle]
    error = np.stack([middles - table["lower"], table["upper"] - middles])
    x, y = (places, middles) if upright else (middles, places)
    axes.errorbar(x, y, **{"yerr" if upright else "xerr": error}, linestyle="none",
                  markersize=pt(size), elinewidth=pt(line), markeredgewidth=pt(edge),
                  **style)  # fmt: skip


def draw_zero(axes: Axes, *, upright: bool = True, **style: Any) -> None:
    """Draw the line of no difference."""
    draw = axes.axvline if upright else axes.axhline
    draw(0, color=FAINT, linewidth=pt(0.6), **style)


def draw_band(
    axes: Axes, points: pd.DataFrame, along: str, *, color: str, alpha: float, **style: Any
) -> None:
    """Draw the band from `lower` to `upper` along a column of a table."""
    axes.fill_between(points[along], points["lower"], points["upper"], color=color, alpha=alpha,
                      linewidth=0, **style)  # fmt: skip


def draw_dots(axes: Axes, x: Any, y: Any, marker: str, *, size: float, **style: Any) -> None:
    """Draw marks without edges and without lines between them."""
    axes.plot(
        x, y, marker=marker, markersize=pt(size), linestyle="none", markeredgewidth=0, **style
    )


def write_number(axes: Axes, text: str, at: tuple[float, float], **style: Any) -> None:
    """Write a small text at a height of an axis, beside it."""
    axes.annotate(text, at, xycoords=axes.get_yaxis_transform(), fontsize=pt(6), color=INK,
                  annotation_clip=False, **style)  # fmt: skip


def label_rows(axes: Axes, places: Any, labels: Sequence[str], **style: Any) -> None:
    """Name rows beside an axis without ticks."""
    axes.set_yticks(places, labels, **style)
    axes.tick_params(axis="y", length=0)


def legend_above(
    figure: Any, *given: Any, ncols: int, pad: float = 0.3, gap: float = 1.2, **style: Any
) -> None:
    """Write the legend above a figure, marks and columns some letters apart."""
    figure.legend(*given, loc="outside upper center", ncols=ncols, handletextpad=pad,
                  columnspacing=gap, **style)  # fmt: skip


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
        If the ending is another.
    StoreError
        If the file cannot be written.
    """
    check_given("plot.save_figure", drawn, Drawn, made_by="every function of bm.plot")
    path = Path(path)
    if path.suffix not in FORMATS:
        raise QueryError(f"{path} has no known ending. Allowed: {listing(FORMATS)}.")
    stamp = {".pdf": {"CreationDate": None}, ".svg": {"Date": None}}.get(path.suffix, {})
    figure = drawn.figure
    look = nullcontext() if isinstance(figure, _Sheet) else mpl.rc_context(settings())
    with atomic(path) as part, look:
        figure.savefig(part, metadata=stamp)
    return path


def as_svg(drawn: Drawn) -> str:
    """Write a figure as SVG whose text is text, in the fonts of whoever opens it."""
    buffer = io.StringIO()
    style: Any = {"svg.fonttype": "none", "svg.hashsalt": "bayesmeta"}
    with mpl.rc_context(style), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="no installed font has")  # a browser has them
        drawn.figure.savefig(buffer, format="svg", metadata={"Date": None})
    return buffer.getvalue()
