"""What people type is read as they mean it, or asked back; `phrases.toml` was written before."""

import re
import tomllib
from pathlib import Path

import pytest

import bayesmeta as bm
from bayesmeta.errors import QueryError
from bayesmeta.estimates.aliases import DECISION_WORDS, LEVEL_WORDS
from bayesmeta.estimates.answer_words import write_question
from bayesmeta.estimates.counterfactual import find_lm, find_target, split_place, weigh_target
from bayesmeta.estimates.phrases import read_amount, read_count
from bayesmeta.estimates.question import (
    default_contrasts,
    find_decision,
    list_decisions,
    list_levels,
    list_statements,
    parse_statement,
    read_label,
    read_value,
)

PHRASES = tomllib.loads((Path(__file__).parents[1] / "cli" / "phrases.toml").read_text())


@pytest.fixture(scope="module")
def design():
    return bm.load_reference_fit().design


@pytest.mark.parametrize("typed, meant", PHRASES["statement"].items())
def test_a_statement_is_read_as_it_is_meant(design, typed, meant):
    found = parse_statement(design, typed)
    assert found == parse_statement(design, meant)
    assert found.label == meant


@pytest.mark.parametrize("typed, meant", PHRASES["place"].items())
def test_a_question_may_say_where(typed, meant):
    fit = bm.load_reference_fit()
    question, benchmark, task_family = split_place(fit.design, typed)
    (found,) = list_statements(fit.design, question)
    assert [found.label, benchmark or task_family] == meant
    with pytest.raises(QueryError, match=f"names {meant[1]}, and lambada is given beside it"):
        bm.query(bm.load_reference_fit(), typed, benchmark="lambada")


@pytest.mark.parametrize("typed, words", PHRASES["unknown_place"].items())
def test_a_place_that_is_not_known_is_answered_with_those_that_are(design, typed, words):
    with pytest.raises(QueryError, match="benchmark or task family") as caught:
        split_place(design, typed)
    assert all(word in str(caught.value) for word in words), str(caught.value)


@pytest.mark.parametrize("typed, meant", PHRASES["benchmark"].items())
def test_a_benchmark_is_found_by_what_it_is_called(design, typed, meant):
    assert weigh_target(design, benchmark=typed)[0] == meant
    assert find_target(design, typed) == ("benchmark", meant)


@pytest.mark.parametrize("typed, meant", PHRASES["task_family"].items())
def test_a_task_family_is_found_by_what_it_is_called(design, typed, meant):
    assert weigh_target(design, task_family=typed)[0] == meant


@pytest.mark.parametrize("typed, meant", PHRASES["decision"].items())
def test_a_decision_is_found_by_what_it_is_called(design, typed, meant):
    assert find_decision(design, typed).name == meant


@pytest.mark.parametrize("typed, meant", PHRASES["lists"].items())
def test_a_word_alone_lists_the_answers_of_its_decision(design, typed, meant):
    found = list_statements(design, typed)
    assert {one.decision for one in found} == {meant}
    with pytest.raises(QueryError, match=f"Ask one of: '{re.escape(found[0].label)}'"):
        parse_statement(design, typed)


@pytest.mark.parametrize("typed, readings", PHRASES["asks"].items())
def test_what_can_be_meant_in_two_ways_is_asked_back(design, typed, readings):
    with pytest.raises(QueryError) as caught:
        parse_statement(design, typed)
    assert all(reading in str(caught.value) for reading in readings), str(caught.value)


@pytest.mark.parametrize("typed, meant", PHRASES["suggests"].items())
def test_a_typo_is_suggested(design, typed, meant):
    with pytest.raises(QueryError, match=f"Did you mean '{meant}'"):
        parse_statement(design, typed)


@pytest.mark.parametrize("typed", PHRASES["refused"])
def test_what_is_no_question_is_refused(design, typed):
    with pytest.raises(QueryError) as caught:
        list_statements(design, typed)
    assert str(caught.value).isprintable()


def test_a_number_has_one_reading_or_none():
    factors = {"": 1.0, "k": 1e3, "M": 1e6, "B": 1e9, "T": 1e12}
    for digits in ("7", "0.5", ".5", "1.25", "2e3", "1,024"):
        for unit, factor in factors.items():
            amount = read_amount(digits + unit)
            assert read_count(amount) == pytest.approx(float(digits.replace(",", "")) * factor)
        assert read_amount(f"{digits} %") == read_amount(f"{digits}%") != read_amount(digits)
    for text in ("", "7Q", "7 7", "1.2.3", "1,2", "\uff17", "7e", "--7", "nan", "inf", "0x10"):
        assert read_amount(text) is None


def test_every_name_and_alias_is_read_as_itself(design):
    for decision, words in DECISION_WORDS.items():
        if decision in ("n_params", "n_tokens"):
            continue
        for text in (decision, *words.aliases):
            assert find_decision(design, text.upper()).name == decision
    for (decision, level), words in LEVEL_WORDS.items():
        if level not in list_levels(design, decision):
            continue
        for text in (level, *words.aliases, *words.context):
            assert read_value(design, decision, text.title()) == level


def test_every_statement_is_read_from_its_own_echo(design):
    found = [c for name in list_decisions(design) for c in default_contrasts(design, name)]
    found += [parse_statement(design, text) for text in
              ("code_share: 0.2% > 0.05%", "n_params: 1.5B > 350M", "n_tokens: 15T > 300B",
               "swap web -> code by 0.5%", "context_length: 32k > 2k")]  # fmt: skip
    for one in found:
        assert parse_statement(design, write_question(one)) == one
        assert parse_statement(design, one.label) == one


HOSTILE = (
    "gqa > mha" * 1111, "[[[[" * 100 + "gqa > mha", "9" * 499, "1" + ",000" * 120, "e" * 499,
    "gqa\x00 > mha", "gqa > mha\x1b[2J", "<b>gqa</b> > mha", "{gqa} > {mha}", "%s > %d",
    "\u202egqa > mha", "\U0001f600 > mha", "gqa > mha" + " " * 9991, "-" * 400, "a b " * 120,
)  # fmt: skip


@pytest.mark.parametrize("text", HOSTILE)
@pytest.mark.parametrize(
    "ask",
    [
        parse_statement,
        find_decision,
        find_target,
        find_lm,
        lambda design, text: weigh_target(design, benchmark=text),
        lambda design, text: weigh_target(design, task_family=text),
        lambda design, text: read_value(design, "attention", text),
        lambda design, text: read_value(design, "code_share", text),
        lambda design, text: read_value(design, "n_params", text),
        lambda design, text: parse_statement(design, f"attention: {text} > mha"),
        lambda design, text: parse_statement(design, f"swap web -> code by {text}"),
    ],
)
def test_what_is_typed_is_inert(design, ask, text):
    with pytest.raises(QueryError) as caught:
        ask(design, text)
    assert str(caught.value).isprintable()
    assert len(str(caught.value)) < 2000


def test_a_share_alone_that_may_be_a_fraction_is_asked_back(design):
    fit = bm.load_reference_fit()
    for ask in (
        lambda: bm.prob_helps(fit, "code", 0.2, over=0.05),
        lambda: bm.whatif(fit, "pythia-6.9b", code_share=0.2),
        lambda: bm.evidence(fit, "code_share", 0.2, over=0.05),
    ):
        with pytest.raises(QueryError, match=r"'code_share: 20%.*' or 'code_share: 0\.2%"):
            ask()
    assert bm.whatif(fit, "pythia-6.9b", code="0.2%").changes == {"code_share": 0.2}


def test_read_label_is_the_inverse_of_a_label(design):
    for statement in ("attention: gqa > mha", "code_share: 20 > 5", "code_share: 0.2% > 0.1%",
                      "n_tokens: 2e12 > 1e12", "code_share: +10 from web_share"):  # fmt: skip
        found = parse_statement(design, statement)
        assert read_label(found.label) == found
