"""Subsets, reference lms, the latent scale, sizes of effects, statements about size and data."""

import dataclasses
import json

import numpy as np
import pandas as pd
import pytest
from scipy import stats

import bayesmeta as bm
from bayesmeta import ModelSpec, defaults
from bayesmeta.errors import QueryError
from bayesmeta.estimates.answer import query
from bayesmeta.estimates.changed_lms import whatif
from bayesmeta.estimates.contrasts import effects
from bayesmeta.estimates.counterfactual import contrast_draws
from bayesmeta.estimates.question import Contrast, parse_statement
from bayesmeta.reporting.claims import word_claim

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


def test_by_family_a_table_leaves_out_what_a_statement_does_not_apply_to(fake_fit):
    swap = "swap web_share -> code_share by 10"
    alone = effects(fake_fit, swap, by="lm_family").table()
    both = effects(fake_fit, ["attention", swap], by="lm_family")
    table, families = both.table(), list(fake_fit.design.lm_families)
    part = table[table["decision"] == "code_share"].reset_index(drop=True)
    assert 0 < len(part) < len(families)
    pd.testing.assert_frame_equal(part, alone)
    assert table.loc[table["decision"] == "attention", "target"].unique().tolist() == families
    assert 0 < both.wrong_signs() < 0.5
    assert np.isnan(both.draws.values).any()


def test_by_family_a_table_knows_the_lms_that_were_asked_for(fake_fit):
    asked = effects(fake_fit, "attention", by="lm_family", lms=["ant-1", "bee-2", "bee-3"]).table()
    assert asked["target"].tolist() == ["ant", "bee"]
    for name, lms in (("ant", "ant-1"), ("bee", ["bee-2", "bee-3"])):
        alone = query(fake_fit, "attention: gqa > mha", lms=lms).effect["estimate"]
        found = asked.loc[asked["target"] == name, "estimate"].item()
        assert found == pytest.approx(alone, abs=EXACT)


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
    with pytest.raises(QueryError, match="of the LMs that are asked about none records 10 percent"):
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
    assert "read as     n_tokens: 2T > 1T" in str(answer)
    assert "of their own size and tokens, on Recall" in str(answer)


def test_sizes_need_a_model_with_scaling(small, build_fake_fit):
    fit = build_fake_fit(small, spec=ModelSpec(scaling="none", interactions="none"))
    with pytest.raises(QueryError, match="decision 'n_tokens' is not in this fit"):
        query(fit, "n_tokens: 2e12 > 1e12")


def test_a_size_alone_is_asked_for_twice_as_much(fake_fit):
    for name, values in {"n_tokens": "2T > 1T", "n_params": "14B > 7B"}.items():
        answer = query(fake_fit, f"{name}: {values}")
        table = effects(fake_fit, name).table()
        assert table["estimate"].item() == pytest.approx(answer.effect["estimate"], abs=EXACT)
        with pytest.raises(QueryError, match=f"'{name}' is no design decision.*{name}: {values}"):
            bm.rank(fake_fit, name)


def test_bare_numbers_are_of_the_only_size_that_can_be_meant(fake_fit):
    design = fake_fit.design
    least, most = (float(f(design.recorded["n_params"])) for f in (np.min, np.max))
    assert most < design.recorded["n_tokens"].min()  # else the example is none
    words = f"{most:.0f} vs {least:.0f}"
    assert parse_statement(design, f"{most / 1e9}B vs {least / 1e9}B").decision == "n_params"
    for unclear in (words, f"{most / 1e9}B vs {10 * most / 1e9}B"):
        with pytest.raises(QueryError, match="cannot be read"):
            parse_statement(design, unclear)


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
    ("swap web_share -> cod by 10", {}, "'cod' is not in the training mix"),
    ("swap web_share -> code_share by 101", {}, "points '101' are not allowed"),
    ("swap web_share -> code_share by -5", {}, "points '-5' are not allowed"),
    ("swap web_share -> code_share by ten", {}, "points 'ten' are not allowed"),
    ("swap web_share code_share 10", {}, "cannot be read"),
    ("n_tokens: 0 > 1e12", {}, "n_tokens is '0'"),
    ("n_tokens: many > 1e12", {}, "n_tokens is 'many'"),
    ("n_tokens: 1e12 > 1e12", {}, "compares a level with itself"),
    ("n_token: 2e12 > 1e12", {}, "decision 'n_token' is not in this fit"),
    ("code_share: 120 > 5", {}, "value '120' of code_share is not allowed"),
    ("code_share: 20k > 5k", {}, "value '20k' of code_share is not allowed"),
    ("n_tokens: 20% > 5%", {}, "n_tokens is '20%'"),
    ("attention: gpa > mha", {}, "Did you mean 'gqa'"),
    ("attention: gqa > mha", {"lms": "bee-9"}, "'bee-9' is not in this fit's data.*bee-"),
    ("attention: gqa > mha", {"lms": []}, r"lms is \[\]. Allowed: a name, or a list"),
    ("attention: gqa > mha", {"lms": 3}, "lms is 3. Allowed: a name"),
    ("attention: gqa > mha", {"lm_family": "be"}, "Did you mean 'bee'"),
    ("attention: gqa > mha", {"lms": "ant-1", "lm_family": "bee"}, "no LM is left.*family ant"),
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
    assert made.sentence.startswith("Language models with grouped-query attention and those with")
    assert r"(90\,\% equal-tailed" in made.latex
    values = made.to_dict()
    assert json.loads(json.dumps(values))["answer"] == values["answer"]
    assert values["origin"]["data_checksum"] == fake_fit.dataset.checksum
    assert ModelSpec.from_dict(values["spec"]).checksum == fake_fit.spec.checksum


def test_claim_can_be_checked_from_its_file(fake_fit, tmp_path):
    path = tmp_path / "claim.json"
    bm.claim(fake_fit, "attention: gqa > mha", lms=["bee-1", "ant-1"]).save(path)
    assert bm.check_claim(path, fake_fit)["agree"].all()


NEW = ("sources", "prob_conflict", "verdict", "kind", "read_as", "where", "sentence")
"""Parts of an answer that claims of the last release lack."""


def test_claim_of_the_last_release_is_read_with_its_own_words(fake_fit):
    made = bm.claim(fake_fit, "code_share: +40 from web_share").to_dict()
    assert made["answer"]["evidence"]["verdict"] == "prior-dominated"
    old = json.loads(json.dumps(made).replace("prior-dominated", "prior-driven"))
    del old["answer"]["evidence"]["confounded_with"]
    for name in NEW:
        del old["answer"][name]
    old["claim"], old["latex"] = (word_claim(old["answer"], latex=latex) for latex in (False, True))
    assert old["claim"].startswith("code_share: +40 from web_share over all benchmarks: ")
    assert bm.check_claim(old, fake_fit)["agree"].all()


def test_claim_of_other_data_or_numbers_does_not_hold(small, fake_fit, build_fake_fit, tmp_path):
    made = bm.claim(fake_fit, "attention: gqa > mha").to_dict()
    other = build_fake_fit(small.with_scores(small.scores["score"].to_numpy() * 0.99))
    table = bm.check_claim(made, other).set_index("what")
    assert not table.loc["data_checksum", "agree"]
    made["answer"]["effect"]["estimate"] += 20.0
    table = bm.check_claim(made, fake_fit).set_index("what")
    wrong = ["sentence", "estimate", "everything else"]  # which hold it as well
    assert not table.loc[wrong, "agree"].any()
    assert table.drop(wrong)["agree"].all()


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


def tamper(values, change):
    copied = json.loads(json.dumps(values))
    change(copied)
    return copied


@pytest.mark.parametrize(
    "what, change",
    [
        ("sentence", lambda v: v.update(claim="Code makes lms 50 points better")),
        ("sentence", lambda v: v.update(latex="50 points")),
        ("spec", lambda v: v["spec"].update(likelihood="normal")),
        (
            "lower",
            lambda v: v["answer"]["effect"].update(lower=v["answer"]["effect"]["lower"] + 0.1),
        ),
        ("probability", lambda v: v["answer"].update(mcse=1.0, probability=0.05)),
        ("everything else", lambda v: v["answer"]["effect"].update(units="bananas")),
        ("everything else", lambda v: v["answer"].update(prob_equivalent=0.99)),
        ("everything else", lambda v: v["answer"]["evidence"]["lms"].update(gqa=50)),
        ("kind", lambda v: v["answer"].update(kind="effect")),
        ("verdict", lambda v: v["answer"]["evidence"].update(verdict="supported")),
    ],
)
def test_no_part_of_a_claim_can_be_changed_unseen(fake_fit, what, change):
    values = tamper(bm.claim(fake_fit, "attention: gqa > mha").to_dict(), change)
    assert not bm.check_claim(values, fake_fit).set_index("what").loc[what, "agree"]


def test_verdict_of_an_earlier_release_is_told_from_a_changed_number(fake_fit):
    values = bm.claim(fake_fit, "attention: gqa > mha").to_dict()
    old = tamper(values, lambda v: v["answer"]["evidence"].update(verdict="weakly identified"))
    for name in NEW:
        del old["answer"][name]
    old["claim"], old["latex"] = (word_claim(old["answer"], latex=latex) for latex in (False, True))
    table = bm.check_claim(old, fake_fit).set_index("what")
    assert "earlier releases" in table.loc["verdict", "claimed"]
    assert not table.loc["verdict", "agree"]
    assert table.drop("verdict")["agree"].all()


@pytest.mark.parametrize(
    "change",
    [
        lambda v: v["question"].update(scale=[]),
        lambda v: v["question"].update(ci_prob="x"),
        lambda v: v["question"].update(fit=1),
        lambda v: v["answer"]["effect"].update(estimate="x"),
        lambda v: v.update(answer=[]),
        lambda v: v["origin"].pop("posterior_checksum"),
    ],
)
def test_claim_with_a_part_of_another_kind_is_refused(fake_fit, change):
    values = tamper(bm.claim(fake_fit, "attention: gqa > mha").to_dict(), change)
    with pytest.raises(QueryError):
        bm.check_claim(values, fake_fit)


def test_filters_are_named_wherever_the_answer_is(fake_fit):
    answer = query(fake_fit, "attention: gqa > mha", lm_family="bee")
    assert "3 LMs of bee of their own size and tokens, over all 4 benchmarks" in str(answer)
    assert answer.to_dict()["among"] == ["bee"]
    assert answer.table()["among"].iloc[0] == "bee"
    made = bm.claim(fake_fit, "attention: gqa > mha", lms="bee-1")
    assert "over all 4 benchmarks. Averaged over 1 LM of bee-1, the" in made.sentence


def test_half_a_point_is_worth_less_than_half_a_logit(fake_fit):
    latent = query(fake_fit, "attention: gqa > mha", scale="latent")
    points = query(fake_fit, "attention: gqa > mha")
    assert points.equivalence == defaults.EQUIVALENCE
    assert 0.005 < latent.equivalence < 0.2
    slope = points.evidence.prior_sd / latent.evidence.prior_sd
    assert latent.equivalence * slope == pytest.approx(points.equivalence)


def test_scale_only_models_answer_about_size(small, build_fake_fit):
    fit = build_fake_fit(small, spec=ModelSpec(decisions=(), interactions="none"))
    answer = query(fit, "n_params: 2e9 > 1e9")
    assert answer.evidence.confounded_with == {}
    assert len(bm.leave_family_out(fit, "n_params: 2e9 > 1e9", progress=False)) == 5


def test_draws_of_the_prior_are_not_taken_for_findings(small, build_fake_fit):
    fit = dataclasses.replace(build_fake_fit(small), provenance={"sampler": "prior"})
    assert set(effects(fit).table()["verdict"]) == {"prior-dominated"}
    for ask in (query, bm.claim, bm.leave_family_out, bm.tipping_point, bm.ladders):
        with pytest.raises(QueryError, match="draws of the prior: no data stand behind them"):
            ask(fit, "code_share: 20 > 5")
    with pytest.raises(QueryError, match="draws of the prior"):
        bm.evidence(fit, "attention", "gqa", over="mha")


@pytest.mark.parametrize("level", [True, "2_0", "\uff12\uff10", 10**400, [20], None])
def test_what_is_no_plain_number_is_no_share(fake_fit, level):
    with pytest.raises(QueryError, match="of code_share is not allowed"):
        bm.prob_helps(fake_fit, "code_share", level, over=5)


WRONG_KINDS = [
    lambda fit: query(fit, "attention: gqa > mha", ci_prob=None),
    lambda fit: query(fit, "attention: gqa > mha", ci_prob=[0.9]),
    lambda fit: query(fit, "attention: gqa > mha", benchmark=pd.Series(["recall"])),
    lambda fit: query(fit, "attention: gqa > mha", scale=[]),
    lambda fit: effects(fit, 1),
    lambda fit: effects(fit, [["attention"]]),
    lambda fit: bm.evidence(fit, ["attention"], "gqa", over="mha"),
    lambda fit: bm.ladders(fit, families=1),
    lambda fit: bm.rank_levels(fit, []),
    lambda fit: bm.rank_designs(None, "x.csv"),
    lambda fit: bm.rank_designs(fit, "x.csv", seed=-1),
    lambda fit: bm.rank_designs(fit, "x.csv", benchmarks=1),
    lambda fit: bm.predict(fit, "x.csv", seed=None),
    lambda fit: bm.predict(1, "x.csv"),
    lambda fit: bm.whatif(fit, "bee-1", n_params=10**400),
    lambda fit: bm.check_claim(None, fit),
    lambda fit: bm.check_claim([], fit),
]


@pytest.mark.parametrize("ask", WRONG_KINDS)
def test_arguments_of_another_kind_end_in_one_message(fake_fit, ask):
    with pytest.raises(QueryError) as caught:
        ask(fake_fit)
    assert "\n" not in str(caught.value)


def test_a_series_of_lms_is_a_list_of_them(fake_fit):
    names = fake_fit.dataset.lms.set_index("lm").query("lm_family == 'bee'").index.to_series()
    assert query(fake_fit, "attention: gqa > mha", lms=names).n_lms == 3


def test_unknown_setting_of_a_claim_is_refused(fake_fit, refusal):
    with refusal(QueryError, "setting 'bench'", "Allowed: benchmark"):
        bm.claim(fake_fit, "attention: gqa > mha", bench="recall")


def test_card_has_what_stands_behind_a_statement(fake_bundled_fit):
    card = query(fake_bundled_fit, "attention: gqa > mha").evidence
    assert 1 < card.effective_lms <= 91
    assert card.confounded_with == card.to_dict()["bundled_with"]
    with pytest.warns(FutureWarning, match="confounded_with"):
        assert card.bundled_with == card.confounded_with
    assert all(0 < share <= 1 for share in card.confounded_with.values())
    assert card.within_families["lower"] < card.within_families["estimate"]
    assert (
        query(fake_bundled_fit, "position_embedding: rotary > learned").evidence.within_families
        is None
    )


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
    assert card.confounded_with["weight_tying"] == pytest.approx(wanted)
