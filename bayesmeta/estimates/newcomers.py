"""New lms, coded as the lms of a fit are, with draws of what is not known of them."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from bayesmeta.design.composition import MIX_COLUMNS
from bayesmeta.design.decisions import DECISIONS, SIZES, UNDISCLOSED
from bayesmeta.errors import QueryError, listing, suggest
from bayesmeta.model.predictor import linear_predictor
from bayesmeta.model.spec import build_design_for

if TYPE_CHECKING:
    from bayesmeta.design.facts import Design
    from bayesmeta.inference.fits import Fit
    from bayesmeta.model.predictor import Parameters

__all__ = ["Newcomers", "name_facts", "place_lms", "stream"]


@dataclass(frozen=True, slots=True, eq=False)
class Newcomers:
    """New lms beside the lms of a fit.

    Parameters
    ----------
    lms
        Table of the new lms.
    design
        The fit's design with the new lms below its own: coded in the same levels, units, centres
        and functions, and without scores.
    parameters
        The fit's draws, with draws of what is new: effects of the lms and of families that the
        data do not have, and facts that are not disclosed.
    """

    lms: pd.DataFrame
    design: Design
    parameters: Parameters

    @property
    def rows(self) -> slice:
        """Where the new lms stand in the design."""
        return slice(len(self.design.lms) - len(self.lms), None)

    def latent(self, fit: Fit) -> NDArray[np.float64]:
        """Compute latent values of the new lms, shape (chain, draw, lm, benchmark)."""
        eta = linear_predictor(self.parameters, design=self.design, spec=fit.spec)
        return eta[..., self.rows, :]


def place_lms(fit: Fit, lms: pd.DataFrame, *, seed: int) -> Newcomers:
    """Code new lms as those of a fit, and draw what is not known of them.

    A design's projection of family effects leaves held-out lms alone, and so it does with new ones.
    Every lm, family and undisclosed fact has random numbers of its own, which follow from the seed
    and its name: a prediction does not depend on which other lms stand in the table.

    Parameters
    ----------
    fit
        The fit.
    lms
        Validated table of new lms.
    seed
        Seed of the random numbers.

    Returns
    -------
    Newcomers
        The new lms.

    Raises
    ------
    QueryError
        If an lm has a level that no lm of the data has.
    """
    _check_levels(fit, lms)
    old = fit.dataset.lms
    # Names that no table can hold, so that facts of an lm of the data may be asked for as well.
    names = [f"\0{k}" for k in range(len(lms))]
    table = pd.concat([old, lms.assign(lm=names).astype(old.dtypes.to_dict())], ignore_index=True)
    design = build_design_for(
        replace(fit.dataset, lms=table, generations=None),
        spec=fit.spec,
        among=np.arange(len(table)) < len(old),
    )
    draws = _Draws(fit, design, list(lms["lm"]), seed)
    return Newcomers(lms=lms, design=design, parameters={**fit.parameters, **draws.all()})


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

    def all(self) -> dict[str, NDArray[np.float64]]:
        """Every parameter that grows with the new lms."""
        fit, design = self.fit, self.design
        out = {"v": self._append("v", [("lm", name) for name in self.names], ())}
        if fit.spec.family_effects != "none":
            new = [("family", f) for f in design.lm_families[len(fit.design.lm_families) :]]
            n_tasks = len(design.task_families)
            out["u"] = self._append("u", new, ())
            out["w"] = self._append("w", new, (n_tasks,))
        if design.missing.names:
            out["x_unknown"] = self._numbers()
        if design.mix is not None and len(design.mix.rows):
            out["mix_unknown"] = self._mixes()
        if design.unknown is not None:
            out["choice"] = self._choices()
        return out

    def _normal(self, name: str, key: tuple[str, str], shape: tuple[int, ...]) -> NDArray:
        return stream(self.seed, name, *key).standard_normal((*self.fit.shape, *shape))

    def _append(
        self, name: str, keys: list[tuple[str, str]], shape: tuple[int, ...]
    ) -> NDArray[np.float64]:
        """Put standard normal draws of new items behind those of the fit, (..., item, ...)."""
        new = [self._normal(name, key, shape)[:, :, None] for key in keys]
        return np.concatenate([self.fit.parameters[name], *new], axis=2)

    def _numbers(self) -> NDArray[np.float64]:
        """Undisclosed numbers: those of a family that the fit knows, else from their prior."""
        missing, old = self.design.missing, len(self.fit.design.missing.names)
        parts = [self.fit.parameters["x_unknown"]] if old else []
        for k in range(old, len(missing.names)):
            z = self._normal("x_unknown", ("slot", missing.names[k]), ())
            raw = missing.location[k] + missing.spread[k] * z
            value = 1 / (1 + np.exp(-raw)) if missing.is_share[k] else raw
            parts.append(((value - missing.center[k]) / missing.unit[k])[..., None])
        return np.concatenate(parts, axis=-1)

    def _mixes(self) -> NDArray[np.float64]:
        """Undisclosed mixes: those of a record that the fit knows, else from their prior."""
        mix, old = self.design.mix, len(self.fit.design.mix_groups)
        assert mix is not None
        parts = [self.fit.parameters["mix_unknown"]] if old else []
        for k in range(old, len(mix.group_names)):
            key = mix.known[mix.rows[mix.group == k][0]].tobytes().hex()
            z = self._normal("mix_unknown", (mix.group_names[k], key), (len(mix.domains),))
            weight = np.exp(mix.log_mean + self.fit.spec.priors.mix_sd * z)
            parts.append((weight / weight.sum(axis=-1, keepdims=True))[:, :, None])
        return np.concatenate(parts, axis=2)

    def _choices(self) -> NDArray[np.float64]:
        """Choices that the new lms leave open: in every draw one that others made."""
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
    """Refuse a level that no lm of the data has: nothing is known of it."""
    for name in fit.spec.decisions:
        decision = DECISIONS[name]
        if decision.kind != "categorical" or name not in lms:  # disclosure has no column
            continue
        known = sorted(set(decision.read_levels(fit.dataset.lms)) - {UNDISCLOSED})
        for lm, level in zip(lms["lm"], decision.read_levels(lms), strict=True):
            if known and level not in (*known, UNDISCLOSED):
                raise QueryError(
                    f"lm '{lm}' has {name} '{level}', and no lm of this fit's data has: nothing is "
                    f"known of its effect.{suggest(level, known)} Allowed: {listing(known)}, or a "
                    "blank cell for unknown. Correct the cell, or fit data that hold such lms."
                )


def name_facts(fit: Fit, lms: pd.DataFrame) -> pd.DataFrame:
    """Name what is special about the facts of new lms, as far as the model uses them.

    Parameters
    ----------
    fit
        The fit.
    lms
        Validated table of new lms.

    Returns
    -------
    pandas.DataFrame
        One row per lm: `family`, `known` or `new`; `extrapolates`, the numbers outside the range
        that the lms of the data record; `undisclosed`, the facts that are blank. Names are
        separated by a comma and a blank; there may be none. `mix` stands for all parts of the mix.
    """
    spec = fit.spec
    wanted = [*(SIZES if spec.scaling != "none" else ()),
              *(("released",) if spec.release_date == "linear" else ()),
              *(name for name in DECISIONS if name in spec.decisions and name in lms)]  # fmt: skip
    rows = []
    for _, lm in lms.iterrows():
        given = [name for name in wanted if not pd.isna(lm[name])]
        rows.append(
            {
                "family": "known" if lm["lm_family"] in fit.design.lm_families else "new",
                "extrapolates": listing(
                    name for name in given if _lies_outside(fit, name, lm[name])
                ),
                "undisclosed": listing(_shorten_mix([n for n in wanted if n not in given])),
            }
        )
    return pd.DataFrame(rows)


def _lies_outside(fit: Fit, name: str, value: str | float) -> bool:
    """Say whether a number, or a month, lies outside what the lms of the data record."""
    if name in DECISIONS and DECISIONS[name].kind == "categorical":
        return False
    column = fit.dataset.lms[name].dropna()
    return not column.empty and not column.min() <= value <= column.max()


def _shorten_mix(names: list[str]) -> list[str]:
    """Name the mix where every part of it is in the list."""
    if not set(MIX_COLUMNS) <= set(names):
        return names
    return [*(name for name in names if name not in MIX_COLUMNS), "mix"]
