"""What controlled experiments say of a statement by themselves, beside what LMs say of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, overload

import numpy as np
import pandas as pd

from bayesmeta import defaults
from bayesmeta.data.load import load_experiments, load_run_noise
from bayesmeta.data.vocabulary import MIX_COLUMNS
from bayesmeta.design.decisions import DECISIONS
from bayesmeta.errors import QueryError
from bayesmeta.estimates.answer import Answer, query
from bayesmeta.estimates.counterfactual import effect_on_benchmarks, tells_effects
from bayesmeta.estimates.evidence_card import Evidence, build_evidence
from bayesmeta.estimates.question import (
    UNITS,
    Statement,
    Substitution,
    build_contrast,
    refuse_prior,
    weigh_target,
)
from bayesmeta.estimates.summary import normal_interval, prob_above_zero
from bayesmeta.model.predictor import Array
from bayesmeta.tables.headed_columns import PROBABILITY, Column, head

if TYPE_CHECKING:
    from bayesmeta.data.experiments import Experiments
    from bayesmeta.inference.fits import Fit

SUPPORTED, CONFLICTING, ASSOCIATION_ONLY = "supported", "conflicting", "association only"
"""Verdicts on a statement by all sources; the fourth is `defaults.PRIOR_DOMINATED`."""

_FEWEST_STUDIES = 2
PROB_CONFLICT = 0.9
PROB_EXPERIMENTS = 0.8
"""Support takes two studies, and a direction that is probable from experiments alone; sources
conflict where they are so probably on different sides of each other."""

_BENCHMARKS_SHARE = 0.3
"""Correlation of the noise of a training run between two benchmarks."""

_HETEROGENEITY = 1.0
"""Scale, in points, of the half-normal prior of the heterogeneity between studies: results of one
decision differ between studies by a point or so."""

_REACH = 0.5
"""Share of a statement's size that arms of a group have to span: less would be extrapolated."""

_KEPT_PARTS = 1.0
"""Points of the mix that parts outside a substitution may move in an experiment on it."""


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Sources:
    """A statement by every source: studies, experiments together, LMs, and the posterior.

    Parameters
    ----------
    answer
        What the posterior says.
    studies
        One row per study with experiments on the statement: `estimate`, `se`, `weight` (percent)
        in their mean, `n` comparisons, `control` (the weakest of its arms).
    pooled
        Random-effects mean of the studies: `estimate`, `sd`, `tau`, and `prediction_sd` of another
        study; None without studies.
    prob_conflict
        Probability that the effect by experiments lies on the side of that by LMs on which it is
        estimated; NaN without studies.
    verdict
        `supported`, `conflicting`, `association only` or `prior-dominated`.
    """

    answer: Answer
    studies: pd.DataFrame
    pooled: dict[str, float] | None
    prob_conflict: float
    verdict: str

    def table(self, *, ci_prob: float = defaults.CI_PROB) -> pd.DataFrame:
        """Put all sources below each other, as a forest plot shows them.

        Returns
        -------
        pandas.DataFrame
            Columns source, `estimate`, `lower`, `upper` in points, `prob_positive`, `weight` in
            percent, `n` comparisons or LMs, `control`.
        """
        rows = [
            {"source": row["study"], **_normal(row["estimate"], row["se"], ci_prob),
             "weight": row["weight"], "n": row["n"], "control": row["control"]}
            for row in self.studies.to_dict("records")
        ]  # fmt: skip
        rows += [{"source": name, **found} for name, found in self._summaries(ci_prob).items()]
        columns = [
            "source",
            "estimate",
            "lower",
            "upper",
            "prob_positive",
            "weight",
            "n",
            "control",
        ]
        table = pd.DataFrame(rows).reindex(columns=columns)
        headings = {"prob_positive": PROBABILITY, "weight": Column(digits=0), "n": Column(digits=0)}
        return head(table.fillna({"control": ""}), headings, units=UNITS)

    def _summaries(self, ci_prob: float) -> dict[str, dict[str, Any]]:
        """Summarise experiments together, parts of the LMs, and the posterior."""
        found, card = {}, self.answer.evidence
        if self.pooled is not None:
            middle = self.pooled["estimate"]
            found["experiments"] = _normal(middle, self.pooled["sd"], ci_prob)
            found["another study"] = _normal(middle, self.pooled["prediction_sd"], ci_prob)
        parts = {"within families": card.within_families, "between families": card.between_families,
                 "all LMs": card.all_families}  # fmt: skip
        for name, part in parts.items():
            if part is not None:
                sd = _sd_of(part)
                found[name] = {**_normal(part["estimate"], sd, ci_prob), "n": self.answer.n_lms}
        if self.answer.association is not None:
            whole = self.answer.to_dict()
            for name in ("association", "effect", "new_setting"):
                part = whole[name]
                ends = {key: part[key] for key in ("estimate", "lower", "upper")}
                found[name.replace("_", " ")] = {**ends, "prob_positive": part["probability"]}
        return found

    def to_dict(self) -> dict[str, Any]:
        """Turn into plain values, as the command line prints them."""
        found = self._summaries(defaults.CI_PROB)
        named = {"experiments": "experiments", "siblings": "within families",
                 "families": "between families", "all": "all LMs"}  # fmt: skip
        studies = self.studies.assign(source="experiment", clean=self.studies["control"] == "clean")
        return {
            "statement": self.answer.statement,
            "target": self.answer.target,
            "sources": {key: found[name] for key, name in named.items() if name in found},
            "studies": studies.to_dict("records"),
            "heterogeneity": None if self.pooled is None else self.pooled["tau"],
            "prob_conflict": None if np.isnan(self.prob_conflict) else self.prob_conflict,
            "confounded_with": dict(self.answer.evidence.confounded_with),
            "verdict": self.verdict,
        }

    def __repr__(self) -> str:
        n = len(self.studies)
        found = self._summaries(defaults.CI_PROB)
        said = [f"{self.answer.statement}: {self.verdict}."]
        if n:
            part = found["experiments"]
            said.append(
                f"{n} {'study' if n == 1 else 'studies'} of controlled experiments: "
                f"{part['estimate']:+.1f} ({part['lower']:+.1f} to {part['upper']:+.1f}) points, "
                f"probability of a conflict with LMs {self.prob_conflict:.2f}."
            )
        else:
            said.append("No controlled experiment.")
        part = found["all LMs"]
        said.append(
            f"LMs: {part['estimate']:+.1f} ({part['lower']:+.1f} to {part['upper']:+.1f}) points."
        )
        return " ".join(said)


def _normal(estimate: float, sd: float, ci_prob: float) -> dict[str, float]:
    """Summarise a normal source."""
    found = normal_interval(estimate, sd, ci_prob=ci_prob)
    found["prob_positive"] = found.pop("prob_helps")
    return found


def _sd_of(part: Any) -> float:
    """Compute the standard deviation behind a normal interval of the usual probability."""
    unit = normal_interval(0.0, 1.0, ci_prob=defaults.CI_PROB)["upper"]
    return (part["upper"] - part["lower"]) / (2 * unit)


@overload
def evidence(
    fit: Fit,
    decision: str,
    *,
    benchmark: str | None = None,
    task_family: str | None = None,
    experiments: Experiments | None = None,
) -> Sources: ...
@overload
def evidence(fit: Fit, decision: str, level: str | float, *, over: str | float) -> Evidence: ...
def evidence(
    fit: Fit,
    decision: str,
    level: str | float | None = None,
    *,
    over: str | float | None = None,
    benchmark: str | None = None,
    task_family: str | None = None,
    experiments: Experiments | None = None,
) -> Sources | Evidence:
    """Put what controlled experiments say of a statement beside what LMs say.

    Experiments stand at the size and tokens of their own arms, and the LMs at theirs.

    Parameters
    ----------
    fit
        The fit.
    decision
        A statement, as `query` takes it; or the name of a decision, with `level` and `over`.
    level, over
        What is compared with what: gives the evidence card alone, over all benchmarks.
    benchmark, task_family
        Where; over all benchmarks if both are left out. Of experiments those count on which there
        are scores.
    experiments
        Those of the fit, or the bundled ones, if left out.

    Returns
    -------
    Sources or Evidence
        Studies, their mean, LMs within and between families, the posterior, and a verdict; or the
        card of a contrast.

    Raises
    ------
    QueryError
        As `query`.

    Examples
    --------
    >>> import bayesmeta as bm
    >>> bm.evidence(bm.load_reference_fit(), "attention: gqa > mha").verdict
    'conflicting'
    >>> bm.evidence(bm.load_reference_fit(), "attention", "gqa", over="mha").lm_families["gqa"]
    8
    """
    if level is not None or over is not None:
        return _read_card(fit, decision, level, over=over)
    answer = query(fit, decision, benchmark=benchmark, task_family=task_family)
    if experiments is None:
        own = fit.dataset.experiments if tells_effects(fit) else None
        experiments = load_experiments() if own is None else own
    _, weights = weigh_target(fit.design, benchmark=benchmark, task_family=task_family)
    names = [n for n, w in zip(fit.design.benchmarks, weights, strict=True) if w > 0]
    studies = estimate_studies(experiments, answer.contrast, benchmarks=names)
    usable = studies[studies["control"] != "confounded"]
    pooled = pool_studies(usable["estimate"].to_numpy(), usable["se"].to_numpy())
    conflict = np.nan
    if pooled is not None:
        lms = answer.evidence.all_families
        apart = float(np.hypot(pooled["sd"], _sd_of(lms)))
        conflict = prob_above_zero(abs(pooled["estimate"] - lms["estimate"]), apart)
    weight = pd.Series(0.0, index=studies.index)
    if pooled is not None:
        precision = 1 / (usable["se"] ** 2 + pooled["tau"] ** 2)
        weight[usable.index] = 100 * precision / precision.sum()
    verdict = judge_sources(fit, answer, pooled=pooled, n_studies=len(usable), conflict=conflict)
    studies = studies.assign(weight=weight)
    return Sources(answer, studies, pooled=pooled, prob_conflict=conflict, verdict=verdict)


def _read_card(
    fit: Fit, decision: str, level: str | float | None, *, over: str | float | None
) -> Evidence:
    """Collect what stands behind one contrast, over all benchmarks."""
    refuse_prior(fit)
    if level is None or over is None:
        raise QueryError(
            f"level is {level!r} and over is {over!r}. Allowed: both, such as 'gqa' and 'mha', or "
            "neither, with a statement such as 'attention: gqa > mha'."
        )
    contrast = build_contrast(fit.design, decision=decision, level=level, reference=over)
    _, weights = weigh_target(fit.design)
    helps = float((effect_on_benchmarks(fit, contrast) @ weights > 0).mean())
    return build_evidence(fit, contrast=contrast, weights=weights, probability=helps)


def judge_sources(
    fit: Fit, answer: Answer, *, pooled: dict[str, float] | None, n_studies: int, conflict: float
) -> str:
    """Give the verdict on a statement by all sources; the first that applies."""
    if pooled is None:
        if answer.evidence.verdict == defaults.PRIOR_DOMINATED:
            return defaults.PRIOR_DOMINATED
        return ASSOCIATION_ONLY
    if conflict > PROB_CONFLICT:
        return CONFLICTING
    alone = prob_above_zero(pooled["estimate"], pooled["sd"])
    together = answer.probability.estimate
    same_side = (alone > 0.5) == (together > 0.5)
    sure = max(together, 1 - together) >= defaults.PROB_IDENTIFIED
    clear = max(alone, 1 - alone) >= PROB_EXPERIMENTS
    if tells_effects(fit) and n_studies >= _FEWEST_STUDIES and same_side and sure and clear:
        return SUPPORTED
    return ASSOCIATION_ONLY


def estimate_studies(
    experiments: Experiments, statement: Statement, *, benchmarks: list[str]
) -> pd.DataFrame:
    """Estimate a statement from the arms of every study, in percentage points.

    In every group that varies the decision and keeps its corpus, the score is regressed on the
    decision (for two levels: the difference of their means) over arms between the two values, on
    every benchmark and under every protocol; arms of a substitution may stand anywhere. Protocols
    of a run are averaged, then benchmarks, whose noise is partly that of the run; groups of a study
    are weighed by their precision.

    Parameters
    ----------
    experiments
        Tables of arms and results.
    statement
        What is compared.
    benchmarks
        On which benchmarks.

    Returns
    -------
    pandas.DataFrame
        Columns study, `estimate`, `se` in points, `n` comparisons, `control`; one row for every
        study that measures the statement.
    """
    arms = experiments.arms
    dose, size = _dose(arms, statement)
    known = arms.assign(dose=dose)[["study", "group", "arm", "corpus", "control", "dose"]]
    known = known[known["dose"].notna()]
    results = experiments.results[experiments.results["benchmark"].isin(benchmarks)]
    rows = results.merge(known, on=["study", "group", "arm"])
    keys = ["study", "group", "benchmark", "protocol"]
    noise = load_run_noise()
    cells = []
    for key, cell in rows.groupby(keys, sort=False):
        spans = np.ptp(cell["dose"]) >= _REACH * abs(size)
        if spans and cell["corpus"].nunique(dropna=False) == 1:
            own = noise.get(str(key[2]), defaults.USUAL_NOISE)
            estimate, variance = _slope(cell, size=size, noise=own)
            cells.append((*key, estimate, variance, _weakest(cell["control"])))
    table = pd.DataFrame(cells, columns=[*keys, "estimate", "variance", "control"])
    if table.empty:
        return pd.DataFrame(columns=["study", "estimate", "se", "n", "control"])
    by_run = table.groupby(["study", "group", "benchmark"], sort=False).agg(
        estimate=("estimate", "mean"), variance=("variance", "mean"), n=("estimate", "size"),
        control=("control", _weakest),
    )  # fmt: skip
    found = []
    for study, part in by_run.groupby("study", sort=False):
        groups = part.groupby("group", sort=False)
        share = (1 - _BENCHMARKS_SHARE) / groups.size() + _BENCHMARKS_SHARE
        variance, estimate = groups["variance"].mean() * share, groups["estimate"].mean()
        weight = (1 / variance) / (1 / variance).sum()
        found.append(
            {"study": study, "estimate": float((weight * estimate).sum()),
             "se": float(1 / np.sqrt((1 / variance).sum())), "n": int(part["n"].sum()),
             "control": _weakest(part["control"])}
        )  # fmt: skip
    return pd.DataFrame(found)


def _dose(arms: pd.DataFrame, statement: Statement) -> tuple[pd.Series, float]:
    """Say where arms stand along a statement, missing where they do not, and how long it is."""
    arms = arms.reindex(
        columns=list({**dict.fromkeys(arms), **dict.fromkeys(_asked_of(statement))})
    )
    if isinstance(statement, Substitution):
        others = [name for name in MIX_COLUMNS if name not in statement.parts]
        group = arms.groupby(["study", "group"])
        spread = group[others].transform(lambda part: part.max() - part.min())
        kept = (spread.fillna(0.0) <= _KEPT_PARTS).all(axis=1)
        return arms[statement.decision].where(kept), statement.points
    decision = DECISIONS.get(statement.decision)
    level, reference = statement.level, statement.reference
    if decision is not None and decision.kind == "categorical":
        levels = pd.Series(decision.read_levels(arms), index=arms.index)
        return levels.map({level: 1.0, reference: 0.0}), 1.0
    values = arms[statement.decision].astype(float)
    low, high = sorted((float(level), float(reference)))
    values = values.where(values.between(low, high))
    if decision is not None and decision.kind == "share":
        return values, float(level) - float(reference)
    return values.map(np.log2), float(np.log2(float(level) / float(reference)))


def _asked_of(statement: Statement) -> tuple[str, ...]:
    """Name the columns that a statement reads; a table of one's own may lack some."""
    return (statement.decision, *MIX_COLUMNS)


def _slope(cell: pd.DataFrame, *, size: float, noise: float) -> tuple[float, float]:
    """Regress scores on the dose; the change over the statement and its variance, in points."""
    dose, score = cell["dose"].to_numpy(float), cell["score"].to_numpy(float)
    weight = dose - dose.mean()
    weight = size * weight / np.square(weight).sum()
    variance = noise**2 * (np.square(weight) / cell["n_seeds"].to_numpy(float)).sum()
    return 100 * float(weight @ score), 1e4 * float(variance)


_CONTROLS = ("clean", "compositional", "parameter-matched", "confounded")


def _weakest(controls: pd.Series) -> str:
    """Name the weakest control among those of some arms."""
    return max(controls.fillna("confounded"), key=_CONTROLS.index)


def pool_studies(estimates: Array, se: Array) -> dict[str, float] | None:
    """Average studies whose effects differ: Bayesian random effects, integrated over a grid.

    The mean has a flat prior and the heterogeneity a half-normal one, which one study needs and
    few studies lean on (Roever et al. 2021, https://doi.org/10.1002/jrsm.1475).

    Parameters
    ----------
    estimates, se
        Of the studies, in points, shape (study,).

    Returns
    -------
    dict of float or None
        `estimate` and `sd` of the mean, posterior mean `tau` of the heterogeneity, and
        `prediction_sd` of the effect in another study; None without studies.

    Examples
    --------
    >>> found = pool_studies(np.array([1.0, 1.2]), np.array([0.1, 0.1]))
    >>> round(found["estimate"], 1)
    1.1
    """
    if not len(estimates):
        return None
    tau = np.linspace(0.0, 4 * _HETEROGENEITY, 401)[:, None]
    precision = 1 / (np.square(se) + tau**2)
    total = precision.sum(axis=1)
    mean = (precision * estimates).sum(axis=1) / total
    misfit = (precision * np.square(estimates - mean[:, None])).sum(axis=1)
    log = 0.5 * (np.log(precision).sum(axis=1) - np.log(total) - misfit)
    log -= 0.5 * np.square(tau[:, 0] / _HETEROGENEITY)
    weight = np.exp(log - log.max())
    weight /= weight.sum()
    center = float(weight @ mean)
    variance = float(weight @ (1 / total + np.square(mean - center)))
    spread = float(weight @ np.square(tau[:, 0]))
    return {
        "estimate": center,
        "sd": variance**0.5,
        "tau": float(weight @ tau[:, 0]),
        "prediction_sd": (variance + spread) ** 0.5,
    }
