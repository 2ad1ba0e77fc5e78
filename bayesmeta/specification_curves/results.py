"""What a multiverse says: specifications, which choice moves a statement most, the record."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.linalg import matrix_rank
from numpy.typing import NDArray

from bayesmeta import defaults
from bayesmeta.data.load import bundled_folder
from bayesmeta.errors import EvaluationError, QueryError, listing, shorten, suggest, unknown
from bayesmeta.estimates.summary import check_ci_prob, quantiles
from bayesmeta.specification_curves.grid import CHOICES
from bayesmeta.tables.headed_columns import Column, head
from bayesmeta.tables.notebook import NotebookView, fold, show_table, show_text, show_title
from bayesmeta.whole_files import write_text

_RECORD = "multiverse.csv"
_ASKED = ["statement", "target"]
_TEXTS = ("units", "note", *_ASKED, *CHOICES)
_NUMBERS = ("probability", "mcse", "estimate", "lower", "upper", "ci_prob", "rhat", "divergences")


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Multiverse(NotebookView):
    """Statements under a grid of specifications.

    Parameters
    ----------
    cells
        One row per specification and statement, as `table` returns it. Specification 0 is the
        default one.
    draws
        Effects in percentage points, shape (row, draw); None in a record, which has no draws.
    """

    cells: pd.DataFrame
    draws: NDArray[np.float64] | None = None

    @property
    def choices(self) -> dict[str, tuple[str, ...]]:
        """Levels of every choice, that of the default specification first."""
        names = [name for name in CHOICES if name in self.cells]
        return {name: tuple(dict.fromkeys(self.cells[name])) for name in names}

    @property
    def asked(self) -> list[tuple[str, str]]:
        """Statements and targets."""
        return list(dict.fromkeys(self.cells[_ASKED].itertuples(index=False, name=None)))

    def table(self, *, ci_prob: float = defaults.CI_PROB) -> pd.DataFrame:
        """Tabulate what every specification says, with equal-tailed intervals of `ci_prob`.

        Returns
        -------
        pandas.DataFrame
            One row per specification and statement: the number of the specification and a column
            per choice; `statement`, `target`; `probability` that it holds, with its `mcse`; median
            `estimate` in percentage points, `lower`, `upper`; `rhat` of the effect, and
            `divergences` of the fit; and a `note` where it cannot be asked, with the numbers
            missing, or where only the prior tells the effect.

        Raises
        ------
        QueryError
            If the probability is not between 0 and 1, or is not the one of a record without draws.

        Examples
        --------
        >>> load_multiverse().table()["specification"].iloc[0]
        np.int64(0)
        """
        check_ci_prob(ci_prob)
        if (self.cells["ci_prob"] == ci_prob).all():
            return self.cells.copy()
        if self.draws is None:
            kept = float(self.cells["ci_prob"].iloc[0])
            raise QueryError(
                f"ci_prob is {ci_prob}, and this record has no draws. Allowed: {kept:g}. Run "
                "bm.multiverse for other intervals."
            )
        lower, _, upper = quantiles(self.draws, ci_prob=ci_prob, axis=1)
        return self.cells.assign(lower=lower, upper=upper, ci_prob=ci_prob)

    def influence(self) -> pd.DataFrame:
        """Say which choice moves a statement most.

        A least-squares fit of main effects of all choices, over the specifications in which the
        statement can be asked, gives every level a mean that the other choices do not disturb; the
        spread of a choice is the distance between its highest and its lowest mean. The median of
        one short fit is known to about a tenth of its posterior standard deviation; in a small
        grid spreads of that size mean nothing.

        Returns
        -------
        pandas.DataFrame
            One row per statement and choice, the one that moves the effect most first: `choice`,
            `effect_spread` in percentage points between the levels `highest_at` and `lowest_at`,
            `probability_spread`, and the number `n` of specifications. Missing where the
            specifications cannot tell a choice from others.

        Examples
        --------
        >>> cells = pd.DataFrame(
        ...     {"specification": [0, 1], "likelihood": ["student", "normal"], "statement": "s",
        ...      "target": "overall", "probability": [0.5, 0.9], "estimate": [0.0, 2.0]}
        ... )
        >>> float(Multiverse(cells).influence()["effect_spread"].iloc[0].round(6))
        2.0
        """
        names = [name for name, levels in self.choices.items() if len(levels) > 1]
        rows = []
        for statement, target in self.asked:
            part = self.select(statement, target)
            part = part[part["estimate"].notna()]
            found = [
                {"statement": statement, "target": target, "choice": name, **spread,
                 "n": len(part)}
                for name, spread in _spreads(part, names).items()
            ]  # fmt: skip
            rows += sorted(found, key=lambda row: -np.nan_to_num(row["effect_spread"], nan=-1.0))
        spreads = {"effect_spread": Column(digits=2), "probability_spread": Column(digits=3)}
        return head(pd.DataFrame(rows), spreads)

    def summary(self, *, by: str | None = None) -> pd.DataFrame:
        """Sum up what the specifications say.

        Parameters
        ----------
        by
            A choice whose levels are summed up apart; all specifications together if left out.

        Returns
        -------
        pandas.DataFrame
            One row per statement (and level): number of `specifications` and of those in which it
            was `answered`; `share_above` and `share_below`, the shares of the latter with a
            probability beyond .95 and .05; median `probability`; `median`, `lowest` and `highest`
            estimate in percentage points.

        Raises
        ------
        EvaluationError
            If the choice is not one of the grid's.

        Examples
        --------
        >>> load_multiverse().summary(by="data")["data"].unique().tolist()
        ['corrected', 'as-published']
        """
        if by is not None and by not in self.choices:
            said, mend = "is not in this multiverse", "Correct it or leave it out."
            raise unknown(EvaluationError, "choice", by, self.choices, said=said, mend=mend)
        groups = _ASKED if by is None else [*_ASKED, by]
        rows = []
        for values, part in self.cells.groupby(groups, sort=False):
            known = part[part["estimate"].notna()]
            probability, estimate = known["probability"], known["estimate"]
            rows.append(
                {
                    **dict(zip(groups, values, strict=True)),
                    "specifications": len(part),
                    "answered": len(known),
                    "share_above": float((probability > defaults.CERTAIN).mean()),
                    "share_below": float((probability < 1 - defaults.CERTAIN).mean()),
                    "probability": float(probability.median()),
                    "median": float(estimate.median()),
                    "lowest": float(estimate.min()),
                    "highest": float(estimate.max()),
                }
            )
        two = dict.fromkeys(["share_above", "share_below", "median"], Column(digits=2))
        return head(pd.DataFrame(rows), two)

    def select(self, statement: str | None = None, target: str | None = None) -> pd.DataFrame:
        """Select the rows of one statement.

        Parameters
        ----------
        statement, target
            What was asked; may be left out where that leaves one.

        Returns
        -------
        pandas.DataFrame
            One row per specification.

        Raises
        ------
        QueryError
            If not exactly one statement and target is meant.

        Examples
        --------
        >>> found = load_multiverse().select("position_embedding: rotary > learned")
        >>> found["family_effects"].iloc[0]
        'orthogonal'
        """
        found = [pair for pair in self.asked
                 if statement in (None, pair[0]) and target in (None, pair[1])]  # fmt: skip
        if len(found) != 1:
            pairs = {"statement": statement, "target": target}
            given = [f"{name} {shorten(value)!r}" for name, value in pairs.items() if value]
            known = [pair[0] for pair in self.asked]
            guess = "" if statement in known else suggest(statement, known)
            raise QueryError(
                f"{' with '.join(given) or 'nothing'} names {len(found) or 'none'} of those that "
                f"were asked.{guess} Allowed: {listing(f'{s!r} on {t}' for s, t in self.asked)}. "
                "Name a statement and its target."
            )
        rows = (self.cells["statement"] == found[0][0]) & (self.cells["target"] == found[0][1])
        return self.cells[rows].reset_index(drop=True)

    def save(self, path: str | PathLike[str]) -> None:
        """Write the table to a CSV file, whole or not at all; draws are not in it.

        Raises
        ------
        StoreError
            If the file cannot be written.
        """
        write_text(path, text=format_record(self.cells))

    def _show_parts(self) -> Iterator[str]:
        yield show_title("Multiverse")
        yield show_table(self.summary(), whole=".summary()")
        yield fold("In words", show_text(repr(self)))
        yield fold("Which choice moves it most", show_table(self.influence(), whole=".influence()"))

    def __repr__(self) -> str:
        n = self.cells["specification"].nunique()
        spreads = self.influence().to_dict("records")
        first = {(spread["statement"], spread["target"]): spread for spread in reversed(spreads)}
        said = [
            _word(row, first.get((row["statement"], row["target"])))
            for row in self.summary().to_dict("records")
        ]
        return f"{n} specifications of one model and its data. {' '.join(said)}"


def _word(row: Mapping[Any, Any], top: Mapping[Any, Any] | None) -> str:
    """Say what is summed up of a statement, and which choice moves it most, if one is known."""
    where = "over all benchmarks" if row["target"] == "overall" else f"on {row['target']}"
    if not row["answered"]:
        return f"'{row['statement']}' {where} cannot be asked in any of them."
    some, whole = row["answered"], row["specifications"]
    above, below = (round(row[name] * some) for name in ("share_above", "share_below"))
    moves = ""
    if top is not None and not np.isnan(top["effect_spread"]):
        moves = (
            f"; the choice of {top['choice']} moves it most, by {top['effect_spread']:.1f} "
            f"points from {top['lowest_at']} to {top['highest_at']}"
        )
    unasked = f", and cannot be asked in {whole - some}" if some < whole else ""
    certain = defaults.CERTAIN
    return (
        f"P({row['statement']}) {where} is above {certain:g} in {above} of {some} and below "
        f"{1 - certain:.2g} in {below}{unasked}. Median effects: {row['median']:+z.1f} "
        f"percentage points in the middle, {row['lowest']:+z.1f} to {row['highest']:+z.1f} in "
        f"all{moves}."
    )


def _spreads(part: pd.DataFrame, names: Sequence[str]) -> dict[str, dict[str, Any]]:
    """Spread of the main effects of every choice, on the effect and on the probability."""
    levels = {name: list(dict.fromkeys(part[name])) for name in names}
    columns = {
        name: (part[[name]].to_numpy(object) == np.array(found[1:], object)).astype(float)
        for name, found in levels.items()
    }
    constant = np.ones((len(part), 1))
    whole = np.column_stack([constant, *columns.values()])
    outcomes = part[["estimate", "probability"]].to_numpy(float)
    fitted = np.linalg.lstsq(whole, outcomes, rcond=None)[0]
    out, at = {}, 1
    for name, found in levels.items():
        width = columns[name].shape[1]
        others = np.column_stack([constant, *(c for n, c in columns.items() if n != name)])
        means = np.vstack([np.zeros((1, 2)), fitted[at : at + width]])
        at += width
        known = width > 0 and matrix_rank(whole) - matrix_rank(others) == width
        spread = np.ptp(means, axis=0) if known else np.full(2, np.nan)
        out[name] = {
            "effect_spread": float(spread[0]),
            "highest_at": found[int(np.argmax(means[:, 0]))] if known else "",
            "lowest_at": found[int(np.argmin(means[:, 0]))] if known else "",
            "probability_spread": float(spread[1]),
        }
    return out


def format_record(cells: pd.DataFrame) -> str:
    """Write rows of a multiverse as CSV text."""
    return cells.to_csv(index=False, float_format="%.5g", lineterminator="\n")


def load_multiverse(path: str | PathLike[str] | None = None) -> Multiverse:
    """Load the recorded multiverse of the bundled data, or one that was saved.

    Parameters
    ----------
    path
        A file that `Multiverse.save` wrote; the bundled record if left out.

    Returns
    -------
    Multiverse
        Without draws.

    Raises
    ------
    EvaluationError
        If the file cannot be read.

    Examples
    --------
    >>> load_multiverse().asked[0]
    ('position_embedding: rotary > learned', 'overall')
    """
    path = Path(path) if path is not None else bundled_folder() / _RECORD
    try:
        types = {**dict.fromkeys(_TEXTS, str), **dict.fromkeys(_NUMBERS, float)}
        blank = {name: [""] for name in _NUMBERS}
        cells = pd.read_csv(path, dtype=types, keep_default_na=False, na_values=blank)
        cells["specification"]
    except (OSError, ValueError, KeyError) as error:
        raise EvaluationError(
            f"{path} cannot be read as a multiverse ({error}). Allowed: a file that a multiverse "
            "has saved, such as DIR/multiverse.csv of `bayesmeta multiverse --out DIR`."
        ) from error
    return Multiverse(cells.drop(columns=["spec_checksum", "data_checksum"], errors="ignore"))
