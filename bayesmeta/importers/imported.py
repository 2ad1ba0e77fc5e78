"""What an importer read, what it left out, and how it comes into a folder of tables."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from os import PathLike
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd

from bayesmeta.data.checks import list_some, validate_rows
from bayesmeta.data.csv_tables import format_table, parse_frame, read_table
from bayesmeta.data.decisions import Decision
from bayesmeta.data.declared import FILE, read_declared
from bayesmeta.data.load import bundled_folder, load_dataset
from bayesmeta.data.schema import COLUMNS, Column, column_names, get_column
from bayesmeta.errors import DataError, listing, refuse, shorten, unknown
from bayesmeta.importers.protocols import Measured, map_scores, read_protocols, rename
from bayesmeta.whole_files import write_folder

LEFT_OUT = ("lm", "task", "metric", "filter", "n_shots", "value", "why", "file")
"""Columns of what an importer left out."""

NEEDED = ("lm_family", "n_params", "n_tokens")
"""Facts without which an LM is of no use."""


class Saved(NamedTuple):
    """What a folder holds now: rows of tables, facts still to come, cells that differed."""

    rows: dict[str, int]
    missing: pd.DataFrame
    differing: pd.DataFrame


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Imported:
    """What an importer read.

    Parameters
    ----------
    lms
        One row per LM, with what is known of it: columns of lms.csv, most of them blank.
    scores, benchmarks
        Rows of scores.csv; and of benchmarks.csv, for benchmarks that are not bundled ones.
    left_out
        One row per number, file or LM that has no place in the tables: lm, task, metric, filter,
        n_shots, value, why and file.

    Examples
    --------
    >>> from bayesmeta.importers.harness_results import read_lm_eval
    >>> path = getfixture("tmp_path") / "results.json"
    >>> _ = path.write_text('{"results": {"piqa": {"acc": 0.7}}, "model_name": "lab/a"}')
    >>> read_lm_eval(path)
    Imported(1 lms, 0 scores, 0 own benchmarks, 1 left out)
    """

    lms: pd.DataFrame
    scores: pd.DataFrame
    benchmarks: pd.DataFrame
    left_out: pd.DataFrame

    def summarise_left_out(self) -> pd.DataFrame:
        """Count what is left out, by reason.

        Returns
        -------
        pandas.DataFrame
            Columns why, n and what: how many rows, and the tasks or files that they are of.
        """
        return summarise_left_out(self.left_out)

    def save(self, folder: str | PathLike[str]) -> Saved:
        r"""Put everything into a folder of tables, new or with tables in it.

        Blank cells of LMs that are there are filled; a cell that says something else stays, and is
        listed. A new score of an LM on a benchmark takes the place of an old one, and is listed.
        LMs that the folder calls alike but for case, or but for the part before a slash, are the
        same. The tables are written all or none.

        Parameters
        ----------
        folder
            Made if its parent exists.

        Returns
        -------
        Saved
            Rows of the tables, facts that are needed and blank, cells that say otherwise.

        Raises
        ------
        DataError
            If a table that is there cannot be read, or a benchmark has another metric there.
        StoreError
            If a file cannot be written.

        Examples
        --------
        >>> from bayesmeta.importers.harness_results import read_lm_eval
        >>> path = getfixture("tmp_path") / "results.json"
        >>> _ = path.write_text(
        ...     '{"results": {"piqa": {"acc": 0.7}}, "n-shot": {"piqa": 0}, "model_name": "lab/a"}'
        ... )
        >>> saved = read_lm_eval(path).save(getfixture("tmp_path") / "own")
        >>> saved.rows, saved.missing["column"].tolist()
        ({'lms': 1, 'scores': 1, 'benchmarks': 1}, ['n_params', 'n_tokens'])
        """
        folder = Path(folder)
        declared = read_declared(folder / FILE)
        refuse(declared.problems)
        own = declared.decisions
        old = {name: _read_old(folder, name, own) for name in ("lms", "scores", "benchmarks")}
        names = match_names(self.lms["lm"], old["lms"]["lm"])
        differing: list[dict[str, Any]] = []
        lms = _merge(old["lms"], self.lms.replace({"lm": names}), key=("lm",), differing=differing)
        scores = _merge(old["scores"], self.scores.replace({"lm": names}), key=("lm", "benchmark"),
                        differing=differing, replacing=True)  # fmt: skip
        _refuse_other_metric(old["benchmarks"], self.benchmarks, folder=folder)
        benchmarks = _merge(old["benchmarks"], self.benchmarks, key=("benchmark",), differing=[])
        lms = name_families(lms)
        texts = {
            f"{name}.csv": format_table(_drop_blank(frame, table=name), table=name, own=own)
            for name, frame in (("lms", lms), ("scores", scores), ("benchmarks", benchmarks))
            if len(frame)
        }
        write_folder(folder, texts)
        rows = {"lms": len(lms), "scores": len(scores), "benchmarks": len(benchmarks)}
        columns = ["table", "row", "column", "kept", "other"]
        return Saved(rows, _list_missing(lms), pd.DataFrame(differing, columns=columns))

    def __repr__(self) -> str:
        return (
            f"Imported({len(self.lms)} lms, {len(self.scores)} scores, {len(self.benchmarks)} own "
            f"benchmarks, {len(self.left_out)} left out)"
        )


def summarise_left_out(left_out: pd.DataFrame) -> pd.DataFrame:
    """Count what is left out by reason, as `Imported.summarise_left_out` says."""
    rows = []
    for why, group in left_out.groupby("why", sort=False):
        names = group["task"].where(group["task"].ne(""), group["lm"])
        names = names.where(names.ne(""), group["file"].map(lambda file: Path(str(file)).name))
        rows.append({"why": why, "n": len(group), "what": list_some(dict.fromkeys(names), most=5)})
    return pd.DataFrame(rows, columns=["why", "n", "what"])


def build_imported(
    measured: Iterable[Measured],
    *,
    lms: Mapping[str, Mapping[str, Any]],
    left_out: Sequence[Mapping[str, Any]] = (),
    protocols: str | PathLike[str] | None = None,
    names: Mapping[str, str] | None = None,
    facts: Mapping[str, str] | None = None,
) -> Imported:
    """Put together what was measured and what is known of the LMs.

    Parameters
    ----------
    measured, lms
        Numbers; and facts by LM, columns of lms.csv. What is said in `facts` comes before them,
        what the bundled data say of an LM of the same name after them.
    left_out
        What the importer itself left out.
    protocols, names, facts
        As in `read_lm_eval`.

    Returns
    -------
    Imported
        All of it.
    """
    names = dict(names or {})
    for name in names:
        if name not in lms:
            raise unknown(DataError, "name", name, lms, mend="Name an LM of the files.")
    renamed: dict[str, dict[str, Any]] = {}
    unfit: list[dict[str, Any]] = []
    for lm, own in lms.items():
        found = renamed.setdefault(names.get(lm, lm), {})
        for name, value in own.items():
            if _fits(value, get_column("lms", name=name)):
                found[name] = value
            else:
                why = f"{name} '{shorten(value, most=40)}' has no place in lms.csv"
                unfit.append({"lm": lm, "task": name, "why": why})
    mapped = map_scores(
        rename(measured, names), protocols=read_protocols(protocols), known=_bundled_metrics()
    )
    dropped = [
        {**dict.fromkeys(LEFT_OUT, ""), **row} for row in (*left_out, *unfit, *mapped.left_out)
    ]
    return Imported(
        lms=build_lms(renamed, facts=facts or {}),
        scores=_build(mapped.scores, "scores"),
        benchmarks=_build(mapped.benchmarks, "benchmarks"),
        left_out=pd.DataFrame(dropped, columns=list(LEFT_OUT)),
    )


def _fits(value: Any, column: Column) -> bool:
    """Say whether a fact of a file can stand in a column."""
    if column.kind == "category":
        return value in column.allowed
    if column.kind != "number":
        return isinstance(value, str)
    return column.low <= value <= column.high and (not column.whole or value == int(value))


def build_lms(
    lms: Mapping[str, Mapping[str, Any]], *, facts: Mapping[str, str]
) -> pd.DataFrame:  # fmt: skip
    """Build a table of LMs, in which most facts may be blank.

    Parameters
    ----------
    lms
        Facts by LM, columns of lms.csv.
    facts
        Facts by column, for all LMs, or by `lm:column`; these come first.

    Returns
    -------
    pandas.DataFrame
        All columns of lms.csv.

    Raises
    ------
    DataError
        If a column or a value is not allowed.

    Examples
    --------
    >>> build_lms({"lab/a": {"norm": "rmsnorm"}}, facts={"n_tokens": "2e12"})["n_tokens"].tolist()
    [2000000000000.0]
    """
    rows = {lm: {"lm": lm, **own} for lm, own in lms.items()}
    for key, value in facts.items():
        lm, colon, column = key.rpartition(":")
        if column not in column_names("lms") or column == "lm":
            allowed = [name for name in column_names("lms") if name != "lm"]
            raise unknown(DataError, "fact", column, allowed, mend="Name a column of lms.csv.")
        if colon and lm not in rows:
            raise unknown(DataError, "lm", lm, rows, mend="Name an LM of the files.")
        for row in [rows[lm]] if colon else rows.values():
            row[column] = value
    if not rows:
        return pd.DataFrame(columns=list(column_names("lms")))
    table = parse_frame(pd.DataFrame(list(rows.values())), table="unfinished_lms", file="facts")
    validate_rows(table, table="unfinished_lms", file="facts")
    return _fill_known(table.reset_index(drop=True))


def _fill_known(lms: pd.DataFrame) -> pd.DataFrame:
    """Fill what is blank with what the bundled data say of LMs of the same names."""
    bundled = _bundled_lms().reindex(lms["lm"]).reset_index()
    return lms.where(lms.notna(), bundled[lms.columns])


def name_families(lms: pd.DataFrame) -> pd.DataFrame:
    """Count an LM whose family nobody told as a family of its own."""
    return lms.assign(lm_family=lms["lm_family"].where(lms["lm_family"].notna(), lms["lm"]))


def match_names(names: Iterable[str], known: Iterable[str]) -> dict[str, str]:
    """Say which LMs are among known ones under another spelling.

    Names are the same but for case; or where just one of the two has a part before a slash, but
    for that part, if it leaves no doubt.

    Examples
    --------
    >>> match_names(["qwen2.5-3b", "Lab/A", "new"], ["Qwen/Qwen2.5-3B", "lab/a"])
    {'qwen2.5-3b': 'Qwen/Qwen2.5-3B', 'Lab/A': 'lab/a'}
    """
    known, found = list(known), {}
    for name in names:
        lower = name.lower()
        same = [one for one in known if one.lower() == lower] or [
            one for one in known
            if ("/" in one) != ("/" in name)
            and one.lower().rpartition("/")[2] == lower.rpartition("/")[2]
        ]  # fmt: skip
        if len(same) == 1 and same[0] != name:
            found[name] = same[0]
    return found


@cache
def _bundled_lms() -> pd.DataFrame:
    return load_dataset().lms.set_index("lm")


@cache
def _bundled_metrics() -> dict[str, str]:
    table = read_table(bundled_folder() / "benchmarks.csv", table="benchmarks")
    return dict(zip(table["benchmark"], table["metric"], strict=True))


def _build(rows: Sequence[Mapping[str, Any]], table: str) -> pd.DataFrame:
    frame = pd.DataFrame(list(rows), columns=list(column_names(table)))
    if not rows:
        return frame
    return parse_frame(frame, table=table).reset_index(drop=True)


def _read_old(folder: Path, name: str, own: Sequence[Decision]) -> pd.DataFrame:
    """Read a table that is there already; an empty one where there is none."""
    path, table = folder / f"{name}.csv", "unfinished_lms" if name == "lms" else name
    if not path.is_file():
        return pd.DataFrame(columns=list(column_names(table, own)))
    found = read_table(path, table=table, own=own)
    validate_rows(found, table=table, file=str(path), own=own)
    return found.reset_index(drop=True)


def _merge(
    old: pd.DataFrame,
    new: pd.DataFrame,
    *,
    key: tuple[str, ...],
    differing: list[dict[str, Any]],
    replacing: bool = False,
) -> pd.DataFrame:
    """Put rows below; of a row that both have, fill blank cells, and list those that differ."""
    rows = {tuple(row[name] for name in key): row for row in old.to_dict("records")}
    for row in new.to_dict("records"):
        place = tuple(row[name] for name in key)
        there = rows.setdefault(place, row)
        for column, value in row.items():
            before = there[column]
            if pd.isna(value) or before == value:
                continue
            if not pd.isna(before):
                kept, other = (value, before) if replacing else (before, value)
                differing.append({"table": "scores" if replacing else "lms", "row": listing(place),
                                  "column": column, "kept": kept, "other": other})  # fmt: skip
            if pd.isna(before) or replacing:
                there[column] = value
    return pd.DataFrame(list(rows.values()), columns=list(old.columns))


def _refuse_other_metric(old: pd.DataFrame, new: pd.DataFrame, *, folder: Path) -> None:
    there = dict(zip(old["benchmark"], old["metric"], strict=True))
    for name, metric in zip(new["benchmark"], new["metric"], strict=True):
        if there.get(name, metric) != metric:
            raise DataError(
                f"{folder / 'benchmarks.csv'}: benchmark '{shorten(name)}' has metric "
                f"{there[name]}, in the table of protocols {metric}. Allowed: one metric. Rename "
                "one of the two."
            )


def _drop_blank(frame: pd.DataFrame, *, table: str) -> pd.DataFrame:
    """Drop columns in which nothing stands and that need not be there."""
    required = {column.name for column in COLUMNS[table] if column.required}
    return frame[[name for name in frame if name in required or frame[name].notna().any()]]


def _list_missing(lms: pd.DataFrame) -> pd.DataFrame:
    rows = [{"lm": row["lm"], "column": name} for row in lms.to_dict("records")
            for name in NEEDED if pd.isna(row[name])]  # fmt: skip
    return pd.DataFrame(rows, columns=["lm", "column"])
