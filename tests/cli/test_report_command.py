"""The command that writes a report."""

import json

import pytest
from click.testing import CliRunner

from bayesmeta.cli.shared import app


def run(*words):
    return CliRunner().invoke(app, ["report", *map(str, words)], catch_exceptions=False)


def test_report_prints_the_paths_written(saved, tmp_path):
    out = tmp_path / "out"
    result = run("--out", out, "--decision", "attention", "--fit", saved)
    assert result.exit_code == 0
    assert result.stdout.splitlines() == [str(out / "report.html"), str(out / "report.md")]
    assert sorted(path.name for path in out.iterdir()) == ["report.html", "report.md"]


@pytest.mark.parametrize("fmt", ["json", "csv"])
def test_report_prints_paths_for_programs(saved, tmp_path, fmt):
    result = run("--out", tmp_path, "--decision", "attention", "--fit", saved, "--format", fmt)
    paths = [str(tmp_path / name) for name in ("report.html", "report.md")]
    expected = {"json": lambda: json.loads(result.stdout), "csv": result.stdout.split}[fmt]()
    assert expected == (paths if fmt == "json" else ["path", *paths])


@pytest.mark.parametrize(
    "words, message",
    [
        (("--decision", "atention"), "Did you mean 'attention'"),
        (("--format", "htm"), "--format 'htm' is not known"),
        (("--out", "no/such/folder"), "no/such/folder cannot be made"),
    ],
)
def test_refused_report_writes_nothing(monkeypatch, refuse, saved, tmp_path, words, message):
    monkeypatch.chdir(tmp_path)
    assert message in refuse("report", "--out", "out", "--fit", str(saved), *words)
    assert list(tmp_path.iterdir()) == []
