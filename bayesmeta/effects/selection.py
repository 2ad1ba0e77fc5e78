"""Over which lms an effect is averaged: all, some, or one."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from bayesmeta.errors import QueryError, listing, shorten, suggest
from bayesmeta.inference.fits import Fit

__all__ = ["Names", "as_names", "find_lm", "select_lms"]

Names = str | Sequence[str] | None
"""One name, several, or none for all."""

_SHOWN = 3


def select_lms(fit: Fit, *, lms: Names = None, lm_family: Names = None) -> NDArray[np.bool_]:
    """Say which lms of the data are asked about.

    Parameters
    ----------
    fit
        The fit.
    lms
        Names of lms; all if left out.
    lm_family
        Names of families whose lms are kept; all if left out.

    Returns
    -------
    ndarray
        Shape (lm,).

    Raises
    ------
    QueryError
        If a name is not in the data, or no lm is left.

    Examples
    --------
    >>> import bayesmeta as bm
    >>> int(select_lms(bm.load_reference_fit(), lm_family="pythia").sum())
    17
    """
    design = fit.design
    kept = np.ones(len(design.lms), bool)
    if lms is not None:
        kept = np.isin(np.arange(len(kept)), [find_lm(fit, name=n) for n in _as_list(lms, "lms")])
    if lm_family is None:
        return kept
    families = [_find_family(fit, name) for name in _as_list(lm_family, "lm_family")]
    chosen = kept & np.isin(design.lm_family_index, families)
    if not chosen.any():
        theirs = sorted({design.lm_families[k] for k in design.lm_family_index[kept]})
        raise QueryError(
            f"no lm is left: {listing(_as_list(lms, 'lms'))} is of family {listing(theirs)}, and "
            f"lm_family is {listing(_as_list(lm_family, 'lm_family'))}. Name lms of the family, or "
            "leave one of the two out."
        )
    return chosen


def name_selection(*, lms: Names, lm_family: Names) -> tuple[str, ...]:
    """List the names that were asked about, of lms where both kinds were given; none for all."""
    given = lm_family if lms is None else lms
    return () if given is None else tuple(str(name) for name in _listed(given))


def _as_list(names: object, what: str) -> list[str]:
    found = _listed(names)
    if not found or not all(isinstance(name, str) for name in found):
        raise QueryError(f"{what} is {shorten(names)}. Allowed: a name, or a list of at least one.")
    return [str(name) for name in found]


def _listed(names: object) -> list[object]:
    is_list = isinstance(names, Iterable) and not isinstance(names, str)
    return list(names) if is_list else [names]  # type: ignore[arg-type]


def as_names(names: Names, *, allowed: Sequence[str]) -> list[str]:
    """List names, each once; all that are allowed where none is given."""
    if names is None:
        return list(allowed)
    return list(dict.fromkeys(str(name) for name in _listed(names)))


def _find_family(fit: Fit, name: str) -> int:
    known = fit.design.lm_families
    if name not in known:
        raise QueryError(
            f"lm family '{shorten(name)}' is not in this fit's data.{suggest(name, known)} "
            f"Allowed: {listing(known)}."
        )
    return known.index(name)


def find_lm(fit: Fit, *, name: str) -> int:
    """Find the row of an lm of the data."""
    known = fit.design.lms
    if name not in known:
        more = len(known) - _SHOWN
        some = [*known[:_SHOWN], f"and {more} more"] if more > 0 else known
        raise QueryError(
            f"lm '{shorten(name)}' is not in this fit's data.{_suggest_lm(name, known)} Allowed: a "
            f"name in the column lm of the data, written in full: {listing(some)}. For an lm that "
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
