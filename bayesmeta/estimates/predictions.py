"""What LMs would score that nobody has evaluated, or trained, and draws of what is unknown."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import islice
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import xarray as xr
from numpy.typing import NDArray

from bayesmeta import defaults
from bayesmeta.data.decisions import SIZES, UNDISCLOSED
from bayesmeta.data.load import read_lms
from bayesmeta.data.vocabulary import METRIC_RANGE, SCALED
from bayesmeta.design.composition import MIX_COLUMNS
from bayesmeta.design.sizes import MissingSizes, find_missing_sizes, tabulate_sizes
from bayesmeta.errors import QueryError, listing, unknown
from bayesmeta.estimates.counterfactual import ASSOCIATION, POINTS, label_draws
from bayesmeta.estimates.question import UNITS, UNITS_APART, check_fit, check_seed
from bayesmeta.estimates.summary import check_ci_prob, outline, summarise
from bayesmeta.model.predictor import (
    Array,
    build_columns,
    complete_facts,
    expected_score,
    linear_predictor,
    list_coefficients,
    multiply,
    score_distribution,
)
from bayesmeta.model.spec import build_design_for
from bayesmeta.tables.notebook import NotebookView, show_table

if TYPE_CHECKING:
    from bayesmeta.design.facts import Design
    from bayesmeta.inference.fits import Fit
    from bayesmeta.model.predictor import Parameters


@dataclass(frozen=True, eq=False, repr=False)
class Predictions(NotebookView):
    """Draws of what new LMs score, and the table that follows from them.

    Parameters
    ----------
    expected, observed
        Draws of the expected score, and of a score that an evaluation would measure, in percentage
        points of the benchmark's own metric, with dims chain, draw, lm, benchmark.
    benchmarks
        Table of the benchmarks, whose `direction` says which scores are better.
    facts
        One row per LM: its family, where it extrapolates, and what is missing.
    ci_prob
        Probability of the intervals of the table.
    """

    expected: xr.DataArray
    observed: xr.DataArray
    benchmarks: pd.DataFrame
    facts: pd.DataFrame
    ci_prob: float = defaults.CI_PROB

    def table(self, *, ci_prob: float | None = None) -> pd.DataFrame:
        """Summarise the draws; intervals are equal-tailed.

        Parameters
        ----------
        ci_prob
            Probability of the intervals; that asked of `predict` if left out.

        Returns
        -------
        pandas.DataFrame
            One row per LM and benchmark: median, standard deviation and interval of the expected
            score; `lower_observed` and `upper_observed`, the interval of a new observation, within
            the possible range; the direction of better scores; whether the LM's family is `known`
            or `new`; the facts in which it extrapolates, and the missing ones.

        Raises
        ------
        QueryError
            If the probability is not between 0 and 1.
        """
        prob = self.ci_prob if ci_prob is None else ci_prob
        check_ci_prob(prob)
        return pd.DataFrame(self._list_rows(prob))

    def _list_rows(self, prob: float) -> Iterator[dict[Any, Any]]:
        """Summarise LM by LM and benchmark by benchmark."""
        benchmarks = self.benchmarks.to_dict("records")
        for i, lm in enumerate(self.expected["lm"].values):
            for b, benchmark in enumerate(benchmarks):
                values = self.expected.values[:, :, i, b]
                low, high = METRIC_RANGE[benchmark["metric"]]
                units = UNITS_APART if benchmark["metric"] == SCALED else UNITS
                seen = summarise(self.observed.values[:, :, i, b], ci_prob=prob, units=units)
                bounds = np.clip([seen["lower"], seen["upper"]], POINTS * low, POINTS * high)
                yield {
                    "lm": str(lm),
                    "benchmark": benchmark["benchmark"],
                    **summarise(values, ci_prob=prob, units=units),
                    "lower_observed": float(bounds[0]),
                    "upper_observed": float(bounds[1]),
                    "direction": benchmark["direction"],
                    **self.facts.iloc[i].to_dict(),
                }

    def _show_parts(self) -> Iterator[str]:
        yield self._show_title()
        first = islice(self._list_rows(self.ci_prob), defaults.ROWS_SHOWN)
        n = self.expected.sizes["lm"] * self.expected.sizes["benchmark"]
        yield show_table(pd.DataFrame(first), n_rows=n, whole=".table()")

    def __repr__(self) -> str:
        n, benchmarks = self.expected.sizes["lm"], self.expected.sizes["benchmark"]
        return outline(self, f"{n} LMs on {benchmarks} benchmarks", self.expected)


def predict(
    fit: Fit,
    new_lms: Any,
    *,
    ci_prob: float = defaults.CI_PROB,
    seed: int = defaults.SEED,
) -> Predictions:
    """Predict the scores of LMs that are not in the data, or not trained yet.

    An LM of a family in the data has the effects of that family, with all their uncertainty; a new
    family has effects drawn from the distribution of families, and every LM an effect of its own.
    Unknown facts are treated as the fit treats them: numbers and mixes are typical or drawn, blank
    `n_params` or `n_tokens` are always drawn, given family, date and the other of the two, and an
    open choice is the level `undisclosed` where the data have it, else one that others made.

    Parameters
    ----------
    fit
        The fit.
    new_lms
        A frame of pandas, polars or another library that narwhals knows, or the path of a CSV file,
        with the columns of `lms.csv`; lm, lm_family, n_params and n_tokens are needed.
    ci_prob
        Probability of the intervals.
    seed
        Seed of the draws of what is new. The same LM has the same prediction in every table.

    Returns
    -------
    Predictions
        Draws of expected scores and of new observations, and `.table()`.

    Raises
    ------
    DataError
        If the table cannot be read, or holds a value that is not allowed.
    QueryError
        If an LM has a level that no LM of the data has, or an argument is not allowed.

    Examples
    --------
    >>> import bayesmeta as bm
    >>> new = pd.DataFrame({"lm": ["x"], "lm_family": ["y"], "n_params": [7e9], "n_tokens": [2e12]})
    >>> table = bm.predict(bm.load_reference_fit(), new).table().set_index("benchmark")
    >>> bool(table.loc["hellaswag", "upper_observed"] > table.loc["hellaswag", "upper"])
    True
    """
    check_ci_prob(ci_prob)
    check_seed(seed)
    check_fit(fit)
    lms = read_lms(new_lms, families=fit.design.lm_families, decisions=fit.design.own_decisions)
    placed = place_lms(fit, lms, seed=seed)
    latent = placed.latent(fit)
    return Predictions(
        expected=label_scores(fit, lms, POINTS * expected_score(latent, design=placed.design)),
        observed=label_scores(fit, lms, POINTS * _observe(fit, placed, latent, seed=seed)),
        benchmarks=fit.dataset.benchmarks.reset_index(drop=True),
        facts=name_facts(fit, lms),
        ci_prob=ci_prob,
    )


def _observe(fit: Fit, placed: Newcomers, latent: Array, *, seed: int) -> Array:
    """Draw one observation of every new LM on every benchmark, with a typical sampling error."""
    design = replace(placed.design, outcomes=placed.design.outcomes.imagine_scores())
    drawn = []
    for i, lm in enumerate(placed.lms["lm"]):
        law = score_distribution(
            placed.parameters, design=design, spec=fit.spec, latent=latent[..., i, :]
        )
        drawn.append(law.draw(stream(seed, "observation", lm)))
    return np.stack(drawn, axis=-2)


def label_scores(fit: Fit, lms: pd.DataFrame, values: Array) -> xr.DataArray:
    """Label scores of new LMs in points, shape (chain, draw, lm), or (..., benchmark)."""
    found = label_draws(fit, values, lm=list(lms["lm"]), benchmark=list(fit.design.benchmarks))
    return found.rename("score").assign_attrs(units=UNITS)


@dataclass(frozen=True, slots=True, eq=False)
class Newcomers:
    """New LMs beside the LMs of a fit.

    Parameters
    ----------
    lms
        Table of the new LMs.
    design
        The fit's design with the new LMs below its own: coded in the same levels, units, centres
        and functions, and without scores.
    parameters
        The fit's draws, with draws of what is new: effects of the LMs and of families that the
        data do not have, and facts that are not disclosed.
    """

    lms: pd.DataFrame
    design: Design
    parameters: Parameters

    @property
    def rows(self) -> slice:
        """Where the new LMs stand in the design."""
        return slice(len(self.design.lms) - len(self.lms), None)

    def latent(self, fit: Fit, *, kind: str = ASSOCIATION) -> Array:
        """Compute latent values of the new LMs, shape (chain, draw, lm, benchmark).

        By associations, which predict; or so that LMs differ among each other by effects. These are
        the predictions less the bias of what distinguishes an LM from the average LM of the data.
        """
        eta = linear_predictor(self.parameters, design=self.design, spec=fit.spec)[
            ..., self.rows, :
        ]
        if kind == ASSOCIATION:
            return eta
        facts = complete_facts(self.parameters, design=self.design)
        columns = build_columns(facts, parameters=self.parameters, only=("beta", "surface"))
        n = len(self.design.lms) - len(self.lms)
        apart = {
            name: values[..., self.rows, :] - values[..., :n, :].mean(axis=-2, keepdims=True)
            for name, values in columns.items()
        }
        found, without = (
            list_coefficients(self.parameters, design=self.design, kind=k)
            for k in (ASSOCIATION, kind)
        )
        return eta - multiply(apart, {name: found[name] - without[name] for name in apart})


def place_lms(fit: Fit, lms: pd.DataFrame, *, seed: int) -> Newcomers:
    """Code new LMs as those of a fit, and draw what is not known of them.

    A design's projection of family effects leaves held-out LMs alone, and so it does with new ones.
    Every LM, family and missing fact has random numbers of its own, which follow from the seed
    and its name: a prediction does not depend on which other LMs stand in the table.

    Parameters
    ----------
    fit
        The fit.
    lms
        Validated table of new LMs.
    seed
        Seed of the random numbers.

    Returns
    -------
    Newcomers
        The new LMs.

    Raises
    ------
    QueryError
        If an LM has a level that no LM of the data has.
    """
    _check_levels(fit, lms)
    old = fit.dataset.lms
    # Names that no table can hold, so that facts of an LM of the data may be asked for as well.
    names = [f"\0{k}" for k in range(len(lms))]
    table = append_lms(old, lms.assign(lm=names))
    design = build_design_for(
        replace(fit.dataset, lms=table, generations=None),
        spec=fit.spec,
        among=np.arange(len(table)) < len(old),
    )
    draws = _Draws(fit, design, list(lms["lm"]), seed)
    return Newcomers(lms=lms, design=design, parameters={**fit.parameters, **draws.all()})


def append_lms(old: pd.DataFrame, lms: pd.DataFrame) -> pd.DataFrame:
    """Put new LMs below those of a table, in its columns and types; sizes may be blank."""
    types = old.dtypes.to_dict() | dict.fromkeys(SIZES, np.dtype(float))
    both = (old, lms.reindex(columns=old.columns))
    return pd.concat([one.astype(types) for one in both], ignore_index=True)


def stream(seed: int, *name: object) -> np.random.Generator:
    """Give something its own random numbers, by its name."""
    digest = hashlib.sha256("\0".join(map(str, name)).encode()).digest()
    return np.random.default_rng([seed, *np.frombuffer(digest[:16], np.uint32).tolist()])


@dataclass(frozen=True, slots=True)
class _Draws:
    """Draws of what a fit has none of, appended to those that it has."""

    fit: Fit
    design: Design
    names: list[str]
    seed: int

    def all(self) -> dict[str, Array]:
        """Every parameter that grows with the new LMs."""
        fit, design = self.fit, self.design
        out = {"v": self._append("v", [("lm", name) for name in self.names], ())}
        if fit.spec.family_effects != "none":
            new = [("family", f) for f in design.lm_families[len(fit.design.lm_families) :]]
            n_tasks = len(design.task_families)
            out["u"] = self._append("u", new, ())
            out["w"] = self._append("w", new, (n_tasks,))
        if design.sizes is not None:
            out["size_unknown"] = self._sizes(design.sizes)
        if design.missing.names:
            out["x_unknown"] = self._numbers()
        if design.mix is not None and len(design.mix.rows):
            out["mix_unknown"] = self._mixes()
        if design.unknown is not None:
            out["choice"] = self._choices()
        return out

    def _normal(self, name: str, key: tuple[str, str], shape: tuple[int, ...]) -> NDArray:
        return stream(self.seed, name, *key).standard_normal((*self.fit.shape, *shape))

    def _append(self, name: str, keys: list[tuple[str, str]], shape: tuple[int, ...]) -> Array:
        """Put standard normal draws of new items behind those of the fit, (..., item, ...)."""
        new = [self._normal(name, key, shape)[:, :, None] for key in keys]
        return np.concatenate([self.fit.parameters[name], *new], axis=2)

    def _numbers(self) -> Array:
        """Missing numbers: those of a family that the fit knows, else from their prior."""
        missing, old = self.design.missing, len(self.fit.design.missing.names)
        parts = [self.fit.parameters["x_unknown"]] if old else []
        for k in range(old, len(missing.names)):
            z = self._normal("x_unknown", ("slot", missing.names[k]), ())
            raw = missing.location[k] + missing.spread[k] * z
            value = 1 / (1 + np.exp(-raw)) if missing.is_share[k] else raw
            parts.append(((value - missing.center[k]) / missing.unit[k])[..., None])
        return np.concatenate(parts, axis=-1)

    def _sizes(self, sizes: MissingSizes) -> Array:
        """Missing sizes: those of the fit, and new ones given these."""
        known = self.fit.parameters.get("size_unknown", np.empty((*self.fit.shape, 0)))
        old = known.shape[-1]
        offsets = np.linalg.solve(sizes.root[:old, :old], (known - sizes.location[:old])[..., None])
        first = len(self.design.lms) - len(self.names)
        cells = zip(sizes.column[old:], sizes.row[old:] - first, strict=True)
        new = [self._normal("size", (str(column), self.names[row]), ()) for column, row in cells]
        z = np.concatenate([offsets[..., 0], *(values[..., None] for values in new)], axis=-1)
        return np.concatenate([known, sizes.location[old:] + z @ sizes.root[old:].T], axis=-1)

    def _mixes(self) -> Array:
        """Missing mixes: those of a record that the fit knows, else from their prior."""
        mix, old = self.design.mix, len(self.fit.design.mix_groups)
        assert mix is not None
        parts = [self.fit.parameters["mix_unknown"]] if old else []
        for k in range(old, len(mix.group_names)):
            key = mix.known[mix.rows[mix.group == k][0]].tobytes().hex()
            z = self._normal("mix_unknown", (mix.group_names[k], key), (len(mix.domains),))
            weight = np.exp(mix.log_mean + self.fit.spec.priors.mix_sd * z)
            parts.append((weight / weight.sum(axis=-1, keepdims=True))[:, :, None])
        return np.concatenate(parts, axis=2)

    def _choices(self) -> Array:
        """Choices that the new LMs leave open: in every draw one that others made."""
        unknown = self.design.unknown
        assert unknown is not None
        drawn = [
            unknown.draw(
                k,
                shape=self.fit.shape,
                rng=stream(self.seed, "choice", name, unknown.shift[k].tobytes().hex()),
            )
            for k, name in enumerate(unknown.names)
        ]
        return np.stack(drawn, axis=-1).astype(np.float64)


def _check_levels(fit: Fit, lms: pd.DataFrame) -> None:
    """Refuse a level that no LM of the data has: nothing is known of it."""
    known_decisions = fit.design.known_decisions
    for name in fit.spec.choose_decisions(known_decisions):
        decision = known_decisions[name]
        if decision.kind != "categorical" or name not in lms:  # disclosure has no column
            continue
        known = sorted(set(decision.read_levels(fit.dataset.lms)) - {UNDISCLOSED})
        for lm, level in zip(lms["lm"], decision.read_levels(lms), strict=True):
            if known and level not in (*known, UNDISCLOSED):
                said = "which no LM of this fit's data has: nothing is known of its effect"
                mend = "Correct the cell, blank it if missing, or fit data that hold such LMs."
                what = f"LM '{lm}' has {name}"
                raise unknown(QueryError, what, level, known, said=said, mend=mend)


def estimate_sizes(fit: Fit, *, ci_prob: float = defaults.CI_PROB) -> pd.DataFrame:
    """List the sizes of LMs that are blank, as a fit estimates them.

    Parameters
    ----------
    fit
        The fit. With `unknown_numbers="estimated"` scores inform its sizes as well.
    ci_prob
        Probability of the intervals.

    Returns
    -------
    pandas.DataFrame
        One row for each: `lm`, `fact` (n_params or n_tokens), `estimate`, `lower`, `upper`.

    Examples
    --------
    >>> import bayesmeta as bm
    >>> len(estimate_sizes(bm.load_reference_fit()))
    0
    """
    check_ci_prob(ci_prob)
    sizes = find_missing_sizes(fit.dataset.lms)
    if sizes is None:
        return pd.DataFrame(columns=["lm", "fact", "estimate", "lower", "upper"])
    return tabulate_sizes(sizes, ci_prob=ci_prob, values=fit.parameters.get("size_unknown"))


def name_facts(fit: Fit, lms: pd.DataFrame) -> pd.DataFrame:
    """Name what is special about the facts of new LMs, as far as the model uses them.

    Parameters
    ----------
    fit, lms
        The fit, and a validated table of new LMs.

    Returns
    -------
    pandas.DataFrame
        One row per LM: `family`, `known` or `new`; `extrapolates`, the numbers outside the range
        that the LMs of the data record; `undisclosed`, the facts that are blank. Names are
        separated by a comma and a blank; there may be none. `mix` stands for all parts of the mix.
    """
    spec, modelled = fit.spec, fit.spec.choose_decisions(fit.design.known_decisions)
    wanted = [*(SIZES if spec.scaling != "none" else ()),
              *(("released",) if spec.release_date == "linear" else ()),
              *(name for name in modelled if name in lms)]  # fmt: skip
    rows = []
    for lm in lms.to_dict("records"):
        given = [name for name in wanted if not pd.isna(lm[name])]
        beyond = [name for name in given if _lies_outside(fit, name, lm[name])]
        rows.append(
            {
                "family": "known" if lm["lm_family"] in fit.design.lm_families else "new",
                "extrapolates": listing(beyond),
                "undisclosed": listing(_shorten_mix([n for n in wanted if n not in given])),
            }
        )
    return pd.DataFrame(rows)


def _lies_outside(fit: Fit, name: str, value: str | float) -> bool:
    """Say whether a number, or a month, lies outside what the LMs of the data record."""
    decision = fit.design.known_decisions.get(name)
    if decision is not None and decision.kind == "categorical":
        return False
    column = fit.dataset.lms[name].dropna()
    return not column.empty and not column.min() <= value <= column.max()


def _shorten_mix(names: list[str]) -> list[str]:
    """Name the mix where every part of it is in the list."""
    if not set(MIX_COLUMNS) <= set(names):
        return names
    return [*(name for name in names if name not in MIX_COLUMNS), "mix"]
