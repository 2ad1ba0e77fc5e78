"""How columns are written: heading, digits, unit; kept with the table that has them.

A table stays a plain DataFrame: what is said of its columns is in its `attrs`, which pandas hands
on to whatever is made of it. Names that mean the same in all tables are described once, in
`COLUMNS`, so that a table read back from a file is written like the one that was saved.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import pandas as pd

from bayesmeta.tables.wording import readable

OF_TABLE = "that of the table"
"""The unit of a column that is measured in the unit of its table's effects."""

_KEY = "headed_columns"
_SHORT_UNITS = {"percentage points": "pp", "% of training tokens": "%"}


class Column(NamedTuple):
    """How one column is written.

    Parameters
    ----------
    heading
        What stands above it in a paper; its name without underscores if blank.
    digits
        Decimals for readers; None for a column that is written as it is.
    unit
        Stands behind the heading; `OF_TABLE` for effects.
    is_probability
        Whether a value that would read as 0 or 1 is written as a bound.
    holds_facts
        Whether its values name facts of LMs, which papers write without underscores.

    Examples
    --------
    >>> Column("MAE", digits=2, unit="pp").title("mae")
    'MAE (pp)'
    """

    heading: str = ""
    digits: int | None = None
    unit: str = ""
    is_probability: bool = False
    holds_facts: bool = False

    def title(self, name: object, *, units: str | None = None) -> str:
        """Write the heading, with the unit, of a column of this name."""
        unit = short_unit(units) if self.unit == OF_TABLE else self.unit
        heading = self.heading or readable(str(name))
        return f"{heading} ({unit})" if unit else heading


PROBABILITY = Column(digits=3, is_probability=True)
_EFFECT, _FACT = Column(digits=2, unit=OF_TABLE), Column(holds_facts=True)
_WHOLE, _TWO, _THREE = (Column(digits=digits) for digits in (0, 2, 3))

COLUMNS: Mapping[str, Column] = {
    # effects, and other numbers in their unit
    **dict.fromkeys(
        ("estimate", "lower", "upper", "lower_observed", "upper_observed", "prior_lower",
         "prior_upper", "as_is", "changed", "difference", "lowest", "highest", "more_than"),
        _EFFECT,
    ),
    "sd": _EFFECT._replace(heading="SD"),
    "equivalence": _EFFECT._replace(heading="no difference up to"),
    # probabilities, and their Monte Carlo errors
    "prob_helps": PROBABILITY._replace(heading="P(helps)"),
    "prob_equivalent": PROBABILITY._replace(heading="P(no difference)"),
    "prob_more": PROBABILITY._replace(heading="P(more)"),
    "prior_more": PROBABILITY._replace(heading="prior P(more)"),
    "prob_best": PROBABILITY._replace(heading="P(best)"),
    "prob_conflict": PROBABILITY._replace(heading="P(conflict)"),
    "prob_between_15_25": PROBABILITY._replace(heading="P(best at 15-25)"),
    "prob_at_lower_edge": PROBABILITY._replace(heading="P(at lower edge)"),
    "prob_at_upper_edge": PROBABILITY._replace(heading="P(at upper edge)"),
    "probability": PROBABILITY._replace(heading="P(statement)"),
    "mcse": _THREE._replace(heading="MCSE"),
    "mcse_edges": _THREE._replace(heading="MCSE of edges"),
    "mcse_rank": _TWO._replace(heading="MCSE of rank"),
    "prob_more_mcse": _THREE._replace(heading="MCSE of P(more)"),
    # held-out errors
    "mae": Column("MAE", digits=2, unit="pp"),
    "mae_families": Column("MAE, families alike", digits=2, unit="pp"),
    "crps": Column("CRPS", digits=2, unit="pp"),
    "log_density": _TWO,
    "coverage50": Column("in 50 % intervals", digits=1, unit="%"),
    "coverage90": Column("in 90 % intervals", digits=1, unit="%"),
    "sign_right": Column("right signs", digits=1, unit="%"),
    "gain": Column(digits=1, unit="%"),
    "leakage": Column(digits=2, unit="pp"),
    **dict.fromkeys(("random", "leave_family_out"), _TWO),
    # checks of a fit
    "rhat": _THREE._replace(heading="R-hat"),
    "divergences": _WHOLE,
    "pareto_k": _TWO._replace(heading="Pareto k"),
    # the rest
    **dict.fromkeys(("narrowed", "expected_rank"), _TWO),
    "training_flop": Column("training compute", unit="FLOP"),
    "lm_family": Column("LM family"),
    "n_epochs": _TWO._replace(heading="epochs"),
    "n_stages": Column("earlier stages"),
    "derived_from": Column("continues"),
    "among": Column("averaged over"),
    **dict.fromkeys(("decision", "reference", "place"), _FACT),
}  # fmt: skip
"""Columns by the names that they have in every table of the package."""


def head(
    frame: pd.DataFrame,
    columns: Mapping[str, Column] | None = None,
    *,
    units: str | None = None,
    among: Sequence[str] = (),
) -> pd.DataFrame:
    """Say with a table how its columns are written; names and values stay as they are.

    Parameters
    ----------
    frame
        The table, which is given `attrs`.
    columns
        Its own columns, by name; those in `COLUMNS` need not be named.
    units
        Unit of its effects, where it has no column `units`.
    among
        Names of the LMs or families that it is about, where it is not about all.

    Returns
    -------
    pandas.DataFrame
        The same table.

    Examples
    --------
    >>> from bayesmeta.tables.text import format_table
    >>> frame = head(pd.DataFrame({"prob_odd": [1.0], "sd": [0.5]}),
    ...              {"prob_odd": PROBABILITY}, units="logits")
    >>> print(format_table(frame.assign(n=3), fmt="md"))
    | prob odd | SD (logits) | n |
    | ---: | ---: | ---: |
    | > 0.999 | 0.50 | 3 |
    """
    said = {"units": units, "among": tuple(among), _KEY: dict(columns or {})}
    frame.attrs |= {key: value for key, value in said.items() if value}
    return frame


def describe_columns(frame: pd.DataFrame) -> dict[object, Column]:
    """Say how every column of a table is written, whether or not the table says so."""
    own = {name: Column(*given) for name, given in frame.attrs.get(_KEY, {}).items()}
    known = {**COLUMNS, **own}
    return {name: known.get(name, Column()) for name in frame.columns}


def short_unit(units: str | None) -> str:
    """Write a unit as it stands behind a heading."""
    return _SHORT_UNITS.get(units or "", units or "")
