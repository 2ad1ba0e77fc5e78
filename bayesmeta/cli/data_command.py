"""Commands on tables and on the installation: data (show, validate, add, import), doctor."""

from pathlib import Path

import typer

from bayesmeta.cli.shared import APPS, Shown, command, load_data, say

app = APPS["data"] = typer.Typer(
    name="data",
    help="Look at tables, check your own, rebuild ours.",
    no_args_is_help=True,
    add_completion=False,
)


@command("show", group=app)
def show_command(data_dir: Path | None = None, *, version: str = "corrected") -> Shown:
    """Print the number of scores per benchmark."""
    data = load_data(data_dir, version=version)
    say(f"{data!r}\nchecksum {data.checksum}")
    return Shown(data.counts().reset_index())


@command("validate", group=app)
def validate_command(data_dir: Path) -> Shown:
    """Check your own tables; the first problem is named by file, line and column.

    Parameters
    ----------
    data_dir : DIR
        Your tables.
    """
    data = load_data(data_dir, version="corrected")
    counts = {"lms": len(data.lms), "scores": len(data.scores), "benchmarks": len(data.benchmarks)}
    report = {"rows": counts, "problems": []}
    return Shown(f"{data!r}: no problems found", instead={"json": report})


@command("add", group=app)
def add_command(data_dir: Path, *, out: Path) -> Shown:
    """Put your own tables below the bundled ones, into a folder that every command takes.

    Parameters
    ----------
    data_dir : DIR
        Your own tables.
    out : BOTH
        The folder to write.
    """
    both = load_data(None, version="corrected").add(load_data(data_dir, version="corrected"))
    both.save(out)
    report = {"out": str(out), "rows": {"lms": len(both.lms), "scores": len(both.scores)}}
    return Shown(f"{both!r}\nwrote {out}", instead={"json": report})


@command("import-upstream", group=app)
def import_command(source: Path, *, out: Path = Path("data")) -> Shown:
    """Rebuild the tables from a clone of the public database.

    Parameters
    ----------
    source : DIR
        A clone of the public database.
    out : DIR
        Where to write.
    """
    from bayesmeta.data.importers import import_upstream

    counts = import_upstream(source, out=out)
    text = "\n".join(f"{name}: {rows} rows" for name, rows in counts.items())
    return Shown(text, instead={"json": {"out": str(out), "rows": counts}})


@command("doctor")
def doctor_command() -> Shown:
    """What this installation has, and what is missing.

    Exits with 1 if something is missing.
    """
    from bayesmeta.inference.environment import describe_environment

    table = describe_environment()
    bad = table[table["state"].isin(["missing", "broken"])]
    for row in bad.to_dict("records"):
        say(f"{row['what']} is {row['state']}, needed for {row['needed_for']}: {row['mend']}")
    return Shown(table, instead={"table": table.drop(columns="mend")}, passed=not len(bad))
