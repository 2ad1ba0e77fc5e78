"""The design decisions whose effects are asked for: names, kinds, levels and units.

Those that the package knows are declared in the same way as those of a user's own. Nobody reads
this table but through `know_decisions`, which puts the declarations that travel with a data set,
a design or experiments over it.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from numpy.typing import NDArray

from bayesmeta.data.vocabulary import LM_VOCABULARY, MIX_COLUMNS
from bayesmeta.errors import DataError, listing, refuse, shorten, suggest

if TYPE_CHECKING:
    import pandas as pd

DISCLOSURE = "disclosure"
"""Whether anything is said of the training mix. It follows from the shares and has no column."""

UNDISCLOSED = "undisclosed"
"""The level of an LM whose choice is not recorded; its effect is reported, never absorbed."""

KINDS = ("categorical", "number", "share")
"""Levels; a number of any size; percent of something."""

_STEPS = {"categorical": 0.0, "number": 2.0, "share": 10.0}
"""Steps where none is declared; a number without logarithm has to have one."""

_NAME = re.compile(r"[a-z][a-z0-9_]{0,39}")
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?", re.IGNORECASE)
_SIGNS = set(":<>,%")
"""Signs of the grammar of statements, which no level may hold."""

_LEAST = 1e-12
"""Least number that has a logarithm here."""

_LONGEST_LINE, _LONGEST_LEVEL = 80, 40
"""Most characters of labels and units, and of levels."""


@dataclass(frozen=True, slots=True)
class Decision:
    """One design decision of an LM.

    Parameters
    ----------
    name
        Column of the table of LMs, or `disclosure`, which follows from the shares.
    kind
        `categorical`; `number`; or `share`, in percent of the training tokens or of what the unit
        says.
    label
        How answers and tables call it; the name without underscores if left out, `n_` read as
        number of.
    unit
        Unit of a number, such as `layers`; of a share what it is a percentage of.
    levels
        Words that the column of a categorical decision may hold; those that the table holds if left
        out. Of a decision that the package knows: further ones.
    reference
        Level, or number, that contrasts are shown against; the commonest level, or the median, if
        left out.
    step
        Size of the reported change of a number or share: a factor of a number with a logarithm (2
        if left out), an amount of one without, percentage points (10) of a share.
    log
        Whether a number enters as its base-2 logarithm, so that doubling it is what counts.
    merge
        Pairs (recorded word, level) where several words make one level.

    Raises
    ------
    DataError
        If a value is not allowed; the message names every one.

    Examples
    --------
    >>> DECISIONS["biases"].level_of("qkv_only")
    'partial'
    >>> Decision("optimizer", "categorical", levels=("adamw", "muon"), reference="adamw").title
    'optimizer'
    """

    name: str
    kind: str
    label: str = ""
    unit: str = ""
    levels: tuple[str, ...] = ()
    reference: str | float = ""
    step: float = 0.0
    log: bool = True
    merge: tuple[tuple[str, str], ...] = ()

    def __post_init__(self) -> None:
        """Refuse what is not allowed, all at once."""
        table = {key: getattr(self, key) for key in KEYS if getattr(self, key) != _BLANK[key]}
        if faults := list(find_faults(self.name, table)):
            name = shorten(repr(self.name))
            refuse(DataError(f"decision {name}, {key}: {said}") for key, said in faults)
        object.__setattr__(self, "levels", tuple(self.levels))
        object.__setattr__(self, "step", float(self.step or _STEPS[self.kind]))

    @property
    def title(self) -> str:
        """How answers and tables call it."""
        words = self.name.replace("_", " ")
        return self.label or re.sub("^n ", "number of ", words)

    @property
    def is_log(self) -> bool:
        """Whether it enters as its base-2 logarithm."""
        return self.kind == "number" and self.log

    @property
    def in_mix(self) -> bool:
        """Whether it is a part of the composition of the training data."""
        return self.name in MIX_COLUMNS

    @property
    def range(self) -> tuple[float, float]:
        """Least and largest value that a number or share may have."""
        if self.kind == "share":
            return 0.0, 100.0
        return (_LEAST, math.inf) if self.log else (-math.inf, math.inf)

    def to_table(self) -> dict[str, Any]:
        """List what was declared of it, by key, as a file of declarations holds it."""
        blank = {**_BLANK, "step": _STEPS[self.kind] if self.log else None}
        return {key: getattr(self, key) for key in KEYS if getattr(self, key) != blank[key]}

    def read(self, lms: pd.DataFrame) -> pd.Series:
        """Read what is recorded of every LM: words, or numbers in the units of the table.

        Returns
        -------
        pandas.Series
            With the index of the table; missing where nothing is recorded.

        Examples
        --------
        >>> from bayesmeta.data.load import load_dataset
        >>> DECISIONS["disclosure"].read(load_dataset().lms).value_counts().to_dict()
        {'disclosed': 75, 'withheld': 17}
        """
        if self.name != DISCLOSURE:
            return lms[self.name] if self.name in lms else lms["lm"].where(lms["lm"].isna())
        some = lms[list(MIX_COLUMNS)].notna().any(axis=1)
        return some.map({True: "disclosed", False: "withheld"})

    def level_of(self, word: str) -> str:
        """Translate a recorded word into the level that the model uses."""
        return dict(self.merge).get(word, word)

    def read_levels(self, lms: pd.DataFrame) -> pd.Series:
        """Read the level of every LM, `undisclosed` where nothing is recorded, as `read` does.

        Examples
        --------
        >>> from bayesmeta.data.load import load_dataset
        >>> lms = load_dataset(version="as-published").lms
        >>> int((DECISIONS["position_embedding"].read_levels(lms) == UNDISCLOSED).sum())
        37
        """
        import pandas as pd

        words = self.read(lms).astype(object)
        return words.map(lambda word: UNDISCLOSED if pd.isna(word) else self.level_of(word))

    def record(self, lms: pd.DataFrame) -> NDArray[Any]:
        """List what every LM records: levels, or numbers with NaN where there is none; (lm,)."""
        if self.kind == "categorical":
            return self.read_levels(lms).to_numpy(object)
        return self.read(lms).to_numpy(float)


KEYS = ("kind", "label", "unit", "levels", "reference", "step", "log")
"""What can be declared of a decision."""

_BLANK: dict[str, Any] = {"kind": None, "label": "", "unit": "", "levels": (), "reference": "",
                          "step": 0.0, "log": True}  # fmt: skip


def is_name(name: object) -> bool:
    """Say whether something can be the name of a decision."""
    return isinstance(name, str) and _NAME.fullmatch(name) is not None


def find_faults(name: object, table: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Report what is wrong with a declaration.

    Parameters
    ----------
    name
        Name of the decision.
    table
        What is declared of it, by key.

    Yields
    ------
    tuple of str
        Key, and what is wrong, allowed and to be done.

    Examples
    --------
    >>> [key for key, _ in find_faults("x", {"kind": "share", "step": 200, "levels": ["a"]})]
    ['levels', 'step']
    """
    if not is_name(name):
        said = (
            f"'{shorten(name)}' is no name of a column. Allowed: small letters, digits and "
            "underscores, such as optimizer, a letter first, 40 characters at most. Rename it."
        )
        yield "name", said
    for key in table:
        if key not in KEYS:
            yield key, f"the key is not known.{suggest(key, KEYS)} Allowed: {listing(KEYS)}."
    kind = table.get("kind")
    if kind not in KINDS:
        said = "it is missing." if kind is None else f"'{shorten(kind)}' is not known."
        yield "kind", f"{said}{suggest(kind, KINDS)} Allowed: {listing(KINDS)}. Set one of them."
        return
    for key in ("label", "unit"):
        if key in table and not _is_line(table[key]):
            said = (
                f"'{shorten(table[key])}' is no text that can be shown. Allowed: one line of "
                "1 to 80 characters. Fill it in, or leave the key out."
            )
            yield key, said
    if kind == "categorical":
        yield from _find_level_faults(table, known=LM_VOCABULARY.get(str(name), ()))
    else:
        yield from _find_number_faults(str(kind), table)


def _is_line(value: object) -> bool:
    """Say whether a value is text that fits on one line."""
    plain = isinstance(value, str) and value.isprintable() and len(value) <= _LONGEST_LINE
    return plain and bool(str(value).strip())


def _find_level_faults(
    table: Mapping[str, Any], *, known: Sequence[str]
) -> Iterator[tuple[str, str]]:
    """Report what is wrong with levels, some of which may be known, and what levels do not have."""
    for key in ("step", "log", "unit"):
        if key in table:
            yield key, "a categorical decision has none. Leave the key out."
    levels, reference = table.get("levels", ()), table.get("reference", "")
    if isinstance(levels, str) or not isinstance(levels, Sequence):
        said = (
            f"{shorten(levels)} is no list. Allowed: words in brackets, such as "
            '["adamw", "muon"]. Write a list.'
        )
        yield "levels", said
        return
    for level in levels:
        if fault := find_level_fault(level):
            yield "levels", fault
    twice = {str(level) for level in levels if list(levels).count(level) > 1}
    if twice:
        yield "levels", f"{listing(sorted(twice))} stands twice. Keep one."
    if "reference" in table and (not isinstance(reference, str) or not reference.strip()):
        yield "reference", f"'{shorten(reference)}' is no level. Name one, or leave the key out."
    elif reference and (known or levels) and reference not in (*known, *levels):
        every = [*known, *levels]
        said = (
            f"'{shorten(reference)}' is not one of the levels.{suggest(reference, every)} "
            f"Allowed: {listing(every)}. Name one of them, or add it to the levels."
        )
        yield "reference", said


def find_level_fault(level: object) -> str:
    """Say what is wrong with the word of a level; nothing where it is fine."""
    if not _is_line(level) or set(str(level)) & _SIGNS or len(str(level)) > _LONGEST_LEVEL:
        return (
            f"'{shorten(level)}' is no word of a level. Allowed: text of 1 to 40 characters "
            f"without any of {' '.join(sorted(_SIGNS))}. Rename it."
        )
    if _NUMBER.fullmatch(str(level)):
        return f"'{level}' is a number. Name the level, such as v{level}, or declare kind number."
    if level == UNDISCLOSED:
        return f"'{level}' is what blank cells are called. Leave the cell blank, or rename it."
    return ""


def _find_number_faults(kind: str, table: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Report what is wrong with the keys of a number or share."""
    if "levels" in table:
        yield "levels", f"a {kind} has none. Leave the key out, or declare kind categorical."
    log = table.get("log", True)
    if "log" in table and (kind == "share" or not isinstance(log, bool)):
        why = "a share has no logarithm." if kind == "share" else f"{shorten(log)} is not known."
        yield "log", f"{why} Allowed: true or false, of a number. Correct it or leave it out."
        return
    is_log = kind == "number" and log
    step, low = table.get("step", _STEPS[kind]), 1.0 if is_log else 0.0
    most = 100.0 if kind == "share" else math.inf
    if not _is_number(step) or not low < step <= most:
        upper = " and up to 100, in percentage points" if kind == "share" else ""
        what = "a factor" if is_log else "an amount"
        said = f"'{shorten(step)}' is no step. Allowed: {what} above {low:g}{upper}. Correct it."
        yield "step", said
    elif kind == "number" and not log and "step" not in table:
        yield "step", "a number without logarithm needs one: the change whose effect is shown."
    value = table.get("reference", "")
    least = 0.0 if kind == "share" else _LEAST if is_log else -math.inf
    if "reference" in table and not (_is_number(value) and least <= value <= most):
        yield "reference", f"'{shorten(value)}' is no {kind} that it can have. Correct it."


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


_PARTIAL = (
    ("qkv_only", "partial"),
    ("no_qkv", "partial"),
    ("no_attn", "partial"),
    ("ln_only", "partial"),
    ("attn_only", "partial"),
    ("some", "partial"),
)
_SAME_ACTIVATION = (("gelu_new", "gelu"), ("gelu_fast", "gelu"), ("silu", "swiglu"))


def _levels(name: str, merge: tuple[tuple[str, str], ...] = ()) -> Decision:
    return Decision(name, "categorical", levels=LM_VOCABULARY[name], merge=merge)


def _share(name: str, label: str = "") -> Decision:
    return Decision(name, "share", label=label, unit="% of training tokens")


DECISIONS: dict[str, Decision] = {
    decision.name: decision
    for decision in (
        _levels("position_embedding"),
        _levels("norm"),
        _levels("attention", merge=(("mha_local", "mha"),)),
        # Six ways of having some biases occur in one to four families each: one level.
        _levels("biases", merge=_PARTIAL),
        _levels("block"),
        _levels("activation", merge=_SAME_ACTIVATION),
        _levels("weight_tying"),
        _share("code_share"),
        _share("web_share"),
        _share("books_share"),
        _share("reference_share"),
        _share("academic_share"),
        _share("english_share", "English share"),
        Decision(DISCLOSURE, "categorical"),
        Decision("context_length", "number"),
        Decision("mlp_ratio", "number", label="MLP ratio"),
    )
}
"""Every decision that the package knows and tables can inform, by name."""

SIZES: dict[str, Decision] = {
    "n_params": Decision("n_params", "number", label="number of parameters"),
    "n_tokens": Decision("n_tokens", "number", label="training tokens"),
}
"""Size and data: no decisions of the matrix, but they can be asked for in the same way."""

DEFAULT_DECISIONS: tuple[str, ...] = tuple(DECISIONS)
"""What a model takes that names no decisions: these, and all that a data set declares."""


def know_decisions(own: Iterable[Decision] = ()) -> dict[str, Decision]:
    """List the decisions that are known where some are declared: built-in ones, then the others.

    Examples
    --------
    >>> mla = Decision("attention", "categorical", levels=("mla",))
    >>> know_decisions([mla])["attention"].levels
    ('mha', 'gqa', 'mqa', 'mha_local', 'mla')
    """
    known = dict(DECISIONS)
    for one in own:
        built_in = DECISIONS.get(one.name)
        known[one.name] = one if built_in is None else _extend(built_in, one)
    return known


def know_facts(own: Iterable[Decision] = ()) -> dict[str, Decision]:
    """List whatever a question may set: decisions, size and data."""
    return {**know_decisions(own), **SIZES}


def _extend(built_in: Decision, own: Decision) -> Decision:
    """Add the levels that are declared of a built-in decision, and its reference or step."""
    new = tuple(level for level in own.levels if level not in built_in.levels)
    return replace(
        built_in,
        levels=(*built_in.levels, *new),
        reference=own.reference or built_in.reference,
        step=own.step if own.kind != "categorical" else built_in.step,
    )


def join_decisions(
    first: Sequence[Decision], second: Sequence[Decision], *, where: tuple[str, str]
) -> tuple[Decision, ...]:
    """Put declarations together; the levels of one that is in both are those of both.

    Raises
    ------
    DataError
        If both declare one decision in different ways.

    Examples
    --------
    >>> a, b = (Decision("optimizer", "categorical", levels=(x,)) for x in ("adamw", "muon"))
    >>> join_decisions([a], [b], where=("one", "two"))[0].levels
    ('adamw', 'muon')
    """
    found = {one.name: one for one in first}
    for one in second:
        old = found.setdefault(one.name, one)
        levels = tuple(dict.fromkeys([*old.levels, *one.levels]))
        reference = old.reference if old.reference != "" else one.reference
        joined = replace(old, levels=levels, reference=reference)
        if replace(one, levels=levels, reference=one.reference or reference) != joined:
            differ = [k for k in KEYS if k != "levels" and getattr(old, k) != getattr(one, k)]
            raise DataError(
                f"decision '{one.name}' is declared in {where[0]} and in {where[1]} with another "
                f"{listing(differ)}. Allowed: one declaration. Correct one, or rename it."
            )
        found[one.name] = joined
    return tuple(found.values())
