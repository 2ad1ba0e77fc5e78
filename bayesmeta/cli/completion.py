"""What a shell offers when the tab key is pressed: words that an option allows."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import typer

from bayesmeta.errors import BayesmetaError

__all__ = ["names_of", "one_of"]

Complete = Callable[[typer.Context, str], list[str]]


def one_of(*words: str) -> Complete:
    """Offer fixed words."""

    def complete(ctx: typer.Context, incomplete: str) -> list[str]:
        return _matching(words, incomplete)

    return complete


def names_of(kind: str) -> Complete:
    """Offer names of the fit that is asked.

    Parameters
    ----------
    kind
        `decisions`, `benchmarks`, `task_families`, `lms` or `lm_families`.

    Returns
    -------
    callable
        Offers nothing where the fit cannot be read: the command itself says why.
    """

    def complete(ctx: typer.Context, incomplete: str) -> list[str]:
        from bayesmeta.effects import list_decisions
        from bayesmeta.inference import Fit, load_fit, load_reference_fit

        path: Path | None = ctx.params.get("fit")
        try:
            fit = load_reference_fit() if path is None else load_fit(path)
        except BayesmetaError:
            return []
        if not isinstance(fit, Fit):
            return []
        names = list_decisions(fit) if kind == "decisions" else getattr(fit.design, kind)
        return _matching(tuple(names), incomplete)

    return complete


def _matching(words: tuple[str, ...], incomplete: str) -> list[str]:
    return [word for word in words if word.startswith(incomplete)]
