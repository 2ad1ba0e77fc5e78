"""The training mix as a composition: parts that sum to one, some of them undisclosed."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from bayesmeta.data.vocabulary import MIX_COLUMNS

if TYPE_CHECKING:
    import pandas as pd

Array = NDArray[np.float64]
"""Real numbers; docstrings say of which shape."""

DOMAINS: tuple[str, ...] = (*MIX_COLUMNS, "other_share")
"""All possible parts of the composition; `other_share` is what the recorded domains leave."""

_SMALLEST_PART = 0.01
"""Keeps the prior of an undisclosed mix away from log 0."""


@dataclass(frozen=True, slots=True, eq=False)
class Mix:
    """Known and unknown parts of the training mix.

    Parameters
    ----------
    domains
        The parts: every domain that some lm records, and what they leave.
    recorded
        Fractions, NaN where undisclosed, shape (lm, domain).
    known
        What the model takes as known: the same, or with typical values where undisclosed.
    rows
        Rows of the LMs with an undisclosed part, shape (undisclosed lm,).
    group
        Which undisclosed mix each of them has; siblings with the same record share one.
    group_names
        The LM family behind each undisclosed mix, shape (mix_group,).
    log_mean
        Mean log fraction of the disclosed mixes, each family counted once, shape (domain,).
    occurs
        Whether some lm has any of a part, shape (domain,).
    """

    domains: tuple[str, ...]
    recorded: Array
    known: Array
    rows: NDArray[np.int64]
    group: NDArray[np.int64]
    group_names: tuple[str, ...]
    log_mean: Array
    occurs: NDArray[np.bool_]

    def complete(self, unknown: Array) -> Array:
        """Fill the undisclosed parts of every LM.

        Parameters
        ----------
        unknown
            Compositions of the undisclosed mixes, shape (..., mix_group, domain).

        Returns
        -------
        ndarray
            Fractions that sum to one, shape (..., lm, domain). Recorded parts are kept; the rest
            is divided in the proportions of the undisclosed composition.
        """
        unknown = np.asarray(unknown, float)
        out = np.broadcast_to(
            np.nan_to_num(self.known), (*unknown.shape[:-2], *self.known.shape)
        ).copy()
        if len(self.rows):
            missing, rest = self.missing_parts()
            parts = unknown[..., self.group, :] * missing
            out[..., self.rows, :] += parts / parts.sum(-1, keepdims=True) * rest[:, None]
        return out

    @property
    def typical(self) -> Array:
        """Typical fractions of the disclosed mixes, shape (domain,)."""
        parts = np.exp(self.log_mean) * self.occurs
        return parts / parts.sum()

    def at_typical(self) -> Mix:
        """Give undisclosed parts their typical proportions, so that nothing is unknown."""
        parts = self.complete(np.tile(self.typical, (len(self.group_names), 1)))
        nobody = np.empty(0, dtype=np.int64)
        return dataclasses.replace(self, known=parts, rows=nobody, group=nobody, group_names=())

    def missing_parts(self) -> tuple[NDArray[np.bool_], Array]:
        """Say which parts are undisclosed and how much they hold together.

        Returns
        -------
        tuple of ndarray
            Mask of shape (undisclosed lm, domain) and fractions of shape (undisclosed lm,).
        """
        known = self.known[self.rows]
        return np.isnan(known), np.clip(1.0 - np.nansum(known, axis=1), 0.0, 1.0)


def build_mix(lms: pd.DataFrame, *, among: NDArray[np.bool_] | slice = slice(None)) -> Mix | None:
    """Read the composition of the training data off the table of LMs.

    Parameters
    ----------
    lms
        The table, with the five domain shares in percent.
    among
        The LMs that parts and typical values are taken from, shape (lm,); all if left out.

    Returns
    -------
    Mix or None
        None where no LM discloses all the parts that any LM records.
    """
    import pandas as pd

    recorded = [name for name in MIX_COLUMNS if lms.loc[among, name].notna().any()]
    shares = lms[recorded].to_numpy(float) / 100
    shares /= np.maximum(np.nansum(shares, axis=1), 1.0)[:, None]
    known = np.column_stack([shares, np.clip(1 - shares.sum(axis=1), 0, 1)])
    families = lms["lm_family"].to_numpy()
    undisclosed = np.isnan(known).any(axis=1)
    facts, sources, blank = known[among], families[among], undisclosed[among]
    if blank.all() or not recorded:
        return None
    means = pd.DataFrame(facts[~blank]).groupby(sources[~blank]).mean().to_numpy()
    rows = np.flatnonzero(undisclosed)
    records = [(families[row], *np.nan_to_num(known[row], nan=-1.0)) for row in rows]
    distinct = list(dict.fromkeys(records))
    return Mix(
        domains=(*recorded, DOMAINS[-1]),
        recorded=known,
        known=known,
        rows=rows,
        group=np.array([distinct.index(record) for record in records], dtype=np.int64),
        group_names=tuple(str(record[0]) for record in distinct),
        log_mean=np.log(np.maximum(means.mean(axis=0), _SMALLEST_PART)),
        occurs=np.nansum(facts, axis=0) > 0,
    )
