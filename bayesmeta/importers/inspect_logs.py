"""Logs of Inspect: `.eval` archives, and their JSON form, of every version."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from os import PathLike
from pathlib import Path
from typing import Any

from bayesmeta.errors import DataError, shorten
from bayesmeta.importers.foreign_files import (
    Paths,
    as_mapping,
    as_number,
    find_files,
    parse_object,
    read_member,
    read_object,
)
from bayesmeta.importers.imported import Imported, build_imported
from bayesmeta.importers.protocols import Measured

_PARTS = ("header.json", "_journal/start.json")
"""Parts of an archive that say what was run; the second alone of a run that did not end."""

_ERRORS = ("stderr", "bootstrap_stderr", "bootstrap_std")


def read_inspect_logs(
    paths: Paths,
    *,
    protocols: str | PathLike[str] | None = None,
    names: Mapping[str, str] | None = None,
    facts: Mapping[str, str] | None = None,
) -> Imported:
    """Read logs of Inspect.

    Their tasks are asked in words of their own, so that `data/protocols.toml` makes benchmarks of
    their own of them. An LM loses the provider before its name: `hf/lab/a` is `lab/a`.

    Parameters
    ----------
    paths
        Logs, `.eval` or `.json`, or folders of them. Only headers of `.eval` archives are read.
    protocols, names, facts
        As in `read_lm_eval`; the name of the scorer takes the place of the filter.

    Returns
    -------
    Imported
        LMs, scores, benchmarks. Runs that did not end, or asked only some items, are left out.

    Raises
    ------
    DataError
        If a file cannot be read, or is no log.

    Examples
    --------
    >>> path = getfixture("tmp_path") / "log.json"
    >>> _ = path.write_text(
    ...     '{"status": "success", "eval": {"task": "inspect_evals/gsm8k", "model": "hf/lab/a"}, '
    ...     '"results": {"scores": [{"name": "match", "metrics": {"accuracy": {"value": 0.4}}}]}}'
    ... )
    >>> read_inspect_logs(path).scores[["lm", "benchmark", "score"]].values.tolist()
    [['lab/a', 'gsm8k_inspect', 0.4]]
    """
    measured: list[Measured] = []
    left_out: list[dict[str, Any]] = []
    lms: dict[str, dict[str, Any]] = {}
    for path in find_files(paths, endings=[".eval", ".json"], what="logs of Inspect"):
        log = _read_log(path)
        about = as_mapping(log.get("eval"))
        if not isinstance(about.get("model"), str) or not isinstance(about.get("task"), str):
            raise DataError(
                f"{shorten(path)} is no log of Inspect: 'eval' names no model and task. Allowed: "
                "logs as `inspect eval` writes them. Name another file."
            )
        lm = _name_lm(about["model"])
        lms.setdefault(lm, {})
        why = _refuse(log, about)
        found = list(_list_scores(log, about, lm=lm, path=path))
        if why:
            row = {"lm": lm, "task": about["task"], "why": why, "file": str(path)}
            left_out += [one.leave_out(why) for one in found] or [row]
        else:
            measured += found
    return build_imported(
        measured, lms=lms, left_out=left_out, protocols=protocols, names=names, facts=facts
    )


def _read_log(path: Path) -> Mapping[str, Any]:
    """Read a log, or the header of an archive; the start of one that has none."""
    if path.suffix != ".eval":
        return read_object(path)
    found = read_member(path, names=_PARTS)
    if found is None:
        raise DataError(
            f"{shorten(path)} is no log of Inspect: it has no part {' or '.join(_PARTS)}. Allowed: "
            "logs as `inspect eval` writes them. Name another file."
        )
    name, content = found
    log = parse_object(content, name=f"{path}, {name}")
    return log if name == _PARTS[0] else {**log, "status": "started"}


def _name_lm(model: str) -> str:
    """Drop the provider before `lab/model`."""
    return model.split("/", 1)[1] if model.count("/") > 1 else model


def _refuse(log: Mapping[str, Any], about: Mapping[str, Any]) -> str:
    """Say why a run is left out; blank where it is not."""
    if log.get("status") != "success":
        return f"the run did not end well (status {shorten(log.get('status'), most=20)})"
    limit = as_mapping(about.get("config")).get("limit")
    return "" if limit is None else f"only some items were asked (limit {shorten(limit, most=20)})"


def _list_scores(
    log: Mapping[str, Any], about: Mapping[str, Any], *, lm: str, path: Path
) -> Iterator[Measured]:
    """Give what every scorer reports, but for errors, which go with the other metrics."""
    shots = as_number(as_mapping(about.get("task_args")).get("fewshot"))
    results = as_mapping(log.get("results"))
    scores = results.get("scores")
    if not isinstance(scores, list):  # version 1 has one scorer, without a list
        scorer = as_mapping(results.get("scorer")).get("name")
        scores = [{"name": scorer, "metrics": results.get("metrics")}] if scorer else []
    for score in map(as_mapping, scores):
        metrics = {str(name).rpartition("/")[2]: as_mapping(metric).get("value")
                   for name, metric in as_mapping(score.get("metrics")).items()}  # fmt: skip
        se = next((as_number(metrics[name]) for name in _ERRORS if name in metrics), math.nan)
        for metric, value in metrics.items():
            if metric not in _ERRORS:
                yield Measured(
                    lm, about["task"], metric, str(score.get("scorer") or score.get("name")),
                    int(shots) if shots >= 0 else None, as_number(value), se, str(path),
                    str(about.get("created") or ""),
                )  # fmt: skip
