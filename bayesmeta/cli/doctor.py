"""The command that looks at the installation."""

from __future__ import annotations

import typer

from bayesmeta.cli.shared import Format, check_format, leave_if, say, show_frame

app = typer.Typer()


@app.command("doctor")
def doctor_command(fmt: Format = "table") -> None:
    """What this installation has, and what is missing.

    Exits with 1 if something is missing.
    """
    from bayesmeta.inference.environment import CACHE, describe_environment

    check_format(fmt)
    table = describe_environment()
    show_frame(table, fmt=fmt)
    bad = table.loc[table["state"].isin(["missing", "broken"]), "what"].tolist()
    if CACHE in bad:
        say(f"{CACHE} cannot be kept: name a folder, PYTENSOR_FLAGS=base_compiledir=FOLDER")
    if set(bad) - {CACHE}:
        say(f"something is wrong: {', '.join(bad)}. Install bayesmeta anew: pip install bayesmeta")
    leave_if(bool(bad))
