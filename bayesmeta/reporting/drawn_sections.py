"""Sections of a report that stand without its panel, most of them with figures."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from bayesmeta import defaults, plots
from bayesmeta.crossvalidation.scoreboard import load_scoreboard
from bayesmeta.data.arm_facts import list_differences
from bayesmeta.data.load import load_dataset
from bayesmeta.errors import EvaluationError, listing
from bayesmeta.estimates.contrasts import Effects
from bayesmeta.estimates.controlled_answers import COMPARISONS, controlled_answers
from bayesmeta.estimates.curves import curve
from bayesmeta.estimates.question import list_decisions
from bayesmeta.inference.fits import Fit
from bayesmeta.inference.shipped import load_reference_fit
from bayesmeta.model.spec import ModelSpec
from bayesmeta.plots.figure import as_svg
from bayesmeta.reporting.page import Cell, Figure, Listing, Section, Table, Text
from bayesmeta.reporting.panel import link_to
from bayesmeta.tables.wording import (
    KIND_HEADINGS,
    KIND_WORDS,
    count,
    marked,
    percent,
    readable,
    with_interval,
    with_mcse,
)

CURVED = "code_share"
"""The decision whose curve is drawn."""


def draw_sections(fit: Fit, decisions: Sequence[str] | None) -> dict[str, list[Any]]:
    """Make sections on `curves` and `scoreboard`, blocks on `experiments`, rows on `data`."""
    return {
        "data": [_describe_data(fit)],
        "experiments": [*_compare_experiments(fit, decisions)],
        "curves": [*report_curves(fit)] if decisions is None or CURVED in decisions else [],
        "scoreboard": [*report_scoreboard(fit)],
    }


def report_effects(kinds: Sequence[Effects]) -> Section:
    """List effects over all benchmarks, in a new setting too, and associations.

    The kind that is drawn stands first.
    """
    tables = [one.table().to_dict(orient="records") for one in kinds]
    rows = [
        (
            Cell(
                f"{readable(str(same[0]['decision']))}: {same[0]['level']} against "
                f"{same[0]['reference']}",
                link=link_to(*contrast, where="overall:overall"),
            ),
            *(cell for row in same for cell in _write_effect(row)),
            Cell(marked(str(same[0]["verdict"]))),
        )
        for same in zip(*tables, strict=True)
        for contrast in [tuple(same[0][name] for name in ("decision", "level", "reference"))]
    ]
    names = [KIND_HEADINGS[one.kind] for one in kinds]
    columns = [f"{name}{end}" for name in names for end in (", points", ": P(positive), MCSE")]
    header = ("contrast", *columns, "verdict")
    what = KIND_WORDS[kinds[0].kind].capitalize()
    caption = (
        f"Every decision over all benchmarks: {listing(names)}. Medians with "
        f"{percent(defaults.CI_PROB)} equal-tailed intervals, in percentage points (pp)."
    )
    words = (
        f"{what} over all benchmarks: medians and equal-tailed intervals; shapes mark the verdicts"
    )
    blocks = _show("forest", plots.forest(kinds[0]), words, Table(caption, header, rows, "numbers"))
    return Section("effects", f"{what} over all benchmarks", blocks)


def _write_effect(row: Mapping[Any, Any]) -> tuple[str, str]:
    """Write an estimate with its interval, and the probability that it is positive."""
    return with_interval(row), with_mcse(row["prob_helps"], row["mcse"])


def _show(name: str, drawn: plots.Drawn, words: str, table: Table) -> list[Any]:
    """Give a figure with its caption, and the table that says the same."""
    return [Figure(name, as_svg(drawn), words), table]


def _compare_experiments(fit: Fit, decisions: Sequence[str] | None) -> Iterator[Any]:
    """List the studies that informed a fit, and set what they found beside what it says."""
    contrasts = fit.design.contrasts
    if contrasts is None:
        return
    yield Text(
        f"{len(contrasts.y)} contrasts between arms of controlled experiments, of "
        f"{count(len(contrasts.studies), 'study', 'studies')}, informed the fit: LMs that were "
        "trained alike but for what differs. Their levels are left out."
    )
    yield _list_studies(fit)
    asked = {one.fact for one in COMPARISONS if decisions is None or one.fact in decisions}
    if not asked:
        return
    found = controlled_answers(fit, decisions=sorted(asked))
    table = found.summary()
    caption = (
        "What controlled experiments found, and what the fit says: the effect in the very "
        "arms, at their size, tokens and mix; effect and association averaged over the LMs; "
        "whether the fit reproduces the controlled estimate with what is special to its "
        f"studies; percentage points, {percent(defaults.CI_PROB)} intervals"
    )
    header = [readable(str(name)) for name in table]
    yield Table(caption, header, table.to_numpy().tolist(), style="numbers")
    yield Listing(str(found).splitlines())


def _list_studies(fit: Fit) -> Table:
    """List the studies whose contrasts informed a fit."""
    experiments, contrasts = fit.dataset.experiments, fit.design.contrasts
    assert experiments is not None
    assert contrasts is not None
    titles = dict(zip(experiments.studies["study"], experiments.studies["title"], strict=True))
    rows = []
    for k, study in enumerate(contrasts.studies):
        arms = experiments.arms[experiments.arms["study"] == study]
        own = contrasts.study_index == k
        n_benchmarks = len(np.unique(contrasts.benchmark_index[own]))
        differ = listing(map(readable, list_differences(arms)))
        numbers = str(len(arms)), str(int(own.sum())), str(n_benchmarks)
        rows.append((study, str(titles.get(study, "-")), *numbers, differ))
    header = ("study", "title", "arms", "contrasts", "benchmarks", "what differs between arms")
    return Table("Studies of controlled experiments", header, rows)


def _describe_data(fit: Fit) -> tuple[str, str]:
    """Say which data a fit is of."""
    design = fit.design
    return "data", (
        f"{Path(fit.dataset.source).name}: {len(design.lms)} LMs, {len(design.benchmarks)} "
        f"benchmarks, {len(design.outcomes.y)} scores"
    )


def report_curves(fit: Fit) -> Iterator[Section]:
    """Curves of the code share, where the fit knows one."""
    if CURVED not in list_decisions(fit.design):
        return
    found = curve(fit, CURVED, by="task_family")
    optimum = found.optimum()
    low, high = defaults.OPTIMUM_BAND
    inside = f"prob_between_{low:g}_{high:g}"
    rows = [
        (
            readable(str(target)),
            f"{row['estimate']:.0f} % ({row['lower']:.0f} to {row['upper']:.0f})",
            with_mcse(row[inside], row["mcse"]),
            f"{row['prob_at_lower_edge']:.2f}, {row['prob_at_upper_edge']:.2f}",
        )
        for target, row in optimum.iterrows()
    ]
    header = ("task family", "best share of code", f"P(best at {low:g} to {high:g} %), MCSE",
              "P(best at either edge)")  # fmt: skip
    table = Table("Where the curve of each task family is highest", header, rows, style="numbers")
    words = (
        "Change in score along the share of code in the training data, by task family; by "
        f"{KIND_WORDS[found.kind]}"
    )
    yield Section("curves", "How much code", _show("curve", plots.curve(found), words, table))


def _is_shipped_data(fit: Fit) -> bool:
    """Whether a fit is of the very data of the shipped one: then they need not be read again."""
    shipped, own = (one.provenance.get("data_checksum") for one in (load_reference_fit(), fit))
    return own is not None and own == shipped


def report_scoreboard(fit: Fit) -> Iterator[Section]:
    """Give the recorded evaluation, where it is of this very model and data."""
    version = fit.dataset.version
    if fit.dataset.source != "bundled" or fit.spec.checksum != ModelSpec().checksum:
        return
    try:
        same = _is_shipped_data(fit) or (
            load_dataset(version=version).checksum == fit.dataset.checksum
        )
        board = load_scoreboard(version)
    except EvaluationError:
        return
    if not same:
        return
    drawn = plots.scoreboard(board)
    rows = [
        (
            str(row["model"]),
            str(row["scheme"]),
            f"{row['mae']:.2f} ({row['lower']:.2f} to {row['upper']:.2f})",
            "-" if np.isnan(row["coverage90"]) else f"{row['coverage90']:.0f} %",
        )
        for row in drawn.table.sort_values(["scheme", "mae"]).to_dict(orient="records")
    ]
    header = ("model", "held out", "mean absolute error, points", "scores in 90 % intervals")
    explained = (
        "The recorded evaluation of this model on these data, against regressions that a "
        "Bayesian model has to beat: errors on scores that were held out at random, and of "
        "whole LM families."
    )
    table = Table("Errors over benchmarks", header, rows, style="numbers")
    words = "Mean absolute error of every model on held-out scores"
    blocks = [Text(explained), *_show("scoreboard", drawn, words, table)]
    yield Section("scoreboard", "How well it predicts", blocks)
