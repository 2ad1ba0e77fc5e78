"""Where a figure is drawn and what is written on it: its own page, or axes of somebody else's."""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from bayesmeta.errors import QueryError, unknown
from bayesmeta.plots.figure import INNER, ORDERS, Drawn, Layout, build_figure
from bayesmeta.plots.look import PAGE_WIDTH, fit_width, pt
from bayesmeta.plots.marks import printable

_LINE, _PAD = 0.125, 0.06
"""Inches of a line of 7 points, and between two blocks of text."""

_LETTERS = 19.2
"""Letters of 6.5 points that an inch holds."""


class Page:
    """A figure of its own, or given axes, and the words on either.

    Parameters
    ----------
    how
        What the caller of the plot asked for.
    """

    def __init__(self, how: Layout) -> None:
        self._how = how
        self._names: dict[str, None] = {}
        self._used: set[str] = set()
        self._columns = 1
        self.axes: list[Axes] = []
        given = how.get("ax")
        self._given = None if given is None else [*np.ravel(np.asarray(given, dtype=object))]

    @property
    def is_own(self) -> bool:
        """Whether the figure is its own, rather than somebody else's axes."""
        return self._given is None

    @property
    def figure(self) -> Figure:
        """The figure that is drawn on."""
        figure = self.axes[0].get_figure(root=True)
        assert figure is not None
        return figure

    def inches(self, usual: float) -> float:
        """Width on paper: as asked for, that of the axes given, or what the venue has for usual."""
        if self._given is not None:
            first = self._given[0]
            return first.get_window_extent().width / first.get_figure(root=True).dpi / pt(1)
        figsize, width = self._how.get("figsize"), self._how.get("width")
        if figsize is not None:
            return float(figsize[0])
        return fit_width(usual) if width is None else float(width)

    def panels(
        self, n: int = 1, *, width: float, height: float, columns: int = 1, **grid: Any
    ) -> list[Axes]:
        """Take the axes given, or lay out a figure with as many.

        Parameters
        ----------
        n
            Number of panels.
        width, height
            Inches of a figure of its own, but for its title and its note.
        columns
            Panels in a row.
        grid
            What `Figure.subplots` takes.
        """
        if self._given is not None:
            if len(self._given) != n:
                raise QueryError(
                    f"ax has {len(self._given)} axes, and this figure has {n}. Allowed: "
                    f"{'one axes' if n == 1 else f'an array or list of {n} axes'}, as "
                    "plt.subplots makes them."
                )
            self.axes = self._given
            for axes in self.axes:
                _dress(axes)
            return self.axes
        size = self._how.get("figsize") or (self.inches(width), height)
        sheet = build_figure(width=size[0], height=size[1])
        made = sheet.subplots(-(-n // columns), columns, squeeze=False, **grid)
        for spare in made.flat[n:]:
            spare.remove()
        self.axes = [*made.flat[:n]]
        return self.axes

    def label(self, *names: str, shown: str | None = None, most: int = 32) -> str:
        """Write a name: as the caller wants it, else as it is shown, with no letter as markup."""
        known = [*names, *([] if shown is None else [shown])]
        self._names |= dict.fromkeys(known)
        given = self._how.get("labels") or {}
        wanted = next((given[name] for name in known if name in given), None)
        return printable(known[-1], most=most) if wanted is None else wanted

    def arrange(self, names: Sequence[Sequence[str]], values: Any) -> list[int]:
        """Put what has names in the order asked for: as given, largest effect first, or a list."""
        self._used.add("order")
        order = self._how.get("order")
        if order is None or (isinstance(order, str) and order == "given"):
            return list(range(len(names)))
        if isinstance(order, str) and order == "effect":
            return [int(k) for k in np.argsort(-np.asarray(values, float), kind="stable")]
        if isinstance(order, str):
            raise unknown(QueryError, "order", order, ORDERS, mend="Or give a list of names.")
        places = {name: k for k in reversed(range(len(names))) for name in names[k]}
        for name in order:
            if name not in places:
                raise unknown(
                    QueryError, "order", name, [own[0] for own in names], said="is not drawn here"
                )
        return [places[name] for name in dict.fromkeys(order)]

    @property
    def is_reordered(self) -> bool:
        """Whether an order other than the given one was asked for."""
        order = self._how.get("order")
        return order is not None and not (isinstance(order, str) and order == "given")

    def inner(self, ci_prob: float) -> float | None:
        """Probability of the inner interval; None where it would not be narrower."""
        self._used.add("inner")
        inner = self._how.get("inner", INNER)
        return None if inner is None or inner >= ci_prob else inner

    def tabulate(self, table: Callable[..., pd.DataFrame], ci_prob: float) -> pd.DataFrame:
        """Tabulate with an inner interval, `inner_lower` to `inner_upper`, beside the outer one."""
        found, inner = table(ci_prob=ci_prob), self.inner(ci_prob)
        if inner is None:
            return found
        within = table(ci_prob=inner)[["lower", "upper"]]
        within = within.mask((within == found[["lower", "upper"]]).all(axis=1))  # known at one only
        return found.assign(inner_lower=within["lower"], inner_upper=within["upper"])

    def legend(self, *given: Any, ncols: int, pad: float = 0.3, gap: float = 1.2, **style: Any):
        """Write the legend above the figure, or above the first of the axes given."""
        style = {"ncols": ncols, "handletextpad": pad, "columnspacing": gap, **style}
        if self.is_own:
            self.figure.legend(*given, loc="outside upper center", **style)
            return
        first = self.axes[0]
        style["ncols"] = self._columns = min(ncols, max(1, int(self.inches(PAGE_WIDTH) / 1.1)))
        first.legend(*given, loc="lower left", bbox_to_anchor=(0, 1.0), **style)

    def finish(
        self,
        table: pd.DataFrame,
        *,
        title: str = "",
        xlabel: str = "",
        ylabel: str = "",
        note: Sequence[str] = (),
    ) -> Drawn:
        """Write title, labels of the axes and the note; return what was drawn.

        Parameters
        ----------
        table
            The numbers drawn.
        title
            The title, if the caller gave none.
        xlabel, ylabel
            Quantity and unit.
        note
            Sentences that explain the figure.
        """
        self._check_used()
        wanted = self._how.get("title")
        title = title if wanted is None else wanted
        xlabel, ylabel = (self.label(text, most=80) if text else "" for text in (xlabel, ylabel))
        caption = " ".join(note)
        shown = caption if self._how.get("note", True) else ""
        if self.is_own:
            self._write_on_page(title, xlabel, ylabel, note=shown)
        else:
            self._write_on_axes(title, xlabel, ylabel)
        return Drawn(self.figure, table, caption, tuple(self.axes))

    def _check_used(self) -> None:
        """Refuse what the caller asked for and the figure does not have."""
        for name in self._how.get("labels") or ():
            if name not in self._names:
                raise unknown(
                    QueryError, "labels", name, self._names, said="is not drawn in this figure"
                )
        for name, thing in (("order", "rows or panels to order"), ("inner", "inner interval")):
            if self._how.get(name) is not None and name not in self._used:
                raise QueryError(f"{name} was given, and this figure has no {thing}. Leave it out.")

    def _write_on_axes(self, title: str, xlabel: str, ylabel: str) -> None:
        letters = _LETTERS * self.inches(PAGE_WIDTH)
        title, xlabel = _fill(title, letters), _fill(xlabel, letters)
        for axes in self.axes:
            if xlabel:
                axes.set_xlabel(xlabel)
            if ylabel:
                axes.set_ylabel(ylabel)
        first = self.axes[0]
        legend, own = first.get_legend(), first.get_title("left")
        if own:  # the legend stands above the title of the panel
            whole = "\n".join(filter(None, [title, own]))
            first.set_title(whole, loc="left", fontsize=pt(6.5))
            if legend is not None:
                legend.borderaxespad += 0.6 + 1.3 * len(whole.splitlines())
        elif title:
            rows = 0 if legend is None else -(-len(legend.get_texts()) // self._columns)
            first.set_title(title, loc="left", pad=pt(4 + 12 * rows), fontsize=pt(7))

    def _write_on_page(self, title: str, xlabel: str, ylabel: str, *, note: str) -> None:
        """Write above and below the panels, and make the page as much higher."""
        figure, width = self.figure, self.figure.get_figwidth() / pt(1)
        above, below = _fill(title, 0.85 * _LETTERS * width), _fill(note, _LETTERS * width)
        single = len(self.axes) == 1
        if single:
            self.axes[0].set_xlabel(_fill(xlabel, 0.65 * _LETTERS * width))
            self.axes[0].set_ylabel(ylabel)
        elif ylabel:
            figure.supylabel(ylabel, fontsize=pt(7))
        label = "" if single else xlabel
        top, middle, bottom = (_measure(text) for text in (above, label, below))
        if self._how.get("figsize") is None:
            figure.set_figheight(figure.get_figheight() + pt(top + middle + bottom))
        height = figure.get_figheight() / pt(1)
        engine = figure.get_layout_engine()
        assert engine is not None
        rest = (top + middle + bottom) / height
        engine.set(rect=(0, (middle + bottom) / height, 1, 1 - rest))  # type: ignore[call-arg]
        for legend in figure.legends:  # below the title
            legend.borderaxespad += 72 * top / 6.5
        if above:
            figure.suptitle(above, x=0.02, y=1 - _PAD / height, ha="left", va="top", weight="bold",
                            fontsize=pt(7))  # fmt: skip
        if label:
            figure.supxlabel(label, y=(bottom + 0.03) / height, va="bottom", fontsize=pt(7))
        figure.text(0.02, 0.04 / height, below, va="bottom", fontsize=pt(6.5))


def _dress(axes: Axes) -> None:
    """Give axes of somebody else's figure the letters and spines of the chosen look."""
    axes.spines[["top", "right"]].set_visible(False)
    axes.tick_params(labelsize=pt(6.5))
    axes.xaxis.label.set_fontsize(pt(7))
    axes.yaxis.label.set_fontsize(pt(7))


def _fill(text: str, letters: float) -> str:
    """Break a text into lines, and no line within `= 5 %`."""
    for parts in (" %", " = "):
        text = text.replace(parts, parts.replace(" ", "\N{NO-BREAK SPACE}"))
    return textwrap.fill(text, int(letters), break_on_hyphens=False)


def _measure(text: str) -> float:
    """Measure the height of a block of text in inches."""
    return _LINE * (text.count("\n") + 1) + _PAD if text else 0.0


def balance(n: int, most: int) -> int:
    """Choose columns for panels, at most so many, so that the fewest places stay empty.

    Examples
    --------
    >>> balance(8, 5), balance(13, 5), balance(2, 4)
    (4, 5, 2)
    """
    allowed = range(max(1, most - 1), most + 1) if n > most else [n]
    return max(allowed, key=lambda columns: (-(-n % columns), columns))
