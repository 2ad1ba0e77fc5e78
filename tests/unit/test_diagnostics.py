"""Good draws pass, each kind of bad draws fails its own check, and the numbers are ArviZ's."""

from dataclasses import replace

import arviz as az
import numpy as np
import pytest
import xarray as xr

import bayesmeta as bm
from bayesmeta import defaults
from bayesmeta.errors import EvaluationError
from bayesmeta.inference.convergence import measure_convergence
from bayesmeta.inference.diagnostics import check, thin_fit
from bayesmeta.model.spec import ModelSpec

# Independent draws: 2,000 put the effective sizes far above 400 and R-hat of 100 elements near 1.
CHAINS, DRAWS = 4, 500

DEGREE_OF_FREEDOM = 2.5 / DRAWS
"""Sums or means over n or n - 1 draws: of no consequence for a threshold of 0.3."""

SPEC = ModelSpec(decisions=("attention",), family_effects="none")


@pytest.fixture(scope="module")
def good(small, build_fake_fit):
    return build_fake_fit(small, spec=SPEC, chains=CHAINS, draws=DRAWS)


@pytest.fixture(scope="module")
def good_report(good):
    return check(good)


def change(fit, *, posterior=None, stats=None):
    """Replace variables by functions of their values (chain, draw, ...)."""
    groups = {}
    for group, changes in (("posterior", posterior or {}), ("sample_stats", stats or {})):
        data = fit.posterior[group].to_dataset().copy(deep=True)
        for name, function in changes.items():
            data[name] = (data[name].dims, function(data[name].values))
        groups[group] = data
    return replace(fit, posterior=xr.DataTree.from_dict(groups))


def shift_a_chain(values):
    values[0] += 3 * values.std()
    return values


def stick(values):
    """Repeat every fiftieth draw fifty times."""
    return np.repeat(values[:, ::50], 50, axis=1)


def drift(values):
    """A random walk: neighbours differ little, the whole walk a lot."""
    return np.cumsum(values - values.mean(), axis=1)


def test_independent_draws_pass(good_report):
    assert good_report.passed, good_report.failures
    assert good_report.failures == ()


def test_every_parameter_has_a_row(good, good_report):
    assert set(good_report.table["parameter"]) == set(good.draws)
    assert good_report.table["passed"].all()


@pytest.mark.parametrize("name", ["alpha", "kappa", "beta", "rho_lm"])
def test_numbers_are_those_of_arviz(good, good_report, name):
    row = good_report.table.set_index("parameter").loc[name]
    data = good.draws[[name]].astype(np.float32).astype(float)  # as a file holds them
    assert row["rhat"] == pytest.approx(float(az.rhat(data)[name].max()))
    for kind in ("bulk", "tail"):
        assert row[f"ess_{kind}"] == pytest.approx(float(az.ess(data, method=kind)[name].min()))


@pytest.mark.parametrize("n", [4, 7, 10, 51, 200])
@pytest.mark.parametrize("chains", [1, 2, 4])
@pytest.mark.parametrize("rho", [-0.9, 0, 0.95])
def test_many_elements_at_once_are_measured_as_arviz_measures_one(n, chains, rho):
    walk = np.random.default_rng(n).normal(size=(6, chains, n))
    for t in range(1, n):
        walk[..., t] += rho * walk[..., t - 1]
    walk[1] = np.round(walk[1])  # ties
    walk[2] = 0.5
    walk[3, 0] = walk[3, 0, 0]
    walk[4, 0, 1] = np.nan
    data = xr.Dataset({"x": (("element", "chain", "draw"), walk)})
    found = measure_convergence(walk)
    with np.errstate(all="ignore"):
        rhat = az.rhat(data)["x"].values if chains > 1 else np.full(6, np.nan)
    np.testing.assert_allclose(found.rhat, rhat, rtol=1e-9)
    for kind in ("bulk", "tail"):
        with np.errstate(all="ignore"):
            expected = az.ess(data, method=kind)["x"].values
        np.testing.assert_allclose(getattr(found, f"ess_{kind}"), expected, rtol=1e-9)


def test_worst_values_are_over_all_parameters(good_report):
    table, values = good_report.table, good_report.values
    assert values["rhat_max"] == table["rhat"].max()
    assert values["ess_bulk_min"] == table["ess_bulk"].min()
    assert values["ess_tail_min"] == table["ess_tail"].min()


def test_chain_elsewhere_fails_rhat(good):
    report = check(change(good, posterior={"alpha": shift_a_chain}))
    assert not report.passed
    assert report.values["rhat_max"] > defaults.RHAT_MAX
    assert any(text.startswith("R-hat reaches") for text in report.failures)
    failed = report.table.loc[~report.table["passed"], "parameter"]
    assert failed.tolist() == ["alpha"]


def test_worst_element_is_named(good):
    def shift_one(values):
        values[0, :, 2] += 3
        return values

    report = check(change(good, posterior={"alpha": shift_one}))
    assert report.table.set_index("parameter").loc["alpha", "worst"] == "proofs"


def test_sticky_chains_fail_the_effective_size(good):
    report = check(change(good, posterior={"sigma_score": stick}))
    assert any(text.startswith("ESS falls to") for text in report.failures)
    assert report.values["ess_bulk_min"] < defaults.ESS_MIN


def test_too_few_draws_fail_the_effective_size(small, build_fake_fit):
    report = check(build_fake_fit(small, spec=SPEC, chains=2, draws=50))
    assert any(text.startswith("ESS falls to") for text in report.failures)


def test_stuck_chain_fails(good):
    def freeze(values):
        values[0] = values[0, 0]
        return values

    report = check(change(good, posterior={"rho_lm": freeze}))
    assert not report.passed


def make_nan(values):
    values[0, 0] = np.nan
    return values


def freeze(values):
    return np.full_like(values, 0.5)


@pytest.mark.parametrize("name", ["law_slope", "alpha"])
def test_draws_that_are_no_numbers_fail(good, name):
    assert not check(change(good, posterior={name: make_nan})).passed


def test_parameter_that_never_moves_fails(good):
    report = check(change(good, posterior={"rho_lm": freeze}))
    assert not report.passed
    assert not report.table.set_index("parameter").loc["rho_lm", "passed"]


def test_chains_that_never_moved_are_said_to_and_end_in_no_traceback(good):
    def stay(values):
        return np.broadcast_to(values[:, :1], values.shape).copy()

    stuck = change(good, posterior=dict.fromkeys(good.parameters, stay))
    report = check(stuck)
    assert not report.passed
    assert report.values["pareto_k_bad"] == len(good.dataset.scores)
    with pytest.raises(EvaluationError, match="some chain never moved"):
        bm.loo(stuck)


def test_divergences_are_counted(good):
    def diverge(values):
        values[0, 3] = values[2, 7] = values[2, 8] = True
        return values

    report = check(change(good, stats={"diverging": diverge}))
    assert report.values["divergences"] == 3
    assert report.failures == ("3 transitions diverged; allowed are none.",)


def test_bfmi_is_that_of_arviz(good, good_report):
    expected = float(np.min(az.bfmi(good.posterior)["energy"]))
    assert good_report.values["bfmi_min"] == pytest.approx(expected, rel=DEGREE_OF_FREEDOM)


def test_slow_energy_fails_bfmi(good):
    report = check(change(good, stats={"energy": drift}))
    assert report.values["bfmi_min"] < defaults.BFMI_MIN
    assert [text[:13] for text in report.failures] == ["BFMI falls to"]


def test_influential_scores_are_advice_and_no_failure(good, good_report):
    assert good_report.values["pareto_k_bad"] > 0  # draws that know nothing of the scores
    assert any("so influential that leave-one-out" in text for text in good_report.advice)


def test_every_failure_has_its_advice(good):
    report = check(
        change(
            good,
            posterior={"alpha": shift_a_chain},
            stats={"energy": drift, "diverging": np.ones_like},
        )
    )
    assert len(report.failures) == 4
    assert len(report.advice) >= 4


def test_good_fit_prints_a_verdict(good_report):
    text = str(good_report)
    assert text.startswith("Checks passed: this fit may be reported.\nR-hat at most 1.00")
    assert "0 divergences" in text


def test_bad_fit_prints_a_verdict_failures_and_advice(good):
    report = check(change(good, posterior={"alpha": shift_a_chain}))
    text = str(report)
    assert text.startswith("Checks FAILED: do not report.")
    for line in (*report.failures, *report.advice):
        assert f"- {line}" in text


def test_plain_values_have_the_keys_of_the_command_line(good_report):
    assert set(good_report.to_dict()) == {
        "passed", "rhat_max", "ess_bulk_min", "ess_tail_min", "divergences", "bfmi_min",
        "pareto_k_bad", "failures",
    }  # fmt: skip


def test_thinned_fit_reports_the_whole_ones_diagnostics(good, good_report):
    recorded = {
        "table": good_report.table.to_dict(orient="list"), "values": dict(good_report.values)
    }  # fmt: skip
    whole = replace(good, provenance={**good.provenance, "diagnostics": recorded})
    report = check(thin_fit(whole, draws=40))
    assert report.passed
    assert report.values == good_report.values
    assert report.table["ess_bulk"].tolist() == good_report.table["ess_bulk"].tolist()


def test_recorded_failures_stay_failures(good, good_report):
    recorded = {
        "table": good_report.table.to_dict(orient="list"),
        "values": {**good_report.values, "divergences": 2},
    }
    whole = replace(good, provenance={**good.provenance, "diagnostics": recorded})
    assert check(thin_fit(whole, draws=40)).failures == (
        "2 transitions diverged; allowed are none.",
    )
