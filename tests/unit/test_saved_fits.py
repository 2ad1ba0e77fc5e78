"""Fits that an earlier version saved are read, and mean what they meant."""

from pathlib import Path

import pytest

import bayesmeta as bm

SAVED = Path(__file__).parent / "saved"
"""Files of format 2: draws at random; and forty draws of a sampler, thinned to eight."""


def close(value):
    return pytest.approx(value, rel=1e-9, abs=1e-9)


def test_a_fit_of_scores():
    fit = bm.load_fit(SAVED / "scores.nc")
    assert fit.spec == bm.ModelSpec(experiments="ignored")  # there were none
    assert fit.shape == (2, 3)
    assert fit.dataset.source == "scores of twelve lms"
    assert fit.dataset.checksum.startswith("cc22beafd59a")
    assert fit.parameters["alpha"].sum() == close(-1.0957288481295109)
    assert fit.log_likelihood().sum() == close(-18.566271312885334)
    row = bm.effects(fit, "code_share", by="overall").table().iloc[0]
    assert row["estimate"] == close(-0.12282787918227811)


def test_a_fit_of_effect_sizes():
    fit = bm.load_fit(SAVED / "effect_sizes.nc")
    # The defaults of that version, which are stated in the file.
    assert fit.spec == bm.EffectSizeSpec(4.0, 1.0, "half-normal", 0.5)
    assert fit.is_thinned
    assert fit.dataset.groups == ("lab",)
    assert fit.dataset.checksum.startswith("00b32f9b97a7")
    assert fit.parameters["mu"].sum() == close(0.5178186614066362)
    assert fit.log_likelihood().sum() == close(-21.902582926719163)
