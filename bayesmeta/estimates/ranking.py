"""What is best: levels of a decision, or designs of an LM and what they cost to train."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import xarray as xr
from numpy.typing import NDArray

from bayesmeta import defaults
from bayesmeta.data.decisions import UNDISCLOSED
from bayesmeta.data.load import read_lms
from bayesmeta.errors import QueryError, listing, shorten
from bayesmeta.estimates.counterfactual import (
    ASSOCIATION,
    as_names,
    average_benchmarks,
    check_by,
    choose_kind,
    mean_score_at,
    to_points,
    weigh_benchmarks,
)
from bayesmeta.estimates.evidence_card import judge, support_of
from bayesmeta.estimates.predictions import label_scores, name_facts, place_lms
from bayesmeta.estimates.question import (
    UNITS,
    build_contrast,
    check_fit,
    check_seed,
    default_contrasts,
    find_decision,
    list_levels,
)
from bayesmeta.estimates.summary import (
    check_ci_prob,
    effective_size,
    estimate_probability,
    outline,
    summarise,
)
from bayesmeta.model.predictor import expected_score
from bayesmeta.tables.notebook import NotebookView, show_table, show_text
from bayesmeta.tables.wording import count, name_few

if TYPE_CHECKING:
    from bayesmeta.inference.fits import Fit


REFERENCE = "reference"
"""What stands for the verdict on the commonest level, with which the others are compared."""


@dataclass(frozen=True, eq=False, repr=False)
class Ranking(NotebookView):
    """Ranks of the levels of a decision, draw by draw.

    Parameters
    ----------
    decision
        Name of the decision, one with levels: a number has a curve instead.
    by
        What a target is: a benchmark, a task family, or all benchmarks.
    ranks
        Dims chain, draw, level, target; 1 is the level with the highest score.
    counts
        Numbers of LMs and of their families that have every level.
    verdicts
        Verdict on every level against the commonest one, shape (level, target); `reference` for the
        commonest.
    kind
        Whether levels differ by their `association`, their `effect`, or that in a `new_setting`.
    """

    decision: str
    by: str
    ranks: xr.DataArray
    counts: tuple[tuple[int, int], ...]
    verdicts: NDArray[np.str_]
    kind: str = ASSOCIATION

    def table(self) -> pd.DataFrame:
        """Summarise the ranks.

        Returns
        -------
        pandas.DataFrame
            One row per target and level, the most probable best first: `prob_best` and its
            `mcse`, `expected_rank` and its `mcse_rank`, the number of `levels` compared, numbers of
            `lms` and `lm_families` that have the level, its `verdict`, and `kind`.
        """
        rows = []
        for t, target in enumerate(self.ranks["target"].values):
            part = [
                {
                    "decision": self.decision, "level": str(level), "by": self.by,
                    "target": str(target), **_summarise_ranks(self.ranks.values[:, :, k, t]),
                    "levels": self.ranks.sizes["level"], "lms": self.counts[k][0],
                    "lm_families": self.counts[k][1], "verdict": str(self.verdicts[k, t]),
                    "kind": self.kind,
                }
                for k, level in enumerate(self.ranks["level"].values)
            ]  # fmt: skip
            rows += sorted(part, key=lambda row: row["expected_rank"])
        return pd.DataFrame(rows)

    @property
    def caution(self) -> str:
        """Say of levels that come first what keeps them from being called the best; or nothing."""
        table = self.table()
        first = table.groupby("target", sort=False).head(1)
        likeliest = table.loc[table.groupby("target", sort=False)["prob_best"].idxmax()]
        others = likeliest[~likeliest.index.isin(first.index)]
        found = [*_warn("comes first", first), *_warn("is the best in most draws", others)]
        return " ".join(found)

    def _show_parts(self) -> Iterator[str]:
        yield self._show_title()
        yield show_table(self.table(), whole=".table()")
        if self.caution:
            yield show_text(self.caution)

    def __repr__(self) -> str:
        levels, targets = self.ranks.sizes["level"], self.ranks.sizes["target"]
        where = f"on {count(targets, 'target', 'targets')} by {self.by}"
        what = f"{levels} levels of {self.decision} {where}"
        return outline(self, what, self.ranks)


def _warn(what: str, rows: pd.DataFrame) -> Iterator[str]:
    """Word a warning of every level that too little stands behind to call it the best."""
    few = rows["lm_families"] < defaults.FAMILIES_LEAST
    few |= rows["lms"] < defaults.LMS_LEAST
    weak = rows[few | (rows["verdict"] == defaults.PRIOR_DOMINATED)]
    for level, part in weak.groupby("level", sort=False):
        lms, families = (int(part[key].iloc[0]) for key in ("lms", "lm_families"))
        yield (
            f"{level} {what}{_list_targets(part)}, but rests on {count(lms, 'LM', 'LMs')} of "
            f"{count(families, 'family', 'families')}: do not call it the best."
        )


def _list_targets(rows: pd.DataFrame) -> str:
    """Name targets, unless they are all benchmarks together."""
    names = [str(name) for name in rows["target"] if name != "overall"]
    return f" on {name_few(names)}" if names else ""


def rank_levels(
    fit: Fit, decision: str, *, by: str = "overall", kind: str | None = None
) -> Ranking:
    """Rank the levels of a decision by the expected score, with every LM given each in turn.

    Levels are ranked within each draw, so that what they have in common cancels out. A level that
    few LMs have has an uncertain score and is the best in many draws for that alone: the expected
    rank says so, and the evidence of its contrasts.

    Parameters
    ----------
    fit
        The fit.
    decision
        Name of a categorical decision.
    by
        `benchmark`, `task_family` or `overall`.
    kind
        Whether levels differ by their `effect`, by that in a `new_setting`, or by their
        `association`; the effect where the fit tells it, if left out.

    Returns
    -------
    Ranking
        Draws with dims chain, draw, level, target, and `.table()`. Levels that are not disclosed
        are left out.

    Raises
    ------
    QueryError
        If the decision, `by` or `kind` is not known, or the decision is not categorical.

    Examples
    --------
    >>> import bayesmeta as bm
    >>> table = rank_levels(bm.load_reference_fit(), "attention").table()
    >>> bool(abs(table["prob_best"].sum() - 1) < 1e-9)
    True
    """
    check_fit(fit)
    check_by(by)
    found = find_decision(fit.design, decision)
    decision = found.name
    if found.kind != "categorical":
        raise QueryError(
            f"decision '{decision}' is a number and has no levels to rank. Allowed: categorical "
            f"decisions, such as position_embedding. Use bm.curve(fit, '{decision}') to find where "
            "the score is highest."
        )
    levels = [level for level in list_levels(fit.design, decision) if level != UNDISCLOSED]
    chosen = choose_kind(fit, kind)
    scores = xr.concat(
        [
            average_benchmarks(
                mean_score_at(fit, settings={decision: level}, kind=chosen), fit=fit, by=by
            )
            for level in levels
        ],
        dim=pd.Index(levels, name="level"),
    ).transpose("chain", "draw", "level", "target")
    ranks = _rank_draws(scores, dim="level")
    counts, verdicts = _judge_levels(fit, decision, ranks=ranks, by=by)
    return Ranking(decision, by=by, ranks=ranks, counts=counts, verdicts=verdicts, kind=chosen)


def _judge_levels(
    fit: Fit, decision: str, *, ranks: xr.DataArray, by: str
) -> tuple[tuple[tuple[int, int], ...], NDArray[np.str_]]:
    """Count LMs and families of every level, and judge it against the commonest one."""
    common = str(default_contrasts(fit.design, decision)[0].reference)
    other = next(one for one in list_levels(fit.design, decision) if one != common)
    _, weights = weigh_benchmarks(fit.design, by=by)
    counts, verdicts = [], []
    for level in (str(name) for name in ranks["level"].values):
        against = common if level != common else other
        contrast = build_contrast(fit.design, decision=decision, level=level, reference=against)
        support = support_of(fit.design, contrast)
        counts.append((support["lms"][level], support["lm_families"][level]))
        if level == common:
            verdicts.append([REFERENCE] * len(weights))
            continue
        better = ranks.sel(level=level).values < ranks.sel(level=common).values
        judged = judge(fit, contrast=contrast, weights=weights, probabilities=better.mean((0, 1)))
        verdicts.append([one.verdict for one in judged])
    return tuple(counts), np.array(verdicts)


def _rank_draws(scores: xr.DataArray, *, dim: str) -> xr.DataArray:
    """Rank along one dim within every draw; 1 is the highest, and of equal ones the first."""
    axis = scores.get_axis_num(dim)
    order = np.argsort(np.argsort(-scores.values, axis=axis, kind="stable"), axis=axis)
    return scores.copy(data=order + 1)


def _summarise_ranks(ranks: NDArray[np.int64]) -> dict[str, float]:
    """Summarise ranks (chain, draw): probability of the first, mean, Monte Carlo errors."""
    best = estimate_probability(ranks == 1)
    mcse = ranks.std() / np.sqrt(effective_size(ranks.astype(float)))
    return {"prob_best": best.estimate, "mcse": best.mcse,
            "expected_rank": float(ranks.mean()), "mcse_rank": float(mcse)}  # fmt: skip


_FLOP_PER_TOKEN = 6.0
"""Floating point operations per parameter and token: two forwards, four backwards (Kaplan et al.
2020, https://doi.org/10.48550/arXiv.2001.08361)."""


@dataclass(frozen=True, eq=False, repr=False)
class DesignRanking(NotebookView):
    """Scores and ranks of candidate designs, draw by draw.

    Parameters
    ----------
    scores
        Mean expected score over the benchmarks, percentage points with dims chain, draw, lm;
        higher is better, so that a Brier score counts with a minus.
    ranks
        Dims chain, draw, lm; 1 is the design with the highest score.
    benchmarks
        The benchmarks averaged over.
    training_flop
        Training compute by design.
    facts
        One row per design: its family, where it extrapolates, and what is missing.
    left_out
        Training compute of the designs over the budget, by name.
    """

    scores: xr.DataArray
    ranks: xr.DataArray
    benchmarks: tuple[str, ...]
    training_flop: Mapping[str, float]
    facts: pd.DataFrame
    left_out: Mapping[str, float]

    def table(self, *, ci_prob: float = defaults.CI_PROB) -> pd.DataFrame:
        """Summarise scores and ranks.

        Parameters
        ----------
        ci_prob
            Probability of the equal-tailed interval of the score.

        Returns
        -------
        pandas.DataFrame
            One row per design, the lowest expected rank first: `prob_best` and its `mcse`,
            `expected_rank` and its `mcse_rank`; median, standard deviation and interval of the
            mean expected score; training compute in FLOP; whether its family is `known` or `new`,
            the facts in which it extrapolates, and the missing ones.

        Raises
        ------
        QueryError
            If the probability is not between 0 and 1.
        """
        check_ci_prob(ci_prob)
        return pd.DataFrame(self._list_rows(ci_prob))

    def _list_rows(self, ci_prob: float) -> Iterator[dict[Any, Any]]:
        """Summarise design by design, the lowest expected rank first."""
        names, ranks, scores = self.ranks["lm"].values, self.ranks.values, self.scores.values
        for i in ranks.mean(axis=(0, 1)).argsort(kind="stable"):
            lm = str(names[i])
            yield {
                "lm": lm,
                **_summarise_ranks(ranks[:, :, i]),
                **summarise(scores[:, :, i], ci_prob=ci_prob, units=UNITS),
                "training_flop": self.training_flop[lm],
                "designs": len(names),
                **self.facts.iloc[i].to_dict(),
            }

    def _show_parts(self) -> Iterator[str]:
        yield self._show_title()
        first = islice(self._list_rows(defaults.CI_PROB), defaults.ROWS_SHOWN)
        n = self.ranks.sizes["lm"]
        yield show_table(pd.DataFrame(first), n_rows=n, whole=".table()")

    def __repr__(self) -> str:
        over = f", {len(self.left_out)} over the budget" if self.left_out else ""
        what = f"{self.ranks.sizes['lm']} designs on {len(self.benchmarks)} benchmarks{over}"
        return outline(self, what, self.ranks)


def training_flop(lms: pd.DataFrame) -> dict[str, float]:
    """Estimate the training compute of LMs: six operations per parameter and token.

    Parameters
    ----------
    lms
        Table of LMs.

    Returns
    -------
    dict of float
        Floating point operations by name.

    Examples
    --------
    >>> training_flop(pd.DataFrame({"lm": ["a"], "n_params": [7e9], "n_tokens": [1e12]}))
    {'a': 4.2e+22}
    """
    flop = _FLOP_PER_TOKEN * lms["n_params"].astype(float) * lms["n_tokens"].astype(float)
    return {str(lm): float(value) for lm, value in zip(lms["lm"], flop, strict=True)}


def rank_designs(
    fit: Fit,
    candidates: Any,
    *,
    benchmarks: str | Sequence[str] | None = None,
    budget: float | None = None,
    seed: int = defaults.SEED,
) -> DesignRanking:
    """Rank candidate designs by the mean expected score over benchmarks.

    Designs are ranked within each draw, so that what they have in common cancels out, such as the
    effect of a new family that they share. The effect of each LM, which no design decides, is part
    of its score: of two equal designs each is the best with probability one half. Designs differ by
    the effects of what they decide where the fit tells these, and else by associations; `predict`
    always goes by associations.

    Parameters
    ----------
    fit
        The fit.
    candidates
        LMs, as `predict` takes them.
    benchmarks
        One name or several; all benchmarks if left out.
    budget
        Largest training compute in FLOP; candidates above it are left out and named.
    seed
        Seed of the draws of what is new.

    Returns
    -------
    DesignRanking
        Draws of scores and ranks, and `.table()`.

    Raises
    ------
    DataError
        If the table cannot be read, or holds a value that is not allowed.
    QueryError
        If a level or benchmark is not in the fit's data, or the budget leaves out all candidates.

    Examples
    --------
    >>> import bayesmeta as bm
    >>> new = pd.DataFrame({"lm": ["small", "large"], "lm_family": "x", "n_params": [1e9, 7e10],
    ...                     "n_tokens": [3e11, 2e12]})
    >>> bm.rank_designs(bm.load_reference_fit(), new).table()["lm"].tolist()
    ['large', 'small']
    """
    check_fit(fit)
    check_seed(seed)
    names = _read_benchmarks(fit, benchmarks)
    lms = read_lms(candidates, families=fit.design.lm_families, decisions=fit.design.own_decisions)
    flop = training_flop(lms)
    left_out = _over_budget(flop, budget)
    kept = lms[~lms["lm"].isin(list(left_out))].reset_index(drop=True)
    placed = place_lms(fit, kept, seed=seed)
    latent = placed.latent(fit, kind=choose_kind(fit))
    points = to_points(expected_score(latent, design=placed.design), design=fit.design)
    wanted = [fit.design.benchmarks.index(name) for name in names]
    scores = label_scores(fit, kept, points[..., wanted].mean(axis=-1))
    return DesignRanking(
        scores=scores,
        ranks=_rank_draws(scores, dim="lm"),
        benchmarks=names,
        training_flop=flop,
        facts=name_facts(fit, kept),
        left_out=left_out,
    )


def _read_benchmarks(fit: Fit, benchmarks: str | Sequence[str] | None) -> tuple[str, ...]:
    """Check names of benchmarks; each counts once."""
    known = fit.design.benchmarks
    names = as_names(benchmarks, allowed=known, what="benchmark", said="is not in this fit")
    if not names:
        raise QueryError(
            "no benchmark is named. Leave benchmarks out for all of them. Allowed: "
            f"{listing(known)}."
        )
    alike = [name for name in names if name not in fit.design.apart]
    if benchmarks is None and alike:
        return tuple(alike)
    if len(names) > max(len(alike), 1):
        apart = listing(name for name in names if name not in alike)
        raise QueryError(
            f"{apart} have units of their own, and no mean with others. Allowed: one of them, or "
            f"some of {listing(alike)}. Name these."
        )
    return tuple(names)


def _over_budget(flop: Mapping[str, float], budget: float | None) -> dict[str, float]:
    """Pick the candidates that cost more than the budget; refuse one that leaves none."""
    if budget is None:
        return {}
    if not (isinstance(budget, int | float) and math.isfinite(budget) and budget > 0):
        raise QueryError(
            f"budget is {budget!r}. Allowed: a number above 0, the training compute in FLOP, such "
            "as 1e23."
        )
    blank = [name for name, value in flop.items() if math.isnan(value)]
    if blank:
        raise QueryError(
            f"a budget is given, and the compute of '{shorten(blank[0])}' is not known: n_params "
            "or n_tokens is blank. Allowed: candidates of known size. Fill them in, or leave "
            "budget out."
        )
    over = {name: value for name, value in flop.items() if value > budget}
    if len(over) == len(flop):
        cheapest = min(flop, key=flop.__getitem__)
        raise QueryError(
            f"the budget of {budget:g} FLOP leaves out all {len(flop)} candidates; the cheapest, "
            f"'{cheapest}', takes {flop[cheapest]:.3g}. Raise the budget or add smaller designs."
        )
    return over
