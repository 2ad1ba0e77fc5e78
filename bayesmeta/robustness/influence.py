"""What single LM families do to a claim: every one left out in turn."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd

from bayesmeta import defaults
from bayesmeta.errors import EvaluationError
from bayesmeta.estimates.counterfactual import as_names, mean_slope, weigh_target
from bayesmeta.estimates.linearised import latent_draws, linearise, mean_change, to_free
from bayesmeta.estimates.question import UNITS, Names, parse_statement, refuse_prior
from bayesmeta.estimates.summary import prob_above_zero
from bayesmeta.inference.fits import Fit
from bayesmeta.inference.saved_fits import wrap_draws
from bayesmeta.jobs import progress_bar
from bayesmeta.model.predictor import Array
from bayesmeta.tables.headed_columns import Column, head


def leave_family_out(
    fit: Fit,
    statement: str,
    *,
    families: Names = None,
    benchmark: str | None = None,
    task_family: str | None = None,
    refit: bool = False,
    progress: bool = True,
) -> pd.DataFrame:
    """Say what an association would be without each LM family.

    The draws are weighed by importance where that can be trusted (by the Pareto k that Vehtari et
    al. 2024 allow for so many draws, at most 0.7: https://doi.org/10.48550/arXiv.1507.02646). For
    most families it cannot, since only their own scores tell their effects: these are left out of
    the model linearised about its posterior means, or of a refit.

    Parameters
    ----------
    fit, statement
        What is asked of what, as `query` takes them.
    families
        Names of families; all if left out.
    benchmark, task_family
        Where; over all benchmarks if both are left out.
    refit
        Whether to refit where importance weights cannot be trusted. The model is compiled once,
        and every refit takes some seconds.
    progress
        Whether to show a progress bar for the refits.

    Returns
    -------
    pandas.DataFrame
        One row per family, the most influential first: `lm_family`, number of `scores`, `estimate`
        (mean) and `sd` of the effect without it, `prob_helps`, `move`, by how many posterior
        standard deviations the mean changed, `pareto_k`, and the `method`: `importance`, `refit` or
        `linearised`. Effects are latent ones, in the percentage points that a small one is worth
        on average.

    Raises
    ------
    QueryError
        If the statement cannot be read or names what the fit does not know.
    EvaluationError
        If a family is not in the data.

    Examples
    --------
    >>> import bayesmeta as bm
    >>> found = leave_family_out(bm.load_reference_fit(), "code_share: 18 > 8")
    >>> found["lm_family"].iloc[0]
    'codegen'
    """
    refuse_prior(fit)
    contrast = parse_statement(fit.design, statement)
    _, weights = weigh_target(fit.design, benchmark=benchmark, task_family=task_family)
    names = _check_families(fit, families)
    change, slope = mean_change(fit, contrast), mean_slope(fit, weights=weights)
    moved = to_free(fit.design, change)

    def draw(fit: Fit) -> Array:
        return slope * latent_draws(fit, change) @ weights

    draws = draw(fit)
    table = _linearise_each(fit, moved, weights=weights, slope=slope).loc[names]
    _weigh_each(table, fit, draws)
    if refit:
        _refit_each(table, fit, draw, shown=progress)
    # A linear approximation is held against one of the whole, so that its error cancels.
    whole = slope * float(linearise(fit).estimate(moved, weights=weights).mean)
    whole = np.where(table["method"] == "linearised", whole, draws.mean())
    table["move"] = (table["estimate"] - whole).abs() / draws.std()
    columns = ["scores", "estimate", "sd", "prob_helps", "move", "pareto_k", "method"]
    order = table.sort_values("move", ascending=False)[columns]
    table = order.rename_axis("lm_family").reset_index()
    return head(table, {"move": Column(digits=2)}, units=UNITS)


def _check_families(fit: Fit, families: Names) -> list[str]:
    outcomes, design = fit.design.outcomes, fit.design
    scored = np.unique(design.lm_family_index[outcomes.lm_index])
    allowed = [design.lm_families[k] for k in scored]
    said = "has no scores in this fit's data"
    return as_names(families, allowed=allowed, what="LM family", said=said, error=EvaluationError)


def _linearise_each(fit: Fit, moved: Array, *, weights: Array, slope: float) -> pd.DataFrame:
    """Effects without each family by the linearised model, by the name of the family."""
    design, model = fit.design, linearise(fit)
    found = model.without_each_family(moved, weights=weights)
    mean, sd = slope * found.mean, slope * found.sd
    counts = np.bincount(model.family, minlength=len(design.lm_families))
    return pd.DataFrame(
        {
            "scores": counts,
            "estimate": mean,
            "sd": sd,
            "prob_helps": [prob_above_zero(m, s) for m, s in zip(mean, sd, strict=True)],
            "pareto_k": np.nan,
            "method": "linearised",
        },
        index=list(design.lm_families),
    )


def _weigh_each(table: pd.DataFrame, fit: Fit, draws: Array) -> None:
    """Replace effects by importance-weighted ones where the weights can be trusted."""
    from arviz_stats.base.array import array_stats

    density = fit.log_likelihood()
    family = fit.design.lm_family_index[fit.design.outcomes.lm_index]
    flat = draws.reshape(-1)
    most = min(1 - 1 / np.log10(flat.size), defaults.PARETO_K_MAX)
    for name in table.index:
        rows = family == fit.design.lm_families.index(str(name))
        log_weight, k = array_stats.psislw(density[..., rows].sum(axis=-1).reshape(-1))
        table.loc[name, "pareto_k"] = float(k)
        if not float(k) <= most:
            continue
        weight = np.exp(log_weight - np.logaddexp.reduce(log_weight))
        mean = float(weight @ flat)
        table.loc[name, ["estimate", "sd", "prob_helps"]] = (
            mean,
            float(np.sqrt(weight @ (flat - mean) ** 2)),
            float(weight @ (flat > 0)),
        )
        table.loc[name, "method"] = "importance"


def _refit_each(
    table: pd.DataFrame, fit: Fit, draw: Callable[[Fit], Array], *, shown: bool
) -> None:
    """Replace effects whose weights cannot be trusted by those of refits, drawn from each."""
    from bayesmeta.inference.refit import Refitter

    names = list(table.index[table["method"] != "importance"])
    if not names:
        return
    design = fit.design
    family = design.lm_family_index[design.outcomes.lm_index]
    refitter = Refitter(fit.dataset, spec=fit.spec)
    with progress_bar("refitting", total=len(names), unit="families", shown=shown) as report:
        for done, name in enumerate(names, start=1):
            k = design.lm_families.index(name)
            left = refitter.refit(family != k, seed=defaults.SEED + k)
            drawn = {key: values[None] for key, values in left.parameters.items()}
            without = wrap_draws(drawn, spec=fit.spec, dataset=fit.dataset, source="refit")
            draws = draw(without)
            numbers = float(draws.mean()), float(draws.std()), float((draws > 0).mean())
            table.loc[name, ["estimate", "sd", "prob_helps"]] = numbers
            table.loc[name, "method"] = "refit"
            report(done, name)
