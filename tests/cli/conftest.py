"""Shared by the tests of the command line."""

import subprocess
import sys

import pytest

from bayesmeta.cli.shared import main


@pytest.fixture
def refuse(monkeypatch, capsys):
    """Run as a program does what is to be refused: its only words, an error with exit code 2."""

    def run(*words):
        monkeypatch.setattr(sys, "argv", ["bayesmeta", *map(str, words)])
        with pytest.raises(SystemExit) as left:
            main()
        said = capsys.readouterr()
        assert left.value.code == 2
        assert said.out == ""
        assert said.err.startswith("error: ")
        assert "\n\n" not in said.err  # one paragraph, which a terminal need not break
        return " ".join(said.err.split())

    return run


@pytest.fixture(scope="session")
def saved(tmp_path_factory, small, build_fake_fit):
    """The file of a fit of the small dataset."""
    path = tmp_path_factory.mktemp("fits") / "fit.nc"
    build_fake_fit(small).save(path)
    return path


@pytest.fixture
def loaded_by():
    """Run a command as a process of its own: the modules that it has imported at its end."""

    def run(*words):
        code = (
            f"import sys; sys.argv = {['bayesmeta', *words]}\n"
            "from bayesmeta.cli.shared import main\n"
            "try:\n    main()\nexcept SystemExit as end:\n    assert not end.code\n"
            "print(*sys.modules, file=sys.stderr)"
        )
        command = [sys.executable, "-c", code]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return set(done.stderr.splitlines()[-1].split())

    return run
