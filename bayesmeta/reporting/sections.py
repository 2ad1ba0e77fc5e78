"""A report: a fit in words, tables and figures, as one page without a network and as Markdown."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import BrokenExecutor, Executor
from contextlib import suppress
from functools import partial
from importlib.metadata import version
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
from markupsafe import Markup

from bayesmeta import defaults
from bayesmeta.errors import FitError, QueryError, listing
from bayesmeta.estimates.contrasts import Effects, effects
from bayesmeta.estimates.counterfactual import ASSOCIATION, EFFECT, NEW_SETTING, tells_effects
from bayesmeta.estimates.question import check_fit, find_decision, list_decisions
from bayesmeta.inference.diagnostics import Diagnostics, check, thin_fit
from bayesmeta.inference.fits import EffectSizeFit, Fit
from bayesmeta.reporting.overview import build_overview
from bayesmeta.reporting.page import (
    Cell,
    Details,
    Listing,
    Section,
    Table,
    Text,
    render,
    write_markdown,
)
from bayesmeta.reporting.panel import Finding, Panel, build_panel
from bayesmeta.tables.wording import (
    KIND_HEADINGS,
    KIND_WORDS,
    MARKS,
    MEANINGS,
    count,
    marked,
    percent,
    readable,
    signed,
    with_interval,
)
from bayesmeta.whole_files import make_folder, write_text

_PROB_LIKELY = 0.8
"""A direction that is likely without being sure: a paler cell of the atlas."""

_VERDICTS = tuple(f"{marked(name)}: {meaning}." for name, meaning in MEANINGS.items())


def title_of(fit: Fit) -> str:
    """Name a report."""
    return f"What {len(fit.design.lms)} language models say about design decisions"


def _named(finding: Finding) -> str:
    """Name a contrast, its target, and its effect and association."""
    where = "" if finding.target.by == "overall" else f" on {finding.target.label}"
    said = f"{finding.kind} {with_interval(finding.effect)}"
    if ASSOCIATION in finding.others:
        said += f", association {with_interval(finding.others[ASSOCIATION].effect)}"
    return f"{finding.contrast.label}{where}, {said} points"


def summarise_fit(fit: Fit, diagnostics: Diagnostics | None, panel: Panel | None) -> Section:
    """Say in plain words what was fitted, whether it holds, and what it says best."""
    design, studies = fit.design, fit.design.contrasts
    beside = ""
    if studies is not None:
        n = count(len(studies.studies), "controlled study", "controlled studies")
        beside = f", and {n} that trained LMs alike but for one thing"
    fitted = (
        f"What {len(design.lms)} language models (LMs) of "
        f"{count(len(design.lm_families), 'family', 'families')} say on "
        f"{count(len(design.benchmarks), 'benchmark', 'benchmarks')}{beside}. Differences are in "
        f"points of a score, higher is better. {_verdict_on_checks(diagnostics)}"
    )
    blocks: list[Any] = [Text(fitted)]
    if panel is not None and not fit.is_prior:  # of which there is nothing to claim
        blocks.append(build_overview(fit, panel))
    return Section("summary", "What it says", blocks)


def report_words(fit: Fit) -> Section:
    """Say what the words of a report mean."""
    meant = _THREE if tells_effects(fit) else _ONE
    said = Text(
        "Numbers are differences in expected score, in percentage points and in the good "
        f"direction of each benchmark, all other recorded facts held as they are. {meant} "
        f"Intervals are equal-tailed, {percent(defaults.CI_PROB)}. Verdicts say whether "
        "experiments and LMs, together, are the reason for an answer:"
    )
    return Section("words", "How to read it", [said, Listing(_VERDICTS)])


def report_findings(fit: Fit, panel: Panel, found: Effects | None) -> Section:
    """Say in words what is supported, what is contradicted, and what only looks certain."""
    blocks: list[Any] = [*_conclusions(panel, informed=tells_effects(fit))]
    if found is not None:
        blocks.append(
            Text(
                "If the more probable direction of every effect over all benchmarks were claimed, "
                f"{percent(found.wrong_signs())} of these claims would be expected to be wrong."
            )
        )
    return Section("findings", "All findings by verdict", blocks)


_THREE = (
    "Three things are told apart. An association is what distinguishes LMs that have it; it "
    "predicts scores and claims nothing about changing anything. An effect is what changing the "
    "decision does on average, over settings like those of the data. An effect in a new setting, "
    "such as the next model, adds what differs between settings."
)
_ONE = "All of them are associations adjusted for the modelled covariates."
"""What the numbers of a report are, of a fit that experiments informed and of one without."""


def _verdict_on_checks(diagnostics: Diagnostics | None) -> str:
    if diagnostics is None:
        return "No sampler made the draws, so that there is nothing to check."
    if diagnostics.passed:
        return "The fit passes its checks and may be reported."
    return "THE FIT FAILED ITS CHECKS: do not report it."


_CONCLUSIONS = {
    defaults.SUPPORTED: "Supported by controlled experiments, over all benchmarks: {}.",
    defaults.CONFLICTING: "Experiments and LMs disagree over all benchmarks on: {}.",
    defaults.ASSOCIATION_ONLY: "A direction is clear over all benchmarks, but experiments do not "
    "carry it, so that it may be that of what is confounded with the decision: {}.",
    defaults.PRIOR_DOMINATED: "A direction is clear over all benchmarks, but hardly rests on data: "
    "{}.",
}
"""Sentences of the summary, by verdict; the last two are said of clear directions alone."""

_ONLY_ASSOCIATED = "Clear as associations over all benchmarks, but not as effects: {}."


_UNINFORMED = (
    "No controlled experiment informed this fit: all that it tells are associations. “bayesmeta "
    "evidence” sets experiments beside them."
)


def _conclusions(panel: Panel, *, informed: bool) -> Iterator[Any]:
    """Say what experiments support, what they contradict, and what only looks certain."""
    overall, narrow = panel.on("overall"), panel.on("benchmark")
    for verdict, sentence in _CONCLUSIONS.items():
        said = verdict in (defaults.SUPPORTED, defaults.CONFLICTING)
        held = [f for f in overall if f.card.verdict == verdict and (said or f.is_sure)]
        if held:
            yield Text(sentence.format("; ".join(map(_named, held))))
        elif verdict == defaults.SUPPORTED:
            nothing = "No effect over all benchmarks is supported by controlled experiments."
            yield Text(nothing if informed else _UNINFORMED)
    known = (defaults.SUPPORTED, defaults.CONFLICTING)
    only = [f for f in overall if f.card.verdict not in known and _is_association_alone(f)]
    if only:
        yield Text(_ONLY_ASSOCIATED.format("; ".join(map(_named, only))))
    counts = [f"{sum(f.card.verdict == name for f in narrow)} {name}" for name in defaults.VERDICTS]
    sure = sum(f.is_sure for f in narrow)
    what = "effects" if informed else "associations"
    yield Text(
        f"Of {len(narrow)} {what} on single benchmarks {listing(counts)}; {sure} have a direction "
        f"of at least {percent(defaults.CERTAIN)}."
    )
    supported: dict[str, list[str]] = {}
    for found in narrow:
        if found.card.verdict == defaults.SUPPORTED:
            supported.setdefault(found.contrast.label, []).append(found.target.label)
    if supported:
        yield Listing([f"{label} on {listing(names)}" for label, names in supported.items()])


def _is_association_alone(finding: Finding) -> bool:
    """Whether an association has a clear direction, and the effect beside it has none."""
    other = finding.others.get(ASSOCIATION)
    return other is not None and other.is_sure and not finding.is_sure


def report_checks(diagnostics: Diagnostics | None, *, noun: str = "scores") -> Section:
    """Say whether a fit may be reported, and by which numbers."""
    blocks: list[Any] = [Text(_verdict_on_checks(diagnostics))]
    if diagnostics is not None:
        v = diagnostics.values
        rows = [
            ("R-hat, largest", f"{v['rhat_max']:.3f}", f"at most {defaults.RHAT_MAX}"),
            ("effective draws (bulk), least", f"{v['ess_bulk_min']:.0f}",
             f"at least {defaults.ESS_MIN}"),
            ("effective draws (tail), least", f"{v['ess_tail_min']:.0f}",
             f"at least {defaults.ESS_MIN}"),
            ("divergences", f"{v['divergences']:.0f}", "0"),
            ("BFMI, least", f"{v['bfmi_min']:.2f}", f"at least {defaults.BFMI_MIN}"),
            (f"{noun} with Pareto k above {defaults.PARETO_K_MAX}", f"{v['pareto_k_bad']:.0f}",
             "no limit"),
        ]  # fmt: skip
        blocks.append(Table("Diagnostics of the whole fit", ("check", "found", "allowed"), rows))
        notes = [*diagnostics.failures, *diagnostics.advice]
        blocks += [Listing(notes)] if notes else []
    return Section("checks", "Does it pass its checks?", blocks)


def report_atlas(panel: Panel) -> Section:
    """Lay out every contrast on every target."""
    width = len(panel.targets)
    rows = [
        [readable(part[0].contrast.label.replace(" > ", " against ")), *map(_atlas_cell, part)]
        for part in (panel.findings[k : k + width] for k in range(0, len(panel.findings), width))
    ]
    header = [
        "contrast",
        *(readable(t.label) if t.by == "task_family" else t.label for t in panel.targets),
    ]
    what = panel.findings[0].kind
    explained = (
        f"Each cell has the {what} in points, an arrow for its direction and a mark for its "
        f"verdict ({', '.join(map(marked, defaults.VERDICTS))}). Two arrows: the direction has a "
        f"probability of at least {percent(defaults.CERTAIN)}; one: of at least "
        f"{percent(_PROB_LIKELY)}; a dot: less. Blue is better, orange is worse, paler is less "
        "sure, without colour the direction is not clear. A cell leads to its question."
    )
    caption = (
        f"{KIND_WORDS[what].capitalize()} over all benchmarks, task families and benchmarks, "
        "percentage points"
    )
    blocks = [Text(explained), Table(caption, header, rows, style="atlas")]
    return Section("atlas", "Atlas: every decision on every benchmark", blocks)


def _atlas_cell(finding: Finding) -> Cell:
    p = finding.probability.estimate
    sure = 3 if finding.is_sure else 2 if max(p, 1 - p) >= _PROB_LIKELY else 1
    arrow = "·" if sure == 1 else ("▲" if p > 0.5 else "▼") * (sure - 1)
    verdict = finding.card.verdict
    return Cell(
        f"{signed(float(finding.effect['estimate']))} {arrow} {MARKS[verdict]}",
        style=f"{'up' if p > 0.5 else 'down'}{sure}" if sure > 1 else "",
        note=f"{finding.kind} {with_interval(finding.effect)}, P(helps) {finding.probability}"
        f"{_beside(finding)}, {verdict}",
        link=finding.link,
    )


def _beside(finding: Finding) -> str:
    """Write what stands beside an effect: the effect in a new setting, and the association."""
    return "".join(
        f"; {KIND_HEADINGS[kind]} {with_interval(one.effect)}, P(positive) {one.probability}"
        for kind, one in sorted(finding.others.items(), reverse=True)
    )


def report_experiments(panel: Panel | None, told: Sequence[Any]) -> Iterator[Section]:
    """Put verdicts between the studies that informed a fit, if any, and what they say."""
    if told:
        verdicts = [] if panel is None else [Listing(_list_verdicts(panel))]
        yield Section("experiments", "Controlled experiments", [*told[:2], *verdicts, *told[2:]])


def _list_verdicts(panel: Panel) -> list[str]:
    """List the contrasts over all benchmarks by verdict."""
    by_verdict: dict[str, list[str]] = {name: [] for name in defaults.VERDICTS}
    for found in panel.on("overall"):
        by_verdict[found.card.verdict].append(found.contrast.label)
    return [f"{marked(name)}: {listing(labels) or 'none'}." for name, labels in by_verdict.items()]


def report_cards(panel: Panel) -> Section:
    """List what stands behind every contrast over all benchmarks."""
    cards = [
        Details(
            f"{MARKS[found.card.verdict]} {found.contrast.label}: {found.kind} "
            f"{with_interval(found.effect)}",
            [
                Table(
                    f"Evidence on {found.contrast.label} over all benchmarks",
                    ("what", "found"),
                    list(_card_rows(found)),
                )
            ],
        )
        for found in panel.on("overall")
    ]
    return Section("evidence", "What stands behind each effect", cards)


def _card_rows(found: Finding) -> Iterator[tuple[str, str]]:
    card = found.card
    yield "verdict", marked(card.verdict)
    yield (
        KIND_HEADINGS[found.kind],
        f"{with_interval(found.effect)}, P(positive) {found.probability}",
    )
    for kind, one in sorted(found.others.items(), reverse=True):
        yield KIND_HEADINGS[kind], f"{with_interval(one.effect)}, P(positive) {one.probability}"
    if card.experiments is not None:
        yield "controlled experiments alone", with_interval(card.experiments)
        yield (
            "studies",
            listing(f"{one['study']} {signed(one['estimate'])}" for one in card.studies),
        )
        yield "P(experiments and LMs conflict)", f"{card.prob_conflict:.2f}"
    for name, n in card.lms.items():
        families = count(card.lm_families[name], "family", "families")
        yield readable(name), f"{count(n, 'LM', 'LMs')} of {families}"
    yield "families in which it varies", str(card.families_with_both)
    yield "share of its variance within families", percent(card.within_family_share)
    yield "LMs for which it is missing", percent(card.missing_share)
    others = (f"{readable(name)} {percent(share)}" for name, share in card.confounded_with.items())
    yield "confounded with", ", ".join(others) or "nothing"
    yield "posterior contraction", percent(card.contraction)
    for name, part in (
        ("association within families alone", card.within_families),
        ("association from means of families alone", card.between_families),
    ):
        yield name, "no family varies" if part is None else with_interval(part)
    yield "most influential family", card.most_influential_family
    yield "the association without it", with_interval(card.without_it)


_REPORTED = ("diagnostics", "checked", "priors")
"""Parts of the provenance that stand in a section of their own."""


def report_origin(
    fit: Fit | EffectSizeFit, data: Sequence[tuple[str, str]], *, whole: int
) -> Section:
    """Say where data and draws come from, and what the model is."""
    chains, draws = fit.shape
    rows = [
        *data,
        ("draws in this report", f"{chains * draws} ({chains} chains of {draws})"),
        *_list_values({k: v for k, v in fit.provenance.items() if k not in _REPORTED}),
    ]
    thinned = Text(
        f"The fit has {whole} draws. This report keeps {chains * draws} of them, evenly spaced, so "
        "that its numbers differ from those of the whole fit by Monte Carlo error."
    )
    spec = Table("Options of the model", ("option", "value"), _list_values(fit.spec.to_dict()))
    blocks = [
        *[thinned] * (whole != chains * draws),
        Table("Data, sampler, versions and checksums", ("what", "value"), rows),
        Details("The model", [spec]),
    ]
    return Section("origin", "Data and provenance", blocks)


def _list_values(given: Mapping[str, Any]) -> list[tuple[str, str]]:
    return [(readable(str(key)), _plain(value)) for key, value in given.items()]


def _plain(value: Any) -> str:
    if isinstance(value, Mapping):
        return ", ".join(f"{key} {_plain(inner)}" for key, inner in value.items())
    if isinstance(value, list | tuple):
        return ", ".join(map(_plain, value)) or "none"
    return str(value)


FILES = ("report.html", "report.md")
"""What a report consists of."""


def report(
    fit: Fit | EffectSizeFit,
    out: str | PathLike[str],
    *,
    decisions: str | Sequence[str] | None = None,
    executor: Executor | None = None,
    progress: bool = True,
) -> tuple[Path, ...]:
    """Write what a fit says, as one HTML page and as Markdown.

    The page needs no network and no other file. It opens with the best supported findings in plain
    words beside a small forest, and a panel that looks up the answers of `query`, computed before.
    Effects, what experiments say, an atlas of decisions and benchmarks, curves, the cards of
    evidence, the checks and the origin of the fit follow. A fit of many draws is thinned
    first, for the whole report, which says so. The report of a meta-analysis of effect sizes has
    the studies, heterogeneity, refits without each study, publication bias and priors instead.

    Parameters
    ----------
    fit
        The fit.
    out
        A folder; made if its parent exists. Files of an earlier report are replaced.
    decisions
        Names of the decisions that it is about; if left out, all of them, and size and data. A
        meta-analysis has none.
    executor
        Where figures are drawn while the panel is computed: any `concurrent.futures.Executor` whose
        workers are processes; here, after the panel, if left out.
    progress
        Whether to show a progress bar on standard error.

    Returns
    -------
    tuple of pathlib.Path
        `report.html` and `report.md`.

    Raises
    ------
    QueryError
        If it is no fit, a decision is not known, or the folder cannot be
        made.
    StoreError
        If a file cannot be written.

    Examples
    --------
    >>> import bayesmeta as bm
    >>> folder = getfixture("tmp_path")
    >>> written = bm.report(
    ...     bm.load_reference_fit(), folder, decisions=("block",), progress=False
    ... )
    >>> [path.name for path in written]
    ['report.html', 'report.md']
    """
    if isinstance(fit, EffectSizeFit):
        return _report_studies(fit, out, decisions=decisions)
    check_fit(fit)
    known = list_decisions(fit.design)
    names = [decisions] if isinstance(decisions, str) else decisions
    for name in names or ():
        find_decision(fit.design, name)
    folder = make_folder(Path(out), option="out")
    diagnostics = _diagnose(fit)
    whole = int(np.prod(fit.shape))
    if whole > defaults.REFERENCE_DRAWS:
        fit = thin_fit(fit, diagnostics=diagnostics)
    drawn = _begin(executor, _draw_sections, fit, names)
    panel = build_panel(fit, decisions=names, progress=progress)
    kinds = [effects(fit, names, kind=kind) for kind in _list_kinds(fit)] if known else []
    forest = _begin(executor, _draw_effects, kinds)
    summary, findings, atlas, cards = summarise_fit(fit, diagnostics, panel), [], [], []
    if panel is not None:
        findings = [report_findings(fit, panel, kinds[0] if kinds else None)]
        atlas, cards = [report_atlas(panel)], [report_cards(panel)]
    apart = drawn()
    sections = [
        summary,
        report_words(fit),
        *findings,
        *forest(),
        *report_experiments(panel, apart["experiments"]),
        *atlas,
        *apart["curves"],
        *apart["scoreboard"],
        *cards,
        report_checks(diagnostics),
        report_origin(fit, apart["data"], whole=whole),
    ]
    return _write_files(folder, title_of(fit), sections, panel)


def _begin[**P, R](
    executor: Executor | None, function: Callable[P, R], *args: P.args, **given: P.kwargs
) -> Callable[[], R]:
    """Begin a call in a worker; what is handed back waits for it, or makes it here without one."""
    call = partial(function, *args, **given)
    begun = None
    with suppress(BrokenExecutor):
        begun = executor and executor.submit(call)

    def finish() -> R:
        with suppress(BrokenExecutor):
            if begun is not None:
                return begun.result()
        return call()

    return finish


def _draw_sections(fit: Fit, decisions: Sequence[str] | None) -> dict[str, list[Any]]:
    """Make the sections that need no panel; this alone loads what draws figures."""
    from bayesmeta.reporting.drawn_sections import draw_sections

    return draw_sections(fit, decisions)


def _draw_effects(kinds: Sequence[Effects]) -> list[Section]:
    """Make the section on effects, where there are any."""
    from bayesmeta.reporting.drawn_sections import report_effects

    return [report_effects(kinds)] if kinds else []


def _list_kinds(fit: Fit) -> tuple[str, ...]:
    """List what is told apart, what is claimed first."""
    return (EFFECT, NEW_SETTING, ASSOCIATION) if tells_effects(fit) else (ASSOCIATION,)


def _report_studies(
    fit: EffectSizeFit, out: str | PathLike[str], *, decisions: str | Sequence[str] | None
) -> tuple[Path, ...]:
    """Write the report of a meta-analysis of effect sizes."""
    from bayesmeta.reporting.study_sections import (
        describe_studies,
        list_study_sections,
        title_of_studies,
    )

    if decisions is not None:
        raise QueryError(
            f"decisions is {decisions!r}, and this is a fit of effect sizes, which has none. "
            "Allowed: to leave it out."
        )
    folder = make_folder(Path(out), option="out")
    diagnostics = _diagnose(fit)
    if diagnostics is not None:
        fit = fit.with_diagnostics(diagnostics.to_dict())
    summary, *sections = list_study_sections(fit)
    checks = report_checks(diagnostics, noun="studies")
    origin = report_origin(fit, describe_studies(fit), whole=int(np.prod(fit.shape)))
    return _write_files(
        folder, title_of_studies(fit), [summary, *sections, checks, origin], panel=None
    )


def _write_files(
    folder: Path, title: str, sections: Sequence[Section], panel: Panel | None
) -> tuple[Path, ...]:
    """Write the sections, the summary first, as HTML and as Markdown."""
    texts = (
        _write_page(title, sections[0], sections[1:], panel),
        "\n\n".join([f"# {title}", *map(write_markdown, sections)]) + "\n",
    )
    paths = tuple(folder / name for name in FILES)
    for path, text in zip(paths, texts, strict=True):
        write_text(path, text=text)
    return paths


def _diagnose(fit: Fit | EffectSizeFit) -> Diagnostics | None:
    try:
        return check(fit)
    except FitError:
        return None  # draws that no sampler made


def _write_page(
    title: str, summary: Section, sections: Sequence[Section], panel: Panel | None
) -> str:
    css, js = _read("page.css"), f"{_read('page.js')}\n{_read('panel.js')}"
    digest = hashlib.sha256(f"\n{js}\n".encode()).digest()
    return render(
        "page.html.j2",
        title=title,
        script_hash=f"sha256-{base64.b64encode(digest).decode('ascii')}",
        css=Markup(css),
        js=Markup(js),
        summary=summary,
        content=None if panel is None else panel.content,
        sections=sections,
        version=version("bayesmeta"),
    )


def _read(name: str) -> str:
    return Path(__file__).with_name(name).read_text(encoding="utf-8")
