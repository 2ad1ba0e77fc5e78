"""Shared by the tests of the command line."""

import sys

import pytest

from bayesmeta.cli.shared import main


@pytest.fixture
def refuse(monkeypatch, capsys):
    """Run as a program does what is to be refused: its only line, an error with exit code 2."""

    def run(*words):
        monkeypatch.setattr(sys, "argv", ["bayesmeta", *map(str, words)])
        with pytest.raises(SystemExit) as left:
            main()
        said = capsys.readouterr()
        assert left.value.code == 2
        assert said.out == ""
        assert said.err.startswith("error: ")
        assert said.err.count("\n") == 1
        return said.err

    return run


@pytest.fixture(scope="module")
def saved(tmp_path_factory, small, build_fake_fit):
    """Path of a small fit."""
    path = tmp_path_factory.mktemp("fits") / "fit.nc"
    build_fake_fit(small).save(path)
    return path
