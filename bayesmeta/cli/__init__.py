"""The command line: parse, call one public function, print. Results go to stdout."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

import typer

from bayesmeta.cli import (
    claims,
    doctor,
    evaluation,
    figures,
    multiverse,
    posterior,
    predictions,
    report,
    tables,
)
from bayesmeta.cli.shared import EXIT_BAD_INPUT, say
from bayesmeta.errors import BayesmetaError, listing

__all__ = ["app", "main"]

CONTENTS = {
    "Fit": ("fit", "check"),
    "Ask": ("query", "effects", "rank", "curve", "tradeoff", "swaps"),
    "Doubt": ("influence", "ladders", "tipping", "multiverse"),
    "Predict": ("whatif", "predict", "designs"),
    "Show": ("plot", "report", "claim"),
    "Judge the model": ("evaluate", "scoreboard", "validation"),
    "Data and installation": ("doctor", "data"),
}
"""The commands by what one wants to do, in the order of `--help`."""

_PARTS = (posterior, claims, predictions, figures, report, evaluation, multiverse, doctor)
_EPILOG = (
    "Start with: bayesmeta query 'position_embedding: rotary > learned'. What reads a posterior "
    "takes --fit FIT.nc, or the shipped one; what prints a table takes --format "
    "table|json|csv|md|latex|html. Exit codes: 0 fine, 1 a check failed, 2 bad input."
)


def _build_app() -> typer.Typer:
    """Put the commands of all modules in order, each in the panel of its purpose."""
    built = typer.Typer(
        help="Bayesian meta-analysis of what makes language models good.",
        epilog=_EPILOG,
        no_args_is_help=True,
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    commands = {str(c.name): c for part in _PARTS for c in part.app.registered_commands}
    for panel, names in CONTENTS.items():
        for name in names:
            if name == "data":
                built.add_typer(tables.app, name=name, rich_help_panel=panel)
            else:
                commands[name].rich_help_panel = panel
                built.registered_commands.append(commands.pop(name))
    assert not commands, f"no panel holds {listing(commands)}"
    return built


app = _build_app()


def main() -> None:
    """Run the command line; errors are one paragraph and an exit code."""
    run: Callable[..., Any] = app
    try:
        run()
    except BayesmetaError as error:
        say(f"error: {error}")
        sys.exit(EXIT_BAD_INPUT)
