"""The exceptions that bayesmeta raises on purpose, and helpers that word their messages.

Every message is one paragraph that names what was wrong, shows the value, lists what is
allowed and says how to mend it, so a command-line user never needs to see a traceback.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable

_BEGINNING = 3
"""Letters from which on the beginning of a name is taken for it."""


class BayesmetaError(Exception):
    """Base class of every error that bayesmeta raises on purpose."""


class DataError(BayesmetaError):
    """A table is missing, unreadable or holds a value that is not allowed."""


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
