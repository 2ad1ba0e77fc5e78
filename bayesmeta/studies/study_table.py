"""Tables of effect sizes with known standard errors: one row per study, of any field."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import math
import re
from collections.abc import Hashable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from statistics import NormalDist
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from bayesmeta import defaults
from bayesmeta.data.csv_tables import (
    write_rows,
)
from bayesmeta.errors import DataError, listing, shorten, unknown
from bayesmeta.model.predictor import Array
from bayesmeta.studies.study_cells import Cells, open_table, write_cell
from bayesmeta.tables.notebook import NotebookView, show_pairs, show_table, show_title

DERIVED_SE, DERIVED_EFFECT = "standard error", "log odds ratio"
"""Columns that are computed where the table has others in their place."""

FUNCTIONS = frozenset(
    {"C", "I", "bs", "center", "np.exp", "np.log", "np.log2", "np.log10", "np.sqrt", "poly",
     "scale", "standardize"}
)  # fmt: skip
"""What a formula may call: a saved fit holds its formula, and loading it must run nothing else."""

_POWER = re.compile(r"^[^(]*\w\s*\*\*|[+:*]\s*\w+\s*\*\*(?![^(]*\))")
"""A power outside of brackets, which formulae takes for the column as it is."""

_SYMMETRIC = 0.1
"""Share of the interval's width by which an effect may lie off its middle: rounding, no more."""

_SPAN, _MOST = 1e9, 1e100
"""Largest number of a table in its smallest standard errors, and at all."""

_CLOSE = 1e-3
"""Relative difference between a squared standard error and the diagonal of a covariance matrix."""


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class EffectSizes(NotebookView):
    """Effect sizes of studies, checked; `read_effect_sizes` makes it.

    Parameters
    ----------
    frame
        One row per study, with the columns named below. Effects, errors and numeric moderators are
        numbers, everything else is text.
    effect, se, study
        Columns of the effects, of their standard errors, and of the studies' names.
    groups, crossed
        Columns of nested groups, the outermost first, and of groups that cross them.
    moderators
        Columns of what may explain differences between studies.
    formula
        How they do, where that was said.
    levels
        Levels of text moderators whose order was given, the reference first.
    counts
        Columns of events and totals, treated and control, where these were counted.
    covariance
        Of the sampling errors, shape (study, study), where it was given.
    cluster, rho
        Column inside whose groups sampling errors are correlated, and by how much.
    dropped
        Names of the studies that were left out, since a cell is missing.
    source
        The file, or `memory`.

    Examples
    --------
    >>> frame = pd.DataFrame({"trial": ["a", "b"], "yi": [0.1, 0.3], "sei": [0.1, 0.2]})
    >>> read_effect_sizes(frame, effect="yi", se="sei", study="trial")
    EffectSizes(2 studies, source='memory')
    """

    frame: pd.DataFrame
    effect: str
    se: str
    study: str
    groups: tuple[str, ...] = ()
    moderators: tuple[str, ...] = ()
    source: str = "memory"
    crossed: tuple[str, ...] = ()
    formula: str | None = None
    levels: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    counts: tuple[str, ...] = ()
    covariance: Array | None = None
    cluster: str | None = None
    rho: float | None = None
    dropped: tuple[str, ...] = ()

    @property
    def y(self) -> Array:
        """Effects, shape (study,)."""
        return self.frame[self.effect].to_numpy(float)

    @property
    def errors(self) -> Array:
        """Standard errors of the effects, shape (study,)."""
        return self.frame[self.se].to_numpy(float)

    @property
    def studies(self) -> tuple[str, ...]:
        """Names of the studies."""
        return tuple(self.frame[self.study])

    @property
    def correlated(self) -> Array | None:
        """Covariance of the sampling errors, shape (study, study); None where independent."""
        if self.cluster is None or self.rho is None:
            return self.covariance
        labels, se = self.frame[self.cluster].to_numpy(object), self.errors
        together = labels[:, None] == labels
        return np.where(together, self.rho, 0.0) * np.outer(se, se) + np.diag(
            (1 - self.rho) * se**2
        )

    @property
    def checksum(self) -> str:
        """The SHA-256 of the content and of the columns' roles, the same on every platform."""
        digest = hashlib.sha256()
        for text in (json.dumps(self.roles), self.format_table()):
            digest.update(text.encode())
        return digest.hexdigest()

    @property
    def roles(self) -> dict[str, Any]:
        """What `read_effect_sizes` takes beside the table; what was left out is not listed."""
        names = ("effect", "se", "study", "groups", "moderators")
        found = {name: getattr(self, name) for name in names}
        if self.formula is not None:
            found["moderators"] = self.formula
        if self.counts:
            found |= {"effect": None, "se": None, "counts": self.counts}
        for name in ("crossed", "levels", "cluster", "rho"):
            if getattr(self, name):
                found[name] = getattr(self, name)
        if self.covariance is not None:
            found["covariance"] = self.covariance.tolist()
        return found

    def leave_out(self, rows: Sequence[int]) -> EffectSizes:
        """Give the table without some rows; labels and levels that are gone leave no trace.

        Raises
        ------
        DataError
            If what is left cannot be analysed, such as a moderator that is constant now.
        """
        kept = np.delete(np.arange(len(self.frame)), rows)
        roles = self.roles
        if self.covariance is not None:
            roles["covariance"] = self.covariance[np.ix_(kept, kept)]
        left = self.frame.iloc[kept].reset_index(drop=True)
        if self.levels:
            roles["levels"] = {
                name: tuple(level for level in levels if level in set(left[name]))
                for name, levels in self.levels.items()
            }
        return dataclasses.replace(read_effect_sizes(left, **roles), source=self.source)

    def format_table(self) -> str:
        """Write the table as CSV text that reads back to the same values.

        Returns
        -------
        str
            The text, with lines that end in a line feed.
        """
        return write_rows(self.frame, [map(str, self.frame[name].tolist()) for name in self.frame])

    def _show_parts(self) -> Iterator[str]:
        yield show_title("EffectSizes", f"{len(self.frame):,} studies")
        yield show_pairs(
            {
                "effect": self.effect,
                "standard error": self.se,
                "groups": listing((*self.groups, *self.crossed)),
                "moderators": self.formula or listing(self.moderators),
                "left out": listing(self.dropped[: defaults.ROWS_SHOWN]),
                "source": self.source,
            }
        )
        yield show_table(self.frame, whole=".frame")

    def __repr__(self) -> str:
        parts = [f"{len(self.frame)} studies"]
        parts += [f"groups {listing(self.groups)}"] if self.groups else []
        parts += [f"crossed {listing(self.crossed)}"] if self.crossed else []
        parts += [f"moderators {listing(self.moderators)}"] if self.moderators else []
        parts += [f"{len(self.dropped)} left out"] if self.dropped else []
        return f"EffectSizes({', '.join(parts)}, source={self.source!r})"


def read_effect_sizes(
    table: Any,
    *,
    study: Hashable,
    effect: Hashable | None = None,
    se: Hashable | None = None,
    variance: Hashable | None = None,
    limits: Sequence[Hashable] = (),
    ci_prob: float = 0.95,
    counts: Sequence[Hashable] = (),
    groups: Sequence[Hashable] = (),
    crossed: Sequence[Hashable] = (),
    moderators: Sequence[Hashable] | str = (),
    levels: Mapping[Hashable, Any] | None = None,
    covariance: Any = None,
    cluster: Hashable | None = None,
    rho: float | None = None,
    missing: str = "refuse",
) -> EffectSizes:
    r"""Read and check a table of effect sizes with known standard errors.

    Parameters
    ----------
    table
        A file of values separated by commas, semicolons or tabs; or a frame of pandas, polars or
        any other library that narwhals knows; or a dict of columns. Columns that are not named
        here are left out.
    study
        Column of the studies' names, each of them once. Labels of columns may be anything hashable.
    effect
        Column of the effects: differences, log ratios, correlations after Fisher's transform, all
        in one unit.
    se
        Column of their standard errors, in the same unit.
    variance, limits, ci_prob
        In place of `se`: the column of sampling variances; or the two columns of the lower and
        upper confidence limits, and the probability of these intervals.
    counts
        In place of `effect` and `se`: the four columns of events and number of cases, treated and
        then control. The effect is the log odds ratio, and the default likelihood is exact.
    groups
        Columns of nested groups, the outermost first. A label of an inner group is taken inside its
        outer one: class 1 of school A is another than class 1 of school B.
    crossed
        Columns of groups that cross one another and the nested ones, such as the test used.
    moderators
        Columns of what may explain differences between studies: numbers, or text, whose levels are
        compared with the first: of a categorical column the first category, else in alphabetical
        order. Or a formula of such columns, such as `"year * dose"`, as formulae reads it.
    levels
        For text moderators: the levels in order, the reference first, such as `{"arm": ["low",
        "mid", "high"]}`; or the reference alone, `{"arm": "low"}`. Makes numbers levels.
    covariance
        Covariance of the sampling errors, shape (study, study), in the order of the rows; `se` may
        then be left out.
    cluster, rho
        Column of what shares participants, and the correlation of sampling errors inside it.
    missing
        `refuse` a table with missing cells, or `drop` the rows they are in.

    Returns
    -------
    EffectSizes
        The table, to be handed to `fit`.

    Raises
    ------
    DataError
        If a column is missing or has two roles, a cell is blank or not a number where it has to be
        one, a standard error is not positive, a study appears twice, there are fewer than two
        studies, a moderator is constant, a column of groups groups nothing, or a matrix is no
        covariance matrix of these errors.

    Examples
    --------
    >>> path = getfixture("tmp_path") / "trials.csv"
    >>> _ = path.write_text("trial,yi,sei,dose\na,0.1,0.1,5\nb,0.3,0.2,10\n")
    >>> found = read_effect_sizes(path, effect="yi", se="sei", study="trial", moderators=["dose"])
    >>> found.frame["dose"].tolist()
    [5.0, 10.0]
    """
    if missing not in ("refuse", "drop"):
        raise unknown(DataError, "missing", missing, ("refuse", "drop"))
    given = open_table(table)
    formula = moderators if isinstance(moderators, str) else None
    if formula is not None:
        moderators = _variables(formula)
    listed = {"limits": limits, "counts": counts, "groups": groups, "crossed": crossed,
              "moderators": moderators}  # fmt: skip
    single = {"study": study, "effect": effect, "se": se, "variance": variance, "cluster": cluster}
    has_matrix = covariance is not None
    _check_measure(single, limits, counts, has_matrix=has_matrix)
    rho = _check_rho(rho, cluster, has_matrix=has_matrix)
    roles = _list_roles(single, listed)
    named = given.find(roles)
    chosen = {named[name]: value for name, value in _check_levels(levels, moderators).items()}
    reader = Cells(given)
    for role, name in roles:
        reader.read(role, name, levels=chosen)
    dropped = reader.settle(missing, study=named[study])
    columns = reader.columns
    lookup = {role: tuple(named[name] for name in names) for role, names in listed.items()}
    reader.check_distinct(named[study])
    names = [write_cell(cell) for cell in given.cells[given.labels.index(study)]]
    matrix = _read_matrix(covariance, reader, names=names)
    measure = _Measure(reader, {k: named[v] for k, v in single.items() if v is not None}, lookup)
    columns |= measure.derive(matrix, ci_prob=ci_prob)
    _check_content(columns, lookup)
    within = None if cluster is None else named[cluster]
    kept: list[str] = [named[study], measure.effect, measure.se]
    for role in ("groups", "crossed", "moderators", "counts"):
        kept += lookup[role]
    kept += [within] if within else []
    found = EffectSizes(
        frame=pd.DataFrame({name: columns[name] for name in kept}),
        effect=measure.effect, se=measure.se, study=named[study],
        groups=lookup["groups"], moderators=lookup["moderators"], source=given.source,
        crossed=lookup["crossed"], formula=formula, levels=reader.order_levels(chosen),
        counts=lookup["counts"], covariance=matrix,
        cluster=within, rho=rho,
        dropped=dropped,
    )  # fmt: skip
    if found.rho is not None and found.correlated is not None:
        _check_positive_definite(found.correlated, f"rho {found.rho:g} within '{found.cluster}'")
    return found


# --- What was asked -------------------------------------------------------------------------------


def _list_roles(
    single: Mapping[str, Hashable | None], listed: Mapping[str, Any]
) -> list[tuple[str, Hashable]]:
    """List the columns that are named, each with its role."""
    roles = [(role, name) for role, name in single.items() if name is not None]
    for role, names in listed.items():
        _check_list(names, role=role)
        roles += [(role, name) for name in names]
    return roles


def _check_list(given: Any, *, role: str) -> None:
    """One name alone is a slip that would be read letter by letter."""
    if not isinstance(given, list | tuple) or not all(isinstance(name, Hashable) for name in given):
        raise DataError(f"{role} is {given!r}. Allowed: a list of column names, such as ['dose'].")
    lengths = {"limits": (0, 2), "counts": (0, 4)}
    if role in lengths and len(given) not in lengths[role]:
        wanted = "lower and upper limit" if role == "limits" else (
            "events and total of the treated, events and total of the controls"
        )  # fmt: skip
        raise DataError(
            f"{role} names {len(given)} columns. Allowed: {lengths[role][1]}: {wanted}."
        )


def _check_measure(
    single: Mapping[str, Hashable | None], limits: Any, counts: Any, *, has_matrix: bool
) -> None:
    """Ask for an effect and one measure of its error, or for counts."""
    errors = [name for name in ("se", "variance") if single[name] is not None]
    errors += ["limits"] if limits else []
    if counts:
        if errors or single["effect"] is not None or has_matrix:
            also = listing([*errors, *(["effect"] if single["effect"] is not None else []),
                            *(["covariance"] if has_matrix else [])])  # fmt: skip
            raise DataError(
                f"counts and {also} are given. Allowed: one or the other. Leave one out."
            )
        return
    if single["effect"] is None:
        raise DataError("effect names no column. Allowed: the column of the effects, or counts.")
    if len(errors) > 1 or not (errors or has_matrix):
        raise DataError(
            f"errors are given by {listing(errors) or 'nothing'}. Allowed: one of se, variance and "
            "limits; or a covariance matrix. Name the column that the table has."
        )


def _variables(formula: str) -> list[str]:
    """List the columns that a formula of moderators needs."""
    from formulae import model_description

    called = set(re.findall(r"([\w.]+)\s*\(", formula)) - FUNCTIONS
    if called:
        raise bad_formula(formula, f"functions that may be called are {listing(sorted(FUNCTIONS))}")
    if _POWER.search(formula):
        raise bad_formula(formula, "a power of a column is written I(year**2), or poly(year, 2)")
    with formula_errors(formula):
        found = model_description(formula)
    if found.response is not None or found.group_terms:
        raise bad_formula(
            formula, "it is of moderators alone: no ~, and groups are named by groups"
        )
    return sorted(set(found.var_names) - {""})


@contextmanager
def formula_errors(formula: str) -> Iterator[None]:
    """Turn what formulae raises into one message."""
    from formulae.parser import ParseError
    from formulae.scanner import ScanError

    try:
        yield
    except (ParseError, ScanError, ArithmeticError, AttributeError, LookupError, NameError,
            NotImplementedError, TypeError, ValueError) as error:  # fmt: skip
        raise bad_formula(formula, error) from error


def bad_formula(formula: str, why: object) -> DataError:
    """Word the refusal of a formula."""
    return DataError(
        f"moderators is the formula '{shorten(formula)}', which cannot be used ({why}). Allowed: "
        "column names joined by +, : and *, and functions of them, such as 'year + dose * arm'; "
        "the mean is always there. Correct it, or give a list of column names."
    )


def _check_levels(
    levels: Mapping[Hashable, Any] | None, moderators: Sequence[Hashable]
) -> dict[Hashable, tuple[str, ...]]:
    """Read the levels that were given: all of them in order, or the reference alone."""
    found = {}
    if not isinstance(levels, Mapping | None):
        raise DataError(
            f"levels is {levels!r}. Allowed: levels by moderator, such as "
            "{'arm': ['low', 'high']}."
        )
    for name, value in (levels or {}).items():
        if name not in moderators:
            raise unknown(
                DataError, "levels of", name, moderators or ["none"], said="is not a moderator",
                mend="Name it as a moderator too, or leave its levels out.",
            )  # fmt: skip
        several = isinstance(value, list | tuple)
        found[name] = tuple(write_cell(one) for one in value) if several else (write_cell(value),)
    return found


def _check_rho(rho: float | None, cluster: Hashable | None, *, has_matrix: bool) -> float | None:
    if (rho is None) != (cluster is None):
        lacking = "rho" if rho is None else "cluster"
        raise DataError(
            f"{lacking} is left out. Allowed: both cluster, the column of what shares "
            "participants, and rho, the correlation of sampling errors inside it; or neither."
        )
    if rho is not None and has_matrix:
        raise DataError(
            "covariance and rho are given. Allowed: one or the other, since rho makes a covariance "
            "matrix of its own. Leave one out."
        )
    if rho is not None and not (_is_real(rho) and -1 < rho < 1):
        raise DataError(f"rho is {rho!r}. Allowed: a correlation between -1 and 1, such as 0.6.")
    return None if rho is None else float(rho)


def _is_real(value: object) -> bool:
    return isinstance(value, int | float | np.number) and not isinstance(value, bool)


# --- Effects and their errors ---------------------------------------------------------------------


@dataclass(slots=True)
class _Measure:
    """Effects and standard errors, from whichever columns there are."""

    reader: Cells
    single: Mapping[str, str]
    listed: Mapping[str, tuple[str, ...]]

    @property
    def effect(self) -> str:
        """Column of the effects."""
        return DERIVED_EFFECT if self.listed["counts"] else self.single["effect"]

    @property
    def se(self) -> str:
        """Column of the standard errors."""
        return self.single.get("se", DERIVED_SE)

    def derive(self, matrix: Array | None, *, ci_prob: float) -> dict[str, list[float]]:
        """Compute what the table has in another form, and check it."""
        if self.listed["counts"]:
            return self.from_counts()
        found: dict[str, list[float]] = {}
        if "se" in self.single:
            self.check_positive(self.se, "standard error")
        elif "variance" in self.single:
            name = self.single["variance"]
            self.check_positive(name, "variance")
            found = {DERIVED_SE: [math.sqrt(x) for x in self.reader.columns[name]]}
        elif self.listed["limits"]:
            found = {DERIVED_SE: self.from_limits(ci_prob)}
        else:
            assert matrix is not None
            found = {DERIVED_SE: np.sqrt(np.diag(matrix)).tolist()}
        errors = np.array(found.get(DERIVED_SE) or self.reader.columns[self.se])
        if matrix is not None:
            _check_diagonal(matrix, errors)
        self.check_span(errors)
        return found

    def check_span(self, errors: Array) -> None:
        """Raise where a number is too far from the others to be computed with."""
        sizes = np.maximum(np.abs(np.array(self.reader.columns[self.effect])), errors)
        smallest, largest, middle = errors.min(), sizes.max(), np.median(errors)
        if largest <= _SPAN * smallest and largest <= _MOST:
            return
        is_small = middle * (middle / smallest) > largest
        row = int(errors.argmin() if is_small else sizes.argmax())
        what = f"standard error {smallest:.3g}" if is_small else f"number {largest:.3g}"
        raise self.reader.fail(
            row, self.effect if not is_small else self.se, f"the {what} is too far from the others "
            f"to be computed with: the smallest error is {smallest:.3g}, the largest effect or "
            f"error {largest:.3g}. Allowed: at most {_SPAN:.0e} times the smallest error. It is no "
            "measurement, or a missing value's code; correct it."
        )  # fmt: skip

    def check_positive(self, column: str, what: str) -> None:
        """Raise where an error is not above zero."""
        self.reader.check_cells(
            column, lambda x: x > 0,
            lambda x: f"the {what} is {x:g}. Allowed: a number above 0. An effect without sampling "
            "error is no estimate; correct the cell, or remove the row.",
        )  # fmt: skip

    def from_limits(self, ci_prob: float) -> list[float]:
        """Compute standard errors from limits that lie on either side of the effect alike."""
        if not (_is_real(ci_prob) and 0 < ci_prob < 1):
            raise DataError(f"ci_prob is {ci_prob!r}. Allowed: a probability, such as 0.95.")
        effects, found = self.reader.columns[self.effect], []
        lower, upper = (self.reader.columns[name] for name in self.listed["limits"])
        z = NormalDist().inv_cdf((1 + ci_prob) / 2)
        for row, (low, y, high) in enumerate(zip(lower, effects, upper, strict=True)):
            name = self.listed["limits"][1]
            if not low < high:
                raise self.reader.fail(
                    row, name, f"the upper limit {high:g} is not above the lower one {low:g}. "
                    "Allowed: lower < upper. Correct the cells, or the order of limits."
                )  # fmt: skip
            if abs((low + high) / 2 - y) > _SYMMETRIC * (high - low):
                raise self.reader.fail(
                    row, name, f"the effect {y:g} is not in the middle of {low:g} and {high:g}. "
                    "Allowed: limits of a normal estimate. Take logarithms of ratios and of their "
                    "limits, and Fisher's z of correlations."
                )  # fmt: skip
            found.append((high - low) / (2 * z))
        return found

    def from_counts(self) -> dict[str, list[float]]:
        """Compute log odds ratios; half a case is added to every cell of a table with a zero."""
        names = self.listed["counts"]
        for name in names:
            self.reader.check_cells(
                name, lambda x: x >= 0 and x == int(x),
                lambda x: f"the count is {x:g}. Allowed: whole numbers from 0 up. Correct it.",
            )  # fmt: skip
        for events, total in (names[:2], names[2:]):
            for row, (x, n) in enumerate(
                zip(self.reader.columns[events], self.reader.columns[total], strict=True)
            ):
                if not x <= n or n == 0:
                    raise self.reader.fail(
                        row, events, f"{x:g} events of {n:g} cases. Allowed: at most as many "
                        "events as cases, and some cases. counts are events and totals, not events "
                        "and others; correct the cells."
                    )  # fmt: skip
        a, n1, c, n2 = (np.array(self.reader.columns[name]) for name in names)
        cells = np.stack([a, n1 - a, c, n2 - c])
        cells = cells + 0.5 * (cells == 0).any(axis=0)
        effect = np.log(cells[0] * cells[3] / (cells[1] * cells[2]))
        return {
            DERIVED_EFFECT: effect.tolist(),
            DERIVED_SE: np.sqrt((1 / cells).sum(axis=0)).tolist(),
        }


def _read_matrix(covariance: Any, reader: Cells, *, names: list[str]) -> Array | None:
    """Check a covariance matrix, and keep the rows that are kept."""
    if covariance is None:
        return None
    n = len(reader.given.lines)
    if isinstance(covariance, pd.DataFrame):
        labels = [[write_cell(one) for one in axis] for axis in covariance.axes]
        if all(sorted(axis) == sorted(names) for axis in labels):  # studies, in whatever order
            order = [[axis.index(name) for name in names] for axis in labels]
            covariance = covariance.to_numpy()[np.ix_(*order)]
    try:
        matrix = np.asarray(covariance, float)
    except (TypeError, ValueError) as error:
        raise DataError(
            f"covariance is {type(covariance).__name__}, not a matrix of numbers ({error}). "
            f"Allowed: numbers in {n} rows and columns."
        ) from error
    if matrix.shape != (n, n):
        raise DataError(
            f"covariance has shape {matrix.shape}. Allowed: ({n}, {n}), one row and one column for "
            "every row of the table, in its order."
        )
    matrix = matrix[np.ix_(reader.kept, reader.kept)]
    if not np.isfinite(matrix).all():
        raise DataError("covariance holds values that are not finite. Allowed: numbers alone.")
    scale = np.abs(matrix).max()
    off = np.abs(matrix - matrix.T)
    if off.max() > 1e-8 * scale:
        i, j = np.unravel_index(off.argmax(), off.shape)
        raise DataError(
            f"covariance is not symmetric: {matrix[i, j]:g} in row {i + 1}, column {j + 1}, but "
            f"{matrix[j, i]:g} across. Allowed: a covariance matrix. Correct it."
        )
    _check_positive_definite(matrix, "covariance")
    return matrix


def _check_positive_definite(matrix: Array, what: str) -> None:
    values = np.linalg.eigvalsh(matrix)
    if values[0] <= 1e-12 * values[-1]:
        raise DataError(
            f"{what} is not positive definite: its smallest eigenvalue is {values[0]:.3g}. "
            "Allowed: covariances that can be. Correlations are too large, or one result stands "
            "twice; correct them, or leave the row out."
        )


def _check_diagonal(matrix: Array, se: NDArray[np.float64]) -> None:
    off = np.abs(np.diag(matrix) / se**2 - 1)
    if off.max() > _CLOSE:
        row = int(off.argmax())
        raise DataError(
            f"covariance has {matrix[row, row]:g} on its diagonal in row {row + 1}, where the "
            f"standard error is {se[row]:g}, squared {se[row] ** 2:g}. Allowed: a covariance "
            "matrix, not one of correlations, in the order of the rows. Correct it, or leave out "
            "se."
        )


def _check_content(columns: dict[str, list], lookup: Mapping[str, tuple[str, ...]]) -> None:
    """Refuse moderators that never change, and groups that group nothing."""
    for name in lookup["moderators"]:
        _check_varies(columns[name], name)
    for groups in (lookup["groups"], *((name,) for name in lookup["crossed"])):
        _check_groups(columns, groups)


def _check_varies(values: list[float] | list[str], name: str) -> None:
    if len(set(values)) == 1:
        raise DataError(
            f"moderator '{name}' is {values[0]!r} in every study. Allowed: columns that vary, "
            "since an effect of what never changes cannot be told from the mean. Leave it out."
        )


def _check_groups(columns: dict[str, list], groups: tuple[str, ...]) -> None:
    """Every level has several groups, fewer than what it groups, and more than the level above."""
    n_above, path = 1, [()] * len(next(iter(columns.values())))
    for k, name in enumerate(groups):
        path = [(*outer, label) for outer, label in zip(path, columns[name], strict=True)]
        n, inside = len(set(path)), f" inside '{groups[k - 1]}'" if k else ""
        if n == n_above:
            raise DataError(
                f"group '{name}' has one label{inside or ' in every study'}. Allowed: columns with "
                "several labels, since one group shows no difference between groups. Leave it out."
            )
        if n == len(path):
            raise DataError(
                f"group '{name}' has another label in every study{inside}. Allowed: columns "
                "in which some studies share a label, since differences between "
                "studies are modelled already. Leave it out."
            )
        n_above = n
