"""Commands that write for readers: report, claim."""

import html
from contextlib import ExitStack
from pathlib import Path
from typing import Unpack

import bayesmeta as bm
from bayesmeta.cli.shared import QuestionOptions, Shown, check_out, command, say
from bayesmeta.errors import QueryError
from bayesmeta.jobs import count_processors, open_executor


@command("report")
def report_command(
    fit: "bm.Fit | bm.EffectSizeFit", *, out: Path, decisions: list[str] | None = None
) -> Shown:
    """Write a page that answers questions without a network.

    Parameters
    ----------
    out : DIR
        A folder; made if its parent exists.
    decisions : --decision --decisions NAME
        About these alone; may be repeated.
    """
    import pandas as pd

    with ExitStack() as stack:
        executor = None
        if count_processors() > 1:
            executor = stack.enter_context(open_executor(workers=1, processes=True))
        paths = [str(p) for p in bm.report(fit, out, decisions=decisions, executor=executor)]
    table = pd.DataFrame({"path": paths})
    return Shown(table, instead={"table": "\n".join(paths), "json": paths})


@command("claim")
def claim_command(
    fit: "bm.Fit",
    fmt: str,
    statement: str | None = None,
    *,
    check: Path | None = None,
    out: Path | None = None,
    **asked: Unpack[QuestionOptions],
) -> Shown:
    """Two sentences for a paper; with --out, a file that anyone can check.

    Parameters
    ----------
    statement : [STATEMENT]
        As `query` reads it.
    check : FILE.json
        Ask for its numbers again.
    out : FILE.json
        Where to save the claim; no file is written if left out.
    """
    if (statement is None) == (check is None):
        raise QueryError("claim takes either a STATEMENT or --check FILE.json. Give one of them.")
    if check is not None:
        table = bm.check_claim(check, fit)
        return Shown(table, passed=bool(table["agree"].all()))
    if fmt == "csv":
        raise QueryError(
            "--format csv is for tables, and a claim is a sentence. Allowed: table, json, md, "
            "latex, html; --out FILE.json saves its numbers."
        )
    if out is not None:
        check_out(out)
    assert statement is not None
    made = bm.claim(fit, statement, **asked)
    if out is not None:
        made.save(out)
        say(f"wrote {out}")
    instead = {"json": made.to_dict, "latex": made.latex, "html": html.escape(made.sentence)}
    return Shown(made.sentence, instead=instead)
