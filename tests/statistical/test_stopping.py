"""Draws that go on until they are enough: the seed alone says when, and nothing is biased."""

from dataclasses import replace

import numpy as np
import pytest
import xarray as xr
from scipy import stats

import bayesmeta as bm
from bayesmeta import defaults
from bayesmeta.inference import chains
from bayesmeta.inference.chains import Stopping, run_chains
from bayesmeta.inference.convergence import find_insufficient, measure_convergence

STOPPING = Stopping(least=50, most=1000, target_ess=400)
TRUTHS = 200
CHAINS, THINNED = 4, 100


def walk(rng, *, rho, size):
    """Stationary autoregressions of variance one: (element, chain, draw)."""
    steps = rng.normal(size=size) * np.sqrt(1 - rho**2)
    steps[..., 0] /= np.sqrt(1 - rho**2)
    for t in range(1, size[-1]):
        steps[..., t] += rho * steps[..., t - 1]
    return steps


def stop(draws):
    """Cut chains where the rule stops."""
    insufficient = np.empty(0, np.intp)
    for n in STOPPING.list_looks():
        insufficient = find_insufficient(
            draws[..., :n], target_ess=STOPPING.target_ess, first=insufficient
        )
        if not len(insufficient):
            return draws[..., :n]
    return draws


def test_looks_start_at_the_least_and_end_at_the_most():
    assert Stopping(100, 260, 400).list_looks() == [100, 150, 200, 250, 260]
    assert Stopping(100, 100).list_looks() == [100]


def test_rule_stops_where_every_element_suffices_for_the_first_time():
    draws = walk(np.random.default_rng(1), rho=0.6, size=(40, CHAINS, 1000))
    n = stop(draws).shape[-1]
    looks = STOPPING.list_looks()
    enough = [
        measure_convergence(draws[..., :look]).suffices(STOPPING.target_ess).all() for look in looks
    ]
    assert looks[enough.index(True)] == n


def test_independent_draws_of_as_many_elements_as_a_fit_has_take_hundreds():
    """What MODEL.md says of R-hat: with so many elements it is the largest of their errors."""
    draws = np.random.default_rng(1).normal(size=(3262, CHAINS, 500)).astype(np.float32)
    assert 300 <= stop(draws).shape[-1] <= 400


def test_stopping_leaves_estimates_of_slow_chains_unbiased_and_their_errors_honest():
    """Means, spreads and tails of chains that were stopped, in units of their Monte Carlo errors.

    The rule looks at effective sizes and R-hat, which are even in the draws, so that a mean has no
    reason to be off; the spread might be.
    """
    rng = np.random.default_rng(2)
    error = []
    for _ in range(TRUTHS):
        kept = stop(walk(rng, rho=0.8, size=(1, CHAINS, 1000)))
        size = measure_convergence(kept).ess_bulk[0]
        error.append((kept.mean() * np.sqrt(size), kept.var() - 1, (kept < -1.645).mean() - 0.05))
    mean, variance, tail = np.array(error).T
    assert abs(mean.mean()) < 3 / np.sqrt(TRUTHS)
    assert mean.std() == pytest.approx(1, abs=0.15)
    for found in (variance, tail):
        assert abs(found.mean()) < 3 * found.std() / np.sqrt(TRUTHS)


@pytest.fixture(scope="module")
def trials():
    """Thirteen trials with known errors and no moderator."""
    import pandas as pd

    rng = np.random.default_rng(3)
    frame = pd.DataFrame({"trial": [f"t{k}" for k in range(13)], "y": rng.normal(0.2, 0.3, 13)})
    frame["se"] = 0.15
    return bm.read_effect_sizes(frame, effect="y", se="se", study="trial")


SETTINGS = {
    "sampler": "nutpie",
    "seed": 4,
    "tune": 200,
    "least_draws": 100,
    "target_ess": 300,
    "progress": False,
}


@pytest.fixture(scope="module")
def fitted(trials):
    return bm.fit(trials, **SETTINGS)


def test_fit_stops_as_check_judges_it(fitted):
    n = fitted.shape[1]
    found = bm.check(fitted).values
    assert found["rhat_max"] <= defaults.RHAT_MAX
    assert min(found["ess_bulk_min"], found["ess_tail_min"]) >= SETTINGS["target_ess"]
    earlier = fitted.posterior.isel(draw=slice(0, n - defaults.LOOK_EVERY))
    found = bm.check(replace(fitted, posterior=earlier)).values
    assert n == SETTINGS["least_draws"] or (
        min(found["ess_bulk_min"], found["ess_tail_min"]) < SETTINGS["target_ess"]
        or found["rhat_max"] > defaults.RHAT_MAX
    )


def test_stopping_is_recorded(fitted):
    assert fitted.provenance["draws"] == fitted.shape[1]
    assert fitted.provenance["stopping"] == {
        "target_ess": 300, "rhat": 1.01, "least_draws": 100, "most_draws": 2000, "every": 50,
    }  # fmt: skip


def test_same_seed_stops_at_the_same_draw_however_slow_the_looks_are(fitted, trials, monkeypatch):
    import time

    def dawdle(*arguments, **settings):
        time.sleep(0.3)
        return find_insufficient(*arguments, **settings)

    monkeypatch.setattr(chains, "find_insufficient", dawdle)
    again = bm.fit(trials, cores=1, **SETTINGS)
    xr.testing.assert_equal(again.draws, fitted.draws)


def test_chains_that_still_run_are_ended():
    spec = bm.ModelSpec(decisions=(), interactions="none", family_effects="none")
    fit = bm.fit(
        bm.load_dataset(experiments=False), spec, target_ess=100, most_draws=50_000, progress=False
    )
    assert fit.shape[1] < 5_000


def test_fixed_draws_are_the_first_of_those_that_went_on(fitted, trials):
    settings = {name: SETTINGS[name] for name in ("sampler", "seed", "tune", "progress")}
    fixed = bm.fit(trials, draws=60, **settings)
    xr.testing.assert_equal(fixed.draws, fitted.draws.isel(draw=slice(0, 60)))
    assert "stopping" not in fixed.provenance


def test_what_is_not_enough_by_the_last_look_fails_its_check(trials):
    fit = bm.fit(trials, **{**SETTINGS, "least_draws": 20}, most_draws=40)
    assert fit.shape == (4, 40)
    assert not bm.check(fit).passed


@pytest.mark.parametrize(
    "settings, word",
    [({"target_ess": 0}, "target_ess is 0"), ({"most_draws": 3}, "most_draws is 3"),
     ({"least_draws": 50, "most_draws": 40}, "least_draws is 50 and most_draws 40")],
)  # fmt: skip
def test_rules_that_make_no_sense_are_refused(trials, settings, word):
    with pytest.raises(bm.errors.FitError, match=word):
        bm.fit(trials, sampler="nutpie", **settings)


@pytest.mark.slow
def test_truths_rank_evenly_among_draws_that_were_stopped():
    """Simulation-based calibration (Talts et al. 2018) of a hierarchy with a scale, a slow one."""
    import nutpie
    import pymc as pm

    groups, error = 8, 1.0
    with pm.Model() as model:
        y = pm.Data("y", np.zeros(groups))
        mu, tau = pm.Normal("mu"), pm.HalfNormal("tau")
        theta = pm.Normal("theta", mu, tau + 0.1, shape=groups)
        pm.Normal("score", theta, error, observed=y)
    names = ["mu", "tau", "theta"]
    compiled = nutpie.compile_pymc_model(model, var_names=names)
    rng, ranks, stopped = np.random.default_rng(5), [], []
    for k in range(TRUTHS):
        mu, tau = rng.normal(), abs(rng.normal())
        theta = mu + (tau + 0.1) * rng.normal(size=groups)
        data = compiled.with_data(y=theta + error * rng.normal(size=groups))
        tree = run_chains(
            data, names=names, stopping=STOPPING, cores=2, chains=CHAINS, tune=200, seed=k,
            target_accept=0.95, adaptation="draw_diag",
        )  # fmt: skip
        draws = tree["posterior"].to_dataset()
        stopped.append(draws.sizes["draw"])
        flat = np.stack([draws["mu"], draws["tau"], draws["theta"][..., 0]]).reshape(3, -1)
        keep = np.linspace(0, flat.shape[1] - 1, THINNED - 1).astype(int)
        ranks.append((flat[:, keep] < np.array([mu, tau, theta[0]])[:, None]).sum(axis=1))
    assert len(set(stopped)) > 3  # the rule had a say
    for found in np.array(ranks).T:
        counts = np.histogram(found, bins=10, range=(0, THINNED))[0]
        assert stats.chisquare(counts).pvalue > 0.001
