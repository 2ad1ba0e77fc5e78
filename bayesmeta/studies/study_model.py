"""The meta-analysis of effect sizes as plain values, and its densities in numpy."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from bayesmeta.errors import DataError, SpecError, listing
from bayesmeta.model.predictor import Array, Parameters, StudentScores
from bayesmeta.model.spec import hash_values, refuse_unknown
from bayesmeta.studies.study_table import EffectSizes

OPTIONS: dict[str, tuple[str, ...]] = {
    "tau": ("half-normal", "half-cauchy", "log-normal", "uniform"),
    "likelihood": ("normal", "student-t"),
}
"""The switches of a spec and what each may be."""


_EXACT = 1e-8
"""Residual, relative to the column, below which a combination is exact but for rounding."""


@dataclass(frozen=True, slots=True, eq=False)
class GroupLevel:
    """One level of nested groups.

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


@dataclass(frozen=True, slots=True, eq=False)
class EffectDesign:
    """Arrays and coordinates of a table of effect sizes.

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
        Levels of nested groups, the outermost first.
    """

    studies: tuple[str, ...]
    y: Array
    se: Array
    X: Array
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
    def columns(self) -> Array:
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


def _check_independent(X: Array, labels: list[str]) -> None:
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


@dataclass(frozen=True, slots=True)
class EffectSizeSpec:
    """A meta-analysis of effect sizes with known standard errors.

    The effect of study i is measured as y_i, with standard error se_i, about theta_i = mu + x_i
    gamma + effects of its groups + tau z_i, where z_i is standard normal. Moderators are not
    centred: `mu` is the mean effect where every moderator is 0, or at its first level.

    All numbers are in the unit of the effects. The defaults fit log odds ratios and standardised
    mean differences; for effects in another unit state them.

    Parameters
    ----------
    mu_sd
        Standard deviation of the normal prior of the mean effect. By default 4, the unit
        information of a log odds ratio (Röver 2020, https://doi.org/10.18637/jss.v093.i06).
    moderator_sd
        Standard deviation of the normal prior of a moderator's coefficient: effect per unit of the
        moderator.
    tau
        Prior of the standard deviation between studies, and of that between the groups of every
        level: `half-normal`, `half-cauchy`, `log-normal` or `uniform`.
    tau_scale
        Its scale (half-normal, half-Cauchy), its median (log-normal) or its upper end (uniform). By
        default 0.5, half-normal (Röver et al. 2021, https://doi.org/10.1002/jrsm.1475).
    tau_log_sd
        Its standard deviation on the log scale; log-normal only.
    likelihood
        `normal`, or `student-t` with scale se_i and degrees of freedom that are learned, for
        studies that miss by more than their standard errors say.
    nu_shape, nu_rate
        Gamma prior of the degrees of freedom beyond one; Student-t only.

    Raises
    ------
    SpecError
        If an option is not known, or a number is not positive and finite: scales of priors have to
        be both.

    Examples
    --------
    >>> EffectSizeSpec(tau="half-cauchy", tau_scale=5.0).checksum == EffectSizeSpec().checksum
    False
    """

    mu_sd: float = 4.0
    moderator_sd: float = 1.0
    tau: str = "half-normal"
    tau_scale: float = 0.5
    tau_log_sd: float = 0.7
    likelihood: str = "normal"
    nu_shape: float = 2.0
    nu_rate: float = 0.1

    def __post_init__(self) -> None:
        """Reject what is not known, at the border."""
        for option, allowed in OPTIONS.items():
            if getattr(self, option) not in allowed:
                raise refuse_unknown(option, getattr(self, option), allowed)
        for item in dataclasses.fields(self):
            value = getattr(self, item.name)
            if item.name not in OPTIONS and not _is_positive(value):
                raise SpecError(
                    f"{item.name} is {value!r}. Allowed: a positive number, in the unit of the "
                    "effects where it is a scale. Correct it or leave it out."
                )

    @property
    def checksum(self) -> str:
        """SHA-256 of the values."""
        return hash_values(self.to_dict())

    def to_dict(self) -> dict[str, Any]:
        """Turn the spec into plain values for JSON or TOML."""
        return dataclasses.asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> EffectSizeSpec:
        """Build a spec from plain values; what is left out keeps its default.

        Raises
        ------
        SpecError
            If a key is not known or a value is not allowed.

        Examples
        --------
        >>> EffectSizeSpec.from_dict({"tau": "uniform"}).tau
        'uniform'
        """
        known = [item.name for item in dataclasses.fields(cls)]
        for key in values:
            if key not in known:
                raise refuse_unknown("key", key, known)
        return cls(**values)


def _is_positive(value: object) -> bool:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    return math.isfinite(value) and value > 0


def effect_distribution(
    parameters: Parameters, *, design: EffectDesign, spec: EffectSizeSpec
) -> StudentScores:
    """Distribution of the effects given parameters, as the likelihood has it.

    Parameters
    ----------
    parameters
        Arrays of shape (...) and the dims of the parameter, by name.
    design, spec
        What they are parameters of.

    Returns
    -------
    StudentScores
        Under normal errors that of the effects with the true effects of the studies summed out;
        under Student-t errors, which have no such form, given the true effects.
    """
    if spec.likelihood == "student-t":
        theta, nu = parameters["theta"], parameters["nu_beyond_one"][..., None] + 1
        sd = np.broadcast_to(design.se, theta.shape)
        return StudentScores(y=design.y, mu=theta, sd=sd, nu=nu)
    sd = np.sqrt(np.square(parameters["tau"])[..., None] + np.square(design.se))
    return StudentScores(y=design.y, mu=_mean_effect(parameters, design), sd=sd, nu=None)


def _mean_effect(parameters: Parameters, design: EffectDesign) -> Array:
    """Mean effect of studies like each one, its groups included, shape (..., study)."""
    mean = np.asarray(parameters["mu"])[..., None]
    if design.moderators:
        mean = mean + np.asarray(parameters["gamma"]) @ design.X.T
    for level in design.groups:
        mean = mean + np.asarray(parameters[f"u_{level.name}"])[..., level.index]
    return mean + np.zeros(len(design.y))
