"""Commands on tables and on the installation: data (show, validate, add, import), doctor."""

import os
import platform
from dataclasses import replace
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, TypedDict, Unpack

import click

import bayesmeta as bm
from bayesmeta import defaults
from bayesmeta.cli.shared import COMMANDS, Shown, command, load_data, load_fit, read_settings, say
from bayesmeta.data.dataset import VERSIONS, match_families
from bayesmeta.errors import BayesmetaError, QueryError

if TYPE_CHECKING:
    import pandas as pd

    from bayesmeta.importers.imported import Imported
    from bayesmeta.robustness.new_data import Changes

NEEDED = {
    "pymc": "the model",
    "nutpie": "sampling",
    "arviz": "checks of a fit",
    "numpy": "everything",
    "pandas": "tables",
    "xarray": "draws",
    "h5netcdf": "files of fits",
    "h5py": "the shipped posterior",
    "matplotlib": "figures",
    "jinja2": "reports",
    "click": "the command line",
}
"""Packages without which something does not work, and what."""

OPTIONAL = {
    "numpyro": "sampling on a GPU: pip install bayesmeta[jax]",
    "dask": "refits on a cluster: pip install bayesmeta[dask]",
    "scikit-learn": "baselines of the scoreboard: pip install bayesmeta[baselines]",
    "xgboost-cpu": "baselines of the scoreboard: pip install bayesmeta[baselines]",
}
"""Packages that extras bring, and for what."""

_INSTEAD = {"xgboost-cpu": "xgboost"}
"""The same library under another name."""

_INSTALL = "pip install bayesmeta"
_OTHER_FOLDER = "PYTENSOR_FLAGS=base_compiledir=FOLDER"

FEWEST_CORES = 2
"""With fewer, chains run one after the other and a fit takes twice as long."""

tables = click.Group("data", help="Look at tables, check your own, rebuild ours.")
COMMANDS["data"] = tables


@command("show", group=tables)
def show_command(
    data_dir: Path | None = None,
    *,
    version: str = "corrected",
    each_lm: bool = False,
    fitted: Path | None = None,
    experiments: bool = False,
) -> Shown:
    """Print the number of scores per benchmark, the LMs, or what the controlled experiments are.

    Parameters
    ----------
    data_dir : [DATA_DIR]
        Your tables; the bundled ones if left out.
    each_lm : --lms
        A row per LM: its size and tokens, how often it saw them, and what it continues. Blank sizes
        are estimated, with 90 % intervals.
    fitted : --fit FIT.nc
        The tables of this fit, and sizes as it estimates them.
    experiments
        A row per study: what it varies, and how many scores it has.
    """
    if experiments:
        found = _load_experiments(data_dir)
        say(f"{found!r}\nchecksum {found.checksum}")
        return Shown(found.summarise())
    fit = None if fitted is None else _read_fitted(data_dir, fitted)
    data = load_data(data_dir, version=version) if fit is None else fit.dataset
    say(f"{data!r}\nchecksum {data.checksum}")
    if each_lm:
        table = _list_lms(data.lms, _estimate_sizes(data, fit))
        return Shown(
            table, instead={"table": table.fillna({"derived_from": "-", "estimated": "-"})}
        )
    return Shown(data.counts().reset_index())


@command("validate", group=tables)
def validate_command(data_dir: Path) -> Shown:
    """Check your own tables; problems are named by file, line and column.

    Parameters
    ----------
    data_dir : DIR
        Your tables: a dataset (lms.csv, scores.csv), or controlled experiments (arms.csv,
        results.csv). data/README.md says what they hold.
    """
    found = _read_tables(data_dir)
    report = {"rows": _count_rows(found), "problems": []}
    return Shown(f"{found!r}: no problems found", instead={"json": report})


@command("add", group=tables, working="adding and weighing")
def add_command(fit: "bm.Fit", data_dir: Path, *, out: Path, refit: bool = False) -> Shown:
    """Put your own tables below the bundled ones, and say what that changes.

    Writes a folder that every command takes. New scores are predicted before they are seen; then
    the draws are weighed by them, and effects before and after are compared.

    Parameters
    ----------
    data_dir : DIR
        Your own tables, as `data validate` takes them.
    out : BOTH
        The folder to write.
    refit
        Refit instead of weighing draws: tens of seconds.
    """
    own = _read_tables(data_dir)
    bundled = bm.load_dataset()
    if isinstance(own, bm.Dataset):
        own = replace(own, lms=match_families(own.lms, known=bundled.lms["lm_family"]))
    both = bundled.add(own)
    both.save(out)
    rows = _count_rows(both)
    report = {"out": str(out), "rows": {name: rows[name] for name in rows if name != "benchmarks"}}
    text = f"{both!r}\nwrote {out}"
    if isinstance(own, bm.Dataset):
        try:
            found = bm.changes(fit, own, refit=refit)
        except BayesmetaError as error:  # the tables are written, whatever this fit knows of them
            text += f"\n\nwhat this changes cannot be said: {error}"
        else:
            text += _tell_changes(found)
            report["changes"] = found.to_dict()
    return Shown(text, instead={"json": report})


MOST_STATEMENTS = 10
"""Effects that are printed for reading, those that moved most."""


def _tell_changes(found: "Changes") -> str:
    """Say which LMs surprised and which effects moved, for reading."""
    parts = [""]
    if len(found.lms):
        table = bm.format_table(found.lms, fmt="table")
        parts += ["\nnew scores, and what was predicted before they were seen (means in "
                  "percentage points, higher is better):", table]  # fmt: skip
    if len(found.statements):
        shown = found.statements.head(MOST_STATEMENTS)
        shown = shown.drop(columns=["verdict_before", "verdict_after"])
        verdicts = found.list_verdicts()
        parts += [
            f"\neffects before and after by {found.method}, those that moved most (move: in "
            "posterior standard deviations):",
            bm.format_table(shown, fmt="table"),
            "\nverdicts that changed: " + ("; ".join(verdicts) or "none"),
        ]
    return "\n".join([*parts, f"\n{found!r}"])


MOST_ROWS = 40
"""Differences that are printed for reading; other formats hold all."""


@command("diff", group=tables)
def diff_command(before: str, after: str) -> Shown:
    """List the cells in which two datasets differ.

    Parameters
    ----------
    before : A
        A folder of tables; or corrected or as-published, the versions of the bundled ones.
    after : B
        The same.
    """
    from bayesmeta.data.differences import count_differences

    data = [_read_version(name) for name in (before, after)]
    found = bm.diff_datasets(*data)
    counts = count_differences(found)
    told = [
        f"{table}: {n['added']} rows added, {n['removed']} removed, {n['changed']} cells changed"
        for table, n in counts.items()
    ]
    more = f"... and {len(found) - MOST_ROWS} cells more; --format csv lists all"
    sides = [{"source": one.source, "checksum": one.checksum} for one in data]
    report = {"before": sides[0], "after": sides[1], "rows": counts,
              "cells": found.to_dict("records")}  # fmt: skip
    return Shown(
        found,
        opening="\n".join([f"before: {data[0]!r}", f"after: {data[1]!r}", *told]),
        verdict=more if len(found) > MOST_ROWS else "",
        instead={
            "json": report,
            "table": found.head(MOST_ROWS).replace("", "-") if len(found) else "no differences",
        },
    )


def _read_version(name: str) -> "bm.Dataset | bm.Experiments":
    """Read a folder of tables, or a version of the bundled ones."""
    folder = Path(name)
    if name in VERSIONS and not folder.is_dir():
        return bm.load_dataset(version=name)
    return _read_tables(folder)


def _read_tables(folder: Path) -> "bm.Dataset | bm.Experiments":
    """Read a dataset, or a folder of experiments alone."""
    alone = any((folder / name).is_file() for name in ("arms.csv", "results.csv"))
    if alone and not (folder / "lms.csv").is_file():
        return bm.read_experiments(folder)
    return load_data(folder, version="corrected")


def _read_fitted(data_dir: Path | None, path: Path) -> "bm.Fit":
    """Read the fit whose tables are shown, which no folder may be named beside."""
    if data_dir is not None:
        raise QueryError(
            f"{data_dir} and --fit {path} name two tables. Allowed: one of them. Leave the other "
            "out."
        )
    return load_fit(path)


def _estimate_sizes(data: "bm.Dataset", fit: "bm.Fit | None") -> "pd.DataFrame | None":
    """List sizes that are blank, as a fit, or the tables alone, estimate them; None where none."""
    from bayesmeta.design.sizes import find_missing_sizes, tabulate_sizes
    from bayesmeta.estimates.predictions import estimate_sizes

    try:
        sizes = find_missing_sizes(data.lms)
    except BayesmetaError as error:  # tables are shown, whatever can be estimated from them
        say(f"not estimated: {error}")
        return None
    if sizes is None:
        return None
    return tabulate_sizes(sizes, ci_prob=defaults.CI_PROB) if fit is None else estimate_sizes(fit)


def _list_lms(lms: "pd.DataFrame", sizes: "pd.DataFrame | None") -> "pd.DataFrame":
    """Say how long, how often and after what every LM was trained, and what is estimated."""
    from bayesmeta.data.dataset import count_stages

    scale = lms[["lm", "lm_family", "n_params", "n_tokens", "n_epochs"]]
    if sizes is not None:
        scale = scale.merge(sizes.round(0).rename(columns={"fact": "estimated"}), how="left")
        for name in ("n_params", "n_tokens"):
            scale[name] = scale[name].fillna(scale["estimate"]).astype("int64")
        scale = scale.drop(columns="estimate")
    return scale.assign(n_stages=count_stages(lms), derived_from=lms["derived_from"])


def _load_experiments(folder: Path | None) -> "bm.Experiments":
    """Read experiments alone, those of a dataset, or the bundled ones."""
    if folder is None:
        return bm.load_experiments()
    inside = folder / "experiments"
    return bm.read_experiments(inside if inside.is_dir() else folder)


def _count_rows(found: "bm.Dataset | bm.Experiments") -> dict[str, int]:
    """Count the rows of every table."""
    if isinstance(found, bm.Experiments):
        studies = int(found.arms["study"].nunique())
        return {"studies": studies, "arms": len(found.arms), "results": len(found.results)}
    rows = {"lms": len(found.lms), "scores": len(found.scores), "benchmarks": len(found.benchmarks)}
    return rows if found.experiments is None else rows | _count_rows(found.experiments)


@command("import-upstream", group=tables)
def import_command(source: Path, *, out: Path = Path("data")) -> Shown:
    """Rebuild the tables from a clone of the public database.

    Parameters
    ----------
    source : DIR
        A clone of the public database.
    out : DIR
        Where to write.
    """
    from bayesmeta.importers.public_database import import_upstream

    counts = import_upstream(source, out=out)
    text = "\n".join(f"{name}: {rows} rows" for name, rows in counts.items())
    return Shown(text, instead={"json": {"out": str(out), "rows": counts}})


class Naming(TypedDict):
    """What LMs of an import are to be called, and what is to stand in their columns."""

    names: list[str] | None
    facts: list[str] | None


def _read_naming(*, names: list[str] | None, facts: list[str] | None) -> dict[str, dict[str, str]]:
    """Read the options of an import as the functions of importers take them."""
    return {
        "names": read_settings(names or [], form="--name OLD=NEW, such as --name run-7=lab/a-7b"),
        "facts": read_settings(facts or [], form="--set COLUMN=VALUE, such as --set n_tokens=2T"),
    }


def _save_imported(found: "Imported", out: Path) -> Shown:
    """Save what was imported, and say what it is, what is left out and what is still to come."""
    saved = found.save(out)
    left_out = found.summarise_left_out()
    parts = [f"{found!r}", f"wrote {out}: " + ", ".join(f"{n} {k}" for k, n in saved.rows.items())]
    for title, table in (
        ("left out", left_out),
        ("still to come (--set COLUMN=VALUE)", saved.missing),
        ("said in two ways", saved.differing),
    ):
        if len(table):
            parts.append(f"\n{title}:\n{bm.format_table(table, fmt='table')}")
    report = {"out": str(out), "rows": saved.rows, "left_out": left_out.to_dict("records"),
              "missing": saved.missing.to_dict("records"),
              "differing": saved.differing.to_dict("records")}  # fmt: skip
    return Shown("\n".join(parts), instead={"json": report})


@command("import-lm-eval", group=tables)
def import_lm_eval_command(
    paths: list[Path],
    *,
    out: Path,
    protocols: Path | None = None,
    **naming: Unpack[Naming],
) -> Shown:
    """Take scores from results of lm-evaluation-harness.

    Parameters
    ----------
    paths : PATH...
        Files or folders of results, of several LMs and runs.
    out : DIR
        The folder of tables to write, or to add to.
    """
    return _save_imported(
        bm.read_lm_eval(paths, protocols=protocols, **_read_naming(**naming)), out
    )


@command("import-samples", group=tables)
def import_samples_command(
    paths: list[Path],
    *,
    out: Path,
    cluster: str | None = None,
    n_shots: int | None = None,
    protocols: Path | None = None,
    **naming: Unpack[Naming],
) -> Shown:
    """Take scores, with errors of clustered items, from samples of lm-evaluation-harness.

    Prints by how much the LMs differ on the items that both answered.

    Parameters
    ----------
    paths : PATH...
        Files samples_TASK_DATE.jsonl, or folders of them.
    out : DIR
        The folder of tables to write, or to add to.
    cluster : FIELD
        Of the documents: the same for items that belong together, such as questions on one passage.
    n_shots : N >= 0
        Worked examples in the prompt, where no results beside the samples say it.
    """
    items = bm.read_lm_eval_samples(paths, cluster=cluster)
    shown = _save_imported(
        items.to_imported(n_shots=n_shots, protocols=protocols, **_read_naming(**naming)), out
    )
    pairs = items.compare()
    text = f"{shown.table}\n\npaired differences:\n{bm.format_table(pairs, fmt='table')}"
    report = {**shown.instead["json"], "paired": pairs.to_dict("records")}
    return Shown(text if len(pairs) else shown.table, instead={"json": report})


@command("import-inspect", group=tables)
def import_inspect_command(
    paths: list[Path],
    *,
    out: Path,
    protocols: Path | None = None,
    **naming: Unpack[Naming],
) -> Shown:
    """Take scores from logs of Inspect.

    Parameters
    ----------
    paths : PATH...
        Logs, or folders of them.
    out : DIR
        The folder of tables to write, or to add to.
    """
    return _save_imported(
        bm.read_inspect_logs(paths, protocols=protocols, **_read_naming(**naming)), out
    )


@command("import-table", group=tables)
def import_table_command(
    path: Path,
    *,
    out: Path,
    protocols: Path | None = None,
    **naming: Unpack[Naming],
) -> Shown:
    """Take scores from a leaderboard's table, or one of ObsScaling.

    Parameters
    ----------
    path : TABLE.csv
        A row per LM, a column per benchmark.
    out : DIR
        The folder of tables to write, or to add to.
    """
    return _save_imported(
        bm.read_result_table(path, protocols=protocols, **_read_naming(**naming)), out
    )


@command("import-mixtures", group=tables)
def import_mixtures_command(
    ratios: Path,
    metrics: Path,
    *,
    out: Path,
    study: str,
    n_params: float | None = None,
    n_tokens: float | None = None,
    protocols: Path | None = None,
) -> Shown:
    """Make controlled experiments of runs on mixtures of data: their ratios and metrics.

    Parameters
    ----------
    ratios : RATIOS.csv
        A row per mixture, a column per source of data.
    metrics : METRICS.csv
        A row per run, a column per metric, as Olmix writes them; or the results of DataDecide.
    out : DIR
        The folder of experiments to write.
    study : NAME
        What the study is to be called.
    n_params : N
        Parameters of all runs, where no column says it.
    n_tokens : D
        Training tokens of all runs, where no column says it.
    """
    found = bm.read_mixture_runs(
        ratios, metrics, study=study, n_params=n_params, n_tokens=n_tokens, protocols=protocols
    )
    rows, left_out = found.save(out), found.summarise_left_out()
    text = f"{found!r}\nwrote {out}"
    if len(left_out):
        text += f"\n\nleft out:\n{bm.format_table(left_out, fmt='table')}"
    report = {"out": str(out), "rows": rows, "left_out": left_out.to_dict("records")}
    return Shown(text, instead={"json": report})


@command("import-hf-config", group=tables)
def import_hf_config_command(
    paths: list[Path],
    *,
    out: Path,
    **naming: Unpack[Naming],
) -> Shown:
    """Take design decisions from config.json files of the model hub.

    Parameters
    ----------
    paths : FILE...
        Files, or folders that are searched for config.json.
    out : DIR
        The folder of tables to write, or to add to.
    """
    return _save_imported(bm.read_hf_config(paths, **_read_naming(**naming)), out)


@command("doctor")
def doctor_command() -> Shown:
    """What this installation has, and what is missing.

    Exits with 1 if something is missing.
    """
    table = describe_environment()
    bad = table[table["state"].isin(["missing", "broken"])]
    for row in bad.to_dict("records"):
        say(f"{row['what']} is {row['state']}, needed for {row['needed_for']}: {row['mend']}")
    return Shown(table, instead={"table": table.drop(columns="mend")}, passed=not len(bad))


def describe_environment() -> "pd.DataFrame":
    """Say what is there and what is missing. No sampler and no PyMC is imported.

    Returns
    -------
    pandas.DataFrame
        One row per thing: `what`, what was `found`, what it is `needed_for`, its `state`: `ok`;
        `missing` or `broken`, where something does not work without it; `not installed`, where only
        an extra is; and how to `mend` it, blank where it is well.

    Examples
    --------
    >>> table = describe_environment().set_index("what")
    >>> table.loc["bayesmeta", "state"], table.loc["pymc", "needed_for"]
    ('ok', 'the model')
    """
    import pandas as pd

    rows = [
        _row("python", platform.python_version(), "everything"),
        _row("bayesmeta", _version("bayesmeta"), "everything"),
        *(_row(name, _version(name), use) for name, use in NEEDED.items()),
        *(_row(name, _version(name), use, extra=True) for name, use in OPTIONAL.items()),
        _list_samplers(),
        _count_cores(),
        _find_cache(),
        _try_posterior(),
    ]
    return pd.DataFrame(rows).fillna({"mend": ""})


def _row(what: str, found: str | None, use: str, *, extra: bool = False) -> dict[str, str]:
    state = "ok" if found is not None else "not installed" if extra else "missing"
    mend = _INSTALL if state == "missing" else ""
    return {"what": what, "found": found or "-", "needed_for": use, "state": state, "mend": mend}


def _version(name: str) -> str | None:
    for candidate in (name, _INSTEAD.get(name, name)):
        try:
            return metadata.version(candidate)
        except metadata.PackageNotFoundError:
            continue
    return None


def _count_cores() -> dict[str, str]:
    from bayesmeta.jobs import count_processors

    n = count_processors()
    use = "chains at once" if n >= FEWEST_CORES else "chains at once: a fit takes twice as long"
    return {"what": "cores", "found": str(n), "needed_for": use, "state": "ok"}


def _list_samplers() -> dict[str, str]:
    first = defaults.SAMPLERS[0]
    there = [name for name in defaults.SAMPLERS if _version(name) is not None]
    names = [f"{name} (default)" if name == first else name for name in there]
    return _row("samplers", ", ".join(names) or None, "sampling: fit(..., sampler=)")


def _find_cache() -> dict[str, str]:
    """Say where compiled code is kept between fits, and whether it can be."""
    row = {"what": "compiled code", "needed_for": "a fast start of the next fit"}
    try:
        from pytensor.configdefaults import config

        folder = Path(config.base_compiledir)
        size = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    except (ImportError, OSError) as error:
        return {**row, "found": str(error), "state": "broken", "mend": _OTHER_FOLDER}
    if not os.access(folder, os.W_OK):
        found = f"{folder} cannot be written to"
        return {**row, "found": found, "state": "broken", "mend": _OTHER_FOLDER}
    shown = str(folder).replace(str(Path.home()), "~", 1)
    return {**row, "found": f"{shown}, {size / 1e6:.0f} MB", "state": "ok"}


def _try_posterior() -> dict[str, str]:
    from bayesmeta.inference.shipped import load_reference_fit

    row = {"what": "shipped posterior", "needed_for": "questions without sampling"}
    try:
        fit = load_reference_fit()
    except BayesmetaError as error:
        return {**row, "found": str(error), "state": "broken", "mend": _INSTALL}
    chains, draws = fit.shape
    return {**row, "found": f"{chains} chains x {draws} draws", "state": "ok"}
