"""Facts of lms set to other values: what becomes of covariates, mix, columns and surface."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bayesmeta.design import (
    DECISIONS,
    LOG_D_UNIT,
    LOG_N_UNIT,
    SCALE_TERMS,
    SIZES,
    Design,
    scale_covariates,
    set_parts,
    standardise,
    swap_parts,
)
from bayesmeta.effects.mix_swaps import Swap
from bayesmeta.inference.fits import Fit
from bayesmeta.model import Parameters
from bayesmeta.model.law import law_skill

__all__ = [
    "Settings",
    "columns_at",
    "covariates_at",
    "law_at",
    "law_exponents",
    "parts_at",
    "parts_of_mix",
    "surface_change",
    "surface_scale",
    "surface_swap",
    "swap_rows",
]

Settings = Mapping[str, str | float]
"""Levels or values by the names of decisions and sizes."""


def columns_at(design: Design, settings: Settings) -> tuple[list[int], NDArray[np.float64]]:
    """List the columns of the matrix that settings fill, and with what."""
    columns, target = [], []
    for name, value in settings.items():
        if name in SIZES or DECISIONS[name].in_mix:
            continue
        for k in design.columns_of(name):
            term, kind = design.terms[k], DECISIONS[name].kind
            columns.append(k)
            target.append(
                float(term.level == value)
                if kind == "categorical"
                else standardise(float(value), term=term, kind=kind)
            )
    return columns, np.array(target)


def parts_of_mix(settings: Settings) -> dict[str, float]:
    """Pick the settings that are parts of the training mix, as fractions."""
    return {
        name: float(value) / 100
        for name, value in settings.items()
        if name not in SIZES and DECISIONS[name].in_mix
    }


def parts_at(
    design: Design, mix: NDArray[np.float64], parts: Mapping[str, float]
) -> NDArray[np.float64]:
    """Set parts of compositions (..., lm, domain) and scale the others in proportion."""
    assert design.mix is not None
    return set_parts(
        mix, shares=parts, typical=np.exp(design.mix.log_mean), domains=design.mix.domains
    )


def covariates_at(
    fit: Fit, settings: Settings, rows: NDArray[np.bool_] | slice = slice(None)
) -> NDArray[np.float64]:
    """Scale covariates of the lms of the rows, their sizes set, shape (lm, covariate)."""
    sizes = {name: float(settings[name]) for name in SIZES if name in settings}
    return scale_covariates(fit.dataset.lms.assign(**sizes))[rows]


def law_exponents(parameters: Parameters) -> dict[str, NDArray[np.float64]]:
    """Pick the parameters of the scaling law, by the names that `law_skill` gives them."""
    names = ("size_exponent", "data_exponent", "size_fraction")
    return {name: parameters[f"law_{name}"] for name in names}


def law_at(covariates: NDArray[np.float64], exponents: Mapping[str, Any]) -> NDArray[np.float64]:
    """Evaluate the scaling law at scale covariates (lm, covariate), shape (..., lm)."""
    return law_skill(covariates[:, :2] * (LOG_N_UNIT, LOG_D_UNIT), **exponents)


def surface_scale(
    fit: Fit, settings: Settings, rows: NDArray[np.bool_] | slice = slice(None)
) -> NDArray[np.float64] | None:
    """Covariates of the surface with other sizes, in length scales; None where none is set."""
    if fit.design.surface is None or not set(SIZES) & set(settings):
        return None
    lengths = fit.spec.surface_lengths or {}
    names = [name for name in SCALE_TERMS if name in lengths]
    columns = [SCALE_TERMS.index(name) for name in names]
    new = covariates_at(fit, settings, rows)[:, columns]
    return new / np.array([lengths[name] for name in names])


def swap_rows(swap: Swap, design: Design, mix: NDArray[np.float64]) -> NDArray[np.float64]:
    """Move points from one part of compositions (..., lm, domain) to another."""
    assert design.mix is not None
    return swap_parts(
        mix, receiver=swap.decision, donor=swap.donor, amount=swap.points / 100,
        domains=design.mix.domains,
    )  # fmt: skip


def surface_change(
    design: Design,
    *,
    settings: Settings,
    rows: NDArray[np.bool_] | slice = slice(None),
    scale: NDArray[np.float64] | None = None,
) -> NDArray[np.float64] | None:
    """Change of the surface's functions when lms are given other values, shape (lm, function).

    Undisclosed facts stand at their typical values there, whatever the draw. `scale` has the lms'
    new covariates in units of their length scales. None where nothing that is set is a part of the
    surface.
    """
    surface, parts = design.surface, parts_of_mix(settings)
    if surface is None or not (parts or "english_share" in settings or scale is not None):
        return None
    mix = parts_at(design, surface.mix[rows], parts) if parts else None
    english = None
    if "english_share" in settings:
        _, target = columns_at(design, {"english_share": settings["english_share"]})
        english = np.full(len(surface.english[rows]), target[0])
    changed = surface.evaluate(mix=mix, english=english, scale=scale, rows=rows)
    return changed - surface.evaluate(rows=rows)


def surface_swap(
    design: Design, *, swap: Swap, rows: NDArray[np.bool_]
) -> NDArray[np.float64] | None:
    """Change of the surface's functions when some lms swap, shape (lm that swaps, function)."""
    surface = design.surface
    if surface is None:
        return None
    moved = swap_rows(swap, design, surface.mix[rows])
    return surface.evaluate(mix=moved, rows=rows) - surface.evaluate(rows=rows)
