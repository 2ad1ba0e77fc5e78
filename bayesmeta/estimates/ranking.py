"""Which level of a decision is best: probabilities and ranks over all levels at once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import xarray as xr
from numpy.typing import NDArray

from bayesmeta.design.decisions import UNDISCLOSED
from bayesmeta.errors import QueryError
from bayesmeta.estimates.counterfactual import average_benchmarks, mean_score_at
from bayesmeta.estimates.question import check_by, check_fit, find_decision, list_levels
from bayesmeta.estimates.summary import effective_size, estimate_probability

if TYPE_CHECKING:
    from bayesmeta.inference.fits import Fit

__all__ = ["Ranking", "rank_draws", "rank_levels", "summarise_ranks"]


@dataclass(frozen=True, eq=False, repr=False)
class Ranking:
    """Ranks of the levels of a decision, draw by draw.

    Parameters
    ----------
    decision
        Name of the decision.
    by
        What a target is: a benchmark, a task family, or all benchmarks.
    ranks
        Dims chain, draw, level, target; 1 is the level with the highest score.
    """

    decision: str
    by: str
    ranks: xr.DataArray

    def table(self) -> pd.DataFrame:
        """Summarise the ranks.

        Returns
        -------
        pandas.DataFrame
            One row per target and level, the most probable best first: `prob_best` and its
            `mcse`, `expected_rank` and its `mcse_rank`, and the number of `levels` compared.
        """
        rows = []
        for t, target in enumerate(self.ranks["target"].values):
            part = []
            for k, level in enumerate(self.ranks["level"].values):
                part.append(
                    {
                        "decision": self.decision, "level": str(level), "by": self.by,
                        "target": str(target), **summarise_ranks(self.ranks.values[:, :, k, t]),
                        "levels": self.ranks.sizes["level"],
                    }
                )  # fmt: skip
            rows += sorted(part, key=lambda row: row["expected_rank"])
        return pd.DataFrame(rows)

    def __repr__(self) -> str:
        sizes = self.ranks.sizes
        return (
            f"Ranking({sizes['level']} levels of {self.decision} on {sizes['target']} targets by "
            f"{self.by}, {sizes['chain']} chains x {sizes['draw']} draws)"
        )


def rank_levels(fit: Fit, decision: str, *, by: str = "overall") -> Ranking:
    """Rank the levels of a decision by the expected score, with every lm given each in turn.

    Levels are ranked within each draw, so that what they have in common cancels out. A level that
    few lms have has an uncertain score and is the best in many draws for that alone: the expected
    rank says so, and the evidence of its contrasts.

    Parameters
    ----------
    fit
        The fit.
    decision
        Name of a categorical decision.
    by
        `benchmark`, `task_family` or `overall`.

    Returns
    -------
    Ranking
        Draws with dims chain, draw, level, target, and `.table()`. Levels that are not disclosed
        are left out.

    Raises
    ------
    QueryError
        If the decision or `by` is not known, or the decision is not categorical.

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
    if found.kind != "categorical":
        raise QueryError(
            f"decision '{decision}' is a number and has no levels to rank. Allowed: categorical "
            f"decisions, such as position_embedding. Use bm.curve(fit, '{decision}') to find where "
            "the score is highest."
        )
    levels = [level for level in list_levels(fit.design, decision) if level != UNDISCLOSED]
    scores = xr.concat(
        [
            average_benchmarks(mean_score_at(fit, settings={decision: level}), fit=fit, by=by)
            for level in levels
        ],
        dim=pd.Index(levels, name="level"),
    ).transpose("chain", "draw", "level", "target")
    return Ranking(decision, by=by, ranks=rank_draws(scores, dim="level"))


def rank_draws(scores: xr.DataArray, *, dim: str) -> xr.DataArray:
    """Rank along one dim within every draw; 1 is the highest, and of equal ones the first."""
    axis = scores.get_axis_num(dim)
    order = np.argsort(np.argsort(-scores.values, axis=axis, kind="stable"), axis=axis)
    return scores.copy(data=order + 1)


def summarise_ranks(ranks: NDArray[np.int64]) -> dict[str, float]:
    """Summarise ranks (chain, draw): probability of the first, mean, Monte Carlo errors."""
    best = estimate_probability(ranks == 1)
    mcse = ranks.std() / np.sqrt(effective_size(ranks.astype(float)))
    return {"prob_best": best.estimate, "mcse": best.mcse,
            "expected_rank": float(ranks.mean()), "mcse_rank": float(mcse)}  # fmt: skip
