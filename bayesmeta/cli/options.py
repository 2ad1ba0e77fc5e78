"""Arguments and options that several commands take, with what a shell completes them to."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from bayesmeta.cli.completion import names_of, one_of

__all__ = [
    "Benchmark",
    "By",
    "CiProb",
    "DataDir",
    "Decision",
    "FitOption",
    "Format",
    "LmFamilies",
    "Lms",
    "Scale",
    "Statement",
    "TaskFamily",
    "Version",
    "choice",
    "named",
]


def choice(option: str, *words: str, help: str | None = None) -> Any:
    """Make an option that takes one of a few words, which its help lists."""
    return typer.Option(
        option,
        metavar=option.removeprefix("--").rpartition("-")[2].upper(),
        help=help or f"{', '.join(words[:-1])} or {words[-1]}.",
        autocompletion=one_of(*words),
    )


def named(option: str, kind: str, *, help: str) -> Any:
    """Make an option that takes a name of the fit: see `completion.names_of`."""
    return typer.Option(option, metavar="NAME", help=help, autocompletion=names_of(kind))


DataDir = Annotated[
    Path | None,
    typer.Argument(metavar="[DATA_DIR]", help="Your tables; the bundled ones if left out."),
]
FitOption = Annotated[
    Path | None,
    typer.Option("--fit", metavar="FIT.nc", help="A saved fit; the shipped one if left out."),
]
CiProb = Annotated[float, typer.Option("--ci-prob", help="Probability of the intervals.")]
Format = Annotated[str, choice("--format", "table", "json", "csv", "md", "latex", "html")]
Version = Annotated[str, choice("--data-version", "corrected", "as-published")]
By = Annotated[str, choice("--by", "benchmark", "task_family", "overall")]
Scale = Annotated[
    str,
    choice("--scale", "score", "latent", help="score (percentage points), or latent (logits)."),
]
Lms = Annotated[
    list[str] | None, named("--lm", "lms", help="Average over these alone; may be repeated.")
]
LmFamilies = Annotated[
    list[str] | None,
    named("--lm-family", "lm_families", help="Average over their lms; may be repeated."),
]
Benchmark = Annotated[
    str | None, named("--benchmark", "benchmarks", help="On this benchmark; over all if left out.")
]
TaskFamily = Annotated[
    str | None,
    named("--task-family", "task_families", help="Over the benchmarks of this task family."),
]
Decision = Annotated[
    str,
    typer.Argument(
        metavar="DECISION",
        help="Such as norm or code_share.",
        autocompletion=names_of("decisions"),
    ),
]
Statement = Annotated[
    str,
    typer.Argument(
        metavar="STATEMENT",
        help="'DECISION: A > B', such as 'norm: rmsnorm > layernorm', 'code_share: 20 > 5' or "
        "'n_params: 14e9 > 7e9'; or 'swap web_share -> code_share by 10'.",
    ),
]
