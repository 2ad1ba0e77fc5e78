"""The one home of what the tables may contain: columns, units, vocabularies and ranges.

Reading, checking and the data dictionary follow `COLUMNS`, so a rule is written once. Columns of
decisions follow from their declarations; `list_columns` adds those of a user's own.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from bayesmeta.data.decisions import DECISIONS, Decision, know_decisions
from bayesmeta.data.vocabulary import (
    ARM_VOCABULARY,
    BENCHMARK_VOCABULARY,
    COUNT_RANGE,
    LM_VOCABULARY,
    NAME_LENGTH,
)

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True, slots=True)
class Column:
    """What one column of a table holds.

    Parameters
    ----------
    name
        The header of the column.
    kind
        One of text, month, category, number.
    meaning
        One line for the error message, units included.
    required
        The column must be present.
    filled
        No cell may be blank.
    whole
        A number without decimals.
    low, high
        The allowed range of a number, both ends included.
    allowed
        The words of a category.
    abbreviated
        A count that may be written as 7B or 1.5T.
    percent
        A number in percent, so that a cell may say 15% as well.
    left_out
        A table in which all cells are blank is written without the column: text and checksum of
        tables from before the column stay as they were.
    """

    name: str
    kind: str
    meaning: str
    required: bool = False
    filled: bool = False
    whole: bool = False
    low: float = float("-inf")
    high: float = float("inf")
    allowed: tuple[str, ...] = ()
    abbreviated: bool = False
    percent: bool = False
    left_out: bool = False

    @property
    def expects(self) -> str:
        """What a cell of this column may hold, in words."""
        blank = "" if self.filled else ", or a blank cell for unknown"
        if self.kind == "category":
            return f"Allowed: {', '.join(self.allowed)}{blank}."
        if self.kind == "month":
            return (
                f"Allowed: a year and a month as YYYY-MM, such as 2023-07, or a full date{blank}."
            )
        if self.kind == "number":
            noun = "a whole number" if self.whole else "a number"
            low = "" if self.low == float("-inf") else f" from {self.low:g}"
            high = " up" if self.high == float("inf") else f" to {self.high:g}"
            return f"Allowed: {noun}{low}{high if low else ''} ({self.meaning}){blank}."
        line = f", one line of at most {NAME_LENGTH} printable characters" if self.filled else ""
        return f"Allowed: text ({self.meaning}{line}){blank}."

    def accepts(self, cells: pd.Series) -> pd.Series:
        """Say which cells obey the rule of the column."""
        blank = cells.isna()
        if self.kind == "category":
            good = cells.isin(self.allowed)
        elif self.kind == "month":
            good = cells.astype("str").str.fullmatch(r"\d{4}-(0[1-9]|1[0-2])")
        elif self.kind == "number":
            good = cells.map(
                lambda cell: not isinstance(cell, str) and self.low <= cell <= self.high
            )
        elif self.filled:  # a name, by which rows are found and which messages show
            good = cells.map(lambda name: str(name).isprintable() and len(str(name)) <= NAME_LENGTH)
        else:
            good = ~blank
        return good.where(~blank, not self.filled).astype(bool)


def _text(name: str, meaning: str, *, required: bool = False, filled: bool = False) -> Column:
    return Column(name, "text", meaning, required=required, filled=filled or required)


def _category(name: str) -> Column:
    return Column(name, "category", "one of the listed words", allowed=DECISIONS[name].levels)


def _share(name: str) -> Column:
    meaning = "percent of the training tokens"
    return Column(name, "number", meaning, low=0, high=100, percent=True)


def _count(
    name: str, meaning: str, *, needed: bool = False, low: float = 1, high: float = COUNT_RANGE[1]
) -> Column:
    return Column(
        name,
        "number",
        meaning,
        required=needed,
        filled=needed,
        whole=True,
        low=low,
        high=high,
    )


_EPOCHS = Column("n_epochs", "number", "how often a training token was seen on average; 1 is once",
                 low=1, high=1000)  # fmt: skip

_DESIGN = (
    *(_category(name) for name in LM_VOCABULARY),
    _count("context_length", "tokens of context in training"),
    Column("mlp_ratio", "number", "width of one feed-forward branch over d_model", low=0.01),
    _count("d_model", "width of the residual stream"),
    _count("n_heads", "count of attention heads"),
    *(_share(name) for name in ("code_share", "web_share", "books_share")),
    *(_share(name) for name in ("reference_share", "academic_share", "english_share")),
)
"""The columns of `lms.csv` that say how an LM was made."""

_SIZES = tuple(
    Column(name, "number", f"the count of {what}; {short} is {size:.0f}, and is read too",
           required=True, whole=True, low=COUNT_RANGE[0], high=COUNT_RANGE[1], abbreviated=True)
    for name, what, short, size in (("n_params", "parameters", "7B", 7e9),
                                    ("n_tokens", "training tokens", "300B", 300e9))
)  # fmt: skip

_LM = (
    _text("lm", "the name of the language model", required=True),
    _text("lm_family", "the series it belongs to", required=True),
    _text("developer", "who trained it"),
    Column("released", "month", "month of release"),
    _text("derived_from", "the lm whose weights its training continued; blank if from scratch"),
    *_SIZES,
    replace(_EPOCHS, left_out=True),
    *_DESIGN,
)

_SCORES = (
    _text("lm", "an lm of lms.csv", required=True),
    _text("benchmark", "a benchmark of benchmarks.csv", required=True),
    Column("score", "number", "accuracy in [0, 1] or Brier score in [0, 2]", required=True),
    Column("se", "number", "standard error of the score, in its unit", low=0),
    _text("source", "who ran the evaluation"),
)

_BENCHMARKS = (
    _text("benchmark", "the name of the benchmark setting", required=True),
    _text("label", "the name shown in figures"),
    _text("task_family", "the kind of task, such as math or code", required=True),
    Column("metric", "category", "unit of the score", required=True, filled=True,
           allowed=BENCHMARK_VOCABULARY["metric"]),
    Column("direction", "category", "which scores are better",
           allowed=BENCHMARK_VOCABULARY["direction"]),
    Column("chance", "number", "expected score of a uniform guess", low=0, high=2),
    _count("n_items", "count of test items"),
    _count("n_shots", "worked examples in the prompt", low=0),
)  # fmt: skip

_CORRECTIONS = (
    _text("lm", "an lm of lms.csv", required=True),
    _text("field", "a column of lms.csv, or score:<benchmark>", required=True),
    Column("published_value", "text", "the value before", required=True),
    Column("corrected_value", "text", "the value after; blank drops it", required=True),
    Column("confidence", "category", "how sure the correction is", allowed=("A", "B", "C")),
    _text("reason", "why the value is changed"),
    _text("source", "where the fact comes from"),
)

_GENERATION = (
    _text("lm", "an lm of lms.csv", required=True),
    *(
        Column(
            f"generated_{domain}_share",
            "number",
            "percent of generations",
            low=0,
            high=100,
            percent=True,
        )
        for domain in ("web", "code", "books", "reference", "academic", "specific", "english")
    ),
    *(
        Column(f"{word}_ratio", "number", "matches per 100,000 characters", low=0)
        for word in ("question", "imperative", "conjunction", "instruction", "number")
    ),
)

_STUDIES = (
    _text("study", "a short name of the study", required=True),
    _text("title", "its title, or what it is"),
    Column("year", "number", "year in which it appeared", whole=True, low=1950, high=2100),
    _text("url", "where it can be read"),
    _text("licence", "under which its figures can be used"),
    _text("read_from", "data file, table of the paper, or a transcription"),
    _text("note", "what one should know of it"),
)

_ARMS = (
    _text("study", "a short name of the study", required=True),
    _text("group", "arms of one group are comparable", required=True),
    _text("arm", "the name of the arm in its group", required=True),
    _text("run", "the training run; blank where no other row is of the same one"),
    Column("released", "month", "month in which the study appeared"),
    *_SIZES,
    *(
        replace(column, allowed=ARM_VOCABULARY[column.name])
        if column.kind == "category"
        else column
        for column in _DESIGN
    ),
    _text("corpus", "a named corpus, such as c4"),
    _EPOCHS,
    _text("stage", "what training this was, if not from scratch in one go"),
    _text("quality_filter", "how documents were chosen"),
    Column("document_masking", "category", "does attention stop at the end of a document",
           allowed=ARM_VOCABULARY["document_masking"]),
    _text("citation", "where in the source the facts stand"),
    _text("also_changes", "what moves along with the decision"),
    Column("control", "category", "what else differs from the other arms of the group",
           allowed=ARM_VOCABULARY["control"]),
)  # fmt: skip

_RESULTS = (
    _text("study", "a study of arms.csv", required=True),
    _text("group", "a group of arms.csv", required=True),
    _text("arm", "an arm of arms.csv", required=True),
    _text("benchmark", "a benchmark, bundled or of benchmarks.csv", required=True),
    _text("protocol", "how it was scored, such as acc, 5-shot"),
    Column("score", "number", "accuracy in [0, 1] or Brier score in [0, 2]", required=True,
           filled=True),
    Column("se", "number", "standard error of the score, in its unit, above 0", low=0),
    _count("n_seeds", "training runs that the score is the mean of", high=1000),
)  # fmt: skip

_LEFT_OUT = (
    _text("study", "a study of studies.csv", required=True),
    _count("rows", "scores that are left out", needed=True),
    _text("what", "which they are", required=True),
    _text("reason", "why they are left out", required=True),
)

_RUN_NOISE = (
    _text("study", "a study of studies.csv", required=True),
    _text("benchmark", "a benchmark", required=True),
    _text("protocol", "how it was scored", required=True),
    _count("n_params", "the count of parameters", needed=True, low=COUNT_RANGE[0]),
    _text("corpus", "a named corpus"),
    _count("n_runs", "training runs that it rests on", needed=True),
    Column("sd", "number", "standard deviation between runs, in accuracy", required=True,
           filled=True, low=1e-6),
    _text("note", "what one should know of it"),
)  # fmt: skip

COLUMNS: dict[str, tuple[Column, ...]] = {
    "lms": _LM,
    "unfinished_lms": tuple(
        replace(column, required=False, filled=column.name == "lm") for column in _LM
    ),
    "scores": _SCORES,
    "benchmarks": _BENCHMARKS,
    "corrections": _CORRECTIONS,
    "generation": _GENERATION,
    "studies": _STUDIES,
    "arms": _ARMS,
    "results": _RESULTS,
    "experiment_benchmarks": _BENCHMARKS,
    "left_out": _LEFT_OUT,
    "run_noise": _RUN_NOISE,
}
"""The columns of every table, in file order; from `studies` on they are of experiments. Importers
write unfinished tables of LMs, in which some facts are still to come."""


KEYS: dict[str, tuple[str, ...]] = {
    "lms": ("lm",),
    "unfinished_lms": ("lm",),
    "scores": ("lm", "benchmark"),
    "benchmarks": ("benchmark",),
    "generation": ("lm",),
    "studies": ("study",),
    "arms": ("study", "group", "arm"),
    "results": ("study", "group", "arm", "benchmark", "protocol"),
    "experiment_benchmarks": ("benchmark",),
    "left_out": ("study", "what"),
    "run_noise": ("study", "benchmark", "protocol", "n_params", "corpus", "n_runs"),
}
"""Columns of which no two rows of a table hold the same."""


_OF_DESIGN = ("lms", "unfinished_lms", "arms")
"""Tables that have a column for every decision."""


def list_columns(table: str, own: Iterable[Decision] = ()) -> tuple[Column, ...]:
    """List the columns of a table in file order.

    Parameters
    ----------
    table
        One of the names in `COLUMNS`, such as lms or scores.
    own
        Decisions that are declared beside the built-in ones: tables of LMs and of arms have a
        column for each, the last.

    Returns
    -------
    tuple of Column
        What each holds.

    Examples
    --------
    >>> optimizer = Decision("optimizer", "categorical", levels=("adamw", "muon"))
    >>> list_columns("lms", [optimizer])[-1].allowed
    ('adamw', 'muon')
    """
    columns = {column.name: column for column in COLUMNS[table]}
    own = tuple(own) if table in _OF_DESIGN else ()
    known = know_decisions(own)
    for name in (one.name for one in own):
        there = columns.get(name)
        columns[name] = (
            build_column(known[name]) if there is None
            else replace(there, allowed=tuple(dict.fromkeys([*there.allowed, *known[name].levels])))
        )  # fmt: skip
    return tuple(columns.values())


def build_column(decision: Decision) -> Column:
    """Say what the column of a declared decision holds."""
    if decision.kind == "categorical":
        kind = "category" if decision.levels else "text"
        return Column(decision.name, kind, decision.title, allowed=decision.levels, left_out=True)
    low, high = decision.range
    return Column(
        decision.name,
        "number",
        decision.unit or ("percent" if decision.kind == "share" else decision.title),
        low=low,
        high=high,
        percent=decision.kind == "share",
        left_out=True,
    )


def column_names(table: str, own: Iterable[Decision] = ()) -> tuple[str, ...]:
    """Name the columns of a table in file order.

    Parameters
    ----------
    table
        One of the names in `COLUMNS`, such as lms or scores.
    own
        Decisions that are declared beside the built-in ones.

    Returns
    -------
    tuple of str
        The headers.

    Examples
    --------
    >>> column_names("scores")
    ('lm', 'benchmark', 'score', 'se', 'source')
    """
    return tuple(column.name for column in list_columns(table, own))


def get_column(table: str, *, name: str, own: Iterable[Decision] = ()) -> Column:
    """Look up what one column of a table holds.

    Parameters
    ----------
    table
        One of the names in `COLUMNS`, such as lms or scores.
    name
        The header of the column.
    own
        Decisions that are declared beside the built-in ones.

    Returns
    -------
    Column
        Its kind, unit and range; a KeyError if there is none.

    Examples
    --------
    >>> get_column("lms", name="code_share").meaning
    'percent of the training tokens'
    """
    return {column.name: column for column in list_columns(table, own)}[name]
