"""Controlled experiments: LMs that were trained alike but for a stated decision."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pandas as pd

from bayesmeta.data.csv_tables import format_table, hash_tables, parse_text
from bayesmeta.data.decisions import Decision, join_decisions
from bayesmeta.data.schema import column_names
from bayesmeta.data.vocabulary import MIX_COLUMNS
from bayesmeta.errors import DataError, shorten

FILES = {
    "studies": "studies.csv",
    "arms": "arms.csv",
    "results": "results.csv",
    "experiment_benchmarks": "benchmarks.csv",
}
"""The tables of experiments by name in the schema, and the file in which each stands."""

_WORDS = ("study", "group", "arm", "run", "citation", "also_changes", "control")
FACTS = tuple(name for name in column_names("arms") if name not in (*_WORDS, "released"))
"""Columns in which arms of a group may differ: size, tokens, design, mix, corpus, stage. Declared
decisions are others, see `list_facts`."""


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Experiments:
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
