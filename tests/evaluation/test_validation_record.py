"""What is recorded of the slow checks: of this model and these data, and what it has to show."""

import re

import numpy as np
import pandas as pd
import pytest

import bayesmeta as bm
from bayesmeta.data.load import bundled_folder
from bayesmeta.errors import EvaluationError
from bayesmeta.validation.records import read_ranks
from bayesmeta.validation.recovery import POWER_SETTINGS, SETTINGS

CALIBRATED = (87.0, 93.0)  # percent of 90 % intervals
MOST_BEYOND = 5.0  # percent of contrasts of a placebo: with a flat prior it were ten
MOST_SEALED = 1.0  # percent of all, and even of those beyond, that are called supported
SIZEABLE = 2.0  # percentage points: an effect that one would report
SEEN = 30.0
"""Least percent of sizeable effects inside families whose direction is told with 95 %. LMs alone
tell associations, of which a part is effect, so that it is less than half."""
HALVED = 59.0
"""Percent of 90 % intervals that would hold their truth if they were half as wide as they should
be. Chosen effects are not drawn from the prior, and no posterior that shrinks holds them 90 % of
the time: of a truth at 1.4 prior standard deviations, an interval that has removed half of the
prior variance holds 82 % by conjugate algebra. A factor of two in the width is another matter."""
CHANCE = 0.01
FEWEST = {
    "placebo.csv": ("deal", 24),
    "coverage.csv": ("cell", len(SETTINGS)),
    "power.csv": ("cell", len(POWER_SETTINGS)),
    "priors.csv": ("prior", 15),
}
MONTE_CARLO = 0.08  # of a probability near one half, of two fits of a few hundred effective draws


@pytest.fixture(scope="module")
def coverage():
    return bm.load_validation("coverage")


@pytest.mark.parametrize("name", FEWEST)
def test_records_are_of_the_default_model_and_the_bundled_data(bundled_informed, name):
    # If not: the model has changed since; `make placebo power coverage priors` records it anew.
    record = pd.read_csv(bundled_folder() / name)
    column, least = FEWEST[name]
    assert set(record["spec_checksum"]) == {bm.ModelSpec().checksum[:12]}
    assert set(record["data_checksum"]) == {bundled_informed.checksum[:12]}
    assert record[column].nunique() >= least


def test_ranks_of_truths_are_uniform():
    table = bm.load_validation("calibration")
    assert (table["least"] > CHANCE).all()
    assert table["outside"].sum() < 2 * table["by_chance"].sum()
    assert table["parameter"].iloc[-1] == "joint log-likelihood"
    total = np.average(table["coverage90"], weights=table["elements"])
    assert CALIBRATED[0] < total < CALIBRATED[1]
    for name in ("beta", "kappa", "surface"):
        assert CALIBRATED[0] < table.set_index("parameter").loc[name, "coverage90"] < CALIBRATED[1]


def test_table_of_calibration_follows_from_the_ranks():
    ranks, header = read_ranks()
    row = bm.load_validation("calibration").set_index("parameter").loc["alpha"]
    # Central 90 of the 101 ranks that a hundred draws leave.
    inside = ((ranks["alpha"] >= 5) & (ranks["alpha"] <= 95)).mean()
    assert header["n_draws"] == 100
    assert row["coverage90"] == pytest.approx(100 * inside)
    assert row["elements"] == 13


def test_document_says_how_often_effects_of_studies_are_held():
    ranks, _ = read_ranks()
    inside = ((ranks["study_effect"] >= 5) & (ranks["study_effect"] <= 95)).reshape(
        len(ranks["study_effect"]), -1
    )
    held = 100 * inside.mean(axis=1)
    error = held.std(ddof=1) / np.sqrt(len(held))
    text = (bundled_folder().parent / "VALIDATION.md").read_text(encoding="utf-8")
    assert f"({held.mean():.1f} %, standard error between truths {error:.1f})" in text


def test_every_cell_is_recorded(coverage):
    names = ["families", "heterogeneity", "facts", "decisions", "effects"]
    found = {tuple(row) for row in coverage[names].to_numpy()} - {("all",) * len(names)}
    assert found == {tuple(getattr(cell, name) for name in names) for cell in SETTINGS}
    whole = coverage[coverage["effects"] == "all"]
    assert whole["of"].tolist() == ["association", "effect, in experiments", "effect, in none"]
    assert (whole["repeats"] >= 56).all()


def test_intervals_of_effects_cover_what_they_say(coverage):
    whole = coverage[coverage["effects"] == "all"].set_index("of")
    for column in ("overall", "task_family", "benchmark"):
        tried = whole.loc["effect, in experiments", column]
        assert CALIBRATED[0] <= tried <= CALIBRATED[1]
        assert whole.loc["effect, in none", column] >= CALIBRATED[0]


def test_intervals_about_chosen_associations_are_not_wrong_by_a_factor_of_two(coverage):
    whole = coverage[coverage["effects"] == "all"]
    assert (whole[["overall", "task_family", "benchmark"]] > HALVED).all(axis=None)


def test_little_is_found_in_a_placebo():
    table = bm.load_validation("placebo")
    assert (table["beyond"] <= MOST_BEYOND).all()
    assert (table["supported"] <= MOST_SEALED).all()
    assert (table["supported_of_beyond"] <= MOST_SEALED).all()


def test_real_effects_inside_families_are_seen():
    record = bm.load_validation("power")
    sizeable = record[record["at_least"] >= SIZEABLE]
    for by, part in sizeable.groupby("by"):
        assert np.average(part["beyond"], weights=part["n"]) >= SEEN, by
        assert np.average(part["wrong_sign"], weights=part["n"]) <= MOST_SEALED, by
    assert (record["supported"] == 0).all()  # no experiment is on what was planted


def test_probabilities_under_the_default_prior_are_those_of_the_shipped_posterior():
    table = bm.load_validation("priors").set_index(["decision", "level", "reference"])
    shipped = bm.effects(bm.load_reference_fit()).table()
    shipped = shipped.set_index(["decision", "level", "reference"])["prob_helps"]
    assert table.index.tolist() == shipped.index.tolist()
    assert np.abs(table["default"] - shipped).max() < MONTE_CARLO


def test_unknown_checks_are_refused():
    with pytest.raises(EvaluationError, match=r"'coverages' is not known.*coverage.*Allowed"):
        bm.load_validation("coverages")


def test_document_names_every_check():
    text = (bundled_folder().parent / "VALIDATION.md").read_text(encoding="utf-8")
    for name in ("calibration", "coverage", "placebo", "power", "priors"):
        assert re.search(rf"^\$ bayesmeta validation {name}$", text, re.MULTILINE)
