"""Leave-one-out scores: by importance sampling, by refits where that fails, and fits compared."""

from __future__ import annotations

import dataclasses
import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from bayesmeta import defaults
from bayesmeta.errors import EvaluationError, listing, unknown
from bayesmeta.inference.convergence import measure_efficiency, stack_draws
from bayesmeta.inference.fits import BaseFit
from bayesmeta.jobs import progress_bar
from bayesmeta.model.predictor import Array, score_distribution
from bayesmeta.tables.notebook import NotebookView, fold, show_table, show_text, show_title

_LEFT_OUT = ("score", "lm_family")
_NUMBERS = ("log_density", "pit", "pareto_k", "refitted")


@dataclass(frozen=True, eq=False, repr=False)
class LeaveOneOut(NotebookView):
    """How well a fit predicts each score from all the others.

    Parameters
    ----------
    table
        One row per score: `lm`, `lm_family`, `benchmark`, `task_family` (of effect sizes: the
        columns of groups, and `study`); `log_density` of the score
        on its own scale, left out; `pit`, the probability of a lower score; `pareto_k`; and whether
        it was `refitted`.
    elpd_data
        The same as ArviZ's object, for `az.compare` and plots.
    checksum
        Of the data.
    left_out
        What is left out together: the `score`, or all scores of the `lm_family`.
    """

    table: pd.DataFrame
    elpd_data: Any
    checksum: str
    left_out: str = "score"

    @property
    def n_bad(self) -> int:
        """Number of scores with importance weights that cannot be trusted, and not refitted."""
        bad = ~(self.table["pareto_k"] <= defaults.PARETO_K_MAX) & ~self.table["refitted"]
        return int(bad.sum())

    def by(self, group: str) -> pd.DataFrame:
        """Sum log densities over the scores of a benchmark, a family or an LM.

        Parameters
        ----------
        group
            benchmark, task_family, lm or lm_family; of effect sizes study, or a column of groups.

        Returns
        -------
        DataFrame
            One row per group: `elpd`, its standard error `se` over scores, number `n` of scores,
            and `coverage50` and `coverage90`, the percentage of scores inside such intervals.

        Raises
        ------
        EvaluationError
            If there is no such grouping.
        """
        allowed = [name for name in self.table if name not in _NUMBERS]
        if group not in allowed:
            raise unknown(EvaluationError, "group", group, allowed)
        densities = self.table.groupby(group, sort=False)["log_density"]
        off_center = (self.table["pit"] - 0.5).abs()
        coverage = {
            f"coverage{100 * prob:.0f}": 100
            * (off_center <= prob / 2).groupby(self.table[group], sort=False).mean()
            for prob in defaults.SCORED_PROBS
        }
        return pd.DataFrame(
            {
                "elpd": densities.sum(),
                "se": np.sqrt(densities.count() * densities.var(ddof=0)),
                "n": densities.count(),
                **coverage,
            }
        ).reset_index()

    def _show_parts(self) -> Iterator[str]:
        yield show_title("LeaveOneOut")
        yield show_text(repr(self))
        worst = self.table.sort_values("pareto_k", ascending=False)
        yield fold("Scores, the most influential first", show_table(worst, whole=".table"))

    def __repr__(self) -> str:
        total, of_studies = self.elpd_data, "study" in self.table
        what = "studies" if of_studies else "scores"
        line = (
            f"elpd {total.elpd:.1f} (standard error {total.se:.1f}) over {len(self.table)} {what}"
        )
        if self.left_out != "score":
            return f"{line}; each given the other lm families alone, by refits."
        if not self.n_bad:
            return f"{line}; every Pareto k at most {defaults.PARETO_K_MAX}, or refitted."
        cure = (
            "fit the table without each of them" if of_studies else "refit=True computes them anew"
        )
        return f"{line}; {self.n_bad} {what} with Pareto k above {defaults.PARETO_K_MAX}: {cure}."


def loo(
    fit: BaseFit, *, leave_out: str = "score", refit: bool = False, progress: bool = True
) -> LeaveOneOut:
    """Predict every score from others: from all of them, or from those of other families.

    Single scores are left out by importance sampling with smoothed weights (Vehtari et al. 2017,
    https://doi.org/10.1007/s11222-016-9696-4). The siblings of an LM, and its other scores, then
    stay in. Importance sampling fails for a whole family, whose effect only its own scores tell, so
    that every family is left out of a refit.

    Parameters
    ----------
    fit
        A fit of scores or of effect sizes; of the latter, single studies are left out, and never by
        a refit.
    leave_out
        `score`; or `lm_family`: every score is predicted without any score of its family. The log
        densities are those of single scores, so that `by` and `compare` sum them up.
    refit
        Whether scores that are too influential for importance sampling (Pareto k above 0.7) are
        left out of a fit of their own each. The model is compiled once, and every refit takes some
        seconds. Families are always left out so.
    progress
        Whether to show a progress bar for the refits.

    Returns
    -------
    LeaveOneOut
        Log density and PIT of every score, on the scores' scale (accuracy as a fraction).

    Raises
    ------
    EvaluationError
        If `leave_out` is not known.

    Examples
    --------
    >>> import bayesmeta as bm
    >>> found = bm.loo(bm.load_reference_fit())
    >>> len(found.table)
    1105
    """
    if leave_out not in _LEFT_OUT:
        raise unknown(EvaluationError, "leave_out", leave_out, _LEFT_OUT)
    if not fit.can_refit and (refit or leave_out != "score"):
        asked = "refit is True" if refit else f"leave_out is '{leave_out}'"
        raise EvaluationError(
            f"{asked}, which is not there for effect sizes. Allowed: neither. Leave it out; for an "
            "exact answer fit the table without the study."
        )
    found = _importance_sample(fit)
    table = fit.observations().assign(
        log_density=np.asarray(found.elpd_i),
        pit=_weigh(found, fit),
        pareto_k=np.asarray(found.pareto_k),
        refitted=False,
    )
    together: list[Any] = []
    if leave_out == "lm_family":
        together = list(table.groupby("lm_family", sort=False).indices.values())
    elif refit:
        bad = ~(table["pareto_k"] <= defaults.PARETO_K_MAX)
        together = [np.array([row]) for row in np.flatnonzero(bad)]
    if together:
        _refit(table, fit, together=together, what=leave_out, progress=progress)
        found = _replace_densities(found, table["log_density"].to_numpy())
    return LeaveOneOut(
        table=table, elpd_data=found, checksum=fit.dataset.checksum, left_out=leave_out
    )


def pareto_k(fit: BaseFit) -> Array:
    """Compute how influential each score is, shape (obs,): as `loo` does, without its weights."""
    density = fit.log_likelihood()
    if not np.ptp(density, axis=1).any(axis=-1).all():  # a chain never moved
        return np.full(density.shape[2:], np.inf)
    efficiency = 1.0  # of independent draws
    if fit.provenance.get("sampler") != defaults.EXACT:
        efficiency = measure_efficiency(stack_draws(fit.parameters.values()))
    flat = density.reshape(-1, density.shape[-1])
    return np.array([tail_shape(-one, efficiency=efficiency) for one in flat.T])


def tail_shape(log_weight: Array, *, efficiency: float) -> float:
    """Estimate the shape of the generalised Pareto tail of importance weights.

    Zhang & Stephens 2009 (https://doi.org/10.1198/tech.2009.08017), with the prior and the tail
    length of Vehtari et al. 2024 (https://doi.org/10.48550/arXiv.1507.02646).

    Parameters
    ----------
    log_weight
        Log weights of draws, shape (draw,).
    efficiency
        Effective draws as a share of the draws.
    """
    ordered = np.sort(log_weight - log_weight.max())
    size = len(ordered)
    is_long = size * efficiency > 225  # where three roots are less than a fifth
    n = max(1, int(3 * np.sqrt(size / efficiency) if is_long else size / 5))
    x = np.exp(ordered[-n:]) - np.exp(ordered[-n - 1])
    quartile = x[max(int(n / 4 + 0.5) - 1, 0)]
    if x[-1] <= 0 or quartile <= 0:
        return -np.inf  # equal weights have no tail
    m = 30 + int(np.sqrt(n))
    b = 1 / x[-1] + (1 - np.sqrt(m / (np.arange(1, m + 1) - 0.5))) / (3 * quartile)
    k = np.log1p(-b[:, None] * x).mean(axis=1)
    profile = n * (np.log(-b / k) - k - 1)
    weight = 1 / np.exp(profile - profile[:, None]).sum(axis=1)
    best = (b * weight).sum() / weight.sum()
    return float((n * np.log1p(-best * x).mean() + 5) / (n + 10))


def _importance_sample(fit: BaseFit) -> Any:
    import arviz as az

    tree = fit.to_datatree("log_likelihood")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # high k is reported by the caller
        try:
            return az.loo(tree, var_name="y", pointwise=True)
        except ValueError as error:
            raise EvaluationError(
                "these draws are too much alike for leave-one-out scores: some chain never moved. "
                "Sample with a longer warm-up (tune)."
            ) from error


def _weigh(found: Any, fit: BaseFit) -> Array:
    """Probabilities of a lower score with the weights that leave the score out, shape (obs,)."""
    below = fit.probability_below()
    log_weight = found.log_weights.transpose("chain", "draw", ...).values
    weight = np.exp(log_weight - log_weight.max(axis=(0, 1)))
    return (weight * below).sum(axis=(0, 1)) / weight.sum(axis=(0, 1))


def _refit(
    table: pd.DataFrame,
    fit: BaseFit,
    *,
    together: Sequence[NDArray[np.int64]],
    what: str,
    progress: bool,
) -> None:
    """Replace densities and PITs by those of refits without the scores that belong together."""
    from bayesmeta.inference.refit import Refitter

    refitter = Refitter(fit.dataset, spec=fit.spec)
    unit = "scores" if what == "score" else "families"
    with progress_bar("refitting", total=len(together), unit=unit, shown=progress) as report:
        for done, rows in enumerate(together, start=1):
            train = ~np.isin(np.arange(len(table)), rows)
            left = refitter.refit(train, seed=defaults.SEED + int(rows[0]))
            law = score_distribution(left.parameters, design=left.design, spec=fit.spec)
            density, below = law.log_density()[:, rows], law.probability_below()[:, rows]
            table.loc[rows, "log_density"] = np.logaddexp.reduce(density) - np.log(len(density))
            table.loc[rows, "pit"], table.loc[rows, "refitted"] = below.mean(axis=0), True
            report(done, "")


def _replace_densities(found: Any, density: Array) -> Any:
    """Sum up again, the effective number of parameters included."""
    n, in_sample = len(density), found.p + found.elpd
    return dataclasses.replace(
        found,
        elpd=float(density.sum()),
        se=float(np.sqrt(n * density.var())),
        p=float(in_sample - density.sum()),
        elpd_i=found.elpd_i.copy(data=density),
    )


def compare(
    models: Mapping[str, BaseFit | LeaveOneOut], *, method: str = "stacking"
) -> pd.DataFrame:
    """Compare fits to the same scores by what they say of scores left out.

    Parameters
    ----------
    models
        Fits, or what `loo` made of them, by name.
    method
        How weights are computed: stacking (Yao et al. 2018, https://doi.org/10.1214/17-BA1091),
        pseudo-BMA, or BB-pseudo-BMA.

    Returns
    -------
    DataFrame
        One row per model, the best first: `model`, `rank`, `elpd`, `se`, `p` (effective number
        of parameters), `elpd_diff` from the best and its standard error `dse`, `weight`, and
        `pareto_k_bad`, the scores for which none of this can be trusted.

    Raises
    ------
    EvaluationError
        If there are fewer than two models, they are of different data, or the method is unknown.

    Examples
    --------
    >>> import bayesmeta as bm
    >>> found = bm.loo(bm.load_reference_fit())
    >>> list(bm.compare({"one": found, "same": found})["elpd_diff"])
    [0.0, 0.0]
    """
    import arviz as az

    methods = {"stacking": "stacking", "pseudo-BMA": "pseudo-bma", "BB-pseudo-BMA": "bb-pseudo-bma"}
    if method not in methods:
        raise unknown(EvaluationError, "method", method, methods)
    if len(models) < 2:
        raise EvaluationError(
            f"{len(models)} model to compare: {listing(models) or 'none'}. Allowed: two or more, "
            'by name, such as bm.compare({"full": fit, "scale": other}). Add another fit.'
        )
    data = {
        name: (one.checksum if isinstance(one, LeaveOneOut) else one.dataset.checksum)[:12]
        for name, one in models.items()
    }
    _refuse_different(
        data,
        said="the models were fitted to different data, by checksum",
        mend="Allowed: fits to the same data. Fit them anew to one dataset.",
    )
    found = {
        name: one if isinstance(one, LeaveOneOut) else loo(one) for name, one in models.items()
    }
    _refuse_different(
        {name: one.left_out for name, one in found.items()},
        said="different things were left out",
        mend="Allowed: the same for all models. Call loo with the same leave_out.",
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # said by `pareto_k_bad`
        table = az.compare(
            {name: one.elpd_data for name, one in found.items()},
            method=methods[method],
            round_to="none",
        )
    table = table.rename_axis("model").reset_index()
    table["pareto_k_bad"] = [found[name].n_bad for name in table["model"]]
    columns = ["model", "rank", "elpd", "se", "p", "elpd_diff", "dse", "weight", "pareto_k_bad"]
    return table[columns]


def _refuse_different(values: Mapping[str, str], *, said: str, mend: str) -> None:
    """Raise where the models differ in what they have to share."""
    if len(set(values.values())) > 1:
        shown = listing(f"{name} ({value})" for name, value in values.items())
        raise EvaluationError(f"{said}: {shown}. {mend}")
