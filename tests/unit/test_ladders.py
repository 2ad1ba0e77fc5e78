"""Ladders against all others, tipping points: on scores made so that the answer is known."""

import numpy as np
import pytest

from bayesmeta import ModelSpec
from bayesmeta.errors import QueryError
from bayesmeta.estimates.counterfactual import weigh_benchmarks
from bayesmeta.estimates.linearised import linearise, linearise_at, mean_change, to_free
from bayesmeta.estimates.question import build_contrast
from bayesmeta.robustness.tipping import EVERYONE, GRID, _first_turn, tipping_point
from bayesmeta.robustness.within_family import OTHERS, ladders

CALM = {**dict.fromkeys(("alpha", "kappa", "u", "w", "v", "beta"), 0.0),
        "tau_family": 0.2, "sigma": 0.05, "tau_beta": 0.5}  # fmt: skip
SPEC = ModelSpec(decisions=("code_share",), interactions="none")
STATEMENT = "code_share: 20 > 5"


@pytest.fixture
def build_gains(small, build_fake_fit):
    """Build a fit to scores that differ by nothing but what some lms gained."""

    def build(gains):
        higher = small.benchmarks.set_index("benchmark")["direction"] == "higher"
        sign = np.where(small.scores["benchmark"].map(higher), 1, -1)
        means = small.scores.groupby("benchmark")["score"].transform("mean")
        gained = small.scores["lm"].map(gains).fillna(0.0)
        data = small.with_scores((means + sign * gained).to_numpy(float))
        return build_fake_fit(data, spec=SPEC, override=CALM)

    return build


def test_ladders_say_what_their_own_lms_show(build_gains):
    # ant-3 has less code than its siblings, bee-3 more: both are better than these.
    found = ladders(build_gains({"ant-3": 0.2, "bee-3": 0.2}), STATEMENT, by="overall")
    assert found.families == ("ant", "bee")
    assert found.steps == ((5, 10), (20, 25))
    table = found.table().set_index("lm_family")
    # Both are also the largest of their family, so that neither can be sure.
    assert table.loc["ant", "estimate"] < -0.5
    assert table.loc["bee", "estimate"] > 0.5
    # Among all others nothing differs, so that only the prior tells, which has no direction.
    assert table.loc[OTHERS, "prob_helps"] == pytest.approx(0.5, abs=0.1)
    assert np.isnan(table.loc[OTHERS, "prob_conflict"])


def test_conflict_is_a_matter_of_both_uncertainties(build_gains):
    found = ladders(build_gains({"ant-3": 0.2}), STATEMENT, by="overall")
    row = found.table().set_index("lm_family").loc["ant"]
    mean, sd = found.mean[:, 0], found.sd[:, 0]
    draws = np.random.default_rng(1).normal(mean, sd, (200_000, len(mean)))
    wanted = (draws[:, 0] < draws[:, -1]).mean()
    assert row["difference"] == pytest.approx(mean[0] - mean[-1])
    assert row["prob_conflict"] == pytest.approx(wanted, abs=0.005)


def test_a_ladder_does_not_see_how_good_its_family_is(build_gains):
    plain, raised = (
        ladders(build_gains({f"bee-{k}": 0.2 * gain for k in (1, 2, 3)}), STATEMENT, by="overall")
        for gain in (0, 1)
    )
    bee = plain.families.index("bee")
    assert raised.mean[bee, 0] == pytest.approx(plain.mean[bee, 0], abs=0.5)
    assert abs(raised.mean[-1, 0] - plain.mean[-1, 0]) < 0.5  # nor do the others see the ladder


@pytest.mark.parametrize(
    "statement, families, message",
    [
        ("attention: gqa > mha", None, "not about a number"),
        ("code_share: +10 from web_share", None, "not about a number"),
        (STATEMENT, ["elk"], "'elk' has no ladder of code_share.*Allowed: ant, bee"),
        (STATEMENT, ["bea"], "Did you mean 'bee'"),
    ],
)
def test_what_is_no_ladder_is_refused(fake_fit, statement, families, message):
    with pytest.raises(QueryError, match=message):
        ladders(fake_fit, statement, families=families)


def test_decision_that_varies_nowhere_has_no_ladder(fake_fit):
    with pytest.raises(QueryError, match="no family of this fit's data varies in english_share"):
        ladders(fake_fit, "english_share: 90 > 80")


@pytest.mark.parametrize(
    "mean, turn",
    [
        ([1.0, 0.5, -0.5, -1.0, -1.0], 30.0),
        ([-1.0, 1.0, 1.0, 1.0, 1.0], 0.0),
        ([1.0, 1.0, 1.0, 1.0, 1.0], np.nan),
        ([3.0, 1.0, 1.0, 1.0, -1.0], 70.0),
    ],
)
def test_sign_turns_where_a_line_between_two_shares_crosses_zero(mean, turn):
    assert _first_turn(np.array(mean), sign=1.0) == pytest.approx(turn, nan_ok=True)
    assert _first_turn(-np.array(mean), sign=-1.0) == pytest.approx(turn, nan_ok=True)


def test_typical_shares_change_nothing(bundled, build_fake_fit):
    fit = build_fake_fit(bundled, spec=ModelSpec(), draws=10)
    weights = weigh_benchmarks(fit.design, by="overall")[1][0]
    contrast = build_contrast(fit.design, decision="code_share", level=20, reference=5)
    moved = to_free(fit.design, mean_change(fit, contrast))
    given = linearise_at(fit, fit.design.facts)
    wanted = linearise(fit).estimate(moved, weights=weights)
    found = given.estimate(moved, weights=weights)
    assert float(found.mean) == pytest.approx(float(wanted.mean), rel=1e-6)
    assert float(found.sd) == pytest.approx(float(wanted.sd), rel=1e-6)


def test_hidden_code_of_a_good_family_turns_the_sign(build_gains):
    """Of two families alone that differ, one hides its code: the effect is what it is given."""
    fit = build_gains({"cat-1": 0.3, "cat-2": 0.3})
    table = tipping_point(fit, STATEMENT, progress=False).set_index("lm_family")
    assert set(table.index) == {"cat", EVERYONE}
    # With no code at all the good family speaks against code, with most of it for code.
    assert table.loc["cat", "lowest"] < 0 < table.loc["cat", "highest"]
    assert np.isfinite(table.loc["cat", "tips_at"])
    assert 0 <= table.loc["cat", "tips_at"] <= GRID[-1]


@pytest.mark.parametrize(
    "part, message",
    [
        ("code_shar", "'code_shar' is not in the training mix.*Did you mean 'code_share'"),
        ("attention", "'attention' is not in the training mix"),
    ],
)
def test_unknown_parts_are_refused(fake_fit, part, message):
    with pytest.raises(QueryError, match=message):
        tipping_point(fake_fit, STATEMENT, part=part, progress=False)


def test_part_of_a_statement_about_something_else_has_to_be_named(fake_fit):
    with pytest.raises(QueryError, match="'attention' is no part of the training mix"):
        tipping_point(fake_fit, "attention: gqa > mha", progress=False)
    found = tipping_point(fake_fit, "attention: gqa > mha", part="code_share", progress=False)
    assert found["lm_family"].iloc[-1] == EVERYONE
