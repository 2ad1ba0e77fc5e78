"""The command line takes questions as people type them, and answers as people read."""

import json

import pytest
from click.testing import CliRunner

import bayesmeta as bm
from bayesmeta.cli.shared import app, wrap_message


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
    title = "Which level of attention is the best, by effects, ordered by expected rank, 3 levels"
    assert said.startswith(title)
    rows = {row["level"]: row for row in json.loads(run("rank", "gqa", "--format", "json").stdout)}
    assert rows["mha"]["verdict"] == "reference"
    card = bm.evidence(bm.load_reference_fit(), "attention", "gqa", over="mha")
    assert rows["gqa"]["lms"] == card.lms["gqa"]
    assert rows["mha"]["lm_families"] == card.lm_families["mha"]
    assert rows["gqa"]["verdict"] == card.verdict


def test_a_first_level_of_one_family_is_not_to_be_called_the_best(run):
    asked = ("rank", "norm", "--by", "benchmark")
    rows = json.loads(run(*asked, "--format", "json").stdout)
    firsts = {}
    for row in rows:  # the most probable best comes first
        firsts.setdefault(row["target"], row)
    weak = [row for row in firsts.values() if row["lm_families"] == 1]
    assert weak, "no level of a single family comes first anywhere"
    said = run(*asked).stdout
    assert f"{weak[0]['level']} comes first on " in said
    assert "of 1 family: do not call it the best." in " ".join(said.split())


@pytest.mark.parametrize("kind", ["effect", "association"])
@pytest.mark.parametrize("decision", ["norm", "activation"])
def test_what_is_likeliest_the_best_of_few_lms_is_not_to_be_called_so(run, decision, kind):
    asked = ("rank", decision, "--kind", kind)
    rows = json.loads(run(*asked, "--format", "json").stdout)
    likeliest = max(rows, key=lambda row: row["prob_best"])
    assert likeliest["lms"] < 5  # else the example is none
    said = " ".join(run(*asked).stdout.split())
    way = "comes first" if likeliest is rows[0] else "is the best in most draws"
    assert f"{likeliest['level']} {way}, but rests on {likeliest['lms']} LM" in said
    assert said.count("do not call it the best") == 1


@pytest.mark.parametrize("decision", ["biases", "block", "attention", "weight_tying"])
def test_no_caution_where_the_first_is_well_founded(run, decision):
    assert "do not call it" not in run("rank", decision).stdout


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


@pytest.mark.parametrize("width", [40, 80, 200])
def test_a_refusal_is_broken_at_the_width_and_not_inside_quotes(monkeypatch, width):
    monkeypatch.setenv("COLUMNS", str(width))
    message = (
        "error: statement '{}' cannot be read. Ask 'code_share: 20% > 10%', run `a b c`.\n  - one"
    )
    for text in (message.format("gqa"), message.format("x" * 300), "error: " + "a-b " * 90):
        lines = wrap_message(text).splitlines()
        assert " ".join(lines).split() == text.split()
        assert all(len(line) <= width or "'" in line for line in lines)
    said = wrap_message("error: " + "say 'code_share: 20% > 10%' or `bayesmeta list levels` " * 9)
    for whole in ("'code_share: 20% > 10%'", "`bayesmeta list levels`"):
        assert said.count(whole) == 9
    assert wrap_message("first\n\nsecond") == "first\n\nsecond"


def test_sizes_outside_the_data_are_both_said(run):
    asked = ("query", "code 20% vs 5%", "--at")
    both = run(*asked, "n_params=700B,n_tokens=200T").stdout
    assert "at 700B parameters, 200T tokens (both outside the data)\n" in both
    one = run(*asked, "n_params=7B,n_tokens=200T").stdout
    assert "at 7B parameters, 200T tokens (outside the data)" in one
    assert "..." not in both + one
