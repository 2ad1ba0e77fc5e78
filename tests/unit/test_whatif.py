"""One lm designed otherwise: against effects, against arithmetic, and what is refused."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from scipy.special import expit, logit

from bayesmeta.errors import QueryError
from bayesmeta.estimates.changed_lms import whatif
from bayesmeta.estimates.counterfactual import contrast_draws
from bayesmeta.estimates.predictions import place_lms
from bayesmeta.estimates.question import Contrast
from bayesmeta.model.predictor import family_effects, linear_predictor
from bayesmeta.model.spec import ModelSpec

EXACT = 1e-9
"""Rounding error of a few hundred sums of doubles, in percentage points."""

ADDITIVE = ModelSpec(interactions="none", unknown_numbers="estimated")

SPECS = {
    "default": ModelSpec(),
    "additive": ADDITIVE,
    "law": ModelSpec(scaling="chinchilla"),
    "law beside unknowns": replace(ADDITIVE, scaling="chinchilla"),
    "surface beside unknowns": ModelSpec(unknown_numbers="estimated"),
}


@pytest.fixture(scope="module", params=SPECS.values(), ids=SPECS.keys())
def fit_of_any_form(request, small, build_fake_fit):
    return build_fake_fit(small, spec=request.param)


@pytest.fixture(scope="module")
def linear_fit(small, build_fake_fit):
    """Effects that add up, without a bend or a surface."""
    return build_fake_fit(small, spec=ModelSpec(interactions="none"))


CONTRASTS = [
    Contrast("attention", "gqa", "mha"),
    Contrast("position_embedding", "rotary", "undisclosed"),
    Contrast("code_share", 30.0, 7.0),
    Contrast("english_share", 90.0, 40.0),
]


def mean_score(fit, contrast, level, by):
    """Mean over the lms of their score with one level of a contrast, asked one lm at a time."""
    decision, parts = contrast.decision, []
    (other,) = {contrast.level, contrast.reference} - {level}
    for lm, recorded in zip(fit.design.lms, fit.dataset.lms[decision], strict=True):
        has_it = ("undisclosed" if pd.isna(recorded) else recorded) == level
        asked = whatif(fit, lm, by=by, **{decision: other if has_it else level})
        parts.append(asked.draws["as_is" if has_it else "changed"])
    return sum(parts) / len(parts)


@pytest.mark.parametrize("by", ["benchmark", "overall"])
@pytest.mark.parametrize("contrast", CONTRASTS, ids=lambda contrast: contrast.label)
def test_whatif_averaged_over_all_lms_is_the_effect(fit_of_any_form, contrast, by):
    high, low = (
        mean_score(fit_of_any_form, contrast, level, by)
        for level in (contrast.level, contrast.reference)
    )
    expected = contrast_draws(fit_of_any_form, contrast=contrast, by=by)
    np.testing.assert_allclose(high - low, expected, atol=EXACT)
    assert np.abs(expected).max() > 0.1  # there is something to agree on


def latent_of(fit, points):
    """Latent values behind points of one lm on every benchmark, shape (chain, draw, benchmark)."""
    outcomes = fit.design.outcomes
    with np.errstate(invalid="ignore"):
        accuracy = logit((points / 100 - outcomes.floor) / (1 - outcomes.floor))
    brier = (-points / 100 - outcomes.location) / outcomes.spread
    return np.where(outcomes.is_logistic, accuracy, brier)


def latent_step(fit, lm, **changes):
    draws = whatif(fit, lm, **changes).draws
    return latent_of(fit, draws["changed"].values) - latent_of(fit, draws["as_is"].values)


def effect_of(fit, decision, level):
    beta, design = fit.parameters["beta"], fit.design
    (column,) = (k for k in design.columns_of(decision) if design.terms[k].level == level)
    return beta[:, :, column]


def test_two_decisions_and_the_size_add_up_on_the_latent_scale(linear_fit):
    found = latent_step(
        linear_fit, "bee-1", attention="gqa", position_embedding="learned", n_params=8e9
    )
    kappa = linear_fit.parameters["kappa"]
    size = np.log(8e9 / 2e9) / 1.6  # bee-1 has 2 billion parameters and 0.9 trillion tokens
    data = np.log(0.9) / 1.3
    expected = (
        effect_of(linear_fit, "attention", "gqa") - effect_of(linear_fit, "attention", "mha")
        + effect_of(linear_fit, "position_embedding", "learned")
        - effect_of(linear_fit, "position_embedding", "rotary")
        + kappa[..., 0] * size + kappa[..., 2] * size * data
    )  # fmt: skip
    np.testing.assert_allclose(found, expected, atol=1e-8)


def test_parts_of_the_mix_are_set_together_and_the_others_keep_their_proportions(linear_fit):
    # ant-1 reads 70 web, 10 code, 10 books, 5 reference and 5 academic, and nothing else.
    found = latent_step(linear_fit, "ant-1", code_share=30, web_share=50)
    names = ("web_share", "code_share", "books_share", "reference_share", "academic_share")
    steps = dict(zip(names, (-0.2, 0.2, 0.0, 0.0, 0.0), strict=True))
    weights = linear_fit.parameters["beta"][:, :, linear_fit.design.mix_columns]
    domains = linear_fit.design.mix.domains
    expected = sum(weights[:, :, domains.index(n)] * step / 0.25 for n, step in steps.items())
    np.testing.assert_allclose(found, expected, atol=1e-8)


def test_parts_that_leave_less_shrink_the_others(linear_fit):
    found = latent_step(linear_fit, "ant-1", code_share=30, web_share=60)
    weights = linear_fit.parameters["beta"][:, :, linear_fit.design.mix_columns]
    # 20 points of books, reference and academic become 10, halved each.
    step = np.array([-0.1, 0.2, -0.05, -0.025, -0.025, 0.0])
    expected = np.einsum("d,ijdb->ijb", step / 0.25, weights)
    np.testing.assert_allclose(found, expected, atol=1e-8)


def test_order_of_changes_does_not_matter(fit_of_any_form):
    changes = {"code_share": 40, "n_tokens": 3e12, "english_share": 50, "web_share": 30}
    one = whatif(fit_of_any_form, "bee-2", **changes)
    other = whatif(fit_of_any_form, "bee-2", **dict(reversed(changes.items())))
    np.testing.assert_allclose(one.draws["changed"], other.draws["changed"], atol=EXACT)


def test_change_is_that_of_the_model_for_an_lm_with_the_new_facts(fit_of_any_form):
    # The same lm, coded anew with the changed facts: a way that shares nothing with whatif.
    fit, changes = fit_of_any_form, {"attention": "gqa", "n_params": 9e9, "n_tokens": 4e12}
    lms = fit.dataset.lms
    row = lms[lms["lm"] == "bee-1"]
    placed = place_lms(fit, row.assign(attention="gqa", n_params=9 * 10**9, n_tokens=4 * 10**12),
                       seed=1)  # fmt: skip
    fixed = [
        linear_predictor(p, design=d, spec=fit.spec) - family_effects(p, design=d, spec=fit.spec)
        for p, d in ((placed.parameters, placed.design), (fit.parameters, fit.design))
    ]
    expected = fixed[0][..., -1, :] - fixed[1][..., fit.design.lms.index("bee-1"), :]
    np.testing.assert_allclose(latent_step(fit, "bee-1", **changes), expected, atol=1e-8)


def test_score_as_it_is_is_the_fitted_score(fake_fit):
    draws = whatif(fake_fit, "cat-2", attention="gqa").draws["as_is"]
    eta = linear_predictor(fake_fit.parameters, design=fake_fit.design, spec=fake_fit.spec)
    latent = eta[..., fake_fit.design.lms.index("cat-2"), :]
    floor = fake_fit.design.outcomes.floor[0]
    reading = 100 * (floor + (1 - floor) * expit(latent[..., 0]))
    np.testing.assert_allclose(draws.sel(target="reading"), reading, atol=EXACT)
    scores = fake_fit.dataset.scores
    proofs = scores.loc[scores["benchmark"] == "proofs", "score"]
    expected = -100 * (proofs.mean() - proofs.std() * latent[..., 2])
    np.testing.assert_allclose(draws.sel(target="proofs"), expected, atol=EXACT)


def test_table_summarises_the_draws(fake_fit):
    found = whatif(fake_fit, "ant-1", attention="gqa", by="task_family")
    table = found.table(ci_prob=0.8).set_index("target")
    values = pd.Series(found.draws["difference"].sel(target="logic").values.ravel())
    row = table.loc["logic"]
    assert row["estimate"] == pytest.approx(values.median())
    assert row["sd"] == pytest.approx(values.std(ddof=0))
    assert [row["lower"], row["upper"]] == pytest.approx(values.quantile([0.1, 0.9]).tolist())
    assert row["prob_helps"] == (values > 0).mean()
    assert row["mcse"] > 0
    assert row["as_is"] == pytest.approx(float(found.draws["as_is"].sel(target="logic").median()))
    assert set(table["change"]) == {"attention: mha -> gqa"}
    assert found.draws["difference"].dims == ("chain", "draw", "target")
    assert found.draws["difference"].attrs["units"] == "percentage points"
    assert "attention: mha -> gqa on 2 targets by task_family" in repr(found)


def test_values_beyond_the_data_are_named(fake_fit):
    found = whatif(fake_fit, "ant-1", n_params=1e12, n_tokens=1e12, code_share=31, attention="gqa")
    assert found.extrapolates == ("n_params", "code_share")


def test_what_is_not_disclosed_can_be_changed(fake_fit):
    found = whatif(fake_fit, "cat-1", context_length="4096", code_share=20)
    assert found.label == "context_length: undisclosed -> 4096; code_share: undisclosed -> 20"


def test_scale_only_model_answers_about_sizes(small, build_fake_fit):
    fit = build_fake_fit(small, spec=ModelSpec(decisions=(), family_effects="none"))
    assert np.abs(whatif(fit, "ant-1", n_params=7e10).draws["difference"]).max() > 0
    with pytest.raises(QueryError, match=r"norm. cannot be changed.*Allowed: n_params, n_tokens\."):
        whatif(fit, "ant-1", norm="rmsnorm")


def test_model_without_scale_is_not_asked_about_sizes(small, build_fake_fit):
    fit = build_fake_fit(small, spec=ModelSpec(scaling="none"))
    with pytest.raises(QueryError, match="'n_params' cannot be changed"):
        whatif(fit, "ant-1", n_params=7e10)


REFUSED = {
    "lm": (("ant-4", {"attention": "gqa"}), r"lm 'ant-4'.*Did you mean 'ant-3'\?.*and 9 more"),
    "decision": (("ant-1", {"atention": "gqa"}), r"Did you mean 'attention'\?.*Allowed: n_params"),
    "constant decision": (("ant-1", {"norm": "rmsnorm"}), "norm. cannot be changed.*not vary"),
    "level": (("ant-1", {"attention": "gqq"}), r"level 'gqq'.*Did you mean 'gqa'\?"),
    "value": (("ant-1", {"code_share": 101}), "value '101' of code_share.*from 0 to 100"),
    "words": (("ant-1", {"code_share": "much"}), "value 'much' of code_share"),
    "size": (("ant-1", {"n_params": "7 bees"}), "n_params is '7 bees'.*7e9"),
    "nan": (("ant-1", {"n_tokens": float("nan")}), "n_tokens is 'nan'"),
    "negative": (("ant-1", {"n_params": -7e9}), "n_params is '-7"),
    "nothing": (("ant-1", {}), "nothing is changed"),
    "same level": (("ant-1", {"attention": "mha"}), "has attention mha as it is"),
    "same value": (("ant-1", {"code_share": 10}), "has code_share 10 as it is"),
    "whole": (("ant-1", {"code_share": 60, "web_share": 50}), "sum to 110 percent"),
    "by": (("ant-1", {"attention": "gqa", "by": "task"}), "by 'task' is not known"),
    "long": (("x" * 10_000, {"attention": "gqa"}), r"x\.\.\. \(10000 characters\)"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_cannot_be_asked_is_refused(fake_fit, case):
    (lm, changes), message = REFUSED[case]
    with pytest.raises(QueryError, match=message) as error:
        whatif(fake_fit, lm, **changes)
    assert len(str(error.value)) < 1000


def test_short_name_of_an_lm_is_completed(fake_bundled_fit):
    short = whatif(fake_bundled_fit, "Pythia-6.9B", norm="rmsnorm")
    whole = whatif(fake_bundled_fit, "EleutherAI/pythia-6.9b", norm="rmsnorm")
    np.testing.assert_array_equal(short.draws["changed"], whole.draws["changed"])
    with pytest.raises(QueryError, match=r"Did you mean 'EleutherAI/pythia-6\.9b', 'El"):
        whatif(fake_bundled_fit, "pythia-6.9", norm="rmsnorm")


@pytest.mark.parametrize("ci_prob", [0, 1, -0.5])
def test_probability_of_an_interval_is_checked(fake_fit, ci_prob):
    with pytest.raises(QueryError, match="ci_prob"):
        whatif(fake_fit, "ant-1", attention="gqa").table(ci_prob=ci_prob)
