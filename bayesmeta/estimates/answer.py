"""A question in, a probability with its evidence out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from bayesmeta import defaults
from bayesmeta.design.decisions import SIZES
from bayesmeta.errors import QueryError, listing, shorten, unknown
from bayesmeta.estimates.counterfactual import (
    ASSOCIATION,
    NEW_SETTING,
    Sizes,
    check_scale,
    choose_kind,
    effect_on_benchmarks,
    mean_slope,
    select_lms,
    tells_effects,
    weigh_target,
)
from bayesmeta.estimates.evidence_card import Evidence, build_evidence, lies_outside
from bayesmeta.estimates.question import (
    SCALES,
    UNITS,
    Contrast,
    Names,
    Statement,
    parse_statement,
    read_value,
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

if TYPE_CHECKING:
    import pandas as pd

    from bayesmeta.design.facts import Settings
    from bayesmeta.inference.fits import Fit


@dataclass(frozen=True, slots=True, repr=False)
class Answer:
    """The answer to one question; it prints as one paragraph.

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
    n_lms
        Number of LMs that the effect is averaged over.
    among
        Names of the LMs or families that were asked about; empty for all.
    at
        Size and tokens that the LMs are given, if they were asked about.
    outside
        Which of these lie outside what LMs record.
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
    n_lms: int
    among: tuple[str, ...] = ()
    at: Sizes = ()
    outside: tuple[str, ...] = ()
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
            "target": self.target,
            **own,
            **({"effect": self.effect} if self.association is None else three),
            **({"at": dict(self.at), "outside": list(self.outside)} if self.at else {}),
            "equivalence": self.equivalence,
            "prob_equivalent": self.prob_equivalent.estimate,
            "three_way": {
                name: {"probability": found.estimate, "mcse": found.mcse}
                for name, found in self.three_way.items()
            },
            "practically": self.practically,
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
                  "sources")  # fmt: skip
        for key in nested:
            row.pop(key, None)
        first = {name: row.pop(name) for name in ("statement", "target", "probability", "mcse")}
        return pd.DataFrame([{**first, **self.effect, **row}])

    @property
    def support(self) -> str:
        """LMs and families behind it, in words."""
        card = self.evidence
        sides = "; ".join(
            f"{name.replace('_', ' ')}: {_count(card.lms[name], 'LM')} of {_count(n, 'family')}"
            for name, n in card.lm_families.items()
        )
        both = card.families_with_both
        varies = f"{_count(both, 'family')} with both" if both else "no family with both"
        if not isinstance(self.contrast, Contrast) or "recorded" in card.lms:
            varies = f"it varies within {_count(both, 'family')}"
        return f"{sides}; {varies}; {100 * card.missing_share:.0f} % missing"

    def __repr__(self) -> str:
        e, card = self.effect, self.evidence
        where = "over all benchmarks" if self.target == "overall" else f"on {self.target}"
        where += "".join(
            f", {name} = {value:g}" + " (outside what LMs record)" * (name in self.outside)
            for name, value in self.at
        )
        claim = self.statement + " helps" * (not isinstance(self.contrast, Contrast))
        within, units = card.within_families, e["units"]
        short = "points" if e["units"] == UNITS else "latent units"
        size, digits = "", 1 if units == UNITS else 2
        lms = f", averaged over {', '.join(self.among)} ({_count(self.n_lms, 'LM')}),"
        if self.prob_more is not None:
            size = (
                f" P(more than {self.more_than:g} {short}) {self.prob_more.relation}, and "
                f"{self.prior_more:.2f} before the data."
            )
        told = " of the association" * (self.association is not None)
        confounded = ", ".join(
            f"{name} {100 * share:.0f} %" for name, share in card.confounded_with.items()
        )
        return (
            f"P({claim}) {where}{lms * bool(self.among)} {self.probability.relation}.{size} Effect "
            f"{e['estimate']:+.{digits}f} {units}, {100 * float(e['ci_prob']):g} % equal-tailed "
            f"interval {e['lower']:+.{digits}f} to {e['upper']:+.{digits}f}; P(within "
            f"{self.equivalence:.3g} {short}) {self.prob_equivalent.relation}.{self._told(digits)} "
            f"Evidence{told}: {card.verdict} ({self.support}"
            + "; outside what LMs record"
            * card.extrapolates
            + f"). By a linear approximation: {_say(card.all_families, digits)} from all families, "
            f"{_say(card.without_it, digits)} without {card.most_influential_family}"
            + (f", {_say(within, digits)} within families" if within else "")
            + ". "
            + (f"Confounded with {confounded}. " if confounded else "")
            + ("" if told else "An association adjusted for the modelled covariates.")
        ).rstrip()

    def _told(self, digits: int) -> str:
        """Say the effect in a new setting and the association, where the fit tells them apart."""
        if self.association is None or self.new_setting is None:
            return ""
        n = self.probability.n_draws
        parts = [
            f"{name} {_say(part, digits)}, P(positive) "
            + Probability(part["probability"], mcse=part["mcse"], n_draws=n).relation
            for name, part in (
                ("In a new setting", self.new_setting),
                ("Association", self.association),
            )
        ]
        return f" {parts[0]}. {parts[1]}."


def _say(part: Mapping[str, Any], digits: int) -> str:
    estimate, lower, upper = (f"{part[k]:+.{digits}f}" for k in ("estimate", "lower", "upper"))
    return f"{estimate} ({lower} to {upper})"


def _count(n: int, noun: str) -> str:
    plural = {"LM": "LMs", "family": "families"}[noun]
    return f"{n} {noun if n == 1 else plural}"


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
        that record at least that many points of the donor.
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
    contrast = parse_statement(fit.design, statement)
    target, weights = weigh_target(fit.design, benchmark=benchmark, task_family=task_family)
    check_scale(scale)
    rows, among = select_lms(fit.design, lms=lms, lm_family=lm_family)
    sizes = _read_sizes(fit, at)

    def ask(kind: str) -> NDArray[np.float64]:
        found = effect_on_benchmarks(fit, contrast, rows=rows, scale=scale, kind=kind, at=sizes)
        return found @ weights

    values, units = ask(choose_kind(fit)), SCALES[scale]
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
    return Answer(
        contrast=contrast,
        target=target,
        probability=probability,
        effect=summarise(values, ci_prob=ci_prob, units=units),
        equivalence=equivalence,
        three_way=three_ways(values, equivalence=equivalence),
        evidence=card,
        n_lms=int((rows & contrast.applies(fit.design)).sum()),
        among=among,
        at=sizes,
        outside=tuple(n for n, x in sizes if lies_outside(fit.design, name=n, value=x)),
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


def _read_sizes(fit: Fit, at: Settings | None) -> Sizes:
    """Read the size and tokens that LMs are given, once."""
    if at is None:
        return ()
    for name in at:
        if name not in SIZES:
            raise unknown(QueryError, "at", name, SIZES)
    return tuple((name, float(read_value(fit.design, name, value))) for name, value in at.items())


def three_ways(values: NDArray[np.float64], *, equivalence: float) -> dict[str, Probability]:
    """Say how probable an effect is to lie above, inside and below a region of no difference."""
    return {
        "helps": estimate_probability(values >= equivalence),
        "equivalent": estimate_probability(np.abs(values) < equivalence),
        "hurts": estimate_probability(values <= -equivalence),
    }


def _check_size(name: str, value: float, *, low: float) -> None:
    """Refuse a size of an effect that is none."""
    is_number = isinstance(value, int | float | np.number) and not isinstance(value, bool)
    if not is_number or not low <= value < np.inf or value == -np.inf:
        start = "a number from 0 up" if low == 0 else "a number"
        raise QueryError(
            f"{name} is {shorten(value)}. Allowed: {start}, in percentage points (latent units on "
            "the latent scale), such as 0.5."
        )
