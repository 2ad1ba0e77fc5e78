"""The command that draws: its figures, its options, what it refuses."""

import io
import json

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner
from PIL import Image

from bayesmeta import plots
from bayesmeta.cli import plot_command
from bayesmeta.cli.plot_command import APPLIES, KINDS, POSTERIOR, RECORDED
from bayesmeta.cli.shared import app
from bayesmeta.plots.look import is_dark


def run(*words):
    return CliRunner().invoke(app, ["plot", *map(str, words)], catch_exceptions=False)


@pytest.fixture(scope="module")
def saved(tmp_path_factory, fake_bundled_fit):
    """A saved fit with few draws, quickly asked."""
    path = tmp_path_factory.mktemp("fit") / "fit.nc"
    fake_bundled_fit.save(path)
    return path


NEW = {
    "atlas": ("--decision", "norm", "--by", "task_family"),
    "scaling": ("--along", "n_params"),
    "evidence": ("--statement", "attention: gqa > mha", "--target", "commonsense"),
}


@pytest.mark.parametrize("kind", NEW)
def test_new_figures_are_drawn_with_their_numbers(tmp_path, saved, kind):
    out, data = tmp_path / f"{kind}.png", tmp_path / "numbers.csv"
    result = run(kind, "--out", out, "--data", data, "--fit", saved, *NEW[kind], "--format", "json")
    assert result.exit_code == 0
    report = json.loads(result.stdout)
    assert report["paths"] == [str(out)]
    numbers = pd.DataFrame(report["numbers"][kind])
    written = pd.read_csv(data)
    assert list(written.columns) == list(numbers.columns)
    np.testing.assert_allclose(written["estimate"], numbers["estimate"].astype(float), rtol=1e-9)
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted([out.name, data.name])


def test_card_stands_for_the_headline_where_nothing_is_asked(tmp_path, saved):
    out = tmp_path / "card.svg"
    result = run("evidence", "--out", out, "--fit", saved, "--data", "-")
    assert result.stdout.startswith("part,estimate,lower,upper")
    assert str(out) in result.stderr
    assert list(tmp_path.iterdir()) == [out]
    assert "code share" in out.read_text()


@pytest.mark.parametrize("fmt", ["table", "csv", "md"])
def test_only_the_path_is_printed(tmp_path, saved, fmt):
    out = tmp_path / "card.png"
    assert run("evidence", "--out", out, "--fit", saved, "--format", fmt).stdout == f"{out}\n"


def test_several_contrasts_on_benchmarks_are_panels(tmp_path, saved):
    words = ("forest", "--decision", "attention", "--by", "benchmark", "--data", "-")
    result = run(*words, "--out", tmp_path / "forest.png", "--fit", saved)
    numbers = pd.read_csv(io.StringIO(result.stdout))
    assert numbers.groupby("target").size().unique().tolist() == [2]


def test_style_and_theme_reach_the_file(tmp_path, saved):
    sizes = {}
    for style, theme in (("paper", "light"), ("screen", "dark")):
        out = tmp_path / f"{style}.png"
        words = ("evidence", "--out", out, "--fit", saved, "--style", style, "--theme", theme)
        assert run(*words).exit_code == 0
        with Image.open(out) as image:
            sizes[style] = image.size[0]
            assert (image.convert("L").getpixel((1, 1)) < 40) == (theme == "dark")
    assert sizes == {"paper": 1005, "screen": 1005}  # 300 and 200 pixels per inch
    assert not is_dark()  # the command's choice has ended with it


def test_all_figures_come_with_their_numbers(tmp_path, saved):
    result = run("all", "--out", tmp_path / "figures", "--fit", saved, "--format", "json")
    assert result.exit_code == 0
    numbers = json.loads(result.stdout)["numbers"]
    assert set(numbers) == {*POSTERIOR, *RECORDED} - {"three-answers"}
    assert "three-answers is left out: no controlled experiment" in result.stderr
    written = {path.name for path in (tmp_path / "figures").iterdir()}
    assert written == {
        *(f"{name}{end}" for name in numbers for end in (".pdf", ".png")),
        *(f"{name}.csv" for name in numbers if name != "ranks"),
    }
    for name in ("forest", "gains", "curve"):
        assert len(pd.read_csv(tmp_path / "figures" / f"{name}.csv")) == len(numbers[name])


def test_a_venue_sets_the_width(tmp_path, saved):
    out = tmp_path / "card.png"
    assert run("evidence", "--out", out, "--fit", saved, "--venue", "icml").exit_code == 0
    with Image.open(out) as image:
        assert image.size[0] == 975  # 3.25 inches


def test_letters_that_no_font_has_are_named_once(tmp_path, saved, monkeypatch):
    monkeypatch.setattr("bayesmeta.plots.figure.choose_families", lambda _: (["sans"], {"x"}))
    result = run("evidence", "--out", tmp_path / "card.png", "--fit", saved)
    assert result.exit_code == 0
    assert result.stderr.count("warning: no installed font has x") == 1


REFUSED = {
    "decision": (("calibration", "--decision", "norm"), "forest, atlas, curve, tradeoff"),
    "by": (("ranks", "--by", "benchmark"), "prior-posterior, ladders"),
    "by of a trade-off": (("tradeoff", "--by", "overall"), "forest, atlas, curve"),
    "venue": (("forest", "--venue", "icmll"), "Did you mean 'icml'"),
    "along": (("curve", "--along", "compute"), "Allowed with: scaling"),
    "statement": (
        ("scaling", "--statement", "a: b > c"),
        "evidence, studies, study-funnel, three-answers, ladders, specification-curve",
    ),
    "many on many": (
        ("forest", "--decision", "attention", "--by", "lm_family"),
        "Allowed: benchmark, task_family, overall, or one contrast",
    ),
    "unknown level": (("forest", "--statement", "attention: gqx > mha"), "Did you mean 'gqa'"),
    "many for one": (
        ("curve", "--decision", "code_share", "--decision", "web_share"),
        "given 2 times",
    ),
    "target": (("ladders", "--target", "code"), "evidence, studies, study-funnel, "),
    "multiverse": (("ppc", "--multiverse", "m.csv"), "specification-curve, all"),
    "fit": (("scoreboard", "--fit", "fit.nc"), "forest"),
    "ci-prob": (("ranks", "--ci-prob", "0.5"), "specification-curve"),
    "data-version": (("forest", "--data-version", "as-published"), "scoreboard, gains, all"),
    "data of all": (("all", "--data", "numbers.csv"), "forest"),
    "by of all": (("all", "--by", "overall"), "forest"),
    "long value": (("calibration", "--decision", "x" * 10_000), "(10000 characters)"),
    "kind": (("evidense",), "Did you mean 'evidence'"),
    "style": (("forest", "--style", "poster"), "Allowed: paper, screen"),
    "theme": (("forest", "--theme", "drak"), "Did you mean 'dark'"),
    "data's ending": (("forest", "--data", "numbers.txt"), "Allowed: .csv"),
    "data's folder": (("forest", "--data", "nowhere/numbers.csv"), "--data nowhere/numbers.csv"),
    "target's name": (("evidence", "--target", "lambda"), "Did you mean 'lambada'"),
    "card's statement": (("evidence", "--statement", "nonsense"), "DECISION: A > B"),
    "scale": (("scaling", "--along", "flops"), "Allowed: compute, n_params, n_tokens"),
    "probability": (("evidence", "--ci-prob", "90"), "between 0 and 1"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_does_not_apply_is_one_message(monkeypatch, refuse, tmp_path, case):
    words, allowed = REFUSED[case]
    monkeypatch.chdir(tmp_path)
    out = "." if words[0] == "all" else "figure.pdf"
    assert allowed in refuse("plot", *words, "--out", out)
    assert list(tmp_path.iterdir()) == []


def test_an_ending_is_refused_before_the_work(monkeypatch, refuse, tmp_path):
    monkeypatch.setattr(plot_command, "_draw_all", lambda *_, **__: pytest.fail("drawn"))
    said = refuse("plot", "forest", "--out", tmp_path / "figure.gif")
    assert "Allowed: .pdf, .png, .svg" in said


def test_what_help_offers_is_what_there_is():  # named twice: help is not to import matplotlib
    offered = {p.name: p for p in app.get_command(None, "plot").params}
    for name, words in (("venue", plots.VENUES), ("kind", KINDS)):
        assert [item.value for item in offered[name].shell_complete(None, "")] == list(words)


def test_every_option_names_figures_that_exist():
    assert all({*applies} <= {*KINDS} for applies in APPLIES.values())


def test_numbers_that_cannot_be_written_leave_the_old_ones(tmp_path, saved, monkeypatch):
    data = tmp_path / "numbers.csv"
    data.write_text("old")
    monkeypatch.setattr("os.replace", lambda *_: (_ for _ in ()).throw(OSError(28, "No space")))
    words = ("evidence", "--out", tmp_path / "card.png", "--fit", saved, "--data", data)
    result = CliRunner().invoke(app, ["plot", *map(str, words)])
    assert result.exception is not None
    assert data.read_text() == "old"
    assert [path.name for path in tmp_path.iterdir()] == ["numbers.csv"]
