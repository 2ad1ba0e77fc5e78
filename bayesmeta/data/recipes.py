"""How the paper's code averages upstream rows into one score per benchmark."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import pandas as pd

__all__ = ["RECIPES", "Recipe", "agresti_coull_se", "mean_of_known"]


def mean_of_known(values: Sequence[float]) -> float:
    """Average the known values with one rounding, so that it is the same everywhere.

    Parameters
    ----------
    values
        Numbers, some of which may be NaN.

    Returns
    -------
    float
        Their mean, or NaN where none is known.

    Examples
    --------
    >>> mean_of_known([0.5, float("nan"), 1.0])
    0.75
    """
    known = [value for value in values if not math.isnan(value)]
    return math.fsum(known) / len(known) if known else math.nan


def _propagate(errors: Sequence[float]) -> float:
    """Give the standard error of a mean of independent parts."""
    return math.sqrt(math.fsum(error**2 for error in errors)) / len(errors)


def _first(errors: Sequence[float]) -> float:
    return errors[0]


@dataclass(frozen=True, slots=True)
class Recipe:
    """How one benchmark setting comes from upstream rows.

    Parameters
    ----------
    setting
        The number of shots as upstream writes it.
    parts
        The standardised names of the rows; one that ends in `_` stands for all that begin so.
    se
        From the standard errors of the parts to the one of the score.
    metric
        The upstream metric.
    recorded
        Whether upstream tells the authors' runs from the leaderboard's.
    """

    setting: str
    parts: tuple[str, ...]
    se: Callable[[Sequence[float]], float] = _first
    metric: str = "accuracy"
    recorded: bool = True

    def find(self, rows: pd.DataFrame) -> pd.DataFrame:
        """Pick the rows of the parts, in the order of the parts."""
        rows = rows.loc[(rows["setting"] == self.setting) & (rows["metric"] == self.metric)]
        if self.parts[0].endswith("_"):
            return rows.loc[rows["benchmark"].str.startswith(self.parts)]
        return pd.concat([rows.loc[rows["benchmark"] == name] for name in self.parts])


RECIPES: dict[str, Recipe] = {
    "anli": Recipe("0-shot", ("anli_",), metric="brier_score"),
    "arc_challenge": Recipe("25-shot", ("arc_challenge",)),
    "gsm8k": Recipe("5-shot", ("gsm8k", "gsm8k_cot"), recorded=False),
    "hellaswag": Recipe("10-shot", ("hellaswag",), recorded=False),
    "humaneval": Recipe("0-shot", ("humaneval",)),
    "lambada": Recipe("0-shot", ("lambada_openai", "lambada_standard"), mean_of_known),
    "logiqa2": Recipe("0-shot", ("logiqa2",), metric="brier_score"),
    "mathqa": Recipe("0-shot", ("mathqa",), metric="brier_score"),
    "mmlu_0shot": Recipe("0-shot", ("mmlu_",), _propagate),
    "mmlu_5shot": Recipe("5-shot", ("mmlu_",), _propagate),
    "truthfulqa": Recipe("0-shot", ("truthfulqa_mc1", "truthfulqa_mc2"), mean_of_known),
    "winogrande": Recipe("5-shot", ("winogrande",), recorded=False),
    "xnli": Recipe("0-shot", ("xnli_",), metric="brier_score"),
}


def agresti_coull_se(value: float, *, n_items: float) -> float:
    """Give a standard error of a proportion that is above 0 even where the proportion is 0.

    Two successes and two failures are added (https://doi.org/10.1080/00031305.1998.10480550).

    Parameters
    ----------
    value
        The proportion of successes.
    n_items
        The number of trials.

    Returns
    -------
    float
        The standard error.

    Examples
    --------
    >>> round(agresti_coull_se(0.0, n_items=96), 6)
    0.014
    """
    n = n_items + 4
    centre = (value * n_items + 2) / n
    return math.sqrt(centre * (1 - centre) / n)
