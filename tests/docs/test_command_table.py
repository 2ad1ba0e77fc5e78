"""The page that lists commands beside functions, held against both."""

import ast
import inspect
import re
from pathlib import Path

import click
import pytest

import bayesmeta as bm
from bayesmeta.cli import shared
from bayesmeta.cli.shared import app
from bayesmeta.estimates.curves import Curve

PAGE = Path(__file__).parents[2] / "docs" / "reference" / "command_line.md"
TABLES = re.findall(r"(?:^\|.*\|\n)+", PAGE.read_text("utf-8"), re.MULTILINE)
ROWS = [dict(re.findall(r"^\| (?!---)(.+?) \| (.+) \|$", table, re.MULTILINE)) for table in TABLES]
FUNCTIONS = {key.strip("`"): value for key, value in list(ROWS[0].items())[1:]}
OPTIONS = set(re.findall(r"--[\w-]+", " ".join(ROWS[1])))


def list_commands():
    context = click.Context(app)
    for name in app.list_commands(context):
        found = app.get_command(context, name)
        inside = getattr(found, "commands", None)
        for below, command in (inside or {"": found}).items():
            yield f"{name} {below}".strip(), command


COMMANDS = dict(list_commands())


def read_source(name):
    """The function behind a command, as written."""
    place = shared._PLACES[name.split()[0]]
    tree = ast.parse((Path(shared.__file__).parent / f"{place}.py").read_text("utf-8"))
    for node in tree.body:
        marks = getattr(node, "decorator_list", [])
        named = [one.args[0].value for one in marks if isinstance(one, ast.Call) and one.args]
        if name.split()[-1] in named:
            return node
    raise AssertionError(name)


def called_by(name):
    """Public functions and specs that a command uses."""
    used = {
        node.attr
        for node in ast.walk(read_source(name))
        if isinstance(node, ast.Attribute) and getattr(node.value, "id", "") == "bm"
    }
    results = {"Fit", "EffectSizeFit", "ModelSpec", "Dataset", "Multiverse", "Scoreboard"}
    return used - results - {"StudyScoreboard", "format_table"}


def named_in(text):
    return re.findall(r"\bbm\.(\w+)", text)


def test_every_command_is_listed_once():
    assert list(FUNCTIONS) == list(COMMANDS)


@pytest.mark.parametrize("name", list(COMMANDS))
def test_the_functions_beside_a_command_are_those_that_it_calls(name):
    told = {getattr(bm, function) for function in named_in(FUNCTIONS[name])}
    assert {getattr(bm, function) for function in called_by(name)} <= told


@pytest.mark.parametrize("command, function", list(bm.CALLED_BY.items()))
def test_functions_and_commands_go_by_either_name(command, function):
    assert getattr(bm, command) is getattr(bm, function)
    context = click.Context(app)
    wanted = app.get_command(context, command)
    assert wanted is not None
    for name in (function, function.replace("_", "-")):
        assert app.get_command(context, name) is wanted
    assert named_in(FUNCTIONS[command])[:2] == [command, function]


@pytest.mark.parametrize("name", [name for name in COMMANDS if called_by(name) - {"plot"}])
def test_options_are_arguments_or_listed(name):
    arguments = {
        argument
        for function in called_by(name) - {"plot"}
        for argument in inspect.signature(getattr(bm, function)).parameters
    }
    if "settings" in arguments:  # of a claim: those of a query
        arguments |= set(inspect.signature(bm.query).parameters)
    for option in COMMANDS[name].params:
        if isinstance(option, click.Option) and option.name not in arguments:
            assert OPTIONS & set(option.opts), f"{name} {option.opts}"


def test_listed_options_exist():
    known = {word for command in COMMANDS.values() for one in command.params for word in one.opts}
    assert known >= OPTIONS


def test_names_of_the_page_exist():
    for text in [*FUNCTIONS.values(), *ROWS[1].values()]:
        for name in named_in(text):
            assert name in bm.__all__
    for words in re.findall(r"`\.(\w+)\(", " ".join(FUNCTIONS.values())):
        assert any(hasattr(one, words) for one in (bm.Dataset, bm.Imported, bm.Items, Curve)), words
