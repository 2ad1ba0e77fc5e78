"""The published scaling law as slopes of log size, log data and their product."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from bayesmeta.design.scale import LOG_D_UNIT, LOG_N_UNIT
from bayesmeta.model.spec import Priors

__all__ = ["law_slopes"]


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
