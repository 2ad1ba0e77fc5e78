"""Commands on tables: look at, check and rebuild them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from bayesmeta.cli.options import DataDir, Format, Version
from bayesmeta.cli.shared import check_format, load_data, say, show, show_frame

app = typer.Typer(help="Look at tables, check your own, rebuild ours.", no_args_is_help=True)


@app.command("show")
def show_command(
    data_dir: DataDir = None,
    version: Version = "corrected",
    fmt: Format = "table",
) -> None:
    """Print the number of scores per benchmark."""
    check_format(fmt)
    data = load_data(data_dir, version=version)
    say(f"{data!r}\nchecksum {data.checksum}")
    show_frame(data.counts().reset_index(), fmt=fmt)


@app.command("validate")
def validate_command(
    data_dir: Annotated[Path, typer.Argument(metavar="DIR")], fmt: Format = "table"
) -> None:
    """Check your own tables; the first problem is named by file, line and column."""
    check_format(fmt)
    data = load_data(data_dir, version="corrected")
    counts = {"lms": len(data.lms), "scores": len(data.scores), "benchmarks": len(data.benchmarks)}
    if fmt == "json":
        show(json.dumps({"rows": counts, "problems": []}, indent=2))
    else:
        show(f"{data!r}: no problems found")


@app.command("add")
def add_command(
    data_dir: Annotated[Path, typer.Argument(metavar="DIR", help="Your own tables.")],
    out: Annotated[Path, typer.Option("--out", metavar="BOTH", help="The folder to write.")],
) -> None:
    """Put your own tables below the bundled ones, into a folder that every command takes."""
    both = load_data(None, version="corrected").add(load_data(data_dir, version="corrected"))
    both.save(out)
    show(f"{both!r}\nwrote {out}")


@app.command("import-upstream")
def import_command(
    source: Annotated[Path, typer.Argument(metavar="DIR", help="A clone of the public database.")],
    out: Annotated[Path, typer.Option("--out", metavar="DIR", help="Where to write.")] = Path(
        "data"
    ),
    fmt: Format = "table",
) -> None:
    """Rebuild the tables from a clone of the public database."""
    from bayesmeta.data import import_upstream

    check_format(fmt)
    counts = import_upstream(source, out=out)
    if fmt == "json":
        show(json.dumps({"out": str(out), "rows": counts}, indent=2))
    else:
        show("\n".join(f"{name}: {rows} rows" for name, rows in counts.items()))
