"""Datasets in: the bundled tables in both versions, and a user's own folder."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from dataclasses import replace
from functools import cache
from os import PathLike
from pathlib import Path
from typing import Any

import pandas as pd

from bayesmeta.data.benchmark_tables import bundled_benchmarks, known_benchmarks, match_benchmarks
from bayesmeta.data.checks import (
    check_lms,
    check_tables,
    validate_generations,
)
from bayesmeta.data.corrections import apply_corrections
from bayesmeta.data.csv_tables import read_frame, read_table, scan_table
from bayesmeta.data.dataset import (
    VERSIONS,
    Dataset,
    assemble_dataset,
    match_families,
    note_blank_sizes,
)
from bayesmeta.data.decisions import Decision, join_decisions
from bayesmeta.data.declared import (
    FILE,
    Declared,
    check_used,
    check_words,
    fill_levels,
    read_declared,
    validate_declared,
)
from bayesmeta.data.declared_benchmarks import (
    DeclaredBenchmark,
    check_families,
    rescale_scores,
)
from bayesmeta.data.experiments import Experiments, assemble_experiments
from bayesmeta.data.schema import COLUMNS
from bayesmeta.errors import DataError, listing, refuse, shorten, unknown


def bundled_folder() -> Path:
    """Find the tables that come with the package.

    Returns
    -------
    pathlib.Path
        The folder inside an installed package, or `data/` of a checkout.

    Raises
    ------
    DataError
        If neither exists, which means that the installation is incomplete.

    Examples
    --------
    >>> (bundled_folder() / "lms.csv").is_file()
    True
    """
    here = Path(__file__).resolve()
    for folder in (here.parent / "tables", here.parents[2] / "data"):
        if (folder / "lms.csv").is_file():
            return folder
    raise DataError(
        f"The bundled tables are missing: lms.csv is neither in {here.parent / 'tables'} nor in "
        f"{here.parents[2] / 'data'}. Install bayesmeta again."
    )


def load_dataset(*, version: str = "corrected", experiments: bool = True) -> Dataset:
    """Load the bundled scores and facts of 92 base LMs on 13 benchmark settings, and experiments.

    Parameters
    ----------
    version
        `corrected` for the audited facts, or `as-published` for the values that the code of
        "Not-Just-Scaling Laws" (https://doi.org/10.48550/arXiv.2503.03862) analyses.
    experiments
        Whether the bundled controlled experiments come with them, from which effects are told apart
        from associations. They are the same in both versions.

    Returns
    -------
    Dataset
        The tables. In the corrected version one LM, CrystalCoder, has no usable score.

    Raises
    ------
    DataError
        If the version is unknown.

    Examples
    --------
    >>> load_dataset().lms["position_embedding"].value_counts()["rotary"]
    np.int64(71)
    """
    _check_version(version)
    folder = bundled_folder()
    lms, scores, _ = _scan_tables(folder, version=version)
    data = assemble_dataset(
        lms, scores, bundled_benchmarks(), load_generation(), version=version, source="bundled"
    )
    return data.add(load_experiments()) if experiments else data


def load_experiments() -> Experiments:
    """Load the bundled controlled experiments: arms that differ in a stated decision, and scores.

    Returns
    -------
    Experiments
        2,576 results of 207 arms in 67 groups from 16 studies. `data/README.md` says where every
        number comes from.

    Examples
    --------
    >>> load_experiments().arms["attention"].value_counts()["mqa"]
    np.int64(7)
    """
    folder = bundled_folder() / "experiments"
    return _read_experiments(folder, source="bundled")


@cache
def load_run_noise() -> dict[str, float]:
    """Load by how much training runs of one recipe differ.

    Returns
    -------
    dict of float
        Standard deviation of the scores of single runs on every benchmark with repeated runs, in
        native units: pooled over the recorded repeats, each weighted by its number of runs.

    Examples
    --------
    >>> round(load_run_noise()["hellaswag"], 4)
    0.0128
    """
    table = read_table(bundled_folder() / "experiments" / "run_noise.csv", table="run_noise")
    runs, name = table["n_runs"].astype(float), table["benchmark"]
    squares = (table["sd"].astype(float) ** 2 * runs).groupby(name).sum() / runs.groupby(name).sum()
    return {str(name): float(value) ** 0.5 for name, value in squares.items()}


def read_experiments(
    folder: str | PathLike[str], *, decisions: Sequence[Decision] = ()
) -> Experiments:
    r"""Read and check controlled experiments of your own: two training runs are enough.

    Parameters
    ----------
    folder
        Holds arms.csv (study, group, arm, n_params, n_tokens and any column of lms.csv; a blank
        cell means: as the other arms of the group) and results.csv (study, group, arm, benchmark,
        score; protocol, se, n_seeds). Two arms of a group or more have a score on the same
        benchmark under the same protocol. Where there are any, studies.csv, benchmarks.csv with
        benchmarks that are not known here, and decisions.toml with decisions of your own.
    decisions
        Further decisions of your own that arms record.

    Returns
    -------
    Experiments
        The tables, with cells filled that are blank and the same in all other arms of a group.

    Raises
    ------
    DataError
        If a table is missing, unreadable or holds a value that is not allowed; the message names
        file, line, column, study and arm.

    Examples
    --------
    >>> folder = getfixture("tmp_path")
    >>> arms = "study,group,arm,n_params,n_tokens,norm\nmine,one,a,1e9,2e10,rmsnorm\n"
    >>> _ = (folder / "arms.csv").write_text(f"{arms}mine,one,b,1e9,2e10,layernorm\n")
    >>> results = "study,group,arm,benchmark,score\nmine,one,a,hellaswag,0.51\n"
    >>> _ = (folder / "results.csv").write_text(f"{results}mine,one,b,hellaswag,0.50\n")
    >>> read_experiments(folder).summarise()["decisions"].tolist()
    ['norm']
    """
    folder = _check_folder(folder)
    for name in ("arms.csv", "results.csv"):
        if not os.path.isfile(folder / name):
            state = "does not exist" if os.path.isdir(folder) else "is in no folder that exists"
            state = "is a folder" if os.path.isdir(folder / name) else state
            raise DataError(
                f"{shorten(folder / name)} {state}. Experiments are a folder that holds arms.csv, "
                "results.csv and, where the benchmarks are your own, benchmarks.csv. Correct the "
                "path, or add the file."
            )
    return _read_experiments(folder, source=str(folder), own=tuple(decisions))


def load_generation() -> pd.DataFrame:
    """Load what the LMs write when nothing is asked of them.

    Returns
    -------
    pandas.DataFrame
        89 lms: domain shares of their free generations in percent, and ratios of words.

    Examples
    --------
    >>> len(load_generation())
    89
    """
    return read_table(bundled_folder() / "generation.csv", table="generation").reset_index(
        drop=True
    )


def load_corrections() -> pd.DataFrame:
    """Load every cell in which the two versions of the bundled data differ.

    Returns
    -------
    pandas.DataFrame
        Text columns lm, field, published_value, corrected_value, confidence, reason, source.

    Examples
    --------
    >>> sorted(load_corrections()["confidence"].unique())
    ['A', 'B', 'C']
    """
    path = bundled_folder() / "corrections.csv"
    return read_table(path, table="corrections").reset_index(drop=True)


def read_dataset(
    folder: str | PathLike[str],
    *,
    version: str = "corrected",
    decisions: Sequence[Decision] = (),
) -> Dataset:
    r"""Read and check your own tables.

    Parameters
    ----------
    folder
        Holds lms.csv and scores.csv; benchmarks.csv with those that are not bundled ones;
        corrections.csv where there are two versions of the facts; generation.csv where somebody
        looked at what the LMs write; decisions.toml with decisions of your own; and a folder
        `experiments` that `read_experiments` reads.
    version
        `corrected` applies corrections.csv where there is one; `as-published` leaves it out.
    decisions
        Decisions of your own beside those of decisions.toml.

    Returns
    -------
    Dataset
        The tables, with unknown design facts blank. Rows without a score are left out.

    Raises
    ------
    DataError
        If a table is missing, unreadable or holds a value that is not allowed.

    Examples
    --------
    >>> folder = getfixture("tmp_path")
    >>> _ = (folder / "lms.csv").write_text("lm,lm_family,n_params,n_tokens\na,f,1e9,2e10\n")
    >>> _ = (folder / "scores.csv").write_text("lm,benchmark,score\na,hellaswag,0.5\n")
    >>> len(read_dataset(folder).scores)
    1
    """
    _check_version(version)
    folder = _check_folder(folder)
    if not os.path.isdir(folder) or not any(folder.iterdir()):
        state = "is empty" if os.path.isdir(folder) else "is not a folder"
        raise DataError(
            f"{shorten(folder)} {state}. A dataset is a folder that holds lms.csv, scores.csv and, "
            "where the benchmarks are your own, benchmarks.csv; controlled experiments are one "
            "that holds arms.csv and results.csv. Correct the path, or add the files."
        )
    if (folder / "arms.csv").is_file():
        raise DataError(
            f"{folder} holds arms.csv, which is no table of a dataset. Allowed: experiments in "
            f"{folder / 'experiments'}, beside lms.csv; or in a folder of their own, which "
            "bm.read_experiments and `bayesmeta data show DIR --experiments` read and `bayesmeta "
            "data add DIR --out BOTH` puts beside the bundled tables. Move arms.csv and "
            "results.csv, or add them."
        )
    declared = read_declared(folder / FILE, known=bundled_benchmarks()["benchmark"])
    ranged = declared.benchmarks
    if declared.problems:
        refuse([*declared.problems, *_known_problems(folder, declared)])
    validate_declared(decisions)
    own = join_decisions(decisions, declared.decisions, where=("decisions", str(folder / FILE)))
    lms, scores, problems = _scan_tables(folder, version="corrected", own=own)
    path = folder / "benchmarks.csv"
    read, more = scan_table(path, table="benchmarks") if path.is_file() else (None, [])
    benchmarks, unmatched = match_benchmarks(scores, read, where=str(folder), ranged=ranged)
    scores, outside = rescale_scores(scores, ranged, file=str(folder / "scores.csv"))
    problems += [*more, *unmatched, *outside]
    problems += check_families(ranged, benchmarks, file=str(folder / FILE))
    problems += check_words(own, lms, file=str(folder / "lms.csv"))
    refuse([*problems, *check_tables(lms, scores, benchmarks, where=str(folder), own=own)])
    generations = _own_generations(folder, lms)
    if version == "as-published":
        lms, scores, _ = _scan_tables(folder, version=version, own=own)
        scores, _ = rescale_scores(scores, ranged, file=str(folder / "scores.csv"))
    data = assemble_dataset(
        lms, scores, benchmarks, generations, version=version, source=str(folder)
    )
    inside = folder / "experiments"
    tried = (
        _read_experiments(inside, source=str(inside), own=own, ranged=ranged)
        if inside.is_dir()
        else None
    )
    tables = [lms] if tried is None else [lms, tried.arms]
    refuse([*check_used(declared.decisions, tables, file=str(folder / FILE)),
            *check_used(decisions, tables, file="decisions")])  # fmt: skip
    data = replace(data, decisions=fill_levels(own, tables))
    return data if tried is None else data.add(replace(tried, decisions=data.decisions))


def read_lms(
    source: Any, *, families: Iterable[str] = (), decisions: Sequence[Decision] = ()
) -> pd.DataFrame:
    r"""Read and check one table of LMs, such as new ones to predict for.

    Parameters
    ----------
    source
        A CSV file, or a frame of pandas, polars or another library that narwhals knows, with at
        least lm, lm_family, n_params and n_tokens.
    families
        Names of known families; one that differs only by case is taken for it.
    decisions
        Declared decisions.

    Returns
    -------
    pandas.DataFrame
        All columns of the table of LMs; missing facts are blank.

    Raises
    ------
    DataError
        If there is no such file, it is no table, or `read_dataset` would refuse it. The message
        names the line and the column.

    Examples
    --------
    >>> path = getfixture("tmp_path") / "lms.csv"
    >>> _ = path.write_text("lm,lm_family,n_params,n_tokens\na,f,1000000000,20000000000\n")
    >>> read_lms(path)["n_params"].tolist()
    [1000000000]
    """
    if not isinstance(source, str | os.PathLike):
        also = "the path of a CSV file, "
        lms = read_frame(source, what="lms", table="lms", own=decisions, also=also)
        file, problems = "lms", []
    else:
        path, file = Path(source), shorten(source)
        if not os.path.isfile(path):
            needed = [column.name for column in COLUMNS["lms"] if column.required]
            state = "is a folder" if os.path.isdir(path) else "does not exist"
            raise DataError(
                f"{file} {state}. Allowed: a CSV file with one row per lm and at least the columns "
                f"{listing(needed)}. Correct the path."
            )
        lms, problems = scan_table(path, table="lms", own=decisions)
    refuse([*problems, *check_lms(lms, file=file, own=decisions)])
    return match_families(note_blank_sizes(lms), known=families).reset_index(drop=True)


def _check_folder(folder: str | PathLike[str]) -> Path:
    if not isinstance(folder, str | os.PathLike):
        raise DataError(
            f"folder is {shorten(repr(folder))}. Allowed: the path of a folder that holds tables. "
            "Name one."
        )
    return Path(folder)


def _check_version(version: str) -> None:
    if version not in VERSIONS:
        raise unknown(DataError, "version", version, VERSIONS, mend="Choose one of them.")


def _known_problems(folder: Path, declared: Declared) -> list[DataError]:
    """List what is wrong with the tables as far as it does not follow from faulty declarations."""
    if not declared.decisions:
        return []
    try:
        lms, problems = scan_table(folder / "lms.csv", table="lms", own=declared.decisions)
    except DataError:  # its header may name the decisions whose declarations are faulty
        return []
    file = str(folder / FILE)
    return [*problems, *check_used(declared.decisions, [lms], file=file)]


def _scan_tables(
    folder: Path, *, version: str, own: Sequence[Decision] = ()
) -> tuple[pd.DataFrame, pd.DataFrame, list[DataError]]:
    """Read LMs and scores of a folder in one version, indexed by line number.

    Cells that cannot be read are reported, and blank.
    """
    lms, problems = scan_table(folder / "lms.csv", table="lms", own=own)
    scores, more = scan_table(folder / "scores.csv", table="scores")
    path = folder / "corrections.csv"
    if version == "corrected" and path.is_file():
        refuse([*problems, *more])
        corrections = read_table(path, table="corrections")
        lms, scores = apply_corrections(lms, scores, corrections, where=str(path), own=own)
    return lms, scores, [*problems, *more]


def _own_generations(folder: Path, lms: pd.DataFrame) -> pd.DataFrame | None:
    """Read and check a folder's table of generations, where there is one."""
    path = folder / "generation.csv"
    if not path.is_file():
        return None
    generations = read_table(path, table="generation")
    validate_generations(generations, lms=lms, file=str(path))
    return generations


def _read_experiments(
    folder: Path,
    *,
    source: str,
    own: Sequence[Decision] = (),
    ranged: Sequence[DeclaredBenchmark] = (),
) -> Experiments:
    """Read the tables of a folder, check them, and keep the benchmarks that have results."""
    file = str(folder / FILE)
    declared = read_declared(folder / FILE, known=known_benchmarks()["benchmark"])
    refuse(declared.problems)
    own = join_decisions(own, declared.decisions, where=("decisions", file))
    arms = read_table(folder / "arms.csv", table="arms", own=own)
    refuse([*check_words(own, arms, file=str(folder / "arms.csv")),
            *check_used(declared.decisions, [arms], file=file)])  # fmt: skip
    names = {"studies": "studies", "benchmarks": "experiment_benchmarks"}
    is_bundled = folder == bundled_folder() / "experiments"
    return assemble_experiments(
        arms,
        read_table(folder / "results.csv", table="results"),
        **{
            name: read_table(folder / f"{name}.csv", table=table)
            for name, table in names.items()
            if (folder / f"{name}.csv").is_file() and not (is_bundled and name == "benchmarks")
        },
        own=fill_levels(own, [arms]) if declared.decisions else own,
        ranged=(*ranged, *declared.benchmarks),
        where=str(folder),
        source=source,
    )
