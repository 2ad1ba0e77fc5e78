"""Commands about lms that are not in the data as asked: predict, whatif, designs."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bayesmeta import defaults
from bayesmeta.cli.options import By, CiProb, FitOption, Format
from bayesmeta.cli.shared import check_format, load_fit, say, show, show_frame
from bayesmeta.errors import QueryError, listing, shorten

if TYPE_CHECKING:
    import pandas as pd

app = typer.Typer()

Table = Annotated[
    Path, typer.Argument(metavar="LMS.csv", help="lm, lm_family, n_params, n_tokens; other facts.")
]
Seed = Annotated[int, typer.Option("--seed", min=0, help="Of the draws of what is new.")]

_FOR_PROGRAMS = ["ci_prob", "units"]
"""Columns that a table for reading says in its heading."""

_HIGHER = "higher is better (a Brier score counts with a minus)"

_ARGUMENTS = ("fit", "lm", "by")
"""What the function is told beside the changes; no decision has such a name."""

_NAMES = ["extrapolates", "undisclosed"]
"""Columns that a table for reading leaves out where they are blank."""


@app.command("predict")
def predict_command(
    table: Table,
    fit: FitOption = None,
    ci_prob: CiProb = defaults.CI_PROB,
    seed: Seed = defaults.SEED,
    fmt: Format = "table",
) -> None:
    """What new lms would score, trained already or not."""
    from bayesmeta.effects import predict

    check_format(fmt)
    found = predict(load_fit(fit), table, ci_prob=ci_prob, seed=seed)
    intervals = (
        f"percentage points, {100 * ci_prob:g} % intervals of the expected score, and of a new "
        "observation"
    )
    caption = "Expected scores, and where new observations would lie."
    _print(found.table(), caption=caption, intervals=intervals, fmt=fmt)


@app.command("whatif")
def whatif_command(
    lm: Annotated[str, typer.Argument(metavar="LM", help="An lm of the data.")],
    changes: Annotated[
        list[str], typer.Argument(metavar="DECISION=LEVEL", help="Also n_params=, n_tokens=.")
    ],
    by: By = "benchmark",
    fit: FitOption = None,
    ci_prob: CiProb = defaults.CI_PROB,
    fmt: Format = "table",
) -> None:
    """What an lm of the data would score with some facts changed."""
    from bayesmeta.effects import whatif

    check_format(fmt)
    found = whatif(load_fit(fit), lm, by=by, **_read_changes(changes))
    if found.extrapolates:
        say(f"warning: outside what the lms of the data record: {listing(found.extrapolates)}")
    caption = f"{found.lm} with {found.label}; {_HIGHER}."
    intervals = f"percentage points, {100 * ci_prob:g} % intervals of the difference"
    rows = found.table(ci_prob=ci_prob)
    _print(rows, caption=caption, intervals=intervals, fmt=fmt, also=["lm", "change", "by"])


@app.command("designs")
def designs_command(
    table: Table,
    benchmarks: Annotated[
        str | None,
        typer.Option("--benchmarks", metavar="NAME[,NAME]", help="All if left out."),
    ] = None,
    budget: Annotated[
        float | None, typer.Option("--budget", metavar="FLOP", help="Largest training compute.")
    ] = None,
    fit: FitOption = None,
    ci_prob: CiProb = defaults.CI_PROB,
    seed: Seed = defaults.SEED,
    fmt: Format = "table",
) -> None:
    """Which of several designs is the best, within a budget."""
    from bayesmeta.effects import rank_designs

    check_format(fmt)
    names = None if benchmarks is None else benchmarks.split(",")
    found = rank_designs(load_fit(fit), table, benchmarks=names, budget=budget, seed=seed)
    if found.left_out:
        over = listing(f"{name} ({value:.3g} FLOP)" for name, value in found.left_out.items())
        say(f"left out, since over the budget of {budget:.3g} FLOP: {over}")
    caption = f"Mean over {len(found.benchmarks)} benchmarks; {_HIGHER}."
    intervals = f"percentage points, {100 * ci_prob:g} % intervals"
    rows = found.table(ci_prob=ci_prob)
    _print(rows, caption=caption, intervals=intervals, fmt=fmt, also=["designs"])


def _read_changes(words: list[str]) -> dict[str, str]:
    """Split DECISION=LEVEL into names and levels."""
    changes: dict[str, str] = {}
    for word in words:
        name, sign, level = word.partition("=")
        if not (sign and name.strip() and level.strip()):
            raise QueryError(
                f"'{shorten(word)}' cannot be read. Allowed: DECISION=LEVEL, such as "
                "position_embedding=learned or code_share=20."
            )
        if name.strip() in changes:
            raise QueryError(f"{shorten(name.strip())} is given twice. Allowed: each name once.")
        if name.strip() in _ARGUMENTS:
            raise QueryError(
                f"'{name.strip()}' is no fact that can be changed. Allowed: names of decisions, "
                "n_params and n_tokens, such as position_embedding=learned."
            )
        changes[name.strip()] = level.strip()
    return changes


def _print(
    frame: pd.DataFrame, *, caption: str, intervals: str, fmt: str, also: list[str] | None = None
) -> None:
    """Print a table; for reading, under a heading and without columns that say one thing only.

    A caption needs no words on units and intervals: `format_table` adds them.
    """
    if fmt == "table":
        show(f"{caption.rstrip('.')}; {intervals}:")
        frame = frame.drop(columns=[*_FOR_PROGRAMS, *(also or [])])
        blank = [name for name in _NAMES if name in frame and (frame[name] == "").all()]
        frame = frame.drop(columns=blank)
        if "training_flop" in frame:
            frame = frame.assign(training_flop=frame["training_flop"].map("{:.3g}".format))
    show_frame(frame, fmt=fmt, caption=caption)
