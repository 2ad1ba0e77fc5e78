"""What the panel of a report answers from: the answers of `query`, computed before and embedded."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence, Set
from dataclasses import dataclass, field, replace
from itertools import combinations
from typing import Any
from urllib.parse import quote, urlencode

import numpy as np
from numpy.typing import NDArray

from bayesmeta import defaults
from bayesmeta.data.decisions import SIZES, UNDISCLOSED, Decision
from bayesmeta.estimates.aliases import DECISION_WORDS, LEVEL_WORDS, TARGET_ALIASES, Words
from bayesmeta.estimates.answer import split_ways
from bayesmeta.estimates.answer_words import describe_side
from bayesmeta.estimates.counterfactual import (
    ASSOCIATION,
    KINDS,
    choose_kind,
    effect_on_benchmarks,
    tells_effects,
    weigh_benchmarks,
)
from bayesmeta.estimates.evidence_card import Evidence, build_cards
from bayesmeta.estimates.phrases import fold
from bayesmeta.estimates.question import (
    BY,
    UNITS,
    Contrast,
    build_contrast,
    default_contrasts,
    find_decision,
    format_level,
    list_decisions,
    list_levels,
)
from bayesmeta.estimates.summary import Probability, estimate_probabilities, summarise_each
from bayesmeta.inference.fits import Fit
from bayesmeta.inference.shipped import load_reference_fit
from bayesmeta.jobs import progress_bar
from bayesmeta.tables.wording import MARKS, MEANINGS

_ANY = 12345.0
"""A number whose place in a description is that of any other."""

MARGINS = (defaults.EQUIVALENCE, 1.0, 2.0)
"""Margins of no difference, in points, that are answered with a Monte Carlo standard error."""

_DOTS = 100
"""Quantiles that stand for a whole posterior: at other margins the page interpolates them."""

_VALUES = 5
_ROUND_SHARES = tuple(np.arange(0.0, 101.0, 10.0).tolist())
_STEPS = range(-12, 13)
"""How many values of a number are stored: those of the default contrast, and round shares or steps
away from the lower one, as far as LMs record them and as far apart as they can be."""


@dataclass(frozen=True, slots=True)
class Target:
    """A benchmark, a task family, or all benchmarks.

    Parameters
    ----------
    by
        `benchmark`, `task_family` or `overall`.
    name
        Its name, as `query` takes it.
    label
        Its name for reading.
    weights
        Weight of every benchmark.
    """

    by: str
    name: str
    label: str
    weights: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Offer:
    """A decision, and the levels or values that may be compared.

    Parameters
    ----------
    name
        Name of the decision, or `n_params`, `n_tokens`.
    kind
        `categorical`, `number` or `share`.
    levels
        Levels, or values in rising order.
    pairs
        Contrasts that tables show: level and reference by their positions.
    """

    name: str
    kind: str
    levels: tuple[str | float, ...]
    pairs: tuple[tuple[int, int], ...]

    def contrast(self, fit: Fit, pair: tuple[int, int]) -> Contrast:
        """Compare two levels by their positions."""
        level, reference = (self.levels[place] for place in pair)
        return build_contrast(fit.design, decision=self.name, level=level, reference=reference)


@dataclass(frozen=True, slots=True)
class Other:
    """An association, or an effect in a new setting, beside an effect.

    Parameters
    ----------
    effect
        Median, standard deviation and interval in percentage points.
    probability, negative
        Probability that it is positive, or negative.
    """

    effect: dict[str, float | str]
    probability: Probability
    negative: Probability

    @property
    def is_sure(self) -> bool:
        """Whether a direction is as probable as one that counts as told."""
        p = self.probability.estimate
        return max(p, 1 - p) >= defaults.CERTAIN


@dataclass(frozen=True, slots=True, eq=False)
class Finding:
    """A contrast on a target.

    Parameters
    ----------
    contrast
        What is compared with what.
    target
        Where.
    values
        Points in every draw, shape (chain, draw).
    effect
        Median, standard deviation and interval in percentage points.
    probability, negative
        Probability that it is positive, or negative.
    card
        What stands behind it.
    kind
        Whether that is an `effect`, or an `association` where the fit tells no effects.
    others
        The association and the effect in a new setting, by kind, where the fit tells effects.
    """

    contrast: Contrast
    target: Target
    values: NDArray[np.float64]
    effect: dict[str, float | str]
    probability: Probability
    negative: Probability
    card: Evidence
    kind: str = ASSOCIATION
    others: Mapping[str, Other] = field(default_factory=dict)

    @property
    def is_sure(self) -> bool:
        """Whether a direction is as probable as one that counts as told."""
        p = self.probability.estimate
        return max(p, 1 - p) >= defaults.CERTAIN

    @property
    def link(self) -> str:
        """The address of the question on a page."""
        asked = self.contrast
        where = f"{self.target.by}:{self.target.name}"
        return link_to(asked.decision, asked.level, asked.reference, where=where)


def link_to(decision: str, level: str | float, over: str | float, *, where: str) -> str:
    """Write the address of a question on a page.

    Examples
    --------
    >>> link_to("attention", "gqa", "mha", where="benchmark:xnli")
    '#decision=attention&level=gqa&over=mha&where=benchmark%3Axnli'
    """
    sides = {"level": format_level(level), "over": format_level(over)}
    return "#" + urlencode({"decision": decision, **sides, "where": where}, quote_via=quote)


@dataclass(frozen=True, slots=True, eq=False)
class Panel:
    """Everything that a page answers questions from.

    Parameters
    ----------
    content
        Plain values: targets, decisions, and for every pair of levels its answers and cards.
    findings
        The contrasts that tables show, on every target, contrast by contrast.
    targets
        All benchmarks, then task families, then benchmarks.
    """

    content: dict[str, Any]
    findings: tuple[Finding, ...]
    targets: tuple[Target, ...]

    def on(self, by: str) -> list[Finding]:
        """List the findings on one kind of target."""
        return [found for found in self.findings if found.target.by == by]

    def lead(self) -> list[Finding]:
        """List what is best supported over all benchmarks first, a contrast of every decision.

        By verdict, then by certainty; size and data, of which nobody doubts that they help, last.
        """
        found: dict[str, Finding] = {}
        for one in sorted(self.on("overall"), key=_standing):
            found.setdefault(one.contrast.decision, one)
        return list(found.values())


def _standing(found: Finding) -> tuple[bool, int, float]:
    """Sort by decisions before sizes, by verdict, by certainty."""
    verdict, claimed = found.card.verdict, found.probability.estimate
    if verdict == defaults.CONFLICTING and ASSOCIATION in found.others:
        claimed = found.others[ASSOCIATION].probability.estimate  # which experiments contradict
    sure = max(claimed, 1 - claimed)
    return found.contrast.decision in SIZES, defaults.VERDICTS.index(verdict), -sure


def list_targets(fit: Fit) -> tuple[Target, ...]:
    """List where an effect may be asked for, all benchmarks first."""
    labels = dict(zip(fit.design.benchmarks, fit.design.benchmark_labels, strict=True))
    found = []
    for by in reversed(BY):
        for name, row in zip(*weigh_benchmarks(fit.design, by=by), strict=True):
            label = {"overall": "all benchmarks", "benchmark": labels.get(name, name)}.get(by, name)
            found.append(Target(by, name, label=str(label), weights=tuple(row.tolist())))
    return tuple(found)


def list_offers(fit: Fit) -> tuple[Offer, ...]:
    """List the decisions of a fit with the levels or values that a panel offers.

    Parameters
    ----------
    fit
        The fit.

    Returns
    -------
    tuple of Offer
        In the order of the decisions; size and data last, where the fit knows them.

    Examples
    --------
    >>> import bayesmeta as bm
    >>> list_offers(bm.load_reference_fit())[7].levels
    (0.0, 8.0, 18.0, 30.0, 50.0)
    """
    found = [_offer_decision(fit, name) for name in list_decisions(fit.design)]
    if fit.design.knows_sizes:
        found += [_offer_size(fit, name) for name in SIZES]
    return tuple(offer for offer in found if len(offer.levels) > 1)


def _offer_decision(fit: Fit, name: str) -> Offer:
    decision = find_decision(fit.design, name)
    shown = [c for c in default_contrasts(fit.design, name) if c.level != UNDISCLOSED]
    levels: list[str | float] = []
    if decision.kind == "categorical":
        known = list_levels(fit.design, decision.name)
        levels += [level for level in known if level != UNDISCLOSED]
    else:
        low, high = float(shown[0].reference), float(shown[0].level)
        recorded = _list_recorded(fit, name)
        steps = [low * decision.step**k if decision.is_log else low + decision.step * k
                 for k in _STEPS]  # fmt: skip
        is_share = decision.kind == "share"
        more = _inside(_ROUND_SHARES if is_share else steps, recorded)
        ends = {low, high, 0.0} if is_share and recorded.min() == 0 else {low, high}
        levels += _grid(ends, more=more, measure=math.log if decision.is_log else float)
    pairs = [(levels.index(c.level), levels.index(c.reference)) for c in shown]
    return Offer(name, decision.kind, levels=tuple(levels), pairs=tuple(pairs))


def _offer_size(fit: Fit, name: str) -> Offer:
    recorded = _list_recorded(fit, name)
    low = float(f"{np.median(recorded):.1g}")
    steps = [low * SIZES[name].step ** k for k in _STEPS]
    levels = _grid({low, 2 * low}, more=_inside(steps, recorded), measure=math.log)
    pair = (levels.index(2 * low), levels.index(low))
    return Offer(name, "number", levels=tuple(levels), pairs=(pair,))


def _list_recorded(fit: Fit, name: str) -> NDArray[np.float64]:
    """List what LMs record of a number."""
    values = fit.design.recorded[name].astype(float)
    return values[~np.isnan(values)]


def _inside(values: Sequence[float], recorded: NDArray[np.float64]) -> list[float]:
    """Keep the values that lie between what eight in ten LMs record."""
    low, high = np.quantile(recorded, [0.1, 0.9])
    return [x for x in values if low <= x <= high]


def _grid(
    ends: Set[float], *, more: Sequence[float], measure: Callable[[float], float]
) -> list[float]:
    """Add the value that is furthest from all others, one by one, while that is far; rising."""
    levels = sorted(ends)
    far = abs(measure(levels[-1]) - measure(levels[-2])) / 2
    while len(levels) < _VALUES:
        gaps = {x: min(abs(measure(x) - measure(y)) for y in levels) for x in more}
        furthest = max(gaps, key=gaps.__getitem__, default=None)
        if furthest is None or gaps[furthest] < far:
            break
        levels.append(furthest)
    return sorted(levels)


def build_panel(
    fit: Fit, *, decisions: Sequence[str] | None = None, progress: bool = False
) -> Panel | None:
    """Compute what a panel answers from.

    Parameters
    ----------
    fit
        The fit.
    decisions
        Names of the decisions that are offered; all if left out.
    progress
        Whether to show a progress bar on standard error.

    Returns
    -------
    Panel or None
        None where the fit has neither decisions nor sizes to ask for.

    Examples
    --------
    >>> import bayesmeta as bm
    >>> panel = build_panel(bm.load_reference_fit(), decisions=("block",))
    >>> panel.findings[0].contrast.label
    'block: parallel > sequential'
    """
    offers = [o for o in list_offers(fit) if decisions is None or o.name in decisions]
    if not offers:
        return None
    targets = list_targets(fit)
    findings, parts = [], []
    with progress_bar("asking", total=len(offers), unit="decisions", shown=progress) as show:
        for k, offer in enumerate(offers):
            part, found = _embed(fit, offer, targets)
            parts.append(part)
            findings += found
            show(k + 1, "")
    content = {
        "draws": int(np.prod(fit.shape)),
        "ci_prob": defaults.CI_PROB,
        "margins": MARGINS,
        "prob_sure": defaults.CERTAIN,
        "verdicts": {name: [MARKS[name], MEANINGS[name]] for name in defaults.VERDICTS},
        "units": UNITS,
        "kind": choose_kind(fit),
        "shipped": fit.provenance.get("created") == load_reference_fit().provenance["created"],
        "families": list(fit.design.lm_families),
        "targets": _describe_targets(targets),
        "decisions": parts,
    }
    panel = Panel(content, findings=tuple(findings), targets=targets)
    content["start"] = panel.lead()[0].contrast.decision
    content["examples"] = _list_examples(parts, targets)
    return panel


def _list_examples(parts: Sequence[Mapping[str, Any]], targets: Sequence[Target]) -> list[str]:
    """Write questions as they may be typed: one of levels, one of numbers, with a place."""
    kinds: dict[bool, str] = {}
    for part in sorted(parts, key=lambda part: part["name"] in SIZES):
        unit, numeric = "%" * (part["kind"] == "share"), part["kind"] != "categorical"
        high, low = (f"{part['levels'][k]}{unit}" for k in part["default"])
        typed = f"{part['title']}: {high} > {low}" if numeric else f"{high} vs {low}"
        kinds.setdefault(numeric, typed)
    first, *more = [kinds[numeric] for numeric in sorted(kinds)]
    return [f"{first} on {targets[-1].label}", *more]


def _describe_targets(targets: tuple[Target, ...]) -> list[dict[str, Any]]:
    """Write targets as plain values; `answer` says whose answers they share."""
    rows = list(dict.fromkeys(target.weights for target in targets))
    names = ("by", "name", "label")
    return [
        {
            **{name: getattr(one, name) for name in names},
            "answer": rows.index(one.weights),
            "words": sorted(
                {fold(w) for w in (one.name, one.label, *TARGET_ALIASES.get(one.name, ()))} - {""}
            ),
        }
        for one in targets
    ]


def _embed(
    fit: Fit, offer: Offer, targets: tuple[Target, ...]
) -> tuple[dict[str, Any], list[Finding]]:
    """Answer every pair of levels of one decision, and list the findings that tables show."""
    pairs, shown = [], {}
    places = {target.weights: k for k, target in enumerate(_list_distinct(targets))}
    for first, second in combinations(range(len(offer.levels)), 2):
        pair = (second, first) if (second, first) in offer.pairs else (first, second)
        found = _find(fit, offer.contrast(fit, pair), _list_distinct(targets))
        answers = _describe_answers(fit, found)
        pairs.append({"pair": pair, **_describe_support(found[0].card), "answers": answers})
        shown[pair] = [replace(found[places[t.weights]], target=t) for t in targets]
    about = offer.contrast(fit, offer.pairs[0]).about
    part = {
        "name": offer.name,
        "title": about.title,
        "log": about.is_log,
        "kind": offer.kind,
        "levels": [format_level(level) for level in offer.levels],
        "default": min(offer.pairs, key=lambda pair: _standing(shown[pair][0])),
        "values": [] if offer.kind == "categorical" else [float(x) for x in offer.levels],
        "words": _list_words(offer, about),
        "pairs": pairs,
    }
    return part, [finding for pair in offer.pairs for finding in shown[pair]]


def _list_words(offer: Offer, about: Decision) -> dict[str, Any]:
    """List what a decision and its levels are called, for questions that are typed."""
    known = DECISION_WORDS.get(offer.name, Words(offer.name))
    levels = [LEVEL_WORDS.get((offer.name, str(x)), Words(str(x))) for x in offer.levels]
    return {
        "decision": sorted(
            {fold(word) for word in (offer.name, about.title, *known.aliases)} - {""}
        ),
        "levels": [
            sorted({fold(word) for word in (str(x), *words.aliases, *words.context)} - {""})
            for x, words in zip(offer.levels, levels, strict=True)
        ]
        if offer.kind == "categorical"
        else [],
        "shown": [describe_side(about, x) for x in offer.levels],
        "template": describe_side(about, _ANY).replace(f"{_ANY:g}", "{}"),
    }


def _list_distinct(targets: tuple[Target, ...]) -> list[Target]:
    """List the first target of every set of weights: others share its answers."""
    distinct: dict[tuple[float, ...], Target] = {}
    for target in targets:
        distinct.setdefault(target.weights, target)
    return list(distinct.values())


def _find(fit: Fit, contrast: Contrast, targets: Sequence[Target]) -> list[Finding]:
    """Answer one contrast on several targets."""
    weights, own = np.array([target.weights for target in targets]), choose_kind(fit)
    values = {
        kind: effect_on_benchmarks(fit, contrast, kind=kind) @ weights.T
        for kind in (KINDS if tells_effects(fit) else (ASSOCIATION,))
    }
    told = {kind: _sum_up(draws) for kind, draws in values.items()}
    helps = np.array([float(other.probability) for other in told[own]])
    cards = build_cards(fit, contrast=contrast, weights=weights, probabilities=helps)
    return [
        Finding(
            contrast,
            target=target,
            values=values[own][..., k],
            effect=told[own][k].effect,
            probability=told[own][k].probability,
            negative=told[own][k].negative,
            card=cards[k],
            kind=own,
            others={kind: found[k] for kind, found in told.items() if kind != own},
        )
        for k, target in enumerate(targets)
    ]


def _sum_up(values: NDArray[np.float64]) -> list[Other]:
    """Summarise differences on every target, (chain, draw, target)."""
    effects = summarise_each(values, ci_prob=defaults.CI_PROB, units=UNITS)
    positive = estimate_probabilities(values > 0)
    if (values == 0).any():
        negative = estimate_probabilities(values < 0)
    else:
        negative = [replace(one, estimate=1 - one.estimate) for one in positive]
    return [Other(*one) for one in zip(effects, positive, negative, strict=True)]


def _describe_support(card: Evidence) -> dict[str, Any]:
    """Write what the cards of one contrast share as plain values."""
    return {
        "lms": list(card.lms.items()),
        "lm_families": list(card.lm_families.items()),
        "varies": card.families_with_both,
        "within_share": card.within_family_share,
        "missing": card.missing_share,
        "confounded": list(card.confounded_with.items()),
    }


def _describe_answers(fit: Fit, found: Sequence[Finding]) -> list[dict[str, Any]]:
    """Write answers as plain values: probabilities with their MCSE, either way round."""
    values = np.stack([one.values for one in found], axis=-1)
    ways = [_describe_ways(values, equivalence=margin) for margin in MARGINS]
    places = (np.arange(_DOTS) + 0.5) / _DOTS
    dots = np.quantile(values, places, axis=(0, 1))
    return [
        {
            **_describe_other(Other(one.effect, one.probability, one.negative)),
            "others": {kind: _describe_other(other) for kind, other in one.others.items()},
            "ways": [three[k] for three in ways],
            "quantiles": [float(f"{x:.4g}") for x in dots[:, k].tolist()],
            **_describe_card(fit, one.card),
        }
        for k, one in enumerate(found)
    ]


def _describe_ways(values: NDArray[np.float64], *, equivalence: float) -> list[list[list[float]]]:
    """Write the three ways of every target as plain values."""
    ways = np.stack(split_ways(values, equivalence=equivalence), axis=-1)
    found = estimate_probabilities(ways.reshape(*values.shape[:2], -1))
    each = [_describe_probability(one) for one in found]
    return [each[k : k + 3] for k in range(0, len(each), 3)]


def _describe_card(fit: Fit, card: Evidence) -> dict[str, Any]:
    """Write what a card says of one target alone."""
    parts = {"within": card.within_families, "between": card.between_families,
             "without": card.without_it}  # fmt: skip
    return {
        "verdict": card.verdict,
        "contraction": card.contraction,
        "effective": card.effective_lms,
        "family": fit.design.lm_families.index(card.most_influential_family),
        **{name: _describe_estimate(part) for name, part in parts.items()},
    }


def _describe_other(found: Other) -> dict[str, Any]:
    return {
        "positive": _describe_probability(found.probability),
        "negative": _describe_probability(found.negative),
        "effect": _describe_estimate(found.effect),
    }


def _describe_probability(found: Probability) -> list[float]:
    return [_round(found.estimate), _round(found.mcse)]


def _describe_estimate(part: Mapping[str, Any] | None) -> list[float] | None:
    names = ("estimate", "lower", "upper")
    return None if part is None else [_round(part[name]) for name in names]


def _round(value: float) -> float:
    return float(f"{value:.9g}")
