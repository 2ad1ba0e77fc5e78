"""Effects of decisions and of swaps in the training mix: draws, tables, probabilities."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
import xarray as xr
from numpy.typing import NDArray

from bayesmeta import defaults
from bayesmeta.effects.estimands import (
    LM_FAMILY,
    UNITS,
    build_contrast,
    default_contrasts,
    find_decision,
    format_level,
    list_decisions,
)
from bayesmeta.effects.evidence import judge, support_of
from bayesmeta.effects.mix_swaps import Asked, can_give, list_swaps
from bayesmeta.effects.monte_carlo import Probability, estimate_probability
from bayesmeta.effects.scores import check_by, contrast_draws, target_weights
from bayesmeta.effects.selection import Names, as_names, name_selection, select_lms
from bayesmeta.effects.statements import parse_statement
from bayesmeta.errors import QueryError, listing, shorten, suggest
from bayesmeta.inference.fits import Fit

__all__ = ["Effects", "effects", "prob_helps", "swaps"]


@dataclass(frozen=True, eq=False, repr=False)
class Effects:
    """Draws of effects, and the table that follows from them.

    Parameters
    ----------
    draws
        Percentage points, or latent units, with dims chain, draw, contrast, target; benchmarks with
        their `label` and `task_family` as coordinates.
    contrasts
        What is compared with what, in the order of the dim contrast.
    by
        What a target is: a benchmark, a task family, or all benchmarks.
    verdicts
        Verdict on every contrast and target, shape (contrast, target).
    n_lms
        Number of lms that every contrast is averaged over, if not all lms of the data.
    counts
        Numbers of lms, and of their families, behind every contrast: at its level; of a number,
        that record it; of a swap, that it is averaged over.
    among
        Names of the lms, or families, that were asked about; none where all were.
    """

    draws: xr.DataArray
    contrasts: tuple[Asked, ...]
    by: str
    verdicts: NDArray[np.str_]
    n_lms: tuple[int, ...] | None = None
    counts: tuple[tuple[int, int], ...] | None = None
    among: tuple[str, ...] = ()

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
            points, interval, probability that the level helps with its MCSE, and verdict; of swaps
            also the number of lms averaged over. Which lms were asked about, where not all were, is
            in `attrs["among"]`.

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
                        **summarise(values, ci_prob=ci_prob, units=self.draws.attrs["units"]),
                        "prob_helps": helps.estimate,
                        "mcse": helps.mcse,
                        "verdict": str(self.verdicts[k, t]),
                        **({} if self.n_lms is None else {"n_lms": self.n_lms[k]}),
                    }
                )
        table = pd.DataFrame(rows)
        table.attrs["among"] = self.among
        return table

    def wrong_signs(self) -> float:
        """Compute the share of effects that would have the wrong sign, were all signs claimed.

        Each effect is taken to have the sign of its more probable half (errors of type S: Gelman &
        Tuerlinckx 2000, https://doi.org/10.1007/s001800000040).

        Returns
        -------
        float
            Expected share over all contrasts and targets, between 0 and one half.

        Examples
        --------
        >>> import bayesmeta as bm
        >>> 0 < effects(bm.load_reference_fit()).wrong_signs() < 0.5
        True
        """
        helps = (self.draws > 0).mean(("chain", "draw"))
        return float(np.minimum(helps, 1 - helps).mean())

    def __repr__(self) -> str:
        sizes = self.draws.sizes
        return (
            f"Effects({sizes['contrast']} contrasts on {sizes['target']} targets by {self.by}, "
            f"{sizes['chain']} chains x {sizes['draw']} draws)"
        )


def summarise(
    values: NDArray[np.float64], *, ci_prob: float, units: str = UNITS
) -> dict[str, float | str]:
    """Summarise draws by median, standard deviation and equal-tailed interval."""
    tail = (1 - ci_prob) / 2
    lower, estimate, upper = np.quantile(values, [tail, 0.5, 1 - tail])
    return {
        "estimate": float(estimate),
        "sd": float(values.std()),
        "lower": float(lower),
        "upper": float(upper),
        "ci_prob": ci_prob,
        "units": units,
    }


def effects(
    fit: Fit,
    decision: str | Sequence[str] | None = None,
    *,
    by: str = "overall",
    lms: Names = None,
    lm_family: Names = None,
    scale: str = "score",
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
        One name or several, each with all its levels, or statements such as `attention: gqa > mha`
        or `code_share: 20 > 5`; all decisions of the fit if left out.
    by
        `benchmark`, `task_family` or `overall`; or `lm_family`: over all benchmarks, and over the
        lms of each family alone.
    lms, lm_family
        Names of the lms, or of the families, that effects are averaged over; all if left out. One
        name makes it a reference lm. Verdicts are on the effect over all lms.
    scale
        `score`: percentage points; `latent`: logits, where effects add up.

    Returns
    -------
    Effects
        Draws with dims chain, draw, contrast, target, and `.table()`.

    Raises
    ------
    QueryError
        If a name, `by` or `scale` is not known, or a statement cannot be read.

    Examples
    --------
    >>> import bayesmeta as bm
    >>> effects(bm.load_reference_fit(), "norm").table()["level"].tolist()
    ['nonparametric', 'rmsnorm']
    >>> len(effects(bm.load_reference_fit(), "attention: gqa > mha", by="benchmark").table())
    13
    """
    check_by(by, more=(LM_FAMILY,))
    rows = (
        None if lms is None and lm_family is None else select_lms(fit, lms=lms, lm_family=lm_family)
    )
    names = as_names(decision, allowed=list_decisions(fit))
    if not names and decision is not None:
        raise QueryError(
            "decision is an empty list. Allowed: a name, a statement, or a list of at least one; "
            "leave it out for all."
        )
    contrasts = [contrast for name in names for contrast in _list_contrasts(fit, name)]
    if not contrasts:
        raise QueryError("this fit has no decisions (a scale-only model). Fit one with decisions.")
    found = _collect(fit, contrasts, by=by, rows=rows, scale=scale)
    return replace(found, among=name_selection(lms=lms, lm_family=lm_family))


def _list_contrasts(fit: Fit, name: str) -> Sequence[Asked]:
    """List the contrasts of a decision, or the one of a statement."""
    if ":" in name or "->" in name:
        return [parse_statement(fit, statement=name)]
    find_decision(fit, name=name)
    return default_contrasts(fit, decision=name)


def _collect(
    fit: Fit,
    contrasts: Sequence[Asked],
    *,
    by: str,
    n_lms: tuple[int, ...] | None = None,
    rows: NDArray[np.bool_] | None = None,
    scale: str = "score",
) -> Effects:
    parts = [
        contrast_draws(fit, contrast=contrast, by=by, rows=rows, scale=scale)
        for contrast in contrasts
    ]
    verdicts, counts = [], []
    for contrast, part in zip(contrasts, parts, strict=True):
        helps = (part > 0).mean(("chain", "draw")).values
        judged = judge(fit, contrast=contrast, weights=_weights_of(fit, part), probabilities=helps)
        verdicts.append([judgement.verdict for judgement in judged])
        counts.append(_count(fit, contrast))
    draws = xr.concat(parts, dim=pd.Index([c.label for c in contrasts], name="contrast"))
    if by == "benchmark":
        design = fit.design
        tasks = [design.task_families[k] for k in design.task_family_index]
        draws = draws.assign_coords(
            label=("target", list(design.benchmark_labels)), task_family=("target", tasks)
        )
    return Effects(
        draws=draws.transpose("chain", "draw", "contrast", "target"),
        contrasts=tuple(contrasts),
        by=by,
        verdicts=np.array(verdicts),
        n_lms=n_lms,
        counts=tuple(counts),
    )


def _count(fit: Fit, contrast: Asked) -> tuple[int, int]:
    """Count lms and families at the level, or that record a number or make a swap."""
    found = support_of(fit, contrast)
    lms, families = (next(iter(found[key].values())) for key in ("lms", "lm_families"))
    return lms, families


def _weights_of(fit: Fit, part: xr.DataArray) -> NDArray[np.float64]:
    """Weight of every benchmark in every target of an effect, shape (target, benchmark)."""
    if part.attrs["by"] != LM_FAMILY:
        return target_weights(fit.design, by=part.attrs["by"]).values
    return target_weights(fit.design, by="overall").values.repeat(part.sizes["target"], axis=0)


def swaps(
    fit: Fit, receiver: str | None = None, *, points: float = 10.0, by: str = "overall"
) -> Effects:
    """Compute what it does to move points of the training mix from one part to another.

    The mix is a whole: more code is less of something else, and the effect depends on what. Every
    swap is averaged over the lms that record at least that many points of the part that shrinks;
    all other parts, and all other recorded facts, are held as they are. Swaps that no lm can make
    are left out.

    Parameters
    ----------
    fit
        The fit.
    receiver
        The part that grows; every part in turn if left out.
    points
        What moves, in percent of the training tokens.
    by
        `benchmark`, `task_family` or `overall`.

    Returns
    -------
    Effects
        Draws with dims chain, draw, contrast, target, and `.table()`, in which `level` is what
        moves and `reference` the part that shrinks.

    Raises
    ------
    QueryError
        If the part or `by` is not known, the points are out of range, or no lm can make the swap.

    Examples
    --------
    >>> import bayesmeta as bm
    >>> bm.swaps(bm.load_reference_fit(), "code_share").table()["reference"].tolist()[:2]
    ['web_share', 'books_share']
    """
    check_by(by)
    found = list_swaps(fit, receiver=receiver, points=points)
    n_lms = tuple(int(can_give(fit, swap=swap).sum()) for swap in found)
    return _collect(fit, found, by=by, n_lms=n_lms)


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
    if not isinstance(name, str) or name not in allowed:
        raise QueryError(
            f"{what} '{shorten(name)}' is not in this fit.{suggest(name, allowed)} Allowed: "
            f"{listing(allowed)}."
        )
    return name


def check_ci_prob(ci_prob: float) -> None:
    """Refuse a probability of an interval that is none."""
    is_number = isinstance(ci_prob, int | float | np.number) and not isinstance(ci_prob, bool)
    if not is_number or not 0 < ci_prob < 1:
        raise QueryError(
            f"ci_prob is {shorten(ci_prob)}. Allowed: a number between 0 and 1, such as 0.9."
        )
