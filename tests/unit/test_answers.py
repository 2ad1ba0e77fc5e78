"""An answer is a plain sentence, never stronger than its verdict, and lines that fit a terminal."""

import dataclasses
import itertools
import re

import pytest

import bayesmeta as bm
from bayesmeta import defaults
from bayesmeta.estimates.answer import query
from bayesmeta.estimates.answer_words import word_chance, write_chance
from bayesmeta.estimates.question import default_contrasts, list_decisions
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
