"""From what a harness measured to scores on benchmarks: `data/protocols.toml`, and a user's own."""

from __future__ import annotations

import math
import tomllib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from os import PathLike
from pathlib import Path
from typing import Any, NamedTuple

from bayesmeta.data.load import bundled_folder
from bayesmeta.data.schema import get_column
from bayesmeta.data.vocabulary import METRIC_RANGE, MIX_COLUMNS
from bayesmeta.errors import DataError, listing, shorten, unknown
from bayesmeta.importers.foreign_files import read_bytes

_PLAIN = "none"
"""What harnesses call the filter that changes nothing."""

_DESCRIBED = ("label", "task_family", "metric", "direction", "chance", "n_items")
"""Columns of benchmarks.csv that an entry may fill."""

_WORDS = ("name", "tasks", "metrics", "filters", "n_shots", "errors", "items", "protocol")


@dataclass(frozen=True, slots=True)
class Measured:
    """One number that a harness reports of one LM.

    Parameters
    ----------
    lm
        The LM, as the harness names it.
    task, metric, filter
        In the words of the harness; `none` is the filter that changes nothing.
    n_shots
        Worked examples in the prompt; None where that is not said.
    value, se
        In the unit of the harness; `se` is NaN where none is given.
    file
        Where it stands.
    when
        Date of the run in any form that sorts, blank where there is none.
    """

    lm: str
    task: str
    metric: str
    filter: str
    n_shots: int | None
    value: float
    se: float = math.nan
    file: str = ""
    when: str = ""

    @property
    def setting(self) -> tuple[str, int | None, str, str, str]:
        """What is the same in two runs of one thing."""
        return self.lm, self.n_shots, self.task, self.metric, self.filter

    def leave_out(self, why: str) -> dict[str, Any]:
        """Make the row that says why it is left out."""
        names = ("lm", "task", "metric", "filter", "n_shots", "value", "file")
        return {**{name: getattr(self, name) for name in names}, "why": why}


@dataclass(frozen=True, slots=True)
class Protocol:
    """One entry of the table of protocols: what becomes which benchmark.

    Parameters
    ----------
    name
        The benchmark; `{n_shots}` stands for the shots of the run.
    tasks
        Other names of the same task, the first that is there; each lists the parts of a mean.
    metrics, filters
        The first that is there.
    n_shots
        Only so many; any number where it is None.
    errors
        `independent` or `shared`: how errors of parts become the error of their mean.
    items
        Of entries with one word here only the first that fits counts.
    protocol
        How it was scored, for tables of experiments.
    described
        Columns of the table of benchmarks, where the benchmark is no bundled one.
    """

    name: str
    tasks: tuple[tuple[str, ...], ...]
    metrics: tuple[str, ...] = ("acc",)
    filters: tuple[str, ...] = (_PLAIN,)
    n_shots: int | None = None
    errors: str = "independent"
    items: str = ""
    protocol: str = ""
    described: tuple[tuple[str, Any], ...] = ()

    def find(
        self, measured: Mapping[tuple[str, str, str], Measured], *, n_shots: int | None
    ) -> tuple[Measured, ...]:
        """Find what this entry is the mean of, among what one LM has at one number of shots.

        Returns
        -------
        tuple of Measured
            Empty where a part is not there, or where the name asks for shots that nobody told.
        """
        if n_shots is None and "{n_shots}" in self.name:
            return ()
        if self.n_shots not in (None, n_shots):
            return ()
        for task in self.tasks:
            for metric in self.metrics:
                for name in self.filters:
                    keys = [(part, metric, name) for part in task]
                    if all(key in measured for key in keys):
                        return tuple(measured[key] for key in keys)
        return ()

    def describe(self, *, n_shots: int | None) -> dict[str, Any]:
        """Fill a row of the table of benchmarks."""
        row = {key: _fill(value, n_shots) for key, value in self.described}
        return {"benchmark": _fill(self.name, n_shots), **row, "n_shots": n_shots}


def _fill(text: Any, n_shots: int | None) -> Any:
    return text.replace("{n_shots}", str(n_shots)) if isinstance(text, str) else text


class Mapped(NamedTuple):
    """Scores and benchmarks as rows of their tables, and what is left out, with the reason."""

    scores: list[dict[str, Any]]
    benchmarks: list[dict[str, Any]]
    left_out: list[dict[str, Any]]


def read_protocols(own: str | PathLike[str] | None = None) -> list[Protocol]:
    """Read the table of protocols, entries of one's own first.

    Parameters
    ----------
    own
        A TOML file in the form of `data/protocols.toml`; none if left out.

    Returns
    -------
    list of Protocol
        In the order in which they are tried.

    Raises
    ------
    DataError
        If the file cannot be read, or an entry says what none may say.

    Examples
    --------
    >>> read_protocols()[0].name
    'arc_challenge'
    """
    bundled = _bundled()
    entries = [_build(one, bundled["lists"], file="protocols.toml") for one in bundled["benchmark"]]
    if own is None:
        return entries
    more = _read_toml(Path(own))
    lists = {**bundled["lists"], **more.get("lists", {})}
    return [*(_build(one, lists, file=str(own)) for one in more.get("benchmark", [])), *entries]


@cache
def _bundled() -> dict[str, Any]:
    return _read_toml(bundled_folder() / "protocols.toml")


def read_domains(own: str | PathLike[str] | None = None) -> dict[str, str]:
    """Read which sources of training data are which share of the mix, those of one's own first.

    Examples
    --------
    >>> read_domains()["starcoder"]
    'code_share'
    """
    tables = [_bundled(), {} if own is None else _read_toml(Path(own))]
    found = {}
    for table in tables:
        for domain, sources in table.get("domains", {}).items():
            if f"{domain}_share" not in MIX_COLUMNS:
                allowed = [name.removesuffix("_share") for name in MIX_COLUMNS]
                raise unknown(DataError, f"{own}: domain", domain, allowed, mend="Correct it.")
            found |= {source.lower(): f"{domain}_share" for source in sources}
    return found


def _read_toml(path: Path) -> dict[str, Any]:
    try:
        table = tomllib.loads(read_bytes(path).decode())
    except (UnicodeDecodeError, tomllib.TOMLDecodeError, RecursionError) as error:
        raise DataError(
            f"{shorten(path)} is no TOML text ({shorten(error)}). Allowed: entries [[benchmark]] "
            f"as in {bundled_folder() / 'protocols.toml'}. Correct the file."
        ) from error
    entries = table.get("benchmark", [])
    named = [table.get("lists", {}), table.get("domains", {})]
    good = all(
        isinstance(one, dict) and all(_are_words(words) for words in one.values()) for one in named
    )
    wrong = set(table) - {"lists", "domains", "benchmark"}
    if wrong or not good or not isinstance(entries, list):
        raise DataError(
            f"{shorten(path)} holds {listing(sorted(wrong)) or 'no lists of words'}. Allowed: "
            "entries [[benchmark]], lists of words in [lists] and [domains]. Correct the file."
        )
    return table


def _are_words(value: object) -> bool:
    return isinstance(value, list) and bool(value) and all(isinstance(one, str) for one in value)


def _build(entry: object, lists: Mapping[str, Any], *, file: str) -> Protocol:
    """Check one entry and expand the names of its tasks."""
    if not isinstance(entry, dict) or not isinstance(entry.get("name"), str):
        raise DataError(f"{file}: an entry [[benchmark]] has no name. Give it one.")
    name = entry["name"]
    for key in entry:
        if key not in (*_WORDS, *_DESCRIBED):
            raise unknown(DataError, f"{file}, benchmark '{name}': key", key,
                          (*_WORDS, *_DESCRIBED), mend="Correct or remove it.")  # fmt: skip
    words = {key: entry.get(key, default) for key, default in
             (("tasks", None), ("metrics", ["acc"]), ("filters", [_PLAIN]))}  # fmt: skip
    for key, value in words.items():
        if not _are_words(value):
            raise DataError(
                f"{file}, benchmark '{name}': {key} is {shorten(repr(value))}. Allowed: a list of "
                'words, such as ["hellaswag"].'
            )
    _check_numbers(entry, file=file)
    described = {key: entry[key] for key in _DESCRIBED if key in entry}
    tasks = tuple(_expand(task, lists, where=f"{file}, benchmark '{name}'")
                  for task in words["tasks"])  # fmt: skip
    return Protocol(
        name, tasks, metrics=tuple(words["metrics"]), filters=tuple(words["filters"]),
        n_shots=entry.get("n_shots"), errors=entry.get("errors", "independent"),
        items=entry.get("items", tasks[0][0]), protocol=entry.get("protocol", ""),
        described=tuple(described.items()),
    )  # fmt: skip


def _check_numbers(entry: Mapping[str, Any], *, file: str) -> None:
    """Check what an entry says in one word or number."""
    where = f"{file}, benchmark '{entry['name']}'"
    shots = entry.get("n_shots", 0)
    if type(shots) is not int or shots < 0:
        raise DataError(f"{where}: n_shots is {shorten(repr(shots))}. Allowed: a whole number.")
    for key, allowed in (("errors", ("independent", "shared")), ("metric", tuple(METRIC_RANGE)),
                         ("direction", ("higher", "lower"))):  # fmt: skip
        if entry.get(key, allowed[0]) not in allowed:
            raise unknown(DataError, f"{where}: {key}", entry[key], allowed, mend="Choose one.")
    for key in ("chance", "n_items"):
        column, value = get_column("benchmarks", name=key), entry.get(key, 1)
        if isinstance(value, bool) or not isinstance(value, int | float) or not (
            column.low <= value <= column.high
        ):  # fmt: skip
            raise DataError(f"{where}: {key} is {shorten(repr(value))}. {column.expects}")


def _expand(task: str, lists: Mapping[str, Any], *, where: str) -> tuple[str, ...]:
    """List the parts of a task: `a + b`, and one for every word of a list."""
    parts = []
    for part in (word.strip() for word in task.split("+")):
        named = [name for name in lists if f"{{{name}}}" in part]
        if not named and "{" in part:
            raise unknown(DataError, f"{where}: list in", part, lists, mend="Correct the name.")
        parts += [part.replace(f"{{{named[0]}}}", word) for word in lists[named[0]]] if named else [
            part
        ]  # fmt: skip
    return tuple(parts)


def map_scores(
    measured: Iterable[Measured], *, protocols: Sequence[Protocol], known: Mapping[str, str]
) -> Mapped:
    """Turn what harnesses measured into scores on benchmarks.

    Parameters
    ----------
    measured
        All that was read. Of several runs of one thing the newest counts.
    protocols
        The table of protocols, in the order in which entries are tried.
    known
        Metrics of benchmarks that need no description, by name.

    Returns
    -------
    Mapped
        Rows of scores, of benchmarks that are not known, and of what is left out.

    Examples
    --------
    >>> run = Measured("lab/a", "hellaswag", "acc", "none", 10, 0.5, 0.005)
    >>> mapped = map_scores([run], protocols=read_protocols(), known={"hellaswag": "accuracy"})
    >>> [(row["benchmark"], row["score"]) for row in mapped.scores]
    [('hellaswag', 0.5)]
    """
    newest, left_out = _keep_newest(measured)
    groups: dict[tuple[str, int | None], dict[tuple[str, str, str], Measured]] = {}
    for one in newest:
        groups.setdefault((one.lm, one.n_shots), {})[one.task, one.metric, one.filter] = one
    scores: dict[tuple[str, str], dict[str, Any]] = {}
    benchmarks: dict[str, dict[str, Any]] = {}
    for (lm, n_shots), group in groups.items():
        used: dict[tuple[str, str, str], str] = {}
        for protocol, parts in _choose(group, n_shots, protocols):
            row = protocol.describe(n_shots=n_shots)
            name = row["benchmark"]
            metric = known.get(name) or row.get("metric")
            why = _refuse(parts, metric=metric) or (
                f"another setting is {name} already" if (lm, name) in scores else ""
            )
            used |= {(p.task, p.metric, p.filter): why for p in parts}
            if why:
                continue
            scores[lm, name] = {
                "lm": lm, "benchmark": name, "protocol": protocol.protocol or parts[0].metric,
                **_average(parts, protocol.errors),
            }  # fmt: skip
            if name not in known:
                benchmarks[name] = row
        left_out += _list_unused(group, used, protocols)
    return Mapped(list(scores.values()), list(benchmarks.values()), left_out)


def _keep_newest(measured: Iterable[Measured]) -> tuple[list[Measured], list[dict[str, Any]]]:
    """Keep the newest run of everything, and list the others that say something else."""
    kept: dict[Any, Measured] = {}
    left_out = []
    for one in sorted(measured, key=lambda one: one.when):
        if math.isnan(one.value):
            left_out.append(one.leave_out("its value is no number"))
            continue
        before = kept.get(one.setting)
        if before is not None and before.value != one.value:
            left_out.append(before.leave_out(f"another run of the same counts, in {one.file}"))
        kept[one.setting] = one
    return list(kept.values()), left_out


def _choose(
    group: Mapping[tuple[str, str, str], Measured],
    n_shots: int | None,
    protocols: Sequence[Protocol],
) -> Iterator[tuple[Protocol, tuple[Measured, ...]]]:
    """Give the entries that fit, the first for every set of items."""
    taken = set()
    for protocol in protocols:
        if protocol.items not in taken and (parts := protocol.find(group, n_shots=n_shots)):
            taken.add(protocol.items)
            yield protocol, parts


def _refuse(parts: Sequence[Measured], *, metric: str | None) -> str:
    """Say why numbers cannot be scores of a metric; blank where they can."""
    if metric is None:
        return "its entry in the table of protocols names no metric"
    low, high = METRIC_RANGE[metric]
    outside = [one.value for one in parts if not low <= one.value <= high]
    return f"{outside[0]:g} is outside the range of {metric}" if outside else ""


def _average(parts: Sequence[Measured], errors: str) -> dict[str, Any]:
    """Average parts, and propagate their errors; an error of 0 is one that nobody knows."""
    n = len(parts)
    known = [one.se if one.se > 0 else math.nan for one in parts]
    total = math.fsum(known) if errors == "shared" else math.sqrt(math.fsum(s * s for s in known))
    return {"score": math.fsum(one.value for one in parts) / n, "se": total / n}


def _list_unused(
    group: Mapping[tuple[str, str, str], Measured],
    used: Mapping[tuple[str, str, str], str],
    protocols: Sequence[Protocol],
) -> list[dict[str, Any]]:
    """List what did not become a score, and why."""
    taken = {key[0] for key, why in used.items() if not why}
    tasks = {part for protocol in protocols for task in protocol.tasks for part in task}
    rows = []
    for key, one in group.items():
        if key in used:
            if used[key]:
                rows.append(one.leave_out(used[key]))
        elif one.task in taken:
            rows.append(one.leave_out("another metric of the task is taken"))
        elif one.task in tasks:
            rows.append(one.leave_out("no entry for this metric, filter and number of shots"))
        else:
            rows.append(one.leave_out("no entry for this task"))
    return rows


def rename(measured: Iterable[Measured], names: Mapping[str, str]) -> list[Measured]:
    """Give LMs other names, where there are any for them."""
    return [replace(one, lm=names.get(one.lm, one.lm)) for one in measured]
