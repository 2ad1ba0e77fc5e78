"""Trajectories of a fixed length leave a distribution as it is, where scales make a funnel too."""

import arviz as az
import numpy as np
import pymc as pm
import pytest
from scipy import stats

from bayesmeta.inference.chains import FIXED_LENGTH, Stopping, run_chains

QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)
FARTHEST = 4.0
"""Standard errors of a quantile: 30 of them are looked at."""


@pytest.fixture(scope="module")
def draws():
    nutpie = pytest.importorskip("nutpie")
    with pm.Model() as model:
        scale = pm.Normal("scale")
        pm.Normal("effect", 0, pm.math.exp(scale / 2), shape=3)
        pm.StudentT("tail", nu=4, mu=0, sigma=1)
        pm.Exponential("waiting", 1.0)
        pm.MvNormal("ridge", np.zeros(2), cov=[[1, 0.95], [0.95, 1]])
    names = ["scale", "effect", "tail", "waiting", "ridge"]
    compiled = nutpie.compile_pymc_model(model, var_names=names)
    return run_chains(
        compiled, names=names, stopping=Stopping(5000, 5000), cores=2, chains=4, tune=300, seed=1,
        **FIXED_LENGTH,
    )["posterior"].to_dataset()  # fmt: skip


@pytest.mark.parametrize(
    "name, law",
    [("scale", stats.norm()), ("tail", stats.t(4)), ("waiting", stats.expon()),
     ("ridge", stats.norm())],
)  # fmt: skip
def test_quantiles_are_those_of_the_distribution(draws, name, law):
    values = draws[name].values
    values = values if values.ndim == 2 else values[..., 0]
    for q in QUANTILES:
        below = (law.cdf(values) < q).astype(float)
        size = float(az.ess(below, method="mean"))
        assert abs(below.mean() - q) < FARTHEST * np.sqrt(q * (1 - q) / size)


def test_effects_have_their_scale_wherever_it_is(draws):
    effect = draws["effect"] / np.exp(draws["scale"] / 2)
    standard = np.moveaxis(effect.values, -1, 0).reshape(3, -1)
    assert np.abs(np.cov(standard) - np.eye(3)).max() < 0.05
