"""Claims: one number of a paper as a sentence, as LaTeX, and as a file that can be checked."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import Any

import pandas as pd

from bayesmeta.data.tables import write_text
from bayesmeta.effects import Answer, query
from bayesmeta.errors import QueryError, listing, shorten
from bayesmeta.inference.fit import Fit
from bayesmeta.reporting.summaries import escape_latex

__all__ = ["Claim", "check_claim", "claim"]

_QUESTION = ("statement", "benchmark", "task_family", "lms", "lm_family", "scale", "equivalence",
             "more_than", "ci_prob")  # fmt: skip
_ORIGIN = ("data_version", "data_checksum", "spec_checksum", "seed", "sampler", "chains", "draws",
           "tune", "thinned_from", "versions")  # fmt: skip

_MCSE_LIMIT = 4.0
"""Monte Carlo standard errors by which two fits of the same model and data may differ."""


_THINNED = 2.0
"""Autocorrelation that draws are granted: half of them count as independent."""


@dataclass(frozen=True, slots=True, repr=False)
class Claim:
    """A question, its answer, and all that is needed to get it again.

    Parameters
    ----------
    answer
        What the posterior says.
    question
        The statement and its settings, as `query` takes them.
    origin
        Checksums of data and spec, seed, sampler, draws and versions.
    spec
        The model, as plain values.
    """

    answer: Answer
    question: Mapping[str, Any]
    origin: Mapping[str, Any]
    spec: Mapping[str, Any]

    @property
    def sentence(self) -> str:
        """One sentence for a paper, with the verdict on the evidence."""
        return self._word(minus="-", percent=" %", name=lambda text: text)

    @property
    def latex(self) -> str:
        """The same for LaTeX, with what LaTeX treats specially escaped."""
        return self._word(minus="$-$", percent="\\,\\%", name=escape_latex)

    def _word(self, *, minus: str, percent: str, name: Any) -> str:
        answer = self.answer
        effect, digits = answer.effect, 1 if answer.effect["units"] == "percentage points" else 2

        def number(value: Any) -> str:
            text = f"{abs(float(value)):.{digits}f}"
            return (minus if float(value) < 0 and float(text) else "") + text

        where = "over all benchmarks" if answer.target == "overall" else f"on {answer.target}"
        card, p = answer.evidence, answer.probability
        probability = name(str(p).split(" (")[0])
        return (
            f"{name(answer.statement)} {name(where)}: {number(effect['estimate'])} "
            f"{effect['units']} ({100 * float(effect['ci_prob']):.0f}{percent} equal-tailed "
            f"interval {number(effect['lower'])} to {number(effect['upper'])}), averaged over "
            f"{answer.n_lms} lms; probability of a positive effect {probability}; evidence "
            f"{card.verdict}, the most influential family being "
            f"{name(card.most_influential_family)}."
        )

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
        DataError
            If the file cannot be written.
        """
        write_text(Path(path), text=json.dumps(self.to_dict(), indent=2) + "\n")

    def __repr__(self) -> str:
        return self.sentence


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
            raise QueryError(
                f"setting '{shorten(key)}' is not known. Allowed: {listing(_QUESTION[1:])}."
            )
    given = {key: value for key, value in settings.items() if value is not None}
    answer = query(fit, statement, **given)
    return Claim(
        answer=answer,
        question={"statement": statement, **given},
        origin={key: fit.provenance[key] for key in _ORIGIN if key in fit.provenance},
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
        `agree`: checksums exactly, numbers to 4 Monte Carlo standard errors and the rounding of
        saved draws.

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
    now, then = found.answer.to_dict(), values["answer"]
    rows = [
        _compare_exactly(key, values["origin"].get(key), found.origin.get(key))
        for key in ("data_checksum", "spec_checksum")
    ]
    slack = _MCSE_LIMIT * (float(then["mcse"]) + float(now["mcse"]))
    rows.append(_compare("probability", then["probability"], now["probability"], slack=slack))
    n = float(fit.shape[0] * fit.shape[1])
    for name, factor in (("estimate", 1.25), ("lower", 2.1), ("upper", 2.1)):
        # Standard errors of sample quantiles of a normal posterior, in its standard deviations.
        error = factor * float(now["effect"]["sd"]) * (2 / (n / _THINNED)) ** 0.5
        old, new = then["effect"][name], now["effect"][name]
        rows.append(_compare(name, old, new, slack=_MCSE_LIMIT * error))
    old, new = then["evidence"]["verdict"], now["evidence"]["verdict"]
    return pd.DataFrame([*rows, _compare_exactly("verdict", old, new)])


def _read_claim(made: Claim | Mapping[str, Any] | str | PathLike[str]) -> Mapping[str, Any]:
    if isinstance(made, Claim):
        return made.to_dict()
    if isinstance(made, Mapping):
        values: Any = made
    else:
        try:
            values = json.loads(Path(made).read_text(encoding="utf-8"))
        except (OSError, UnicodeDecodeError, ValueError) as error:
            raise QueryError(
                f"{shorten(made)} cannot be read as a claim: {error}. Allowed: a file that "
                "`bayesmeta claim ... --out FILE.json` wrote."
            ) from error
    try:
        known, answer = {**values["question"]}, values["answer"]
        effect = (answer["effect"][name] for name in ("estimate", "lower", "upper"))
        numbers = [float(x) for x in (*effect, answer["probability"], answer["mcse"])]
        complete = bool(values["origin"]) and bool(answer["evidence"]["verdict"])
        whole = complete and "statement" in known and all(x == x for x in numbers)
    except (KeyError, TypeError, ValueError):
        whole = False
    if not whole:
        raise QueryError(
            f"{shorten(made) if not isinstance(made, Mapping) else 'the mapping'} is no claim: its "
            "question, its answer or its origin is missing. Allowed: what Claim.save wrote."
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
    short = [str(value)[:12] if "checksum" in what else str(value) for value in (then, now)]
    return {"what": what, "claimed": short[0], "found": short[1], "agree": then == now}
