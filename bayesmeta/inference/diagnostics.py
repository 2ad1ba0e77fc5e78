"""Whether a fit may be reported: convergence, effective draws, geometry, influence of scores."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from bayesmeta import defaults
from bayesmeta.errors import FitError
from bayesmeta.inference.convergence import measure_convergence, stack_draws
from bayesmeta.inference.fits import BaseFit
from bayesmeta.inference.leave_one_out import pareto_k
from bayesmeta.tables.headed_columns import Column, head
from bayesmeta.tables.notebook import NotebookView, fold, show_table, show_text, show_title

_ADVICE = {
    "rhat": "The chains disagree: raise tune and draws, or simplify the model.",
    "ess": "Too few effective draws for stable intervals: raise draws.",
    "divergences": "Some regions were not explored: raise target_accept (to 0.9), or tighten the "
    "prior of a scale.",
    "bfmi": "The energy mixes slowly, as with heavy-tailed scales: tighten their priors.",
}


@dataclass(frozen=True, eq=False, repr=False)
class Diagnostics(NotebookView):
    """What `check` found.

    Parameters
    ----------
    table
        One row per parameter: its worst element, R-hat, bulk and tail ESS, and whether it passed.
    values
        `rhat_max`, `ess_bulk_min`, `ess_tail_min`, `divergences`, `bfmi_min`, `pareto_k_bad`.
    failures
        One sentence for every check that failed; none means that the fit may be reported.
    advice
        What to do about the failures, and remarks that are no failures.
    """

    table: pd.DataFrame
    values: Mapping[str, float]
    failures: tuple[str, ...]
    advice: tuple[str, ...]

    @property
    def passed(self) -> bool:
        """Whether the fit may be reported."""
        return not self.failures

    def to_dict(self) -> dict[str, Any]:
        """Turn into plain values, as the command line prints them."""
        return {"passed": self.passed, **self.values, "failures": list(self.failures)}

    def _show_parts(self) -> Iterator[str]:
        verdict, numbers, *remarks = repr(self).split("\n")
        yield show_title("Diagnostics", "")
        yield show_text(verdict, strong=True)
        yield show_text("\n".join([numbers, *remarks]))
        yield fold("Parameters", show_table(self.table, whole=".table"))

    def __repr__(self) -> str:
        v = self.values
        verdict = "passed: this fit may be reported" if self.passed else "FAILED: do not report"
        lines = [
            f"Checks {verdict}.",
            f"R-hat at most {v['rhat_max']:.3f}; ESS at least {v['ess_bulk_min']:.0f} (bulk), "
            f"{v['ess_tail_min']:.0f} (tail); {v['divergences']:.0f} divergences; BFMI at least "
            f"{v['bfmi_min']:.2f}; {v['pareto_k_bad']:.0f} scores with Pareto k above "
            f"{defaults.PARETO_K_MAX}.",
            *(f"- {line}" for line in (*self.failures, *self.advice)),
        ]
        return "\n".join(lines)


def check(fit: BaseFit) -> Diagnostics:
    """Check whether a fit may be reported.

    R-hat and effective sample sizes follow Vehtari et al. 2021
    (https://doi.org/10.1214/20-BA1221), the energy diagnostic Betancourt 2016
    (https://doi.org/10.48550/arXiv.1604.00695), and Pareto k Vehtari et al. 2024
    (https://doi.org/10.48550/arXiv.1507.02646). Pareto k is about leave-one-out scores, not about
    the posterior: it gives advice and does not fail a fit. A fit of effect sizes fails also where
    the data contradict a prior that was stated (see `examine_priors`).

    Parameters
    ----------
    fit
        A fit. Of a thinned one, the diagnostics of the whole fit are reported.

    Returns
    -------
    Diagnostics
        Table, verdict and advice.

    Raises
    ------
    FitError
        If it is no fit that a sampler made. Draws from the prior are independent: they have no
        chains that could disagree.

    Examples
    --------
    >>> import bayesmeta as bm
    >>> bm.check(bm.load_reference_fit()).passed
    True
    """
    thinned = isinstance(fit, BaseFit) and fit.is_thinned
    recorded = fit.provenance.get("diagnostics") if thinned else None
    made = recorded is not None or (isinstance(fit, BaseFit) and "sample_stats" in fit.posterior)
    if not made:
        raise FitError(
            f"there is nothing to check in {fit!r}. Allowed: what bm.fit or bm.load_fit gives; "
            "draws from the prior are independent, and have no chains that could disagree."
        )
    if recorded is not None:
        table = pd.DataFrame(recorded["table"])
        return _judge(table, recorded["values"])
    table = _convergence_table(fit.draws)
    stats = fit.posterior["sample_stats"].to_dataset()
    values = {
        "rhat_max": float(np.max(table["rhat"].to_numpy())),
        "ess_bulk_min": float(np.min(table["ess_bulk"].to_numpy())),
        "ess_tail_min": float(np.min(table["ess_tail"].to_numpy())),
        "divergences": int(stats["diverging"].sum()),
        "bfmi_min": float(_bfmi(stats["energy"]).min()),
        "pareto_k_bad": int((pareto_k(fit) > defaults.PARETO_K_MAX).sum()),
    }
    noun = "studies" if fit.observation_dim == "study" else "scores"
    return _judge(table, values, noun=noun, priors=fit.prior_report)


def _convergence_table(draws: xr.Dataset) -> pd.DataFrame:
    """Worst element of every parameter; NaN where an element never moves or is not a number."""
    draws = draws.transpose("chain", "draw", ...)
    measured = measure_convergence(stack_draws(values.values for values in draws.values()))
    rows, start = [], 0
    for name, values in draws.items():
        end = start + int(np.prod(values.shape[2:]))
        rhat, bulk, tail = (found[start:end] for found in measured)
        worst = np.argmax(rhat / defaults.RHAT_MAX + defaults.ESS_MIN / np.minimum(bulk, tail))
        rows.append(
            {
                "parameter": str(name),
                "worst": _label(values, int(worst)),
                "rhat": float(rhat.max()),
                "ess_bulk": float(bulk.min()),
                "ess_tail": float(tail.min()),
            }
        )
        start = end
    return pd.DataFrame(rows)


def _label(values: xr.DataArray, element: int) -> str:
    """Coordinates of one element of a parameter."""
    position = np.unravel_index(element, values.shape[2:])
    return ", ".join(
        str(values[dim].values[k]) for dim, k in zip(values.dims[2:], position, strict=True)
    )


def _bfmi(energy: xr.DataArray) -> np.ndarray:
    """Energy change over energy variance of every chain; that of independent draws if constant."""
    values = energy.transpose("chain", "draw").values.astype(float)
    if np.ptp(values) == 0:
        return np.full(len(values), 2.0)
    return np.square(np.diff(values, axis=1)).sum(axis=1) / np.square(
        values - values.mean(axis=1, keepdims=True)
    ).sum(axis=1)


def _judge(
    table: pd.DataFrame,
    values: Mapping[str, Any],
    *,
    noun: str = "scores",
    priors: Mapping[str, Sequence[str]] | None = None,
) -> Diagnostics:
    """Hold the numbers against the thresholds."""
    failed = {
        "rhat": not values["rhat_max"] <= defaults.RHAT_MAX,
        "ess": not min(values["ess_bulk_min"], values["ess_tail_min"]) >= defaults.ESS_MIN,
        "divergences": values["divergences"] > 0,
        "bfmi": not values["bfmi_min"] >= defaults.BFMI_MIN,
    }
    wording = {
        "rhat": f"R-hat reaches {values['rhat_max']:.3f}; allowed is {defaults.RHAT_MAX}.",
        "ess": f"ESS falls to {min(values['ess_bulk_min'], values['ess_tail_min']):.0f}; needed "
        f"are {defaults.ESS_MIN}.",
        "divergences": f"{values['divergences']:.0f} transitions diverged; allowed are none.",
        "bfmi": f"BFMI falls to {values['bfmi_min']:.2f}; needed is {defaults.BFMI_MIN}.",
    }
    passed = (table["rhat"] <= defaults.RHAT_MAX) & (
        table[["ess_bulk", "ess_tail"]].min(axis=1) >= defaults.ESS_MIN
    )
    advice = [_ADVICE[name] for name in failed if failed[name]]
    if values["pareto_k_bad"]:
        advice.append(
            f"{values['pareto_k_bad']:.0f} {noun} are so influential that leave-one-out scores of "
            "them are unreliable; the posterior itself is not affected."
        )
    whole = {f"ess_{part}": Column(f"{part} ESS", digits=0) for part in ("bulk", "tail")}
    return Diagnostics(
        table=head(table.assign(passed=passed), whole),
        values=values,
        failures=(
            *(wording[name] for name in failed if failed[name]),
            *(priors or {}).get("failures", ()),
        ),
        advice=(*advice, *(priors or {}).get("advice", ())),
    )


def thin_fit[AnyFit: BaseFit](
    fit: AnyFit, *, draws: int = defaults.REFERENCE_DRAWS, diagnostics: Diagnostics | None = None
) -> AnyFit:
    """Keep evenly spaced draws of every chain.

    Parameters
    ----------
    fit
        The whole fit.
    draws
        How many draws to keep in all, at most; every chain keeps as many.
    diagnostics
        Diagnostics of the whole fit, to be carried along.

    Returns
    -------
    Fit
        The thinned fit, with the number of draws it came from in its provenance.
    """
    chains, n = fit.shape
    kept = max(1, draws // chains)
    step = max(1, n // kept)
    keep = {"draw": slice(0, step * kept, step)}
    groups = [name for name in ("posterior", "sample_stats") if name in fit.posterior]
    tree = {name: fit.posterior[name].to_dataset().isel(keep) for name in groups}
    provenance = {"thinned_from": chains * n, **fit.provenance}
    if diagnostics is not None:
        provenance["diagnostics"] = {
            "table": diagnostics.table.to_dict(orient="records"),
            "values": dict(diagnostics.values),
        }
    return replace(fit, posterior=xr.DataTree.from_dict(tree), provenance=provenance)
