"""Commands that look behind a statement: claim, influence, ladders, tipping."""

from __future__ import annotations

import html
import json
from pathlib import Path
from typing import Annotated

import typer

from bayesmeta import defaults
from bayesmeta.cli.options import (
    Benchmark,
    By,
    CiProb,
    FitOption,
    Format,
    LmFamilies,
    Lms,
    Scale,
    Statement,
    TaskFamily,
)
from bayesmeta.cli.shared import (
    POINTS,
    check_format,
    check_out,
    leave_if,
    load_fit,
    say,
    show,
    show_frame,
)
from bayesmeta.errors import QueryError

app = typer.Typer()


@app.command("claim")
def claim_command(
    statement: Annotated[
        str | None, typer.Argument(metavar="[STATEMENT]", help="As `query` reads it.")
    ] = None,
    check: Annotated[
        Path | None, typer.Option("--check", metavar="FILE.json", help="Ask for its numbers again.")
    ] = None,
    out: Annotated[
        Path | None, typer.Option("--out", metavar="FILE.json", help="Where to save the claim.")
    ] = None,
    benchmark: Benchmark = None,
    task_family: TaskFamily = None,
    lms: Lms = None,
    lm_family: LmFamilies = None,
    scale: Scale = "score",
    equivalence: Annotated[
        float | None,
        typer.Option("--equivalence", metavar="PP", help="Points that make no difference; 0.5."),
    ] = None,
    fit: FitOption = None,
    ci_prob: CiProb = defaults.CI_PROB,
    fmt: Format = "table",
) -> None:
    """A sentence for a paper, with a file that a reader can check."""
    from bayesmeta.reporting.claims import check_claim, claim

    check_format(fmt)
    if (statement is None) == (check is None):
        raise QueryError("claim takes either a STATEMENT or --check FILE.json. Give one of them.")
    if check is not None:
        table = check_claim(check, load_fit(fit))
        show_frame(table, fmt=fmt)
        leave_if(not table["agree"].all())
        return
    if fmt == "csv":
        raise QueryError(
            "--format csv is for tables, and a claim is a sentence. Allowed: table, json, md, "
            "latex, html; --out FILE.json saves its numbers."
        )
    if out is not None:
        check_out(out)
    assert statement is not None
    made = claim(
        load_fit(fit), statement, benchmark=benchmark, task_family=task_family, lms=lms or None,
        lm_family=lm_family or None, scale=scale, equivalence=equivalence, ci_prob=ci_prob,
    )  # fmt: skip
    written = {
        "json": json.dumps(made.to_dict(), indent=2),
        "latex": made.latex,
        "html": html.escape(made.sentence),
    }
    show(written.get(fmt, made.sentence))
    if out is not None:
        made.save(out)
        say(f"wrote {out}")


@app.command("influence")
def influence_command(
    statement: Statement,
    families: Annotated[
        list[str] | None,
        typer.Option("--lm-family", metavar="NAME", help="Of these alone; may be repeated."),
    ] = None,
    benchmark: Benchmark = None,
    task_family: TaskFamily = None,
    refit: Annotated[
        bool, typer.Option("--refit", help="Refit where importance weights cannot be trusted.")
    ] = False,
    fit: FitOption = None,
    fmt: Format = "table",
) -> None:
    """What an effect would be without each lm family."""
    from bayesmeta.evaluation.influence import leave_family_out

    check_format(fmt)
    table = leave_family_out(
        load_fit(fit), statement, families=families or None, benchmark=benchmark,
        task_family=task_family, refit=refit,
    )  # fmt: skip
    where = benchmark or task_family or "all benchmarks"
    caption = (
        f"Effect of {statement} on {where} without each lm family, in percentage points; move: by "
        "how many standard deviations it changes."
    )
    show_frame(table, fmt=fmt, caption=caption)


@app.command("ladders")
def ladders_command(
    statement: Statement = "code_share: 20 > 5",
    by: By = "task_family",
    families: Annotated[
        list[str] | None,
        typer.Option("--lm-family", metavar="NAME", help="These ladders alone; may be repeated."),
    ] = None,
    fit: FitOption = None,
    ci_prob: CiProb = defaults.CI_PROB,
    fmt: Format = "table",
) -> None:
    """Do families that varied it on purpose agree?"""
    from bayesmeta.effects import ladders

    check_format(fmt)
    found = ladders(load_fit(fit), statement, by=by, families=families or None)
    table = found.table(ci_prob=ci_prob)
    if fmt == "table":
        show(f"{found}; {POINTS}, {100 * ci_prob:g} % intervals:")
        table = table.drop(columns=["ci_prob", "units"])
    show_frame(table, fmt=fmt, caption=f"Effect of {statement} by lm families that vary it.")


@app.command("tipping")
def tipping_command(
    statement: Statement,
    part: Annotated[
        str | None,
        typer.Option("--part", metavar="PART", help="The statement's own if left out."),
    ] = None,
    benchmark: Benchmark = None,
    task_family: TaskFamily = None,
    fit: FitOption = None,
    fmt: Format = "table",
) -> None:
    """Which undisclosed training data would turn an effect."""
    from bayesmeta.effects import tipping_point

    check_format(fmt)
    found = tipping_point(
        load_fit(fit), statement, part=part, benchmark=benchmark, task_family=task_family
    )
    caption = f"Which undisclosed shares, in % of training tokens, would turn {statement}."
    show_frame(found, fmt=fmt, caption=caption)
