"""Effects on the score scale, draw by draw: change one decision of every lm, average last."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import pandas as pd
import xarray as xr
from numpy.typing import NDArray

from bayesmeta import defaults
from bayesmeta.design import (
    DECISIONS,
    MIX_UNIT,
    Design,
    Mix,
    shift_part,
    standardise,
)
from bayesmeta.effects.estimands import (
    BY,
    UNITS,
    Contrast,
    build_contrast,
    default_contrasts,
    find_decision,
    format_level,
    list_decisions,
)
from bayesmeta.effects.evidence import judge
from bayesmeta.effects.monte_carlo import Probability, estimate_probability
from bayesmeta.errors import QueryError, listing, suggest
from bayesmeta.inference.fit import Fit
from bayesmeta.model.simulate import complete_matrix, expected_score, linear_predictor

__all__ = ["Effects", "contrast_draws", "effects", "prob_helps"]

_POINTS = 100.0


@dataclass(frozen=True, slots=True, eq=False)
class Baseline:
    """The lms as they are: latent values, matrix of decisions and mix, with draws in front."""

    eta: NDArray[np.float64]
    X: NDArray[np.float64]
    mix: NDArray[np.float64] | None


@lru_cache(maxsize=2)
def build_baseline(fit: Fit) -> Baseline:
    """Compute the latent value of every lm on every benchmark once per fit."""
    X, mix = complete_matrix(fit.parameters, design=fit.design)
    eta = linear_predictor(fit.parameters, design=fit.design, spec=fit.spec)
    return Baseline(eta=eta, X=X, mix=mix)


def mean_score_at(fit: Fit, *, decision: str, value: str | float) -> NDArray[np.float64]:
    """Average the expected scores of all lms with one decision set to a value.

    Parameters
    ----------
    fit
        The fit.
    decision
        Name of the decision.
    value
        Level or value that every lm is given, all its other recorded facts held as they are. A
        part of the training mix takes its place from the other parts in proportion.

    Returns
    -------
    ndarray
        Points, higher is better, shape (chain, draw, benchmark).
    """
    base, design = build_baseline(fit), fit.design
    score = expected_score(base.eta + _latent_change(fit, base, decision, value), design=design)
    sign = np.where(design.outcomes.is_logistic, 1.0, np.sign(design.outcomes.spread))
    return _POINTS * sign * score.mean(axis=-2)


def _latent_change(
    fit: Fit, base: Baseline, decision: str, value: str | float
) -> NDArray[np.float64]:
    """Latent change of every lm, shape (chain, draw, lm, benchmark)."""
    design, found = fit.design, DECISIONS[decision]
    beta = fit.parameters["beta"]
    if found.in_mix:
        return _mix_change(fit, base, decision, float(value))
    columns = design.columns_of(decision)
    if found.kind == "categorical":
        target = np.array([design.terms[k].level == value for k in columns], float)
    else:
        term = design.terms[columns[0]]
        target = np.array([standardise(float(value), term=term, kind=found.kind)])
    return (target - base.X[..., columns]) @ beta[..., columns, :]


def _mix_change(fit: Fit, base: Baseline, domain: str, percent: float) -> NDArray[np.float64]:
    design, mix = fit.design, base.mix
    assert mix is not None
    assert isinstance(design.mix, Mix)
    typical = np.exp(design.mix.log_mean)
    new = shift_part(
        mix, domain=domain, share=percent / 100, typical=typical, domains=design.mix.domains
    )
    change = (new - mix) / MIX_UNIT @ fit.parameters["beta"][..., design.mix_columns, :]
    if design.code_basis is None:
        return change
    bend = [design.code_basis.evaluate(design.mix.code_of(part)) for part in (new, mix)]
    return change + (bend[0] - bend[1]) @ fit.parameters["curve"][..., design.task_family_index]


def contrast_draws(fit: Fit, *, contrast: Contrast, by: str = "overall") -> xr.DataArray:
    """Compute the effect of one contrast, draw by draw.

    Parameters
    ----------
    fit
        The fit.
    contrast
        What is compared with what.
    by
        `benchmark`, `task_family` or `overall`.

    Returns
    -------
    xarray.DataArray
        Percentage points with dims chain, draw, target: the difference in expected score in the
        benchmark's good direction, averaged over the lms of the data.

    Raises
    ------
    QueryError
        If `by` is not known.
    """
    _check_by(by)
    at = [
        mean_score_at(fit, decision=contrast.decision, value=value)
        for value in (contrast.level, contrast.reference)
    ]
    return average_benchmarks(at[0] - at[1], fit=fit, by=by)


def average_benchmarks(values: NDArray[np.float64], *, fit: Fit, by: str) -> xr.DataArray:
    """Average draws of shape (chain, draw, benchmark, ...) over the benchmarks of each target."""
    weights = target_weights(fit.design, by=by)
    names = weights["target"].values
    averaged = np.einsum("tb,cdb...->cdt...", weights.values, values)
    coords = {**{d: fit.draws[d].values for d in ("chain", "draw")}, "target": names}
    return xr.DataArray(
        averaged, dims=("chain", "draw", "target", *(["grid"] * (averaged.ndim - 3))),
        coords=coords, name="effect", attrs={"units": UNITS, "by": by},
    )  # fmt: skip


def target_weights(design: Design, *, by: str) -> xr.DataArray:
    """Weight of every benchmark in every target, dims target and benchmark; rows sum to one."""
    n = len(design.benchmarks)
    if by == "benchmark":
        names, member = design.benchmarks, np.eye(n)
    elif by == "task_family":
        names = design.task_families
        member = (np.arange(len(names))[:, None] == design.task_family_index).astype(float)
    else:
        names, member = ("overall",), np.ones((1, n))
    return xr.DataArray(
        member / member.sum(axis=1, keepdims=True),
        dims=("target", "benchmark"),
        coords={"target": list(names), "benchmark": list(design.benchmarks)},
    )


@dataclass(frozen=True, eq=False, repr=False)
class Effects:
    """Draws of effects, and the table that follows from them.

    Parameters
    ----------
    draws
        Percentage points with dims chain, draw, contrast, target.
    contrasts
        What is compared with what, in the order of the dim contrast.
    by
        What a target is: a benchmark, a task family, or all benchmarks.
    verdicts
        Verdict on every contrast and target, shape (contrast, target).
    """

    draws: xr.DataArray
    contrasts: tuple[Contrast, ...]
    by: str
    verdicts: NDArray[np.str_]

    def table(self, *, ci_prob: float = defaults.CI_PROB) -> pd.DataFrame:
        """Summarise the draws; intervals are equal-tailed.

        Parameters
        ----------
        ci_prob
            Probability of the interval.

        Returns
        -------
        pandas.DataFrame
            One row per contrast and target: the median and standard deviation in percentage
            points, interval, probability that the level helps with its MCSE, and verdict.

        Raises
        ------
        QueryError
            If the probability is not between 0 and 1.
        """
        check_ci_prob(ci_prob)
        rows = []
        for k, contrast in enumerate(self.contrasts):
            for t, target in enumerate(self.draws["target"].values):
                values = self.draws.values[:, :, k, t]
                helps = estimate_probability(values > 0)
                rows.append(
                    {
                        "decision": contrast.decision,
                        "level": format_level(contrast.level),
                        "reference": format_level(contrast.reference),
                        "by": self.by,
                        "target": str(target),
                        **summarise(values, ci_prob=ci_prob),
                        "prob_helps": helps.estimate,
                        "mcse": helps.mcse,
                        "verdict": str(self.verdicts[k, t]),
                    }
                )
        return pd.DataFrame(rows)

    def __repr__(self) -> str:
        sizes = self.draws.sizes
        return (
            f"Effects({sizes['contrast']} contrasts on {sizes['target']} targets by {self.by}, "
            f"{sizes['chain']} chains x {sizes['draw']} draws)"
        )


def summarise(values: NDArray[np.float64], *, ci_prob: float) -> dict[str, float | str]:
    """Summarise draws by median, standard deviation and equal-tailed interval."""
    tail = (1 - ci_prob) / 2
    lower, estimate, upper = np.quantile(values, [tail, 0.5, 1 - tail])
    return {
        "estimate": float(estimate),
        "sd": float(values.std()),
        "lower": float(lower),
        "upper": float(upper),
        "ci_prob": ci_prob,
        "units": UNITS,
    }


def effects(
    fit: Fit, decision: str | Sequence[str] | None = None, *, by: str = "overall"
) -> Effects:
    """Compute the effects of design decisions on the score scale.

    An effect is the difference in expected score, in percentage points and in the benchmark's good
    direction, when every lm of the data is given one level instead of the other and all its other
    recorded facts are held as they are. It is an association adjusted for the modelled covariates.

    Parameters
    ----------
    fit
        The fit.
    decision
        One name or several; all decisions of the fit if left out.
    by
        `benchmark`, `task_family` or `overall`.

    Returns
    -------
    Effects
        Draws with dims chain, draw, contrast, target, and `.table()`.

    Raises
    ------
    QueryError
        If a decision or `by` is not known.

    Examples
    --------
    >>> import bayesmeta as bm
    >>> bm.effects(bm.load_reference_fit(), "norm").table()["level"].tolist()
    ['nonparametric', 'rmsnorm']
    """
    _check_by(by)
    names = [decision] if isinstance(decision, str) else list(decision or list_decisions(fit))
    for name in names:
        find_decision(fit, name=name)
    contrasts = tuple(c for name in names for c in default_contrasts(fit, decision=name))
    if not contrasts:
        raise QueryError("this fit has no decisions (a scale-only model). Fit one with decisions.")
    parts = [contrast_draws(fit, contrast=contrast, by=by) for contrast in contrasts]
    weights = target_weights(fit.design, by=by)
    verdicts = [
        [judge(fit, contrast=contrast, weights=row).verdict for row in weights.values]
        for contrast in contrasts
    ]
    draws = xr.concat(parts, dim=pd.Index([c.label for c in contrasts], name="contrast"))
    return Effects(
        draws=draws.transpose("chain", "draw", "contrast", "target"),
        contrasts=contrasts,
        by=by,
        verdicts=np.array(verdicts),
    )


def prob_helps(
    fit: Fit,
    decision: str,
    level: str | float,
    *,
    over: str | float,
    benchmark: str | None = None,
    task_family: str | None = None,
) -> Probability:
    """Compute the posterior probability that one level scores higher than another.

    Parameters
    ----------
    fit
        The fit.
    decision
        Name of the decision.
    level, over
        What is compared with what.
    benchmark, task_family
        Where; over all benchmarks if both are left out.

    Returns
    -------
    Probability
        Estimate and Monte Carlo standard error.

    Raises
    ------
    QueryError
        If a name is not known, or both `benchmark` and `task_family` are given.

    Examples
    --------
    >>> import bayesmeta as bm
    >>> bm.prob_helps(bm.load_reference_fit(), "block", "parallel", over="sequential").mcse < 0.05
    True
    """
    contrast = build_contrast(fit, decision=decision, level=level, reference=over)
    by, target = pick_target(fit, benchmark=benchmark, task_family=task_family)
    draws = contrast_draws(fit, contrast=contrast, by=by).sel(target=target)
    return estimate_probability(draws.values > 0)


def pick_target(fit: Fit, *, benchmark: str | None, task_family: str | None) -> tuple[str, str]:
    """Turn the two optional names into a kind of target and its name."""
    if benchmark is not None and task_family is not None:
        raise QueryError("both a benchmark and a task family were given. Name one of them.")
    if benchmark is not None:
        return "benchmark", _known(benchmark, fit.design.benchmarks, "benchmark")
    if task_family is not None:
        return "task_family", _known(task_family, fit.design.task_families, "task family")
    return "overall", "overall"


def _known(name: str, allowed: Sequence[str], what: str) -> str:
    if name not in allowed:
        raise QueryError(
            f"{what} '{name}' is not in this fit.{suggest(name, allowed)} Allowed: "
            f"{listing(allowed)}."
        )
    return name


def _check_by(by: str) -> None:
    if by not in BY:
        raise QueryError(f"by '{by}' is not known.{suggest(by, BY)} Allowed: {listing(BY)}.")


def check_ci_prob(ci_prob: float) -> None:
    """Refuse a probability of an interval that is none."""
    if not 0 < ci_prob < 1:
        raise QueryError(f"ci_prob is {ci_prob}. Allowed: a number between 0 and 1, such as 0.9.")
