"""A table of effect sizes as labelled arrays: moderators coded, nested groups numbered."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from bayesmeta.errors import DataError, listing
from bayesmeta.studies.study_table import EffectSizes

__all__ = ["EffectDesign", "GroupLevel", "build_effect_design"]

_EXACT = 1e-8
"""Residual, relative to the column, below which a combination is exact but for rounding."""


@dataclass(frozen=True, slots=True, eq=False)
class GroupLevel:
    """One level of nested groups.

    Parameters
    ----------
    name
        Name of the column.
    labels
        Labels of the groups, each with those of the groups around it: `outer/inner`.
    index
        Group of every study, shape (study,).
    """

    name: str
    labels: tuple[str, ...]
    index: NDArray[np.int64]

    @property
    def dim(self) -> str:
        """Name of the dimension of its effects."""
        return f"group_{self.name}"


@dataclass(frozen=True, slots=True, eq=False)
class EffectDesign:
    """Arrays and coordinates of a table of effect sizes.

    Parameters
    ----------
    studies
        Names of the studies.
    y, se
        Effects and their standard errors, shape (study,).
    X
        Moderators as they are, text as one column for every level but the first, shape (study,
        moderator).
    moderators
        Labels of the columns of `X`: the name, or name[level].
    groups
        Levels of nested groups, the outermost first.
    """

    studies: tuple[str, ...]
    y: NDArray[np.float64]
    se: NDArray[np.float64]
    X: NDArray[np.float64]
    moderators: tuple[str, ...]
    groups: tuple[GroupLevel, ...]

    @property
    def coords(self) -> dict[str, tuple[str, ...]]:
        """Labels of every dimension."""
        found = {"study": self.studies}
        if self.moderators:
            found["moderator"] = self.moderators
        if self.groups:
            found["grouping"] = tuple(level.name for level in self.groups)
        return found | {level.dim: level.labels for level in self.groups}

    @property
    def columns(self) -> NDArray[np.float64]:
        """The intercept and the moderators, shape (study, 1 + moderator)."""
        return np.column_stack([np.ones(len(self.y)), self.X])


def build_effect_design(table: EffectSizes) -> EffectDesign:
    """Turn a table of effect sizes into arrays.

    Parameters
    ----------
    table
        What `read_effect_sizes` read.

    Returns
    -------
    EffectDesign
        Arrays and coordinates.

    Raises
    ------
    DataError
        If a moderator is a linear combination of the others, there are more of them than studies,
        or two coefficients would have one name.

    Examples
    --------
    >>> from bayesmeta.studies.study_table import read_effect_sizes
    >>> frame = pd.DataFrame(
    ...     {"s": list("abcd"), "y": [0, 1, 0, 2], "se": [1, 1, 1, 1], "arm": ["x", "x", "y", "z"]}
    ... )
    >>> table = read_effect_sizes(frame, effect="y", se="se", study="s", moderators=["arm"])
    >>> build_effect_design(table).moderators
    ('arm[y]', 'arm[z]')
    """
    labels, columns = [], []
    for name in table.moderators:
        values = table.frame[name]
        if pd.api.types.is_numeric_dtype(values):
            labels.append(name)
            columns.append(values.to_numpy(float))
            continue
        for level in sorted(set(values))[1:]:
            labels.append(f"{name}[{level}]")
            columns.append((values == level).to_numpy(float))
    for label in labels:
        if labels.count(label) > 1:
            raise DataError(
                f"two coefficients would be called '{label}': a level of one moderator and another "
                "moderator. Allowed: names of their own. Rename the column or the level."
            )
    X = np.column_stack(columns) if columns else np.empty((len(table.frame), 0))
    _check_independent(X, labels)
    return EffectDesign(
        studies=table.studies,
        y=table.y,
        se=table.errors,
        X=X,
        moderators=tuple(labels),
        groups=_number_groups(table),
    )


def _check_independent(X: NDArray[np.float64], labels: list[str]) -> None:
    """Every column says something that those before it, and the mean, do not."""
    before = np.ones((len(X), 1))
    for k, label in enumerate(labels):
        spread = X[:, k] - X[:, k].mean()
        rest = spread - before @ np.linalg.lstsq(before, spread, rcond=None)[0]
        if np.linalg.norm(rest) <= _EXACT * np.linalg.norm(spread):
            raise DataError(
                f"moderator '{label}' is an exact linear combination of {listing(labels[:k])} over "
                f"these {len(X)} studies, so that its effect cannot be told. Allowed: moderators "
                "that vary each apart from the others, and fewer of them than studies. Leave one "
                "out."
            )
        before = np.column_stack([before, spread / np.linalg.norm(spread)])


def _number_groups(table: EffectSizes) -> tuple[GroupLevel, ...]:
    """Give groups their numbers, in the order in which they appear."""
    found, path = [], [()] * len(table.frame)
    for name in table.groups:
        path = [(*outer, label) for outer, label in zip(path, table.frame[name], strict=True)]
        index, groups = pd.factorize(np.fromiter(path, dtype=object, count=len(path)))
        labels = tuple("/".join(group) for group in groups)
        found.append(GroupLevel(name=name, labels=labels, index=index.astype(np.int64)))
    return tuple(found)
