"""A question in, a probability with its evidence out."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from bayesmeta import defaults
from bayesmeta.errors import QueryError, listing, shorten
from bayesmeta.estimates.answer_words import (
    LABEL_WIDTH,
    SIZE_UNITS,
    columns_of,
    describe_sides,
    name_decision,
    say_sizes,
    sign,
    word_chance,
    write_chance,
    write_interval,
    write_line,
    write_question,
)
from bayesmeta.estimates.counterfactual import (
    ASSOCIATION,
    EFFECT,
    NEW_SETTING,
    check_scale,
    choose_kind,
    effect_on_benchmarks,
    mean_slope,
    select_lms,
    split_place,
    tells_effects,
    weigh_target,
)
from bayesmeta.estimates.evidence_card import Evidence, build_evidence, list_outside
from bayesmeta.estimates.question import (
    SCALES,
    UNITS,
    UNITS_APART,
    Contrast,
    Names,
    Sizes,
    Statement,
    list_apart,
    parse_statement,
    read_sizes,
    refuse_prior,
)
from bayesmeta.estimates.summary import (
    Probability,
    check_ci_prob,
    estimate_probability,
    prob_above_zero,
    summarise,
    summarise_effect,
)
from bayesmeta.tables.notebook import NotebookView, fold, show_code, show_pairs, show_text
from bayesmeta.tables.wording import count

if TYPE_CHECKING:
    import pandas as pd

    from bayesmeta.design.facts import Design, Settings
    from bayesmeta.inference.fits import Fit


@dataclass(frozen=True, slots=True, repr=False)
class Answer(NotebookView):
    """The answer to one question; it prints as a sentence and a few lines.

    Parameters
    ----------
    contrast
        What was compared.
    target
        The benchmark or task family, or `overall`.
    probability
        Posterior probability that the effect is positive.
    effect
        Median, standard deviation and interval in percentage points.
    equivalence
        Half-width of the region that counts as no difference, in the units of the effect.
    three_way
        Posterior probabilities that the effect lies above that region (`helps`), inside it
        (`equivalent`) and below it (`hurts`).
    evidence
        What stands behind it, over all LMs.
    where
        The target in words, such as `over all 13 benchmarks`.
    n_lms
        Number of LMs that the effect is averaged over.
    among
        Names of the LMs or families that were asked about; empty for all.
    at
        Size and tokens that the LMs are given, if they were asked about.
    outside
        Which of these lie outside what LMs record; all where no LM or arm stands near.
    estimated
        Of how many of the LMs a size is blank and estimated, by its name; empty for none.
    association, new_setting
        What distinguishes LMs that have it, and what changing it does in a setting that is not in
        the data: median, interval, probability that it is positive. None where the fit tells
        associations alone; `effect` is then one.
    more_than
        A size that was asked about, in the units of the effect.
    prob_more
        Posterior probability that the effect is larger than that.
    prior_more
        The same before the data, for small effects: the prior of the latent effect, its scales as
        learned, times the points that a small latent effect is worth.
    """

    contrast: Statement
    target: str
    probability: Probability
    effect: dict[str, float | str]
    equivalence: float
    three_way: dict[str, Probability]
    evidence: Evidence
    where: str
    n_lms: int
    among: tuple[str, ...] = ()
    at: Sizes = ()
    outside: tuple[str, ...] = ()
    estimated: Mapping[str, int] = field(default_factory=dict)
    association: dict[str, Any] | None = None
    new_setting: dict[str, Any] | None = None
    more_than: float | None = None
    prob_more: Probability | None = None
    prior_more: float | None = None

    @property
    def prob_equivalent(self) -> Probability:
        """Posterior probability of no practical difference."""
        return self.three_way["equivalent"]

    @property
    def practically(self) -> str:
        """Whether the effect helps, makes no difference or hurts; `undecided` where none is sure.

        One of the three has to be as probable as a direction that counts as told.
        """
        name, found = max(self.three_way.items(), key=lambda item: item[1].estimate)
        return name if found.estimate >= defaults.CERTAIN else "undecided"

    @property
    def verdict(self) -> str:
        """What all sources together say, one of `defaults.VERDICTS`."""
        return self.evidence.verdict

    @property
    def statement(self) -> str:
        """The statement whose probability was asked."""
        return self.contrast.label

    @property
    def kind(self) -> str:
        """Whether `effect` is one, or an `association`, where the fit tells no effects."""
        return ASSOCIATION if self.association is None else EFFECT

    @property
    def as_association(self) -> Answer:
        """The same with the association in the place of the effect, where the fit tells both."""
        if self.association is None:
            return self
        effect = {name: self.association[name] for name in self.effect}
        p, mcse = self.association["probability"], self.association["mcse"]
        probability = Probability(p, mcse=mcse, n_draws=self.probability.n_draws)
        return replace(
            self, probability=probability, effect=effect, association=None, new_setting=None
        )

    def to_dict(self) -> dict[str, Any]:
        """Turn into plain values, as the command line prints them."""
        own = {"probability": self.probability.estimate, "mcse": self.probability.mcse}
        three = {
            "association": self.association,
            "effect": {**own, **self.effect},
            "new_setting": self.new_setting,
        }
        return {
            "statement": self.statement,
            "read_as": self.read_as,
            "target": self.target,
            "kind": self.kind,
            "where": self.where,
            **own,
            **({"effect": self.effect} if self.association is None else three),
            **({"at": dict(self.at), "outside": list(self.outside)} if self.at else {}),
            **({"estimated": dict(self.estimated)} if self.estimated else {}),
            "equivalence": self.equivalence,
            "prob_equivalent": self.prob_equivalent.estimate,
            "three_way": {
                name: {"probability": found.estimate, "mcse": found.mcse}
                for name, found in self.three_way.items()
            },
            "practically": self.practically,
            "sentence": self.sentence,
            **self._asked_size(),
            "n_lms": self.n_lms,
            "among": list(self.among),
            "sources": self._sources(),
            "prob_conflict": self.evidence.prob_conflict,
            "verdict": self.verdict,
            "evidence": self.evidence.to_dict(),
        }

    def _sources(self) -> dict[str, dict[str, float]]:
        """Say what every source says by itself, by the names that JSON has for them."""
        card = self.evidence
        named = {
            "experiments": card.experiments,
            "siblings": card.within_families,
            "families": card.between_families,
            "all": card.all_families,
        }
        n = {"experiments": {"studies": len(card.studies)}}
        n |= {"siblings": {"families": card.families_with_both}}
        return {
            name: {
                **{key: part[key] for key in ("estimate", "lower", "upper")},
                "prob_positive": part["prob_helps"],
                **n.get(name, {}),
            }
            for name, part in named.items()
            if part is not None
        }

    def _asked_size(self) -> dict[str, float]:
        if self.more_than is None or self.prob_more is None or self.prior_more is None:
            return {}
        return {
            "more_than": self.more_than,
            "prob_more": self.prob_more.estimate,
            "prob_more_mcse": self.prob_more.mcse,
            "prior_more": self.prior_more,
        }

    def table(self) -> pd.DataFrame:
        """Turn into a table of one row, without the evidence card."""
        import pandas as pd

        row = self.to_dict() | {"among": listing(self.among), "verdict": self.verdict}
        nested = ("three_way", "evidence", "effect", "association", "new_setting", "at", "outside",
                  "estimated", "sources", "read_as", "where", "sentence")  # fmt: skip
        for key in nested:
            row.pop(key, None)
        first = {name: row.pop(name) for name in ("statement", "target", "probability", "mcse")}
        at = columns_of(self.at, self.outside)
        return pd.DataFrame([{**first, **self.effect, **row, **at}])

    @property
    def support(self) -> str:
        """LMs and families behind it, in words."""
        card = self.evidence
        sides = "; ".join(
            f"{name.replace('_', ' ')}: {count(card.lms[name], 'LM', 'LMs')} of "
            f"{count(n, 'family', 'families')}"
            for name, n in card.lm_families.items()
        )
        both = card.families_with_both
        varies = f"{count(both, 'family', 'families')} with both" if both else "no family with both"
        if not isinstance(self.contrast, Contrast) or "recorded" in card.lms:
            varies = f"it varies within {count(both, 'family', 'families')}"
        return f"{sides}; {varies}; {100 * card.missing_share:.0f} % missing"

    @property
    def read_as(self) -> str:
        """What was understood, with units, as it might be typed."""
        return write_question(self.contrast)

    @property
    def chance(self) -> float:
        """Probability of the likelier direction."""
        return max(self.probability.estimate, 1 - self.probability.estimate)

    @property
    def sentence(self) -> str:
        """The answer in a plain sentence, never stronger than the verdict.

        Where the interval of the effect holds zero and leaves out what experiments found, a second
        one warns of reading it as no effect.
        """
        high, low = describe_sides(self.contrast)
        against = f" compared with {low}" * bool(low)
        up, told = self.probability.estimate > 0.5, self.chance >= defaults.CERTAIN
        size = f"{sign(self.effect['estimate'], self._digits)} {self._units} {self.where}"
        size += f" ({100 * float(self.effect['ci_prob']):g} % interval {self._interval})"
        if self.verdict == defaults.PRIOR_DOMINATED:
            said = f"the data hardly speak to {high}{against}: do not read {size} as evidence"
        elif self.verdict == defaults.CONFLICTING:
            said = (
                f"experiments and LMs disagree on {high}{against}: {self._sides()}together {size}"
            )
        elif self.association is None:
            lms, others = (
                f"LMs with {high}",
                f"LMs with {low}" if low else "the same LMs without it",
            )
            said = f"{lms} and {others} show no clear difference: {size}"
            if told:
                word = "higher" if up else "lower"
                said = f"{lms} score {word} than {others}: {size}, an association"
        elif not told:
            said = f"{high} makes no clear difference{against}: {size}"
        elif self.verdict == defaults.SUPPORTED:
            said = f"{high} {'helps' if up else 'hurts'}{against}: {size}"
        else:
            may = "may help" if up else "may hurt"
            said = f"{high} {may}{against}, but experiments do not settle it: {size}"
        return f"{said[0].upper()}{said[1:]}.{self._warn_of_equivalence()}"

    def _warn_of_equivalence(self) -> str:
        """Warn where an effect that may be zero leaves out what experiments found."""
        card = self.evidence
        found = find_left_out(
            self.effect, experiments=card.experiments, verdict=card.verdict, least=self.equivalence
        )
        if found is None or self.association is None:
            return ""
        return (
            f" The interval leaves out what experiments found ({sign(found, self._digits)}): do "
            "not read it as no effect."
        )

    def _sides(self) -> str:
        """Say what experiments and LMs that disagree say."""
        lms, found = self.association or self.evidence.all_families, self.evidence.experiments
        if found is None or self.effect["units"] not in (UNITS, UNITS_APART):
            return ""
        by_experiments, by_lms = (sign(one["estimate"], self._digits) for one in (found, lms))
        return f"{by_experiments} by experiments, {by_lms} by LMs, "

    @property
    def _digits(self) -> int:
        return 1 if self.effect["units"] in (UNITS, UNITS_APART) else 2

    @property
    def _units(self) -> str:
        units = str(self.effect["units"])
        return {UNITS: "points", UNITS_APART: units}.get(units, "latent units")

    @property
    def _interval(self) -> str:
        lower, upper = (sign(self.effect[key], self._digits) for key in ("lower", "upper"))
        return f"{lower} to {upper}"

    def __repr__(self) -> str:
        return "\n".join(
            [
                textwrap.fill(self.sentence, defaults.LINE_WIDTH, break_on_hyphens=False),
                *self._lines(),
            ]
        )

    def _show_parts(self) -> Iterator[str]:
        yield show_text(self.sentence, strong=True)
        yield show_pairs({label: listing(parts) for label, parts in self._rows()})
        yield fold("Details", show_code([self.details]))

    def _lines(self) -> Iterator[str]:
        """Write what stands behind the sentence, at most eight aligned lines."""
        yield from (write_line(label, parts) for label, parts in self._rows())

    def _rows(self) -> Iterator[tuple[str, list[str]]]:
        """Label what stands behind the sentence, the most important part first."""
        yield ("read as", [self.read_as])
        yield ("asked of", list(self._asked_of()))
        name = "association" if self.association is None else "effect"
        yield (name, [self._say_part(self.effect, self.probability.estimate)])
        if self.new_setting is not None:
            told = self._say_part(self.new_setting, self.new_setting["probability"])
            yield ("new setting", [told])
        yield (f"beyond {self.equivalence:.3g}", list(self._say_sizes()))
        if self.association is not None:
            told = self._say_part(self.association, self.association["probability"], "higher")
            yield ("association", [told])
        yield ("evidence", list(self._say_sources()))
        if self.association is None:
            yield ("families", list(self._say_parts()))
        yield ("confounded", list(self._say_confounded()))

    def _asked_of(self) -> Iterator[str]:
        """Say of which LMs, of what size, and where."""
        among = f" of {listing(self.among)}" if self.among else ""
        lms = f"{count(self.n_lms, 'LM', 'LMs')}{among}"
        if self.at:
            yield f"{lms} at {say_sizes(self.at, self.outside)}"
        else:
            yield f"{lms} of their own size and tokens"
            for name, n in self.estimated.items():
                yield f"{SIZE_UNITS[name]} of {n} estimated"
        yield self.where

    @property
    def _verbs(self) -> tuple[str, str]:
        """What a positive and a negative difference are called: an association does nothing."""
        return ("higher", "lower") if self.association is None else ("helps", "hurts")

    def _say_part(self, part: Mapping[str, Any], probability: float, verb: str = "") -> str:
        """Write an effect with the probability that it is positive, and the word for it."""
        told = f"{verb or self._verbs[0]}: {write_chance(probability)} ({word_chance(probability)})"
        return f"{write_interval(part, self._digits)}, {told}"

    def _say_sizes(self) -> Iterator[str]:
        """Say how probable effects of a size that matters are, and how sure these numbers are."""
        words = self._verbs[0], "same", self._verbs[1]
        chances = (write_chance(found.estimate) for found in self.three_way.values())
        yield ", ".join(map(" ".join, zip(words, chances, strict=True)))
        if self.prob_more is not None and self.prior_more is not None:
            more, before = (write_chance(float(p)) for p in (self.prob_more, self.prior_more))
            yield f"more than {self.more_than:g}: {more} (prior {before})"
        errors = [self.probability.mcse, *(found.mcse for found in self.three_way.values())]
        yield f"MCSE {100 * max(errors):.1f}"

    def _say_sources(self) -> Iterator[str]:
        """Say the verdict, and what every source says by itself."""
        card, digits = self.evidence, self._digits
        said = {defaults.SUPPORTED: "supported by experiments"}.get(card.verdict, card.verdict)
        if card.experiments is not None:
            n = f"{len(card.studies)} {'study' if len(card.studies) == 1 else 'studies'}"
            yield f"{said}: {n} {sign(card.experiments['estimate'], digits)}"
        else:
            yield f"{said}: no experiment on it"
        yield from self._say_counts() if self.association is None else self._say_parts()

    def _say_counts(self) -> Iterator[str]:
        """Say how many LMs stand on either side, or record a number, and how many families vary."""
        counts, both = self.evidence.lms, self.evidence.families_with_both
        if "recorded" in counts:
            yield f"{count(counts['recorded'], 'LM', 'LMs')} record it"
        elif "averaged_over" in counts:
            yield f"{count(counts['averaged_over'], 'LM', 'LMs')} can"
        else:
            high, low = counts.values()
            yield f"{high} against {count(low, 'LM', 'LMs')}"
            yield f"{count(both, 'family', 'families')} with both"
            return
        yield f"varies in {count(both, 'family', 'families')}"

    def _say_parts(self) -> Iterator[str]:
        """Say what LMs say without the family that moves them most, and within families."""
        card, digits = self.evidence, self._digits
        parts = {f"without {card.most_influential_family}": card.without_it,
                 "within": card.within_families}  # fmt: skip
        for name, part in parts.items():
            if part is not None and self.association is None:
                yield f"{name} {write_interval(part, digits)}"
            elif part is not None:
                yield f"{name} {sign(part['estimate'], digits)}"

    def _say_confounded(self) -> Iterator[str]:
        found = self.evidence.confounded_with
        for k, (name, share) in enumerate(found.items()):
            yield "with " * (k == 0) + f"{name_decision(name)} {100 * share:.0f} %"
        if not found:
            yield "with no other decision"

    @property
    def details(self) -> str:
        """What else stands behind the answer: exact probabilities, counts, parts of the LMs."""
        card, digits = self.evidence, self._digits
        n = self.probability.n_draws
        rows = {
            "probability": f"P({self.statement}) {self.probability.relation}, before the data "
            f"{card.prior_probability:g}; P(within {self.equivalence:.3g}) "
            f"{self.prob_equivalent.relation}",
            "interval": f"equal-tailed, {100 * float(self.effect['ci_prob']):g} % of the posterior",
        }
        parts = {"new setting": self.new_setting, "association": self.association}
        for name, part in parts.items():
            if part is not None:
                found = Probability(part["probability"], mcse=part["mcse"], n_draws=n)
                rows[name] = f"{write_interval(part, digits)}, P(positive) {found.relation}"
        rows |= {
            "LMs": self.support + "; outside what LMs record" * card.extrapolates,
            "as many as": f"{card.effective_lms:.0f} LMs that all pulled alike on the estimate",
            "by parts": "by a linear approximation "
            + ", ".join(
                f"{write_interval(part, digits)} {name}"
                for name, part in {
                    "from all families": card.all_families,
                    f"without {card.most_influential_family}": card.without_it,
                    "within families": card.within_families,
                    "between families": card.between_families,
                }.items()
                if part is not None
            ),
            "learned": f"the data removed {100 * card.contraction:.0f} % of the prior variance "
            f"(prior SD {card.prior_sd:.{digits + 1}f})",
            **self._detail_studies(),
            "means": "an association adjusted for the modelled covariates"
            if self.association is None
            else "effect: what changing it does on average; new setting: in one that is not in the "
            "data; association: what distinguishes LMs that have it",
        }
        return "\n".join(
            textwrap.fill(
                f"{name:{LABEL_WIDTH}}{text}", defaults.LINE_WIDTH, initial_indent="  ",
                subsequent_indent=" " * (2 + LABEL_WIDTH), break_on_hyphens=False,
            )
            for name, text in rows.items()
        )  # fmt: skip

    def _detail_studies(self) -> dict[str, str]:
        """Name the studies, and say how probably they conflict with LMs."""
        card = self.evidence
        if card.experiments is None:
            return {}
        listed = (
            f"{one['study']} {one['estimate']:+.1f} ({one['control']})" for one in card.studies
        )
        together = write_interval(card.experiments, self._digits)
        return {
            "studies": f"{listing(listed)}; together {together}, "
            f"heterogeneity {card.experiments['tau']:.1f}",
            "conflict": f"probability {card.prob_conflict:.2f} that experiments and LMs differ",
        }


def find_left_out(
    effect: Mapping[str, Any],
    *,
    experiments: Mapping[str, float] | None,
    verdict: str,
    least: float,
) -> float | None:
    """Find what experiments found, where the interval of an effect holds zero and leaves it out.

    Parameters
    ----------
    effect
        With `lower`, `upper` and `units`; only points can be compared with experiments.
    experiments
        Their mean, with `estimate` in percentage points; None without any.
    verdict
        What all sources say; of prior-dominated statements no interval says anything.
    least
        Estimates below it count as no difference.

    Returns
    -------
    float or None
        The estimate by experiments.

    Examples
    --------
    >>> effect = {"lower": -0.7, "upper": 0.4, "units": "percentage points"}
    >>> told = {"verdict": "conflicting", "least": 0.5}
    >>> find_left_out(effect, experiments={"estimate": -1.8}, **told)
    -1.8
    >>> find_left_out(effect, experiments={"estimate": 0.3}, **told)
    """
    weighed = verdict in (defaults.CONFLICTING, defaults.ASSOCIATION_ONLY)
    if experiments is None or not weighed or effect["units"] not in (UNITS, UNITS_APART):
        return None
    found, lower, upper = experiments["estimate"], float(effect["lower"]), float(effect["upper"])
    left_out = lower <= 0 <= upper and not lower <= found <= upper and abs(found) >= least
    return found if left_out else None


def _name_place(design: Design, target: str) -> str:
    """Say where an effect is asked for."""
    if target == "overall":
        some = 0 < len(design.apart) < len(design.benchmarks)
        but = f" but {listing(design.apart)}" if some else ""
        return f"over all {len(design.benchmarks)} benchmarks{but}"
    if target in design.benchmarks:
        return f"on {design.benchmark_labels[design.benchmarks.index(target)]}"
    n = int((np.array(design.task_families)[design.task_family_index] == target).sum())
    return f"on {target.replace('_', ' ')} ({n} benchmark{'s' * (n != 1)})"


def query(
    fit: Fit,
    statement: str,
    *,
    benchmark: str | None = None,
    task_family: str | None = None,
    lms: Names = None,
    lm_family: Names = None,
    scale: str = "score",
    equivalence: float | None = None,
    more_than: float | None = None,
    at: Settings | None = None,
    ci_prob: float = defaults.CI_PROB,
) -> Answer:
    """Answer how probable a statement about a design decision is.

    Parameters
    ----------
    fit
        The fit that is asked.
    statement
        `DECISION: A > B`, also of two values of `n_params` or `n_tokens`; or
        `swap PART -> PART by POINTS` for a substitution in the training mix, averaged over the LMs
        that record at least that many points of the donor. As people write it, such as `GQA vs
        MHA on HumanEval`, `code 20% vs 5%` or `tokens: 2T > 1T`; `read_as` says how it was read.
    benchmark, task_family
        Where; over all benchmarks if both are left out.
    lms, lm_family
        Names of the LMs, or of the families, that the effect is averaged over; all if left out. One
        name makes it a reference LM. The evidence is that of the effect over all LMs.
    scale
        `score`: percentage points; `latent`: logits, where effects add up.
    equivalence
        Half-width of the region that counts as no difference, in the units of the effect; if left
        out, half a point, or what half a point is worth on the latent scale.
    more_than
        A size, in the units of the effect, whose probability to be exceeded is wanted as well.
    at
        Size and tokens that all LMs are given first, such as `{"n_params": 7e9}`; left out, they
        have their own.
    ci_prob
        Probability of the interval.

    Returns
    -------
    Answer
        Probability, effect and evidence; of a fit that experiments informed, also the association
        and the effect in a new setting.

    Raises
    ------
    QueryError
        If the statement cannot be read or names what the fit does not know, or a size or
        probability is none.

    Examples
    --------
    >>> import bayesmeta as bm
    >>> answer = bm.query(bm.load_reference_fit(), "position_embedding: rotary > learned")
    >>> answer.evidence.families_with_both
    0
    """
    check_ci_prob(ci_prob)
    refuse_prior(fit)
    if equivalence is not None:
        _check_size("equivalence", equivalence, low=0.0)
    if more_than is not None:
        _check_size("more_than", more_than, low=-np.inf)
    statement, benchmark, task_family = split_place(
        fit.design, statement, benchmark=benchmark, task_family=task_family
    )
    contrast = parse_statement(fit.design, statement)
    target, weights = weigh_target(fit.design, benchmark=benchmark, task_family=task_family)
    check_scale(scale)
    rows, among = select_lms(fit.design, lms=lms, lm_family=lm_family)
    sizes = read_sizes(fit.design, at, compared=[contrast.decision])

    def ask(kind: str) -> NDArray[np.float64]:
        found = effect_on_benchmarks(fit, contrast, rows=rows, scale=scale, kind=kind, at=sizes)
        return found @ weights

    values, units = ask(choose_kind(fit)), SCALES[scale]
    if units == UNITS and target in list_apart(fit.design):
        units = UNITS_APART
    if equivalence is None:
        slope = mean_slope(fit, weights=weights) if scale == "latent" else 1.0
        equivalence = defaults.EQUIVALENCE / slope
    others = {}
    if tells_effects(fit):
        for kind in (ASSOCIATION, NEW_SETTING):
            others[kind] = _summarise_kind(ask(kind), ci_prob=ci_prob, units=units)
    probability = estimate_probability(values > 0)
    card = build_evidence(
        fit, contrast=contrast, weights=weights, probability=probability.estimate, scale=scale
    )
    averaged = rows & contrast.applies(fit.design)
    return Answer(
        contrast=contrast,
        target=target,
        probability=probability,
        effect=summarise(values, ci_prob=ci_prob, units=units),
        equivalence=equivalence,
        three_way=three_ways(values, equivalence=equivalence),
        evidence=card,
        where=_name_place(fit.design, target),
        n_lms=int(averaged.sum()),
        among=among,
        at=sizes,
        outside=list_outside(fit, sizes) if sizes else (),
        estimated={} if sizes else fit.design.count_blank_sizes(averaged),
        **others,
        more_than=more_than,
        prob_more=None if more_than is None else estimate_probability(values > more_than),
        prior_more=None if more_than is None else prob_above_zero(-more_than, card.prior_sd),
    )


def _summarise_kind(
    values: NDArray[np.float64], *, ci_prob: float, units: str
) -> dict[str, float | str]:
    """Summarise draws of an association or an effect, with the probability that it is positive."""
    found = summarise_effect(values, ci_prob=ci_prob, units=units)
    return {"probability": found.pop("prob_helps"), **found}


def three_ways(values: NDArray[np.float64], *, equivalence: float) -> dict[str, Probability]:
    """Say how probable an effect is to lie above, inside and below a region of no difference."""
    ways = map(estimate_probability, split_ways(values, equivalence=equivalence))
    return dict(zip(("helps", "equivalent", "hurts"), ways, strict=True))


def split_ways(
    values: NDArray[np.float64], *, equivalence: float
) -> tuple[NDArray[np.bool_], NDArray[np.bool_], NDArray[np.bool_]]:
    """Say which draws lie above, inside and below it, each of the shape of the draws."""
    return values >= equivalence, np.abs(values) < equivalence, values <= -equivalence


def _check_size(name: str, value: float, *, low: float) -> None:
    """Refuse a size of an effect that is none."""
    is_number = isinstance(value, int | float | np.number) and not isinstance(value, bool)
    if not is_number or not low <= value < np.inf or value == -np.inf:
        start = "a number from 0 up" if low == 0 else "a number"
        raise QueryError(
            f"{name} is {shorten(value)}. Allowed: {start}, in percentage points (latent units on "
            "the latent scale), such as 0.5."
        )
