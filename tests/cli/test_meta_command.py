"""What `bayesmeta meta` prints, writes and refuses."""

import json

import numpy as np
import pytest
from click.testing import CliRunner

import bayesmeta as bm
from bayesmeta.cli.shared import app

HEADER = "trial,yi,sei,vi,low,high,year,arm,lab"


def invoke(*words):
    return CliRunner().invoke(app, ["meta", *map(str, words)], catch_exceptions=False)


@pytest.fixture
def path(tmp_path):
    rng, lines = np.random.default_rng(3), [HEADER]
    for k in range(10):
        se = rng.uniform(0.1, 0.3)
        y = 0.3 + rng.normal(0, se)
        ends = f"{y - 1.959964 * se:.6f},{y + 1.959964 * se:.6f}"
        lines.append(f"t{k},{y:.6f},{se:.6f},{se**2:.8f},{ends},{2000 + k},{'ab'[k % 2]},{k // 2}")
    file = tmp_path / "trials.csv"
    file.write_text("\n".join(lines) + "\n")
    return file


def test_one_line_fits_checks_and_sums_up(path):
    result = invoke(path, "--effect", "yi", "--se", "sei", "--study", "trial")
    assert result.exit_code == 0
    assert "effect in a new study" in result.stdout
    assert "Checks passed" in result.stdout


def test_programs_get_every_number_by_name(path):
    words = (path, "--effect", "yi", "--se", "sei", "--study", "trial", "--format", "json")
    found = json.loads(invoke(*words).stdout)
    table = bm.read_effect_sizes(path, effect="yi", se="sei", study="trial")
    rows = bm.summary(bm.fit(table, seed=1))
    for key, quantity in (("mean", "mean effect"), ("tau", "tau"), ("i2", "I2"), ("h2", "H2"),
                          ("prediction", "effect in a new study")):  # fmt: skip
        for name in ("estimate", "lower", "upper"):
            assert found[key][name] == pytest.approx(rows[quantity][name])
    assert found["passed"] is True
    assert found["conflict"] == found["coefficients"] == []
    found = json.loads(invoke(*words, "--mods", "year", "--mu-sd", "0.001").stdout)
    assert [row["quantity"] for row in found["coefficients"]] == ["intercept", "year"]
    assert found["passed"] is False
    assert "contradicts the data" in found["conflict"][0]


@pytest.mark.parametrize(
    "errors",
    [("--se", "sei"), ("--variance", "vi"), ("--limits", "low,high"),
     ("--lower", "low", "--upper", "high")],
)  # fmt: skip
def test_errors_in_every_form_give_the_same(path, errors):
    words = (path, "--effect", "yi", "--study", "trial", "--format", "json")
    mean = json.loads(invoke(*words, *errors).stdout)["mean"]["estimate"]
    exact = json.loads(invoke(*words, "--se", "sei").stdout)["mean"]["estimate"]
    assert mean == pytest.approx(exact, abs=1e-4)


def test_the_only_group_is_the_cluster_of_rho(path):
    words = (path, "--effect", "yi", "--se", "sei", "--study", "trial", "--groups", "lab",
             "--rho", "0.6", "--format", "json")  # fmt: skip
    spelled = invoke(*words, "--cluster", "lab").stdout
    assert json.loads(invoke(*words).stdout)["mean"] == json.loads(spelled)["mean"]


def test_models_are_averaged_on_demand(path):
    words = (path, "--effect", "yi", "--se", "sei", "--study", "trial", "--average")
    result = invoke(*words, "--mu-sd", "1", "--tau-scale", "0.15")
    assert "Averaged over models" in result.stdout
    assert "18 of 36" in result.stdout
    found = json.loads(invoke(*words, "--mu-sd", 1, "--format", "json").stdout)["average"]
    assert [row["component"] for row in found["components"]] == [
        "effect", "heterogeneity", "publication bias",
    ]  # fmt: skip
    assert len(found["models"]) == 36
    assert "normal (0, 1)" in found["model"]


def test_files_are_written_and_can_be_asked_again(path, tmp_path):
    fit, figure, folder = tmp_path / "fit.nc", tmp_path / "forest.svg", tmp_path / "page"
    words = ("--effect", "yi", "--se", "sei", "--study", "trial")
    invoke(path, *words, "--out", fit, "--forest", figure, "--report", folder)
    assert figure.read_text().startswith("<?xml")
    first = (folder / "report.md").read_text()
    again = tmp_path / "again"
    result = CliRunner().invoke(app, ["report", "--fit", str(fit), "--out", str(again)])
    assert result.exit_code == 0
    kept = (again / "report.md").read_text()
    assert kept.split("## Data and provenance")[0] == first.split("## Data and provenance")[0]
    result = CliRunner().invoke(app, ["check", "--fit", str(fit)])
    assert result.exit_code == 0
    assert "Checks passed" in result.stdout


def test_refusals_are_one_paragraph(path, refuse):
    given = ("meta", str(path), "--effect", "yi", "--study", "trial")
    for words, message in (
        (("--lower", "low"), "--upper is left out"),
        (("--limits", "low,high", "--lower", "low", "--upper", "high"), "--limits and --lower"),
        (("--se", "sei", "--selection", "0.05,x"), "holds what is no number"),
        (("--se", "sei", "--mods", "year", "--average"), "the table has moderators"),
        (("--se", "sei", "--out", "nowhere/fit.nc"), "--out"),
        (
            ("--se", "sei", "--groups", "lab,arm"),
            "every study inside 'lab'",
        ),
        (("--se", "sei", "--crossed", "arm", "--cluster", "arm", "--rho", "0.5"), "twice"),
        (("--se", "sei", "--rho", "0.5"), "cluster is left out"),
        (("--se", "sei", "--report", "nowhere/deep/page"), "--report"),
    ):
        assert message in refuse(*given, *words)
