"""Meta-analyses averaged over models with and without effect, heterogeneity and bias."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from bayesmeta import defaults
from bayesmeta.errors import QueryError, unknown
from bayesmeta.estimates.pooled_effects import effect_columns
from bayesmeta.estimates.summary import check_ci_prob
from bayesmeta.model.predictor import Array
from bayesmeta.studies.exact_posterior import draw_marginal
from bayesmeta.studies.model_ensemble import EnsembleSpec, Member, MemberMarginal
from bayesmeta.studies.study_design import build_effect_design
from bayesmeta.studies.study_table import EffectSizes
from bayesmeta.tables.headed_columns import PROBABILITY, Column, head
from bayesmeta.tables.notebook import NotebookView, fold, show_table, show_text, show_title
from bayesmeta.tables.wording import percent

if TYPE_CHECKING:
    import pandas as pd

_COMPONENTS = {
    "effect": lambda one: one.has_effect,
    "heterogeneity": lambda one: one.has_heterogeneity,
    "publication bias": lambda one: one.bias.kind != "none",
}
"""What a model may have, in the order of the table."""

_COLUMNS = {
    **dict.fromkeys(("prior_prob", "posterior_prob"), PROBABILITY),
    "prob_positive": PROBABILITY._replace(heading="P(> 0)"),
    "prob_zero": PROBABILITY._replace(heading="P(= 0)"),
    "inclusion_bf": Column("inclusion BF", digits=3),
    "log_bf": Column("log BF", digits=2),
    "log_bf_mcse": Column("MCSE of the log BF", digits=3),
    "log_marginal": Column("log marginal likelihood", digits=3),
    "log_marginal_mcse": Column("MCSE", digits=4),
}


_FEWEST_DRAWS = 100


@dataclass(frozen=True, eq=False, repr=False)
class AveragedModels(NotebookView):
    """What `average_models` found.

    Parameters
    ----------
    components
        Effect, heterogeneity and publication bias: how many models have it, prior and posterior
        probability that there is one, and its inclusion Bayes factor (posterior odds over prior
        odds) with the Monte Carlo standard error.
    summary
        Mean effect, tau, and the effect in a new study: over all models, with what they say of an
        exact zero, and conditional on models that have an effect, or heterogeneity. `estimate` is
        the median.
    models
        Every model: its parts, prior and posterior probability, log marginal likelihood.
    draws
        Draws of the average by name, `mu` and `tau`, shape (draw,), exactly 0 where a model has
        none; `model` is the row of `models` that each is of.
    text
        What was analysed, under which priors.
    """

    components: pd.DataFrame
    summary: pd.DataFrame
    models: pd.DataFrame
    draws: Mapping[str, NDArray[Any]]
    text: str

    def __getitem__(self, component: str) -> Mapping[str, Any]:
        """Give the row of a component."""
        names = self.components["component"].tolist()
        if component not in names:
            raise unknown(QueryError, "component", component, names)
        row = self.components.iloc[names.index(component)]
        return {str(name): value for name, value in row.items()}

    def _show_parts(self) -> Iterator[str]:
        yield show_title("AveragedModels")
        yield show_table(self.components, whole=".components")
        yield show_table(self.summary, whole=".summary")
        yield fold("Models", show_table(self.models, whole=".models"))
        yield show_text(self.text)

    def __repr__(self) -> str:
        from bayesmeta.tables.text import format_table

        tables = [format_table(table) for table in (self.components, self.summary)]
        return "\n\n".join([*tables, self.text])


def average_models(
    table: EffectSizes,
    spec: EnsembleSpec | None = None,
    *,
    ci_prob: float = defaults.CI_PROB,
    draws: int = 4000,
    seed: int = defaults.SEED,
) -> AveragedModels:
    """Average a meta-analysis over models with and without effect, heterogeneity and bias.

    What RoBMA does (Maier et al. 2023, https://doi.org/10.1037/met0000405; Bartoš et al. 2023,
    https://doi.org/10.1002/jrsm.1594), without a Markov chain: each model is drawn independently by
    importance sampling, whose weights estimate its marginal likelihood; models are weighted by
    their posterior probabilities (Gronau et al. 2021, https://doi.org/10.1177/25152459211031256).

    Parameters
    ----------
    table
        What `read_effect_sizes` read: independent studies without moderators. Counts are taken as
        log odds ratios with normal errors.
    spec
        Models and priors, in the unit of the effects; Bayes factors depend on them.
    ci_prob
        Probability of the equal-tailed intervals.
    draws
        Draws of every model.
    seed
        Seed of the random numbers.

    Returns
    -------
    AveragedModels
        Inclusion Bayes factors, averaged and conditional estimates, all models, draws.

    Raises
    ------
    QueryError
        If it is no table of effect sizes, it has moderators, groups or correlated errors, or a
        number makes no sense.
    FitError
        If a model cannot be drawn.

    Examples
    --------
    >>> import pandas as pd
    >>> import bayesmeta as bm
    >>> frame = pd.DataFrame({"s": list("abc"), "d": [0.5, 0.3, 0.4], "se": [0.1, 0.2, 0.1]})
    >>> table = bm.read_effect_sizes(frame, effect="d", se="se", study="s")
    >>> found = average_models(table, bm.EnsembleSpec(mu_sd=1.0, tau_scale=0.15), draws=1000)
    >>> bool(found["effect"]["inclusion_bf"] > 3)
    True
    """
    import pandas as pd

    _check_table(table)
    check_ci_prob(ci_prob)
    whole = isinstance(draws, int | np.integer) and not isinstance(draws, bool)
    if not whole or draws < _FEWEST_DRAWS:
        raise QueryError(f"draws is {draws!r}. Allowed: a whole number from {_FEWEST_DRAWS} up.")
    design = build_effect_design(table)
    stated = EnsembleSpec() if spec is None else spec
    spec = stated.scaled_to(design)
    rng = np.random.default_rng(seed)
    found = [
        draw_marginal(MemberMarginal(design, spec, one), draws=int(draws), rng=rng)
        for one in spec.members
    ]
    ensemble = _Ensemble(
        spec.members,
        log_marginal=np.array([one.log_marginal for one in found]),
        error=np.array([one.mcse for one in found]),
        mu=np.array([one.parameters["mu"] for one in found]),
        tau=np.array([one.parameters["tau"] for one in found]),
    )
    components = pd.DataFrame(ensemble.list_components())
    estimates = pd.DataFrame(ensemble.list_estimates(rng, ci_prob))
    columns = effect_columns(estimates["sd"], "mean")
    columns["mcse"] = Column("MCSE of the mean", digits=(columns["mean"].digits or 0) + 1)
    return AveragedModels(
        components=head(components, _COLUMNS),
        summary=head(estimates, _COLUMNS | columns),
        models=head(pd.DataFrame(ensemble.list_models()), _COLUMNS),
        draws=ensemble.mix(rng),
        text=_describe(table, spec, ci_prob, follows=stated.mu_sd is None),
    )


def _check_table(table: object) -> None:
    """Refuse what the models of an ensemble have no place for."""
    if not isinstance(table, EffectSizes):
        raise QueryError(
            f"average_models was given {type(table).__name__}. Allowed: what bm.read_effect_sizes "
            "read."
        )
    hindrance = find_hindrance(table)
    if hindrance is not None:
        raise QueryError(
            f"the table has {hindrance}. Allowed in average_models: independent studies without "
            "moderators and groups. Read the table without them, or fit single models."
        )


def find_hindrance(table: EffectSizes) -> str | None:
    """Name what a table has that the models of an ensemble have no place for."""
    has = {
        "moderators": table.moderators, "groups": table.groups, "crossed groups": table.crossed,
        "correlated errors": table.correlated is not None,
    }  # fmt: skip
    return next((name for name, there in has.items() if there), None)


@dataclass(slots=True)
class _Ensemble:
    """Models with their marginal likelihoods and draws, shape (model, draw)."""

    members: tuple[Member, ...]
    log_marginal: Array
    error: Array
    mu: Array
    tau: Array

    @property
    def prior(self) -> Array:
        """Prior probabilities."""
        return np.array([one.prior_prob for one in self.members])

    @property
    def posterior(self) -> Array:
        """Posterior probabilities."""
        weight = self.prior * np.exp(self.log_marginal - self.log_marginal.max())
        return weight / weight.sum()

    def list_components(self) -> list[dict[str, Any]]:
        """Compare models that have a component with those that have not."""
        rows = []
        for name, has in _COMPONENTS.items():
            inside = np.array([has(one) for one in self.members])
            if inside.all() or not inside.any():
                continue
            log_bf, error = self.compare(inside)
            rows.append({
                "component": name, "models": f"{inside.sum()} of {len(inside)}",
                "prior_prob": self.prior[inside].sum(),
                "posterior_prob": self.posterior[inside].sum(),
                "inclusion_bf": _exp(log_bf), "log_bf": log_bf, "log_bf_mcse": error,
            })  # fmt: skip
        return rows

    def compare(self, inside: NDArray[np.bool_]) -> tuple[float, float]:
        """Log Bayes factor of some models against the others, and its Monte Carlo error."""
        logs, shares = [], []
        for some in (inside, ~inside):
            terms = np.log(self.prior[some]) + self.log_marginal[some]
            logs.append(np.logaddexp.reduce(terms) - math.log(self.prior[some].sum()))
            share = np.exp(terms - np.logaddexp.reduce(terms))
            shares.append(np.square(share * self.error[some]).sum())
        return float(logs[0] - logs[1]), math.sqrt(sum(shares))

    def list_models(self) -> list[dict[str, Any]]:
        """Say of every model what it has and how probable it is."""
        rows = []
        for k, one in enumerate(self.members):
            alone = np.arange(len(self.members)) == k
            rows.append({
                "effect": one.has_effect, "heterogeneity": one.has_heterogeneity,
                "bias": str(one.bias), "prior_prob": one.prior_prob,
                "posterior_prob": self.posterior[k], "log_marginal": self.log_marginal[k],
                "log_marginal_mcse": self.error[k],
                "inclusion_bf": _exp(self.compare(alone)[0]) if len(alone) > 1 else math.nan,
            })  # fmt: skip
        return rows

    def list_estimates(self, rng: np.random.Generator, ci_prob: float) -> list[dict[str, Any]]:
        """Sum up averaged and conditional estimates."""
        everything = np.full(len(self.members), True)
        effect, tau = (
            np.array([has(one) for one in self.members])
            for has in (_COMPONENTS["effect"], _COMPONENTS["heterogeneity"])
        )
        new = self.mu + self.tau * rng.standard_normal(self.tau.shape)
        asked = [
            ("mean effect", "all", self.mu, everything),
            ("mean effect", "with an effect", self.mu, effect),
            ("effect in a new study", "all", new, everything),
            ("tau", "all", self.tau, everything),
            ("tau", "with heterogeneity", self.tau, tau),
        ]
        return [
            {"quantity": name, "models": which, **self._sum_up(x, some, ci_prob, name != "tau")}
            for name, which, x, some in asked
            if some.any() and (some is everything or not some.all())
        ]

    def _sum_up(
        self, draws: Array, some: NDArray[np.bool_], ci_prob: float, is_effect: bool
    ) -> dict[str, float]:
        """Summarise draws of some models, each weighted by its posterior probability."""
        # Against the most probable of these models, which may all be improbable.
        log = np.log(self.prior[some]) + self.log_marginal[some]
        share = np.exp(log - np.logaddexp.reduce(log))
        draws, error = draws[some], self.error[some]
        n = draws.shape[1]
        means = draws.mean(axis=1)
        mean = float(share @ means)
        variance = float(share @ np.square(draws - mean).mean(axis=1))
        within = np.square(share).dot(draws.var(axis=1)) / n
        between = np.square(share * (means - mean) * error).sum()
        tail = (1 - ci_prob) / 2
        lower, median, upper = _quantiles(draws, share / n, (tail, 0.5, 1 - tail))
        return {
            "estimate": median, "mean": mean, "sd": math.sqrt(variance),
            "lower": lower, "upper": upper,
            "prob_positive": float(share @ (draws > 0).mean(axis=1)) if is_effect else math.nan,
            "prob_zero": float(share @ (draws == 0).mean(axis=1)) if some.all() else math.nan,
            "mcse": math.sqrt(within + between),
        }  # fmt: skip

    def mix(self, rng: np.random.Generator) -> dict[str, NDArray[Any]]:
        """Draw from the average: a model by its probability, then one of its draws."""
        n = self.mu.shape[1]
        edges = np.cumsum(self.posterior)[:-1]
        model = np.searchsorted(edges, (rng.random() + np.arange(n)) / n, side="right")
        model = rng.permutation(model)
        row = np.arange(n)
        return {"mu": self.mu[model, row], "tau": self.tau[model, row], "model": model}


def _exp(log: float) -> float:
    """Exponential, infinite where it is too large for a number."""
    return math.exp(log) if log < 700 else math.inf


def _quantiles(draws: Array, weight: Array, probs: tuple[float, ...]) -> list[float]:
    """Quantiles of draws of shape (model, draw), every draw of a model with its weight."""
    values, weights = draws.ravel(), np.repeat(weight, draws.shape[1])
    order = np.argsort(values)
    mass = np.cumsum(weights[order])
    found = np.searchsorted(mass, np.array(probs) * mass[-1])
    return [float(values[order][min(k, len(values) - 1)]) for k in found]


def _describe(table: EffectSizes, spec: EnsembleSpec, ci_prob: float, *, follows: bool) -> str:
    """Say what was averaged, under which priors."""
    law = "normal" if spec.mu_df is None else f"t with {spec.mu_df:g} df"
    scales = {"pet": spec.pet_scale, "peese": spec.peese_scale}
    members = spec.members
    stated = {
        f"mean effect {law} (0, {spec.mu_sd:.3g})": any(one.has_effect for one in members),
        f"heterogeneity inverse gamma ({spec.tau_shape:g}, {spec.tau_scale:.3g})": any(
            one.has_heterogeneity for one in members
        ),
    } | {
        f"{kind.upper()} half-Cauchy ({scale:.3g})": any(one.bias.kind == kind for one in members)
        for kind, scale in scales.items()
    }
    priors = [prior for prior, there in stated.items() if there]
    counted = " Counts are taken as log odds ratios with normal errors." if table.counts else ""
    advice = "; mu_sd follows from the table here, so state it where it is known" * follows
    return (
        f"{len(table.frame)} studies, {len(members)} models.{counted} Priors, in the unit of "
        f"the effects: {'; '.join(priors)}. Effects favoured by publication: {spec.favoured}. "
        f"Bayes factors depend on these priors{advice}. "
        f"Medians and {percent(ci_prob, whole=False)} equal-tailed intervals; "
        "P(= 0) is the probability of models in which it is exactly 0."
    )
