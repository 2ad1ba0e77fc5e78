"""What the prior does to a claim: power scaling of prior and likelihood."""

from __future__ import annotations

import warnings
from collections.abc import Sequence

import numpy as np
import pandas as pd

from bayesmeta.estimates.contrasts import effects
from bayesmeta.inference.fits import EffectSizeFit, Fit
from bayesmeta.robustness.study_influence import sensitivity_to_priors

SENSITIVE = 0.05
"""Distance per doubling of the power above which a posterior counts as sensitive: the threshold of
the method's authors, a shift of the mean by some three tenths of a standard deviation."""


def prior_sensitivity(
    fit: Fit | EffectSizeFit, decision: str | Sequence[str] | None = None, *, by: str = "overall"
) -> pd.DataFrame:
    """Say how far effects move when the prior, or the likelihood, is made stronger or weaker.

    Both are raised to powers near one, and draws are weighed by importance instead of drawn anew
    (Kallioinen et al. 2024, https://doi.org/10.1007/s11222-023-10366-5). The prior that is scaled
    is that of intercepts, mean slopes and scales (see `Fit.log_prior`).

    Parameters
    ----------
    fit
        A fit; of effect sizes nothing else is asked, and the table is that of
        `sensitivity_to_priors`.
    decision
        One name or several; all decisions of the fit if left out.
    by
        `benchmark`, `task_family` or `overall`.

    Returns
    -------
    pandas.DataFrame
        One row per contrast and target: `decision`, `level`, `reference`, `target`, the median
        effect in percentage points, `prob_helps`, the distances `prior` and `likelihood`, and
        `reading`: which of them moves the effect, `likelihood`, `both`, `prior` or `neither`.

    Raises
    ------
    QueryError
        If a decision or `by` is not known.

    Examples
    --------
    >>> import bayesmeta as bm
    >>> found = prior_sensitivity(bm.load_reference_fit(), "attention")
    >>> found["reading"].tolist()
    ['both', 'both']
    """
    if isinstance(fit, EffectSizeFit):
        return sensitivity_to_priors(fit)
    import arviz as az

    found = effects(fit, decision, by=by)
    table = found.table()
    draws = found.draws.values.reshape(*found.draws.shape[:2], -1)
    draws = draws[..., ~np.isnan(draws[0, 0])]  # as the table leaves out what does not apply
    density = fit.log_likelihood()
    prior = {str(name): np.asarray(values) for name, values in fit.log_prior().items()}
    tree = az.from_dict(
        {"posterior": {"effect": draws}, "log_likelihood": {"y": density}, "log_prior": prior}
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # high k: the powers are close to one
        scaled = {
            name: np.asarray(az.psense(tree, group=name)["effect"], float)
            for name in ("prior", "likelihood")
        }
    columns = ["decision", "level", "reference", "target", "estimate", "prob_helps"]
    table = table[columns].assign(**scaled)
    return table.assign(
        reading=[_read(*row) for row in zip(table["prior"], table["likelihood"], strict=True)]
    )


def _read(prior: float, likelihood: float) -> str:
    moves = [n for n, d in (("prior", prior), ("likelihood", likelihood)) if d >= SENSITIVE]
    return "both" if len(moves) == 2 else moves[0] if moves else "neither"
