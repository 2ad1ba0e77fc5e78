"""Effects of decisions and of substitutions in the training mix: draws, tables, probabilities."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import xarray as xr
from numpy.typing import NDArray

from bayesmeta import defaults
from bayesmeta.errors import QueryError
from bayesmeta.estimates import summary
from bayesmeta.estimates.answer_words import columns_of
from bayesmeta.estimates.counterfactual import (
    ASSOCIATION,
    as_names,
    check_by,
    choose_kind,
    contrast_draws,
    effect_on_benchmarks,
    select_lms,
    weigh_benchmarks,
    weigh_target,
)
from bayesmeta.estimates.evidence_card import judge, list_outside, support_of
from bayesmeta.estimates.question import (
    LM_FAMILY,
    UNITS,
    UNITS_APART,
    Names,
    Sizes,
    Statement,
    ask_unit,
    build_contrast,
    check_fit,
    default_contrasts,
    find_decision,
    format_level,
    list_apart,
    list_decisions,
    list_statements,
    list_substitutions,
    read_sizes,
)
from bayesmeta.tables.headed_columns import head
from bayesmeta.tables.notebook import NotebookView, show_table
from bayesmeta.tables.wording import KIND_WORDS, count

if TYPE_CHECKING:
    from bayesmeta.design.facts import Settings
    from bayesmeta.inference.fits import Fit


@dataclass(frozen=True, eq=False, repr=False)
class Effects(NotebookView):
    """Draws of effects, and the table that follows from them.

    Parameters
    ----------
    draws
        Percentage points, or latent units, with dims chain, draw, contrast, target; benchmarks with
        their `label` and `task_family` as coordinates. Missing for families that a contrast does
        not apply to, since none of their LMs records the part that shrinks.
    contrasts
        What is compared with what, in the order of the dim contrast.
    by
        What a target is: a benchmark, a task family, or all benchmarks.
    verdicts
        Verdict on every contrast and target, shape (contrast, target); blank where the contrast
        does not apply.
    counts
        Numbers of LMs, and of their families, behind every contrast: at its level; of a number,
        that record it; of a substitution, that it is averaged over.
    n_lms
        Number of LMs that every contrast is averaged over, if not all LMs of the data.
    among
        Names of the LMs, or families, that were asked about; none where all were.
    kind
        Whether these are of an `association`, an `effect`, or an effect in a `new_setting`; the
        verdicts are on the effect, where the fit tells it.
    apart
        Targets with a unit of their own: their effects are in hundredths of a declared range.
    at
        Size and tokens that all LMs were given; none where they have their own.
    outside
        Which of these lie outside the data.
    """

    draws: xr.DataArray
    contrasts: tuple[Statement, ...]
    by: str
    verdicts: NDArray[np.str_]
    counts: tuple[tuple[int, int], ...]
    n_lms: tuple[int, ...] | None = None
    among: tuple[str, ...] = ()
    kind: str = ASSOCIATION
    apart: tuple[str, ...] = ()
    at: Sizes = ()
    outside: tuple[str, ...] = ()

    def table(self, *, ci_prob: float = defaults.CI_PROB) -> pd.DataFrame:
        """Summarise the effects; equal-tailed intervals have the probability `ci_prob`.

        Returns
        -------
        pandas.DataFrame
            One row per contrast and target that it applies to: the median and standard deviation in
            percentage points, interval, probability that the level helps with its MCSE, kind and
            verdict; of substitutions also the number of LMs averaged over; `at`, the size and
            tokens that all LMs were given, if any. Which LMs were asked about, where not all were,
            is in `attrs["among"]`.

        Raises
        ------
        QueryError
            If the probability is not between 0 and 1.
        """
        summary.check_ci_prob(ci_prob)
        return head(pd.DataFrame(self._list_rows(ci_prob)), among=self.among)

    def _list_rows(self, ci_prob: float) -> Iterator[dict[str, Any]]:
        """Summarise effect by effect."""
        draws, shared = self.draws.values, self.draws.attrs["units"]
        for k, contrast in enumerate(self.contrasts):
            for t, target in enumerate(self.draws["target"].values):
                values = draws[:, :, k, t]
                if np.isnan(values[0, 0]):
                    continue
                units = UNITS_APART if shared == UNITS and target in self.apart else shared
                yield {
                    "decision": contrast.decision,
                    "level": format_level(contrast.level),
                    "reference": format_level(contrast.reference),
                    "by": self.by,
                    "target": str(target),
                    **summary.summarise_effect(values, ci_prob=ci_prob, units=units),
                    "kind": self.kind,
                    "verdict": str(self.verdicts[k, t]),
                    **({} if self.n_lms is None else {"n_lms": self.n_lms[k]}),
                    **columns_of(self.at, self.outside),
                }

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
        known = self.draws.notnull()
        helps = (self.draws > 0).where(known).mean(("chain", "draw"))
        return float(np.minimum(helps, 1 - helps).mean())

    def _show_parts(self) -> Iterator[str]:
        yield self._show_title()
        first = islice(self._list_rows(defaults.CI_PROB), defaults.ROWS_SHOWN)
        table = head(pd.DataFrame(first), among=self.among)
        n = int((~np.isnan(self.draws.values[0, 0])).sum())
        yield show_table(table, n_rows=n, whole=".table()")

    def __repr__(self) -> str:
        n, targets = self.draws.sizes["contrast"], self.draws.sizes["target"]
        what = f"{n} {KIND_WORDS[self.kind]} on {count(targets, 'target', 'targets')} by {self.by}"
        return summary.outline(self, what, self.draws)


def effects(
    fit: Fit,
    decision: str | Sequence[str] | None = None,
    *,
    by: str = "overall",
    lms: Names = None,
    lm_family: Names = None,
    scale: str = "score",
    kind: str | None = None,
    at: Settings | None = None,
) -> Effects:
    """Compute the effects of design decisions on the score scale.

    An effect is the difference in expected score, in percentage points and in the benchmark's good
    direction, when every LM of the data is given one level instead of the other and all its other
    recorded facts are held as they are. It is an association adjusted for the modelled covariates,
    unless controlled experiments informed the fit.

    Parameters
    ----------
    fit
        The fit.
    decision
        One name or several, each with all its levels, or statements such as `attention: gqa > mha`
        or `code_share: 20 > 5`; all decisions of the fit if left out.
    by
        `benchmark`, `task_family` or `overall`; or `lm_family`: over all benchmarks, and over the
        LMs of each family alone.
    lms, lm_family
        Names of the LMs, or of the families, that effects are averaged over; all if left out. One
        name makes it a reference LM. Verdicts are on the effect over all LMs.
    scale
        `score`: percentage points; `latent`: logits, where effects add up.
    kind
        Of a fit with experiments: `effect`, what changing the decision does on average, if left
        out; `new_setting`, the same in a setting that is not in the data; or `association`, what
        distinguishes LMs that have it. Other fits tell associations alone.
    at
        Size and tokens that all LMs are given first, such as `{"n_params": 7e9, "n_tokens": 2e12}`;
        their own if left out. Far from all LMs and experiments effects are less certain.

    Returns
    -------
    Effects
        Draws with dims chain, draw, contrast, target, and `.table()`.

    Raises
    ------
    QueryError
        If a name, `by`, `scale` or `kind` is not known, or a statement cannot be read.

    Examples
    --------
    >>> import bayesmeta as bm
    >>> effects(bm.load_reference_fit(), "norm").table()["level"].tolist()
    ['nonparametric', 'rmsnorm']
    >>> len(effects(bm.load_reference_fit(), "attention: gqa > mha", by="benchmark").table())
    13
    """
    check_fit(fit)
    check_by(by, more=(LM_FAMILY,))
    rows, among = select_lms(fit.design, lms=lms, lm_family=lm_family)
    names = as_names(decision, allowed=list_decisions(fit.design))
    if not names and decision is not None:
        raise QueryError(
            "decision is an empty list. Allowed: a name, a statement, or a list of at least one; "
            "leave it out for all."
        )
    contrasts = [contrast for name in names for contrast in _list_contrasts(fit, name)]
    if not contrasts:
        raise QueryError("this fit has no decisions (a scale-only model). Fit one with decisions.")
    chosen = choose_kind(fit, kind)
    sizes = read_sizes(fit.design, at, compared=[one.decision for one in contrasts])
    found = _collect(fit, contrasts, by=by, rows=rows, scale=scale, kind=chosen, at=sizes)
    return replace(found, among=among, at=sizes, outside=list_outside(fit, sizes))


def _list_contrasts(fit: Fit, name: str) -> Sequence[Statement]:
    """List the contrasts of a decision, or the one of a statement."""
    if name in list_decisions(fit.design):
        return default_contrasts(fit.design, name)
    try:
        return list_statements(fit.design, name)
    except QueryError:
        if not any(sign in name for sign in (":", "<", ">", " ")):
            find_decision(fit.design, name)
        raise


def _collect(
    fit: Fit,
    contrasts: Sequence[Statement],
    *,
    by: str,
    rows: NDArray[np.bool_] | None = None,
    scale: str = "score",
    kind: str,
    at: Sizes = (),
) -> Effects:
    asked: Any = {"by": by, "rows": rows, "scale": scale, "at": at}
    parts = [contrast_draws(fit, contrast=contrast, kind=kind, **asked) for contrast in contrasts]
    present = {str(name) for part in parts for name in part["target"].values}
    names = fit.design.lm_families if by == LM_FAMILY else weigh_benchmarks(fit.design, by=by)[0]
    targets = [name for name in names if name in present]
    verdicts, counts = [], []
    for contrast, part in zip(contrasts, parts, strict=True):
        if kind == choose_kind(fit):
            helps = (part > 0).mean(("chain", "draw")).values
        else:
            of_effect = contrast_draws(fit, contrast=contrast, kind=choose_kind(fit), **asked)
            helps = (of_effect > 0).mean(("chain", "draw")).values
        judged = judge(fit, contrast=contrast, weights=_weights_of(fit, part), probabilities=helps)
        said = {str(t): j.verdict for t, j in zip(part["target"].values, judged, strict=True)}
        verdicts.append([said.get(target, "") for target in targets])
        found = support_of(fit.design, contrast)
        lms, families = (next(iter(found[key].values())) for key in ("lms", "lm_families"))
        counts.append((lms, families))
    index = pd.Index([c.label for c in contrasts], name="contrast")
    draws = xr.concat(parts, dim=index, join="outer").sel(target=targets)
    if by == "benchmark":
        design = fit.design
        tasks = [design.task_families[k] for k in design.task_family_index]
        draws = draws.assign_coords(
            label=("target", list(design.benchmark_labels)), task_family=("target", tasks)
        )
    return Effects(
        kind=kind,
        draws=draws.transpose("chain", "draw", "contrast", "target"),
        contrasts=tuple(contrasts),
        by=by,
        verdicts=np.array(verdicts),
        counts=tuple(counts),
        apart=list_apart(fit.design),
    )


def _weights_of(fit: Fit, part: xr.DataArray) -> NDArray[np.float64]:
    """Weight of every benchmark in every target of an effect, shape (target, benchmark)."""
    _, weights = weigh_benchmarks(fit.design, by=part.attrs["by"])
    return weights.repeat(part.sizes["target"] // len(weights), axis=0)


def substitutions(
    fit: Fit,
    receiver: str | None = None,
    *,
    points: float = 10.0,
    by: str = "overall",
    kind: str | None = None,
) -> Effects:
    """Compute what it does to substitute points of one part of the training mix for another.

    The mix is a whole: more code is less of something else, and the effect depends on what.
    Every substitution is averaged over the LMs that record at least that many points of the part
    that shrinks; all other parts, and all other recorded facts, are held as they are.

    Substitutions that no LM can make are left out.

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
    kind
        As in `effects`.

    Returns
    -------
    Effects
        Draws with dims chain, draw, contrast, target, and `.table()`, in which `level` is what
        moves and `reference` the part that shrinks.

    Raises
    ------
    QueryError
        If the part, `by` or `kind` is not known, the points are out of range, or no LM can make
        the substitution.

    Examples
    --------
    >>> import bayesmeta as bm
    >>> bm.substitutions(bm.load_reference_fit(), "code_share").table()["reference"].tolist()[:2]
    ['web_share', 'books_share']
    """
    check_fit(fit)
    check_by(by)
    found = list_substitutions(fit.design, receiver=receiver, points=points)
    n_lms = tuple(int(one.applies(fit.design).sum()) for one in found)
    return replace(_collect(fit, found, by=by, kind=choose_kind(fit, kind)), n_lms=n_lms)


def prob_helps(
    fit: Fit,
    decision: str,
    level: str | float,
    *,
    over: str | float,
    benchmark: str | None = None,
    task_family: str | None = None,
) -> summary.Probability:
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
    check_fit(fit)
    ask_unit(fit.design, decision, (level, over))
    contrast = build_contrast(fit.design, decision=decision, level=level, reference=over)
    _, weights = weigh_target(fit.design, benchmark=benchmark, task_family=task_family)
    values = effect_on_benchmarks(fit, contrast, kind=choose_kind(fit)) @ weights
    return summary.estimate_probability(values > 0)
