"""Tables from foreign formats: a clone of the public database behind the paper.

The rules port the aggregation of the code of "Not-Just-Scaling Laws"
(https://doi.org/10.48550/arXiv.2503.03862), so that `as-published` scores are what it analyses.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from os import PathLike
from pathlib import Path
from typing import Any

import pandas as pd

from bayesmeta.data.csv_tables import build_cell_error, format_table, read_table
from bayesmeta.data.load import bundled_folder
from bayesmeta.data.schema import COLUMNS
from bayesmeta.data.vocabulary import LM_VOCABULARY
from bayesmeta.errors import DataError, listing
from bayesmeta.whole_files import write_text

CURATED = ("lm", "lm_family", "developer", "released", "derived_from")
"""Columns of lms.csv that upstream does not have."""

WORDS: dict[str, tuple[str, dict[str, str]]] = {
    "position_embedding": ("positional_embeddings", {"rope": "rotary"}),
    "norm": ("layer_norm_type", {"parametric": "layernorm", "non-parametric": "nonparametric"}),
    "attention": ("attention_variant", {"full": "mha", "local,full": "mha_local"}),
    "biases": ("biases", {}),
    "block": ("block_type", {}),
    "activation": ("activation", {}),
    "weight_tying": ("weight_tying", {"true": "tied", "false": "untied"}),
}
"""Our column, the upstream one, and the upstream words that are spelt differently here."""

NUMBERS = {
    "n_params": "total_params",
    "context_length": "sequence_length",
    "mlp_ratio": "mlp_ratio",
    "d_model": "dimension",
    "n_heads": "num_heads",
}

SHARE_PREFIX = "pretraining_summary_percentage_"
TOKENS = "pretraining_summary_total_tokens_billions"

GENERATION = {
    **{f"generated_{word}_share": f"domain_{word}_pct_mean"
       for word in ("web", "code", "books", "reference", "academic")},
    "generated_specific_share": "domain_specific_datasets_pct_mean",
    "generated_english_share": "pct_english_mean",
    "question_ratio": "question_words_ratio",
    "imperative_ratio": "imperative_verbs_ratio",
    "conjunction_ratio": "conjunctions_ratio",
    "instruction_ratio": "instructions_words_ratio",
    "number_ratio": "numbers_ratio",
}  # fmt: skip

LEADERBOARD = ("arc:challenge", "hendrycksTest-", "truthfulqa:mc")
"""How names of runs of the Open LLM Leaderboard begin."""

SNAPSHOT = "2025_03_03.duckdb"
"""The folder of the snapshot that the paper analyses; a clone holds older ones too."""

UPSTREAM_FILES = (
    ("model_annotations.csv",),
    ("dataset_info.csv",),
    ("evaluation_results.csv",),
    ("generation_features.csv", "all_models_feature_stats_3_03_with_ratios.csv"),
)
"""The four files, with other names that they go by."""

EVALUATION_COLUMNS = ("id", "benchmark", "setting", "metric", "metric_value", "metric_stderr")


def import_upstream(
    folder: str | PathLike[str], *, out: str | PathLike[str], lms: Sequence[str] | None = None
) -> dict[str, int]:
    """Rebuild a dataset folder from a clone of the public database.

    Parameters
    ----------
    folder
        Holds model_annotations.csv, dataset_info.csv, evaluation_results.csv and
        generation_features.csv, at any depth.
    out
        The folder to write: lms.csv, scores.csv, generation.csv as published, and the bundled
        benchmarks.csv and corrections.csv. Nothing is written unless everything was read.
    lms
        Import only these LMs of the bundled ones; all of them by default.

    Returns
    -------
    dict of str to int
        The number of rows of every table written.

    Raises
    ------
    DataError
        If a file, a column or an LM is missing, or if a word is not known.

    Examples
    --------
    >>> import_upstream(getfixture("tmp_path"), out="unused")
    Traceback (most recent call last):
    bayesmeta.errors.DataError: model_annotations.csv is nowhere below ...
    """
    folder, out = Path(folder), Path(out)
    paths = [_find(folder, *names) for names in UPSTREAM_FILES]
    bundle = bundled_folder()
    tables = {
        name: read_table(bundle / f"{name}.csv", table=name)
        for name in ("lms", "benchmarks", "corrections")
    }
    curated = tables["lms"].reset_index(drop=True).loc[:, list(CURATED)]
    if lms is not None:
        curated = curated.loc[curated["lm"].isin(lms)].reset_index(drop=True)
        rows = tables["corrections"]
        tables["corrections"] = rows.loc[rows["lm"].isin(lms)]
    tables["lms"] = _build_lms(curated, annotations=paths[0], datasets=paths[1])
    n_items: Any = tables["benchmarks"].set_index("benchmark")["n_items"].to_dict()
    tables["scores"] = _build_scores(curated["lm"], evaluations=paths[2], n_items=n_items)
    tables["generation"] = _build_generation(curated["lm"], features=paths[3])
    texts = {name: format_table(frame, table=name) for name, frame in tables.items()}
    out.mkdir(parents=True, exist_ok=True)
    for name, text in texts.items():
        write_text(out / f"{name}.csv", text=text)
    return {name: len(frame) for name, frame in tables.items()}


def _find(folder: Path, *names: str) -> Path:
    """Find the one file of this name below a folder, the snapshot's where there are several."""
    found = sorted(path for name in names for path in folder.rglob(name))
    found = [path for path in found if path.parent.name == SNAPSHOT] or found
    if len(found) == 1:
        return found[0]
    state = f"stands {len(found)} times below" if found else "is nowhere below"
    raise DataError(
        f"{names[0]} {state} {folder}. Needed: exactly one, or one in a folder {SNAPSHOT}. Give "
        "the folder of a clone of the public database, or of one snapshot in it."
    )


def _read_upstream(path: Path, *, columns: Sequence[str], ids: Sequence[str]) -> pd.DataFrame:
    """Read texts of an upstream table by id; its index holds line numbers."""
    frame = pd.read_csv(path, dtype="str", keep_default_na=False)
    for name in columns:
        if name not in frame.columns:
            raise DataError(
                f"{path}, line 1: column '{name}' is missing. Needed: {listing(columns)}. This "
                "is another layout than the snapshot of March 2025; use that one."
            )
    frame.index = pd.RangeIndex(2, len(frame) + 2, name="line")
    return frame.loc[frame["id"].isin(ids), list(columns)]


def _by_id(path: Path, *, columns: Sequence[str], ids: Sequence[str]) -> pd.DataFrame:
    """Read one upstream row per LM, in the order of the LMs."""
    frame = _read_upstream(path, columns=("id", *columns), ids=ids)
    missing = [lm for lm in ids if lm not in set(frame["id"])]
    if missing:
        raise DataError(
            f"{path}, column 'id': no row for {listing(missing[:5])}"
            f"{' and others' if len(missing) > 5 else ''}. Needed: a row for every lm that is "
            "imported. Use the snapshot of March 2025, or import fewer LMs."
        )
    lines = frame.index.to_series().set_axis(frame["id"])
    return frame.assign(line=lines.to_numpy()).set_index("id").loc[list(ids)]


def _build_lms(curated: pd.DataFrame, *, annotations: Path, datasets: Path) -> pd.DataFrame:
    """Put curated columns and renamed upstream facts together."""
    ids = curated["lm"].tolist()
    upstream = [name for name, _ in WORDS.values()] + list(NUMBERS.values())
    facts = _by_id(annotations, columns=upstream, ids=ids)
    shares = {
        f"{word}_share": f"{SHARE_PREFIX}{word}"
        for word in ("code", "web", "books", "reference", "academic", "english")
    }
    mixes = _by_id(datasets, columns=[TOKENS, *shares.values()], ids=ids)
    built = {name: curated[name].tolist() for name in CURATED}
    built |= {name: _rename(facts, name, file=str(annotations)) for name in WORDS}
    built |= {ours: [_plain(cell) for cell in facts[theirs]] for ours, theirs in NUMBERS.items()}
    built |= {ours: [_plain(cell) for cell in mixes[theirs]] for ours, theirs in shares.items()}
    built["n_tokens"] = [str(round(Decimal(cell) * 10**9)) for cell in mixes[TOKENS]]
    columns = (column.name for column in COLUMNS["lms"] if column.name in built)
    return pd.DataFrame({name: built[name] for name in columns})


def _rename(facts: pd.DataFrame, name: str, *, file: str) -> list[str]:
    """Translate the words of one upstream column."""
    theirs, words = WORDS[name]
    out = []
    for line, cell in zip(facts["line"], facts[theirs], strict=True):
        word = words.get(cell.lower(), cell)
        if word and word not in LM_VOCABULARY[name]:
            raise build_cell_error(
                file, line=line, column=theirs, said=f"'{cell}' is not a known word.",
                mend=f"Known: {listing(words)}, {listing(LM_VOCABULARY[name])}. Use the snapshot "
                "of March 2025.",
            )  # fmt: skip
        out.append(word)
    return out


def _plain(cell: str) -> str:
    """Write a number in its shortest form; -1 is upstream's second code for missing."""
    if cell in ("", "-1", "-1.0"):
        return ""
    value = float(cell)
    return str(int(value)) if value == int(value) else repr(value)


def _build_scores(lms: pd.Series, *, evaluations: Path, n_items: dict[str, float]) -> pd.DataFrame:
    """Aggregate upstream rows to one score per LM and benchmark."""
    frame = _read_upstream(evaluations, columns=EVALUATION_COLUMNS, ids=lms.tolist())
    for name in ("metric_value", "metric_stderr"):
        frame[name] = [float(cell) if cell else math.nan for cell in frame[name]]
    frame["run"] = frame["benchmark"]
    names = frame["benchmark"].str.replace("hendrycksTest-", "mmlu_", regex=False)
    frame["benchmark"] = names.replace("arc:challenge", "arc_challenge")
    lost = frame["run"] == "truthfulqa:mc"
    frame.loc[lost, "benchmark"] = "truthfulqa_" + frame.loc[lost, "metric"]
    frame = frame.drop_duplicates(["id", "benchmark", "setting", "metric"], keep="first")
    rows = []
    for lm, own in frame.groupby("id"):
        for benchmark, recipe in RECIPES.items():
            score, se, source = _score(own, benchmark, recipe, n_items=n_items[benchmark])
            if not (math.isnan(score) and math.isnan(se)):
                rows.append((lm, benchmark, score, se, source))
    columns = [column.name for column in COLUMNS["scores"]]
    return pd.DataFrame(rows, columns=columns).sort_values(["lm", "benchmark"], ignore_index=True)


def _score(
    own: pd.DataFrame, benchmark: str, recipe: Recipe, *, n_items: float
) -> tuple[float, float, str]:
    """Give score, standard error and source of one LM on one benchmark."""
    parts, lost = recipe.find(own), False
    if benchmark == "truthfulqa" and parts.empty:
        # The paper's query asks for the metric "accuracy", so it drops leaderboard runs, whose
        # metrics are called mc1 and mc2. The score stays blank; its standard error is known.
        parts, lost = own.loc[own["run"] == "truthfulqa:mc"].sort_values("metric"), True
    if parts.empty:
        return math.nan, math.nan, ""
    values = parts["metric_value"].tolist()
    errors = [
        error
        if error > 0 or recipe.metric != "accuracy"
        else _agresti_coull_se(value, n_items=n_items)
        for value, error in zip(values, parts["metric_stderr"], strict=True)
    ]
    if not recipe.recorded:
        source = "not_recorded"
    else:
        board = parts["run"].str.startswith(LEADERBOARD).any()
        source = "open_llm_leaderboard" if board else "authors_run"
    return math.nan if lost else _mean_of_known(values), recipe.se(errors), source


def _mean_of_known(values: Sequence[float]) -> float:
    """Average the values that are no NaN with one rounding, so that it is the same everywhere."""
    known = [value for value in values if not math.isnan(value)]
    return math.fsum(known) / len(known) if known else math.nan


def _propagate(errors: Sequence[float]) -> float:
    """Give the standard error of a mean of independent parts."""
    return math.sqrt(math.fsum(error**2 for error in errors)) / len(errors)


def _first(errors: Sequence[float]) -> float:
    return errors[0]


@dataclass(frozen=True, slots=True)
class Recipe:
    """How one benchmark setting comes from upstream rows.

    Parameters
    ----------
    setting, metric
        The number of shots, and the metric, as upstream writes them.
    parts
        The standardised names of the rows; one that ends in `_` stands for all that begin so.
    se
        From the standard errors of the parts to the one of the score.
    recorded
        Whether upstream tells the authors' runs from the leaderboard's.
    """

    setting: str
    parts: tuple[str, ...]
    se: Callable[[Sequence[float]], float] = _first
    metric: str = "accuracy"
    recorded: bool = True

    def find(self, rows: pd.DataFrame) -> pd.DataFrame:
        """Pick the rows of the parts, in the order of the parts."""
        rows = rows.loc[(rows["setting"] == self.setting) & (rows["metric"] == self.metric)]
        if self.parts[0].endswith("_"):
            return rows.loc[rows["benchmark"].str.startswith(self.parts)]
        return pd.concat([rows.loc[rows["benchmark"] == name] for name in self.parts])


RECIPES: dict[str, Recipe] = {
    "anli": Recipe("0-shot", ("anli_",), metric="brier_score"),
    "arc_challenge": Recipe("25-shot", ("arc_challenge",)),
    "gsm8k": Recipe("5-shot", ("gsm8k", "gsm8k_cot"), recorded=False),
    "hellaswag": Recipe("10-shot", ("hellaswag",), recorded=False),
    "humaneval": Recipe("0-shot", ("humaneval",)),
    "lambada": Recipe("0-shot", ("lambada_openai", "lambada_standard"), _mean_of_known),
    "logiqa2": Recipe("0-shot", ("logiqa2",), metric="brier_score"),
    "mathqa": Recipe("0-shot", ("mathqa",), metric="brier_score"),
    "mmlu_0shot": Recipe("0-shot", ("mmlu_",), _propagate),
    "mmlu_5shot": Recipe("5-shot", ("mmlu_",), _propagate),
    "truthfulqa": Recipe("0-shot", ("truthfulqa_mc1", "truthfulqa_mc2"), _mean_of_known),
    "winogrande": Recipe("5-shot", ("winogrande",), recorded=False),
    "xnli": Recipe("0-shot", ("xnli_",), metric="brier_score"),
}


def _agresti_coull_se(value: float, *, n_items: float) -> float:
    """Give a standard error of a proportion that is above 0 even where the proportion is 0.

    Two successes and two failures are added (https://doi.org/10.1080/00031305.1998.10480550).
    """
    n = n_items + 4
    centre = (value * n_items + 2) / n
    return math.sqrt(centre * (1 - centre) / n)


def _build_generation(lms: pd.Series, *, features: Path) -> pd.DataFrame:
    """Pick the used statistics of free generations."""
    ids = lms.tolist()
    frame = _read_upstream(features, columns=("id", *GENERATION.values()), ids=ids)
    frame = frame.drop_duplicates("id").set_index("id")
    frame = frame.loc[[lm for lm in ids if lm in frame.index]]
    built = {ours: [_plain(cell) for cell in frame[theirs]] for ours, theirs in GENERATION.items()}
    return pd.DataFrame({"lm": frame.index.tolist(), **built})
