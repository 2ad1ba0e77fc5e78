"""Design decisions of LMs from config.json files of the model hub, sizes from safetensors."""

from __future__ import annotations

import math
import struct
import tomllib
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

from bayesmeta.data.load import bundled_folder
from bayesmeta.data.vocabulary import LM_VOCABULARY
from bayesmeta.errors import DataError, shorten
from bayesmeta.importers.foreign_files import (
    MOST_BYTES,
    Paths,
    as_mapping,
    as_number,
    find_files,
    parse_object,
    read_object,
)
from bayesmeta.importers.imported import Imported, build_imported

_FIELDS = {
    "d_model": ("hidden_size", "n_embd", "d_model", "n_embed", "dim"),
    "n_heads": ("num_attention_heads", "n_head", "n_heads", "num_heads", "attention_heads"),
    "n_kv": ("num_key_value_heads", "n_kv_heads", "num_kv_heads", "n_head_kv", "kv_n_heads",
             "multi_query_group_num"),
    "width": ("intermediate_size", "ffn_dim", "n_inner", "d_ff", "ffn_hidden_size",
              "mlp_hidden_size"),
    "context_length": ("max_position_embeddings", "n_positions", "max_seq_len", "seq_length",
                       "max_sequence_length", "model_max_length", "n_ctx"),
    "activation": ("hidden_activation", "hidden_act", "activation_function", "activation_type",
                   "activation"),
}  # fmt: skip
"""What a fact is called by one architecture or another, the surest name first."""

_EXPERTS = ("num_local_experts", "n_routed_experts", "num_experts", "moe_num_experts")
_RMS, _LAYER = ("rms_norm_eps",), ("layer_norm_eps", "layer_norm_epsilon", "layernorm_epsilon")
_GELU = ("gelu", "quick_gelu")
_BYTES = {"float32": 4, "float16": 2, "bfloat16": 2, "float64": 8}
_INDEX = ("model.safetensors.index.json", "pytorch_model.bin.index.json")

_BIASES: dict[tuple[bool, ...], str] = {
    (True, True, True, True): "all",
    (False, False, False, False): "none",
    (True, False, False, False): "qkv_only",
    (False, True, True, True): "no_qkv",
    (False, False, True, True): "no_attn",
    (False, False, False, True): "ln_only",
    (True, True, False, False): "attn_only",
}
"""The word of lms.csv by what has a bias: query, key and value; attention's output; feed-forward;
norm. Any other combination is `some`."""


def read_hf_config(
    paths: Paths,
    *,
    names: Mapping[str, str] | None = None,
    facts: Mapping[str, str] | None = None,
) -> Imported:
    """Read how LMs are built from the config.json files of the model hub.

    An LM is called as the folder that holds its file, `models--lab--a` and `lab__a` being read as
    `lab/a`, or as the file, if that is not called config.json. The number of parameters comes from
    an index of safetensors, or from their header, where one stands beside the file.

    Parameters
    ----------
    paths
        Files, or folders that are searched for files called config.json.
    names
        Names of LMs here by the names of folders or files.
    facts
        As in `read_lm_eval`: a config says neither family nor tokens nor shares of the mix.

    Returns
    -------
    Imported
        LMs; what has no place in lms.csv, such as a mixture of experts, is left out.

    Raises
    ------
    DataError
        If a file cannot be read, or is no config of a model.

    Examples
    --------
    >>> folder = getfixture("tmp_path") / "lab__a"
    >>> folder.mkdir()
    >>> _ = (folder / "config.json").write_text(
    ...     '{"model_type": "llama", "hidden_size": 2048, "num_attention_heads": 16, '
    ...     '"num_key_value_heads": 4, "intermediate_size": 8192, "hidden_act": "silu"}'
    ... )
    >>> read_hf_config(folder).lms[["lm", "norm", "attention", "mlp_ratio"]].values.tolist()
    [['lab/a', 'rmsnorm', 'gqa', 4.0]]
    """
    lms: dict[str, dict[str, Any]] = {}
    left_out: list[dict[str, Any]] = []
    for path in find_files(paths, endings=["config.json"], what="configs of models"):
        config = read_object(path)
        lm = _name_lm(path)
        reason = _refuse(config, path)
        if reason:
            left_out.append({"lm": lm, "why": f"it is {reason}", "file": str(path)})
            continue
        lms[lm] = dict(_read_facts(config, path))
    return build_imported([], lms=lms, left_out=left_out, names=names, facts=facts)


def _name_lm(path: Path) -> str:
    """Name the LM after its folder on the hub's disk or of one's own, or after its file."""
    for folder in path.absolute().parts[::-1]:
        if folder.startswith("models--"):
            return folder.removeprefix("models--").replace("--", "/")
    if path.name != "config.json":
        return path.name.removesuffix(".json").removesuffix("config").rstrip("._-") or path.stem
    return path.absolute().parent.name.replace("__", "/")


@cache
def _architectures() -> dict[str, dict[str, Any]]:
    """Read the table of architectures, each with what it is like."""
    text = (bundled_folder() / "architectures.toml").read_text(encoding="utf-8")
    found: dict[str, dict[str, Any]] = {}
    for name, entry in tomllib.loads(text).items():
        found[name] = {**found.get(entry.get("like", ""), {}), **entry}
    return found


def _look_up(config: Mapping[str, Any]) -> dict[str, Any]:
    """Find the entry of the table of architectures; an empty one for a type that is not known."""
    kind = _inner(config).get("model_type") or config.get("model_type")
    return _architectures().get(str(kind), {})


def _refuse(config: Mapping[str, Any], path: Path) -> str:
    """Say why a config is none of a dense decoder; blank where it is one."""
    kind = config.get("model_type")
    if not isinstance(kind, str) and not any(name in config for name in _FIELDS["d_model"]):
        raise DataError(
            f"{shorten(path)} is no config of a model: it has neither 'model_type' nor a width "
            "such as 'hidden_size'. Allowed: config.json of a model hub. Name another file."
        )
    inner = _inner(config)
    reason = _look_up(config).get("not", "")
    if any(as_number(inner.get(name)) > 1 for name in _EXPERTS):
        reason = "a mixture of experts"
    if inner.get("is_encoder_decoder") is True:
        reason = "an encoder with a decoder"
    return f"{reason} ({shorten(kind, most=40)})" if reason else ""


def _inner(config: Mapping[str, Any]) -> Mapping[str, Any]:
    """Give the part of a config that describes the LM, with what MPT keeps one level deeper."""
    inner = as_mapping(config.get("text_config")) or config
    return {**as_mapping(inner.get("ffn_config")), **as_mapping(inner.get("attn_config")), **inner}


def _read_facts(config: Mapping[str, Any], path: Path) -> Iterator[tuple[str, Any]]:
    """Give the columns of lms.csv that a config fills: words, and numbers above 0."""
    inner, known = _inner(config), _look_up(config)
    words = {
        "position_embedding": _read_position(inner, known),
        "norm": _read_norm(inner, known),
        "attention": _read_attention(inner, known),
        "biases": _read_biases(inner, known),
        "block": _read_block(inner, known),
        "activation": _read_activation(inner, known),
        "weight_tying": _read_tying(config, inner, known),
    }
    yield from ((name, word) for name, word in words.items() if word is not None)
    context = _number(inner, "context_length")
    numbers = {
        "d_model": _number(inner, "d_model"),
        "n_heads": _number(inner, "n_heads"),
        "context_length": known.get("context_length", context) if math.isnan(context) else context,
        "mlp_ratio": _read_ratio(inner, known),
        "n_params": _count_parameters(config, path),
    }
    yield from ((name, value) for name, value in numbers.items() if value > 0)


def _number(config: Mapping[str, Any], fact: str) -> float:
    """Read the first field of a fact that holds a number above 0."""
    found = (as_number(config.get(name)) for name in _FIELDS[fact])
    return next((value for value in found if value > 0), math.nan)


def _flag(config: Mapping[str, Any], told: Any, known: Mapping[str, Any]) -> bool | None:
    """Read true or false, or the field that says so; None where nothing says."""
    if not isinstance(told, str):
        return told
    name = told.removeprefix("!")
    value = config.get(name)
    value = known.get("defaults", {}).get(name, False) if value is None else bool(value)
    return value != told.startswith("!")


def _read_position(config: Mapping[str, Any], known: Mapping[str, Any]) -> str | None:
    word = config.get("position_embedding_type")
    if config.get("alibi") is True or word == "alibi":
        return "alibi"
    if config.get("rope") is True or word in ("rope", "rotary"):
        return "rotary"
    if known or word is not None:
        return known.get("position_embedding") or {"absolute": "learned"}.get(str(word), str(word))
    rotary = ("rope_theta", "rope_scaling", "rotary_pct", "rotary_dim", "rotary_emb_base")
    return "rotary" if any(config.get(name) is not None for name in rotary) else None


def _read_norm(config: Mapping[str, Any], known: Mapping[str, Any]) -> str | None:
    word = str(config.get("norm_type") or config.get("layer_norm_type") or "").lower()
    if "rms" in word:
        return "rmsnorm"
    if config.get("layer_norm_with_affine") is False:
        return "nonparametric"
    if known:
        return known["norm"]
    rms, layer = (any(name in config for name in names) for names in (_RMS, _LAYER))
    return None if rms == layer else "rmsnorm" if rms else "layernorm"


def _read_attention(config: Mapping[str, Any], known: Mapping[str, Any]) -> str | None:
    n_heads, n_kv = _number(config, "n_heads"), _number(config, "n_kv")
    if as_number(config.get("kv_lora_rank")) > 0:
        return "mla"
    if config.get("new_decoder_architecture") is not True and (
        config.get("multi_query") is True or config.get("multi_query_attention") is True
    ):
        shared = as_number(config.get("multi_query_group_num"))
        return "gqa" if shared > 1 else "mqa"
    if config.get("multi_query") is False and not config.get("new_decoder_architecture"):
        return "mha"
    if math.isnan(n_kv):
        return "mha" if known else None
    return "mqa" if n_kv == 1 else "gqa" if n_kv < n_heads else "mha"


def _read_biases(config: Mapping[str, Any], known: Mapping[str, Any]) -> str | None:
    if not known:
        return None
    parts = (bool(_flag(config, known[f"{part}_bias"], known)) for part in
             ("qkv", "out", "mlp", "norm"))  # fmt: skip
    return _BIASES.get(tuple(parts), "some")


def _read_block(config: Mapping[str, Any], known: Mapping[str, Any]) -> str | None:
    told = known.get("parallel", next(
        (name for name in ("use_parallel_residual", "parallel_attn") if name in config), None
    ))  # fmt: skip
    parallel = _flag(config, told, known)
    return None if parallel is None else "parallel" if parallel else "sequential"


def _read_activation(config: Mapping[str, Any], known: Mapping[str, Any]) -> str | None:
    """Read the activation; whether there is a gate is known by the type or by the word alone."""
    word = next(
        (str(config[name]).lower() for name in _FIELDS["activation"] if config.get(name)), ""
    )
    if word in LM_VOCABULARY["activation"] and "glu" in word:
        return word
    if not known:
        return None
    word = word or known["activation"]
    if word.startswith(_GELU):
        return "geglu" if known["gated"] else "gelu"
    if word in ("silu", "swish"):
        return "swiglu" if known["gated"] else "silu, without a gate"
    return f"{word}, with a gate" if known["gated"] else word


def _read_tying(
    config: Mapping[str, Any], inner: Mapping[str, Any], known: Mapping[str, Any]
) -> str | None:
    told = [source.get(name) for source in (inner, config)
            for name in ("tie_word_embeddings", "weight_tying")]  # fmt: skip
    tied = next((value for value in told if isinstance(value, bool)), known.get("tied"))
    return None if tied is None else "tied" if tied else "untied"


def _read_ratio(config: Mapping[str, Any], known: Mapping[str, Any]) -> float:
    """Read the width of one feed-forward branch over that of the residual stream."""
    branches = known.get("branches", 1)
    width, d_model = _number(config, "width"), _number(config, "d_model")
    if width > 0 and d_model > 0:
        return width / branches / d_model
    ratios = [as_number(config.get(name)) for name in ("mlp_ratio", "expansion_ratio")]
    told = next((ratio / branches for ratio in ratios if ratio > 0), math.nan)
    return known.get("mlp_ratio", math.nan) if math.isnan(told) else told


def _count_parameters(config: Mapping[str, Any], path: Path) -> float:
    """Count parameters by what stands beside a config: an index or header of its weights."""
    for name in _INDEX:
        index = path.with_name(name)
        if index.is_file():
            about = as_mapping(read_object(index).get("metadata"))
            told = as_number(about.get("total_parameters"))
            kind = str(config.get("dtype") or config.get("torch_dtype")).removeprefix("torch.")
            size = as_number(about.get("total_size")) / _BYTES.get(kind, math.nan)
            size = math.nan if config.get("quantization_config") else size
            return told if told > 0 else size if size.is_integer() else math.nan
    weights = path.with_name("model.safetensors")
    return _read_header(weights) if weights.is_file() else math.nan


def _read_header(path: Path) -> float:
    """Add up the sizes of the tensors that the header of a safetensors file lists."""
    with path.open("rb") as file:
        start = file.read(8)
        length = struct.unpack("<Q", start)[0] if len(start) == 8 else 0
        content = file.read(min(length, MOST_BYTES))
    if not 0 < length <= MOST_BYTES:
        raise DataError(
            f"{shorten(path)} is no safetensors file: its header has {length} bytes. Fetch it "
            "again, or move it away from the config."
        )
    tensors = parse_object(content, name=f"{path}, header")
    tensors.pop("__metadata__", None)
    shapes = (as_mapping(tensor).get("shape") for tensor in tensors.values())
    sizes = [math.prod(shape) for shape in shapes
             if isinstance(shape, list) and all(type(n) is int for n in shape)]  # fmt: skip
    return math.fsum(sizes)
