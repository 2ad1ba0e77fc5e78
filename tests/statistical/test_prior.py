"""What the default prior says in the units of scores, and how far claims depend on it."""

import numpy as np
import pytest
from scipy import stats

import bayesmeta as bm
from bayesmeta.errors import FitError, QueryError, StoreError
from bayesmeta.estimates.contrasts import effects
from bayesmeta.model.predictor import score_distribution
from bayesmeta.model.spec import Priors

DRAWS = 1000

LARGE = 15.0
"""Points by which a design decision is not believed to change the mean over benchmarks."""

WITHIN = 0.95
"""Least share of the prior of every effect on the mean within that."""

WITHIN_ON_ONE = 0.85
"""The same on a single benchmark, where a decision may matter more."""

OUTSIDE = 0.05
"""A score may scatter about a possible expectation by its sampling error, no further than this
outside the possible range, in native units."""

MOST_OUTSIDE = 0.03
"""Largest share of simulated scores further outside; Brier scores have heavy tails on a straight
scale, accuracies have not."""

MOST_OUTSIDE_ACCURACY = 0.01

IGNORANCE = 0.1
"""Least prior standard deviation of the mean score on a benchmark, in native units."""


@pytest.fixture(scope="module")
def prior(bundled):
    return bm.sample_prior(bundled, draws=DRAWS, seed=2)


@pytest.fixture(scope="module")
def simulated(prior):
    values = {name: draws[0] for name, draws in prior.parameters.items()}
    return score_distribution(values, design=prior.design, spec=prior.spec).draw(3)


def test_effects_of_decisions_are_mostly_within_fifteen_points(prior):
    for by, least in (("overall", WITHIN), ("benchmark", WITHIN_ON_ONE)):
        draws = effects(prior, by=by).draws
        inside = (np.abs(draws) < LARGE).mean(("chain", "draw"))
        assert float(inside.min()) >= least
        # The prior takes no side.
        helps = (draws > 0).mean(("chain", "draw"))
        assert float(np.abs(helps - 0.5).max()) < 5 * 0.5 / np.sqrt(DRAWS)


def test_a_wider_prior_of_effects_is_noticed(bundled):
    wide = bm.sample_prior(bundled, bm.ModelSpec(priors=Priors(beta_tau=0.6)), draws=200)
    inside = (np.abs(effects(wide).draws) < LARGE).mean(("chain", "draw"))
    assert float(inside.min()) < WITHIN


def test_scores_that_the_prior_makes_are_possible(prior, simulated):
    outcomes = prior.design.outcomes
    is_accuracy = outcomes.is_logistic[outcomes.benchmark_index]
    top = np.where(is_accuracy, 1.0, 2.0)
    outside = ((simulated < -OUTSIDE) | (simulated > top + OUTSIDE)).mean(axis=0)
    for b in range(len(prior.design.benchmarks)):
        rows = outcomes.benchmark_index == b
        most = MOST_OUTSIDE_ACCURACY if outcomes.is_logistic[b] else MOST_OUTSIDE
        assert outside[rows].mean() < most


def test_the_prior_covers_the_recorded_scores_and_does_not_know_them(prior, simulated):
    outcomes = prior.design.outcomes
    for b in range(len(prior.design.benchmarks)):
        rows = outcomes.benchmark_index == b
        lower, upper = np.quantile(simulated[:, rows], [0.005, 0.995])
        y = outcomes.y[rows]
        assert ((y >= lower) & (y <= upper)).mean() > 0.98
        assert simulated[:, rows].mean(axis=1).std() > IGNORANCE


def test_log_prior_is_that_of_the_stated_distributions(fake_bundled_fit):
    fit, priors = fake_bundled_fit, fake_bundled_fit.spec.priors
    found, draws = fit.log_prior(), fit.parameters
    wanted = {
        "tau_beta": stats.lognorm(priors.beta_tau_log_sd, scale=priors.beta_tau),
        "sigma": stats.lognorm(priors.sigma_log_sd, scale=priors.sigma),
        "released_slope": stats.norm(0, priors.released_sd),
        "alpha": stats.norm(0, priors.alpha_sd),
        "rho_family": stats.beta(priors.rho_shape, priors.rho_shape),
        "nu_beyond_one": stats.gamma(priors.nu_shape, scale=1 / priors.nu_rate),
    }
    for name, law in wanted.items():
        np.testing.assert_allclose(
            found[name].values, law.logpdf(draws[name]), rtol=1e-6, atol=1e-6
        )
    assert not {"beta", "kappa", "u", "v", "w", "surface"} & set(found)


def test_sensitivity_follows_what_is_scaled(fake_bundled_fit, monkeypatch):
    found = bm.prior_sensitivity(fake_bundled_fit, "attention")
    assert (found[["prior", "likelihood"]] > 0).all(axis=None)
    shape = (*fake_bundled_fit.shape, len(fake_bundled_fit.dataset.scores))
    monkeypatch.setattr(
        type(fake_bundled_fit),
        "log_likelihood",
        lambda _: 1e-6 * np.random.default_rng(1).normal(size=shape),
    )
    flat = bm.prior_sensitivity(fake_bundled_fit, "attention")
    np.testing.assert_allclose(flat["likelihood"], 0, atol=1e-4)
    np.testing.assert_allclose(flat["prior"], found["prior"])
    assert set(flat["reading"]) <= {"prior", "neither"}


def test_unknown_decisions_are_refused(fake_bundled_fit):
    with pytest.raises(QueryError, match="'nurms' is not"):
        bm.prior_sensitivity(fake_bundled_fit, "nurms")


def test_what_no_prior_can_be_drawn_for_is_refused(bundled):
    for arguments, said in (
        (("data",), "data is 'data'. Allowed: a Dataset"),
        ((bundled, "spec"), "spec is 'spec'. Allowed: a ModelSpec"),
    ):
        with pytest.raises(FitError, match=said):
            bm.sample_prior(*arguments)
    with pytest.raises(FitError, match=r"draws is 0\. Allowed: a whole number from 1 up"):
        bm.sample_prior(bundled, draws=0)


def test_prior_is_no_fit_to_check_or_save(prior, tmp_path):
    assert "draws of the prior" in repr(prior)
    with pytest.raises(FitError, match="there is nothing to check in Fit"):
        bm.check(prior)
    with pytest.raises(StoreError, match="was not made by a sampler and cannot be saved"):
        prior.save(tmp_path / "prior.nc")
    assert not list(tmp_path.iterdir())


def test_prior_and_posterior_must_be_of_the_same_question(fake_bundled_fit):
    prior = bm.sample_prior(fake_bundled_fit.dataset, fake_bundled_fit.spec, draws=20)
    norm, attention = (effects(one, name) for one, name in
                       ((fake_bundled_fit, "norm"), (prior, "attention")))  # fmt: skip
    with pytest.raises(QueryError, match="of different questions: norm: nonparametric"):
        bm.plot.prior_posterior(norm, prior=attention)
    drawn = bm.plot.prior_posterior(norm, prior=effects(prior, "norm"))
    table = effects(prior, "norm").table()
    np.testing.assert_allclose(drawn.table["prior_lower"], table["lower"])
    width = drawn.table["upper"] - drawn.table["lower"]
    before = drawn.table["prior_upper"] - drawn.table["prior_lower"]
    np.testing.assert_allclose(drawn.table["narrowed"], 1 - width / before)
