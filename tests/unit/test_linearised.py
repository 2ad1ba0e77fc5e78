"""The model as a Gaussian regression: against draws from its prior, brute force and a posterior."""

import dataclasses

import numpy as np
import pytest

import bayesmeta as bm
from bayesmeta import ModelSpec, Priors
from bayesmeta.estimates.counterfactual import weigh_benchmarks
from bayesmeta.estimates.linearised import (
    Estimate,
    Precision,
    facts_at_means,
    latent_draws,
    linearise,
    mean_change,
    to_free,
)
from bayesmeta.estimates.question import build_contrast, default_contrasts, list_decisions
from bayesmeta.inference.saved_fits import wrap_draws
from bayesmeta.model.predictor import linear_predictor

N_DRAWS = 4000

NARROW = Priors(alpha_sd=0.1, law_slope_sd=0.1, released_sd=0.3, surface_tau=(0.3, 0.3, 0.3))
"""Intercepts and slopes on scale that do not drown the parts whose covariance is looked at."""

SPECS = {
    "default": {},
    "no surface": {"interactions": "none"},
    "within-between": {"family_effects": "within-between", "scaling": "chinchilla"},
    "no families, complete": {"family_effects": "none", "pooling": "complete"},
    "independent benchmarks": {"pooling": "none", "family_effects": "random"},
}


def deviations(rng, lead, levels, task, n_benchmarks):
    """Draws (draw, k, benchmark) of a shared part, and of task families' and benchmarks' own."""
    shared, of_task, own = (np.sqrt(np.asarray(v))[None, :, None] for v in levels)
    n_tasks = task.max() + 1
    return (
        shared * rng.normal(size=(*lead, 1))
        + of_task * rng.normal(size=(*lead, n_tasks))[..., task]
        + own * rng.normal(size=(*lead, n_benchmarks))
    )


def draw_from_prior(fit, rng):
    """Coefficients, families and lms drawn anew, all variances at their posterior means."""
    design, spec = fit.design, fit.spec
    mean = {name: values.mean((0, 1)) for name, values in fit.parameters.items()}
    drawn = {name: np.broadcast_to(v, (N_DRAWS, *v.shape)) for name, v in mean.items()}
    task, n = design.task_family_index, len(design.benchmarks)
    priors = spec.priors
    drawn["alpha"] = priors.alpha_sd * rng.normal(size=(N_DRAWS, n))
    for name in ("u", "w", "v"):
        if name in mean:
            drawn[name] = rng.normal(size=(N_DRAWS, *mean[name].shape))
    squared = {k: np.square(fit.parameters[k]).mean((0, 1)) for k in mean if k.startswith("tau_")}
    n_free, own = design.loading.shape[1], np.ones(design.loading.shape[1])
    if spec.pooling == "none":
        levels = (0 * own, 0 * own, priors.beta_sd**2 * own)
    else:
        ratio = 0.0 if spec.pooling == "complete" else priors.beta_ratio
        tau = squared["tau_beta"][design.free_decision]
        levels = (tau, ratio**2 * tau, ratio**2 * tau)
    drawn["beta"] = design.loading @ deviations(rng, (N_DRAWS, n_free), levels, task, n)
    if "surface" in mean:
        k = mean["surface"].shape[0]
        levels = squared["tau_surface"][:, None] * np.ones(k)
        drawn["surface"] = deviations(rng, (N_DRAWS, k), levels, task, n)
    if "kappa" in mean:
        shared = [
            priors.released_sd if term == "released" else priors.law_slope_sd
            for term in design.scale_terms
        ]
        levels = np.square([shared, mean["tau_kappa_task"], mean["tau_kappa"]])
        kappa = deviations(rng, (N_DRAWS, len(shared)), levels, task, n)
        drawn["kappa"] = np.swapaxes(kappa, -1, -2)
    if "kappa_law" in mean:
        scales = priors.law_slope_sd, mean["tau_kappa_law_task"], mean["tau_kappa_law"]
        levels = np.square(scales)[:, None]
        drawn["kappa_law"] = deviations(rng, (N_DRAWS, 1), levels, task, n)[:, 0]
    if "kappa_between" in mean:
        k = len(design.between_terms)
        levels = priors.between_sd**2 * np.outer([1, 0, priors.beta_ratio**2], np.ones(k))
        drawn["kappa_between"] = np.swapaxes(deviations(rng, (N_DRAWS, k), levels, task, n), -1, -2)
    return drawn


@pytest.fixture(scope="module", params=list(SPECS), ids=list(SPECS))
def built(request, small, build_fake_fit):
    fit = build_fake_fit(small, spec=ModelSpec(**SPECS[request.param], priors=NARROW))
    return fit, linearise(fit), draw_from_prior(fit, np.random.default_rng(3))


def covariance_of(model):
    """Prior covariance of the responses, with their noise, shape (obs, obs)."""
    covariance = np.diag(model.noise)
    for level, group in enumerate(model.levels):
        columns = model.columns_of_level(level)
        covariance += (columns @ columns.T) * (group[:, None] == group)
    return covariance


def covariance_with(model, moved, weights):
    """Prior covariance of effects with the responses, shape (..., obs)."""
    moved = np.pad(moved, (0, model.columns.shape[1] - len(moved)))
    parts = zip(model._scales(weights), model.levels, model.variance, strict=True)
    return sum(scale[..., group] * (model.columns @ (row * moved)) for scale, group, row in parts)


def test_covariance_is_that_of_draws_from_the_prior(built):
    fit, model, drawn = built
    eta = linear_predictor(drawn, design=fit.design, spec=fit.spec)
    responses = eta[:, model.lm, model.benchmark]
    covariance = covariance_of(model)
    noise = np.diag(covariance) - responses.var(0)
    prior = covariance - np.diag(np.diag(covariance))
    sd = responses.std(0)
    found = np.cov(responses.T)
    difference = (found - prior)[~np.eye(len(sd), dtype=bool)] / np.outer(sd, sd)[
        ~np.eye(len(sd), dtype=bool)
    ]
    assert np.abs(difference).max() < 5.5 / np.sqrt(N_DRAWS)  # of some thousand correlations
    assert (noise > -0.1 * sd**2).all()


@pytest.mark.parametrize("decision, a, b", [("attention", "gqa", "mha"), ("code_share", 20, 10)])
def test_effect_goes_with_the_responses_as_in_draws_from_the_prior(built, decision, a, b):
    fit, model, drawn = built
    contrast = build_contrast(fit.design, decision=decision, level=a, reference=b)
    change = mean_change(fit, contrast)
    moved = to_free(fit.design, change)
    eta = linear_predictor(drawn, design=fit.design, spec=fit.spec)
    responses = eta[:, model.lm, model.benchmark]
    prior_fit = wrap_draws(
        {name: values[None] for name, values in drawn.items()},
        spec=fit.spec, dataset=fit.dataset, source="prior",
    )  # fmt: skip
    for by in ("overall", "task_family", "benchmark"):
        weights = weigh_benchmarks(fit.design, by=by)[1][-1]
        effect = (latent_draws(prior_fit, change) @ weights)[0]
        variance = model.prior_variance(moved, weights=weights)
        assert variance == pytest.approx(effect.var(), rel=6 * np.sqrt(2 / N_DRAWS))
        found = (effect - effect.mean()) @ (responses - responses.mean(0)) / N_DRAWS
        scale = effect.std() * responses.std(0)
        wanted = covariance_with(model, moved, weights)
        assert np.abs((found - wanted) / scale).max() < 5 / np.sqrt(N_DRAWS)


def random_groups(rng):
    """A precision of 40 responses in groups within groups, and its inverse, term by term."""
    own = np.sort(rng.integers(9, size=40))
    precision, covariance = Precision(1 / rng.uniform(0.5, 2, 40)), np.zeros((40, 40))
    covariance += np.diag(1 / precision.weight)
    for group, n_effects in (own, 5), (own // 3, 2), (0 * own, 50):
        columns = rng.normal(size=(40, n_effects))
        covariance += (columns @ columns.T) * (group[:, None] == group)
        precision = precision.add_effects(columns, group)
    return precision, covariance


def test_precision_is_the_inverse_of_the_covariance():
    rng = np.random.default_rng(4)
    precision, covariance = random_groups(rng)
    wanted, rows = np.linalg.inv(covariance), rng.permutation(40)[:13]
    values = rng.normal(size=(3, 2, 40))
    np.testing.assert_allclose(precision.times(values), values @ wanted, rtol=1e-8, atol=1e-10)
    np.testing.assert_allclose(precision.times(values[0, 0]), values[0, 0] @ wanted, atol=1e-10)
    block = wanted[np.ix_(rows, rows)]
    np.testing.assert_allclose(precision.block(rows), block, rtol=1e-8, atol=1e-10)


def test_no_scores_leave_the_prior(built):
    fit, model, _ = built
    moved, weights = some_change(fit)
    found = model.given(np.zeros(len(model.response), bool)).estimate(moved, weights=weights)
    prior = model.prior_variance(moved, weights=weights)
    assert (float(found.mean), float(found.sd)) == (0.0, pytest.approx(np.sqrt(prior)))


def some_change(fit):
    contrast = build_contrast(fit.design, decision="attention", level="gqa", reference="mha")
    moved = to_free(fit.design, mean_change(fit, contrast))
    return moved, weigh_benchmarks(fit.design, by="overall")[1][0]


def test_missing_facts_stand_at_their_posterior_means(fake_fit):
    missing, drawn = fake_fit.design.missing, fake_fit.parameters["x_unknown"]
    assert drawn.std(axis=(0, 1)).min() > 0.1
    found = facts_at_means(fake_fit).X[missing.row, missing.term]
    np.testing.assert_array_equal(found, drawn.mean(axis=(0, 1))[missing.slot])


def test_without_a_family_is_the_regression_of_the_other_scores(built):
    fit, model, _ = built
    moved, weights = some_change(fit)
    found = model.without_each_family(moved, weights=weights)
    for k in np.unique(model.family):
        wanted = model.given(model.family != k).estimate(moved, weights=weights)
        assert found.mean[k] == pytest.approx(float(wanted.mean), abs=1e-8)
        assert found.sd[k] == pytest.approx(float(wanted.sd), rel=1e-6)


@pytest.mark.parametrize("n", [1, 9])
@pytest.mark.parametrize(
    "part", ["estimate", "estimate_within", "estimate_between", "without_each_family"]
)
def test_many_targets_at_once_are_those_one_by_one(built, part, n):
    fit, model, _ = built
    moved, _ = some_change(fit)
    targets = np.random.default_rng(2).dirichlet(np.ones(len(fit.design.benchmarks)), size=n)
    ask = getattr(model, part)
    together = ask(moved, weights=targets)
    for k, weights in enumerate(targets):
        alone = ask(moved, weights=weights)
        assert alone.mean.shape == together.mean.shape[1:]
        np.testing.assert_allclose(together.mean[k], alone.mean, rtol=1e-8, atol=1e-10)
        np.testing.assert_allclose(together.sd[k], alone.sd, rtol=1e-8, atol=1e-10)
    pulls = model.pulls(moved, weights=targets)
    np.testing.assert_allclose(pulls[0], model.pulls(moved, weights=targets[0]), rtol=1e-8)


def same_group(model):
    index = model.family * len(model.task) + model.benchmark
    return index, (index[:, None] == index).astype(float)


@pytest.mark.parametrize("part", ["siblings alone", "means of families"])
def test_a_part_is_the_regression_with_a_flat_prior_over_the_rest(built, part):
    fit, model, _ = built
    moved, weights = some_change(fit)
    _, same = same_group(model)
    if part == "siblings alone":
        found, ignored = model.estimate_within(moved, weights=weights), same
    else:
        found = model.estimate_between(moved, weights=weights)
        ignored = np.eye(len(same)) - same / same.sum(axis=1)
    covariance = covariance_of(model) + 1e7 * ignored
    (mean,), (sd,), _ = solve(model, covariance, moved, weights[None])
    assert float(found.mean) == pytest.approx(mean, abs=1e-4 * sd)
    assert float(found.sd) == pytest.approx(sd, rel=1e-4)


def solve(model, covariance, moved, weights):
    """Means, sd and gains of effects by the closed form, whatever the covariance of responses."""
    with_responses = covariance_with(model, moved, weights)
    gain = np.linalg.solve(covariance, with_responses.T).T
    left = model.prior_variance(moved, weights=weights) - (gain * with_responses).sum(axis=-1)
    return gain @ model.response, np.sqrt(left), gain


@pytest.fixture(scope="module")
def shipped():
    """The shipped posterior's regression, its dense covariance, and an effect on all targets."""
    fit = bm.load_reference_fit()
    model, (moved, _) = linearise(fit), some_change(fit)
    return model, covariance_of(model), moved, weigh_benchmarks(fit.design, by="benchmark")[1]


def map_rows(model, part):
    """What makes the responses of a part of the data of all, shape (row, obs)."""
    index, same = same_group(model)
    if part == "estimate_between":
        first = np.unique(index, return_index=True)[1]
        return (same / same.sum(axis=1))[first]
    pairs = [(i, j) for i, j in zip(*np.nonzero(same), strict=True) if i == np.argmax(same[j]) < j]
    differences = np.zeros((len(pairs), len(index)))
    for row, (i, j) in zip(differences, pairs, strict=True):
        row[[i, j]] = -1, 1  # from the first of the family on the benchmark
    return differences


@pytest.mark.parametrize("part", ["estimate_within", "estimate_between"])
def test_parts_of_the_shipped_data_are_the_closed_form_of_their_rows(shipped, part):
    model, covariance, moved, weights = shipped
    rows, found = map_rows(model, part), getattr(model, part)(moved, weights=weights)
    with_rows = covariance_with(model, moved, weights) @ rows.T
    gain = np.linalg.solve(rows @ covariance @ rows.T, with_rows.T).T
    left = model.prior_variance(moved, weights=weights) - (gain * with_rows).sum(axis=-1)
    np.testing.assert_allclose(found.sd, np.sqrt(left), rtol=1e-8)
    mean = gain @ (rows @ model.response)
    np.testing.assert_allclose(found.mean, mean, rtol=1e-8, atol=1e-8 * found.sd.min())


def test_all_and_some_of_the_shipped_data_are_the_closed_form(shipped):
    model, covariance, moved, weights = shipped
    mean, sd, gain = solve(model, covariance, moved, weights)
    found, near = model.estimate(moved, weights=weights), {"rtol": 1e-8, "atol": 1e-8 * sd.min()}
    np.testing.assert_allclose(found.mean, mean, **near)
    np.testing.assert_allclose(found.sd, sd, **near)
    pulls = [np.sqrt(np.bincount(model.lm, weights=row)) for row in np.square(gain)]
    np.testing.assert_allclose(model.pulls(moved, weights=weights), pulls, rtol=1e-7)
    without = model.without_each_family(moved, weights=weights)
    families = np.unique(model.family, return_counts=True)
    for k in families[0][np.argsort(families[1])[[0, -1]]]:
        rows = model.family != k
        some = model.given(rows)
        mean, sd, _ = solve(some, covariance[np.ix_(rows, rows)], moved, weights)
        left_out = Estimate(without.mean[:, k], without.sd[:, k])
        for one in (some.estimate(moved, weights=weights), left_out):
            np.testing.assert_allclose(one.mean, mean, **near)
            np.testing.assert_allclose(one.sd, sd, **near)


def test_siblings_alone_do_not_see_what_families_have_in_common(built):
    fit, model, _ = built
    moved, weights = some_change(fit)
    shift = np.random.default_rng(1).normal(size=model.n_families)[model.family]
    shifted = dataclasses.replace(model, response=model.response + shift)
    within = [float(m.estimate_within(moved, weights=weights).mean) for m in (model, shifted)]
    everything = [float(m.estimate(moved, weights=weights).mean) for m in (model, shifted)]
    assert within[1] == pytest.approx(within[0], abs=1e-6)
    assert abs(everything[1] - everything[0]) > 1e-4


def test_means_of_families_do_not_see_differences_between_siblings(built):
    fit, model, _ = built
    moved, weights = some_change(fit)
    index, _ = same_group(model)
    noise = np.random.default_rng(2).normal(size=len(index))
    means = np.bincount(index, weights=noise) / np.maximum(np.bincount(index), 1)
    shifted = dataclasses.replace(model, response=model.response + noise - means[index])
    between = [float(m.estimate_between(moved, weights=weights).mean) for m in (model, shifted)]
    everything = [float(m.estimate(moved, weights=weights).mean) for m in (model, shifted)]
    assert between[1] == pytest.approx(between[0], abs=1e-6)
    assert abs(everything[1] - everything[0]) > 1e-4


def test_it_says_what_the_posterior_says():
    """On the shipped posterior; what is left out is the uncertainty of scales, and experiments.

    These inform the associations of what they vary, a little: the approximation is of LMs alone.
    """
    fit = bm.load_reference_fit()
    varied = (fit.design.contrasts.columns["beta"] != 0).any(axis=0)
    model = linearise(fit)
    for by in ("overall", "task_family"):
        for weights in weigh_benchmarks(fit.design, by=by)[1]:
            for name in list_decisions(fit.design):
                for contrast in default_contrasts(fit.design, name):
                    change = mean_change(fit, contrast)
                    draws = latent_draws(fit, change) @ weights
                    moved = to_free(fit.design, change)
                    found = model.estimate(moved, weights=weights)
                    label = f"{contrast.label} {by}"
                    one, other = (side.of(fit.design.facts).X for side in contrast.sides)
                    informed = varied[(one != other).any(axis=0)].any()
                    most = (1.0 if informed else 0.5) * draws.std()
                    assert abs(float(found.mean) - draws.mean()) < most, label
                    assert 0.65 < float(found.sd) / draws.std() < 1.25, label


def test_pulls_are_of_lms_that_have_scores():
    fit = bm.load_reference_fit()
    moved, weights = some_change(fit)
    pulls = linearise(fit).pulls(moved, weights=weights)
    scored = np.isin(np.arange(len(pulls)), fit.design.outcomes.lm_index)
    assert (pulls[scored] > 0).all()
