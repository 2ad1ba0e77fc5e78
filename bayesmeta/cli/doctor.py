"""The command that looks at the installation."""

from __future__ import annotations

import typer

from bayesmeta.cli.options import Format
from bayesmeta.cli.shared import check_format, leave_if, say, show_frame

app = typer.Typer()


@app.command("doctor")
def doctor_command(fmt: Format = "table") -> None:
    """What this installation has, and what is missing.

    Exits with 1 if something is missing.
    """
    from bayesmeta.inference.environment import describe_environment

    check_format(fmt)
    table = describe_environment()
    show_frame(table.drop(columns="mend") if fmt == "table" else table, fmt=fmt)
    bad = table[table["state"].isin(["missing", "broken"])]
    for row in bad.to_dict("records"):
        say(f"{row['what']} is {row['state']}, needed for {row['needed_for']}: {row['mend']}")
    leave_if(len(bad) > 0)
