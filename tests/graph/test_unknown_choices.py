"""Undisclosed choices summed out: the graph against brute force over every configuration."""

from dataclasses import replace
from itertools import product

import numpy as np
import pytest
from scipy import stats
from scipy.special import logsumexp

from bayesmeta.evaluation.schemes import build_folds
from bayesmeta.model import (
    ModelSpec,
    build_design_for,
    expected_score,
    linear_predictor,
    pointwise_log_likelihood,
    pointwise_probability,
    score_distribution,
    simulate_scores,
)
from bayesmeta.model.blocks import training_data
from bayesmeta.model.build import build_model

ROUNDING = 1e-8
"""Two orders of summation of the same terms in double precision."""

QUICK_COMPILE = "FAST_COMPILE"
"""A graph that is evaluated a few times is not worth machine code."""

SPECS = {
    "student": ModelSpec(unknown_categories="summed"),
    "normal": ModelSpec(unknown_categories="summed", likelihood="normal", family_effects="none"),
}
OPTIONS = pytest.mark.parametrize("spec", SPECS.values(), ids=SPECS.keys())


@pytest.fixture(scope="module")
def hidden(small):
    """The small dataset with four undisclosed records, two of them of siblings that differ."""
    lms = small.lms.copy()
    lms.loc[lms["lm"] == "bee-2", "attention"] = None
    lms.loc[lms["lm"] == "bee-3", ["attention", "position_embedding"]] = None
    lms.loc[lms["lm_family"] == "cat", ["position_embedding", "attention"]] = None
    return replace(small, lms=lms)


def compile_parts(model):
    """Scores with known choices, the summed ones, and named values at a point."""
    wanted = [model["y"], model["y_unknown"]]
    scores, summed = model.logp(vars=wanted, sum=False, jacobian=False)
    named = [v for v in model.unobserved_value_vars if not str(v.name).endswith("__")]
    function = model.compile_fn(
        [scores, summed, *named],
        inputs=model.value_vars, mode=QUICK_COMPILE, on_unused_input="ignore",
    )  # fmt: skip
    names = [str(v.name) for v in named]

    def evaluate(point):
        scores, summed, *values = function(point)
        return scores, summed, dict(zip(names, values, strict=True))

    return evaluate


def fixed_points(model, n=3):
    rng, start = np.random.default_rng(5), model.initial_point()
    return [{k: v + rng.normal(0, 0.3, np.shape(v)) for k, v in start.items()} for _ in range(n)]


def fill(dataset, design, choice):
    """The dataset with one configuration chosen for every record, by position."""
    lms = dataset.lms.copy()
    for row, record in zip(design.unknown.rows, design.unknown.record, strict=True):
        for k in np.flatnonzero(design.unknown.shift[record, choice[record]]):
            term = design.terms[k]
            lms.loc[row, term.decision] = term.level
    return replace(dataset, lms=lms)


def densities_of(dataset, design, choice, *, values, spec):
    """Log density of every score where the choices are known: another design, one line of scipy."""
    known = build_design_for(fill(dataset, design, choice), spec=spec)
    assert known.unknown is None
    assert [t.label for t in known.terms] == [t.label for t in design.terms]
    centers = {"X_center": design.X_center}
    mu, sd = score_distribution(values, design=replace(known, **centers), spec=spec)
    law = stats.norm if spec.likelihood == "normal" else stats.t(1 + values["nu_beyond_one"])
    return law.logpdf((known.outcomes.y - mu) / sd) - np.log(sd)


def possible(design):
    """Every joint choice of all records, and its log prior probability."""
    counts = (design.unknown.prior > 0).sum(axis=1)
    for choice in product(*(range(n) for n in counts)):
        yield choice, sum(design.unknown.log_weight[g, k] for g, k in enumerate(choice))


@OPTIONS
def test_likelihood_is_the_sum_over_every_joint_configuration(hidden, spec):
    design = build_design_for(hidden, spec=spec)
    model = build_model(design, spec=spec)
    evaluate = compile_parts(model)
    for point in fixed_points(model):
        scores, summed, values = evaluate(point)
        joint = [
            weight + densities_of(hidden, design, choice, values=values, spec=spec).sum()
            for choice, weight in possible(design)
        ]
        assert len(joint) > 10
        assert scores.sum() + summed.sum() == pytest.approx(logsumexp(joint), rel=ROUNDING)


@OPTIONS
def test_pointwise_density_is_the_change_of_the_joint_one(hidden, spec):
    # p(y_j | the others) = p(all) / p(the others), summed over all joint configurations.
    design = build_design_for(hidden, spec=spec)
    model = build_model(design, spec=spec)
    _, _, values = compile_parts(model)(fixed_points(model, n=1)[0])
    found = pointwise_log_likelihood(values, design=design, spec=spec)
    table = np.array([
        [weight, *densities_of(hidden, design, choice, values=values, spec=spec)]
        for choice, weight in possible(design)
    ])  # fmt: skip
    total = table.sum(axis=1)
    expected = [logsumexp(total) - logsumexp(total - own) for own in table[:, 1:].T]
    np.testing.assert_allclose(found, expected, rtol=1e-6)


def test_known_scores_alone_are_observed(hidden):
    spec = SPECS["student"]
    design = build_design_for(hidden, spec=spec)
    model = build_model(design, spec=spec)
    open_lms = {"bee-2", "bee-3", "cat-1", "cat-2", "elk-1", "elk-2"}
    known = ~hidden.scores["lm"].isin(open_lms)
    np.testing.assert_array_equal(model.coords["obs"], np.flatnonzero(known))
    assert [name.split(":")[0] for name in design.coords["record"]] == ["bee", "bee", "cat", "elk"]
    assert "undisclosed" not in {term.level for term in design.terms}


def test_named_variables_and_dims(hidden, list_dims):
    spec = SPECS["student"]
    design = build_design_for(hidden, spec=spec)
    model = build_model(design, spec=spec)
    names = [str(value.name) for value in model.unobserved_value_vars]
    kept = [n for n in names if not n.startswith("z_") and not n.endswith("__")]
    found = {n: tuple(model.named_vars_to_dims.get(n, ())) for n in kept}
    assert found == list_dims(design, spec)


def test_gradient_is_finite_where_records_have_unequally_many_configurations(hidden):
    spec = SPECS["student"]
    model = build_model(build_design_for(hidden, spec=spec), spec=spec)
    assert np.isinf(build_design_for(hidden, spec=spec).unknown.log_weight).any()
    gradient = model.compile_dlogp()(fixed_points(model, n=1)[0])
    assert np.isfinite(gradient).all()


def test_configurations_are_those_of_similar_lms_counted_by_families(hidden):
    design = build_design_for(hidden, spec=SPECS["student"])
    unknown = design.unknown
    labels = [term.label for term in design.terms]
    levels = [
        {tuple(labels[t] for t in np.flatnonzero(row)): weight for row, weight in
         zip(unknown.shift[g], unknown.prior[g], strict=True) if weight > 0}
        for g in range(4)
    ]  # fmt: skip
    mha, gqa = "attention[mha]", "attention[gqa]"
    learned, rotary = "position_embedding[learned]", "position_embedding[rotary]"
    assert levels[0] == {(rotary, mha): 1.0} or levels[0] == {(mha,): 1.0}  # bee-1 alone
    # ant made both choices, dog one, bee-1 one: 1.5 families each but for gqa with learned.
    assert levels[2] == pytest.approx({(learned, mha): 1.5 / 5.5, (learned, gqa): 2.5 / 5.5,
                                       (rotary, mha): 1.5 / 5.5})  # fmt: skip
    # elk-1 discloses mha: ant and bee have that.
    assert levels[3] == pytest.approx({(learned,): 0.5, (rotary,): 0.5})


def test_open_decisions_that_nobody_discloses_together_are_independent(small):
    lms = small.lms.copy()
    lms.loc[lms["lm_family"].isin(["ant", "dog"]), "attention"] = None
    lms.loc[lms["lm_family"].isin(["bee", "elk"]), "position_embedding"] = None
    lms.loc[lms["lm_family"] == "cat", ["position_embedding", "attention"]] = None
    lms.loc[lms["lm"] == "dog-1", "position_embedding"] = "rotary"
    spec = SPECS["student"]
    unknown = build_design_for(replace(small, lms=lms), spec=spec).unknown
    g = unknown.names.index("cat")
    # learned: ant, dog; rotary: dog. gqa: bee; mha: bee, elk. Half a family is added to each.
    odds = np.outer([2.5, 1.5], [1.5, 2.5]).ravel()
    found = unknown.prior[g][unknown.prior[g] > 0]
    np.testing.assert_allclose(found, odds / odds.sum())


def test_graph_given_the_data_of_a_fold_is_the_graph_of_that_fold(hidden):
    spec = SPECS["student"]
    model = build_model(build_design_for(hidden, spec=spec), spec=spec)
    whole, points = compile_parts(model), fixed_points(model, n=2)
    no_cat = (hidden.scores["lm"] != "cat-1") & (hidden.scores["lm"] != "cat-2")
    for train in (build_folds(hidden, scheme="random", seeds=[1])[0].train, no_cat.to_numpy()):
        design = build_design_for(hidden, spec=spec, train=train)
        fresh = compile_parts(build_model(design, spec=spec))
        for name, values in training_data(design).items():
            model.set_data(name, values)
        for point in points:
            for found, expected in zip(whole(point)[:2], fresh(point)[:2], strict=True):
                np.testing.assert_allclose(found, expected, rtol=ROUNDING, atol=1e-12)
        weight = whole(points[0])[2]["configuration_weight"]
    # A record without a score to learn from keeps its prior.
    np.testing.assert_allclose(weight[2], design.unknown.prior[2])
    assert not np.allclose(weight[3], design.unknown.prior[3])


def test_predictions_of_a_held_out_record_are_mixtures_over_the_prior(hidden):
    spec = SPECS["normal"]
    train = (hidden.scores["lm_family"] if "lm_family" in hidden.scores else
             hidden.scores["lm"].str[:3]).ne("cat").to_numpy()  # fmt: skip
    design = build_design_for(hidden, spec=spec, train=train)
    model = build_model(design, spec=spec)
    _, _, values = compile_parts(model)(fixed_points(model, n=1)[0])
    weights, logs, lows, means = [], [], [], []
    for k, weight in enumerate(design.unknown.prior[2]):
        one_hot = values["configuration_weight"].copy()
        one_hot[2] = np.eye(len(one_hot[2]))[k]
        at = {**values, "configuration_weight": one_hot}
        mu, sd = score_distribution(at, design=design, spec=spec)
        weights.append(weight)
        means.append(mu)
        logs.append(stats.norm.logpdf(design.outcomes.y, mu, sd))
        lows.append(stats.norm.cdf(design.outcomes.y, mu, sd))
    density = np.log(np.average(np.exp(logs), axis=0, weights=weights))
    test = ~train
    found = pointwise_log_likelihood(values, design=design, spec=spec)
    np.testing.assert_allclose(found[test], density[test], rtol=ROUNDING)
    below = pointwise_probability(values, design=design, spec=spec)
    expected = np.average(lows, axis=0, weights=weights)
    np.testing.assert_allclose(below[test], expected[test], rtol=ROUNDING)
    mu, _ = score_distribution(values, design=design, spec=spec)
    average = np.average(means, axis=0, weights=weights)
    np.testing.assert_allclose(mu[test], average[test], rtol=ROUNDING)


def test_simulated_scores_have_the_moments_of_the_mixture(hidden, build_fake_fit):
    n, spec = 4000, SPECS["normal"]  # relative Monte Carlo error of a standard deviation 0.011
    one = build_fake_fit(hidden, spec=spec, chains=1, draws=1)
    override = {name: values[0, 0] for name, values in one.parameters.items()}
    fit = build_fake_fit(hidden, spec=spec, chains=1, draws=n, override=override)
    scores = simulate_scores(fit.parameters, design=fit.design, spec=spec, seed=4)[0]
    mu, sd = score_distribution(one.parameters, design=fit.design, spec=spec)
    np.testing.assert_allclose(scores.mean(axis=0), mu[0, 0], atol=5 * sd.max() / np.sqrt(n))
    np.testing.assert_allclose(scores.std(axis=0), sd[0, 0], rtol=0.07)


def test_predictor_enters_the_average_choice(hidden, build_fake_fit):
    fit = build_fake_fit(hidden, spec=SPECS["student"], chains=1, draws=1)
    design, values = fit.design, fit.parameters
    eta = linear_predictor(values, design=design, spec=fit.spec)[0, 0]
    none = {**values, "configuration_weight": np.zeros_like(values["configuration_weight"])}
    change = eta - linear_predictor(none, design=design, spec=fit.spec)[0, 0]
    row = design.lms.index("elk-1")
    weight = values["configuration_weight"][0, 0, 3]
    expected = weight @ design.unknown.shift[3] @ values["beta"][0, 0]
    np.testing.assert_allclose(change[row], expected)
    assert np.isfinite(expected_score(eta, design=design)).all()
    known = design.lms.index("ant-1")
    np.testing.assert_allclose(change[known], 0, atol=1e-12)
