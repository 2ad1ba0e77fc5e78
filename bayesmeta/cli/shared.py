"""What the commands share: where they stand, options, completion, reading, refusals, printing.

A command is a function under `command`, which adds `--format` and, where the function takes a
`fit`, `--fit`. It returns what is to be shown. Options that several commands take are the fields
of a `TypedDict`: `**asked: Unpack[QuestionOptions]` adds them all, to be handed on.
"""

import atexit
import errno
import gc
import inspect
import json
import os
import re
import shutil
import sys
import textwrap
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypedDict, get_args, get_origin

import click

import bayesmeta as bm
from bayesmeta import defaults
from bayesmeta.errors import BayesmetaError, QueryError, shorten, unknown

if TYPE_CHECKING:
    from concurrent.futures import Executor

    import pandas as pd

EXIT_UNCHECKED, EXIT_BAD_INPUT, EXIT_INTERRUPTED = 1, 2, 130

POINTS = "percentage points"

_NARROW = 20
"""Characters of the narrowest line that a message is broken into."""

CONTENTS: dict[str, dict[str, tuple[str, ...]]] = {
    "Fit": {"estimate": ("fit", "check")},
    "Estimate": {
        "estimate": (
            "query",
            "evidence",
            "experiments",
            "effects",
            "substitutions",
            "rank",
            "curve",
            "tradeoff",
        ),
        "list_command": ("list",),
    },
    "Robustness": {
        "robustness_commands": ("influence", "ladders", "tipping", "multiverse"),
    },
    "Predict": {"predict_commands": ("predict", "whatif", "designs")},
    "Meta-analysis": {"meta_command": ("meta",)},
    "Report": {"plot_command": ("plot",), "report_command": ("report", "claim")},
    "Evaluate": {"evaluate_command": ("evaluate", "scoreboard", "validation")},
    "Data": {"data_command": ("data", "doctor")},
}
"""Commands by what one wants to do, and the modules they stand in, in the order of `--help`."""

FUNCTIONS = {function: command for command, function in bm.CALLED_BY.items()}
"""Functions whose command has another name; it goes by the function's as well."""

OLD_NAMES = {"swaps": "substitutions"}
"""Commands that were renamed; the old names go with the next release."""

_PLACES = {name: place for panel in CONTENTS.values() for place in panel for name in panel[place]}
COMMANDS: dict[str, click.Command] = {}
_EPILOG = (
    "Start with: bayesmeta query 'position_embedding: rotary > learned'. What reads a posterior "
    "takes --fit FIT.nc, or the shipped one; what prints a table takes --format "
    "table|json|csv|md|latex|html. Exit codes: 0 fine, 1 a check failed, 2 bad input."
)


class LazyGroup(click.Group):
    """The commands; the module of one is imported when it is asked for."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """List the names in the order of `--help`."""
        return list(_PLACES)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Find a command."""
        known = OLD_NAMES.get(cmd_name, cmd_name)
        known = FUNCTIONS.get(known.replace("-", "_"), known)
        if cmd_name in OLD_NAMES and not ctx.resilient_parsing:
            say(f"note: `{cmd_name}` is called `{known}` now; the old name will go.")
        if known in _PLACES:
            import_module(f"bayesmeta.cli.{_PLACES[known]}")
        elif not ctx.resilient_parsing and not cmd_name.startswith("-"):
            raise unknown(QueryError, "command", cmd_name, _PLACES)
        return COMMANDS.get(known)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the commands by what one wants to do."""
        for panel, places in CONTENTS.items():
            names = [name for listed in places.values() for name in listed]
            found = [self.get_command(ctx, name) for name in names]
            with formatter.section(panel):
                lines = [one.get_short_help_str(limit=80) for one in found if one is not None]
                formatter.write_dl(list(zip(names, lines, strict=True)))


def _show_completion(ctx: click.Context, _: click.Parameter, shell: str | None) -> None:
    """Print what a shell has to run before it completes."""
    if shell is None or ctx.resilient_parsing:
        return
    from click.shell_completion import get_completion_class

    found = get_completion_class(shell)
    if found is None:
        raise unknown(QueryError, "--show-completion", shell, ("bash", "zsh", "fish"))
    show(found(app, {}, "bayesmeta", "_BAYESMETA_COMPLETE").source())
    ctx.exit()


app = LazyGroup(
    "bayesmeta",
    help="Bayesian meta-analysis of what makes language models good.",
    epilog=_EPILOG,
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"]},
    params=[
        click.Option(
            ["--show-completion"], metavar="SHELL", is_eager=True, expose_value=False,
            callback=_show_completion,
            help="What bash, zsh or fish has to run to complete commands: add it to ~/.bashrc.",
        )
    ],
)  # fmt: skip
click.version_option(package_name="bayesmeta", message="bayesmeta %(version)s")(app)


def main() -> None:
    """Run the command line; errors are one paragraph and an exit code."""
    atexit.register(gc.freeze)  # nothing to collect any more: half a second after a fit
    try:
        app()
    except BayesmetaError as error:
        say(wrap_message(f"error: {error}"))
        sys.exit(EXIT_BAD_INPUT)
    except OSError as error:
        if error.errno != errno.ENOSPC or error.filename is not None:
            raise
        # What is left in the buffer would fail once more at the end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        say(wrap_message(f"error: standard output cannot be written ({error.strerror}). Make room, "
                         "or send it somewhere else."))  # fmt: skip
        sys.exit(EXIT_BAD_INPUT)


# --- Options, and what a shell completes them to --------------------------------------------------


class Options:
    """Arguments and options that mean the same in every command that takes them.

    Below each name stands how it is spelled, unless it is `--name`, and what help calls its value;
    then what help says. Words in braces are those that are allowed, and offered at the tab key.

    Parameters
    ----------
    data_dir : [DATA_DIR]
        Your tables; the bundled ones if left out.
    statement : STATEMENT
        'DECISION: A > B', such as 'norm: rmsnorm > layernorm', 'code_share: 20 > 5' or
        'n_params: 14e9 > 7e9'; or 'swap web_share -> code_share by 10'.
    decision : DECISION
        Such as norm or code_share.
    benchmark : NAME
        On this benchmark; over all if left out.
    task_family : NAME
        Over the benchmarks of this task family.
    lms : --lm --lms NAME
        Average over these alone; may be repeated.
    lm_family : NAME
        Average over their LMs; may be repeated.
    families : --lm-family --families NAME
        These alone; may be repeated.
    scale
        {score, latent}: percentage points, or logits.
    equivalence : --equivalence --rope PP
        Half-width of the region of practical equivalence (ROPE), in points; 0.5.
    by
        {benchmark, task_family, overall}.
    kind
        {effect, new_setting, association}: what changing it does on average or in a new setting, or
        what distinguishes LMs; the effect, where the fit tells it, if left out.
    seed : N >= 0
        Of random numbers.
    version : --data-version
        {corrected, as-published}.
    out : DIR
        Keeps each finished fit; the same command goes on.
    names : --name --names OLD=NEW
        What an LM is to be called; may be repeated.
    facts : --set --facts COLUMN=VALUE
        What is to stand in a column of lms.csv, such as n_tokens=2T, or LM:COLUMN=VALUE for one LM;
        may be repeated.
    protocols : FILE.toml
        Entries of your own, before those of data/protocols.toml: which task, metric, filter and
        shots become which benchmark.
    workers : N >= 1
        At once; as many as processors if left out.
    dask : ADDRESS
        Run on a Dask cluster.
    ci_prob
        Probability of the intervals.
    fit : FIT.nc
        A saved fit; the shipped one if left out.
    fmt : --format
        {table, json, csv, md, latex, html}.
    """


class On(TypedDict):
    """The benchmarks that a question is about."""

    benchmark: str | None
    task_family: str | None


class Over(TypedDict):
    """The LMs that an effect is averaged over, and its scale."""

    lms: list[str] | None
    lm_family: list[str] | None
    scale: str


class QuestionOptions(On, Over):
    """All that may be said beside a statement."""

    equivalence: float | None
    ci_prob: float


class Refits(TypedDict):
    """Where a command refits, and where it keeps what is finished."""

    out: Path | None
    workers: int | None
    dask: str | None


_DEFAULTS = {"scale": "score", "ci_prob": defaults.CI_PROB}
"""What fields that are never None stand for where they are left out."""

_NAMES = {"decision": "decisions", "decisions": "decisions", "benchmark": "benchmarks",
          "task_family": "task_families", "lms": "lms", "lm_family": "lm_families",
          "families": "lm_families"}  # fmt: skip
"""Options whose values are names of the fit that is asked, and what the fit calls these."""


def read_settings(words: Iterable[str], *, form: str) -> dict[str, str]:
    """Split NAME=VALUE into names and values; the form, with an example, is what is allowed.

    Raises
    ------
    QueryError
        If a word has another form, or a name is given twice.
    """
    settings: dict[str, str] = {}
    for word in words:
        name, value = (part.strip() for part in word.partition("=")[::2])
        if not (name and value):
            raise QueryError(f"'{shorten(word)}' cannot be read. Allowed: {form}.")
        if name in settings:
            raise QueryError(f"{shorten(name)} is given twice. Allowed: each name once.")
        settings[name] = value
    return settings


@dataclass(frozen=True, slots=True)
class Described:
    """How an argument or option is spelled, what its value is called, and what help says of it."""

    header: str
    text: str

    @property
    def words(self) -> tuple[str, ...]:
        """What is allowed, where that is a few words."""
        inside = re.search(r"\{([^}]*)\}", self.text)
        return tuple(re.split(r",\s+", inside[1])) if inside else ()

    @property
    def help(self) -> str:
        """What help says, on one line."""
        return " ".join(re.sub(r"[{}]", "", self.text).split())

    def build(self, asked: inspect.Parameter) -> click.Parameter:
        """Build what is parsed: an argument of a parameter with a place, else an option."""
        spelled, least = self.header.partition(" >= ")[::2]
        names = [word for word in spelled.split() if word.startswith("-")]
        value = spelled.split()[-1] if spelled.split()[len(names) :] else None
        kind, several = _read_type(asked.annotation, int(least) if least else None)
        settings: dict[str, Any] = {"type": kind, "metavar": value}
        if asked.name in _NAMES:
            settings["shell_complete"] = names_of(_NAMES[asked.name])
        elif self.words:
            settings["shell_complete"] = one_of(*self.words)
            settings["metavar"] = value or (names or [asked.name])[0].rpartition("-")[2].upper()
        required = asked.default is asked.empty
        settings |= {"required": True} if required else {"default": asked.default}
        if asked.kind is not asked.KEYWORD_ONLY:
            return click.Argument([asked.name], nargs=-1 if several else 1, **settings)
        names = names or [f"--{asked.name.replace('_', '-')}"]
        shown = not required and asked.default not in (None, False)
        return click.Option(
            [*names, asked.name], multiple=several, is_flag=kind is bool, help=self.help,
            show_default=shown, **settings,
        )  # fmt: skip


def _read_type(kind: Any, least: int | None) -> tuple[Any, bool]:
    """Say as what a value is read, and whether there may be several."""
    inner = [one for one in get_args(kind) if one is not type(None)]
    if get_origin(kind) is list:
        return inner[0], True
    if get_origin(kind) is tuple:
        return tuple(inner), False
    if inner:
        return _read_type(inner[0], least)
    if least is not None:
        return click.IntRange(min=least), False
    return click.Path(path_type=Path) if kind is Path else kind, False


def read_options(owner: object) -> dict[str, Described]:
    """Read the section of a docstring that describes parameters."""
    section = inspect.cleandoc(owner.__doc__ or "").partition("\n----------\n")[2]
    found = re.findall(r"^(\w+)(?: : (.+))?\n((?: +.+\n?)+)", section, re.MULTILINE)
    return {name: Described(header, text) for name, header, text in found}


_SHARED = read_options(Options)
FORMATS = _SHARED["fmt"].words


type Complete = Callable[[click.Context, click.Parameter, str], list[str]]


def one_of(*words: str) -> Complete:
    """Offer fixed words at the tab key."""

    def complete(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[str]:
        return [word for word in words if word.startswith(incomplete)]

    return complete


def names_of(kind: str) -> Complete:
    """Offer names of the fit that is asked: decisions, benchmarks, task_families, lms, lm_families.

    Nothing is offered where the fit cannot be read: the command itself says why.
    """

    def complete(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[str]:
        from bayesmeta.estimates.question import list_decisions

        path: Path | None = ctx.params.get("fit")
        try:
            fit = bm.load_reference_fit() if path is None else bm.load_fit(path)
        except BayesmetaError:
            return []
        if not isinstance(fit, bm.Fit):
            return []
        names = list_decisions(fit.design) if kind == "decisions" else getattr(fit.design, kind)
        return one_of(*names)(ctx, param, incomplete)

    return complete


type Parts = Mapping[str, tuple[str, "pd.DataFrame"]]
"""Tables by name, each with its title."""

# --- Commands -------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Shown:
    """What a command prints.

    Parameters
    ----------
    table
        The result: a table or a text, or a function that makes it.
    caption
        Of a table for papers.
    heading
        Stands above a table for reading.
    opening, verdict
        Stand above and below a table for reading; on standard error where it is for a program.
    instead
        By format what is printed in place of `table`: a text, a table, for JSON plain values, or a
        function that makes it.
    passed
        False ends with the code for a check that failed.
    """

    table: Any
    caption: str | None = None
    heading: str = ""
    opening: str = ""
    verdict: str = ""
    instead: Mapping[str, Any] = field(default_factory=dict)
    passed: bool = True

    def print(self, fmt: str) -> None:
        """Print in one of the formats."""
        result: Any = self.instead.get(fmt, self.table)
        result = result() if callable(result) else result
        tell, heading = show if fmt == "table" else say, self.heading
        if fmt != "json":
            tell(self.opening)
        if fmt == "table" and not isinstance(result, str):
            from bayesmeta.tables.text import name_constants

            said, result = name_constants(result)
            title = (heading or self.caption or "").rstrip(".:")
            said = [one for one in said if one not in title.replace("_", " ")]
            if said:
                heading = f"{', '.join(filter(None, [title, *said]))}:"
                heading = "\n" * heading.startswith("\n") + wrap(heading)
        if fmt == "table":
            show(heading)
        if fmt == "json" and "json" in self.instead:
            result = json.dumps(result, indent=2)
        elif not isinstance(result, str):
            caption = None if fmt == "table" else self.caption
            result = bm.format_table(result, fmt=fmt, caption=caption)
        show(result)
        if fmt != "json":
            tell(self.verdict)


class Command(click.Command):
    """A command whose help says what its arguments are."""

    explained: Mapping[str, str]

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the arguments, then the options."""
        found = [one for one in self.params if isinstance(one, click.Argument)]
        if found:
            with formatter.section("Arguments"):
                lines = [(one.make_metavar(ctx), self.explained[str(one.name)]) for one in found]
                formatter.write_dl(lines)
        super().format_options(ctx, formatter)


def command[F: Callable[..., Any]](
    name: str, *, working: str | None = None, group: click.Group | None = None
) -> Callable[[F], F]:
    """Make a command of a function that returns what is shown.

    Parameters
    ----------
    name
        As it is typed.
    working
        What a terminal shows meanwhile.
    group
        Where the command stands; below `bayesmeta` itself if left out.
    """

    def register(function: F) -> F:
        own = inspect.signature(function).parameters

        def run(fmt: str, **given: Any) -> None:
            if fmt not in FORMATS:
                raise unknown(QueryError, "--format", fmt, FORMATS)
            lists = {one.name for one in params if one.multiple or one.nargs < 0}
            asked: dict[str, Any] = {
                k: list(v) or None if k in lists else v for k, v in given.items()
            }
            with under_way(working):
                if "fit" in own:
                    takes_any = "EffectSizeFit" in str(own["fit"].annotation)
                    asked["fit"] = (load_any_fit if takes_any else load_fit)(asked["fit"])
                found = function(**asked, **({"fmt": fmt} if "fmt" in own else {}))
            for shown in found if isinstance(found, list) else [found]:
                shown.print(fmt)
                if not shown.passed:
                    raise click.exceptions.Exit(EXIT_UNCHECKED)

        described = _SHARED | read_options(function)
        text = inspect.cleandoc(function.__doc__ or "").partition("\n\nParameters\n")[0]
        params = [described[one.name].build(one) for one in _expand(own)]
        built = Command(name, callback=run, params=params, help=text)
        built.explained = {key: one.help for key, one in described.items()}
        (COMMANDS if group is None else group.commands)[name] = built
        return function

    return register


def _expand(own: Mapping[str, inspect.Parameter]) -> list[inspect.Parameter]:
    """List arguments and options: a function's own, fields of a `TypedDict`, fit and format."""
    asked = [one for name, one in own.items() if name not in ("fit", "fmt")]
    if asked and asked[-1].kind is inspect.Parameter.VAR_KEYWORD:
        fields = get_args(asked.pop().annotation)[0].__annotations__
        asked += [_make_option(name, kind, _DEFAULTS.get(name)) for name, kind in fields.items()]
    asked += [_make_option("fit", Path | None)] if "fit" in own else []
    return [*asked, _make_option("fmt", str, FORMATS[0])]


def _make_option(name: str, kind: Any, default: object = None) -> inspect.Parameter:
    default = None if type(None) in get_args(kind) else default
    keyword = inspect.Parameter.KEYWORD_ONLY
    return inspect.Parameter(name, keyword, default=default, annotation=kind)


def under_way(what: str | None) -> AbstractContextManager[None]:
    """Show on a terminal that something is under way that takes seconds and has no steps."""
    if what is None or not sys.stderr.isatty():
        return nullcontext()
    from bayesmeta.jobs import spinner

    return spinner(what, shown=True)


def wrap(text: str) -> str:
    """Break a paragraph into lines for a terminal."""
    return textwrap.fill(text, defaults.LINE_WIDTH, break_on_hyphens=False)


_WHOLE = re.compile(r"(?<!\w)'[^'\n]{1,60}'(?!\w)|`[^`\n]{1,60}`")
"""What stands in quotes, names and commands, unless it is long."""

_HOLD = "\N{NO-BREAK SPACE}"


def wrap_message(text: str) -> str:
    """Break the paragraphs of a message at the width of the terminal; what is quoted stays whole.

    Where there is no terminal, lines are as long as those of an answer.
    """
    width = max(shutil.get_terminal_size((defaults.LINE_WIDTH, 0)).columns, _NARROW)
    held = _WHOLE.sub(lambda found: found[0].replace(" ", _HOLD), text)
    held = held.replace("error: ", f"error:{_HOLD}", 1)
    lines = (
        textwrap.fill(line, width, break_on_hyphens=False, break_long_words=False)
        for line in held.split("\n")
    )
    return "\n".join(lines).replace(_HOLD, " ")


def list_parts(parts: Parts) -> list[Shown]:
    """List tables for reading, each below its title."""
    return [Shown(table, heading=f"\n{title}:") for title, table in parts.values()]


def show(text: str) -> None:
    """Print a result."""
    if text:
        click.echo(text)


def say(text: str) -> None:
    """Print what is not a result to standard error; one long line is broken as a message is."""
    if text:
        click.echo(text if "\n" in text else wrap_message(text), err=True)


# --- Reading, refusals, refits --------------------------------------------------------------------


def load_data(folder: Path | None, *, version: str) -> "bm.Dataset":
    """Read the tables of a folder, or the bundled ones."""
    if folder is None:
        return bm.load_dataset(version=version)
    return bm.read_dataset(folder, version=version)


def load_fit(path: Path | None) -> "bm.Fit":
    """Read a fit of LMs, or the shipped one; warn where it failed its checks."""
    fit = load_any_fit(path)
    if not isinstance(fit, bm.Fit):
        raise QueryError(
            f"--fit {path} is a fit of effect sizes, not of LMs and their scores. Allowed: what "
            "`bayesmeta fit` wrote. Of this one ask `bayesmeta check` and `bayesmeta report`, and "
            "in Python bm.load_fit, bm.summary, bm.plot.study_forest."
        )
    return fit


def load_any_fit(path: Path | None) -> "bm.Fit | bm.EffectSizeFit":
    """Read a fit, or the shipped one; warn where it failed its checks."""
    fit = bm.load_reference_fit() if path is None else bm.load_fit(path)
    if fit.failures:
        say(f"warning: this fit failed its checks; do not report it. {' '.join(fit.failures)}")
    return fit


def check_out(path: Path, *, option: str = "--out") -> None:
    """Refuse before the work, not after it."""
    if not path.parent.is_dir() or path.is_dir():
        what = "is a folder" if path.is_dir() else f"cannot be written: {path.parent} is no folder"
        raise QueryError(f"{option} {path} {what}. Name a file in a folder that exists.")


def split_names(names: str) -> list[str]:
    """Split names at commas, and drop the blanks."""
    return [name.strip() for name in names.split(",") if name.strip()]


@contextmanager
def interruptible(kept: str) -> Iterator[None]:
    """At Ctrl-C say what is kept, and end with the code for that."""
    try:
        yield
    except KeyboardInterrupt:
        say(f"interrupted: {kept}")
        raise click.exceptions.Exit(EXIT_INTERRUPTED) from None


@contextmanager
def refitting(asked: Refits, *, what: str, processes: bool = False) -> Iterator["Executor"]:
    """Refit on a cluster, or here: in threads, since sampling leaves the interpreter lock alone.

    Compiling does not; where that takes most of the time, processes are faster.
    """
    from bayesmeta.jobs import open_executor

    kept = "nothing was kept, for want of --out"
    if asked["out"] is not None:
        kept = f"finished {what} are kept in {asked['out']}; the same command goes on there"
    opened = open_executor(asked["dask"], workers=asked["workers"], processes=processes)
    with interruptible(kept), opened as executor:
        yield executor


def keep(found: Any, path: Path | None) -> None:
    """Save what refits gave, where there is a folder for it."""
    if path is not None:
        found.save(path)
        say(f"wrote {path}")
