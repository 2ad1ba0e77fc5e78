"""What questions cost: work that is counted here, and the record of what they take.

Timings are made by `make benchmark` on an idle machine. How much of the package a question passes,
and what it computes once, is counted in tests/architecture.
"""

import sys
from collections import Counter

import pytest

import bayesmeta as bm

MOST_IMPORTS = 1.3
"""A question as a whole process, in times of an interpreter that imports numpy, pandas, xarray."""

MOST_OF_BEFORE = 1.1
"""Questions of a loaded posterior, in times of the version before; a tenth is noise."""

ANSWERS = 3
"""An effect, one in a new setting and an association, where that version gave an association."""


MOST_CALLS, MOST_CALLS_OF_A_ROW = 1000, 50
"""Functions of the package that a question calls, and a table for each of its rows: twice what was
counted. Whatever is done for every draw or lm one by one is a hundred times as much."""

SHARED = {"linearise", "posterior_means", "columns_of_level", "add_effects"}
"""What is computed for the first question, and kept."""


def test_record_is_of_what_ships(record, script, bundled_informed):
    assert record["spec_checksum"] == bm.ModelSpec().checksum
    assert record["data_checksum"] == bundled_informed.checksum
    assert record["runs"] >= 10
    assert record["loaded"]["this"].keys() == {*script.STATEMENTS, "table"}
    assert record["ratios"] == script.compare(record["process"], record["loaded"])


def test_a_question_as_a_process_takes_little_more_than_imports(record):
    assert record["ratios"]["query_to_imports"] <= MOST_IMPORTS


def test_an_answer_of_a_loaded_posterior_is_no_slower_than_before(record):
    ratios = {k: v for k, v in record["ratios"].items() if k != "query_to_imports"}
    assert ratios.pop("table") <= MOST_OF_BEFORE  # of effects alone
    assert ratios
    slow = {name: ratio for name, ratio in ratios.items() if ratio > ANSWERS * MOST_OF_BEFORE}
    assert slow == {}


def count_calls(ask):
    """How often which function of the package is called."""
    calls = Counter()

    def count(frame, event, _):
        if event == "call" and "bayesmeta" in frame.f_code.co_filename:
            calls[frame.f_code.co_name] += 1

    sys.setprofile(count)
    try:
        ask()
    finally:
        sys.setprofile(None)
    return calls


@pytest.fixture(scope="module")
def loaded():
    """The shipped posterior, asked once: what all questions share is computed then and kept."""
    fit = bm.load_reference_fit()
    bm.query(fit, "attention: gqa > mha")
    return fit


def test_first_question_computes_what_all_questions_share():
    calls = count_calls(lambda: bm.query(bm.load_reference_fit(), "attention: gqa > mha"))
    assert set(calls) >= SHARED


@pytest.mark.parametrize(
    "statement",
    ["position_embedding: rotary > learned", "attention: gqa > mha", "code_share: 20 > 5",
     "swap web_share -> code_share by 10", "n_tokens: 2e12 > 1e12"],
)  # fmt: skip
def test_question_computes_nothing_that_all_questions_share(loaded, statement):
    calls = count_calls(lambda: bm.query(loaded, statement))
    assert sum(calls.values()) <= MOST_CALLS
    assert not SHARED & set(calls)


def test_table_of_all_decisions_on_all_benchmarks_calls_little_for_a_row(loaded):
    made = []
    calls = count_calls(lambda: made.append(bm.effects(loaded, by="benchmark").table()))
    assert sum(calls.values()) <= MOST_CALLS_OF_A_ROW * len(made[0])
    assert not SHARED & set(calls)
