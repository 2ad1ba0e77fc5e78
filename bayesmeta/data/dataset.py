"""The object that everything else starts from: tables that belong together."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from bayesmeta.data.tables import format_table

__all__ = ["VERSIONS", "Dataset"]

VERSIONS = ("as-published", "corrected")
"""The two versions of the facts: what the paper's code analyses, and what an audit made of it."""


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Dataset:
    """Tables that belong together, and where they came from.

    Parameters
    ----------
    lms
        One row per lm: identity, scale, design decisions, training mix in percent.
    scores
        One row per available score: lm, benchmark, score and se in the metric's native unit.
    benchmarks
        One row per benchmark: label, task_family, metric, direction, chance, n_items, n_shots.
    version
        The version of the facts, `as-published` or `corrected`.
    source
        `bundled`, or the folder that the tables were read from.
    generations
        One row per lm whose free generations were looked at: their domain shares in percent.
        None where nobody looked.

    Examples
    --------
    >>> from bayesmeta.data import load_dataset
    >>> load_dataset()
    Dataset(92 lms, 13 benchmarks, 1105 scores, version='corrected', source='bundled')
    """

    lms: pd.DataFrame
    scores: pd.DataFrame
    benchmarks: pd.DataFrame
    version: str = "corrected"
    source: str = "memory"
    generations: pd.DataFrame | None = None

    @property
    def checksum(self) -> str:
        """The SHA-256 of the content of the tables, the same on every platform."""
        digest = hashlib.sha256()
        for text in self.format_tables().values():
            digest.update(text.encode())
        return digest.hexdigest()

    def format_tables(self) -> dict[str, str]:
        """Write every table that there is as CSV text, by the name of its file.

        Returns
        -------
        dict of str
            Texts of lms, scores, benchmarks and, where there is one, generation.

        Examples
        --------
        >>> from bayesmeta.data import load_dataset
        >>> list(load_dataset().format_tables())
        ['lms', 'scores', 'benchmarks', 'generation']
        """
        tables = {"lms": self.lms, "scores": self.scores, "benchmarks": self.benchmarks}
        if self.generations is not None:
            tables["generation"] = self.generations
        return {name: format_table(frame, table=name) for name, frame in tables.items()}

    def counts(self) -> pd.Series:
        """Count the available scores of every benchmark.

        Returns
        -------
        pandas.Series
            Counts indexed by benchmark, in the order of the benchmarks table.

        Examples
        --------
        >>> from bayesmeta.data import load_dataset
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
            Standard errors, lms and benchmarks are the same.

        Examples
        --------
        >>> from bayesmeta.data import load_dataset
        >>> data = load_dataset()
        >>> data.with_scores(data.scores["score"].to_numpy()).checksum == data.checksum
        True
        """
        return replace(self, scores=self.scores.assign(score=scores))

    def __repr__(self) -> str:
        return (
            f"Dataset({len(self.lms)} lms, {len(self.benchmarks)} benchmarks, "
            f"{len(self.scores)} scores, version={self.version!r}, source={self.source!r})"
        )
