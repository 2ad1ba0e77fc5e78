"""The object that everything else starts from: tables that belong together."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from bayesmeta.data.benchmark_tables import match_benchmarks
from bayesmeta.data.checks import (
    check_tables,
    trace_stages,
    validate_generations,
    validate_tables,
)
from bayesmeta.data.csv_tables import (
    echo,
    format_table,
    hash_tables,
    mark_percent,
    read_frame,
    rows_of_frames,
)
from bayesmeta.data.decisions import Decision, join_decisions, know_decisions
from bayesmeta.data.declared import (
    DECLARED,
    FILE,
    check_used,
    check_words,
    fill_levels,
    format_declared,
    validate_declared,
)
from bayesmeta.data.experiments import FILES, Experiments, refuse_second_metric
from bayesmeta.errors import DataError, name_given, refuse, shorten
from bayesmeta.tables.notebook import (
    NotebookView,
    fold,
    show_code,
    show_pairs,
    show_table,
    show_title,
)
from bayesmeta.tables.wording import count, name_few
from bayesmeta.whole_files import write_folder

VERSIONS = ("as-published", "corrected")
"""The two versions of the facts: what the paper's code analyses, and what an audit made of it."""

_TABLES = {
    "lms": "lms",
    "scores": "scores",
    "benchmarks": "benchmarks",
    "generations": "generation",
}
"""Tables of a dataset, and their names in the schema."""


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Dataset(NotebookView):
    """Tables that belong together, and where they came from.

    Parameters
    ----------
    lms
        One row per LM: identity, scale, design decisions, training mix in percent.
    scores
        One row per available score: lm, benchmark, score and se in the metric's native unit.
    benchmarks
        One row per benchmark: label, task_family, metric, direction, chance, n_items, n_shots.
    version
        The version of the facts, `as-published` or `corrected`.
    source
        `bundled`, or the folder that the tables were read from.
    generations
        One row per LM whose free generations were looked at: their domain shares in percent.
        None where nobody looked.
    experiments
        Controlled experiments that belong to the data. None where there are none.
    decisions
        Decisions of one's own, beside those that the package knows, and further levels of those.

    Raises
    ------
    DataError
        If two decisions have one name, or one that means something else, or a cell is not as it is
        declared.

    Examples
    --------
    >>> from bayesmeta.data.load import load_dataset
    >>> load_dataset()
    Dataset(92 lms, 13 benchmarks, 1105 scores, 16 studies, version='corrected', source='bundled')
    """

    lms: pd.DataFrame
    scores: pd.DataFrame
    benchmarks: pd.DataFrame
    version: str = "corrected"
    source: str = "memory"
    generations: pd.DataFrame | None = None
    experiments: Experiments | None = None
    decisions: Sequence[Decision] = ()

    def __post_init__(self) -> None:
        """Turn tables of other libraries into frames of pandas; refuse faulty declarations."""
        object.__setattr__(self, "decisions", tuple(self.decisions))
        for name, table in _TABLES.items():
            given = getattr(self, name)
            if given is not None and not isinstance(given, pd.DataFrame):
                with rows_of_frames():
                    frame = read_frame(given, what=name, table=table, own=self.decisions)
                object.__setattr__(self, name, frame.reset_index(drop=True))
        if self.decisions:
            tried = [] if self.experiments is None else [self.experiments.arms]
            validate_declared(self.decisions, [self.lms, *tried])

    @property
    def known_decisions(self) -> dict[str, Decision]:
        """Every decision that can be asked for: built-in ones, then declared ones."""
        return know_decisions(self.decisions)

    @classmethod
    def from_frames(
        cls,
        lms: Any,
        scores: Any,
        *,
        benchmarks: Any = None,
        experiments: Experiments | None = None,
        generations: Any = None,
        decisions: Sequence[Decision] = (),
    ) -> Dataset:
        """Make a dataset of frames, checked as `read_dataset` checks a folder.

        Parameters
        ----------
        lms, scores
            Tables as lms.csv and scores.csv: frames of pandas, polars, pyarrow or another library
            that narwhals knows, dicts of columns, or lists of rows. Columns that are left out are
            missing.
        benchmarks
            Benchmarks that are not bundled ones: benchmark, task_family, metric.
        experiments
            Controlled experiments that belong to the data, as `Experiments.from_frames` makes them.
        generations
            What LMs write, as generation.csv.
        decisions
            Decisions of your own, which have columns in `lms` or in the arms.

        Returns
        -------
        Dataset
            The tables, with unknown design facts blank. Rows without a score are left out.

        Raises
        ------
        DataError
            If something is no table, or `read_dataset` would refuse it. Rows are counted from 1.

        Examples
        --------
        >>> lms = {"lm": ["a", "b"], "lm_family": "f", "n_params": [1e9, 7e9], "n_tokens": 2e10}
        >>> scores = {"lm": ["a", "b"], "benchmark": "hellaswag", "score": [0.4, 0.5]}
        >>> Dataset.from_frames(lms, scores)
        Dataset(2 lms, 1 benchmarks, 2 scores, version='corrected', source='memory')
        """
        given = dict(zip(_TABLES, (lms, scores, benchmarks, generations), strict=True))
        with rows_of_frames():
            read = {
                name: read_frame(table, what=name, table=_TABLES[name], own=decisions)
                for name, table in given.items()
                if table is not None or name in ("lms", "scores")
            }
            found, problems = match_benchmarks(
                read["scores"], read.get("benchmarks"), where="memory"
            )
            tables = [read["lms"], *([experiments.arms] if experiments is not None else [])]
            problems += [*check_words(decisions, read["lms"], file="lms"),
                         *check_used(decisions, tables, file="decisions")]  # fmt: skip
            checked = check_tables(
                read["lms"], read["scores"], found, where="memory", own=decisions
            )
            refuse([*problems, *checked])
            written = read.get("generations")
            if written is not None:
                validate_generations(written, lms=read["lms"], file="generations")
            data = assemble_dataset(read["lms"], read["scores"], found, written)
            data = replace(data, decisions=fill_levels(decisions, tables))
        return data if experiments is None else data.add(experiments)

    @property
    def checksum(self) -> str:
        """The SHA-256 of the content of the tables, the same on every platform."""
        return hash_tables(self.format_tables())

    def format_tables(self) -> dict[str, str]:
        """Write every table that there is as CSV text, by the name of its file.

        Returns
        -------
        dict of str
            Texts of lms, scores, benchmarks and, where there are any, generation, the tables of
            experiments, and declared decisions as TOML.

        Examples
        --------
        >>> from bayesmeta.data.load import load_dataset
        >>> list(load_dataset(experiments=False).format_tables())
        ['lms', 'scores', 'benchmarks', 'generation']
        """
        tables = {"lms": self.lms, "scores": self.scores, "benchmarks": self.benchmarks}
        if self.generations is not None:
            tables["generation"] = self.generations
        texts = {name: format_table(frame, table=name, own=self.decisions)
                 for name, frame in tables.items()}  # fmt: skip
        texts |= {} if self.experiments is None else self.experiments.format_tables()
        return texts | ({DECLARED: format_declared(self.decisions)} if self.decisions else {})

    def counts(self) -> pd.Series:
        """Count the available scores of every benchmark.

        Returns
        -------
        pandas.Series
            Counts indexed by benchmark, in the order of the benchmarks table.

        Examples
        --------
        >>> from bayesmeta.data.load import load_dataset
        >>> int(load_dataset(version="as-published").counts()["truthfulqa"])
        69
        """
        order = self.benchmarks["benchmark"]
        counts = self.scores["benchmark"].value_counts().reindex(order, fill_value=0)
        return counts.rename("n_scores").rename_axis("benchmark")

    def with_scores(self, scores: NDArray[np.float64]) -> Dataset:
        """Return the same tables with other values in the column of scores.

        Parameters
        ----------
        scores
            In native units and in the order of the table, shape (score,).

        Returns
        -------
        Dataset
            Standard errors, LMs and benchmarks are the same.

        Examples
        --------
        >>> from bayesmeta.data.load import load_dataset
        >>> data = load_dataset()
        >>> data.with_scores(data.scores["score"].to_numpy()).checksum == data.checksum
        True
        """
        return replace(self, scores=self.scores.assign(score=scores))

    def keep_lms(self, kept: NDArray[np.bool_]) -> Dataset:
        """Return the tables of some LMs, with the benchmarks that they have scores on.

        Parameters
        ----------
        kept
            Which LMs to keep, in the order of the table, shape (lm,).

        Returns
        -------
        Dataset
            Their rows of every table, numbered anew.

        Examples
        --------
        >>> from bayesmeta.data.load import load_dataset
        >>> data = load_dataset()
        >>> len(data.keep_lms(data.lms["lm_family"].eq("pythia").to_numpy()).lms)
        17
        """

        def pick(table: pd.DataFrame, column: str, among: pd.Series) -> pd.DataFrame:
            return table[table[column].isin(among)].reset_index(drop=True)

        lms = self.lms[kept].reset_index(drop=True)
        scores, written = pick(self.scores, "lm", lms["lm"]), self.generations
        return replace(
            self,
            lms=lms,
            scores=scores,
            benchmarks=pick(self.benchmarks, "benchmark", scores["benchmark"]),
            generations=None if written is None else pick(written, "lm", lms["lm"]),
        )

    def add(self, own: Dataset | Experiments) -> Dataset:
        r"""Put the tables of another dataset below these, such as your own below the bundled ones.

        Or controlled experiments beside them. An LM or a benchmark may be in both, so that known
        LMs can have scores on new benchmarks. What both say of it has to agree, but for a
        benchmark's label; a cell that is blank here is filled.

        Parameters
        ----------
        own
            The other dataset, or experiments.

        Returns
        -------
        Dataset
            All lms, benchmarks and scores, these first, in the version of these.

        Raises
        ------
        DataError
            If both have a score of one LM on one benchmark, or one study, or differ in a fact.

        Examples
        --------
        >>> import bayesmeta as bm
        >>> folder = getfixture("tmp_path")
        >>> _ = (folder / "lms.csv").write_text("lm,lm_family,n_params,n_tokens\na,f,1e9,2e10\n")
        >>> _ = (folder / "scores.csv").write_text("lm,benchmark,score\na,hellaswag,0.5\n")
        >>> both = bm.load_dataset().add(bm.read_dataset(folder))
        >>> len(both.lms), len(both.scores)
        (93, 1106)
        """
        if isinstance(own, Experiments):
            both = self.source, own.source
            refuse_second_metric(self.benchmarks, own.benchmarks, where=both)
            return replace(
                self,
                experiments=_join_experiments(self.experiments, own),
                decisions=join_decisions(self.decisions, own.decisions, where=both),
            )
        if not isinstance(own, Dataset):
            raise DataError(
                f"own is {name_given(own)}. Allowed: a Dataset, such as bm.read_dataset makes of a "
                "folder and bm.Dataset.from_frames of frames, or Experiments, such as "
                "bm.read_experiments makes."
            )
        where = (self.source, own.source)
        theirs = match_families(own.lms, known=self.lms["lm_family"])
        lms = _join(self.lms, theirs, key="lm", where=where)
        benchmarks = _join(
            self.benchmarks, own.benchmarks, key="benchmark", where=where, free=("label",)
        )
        _refuse_second_scores(self.scores, own.scores, where=where)
        generations = self.generations
        if generations is None:
            generations = own.generations
        elif own.generations is not None:
            generations = _join(generations, own.generations, key="lm", where=where)
        return Dataset(
            lms=lms,
            scores=pd.concat([self.scores, own.scores], ignore_index=True),
            benchmarks=benchmarks,
            version=self.version,
            source=" and ".join(where),
            generations=generations,
            experiments=_join_experiments(self.experiments, own.experiments),
            decisions=join_decisions(self.decisions, own.decisions, where=where),
        )

    def save(self, folder: str | PathLike[str]) -> None:
        """Write the tables into a folder that `read_dataset` reads back.

        Corrections are laid over the tables already, and not written. An LM without a score gets a
        row with a blank one, since a folder has to name every LM among its scores.

        Parameters
        ----------
        folder
            Made if its parent exists. Tables of an earlier one are replaced, all or none.

        Raises
        ------
        StoreError
            If a file cannot be written.
        DataError
            Before anything is written, if `read_dataset` would refuse the tables, as it does those
            of the bundled data as published, where a mix sums to 103 percent; or if the folder
            holds a table that would be read with these.

        Examples
        --------
        >>> import bayesmeta as bm
        >>> folder, data = getfixture("tmp_path"), bm.load_dataset()
        >>> data.save(folder)
        >>> bm.read_dataset(folder).checksum == data.checksum
        True
        """
        folder = Path(folder)
        scores = pd.concat([self.scores, _blank_scores(self)], ignore_index=True)
        own = self.decisions
        validate_tables(self.lms, scores, self.benchmarks, where=str(folder), own=own)
        lms = mark_percent(self.lms, own=own)
        texts = replace(self, scores=scores, lms=lms).format_tables()
        if not folder.absolute().parent.is_dir():
            raise DataError(
                f"folder {folder} cannot be made: {folder.parent} is no folder. Allowed: a folder "
                "inside one that exists. Name another."
            )
        for name in ("corrections", "generation", "arms", DECLARED):
            file = FILE if name == DECLARED else f"{name}.csv"
            if (name == "arms" or name not in texts) and (folder / file).exists():
                raise DataError(
                    f"{folder} holds {file}, which is no part of these tables and would be read "
                    "with them. Remove it, or name another folder."
                )
        if self.experiments is None and (folder / "experiments").is_dir():
            raise DataError(
                f"{folder} holds a folder experiments, which is no part of these tables and would "
                "be read with them. Remove it, or name another folder."
            )
        inside = folder / "experiments"
        if self.experiments is not None and inside.exists() and not inside.is_dir():
            raise DataError(
                f"folder {inside} cannot be made: there is a file of that name. Allowed: a folder "
                "without it. Name another."
            )
        places = {name: f"experiments/{FILES[name]}" if name in FILES else f"{name}.csv"
                  for name in texts} | {DECLARED: FILE}  # fmt: skip
        write_folder(folder, {places[name]: text for name, text in texts.items()})

    def _show_parts(self) -> Iterator[str]:
        families = self.lms["lm_family"].nunique()
        yield show_title(
            "Dataset",
            f"{len(self.lms):,} LMs of {families:,} families, {len(self.benchmarks):,} benchmarks, "
            f"{len(self.scores):,} scores",
        )
        yield show_pairs({"version": self.version, "source": self.source})
        counts = self.benchmarks[["benchmark", "label", "task_family", "metric"]]
        counts = counts.assign(scores=self.counts().to_numpy())
        yield fold("Benchmarks", show_table(counts, whole=".benchmarks"))
        facts = ["lm", "lm_family", "n_params", "n_tokens", "released"]
        yield fold("LMs", show_table(self.lms[facts], whole=".lms"))
        yield fold("What LMs record", show_table(self._count_facts()))
        if self.experiments is not None:
            yield fold("Controlled experiments", *self.experiments.show_studies())
        yield fold("How to go on", show_code(["fit = bm.fit(data)", "bm.check(fit)"]))

    def _count_facts(self) -> pd.DataFrame:
        """Count the LMs that record each fact, and its different values."""
        facts = self.lms.drop(columns=["lm", "lm_family"])
        counts = {"fact": facts.columns, "LMs": facts.count(), "values": facts.nunique()}
        return pd.DataFrame(counts).query("LMs > 0").reset_index(drop=True)

    def __repr__(self) -> str:
        studies = ""
        if self.experiments is not None:
            studies = f"{self.experiments.arms['study'].nunique()} studies, "
        return (
            f"Dataset({len(self.lms)} lms, {len(self.benchmarks)} benchmarks, "
            f"{len(self.scores)} scores, {studies}version={self.version!r}, "
            f"source={self.source!r})"
        )


def assemble_dataset(
    lms: pd.DataFrame,
    scores: pd.DataFrame,
    benchmarks: pd.DataFrame,
    generations: pd.DataFrame | None,
    *,
    version: str = "corrected",
    source: str = "memory",
) -> Dataset:
    """Leave out rows without a score of tables that were checked, and number the rows from 0.

    Raises
    ------
    DataError
        If no row has a score.
    """
    if not scores["score"].notna().any():
        raise DataError(
            f"{source}: every cell in column 'score' of scores.csv is blank in version "
            f"'{version}'. At least one score is needed. Fill in the scores."
        )
    return Dataset(
        lms=match_families(note_blank_sizes(lms)).reset_index(drop=True),
        scores=scores.loc[scores["score"].notna()].reset_index(drop=True),
        benchmarks=benchmarks.reset_index(drop=True),
        version=version,
        source=source,
        generations=None if generations is None else generations.reset_index(drop=True),
    )


def match_families(lms: pd.DataFrame, *, known: Iterable[str] = ()) -> pd.DataFrame:
    """Take families whose names differ only by case for one, and say so.

    Parameters
    ----------
    lms
        A table of LMs.
    known
        Families that are known already. Else the first spelling of the table counts.

    Returns
    -------
    pandas.DataFrame
        The table with one spelling of every family.

    Examples
    --------
    >>> lms = pd.DataFrame({"lm": ["a", "b"], "lm_family": ["Pythia", "pythia"]})
    >>> match_families(lms)["lm_family"].tolist()
    ['Pythia', 'Pythia']
    """
    exact = list(known)
    spelling = {name.lower(): name for name in reversed([*exact, *lms["lm_family"]])}
    families = [
        name if name in exact else spelling[name.lower()] for name in lms["lm_family"]
    ]  # fmt: skip
    echo([
        f"lm_family of {shorten(lm)}: read '{shorten(before)}' as '{shorten(after)}'"
        for lm, before, after in zip(lms["lm"], lms["lm_family"], families, strict=True)
        if before != after
    ])  # fmt: skip
    return lms.assign(lm_family=pd.Series(families, lms.index, dtype="str"))


def note_blank_sizes(lms: pd.DataFrame) -> pd.DataFrame:
    """Say of how many LMs a size is blank, and what becomes of it; give the table back.

    Examples
    --------
    >>> lms = pd.DataFrame({"lm": ["a"], "n_params": [1e9], "n_tokens": [np.nan]})
    >>> note_blank_sizes(lms) is lms
    True
    """
    for name in ("n_params", "n_tokens"):
        blank = lms.loc[lms[name].isna(), "lm"].tolist()
        if blank:
            many = count(len(blank), "LM", "LMs")
            echo([
                f"{name} is blank for {many} ({shorten(name_few(blank))}): it is estimated from "
                "family, date and the other size"
            ])  # fmt: skip
    return lms


def count_stages(lms: pd.DataFrame) -> pd.Series:
    """Count the earlier training stages of every LM: those of the LMs that it continues.

    Parameters
    ----------
    lms
        LMs with `derived_from`; an LM named there may have no row.

    Returns
    -------
    pandas.Series
        0 for training from scratch, 1 for an LM that continues such a one, and so on; index and
        order of the table.

    Examples
    --------
    >>> lms = pd.DataFrame({"lm": ["nl", "multi", "mono"], "derived_from": [None, "nl", "multi"]})
    >>> count_stages(lms).tolist()
    [0, 1, 2]
    """
    return pd.Series([len(line) for line in trace_stages(lms)], lms.index, name="n_stages")


def _join_experiments(first: Experiments | None, second: Experiments | None) -> Experiments | None:
    if first is None or second is None or first.checksum == second.checksum:
        return first or second  # the same ones come along with both
    return first.add(second)


def _join(
    first: pd.DataFrame,
    second: pd.DataFrame,
    *,
    key: str,
    where: tuple[str, str],
    free: tuple[str, ...] = (),
) -> pd.DataFrame:
    """Append rows; one that both have is filled where it is blank, and may not differ."""
    blank = {name: second[name].iloc[:0].reindex(first.index) for name in second.columns
             if name not in first}  # fmt: skip
    first = first.assign(**blank)
    joined = first.set_index(key)
    known = second[key].isin(joined.index)
    for row in second.loc[known].to_dict("records"):
        for column in first.columns.drop([key, *free]):
            old: Any = joined.at[row[key], column]
            new: Any = row[column]
            if pd.isna(new) or old == new:
                continue
            if not pd.isna(old):
                raise DataError(
                    f"{key} '{row[key]}' has {column} {_plain(old)} in {where[0]} and "
                    f"{_plain(new)} in {where[1]}. Allowed: one value, or a blank cell in one of "
                    f"them. Correct the cell, or give it another name if it is another {key}."
                )
            joined.loc[row[key], column] = new
    return pd.concat([joined.reset_index()[list(first.columns)], second.loc[~known]],
                     ignore_index=True)  # fmt: skip


def _plain(value: object) -> str:
    """Write a cell as a table would, counts without an exponent."""
    return str(int(value)) if isinstance(value, float) and value == int(value) else str(value)


def _refuse_second_scores(
    first: pd.DataFrame, second: pd.DataFrame, *, where: tuple[str, str]
) -> None:
    """Raise where both tables score one LM on one benchmark."""
    known = set(zip(first["lm"], first["benchmark"], strict=True))
    for pair in zip(second["lm"], second["benchmark"], strict=True):
        if pair in known:
            raise DataError(
                f"lm '{pair[0]}' has a score on benchmark '{pair[1]}' in {where[0]} and in "
                f"{where[1]}. Allowed: one score. Remove one of the two rows, or give the "
                "benchmark another name if it was run in another setting."
            )


def _blank_scores(data: Dataset) -> pd.DataFrame:
    """Rows without a score, of LMs and benchmarks that have none."""
    scores = data.scores
    lms, benchmarks = data.lms["lm"], data.benchmarks["benchmark"]
    rows = [(lm, benchmarks.iloc[0]) for lm in lms[~lms.isin(scores["lm"])]]
    rows += [(lms.iloc[0], name) for name in benchmarks[~benchmarks.isin(scores["benchmark"])]]
    blank = pd.DataFrame(rows, columns=["lm", "benchmark"])
    return blank.reindex(columns=scores.columns).astype(scores.dtypes.to_dict())
