"""The recorded evidence that the default model is right: read, and summed up."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from bayesmeta import defaults
from bayesmeta.data.load import bundled_folder
from bayesmeta.errors import EvaluationError, unknown
from bayesmeta.estimates.counterfactual import EFFECT
from bayesmeta.validation.calibration import JOINT, uniformity
from bayesmeta.validation.recovery import SETTINGS

_RANKS = "calibration.npz"
_TARGETS = ("overall", "task_family", "benchmark")

ENVELOPE = 0.99
"""Probability of a simultaneous envelope of uniform ranks."""


def load_validation(check: str) -> pd.DataFrame:
    """Load the recorded result of a check of the default model.

    Parameters
    ----------
    check
        `calibration`: simulation-based calibration, a row per parameter. `coverage`: intervals
        where the truth is known, a row per setting. `placebo`: randomly permuted decisions, a row
        per kind of target. `power`: real effects of decisions that vary within families, a row per
        kind of target and least size in percentage points. `priors`: P(helps) of every contrast
        with other scales of the prior. Coverage is that of associations, of effects that an
        experiment varies, and of effects that none does.

    Returns
    -------
    pandas.DataFrame
        What `VALIDATION.md` shows and explains; shares are in percent.

    Raises
    ------
    EvaluationError
        If the check is not known.

    Examples
    --------
    >>> load_validation("placebo")["by"].tolist()
    ['overall', 'task_family', 'benchmark']
    """
    if check not in _CHECKS:
        raise unknown(EvaluationError, "check", check, _CHECKS)
    name, summarise = _CHECKS[check]
    return summarise(bundled_folder() / name)


def read_ranks(
    path: str | PathLike[str] | None = None,
) -> tuple[dict[str, NDArray[np.int64]], dict[str, Any]]:
    """Read recorded ranks of simulation-based calibration.

    Parameters
    ----------
    path
        The record; the bundled one if left out.

    Returns
    -------
    tuple of dict
        Ranks by the name of the parameter, each of shape (truth, ...) and from 0 to `n_draws`; and
        `n_draws`, checksums of spec and data, settings and seed.

    Examples
    --------
    >>> ranks, header = read_ranks()
    >>> len(ranks["alpha"]) >= 16, header["n_draws"]
    (True, 100)
    """
    with np.load(Path(path) if path is not None else bundled_folder() / _RANKS) as kept:
        header = json.loads(str(kept["_header"]))
        return {k: kept[k].astype(np.int64) for k in kept.files if k[0] != "_"}, header


def summarise_calibration(path: str | PathLike[str]) -> pd.DataFrame:
    """Sum up recorded ranks by parameter.

    Parameters
    ----------
    path
        The record.

    Returns
    -------
    pandas.DataFrame
        One row per parameter: number of `elements`, those `outside` the 99 % envelope and as many
        as chance puts there, `least` probability of so uneven ranks times the number of elements of
        all parameters (Bonferroni; at most 1), and `coverage90`, the percentage of truths inside
        central 90 % intervals.
    """
    ranks, header = read_ranks(path)
    n_draws, tail = header["n_draws"], (1 - defaults.CI_PROB) / 2
    total = sum(values[0].size for values in ranks.values())
    rows = []
    for name, values in ranks.items():
        probability = uniformity(values, n_draws=n_draws)
        place = (values + 0.5) / (n_draws + 1)
        rows.append(
            {
                "parameter": "joint log-likelihood" if name == JOINT else name,
                "elements": probability.size,
                "outside": int((probability < 1 - ENVELOPE).sum()),
                "by_chance": round((1 - ENVELOPE) * probability.size, 1),
                "least": round(min(1.0, float(total * probability.min())), 4),
                "coverage90": 100 * float(((place > tail) & (place < 1 - tail)).mean()),
            }
        )
    return pd.DataFrame(rows)


def _summarise_coverage(path: Path) -> pd.DataFrame:
    """Coverage of 90 % intervals by kind of effect, in every setting and in all of them."""
    record, settings = pd.read_csv(path), {one.name: one for one in SETTINGS}
    tried = record["tried"].map({True: "effect, in experiments", False: "effect, in none"})
    record["of"] = tried.where(record["kind"] == EFFECT, record["kind"])
    parts = [(asdict(settings[str(name)]), of, part)
             for (name, of), part in record.groupby(["cell", "of"], sort=False)]  # fmt: skip
    everywhere = dict.fromkeys(asdict(SETTINGS[0]), "all")
    parts += [(everywhere, of, part) for of, part in record.groupby("of")]
    rows = []
    for setting, of, part in parts:
        sums = part.groupby("by")[["covered", "n"]].sum()
        shares = 100 * sums["covered"] / sums["n"]
        repeats = part[part["by"] == "overall"].groupby("contrast")["n"].sum().max()
        rows.append(
            {
                **setting, "of": of, "repeats": int(repeats),
                **{by: round(float(shares[by]), 1) for by in _TARGETS},
            }
        )  # fmt: skip
    return pd.DataFrame(rows)


def _summarise_placebo(path: Path) -> pd.DataFrame:
    """Shares of contrasts that look certain, and that are called supported."""
    record = pd.read_csv(path)
    counts = ["beyond", defaults.SUPPORTED]
    sums = record.groupby("by")[["n", *counts]].sum().loc[list(_TARGETS)]
    shares = 100 * sums[counts].div(sums["n"], axis=0)
    beyond = sums["beyond"].clip(lower=1)
    shares[f"{defaults.SUPPORTED}_of_beyond"] = 100 * sums[defaults.SUPPORTED] / beyond
    table = sums[["n"]].join(shares.round(2)).reset_index()
    table.insert(0, "deals", record["deal"].nunique())
    return table


def _summarise_power(path: Path) -> pd.DataFrame:
    """Shares of real effects within families that are seen, by size of the effect."""
    record = pd.read_csv(path)
    counts = ["beyond", defaults.SUPPORTED, "wrong_sign"]
    sums = record.groupby(["by", "at_least"])[["n", *counts]].sum()
    shares = (100 * sums[counts].div(sums["n"], axis=0)).round(1)
    return sums[["n"]].join(shares).loc[list(_TARGETS)].reset_index()


def _summarise_priors(path: Path) -> pd.DataFrame:
    """P(helps) by contrast, a column for every prior."""
    record = pd.read_csv(path, dtype={"level": str, "reference": str})
    names = record["prior"].unique()
    index = ["decision", "level", "reference"]
    wide = record.pivot(index=index, columns="prior", values="prob_helps")[names]
    order = pd.MultiIndex.from_frame(record[record["prior"] == names[0]][index])
    return wide.reindex(order).rename_axis(columns=None).reset_index()


_CHECKS: dict[str, tuple[str, Callable[[Path], pd.DataFrame]]] = {
    "calibration": (_RANKS, summarise_calibration),
    "coverage": ("coverage.csv", _summarise_coverage),
    "placebo": ("placebo.csv", _summarise_placebo),
    "power": ("power.csv", _summarise_power),
    "priors": ("priors.csv", _summarise_priors),
}
