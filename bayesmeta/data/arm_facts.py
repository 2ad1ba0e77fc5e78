"""Facts of the arms of an experiment: what differs inside a group, what the group has in common."""

from __future__ import annotations

import pandas as pd

from bayesmeta.data.vocabulary import MIX_COLUMNS

_WORDS = ("study", "group", "arm", "run", "citation", "also_changes", "control")
"""Columns that say which arm a row is, what moves along, and where its figures come from."""


def list_facts(arms: pd.DataFrame) -> list[str]:
    """List the columns of a table of arms in which arms of a group may differ.

    Examples
    --------
    >>> list_facts(pd.DataFrame(columns=["study", "group", "arm", "released", "norm", "optimizer"]))
    ['norm', 'optimizer']
    """
    return [str(name) for name in arms if name not in (*_WORDS, "released")]


def find_differences(arms: pd.DataFrame) -> pd.DataFrame:
    """Say for every group, in the order of the table, in which columns its arms differ.

    A cell that is blank counts as different from one that is filled.

    Examples
    --------
    >>> frame = pd.DataFrame({"study": "s", "group": "g", "arm": ["a", "b"], "norm": ["x", "y"]})
    >>> find_differences(frame)["norm"].tolist()
    [True]
    """
    return arms.groupby(["study", "group"], sort=False)[list_facts(arms)].nunique(dropna=False) > 1


def list_differences(arms: pd.DataFrame) -> list[str]:
    """Name the columns in which arms of one group differ, over all groups of a table.

    Examples
    --------
    >>> frame = pd.DataFrame({"study": "s", "group": "g", "arm": ["a", "b"], "norm": ["x", "y"]})
    >>> list_differences(frame)
    ['norm']
    """
    differ = find_differences(arms)
    return [str(name) for name in differ if differ[name].any()]


def fill_from_group(arms: pd.DataFrame) -> pd.DataFrame:
    """Fill cells that are blank with what the other arms of the group have, where these agree.

    Shares of the mix are filled together: only where an arm records none of them.

    Parameters
    ----------
    arms
        A table of arms, with some or all of its columns.

    Returns
    -------
    pandas.DataFrame
        The table with fewer blank cells. What the others disagree on stays blank: it is unknown.

    Examples
    --------
    >>> frame = pd.DataFrame(
    ...     {"study": "s", "group": "g", "arm": ["a", "b"], "norm": ["rmsnorm", None]}
    ... )
    >>> fill_from_group(frame)["norm"].tolist()
    ['rmsnorm', 'rmsnorm']
    """
    shares = [name for name in MIX_COLUMNS if name in arms]
    recorded = arms[shares].notna().any(axis="columns")
    groups, filled = arms.groupby(["study", "group"], sort=False), arms.copy()
    for name in (*(["released"] if "released" in arms else []), *list_facts(arms)):
        agreed = groups[name].transform("nunique") == 1
        kept = arms[name].notna() | ~agreed | (recorded & (name in shares))
        filled[name] = arms[name].where(kept, groups[name].transform("first"))
    return filled
