"""The graph against the same model in numpy: names, log density, orthogonality, prior."""

from dataclasses import replace

import numpy as np
import pymc as pm
import pytensor
import pytensor.tensor as pt
import pytest
from scipy import stats

from bayesmeta.estimates.counterfactual import contrast_draws
from bayesmeta.estimates.question import Contrast, default_contrasts
from bayesmeta.inference.graph import build_graph
from bayesmeta.model.blocks import _benchmark_axes, _multiply, _pooled, _sum_logs, build_model
from bayesmeta.model.predictor import family_effects, linear_predictor, score_distribution
from bayesmeta.model.spec import ModelSpec, build_design_for

ROUNDING = 1e-8
"""Two orders of summation of the same terms in double precision."""

PRIOR_LIMIT, PRIOR_SHARE = 15.0, 0.9
"""Points that no design decision is credibly worth, and the prior share that respects them."""

PRIOR_DRAWS = 200
"""Draws of the prior predictive: a share of 0.9 has a Monte Carlo error of 0.02."""

QUICK_COMPILE = "FAST_COMPILE"
"""A graph that is evaluated three times is not worth machine code."""

OPTIONS = pytest.mark.specs(
    "default", "normal", "random families", "no families", "within-between", "within-between law",
    "additive", "estimated", "additive and estimated", "no scaling", "no date", "no covariates",
    "no decisions", "no mix", "mix only", "law", "law without date", "complete pooling",
    "no pooling of a law", "half-normal", "horseshoe", "r2d2",
)  # fmt: skip


def is_kept(name):
    return not name.startswith("z_") and not name.endswith("__")


def named_variables(model):
    """Names and dims of the variables that a fit keeps."""
    names = [str(value.name) for value in model.unobserved_value_vars]
    return {n: tuple(model.named_vars_to_dims.get(n, ())) for n in names if is_kept(n)}


def evaluate(model, *, n_points=3, seed=0):
    """Log density of all scores in the graph, and the named values, at random points."""
    named = [v for v in model.unobserved_value_vars if is_kept(str(v.name))]
    parts = model.logp(vars=model.observed_RVs, sum=False, jacobian=False)
    function = model.compile_fn(
        [*parts, *named], inputs=model.value_vars, mode=QUICK_COMPILE, on_unused_input="ignore"
    )
    rng = np.random.default_rng(seed)
    start = model.initial_point()
    for _ in range(n_points):
        point = {k: v + rng.normal(0, 0.3, np.shape(v)) for k, v in start.items()}
        found = function(point)
        density, values = sum(part.sum() for part in found[: len(parts)]), found[len(parts) :]
        yield density, dict(zip([str(v.name) for v in named], values, strict=True))


@OPTIONS
def test_named_variables_and_dims(small, list_dims, spec):
    design = build_design_for(small, spec=spec)
    assert named_variables(build_model(design, spec=spec)) == list_dims(design, spec)


@pytest.mark.parametrize("n", [0, 3, 8, 21])
def test_summed_logarithms_and_their_gradient_are_those_of_numpy(n):
    """Whole groups of factors, a rest, and either alone; the gradient is written by hand."""
    x = pt.dvector()
    total = _sum_logs(x**2)
    function = pytensor.function([x], [total, pt.grad(total, x)], mode=QUICK_COMPILE)
    at = np.random.default_rng(2).lognormal(0, 3, n)
    found, gradient = function(at)
    np.testing.assert_allclose(found, 2 * np.log(at).sum(), rtol=ROUNDING)
    np.testing.assert_allclose(gradient, 2 / at, rtol=ROUNDING)


@OPTIONS
def test_coordinates_are_those_of_the_design(small, spec):
    design = build_design_for(small, spec=spec)
    model = build_model(design, spec=spec)
    for name, labels in design.coords.items():
        assert list(model.coords[name]) == list(labels)
    assert list(model.coords["obs"]) == list(range(len(small.scores)))


@OPTIONS
def test_scores_are_the_only_data(small, spec):
    model = build_model(build_design_for(small, spec=spec), spec=spec)
    assert [v.name for v in model.observed_RVs] == ["y"]
    observed = model.rvs_to_values[model["y"]].get_value()
    np.testing.assert_array_equal(observed, small.scores["score"])


@OPTIONS
def test_log_density_is_that_of_numpy(small, spec):
    design = build_design_for(small, spec=spec)
    for density, values in evaluate(build_model(design, spec=spec)):
        expected = score_distribution(values, design=design, spec=spec).log_density()
        np.testing.assert_allclose(density, expected.sum(), rtol=ROUNDING)


@pytest.mark.parametrize(
    "options",
    [{}, {"scaling": "chinchilla"}, {"interactions": "none", "family_effects": "within-between"}],
    ids=["default", "law", "additive"],
)
def test_log_density_with_blank_sizes_is_that_of_numpy(small, list_dims, options):
    lms = small.lms.astype({"n_params": float, "n_tokens": float})
    lms.loc[[1, 4, 9], "n_tokens"] = lms.loc[[2, 4 + 1], "n_params"] = np.nan
    spec = ModelSpec(unknown_numbers="estimated", **options)
    design = build_design_for(replace(small, lms=lms), spec=spec)
    model = build_model(design, spec=spec)
    assert named_variables(model) == list_dims(design, spec)
    for density, values in evaluate(model):
        assert values["size_unknown"].shape == (5,)
        expected = score_distribution(values, design=design, spec=spec).log_density()
        np.testing.assert_allclose(density, expected.sum(), rtol=ROUNDING)


def test_sizes_are_no_parameters_where_they_do_not_enter(small):
    lms = small.lms.astype({"n_tokens": float})
    lms.loc[3, "n_tokens"] = np.nan
    for options in ({"unknown_numbers": "typical"}, {"scaling": "none"}):
        spec = ModelSpec(**{"unknown_numbers": "estimated", **options})
        design = build_design_for(replace(small, lms=lms), spec=spec)
        assert "size_unknown" not in build_model(design, spec=spec).named_vars


def test_log_density_with_fewer_domains_is_that_of_numpy(small):
    fewer = replace(small, lms=small.lms.assign(books_share=np.nan))
    spec = ModelSpec(unknown_numbers="estimated")
    design = build_design_for(fewer, spec=spec)
    for density, values in evaluate(build_model(design, spec=spec), n_points=1):
        assert values["mix_unknown"].shape == (2, 5)
        expected = score_distribution(values, design=design, spec=spec).log_density()
        np.testing.assert_allclose(density, expected.sum(), rtol=ROUNDING)


def test_log_density_of_the_bundled_data_is_that_of_numpy(bundled):
    spec = ModelSpec()
    design = build_design_for(bundled, spec=spec)
    for density, values in evaluate(build_model(design, spec=spec), n_points=2):
        expected = score_distribution(values, design=design, spec=spec).log_density()
        np.testing.assert_allclose(density, expected.sum(), rtol=ROUNDING)


@pytest.mark.parametrize("likelihood", ["student", "normal"])
def test_numpy_log_density_is_that_of_scipy(small, build_fake_fit, likelihood):
    spec = ModelSpec(likelihood=likelihood)
    fit = build_fake_fit(small, spec=spec, chains=1, draws=1)
    design, value = fit.design, {k: v[0, 0] for k, v in fit.parameters.items()}
    law = score_distribution(value, design=design, spec=spec)
    mu, sd = law.mu, law.sd
    shape = () if likelihood == "normal" else (1 + value["nu_beyond_one"],)
    law = stats.norm if likelihood == "normal" else stats.t
    found = score_distribution(value, design=design, spec=spec).log_density()
    expected = law.logpdf(design.outcomes.y, *shape, loc=mu, scale=sd)
    np.testing.assert_allclose(found, expected, rtol=ROUNDING)


@pytest.mark.parametrize("k", [0, 2])
def test_effects_of_levels_sum_to_zero_in_the_graph(small, k):
    spec = ModelSpec()
    design = build_design_for(small, spec=spec)
    decision = design.decisions[k]
    for _, values in evaluate(build_model(design, spec=spec), n_points=1):
        columns = design.columns_of(decision)
        total = values["beta"][columns].sum(axis=0)
        if len(columns) > 1:
            np.testing.assert_allclose(total, 0, atol=1e-12)
        else:
            assert total.any()


@pytest.fixture(scope="module")
def draw_prior(small):
    """Draws of variables of the prior of a spec: `draw_prior(spec, names, draws)`."""

    def draw(spec, names, draws):
        model = build_model(build_design_for(small, spec=spec), spec=spec)
        return pm.draw(
            [model[name] for name in names], draws=draws, random_seed=1, mode=QUICK_COMPILE
        )

    return draw


def test_complete_pooling_has_one_effect(draw_prior):
    (beta,) = draw_prior(ModelSpec(pooling="complete"), ["beta"], 3)
    np.testing.assert_allclose(beta, np.broadcast_to(beta[..., :1], beta.shape), rtol=ROUNDING)
    assert len(np.unique(beta[:, 0, 0])) == 3


def test_without_pooling_effects_are_independent_with_a_fixed_scale(small, draw_prior):
    n, spec = 2000, ModelSpec(pooling="none")
    (beta,) = draw_prior(spec, ["beta"], n)
    free = np.einsum("tf,dtb->dfb", build_design_for(small, spec=spec).loading, beta)
    flat = free.reshape(n, -1) / spec.priors.beta_sd
    # Four Monte Carlo errors of a (co)variance of standard normals, the largest of many.
    np.testing.assert_allclose(np.cov(flat.T), np.eye(flat.shape[1]), atol=4.5 * np.sqrt(2 / n))
    assert stats.kurtosis(flat.ravel()) == pytest.approx(0, abs=0.25)  # four Monte Carlo errors


@pytest.mark.parametrize("n", [5, 40])
@pytest.mark.parametrize(
    "levels", [(1.0, 0.5, 0.5), (0.7, 0.0, 0.3), (1.0, 0.0, 0.0), (0.0, 0.0, 1.0)]
)
def test_pooled_coefficients_vary_as_their_levels_say(small, n, levels):
    # Of many benchmarks products with the axes are those with a few of their directions.
    design = replace(
        build_design_for(small, spec=ModelSpec()), task_family_index=np.array([0, 1, 1, 2] * 10)[:n]
    )
    same = design.task_family_index[:, None] == design.task_family_index
    shared, of_task, own = levels
    with pm.Model() as model:
        found = _pooled("x", design, n=1, scale=np.array([2.0]), levels=levels)
    rows = np.eye(model["z_x"].type.shape[1])[:, None]
    function = pytensor.function([model["z_x"]], found, mode=QUICK_COMPILE)
    root = np.concatenate([function(row) for row in rows])
    expected = 4 * (shared**2 + of_task**2 * same + own**2 * np.eye(n))
    np.testing.assert_allclose(root.T @ root, expected, atol=ROUNDING)


@pytest.mark.parametrize("n", [5, 40])
def test_axes_of_benchmarks_are_means_and_what_is_orthogonal_to_them(small, n):
    task = np.array([0, 1, 1, 2] * 10)[:n]
    axes, size = _benchmark_axes(
        replace(build_design_for(small, spec=ModelSpec()), task_family_index=task)
    )
    np.testing.assert_allclose(axes @ axes.T, np.eye(n), atol=ROUNDING)
    for k, count in enumerate(size):
        row = np.where(task == task[k], 1 / np.sqrt(count), 0) if count else axes[k]
        np.testing.assert_allclose(axes[k], row, atol=ROUNDING)
    values = np.random.default_rng(1).normal(size=(3, n))
    product = _multiply(pt.as_tensor(values), axes, 1.0).eval(mode=QUICK_COMPILE)
    np.testing.assert_allclose(product, values @ axes, atol=ROUNDING)


@pytest.mark.parametrize("shrinkage", ["log-normal", "half-normal", "horseshoe"])
def test_priors_of_a_scale_have_the_median_that_is_stated(draw_prior, shrinkage):
    n, spec = 4000, ModelSpec(shrinkage=shrinkage)
    (tau,) = draw_prior(spec, ["tau_beta"], n)
    # Of a product of two half-Cauchy variables with median one the median is one as well; the slab
    # takes little of it. Scales of one draw depend on each other under the horseshoe alone.
    expected = spec.priors.beta_tau
    if shrinkage == "horseshoe":
        expected /= np.sqrt(1 + (expected / spec.priors.beta_slab) ** 2)
        assert tau.max() < spec.priors.beta_slab
    assert np.median(tau) == pytest.approx(expected, rel=0.1)  # three Monte Carlo errors and more


def test_deviations_have_the_variances_that_are_stated(bundled):
    spec = ModelSpec()
    design = build_design_for(bundled, spec=spec)
    task = design.task_family_index
    assert {1, 2} <= set(np.bincount(task).tolist())  # with a lone benchmark, and with a pair
    same_task, ratio = task[:, None] == task, spec.priors.beta_ratio
    model = build_model(design, spec=spec)
    names = ["beta", "tau_beta", "surface", "tau_surface"]
    beta, tau, surface, tau_surface = pm.draw(
        [model[name] for name in names], draws=2000, random_seed=1, mode=QUICK_COMPILE
    )
    free = np.einsum("tf,dtb->dfb", design.loading, beta) / tau[:, design.free_decision, None]
    surface, ratios = (x / tau_surface[:, :1, None] for x in (surface, tau_surface[:, :, None]))
    shared, of_task, own = (ratios[..., 0] ** 2).mean(axis=0)
    for found, expected in (
        (free, 1 + ratio**2 * (same_task + np.eye(len(task)))),
        (surface, shared + of_task * same_task + own * np.eye(len(task))),
    ):
        covariance = np.einsum("dfb,dfc->bc", found, found) / np.prod(found.shape[:2])
        # Ratios of scales have tails: Monte Carlo errors reach 0.13. A missing part would be 0.25
        # of one effect and more than one of one function.
        np.testing.assert_allclose(covariance, expected, atol=0.2)
    # Offsets of the surface allow for decisions, the weights themselves hang on none.
    flat = [(x - x.mean(axis=0)) / x.std(axis=0) for x in (free, surface)]
    correlation = np.einsum("dfb,dgb->fgb", *flat) / len(free)
    assert np.square(correlation).mean() == pytest.approx(1 / len(free), rel=0.2)


def test_decisions_share_the_variance_that_they_explain(draw_prior):
    spec = ModelSpec(shrinkage="r2d2")
    tau, r2 = draw_prior(spec, ["tau_beta", "r2_beta"], 2000)
    explained = (tau**2).sum(axis=1)
    unexplained = spec.priors.unexplained_variance
    np.testing.assert_allclose(explained / (explained + unexplained), r2, rtol=ROUNDING)
    assert r2.mean() == pytest.approx(spec.priors.beta_r2, abs=4 * r2.std() / np.sqrt(2000))
    np.testing.assert_allclose((tau**2 / explained[:, None]).mean(axis=0), 1 / tau.shape[1],
                               atol=0.02)  # fmt: skip


def test_prior_of_the_law(draw_prior):
    n, spec = 1000, ModelSpec(scaling="chinchilla")
    names = ["law_size_exponent", "law_data_exponent", "law_size_fraction", "law_slope"]
    a, b, rho, slope = draw_prior(spec, names, n)
    expected = stats.beta(6, 3)
    for values, mean, sd in ((a, 0.35, 0.05), (b, 0.37, 0.05),
                             (rho, expected.mean(), expected.std())):  # fmt: skip
        assert values.mean() == pytest.approx(mean, abs=4 * sd / np.sqrt(n) + 0.004)
        assert values.std() == pytest.approx(sd, rel=4 / np.sqrt(2 * n))
    assert slope.min() > 0


@pytest.mark.parametrize("interactions", ["none", "smooth"])
def test_law_and_surface_are_centred_on_the_information_of_every_benchmark(
    small, build_fake_fit, interactions
):
    # All else being zero, the intercept is the weighted mean of the latent values.
    spec = ModelSpec(
        scaling="chinchilla", decisions=(), release_date="none", interactions=interactions
    )
    zero = dict.fromkeys(("u", "w", "v"), 0.0)
    override = {**zero, "kappa_law": [1.5, 1.0, 0.5, -0.5]}
    fit = build_fake_fit(small, spec=spec, chains=1, draws=5, override=override)
    design = fit.design
    eta = linear_predictor(fit.parameters, design=design, spec=spec)[0]
    weight = design.outcomes.information(n_lms=len(design.lms))
    np.testing.assert_allclose(
        np.einsum("lb,dlb->db", weight, eta), fit.parameters["alpha"][0], atol=1e-12
    )
    assert eta.std(axis=1).min() > 0.01


def test_default_decisions_that_the_data_cannot_tell_are_logged_once(small, caplog):
    norm = small.lms["attention"].map({"mha": "layernorm", "gqa": "rmsnorm"})
    data = replace(small, lms=small.lms.assign(norm=norm))
    build_graph(data, ModelSpec())
    (record,) = caplog.records
    assert record.levelname == "WARNING"
    text = record.getMessage()
    assert text.startswith("Decisions without variation in these data: biases, block, ")
    assert "norm (of attention)" in text
    assert "attention (of norm)" in text


def test_bundled_decisions_are_not_complained_about(bundled, caplog):
    build_graph(bundled, ModelSpec())
    assert not caplog.records


def test_orthogonal_is_random_without_scale_covariates(small, build_fake_fit):
    plain = {"scaling": "none", "release_date": "none"}
    fit = build_fake_fit(small, spec=ModelSpec(**plain), chains=1, draws=2)
    found = [
        family_effects(fit.parameters, design=fit.design, spec=replace(fit.spec, family_effects=f))
        for f in ("orthogonal", "random")
    ]
    np.testing.assert_allclose(*found, atol=1e-12)


def scored_lms(design):
    """Rows of the lms with a score; an audit left one without."""
    rows = np.unique(design.outcomes.lm_index)
    assert len(rows) == len(design.lms) - 1
    return rows


def test_family_effects_are_orthogonal_to_scale(fake_bundled_fit):
    design = fake_bundled_fit.design
    rows = scored_lms(design)
    found = family_effects(fake_bundled_fit.parameters, design=design, spec=ModelSpec())
    columns = np.column_stack([np.ones(len(rows)), design.scale[rows]])
    np.testing.assert_allclose(columns.T @ found[..., rows, :], 0, atol=1e-9)


def test_random_family_effects_are_orthogonal_to_the_intercept_only(fake_bundled_fit):
    design = fake_bundled_fit.design
    spec = ModelSpec(family_effects="random")
    found = family_effects(fake_bundled_fit.parameters, design=design, spec=spec)
    found = found[..., scored_lms(design), :]
    np.testing.assert_allclose(found.sum(axis=-2), 0, atol=1e-9)
    assert np.abs(design.scale[scored_lms(design)].T @ found).max() > 1


def test_family_effects_are_shared_by_siblings_up_to_the_projection(small, build_fake_fit):
    fit = build_fake_fit(small, override={"v": 0.0}, chains=1, draws=1)
    spec = ModelSpec(family_effects="random")
    found = family_effects(fit.parameters, design=fit.design, spec=spec)[0, 0]
    for f in range(len(fit.design.lm_families)):
        siblings = found[fit.design.lm_family_index == f]
        np.testing.assert_allclose(siblings, siblings[:1].repeat(len(siblings), 0), atol=1e-12)


def test_family_scale_is_the_deviation_of_a_family_effect(small, build_fake_fit):
    # u and w are standard normal: their effect has the standard deviation tau, whatever rho.
    n = 4000  # relative Monte Carlo error of a standard deviation 0.011
    rng = np.random.default_rng(3)
    override = {
        "v": 0.0, "tau_family": [0.3, 0.5, 0.8, 0.2],
        "u": rng.normal(size=(1, n, 5)), "w": rng.normal(size=(1, n, 5, 2)),
    }  # fmt: skip
    fit = build_fake_fit(small, override=override, chains=1, draws=n)
    design = fit.design
    found = family_effects(fit.parameters, design=design, spec=ModelSpec(family_effects="random"))
    share = np.bincount(design.lm_family_index) / 12
    bee, others = share[1], np.delete(share, 1)
    kept = np.sqrt((1 - bee) ** 2 + np.square(others).sum())  # what centring leaves
    expected = kept * np.array(override["tau_family"])
    row = design.lms.index("bee-1")
    np.testing.assert_allclose(found[0, :, row].std(axis=0), expected, rtol=0.05)


@pytest.fixture(scope="module")
def prior_fit(bundled, build_fake_fit):
    """Draws of the prior of the default model of the bundled data."""
    spec = ModelSpec()
    model = build_model(build_design_for(bundled, spec=spec), spec=spec)
    names = list(named_variables(model))
    draws = pm.draw(
        [model[name] for name in names], draws=PRIOR_DRAWS, random_seed=1, mode=QUICK_COMPILE
    )
    override = {name: value[None] for name, value in zip(names, draws, strict=True)}
    return build_fake_fit(bundled, spec=spec, chains=1, draws=PRIOR_DRAWS, override=override)


def test_prior_effects_of_decisions_are_small(prior_fit):
    for decision in ("position_embedding", "norm", "attention", "block", "activation"):
        for contrast in default_contrasts(prior_fit.design, decision):
            points = contrast_draws(prior_fit, contrast=contrast, by="benchmark").values
            assert np.isfinite(points).all()
            assert np.mean(np.abs(points) < PRIOR_LIMIT) >= PRIOR_SHARE


def test_prior_effect_of_ten_points_of_code_is_small(prior_fit):
    contrast = Contrast("code_share", 20.0, 10.0)
    points = contrast_draws(prior_fit, contrast=contrast, by="benchmark").values
    assert np.mean(np.abs(points) < PRIOR_LIMIT) >= PRIOR_SHARE


def test_prior_favours_no_direction(prior_fit):
    points = contrast_draws(prior_fit, contrast=Contrast("attention", "gqa", "mha")).values
    # Four Monte Carlo errors of a share of one half.
    assert np.mean(points > 0) == pytest.approx(0.5, abs=4 * 0.5 / np.sqrt(PRIOR_DRAWS))


def test_simulated_scores_are_finite(prior_fit):
    scores = score_distribution(
        prior_fit.parameters, design=prior_fit.design, spec=prior_fit.spec
    ).draw(1)
    assert scores.shape == (1, PRIOR_DRAWS, len(prior_fit.dataset.scores))
    assert np.isfinite(scores).all()


def test_prior_spans_the_observed_scores(prior_fit):
    design, scores = prior_fit.design, prior_fit.dataset.scores
    simulated = score_distribution(prior_fit.parameters, design=design, spec=prior_fit.spec).draw(2)
    low, high = np.quantile(simulated[0], [0.05, 0.95], axis=0)
    inside = (low <= scores["score"]) & (scores["score"] <= high)
    # A prior that is no narrower than the data puts at least its nominal share around them.
    assert inside.mean() > 0.9


def test_same_seed_simulates_the_same_scores(prior_fit):
    one, same, other = (
        score_distribution(prior_fit.parameters, design=prior_fit.design, spec=prior_fit.spec).draw(
            s
        )
        for s in (1, 1, 2)
    )
    np.testing.assert_array_equal(one, same)
    assert (one != other).all()


def test_simulated_scores_have_the_known_error_about_their_mean(small, build_fake_fit):
    n = 4000  # relative Monte Carlo error of a standard deviation 0.011
    spec = ModelSpec(likelihood="normal")
    one = build_fake_fit(small, spec=spec, chains=1, draws=1)
    override = {name: values[0, 0] for name, values in one.parameters.items()}
    fit = build_fake_fit(small, spec=spec, chains=1, draws=n, override=override)
    scores = score_distribution(fit.parameters, design=fit.design, spec=spec).draw(4)[0]
    density = score_distribution(fit.parameters, design=fit.design, spec=spec).log_density()[0, 0]
    y, sd = fit.design.outcomes.y, scores.std(axis=0)
    z = (y - scores.mean(axis=0)) / sd
    # The normal density that the simulated moments imply is the one that the model states.
    implied = -0.5 * z**2 - np.log(sd) - 0.5 * np.log(2 * np.pi)
    near = np.abs(z) < 3
    assert near.sum() > 10
    np.testing.assert_allclose(implied[near], density[near], atol=0.25)
