"""Sizes that are not recorded: parameters and tokens, from family, date and each other."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from statistics import NormalDist
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from bayesmeta.design.composition import Array
from bayesmeta.design.scale import (
    D_REFERENCE,
    LOG_D_UNIT,
    LOG_N_UNIT,
    N_REFERENCE,
    SCALE_TERMS,
    scale_covariates,
)
from bayesmeta.errors import DataError, listing, shorten
from bayesmeta.tables.wording import count, name_few

if TYPE_CHECKING:
    import pandas as pd

FEWEST_COMPLETE = 5
"""Fewest LMs that record both sizes: from fewer the sizes of others cannot be estimated."""

_TREND_VARIANCE = 9.0
"""Prior variance of a mean log size, and of its slope on the date in years, in the units of the
covariates, which are about the standard deviations over public LMs."""

_SPREAD, _SPREAD_LOG_SD = 0.7, 1.0
"""Prior median of standard deviations between and within families, in the same units."""


@dataclass(frozen=True, slots=True, eq=False)
class MissingSizes:
    """Sizes that LMs do not record: jointly normal on the log scale, before any score.

    Parameters
    ----------
    row, column
        LM of every unknown, and its covariate, shape (unknown,).
    names
        Column and LM of every unknown.
    location, root
        Means in the units of the covariates, shape (unknown,), and lower triangular root of the
        covariance, shape (unknown, unknown). Unknowns of new LMs stand below those of the data.
    """

    row: NDArray[np.int64]
    column: NDArray[np.int64]
    names: tuple[str, ...]
    location: Array
    root: Array

    @property
    def sd(self) -> Array:
        """Standard deviation of every unknown, in the units of the covariates, shape (unknown,)."""
        return np.sqrt(np.square(self.root).sum(axis=1))

    def of(self, rows: NDArray[np.bool_]) -> MissingSizes | None:
        """Keep the unknowns of some LMs, shape (lm,); None where there are none."""
        kept = np.flatnonzero(rows[self.row])
        if not len(kept):
            return None
        return MissingSizes(
            row=self.row[kept],
            column=self.column[kept],
            names=tuple(self.names[k] for k in kept),
            location=self.location[kept],
            root=self.root[np.ix_(kept, kept)],
        )

    def fill(self, covariates: Array, values: Array) -> Array:
        """Put values (..., unknown) into covariates (lm, covariate), and multiply size by data."""
        out = np.broadcast_to(covariates, (*values.shape[:-1], *covariates.shape)).copy()
        out[..., self.row, self.column] = values
        out[..., 2] = out[..., 0] * out[..., 1]
        return out


def find_missing_sizes(
    lms: pd.DataFrame, *, among: NDArray[np.bool_] | None = None, estimated: bool = True
) -> MissingSizes | None:
    """Say what is known of sizes that are not recorded.

    Logs of size and data have a trend in the release date and effects of families and of LMs, which
    are correlated between the two. Variances are learned from what is recorded (restricted maximum
    likelihood, with a weak prior); given these, all sizes are normal, and so are the unknown ones
    given the others.

    Parameters
    ----------
    lms
        The table of LMs.
    among
        The LMs of the data, shape (lm,); all if left out. The others are new and stand below: they
        say nothing of the data, and each follows from the data and what is recorded of itself.
    estimated
        Whether unknown sizes of the data's LMs are parameters, which those of new LMs depend on.

    Returns
    -------
    MissingSizes or None
        None where every size is recorded.

    Raises
    ------
    DataError
        If too few LMs record both sizes.

    Examples
    --------
    >>> from bayesmeta.data.load import load_dataset
    >>> lms = load_dataset().lms.astype({"n_tokens": float})
    >>> lms.loc[0, "n_tokens"] = np.nan
    >>> find_missing_sizes(lms).names
    ('n_tokens:01-ai/Yi-34B',)
    """
    among = np.ones(len(lms), dtype=bool) if among is None else among
    covariates = scale_covariates(lms, among=among)
    sizes, years = covariates[:, :2], covariates[:, 3]
    unknown = np.isnan(sizes)
    if not unknown.any():
        return None
    row, column = np.nonzero(unknown)
    names = tuple(f"{SCALE_TERMS[k]}:{lms['lm'].iloc[i]}" for i, k in zip(row, column, strict=True))
    _check_complete(unknown, among=among, names=names)
    families = np.unique(lms["lm_family"].to_numpy(str), return_inverse=True)[1].astype(np.int64)
    kept = (sizes[among], years[among], families[among])
    between, within = _learn_spread(*(values.tobytes() for values in kept))
    K = _covariance(between, within, years=years, families=families)
    location, root = _infer(K, sizes.ravel(), new=np.repeat(~among, 2), estimated=estimated)
    return MissingSizes(row=row, column=column, names=names, location=location, root=root)


def tabulate_sizes(
    sizes: MissingSizes, *, ci_prob: float, values: Array | None = None
) -> pd.DataFrame:
    """List sizes that are estimated, in counts.

    Parameters
    ----------
    sizes
        What is known of them.
    ci_prob
        Probability of the intervals, which are equal-tailed.
    values
        Draws of them in the units of the covariates, shape (..., unknown); what family, date and
        the other size say if left out.

    Returns
    -------
    pandas.DataFrame
        One row for each: `lm`, `fact` (n_params or n_tokens), `estimate`, `lower`, `upper`.

    Examples
    --------
    >>> one = np.ones(1, int)
    >>> sizes = MissingSizes(one, one, ("n_tokens:a",), np.zeros(1), np.eye(1))
    >>> tabulate_sizes(sizes, ci_prob=0.9)["estimate"].tolist()
    [1000000000000.0]
    """
    import pandas as pd

    levels = [0.5, (1 - ci_prob) / 2, (1 + ci_prob) / 2]
    if values is None:
        z = np.array([NormalDist().inv_cdf(level) for level in levels])
        ends = sizes.location + z[:, None] * sizes.sd
    else:
        ends = np.quantile(values.reshape(-1, values.shape[-1]), levels, axis=0)
    unit = np.array([LOG_N_UNIT, LOG_D_UNIT])[sizes.column]
    counts = np.array([N_REFERENCE, D_REFERENCE])[sizes.column] * np.exp(unit * ends)
    told = [name.split(":", 1) for name in sizes.names]
    found = {"lm": [lm for _, lm in told], "fact": [fact for fact, _ in told]}
    return pd.DataFrame(found | dict(zip(("estimate", "lower", "upper"), counts, strict=True)))


def fill_sizes(lms: pd.DataFrame) -> pd.DataFrame:
    """Give LMs whose size is not recorded their estimates; the same table where all are.

    Examples
    --------
    >>> from bayesmeta.data.load import load_dataset
    >>> lms = load_dataset().lms
    >>> fill_sizes(lms) is lms
    True
    """
    sizes = find_missing_sizes(lms)
    if sizes is None:
        return lms
    names = list(SCALE_TERMS[:2])
    values = lms[names].to_numpy(float, copy=True)
    values[sizes.row, sizes.column] = tabulate_sizes(sizes, ci_prob=0.5)["estimate"]
    return lms.assign(**dict(zip(names, values.T, strict=True)))


def _check_complete(
    unknown: NDArray[np.bool_], *, among: NDArray[np.bool_], names: Sequence[str]
) -> None:
    complete = int((~unknown[among]).all(axis=1).sum())
    if complete < FEWEST_COMPLETE:
        blank = [name.split(":", 1) for name in names]
        columns = listing(dict.fromkeys(column for column, _ in blank))
        lms = list(dict.fromkeys(lm for _, lm in blank))
        raise DataError(
            f"{columns} is blank for {count(len(lms), 'LM', 'LMs')} ({shorten(name_few(lms))}) and "
            f"cannot be estimated: {count(complete, 'LM records', 'LMs record')} both n_params and "
            f"n_tokens. Allowed: blank cells beside at least {FEWEST_COMPLETE} LMs that record "
            "both. Fill them in, leave these LMs out, or put them beside the bundled ones: "
            "bayesmeta data add."
        )


def _covariance(
    between: Array, within: Array, *, years: Array, families: NDArray[np.int64]
) -> Array:
    """Covariance of all sizes, LM by LM, the trend included, shape (2 lm, 2 lm)."""
    trend = _TREND_VARIANCE * (1 + np.outer(years, years))
    same = (families[:, None] == families).astype(float)
    return np.kron(trend, np.eye(2)) + np.kron(same, between) + np.kron(np.eye(len(years)), within)


def _infer(
    K: Array, sizes: Array, *, new: NDArray[np.bool_], estimated: bool
) -> tuple[Array, Array]:
    """Mean of unknown sizes, and root of their covariance: the data's LMs first, then each new."""
    hidden, known = np.isnan(sizes), sizes.copy()
    n, place = int(hidden.sum()), np.cumsum(hidden) - 1
    location, root = np.zeros(n), np.zeros((n, n))
    lm = np.arange(len(sizes)) // 2
    of_data = ~new & (~hidden | estimated)
    groups = [(~new, ~new & ~hidden)]
    groups += [(lm == i, of_data | (lm == i) & ~hidden) for i in np.unique(lm[new & hidden])]
    for group, told in groups:
        wanted, given = np.flatnonzero(group & hidden), np.flatnonzero(told)
        gain = np.linalg.solve(K[np.ix_(given, given)], K[np.ix_(given, wanted)]).T
        rows, before = place[wanted], hidden[given]
        location[rows] = known[wanted] = gain @ known[given]
        root[np.ix_(rows, rows)] = np.linalg.cholesky(
            K[np.ix_(wanted, wanted)] - gain @ K[np.ix_(given, wanted)]
        )
        root[rows] += gain[:, before] @ root[place[given[before]]]
    return location, root


@lru_cache(maxsize=8)
def _learn_spread(sizes: bytes, years: bytes, families: bytes) -> tuple[Array, Array]:
    """Learn the covariances of size and data between families, and within, shape (2, 2) each."""
    from scipy.optimize import minimize

    family = np.frombuffer(families, np.int64)
    values = np.frombuffer(sizes).reshape(-1, 2)
    trend = np.column_stack([np.ones(len(values)), np.frombuffer(years)])
    blocks = []
    for k in np.unique(family):
        lm, column = np.nonzero(~np.isnan(values) & (family == k)[:, None])
        of_trend = np.column_stack([trend[lm] * (column == c)[:, None] for c in (0, 1)])
        blocks.append((lm, column, np.column_stack([of_trend, values[lm, column]])))

    def loss(parameters: Array) -> float:
        logs, crossed = parameters[[0, 2, 3, 5]], parameters[[1, 4]]
        penalty = np.square((logs - np.log(_SPREAD)) / _SPREAD_LOG_SD).sum()
        return 0.5 * (penalty + crossed @ crossed) + _restricted_loss(parameters, blocks)

    start = np.log(_SPREAD) * np.array([1, 0, 1, 1, 0, 1])
    return _unfold(minimize(loss, start).x)


def _unfold(parameters: Array) -> tuple[Array, Array]:
    """Turn logs of diagonals, and crossed elements, of two lower roots into covariances."""
    roots = [np.array([[np.exp(a), 0.0], [b, np.exp(c)]]) for a, b, c in parameters.reshape(2, 3)]
    return roots[0] @ roots[0].T, roots[1] @ roots[1].T


def _restricted_loss(
    parameters: Array, blocks: Sequence[tuple[NDArray[np.int64], NDArray[np.int64], Array]]
) -> float:
    """Minus log likelihood of recorded sizes, their trend summed out, family by family."""
    between, within = _unfold(parameters)
    normal, logs = np.zeros((5, 5)), 0.0
    for lm, column, values in blocks:
        cells = np.ix_(column, column)
        root = np.linalg.cholesky(between[cells] + within[cells] * (lm[:, None] == lm))
        whitened = np.linalg.solve(root, values)
        normal += whitened.T @ whitened
        logs += np.log(np.diag(root)).sum()
    precision, moment = normal[:4, :4] + np.eye(4) / _TREND_VARIANCE, normal[:4, 4]
    explained = moment @ np.linalg.solve(precision, moment)
    return float(logs + 0.5 * (np.linalg.slogdet(precision)[1] + normal[4, 4] - explained))
