"""Tipping points: how much of a part that is missing would turn the sign of an effect."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from bayesmeta.design.facts import set_parts
from bayesmeta.errors import QueryError, listing
from bayesmeta.estimates.counterfactual import mean_slope, weigh_target
from bayesmeta.estimates.linearised import (
    Linearised,
    facts_at_means,
    linearise,
    linearise_at,
    mean_change,
    to_free,
)
from bayesmeta.estimates.question import (
    UNITS,
    find_part,
    parse_statement,
    recorded_part,
    refuse_prior,
)
from bayesmeta.estimates.summary import prob_above_zero
from bayesmeta.jobs import progress_bar
from bayesmeta.model.predictor import Array
from bayesmeta.tables.headed_columns import PROBABILITY, Column, head

if TYPE_CHECKING:
    from bayesmeta.design.facts import Design
    from bayesmeta.inference.fits import Fit


EVERYONE = "all that do not disclose it"
"""The row in which all these LMs are given the share at once."""

GRID = (0.0, 20.0, 40.0, 60.0, 80.0)
"""Shares that missing parts are given, in percent; more of one part is no general model."""

_HEADINGS = {
    "prob_helps_least": PROBABILITY._replace(heading="least P(helps)"),
    "prob_helps_most": PROBABILITY._replace(heading="most P(helps)"),
}


def tipping_point(
    fit: Fit,
    statement: str,
    *,
    part: str | None = None,
    benchmark: str | None = None,
    task_family: str | None = None,
    progress: bool = True,
) -> pd.DataFrame:
    """Say at what share of a missing part an effect would change its sign.

    LMs that do not disclose a part stand at the typical share. Here each family of them, and all at
    once, is given other shares instead, the other missing parts making room in proportion, and
    the effect is estimated anew by the model linearised about its posterior means.

    Parameters
    ----------
    fit, statement
        A posterior and a statement, as for `query`.
    part
        The part of the training mix that is not disclosed, such as `code_share`; the one that the
        statement is about if left out.
    benchmark, task_family
        Where; over all benchmarks if both are left out.
    progress
        Whether to show a progress bar; a family takes a second or two.

    Returns
    -------
    pandas.DataFrame
        One row per family that does not disclose the part, and one for all: `lm_family`, number of
        `lms`, `tips_at`, the lowest share in percent at which the sign differs from that at the
        typical share (missing where none from 0 to 80 does), `estimate` at the typical share,
        `lowest` and `highest` over the shares, in percentage points, and `prob_helps_least` and
        `prob_helps_most`.

    Raises
    ------
    QueryError
        If the statement cannot be read, the part is not known, or all LMs disclose it.

    Examples
    --------
    >>> import bayesmeta as bm
    >>> found = tipping_point(
    ...     bm.load_reference_fit(), "code_share: 20 > 5", task_family="code", progress=False
    ... )
    >>> found["lm_family"].iloc[-1]
    'all that do not disclose it'
    """
    refuse_prior(fit)
    contrast, mix = parse_statement(fit.design, statement), fit.design.mix
    _, weights = weigh_target(fit.design, benchmark=benchmark, task_family=task_family)
    if part is None and mix is not None and contrast.decision not in mix.domains:
        raise QueryError(
            f"'{contrast.decision}' is no part of the training mix, whose missing shares could "
            f"turn its effect. Name a part by part= or --part. Allowed: {listing(mix.domains)}."
        )
    name = find_part(fit.design, contrast.decision if part is None else part)
    assert mix is not None
    groups = _undisclosed(fit.design, name)
    moved = to_free(fit.design, mean_change(fit, contrast))
    slope = mean_slope(fit, weights=weights)
    typical, whole = mix.at_typical().known, linearise(fit).estimate(moved, weights=weights)
    rows = []
    with progress_bar("tipping", total=len(groups), unit="families", shown=progress) as report:
        for done, (family, lms) in enumerate(groups.items(), start=1):
            models = (_linearise_given(fit, typical, lms, {name: x / 100}) for x in GRID)
            found = [model.estimate(moved, weights=weights) for model in models]
            mean = slope * np.array([float(one.mean) for one in found])
            helps = [prob_above_zero(float(one.mean), float(one.sd)) for one in found]
            rows.append(
                {
                    "lm_family": family,
                    "lms": int(lms.sum()),
                    "tips_at": _first_turn(mean, sign=float(np.sign(whole.mean))),
                    "estimate": slope * float(whole.mean),
                    "lowest": float(mean.min()),
                    "highest": float(mean.max()),
                    "prob_helps_least": min(helps),
                    "prob_helps_most": max(helps),
                }
            )
            report(done, family)
    return head(pd.DataFrame(rows), {"tips_at": Column(digits=0), **_HEADINGS}, units=UNITS)


def _undisclosed(design: Design, name: str) -> dict[str, NDArray[np.bool_]]:
    """Scored LMs that do not disclose a part, by family, and all of them, each of shape (lm,)."""
    hidden = np.isnan(recorded_part(design, name))
    hidden &= np.isin(np.arange(len(hidden)), design.outcomes.lm_index)
    if not hidden.any():
        raise QueryError(
            f"every LM with a score discloses its {name}: nothing is hidden that could turn a "
            "sign. Name another part."
        )
    families = sorted({design.lm_families[k] for k in design.lm_family_index[hidden]})
    members = np.array(design.lm_families)[design.lm_family_index]
    groups = {family: hidden & (members == family) for family in families}
    return {**groups, EVERYONE: hidden}


def _linearise_given(
    fit: Fit, typical: Array, lms: NDArray[np.bool_], shares: Mapping[str, float]
) -> Linearised:
    """Linearise with some LMs at other shares than the typical ones, shape (lm, part)."""
    given, design = typical.copy(), fit.design
    given[lms] = set_parts(
        typical[lms], shares=shares, typical=design.typical_parts, domains=design.domains
    )
    return linearise_at(fit, replace(facts_at_means(fit), typical_mix=given).with_mix(given))


def _first_turn(mean: NDArray[np.float64], *, sign: float) -> float:
    """Least share at which the effect has another sign, linear between the shares of the grid."""
    turned = np.flatnonzero(mean * sign < 0)
    if not len(turned):
        return float("nan")
    k = int(turned[0])
    if k == 0:
        return GRID[0]
    low, high = mean[k - 1], mean[k]
    return float(GRID[k - 1] + (GRID[k] - GRID[k - 1]) * low / (low - high))
