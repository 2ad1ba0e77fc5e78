"""Commands that refit, or show what refits gave: held-out scores, checks, the multiverse."""

from __future__ import annotations

import json
import signal
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Executor, ProcessPoolExecutor, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bayesmeta import defaults
from bayesmeta.cli.shared import (
    EXIT_INTERRUPTED,
    CiProb,
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

    from bayesmeta.evaluation import Multiverse, Scoreboard

app = typer.Typer()

RECORD = "scoreboard.csv"
MULTIVERSE = "multiverse.csv"
_POINTS = "percentage points"
_PARTS = ("specifications", "influence", "summary")


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
def _executor(
    address: str | None, *, workers: int | None, processes: bool = False
) -> Iterator[Executor]:
    """Run on a cluster, or here: in threads, since sampling leaves the interpreter lock alone.

    Compiling does not; where that takes most of the time, processes are faster.
    """
    from multiprocessing import get_context

    from bayesmeta.evaluation import connect_dask
    from bayesmeta.inference.sample import count_processors

    if address is not None:
        with connect_dask(address) as executor:
            yield executor
        return
    workers = workers if workers is not None else count_processors()
    executor: Executor = ThreadPoolExecutor(workers)
    if processes:
        executor = ProcessPoolExecutor(
            workers, mp_context=get_context("spawn"), initializer=_end_quietly
        )
    try:
        yield executor
    finally:
        executor.shutdown(wait=False, cancel_futures=True)


def _end_quietly() -> None:
    """End a worker process at Ctrl-C without a traceback."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


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


@app.command("multiverse")
def multiverse_command(
    statements: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="STATEMENT...",
            help="'DECISION: A > B', or 'PART: +POINTS from PART' for a swap in the training mix.",
        ),
    ] = None,
    recorded: Annotated[
        bool, typer.Option("--recorded", help="Show the shipped record; fits nothing.")
    ] = False,
    data_dir: Annotated[
        Path | None,
        typer.Option("--data", metavar="DIR", help="Your tables; the bundled ones if left out."),
    ] = None,
    benchmark: Annotated[str | None, typer.Option("--benchmark", metavar="NAME")] = None,
    task_family: Annotated[str | None, typer.Option("--task-family", metavar="NAME")] = None,
    choices: Annotated[
        list[str] | None,
        typer.Option(
            "--choice",
            metavar="NAME=LEVELS",
            help="Vary this choice alone, with these levels, such as likelihood=student,normal; "
            "may be repeated. All choices vary if left out.",
        ),
    ] = None,
    n: Annotated[
        str, typer.Option("--n", metavar="N|all", help="Specifications; a balanced fraction.")
    ] = str(defaults.SPECIFICATIONS),
    seed: Annotated[int, typer.Option(min=0)] = defaults.SEED,
    out: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Keeps each finished fit; the same command goes on."),
    ] = None,
    workers: Annotated[
        int | None, typer.Option(min=1, help="Fits at once; as many as processors if left out.")
    ] = None,
    dask: Annotated[
        str | None, typer.Option(metavar="ADDRESS", help="Run on a Dask cluster.")
    ] = None,
    part: Annotated[
        str,
        typer.Option(
            "--show",
            metavar="PART",
            help="specifications, influence, summary; all of them in a table if left out.",
        ),
    ] = "all",
    ci_prob: CiProb = defaults.CI_PROB,
    version: Version = "corrected",
    fmt: Format = "table",
) -> None:
    """Ask a statement under every choice that reasonable analysts make differently."""
    from bayesmeta.effects.contrasts import check_ci_prob
    from bayesmeta.evaluation import load_multiverse, multiverse

    check_format(fmt)
    check_ci_prob(ci_prob)
    if part not in (*_PARTS, "all"):
        raise _unknown("--show", part, [*_PARTS, "all"])
    if benchmark is not None and task_family is not None:
        raise QueryError("both a benchmark and a task family were given. Name one of them.")
    target = benchmark if benchmark is not None else task_family
    if recorded:
        picked = _pick_recorded(load_multiverse(), statements, target)
        _show_multiverse(picked, part, ci_prob=ci_prob, fmt=fmt)
        return
    if not statements:
        raise QueryError(
            "no statement is given. Allowed: one or more, such as 'position_embedding: rotary > "
            "learned'; or --recorded, which shows the shipped record."
        )
    asked = statements if target is None else [(text, target) for text in statements]
    data, grid = load_data(data_dir, version=version), _read_choices(choices or [])
    try:
        with _executor(dask, workers=workers, processes=True) as executor:
            found = multiverse(
                data,
                asked,
                grid=grid or None,
                n=int(n) if n.isdecimal() else n,
                seed=seed,
                executor=executor,
                out=out,
            )
    except KeyboardInterrupt:
        kept = f"finished fits are kept in {out}; the same command goes on there"
        say(f"interrupted: {kept if out is not None else 'nothing was kept, for want of --out'}")
        raise typer.Exit(EXIT_INTERRUPTED) from None
    if out is not None:
        found.save(out / MULTIVERSE)
    _show_multiverse(found, part, ci_prob=ci_prob, fmt=fmt)
    if out is not None:
        say(f"wrote {out / MULTIVERSE}")


def _read_choices(texts: Sequence[str]) -> dict[str, list[str]]:
    grid: dict[str, list[str]] = {}
    for text in texts:
        name, equals, levels = text.partition("=")
        if not equals or not _split(levels):
            raise QueryError(
                f"--choice '{text}' cannot be read. Allowed: NAME=LEVEL,LEVEL, such as "
                "likelihood=student,normal."
            )
        if name in grid:
            raise QueryError(
                f"--choice '{name}' is given twice. Allowed: each choice once, with all its levels."
            )
        grid[name] = _split(levels)
    return grid


def _pick_recorded(
    found: Multiverse, statements: Sequence[str] | None, target: str | None
) -> Multiverse:
    """Take the asked statements out of the record; all of them where none is named."""
    from bayesmeta.evaluation import Multiverse

    kept = [pair for pair in found.asked
            if (not statements or pair[0] in statements) and target in (None, pair[1])]  # fmt: skip
    lost = [text for text in statements or [] if text not in [pair[0] for pair in kept]]
    if lost or not kept:
        raise QueryError(
            f"{f'statement {lost[0]!r}' if lost else f'target {target!r}'} is not in the record."
            f" Allowed: {listing(f'{s!r} on {t}' for s, t in found.asked)}. Leave out --recorded "
            "to fit."
        )
    rows = [pair in kept for pair in found.cells[["statement", "target"]].itertuples(
        index=False, name=None)]  # fmt: skip
    return Multiverse(found.cells[rows].reset_index(drop=True))


def _show_multiverse(found: Multiverse, part: str, *, ci_prob: float, fmt: str) -> None:
    table, names = found.table(ci_prob=ci_prob), list(found.choices)
    parts = {
        "influence": (
            f"What moves it: distance between the means of two levels ({_POINTS})",
            found.influence(),
        ),
        "summary": (f"All specifications ({_POINTS})", found.summary()),
    }
    if part in parts:
        show_frame(parts[part][1], fmt=fmt)
    elif fmt == "json":
        _show_specifications(table, names)
    elif fmt != "table":
        show_frame(table, fmt=fmt)
    else:
        _show_sorted(table, found.asked, ci_prob=ci_prob)
    if fmt == "table" and part == "all":
        _show_parts(parts)
        show(f"\n{found!r}")


def _show_specifications(table: pd.DataFrame, names: Sequence[str]) -> None:
    """Print JSON, the choices of every row in an object of their own."""
    rows = []
    for row in json.loads(table.drop(columns="specification").to_json(orient="records")):
        specification = {name: row.pop(name) for name in names}
        rows.append({"specification": specification, **row})
    show(json.dumps(rows, indent=2))


def _show_sorted(table: pd.DataFrame, asked: Sequence[tuple[str, str]], *, ci_prob: float) -> None:
    """Print the specifications of every statement, without what is the same in every row."""
    constant = ["mcse", "ci_prob", "units", "statement", "target"]
    constant += [] if table["note"].any() else ["note"]
    for statement, target in asked:
        rows = table[(table["statement"] == statement) & (table["target"] == target)]
        show(
            f"\n{statement}, {target.replace('_', ' ')}; {ci_prob:.0%} equal-tailed intervals, "
            f"{_POINTS}:"
        )
        show_frame(rows.sort_values("estimate").drop(columns=constant), fmt="table")
