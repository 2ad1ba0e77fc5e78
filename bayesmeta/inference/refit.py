"""Refits: one compiled graph that learns from any part of the scores."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bayesmeta import defaults
from bayesmeta.data.dataset import Dataset
from bayesmeta.design.facts import Design, training_data
from bayesmeta.inference.chains import choose_trajectories
from bayesmeta.inference.fits import Fit
from bayesmeta.inference.graph import compile_for
from bayesmeta.inference.saved_fits import wrap_draws
from bayesmeta.model.predictor import Array, Parameters
from bayesmeta.model.spec import ModelSpec, build_design_for, with_contrasts


@dataclass(frozen=True, slots=True, eq=False)
class Refit:
    """Draws given a part of the scores.

    Parameters
    ----------
    parameters
        Draws by name, each of shape (draw, ...); the chains stand one after the other.
    design
        Arrays of the data, with the held-out scores marked.
    seconds
        Time it took, without compiling.
    n_divergences
        Divergent transitions.
    """

    parameters: Parameters
    design: Design
    seconds: float
    n_divergences: int


class Refitter:
    """A model compiled once, to be sampled given many parts of the same scores.

    Held-out scores are data of the graph, so no refit compiles anything. Short chains suffice
    because each starts at a draw of one long run given all scores; nutpie takes no mass matrix, so
    that is adapted anew. Only the starting point has seen the held-out scores, and the warm-up
    makes the chains forget it.

    Parameters
    ----------
    dataset
        Validated tables.
    spec
        The model.
    warm
        Whether refits start at draws of a run given all scores, or where the prior says.

    Examples
    --------
    >>> import numpy as np
    >>> import bayesmeta as bm
    >>> spec = bm.ModelSpec(decisions=(), family_effects="none")
    >>> refitter = Refitter(bm.load_dataset(), spec=spec, warm=False)
    >>> train = np.arange(1105) % 2 == 0
    >>> refitter.refit(train, seed=1, chains=1, tune=20, draws=10).parameters["alpha"].shape
    (10, 13)
    """

    def __init__(self, dataset: Dataset, *, spec: ModelSpec, warm: bool = True) -> None:
        """Compile the model and, for warm starts, sample it once given all scores."""
        self.dataset, self.spec = dataset, spec
        started = time.perf_counter()
        self._compiled: Any
        self._compiled, self.names = compile_for(dataset, spec)
        self.compile_seconds = time.perf_counter() - started
        if warm:
            self._start_at_draws()

    def _start_at_draws(self) -> None:
        tree = self.sample(
            {},
            seed=defaults.SEED,
            chains=defaults.REFIT_CHAINS,
            tune=defaults.PILOT_TUNE,
            draws=defaults.PILOT_DRAWS,
            store_unconstrained=True,
        )
        draws = np.asarray(tree["sample_stats"]["unconstrained_draw"], float)
        draws = draws.reshape(-1, draws.shape[-1])

        def choose_start(seed: Any) -> Array:
            return draws[np.random.default_rng(seed).integers(len(draws))].copy()

        self._compiled = dataclasses.replace(self._compiled, initial_point_func=choose_start)

    def refit(
        self,
        train: NDArray[np.bool_],
        *,
        seed: int,
        scores: Array | None = None,
        contrasts: Array | None = None,
        without: str | None = None,
        chains: int = defaults.REFIT_CHAINS,
        tune: int = defaults.REFIT_TUNE,
        draws: int = defaults.REFIT_DRAWS,
    ) -> Refit:
        """Sample given a part of the scores, on one core.

        Parameters
        ----------
        train
            Which scores to learn from, shape (obs,).
        seed
            Seed of the sampler.
        scores, contrasts
            Scores of LMs, shape (obs,), and contrasts between arms of experiments, shape
            (contrast,), to learn from instead of the recorded ones; in native units.
        without
            Name of a study that is held out.
        chains, tune, draws
            Chains, and warm-up and kept draws of each.

        Returns
        -------
        Refit
            Draws, and the design that goes with them.
        """
        started = time.perf_counter()
        dataset = self._with_results(scores, contrasts)
        design = build_design_for(dataset, spec=self.spec, train=train)
        if without is not None:
            assert design.contrasts is not None
            design = dataclasses.replace(design, contrasts=design.contrasts.hold_out(without))
        data = training_data(design)
        tree = self.sample(data, seed=seed, chains=chains, tune=tune, draws=draws)
        posterior = tree["posterior"].to_dataset().transpose("chain", "draw", ...)
        return Refit(
            parameters={
                name: np.asarray(posterior[name], float).reshape(-1, *posterior[name].shape[2:])
                for name in self.names
            },
            design=design,
            seconds=time.perf_counter() - started,
            n_divergences=int(tree["sample_stats"]["diverging"].sum()),
        )

    def fit(
        self,
        *,
        seed: int,
        chains: int = defaults.RECOVERY_CHAINS,
        tune: int = defaults.RECOVERY_TUNE,
        draws: int = defaults.RECOVERY_DRAWS,
        train: NDArray[np.bool_] | None = None,
        scores: Array | None = None,
        contrasts: Array | None = None,
    ) -> Fit:
        """Sample given the scores, the recorded ones or others, and make a fit of it.

        Parameters
        ----------
        seed, chains, tune, draws, scores, contrasts
            As in `refit`.
        train
            Which scores there are, shape (obs,); all if left out. The fit is that of tables
            without the others.

        Returns
        -------
        Fit
            One chain that holds the draws of all: effects can be asked of it, convergence cannot.
            Its provenance says how many `chains` there were, and how many `divergences`.
        """
        dataset = self._with_results(scores, contrasts)
        if train is None:
            train = np.ones(len(dataset.scores), bool)
        found = self.refit(
            train, seed=seed, scores=scores, contrasts=contrasts, chains=chains, tune=tune,
            draws=draws,
        )  # fmt: skip
        parameters = {name: values[None] for name, values in found.parameters.items()}
        kept = dataset.scores[train].reset_index(drop=True)
        dataset = dataclasses.replace(dataset, scores=kept)
        fit = wrap_draws(parameters, spec=self.spec, dataset=dataset, source="refit")
        counts = {"chains": chains, "divergences": found.n_divergences}
        return dataclasses.replace(fit, provenance={**fit.provenance, **counts})

    def _with_results(self, scores: Array | None, contrasts: Array | None) -> Dataset:
        dataset = self.dataset
        if contrasts is not None:
            design = build_design_for(dataset, spec=self.spec)
            dataset = with_contrasts(dataset, design, contrasts, spec=self.spec)
        return dataset if scores is None else dataset.with_scores(scores)

    def sample(self, data: Mapping[str, NDArray[Any]], **settings: Any) -> Any:
        """Sample the compiled graph, on one core.

        Parameters
        ----------
        data
            Arrays that take the place of data of the graph.
        **settings
            Chains, tune, draws, seed; see `nutpie.sample`.

        Returns
        -------
        xarray.DataTree
            What nutpie gives.
        """
        import nutpie

        # The graph of accuracies alone, say, has no use for where Brier scores lie.
        used = {variable.name for variable in self._compiled.shared_var_keys}
        kept = {name: values for name, values in data.items() if name in used}
        return nutpie.sample(
            self._compiled.with_data(**kept),
            cores=1,
            save_warmup=False,
            progress_bar=False,
            **choose_trajectories(self._compiled.n_dim),
            **settings,
        )
