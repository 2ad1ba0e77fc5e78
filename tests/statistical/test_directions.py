"""Lower Brier scores are better ones: the latent scale says so, and a reversed score is noticed."""

import pytest

import bayesmeta as bm

SPEC = bm.ModelSpec(decisions=(), family_effects="none", interactions="none")
SETTINGS = {"draws": 300, "tune": 300, "chains": 2, "cores": 1, "seed": 3, "progress": False}
CERTAIN = 0.95
"""The small data have Brier scores that fall by a tenth per tenfold size, with noise of 0.03."""


def probability_that_size_helps(dataset):
    slope = bm.fit(dataset, SPEC, **SETTINGS).draws["kappa"]
    return float((slope.sel(benchmark="proofs", scale_term="n_params") > 0).mean())


@pytest.mark.parametrize("is_reversed", [False, True])
def test_larger_lms_are_better_on_brier_scores(small, is_reversed):
    score = small.scores["score"].to_numpy(copy=True)
    if is_reversed:
        rows = (small.scores["benchmark"] == "proofs").to_numpy()
        score[rows] = 1.5 - score[rows]
    helps = probability_that_size_helps(small.with_scores(score))
    assert helps < 1 - CERTAIN if is_reversed else helps > CERTAIN
