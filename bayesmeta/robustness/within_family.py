"""Within-family contrasts: families that vary a decision on purpose, beside all others."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from bayesmeta import defaults
from bayesmeta.errors import QueryError, listing, shorten
from bayesmeta.estimates.counterfactual import as_names, check_by, mean_slope, weigh_benchmarks
from bayesmeta.estimates.evidence_card import vary_inside
from bayesmeta.estimates.linearised import Linearised, linearise, mean_change, to_free
from bayesmeta.estimates.question import UNITS, Contrast, parse_statement, refuse_prior
from bayesmeta.estimates.summary import check_ci_prob, normal_interval, prob_above_zero
from bayesmeta.tables.notebook import NotebookView, show_table

if TYPE_CHECKING:
    from bayesmeta.inference.fits import Fit


OTHERS = "all others"
"""The name under which everything but the ladders stands."""


@dataclass(frozen=True, eq=False, repr=False)
class Ladders(NotebookView):
    """One effect by every ladder alone, and by all other families.

    Parameters
    ----------
    contrast
        What is compared with what.
    by
        What a target is: a benchmark, a task family, or all benchmarks.
    families
        Families with a ladder.
    steps
        What is recorded in each of them, from low to high.
    targets
        Names of the targets.
    mean, sd
        Effect in percentage points, both of shape (family, target); the last row is of all other
        families.
    """

    contrast: Contrast
    by: str
    families: tuple[str, ...]
    steps: tuple[tuple[float, ...], ...]
    targets: tuple[str, ...]
    mean: NDArray[np.float64]
    sd: NDArray[np.float64]

    def table(self, *, ci_prob: float = defaults.CI_PROB) -> pd.DataFrame:
        """Summarise the effects, with intervals of the probability `ci_prob`.

        Returns
        -------
        pandas.DataFrame
            One row per target and family, and one for all others: the `estimate` and interval in
            percentage points, `prob_helps`, and for a ladder the `difference` from all others and
            `prob_conflict`, the probability that its effect lies on the side of theirs on which it
            is estimated: one half is perfect agreement, one a certain conflict.

        Raises
        ------
        QueryError
            If `ci_prob` is no probability.
        """
        check_ci_prob(ci_prob)
        rows = []
        for t, target in enumerate(self.targets):
            for k, name in enumerate((*self.families, OTHERS)):
                mean, sd = float(self.mean[k, t]), float(self.sd[k, t])
                found = normal_interval(mean, sd, ci_prob=ci_prob)
                helps = found.pop("prob_helps")
                difference = mean - float(self.mean[-1, t])
                apart = float(np.hypot(sd, self.sd[-1, t]))
                conflict = prob_above_zero(abs(difference), apart)
                rows.append(
                    {
                        "target": target,
                        "lm_family": name,
                        **found,
                        "ci_prob": ci_prob,
                        "units": UNITS,
                        "prob_helps": helps,
                        "difference": np.nan if name == OTHERS else difference,
                        "prob_conflict": np.nan if name == OTHERS else conflict,
                    }
                )
        return pd.DataFrame(rows)

    def _show_parts(self) -> Iterator[str]:
        yield self._show_title()
        yield show_table(self.table(), whole=".table()")

    def __repr__(self) -> str:
        said = "; ".join(
            f"{name} ({listing(f'{step:g}' for step in steps)})"
            for name, steps in zip(self.families, self.steps, strict=True)
        )
        return f"Ladders({self.contrast.label} by {self.by}: {said})"


def ladders(
    fit: Fit,
    statement: str = "code_share: 20 > 5",
    *,
    by: str = "task_family",
    families: Sequence[str] | None = None,
) -> Ladders:
    """Compare what families that vary a number on purpose say of it with what all others say.

    LMs of a ladder share the rest of the recipe, so that it is close to an experiment; but it
    is one family's, often of one size. Both sides are read from the model linearised about its
    posterior means, each given its own scores alone: a ladder by the differences between its LMs,
    the others by all that they differ in. They share the prior and nothing else.

    Parameters
    ----------
    fit
        The fit.
    statement
        Two values of a numeric decision, such as `code_share: 20 > 5`.
    by
        `benchmark`, `task_family` or `overall`.
    families
        Names of the families; all that vary in it if left out.

    Returns
    -------
    Ladders
        Effects by family and target, and `.table()`.

    Raises
    ------
    QueryError
        If the statement is not of a numeric decision, or no family varies in it.

    Examples
    --------
    >>> import bayesmeta as bm
    >>> ladders(bm.load_reference_fit(), by="overall").families
    ('codegen', 'llama2-220M')
    """
    check_by(by)
    refuse_prior(fit)
    contrast = parse_statement(fit.design, statement)
    if not isinstance(contrast, Contrast) or contrast.about.kind == "categorical":
        raise QueryError(
            f"'{shorten(statement)}' is not about a number that a family could vary step by step. "
            "Allowed: two values of a numeric decision, such as 'code_share: 20 > 5'."
        )
    names = _find_families(fit, contrast, families)
    model, (targets, weights) = linearise(fit), weigh_benchmarks(fit.design, by=by)
    moved = to_free(fit.design, mean_change(fit, contrast))
    index = [fit.design.lm_families.index(name) for name in names]
    ask = [model.given(model.family == k).estimate_within for k in index]
    ask.append(model.given(~np.isin(model.family, index)).estimate)
    found = [estimate(moved, weights=weights) for estimate in ask]
    slope = np.array([mean_slope(fit, weights=row) for row in weights])
    return Ladders(
        contrast=contrast,
        by=by,
        families=tuple(names),
        steps=tuple(_steps(fit, contrast, model, k) for k in index),
        targets=tuple(targets),
        mean=slope * np.array([one.mean for one in found]),
        sd=slope * np.array([one.sd for one in found]),
    )


def _find_families(fit: Fit, contrast: Contrast, families: Sequence[str] | None) -> list[str]:
    allowed = sorted(vary_inside(fit.design, contrast.decision))
    if not allowed:
        raise QueryError(
            f"no family of this fit's data varies in {contrast.decision}, so that there is no "
            "ladder. Ask about another decision: bm.evidence says in how many families it varies."
        )
    said = f"has no ladder of {contrast.decision}"
    return as_names(families, allowed=allowed, what="family", said=said)


def _steps(fit: Fit, contrast: Contrast, model: Linearised, family: int) -> tuple[float, ...]:
    """Values that the scored LMs of a family record, from low to high."""
    values = fit.design.recorded[contrast.decision]
    own = values[np.unique(model.lm[model.family == family])]
    return tuple(float(x) for x in np.unique(own[~np.isnan(own)]))
