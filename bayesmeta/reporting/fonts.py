"""Fonts for letters of names that the figures' own font lacks.

A font that is named after the first one is taken for what the first lacks, letter by letter.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache

import matplotlib as mpl
from matplotlib.figure import Figure
from matplotlib.font_manager import FontEntry, FontProperties, findfont, fontManager
from matplotlib.ft2font import FT2Font
from matplotlib.text import Text

__all__ = ["choose_families", "name_letters", "set_families", "written_in"]

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
