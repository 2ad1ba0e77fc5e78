"""The recorded comparison of options is of this model, and the defaults are what it supports."""

import json

import pytest

import bayesmeta as bm
from bayesmeta.data.load import bundled_folder
from bayesmeta.model.spec import OPTIONS

VERSIONS = ("corrected", "as-published")
MONTE_CARLO_POINTS = 0.1  # two standard errors of the difference of two means over twelve folds
COVERAGE = (0.87, 0.93)  # of 90 % intervals
RHAT_BROKEN = 1.2  # chains of a thousand draws that are still this far apart do not mix
GONE = {"likelihood": {"beta-binomial": "84a42e52ea2ca2c4"}}  # recorded, and gone since
WITHIN_15 = 0.9  # a switch of more than 15 points is a rare thing
SMALLEST_MEDIAN = 0.25  # points; less would rule out what people look for


@pytest.fixture(scope="module")
def record():
    return json.loads((bundled_folder() / "options.json").read_text(encoding="utf-8"))


def test_record_is_of_the_default_model_and_of_every_value(record):
    default = bm.ModelSpec(experiments="ignored")  # options of the model of LMs
    assert record["spec_checksum"] == default.checksum
    assert record["options"].keys() == record["default"].keys()
    for option, found in record["options"].items():
        assert record["default"][option] == getattr(default, option)
        assert found.keys() == {*OPTIONS[option], *GONE.get(option, {})}
        for value, figures in found.items():
            gone = GONE.get(option, {}).get(value)
            checksum = gone or bm.ModelSpec(**{"experiments": "ignored", option: value}).checksum
            assert figures["spec_checksum"].startswith(checksum)


def test_no_value_has_smaller_held_out_errors_than_the_default(record):
    for option, found in record["options"].items():
        default = found[record["default"][option]]["random"]["mae"]
        for value, figures in found.items():
            assert figures["random"]["mae"] > default - MONTE_CARLO_POINTS, (option, value)


def test_intervals_of_the_default_cover(record):
    for option, found in record["options"].items():
        default = found[record["default"][option]]
        shares = [default["random"]["coverage"]["90%"]]
        shares += [default[version]["pit_coverage"]["90%"] for version in VERSIONS]
        assert all(COVERAGE[0] <= share <= COVERAGE[1] for share in shares), option


def test_student_predicts_held_out_scores_best_of_the_likelihoods_with_chains_that_agree(record):
    found = record["options"]["likelihood"]
    assert found["normal"]["random"]["log_density"] < found["student"]["random"]["log_density"]
    rhat = {value: max(figures[version]["rhat_max"] for version in VERSIONS)
            for value, figures in found.items()}  # fmt: skip
    assert rhat["beta-binomial"] > RHAT_BROKEN > rhat["student"]


def test_effects_are_modest_before_any_score_is_seen(record):
    prior = record["options"]["shrinkage"]["log-normal"]["prior_effects"]
    assert prior["within_15"] > WITHIN_15
    assert prior["50%"] > SMALLEST_MEDIAN
