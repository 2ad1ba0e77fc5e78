"""Controlled experiments: LMs that were trained alike but for a stated decision."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import pandas as pd

from bayesmeta import defaults
from bayesmeta.data.arm_facts import fill_from_group, list_differences
from bayesmeta.data.benchmark_tables import complete_benchmarks, known_benchmarks
from bayesmeta.data.checks import validate_rows
from bayesmeta.data.csv_tables import (
    format_table,
    hash_tables,
    parse_frame,
    parse_text,
    read_frame,
    rows_of_frames,
)
from bayesmeta.data.decisions import Decision, join_decisions
from bayesmeta.data.declared import check_used, check_words, fill_levels
from bayesmeta.data.declared_benchmarks import (
    DeclaredBenchmark,
    rescale_scores,
    tabulate_benchmarks,
)
from bayesmeta.data.experiment_checks import validate_arms, validate_results
from bayesmeta.data.schema import column_names
from bayesmeta.errors import DataError, refuse, shorten
from bayesmeta.tables.notebook import NotebookView, show_pairs, show_table, show_title

FILES = {
    "studies": "studies.csv",
    "arms": "arms.csv",
    "results": "results.csv",
    "experiment_benchmarks": "benchmarks.csv",
}
"""The tables of experiments by name in the schema, and the file in which each stands."""


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Experiments(NotebookView):
    """Tables of controlled experiments, and where they came from.

    Parameters
    ----------
    studies
        One row per study, those that were left out included: title, year, url, licence.
    arms
        One row per arm of a group: size, tokens, design, mix in percent, corpus, and what moves
        along. A run that is an arm of several groups has one `run` in all of them.
    results
        One row per score: study, group, arm, benchmark, protocol, score and se in the metric's
        native unit, and the number of training runs that it is the mean of.
    benchmarks
        One row per benchmark that has a score, as in a `Dataset`.
    source
        `bundled`, or the folder that the tables were read from.
    decisions
        Declared decisions that arms may record.

    Examples
    --------
    >>> from bayesmeta.data.load import load_experiments
    >>> load_experiments()
    Experiments(16 studies, 67 groups, 207 arms, 2,576 results, source='bundled')
    """

    studies: pd.DataFrame
    arms: pd.DataFrame
    results: pd.DataFrame
    benchmarks: pd.DataFrame
    source: str = "memory"
    decisions: tuple[Decision, ...] = ()

    @classmethod
    def from_frames(
        cls,
        arms: Any,
        results: Any,
        *,
        studies: Any = None,
        benchmarks: Any = None,
        decisions: Sequence[Decision] = (),
    ) -> Experiments:
        """Make experiments of frames, checked as `read_experiments` checks a folder.

        Parameters
        ----------
        arms, results
            Tables as arms.csv and results.csv: frames of pandas, polars, pyarrow or another library
            that narwhals knows, dicts of columns, or lists of rows.
        studies
            Title, licence and source of the studies; may be left out.
        benchmarks
            Benchmarks that are not bundled ones.
        decisions
            Decisions of your own that arms record.

        Returns
        -------
        Experiments
            To be put beside a dataset by `Dataset.add`.

        Raises
        ------
        DataError
            If something is no table, or `read_experiments` would refuse it.

        Examples
        --------
        >>> arms = {"study": "mine", "group": "one", "arm": ["a", "b"], "n_params": 1e9,
        ...         "n_tokens": 2e10, "norm": ["rmsnorm", "layernorm"]}
        >>> results = {"study": "mine", "group": "one", "arm": ["a", "b"],
        ...            "benchmark": "hellaswag", "score": [0.51, 0.50]}
        >>> Experiments.from_frames(arms, results)
        Experiments(1 studies, 1 groups, 2 arms, 2 results, source='memory')
        """

        def read(given: Any, what: str, table: str) -> pd.DataFrame | None:
            return None if given is None else read_frame(given, what=what, table=table)

        with rows_of_frames():
            tried = read_frame(arms, what="arms", table="arms", own=decisions)
            refuse([*check_words(decisions, tried, file="arms"),
                    *check_used(decisions, [tried], file="decisions")])  # fmt: skip
            return assemble_experiments(
                tried,
                read_frame(results, what="results", table="results"),
                studies=read(studies, "studies", "studies"),
                benchmarks=read(benchmarks, "benchmarks", "experiment_benchmarks"),
                own=fill_levels(decisions, [tried]),
            )

    @property
    def checksum(self) -> str:
        """The SHA-256 of the content of the tables, the same on every platform."""
        return hash_tables(self.format_tables())

    def format_tables(self) -> dict[str, str]:
        """Write every table as CSV text, by its name in the schema.

        Returns
        -------
        dict of str
            Texts of studies, arms, results and experiment_benchmarks.

        Examples
        --------
        >>> from bayesmeta.data.load import load_experiments
        >>> load_experiments().format_tables()["arms"][:20]
        'study,group,arm,run,'
        """
        tables = (self.studies, self.arms, self.results, self.benchmarks)
        named = zip(FILES, tables, strict=True)
        return {name: format_table(frame, table=name, own=self.decisions) for name, frame in named}

    def summarise(self) -> pd.DataFrame:
        """Count what every study brings, and name the decisions that its arms differ in.

        Returns
        -------
        pandas.DataFrame
            Columns study, n_groups, n_arms, n_results, n_benchmarks, licence, decisions; one row
            per study that has arms, in the order of the table of arms.

        Examples
        --------
        >>> from bayesmeta.data.load import load_experiments
        >>> table = load_experiments().summarise().set_index("study")
        >>> table.loc["llama2", "decisions"]
        'attention, context_length, mlp_ratio'
        """
        scored = self.results.groupby("study")
        licences = self.studies.set_index("study")["licence"]
        rows = [
            {
                "study": study,
                "n_groups": arms["group"].nunique(),
                "n_arms": len(arms),
                "n_results": int(scored["score"].count().get(study, 0)),
                "n_benchmarks": int(scored["benchmark"].nunique().get(study, 0)),
                "licence": licences.get(study),
                "decisions": ", ".join(list_differences(arms)),
            }
            for study, arms in self.arms.groupby("study", sort=False)
        ]
        return pd.DataFrame(rows)

    def add(self, own: Experiments) -> Experiments:
        """Put other experiments below these.

        Parameters
        ----------
        own
            Experiments of other studies. A study that is only listed here, without arms, may be
            among them.

        Returns
        -------
        Experiments
            The studies of both, these first.

        Raises
        ------
        DataError
            If a study is in both, or both define a benchmark in different ways.

        Examples
        --------
        >>> from bayesmeta.data.load import load_experiments
        >>> bundled = load_experiments()
        >>> bundled.add(bundled)
        Traceback (most recent call last):
        bayesmeta.errors.DataError: study 'bigscience-arch' is in bundled and in bundled. ...
        """
        if not isinstance(own, Experiments):
            raise DataError(
                f"own is {shorten(repr(own))}. Allowed: Experiments, such as bm.read_experiments "
                "makes of a folder. Read it first."
            )
        for study in own.arms["study"].unique():
            if study in set(self.arms["study"]):
                raise DataError(
                    f"study '{study}' is in {self.source} and in {own.source}. Allowed: a study "
                    "that is in once. Remove it from one of them, or give it another name if it "
                    "is another study."
                )
        ours = self.studies[~self.studies["study"].isin(own.arms["study"])]
        theirs = own.studies[~own.studies["study"].isin(ours["study"])]
        refuse_second_metric(self.benchmarks, own.benchmarks, where=(self.source, own.source))
        new = own.benchmarks[~own.benchmarks["benchmark"].isin(self.benchmarks["benchmark"])]
        return Experiments(
            studies=pd.concat([ours, theirs], ignore_index=True),
            arms=pd.concat([self.arms, own.arms], ignore_index=True),
            results=pd.concat([self.results, own.results], ignore_index=True),
            benchmarks=pd.concat([self.benchmarks, new], ignore_index=True),
            source=f"{self.source} and {own.source}",
            decisions=join_decisions(
                self.decisions, own.decisions, where=(self.source, own.source)
            ),
        )

    def _show_parts(self) -> Iterator[str]:
        yield show_title("Experiments", repr(self).partition("(")[2].partition(", source")[0])
        yield show_pairs({"source": self.source})
        yield from self.show_studies()

    def show_studies(self) -> Iterator[str]:
        """Show what the first studies bring, for a notebook."""
        names = self.arms["study"].unique()
        first = self.arms["study"].isin(names[: defaults.ROWS_SHOWN])
        shown = replace(self, arms=self.arms[first]).summarise()
        yield show_table(shown, n_rows=len(names), whole=".summarise()")

    def __repr__(self) -> str:
        groups = self.arms.groupby(["study", "group"]).ngroups
        return (
            f"Experiments({self.arms['study'].nunique():,} studies, {groups:,} groups, "
            f"{len(self.arms):,} arms, {len(self.results):,} results, source={self.source!r})"
        )


def refuse_second_metric(
    first: pd.DataFrame, second: pd.DataFrame, *, where: tuple[str, str]
) -> None:
    """Raise where two tables of benchmarks give one benchmark two metrics.

    Examples
    --------
    >>> known = pd.DataFrame({"benchmark": ["anli"], "metric": ["brier"]})
    >>> refuse_second_metric(known, known.assign(metric="accuracy"), where=("one", "two"))
    Traceback (most recent call last):
    bayesmeta.errors.DataError: benchmark 'anli' has metric brier in one and accuracy in two. ...
    """
    known, others = (dict(zip(t["benchmark"], t["metric"], strict=True)) for t in (first, second))
    for name, metric in others.items():
        if known.get(name, metric) != metric:
            raise DataError(
                f"benchmark '{name}' has metric {known[name]} in {where[0]} and {metric} in "
                f"{where[1]}. Allowed: one metric. Give it another name, such as one that ends in "
                "the metric."
            )


def assemble_experiments(
    arms: pd.DataFrame,
    results: pd.DataFrame,
    *,
    studies: pd.DataFrame | None = None,
    benchmarks: pd.DataFrame | None = None,
    own: Sequence[Decision] = (),
    ranged: Sequence[DeclaredBenchmark] = (),
    where: str = "memory",
    source: str = "memory",
) -> Experiments:
    """Check tables that were read, and fill in what arms have in common.

    Parameters
    ----------
    arms, results, studies, benchmarks
        Tables with all their columns; the last two may be left out.
    own, ranged
        Declared decisions, and benchmarks with a range of their own.
    where, source
        The folder that the tables came from, for error messages, and what the experiments call it.

    Returns
    -------
    Experiments
        With the benchmarks that have results.

    Raises
    ------
    DataError
        If the tables are not allowed, or do not belong together.
    """
    validate_arms(arms, studies=studies, folder=where, own=own)
    arms = fill_from_group(arms)
    if studies is None:
        names = pd.DataFrame({"study": arms["study"].unique()})
        studies = parse_frame(names.reindex(columns=column_names("studies")), table="studies")
    results, outside = rescale_scores(results, ranged, file=f"{where}/results.csv")
    refuse(outside)
    known = [*tabulate_benchmarks(ranged), known_benchmarks()]
    if benchmarks is not None:
        validate_rows(benchmarks, table="experiment_benchmarks", file=f"{where}/benchmarks.csv")
        known.insert(0, complete_benchmarks(benchmarks))
    found = pd.concat(known).drop_duplicates("benchmark")
    validate_results(results, arms=arms, benchmarks=found, folder=where)
    used = found["benchmark"].isin(results["benchmark"])
    tables = (table.reset_index(drop=True) for table in (studies, arms, results, found[used]))
    return Experiments(*tables, source=source, decisions=tuple(own))


def restore_experiments(
    texts: Mapping[str, str], *, source: str, own: Sequence[Decision] = ()
) -> Experiments:
    """Make experiments of the texts of their tables, such as those in a saved fit.

    Examples
    --------
    >>> from bayesmeta.data.load import load_experiments
    >>> bundled = load_experiments()
    >>> restore_experiments(bundled.format_tables(), source="a").checksum == bundled.checksum
    True
    """
    tables = (parse_text(texts[name], table=name, own=own) for name in FILES)
    return Experiments(*tables, source=source, decisions=tuple(own))
