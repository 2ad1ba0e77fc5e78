"""What people type is read as they mean it, or asked back; `phrases.toml` was written before."""

import re
import tomllib
from pathlib import Path

import pytest

import bayesmeta as bm
from bayesmeta.errors import QueryError
from bayesmeta.estimates.counterfactual import find_target, weigh_target
from bayesmeta.estimates.question import find_decision, list_statements, parse_statement

PHRASES = tomllib.loads((Path(__file__).parents[1] / "cli" / "phrases.toml").read_text())


@pytest.fixture(scope="module")
def design():
    return bm.load_reference_fit().design


@pytest.mark.parametrize("typed, meant", PHRASES["statement"].items())
def test_a_statement_is_read_as_it_is_meant(design, typed, meant):
    found = parse_statement(design, typed)
    assert found == parse_statement(design, meant)
    assert found.label == meant


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
