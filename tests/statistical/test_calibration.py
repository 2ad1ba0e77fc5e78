"""Simulation-based calibration sees planted faults and passes what is right; the record of it."""

from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

import bayesmeta as bm
from bayesmeta.model.predictor import score_distribution
from bayesmeta.validation.calibration import JOINT, Calibrator, uniformity
from bayesmeta.validation.records import read_ranks

SPEC = bm.ModelSpec(decisions=(), family_effects="none", interactions="none")
WITH_EXPERIMENTS = bm.ModelSpec(
    decisions=("attention",), family_effects="none", interactions="none", release_date="none"
)
N_TRUTHS = 40
SETTINGS = {"chains": 2, "tune": 200, "draws": 250, "thin": 5}
CHANCE = 0.01
"""Family-wise: over all parameters together (Bonferroni)."""


def least(calibrator):
    """Least probability of uniform ranks, times the number of parameters, and that of the joint."""
    found = [calibrator.rank(k, **SETTINGS) for k in range(N_TRUTHS)]
    probability = {
        name: uniformity(np.stack([one.ranks[name] for one in found]), n_draws=found[0].n_draws)
        for name in found[0].ranks
    }
    n = sum(values.size for values in probability.values())
    return n * min(values.min() for values in probability.values()), probability[JOINT]


@pytest.fixture(scope="module")
def calibrator(small):
    return Calibrator(small, spec=SPEC, n=N_TRUTHS, seed=2)


@pytest.fixture(scope="module")
def informed_calibrator(informed):
    return Calibrator(informed, spec=WITH_EXPERIMENTS, n=N_TRUTHS, seed=4)


@pytest.mark.parametrize("which", ["calibrator", "informed_calibrator"])
def test_the_model_is_calibrated(request, which):
    over_all, joint = least(request.getfixturevalue(which))
    assert over_all > CHANCE
    assert joint > CHANCE


def test_scores_that_scatter_twice_as_much_are_seen(calibrator, monkeypatch):
    simulate = calibrator.simulate

    def scatter(k):
        truth = {name: values[k] for name, values in calibrator.truths.items()}
        mean = score_distribution(truth, design=calibrator.design, spec=SPEC).mu
        made = simulate(k)
        twice = mean + 2 * (made.outcomes.y - mean)
        return replace(made, outcomes=replace(made.outcomes, y=twice))

    monkeypatch.setattr(calibrator, "simulate", scatter)
    over_all, _ = least(calibrator)
    assert over_all < CHANCE


def test_contrasts_of_other_signs_are_seen(informed_calibrator, monkeypatch):
    simulate = informed_calibrator.simulate

    def flip(k):
        made = simulate(k)
        return replace(made, contrasts=replace(made.contrasts, y=-made.contrasts.y))

    monkeypatch.setattr(informed_calibrator, "simulate", flip)
    over_all, joint = least(informed_calibrator)
    assert min(over_all, joint) < CHANCE


def test_truths_and_scores_follow_from_the_seed(small, calibrator):
    again = Calibrator(small, spec=SPEC, n=N_TRUTHS, seed=2)
    np.testing.assert_array_equal(again.truths["alpha"], calibrator.truths["alpha"])
    one, same, other = (
        made.simulate(k).outcomes.y for made, k in ((calibrator, 3), (again, 3), (calibrator, 4))
    )
    np.testing.assert_array_equal(one, same)
    assert not np.array_equal(one, other)


def test_one_draw_gives_the_two_sided_binomial_test():
    n = 21
    for k in (2, 5, 9, 10):
        ranks = np.repeat([0, 1], [k, n - k])
        expected = stats.binomtest(k, n).pvalue
        assert uniformity(ranks, n_draws=1) == pytest.approx(expected, abs=0.01)


def test_probabilities_of_uniform_ranks_are_uniform():
    ranks = np.random.default_rng(3).integers(0, 101, size=(200, 2000))
    probability = uniformity(ranks, n_draws=100, simulations=20_000)
    for level in (0.01, 0.1, 0.5):
        error = np.sqrt(level * (1 - level) / 2000)
        assert abs((probability <= level).mean() - level) < 4 * error


def test_ranks_that_are_far_from_uniform_have_a_tiny_probability():
    # Below what simulations reach, so that a rule for a thousand parameters can fail.
    assert uniformity(np.arange(200) % 51, n_draws=100) < 1e-7


@pytest.mark.parametrize("sd", [0.7, 1.4], ids=["too wide", "too narrow"])
def test_wrong_widths_are_seen(sd):
    truth = np.random.default_rng(4).normal(0, sd, size=200)
    ranks = np.floor(101 * stats.norm.cdf(truth)).astype(int)
    assert uniformity(ranks, n_draws=100) < CHANCE


@pytest.fixture(scope="module")
def record():
    ranks, header = read_ranks()
    return {"header": header, "ranks": ranks}


def test_record_is_of_the_default_model_and_the_bundled_data(record, bundled_informed):
    assert record["header"]["spec_checksum"] == bm.ModelSpec().checksum
    assert record["header"]["data_checksum"] == bundled_informed.checksum
    assert len(record["ranks"][JOINT]) >= 16
