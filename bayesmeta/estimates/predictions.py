"""What lms would score that nobody has evaluated, or trained."""

from __future__ import annotations

from dataclasses import dataclass, replace
from os import PathLike
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import xarray as xr
from numpy.typing import NDArray

from bayesmeta import defaults
from bayesmeta.data.load import read_lms
from bayesmeta.data.vocabulary import METRIC_RANGE
from bayesmeta.estimates.counterfactual import POINTS, label_draws
from bayesmeta.estimates.newcomers import Newcomers, name_facts, place_lms, stream
from bayesmeta.estimates.question import UNITS, check_fit, check_seed
from bayesmeta.estimates.summary import check_ci_prob, summarise
from bayesmeta.model.predictor import expected_score
from bayesmeta.model.simulate import draw_scores

if TYPE_CHECKING:
    from bayesmeta.inference.fits import Fit

__all__ = ["Predictions", "predict"]


@dataclass(frozen=True, eq=False, repr=False)
class Predictions:
    """Draws of what new lms score, and the table that follows from them.

    Parameters
    ----------
    expected, observed
        Draws of the expected score, and of a score that an evaluation would measure, in percentage
        points of the benchmark's own metric, with dims chain, draw, lm, benchmark.
    benchmarks
        Table of the benchmarks, whose `direction` says which scores are better.
    facts
        One row per lm: its family, where it extrapolates, and what is undisclosed.
    ci_prob
        Probability of the intervals of the table.
    """

    expected: xr.DataArray
    observed: xr.DataArray
    benchmarks: pd.DataFrame
    facts: pd.DataFrame
    ci_prob: float = defaults.CI_PROB

    def table(self, *, ci_prob: float | None = None) -> pd.DataFrame:
        """Summarise the draws; intervals are equal-tailed.

        Parameters
        ----------
        ci_prob
            Probability of the intervals; that asked of `predict` if left out.

        Returns
        -------
        pandas.DataFrame
            One row per lm and benchmark: median, standard deviation and interval of the expected
            score; `lower_observed` and `upper_observed`, the interval of a new observation, within
            the possible range; the direction of better scores; whether the lm's family is `known`
            or `new`; the facts in which it extrapolates, and the undisclosed ones.

        Raises
        ------
        QueryError
            If the probability is not between 0 and 1.
        """
        prob = self.ci_prob if ci_prob is None else ci_prob
        check_ci_prob(prob)
        rows = []
        for i, lm in enumerate(self.expected["lm"].values):
            for b, benchmark in enumerate(self.benchmarks.to_dict("records")):
                values = self.expected.values[:, :, i, b]
                low, high = METRIC_RANGE[benchmark["metric"]]
                seen = summarise(self.observed.values[:, :, i, b], ci_prob=prob, units=UNITS)
                bounds = np.clip([seen["lower"], seen["upper"]], POINTS * low, POINTS * high)
                rows.append(
                    {
                        "lm": str(lm),
                        "benchmark": benchmark["benchmark"],
                        **summarise(values, ci_prob=prob, units=UNITS),
                        "lower_observed": float(bounds[0]),
                        "upper_observed": float(bounds[1]),
                        "direction": benchmark["direction"],
                        **self.facts.iloc[i].to_dict(),
                    }
                )
        return pd.DataFrame(rows)

    def __repr__(self) -> str:
        sizes = self.expected.sizes
        return (
            f"Predictions({sizes['lm']} lms on {sizes['benchmark']} benchmarks, "
            f"{sizes['chain']} chains x {sizes['draw']} draws)"
        )


def predict(
    fit: Fit,
    new_lms: pd.DataFrame | str | PathLike[str],
    *,
    ci_prob: float = defaults.CI_PROB,
    seed: int = defaults.SEED,
) -> Predictions:
    """Predict the scores of lms that are not in the data, or not trained yet.

    An lm of a family in the data has the effects of that family, with all their uncertainty; a new
    family has effects drawn from the distribution of families, and every lm an effect of its own.
    Unknown facts are treated as the fit treats them: numbers and mixes are typical or drawn, and an
    open choice is the level `undisclosed` where the data have it, else one that others made.

    Parameters
    ----------
    fit
        The fit.
    new_lms
        A frame, or the path of a CSV file, with the columns of `lms.csv`; lm, lm_family, n_params
        and n_tokens are needed.
    ci_prob
        Probability of the intervals.
    seed
        Seed of the draws of what is new. The same lm has the same prediction in every table.

    Returns
    -------
    Predictions
        Draws of expected scores and of new observations, and `.table()`.

    Raises
    ------
    DataError
        If the table cannot be read, or holds a value that is not allowed.
    QueryError
        If an lm has a level that no lm of the data has, or an argument is not allowed.

    Examples
    --------
    >>> import bayesmeta as bm
    >>> new = pd.DataFrame({"lm": ["x"], "lm_family": ["y"], "n_params": [7e9], "n_tokens": [2e12]})
    >>> table = bm.predict(bm.load_reference_fit(), new).table().set_index("benchmark")
    >>> bool(table.loc["hellaswag", "upper_observed"] > table.loc["hellaswag", "upper"])
    True
    """
    check_ci_prob(ci_prob)
    check_seed(seed)
    check_fit(fit)
    lms = read_lms(new_lms)
    placed = place_lms(fit, lms, seed=seed)
    latent = placed.latent(fit)
    return Predictions(
        expected=_label(fit, lms, POINTS * expected_score(latent, design=placed.design)),
        observed=_label(fit, lms, POINTS * _observe(fit, placed, latent, seed=seed)),
        benchmarks=fit.dataset.benchmarks.reset_index(drop=True),
        facts=name_facts(fit, lms),
        ci_prob=ci_prob,
    )


def _observe(
    fit: Fit, placed: Newcomers, latent: NDArray[np.float64], *, seed: int
) -> NDArray[np.float64]:
    """Draw one observation of every new lm on every benchmark, with a typical sampling error."""
    design = replace(placed.design, outcomes=placed.design.outcomes.imagine_scores())
    return np.stack(
        [
            draw_scores(
                placed.parameters, latent[..., i, :], design=design, spec=fit.spec,
                rng=stream(seed, "observation", lm),
            )
            for i, lm in enumerate(placed.lms["lm"])
        ],
        axis=-2,
    )  # fmt: skip


def _label(fit: Fit, lms: pd.DataFrame, values: NDArray[np.float64]) -> xr.DataArray:
    found = label_draws(fit, values, lm=list(lms["lm"]), benchmark=list(fit.design.benchmarks))
    return found.rename("score").assign_attrs(units=UNITS)
