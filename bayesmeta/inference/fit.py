"""The results of sampling: draws and everything that made them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from os import PathLike
from typing import Any, Self

import numpy as np
import xarray as xr

from bayesmeta import defaults
from bayesmeta.data import Dataset, EffectSizes
from bayesmeta.design import Design, EffectDesign, build_effect_design
from bayesmeta.model import EffectSizeSpec, ModelSpec, Parameters, build_design_for

__all__ = ["EffectSizeFit", "Fit", "wrap_draws"]


class _Sampled:
    """What fits of every model have in common."""

    posterior: xr.DataTree
    dataset: Any
    provenance: Mapping[str, Any]

    @cached_property
    def draws(self) -> xr.Dataset:
        """Named parameters with dims chain, draw and their own."""
        return self.posterior["posterior"].to_dataset()

    @cached_property
    def parameters(self) -> Parameters:
        """Parameters as arrays of shape (chain, draw, ...)."""
        return {
            str(name): np.asarray(values.transpose("chain", "draw", ...), float)
            for name, values in self.draws.items()
        }

    @property
    def shape(self) -> tuple[int, int]:
        """Number of chains and of draws in each."""
        return self.draws.sizes["chain"], self.draws.sizes["draw"]

    @property
    def is_thinned(self) -> bool:
        """Whether it keeps only some of the draws that its diagnostics were computed from."""
        return "thinned_from" in self.provenance

    @property
    def failures(self) -> tuple[str, ...]:
        """What failed when the fit was last checked and saved; empty where it was not."""
        return tuple(self.provenance.get("checked", {}).get("failures", ()))

    def with_diagnostics(self, report: Mapping[str, Any]) -> Self:
        """Return the fit with the plain values of its diagnostics in its provenance."""
        whole: Any = self  # subclasses are dataclasses, which a type checker cannot know
        return replace(whole, provenance={**self.provenance, "checked": dict(report)})

    def to_datatree(
        self,
        groups: str | Sequence[str] = (
            "posterior_predictive",
            "observed_data",
            "constant_data",
            "log_likelihood",
        ),
        *,
        seed: int = defaults.SEED,
    ) -> xr.DataTree:
        """Give the draws with further groups, for whatever ArviZ computes and draws.

        The draws alone are in `posterior`. The groups are computed anew at every call and never
        saved with the fit.

        Parameters
        ----------
        groups
            Which ones, or `all`. Of every fit: `posterior_predictive`, `observed_data`,
            `constant_data` (standard errors, and the size and data of the lm or the moderators)
            and `log_likelihood`. Of fits of scores also `log_prior` (see `log_prior`), `prior` and
            `prior_predictive`, which build the model's graph and take seconds.
        seed
            Seed of simulated scores and of draws from the prior.

        Returns
        -------
        xarray.DataTree
            The groups of `posterior`, and those asked for. Scores are `y`, in native units, over
            the dim `obs` with coordinates `lm`, `lm_family`, `benchmark` and `task_family`; effect
            sizes are over `study`.

        Raises
        ------
        QueryError
            If there is no such group.

        Examples
        --------
        >>> import arviz as az
        >>> import bayesmeta as bm
        >>> tree = bm.load_reference_fit().to_datatree()
        >>> az.loo_pit(tree)["y"].sizes["obs"]
        1105
        """
        from bayesmeta.inference.groups import build_tree

        whole: Any = self
        return build_tree(whole, groups=groups, seed=seed)

    def save(self, path: str | PathLike[str]) -> None:
        """Save to a netCDF file, atomically.

        Raises
        ------
        StoreError
            If the file cannot be written; an existing file is then left as it was.
        """
        from bayesmeta.inference.store import save_fit

        whole: Any = self
        save_fit(whole, path=path)

    def __repr__(self) -> str:
        chains, draws = self.shape
        of = " of the prior" if self.provenance.get("sampler") == "prior" else ""
        return f"{type(self).__name__}({chains} chains x {draws} draws{of}, {self.dataset!r})"


@dataclass(frozen=True, eq=False, repr=False)
class Fit(_Sampled):
    """Posterior draws, the model and data behind them, and where they came from.

    Parameters
    ----------
    posterior
        ArviZ tree with the groups `posterior` (dims chain, draw, ...) and `sample_stats`.
    spec
        The model.
    dataset
        The data.
    provenance
        Versions, seed, sampler, checksums and timings, as plain values.
    """

    posterior: xr.DataTree
    spec: ModelSpec
    dataset: Dataset
    provenance: Mapping[str, Any]

    @cached_property
    def design(self) -> Design:
        """Arrays and coordinates of the data under the spec."""
        return build_design_for(self.dataset, spec=self.spec)


@dataclass(frozen=True, eq=False, repr=False)
class EffectSizeFit(_Sampled):
    """Posterior draws of a meta-analysis of effect sizes, and what made them.

    Parameters
    ----------
    posterior
        ArviZ tree with the groups `posterior` (dims chain, draw, ...) and `sample_stats`.
    spec
        The model.
    dataset
        The effect sizes.
    provenance
        Versions, seed, sampler, checksums and timings, as plain values.
    """

    posterior: xr.DataTree
    spec: EffectSizeSpec
    dataset: EffectSizes
    provenance: Mapping[str, Any]

    @cached_property
    def design(self) -> EffectDesign:
        """Arrays and coordinates of the effect sizes."""
        return build_effect_design(self.dataset)


def wrap_draws(parameters: Parameters, *, spec: ModelSpec, dataset: Dataset, source: str) -> Fit:
    """Make draws that no sampler of `fit` drew into a fit, so that effects can be asked of it.

    Parameters
    ----------
    parameters
        Values by name, each of shape (chain, draw, ...).
    spec
        The model whose parameters they are.
    dataset
        The data.
    source
        Where the draws come from, as the `sampler` of the provenance.

    Returns
    -------
    Fit
        Without statistics of a sampler: there is nothing to `check`.

    Examples
    --------
    >>> import bayesmeta as bm
    >>> fit = bm.load_reference_fit()
    >>> one = {name: values[:1, :1] for name, values in fit.parameters.items()}
    >>> wrap_draws(one, spec=fit.spec, dataset=fit.dataset, source="example")
    Fit(1 chains x 1 draws, Dataset(92 lms, 13 benchmarks, 1105 scores, version='corrected', \
source='bundled'))
    """
    draws = xr.Dataset(
        {
            name: (("chain", "draw", *(f"{name}_dim_{k}" for k in range(values.ndim - 2))), values)
            for name, values in parameters.items()
        }
    )
    draws = draws.assign_coords({dim: np.arange(draws.sizes[dim]) for dim in ("chain", "draw")})
    return Fit(
        posterior=xr.DataTree.from_dict({"posterior": draws}),
        spec=spec,
        dataset=dataset,
        provenance={"sampler": source},
    )
