"""The bundled tables hold what the paper analyses, and what the audit made of it."""

import math
import re
import subprocess
import sys

import numpy as np
import pandas as pd
import pandas.testing as pdt
import pytest

from bayesmeta.data.checks import validate_tables
from bayesmeta.data.csv_tables import format_table, read_table
from bayesmeta.data.dataset import count_stages
from bayesmeta.data.load import bundled_folder, load_corrections, load_dataset, load_generation
from bayesmeta.data.schema import COLUMNS
from bayesmeta.data.vocabulary import LM_VOCABULARY, MIX_COLUMNS
from bayesmeta.errors import DataError

# Words that occur only in the facts as published; the corrections replace them all.
PUBLISHED_WORDS = {
    "attention": ("mha_local",),
    "biases": ("attn_only", "some"),
    "activation": ("silu", "gelu_new", "gelu_fast"),
}
EVERYWHERE = ("arc_challenge", "gsm8k", "hellaswag", "lambada", "mmlu_0shot", "mmlu_5shot")
BRIER = ("anli", "logiqa2", "mathqa", "xnli")
PAPER_COUNTS = {
    **dict.fromkeys((*EVERYWHERE, "winogrande"), 92),
    **dict.fromkeys(BRIER, 81),
    "humaneval": 91,
    "truthfulqa": 69,
}
CORRECTED_COUNTS = {
    "anli": 79, "arc_challenge": 91, "gsm8k": 89, "hellaswag": 91, "humaneval": 73,
    "lambada": 90, "logiqa2": 79, "mathqa": 79, "mmlu_0shot": 86, "mmlu_5shot": 89,
    "truthfulqa": 91, "winogrande": 89, "xnli": 79,
}  # fmt: skip
LEVELS = {
    "position_embedding": {"rotary": 71, "learned": 12, "alibi": 5, "sinusoidal": 4},
    "norm": {"layernorm": 58, "rmsnorm": 33, "nonparametric": 1},
    "attention": {"mha": 72, "gqa": 19, "mqa": 1},
    "block": {"sequential": 59, "parallel": 33},
    "activation": {"gelu": 52, "swiglu": 33, "relu": 4, "geglu": 3},
    "weight_tying": {"untied": 62, "tied": 30},
    "biases": {"all": 40, "none": 27, "no_attn": 12, "qkv_only": 9, "no_qkv": 3, "ln_only": 1},
}


@pytest.mark.parametrize(
    "version, counts", [("as-published", PAPER_COUNTS), ("corrected", CORRECTED_COUNTS)]
)
def test_counts(version, counts):
    data = load_dataset(version=version)
    assert data.counts().to_dict() == counts
    assert len(data.lms) == 92
    assert data.scores["score"].notna().all()


@pytest.mark.parametrize("column", LEVELS)
def test_corrected_levels(column):
    assert load_dataset().lms[column].value_counts().to_dict() == LEVELS[column]


def test_families_and_dates():
    lms = load_dataset().lms
    assert lms["lm_family"].nunique() == 33
    assert set(lms.loc[lms["released"].isna(), "lm_family"]) == {"llama2-220M"}


def test_published_words_are_all_corrected():
    published, corrected = load_dataset(version="as-published").lms, load_dataset().lms
    for column, words in PUBLISHED_WORDS.items():
        assert set(words) <= set(LM_VOCABULARY[column])
        assert set(words) <= set(published[column])
        assert not set(words) & set(corrected[column])


def test_corrected_tables_are_valid():
    data = load_dataset()
    rows = read_table(bundled_folder() / "scores.csv", table="scores")
    blank = rows[rows["lm"] == "LLM360/CrystalCoder"].assign(score=np.nan)
    scores = pd.concat([data.scores, blank], ignore_index=True)
    validate_tables(data.lms, scores, data.benchmarks)
    assert (data.lms[list(MIX_COLUMNS)].sum(axis="columns") <= 100.01).all()


def test_corrections_are_explained_and_change_something():
    rows = load_corrections()
    assert rows[["reason", "source", "confidence"]].notna().all(axis=None)
    assert not rows.duplicated(["lm", "field"]).any()
    same = rows["published_value"].fillna("") == rows["corrected_value"].fillna("")
    kept = rows[same].assign(doubtful=rows["confidence"] == "C")
    for doubtful, why in ((True, "kept, doubtful"), (False, "kept, checked")):
        assert kept.loc[kept["doubtful"] == doubtful, "reason"].str.startswith(why).all()
    assert set(kept.loc[~kept["doubtful"], "field"]) <= {"derived_from"}
    dropped = rows["field"].str.startswith("score:") & rows["corrected_value"].isna()
    assert dropped.sum() == 46


def test_arithmetic_of_reasons_is_right():
    """Every `a x b / c = d` in a reason holds, and the last one gives the corrected value."""
    rows = load_corrections()
    formula = re.compile(r"([\d(][\d.,()+x/ -]*) = ([\d.,]*\d)")
    found = rows["reason"].str.extractall(formula)
    assert found.groupby(level=0).ngroups > 60
    for position, equations in found.groupby(level=0):
        for left, right in equations.itertuples(index=False):
            shown = float(right.replace(",", ""))
            step = 10.0 ** -len(right.partition(".")[2])
            value = pd.eval(left.replace(",", "").replace("x", "*"))
            assert abs(value - shown) <= (0.5 + 1e-6) * step, (left, right)
        assert shown == float(rows.loc[position, "corrected_value"])


def test_stages_and_repetition():
    data = load_dataset()
    lms = data.lms.set_index("lm").assign(n_stages=count_stages(data.lms).to_numpy())
    assert lms["n_epochs"].notna().sum() == 62
    assert lms["n_stages"].value_counts().to_dict() == {0: 81, 1: 7, 2: 4}
    assert set(lms.index[lms["n_stages"] == 2]) == {
        f"Salesforce/codegen-{size}-mono" for size in ("350M", "2B", "6B", "16B")
    }
    continued = lms["derived_from"].str.partition(";")[0].dropna()
    continued = continued[continued.isin(lms.index)]
    assert len(continued) == 9
    assert (lms.loc[continued.index, "n_tokens"] >= lms.loc[continued, "n_tokens"].to_numpy()).all()
    # Different tokens that one family read are as many, however long it read them.
    smol = lms[lms["lm_family"] == "smollm"]
    assert np.allclose(smol["n_tokens"] / smol["n_epochs"], 252e9, rtol=1e-3)
    published = load_dataset(version="as-published").lms
    assert published["n_epochs"].isna().all()


def test_tokens_and_code_of_codegen_are_of_all_stages():
    """Against steps and batches of the paper (arXiv 2203.13474), in sequences of 2,048 tokens."""
    lms = load_dataset().lms.set_index("lm")
    sequences = {"350M": 256, "2B": 512, "6B": 512, "16B": 1024}
    rows = lms[lms["lm_family"] == "codegen"]
    assert len(rows) == 11
    for lm, row in rows.iterrows():
        size, stage = str(lm).removeprefix("Salesforce/codegen-").split("-")
        code_steps = {"nl": 0, "multi": 150_000, "mono": 300_000}[stage]
        steps = 350_000 + code_steps
        assert row["n_tokens"] == steps * sequences[size] * 2048
        text = 350_000 / steps  # the part read from the Pile, whose code share is 8 percent
        assert math.isclose(row["code_share"], 100 - 92 * text, abs_tol=0.005)
        for name, share in (("web", 37), ("books", 15), ("reference", 12), ("academic", 28)):
            assert math.isclose(row[f"{name}_share"], share * text, abs_tol=0.005)


def test_files_are_in_canonical_form():
    for name in ("lms", "scores", "benchmarks", "corrections", "generation"):
        path = bundled_folder() / f"{name}.csv"
        assert format_table(read_table(path, table=name), table=name) == path.read_text()
        header = path.read_text().split("\n", 1)[0].split(",")
        assert header == [column.name for column in COLUMNS[name] if not column.left_out]


def test_rows_are_sorted():
    scores = read_table(bundled_folder() / "scores.csv", table="scores")
    pdt.assert_frame_equal(scores, scores.sort_values(["lm", "benchmark"]))
    assert load_dataset().lms["lm"].is_monotonic_increasing


def test_dtypes_and_index():
    data = load_dataset()
    assert data.lms.index.equals(pd.RangeIndex(92))
    assert data.scores.index.equals(pd.RangeIndex(len(data.scores)))
    assert data.lms["n_params"].dtype == data.lms["n_tokens"].dtype == "int64"
    assert data.scores.dtypes.astype(str).tolist() == ["str", "str", "float64", "float64", "str"]
    assert data.lms["code_share"].dtype == "float64"


def test_checksum_follows_the_content():
    data = load_dataset()
    assert data.checksum == load_dataset().checksum != load_dataset(version="as-published").checksum
    data.scores.loc[0, "score"] += 1e-12
    assert data.checksum != load_dataset().checksum


def test_generation():
    frame = load_generation()
    assert len(frame) == 89
    assert set(frame["lm"]) <= set(load_dataset().lms["lm"])
    frame = frame.set_index("lm")
    domains = frame.filter(regex="web|code|books|reference|academic|specific").dropna()
    total = domains.sum(axis="columns")
    assert total.index[total < 98].tolist() == ["EleutherAI/pythia-14m"]  # none classified
    assert total.max() < 100.001


def test_unknown_version():
    with pytest.raises(DataError, match=r"'as_published'.*Did you mean 'as-published'.*corrected"):
        load_dataset(version="as_published")


def test_loading_imports_nothing_heavy():
    code = (
        "import sys; from bayesmeta.data.load import load_dataset; load_dataset();"
        "print(sorted({'arviz', 'pymc', 'matplotlib'} & set(sys.modules)))"
    )
    where = bundled_folder().parent
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=where, check=False
    )
    assert done.stdout.strip() == "[]", done.stderr


def test_scores_equal_the_audit(audited):
    audit = pd.read_csv(audited / "scores_audited.csv").query("role == 'primary'")
    shots = "mmlu_" + audit["setting"].str[0] + "shot"
    audit = audit.assign(benchmark=audit["benchmark"].mask(audit["benchmark"] == "mmlu", shots))
    audit = audit.set_index(["model", "benchmark"]).sort_index()
    kept = audit["score"].where(audit["flag"].isna())
    for version, truth in (("as-published", audit["paper_value"]), ("corrected", kept)):
        scores = load_dataset(version=version).scores.set_index(["lm", "benchmark"])
        truth = truth.dropna().rename_axis(["lm", "benchmark"])
        pdt.assert_series_equal(scores["score"], truth, check_names=False, rtol=0, atol=1e-12)
        # One of 57 subjects of one lm reports a rounded standard error.
        error = audit["stderr"].loc[truth.index].rename_axis(["lm", "benchmark"])
        pdt.assert_series_equal(scores["se"], error, check_names=False, rtol=0, atol=2e-6)


def test_corrected_facts_equal_the_audit(audited):
    audit = pd.read_csv(audited / "lms_audited.csv").set_index("model").sort_index()
    lms = load_dataset().lms.set_index("lm")
    same = {"norm": "layer_norm_type", "attention": "attention_variant", "biases": "biases",
            "block": "block_type", "activation": "activation", "n_params": "params",
            "mlp_ratio": "mlp_ratio", "context_length": "seq_len", "d_model": "d_model",
            "n_heads": "n_heads", "english_share": "pct_english"}  # fmt: skip
    for ours, theirs in same.items():
        pdt.assert_series_equal(lms[ours], audit[theirs], check_names=False, check_dtype=False)
    # The audit kept CodeGen's sizes of corpora, with doubt; here stand the tokens seen.
    codegen = lms.index[lms["lm_family"] == "codegen"]
    for column in MIX_COLUMNS:
        # Its shares summed to 103 and are rescaled here.
        other = [*codegen, "aisingapore/sea-lion-7b"]
        theirs = audit[f"pct_{column.removesuffix('_share')}"]
        pdt.assert_series_equal(lms[column].drop(other), theirs.drop(other), check_names=False)
    assert (lms["position_embedding"].replace("rotary", "rope")
            == audit["positional_embeddings"]).all()  # fmt: skip
    assert ((lms["weight_tying"] == "tied") == audit["weight_tying"]).all()
    tokens = audit["tokens_b"].drop(codegen) * 1e9
    assert np.allclose(lms["n_tokens"].drop(codegen), tokens, rtol=1e-12)
    assert math.isclose(lms.loc["EleutherAI/pythia-14m", "n_tokens"], 299.89e9)
