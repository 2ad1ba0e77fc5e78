"""The command that writes a page."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from bayesmeta.cli.options import FitOption, Format, named
from bayesmeta.cli.shared import check_format, load_fit, show, show_frame

app = typer.Typer()


@app.command("report")
def report_command(
    out: Annotated[
        Path, typer.Option("--out", metavar="DIR", help="A folder; made if its parent exists.")
    ],
    decisions: Annotated[
        list[str] | None,
        named("--decision", "decisions", help="About these alone; may be repeated."),
    ] = None,
    fit: FitOption = None,
    fmt: Format = "table",
) -> None:
    """Write a page that answers questions without a network."""
    import pandas as pd

    from bayesmeta.reporting.page import report

    check_format(fmt)
    paths = [str(path) for path in report(load_fit(fit), out, decisions=decisions)]
    if fmt == "json":
        show(json.dumps(paths, indent=2))
    elif fmt == "table":
        show("\n".join(paths))
    else:
        show_frame(pd.DataFrame({"path": paths}), fmt=fmt)
