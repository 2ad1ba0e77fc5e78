"""Questions at a size: LMs are given it, and answers are less certain far from all LMs and arms."""

import numpy as np
import pytest

import bayesmeta as bm
from bayesmeta.design.scale import D_REFERENCE, LOG_D_UNIT, LOG_N_UNIT, N_REFERENCE
from bayesmeta.errors import QueryError
from bayesmeta.estimates.answer_words import say_sizes
from bayesmeta.estimates.counterfactual import KINDS, effect_on_benchmarks, how_far, mean_score_at
from bayesmeta.estimates.evidence_card import list_outside
from bayesmeta.estimates.question import parse_statement, read_sizes

GQA, CODE = "attention: gqa > mha", "code_share: 25 > 5"
TOKENS = [2e12, 1e14, 3e14, 3e15]


@pytest.fixture(scope="module")
def fit():
    return bm.load_reference_fit()


def sizes(n_params, n_tokens):
    return {"n_params": n_params, "n_tokens": n_tokens}


def spread(fit, statement, kind, at):
    """Standard deviation of a latent effect on a benchmark, mean over benchmarks."""
    asked = parse_statement(fit.design, statement)
    return (
        effect_on_benchmarks(fit, asked, kind=kind, scale="latent", at=at).std(axis=(0, 1)).mean()
    )


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("statement", [GQA, CODE])
def test_answers_are_less_certain_the_further_from_all_lms_and_arms(fit, statement, kind):
    asked = [tuple(sizes(7e9, tokens).items()) for tokens in TOKENS]
    found = [spread(fit, statement, kind, at) for at in asked]
    assert (np.diff(found) > 0).all()
    assert found[-1] > 1.1 * found[0]


@pytest.mark.parametrize("statement", [GQA, CODE])
def test_far_away_a_new_setting_is_less_certain_still(fit, statement):
    at = tuple(sizes(7e9, 2e15).items())
    assert spread(fit, statement, "new_setting", at) > spread(fit, statement, "effect", at)


def test_at_the_size_of_an_lm_next_to_nothing_is_added(fit):
    design = fit.design
    own = {name: float(design.recorded[name][3]) for name in ("n_params", "n_tokens")}
    assert how_far(fit, tuple(own.items())) == 0
    shares = ({**own, "code_share": share} for share in (25.0, 5.0))
    high, low = (mean_score_at(fit, settings=one, kind="association") for one in shares)
    asked = parse_statement(design, CODE)
    found = effect_on_benchmarks(fit, asked, kind="association", at=tuple(own.items()))
    sd = (high - low).std(axis=(0, 1))
    np.testing.assert_allclose(found.mean(axis=(0, 1)), (high - low).mean(axis=(0, 1)), atol=0.3)
    assert (found.std(axis=(0, 1)) / sd).mean() < 1.2


def test_distance_counts_arms_and_both_sizes_together(fit):
    facts = fit.design.arm_scores.facts
    arm = int(np.nanargmin(facts["n_tokens"]))
    place = sizes(float(facts["n_params"][arm]), float(facts["n_tokens"][arm]))
    assert how_far(fit, tuple(place.items())) == 0
    alone = [how_far(fit, tuple({k: v}.items())) for k, v in sizes(7e10, 1e9).items()]
    assert how_far(fit, tuple(sizes(7e10, 1e9).items())) > max(alone)


def test_distance_has_a_closed_form(fit):
    design, spec = fit.design, fit.spec
    largest = {name: float(np.nanmax(design.recorded[name])) for name in ("n_params", "n_tokens")}
    # So far in one direction that the nearest LM or arm is one of the largest size.
    factor = 1e6
    asked = sizes(factor * largest["n_params"], largest["n_tokens"])
    tables = [design.recorded, design.arm_scores.facts]
    known = np.hstack([[table[name].astype(float) for name in asked] for table in tables])
    known = known[:, ~np.isnan(known).any(axis=0)]
    units = np.array(spec.priors.surface_length[:2]) * (LOG_N_UNIT, LOG_D_UNIT)
    gap = (np.log(known) - np.log([[v] for v in asked.values()])) / units[:, None]
    expected = 1 - np.exp(-np.square(gap).sum(axis=0).min())
    assert how_far(fit, tuple(asked.items())) == pytest.approx(expected)


def test_remainder_completes_the_process_at_other_sizes(fit):
    surface = fit.design.surface
    place = {0: np.log(1e12 / N_REFERENCE) / LOG_N_UNIT, 1: np.log(1e14 / D_REFERENCE) / LOG_D_UNIT}
    rest = surface.remainder(place)
    facts = fit.design.facts.put(sizes(1e12, 1e14))
    known = facts.covariates, facts.typical_mix, facts.english
    at_lms = surface.evaluate(*known), rest.evaluate(*known)
    variance = [np.square(values).sum(axis=-1) for values in at_lms]
    assert variance[0].mean() < 0.2
    own = fit.design.facts
    told = rest.evaluate(own.covariates, own.typical_mix, own.english)
    assert np.square(told).sum(axis=-1).mean() < 0.03
    points = surface.place(*known)
    distance = np.square(points[:, None] - points).sum(axis=-1)
    covariance = sum(values @ values.T for values in at_lms)
    expected = np.exp(-distance / 2)
    assert np.abs(covariance - expected).mean() < 0.05
    assert 0.75 < np.diag(covariance).min() < np.diag(covariance).max() < 1.05


def test_jointly_far_sizes_are_marked_even_inside_either_range(fit):
    asked = tuple(sizes(7e10, 3e10).items())
    assert list_outside(fit, asked) == ("n_params", "n_tokens")
    assert say_sizes(asked, list_outside(fit, asked)) == (
        "70B parameters, 30B tokens (both outside the data)"
    )
    assert list_outside(fit, tuple(sizes(7e9, 2e12).items())) == ()


def test_effects_and_curves_are_asked_at_a_size(fit):
    at = sizes("7B", "2T")
    table = bm.effects(fit, GQA, at=at).table()
    answer = bm.query(fit, GQA, at=at)
    assert table["estimate"].item() == pytest.approx(answer.effect["estimate"])
    assert set(table["at"]) == {"7B parameters, 2T tokens"}
    curve = bm.curve(fit, "code_share", by="overall", at=at)
    own = bm.curve(fit, "code_share", by="overall")
    assert set(curve.table()["at"]) == set(table["at"])
    assert "at" not in own.table()
    assert not np.allclose(curve.draws, own.draws)
    tradeoff = bm.curve(fit, "code_share", at=at).tradeoff()
    assert set(tradeoff.table()["at"]) == set(tradeoff.path()["at"]) == set(table["at"])


@pytest.mark.parametrize("at, named", [({"n_layers": 3}, "n_layers"), ({"n_params": -1}, "-1")])
def test_other_names_and_values_are_refused(fit, at, named):
    with pytest.raises(QueryError, match=named):
        read_sizes(fit.design, at)
