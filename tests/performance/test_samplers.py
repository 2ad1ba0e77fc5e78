"""The recorded cost of effective draws is of this model, and nutpie is worth its place."""

import json
import subprocess
import sys

import pytest

import bayesmeta as bm
from bayesmeta import defaults
from bayesmeta.data.load import bundled_folder

GAIN = 3.0
"""nutpie is the default sampler, and a dependency, because its draws are cheaper: by a factor of 5
in the record, and two runs of the same chains with other seeds may differ by a third in their least
effective sample size."""

TOLERANCE = 0.25
"""Blocks timed on their own share no work, and each pays for its own call; together they come to
the whole gradient within this share of it."""

BLOCKS = {"scale", "decisions", "surface", "columns", "families", "likelihood"}
MEASURED = {
    "tune", "draws", "target_accept", "compile_seconds", "gradient_us", "sample_seconds",
    "steps_per_draw", "divergences", "rhat_max", "ess_bulk_min", "ess_tail_min", "ess_min", "worst",
    "ess_per_second", "ess_per_second_with_compile", "peak_mb", "peak_worker_mb",
}  # fmt: skip

FORMER = "8cdcf1475142725bd7d51137e2d8a1376ebe253a93ee8d733f5156d9ed51e7ab"
"""Of the tables as they were when this was measured."""


def test_record_is_of_the_default_model_and_the_bundled_data(record, bundled):
    assert record["spec_checksum"] == bm.ModelSpec(experiments="ignored").checksum
    # Eleven facts of LMs were corrected since; what sampling costs does not hang on them.
    assert record["data_checksum"] in (bundled.checksum, FORMER)
    assert record["samplers"].keys() == set(defaults.SAMPLERS)
    assert all(found.keys() == MEASURED for found in record["samplers"].values())


def test_nutpie_was_measured_as_fit_runs_it(record):
    found = record["samplers"]["nutpie"]
    assert record["chains"] == defaults.CHAINS
    assert (found["tune"], found["draws"]) == (defaults.SHORT_TUNE, defaults.DRAWS)
    assert found["target_accept"] == defaults.TRAJECTORY_ACCEPT
    assert found["rhat_max"] <= defaults.RHAT_MAX
    assert found["ess_min"] >= defaults.ESS_MIN


def test_rates_are_those_of_the_numbers_beside_them(record):
    for found in record["samplers"].values():
        assert found["ess_min"] == min(found["ess_bulk_min"], found["ess_tail_min"])
        rate = found["ess_min"] / found["sample_seconds"]
        assert found["ess_per_second"] == pytest.approx(rate, rel=0.01, abs=1e-4)
        rate = found["ess_min"] / (found["sample_seconds"] + found["compile_seconds"])
        assert found["ess_per_second_with_compile"] == pytest.approx(rate, rel=0.01, abs=1e-4)


def test_nutpie_gives_three_times_the_effective_draws_of_pymc(record):
    nutpie, pymc = (record["samplers"][name]["ess_per_second"] for name in ("nutpie", "pymc"))
    assert nutpie >= GAIN * pymc


def test_model_page_says_what_was_measured(record):
    path = bundled_folder().parent / "MODEL.md"
    text = " ".join(path.read_text(encoding="utf-8").split())
    nutpie, *others = (record["samplers"][name]["ess_per_second"] for name in defaults.SAMPLERS)
    pymc, numpyro = (f"{nutpie / other:.1f}" for other in others)
    assert f"an effective draw costs them {pymc} and {numpyro} times as much" in text


def test_blocks_add_up_to_the_gradient(record):
    gradient = record["gradient"]
    assert gradient["blocks"].keys() == BLOCKS
    whole = gradient["whole"]["us"]
    assert gradient["sum_of_blocks_us"] == pytest.approx(whole, rel=TOLERANCE)
    for name, block in gradient["blocks"].items():
        assert 0 < block["us"] < whole, name
        assert block.get("priors_us", 0) < block["us"], name


@pytest.mark.slow
def test_script_measures_every_part(tmp_path):
    out = tmp_path / "samplers.json"
    script = bundled_folder().parent / "scripts" / "measure-samplers.py"
    settings = ["--draws", "20", "--tune", "20", "--chains", "2"]
    subprocess.run([sys.executable, script, "--out", out, *settings], check=True)
    record = json.loads(out.read_text(encoding="utf-8"))
    assert record["spec_checksum"] == bm.ModelSpec(experiments="ignored").checksum
    assert record["samplers"].keys() == set(defaults.SAMPLERS)
    for found in record["samplers"].values():
        assert found.keys() == MEASURED
        assert min(found[f"{name}_seconds"] for name in ("compile", "sample")) > 0
        assert found["gradient_us"] > 0
        assert found["steps_per_draw"] >= 1
    assert record["gradient"]["blocks"].keys() == BLOCKS
    assert [path.name for path in tmp_path.iterdir()] == ["samplers.json"]
