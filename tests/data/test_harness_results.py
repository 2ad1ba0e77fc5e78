"""Results of harnesses in the layouts of several versions, written for these tests."""

import json
import math
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

import bayesmeta as bm
from bayesmeta.data.load import load_dataset
from bayesmeta.errors import DataError
from bayesmeta.importers.harness_results import read_lm_eval
from bayesmeta.importers.imported import match_names
from bayesmeta.importers.inspect_logs import read_inspect_logs
from bayesmeta.importers.protocols import read_protocols
from bayesmeta.importers.result_tables import read_result_table

SUBJECTS = next(p.tasks[0] for p in read_protocols() if p.name == "mmlu_5shot")


def write(path, content):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content))
    return path


def version_03(lm="lab/m-560m", shots=0, **results):
    """Write what versions up to 0.3 wrote: plain metrics, arguments as text."""
    return {
        "results": results or {
            "hellaswag": {"acc": 0.3156, "acc_stderr": 0.0046, "acc_norm": 0.3656,
                          "acc_norm_stderr": 0.0048},
            "arc_challenge": {"acc": 0.2244, "acc_stderr": 0.0122}},
        "versions": {"hellaswag": 0},
        "config": {"model": "hf-causal", "model_args": f"pretrained={lm},dtype=float16",
                   "num_fewshot": shots, "limit": None, "description_dict": {}},
    }  # fmt: skip


def version_04(lm="lab/m-1.5b", date=1_700_000_000.0, **more):
    """Write what versions from 0.4 on write: metric and filter in one key."""
    return {
        "results": {
            "winogrande": {"alias": "winogrande", "acc,none": 0.61, "acc_stderr,none": 0.0137},
            "hellaswag": {"alias": "hellaswag", "acc,none": 0.5021, "acc_stderr,none": "N/A",
                          "acc_norm,none": 0.6786, "acc_norm_stderr,none": "N/A"},
            "gsm8k": {"alias": "gsm8k", "exact_match,strict-match": 0.61,
                      "exact_match_stderr,strict-match": 0.0134,
                      "exact_match,flexible-extract": 0.62,
                      "exact_match_stderr,flexible-extract": 0.0133}},
        "n-shot": {"winogrande": 5, "hellaswag": 0, "gsm8k": 5},
        "n-samples": {"gsm8k": {"original": 1319, "effective": 1319}},
        "higher_is_better": {"gsm8k": {"exact_match": True}},
        "config": {"model": "hf", "model_args": f"pretrained={lm},dtype=bfloat16",
                   "model_num_parameters": 1_543_714_304, "limit": None},
        "date": date, "model_name": lm, "model_name_sanitized": lm.replace("/", "__"),
    } | more  # fmt: skip


def scores(found):
    return dict(zip(found.scores["benchmark"], found.scores["score"], strict=True))


def reasons(found):
    rows = found.left_out
    return {(row["task"], row["metric"]): row["why"] for row in rows.to_dict("records")}


def test_layout_of_03(tmp_path):
    found = read_lm_eval(write(tmp_path / "out.json", version_03()))
    assert found.lms["lm"].tolist() == ["lab/m-560m"]
    assert scores(found) == {"hellaswag_0shot": 0.3156, "arc_challenge_0shot": 0.2244}
    assert found.scores["se"].tolist() == [0.0122, 0.0046]
    own = found.benchmarks.set_index("benchmark")
    assert own.loc["hellaswag_0shot", ["task_family", "metric", "n_items", "n_shots"]].tolist() == [
        "commonsense", "accuracy", 10042, 0,
    ]  # fmt: skip
    assert reasons(found)["hellaswag", "acc_norm"] == "another metric of the task is taken"


def test_settings_of_the_bundled_benchmarks_get_their_names(tmp_path):
    for shots, task in ((10, "hellaswag"), (25, "arc_challenge"), (5, "winogrande")):
        write(tmp_path / f"{task}.json", version_03(shots=shots, **{task: {"acc": 0.5}}))
    found = read_lm_eval(tmp_path)
    assert set(scores(found)) == {"hellaswag", "arc_challenge", "winogrande"}
    assert len(found.benchmarks) == 0


def test_layout_of_04(tmp_path):
    found = read_lm_eval(write(tmp_path / "results_2024.json", version_04()))
    assert scores(found) == {"winogrande": 0.61, "hellaswag_0shot": 0.5021, "gsm8k": 0.61}
    se = found.scores.set_index("benchmark")["se"]
    assert se["gsm8k"] == 0.0134
    assert math.isnan(se["hellaswag_0shot"])
    assert found.lms["n_params"].item() == 1_543_714_304
    assert (found.left_out["filter"] == "flexible-extract").any()


def test_newer_layouts_of_04(tmp_path):
    content = version_04(
        results={"winogrande": {"name": "winogrande", "alias": "winogrande", "sample_len": 1267,
                                "acc,none": 0.61, "acc_stderr,none": 0.0137, "f1,none": 0.2,
                                "f1_stderr,none": "N/A", "perplexity,none": float("inf")}},
        group_subtasks={"winogrande": []}, configs={"winogrande": {"num_fewshot": 5}},
        config={"model": "vllm", "limit": None, "model_args": {
            "pretrained": "lab/m", "revision": "step1000", "load_in_4bit": True}},
    )  # fmt: skip
    del content["n-shot"], content["model_name"]
    found = read_lm_eval(write(tmp_path / "r.json", content))
    assert found.scores[["lm", "benchmark"]].values.tolist() == [
        ["lab/m@step1000-4bit", "winogrande"]
    ]
    assert reasons(found)["winogrande", "perplexity"] == "its value is no number"


def test_subjects_become_one_score_whose_error_is_propagated(tmp_path):
    rows = {name: {"acc,none": k / 100, "acc_stderr,none": 0.03, "alias": f" - {name}"}
            for k, name in enumerate(SUBJECTS)}  # fmt: skip
    group = {"acc,none": 0.9, "acc_stderr,none": 0.004, "alias": "mmlu"}
    content = version_04(
        results=rows | {"mmlu": group, "mmlu_stem": group},
        groups={"mmlu": group, "mmlu_stem": group},
        **{"n-shot": dict.fromkeys([*rows, "mmlu", "mmlu_stem"], 5)},
    )
    found = read_lm_eval(write(tmp_path / "r.json", content))
    assert scores(found) == {"mmlu_5shot": pytest.approx(0.28)}
    assert found.scores["se"].item() == pytest.approx(0.03 / math.sqrt(57))
    assert set(reasons(found)) == {("mmlu", "acc"), ("mmlu_stem", "acc")}
    # One subject short, the group's own mean is another benchmark: it weighs items, not subjects.
    del content["results"][SUBJECTS[0]]
    found = read_lm_eval(write(tmp_path / "r.json", content))
    assert scores(found) == {"mmlu_by_item_5shot": 0.9}


def test_subjects_of_03_and_of_a_leaderboard(tmp_path):
    old = {name.replace("mmlu_", "hendrycksTest-"): {"acc": 0.3, "acc_stderr": 0.03}
           for name in SUBJECTS}  # fmt: skip
    write(tmp_path / "a.json", version_03(lm="lab/a", shots=5, **old))
    board = {f"harness|{name}|5": row for name, row in old.items()} | {
        "all": {"acc": 0.1},
        "harness|arc:challenge|25": {"acc": 0.45, "acc_stderr": 0.0145, "acc_norm": 0.49},
        "harness|truthfulqa:mc|0": {"mc1": 0.25, "mc2": 0.36, "mc2_stderr": 0.014},
        "leaderboard|gsm8k|5|0": {"qem": 0.05, "qem_stderr": 0.006},
    }
    content = {"results": board, "config_general": {"model_name": "lab/b", "model_size": "13 GB"}}
    write(tmp_path / "results_2023-09-01T12-00-00.json", content)
    found = read_lm_eval(tmp_path)
    rows = {(r["lm"], r["benchmark"]): r["score"] for r in found.scores.to_dict("records")}
    assert rows == {
        ("lab/a", "mmlu_5shot"): pytest.approx(0.3), ("lab/b", "mmlu_5shot"): pytest.approx(0.3),
        ("lab/b", "arc_challenge"): 0.45, ("lab/b", "truthfulqa_mc2"): 0.36,
        ("lab/b", "gsm8k"): 0.05,
    }  # fmt: skip


def test_parts_with_the_same_items_share_their_error(tmp_path):
    rows = {"lambada_openai": {"acc,none": 0.6, "acc_stderr,none": 0.006},
            "lambada_standard": {"acc,none": 0.5, "acc_stderr,none": 0.008}}  # fmt: skip
    shots = {"n-shot": dict.fromkeys(rows, 0)}
    found = read_lm_eval(write(tmp_path / "r.json", version_04(results=rows, **shots)))
    assert scores(found) == {"lambada": pytest.approx(0.55)}
    assert found.scores["se"].item() == pytest.approx(0.007)
    del rows["lambada_standard"]
    found = read_lm_eval(write(tmp_path / "r.json", version_04(results=rows, **shots)))
    assert scores(found) == {"lambada_openai": 0.6}


def test_of_several_runs_the_newest_counts(tmp_path):
    for day, value in ((1, 0.1), (3, 0.3), (2, 0.2)):
        rows = {"winogrande": {"acc,none": value}}
        content = version_04(results=rows, date=1_700_000_000.0 + day * 86_400)
        write(tmp_path / f"results_{day}.json", content)
    found = read_lm_eval(tmp_path)
    assert scores(found) == {"winogrande": 0.3}
    assert found.left_out["value"].tolist() == [0.1, 0.2]


def test_what_is_not_the_benchmark_is_left_out(tmp_path):
    chat = version_04(lm="lab/chat", chat_template="<|user|>")
    part = version_04(lm="lab/part", **{
        "n-samples": {"winogrande": {"original": 1267, "effective": 100}},
        "config": {"limit": 100.0}})  # fmt: skip
    write(tmp_path / "chat.json", chat)
    write(tmp_path / "part.json", part)
    found = read_lm_eval(tmp_path)
    assert len(found.scores) == 0
    assert reasons(found)["chat winogrande", "acc"] == "no entry for this task"
    assert "only the first 100 of 1267 items" in reasons(found)["winogrande", "acc"]
    own = tmp_path / "own.toml"
    own.write_text('[[benchmark]]\nname = "wino_chat"\ntasks = ["chat winogrande"]\n'
                   'metric = "accuracy"\ntask_family = "commonsense"\nchance = 0.5\n')  # fmt: skip
    found = read_lm_eval(tmp_path / "chat.json", protocols=own)
    assert scores(found) == {"wino_chat": 0.61}
    assert found.benchmarks.loc[0, ["label", "chance"]].tolist()[1] == 0.5


@pytest.mark.parametrize(
    "text, message",
    [
        ("[[benchmark]]\ntasks = ['a']\n", "has no name"),
        ("[[benchmark]]\nname = 'a'\n", "tasks is None. Allowed: a list of words"),
        ("[[benchmark]]\nname = 'a'\ntasks = ['b']\nmetrik = ['acc']\n", "Did you mean 'metric'"),
        ("[[benchmark]]\nname = 'a'\ntasks = ['b']\nmetric = 'bleu'\n", "metric 'bleu' is not"),
        ("[[benchmark]]\nname = 'a'\ntasks = ['b_{subjects}']\n", "Allowed: subject, language"),
        ("[[benchmark]]\nname = 'a'\ntasks = ['b']\nn_shots = 'five'\n", "n_shots is 'five'"),
        ("[[benchmark]]\nname = 'a'\ntasks = ['b']\nchance = true\n", "chance is True"),
        ("[benchmarks]\n", "holds benchmarks. Allowed"),
        ("name = \n", "is no TOML text"),
    ],
)
def test_wrong_tables_of_protocols(text, message, tmp_path):
    own = tmp_path / "own.toml"
    own.write_text(text)
    with pytest.raises(DataError, match=message.replace("[", r"\[")):
        read_lm_eval(write(tmp_path / "r.json", version_04()), protocols=own)


def test_results_that_are_none_are_named(tmp_path):
    for content, message in (
        ({"model_type": "llama"}, "import-hf-config reads it"),
        ({"eval": {}, "results": {"scores": []}}, "import-inspect reads it"),
        ({"results": []}, "holds no results of lm-evaluation-harness"),
        ({"results": {"piqa": {"acc": 0.5}}}, "does not say which LM was run"),
    ):
        with pytest.raises(DataError, match=message):
            read_lm_eval(write(tmp_path / "x.json", content))
    # In a folder other files are listed, since one has configs and results side by side.
    write(tmp_path / "x.json", {"model_type": "llama"})
    write(tmp_path / "lab__m" / "results_2024.json", {"results": {"piqa": {"acc": 0.5}}})
    found = read_lm_eval(tmp_path)
    assert found.lms["lm"].tolist() == ["lab/m"]
    assert "holds no results" in found.left_out["why"].tolist()[0]


# --- Logs of Inspect, tables ----------------------------------------------------------------------


def log(version=2, status="success", **more):
    results = {
        1: {"scorer": {"name": "match", "params": {}},
            "metrics": {"accuracy": {"name": "accuracy", "value": 0.41},
                        "bootstrap_std": {"name": "bootstrap_std", "value": 0.0135}}},
        2: {"total_samples": 1319, "completed_samples": 1319, "scores": [
            {"name": "match", "scorer": "match", "params": {}, "metrics": {
                "accuracy": {"name": "accuracy", "value": 0.42, "options": {}},
                "stderr": {"name": "stderr", "value": 0.0136, "options": {}}}}]},
    }  # fmt: skip
    about = {"task": "inspect_evals/gsm8k", "model": "hf/lab/m", "task_args": {"fewshot": 10},
             "created": "2025-01-01T00:00:00", "config": {}} | more  # fmt: skip
    return {"version": version, "status": status, "eval": about, "results": results[version]}


def test_logs_of_inspect(tmp_path):
    write(tmp_path / "1.json", log(1, model="vllm/lab/old"))
    with zipfile.ZipFile(tmp_path / "2.eval", "w") as archive:
        archive.writestr("header.json", json.dumps(log(2)))
        archive.writestr("../samples/1_epoch_1.json", "{}")
    with zipfile.ZipFile(tmp_path / "3.eval", "w") as archive:
        archive.writestr("_journal/start.json", json.dumps({"eval": log(2)["eval"]}))
    write(tmp_path / "4.json", log(2, config={"limit": 10}))
    write(tmp_path / "5.json", log(2, status="error"))
    found = read_inspect_logs(tmp_path)
    assert found.scores[["lm", "benchmark", "score", "se"]].values.tolist() == [
        ["lab/old", "gsm8k_inspect", 0.41, 0.0135],
        ["lab/m", "gsm8k_inspect", 0.42, 0.0136],
    ]
    whys = found.left_out["why"].tolist()
    assert [why[:20] for why in whys] == ["the run did not end ", "only some items were",
                                          "the run did not end "]  # fmt: skip


def test_a_table_of_obsscaling(tmp_path):
    path = tmp_path / "t.csv"
    path.write_text(
        "Model,Model Family,Model Size (B),Pretraining Data Size (T),FLOPs (1E21),MMLU,ARC-C,"
        "GSM8K\n"
        "lab/a,A,7.3,2.0,84.0,0.43,0.53,\nlab/b,B,0.07,,,0.25,0.21,0.0\n"
    )
    found = read_result_table(path)
    lms = found.lms.set_index("lm")
    assert lms["n_params"].tolist() == [7_300_000_000, 70_000_000]
    assert lms.loc["lab/a", "n_tokens"] == 2e12
    assert math.isnan(lms.loc["lab/b", "n_tokens"])
    assert lms["lm_family"].tolist() == ["A", "B"]
    assert len(found.scores) == 5
    assert found.left_out["task"].tolist() == ["FLOPs (1E21)"]


def test_a_leaderboard_in_percent(tmp_path):
    path = tmp_path / "t.csv"
    path.write_text(
        "T,Model,Average,ARC,Winogrande,#Params (B)\n"
        '?,"<a target=""_blank"" href=""https://x"">lab/a</a>",50.1,49.5,70.25,6.7\n'
    )
    found = read_result_table(path)
    assert found.lms["lm"].tolist() == ["lab/a"]
    assert scores(found) == {"arc_challenge_norm_25shot": 0.495, "winogrande": 0.7025}


# --- Into a folder --------------------------------------------------------------------------------


def test_names_that_are_the_same_but_for_case_or_owner():
    known = ["Qwen/Qwen2.5-3B", "lab/a", "one/x", "two/x"]
    assert match_names(["qwen2.5-3b", "LAB/A", "x", "other/a", "lab/a"], known) == {
        "qwen2.5-3b": "Qwen/Qwen2.5-3B", "LAB/A": "lab/a",
    }  # fmt: skip


def test_a_bundled_lm_gets_its_facts(tmp_path):
    found = read_lm_eval(write(tmp_path / "r.json", version_03(lm="EleutherAI/pythia-1b")))
    truth = load_dataset().lms.set_index("lm").loc["EleutherAI/pythia-1b"]
    assert found.lms.loc[0, "lm_family"] == "pythia"
    assert found.lms.loc[0, "n_tokens"] == truth["n_tokens"]


def test_saving_fills_keeps_and_lists(tmp_path):
    out = tmp_path / "own"
    first = read_lm_eval(write(tmp_path / "r.json", version_04()))
    saved = first.save(out)
    assert saved.rows == {"lms": 1, "scores": 3, "benchmarks": 1}
    assert saved.missing["column"].tolist() == ["n_tokens"]
    assert "m-1.5b" in (out / "lms.csv").read_text()
    again = read_lm_eval(
        write(tmp_path / "r.json", version_04(results={"winogrande": {"acc,none": 0.7}})),
        facts={"n_tokens": "2e12", "n_params": "1e9", "lab/m-1.5b:lm_family": "m"},
    )
    saved = again.save(out)
    assert saved.rows == {"lms": 1, "scores": 3, "benchmarks": 1}
    assert len(saved.missing) == 0
    kept = {
        (row["table"], row["column"]): row["kept"] for row in saved.differing.to_dict("records")
    }
    assert kept == {("lms", "n_params"): 1_543_714_304, ("lms", "lm_family"): "lab/m-1.5b",
                    ("scores", "score"): 0.7}  # fmt: skip
    data = bm.read_dataset(out)
    assert len(data.scores) == 3
    assert data.lms["n_tokens"].tolist() == [2 * 10**12]


@pytest.mark.parametrize(
    "facts, message",
    [
        ({"n_token": "2e12"}, "fact 'n_token' is not known. Did you mean 'n_tokens'"),
        ({"lm": "x"}, "fact 'lm' is not known"),
        ({"lab/x:norm": "rmsnorm"}, "lm 'lab/x' is not known.*Allowed: lab/m-1.5b"),
        ({"norm": "batchnorm"}, "column 'norm': 'batchnorm' is not one of the words"),
    ],
)
def test_wrong_facts(facts, message, tmp_path):
    with pytest.raises(DataError, match=message):
        read_lm_eval(write(tmp_path / "r.json", version_04()), facts=facts)


def test_results_and_configs_of_five_lms_become_a_dataset_without_a_table_edited(tmp_path):
    for k in range(5):
        lm = f"lab/m-{k}"
        write(tmp_path / "results" / f"lab__m-{k}" / "results_2024.json", version_04(lm=lm))
        config = {"model_type": "llama", "hidden_size": 64, "num_attention_heads": 4,
                  "intermediate_size": 256, "hidden_act": "silu"}  # fmt: skip
        write(tmp_path / "configs" / f"m-{k}" / "config.json", config)
    out = tmp_path / "own"
    for words in (
        ["import-lm-eval", tmp_path / "results", "--set", "n_tokens=2e12"],
        ["import-hf-config", tmp_path / "configs", "--set", "lm_family=m"],
    ):
        run = subprocess.run(
            [sys.executable, "-m", "bayesmeta.cli", "data", *words, "--out", out, "--format",
             "json"], capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert run.returncode == 0, run.stderr
        report = json.loads(run.stdout)
    assert report["rows"] == {"lms": 5, "scores": 15, "benchmarks": 1}
    assert report["missing"] == []
    data = bm.read_dataset(out)
    assert data.lms["norm"].tolist() == ["rmsnorm"] * 5
    assert sorted(path.name for path in Path(out).iterdir()) == [
        "benchmarks.csv", "lms.csv", "scores.csv",
    ]  # fmt: skip
