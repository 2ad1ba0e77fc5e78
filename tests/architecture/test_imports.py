"""The direction of imports, and what an import loads."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

# Each takes between 0.3 and 3 seconds to load: a query of a stored posterior must not wait for it.
HEAVY = {"arviz", "matplotlib", "nutpie", "pymc", "pytensor"}


def packages_loaded_by(statement: str) -> set[str]:
    """Top-level packages that a fresh interpreter loads when it executes `statement`."""
    run = subprocess.run(
        [sys.executable, "-X", "importtime", "-c", statement],
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stderr[-2000:]
    lines = (line for line in run.stderr.splitlines() if line.startswith("import time:"))
    return {line.rpartition("|")[2].strip().partition(".")[0] for line in lines}


def test_import_contracts_are_kept():
    script = Path(sys.executable).with_name("lint-imports")
    run = subprocess.run(
        [script, "--no-logo", "--no-cache"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert run.returncode == 0, run.stdout + run.stderr


@pytest.mark.parametrize("module", ["bayesmeta", "bayesmeta.estimates.answer", "bayesmeta.cli"])
def test_import_loads_nothing_heavy(module):
    loaded = packages_loaded_by(f"import {module}")
    assert "bayesmeta" in loaded
    assert not loaded & HEAVY


def test_the_probe_sees_heavy_imports():
    assert "matplotlib" in packages_loaded_by("import matplotlib")
