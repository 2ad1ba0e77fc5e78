"""Averages over models of effect, heterogeneity and publication bias.

Marginal likelihoods are compared with closed forms and quadrature, and inclusion Bayes factors with
those that the R package RoBMA prints in its vignettes (Poulsen et al. 2006 and Bem 2011; effects
and errors as printed there).
"""

import itertools

import numpy as np
import pandas as pd
import pytest
from scipy import stats

import bayesmeta as bm
from bayesmeta.errors import FitError, QueryError, SpecError

POULSEN = (
    np.array([0.9073050, 0.7207589, 1.3305829, 1.7688872, 1.3286828]),
    np.array([0.2720456, 0.1977769, 0.2721648, 0.2656483, 0.3582617]),
)
BEM = (
    np.array([0.25, 0.20, 0.26, 0.23, 0.22, 0.15, 0.09, 0.19, 0.42]),
    np.array([0.10155048, 0.08246211, 0.10323629, 0.10182427, 0.10120277, 0.08210765, 0.07085372,
              0.10089846, 0.14752627]),
)  # fmt: skip


def table(y, se, **roles):
    frame = pd.DataFrame({"s": range(len(y)), "y": y, "se": se, "x": np.arange(len(y)) % 2})
    return bm.read_effect_sizes(frame, effect="y", se="se", study="s", **roles)


def to_fishers_z(d, se):
    """As RoBMA turns standardised differences into Fisher's z."""
    n = (d**2 + 8) / (2 * se**2)
    return np.arctanh(d / np.sqrt(d**2 + 4)), 1 / np.sqrt(n - 3)


def find(models, effect, tau, bias):
    row = models.query("effect == @effect and heterogeneity == @tau and bias == @bias")
    return row.iloc[0]


# --- Against closed forms and quadrature ----------------------------------------------------------


def test_bayes_factor_of_two_normal_models_is_the_closed_form():
    y, se = BEM
    spec = bm.EnsembleSpec(mu_sd=0.3, prob_heterogeneity=0, prob_bias=0)
    found = bm.average_models(table(y, se), spec)["effect"]
    weight = 1 / se**2
    mean, variance = np.average(y, weights=weight), 1 / weight.sum()
    exact = stats.norm.pdf(mean, 0, np.sqrt(variance + 0.3**2)) / stats.norm.pdf(
        mean, 0, np.sqrt(variance)
    )
    assert found["inclusion_bf"] == pytest.approx(exact, rel=0.01)
    assert abs(found["log_bf"] - np.log(exact)) < 4 * found["log_bf_mcse"]


def weigh(y, se, mean, sd, cuts, omega):
    """Density of published effects by hand, each of these broadcast over a grid."""
    edges = np.concatenate([[0.0], cuts, [1.0]])
    z = stats.norm.isf(edges) * se
    below = stats.norm.cdf((z[:-1] - mean) / sd) - stats.norm.cdf((z[1:] - mean) / sd)
    step = np.searchsorted(cuts, stats.norm.sf(y / se))
    return omega[step] / (omega * below).sum()


def integrate(y, se, *, effect, tau, slope=None, cuts=None, n=60):
    """Marginal likelihood by Gauss and Legendre's rule in every unknown's prior probability."""
    nodes, weights = np.polynomial.legendre.leggauss(n)
    nodes, weights = (nodes + 1) / 2, weights / 2
    laws = []
    if effect:
        laws.append(stats.norm(0, 1).ppf(nodes))
    if tau:
        laws.append(stats.invgamma(1, scale=0.15).ppf(nodes))
    if slope:
        laws.append(stats.halfcauchy(0, 1 if slope == 1 else 5).ppf(nodes))
    if cuts is not None:
        laws.append(nodes)
    total = 0.0
    for places in itertools.product(range(n), repeat=len(laws)):
        values = [law[k] for law, k in zip(laws, places, strict=True)]
        mu = values.pop(0) if effect else 0.0
        t = values.pop(0) if tau else 0.0
        mean = mu + (values.pop(0) * se**slope if slope else 0.0)
        sd = np.sqrt(se**2 + t**2)
        density = stats.norm.pdf(y, mean, sd) if slope or cuts is None else None
        if density is None:
            raw = np.exp(-0.5 * ((y - mean) / sd) ** 2) / sd / np.sqrt(2 * np.pi)
            omega = np.array([1.0, values.pop(0)])
            if len(cuts) == 2:  # two-sided
                omega = np.array([1.0, omega[1], 1.0])
            density = raw * np.array([
                weigh(a, s, mean, d, np.array(cuts), omega)
                for a, s, d in zip(y, se, sd, strict=True)
            ])  # fmt: skip
        total += np.prod(density) * np.prod(weights[list(places)])
    return np.log(total)


@pytest.mark.parametrize(
    "name,bias",
    [
        ("none", {}),
        ("PET", {"slope": 1}),
        ("PEESE", {"slope": 2}),
        ("one-sided, p 0.05", {"cuts": (0.05,)}),
        ("two-sided, p 0.05", {"cuts": (0.025, 0.975)}),
    ],
)
@pytest.mark.parametrize("effect,tau", [(True, False), (False, True)])
def test_marginal_likelihoods_are_those_of_quadrature(name, bias, effect, tau):
    # Three studies that say little: the integrand is smooth in the priors' probabilities.
    y, se = np.array([0.6, 0.1, 0.45]), np.array([0.3, 0.25, 0.2])
    spec = bm.EnsembleSpec(mu_sd=1, tau_scale=0.15, peese_scale=5)
    models = bm.average_models(table(y, se), spec, draws=4000, seed=3).models
    found = find(models, effect, tau, name)
    exact = integrate(y, se, effect=effect, tau=tau, **bias)
    assert abs(found["log_marginal"] - exact) < 4 * found["log_marginal_mcse"] + 0.003
    assert found["log_marginal_mcse"] < 0.02


def test_steps_of_several_p_values_are_integrated_over_sorted_uniforms():
    y, se = np.array([0.6, 0.1, 0.45]), np.array([0.3, 0.25, 0.2])
    rng, n = np.random.default_rng(1), 40_000
    omega = np.sort(rng.random((n, 2)))[:, ::-1]
    total = np.ones(n)
    for a, s in zip(y, se, strict=True):
        z = stats.norm.isf([0.025, 0.05])
        shares = np.array([stats.norm.sf(z[0]), stats.norm.sf(z[1]) - stats.norm.sf(z[0]),
                           1 - stats.norm.sf(z[1])])  # fmt: skip
        full = np.column_stack([np.ones(n), omega])
        step = int(np.searchsorted([0.025, 0.05], stats.norm.sf(a / s)))
        total *= stats.norm.pdf(a, 0, s) * full[:, step] / (full @ shares)
    spec = bm.EnsembleSpec(one_sided=((0.025, 0.05),), two_sided=(), regressions=())
    models = bm.average_models(table(y, se), spec).models
    found = find(models, False, False, "one-sided, p 0.025, 0.05")["log_marginal"]
    assert found == pytest.approx(np.log(total.mean()), abs=0.02)


def test_monte_carlo_errors_are_those_of_repetitions():
    spec = bm.EnsembleSpec(mu_sd=1, tau_scale=0.15, peese_scale=5)
    runs = [bm.average_models(table(*BEM), spec, draws=500, seed=k) for k in range(25)]
    for name in ("effect", "heterogeneity", "publication bias"):
        values = [run[name]["log_bf"] for run in runs]
        stated = np.mean([run[name]["log_bf_mcse"] for run in runs])
        assert 0.6 < np.std(values) / stated < 1.7
    means = [run.summary["mean"][0] for run in runs]
    assert 0.6 < np.std(means) / np.mean([run.summary["mcse"][0] for run in runs]) < 1.7


# --- Against RoBMA --------------------------------------------------------------------------------


def test_averages_without_bias_are_those_published():
    """Bartoš et al. 2021, https://doi.org/10.1002/sim.9170: 218.53, 3.52, 1.082 (0.686, 1.412)."""
    spec = bm.EnsembleSpec(mu_sd=0.51, mu_df=5, tau_shape=1.79, tau_scale=0.28, prob_bias=0)
    found = bm.average_models(table(*POULSEN), spec, ci_prob=0.95, draws=40_000)
    assert found["effect"]["inclusion_bf"] == pytest.approx(218.53, rel=0.01)
    assert found["heterogeneity"]["inclusion_bf"] == pytest.approx(3.52, rel=0.02)
    given = found.summary.query("models == 'with an effect'").iloc[0]
    assert given["mean"] == pytest.approx(1.082, abs=0.01)
    assert (given["lower"], given["upper"]) == pytest.approx((0.686, 1.412), abs=0.02)


@pytest.mark.parametrize(
    "data,prior,published",
    [
        (POULSEN, {"mu_sd": 0.255, "mu_df": 5, "tau_shape": 1.79, "tau_scale": 0.14},
         (6.022, 2.502, 2.304)),
        (BEM, {"mu_sd": 0.5, "tau_scale": 0.075}, (0.479, 0.143, 16.323)),
    ],
)  # fmt: skip
def test_inclusion_bayes_factors_of_36_models_are_those_of_robma(data, prior, published):
    spec = bm.EnsembleSpec(peese_scale=10, **prior)
    found = bm.average_models(table(*to_fishers_z(*data)), spec)
    assert len(found.models) == 36
    bayes_factors = found.components["inclusion_bf"].tolist()
    assert bayes_factors == pytest.approx(published, rel=0.02)


def test_marginal_likelihoods_of_single_models_are_those_of_robma():
    spec = bm.EnsembleSpec(mu_sd=0.5, tau_scale=0.075, peese_scale=10)
    models = bm.average_models(table(*to_fishers_z(*BEM)), spec).models
    for bias, published, allowed in (
        ("none", -3.28, 0.01), ("PET", 15.75, 0.02), ("PEESE", 15.65, 0.02),
        ("one-sided, p 0.05", 13.70, 0.1),
    ):  # fmt: skip
        found = find(models, False, False, bias)["log_marginal"]
        assert found == pytest.approx(published, abs=allowed)


# --- What an average has to be --------------------------------------------------------------------


def test_units_and_the_favoured_direction_change_nothing_else():
    y, se = BEM
    one = bm.average_models(table(y, se), draws=1000)
    for scale, favoured in ((1000.0, "positive"), (-0.01, "negative")):
        spec = bm.EnsembleSpec(favoured=favoured)
        other = bm.average_models(table(scale * y, abs(scale) * se), spec, draws=1000)
        np.testing.assert_allclose(
            other.components["inclusion_bf"], one.components["inclusion_bf"], rtol=0.1
        )
        assert other.summary["mean"][0] / scale == pytest.approx(one.summary["mean"][0], abs=0.004)


def test_draws_of_the_average_are_those_of_the_summary():
    found = bm.average_models(table(*BEM), ci_prob=0.8)
    rows = found.summary.query("models == 'all'").set_index("quantity")
    mu, tau = found.draws["mu"], found.draws["tau"]
    assert (mu == 0).mean() == pytest.approx(rows.loc["mean effect", "prob_zero"], abs=0.001)
    assert (tau == 0).mean() == pytest.approx(rows.loc["tau", "prob_zero"], abs=0.001)
    assert mu.mean() == pytest.approx(rows.loc["mean effect", "mean"], abs=0.003)
    upper = np.quantile(mu, 0.9)
    assert upper == pytest.approx(rows.loc["mean effect", "upper"], abs=0.01)
    assert found.models["posterior_prob"].sum() == pytest.approx(1)
    assert found.models["prior_prob"].sum() == pytest.approx(1)
    for name in ("effect", "heterogeneity", "publication bias"):
        assert found[name]["prior_prob"] == pytest.approx(0.5)


def test_publication_bias_that_is_there_is_found_and_undone():
    rng = np.random.default_rng(4)
    se = rng.uniform(0.1, 0.4, 4000)
    y = rng.normal(0, np.hypot(se, 0.1))
    shown = (y > 1.96 * se) | (rng.random(len(y)) < 0.1)
    y, se = y[shown][:60], se[shown][:60]
    found = bm.average_models(table(y, se), bm.EnsembleSpec(mu_sd=1, tau_scale=0.15), draws=2000)
    assert found["publication bias"]["inclusion_bf"] > 100
    honest = bm.average_models(table(y, se), bm.EnsembleSpec(prob_bias=0), draws=2000)
    assert honest.summary["mean"][0] > 0.15
    assert abs(found.summary["mean"][0]) < 0.1


def test_what_has_no_place_in_an_ensemble_is_refused():
    y, se = BEM
    with pytest.raises(QueryError, match="has moderators"):
        bm.average_models(table(y, se, moderators=["x"]))
    with pytest.raises(QueryError, match="has groups"):
        bm.average_models(table(y, se, groups=["x"]))
    with pytest.raises(QueryError, match="correlated errors"):
        bm.average_models(table(y, se, cluster="x", rho=0.5))
    with pytest.raises(QueryError, match="was given str"):
        bm.average_models("table.csv")
    with pytest.raises(QueryError, match="draws is 3"):
        bm.average_models(table(y, se), draws=3)
    for wrong in (
        {"mu_sd": -1}, {"tau_shape": None}, {"prob_bias": 1.5}, {"prob_effect": "half"},
        {"one_sided": (0.05,)}, {"two_sided": ((0.1, 0.05),)}, {"regressions": "pet"},
        {"regressions": ("pete",)}, {"favoured": "up"}, {"mu_df": True},
    ):  # fmt: skip
        with pytest.raises(SpecError, match=next(iter(wrong)).removesuffix("s")):
            bm.EnsembleSpec(**wrong)


def test_a_table_of_counts_is_said_to_be_taken_as_log_odds_ratios():
    frame = pd.DataFrame({"s": list("abc"), "a": [1, 5, 9], "n": [20, 40, 90], "c": [4, 9, 8],
                          "m": [20, 40, 90]})  # fmt: skip
    counted = bm.read_effect_sizes(frame, study="s", counts=["a", "n", "c", "m"])
    assert "log odds ratios with normal errors" in bm.average_models(counted, draws=200).text


def test_evidence_beyond_numbers_and_narrow_errors_are_answered():
    """Twenty studies at 5, each within 0.001: under no effect a regression on the error alone."""
    y = 5 + 0.001 * np.random.default_rng(1).standard_normal(20)
    found = bm.average_models(table(y, np.full(20, 0.001)), draws=1000)
    assert found["effect"]["log_bf"] > 5
    assert np.isfinite(found.models["log_marginal"]).all()
    far = bm.average_models(table([0.0, 30.0, -30.0], [0.01, 0.01, 0.01]), draws=1000)
    assert far["heterogeneity"]["log_bf"] > 700
    assert far["heterogeneity"]["inclusion_bf"] == np.inf
    with pytest.raises(FitError, match="Widen the priors"):
        bm.average_models(table(y, np.full(20, 0.001)), bm.EnsembleSpec(mu_sd=1e-200))


def test_few_draws_of_a_hard_table_end_in_words(monkeypatch):
    monkeypatch.setattr("bayesmeta.studies.exact_posterior._MOST_PROPOSALS", 0)
    monkeypatch.setattr("bayesmeta.studies.exact_posterior._MOST_ROUNDS", 1)
    with pytest.raises(FitError, match="independent draws are too rare"):
        bm.average_models(table(np.linspace(-5, 5, 40), np.full(40, 0.01)), draws=3000)


def test_huge_bayes_factors_are_written_with_powers_of_ten():
    found = bm.average_models(table([0.0, 1.0, -1.0], [0.1, 0.1, 0.1]), draws=200)
    assert 1e9 < found["heterogeneity"]["inclusion_bf"] < np.inf
    assert "e+" in repr(found).split("publication bias")[0]
