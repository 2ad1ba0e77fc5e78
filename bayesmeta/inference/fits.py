"""The results of sampling: draws, everything that made them, and what can be asked of any fit.

A question needs `Fit` and nothing that is heavy: what is imported inside methods here takes longer
to import than a question to answer.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache, cached_property
from typing import TYPE_CHECKING, Any, ClassVar, Protocol, Self

import numpy as np
from numpy.typing import NDArray

from bayesmeta import defaults
from bayesmeta.errors import QueryError, StoreError, listing, shorten, suggest
from bayesmeta.model.predictor import Array
from bayesmeta.tables.notebook import (
    NotebookView,
    fold,
    show_code,
    show_pairs,
    show_table,
)

if TYPE_CHECKING:
    from os import PathLike

    import pandas as pd
    import xarray as xr

    from bayesmeta.data.dataset import Dataset
    from bayesmeta.design.facts import Design
    from bayesmeta.model.predictor import Parameters, StudentScores
    from bayesmeta.model.spec import ModelSpec
    from bayesmeta.studies.study_design import EffectDesign
    from bayesmeta.studies.study_model import EffectSizeSpec
    from bayesmeta.studies.study_table import EffectSizes

_GROUPS = ("posterior_predictive", "observed_data", "constant_data", "log_likelihood")
"""Groups that every fit can compute."""

EFFECTS = "effect_sizes"
"""Name of the only table in a saved fit of effect sizes."""

FORMAT = 2
"""Raised where draws of the same spec mean something else: family effects, since bends of scale are
projected off them."""

ENGINE = "h5netcdf"

_AT_ONCE = 2**18
"""Values that are computed together, of all draws and observations: 2 MB, which caches hold."""


class Law(Protocol):
    """Observations and the distributions that draws give them."""

    @property
    def y(self) -> Array:
        """Observations, shape (obs,)."""
        ...

    def log_density(self) -> Array:
        """Compute log densities of the observations, shape (..., obs)."""
        ...

    def probability_below(self) -> Array:
        """Compute probabilities of lower observations, shape (..., obs)."""
        ...

    def draw(self, seed: int) -> Array:
        """Draw observations, shape (..., obs)."""
        ...


@dataclass(frozen=True, eq=False, repr=False)
class BaseFit[Spec: (ModelSpec, EffectSizeSpec), Data: (Dataset, EffectSizes)](NotebookView):
    """What fits of every model have in common; `Fit` says what their parts are."""

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
    asked_by: ClassVar[tuple[str, ...]]
    """Calls that go on from here, for a notebook."""

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

    @cached_property
    def sample_coords(self) -> Mapping[str, NDArray[np.int64]]:
        """Numbers of the chains and of the draws."""
        return {dim: self.draws[dim].values for dim in ("chain", "draw")}

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

    @cached_property
    def prior_report(self) -> Mapping[str, Any]:
        """What contradicts the priors, `failures`, and how these count, `advice`."""
        return {"failures": (), "advice": ()}

    def with_diagnostics(self, report: Mapping[str, Any]) -> Self:
        """Return the fit with the plain values of its diagnostics in its provenance."""
        judged = copy.copy(self)  # with what was computed of the draws
        object.__setattr__(judged, "provenance", {**self.provenance, "checked": dict(report)})
        return judged

    def observations(self) -> pd.DataFrame:
        """Say what each score, or each effect size, is about: one row each, in the data's order."""
        raise NotImplementedError

    @property
    def law(self) -> Law:
        """The observations and the distributions that the draws give them."""
        return self._distribute(self.parameters)

    def _distribute(self, parameters: Parameters) -> Law:
        """Give every observation its distribution."""
        raise NotImplementedError

    def log_likelihood(self) -> Array:
        """Compute log densities of the observations, shape (chain, draw, obs)."""
        return self._ask_parts(lambda law: law.log_density())

    def probability_below(self) -> Array:
        """Compute probabilities of lower observations, shape (chain, draw, obs)."""
        return self._ask_parts(lambda law: law.probability_below())

    def _ask_parts(self, ask: Callable[[Law], Array]) -> Array:
        """Ask all draws, some at a time: what stands between would be many times the answer."""
        (chains, draws), n = self.shape, len(self.observations())
        parameters, found = self.parameters, np.empty((chains, draws, n))
        step = max(1, _AT_ONCE // (chains * n))
        for start in range(0, draws, step):
            part = slice(start, start + step)
            values = {name: values[:, part] for name, values in parameters.items()}
            found[:, part] = ask(self._distribute(values))
        return found

    def simulate(self, *, seed: int) -> Array:
        """Draw observations from the model, in native units, shape (chain, draw, obs)."""
        return self.law.draw(seed)

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
            `constant_data` (standard errors, and the size and data of the LM or the moderators)
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
        import xarray as xr

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
            "observed_data": lambda: self._label(self.law.y),
            "constant_data": self._describe,
            "log_likelihood": lambda: self._label(self.log_likelihood()),
        }

    def _label(self, values: Array, *, name: str = "y") -> xr.Dataset:
        """Label values of shape (obs,) or (chain, draw, obs): scores by number, others by study."""
        import xarray as xr

        labels, dim = self.observations(), self.observation_dim
        coords: dict[str, object] = {dim: np.arange(len(labels))}
        coords |= {
            str(column): (dim, np.array([str(label) for label in labels[column]]))
            for column in labels
        }
        if values.ndim == 1:
            return xr.Dataset({name: (dim, values)}, coords=coords)
        coords |= self.sample_coords
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
        write_tree(self.to_tree(), path=path)

    def to_tree(self) -> xr.DataTree:
        """Give everything that a file of the fit holds.

        Raises
        ------
        StoreError
            If no sampler made the fit.
        """
        import xarray as xr

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
        return tree

    def _show_parts(self) -> Iterator[str]:
        yield self._show_title()
        yield show_pairs(
            {
                "checks": self._say_checks(),
                "model": self._say_model(),
                "draws": self._say_sampling(),
                "versions": listing(
                    f"{name} {number}"
                    for name, number in self.provenance.get("versions", {}).items()
                ),
                "made": self.provenance.get("created", ""),
            }
        )
        yield fold("Parameters", show_table(self._list_parameters(), whole="fit.draws"))
        yield fold("How to go on", show_code(self.asked_by))

    def _say_checks(self) -> str:
        """Say what checks found, where they were made; nothing is computed."""
        found = self.provenance.get("checked")
        if self.is_prior:
            return "none: these are draws of the prior"
        if self.failures or found is None:
            return " ".join(self.failures) or "not made yet: bm.check(fit)"
        return (
            f"passed: R-hat at most {found['rhat_max']:.3f}, {found['ess_bulk_min']:.0f} effective "
            f"draws or more, {found['divergences']:.0f} divergences"
        )

    def _say_sampling(self) -> str:
        """Say how the draws were made."""
        found = self.provenance
        seconds = found.get("seconds", {}).get("total")
        said = {
            "thinned from {}": found.get("thinned_from"),
            "by {}": found.get("sampler"),
            "seed {}": found.get("seed"),
            "in {:.0f} s": seconds,
        }
        return listing(text.format(value) for text, value in said.items() if value is not None)

    def _say_model(self) -> str:
        """Say what the model is of."""
        raise NotImplementedError

    def _list_parameters(self) -> pd.DataFrame:
        """List parameters with their dims and sizes."""
        import pandas as pd

        rows = [
            {"parameter": str(name), "dims": listing(values.dims[2:]),
             "size": int(np.prod(values.shape[2:]))}
            for name, values in self.draws.items()
        ]  # fmt: skip
        return pd.DataFrame(rows)

    def __repr__(self) -> str:
        chains, draws = self.shape
        of = " of the prior" if self.is_prior else ""
        kind = "EffectSizeFit" if self.observation_dim == "study" else "Fit"
        return f"{kind}({chains} chains x {draws} draws{of}, {self._say_data()})"

    def _say_data(self) -> str:
        """Say in a line what the data are."""
        return repr(self.dataset)


def write_tree(tree: xr.DataTree, *, path: str | PathLike[str]) -> None:
    """Write what makes up a fit to a netCDF file: to a temporary one first, then into its place.

    Nothing is compressed: draws hardly get smaller, and are written and read several times faster
    as they are.

    Parameters
    ----------
    tree
        Groups `posterior`, `sample_stats` and `dataset`, and attributes, see `Fit.save`.
    path
        The file; an existing one is replaced.

    Raises
    ------
    StoreError
        If the folder does not exist or cannot be written.
    """
    from bayesmeta.whole_files import atomic

    tree.attrs = {"bayesmeta_format": FORMAT, **tree.attrs}
    with atomic(path) as part:
        tree.to_netcdf(part, engine=ENGINE)


class Fit(BaseFit["ModelSpec", "Dataset"]):
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
    asked_by = (
        "bm.check(fit)                    # may it be reported?",
        "bm.effects(fit)                  # what every decision does, with a verdict",
        'bm.query(fit, "DECISION: A > B") # how probable it is, and on what evidence',
        "bm.plot.forest(bm.effects(fit))  # the same as a figure",
        'fit.save("fit.nc")               # bm.load_fit("fit.nc") reads it again',
    )
    group_names = (*_GROUPS, "log_prior", "prior", "prior_predictive")

    @cached_property
    def design(self) -> Design:
        """Arrays and coordinates of the data under the spec."""
        from bayesmeta.model.spec import build_design_for

        return build_design_for(self.dataset, spec=self.spec)

    def observations(self) -> pd.DataFrame:
        """Say whose score each one is, and on what: one row each, in the data's order."""
        design, outcomes = self.design, self.design.outcomes
        families = design.lm_family_index[outcomes.lm_index]
        tasks = design.task_family_index[outcomes.benchmark_index]
        import pandas as pd

        return pd.DataFrame(
            {
                "lm": np.array(design.lms)[outcomes.lm_index],
                "lm_family": np.array(design.lm_families)[families],
                "benchmark": np.array(design.benchmarks)[outcomes.benchmark_index],
                "task_family": np.array(design.task_families)[tasks],
            }
        )

    def _distribute(self, parameters: Parameters) -> StudentScores:
        from bayesmeta.model.predictor import score_distribution

        return score_distribution(parameters, design=self.design, spec=self.spec)

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
        >>> import bayesmeta as bm
        >>> found = bm.load_reference_fit().log_prior()
        >>> "tau_beta" in found, "beta" in found
        (True, False)
        """
        from bayesmeta.inference.graph import prior_density

        density = prior_density(self.parameters, data=self.dataset, spec=self.spec)
        return density.assign_coords(chain=self.draws["chain"], draw=self.draws["draw"])

    def _say_model(self) -> str:
        decisions = listing(self.spec.decisions) or "none, scale only"
        return f"decisions: {decisions}"

    def _describe(self) -> xr.Dataset:
        outcomes = self.design.outcomes
        sizes = self.dataset.lms[["n_params", "n_tokens"]].to_numpy(float)[outcomes.lm_index]
        known = self._label(outcomes.se, name="se")
        return known.assign(n_params=("obs", sizes[:, 0]), n_tokens=("obs", sizes[:, 1]))

    def _list_groups(self, seed: int) -> dict[str, Callable[[], xr.Dataset]]:
        @cache
        def prior() -> Fit:
            from bayesmeta.inference.graph import draw_prior

            draws = draw_prior(self.dataset, self.spec, draws=defaults.PRIOR_DRAWS, seed=seed)
            return replace(self, posterior=draws)

        return super()._list_groups(seed) | {
            "log_prior": self.log_prior,
            "prior": lambda: prior().draws,
            "prior_predictive": lambda: prior()._label(prior().simulate(seed=seed)),
        }

    def _format_data(self) -> tuple[dict[str, str], dict[str, str]]:
        return self.dataset.format_tables(), {"data_version": self.dataset.version}


class EffectSizeFit(BaseFit["EffectSizeSpec", "EffectSizes"]):
    """Posterior draws of a meta-analysis of effect sizes, and what made them.

    Parameters
    ----------
    posterior, spec, dataset, provenance
        As those of a `Fit`, but that the model and the data are of effect sizes.
    """

    observation_dim = "study"
    can_refit = False
    asked_by = (
        "bm.check(fit)                 # may it be reported?",
        "bm.summary(fit)               # mean effect, heterogeneity, a new study",
        "bm.study_table(fit)           # every study",
        "bm.plot.study_forest(fit)     # the same as a figure",
        'fit.save("fit.nc")            # bm.load_fit("fit.nc") reads it again',
    )

    @cached_property
    def design(self) -> EffectDesign:
        """Arrays and coordinates of the effect sizes."""
        from bayesmeta.studies.study_model import build_study_design

        return build_study_design(self.dataset, spec=self.spec)

    def observations(self) -> pd.DataFrame:
        """Give the groups of every study and its name, one row each, in the data's order."""
        data = self.dataset
        return data.frame[list(data.groups)].assign(study=list(data.studies))

    @cached_property
    def prior_report(self) -> Mapping[str, Any]:
        """What the priors are, how they move the estimates, and what contradicts the data."""
        from bayesmeta.studies.prior_conflict import examine_priors

        recorded = self.provenance.get("priors")
        if recorded is not None:
            return recorded
        return examine_priors(self.parameters, design=self.design, spec=self.spec)

    @property
    def failures(self) -> tuple[str, ...]:
        """What failed when the fit was last checked and saved, and priors that contradict data."""
        conflicts = self.provenance.get("priors", {}).get("failures", ())
        return tuple(dict.fromkeys([*super().failures, *conflicts]))

    def _distribute(self, parameters: Parameters) -> Law:
        from bayesmeta.studies.study_model import effect_distribution

        return effect_distribution(parameters, design=self.design, spec=self.spec)

    def _say_model(self) -> str:
        moderators = self.dataset.formula or listing(self.dataset.moderators)
        return f"{self.spec.likelihood} errors" + f", moderators {moderators}" * bool(moderators)

    def _describe(self) -> xr.Dataset:
        moderators = ("study", "moderator"), self.design.X
        known = self._label(self.design.se, name="se").assign(X=moderators)
        return known.assign_coords(moderator=list(self.design.moderators))

    def _format_data(self) -> tuple[dict[str, str], dict[str, str]]:
        return {EFFECTS: self.dataset.format_table()}, {
            "data_roles": json.dumps(self.dataset.roles)
        }
