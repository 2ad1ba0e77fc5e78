"""Notebooks run from start to end, and what is committed shows their whole output."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest

from bayesmeta import defaults

ROOT = Path(__file__).parents[2]
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
FITTED = [path for path in NOTEBOOKS if "= bm.fit(" in path.read_text(encoding="utf-8")]
READ_ONLY = [path for path in NOTEBOOKS if path not in FITTED]


def names(path):
    return path.name


def test_there_are_notebooks_of_both_kinds():
    assert FITTED
    assert READ_ONLY


def run_copy(path, *, folder):
    """Execute a copy of a notebook and return where it is."""
    copy = Path(shutil.copy(path, folder))
    run = subprocess.run(
        [sys.executable, ROOT / "scripts" / "run-notebooks.py", copy],
        env=os.environ | {"BAYESMETA_QUICK": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stderr[-3000:]
    return copy


def printed(path):
    """What every code cell shows, but for pictures."""
    cells = [c for c in nbformat.read(path, as_version=4).cells if c.cell_type == "code"]
    return [[out.get("text") or out["data"]["text/plain"] for out in c.outputs] for c in cells]


@pytest.mark.parametrize("path", READ_ONLY, ids=names)
def test_notebook_that_samples_nothing_shows_the_record(tmp_path, path):
    # If not: the record or the shipped posterior is newer; `make notebooks` brings it up to date.
    assert printed(run_copy(path, folder=tmp_path)) == printed(path)


@pytest.mark.parametrize("path", FITTED, ids=names)
def test_notebook_runs(tmp_path, path):
    text = run_copy(path, folder=tmp_path).read_text(encoding="utf-8")
    assert "Fit(2 chains x 150 draws" in text
    assert "do not report" in text


@pytest.mark.parametrize("path", NOTEBOOKS, ids=names)
def test_committed_notebook_has_its_output(path):
    notebook = nbformat.read(path, as_version=4)
    nbformat.validate(notebook)
    cells = [cell for cell in notebook.cells if cell.cell_type == "code"]
    # The first cell imports and sets up; it prints nothing.
    assert [cell.source[:40] for cell in cells[1:] if not cell.outputs] == []
    kinds = {(out.output_type, out.get("name")) for cell in cells for out in cell.outputs}
    assert kinds <= {("execute_result", None), ("display_data", None), ("stream", "stdout")}
    assert [cell.execution_count for cell in cells] == list(range(1, len(cells) + 1))


@pytest.mark.parametrize("path", FITTED, ids=names)
def test_committed_notebook_is_of_a_full_fit_that_passed(path):
    text = path.read_text(encoding="utf-8")
    fits = re.findall(r"Fit\((\d+) chains x (\d+) draws", text)
    assert {chains for chains, _ in fits} == {"4"}
    # The shipped fit, which a notebook may show too, is thinned.
    assert max(int(draws) for _, draws in fits) >= defaults.LEAST_DRAWS
    assert "this fit may be reported" in text
