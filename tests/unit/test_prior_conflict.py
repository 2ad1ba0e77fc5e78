"""Verdicts on fits of effect sizes: priors that contradict the data fail, and it is kept."""

import numpy as np
import pandas as pd
import pytest

import bayesmeta as bm

DAYS = {"y": [-20, 3, -55, -70, -4, 2.0], "se": [6, 1.7, 4, 9, 2, 5.0], "dose": [1, 2, 3, 4, 5, 7]}


def table(**roles):
    frame = pd.DataFrame(DAYS).assign(s=list("abcdef"))
    return bm.read_effect_sizes(frame, effect="y", se="se", study="s", **roles)


CONFLICTS = {
    "tau": ({"tau": "half-normal", "tau_scale": 0.5}, "prior of tau, half-normal (0.5)"),
    "lower end of tau": (
        {"tau": "log-normal", "tau_scale": 5000.0, "tau_log_sd": 0.1}, "prior of tau, log-normal",
    ),
}  # fmt: skip


@pytest.mark.parametrize("stated,words", CONFLICTS.values(), ids=CONFLICTS.keys())
def test_priors_that_contradict_the_data_fail(tmp_path, caplog, stated, words):
    fit = bm.fit(table(), bm.EffectSizeSpec(**stated), progress=False)
    report = bm.check(fit)
    assert not report.passed
    assert any(words in line for line in report.failures)
    assert "FAILED" in repr(report)
    assert fit.failures  # whether or not it was checked
    fit.save(tmp_path / "fit.nc")
    back = bm.load_fit(tmp_path / "fit.nc")
    assert back.failures == fit.failures
    assert bm.check(back).failures == report.failures
    assert not caplog.text


def test_default_priors_pass_and_are_stated():
    fit = bm.fit(table(moderators=["dose"]), progress=False)
    assert bm.check(fit).passed
    said = fit.prior_report["stated"]
    assert "heterogeneity half-cauchy (22.5)" in said  # five times the median standard error, 4.5
    assert "mean effect normal(0, 4.5e+06)" in said
    assert "median standard error of the table is 4.5" in said


def test_priors_that_fit_pass():
    spec = bm.EffectSizeSpec(mu_sd=50.0, tau="half-normal", tau_scale=30.0)
    fit = bm.fit(table(), spec, progress=False)
    assert bm.check(fit).passed
    assert "half-normal (30)" in fit.prior_report["stated"]


def test_a_prior_that_counts_is_mentioned():
    spec = bm.EffectSizeSpec(tau="half-normal", tau_scale=12.0)
    fit = bm.fit(table(), spec, progress=False)
    assert fit.prior_report["shift"]["tau"] < -0.3
    assert any("The prior counts" in line for line in bm.check(fit).advice)


def test_priors_of_coefficients_that_contradict_the_data_fail():
    frame = pd.DataFrame({"s": list("abcdef"), "y": [9, 11, 13, 15, 17, 19.0], "x": range(6)})
    frame["se"] = 0.3
    roles = {"effect": "y", "se": "se", "study": "s", "moderators": ["x"]}
    spec = bm.EffectSizeSpec(mu_sd=1.0, moderator_sd=0.1)
    found = bm.check(bm.fit(bm.read_effect_sizes(frame, **roles), spec, progress=False)).failures
    assert any("prior of the mean effect, normal(0, 1), contradicts" in line for line in found)
    assert any("prior of the x, normal(0, 0.1), contradicts" in line for line in found)


def test_estimates_are_in_the_units_of_the_table():
    frame = pd.DataFrame(
        {"s": range(8), "y": np.linspace(0, 1, 8), "se": 0.1, "tau_years": np.arange(8) * 10.0}
    )
    table = bm.read_effect_sizes(frame, study="s", effect="y", se="se", moderators=["tau_years"])
    fit = bm.fit(table)
    found = bm.prior_sensitivity(fit).set_index("quantity")["estimate"]
    rows = bm.summary(fit)
    for name, row in (("tau_years", "tau_years"), ("tau", "tau"),
                      ("mean effect", "mean effect at mean moderators")):  # fmt: skip
        assert found[name] == pytest.approx(rows[row]["estimate"])
