"""What an LM writes as a measurement of what it read: shares of free generations as log-ratios."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from bayesmeta.design.composition import Array, Mix

if TYPE_CHECKING:
    import pandas as pd

ENGLISH = "english_share"
"""The share that is no part of the composition: it has a log odds of its own."""

_SMALLEST = 0.01
"""Added to every share before its logarithm: one percent, about what a sample resolves."""


@dataclass(frozen=True, slots=True, eq=False)
class Generations:
    """Log-ratios of what LMs write, rotated within families so that their errors are independent.

    An error that siblings share and one of each LM make a compound symmetric covariance. An
    orthonormal rotation of the LMs of a family turns it into a diagonal one: one row for the
    family's mean, which holds the shared error once, and rows for the differences of siblings.
    So siblings that write alike count as one measurement.

    Parameters
    ----------
    names
        What is measured: the parts of the mix but the last, which follows from the others, and
        the share of English, shape (written,).
    rows
        Row of every measured LM in the table of LMs, shape (measured lm,).
    rotation
        Orthonormal, block-diagonal by family, shape (measured lm, measured lm).
    n_siblings
        Measured LMs of the family for a family's mean, zero for a difference of siblings, shape
        (measured lm,).
    values
        Rotated log-ratios, shape (measured lm, written).
    """

    names: tuple[str, ...]
    rows: NDArray[np.int64]
    rotation: Array
    n_siblings: NDArray[np.int64]
    values: Array

    def read_parts(
        self, mix: Any, english: Any, *, log: Callable[[Any], Any] = np.log
    ) -> list[Any]:
        """Turn what the measured LMs read into log-ratios that compare with what they write.

        Parameters
        ----------
        mix
            Complete compositions, shape (..., lm, domain): an array, or a tensor with the
            matching `log`; None without a mix.
        english
            Fractions of English, shape (..., lm), or None.

        Returns
        -------
        list
            Blocks of shape (..., measured lm, columns), to be put side by side.
        """
        parts = []
        if self.names != (ENGLISH,):
            parts.append(log_ratios(mix[..., self.rows, :], log=log)[..., :-1])
        if english is not None:
            parts.append(log_odds(english[..., self.rows], log=log)[..., None])
        return parts


def log_ratios(parts: Any, *, log: Callable[[Any], Any] = np.log) -> Any:
    """Take centred log-ratios of a composition.

    Aitchison 1982, https://doi.org/10.1111/j.2517-6161.1982.tb01195.x.

    Parameters
    ----------
    parts
        Fractions, shape (..., domain): an array, or a tensor with the matching `log`.

    Returns
    -------
    array or tensor
        Log fractions less their mean, of the same shape; one percent is added to every part.

    Examples
    --------
    >>> log_ratios(np.array([0.5, 0.5, 0.0])).round(2)
    array([ 1.31,  1.31, -2.62])
    """
    logs = log(parts + _SMALLEST)
    return logs - logs.mean(axis=-1, keepdims=True)


def log_odds(share: Any, *, log: Callable[[Any], Any] = np.log) -> Any:
    """Take the log odds of fractions, with one percent added to both sides."""
    return log(share + _SMALLEST) - log(1 - share + _SMALLEST)


def build_generations(
    table: pd.DataFrame | None, *, lms: pd.DataFrame, mix: Mix | None, with_english: bool
) -> Generations | None:
    """Read the measurements off the table of generations.

    Parameters
    ----------
    table
        Shares of free generations in percent, or None.
    lms
        The table of LMs.
    mix
        The composition of the training data, or None.
    with_english
        Whether the share of English is measured as well.

    Returns
    -------
    Generations or None
        The LMs whose generated shares are all known; None where there is nothing to measure.
    """
    domains = mix.domains[:-1] if mix is not None else ()
    names = (*domains, *((ENGLISH,) if with_english else ()))
    if table is None or not names:
        return None
    by_lm = table.set_index("lm").reindex(lms["lm"])
    written = by_lm[[f"generated_{name}" for name in names]].to_numpy(float) / 100
    rows = np.flatnonzero(~np.isnan(written).any(axis=1))
    if not len(rows):
        return None
    rotation, n_siblings = _rotate(lms["lm_family"].to_numpy()[rows])
    parts = written[rows, : len(domains)]
    rest = np.clip(1 - parts.sum(axis=1, keepdims=True), 0, 1)
    measured = [log_ratios(np.column_stack([parts, rest]))[:, :-1]] if domains else []
    measured += [log_odds(written[rows, -1:])] if with_english else []
    return Generations(
        names=names,
        rows=rows,
        rotation=rotation,
        n_siblings=n_siblings,
        values=rotation @ np.column_stack(measured),
    )


def _rotate(families: NDArray[np.object_]) -> tuple[Array, NDArray[np.int64]]:
    """Helmert contrasts of the LMs of every family, the scaled mean first."""
    rotation = np.zeros((len(families), len(families)))
    n_siblings = np.zeros(len(families), dtype=np.int64)
    for family in dict.fromkeys(families):
        members = np.flatnonzero(families == family)
        n = len(members)
        steps = np.column_stack([np.ones(n), np.tril(np.ones((n, n - 1)), k=-1)])
        basis = np.linalg.qr(steps)[0]
        basis[:, 0] = 1 / np.sqrt(n)
        rotation[np.ix_(members, members)] = basis.T
        n_siblings[members[0]] = n
    return rotation, n_siblings
