"""Runs on mixtures of data, as controlled experiments: pairs of ratios and metrics."""

from __future__ import annotations

import ast
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd

from bayesmeta.data.arm_facts import fill_from_group
from bayesmeta.data.benchmark_tables import known_benchmarks
from bayesmeta.data.csv_tables import format_table, parse_frame
from bayesmeta.data.experiment_checks import validate_arms, validate_results
from bayesmeta.data.experiments import FILES
from bayesmeta.errors import DataError, listing, shorten
from bayesmeta.importers.foreign_files import as_mapping, as_number
from bayesmeta.importers.imported import LEFT_OUT, summarise_left_out
from bayesmeta.importers.protocols import Measured, map_scores, read_domains, read_protocols
from bayesmeta.importers.result_tables import read_cells
from bayesmeta.whole_files import write_folder

_IDS = ("run", "run_id", "index", "data")
"""Headings of the column that both tables are joined on, the surest first."""

_LONG = ("params", "data", "task", "step", "seed", "metrics")
"""Columns of results with a row per run, step and task, as DataDecide publishes them."""

_BESIDE = ("name", "index", "params", "tokens", "seed", "step")
"""Headings of a table of ratios or metrics that are no domain and no metric."""

_NEAR_ONE = 0.02
_MAGNITUDES = {"": 1.0, "K": 1e3, "M": 1e6, "B": 1e9, "T": 1e12}


class _Run(NamedTuple):
    """One training run of a mixture: its group, its size and tokens, what it scored."""

    group: str
    mixture: str
    seed: str
    n_params: float
    n_tokens: float
    scores: tuple[Measured, ...]


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class MixtureRuns:
    """Arms and results of runs on mixtures, and what has no place among them.

    Parameters
    ----------
    arms, results, benchmarks
        Tables of controlled experiments, as `read_experiments` reads them.
    left_out
        As in `Imported`: metrics and sources of data without an entry, once each.
    """

    arms: pd.DataFrame
    results: pd.DataFrame
    benchmarks: pd.DataFrame
    left_out: pd.DataFrame

    def summarise_left_out(self) -> pd.DataFrame:
        """Count what is left out, by reason, as `Imported.summarise_left_out` does."""
        return summarise_left_out(self.left_out)

    def save(self, folder: str | PathLike[str]) -> dict[str, int]:
        """Write a folder of experiments: all tables or none.

        Parameters
        ----------
        folder
            Made if its parent exists. Tables of an earlier import are replaced.

        Returns
        -------
        dict of int
            Rows of arms and results.

        Raises
        ------
        DataError
            If `read_experiments` would refuse the tables.
        StoreError
            If a file cannot be written.
        """
        arms = fill_from_group(self.arms)
        known = pd.concat([self.benchmarks, known_benchmarks()]).drop_duplicates("benchmark")
        validate_arms(arms, studies=None, folder=str(folder))
        validate_results(self.results, arms=arms, benchmarks=known, folder=str(folder))
        tables = {"arms": self.arms, "results": self.results}
        if len(self.benchmarks):
            tables["experiment_benchmarks"] = self.benchmarks
        texts = {FILES[name]: format_table(table, table=name) for name, table in tables.items()}
        write_folder(folder, texts)
        return {"arms": len(self.arms), "results": len(self.results)}

    def __repr__(self) -> str:
        return (
            f"MixtureRuns({len(self.arms)} arms, {len(self.results)} results, "
            f"{len(self.left_out)} left out)"
        )


def read_mixture_runs(
    ratios: str | PathLike[str],
    metrics: str | PathLike[str],
    *,
    study: str,
    n_params: float | None = None,
    n_tokens: float | None = None,
    protocols: str | PathLike[str] | None = None,
) -> MixtureRuns:
    r"""Read what every run was trained on, and what it scored, as arms of one experiment.

    Parameters
    ----------
    ratios
        A CSV table with a row per mixture and a column per source of data: shares of 1, or percent.
        Which source is which share of the mix stands in `data/protocols.toml`, under `domains`.
    metrics
        A CSV table with a row per run and a column per metric, joined on `run` or `run_id`, as
        Olmix and RegMix write them: the heading is the task `column HEADING` of the table of
        protocols. Or one with columns params, data, task, step, seed and metrics, as DataDecide
        has it: the task is `olmes TASK`, the last step counts, runs that differ in their seed are
        averaged, and arms of one number of parameters are a group.
    study
        A short name.
    n_params, n_tokens
        Of all runs, where the table of metrics does not say it.
    protocols
        As in `read_lm_eval`; may hold `domains` too.

    Returns
    -------
    MixtureRuns
        Arms, results, and what is left out. `save` makes a folder that `read_experiments` reads.

    Raises
    ------
    DataError
        If a table cannot be read, the tables have no run in common, or ratios do not sum to one.

    Examples
    --------
    >>> folder = getfixture("tmp_path")
    >>> _ = (folder / "ratios.csv").write_text("run,dclm,starcoder\na,0.9,0.1\nb,0.5,0.5\n")
    >>> _ = (folder / "metrics.csv").write_text("run,HumanEval,arc_bpb\na,0.1,1.2\nb,0.2,1.3\n")
    >>> read_mixture_runs(folder / "ratios.csv", folder / "metrics.csv", study="mine")
    MixtureRuns(2 arms, 2 results, 1 left out)
    """
    mixes, unknown_sources = _read_ratios(Path(ratios), read_domains(protocols))
    entries = read_protocols(protocols)
    runs = _read_metrics(Path(metrics), sizes=(n_params, n_tokens))
    both = [run for run in runs if run.mixture in mixes]
    if not both:
        raise DataError(
            f"{shorten(metrics)} and {shorten(ratios)} have no run in common. Needed: a column "
            f"{' or '.join(_IDS)} with the same names in both. Correct the names."
        )
    left_out = [{"task": one, "why": "no entry for this source of data", "file": str(ratios)}
                for one in unknown_sources]  # fmt: skip
    left_out += [{"lm": run.mixture, "why": "no row in the table of ratios", "file": str(metrics)}
                 for run in runs if run.mixture not in mixes]  # fmt: skip
    known = known_benchmarks()
    metric = dict(zip(known["benchmark"], known["metric"], strict=True))
    mapped = map_scores(
        [score for run in both for score in run.scores], protocols=entries, known=metric
    )
    arms = {(run.group, run.mixture): {
        "study": study, "group": run.group, "arm": run.mixture, "n_params": run.n_params,
        "n_tokens": run.n_tokens, **mixes[run.mixture], "control": "compositional",
    } for run in both}  # fmt: skip
    once = {(row["task"], row["metric"], row["why"]): {**row, "lm": ""} for row in mapped.left_out}
    rows = [{**dict.fromkeys(LEFT_OUT, ""), **row} for row in (*left_out, *once.values())]
    return MixtureRuns(
        arms=parse_frame(pd.DataFrame(list(arms.values())), table="arms", file=str(ratios)),
        results=_average_seeds(mapped.scores, both, study=study),
        benchmarks=pd.DataFrame(mapped.benchmarks),
        left_out=pd.DataFrame(rows, columns=list(LEFT_OUT)),
    )


def _find_id(rows: Sequence[Mapping[str, str]], path: Path) -> str:
    name = next((one for one in _IDS if rows and one in rows[0]), None)
    if name is None:
        raise DataError(
            f"{shorten(path)} has no column {' or '.join(_IDS)}. Needed: one that names the run. "
            "Rename the column."
        )
    return name


def _read_ratios(
    path: Path, domains: Mapping[str, str]
) -> tuple[dict[str, dict[str, float]], list[str]]:
    """Read the shares of every mixture in percent, and list the sources that nobody knows."""
    rows = read_cells(path)
    key = _find_id(rows, path)
    sources = [name for name in rows[0] if name not in (key, *_BESIDE)]
    columns = {name: _find_domain(name, domains) for name in sources}
    mixes: dict[str, dict[str, float]] = {}
    for row in rows:
        weights = {name: as_number(row[name] or "0") for name in sources}
        total = sum(weights.values())
        if not any(abs(total / whole - 1) < _NEAR_ONE for whole in (1, 100)):
            raise DataError(
                f"{shorten(path)}, run '{shorten(row[key])}': the ratios sum to {total:g}. "
                "Allowed: shares that sum to 1, or to 100. Correct them, or remove columns that "
                "are none."
            )
        shares = mixes.setdefault(row[key], {name: 0.0 for name in columns.values() if name})
        for name, weight in weights.items():
            column = columns[name]
            if column is not None:
                shares[column] += weight / total * 100
    rounded = {run: {name: round(share, 6) for name, share in shares.items()}
               for run, shares in mixes.items()}  # fmt: skip
    return rounded, [name for name, column in columns.items() if column is None]


def _find_domain(source: str, domains: Mapping[str, str]) -> str | None:
    """Find the share that a source belongs to, by its name or by what stands before a colon."""
    name = source.lower().removeprefix("train_")
    return domains.get(name) or domains.get(re.split(r"[:/]", name)[0])


def _read_metrics(path: Path, *, sizes: tuple[float | None, float | None]) -> list[_Run]:
    """Read runs and what they scored, from a wide table or a long one."""
    rows = read_cells(path)
    if rows and set(_LONG) <= set(rows[0]):
        return _read_long(rows, path)
    key = _find_id(rows, path)
    runs = []
    for row in rows:
        told = zip(("params", "tokens"), sizes, strict=True)
        n_params, n_tokens = (as_number(row.get(name, given)) for name, given in told)
        run = ("all", row[key], row.get("seed", ""))
        scores = tuple(
            Measured("\t".join(run), f"column {name}", "acc", "none", None, as_number(cell),
                     file=str(path))
            for name, cell in row.items() if name not in (key, *_BESIDE) and cell
        )  # fmt: skip
        runs.append(_Run(*run, n_params, n_tokens, scores))
    return runs


def _read_long(rows: Sequence[Mapping[str, str]], path: Path) -> list[_Run]:
    """Read the last step of every run of a long table."""
    last: dict[tuple[str, str, str], float] = {}
    for row in rows:
        run = (row["params"], row["data"], row["seed"])
        last[run] = max(last.get(run, 0.0), as_number(row["step"]))
    found: dict[tuple[str, str, str], list[Measured]] = {}
    tokens: dict[tuple[str, str, str], float] = {}
    for line, row in enumerate(rows, start=2):
        run = (row["params"], row["data"], row["seed"])
        if as_number(row["step"]) != last[run]:
            continue
        tokens[run] = as_number(row.get("tokens"))
        name = "\t".join(run)
        found.setdefault(run, []).extend(
            Measured(name, f"olmes {row['task']}", metric, "none", None, as_number(value),
                     file=str(path))
            for metric, value in _read_cell(row["metrics"], path, line=line).items()
        )  # fmt: skip
    return [_Run(run[0], run[1], run[2], _read_size(run[0], path), tokens[run], tuple(scores))
            for run, scores in found.items()]  # fmt: skip


def _read_cell(cell: str, path: Path, *, line: int) -> Mapping[str, Any]:
    """Read the metrics of a cell, which is written as Python writes a dictionary."""
    try:
        value = ast.literal_eval(cell)
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        value = None
    if not isinstance(value, dict):
        raise DataError(
            f"{shorten(path)}, line {line}, column 'metrics': {shorten(cell, most=60)} cannot be "
            "read. Allowed: numbers by name, {'acc_raw': 0.31, ...}. Write the table again."
        )
    return as_mapping({str(name): number for name, number in value.items()})


def _read_size(text: str, path: Path) -> float:
    """Read a number of parameters such as 150M."""
    found = re.fullmatch(r"([\d.]+)\s*([KMBT]?)", text.strip().upper())
    size = as_number(found[1]) * _MAGNITUDES[found[2]] if found else float("nan")
    if not size > 0:
        raise DataError(
            f"{shorten(path)}, column 'params': '{shorten(text, most=40)}' is no size. Allowed: "
            f"a count, or one with a letter of {listing(name for name in _MAGNITUDES if name)}."
        )
    return round(size)


def _average_seeds(
    scores: Sequence[Mapping[str, Any]], runs: Sequence[_Run], *, study: str
) -> pd.DataFrame:
    """Average runs that differ in their seed, with the standard error between them."""
    of = {score.lm: run for run in runs for score in run.scores}
    table = pd.DataFrame(
        [{"group": of[row["lm"]].group, "arm": of[row["lm"]].mixture, **row} for row in scores],
        columns=["group", "arm", "benchmark", "protocol", "score"],
    )
    columns = ["study", "group", "arm", "benchmark", "protocol", "score", "se", "n_seeds"]
    if table.empty:
        return pd.DataFrame(columns=columns)
    by = table.groupby(["group", "arm", "benchmark", "protocol"], sort=False)["score"]
    found = by.agg(score="mean", se="sem", n_seeds="count").reset_index()
    found["se"] = found["se"].where(found["se"] > 0)
    return parse_frame(found.assign(study=study)[columns], table="results")
