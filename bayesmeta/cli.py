"""The command line: parse, call one public function, print. Results go to stdout."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from bayesmeta import defaults
from bayesmeta.errors import BayesmetaError, QueryError, listing, suggest

if TYPE_CHECKING:
    import pandas as pd

    from bayesmeta.data import Dataset
    from bayesmeta.inference import Diagnostics, Fit

__all__ = ["main"]

EXIT_UNCHECKED, EXIT_BAD_INPUT, EXIT_INTERRUPTED = 1, 2, 130

app = typer.Typer(
    help="Bayesian meta-analysis of what makes language models good.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
data_app = typer.Typer(help="Look at, check and rebuild tables.", no_args_is_help=True)
app.add_typer(data_app, name="data")

Format = Annotated[
    str, typer.Option("--format", metavar="FORMAT", help="table, json, csv, md or latex.")
]
FitOption = Annotated[
    Path | None,
    typer.Option("--fit", metavar="FIT.nc", help="A saved fit; the shipped one if left out."),
]
Version = Annotated[
    str, typer.Option("--data-version", metavar="VERSION", help="corrected or as-published.")
]
CiProb = Annotated[float, typer.Option("--ci-prob", help="Probability of the intervals.")]
By = Annotated[str, typer.Option("--by", metavar="BY", help="benchmark, task_family or overall.")]


@app.command("fit")
def fit_command(
    data_dir: Annotated[
        Path | None,
        typer.Argument(metavar="[DATA_DIR]", help="Your tables; the bundled ones if left out."),
    ] = None,
    out: Annotated[Path, typer.Option("--out", metavar="FIT.nc", help="Where to save.")] = Path(
        "fit.nc"
    ),
    spec: Annotated[
        Path | None, typer.Option("--spec", metavar="FILE", help="A spec in TOML or JSON.")
    ] = None,
    seed: Annotated[int, typer.Option(min=0)] = defaults.SEED,
    draws: Annotated[int, typer.Option(min=4)] = defaults.DRAWS,
    tune: Annotated[int, typer.Option(min=1)] = defaults.TUNE,
    chains: Annotated[int, typer.Option(min=1)] = defaults.CHAINS,
    sampler: Annotated[str, typer.Option(help="nutpie, pymc or numpyro.")] = "nutpie",
    quick: Annotated[
        bool, typer.Option("--quick", help="Few draws, for a look; will not pass the checks.")
    ] = False,
    reference: Annotated[
        Path | None,
        typer.Option("--reference", metavar="FILE", help="Also save a thinned copy to ship."),
    ] = None,
    version: Version = "corrected",
    fmt: Format = "table",
) -> None:
    """Fit the model, check the fit, print the effects."""
    from bayesmeta.effects import list_decisions
    from bayesmeta.inference import check, thin_fit
    from bayesmeta.inference import fit as sample_fit
    from bayesmeta.model import ModelSpec, read_spec

    _check_format(fmt)
    _check_out(out)
    chosen = read_spec(spec) if spec is not None else ModelSpec()
    data = _load_data(data_dir, version=version)
    if quick:
        draws, tune, chains = defaults.QUICK_DRAWS, defaults.QUICK_DRAWS, defaults.QUICK_CHAINS
    try:
        fitted = sample_fit(
            data, chosen, seed=seed, draws=draws, tune=tune, chains=chains, sampler=sampler
        )
    except KeyboardInterrupt:
        _say(f"interrupted: nothing was written, {out} is as it was")
        raise typer.Exit(EXIT_INTERRUPTED) from None
    left_out = [name for name in chosen.decisions if name not in list_decisions(fitted)]
    if left_out:
        _say(f"left out, since too little of them is recorded or varies: {listing(left_out)}")
    fitted.save(out)
    _say(f"saved {out}; checking it")
    diagnostics = check(fitted)
    fitted = fitted.with_diagnostics(diagnostics.to_dict())
    fitted.save(out)
    if reference is not None:
        thin_fit(fitted, diagnostics=diagnostics).save(reference)
    _report_fit(fitted, diagnostics, out=out, fmt=fmt)
    _leave_if(not diagnostics.passed)


def _report_fit(fitted: Fit, diagnostics: Diagnostics, *, out: Path, fmt: str) -> None:
    """Print verdict, effects and path; where the table is for a program, all else to stderr."""
    from bayesmeta.effects import list_decisions

    if fmt == "json":
        seconds = fitted.provenance["seconds"]
        report = {"passed": diagnostics.passed, "out": str(out), "seconds": seconds,
                  "diagnostics": diagnostics.to_dict()}  # fmt: skip
        _print(json.dumps(report, indent=2))
        return
    say = _print if fmt == "table" else _say
    say(str(diagnostics))
    if list_decisions(fitted):
        _print_effects(fitted, fmt=fmt)
    say(f"wrote {out}")


def _print_effects(fitted: Fit, *, fmt: str) -> None:
    from bayesmeta.effects import effects

    table = effects(fitted, by="overall").table()
    if fmt == "table":
        _print(
            f"\nEffects on the score over all benchmarks, in percentage points "
            f"({defaults.CI_PROB:.0%} equal-tailed intervals):"
        )
        table = table.drop(columns=["by", "target", "ci_prob", "units"])
    _print_frame(table, fmt=fmt)


@app.command("check")
def check_command(fit: FitOption = None, fmt: Format = "table") -> None:
    """Say whether a fit may be reported, and why not."""
    from bayesmeta.inference import check

    _check_format(fmt)
    diagnostics = check(_load_fit(fit))
    if fmt == "json":
        _print(json.dumps(diagnostics.to_dict(), indent=2))
    else:
        _print_frame(diagnostics.table, fmt=fmt)
        _print(str(diagnostics) if fmt == "table" else "")
    _leave_if(not diagnostics.passed)


@app.command("effects")
def effects_command(
    decision: Annotated[
        str | None, typer.Option("--decision", metavar="NAME", help="All if left out.")
    ] = None,
    by: By = "overall",
    fit: FitOption = None,
    ci_prob: CiProb = defaults.CI_PROB,
    fmt: Format = "table",
) -> None:
    """Print posterior effects of design decisions on the score scale."""
    from bayesmeta.effects import effects

    _check_format(fmt)
    _print_frame(effects(_load_fit(fit), decision, by=by).table(ci_prob=ci_prob), fmt=fmt)


@app.command("query")
def query_command(
    statement: Annotated[str, typer.Argument(metavar='"DECISION: A > B"')],
    benchmark: Annotated[str | None, typer.Option("--benchmark", metavar="NAME")] = None,
    task_family: Annotated[str | None, typer.Option("--task-family", metavar="NAME")] = None,
    equivalence: Annotated[
        float, typer.Option("--equivalence", metavar="PP", help="Points that make no difference.")
    ] = defaults.EQUIVALENCE,
    fit: FitOption = None,
    ci_prob: CiProb = defaults.CI_PROB,
    fmt: Format = "table",
) -> None:
    """Print how probable a statement is, and what stands behind it."""
    from bayesmeta.effects import query

    _check_format(fmt)
    answer = query(_load_fit(fit), statement, benchmark=benchmark, task_family=task_family,
                   equivalence=equivalence, ci_prob=ci_prob)  # fmt: skip
    if fmt == "json":
        _print(json.dumps(answer.to_dict(), indent=2))
    elif fmt == "table":
        _print(str(answer))
    else:
        _print_frame(answer.table(), fmt=fmt)


@app.command("curve")
def curve_command(
    decision: Annotated[str, typer.Argument(metavar="DECISION")] = "code_share",
    by: By = "task_family",
    fit: FitOption = None,
    ci_prob: CiProb = defaults.CI_PROB,
    fmt: Format = "table",
) -> None:
    """Print the score along a numeric decision, and where it is highest."""
    from bayesmeta.effects import curve

    _check_format(fmt)
    drawn = curve(_load_fit(fit), decision, by=by)
    optimum = drawn.optimum(ci_prob=ci_prob)
    if fmt == "json":
        _print(json.dumps(_curve_report(drawn.table(ci_prob=ci_prob), optimum), indent=2))
    else:
        _print_frame(optimum.reset_index(), fmt=fmt)


def _curve_report(points: pd.DataFrame, optimum: pd.DataFrame) -> dict[str, Any]:
    curves = {
        str(target): part[["estimate", "lower", "upper"]].to_dict(orient="list")
        for target, part in points.groupby("target", sort=False)
    }
    return {
        "grid": list(dict.fromkeys(points["grid"])),
        "units": "percentage points above the first grid point",
        "ci_prob": float(points["ci_prob"].iloc[0]),
        "curves": curves,
        "optimum": optimum.to_dict(orient="index"),
    }


@app.command("plot")
def plot_command(
    kind: Annotated[str, typer.Argument(metavar="KIND", help="forest, curve or all.")],
    out: Annotated[
        Path, typer.Option("--out", metavar="FILE", help="A .pdf, .png or .svg; for all: a folder.")
    ],
    decision: Annotated[str | None, typer.Option("--decision", metavar="NAME")] = None,
    by: Annotated[str | None, typer.Option("--by", metavar="BY")] = None,
    fit: FitOption = None,
    ci_prob: CiProb = defaults.CI_PROB,
    fmt: Format = "table",
) -> None:
    """Draw a figure; print its path and the numbers drawn."""
    from bayesmeta.reporting import plots

    _check_format(fmt)
    kinds = ("forest", "curve")
    if kind not in (*kinds, "all"):
        raise QueryError(
            f"figure '{kind}' is not known.{suggest(kind, [*kinds, 'all'])} Allowed: "
            f"{listing([*kinds, 'all'])}."
        )
    fitted = _load_fit(fit)
    if kind == "all":
        paths = [out / f"{name}{ending}" for name in kinds for ending in (".pdf", ".png")]
    else:
        _check_out(out)
        paths = [out]
    drawn = {
        name: _draw(name, fitted, decision=decision, by=by, ci_prob=ci_prob)
        for name in (kinds if kind == "all" else (kind,))
    }
    if kind == "all":
        _check_folder(out)
    saved = [
        str(plots.save_figure(drawn[path.stem if kind == "all" else kind], path)) for path in paths
    ]
    if fmt == "json":
        numbers = {name: json.loads(d.table.to_json(orient="records")) for name, d in drawn.items()}
        _print(json.dumps({"paths": saved, "numbers": numbers}, indent=2))
        return
    for name, figure in drawn.items():
        if kind != "all":
            _print_frame(figure.table, fmt=fmt)
        _say(f"{name}: {len(figure.table)} rows drawn")
    (_print if fmt == "table" else _say)("\n".join(saved))


def _draw(name: str, fit: Fit, *, decision: str | None, by: str | None, ci_prob: float) -> Any:
    from bayesmeta.effects import curve, effects
    from bayesmeta.reporting import plots

    if name == "forest":
        return plots.forest(effects(fit, decision, by=by or "overall"), ci_prob=ci_prob)
    return plots.curve(
        curve(fit, decision or "code_share", by=by or "task_family"), ci_prob=ci_prob
    )


@data_app.command("show")
def show_command(
    data_dir: Annotated[Path | None, typer.Argument(metavar="[DATA_DIR]")] = None,
    version: Version = "corrected",
    fmt: Format = "table",
) -> None:
    """Print the number of scores per benchmark."""
    _check_format(fmt)
    data = _load_data(data_dir, version=version)
    _say(f"{data!r}\nchecksum {data.checksum}")
    _print_frame(data.counts().reset_index(), fmt=fmt)


@data_app.command("validate")
def validate_command(
    data_dir: Annotated[Path, typer.Argument(metavar="DIR")], fmt: Format = "table"
) -> None:
    """Check your own tables; the first problem is named by file, line and column."""
    _check_format(fmt)
    data = _load_data(data_dir, version="corrected")
    counts = {"lms": len(data.lms), "scores": len(data.scores), "benchmarks": len(data.benchmarks)}
    if fmt == "json":
        _print(json.dumps({"rows": counts, "problems": []}, indent=2))
    else:
        _print(f"{data!r}: no problems found")


@data_app.command("import-upstream")
def import_command(
    source: Annotated[Path, typer.Argument(metavar="DIR", help="A clone of the public database.")],
    out: Annotated[Path, typer.Option("--out", metavar="DIR", help="Where to write.")] = Path(
        "data"
    ),
    fmt: Format = "table",
) -> None:
    """Rebuild the tables from a clone of the public database."""
    from bayesmeta.data import import_upstream

    _check_format(fmt)
    counts = import_upstream(source, out=out)
    if fmt == "json":
        _print(json.dumps({"out": str(out), "rows": counts}, indent=2))
    else:
        _print("\n".join(f"{name}: {rows} rows" for name, rows in counts.items()))


def _load_data(folder: Path | None, *, version: str) -> Dataset:
    from bayesmeta.data import load_dataset, read_dataset

    if folder is None:
        return load_dataset(version=version)
    return read_dataset(folder, version=version)


def _load_fit(path: Path | None) -> Fit:
    from bayesmeta.inference import load_fit, load_reference_fit

    fit = load_reference_fit() if path is None else load_fit(path)
    if fit.failures:
        _say(f"warning: this fit failed its checks; do not report it. {' '.join(fit.failures)}")
    return fit


def _check_format(fmt: str) -> None:
    from bayesmeta.reporting.summaries import FORMATS

    if fmt not in FORMATS:
        raise QueryError(
            f"--format '{fmt}' is not known.{suggest(fmt, FORMATS)} Allowed: {listing(FORMATS)}."
        )


def _check_out(path: Path) -> None:
    """Refuse before the work, not after it."""
    if not path.parent.is_dir() or path.is_dir():
        what = "is a folder" if path.is_dir() else f"cannot be written: {path.parent} is no folder"
        raise QueryError(f"--out {path} {what}. Name a file in a folder that exists.")


def _check_folder(path: Path) -> None:
    """Make a folder for figures; its parent must exist."""
    try:
        path.mkdir(exist_ok=True)
    except OSError as error:
        raise QueryError(
            f"--out {path} cannot be made: {error.strerror}. Name a folder inside one that exists."
        ) from error


def _print_frame(frame: pd.DataFrame, *, fmt: str) -> None:
    from bayesmeta.reporting.summaries import format_frame

    _print(format_frame(frame, fmt=fmt))


def _print(text: str) -> None:
    if text:
        typer.echo(text)


def _say(text: str) -> None:
    typer.echo(text, err=True)


def _leave_if(failed: bool) -> None:
    if failed:
        raise typer.Exit(EXIT_UNCHECKED)


def main() -> None:
    """Run the command line; errors are one paragraph and an exit code."""
    run: Callable[..., Any] = app
    try:
        run()
    except BayesmetaError as error:
        _say(f"error: {error}")
        sys.exit(EXIT_BAD_INPUT)


if __name__ == "__main__":
    main()
