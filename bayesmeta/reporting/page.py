"""Sections of text, tables and figures, written as HTML and as Markdown with all text escaped."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, ClassVar

from jinja2 import Environment, PackageLoader
from markupsafe import Markup

from bayesmeta.tables.wording import escape_markdown


@dataclass(frozen=True, slots=True)
class Text:
    """One paragraph."""

    kind: ClassVar[str] = "text"
    words: str

    def to_markdown(self) -> str:
        """Write the words."""
        return _escape(self.words)


@dataclass(frozen=True, slots=True)
class Listing:
    """Several points."""

    kind: ClassVar[str] = "listing"
    points: Sequence[str]

    def to_markdown(self) -> str:
        """Write a line per point."""
        return "\n".join(f"- {_escape(point)}" for point in self.points)


@dataclass(frozen=True, slots=True)
class Cell:
    """A cell of a table.

    Parameters
    ----------
    text
        What stands in it.
    style
        Classes of the style sheet.
    note
        What is read out, and shown where a pointer rests, besides.
    link
        Where it leads to on this page.
    """

    text: str
    style: str = ""
    note: str = ""
    link: str = ""


@dataclass(frozen=True, slots=True)
class Table:
    """A table whose first column names the rows.

    Parameters
    ----------
    caption
        What it shows.
    header
        Names of the columns.
    rows
        Cells, or their texts.
    style
        Classes of the style sheet.
    """

    kind: ClassVar[str] = "table"
    caption: str
    header: Sequence[str]
    rows: Sequence[Sequence[str | Cell]]
    style: str = ""

    def to_markdown(self) -> str:
        """Write a pipe table below its caption."""
        texts = [[c.text if isinstance(c, Cell) else c for c in row] for row in self.rows]
        lines = [f"| {' | '.join(map(_escape, row))} |" for row in (self.header, *texts)]
        lines.insert(1, "|" + " --- |" * len(self.header))
        return f"*{_escape(self.caption)}*\n\n" + "\n".join(lines)


@dataclass(frozen=True, slots=True)
class Figure:
    """A drawing, for pages only; a table says the same elsewhere.

    Parameters
    ----------
    name
        A word that no other figure has.
    svg
        The drawing.
    caption
        What it shows.
    """

    kind: ClassVar[str] = "figure"
    name: str
    svg: str
    caption: str

    @property
    def drawing(self) -> Markup:
        """The element of the SVG file alone, with ids that no other figure has."""
        svg = re.sub(r"<metadata>.*?</metadata>", "", self.svg[self.svg.index("<svg") :],
                     flags=re.DOTALL)  # fmt: skip
        svg = re.sub(r'\bid="', f'id="{self.name}-', svg)
        return Markup(re.sub(r'(url\(#|href="#)', rf"\1{self.name}-", svg))

    def to_markdown(self) -> str:
        """Write nothing."""
        return ""


@dataclass(frozen=True, slots=True)
class Card:
    """One finding in plain words.

    Parameters
    ----------
    title
        What is compared.
    chance, of
        A probability, and of what.
    sentence
        What was found.
    mark, verdict, meaning
        The verdict on it.
    link
        The question that it answers.
    """

    title: str
    chance: str
    of: str
    sentence: str
    mark: str
    verdict: str
    meaning: str
    link: str


@dataclass(frozen=True, slots=True)
class Row:
    """A row of a small forest.

    Parameters
    ----------
    label, text
        What is compared, and the estimate with its interval.
    middle, ends
        Where these lie on a line from 0 to 200.
    link
        The question that it answers.
    """

    label: str
    text: str
    middle: float
    ends: tuple[float, float]
    link: str


@dataclass(frozen=True, slots=True)
class Overview:
    """A few findings in words beside a small forest.

    Parameters
    ----------
    cards, rows
        Findings, and intervals.
    zero
        Where no difference lies on a line from 0 to 200.
    caption
        What the forest shows.
    """

    kind: ClassVar[str] = "overview"
    cards: Sequence[Card]
    rows: Sequence[Row]
    zero: float
    caption: str

    def to_markdown(self) -> str:
        """Write a line per finding, and the intervals as a table."""
        said = [f"{one.sentence} {one.chance} {one.of}: {one.verdict}." for one in self.cards]
        table = Table(self.caption, ("comparison", "found"), [(r.label, r.text) for r in self.rows])
        return f"{Listing(said).to_markdown()}\n\n{table.to_markdown()}"


@dataclass(frozen=True, slots=True)
class Details:
    """Something that is folded until it is asked for.

    Parameters
    ----------
    title
        What is folded.
    blocks
        What unfolds.
    """

    kind: ClassVar[str] = "details"
    title: str
    blocks: Sequence[Any]

    def to_markdown(self) -> str:
        """Write what unfolds below a heading."""
        return _below(f"### {_escape(self.title)}", self.blocks)


@dataclass(frozen=True, slots=True)
class Section:
    """A part of a report.

    Parameters
    ----------
    name
        A word for links.
    title
        Its heading.
    blocks
        What it consists of.
    """

    name: str
    title: str
    blocks: Sequence[Any] = ()


def render(template: str, **values: Any) -> str:
    """Fill a template of this folder in; all text in it becomes inert.

    Parameters
    ----------
    template
        Name of the file.
    **values
        What the template names.

    Returns
    -------
    str
        The markup.

    Examples
    --------
    >>> section = Section("s", "A < B", [Text("<script>")])
    >>> page = render("page.html.j2", title="T", summary=section, sections=[])
    >>> "<p>&lt;script&gt;</p>" in page
    True
    """
    return _environment().get_template(template).render(**values)


@cache
def _environment() -> Environment:
    found = Environment(
        loader=PackageLoader("bayesmeta.reporting", "."),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    found.policies["json.dumps_kwargs"] = {"separators": (",", ":")}
    return found


def _escape(text: str) -> str:
    """Escape a text at any place of a Markdown document; one line."""
    return escape_markdown(" ".join(text.split()), in_cell=False)


def write_markdown(section: Section) -> str:
    r"""Write a section as Markdown, without its figures.

    Parameters
    ----------
    section
        The section.

    Returns
    -------
    str
        Text in which nothing but the structure is markup.

    Examples
    --------
    >>> print(write_markdown(Section("s", "Title", [Listing(["a_b", "c"])])))
    ## Title
    <BLANKLINE>
    - a\_b
    - c
    """
    return _below(f"## {_escape(section.title)}", section.blocks)


def _below(heading: str, blocks: Sequence[Any]) -> str:
    return "\n\n".join(filter(None, [heading, *(block.to_markdown() for block in blocks)]))
