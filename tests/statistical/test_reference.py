"""What the shipped posterior must show, whatever its numbers are."""

import arviz as az
import numpy as np
import pytest

import bayesmeta as bm
from bayesmeta import defaults
from bayesmeta.inference.diagnostics import thin_fit
from bayesmeta.inference.saved_fits import load_fit
from bayesmeta.inference.shipped import pack
from bayesmeta.model.spec import ModelSpec

# A claim is confident where its probability leaves this range.
CONFIDENT = (0.05, 0.95)


@pytest.fixture(scope="module")
def reference():
    return bm.load_reference_fit()


def test_reference_belongs_to_the_bundled_data_and_the_default_spec(reference):
    assert reference.provenance["data_checksum"] == bm.load_dataset().checksum
    assert reference.provenance["spec_checksum"] == ModelSpec().checksum


def test_what_ships_fits_together(reference):
    """Reading it proves nothing, so that this has to: design, draws and tables are one fit's."""
    saved = load_fit(defaults.BUNDLED / "reference_fit.nc")
    assert saved.dataset.checksum == reference.dataset.checksum == bm.load_dataset().checksum
    assert saved.spec == reference.spec
    assert set(saved.parameters) == set(reference.parameters)
    for name, values in saved.parameters.items():
        np.testing.assert_array_equal(values, reference.parameters[name])
    stored, built = {}, {}
    assert pack(reference.design, stored) == pack(saved.design, built)
    for name, values in built.items():
        # Functions of the surface are eigenvectors: as exact as they are on another machine.
        np.testing.assert_allclose(stored[name], values, rtol=1e-9, atol=1e-7, err_msg=name)


def test_reading_it_parses_no_table_and_hashes_nothing(reference, monkeypatch):
    monkeypatch.setattr("hashlib.sha256", lambda *_: pytest.fail("something was hashed"))
    monkeypatch.setattr("csv.reader", lambda *_: pytest.fail("a table was parsed"))
    again = bm.load_reference_fit()
    assert again.design.lms == reference.design.lms
    assert bm.query(again, "norm: rmsnorm > layernorm").n_lms == len(reference.design.lms)


def test_it_is_thinned_like_any_other_fit(reference):
    thinned = thin_fit(reference, draws=40)
    assert thinned.shape == (4, 10)
    assert thinned.dataset.checksum == reference.dataset.checksum


def test_whole_fit_behind_the_reference_passed_its_checks(reference):
    values = bm.check(reference).values
    assert values["rhat_max"] <= defaults.RHAT_MAX
    assert min(values["ess_bulk_min"], values["ess_tail_min"]) >= defaults.ESS_MIN
    assert values["divergences"] == 0


def test_thinned_effects_still_mix(reference):
    draws = bm.effects(reference, by="overall").draws
    assert float(az.rhat(draws.to_dataset(name="effect"))["effect"].max()) < 1.02
    # A quarter of the draws is kept, so a quarter of the effective draws may be lost.
    assert float(az.ess(draws.to_dataset(name="effect"))["effect"].min()) > defaults.ESS_MIN / 4


def test_rotary_against_learned_is_no_confident_claim_and_names_its_families(reference):
    answer = bm.query(reference, "position_embedding: rotary > learned")
    assert CONFIDENT[0] < answer.probability.estimate < CONFIDENT[1]
    assert answer.evidence.verdict != "supported"
    assert answer.evidence.families_with_both == 0
    assert "learned: 12 LMs of 4 families" in answer.details
    assert "no family with both" in " ".join(answer.details.split())


def test_no_benchmark_supports_rotary_against_learned(reference):
    table = bm.effects(reference, "position_embedding", by="benchmark").table()
    assert (table["verdict"] != "supported").all()


def test_more_code_goes_with_higher_scores_in_code(reference):
    # Two ladders vary the code share inside families; HumanEval must see it.
    answer = bm.query(reference, "code_share: 30 > 10", benchmark="humaneval")
    assert answer.association["probability"] > CONFIDENT[1]


def test_more_code_goes_with_lower_scores_in_language_modelling(reference):
    # LAMBADA falls along CodeGen's nl, multi and mono at every size.
    answer = bm.query(reference, "code_share: 30 > 10", benchmark="lambada")
    assert answer.association["probability"] < CONFIDENT[0]


def test_an_effect_without_experiments_on_it_is_less_sure_than_its_association(reference):
    # No experiment varies the norm, and none that varies code is scored on HumanEval.
    asked = ("norm: rmsnorm > layernorm", None), ("code_share: 30 > 10", "humaneval")
    for statement, benchmark in asked:
        answer = bm.query(reference, statement, benchmark=benchmark)
        assert abs(answer.probability.estimate - 0.5) < abs(answer.association["probability"] - 0.5)
        width = answer.new_setting["upper"] - answer.new_setting["lower"]
        assert width > answer.effect["upper"] - answer.effect["lower"]


def test_expected_scores_follow_the_data(reference):
    from bayesmeta.model.predictor import expected_score, linear_predictor

    design = reference.design
    eta = linear_predictor(reference.parameters, design=design, spec=reference.spec)
    mean = expected_score(eta, design=design).mean(axis=(0, 1))
    outcomes = design.outcomes
    fitted = mean[outcomes.lm_index, outcomes.benchmark_index]
    explained = 1 - np.var(outcomes.y - fitted) / np.var(outcomes.y)
    assert explained > 0.9
