"""What `bayesmeta doctor` says of an installation, whole and broken."""

import json
from importlib import metadata

import pytest
from click.testing import CliRunner

from bayesmeta.cli.data_command import NEEDED
from bayesmeta.cli.shared import app
from bayesmeta.errors import StoreError
from bayesmeta.inference import shipped


def run(*words):
    return CliRunner().invoke(app, ["doctor", *words], catch_exceptions=False)


def states(result):
    return {row["what"]: row["state"] for row in json.loads(result.stdout)}


def test_whole_installation_is_well():
    result = run("--format", "json")
    assert result.exit_code == 0
    found = {row["what"]: row["found"] for row in json.loads(result.stdout)}
    assert found["numpy"] == metadata.version("numpy")
    assert int(found["cores"]) >= 1
    assert found["shipped posterior"] == "4 chains x 250 draws"
    assert found["samplers"].startswith("nutpie (default), pymc")
    assert found["compiled code"].endswith(" MB")
    assert set(states(result).values()) <= {"ok", "not installed"}


def test_missing_package_is_named(monkeypatch):
    def version(name):
        if name in ("nutpie", "dask"):
            raise metadata.PackageNotFoundError(name)
        return "1.0"

    monkeypatch.setattr(metadata, "version", version)
    result = run("--format", "json")
    assert result.exit_code == 1
    assert states(result)["nutpie"] == "missing"
    assert states(result)["dask"] == "not installed"
    assert "nutpie is missing, needed for sampling: pip install bayesmeta\n" in result.stderr


def test_broken_posterior_is_named(monkeypatch):
    def fail():
        raise StoreError("the file is cut off")

    monkeypatch.setattr(shipped, "load_reference_fit", fail)
    result = run("--format", "json")
    assert result.exit_code == 1
    assert states(result)["shipped posterior"] == "broken"
    assert "the file is cut off" in result.stdout


def test_compiled_code_that_cannot_be_kept_is_named_with_a_way_out(monkeypatch):
    monkeypatch.setattr("os.access", lambda *_: False)
    result = run("--format", "json")
    assert result.exit_code == 1
    assert states(result)["compiled code"] == "broken"
    assert "PYTENSOR_FLAGS=base_compiledir=FOLDER" in result.stderr
    assert "pip install" not in result.stderr


@pytest.mark.parametrize("name", sorted(NEEDED))
def test_what_is_needed_is_a_dependency(name):
    needed = " ".join(metadata.requires("bayesmeta") or [])
    assert name in needed


def test_looking_imports_nothing_heavy(loaded_by):
    assert not {"pymc", "nutpie", "matplotlib", "arviz"} & loaded_by("doctor", "--format", "csv")
