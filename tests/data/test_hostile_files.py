"""Files that are broken, or meant to break something: one clear message, and nothing written."""

import json
import os
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from bayesmeta.errors import DataError
from bayesmeta.importers.foreign_files import MOST_BYTES, MOST_VALUES
from bayesmeta.importers.harness_results import read_lm_eval
from bayesmeta.importers.hf_configs import read_hf_config
from bayesmeta.importers.inspect_logs import read_inspect_logs
from bayesmeta.importers.result_tables import read_result_table

GOOD = {"results": {"winogrande": {"acc,none": 0.5}}, "n-shot": {"winogrande": 5},
        "model_name": "lab/a"}  # fmt: skip
CONFIG = {"model_type": "llama", "hidden_size": 64, "num_attention_heads": 4}
LOG = {"status": "success", "eval": {"task": "inspect_evals/gsm8k", "model": "hf/lab/a"},
       "results": {"scores": []}}  # fmt: skip

TEXTS: dict[str, bytes] = {
    "empty": b"",
    "blank": b"  \n ",
    "truncated": json.dumps(GOOD).encode()[:-9],
    "two objects": json.dumps(GOOD).encode() * 2,
    "a list": b"[]",
    "a text": b'"results"',
    "a number": b"1",
    "null": b"null",
    "true": b"true",
    "nested lists": b"[" * 100_000,
    "nested objects": b'{"a":' * 100_000 + b"1" + b"}" * 100_000,
    "a key that stands twice": b'{"results": {}, "results": {"a": {"acc": 1}}}',
    "a key that stands twice, inside": b'{"results": {"a": {"acc": 1, "acc": 0.5}}}',
    "NUL bytes": b"\0" * 1000,
    "no UTF-8": b'{"results": "\xff\xfe"}',
    "UTF-16": json.dumps(GOOD).encode("utf-16"),
    "HTML": b"<!DOCTYPE html><html>404</html>",
    "a pointer of Git LFS": b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n",
    "YAML": b"results:\n  winogrande:\n    acc: 0.5\n",
    "digits": b'{"results": {"a": {"acc": ' + b"9" * 10_000 + b"}}}",
    "many values": b"[" + b"0," * (MOST_VALUES + 1) + b"0]",
    "many lists": b"[" + b"[]," * (MOST_VALUES // 2 + 1) + b"0]",
    "a trailing comma": b'{"results": {},}',
    "single quotes": b"{'results': {}}",
    "a comment": b'{"results": {} // none\n}',
}
"""What is no JSON object, whoever reads it."""

WRONG_TYPES: list[object] = [None, True, 1, 0.5, "a", [], [1], [[]], ["a"], [{}]]


def write(path: Path, content: object) -> Path:
    text = content if isinstance(content, bytes) else json.dumps(content).encode()
    path.write_bytes(text)
    return path


def check(read: Callable[[Path], object], path: Path) -> None:
    """The error is one paragraph of bearable length that names the file."""
    with pytest.raises(DataError) as caught:
        read(path)
    message = str(caught.value)
    assert "\n" not in message
    assert len(message) < 1200
    assert path.name in message


@pytest.mark.parametrize("read", [read_lm_eval, read_hf_config, read_inspect_logs])
@pytest.mark.parametrize("name", TEXTS)
def test_what_is_no_object(name, read, tmp_path):
    check(read, write(tmp_path / "file.json", TEXTS[name]))


@pytest.mark.parametrize("value", WRONG_TYPES, ids=repr)
def test_results_of_a_wrong_type(value, tmp_path):
    path = tmp_path / "file.json"
    check(read_lm_eval, write(path, {**GOOD, "results": value}))
    check(read_lm_eval, write(path, {**GOOD, "results": {"winogrande": value}}))
    # Whatever else is of a wrong type says nothing, and stands in the way of nothing.
    for key in ("n-shot", "configs", "n-samples", "config", "date"):
        read_lm_eval(write(path, {**GOOD, key: value}))
    found = read_lm_eval(write(path, {**GOOD, "results": {"winogrande": {"acc,none": value}}}))
    assert found.scores["score"].isin([1.0, 0.5]).all()


@pytest.mark.parametrize("value", ["NaN", "Infinity", "-Infinity", "1e999"])
def test_values_that_are_no_numbers_are_left_out(value, tmp_path):
    text = f'{{"results": {{"winogrande": {{"acc": {value}}}}}, "model_name": "lab/a"}}'
    found = read_lm_eval(write(tmp_path / "file.json", text.encode()))
    assert len(found.scores) == 0
    assert found.left_out["why"].tolist() == ["its value is no number"]


@pytest.mark.parametrize("value", WRONG_TYPES, ids=repr)
def test_configs_with_fields_of_a_wrong_type(value, tmp_path):
    path = tmp_path / "file.json"
    fields = ("hidden_size", "num_attention_heads", "num_key_value_heads", "intermediate_size",
              "max_position_embeddings", "hidden_act", "tie_word_embeddings", "rope_scaling",
              "text_config", "attn_config", "n_routed_experts", "torch_dtype", "alibi",
              "layer_norm_type", "position_embedding_type", "attention_bias")  # fmt: skip
    for field in fields:
        found = read_hf_config(write(path, {**CONFIG, field: value}))
        assert len(found.lms) + len(found.left_out) > 0
    if not isinstance(value, str):
        check(read_hf_config, write(path, {"model_type": value}))


@pytest.mark.parametrize("value", WRONG_TYPES, ids=repr)
def test_logs_with_fields_of_a_wrong_type(value, tmp_path):
    path = tmp_path / "file.json"
    check(read_inspect_logs, write(path, {**LOG, "eval": value}))
    logs = [{**LOG, field: value} for field in ("results", "status")]
    logs += [{**LOG, "results": {field: value}} for field in ("scores", "metrics", "scorer")]
    logs += [
        {**LOG, "eval": {**LOG["eval"], field: value}}
        for field in ("task_args", "config", "created")
    ]
    for log in logs:
        assert read_inspect_logs(write(path, log)).scores.empty


def test_archives(tmp_path):
    path = tmp_path / "log.eval"
    check(read_inspect_logs, write(path, b"PK\x03\x04 no archive"))
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("other.json", "{}")
    check(read_inspect_logs, path)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("header.json", json.dumps(LOG))
    whole = path.read_bytes()
    check(read_inspect_logs, write(path, whole[:-30]))
    damaged = bytearray(whole)
    damaged[60:70] = b"\xff" * 10
    check(read_inspect_logs, write(path, bytes(damaged)))


def test_a_bomb_is_not_unpacked(tmp_path):
    path = tmp_path / "log.eval"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("header.json", b"0" * (MOST_BYTES + 1))
    check(read_inspect_logs, path)
    # One that tells a smaller size than it has.
    content = bytearray(path.read_bytes())
    size = struct.pack("<I", MOST_BYTES + 1)
    content = bytes(content).replace(size, struct.pack("<I", 100))
    check(read_inspect_logs, write(path, content))


def test_large_files_are_not_read(tmp_path):
    path = tmp_path / "file.json"
    with path.open("wb") as file:
        file.truncate(50 * MOST_BYTES)
    for read in (read_lm_eval, read_hf_config, read_inspect_logs, read_result_table):
        check(read, path)


def test_pipes_and_devices_are_not_read(tmp_path):
    path = tmp_path / "file.json"
    os.mkfifo(path)
    check(read_lm_eval, path)
    check(read_lm_eval, Path("/dev/zero"))
    check(read_result_table, path)


def test_links_do_not_lead_out_of_a_folder(tmp_path):
    folder, outside = tmp_path / "folder", tmp_path / "outside"
    folder.mkdir()
    outside.mkdir()
    write(outside / "secret.json", GOOD)
    (folder / "a.json").symlink_to(outside / "secret.json")
    (folder / "b").symlink_to(outside)
    (folder / "c.json").symlink_to(folder / "c.json")
    (folder / "d").symlink_to(folder)
    (folder / "e.json").symlink_to("../outside/secret.json")
    check(read_lm_eval, folder)
    check(read_lm_eval, folder / "c.json")
    write(folder / "f.json", GOOD)
    assert len(read_lm_eval(folder).scores) == 1
    assert len(read_lm_eval(folder / "a.json").scores) == 1  # named, so meant


@pytest.mark.parametrize("name", ["", "../../etc/passwd", "a" * 5000, "a\0b", "no such file"])
def test_paths_that_lead_nowhere(name, tmp_path):
    with pytest.raises(DataError, match=r"cannot be read|holds no file"):
        read_lm_eval(tmp_path / name if name else tmp_path)


def test_names_of_lms_are_text_and_no_paths(tmp_path):
    out = tmp_path / "inside" / "own"
    out.parent.mkdir()
    for name in ("../../up", "/etc/passwd", "a,b\nc", '=HYPERLINK("x")', "\N{SNOWMAN}"):
        content = {**GOOD, "model_name": name}
        found = read_lm_eval(write(tmp_path / "file.json", content)) if "\n" not in name else None
        if found is not None:
            found.save(out)
    assert [path.name for path in tmp_path.iterdir() if path.is_dir()] == ["inside"]
    with pytest.raises(DataError, match="printable"):
        read_lm_eval(write(tmp_path / "file.json", {**GOOD, "model_name": "a\nb"}))
    with pytest.raises(DataError, match="printable"):
        read_lm_eval(write(tmp_path / "file.json", {**GOOD, "model_name": "a" * 300}))


@pytest.mark.parametrize(
    "text",
    [b"", b"a,b\n", b"Model\n", b"Model,MMLU\n", b"Model,MMLU\nlab/a\n", b"Model,Model\na,b\n",
     b"\xff\xfe", b"Model,MMLU\nlab/a,\0\n", b'Model,MMLU\n"lab/a,0.5\n'],
)  # fmt: skip
def test_tables(text, tmp_path):
    check(read_result_table, write(tmp_path / "table.csv", text))


def test_headers_of_weights(tmp_path):
    weights = tmp_path / "model.safetensors"
    path = write(tmp_path / "config.json", CONFIG)
    for content in (b"", b"\0" * 8, struct.pack("<Q", 2**63), struct.pack("<Q", 100) + b"{"):
        write(weights, content)
        with pytest.raises(DataError, match=r"model\.safetensors"):
            read_hf_config(path)
    header = json.dumps({"a": {"shape": [-1, 2]}, "b": {"shape": "x"}, "c": 1}).encode()
    write(weights, struct.pack("<Q", len(header)) + header)
    assert read_hf_config(path).lms["n_params"].isna().all()


def test_a_failed_import_leaves_what_was_there(tmp_path):
    out = tmp_path / "own"
    read_lm_eval(write(tmp_path / "file.json", GOOD)).save(out)
    before = {path.name: path.read_bytes() for path in out.iterdir()}
    (out / "scores.csv").write_bytes(b"lm,benchmark,score\nlab/a,winogrande,much\n")
    with pytest.raises(DataError, match=r"scores.csv, line 2"):
        read_lm_eval(write(tmp_path / "file.json", GOOD)).save(out)
    assert (out / "lms.csv").read_bytes() == before["lms.csv"]
    assert sorted(path.name for path in out.iterdir()) == sorted(before)
