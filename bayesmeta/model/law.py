"""The scaling law: its value, and its slopes in log size, log data and their product."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from bayesmeta.design.scale import LOG_D_UNIT, LOG_N_UNIT
from bayesmeta.model.spec import Priors

__all__ = ["law_skill", "law_slopes"]


def law_slopes(priors: Priors) -> NDArray[np.float64]:
    """Linearise -log of the reducible loss of a scaling law at the reference lm.

    With fraction f of the reducible loss due to size and exponents a, b, the first derivatives
    are f a and (1 - f) b, and the mixed second derivative is a b f (1 - f) (Hoffmann et al. 2022,
    https://doi.org/10.48550/arXiv.2203.15556).

    Parameters
    ----------
    priors
        Holds the exponents and the fraction.

    Returns
    -------
    ndarray
        Slopes of size, data and their product in the units of the design, shape (3,).

    Examples
    --------
    >>> law_slopes(Priors()).round(3)
    array([0.375, 0.159, 0.06 ])
    """
    a, b, f = priors.law_size_exponent, priors.law_data_exponent, priors.law_size_fraction
    return np.array(
        [
            f * a * LOG_N_UNIT,
            (1 - f) * b * LOG_D_UNIT,
            a * b * f * (1 - f) * LOG_N_UNIT * LOG_D_UNIT,
        ]
    )


def law_skill(
    log_scale: NDArray[np.float64],
    *,
    size_exponent: NDArray[np.float64] | float,
    data_exponent: NDArray[np.float64] | float,
    size_fraction: NDArray[np.float64] | float,
) -> NDArray[np.float64]:
    """Compute minus the log of the reducible loss, relative to that of the reference lm.

    The parametric law of Hoffmann et al. 2022 (https://doi.org/10.48550/arXiv.2203.15556), written
    through the share of the reducible loss that is due to size at the reference lm instead of two
    coefficients, which are hard to tell from the exponents.

    Parameters
    ----------
    log_scale
        Natural logs of size and data over those of the reference lm, shape (lm, 2).
    size_exponent, data_exponent, size_fraction
        Parameters of the law, each of shape (...).

    Returns
    -------
    ndarray
        Latent skill, zero for the reference lm, shape (..., lm).

    Examples
    --------
    >>> twice = np.log([[2.0, 2.0]])  # twice the size and data of the reference lm
    >>> law_skill(twice, size_exponent=0.35, data_exponent=0.35, size_fraction=0.6) / np.log(2)
    array([0.35])
    """
    a, b, f = (
        np.asarray(x, float)[..., None] for x in (size_exponent, data_exponent, size_fraction)
    )
    size, data = log_scale[:, 0], log_scale[:, 1]
    return -np.log(f * np.exp(-a * size) + (1 - f) * np.exp(-b * data))
