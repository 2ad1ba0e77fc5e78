"""Placebo: decisions randomly permuted over families, and over the arms of experiments."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd

from bayesmeta.data.dataset import Dataset
from bayesmeta.data.decisions import SIZES
from bayesmeta.data.experiments import Experiments, list_facts
from bayesmeta.estimates.contrasts import effects
from bayesmeta.estimates.question import BY
from bayesmeta.inference.fits import Fit
from bayesmeta.inference.refit import Refitter
from bayesmeta.model.spec import ModelSpec


def permute_decisions(dataset: Dataset, *, seed: int) -> Dataset:
    """Give every family the decisions of another, chosen at random; scores and scale stay.

    What LMs of a family share stays shared, and what differs goes on to differ: LMs take the
    decisions of the other family's LMs in turn, ordered by size. Arms of experiments take those of
    another arm of their group, so that what a group varies it goes on to vary.

    Parameters
    ----------
    dataset
        Validated tables.
    seed
        Seed of the permutation.

    Returns
    -------
    Dataset
        The same scores of LMs and arms, with decisions that have nothing to do with them.

    Examples
    --------
    >>> import bayesmeta as bm
    >>> data = bm.load_dataset()
    >>> permuted = permute_decisions(data, seed=1)
    >>> (permuted.lms["n_params"] == data.lms["n_params"]).all()
    np.True_
    >>> (permuted.lms["position_embedding"] == data.lms["position_embedding"]).all()
    np.False_
    """
    columns = [name for name in dataset.known_decisions if name in dataset.lms]
    lms = dataset.lms.copy()
    in_order = lms.sort_values("n_params", kind="stable")
    rows = {str(name): part.index for name, part in in_order.groupby("lm_family", sort=False)}
    names = list(rows)
    rng = np.random.default_rng(seed)
    givers = rng.permutation(names)
    for taker, giver in zip(names, givers, strict=True):
        takes = rows[giver][np.arange(len(rows[taker])) % len(rows[giver])]
        lms.loc[rows[taker], columns] = dataset.lms.loc[takes, columns].to_numpy()
    types = dataset.lms[columns].dtypes.to_dict()
    tried = dataset.experiments
    return replace(
        dataset,
        lms=lms.astype(types),
        generations=None,
        experiments=None if tried is None else _permute_arms(tried, rng=rng),
    )


def _permute_arms(experiments: Experiments, *, rng: np.random.Generator) -> Experiments:
    """Give every arm the facts of one of its group, chosen at random; scores, size, tokens stay."""
    arms = experiments.arms.reset_index(drop=True)
    order = np.arange(len(arms))
    for rows in arms.groupby(["study", "group"], sort=False).indices.values():
        order[rows] = rng.permutation(rows)
    columns = [name for name in list_facts(arms) if name not in SIZES]
    arms[columns] = arms[columns].iloc[order].set_axis(arms.index)
    return replace(experiments, arms=arms)


def fit_placebo(dataset: Dataset, *, spec: ModelSpec, seed: int) -> Fit:
    """Permute the decisions over families and arms, and fit the model to the result.

    Parameters
    ----------
    dataset
        Validated tables with the real decisions.
    spec
        The model.
    seed
        Seed of the permutation and of the sampler.

    Returns
    -------
    Fit
        Every effect of a decision in it is there by chance.
    """
    permuted = permute_decisions(dataset, seed=seed)
    return Refitter(permuted, spec=spec, warm=False).fit(seed=seed)


def tabulate_placebo(fit: Fit) -> pd.DataFrame:
    """Tabulate what is said of every contrast, on every kind of target.

    Parameters
    ----------
    fit
        A fit to permuted decisions.

    Returns
    -------
    pandas.DataFrame
        One row per contrast and target: `decision`, `level`, `reference`, `by`, `target`,
        `estimate` in percentage points, `prob_helps`, `verdict`.
    """
    contrast = ["decision", "level", "reference"]
    columns = [*contrast, "by", "target", "estimate", "prob_helps", "verdict"]
    return pd.concat([effects(fit, by=by).table()[columns] for by in BY], ignore_index=True)
