"""Single answers of LMs: errors of scores whose items stand in clusters, and paired differences."""

from __future__ import annotations

import itertools
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from bayesmeta.errors import DataError, shorten
from bayesmeta.importers.foreign_files import (
    Paths,
    as_mapping,
    as_number,
    find_files,
    read_lines,
    read_object,
)
from bayesmeta.importers.harness_results import list_tasks, name_folder
from bayesmeta.importers.imported import Imported, build_imported
from bayesmeta.importers.protocols import Measured

_FILE = re.compile(r"samples_(?P<task>.+?)(?:_\d{4}-\d\d-\d\dT[\d.:-]+)?\.jsonl?")
_SETTING = ["task", "metric", "filter"]


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Items:
    """Answers of LMs, item by item.

    Parameters
    ----------
    table
        One row per LM, task, metric, filter and item: the `value` of the metric, and the `cluster`
        that the item is in, such as the passage that several questions ask about.
    n_shots
        Worked examples in the prompt by LM and task, where results stand beside the samples.

    Examples
    --------
    >>> rows = [("a", "t", "acc", "none", "1", "x", 1.0), ("a", "t", "acc", "none", "2", "x", 1.0),
    ...         ("a", "t", "acc", "none", "3", "y", 0.0), ("a", "t", "acc", "none", "4", "y", 0.0)]
    >>> names = ["lm", "task", "metric", "filter", "item", "cluster", "value"]
    >>> Items(pd.DataFrame(rows, columns=names), {}).summarise().round(3)[["score", "se"]]
       score   se
    0    0.5  0.5
    """

    table: pd.DataFrame
    n_shots: Mapping[tuple[str, str], int | None]

    def summarise(self) -> pd.DataFrame:
        """Average the items of every LM, with the error that clusters make.

        Returns
        -------
        pandas.DataFrame
            Columns lm, task, metric, filter, score, se, n_items, n_clusters. The variance of the
            mean is the sum of squared sums of residuals within clusters, times G / (G - 1) for G
            clusters, over the squared number of items; NaN for a single cluster.

        Notes
        -----
        Source: the cluster-robust variance of a mean, Liang and Zeger 1986,
        https://doi.org/10.1093/biomet/73.1.13.
        """
        rows = []
        for key, group in self.table.groupby(["lm", *_SETTING], sort=False):
            values = group["value"].to_numpy(float)
            row = dict(zip(["lm", *_SETTING], key, strict=True))
            clusters = pd.factorize(group["cluster"])[0]
            error = cluster_error(values, clusters)
            row |= {"score": float(values.mean()), "se": error, "n_items": len(values)}
            rows.append({**row, "n_clusters": int(clusters.max()) + 1})
        return pd.DataFrame(rows)

    def compare(self) -> pd.DataFrame:
        """Compare all pairs of LMs on the items that both answered.

        Returns
        -------
        pandas.DataFrame
            Columns lm, other, task, metric, filter, difference (score of `lm` less that of
            `other`), se (of the paired difference, clusters heeded), correlation (between the
            answers to one item) and n_items.

        Raises
        ------
        DataError
            If two LMs have no item of a task in common.
        """
        rows = []
        for key, group in self.table.groupby(_SETTING, sort=False):
            wide = group.pivot_table(index="item", columns="lm", values="value", sort=False)
            cluster = group.drop_duplicates("item").set_index("item")["cluster"]
            for one, other in itertools.combinations(wide.columns, 2):
                both = wide[[one, other]].dropna()
                if both.empty:
                    raise DataError(
                        f"{shorten(one)} and {shorten(other)} have no item of {key[0]} in common. "
                        "Allowed: samples of one version of a task. Leave one of them out."
                    )
                values = (both[one] - both[other]).to_numpy(float)
                clusters = pd.factorize(cluster[both.index])[0]
                rows.append({
                    "lm": one, "other": other, **dict(zip(_SETTING, key, strict=True)),
                    "difference": float(values.mean()), "se": cluster_error(values, clusters),
                    "correlation": _correlate(both[one].to_numpy(), both[other].to_numpy()),
                    "n_items": len(values),
                })  # fmt: skip
        columns = ["lm", "other", *_SETTING, "difference", "se", "correlation", "n_items"]
        return pd.DataFrame(rows, columns=columns)

    def to_imported(
        self,
        *,
        n_shots: int | None = None,
        protocols: str | PathLike[str] | None = None,
        names: Mapping[str, str] | None = None,
        facts: Mapping[str, str] | None = None,
    ) -> Imported:
        """Turn the averages into scores on benchmarks, as `read_lm_eval` does with results.

        Parameters
        ----------
        n_shots
            Where no results beside the samples say it.
        protocols, names, facts
            As in `read_lm_eval`.

        Returns
        -------
        Imported
            LMs, scores with their errors, benchmarks, and what is left out.
        """
        told = {key: n_shots if n is None else n for key, n in self.n_shots.items()}
        measured = [
            Measured(
                row["lm"], row["task"], row["metric"], row["filter"],
                told.get((row["lm"], row["task"]), n_shots), row["score"], row["se"],
            )
            for row in self.summarise().to_dict("records")
        ]  # fmt: skip
        lms: dict[str, dict[str, Any]] = {lm: {} for lm in self.table["lm"].unique()}
        return build_imported(measured, lms=lms, protocols=protocols, names=names, facts=facts)

    def __repr__(self) -> str:
        n = self.table.groupby(_SETTING).ngroups
        return f"Items({self.table['lm'].nunique()} lms, {n} settings, {len(self.table)} values)"


def read_lm_eval_samples(paths: Paths, *, cluster: str | None = None) -> Items:
    r"""Read samples that lm-evaluation-harness wrote with --log_samples.

    Parameters
    ----------
    paths
        Files `samples_TASK_DATE.jsonl`, or folders of them. An LM is called as in the results
        beside the file, else as the folder. Of two files of one LM and task the later counts.
    cluster
        A field of the documents that is the same for items that belong together, such as the
        passage of several questions. Each item is by itself if left out.

    Returns
    -------
    Items
        Every number of every item.

    Raises
    ------
    DataError
        If a file cannot be read, does not name its task, or if no document has the field.

    Examples
    --------
    >>> folder = getfixture("tmp_path") / "lab__a"
    >>> folder.mkdir()
    >>> rows = ['{"doc_id": 0, "doc": {}, "acc": 1.0}', '{"doc_id": 1, "doc": {}, "acc": 0.0}']
    >>> _ = (folder / "samples_piqa_2024-05-01T00-00-00.jsonl").write_text("\n".join(rows))
    >>> read_lm_eval_samples(folder)
    Items(1 lms, 1 settings, 2 values)
    """
    latest: dict[tuple[str, str], Path] = {}
    shots: dict[tuple[str, str], int | None] = {}
    for path in find_files(paths, endings=[".jsonl", "samples.json"], what="samples"):
        found = _FILE.fullmatch(path.name)
        if found is None:
            raise DataError(
                f"{shorten(path)} does not name its task. Allowed: samples_TASK.jsonl or "
                "samples_TASK_DATE.jsonl, as the harness writes them. Rename the file."
            )
        lm, told = _look_beside(path)
        task, n_shots = told.get(found["task"], (found["task"], None))
        latest[lm, task] = max(path, latest.get((lm, task), path))
        shots[lm, task] = n_shots
    rows: list[tuple[Any, ...]] = []
    for (lm, task), path in latest.items():
        rows += _read_rows(path, lm=lm, task=task, cluster=cluster)
    columns = ["lm", *_SETTING, "item", "cluster", "value"]
    table = pd.DataFrame(rows, columns=columns)
    if table.empty:
        raise DataError(
            f"No item in {len(latest)} files has a number. Allowed: samples. Name some."
        )
    return Items(table.drop_duplicates(["lm", *_SETTING, "item"], keep="last"), shots)


def _look_beside(path: Path) -> tuple[str, dict[str, tuple[str, int | None]]]:
    """Read the name of the LM, its tasks and their shots from results beside a file of samples."""
    results = sorted(path.parent.glob("results*.json"))
    if results:
        return list_tasks(read_object(results[-1]), results[-1])
    return name_folder(path.absolute().parent.name), {}


def _read_rows(
    path: Path, *, lm: str, task: str, cluster: str | None
) -> list[tuple[Any, ...]]:  # fmt: skip
    """Give the numbers of every item of a file."""
    rows = []
    for line, sample in read_lines(path):
        document, item = as_mapping(sample.get("doc")), str(sample.get("doc_id", line))
        if cluster is not None and cluster not in document:
            raise DataError(
                f"{shorten(path)}, line {line}: the document has no field '{shorten(cluster)}'. "
                f"Allowed: {', '.join(shorten(name, most=40) for name in list(document)[:20])}. "
                "Name one of them."
            )
        of = item if cluster is None else str(document[cluster])
        told = sample.get("metrics")
        metrics = told if isinstance(told, list) else [key for key in sample if key not in _OTHER]
        for metric in metrics:
            value = as_number(sample.get(metric)) if isinstance(metric, str) else math.nan
            value = float(sample[metric]) if isinstance(sample.get(metric), bool) else value
            if not math.isnan(value):
                rows.append((lm, task, metric, str(sample.get("filter", "none")), item, of, value))
    return rows


_OTHER = frozenset({
    "doc_id", "doc", "target", "arguments", "resps", "filtered_resps", "doc_hash", "prompt_hash",
    "target_hash", "filter", "metrics", "logit_0", "truth",
})  # fmt: skip
"""Keys of a sample that are no metric."""


def cluster_error(values: NDArray[np.float64], clusters: NDArray[np.intp]) -> float:
    """Give the standard error of a mean whose items stand in clusters, as `Items.summarise` says.

    Parameters
    ----------
    values
        Shape (item,).
    clusters
        The cluster of every item, numbered from 0, shape (item,).

    Returns
    -------
    float
        NaN where there is one cluster.

    Examples
    --------
    >>> round(cluster_error(np.array([1.0, 0.0, 1.0, 1.0]), np.arange(4)), 4)
    0.25
    """
    n_clusters = int(clusters.max()) + 1
    if n_clusters < 2:
        return math.nan
    sums = np.bincount(clusters, weights=values - values.mean(), minlength=n_clusters)
    return math.sqrt(n_clusters / (n_clusters - 1) * float(np.sum(sums**2))) / len(values)


def _correlate(first: NDArray[np.float64], second: NDArray[np.float64]) -> float:
    """Correlate two columns; NaN where one of them does not vary."""
    if np.ptp(first) == 0 or np.ptp(second) == 0:
        return math.nan
    return float(np.corrcoef(first, second)[0, 1])
