"""The command that scores models on held-out scores."""

from __future__ import annotations

from collections.abc import Iterator
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
from bayesmeta.errors import QueryError

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
        _show_all(board)
    else:
        show_frame(board.table(), fmt=fmt)
    if out is not None:
        say(f"wrote {out / RECORD}")


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


def _show_all(board: Scoreboard) -> None:
    """Print every summary, the most condensed last."""
    models = list(dict.fromkeys(board.cells["model"]))
    ci = f"{defaults.CI_PROB:.0%} intervals over lm families"
    _show_part(f"Errors by benchmark ({_POINTS}; coverage in percent)", board.table())
    for model, over in (("full", "scale"), ("xgboost-all", "xgboost-scale")):
        if model in models and over in models:
            _show_part(
                f"Error of {model} below that of {over}, percent of the latter; {ci}",
                board.gains(model, over=over).drop(columns=["model", "over"]),
            )
    if len(models) > 1:
        _show_part(
            f"Difference in mean error from {models[0]} ({_POINTS}; negative: better than "
            f"{models[0]}); {ci}",
            board.differences(models[0]).drop(columns="reference"),
        )
    _show_part(f"Leakage: error on unseen families less that on random splits ({_POINTS}; {ci})",
               board.leakage())  # fmt: skip
    _show_part(f"Means over benchmarks ({_POINTS}; {ci}; coverage in percent)", board.means())


def _show_part(title: str, table: pd.DataFrame) -> None:
    if len(table):
        show(f"\n{title}:")
        show_frame(table, fmt="table")
