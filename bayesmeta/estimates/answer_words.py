"""Words of answers: levels, decisions, counts and probabilities as a reader would say them."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from bayesmeta import defaults
from bayesmeta.data.decisions import SIZES, Decision, know_facts
from bayesmeta.estimates.aliases import DECISION_WORDS, LEVEL_WORDS
from bayesmeta.estimates.question import Contrast, Sizes, Statement

LABEL_WIDTH = 12
"""Width of the labels of an answer."""

_MANY = 1e15
"""From here counts are written with an exponent."""

SIZE_UNITS = {"n_params": "parameters", "n_tokens": "tokens"}


def write_line(label: str, parts: Sequence[str]) -> str:
    """Write a label and as many parts as fit on one line; the first is cut where it is longer."""
    room, text = defaults.LINE_WIDTH - 2 - LABEL_WIDTH, parts[0]
    for part in parts[1:]:
        if len(text) + len(part) + 2 <= room:
            text += f", {part}"
    text = text if len(text) <= room else f"{text[: room - 3]}..."
    return f"  {label:{LABEL_WIDTH}}{text}"


def sign(value: float | str, digits: int) -> str:
    """Write a number with its sign; zero has none."""
    text = f"{float(value):+.{digits}f}"
    return text if float(text) else text[1:]


def write_interval(part: Mapping[str, Any], digits: int) -> str:
    """Write an estimate and its interval."""
    estimate, lower, upper = (sign(part[k], digits) for k in ("estimate", "lower", "upper"))
    return f"{estimate} ({lower} to {upper})"


def write_chance(probability: float) -> str:
    """Write a probability in whole percent; what would read as 0 or 100 as a bound.

    Examples
    --------
    >>> write_chance(0.986), write_chance(0.0), write_chance(1.0)
    ('99 %', '< 1 %', '> 99 %')
    """
    if 0.005 <= probability < 0.995:
        return f"{math.floor(100 * probability + 0.5)} %"
    return "< 1 %" if probability < 0.5 else "> 99 %"


def word_chance(probability: float) -> str:
    """Put a probability into words, by the scale of `defaults.CHANCE_WORDS`.

    Examples
    --------
    >>> word_chance(0.97), word_chance(0.5)
    ('extremely likely', 'about as likely as not')
    """
    return next(word for least, word in defaults.CHANCE_WORDS if probability >= least)


def name_decision(name: str, known: Mapping[str, Decision] | None = None) -> str:
    """Write the name of a decision, of those that are known, for readers.

    Examples
    --------
    >>> name_decision("mlp_ratio"), name_decision("code_share")
    ('MLP ratio', 'code share')
    """
    about = (know_facts() if known is None else known).get(name)
    return about.title if about is not None else name.replace("_", " ")


def columns_of(sizes: Sizes, outside: tuple[str, ...]) -> dict[str, str]:
    """Give the column in which tables say the size and tokens; none where LMs have their own."""
    return {"at": say_sizes(sizes, outside)} if sizes else {}


def say_sizes(sizes: Sizes, outside: tuple[str, ...]) -> str:
    """Say which size and tokens LMs are given.

    Examples
    --------
    >>> say_sizes((("n_params", 7e9), ("n_tokens", 2e14)), outside=("n_tokens",))
    '7B parameters, 200T tokens (outside the data)'
    """
    both = len(sizes) == len(outside) > 1
    return (
        ", ".join(
            f"{write_count(value)} {SIZE_UNITS[name]}"
            + " (outside the data)" * (name in outside and not both)
            for name, value in sizes
        )
        + " (both outside the data)" * both
    )


def write_count(value: float) -> str:
    """Write a count of parameters or training tokens so that it can be typed again.

    Examples
    --------
    >>> write_count(1.3e10), write_count(2e12), write_count(70)
    ('13B', '2T', '70')
    """
    if value >= _MANY:
        return f"{value:.4g}".replace("e+", "e")
    for unit, size in (("T", 1e12), ("B", 1e9), ("M", 1e6)):
        if value >= size:
            return f"{value / size:.10g}{unit}"
    return f"{value:.10g}"


def count_points(points: float) -> str:
    """Write percentage points that move in the training mix.

    Examples
    --------
    >>> count_points(10.0), count_points(1.0), count_points(0.5)
    ('10 points', '1 point', '0.5 points')
    """
    return f"{points:g} {'point' if points == 1 else 'points'}"


def describe_side(decision: Decision, value: str | float) -> str:
    """Describe a level or value as what an LM has, in the singular.

    Examples
    --------
    >>> facts = know_facts()
    >>> describe_side(facts["attention"], "gqa"), describe_side(facts["code_share"], 20.0)
    ('grouped-query attention', '20 % code')
    >>> describe_side(Decision("n_experts", "number", unit="experts"), 8.0)
    'a number of experts of 8'
    """
    if isinstance(value, str):
        known = LEVEL_WORDS.get((decision.name, value))
        return known.text if known else f"{value} ({decision.title})"
    known, text = DECISION_WORDS.get(decision.name), f"{value:.10g}"
    text = write_count(value) if decision.name in SIZES else text
    if known:
        return known.text.format(text)
    named = not decision.unit or decision.unit.lower() in decision.title.lower()
    unit = " %" if decision.kind == "share" else f" {decision.unit}" * (not named)
    article = "an" if decision.title[0].lower() in "aeiou" else "a"
    return f"{article} {decision.title} of {text}{unit}"


def describe_sides(statement: Statement) -> tuple[str, str]:
    """Describe what is compared with what; of a substitution the second is blank."""
    if isinstance(statement, Contrast):
        level, reference = (
            describe_side(statement.about, side) for side in (statement.level, statement.reference)
        )
        return level, reference
    more, less = (
        DECISION_WORDS[part].text.removeprefix("{} % ") if part in DECISION_WORDS
        else part.replace("_share", " text").replace("_", " ")
        for part in statement.parts
    )  # fmt: skip
    points = count_points(statement.points)
    return f"{points} more {more} in place of {less}", ""


def write_question(statement: Statement) -> str:
    """Write a statement with its units, so that it can be typed again.

    Examples
    --------
    >>> write_question(Contrast("code_share", level=20.0, reference=5.0))
    'code_share: 20% > 5%'
    >>> write_question(Contrast("n_params", level=1.4e10, reference=7e9))
    'n_params: 14B > 7B'
    """
    if not isinstance(statement, Contrast):
        return f"{statement.decision}: +{statement.points:.10g}% from {statement.donor}"
    name, sides = statement.decision, (statement.level, statement.reference)
    if name in SIZES:
        return f"{name}: {' > '.join(write_count(float(side)) for side in sides)}"
    if statement.about.kind == "share":
        return f"{name}: {sides[0]:.10g}% > {sides[1]:.10g}%"
    return f"{statement.label}{' tokens' * (name == 'context_length')}"
