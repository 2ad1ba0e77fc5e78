"""Other names of decisions, levels and targets, and how sentences write them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple


class Words(NamedTuple):
    """How a name is written in a sentence, and what else people call it.

    `text` of a number has a place for it. What stands in `context` is understood where the decision
    is named as well, and not alone.
    """

    text: str
    aliases: tuple[str, ...] = ()
    context: tuple[str, ...] = ()


DECISION_WORDS: Mapping[str, Words] = {
    "position_embedding": Words(
        "position embedding",
        ("positional embedding", "positional embeddings", "position embeddings", "position",
         "positional encoding", "position encoding", "positional encodings", "pos emb", "pe",
         "positions", "position encodings", "pos", "pos embedding", "pos encoding", "pos enc",
         "position emb", "position enc", "positional emb", "positional enc"),
    ),
    "norm": Words("norm", ("normalization", "normalisation", "layer normalization", "norms",
                           "layer normalisation", "normalization layer")),
    "attention": Words("attention", ("attention heads", "attention type", "attention mechanism",
                                     "attn", "attn type")),
    "biases": Words("biases", ("bias", "bias terms", "linear biases")),
    "block": Words("block", ("blocks", "block layout", "transformer block", "layer layout")),
    "activation": Words("activation", ("activation function", "activations", "act", "act fn",
                                       "nonlinearity", "non-linearity")),
    "weight_tying": Words("weight tying", ("tying", "tied or untied", "tie word embeddings",
                                           "embedding tying", "tie embeddings")),
    "code_share": Words("{} % code", ("code", "code data", "code fraction", "share of code",
                                      "code percentage", "fraction of code", "source code")),
    "web_share": Words("{} % web text", ("web", "web data", "web text", "share of web", "crawl",
                                         "web fraction", "common crawl")),
    "books_share": Words("{} % books", ("books", "book", "share of books", "books fraction")),
    "reference_share": Words("{} % reference works", ("reference", "reference works", "wikipedia",
                                                     "wiki", "wikipedia reference",
                                                      "encyclopedia", "share of reference")),
    "academic_share": Words("{} % academic text", ("academic", "academic papers", "papers", "arxiv",
                                                   "academic text", "share of academic")),
    "english_share": Words("{} % English", ("english", "english data", "english text",
                                            "share of english")),
    "disclosure": Words("disclosure of the mix", ("disclosing", "disclose")),
    "context_length": Words(
        "a context of {} tokens",
        ("context", "context window", "context size", "sequence length", "seq len", "seq length",
         "ctx", "ctx len", "max position embeddings", "context tokens"),
    ),
    "mlp_ratio": Words("an MLP ratio of {}", ("mlp expansion", "ffn ratio", "mlp multiplier", "mlp",
                                              "ffn", "mlp width",
                                              "expansion factor", "mlp expansion ratio",
                                              "ffn expansion", "ffn multiplier",
                                              "feed-forward ratio")),
    "n_params": Words("a size of {} parameters", ("params", "parameters", "parameter",
                                                  "model size", "size", "parameter count",
                                                  "number of parameters", "bigger model",
                                                  "larger model", "smaller model", "large model",
                                                  "big model", "small model")),
    "n_tokens": Words("training on {} tokens", ("tokens", "training tokens", "token count",
                                                "tok", "toks", "token",
                                                "tokens count",
                                                "number of tokens", "pretraining tokens")),
}  # fmt: skip
LEVEL_WORDS: Mapping[tuple[str, str], Words] = {
    ("position_embedding", "rotary"): Words(
        "rotary position embedding",
        ("rope", "rotary embedding", "rotary embeddings", "rotary position embedding",
         "rotary position embeddings", "rotary positional embeddings"),
    ),
    ("position_embedding", "learned"): Words(
        "learned position embedding",
        ("learned absolute", "learnt", "ape", "learned embeddings", "absolute",
         "learned absolute position embeddings", "learned absolute positional embeddings"),
    ),
    ("position_embedding", "alibi"): Words("ALiBi", ("ali bi",)),
    ("position_embedding", "sinusoidal"): Words(
        "sinusoidal position embedding", ("sinusoid", "sine", "sinusoids")
    ),
    ("position_embedding", "none"): Words(
        "no position embedding", ("nope", "no position embedding", "no positional embedding")
    ),
    ("norm", "layernorm"): Words("LayerNorm", ("ln",), ("layer",)),
    ("norm", "rmsnorm"): Words("RMSNorm", ("root mean square norm",), ("rms",)),
    ("norm", "nonparametric"): Words(
        "non-parametric layer norm", ("nonparam", "nonparam ln", "nonparam norm",
                                      "non-parametric norm", "non-parametric layernorm",
                                      "non-parametric ln", "non-parametric layer norm")
    ),
    ("attention", "mha"): Words("multi-head attention", ("multi-head attention", "multi-head")),
    ("attention", "gqa"): Words(
        "grouped-query attention",
        ("grouped-query attention", "group query attention", "grouped-query", "grouped queries"),
    ),
    ("attention", "mqa"): Words("multi-query attention", ("multi-query attention", "multi-query")),
    ("biases", "all"): Words(
        "a design with all biases",
        ("all biases", "with bias", "with biases"), ("yes", "bias", "biases", "full"),
    ),
    ("biases", "none"): Words(
        "a design without biases", ("no bias", "no biases", "without bias", "without biases",
                                    "no bias terms", "dropping biases", "drop biases",
                                    "dropping the biases", "dropping all biases", "drop all biases",
                                    "drop all the biases", "removing all biases",
                                    "removing the biases", "remove the biases",
                                    "removing all the biases", "dropping all the biases",
                                    "dropping the bias terms", "dropping bias terms",
                                    "remove all biases", "removing biases", "remove biases",
                                    "bias-free"), ("no",),
    ),
    ("biases", "partial"): Words("a design with some biases", ("some biases", "partial biases",
                                                       "qkv bias", "qkv biases",
                                                       "qkv bias only", "only qkv biases",
                                                       "bias only in qkv", "biases only in qkv"),
                                 ("some",)),
    ("block", "parallel"): Words(
        "a parallel block",
        ("parallel attention", "parallel layers", "parallel attention and mlp", "parallel block",
         "in parallel", "parallel attn", "parallel mlp", "parallel ffn",
         "parallel attention mlp", "parallel attention ffn", "parallel attn mlp",
         "parallel attn ffn"),
    ),
    ("block", "sequential"): Words(
        "a sequential block", ("sequential layers", "serial", "serially", "sequentially")
    ),
    ("activation", "gelu"): Words("GELU"),
    ("activation", "relu"): Words("ReLU"),
    ("activation", "swiglu"): Words("SwiGLU"),
    ("activation", "geglu"): Words("GeGLU"),
    ("weight_tying", "tied"): Words(
        "weight tying",
        ("tied embeddings", "tied weights", "tied word embeddings", "tie", "tying them",
         "shared embeddings", "shared embedding matrix", "sharing embeddings",
         "sharing the embeddings", "sharing"),
        ("yes", "true", "on", "weight tying", "tying"),
    ),
    ("weight_tying", "untied"): Words(
        "no weight tying",
        ("untied embeddings", "untied weights", "separate lm head", "separate embeddings",
         "separate", "untie", "untying", "untying the embeddings",
         "no weight tying", "no tying", "not tied"),
        ("no", "false", "off"),
    ),
    ("disclosure", "disclosed"): Words(
        "a disclosed training mix", ("disclosed mix", "disclosed training mix", "disclose",
                                    "publishing", "publish")
    ),
    ("disclosure", "withheld"): Words(
        "a withheld training mix", ("withheld mix", "withheld training mix", "hiding",
                                    "undisclosed", "secret", "withhold",
                                    "withholding")
    ),
}  # fmt: skip
"""Names of the bundled tables; those of a fit's own are understood as they are written."""

TARGET_ALIASES: Mapping[str, tuple[str, ...]] = {
    "arc_challenge": ("arc", "arc-c", "arcc"),
    "hellaswag": ("hs",),
    "truthfulqa": ("tqa",),
    "logiqa2": ("logiqa",),
    "commonsense": ("common sense", "commonsense reasoning"),
    "language_modelling": ("language modeling", "lm"),
    "code": ("coding", "programming"),
    "math": ("maths", "mathematics"),
    "nli": ("natural language inference", "entailment"),
    "overall": ("all benchmarks", "average", "all"),
}
"""What else people call benchmarks and task families; labels are understood anyway."""
