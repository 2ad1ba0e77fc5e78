"""What `bayesmeta evaluate` and `bayesmeta scoreboard` print, write and refuse."""

import json

import pandas as pd
import pytest
from click.testing import CliRunner

from bayesmeta import jobs
from bayesmeta.cli.shared import app
from bayesmeta.crossvalidation import scoreboard
from bayesmeta.crossvalidation.scoreboard import Scoreboard, evaluate

KEYS = [
    "scheme", "model", "benchmark", "mae", "coverage50", "coverage90", "crps", "log_density", "n",
]  # fmt: skip
STUDY_KEYS = ["scheme", "model", "study", "n", "coverage90", "log_density", "mae", "sign_right"]
SAVED = 1e-4
"""A saved table keeps five digits."""


def run(*words):
    return CliRunner().invoke(app, [str(word) for word in words], catch_exceptions=False)


@pytest.fixture
def evaluate_small(small_folder):
    """Run the command with two peers on the small data."""

    def run_evaluate(*words, models="median,ols", seeds="2"):
        return run(
            "evaluate", small_folder, "--models", models, "--seeds", seeds, "--workers", "1", *words
        )

    return run_evaluate


def test_json_has_the_agreed_keys(evaluate_small):
    result = evaluate_small("--format", "json")
    assert result.exit_code == 0
    rows = json.loads(result.stdout)
    assert len(rows) == 2 * 4
    assert all(list(row) == KEYS for row in rows)
    assert {row["scheme"] for row in rows} == {"random"}
    assert {row["model"] for row in rows} == {"median", "ols"}


def test_rows_are_those_of_the_function(evaluate_small, small):
    schemes = ("leave-family-out", "random")
    result = evaluate_small("--scheme", ",".join(schemes), "--format", "json")
    table = evaluate(small, ["median", "ols"], scheme=schemes, seeds=2, progress=False).table()
    found = pd.DataFrame(json.loads(result.stdout)).astype(table.dtypes)
    pd.testing.assert_frame_equal(found, table, rtol=SAVED)


@pytest.mark.parametrize("fmt", ["csv", "md", "latex"])
def test_every_format_prints_a_row_for_each_benchmark(evaluate_small, fmt):
    result = evaluate_small("--format", fmt)
    assert result.exit_code == 0
    for name in ("reading", "recall", "proofs", "puzzles"):
        assert result.stdout.count(name) == 2


def test_table_prints_every_summary_the_most_condensed_last(evaluate_small):
    result = evaluate_small("--scheme", "random,leave-family-out")
    assert result.exit_code == 0
    titles = [
        "Errors by benchmark",
        "Difference in mean error from median",
        "Leakage",
        "Means over",
    ]
    places = [result.stdout.index(title) for title in titles]
    assert places == sorted(places)


def test_table_compares_facts_with_scale(evaluate_small):
    result = evaluate_small(models="xgboost-scale,xgboost-all", seeds="1")
    assert "Gain" in result.stdout
    assert "Leakage" not in result.stdout  # one scheme alone


def test_seeds_from_and_to(evaluate_small, tmp_path):
    result = evaluate_small("--out", tmp_path, seeds="10-12")
    assert result.exit_code == 0
    stored = {path.name for path in (tmp_path / "folds").iterdir()}
    assert stored == {
        f"{model}-random-{seed:03d}-{fold:03d}.csv"
        for model in ("median", "ols")
        for seed in (10, 11, 12)
        for fold in range(3)
    }


def test_out_holds_folds_and_a_scoreboard(evaluate_small, small, tmp_path):
    out = tmp_path / "run"
    result = evaluate_small("--out", out, "--format", "json")
    assert result.exit_code == 0
    assert f"wrote {out / 'scoreboard.csv'}" in " ".join(result.stderr.split())
    assert {path.name for path in out.iterdir()} == {"folds", "manifest.json", "scoreboard.csv"}
    saved = Scoreboard(pd.read_csv(out / "scoreboard.csv"))
    board = evaluate(small, ["median", "ols"], seeds=2, progress=False)
    pd.testing.assert_frame_equal(saved.table(), board.table(), rtol=SAVED)


# pandas 3.1 calls an argument outdated that pandas 3.0, which is allowed too, needs.
@pytest.mark.filterwarnings("ignore:The 'float_precision' argument is deprecated")
def test_same_command_again_prints_the_same_and_computes_nothing(
    evaluate_small, tmp_path, monkeypatch
):
    def refuse(*_):
        raise AssertionError("a fold was computed again")

    first = evaluate_small("--out", tmp_path)
    monkeypatch.setattr(scoreboard, "run_fold", refuse)
    assert evaluate_small("--out", tmp_path).stdout == first.stdout


def test_spec_file_is_a_model_called_by_its_name(evaluate_small, tmp_path, monkeypatch):
    spec = tmp_path / "mine.toml"
    spec.write_text('decisions = []\nfamily_effects = "none"\n')
    asked = []

    def record(data, models, **settings):
        asked.append((models, settings))
        return evaluate(data, ["median"], seeds=1, progress=False)

    monkeypatch.setattr("bayesmeta.evaluate", record)
    evaluate_small("--scheme", " random , largest ", models=f"{spec}, full", seeds="3")
    ((models, settings),) = asked
    assert models == [str(spec), "full"]
    assert settings["scheme"] == ["random", "largest"]
    assert settings["seeds"] == 3
    assert settings["out"] is None


BAD = {
    "scheme": (["--scheme", "randm"], "leave-family-out"),
    "model": (["--models", "xgbost-all"], "Did you mean 'xgboost-all'?"),
    "model twice": (["--models", "ols,ols"], "named twice"),
    "no model": (["--models", ","], "no model is named"),
    "spec file": (["--models", "nowhere.toml"], "nowhere.toml"),
    "seeds": (["--seeds", "many"], "whole number from 1 up"),
    "no seeds": (["--seeds", "0"], "whole number from 1 up"),
    "seeds backwards": (["--seeds", "9-3"], "10-49"),
    "negative seeds": (["--seeds", "-3"], "whole number from 1 up"),
    "format": (["--format", "xml"], "latex"),
    "version": (["--data-version", "raw"], "as-published"),
    "data": (["no-such-folder"], "lms.csv"),
    "cluster": (["--dask", "tcp://127.0.0.1:9"], "dask scheduler"),
    "no cluster": (["--dask", "nonsense"], "dask scheduler"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_input_is_one_message_and_exit_code_2(monkeypatch, refuse, tmp_path, case):
    words, allowed = BAD[case]
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(jobs, "_DASK_SECONDS", 1)
    said = refuse("evaluate", *words, "--out", "run")
    assert allowed in said
    assert list(tmp_path.iterdir()) == []


def test_folder_of_other_data_is_refused_and_its_folds_are_kept(evaluate_small, refuse, tmp_path):
    evaluate_small("--out", tmp_path)
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    words = ("evaluate", "--models", "median,ols", "--out", tmp_path)
    said = refuse(*words)
    assert "Its folds are kept; choose another --out" in said
    assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == before


def test_foreign_folder_is_refused(small_folder, refuse, tmp_path):
    (tmp_path / "thesis.txt").write_text("years of work")
    words = ("evaluate", small_folder, "--models", "median", "--out", tmp_path)
    assert "holds no results of an evaluation" in refuse(*words)
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.txt"]


def test_interrupted_evaluation_says_where_its_folds_are(evaluate_small, monkeypatch, tmp_path):
    def interrupt(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr("bayesmeta.evaluate", interrupt)
    result = evaluate_small("--out", tmp_path / "run")
    assert result.exit_code == 130
    assert result.stdout == ""
    kept = f"interrupted: finished folds are kept in {tmp_path / 'run'}; the same command goes on"
    assert kept in " ".join(result.stderr.split())
    result = evaluate_small()
    assert result.exit_code == 130
    assert "interrupted: nothing was kept, for want of --out" in result.stderr


def test_recorded_scoreboard_is_printed(tmp_path):
    result = run("scoreboard", "--show", "means", "--format", "json")
    assert result.exit_code == 0
    rows = json.loads(result.stdout)
    assert {"scheme", "model", "mae", "lower", "upper"} <= set(rows[0])
    assert {"full", "scale", "xgboost-all", "xgboost-scale"} <= {row["model"] for row in rows}
    assert {"random", "leave-family-out"} <= {row["scheme"] for row in rows}
    result = run("scoreboard", "--format", "json")
    assert all(list(row) == KEYS for row in json.loads(result.stdout))


def test_recorded_scoreboard_is_printed_of_one_scheme():
    whole, one = (
        json.loads(run("scoreboard", "--show", "gains", "--format", "json", *words).stdout)
        for words in ([], ["--scheme", "largest"])
    )
    assert one == [row for row in whole if row["scheme"] == "largest"]
    assert len(whole) > len(one) > 0


@pytest.mark.parametrize(
    "words, allowed",
    [
        (["--show", "mean"], "means"),
        (["--scheme", "leave-family"], "Did you mean 'leave-family-out'?"),
        (["--data-version", "raw"], "as-published"),
    ],
)
def test_scoreboard_refuses_what_it_does_not_hold(refuse, words, allowed):
    assert allowed in refuse("scoreboard", *words)


def test_studies_are_held_out_of_the_bundled_experiments():
    result = run("evaluate", "--scheme", "leave-study-out", "--models", "no-effect",
                 "--format", "json")  # fmt: skip
    assert result.exit_code == 0
    rows = json.loads(result.stdout)
    assert all(list(row) == STUDY_KEYS for row in rows)
    assert {row["study"] for row in rows} >= {"llama2", "dclm", "mean"}
    recorded = run("scoreboard", "--scheme", "leave-study-out", "--format", "json")
    theirs = [row for row in json.loads(recorded.stdout) if row["model"] == "no-effect"]
    assert [row["study"] for row in rows] == [row["study"] for row in theirs]
    for one, other in zip(rows, theirs, strict=True):
        assert one["mae"] == pytest.approx(other["mae"], rel=SAVED)


def test_record_of_studies_is_printed_and_is_of_one_version(refuse):
    printed = run("scoreboard", "--scheme", "leave-study-out").stdout
    assert "Scores by study" in printed
    assert "Means over studies" in printed
    said = refuse("scoreboard", "--scheme", "leave-study-out", "--data-version", "as-published")
    assert "--data-version" in said
