"""Tables as text: what stands in a cell stays in it, whatever its characters."""

import json
import re
import subprocess
from html.parser import HTMLParser

import pandas as pd
import pytest

import bayesmeta as bm
from bayesmeta.errors import QueryError
from bayesmeta.tables.latex import escape_latex
from bayesmeta.tables.text import FORMATS, describe_intervals, format_table, set_for_paper

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
HEADER = ["lm", "a|b <i>", "estimate (pp)"]
INTERVALS = "Medians with 90 % equal-tailed intervals, in percentage points (pp)."


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
    text = format_table(frame, fmt="html", caption="a < b & <i>c</i>")
    reader.feed(text)
    header, *rows = reader.rows
    assert header == HEADER
    assert [row[0] for row in rows] == [flat(name) for name in NAMES]
    assert {row[2] for row in rows} == {"0.12"}
    assert reader.caption == f"a < b & <i>c</i>. {INTERVALS}"
    assert "<script" not in text
    assert "&quot;x&quot; &amp; &#x27;y&#x27;" in text


def unescape_markdown(cell):
    """Undo the escapes of CommonMark."""
    return re.sub(r"\\([!-/:-@\[-`{-~])", r"\1", cell)


def test_markdown_keeps_every_cell_in_its_place(frame):
    lines = format_table(frame, fmt="md").splitlines()
    assert lines[-2:] == ["", INTERVALS]
    assert len(lines) == len(frame) + 4
    cells = [re.split(r"(?<!\\) ?\| ?", line)[1:-1] for line in lines[:-2]]
    # a backslash that is escaped itself does not escape a bar; no name ends in one before a bar
    assert {len(row) for row in cells} == {len(HEADER)}
    assert [unescape_markdown(name) for name in cells[0]] == HEADER
    assert cells[1] == ["---", "---:", "---:"]
    for row, name in zip(cells[2:], NAMES, strict=True):
        assert unescape_markdown(row[0]) == flat(name)
        assert not re.search(r"(?<!\\)<[A-Za-z/!?]", row[0])
        assert not re.search(r"(?<!\\)&#?\w+;", row[0])


def test_latex_leaves_no_special_character_bare(frame):
    text = format_table(frame, fmt="latex")
    float_, centred, caption, head, *rows, _, _, end = text.splitlines()
    assert (float_, centred, end) == (
        r"\begin{table}",
        r"\centering\footnotesize\setlength{\tabcolsep}{2.5pt}",
        r"\end{table}",
    )
    assert caption == rf"\caption{{{INTERVALS.replace('%', r'\%')}}}"
    assert head == r"\begin{tabular}{@{}p{0.35\linewidth}rr@{}}"
    assert rows[:4] == [
        r"\toprule", r" & a\textbar{}b & estimate \\", r"lm & $<$i$>$ & (pp) \\", r"\midrule"
    ]  # fmt: skip
    for row in rows[4:]:
        assert row.endswith(r" \\")
        row = row.removesuffix(r" \\").removeprefix(r"{\raggedright ").replace(r"\par}", "")
        for known in (
            r"\textbackslash{}", r"\textasciitilde{}", r"\textasciicircum{}", r"\textbar{}", "$<$",
            "$>$", *(rf"\{c}" for c in "_%&#${}"), "-{}-",
        ):  # fmt: skip
            row = row.replace(known, "")
        row = row.removeprefix("{}")
        assert row.count("&") == len(HEADER) - 1
        assert not re.search(r"[\\_%#${}~^<>|]", row)
        assert row[:1] not in ("\n",)
    starts = [line for line in rows if line.startswith(("[", "*"))]
    assert not starts


PREAMBLE = (
    r"\documentclass{article}\usepackage{longtable}"
    r"\IfFileExists{booktabs.sty}{\usepackage{booktabs}}"
    r"{\def\toprule{\hline}\def\midrule{\hline}\def\bottomrule{\hline}}"
)


def compile_latex(table, *, engine, tmp_path, need_tool):
    """Set a table on a page of a paper; gives what the engine says."""
    need_tool(engine)
    document = f"{PREAMBLE}\\begin{{document}}\n{table}\n\\end{{document}}\n"
    (tmp_path / "table.tex").write_text(document, encoding="utf-8")
    done = subprocess.run(
        [engine, "-interaction=nonstopmode", "-halt-on-error", "table.tex"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-2000:]
    assert (tmp_path / "table.pdf").stat().st_size > 5_000
    return done.stdout


@pytest.mark.parametrize("engine", ["pdflatex", "lualatex"])
def test_latex_compiles(frame, tmp_path, need_tool, engine):
    if engine == "pdflatex":
        frame = frame[frame["lm"].map(str.isascii)]  # other letters need the other engine
    table = format_table(frame, fmt="latex", caption="50 % of a_b & c")
    said = compile_latex(table, engine=engine, tmp_path=tmp_path, need_tool=need_tool)
    assert "Output written on table.pdf (1 page" in said


@pytest.fixture(scope="module")
def papers_tables():
    """Tables of the shipped posterior and record that go into papers, by name."""
    fit = bm.load_reference_fit()
    return {
        "effects": bm.effects(fit).table(),
        "effects by benchmark": bm.effects(fit, "attention", by="benchmark").table(),
        "effects by task family": bm.effects(fit, "norm", by="task_family").table(),
        "swaps": bm.substitutions(fit, "code_share").table(),
        "ranks": bm.rank_levels(fit, "norm").table(),
        "optimum": bm.curve(fit, "code_share").optimum().reset_index(),
        "answer": bm.query(fit, "position_embedding: rotary > learned").table(),
        "ladders": bm.ladders(fit).table(),
        "influence": bm.leave_family_out(fit, "code_share: 20 > 5"),
        "what if": bm.whatif(fit, "EleutherAI/pythia-6.9b", attention="gqa").table(),
        "scoreboard": bm.load_scoreboard().table(),
        "gains": bm.load_scoreboard().gains("full", over="xgboost-scale"),
    }


def test_latex_tables_fit_a_column_of_text(papers_tables, tmp_path, need_tool):
    """Of an article on letter paper, 345 pt, and no row is wider than the page is long."""
    tables = [format_table(t, fmt="latex", caption=f"{n}.") for n, t in papers_tables.items()]
    text = "\n\\clearpage\n".join(tables)
    said = compile_latex(text, engine="pdflatex", tmp_path=tmp_path, need_tool=need_tool)
    assert "Overfull \\hbox" not in said


def test_every_text_of_a_table_is_in_its_latex(papers_tables):
    for name, frame in papers_tables.items():
        text, shown = format_table(frame, fmt="latex"), set_for_paper(frame)
        for column in shown.select_dtypes(exclude="number"):
            for cell in shown[column].dropna().unique():
                assert escape_latex(str(cell)) in text, (name, column)


def test_what_rows_begin_with_stands_above_them():
    frame = pd.DataFrame(
        {"decision": ["weight_tying", "norm", "norm"], "level": ["tied", "a_b", "c"],
         "estimate": [1.0, 2.0, 3.0], "units": ["logits"] * 3}
    )  # fmt: skip
    assert format_table(frame, fmt="latex").splitlines() == [
        r"\begin{tabular}{@{\enspace}lr@{}}",
        r"\toprule",
        r"\multicolumn{2}{@{}l}{decision} \\",
        r" & estimate \\",
        r"level & (logits) \\",
        r"\midrule",
        r"\multicolumn{2}{@{}l}{weight tying} \\",
        r"tied & 1.00 \\",
        r"\multicolumn{2}{@{}l}{norm} \\",
        r"a\_b & 2.00 \\",
        r"c & 3.00 \\",
        r"\bottomrule",
        r"\end{tabular}",
    ]


def test_a_single_row_is_a_list():
    frame = pd.DataFrame({"statement": ["a > b"], "among": [""], "prob_helps": [0.25]})
    assert format_table(frame, fmt="latex").splitlines() == [
        r"\begin{tabular}{@{}ll@{}}",
        r"\toprule",
        r"statement & a $>$ b \\",
        r"P(helps) & 0.250 \\",
        r"\bottomrule",
        r"\end{tabular}",
    ]


def test_units_are_found_beside_the_table():
    frame = pd.DataFrame({"place": ["best_sum", "loss_starts"], "estimate": [5.0, 10.0]})
    frame.attrs["units"] = "% of training tokens"
    assert list(set_for_paper(frame).columns) == ["place", "estimate (%)"]
    assert list(set_for_paper(frame)["place"]) == ["best sum", "loss starts"]


def test_minus_of_a_number_is_no_hyphen():
    frame = pd.DataFrame({"estimate": [-0.125, 0.125], "lm": ["-1b", "-x"], "n": [-3, 4]})
    assert [line for line in format_table(frame, fmt="latex").splitlines() if "&" in line] == [
        r"estimate & lm & n \\", r"$-$0.12 & -1b & $-$3 \\", r"0.12 & -x & 4 \\"
    ]  # fmt: skip


def test_paper_headings_have_units_and_leave_out_what_the_caption_says():
    row = {"decision": "weight_tying", "by": "benchmark", "target": "arc_challenge", "sd": 0.5,
           "prob_helps": 1.0, "ci_prob": 0.8, "units": "logits", "lm_family": "a_b"}  # fmt: skip
    one = pd.DataFrame([row])
    assert set_for_paper(one).to_dict("records") == [
        {"decision": "weight tying", "benchmark": "arc_challenge", "SD (logits)": 0.5,
         "P(helps)": 1.0, "LM family": "a_b"}
    ]  # fmt: skip
    assert describe_intervals(one) == "Medians with 80 % equal-tailed intervals, in logits."
    two = pd.concat([one, one.assign(units="percentage points", ci_prob=0.9)])
    assert list(set_for_paper(two).columns) == [
        "decision", "benchmark", "SD", "P(helps)", "ci prob", "units", "LM family"
    ]  # fmt: skip
    assert describe_intervals(two) is None


@pytest.mark.parametrize("fmt", FORMATS)
def test_every_format_writes_a_table_of_no_rows(frame, fmt):
    assert isinstance(format_table(frame.iloc[:0], fmt=fmt), str)


def test_captions_say_what_intervals_are(frame):
    words = describe_intervals(frame)
    assert words == INTERVALS
    assert r"\caption{Medians with 90 \% equal" in format_table(frame, fmt="latex")
    assert r"\caption{A \& b. Medians" in format_table(frame, fmt="latex", caption="A & b.")
    assert format_table(frame, fmt="md", caption="A | b.").endswith(f"\n\nA \\| b. {words}")
    assert format_table(frame, fmt="table", caption="A | b.").endswith("\n\nA | b.")
    assert len(json.loads(format_table(frame, fmt="json", caption="A"))) == len(frame)
    assert format_table(frame, fmt="csv", caption="A") == format_table(frame, fmt="csv")
    assert describe_intervals(frame[["lm"]]) is None
    mixed = pd.DataFrame({"ci_prob": [0.5, 0.9]})
    assert describe_intervals(mixed) is None


@pytest.mark.parametrize("fmt", FORMATS)
@pytest.mark.parametrize(
    "table, said",
    [
        (pd.Series([1.0], name="estimate"), "the table is an object of type Series"),
        ([1, 2], r"the table is \[1, 2\]"),
        (None, "the table is None"),
        (pd.DataFrame(), "the table has no columns"),
        (pd.DataFrame([[1, 2]], columns=["sd", "sd"]), "column 'sd' is there twice"),
    ],
)
def test_what_is_no_table_is_refused(table, said, fmt):
    with pytest.raises(QueryError, match=said):
        format_table(table, fmt=fmt)


@pytest.mark.parametrize("fmt", FORMATS)
@pytest.mark.parametrize(
    "columns",
    [
        {"estimate": ["about two"]},
        {"ci_prob": ["ninety"], "estimate": [1.0]},
        {"decision": [1, 2], "level": [3, 4]},
        {"units": [["pp"], ["pp"]], "estimate": [1.0, 2.0]},
        {("a", "b"): [1]},
    ],
    ids=str,
)
def test_columns_may_hold_other_things_than_ours(columns, fmt):
    assert format_table(pd.DataFrame(columns), fmt=fmt)


def test_missing_values_and_long_fractions_in_papers():
    frame = pd.DataFrame({"a": [None, "x"], "b": [1.1 * 3, float("nan")], "c": [pd.NaT, pd.NaT]})
    text = format_table(frame, fmt="md").splitlines()
    assert text[2:] == ["| - | 3.3 | - |", "| x | - | - |"]


def test_a_named_index_is_a_column():
    frame = pd.DataFrame({"estimate": [1.0]}, index=pd.Index(["code"], name="target"))
    assert format_table(frame, fmt="md").splitlines()[-1] == "| code | 1.00 |"


def test_captions_say_whose_effects_are_averaged():
    fit = bm.load_reference_fit()
    few = bm.effects(fit, "norm", lm_family=["pythia", "opt"]).table()
    assert describe_intervals(few).endswith("over all benchmarks, averaged over pythia, opt.")
    many = bm.effects(fit, "norm", by="benchmark", lms=list(fit.design.lms[:5])).table()
    assert describe_intervals(many).endswith(" and 2 more.")
    assert "averaged" not in describe_intervals(bm.effects(fit, "norm").table())


def test_answers_in_papers_name_sizes_and_round_probabilities():
    answer = bm.query(bm.load_reference_fit(), "n_params: 14e9 > 7e9", equivalence=1.5, more_than=1)
    text = format_table(answer.table(), fmt="latex")
    for line in ("no difference up to (pp) & 1.50", "more than (pp) & 1.00", "P(more) & "):
        assert line in text
    assert re.search(r"P\(no difference\) & (\$<\$ )?0\.\d{3} ", text)
    assert re.search(r"prior P\(more\) & 0\.\d{3} ", text)


def test_long_tables_run_over_pages_and_long_texts_over_lines():
    many = pd.DataFrame({"lm": [f"lm-{k}" for k in range(60)], "estimate": 1.0})
    text = format_table(many, fmt="latex", caption="Many")
    assert r"\begin{longtable}{@{}lr@{}}" in text
    assert text.index(r"\endhead") < text.index("lm-0")
    assert "longtable" not in format_table(many, fmt="latex")
    long = pd.DataFrame(
        {"lm": ["a", "a", "b", "b"], "benchmark": list("xyxy"), "undisclosed": ["norm, " * 20] * 4}
    )
    lines = format_table(long, fmt="latex").splitlines()
    above = r"\multicolumn{1}{@{}p{\linewidth}@{}}{{\raggedright a; undisclosed: "
    assert [line.startswith(above) for line in lines].count(True) == 1
    assert long["undisclosed"].iloc[0].strip() in format_table(long.iloc[:1], fmt="latex")


@pytest.mark.parametrize(
    "columns",
    [
        {"lm": ["", ""]},
        {"lm": [""]},
        {"lm": ["a", "a", "b", "b"], "undisclosed": ["norm, " * 20] * 4},
    ],
    ids=["blanks", "one blank", "nothing but what is shared"],
)
def test_every_row_keeps_a_cell(columns):
    text = format_table(pd.DataFrame(columns), fmt="latex")
    assert r"\multicolumn{0}" not in text
    assert "{@{}@{}}" not in text


def test_one_chance_repetition_makes_no_groups():
    frame = pd.DataFrame({"a": list("ppqrs"), "b": list("vwxyz"), "n": range(5)})
    assert "multicolumn" not in format_table(frame, fmt="latex")


def test_what_changes_least_often_stands_first():
    row = {"decision": "norm", "by": "benchmark"}
    frame = pd.DataFrame(
        [row | {"level": level, "target": b} for b in ("anli", "xnli") for level in ("a", "b", "c")]
    )
    assert list(set_for_paper(frame).columns) == ["decision", "benchmark", "level"]


def test_an_unknown_format_is_refused(frame):
    with pytest.raises(QueryError, match="Allowed: table, json, csv, md, latex, html"):
        format_table(frame, fmt="htm")
