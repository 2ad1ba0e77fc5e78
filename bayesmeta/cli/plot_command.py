"""The command that draws."""

import json
import warnings
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypedDict, Unpack

import bayesmeta as bm
from bayesmeta import defaults
from bayesmeta.cli.shared import Shown, check_out, command, load_fit, say, under_way
from bayesmeta.errors import QueryError, listing, shorten, unknown

if TYPE_CHECKING:
    from bayesmeta.plots.figure import Drawn

_STATEMENT = "code_share: 20 > 5"

_ATTENTION = "attention: gqa > mha"

_ENDINGS = (".pdf", ".png")
_TO_STDOUT = Path("-")
"""What `--data` takes for the numbers on standard output."""

_LONG = ("ranks",)
"""Figures of hundreds of thousands of numbers, which are written on demand only."""


class FigureOptions(TypedDict):
    """Options that apply to some figures; None where one is left out."""

    decision: list[str] | None
    by: str | None
    along: str | None
    statement: list[str] | None
    target: str | None
    multiverse: Path | None
    fit: Path | None
    ci_prob: float | None
    data_version: str | None
    data: Path | None


_NOTHING_ASKED: FigureOptions = {
    "decision": None, "by": None, "along": None, "statement": None, "target": None,
    "multiverse": None, "fit": None, "ci_prob": None, "data_version": None, "data": None,
}  # fmt: skip

type Draw = Callable[..., "Drawn"]
"""What draws; told the probability of its intervals, where one was given."""


def _take_one(option: str, given: list[str] | None) -> str | None:
    """Take the decision, or the statement, of a figure that shows one."""
    if given is not None and len(given) > 1:
        raise QueryError(
            f"{option} is given {len(given)} times, and this figure shows one. Allowed more than "
            "once with: forest, atlas, prior-posterior, three-answers."
        )
    return given[0] if given else None


def list_hindrances(fit: "bm.Fit") -> dict[str, str]:
    """Say of every kind of figure that a fit does not allow why that is so."""
    reasons = {
        "ladders": None if _has_ladder(fit) else "no family of this fit's data varies in its share "
        "of code",
        "tradeoff": None if "code" in fit.design.task_families else "no benchmark of this fit has "
        "the task family 'code'; in Python bm.plot.tradeoff(bm.curve(fit).tradeoff(gain=NAME)) "
        "draws what another one gains",
        "three-answers": None if fit.design.contrasts is not None else "no controlled experiment "
        "informed this fit, so that it tells associations alone",
        "study-funnel": None if _has_funnel(fit) else "there are too few comparisons of arms",
        "scaling": None if fit.design.knows_sizes else "this fit's model has no scale",
    }  # fmt: skip
    return {kind: reason for kind, reason in reasons.items() if reason is not None}


def _has_funnel(fit: "bm.Fit") -> bool:
    try:
        statement, _ = _ask_statement(fit, _NOTHING_ASKED, usual=_ATTENTION)
        return len(bm.evidence(fit, statement).comparisons) >= defaults.FUNNEL_LEAST
    except QueryError:
        return False


def _has_ladder(fit: "bm.Fit") -> bool:
    try:
        bm.ladders(fit, _STATEMENT, by="overall")
    except QueryError:
        return False
    return True


def _ask_effects(fit: "bm.Fit", asked: FigureOptions, by: str, kind: str | None = None) -> Any:
    names = [*(asked["decision"] or ()), *(asked["statement"] or ())]
    return bm.effects(fit, names or None, by=asked["by"] or by, kind=kind)


def _ask_curve(fit: "bm.Fit", asked: FigureOptions) -> Any:
    decision = _take_one("--decision", asked["decision"]) or "code_share"
    return bm.curve(fit, decision, by=asked["by"] or "task_family")


def _ask_ladders(fit: "bm.Fit", asked: FigureOptions) -> Any:
    statement = _take_one("--statement", asked["statement"]) or _STATEMENT
    return bm.ladders(fit, statement, by=asked["by"] or "task_family")


def _atlas(fit: "bm.Fit", asked: FigureOptions) -> Draw:
    """Draw an atlas with a column of all benchmarks."""
    found = _ask_effects(fit, asked, "benchmark")
    if found.by == "overall":
        return partial(bm.plot.atlas, found)
    whole = _ask_effects(fit, {**asked, "by": "overall"}, "overall")
    return partial(bm.plot.atlas, found, overall=whole)


def _prior_posterior(fit: "bm.Fit", asked: FigureOptions) -> Draw:
    prior = bm.sample_prior(fit.dataset, fit.spec)
    before, after = (_ask_effects(one, asked, "overall") for one in (prior, fit))
    return partial(bm.plot.prior_posterior, after, prior=before)


def _tradeoff(fit: "bm.Fit", asked: FigureOptions) -> Draw:
    reason = list_hindrances(fit).get("tradeoff")
    if reason is not None:
        raise QueryError(f"plot tradeoff shows what code tasks gain, and {reason}.")
    return partial(bm.plot.tradeoff, _ask_curve(fit, asked))


def _evidence(fit: "bm.Fit", asked: FigureOptions) -> Draw:
    """Draw an evidence card."""
    statement, where = _ask_statement(fit, asked)
    return partial(bm.plot.evidence, fit, statement, **where)


def _studies(fit: "bm.Fit", asked: FigureOptions) -> Draw:
    """Draw a forest of studies."""
    statement, where = _ask_statement(fit, asked, usual=_ATTENTION)
    return partial(bm.plot.studies, bm.evidence(fit, statement, **where))


def _study_funnel(fit: "bm.Fit", asked: FigureOptions) -> Draw:
    """Draw a funnel of comparisons of arms."""
    statement, where = _ask_statement(fit, asked, usual=_ATTENTION)
    return partial(bm.plot.study_funnel, bm.evidence(fit, statement, **where))


def _three_answers(fit: "bm.Fit", asked: FigureOptions) -> Draw:
    """Draw effects, effects in a new setting and associations."""
    effect, new, association = (
        _ask_effects(fit, asked, "overall", kind)
        for kind in ("effect", "new_setting", "association")
    )
    return partial(bm.plot.three_answers, effect, new_setting=new, association=association)


def _ask_statement(
    fit: "bm.Fit", asked: FigureOptions, *, usual: str = _STATEMENT
) -> tuple[str, dict[str, Any]]:
    """Take the statement and where it is asked; the usual one, or the fit's first, if left out."""
    from bayesmeta.estimates.counterfactual import find_target, name_target
    from bayesmeta.estimates.question import default_contrasts, list_decisions

    statement, target = _take_one("--statement", asked["statement"]), asked["target"] or "overall"
    if statement is None:
        known = list_decisions(fit.design)
        first = default_contrasts(fit.design, known[0])[0].label
        statement = usual if usual.partition(":")[0] in known else first
    return statement, name_target(*find_target(fit.design, target))


def _ranks(_: FigureOptions) -> Draw:
    from bayesmeta.validation.records import read_ranks

    ranks, header = read_ranks()
    return partial(bm.plot.ranks, ranks, n_draws=header["n_draws"])


def _specification_curve(asked: FigureOptions) -> Draw:
    """Draw a specification curve; the first one where none is named."""
    found = bm.load_multiverse(asked["multiverse"])
    statement, target = _take_one("--statement", asked["statement"]), asked["target"]
    if statement is None and target is None:
        statement, target = found.asked[0]
    return partial(bm.plot.specification_curve, found, statement=statement, target=target)


def _read_board(asked: FigureOptions) -> Any:
    return bm.load_scoreboard(asked["data_version"] or "corrected")


POSTERIOR: dict[str, Callable[["bm.Fit", FigureOptions], Draw]] = {
    "forest": lambda fit, asked: partial(bm.plot.forest, _ask_effects(fit, asked, "overall")),
    "atlas": _atlas,
    "curve": lambda fit, asked: partial(bm.plot.curve, _ask_curve(fit, asked)),
    "tradeoff": _tradeoff,
    "scaling": lambda fit, asked: partial(bm.plot.scaling, fit, along=asked["along"] or "compute"),
    "evidence": _evidence,
    "studies": _studies,
    "study-funnel": _study_funnel,
    "three-answers": _three_answers,
    "calibration": lambda fit, _: partial(bm.plot.calibration, fit),
    "ppc": lambda fit, _: partial(bm.plot.ppc, fit),
    "prior-posterior": _prior_posterior,
    "ladders": lambda fit, asked: partial(bm.plot.ladders, _ask_ladders(fit, asked)),
}
"""Figures of a fit."""

RECORDED: dict[str, Callable[[FigureOptions], Draw]] = {
    "scoreboard": lambda asked: partial(bm.plot.scoreboard, _read_board(asked)),
    "gains": lambda asked: partial(bm.plot.gains, _read_board(asked)),
    "ranks": _ranks,
    "specification-curve": _specification_curve,
}
"""Figures of records."""

ALL = "all"
KINDS = (*POSTERIOR, *RECORDED, ALL)
APPLIES = {
    "--decision": ("forest", "atlas", "curve", "tradeoff", "prior-posterior", "three-answers"),
    "--by": ("forest", "atlas", "curve", "prior-posterior", "ladders", "three-answers"),
    "--along": ("scaling",),
    "--statement": ("forest", "atlas", "prior-posterior", "evidence", "studies", "study-funnel",
                    "three-answers", "ladders", "specification-curve"),
    "--target": ("evidence", "studies", "study-funnel", "specification-curve"),
    "--multiverse": ("specification-curve", ALL),
    "--fit": (*POSTERIOR, ALL),
    "--ci-prob": (*POSTERIOR, "specification-curve", ALL),
    "--data-version": ("scoreboard", "gains", ALL),
    "--data": (*POSTERIOR, *RECORDED),
}  # fmt: skip
"""Figures that every option applies to."""


@command("plot")
def plot_command(
    fmt: str,
    kind: str,
    *,
    out: Path,
    style: str = "paper",
    theme: str = "light",
    venue: str = "default",
    **asked: Unpack[FigureOptions],
) -> list[Shown]:
    """Draw a figure; print the path written.

    Parameters
    ----------
    kind : KIND
        {forest, atlas, curve, tradeoff, scaling, evidence, studies, study-funnel,
        three-answers, calibration, ppc, prior-posterior, ladders, scoreboard, gains, ranks,
        specification-curve, all}.
    out : FILE
        A .pdf, .png or .svg; for all: a folder.
    style
        {paper, screen}, which is half as large again.
    theme
        {light, dark}.
    venue
        {default, acl, iclr, icml, ieee, jmlr, nature, neurips}: whose columns it fits.
    decision : NAME
        Of this decision alone; may be repeated.
    along
        {compute, n_params, n_tokens}.
    statement : --statement STATEMENT
        Whose effect is drawn, such as 'attention: gqa > mha'; of a specification curve the record's
        first if left out; may be repeated.
    target : NAME
        A benchmark or task family it is asked on.
    multiverse : FILE.csv
        What `bayesmeta multiverse --out` wrote; the shipped record if left out.
    data_version
        Of scoreboard and gains: {corrected, as-published}; the former if left out.
    data : FILE.csv
        Write the numbers drawn there as well; `-`: print them as CSV.
    """
    _check_kind(kind, asked)
    _check_paths(kind, out=out, data=asked["data"])
    with bm.plot.use(style=style, theme=theme, venue=venue):
        drawn = _draw_all(kind, asked)
    saved = _save(drawn, kind=kind, out=out, data=asked["data"])
    return _show(drawn, saved, kind=kind, fmt=fmt, data=asked["data"])


def _check_kind(kind: str, asked: Mapping[str, Any]) -> None:
    """Refuse a figure that is not known, and options that do not apply to it."""
    if kind not in KINDS:
        raise unknown(QueryError, "figure", kind, KINDS)
    for name, value in asked.items():
        option = f"--{name.replace('_', '-')}"
        if value is not None and kind not in APPLIES[option]:
            given = shorten(listing(value) if isinstance(value, list) else value)
            raise QueryError(
                f"{option} {given} does not apply to plot {kind}. Allowed with: "
                f"{listing(APPLIES[option])}. Leave it out."
            )


def _check_paths(kind: str, *, out: Path, data: Path | None) -> None:
    """Refuse files that cannot be written before the work."""
    from bayesmeta.plots.figure import FORMATS

    if kind != ALL:
        check_out(out)
        if out.suffix not in FORMATS:
            raise QueryError(f"--out {out} has no known ending. Allowed: {listing(FORMATS)}.")
    if data is None or data == _TO_STDOUT:
        return
    check_out(data, option="--data")
    if data.suffix != ".csv":
        raise QueryError(
            f"--data {data} has no known ending. Allowed: .csv, or - for standard output."
        )


def _draw_all(kind: str, asked: FigureOptions) -> dict[str, "Drawn"]:
    """Draw one figure, or all that the fit allows, by name."""
    drawn: dict[str, Drawn] = {}
    ci = {} if asked["ci_prob"] is None else {"ci_prob": asked["ci_prob"]}
    if kind not in RECORDED:
        fit = load_fit(asked["fit"])
        left_out = list_hindrances(fit) if kind == ALL else {}
        for name, reason in left_out.items():
            say(f"{name} is left out: {reason}")
        for name in (name for name in POSTERIOR if name not in left_out and kind in (name, ALL)):
            with under_way(f"drawing {name}"):
                drawn[name] = POSTERIOR[name](fit, asked)(**ci)
    for name in (name for name in RECORDED if kind in (name, ALL)):
        with under_way(f"drawing {name}"):  # among all, a record has intervals of its own
            drawn[name] = RECORDED[name](asked)(**(ci if kind != ALL else {}))
    return drawn


def _save(drawn: Mapping[str, "Drawn"], *, kind: str, out: Path, data: Path | None) -> list[str]:
    """Write figures and their numbers; return the paths of the figures."""
    from bayesmeta.whole_files import make_folder, write_text

    figures = {out: kind}
    tables = {} if data is None or data == _TO_STDOUT else {data: kind}
    if kind == ALL:
        make_folder(out, option="--out")
        figures = {out / f"{name}{end}": name for name in drawn for end in _ENDINGS}
        tables = {out / f"{name}.csv": name for name in drawn if name not in _LONG}
    with warnings.catch_warnings(record=True) as caught, under_way("saving"):
        warnings.filterwarnings("always", message="no installed font has")
        saved = [str(bm.plot.save_figure(drawn[name], path)) for path, name in figures.items()]
    for text in dict.fromkeys(str(one.message) for one in caught):
        say(f"warning: {text}")
    for path, name in tables.items():
        write_text(path, text=_as_csv(drawn[name]))
        if kind != ALL:
            say(f"wrote {path}")
    return saved


def _as_csv(drawn: "Drawn") -> str:
    return drawn.table.to_csv(index=False, float_format="%.10g")


def _show(
    drawn: Mapping[str, "Drawn"], saved: list[str], *, kind: str, fmt: str, data: Path | None
) -> list[Shown]:
    """Print the paths of all figures, or the numbers of one; both as JSON."""
    if fmt == "json":
        numbers = {name: json.loads(d.table.to_json(orient="records")) for name, d in drawn.items()}
        return [Shown(None, instead={"json": {"paths": saved, "numbers": numbers}})]
    if data == _TO_STDOUT:
        say("\n".join(saved))
        return [Shown(_as_csv(drawn[kind]).rstrip("\n"))]
    return [Shown("\n".join(saved))]
