"""What controlled experiments found, question by question, beside what a fit says of it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from bayesmeta import defaults
from bayesmeta.design.arm_contrasts import noise_variance
from bayesmeta.design.arm_scores import CONTROLS, rate_control
from bayesmeta.errors import QueryError, listing, unknown
from bayesmeta.estimates.answer import Answer, query
from bayesmeta.estimates.arm_comparisons import (
    Runs,
    compare_runs,
    estimate_studies,
    weigh_comparisons,
)
from bayesmeta.estimates.counterfactual import EFFECT, POINTS, choose_kind
from bayesmeta.estimates.question import UNITS, parse_statement
from bayesmeta.estimates.summary import check_ci_prob, normal_interval, pool_studies, summarise
from bayesmeta.inference.diagnostics import thin_fit
from bayesmeta.model.predictor import Array, contrast_distribution
from bayesmeta.model.spec import build_differences
from bayesmeta.tables.headed_columns import OF_TABLE, Column, head
from bayesmeta.tables.notebook import NotebookView, show_table, show_text, show_title
from bayesmeta.tables.wording import count

if TYPE_CHECKING:
    from bayesmeta.design.outcomes import ArmContrasts
    from bayesmeta.inference.fits import Fit


@dataclass(frozen=True, slots=True)
class Comparison:
    """Arms that are compared with others of their groups.

    Parameters
    ----------
    fact
        Column of the table of arms.
    level, reference
        Its values on either side.
    benchmarks
        Where; none where experiments report losses alone.
    statement
        The same as `query` takes it; None where LMs do not record the fact.
    """

    fact: str
    level: tuple[str | float, ...]
    reference: tuple[str | float, ...]
    benchmarks: tuple[str, ...] = ()
    statement: str | None = None

    @property
    def label(self) -> str:
        """The statement, or the fact and its values."""
        sides = (
            " or ".join(f"{x:g}" if isinstance(x, float) else str(x) for x in side)
            for side in (self.level, self.reference)
        )
        return self.statement or f"{self.fact}: {' > '.join(sides)}"


def _of_levels(statement: str, *benchmarks: str) -> Comparison:
    """Compare two levels, or two shares, of a decision that LMs record too."""
    fact, _, sides = statement.partition(": ")
    read = float if fact == "code_share" else str
    level, reference = map(read, sides.split(" > "))
    return Comparison(fact, (level,), (reference,), benchmarks, statement)


_COMMON = ("hellaswag", "arc_challenge", "winogrande")

COMPARISONS = (
    _of_levels("attention: gqa > mha", *_COMMON, "mmlu_5shot"),
    _of_levels("attention: mqa > mha", *_COMMON, "mmlu_5shot"),
    _of_levels("position_embedding: rotary > learned", *_COMMON, "lambada"),
    _of_levels("position_embedding: alibi > learned"),
    _of_levels("position_embedding: alibi > rotary"),
    _of_levels("activation: swiglu > gelu"),
    _of_levels("activation: geglu > gelu"),
    _of_levels("norm: rmsnorm > layernorm"),
    _of_levels("biases: none > all"),
    _of_levels("weight_tying: tied > untied"),
    *(_of_levels(f"code_share: {share} > 0", *_COMMON) for share in (10, 30, 50, 70, 90)),
    Comparison("corpus", ("c4", "refinedweb"), ("redpajama",), (*_COMMON, "lambada", "mmlu_5shot")),
    Comparison("corpus", ("pile",), ("oscar",), ("hellaswag", "lambada")),
    Comparison("books_share", (5.0,), (0.0,), _COMMON, "swap web_share -> books_share by 5"),
    Comparison(
        "reference_share", (5.0,), (0.0,), _COMMON, "swap web_share -> reference_share by 5"
    ),
    Comparison("n_epochs", (4.0,), (1.0,), ("hellaswag",)),
    Comparison("n_epochs", (44.0,), (1.0,), ("hellaswag",)),
)  # fmt: skip
"""What controlled experiments have asked."""

_DRAWS = 1000
"""Draws of which arms are predicted: one every few of a full fit."""

_CLEAR = 1.64
"""Standard deviations by which two numbers differ clearly; 90 % of mere noise does not."""

_PP = Column(digits=1, unit=OF_TABLE)
_INTERVALS = ("controlled", "at_arms", "effect", "new_setting", "association")
_COLUMNS = {
    **dict.fromkeys(("question", "benchmark", "studies", "control"), Column()),
    **{f"{name}{end}": _PP for name in _INTERVALS for end in ("", "_lower", "_upper")},
    **dict.fromkeys(("fitted", "noise"), _PP),
    **dict.fromkeys(("reproduced", "verdict", "differs_by"), Column()),
}


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class ControlledAnswers(NotebookView):
    """What controlled experiments found, beside what a fit says.

    Parameters
    ----------
    rows
        One row per question and benchmark, see `table`.
    """

    rows: pd.DataFrame

    def table(self) -> pd.DataFrame:
        """Give all numbers, in percentage points.

        Returns
        -------
        pandas.DataFrame
            By question and benchmark:

            - `controlled`: the mean of the `studies`, with the weakest `control` of their arms;
              blank where experiments report losses alone;
            - `at_arms`: the effect in the very arms, at their size, tokens and mix;
            - `effect`, `new_setting`, `association`: of the same statement, averaged over the LMs;
              blank where LMs do not record the fact; each with `_lower` and `_upper`;
            - `fitted`: posterior mean of the comparison with what is special to the studies, and
              whether it lies within 1.64 standard deviations of the `noise` of the runs
              (`reproduced`);
            - `verdict` on the statement, on that benchmark;
            - `differs_by`: where controlled estimate and effect in the arms differ by more than
              1.64 standard deviations of noise and posterior, what pulls the effect most.
        """
        return head(self.rows[list(_COLUMNS)], _COLUMNS, units=UNITS)

    def summary(self) -> pd.DataFrame:
        """Give the same for reading: estimates with their intervals, rounded."""
        rows = self.rows
        texts = {
            name: [_write(row, name) for row in rows.to_dict("records")] for name in _INTERVALS
        }
        said = {True: "yes", False: "no"}
        columns = {
            "question": rows["question"],
            "benchmark": rows["benchmark"],
            **{name: texts[name] for name in _INTERVALS if name != "new_setting"},
            "reproduced": rows["reproduced"].map(said).fillna("-"),
            "verdict": rows["verdict"].fillna("-"),
        }
        headings = {name: Column(unit="pp") for name in _INTERVALS}
        return head(pd.DataFrame(columns), headings)

    def _show_parts(self) -> Iterator[str]:
        yield show_title("ControlledAnswers")
        yield show_text(repr(self))
        first = ControlledAnswers(self.rows.head(defaults.ROWS_SHOWN))
        yield show_table(first.summary(), n_rows=len(self.rows), whole=".summary()")

    def __repr__(self) -> str:
        told = self.rows.dropna(subset=["controlled"])
        missed = told[~told["reproduced"].astype(bool)]
        names = "; ".join(
            f"{row.question} on {row.benchmark} ({row.studies})" for row in missed.itertuples()
        )
        said = [
            f"{count(len(told), 'comparison', 'comparisons')} with scores; of the same arms the "
            f"fit reproduces {len(told) - len(missed)} within {_CLEAR} standard deviations of "
            "noise."
        ]
        said += [f"Not reproduced: {names}."] * bool(names)
        differ = self.rows.dropna(subset=["differs_by"])
        said += [
            f"{row.question} on {row.benchmark}: the effect in these arms differs from the "
            f"controlled estimate; what pulls it most is {row.differs_by}."
            for row in differ.itertuples()
        ]
        return "\n".join(said)


def _write(row: Mapping[Any, Any], name: str) -> str:
    """Write an estimate with its interval; a dash where there is none."""
    if pd.isna(row[name]):
        return "-"
    middle, *ends = (f"{row[f'{name}{end}']:+.1f}" for end in ("", "_lower", "_upper"))
    return f"{middle} ({' to '.join(ends)})".replace("+0.0", "0.0").replace("-0.0", "0.0")


def controlled_answers(
    fit: Fit,
    *,
    decisions: Sequence[str] | None = None,
    ci_prob: float = defaults.CI_PROB,
) -> ControlledAnswers:
    """Set what controlled experiments found beside what a fit says, question by question.

    The controlled estimate is computed from the arms themselves: in every group the mean score of
    the arms at the level less that of the arms at the reference, averaged over protocols, groups
    and studies as `evidence` does, but without arms between two numbers.

    Parameters
    ----------
    fit
        A fit that experiments informed.
    decisions
        Facts of arms that questions are about, such as `attention` or `corpus`; all if left out.
    ci_prob
        Probability of the intervals.

    Returns
    -------
    ControlledAnswers
        With `.table()` and `.summary()`; it prints what is not reproduced, and why.

    Raises
    ------
    QueryError
        If no experiments informed the fit, or no experiment asked about a fact.

    Examples
    --------
    >>> import bayesmeta as bm
    >>> found = bm.controlled_answers(bm.load_reference_fit())
    >>> found.table()["question"].iloc[0]
    'attention: gqa > mha'
    """
    choose_kind(fit, EFFECT)
    check_ci_prob(ci_prob)
    assert fit.dataset.experiments is not None
    arms = fit.dataset.experiments.arms.reset_index(drop=True)
    facts = list(dict.fromkeys(one.fact for one in COMPARISONS))
    for name in decisions or ():
        if name not in facts:
            raise unknown(QueryError, "decision", name, facts, said="was asked by no experiment")
    wanted = [one for one in COMPARISONS if decisions is None or one.fact in decisions]
    asked = [one for one in wanted if _is_known(fit, one)]
    sides = np.array([_take_sides(arms, one) for one in asked], np.int64).reshape(-1, len(arms))
    found = build_differences(fit.dataset, fit.design, spec=fit.spec, sides=sides)
    runs = _as_runs(fit, found, arms=arms, sides=sides)
    fitted = _predict(fit, found, without=("run_effect",)).mean(axis=(0, 1))
    at_arms = _predict(fit, found, without=("run_effect", "study_effect"))
    rows = []
    for k, one in enumerate(asked):
        for benchmark in one.benchmarks or (_OVERALL,):
            on = found.labels["question"] == k
            on &= np.array(fit.design.benchmarks, object)[found.benchmark_index] == benchmark
            if one.benchmarks and not on.any():
                continue
            row: dict[str, Any] = {"question": one.label, "benchmark": benchmark}
            row |= _hold_against(runs.of(on), fitted[on], at_arms[..., on], ci_prob=ci_prob)
            if one.statement is not None:
                answer = _ask(fit, one.statement, benchmark, ci_prob=ci_prob)
                row |= _describe(answer)
                if row.get("differs"):
                    row["differs_by"] = _find_pull(fit, answer, row)
            elif row.get("differs"):
                row["differs_by"] = "other arms of the same studies"
            rows.append(row)
    return ControlledAnswers(pd.DataFrame(rows).reindex(columns=list(_COLUMNS)))


_OVERALL = "overall"


def _is_known(fit: Fit, asked: Comparison) -> bool:
    """Whether a fit can be asked a question."""
    if asked.statement is None:
        return True
    try:
        return bool(parse_statement(fit.design, asked.statement).applies(fit.design).any())
    except QueryError:
        return False


def _take_sides(arms: pd.DataFrame, asked: Comparison) -> NDArray[np.int64]:
    """Say which arms stand on either side, 1 and -1, shape (arm,)."""
    if asked.fact not in arms:
        return np.zeros(len(arms), np.int64)
    level, reference = (
        arms[asked.fact].isin(side).to_numpy(np.int64) for side in (asked.level, asked.reference)
    )
    return level - reference


def _as_runs(
    fit: Fit, found: ArmContrasts, *, arms: pd.DataFrame, sides: NDArray[np.int64]
) -> Runs:
    """Turn contrasts into comparisons, in points; one for every protocol."""
    studies = np.array(found.studies, object)[found.study_index]
    cells = list(zip(studies, found.labels["group"], strict=True))
    number = {cell: k for k, cell in enumerate(dict.fromkeys(cells))}
    control = pd.Index(CONTROLS).get_indexer(pd.Index(rate_control(arms)))
    own = [
        (sides[k] != 0) & (arms["study"] == study).to_numpy() & (arms["group"] == group).to_numpy()
        for k, (study, group) in zip(found.labels["question"], cells, strict=True)
    ]
    return Runs(
        studies=found.studies,
        study=found.study_index,
        group=np.array([number[cell] for cell in cells], np.int64),
        benchmark=found.benchmark_index,
        estimate=POINTS * found.y,
        variance=POINTS**2 * noise_variance(found, benchmarks=fit.design.benchmarks),
        protocols=np.ones(len(found.y), np.int64),
        control=np.array([control[rows].max() for rows in own], np.int64),
        at=(),
    )


def _predict(fit: Fit, found: ArmContrasts, *, without: Sequence[str]) -> Array:
    """Predict contrasts in points by all coefficients but some, shape (chain, draw, contrast)."""
    thin = thin_fit(fit, draws=_DRAWS) if np.prod(fit.shape) > _DRAWS else fit
    kept = {name: values for name, values in thin.parameters.items() if name not in without}
    return POINTS * contrast_distribution(kept, contrasts=found, spec=fit.spec).mu


def _hold_against(runs: Runs, fitted: Array, at_arms: Array, *, ci_prob: float) -> dict[str, Any]:
    """Average comparisons on one benchmark, and what a fit says of the same arms likewise.

    The comparisons of a group under several protocols are of the same runs, so that their mean has
    the noise of one.
    """
    everywhere = np.ones(int(runs.benchmark.max(initial=0)) + 1, bool)
    pairs = zip(
        estimate_studies(runs, on=everywhere), weigh_comparisons(runs, on=everywhere), strict=True
    )
    usable = [(one, weights) for one, weights in pairs if one["control"] != CONTROLS[-1]]
    studies = [one for one, _ in usable]
    pooled = pool_studies(studies)
    if pooled is None:
        return {}
    se = np.array([one["se"] for one in studies])
    share = 1 / (se**2 + pooled.tau**2)
    share /= share.sum()
    weights = share @ np.array([weights for _, weights in usable])
    noise = float(np.sqrt(share**2 @ se**2))
    controlled = normal_interval(pooled.estimate, pooled.sd, ci_prob=ci_prob)
    draws = at_arms @ weights
    middle = float(weights @ runs.estimate)
    return {
        "studies": listing(f"{one['study']} {one['estimate']:+.1f}" for one in studies),
        "control": max((one["control"] for one in studies), key=CONTROLS.index),
        **_put("controlled", controlled),
        **_put("at_arms", summarise(draws, ci_prob=ci_prob, units=UNITS)),
        "fitted": float(weights @ fitted),
        "noise": noise,
        "reproduced": bool(abs(middle - weights @ fitted) <= _CLEAR * noise),
        "differs": abs(middle - draws.mean()) > _CLEAR * np.hypot(noise, draws.std()),
    }


def _put(name: str, found: Any) -> dict[str, float]:
    """Name an estimate and its interval."""
    return {name: found["estimate"], **{f"{name}_{end}": found[end] for end in ("lower", "upper")}}


def _ask(fit: Fit, statement: str, benchmark: str, *, ci_prob: float) -> Answer:
    on = None if benchmark == _OVERALL else benchmark
    return query(fit, statement, benchmark=on, ci_prob=ci_prob)


def _describe(answer: Answer) -> dict[str, Any]:
    """Describe what a statement is averaged over the LMs, and its verdict."""
    return {
        **_put("effect", answer.effect),
        **_put("new_setting", answer.new_setting),
        **_put("association", answer.association),
        "verdict": answer.verdict,
    }


def _find_pull(fit: Fit, answer: Answer, row: dict[str, Any]) -> str:
    """Name the source that pulls the effect most from what the experiments found.

    A normal source of mean m and variance v pulls at a value x by (m - x) / v. An association
    pulls by the effect that goes with it: its mean and variance times the share of effects in
    associations, and what the bias leaves open beside.
    """
    toward = np.sign(row["at_arms"] - row["controlled"])
    pulls = {
        name: toward * (mean - row["controlled"]) / max(variance, 1e-12)
        for name, mean, variance in _list_sources(fit, answer)
    }
    return max(pulls, key=pulls.__getitem__)


def _list_sources(fit: Fit, answer: Answer) -> Iterator[tuple[str, float, float]]:
    """List sources of an effect but experiments on its benchmark: name, mean, variance."""
    share = float(np.mean(fit.parameters["effect_share_mean"]))
    card, arms = answer.evidence, fit.design.arm_scores
    yield "the prior (no effect)", 0.0, share * card.prior_sd**2
    for name, part in (
        ("differences within families", card.within_families),
        ("differences between families", card.between_families),
    ):
        if part is not None:
            unit = normal_interval(0.0, 1.0, ci_prob=defaults.CI_PROB)["upper"]
            sd = (part["upper"] - part["lower"]) / (2 * unit)
            own = share * (1 - share) * card.prior_sd**2 + (share * sd) ** 2
            yield name, share * part["estimate"], own
    if arms is None:
        return
    on = np.array([name != answer.target for name in fit.design.benchmarks])
    for one in estimate_studies(compare_runs(arms, answer.contrast), on=on):
        if one["control"] != CONTROLS[-1]:
            variance = one["se"] ** 2 + defaults.STUDY_HETEROGENEITY**2
            yield f"{one['study']} on other benchmarks", one["estimate"], variance
