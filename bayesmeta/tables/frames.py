"""Frames of any library, and whatever else is a table in memory, as pandas frames."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from bayesmeta.errors import BayesmetaError, DataError, name_given

_TAKEN = (
    "a frame of pandas, polars or another library that narwhals knows (a lazy one collected), a "
    "dict of columns, or a list of rows that are dicts"
)


def as_frame(
    given: Any,
    *,
    what: str,
    also: str = "",
    mend: str = "Hand one of these over.",
    error: type[BayesmetaError] = DataError,
) -> pd.DataFrame:
    """Make a pandas frame of what is a table.

    Parameters
    ----------
    given
        A frame of pandas, which is given back as it is; of polars, pyarrow or another library that
        narwhals knows; a structured array; a dict of columns; or a list of rows that are dicts.
    what
        What the table is called in a message.
    also, mend
        What else is allowed, and what to do, for the message.
    error
        Class of the error.

    Returns
    -------
    pandas.DataFrame
        Columns of other libraries hold the objects that these give, `None` where there is none;
        categories stay categories, in their order.

    Raises
    ------
    BayesmetaError
        If it is no table.

    Examples
    --------
    >>> import pyarrow
    >>> as_frame(pyarrow.table({"lm": ["a", None]}), what="lms")["lm"].tolist()
    ['a', None]
    >>> as_frame(3, what="lms")
    Traceback (most recent call last):
    bayesmeta.errors.DataError: lms is 3. Allowed: a frame of pandas, polars or ...
    """
    table: Any = given
    if isinstance(table, np.ndarray) and table.dtype.names:
        table = {name: table[name].tolist() for name in table.dtype.names}
    if isinstance(table, list) and table and all(isinstance(row, Mapping) for row in table):
        table = pd.DataFrame(table)
    if isinstance(table, Mapping):
        return _from_columns(table, what=what, error=error)
    if isinstance(table, pd.DataFrame):
        return table
    import narwhals.stable.v2 as nw

    try:
        frame = nw.from_native(given, eager_only=True)
    except TypeError as cause:
        raise error(f"{what} is {name_given(given)}. Allowed: {also}{_TAKEN}. {mend}") from cause
    return pd.DataFrame({name: _read_series(frame[name]) for name in frame.columns})


def _from_columns(
    given: Mapping[Any, Any], *, what: str, error: type[BayesmetaError]
) -> pd.DataFrame:
    try:
        return pd.DataFrame(given)
    except (TypeError, ValueError) as cause:
        raise error(
            f"{what} is a dict of columns that is no table ({cause}). Allowed: a list of the same "
            "length for every column. Correct the lengths."
        ) from cause


def _read_series(series: Any) -> pd.Series:
    """Read one column of another library, nothing turned into something else."""
    import narwhals.stable.v2 as nw

    values = series.to_list()
    if series.dtype in (nw.Categorical, nw.Enum):
        return pd.Series(pd.Categorical(values, series.cat.get_categories().to_list()))
    return pd.Series(values, dtype=object)
