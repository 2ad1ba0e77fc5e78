"""Choices that lms leave open: which joint choices others made, and how many families did."""

import numpy as np
import pytest

from bayesmeta.design.terms import build_unknown_choices

COLUMNS = [("attention", "gqa"), ("attention", "mha"), ("position_embedding", "learned"),
           ("position_embedding", "rotary")]  # fmt: skip
"""Without a level for what is undisclosed."""


def shares_of(unknown, record):
    """Probability of every configuration of a record, by its levels."""
    return {
        tuple(COLUMNS[t][1] for t in np.flatnonzero(row)): weight
        for row, weight in zip(unknown.shift[record], unknown.prior[record], strict=True)
        if weight > 0
    }


@pytest.fixture
def hidden(small):
    """Lms of four undisclosed records, two of them of siblings that differ."""
    lms = small.lms.copy()
    lms.loc[lms["lm"] == "bee-2", "attention"] = None
    lms.loc[lms["lm"] == "bee-3", ["attention", "position_embedding"]] = None
    lms.loc[lms["lm_family"] == "cat", ["position_embedding", "attention"]] = None
    return lms


def test_configurations_are_those_of_similar_lms_counted_by_families(hidden):
    unknown = build_unknown_choices(hidden, columns=COLUMNS)
    assert unknown.names == ("bee", "bee", "cat", "elk")
    np.testing.assert_array_equal(unknown.record, [0, 1, 2, 2, 3, 3])
    shares = [shares_of(unknown, g) for g in range(4)]
    assert shares[0] == {("mha",): 1.0}  # bee-1 alone
    # ant made both choices, dog one, bee-1 one: 1.5 families each but for gqa with learned.
    assert shares[2] == pytest.approx({("mha", "learned"): 1.5 / 5.5, ("gqa", "learned"): 2.5 / 5.5,
                                       ("mha", "rotary"): 1.5 / 5.5})  # fmt: skip
    # elk-1 discloses mha: ant and bee have that.
    assert shares[3] == pytest.approx({("learned",): 0.5, ("rotary",): 0.5})


def test_open_decisions_that_nobody_discloses_together_are_independent(small):
    lms = small.lms.copy()
    lms.loc[lms["lm_family"].isin(["ant", "dog"]), "attention"] = None
    lms.loc[lms["lm_family"].isin(["bee", "elk"]), "position_embedding"] = None
    lms.loc[lms["lm_family"] == "cat", ["position_embedding", "attention"]] = None
    lms.loc[lms["lm"] == "dog-1", "position_embedding"] = "rotary"
    unknown = build_unknown_choices(lms, columns=COLUMNS)
    shares = shares_of(unknown, unknown.names.index("cat"))
    # learned: ant, dog; rotary: dog. gqa: bee; mha: bee, elk. Half a family is added to each.
    odds = {("gqa", "learned"): 1.5 * 2.5, ("mha", "learned"): 2.5 * 2.5,
            ("gqa", "rotary"): 1.5 * 1.5, ("mha", "rotary"): 2.5 * 1.5}  # fmt: skip
    total = sum(odds.values())
    assert shares == pytest.approx({key: value / total for key, value in odds.items()})


def test_columns_of_choices_are_looked_up_draw_by_draw(hidden):
    unknown = build_unknown_choices(hidden, columns=COLUMNS)
    rng = np.random.default_rng(1)
    drawn = [unknown.draw(g, shape=(2, 30), rng=rng) for g in range(4)]
    choice = np.stack(drawn, axis=-1)
    assert (np.take_along_axis(unknown.prior, choice.reshape(-1, 4).T, axis=1) > 0).all()
    found = unknown.columns(choice)
    assert found.shape == (2, 30, 6, 4)
    np.testing.assert_array_equal(found[1, 7, 3], unknown.shift[2, choice[1, 7, 2]])
    # Siblings of a record share the choice; of what is disclosed nothing changes.
    np.testing.assert_array_equal(found[..., 2, :], found[..., 3, :])
    assert not found[..., 0, 2:].any()


def test_disclosed_choices_leave_nothing_open(small):
    known = small.lms[small.lms["lm_family"] == "ant"]
    assert build_unknown_choices(known, columns=COLUMNS) is None
