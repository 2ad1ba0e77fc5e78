"""What two datasets have different: rows that only one has, and cells that differ."""

from __future__ import annotations

import csv
import io
import tomllib

import pandas as pd

from bayesmeta.data.dataset import Dataset
from bayesmeta.data.declared import DECLARED
from bayesmeta.data.experiments import Experiments
from bayesmeta.data.schema import KEYS
from bayesmeta.errors import DataError, listing, shorten

COLUMNS = ("table", "row", "change", "column", "before", "after")
CHANGES = ("added", "removed", "changed")


def diff_datasets(before: Dataset | Experiments, after: Dataset | Experiments) -> pd.DataFrame:
    """List the cells in which two datasets differ, such as two versions of the facts.

    Parameters
    ----------
    before, after
        The datasets, or experiments. The order of rows and columns does not count.

    Returns
    -------
    pandas.DataFrame
        One row per cell: `table`; `row`, what names it in its table; `change`, `added` or `removed`
        for every filled cell of a row that only one dataset has, else `changed`; `column`; and the
        cell `before` and `after` as text, as files hold it, blank where there is none.

    Raises
    ------
    DataError
        If one of the two is no dataset.

    Examples
    --------
    >>> import bayesmeta as bm
    >>> published, corrected = bm.load_dataset(version="as-published"), bm.load_dataset()
    >>> found = diff_datasets(published, corrected)
    >>> found.iloc[0].tolist()
    ['lms', '01-ai/Yi-34B', 'changed', 'n_params', '34000000000', '34388917248']
    """
    for name, data in (("before", before), ("after", after)):
        if not isinstance(data, Dataset | Experiments):
            raise DataError(
                f"{name} is {shorten(repr(data))}. Allowed: a Dataset, such as bm.read_dataset "
                "makes of a folder, or Experiments."
            )
    texts = before.format_tables(), after.format_tables()
    rows: list[tuple[str, ...]] = []
    for table in dict.fromkeys([*texts[0], *texts[1]]):
        old, new = (_index_rows(text.get(table, ""), table=table) for text in texts)
        for key in dict.fromkeys([*old, *new]):
            was, now = old.get(key, {}), new.get(key, {})
            change = "changed" if was and now else "added" if now else "removed"
            for column in dict.fromkeys([*was, *now]):
                if column not in KEYS.get(table, ()) and was.get(column, "") != now.get(column, ""):
                    cells = was.get(column, ""), now.get(column, "")
                    rows.append((table, listing(filter(None, key)), change, column, *cells))
    return pd.DataFrame(rows, columns=list(COLUMNS))


def _index_rows(text: str, *, table: str) -> dict[tuple[str, ...], dict[str, str]]:
    """Find the rows of a table, written as text, by what no two of them share."""
    if table == DECLARED:
        declared = tomllib.loads(text)
        return {(name,): {k: str(v) for k, v in keys.items()} for name, keys in declared.items()}
    rows = csv.DictReader(io.StringIO(text))
    return {tuple(row.get(name, "") for name in KEYS[table]): row for row in rows}


def count_differences(found: pd.DataFrame) -> dict[str, dict[str, int]]:
    """Count rows that were added and removed, and cells that were changed, by table.

    Examples
    --------
    >>> import bayesmeta as bm
    >>> versions = (bm.load_dataset(version=name) for name in ("as-published", "corrected"))
    >>> count_differences(diff_datasets(*versions))["scores"]
    {'added': 23, 'removed': 46, 'changed': 69}
    """
    counts = {}
    for table, part in found.groupby("table", sort=False):
        by = part.groupby("change")["row"]
        counts[str(table)] = {
            change: (0 if change not in by.groups else
                     len(by.get_group(change)) if change == "changed" else
                     by.get_group(change).nunique())
            for change in CHANGES
        }  # fmt: skip
    return counts
