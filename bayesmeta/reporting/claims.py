"""Claims: one number of a paper in words, as LaTeX, and as a file that can be checked."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from bayesmeta import defaults
from bayesmeta.errors import QueryError, listing, shorten, unknown
from bayesmeta.estimates.answer import Answer, find_left_out, query
from bayesmeta.estimates.answer_words import describe_sides, name_decision, sign, write_count
from bayesmeta.estimates.counterfactual import ASSOCIATION
from bayesmeta.estimates.question import UNITS, UNITS_APART, Statement, read_label
from bayesmeta.inference.fits import Fit
from bayesmeta.tables.latex import escape_latex
from bayesmeta.tables.notebook import NotebookView, fold, show_text, show_title
from bayesmeta.tables.wording import count
from bayesmeta.whole_files import write_text

_QUESTION = ("statement", "benchmark", "task_family", "lms", "lm_family", "scale", "equivalence",
             "more_than", "ci_prob")  # fmt: skip
_ORIGIN = ("data_version", "data_checksum", "spec_checksum", "seed", "sampler", "chains", "draws",
           "tune", "thinned_from", "versions")  # fmt: skip

_POINTS = (UNITS, UNITS_APART)
"""Units of effects that are shown with one digit."""

_CHECKSUMS = ("data_checksum", "spec_checksum")
_MCSE_LIMIT = 4.0
"""Monte Carlo standard errors by which two fits of the same model and data may differ."""

_THINNED = 2.0
"""Autocorrelation that draws are granted: half of them count as independent."""


@dataclass(frozen=True, slots=True, repr=False)
class Claim(NotebookView):
    """A question, its answer, and all that is needed to get it again.

    Parameters
    ----------
    answer, question
        What the posterior says, and the statement and its settings, as `query` takes them.
    origin, spec
        Checksums of data and spec, seed, sampler, draws and versions; the model, as plain values.
    """

    answer: Answer
    question: Mapping[str, Any]
    origin: Mapping[str, Any]
    spec: Mapping[str, Any]

    @property
    def sentence(self) -> str:
        """Two sentences for a paper, with the verdict on the evidence."""
        return word_claim(self.answer.to_dict(), statement=self.answer.contrast)

    @property
    def latex(self) -> str:
        """The same for LaTeX, with what LaTeX treats specially escaped."""
        return word_claim(self.answer.to_dict(), latex=True, statement=self.answer.contrast)

    def to_dict(self) -> dict[str, Any]:
        """Turn into plain values, as `save` writes them."""
        return {
            "claim": self.sentence,
            "latex": self.latex,
            "question": dict(self.question),
            "answer": self.answer.to_dict(),
            "origin": dict(self.origin),
            "spec": dict(self.spec),
        }

    def save(self, path: str | PathLike[str]) -> None:
        """Write the claim as JSON, atomically.

        Raises
        ------
        StoreError
            If the file cannot be written.
        """
        write_text(Path(path), text=json.dumps(self.to_dict(), indent=2) + "\n")

    def _show_parts(self) -> Iterator[str]:
        yield show_title("Claim")
        yield show_text(self.sentence)
        yield fold("Answer", *self.answer._show_parts())

    def __repr__(self) -> str:
        return self.sentence


def word_claim(
    answer: Mapping[str, Any], *, latex: bool = False, statement: Statement | None = None
) -> str:
    """Put the plain values of an answer into two sentences, never stronger than its verdict.

    Parameters
    ----------
    answer
        What `Answer.to_dict` gives.
    latex
        Whether to escape what LaTeX treats specially.
    statement
        What was asked, which knows how declared decisions are called; read from the answer if left
        out.

    Returns
    -------
    str
        What was found, and where; then the numbers and what stands behind them.
    """
    if "read_as" not in answer:
        return _word_before(answer, latex=latex)
    digits = 1 if answer["effect"]["units"] in _POINTS else 2
    sides = describe_sides(statement or read_label(str(answer["statement"])))
    said = _say_finding(answer, *sides, digits=digits)
    text = f"{said[0].upper()}{said[1:]}. {_say_numbers(answer, digits=digits)}"
    if not latex:
        return text
    text = re.sub(r"(?<![\w.])-(?=\d)", "\N{MINUS SIGN}", text)
    return escape_latex(text).replace("\N{MINUS SIGN}", "$-$").replace(r" \%", r"\,\%")


def _say_finding(answer: Mapping[str, Any], high: str, low: str, *, digits: int) -> str:
    """Say what was found and where, in words that the verdict allows."""
    effect, verdict, where = answer["effect"], answer["evidence"]["verdict"], answer["where"]
    probability, against = float(answer["probability"]), f" compared with {low}" * bool(low)
    up, told = probability > 0.5, max(probability, 1 - probability) >= defaults.CERTAIN
    size = f"{_number(abs(float(effect['estimate'])), digits)} {effect['units']}"
    if verdict == defaults.PRIOR_DOMINATED:
        return f"the data hardly bear on {high}{against} {where}"
    if verdict == defaults.CONFLICTING:
        on = f"controlled experiments and language models disagree on {high}{against} {where}"
        return f"{on}{_say_both(answer, digits=digits)}"
    if "association" not in answer:
        others = f"those with {low}" if low else "the same language models without it"
        lms, word = f"language models with {high}", "higher" if up else "lower"
        if told:
            return f"{lms} score {size} {word} than {others} {where}"
        return f"{lms} and {others} show no clear difference {where}"
    if not told:
        return f"{high} makes no clear difference{against} {where}{_say_left_out(answer, digits)}"
    verb = "raise" if up else "lower"
    if verdict == defaults.SUPPORTED:
        return f"{high} {verb}s the score by {size}{against} {where}"
    return f"{high} may {verb} the score{against} {where}, but experiments do not settle it"


def _say_both(answer: Mapping[str, Any], *, digits: int) -> str:
    """Say what experiments and language models that disagree find."""
    card = answer["evidence"]
    found, lms = card["experiments"], answer.get("association") or card["all_families"]
    if found is None or answer["effect"]["units"] not in _POINTS:
        return ""
    by_experiments, by_lms = (_number(one["estimate"], digits) for one in (found, lms))
    return f": experiments find {by_experiments}, language models {by_lms} percentage points"


def _say_left_out(answer: Mapping[str, Any], digits: int) -> str:
    """Say what experiments found, where the interval of no clear difference leaves it out."""
    card = answer["evidence"]
    found = find_left_out(
        answer["effect"], experiments=card["experiments"], verdict=card["verdict"],
        least=float(answer["equivalence"]),
    )  # fmt: skip
    if found is None:
        return ""
    return (
        ", but the interval leaves out what experiments found "
        f"({_number(found, digits)} {answer['effect']['units']})"
    )


def _say_numbers(answer: Mapping[str, Any], *, digits: int) -> str:
    """Give the estimate with its interval and probability, the other two, and the evidence."""
    effect, card, n = answer["effect"], answer["evidence"], int(answer["n_lms"])
    is_effect = "association" in answer
    lower, upper = (_number(effect[key], digits) for key in ("lower", "upper"))
    among = f" of {listing(answer['among'])}" if answer["among"] else ""
    sizes = (f"{name_decision(k)} {write_count(v)}" for k, v in answer.get("at", {}).items())
    at = f" at {listing(sizes)}" if answer.get("at") else ""
    probability = _short(float(answer["probability"]), float(answer["mcse"]))
    name = "effect" if is_effect else "difference, an association adjusted for recorded facts,"
    numbers = (
        f"Averaged over {n} {'LM' if n == 1 else 'LMs'}{among}{at}, the estimated {name} is "
        f"{_number(effect['estimate'], digits)} {effect['units']} "
        f"({100 * float(effect['ci_prob']):g} % equal-tailed interval {lower} to {upper}; "
        f"probability of a positive {answer['kind']} {probability})"
    )
    if is_effect:
        new, told = (_interval(answer[key], digits) for key in ("new_setting", "association"))
        numbers += f", and {new} in a new setting; the association is {told}"
    studies = "no experiment"
    if card["experiments"] is not None:
        studies = count(len(card["studies"]), "study", "studies")
    return (
        f"{numbers} (evidence: {card['verdict']}, {studies}; most influential family: "
        f"{card['most_influential_family']})."
    )


def _interval(part: Mapping[str, Any], digits: int) -> str:
    estimate, lower, upper = (_number(part[key], digits) for key in ("estimate", "lower", "upper"))
    return f"{estimate} ({lower} to {upper})"


def _number(value: Any, digits: int) -> str:
    """Write a number; zero has no sign."""
    return sign(value, digits).removeprefix("+")


def _word_before(answer: Mapping[str, Any], *, latex: bool) -> str:
    """Word a claim as releases did whose answers say nothing of how they were read."""
    effect, card, n = answer["effect"], answer["evidence"], int(answer["n_lms"])
    digits = 1 if effect["units"] in _POINTS else 2
    name = escape_latex if latex else str
    percent = "\\,\\%" if latex else " %"

    def number(value: float) -> str:
        text = f"{value:.{digits}f}"
        return text.replace("-", "$-$") if latex else text

    where = "over all benchmarks" if answer["target"] == "overall" else f"on {answer['target']}"
    among = f" of {listing(answer['among'])}" if answer["among"] else ""
    probability = name(_short(float(answer["probability"]), float(answer["mcse"])))
    return (
        f"{name(answer['statement'])} {name(where)}: {number(effect['estimate'])} "
        f"{effect['units']} ({100 * float(effect['ci_prob']):g}{percent} equal-tailed interval "
        f"{number(effect['lower'])} to {number(effect['upper'])}), averaged over {n} "
        f"{'LM' if n == 1 else 'LMs'}{name(among)}; probability of a positive effect "
        f"{probability}; evidence {card['verdict']}, the most influential family being "
        f"{name(card['most_influential_family'])}."
    )


def _short(probability: float, mcse: float) -> str:
    """Two digits; near zero and one a bound by two Monte Carlo standard errors."""
    if 0.005 <= probability < 0.995:
        return f"{probability:.2f}"
    if probability < 0.5:
        return f"< {probability + 2 * mcse:.3f}"
    return f"> {probability - 2 * mcse:.3f}"


def claim(fit: Fit, statement: str, **settings: Any) -> Claim:
    """Answer a question so that a paper can quote the answer and a reader can check it.

    Parameters
    ----------
    fit
        The fit.
    statement
        As `query` reads it.
    **settings
        As `query` takes them: `benchmark`, `task_family`, `lms`, `lm_family`, `scale`,
        `equivalence`, `more_than` and `ci_prob`.

    Returns
    -------
    Claim
        `.sentence`, `.latex`, `.to_dict()` and `.save(path)`.

    Raises
    ------
    QueryError
        If a setting is not known, or `query` refuses the question.

    Examples
    --------
    >>> import bayesmeta as bm
    >>> bm.claim(bm.load_reference_fit(), "norm: rmsnorm > layernorm").question
    {'statement': 'norm: rmsnorm > layernorm'}
    """
    for key in settings:
        if key not in _QUESTION[1:]:
            raise unknown(QueryError, "setting", key, _QUESTION[1:], mend="")
    given = {key: _plain(value) for key, value in settings.items() if value is not None}
    answer = query(fit, statement, **given)
    return Claim(
        answer=answer,
        question={"statement": statement, **given},
        origin={
            **{key: fit.provenance[key] for key in _ORIGIN if key in fit.provenance},
            "posterior_checksum": hash_draws(fit),
        },
        spec=fit.spec.to_dict(),
    )


def check_claim(made: Claim | Mapping[str, Any] | str | PathLike[str], fit: Fit) -> pd.DataFrame:
    """Ask a fit for a claim's numbers again.

    Parameters
    ----------
    made
        A claim, its plain values, or the path of the file that `Claim.save` wrote.
    fit
        The posterior to ask: the same one, or a fit anew of the same model and data.

    Returns
    -------
    pandas.DataFrame
        One row per thing checked: `what`, what was `claimed`, what was `found`, and whether the two
        `agree`. Checksums, question, kind and verdict have to be the same, and the sentence that of
        the claim's own numbers. Given the same draws, so has every number of the answer; given
        others, those of the effect to 4 Monte Carlo standard errors.

    Raises
    ------
    QueryError
        If the file cannot be read as a claim, or the fit does not know what it is about.

    Examples
    --------
    >>> import bayesmeta as bm
    >>> fit = bm.load_reference_fit()
    >>> bool(bm.check_claim(bm.claim(fit, "norm: rmsnorm > layernorm"), fit)["agree"].all())
    True
    """
    values = _read_claim(made)
    found = claim(fit, **values["question"])
    fresh = json.loads(json.dumps(found.to_dict()))
    then, now, origin = values["answer"], fresh["answer"], values["origin"]
    asked = found.answer.contrast
    said = [word_claim(then, statement=asked), word_claim(then, latex=True, statement=asked)]
    before = [re.sub(r"(averaged over \d+) LM", r"\1 lm", sentence) for sentence in said]
    sides = {
        **{key: (origin.get(key), found.origin.get(key)) for key in _CHECKSUMS},
        "spec": (values.get("spec") == fresh["spec"], True),
        "sentence": ([values.get("claim"), values.get("latex")] in (said, before), True),
    }
    rows = [_compare_exactly(what, *both) for what, both in sides.items()]
    then = _renew(then)
    same = origin.get("posterior_checksum") == found.origin["posterior_checksum"]
    slack = _slack_of(found, fit) if not same else {}
    for what in ("probability", *_EFFECT):
        old, new = (side["effect"][what] if what in _EFFECT else side[what] for side in (then, now))
        rows.append(_compare(what, old, new, slack=slack.get(what, _ROUNDING)))
    rows.append(_compare_exactly("kind", then.get("kind", ASSOCIATION), now["kind"]))
    rows.append(_compare_verdicts(*(side["evidence"]["verdict"] for side in (then, now))))
    if same:
        now = now if "read_as" in then else _like_old(now, then)
        names = sorted({*then, *now})
        others = [name for name in names if not _is_same(then.get(name), now.get(name))]
        rows.append(_compare_exactly("everything else", listing(others) or "as found", "as found"))
    return pd.DataFrame(rows)


def _renew(answer: Mapping[str, Any]) -> dict[str, Any]:
    """Read the answer of a claim of the last release, which had other words for three things."""
    card = {"confounded_with": answer["evidence"].get("bundled_with"), **answer["evidence"]}
    card["verdict"] = str(card["verdict"]).replace("prior-driven", defaults.PRIOR_DOMINATED)
    return {**answer, "evidence": card}


_OLD_VERDICTS = ("identified", "weakly identified")
"""What claims of earlier releases say, on associations alone."""


def _compare_verdicts(then: str, now: str) -> dict[str, Any]:
    """Compare verdicts; one of an earlier release has no counterpart, and agrees with none."""
    row = _compare_exactly("verdict", then, now)
    if then not in _OLD_VERDICTS:
        return row
    return {**row, "claimed": f"{then} (a word of earlier releases; make the claim anew)"}


def _like_old(now: Mapping[str, Any], then: Mapping[str, Any]) -> dict[str, Any]:
    """Keep of an answer what a claim of an earlier release holds, its verdict aside."""
    kept = {name: value for name, value in now.items() if name in then}
    card = {name: value for name, value in now["evidence"].items() if name in then["evidence"]}
    return {**kept, "evidence": {**card, "verdict": then["evidence"]["verdict"]}}


_EFFECT = {"estimate": 1.25, "lower": 2.1, "upper": 2.1}
"""Numbers of an effect, and standard errors of such quantiles of normal draws, in their standard
deviations over the root of their number."""

_ROUNDING = 1e-6
"""Relative difference between numbers that are the same."""


def hash_draws(fit: Fit) -> str:
    """SHA-256 of the draws, which no two runs have in common."""
    digest = hashlib.sha256()
    for name in sorted(fit.parameters):
        digest.update(name.encode())
        digest.update(np.ascontiguousarray(fit.parameters[name], np.float32).tobytes())
    return digest.hexdigest()


def _plain(value: Any) -> Any:
    """Turn numpy numbers and sequences of names into what JSON holds."""
    if isinstance(value, np.generic):
        return value.item()
    return list(value) if isinstance(value, tuple | np.ndarray | pd.Series) else value


def _slack_of(found: Claim, fit: Fit) -> dict[str, float]:
    """Say how far numbers of another run of the same sampler may lie from the found ones."""
    answer, n = found.answer, fit.shape[0] * fit.shape[1] / _THINNED
    error = float(answer.effect["sd"]) * (2 / n) ** 0.5
    slack = {name: _MCSE_LIMIT * factor * error for name, factor in _EFFECT.items()}
    return {**slack, "probability": _MCSE_LIMIT * 2**0.5 * answer.probability.mcse}


def _is_same(old: Any, new: Any) -> bool:
    """Compare plain values, numbers to their rounding."""
    if isinstance(old, Mapping) and isinstance(new, Mapping):
        return {*old} == {*new} and all(_is_same(old[key], new[key]) for key in old)
    if isinstance(old, list) and isinstance(new, list):
        return len(old) == len(new) and all(map(_is_same, old, new))
    numbers = all(isinstance(x, int | float) and not isinstance(x, bool) for x in (old, new))
    if numbers:
        return abs(old - new) <= _ROUNDING * (1 + abs(new))
    return type(old) is type(new) and old == new


def _read_claim(made: Claim | Mapping[str, Any] | str | PathLike[str]) -> Mapping[str, Any]:
    if isinstance(made, Claim | Mapping):
        values = made.to_dict() if isinstance(made, Claim) else made
        values, shown = json.loads(json.dumps(values)), "the mapping"
    else:
        shown = shorten(made)
        try:
            values = json.loads(Path(made).read_text(encoding="utf-8"))
        except (OSError, UnicodeDecodeError, ValueError, TypeError) as error:
            raise QueryError(
                f"{shown} cannot be read as a claim: {shorten(error)}. Allowed: a file that "
                "`bayesmeta claim ... --out FILE.json` wrote."
            ) from error
    try:
        known, answer = {**values["question"]}, values["answer"]
        word_claim(answer)
        numbers = [float(answer["effect"][name]) for name in _EFFECT]
        whole = bool(values["origin"]["posterior_checksum"]) and "statement" in known
        whole = whole and all(x == x for x in numbers) and {*known} <= {*_QUESTION}
    except (KeyError, TypeError, ValueError, AttributeError):
        whole = False
    if not whole:
        raise QueryError(
            f"{shown} is no claim: its question, its answer or its origin is missing or is not "
            "what Claim.save wrote. Allowed: such a file, as it was written."
        )
    return values


def _compare(what: str, then: float, now: float, *, slack: float) -> dict[str, Any]:
    return {
        "what": what,
        "claimed": f"{float(then):.3f}",
        "found": f"{float(now):.3f}",
        "agree": abs(float(then) - float(now)) <= slack,
    }


def _compare_exactly(what: str, then: Any, now: Any) -> dict[str, Any]:
    words = {True: "as written", False: "changed"}
    short = [
        words[value] if isinstance(value, bool) else str(value)[:12] if "checksum" in what
        else shorten(value)
        for value in (then, now)
    ]  # fmt: skip
    return {"what": what, "claimed": short[0], "found": short[1], "agree": then == now}
