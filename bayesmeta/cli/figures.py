"""The commands that draw: a figure, and a page."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bayesmeta import defaults
from bayesmeta.cli.shared import (
    CiProb,
    FitOption,
    Format,
    Version,
    check_folder,
    check_format,
    check_out,
    load_fit,
    say,
    show,
    show_frame,
)
from bayesmeta.errors import QueryError, listing, suggest

if TYPE_CHECKING:
    from bayesmeta.inference import Fit
    from bayesmeta.reporting.plots import Drawn

app = typer.Typer()

_POSTERIOR: tuple[str, ...] = (
    "forest",
    "curve",
    "tradeoff",
    "calibration",
    "ppc",
    "prior-posterior",
    "ladders",
)
_RECORDED = ("scoreboard", "ranks", "specification-curve")
_LADDER = "code_share: 20 > 5"
_LONGEST_TABLE = 2000
"""Rows that are printed for reading; other formats are for programs and are written whole."""

_ENDINGS = (".pdf", ".png")


@app.command("plot")
def plot_command(
    kind: Annotated[
        str,
        typer.Argument(
            metavar="KIND",
            help="forest, curve, tradeoff, calibration, ppc, prior-posterior, ladders, scoreboard, "
            "ranks, specification-curve or all.",
        ),
    ],
    out: Annotated[
        Path, typer.Option("--out", metavar="FILE", help="A .pdf, .png or .svg; for all: a folder.")
    ],
    decision: Annotated[str | None, typer.Option("--decision", metavar="NAME")] = None,
    by: Annotated[str | None, typer.Option("--by", metavar="BY")] = None,
    statement: Annotated[
        str | None,
        typer.Option(
            "--statement",
            metavar="STATEMENT",
            help="Of a specification curve (the record's first one if left out) or of ladders.",
        ),
    ] = None,
    target: Annotated[
        str | None,
        typer.Option("--target", metavar="NAME", help="A benchmark or task family it was asked on"),
    ] = None,
    multiverse: Annotated[
        Path | None,
        typer.Option(
            "--multiverse",
            metavar="FILE.csv",
            help="What `bayesmeta multiverse --out` wrote; the shipped record if left out.",
        ),
    ] = None,
    fit: FitOption = None,
    ci_prob: CiProb = defaults.CI_PROB,
    version: Version = "corrected",
    fmt: Format = "table",
) -> None:
    """Draw a figure; print its path and the numbers drawn."""
    from bayesmeta.reporting import plots

    check_format(fmt)
    kinds = (*_POSTERIOR, *_RECORDED)
    if kind not in (*kinds, "all"):
        raise QueryError(
            f"figure '{kind}' is not known.{suggest(kind, [*kinds, 'all'])} Allowed: "
            f"{listing([*kinds, 'all'])}."
        )
    if kind != "all":
        check_out(out)
    drawn: dict[str, Drawn] = {}
    for name in _RECORDED if kind == "all" else {kind} & {*_RECORDED}:
        asked = (multiverse, statement, target)
        prob = defaults.CI_PROB if kind == "all" else ci_prob  # a record has intervals of its own
        drawn[name] = _draw_record(name, version=version, asked=asked, ci_prob=prob)
    if kind not in _RECORDED:
        fitted = load_fit(fit)
        for name in _kinds_of(fitted) if kind == "all" else (kind,):
            drawn[name] = _draw(
                name, fitted, decision=decision, by=by, statement=statement, ci_prob=ci_prob
            )
    paths = {out: kind}
    if kind == "all":
        check_folder(out)
        paths = {out / f"{name}{end}": name for name in kinds if name in drawn for end in _ENDINGS}
    saved = [str(plots.save_figure(drawn[name], path)) for path, name in paths.items()]
    if fmt == "json":
        numbers = {name: json.loads(d.table.to_json(orient="records")) for name, d in drawn.items()}
        show(json.dumps({"paths": saved, "numbers": numbers}, indent=2))
        return
    for name, figure in drawn.items():
        if kind != "all" and (fmt != "table" or len(figure.table) <= _LONGEST_TABLE):
            show_frame(figure.table, fmt=fmt)
        say(f"{name}: {len(figure.table)} rows drawn")
    (show if fmt == "table" else say)("\n".join(saved))


@app.command("report")
def report_command(
    out: Annotated[
        Path, typer.Option("--out", metavar="DIR", help="A folder; made if its parent exists.")
    ],
    decisions: Annotated[
        list[str] | None,
        typer.Option("--decision", metavar="NAME", help="About these alone; may be repeated."),
    ] = None,
    fit: FitOption = None,
    fmt: Format = "table",
) -> None:
    """Write a page that answers questions without a network, and Markdown; print their paths."""
    import pandas as pd

    from bayesmeta.reporting.report import report

    check_format(fmt)
    paths = [str(path) for path in report(load_fit(fit), out, decisions=decisions, progress=True)]
    if fmt == "json":
        show(json.dumps(paths, indent=2))
    elif fmt == "table":
        show("\n".join(paths))
    else:
        show_frame(pd.DataFrame({"path": paths}), fmt=fmt)


def _kinds_of(fit: Fit) -> list[str]:
    """List the figures of a posterior that its benchmarks allow."""
    names = list(_POSTERIOR)
    if not _has_ladder(fit):
        say("ladders is left out: no family of this fit's data varies in its share of code")
        names.remove("ladders")
    if "code" not in fit.design.task_families:
        say("tradeoff is left out: no benchmark of this fit has the task family 'code'")
        names.remove("tradeoff")
    return names


def _has_ladder(fit: Fit) -> bool:
    from bayesmeta.effects import ladders

    try:
        ladders(fit, _LADDER, by="overall")
    except QueryError:
        return False
    return True


def _draw_record(
    name: str,
    *,
    version: str,
    asked: tuple[Path | None, str | None, str | None],
    ci_prob: float,
) -> Drawn:
    from bayesmeta.evaluation import load_scoreboard
    from bayesmeta.evaluation.validation import read_ranks
    from bayesmeta.reporting import plots

    if name == "scoreboard":
        return plots.scoreboard(load_scoreboard(version))
    if name == "specification-curve":
        return _draw_curve(*asked, ci_prob=ci_prob)
    ranks, header = read_ranks()
    return plots.ranks(ranks, n_draws=header["n_draws"])


def _draw_curve(
    path: Path | None, statement: str | None, target: str | None, *, ci_prob: float
) -> Drawn:
    """Draw a specification curve; the first one where none is named."""
    from bayesmeta.evaluation import load_multiverse
    from bayesmeta.reporting import plots

    found = load_multiverse(path)
    if statement is None and target is None:
        statement, target = found.asked[0]
    return plots.specification_curve(found, statement=statement, target=target, ci_prob=ci_prob)


def _draw(
    name: str,
    fit: Fit,
    *,
    decision: str | None,
    by: str | None,
    statement: str | None,
    ci_prob: float,
) -> Drawn:
    from bayesmeta.effects import curve, effects, ladders
    from bayesmeta.inference import sample_prior
    from bayesmeta.reporting import plots

    if name == "prior-posterior":
        say("drawing from the prior")
        prior = sample_prior(fit.dataset, fit.spec)
        before, after = (effects(one, decision, by=by or "overall") for one in (prior, fit))
        return plots.prior_posterior(after, prior=before, ci_prob=ci_prob)
    if name == "ladders":
        found = ladders(fit, statement or _LADDER, by=by or "task_family")
        return plots.ladders(found, ci_prob=ci_prob)
    if name == "forest":
        return plots.forest(effects(fit, decision, by=by or "overall"), ci_prob=ci_prob)
    if name in ("calibration", "ppc"):
        check = plots.calibration if name == "calibration" else plots.ppc
        return check(fit, ci_prob=ci_prob)
    draw = plots.curve if name == "curve" else plots.tradeoff
    return draw(curve(fit, decision or "code_share", by=by or "task_family"), ci_prob=ci_prob)
