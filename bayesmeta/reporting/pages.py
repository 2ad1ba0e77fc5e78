"""Sections of text, tables and figures, written as HTML and as Markdown with all text escaped."""

from __future__ import annotations

import html
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

__all__ = ["Cell", "Details", "Figure", "Listing", "Section", "Table", "Text", "escape_markdown",
           "write_html", "write_markdown"]  # fmt: skip

_MARKDOWN = re.compile(r"([\\`*_\[\]<>|~$#&])")


@dataclass(frozen=True, slots=True)
class Text:
    """One paragraph."""

    words: str


@dataclass(frozen=True, slots=True)
class Listing:
    """Several points."""

    points: Sequence[str]


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
    """

    text: str
    style: str = ""
    note: str = ""


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

    caption: str
    header: Sequence[str]
    rows: Sequence[Sequence[str | Cell]]
    style: str = ""


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

    name: str
    svg: str
    caption: str


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

    title: str
    blocks: Sequence[Any]


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
    blocks: Sequence[Any] = field(default_factory=tuple)


def write_html(section: Section) -> str:
    """Write a section as HTML.

    Parameters
    ----------
    section
        The section.

    Returns
    -------
    str
        Markup in which all text is inert.

    Examples
    --------
    >>> print(write_html(Section("s", "A < B", [Text("<script>")])))
    <section id="s" aria-labelledby="s-title">
    <h2 id="s-title">A &lt; B</h2>
    <p>&lt;script&gt;</p>
    </section>
    """
    name, blocks = html.escape(section.name), "\n".join(map(_block_html, section.blocks))
    return (
        f'<section id="{name}" aria-labelledby="{name}-title">\n'
        f'<h2 id="{name}-title">{html.escape(section.title)}</h2>\n{blocks}\n</section>'
    )


def _block_html(block: Any) -> str:
    return _HTML[type(block)](block)


def _text_html(block: Text) -> str:
    return f"<p>{html.escape(block.words)}</p>"


def _listing_html(block: Listing) -> str:
    points = "".join(f"<li>{html.escape(point)}</li>" for point in block.points)
    return f"<ul>{points}</ul>"


def _table_html(block: Table) -> str:
    head = "".join(f'<th scope="col">{html.escape(name)}</th>' for name in block.header)
    rows = "\n".join(
        "<tr>" + "".join(_cell_html(cell, first=not k) for k, cell in enumerate(row)) + "</tr>"
        for row in block.rows
    )
    caption = html.escape(block.caption)
    style = f' class="{html.escape(block.style)}"' if block.style else ""
    return (
        f'<div class="scroll" tabindex="0" role="region" aria-label="{caption}">'
        f"<table{style}><caption>{caption}</caption>\n<thead><tr>{head}</tr></thead>\n"
        f"<tbody>\n{rows}\n</tbody></table></div>"
    )


def _cell_html(cell: str | Cell, *, first: bool) -> str:
    cell = cell if isinstance(cell, Cell) else Cell(cell)
    style = f' class="{html.escape(cell.style)}"' if cell.style else ""
    note = html.escape(cell.note)
    read = f'<span class="hidden">, {note}</span>' if note else ""
    title = f' title="{note}"' if note else ""
    tag, scope = ("th", ' scope="row"') if first else ("td", "")
    return f"<{tag}{scope}{style}{title}>{html.escape(cell.text)}{read}</{tag}>"


def _figure_html(block: Figure) -> str:
    caption = html.escape(block.caption)
    name = html.escape(block.name)
    return (
        f'<figure><div class="scroll paper" tabindex="0" role="img" aria-label="{caption}" '
        f'id="figure-{name}">{_own_ids(block.svg, name)}</div>'
        f"<figcaption>{caption}</figcaption></figure>"
    )


def _own_ids(svg: str, name: str) -> str:
    """Cut an SVG file down to its element, and give it ids that no other figure has."""
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r"<metadata>.*?</metadata>", "", svg, flags=re.DOTALL)
    svg = re.sub(r'\bid="', f'id="{name}-', svg)
    return re.sub(r'(url\(#|href="#)', rf"\1{name}-", svg)


def _details_html(block: Details) -> str:
    inner = "\n".join(map(_block_html, block.blocks))
    return f"<details><summary>{html.escape(block.title)}</summary>\n{inner}\n</details>"


_HTML: Mapping[type, Callable[[Any], str]] = {
    Text: _text_html,
    Listing: _listing_html,
    Table: _table_html,
    Figure: _figure_html,
    Details: _details_html,
}


def escape_markdown(text: str) -> str:
    r"""Escape what Markdown, and HTML inside it, treat specially; one line.

    Examples
    --------
    >>> print(escape_markdown("a_b | <c>"))
    a\_b \| \<c\>
    """
    return _MARKDOWN.sub(r"\\\1", " ".join(text.split()))


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
    blocks = [f"## {escape_markdown(section.title)}", *map(_block_markdown, section.blocks)]
    return "\n\n".join(block for block in blocks if block)


def _block_markdown(block: Any) -> str:
    return _MARKDOWN_BLOCKS[type(block)](block)


def _table_markdown(block: Table) -> str:
    texts = [[c.text if isinstance(c, Cell) else c for c in row] for row in block.rows]
    rows = [list(block.header), *texts]
    lines = ["| " + " | ".join(map(escape_markdown, row)) + " |" for row in rows]
    lines.insert(1, "|" + " --- |" * len(block.header))
    return f"*{escape_markdown(block.caption)}*\n\n" + "\n".join(lines)


def _details_markdown(block: Details) -> str:
    inner = "\n\n".join(text for text in map(_block_markdown, block.blocks) if text)
    return f"### {escape_markdown(block.title)}\n\n{inner}"


_MARKDOWN_BLOCKS: Mapping[type, Callable[[Any], str]] = {
    Text: lambda block: escape_markdown(block.words),
    Listing: lambda block: "\n".join(f"- {escape_markdown(point)}" for point in block.points),
    Table: _table_markdown,
    Figure: lambda block: "",
    Details: _details_markdown,
}
