"""The command that draws."""

from __future__ import annotations

import json
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bayesmeta import defaults
from bayesmeta.cli.completion import names_of, one_of
from bayesmeta.cli.shared import (
    FitOption,
    Format,
    check_ending,
    check_folder,
    check_format,
    check_out,
    load_fit,
    say,
    show,
    show_frame,
    working,
)
from bayesmeta.data.tables import write_text
from bayesmeta.errors import QueryError, listing, shorten, suggest

if TYPE_CHECKING:
    from bayesmeta.inference import Fit
    from bayesmeta.reporting.plots import Drawn

app = typer.Typer()

_POSTERIOR: tuple[str, ...] = (
    "forest",
    "atlas",
    "curve",
    "tradeoff",
    "scaling",
    "evidence",
    "calibration",
    "ppc",
    "prior-posterior",
    "ladders",
)
_RECORDED = ("scoreboard", "gains", "ranks", "specification-curve")
_OF_EFFECTS = ("forest", "atlas", "curve", "tradeoff", "prior-posterior")
_APPLIES = {
    "--decision": _OF_EFFECTS,
    "--by": ("forest", "atlas", "curve", "prior-posterior", "ladders"),
    "--along": ("scaling",),
    "--statement": ("evidence", "ladders", "specification-curve"),
    "--target": ("evidence", "specification-curve"),
    "--multiverse": ("specification-curve", "all"),
    "--fit": (*_POSTERIOR, "all"),
    "--ci-prob": (*_POSTERIOR, "specification-curve", "all"),
    "--data-version": ("scoreboard", "gains", "all"),
    "--data": (*_POSTERIOR, *_RECORDED),
}
"""Figures that every option applies to."""

_STATEMENT = "code_share: 20 > 5"
_LONGEST_TABLE = 2000
"""Rows that are printed for reading; other formats are for programs and are written whole."""

_ENDINGS = (".pdf", ".png")
_LONG = ("ranks",)
"""Figures of hundreds of thousands of numbers, which are written on demand only."""

_VENUES = ("default", "acl", "iclr", "icml", "ieee", "jmlr", "nature", "neurips")


@dataclass(frozen=True, slots=True)
class _Asked:
    """What the options of one call say."""

    decision: str | None
    by: str | None
    along: str | None
    statement: str | None
    target: str | None
    multiverse: Path | None
    version: str
    ci_prob: float


@app.command("plot")
def plot_command(
    kind: Annotated[
        str,
        typer.Argument(
            metavar="KIND",
            help=f"{', '.join((*_POSTERIOR, *_RECORDED))} or all.",
            autocompletion=one_of(*_POSTERIOR, *_RECORDED, "all"),
        ),
    ],
    out: Annotated[
        Path, typer.Option("--out", metavar="FILE", help="A .pdf, .png or .svg; for all: a folder.")
    ],
    decision: Annotated[
        str | None,
        typer.Option(
            "--decision",
            metavar="NAME",
            help="Of this decision alone.",
            autocompletion=names_of("decisions"),
        ),
    ] = None,
    by: Annotated[
        str | None,
        typer.Option(
            "--by",
            metavar="BY",
            help="benchmark, task_family or overall.",
            autocompletion=one_of("benchmark", "task_family", "overall"),
        ),
    ] = None,
    along: Annotated[
        str | None,
        typer.Option("--along", metavar="SCALE", help="Of scaling: compute, n_params or n_tokens."),
    ] = None,
    statement: Annotated[
        str | None,
        typer.Option(
            "--statement",
            metavar="STATEMENT",
            help="Of an evidence card, of ladders, or of a specification curve (the record's "
            "first one if left out).",
        ),
    ] = None,
    target: Annotated[
        str | None,
        typer.Option("--target", metavar="NAME", help="A benchmark or task family it is asked on."),
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
    ci_prob: Annotated[
        float | None,
        typer.Option(
            "--ci-prob", help=f"Probability of the intervals; {defaults.CI_PROB} if left out."
        ),
    ] = None,
    version: Annotated[
        str | None,
        typer.Option(
            "--data-version",
            metavar="VERSION",
            help="Of scoreboard and gains: corrected (if left out) or as-published.",
        ),
    ] = None,
    style: Annotated[
        str,
        typer.Option(
            "--style",
            metavar="STYLE",
            help="paper, or screen: half as large again.",
            autocompletion=one_of("paper", "screen"),
        ),
    ] = "paper",
    theme: Annotated[
        str,
        typer.Option(
            "--theme",
            metavar="THEME",
            help="light or dark.",
            autocompletion=one_of("light", "dark"),
        ),
    ] = "light",
    venue: Annotated[
        str,
        typer.Option(
            "--venue",
            metavar="VENUE",
            help=f"Whose columns it fits: {', '.join(_VENUES)}.",
            autocompletion=one_of(*_VENUES),
        ),
    ] = "default",
    data: Annotated[
        Path | None,
        typer.Option("--data", metavar="FILE.csv", help="Write the numbers drawn there as well."),
    ] = None,
    fmt: Format = "table",
) -> None:
    """Draw a figure; print its path and the numbers drawn."""
    from bayesmeta.reporting import plots

    check_format(fmt)
    given = {"--decision": decision, "--by": by, "--along": along, "--statement": statement,
             "--target": target, "--multiverse": multiverse, "--fit": fit, "--ci-prob": ci_prob,
             "--data-version": version, "--data": data}  # fmt: skip
    _check_kind(kind, given)
    _check_paths(kind, out=out, data=data)
    asked = _Asked(
        decision=decision, by=by, along=along, statement=statement, target=target,
        multiverse=multiverse, version=version or "corrected",
        ci_prob=defaults.CI_PROB if ci_prob is None else ci_prob,
    )  # fmt: skip
    with plots.use(style=style, theme=theme, venue=venue):
        drawn = _draw_all(kind, asked, fit=fit)
    figures, tables = {out: kind}, {} if data is None else {data: kind}
    if kind == "all":
        check_folder(out)
        figures = {out / f"{name}{end}": name for name in drawn for end in _ENDINGS}
        tables = {out / f"{name}.csv": name for name in drawn if name not in _LONG}
    with warnings.catch_warnings(record=True) as caught, working("saving"):
        warnings.filterwarnings("always", message="no installed font has")
        saved = [str(plots.save_figure(drawn[name], path)) for path, name in figures.items()]
    for text in dict.fromkeys(str(one.message) for one in caught):
        say(f"warning: {text}")
    for path, name in tables.items():
        write_text(path, text=drawn[name].table.to_csv(index=False, float_format="%.10g"))
        if kind != "all":
            say(f"wrote {path}")
    _show_numbers(drawn, saved, kind=kind, fmt=fmt)


def _check_kind(kind: str, given: Mapping[str, object]) -> None:
    """Refuse a figure that is not known, and options that do not apply to it."""
    kinds = (*_POSTERIOR, *_RECORDED, "all")
    if kind not in kinds:
        raise QueryError(
            f"figure '{shorten(kind)}' is not known.{suggest(kind, kinds)} Allowed: "
            f"{listing(kinds)}."
        )
    for option, value in given.items():
        if value is not None and kind not in _APPLIES[option]:
            raise QueryError(
                f"{option} {shorten(value)} does not apply to plot {kind}. Allowed with: "
                f"{listing(_APPLIES[option])}. Leave it out."
            )


def _check_paths(kind: str, *, out: Path, data: Path | None) -> None:
    """Refuse files that cannot be written before the work."""
    if kind != "all":
        check_out(out)
        check_ending(out)
    if data is None:
        return
    check_out(data, option="--data")
    if data.suffix != ".csv":
        raise QueryError(f"--data {data} has no known ending. Allowed: .csv.")


def _draw_all(kind: str, asked: _Asked, *, fit: Path | None) -> dict[str, Drawn]:
    """Draw one figure, or all that the fit allows, by name."""
    drawn = {}
    for name in _RECORDED if kind == "all" else {kind} & {*_RECORDED}:
        own = replace(asked, ci_prob=defaults.CI_PROB) if kind == "all" else asked
        with working(f"drawing {name}"):
            drawn[name] = _draw_record(name, own)  # a record has intervals of its own
    if kind not in _RECORDED:
        fitted = load_fit(fit)
        for name in _kinds_of(fitted) if kind == "all" else (kind,):
            with working(f"drawing {name}"):
                drawn[name] = _draw(name, fitted, asked)
    return {name: drawn[name] for name in (*_POSTERIOR, *_RECORDED) if name in drawn}


def _show_numbers(drawn: Mapping[str, Drawn], saved: list[str], *, kind: str, fmt: str) -> None:
    if fmt == "json":
        numbers = {name: json.loads(d.table.to_json(orient="records")) for name, d in drawn.items()}
        show(json.dumps({"paths": saved, "numbers": numbers}, indent=2))
        return
    for name, figure in drawn.items():
        if kind != "all" and (fmt != "table" or len(figure.table) <= _LONGEST_TABLE):
            show_frame(figure.table, fmt=fmt)
        say(f"{name}: {len(figure.table)} rows drawn")
    (show if fmt == "table" else say)("\n".join(saved))


def _kinds_of(fit: Fit) -> list[str]:
    """List the figures of a posterior that its benchmarks and decisions allow."""
    from bayesmeta.effects.estimands import knows_sizes

    names = list(_POSTERIOR)
    if not _has_ladder(fit):
        say("ladders is left out: no family of this fit's data varies in its share of code")
        names.remove("ladders")
    if "code" not in fit.design.task_families:
        say("tradeoff is left out: no benchmark of this fit has the task family 'code'")
        names.remove("tradeoff")
    if not knows_sizes(fit):
        say("scaling is left out: this fit's model has no scale")
        names.remove("scaling")
    return names


def _has_ladder(fit: Fit) -> bool:
    from bayesmeta.effects import ladders

    try:
        ladders(fit, _STATEMENT, by="overall")
    except QueryError:
        return False
    return True


def _draw_record(name: str, asked: _Asked) -> Drawn:
    from bayesmeta.evaluation import load_scoreboard
    from bayesmeta.evaluation.validation import read_ranks
    from bayesmeta.reporting import plots

    if name in ("scoreboard", "gains"):
        draw = plots.scoreboard if name == "scoreboard" else plots.gains
        return draw(load_scoreboard(asked.version))
    if name == "specification-curve":
        return _draw_curve(asked)
    ranks, header = read_ranks()
    return plots.ranks(ranks, n_draws=header["n_draws"])


def _draw_curve(asked: _Asked) -> Drawn:
    """Draw a specification curve; the first one where none is named."""
    from bayesmeta.evaluation import load_multiverse
    from bayesmeta.reporting import plots

    found = load_multiverse(asked.multiverse)
    statement, target = asked.statement, asked.target
    if statement is None and target is None:
        statement, target = found.asked[0]
    return plots.specification_curve(
        found, statement=statement, target=target, ci_prob=asked.ci_prob
    )


def _draw(name: str, fit: Fit, asked: _Asked) -> Drawn:
    from bayesmeta.effects import curve, effects, ladders
    from bayesmeta.inference import sample_prior
    from bayesmeta.reporting import plots

    decision, by, ci_prob = asked.decision, asked.by, asked.ci_prob
    if name == "prior-posterior":
        prior = sample_prior(fit.dataset, fit.spec)
        before, after = (effects(one, decision, by=by or "overall") for one in (prior, fit))
        return plots.prior_posterior(after, prior=before, ci_prob=ci_prob)
    if name == "ladders":
        found = ladders(fit, asked.statement or _STATEMENT, by=by or "task_family")
        return plots.ladders(found, ci_prob=ci_prob)
    if name == "forest":
        return plots.forest(effects(fit, decision, by=by or "overall"), ci_prob=ci_prob)
    if name == "atlas":
        return plots.atlas(effects(fit, decision, by=by or "benchmark"), ci_prob=ci_prob)
    if name == "scaling":
        return plots.scaling(fit, along=asked.along or "compute", ci_prob=ci_prob)
    if name == "evidence":
        return _draw_card(fit, asked)
    if name in ("calibration", "ppc"):
        check = plots.calibration if name == "calibration" else plots.ppc
        return check(fit, ci_prob=ci_prob)
    if name == "tradeoff" and "code" not in fit.design.task_families:
        raise QueryError(
            "plot tradeoff shows what code tasks gain, and no benchmark of this fit has the task "
            f"family 'code'. Allowed: fits that have. Of {listing(fit.design.task_families)}, draw "
            "one in Python: bm.plot.tradeoff(bm.curve(fit).tradeoff(gain=NAME))."
        )
    along = curve(fit, decision or "code_share", by=by or "task_family")
    return (plots.curve if name == "curve" else plots.tradeoff)(along, ci_prob=ci_prob)


def _draw_card(fit: Fit, asked: _Asked) -> Drawn:
    """Draw an evidence card; that of the fit's first decision where nothing is named."""
    from bayesmeta.effects.estimands import default_contrasts, list_decisions
    from bayesmeta.reporting import plots

    statement, target, design = asked.statement, asked.target, fit.design
    if statement is None:
        known = list_decisions(fit)
        first = default_contrasts(fit, decision=known[0])[0].label
        statement = _STATEMENT if "code_share" in known else first
    if target not in (None, "overall", *design.benchmarks, *design.task_families):
        allowed = ("overall", *design.benchmarks, *design.task_families)
        raise QueryError(
            f"target '{shorten(target)}' is not in this fit.{suggest(target, allowed)} Allowed: "
            f"{listing(allowed)}."
        )
    return plots.evidence(
        fit,
        statement,
        benchmark=target if target in design.benchmarks else None,
        task_family=target if target in design.task_families else None,
        ci_prob=asked.ci_prob,
    )
