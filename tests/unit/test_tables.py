"""Tables as text: what stands in a cell stays in it, whatever its characters."""

import json
import re
import shutil
import subprocess
from html.parser import HTMLParser

import pandas as pd
import pytest

from bayesmeta.errors import QueryError
from bayesmeta.reporting.summaries import FORMATS, describe_intervals, format_frame

NAMES = [
    "<script>alert(\"x\" & 'y')</script>",
    r"_ % & # $ { } ~ ^ \ | < > [ ] * -- `",
    r"\textbf{x} \\ & y \end{tabular}",
    "[1] first",
    "* star",
    "two\nlines\r\n\nand\ttabs",
    "&lt; &#60; &amp;",
    "| a | b |",
    "Überprüfung Ωμέγα 语言模型 שפה",
    "x" * 200,
    "",
]


@pytest.fixture(scope="module")
def frame():
    """One row per nasty name."""
    n = len(NAMES)
    return pd.DataFrame(
        {
            "lm": NAMES,
            "a|b_<i>": range(n),
            "estimate": [0.125] * n,
            "ci_prob": [0.9] * n,
            "units": ["percentage points"] * n,
        }
    )


def flat(text):
    """A text on one line."""
    return " ".join(text.split())


class _Cells(HTMLParser):
    """Reads a table back; refuses elements that no table has."""

    def __init__(self):
        super().__init__(convert_charrefs=True)
        self.rows, self.caption, self._open = [], "", ""

    def handle_starttag(self, tag, attrs):
        assert tag in ("table", "caption", "thead", "tbody", "tr", "th", "td")
        assert dict(attrs) in ({}, {"style": "text-align: right"})
        if tag == "tr":
            self.rows.append([])
        if tag in ("td", "th"):
            self.rows[-1].append("")
        self._open = tag

    def handle_endtag(self, tag):
        self._open = ""

    def handle_data(self, data):
        if self._open == "caption":
            self.caption += data
        elif self._open in ("td", "th"):
            self.rows[-1][-1] += data
        else:
            assert not data.strip()


def test_html_says_what_the_table_says(frame):
    reader = _Cells()
    text = format_frame(frame, fmt="html", caption="a < b & <i>c</i>")
    reader.feed(text)
    header, *rows = reader.rows
    assert header == list(frame.columns)
    assert [row[0] for row in rows] == [name.replace("\r\n", "\n") for name in NAMES] or [
        row[0] for row in rows
    ] == NAMES
    assert {row[2] for row in rows} == {"0.12"}
    assert reader.caption == "a < b & <i>c</i>"
    assert "<script" not in text
    assert "&quot;x&quot; &amp; &#x27;y&#x27;" in text


def unescape_markdown(cell):
    """Undo the escapes of CommonMark."""
    return re.sub(r"\\([!-/:-@\[-`{-~])", r"\1", cell)


def test_markdown_keeps_every_cell_in_its_place(frame):
    lines = format_frame(frame, fmt="md").splitlines()
    assert len(lines) == len(frame) + 2
    cells = [re.split(r"(?<!\\) ?\| ?", line)[1:-1] for line in lines]
    # a backslash that is escaped itself does not escape a bar; no name ends in one before a bar
    assert {len(row) for row in cells} == {len(frame.columns)}
    assert unescape_markdown(cells[0][1]) == "a|b_<i>"
    for row, name in zip(cells[2:], NAMES, strict=True):
        assert unescape_markdown(row[0]) == flat(name)
        assert not re.search(r"(?<!\\)<[A-Za-z/!?]", row[0])
        assert not re.search(r"(?<!\\)&#?\w+;", row[0])


def test_latex_leaves_no_special_character_bare(frame):
    text = format_frame(frame, fmt="latex")
    head, *rows, _, _ = text.splitlines()[:]
    assert head == r"\begin{tabular}{lrrrl}"
    for row in rows[3:]:
        assert row.endswith(r" \\")
        row = row.removesuffix(r" \\")
        for known in (
            r"\textbackslash{}", r"\textasciitilde{}", r"\textasciicircum{}", r"\textbar{}", "$<$",
            "$>$", *(rf"\{c}" for c in "_%&#${}"), "-{}-",
        ):  # fmt: skip
            row = row.replace(known, "")
        row = row.removeprefix("{}")
        assert row.count("&") == len(frame.columns) - 1
        assert not re.search(r"[\\_%#${}~^<>|]", row)
        assert row[:1] not in ("\n",)
    starts = [line for line in rows if line.startswith(("[", "*"))]
    assert not starts


def test_latex_compiles(frame, tmp_path):
    engine = shutil.which("pdflatex")
    if engine is None:
        pytest.skip("needs pdflatex, which is not installed")
    ascii_only = frame[frame["lm"].map(str.isascii)]  # other letters need another engine's fonts
    table = format_frame(ascii_only, fmt="latex", caption="50 % of a_b & c")
    rules = r"\def\toprule{\hline}\def\midrule{\hline}\def\bottomrule{\hline}"
    document = f"\\documentclass{{article}}{rules}\\begin{{document}}\n{table}\n\\end{{document}}\n"
    (tmp_path / "table.tex").write_text(document)
    done = subprocess.run(
        [engine, "-interaction=nonstopmode", "-halt-on-error", "table.tex"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 0, done.stdout[-2000:]
    assert (tmp_path / "table.pdf").stat().st_size > 5_000


@pytest.mark.parametrize("fmt", FORMATS)
def test_every_format_writes_a_table_of_no_rows(frame, fmt):
    assert isinstance(format_frame(frame.iloc[:0], fmt=fmt), str)


def test_captions_say_what_intervals_are(frame):
    words = describe_intervals(frame)
    assert words == "Medians with 90 % equal-tailed intervals, in percentage points."
    assert r"\caption{Medians with 90 \% equal" in format_frame(frame, fmt="latex", caption=words)
    for fmt in ("table", "md"):
        assert format_frame(frame, fmt=fmt, caption=words).endswith(f"\n\n{words}")
    assert len(json.loads(format_frame(frame, fmt="json", caption=words))) == len(frame)
    assert format_frame(frame, fmt="csv", caption=words) == format_frame(frame, fmt="csv")
    assert describe_intervals(frame[["lm"]]) is None
    mixed = pd.DataFrame({"ci_prob": [0.5, 0.9]})
    assert describe_intervals(mixed) is None


def test_an_unknown_format_is_refused(frame):
    with pytest.raises(QueryError, match="Allowed: table, json, csv, md, latex, html"):
        format_frame(frame, fmt="htm")
