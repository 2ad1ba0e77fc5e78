"""What new data change: predictions before they are seen, weights of draws, effects that move."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from scipy import stats

import bayesmeta as bm
from bayesmeta.errors import DataError, QueryError
from bayesmeta.inference.refit import Refitter
from bayesmeta.model.predictor import StudentScores, linear_predictor
from bayesmeta.robustness.new_data import _place, integrate_effects, weigh_draws

SEED = 3


@pytest.fixture(scope="module")
def fit():
    return bm.load_reference_fit()


@pytest.fixture(scope="module")
def make(fit):
    """New LMs like one of the data, under other names, with its scores or shifted ones."""

    def build(names, *, family="pythia", shift=0.0, benchmarks=None):
        data = fit.dataset
        like = data.lms[data.lms["lm_family"].eq("pythia")].iloc[:1]
        own = data.scores[data.scores["lm"].eq(like["lm"].iloc[0])]
        own = own[own["benchmark"].isin(benchmarks)] if benchmarks else own
        lms = pd.concat([like.assign(lm=name, lm_family=family) for name in names])
        scores = pd.concat([own.assign(lm=name, score=own["score"] + shift) for name in names])
        return replace(data, lms=lms.reset_index(drop=True), generations=None,
                       scores=scores.reset_index(drop=True))  # fmt: skip

    return build


def test_linear_normal_scores_have_the_likelihood_of_a_normal():
    rng = np.random.default_rng(SEED)
    base, loads = rng.normal(size=(5, 4)), rng.normal(size=(5, 4, 3))
    y, sd = rng.normal(size=4), np.array([0.5, 1.0, 1.5, 0.7])

    def law(latent):
        return StudentScores(y=y, mu=2 * latent, sd=np.broadcast_to(sd, latent.shape), nu=None)

    found = [integrate_effects(law, base=base, loads=loads, rng=rng) for _ in range(100)]
    expected = [
        stats.multivariate_normal(2 * b, 4 * load @ load.T + np.diag(sd**2)).logpdf(y)
        for b, load in zip(base, loads, strict=True)
    ]
    assert np.log(np.exp(found).mean(axis=0)) == pytest.approx(expected, abs=0.06)
    assert np.std(found, axis=0).max() < 0.2


def test_student_scores_on_a_logistic_scale_as_by_brute_force():
    rng = np.random.default_rng(SEED)
    base, loads = np.array([[0.2, -1.0]]), np.array([[[0.5, 0.3], [0.8, 0.0]]])
    y, sd, nu = np.array([0.75, 0.2]), 0.05, np.array([[4.0]])

    def law(latent):
        mu = 0.25 + 0.75 / (1 + np.exp(-latent))
        return StudentScores(y=y, mu=mu, sd=np.full(latent.shape, sd), nu=nu)

    found = [integrate_effects(law, base=base, loads=loads, rng=rng)[0] for _ in range(200)]
    z = rng.standard_normal((400_000, 2))
    mu = 0.25 + 0.75 / (1 + np.exp(-(base + z @ loads[0].T)))
    brute = np.exp(stats.t.logpdf(y, 4, loc=mu, scale=sd).sum(axis=1)).mean()
    assert np.mean(np.exp(found)) == pytest.approx(brute, rel=0.02)


def test_a_score_of_a_known_lm_has_the_density_of_the_fit(fit):
    data, scores = fit.dataset, fit.dataset.scores
    row = int(np.flatnonzero(scores["benchmark"] == "winogrande")[0])
    own = replace(data, lms=data.lms[data.lms["lm"].eq(scores["lm"][row])],
                  scores=scores.iloc[[row]], generations=None)  # fmt: skip
    found = _place(fit, own, seed=SEED).density(seed=SEED)
    assert found == pytest.approx(fit.log_likelihood()[..., row].reshape(-1), abs=1e-10)


def test_effects_of_new_families_and_lms_are_integrated_out(fit, make):
    own = make(["x", "y"], family="unheard", benchmarks=["winogrande", "hellaswag"])
    new = _place(fit, own, seed=SEED)
    found = new.density(seed=SEED)
    # By brute force: effects drawn from their prior, for a few draws of the posterior.
    n, rng = 40_000, np.random.default_rng(SEED)
    design, outcomes, spec = new.design, new.outcomes, fit.spec
    old, family = len(fit.design.lms), len(fit.design.lm_families)
    for draw in (0, 400, 900):
        one = {name: values[draw] for name, values in new.parameters.items()}
        still = {**one, **{name: one[name].copy() for name in ("u", "v", "w")}}
        still["v"][old:], still["u"][family:], still["w"][family:] = 0, 0, 0
        eta = linear_predictor(still, design=design, spec=spec)
        base = eta[outcomes.lm_index, outcomes.benchmark_index]
        b, i = outcomes.benchmark_index, outcomes.lm_index - old
        rho_lm, rho = one["rho_lm"], one["rho_family"]
        u, w = rng.standard_normal((n, 1)), rng.standard_normal((n, len(design.task_families)))
        v = rng.standard_normal((n, 2))
        task = design.task_family_index[b]
        family_part = np.sqrt(rho) * u + np.sqrt(1 - rho) * w[:, task]
        latent = base + one["tau_family"][b] * family_part
        latent = latent + one["sigma"][b] * np.sqrt(rho_lm) * v[:, i]
        repeated = {name: np.broadcast_to(one[name], (n, *np.shape(one[name])))
                    for name in ("sigma", "rho_lm", "sigma_score", "nu_beyond_one")}  # fmt: skip
        law = replace(new, parameters=repeated).law(latent)
        brute = np.exp(law.log_density().sum(axis=-1))
        error = brute.std() / brute.mean() / np.sqrt(n)
        assert error < 0.05
        assert found[draw] == pytest.approx(np.log(brute.mean()), abs=0.35 + 4 * error)


def test_scores_are_predicted_as_by_predict(fit, make):
    own = make(["x"], family="unheard")
    changed = bm.changes(fit, own, seed=SEED)
    predicted = bm.predict(fit, own.lms).observed.sel(lm="x")
    table = changed.scores.set_index("benchmark")
    for name in ("winogrande", "anli"):
        draws = predicted.sel(benchmark=name).values
        share = (draws < table.loc[name, "score"]).mean()
        assert table.loc[name, "pit"] == pytest.approx(share, abs=0.06)
        assert table.loc[name, "estimate"] == pytest.approx(np.median(draws), abs=draws.std() / 5)
    assert not changed.lms["surprise"].any()


def test_an_lm_far_from_its_family_surprises(fit, make):
    ordinary, odd = make(["x"]), make(["x"], shift=0.2, benchmarks=["winogrande", "hellaswag"])
    assert bm.changes(fit, ordinary).lms["surprise"].tolist() == [False]
    found = bm.changes(fit, odd)
    assert found.lms["surprise"].tolist() == [True]
    assert found.lms["pit"].item() > 0.99
    assert found.method == "none"
    assert len(found.statements) == 0
    assert "1 of 1 lms surprised (0.1 expected by chance); no effects without a refit" in repr(
        found
    )


@pytest.mark.parametrize("named", [["winogrande"], ["winogrande", "hellaswag", "lambada"]])
def test_benchmarks_with_a_unit_of_their_own_are_no_part_of_the_mean(fit, make, named):
    """Of three benchmarks two are apart, then all; of one, none and then it."""

    def changed(apart):
        whole = bm.load_fit(bm.load_reference_fit().path)
        vars(whole)["design"] = replace(whole.design, apart=tuple(apart))
        return bm.changes(whole, make(["x"], benchmarks=named), seed=SEED)

    found = changed(named[1:] and named[:2])
    row = found.lms.iloc[0]
    assert row["scores"] == len(named)
    kept = found.scores.set_index("benchmark").drop(index=named[1:] and named[:2])
    assert row["score"] == pytest.approx(kept["score"].item())
    assert row["pit"] == pytest.approx(kept["pit"].item(), abs=0.06)
    alone = changed(named).lms.iloc[0]
    assert np.isnan(alone["score"]) == (len(named) > 1)
    assert not alone["surprise"]


def test_weights_move_effects_as_weighted_draws(fit, make):
    own = make(["x"], family="unheard", shift=0.03, benchmarks=["winogrande", "hellaswag"])
    found = bm.changes(fit, own, seed=SEED)
    assert found.method == "importance"
    assert found.pareto_k < 0.67
    density = _place(fit, own, seed=SEED).density(seed=SEED)
    weight, k = weigh_draws(density)
    plain = np.exp(density - np.logaddexp.reduce(density))
    # Smoothing changes the largest weights alone, and not their order.
    order, tail = np.argsort(plain), int(np.ceil(3 * np.sqrt(len(plain))))
    assert (np.diff(weight[order]) >= 0).all()
    ratio = (weight / plain)[order[:-tail]]
    assert ratio == pytest.approx(ratio[0])
    assert ratio[0] == pytest.approx(1.0, abs=0.05)
    assert (k, weight.sum()) == pytest.approx((found.pareto_k, 1.0))
    table = found.statements.set_index("statement")
    draws = bm.effects(fit).draws
    noise = 0.5 / np.sqrt(len(weight))  # of as many draws from the weighted ones, at most
    for statement in ("norm: rmsnorm > layernorm", "block: parallel > sequential"):
        values = draws.sel(contrast=statement).values.reshape(-1)
        row = table.loc[statement].to_dict()
        assert row["estimate_before"] == pytest.approx(np.median(values))
        assert row["prob_helps_after"] == pytest.approx(weight @ (values > 0), abs=noise)
        order = np.argsort(values)
        middle = values[order][np.searchsorted(np.cumsum(weight[order]), 0.5)]
        assert row["estimate_after"] == pytest.approx(middle, abs=2 * noise * values.std())
        expected = (row["estimate_after"] - row["estimate_before"]) / values.std()
        assert row["move"] == pytest.approx(expected, rel=0.01)
    said = found.to_dict()
    assert list(said["statements"][0]) == ["statement", "before", "after", "move"]
    assert said["statements"][0]["before"]["verdict"] == found.statements["verdict_before"][0]


def test_what_the_fit_does_not_know(fit, make):
    own = make(["x"], benchmarks=["winogrande"])
    both = replace(own, scores=pd.concat([own.scores, own.scores.assign(benchmark="triage")]))
    bench = own.benchmarks[own.benchmarks["benchmark"] == "winogrande"].assign(benchmark="triage")
    both = replace(both, benchmarks=pd.concat([own.benchmarks, bench], ignore_index=True))
    assert bm.changes(fit, both).left_out == ("triage",)
    lms = own.lms.assign(norm="batchnorm")
    with pytest.raises(QueryError, match="LM 'x' has norm 'batchnorm'"):
        bm.changes(fit, replace(own, lms=lms))
    with pytest.raises(DataError, match=r"own is 'x'\. Allowed: a Dataset"):
        bm.changes(fit, "x")  # pyright: ignore[reportArgumentType]


@pytest.mark.slow
def test_weighed_draws_say_what_a_refit_says(make):
    data, own = bm.load_dataset(), make(["x", "y"], shift=0.02)
    spec = bm.ModelSpec(decisions=("norm",), family_effects="none", interactions="none")
    fit = Refitter(data, spec=spec, warm=False).fit(seed=SEED, chains=2, tune=200, draws=500)
    weighed, refitted = (bm.changes(fit, own, refit=refit, seed=SEED) for refit in (False, True))
    assert (weighed.method, refitted.method) == ("importance", "refit")
    one, two = (found.statements.set_index("statement") for found in (weighed, refitted))
    width = (one["upper_before"] - one["lower_before"]) / 2
    for name in ("estimate_after", "lower_after", "upper_after"):
        assert ((one[name] - two[name]).abs() < 0.3 * width).all()
    pd.testing.assert_frame_equal(weighed.scores, refitted.scores)
