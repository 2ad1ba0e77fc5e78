"""A question in, a probability with its evidence out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from bayesmeta import defaults
from bayesmeta.effects.contrasts import check_ci_prob, pick_target, summarise
from bayesmeta.effects.estimands import Contrast, build_contrast
from bayesmeta.effects.evidence import Evidence, build_evidence
from bayesmeta.effects.mix_swaps import Asked, Swap
from bayesmeta.effects.monte_carlo import Probability, estimate_probability
from bayesmeta.effects.scores import contrast_draws, target_weights
from bayesmeta.effects.statements import parse_statement
from bayesmeta.errors import QueryError
from bayesmeta.inference.fit import Fit

__all__ = ["Answer", "evidence", "query"]


@dataclass(frozen=True, slots=True, repr=False)
class Answer:
    """The answer to one question; it prints as one paragraph.

    Parameters
    ----------
    contrast
        What was compared with what, or swapped.
    target
        The benchmark or task family, or `overall`.
    probability
        Posterior probability that the effect is positive.
    effect
        Median, standard deviation and interval in percentage points.
    equivalence
        Half-width of the region that counts as no difference, in percentage points.
    prob_equivalent
        Posterior probability that the effect lies inside that region.
    evidence
        What stands behind it.
    """

    contrast: Asked
    target: str
    probability: Probability
    effect: dict[str, float | str]
    equivalence: float
    prob_equivalent: Probability
    evidence: Evidence

    @property
    def statement(self) -> str:
        """The statement whose probability was asked."""
        return self.contrast.label

    def to_dict(self) -> dict[str, Any]:
        """Turn into plain values, as the command line prints them."""
        return {
            "statement": self.statement,
            "target": self.target,
            "probability": self.probability.estimate,
            "mcse": self.probability.mcse,
            "effect": self.effect,
            "equivalence": self.equivalence,
            "prob_equivalent": self.prob_equivalent.estimate,
            "evidence": self.evidence.to_dict(),
        }

    def table(self) -> pd.DataFrame:
        """Turn into a table of one row, without the evidence card."""
        return pd.DataFrame(
            [
                {
                    "statement": self.statement,
                    "target": self.target,
                    "probability": self.probability.estimate,
                    "mcse": self.probability.mcse,
                    **self.effect,
                    "prob_equivalent": self.prob_equivalent.estimate,
                    "verdict": self.evidence.verdict,
                }
            ]
        )

    def __repr__(self) -> str:
        e, card = self.effect, self.evidence
        where = "over all benchmarks" if self.target == "overall" else f"on {self.target}"
        sides = "; ".join(
            f"{name.replace('_', ' ')}: {_count(card.lms[name], 'lm')} of {_count(n, 'family')}"
            for name, n in card.lm_families.items()
        )
        both = card.families_with_both
        varies = f"{_count(both, 'family')} with both" if both else "no family has both"
        if not isinstance(self.contrast, Contrast) or "recorded" in card.lms:
            varies = f"it varies inside {_count(both, 'family')}"
        claim = self.statement + " helps" * isinstance(self.contrast, Swap)
        return (
            f"P({claim}) {where} {self.probability.relation}. Effect {e['estimate']:+.1f} "
            f"percentage points, {100 * float(e['ci_prob']):.0f} % equal-tailed interval "
            f"{e['lower']:+.1f} to {e['upper']:+.1f}; P(within {self.equivalence:g} points) "
            f"{self.prob_equivalent.relation}. Evidence: {card.verdict} ({sides}; {varies}; "
            f"{card.missing_share:.0%} not recorded; most influential family "
            f"{card.most_influential_family}). An association adjusted for the modelled covariates."
        )


def _count(n: int, noun: str) -> str:
    plural = {"lm": "lms", "family": "families"}[noun]
    return f"{n} {noun if n == 1 else plural}"


def query(
    fit: Fit,
    statement: str,
    *,
    benchmark: str | None = None,
    task_family: str | None = None,
    equivalence: float = defaults.EQUIVALENCE,
    ci_prob: float = defaults.CI_PROB,
) -> Answer:
    """Answer how probable a statement about a design decision is.

    Parameters
    ----------
    fit
        The fit that is asked.
    statement
        `DECISION: A > B`, or `PART: +POINTS from PART` for a swap of two parts of the training
        mix, averaged over the lms that record at least that many points of the donor.
    benchmark, task_family
        Where; over all benchmarks if both are left out.
    equivalence
        Half-width of the region that counts as no difference, in percentage points.
    ci_prob
        Probability of the interval.

    Returns
    -------
    Answer
        Probability, effect and evidence.

    Raises
    ------
    QueryError
        If the statement cannot be read or names what the fit does not know.

    Examples
    --------
    >>> import bayesmeta as bm
    >>> answer = bm.query(bm.load_reference_fit(), "position_embedding: rotary > learned")
    >>> answer.evidence.families_with_both
    0
    """
    contrast = parse_statement(fit, statement=statement)
    by, target = pick_target(fit, benchmark=benchmark, task_family=task_family)
    check_ci_prob(ci_prob)
    if not equivalence >= 0 or np.isinf(equivalence):
        raise QueryError(f"equivalence is {equivalence}. Allowed: percentage points from 0 up.")
    values = contrast_draws(fit, contrast=contrast, by=by).sel(target=target).values
    weights = target_weights(fit.design, by=by).sel(target=target).values
    probability = estimate_probability(values > 0)
    return Answer(
        contrast=contrast,
        target=target,
        probability=probability,
        effect=summarise(values, ci_prob=ci_prob),
        equivalence=equivalence,
        prob_equivalent=estimate_probability(np.abs(values) < equivalence),
        evidence=build_evidence(
            fit, contrast=contrast, weights=weights, probability=probability.estimate
        ),
    )


def evidence(fit: Fit, decision: str, level: str | float, *, over: str | float) -> Evidence:
    """Collect what stands behind one contrast, over all benchmarks.

    Parameters
    ----------
    fit
        The fit.
    decision
        Name of the decision.
    level, over
        What is compared with what.

    Returns
    -------
    Evidence
        The card.

    Raises
    ------
    QueryError
        If the fit does not know the decision or a level.

    Examples
    --------
    >>> import bayesmeta as bm
    >>> card = bm.evidence(bm.load_reference_fit(), "attention", "gqa", over="mha")
    >>> card.lm_families["gqa"]
    8
    """
    contrast = build_contrast(fit, decision=decision, level=level, reference=over)
    weights = target_weights(fit.design, by="overall").values[0]
    helps = float((contrast_draws(fit, contrast=contrast) > 0).mean())
    return build_evidence(fit, contrast=contrast, weights=weights, probability=helps)
