"""What the shipped posterior and the records say, as flat blocks of named values.

Everything is asked through public names, so that the blocks outlive renamed modules. To see what
differs from the pinned values, and to pin them anew:

    python tests/pinned/blocks.py [BLOCK...]
    python tests/pinned/blocks.py --write [BLOCK...]

Every key is a row and a column, `row | column`; values are numbers or strings.
"""

from __future__ import annotations

import json
import math
import re
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

import bayesmeta as bm

Values = dict[str, float | str]

FOLDER = Path(__file__).parent
TOLERANCE = 1e-9
"""Relative and absolute."""
LOOSE = 1e-6
"""The same for what the linearised model says of size and data, whose mean slopes have next to no
prior: another order of sums, or another number of threads, moves it by up to 1e-8."""

BY = ("overall", "task_family", "benchmark")
MIX = ("code_share", "web_share", "books_share", "reference_share", "academic_share", "other_share")

EVIDENCE = frozenset(
    {
        "all_families",
        "between_families",
        "contraction",
        "effective_lms",
        "influence",
        "most_influential_family",
        "prior_more",
        "prior_sd",
        "verdict",
        "within_families",
        "without_it",
    }
)
"""What is said of a contrast by other than the draws of its effect. Of contrasts and swaps of parts
of the mix it is pinned in the block `mix_evidence`."""

SIZES = ("n_params", "n_tokens")

QUESTIONS: tuple[tuple[str, dict[str, Any]], ...] = (
    ("position_embedding: rotary > learned", {}),
    ("position_embedding: rotary > alibi", {"task_family": "commonsense"}),
    ("position_embedding: sinusoidal < rotary", {"benchmark": "lambada"}),
    ("position_embedding: alibi > learned", {"equivalence": 1.0, "ci_prob": 0.5}),
    ("norm: rmsnorm > layernorm", {}),
    ("norm: nonparametric > layernorm", {"benchmark": "hellaswag"}),
    ("attention: gqa > mha", {}),
    ("attention: mqa > gqa", {"task_family": "language_modelling", "more_than": 1.0}),
    ("attention: gqa > mha", {"scale": "latent"}),
    ("biases: none > all", {"task_family": "math"}),
    ("biases: partial > none", {"benchmark": "truthfulqa", "ci_prob": 0.99}),
    ("block: parallel > sequential", {"more_than": -0.5}),
    ("activation: swiglu > gelu", {}),
    ("activation: geglu > swiglu", {"benchmark": "mmlu_5shot"}),
    ("activation: relu > gelu", {"scale": "latent", "equivalence": 0.05}),
    ("weight_tying: tied > untied", {"task_family": "truthfulness"}),
    ("disclosure: withheld > disclosed", {}),
    ("code_share: 20 > 5", {}),
    ("code_share: 60 > 5", {"task_family": "code", "more_than": 5.0}),
    ("code_share: 20 > 5", {"benchmark": "humaneval", "scale": "latent"}),
    ("web_share: 80 > 40", {"lm_family": "pythia"}),
    ("books_share: 15 > 5", {"ci_prob": 0.95}),
    ("reference_share: 5 < 15", {"benchmark": "arc_challenge"}),
    ("academic_share: 28 > 18", {"equivalence": 0.2}),
    ("english_share: 100 > 60", {"benchmark": "xnli"}),
    ("english_share: 100 > 60", {"lm_family": ["bloom", "xglm"]}),
    ("context_length: 8192 > 2048", {}),
    ("context_length: 4096 > 2048", {"lms": "EleutherAI/pythia-6.9b", "benchmark": "anli"}),
    ("mlp_ratio: 8 > 4", {"scale": "latent", "task_family": "nli"}),
    ("mlp_ratio: 4 > 2.7", {"lms": ["microsoft/phi-2", "tiiuae/falcon-7b"]}),
    ("n_params: 7e9 > 1e9", {}),
    ("n_params: 7e10 > 7e9", {"benchmark": "gsm8k", "more_than": 10.0}),
    ("n_params: 7e9 > 1e9", {"scale": "latent", "lm_family": "llama-2"}),
    ("n_tokens: 2e12 > 1e12", {}),
    ("n_tokens: 1.5e13 > 3e11", {"task_family": "knowledge", "lms": "google/gemma-7b"}),
    ("swap web_share -> code_share by 10", {}),
    ("code_share: +10 from web_share", {"task_family": "code", "more_than": 1.0}),
    ("web_share: +10 from code_share", {"benchmark": "truthfulqa"}),
    ("swap books_share -> reference_share by 5", {"scale": "latent"}),
    ("academic_share: +5 from other_share", {"equivalence": 0.3, "ci_prob": 0.8}),
    ("swap code_share -> books_share by 20", {"lm_family": "codegen"}),
    ("books_share: +2.5 from reference_share", {"lms": ["LLM360/Amber", "EleutherAI/gpt-j-6b"]}),
)

CARDS = (
    ("position_embedding", "rotary", "learned"),
    ("norm", "rmsnorm", "layernorm"),
    ("attention", "gqa", "mha"),
    ("biases", "none", "all"),
    ("block", "parallel", "sequential"),
    ("activation", "swiglu", "gelu"),
    ("disclosure", "withheld", "disclosed"),
    ("code_share", 20, 5),
    ("web_share", 80, 40),
    ("english_share", 100, 60),
    ("context_length", 8192, 2048),
    ("n_tokens", 2e12, 1e12),
)

FACTS = ("attention", "activation", "position_embedding", "norm", "biases", "block", "weight_tying")
NEW_LMS = pd.DataFrame(
    {
        "lm": ["sibling", "open recipe", "closed recipe"],
        "lm_family": ["pythia", "newcomer", "stranger"],
        "released": ["2023-04", "2025-06", ""],
        "n_params": [2.8e9, 8e9, 7e10],
        "n_tokens": [3e11, 1.5e13, 2e13],
        "position_embedding": ["rotary", "rotary", ""],
        "norm": ["layernorm", "rmsnorm", "rmsnorm"],
        "attention": ["mha", "gqa", ""],
        "biases": ["all", "none", ""],
        "block": ["parallel", "sequential", "sequential"],
        "activation": ["gelu", "swiglu", ""],
        "weight_tying": ["untied", "untied", ""],
        "context_length": [2048, 8192, math.nan],
        "mlp_ratio": [4, 3.5, math.nan],
        "code_share": [8, 17, math.nan],
        "web_share": [37, 60, math.nan],
        "books_share": [15, 8, math.nan],
        "reference_share": [12, 5, math.nan],
        "academic_share": [28, 5, math.nan],
        "english_share": [100, 90, math.nan],
    }
)
DESIGNS = pd.DataFrame(
    {
        "lm": ["small", "small, more code", "large", "too large"],
        "lm_family": ["x", "x", "llama-2", "y"],
        "n_params": [1e9, 1e9, 1.3e10, 4e11],
        "n_tokens": [2e12, 2e12, 3e12, 1e13],
        "attention": ["gqa", "gqa", "mha", "gqa"],
        "code_share": [5, 40, 10, 20],
        "web_share": [80, 45, 70, 60],
        "books_share": [5, 5, 5, 5],
        "reference_share": [5, 5, 5, 5],
        "academic_share": [3, 3, 5, 5],
    }
)


@cache
def fit() -> Any:
    """Read the shipped posterior once."""
    return bm.load_reference_fit()


def flatten(values: Mapping[str, Any], *, row: str) -> Iterator[tuple[str, float | str]]:
    """List the values of nested dicts and lists of dicts by `row | key | key`, others joined."""
    for key, value in values.items():
        if isinstance(value, Mapping):
            yield from flatten(value, row=f"{row} | {key}")
        elif isinstance(value, bool | np.bool_ | str) or value is None:
            yield f"{row} | {key}", str(value)
        elif isinstance(value, list | tuple) and any(isinstance(v, Mapping) for v in value):
            yield from flatten(dict(enumerate(value)), row=f"{row} | {key}")
        elif isinstance(value, list | tuple):
            yield f"{row} | {key}", "; ".join(str(item) for item in value)
        else:
            yield f"{row} | {key}", float(value)


def flatten_table(
    frame: pd.DataFrame, keys: Sequence[str], *, name: str = "", leave_out: Sequence[str] = ()
) -> Values:
    """List the cells of a table; `keys` are the columns that tell its rows apart."""
    out: Values = {}
    for record in frame.reset_index(drop=False).to_dict("records"):
        row = " | ".join([name, *(str(record.pop(key)) for key in keys)]).removeprefix(" | ")
        cells = {k: v for k, v in record.items() if k not in ("index", *leave_out)}
        for key, value in flatten(cells, row=row):
            if key in out:
                raise ValueError(f"'{key}' occurs twice: add a column to the keys of its rows.")
            out[key] = value
    return out


def _effects_table(found: Any, *, name: str = "") -> Values:
    keys = ["decision", "level", "reference", "by", "target"]
    return flatten_table(found.table(), keys, name=name, leave_out=["ci_prob"])


def effects() -> Values:
    """Every effect by every kind of target, of some lms, and on the latent scale."""
    out: Values = {}
    for by in BY:
        found = bm.effects(fit(), by=by)
        out |= _effects_table(found) | {f"all | {by} | wrong signs": found.wrong_signs()}
    out |= _effects_table(bm.effects(fit(), by="benchmark", scale="latent"), name="latent")
    for asked in (["attention", "code_share: 20 > 5"], "swap web_share -> code_share by 10"):
        out |= _effects_table(bm.effects(fit(), asked, by="lm_family"), name="in families")
    some = bm.effects(fit(), by="task_family", lm_family=["pythia", "llama-2", "olmo"])
    return out | _effects_table(some, name="of three families")


def swaps() -> Values:
    """Every substitution of ten points, and of one part by task family."""
    out = _effects_table(bm.substitutions(fit()))
    part = bm.substitutions(fit(), "code_share", points=5, by="task_family")
    return out | _effects_table(part, name="5 points")


def questions() -> Values:
    """Answers to questions of every kind."""
    out: Values = {}
    for statement, settings in QUESTIONS:
        said = "".join(f", {name}={value}" for name, value in settings.items())
        answer = bm.query(fit(), statement, **settings).to_dict()
        out |= flatten(answer, row=statement + said)
    return out


def cards() -> Values:
    """Evidence cards of contrasts."""
    out: Values = {}
    for decision, level, over in CARDS:
        card = bm.evidence(fit(), decision, level, over=over).to_dict()
        out |= flatten(card, row=f"{decision}: {level} > {over}")
    return out


def prob_helps() -> Values:
    """Probabilities of the same contrasts, overall, on a task family and on a benchmark."""
    out: Values = {}
    for decision, level, over in CARDS:
        for where in ({}, {"task_family": "math"}, {"benchmark": "xnli"}):
            found = bm.prob_helps(fit(), decision, level, over=over, **where)
            target = next(iter(where.values()), "overall")
            row = f"{decision}: {level} > {over} | {target}"
            out |= {f"{row} | estimate": found.estimate, f"{row} | mcse": found.mcse}
    return out


def curves() -> Values:
    """Curves and where they are highest; what others lose along them."""
    out: Values = {}
    for decision in ("code_share", "web_share", "context_length"):
        for by in BY[1:]:
            name = f"{decision} by {by}"
            found = bm.curve(fit(), decision, by=by)
            table = found.table().drop(columns="ci_prob")
            out |= flatten_table(table, ["target", "grid"], name=name)
            out |= flatten_table(found.optimum(), ["target"], name=f"{name}, optimum")
    found = bm.curve(fit())
    some = {"loss": ["commonsense", "language_modelling"], "weights": (2, 1)}
    for name, settings in (("all others", {}), ("two", some)):
        tradeoff = found.tradeoff(**settings)
        out |= flatten_table(tradeoff.table(), ["place"], name=f"trade-off, {name}")
        out |= flatten_table(tradeoff.path(), ["side", "grid"], name=f"trade-off, {name}")
    return out


def ranking() -> Values:
    """Ranks of the levels of every categorical decision."""
    out: Values = {}
    for decision in FACTS:
        for by in BY:
            table = bm.rank_levels(fit(), decision, by=by).table()
            table = table.drop(columns=["lms", "lm_families", "verdict"])  # as in effects
            out |= flatten_table(table, ["decision", "level", "by", "target"])
    return out


def predictions() -> Values:
    """Scores of new lms, of lms with other facts, and ranks of designs."""
    table = bm.predict(fit(), NEW_LMS, seed=3).table()
    out = flatten_table(table, ["lm", "benchmark"], name="predicted")
    for lm, by, changes in (
        ("EleutherAI/pythia-6.9b", "benchmark", {"position_embedding": "learned"}),
        ("google/gemma-7b", "task_family", {"code_share": 30, "web_share": 50}),
        ("tiiuae/falcon-7b", "benchmark", {"n_tokens": 4e12, "attention": "gqa"}),
        ("facebook/opt-6.7b", "overall", {"context_length": 8192, "n_params": 1.3e10}),
    ):
        found = bm.whatif(fit(), lm, by=by, **changes)
        out |= flatten_table(found.table(), ["lm", "change", "by", "target"], name="changed")
    for name, settings in (("all", {}), ("math", {"benchmarks": ["gsm8k", "mathqa"]})):
        ranked = bm.rank_designs(fit(), DESIGNS, budget=1e24, seed=2, **settings)
        out |= flatten_table(ranked.table(), ["lm"], name=f"designs, {name}")
        out |= flatten(ranked.left_out, row=f"designs, {name} | left out")
    return out


def draws() -> Values:
    """Draws behind tables: the first, the last, and the mean, which one other draw moves."""
    tradeoff = bm.curve(fit()).tradeoff()
    new = bm.predict(fit(), NEW_LMS, seed=3)
    changed = bm.whatif(fit(), "tiiuae/falcon-7b", n_tokens=4e12, code_share=20, attention="gqa")
    designs = bm.rank_designs(fit(), DESIGNS, seed=2)
    found = {
        "effects": bm.effects(fit(), by="benchmark").draws,
        "latent": bm.effects(fit(), scale="latent").draws,
        "of one lm": bm.effects(fit(), lms="google/gemma-7b").draws,
        "swaps": bm.substitutions(fit(), by="task_family").draws,
        "books curve": bm.curve(fit(), "books_share").draws[..., 1::8],
        "gain": tradeoff.gain[..., 1::8],
        "loss": tradeoff.loss[..., 1::8],
        "expected": new.expected,
        "observed": new.observed,
        "changed": changed.draws["changed"],
        "designs": designs.scores,
    }
    out: Values = {}
    for name, array in found.items():
        flat = array.stack(label=[dim for dim in array.dims if dim not in ("chain", "draw")])
        flat = flat.transpose("chain", "draw", "label")
        for label, values in zip(flat["label"].values, flat.values.T, strict=True):
            row = " | ".join([name, *(str(part) for part in label)])
            out[f"{row} | first"] = float(values[0, 0])
            out[f"{row} | last"] = float(values[-1, -1])
            out[f"{row} | mean"] = float(values.mean())
    return out


def checks() -> Values:
    """Checks of the fit, leave-one-out scores, and what prior and families do to effects."""
    found = bm.check(fit())
    out = flatten_table(found.table, ["parameter"], name="check")
    out |= flatten(found.values, row="check | all")
    out |= {"check | all | passed": str(found.passed)}
    loo = bm.loo(fit())
    names = ("elpd", "se", "p")
    out |= {f"loo | all | {name}": float(getattr(loo.elpd_data, name)) for name in names}
    out |= {"loo | all | bad": float(loo.n_bad)}
    for group in ("benchmark", "lm_family"):
        out |= flatten_table(loo.by(group), [group], name=f"loo by {group}")
    some = bm.prior_sensitivity(fit(), ["attention", "code_share"], by="overall")
    keys = ["decision", "level", "reference", "target"]
    out |= flatten_table(some, keys, name="power scaling")
    for statement in ("norm: rmsnorm > layernorm", "n_params: 7e9 > 1e9"):
        without = bm.leave_family_out(fit(), statement, progress=False)
        out |= flatten_table(without, ["lm_family"], name=f"without a family, {statement}")
    return out


def scoreboards() -> Values:
    """The recorded evaluation of both versions of the facts."""
    out: Values = {}
    for version in ("corrected", "as-published"):
        board = bm.load_scoreboard(version=version)
        keys = ["scheme", "model"]
        out |= flatten_table(board.table(), [*keys, "benchmark"], name=version)
        out |= flatten_table(board.means(), keys, name=f"{version}, means")
        for other in ("full", "scale"):
            found = board.differences(other)
            out |= flatten_table(found, [*keys, "reference", "average"], name=version)
        gains = board.gains("full", over="xgboost-all")
        out |= flatten_table(gains, ["scheme", "benchmark", "over"], name=f"{version}, gains")
        out |= flatten_table(board.leakage(), ["model"], name=f"{version}, leakage")
    return out


def validation() -> Values:
    """The recorded checks of the model."""
    keys = {
        "calibration": ["parameter"],
        "coverage": ["families", "heterogeneity", "facts", "decisions", "effects", "of"],
        "placebo": ["by"],
        "power": ["by", "at_least"],
        "priors": ["decision", "level", "reference"],
    }
    out: Values = {}
    for check, columns in keys.items():
        out |= flatten_table(bm.load_validation(check), columns, name=check)
    return out


def multiverse() -> Values:
    """The recorded multiverse, summed up in every way."""
    found = bm.load_multiverse()
    asked = ["statement", "target"]
    out = flatten_table(found.table(), ["specification", *asked], leave_out=["note"])
    out |= flatten_table(found.summary(), asked, name="summary")
    for choice in found.choices:
        out |= flatten_table(found.summary(by=choice), [*asked, choice], name=f"by {choice}")
    return out | flatten_table(found.influence(), [*asked, "choice"], name="influence")


def checksums() -> Values:
    """What records and fits are known by."""
    data = {version: bm.load_dataset(version=version) for version in ("corrected", "as-published")}
    sums = {name: item.checksum for name, item in data.items()}
    return dict(flatten({"default spec": bm.ModelSpec().checksum, **sums}, row="checksum")) | dict(
        flatten(
            {"spec": fit().spec.checksum, "data": fit().dataset.checksum, "shape": fit().shape},
            row="shipped posterior",
        )
    )


def ladders() -> Values:
    """Families that vary a number on purpose, beside all others."""
    out: Values = {}
    for statement in ("code_share: 20 > 5", "web_share: 80 > 40", "context_length: 8192 > 2048"):
        for by in BY:
            table = bm.ladders(fit(), statement, by=by).table()
            out |= flatten_table(table, ["target", "lm_family"], name=f"ladders, {statement}")
    return out


def tipping() -> Values:
    """Where an effect of the mix would change its sign, and what it is without each family."""
    statement = "code_share: 20 > 5"
    table = bm.tipping_point(fit(), statement, task_family="code", progress=False)
    out = flatten_table(table, ["lm_family"], name="tipping")
    for asked in (statement, "web_share: +10 from code_share"):
        table = bm.leave_family_out(fit(), asked, task_family="code", progress=False)
        out |= flatten_table(table, ["lm_family"], name=f"without a family, {asked}")
    return out


_SOURCES: dict[str, Callable[[], Values]] = {
    function.__name__: cache(function)
    for function in (
        effects, swaps, questions, cards, prob_helps, curves, ranking, predictions, draws,
        checks, scoreboards, validation, multiverse, checksums, ladders, tipping,
    )
}  # fmt: skip
_SPLIT = ("effects", "swaps", "questions", "cards")
_MIX_ONLY = ("ladders", "tipping")

ANSWERS = ("questions", "cards", "mix_evidence")
"""Blocks of plain values that may be given more keys."""


def is_mix_evidence(key: str) -> bool:
    """Say whether a value is evidence of a contrast or swap of parts of the mix."""
    words = _words(key)
    return not words.isdisjoint((*MIX, "swap")) and not EVIDENCE.isdisjoint(words)


def tolerance(key: str) -> float:
    """Say how far a value may move."""
    words = _words(key)
    is_linearised = not EVIDENCE.isdisjoint(words) or key.startswith("without a family")
    return LOOSE if is_linearised and not words.isdisjoint(SIZES) else TOLERANCE


def _words(key: str) -> set[str]:
    """Names of decisions and of values in a key."""
    return set(re.split(r"[ ,:|]+", key))


def _split(name: str, *, evidence: bool) -> Values:
    return {k: v for k, v in _SOURCES[name]().items() if is_mix_evidence(k) == evidence}


def _mix_evidence() -> Values:
    """Collect what is said of parts of the mix by other than the draws of their effects."""
    parts = {name: _split(name, evidence=True) for name in _SPLIT}
    parts |= {name: _SOURCES[name]() for name in _MIX_ONLY}
    return {f"{name} | {key}": value for name, part in parts.items() for key, value in part.items()}


def _block(name: str) -> Callable[[], Values]:
    return (lambda: _split(name, evidence=False)) if name in _SPLIT else _SOURCES[name]


BLOCKS: dict[str, Callable[[], Values]] = {
    **{name: _block(name) for name in _SOURCES if name not in _MIX_ONLY},
    "mix_evidence": _mix_evidence,
}
"""What is pinned, by name; each has a file of its own."""


def read(name: str) -> Values:
    """Read the pinned values of a block."""
    rows = json.loads((FOLDER / f"{name}.json").read_text(encoding="utf-8"))
    return {f"{row} | {key}": value for row, part in rows.items() for key, value in part.items()}


def write(name: str, values: Values) -> None:
    """Write the values of a block, a line for every row, at full precision."""
    rows: dict[str, Values] = {}
    for key, value in values.items():
        row, _, column = key.rpartition(" | ")
        rows.setdefault(row, {})[column] = value
    lines = [f"{json.dumps(row)}: {json.dumps(part)}" for row, part in rows.items()]
    text = "{\n" + ",\n".join(lines) + "\n}\n"
    (FOLDER / f"{name}.json").write_text(text, encoding="utf-8")


def same(found: float | str, pinned: float | str, *, within: float = TOLERANCE) -> bool:
    """Compare two values: strings exactly, numbers within the tolerance, NaN equals NaN."""
    if isinstance(found, str) or isinstance(pinned, str):
        return found == pinned
    if math.isnan(found) or math.isnan(pinned):
        return math.isnan(found) and math.isnan(pinned)
    return abs(found - pinned) <= within * (1 + abs(pinned)) or found == pinned


def compare(found: Values, pinned: Values, *, may_grow: bool = False) -> list[str]:
    """List what differs, the largest move first; new keys do not count in a block that may grow."""
    lost = [f"missing: {key}" for key in pinned if key not in found]
    more = [f"new: {key}" for key in found if key not in pinned and not may_grow]
    moved = [
        (key, found[key], value)
        for key, value in pinned.items()
        if key in found and not same(found[key], value, within=tolerance(key))
    ]
    moved.sort(key=lambda item: -_distance(*item[1:]))
    return lost + more + [f"moved: {key}: {was!r} -> {now!r}" for key, now, was in moved]


def _distance(found: float | str, pinned: float | str) -> float:
    """How far a number moved; infinity for anything else."""
    if isinstance(found, str) or isinstance(pinned, str):
        return math.inf
    gap = abs(found - pinned)
    return math.inf if math.isnan(gap) else gap


def main(arguments: Sequence[str]) -> None:
    """Say what differs from the pinned values, and pin them anew where that is asked for."""
    names = [name for name in arguments if name != "--write"] or list(BLOCKS)
    for name in names:
        values = BLOCKS[name]()
        pinned = read(name) if (FOLDER / f"{name}.json").is_file() else {}
        found = compare(values, pinned)
        sys.stdout.write(f"{name}: {len(values)} values, {len(found)} differ\n")
        sys.stdout.writelines(f"  {line}\n" for line in found if pinned)
        if "--write" in arguments:
            write(name, values)


if __name__ == "__main__":
    main(sys.argv[1:])
