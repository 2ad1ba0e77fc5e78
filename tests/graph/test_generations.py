"""What lms write: the graph against numpy, the rotation against the covariance behind it."""

from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

from bayesmeta.design.generations import log_ratios
from bayesmeta.model.blocks import build_fact_model, build_model
from bayesmeta.model.predictor import complete_facts, score_distribution
from bayesmeta.model.spec import ModelSpec, build_design_for

ROUNDING = 1e-8
"""Two orders of summation of the same terms in double precision."""

MEASURED = ModelSpec(unknown_numbers="estimated", generations="measured")

QUICK_COMPILE = "FAST_COMPILE"
"""A graph that is evaluated a few times is not worth machine code."""

SPECS = {
    "default": MEASURED,
    "mix only": replace(MEASURED, decisions=("web_share",)),
    "english only": replace(MEASURED, decisions=("english_share", "attention")),
}
OPTIONS = pytest.mark.parametrize("spec", SPECS.values(), ids=SPECS.keys())


def evaluate(model, *, n_points=2):
    """Log density of every generated share and of all scores, and the named values."""
    named = [v for v in model.unobserved_value_vars if not str(v.name).endswith("__")]
    wanted = [model[name] for name in ("generated", "y")]
    densities = model.logp(vars=wanted, sum=False, jacobian=False)
    function = model.compile_fn([*densities, *named], inputs=model.value_vars, mode=QUICK_COMPILE)
    rng = np.random.default_rng(0)
    start = model.initial_point()
    for _ in range(n_points):
        point = {k: v + rng.normal(0, 0.3, np.shape(v)) for k, v in start.items()}
        generated, scores, *values = function(point)
        yield generated, scores, dict(zip([str(v.name) for v in named], values, strict=True))


@OPTIONS
def test_named_variables_and_dims(small_written, list_dims, spec):
    design = build_design_for(small_written, spec=spec)
    model = build_model(design, spec=spec)
    names = [str(value.name) for value in model.unobserved_value_vars]
    kept = [n for n in names if not n.startswith("z_") and not n.endswith("__")]
    found = {n: tuple(model.named_vars_to_dims.get(n, ())) for n in kept}
    assert found == list_dims(design, spec)
    assert {v.name for v in model.observed_RVs} == {"y", "generated"}


@OPTIONS
def test_log_densities_are_those_of_numpy(small_written, spec, generation_distribution):
    design = build_design_for(small_written, spec=spec)
    for generated, scores, values in evaluate(build_model(design, spec=spec)):
        mu, sd = generation_distribution(values, design=design)
        law = stats.t(spec.priors.generation_nu, loc=mu, scale=sd)
        expected = law.logpdf(design.generations.values)
        np.testing.assert_allclose(generated, expected, rtol=ROUNDING, atol=ROUNDING)
        expected = score_distribution(values, design=design, spec=spec).log_density()
        np.testing.assert_allclose(scores.sum(), expected.sum(), rtol=ROUNDING)


def test_facts_alone_have_the_density_that_they_have_in_the_model(small_written):
    spec = MEASURED
    design = build_design_for(small_written, spec=spec)
    whole, alone = build_model(design, spec=spec), build_fact_model(design, spec=spec)
    point = {k: v + 0.2 for k, v in alone.initial_point().items()}
    rest = {k: point.get(k, v) for k, v in whole.initial_point().items()}
    densities = [
        model.compile_fn(
            model.logp(vars=[model["generated"]], sum=False)[0], inputs=model.value_vars,
            mode=QUICK_COMPILE, on_unused_input="ignore", point_fn=True,
        )(start)
        for model, start in ((whole, rest), (alone, point))
    ]  # fmt: skip
    np.testing.assert_allclose(*densities, rtol=ROUNDING)


def test_rotation_is_that_of_errors_shared_by_siblings(fake_written_fit, generation_distribution):
    design = fake_written_fit.design
    written, values = design.generations, fake_written_fit.parameters
    _, sd = generation_distribution(values, design=design)
    family = design.lm_family_index[written.rows]
    for k in range(len(written.names)):
        tau, sigma = (values[name][0, 0, k] for name in ("tau_generation", "sigma_generation"))
        expected = sigma**2 * np.eye(len(family)) + tau**2 * (family[:, None] == family)
        found = written.rotation.T @ np.diag(sd[0, 0, :, k] ** 2) @ written.rotation
        np.testing.assert_allclose(found, expected, atol=1e-12)


def test_location_is_a_line_in_what_was_read(fake_written_fit, generation_distribution):
    design, values = fake_written_fit.design, fake_written_fit.parameters
    mu, _ = generation_distribution(values, design=design)
    mix = complete_facts(values, design=design).mix
    unrotated = design.generations.rotation.T @ mu[0, 0]
    row = design.lms.index("cat-1")
    position = list(design.generations.rows).index(row)
    read = log_ratios(mix[0, 0, row])[1]
    expected = values["generation_intercept"][0, 0, 1] + values["generation_slope"][0, 0, 1] * read
    assert unrotated[position, 1] == pytest.approx(expected)


@pytest.fixture(scope="module")
def fake_written_fit(small_written, build_fake_fit):
    return build_fake_fit(small_written, spec=MEASURED, chains=1, draws=1)


def test_measurements_are_log_ratios_of_the_table(small_written):
    written = build_design_for(small_written, spec=MEASURED).generations
    measured = [small_written.lms["lm"][row] for row in written.rows]
    assert measured == ["ant-1", "ant-3", "bee-1", "bee-3", "cat-1", "cat-2", "dog-1", "elk-1"]
    assert written.names[-1] == "english_share"
    back = written.rotation.T @ written.values
    logs = np.log(np.array([50, 20, 10, 12, 7, 1]) / 100 + 0.01)
    np.testing.assert_allclose(back[0, :5], (logs - logs.mean())[:5])
    assert back[0, 5] == pytest.approx(np.log(0.99 / 0.03))
    assert sorted(written.n_siblings) == [0, 0, 0, 1, 1, 2, 2, 2]


def test_a_domain_that_no_lm_records_is_written_as_other(small_written):
    fewer = replace(small_written, lms=small_written.lms.assign(books_share=np.nan))
    written = build_design_for(fewer, spec=MEASURED).generations
    assert "books_share" not in written.names
    back = written.rotation.T @ written.values
    logs = np.log(np.array([50, 20, 12, 7, 11]) / 100 + 0.01)
    np.testing.assert_allclose(back[0, :4], (logs - logs.mean())[:4])


def test_nothing_is_measured_where_nothing_is_hidden_or_wanted(small_written, small):
    known = small_written.lms.fillna({"english_share": 90.0})
    known = known[known["lm_family"].isin(["ant", "bee", "elk"])].reset_index(drop=True)
    scores = small_written.scores[small_written.scores["lm"].isin(known["lm"])]
    full = replace(small_written, lms=known, scores=scores.reset_index(drop=True))
    assert build_design_for(full, spec=MEASURED).generations is None
    assert build_design_for(small, spec=MEASURED).generations is None
    for spec in (ModelSpec(), replace(MEASURED, decisions=("attention",))):
        assert build_design_for(small_written, spec=spec).generations is None
