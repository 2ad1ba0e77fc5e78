"""A table of effect sizes as arrays: moderators centred and scaled, groups numbered."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from bayesmeta.errors import DataError, listing
from bayesmeta.model.predictor import Array
from bayesmeta.studies.study_table import EffectSizes, bad_formula, formula_errors

_ROUNDING = 1e-13
"""Largest deviation from the mean, relative to the column, that is rounding alone."""

_EXACT = 1e-8
"""Residual, relative to the column, below which a combination is exact but for rounding."""

RESULTS = ("tau", "I2", "H2", "intercept", "mean effect", "mean effect at mean moderators",
           "effect in a new study")  # fmt: skip
"""Names of what a summary lists beside coefficients."""

SMALL_STUDY = {"pet": "standard error", "peese": "squared standard error"}
"""Regressions on the error: what the moderator of each is called."""


@dataclass(frozen=True, slots=True, eq=False)
class GroupLevel:
    """One level of nested groups, or groups that cross them.

    Parameters
    ----------
    name, labels
        Name of the column, and labels of the groups, each with those around it: `outer/inner`.
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


@dataclass(frozen=True, eq=False)
class EffectDesign:
    """Arrays and coordinates of a table of effect sizes.

    Inside, a moderator is less its mean and divided by its standard deviation, so that no prior
    depends on its zero or its unit; `hand_back` gives coefficients of the moderators as they are.

    Parameters
    ----------
    studies, y, se
        Names of the studies, their effects and the standard errors of these, shape (study,).
    X
        Moderators as they are, text as one column for every level but the first, shape (study,
        moderator).
    moderators
        Labels of the columns of `X`: the name, or name[level].
    groups
        Levels of nested groups, the outermost first, and then groups that cross them.
    center, scale
        What is taken off every column of `X`, and what it is then divided by, shape (moderator,).
    covariance
        Of the sampling errors, shape (study, study); None where they are independent.
    counts
        Events and totals, treated and control, shape (study, 4); None where none are used.
    n_bias
        Number of columns at the end of `X` that are functions of the standard error.
    """

    studies: tuple[str, ...]
    y: Array
    se: Array
    X: Array
    moderators: tuple[str, ...]
    groups: tuple[GroupLevel, ...]
    center: Array
    scale: Array
    covariance: Array | None = None
    counts: Array | None = None
    n_bias: int = 0

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
    def columns(self) -> Array:
        """The intercept and the centred, scaled moderators, shape (study, 1 + moderator)."""
        return np.column_stack([np.ones(len(self.y)), (self.X - self.center) / self.scale])

    @property
    def typical_error(self) -> float:
        """Median standard error: the unit that default priors are stated in."""
        return float(np.median(self.se))

    @property
    def errors(self) -> Array:
        """Covariance of the sampling errors, shape (study, study), independent or not."""
        return np.diag(self.se**2) if self.covariance is None else self.covariance

    @cached_property
    def axes(self) -> tuple[Array | None, Array]:
        """Principal axes of the sampling errors, shape (study, axis), and their variances.

        Along them errors are independent, and so are the studies' own effects, which are alike in
        every direction. None where the studies are the axes.
        """
        if self.covariance is None:
            return None, self.se**2
        values, vectors = np.linalg.eigh(self.covariance)
        return vectors, values

    def along(self, values: Array) -> Array:
        """Turn values of the studies, on the first axis, into values along the principal axes."""
        vectors = self.axes[0]
        return values if vectors is None else vectors.T @ values

    def hand_back(self, coefficients: Array) -> tuple[Array, Array]:
        """Give the mean effect where all moderators are 0, and coefficients in their units.

        Parameters
        ----------
        coefficients
            Of `columns`, shape (..., 1 + moderator).
        """
        gamma = coefficients[..., 1:] / self.scale
        return coefficients[..., 0] - gamma @ self.center, gamma


def build_effect_design(
    table: EffectSizes, *, small_study: str = "none", use_counts: bool = False
) -> EffectDesign:
    """Turn a table of effect sizes into arrays.

    Parameters
    ----------
    table
        What `read_effect_sizes` read.
    small_study
        Function of the standard error that is a further moderator: `none`, `pet` or `peese`.
    use_counts
        Whether the likelihood looks at counts in place of effects.

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
    labels, X = build_columns(table, table.frame)
    for label in labels:
        if label in RESULTS or label.startswith("tau of "):
            raise DataError(
                f"the moderator '{label}' bears the name of a result. Allowed: other names than "
                f"{listing(RESULTS)}. Rename the column."
            )
        if labels.count(label) > 1:
            raise DataError(
                f"two coefficients would be called '{label}': a level of one moderator and another "
                "moderator. Allowed: names of their own. Rename the column or the level."
            )
    center, scale = X.mean(axis=0), X.std(axis=0)
    bias = SMALL_STUDY.get(small_study)
    if bias is not None:
        power = 1 if small_study == "pet" else 2
        X = np.column_stack([X, table.errors**power])
        labels.append(bias)
        # Not centred: the mean effect is that of a study without error.
        center = np.append(center, 0.0)
        scale = np.append(scale, np.median(table.errors) ** (power - 1))
    check_independent(X, labels)
    return EffectDesign(
        studies=table.studies,
        y=table.y,
        se=table.errors,
        X=X,
        moderators=tuple(labels),
        groups=_number_groups(table),
        center=center,
        scale=scale,
        covariance=table.correlated,
        counts=table.frame[list(table.counts)].to_numpy(float) if use_counts else None,
        n_bias=int(bias is not None),
    )


def build_columns(table: EffectSizes, frame: pd.DataFrame) -> tuple[list[str], Array]:
    """Give the columns of moderators of a frame, with the levels and the formula of a table.

    Returns
    -------
    tuple
        Labels, and values of shape (row, moderator).
    """
    if table.formula is not None:
        return _formula_columns(table, frame)
    labels, columns = [], []
    for name in table.moderators:
        if is_number(table, name):
            labels.append(name)
            columns.append(frame[name].to_numpy(float))
            continue
        for level in list_levels(table, name)[1:]:
            labels.append(f"{name}[{level}]")
            columns.append((frame[name] == level).to_numpy(float))
    return labels, np.column_stack(columns) if columns else np.empty((len(frame), 0))


def is_number(table: EffectSizes, name: str) -> bool:
    """Say whether a moderator is a number."""
    return pd.api.types.is_numeric_dtype(table.frame[name])


def list_levels(table: EffectSizes, name: str) -> tuple[str, ...]:
    """List the levels of a text moderator, the reference first."""
    return tuple(table.levels.get(name) or sorted(set(table.frame[name])))


def _formula_columns(table: EffectSizes, frame: pd.DataFrame) -> tuple[list[str], Array]:
    """Evaluate a formula as the table has set it up: knots, levels and means are the table's."""
    from formulae import design_matrices

    def typed(rows: pd.DataFrame) -> pd.DataFrame:
        text = [name for name in table.moderators if not is_number(table, name)]
        kinds = {n: pd.Categorical(rows[n], list_levels(table, n), ordered=True) for n in text}
        return rows[list(table.moderators)].assign(**kinds)

    assert table.formula is not None
    with formula_errors(table.formula), np.errstate(all="ignore"):
        found: Any = design_matrices(table.formula, typed(table.frame)).common
        values = found.evaluate_new_data(typed(frame)).design_matrix
    terms: Mapping[str, Any] = found.terms
    if "Intercept" not in terms:
        raise bad_formula(table.formula, "it leaves the mean out")
    labels = [str(label) for term in terms.values() for label in term.labels]
    keep = [k for k, label in enumerate(labels) if label != "Intercept"]
    columns = np.asarray(values, float)[:, keep]
    if not np.isfinite(columns).all():
        row, k = np.argwhere(~np.isfinite(columns))[0]
        raise bad_formula(table.formula, f"'{labels[keep[k]]}' is {columns[row, k]} in a study")
    return [labels[k] for k in keep], columns


def check_independent(X: Array, labels: list[str]) -> None:
    """Every column says something that those before it, and the mean, do not."""
    before = np.ones((len(X), 1))
    for k, label in enumerate(labels):
        spread = X[:, k] - X[:, k].mean()
        if np.abs(spread).max() <= _ROUNDING * np.abs(X[:, k]).max():
            raise DataError(
                f"moderator '{label}' varies by {np.ptp(X[:, k]):.3g} about {X[0, k]:.10g}, which "
                "is rounding. Allowed: columns that vary. Take a constant off, or leave it out."
            )
        rest = spread - before @ np.linalg.lstsq(before, spread, rcond=None)[0]
        if np.linalg.norm(rest) <= _EXACT * np.linalg.norm(spread):
            raise DataError(
                f"moderator '{label}' is an exact linear combination of "
                f"{listing(labels[:k]) or 'the mean'} over these {len(X)} studies, so that its "
                "effect cannot be told. Allowed: moderators that vary each apart from the others, "
                "and fewer of them than studies. Leave one out."
            )
        before = np.column_stack([before, spread / np.linalg.norm(spread)])


def _number_groups(table: EffectSizes) -> tuple[GroupLevel, ...]:
    """Give groups their numbers, in the order in which they appear."""
    found, path = [], [()] * len(table.frame)
    for name in table.groups:
        path = [(*outer, label) for outer, label in zip(path, table.frame[name], strict=True)]
        found.append(_number(name, path))
    return tuple(found + [_number(n, [(x,) for x in table.frame[n]]) for n in table.crossed])


def _number(name: str, path: list[tuple[str, ...]]) -> GroupLevel:
    index, groups = pd.factorize(np.fromiter(path, dtype=object, count=len(path)))
    labels = tuple("/".join(group) for group in groups)
    return GroupLevel(name=name, labels=labels, index=index.astype(np.int64))
