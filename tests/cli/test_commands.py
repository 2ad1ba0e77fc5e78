import json
import math
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest
from click.testing import CliRunner

import bayesmeta as bm
from bayesmeta import (
    fit,
    load_dataset,
    load_reference_fit,
    load_validation,
    read_effect_sizes,
)
from bayesmeta.cli.shared import app
from bayesmeta.data.load import bundled_folder
from bayesmeta.inference.saved_fits import load_fit

STATEMENT = "position_embedding: rotary > learned"


def run(*words: str):
    return CliRunner().invoke(app, list(words), catch_exceptions=False)


def run_json(*words: str):
    result = run(*words, "--format", "json")
    assert result.exit_code == 0
    return json.loads(result.stdout)


def run_process(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "bayesmeta.cli", *words], capture_output=True, text=True, check=False
    )


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no disk that is full")
def test_a_full_disk_behind_standard_output_is_said_in_a_line():
    words = [sys.executable, "-m", "bayesmeta.cli", "query", STATEMENT]
    with Path("/dev/full").open("w") as full:
        found = subprocess.run(words, stdout=full, stderr=subprocess.PIPE, text=True, check=False)
    assert found.returncode == 2
    assert found.stderr.startswith("error: standard output cannot be written (No space left")
    assert "Traceback" not in found.stderr


def test_query_json_has_the_agreed_keys():
    """They are those of the answer in Python, whose keys a test of its own holds."""
    answer = bm.query(bm.load_reference_fit(), STATEMENT).to_dict()
    assert run_json("query", STATEMENT) == json.loads(json.dumps(answer))


def test_effects_json_has_the_agreed_keys():
    rows = run_json("effects", "--decision", "norm", "--by", "task_family")
    assert {
        "decision", "level", "reference", "by", "estimate", "sd", "lower", "upper", "ci_prob",
        "units", "prob_helps", "mcse", "verdict",
    } <= set(rows[0])  # fmt: skip
    assert {row["target"] for row in rows} == set(load_dataset().benchmarks["task_family"])


def test_curve_json_has_the_agreed_keys():
    curve = run_json("curve", "code_share", "--by", "task_family")
    assert {"grid", "curves", "optimum"} <= set(curve)
    assert {"estimate", "lower", "upper", "prob_between_15_25"} <= set(curve["optimum"]["code"])
    assert all(len(part["estimate"]) == len(curve["grid"]) for part in curve["curves"].values())


def test_substitutions_json_has_the_keys_of_effects():
    rows = run_json("substitutions", "code_share", "--points", "5", "--by", "task_family")
    effects = run_json("effects", "--decision", "code_share")
    assert set(rows[0]) == {*effects[0], "n_lms"}
    assert {(row["decision"], row["level"]) for row in rows} == {("code_share", "+5")}
    assert {row["target"] for row in rows} == set(load_dataset().benchmarks["task_family"])


def test_swap_is_asked_as_a_statement():
    answer = run_json("query", "code_share: +10 from web_share", "--task-family", "code")
    row = next(
        row
        for row in run_json("substitutions", "code_share", "--by", "task_family")
        if (row["reference"], row["target"]) == ("web_share", "code")
    )
    assert answer["statement"] == "code_share: +10 from web_share"
    assert answer["effect"]["estimate"] == pytest.approx(row["estimate"])  # JSON has ten digits
    assert answer["evidence"]["lms"]["averaged_over"] == row["n_lms"]
    said = run("query", "code_share: +10 from web_share", "--task-family", "code").stdout
    assert "read as     code_share: +10% from web_share" in said
    assert "on code (1 benchmark)" in said


NEW_LMS = """\
lm,lm_family,n_params,n_tokens,norm,code_share
small,new,1000000000,300000000000,rmsnorm,10
large,new,70000000000,2000000000000,rmsnorm,10
vast,new,900000000000,20000000000000,,10
"""


@pytest.fixture
def new_lms(tmp_path):
    path = tmp_path / "lms.csv"
    path.write_text(NEW_LMS)
    return str(path)


def test_predict_json_has_the_agreed_keys(new_lms):
    rows = run_json("predict", new_lms)
    assert set(rows[0]) == {
        "lm", "benchmark", "estimate", "sd", "lower", "upper", "ci_prob", "units",
        "lower_observed", "upper_observed", "direction", "family", "extrapolates", "undisclosed",
    }  # fmt: skip
    assert len(rows) == 3 * len(load_dataset().benchmarks)
    assert all(row["lower"] <= row["estimate"] <= row["upper"] for row in rows)
    assert {row["lm"]: row["extrapolates"] for row in rows} == {
        "small": "", "large": "", "vast": "n_params, n_tokens"
    }  # fmt: skip
    assert rows == run_json("predict", new_lms)
    assert rows != run_json("predict", new_lms, "--seed", "2")


def test_predict_prints_what_its_intervals_are(new_lms):
    result = run("predict", new_lms, "--ci-prob", "0.8")
    assert result.stdout.startswith(
        "Expected scores, and where new observations would lie; percentage points, 80 %"
    )
    assert "ci_prob" not in result.stdout
    assert "lower_observed" in result.stdout


def test_whatif_json_has_the_agreed_keys():
    words = ("EleutherAI/pythia-6.9b", "position_embedding=learned", "n_params=13e9")
    rows = run_json("whatif", *words, "--by", "task_family")
    assert set(rows[0]) == {
        "lm", "change", "by", "target", "as_is", "changed", "estimate", "sd", "lower", "upper",
        "ci_prob", "units", "prob_helps", "mcse", "kind",
    }  # fmt: skip
    assert {row["kind"] for row in rows} == {"effect"}
    assert {row["target"] for row in rows} == set(load_dataset().benchmarks["task_family"])
    assert rows[0]["change"].startswith("position_embedding: rotary -> learned; n_params: 68573")


def test_whatif_warns_beyond_the_data():
    result = run("whatif", "EleutherAI/pythia-6.9b", "n_params=1e15", "--by", "overall")
    assert result.exit_code == 0
    assert "warning: outside what the LMs of the data record: n_params" in result.stderr
    assert "EleutherAI/pythia-6.9b with n_params" in result.stdout


def test_designs_json_has_the_agreed_keys(new_lms):
    words = ("--benchmarks", "hellaswag,humaneval", "--budget", "1e25")
    result = run("designs", new_lms, *words, "--format", "json")
    rows = json.loads(result.stdout)
    assert set(rows[0]) == {
        "lm", "prob_best", "mcse", "expected_rank", "mcse_rank", "estimate", "sd", "lower",
        "upper", "ci_prob", "units", "training_flop", "designs", "family", "extrapolates",
        "undisclosed",
    }  # fmt: skip
    assert [row["lm"] for row in rows] == ["large", "small"]
    assert rows[0]["training_flop"] == pytest.approx(6 * 70e9 * 2e12)
    assert "left out, since over the budget of 1e+25 FLOP: vast (1.08e+26 FLOP)" in result.stderr


def test_designs_prints_compute_for_reading(new_lms):
    result = run("designs", new_lms)
    assert "1.08e+26" in result.stdout
    assert "a Brier score counts with a minus" in result.stdout.replace("\n", " ")


def test_tradeoff_json_has_places_with_edges():
    words = ("--loss", "language_modelling,commonsense", "--weights", "1", "3")
    rows = run_json("tradeoff", "code_share", *words)
    assert [row["place"] for row in rows] == ["loss_starts", "best_sum"]
    for row in rows:
        assert set(row) == {
            "place", "estimate", "lower", "upper", "ci_prob", "prob_at_lower_edge",
            "prob_at_upper_edge", "mcse", "kind",
        }  # fmt: skip
        assert row["kind"] == "effect"
        assert 0 <= row["lower"] <= row["estimate"] <= row["upper"] <= 100


def test_check_json_has_the_agreed_keys():
    report = run_json("check")
    assert {
        "passed", "rhat_max", "ess_bulk_min", "ess_tail_min", "divergences", "bfmi_min",
        "pareto_k_bad", "failures",
    } <= set(report)  # fmt: skip
    assert report["passed"]


@pytest.mark.parametrize("fmt", ["table", "csv", "md", "latex"])
def test_every_format_prints_the_levels(fmt):
    result = run("effects", "--decision", "norm", "--format", fmt)
    assert result.exit_code == 0
    assert "rmsnorm" in result.stdout


FOR_PAPERS = {
    "effects": (["effects", "--decision", "norm"], "90 % equal-tailed"),
    "substitutions": (["substitutions", "code_share", "--ci-prob", "0.5"], "50 % equal-tailed"),
    "query": (["query", "norm: rmsnorm > layernorm"], "90 % equal-tailed"),
    "rank": (["rank", "norm"], "Which level of norm is the best"),
    "curve": (["curve"], "code_share (% of training tokens)"),
    "tradeoff": (["tradeoff"], "90 % equal-tailed"),
    "ladders": (["ladders"], "90 % equal-tailed"),
    "influence": (["influence", "code_share: 20 > 5"], "in percentage points"),
    "whatif": (["whatif", "EleutherAI/pythia-6.9b", "attention=gqa"], "90 % equal-tailed"),
    "scoreboard": (["scoreboard", "--show", "gains"], "90 % intervals over LM families"),
    "multiverse": (
        ["multiverse", "position_embedding: rotary > learned", "--recorded"],
        "90 % equal-tailed",
    ),
}


@pytest.mark.parametrize("command", FOR_PAPERS)
def test_tables_for_papers_say_in_their_caption_what_is_shown(command):
    words, said = FOR_PAPERS[command]
    text = run(*words, "--format", "latex").stdout.splitlines()
    assert said in text[2].removeprefix("\\caption{").replace("\\", "")
    assert "\\_" not in text[text.index("\\toprule") + 1]
    assert run(*words, "--format", "md").stdout.splitlines()[-2] == ""


def test_effects_take_decisions_and_statements_together():
    rows = run_json("effects", "norm", "--decision", "attention: gqa > mha")
    assert [row["level"] for row in rows] == ["nonparametric", "rmsnorm", "gqa"]


def test_a_part_of_the_scoreboard_says_that_there_are_others():
    result = run("scoreboard", "--format", "csv")
    assert "--show gives the others: benchmarks, gains" in result.stderr
    assert not run("scoreboard", "--format", "csv", "--show", "benchmarks").stderr


def test_data_show_counts_the_published_scores():
    rows = run_json("data", "show", "--data-version", "as-published")
    counts = {row["benchmark"]: row["n_scores"] for row in rows}
    assert counts["arc_challenge"] == 92
    assert counts["truthfulqa"] == 69


def test_data_show_lists_the_lms():
    rows = {row["lm"]: row for row in run_json("data", "show", "--lms")}
    assert len(rows) == 92
    assert list(rows["01-ai/Yi-34B"]) == [
        "lm", "lm_family", "n_params", "n_tokens", "n_epochs", "n_stages", "derived_from",
    ]  # fmt: skip
    assert rows["Salesforce/codegen-2B-mono"]["n_stages"] == 2
    assert rows["Salesforce/codegen-2B-mono"]["derived_from"] == "Salesforce/codegen-2B-multi"
    assert rows["Salesforce/codegen-16B-mono"]["n_stages"] == 2
    assert rows["EleutherAI/gpt-j-6b"]["n_stages"] == 0
    assert rows["EleutherAI/gpt-j-6b"]["n_epochs"] == 1.08
    assert rows["01-ai/Yi-34B"]["n_epochs"] is None


@pytest.fixture
def without_tokens(small, tmp_path):
    """A folder of the small dataset without the tokens of one LM."""
    lms = small.lms.astype({"n_tokens": float})
    lms.loc[1, "n_tokens"] = math.nan
    replace(small, lms=lms).save(tmp_path / "own")
    return tmp_path / "own"


def test_data_show_lists_estimates_of_blank_sizes(without_tokens, build_fake_fit, tmp_path):
    spec = bm.ModelSpec(unknown_numbers="estimated")
    draws = build_fake_fit(bm.read_dataset(without_tokens), spec=spec)
    draws.save(tmp_path / "fit.nc")
    alone, after = (
        {row["lm"]: row for row in run_json("data", "show", *words, "--lms")}
        for words in ([str(without_tokens)], ["--fit", str(tmp_path / "fit.nc")])
    )
    for rows in (alone, after):
        row = rows["ant-2"]
        assert row["estimated"] == "n_tokens"
        assert row["lower"] < row["n_tokens"] < row["upper"]
        assert rows["ant-1"]["estimated"] is None
    assert alone["ant-2"]["lower"] < 3e11 < alone["ant-2"]["upper"]
    assert alone["ant-2"]["n_tokens"] != after["ant-2"]["n_tokens"]
    assert "no problems found" in run("data", "validate", str(without_tokens)).stdout


def test_data_show_of_two_tables_is_refused(without_tokens, refuse):
    said = refuse("data", "show", without_tokens, "--fit", "fit.nc")
    assert "fit.nc" in said
    assert "one of them" in said


def test_data_show_lists_blank_sizes_that_nothing_tells(without_tokens):
    path = without_tokens / "lms.csv"
    kept = path.read_text().splitlines()[:5]
    path.write_text("\n".join(kept) + "\n")
    names = tuple(line.partition(",")[0] for line in kept)
    scores = without_tokens / "scores.csv"
    rows = scores.read_text().splitlines(keepends=True)
    scores.write_text("".join(row for row in rows if row.partition(",")[0] in names))
    result = run("data", "show", str(without_tokens), "--lms", "--format", "csv")
    assert result.exit_code == 0
    assert "not estimated: n_tokens is blank for 1 LM (ant-2)" in result.stderr


def test_data_validate_accepts_the_bundled_tables(tmp_path):
    for name in ("lms.csv", "scores.csv", "benchmarks.csv", "corrections.csv"):
        shutil.copy(bundled_folder() / name, tmp_path)
    assert run_json("data", "validate", str(tmp_path))["problems"] == []


def test_data_add_writes_a_folder_that_commands_take(tmp_path):
    own, both = tmp_path / "own", tmp_path / "both"
    own.mkdir()
    (own / "lms.csv").write_text("lm,lm_family,n_params,n_tokens\na,f,1000000000,20000000000\n")
    (own / "scores.csv").write_text("lm,benchmark,score\na,hellaswag,0.33\n")
    result = run("data", "add", str(own), "--out", str(both))
    assert "Dataset(93 lms, 13 benchmarks, 1106 scores" in result.stdout
    assert run_json("data", "validate", str(both))["rows"]["scores"] == 1106
    assert "0 of 1 lms surprised (0.1 expected by chance); effects by importance" in result.stdout
    assert "verdicts that changed: none" in result.stdout
    report = run_json("data", "add", str(own), "--out", str(both))
    assert list(report) == ["out", "rows", "changes"]
    assert report["changes"]["method"] == "importance"
    assert report["changes"]["lms"][0]["lm"] == "a"
    first = report["changes"]["statements"][0]
    assert list(first) == ["statement", "before", "after", "move"]
    assert list(first["after"]) == ["estimate", "lower", "upper", "prob_helps", "verdict"]


def test_data_diff_lists_cells(tmp_path):
    report = run_json("data", "diff", "as-published", "corrected")
    assert report["rows"]["scores"] == {"added": 23, "removed": 46, "changed": 69}
    assert report["cells"][0] == {
        "table": "lms", "row": "01-ai/Yi-34B", "change": "changed", "column": "n_params",
        "before": "34000000000", "after": "34388917248",
    }  # fmt: skip
    assert report["after"] == {"source": "bundled", "checksum": bm.load_dataset().checksum}
    shown = run("data", "diff", "as-published", "corrected").stdout
    assert "scores: 23 rows added, 46 removed, 69 cells changed" in shown
    assert f"and {len(report['cells']) - 40} cells more" in shown
    bm.load_dataset().save(tmp_path / "same")
    assert "no differences" in run("data", "diff", "corrected", str(tmp_path / "same")).stdout


def test_data_show_lists_the_studies():
    rows = {row["study"]: row for row in run_json("data", "show", "--experiments")}
    assert rows["muennighoff"]["n_results"] == 533
    assert rows["llama2"]["decisions"] == "attention, context_length, mlp_ratio"
    assert list(rows["tpa"]) == [
        "study", "n_groups", "n_arms", "n_results", "n_benchmarks", "licence", "decisions",
    ]  # fmt: skip
    table = run("data", "show", "--experiments")
    assert "207 arms" in table.stderr
    assert "smol-playbook" in table.stdout
    assert run("data", "show", "--experiments", "--format", "csv").stdout.count("\n") == 17


def test_experiments_of_ones_own(tmp_path, refuse):
    own, both = tmp_path / "own", tmp_path / "both"
    own.mkdir()
    (own / "arms.csv").write_text(
        "study,group,arm,n_params,n_tokens,norm\n"
        "mine,g,a,1000000000,20000000000,rmsnorm\nmine,g,b,1000000000,20000000000,layernorm\n"
    )
    results = "study,group,arm,benchmark,score\nmine,g,a,hellaswag,0.51\nmine,g,b,hellaswag,0.5\n"
    (own / "results.csv").write_text(results)
    report = run_json("data", "validate", str(own))
    assert report == {"rows": {"studies": 1, "arms": 2, "results": 2}, "problems": []}
    assert run_json("data", "show", str(own), "--experiments")[0]["decisions"] == "norm"
    added = run("data", "add", str(own), "--out", str(both))
    assert "Dataset(92 lms, 13 benchmarks, 1105 scores, 17 studies" in added.stdout
    assert run_json("data", "validate", str(both))["rows"]["results"] == 2578
    assert len(run_json("data", "show", str(both), "--experiments")) == 17
    (own / "results.csv").write_text(results.replace("0.51", "3.4"))
    assert "results.csv, line 2, column 'score': arm 'a' (study 'mine'" in refuse(
        "data", "validate", own
    )


@pytest.mark.parametrize(
    "kind, ending", [("forest", ".pdf"), ("curve", ".png"), ("tradeoff", ".svg")]
)
def test_plot_writes_the_figure_and_returns_its_numbers(tmp_path, kind, ending):
    out = tmp_path / f"{kind}{ending}"
    report = run_json("plot", kind, "--out", str(out))
    assert report["paths"] == [str(out)]
    assert out.stat().st_size > 5_000
    assert {"estimate", "lower", "upper"} <= set(report["numbers"][kind][0])
    assert [path.name for path in tmp_path.iterdir()] == [out.name]


@pytest.mark.parametrize("kind", ["prior-posterior", "ranks"])
def test_figures_of_validation_are_drawn(tmp_path, kind):
    out = tmp_path / f"{kind}.png"
    result = run("plot", kind, "--out", str(out), "--data", "-")
    assert result.exit_code == 0
    header = result.stdout.splitlines()[0].split(",")
    wanted = {"prior-posterior": {"prior_lower", "narrowed"}, "ranks": {"rank", "difference"}}
    assert wanted[kind] <= set(header)
    assert out.stat().st_size > 5_000


@pytest.mark.parametrize("check", ["calibration", "coverage", "placebo", "power", "priors"])
def test_validation_prints_the_record(check):
    rows = run_json("validation", check)
    assert len(rows) == len(load_validation(check))


def test_fit_of_effect_sizes_is_refused_by_commands_about_lms(tmp_path):
    frame = pd.DataFrame({"s": list("abc"), "y": [0.1, 0.3, 0.2], "e": [0.1, 0.2, 0.1]})
    table = read_effect_sizes(frame, effect="y", se="e", study="s")
    settings = {"draws": 20, "tune": 20, "chains": 1, "progress": False}
    fit(table, seed=1, **settings).save(tmp_path / "fit.nc")
    result = run_process("effects", "--fit", str(tmp_path / "fit.nc"))
    assert result.returncode == 2
    assert "is a fit of effect sizes" in " ".join(result.stderr.split())
    assert "Traceback" not in result.stderr


def test_quick_fit_saves_prints_and_fails_its_checks(tmp_path):
    spec = tmp_path / "spec.toml"
    spec.write_text('decisions = ["norm", "attention"]\nfamily_effects = "none"\n')
    out = tmp_path / "fit.nc"
    words = ("fit", "--quick", "--out", str(out), "--spec", str(spec), "--format", "json")
    result = CliRunner().invoke(app, list(words), catch_exceptions=False)
    report = json.loads(result.stdout)
    assert result.exit_code == 1  # 300 draws cannot reach 400 effective ones
    assert not report["passed"]
    assert set(report) == {"passed", "out", "seconds", "diagnostics"}
    assert set(report["seconds"]) == {"compile", "sample", "total"}
    assert load_fit(out).spec.decisions == ("norm", "attention")


BAD = {
    "decision": (["query", "positional: rotary > learned"], "position_embedding"),
    "level": (["query", "position_embedding: rope > lerned"], "learned"),
    "form": (["query", "make it better"], "DECISION: A > B"),
    "benchmark": (["query", STATEMENT, "--benchmark", "lambda"], "lambada"),
    "by": (["effects", "--by", "task"], "task_family"),
    "format": (["effects", "--format", "xml"], "latex"),
    "check": (["validation", "sbc"], "calibration"),
    "figure of a record": (["plot", "rank", "--out", "rank.png"], "'ranks'"),
    "missing fit": (["check", "--fit", "nowhere.nc"], "bayesmeta fit --out"),
    "version": (["data", "show", "--data-version", "raw"], "as-published"),
    "folder": (["data", "validate", "no-such-folder"], "lms.csv"),
    "experiments": (["data", "show", "no-such-folder", "--experiments"], "arms.csv"),
    "upstream": (["data", "import-upstream", "no-such-folder"], "model_annotations.csv"),
    "ending": (["plot", "forest", "--out", "figure.gif"], ".pdf"),
    "figure": (["plot", "forrest", "--out", "figure.pdf"], "forest"),
    "out": (["fit", "--out", "no/such/folder/fit.nc"], "folder that exists"),
    "swap": (["query", "code_share: +10 from wbe_share"], "web_share"),
    "part": (["substitutions", "cood_share"], "code_share"),
    "points": (["substitutions", "--points", "0"], "above 0 and up to 100"),
    "gain": (["tradeoff", "--gain", "cooding"], "code"),
    "one target": (["plot", "tradeoff", "--by", "overall", "--out", "t.pdf"], "overall"),
    "spec": (["fit", "--spec", "nowhere.toml"], "nowhere.toml"),
    "table of lms": (["predict", "nowhere.csv"], "lm, lm_family, n_params, n_tokens"),
    "long table of lms": (["designs", "x" * 10_000], "(10000 characters) does not exist"),
    "lm": (["whatif", "pythia-6.9bb", "norm=rmsnorm"], "Did you mean 'EleutherAI/pythia-6.9b'?"),
    "long lm": (["whatif", "x" * 10_000, "norm=rmsnorm"], "(10000 characters)"),
    "changed decision": (["whatif", "EleutherAI/pythia-1b", "nrm=rmsnorm"], "'norm'"),
    "changed level": (["whatif", "EleutherAI/pythia-1b", "norm=rmsnrm"], "'rmsnorm'"),
    "change": (["whatif", "EleutherAI/pythia-1b", "norm"], "DECISION=LEVEL"),
    "changed argument": (["whatif", "EleutherAI/pythia-1b", "lm=b"], "'lm' is no fact"),
    "empty level": (["whatif", "EleutherAI/pythia-1b", "norm="], "DECISION=LEVEL"),
    "long change": (["whatif", "EleutherAI/pythia-1b", "x" * 10_000], "DECISION=LEVEL"),
    "long level": (["whatif", "EleutherAI/pythia-1b", "norm=" + "x" * 10_000], "rmsnorm"),
    "changed twice": (["whatif", "EleutherAI/pythia-1b", "norm=rmsnorm", "norm=a"], "given twice"),
    "changed size": (["whatif", "EleutherAI/pythia-1b", "n_params=7Z"], "7e9"),
    "sampler": (["fit", "--sampler", "stan"], "nutpie"),
    "choice of analysts": (["multiverse", STATEMENT, "--choice", "prior=wide"], "prior_width"),
    "specifications": (["multiverse", STATEMENT, "--n", "3"], "whole number from 15 up"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_input_is_one_message_and_exit_code_2(monkeypatch, refuse, tmp_path, case):
    words, allowed = BAD[case]
    monkeypatch.chdir(tmp_path)
    assert allowed in refuse(*words)
    assert list(tmp_path.iterdir()) == []


BAD_LMS = {
    "empty": ("", [], "is empty"),
    "header": (NEW_LMS.splitlines()[0] + "\n", [], "has a header but no rows"),
    "twice": (NEW_LMS.replace("large", "small"), [], "line 3, column 'lm'"),
    "level": (NEW_LMS.replace(",rmsnorm", ",groupnorm", 1), [], "rmsnorm"),
    "no size": (NEW_LMS.replace("n_params", "d_model"), [], "column 'n_params' is missing"),
    "binary": ("\0\1", [], "is not CSV text"),
    "budget": (NEW_LMS, ["--budget", "1"], "leaves out all 3"),
    "benchmarks": (NEW_LMS, ["--benchmarks", "hellaswg"], "hellaswag"),
}


@pytest.mark.parametrize("case", BAD_LMS)
def test_table_of_lms_that_cannot_be_used_is_one_message(refuse, tmp_path, case):
    text, words, allowed = BAD_LMS[case]
    (tmp_path / "lms.csv").write_text(text)
    assert allowed in refuse("designs", tmp_path / "lms.csv", *words)


def test_unknown_option_exits_2_without_traceback():
    result = run_process("query", STATEMENT, "--benchmrk", "lambada")
    assert result.returncode == 2
    assert "Traceback" not in result.stderr
    assert "--benchmark" in result.stderr


def test_truncated_fit_is_refused(tmp_path):
    whole = (bundled_folder() / "reference_fit.nc").read_bytes()
    path = Path(tmp_path, "half.nc")
    path.write_bytes(whole[: len(whole) // 2])
    result = run_process("check", "--fit", str(path))
    assert result.returncode == 2
    assert str(path) in result.stderr
    assert "Traceback" not in result.stderr


def test_interrupted_fit_leaves_the_old_one_alone(monkeypatch, tmp_path):
    def interrupt(*_, **__):
        raise KeyboardInterrupt

    out = tmp_path / "fit.nc"
    out.write_bytes(b"old")
    monkeypatch.setattr("bayesmeta.fit", interrupt)
    result = run("fit", "--out", str(out))
    assert result.exit_code == 130
    assert "interrupted" in result.stderr
    assert out.read_bytes() == b"old"


def test_failed_fit_warns_with_every_answer(tmp_path):
    path = tmp_path / "failed.nc"
    report = {"failures": ["R-hat reaches 1.200; allowed is 1.01."]}
    load_reference_fit().with_diagnostics(report).save(path)
    result = run("query", STATEMENT, "--fit", str(path))
    assert result.exit_code == 0
    assert "warning: this fit failed its checks" in result.stderr
    assert "R-hat reaches 1.200" in result.stderr


def test_value_outside_the_data_is_prior_dominated():
    answer = run_json("query", "context_length: 1e12 > 2048")
    assert answer["evidence"]["verdict"] == "prior-dominated"


def test_latex_escapes_comparisons():
    assert (
        "rmsnorm $>$ layernorm"
        in run("query", "norm: rmsnorm > layernorm", "--format", "latex").stdout
    )


def test_decisions_stand_behind_effects_or_in_an_option():
    asked = (
        ("effects", "norm", "attention: gqa > mha"),
        ("effects", "--decision", "norm", "--decision", "attention: gqa > mha"),
    )
    first, second = (run_json(*words) for words in asked)
    assert first == second
    assert [row["decision"] for row in first] == ["norm", "norm", "attention"]


def test_experiments_are_shown_of_some_decisions():
    rows = run_json("experiments", "corpus")
    assert {row["question"].partition(":")[0] for row in rows} == {"corpus"}


@pytest.mark.parametrize("option", ["--lm", "--lms"])
def test_lms_are_named_as_in_python(option):
    (row,) = run_json("effects", "attention: gqa > mha", option, "01-ai/Yi-9B")
    (of_all,) = run_json("effects", "attention: gqa > mha")
    assert row["estimate"] != of_all["estimate"]
