"""Commands that look behind a statement; questions on the command line, sense and nonsense."""

import html
import json
import subprocess
import sys

import pytest
from click.testing import CliRunner

import bayesmeta as bm
from bayesmeta.cli.shared import app

STATEMENT = "attention: gqa > mha"


def run(*words):
    return CliRunner().invoke(app, list(map(str, words)), catch_exceptions=False)


def run_json(*words):
    result = run(*words, "--format", "json")
    assert result.exit_code == 0
    return json.loads(result.stdout)


def test_query_json_says_which_of_three_and_how_much_more(saved):
    answer = run_json("query", STATEMENT, "--more-than", 1, "--equivalence", 0.5, "--fit", saved)
    assert set(answer["three_way"]) == {"helps", "equivalent", "hurts"}
    assert answer["practically"] in {*answer["three_way"], "undecided"}
    assert answer["more_than"] == 1
    assert 0 <= answer["prob_more"] <= answer["probability"]
    assert answer["n_lms"] == 12
    card = answer["evidence"]
    assert {"effective_lms", "confounded_with", "within_families", "between_families", "without_it",
            "influence", "contraction"} <= set(card)  # fmt: skip


def test_query_averages_over_the_lms_named(saved):
    both = run_json("query", STATEMENT, "--lm", "bee-1", "--lm", "bee-2", "--fit", saved)
    family = run_json("query", STATEMENT, "--lm-family", "bee", "--fit", saved)
    assert (both["n_lms"], family["n_lms"]) == (2, 3)
    latent = run_json("query", STATEMENT, "--scale", "latent", "--fit", saved)
    assert latent["effect"]["units"] == "latent units"


def test_effects_by_lm_family_have_a_row_each(saved):
    rows = run_json("effects", "--decision", "attention", "--by", "lm_family", "--fit", saved)
    assert [row["target"] for row in rows] == ["ant", "bee", "cat", "dog", "elk"]


def test_claim_is_one_paragraph_that_can_be_checked(saved, tmp_path):
    path = tmp_path / "claim.json"
    made = run("claim", STATEMENT, "--task-family", "logic", "--fit", saved, "--out", path)
    assert made.stdout.count("\n") == 1
    assert "Language models with grouped-query attention" in made.stdout
    assert "on logic (2 benchmarks)" in made.stdout
    checked = run("claim", "--check", path, "--fit", saved)
    assert checked.exit_code == 0
    assert "False" not in checked.stdout


def test_claim_that_does_not_hold_exits_with_one(saved, tmp_path):
    path = tmp_path / "claim.json"
    run("claim", STATEMENT, "--fit", saved, "--out", path)
    values = json.loads(path.read_text(encoding="utf-8"))
    values["answer"]["effect"]["estimate"] += 30
    path.write_text(json.dumps(values), encoding="utf-8")
    assert run("claim", "--check", path, "--fit", saved).exit_code == 1


def test_claim_as_html_is_escaped_and_as_csv_refused(saved, refuse):
    rare = ["--lm", "ant-1", "--lm", "bee-1", "--ci-prob", "0.999"]
    said = run("claim", STATEMENT, *rare, "--format", "html", "--fit", saved).stdout
    assert said == html.escape(run("claim", STATEMENT, *rare, "--fit", saved).stdout)
    said = refuse("claim", STATEMENT, "--format", "csv", "--fit", saved)
    assert "a claim is a sentence" in said


def test_claim_as_latex_and_json(saved):
    assert r"(90\,\% equal" in run("claim", STATEMENT, "--format", "latex", "--fit", saved).stdout
    values = run_json("claim", STATEMENT, "--fit", saved)
    assert values["question"]["statement"] == STATEMENT


def test_refused_claim_writes_nothing(refuse, saved, tmp_path):
    path = tmp_path / "claim.json"
    refuse("claim", "attention: gqa > gqa", "--fit", saved, "--out", path)
    assert not path.exists()


def test_influence_and_tipping_and_ladders_print_tables(saved):
    assert {row["lm_family"] for row in run_json("influence", STATEMENT, "--fit", saved)} == {
        "ant", "bee", "cat", "dog", "elk"
    }  # fmt: skip
    one = run_json("influence", STATEMENT, "--lm-family", "bee", "--fit", saved)
    assert [row["lm_family"] for row in one] == ["bee"]
    rows = run_json("tipping", "code_share: 20 > 5", "--fit", saved)
    assert rows[-1]["lms"] == sum(row["lms"] for row in rows[:-1])
    rows = run_json("ladders", "code_share: 20 > 5", "--by", "overall", "--fit", saved)
    assert [row["lm_family"] for row in rows] == ["ant", "bee", "all others"]
    table = run("ladders", "code_share: 20 > 5", "--by", "overall", "--fit", saved).stdout
    assert "ant (5, 10); bee (20, 25)" in table


NONSENSE = [
    (("query", "swap code_share -> code_share by 10"), "takes from a part what it gives to it"),
    (("query", "swap web_share -> code_share by 1e9"), "points '1e9' are not allowed"),
    (("query", "n_tokens: -1 > 1e12"), "n_tokens is '-1'"),
    (("query", STATEMENT, "--lm", "bea-1"), "Did you mean 'bee-1'"),
    (("query", STATEMENT, "--lm", "ant-1", "--lm-family", "bee"), "no LM is left"),
    (("query", STATEMENT, "--scale", "log"), "scale 'log' is not known"),
    (("query", STATEMENT, "--more-than", "nan"), "more_than is nan"),
    (("query", "x" * 10_000), "(10000 characters)' cannot be read"),
    (("query", "attention: gqa > mha\n\u202e; rm -rf /"), "is not in this fit"),
    (("query", "$(touch hacked): a > b"), "decision '$(touch hacked)' is not in this fit"),
    (("effects", "--by", "lm_famly"), "Did you mean 'lm_family'"),
    (("claim",), "either a STATEMENT or --check"),
    (("claim", STATEMENT, "--check", "x.json"), "either a STATEMENT or --check"),
    (("claim", "--check", "nowhere.json"), "cannot be read as a claim"),
    (("influence", STATEMENT, "--lm-family", "bea"), "Did you mean 'bee'"),
    (("ladders", STATEMENT), "not about a number"),
    (("ladders", "code_share: 20 > 5", "--by", "everything"), "by 'everything' is not known"),
    (("tipping", STATEMENT), "'attention' is no part of the training mix"),
    (("tipping", "code_share: 20 > 5", "--part", "cod_share"), "Did you mean 'code_share'"),
]


@pytest.mark.parametrize("words, message", NONSENSE)
def test_nonsense_is_one_line_and_exit_code_two(refuse, saved, words, message):
    assert message in refuse(*words, "--fit", saved)


def test_a_statement_is_never_run(tmp_path):
    run = subprocess.run(
        [sys.executable, "-m", "bayesmeta.cli", "query", "__import__('os').mkdir('hacked') > 1"],
        cwd=tmp_path, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert run.returncode == 2
    assert list(tmp_path.iterdir()) == []


def test_python_and_command_line_say_the_same(saved):
    fit = bm.load_fit(saved)
    answer = run_json("query", STATEMENT, "--more-than", 1, "--fit", saved)
    assert answer == json.loads(json.dumps(bm.query(fit, STATEMENT, more_than=1.0).to_dict()))


def test_help_says_what_is_written_and_what_is_told(saved):
    said = " ".join(run("claim", "--help").stdout.split())
    assert "with --out, a file that anyone can check" in said
    for asked in (("--help",), (STATEMENT, "--fit", saved)):
        said = " ".join(run("influence", *asked).stdout.split())
        assert "ssociation" in said
        assert "ffect" not in said
