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
    tables,
)
from bayesmeta.cli.shared import EXIT_BAD_INPUT, say
from bayesmeta.errors import BayesmetaError

__all__ = ["app", "main"]

app = typer.Typer(
    help="Bayesian meta-analysis of what makes language models good.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
for part in (
    posterior.app,
    claims.app,
    predictions.app,
    figures.app,
    evaluation.app,
    multiverse.app,
    doctor.app,
):
    app.add_typer(part)
app.add_typer(tables.app, name="data")


def main() -> None:
    """Run the command line; errors are one paragraph and an exit code."""
    run: Callable[..., Any] = app
    try:
        run()
    except BayesmetaError as error:
        say(f"error: {error}")
        sys.exit(EXIT_BAD_INPUT)
