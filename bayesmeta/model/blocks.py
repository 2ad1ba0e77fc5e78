"""The model as a PyMC graph: one function for each of its parts, put together by `build_model`.

Every function adds its variables to the open `pm.Model` and returns tensors. `data` holds what a
held-out score changes (see `training_data`) as `pm.Data`, so that one compiled graph serves every
fold of a cross-validation. Offsets are named `z_*` and are not kept after sampling.

Which blocks are centred was decided by measurement: centred where a benchmark's scores pin the
value down (slopes of size and data), non-centred where they do not (decisions, families,
undisclosed facts), half-way where scores tell as much as the prior (the surface, runs).
"""

# PyTensor types its results as unions without arithmetic, so these three rules say nothing here.
# pyright: reportAttributeAccessIssue=false, reportOperatorIssue=false, reportIndexIssue=false
from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pymc as pm
import pytensor.tensor as pt
from pytensor.compile.builders import OpFromGraph

from bayesmeta.design.facts import Design, training_data
from bayesmeta.design.outcomes import ArmContrasts
from bayesmeta.design.scale import LOG_D_UNIT, LOG_N_UNIT
from bayesmeta.design.terms import MIX_UNIT
from bayesmeta.model.predictor import law_slopes
from bayesmeta.model.spec import ModelSpec, Priors

Tensor = Any
"""A PyTensor variable."""

Data = Mapping[str, Tensor]

_HALF_NORMAL_MEDIAN = 0.6745
"""Median of a standard half-normal distribution."""

N_CENTERED = 2
"""Slopes of size and data are centred; the product and the date, weakly informed, are not."""

_FACTORS = 8
"""Numbers whose product is taken before its logarithm: few enough to stay within range."""

_TAKEN = 0.6
"""Share of what the surface can take over that its offsets allow for: at 0 scales of decisions
mix half as fast, at 1 those of the surface by a third slower."""

_ROWS = {"data_y", "data_se", "data_lm_index", "data_benchmark_index"}


def _as_data(name: str, values: np.ndarray) -> Tensor:
    """Add data to the open model, of a constant shape where no held-out score changes it."""
    by_row = name in _ROWS or name.startswith("data_contrast")
    shape = (None, *values.shape[1:]) if by_row else values.shape
    return pm.Data(name, values, shape=shape)


def size_block(design: Design) -> Tensor:
    """Add sizes that are not recorded; return all scale covariates, dims (lm, covariate)."""
    sizes = design.sizes
    if sizes is None:
        return design.covariates
    z = pm.Normal("z_size", dims="unknown_size")
    values = pm.Deterministic(
        "size_unknown", sizes.location + pt.dot(sizes.root, z), dims="unknown_size"
    )
    covariates = pt.as_tensor(design.covariates)[sizes.row, sizes.column].set(values)
    return covariates[:, 2].set(covariates[:, 0] * covariates[:, 1])


def slope_block(design: Design, spec: ModelSpec) -> Tensor:
    """Add slopes of scale covariates, pooled over task families; dims (scale_term, benchmark)."""
    priors, task = spec.priors, design.task_family_index
    which = design.entered
    mean = _mean_slopes(design, priors)
    tau_task = _scale("tau_kappa_task", np.array(priors.kappa_tau_task)[which],
                      priors.kappa_tau_log_sd, dims="scale_term")  # fmt: skip
    tau = _scale("tau_kappa", np.array(priors.kappa_tau_benchmark)[which],
                 priors.kappa_tau_log_sd, dims="scale_term")  # fmt: skip
    z_task = pm.Normal("z_kappa_task", dims=("task_family", "scale_term"))
    center = (mean + tau_task * z_task)[task]
    k = N_CENTERED if spec.scaling == "loglinear" else 0
    n, n_terms = len(design.benchmarks), len(which)
    offset = pm.Normal("z_kappa", shape=(n, n_terms - k))
    parts = [center[:, k:] + tau[k:] * offset]
    if k:
        parts.insert(0, pm.Normal("z_kappa_centered", center[:, :k], tau[:k], shape=(n, k)))
    dims = ("benchmark", "scale_term")
    return pm.Deterministic("kappa", pt.concatenate(parts, axis=1), dims=dims).T


def _mean_slopes(design: Design, priors: Priors) -> Tensor:
    """Mean slopes: the published law fixes their ratio, the date has its own."""
    slopes = [pt.zeros(()) for _ in design.scale_terms]
    if "n_params" in design.scale_terms:
        law_slope = pm.HalfNormal("law_slope", priors.law_slope_sd)
        for k, slope in enumerate(law_slopes(priors)):
            slopes[k] = law_slope * slope
    if "released" in design.scale_terms:
        slopes[-1] = pm.Normal("released_slope", 0.0, priors.released_sd)
    return pt.stack(slopes)


def law_block(design: Design, spec: ModelSpec, data: Data, covariates: Tensor) -> Tensor:
    """Add slopes on the scaling law, pooled over task families about a positive mean.

    One law serves all benchmarks; they differ in their slope on it. It is centred, at every value
    of its parameters, at the information-weighted mean of each benchmark's LMs. Slopes are centred
    about their pooled means, since scores pin them down. A benchmark's own slope may be negative:
    some hardly rise with scale.

    Parameters
    ----------
    design
        Arrays and coordinates, with `log_scale`.
    spec
        Holds the priors.
    data
        Holds `data_information`, shape (lm, benchmark).
    covariates
        Scale covariates of the LMs, dims (lm, covariate).

    Returns
    -------
    TensorVariable
        What scale adds to the latent values, dims (lm, benchmark).
    """
    priors = spec.priors
    skill = _law(priors, covariates)
    slope = pm.HalfNormal("law_slope", priors.law_slope_sd)
    tau_task = _scale("tau_kappa_law_task", priors.law_tau_task, priors.kappa_tau_log_sd)
    tau = _scale("tau_kappa_law", priors.law_tau_benchmark, priors.kappa_tau_log_sd)
    by_task = slope + tau_task * pm.Normal("z_kappa_law_task", dims="task_family")
    kappa = pm.Normal("kappa_law", by_task[design.task_family_index], tau, dims="benchmark")
    return kappa * (skill[:, None] - pm.math.dot(skill, data["data_information"]))


def _law(priors: Priors, covariates: Tensor) -> Tensor:
    """Minus log of the reducible loss of every LM, relative to the reference LM; dims (lm,)."""
    a, b = (
        pm.TruncatedNormal(name, getattr(priors, name), priors.law_exponent_sd, lower=0.0)
        for name in ("law_size_exponent", "law_data_exponent")
    )
    n, mean = priors.law_fraction_count, priors.law_size_fraction
    rho = pm.Beta("law_size_fraction", n * mean, n * (1 - mean))
    size, tokens = covariates[:, 0] * LOG_N_UNIT, covariates[:, 1] * LOG_D_UNIT
    return -pm.math.logaddexp(pm.math.log(rho) - a * size, pm.math.log1p(-rho) - b * tokens)


def missing_block(design: Design, priors: Priors) -> tuple[Tensor, Tensor | None]:
    """Add unknown cells as parameters; return the matrix of decisions and the complete mix."""
    X = pt.as_tensor(np.nan_to_num(design.X))
    missing = design.missing
    if missing.names:
        z = pm.Normal("z_unknown", dims="unknown")
        raw = missing.location + missing.spread * z
        value = pt.switch(missing.is_share, pm.math.sigmoid(raw), raw)
        unknown = pm.Deterministic(
            "x_unknown", (value - missing.center) / missing.unit, dims="unknown"
        )
        X = X[missing.row, missing.term].set(unknown[missing.slot])
    if design.mix is None:
        return X, None
    mix = pt.as_tensor(np.nan_to_num(design.mix.known))
    if len(design.mix.rows):
        z = pm.Normal("z_mix", dims=("mix_group", "domain"))
        parts = pm.Deterministic(
            "mix_unknown",
            pm.math.softmax(design.mix.log_mean + priors.mix_sd * z, axis=1),
            dims=("mix_group", "domain"),
        )
        mask, rest = design.mix.missing_parts()
        fill = parts[design.mix.group] * mask
        fill = fill / fill.sum(axis=1, keepdims=True) * rest[:, None]
        mix = mix[design.mix.rows].inc(fill)
    start = design.mix_columns.start
    return pt.concatenate([X[:, :start], mix / MIX_UNIT], axis=1), mix


def generation_block(design: Design, spec: ModelSpec, X: Tensor, mix: Tensor | None) -> None:
    """Add log-ratios of generated shares as noisy measurements of those that were read.

    Intercepts, slopes and errors are learned from all LMs whose mix is known. The error of a
    family counts once, however many siblings write (see `Generations`). It has heavy tails, since
    a family or two write what they hardly read: LLaMA and BLOOM mostly code.
    """
    written, priors = design.generations, spec.priors
    assert written is not None
    intercept = pm.Normal("generation_intercept", 0, priors.generation_intercept, dims="written")
    slope = pm.HalfNormal("generation_slope", priors.generation_slope, dims="written")
    tau, sigma = (
        pm.LogNormal(name, np.log(median), priors.generation_log_sd, dims="written")
        for name, median in (
            ("tau_generation", priors.generation_tau),
            ("sigma_generation", priors.generation_sigma),
        )
    )
    column = design.english_column
    english = None if column is None else design.fraction_of(X[:, column], column=column)
    read = pt.concatenate(written.read_parts(mix, english, log=pt.log), axis=-1)
    mu = written.rotation.sum(axis=1)[:, None] * intercept + pt.dot(written.rotation, read) * slope
    sd = pt.sqrt(sigma**2 + written.n_siblings[:, None] * tau**2)
    pm.StudentT("generated", nu=priors.generation_nu, mu=mu, sigma=sd, observed=written.values)


def decision_block(design: Design, spec: ModelSpec) -> Tensor:
    """Add effects by benchmark about task-family means about an overall mean; (free, benchmark)."""
    levels, n = _effect_levels(spec), design.loading.shape[1]
    scale: Any = np.full(n, spec.priors.beta_sd)
    if spec.pooling != "none":
        tau = _decision_scales(spec, n_decisions=len(design.decisions))
        scale = tau[design.free_decision]
    free = _pooled("beta", design, scale=scale, levels=levels, n=n)
    pm.Deterministic("beta", pt.dot(design.loading, free), dims=("term", "benchmark"))
    return free


def _pooled(
    name: str, design: Design, *, n: int, scale: Any, levels: tuple[float, float, float]
) -> Tensor:
    """Add coefficients pooled over benchmarks about zero; dims (coefficient, benchmark).

    `scale` is that of each of the `n` coefficients, shape (coefficient,); `levels` are, in units of
    it, the scales of what all benchmarks share, of task families, and of benchmarks in them. Their
    sum has one offset for each direction in which it varies: with an offset for every level their
    posterior would be a ridge. None is centred: those that contrasts tell precisely had divergent
    transitions at small scales.
    """
    shared, of_task, own = levels
    axes, size = _benchmark_axes(design)
    means = np.flatnonzero(size)
    along = np.sqrt(size[means])  # how far what all benchmarks share reaches along every mean
    spread = shared**2 * np.outer(along, along) + np.diag(of_task**2 * size[means] + own**2)
    variance, turn = np.linalg.eigh(spread)
    root = own * axes
    root[means] = (np.sqrt(np.maximum(variance, 0)) * turn).T @ axes[means]
    root = root[np.square(root).sum(axis=1) > 1e-9 * variance.max()]
    return scale[:, None] * _multiply(pm.Normal(f"z_{name}", shape=(n, len(root))), root, own)


def _multiply(values: Tensor, matrix: np.ndarray, own: float) -> Tensor:
    """Multiply by a constant matrix that is `own` times the identity in all but some directions.

    Where these are few, since benchmarks are many, only they are multiplied as matrices.
    """
    n, size = matrix.shape
    if n != size:
        return pt.dot(values, matrix)
    left, weight, right = np.linalg.svd(matrix - own * np.eye(n))
    rank = int((weight > 1e-9 * weight.max(initial=1e-9)).sum())
    if 2 * rank >= n:
        return pt.dot(values, matrix)
    return own * values + pt.dot(pt.dot(values, left[:, :rank] * weight[:rank]), right[:rank])


def _layered(
    name: str, design: Design, *, n: int, tau: Tensor, shift: Tensor | None = None
) -> Tensor:
    """Add coefficients pooled like those, of learned scales, dims (level,); (n, benchmark).

    What a task family deviates by and the mean of its benchmarks' own deviations are one value,
    with the variance of both. What all benchmarks share stays a value of its own: along which axes
    the sum varies would depend on the scales.
    """
    axes, size = _benchmark_axes(design)
    scale = pt.sqrt(tau[1] ** 2 * size + tau[2] ** 2)
    if shift is None:  # experiments tell little of a single value
        values = scale * pm.Normal(f"z_{name}", shape=(n, len(axes)))
        return tau[0] * pm.Normal(f"z_{name}_shared", shape=(n, 1)) + _multiply(values, axes, 1.0)
    turned = _multiply(shift, axes.T, 1.0)
    values = _half_centered(name, scale, shape=(n, len(axes)), shift=turned)
    return _half_centered(f"{name}_shared", tau[0], shape=(n, 1)) + _multiply(values, axes, 1.0)


def _half_centered(
    name: str, scale: Tensor, *, shape: tuple[int, ...], shift: Tensor | float = 0.0
) -> Tensor:
    """Add values about zero of a given scale, by offsets half-way between two forms; of `shape`.

    Where data and prior tell about as much of a value, neither the value itself nor its ratio to
    the scale is independent of the scale: their geometric mean nearly is (Gorinova et al. 2020,
    https://doi.org/10.48550/arXiv.1906.03028). `shift` is what the values can take over from other
    coefficients: offsets are of the sum of both, of which data tell.
    """
    root = pt.sqrt(scale)
    return root * pm.Normal(f"z_{name}", shift / root, root, shape=shape) - shift


def _benchmark_axes(design: Design) -> tuple[np.ndarray, np.ndarray]:
    """Turn benchmarks to means of task families and contrasts inside; (axis, benchmark), (axis,).

    The axes are orthonormal: in every task family those of a reflection that takes its first
    benchmark to the mean. The second array holds the number of benchmarks of which an axis is the
    mean, and zeros for contrasts.
    """
    task = design.task_family_index
    _, first, counts = np.unique(task, return_index=True, return_counts=True)
    axes, size = np.eye(len(task)), np.zeros(len(task))
    size[first] = counts
    for k, n in zip(first[counts > 1], counts[counts > 1], strict=True):
        normal = np.where(task == task[k], -1 / np.sqrt(n), 0.0)
        normal[k] += 1
        axes -= 2 * np.outer(normal, normal) / (normal @ normal)
    return axes, size


def _decision_scales(spec: ModelSpec, *, n_decisions: int) -> Tensor:
    """Scale of every decision's effects, under one of several regularising priors; (decision,)."""
    priors, dims = spec.priors, "decision"
    if spec.shrinkage == "log-normal":
        return _scale("tau_beta", priors.beta_tau, priors.beta_tau_log_sd, dims=dims)
    if spec.shrinkage == "half-normal":
        return pm.HalfNormal("tau_beta", priors.beta_tau / _HALF_NORMAL_MEDIAN, dims=dims)
    if spec.shrinkage == "horseshoe":
        overall = pm.HalfCauchy("tau_beta_overall", priors.beta_tau)
        wanted = overall * pm.HalfCauchy("z_tau_beta", 1.0, shape=n_decisions)
        tau = wanted / pt.sqrt(1 + (wanted / priors.beta_slab) ** 2)
        return pm.Deterministic("tau_beta", tau, dims=dims)
    count = priors.beta_r2_count
    r2 = pm.Beta("r2_beta", priors.beta_r2 * count, (1 - priors.beta_r2) * count)
    parts = pm.Dirichlet("z_tau_beta", np.ones(n_decisions))
    variance = priors.unexplained_variance * r2 / (1 - r2) * parts
    return pm.Deterministic("tau_beta", pt.sqrt(variance), dims=dims)


def surface_block(design: Design, spec: ModelSpec, others: Mapping[str, Tensor]) -> Tensor:
    """Add weights of a smooth function of scale, date and mix; dims (function, benchmark).

    Every benchmark has its own surface: a shared one, a deviation of its task family, and its own
    deviation, each with an amplitude that is learned.

    Parameters
    ----------
    design
        Arrays and coordinates, with a `surface`.
    spec
        Holds the priors.
    others
        Coefficients of which the surface can take over a part, by block of columns.

    Returns
    -------
    TensorVariable
        Weights of the functions.
    """
    assert design.surface is not None
    priors, n = spec.priors, design.surface.n_functions
    medians = np.array(priors.surface_tau)
    tau = _scale("tau_surface", medians, priors.surface_tau_log_sd, dims="level")
    shift = _take_over(design, spec, others)
    weights = _layered("surface", design, n=n, tau=tau, shift=shift)
    return pm.Deterministic("surface", weights, dims=("function", "benchmark"))


def _take_over(design: Design, spec: ModelSpec, others: Mapping[str, Tensor]) -> Tensor:
    """Compute what the surface can take over from decisions and slopes; (function, benchmark).

    Scores tell of the sum: weights of the surface can do most of what a decision or a slope adds.
    They are those of a ridge regression of the columns on the functions, with the prior variance of
    the weights.
    """
    priors, facts = spec.priors, design.facts
    functions = facts.functions - facts.functions.mean(axis=0)
    if not others:
        return pt.zeros((functions.shape[1], len(design.benchmarks)))
    known = {"kappa": facts.covariates[:, design.entered], "beta": facts.X @ design.loading}
    columns = np.hstack([np.nan_to_num(known[name]) for name in others])
    ridge = priors.unexplained_variance / np.sum(np.square(priors.surface_tau))
    gram = functions.T @ functions + ridge * np.eye(functions.shape[1])
    part = _TAKEN * np.linalg.solve(gram, functions.T @ (columns - columns.mean(axis=0)))
    return pt.dot(part, pt.concatenate(list(others.values())))


def _functions(design: Design, covariates: Tensor) -> Tensor:
    """Functions of the surface, anew at sizes that are not recorded; dims (lm, function)."""
    surface, facts = design.surface, design.facts
    assert surface is not None
    if design.sizes is None:
        return facts.functions
    rows, n = np.unique(design.sizes.row), len(surface.scale_columns)
    others = surface.place(facts.covariates, facts.typical_mix, facts.english)[rows, n:]
    distance = np.square(others[:, None] - surface.anchors[:, n:]).sum(axis=-1)
    for k, column in enumerate(surface.scale_columns):
        place = covariates[rows, column] / surface.scale_lengths[k]
        distance = distance + (place[:, None] - surface.anchors[:, k]) ** 2
    moved = pt.dot(pt.exp(-0.5 * distance), surface.mixing)
    return pt.as_tensor(facts.functions)[rows].set(moved)


def _between_slopes(design: Design, priors: Priors) -> Tensor:
    """How slopes between families differ from those inside; (benchmark, between_term)."""
    n = len(design.benchmarks), len(design.between_terms)
    shared = pm.Normal("z_between_shared", shape=(1, n[1]))
    own = pm.Normal("z_between", shape=n)
    return pm.Deterministic(
        "kappa_between",
        priors.between_sd * (shared + priors.beta_ratio * own),
        dims=("benchmark", "between_term"),
    )


def family_block(design: Design, spec: ModelSpec, data: Data) -> tuple[Tensor, Tensor]:
    """Add family and LM effects, dims (lm, benchmark), and the residual scale, dims (benchmark,).

    The effects are made orthogonal to the intercept and, by default, to the scale covariates:
    restricted regression (Hodges & Reich 2010, https://doi.org/10.1198/tast.2010.10052). Families
    with more tokens are also newer and better, so that plain random effects flatten the slopes
    that predict new families. With a surface the same holds of the bends, the squares and products
    of the covariates. Decisions are left out of the projection on purpose: with a flat
    prior on the slopes their posterior is then exactly that of plain random effects, so that
    siblings are never counted as independent evidence for a decision.

    `within-between` keeps plain random effects, and gives the family means of the scale covariates
    slopes of their own (Mundlak 1978, https://doi.org/10.2307/1913646).
    """
    priors, n = spec.priors, len(design.benchmarks)
    sigma = _scale("sigma", np.full(n, priors.sigma), priors.sigma_log_sd, dims="benchmark")
    rho_lm = pm.Beta("rho_lm", priors.rho_shape, priors.rho_shape)
    effect = sigma * pt.sqrt(rho_lm) * pm.Normal("v", dims="lm")[:, None]
    if spec.family_effects != "none":
        log_tau = pm.Normal("log_tau_family", priors.tau_family_log, priors.tau_family_log_sd)
        spread = _scale("tau_spread", priors.tau_family_spread, priors.tau_family_spread_log_sd)
        tau = pm.LogNormal("tau_family", log_tau, spread, dims="benchmark")
        rho = pm.Beta("rho_family", priors.rho_shape, priors.rho_shape)
        u = pm.Normal("u", dims="lm_family")[design.lm_family_index]
        w = pm.Normal("w", dims=("lm_family", "task_family"))
        w = w[design.lm_family_index][:, design.task_family_index]
        effect = effect + tau * (pt.sqrt(rho) * u[:, None] + pt.sqrt(1 - rho) * w)
    if spec.family_effects == "within-between" and design.between_terms:
        effect = effect + pt.dot(design.between, _between_slopes(design, priors).T)
    basis = data["data_scale_basis"]
    if spec.family_effects != "orthogonal":
        basis = basis[:, :1]
    return effect - pt.dot(basis, pt.dot(basis.T, effect)), sigma * pt.sqrt(1 - rho_lm)


def _scale(
    name: str, median: float | np.ndarray, log_sd: float, *, dims: str | None = None
) -> Tensor:
    return pm.LogNormal(name, np.log(median), log_sd, dims=dims)


def likelihood_block(
    design: Design, spec: ModelSpec, data: Data, eta: Tensor, residual: Tensor
) -> None:
    """Add scores given latent values: known error, latent and score-scale residual, heavy tails.

    Parameters
    ----------
    design, spec
        Links of the benchmarks, and the law of the scores.
    data
        Scores and links, see `training_data`.
    eta
        Latent values, dims (lm, benchmark).
    residual
        Scale of the latent residual, dims (benchmark,).
    """
    priors = spec.priors
    _scale("sigma_score", priors.sigma_score, priors.sigma_score_log_sd)
    if spec.likelihood != "normal":
        degrees_of_freedom(priors.nu_shape, priors.nu_rate)
    moments = _moments(design, data, eta, residual)
    mu, variance = _take(design, data, moments)
    kind, law, how = score_law(mu, variance + data["data_se"] ** 2, nu=_nu(spec))
    kind("y", *law, **how, observed=data["data_y"], dims="obs")


def _moments(design: Design, data: Data, latent: Tensor, residual: Tensor) -> tuple[Tensor, Tensor]:
    """Compute the expected score and the variance of its residuals, by the delta method."""
    is_logistic = pt.as_tensor(design.outcomes.is_logistic.astype(float))
    floor, spread = data["data_floor"], data["data_spread"]
    height, straight = is_logistic * (1 - floor), (1 - is_logistic) * spread
    p = pm.math.sigmoid(latent)
    mu = pt.switch(is_logistic, floor, data["data_location"]) + height * p + straight * latent
    slope = height * p * (1 - p) + straight
    on_score = is_logistic * pm.modelcontext(None)["sigma_score"] ** 2
    return mu, on_score + (residual * slope) ** 2


def _take(design: Design, data: Data, moments: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
    """Take the moments of all LMs on all benchmarks, dims (lm, benchmark), where scores stand.

    To compute them for every cell and take them from flat tables is faster than to take latent
    values by lm and benchmark first: few cells have no score.
    """
    cell = data["data_lm_index"] * len(design.benchmarks) + data["data_benchmark_index"]
    mu, variance = moments
    return mu.ravel()[cell], variance.ravel()[cell]


def degrees_of_freedom(shape: float, rate: float) -> Tensor:
    """Add the degrees of freedom of heavy tails: more than one, so that there is a mean."""
    return pm.Gamma("nu_beyond_one", shape, rate) + 1


def _nu(spec: ModelSpec) -> Tensor | None:
    """Degrees of freedom of the open model; None where its scores are normal."""
    return None if spec.likelihood == "normal" else pm.modelcontext(None)["nu_beyond_one"] + 1


def score_law(
    mu: Tensor, variance: Tensor, *, nu: Tensor | None
) -> tuple[Any, tuple[Tensor, ...], dict[str, Any]]:
    """Distribution of measurements with known errors, its parameters, and how it is computed.

    Parameters
    ----------
    mu, variance
        Location and squared scale, known error included.
    nu
        Degrees of freedom; None for normal measurements.

    Returns
    -------
    tuple
        A PyMC distribution, its arguments and its keywords.
    """
    if nu is None:
        return pm.Normal, (mu, pt.sqrt(variance)), {}
    how = {"dist": _student, "logp": _student_log_density, "signature": "(n),(n),()->(n)"}
    return pm.CustomDist, (mu, variance, nu), how


def _student(mu: Tensor, variance: Tensor, nu: Tensor, _size: Any) -> Tensor:
    return pm.StudentT.dist(nu=nu, mu=mu, sigma=pt.sqrt(variance))


def _student_log_density(y: Tensor, mu: Tensor, variance: Tensor, nu: Tensor) -> Tensor:
    """Log density of all measurements, Student-t in the squared scale: no root and no power."""
    half = (nu + 1) / 2
    constant = pt.gammaln(half) - pt.gammaln(nu / 2) - 0.5 * pt.log(nu * np.pi)
    heavy = half * _sum_logs(variance + (y - mu) ** 2 / nu)
    return y.shape[0] * constant + 0.5 * nu * _sum_logs(variance) - heavy


def _sum_logs(x: Tensor) -> Tensor:
    """Sum logarithms, as those of products of some numbers each: most of the time of a density."""
    values = pt.dvector()
    n = values.shape[0] // _FACTORS
    products = pt.prod(values[: _FACTORS * n].reshape((_FACTORS, n)), axis=0)
    total = pt.log(products).sum() + pt.log(values[_FACTORS * n :]).sum()
    return OpFromGraph(
        [values],
        [total],
        inline=True,
        pullback=lambda inputs, outputs, gradients: [gradients[0] / inputs[0]],
    )(x)


def effect_block(
    design: Design, spec: ModelSpec, associations: Mapping[str, Tensor]
) -> dict[str, Tensor]:
    """Add effects: coefficients that LMs are predicted by, without the bias of associations.

    With effects of variance r t^2 and biases of variance (1 - r) t^2, an association is their sum,
    of variance t^2 as without experiments, and given it an effect is r times the association with
    variance r (1 - r) t^2. In this form neither the prior of the associations nor their blocks
    change. The share r differs between decisions about a common mean, so that decisions with
    experiments tell how biased the others are. The t of the last variance is the effects' own:
    with a common one, small effects in experiments would shrink associations that are large, and
    LMs would be predicted worse.

    Parameters
    ----------
    design, spec
        Arrays and coordinates, and the model.
    associations
        Coefficients of LMs by block of columns, dims (column, benchmark).

    Returns
    -------
    dict of TensorVariable
        Effects by block of columns, dims (column, benchmark).
    """
    priors, found = spec.priors, dict(associations)
    if spec.bias == "none":
        return found
    n = len(design.effect_blocks)
    center = -2 * np.log(priors.bias_ratio)
    mean = pm.Normal("effect_share_mean", center, priors.effect_share_sd)
    logit = mean + priors.effect_share_spread * pm.Normal("z_effect_share", shape=n)
    share = pm.Deterministic("effect_share", pm.math.sigmoid(logit), dims="effect_block")
    inside = (share * (1 - share)) ** 0.5
    if design.terms:
        owner = design.free_decision
        medians = np.full(len(design.decisions), priors.beta_tau)
        tau = _scale("tau_effect", medians, priors.beta_tau_log_sd, dims="decision")
        scale = (inside[: len(design.decisions)] * tau)[owner]
        own = _pooled("effect", design, n=len(owner), scale=scale, levels=_effect_levels(spec))
        free = found["beta"] = share[owner][:, None] * associations["beta"] + own
        pm.Deterministic("beta_effect", pt.dot(design.loading, free), dims=("term", "benchmark"))
    if design.surface is not None:
        medians, log_sd = np.array(priors.surface_tau), priors.surface_tau_log_sd
        tau = _scale("tau_surface_effect", medians, log_sd, dims="level")
        own = _layered("surface_effect", design, n=design.surface.n_functions, tau=inside[-1] * tau)
        effect = share[-1] * associations["surface"] + own
        found["surface"] = pm.Deterministic(
            "surface_effect", effect, dims=("function", "benchmark")
        )
    return found


def _effect_scale(design: Design, spec: ModelSpec) -> Tensor:
    """Scale of the effects of every decision, (decision,), fixed where associations' is."""
    model: Any = pm.modelcontext(None)
    learned = "tau_effect" if spec.bias == "estimated" else "tau_beta"
    if learned in model:
        return model[learned]
    return pt.as_tensor(np.full(len(design.decisions), spec.priors.beta_sd))


def _effect_levels(spec: ModelSpec) -> tuple[float, float, float]:
    """Scales of a decision's effects as `_free_effects` pools them: shared, task family, own."""
    ratio = spec.priors.beta_ratio
    pooled = {"partial": (1.0, ratio, ratio), "complete": (1.0, 0.0, 0.0), "none": (0.0, 0.0, 1.0)}
    return pooled[spec.pooling]


def experiment_block(
    design: Design, spec: ModelSpec, data: Data, effects: Mapping[str, Tensor]
) -> None:
    """Add contrasts between arms: effects, what differs between studies, corpora, runs, noise.

    Parameters
    ----------
    design, spec
        Arrays and coordinates, with `contrasts`, and the model.
    data
        Contrasts and their columns, see `training_data`.
    effects
        What `effect_block` gave.
    """
    contrasts, priors = design.contrasts, spec.priors
    assert contrasts is not None
    parts = dict(effects)
    tau = _effect_scale(design, spec)
    if contrasts.arm_terms:
        names = contrasts.arm_decisions
        medians = np.full(len(names), priors.arm_tau)
        tau_arm = _scale("tau_arm", medians, priors.arm_tau_log_sd, dims="arm_decision")
        owner = np.array([names.index(term.decision) for term in contrasts.arm_terms])
        effect = _pooled(
            "arm_effect", design, n=len(owner), scale=tau_arm[owner],
            levels=(1.0, priors.beta_ratio, priors.beta_ratio),
        )  # fmt: skip
        parts["arm_facts"] = pm.Deterministic("arm_effect", effect, dims=("arm_term", "benchmark"))
        tau = pt.concatenate([tau, tau_arm])
    if spec.study_effects == "random":
        parts["settings"] = _study_effects(contrasts, priors, tau)
    shift: Tensor = 0.0
    if spec.run_effects == "random":
        sigma = _scale("run_sigma", priors.run_sigma, priors.run_log_sd)
        values = _half_centered("run", sigma, shape=(len(design.coords["run"]),))
        run = pm.Deterministic("run_effect", values, dims="run")
        shift = _add_runs(data, run)[:, None]
    coefficients = [
        parts.get(name, pt.zeros((values.shape[1], len(design.benchmarks))))
        for name, values in contrasts.columns.items()
        if name != "runs"
    ]
    measured = np.unique(contrasts.benchmark_index)
    place = pt.as_tensor(np.searchsorted(measured, np.arange(len(design.benchmarks))))
    columns: Tensor = pt.concatenate(coefficients)
    differences = pt.dot(data["data_contrast_differences"], columns[:, measured]) + shift
    cell = data["data_contrast_difference_index"], place[data["data_contrast_benchmark_index"]]
    mu = data["data_contrast_slope"] * differences[cell]
    noise = _scale("arm_sigma", priors.arm_sigma, priors.run_log_sd)
    variance = data["data_contrast_sampling"] + data["data_contrast_repeats"] * noise**2
    nu = None
    if spec.likelihood != "normal":
        nu = pm.Gamma("arm_nu_beyond_one", priors.nu_shape, priors.nu_rate) + 1
    kind, law, how = score_law(mu, variance, nu=nu)
    kind("contrast", *law, **how, observed=data["data_contrast_y"])


def _add_runs(data: Data, run: Tensor) -> Tensor:
    """Add up the effects of the few runs behind every difference between arms; (difference,)."""
    row, index, weight = (data[f"data_contrast_run_{part}"] for part in ("row", "index", "weight"))
    none = pt.zeros(data["data_contrast_differences"].shape[0])
    return none[row].inc(weight * run[index])


def _study_effects(contrasts: ArmContrasts, priors: Priors, tau: Tensor) -> Tensor:
    """Add how effects differ in a study: on all benchmarks, and on each that it measures."""
    measured = contrasts.measured_settings()
    n, own = measured.shape[0], np.flatnonzero(measured)
    ratio = _scale("study_ratio", priors.study_ratio, priors.study_ratio_log_sd)
    shared = pm.Normal("z_setting_mean", shape=(n, 1)) * np.ones(measured.shape)
    alone = priors.beta_ratio * np.sqrt(2) * pm.Normal("z_setting", shape=len(own))
    standard = shared.ravel()[own].inc(alone).reshape(measured.shape)
    effect = ratio * tau[contrasts.setting_block][:, None] * standard
    return pm.Deterministic("study_effect", effect, dims=("setting", "benchmark"))


def build_model(design: Design, *, spec: ModelSpec) -> pm.Model:
    """Build the hierarchical model of all scores.

    Parameters
    ----------
    design
        Arrays and coordinates.
    spec
        Which blocks, in which form, under which priors.

    Returns
    -------
    pymc.Model
        Observed variable `y` with dim obs, which numbers the scores of the dataset, and `generated`
        where what LMs write is measured; named variables as in `model.predictor`.

    Examples
    --------
    >>> from bayesmeta.data.load import load_dataset
    >>> from bayesmeta.model.spec import ModelSpec
    >>> from bayesmeta.model.spec import build_design_for
    >>> spec = ModelSpec(decisions=())
    >>> build_model(build_design_for(load_dataset(), spec=spec), spec=spec)["y"].name
    'y'
    """
    coords = {name: list(labels) for name, labels in design.coords.items()}
    rows = np.flatnonzero(design.outcomes.train)
    arrays = training_data(design)
    with pm.Model(coords={**coords, "obs": rows}) as model:
        data = {name: _as_data(name, values) for name, values in arrays.items()}
        covariates = size_block(design)
        alpha = pm.Normal("alpha", 0.0, spec.priors.alpha_sd, dims="benchmark")
        columns: dict[str, Tensor] = {}
        associations: dict[str, Tensor] = {}
        if design.scale_terms:
            columns["kappa"] = covariates[:, design.entered]
            associations["kappa"] = slope_block(design, spec)
        law = 0.0
        if spec.scaling == "chinchilla":
            law = law_block(design, spec, data, covariates)
        if design.terms:
            columns["beta"] = pt.dot(_facts(design, spec), design.loading)
            associations["beta"] = decision_block(design, spec)
        if design.surface is not None:
            columns["surface"] = _functions(design, covariates)
            associations["surface"] = surface_block(design, spec, associations)
        eta = alpha + law + sum_columns(design, data, columns, associations)
        effect, residual = family_block(design, spec, data)
        likelihood_block(design, spec, data, eta + effect, residual)
        if design.contrasts is not None:
            experiment_block(design, spec, data, effect_block(design, spec, associations))
    return model


def sum_columns(
    design: Design, data: Data, columns: Mapping[str, Tensor], coefficients: Mapping[str, Tensor]
) -> Tensor:
    """Add up centred columns times their coefficients; dims (lm, benchmark)."""
    if not columns:
        return pt.zeros((len(design.lms), 1))
    stacked = pt.concatenate(list(coefficients.values()))
    center = (data["data_column_center"] * stacked).sum(axis=0)
    return pt.dot(pt.concatenate(list(columns.values()), axis=1), stacked) - center


def build_fact_model(design: Design, *, spec: ModelSpec) -> pm.Model:
    """Build the part of the model that holds the undisclosed facts, without any score.

    Parameters
    ----------
    design
        Arrays and coordinates.
    spec
        Under which priors, and whether what LMs write measures the facts.

    Returns
    -------
    pymc.Model
        The prior of the facts, or their posterior given what the LMs write.

    Examples
    --------
    >>> from bayesmeta.data.load import load_dataset
    >>> from bayesmeta.model.spec import ModelSpec
    >>> from bayesmeta.model.spec import build_design_for
    >>> spec = ModelSpec(unknown_numbers="estimated")
    >>> design = build_design_for(load_dataset(), spec=spec)
    >>> build_fact_model(design, spec=spec)["mix_unknown"].eval().shape
    (13, 6)
    """
    with pm.Model(coords={name: list(labels) for name, labels in design.coords.items()}) as model:
        _facts(design, spec)
    return model


def _facts(design: Design, spec: ModelSpec) -> Tensor:
    """Add undisclosed facts and their measurements; return the matrix of decisions."""
    X, mix = missing_block(design, spec.priors)
    if design.generations is not None:
        generation_block(design, spec, X, mix)
    return X
