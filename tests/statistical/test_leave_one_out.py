"""Leave-one-out scores: importance sampling and refits agree, and fits are compared by them."""

from dataclasses import replace

import arviz as az
import numpy as np
import pytest

import bayesmeta as bm
from bayesmeta import defaults
from bayesmeta.crossvalidation.folds import Candidate, run_fold
from bayesmeta.crossvalidation.schemes import Fold
from bayesmeta.errors import EvaluationError

SPEC = bm.ModelSpec(decisions=(), family_effects="none", interactions="none")
FLAT = bm.ModelSpec(decisions=(), family_effects="none", interactions="none", scaling="none")
SETTINGS = {"draws": 1000, "tune": 500, "chains": 2, "cores": 1, "seed": 3, "progress": False}

N_REFITTED = 16
TOLERANCE = 0.15
"""Of the median change of a log density, which is 0.1 or less where importance sampling is weakest,
and several tenths for single scores; scores mixed up would differ by one or more."""


@pytest.fixture(scope="module")
def fitted(small):
    return bm.fit(small, SPEC, **SETTINGS)


@pytest.fixture(scope="module")
def found(fitted):
    return bm.loo(fitted)


@pytest.fixture(scope="module")
def flat(small):
    return bm.loo(bm.fit(small, FLAT, **SETTINGS))


def test_scores_left_out_are_less_likely_than_scores_known(fitted, found):
    density = fitted.log_likelihood()
    known = np.logaddexp.reduce(density, axis=(0, 1)) - np.log(density[..., 0].size)
    assert (found.table["log_density"] < known).all()
    below = fitted.probability_below()
    near = np.abs(below.mean(axis=(0, 1)) - 0.5)
    assert (np.abs(found.table["pit"] - 0.5) >= near - 0.01).all()


@pytest.mark.filterwarnings("ignore:Estimated shape parameter:UserWarning")
def test_importance_sampling_allows_for_dependent_draws(fitted):
    n = fitted.parameters["alpha"].shape[1]
    often = np.repeat(np.arange(0, n, 4), 4)  # chains that stay where they are for four draws
    slow = replace(fitted, posterior=fitted.posterior.isel(draw=often))
    found, density = bm.loo(slow), slow.log_likelihood()

    def compute(draws):
        tree = az.from_dict({"posterior": draws, "log_likelihood": {"y": density}})
        return az.loo(tree, var_name="y", pointwise=True).pareto_k

    draws = slow.parameters
    np.testing.assert_allclose(found.table["pareto_k"], compute(draws))
    rng = np.random.default_rng(1)
    shuffled = {name: rng.permutation(values, axis=1) for name, values in draws.items()}
    assert not np.allclose(found.table["pareto_k"], compute(shuffled))


def test_refits_agree_with_importance_sampling(fitted, found, monkeypatch):
    ordered = np.sort(found.table["pareto_k"])[::-1]
    monkeypatch.setattr(defaults, "PARETO_K_MAX", ordered[N_REFITTED])
    again = bm.loo(fitted, refit=True, progress=False)
    is_new = again.table["refitted"].to_numpy(bool)
    assert is_new.sum() == N_REFITTED
    assert again.n_bad == 0
    assert found.n_bad == (found.table["pareto_k"] > defaults.PARETO_K_MAX).sum()
    change = (again.table["log_density"] - found.table["log_density"]).to_numpy()
    assert (change[~is_new] == 0).all()
    assert np.median(np.abs(change[is_new])) < TOLERANCE
    assert (change[is_new] != 0).all()
    assert np.median(np.abs(again.table["pit"] - found.table["pit"])[is_new]) < TOLERANCE / 3
    total = again.elpd_data
    assert total.elpd == pytest.approx(again.table["log_density"].sum())
    assert total.elpd + total.p == pytest.approx(found.elpd_data.elpd + found.elpd_data.p)


def test_families_are_left_out_as_in_the_scoreboard(small, fitted, found):
    left = bm.loo(fitted, leave_out="lm_family", progress=False)
    assert left.table["refitted"].all()
    assert "other lm families alone" in repr(left)
    family = (small.scores["lm"].isin(["bee-1", "bee-2", "bee-3"])).to_numpy()
    fold = Fold(scheme="leave-family-out", seed=0, index=0, train=~family, test=family)
    scored = run_fold(small, Candidate("mine", SPEC), fold)
    mine = left.table.loc[family].reset_index(drop=True)
    assert (mine["lm"] == scored["lm"]).all()
    assert (mine["benchmark"] == scored["benchmark"]).all()
    change = np.abs(mine["log_density"].to_numpy() - scored["log_density"].to_numpy())
    assert np.median(change) < TOLERANCE
    seen = found.table.loc[family, "log_density"].to_numpy()
    assert np.median(np.abs(seen - scored["log_density"].to_numpy())) > np.median(change)


def test_groups_add_up(small, found):
    for group in ("benchmark", "task_family", "lm", "lm_family"):
        table = found.by(group)
        assert table["elpd"].sum() == pytest.approx(found.elpd_data.elpd)
        assert table["n"].sum() == len(small.scores)
        inside = (found.table["pit"].between(0.05, 0.95)).sum()
        assert (table["coverage90"] * table["n"]).sum() == pytest.approx(100 * inside)
    assert found.by("benchmark").set_index("benchmark")["n"].to_dict() == small.counts().to_dict()
    assert found.table["lm"].tolist() == small.scores["lm"].tolist()


def test_comparison_is_that_of_arviz_and_prefers_the_better_model(found, flat):
    table = bm.compare({"flat": flat, "scale": found}).set_index("model")
    assert table.index[0] == "scale"
    assert table.loc["scale", "weight"] > 0.5
    difference = (flat.table["log_density"] - found.table["log_density"]).to_numpy()
    assert table.loc["flat", "elpd_diff"] == pytest.approx(difference.sum())
    assert table.loc["flat", "dse"] == pytest.approx(np.sqrt(len(difference)) * difference.std())
    theirs = az.compare({"flat": flat.elpd_data, "scale": found.elpd_data}, round_to="none")
    np.testing.assert_allclose(table["weight"], theirs.loc[table.index, "weight"])


def test_bad_comparisons_are_refused(found, flat, fake_bundled_fit):
    with pytest.raises(EvaluationError, match="1 model to compare: one"):
        bm.compare({"one": found})
    with pytest.raises(EvaluationError, match=r"'waic' is not known. Allowed: stacking"):
        bm.compare({"one": found, "two": flat}, method="waic")
    with pytest.raises(EvaluationError, match="different data, by checksum: one"):
        bm.compare({"one": found, "two": fake_bundled_fit})
    other = replace(flat, left_out="lm_family")
    with pytest.raises(EvaluationError, match=r"different things were left out: one \(score\)"):
        bm.compare({"one": found, "two": other})
    with pytest.raises(EvaluationError, match=r"leave_out 'family' is not known.*lm_family"):
        bm.loo(fake_bundled_fit, leave_out="family")
    with pytest.raises(EvaluationError, match="group 'task' is not known"):
        found.by("task")
    assert "refit=True" in repr(found) or "refitted" in repr(found)
