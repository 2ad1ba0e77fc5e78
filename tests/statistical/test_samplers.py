"""Other samplers are asked for what suits the machine, and draw from the same posterior."""

import numpy as np
import pymc as pm
import pytest

import bayesmeta as bm

SPEC = bm.ModelSpec(decisions=(), interactions="none", family_effects="none")
CHAINS = {"cpu": None, "gpu": "vectorized"}
"""How chains of numpyro run on what JAX finds: each on a device of its own if nothing is said."""


@pytest.fixture
def data():
    return bm.load_dataset(experiments=False)


@pytest.mark.parametrize("backend", CHAINS)
def test_chains_of_numpyro_step_together_on_an_accelerator(data, monkeypatch, backend):
    jax, asked = pytest.importorskip("jax"), {}

    def note(*_, **settings):
        asked.update(settings)
        raise KeyboardInterrupt

    monkeypatch.setattr(jax, "default_backend", lambda: backend)
    monkeypatch.setattr(pm, "sample", note)
    with pytest.raises(KeyboardInterrupt):
        bm.fit(data, SPEC, sampler="numpyro", chains=100, progress=False)
    assert asked["chains"] == 100
    assert asked["nuts"].get("chain_method") == CHAINS[backend]


@pytest.mark.slow
def test_chains_that_step_together_draw_from_the_same_posterior(data, monkeypatch):
    jax = pytest.importorskip("jax")
    monkeypatch.setattr(jax, "default_backend", lambda: "gpu")
    many = bm.fit(data, SPEC, sampler="numpyro", chains=8, tune=150, draws=100, progress=False)
    few = bm.fit(data, SPEC, draws=400, progress=False)
    ours, theirs = (fit.parameters["alpha"].reshape(-1, 13) for fit in (many, few))
    assert ours.shape == (800, 13)
    assert (np.abs(ours.mean(0) - theirs.mean(0)) < 0.3 * theirs.std(0)).all()
    np.testing.assert_allclose(ours.std(0), theirs.std(0), rtol=0.25)
