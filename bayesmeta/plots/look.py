"""How figures look: their style, theme and venue, their colours, and the fonts of their letters.

Colours are from the Okabe-Ito set, told apart by colour-blind readers; shape or position says the
same again. A font that is named after the first one is taken for what the first lacks, letter by
letter.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import AbstractContextManager
from contextvars import ContextVar
from dataclasses import dataclass, replace
from functools import cache
from itertools import product
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import Collection
from matplotlib.colors import Colormap, LinearSegmentedColormap, to_hex, to_rgba, to_rgba_array
from matplotlib.figure import Figure
from matplotlib.font_manager import FontEntry, FontProperties, findfont, fontManager
from matplotlib.ft2font import FT2Font
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.text import Text

from bayesmeta.errors import QueryError, unknown

COLUMN_WIDTH = 3.35
"""Inches: one column of a two-column paper."""

PAGE_WIDTH = 7.0
"""Inches: both columns of a two-column paper."""

VENUES = {
    "default": (COLUMN_WIDTH, PAGE_WIDTH),
    "acl": (3.03, 6.3),
    "iclr": (5.5, 5.5),
    "icml": (3.25, 6.75),
    "ieee": (3.5, 7.16),
    "jmlr": (6.0, 6.0),
    "nature": (3.5, 7.2),
    "neurips": (5.5, 5.5),
}
"""Inches of a column and of the page's text, which are the same where it has one column."""

INK, FAINT, PALE, PALEST = "#222222", "#999999", "#DDDDDD", "#EFEFEF"
STYLES = {"paper": (1.0, 300), "screen": (1.5, 200)}
"""How large everything is beside its size on paper, and pixels per inch of a bitmap."""

THEMES = ("light", "dark")
_BLACK = "#141414"
_DARK = {
    INK: "#E8E8E8", FAINT: "#8C8C8C", PALE: "#3A3A3A", PALEST: "#242424",
    "#ffffff": _BLACK, "#000000": "#E8E8E8",
    "#0072B2": "#4DA6E8", "#56B4E9": "#A3DCF7", "#D55E00": "#FF8A3C", "#009E73": "#2CC79A",
    "#CC79A7": "#E59CC6", "#E69F00": "#F0B323", "#F0E442": "#6B6414",
}  # fmt: skip
"""What stands for a colour on a dark ground."""

_ON_DARK: dict[str, Any] = {to_hex(colour): shown for colour, shown in _DARK.items()}
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
        "savefig.dpi": STYLES[_LOOK.get().style][1],
        "pdf.fonttype": 42,
        "svg.hashsalt": "bayesmeta",
        "figure.dpi": 100,
    }


_COLOURED: dict[type, tuple[str, ...]] = {
    Line2D: ("color", "markerfacecolor", "markeredgecolor"),
    Text: ("color",),
    **dict.fromkeys((Collection, Patch), ("facecolor", "edgecolor")),
}
"""What has a colour in every kind of thing that is drawn."""


def darken(drawn: Figure | Sequence[Axes]) -> None:
    """Replace every colour that a plot names by what stands for it on a dark ground."""
    parts = [drawn] if isinstance(drawn, Figure) else drawn
    for kind, names in _COLOURED.items():
        found = [artist for part in parts for artist in part.findobj(kind)]
        for artist, name in product(found, names):
            given = to_rgba_array(getattr(artist, f"get_{name}")())
            shown = [to_rgba(_ON_DARK.get(to_hex(rgba), rgba), alpha=rgba[3]) for rgba in given]
            if not np.array_equal(given, np.reshape(shown, given.shape)):
                getattr(artist, f"set_{name}")(shown if len(shown) > 1 else shown[0])


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
    fonts = [font for font in fontManager.ttflist if _BOXES not in font.name] if lacking else []
    fonts.sort(key=_rank)
    while lacking:
        best = max(fonts, key=lambda font: len(_drawn_by(font, lacking)))
        found = _drawn_by(best, lacking)
        if not found:
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


def name_letters(lacking: set[str]) -> str:
    """Word the warning that letters will be drawn as boxes."""
    shown = "".join(sorted(lacking)[:_SHOWN])
    more = f" and {len(lacking) - _SHOWN} more letters" if len(lacking) > _SHOWN else ""
    return (
        f"no installed font has {shown}{more}: they are drawn as boxes. Install a font that has "
        "them: the Noto font of that script, such as Noto Sans CJK for Chinese."
    )
