"""The first screen of a report: a few findings in plain words, beside a small forest."""

from __future__ import annotations

from collections.abc import Sequence

from bayesmeta import defaults
from bayesmeta.data.decisions import SIZES
from bayesmeta.estimates.answer import Answer, query
from bayesmeta.estimates.answer_words import (
    describe_sides,
    word_chance,
    write_chance,
    write_interval,
)
from bayesmeta.estimates.counterfactual import ASSOCIATION
from bayesmeta.inference.fits import Fit
from bayesmeta.reporting.page import Card, Overview, Row
from bayesmeta.reporting.panel import Finding, Panel
from bayesmeta.tables.wording import MARKS, MEANINGS, percent

_MOST_CARDS, _MOST_ROWS = 4, 10
_WIDTH, _EDGE = 200.0, 6.0
"""Length of a line of the forest, and what is left free at either end."""


def build_overview(fit: Fit, panel: Panel) -> Overview:
    """Put the best supported findings into words, and draw as many intervals as a screen holds.

    Parameters
    ----------
    fit
        The fit.
    panel
        Its findings.

    Returns
    -------
    Overview
        Size and data are left out unless there is nothing else.

    Examples
    --------
    >>> import bayesmeta as bm
    >>> from bayesmeta.reporting.panel import build_panel
    >>> fit = bm.load_reference_fit()
    >>> build_overview(fit, build_panel(fit, decisions=("block",))).cards[0].title
    'A parallel block against a sequential block'
    """
    lead = panel.lead()
    lead = [one for one in lead if one.contrast.decision not in SIZES] or lead
    kind = lead[0].kind
    shown = lead[:_MOST_ROWS]
    reach = [float(one.effect[end]) for one in shown for end in ("lower", "upper")]
    low, high = min(0.0, *reach), max(0.0, *reach)

    def place(value: float) -> float:
        part = (value - low) / (high - low) if high > low else 0.5
        return round(_EDGE + part * (_WIDTH - 2 * _EDGE), 1)

    rows = [
        Row(
            _name(one),
            text=write_interval(one.effect, 1),
            middle=place(float(one.effect["estimate"])),
            ends=(place(float(one.effect["lower"])), place(float(one.effect["upper"]))),
            link=one.link,
        )
        for one in shown
    ]
    caption = (
        f"{kind.capitalize()}s in points, over all benchmarks: median and "
        f"{percent(defaults.CI_PROB)} interval; the line is no difference."
    )
    chosen = _choose(lead)
    verdicts = [one.card.verdict for one in chosen]
    cards = [
        _write_card(one, query(fit, one.contrast.label), explained=verdicts.index(name) < k)
        for k, (one, name) in enumerate(zip(chosen, verdicts, strict=True))
    ]
    return Overview(cards, rows, zero=place(0.0), caption=caption)


def _choose(lead: Sequence[Finding]) -> list[Finding]:
    """Take the first few, and the clearest association that is no clear effect."""
    chosen, rest = list(lead[: _MOST_CARDS - 1]), list(lead[_MOST_CARDS - 1 :])
    apart = sorted(filter(_is_apart, rest), key=_doubt)
    return chosen + (apart or rest)[:1]


def _doubt(one: Finding) -> float:
    """Probability that an association has the other direction."""
    p = one.others[ASSOCIATION].probability.estimate
    return min(p, 1 - p)


def _is_apart(one: Finding) -> bool:
    """Whether an association has a clear direction, and the effect has none."""
    other = one.others.get(ASSOCIATION)
    return other is not None and other.is_sure and not one.is_sure


def _name(one: Finding) -> str:
    high, low = describe_sides(one.contrast)
    return f"{high[0].upper()}{high[1:]} against {low}"


def _write_card(one: Finding, answer: Answer, *, explained: bool) -> Card:
    """Put a finding into words, with the meaning of its verdict unless that was explained."""
    up = answer.probability.estimate >= 0.5
    verb = ("higher" if up else "lower") if answer.association is None else (
        "helps" if up else "hurts"
    )  # fmt: skip
    of = f"chance that it {verb}" if answer.association else f"chance that these score {verb}"
    sentence = answer.sentence
    if _is_apart(one) and one.card.verdict != defaults.CONFLICTING:
        sentence += f" {answer.as_association.sentence}"
    return Card(
        title=_name(one),
        chance=write_chance(answer.chance),
        of=f"{of} ({word_chance(answer.chance)}).",
        sentence=sentence,
        mark=MARKS[answer.verdict],
        verdict=answer.verdict,
        meaning="" if explained else f"{answer.verdict}: {MEANINGS[answer.verdict]}.",
        link=one.link,
    )
