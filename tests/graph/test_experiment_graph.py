"""Experiments in the graph: against numpy, the prior of effects, studies held out."""

import re
from dataclasses import replace

import numpy as np
import pymc as pm
import pytest
from scipy import stats

from bayesmeta.data.load import bundled_folder
from bayesmeta.design.facts import training_data
from bayesmeta.inference.graph import list_kept
from bayesmeta.model.blocks import build_model
from bayesmeta.model.predictor import contrast_distribution
from bayesmeta.model.spec import ModelSpec, Priors, build_design_for, build_pairs

ROUNDING = 1e-8
"""Two orders of summation of the same terms in double precision."""

QUICK_COMPILE = "FAST_COMPILE"
"""A graph that is evaluated a few times is not worth machine code."""

OPTIONS = (
    {}, {"bias": "none"}, {"study_effects": "none"}, {"run_effects": "none"},
    {"likelihood": "normal"}, {"pooling": "none"}, {"pooling": "complete"},
    {"interactions": "none"}, {"decisions": ()}, {"scaling": "chinchilla"},
    {"scaling": "none", "release_date": "none"}, {"unknown_numbers": "estimated"},
    {"shrinkage": "r2d2"}, {"decisions": (), "interactions": "none"},
)  # fmt: skip


def spec_of(options):
    return ModelSpec(experiments="included", **options)


def evaluate(model, *, n_points=3, seed=0):
    """Log density of all contrasts in the graph, and the named values, at random points."""
    names = list_kept(model)
    named = [v for v in model.unobserved_value_vars if v.name in names]
    (part,) = model.logp(vars=[model["contrast"]], sum=False, jacobian=False)
    function = model.compile_fn(
        [part, *named], inputs=model.value_vars, mode=QUICK_COMPILE, on_unused_input="ignore"
    )
    rng, start = np.random.default_rng(seed), model.initial_point()
    for _ in range(n_points):
        density, *values = function({k: v + rng.normal(0, 0.3, np.shape(v)) for k, v in
                                     start.items()})  # fmt: skip
        yield density.sum(), dict(zip([v.name for v in named], values, strict=True))


@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_log_density_of_contrasts_is_that_of_numpy(informed, options):
    spec = spec_of(options)
    design = build_design_for(informed, spec=spec)
    for density, values in evaluate(build_model(design, spec=spec)):
        law = contrast_distribution(values, contrasts=design.contrasts, spec=spec)
        np.testing.assert_allclose(density, law.log_density().sum(), rtol=ROUNDING)
        shape = () if law.nu is None else (law.nu,)
        kind = stats.norm if law.nu is None else stats.t
        expected = kind.logpdf(design.contrasts.y, *shape, loc=law.mu, scale=law.sd)
        np.testing.assert_allclose(density, expected.sum(), rtol=ROUNDING)


def test_log_density_of_bundled_contrasts_is_that_of_numpy(bundled_informed):
    spec = spec_of({})
    design = build_design_for(bundled_informed, spec=spec)
    for density, values in evaluate(build_model(design, spec=spec), n_points=1):
        law = contrast_distribution(values, contrasts=design.contrasts, spec=spec)
        np.testing.assert_allclose(density, law.log_density().sum(), rtol=ROUNDING)


@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_named_variables_and_dims(informed, list_dims, options):
    spec = spec_of(options)
    design = build_design_for(informed, spec=spec)
    model = build_model(design, spec=spec)
    found = {name: tuple(model.named_vars_to_dims.get(name, ())) for name in list_kept(model)}
    assert found == list_dims(design, spec)
    for name, labels in design.coords.items():
        assert list(model.coords[name]) == list(labels)


def test_associations_and_scores_have_the_density_that_they_have_without_experiments(informed):
    own, found = None, []
    for experiments in ("ignored", "included"):
        spec = ModelSpec(experiments=experiments)
        model = build_model(build_design_for(informed, spec=spec), spec=spec)
        own = [v.name for v in model.free_RVs] if own is None else own
        variables = [model["y"], *(model[name] for name in own)]
        parts = model.logp(vars=variables, sum=False, jacobian=False)
        inputs = [model.rvs_to_values[v] for v in variables[1:]]
        function = model.compile_fn(parts, inputs=inputs, mode=QUICK_COMPILE)
        start, rng = model.initial_point(), np.random.default_rng(6)
        point = {
            v.name: start[v.name] + rng.normal(0, 0.1, np.shape(start[v.name])) for v in inputs
        }
        found.append(np.concatenate([np.ravel(part) for part in function(point)]))
    np.testing.assert_allclose(*found, rtol=ROUNDING)


@pytest.fixture(scope="module")
def draw_prior(informed):
    """Draws of variables of the prior of a spec: `draw_prior(spec, names, draws)`."""

    def draw(spec, names, draws):
        model = build_model(build_design_for(informed, spec=spec), spec=spec)
        return pm.draw(
            [model[name] for name in names], draws=draws, random_seed=1, mode=QUICK_COMPILE
        )

    return draw


def expected_covariance(task, *, shared, of_task, own):
    """Covariance over benchmarks of coefficients that are pooled."""
    return shared + of_task * (task[:, None] == task) + own * np.eye(len(task))


@pytest.mark.parametrize("pooling", ["partial", "none", "complete"])
def test_effects_are_a_share_of_associations_and_of_something_of_their_own(
    informed, draw_prior, pooling
):
    n, spec = 4000, spec_of({"pooling": pooling})
    design = build_design_for(informed, spec=spec)
    names = ["beta", "beta_effect", "effect_share", "tau_effect"]
    names += ["tau_beta"] * (pooling != "none")
    beta, effect, share, own_scale, *tau = draw_prior(spec, names, n)
    scale = tau[0] if tau else np.full((n, len(design.decisions)), spec.priors.beta_sd)
    owner, ratio = design.free_decision, spec.priors.beta_ratio
    share = share[:, owner, None]
    free, free_effect = (np.einsum("tf,dtb->dfb", design.loading, x) for x in (beta, effect))
    other = free_effect - share * free
    free = free / scale[:, owner, None]
    other = other / (np.sqrt(share * (1 - share)) * own_scale[:, owner, None])
    shared, of_task, own = {"partial": (1, ratio**2, ratio**2), "none": (0, 0, 1),
                            "complete": (1, 0, 0)}[pooling]  # fmt: skip
    expected = expected_covariance(
        design.task_family_index, shared=shared, of_task=of_task, own=own
    )
    size = np.prod(free.shape[:2])
    for one, two, want in ((free, free, 1), (other, other, 1), (free, other, 0)):
        found = np.einsum("dfb,dfc->bc", one, two) / size
        np.testing.assert_allclose(found, want * expected, atol=5 * 1.5 / np.sqrt(size))
    # Coordinates that contrasts tell precisely, and others, have one prior.
    each = (other**2).mean(axis=0)
    assert each == pytest.approx(np.diag(expected) * np.ones(each.shape), rel=5 * np.sqrt(2 / n))


def test_effects_of_the_surface_are_made_likewise(informed, draw_prior):
    n, spec = 2000, spec_of({})
    design = build_design_for(informed, spec=spec)
    names = ["surface", "surface_effect", "effect_share", "tau_surface_effect"]
    surface, effect, share, tau = draw_prior(spec, names, n)
    share, task = share[:, -1, None, None], design.task_family_index
    other = (effect - share * surface) / np.sqrt(share * (1 - share))
    shared, of_task, own = (tau**2).T[..., None, None]
    expected = shared + of_task * (task[:, None] == task) + own * np.eye(len(task))
    sd = np.sqrt(np.einsum("dbb->db", expected))  # relative to it: scales have tails
    relative = sd[:, :, None] * sd[:, None]
    k = surface.shape[1]
    for one, want in ((other, 1), (surface, 0)):
        found = np.einsum("dfb,dfc->dbc", one, other) / k / relative
        np.testing.assert_allclose(
            found.mean(axis=0), want * (expected / relative).mean(axis=0), atol=0.06
        )


@pytest.mark.parametrize("ratio", [0.5, 2.0])
def test_larger_biases_leave_effects_a_smaller_share(draw_prior, ratio):
    spec = spec_of({"priors": Priors(bias_ratio=ratio)})
    (mean,) = draw_prior(spec, ["effect_share_mean"], 4000)
    share = 1 / (1 + np.exp(-np.median(mean)))
    assert np.sqrt((1 - share) / share) == pytest.approx(ratio, rel=0.05)


def test_shares_of_effects_differ_between_decisions_about_a_common_mean(draw_prior):
    n, spec = 4000, spec_of({})
    (share,) = draw_prior(spec, ["effect_share"], n)
    logit, priors = np.log(share / (1 - share)), spec.priors
    found = np.cov(logit.T)
    expected = priors.effect_share_sd**2 + priors.effect_share_spread**2 * np.eye(len(found))
    np.testing.assert_allclose(found, expected, atol=5 * 1.5 * np.sqrt(2 / n))


def test_effects_in_a_study_differ_as_much_as_is_stated(informed, draw_prior):
    n, spec = 4000, spec_of({})
    contrasts = build_design_for(informed, spec=spec).contrasts
    names = ["study_effect", "study_ratio", "tau_effect", "tau_arm"]
    effect, ratio, tau, tau_arm = draw_prior(spec, names, n)
    scale = np.concatenate([tau, tau_arm], axis=1)[:, contrasts.setting_block]
    standard = effect / (ratio[:, None] * scale)[..., None]
    measured = contrasts.measured_settings()
    variance = (standard[:, measured] ** 2).mean(axis=0)
    np.testing.assert_allclose(variance, 1 + 2 * spec.priors.beta_ratio**2, rtol=5 * np.sqrt(2 / n))
    assert np.median(ratio) == pytest.approx(spec.priors.study_ratio, rel=0.05)


def test_a_graph_given_the_data_without_a_study_is_the_graph_without_it(informed):
    spec = spec_of({})
    design = build_design_for(informed, spec=spec)
    held = replace(design, contrasts=design.contrasts.hold_out("heads"))
    whole, fresh = (build_model(d, spec=spec) for d in (design, held))
    for name, values in training_data(held).items():
        whole.set_data(name, values)
    pairs = zip(evaluate(whole), evaluate(fresh), strict=True)
    for (found, _), (expected, values) in pairs:
        np.testing.assert_allclose(found, expected, rtol=ROUNDING)
        law = contrast_distribution(
            values, contrasts=design.contrasts.of(held.contrasts.train), spec=spec
        )
        np.testing.assert_allclose(found, law.log_density().sum(), rtol=ROUNDING)


def test_prior_of_contrasts_in_points(bundled_informed):
    # MODEL.md states the figures.
    spec = spec_of({})
    design = build_design_for(bundled_informed, spec=spec)
    model = build_model(design, spec=spec)
    names = list_kept(model)
    draws = pm.draw([model[n] for n in names], draws=1000, random_seed=1, mode=QUICK_COMPILE)
    pairs = build_pairs(bundled_informed, design, spec=spec)
    law = contrast_distribution(dict(zip(names, draws, strict=True)), contrasts=pairs, spec=spec)
    rows = pairs.benchmark_index == design.benchmarks.index("hellaswag")
    text = (bundled_folder().parent / "MODEL.md").read_text(encoding="utf-8")
    told = re.search(
        r"half of the simulated differences on HellaSwag are below ([\d.]+) points and 90 % below"
        r" ([\d.]+); of the recorded\s+([\d.]+) and ([\d.]+)", " ".join(text.split())
    )  # fmt: skip
    assert told
    found = [np.quantile(100 * np.abs(y[..., rows]), [0.5, 0.9]) for y in (law.draw(2), pairs.y)]
    # Five Monte Carlo errors of the quantiles of the simulated ones, roughly.
    np.testing.assert_allclose(found[0], [float(told[1]), float(told[2])], rtol=0.1)
    np.testing.assert_allclose(found[1], [float(told[3]), float(told[4])], atol=0.06)
