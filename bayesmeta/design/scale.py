"""Scale covariates: log size, log data, their product, release date."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from bayesmeta.data.decisions import SIZES
from bayesmeta.design.composition import Array

if TYPE_CHECKING:
    import pandas as pd


SCALE_TERMS: tuple[str, ...] = ("n_params", "n_tokens", "n_params_x_n_tokens", "released")
"""Logarithms of size and data, their product, and the release date, in this order."""

N_REFERENCE, D_REFERENCE = 7e9, 1e12
"""The reference LM of the scaling law: 7 billion parameters, one trillion tokens."""

LOG_N_UNIT, LOG_D_UNIT = 1.6, 1.3
"""Units of the log scale covariates: about their standard deviations over public LMs."""

Recorded = Mapping[str, NDArray[Any]]
"""What LMs or arms record, by name."""

LMS_PER_COLUMN = 5
"""Fewest LMs for each column of a basis with bends: one that spans nearly all LMs leaves nothing of
their family effects."""


def scale_covariates(lms: pd.DataFrame, *, among: NDArray[np.bool_] | slice = slice(None)) -> Array:
    """Build logs of size and data about the reference LM, their product, and the date in years.

    An LM without a date stands at the mean date of the LMs `among` them, so that it says nothing
    about its slope.
    """
    import pandas as pd

    size = np.log(lms["n_params"].to_numpy(float) / N_REFERENCE) / LOG_N_UNIT
    data = np.log(lms["n_tokens"].to_numpy(float) / D_REFERENCE) / LOG_D_UNIT
    released = pd.to_datetime(lms["released"], format="%Y-%m")
    years = (released.dt.year + (released.dt.month - 1) / 12).to_numpy(float)
    dated = years[among]
    mean = np.nanmean(dated) if not np.isnan(dated).all() else 0.0
    columns = [size, data, size * data, np.nan_to_num(years - mean)]
    return np.column_stack(columns).astype(np.float64)


def scale_bends(columns: Array, names: Sequence[str], *, rows: NDArray[np.bool_]) -> Array:
    """Build squares of size, data and date, and products of the date with the other two.

    Parameters
    ----------
    columns, names
        Covariates that enter, shape (lm, covariate), and what they are called.
    rows
        LMs with a score to learn from, shape (lm,).

    Returns
    -------
    ndarray
        Columns, shape (lm, bend); zeros where the LMs are too few for all of them.
    """
    known = [name for name in ("n_params", "n_tokens", "released") if name in names]
    size_by_data = ("n_params", "n_tokens")  # a covariate already
    pairs = [(a, b) for k, a in enumerate(known) for b in known[k:] if (a, b) != size_by_data]
    places = np.array([[names.index(a), names.index(b)] for a, b in pairs], int).reshape(-1, 2)
    out = columns[:, places[:, 0]] * columns[:, places[:, 1]]
    enough = rows.sum() >= LMS_PER_COLUMN * (1 + columns.shape[1] + out.shape[1])
    return out if enough else np.zeros(out.shape)


def family_means(
    columns: Array, *, families: pd.Series, among: NDArray[np.bool_] | slice = slice(None)
) -> Array:
    """Give every LM the means of its family, less their mean over families; (lm, column).

    Both are taken over the LMs `among` them; a family without any of these has the mean of its own.
    """
    import pandas as pd

    frame, names = pd.DataFrame(columns), families.to_numpy()
    known = frame[among].groupby(names[among], sort=False).mean()
    means = known.combine_first(frame.groupby(names, sort=False).mean()).loc[names].to_numpy()
    return (means - known.to_numpy().mean(axis=0)).astype(np.float64)


def orthonormal_basis(scale: Array, *, rows: NDArray[np.bool_]) -> Array:
    """Span the intercept and the scale covariates; the first column is the intercept's.

    Parameters
    ----------
    scale
        Covariates, shape (lm, scale_term).
    rows
        Lms over which the columns are orthonormal, shape (lm,); the others hold zeros.

    Returns
    -------
    ndarray
        Columns, shape (lm, 1 + scale_term). Covariates that depend linearly on earlier ones (a
        constant date, say) add none: the last columns are then zero.
    """
    columns = np.column_stack([np.ones(len(scale)), scale])
    independent = _independent(columns[rows])
    out = np.zeros(columns.shape)
    out[rows, : independent.shape[1]] = np.linalg.qr(independent)[0]
    return out


def _independent(columns: Array) -> Array:
    """Drop columns that depend linearly on earlier ones."""
    keep: list[int] = []
    for k in range(columns.shape[1]):
        if np.linalg.matrix_rank(columns[:, [*keep, k]]) > len(keep):
            keep.append(k)
    return columns[:, keep]


def measure_distance(
    recorded: Recorded,
    arms: Recorded | None,
    *,
    lengths: Sequence[float],
    sizes: Mapping[str, float],
) -> float:
    """Measure how far LMs that are given a size stand from all LMs and arms of experiments.

    Parameters
    ----------
    recorded, arms
        What LMs, and arms of experiments if there are any, record of size and tokens among other
        facts, NaN where nothing, each of shape (row,).
    lengths
        Length scales of size and tokens, in units of the covariates.
    sizes
        Numbers of parameters and tokens that all LMs are given; other sizes stay their own.

    Returns
    -------
    float
        Share of the variance of a process with these length scales that its value at the nearest of
        them does not tell, averaged over the LMs: 0 where one stands, near 1 far from all.
    """
    units = np.array(lengths) * (LOG_N_UNIT, LOG_D_UNIT)

    def place(table: Recorded) -> Array:
        points = np.log(np.column_stack([np.asarray(table[name], float) for name in SIZES]))
        return points[~np.isnan(points).any(axis=1)] / units

    near = np.vstack([place(table) for table in (recorded, arms) if table])
    given = {name: np.full(len(recorded[name]), value) for name, value in sizes.items()}
    asked = np.unique(place({**recorded, **given}), axis=0)
    distance = np.square(asked[:, None] - near).sum(axis=-1).min(axis=1)
    return float(1 - np.exp(-distance).mean())
