"""A fit with experiments is saved and read as any other; it tells effects from associations."""

import numpy as np
import pandas as pd
import pytest

import bayesmeta as bm
from bayesmeta.errors import QueryError
from bayesmeta.inference.shipped import ShippedFit, save_to_ship

SPEC = bm.ModelSpec(experiments="included")


@pytest.fixture(scope="module")
def fit(informed, build_fake_fit):
    return build_fake_fit(informed, spec=SPEC)


@pytest.fixture(scope="module")
def plain(fit, build_fake_fit):
    """The same associations, without experiments."""
    override = {name: values for name, values in fit.parameters.items() if "effect" not in name}
    return build_fake_fit(fit.dataset, spec=bm.ModelSpec(), override=override)


def test_it_is_saved_and_read(fit, tmp_path):
    fit.save(tmp_path / "fit.nc")
    found = bm.load_fit(tmp_path / "fit.nc")
    assert found.spec == SPEC
    assert found.dataset.checksum == fit.dataset.checksum
    np.testing.assert_array_equal(found.design.contrasts.y, fit.design.contrasts.y)
    assert found.parameters.keys() == fit.parameters.keys()
    for name, values in fit.parameters.items():
        np.testing.assert_allclose(found.parameters[name], values, rtol=1e-6)  # 32 bits


def test_it_is_shipped_with_its_contrasts(fit, tmp_path):
    save_to_ship(fit, path=tmp_path / "fit.nc")
    found = ShippedFit(tmp_path / "fit.nc").design.contrasts
    expected = fit.design.contrasts
    assert (found.studies, found.arm_terms, found.runs) == (
        expected.studies, expected.arm_terms, expected.runs
    )  # fmt: skip
    for one, other in zip(found.locate(), expected.locate(), strict=True):
        np.testing.assert_array_equal(one, other)


NEW = pd.DataFrame({"lm": ["new"], "lm_family": ["bee"], "n_params": [3e9], "n_tokens": [1e12],
                    "attention": ["gqa"]})  # fmt: skip
STATEMENT = "attention: gqa > mha"


@pytest.fixture(scope="module")
def unbiased(fit, build_fake_fit):
    """A fit without experiments whose associations are the effects."""
    override = {name: values for name, values in fit.parameters.items() if "effect" not in name}
    for name in ("beta", "surface"):
        override[name] = fit.parameters[f"{name}_effect"]
    return build_fake_fit(fit.dataset, spec=bm.ModelSpec(), override=override)


def test_associations_are_those_of_a_fit_without_experiments(fit, plain):
    found, before = bm.query(fit, STATEMENT), bm.query(plain, STATEMENT)
    for key in ("estimate", "lower", "upper"):
        assert found.association[key] == pytest.approx(before.effect[key])
    assert found.association["probability"] == before.probability.estimate
    assert before.association is None
    assert "association" not in before.to_dict()


def test_predictions_go_by_associations(fit, plain):
    assert str(bm.predict(fit, NEW).table()) == str(bm.predict(plain, NEW).table())


def test_associations_can_be_asked_for(fit, plain):
    found, before = (
        bm.effects(one, "attention", by="benchmark", kind="association") for one in (fit, plain)
    )
    np.testing.assert_allclose(found.draws, before.draws)


def test_effects_are_differences_by_the_coefficients_of_effects(fit, unbiased):
    found = bm.effects(fit, "attention", by="benchmark", scale="latent")
    np.testing.assert_allclose(
        found.draws, bm.effects(unbiased, "attention", by="benchmark", scale="latent").draws
    )
    change = bm.whatif(fit, "bee-1", attention="gqa").draws["difference"]
    association = bm.whatif(unbiased, "bee-1", attention="gqa").draws["difference"]
    assert np.sign(change).equals(np.sign(association))  # at other levels of the scores


def test_a_new_setting_adds_what_differs_between_studies(fit):
    kinds = {
        kind: bm.effects(fit, STATEMENT, scale="latent", by="benchmark", kind=kind).draws
        for kind in ("effect", "new_setting")
    }
    added = (kinds["new_setting"] - kinds["effect"]).values
    tau = fit.parameters["tau_beta"][..., fit.design.decisions.index("attention")]
    own = 2 * fit.spec.priors.beta_ratio**2
    expected = fit.parameters["study_ratio"] * tau * np.sqrt(2 * (1 + own))  # of two levels
    standard = added / expected[..., None, None]
    assert standard.mean() == pytest.approx(0, abs=0.2)
    assert standard.std() == pytest.approx(1, abs=0.2)


def test_the_same_question_has_the_same_answer(fit):
    assert bm.query(fit, STATEMENT).to_dict() == bm.query(fit, STATEMENT).to_dict()


def test_the_three_answers_are_told_apart(fit):
    answer = bm.query(fit, STATEMENT)
    found = answer.to_dict()
    assert found["effect"]["probability"] == found["probability"] == answer.probability.estimate
    for part in ("association", "effect", "new_setting"):
        assert set(found[part]) == {"probability", "mcse", "estimate", "sd", "lower", "upper",
                                    "ci_prob", "units"}  # fmt: skip
    said = {line[2:14].strip(): line for line in str(answer).splitlines() if line[:2] == "  "}
    assert list(said) == ["read as", "asked of", "effect", "new setting", "beyond 0.5",
                          "association", "evidence", "confounded"]  # fmt: skip
    for name, part in (("effect", "effect"), ("new setting", "new_setting"),
                       ("association", "association")):  # fmt: skip
        assert f"{found[part]['estimate']:+.1f} ({found[part]['lower']:+.1f} to" in said[name]
        assert f"{100 * found[part]['probability']:.0f} %" in said[name]
    assert "adjusted for the modelled covariates" not in answer.details


def test_a_card_is_drawn_of_the_association(fit, plain):
    found, before = (bm.plot.evidence(one, STATEMENT).table.iloc[0] for one in (fit, plain))
    assert found["part"] == "all data"
    for key in ("estimate", "lower", "upper", "probability"):
        assert found[key] == pytest.approx(before[key])
    assert bm.query(plain, STATEMENT).as_association == bm.query(plain, STATEMENT)


def test_a_fit_without_experiments_tells_no_effect(plain, refusal):
    with refusal(QueryError, "kind", "'effect'", "association", "experiments='included'"):
        bm.effects(plain, "attention", kind="effect")
    with refusal(QueryError, "kind", "'causal'", "association", "effect", "new_setting"):
        bm.effects(plain, "attention", kind="causal")


def test_a_size_of_its_own_moves_all_lms_there(plain):
    as_is, there = (
        bm.query(plain, STATEMENT, at=at).effect["estimate"] for at in (None, {"n_params": 1e11})
    )
    assert as_is != there
    found = bm.query(plain, STATEMENT, at={"n_params": "1e11", "n_tokens": 1e12})
    assert found.to_dict()["at"] == {"n_params": 1e11, "n_tokens": 1e12}
    assert "at 100B parameters" in str(found)


def test_only_size_and_tokens_can_be_given(plain, refusal):
    with refusal(QueryError, "'norm'", "n_params", "n_tokens"):
        bm.query(plain, STATEMENT, at={"norm": "rmsnorm"})


def test_what_lies_outside_is_said(plain):
    found = bm.query(plain, STATEMENT, at={"n_params": 1e15})
    assert found.outside == ("n_params",)
    assert "outside what LMs record" in str(found)


def test_it_is_checked(fit):
    assert {"beta_effect", "effect_share", "study_ratio"} <= set(bm.check(fit).table["parameter"])


def test_its_prior_is_drawn_and_has_a_density(informed):
    spec = bm.ModelSpec(
        experiments="included", decisions=("attention",), interactions="none",
        family_effects="none", study_effects="none",
    )  # fmt: skip
    prior = bm.sample_prior(informed, spec, draws=20, seed=1)
    assert prior.parameters["beta_effect"].shape[:2] == (1, 20)
    density = prior.log_prior()
    assert {"run_sigma", "arm_sigma", "effect_share_mean"} <= set(density)
    assert all(np.isfinite(values).all() for values in density.values())
