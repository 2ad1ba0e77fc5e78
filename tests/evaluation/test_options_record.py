"""The recorded comparison of options is of this model, and the defaults are what it supports."""

import json

import pytest

import bayesmeta as bm
from bayesmeta.data.load import bundled_folder
from bayesmeta.model.spec import OPTIONS

VERSIONS = ("corrected", "as-published")
MONTE_CARLO_POINTS = 0.1  # two standard errors of the difference of two means over twelve folds
STANDARD_ERRORS = 2.0  # a leave-one-out gain within them is noise
COVERAGE = (0.87, 0.93)  # of 90 % intervals


@pytest.fixture(scope="module")
def record():
    return json.loads((bundled_folder() / "options.json").read_text(encoding="utf-8"))


def test_record_is_of_the_default_model_and_of_every_value(record):
    default = bm.ModelSpec()
    assert record["spec_checksum"] == default.checksum
    assert record["options"].keys() == record["default"].keys()
    for option, found in record["options"].items():
        assert record["default"][option] == getattr(default, option)
        assert found.keys() == set(OPTIONS[option])
        for value, figures in found.items():
            assert figures["spec_checksum"] == bm.ModelSpec(**{option: value}).checksum
