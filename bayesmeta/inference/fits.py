"""The results of sampling: draws, everything that made them, and what can be asked of any fit."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache, cached_property
from os import PathLike
from typing import Any, ClassVar, Self

import numpy as np
import pandas as pd
import xarray as xr
from numpy.typing import NDArray

from bayesmeta import defaults
from bayesmeta.data import Dataset, load_dataset
from bayesmeta.data.csv_tables import parse_text
from bayesmeta.data.load import bundled_folder
from bayesmeta.design import Design
from bayesmeta.errors import BayesmetaError, QueryError, StoreError, listing, shorten, suggest
from bayesmeta.inference.graph import draw_prior, prior_density
from bayesmeta.inference.store import read_tree, write_tree
from bayesmeta.model import (
    ModelSpec,
    Parameters,
    build_design_for,
    pointwise_log_likelihood,
    pointwise_probability,
    simulate_scores,
)
from bayesmeta.model.spec import hash_values
from bayesmeta.model.student import StudentScores
from bayesmeta.studies import (
    EffectDesign,
    EffectSizes,
    EffectSizeSpec,
    build_effect_design,
    effect_distribution,
    read_effect_sizes,
)

__all__ = ["BaseFit", "EffectSizeFit", "Fit", "load_fit", "load_reference_fit", "wrap_draws"]

_GROUPS = ("posterior_predictive", "observed_data", "constant_data", "log_likelihood")
"""Groups that every fit can compute."""

_EFFECTS = "effect_sizes"
"""Name of the only table in a saved fit of effect sizes."""


@dataclass(frozen=True, eq=False, repr=False)
class BaseFit[Spec: (ModelSpec, EffectSizeSpec), Data: (Dataset, EffectSizes)]:
    """What fits of every model have in common.

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
    spec: Spec
    dataset: Data
    provenance: Mapping[str, Any]

    observation_dim: ClassVar[str]
    """Name of the dim of observations."""
    can_refit: ClassVar[bool]
    """Whether one compiled graph can learn from any part of the data, see `Refitter`."""
    group_names: ClassVar[tuple[str, ...]] = _GROUPS
    """Groups that `to_datatree` can compute."""

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
    def is_prior(self) -> bool:
        """Whether the draws are those of the prior, see `sample_prior`."""
        return self.provenance.get("sampler") == "prior"

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
        return replace(self, provenance={**self.provenance, "checked": dict(report)})

    def observations(self) -> pd.DataFrame:
        """Say what each score, or each effect size, is about: one row each, in the data's order."""
        raise NotImplementedError

    def log_likelihood(self) -> NDArray[np.float64]:
        """Compute log densities of the observations, shape (chain, draw, obs)."""
        raise NotImplementedError

    def probability_below(self) -> NDArray[np.float64]:
        """Compute probabilities of lower observations, shape (chain, draw, obs)."""
        raise NotImplementedError

    def simulate(self, *, seed: int) -> NDArray[np.float64]:
        """Draw observations from the model, shape (chain, draw, obs)."""
        raise NotImplementedError

    def _values(self) -> NDArray[np.float64]:
        """Observations as the design holds them, shape (obs,)."""
        raise NotImplementedError

    def _describe(self) -> xr.Dataset:
        """Give what is known of the observations beside their values."""
        raise NotImplementedError

    def _format_data(self) -> tuple[dict[str, str], dict[str, str]]:
        """Tables as text by name, and what else there is to say of the data."""
        raise NotImplementedError

    def to_datatree(
        self, groups: str | Sequence[str] = _GROUPS, *, seed: int = defaults.SEED
    ) -> xr.DataTree:
        """Give the draws with further groups, for whatever ArviZ computes and draws.

        The draws alone are in `posterior`. The groups are computed anew at every call and never
        saved with the fit.

        Parameters
        ----------
        groups
            Which ones, or `all`. Of every fit: `posterior_predictive`, `observed_data`,
            `constant_data` (standard errors, and the size and data of the lm or the moderators)
            and `log_likelihood`. Of fits of scores also `log_prior` (see `Fit.log_prior`), `prior`
            and `prior_predictive`, which build the model's graph and take seconds.
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
        if isinstance(groups, str):
            groups = self.group_names if groups == "all" else (groups,)
        for name in groups:
            if name not in self.group_names:
                raise QueryError(
                    f"group '{shorten(name)}' cannot be computed of {type(self).__name__}."
                    f"{suggest(name, self.group_names)} Allowed: all, or some of "
                    f"{listing(self.group_names)}. Correct the name or leave it out; the draws are "
                    "in every tree."
                )
        tree = {name: node.to_dataset() for name, node in self.posterior.children.items()}
        makers = self._list_groups(seed)
        return xr.DataTree.from_dict(
            tree | {name: make() for name, make in makers.items() if name in groups}
        )

    def _list_groups(self, seed: int) -> dict[str, Callable[[], xr.Dataset]]:
        """Say how each group is computed."""
        return {
            "posterior_predictive": lambda: self._label(self.simulate(seed=seed)),
            "observed_data": lambda: self._label(self._values()),
            "constant_data": self._describe,
            "log_likelihood": lambda: self._label(self.log_likelihood()),
        }

    def _label(self, values: NDArray[np.float64], *, name: str = "y") -> xr.Dataset:
        """Label values of shape (obs,) or (chain, draw, obs): scores by number, others by study."""
        labels, dim = self.observations(), self.observation_dim
        coords: dict[str, object] = {dim: np.arange(len(labels))}
        coords |= {
            str(column): (dim, np.array([str(label) for label in labels[column]]))
            for column in labels
        }
        if values.ndim == 1:
            return xr.Dataset({name: (dim, values)}, coords=coords)
        coords |= {sample: self.draws[sample].values for sample in ("chain", "draw")}
        return xr.Dataset({name: (("chain", "draw", dim), values)}, coords=coords)

    def save(self, path: str | PathLike[str]) -> None:
        """Save to a netCDF file, whole or not at all.

        Parameters
        ----------
        path
            The file; an existing one is replaced. Draws are stored in single precision, far finer
            than their Monte Carlo error.

        Raises
        ------
        StoreError
            If the file cannot be written; an existing file is then left as it was.
        """
        if "sample_stats" not in self.posterior:
            raise StoreError(
                f"{self!r} was not made by a sampler and cannot be saved. Allowed: what bm.fit "
                "gives. Draws from the prior come back by bm.sample_prior with the same seed."
            )
        tables, about = self._format_data()
        tree = xr.DataTree.from_dict(
            {
                "posterior": self.draws.astype(np.float32),
                "sample_stats": self.posterior["sample_stats"].to_dataset(),
                "dataset": xr.Dataset({name: ((), text) for name, text in tables.items()}),
            }
        )
        tree.attrs = {
            "spec": json.dumps(self.spec.to_dict()),
            "provenance": json.dumps(dict(self.provenance)),
            "data_source": self.dataset.source,
            **about,
        }
        write_tree(tree, path=path)

    def __repr__(self) -> str:
        chains, draws = self.shape
        of = " of the prior" if self.is_prior else ""
        return f"{type(self).__name__}({chains} chains x {draws} draws{of}, {self.dataset!r})"


class Fit(BaseFit[ModelSpec, Dataset]):
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

    observation_dim = "obs"
    can_refit = True
    group_names = (*_GROUPS, "log_prior", "prior", "prior_predictive")

    @cached_property
    def design(self) -> Design:
        """Arrays and coordinates of the data under the spec."""
        return build_design_for(self.dataset, spec=self.spec)

    def observations(self) -> pd.DataFrame:
        """Say whose score each one is, and on what: one row each, in the data's order."""
        design, outcomes = self.design, self.design.outcomes
        families = design.lm_family_index[outcomes.lm_index]
        tasks = design.task_family_index[outcomes.benchmark_index]
        return pd.DataFrame(
            {
                "lm": np.array(design.lms)[outcomes.lm_index],
                "lm_family": np.array(design.lm_families)[families],
                "benchmark": np.array(design.benchmarks)[outcomes.benchmark_index],
                "task_family": np.array(design.task_families)[tasks],
            }
        )

    def log_likelihood(self) -> NDArray[np.float64]:
        """Compute log densities of the scores, shape (chain, draw, obs)."""
        return pointwise_log_likelihood(self.parameters, design=self.design, spec=self.spec)

    def probability_below(self) -> NDArray[np.float64]:
        """Compute probabilities of lower scores, shape (chain, draw, obs)."""
        return pointwise_probability(self.parameters, design=self.design, spec=self.spec)

    def simulate(self, *, seed: int) -> NDArray[np.float64]:
        """Draw scores from the model, in native units, shape (chain, draw, obs)."""
        return simulate_scores(self.parameters, design=self.design, spec=self.spec, seed=seed)

    def log_prior(self) -> xr.Dataset:
        """Compute the log prior density of what stands at the top of the model.

        These are intercepts, mean slopes, scales and shares of variance. Weights that have a
        learned scale are left out: their prior is a part of the model that the scale adapts, and is
        not stated by anybody (Kallioinen et al. 2024, https://doi.org/10.1007/s11222-023-10366-5,
        section 2.3).

        Returns
        -------
        xarray.Dataset
            A variable for each parameter with dims chain, draw and its own.

        Examples
        --------
        >>> found = load_reference_fit().log_prior()
        >>> "tau_beta" in found, "beta" in found
        (True, False)
        """
        density = prior_density(self.parameters, data=self.dataset, spec=self.spec)
        return density.assign_coords(chain=self.draws["chain"], draw=self.draws["draw"])

    def _values(self) -> NDArray[np.float64]:
        return self.design.outcomes.y

    def _describe(self) -> xr.Dataset:
        outcomes = self.design.outcomes
        sizes = self.dataset.lms[["n_params", "n_tokens"]].to_numpy(float)[outcomes.lm_index]
        known = self._label(outcomes.se, name="se")
        return known.assign(n_params=("obs", sizes[:, 0]), n_tokens=("obs", sizes[:, 1]))

    def _list_groups(self, seed: int) -> dict[str, Callable[[], xr.Dataset]]:
        @cache
        def prior() -> Fit:
            draws = draw_prior(self.dataset, self.spec, draws=defaults.PRIOR_DRAWS, seed=seed)
            return replace(self, posterior=draws)

        return super()._list_groups(seed) | {
            "log_prior": self.log_prior,
            "prior": lambda: prior().draws,
            "prior_predictive": lambda: prior()._label(prior().simulate(seed=seed)),
        }

    def _format_data(self) -> tuple[dict[str, str], dict[str, str]]:
        return self.dataset.format_tables(), {"data_version": self.dataset.version}


class EffectSizeFit(BaseFit[EffectSizeSpec, EffectSizes]):
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

    observation_dim = "study"
    can_refit = False

    @cached_property
    def design(self) -> EffectDesign:
        """Arrays and coordinates of the effect sizes."""
        return build_effect_design(self.dataset)

    def observations(self) -> pd.DataFrame:
        """Give the groups of every study and its name, one row each, in the data's order."""
        data = self.dataset
        return data.frame[list(data.groups)].assign(study=list(data.studies))

    def log_likelihood(self) -> NDArray[np.float64]:
        """Compute log densities of the effect sizes, shape (chain, draw, study)."""
        return self._law.log_density()

    def probability_below(self) -> NDArray[np.float64]:
        """Compute probabilities of lower effect sizes, shape (chain, draw, study)."""
        return self._law.probability_below()

    def simulate(self, *, seed: int) -> NDArray[np.float64]:
        """Draw effect sizes from the model, shape (chain, draw, study)."""
        return self._law.draw(np.random.default_rng(seed))

    @property
    def _law(self) -> StudentScores:
        return effect_distribution(self.parameters, design=self.design, spec=self.spec)

    def _values(self) -> NDArray[np.float64]:
        return self.design.y

    def _describe(self) -> xr.Dataset:
        moderators = ("study", "moderator"), self.design.X
        known = self._label(self.design.se, name="se").assign(X=moderators)
        return known.assign_coords(moderator=list(self.design.moderators))

    def _format_data(self) -> tuple[dict[str, str], dict[str, str]]:
        return {_EFFECTS: self.dataset.format_table()}, {
            "data_roles": json.dumps(self.dataset.roles)
        }


def load_fit(path: str | PathLike[str]) -> Fit | EffectSizeFit:
    """Read a fit that `save` wrote.

    Parameters
    ----------
    path
        The netCDF file.

    Returns
    -------
    Fit or EffectSizeFit
        Draws, spec, data and provenance; the file is closed again. Keys of the spec that are
        younger than the file have their defaults, and the provenance holds the checksum with them.

    Raises
    ------
    StoreError
        If the file is missing, truncated, from elsewhere, or its data or spec were changed since.

    Examples
    --------
    >>> load_fit("nowhere.nc")
    Traceback (most recent call last):
    ...
    bayesmeta.errors.StoreError: nowhere.nc does not exist. Make it with...
    """
    tree = read_tree(path)
    try:
        fit = _assemble(tree)
    except (KeyError, ValueError, TypeError, BayesmetaError) as error:
        raise StoreError(
            f"{path} is a damaged fit, or one of another version of bayesmeta ({error}). "
            f"Make it anew: bayesmeta fit --out {path}"
        ) from error
    # The spec may be older than keys with defaults: then its checksum is that of what was stored.
    data, spec = (fit.provenance.get(f"{what}_checksum") for what in ("data", "spec"))
    specs = (fit.spec.checksum, hash_values(json.loads(tree.attrs["spec"])))
    if fit.dataset.checksum != data or spec not in specs:
        raise StoreError(
            f"{path} holds other data or another spec than it was fitted with: it was changed "
            f"after fitting. Make it anew: bayesmeta fit --out {path}"
        )
    return replace(fit, provenance={**fit.provenance, "spec_checksum": fit.spec.checksum})


def _assemble(tree: xr.DataTree) -> Fit | EffectSizeFit:
    """Make a fit of what a file holds."""
    spec, provenance = (json.loads(tree.attrs[name]) for name in ("spec", "provenance"))
    posterior = xr.DataTree.from_dict(
        {name: tree[name].to_dataset() for name in ("posterior", "sample_stats")}
    )
    tables = {str(k): str(text.item()) for k, text in tree["dataset"].to_dataset().items()}
    if _EFFECTS in tables:
        data = _read_effect_sizes(tables[_EFFECTS], tree.attrs)
        return EffectSizeFit(posterior, EffectSizeSpec.from_dict(spec), data, provenance)
    return Fit(posterior, ModelSpec.from_dict(spec), _read_dataset(tables, tree.attrs), provenance)


def _read_effect_sizes(text: str, attributes: Mapping[Any, Any]) -> EffectSizes:
    header, *rows = csv.reader(io.StringIO(text, newline=""))
    frame = pd.DataFrame(rows, columns=pd.Index(header), dtype="str")
    table = read_effect_sizes(frame, **json.loads(attributes["data_roles"]))
    return replace(table, source=str(attributes["data_source"]))


def _read_dataset(texts: Mapping[str, str], attributes: Mapping[Any, Any]) -> Dataset:
    tables = {name: parse_text(text, table=name) for name, text in texts.items()}
    return Dataset(
        lms=tables["lms"],
        scores=tables["scores"],
        benchmarks=tables["benchmarks"],
        generations=tables.get("generation"),
        version=str(attributes["data_version"]),
        source=str(attributes["data_source"]),
    )


def load_reference_fit() -> Fit:
    """Load the shipped posterior of the default model of the bundled, corrected data.

    Returns
    -------
    Fit
        A thinned fit; its provenance holds the diagnostics of the whole one.

    Raises
    ------
    StoreError
        If it is missing, or does not belong to the bundled data and the default spec.

    Examples
    --------
    >>> load_reference_fit().shape
    (4, 250)
    """
    path = bundled_folder() / "reference_fit.nc"
    fit = load_fit(path)
    assert isinstance(fit, Fit)
    wanted = {
        "data": (fit.provenance["data_checksum"], load_dataset().checksum),
        "spec": (fit.provenance["spec_checksum"], ModelSpec().checksum),
    }
    for what, (stored, current) in wanted.items():
        if stored != current:
            raise StoreError(
                f"The shipped posterior {path.name} belongs to a {what} with checksum "
                f"{stored[:12]}, the package has {current[:12]}. Fit again and pass it with --fit: "
                "bayesmeta fit --out fit.nc"
            )
    return fit


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
    >>> fit = load_reference_fit()
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
