"""The model in plain numpy: facts to columns, draws to coefficients, both to laws of scores.

The latent value of an LM on a benchmark is its columns times the benchmark's coefficients, plus
effects of its family and of the LM itself. Whatever is asked of a fit is this one line at some
facts: predictions, effects, curves, substitutions, changed and new LMs, and the regression that
stands for the model near its posterior means. It is written apart from the PyMC graph, and the
tests hold the two against each other.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from bayesmeta.design.composition import Array
from bayesmeta.design.scale import LOG_D_UNIT, LOG_N_UNIT
from bayesmeta.design.terms import MIX_UNIT

if TYPE_CHECKING:
    from bayesmeta.design.facts import Design, Facts
    from bayesmeta.design.outcomes import ArmContrasts
    from bayesmeta.model.spec import ModelSpec, Priors

Parameters = Mapping[str, Array]
"""Values by the names of the model's variables, each with leading axes for draws (or none)."""

BLOCKS = ("beta", "surface", "kappa", "kappa_law")
"""Blocks of columns by their coefficients: decisions, surface, scale covariates, scaling law."""

Blocks = Mapping[str, Array]
"""Arrays by the name of the coefficients that they go with."""


def complete_facts(parameters: Parameters, *, design: Design) -> Facts:
    """Put undisclosed facts that are parameters into the facts of the LMs.

    Parameters
    ----------
    parameters
        Holds `x_unknown` (..., unknown), `size_unknown` (..., unknown_size), `mix_unknown` (...,
        mix_group, domain) and, of new LMs with an open choice, `choice` (..., record) where needed.
    design
        Arrays and coordinates.

    Returns
    -------
    Facts
        With the leading axes of these parameters; without any where nothing is estimated.
    """
    facts = design.facts
    X, mix, covariates = facts.X, facts.mix, facts.covariates
    if design.sizes is not None:
        covariates = design.sizes.fill(covariates, np.asarray(parameters["size_unknown"], float))
    if design.missing.names:
        unknown = np.asarray(parameters["x_unknown"], float)
        X = np.broadcast_to(X, (*unknown.shape[:-1], *X.shape)).copy()
        X[..., design.missing.row, design.missing.term] = unknown[..., design.missing.slot]
    if design.unknown is not None:
        chosen = design.unknown.columns(np.asarray(parameters["choice"]).astype(np.int64))
        leading = np.broadcast_shapes(X.shape[:-2], chosen.shape[:-2])
        X = np.broadcast_to(X, (*leading, *X.shape[-2:])).copy()
        X[..., design.unknown.rows, :] += chosen
    if design.mix is not None and len(design.mix.rows):
        mix = design.mix.complete(np.asarray(parameters["mix_unknown"], float))
        leading = np.broadcast_shapes(X.shape[:-2], mix.shape[:-2])
        X = np.broadcast_to(X, (*leading, *X.shape[-2:])).copy()
        X[..., design.mix_columns] = mix / MIX_UNIT
    return replace(facts, covariates=covariates, X=X, mix=mix)


def build_columns(
    facts: Facts, *, parameters: Parameters, only: Collection[str] = BLOCKS
) -> dict[str, Array]:
    """Compute the columns of LMs with given facts, by the coefficients that they go with.

    Parameters
    ----------
    facts
        As they are, or changed.
    parameters
        Holds the exponents of a scaling law, where the design has one.
    only
        Names of the blocks that are wanted, as far as the design has them.

    Returns
    -------
    dict of ndarray
        Each of shape (..., lm, column), in the order of `list_coefficients`.
    """
    design, columns = facts.design, {}
    if design.terms and "beta" in only:
        columns["beta"] = facts.X
    if design.surface is not None and "surface" in only:
        columns["surface"] = facts.functions
    if design.scale_terms and "kappa" in only:
        columns["kappa"] = facts.covariates[..., design.entered]
    if design.log_scale is not None and "kappa_law" in only:
        columns["kappa_law"] = _law_column(facts.covariates, parameters)
    return columns


def _law_column(covariates: Array, parameters: Parameters) -> Array:
    """Skill by the scaling law, shape (..., lm, 1)."""
    names = ("size_exponent", "data_exponent", "size_fraction")
    exponents = {name: parameters[f"law_{name}"] for name in names}
    return law_skill(covariates[..., :2] * (LOG_N_UNIT, LOG_D_UNIT), **exponents)[..., None]


def list_centers(columns: Blocks, *, design: Design) -> dict[str, Array]:
    """Give the values of the columns at which every benchmark is centred, (..., benchmark, column).

    The columns are those of the LMs as they are. Only the centre of a scaling law moves, with its
    exponents.
    """
    centers = {
        "beta": design.X_center, "surface": design.surface_center, "kappa": design.scale_center
    }  # fmt: skip
    if "kappa_law" in columns:
        skill = columns["kappa_law"][..., 0]
        weight = design.outcomes.information(n_lms=len(design.lms))
        centers["kappa_law"] = (skill @ weight)[..., None]
    return {name: centers[name] for name in columns}


def list_coefficients(
    parameters: Parameters, *, design: Design, kind: str = "association"
) -> dict[str, Array]:
    """Pick the coefficients of the columns, each of shape (..., column, benchmark).

    Parameters
    ----------
    parameters
        Draws by name.
    design
        Arrays and coordinates.
    kind
        `association`, by which LMs are predicted; or `effect`, without their bias, where the model
        tells the two apart.
    """
    names = {name: name for name in ("beta", "surface")}
    if kind == "effect":
        names = {k: f"{k}_effect" if f"{k}_effect" in parameters else k for k in names}
    found = {}
    if design.terms:
        found["beta"] = np.asarray(parameters[names["beta"]], float)
    if design.surface is not None:
        found["surface"] = np.asarray(parameters[names["surface"]], float)
    if design.scale_terms:
        found["kappa"] = np.swapaxes(np.asarray(parameters["kappa"], float), -1, -2)
    if design.log_scale is not None:
        found["kappa_law"] = np.asarray(parameters["kappa_law"], float)[..., None, :]
    return found


def draw_setting(parameters: Parameters, *, design: Design, spec: ModelSpec, seed: int) -> Array:
    """Draw how the effects of decisions differ in a study that is not in the data.

    Parameters
    ----------
    parameters
        Draws by name, each of shape (..., ...).
    design, spec
        Arrays and coordinates, and the model.
    seed
        Of the random numbers.

    Returns
    -------
    ndarray
        To be added to the effects, shape (..., term, benchmark).
    """
    if spec.study_effects == "none":
        return np.zeros(np.shape(parameters["beta"]))
    rng, ratio = np.random.default_rng(seed), np.asarray(parameters["study_ratio"], float)
    n, n_benchmarks = len(design.free_decision), len(design.benchmarks)
    shared = rng.standard_normal((*ratio.shape, n, 1))
    own = rng.standard_normal((*ratio.shape, n, n_benchmarks))
    learned = "tau_effect" if spec.bias == "estimated" else "tau_beta"
    tau = np.full((*ratio.shape, len(design.decisions)), spec.priors.beta_sd)
    if learned in parameters:
        tau = np.asarray(parameters[learned], float)
    scale = (ratio[..., None] * tau)[..., design.free_decision, None]
    return design.loading @ (scale * (shared + spec.priors.beta_ratio * np.sqrt(2) * own))


def draw_remainder(
    parameters: Parameters, *, design: Design, n: int, seed: int
) -> dict[str, Array]:
    """Draw weights of functions that the surface leaves out: scores say nothing of them.

    Parameters
    ----------
    parameters
        Draws by name, each of shape (..., ...).
    design
        Arrays and coordinates.
    n
        Number of functions.
    seed
        Of the random numbers.

    Returns
    -------
    dict of ndarray
        Those of an `association`, and of its `effect`, which is related to it as in the model,
        where the fit tells effects; each of shape (..., function, benchmark).
    """
    rng = np.random.default_rng(seed)
    found = {"association": _draw_pooled(rng, parameters["tau_surface"], design=design, n=n)}
    if "tau_surface_effect" in parameters:
        share = np.asarray(parameters["effect_share"], float)[..., -1, None, None]
        own = _draw_pooled(rng, parameters["tau_surface_effect"], design=design, n=n)
        found["effect"] = share * found["association"] + np.sqrt(share * (1 - share)) * own
    return found


def _draw_pooled(rng: np.random.Generator, tau: Array, *, design: Design, n: int) -> Array:
    """Draw coefficients, (..., n, benchmark); scales of all, task families and own, (..., 3)."""
    tau, task = np.asarray(tau, float)[..., None, None, :], design.task_family_index
    leading = tau.shape[:-3]
    shared = rng.standard_normal((*leading, n, 1))
    of_task = rng.standard_normal((*leading, n, len(design.task_families)))[..., task]
    own = rng.standard_normal((*leading, n, len(task)))
    return tau[..., 0] * shared + tau[..., 1] * of_task + tau[..., 2] * own


def prior_variances(
    parameters: Parameters, means: Parameters, *, design: Design, spec: ModelSpec
) -> Array:
    """List the prior variances of the free coefficients, given what scores say of their scales.

    Parameters
    ----------
    parameters
        Draws by name, each of shape (chain, draw, ...).
    means
        Their means, each of shape (...).
    design, spec
        Arrays and coordinates, and the model.

    Returns
    -------
    ndarray
        Shared part, part of task families and own part of benchmarks, shape (3, coefficient), in
        the order of `list_coefficients`; slopes between families last.
    """
    priors, variances = spec.priors, []
    if design.terms:
        variances.append(_decision_variances(parameters, design=design, spec=spec))
    if design.surface is not None:
        learned = np.square(parameters["tau_surface"]).mean(axis=(0, 1))
        variances.append(np.tile(learned[:, None], design.surface.n_functions))
    if design.scale_terms:
        shared = [
            priors.released_sd if term == "released" else priors.law_slope_sd
            for term in design.scale_terms
        ]
        levels = np.array([shared, means["tau_kappa_task"], means["tau_kappa"]])
        variances.append(np.square(levels))
    if design.log_scale is not None:
        scales = priors.law_slope_sd, means["tau_kappa_law_task"], means["tau_kappa_law"]
        variances.append(np.square(np.array(scales, float))[:, None])
    if spec.family_effects == "within-between" and design.between_terms:
        levels = priors.between_sd**2 * np.array([1.0, 0.0, priors.beta_ratio**2])
        variances.append(np.outer(levels, np.ones(len(design.between_terms))))
    return np.hstack([np.empty((3, 0)), *variances])


def _decision_variances(parameters: Parameters, *, design: Design, spec: ModelSpec) -> Array:
    """Prior variances of the free coefficients of decisions, shape (3, free).

    A learned scale is taken from the posterior: what a contrast gains from a scale that other
    levels made small is shrinkage, not evidence. Without pooling the scale is fixed.
    """
    priors = spec.priors
    if spec.pooling == "none":
        return np.outer([0.0, 0.0, priors.beta_sd**2], np.ones(len(design.free_decision)))
    squared_scale = np.square(parameters["tau_beta"]).mean(axis=(0, 1))[design.free_decision]
    ratio = 0.0 if spec.pooling == "complete" else priors.beta_ratio
    return np.outer([1.0, ratio**2, ratio**2], squared_scale)


def multiply(columns: Blocks, coefficients: Blocks) -> Array | float:
    """Multiply columns, or changes of columns, by their coefficients, (..., lm, benchmark).

    Columns that are zero for all LMs cost nothing.
    """
    total: Array | float = 0.0
    for name, values in columns.items():
        used: Any = values.any(axis=tuple(range(values.ndim - 1)))
        if used.any():
            used = slice(None) if used.all() else np.flatnonzero(used)  # a slice copies nothing
            total += values[..., used] @ coefficients[name][..., used, :]
    return total


def linear_predictor(parameters: Parameters, *, design: Design, spec: ModelSpec) -> Array:
    """Compute the latent value of every LM on every benchmark.

    Parameters
    ----------
    parameters
        Named values with the same leading axes.
    design
        Arrays and coordinates.
    spec
        The model.

    Returns
    -------
    ndarray
        Latent values, shape (..., lm, benchmark).
    """
    columns = build_columns(complete_facts(parameters, design=design), parameters=parameters)
    coefficients = list_coefficients(parameters, design=design)
    return combine(columns, coefficients, parameters, design=design, spec=spec)


def combine(
    columns: Blocks,
    coefficients: Blocks,
    parameters: Parameters,
    *,
    design: Design,
    spec: ModelSpec,
) -> Array:
    """Add intercepts, centred columns times coefficients, and effects of families and LMs."""
    centers = list_centers(columns, design=design)
    eta = np.asarray(parameters["alpha"], float)[..., None, :] + multiply(columns, coefficients)
    for name, center in centers.items():
        shift = np.einsum("...bk,...kb->...b", center, coefficients[name])
        eta = eta - shift[..., None, :]
    return eta + family_effects(parameters, design=design, spec=spec)


def family_effects(parameters: Parameters, *, design: Design, spec: ModelSpec) -> Array:
    """Compute family and LM effects on the latent scale, shape (..., lm, benchmark)."""
    family, task = design.lm_family_index, design.task_family_index
    sigma = np.asarray(parameters["sigma"], float)[..., None, :]
    rho_lm = np.asarray(parameters["rho_lm"], float)[..., None, None]
    effect = sigma * np.sqrt(rho_lm) * np.asarray(parameters["v"], float)[..., :, None]
    if spec.family_effects != "none":
        rho = np.asarray(parameters["rho_family"], float)[..., None, None]
        u = np.asarray(parameters["u"], float)[..., family, None]
        w = np.asarray(parameters["w"], float)[..., family, :][..., task]
        tau = np.asarray(parameters["tau_family"], float)[..., None, :]
        effect = effect + tau * (np.sqrt(rho) * u + np.sqrt(1 - rho) * w)
    if spec.family_effects == "within-between" and design.between_terms:
        effect = effect + design.between @ np.swapaxes(
            np.asarray(parameters["kappa_between"], float), -1, -2
        )
    full = spec.family_effects == "orthogonal"
    basis = design.scale_basis if full else design.scale_basis[:, :1]
    return effect - basis @ (basis.T @ effect)


def expected_score(eta: Array, *, design: Design) -> Array:
    """Map latent values to expected scores in native units, shape (..., benchmark)."""
    outcomes = design.outcomes
    floor, linear = outcomes.floor, ~outcomes.is_logistic
    with np.errstate(over="ignore"):
        scores = np.exp(-eta)
    scores += 1  # in place: this is most of the time of a question
    np.divide(1 - floor, scores, out=scores)
    scores += floor
    scores[..., linear] = outcomes.location[linear] + outcomes.spread[linear] * eta[..., linear]
    return scores


def mean_expected_score(eta: Array, *, design: Design) -> Array:
    """Average expected scores over LMs: latent values (..., lm, benchmark) to (..., benchmark).

    The latent values are used up.
    """
    outcomes, share = design.outcomes, np.full(eta.shape[-2], 1 / eta.shape[-2])
    linear = outcomes.location + outcomes.spread * (share @ eta)
    with np.errstate(over="ignore"):  # in place: this is most of the time of a question
        np.exp(np.negative(eta, out=eta), out=eta)
        eta += 1
        np.reciprocal(eta, out=eta)
    logistic = outcomes.floor + (1 - outcomes.floor) * (share @ eta)
    return np.where(outcomes.is_logistic, logistic, linear)


def score_moments(parameters: Parameters, latent: Array, *, design: Design) -> tuple[Array, Array]:
    """Compute location of scores, and variance of their residuals without the known error.

    Parameters
    ----------
    parameters
        Named values with the same leading axes.
    latent
        Latent value behind every score of the design's outcomes, shape (..., obs).
    design
        Arrays and coordinates.

    Returns
    -------
    tuple of ndarray
        Both of shape (..., obs).
    """
    outcomes, b = design.outcomes, design.outcomes.benchmark_index
    logistic, floor, spread = outcomes.is_logistic[b], outcomes.floor[b], outcomes.spread[b]
    with np.errstate(over="ignore"):
        p = 1 / (1 + np.exp(-latent))
    mu = np.where(logistic, floor + (1 - floor) * p, outcomes.location[b] + spread * latent)
    slope = np.where(logistic, (1 - floor) * p * (1 - p), np.abs(spread))
    rho_lm = np.asarray(parameters["rho_lm"], float)[..., None]
    residual = (np.asarray(parameters["sigma"], float) * np.sqrt(1 - rho_lm))[..., b]
    on_score = np.asarray(parameters["sigma_score"], float)[..., None] * logistic
    return mu, on_score**2 + (residual * slope) ** 2


def law_slopes(priors: Priors) -> Array:
    """Linearise -log of the reducible loss of a scaling law at the reference LM.

    With fraction f of the reducible loss due to size and exponents a, b, the first derivatives
    are f a and (1 - f) b, and the mixed second derivative is a b f (1 - f) (Hoffmann et al. 2022,
    https://doi.org/10.48550/arXiv.2203.15556).

    Parameters
    ----------
    priors
        Holds the exponents and the fraction.

    Returns
    -------
    ndarray
        Slopes of size, data and their product in the units of the design, shape (3,).

    Examples
    --------
    >>> from bayesmeta.model.spec import Priors
    >>> law_slopes(Priors()).round(3)
    array([0.375, 0.159, 0.06 ])
    """
    a, b, f = priors.law_size_exponent, priors.law_data_exponent, priors.law_size_fraction
    return np.array(
        [
            f * a * LOG_N_UNIT,
            (1 - f) * b * LOG_D_UNIT,
            a * b * f * (1 - f) * LOG_N_UNIT * LOG_D_UNIT,
        ]
    )


def law_skill(
    log_scale: Array,
    *,
    size_exponent: Array | float,
    data_exponent: Array | float,
    size_fraction: Array | float,
) -> Array:
    """Compute minus the log of the reducible loss, relative to that of the reference LM.

    The parametric law of Hoffmann et al. 2022 (https://doi.org/10.48550/arXiv.2203.15556), written
    through the share of the reducible loss that is due to size at the reference LM instead of two
    coefficients, which are hard to tell from the exponents.

    Parameters
    ----------
    log_scale
        Natural logs of size and data over those of the reference LM, shape (..., lm, 2).
    size_exponent, data_exponent, size_fraction
        Parameters of the law, each of shape (...).

    Returns
    -------
    ndarray
        Latent skill, zero for the reference LM, shape (..., lm).

    Examples
    --------
    >>> twice = np.log([[2.0, 2.0]])  # twice the size and data of the reference lm
    >>> law_skill(twice, size_exponent=0.35, data_exponent=0.35, size_fraction=0.6) / np.log(2)
    array([0.35])
    """
    a, b, f = (
        np.asarray(x, float)[..., None] for x in (size_exponent, data_exponent, size_fraction)
    )
    size, data = log_scale[..., 0], log_scale[..., 1]
    return -np.log(f * np.exp(-a * size) + (1 - f) * np.exp(-b * data))


@dataclass(frozen=True, slots=True, eq=False)
class StudentScores:
    """Scores and the distributions that they have.

    Parameters
    ----------
    y
        Scores, shape (score,).
    mu, sd
        Location and scale, shape (..., score).
    nu
        Degrees of freedom, shape (..., 1); None where the scores are normal.

    Examples
    --------
    >>> StudentScores(y=np.ones(1), mu=np.ones(1), sd=np.ones(1), nu=None).probability_below()
    array([0.5])
    """

    y: Array
    mu: Array
    sd: Array
    nu: Array | None

    @property
    def _z(self) -> Array:
        return (self.y - self.mu) / self.sd

    def log_density(self) -> Array:
        """Compute the log density of the scores, shape (..., score)."""
        from scipy.special import gammaln

        z, nu = self._z, self.nu
        if nu is None:
            return -0.5 * z**2 - 0.5 * np.log(2 * np.pi) - np.log(self.sd)
        constant = gammaln((nu + 1) / 2) - gammaln(nu / 2) - 0.5 * np.log(nu * np.pi)
        return constant - (nu + 1) / 2 * np.log1p(z**2 / nu) - np.log(self.sd)

    def probability_below(self) -> Array:
        """Compute the probability of lower scores, shape (..., score)."""
        from scipy import special

        return special.ndtr(self._z) if self.nu is None else special.stdtr(self.nu, self._z)

    def draw(self, seed: int | np.random.Generator) -> Array:
        """Draw scores in native units, not clipped to the possible range, shape (..., score)."""
        rng, shape = np.random.default_rng(seed), self.mu.shape
        if self.nu is None:
            return self.mu + self.sd * rng.standard_normal(shape)
        return self.mu + self.sd * rng.standard_t(np.broadcast_to(self.nu, shape))


def score_distribution(
    parameters: Parameters, *, design: Design, spec: ModelSpec, latent: Array | None = None
) -> StudentScores:
    """Give every score its distribution: residuals on both scales, and the known error.

    Parameters
    ----------
    parameters
        Named values with the same leading axes.
    design, spec
        Arrays and coordinates, and the model.
    latent
        Latent value behind every score of the design's outcomes, shape (..., obs); what the model
        says of the LMs if left out.

    Returns
    -------
    StudentScores
        Over the axis obs.
    """
    outcomes = design.outcomes
    if latent is None:
        eta = linear_predictor(parameters, design=design, spec=spec)
        latent = eta[..., outcomes.lm_index, outcomes.benchmark_index]
    mu, variance = score_moments(parameters, latent, design=design)
    is_normal = spec.likelihood == "normal"
    return StudentScores(
        y=outcomes.y,
        mu=mu,
        sd=np.sqrt(outcomes.se**2 + variance),
        nu=None if is_normal else 1 + np.asarray(parameters["nu_beyond_one"], float)[..., None],
    )


def contrast_distribution(
    parameters: Parameters, *, contrasts: ArmContrasts, spec: ModelSpec
) -> StudentScores:
    """Give every contrast between arms of experiments its distribution.

    Parameters
    ----------
    parameters
        Named values with the same leading axes.
    contrasts
        Orthonormal ones or pairs, of the design that the parameters belong to.
    spec
        The model.

    Returns
    -------
    StudentScores
        Over the axis contrast.
    """
    differences, index, slope = contrasts.factor()
    of_effect = "_effect" * (spec.bias != "none")
    names = {
        "beta": f"beta{of_effect}", "surface": f"surface{of_effect}", "kappa": "kappa",
        "arm_facts": "arm_effect", "settings": "study_effect", "runs": "run_effect",
    }  # fmt: skip
    found: Array = np.zeros((index.max(initial=-1) + 1, contrasts.n_benchmarks))
    for block, rows in differences.items():
        if names[block] in parameters:
            values = np.asarray(parameters[names[block]], float)
            values = np.swapaxes(values, -1, -2) if block == "kappa" else values
            found = found + rows @ (values[..., None] if block == "runs" else values)
    noise = np.square(np.asarray(parameters["arm_sigma"], float))[..., None]
    heavy = spec.likelihood != "normal"
    return StudentScores(
        y=contrasts.y,
        mu=slope * found[..., index, contrasts.benchmark_index],
        sd=np.sqrt(contrasts.sampling + contrasts.repeats * noise),
        nu=1 + np.asarray(parameters["arm_nu_beyond_one"], float)[..., None] if heavy else None,
    )
