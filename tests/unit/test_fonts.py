"""Letters that the figures' own font lacks are drawn in another, or one message names them."""

import warnings
from dataclasses import replace

import pytest
from fontTools.fontBuilder import FontBuilder
from fontTools.pens.ttGlyphPen import TTGlyphPen
from matplotlib.font_manager import fontManager

from bayesmeta import plots
from bayesmeta.estimates.contrasts import effects
from bayesmeta.plots.look import choose_families

LETTER = "\U000f1234"  # for private use: no font has it by chance
NAME = "Bayesmeta Test"


@pytest.fixture
def font(tmp_path):
    """An installed font whose only letter is a square."""
    pen = TTGlyphPen(None)
    pen.moveTo((0, 0))
    for corner in ((0, 900), (900, 900), (900, 0)):
        pen.lineTo(corner)
    pen.closePath()
    empty = TTGlyphPen(None).glyph()
    builder = FontBuilder(1000, isTTF=True)
    builder.setupGlyphOrder([".notdef", "square"])
    builder.setupCharacterMap({ord(LETTER): "square"})
    builder.setupGlyf({".notdef": empty, "square": pen.glyph()})
    builder.setupHorizontalMetrics({".notdef": (500, 0), "square": (1000, 0)})
    builder.setupHorizontalHeader(ascent=900, descent=-100)
    builder.setupNameTable({"familyName": NAME, "styleName": "Regular", "psName": "BayesmetaTest"})
    builder.setupOS2(sTypoAscender=900, usWeightClass=400)
    builder.setupPost()
    path = tmp_path / "test.ttf"
    builder.save(path)
    fontManager.addfont(path)
    yield NAME
    fontManager.ttflist = [entry for entry in fontManager.ttflist if entry.name != NAME]


@pytest.fixture(scope="module")
def labelled(fake_bundled_fit):
    """Effects on a benchmark whose label has the letter."""
    found = effects(fake_bundled_fit, "block", by="benchmark")
    labels = [f"{LETTER} 1", *found.draws["label"].values[1:]]
    return replace(found, draws=found.draws.assign_coords(label=("target", labels)))


def test_letters_of_the_default_font_need_no_other():
    assert choose_families("abc Ωμέγα Überprüfung — שפה") == (["sans-serif"], set())


def test_a_font_that_has_the_letter_is_found(font):
    assert choose_families(f"a{LETTER}") == (["sans-serif", font], set())


def test_without_such_a_font_the_letters_are_named():
    assert choose_families(f"a{LETTER}") == (["sans-serif"], {LETTER})


@pytest.mark.parametrize("ending", [".pdf", ".svg", ".png"])
def test_the_letter_is_drawn_and_embedded(font, labelled, tmp_path, ending):
    drawn = plots.forest(labelled)
    path = plots.save_figure(drawn, tmp_path / f"figure{ending}")
    if ending == ".pdf":
        assert b"BayesmetaTest" in path.read_bytes()
        assert b"/Type3" not in path.read_bytes()
    if ending == ".svg":
        assert "BayesmetaTest" in path.read_text()


def test_one_message_stands_for_all_letters_that_no_font_has(labelled, tmp_path):
    drawn = plots.forest(labelled)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        plots.save_figure(drawn, tmp_path / "figure.png")
    (warning,) = caught
    assert f"no installed font has {LETTER}: they are drawn as boxes. Install" in str(
        warning.message
    )
