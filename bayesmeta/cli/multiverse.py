"""The command that asks a statement under other analysts' choices."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bayesmeta import defaults
from bayesmeta.cli.executors import open_executor
from bayesmeta.cli.options import Benchmark, CiProb, Format, TaskFamily, Version, choice
from bayesmeta.cli.shared import (
    EXIT_INTERRUPTED,
    POINTS,
    check_format,
    load_data,
    say,
    show,
    show_frame,
    show_parts,
    split_names,
    word_unknown,
)
from bayesmeta.errors import QueryError, listing

if TYPE_CHECKING:
    import pandas as pd

    from bayesmeta.evaluation import Multiverse

app = typer.Typer()

MULTIVERSE = "multiverse.csv"
_PARTS = ("specifications", "influence", "summary")


Statements = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="STATEMENT...",
        help="'DECISION: A > B', or 'PART: +POINTS from PART' for a swap in the training mix.",
    ),
]
Recorded = Annotated[
    bool, typer.Option("--recorded", help="Show the shipped record; fits nothing.")
]
Data = Annotated[
    Path | None,
    typer.Option("--data", metavar="DIR", help="Your tables; the bundled ones if left out."),
]
Choices = Annotated[
    list[str] | None,
    typer.Option(
        "--choice",
        metavar="NAME=LEVELS",
        help="Vary this choice alone, with these levels, such as likelihood=student,normal; may be "
        "repeated. All choices vary if left out.",
    ),
]
N = Annotated[
    str, typer.Option("--n", metavar="N|all", help="Specifications; a balanced fraction.")
]
Out = Annotated[
    Path | None,
    typer.Option(metavar="DIR", help="Keeps each finished fit; the same command goes on."),
]
Workers = Annotated[
    int | None, typer.Option(min=1, help="Fits at once; as many as processors if left out.")
]
Dask = Annotated[str | None, typer.Option(metavar="ADDRESS", help="Run on a Dask cluster.")]
Part = Annotated[
    str,
    choice("--show", *_PARTS, "all",
           help="specifications, influence, summary; all of them in a table if left out."),
]  # fmt: skip


@app.command("multiverse")
def multiverse_command(
    statements: Statements = None,
    recorded: Recorded = False,
    data_dir: Data = None,
    benchmark: Benchmark = None,
    task_family: TaskFamily = None,
    choices: Choices = None,
    n: N = str(defaults.SPECIFICATIONS),
    seed: Annotated[int, typer.Option(min=0)] = defaults.SEED,
    out: Out = None,
    workers: Workers = None,
    dask: Dask = None,
    part: Part = "all",
    ci_prob: CiProb = defaults.CI_PROB,
    version: Version = "corrected",
    fmt: Format = "table",
) -> None:
    """Does it hang on how one analyses the data?"""
    from bayesmeta.effects.contrasts import check_ci_prob
    from bayesmeta.evaluation import load_multiverse, multiverse

    check_format(fmt)
    check_ci_prob(ci_prob)
    if part not in (*_PARTS, "all"):
        raise word_unknown("--show", part, [*_PARTS, "all"])
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
        with open_executor(dask, workers=workers, processes=True) as executor:
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
        if not equals or not split_names(levels):
            raise QueryError(
                f"--choice '{text}' cannot be read. Allowed: NAME=LEVEL,LEVEL, such as "
                "likelihood=student,normal."
            )
        if name in grid:
            raise QueryError(
                f"--choice '{name}' is given twice. Allowed: each choice once, with all its levels."
            )
        grid[name] = split_names(levels)
    return grid


def _pick_recorded(
    found: Multiverse, statements: Sequence[str] | None, target: str | None
) -> Multiverse:
    """Take the asked statements out of the record; all of them where none is named."""
    from bayesmeta.evaluation import Multiverse

    def tight(text: str) -> str:  # blanks make no other statement
        return "".join(text.split())

    wanted = [tight(text) for text in statements or []]
    kept = [pair for pair in found.asked
            if (not wanted or tight(pair[0]) in wanted) and target in (None, pair[1])]  # fmt: skip
    there = [tight(pair[0]) for pair in kept]
    lost = [text for text in statements or [] if tight(text) not in there]
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
            f"What moves it: distance between the means of two levels ({POINTS})",
            found.influence(),
        ),
        "summary": (f"All specifications ({POINTS})", found.summary()),
    }
    if part in parts:
        title, rows = parts[part]
        show_frame(rows, fmt=fmt, caption=f"{title}.")
    elif fmt == "json":
        _show_specifications(table, names)
    elif fmt != "table":
        show_frame(table, fmt=fmt, caption="Every specification.")
    else:
        _show_sorted(table, found.asked, ci_prob=ci_prob)
    if fmt == "table" and part == "all":
        show_parts(parts)
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
            f"\n{statement}, {target.replace('_', ' ')}; {100 * ci_prob:g} % equal-tailed "
            f"intervals, {POINTS}:"
        )
        show_frame(rows.sort_values("estimate").drop(columns=constant), fmt="table")
