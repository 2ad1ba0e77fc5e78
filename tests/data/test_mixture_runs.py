"""Runs on mixtures of data become arms: layouts of Olmix, RegMix and DataDecide."""

import json
import subprocess
import sys

import pytest

import bayesmeta as bm
from bayesmeta.errors import DataError
from bayesmeta.importers.mixture_runs import read_mixture_runs

RATIOS = """run,name,dclm:politics,dclm:science,starcoder,arxiv,mystery
run_1,first,0.4,0.3,0.1,0.1,0.1
run_2,second,0.2,0.2,0.4,0.1,0.1
"""
METRICS = """run,name,HumanEval,HellaSwag,arc_challenge_bpb
run_1,first,0.10,0.41,1.23
run_2,second,0.19,0.38,1.15
run_3,third,0.19,0.38,1.15
"""


@pytest.fixture
def tables(tmp_path):
    def write(ratios=RATIOS, metrics=METRICS):
        (tmp_path / "ratios.csv").write_text(ratios)
        (tmp_path / "metrics.csv").write_text(metrics)
        return tmp_path / "ratios.csv", tmp_path / "metrics.csv"

    return write


def test_a_pair_of_wide_tables(tables, tmp_path):
    found = read_mixture_runs(*tables(), study="mine", n_params=1e9, n_tokens=2e10)
    arms = found.arms.set_index("arm")
    assert arms.loc["run_1", ["web_share", "code_share", "academic_share"]].tolist() == [70, 10, 10]
    assert arms["books_share"].isna().all()  # no source of books: nothing is said of them
    assert arms["n_params"].tolist() == [1e9, 1e9]
    results = found.results.set_index(["arm", "benchmark"])["score"]
    assert results["run_2", "humaneval"] == 0.19
    assert results["run_1", "hellaswag_norm_10shot"] == 0.41
    whys = set(zip(found.left_out["task"], found.left_out["why"], strict=True))
    assert whys == {
        ("mystery", "no entry for this source of data"), ("", "no row in the table of ratios"),
        ("column arc_challenge_bpb", "no entry for this task"),
    }  # fmt: skip
    out = tmp_path / "own"
    found.save(out)
    experiments = bm.read_experiments(out)
    assert len(experiments.arms) == 2
    assert {"code_share", "web_share"} <= set(experiments.summarise()["decisions"][0].split(", "))


def test_percent_and_names_of_regmix(tables):
    ratios = "index,train_the_pile_github,train_the_pile_pile_cc\n0,25,75\n1,50,50\n"
    metrics = "index,HumanEval\n0,0.1\n1,0.2\n"
    found = read_mixture_runs(*tables(ratios, metrics), study="mine")
    assert found.arms["code_share"].tolist() == [25, 50]


def test_results_of_datadecide(tables):
    ratios = "data,dclm,dolma-code\nDCLM 25%,1.0,0.0\nDolma no code,0.5,0.5\n"
    rows = ["params,data,task,step,seed,chinchilla,tokens,compute,metrics"]
    for data, level in (("DCLM 25%", 0.3), ("Dolma no code", 0.4)):
        for seed in (0, 1, 2):
            for step in (100, 2500):
                value = level + seed / 100 + (step == 100)
                cell = f"\"{{'acc_raw': 0.9, 'acc_per_char': {value}, 'primary_metric': 'x'}}\""
                rows.append(f"150M,{data},hellaswag,{step},{seed},5xC,1.5e10,1e19,{cell}")
    found = read_mixture_runs(*tables(ratios, "\n".join(rows)), study="dd")
    assert found.arms["n_params"].tolist() == [150e6, 150e6]
    assert found.arms["n_tokens"].tolist() == [1.5e10, 1.5e10]
    results = found.results.set_index("arm")
    assert results["score"].tolist() == pytest.approx([0.31, 0.41])
    assert results["n_seeds"].tolist() == [3, 3]
    assert results["se"].tolist() == pytest.approx([0.01 / 3**0.5] * 2)
    assert results["protocol"].unique().tolist() == ["olmes, 5-shot"]
    assert results["benchmark"].unique().tolist() == ["hellaswag"]
    assert "dolma-code" in found.left_out["task"].tolist()


@pytest.mark.parametrize(
    "ratios, metrics, message",
    [
        (RATIOS.replace("0.4,0.3", "0.4,0.9"), METRICS, "run 'run_1': the ratios sum to 1.6"),
        (RATIOS.replace("0.4,0.3", "much,0.9"), METRICS, "run 'run_1': the ratios sum to nan"),
        (RATIOS.replace("run,", "model,"), METRICS, "has no column run or run_id"),
        (RATIOS.replace("run_", "r"), METRICS, "have no run in common"),
        ("", METRICS, "has no column"),
        (RATIOS, "params,data,task,step,seed,metrics\nbig,a,b,1,0,{}\n", "'big' is no size"),
        (RATIOS, "params,data,task,step,seed,metrics\n1M,a,b,1,0,f()\n", r"f\(\) cannot be read"),
    ],
)
def test_wrong_tables(ratios, metrics, message, tables):
    with pytest.raises(DataError, match=message):
        read_mixture_runs(*tables(ratios, metrics), study="mine")


def test_nothing_is_written_of_tables_that_would_be_refused(tables, tmp_path):
    same = RATIOS.replace("0.2,0.2,0.4", "0.4,0.3,0.1")
    found = read_mixture_runs(*tables(same), study="mine")
    with pytest.raises(DataError, match="differ in nothing"):
        found.save(tmp_path / "own")
    assert not (tmp_path / "own").exists()


def test_on_the_command_line(tables, tmp_path):
    ratios, metrics = tables()
    run = subprocess.run(
        [sys.executable, "-m", "bayesmeta.cli", "data", "import-mixtures", ratios, metrics,
         "--study", "mine", "--out", tmp_path / "own", "--n-params", "1e9", "--format", "json"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert run.returncode == 0, run.stderr
    report = json.loads(run.stdout)
    assert report["rows"] == {"arms": 2, "results": 4}
    assert len(report["left_out"]) == 3
