"""Meta-analyses of effect sizes do not depend on units: of effects, nor of moderators."""

import numpy as np
import pandas as pd
import pytest

import bayesmeta as bm

BCG = pd.DataFrame(
    {
        "trial": [f"trial {k}" for k in range(1, 14)],
        "events": [4, 6, 3, 62, 33, 180, 8, 505, 29, 17, 186, 5, 27],
        "total": [123, 306, 231, 13598, 5069, 1541, 2545, 88391, 7499, 1716, 50634, 2498, 16913],
        "control_events": [11, 29, 11, 248, 47, 372, 10, 499, 45, 65, 141, 3, 29],
        "control_total": [
            139, 303, 220, 12867, 5808, 1451, 629, 88391, 7277, 1665, 27338, 2341, 17854,
        ],
        "ablat": [44, 55, 42, 52, 13, 44, 19, 13, 27, 42, 18, 33, 33],
        "year": [1948, 1949, 1960, 1977, 1973, 1953, 1973, 1980, 1968, 1961, 1974, 1969, 1976],
        "alloc": [*["random"] * 4, *["alternate"] * 2, *["random"] * 3, *["systematic"] * 4],
    }
)  # fmt: skip
"""Colditz et al. 1994, https://doi.org/10.1001/jama.1994.03510330076038."""

a, n1, c, n2 = BCG[["events", "total", "control_events", "control_total"]].to_numpy(float).T
BCG["yi"], BCG["sei"] = np.log(a / n1) - np.log(c / n2), np.sqrt(1 / a - 1 / n1 + 1 / c - 1 / n2)

DAYS = {"y": [-20, 3, -55, -70, -4, 2.0], "se": [6, 1.7, 4, 9, 2, 5.0]}
POINTS = {"y": [1.2, 3.4, -0.5, 2.2, 4.1, 0.3], "se": [0.8, 1.1, 0.6, 0.9, 1.3, 0.5]}


def read(frame, **roles):
    return bm.read_effect_sizes(frame, **({"effect": "yi", "se": "sei", "study": "trial"} | roles))


def fit(frame, moderators=(), *, spec=None, draws=4000, **settings):
    table = read(frame, moderators=list(moderators))
    return bm.fit(table, spec, draws=draws, progress=False, **settings)


def scatter(k, *, slope=-0.03, seed=1):
    """Effects that fall by year, as case 05 has them."""
    rng = np.random.default_rng(seed)
    year = np.arange(1990, 1990 + k)
    se = rng.uniform(0.05, 0.15, k)
    y = 0.2 + slope * (year - 2005) + rng.normal(0, se)
    return pd.DataFrame({"trial": range(k), "yi": y, "sei": se, "year": year})


# Published: metafor's rma(yi, vi, mods = ~ year) and mods = ~ ablat + year, REML.


@pytest.mark.parametrize(
    "moderators,published",
    [(["year"], [(0.0267, 0.0163)]), (["ablat", "year"], [(-0.0280, 0.0102), (0.0019, 0.0147)])],
)
def test_slopes_of_uncentred_moderators_are_those_of_metafor(moderators, published):
    found = fit(BCG, moderators, draws=10_000)
    assert bm.check(found).passed
    gamma = found.parameters["gamma"].mean(axis=(0, 1))
    for value, (estimate, error) in zip(gamma, published, strict=True):
        assert abs(value - estimate) < error / 5


def test_a_trend_is_found_wherever_the_years_begin():
    as_is = scatter(30)
    slopes = [
        fit(as_is.assign(year=as_is["year"] - zero), ["year"]).parameters["gamma"]
        for zero in (0, 2005)
    ]
    for slope in slopes:
        assert abs(slope.mean() + 0.03) < 3 * slope.std()
    np.testing.assert_allclose(slopes[0], slopes[1], rtol=1e-6)


@pytest.mark.parametrize(
    "data,mean,tau", [(DAYS, (-23.446, 12.587), 30.396), (POINTS, (1.54, 0.70), 1.48)]
)
def test_effects_in_days_and_points_are_those_of_reml(data, mean, tau):
    """Restricted maximum likelihood of the table, of points as metafor gives it."""
    frame = pd.DataFrame({"trial": list("abcdef"), "yi": data["y"], "sei": data["se"]})
    found = fit(frame)
    assert bm.check(found).passed
    mu = found.parameters["mu"]
    assert abs(mu.mean() - mean[0]) < mean[1] / 5
    low, high = np.quantile(found.parameters["tau"], [0.1, 0.9])
    assert low < tau < high


UNITS = {"thousandths": 1e-3, "hundreds": 100.0, "flipped": -1.0}


@pytest.mark.parametrize("factor", UNITS.values(), ids=UNITS.keys())
@pytest.mark.parametrize("moderators", [[], ["year"], ["alloc", "ablat"]])
def test_rescaled_effects_give_rescaled_results(factor, moderators):
    before = fit(BCG, moderators)
    rescaled = BCG.assign(yi=factor * BCG["yi"], sei=abs(factor) * BCG["sei"])
    after = fit(rescaled, moderators)
    for name in ("mu", "tau", "theta", *(["gamma"] if moderators else [])):
        unit = abs(factor) if name == "tau" else factor
        found, expected = after.parameters[name] / unit, before.parameters[name]
        if factor > 0:  # the same random numbers give the same draws
            np.testing.assert_allclose(found, expected, rtol=1e-6, atol=1e-9)
        error = 7 * expected.std(axis=(0, 1)) / np.sqrt(4 * 4000)
        assert (abs(found.mean(axis=(0, 1)) - expected.mean(axis=(0, 1))) < error).all()


def test_shifted_and_rescaled_moderators_change_nothing_but_units():
    before = fit(BCG, ["ablat", "year"])
    moved = BCG.assign(ablat=(BCG["ablat"] - 90) * 60, year=BCG["year"] - 1948)
    after = fit(moved, ["ablat", "year"])
    for name in ("tau", "theta"):
        np.testing.assert_allclose(after.parameters[name], before.parameters[name], rtol=1e-6)
    gamma, expected = after.parameters["gamma"], before.parameters["gamma"]
    np.testing.assert_allclose(gamma * [60, 1], expected, rtol=1e-6, atol=1e-9)
    # The mean is about the zero of each: 90 degrees in 1948, and 0 degrees in the year 0.
    mu = before.parameters["mu"] + expected @ [90.0, 1948.0]
    np.testing.assert_allclose(after.parameters["mu"], mu, rtol=1e-5, atol=1e-6)


def test_the_reference_level_changes_nothing_but_what_is_compared():
    first = fit(BCG, ["alloc"], draws=10_000)
    table = read(BCG, moderators=["alloc"], levels={"alloc": "systematic"})
    other = bm.fit(table, draws=10_000, progress=False)
    assert list(other.design.moderators) == ["alloc[alternate]", "alloc[random]"]
    means = [one.draws["theta"].mean(["chain", "draw"]).values for one in (first, other)]
    np.testing.assert_allclose(means[0], means[1], atol=0.01)


def test_stated_priors_are_in_the_units_of_the_table():
    spec = bm.EffectSizeSpec(mu_sd=0.3, moderator_sd=0.01, tau_scale=0.2)
    before = fit(BCG, ["year"], spec=spec)
    rescaled = BCG.assign(yi=100 * BCG["yi"], sei=100 * BCG["sei"], year=10 * BCG["year"])
    after = fit(
        rescaled, ["year"], spec=bm.EffectSizeSpec(mu_sd=30.0, moderator_sd=0.1, tau_scale=20.0)
    )
    assert abs(before.parameters["gamma"].mean() - 0.0267) > 0.0163 / 5  # the prior is felt
    np.testing.assert_allclose(
        after.parameters["gamma"], 10 * before.parameters["gamma"], rtol=1e-6, atol=1e-9
    )


@pytest.mark.parametrize("roles", [{}, {"moderators": ["alloc", "year"]}])
def test_independent_draws_are_those_of_a_markov_chain(roles):
    table = read(BCG, **roles)
    exact = bm.fit(table, draws=4000, progress=False)
    chain = bm.fit(table, sampler="nutpie", draws=2000, progress=False, cores=1)
    assert (exact.provenance["sampler"], chain.provenance["sampler"]) == ("exact", "nutpie")
    for name, values in exact.draws.items():
        a, b = exact.parameters[name], chain.parameters[name]
        sd = a.std(axis=(0, 1))
        assert (abs(a.mean(axis=(0, 1)) - b.mean(axis=(0, 1))) < 0.12 * sd).all(), name
        assert (abs(b.std(axis=(0, 1)) / sd - 1) < 0.12).all(), name
        assert values.dims == chain.draws[name].dims


# --- Where effects and moderators have their zero -------------------------------------------------


@pytest.mark.parametrize("zero", [1000.0, -1e5])
def test_effects_far_from_zero_are_only_shifted(zero):
    """Ages, prices, shares of large surveys: thousands of standard errors from 0."""
    before, after = fit(BCG, ["year"]), fit(BCG.assign(yi=BCG["yi"] + zero), ["year"])
    assert bm.check(after).passed
    for name in ("tau", "gamma"):
        np.testing.assert_allclose(after.parameters[name], before.parameters[name], rtol=1e-4)
    np.testing.assert_allclose(
        after.parameters["theta"] - zero, before.parameters["theta"], rtol=0, atol=1e-4
    )


def test_shares_of_large_surveys_have_the_mean_that_they_have():
    """Errors of 0.001 about shares that differ by 0.2: the mean is none of the prior's business."""
    shares = np.array([0.31, 0.74, 0.52, 0.45, 0.66, 0.58])
    frame = pd.DataFrame({"trial": list("abcdef"), "yi": shares, "sei": 0.001})
    mu = fit(frame).parameters["mu"]
    error = shares.std(ddof=1) / np.sqrt(len(shares))
    assert abs(mu.mean() - shares.mean()) < error / 10
    assert 0.8 < mu.std() / error < 1.6


def test_interactions_do_not_depend_on_where_years_begin():
    """Columns of an interaction are far from independent, and no prior may choose among them."""
    centred = BCG.assign(year=BCG["year"] - 1966)
    tables = [read(frame, moderators="year * alloc") for frame in (BCG, centred)]
    fits = [bm.fit(table, draws=4000, progress=False) for table in tables]
    np.testing.assert_allclose(*(one.parameters["tau"] for one in fits), rtol=1e-3)
    slopes = [one.draws["gamma"].sel(moderator="year").values for one in fits]
    np.testing.assert_allclose(slopes[0].mean(), slopes[1].mean(), atol=slopes[0].std() / 10)
    X = np.column_stack([np.ones(13), fits[1].design.X])
    total = np.median(fits[1].parameters["tau"]) ** 2 + BCG["sei"].to_numpy() ** 2
    weighted = np.linalg.solve((X.T / total) @ X, (X.T / total) @ BCG["yi"].to_numpy())
    gamma = fits[1].parameters["gamma"]
    off = abs(np.median(gamma, axis=(0, 1)) - weighted[1:])
    assert (off < gamma.std(axis=(0, 1)) / 4).all()
