"""Commands that refit, or show what refits gave: held-out scores, checks."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bayesmeta import defaults
from bayesmeta.cli.executors import open_executor
from bayesmeta.cli.options import DataDir, Format, Version
from bayesmeta.cli.shared import (
    EXIT_INTERRUPTED,
    POINTS,
    check_format,
    load_data,
    say,
    show_frame,
    show_parts,
    split_names,
    word_unknown,
)
from bayesmeta.errors import QueryError, listing

if TYPE_CHECKING:
    import pandas as pd

    from bayesmeta.evaluation import Scoreboard

app = typer.Typer()

RECORD = "scoreboard.csv"


@app.command("evaluate")
def evaluate_command(
    data_dir: DataDir = None,
    scheme: Annotated[
        str,
        typer.Option(
            metavar="NAMES",
            help="One or more, with commas: random, leave-family-out, largest, "
            "leave-benchmark-out.",
        ),
    ] = "random",
    models: Annotated[
        str,
        typer.Option(
            metavar="NAMES",
            help="With commas: full, scale, scale+family, median, ols, xgboost-scale, "
            "xgboost-all, scale+family-dummies, or spec files in TOML or JSON.",
        ),
    ] = "full,scale",
    seeds: Annotated[str, typer.Option(metavar="N|A-B", help="Seeds 0 to N - 1, or A to B.")] = str(
        defaults.EVALUATION_SEEDS
    ),
    out: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Keeps each finished fold; the same command goes on."),
    ] = None,
    workers: Annotated[
        int | None, typer.Option(min=1, help="Folds at once; as many as processors if left out.")
    ] = None,
    dask: Annotated[
        str | None, typer.Option(metavar="ADDRESS", help="Run on a Dask cluster.")
    ] = None,
    version: Version = "corrected",
    fmt: Format = "table",
) -> None:
    """Score models and peers on the same held-out lms."""
    from bayesmeta.evaluation import evaluate

    check_format(fmt)
    data = load_data(data_dir, version=version)
    try:
        with open_executor(dask, workers=workers) as executor:
            board = evaluate(
                data,
                split_names(models),
                scheme=split_names(scheme),
                seeds=_read_seeds(seeds),
                executor=executor,
                out=out,
            )
    except KeyboardInterrupt:
        kept = f"finished folds are kept in {out}; the same command goes on there"
        say(f"interrupted: {kept if out is not None else 'nothing was kept, for want of --out'}")
        raise typer.Exit(EXIT_INTERRUPTED) from None
    if out is not None:
        board.save(out / RECORD)
    if fmt == "table":
        show_parts(_list_parts(board))
    else:
        show_frame(board.table(), fmt=fmt, caption=f"Errors by benchmark ({POINTS}).")
    if out is not None:
        say(f"wrote {out / RECORD}")


@app.command("scoreboard")
def scoreboard_command(
    part: Annotated[
        str,
        typer.Option(
            "--show",
            metavar="PART",
            help="means, benchmarks, differences, gains, leakage; all of them in a table if left "
            "out.",
        ),
    ] = "all",
    scheme: Annotated[
        str | None, typer.Option(metavar="NAME", help="Only of this scheme; of all if left out.")
    ] = None,
    version: Version = "corrected",
    fmt: Format = "table",
) -> None:
    """The recorded evaluation of the bundled data."""
    from bayesmeta.evaluation import load_scoreboard

    check_format(fmt)
    board = load_scoreboard(version)
    parts = _list_parts(board)
    if part not in (*parts, "all"):
        raise word_unknown("--show", part, [*parts, "all"])
    if scheme is not None:
        schemes = list(board.cells["scheme"].unique())
        if scheme not in schemes:
            raise word_unknown("--scheme", scheme, schemes)
        parts = {
            name: (title, table[table["scheme"] == scheme] if "scheme" in table else table)
            for name, (title, table) in parts.items()
        }
    if fmt == "table":
        show_parts(parts if part == "all" else {part: parts[part]})
    else:
        if part == "all":
            part = "benchmarks"
            say(f"note: benchmarks alone; --show gives the others: {listing(parts)}")
        title, table = parts[part]
        show_frame(table, fmt=fmt, caption=f"{title}.")


def _read_seeds(text: str) -> int | range:
    first, dash, last = text.partition("-")
    if dash and first.isdecimal() and last.isdecimal() and int(first) <= int(last):
        return range(int(first), int(last) + 1)
    if not text.isdecimal() or int(text) < 1:
        raise QueryError(
            f"--seeds '{text}' is no number of seeds. Allowed: a whole number from 1 up, such as "
            "50 for the seeds 0 to 49, or two with a dash, such as 10-49."
        )
    return int(text)


def _list_parts(board: Scoreboard) -> dict[str, tuple[str, pd.DataFrame]]:
    """List title and table of every summary, the most condensed last."""
    import pandas as pd

    first = str(board.cells["model"].iloc[0])
    models = set(board.cells["model"])
    ci = f"{100 * defaults.CI_PROB:g} % intervals over lm families"
    pairs = [
        ("full", "scale"),
        ("xgboost-all", "xgboost-scale"),
        ("scale+family-dummies", "xgboost-scale"),
    ]
    gains = [board.gains(model, over=over) for model, over in pairs if {model, over} <= models]
    parts = {
        "benchmarks": (f"Errors by benchmark ({POINTS}; coverage in percent)", board.table()),
        "gains": (
            f"Gain: error below that of another model, in percent of the latter; {ci}",
            pd.concat(gains) if gains else pd.DataFrame(),
        ),
        "differences": (
            f"Difference in mean error from {first} ({POINTS}; negative: better); {ci}",
            board.differences(first).drop(columns="reference"),
        ),
        "leakage": (
            f"Leakage: error on unseen families less that on random splits ({POINTS}); {ci}",
            board.leakage(),
        ),
        "means": (
            f"Means over benchmarks ({POINTS}; coverage in percent); {ci}",
            board.means(),
        ),
    }
    return {name: part for name, part in parts.items() if len(part[1])}


@app.command("validation")
def validation_command(
    check: Annotated[
        str, typer.Argument(metavar="CHECK", help="calibration, coverage, placebo or priors.")
    ],
    fmt: Format = "table",
) -> None:
    """Recorded checks of the model: calibration, coverage, placebo."""
    from bayesmeta.evaluation import load_validation

    check_format(fmt)
    show_frame(load_validation(check), fmt=fmt)
