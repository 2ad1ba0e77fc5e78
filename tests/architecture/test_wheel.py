"""The built package carries the data tables; an editable install leaves no second copy of them."""

import importlib.util
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
TABLES = {
    "architectures.toml",
    "README.md",
    "benchmarks.csv",
    "corrections.csv",
    "experiments/arms.csv",
    "experiments/benchmarks.csv",
    "experiments/results.csv",
    "experiments/studies.csv",
    "generation.csv",
    "lms.csv",
    "protocols.toml",
    "reference_fit.nc",
    "scores.csv",
}


def build(target: str, *, source: Path, folder: Path) -> Path:
    """Build `target` (wheel or sdist) of the tree at `source` without any network access."""
    run = subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", target, "-d", folder],
        cwd=source,
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stdout + run.stderr
    (built,) = folder.iterdir()
    return built


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    folder = tmp_path_factory.mktemp("wheel")
    with zipfile.ZipFile(build("wheel", source=ROOT, folder=folder)) as archive:
        yield archive


def test_wheel_contains_the_tables(wheel):
    prefix = "bayesmeta/data/tables/"
    packed = {name.removeprefix(prefix) for name in wheel.namelist() if name.startswith(prefix)}
    assert packed >= TABLES
    assert wheel.read(prefix + "lms.csv") == (ROOT / "data" / "lms.csv").read_bytes()


def test_wheel_contains_every_module(wheel):
    modules = {path.relative_to(ROOT).as_posix() for path in (ROOT / "bayesmeta").rglob("*.py")}
    assert modules <= set(wheel.namelist())


def test_wheel_contains_what_a_page_is_made_of(wheel):
    prefix = "bayesmeta/reporting/"
    parts = {"page.html.j2", "panel.html.j2", "blocks.html.j2", "page.css", "page.js", "panel.js"}
    assert {prefix + name for name in parts} <= set(wheel.namelist())


def test_wheel_contains_nothing_else(wheel):
    tops = {name.partition("/")[0] for name in wheel.namelist()}
    assert {top for top in tops if not top.endswith(".dist-info")} == {"bayesmeta"}


def test_wheel_built_from_the_sdist_is_the_same(wheel, tmp_path):
    sdist = build("sdist", source=ROOT, folder=tmp_path / "sdist")
    with tarfile.open(sdist) as archive:
        archive.extractall(tmp_path, filter="data")
    (source,) = tmp_path.glob("bayesmeta-*")
    again = build("wheel", source=source, folder=tmp_path / "wheel")
    with zipfile.ZipFile(again) as archive:
        assert set(archive.namelist()) == set(wheel.namelist())


def test_installed_package_has_no_stale_tables():
    package = Path(importlib.util.find_spec("bayesmeta").origin).parent
    if package == ROOT / "bayesmeta":  # run from the repository: its data/ is the only copy
        assert not (package / "data" / "tables").exists()
    else:
        assert (package / "data" / "tables" / "lms.csv").is_file()
