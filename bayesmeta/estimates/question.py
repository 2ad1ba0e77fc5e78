"""What is asked: statements, decisions, levels and values, read once from the words of a user.

A statement is a contrast of two levels or values of a decision, or a substitution in the training
mix. Either says what two sets of facts it compares; nothing downstream asks which of them it is.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from bayesmeta.data.decisions import SIZES, UNDISCLOSED, Decision, know_facts
from bayesmeta.data.vocabulary import COUNT_RANGE
from bayesmeta.design.composition import DOMAINS
from bayesmeta.errors import QueryError, listing, name_given, shorten, unknown
from bayesmeta.estimates.phrases import (
    FORMS,
    Amount,
    Compared,
    Moved,
    Named,
    Vocabulary,
    build_vocabulary,
    find_names,
    fold,
    read_amount,
    read_count,
    read_phrase,
    write_amount,
)
from bayesmeta.model.predictor import Array

if TYPE_CHECKING:
    from bayesmeta.design.facts import Design, Facts, Settings
    from bayesmeta.inference.fits import Fit


UNITS = "percentage points"
UNITS_APART = "hundredths of the range"
"""Unit of effects on a benchmark whose scores are fractions of a declared range."""

SCALES = {"score": UNITS, "latent": "latent units"}
"""Scales on which an effect may be asked for, and their units."""

BY = ("benchmark", "task_family", "overall")
"""Over what an effect is averaged: one benchmark, a task family's benchmarks, all of them."""

LM_FAMILY = "lm_family"
"""Another kind of target: all benchmarks, and the LMs of one family."""

Sizes = tuple[tuple[str, float], ...]
"""Size and tokens that all LMs are given, by name; none as they are."""

Names = str | Sequence[str] | None
"""One name, several, or none for all."""

_PLAIN = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?", re.ASCII | re.IGNORECASE)
"""A number as one types it; `float` would also read 2_0 and digits of other scripts."""

_LIKELY = {"n_params": "14B > 7B", "n_tokens": "2T > 1T"}
"""Values of sizes that are asked about where none are named."""

_LARGE = 1e7
ROUNDING = 1e-9
"""Rounding error of a share, as a fraction of the mix."""

_MOST = 500
"""Characters of a statement; no names are so long."""


@dataclass(frozen=True, slots=True)
class Put:
    """One side of a statement: every LM is given a level or value."""

    name: str
    value: str | float

    def of(self, facts: Facts) -> Facts:
        """Change the facts."""
        return facts.put({self.name: self.value})


@dataclass(frozen=True, slots=True)
class Move:
    """One side of a statement: every LM has points of its training mix moved."""

    receiver: str
    donor: str
    points: float

    def of(self, facts: Facts) -> Facts:
        """Change the facts; with no points they stay as they are."""
        if not self.points:
            return facts
        return facts.move(self.receiver, donor=self.donor, amount=self.points / 100)


Side = Put | Move


@dataclass(frozen=True, slots=True)
class Contrast:
    """A decision at one level against another, all other recorded facts held as they are.

    Parameters
    ----------
    decision
        Name of the decision.
    level, reference
        Two levels of a categorical decision, or two values in the units of the table.
    declared
        What the data say of the decision, where it is not built in.

    Examples
    --------
    >>> Contrast("norm", level="rmsnorm", reference="layernorm").label
    'norm: rmsnorm > layernorm'
    """

    decision: str
    level: str | float
    reference: str | float
    declared: Decision | None = field(default=None, compare=False, repr=False)

    @property
    def about(self) -> Decision:
        """The decision or size that it is about; one that nobody declared as its sides are."""
        known = self.declared or know_facts().get(self.decision)
        is_word = isinstance(self.level, str)
        return known or Decision(self.decision, "categorical" if is_word else "number")

    @property
    def label(self) -> str:
        """The statement that the effect is positive; shares that might be fractions have units."""
        level, reference = (format_level(side) for side in (self.level, self.reference))
        unit = "%" * may_be_fractions(self.about, (self.level, self.reference))
        return f"{self.decision}: {level}{unit} > {reference}{unit}"

    @property
    def parts(self) -> tuple[str, ...]:
        """Decisions and parts of the training mix that it changes on purpose."""
        return (self.decision,)

    @property
    def sides(self) -> tuple[Side, Side]:
        """What is compared: the level, and the reference."""
        return Put(self.decision, self.level), Put(self.decision, self.reference)

    @property
    def needs(self) -> str:
        """What an LM has to record: nothing."""
        return ""

    def applies(self, design: Design) -> NDArray[np.bool_]:
        """Say which LMs the statement can be made of, shape (lm,): all."""
        return np.ones(len(design.lms), bool)


@dataclass(frozen=True, slots=True)
class Substitution:
    """Points of the training mix moved from one part to another, all other parts held as they are.

    Parameters
    ----------
    decision
        The part that grows.
    donor
        The part that shrinks.
    points
        What moves, in percent of the training tokens.

    Examples
    --------
    >>> Substitution("code_share", donor="web_share", points=10).label
    'code_share: +10 from web_share'
    """

    decision: str
    donor: str
    points: float

    @property
    def about(self) -> Decision:
        """A share of the training tokens, as every part of the mix is."""
        return Decision(self.decision, "share")

    @property
    def level(self) -> str:
        """What the growing part gains, as a table of effects shows it."""
        return f"+{self.points:.10g}{'%' * (self.points < 1)}"

    @property
    def reference(self) -> str:
        """Where it comes from."""
        return self.donor

    @property
    def label(self) -> str:
        """The statement that the effect is positive."""
        return f"{self.decision}: {self.level} from {self.donor}"

    @property
    def parts(self) -> tuple[str, ...]:
        """Parts of the training mix that it changes on purpose."""
        return (self.decision, self.donor)

    @property
    def sides(self) -> tuple[Side, Side]:
        """What is compared: the mix with points moved, and as it is."""
        moved = Move(self.decision, self.donor, self.points)
        return moved, Move(self.decision, self.donor, 0.0)

    @property
    def needs(self) -> str:
        """What an LM has to record."""
        return f"{self.points:g} percent of {self.donor}"

    def applies(self, design: Design) -> NDArray[np.bool_]:
        """Say which LMs record as much of the donor as moves, shape (lm,)."""
        return recorded_part(design, self.donor) >= self.points / 100 - ROUNDING


Statement = Contrast | Substitution
"""What an effect may be asked of."""


def parse_statement(design: Design, statement: str) -> Statement:
    """Read a statement such as `position_embedding: rotary > learned`.

    Parameters
    ----------
    design
        What is known.
    statement
        `DECISION: A > B`; `DECISION: A < B`, which asks for the opposite; the same of two values of
        `n_params` or `n_tokens`; or `PART: +POINTS from PART`, also written
        `swap PART -> PART by POINTS`, which moves points of the training mix.

    Returns
    -------
    Contrast or Substitution
        A against B, or the substitution.

    Raises
    ------
    QueryError
        If it has another form, or names what is not known.

    Examples
    --------
    >>> import bayesmeta as bm
    >>> design = bm.load_reference_fit().design
    >>> parse_statement(design, "norm: layernorm < rmsnorm").label
    'norm: rmsnorm > layernorm'
    """
    read = _read_statement(design, statement)
    if isinstance(read, Named):
        asked = (f"'{one.label}'" for one in _list_named(design, read))
        raise QueryError(
            f"statement '{shorten(statement)}' cannot be read as one: it names {read.decision} and "
            f"nothing to compare. Ask one of: {listing(asked)}; or bm.effects for all."
        )
    return read


def read_label(label: str) -> Statement:
    """Read a statement back from its label, without a fit.

    Raises
    ------
    ValueError
        If it is no label of a statement.

    Examples
    --------
    >>> read_label("code_share: 20 > 5").level
    20.0
    """
    if move := _split_move(label):
        return Substitution(move[0], donor=move[1], points=float(move[2].removesuffix("%")))
    contrast = _split_contrast(label)
    if contrast is None:
        raise ValueError(f"'{shorten(label)}' is no label of a statement.")
    plain = (side.removesuffix("%") for side in contrast[1:])
    high, low = (float(side) if _PLAIN.fullmatch(side) else side for side in plain)
    return Contrast(contrast[0], level=high, reference=low)


def list_statements(design: Design, text: str) -> list[Statement]:
    """List what a text asks: one statement, or all of the decision or level that it names.

    Raises
    ------
    QueryError
        If it cannot be read.

    Examples
    --------
    >>> import bayesmeta as bm
    >>> design = bm.load_reference_fit().design
    >>> [statement.label for statement in list_statements(design, "GQA")]
    ['attention: gqa > mha', 'attention: gqa > mqa']
    """
    read = _read_statement(design, text)
    return _list_named(design, read) if isinstance(read, Named) else [read]


def _list_named(design: Design, named: Named) -> list[Statement]:
    """List the contrasts of a decision, or of one level with all others, the commonest first."""
    if named.decision in SIZES and design.knows_sizes:
        high, low = _LIKELY[named.decision].split(" > ")
        return [build_contrast(design, decision=named.decision, level=high, reference=low)]
    shown = default_contrasts(design, named.decision)
    if not named.level:
        return [*shown]
    others = dict.fromkeys([one.reference for one in shown] + [one.level for one in shown])
    about = find_decision(design, named.decision)
    return [Contrast(named.decision, level=named.level, reference=other, declared=about)
            for other in others if other not in (named.level, UNDISCLOSED)]  # fmt: skip


def _read_statement(design: Design, text: object) -> Statement | Named:
    """Read a text: as the grammar has it, or as two sides behind the name of a decision."""
    if not isinstance(text, str) or len(text) > _MOST:
        raise QueryError(f"statement '{shorten(text)}' cannot be read. {FORMS}")
    words = " ".join(text.replace("\N{RIGHTWARDS ARROW}", "->").split())
    move, contrast = _split_move(words), _split_contrast(words)
    try:
        if move:
            receiver, donor, points = move
            return build_substitution(design, receiver=receiver, donor=donor, points=points)
        if contrast and (contrast[0] in design.known_facts or contrast[0] in design.domains):
            return _contrast_as_typed(design, *contrast)
    except QueryError as error:
        return _read_words(design, text, error=error)
    return _read_words(design, text, form=contrast)


def _split_contrast(text: str) -> tuple[str, str, str] | None:
    """Split `NAME: A > B`, or `NAME: B < A`, into its three texts; None for any other."""
    name, _, rest = text.partition(":")
    if "->" in rest or "=>" in rest:  # a change, whose second side is asked about
        return None
    for sign, order in ((">", 1), ("<", -1)):
        high, found, low = rest.partition(sign)
        parts = _plain_parts(name, *(high, low)[::order])
        if found and parts:
            return parts
    return None


def _split_move(text: str) -> tuple[str, str, str] | None:
    """Split a substitution into receiver, donor and points; None where it is no such form."""
    if text[:5].lower() == "swap ":
        donor, _, rest = text[5:].partition("->")
        receiver, _, points = rest.partition(" by ")
    else:
        receiver, _, rest = text.partition(":")
        points, _, donor = rest.partition(" from ")
    return _plain_parts(receiver, donor, points.strip().removeprefix("+"))


def _plain_parts(*texts: str) -> tuple[str, str, str] | None:
    """Strip three texts; None where one is empty or holds a sign of the grammar."""
    first, second, third = (text.strip() for text in texts)
    signs = set(first + second + third) & set(":<>")
    return (first, second, third) if first and second and third and not signs else None


def _contrast_as_typed(design: Design, decision: str, level: Any, reference: Any) -> Contrast:
    """Check a contrast, and ask back where a share may be a fraction."""
    ask_unit(design, decision, (level, reference))
    return build_contrast(design, decision=decision, level=level, reference=reference)


def _read_words(
    design: Design, text: str, *, error: QueryError | None = None, form: Sequence[str] | None = None
) -> Statement | Named:
    """Read a text by its words; what has the form of a statement is refused by its parts."""
    try:
        read = read_phrase(text, list_words(design), counts=_list_counts(design))
        return _build_read(design, read)
    except QueryError:
        if error is not None:
            raise error from None
        if form:
            build_contrast(design, decision=form[0], level=form[1], reference=form[2])
        raise


def _list_counts(design: Design) -> dict[str, tuple[float, float]]:
    """Give the least and the largest recorded count of what is counted in tokens or parameters."""
    names = [*(SIZES if design.knows_sizes else ()), "context_length"]
    values = {name: np.asarray(design.recorded.get(name, ()), float) for name in names}
    known = {name: one[~np.isnan(one)] for name, one in values.items()}
    return {name: (float(v.min()), float(v.max())) for name, v in known.items() if len(v)}


def _build_read(design: Design, read: Compared | Moved | Named) -> Statement | Named:
    """Check what was read against the fit."""
    if isinstance(read, Named):
        return read
    if isinstance(read, Moved):
        points = write_amount(read.points)
        return build_substitution(design, receiver=read.receiver, donor=read.donor, points=points)
    sides = (s if isinstance(s, str) else write_amount(s) for s in (read.high, read.low))
    return _contrast_as_typed(design, read.decision, *sides)


def build_contrast(
    design: Design, *, decision: str, level: str | float, reference: str | float
) -> Contrast:
    """Check two levels of a decision, or two values of `n_params` or `n_tokens`.

    Raises
    ------
    QueryError
        If the decision or one of the levels is not known to the fit, or both sides are
        the same.

    Examples
    --------
    >>> import bayesmeta as bm
    >>> design = bm.load_reference_fit().design
    >>> build_contrast(design, decision="code_share", level="20", reference=10).level
    20.0
    """
    decision = resolve_decision(design, decision)
    high, low = (read_value(design, decision, side) for side in (level, reference))
    about = design.known_facts.get(decision)
    contrast = Contrast(decision, level=high, reference=low, declared=about)
    if high == low:
        raise QueryError(
            f"'{contrast.label}' compares a level with itself. Name two different ones."
        )
    return contrast


def build_substitution(
    design: Design, *, receiver: str, donor: str, points: str | float
) -> Substitution:
    """Check two parts of the training mix, and the points that move, in percent of the tokens.

    Raises
    ------
    QueryError
        If a part is not in the data, both are the same, the points are out of range, or no LM
        records that much of the donor.

    Examples
    --------
    >>> import bayesmeta as bm
    >>> design = bm.load_reference_fit().design
    >>> build_substitution(design, receiver="code_share", donor="web_share", points="10").points
    10.0
    """
    parts = [find_part(design, name) for name in (receiver, donor)]
    found = Substitution(parts[0], donor=parts[1], points=_read_points(points))
    receiver, donor = parts
    if receiver == donor:
        raise QueryError(
            f"'{found.label}' takes from a part what it gives to it. Name two different parts of: "
            f"{listing(design.domains)}."
        )
    if not found.applies(design).any():
        most = 100 * float(np.nanmax(recorded_part(design, donor)))
        raise QueryError(
            f"'{found.label}' cannot be averaged: no LM records {found.points:g} percent of "
            f"{donor}; the most is {most:.3g}. Move fewer points, or take them from another part."
        )
    return found


def list_substitutions(
    design: Design, *, receiver: str | None, points: str | float
) -> list[Substitution]:
    """List what at least one LM can move, to one receiver or to every part in turn."""
    _check_mix(design)
    parts = design.domains if receiver is None else (find_part(design, receiver),)
    moved = _read_points(points)
    pairs = [Substitution(part, donor=d, points=moved) for part in parts for d in design.domains]
    possible = [s for s in pairs if s.decision != s.donor and s.applies(design).any()]
    if not possible:
        raise QueryError(
            f"no LM records {moved:g} percent of a part that could be given. Move fewer points."
        )
    return possible


def recorded_part(design: Design, name: str) -> Array:
    """List recorded fractions of one part of the mix, NaN where missing, shape (lm,)."""
    assert design.mix is not None
    return design.mix.recorded[:, design.domains.index(name)]


def find_part(design: Design, name: str) -> str:
    """Look up a part of the training mix."""
    _check_mix(design)
    name = resolve_decision(design, name)
    if name not in design.domains:
        why = "No LM of this fit's data records it." * (name in DOMAINS)
        said = "is not in the training mix of this fit"
        raise unknown(QueryError, "part", name, design.domains, said=said, why=why)
    return name


def _check_mix(design: Design) -> None:
    if design.mix is None:
        raise QueryError(
            "this fit has no training mix to move parts of. Fit a spec with decisions such as "
            "'code_share', on data in which at least one LM records all parts."
        )


def _read_points(points: str | float) -> float:
    amount = as_amount(points)
    value = math.nan if amount is None or amount.unit not in ("", "%") else amount.value
    if not 0 < value <= 100:
        raise QueryError(
            f"points '{points}' are not allowed. Allowed: a number above 0 and up to 100 (percent "
            "of the training tokens), as in 'code_share: +10 from web_share'."
        )
    if isinstance(points, str) and value < 1 and amount is not None and not amount.unit:
        raise QueryError(
            f"points '{points}' look like a fraction, and points are percent of the training "
            f"tokens. Which is meant: {100 * value:.10g}% or {value:.10g}%? Write the sign."
        )
    return value


def list_decisions(design: Design) -> list[str]:
    """List the decisions that can be asked for."""
    known = (*design.domains, *design.decisions)
    return [name for name in design.known_decisions if name in known]


def list_levels(design: Design, decision: str) -> list[str]:
    """List the levels of a categorical decision that occur in the data."""
    return [term.level for term in design.terms if term.decision == decision]


def list_words(design: Design) -> Vocabulary:
    """List what the words of a fit mean."""
    sizes, decisions = SIZES if design.knows_sizes else {}, design.known_decisions
    known = {name: list_levels(design, name) if decisions[name].kind == "categorical" else ()
             for name in list_decisions(design)}  # fmt: skip
    levels = {**known, **dict.fromkeys((*sizes, *design.domains), ())}
    return build_vocabulary(levels, decisions=decisions)


def find_decision(design: Design, name: str) -> Decision:
    """Look up a decision.

    Raises
    ------
    QueryError
        If it is not in the fit.
    """
    allowed = list_decisions(design)
    name = resolve_decision(design, name)
    if isinstance(name, str) and name in allowed:
        return design.known_decisions[name]
    if isinstance(name, str) and name in SIZES and design.knows_sizes:
        raise QueryError(
            f"'{name}' is no design decision, and has no effect of a step to list. Ask for two "
            f"values of it, such as '{name}: {_LIKELY[name]}'."
        )
    if not allowed:
        raise QueryError(
            f"decision '{name}' cannot be asked for: this fit has no decisions (a scale-only "
            "model). Fit a spec with decisions."
        )
    if isinstance(name, str) and any(sign in name for sign in ":<>"):
        raise QueryError(
            f"'{shorten(name)}' is a statement where the name of a decision is wanted, or one "
            f"without its colon. Allowed: {listing(allowed)}. Statements, such as 'attention: gqa "
            "> mha', are taken by bm.query and bm.effects."
        )
    why = explain_absence(design, name)
    raise unknown(QueryError, "decision", name, allowed, said="is not in this fit", why=why)


def resolve_decision(design: Design, name: Any) -> Any:
    """Find the decision or size that a text, or a level of it, names; any other text stays."""
    if not isinstance(name, str) or name in design.known_facts or name in design.domains:
        return name
    meanings = list_words(design).get(fold(name), ())
    for kind in ("decision", "level"):
        meant = {m.name for m in meanings if m.kind == kind and m.alone}
        if len(meant) == 1:
            return meant.pop()
    return name


def explain_absence(design: Design, name: object) -> str:
    """Say why a decision that is known is not in a fit."""
    known = isinstance(name, str) and name in design.known_decisions
    return "It does not vary in this fit's data or was left out of its spec." * known


def read_value(design: Design, name: str, value: str | float) -> str | float:
    """Check a level, or a value in the units of the table, of a decision or size.

    A level may be written as people call it; a number may have `%`, or k, M, B, T.
    """
    if isinstance(name, str) and name in SIZES and design.knows_sizes:
        count = _read_number(value)
        if not COUNT_RANGE[0] <= count <= COUNT_RANGE[1]:
            from bayesmeta.data.schema import get_column

            expects = replace(get_column("lms", name=name), filled=True).expects
            raise QueryError(f"{name} is '{shorten(value)}'. {expects} Write 7e9, or 7B.")
        return count
    decision = find_decision(design, name)
    if decision.kind == "categorical":
        return _read_word(design, decision, value)
    return _read_quantity(decision, value)


def read_sizes(design: Design, at: Settings | None, *, compared: Sequence[str] = ()) -> Sizes:
    """Read the size and tokens that LMs are given, once; not those that are compared.

    Raises
    ------
    QueryError
        If a name is none of a size or is given twice, or a value no size.
    """
    if at is None:
        return ()
    if not isinstance(at, Mapping):
        raise QueryError(
            f"at is {shorten(at)}. Allowed: sizes by name, such as "
            "{'n_params': 7e9, 'n_tokens': 2e12}; leave it out for LMs of their own size."
        )
    sizes: dict[str, float] = {}
    for given, value in at.items():
        name = resolve_decision(design, given)
        if name not in SIZES:
            raise unknown(QueryError, "at", name, SIZES)
        if name in sizes:
            raise QueryError(f"at gives {name} twice, as '{shorten(value)}' too. Give it once.")
        sizes[name] = float(read_value(design, name, value))
    for name in set(sizes) & set(compared):
        raise QueryError(
            f"at gives {name}, of which the statement compares two values. Allowed beside it: "
            f"{listing(one for one in SIZES if one != name)}. Leave {name} out of at."
        )
    return tuple(sizes.items())


def _read_word(design: Design, decision: Decision, level: str | float) -> str:
    levels = list_levels(design, decision.name)
    word = str(level)
    word = word if word in levels else decision.level_of(word)
    if word not in levels:
        meant = {m.level for m in list_words(design).get(fold(word), ())
                 if m.kind == "level" and m.name == decision.name}  # fmt: skip
        word = meant.pop() if len(meant) == 1 else word
    if word not in levels:
        said = f"of {decision.name} is not in this fit"
        raise unknown(QueryError, "level", level, levels, said=said)
    return word


def _read_quantity(decision: Decision, level: str | float) -> float:
    is_share, (low, top) = decision.kind == "share", decision.range
    unit = decision.unit or ("%" if is_share else "the table's unit")
    unit = unit.replace("%", "percent") if is_share else unit
    value = _read_number(level, decision)
    if not (low <= value <= top) or math.isinf(value):
        bounds = f" from 0 to {top:g}" if is_share else " from 0 up, without zero" * decision.log
        example = f"{decision.name}: {'20% > 10%' if is_share else '4 > 2'}"
        raise QueryError(
            f"value '{shorten(level)}' of {decision.name} is not allowed. Allowed: a number"
            f"{bounds} ({unit}), as in '{example}'."
        )
    return value


def as_amount(value: object) -> Amount | None:
    """Read a number with the unit that was typed; None where it is none."""
    if isinstance(value, str) and not _PLAIN.fullmatch(value.strip()):
        return read_amount(value)
    try:
        return None if isinstance(value, bool) else Amount(float(value), "")  # type: ignore[arg-type]
    except (TypeError, ValueError, OverflowError):
        return None


def _read_number(value: object, decision: Decision | None = None) -> float:
    """Read a number in the unit of a decision, or a count; NaN where it is none."""
    amount = as_amount(value)
    if amount is None:
        return math.nan
    if decision is not None and decision.kind == "share":
        return amount.value if amount.unit in ("", "%") else math.nan
    if not amount.unit:
        return amount.value
    powers = decision is not None and decision.name == "context_length"
    count = read_count(amount, powers_of_two=powers)
    return math.nan if count is None else count


def format_level(level: str | float) -> str:
    """Write a level or a value as a user would type it; counts of tokens as 2e12."""
    if isinstance(level, str):
        return level
    return re.sub(r"e\+0*", "e", f"{level:.{10 if abs(level) < _LARGE else 4}g}")


def may_be_fractions(decision: Decision, values: Sequence[float | str]) -> bool:
    """Say whether shares, meant in percent, are all so small that they look like fractions."""
    if decision.kind != "share":
        return False
    return all(isinstance(x, int | float) and 0 <= x <= 1 for x in values) and any(values)


def ask_unit(design: Design, decision: str, values: Sequence[Any]) -> None:
    """Ask back where shares of at most 1 are given without a unit.

    Raises
    ------
    QueryError
        With both readings.
    """
    name = resolve_decision(design, decision)
    about = design.known_facts.get(name) if isinstance(name, str) else None
    if about is None or about.kind != "share":
        return
    amounts = [as_amount(value) for value in values]
    if any(one is None or one.unit for one in amounts):
        return
    numbers = [one.value for one in amounts if one is not None]
    if not may_be_fractions(about, numbers):
        return
    readings = [" > ".join(f"{f * x:.10g}%" for x in numbers) for f in (100, 1)]
    raise QueryError(
        f"{name} is {' > '.join(format_level(x) for x in numbers)}: shares are in percent, and "
        f"these look like fractions. Which is meant: '{name}: {readings[0]}' or '{name}: "
        f"{readings[1]}'? Write the sign."
    )


def find_name(
    name: Any,
    allowed: Sequence[str],
    what: str,
    said: str = "is not in this fit",
    *,
    labels: Sequence[str] = (),
    mend: str = "Correct the name.",
) -> str:
    """Find the one name that is meant; refuse none and several."""
    if isinstance(name, str) and name in allowed:
        return name
    found = find_names(name, allowed, labels=labels)
    if len(found) > 1:
        raise QueryError(f"{what} '{shorten(name)}' may be {listing(found)}. Name one of them.")
    if not found:
        raise unknown(QueryError, what, name, allowed, said=said, mend=mend)
    return found[0]


def default_contrasts(design: Design, decision: str) -> tuple[Contrast, ...]:
    """List the contrasts that a table of effects shows for a decision.

    Every level of a categorical decision against the commonest one; one step up from the median
    of a numeric one; either against its declared reference, where there is one.
    """
    found = find_decision(design, decision)
    decision, values = found.name, design.recorded[found.name]
    if found.kind == "categorical":
        known = list_levels(design, decision)
        common = Counter(level for level in values if level != UNDISCLOSED).most_common(1)[0][0]
        common = found.reference if found.reference in known else common
        return tuple(
            Contrast(decision, level=level, reference=common, declared=found)
            for level in known
            if level != common
        )
    low = found.reference if found.reference != "" else _choose_start(found, values)
    high = float(low) * found.step if found.is_log else float(low) + found.step
    return (Contrast(decision, level=high, reference=float(low), declared=found),)


def _choose_start(decision: Decision, values: Array) -> float:
    """Choose where a step begins: at the median, or lower where it would leave what is recorded."""
    median, top = float(np.nanmedian(values)), float(np.nanmax(values))
    if decision.kind == "share":
        return float(max(0.0, min(round(median), top - decision.step)))
    return min(median, top / decision.step if decision.is_log else top - decision.step)


def check_fit(fit: Fit) -> None:
    """Refuse what is no fit of language models and their scores."""
    from bayesmeta.inference.fits import EffectSizeFit, Fit

    if isinstance(fit, Fit):
        return
    known = "a Fit, such as bm.load_reference_fit() or bm.load_fit(path)"
    if isinstance(fit, EffectSizeFit):
        more = "Of a fit of effect sizes ask bm.summary, bm.study_table and bm.predict_effects."
    elif isinstance(fit, str):
        more = (
            "The fit comes first, then what is asked: bm.query(fit, 'attention: gqa > mha'). A "
            "saved fit is read by bm.load_fit."
        )
    else:
        more = "Make one of a dataset by bm.fit(data)."
    raise QueryError(f"fit is {name_given(fit)}. Allowed: {known}. {more}")


def refuse_prior(fit: Fit) -> None:
    """Refuse draws of the prior where it is asked what the data say."""
    check_fit(fit)
    if fit.is_prior:
        raise QueryError(
            "these are draws of the prior: no data stand behind them, and there is nothing to "
            "weigh or to claim. Allowed: a posterior, such as bm.load_reference_fit(). Of prior "
            "draws ask bm.effects or bm.prob_helps."
        )


def list_apart(design: Design) -> tuple[str, ...]:
    """Name the targets with a unit of their own: such benchmarks, and their task families."""
    alone = {
        design.task_families[k]
        for name, k in zip(design.benchmarks, design.task_family_index, strict=True)
        if name in design.apart
    }
    return (*design.apart, *alone)


def check_seed(seed: int) -> None:
    """Refuse a seed that is none."""
    is_whole = isinstance(seed, int | np.integer) and not isinstance(seed, bool)
    if not is_whole or seed < 0:
        raise QueryError(f"seed is {shorten(seed)}. Allowed: a whole number from 0 up, such as 1.")
