"""The exceptions that bayesmeta raises on purpose, and helpers that word their messages.

Every message is one paragraph that names what was wrong, shows the value, lists what is
allowed and says how to mend it, so a command-line user never needs to see a traceback.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from itertools import islice
from operator import itemgetter

MOST_SHOWN = 10
"""Problems that one message shows; the others are counted."""

MOST_FOUND = 1000
"""Problems after which nobody looks for more."""

_BEGINNING = 3
"""Letters from which on the beginning of a name is taken for it."""


class BayesmetaError(Exception):
    """Base class of every error that bayesmeta raises on purpose."""


class DataError(BayesmetaError):
    """A table is missing, unreadable or holds a value that is not allowed.

    Parameters
    ----------
    message
        What is wrong; a paragraph for each problem.
    place
        File, line and column of a cell that is wrong.
    problems
        What is wrong, one by one, where there is more than one thing.
    """

    def __init__(
        self,
        message: str,
        *,
        place: tuple[str, int, str] | None = None,
        problems: tuple[str, ...] = (),
    ) -> None:
        super().__init__(message)
        self.place, self.problems = place, problems or (message,)


class SpecError(BayesmetaError):
    """A model specification contradicts itself or the data."""


class QueryError(BayesmetaError):
    """A question about a fit cannot be understood or answered."""


class StoreError(BayesmetaError):
    """A file cannot be written, or a saved fit cannot be read or trusted."""


class FitError(BayesmetaError):
    """Sampling could not start or did not finish."""


class EvaluationError(BayesmetaError):
    """Models cannot be compared as asked, or the comparison could not be finished."""


def refuse(problems: Iterable[DataError]) -> None:
    """Raise what is wrong with tables together, where anything is.

    Parameters
    ----------
    problems
        File by file. Of several that are about one cell the first counts.

    Raises
    ------
    DataError
        The only problem; or the first ones in the order of lines, and how many there are.

    Examples
    --------
    >>> refuse([])
    >>> refuse([DataError("a is blank. Fill it."), DataError("b is blank. Fill it.")])
    Traceback (most recent call last):
    bayesmeta.errors.DataError: a is blank. Fill it.
    b is blank. Fill it.
    2 problems in all.
    """
    found: dict[object, DataError] = {}
    for problem in islice(problems, MOST_FOUND):
        found.setdefault(problem.place or str(problem), problem)
    if len(found) == 1:
        raise next(iter(found.values()))
    if found:
        files: dict[str, list[tuple[int, str]]] = {}
        for problem in found.values():
            file, line, _ = problem.place or ("", 0, "")
            files.setdefault(file, []).append((line, str(problem)))
        texts = tuple(
            text for lines in files.values() for _, text in sorted(lines, key=itemgetter(0))
        )
        more = "or more" if len(found) >= MOST_FOUND else "in all"
        shown = f"; the first {MOST_SHOWN} are shown" if len(texts) > MOST_SHOWN else ""
        last = f"{len(texts):,} problems {more}{shown}."
        raise DataError("\n".join([*texts[:MOST_SHOWN], last]), problems=texts)


def listing(allowed: Iterable[object]) -> str:
    """Join values into one readable list.

    Parameters
    ----------
    allowed
        The values, in the order in which they should be read.

    Returns
    -------
    str
        The values separated by a comma and a blank.

    Examples
    --------
    >>> listing(["mha", "gqa"])
    'mha, gqa'
    """
    return ", ".join(str(value) for value in allowed)


def shorten(value: object, *, most: int = 200) -> str:
    """Write a value so that the message that shows it can be read, on one line.

    Parameters
    ----------
    value
        What was given.
    most
        Number of characters that are shown.

    Returns
    -------
    str
        The value as text: what cannot be printed as an escape, and where it was cut three points
        and its length.

    Examples
    --------
    >>> shorten("rotary"), shorten("a" * 500, most=3)
    ('rotary', 'aaa... (500 characters)')
    """
    whole = str(value)
    text = "".join(c if c.isprintable() else ascii(c)[1:-1] for c in whole[:most])
    return text if len(whole) <= most else f"{text}... ({len(whole)} characters)"


def name_given(given: object) -> str:
    """Show a value in a message, and of what is no plain value the type.

    Examples
    --------
    >>> name_given("rotary"), name_given([1, 2]), name_given(object())
    ("'rotary'", '[1, 2]', 'an object of type object')
    """
    is_plain = isinstance(given, str | int | float | list | tuple | None)
    return shorten(repr(given)) if is_plain else f"an object of type {type(given).__name__}"


def suggest(value: object, allowed: Iterable[object]) -> str:
    """Guess which allowed value a misspelt one was meant to be.

    Parameters
    ----------
    value
        What was given.
    allowed
        What would have been accepted.

    Returns
    -------
    str
        A sentence with a leading blank, or an empty string where nothing is close.

    Examples
    --------
    >>> suggest("rotery", ["rotary", "learned"])
    " Did you mean 'rotary'?"
    >>> suggest("mmlu", ["cmmlu", "mmlu_0shot"])
    " Did you mean 'mmlu_0shot'?"
    >>> suggest("xyz", ["rotary", "learned"])
    ''
    """
    by_lower, text = {str(option).lower(): str(option) for option in allowed}, str(value).lower()
    begun = [option for option in by_lower if option.startswith(text)]
    close = begun if len(text) >= _BEGINNING else []
    close += difflib.get_close_matches(text, by_lower, n=1, cutoff=0.6)
    return f" Did you mean '{by_lower[close[0]]}'?" if close else ""


def unknown(
    error: type[BayesmetaError],
    what: str,
    value: object,
    allowed: Iterable[object],
    *,
    said: str = "is not known",
    why: str = "",
    mend: str = "Correct the name.",
) -> BayesmetaError:
    """Word the refusal of a value that is not among those that are allowed.

    Parameters
    ----------
    error
        Class of the error.
    what
        What the value is, such as `scheme`.
    value
        What was given.
    allowed
        What would have been accepted.
    said
        What is wrong with it.
    why
        A sentence before those that are allowed, where there is more to say.
    mend
        What to do.

    Returns
    -------
    BayesmetaError
        The error, to be raised by the caller.

    Examples
    --------
    >>> str(unknown(QueryError, "by", "tsk", ["task", "overall"], mend="Correct it."))
    "by 'tsk' is not known. Did you mean 'task'? Allowed: task, overall. Correct it."
    """
    allowed = list(allowed)
    parts = (f"{what} '{shorten(value)}' {said}.{suggest(value, allowed)}", why,
             f"Allowed: {listing(allowed)}.", mend)  # fmt: skip
    return error(" ".join(part for part in parts if part))
