"""What `--help` lists, and what a shell completes."""

import shlex

import pytest
from click.testing import CliRunner

from bayesmeta.cli.shared import CONTENTS, FORMATS, app
from bayesmeta.tables.text import FORMATS as WRITTEN


def test_help_is_a_table_of_contents():
    text = CliRunner().invoke(app, ["--help"], prog_name="bayesmeta").stdout
    panels = [line.rstrip(":") for line in text.splitlines() if line.endswith(":")]
    assert panels == ["Options", *CONTENTS]
    for name in app.list_commands(None):
        (line,) = [line for line in text.splitlines() if line.startswith(f"  {name}  ")]
        assert line.endswith((".", "?")), f"{name}: not on one line"


@pytest.mark.parametrize(
    "words, last, offered",
    [
        ("", "mul", ["multiverse"]),
        ("effects --format", "", list(FORMATS)),
        ("query 'norm: rmsnorm > layernorm' --benchmark", "mmlu", ["mmlu_0shot", "mmlu_5shot"]),
        ("rank", "n", ["norm"]),
        ("effects --lm-family", "qwen", ["qwen-1", "qwen-1.5", "qwen-2", "qwen-2.5"]),
        ("effects --by", "lm", ["lm_family"]),
        ("rank --fit nowhere.nc", "n", []),
    ],
)
def test_shells_complete_commands_options_and_names(words, last, offered):
    typed = shlex.split(f"bayesmeta {words}")
    asked = {"_BAYESMETA_COMPLETE": "bash_complete", "COMP_CWORD": str(len(typed)),
             "COMP_WORDS": shlex.join([*typed, last])}  # fmt: skip
    result = CliRunner().invoke(app, prog_name="bayesmeta", env=asked)
    assert [line.partition(",")[2] for line in result.stdout.split()] == offered


def list_commands():
    for name in app.list_commands(None):
        found = app.get_command(None, name)
        yield from getattr(found, "commands", {name: found}).items()


@pytest.mark.parametrize("name, found", list(list_commands()))
def test_every_argument_and_option_is_explained(name, found):
    text = CliRunner().invoke(found, ["--help"]).stdout
    assert "fmt" in {option.name for option in found.params}
    for one in found.params:
        said = "".join(found.explained[one.name].split())
        assert said, one.name
        assert said in "".join(text.split()), one.name


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_what_a_shell_has_to_run_names_the_program(shell):
    result = CliRunner().invoke(app, ["--show-completion", shell])
    assert "_BAYESMETA_COMPLETE" in result.stdout


def test_formats_are_those_that_tables_are_written_in():
    assert tuple(WRITTEN) == FORMATS


def test_old_name_of_a_command_works_and_says_its_new_one():
    result = CliRunner().invoke(app, ["swaps", "--help"])
    assert result.exit_code == 0
    assert "`swaps` is called `substitutions`" in result.stderr
    assert "swaps" not in CliRunner().invoke(app, ["--help"]).stdout


def test_a_misspelt_command_is_told_its_name(refuse):
    assert "Did you mean 'substitutions'?" in refuse("substitution")


def test_a_question_loads_its_own_commands_only(loaded_by):
    loaded = loaded_by("query", "norm: rmsnorm > layernorm")
    commands = {name for name in loaded if name.startswith("bayesmeta.cli.")}
    assert commands == {"bayesmeta.cli.shared", "bayesmeta.cli.estimate"}
    assert not {"rich", "pandas", "xarray"} & loaded
