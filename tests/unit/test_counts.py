"""Beta-binomial counts against scipy, for small and large tests, rare and sure successes."""

import numpy as np
import pytest
from scipy import stats

from bayesmeta.model.counts import Counts

QUADRATURE = 1e-3
"""What the quadrature promises; shorter sums are exact to rounding."""

N_DRAWS = 20_000

ITEMS = pytest.mark.parametrize("n", [1, 7, 164, 299, 300, 1319, 10_042])
MEANS = pytest.mark.parametrize("mu", [1e-3, 0.02, 0.3, 0.9, 0.995])
RESIDUALS = pytest.mark.parametrize("residual", [0.008, 0.03, 0.1])


def law_of(n, mu, residual):
    phi = mu * (1 - mu) / residual**2
    return mu * phi, (1 - mu) * phi, stats.betabinom(n, mu * phi, (1 - mu) * phi)


def counts_of(k, n, a, b):
    k = np.asarray(k, float)
    return Counts(k=k, n=np.full(k.shape, float(n)), a=np.full(k.shape, a), b=np.full(k.shape, b))


def typical(n, law):
    """None, one, all, and counts in the body of a distribution."""
    body = law.rvs(6, random_state=np.random.default_rng(1))
    return np.unique([0, 1, n, *body])


@ITEMS
@MEANS
@RESIDUALS
def test_log_probability_is_that_of_scipy(n, mu, residual):
    a, b, law = law_of(n, mu, residual)
    k = typical(n, law)
    found = counts_of(k, n, a, b).log_probability()
    np.testing.assert_allclose(found, law.logpmf(k), rtol=1e-8, atol=1e-8)


@ITEMS
@MEANS
@RESIDUALS
def test_probability_below_adds_up_that_of_scipy(n, mu, residual):
    a, b, law = law_of(n, mu, residual)
    k = typical(n, law)
    probability = np.exp(law.logpmf(np.arange(n + 1)))
    expected = np.cumsum(probability)[k] - probability[k] / 2
    accuracy = QUADRATURE if n >= 300 else 1e-8
    found = counts_of(k, n, a, b).probability_below()
    np.testing.assert_allclose(found, expected, atol=accuracy)


def test_counts_of_small_and_large_tests_keep_their_places():
    n, k = np.array([164.0, 1319.0, 20.0]), np.array([30.0, 700.0, 3.0])
    a, b = np.array([[3.0, 40.0, 2.0], [9.0, 60.0, 5.0]]), np.array([[7.0, 30.0, 9.0]] * 2)
    found = Counts(k=k, n=n, a=a, b=b).probability_below()
    law = stats.betabinom(n, a, b)
    np.testing.assert_allclose(found, law.cdf(k) - law.pmf(k) / 2, atol=QUADRATURE)


@pytest.mark.parametrize("n", [164, 1319])
def test_draws_have_the_residual_besides_the_binomial_error(n):
    mu, residual = 0.3, 0.05
    a, b, _ = law_of(n, mu, residual)
    drawn = counts_of(np.zeros(N_DRAWS), n, a, b).draw(np.random.default_rng(2)) / n
    sd = np.sqrt(mu * (1 - mu) / n + residual**2)
    assert drawn.mean() == pytest.approx(mu, abs=4 * sd / np.sqrt(N_DRAWS))
    # The beta distribution takes off v / (m (1 - m)), here 1.2 %; the Monte Carlo error is 0.5 %.
    assert drawn.std() == pytest.approx(sd, rel=0.025)


def test_no_counts_are_no_trouble():
    none = counts_of([], 10, 1.0, 1.0)
    assert none.log_probability().shape == none.probability_below().shape == (0,)
