"""What a contrast or a swap changes on the latent scale, averaged over the lms."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bayesmeta.design import FACTS, MIX_UNIT, SCALE_TERMS, SIZES, Design, standardise
from bayesmeta.effects.estimands import Contrast
from bayesmeta.effects.mix_swaps import Asked, Swap, can_give
from bayesmeta.effects.settings import (
    covariates_at,
    law_at,
    law_exponents,
    surface_change,
    surface_scale,
    surface_swap,
)
from bayesmeta.inference.fits import Fit

__all__ = ["LatentChange", "change_of"]


@dataclass(frozen=True, slots=True, eq=False)
class LatentChange:
    """How far a contrast moves every coefficient of a decision.

    Parameters
    ----------
    term, function, scale_term
        Changes of the columns of the matrix, of the functions of the surface and of the scale
        covariates, each of the shape that its name in the design's coordinates has.
    law
        Change of the scaling law at its posterior mean, shape (1,); empty without one.
    """

    term: NDArray[np.float64]
    function: NDArray[np.float64]
    scale_term: NDArray[np.float64]
    law: NDArray[np.float64]

    def coefficients(self, design: Design) -> NDArray[np.float64]:
        """Change of every free coefficient, in the order of `Linearised.columns`."""
        free = design.loading.T @ self.term
        return np.concatenate([free, self.function, self.scale_term, self.law])

    def draws(self, fit: Fit, *, weights: NDArray[np.float64]) -> NDArray[np.float64]:
        """Latent effect in every draw, averaged over benchmarks, shape (chain, draw)."""
        drawn = fit.parameters
        total = np.zeros(fit.shape)
        if self.term.any():
            total += np.einsum("k,cdkb,b->cd", self.term, drawn["beta"], weights)
        if self.function.any():
            total += np.einsum("k,cdkb,b->cd", self.function, drawn["surface"], weights)
        if self.scale_term.any():
            total += np.einsum("k,cdbk,b->cd", self.scale_term, drawn["kappa"], weights)
        if self.law.any():
            total += self.law[0] * (drawn["kappa_law"] @ weights)
        return total


def change_of(fit: Fit, *, contrast: Asked) -> LatentChange:
    """Say what a contrast changes, averaged over the lms that it is averaged over.

    Undisclosed shares stand at their typical values.

    Parameters
    ----------
    fit
        The fit.
    contrast
        What is compared with what, or swapped.

    Returns
    -------
    LatentChange
        Zero where the contrast changes nothing.
    """
    scale_term, law = _scale_change(fit, contrast)
    return LatentChange(
        scale_term=scale_term,
        law=law,
        term=_term_change(fit.design, contrast),
        function=_function_change(fit, contrast),
    )


def _term_change(design: Design, contrast: Asked) -> NDArray[np.float64]:
    change = np.zeros(len(design.terms))
    if isinstance(contrast, Swap):
        change[design.mix_columns] = _swapped_parts(design, contrast)
        return change
    decision = FACTS[contrast.decision]
    if decision.in_mix:
        change[design.mix_columns] = _shifted_parts(design, contrast)
        return change
    for k in design.columns_of(contrast.decision):
        term, sides = design.terms[k], (contrast.level, contrast.reference)
        if decision.kind == "categorical":
            high, low = (float(term.level == side) for side in sides)
        else:
            high, low = (standardise(float(x), term=term, kind=decision.kind) for x in sides)
        change[k] = high - low
    return change


def _swapped_parts(design: Design, swap: Swap) -> NDArray[np.float64]:
    """Change of the parts of the mix by a swap, in units of the matrix, shape (domain,)."""
    assert design.mix is not None
    part = np.array(design.mix.domains)
    sign = (part == swap.decision).astype(float) - (part == swap.donor)
    return sign * swap.points / 100 / MIX_UNIT


def _shifted_parts(design: Design, contrast: Contrast) -> NDArray[np.float64]:
    """Change of the parts of a typical mix when one grows and the others give in proportion."""
    assert design.mix is not None
    others = np.exp(design.mix.log_mean)
    part = design.mix.domains.index(contrast.decision)
    others[part] = 0
    unit = -others / others.sum()
    unit[part] = 1
    return unit * (float(contrast.level) - float(contrast.reference)) / 100 / MIX_UNIT


def _function_change(fit: Fit, contrast: Asked) -> NDArray[np.float64]:
    nothing = np.zeros(fit.design.surface_center.shape[1])
    if isinstance(contrast, Swap):
        change = surface_swap(fit.design, swap=contrast, rows=can_give(fit, swap=contrast))
        return nothing if change is None else change.mean(axis=0)
    high, low = (
        surface_change(fit.design, settings=at, scale=surface_scale(fit, at))
        for at in ({contrast.decision: value} for value in (contrast.level, contrast.reference))
    )
    return nothing if high is None or low is None else (high - low).mean(axis=0)


def _scale_change(fit: Fit, contrast: Asked) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Change of the scale covariates, shape (scale_term,), and of the law, shape (1,) or (0,)."""
    design = fit.design
    names, has_law = design.scale_terms, design.log_scale is not None
    if isinstance(contrast, Swap) or contrast.decision not in SIZES:
        return np.zeros(len(names)), np.zeros(int(has_law))
    high, low = (
        covariates_at(fit, {contrast.decision: value})
        for value in (contrast.level, contrast.reference)
    )
    change = (high - low).mean(axis=0)[[SCALE_TERMS.index(name) for name in names]]
    if not has_law:
        return change, np.empty(0)
    exponents = {name: draws.mean() for name, draws in law_exponents(fit.parameters).items()}
    law = law_at(high, exponents) - law_at(low, exponents)
    return change, law.mean(axis=0, keepdims=True)
