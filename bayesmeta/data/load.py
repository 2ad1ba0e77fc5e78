"""Datasets in: the bundled tables in both versions, and a user's own folder."""

from __future__ import annotations

import os
from collections.abc import Iterable
from functools import cache
from os import PathLike
from pathlib import Path

import pandas as pd

from bayesmeta.data.checks import (
    check_lms,
    check_tables,
    validate_generations,
    validate_rows,
)
from bayesmeta.data.corrections import apply_corrections
from bayesmeta.data.csv_tables import build_cell_error, parse_frame, read_table, scan_table
from bayesmeta.data.dataset import VERSIONS, Dataset, match_families, note_blank_sizes
from bayesmeta.data.experiment_checks import validate_arms, validate_results
from bayesmeta.data.experiments import Experiments, fill_from_group
from bayesmeta.data.schema import COLUMNS, column_names
from bayesmeta.data.vocabulary import BENCHMARK_VOCABULARY
from bayesmeta.errors import DataError, listing, refuse, shorten, suggest, unknown


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
    data = _finish(
        lms, scores, _bundled_benchmarks(), load_generation(), version=version, source="bundled"
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
        Standard deviation of one run on every benchmark with repeated runs, in native units: root
        mean square over the recorded repeats, outlying runs included.

    Examples
    --------
    >>> 0.01 < load_run_noise()["hellaswag"] < 0.02
    True
    """
    table = read_table(bundled_folder() / "experiments" / "run_noise.csv", table="run_noise")
    squares = table["sd"].astype(float).pow(2).groupby(table["benchmark"]).mean()
    return {str(name): float(value) ** 0.5 for name, value in squares.items()}


def read_experiments(folder: str | PathLike[str]) -> Experiments:
    r"""Read and check controlled experiments of your own: two training runs are enough.

    Parameters
    ----------
    folder
        Holds arms.csv (study, group, arm, n_params, n_tokens and any column of lms.csv; a blank
        cell means: as the other arms of the group) and results.csv (study, group, arm, benchmark,
        score; protocol, se, n_seeds). Two arms of a group or more have a score on the same
        benchmark under the same protocol. Where there are any, studies.csv, and benchmarks.csv
        with benchmarks that are not known here.

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
    return _read_experiments(folder, source=str(folder))


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


def read_dataset(folder: str | PathLike[str], *, version: str = "corrected") -> Dataset:
    r"""Read and check your own tables.

    Parameters
    ----------
    folder
        Holds lms.csv and scores.csv; benchmarks.csv with those that are not bundled ones;
        corrections.csv where there are two versions of the facts; generation.csv where somebody
        looked at what the LMs write; and a folder `experiments` that `read_experiments` reads.
    version
        `corrected` applies corrections.csv where there is one; `as-published` leaves it out.

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
    lms, scores, problems = _scan_tables(folder, version="corrected")
    benchmarks, more = _own_benchmarks(folder, scores)
    refuse([*problems, *more, *check_tables(lms, scores, benchmarks, where=str(folder))])
    generations = _own_generations(folder, lms)
    if version == "as-published":
        lms, scores, _ = _scan_tables(folder, version=version)
    data = _finish(lms, scores, benchmarks, generations, version=version, source=str(folder))
    inside = folder / "experiments"
    return data.add(read_experiments(inside)) if inside.is_dir() else data


def read_lms(
    source: str | PathLike[str] | pd.DataFrame, *, families: Iterable[str] = ()
) -> pd.DataFrame:
    r"""Read and check one table of LMs, such as new ones to predict for.

    Parameters
    ----------
    source
        A CSV file, or a frame, with at least lm, lm_family, n_params and n_tokens.
    families
        Names of known families; one that differs only by case is taken for it.

    Returns
    -------
    pandas.DataFrame
        All columns of the table of LMs; missing facts are blank.

    Raises
    ------
    DataError
        If there is no such file, or `read_dataset` would refuse it. The message names the line and
        the column.

    Examples
    --------
    >>> path = getfixture("tmp_path") / "lms.csv"
    >>> _ = path.write_text("lm,lm_family,n_params,n_tokens\na,f,1000000000,20000000000\n")
    >>> read_lms(path)["n_params"].tolist()
    [1000000000]
    """
    if isinstance(source, pd.DataFrame):
        lms, file, problems = parse_frame(source, table="lms"), "lms", []
    elif not isinstance(source, str | os.PathLike):
        raise DataError(
            f"lms are {shorten(repr(source))}. Allowed: a pandas DataFrame, or the path of a CSV "
            "file, with the columns of lms.csv."
        )
    else:
        path, file = Path(source), shorten(source)
        if not os.path.isfile(path):
            needed = [column.name for column in COLUMNS["lms"] if column.required]
            state = "is a folder" if os.path.isdir(path) else "does not exist"
            raise DataError(
                f"{file} {state}. Allowed: a CSV file with one row per lm and at least the columns "
                f"{listing(needed)}. Correct the path."
            )
        lms, problems = scan_table(path, table="lms")
    refuse([*problems, *check_lms(lms, file=file)])
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


def _scan_tables(
    folder: Path, *, version: str
) -> tuple[pd.DataFrame, pd.DataFrame, list[DataError]]:
    """Read LMs and scores of a folder in one version, indexed by line number.

    Cells that cannot be read are reported, and blank.
    """
    lms, problems = scan_table(folder / "lms.csv", table="lms")
    scores, more = scan_table(folder / "scores.csv", table="scores")
    path = folder / "corrections.csv"
    if version == "corrected" and path.is_file():
        refuse([*problems, *more])
        corrections = read_table(path, table="corrections")
        lms, scores = apply_corrections(lms, scores, corrections, where=str(path))
    return lms, scores, [*problems, *more]


def _own_generations(folder: Path, lms: pd.DataFrame) -> pd.DataFrame | None:
    """Read and check a folder's table of generations, where there is one."""
    path = folder / "generation.csv"
    if not path.is_file():
        return None
    generations = read_table(path, table="generation")
    validate_generations(generations, lms=lms, file=str(path))
    return generations


@cache
def _bundled_benchmarks() -> pd.DataFrame:
    return read_table(bundled_folder() / "benchmarks.csv", table="benchmarks")


def known_benchmarks() -> pd.DataFrame:
    """Read all benchmarks that need no row of one's own in experiments, bundled ones first.

    Examples
    --------
    >>> len(known_benchmarks())
    65
    """
    path = bundled_folder() / "experiments" / "benchmarks.csv"
    more = read_table(path, table="experiment_benchmarks")
    return pd.concat([_bundled_benchmarks(), more]).drop_duplicates("benchmark")


def _own_benchmarks(
    folder: Path, scores: pd.DataFrame
) -> tuple[pd.DataFrame, list[DataError]]:  # fmt: skip
    """Read a folder's benchmarks; bundled ones that have scores need no row of their own.

    Cells that cannot be read, and benchmarks without a row, are reported.
    """
    path, bundled = folder / "benchmarks.csv", _bundled_benchmarks()
    if path.is_file():
        read, problems = scan_table(path, table="benchmarks")
        own = _complete(read)
        used = bundled["benchmark"].isin(scores["benchmark"])
        more = bundled.loc[used & ~bundled["benchmark"].isin(own["benchmark"])]
        return pd.concat([own, more]).rename_axis("line"), problems
    names = scores["benchmark"].dropna().drop_duplicates()
    problems = [
        build_cell_error(
            f"{folder / 'scores.csv'}", line=int(str(line)), column="benchmark",
            said=f"'{name}' is not a bundled benchmark, and {folder} has no benchmarks.csv."
            f"{suggest(name, bundled['benchmark'])}",
            mend=f"Allowed: {listing(bundled['benchmark'])}. Correct the name, or add "
            "benchmarks.csv with the columns benchmark, task_family and metric.",
        )
        for line, name in names[~names.isin(bundled["benchmark"])].items()
    ]  # fmt: skip
    return bundled.loc[bundled["benchmark"].isin(scores["benchmark"])], problems


def _complete(own: pd.DataFrame) -> pd.DataFrame:
    """Fill in labels and directions that a table of benchmarks leaves out."""
    better = dict(zip(*BENCHMARK_VOCABULARY.values(), strict=True))
    usual = pd.Series([better.get(unit) for unit in own["metric"]], own.index, dtype="str")
    return own.assign(
        label=own["label"].fillna(own["benchmark"]), direction=own["direction"].fillna(usual)
    )


def _read_experiments(folder: Path, *, source: str) -> Experiments:
    """Read the tables of a folder, check them, and keep the benchmarks that have results."""
    arms = read_table(folder / "arms.csv", table="arms")
    path = folder / "studies.csv"
    studies = read_table(path, table="studies") if path.is_file() else None
    validate_arms(arms, studies=studies, folder=str(folder))
    arms = fill_from_group(arms)
    if studies is None:
        names = pd.DataFrame({"study": arms["study"].unique()})
        studies = parse_frame(names.reindex(columns=column_names("studies")), table="studies")
    results = read_table(folder / "results.csv", table="results")
    known = [known_benchmarks()]
    if (folder / "benchmarks.csv").is_file() and folder != bundled_folder() / "experiments":
        own = read_table(folder / "benchmarks.csv", table="experiment_benchmarks")
        validate_rows(own, table="experiment_benchmarks", file=str(folder / "benchmarks.csv"))
        known.insert(0, _complete(own))
    benchmarks = pd.concat(known).drop_duplicates("benchmark")
    validate_results(results, arms=arms, benchmarks=benchmarks, folder=str(folder))
    used = benchmarks["benchmark"].isin(results["benchmark"])
    tables = (studies, arms, results, benchmarks[used])
    return Experiments(*(table.reset_index(drop=True) for table in tables), source=source)


def _finish(
    lms: pd.DataFrame,
    scores: pd.DataFrame,
    benchmarks: pd.DataFrame,
    generations: pd.DataFrame | None,
    *,
    version: str,
    source: str,
) -> Dataset:
    """Leave out rows without a score and number the rows from 0."""
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
