"""What is asked: statements, targets and LMs, parsed once from the words of a user.

A statement is a contrast of two levels or values of a decision, or a substitution in the training
mix. Either says what two sets of facts it compares; nothing downstream asks which of them it is.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from bayesmeta.data.vocabulary import COUNT_RANGE
from bayesmeta.design.composition import DOMAINS
from bayesmeta.design.decisions import DECISIONS, SIZES, UNDISCLOSED, Decision
from bayesmeta.errors import BayesmetaError, QueryError, listing, shorten, suggest, unknown
from bayesmeta.model.predictor import Array

if TYPE_CHECKING:
    from bayesmeta.design.facts import Design, Facts
    from bayesmeta.inference.fits import Fit


UNITS = "percentage points"
SCALES = {"score": UNITS, "latent": "latent units"}
"""Scales on which an effect may be asked for, and their units."""

BY = ("benchmark", "task_family", "overall")
"""Over what an effect is averaged: one benchmark, a task family's benchmarks, all of them."""

LM_FAMILY = "lm_family"
"""Another kind of target: all benchmarks, and the LMs of one family."""

Names = str | Sequence[str] | None
"""One name, several, or none for all."""

ROUNDING = 1e-9
"""Rounding error of a share, as a fraction of the mix."""

_LARGE = 1e7
_PLAIN = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?", re.ASCII | re.IGNORECASE)
"""A number as one types it; `float` would also read 2_0 and digits of other scripts."""

_STATEMENT = re.compile(
    r"^\s*(?P<name>[^:<>]+?)\s*:\s*(?P<a>[^<>]+?)\s*(?P<op>[<>])\s*(?P<b>[^<>]+?)\s*$"
)
_SUBSTITUTIONS = (
    re.compile(
        r"^\s*(?P<name>[^:<>]+?)\s*:\s*\+?\s*(?P<points>\S+)\s+from\s+(?P<donor>[^:<>]+?)\s*$"
    ),
    re.compile(
        r"^\s*swap\s+(?P<donor>\S+)\s*(?:->|\u2192)\s*(?P<name>\S+)\s+by\s+(?P<points>\S+)\s*$",
        re.IGNORECASE,
    ),
)
_MOST = 500
"""Characters of a statement; no names are so long."""

_SHOWN = 3
"""How many names of LMs a refusal lists."""


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

    Examples
    --------
    >>> Contrast("norm", level="rmsnorm", reference="layernorm").label
    'norm: rmsnorm > layernorm'
    """

    decision: str
    level: str | float
    reference: str | float

    @property
    def label(self) -> str:
        """The statement that the effect is positive."""
        return f"{self.decision}: {format_level(self.level)} > {format_level(self.reference)}"

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
    def level(self) -> str:
        """What the growing part gains, as a table of effects shows it."""
        return f"+{self.points:.10g}"

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
    text = statement if isinstance(statement, str) and len(statement) <= _MOST else ""
    for form in _SUBSTITUTIONS:
        if found := form.match(text):
            return build_substitution(
                design, receiver=found["name"], donor=found["donor"], points=found["points"]
            )
    match = _STATEMENT.match(text)
    if match is None:
        raise QueryError(
            f"statement '{shorten(statement)}' cannot be read. Allowed: 'DECISION: A > B', such as "
            "'position_embedding: rotary > learned', 'code_share: 20 > 10' or 'n_tokens: 2e12 > "
            "1e12', and 'swap PART -> PART by POINTS', such as 'swap web_share -> code_share by "
            "10', which is the same as 'code_share: +10 from web_share'."
        )
    high, low = (match["a"], match["b"]) if match["op"] == ">" else (match["b"], match["a"])
    return build_contrast(design, decision=match["name"], level=high, reference=low)


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
    high, low = (read_value(design, decision, side) for side in (level, reference))
    contrast = Contrast(decision, level=high, reference=low)
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
    value = read_number(points)
    if not 0 < value <= 100:
        raise QueryError(
            f"points '{points}' are not allowed. Allowed: a number above 0 and up to 100 (percent "
            "of the training tokens), as in 'code_share: +10 from web_share'."
        )
    return value


def format_level(level: str | float) -> str:
    """Write a level or a value as a user would type it; counts of tokens as 2e12."""
    if isinstance(level, str):
        return level
    return re.sub(r"e\+0*", "e", f"{level:.{10 if abs(level) < _LARGE else 4}g}")


def list_decisions(design: Design) -> list[str]:
    """List the decisions that can be asked for."""
    known = (*design.domains, *design.decisions)
    return [name for name in DECISIONS if name in known]


def list_levels(design: Design, decision: str) -> list[str]:
    """List the levels of a categorical decision that occur in the data."""
    return [term.level for term in design.terms if term.decision == decision]


def find_decision(design: Design, name: str) -> Decision:
    """Look up a decision.

    Raises
    ------
    QueryError
        If it is not in the fit.
    """
    allowed = list_decisions(design)
    if isinstance(name, str) and name in allowed:
        return DECISIONS[name]
    if isinstance(name, str) and name in SIZES and design.knows_sizes:
        raise QueryError(
            f"'{name}' is no design decision, and has no effect of a step to list. Ask for two "
            f"values of it: bm.query(fit, '{name}: 2e12 > 1e12')."
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
    why = explain_absence(name)
    raise unknown(QueryError, "decision", name, allowed, said="is not in this fit", why=why)


def explain_absence(name: object) -> str:
    """Say why a decision that the package knows is not in a fit."""
    known = isinstance(name, str) and name in DECISIONS
    return "It does not vary in this fit's data or was left out of its spec." * known


def read_value(design: Design, name: str, value: str | float) -> str | float:
    """Check a level, or a value in the units of the table, of a decision or size."""
    if isinstance(name, str) and name in SIZES and design.knows_sizes:
        count = read_number(value)
        if not COUNT_RANGE[0] <= count <= COUNT_RANGE[1]:
            from bayesmeta.data.schema import get_column

            expects = get_column("lms", name=name).expects
            raise QueryError(f"{name} is '{shorten(value)}'. {expects} Write 7B as 7e9.")
        return count
    decision = find_decision(design, name)
    if decision.kind == "categorical":
        return _read_word(design, decision, value)
    return _read_quantity(decision, value)


def _read_word(design: Design, decision: Decision, level: str | float) -> str:
    levels = list_levels(design, decision.name)
    word = str(level)
    word = word if word in levels else decision.level_of(word)
    if word not in levels:
        said = f"of {decision.name} is not in this fit"
        raise unknown(QueryError, "level", level, levels, said=said)
    return word


def _read_quantity(decision: Decision, level: str | float) -> float:
    top = 100.0 if decision.kind == "share" else math.inf
    unit = "percent of the training tokens" if decision.kind == "share" else "the table's unit"
    value = read_number(level)
    if not (0 <= value <= top) or value == math.inf or (decision.kind == "numeric" and value == 0):
        upper = f" to {top:g}" if top < math.inf else " up, without zero"
        raise QueryError(
            f"value '{shorten(level)}' of {decision.name} is not allowed. Allowed: a number from 0"
            f"{upper} ({unit}), as in '{decision.name}: 20 > 10'."
        )
    return value


def read_number(value: object) -> float:
    """Read a number as one types it in a table; NaN where it is none."""
    if isinstance(value, bool) or (isinstance(value, str) and not _PLAIN.fullmatch(value.strip())):
        return math.nan
    try:
        return float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError, OverflowError):
        return math.nan


def default_contrasts(design: Design, decision: str) -> tuple[Contrast, ...]:
    """List the contrasts that a table of effects shows for a decision.

    Every level of a categorical decision against the commonest one; one step up from the median
    of a numeric one.
    """
    found, values = find_decision(design, decision), design.recorded[decision]
    if found.kind == "categorical":
        common = Counter(level for level in values if level != UNDISCLOSED).most_common(1)[0][0]
        levels = [level for level in list_levels(design, decision) if level != common]
        return tuple(Contrast(decision, level=level, reference=common) for level in levels)
    median, top = float(np.nanmedian(values)), float(np.nanmax(values))
    if found.kind == "share":
        low = float(max(0.0, min(round(median), top - found.step)))
        return (Contrast(decision, level=low + found.step, reference=low),)
    low = min(median, top / found.step)
    return (Contrast(decision, level=low * found.step, reference=low),)


def check_fit(fit: Fit) -> None:
    """Refuse what is no fit of language models and their scores."""
    from bayesmeta.inference.fits import Fit

    if not isinstance(fit, Fit):
        raise QueryError(
            f"fit is {fit!r}. Allowed: a Fit, such as bm.load_reference_fit() or bm.load_fit(path)."
        )


def refuse_prior(fit: Fit) -> None:
    """Refuse draws of the prior where it is asked what the data say."""
    check_fit(fit)
    if fit.is_prior:
        raise QueryError(
            "these are draws of the prior: no data stand behind them, and there is nothing to "
            "weigh or to claim. Allowed: a posterior, such as bm.load_reference_fit(). Of prior "
            "draws ask bm.effects or bm.prob_helps."
        )


def check_seed(seed: int) -> None:
    """Refuse a seed that is none."""
    is_whole = isinstance(seed, int | np.integer) and not isinstance(seed, bool)
    if not is_whole or seed < 0:
        raise QueryError(f"seed is {shorten(seed)}. Allowed: a whole number from 0 up, such as 1.")


def check_by(by: str, *, more: tuple[str, ...] = ()) -> None:
    """Refuse a kind of target that is not known."""
    _known(by, (*BY, *more), "by", "is not known")


def check_scale(scale: str) -> None:
    """Refuse a scale that is not known."""
    _known(scale, tuple(SCALES), "scale", "is not known")


def _known(name: Any, allowed: Sequence[str], what: str, said: str = "is not in this fit") -> str:
    if not isinstance(name, str) or name not in allowed:
        raise unknown(QueryError, what, name, allowed, said=said)
    return name


def kind_of_target(design: Design, name: str) -> str:
    """Say whether a name is a benchmark, a task family or `overall`; refuse any other."""
    kinds = {"overall": "overall", **dict.fromkeys(design.task_families, "task_family")}
    kinds |= dict.fromkeys(design.benchmarks, "benchmark")
    if name not in kinds:
        mend = "These are the mean over all benchmarks, task families and benchmarks."
        raise unknown(QueryError, "target", name, kinds, said="is not in this fit", mend=mend)
    return kinds[name]


def name_target(by: str, name: str) -> dict[str, Any]:
    """Name a target as questions take it: by `benchmark`, by `task_family`, or not at all."""
    return {} if by == "overall" else {by: name}


def weigh_benchmarks(design: Design, *, by: str) -> tuple[tuple[str, ...], Array]:
    """Name the targets, and weigh the benchmarks in each: (target, benchmark), rows sum to one."""
    n = len(design.benchmarks)
    if by == "benchmark":
        return design.benchmarks, np.eye(n)
    if by != "task_family":
        return ("overall",), np.full((1, n), 1 / n)
    names = design.task_families
    member = (np.arange(len(names))[:, None] == design.task_family_index).astype(float)
    return names, member / member.sum(axis=1, keepdims=True)


def weigh_target(
    design: Design, *, benchmark: str | None = None, task_family: str | None = None
) -> tuple[str, Array]:
    """Turn the two optional names into the name of a target and its weights (benchmark,)."""
    if benchmark is not None and task_family is not None:
        raise QueryError("both a benchmark and a task family were given. Name one of them.")
    by = target = "overall"
    if benchmark is not None:
        by, target = "benchmark", _known(benchmark, design.benchmarks, "benchmark")
    if task_family is not None:
        by, target = "task_family", _known(task_family, design.task_families, "task family")
    names, weights = weigh_benchmarks(design, by=by)
    return target, weights[names.index(target)]


def select_lms(
    design: Design, *, lms: Names = None, lm_family: Names = None
) -> tuple[NDArray[np.bool_], tuple[str, ...]]:
    """Say which LMs of the data are asked about, and by what names.

    Parameters
    ----------
    design
        What is known.
    lms
        Names of LMs; all if left out.
    lm_family
        Names of families whose LMs are kept; all if left out.

    Returns
    -------
    ndarray
        Shape (lm,).
    tuple of str
        The names, of LMs where both kinds were given; none for all.

    Raises
    ------
    QueryError
        If a name is not in the data, or no LM is left.

    Examples
    --------
    >>> import bayesmeta as bm
    >>> rows, among = select_lms(bm.load_reference_fit().design, lm_family="pythia")
    >>> int(rows.sum()), among
    (17, ('pythia',))
    """
    names, families = _as_list(lms, "lms"), _as_list(lm_family, "lm_family")
    kept = np.ones(len(design.lms), bool)
    if names:
        kept = np.isin(np.arange(len(kept)), [find_lm(design, name) for name in names])
    if not families:
        return kept, tuple(names)
    known, said = design.lm_families, "is not in this fit's data"
    chosen = [known.index(_known(name, known, "LM family", said)) for name in families]
    rows = kept & np.isin(design.lm_family_index, chosen)
    if not rows.any():
        theirs = sorted({known[k] for k in design.lm_family_index[kept]})
        raise QueryError(
            f"no LM is left: {listing(names)} is of family {listing(theirs)}, and lm_family is "
            f"{listing(families)}. Name LMs of the family, or leave one of the two out."
        )
    return rows, tuple(names or families)


def _as_list(names: object, what: str) -> list[str]:
    if names is None:
        return []
    found = _listed(names)
    if not found or not all(isinstance(name, str) for name in found):
        raise QueryError(f"{what} is {shorten(names)}. Allowed: a name, or a list of at least one.")
    return [str(name) for name in found]


def _listed(names: object) -> list[object]:
    is_list = isinstance(names, Iterable) and not isinstance(names, str)
    return list(names) if is_list else [names]  # type: ignore[arg-type]


def as_names(
    names: Names,
    *,
    allowed: Sequence[str],
    what: str = "",
    said: str = "",
    error: type[BayesmetaError] = QueryError,
) -> list[str]:
    """List names, each once; all that are allowed where none is given.

    Others are refused where it is told `what` they are and what is `said` of them.
    """
    if names is None:
        return list(allowed)
    found = list(dict.fromkeys(str(name) for name in _listed(names)))
    for name in found:
        if what and name not in allowed:
            raise unknown(error, what, name, allowed, said=said)
    return found


def find_lm(design: Design, name: str) -> int:
    """Find the row of an LM of the data."""
    known = design.lms
    if name not in known:
        more = len(known) - _SHOWN
        some = [*known[:_SHOWN], f"and {more} more"] if more > 0 else known
        raise QueryError(
            f"lm '{shorten(name)}' is not in this fit's data.{_suggest_lm(name, known)} Allowed: a "
            f"name in the column lm of the data, written in full: {listing(some)}. For an LM that "
            "is not in the data use bm.predict."
        )
    return known.index(name)


def _suggest_lm(name: str, known: tuple[str, ...]) -> str:
    """Guess by the whole name, or by what follows the developer's."""
    short = {full.rpartition("/")[2]: full for full in known}
    guess = suggest(name, known) or suggest(name, short)
    for part, full in short.items():
        guess = guess.replace(f"'{part}'", f"'{full}'")
    return guess
