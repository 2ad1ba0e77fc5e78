"""How scale and the training mix work together: smooth functions of both."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bayesmeta.design.composition import Mix, set_parts

__all__ = ["Surface", "build_surface"]

_KEPT_VARIANCE = 0.97
"""Share of the process's variance at the lms that the functions keep."""

_IMAGINED_WEIGHT = 0.2
"""How much variance at the anchors counts, beside that at the lms, when functions are ranked."""

_CODE_LADDER = (0.0, 0.5, 1.0)
"""Code shares at which one lm of every family is imagined, so that the functions also reach where
questions about the code share go and no lm stands."""

_JITTER = 1e-8
"""Relative size below which a direction of the kernel is rounding error."""


@dataclass(frozen=True, slots=True, eq=False)
class Surface:
    """Principal functions of a Gaussian process over scale, release date and training mix.

    The kernel is squared exponential with a length scale for each group of facts. Its principal
    functions at the lms, and at the same lms with other code shares, carry nearly
    all its variance (the Nystroem form; Rasmussen & Williams 2006, section 8.1,
    https://doi.org/10.7551/mitpress/3206.001.0001). Weights are standard normal a priori, so that
    where no lm stands the prior comes back.

    Parameters
    ----------
    scale
        Scale covariates of the lms in units of their length scales, shape (lm, covariate).
    mix
        Composition of the lms' training data, what is undisclosed replaced by the typical one,
        shape (lm, domain); no columns without a mix.
    english
        Standardised share of English, the mean where it is unknown, shape (lm,).
    mix_length, english_length
        Length scales, in fractions of the mix and in standard deviations.
    anchors
        Facts at which the functions are pinned down, in units of their length scales, shape
        (anchor, fact).
    mixing
        Weights of the anchors in every function, shape (anchor, function).
    """

    scale: NDArray[np.float64]
    mix: NDArray[np.float64]
    english: NDArray[np.float64]
    mix_length: float
    english_length: float
    anchors: NDArray[np.float64]
    mixing: NDArray[np.float64]

    @property
    def n_functions(self) -> int:
        """Number of functions."""
        return self.mixing.shape[1]

    def evaluate(
        self,
        *,
        mix: NDArray[np.float64] | None = None,
        english: NDArray[np.float64] | None = None,
        scale: NDArray[np.float64] | None = None,
        rows: NDArray[np.bool_] | slice = slice(None),
    ) -> NDArray[np.float64]:
        """Evaluate the functions at the lms as they are, or with other facts.

        Parameters
        ----------
        mix
            Fractions, shape (lm, domain).
        english
            Standardised shares, shape (lm,).
        scale
            Scale covariates in units of their length scales, shape (lm, covariate).
        rows
            Lms to evaluate at; other facts are then of those alone.

        Returns
        -------
        ndarray
            Values, shape (lm, function).
        """
        facts = _facts(
            self.scale[rows] if scale is None else scale,
            self.mix[rows] if mix is None else mix,
            self.english[rows] if english is None else english,
            lengths=(self.mix_length, self.english_length),
        )
        return _kernel(facts, self.anchors) @ self.mixing


def build_surface(
    scale: NDArray[np.float64],
    *,
    scale_lengths: Sequence[float],
    mix: Mix | None,
    mix_length: float,
    english: NDArray[np.float64] | None,
    english_length: float,
    first_of_family: NDArray[np.int64],
    among: NDArray[np.bool_] | slice = slice(None),
) -> Surface | None:
    """Build the principal functions.

    Parameters
    ----------
    scale
        Size, data and release date as in the design, shape (lm, covariate).
    scale_lengths
        Their length scales, in the same units.
    mix
        The composition, or None where the model has none.
    mix_length
        Length scale of the mix, in fractions: a quarter is 25 points of one part.
    english
        Standardised share of English, NaN where unknown, shape (lm,); None leaves it out.
    english_length
        Its length scale, in standard deviations.
    first_of_family
        One lm of every family, shape (lm_family,).
    among
        The lms that the functions are made for, shape (lm,); all if left out.

    Returns
    -------
    Surface or None
        The functions; None where the facts do not vary.
    """
    n = len(scale)
    parts, typical = np.empty((n, 0)), np.empty(0)
    if mix is not None:
        typical, parts = mix.typical, mix.at_typical().known
    surface = Surface(
        scale=scale / np.asarray(scale_lengths),
        mix=parts,
        english=np.nan_to_num(english) if english is not None else np.zeros(n),
        mix_length=mix_length,
        english_length=english_length,
        anchors=np.empty((0, 0)),
        mixing=np.empty((0, 0)),
    )
    lengths = (mix_length, english_length)
    lms = _facts(surface.scale, surface.mix, surface.english, lengths=lengths)[among]
    if not np.ptp(lms, axis=0).any():
        return None
    imagined = [lms]
    if mix is not None and "code_share" in mix.domains:
        one = first_of_family
        imagined += [
            _facts(surface.scale[one], shifted, surface.english[one], lengths=lengths)
            for shifted in (
                set_parts(parts[one], shares={"code_share": share}, typical=typical,
                           domains=mix.domains)
                for share in _CODE_LADDER
            )
        ]  # fmt: skip
    anchors = np.unique(np.concatenate(imagined).round(12), axis=0)
    return _pin_down(surface, anchors=anchors, lms=lms)


def _pin_down(
    surface: Surface, *, anchors: NDArray[np.float64], lms: NDArray[np.float64]
) -> Surface:
    """Keep as many principal functions as hold nearly all variance at the lms."""
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
    # function is skewed upwards over the lms.
    sign = np.where(np.power(at_lms @ rotation[:, :kept], 3).sum(axis=0) < 0, -1.0, 1.0)
    return dataclasses.replace(surface, anchors=anchors, mixing=whiten @ rotation[:, :kept] * sign)


def _facts(
    scale: NDArray[np.float64],
    mix: NDArray[np.float64],
    english: NDArray[np.float64],
    *,
    lengths: tuple[float, float],
) -> NDArray[np.float64]:
    """Put facts side by side in units of their length scales, shape (lm, fact)."""
    return np.column_stack([scale, mix / lengths[0], english / lengths[1]])


def _kernel(a: NDArray[np.float64], b: NDArray[np.float64]) -> NDArray[np.float64]:
    """Squared exponential kernel of facts in units of their length scales, shape (a, b)."""
    distance = (a**2).sum(axis=1)[:, None] + (b**2).sum(axis=1) - 2 * a @ b.T
    return np.exp(-0.5 * np.maximum(distance, 0.0))
