"""What the site makes from the package itself: commands, constants, formulas without a network."""

import ast
import inspect
import json
import re
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import click
from docutils import nodes
from latex2mathml.converter import convert
from sphinx import addnodes
from sphinx.application import Sphinx
from sphinx.transforms import SphinxTransform
from sphinx.util.docutils import SphinxDirective

import bayesmeta as bm
from bayesmeta import defaults
from bayesmeta.cli.shared import CONTENTS
from bayesmeta.cli.shared import app as cli


class CommandHelp(SphinxDirective):
    """Usage, arguments and options of a command, as `--help` has them: `command` NAME."""

    required_arguments = 1

    def run(self) -> list[nodes.Node]:
        """Describe a command, and those below it."""
        top = click.Context(cli, info_name="bayesmeta")
        command = cli.get_command(top, self.arguments[0])
        if command is None:
            raise self.error(f"There is no command {self.arguments[0]}.")
        return describe_command(command, top)


def describe_command(command: click.Command, above: click.Context) -> list[nodes.Node]:
    """Say what a command does: its usage, and a table of its arguments and options."""
    context = click.Context(command, info_name=command.name, parent=above)
    usage = " ".join(command.get_usage(context).removeprefix("Usage: ").split())
    shown: list[nodes.Node] = [nodes.paragraph(text=command.help)]
    if isinstance(command, click.Group):
        for name in command.list_commands(context):
            shown.append(nodes.rubric(text=f"{context.command_path} {name}"))
            shown += describe_command(command.commands[name], context)
        return shown
    rows = [record for one in command.get_params(context) if (record := describe(one, context))]
    return [*shown, nodes.literal_block(usage, usage, language="text"), *table(rows, "options")]


def describe(parameter: click.Parameter, context: click.Context) -> tuple[str, str] | None:
    """Say how an argument or option is spelled, and what help says of it."""
    if isinstance(parameter, click.Option):
        return parameter.get_help_record(context)
    return parameter.make_metavar(context), context.command.explained[str(parameter.name)]


class CommandList(SphinxDirective):
    """All commands, by what one wants to do, with links to their pages: `commands`."""

    def run(self) -> list[nodes.Node]:
        """Write a list for every purpose, and read it as a part of the page."""
        context = click.Context(cli, info_name="bayesmeta")
        lines = []
        for panel, places in CONTENTS.items():
            lines += [f"**{panel}**", ""]
            for name in (name for names in places.values() for name in names):
                told = cli.get_command(context, name).get_short_help_str(limit=200)
                lines.append(f"- [`bayesmeta {name}`](/docs/questions/{name}.md): {told}")
            lines.append("")
        return self.parse_text_to_nodes("\n".join(lines))


class PublicNames(SphinxDirective):
    """The public names of a topic of `bayesmeta`, documented one by one: `public` TOPIC.

    Topics are the items of the list in the docstring of the package; `figures` are the functions of
    `bm.plot`, and `results` the classes that public functions return and that have no public name.
    """

    required_arguments = 1
    final_argument_whitespace = True

    def run(self) -> list[nodes.Node]:
        """Hand the names to autodoc."""
        names = list_names(self.arguments[0])
        if not names:
            raise self.error(f"There is no topic {self.arguments[0]}: {', '.join(read_topics())}.")
        blocks = "\n".join(f"```{{eval-rst}}\n{document(name)}\n```\n" for name in names)
        return self.parse_text_to_nodes(blocks)


def list_names(topic: str) -> list[str]:
    """List what is documented under a topic, by where it is imported from."""
    if topic == "figures":
        return [f"bayesmeta.plot.{name}" for name in bm.plot.__all__ if not name.isupper()]
    if topic == "results":
        return [f"{kind.__module__}.{kind.__qualname__}" for kind in list_results()]
    return [f"bayesmeta.{name}" for name in read_topics().get(topic, ()) if name != "plot"]


def read_topics() -> dict[str, list[str]]:
    """Read the list in the docstring of the package: topics, and the names of each."""
    items = re.findall(r"^- ([\w -]+): ((?:.+\n)(?:  .+\n)*)", bm.__doc__, re.MULTILINE)
    return {topic: re.findall(r"`(\w+)`", names) for topic, names in items}


def list_results() -> list[type]:
    """List classes of the package that public functions return, without those that are public."""
    public = [getattr(bm, name) for name in bm.__all__ if name != "plot"]
    found = {}
    for function in (one for one in public if inspect.isfunction(one)):
        returned = str(inspect.signature(function).return_annotation)
        for word in re.findall(r"\w+", returned):
            kind = inspect.getmodule(function).__dict__.get(word)
            if inspect.isclass(kind) and kind.__module__.startswith("bayesmeta."):
                found[kind] = None
    return [kind for kind in found if kind not in public]


def document(name: str) -> str:
    """Say what autodoc is to do about a name."""
    found, short = resolve(name), name.rpartition(".")[2]
    if short in bm.CALLED_BY:
        told = f"`{name.rpartition('.')[0]}.{bm.CALLED_BY[short]}` by the name of its command."
        return f".. py:function:: {name}\n\n   {told}"
    if inspect.isclass(found):
        return f".. autoclass:: {name}\n   :members:\n   :inherited-members: tuple"
    return f".. autofunction:: {name}"


def resolve(name: str) -> object:
    """Find what a dotted name means."""
    module, parts = bm, name.split(".")[1:]
    for part in parts[:-1]:
        module = getattr(module, part, None) or import_module(f"{module.__name__}.{part}")
    return getattr(module, parts[-1])


class Constants(SphinxDirective):
    """Every constant of `bayesmeta.defaults`, its value and its reason: `constants`."""

    def run(self) -> list[nodes.Node]:
        """Build a table of names, values and reasons."""
        rows = [(", ".join(names), reason) for names, reason in read_constants()]
        return table(rows, "constants")


def read_constants() -> Iterator[tuple[list[str], str]]:
    """Read names with values, and the string below them, as in the source."""
    names: list[str] = []
    tree = ast.parse(Path(defaults.__file__).read_text(encoding="utf-8"))
    for statement in [*tree.body, ast.Pass()]:
        if isinstance(statement, ast.AnnAssign) and isinstance(statement.target, ast.Name):
            if statement.target.id.isupper() and not statement.target.id.startswith("_"):
                names.append(statement.target.id)
        elif names:
            text = statement.value.value if is_text(statement) else ""
            yield [f"{name} = {show_value(name)}" for name in names], " ".join(text.split())
            names = []


def is_text(statement: ast.stmt) -> bool:
    """Tell whether a statement is a string alone."""
    value = getattr(statement, "value", None)
    return isinstance(statement, ast.Expr) and isinstance(getattr(value, "value", None), str)


def show_value(name: str) -> str:
    """Show a value; folders differ by machine."""
    value = getattr(defaults, name)
    return "the folder data/" if isinstance(value, Path) else repr(value)


class Schema(SphinxDirective):
    """The keys of a JSON Schema in `reference/schemas`, with their meaning: `schema` NAME."""

    required_arguments = 1

    def run(self) -> list[nodes.Node]:
        """Build a table of keys and descriptions."""
        path = Path(__file__).parent / "reference" / "schemas" / f"{self.arguments[0]}.json"
        self.env.note_dependency(str(path))
        schema = json.loads(path.read_text(encoding="utf-8"))
        told = self.parse_text_to_nodes(schema["description"])
        return [*told, *table(list(walk(schema.get("items", schema))), "keys")]


def walk(schema: dict[str, Any], above: str = "") -> Iterator[tuple[str, str]]:
    """List keys with those above them, and their descriptions."""
    for key, part in schema.get("properties", {}).items():
        kind = part["type"] if isinstance(part["type"], str) else " or ".join(part["type"])
        optional = "" if key in schema.get("required", ()) else "; not always there"
        yield f"{above}{key}", f"{part['description']} ({kind}{optional})"
        yield from walk(part, f"{above}{key}.")
        yield from walk(part.get("items", {}), f"{above}{key}[].")


def table(rows: list[tuple[str, str]], kind: str) -> list[nodes.Node]:
    """Build a table of a literal and a text in every row."""
    if not rows:
        return []
    group = nodes.tgroup("", *(nodes.colspec(colwidth=width) for width in (2, 3)), cols=2)
    body = nodes.tbody()
    for left, right in rows:
        parts = (nodes.literal(text=left), nodes.inline(text=right))
        entries = [nodes.entry("", nodes.paragraph("", "", part)) for part in parts]
        body += nodes.row("", *entries)
    group += body
    return [nodes.table("", group, classes=[kind])]


def visit_math(self, node: nodes.math) -> None:
    """Write a formula inside a line."""
    self.body.append(convert(node.astext()))
    raise nodes.SkipNode


def visit_math_block(self, node: nodes.math_block) -> None:
    """Write a formula of its own."""
    self.body.append(f'<div class="math">{convert(node.astext(), display="block")}</div>')
    raise nodes.SkipNode


def link_code(
    name: str, rawtext: str, text: str, lineno: int, inliner: object, *_: object
) -> tuple[list[nodes.Node], list[nodes.system_message]]:
    """Read what docstrings write in single backticks: code, linked where it is a public name."""
    known = (text in bm.__all__ and text.lower() != text) or text.startswith(("bm.", "bayesmeta."))
    node = nodes.literal(text=text)
    return [refer(node) if known and names_object(text) else node], []


def names_object(text: str) -> bool:
    """Tell whether code is the name of a function or class that the site documents."""
    name = re.sub(r"^(bm|bayesmeta)\.", "", text)
    return (name in bm.__all__ and name != "plot") or name.removeprefix("plot.") in bm.plot.__all__


def refer(node: nodes.literal) -> addnodes.pending_xref:
    """Refer from a public name to where it is documented; `-n` fails where it is not."""
    target = "bayesmeta." + re.sub(r"^(bm|bayesmeta)\.", "", node.astext())
    return addnodes.pending_xref(
        "", node, refdomain="py", reftype="obj", reftarget=target, refexplicit=True, refwarn=True
    )


_LINKED = (nodes.reference, nodes.title, addnodes.pending_xref)


class LinkCode(SphinxTransform):
    """Link `bm.NAME` and `bayesmeta COMMAND` to where they are described, on every page."""

    default_priority = 400

    def apply(self) -> None:
        """Wrap literals; not those of headings and of links, nor of what was, once."""
        if self.env.docname == "CHANGELOG":
            return
        for node in list(self.document.findall(nodes.literal)):
            if any(isinstance(one, _LINKED) for one in (node.parent, node.parent.parent)):
                continue
            text = node.astext()
            if re.fullmatch(r"bm\.(plot\.)?[A-Za-z_]+", text) and text != "bm.plot":
                node.replace_self(refer(node.deepcopy()))
            elif match := re.fullmatch(r"bayesmeta ([a-z]+)( .*)?", text):
                node.replace_self(refer_to_page(node.deepcopy(), match[1]))


class WrapSentences(SphinxTransform):
    """Wrap transcripts of sentences; tables keep their columns and are scrolled."""

    default_priority = 400

    def apply(self) -> None:
        """Mark blocks in which every command prints one line."""
        for node in self.document.findall(nodes.literal_block):
            lines = node.astext().splitlines()
            commands = sum(line.startswith("$ ") for line in lines)
            if node.get("language") == "console" and len(lines) <= 2 * commands:
                node["classes"].append("sentences")


def refer_to_page(node: nodes.literal, command: str) -> addnodes.pending_xref:
    """Refer from a command to its page."""
    target = f"/docs/questions/{command}"
    return addnodes.pending_xref(
        "", node, refdomain="std", reftype="doc", reftarget=target, refexplicit=True, refwarn=True
    )


def setup(app: Sphinx) -> dict[str, bool]:
    """Tell Sphinx what is here."""
    app.add_directive("command", CommandHelp)
    app.add_directive("commands", CommandList)
    app.add_directive("public", PublicNames)
    app.add_directive("constants", Constants)
    app.add_directive("schema", Schema)
    app.add_role("code-or-link", link_code)
    app.add_transform(LinkCode)
    app.add_transform(WrapSentences)
    app.add_html_math_renderer("mathml", (visit_math, None), (visit_math_block, None))
    return {"parallel_read_safe": True, "parallel_write_safe": True}
