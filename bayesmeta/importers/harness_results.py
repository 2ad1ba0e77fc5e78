"""Results of lm-evaluation-harness, versions 0.3 and 0.4, and of leaderboards that run it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from os import PathLike
from pathlib import Path
from typing import Any

from bayesmeta.errors import DataError, shorten
from bayesmeta.importers.foreign_files import (
    Paths,
    as_mapping,
    as_number,
    find_files,
    list_paths,
    read_object,
)
from bayesmeta.importers.imported import Imported, build_imported
from bayesmeta.importers.protocols import Measured

_NO_METRICS = {"alias", "name", "sample_len", "sample_count", "samples", " ", ""}
"""Keys beside the metrics of a task."""

_MODEL_KEYS = ("pretrained", "model", "path", "engine")
"""Arguments of the harness that name the LM, the surest first."""

_MOST_TASKS = 20_000
"""Of one file, subjects and languages counted."""

_BITS = {"load_in_8bit": "8bit", "load_in_4bit": "4bit"}
_STAMP = re.compile(r"\d{4}-\d\d-\d\dT[\d.:-]+")


def read_lm_eval(
    paths: Paths,
    *,
    protocols: str | PathLike[str] | None = None,
    names: Mapping[str, str] | None = None,
    facts: Mapping[str, str] | None = None,
) -> Imported:
    """Read results of lm-evaluation-harness, and say what of them has no place in the tables.

    Parameters
    ----------
    paths
        Files or folders of the harness's results, or of an Open LLM Leaderboard's, which has the
        same form: several LMs, files and runs of one LM. Of two runs the newest counts.
    protocols
        A table of protocols of your own (TOML), whose entries come before those of
        `data/protocols.toml`: which task, metric, filter and shots become which benchmark.
    names
        Names of LMs here by the names in the files.
    facts
        What is to stand in columns of lms.csv, such as `{"n_tokens": "2T"}`, for all LMs, or for
        one: `{"lab/a:lm_family": "a"}`.

    Returns
    -------
    Imported
        LMs, scores, benchmarks, and what is left out. `save` puts them into a folder of tables.

    Raises
    ------
    DataError
        If a file cannot be read, holds no results, or does not name its LM.

    Examples
    --------
    >>> path = getfixture("tmp_path") / "results.json"
    >>> _ = path.write_text(
    ...     '{"results": {"winogrande": {"acc,none": 0.62, "acc_stderr,none": "N/A"}}, '
    ...     '"n-shot": {"winogrande": 5}, "model_name": "lab/a"}'
    ... )
    >>> read_lm_eval(path).scores[["lm", "benchmark", "score"]].values.tolist()
    [['lab/a', 'winogrande', 0.62]]
    """
    measured: list[Measured] = []
    sizes: dict[str, dict[str, Any]] = {}
    left_out: list[dict[str, Any]] = []
    for path in find_files(paths, endings=[".json"], what="results of lm-evaluation-harness"):
        content = read_object(path)
        if not _has_results(content):
            if path in list_paths(paths):
                raise _no_results(path, content)
            why = "it holds no results of lm-evaluation-harness"
            left_out.append({"task": "", "why": why, "file": str(path)})
            continue
        if len(content["results"]) > _MOST_TASKS:
            raise DataError(
                f"{shorten(path)} holds results of more than {_MOST_TASKS:,} tasks. Allowed: one "
                "run of the harness. Name another file."
            )
        lm = _name_lm(content, path)
        size = as_number(as_mapping(content.get("config")).get("model_num_parameters"))
        sizes.setdefault(lm, {}).update({"n_params": size} if size > 0 else {})
        for one, why in _read_results(content, lm=lm, path=path):
            if why:
                left_out.append(one.leave_out(why))
            else:
                measured.append(one)
    return build_imported(
        measured, lms=sizes, left_out=left_out, protocols=protocols, names=names, facts=facts
    )


def _has_results(content: Mapping[str, Any]) -> bool:
    results = content.get("results")
    return isinstance(results, dict) and "eval" not in content and all(
        isinstance(row, dict) for row in results.values()
    )  # fmt: skip


def _no_results(path: Path, content: Mapping[str, Any]) -> DataError:
    """Word what a file is that holds no results."""
    mend = "Name the file that the harness wrote with --output_path."
    if "eval" in content:
        mend = "It looks like a log of Inspect: bayesmeta data import-inspect reads it."
    elif "model_type" in content:
        mend = "It looks like a model's config: bayesmeta data import-hf-config reads it."
    return DataError(
        f"{shorten(path)} holds no results of lm-evaluation-harness. Needed: a key 'results' with "
        f"an object for every task. {mend}"
    )


def _name_lm(content: Mapping[str, Any], path: Path) -> str:
    """Say which LM was run, with the revision, adapter or precision that makes it another one."""
    config = as_mapping(content.get("config"))
    general = as_mapping(content.get("config_general"))
    arguments = _read_arguments(config.get("model_args"))
    told = [content.get("model_name"), *(arguments.get(key) for key in _MODEL_KEYS),
            general.get("model_name")]  # fmt: skip
    name = next((one.strip() for one in told if isinstance(one, str) and one.strip()), None)
    if name is None and name_folder(path.parent.name) != path.parent.name:
        name = name_folder(path.parent.name)
    if name is None:
        raise DataError(
            f"{shorten(path)} does not say which LM was run: neither 'model_name' nor "
            "'pretrained' in 'model_args'. Add the key 'model_name' to the file."
        )
    revision = arguments.get("revision")
    if isinstance(revision, str) and revision not in ("", "main", "None"):
        name += f"@{revision}"
    adapter = arguments.get("peft") or arguments.get("delta")
    if isinstance(adapter, str) and adapter:
        name += f"+{adapter}"
    bits = [word for key, word in _BITS.items() if str(arguments.get(key)).lower() == "true"]
    return "-".join([name, *bits])


def _read_arguments(given: object) -> Mapping[str, Any]:
    """Read `model_args`: an object, or the text `pretrained=...,dtype=...`."""
    if isinstance(given, str):
        pairs = (word.partition("=") for word in given.split(","))
        return {key.strip(): value.strip() for key, _, value in pairs if value}
    return as_mapping(given)


def name_folder(folder: str) -> str:
    """Read the name of a folder that the harness made of an LM's: `lab__model`."""
    return folder.replace("__", "/") if "__" in folder.strip("_") else folder


def list_tasks(
    content: Mapping[str, Any], path: Path
) -> tuple[str, dict[str, tuple[str, int | None]]]:
    """Read of results which LM they are of, and names and shots of its tasks, by their keys."""
    keys = as_mapping(content.get("results"))
    return _name_lm(content, path), {key: _read_task(key, content) for key in keys}


def _read_results(
    content: Mapping[str, Any], *, lm: str, path: Path
) -> Iterator[tuple[Measured, str]]:
    """Give every number, and why it is left out: blank where it is not."""
    when = _date(content, path)
    for key, row in content["results"].items():
        if key == "all":  # a leaderboard's mean over everything
            continue
        task, shots = _read_task(key, content)
        why = _find_limit(key, content)
        for metric, name, value, se in _list_metrics(row):
            one = Measured(lm, task, metric, name, shots, value, se, str(path), when)
            yield one, why


def _read_task(key: str, content: Mapping[str, Any]) -> tuple[str, int | None]:
    """Give task and shots; leaderboards write both into the key, `harness|arc:challenge|25`."""
    parts = key.split("|")
    chat = "chat " if content.get("chat_template") or content.get("system_instruction") else ""
    if len(parts) > 2:
        return chat + parts[1], _whole(parts[2])
    told = [
        as_mapping(content.get("n-shot")).get(key),
        as_mapping(as_mapping(content.get("configs")).get(key)).get("num_fewshot"),
        as_mapping(content.get("config")).get("num_fewshot"),
    ]
    return chat + key, next((n for n in map(_whole, told) if n is not None), None)


def _whole(value: object) -> int | None:
    number = as_number(value)
    return int(number) if number >= 0 and number == int(number) else None


def _find_limit(key: str, content: Mapping[str, Any]) -> str:
    """Say that only some items were asked: the first ones are no random sample."""
    counts = as_mapping(as_mapping(content.get("n-samples")).get(key))
    asked, all_ = as_number(counts.get("effective")), as_number(counts.get("original"))
    if asked < all_:
        return f"only the first {asked:g} of {all_:g} items were asked (limit)"
    limit = as_mapping(content.get("config")).get("limit")
    if not counts and limit not in (None, "None", 0):
        return f"only the first {shorten(limit, most=20)} items were asked (limit)"
    return ""


def _list_metrics(row: Mapping[str, Any]) -> Iterator[tuple[str, str, float, float]]:
    """Give metric, filter, value and error of a task; an error such as "N/A" is NaN."""
    for key, value in row.items():
        metric, comma, name = key.partition(",")
        if key in _NO_METRICS or metric.endswith("_stderr") or (not comma and _is_word(value)):
            continue
        error = row.get(f"{metric}_stderr,{name}" if comma else f"{metric}_stderr")
        yield metric, name or "none", as_number(value), as_number(error)


def _is_word(value: object) -> bool:
    return not isinstance(value, int | float)


def _date(content: Mapping[str, Any], path: Path) -> str:
    """Give the date of a run in ISO form, from the file or its name; blank where there is none."""
    second = as_number(content.get("date"))
    if 0 < second < 1e11:
        return datetime.fromtimestamp(second, UTC).strftime("%Y-%m-%dT%H:%M:%S")
    stamp = _STAMP.search(path.name)
    if stamp is None:
        return ""
    day, _, clock = stamp.group().partition("T")
    return f"{day}T{clock[:8].replace('-', ':')}"
