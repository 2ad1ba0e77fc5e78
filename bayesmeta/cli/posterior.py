"""Commands on a posterior: fit, check, effects, swaps, query, curve, tradeoff."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from bayesmeta import defaults
from bayesmeta.cli.options import (
    Benchmark,
    By,
    CiProb,
    DataDir,
    Decision,
    FitOption,
    Format,
    LmFamilies,
    Lms,
    Scale,
    Statement,
    TaskFamily,
    Version,
    choice,
    named,
)
from bayesmeta.cli.shared import (
    EXIT_INTERRUPTED,
    check_format,
    check_out,
    leave_if,
    load_data,
    load_fit,
    say,
    show,
    show_frame,
    working,
)
from bayesmeta.errors import listing

if TYPE_CHECKING:
    import pandas as pd

    from bayesmeta.inference import Diagnostics, Fit

app = typer.Typer()


@app.command("fit")
def fit_command(
    data_dir: DataDir = None,
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

    check_format(fmt)
    check_out(out)
    chosen = read_spec(spec) if spec is not None else ModelSpec()
    data = load_data(data_dir, version=version)
    if quick:
        draws, tune, chains = defaults.QUICK_DRAWS, defaults.QUICK_DRAWS, defaults.QUICK_CHAINS
    try:
        fitted = sample_fit(
            data, chosen, seed=seed, draws=draws, tune=tune, chains=chains, sampler=sampler
        )
    except KeyboardInterrupt:
        say(f"interrupted: nothing was written, {out} is as it was")
        raise typer.Exit(EXIT_INTERRUPTED) from None
    left_out = [name for name in chosen.decisions if name not in list_decisions(fitted)]
    if left_out:
        say(f"left out, since too little of them is recorded or varies: {listing(left_out)}")
    fitted.save(out)
    say(f"saved {out}; checking it")
    diagnostics = check(fitted)
    fitted = fitted.with_diagnostics(diagnostics.to_dict())
    fitted.save(out)
    if reference is not None:
        thin_fit(fitted, diagnostics=diagnostics).save(reference)
    _report_fit(fitted, diagnostics, out=out, fmt=fmt)
    leave_if(not diagnostics.passed)


def _report_fit(fitted: Fit, diagnostics: Diagnostics, *, out: Path, fmt: str) -> None:
    """Print verdict, effects and path; where the table is for a program, all else to stderr."""
    from bayesmeta.effects import list_decisions

    if fmt == "json":
        seconds = fitted.provenance["seconds"]
        report = {"passed": diagnostics.passed, "out": str(out), "seconds": seconds,
                  "diagnostics": diagnostics.to_dict()}  # fmt: skip
        show(json.dumps(report, indent=2))
        return
    tell = show if fmt == "table" else say
    tell(str(diagnostics))
    if list_decisions(fitted):
        _print_effects(fitted, fmt=fmt)
    tell(f"wrote {out}")


def _print_effects(fitted: Fit, *, fmt: str) -> None:
    from bayesmeta.effects import effects

    table = effects(fitted, by="overall").table()
    if fmt == "table":
        show(
            f"\nEffects on the score over all benchmarks, in percentage points "
            f"({100 * defaults.CI_PROB:g} % equal-tailed intervals):"
        )
        table = table.drop(columns=["by", "target", "ci_prob", "units"])
    show_frame(table, fmt=fmt)


@app.command("check")
def check_command(fit: FitOption = None, fmt: Format = "table") -> None:
    """Say whether a fit may be reported, and why not."""
    from bayesmeta.inference import check

    check_format(fmt)
    with working("checking"):
        diagnostics = check(load_fit(fit))
    if fmt == "json":
        show(json.dumps(diagnostics.to_dict(), indent=2))
    else:
        show_frame(diagnostics.table, fmt=fmt)
        show(str(diagnostics) if fmt == "table" else "")
    leave_if(not diagnostics.passed)


@app.command("effects")
def effects_command(
    decision: Annotated[
        list[str] | None,
        named(
            "--decision",
            "decisions",
            help="Or 'attention: gqa > mha'; may be repeated; all if left out.",
        ),
    ] = None,
    by: Annotated[
        str, choice("--by", "benchmark", "task_family", "overall", "lm_family")
    ] = "overall",
    lms: Lms = None,
    lm_family: LmFamilies = None,
    scale: Scale = "score",
    fit: FitOption = None,
    ci_prob: CiProb = defaults.CI_PROB,
    fmt: Format = "table",
) -> None:
    """By how much every design decision changes scores."""
    from bayesmeta.effects import effects

    check_format(fmt)
    with working("averaging over the draws"):
        found = effects(
            load_fit(fit), decision or None, by=by, lms=lms or None, lm_family=lm_family or None,
            scale=scale,
        )  # fmt: skip
    on = "expected score" if scale == "score" else "latent scale"
    caption = f"Effects of design decisions on the {on}."
    show_frame(found.table(ci_prob=ci_prob), fmt=fmt, caption=caption)


@app.command("swaps")
def swaps_command(
    receiver: Annotated[
        str | None, typer.Argument(metavar="[PART]", help="The part that grows; all if left out.")
    ] = None,
    points: Annotated[
        float, typer.Option("--points", metavar="PP", help="What moves, in percent of the mix.")
    ] = 10.0,
    by: By = "overall",
    fit: FitOption = None,
    ci_prob: CiProb = defaults.CI_PROB,
    fmt: Format = "table",
) -> None:
    """What it does to move training data from one part to another."""
    from bayesmeta.effects import swaps

    check_format(fmt)
    with working("averaging over the draws"):
        found = swaps(load_fit(fit), receiver, points=points, by=by)
    caption = "Effects of moving points of the training mix from one part to another."
    show_frame(found.table(ci_prob=ci_prob), fmt=fmt, caption=caption)


@app.command("query")
def query_command(
    statement: Statement,
    benchmark: Benchmark = None,
    task_family: TaskFamily = None,
    equivalence: Annotated[
        float | None,
        typer.Option("--equivalence", metavar="PP", help="Points that make no difference; 0.5."),
    ] = None,
    more_than: Annotated[
        float | None,
        typer.Option("--more-than", metavar="PP", help="Also: how probable is a larger effect."),
    ] = None,
    lms: Lms = None,
    lm_family: LmFamilies = None,
    scale: Scale = "score",
    fit: FitOption = None,
    ci_prob: CiProb = defaults.CI_PROB,
    fmt: Format = "table",
) -> None:
    """How probable a statement is, and what stands behind it."""
    from bayesmeta.effects import query

    check_format(fmt)
    answer = query(load_fit(fit), statement, benchmark=benchmark, task_family=task_family,
                   lms=lms or None, lm_family=lm_family or None, scale=scale,
                   equivalence=equivalence, more_than=more_than, ci_prob=ci_prob)  # fmt: skip
    if fmt == "json":
        show(json.dumps(answer.to_dict(), indent=2))
    elif fmt == "table":
        show(str(answer))
    else:
        show_frame(answer.table(), fmt=fmt, caption="Answer of the posterior.")


@app.command("rank")
def rank_command(
    decision: Decision,
    by: By = "overall",
    fit: FitOption = None,
    fmt: Format = "table",
) -> None:
    """Which level of a decision is the best."""
    from bayesmeta.effects import rank_levels

    check_format(fmt)
    table = rank_levels(load_fit(fit), decision, by=by).table()
    show_frame(table, fmt=fmt, caption=f"Which level of {decision} is the best.")


@app.command("curve")
def curve_command(
    decision: Decision = "code_share",
    by: By = "task_family",
    fit: FitOption = None,
    ci_prob: CiProb = defaults.CI_PROB,
    fmt: Format = "table",
) -> None:
    """Where along a numeric decision the score is highest."""
    from bayesmeta.effects import curve

    check_format(fmt)
    with working("averaging over the draws"):
        drawn = curve(load_fit(fit), decision, by=by)
        optimum = drawn.optimum(ci_prob=ci_prob)
    if fmt == "json":
        show(json.dumps(_curve_report(drawn.table(ci_prob=ci_prob), optimum), indent=2))
    else:
        caption = f"Where along {decision} ({drawn.units}) the score is highest."
        show_frame(optimum.reset_index(), fmt=fmt, caption=caption)


@app.command("tradeoff")
def tradeoff_command(
    decision: Decision = "code_share",
    gain: Annotated[str, typer.Option("--gain", metavar="NAME", help="What gains.")] = "code",
    loss: Annotated[
        str | None,
        typer.Option("--loss", metavar="NAME[,NAME]", help="What pays; all others if left out."),
    ] = None,
    weights: Annotated[
        tuple[float, float], typer.Option("--weights", help="Of the gain and of the mean loss.")
    ] = (1, 1),
    by: By = "task_family",
    fit: FitOption = None,
    ci_prob: CiProb = defaults.CI_PROB,
    fmt: Format = "table",
) -> None:
    """How much code, and who pays for it."""
    from bayesmeta.effects import curve

    check_format(fmt)
    names = None if loss is None else loss.split(",")
    with working("averaging over the draws"):
        drawn = curve(load_fit(fit), decision, by=by)
        found = drawn.tradeoff(gain=gain, loss=names, weights=weights)
    caption = f"Where along {decision} ({drawn.units}) {gain} gains and others pay."
    show_frame(found.table(ci_prob=ci_prob).reset_index(), fmt=fmt, caption=caption)


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
