"""Monte Carlo errors equal those of ArviZ, and the bounds that draws set are honest."""

import arviz as az
import numpy as np
import pytest
from scipy.signal import lfilter

from bayesmeta.estimates.summary import (
    Probability,
    effective_size,
    estimate_probabilities,
    estimate_probability,
)

SAME_FORMULA = 0.05
"""ArviZ ends Geyer's sequence one term later; on these chains that moves the size by less."""


def autoregressive(rho, *, chains=4, draws=1000, seed=0):
    noise = np.random.default_rng(seed).normal(size=(chains, draws + 200))
    return lfilter([1.0], [1.0, -rho], noise, axis=1)[:, 200:]


@pytest.mark.parametrize("rho", [-0.4, 0.0, 0.3, 0.7, 0.9])
@pytest.mark.parametrize("seed", [1, 2])
@pytest.mark.parametrize("draws", [1000, 751])
def test_effective_size_is_that_of_arviz(rho, seed, draws):
    chains = autoregressive(rho, seed=seed, draws=draws)
    expected = az.ess(chains, method="mean", chain_axis=0, draw_axis=1)
    assert effective_size(chains) == pytest.approx(float(expected), rel=SAME_FORMULA)


def test_effective_size_of_chains_that_disagree_is_that_of_arviz():
    chains = autoregressive(0.3) + np.array([[0.0], [0.5], [1.0], [1.5]])
    expected = az.ess(chains, method="mean", chain_axis=0, draw_axis=1)
    assert effective_size(chains) == pytest.approx(float(expected), rel=SAME_FORMULA)


@pytest.mark.parametrize("chains", [1, 2])
def test_effective_size_of_few_chains_is_that_of_arviz(chains):
    values = autoregressive(0.5, chains=chains)
    expected = az.ess(values, method="mean", chain_axis=0, draw_axis=1)
    assert effective_size(values) == pytest.approx(float(expected), rel=SAME_FORMULA)


def test_effective_sizes_at_once_are_those_one_by_one():
    values = np.stack([autoregressive(rho) for rho in (-0.4, 0.3, 0.9)], axis=-1)
    values = np.concatenate([values, np.ones((*values.shape[:2], 1))], axis=-1)
    alone = [float(effective_size(values[..., k])) for k in range(4)]
    assert effective_size(values).tolist() == pytest.approx(alone, rel=1e-12)
    assert alone[-1] == values[..., 0].size  # draws that never move
    holds = values > np.array([-1.0, 0.0, 0.5, 2.0])
    together = estimate_probabilities(holds)
    for k, one in enumerate(together):
        single = estimate_probability(holds[..., k])
        assert one.estimate == single.estimate
        assert one.mcse == pytest.approx(single.mcse, rel=1e-12)
    assert together[-1].mcse > 0


def test_effective_size_of_an_autoregressive_chain_is_its_closed_form():
    values = autoregressive(0.8, draws=50_000, seed=3)
    # n (1 - rho) / (1 + rho); with 200,000 draws its own sampling error is about 2 percent.
    assert effective_size(values) == pytest.approx(200_000 * 0.2 / 1.8, rel=0.08)


def test_shifted_and_scaled_draws_have_the_same_effective_size():
    values = autoregressive(0.5)
    assert effective_size(3 - 7 * values) == pytest.approx(effective_size(values))


@pytest.mark.parametrize("rho", [0.0, 0.6, 0.9])
@pytest.mark.parametrize("threshold", [-1.0, 0.0, 1.5])
def test_error_of_a_probability_is_that_of_arviz(rho, threshold):
    holds = autoregressive(rho, seed=5) > threshold
    expected = az.mcse(holds.astype(float), method="mean", chain_axis=0, draw_axis=1)
    assert estimate_probability(holds).mcse == pytest.approx(float(expected), rel=SAME_FORMULA)


def test_probability_is_the_share_of_draws():
    holds = autoregressive(0.5) > 0.3
    answer = estimate_probability(holds)
    assert answer.estimate == np.count_nonzero(holds) / 4000
    assert answer.n_draws == 4000


def test_opposites_sum_to_one():
    holds = autoregressive(0.5) > 0.3
    yes, no = estimate_probability(holds), estimate_probability(~holds)
    assert yes.estimate + no.estimate == pytest.approx(1)
    assert yes.mcse == pytest.approx(no.mcse)


@pytest.mark.parametrize("value, text", [(True, "> 0.999"), (False, "< 0.001")])
def test_unanimous_draws_print_as_a_bound(value, text):
    answer = estimate_probability(np.full((4, 250), value))
    assert str(answer) == text
    assert float(answer) == float(value)


@pytest.mark.parametrize("value", [True, False])
def test_unanimous_draws_have_the_error_of_one_dissenter(value):
    one = np.zeros(1000)
    one[0] = 1
    answer = estimate_probability(np.full((4, 250), value))
    assert answer.mcse == pytest.approx(one.std() / np.sqrt(1000))


def test_probability_prints_with_its_error():
    assert str(Probability(0.731, mcse=0.0123, n_draws=1000)) == "0.73 (MCSE 0.012)"


@pytest.mark.parametrize("dtype", [float, int])
def test_draws_that_are_not_logical_are_refused(dtype):
    with pytest.raises(TypeError, match=r"draws are (float|int)64\. Allowed: bool, such as"):
        estimate_probability(np.ones((2, 10), dtype))
