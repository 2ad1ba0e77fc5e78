"""Samples of a harness: errors of clustered items and of paired differences."""

import json
import math

import numpy as np
import pytest

from bayesmeta.errors import DataError
from bayesmeta.importers.items import cluster_error, read_lm_eval_samples


def write(folder, task, answers, *, passages=None, stamp="2024-05-01T00-00-00.123"):
    """Write samples in the layout of 0.4, with results beside them."""
    folder.mkdir(exist_ok=True)
    rows = [
        {"doc_id": k, "doc": {"question": f"q{k}", "passage": passages[k] if passages else "p"},
         "target": "1", "arguments": {}, "resps": [[["-1.5", "False"]]], "filtered_resps": ["a"],
         "filter": "none", "metrics": ["acc"], "doc_hash": "x", "acc": float(value)}
        for k, value in enumerate(answers)
    ]  # fmt: skip
    text = "\n".join(json.dumps(row) for row in rows)
    (folder / f"samples_{task}_{stamp}.jsonl").write_text(text + "\n")
    results = {"results": {task: {"acc,none": 0.5}}, "n-shot": {task: 5},
               "model_name": folder.name.replace("__", "/")}  # fmt: skip
    (folder / f"results_{stamp}.json").write_text(json.dumps(results))


def test_single_items_have_the_error_of_a_proportion(tmp_path):
    answers = [1] * 30 + [0] * 70
    write(tmp_path / "lab__a", "winogrande", answers)
    row = read_lm_eval_samples(tmp_path).summarise().iloc[0]
    assert row["lm"] == "lab/a"
    assert row["score"] == pytest.approx(0.3)
    assert row["se"] == pytest.approx(math.sqrt(0.3 * 0.7 / 99))


def test_items_that_are_alike_in_clusters_count_as_one(tmp_path):
    # Twenty passages with five questions each that all have the same answer: twenty items.
    answers = np.repeat(np.arange(20) % 4 == 0, 5)
    passages = [f"p{k // 5}" for k in range(100)]
    write(tmp_path / "lab__a", "boolq", answers, passages=passages)
    alone = read_lm_eval_samples(tmp_path).summarise().iloc[0]
    within = read_lm_eval_samples(tmp_path, cluster="passage").summarise().iloc[0]
    assert within["n_clusters"] == 20
    assert within["se"] == pytest.approx(math.sqrt(0.25 * 0.75 / 19))
    assert within["se"] > 2 * alone["se"]


def test_an_error_of_clusters_covers(tmp_path):
    rng = np.random.default_rng(1)
    clusters = np.repeat(np.arange(50), 8)
    means, errors = [], []
    for _ in range(400):
        probability = 1 / (1 + np.exp(-rng.normal(0, 1.5, 50)))
        values = (rng.random(400) < probability[clusters]).astype(float)
        means.append(values.mean())
        errors.append(cluster_error(values, clusters))
    assert np.mean(errors) == pytest.approx(np.std(means), rel=0.1)


def test_differences_are_paired(tmp_path):
    rng = np.random.default_rng(2)
    easy = rng.normal(0, 2, 2000)
    first, second = ((easy + rng.logistic(0, 1, 2000) > cut).astype(int) for cut in (0.0, 0.4))
    write(tmp_path / "lab__a", "piqa", first)
    write(tmp_path / "lab__b", "piqa", second)
    items = read_lm_eval_samples(tmp_path)
    row = items.compare().iloc[0]
    assert row["difference"] == pytest.approx(first.mean() - second.mean())
    assert row["se"] == pytest.approx(np.std(first - second, ddof=1) / math.sqrt(2000))
    assert row["correlation"] == pytest.approx(np.corrcoef(first, second)[0, 1])
    unpaired = math.sqrt(float((items.summarise()["se"] ** 2).sum()))
    assert row["se"] < 0.85 * unpaired


def test_samples_become_scores(tmp_path):
    write(tmp_path / "lab__a", "winogrande", [1, 0, 1, 1])
    write(tmp_path / "lab__a", "winogrande", [1, 1, 1, 0, 0], stamp="2024-06-01T00-00-00")
    found = read_lm_eval_samples(tmp_path).to_imported()
    assert found.scores[["lm", "benchmark", "score"]].values.tolist() == [
        ["lab/a", "winogrande", 0.6]
    ]
    assert found.scores["se"].item() == pytest.approx(math.sqrt(0.6 * 0.4 / 4))


def test_the_first_layouts(tmp_path):
    # One JSON list, without names of metrics or hashes, in a folder that no results name.
    rows = [{"doc_id": k, "doc": {}, "target": 0, "acc": k % 2 == 0, "acc_norm": 1.0}
            for k in range(4)]  # fmt: skip
    folder = tmp_path / "lab__old"
    folder.mkdir()
    (folder / "samples_piqa.jsonl").write_text(json.dumps(rows))
    items = read_lm_eval_samples(folder)
    assert items.summarise()["score"].tolist() == [0.5, 1.0]
    found = items.to_imported(n_shots=0)
    assert found.scores["benchmark"].tolist() == ["piqa_0shot"]


@pytest.mark.parametrize(
    "name, text, message",
    [
        ("samples_piqa.jsonl", '{"doc_id": 1}\n', "No item in 1 files has a number"),
        ("samples_piqa.jsonl", '{"doc_id": 1, "acc": 1}\n{"doc', r"line 2 is no JSON text"),
        ("samples_piqa.jsonl", "[1, 2]", "item 1 is a JSON number"),
        ("other.jsonl", '{"doc_id": 1, "acc": 1}\n', "does not name its task"),
    ],
)
def test_wrong_samples(name, text, message, tmp_path):
    (tmp_path / name).write_text(text)
    with pytest.raises(DataError, match=message):
        read_lm_eval_samples(tmp_path)


def test_a_cluster_that_no_document_has(tmp_path):
    write(tmp_path / "lab__a", "piqa", [1, 0])
    with pytest.raises(DataError, match=r"has no field 'pasage'\. Allowed: question, passage"):
        read_lm_eval_samples(tmp_path, cluster="pasage")


def test_no_item_in_common(tmp_path):
    write(tmp_path / "lab__a", "piqa", [1])
    folder = tmp_path / "lab__b"
    folder.mkdir()
    (folder / "samples_piqa.jsonl").write_text('{"doc_id": 7, "doc": {}, "acc": 1}\n')
    with pytest.raises(DataError, match="no item of piqa in common"):
        read_lm_eval_samples(tmp_path).compare()
