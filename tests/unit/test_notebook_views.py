"""What notebooks show: inert, bounded, quick, readable on any ground, and never an error."""

import re
import subprocess
import sys
from dataclasses import replace
from html.parser import HTMLParser

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from hypothesis import given
from hypothesis import strategies as st

import bayesmeta as bm
from bayesmeta import defaults
from bayesmeta.estimates.contrasts import Effects
from bayesmeta.estimates.predictions import Predictions
from bayesmeta.estimates.question import Contrast
from bayesmeta.tables import notebook

HOSTILE = (
    "<script>alert(1)</script>",
    "</td></table><img src=x onerror=alert(1)>",
    '" onmouseover="alert(1)',
    "<details open ontoggle=alert(1)>",
    "<!-- <style>*{display:none}</style>",
    "&lt;b&gt; a_b *c* `d` | $e$ \\f",
    "\u202eabc\x00\x07\n\t",
    "]]></svg>" + "x" * 5000,
)
TAGS = {"div", "p", "strong", "table", "tbody", "thead", "tr", "th", "td", "pre", "br", "details",
        "summary", "img", "caption"}  # fmt: skip
ATTRIBUTES = {"style", "src", "alt"}
VOID = {"br", "img"}


class Reader(HTMLParser):
    """Checks that elements are known, closed in order, and carry nothing that acts."""

    def __init__(self, text):
        super().__init__()
        self.open, self.text, self.rows = [], [], 0
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        assert tag in TAGS, tag
        assert {name for name, _ in attrs} <= ATTRIBUTES, attrs
        style, source = dict(attrs).get("style", ""), dict(attrs).get("src")
        assert "url(" not in style
        # Colours are those of the notebook, which may be light or dark.
        assert not re.search(r"color|background|#|rgb", style)
        assert source is None or source.startswith("data:image/png;base64,")
        self.rows += tag == "tr"
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_comment(self, data):
        raise AssertionError(data)

    handle_decl = handle_pi = handle_comment

    def handle_data(self, data):
        self.text.append(data)


def read(shown):
    html = shown._repr_html_()
    assert html is not None, shown
    assert repr(shown).strip()
    return Reader(html)


@pytest.fixture(scope="module")
def fit():
    return bm.load_reference_fit()


@pytest.fixture(scope="module")
def study_fit():
    table = {"s": list("abcd"), "y": [0.1, 0.3, 0.2, 0.5], "se": [0.1] * 4}
    read_in = bm.read_effect_sizes(table, effect="y", se="se", study="s")
    return bm.fit(read_in, draws=50, chains=2)


STATEMENT = "attention: gqa > mha"
NEW = {"lm": ["x"], "lm_family": "n", "n_params": 7e9, "n_tokens": 1e12}
MADE = {
    "fit": lambda fit: (fit, "passed: R-hat at most", "bm.effects(fit)"),
    "data": lambda fit: (bm.load_dataset(), "92 LMs of", "HellaSwag", "30 of 92 rows"),
    "experiments": lambda fit: (bm.load_experiments(), "16 studies", "muennighoff"),
    "effects": lambda fit: (bm.effects(fit), "swiglu", "P(helps)", "90 % equal-tailed"),
    "answer": lambda fit: (bm.query(fit, STATEMENT), "disagree", "read as", "MCSE"),
    "evidence": lambda fit: (bm.evidence(fit, "attention", "gqa", over="mha"), "within families"),
    "sources": lambda fit: (bm.evidence(fit, STATEMENT), "deepseek-v2", "conflicting"),
    "check": lambda fit: (bm.check(fit), "may be reported", "bulk ESS"),
    "scoreboard": lambda fit: (bm.load_scoreboard(), "xgboost-all", "MAE"),
    "studies": lambda fit: (bm.load_study_scoreboard(), "no-effect"),
    "multiverse": lambda fit: (bm.load_multiverse(), "likelihood", "code_share: 20 > 5"),
    "ranking": lambda fit: (bm.rank_levels(fit, "attention"), "P(best)", "mqa"),
    "designs": lambda fit: (bm.rank_designs(fit, NEW), "training compute"),
    "predictions": lambda fit: (bm.predict(fit, NEW), "hellaswag", "13 benchmarks"),
    "whatif": lambda fit: (bm.whatif(fit, "01-ai/Yi-9B", attention="mha"), "01-ai/Yi-9B"),
    "curve": lambda fit: (bm.curve(fit), "P(best at 15-25)"),
    "tradeoff": lambda fit: (bm.curve(fit).tradeoff(), "loss starts"),
    "ladders": lambda fit: (bm.ladders(fit), "codegen"),
    "controlled": lambda fit: (bm.controlled_answers(fit), "reproduced", "within"),
    "claim": lambda fit: (bm.claim(fit, STATEMENT), "Controlled experiments"),
}


@pytest.mark.parametrize("name", list(MADE))
def test_results_are_shown_as_html_and_as_text(name, fit):
    shown, *told = MADE[name](fit)
    found = " ".join(read(shown).text)
    for words in told:
        assert words in found


def test_results_of_a_meta_analysis_are_shown(study_fit):
    assert "bm.summary(fit)" in "".join(read(study_fit).text)
    assert "not made yet: bm.check(fit)" in "".join(read(study_fit).text)
    assert "4 studies" in "".join(read(study_fit.dataset).text)
    assert "effect in a new study" in "".join(read(bm.summary(study_fit)).text)
    assert "inclusion" in "".join(read(bm.average_models(study_fit.dataset, draws=200)).text)
    assert "elpd" in "".join(read(bm.loo(study_fit)).text)


def test_a_failed_check_is_shown_by_the_fit(fake_fit):
    failed = fake_fit.with_diagnostics({"passed": False, "failures": ["The chains <disagree>."]})
    assert "The chains <disagree>." in read(failed).text
    prior = replace(fake_fit, provenance={"sampler": "prior"})
    assert "none: these are draws of the prior" in read(prior).text


def test_a_figure_shows_its_picture_and_folds_its_numbers(fit):
    drawn = bm.plot.forest(bm.effects(fit, "attention"))
    found = read(drawn)
    assert found.rows == 1 + len(drawn.table)
    assert "Numbers in the figure" in found.text
    assert "rows; .figure, .table" in repr(drawn)
    assert drawn._repr_html_().count("<img") == 1
    figure, table = drawn  # it stays a pair
    assert figure is drawn.figure
    assert table is drawn.table


def test_a_dark_figure_stays_dark(fit):
    bm.plot.use(theme="dark")
    try:
        drawn = bm.plot.forest(bm.effects(fit, "attention"))
    finally:
        bm.plot.use()
    assert read(drawn).rows
    assert drawn.figure.get_facecolor()[:3] < (0.5, 0.5, 0.5)


@pytest.mark.parametrize("name", HOSTILE)
def test_names_with_markup_stay_names(name, small, fake_fit):
    names = small.lms["lm"].tolist()
    new = {"lm": {names[0]: name}, "lm_family": {small.lms["lm_family"][0]: name}}
    renamed = replace(
        small,
        lms=small.lms.replace(new),
        scores=small.scores.replace({"lm": {names[0]: name}}),
        benchmarks=small.benchmarks.assign(label=name),
        source=name,
    )
    read(renamed)
    read(bm.Experiments(*_make_experiments(name)))
    read(replace(fake_fit, dataset=renamed, provenance={"sampler": name, "versions": {name: name}}))
    answer = bm.query(fake_fit, "attention: gqa > mha")
    read(replace(answer, target=name, where=name, among=(name,)))
    read(replace(answer.evidence, most_influential_family=name, confounded_with={name: 0.5}))
    read(bm.evidence(fake_fit, "attention: gqa > mha", experiments=bm.load_experiments()))
    read(_make_effects(1, targets=[name]))
    studies = pd.DataFrame({name: ["a", "b"], "y": [0.1, 0.2], "se": [0.1, 0.1], "s": [name, "b"]})
    read(bm.read_effect_sizes(studies, effect="y", se="se", study="s", moderators=[name]))
    cells = bm.load_scoreboard().cells
    read(bm.Scoreboard(cells.assign(model=cells["model"].replace("full", name))))
    drawn = bm.plot.Drawn(bm.plot.forest(bm.effects(fake_fit, "attention")).figure, studies)
    read(drawn)


def _make_experiments(name):
    bundled = bm.load_experiments()
    studies, arms = (table.replace({"study": {"llama2": name}})
                     for table in (bundled.studies, bundled.arms))  # fmt: skip
    return studies.assign(licence=name), arms, bundled.results, bundled.benchmarks, name


@given(st.text(), st.text())
def test_whatever_is_written_is_escaped(first, second):
    table = pd.DataFrame({"name": [first, second], f"{second}?": [1.0, np.nan]})
    parts = [
        notebook.show_title(first, second),
        notebook.show_text(first, strong=True),
        notebook.show_pairs({first: second}),
        notebook.show_code([first, second]),
        notebook.show_table(table, whole=first),
        notebook.fold(first, notebook.show_picture(b"", said=second, inches=3)),
    ]
    Reader(notebook.box(parts))


def _make_effects(n, targets=("overall",)):
    values = np.random.default_rng(1).normal(size=(2, 5, n, len(targets)))
    draws = xr.DataArray(values, dims=("chain", "draw", "contrast", "target"),
                         coords={"target": list(targets)},
                         attrs={"units": "percentage points"})  # fmt: skip
    contrasts = tuple(Contrast("norm", level=str(k), reference="a") for k in range(n))
    verdicts = np.full((n, len(targets)), defaults.ASSOCIATION_ONLY)
    return Effects(draws, contrasts, "overall", verdicts, ((1, 1),) * n)


def test_long_tables_show_their_beginning_and_say_how_long_they_are(small, monkeypatch):
    n = 10_000
    found = read(_make_effects(n))
    assert found.rows == 1 + defaults.ROWS_SHOWN
    assert f"{defaults.ROWS_SHOWN} of 10,000 rows; .table() gives all." in found.text
    lms = pd.concat([small.lms] * (n // len(small.lms) + 1)).head(n)
    arms = pd.DataFrame({"study": [str(k) for k in range(n)], "group": "g", "arm": "a"})
    for shown in (
        replace(small, lms=lms),
        replace(bm.load_experiments(), arms=arms),
        bm.read_effect_sizes(
            {"s": [str(k) for k in range(n)], "y": [0.1, 0.2] * (n // 2), "se": [0.1] * n},
            effect="y", se="se", study="s",
        ),
    ):  # fmt: skip
        html = shown._repr_html_()
        assert "30 of 10,000 rows" in html
        assert len(html) < 100_000


def test_only_the_rows_that_are_shown_are_computed(fake_fit, monkeypatch):
    calls = []
    real = Predictions._list_rows
    monkeypatch.setattr(
        Predictions, "_list_rows",
        lambda self, prob: (calls.append(1) or row for row in real(self, prob)),
    )  # fmt: skip
    new = {name: value * 50 if name == "lm" else value for name, value in NEW.items()}
    new["lm"] = [f"x{k}" for k in range(50)]
    found = read(bm.predict(fake_fit, new))
    assert found.rows == 1 + defaults.ROWS_SHOWN
    assert len(calls) == defaults.ROWS_SHOWN


def test_an_object_that_lacks_something_shows_its_text(small):
    empty = pd.DataFrame()
    broken = (
        replace(small, lms=empty),
        replace(small, benchmarks=empty),
        bm.Experiments(empty, small.lms, empty, empty),
        _make_effects(0),
    )
    for shown in broken:
        html = shown._repr_html_()
        assert html is None or Reader(html)


def test_a_fit_is_shown_without_effects_tables_or_samplers(tmp_path):
    code = (
        "import sys, bayesmeta as bm\n"
        "fit = bm.load_reference_fit()\n"
        "assert fit._repr_html_() and repr(fit)\n"
        "heavy = {'pymc', 'pytensor', 'nutpie', 'arviz', 'matplotlib', 'scipy'}\n"
        "found = heavy & set(sys.modules)\n"
        "assert not found, found\n"
        "assert '_whole' not in vars(fit)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_ipython_finds_the_views(fit):
    from IPython.core.formatters import DisplayFormatter

    formatter = DisplayFormatter()
    for shown in (fit, bm.load_dataset(), bm.effects(fit, "norm")):
        found, _ = formatter.format(shown)
        assert found["text/html"] == shown._repr_html_()
        assert found["text/plain"] == repr(shown)
