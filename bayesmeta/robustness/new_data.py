"""What new data change: the LMs that surprised, and the effects that moved."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from bayesmeta import defaults
from bayesmeta.data.dataset import Dataset, match_families
from bayesmeta.design.outcomes import Outcomes, build_outcomes
from bayesmeta.errors import DataError, listing, name_given
from bayesmeta.estimates.contrasts import effects
from bayesmeta.estimates.counterfactual import POINTS
from bayesmeta.estimates.predictions import append_lms, place_lms, stream
from bayesmeta.estimates.question import UNITS, check_seed, refuse_prior
from bayesmeta.estimates.summary import check_ci_prob
from bayesmeta.inference.fits import Fit
from bayesmeta.inference.saved_fits import wrap_draws
from bayesmeta.model.predictor import (
    Array,
    Parameters,
    StudentScores,
    family_effects,
    linear_predictor,
    score_distribution,
)
from bayesmeta.tables.headed_columns import PROBABILITY, Column, head
from bayesmeta.tables.notebook import NotebookView, show_table

if TYPE_CHECKING:
    from bayesmeta.design.facts import Design

SURPRISE = 0.05
"""Probability of the two tails in which an LM is called a surprise."""

_STEPS = 8
"""Scoring steps to the effects of a new family that its scores suggest."""

_LENGTHS = (1.0, 0.5, 0.2, 0.05, 0.0)
"""Shares of a step that are tried."""

_INNER = 32
"""Draws of these effects for every draw of the posterior."""

_NUDGE = 1e-4
"""Latent units by which slopes are computed."""

type Rows = NDArray[np.intp]

type Effect = tuple[str, tuple[int, ...]]
"""Name of a parameter, and the place of one of its effects."""

_KEPT = ("estimate", "lower", "upper", "prob_helps", "verdict")
"""What is told of a statement before and after."""


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Changes(NotebookView):
    """What new data change.

    Parameters
    ----------
    lms
        One row per LM with new scores: `lm`, `lm_family`, how many `scores`, their mean and what
        was predicted before they were seen, `pit`, and whether the LM is a `surprise`. Means are of
        higher-is-better scores, in percentage points; a Brier score counts negative. Benchmarks
        with a unit of their own are no part of them; of several such alone there is no mean.
    scores
        One row per new score: `lm`, `benchmark`, `score`, the predicted median (`estimate`) and
        interval (`lower`, `upper`) of an observation, in percentage points of the benchmark's own
        metric, and `pit`, the predicted probability of a lower score.
    statements
        One row per contrast of every decision: estimate, interval, probability and verdict, before
        and after, and `move`, by how many posterior standard deviations the estimate changed; the
        largest first. Without rows where nothing could be computed.
    method
        `importance`, `refit`, or `none` where importance weights cannot be trusted.
    pareto_k
        Of the importance weights; NaN where there are none.
    left_out
        Benchmarks with new scores that the fit does not have: only a refit heeds them.
    """

    lms: pd.DataFrame
    scores: pd.DataFrame
    statements: pd.DataFrame
    method: str
    pareto_k: float
    left_out: tuple[str, ...]

    def to_dict(self) -> dict[str, Any]:
        """Say all of it in plain values.

        Returns
        -------
        dict
            `lms` and `scores`, as lists of rows; `statements`, each with what was `before` and
            `after` and by how much it was a `move`; `method`, `pareto_k` and `left_out`.
        """
        return {
            "lms": self.lms.to_dict("records"),
            "scores": self.scores.to_dict("records"),
            "statements": [
                {
                    "statement": row["statement"],
                    **{when: {name: row[f"{name}_{when}"] for name in _KEPT}
                       for when in ("before", "after")},
                    "move": row["move"],
                }
                for row in self.statements.to_dict("records")
            ],
            "method": self.method,
            "pareto_k": None if np.isnan(self.pareto_k) else self.pareto_k,
            "left_out": list(self.left_out),
        }  # fmt: skip

    def list_verdicts(self) -> list[str]:
        """List the statements whose verdict is another one now, and both verdicts."""
        table = self.statements
        other = table[table["verdict_before"] != table["verdict_after"]]
        return [f"{row['statement']}: {row['verdict_before']} -> {row['verdict_after']}"
                for row in other.to_dict("records")]  # fmt: skip

    def _show_parts(self) -> Iterator[str]:
        yield self._show_title()
        yield show_table(self.statements, whole=".statements")

    def __repr__(self) -> str:
        n = int(self.lms["surprise"].sum()) if len(self.lms) else 0
        parts = [f"{n} of {len(self.lms)} lms surprised"]
        if len(self.lms):
            parts[0] += f" ({SURPRISE * len(self.lms):.1f} expected by chance)"
        told = "" if np.isnan(self.pareto_k) else f" (Pareto k {self.pareto_k:.2f})"
        none = self.method == "none"
        parts.append(
            f"no effects without a refit{told}" if none else f"effects by {self.method}{told}"
        )
        if self.left_out:
            parts.append(f"not heeded without a refit: {listing(self.left_out)}")
        return f"Changes({'; '.join(parts)})"


def changes(
    fit: Fit,
    own: Dataset,
    *,
    refit: bool = False,
    ci_prob: float = defaults.CI_PROB,
    seed: int = defaults.SEED,
) -> Changes:
    """Say what new data change: which LMs surprise, and which effects move.

    New scores are predicted before they are seen. Their marginal likelihood, given every draw,
    weighs the draws: effects of new families and LMs are integrated out by importance sampling
    about their conditional mode. The weights are smoothed, and trusted up to the Pareto k that
    Vehtari et al. 2024 allow for so many draws, at most 0.7
    (https://doi.org/10.48550/arXiv.1507.02646).

    Parameters
    ----------
    fit
        The fit before.
    own
        New LMs, and new scores of these or of LMs of the fit. Facts that they add to LMs of the fit
        count in a refit alone.
    refit
        Fit the joined data, with short chains, instead of weighing draws: some tens of seconds.
    ci_prob
        Probability of the intervals.
    seed
        Seed of random numbers.

    Returns
    -------
    Changes
        Surprises and statements. Effects are averaged over the LMs of the fit, before and after.

    Raises
    ------
    DataError
        If own is no dataset, or contradicts the data of the fit.
    QueryError
        If a new LM has a level that no LM of the fit has: nothing can be predicted for it.

    Examples
    --------
    >>> import bayesmeta as bm
    >>> fit = bm.load_reference_fit()
    >>> lms = fit.dataset.lms[fit.dataset.lms["lm_family"] == "pythia"].iloc[:1].assign(lm="new")
    >>> scores = pd.DataFrame({"lm": ["new"], "benchmark": ["winogrande"], "score": [0.9],
    ...                        "se": [0.01]})
    >>> own = replace(fit.dataset, lms=lms, scores=scores, generations=None)
    >>> bm.changes(fit, own).lms["surprise"].tolist()
    [True]
    """
    check_ci_prob(ci_prob)
    check_seed(seed)
    refuse_prior(fit)
    if not isinstance(own, Dataset):
        raise DataError(
            f"own is {name_given(own)}. Allowed: a Dataset, such as bm.read_dataset makes of a "
            "folder, and bm.Dataset.from_frames of frames."
        )
    own = replace(own, lms=match_families(own.lms, known=fit.dataset.lms["lm_family"]))
    joined = fit.dataset.add(own)
    new = _place(fit, own, seed=seed)
    scores, lms = _predict(new, seed=seed, ci_prob=ci_prob)
    left_out = [name for name in dict.fromkeys(own.scores["benchmark"])
                if name not in fit.design.benchmarks]  # fmt: skip
    method, k, after = "none", np.nan, None
    if refit:
        from bayesmeta.inference.refit import Refitter

        method, after = "refit", Refitter(joined, spec=fit.spec).fit(seed=seed)
    elif len(new.outcomes.y):
        weight, k = weigh_draws(new.density(seed=seed))
        n_draws = len(weight)
        if k <= min(1 - 1 / np.log10(n_draws), defaults.PARETO_K_MAX):
            method, after = "importance", _resample(fit, weight)
    statements = _compare(fit, after, ci_prob=ci_prob)
    return Changes(lms, scores, statements, method, float(k), tuple(left_out))


@dataclass(frozen=True, slots=True, eq=False)
class _New:
    """New scores beside a fit: their arrays, and draws of what is new, shape (draw, ...)."""

    fit: Fit
    lms: pd.DataFrame
    design: Design
    outcomes: Outcomes
    parameters: Parameters
    higher: Array

    def law(self, latent: Array, rows: Rows | slice = slice(None)) -> StudentScores:
        """Give some of the scores the distribution that they have at latent values, (..., row)."""
        one = self.outcomes
        names = ("y", "se", "train", "lm_index", "benchmark_index")
        some = replace(one, **{name: getattr(one, name)[rows] for name in names})
        design = replace(self.design, outcomes=some)
        return score_distribution(self.parameters, design=design, spec=self.fit.spec, latent=latent)

    def latent(self, parameters: Parameters) -> Array:
        """Compute the latent value behind every score, shape (draw, score)."""
        eta = linear_predictor(parameters, design=self.design, spec=self.fit.spec)
        return eta[..., self.outcomes.lm_index, self.outcomes.benchmark_index]

    def density(self, *, seed: int) -> Array:
        """Compute the log marginal likelihood of the new scores for every draw, shape (draw,)."""
        groups, known = self._split()
        still = dict(self.parameters)
        for name, index in {key for _, keys in groups for key in keys}:
            still[name] = still[name].copy()
            still[name][(slice(None), *index)] = 0.0
        base, at_zero = self.latent(still), self._effects(still)
        total = self.law(base[:, known], known).log_density().sum(axis=-1)
        for k, (rows, keys) in enumerate(groups):
            loads = []
            for name, index in keys:
                moved = {**still, name: still[name].copy()}
                moved[name][(slice(None), *index)] = 1.0
                loads.append((self._effects(moved) - at_zero)[:, rows])
            total += integrate_effects(
                lambda latent, rows=rows: self.law(latent, rows),
                base=base[:, rows], loads=np.stack(loads, axis=-1), rng=stream(seed, "inner", k),
            )  # fmt: skip
        return total

    def _effects(self, parameters: Parameters) -> Array:
        found = family_effects(parameters, design=self.design, spec=self.fit.spec)
        return found[..., self.outcomes.lm_index, self.outcomes.benchmark_index]

    def _split(self) -> tuple[list[tuple[Rows, list[Effect]]], Rows]:
        """Find scores that share new effects, and name these; and scores that have none."""
        design, n_old = self.design, len(self.fit.design.lms)
        lm, n_families = self.outcomes.lm_index, len(self.fit.design.lm_families)
        family = design.lm_family_index[lm]
        own = self.fit.spec.family_effects != "none"
        owner = np.where(own & (family >= n_families), family, -1 - lm)
        groups = []
        for one in np.unique(owner[lm >= n_old]):
            rows = np.flatnonzero((owner == one) & (lm >= n_old))
            keys: list[Effect] = [("v", (int(i),)) for i in np.unique(lm[rows])]
            if own and family[rows[0]] >= n_families:
                f = int(family[rows[0]])
                tasks = design.task_family_index[self.outcomes.benchmark_index[rows]]
                keys += [("u", (f,)), *(("w", (f, int(t))) for t in np.unique(tasks))]
            groups.append((rows, keys))
        return groups, np.flatnonzero(lm < n_old)


def _place(fit: Fit, own: Dataset, *, seed: int) -> _New:
    """Put new LMs and scores beside those of a fit."""
    old = fit.dataset
    lms = own.lms[~own.lms["lm"].isin(old.lms["lm"])].reset_index(drop=True)
    scores = own.scores[own.scores["benchmark"].isin(fit.design.benchmarks)]
    placed = place_lms(fit, lms, seed=seed)
    table = append_lms(old.lms, lms)
    found = build_outcomes(
        replace(old, lms=table, scores=scores.reset_index(drop=True)),
        train=np.zeros(len(scores), bool),
    )
    links = placed.design.outcomes
    outcomes = replace(found, floor=links.floor, location=links.location, spread=links.spread)
    parameters = {name: np.asarray(values, float).reshape(-1, *np.shape(values)[2:])
                  for name, values in placed.parameters.items()}  # fmt: skip
    higher = (old.benchmarks["direction"] == "higher").to_numpy()[outcomes.benchmark_index]
    return _New(fit, table, placed.design, outcomes, parameters, np.where(higher, 1.0, -1.0))


def _predict(new: _New, *, seed: int, ci_prob: float) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Predict new scores before they are seen, one by one and on average by LM."""
    law, outcomes = new.law(new.latent(new.parameters)), new.outcomes
    drawn = law.draw(stream(seed, "surprise"))
    low, middle, high = np.quantile(drawn, [(1 - ci_prob) / 2, 0.5, (1 + ci_prob) / 2], axis=0)
    lms = new.lms.iloc[outcomes.lm_index].reset_index(drop=True)
    scores = pd.DataFrame(
        {
            "lm": lms["lm"],
            "benchmark": np.array(new.fit.design.benchmarks)[outcomes.benchmark_index],
            "score": POINTS * outcomes.y,
            "estimate": POINTS * middle,
            "lower": POINTS * low,
            "upper": POINTS * high,
            "pit": law.probability_below().mean(axis=0),
        }
    )
    rows, has_mean = [], ~scores["benchmark"].isin(new.fit.design.apart).to_numpy()
    for lm, group in scores.groupby("lm", sort=False):
        own = group.index.to_numpy()
        alike = own[has_mean[own]] if len(own) > 1 else own
        seen, predicted, pit = np.nan, np.array([np.nan]), np.nan
        if len(alike):
            predicted = POINTS * (new.higher[alike] * drawn[:, alike]).mean(axis=-1)
            seen = POINTS * float((new.higher[alike] * outcomes.y[alike]).mean())
            pit = float((predicted < seen).mean())
        rows.append(
            {
                "lm": lm, "lm_family": lms["lm_family"][own[0]], "scores": len(own), "score": seen,
                "estimate": float(np.median(predicted)), "pit": pit,
                "surprise": min(pit, 1 - pit) < SURPRISE / 2,
            }
        )  # fmt: skip
    columns = ["lm", "lm_family", "scores", "score", "estimate", "pit", "surprise"]
    told = {"score": Column(digits=1), "estimate": Column("predicted", digits=1),
            "pit": PROBABILITY._replace(heading="PIT")}  # fmt: skip
    by_lm = pd.DataFrame(rows, columns=columns)
    return head(scores, told, units=UNITS), head(by_lm, told, units=UNITS)


def integrate_effects(
    law: Callable[[Array], StudentScores],
    *,
    base: Array,
    loads: Array,
    rng: np.random.Generator,
) -> Array:
    """Estimate the likelihood of scores whose latent values share standard normal effects.

    Importance sampling from a mixture of the prior and a normal distribution about the mode that
    scoring steps find (defensive sampling: Hesterberg 1995,
    https://doi.org/10.1080/00401706.1995.10484303). The estimate is unbiased on the scale of the
    likelihood, whatever the mode.

    Parameters
    ----------
    law
        Distribution of the scores at latent values of shape (..., draw, score).
    base, loads
        Latent values without the effects, shape (draw, score); and what a unit of every effect adds
        to them, shape (draw, score, effect).
    rng
        Random numbers.

    Returns
    -------
    ndarray
        Log likelihood, shape (draw,).
    """

    def shift(effect: Array) -> Array:
        return base + (loads @ effect[..., None])[..., 0]

    mode, precision = _find_mode(law, shift, loads=loads)
    root = np.linalg.cholesky(precision)
    log_det = np.log(np.diagonal(root, axis1=-2, axis2=-1)).sum(axis=-1)
    terms = []
    for k in range(_INNER):  # by turns about the mode and from the prior: no weight is large then
        effect = rng.standard_normal(mode.shape)
        if k % 2:
            effect = mode + np.linalg.solve(np.swapaxes(root, -1, -2), effect[..., None])[..., 0]
        apart = (np.swapaxes(root, -1, -2) @ (effect - mode)[..., None])[..., 0]
        near = log_det + 0.5 * ((effect**2).sum(axis=-1) - (apart**2).sum(axis=-1))
        mixture = np.logaddexp(near, 0.0) - np.log(2)  # its density over that of the prior
        terms.append(law(shift(effect)).log_density().sum(axis=-1) - mixture)
    return np.logaddexp.reduce(terms, axis=0) - np.log(_INNER)


def _find_mode(
    law: Callable[[Array], StudentScores], shift: Callable[[Array], Array], *, loads: Array
) -> tuple[Array, Array]:
    """Find effects that scores suggest, shape (draw, effect), and the precision there.

    Scoring steps as long as they help. The first ones take scores as normal: heavy tails would
    explain those far from the start as outliers.
    """
    mode, precision = np.zeros((len(loads), loads.shape[-1])), np.eye(loads.shape[-1])
    for k in range(_STEPS):
        heavy = k >= _STEPS // 2
        latent = shift(mode)
        here = law(latent)
        slope = (law(latent + _NUDGE).mu - law(latent - _NUDGE).mu) / (2 * _NUDGE)
        residual, weight = here.y - here.mu, 1 / here.sd**2
        if heavy and here.nu is not None:
            weight = weight * (here.nu + 1) / (here.nu + weight * residual**2)
        slopes = slope[..., None] * loads
        weighted = np.swapaxes(slopes * weight[..., None], -1, -2)
        precision = np.eye(loads.shape[-1]) + weighted @ slopes
        target = residual[..., None] + slopes @ mode[..., None]
        step = np.linalg.solve(precision, weighted @ target)[..., 0] - mode
        tried = [mode + length * step for length in _LENGTHS]
        found = [law(shift(effect)) for effect in tried]
        if not heavy:
            found = [replace(one, nu=None) for one in found]
        worth = [one.log_density().sum(axis=-1) - 0.5 * (effect**2).sum(axis=-1)
                 for one, effect in zip(found, tried, strict=True)]  # fmt: skip
        mode = np.take_along_axis(np.array(tried), np.argmax(worth, axis=0)[None, :, None], 0)[0]
    return mode, precision


def weigh_draws(log_density: Array) -> tuple[Array, float]:
    """Smooth importance weights of draws; they sum to one, and come with their Pareto k."""
    from arviz_stats.base.array import array_stats

    log_weight, k = array_stats.psislw(-log_density)  # takes log densities to be left out
    return np.exp(log_weight - np.logaddexp.reduce(log_weight)), float(k)


def _resample(fit: Fit, weight: Array) -> Fit:
    """Draw from the weighted draws, as evenly as their number allows."""
    n = len(weight)
    rows = np.searchsorted(np.cumsum(weight), (np.arange(n) + 0.5) / n).clip(max=n - 1)
    parameters = {
        name: np.asarray(values).reshape(n, *np.shape(values)[2:])[rows][None]
        for name, values in fit.parameters.items()
    }
    return wrap_draws(parameters, spec=fit.spec, dataset=fit.dataset, source="importance")


def _compare(fit: Fit, after: Fit | None, *, ci_prob: float) -> pd.DataFrame:
    """Put every contrast's effect after the new data beside that before."""
    names = [f"{name}_{when}" for name in _KEPT for when in ("before", "after")]
    if after is None:
        return pd.DataFrame(columns=["statement", *names, "move"])
    before = effects(fit)
    labels = [contrast.label for contrast in before.contrasts]
    second = effects(after, labels, lms=list(fit.dataset.lms["lm"]))
    tables = before.table(ci_prob=ci_prob), second.table(ci_prob=ci_prob)
    found = pd.DataFrame({"statement": labels})
    for name in _KEPT:
        for when, table in zip(("before", "after"), tables, strict=True):
            found[f"{name}_{when}"] = table[name]
    found["move"] = (found["estimate_after"] - found["estimate_before"]) / tables[0]["sd"]
    order = found["move"].abs().sort_values(ascending=False).index
    digits = {name: PROBABILITY if "prob" in name else Column(digits=2)
              for name in (*names, "move") if "verdict" not in name}  # fmt: skip
    return head(found.loc[order].reset_index(drop=True), digits, units=UNITS)
