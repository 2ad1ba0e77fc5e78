"""An answer is a plain sentence, never stronger than its verdict, and lines that fit a terminal."""

import dataclasses
import itertools
import re

import pytest

import bayesmeta as bm
from bayesmeta import defaults
from bayesmeta.estimates.answer import query
from bayesmeta.estimates.answer_words import describe_sides, word_chance, write_chance
from bayesmeta.estimates.question import Substitution, default_contrasts, list_decisions
from bayesmeta.estimates.summary import Probability
from bayesmeta.reporting.claims import word_claim

STATEMENT = "attention: gqa > mha"
CAUSAL = re.compile(r"\b(helps|hurts|raises|lowers|makes .* better)\b")


@pytest.fixture(scope="module")
def informed_answer(informed, build_fake_fit):
    fit = build_fake_fit(informed, spec=bm.ModelSpec(experiments="included"))
    return query(fit, STATEMENT)


@pytest.fixture(scope="module")
def plain_answer(fake_fit):
    return query(fake_fit, STATEMENT)


def alter(answer, *, verdict, probability):
    """The same answer with another verdict, and a probability of the direction."""
    estimate = 1.5 if probability > 0.5 else -1.5
    effect = {**answer.effect, "estimate": estimate, "lower": estimate - 1, "upper": estimate + 1}
    return dataclasses.replace(
        answer, effect=effect, evidence=dataclasses.replace(answer.evidence, verdict=verdict),
        probability=Probability(probability, mcse=0.01, n_draws=1000),
    )  # fmt: skip


SURE, UNSURE, AGAINST = 0.99, 0.8, 0.01


@pytest.mark.parametrize(
    "verdict, probability, words",
    [
        ("supported", SURE, "Grouped-query attention helps compared with multi-head attention: +1"),
        ("supported", AGAINST, "Grouped-query attention hurts compared with"),
        ("association only", SURE, "may help compared with multi-head attention, but experiments"),
        ("association only", AGAINST, "may hurt compared with multi-head attention, but exp"),
        ("association only", UNSURE, "Grouped-query attention makes no clear difference"),
        ("conflicting", SURE, "Experiments and LMs disagree on grouped-query attention"),
        ("prior-dominated", SURE, "The data hardly speak to grouped-query attention"),
    ],
)
def test_a_sentence_says_what_the_verdict_allows(informed_answer, verdict, probability, words):
    answer = alter(informed_answer, verdict=verdict, probability=probability)
    assert words in answer.sentence
    assert bool(CAUSAL.search(answer.sentence)) == (verdict == "supported")
    claim = word_claim(answer.to_dict())
    assert bool(CAUSAL.search(claim)) == (verdict == "supported")
    assert f"evidence: {verdict}" in claim


@pytest.mark.parametrize(
    "verdict, probability, words",
    [
        ("association only", SURE, "LMs with grouped-query attention score higher than LMs with"),
        ("association only", AGAINST, "LMs with grouped-query attention score lower than LMs with"),
        ("association only", UNSURE, "show no clear difference"),
        ("prior-dominated", SURE, "The data hardly speak to grouped-query attention"),
    ],
)
def test_an_association_is_never_told_as_an_effect(plain_answer, verdict, probability, words):
    answer = alter(plain_answer, verdict=verdict, probability=probability)
    assert words in answer.sentence
    for text in (str(answer), word_claim(answer.to_dict())):
        assert not CAUSAL.search(text)
    assert "effect" not in str(answer)
    assert "an association" in word_claim(answer.to_dict())


LEFT_OUT = "The interval leaves out what experiments found"


def place(answer, *, verdict, by_experiments, lower=-0.7, upper=0.4, units="percentage points"):
    """The same answer with another verdict and interval, and what experiments found."""
    middle = (lower + upper) / 2
    effect = {**answer.effect, "estimate": middle, "lower": lower, "upper": upper, "units": units}
    experiments = {**answer.evidence.experiments, "estimate": by_experiments}
    card = dataclasses.replace(answer.evidence, verdict=verdict, experiments=experiments)
    return dataclasses.replace(answer, effect=effect, evidence=card)


@pytest.mark.parametrize("verdict", ["conflicting", "association only"])
def test_an_interval_that_leaves_out_experiments_is_not_to_be_read_as_no_effect(
    informed_answer, verdict
):
    answer = place(informed_answer, verdict=verdict, by_experiments=-1.8)
    assert f"{LEFT_OUT} (-1.8): do not read it as no effect." in answer.sentence
    assert_readable(answer)
    assert "-1.8" in word_claim(answer.to_dict())


@pytest.mark.parametrize(
    "told",
    [
        {"verdict": "conflicting", "by_experiments": -0.6},  # inside the interval
        {"verdict": "conflicting", "by_experiments": -0.45, "lower": -0.3},  # no difference either
        {"verdict": "conflicting", "by_experiments": 1.8, "lower": 0.1},  # which is not zero
        {"verdict": "prior-dominated", "by_experiments": -1.8},
        {"verdict": "conflicting", "by_experiments": -1.8, "units": "latent units"},
    ],
)
def test_no_other_interval_is_warned_of(informed_answer, told):
    answer = place(informed_answer, **told)
    assert LEFT_OUT not in answer.sentence
    assert "leaves out" not in word_claim(answer.to_dict())


@pytest.mark.parametrize("probability", [SURE, UNSURE, AGAINST])
@pytest.mark.parametrize("verdict", defaults.VERDICTS)
def test_a_claim_is_two_sentences_with_every_number(informed_answer, verdict, probability):
    answer = alter(informed_answer, verdict=verdict, probability=probability)
    claim = word_claim(answer.to_dict())
    first, second, rest = re.split(r"(?<=[a-z)])\. (?=[A-Z])|\.$", claim)
    assert not rest
    assert ("may " in first) == (verdict == "association only" and probability != UNSURE)
    assert ("disagree" in first) == (verdict == "conflicting")
    for words in ("Averaged over 12 LMs, the estimated effect is ", "equal-tailed interval",
                  "probability of a positive effect 0.", "in a new setting; the association is ",
                  f"(evidence: {verdict}, "):  # fmt: skip
        assert words in second
    assert re.search(r"\d+ stud(y|ies); most influential family: \w+\)$", second)


def test_a_claim_of_a_conflict_has_both_numbers(informed_answer):
    answer = place(informed_answer, verdict="conflicting", by_experiments=-1.8)
    association = {**answer.association, "estimate": 0.7}
    claim = word_claim(dataclasses.replace(answer, association=association).to_dict())
    assert "experiments find -1.8, language models 0.7 percentage points." in claim


def test_zero_has_no_sign_in_a_claim(informed_answer):
    answer = place(informed_answer, verdict="association only", by_experiments=0.0)
    small = {"estimate": -0.01, "lower": -0.04, "upper": 0.02}
    answer = dataclasses.replace(
        answer, effect=answer.effect | small, association=answer.association | small,
        new_setting=answer.new_setting | small,
    )  # fmt: skip
    assert "-0.0" not in word_claim(answer.to_dict())
    assert "-$0.0" not in word_claim(answer.to_dict(), latex=True)
    assert "0.0 percentage points" in word_claim(answer.to_dict())


def test_points_that_move_are_called_points():
    contrast = Substitution("code_share", donor="web_share", points=10.0)
    assert describe_sides(contrast) == ("10 points more code in place of web text", "")


def lines_of(answer):
    return [line for line in str(answer).splitlines() if line.startswith("  ")]


def assert_readable(answer):
    assert max(map(len, str(answer).splitlines())) <= 80, str(answer)
    assert max(map(len, answer.details.splitlines())) <= 80, answer.details
    assert len(lines_of(answer)) <= 8
    assert "..." not in str(answer)


def test_no_answer_is_wider_than_a_terminal():
    fit = bm.load_reference_fit()
    benchmarks = ({"benchmark": name} for name in fit.design.benchmarks)
    families = ({"task_family": name} for name in fit.design.task_families)
    places = itertools.cycle([{}, *benchmarks, *families])
    for decision in list_decisions(fit.design):
        for contrast in default_contrasts(fit.design, decision):
            assert_readable(query(fit, contrast.label, **next(places)))
    for statement in ("swap books -> reference by 10", "n_tokens: 15T > 300B", "n_params 7B > 1B"):
        assert_readable(query(fit, statement, **next(places)))


def test_answers_of_three_kinds_fit_too(informed_answer):
    for verdict, p in itertools.product(defaults.VERDICTS, (SURE, UNSURE, AGAINST)):
        assert_readable(alter(informed_answer, verdict=verdict, probability=p))


def test_where_and_at_which_size_is_said(fake_fit):
    answer = query(fake_fit, STATEMENT, benchmark="Proofs", at={"params": "7B", "n_tokens": 2e12})
    assert "12 LMs at 7B parameters, 2T tokens, on Proofs" in str(answer)
    assert answer.to_dict()["at"] == {"n_params": 7e9, "n_tokens": 2e12}


def test_words_for_chances_rise_with_them_and_are_those_of_the_scale():
    chances = [k / 1000 for k in range(1001)]
    words = [word_chance(p) for p in chances]
    assert [key for key, _ in itertools.groupby(words)] == [
        word for _, word in reversed(defaults.CHANCE_WORDS)
    ]
    assert word_chance(0.9) == "very likely" != word_chance(0.8999)
    assert [write_chance(p) for p in (0, 0.004, 0.005, 0.5, 0.994, 0.996, 1)] == [
        "< 1 %", "< 1 %", "1 %", "50 %", "99 %", "> 99 %", "> 99 %"
    ]  # fmt: skip
