"""What is recorded of the multiverse: of this model and these data, and what it has to show."""

import numpy as np
import pandas as pd
import pytest

import bayesmeta as bm
from bayesmeta import defaults
from bayesmeta.data.load import bundled_folder
from bayesmeta.specification_curves.grid import CHOICES, build_grid

ROTARY = "position_embedding: rotary > learned"
CODE = "code_share: 20 > 5"
WEB = "web_share: +10 from code_share"
ASKED = [(ROTARY, "overall"), (CODE, "overall"), (CODE, "code"), (WEB, "truthfulqa")]

MONTE_CARLO = 0.12
"""Of a probability, of two fits: a hundred effective draws give an MCSE of .05."""

RHAT = 1.1
"""Of an effect in short chains. Their medians are compared across fits, not reported one by one."""


@pytest.fixture(scope="module")
def recorded():
    return bm.load_multiverse()


def test_record_is_of_the_default_model_and_the_bundled_data(bundled_informed):
    # If not: the model has changed since; `make multiverse` records it anew.
    record = pd.read_csv(bundled_folder() / "multiverse.csv")
    assert set(record["spec_checksum"]) == {bm.ModelSpec().checksum[:12]}
    assert set(record["data_checksum"]) == {bundled_informed.checksum[:12]}


def test_record_holds_a_balanced_grid(recorded):
    n = recorded.cells["specification"].nunique()
    grid = build_grid(CHOICES, n=n, seed=defaults.SEED)
    assert recorded.asked == ASKED
    for statement, target in ASKED:
        found = recorded.select(statement, target)
        assert found[list(CHOICES)].to_dict("records") == grid
        assert found["estimate"].notna().mean() > 0.9


def test_default_specification_says_what_the_shipped_posterior_says(recorded):
    fit = bm.load_reference_fit()
    where = {"code": {"task_family": "code"}, "truthfulqa": {"benchmark": "truthfulqa"}}
    for statement, target in ASKED:
        answer = bm.query(fit, statement, **where.get(target, {}))
        row = recorded.select(statement, target).iloc[0]
        assert abs(row["probability"] - answer.probability.estimate) < MONTE_CARLO
        assert row["lower"] < answer.effect["estimate"] < row["upper"]


def test_chains_agree_in_what_was_asked(recorded):
    table = recorded.table()
    assert np.median(table["rhat"]) < 1.02
    assert (table["rhat"] < RHAT).mean() > 0.98


def test_every_choice_is_told_from_the_others(recorded):
    found = recorded.influence()
    assert found["effect_spread"].notna().all()
    assert set(found["choice"]) == set(CHOICES)
    assert (found["effect_spread"] >= 0).all()
