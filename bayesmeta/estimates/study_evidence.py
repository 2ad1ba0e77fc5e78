"""What controlled experiments say of a statement by themselves, beside what LMs say of it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, overload

import numpy as np
import pandas as pd

from bayesmeta import defaults
from bayesmeta.data.load import load_experiments
from bayesmeta.design.arm_scores import build_arm_scores
from bayesmeta.errors import QueryError
from bayesmeta.estimates.answer import Answer, query
from bayesmeta.estimates.answer_words import write_interval
from bayesmeta.estimates.arm_comparisons import compare_runs
from bayesmeta.estimates.counterfactual import (
    choose_kind,
    effect_on_benchmarks,
    split_place,
    weigh_target,
)
from bayesmeta.estimates.evidence_card import Evidence, build_evidence
from bayesmeta.estimates.question import UNITS, ask_unit, build_contrast, refuse_prior
from bayesmeta.estimates.summary import normal_interval
from bayesmeta.tables.headed_columns import PROBABILITY, Column, head
from bayesmeta.tables.notebook import NotebookView, show_table, show_text, show_title

if TYPE_CHECKING:
    from bayesmeta.data.experiments import Experiments
    from bayesmeta.design.arm_scores import ArmScores
    from bayesmeta.inference.fits import Fit

_STUDY_COLUMNS = ["study", "estimate", "se", "n", "control", "weight"]


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Sources(NotebookView):
    """A statement by every source: studies, experiments together, LMs, and the posterior.

    Parameters
    ----------
    answer
        What the posterior says, and what stands behind it.
    comparisons
        One row per group of arms and benchmark that compares both sides: `study`, number of the
        `group`, `benchmark`, `estimate` and `se` in points.
    """

    answer: Answer
    comparisons: pd.DataFrame

    @property
    def studies(self) -> pd.DataFrame:
        """One row per study with experiments on the statement.

        Columns study, `estimate`, `se`, `n` comparisons, `control` (the weakest of its arms) and
        `weight` (percent) in their mean.
        """
        return pd.DataFrame(list(self.answer.evidence.studies), columns=_STUDY_COLUMNS)

    @property
    def prob_conflict(self) -> float | None:
        """Probability that experiments and LMs differ as they do; None without studies."""
        return self.answer.evidence.prob_conflict

    @property
    def verdict(self) -> str:
        """The verdict on all sources, with these experiments among them."""
        return self.answer.evidence.verdict

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
            for row in self.answer.evidence.studies
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
        table["control"] = table["control"].astype(object).fillna("")  # without studies all NaN
        return head(table, headings, units=UNITS)

    def _summaries(self, ci_prob: float) -> dict[str, dict[str, Any]]:
        """Summarise experiments together, parts of the LMs, and the posterior."""
        found, card = {}, self.answer.evidence
        if card.experiments is not None:
            middle = card.experiments["estimate"]
            found["experiments"] = _normal(middle, card.experiments["sd"], ci_prob)
            found["another study"] = _normal(middle, card.experiments["sd_another"], ci_prob)
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
        card, told = self.answer.evidence, self.answer.to_dict()
        studies = [
            {**one, "source": "experiment", "clean": one["control"] == "clean"}
            for one in card.studies
        ]
        return {
            "statement": self.answer.statement,
            "target": self.answer.target,
            "sources": told["sources"],
            "studies": studies,
            "heterogeneity": None if card.experiments is None else card.experiments["tau"],
            "prob_conflict": card.prob_conflict,
            "confounded_with": dict(card.confounded_with),
            "verdict": card.verdict,
        }

    def _show_parts(self) -> Iterator[str]:
        yield show_title("Sources", self.answer.read_as)
        yield show_text(repr(self))
        yield show_table(self.table(), whole=".table()")

    def __repr__(self) -> str:
        card, said = self.answer.evidence, [f"{self.answer.statement}: {self.verdict}."]
        if card.experiments is not None:
            n = len(card.studies)
            said.append(
                f"{n} {'study' if n == 1 else 'studies'} of controlled experiments: "
                f"{write_interval(card.experiments, 1)} points, "
                f"probability of a conflict with LMs {card.prob_conflict:.2f}."
            )
        else:
            said.append("No controlled experiment.")
        said.append(f"LMs: {write_interval(card.all_families, 1)} points.")
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
    refuse_prior(fit)
    decision, benchmark, task_family = split_place(
        fit.design, decision, benchmark=benchmark, task_family=task_family
    )
    answer = query(fit, decision, benchmark=benchmark, task_family=task_family)
    if experiments is None and fit.design.arm_scores is not None:
        return Sources(answer, _list_comparisons(fit, answer, fit.design.arm_scores))
    arms = build_arm_scores(
        experiments or load_experiments(),
        benchmarks=fit.design.benchmarks,
        own=fit.design.own_decisions,
    )
    _, weights = weigh_target(fit.design, benchmark=benchmark, task_family=task_family)
    card = build_evidence(
        fit,
        contrast=answer.contrast,
        weights=weights,
        probability=answer.probability.estimate,
        arms=arms,
    )
    return Sources(replace(answer, evidence=card), _list_comparisons(fit, answer, arms))


def _list_comparisons(fit: Fit, answer: Answer, arms: ArmScores) -> pd.DataFrame:
    """List the comparisons of a statement on the benchmarks of its target."""
    runs = compare_runs(arms, answer.contrast)
    names = np.array(fit.design.benchmarks, object)[runs.benchmark]
    tasks = np.array(fit.design.task_families, object)[fit.design.task_family_index[runs.benchmark]]
    table = pd.DataFrame(
        {
            "study": np.array(runs.studies, object)[runs.study],
            "group": runs.group,
            "benchmark": names,
            "estimate": runs.estimate,
            "se": np.sqrt(runs.variance),
        }
    )
    on = (answer.target == "overall") | (names == answer.target) | (tasks == answer.target)
    return table[on].reset_index(drop=True)


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
    ask_unit(fit.design, decision, (level, over))
    contrast = build_contrast(fit.design, decision=decision, level=level, reference=over)
    _, weights = weigh_target(fit.design)
    kind = choose_kind(fit)
    helps = float((effect_on_benchmarks(fit, contrast, kind=kind) @ weights > 0).mean())
    return build_evidence(fit, contrast=contrast, weights=weights, probability=helps)
