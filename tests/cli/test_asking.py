"""The command line takes questions as people type them, and answers as people read."""

import json

import pytest
from click.testing import CliRunner

import bayesmeta as bm
from bayesmeta.cli.shared import app


@pytest.fixture
def run():
    return lambda *words: CliRunner().invoke(app, list(words), catch_exceptions=False)


def test_what_was_typed_is_echoed_with_units(run):
    said = run("query", "tokens: 2T > 1T", "--benchmark", "MMLU (5-shot)").stdout
    assert "  read as     n_tokens: 2T > 1T\n" in said
    assert "on MMLU (5-shot)" in said
    assert json.loads(run("query", "rope > alibi", "--format", "json").stdout)["read_as"] == (
        "position_embedding: rotary > alibi"
    )


def test_shares_that_look_like_fractions_end_with_two(refuse):
    said = refuse("query", "code_share: 0.2 > 0.05")
    assert "'code_share: 20% > 5%' or 'code_share: 0.2% > 0.05%'" in said


def test_a_name_alone_lists_a_sentence_each(run):
    said = run("query", "GQA").stdout
    assert max(map(len, said.splitlines())) <= 80
    answers = json.loads(run("query", "GQA", "--format", "json").stdout)
    assert [one["statement"] for one in answers] == ["attention: gqa > mha", "attention: gqa > mqa"]
    for one in answers:
        assert one["sentence"] in " ".join(said.split())


def test_details_add_to_the_answer_and_fit_a_terminal(run):
    short, long = (run("query", "gqa > mha", *more).stdout for more in ((), ("--details",)))
    assert long.startswith(short.rstrip("\n"))
    assert "by a linear approximation" in " ".join(long.split())
    assert max(map(len, long.splitlines())) <= 80


@pytest.mark.parametrize("decision", ["positional encoding", "RoPE", "position_embedding"])
def test_names_are_taken_by_every_command(run, decision):
    for command in ("rank", "effects"):
        words = (command, decision) if command == "rank" else (command, "--decision", decision)
        rows = json.loads(run(*words, "--format", "json").stdout)
        assert {row["decision"] for row in rows} == {"position_embedding"}


def test_a_rank_says_on_what_it_rests(run):
    said = " ".join(run("rank", "attention").stdout.split())
    title = "Which level of attention is the best, by effects, 3 levels, over all benchmarks: "
    assert said.startswith(title)
    rows = {row["level"]: row for row in json.loads(run("rank", "gqa", "--format", "json").stdout)}
    assert rows["mha"]["verdict"] == "reference"
    card = bm.evidence(bm.load_reference_fit(), "attention", "gqa", over="mha")
    assert rows["gqa"]["lms"] == card.lms["gqa"]
    assert rows["mha"]["lm_families"] == card.lm_families["mha"]
    assert rows["gqa"]["verdict"] == card.verdict


def test_a_first_level_of_one_family_is_not_to_be_called_the_best(run):
    asked = ("rank", "position_embedding", "--by", "benchmark")
    rows = json.loads(run(*asked, "--format", "json").stdout)
    firsts = {}
    for row in rows:  # the most probable best comes first
        firsts.setdefault(row["target"], row)
    weak = [row for row in firsts.values() if row["lm_families"] == 1]
    assert weak, "no level of a single family comes first anywhere"
    said = run(*asked).stdout
    assert f"{weak[0]['level']} comes first on " in said
    assert "of 1 family: do not call it the best." in " ".join(said.split())


def test_no_caution_where_the_first_is_well_founded(run):
    assert "do not call it" not in run("rank", "activation").stdout


@pytest.mark.parametrize("what", ["decisions", "levels", "benchmarks", "models", "studies"])
def test_what_can_be_asked_is_listed(run, what):
    rows = json.loads(run("list", what, "--format", "json").stdout)
    assert all({"name", "label"} <= set(row) for row in rows)
    one = rows[-1]["name"]
    found = json.loads(run("list", what, one.upper(), "--format", "json").stdout)
    assert one in {row["name"] for row in found}
    assert one in run("list", what).stdout


def test_a_list_is_searched_by_other_names_too(run, refuse):
    assert "rotary" in run("list", "levels", "RoPE").stdout
    assert "Did you mean 'gqa'?" in refuse("list", "levels", "gqqa")
    assert "Did you mean 'levels'?" in refuse("list", "levls")


def test_what_all_rows_share_stands_in_the_title(run):
    said = run("effects", "--decision", "code", "--by", "task_family").stdout
    title, _, table = said.partition(":\n")
    for words in ("code share", "18", "against 8", "by task family", "90 % equal-tailed"):
        assert words in " ".join(title.split())
    assert table.split()[:2] == ["target", "estimate"]
    csv = run("effects", "--decision", "code", "--by", "task_family", "--format", "csv").stdout
    assert csv.startswith("decision,level,reference,by,target,")
