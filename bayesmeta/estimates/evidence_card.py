"""What stands behind a statement: LMs and families, experiments, prior, influence; the verdict."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from bayesmeta import defaults
from bayesmeta.data.decisions import UNDISCLOSED, Decision
from bayesmeta.design.arm_scores import CONTROLS, ArmScores
from bayesmeta.errors import listing
from bayesmeta.estimates.arm_comparisons import Runs, compare_runs, estimate_studies
from bayesmeta.estimates.counterfactual import how_far, mean_slope, tells_effects
from bayesmeta.estimates.linearised import (
    latent_draws,
    linearise,
    mean_change,
    slopes_of_sizes,
    to_free,
)
from bayesmeta.estimates.question import (
    ROUNDING,
    Sizes,
    Statement,
    Substitution,
    format_level,
    list_decisions,
    recorded_part,
)
from bayesmeta.estimates.summary import Pooled, normal_interval, pool_studies, prob_above_zero
from bayesmeta.model.predictor import Array
from bayesmeta.tables.notebook import (
    NotebookView,
    fold,
    show_pairs,
    show_table,
    show_text,
    show_title,
)
from bayesmeta.tables.wording import MEANINGS, count, percent, readable

if TYPE_CHECKING:
    from bayesmeta.design.facts import Design
    from bayesmeta.estimates.linearised import Estimate
    from bayesmeta.inference.fits import Fit


PRIOR_PROBABILITY = 0.5
"""Every effect has a prior that is symmetric about zero, so that no direction is favoured."""

_BUNDLES = 3
_BINS = 4
"""How many decisions are named, and into how many groups of like size numbers are cut."""


@dataclass(frozen=True, slots=True)
class Judgement:
    """What all sources together say of a contrast.

    Parameters
    ----------
    verdict
        One of `defaults.VERDICTS`, see `judge`.
    contraction
        Share of the prior variance of the latent association that the LMs removed.
    studies
        What each study with experiments on it says, see `estimate_studies`.
    pooled
        Their mean; None without studies.
    prob_conflict
        Probability that experiments and LMs differ in the direction in which they do; None without
        studies.
    """

    verdict: str
    contraction: float
    studies: tuple[Mapping[str, Any], ...] = ()
    pooled: Pooled | None = None
    prob_conflict: float | None = None


@dataclass(frozen=True, slots=True, repr=False)
class Evidence(NotebookView):
    """What stands behind a statement.

    Parameters
    ----------
    lms, lm_families
        Numbers of LMs, and of families with at least one, at each level. Of a numeric decision:
        how many record it. Of a substitution: over how many it is averaged, how many record less of
        the donor than moves, and for how many it is missing, among all LMs of the data.
    effective_lms
        Number of LMs that would say as much if all pulled alike on the estimate (Kish 1965).
    families_with_both
        Families in which the decision varies; a numeric one by at least half a reported step, and
        of a substitution both parts.
    within_family_share
        Share of the decision's variance that is within families; the rest is confounded with all
        else that distinguishes families.
    missing_share
        Share of the LMs whose value is missing.
    confounded_with
        The decisions that it is confounded with most, and the share of its variance that each
        predicts on its own.
    prior_probability
        Probability of the statement before the data.
    prior_sd
        Standard deviation of the effect before the data, its scales as learned.
    contraction
        Share of the prior variance of the effect that the data removed.
    all_families
        The effect by the linearised model given all data, to compare the next ones with:
        `estimate`, `lower`, `upper` in the units of the effect and `prob_helps`. It is that of a
        small change at the average LM, times its size, and differs from the effect asked for where
        scores bend.
    within_families, between_families
        The effect estimated from differences within families alone, and from the means of the
        families alone, each under the same prior, which draws both towards zero. None where no
        family varies in the decision.
    most_influential_family
        The family without which the estimate would move furthest.
    influence
        That move, in posterior standard deviations of the effect.
    without_it
        The effect without that family, as `within_families`.
    extrapolates
        Whether a value lies outside what the LMs record.
    verdict
        `supported`, `conflicting`, `association only` or `prior-dominated`, see `judge`.
    studies
        Controlled experiments on it, one entry per study: `study`, `estimate` and `se` in
        percentage points, `weight` in percent of their mean, `n` comparisons, `control` (the
        weakest of its arms).
    experiments
        Their random-effects mean, in percentage points: `estimate`, `lower`, `upper`, `prob_helps`,
        `sd`, `tau` (heterogeneity), and `sd_another`, `lower_another`, `upper_another` of another
        study. None without studies.
    prob_conflict
        Probability that the effect by experiments lies on the side of that by LMs of their size on
        which it is estimated; None without studies.

    Notes
    -----
    What parts of the LMs say is an association, computed by `linearise` and not by refits.
    """

    lms: Mapping[str, int]
    lm_families: Mapping[str, int]
    effective_lms: float
    families_with_both: int
    within_family_share: float
    missing_share: float
    confounded_with: Mapping[str, float]
    prior_probability: float
    prior_sd: float
    contraction: float
    all_families: Mapping[str, float]
    within_families: Mapping[str, float] | None
    between_families: Mapping[str, float] | None
    most_influential_family: str
    influence: float
    without_it: Mapping[str, float]
    extrapolates: bool
    verdict: str
    studies: tuple[Mapping[str, Any], ...] = ()
    experiments: Mapping[str, float] | None = None
    prob_conflict: float | None = None

    def to_dict(self) -> dict[str, Any]:
        """Turn into plain values; `bundled_with` is the old name of `confounded_with`."""
        studies = [dict(one) for one in self.studies]
        return {**asdict(self), "studies": studies, "bundled_with": dict(self.confounded_with)}

    @property
    def parts(self) -> dict[str, Mapping[str, float]]:
        """What LMs and experiments say by themselves, by where it comes from."""
        found = {
            "all families": self.all_families,
            f"without {self.most_influential_family}": self.without_it,
            "within families": self.within_families,
            "between families": self.between_families,
            "experiments": self.experiments,
        }
        return {name: part for name, part in found.items() if part is not None}

    def _show_parts(self) -> Iterator[str]:
        import pandas as pd

        from bayesmeta.tables.headed_columns import Column, head

        yield show_title("Evidence", self.verdict)
        meaning = MEANINGS[self.verdict]
        yield show_text(f"{meaning[0].upper()}{meaning[1:]}.")
        keys = ("estimate", "lower", "upper", "prob_helps")
        rows = [{"source": name, **{k: part[k] for k in keys}} for name, part in self.parts.items()]
        yield show_table(pd.DataFrame(rows))
        yield show_pairs(self._say_support())
        if self.studies:
            columns = {"se": Column("SE", digits=2), "weight": Column(digits=0, unit="%")}
            yield fold("Studies", show_table(head(pd.DataFrame(list(self.studies)), columns)))

    def _say_support(self) -> dict[str, str]:
        """Say in words how many stand behind it, and what else could."""
        sides = (
            f"{name.replace('_', ' ')}: {count(self.lms[name], 'LM', 'LMs')} of "
            f"{count(n, 'family', 'families')}"
            for name, n in self.lm_families.items()
        )
        confounded = (
            f"{readable(name)} {percent(share)}" for name, share in self.confounded_with.items()
        )
        return {
            "LMs": "; ".join(sides),
            "families with both": str(self.families_with_both),
            "missing": percent(self.missing_share),
            "confounded with": listing(confounded),
            "learned": f"{percent(self.contraction)} of the prior variance",
            "conflict": "" if self.prob_conflict is None else f"{self.prob_conflict:.2f}",
        }

    def __repr__(self) -> str:
        lms, studies = self._say_support()["LMs"], count(len(self.studies), "study", "studies")
        return f"Evidence({self.verdict}; {lms}; {studies})"

    @property
    def bundled_with(self) -> Mapping[str, float]:
        """The old name of `confounded_with`."""
        message = "bundled_with is called confounded_with now; the old name will go."
        warnings.warn(message, FutureWarning, stacklevel=2)
        return self.confounded_with


@lru_cache(maxsize=4)
def support_of(design: Design, statement: Statement) -> Mapping[str, Any]:
    """Count the LMs and families that inform a statement.

    Parameters
    ----------
    design
        What LMs record.
    statement
        What is compared.

    Returns
    -------
    dict
        `lms`, `lm_families`, `families_with_both`, `within_family_share` and `missing_share` of
        `Evidence`.
    """
    if isinstance(statement, Substitution):
        return _support_of_substitution(design, statement)
    decision, scored = statement.about, _scored(design)
    values, family = design.recorded[decision.name][scored], design.lm_family_index[scored]
    x = _value_of(design, statement)[scored]
    kept = ~np.isnan(x)
    if decision.kind == "categorical":
        pair, missing = (statement.level, statement.reference), values == UNDISCLOSED
        sides = {format_level(side): values == side for side in pair}
    else:
        missing = ~kept
        sides = {"recorded": kept, "undisclosed": missing}
    return {
        **_count_sides(sides, family),
        "families_with_both": len(_vary(x[kept], family[kept], decision)),
        "within_family_share": _within_share(x[kept], family[kept]),
        "missing_share": float(missing.mean()),
    }


def _scored(design: Design) -> NDArray[np.int64]:
    """Rows of the LMs with at least one score."""
    return np.unique(design.outcomes.lm_index)


def _support_of_substitution(design: Design, statement: Substitution) -> dict[str, Any]:
    """Count the LMs that it is averaged over, and the families in which both parts vary."""
    family = design.lm_family_index
    receiver, donor = (recorded_part(design, name) for name in statement.parts)
    gives, undisclosed = statement.applies(design), np.isnan(donor)
    sides = {
        "averaged_over": gives,
        "too_little": ~gives & ~undisclosed,
        "undisclosed": undisclosed,
    }
    kept = ~np.isnan(receiver) & ~undisclosed
    ranges = [_ranges(part[kept], family[kept]) for part in (receiver, donor)]
    varies = _choices(100 * np.minimum(*ranges), statement.about) >= 1 - ROUNDING
    return {
        **_count_sides(sides, family),
        "families_with_both": int(varies.sum()),
        "within_family_share": _within_share((receiver - donor)[kept], family[kept]),
        "missing_share": float(1 - kept.mean()),
    }


def vary_inside(design: Design, decision: str) -> list[str]:
    """List the families whose scored LMs differ in a number by half a reported step or more."""
    scored = _scored(design)
    values, family = design.recorded[decision][scored], design.lm_family_index[scored]
    kept = ~np.isnan(values)
    varying = _vary(values[kept], family[kept], design.known_facts[decision])
    return [design.lm_families[k] for k in varying]


def _vary(x: Array, family: NDArray[np.int64], decision: Decision) -> NDArray[Any]:
    """List the families, by number, in which a value differs by at least one choice."""
    return np.unique(family)[_ranges(_choices(x, decision), family) >= 1]


def _ranges(x: Array, family: NDArray[np.int64]) -> Array:
    """Range of a value in every family that occurs, in the order of their numbers."""
    return np.array([np.ptp(x[family == k]) for k in np.unique(family)])


def _count_sides(
    sides: Mapping[str, NDArray[np.bool_]], family: NDArray[np.int64]
) -> dict[str, Any]:
    return {
        "lms": {name: int(mask.sum()) for name, mask in sides.items()},
        "lm_families": {name: len(np.unique(family[mask])) for name, mask in sides.items()},
    }


def _within_share(x: Array, family: NDArray[np.int64]) -> float:
    """Share of the variance of a value that is within families."""
    total = float(((x - x.mean()) ** 2).sum()) if len(x) else 0.0
    return _squares_within(x, family) / total if total > 0 else 0.0


def _squares_within(x: Array, group: NDArray[np.int64]) -> float:
    """Sum the squares of a value about the means of its groups."""
    means = np.bincount(group, weights=x) / np.maximum(np.bincount(group), 1)
    return float(((x - means[group]) ** 2).sum())


def _choices(x: Array, decision: Decision) -> Array:
    """Measure a decision in units of the least difference that counts as a different choice.

    Two levels differ; two values do if they are half a reported step apart, so that a family
    does not vary in a share that was written down as 80.83 once and 80.86 once.
    """
    if decision.kind == "categorical":
        return x
    if decision.is_log:
        return np.log2(x) / (np.log2(decision.step) / 2)
    return x / (decision.step / 2)


def is_extrapolation(design: Design, statement: Statement) -> bool:
    """Say whether a numeric contrast leaves the range that the LMs record.

    A substitution does where a single family, or none, records as much of the growing part as the
    median LM has after it.
    """
    if isinstance(statement, Substitution):
        known = recorded_part(design, statement.decision)
        start = known[statement.applies(design) & ~np.isnan(known)]
        end = np.median(start) + statement.points / 100 if len(start) else np.inf
        families = design.lm_family_index[known >= end]
        return len(np.unique(families)) < defaults.FAMILIES_LEAST
    pair = statement.level, statement.reference
    return any(lies_outside(design, name=statement.decision, value=value) for value in pair)


def lies_outside(design: Design, *, name: str, value: str | float) -> bool:
    """Say whether a number lies outside what the LMs of the data record."""
    if design.known_facts[name].kind == "categorical":
        return False
    known = design.recorded[name][~np.isnan(design.recorded[name])]
    return bool(len(known)) and not known.min() <= value <= known.max()


def list_outside(fit: Fit, sizes: Sizes) -> tuple[str, ...]:
    """List the sizes outside what LMs record, or all where no LM or arm stands near both."""
    if not sizes:
        return ()
    found = tuple(n for n, x in sizes if lies_outside(fit.design, name=n, value=x))
    if not found:
        is_far = how_far(fit, sizes) > defaults.FAR
        return tuple(name for name, _ in sizes) if is_far else ()
    return found


@lru_cache(maxsize=2)  # the same on every target
def measure_confounding(design: Design, statement: Statement) -> Mapping[str, float]:
    """Measure which other decisions a statement is confounded with.

    The three decisions that predict the value best, each on its own, and the share of its variance
    that they predict, adjusted for the number of their levels; over the scored LMs at one of the
    two levels, or that record the value and the other decision.
    """
    scored, parts = _scored(design), design.domains
    values = _value_of(design, statement)[scored]
    own = parts if set(statement.parts) & set(parts) else statement.parts
    others = [name for name in list_decisions(design) if name not in own]
    facts = design.known_facts
    shares = {n: _share_predicted(values, design.recorded[n][scored], facts[n]) for n in others}
    most = sorted(shares, key=lambda name: -shares[name])[:_BUNDLES]
    return {name: shares[name] for name in most if shares[name] > 0}


def _value_of(design: Design, statement: Statement) -> Array:
    """Value that a statement is about, missing at levels that it does not compare, shape (lm,)."""
    if isinstance(statement, Substitution):
        return recorded_part(design, statement.decision) - recorded_part(design, statement.donor)
    values = design.recorded[statement.decision]
    if statement.about.kind != "categorical":
        return values
    at_level = values == statement.level
    return np.where(at_level | (values == statement.reference), at_level.astype(float), np.nan)


def _share_predicted(values: Array, other: NDArray[Any], decision: Decision) -> float:
    """Compute the adjusted share of the variance of a value that another decision predicts."""
    kept = ~np.isnan(values)
    if decision.kind != "categorical":
        other = _quarters(other)
        kept &= ~np.isnan(other)
    values, code = values[kept], np.unique(other[kept].astype(str), return_inverse=True)[1]
    n, k = len(values), len(np.unique(code))
    total = float(((values - values.mean()) ** 2).sum()) if n else 0.0
    if total <= 0 or n <= k:
        return 0.0
    return max(0.0, 1 - (_squares_within(values, code) / (n - k)) / (total / (n - 1)))


def _quarters(values: Array) -> Array:
    """Cut numbers into groups of like size by their mean rank, NaN where there is none."""
    known = values[~np.isnan(values)]
    if not len(known):
        return values
    _, place, counts = np.unique(known, return_inverse=True, return_counts=True)
    rank = (np.cumsum(counts) - (counts - 1) / 2)[place] / len(known)
    out = np.full(len(values), np.nan)
    out[~np.isnan(values)] = np.ceil(_BINS * rank)
    return out


def build_evidence(
    fit: Fit,
    *,
    contrast: Statement,
    weights: Array,
    probability: float,
    scale: str = "score",
    arms: ArmScores | None = None,
) -> Evidence:
    """Collect what stands behind a statement.

    Parameters
    ----------
    fit
        The fit.
    contrast
        What is compared.
    weights
        Weight of every benchmark, shape (benchmark,), summing to one.
    probability
        Posterior probability that the effect is positive.
    scale
        `score` or `latent`: the scale of the estimates from parts of the LMs.
    arms
        Experiments to hold against the LMs; those that informed the fit if left out.

    Returns
    -------
    Evidence
        The card.
    """
    (card,) = build_cards(
        fit,
        contrast=contrast,
        weights=weights[None],
        probabilities=np.array([probability]),
        scale=scale,
        arms=arms,
    )
    return card


def build_cards(
    fit: Fit,
    *,
    contrast: Statement,
    weights: Array,
    probabilities: Array,
    scale: str = "score",
    arms: ArmScores | None = None,
) -> tuple[Evidence, ...]:
    """Do so on several targets at once: weights (target, benchmark), probabilities (target,)."""
    support, model = support_of(fit.design, contrast), linearise(fit)
    moved = to_free(fit.design, mean_change(fit, contrast))
    judged = judge(fit, contrast=contrast, weights=weights, probabilities=probabilities, arms=arms)
    slopes = [mean_slope(fit, weights=row) if scale == "score" else 1.0 for row in weights]
    whole = model.estimate(moved, weights=weights)
    without = model.without_each_family(moved, weights=weights)
    pulls = model.pulls(moved, weights=weights)
    sides = ()
    if support["families_with_both"]:
        sides = tuple(
            part(moved, weights=weights) for part in (model.estimate_within, model.estimate_between)
        )
    prior = np.sqrt(model.prior_variance(moved, weights=weights))
    sd = (_latent_effect(fit, contrast) @ weights.T).std(axis=(0, 1))
    confounded = measure_confounding(fit.design, contrast)
    extrapolates, cards = is_extrapolation(fit.design, contrast), []
    for t, (slope, judgement) in enumerate(zip(slopes, judged, strict=True)):
        worst = int(np.argmax(np.abs(without.mean[t] - whole.mean[t])))
        within, between = (_scale(part, slope, t) for part in sides) if sides else (None, None)
        length = float(pulls[t].sum())
        cards.append(
            Evidence(
                **support,
                all_families=_scale(whole, slope, t),
                within_families=within,
                between_families=between,
                effective_lms=length**2 / float(np.square(pulls[t]).sum()) if length else 0.0,
                confounded_with=confounded,
                prior_probability=PRIOR_PROBABILITY,
                prior_sd=slope * float(prior[t]),
                contraction=judgement.contraction,
                most_influential_family=fit.design.lm_families[worst],
                influence=_in_units(without.mean[t, worst] - whole.mean[t], sd[t]),
                without_it=_scale(without, slope, (t, worst)),
                extrapolates=extrapolates,
                verdict=judgement.verdict,
                studies=judgement.studies,
                experiments=None if judgement.pooled is None else _describe(judgement.pooled),
                prob_conflict=judgement.prob_conflict,
            )
        )
    return tuple(cards)


def _scale(found: Estimate, slope: float, place: Any) -> dict[str, float]:
    """Summarise one of several estimates in points."""
    mean, sd = (slope * float(values[place]) for values in (found.mean, found.sd))
    return normal_interval(mean, sd, ci_prob=defaults.CI_PROB)


def _in_units(move: float, sd: float) -> float:
    """Say how many standard deviations a move has."""
    return float(abs(move) / sd) if sd > 0 else 0.0


def _describe(pooled: Pooled) -> dict[str, float]:
    """Summarise the mean of studies, and another study."""
    another = normal_interval(pooled.estimate, pooled.prediction_sd, ci_prob=defaults.CI_PROB)
    return {
        **normal_interval(pooled.estimate, pooled.sd, ci_prob=defaults.CI_PROB),
        "sd": pooled.sd,
        "tau": pooled.tau,
        "sd_another": pooled.prediction_sd,
        "lower_another": another["lower"],
        "upper_another": another["upper"],
    }


@lru_cache(maxsize=2)  # the same on every target
def _latent_effect(fit: Fit, statement: Statement) -> Array:
    """Draw the latent effect on every benchmark, shape (chain, draw, benchmark)."""
    return latent_draws(fit, mean_change(fit, statement))


def judge(
    fit: Fit,
    *,
    contrast: Statement,
    weights: Array,
    probabilities: Array,
    arms: ArmScores | None = None,
) -> tuple[Judgement, ...]:
    """Say what all sources together say of a contrast, on one target or several.

    The first that applies:

    `prior-dominated`: there is no controlled experiment on it, and LMs hardly tell its association:
    they removed less than a quarter of the prior variance, or one side has a single family, whose
    own effect cannot be told from the decision's, or a value lies outside what the LMs record. So
    is whatever is asked of draws of the prior.

    `conflicting`: experiments, and LMs of the size and tokens of their arms, differ with a
    probability above 0.9.

    `supported`: experiments of two studies or more informed the fit, the direction of the effect
    has a probability of at least 0.95, and of at least 0.8 by the experiments alone.

    `association only`: everything else, whatever its probability.

    Parameters
    ----------
    fit, contrast
        The fit, and what is compared.
    weights
        Weight of every benchmark, shape (target, benchmark); rows sum to one.
    probabilities
        Posterior probability that the effect is positive, shape (target,).
    arms
        Experiments; those that informed the fit if left out.

    Returns
    -------
    tuple of Judgement
        One per target.
    """
    if fit.is_prior:
        return tuple(Judgement(defaults.PRIOR_DOMINATED, contraction=0.0) for _ in weights)
    arms = fit.design.arm_scores if arms is None else arms
    runs = None if arms is None else compare_runs(arms, contrast)
    moved = to_free(fit.design, mean_change(fit, contrast))
    prior = linearise(fit).prior_variance(moved, weights=weights)
    learned = (_latent_effect(fit, contrast) @ weights.T).var(axis=(0, 1))
    contraction = np.where(prior > 0, 1 - learned / np.where(prior > 0, prior, 1.0), 0.0).tolist()
    told = not _stands_alone(fit.design, contrast)
    pools = [_pool(runs, on=row > 0) for row in weights]
    conflicts = _weigh_conflicts(fit, contrast, pools=pools, weights=weights, runs=runs)
    judged = []
    for k, (studies, n_usable, pooled) in enumerate(pools):
        verdict = give_verdict(
            told=told and contraction[k] >= defaults.CONTRACTION_LEAST,
            pooled=pooled,
            n_studies=n_usable if tells_effects(fit) else 0,
            prob_conflict=conflicts[k],
            probability=float(probabilities[k]),
        )
        weighed = tuple(_add_weights(studies, pooled))
        judged.append(Judgement(verdict, contraction[k], weighed, pooled, conflicts[k]))
    return tuple(judged)


def _pool(
    runs: Runs | None, *, on: NDArray[np.bool_]
) -> tuple[Sequence[Mapping[str, Any]], int, Pooled | None]:
    """List studies on some benchmarks, how many of them are usable, and the mean of these."""
    studies = [] if runs is None else estimate_studies(runs, on=on)
    usable = [one for one in studies if one["control"] != CONTROLS[-1]]
    return studies, len(usable), pool_studies(usable)


def _stands_alone(design: Design, contrast: Statement) -> bool:
    """Say whether LMs cannot tell an association: one family is all of a side, or none is near."""
    support = support_of(design, contrast)
    sides = support["lm_families"]
    recorded = sides.get("averaged_over", sides.get("recorded"))
    n_families = min(sides.values()) if recorded is None else recorded
    alone = n_families < defaults.FAMILIES_LEAST and not support["families_with_both"]
    return alone or is_extrapolation(design, contrast)


def give_verdict(
    *,
    told: bool,
    pooled: Pooled | None,
    n_studies: int,
    prob_conflict: float | None,
    probability: float,
) -> str:
    """Give the first verdict that applies, see `judge`."""
    if pooled is None or prob_conflict is None:
        return defaults.ASSOCIATION_ONLY if told else defaults.PRIOR_DOMINATED
    if prob_conflict > defaults.PROB_CONFLICT:
        return defaults.CONFLICTING
    up = prob_above_zero(pooled.estimate, pooled.sd)
    by_experiments = up if probability > 0.5 else 1 - up
    if (
        n_studies >= defaults.STUDIES_LEAST
        and max(probability, 1 - probability) >= defaults.CERTAIN
        and by_experiments >= defaults.PROB_EXPERIMENTS
    ):
        return defaults.SUPPORTED
    return defaults.ASSOCIATION_ONLY


def _weigh_conflicts(
    fit: Fit,
    contrast: Statement,
    *,
    pools: Sequence[tuple[Any, int, Pooled | None]],
    weights: Array,
    runs: Runs | None,
) -> list[float | None]:
    """Probability that experiments lie on the side of LMs of their size on which they are seen."""
    if runs is None or not any(pooled for _, _, pooled in pools):
        return [None] * len(pools)
    moved = to_free(fit.design, mean_change(fit, contrast, runs.at))
    found = linearise(fit).estimate(moved, weights=weights)
    slopes = weights @ slopes_of_sizes(fit, runs.at)
    conflicts: list[float | None] = []
    for k, (_, _, pooled) in enumerate(pools):
        if pooled is None:
            conflicts.append(None)
            continue
        apart = float(np.hypot(pooled.sd, slopes[k] * found.sd[k]))
        gap = abs(pooled.estimate - float(slopes[k] * found.mean[k]))
        conflicts.append(prob_above_zero(gap, apart))
    return conflicts


def _add_weights(
    studies: Sequence[Mapping[str, Any]], pooled: Pooled | None
) -> Iterator[dict[str, Any]]:
    """Add to every study its weight in their mean, in percent; confounded ones have none."""
    weights = [
        1 / (one["se"] ** 2 + pooled.tau**2) if pooled and one["control"] != CONTROLS[-1] else 0.0
        for one in studies
    ]
    for one, weight in zip(studies, weights, strict=True):
        yield {**one, "weight": 100 * weight / max(sum(weights), 1e-300)}
