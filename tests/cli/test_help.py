"""What `--help` lists, and what a shell completes."""

import shlex

import pytest
from typer.testing import CliRunner

from bayesmeta.cli import CONTENTS, app
from bayesmeta.tables import FORMATS


def test_help_is_a_table_of_contents():
    text = CliRunner().invoke(app, ["--help"], prog_name="bayesmeta").stdout
    panels = [line.strip("╭─╮ ") for line in text.splitlines() if line.startswith("╭")]
    assert panels == ["Options", *CONTENTS]
    for name in sum(CONTENTS.values(), ()):
        (line,) = [line for line in text.splitlines() if line.startswith(f"│ {name} ")]
        assert line.rstrip("│ ").endswith((".", "?")), f"{name}: not on one line"


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
    asked = {"_BAYESMETA_COMPLETE": "complete_bash", "COMP_CWORD": str(len(typed)),
             "COMP_WORDS": shlex.join([*typed, last])}  # fmt: skip
    result = CliRunner().invoke(app, prog_name="bayesmeta", env=asked)
    assert result.stdout.split() == offered
