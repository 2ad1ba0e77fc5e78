"""How scale and the training mix work together: smooth functions of both."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bayesmeta.design.composition import Array

_KEPT_VARIANCE = 0.97
"""Share of the process's variance at the LMs that the functions keep."""

_IMAGINED_WEIGHT = 0.2
"""How much variance at the anchors counts, beside that at the LMs, when functions are ranked."""

_LEFT_OUT = 0.01
"""Share of the process's variance at other sizes that the functions of the remainder may lack."""

_JITTER = 1e-8
"""Relative size below which a direction of the kernel is rounding error."""


@dataclass(frozen=True, slots=True, eq=False)
class Surface:
    """Principal functions of a Gaussian process over scale, release date and training mix.

    The kernel is squared exponential with a length scale for each group of facts. Its principal
    functions at the LMs, and at the same LMs with other code shares, carry nearly
    all its variance (the Nystroem form; Rasmussen & Williams 2006, section 8.1,
    https://doi.org/10.7551/mitpress/3206.001.0001). Weights are standard normal a priori.
    Far from all LMs these functions vanish, and what the process does there is in `remainder`.

    Parameters
    ----------
    scale_columns, scale_lengths
        Which scale covariates it knows, and their length scales, both of shape (covariate,).
    anchors
        Facts at which the functions are pinned down, in units of their length scales, shape
        (anchor, fact).
    mixing
        Weights of the anchors in every function, shape (anchor, function).
    mix_length, english_length
        Length scales, in fractions of the mix and in standard deviations.
    """

    scale_columns: NDArray[np.int64]
    scale_lengths: Array
    anchors: Array
    mixing: Array
    mix_length: float
    english_length: float

    @property
    def n_functions(self) -> int:
        """Number of functions."""
        return self.mixing.shape[1]

    def evaluate(self, covariates: Array, mix: Array, english: Array) -> Array:
        """Evaluate the functions at facts of LMs.

        Parameters
        ----------
        covariates
            All scale covariates, shape (..., lm, covariate).
        mix
            Fractions of the training mix, shape (lm, domain); no columns without a mix.
        english
            Standardised share of English, shape (lm,).

        Returns
        -------
        ndarray
            Values, shape (..., lm, function).
        """
        first = covariates[(0,) * (covariates.ndim - 2)]
        values = _kernel(self.place(first, mix, english), self.anchors) @ self.mixing
        if covariates.ndim == 2:
            return values
        leading = covariates.shape[:-2]
        out = np.broadcast_to(values, (*leading, *values.shape)).copy()
        moved = (covariates != first).any(axis=(*range(len(leading)), -1))
        for lm in np.flatnonzero(moved):  # one by one: only what is estimated differs by draw
            drawn = covariates[..., lm, :].reshape(-1, covariates.shape[-1])
            facts = (np.broadcast_to(of[lm], (len(drawn), *of.shape[1:])) for of in (mix, english))
            kernel = _kernel(self.place(drawn, *facts), self.anchors)
            out[..., lm, :] = (kernel @ self.mixing).reshape(*leading, -1)
        return out

    def remainder(self, sizes: Mapping[int, float]) -> Surface:
        """Build functions of what the anchors do not tell of the process at other sizes.

        With independent standard normal weights they vary as the process does given its values at
        the anchors, known as well as these functions hold them: next to nothing among the LMs, and
        like the process itself far from them.

        Parameters
        ----------
        sizes
            Values of scale covariates by their column; dates and mixes are those of the anchors.

        Returns
        -------
        Surface
            Further functions of the same facts.
        """
        points = self.anchors.copy()
        for k, (column, length) in enumerate(
            zip(self.scale_columns, self.scale_lengths, strict=True)
        ):
            if column in sizes:
                points[:, k] = sizes[column] / length
        points = np.unique(points.round(12), axis=0)
        nugget = (1 - _KEPT_VARIANCE) * np.eye(len(self.anchors))
        known = _kernel(self.anchors, points)
        told = np.linalg.solve(_kernel(self.anchors, self.anchors) + nugget, known)
        size, direction = np.linalg.eigh(_kernel(points, points) - known.T @ told)
        kept = size.cumsum() > _LEFT_OUT * len(points)
        weights = direction[:, kept] / np.sqrt(size[kept])
        return dataclasses.replace(
            self,
            anchors=np.vstack([points, self.anchors]),
            mixing=np.vstack([weights, -told @ weights]),
        )

    def place(self, covariates: Array, mix: Array, english: Array) -> Array:
        """Put facts side by side in units of their length scales, shape (lm, fact)."""
        scale = covariates[:, self.scale_columns] / self.scale_lengths
        return np.column_stack([scale, mix / self.mix_length, english / self.english_length])


def build_surface(
    covariates: Array,
    *,
    scale_lengths: Mapping[int, float],
    mix: Array,
    mix_length: float,
    english: Array,
    english_length: float,
    imagined: Sequence[tuple[NDArray[np.int64], Array]],
    among: NDArray[np.bool_] | slice = slice(None),
) -> Surface | None:
    """Build the principal functions.

    Parameters
    ----------
    covariates
        All scale covariates of the LMs, shape (lm, covariate).
    scale_lengths
        Length scales of those that enter, in the same units, by their column.
    mix
        Fractions of the training mix, undisclosed parts at their typical values, shape (lm,
        domain); no columns without a mix.
    mix_length
        Length scale of the mix, in fractions: a quarter is 25 points of one part.
    english
        Standardised share of English, the mean where it is unknown, shape (lm,).
    english_length
        Its length scale, in standard deviations.
    imagined
        Further mixes that the functions also have to reach: rows of LMs, and what fractions these
        would have.
    among
        The LMs that the functions are made for, shape (lm,); all if left out.

    Returns
    -------
    Surface or None
        The functions; None where the facts do not vary.
    """
    surface = Surface(
        scale_columns=np.array(list(scale_lengths), dtype=np.int64),
        scale_lengths=np.array(list(scale_lengths.values()), dtype=np.float64),
        mix_length=mix_length,
        english_length=english_length,
        anchors=np.empty((0, 0)),
        mixing=np.empty((0, 0)),
    )
    lms = surface.place(covariates, mix, english)[among]
    if not np.ptp(lms, axis=0).any():
        return None
    further = [surface.place(covariates[one], given, english[one]) for one, given in imagined]
    anchors = np.unique(np.concatenate([lms, *further]).round(12), axis=0)
    return _pin_down(surface, anchors=anchors, lms=lms)


def _pin_down(surface: Surface, *, anchors: Array, lms: Array) -> Surface:
    """Keep as many principal functions as hold nearly all variance at the LMs."""
    size, direction = np.linalg.eigh(_kernel(anchors, anchors))
    solid = size > _JITTER * size[-1]
    whiten = direction[:, solid] / np.sqrt(size[solid])
    at_lms, at_anchors = (_kernel(points, anchors) @ whiten for points in (lms, anchors))
    spread = at_lms.T @ at_lms / len(lms)
    rotation = np.linalg.eigh(spread + _IMAGINED_WEIGHT * at_anchors.T @ at_anchors / len(anchors))[
        1
    ][:, ::-1]
    held = np.einsum("kf,kl,lf->f", rotation, spread, rotation).cumsum() / np.trace(spread)
    kept = min(int((held < _KEPT_VARIANCE).sum()) + 1, rotation.shape[1])
    # Eigenvectors have no sign of their own, and saved weights must mean the same everywhere: each
    # function is skewed upwards over the LMs.
    sign = np.where(np.power(at_lms @ rotation[:, :kept], 3).sum(axis=0) < 0, -1.0, 1.0)
    return dataclasses.replace(surface, anchors=anchors, mixing=whiten @ rotation[:, :kept] * sign)


def _kernel(a: Array, b: Array) -> Array:
    """Squared exponential kernel of facts in units of their length scales, shape (a, b)."""
    distance = (a**2).sum(axis=1)[:, None] + (b**2).sum(axis=1) - 2 * a @ b.T
    return np.exp(-0.5 * np.maximum(distance, 0.0))
