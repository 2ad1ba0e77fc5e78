"""What an effect would be without a family: the linearised model against a refit."""

import numpy as np
import pytest

import bayesmeta as bm
from bayesmeta.errors import EvaluationError
from bayesmeta.estimates.answer import query
from bayesmeta.estimates.counterfactual import mean_slope, weigh_target
from bayesmeta.estimates.linearised import latent_draws, mean_change
from bayesmeta.estimates.question import parse_statement

STATEMENT = "code_share: 18 > 8"


@pytest.fixture(scope="module")
def reference():
    return bm.load_reference_fit()


@pytest.fixture(scope="module")
def quick(reference):
    return bm.leave_family_out(reference, STATEMENT)


def test_linearised_model_says_what_a_refit_says(reference, quick):
    """Without CodeGen, which makes most of the effect of code; elsewhere little moves at all."""
    found = bm.leave_family_out(
        reference, STATEMENT, families=["codegen"], refit=True, progress=False
    ).iloc[0]
    near = quick.set_index("lm_family").loc["codegen"]
    assert found["method"] == "refit"
    assert near["method"] == "linearised"
    assert found["move"] > 1.5
    assert near["estimate"] == pytest.approx(found["estimate"], abs=0.6 * found["sd"])
    assert near["sd"] == pytest.approx(found["sd"], rel=0.4)


def test_importance_weights_are_used_where_they_can_be_trusted(reference, quick):
    trusted = quick["pareto_k"] <= 1 - 1 / np.log10(np.prod(reference.shape))
    assert (quick.loc[trusted, "method"] == "importance").all()
    assert (quick.loc[~trusted, "method"] == "linearised").all()


def test_weights_leave_scores_out_and_do_not_count_them_twice(reference, quick):
    """Against plain weights, one over the likelihood of the family's scores."""
    design = reference.design
    family = design.lm_family_index[design.outcomes.lm_index]
    statement = parse_statement(design, STATEMENT)
    _, weights = weigh_target(design)
    slope = mean_slope(reference, weights=weights)
    change = mean_change(reference, statement)
    draws = (slope * latent_draws(reference, change) @ weights).reshape(-1)
    trusted = quick[quick["method"] == "importance"].set_index("lm_family")
    if not len(trusted):
        pytest.skip("no family of the shipped posterior can be left out by weights")
    for name, row in trusted.iterrows():
        own = family == design.lm_families.index(str(name))
        likelihood = reference.log_likelihood()[..., own].sum(axis=-1).reshape(-1)
        weight = np.exp(likelihood.min() - likelihood)
        mean = weight @ draws / weight.sum()
        assert row["estimate"] == pytest.approx(mean, abs=0.1 * draws.std())


def test_most_influential_family_comes_first_and_is_that_of_the_card(reference, quick):
    assert quick["move"].is_monotonic_decreasing
    card = query(reference, STATEMENT).evidence
    assert quick["lm_family"].iloc[0] == card.most_influential_family == "codegen"
    assert quick["estimate"].iloc[0] == pytest.approx(card.without_it["estimate"])


def test_every_family_with_scores_is_left_out_once(reference, quick):
    scored = reference.dataset.lms.set_index("lm")["lm_family"]
    families = reference.dataset.scores["lm"].map(scored)
    assert sorted(quick["lm_family"]) == sorted(families.unique())
    counts = quick.set_index("lm_family")["scores"]
    assert counts.to_dict() == families.value_counts().to_dict()


def test_one_family_may_be_named_alone(reference, quick):
    for families in ("codegen", ["codegen", "codegen"]):
        found = bm.leave_family_out(reference, STATEMENT, families=families)
        assert found["lm_family"].tolist() == ["codegen"]
        assert found["move"].iloc[0] == quick["move"].iloc[0]
    card = query(reference, STATEMENT).evidence
    assert card.influence == pytest.approx(quick["move"].iloc[0])


def test_unknown_family_is_refused(reference):
    with pytest.raises(EvaluationError, match=r"'codgen' has no scores.*Did you mean 'codegen'"):
        bm.leave_family_out(reference, STATEMENT, families=["codgen"])
