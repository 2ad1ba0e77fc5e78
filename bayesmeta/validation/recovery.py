"""Known truths: data drawn from chosen effects, to see how often intervals hold them."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
import pandas as pd

from bayesmeta import defaults
from bayesmeta.data.dataset import Dataset
from bayesmeta.data.vocabulary import MIX_COLUMNS
from bayesmeta.design.facts import Design
from bayesmeta.estimates.contrasts import effects
from bayesmeta.estimates.counterfactual import (
    ASSOCIATION,
    EFFECT,
    choose_kind,
    contrast_draws,
    tells_effects,
)
from bayesmeta.estimates.question import BY, Statement, default_contrasts, list_decisions
from bayesmeta.inference.fits import Fit
from bayesmeta.inference.refit import Refitter
from bayesmeta.inference.saved_fits import wrap_draws
from bayesmeta.model.predictor import (
    Array,
    Parameters,
    contrast_distribution,
    score_distribution,
)
from bayesmeta.model.spec import ModelSpec, build_design_for

FEW_FAMILIES = 10
"""Families of a setting with few: those with the most LMs, a third of all."""

HETEROGENEITY = {"small": 0.15, "large": 0.6}
"""Latent standard deviation of family effects: two fifths of the prior median, and its 1.6-fold."""

EFFECTS = {"typical": 0.1, "large": 0.25}
"""Latent size of every free effect's mean, with a sign of its own. Under the prior one effect in
three is larger than the first, some two points at mid-range, and one in eleven than the second."""

RESIDUAL = 0.15
"""Latent standard deviation of what neither facts nor families explain."""

MIX_SPREAD = 1.0
"""Spread of the log fractions of missing mixes, as wide as recorded ones spread."""

_MODERN = {"position_embedding": "rotary", "norm": "rmsnorm", "activation": "swiglu",
           "biases": "none"}  # fmt: skip
_CLASSIC = {"position_embedding": "learned", "norm": "layernorm", "activation": "gelu",
            "biases": "all"}  # fmt: skip

VARIED = tuple(_MODERN)
"""Decisions that differ within families, where they are `varied`."""


@dataclass(frozen=True, slots=True)
class Setting:
    """One setting of the grid.

    Parameters
    ----------
    families
        `many`, all of the data, or `few`.
    heterogeneity
        Size of family effects, `small` or `large`.
    facts
        `known`: the model sees all facts that the scores were drawn from; `hidden`: those that the
        data do not disclose are hidden from it.
    decisions
        `recorded`; or `bundled`: newer families share one recipe of four decisions and older ones
        another, but for one newer family for each decision, which alone tells it from the others;
        or `varied`: every LM has the old or the new choice of each of the four, whatever
        others of its family have.
    effects
        Size of the decisions' effects, chosen once: `typical` or `large`; or `drawn`: from the
        prior, anew for each set of scores.

    Examples
    --------
    >>> Setting(families="few", heterogeneity="large", facts="hidden").name
    'few families, large heterogeneity, facts hidden, decisions recorded, effects typical'
    """

    families: str = "many"
    heterogeneity: str = "small"
    facts: str = "known"
    decisions: str = "recorded"
    effects: str = "typical"

    @property
    def name(self) -> str:
        """The setting in words."""
        return (
            f"{self.families} families, {self.heterogeneity} heterogeneity, facts {self.facts}, "
            f"decisions {self.decisions}, effects {self.effects}"
        )


SETTINGS = (
    *(
        Setting(families=families, heterogeneity=heterogeneity, facts=facts)
        for facts in ("known", "hidden")
        for heterogeneity in HETEROGENEITY
        for families in ("many", "few")
    ),
    *(Setting(heterogeneity=size, decisions="bundled") for size in HETEROGENEITY),
    *(Setting(heterogeneity=size, effects="large") for size in HETEROGENEITY),
    *(Setting(heterogeneity=size, effects="drawn") for size in HETEROGENEITY),
)


POWER_SETTINGS = tuple(
    Setting(heterogeneity=heterogeneity, decisions="varied", effects=effects)
    for heterogeneity in HETEROGENEITY
    for effects in EFFECTS
)
"""Settings in which four decisions have real effects and vary within families."""


class Drawn(NamedTuple):
    """Data drawn from a truth.

    Parameters
    ----------
    scores
        Of LMs, in native units, shape (score,).
    contrasts
        Between arms of experiments, shape (contrast,); None where there are none.
    truth
        The parameters behind them, as a fit of one draw.
    """

    scores: Array
    contrasts: Array | None
    truth: Fit


@dataclass(frozen=True, eq=False, slots=True)
class Truth:
    """Facts and effects that data are drawn from, and what a model sees of the facts.

    Parameters
    ----------
    full
        The tables with every fact.
    seen
        The tables that a model learns from, with the same scores.
    spec
        The model that scores are drawn from.
    parameters
        Chosen values by name; effects of families, LMs and the surface, and what experiments see,
        are drawn anew for each set of data.
    effects
        As in the setting; those of decisions are drawn anew as well where it is `drawn`.
    """

    full: Dataset
    seen: Dataset
    spec: ModelSpec
    parameters: Parameters
    effects: str

    def draw(self, seed: int) -> Drawn:
        """Draw data, and give the truth behind them."""
        design, rng = build_design_for(self.full, spec=self.spec), np.random.default_rng(seed)
        drawn = {**self.parameters, **_draw_nuisance(design, self.spec, rng=rng)}
        if self.effects == "drawn":
            drawn["beta"] = _draw_effects(design, self.spec, rng=rng)
        states = rng.integers(2**31, size=2)
        scores = score_distribution(drawn, design=design, spec=self.spec).draw(int(states[0]))
        top = np.where(design.outcomes.is_logistic, 1.0, 2.0)[design.outcomes.benchmark_index]
        contrasts = None
        if design.contrasts is not None:
            drawn |= _draw_experiments(design, self.spec, drawn, effects=self.effects, rng=rng)
            law = contrast_distribution(drawn, contrasts=design.contrasts, spec=self.spec)
            contrasts = law.draw(int(states[1]))
        wrapped = {name: np.asarray(value, float)[None, None] for name, value in drawn.items()}
        truth = wrap_draws(wrapped, spec=self.spec, dataset=self.full, source="truth")
        return Drawn(np.clip(scores, 0.0, top), contrasts, truth)


def build_truth(dataset: Dataset, *, setting: Setting, seed: int = defaults.SEED) -> Truth:
    """Choose facts and effects for a setting.

    Parameters
    ----------
    dataset
        Validated tables with recorded scores, which fix the difficulty of the benchmarks.
    setting
        The setting.
    seed
        Seed of the choice.

    Returns
    -------
    Truth
        Scores can be drawn from it.

    Examples
    --------
    >>> import bayesmeta as bm
    >>> truth = build_truth(bm.load_dataset(), setting=SETTINGS[1])
    >>> truth.seen.lms["lm_family"].nunique()
    10
    """
    rng = np.random.default_rng(seed)
    data = replace(dataset, generations=None)
    if setting.families == "few":
        data = _keep_families(data, n=FEW_FAMILIES)
    if setting.decisions == "bundled":
        data = replace(data, lms=_bundle(data))
    if setting.decisions == "varied":
        data = replace(data, lms=_vary(data.lms, rng=rng))
    full = replace(data, lms=_disclose(data.lms, rng=rng))
    spec = ModelSpec()
    design = build_design_for(full, spec=spec)
    return Truth(
        full=full,
        seen=full if setting.facts == "known" else data,
        spec=spec,
        parameters=_choose_parameters(design, setting=setting, rng=rng),
        effects=setting.effects,
    )


def _keep_families(data: Dataset, *, n: int) -> Dataset:
    """Keep the families with the most scored lms."""
    scored = data.lms[data.lms["lm"].isin(data.scores["lm"])]
    kept = scored["lm_family"].value_counts(sort=True).index[:n]
    return data.keep_lms(data.lms["lm_family"].isin(kept).to_numpy())


def _bundle(data: Dataset) -> pd.DataFrame:
    """Give newer families one recipe and older ones another, but for an exception each."""
    lms = data.lms
    scored = lms[lms["lm"].isin(data.scores["lm"])]
    first = scored.groupby("lm_family")["released"].min().sort_values(na_position="first")
    newest = first.index[::-1]
    is_newer = lms["lm_family"].isin(newest[: len(newest) // 2])
    columns = {
        name: np.where(is_newer & (lms["lm_family"] != exception), modern, _CLASSIC[name])
        for (name, modern), exception in zip(_MODERN.items(), newest, strict=False)
    }
    return lms.assign(**columns)


def _vary(lms: pd.DataFrame, *, rng: np.random.Generator) -> pd.DataFrame:
    """Let every LM have the newer or the older choice, by a coin for each decision."""
    coins = rng.random((len(VARIED), len(lms))) < 0.5
    columns = {
        name: np.where(coin, _MODERN[name], _CLASSIC[name])
        for name, coin in zip(VARIED, coins, strict=True)
    }
    return lms.assign(**columns)


def _disclose(lms: pd.DataFrame, *, rng: np.random.Generator) -> pd.DataFrame:
    """Fill in mixes and shares of English that are missing, the same within a family."""
    parts = lms[list(MIX_COLUMNS)].to_numpy(float, copy=True)
    english = lms["english_share"].to_numpy(float, copy=True)
    rest = 100 - np.nansum(parts, axis=1, keepdims=True)
    whole = np.column_stack([parts, rest])[~np.isnan(parts).any(axis=1)]
    mean = np.log(np.clip(whole, 1, None)).mean(axis=0)
    for rows in lms.groupby("lm_family").indices.values():
        raw = np.exp(mean + MIX_SPREAD * rng.normal(size=len(mean)))
        share = round(rng.uniform(np.nanmin(english), 100), 2)
        english[rows] = np.where(np.isnan(english[rows]), share, english[rows])
        for row in rows:
            hidden = np.isnan(parts[row])
            whole = raw[:-1][hidden].sum() + raw[-1]
            filled = np.floor(100 * rest[row] * raw[:-1][hidden] / whole) / 100
            parts[row, hidden] = filled
    return lms.assign(english_share=english, **dict(zip(MIX_COLUMNS, parts.T, strict=True)))


def _choose_parameters(design: Design, *, setting: Setting, rng: np.random.Generator) -> Parameters:
    """Choose effects of one size and either sign, which differ by task and benchmark."""
    outcomes, n = design.outcomes, len(design.benchmarks)
    mean = rng.choice([-1.0, 1.0], (design.loading.shape[1], 1))
    size = EFFECTS.get(setting.effects, 0.0)
    free = size * (mean + _draw_deviations(design, ratio=0.5, rng=rng))
    b = outcomes.benchmark_index
    average = np.bincount(b, weights=outcomes.y) / np.bincount(b)
    p = np.clip((average - outcomes.floor) / (1 - outcomes.floor), 0.1, 0.9)
    tau = HETEROGENEITY[setting.heterogeneity]
    return {
        "alpha": np.where(outcomes.is_logistic, np.log(p / (1 - p)), 0.0),
        "kappa": np.array([0.6, 0.35, 0.05, 0.1]) + rng.normal(0, 0.05, (n, 4)),
        "beta": design.loading @ free,
        "sigma": np.full(n, RESIDUAL),
        "rho_lm": np.array(0.5),
        "tau_family": np.full(n, tau),
        "rho_family": np.array(0.5),
        "sigma_score": np.array(0.008),
        "nu_beyond_one": np.array(20.0),
    }


def _draw_deviations(design: Design, *, ratio: float, rng: np.random.Generator) -> Array:
    """Draw deviations of task families, and of benchmarks in them, shape (free, benchmark)."""
    task, n_free = design.task_family_index, design.loading.shape[1]
    by_task = rng.normal(size=(n_free, len(design.task_families)))[:, task]
    return ratio * (by_task + rng.normal(size=(n_free, len(design.benchmarks))))


def _draw_effects(design: Design, spec: ModelSpec, *, rng: np.random.Generator) -> Array:
    """Draw effects of decisions from the prior, shape (term, benchmark)."""
    priors = spec.priors
    tau = priors.beta_tau * np.exp(priors.beta_tau_log_sd * rng.normal(size=len(design.decisions)))
    mean = rng.normal(size=(design.loading.shape[1], 1))
    deviations = _draw_deviations(design, ratio=priors.beta_ratio, rng=rng)
    return design.loading @ (tau[design.free_decision][:, None] * (mean + deviations))


def _draw_nuisance(
    design: Design, spec: ModelSpec, *, rng: np.random.Generator
) -> dict[str, Array]:
    """Draw effects of families and LMs, and a surface, as the model supposes them."""
    return {
        "u": rng.normal(size=len(design.lm_families)),
        "w": rng.normal(size=(len(design.lm_families), len(design.task_families))),
        "v": rng.normal(size=len(design.lms)),
        "surface": _draw_surface(design, spec, rng=rng),
    }


def _draw_surface(design: Design, spec: ModelSpec, *, rng: np.random.Generator) -> Array:
    """Draw weights of the surface, shape (function, benchmark)."""
    assert design.surface is not None
    task, n = design.task_family_index, design.surface.n_functions
    shared, of_task, own = spec.priors.surface_tau
    return (
        shared * rng.normal(size=(n, 1))
        + of_task * rng.normal(size=(n, len(design.task_families)))[:, task]
        + own * rng.normal(size=(n, len(design.benchmarks)))
    )


def _draw_experiments(
    design: Design,
    spec: ModelSpec,
    drawn: Parameters,
    *,
    effects: str,
    rng: np.random.Generator,
) -> dict[str, Array]:
    """Draw effects of which half of the associations' variance is, and what else arms see.

    An effect is half of the association and half of other values of the same kind; the bias is the
    difference of these halves, which is independent of it and as large.
    """
    contrasts, priors = design.contrasts, spec.priors
    assert contrasts is not None
    if effects == "drawn":
        other, tau = _draw_effects(design, spec, rng=rng), priors.beta_tau
    else:
        tau = EFFECTS[effects]
        mean = rng.choice([-1.0, 1.0], (design.loading.shape[1], 1))
        deviations = _draw_deviations(design, ratio=priors.beta_ratio, rng=rng)
        other = design.loading @ (tau * (mean + deviations))
    n, n_benchmarks = len(contrasts.arm_terms), len(design.benchmarks)
    task, ratio = design.task_family_index, priors.beta_ratio
    by_task = rng.normal(size=(n, len(design.task_families)))[:, task]
    arm = rng.normal(size=(n, 1)) + ratio * (by_task + rng.normal(size=(n, n_benchmarks)))
    measured = contrasts.measured_settings()
    of_decision = contrasts.setting_block[:, None] < len(design.decisions)
    scale = priors.study_ratio * np.where(of_decision, tau, priors.arm_tau)
    own = np.sqrt(2) * ratio * rng.normal(size=measured.shape) * measured
    return {
        "beta_effect": (drawn["beta"] + other) / 2,
        "surface_effect": (drawn["surface"] + _draw_surface(design, spec, rng=rng)) / 2,
        "arm_effect": priors.arm_tau * arm,
        "study_effect": scale * (rng.normal(size=(len(measured), 1)) + own),
        "study_ratio": np.array(priors.study_ratio),
        "tau_effect": np.full(len(design.decisions), tau),
        "run_effect": priors.run_sigma * rng.normal(size=len(contrasts.runs)),
        "arm_sigma": np.array(priors.arm_sigma),
        "arm_nu_beyond_one": np.array(20.0),
    }


def score_recovery(
    refitter: Refitter, truth: Truth, *, seed: int, ci_prob: float = defaults.CI_PROB
) -> pd.DataFrame:
    """Fit data drawn from a truth, and hold the intervals of all effects against it.

    Parameters
    ----------
    refitter
        The model under test, compiled for `truth.seen`.
    truth
        What data are drawn from.
    seed
        Seed of data and sampler.
    ci_prob
        Probability of the intervals.

    Returns
    -------
    pandas.DataFrame
        One row per contrast, target and kind, `association` or, where experiments inform the
        fit, `effect`: what it is, whether an experiment varies it (`tried`), `truth`, `estimate`,
        `lower`, `upper` in percentage points and `covered`. Contrasts are those that `effects`
        reports by default.
    """
    drawn = truth.draw(seed)
    fit = refitter.fit(seed=seed, scores=drawn.scores, contrasts=drawn.contrasts)
    tail, true_fit = (1 - ci_prob) / 2, drawn.truth
    names, rows = list_decisions(true_fit.design), []
    contrasts = [c for name in names for c in default_contrasts(true_fit.design, name)]
    kinds = (ASSOCIATION, EFFECT) if tells_effects(fit) else (ASSOCIATION,)
    for contrast, by, kind in itertools.product(contrasts, BY, kinds):
        known = contrast_draws(true_fit, contrast=contrast, by=by, kind=kind).values[0, 0]
        draws = contrast_draws(fit, contrast=contrast, by=by, kind=kind)
        lower, estimate, upper = draws.quantile([tail, 0.5, 1 - tail], dim=("chain", "draw"))
        rows.append(
                pd.DataFrame(
                    {
                        "contrast": contrast.label, "kind": kind,
                        "tried": _is_tried(fit.design, contrast), "by": by,
                        "target": draws["target"].values, "truth": known,
                        "estimate": estimate.values, "lower": lower.values, "upper": upper.values,
                        "covered": (lower.values <= known) & (known <= upper.values),
                    }
                )
            )  # fmt: skip
    return pd.concat(rows, ignore_index=True)


def _is_tried(design: Design, contrast: Statement) -> bool:
    """Whether arms of a group differ in all columns in which the sides of a contrast do."""
    if design.contrasts is None:
        return False
    one, other = (side.of(design.facts).X for side in contrast.sides)
    varied = (design.contrasts.columns["beta"] != 0).any(axis=0)
    return bool(varied[(one != other).any(axis=0)].all())


def score_verdicts(refitter: Refitter, truth: Truth, *, seed: int) -> pd.DataFrame:
    """Fit data drawn from a truth, and see what is said of decisions that vary within families.

    Parameters
    ----------
    refitter
        The model under test, compiled for `truth.seen`.
    truth
        What data are drawn from, with decisions that are `varied`.
    seed
        Seed of data and sampler.

    Returns
    -------
    pandas.DataFrame
        One row per contrast and target, as `Effects.table` gives them, with the `truth` in
        percentage points.
    """
    drawn = truth.draw(seed)
    fit = refitter.fit(seed=seed, scores=drawn.scores, contrasts=drawn.contrasts)
    kind, tables = choose_kind(fit), []
    for by in BY:
        found = effects(fit, VARIED, by=by)
        known = [
            contrast_draws(drawn.truth, contrast=c, by=by, kind=kind).values[0, 0]
            for c in found.contrasts
        ]
        tables.append(found.table().assign(truth=np.concatenate(known)))
    return pd.concat(tables, ignore_index=True)
