"""The command that scores models on held-out scores."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bayesmeta import defaults
from bayesmeta.cli.shared import (
    EXIT_INTERRUPTED,
    DataDir,
    Format,
    Version,
    check_format,
    load_data,
    say,
    show,
    show_frame,
)
from bayesmeta.errors import QueryError, listing, suggest

if TYPE_CHECKING:
    import pandas as pd

    from bayesmeta.evaluation import Scoreboard

app = typer.Typer()

RECORD = "scoreboard.csv"
_POINTS = "percentage points"


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
        with _executor(dask, workers=workers) as executor:
            board = evaluate(
                data,
                _split(models),
                scheme=_split(scheme),
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
        _show_parts(_list_parts(board))
    else:
        show_frame(board.table(), fmt=fmt)
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
    """Print the recorded evaluation of the bundled data."""
    from bayesmeta.evaluation import load_scoreboard

    check_format(fmt)
    board = load_scoreboard(version)
    parts = _list_parts(board)
    if part not in (*parts, "all"):
        raise _unknown("--show", part, [*parts, "all"])
    if scheme is not None:
        schemes = list(board.cells["scheme"].unique())
        if scheme not in schemes:
            raise _unknown("--scheme", scheme, schemes)
        parts = {
            name: (title, table[table["scheme"] == scheme] if "scheme" in table else table)
            for name, (title, table) in parts.items()
        }
    if fmt == "table":
        _show_parts(parts if part == "all" else {part: parts[part]})
    else:
        show_frame(parts["benchmarks" if part == "all" else part][1], fmt=fmt)


@contextmanager
def _executor(address: str | None, *, workers: int | None) -> Iterator[Executor]:
    """Run on a cluster, or in threads: sampling leaves the interpreter lock alone."""
    from bayesmeta.evaluation import connect_dask
    from bayesmeta.inference.sample import count_processors

    if address is not None:
        with connect_dask(address) as executor:
            yield executor
        return
    executor = ThreadPoolExecutor(workers if workers is not None else count_processors())
    try:
        yield executor
    finally:
        executor.shutdown(wait=False, cancel_futures=True)


def _unknown(option: str, value: str, allowed: list[str]) -> QueryError:
    return QueryError(
        f"{option} '{value}' is not known.{suggest(value, allowed)} Allowed: {listing(allowed)}."
    )


def _split(names: str) -> list[str]:
    return [name.strip() for name in names.split(",") if name.strip()]


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
    ci = f"{defaults.CI_PROB:.0%} intervals over lm families"
    pairs = [
        ("full", "scale"),
        ("xgboost-all", "xgboost-scale"),
        ("scale+family-dummies", "xgboost-scale"),
    ]
    gains = [board.gains(model, over=over) for model, over in pairs if {model, over} <= models]
    parts = {
        "benchmarks": (f"Errors by benchmark ({_POINTS}; coverage in percent)", board.table()),
        "gains": (
            f"Gain: error below that of another model, in percent of the latter; {ci}",
            pd.concat(gains) if gains else pd.DataFrame(),
        ),
        "differences": (
            f"Difference in mean error from {first} ({_POINTS}; negative: better); {ci}",
            board.differences(first).drop(columns="reference"),
        ),
        "leakage": (
            f"Leakage: error on unseen families less that on random splits ({_POINTS}); {ci}",
            board.leakage(),
        ),
        "means": (
            f"Means over benchmarks ({_POINTS}; coverage in percent); {ci}",
            board.means(),
        ),
    }
    return {name: part for name, part in parts.items() if len(part[1])}


def _show_parts(parts: Mapping[str, tuple[str, pd.DataFrame]]) -> None:
    for title, table in parts.values():
        show(f"\n{title}:")
        show_frame(table, fmt="table")


@app.command("validation")
def validation_command(
    check: Annotated[
        str, typer.Argument(metavar="CHECK", help="calibration, coverage, placebo or priors.")
    ],
    fmt: Format = "table",
) -> None:
    """Show the recorded result of a check of the default model."""
    from bayesmeta.evaluation import load_validation

    check_format(fmt)
    show_frame(load_validation(check), fmt=fmt)
