"""The command that draws."""

from __future__ import annotations

import json
import warnings
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bayesmeta import defaults
from bayesmeta.cli.completion import one_of
from bayesmeta.cli.drawing import (
    POSTERIOR,
    RECORDED,
    Asked,
    draw_posterior,
    draw_record,
    list_hindrances,
)
from bayesmeta.cli.options import FitOption, Format, choice, named
from bayesmeta.cli.shared import (
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
    from bayesmeta.plots import Drawn

app = typer.Typer()

ALL = "all"
KINDS = (*POSTERIOR, *RECORDED, ALL)
APPLIES = {
    "--decision": ("forest", "atlas", "curve", "tradeoff", "prior-posterior"),
    "--by": ("forest", "atlas", "curve", "prior-posterior", "ladders"),
    "--along": ("scaling",),
    "--statement": ("forest", "atlas", "prior-posterior", "evidence", "ladders",
                    "specification-curve"),
    "--target": ("evidence", "specification-curve"),
    "--multiverse": ("specification-curve", ALL),
    "--fit": (*POSTERIOR, ALL),
    "--ci-prob": (*POSTERIOR, "specification-curve", ALL),
    "--data-version": ("scoreboard", "gains", ALL),
    "--data": (*POSTERIOR, *RECORDED),
}  # fmt: skip
"""Figures that every option applies to."""

VENUES = ("default", "acl", "iclr", "icml", "ieee", "jmlr", "nature", "neurips")
"""Those of `plot.use`, whose module imports matplotlib, which no help needs."""

_LONGEST_TABLE = 2000
"""Rows that are printed for reading; other formats are for programs and are written whole."""

_ENDINGS = (".pdf", ".png")
_LONG = ("ranks",)
"""Figures of hundreds of thousands of numbers, which are written on demand only."""

Kind = Annotated[
    str,
    typer.Argument(metavar="KIND", help=f"{listing(KINDS)}.", autocompletion=one_of(*KINDS)),
]
Out = Annotated[
    Path, typer.Option("--out", metavar="FILE", help="A .pdf, .png or .svg; for all: a folder.")
]
Along = Annotated[str | None, choice("--along", "compute", "n_params", "n_tokens")]
Of = Annotated[
    list[str] | None,
    typer.Option(
        "--statement",
        metavar="STATEMENT",
        help="Whose effect is drawn, such as 'attention: gqa > mha'; of a specification curve the "
        "record's first if left out; may be repeated.",
    ),
]
Target = Annotated[
    str | None,
    typer.Option("--target", metavar="NAME", help="A benchmark or task family it is asked on."),
]
Record = Annotated[
    Path | None,
    typer.Option(
        "--multiverse",
        metavar="FILE.csv",
        help="What `bayesmeta multiverse --out` wrote; the shipped record if left out.",
    ),
]
Probability = Annotated[
    float | None,
    typer.Option(
        "--ci-prob", help=f"Probability of the intervals; {defaults.CI_PROB} if left out."
    ),
]
Scores = Annotated[
    str | None,
    choice("--data-version", "corrected", "as-published", help="Of scoreboard and gains: corrected "
           "(if left out) or as-published."),
]  # fmt: skip
Numbers = Annotated[
    Path | None,
    typer.Option("--data", metavar="FILE.csv", help="Write the numbers drawn there as well."),
]


@app.command("plot")
def plot_command(
    kind: Kind,
    out: Out,
    decision: Annotated[
        list[str] | None,
        named("--decision", "decisions", help="Of this decision alone; may be repeated."),
    ] = None,
    by: Annotated[str | None, choice("--by", "benchmark", "task_family", "overall")] = None,
    along: Along = None,
    statement: Of = None,
    target: Target = None,
    multiverse: Record = None,
    fit: FitOption = None,
    ci_prob: Probability = None,
    version: Scores = None,
    style: Annotated[
        str, choice("--style", "paper", "screen", help="paper, or screen: half as large again.")
    ] = "paper",
    theme: Annotated[str, choice("--theme", "light", "dark")] = "light",
    venue: Annotated[
        str, choice("--venue", *VENUES, help=f"Whose columns it fits: {listing(VENUES)}.")
    ] = "default",
    data: Numbers = None,
    fmt: Format = "table",
) -> None:
    """Draw a figure; print its path and the numbers drawn."""
    from bayesmeta import plots

    check_format(fmt)
    given = {"--decision": _join(decision), "--by": by, "--along": along,
             "--statement": _join(statement),
             "--target": target, "--multiverse": multiverse, "--fit": fit, "--ci-prob": ci_prob,
             "--data-version": version, "--data": data}  # fmt: skip
    _check_kind(kind, given)
    _check_paths(kind, out=out, data=data)
    asked = Asked(
        decisions=decision or (), by=by, along=along, statements=statement or (), target=target,
        multiverse=multiverse, version=version or "corrected",
        ci_prob=defaults.CI_PROB if ci_prob is None else ci_prob,
    )  # fmt: skip
    with plots.use(style=style, theme=theme, venue=venue):
        drawn = _draw_all(kind, asked, fit=fit)
    saved = _save(drawn, kind=kind, out=out, data=data)
    _show_numbers(drawn, saved, kind=kind, fmt=fmt)


def _join(given: list[str] | None) -> str | None:
    return ", ".join(given) if given else None


def _check_kind(kind: str, given: Mapping[str, object]) -> None:
    """Refuse a figure that is not known, and options that do not apply to it."""
    if kind not in KINDS:
        raise QueryError(
            f"figure '{shorten(kind)}' is not known.{suggest(kind, KINDS)} Allowed: "
            f"{listing(KINDS)}."
        )
    for option, value in given.items():
        if value is not None and kind not in APPLIES[option]:
            raise QueryError(
                f"{option} {shorten(value)} does not apply to plot {kind}. Allowed with: "
                f"{listing(APPLIES[option])}. Leave it out."
            )


def _check_paths(kind: str, *, out: Path, data: Path | None) -> None:
    """Refuse files that cannot be written before the work."""
    if kind != ALL:
        check_out(out)
        check_ending(out)
    if data is None:
        return
    check_out(data, option="--data")
    if data.suffix != ".csv":
        raise QueryError(f"--data {data} has no known ending. Allowed: .csv.")


def _draw_all(kind: str, asked: Asked, *, fit: Path | None) -> dict[str, Drawn]:
    """Draw one figure, or all that the fit allows, by name."""
    drawn = {}
    if kind not in RECORDED:
        fitted = load_fit(fit)
        left_out = list_hindrances(fitted) if kind == ALL else {}
        for name, reason in left_out.items():
            say(f"{name} is left out: {reason}")
        for name in (name for name in POSTERIOR if name not in left_out and kind in (name, ALL)):
            with working(f"drawing {name}"):
                drawn[name] = draw_posterior(name, fitted, asked)
    own = replace(asked, ci_prob=defaults.CI_PROB) if kind == ALL else asked
    for name in (name for name in RECORDED if kind in (name, ALL)):
        with working(f"drawing {name}"):
            drawn[name] = draw_record(name, own)  # a record has intervals of its own
    return drawn


def _save(drawn: Mapping[str, Drawn], *, kind: str, out: Path, data: Path | None) -> list[str]:
    """Write figures and their numbers; return the paths of the figures."""
    from bayesmeta import plots

    figures, tables = {out: kind}, {} if data is None else {data: kind}
    if kind == ALL:
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
        if kind != ALL:
            say(f"wrote {path}")
    return saved


def _show_numbers(drawn: Mapping[str, Drawn], saved: list[str], *, kind: str, fmt: str) -> None:
    if fmt == "json":
        numbers = {name: json.loads(d.table.to_json(orient="records")) for name, d in drawn.items()}
        show(json.dumps({"paths": saved, "numbers": numbers}, indent=2))
        return
    for name, figure in drawn.items():
        if kind != ALL and (fmt != "table" or len(figure.table) <= _LONGEST_TABLE):
            show_frame(figure.table, fmt=fmt)
        say(f"{name}: {len(figure.table)} rows drawn")
    (show if fmt == "table" else say)("\n".join(saved))
