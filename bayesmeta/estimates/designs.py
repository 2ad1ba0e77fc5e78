"""Which of several designs of an lm is best, and what it costs to train."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from os import PathLike
from typing import TYPE_CHECKING

import pandas as pd
import xarray as xr

from bayesmeta import defaults
from bayesmeta.data.load import read_lms
from bayesmeta.errors import QueryError, listing
from bayesmeta.estimates.counterfactual import label_draws, to_points
from bayesmeta.estimates.newcomers import name_facts, place_lms
from bayesmeta.estimates.question import UNITS, as_names, check_fit, check_seed, pick_target
from bayesmeta.estimates.ranking import rank_draws, summarise_ranks
from bayesmeta.estimates.summary import check_ci_prob, summarise
from bayesmeta.model.predictor import expected_score

if TYPE_CHECKING:
    from bayesmeta.inference.fits import Fit

__all__ = ["DesignRanking", "rank_designs", "training_flop"]

_FLOP_PER_TOKEN = 6.0
"""Floating point operations per parameter and token: two forwards, four backwards (Kaplan et al.
2020, https://doi.org/10.48550/arXiv.2001.08361)."""


@dataclass(frozen=True, eq=False, repr=False)
class DesignRanking:
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
        One row per design: its family, where it extrapolates, and what is undisclosed.
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
            the facts in which it extrapolates, and the undisclosed ones.

        Raises
        ------
        QueryError
            If the probability is not between 0 and 1.
        """
        check_ci_prob(ci_prob)
        rows = [
            {
                "lm": str(lm),
                **summarise_ranks(self.ranks.values[:, :, i]),
                **summarise(self.scores.values[:, :, i], ci_prob=ci_prob, units=UNITS),
                "training_flop": self.training_flop[str(lm)],
                "designs": self.ranks.sizes["lm"],
                **self.facts.iloc[i].to_dict(),
            }
            for i, lm in enumerate(self.ranks["lm"].values)
        ]
        table = pd.DataFrame(rows).sort_values("expected_rank", kind="stable")
        return table.reset_index(drop=True)

    def __repr__(self) -> str:
        sizes = self.ranks.sizes
        over = f", {len(self.left_out)} over the budget" if self.left_out else ""
        return (
            f"DesignRanking({sizes['lm']} designs on {len(self.benchmarks)} benchmarks{over}, "
            f"{sizes['chain']} chains x {sizes['draw']} draws)"
        )


def training_flop(lms: pd.DataFrame) -> dict[str, float]:
    """Estimate the training compute of lms: six operations per parameter and token.

    Parameters
    ----------
    lms
        Table of lms.

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
    candidates: pd.DataFrame | str | PathLike[str],
    *,
    benchmarks: str | Sequence[str] | None = None,
    budget: float | None = None,
    seed: int = defaults.SEED,
) -> DesignRanking:
    """Rank candidate designs by the mean expected score over benchmarks.

    Designs are ranked within each draw, so that what they have in common cancels out, such as the
    effect of a new family that they share. The effect of each lm, which no design decides, is part
    of its score: of two equal designs each is the best with probability one half.

    Parameters
    ----------
    fit
        The fit.
    candidates
        A frame, or the path of a CSV file, with the columns of `lms.csv`; lm, lm_family, n_params
        and n_tokens are needed.
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
    lms = read_lms(candidates)
    flop = training_flop(lms)
    left_out = _over_budget(flop, budget)
    kept = lms[~lms["lm"].isin(list(left_out))].reset_index(drop=True)
    placed = place_lms(fit, kept, seed=seed)
    points = to_points(expected_score(placed.latent(fit), design=placed.design), design=fit.design)
    wanted = [fit.design.benchmarks.index(name) for name in names]
    scores = label_draws(fit, points[..., wanted].mean(axis=-1), lm=list(kept["lm"]))
    scores = scores.rename("score").assign_attrs(units=UNITS)
    return DesignRanking(
        scores=scores,
        ranks=rank_draws(scores, dim="lm"),
        benchmarks=names,
        training_flop=flop,
        facts=name_facts(fit, kept),
        left_out=left_out,
    )


def _read_benchmarks(fit: Fit, benchmarks: str | Sequence[str] | None) -> tuple[str, ...]:
    """Check names of benchmarks; each counts once."""
    if benchmarks is None:
        return fit.design.benchmarks
    names = as_names(benchmarks, allowed=fit.design.benchmarks)
    if not names:
        raise QueryError(
            "no benchmark is named. Leave benchmarks out for all of them. Allowed: "
            f"{listing(fit.design.benchmarks)}."
        )
    found = [pick_target(fit.design, benchmark=name, task_family=None)[1] for name in names]
    return tuple(dict.fromkeys(found))


def _over_budget(flop: Mapping[str, float], budget: float | None) -> dict[str, float]:
    """Pick the candidates that cost more than the budget; refuse one that leaves none."""
    if budget is None:
        return {}
    if not (isinstance(budget, int | float) and math.isfinite(budget) and budget > 0):
        raise QueryError(
            f"budget is {budget!r}. Allowed: a number above 0, the training compute in FLOP, such "
            "as 1e23."
        )
    over = {name: value for name, value in flop.items() if value > budget}
    if len(over) == len(flop):
        cheapest = min(flop, key=flop.__getitem__)
        raise QueryError(
            f"the budget of {budget:g} FLOP leaves out all {len(flop)} candidates; the cheapest, "
            f"'{cheapest}', takes {flop[cheapest]:.3g}. Raise the budget or add smaller designs."
        )
    return over
