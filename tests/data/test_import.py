"""The importer follows the aggregation of the paper's code, rule by rule."""

import math

import pytest

from bayesmeta.data.csv_tables import read_table
from bayesmeta.data.load import bundled_folder
from bayesmeta.errors import DataError
from bayesmeta.importers.public_database import (
    GENERATION,
    NUMBERS,
    SHARE_PREFIX,
    TOKENS,
    WORDS,
    import_upstream,
)

OWN, BOARD = "EleutherAI/gpt-neo-125m", "openlm-research/open_llama_7b"
LMS = (OWN, BOARD)
SHARES = ("code", "web", "books", "reference", "academic", "english")

ANNOTATIONS = {
    "positional_embeddings": "rope", "layer_norm_type": "non-parametric",
    "attention_variant": "local,full", "biases": "", "block_type": "parallel",
    "activation": "silu", "weight_tying": "true", "total_params": "125198592",
    "sequence_length": "2048.0", "mlp_ratio": "-1", "dimension": "768", "num_heads": "12",
}  # fmt: skip

ROWS = f"""
id,benchmark,setting,metric,metric_value,metric_stderr
{OWN},arc_challenge,25-shot,accuracy,0.3,0.01
{OWN},arc:challenge,25-shot,accuracy,0.4,0.02
{OWN},arc_challenge,25-shot,acc_norm,0.5,0.01
{OWN},arc_challenge,0-shot,accuracy,0.9,0.01
{OWN},gsm8k,5-shot,accuracy,0.1,0.008
{OWN},gsm8k_cot,5-shot,accuracy,0.2,0.009
{OWN},gsm8k_cot,0-shot,accuracy,0.9,0.009
{OWN},lambada_standard,0-shot,accuracy,0.5,0.004
{OWN},lambada_openai,0-shot,accuracy,0.6,0.008
{OWN},humaneval,0-shot,accuracy,0.0,
{OWN},truthfulqa_mc1,0-shot,accuracy,0.2,0.014
{OWN},truthfulqa_mc2,0-shot,accuracy,0.4,0.016
{OWN},truthfulqa:mc,0-shot,mc1,0.9,0.5
{OWN},mmlu_law,0-shot,accuracy,0.25,0.03
{OWN},mmlu_art,0-shot,accuracy,0.75,0.04
{OWN},hendrycksTest-law,5-shot,accuracy,0.35,0.06
{OWN},hendrycksTest-art,5-shot,accuracy,0.45,0.08
{OWN},mmlu_law,5-shot,accuracy,0.95,0.06
{OWN},anli_r1,0-shot,brier_score,0.7,
{OWN},anli_r2,0-shot,brier_score,0.8,
{OWN},anli_r3,0-shot,brier_score,0.9,
{OWN},xnli_de,0-shot,brier_score,0.7,
{OWN},xnli_eu,0-shot,brier_score,1.1,
{OWN},mathqa,0-shot,brier_score,0.9,
{OWN},mathqa,0-shot,accuracy,0.2,0.01
{OWN},logiqa2,0-shot,brier_score,,
{OWN},winogrande,5-shot,accuracy,0.5,0.014
{OWN},drop,3-shot,accuracy,0.1,0.01
{BOARD},arc:challenge,25-shot,accuracy,0.45,0.014
{BOARD},gsm8k,5-shot,accuracy,0.0,0.0
{BOARD},truthfulqa:mc,0-shot,mc1,0.2,0.01
{BOARD},truthfulqa:mc,0-shot,mc2,0.3,0.02
"""
"""Of several rows of a setting the first is kept; a run without a value has failed."""

EXPECTED = {
    (OWN, "arc_challenge"): (0.30, 0.010, "authors_run"),
    (OWN, "gsm8k"): (0.15, 0.008, "not_recorded"),
    (OWN, "lambada"): (0.55, 0.006, "authors_run"),
    # 0 of 164 with two successes and two failures added: 2 of 168
    (OWN, "humaneval"): (0.0, math.sqrt(2 / 168 * 166 / 168 / 168), "authors_run"),
    (OWN, "truthfulqa"): (0.30, 0.015, "authors_run"),
    (OWN, "mmlu_0shot"): (0.50, 0.025, "authors_run"),
    (OWN, "mmlu_5shot"): (0.40, 0.050, "open_llm_leaderboard"),
    (OWN, "anli"): (0.8, math.nan, "authors_run"),
    (OWN, "xnli"): (0.9, math.nan, "authors_run"),
    (OWN, "mathqa"): (0.9, math.nan, "authors_run"),
    (OWN, "winogrande"): (0.5, 0.014, "not_recorded"),
    (BOARD, "arc_challenge"): (0.45, 0.014, "open_llm_leaderboard"),
    (BOARD, "gsm8k"): (0.0, math.sqrt(2 / 1323 * 1321 / 1323 / 1323), "not_recorded"),
    (BOARD, "truthfulqa"): (math.nan, 0.015, "open_llm_leaderboard"),
}


@pytest.fixture
def clone(tmp_path):
    """A tiny clone of the public database, with an older snapshot beside the wanted one."""
    folder = tmp_path / "clone" / "metadata" / "2025_03_03.duckdb"
    folder.mkdir(parents=True)
    quoted = [f'"{value}"' for value in ANNOTATIONS.values()]
    rows = [",".join([lm, *quoted]) for lm in LMS]
    text = "\n".join([",".join(["id", *ANNOTATIONS]), *rows])
    (folder / "model_annotations.csv").write_text(text)
    old = folder.with_name("2024_11_12.duckdb")
    old.mkdir()
    (old / "model_annotations.csv").write_text("id\n")
    header = ["id", TOKENS, *(SHARE_PREFIX + word for word in SHARES)]
    rows = [f"{lm},299.89,8,37.5,15,12,-1," for lm in LMS]
    (folder / "dataset_info.csv").write_text("\n".join([",".join(header), *rows]))
    (folder / "evaluation_results.csv").write_text(ROWS.strip())
    rows = [",".join([OWN, *(str(i + 0.5) for i in range(len(GENERATION)))])]
    text = "\n".join([",".join(["id", *GENERATION.values()]), *rows])
    (tmp_path / "clone" / "generation_features.csv").write_text(text)
    return tmp_path / "clone"


def test_scores(clone, tmp_path):
    counts = import_upstream(clone, out=tmp_path / "out", lms=LMS)
    assert counts["scores"] == len(EXPECTED)
    scores = read_table(tmp_path / "out" / "scores.csv", table="scores")
    scores = scores.set_index(["lm", "benchmark"])
    assert set(scores.index) == set(EXPECTED)
    for pair, (score, se, source) in EXPECTED.items():
        row = scores.loc[pair]
        assert row["score"] == pytest.approx(score, nan_ok=True), pair
        assert row["se"] == pytest.approx(se, rel=1e-6, nan_ok=True), pair
        assert row["source"] == source, pair


def test_facts(clone, tmp_path):
    import_upstream(clone, out=tmp_path / "out", lms=LMS)
    lm = read_table(tmp_path / "out" / "lms.csv", table="lms").set_index("lm").loc[OWN]
    words = ["rotary", "nonparametric", "mha_local", "parallel", "silu", "tied"]
    names = ["position_embedding", "norm", "attention", "block", "activation", "weight_tying"]
    assert lm[names].tolist() == words
    assert lm[["biases", "mlp_ratio", "academic_share", "english_share"]].isna().all()
    assert lm[["n_params", "n_tokens"]].tolist() == [125198592, 299_890_000_000]
    assert lm[["context_length", "d_model", "n_heads"]].tolist() == [2048, 768, 12]
    assert lm[["code_share", "web_share"]].tolist() == [8, 37.5]
    assert lm[["lm_family", "developer"]].tolist() == ["gpt-neo", "EleutherAI"]


def test_generation_and_copies(clone, tmp_path):
    counts = import_upstream(clone, out=tmp_path / "out", lms=LMS)
    frame = read_table(tmp_path / "out" / "generation.csv", table="generation")
    assert frame["lm"].tolist() == [OWN]
    assert frame["generated_web_share"].tolist() == [0.5]
    assert counts["generation"] == 1
    benchmarks = (tmp_path / "out" / "benchmarks.csv").read_bytes()
    assert benchmarks == (bundled_folder() / "benchmarks.csv").read_bytes()
    rows = read_table(tmp_path / "out" / "corrections.csv", table="corrections")
    assert set(rows["lm"]) == set(LMS)


def test_missing_file_is_named(clone, tmp_path):
    (clone / "generation_features.csv").unlink()
    with pytest.raises(DataError, match=r"generation_features\.csv is nowhere below"):
        import_upstream(clone, out=tmp_path / "out", lms=LMS)
    assert not (tmp_path / "out").exists()


def test_missing_lm_is_named(clone, tmp_path):
    with pytest.raises(DataError, match=r"column 'id': no row for 01-ai/Yi-34B, .* and others"):
        import_upstream(clone, out=tmp_path / "out")


def test_unknown_word_and_missing_column(clone, tmp_path):
    path = next(clone.rglob("2025*/model_annotations.csv"))
    text = path.read_text()
    path.write_text(text.replace("rope", "spiral"))
    with pytest.raises(DataError, match=r"line 2, column 'positional_embeddings': 'spiral'.*rope"):
        import_upstream(clone, out=tmp_path / "out", lms=LMS)
    path.write_text(text.replace("positional_embeddings", "positions"))
    with pytest.raises(DataError, match=r"line 1: column 'positional_embeddings' is missing"):
        import_upstream(clone, out=tmp_path / "out", lms=LMS)


def test_twice_is_ambiguous(clone, tmp_path):
    (clone / "copy").mkdir()
    (clone / "copy" / "generation_features.csv").write_text("id\n")
    with pytest.raises(DataError, match=r"generation_features\.csv stands 2 times below"):
        import_upstream(clone, out=tmp_path / "out", lms=LMS)


def test_every_upstream_column_has_a_home():
    assert len(WORDS) + len(NUMBERS) == len(ANNOTATIONS)


def test_public_database_gives_the_bundled_tables(upstream, tmp_path):
    counts = import_upstream(upstream, out=tmp_path)
    assert counts == {
        "lms": 92, "benchmarks": 13, "corrections": 787, "scores": 1151, "generation": 89
    }  # fmt: skip
    for name in counts:
        assert (tmp_path / f"{name}.csv").read_bytes() == (
            bundled_folder() / f"{name}.csv"
        ).read_bytes()
