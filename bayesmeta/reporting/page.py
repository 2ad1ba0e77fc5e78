"""A fit as one page that answers questions without a network, and as Markdown."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Sequence
from importlib.metadata import version
from os import PathLike
from pathlib import Path

import numpy as np
from markupsafe import Markup

from bayesmeta import defaults
from bayesmeta.errors import FitError, QueryError
from bayesmeta.estimates.contrasts import effects
from bayesmeta.estimates.question import check_fit, find_decision, list_decisions
from bayesmeta.inference.diagnostics import Diagnostics, check, thin_fit
from bayesmeta.inference.fits import Fit
from bayesmeta.jobs import write_text
from bayesmeta.reporting.pages import Section, render, write_markdown
from bayesmeta.reporting.panel import Panel, build_panel
from bayesmeta.reporting.sections import (
    CURVED,
    report_atlas,
    report_cards,
    report_checks,
    report_curves,
    report_effects,
    report_origin,
    report_scoreboard,
    summarise_fit,
    title_of,
)

__all__ = ["FILES", "report"]

FILES = ("report.html", "report.md")
"""What a report consists of."""


def report(
    fit: Fit,
    out: str | PathLike[str],
    *,
    decisions: str | Sequence[str] | None = None,
    progress: bool = True,
) -> tuple[Path, ...]:
    """Write what a fit says, as one HTML page and as Markdown.

    The page needs no network and no other file. It holds a summary in words, the checks, effects,
    an atlas of decisions and benchmarks, curves, the cards of evidence, the origin of the fit, and
    a panel that looks up the answers of `query`, computed before. A fit of many draws is thinned
    first, for the whole report, which says so.

    Parameters
    ----------
    fit
        The fit.
    out
        A folder; made if its parent exists. Files of an earlier report are replaced.
    decisions
        Names of the decisions that it is about; if left out, all of them, and size and data.
    progress
        Whether to show a progress bar on standard error.

    Returns
    -------
    tuple of pathlib.Path
        `report.html` and `report.md`.

    Raises
    ------
    QueryError
        If it is no fit of lms and their scores, a decision is not known, or the folder cannot be
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
    check_fit(fit)
    known = list_decisions(fit.design)
    names = [decisions] if isinstance(decisions, str) else decisions
    for name in names or ():
        find_decision(fit.design, name)
    folder = _make_folder(out)
    diagnostics = _diagnose(fit)
    whole = int(np.prod(fit.shape))
    if whole > defaults.REFERENCE_DRAWS:
        fit = thin_fit(fit, diagnostics=diagnostics)
    panel = build_panel(fit, decisions=names, progress=progress)
    found = effects(fit, names) if known else None
    sections = [
        report_checks(diagnostics),
        *report_effects(found),
        *report_atlas(panel),
        *(report_curves(fit) if names is None or CURVED in names else ()),
        *report_scoreboard(fit),
        *report_cards(panel),
        report_origin(fit, whole=whole),
    ]
    summary = summarise_fit(fit, diagnostics, panel, found)
    texts = (
        _write_page(fit, summary, sections, panel),
        "\n\n".join([f"# {title_of(fit)}", *map(write_markdown, [summary, *sections])]) + "\n",
    )
    paths = tuple(folder / name for name in FILES)
    for path, text in zip(paths, texts, strict=True):
        write_text(path, text=text)
    return paths


def _make_folder(out: str | PathLike[str]) -> Path:
    folder = Path(out)
    try:
        folder.mkdir(exist_ok=True)
    except OSError as error:
        raise QueryError(
            f"out {folder} cannot be made: {error.strerror}. Allowed: a folder inside one that "
            "exists. Name another."
        ) from error
    return folder


def _diagnose(fit: Fit) -> Diagnostics | None:
    try:
        return check(fit)
    except FitError:
        return None  # draws that no sampler made


def _write_page(fit: Fit, summary: Section, sections: list[Section], panel: Panel | None) -> str:
    css, js = (_read(name) for name in ("page.css", "panel.js"))
    digest = hashlib.sha256(f"\n{js}\n".encode()).digest()
    return render(
        "page.html.j2",
        title=title_of(fit),
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
