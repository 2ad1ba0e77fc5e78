"""Decisions that a user declares: a file decisions.toml beside the tables, read and written."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pandas as pd

from bayesmeta.data.csv_tables import build_cell_error
from bayesmeta.data.decisions import (
    DECISIONS,
    KEYS,
    UNDISCLOSED,
    Decision,
    find_faults,
    find_level_fault,
    know_decisions,
)
from bayesmeta.data.declared_benchmarks import (
    DeclaredBenchmark,
    build_benchmark,
    find_benchmark_faults,
)
from bayesmeta.data.schema import COLUMNS, get_column
from bayesmeta.errors import DataError, listing, refuse, shorten, suggest

DECLARED = "decisions"
"""Name of the declarations among the tables of a data set."""

FILE = f"{DECLARED}.toml"
BENCHMARK = "benchmark"
"""Table of benchmarks in the file."""

_OF_BUILT_IN = ("kind", "levels", "reference", "step")
"""What can be declared of a decision that the package knows."""

RESERVED = frozenset(
    [column.name for table in ("lms", "arms", "generation") for column in COLUMNS[table]]
    + ["mix", "other_share", "surface", "disclosure", UNDISCLOSED, BENCHMARK, "by", "score", "fit"]
) - set(DECISIONS)
"""Names that mean something else."""


@dataclass(frozen=True, slots=True)
class Declared:
    """What a file declares, and what is wrong with it.

    Parameters
    ----------
    decisions
        Declarations without a fault.
    benchmarks
        Benchmarks without a fault.
    problems
        One for each fault.
    """

    decisions: tuple[Decision, ...] = ()
    benchmarks: tuple[DeclaredBenchmark, ...] = ()
    problems: tuple[DataError, ...] = ()


def read_declared(path: Path, *, known: Iterable[str] = ()) -> Declared:
    r"""Read a file of declarations; nothing is declared where there is none.

    Benchmarks that are known need no declaration, and cannot have another.

    Examples
    --------
    >>> path = getfixture("tmp_path") / "decisions.toml"
    >>> _ = path.write_text('[optimizer]\nkind = "categorical"\n\n[attention]\nlevels = ["mla"]\n')
    >>> [decision.name for decision in read_declared(path).decisions]
    ['optimizer', 'attention']
    """
    if not path.is_file():
        return Declared()
    try:
        tables = tomllib.loads(path.read_text(encoding="utf-8-sig"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, OSError) as error:
        return Declared(problems=(DataError(
            f"{path} cannot be read as TOML: {error}. Allowed: one table for every decision, such "
            'as [optimizer] with a line kind = "categorical" below it. Correct the file.'
        ),))  # fmt: skip
    return parse_declared(tables, file=str(path), known=tuple(known))


def parse_text_of_declared(text: str) -> tuple[Decision, ...]:
    """Read declarations that were checked before, such as those of a saved fit."""
    found = parse_declared(tomllib.loads(text), file=FILE)
    if found.problems:
        raise found.problems[0]
    return found.decisions


def parse_declared(tables: Mapping[str, Any], *, file: str, known: Iterable[str] = ()) -> Declared:
    """Check the tables of a file and make declarations of them."""
    decisions: list[Decision] = []
    problems: list[DataError] = []
    benchmarks, sound = tables.get(BENCHMARK, {}), []
    if not _is_nested(benchmarks):
        problems.append(_fault(file, BENCHMARK, "", "benchmarks are declared one by one. Allowed: "
                               "tables such as [benchmark.name]. Name the benchmark."))  # fmt: skip
        benchmarks = {}
    for name, table in benchmarks.items():
        found = list(find_benchmark_faults(name, table, known=known))
        problems += [_fault(file, f"{BENCHMARK}.{name}", key, said) for key, said in found]
        if not found:
            sound.append(build_benchmark(name, table))
    for name, table in tables.items():
        if name == BENCHMARK:
            continue
        found = list(_check_table(name, table))
        problems += [_fault(file, name, key, said) for key, said in found]
        if not found:
            decisions.append(_build(name, table))
    return Declared(tuple(decisions), tuple(sound), tuple(problems))


def _is_nested(tables: object) -> bool:
    return isinstance(tables, Mapping) and all(isinstance(x, Mapping) for x in tables.values())


def _fault(file: str, table: str, key: str, said: str) -> DataError:
    where = f", {key}" * bool(key and key != "name")
    return DataError(f"{file}, [{shorten(table)}]{where}: {said}")


def _check_table(name: str, table: object) -> Iterator[tuple[str, str]]:
    """Report what is wrong with the table of a decision, by key."""
    if not isinstance(table, Mapping):
        said = (
            "it is no table. Allowed: a table for every decision, such as [optimizer], and its "
            "keys below it. Move the key below the name of its decision."
        )
        yield "", said
        return
    if said := find_clash(name):
        yield "name", said
        return
    if name not in DECISIONS:
        yield from find_faults(name, table)
        return
    kind = DECISIONS[name].kind
    if table.get("kind", kind) != kind:
        said = (
            f"'{shorten(table['kind'])}' clashes with the built-in decision of that name, "
            f"whose kind is {kind}. Leave the key out, or rename the decision."
        )
        yield "kind", said
        return
    for key in table:
        if key in KEYS and key not in _OF_BUILT_IN:
            said = (
                f"'{name}' is built in. Allowed: {listing(_OF_BUILT_IN)}. Leave it out, or "
                "rename the decision."
            )
            yield key, said
    yield from find_faults(name, {"kind": kind, **table})


def find_clash(name: str) -> str:
    """Say what a name means already; nothing where it is free, or a built-in decision with levels.

    Examples
    --------
    >>> find_clash("optimizer"), find_clash("d_model")[:27]
    ('', "'d_model' is another column")
    """
    if name in RESERVED:
        what = (
            "another column of the tables"
            if name not in ("mix", "surface")
            else "a part of the model"
        )
        return f"'{name}' is {what}. Rename the decision, and its column in lms.csv."
    if name == "disclosure":
        return "'disclosure' follows from the shares and cannot be declared. Rename the decision."
    return ""


def _build(name: str, table: Mapping[str, Any]) -> Decision:
    values: dict[str, Any] = {"kind": DECISIONS[name].kind} if name in DECISIONS else {}
    values |= {key: tuple(v) if isinstance(v, list) else v for key, v in table.items()}
    return Decision(name, **values)


def format_declared(decisions: Iterable[Decision]) -> str:
    r"""Write declarations as the text of a file.

    Examples
    --------
    >>> print(format_declared([Decision("optimizer", "categorical", levels=("adamw", "muon"))]))
    [optimizer]
    kind = "categorical"
    levels = ["adamw", "muon"]
    <BLANKLINE>
    """
    tables = (
        "".join([f"[{one.name}]\n", *(f"{k} = {_format(v)}\n" for k, v in one.to_table().items())])
        for one in decisions
    )
    return "\n".join(tables)


def _format(value: object) -> str:
    """Write a value as TOML does, which writes these as JSON does."""
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return json.dumps(list(value) if isinstance(value, tuple) else value, ensure_ascii=False)


def fill_levels(
    decisions: Sequence[Decision], tables: Sequence[pd.DataFrame]
) -> tuple[Decision, ...]:
    """Give categorical decisions without levels those that the tables hold."""
    return tuple(
        one if one.kind != "categorical" or one.levels or one.name in DECISIONS
        else replace(one, levels=tuple(_list_words(one.name, tables)))
        for one in decisions
    )  # fmt: skip


def _list_words(name: str, tables: Sequence[pd.DataFrame]) -> list[str]:
    """List the words of a column over several tables, in alphabetical order."""
    return sorted({str(w) for t in tables if name in t for w in t[name].dropna()})


def check_words(
    decisions: Sequence[Decision], table: pd.DataFrame, *, file: str
) -> Iterator[DataError]:
    """Report words that cannot be levels, in columns whose levels are not declared."""
    for one in decisions:
        if one.kind != "categorical" or one.levels or one.name not in table:
            continue
        seen: dict[str, str] = {}
        for line, word in table[one.name].dropna().drop_duplicates().items():
            same = seen.setdefault(str(word).lower(), str(word))
            said = find_level_fault(word)
            if not said and same != word:
                said = f"'{word}' stands as '{same}' elsewhere. Allowed: one spelling. Choose one."
            if said:
                yield build_cell_error(
                    file, line=int(str(line)), column=one.name, said=said, mend=""
                )


def check_used(
    decisions: Sequence[Decision], tables: Sequence[pd.DataFrame], *, file: str
) -> Iterator[DataError]:
    """Report declarations that no table bears out: without a column, or levels that nobody has."""
    known = know_decisions(decisions)
    for one in decisions:
        recorded = [table[one.name].dropna() for table in tables if one.name in table]
        if not any(len(column) for column in recorded):
            yield _fault(file, one.name, "", f"nothing is recorded of it. Allowed: a column "
                         f"'{one.name}' in lms.csv, or in arms.csv, that is filled for some. Add "
                         "it, or remove the declaration.")  # fmt: skip
            continue
        if one.kind != "categorical":
            continue
        words = _list_words(one.name, tables)
        folded = {known[one.name].level_of(word).lower() for word in words}
        folded |= {word.lower() for word in words}
        unused = [level for level in one.levels if level.lower() not in folded]
        if unused:
            yield _fault(file, one.name, "levels", f"no LM has {listing(unused)}."
                         f"{suggest(unused[0], words)} Allowed: levels that lms.csv or arms.csv "
                         f"hold, {listing(words)}. Correct the word, or remove it.")  # fmt: skip
        elif one.reference and one.reference not in (*one.levels, *words):
            yield _fault(file, one.name, "reference", f"no LM has '{one.reference}'."
                         f"{suggest(one.reference, words)} Allowed: {listing(words)}. Name one of "
                         "them.")  # fmt: skip


def validate_declared(decisions: Sequence[Decision], tables: Sequence[pd.DataFrame] = ()) -> None:
    """Refuse declarations, made in Python, that contradict each other, or tables that have them.

    Parameters
    ----------
    decisions
        Declarations.
    tables
        Of LMs, and of arms: cells of declared columns have to be as declared.

    Raises
    ------
    DataError
        With every problem.

    Examples
    --------
    >>> validate_declared([Decision("width", "number"), Decision("width", "share")])
    Traceback (most recent call last):
    bayesmeta.errors.DataError: decisions: 'width' is declared twice. Keep one of them.
    """
    names = [one.name for one in decisions]
    problems = [DataError(f"decisions: '{name}' is declared twice. Keep one of them.")
                for name in dict.fromkeys(names) if names.count(name) > 1]  # fmt: skip
    for one in decisions:
        found = _check_table(one.name, one.to_table())
        problems += [DataError(f"decision '{one.name}', {key}: {said}") for key, said in found]
    refuse(problems)
    refuse(_check_cells(decisions, tables))


def _check_cells(
    decisions: Sequence[Decision], tables: Sequence[pd.DataFrame]
) -> Iterator[DataError]:
    """Report declared columns that no table has, and cells that are not as declared."""
    for one in decisions:
        having = [table for table in tables if one.name in table]
        if tables and not having:
            yield DataError(
                f"decision '{one.name}' has no column. Allowed: a column '{one.name}' of the table "
                "of LMs, or of arms, blank where it is not known. Add it."
            )
        for table in having:
            kind = "lms" if "lm" in table else "arms"
            column = get_column(kind, name=one.name, own=decisions)
            bad = table[one.name][~column.accepts(table[one.name])]
            if len(bad):
                yield DataError(
                    f"decision '{one.name}': '{shorten(bad.iloc[0])}' stands in its column. "
                    f"{column.expects} Correct the cell, or the declaration."
                )
