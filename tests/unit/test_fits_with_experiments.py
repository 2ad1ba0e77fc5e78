"""A fit with experiments is saved and read as any other; it tells effects from associations."""

import re

import h5py
import numpy as np
import pandas as pd
import pytest

import bayesmeta as bm
from bayesmeta.data.load import read_lms
from bayesmeta.errors import QueryError, StoreError
from bayesmeta.estimates.predictions import place_lms
from bayesmeta.inference.shipped import ShippedFit, save_to_ship

SPEC = bm.ModelSpec()
WITHOUT = bm.ModelSpec(experiments="ignored")


@pytest.fixture(scope="module")
def fit(informed, build_fake_fit):
    return build_fake_fit(informed, spec=SPEC)


@pytest.fixture(scope="module")
def plain(fit, build_fake_fit):
    """The same associations, without experiments."""
    override = {name: values for name, values in fit.parameters.items() if "effect" not in name}
    return build_fake_fit(fit.dataset, spec=WITHOUT, override=override)


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
    for one, other in zip(found.factor()[1:], expected.factor()[1:], strict=True):
        np.testing.assert_array_equal(one, other)
    for name, values in expected.columns.items():
        np.testing.assert_array_equal(found.columns[name], values)


def test_shipped_tables_are_those_of_the_fit_or_refused(fit, tmp_path):
    path = tmp_path / "fit.nc"
    save_to_ship(fit, path=path)
    assert ShippedFit(path).dataset.checksum == fit.dataset.checksum
    with h5py.File(path, "r+") as file:
        table = file["dataset"]["scores"]
        table[()] = table.asstr()[()].replace("0.", "0.1", 1)
    with pytest.raises(StoreError, match="changed after fitting"):
        _ = ShippedFit(path).dataset


NEW = pd.DataFrame({"lm": ["new"], "lm_family": ["bee"], "n_params": [3e9], "n_tokens": [1e12],
                    "attention": ["gqa"]})  # fmt: skip
STATEMENT = "attention: gqa > mha"


@pytest.fixture(scope="module")
def unbiased(fit, build_fake_fit):
    """A fit without experiments whose associations are the effects."""
    override = {name: values for name, values in fit.parameters.items() if "effect" not in name}
    for name in ("beta", "surface"):
        override[name] = fit.parameters[f"{name}_effect"]
    return build_fake_fit(fit.dataset, spec=WITHOUT, override=override)


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
    tau = fit.parameters["tau_effect"][..., fit.design.decisions.index("attention")]
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
    with refusal(QueryError, "kind", "'effect'", "association", "load_dataset()"):
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
    assert "outside the data" in str(found)


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


KINDS = ("association", "effect", "new_setting")


def test_every_table_says_which_of_the_three_it_is(fit):
    for kind in (None, *KINDS):
        curve = bm.curve(fit, "code_share", by="overall", kind=kind)
        tables = (
            bm.effects(fit, "attention", kind=kind).table(),
            bm.substitutions(fit, "code_share", points=1, kind=kind).table(),
            bm.rank_levels(fit, "attention", kind=kind).table(),
            curve.table(),
            curve.optimum(),
        )
        for table in tables:
            assert set(table["kind"]) == {kind or "effect"}
    with pytest.raises(QueryError, match="kind 'affect' is not known"):
        bm.rank_levels(fit, "attention", kind="affect")


def test_curves_ranks_and_substitutions_of_associations(fit, plain):
    """By associations a fit with experiments says what one without says."""
    for ask in (
        lambda one: bm.curve(one, "code_share", kind="association").draws.values,
        lambda one: bm.curve(one, "code_share", kind="association").tradeoff(gain="logic").loss,
        lambda one: bm.rank_levels(one, "attention", kind="association").ranks.values,
        lambda one: bm.substitutions(one, "code_share", points=1, kind="association").draws.values,
    ):
        np.testing.assert_allclose(ask(fit), ask(plain), atol=1e-9)


def test_what_if_is_an_effect(fit, plain):
    lm = fit.design.lms[0]
    level = next(x for x in ("gqa", "mha") if x != fit.design.recorded["attention"][0])
    found, before = (bm.whatif(one, lm, attention=level) for one in (fit, plain))
    assert (found.kind, before.kind) == ("effect", "association")
    assert set(found.table()["kind"]) == {"effect"}
    np.testing.assert_allclose(found.draws["as_is"], before.draws["as_is"], atol=1e-9)
    assert np.abs(found.draws["difference"] - before.draws["difference"]).max() > 0.1


def test_designs_differ_by_effects(fit):
    """Two designs that differ in attention alone, on the latent scale, by the coefficients."""
    both = pd.concat([NEW, NEW.assign(lm="other", attention="mha")], ignore_index=True)
    lms = read_lms(both)
    placed = place_lms(fit, lms, seed=1)
    by_kind = {kind: placed.latent(fit, kind=kind) for kind in ("association", "effect")}
    gap = {kind: eta[..., 0, :] - eta[..., 1, :] for kind, eta in by_kind.items()}
    x = placed.design.facts.X[-2:]
    for kind, name in (("association", "beta"), ("effect", "beta_effect")):
        by_hand = (x[0] - x[1]) @ fit.parameters[name]
        by_hand = by_hand + gap["association"] - (x[0] - x[1]) @ fit.parameters["beta"]
        np.testing.assert_allclose(gap[kind], by_hand, atol=1e-9)
    assert np.abs(gap["effect"] - gap["association"]).max() > 0.01


def test_predictions_keep_the_bias_that_designs_leave_out(fit, plain):
    designs = pd.concat([NEW.assign(lm=f"d{k}", n_params=1e9 * 2**k) for k in range(3)])
    ranked, predicted = bm.rank_designs(fit, designs), bm.rank_designs(plain, designs)
    gap = ranked.scores.values - predicted.scores.values
    assert np.abs(gap).max() > 0
    sizes = bm.predict(fit, designs).expected.values, bm.predict(plain, designs).expected.values
    np.testing.assert_allclose(*sizes, atol=1e-9)


def test_a_claim_says_which_of_the_three_it_is(fit, plain):
    made, before = bm.claim(fit, STATEMENT), bm.claim(plain, STATEMENT)
    assert (made.to_dict()["answer"]["kind"], before.to_dict()["answer"]["kind"]) == (
        "effect", "association"
    )  # fmt: skip
    assert "the estimated effect is" in made.sentence
    assert "probability of a positive effect" in made.sentence
    new, association = made.answer.new_setting, made.answer.association
    assert re.search(rf"and {new['estimate']:.1f} \([^)]*\) in a new setting", made.sentence)
    assert f"the association is {association['estimate']:.1f} (" in made.sentence
    assert "effect" not in before.sentence
    assert "an association adjusted for recorded facts" in before.sentence
    assert made.answer.verdict in made.sentence
    assert bm.check_claim(made, fit)["agree"].all()


def test_a_claim_of_an_association_is_none_of_an_effect(fit, plain):
    """Made of a fit without experiments, it does not hold of one that tells the two apart."""
    table = bm.check_claim(bm.claim(plain, STATEMENT), fit).set_index("what")
    assert not table.loc["kind", "agree"]
    assert table.loc["kind", ["claimed", "found"]].tolist() == ["association", "effect"]
