"""Subsets, reference lms, the latent scale, sizes of effects, statements about size and data."""

import json

import numpy as np
import pytest
from scipy import stats

import bayesmeta as bm
from bayesmeta import ModelSpec, defaults
from bayesmeta.effects import contrast_draws, effects, query, whatif
from bayesmeta.effects.estimands import Contrast
from bayesmeta.errors import QueryError

ATTENTION = ("attention", "gqa", "mha")
EXACT = 1e-9


@pytest.fixture(scope="module")
def normal_fit(small, build_fake_fit):
    """The latent effect of gqa is the same on all benchmarks, and normal: 0.3 with sd 0.2."""
    blank = build_fake_fit(small, draws=1000)
    level = np.array([t.level == "gqa" if t.decision == "attention" else 0
                      for t in blank.design.terms], float)  # fmt: skip
    other = np.array([t.level == "mha" if t.decision == "attention" else 0
                      for t in blank.design.terms], float)  # fmt: skip
    quantiles = stats.norm(0.3, 0.2).ppf((np.arange(2000) + 0.5) / 2000)
    draws = np.random.default_rng(1).permutation(quantiles).reshape(2, 1000)
    half = (level - other)[None, None, :, None] / 2
    beta = draws[..., None, None] * half * np.ones(len(blank.design.benchmarks))
    return build_fake_fit(small, draws=1000, override={"beta": beta})


def test_latent_effect_has_its_analytic_summary(normal_fit):
    answer = query(
        normal_fit, "attention: gqa > mha", scale="latent", equivalence=0.1, more_than=0.4
    )
    law = stats.norm(0.3, 0.2)
    close = {"abs": 1e-3}  # two thousand evenly spread draws
    assert answer.effect["units"] == "latent units"
    assert answer.probability.estimate == pytest.approx(law.sf(0), **close)
    assert answer.prob_more.estimate == pytest.approx(law.sf(0.4), **close)
    assert answer.three_way["helps"].estimate == pytest.approx(law.sf(0.1), **close)
    prior = stats.norm(0, answer.evidence.prior_sd)
    assert answer.prior_more == pytest.approx(prior.sf(0.4))
    assert answer.three_way["hurts"].estimate == pytest.approx(law.cdf(-0.1), **close)
    assert answer.effect["estimate"] == pytest.approx(0.3, **close)
    assert answer.effect["lower"] == pytest.approx(law.ppf(0.05), **close)
    assert answer.effect["upper"] == pytest.approx(law.ppf(0.95), **close)


@pytest.mark.parametrize("equivalence", [0.0, 0.5, 3.0])
def test_three_ways_are_all_there_is(fake_fit, equivalence):
    answer = query(fake_fit, "attention: gqa > mha", equivalence=equivalence)
    assert sum(p.estimate for p in answer.three_way.values()) == pytest.approx(1)
    assert answer.prob_equivalent == answer.three_way["equivalent"]


@pytest.mark.parametrize(
    "equivalence, practically", [(0.0, "undecided"), (2.0, "equivalent"), (0.01, "undecided")]
)
def test_nothing_is_said_before_one_of_three_is_sure(normal_fit, equivalence, practically):
    answer = query(normal_fit, "attention: gqa > mha", scale="latent", equivalence=equivalence)
    assert answer.practically == practically
    assert query(normal_fit, "attention: gqa < mha", scale="latent").practically != "helps"


def test_effects_of_families_average_to_the_effect_over_all_lms(fake_fit):
    draws = effects(fake_fit, "attention", by="lm_family").draws.sel(
        contrast="attention: gqa > mha"
    )
    n = fake_fit.dataset.lms["lm_family"].value_counts()
    weights = n[draws["target"].values].to_numpy() / n.sum()
    whole = contrast_draws(fake_fit, contrast=Contrast(*ATTENTION)).isel(target=0)
    np.testing.assert_allclose(draws.values @ weights, whole, atol=EXACT)


def test_interval_of_an_average_is_not_the_average_of_intervals(fake_fit):
    parts = effects(fake_fit, "attention", by="benchmark").table()
    whole = effects(fake_fit, "attention", by="overall").table()
    one = parts[parts["level"] == "gqa"]
    narrow = float(whole.loc[whole["level"] == "gqa", "upper"].iloc[0]) - float(
        whole.loc[whole["level"] == "gqa", "lower"].iloc[0]
    )
    assert narrow < 0.8 * float((one["upper"] - one["lower"]).mean())  # independent benchmarks
    assert float(whole.loc[whole["level"] == "gqa", "sd"].iloc[0]) > 0


def test_effect_at_one_lm_is_a_difference_of_two_designs(fake_fit):
    at = contrast_draws(
        fake_fit, contrast=Contrast(*ATTENTION), by="benchmark",
        rows=np.array([name == "bee-1" for name in fake_fit.design.lms]),
    )  # fmt: skip
    high = whatif(fake_fit, "bee-1", attention="gqa").draws
    np.testing.assert_allclose(at, high["changed"] - high["as_is"], atol=EXACT)
    table = effects(fake_fit, "attention", lms="bee-1").table()
    assert query(fake_fit, "attention: gqa > mha", lms="bee-1").n_lms == 1
    assert table["estimate"].iloc[0] == pytest.approx(float(at.mean("target").median()), abs=EXACT)


def test_families_and_lms_select_together(fake_fit):
    both = query(fake_fit, "attention: gqa > mha", lms=["bee-1", "bee-2"], lm_family="bee")
    alone = query(fake_fit, "attention: gqa > mha", lms=["bee-1", "bee-2"])
    assert both.n_lms == 2
    assert both.effect == alone.effect


def test_swaps_are_averaged_over_the_lms_asked_about(fake_fit):
    answer = query(fake_fit, "swap web_share -> code_share by 10", lm_family=["ant", "cat"])
    assert answer.n_lms == 3  # cat discloses nothing
    same = query(fake_fit, "code_share: +10 from web_share", lm_family="ant")
    assert answer.effect == same.effect
    with pytest.raises(QueryError, match="of the lms that are asked about none records 10 percent"):
        query(fake_fit, "swap web_share -> code_share by 10", lm_family="cat")


def test_latent_effect_of_more_tokens_follows_from_the_slopes(small, build_fake_fit):
    fit = build_fake_fit(small, spec=ModelSpec(interactions="none"))
    answer = query(fit, "n_tokens: 2e12 > 1e12", scale="latent", benchmark="recall")
    terms = fit.design.scale_terms
    kappa = fit.parameters["kappa"][:, :, fit.design.benchmarks.index("recall")]
    step = np.log(2) / 1.3
    size = np.log(small.lms["n_params"].to_numpy(float) / 7e9).mean() / 1.6
    wanted = step * (
        kappa[..., terms.index("n_tokens")] + size * kappa[..., terms.index("n_params_x_n_tokens")]
    )
    assert answer.effect["estimate"] == pytest.approx(float(np.median(wanted)), abs=EXACT)
    assert answer.evidence.lms["recorded"] == 12
    assert str(answer).startswith("P(n_tokens: 2e+12 > 1e+12) on recall")


def test_sizes_need_a_model_with_scaling(small, build_fake_fit):
    fit = build_fake_fit(small, spec=ModelSpec(scaling="none", interactions="none"))
    with pytest.raises(QueryError, match="decision 'n_tokens' is not in this fit"):
        query(fit, "n_tokens: 2e12 > 1e12")


def test_sizes_have_no_default_step(fake_fit):
    with pytest.raises(
        QueryError, match=r"'n_tokens' is no design decision.*n_tokens: 2e12 > 1e12"
    ):
        effects(fake_fit, "n_tokens")


@pytest.mark.parametrize(
    "text",
    ["swap web_share -> code_share by 10", "SWAP web_share->code_share by 10.0",
     "swap web_share → code_share by 1e1"],
)  # fmt: skip
def test_a_swap_in_words_is_the_same_swap(fake_fit, text):
    label = query(fake_fit, text).statement
    assert label == "code_share: +10 from web_share"


NONSENSE = [
    ("swap code_share -> code_share by 10", {}, "takes from a part what it gives to it"),
    ("swap web_share -> code by 10", {}, "'code' is not in the training mix"),
    ("swap web_share -> code_share by 101", {}, "points '101' are not allowed"),
    ("swap web_share -> code_share by -5", {}, "points '-5' are not allowed"),
    ("swap web_share -> code_share by ten", {}, "points 'ten' are not allowed"),
    ("swap web_share code_share 10", {}, "cannot be read"),
    ("n_tokens: 0 > 1e12", {}, "n_tokens is '0'"),
    ("n_tokens: many > 1e12", {}, "n_tokens is 'many'"),
    ("n_tokens: 1e12 > 1e12", {}, "compares a level with itself"),
    ("n_token: 2e12 > 1e12", {}, "decision 'n_token' is not in this fit"),
    ("code_share: 120 > 5", {}, "value '120' of code_share is not allowed"),
    ("code_share: 20% > 5%", {}, "value '20%' of code_share is not allowed"),
    ("attention: gpa > mha", {}, "Did you mean 'gqa'"),
    ("attention: gqa > mha", {"lms": "bee-9"}, "'bee-9' is not in this fit's data.*bee-"),
    ("attention: gqa > mha", {"lms": []}, r"lms is \[\]. Allowed: a name, or a list"),
    ("attention: gqa > mha", {"lms": 3}, "lms is 3. Allowed: a name"),
    ("attention: gqa > mha", {"lm_family": "be"}, "Did you mean 'bee'"),
    ("attention: gqa > mha", {"lms": "ant-1", "lm_family": "bee"}, "no lm is left.*family ant"),
    ("attention: gqa > mha", {"scale": "points"}, "scale 'points' is not known"),
    ("attention: gqa > mha", {"more_than": float("nan")}, "more_than is nan"),
    ("attention: gqa > mha", {"more_than": "1"}, "more_than is 1. Allowed: a number"),
    ("attention: gqa > mha", {"equivalence": -1}, "equivalence is -1. Allowed: a number from 0"),
    ("a" * 10_000, {}, r"\(10000 characters\)' cannot be read"),
    ("attention: " + "gqa " * 3000 + "> mha", {}, "cannot be read"),
    ("attention: \uff47\uff51\uff41 > mha", {}, "is not in this fit"),
    ("__import__('os').system('true') > 1", {}, "cannot be read"),
    ("attention: gqa > mha; DROP TABLE lms", {}, "'mha; DROP TABLE lms' of attention"),
    ("", {}, "cannot be read"),
    (None, {}, "statement 'None' cannot be read"),
]


@pytest.mark.parametrize("statement, settings, message", NONSENSE)
def test_nonsense_is_refused_in_one_message(fake_fit, statement, settings, message):
    with pytest.raises(QueryError, match=message) as caught:
        query(fake_fit, statement, **settings)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 1000


def test_claim_says_what_the_query_says(fake_fit):
    made = bm.claim(fake_fit, "attention: gqa > mha", task_family="logic", more_than=1.0)
    answer = query(fake_fit, "attention: gqa > mha", task_family="logic", more_than=1.0)
    assert made.answer.to_dict() == answer.to_dict()
    assert f"{answer.effect['estimate']:.1f}" in made.sentence
    assert answer.evidence.verdict in made.sentence
    assert r"gqa $>$ mha" in made.latex
    values = made.to_dict()
    assert json.loads(json.dumps(values))["answer"] == values["answer"]
    assert values["origin"]["data_checksum"] == fake_fit.dataset.checksum
    assert ModelSpec.from_dict(values["spec"]).checksum == fake_fit.spec.checksum


def test_claim_can_be_checked_from_its_file(fake_fit, tmp_path):
    path = tmp_path / "claim.json"
    bm.claim(fake_fit, "attention: gqa > mha", lms=["bee-1", "ant-1"]).save(path)
    assert bm.check_claim(path, fake_fit)["agree"].all()


def test_claim_of_other_data_or_numbers_does_not_hold(small, fake_fit, build_fake_fit, tmp_path):
    made = bm.claim(fake_fit, "attention: gqa > mha").to_dict()
    other = build_fake_fit(small.with_scores(small.scores["score"].to_numpy() * 0.99))
    table = bm.check_claim(made, other).set_index("what")
    assert not table.loc["data_checksum", "agree"]
    made["answer"]["effect"]["estimate"] += 20.0
    table = bm.check_claim(made, fake_fit).set_index("what")
    assert not table.loc["estimate", "agree"]
    assert table.drop("estimate")["agree"].all()


def test_claim_of_a_second_run_holds(build_fake_fit, small):
    first, second = (build_fake_fit(small, draws=400, seed=seed) for seed in (1, 2))
    table = bm.check_claim(bm.claim(first, "attention: gqa > mha"), second).set_index("what")
    assert table.drop("verdict")["agree"].all()


@pytest.mark.parametrize(
    "text", ["", "[]", "{}", '{"question": {"statement": "x"}, "answer": {}, "origin": {}}', "\x00"]
)
def test_what_is_no_claim_is_refused(fake_fit, tmp_path, text):
    path = tmp_path / "claim.json"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(QueryError, match="claim"):
        bm.check_claim(path, fake_fit)


def test_unknown_setting_of_a_claim_is_refused(fake_fit):
    with pytest.raises(QueryError, match=r"setting 'bench' is not known\. Allowed: benchmark"):
        bm.claim(fake_fit, "attention: gqa > mha", bench="recall")


def test_card_has_what_stands_behind_a_statement(fake_bundled_fit):
    card = query(fake_bundled_fit, "attention: gqa > mha").evidence
    assert 1 < card.effective_lms <= 91
    assert card.bundled_with
    assert all(0 < share <= 1 for share in card.bundled_with.values())
    assert card.within_families["lower"] < card.within_families["estimate"]
    assert (
        query(fake_bundled_fit, "position_embedding: rotary > learned").evidence.within_families
        is None
    )
    assert defaults.PROB_STABLE < defaults.PROB_IDENTIFIED


def test_bundles_of_the_bundled_data_are_seen(fake_bundled_fit):
    """Learned positions came with tied embeddings."""
    card = query(fake_bundled_fit, "position_embedding: rotary > learned").evidence
    lms = fake_bundled_fit.dataset.lms
    lms = lms[lms["position_embedding"].isin(["rotary", "learned"])]
    lms = lms[lms["lm"].isin(fake_bundled_fit.dataset.scores["lm"])]
    x = (lms["position_embedding"] == "rotary").astype(float)
    groups = x.groupby(lms["weight_tying"])
    rest = float(((x - groups.transform("mean")) ** 2).sum()) / (len(x) - groups.ngroups)
    wanted = 1 - rest / float(x.var(ddof=1))
    assert card.bundled_with["weight_tying"] == pytest.approx(wanted)
