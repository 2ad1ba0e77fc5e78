"""ArviZ works on a fit: its plots on the draws as they are, the rest on the tree of all groups."""

import warnings

import arviz as az
import numpy as np
import pandas as pd
import pytest
import xarray as xr
from matplotlib import pyplot as plt
from matplotlib.figure import Figure
from scipy import stats

import bayesmeta as bm
from bayesmeta import plots
from bayesmeta.errors import QueryError
from bayesmeta.inference.diagnostics import thin_fit
from bayesmeta.inference.leave_one_out import pareto_k
from bayesmeta.model.predictor import score_distribution

SPEC = bm.ModelSpec(decisions=("attention",), family_effects="none", interactions="none")
SCALARS = {"var_names": ["rho_lm", "sigma_score"]}
LM_COORDS = {"lm", "lm_family", "benchmark", "task_family"}

ON_DRAWS = (
    "plot_autocorr", "plot_dist", "plot_ess", "plot_ess_evolution", "plot_forest", "plot_mcse",
    "plot_pair", "plot_parallel", "plot_rank", "plot_rank_dist", "plot_ridge", "plot_trace",
    "plot_trace_dist",
)  # fmt: skip
ON_DATA = (
    "plot_loo_interval", "plot_loo_pit", "plot_ppc_dist", "plot_ppc_interval", "plot_ppc_pit",
    "plot_ppc_tstat",
)  # fmt: skip

pytestmark = [
    # Made-up draws know nothing of the scores, so that single scores have large weights.
    pytest.mark.filterwarnings("ignore:Estimated shape parameter of Pareto:UserWarning"),
]


@pytest.fixture(scope="module")
def fitted(small):
    """A fit that a sampler made."""
    return bm.fit(small, SPEC, draws=200, tune=300, chains=2, cores=1, seed=3, progress=False)


@pytest.fixture(scope="module")
def tree(fitted):
    """All groups."""
    return fitted.to_datatree("all")


@pytest.fixture(scope="module")
def effect_fit():
    """A fit of effect sizes with a moderator and groups."""
    rng = np.random.default_rng(1)
    frame = pd.DataFrame(
        {"trial": list("abcdef"), "lab": list("xxyyzz"), "dose": np.arange(6.0),
         "yi": rng.normal(0.3, 0.2, 6), "sei": 0.1}
    )  # fmt: skip
    table = bm.read_effect_sizes(
        frame, effect="yi", se="sei", study="trial", moderators=["dose"], groups=["lab"]
    )
    return bm.fit(table, seed=1, draws=100, tune=100, chains=2, progress=False)


def is_figure(made):
    figure = made.viz["figure"].item()
    shown = isinstance(figure, Figure) and len(figure.axes) > 0
    plt.close("all")
    return shown


@pytest.mark.parametrize("name", ON_DRAWS)
def test_plots_of_draws_work_on_the_posterior_as_it_is(fitted, name):
    assert is_figure(getattr(az, name)(fitted.posterior, **SCALARS))
    assert is_figure(getattr(az, name)(fitted.draws, **SCALARS))


def test_energy_is_drawn_from_the_sampler(fitted):
    assert is_figure(az.plot_energy(fitted.posterior))


@pytest.mark.parametrize("name", ON_DATA)
def test_plots_of_predictions_work_on_the_tree(tree, name):
    assert is_figure(getattr(az, name)(tree))


def test_priors_are_drawn_beside_posteriors(tree):
    assert is_figure(az.plot_prior_posterior(tree, **SCALARS))
    assert is_figure(az.plot_ppc_dist(tree, group="prior_predictive"))


@pytest.mark.parametrize("name", ["plot_psense_dist", "plot_psense_quantities"])
def test_power_scaling_is_drawn(fitted, tree, name):
    without = tree.copy()
    without["posterior"] = fitted.draws.drop_vars("alpha")  # which ArviZ names the powers
    assert is_figure(getattr(az, name)(without, **SCALARS))


def test_effects_are_drawn(fitted):
    draws = bm.effects(fitted, "attention", by="benchmark").draws.to_dataset()
    assert is_figure(az.plot_forest(draws, combined=True))
    summary = az.summary(draws, kind="stats", ci_prob=0.9, ci_kind="eti", round_to="none")
    ours = bm.effects(fitted, "attention", by="benchmark").table()
    np.testing.assert_allclose(summary["eti90_lb"], ours["lower"])
    np.testing.assert_allclose(summary["eti90_ub"], ours["upper"])


def test_every_dimension_has_names(fitted, effect_fit, tree):
    for whole in (tree, effect_fit.to_datatree()):
        for node in whole.children.values():
            assert not [dim for dim in node.dims if "_dim_" in str(dim)]
            assert set(node.dims) == set(node.indexes)
    y = tree["posterior_predictive"]["y"]
    assert set(y.coords) > LM_COORDS
    assert y["lm"].values.tolist() == fitted.dataset.scores["lm"].tolist()
    assert y["benchmark"].values.tolist() == fitted.dataset.scores["benchmark"].tolist()
    families = fitted.dataset.lms.set_index("lm")["lm_family"]
    assert y["lm_family"].values.tolist() == families[y["lm"].values].tolist()


def test_draws_have_the_labels_of_the_fit_in_every_group(fitted):
    thinned = thin_fit(fitted, draws=40)
    for group, node in thinned.to_datatree(["log_likelihood", "log_prior"]).children.items():
        assert node["draw"].values.tolist() == thinned.draws["draw"].values.tolist(), group


def test_convergence_is_that_of_check(fitted):
    found = bm.check(fitted).values
    # Draws are judged as files hold them: in single precision a few are equal.
    draws = fitted.posterior["posterior"].to_dataset().astype("float32").astype(float)
    summary = az.summary(xr.DataTree.from_dict({"posterior": draws}), kind="diagnostics",
                         round_to="none")  # fmt: skip
    # The two draws beside the median are equally far from it, and rounding ranks them.
    assert summary["r_hat"].max() == pytest.approx(found["rhat_max"], rel=1e-3)
    assert summary["ess_bulk"].min() == pytest.approx(found["ess_bulk_min"])
    assert summary["ess_tail"].min() == pytest.approx(found["ess_tail_min"])
    bfmi = az.bfmi(fitted.posterior)["energy"].min()
    assert float(bfmi) == pytest.approx(found["bfmi_min"], rel=0.02)


def test_scores_left_out_are_those_of_loo(fitted, tree):
    ours, theirs = bm.loo(fitted), az.loo(tree, pointwise=True)
    assert theirs.elpd == pytest.approx(ours.elpd_data.elpd, abs=1e-9)
    assert theirs.se == pytest.approx(ours.elpd_data.se, abs=1e-9)
    np.testing.assert_allclose(theirs.elpd_i, ours.table["log_density"])
    np.testing.assert_allclose(theirs.pareto_k, ours.table["pareto_k"])
    np.testing.assert_allclose(theirs.pareto_k, pareto_k(fitted))
    assert is_figure(az.plot_khat(theirs))
    assert is_figure(az.plot_khat(ours.elpd_data))
    table = az.compare({"one": tree, "same": theirs}, round_to="none")
    assert table["elpd_diff"].abs().max() < 1e-9


def test_log_likelihood_is_that_of_scipy(fitted, tree):
    law = score_distribution(fitted.parameters, design=fitted.design, spec=SPEC)
    mu, sd = law.mu, law.sd
    nu = fitted.parameters["nu_beyond_one"][..., None] + 1
    y = fitted.dataset.scores["score"].to_numpy()
    expected = stats.t(nu, mu, sd).logpdf(y)
    np.testing.assert_allclose(tree["log_likelihood"]["y"], expected, rtol=1e-6, atol=1e-8)


def test_pits_are_those_of_loo_but_for_simulation(fitted, tree):
    """Ours are probabilities of the model, ArviZ's are shares of 400 simulated scores."""
    ours, theirs = bm.loo(fitted).table["pit"], az.loo_pit(tree)["y"]
    assert np.abs(ours - theirs.values).max() < 0.15
    assert np.abs(ours - theirs.values).mean() < 0.03


def test_predictions_are_those_of_ppc(fitted, tree):
    predicted = tree["posterior_predictive"]["y"]
    again = score_distribution(fitted.parameters, design=fitted.design, spec=SPEC).draw(1)
    assert (predicted == again).all()
    drawn = plots.ppc(fitted, draws=predicted.sizes["chain"] * predicted.sizes["draw"])
    simulated = predicted.stack(sample=("chain", "draw"))
    for benchmark, points in drawn.table.groupby("benchmark"):
        rows = (predicted["benchmark"] == benchmark).values
        below = [
            (simulated[rows] <= score / 100).mean("obs").quantile([0.05, 0.95])
            for score in points["score"]
        ]
        np.testing.assert_allclose(below, points[["lower", "upper"]], atol=1e-9)


def test_data_are_those_of_the_tables(fitted, tree):
    scores, lms = fitted.dataset.scores, fitted.dataset.lms.set_index("lm")
    np.testing.assert_allclose(tree["observed_data"]["y"], scores["score"])
    known = tree["constant_data"].to_dataset()
    np.testing.assert_allclose(known["n_params"], lms["n_params"][scores["lm"]])
    np.testing.assert_allclose(known["n_tokens"], lms["n_tokens"][scores["lm"]])
    has = scores["se"].notna()
    np.testing.assert_allclose(known["se"][has.to_numpy()], scores["se"][has])


def test_power_scaling_is_that_of_prior_sensitivity(fitted, tree):
    effects = bm.effects(fitted, "attention")
    asked = tree.copy()
    asked["posterior"] = effects.draws.to_dataset()
    ours = bm.prior_sensitivity(fitted, "attention")
    for group in ("prior", "likelihood"):
        theirs = az.psense(asked, group=group)["effect"].values.ravel()
        np.testing.assert_allclose(theirs, ours[group])


def test_priors_are_those_of_sample_prior(fitted, tree):
    prior = bm.sample_prior(fitted.dataset, SPEC)
    xr.testing.assert_equal(tree["prior"].to_dataset(), prior.draws)
    again = score_distribution(prior.parameters, design=prior.design, spec=SPEC).draw(1)
    assert (tree["prior_predictive"]["y"] == again).all()


def test_tree_is_written_and_read(tree, tmp_path):
    tree.to_netcdf(tmp_path / "all.nc")
    with az.from_netcdf(tmp_path / "all.nc") as again:
        xr.testing.assert_equal(again.load(), tree)


def test_fit_is_saved_without_further_groups(fitted, tree, tmp_path):
    assert set(tree.children) > set(fitted.posterior.children)
    assert set(fitted.posterior.children) == {"posterior", "sample_stats"}
    fitted.save(tmp_path / "fit.nc")
    assert set(bm.load_fit(tmp_path / "fit.nc").posterior.children) <= {"posterior", "sample_stats"}


def test_effect_sizes_have_groups_too(effect_fit):
    tree = effect_fit.to_datatree()
    assert tree["posterior_predictive"]["y"].dims == ("chain", "draw", "study")
    assert tree["observed_data"]["lab"].values.tolist() == list("xxyyzz")
    np.testing.assert_allclose(tree["constant_data"]["X"].sel(moderator="dose"), np.arange(6))
    assert az.loo(tree).elpd == pytest.approx(bm.loo(effect_fit).elpd_data.elpd, abs=1e-9)
    for name in ON_DATA:
        assert is_figure(getattr(az, name)(tree))
    assert is_figure(az.plot_forest(tree, var_names=["theta"], combined=True))


@pytest.mark.parametrize("groups", ["prior", "predictions", ["log_likelihood", "log_prior"]])
def test_groups_that_are_not_there_are_refused(effect_fit, groups):
    allowed = "posterior_predictive, observed_data, constant_data, log_likelihood"
    with pytest.raises(QueryError, match=rf"of EffectSizeFit.*Allowed: all, or some of {allowed}"):
        effect_fit.to_datatree(groups)


def test_groups_asked_for_are_the_groups_given(fitted):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        some = fitted.to_datatree(["observed_data"])
    assert set(some.children) == {"posterior", "sample_stats", "observed_data"}
    assert set(fitted.to_datatree("log_likelihood").children) == {
        "posterior", "sample_stats", "log_likelihood",
    }  # fmt: skip
