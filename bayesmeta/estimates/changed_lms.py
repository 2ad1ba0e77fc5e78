"""What the score of one LM would be, had it been designed otherwise."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import xarray as xr

from bayesmeta import defaults
from bayesmeta.data.decisions import SIZES, UNDISCLOSED
from bayesmeta.design.composition import MIX_COLUMNS
from bayesmeta.errors import QueryError, listing, unknown
from bayesmeta.estimates.counterfactual import (
    ASSOCIATION,
    average_benchmarks,
    check_by,
    choose_kind,
    find_lm,
    mean_score_at,
)
from bayesmeta.estimates.evidence_card import lies_outside
from bayesmeta.estimates.question import (
    UNITS,
    UNITS_APART,
    ask_unit,
    check_fit,
    explain_absence,
    list_apart,
    list_decisions,
    read_value,
    resolve_decision,
)
from bayesmeta.estimates.summary import check_ci_prob, outline, summarise_effect

if TYPE_CHECKING:
    from bayesmeta.design.facts import Design
    from bayesmeta.inference.fits import Fit


_SAME = 1e-9
"""Relative difference below which two values are the same."""


@dataclass(frozen=True, eq=False, repr=False)
class WhatIf:
    """Draws of the score of one LM as it is, changed, and of the difference.

    Parameters
    ----------
    lm
        Name of the LM.
    changes
        What it is given, by decision or size.
    recorded
        What is recorded of it in the same facts; `undisclosed` where nothing is.
    by
        What a target is: a benchmark, a task family, or all benchmarks.
    draws
        Variables `as_is`, `changed` and `difference`, percentage points with dims chain, draw,
        target; higher is better, so that a Brier score counts with a minus.
    extrapolates
        Changed facts whose new value lies outside the range that the LMs of the data record.
    kind
        `effect`, or `association` where the fit tells no effects.
    apart
        Targets with a unit of their own: hundredths of a declared range.
    """

    lm: str
    changes: Mapping[str, str | float]
    recorded: Mapping[str, str | float]
    by: str
    draws: xr.Dataset
    extrapolates: tuple[str, ...]
    kind: str = ASSOCIATION
    apart: tuple[str, ...] = ()

    @property
    def label(self) -> str:
        """What is changed, from what to what."""
        return "; ".join(
            f"{name}: {_say(self.recorded[name])} -> {_say(value)}"
            for name, value in self.changes.items()
        )

    def table(self, *, ci_prob: float = defaults.CI_PROB) -> pd.DataFrame:
        """Summarise the change; equal-tailed intervals have the probability `ci_prob`.

        Returns
        -------
        pandas.DataFrame
            One row per target: the medians of the score as it is and as changed; of the difference
            the median, standard deviation and interval in percentage points, the probability that
            it is positive with its MCSE, and whether it is an `effect` or an `association`.

        Raises
        ------
        QueryError
            If the probability is not between 0 and 1.
        """
        check_ci_prob(ci_prob)
        rows = []
        for target in self.draws["target"].values:
            here = self.draws.sel(target=target)
            units = UNITS_APART if target in self.apart else UNITS
            rows.append(
                {
                    "lm": self.lm,
                    "change": self.label,
                    "by": self.by,
                    "target": str(target),
                    "as_is": float(here["as_is"].median()),
                    "changed": float(here["changed"].median()),
                    **summarise_effect(here["difference"].values, ci_prob=ci_prob, units=units),
                    "kind": self.kind,
                }
            )
        return pd.DataFrame(rows)

    def __repr__(self) -> str:
        what = f"{self.lm} with {self.label} on {self.draws.sizes['target']} targets by {self.by}"
        return outline(self, what, self.draws)


def _say(value: str | float) -> str:
    """Write a level or a value; counts of tokens have more digits than values of decisions."""
    return value if isinstance(value, str) else f"{value:.15g}"


def whatif(fit: Fit, lm: str, *, by: str = "benchmark", **changes: str | float) -> WhatIf:
    """Compute what the score of an LM of the data would be with some facts changed.

    The effects of the LM and of its family, and all its other recorded facts, are held as they
    are. A part of the training mix takes its place from the parts that are not changed, in
    proportion. The difference is an effect, or, where no experiments informed the fit, an
    association adjusted for the modelled covariates.

    Parameters
    ----------
    fit
        The fit.
    lm
        Name of an LM of the data.
    by
        `benchmark`, `task_family` or `overall`.
    **changes
        New levels or values by decision; also `n_params` and `n_tokens`, as counts.

    Returns
    -------
    WhatIf
        Draws of the score as it is, as changed and of the difference, and `.table()`.

    Raises
    ------
    QueryError
        If a name, level or value is not allowed, or nothing is changed.

    Examples
    --------
    >>> import bayesmeta as bm
    >>> found = bm.whatif(
    ...     bm.load_reference_fit(), "EleutherAI/pythia-6.9b", position_embedding="learned"
    ... )
    >>> found.label
    'position_embedding: rotary -> learned'
    """
    check_by(by)
    check_fit(fit)
    row = find_lm(fit.design, lm)
    settings = dict(_read_change(fit.design, name, value) for name, value in changes.items())
    recorded = {name: _read_recorded(fit.design, name, row) for name in settings}
    _check_changes(settings, recorded, lm=lm)
    rows = np.arange(len(fit.design.lms)) == row
    kind = choose_kind(fit)
    as_is, changed = (
        average_benchmarks(mean_score_at(fit, settings=s, rows=rows, kind=kind), fit=fit, by=by)
        for s in ({}, settings)
    )
    return WhatIf(
        kind=kind,
        lm=lm,
        changes=settings,
        recorded=recorded,
        by=by,
        draws=xr.Dataset({"as_is": as_is, "changed": changed, "difference": changed - as_is}),
        extrapolates=tuple(
            n for n, value in settings.items() if lies_outside(fit.design, name=n, value=value)
        ),
        apart=list_apart(fit.design),
    )


def _read_change(design: Design, name: str, value: str | float) -> tuple[str, str | float]:
    """Check one changed fact; answer its name and value."""
    name = resolve_decision(design, name)
    allowed = [*(SIZES if design.knows_sizes else ()), *list_decisions(design)]
    if name not in allowed and allowed:
        raise unknown(
            QueryError,
            "fact",
            name,
            allowed,
            said="cannot be changed",
            why=explain_absence(design, name),
        )
    ask_unit(design, name, (value,))
    return name, read_value(design, name, value)


def _read_recorded(design: Design, name: str, row: int) -> str | float:
    """Read what is recorded of a fact, as the level that the model uses."""
    value = design.recorded[name][row]
    if isinstance(value, str):
        return value
    return UNDISCLOSED if np.isnan(value) else float(value)


def _check_changes(
    settings: Mapping[str, str | float], recorded: Mapping[str, str | float], *, lm: str
) -> None:
    """Refuse what changes nothing, and parts of the mix that hold more than the whole."""
    if not settings:
        raise QueryError(
            "nothing is changed. Name at least one decision and its new level, such as "
            "position_embedding='learned'."
        )
    if all(_is_same(recorded[name], value) for name, value in settings.items()):
        said = listing(f"{name} {_say(value)}" for name, value in settings.items())
        raise QueryError(f"'{lm}' has {said} as it is. Name another level.")
    parts = {name: float(value) for name, value in settings.items() if name in MIX_COLUMNS}
    if sum(parts.values()) > 100 * (1 + _SAME):
        said = listing(f"{name} {value:g}" for name, value in parts.items())
        raise QueryError(
            f"the parts {said} sum to {sum(parts.values()):g} percent. Allowed: 100 together at "
            "most. Lower one of them; parts that are not named share what is left."
        )


def _is_same(recorded: str | float, value: str | float) -> bool:
    if isinstance(recorded, str) or isinstance(value, str):
        return recorded == value
    return abs(recorded - value) <= _SAME * abs(value)
