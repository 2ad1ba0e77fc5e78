"""New lms: coded as the fit's own, closed forms of what they score, ranks, and what is refused."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from scipy.special import expit

from bayesmeta import load_reference_fit, predict, rank_designs
from bayesmeta.data.load import read_lms
from bayesmeta.errors import DataError, QueryError
from bayesmeta.estimates.predictions import place_lms
from bayesmeta.model.predictor import family_effects, linear_predictor
from bayesmeta.model.spec import ModelSpec

EXACT = 1e-9

MANY = 2000
"""Draws of each of two chains: the Monte Carlo error of a 5 % quantile of a normal variable is
0.034 standard deviations (sqrt(0.05 * 0.95 / 4000) over a density of 0.103); four of these are
0.14."""

QUANTILE_ERROR = 0.14

ADDITIVE = ModelSpec(interactions="none", unknown_numbers="estimated")

SPECS = {
    "default": ModelSpec(),
    "additive": ADDITIVE,
    "law": ModelSpec(scaling="chinchilla"),
    "no scale": ModelSpec(scaling="none", release_date="none"),
    "within and between": ModelSpec(family_effects="within-between"),
    "no families": ModelSpec(family_effects="none"),
    "surface beside unknowns": ModelSpec(unknown_numbers="estimated"),
    "measured": replace(ADDITIVE, generations="measured"),
    "scale only": ModelSpec(decisions=()),
}

NEW = {
    "lm": ["new"], "lm_family": ["gnu"], "released": ["2023-06"], "n_params": [4e9],
    "n_tokens": [5e11], "position_embedding": ["rotary"], "norm": ["layernorm"],
    "attention": ["gqa"], "context_length": [4096], "code_share": [12], "web_share": [70],
    "books_share": [8], "reference_share": [5], "academic_share": [5], "english_share": [90],
}  # fmt: skip


def new_lms(n=1, **facts):
    """A table of new lms with the same facts, but for those given."""
    table = pd.concat([pd.DataFrame(NEW)] * n, ignore_index=True)
    return table.assign(lm=[f"new-{k}" for k in range(n)]).assign(**facts)


def place(fit, table):
    """New lms as `predict` codes them."""
    return place_lms(fit, read_lms(table), seed=1)


def fixed_part(parameters, design, spec):
    """Linear predictor without the effects of lms and families."""
    return linear_predictor(parameters, design=design, spec=spec) - family_effects(
        parameters, design=design, spec=spec
    )


# Coding.


def odd_lms():
    """Lms unlike any of the data, which would move centres, units, levels and functions."""
    facts = {"n_params": 10**15, "n_tokens": 10**7, "released": "2031-01", "code_share": 0,
             "web_share": 0, "books_share": 0, "reference_share": 0, "academic_share": 100,
             "english_share": 1, "context_length": 10**7}  # fmt: skip
    return new_lms(2, lm_family=["ant", "gnu"], position_embedding=["rotary", None], **facts)


@pytest.mark.parametrize("spec", SPECS.values(), ids=SPECS.keys())
def test_facts_of_the_data_are_coded_as_the_model_codes_them(
    small, small_written, build_fake_fit, spec
):
    data = small_written if spec.generations == "measured" else small
    fit = build_fake_fit(data, spec=spec)
    n, odd = len(data.lms), odd_lms().assign(lm=["odd-1", "odd-2"])
    both = pd.concat([data.lms, odd], ignore_index=True)[list(data.lms.columns)]
    placed = place(fit, both)
    found = fixed_part(placed.parameters, placed.design, spec)
    expected = fixed_part(fit.parameters, fit.design, spec)
    np.testing.assert_allclose(found[..., n : 2 * n, :], expected, atol=EXACT)
    np.testing.assert_allclose(found[..., :n, :], expected, atol=EXACT)
    assert np.isfinite(found).all()


def test_every_lm_of_the_bundled_data_is_coded_as_the_model_codes_it(fake_bundled_fit):
    fit = fake_bundled_fit
    placed = place(fit, fit.dataset.lms)
    found = fixed_part(placed.parameters, placed.design, fit.spec)[..., placed.rows, :]
    expected = fixed_part(fit.parameters, fit.design, fit.spec)
    np.testing.assert_allclose(found, expected, atol=EXACT)


def test_lm_of_a_known_family_has_its_effects(small, build_fake_fit):
    fit = build_fake_fit(small, override={"rho_lm": 0.0})  # no effects of lms
    placed = place(fit, new_lms(lm_family="cat"))
    effect = (
        placed.latent(fit)[..., 0, :]
        - fixed_part(placed.parameters, placed.design, fit.spec)[..., -1, :]
    )
    draws, family = fit.draws, fit.design.lm_families.index("cat")
    task = fit.design.task_family_index
    rho = draws["rho_family"].values[..., None]
    expected = draws["tau_family"].values * (
        np.sqrt(rho) * draws["u"].values[..., family, None]
        + np.sqrt(1 - rho) * draws["w"].values[..., family, :][..., task]
    )
    np.testing.assert_allclose(effect, expected, atol=EXACT)


def test_lms_of_one_new_family_share_its_effects(small, build_fake_fit):
    fit = build_fake_fit(small, override={"rho_lm": 0.0})
    placed = place(fit, new_lms(3, lm_family=["gnu", "gnu", "yak"]))
    latent = placed.latent(fit)
    np.testing.assert_allclose(latent[..., 0, :], latent[..., 1, :], atol=EXACT)
    assert np.abs(latent[..., 0, :] - latent[..., 2, :]).mean() > 0.05


def test_open_number_is_that_of_siblings_or_of_the_prior(small, build_fake_fit):
    fit = build_fake_fit(small, spec=ADDITIVE, draws=MANY)
    table = new_lms(2, lm_family=["cat", "gnu"], context_length=np.nan)
    placed = place(fit, table)
    names, values = placed.design.missing.names, placed.parameters["x_unknown"]
    known = fit.design.missing.names.index("context_length:cat")
    np.testing.assert_array_equal(
        values[..., names.index("context_length:cat")], fit.parameters["x_unknown"][..., known]
    )
    # The prior of an open context length: log2, each family's mean counted once.
    lms = small.lms.dropna(subset="context_length")
    logs = np.log2(lms["context_length"])
    means = logs.groupby(lms["lm_family"]).mean()
    drawn = values[..., names.index("context_length:gnu")].ravel() * logs.std(ddof=0) + logs.mean()
    error = 4 * means.std() / np.sqrt(drawn.size)
    assert drawn.mean() == pytest.approx(means.mean(), abs=error)
    assert drawn.std() == pytest.approx(means.std(), rel=0.05)


def test_open_choice_is_one_that_others_made(small, build_fake_fit):
    fit = build_fake_fit(small, spec=ModelSpec(), draws=MANY)
    placed = place(fit, new_lms(attention=None, position_embedding="learned"))
    (record,) = placed.design.unknown.record
    drawn = placed.parameters["choice"][..., record]
    # Of the lms with learned embeddings that disclose a share, family ant has mha, and ant and dog
    # have gqa; half a family is added to each.
    shift, terms = placed.design.unknown.shift[record], placed.design.terms
    levels = {terms[int(np.argmax(row))].level: k for k, row in enumerate(shift) if row.any()}
    expected = {"mha": 1.5 / 4, "gqa": 2.5 / 4}
    for level, share in expected.items():
        error = 4 * np.sqrt(share * (1 - share) / (2 * MANY))
        assert (drawn == levels[level]).mean() == pytest.approx(share, abs=error)


def test_open_choice_scores_as_the_level_that_a_draw_chose(small, build_fake_fit):
    fit = build_fake_fit(small, spec=ModelSpec())

    def placed_with(attention):
        placed = place(fit, new_lms(attention=attention, position_embedding="learned"))
        return placed, fixed_part(placed.parameters, placed.design, fit.spec)[..., -1, :]

    (placed, found), (_, gqa), (_, mha) = (placed_with(level) for level in (None, "gqa", "mha"))
    (record,) = placed.design.unknown.record
    k = [term.level for term in placed.design.terms].index("gqa")
    choice = placed.parameters["choice"][..., record].astype(int)
    is_gqa = placed.design.unknown.shift[record, choice][..., [k]] > 0
    assert 0 < is_gqa.mean() < 1
    np.testing.assert_allclose(found, np.where(is_gqa, gqa, mha), atol=EXACT)


def test_open_choice_is_the_level_undisclosed_where_the_data_have_it(fake_fit):
    placed = place(fake_fit, new_lms(position_embedding=None))
    labels = [term.label for term in placed.design.terms]
    assert placed.design.X[-1, labels.index("position_embedding[undisclosed]")] == 1
    assert placed.design.unknown is None


# Closed forms.

NOTHING = dict.fromkeys(("kappa", "beta", "surface", "u", "w", "v", "x_unknown"), 0.0)


@pytest.fixture(scope="module")
def build_known_fit(small, build_fake_fit):
    """A fit in which nothing but intercepts and scales is known, all of them exactly."""

    def build(**values):
        plain = {"alpha": 0.3, "sigma": 0.5, "rho_lm": 0.36, "tau_family": 0.4, "rho_family": 0.5,
                 "sigma_score": 0.0, "nu_beyond_one": 1e9}  # fmt: skip
        return build_fake_fit(small, draws=MANY, override={**NOTHING, **plain, **values})

    return build


def row_of(fit, benchmark, **options):
    table = predict(fit, new_lms(), **options).table()
    return table.set_index("benchmark").loc[benchmark]


LATENT_SD = np.sqrt(0.4**2 + 0.36 * 0.5**2)
"""Of a new lm of a new family: effects of family and lm."""


def test_expected_brier_score_is_normal_with_the_variance_of_family_and_lm(build_known_fit):
    fit = build_known_fit()
    row = row_of(fit, "proofs")
    scores = fit.dataset.scores.query("benchmark == 'proofs'")["score"]
    sd = 100 * scores.std() * LATENT_SD
    center = 100 * (scores.mean() - 0.3 * scores.std())  # lower is better
    assert row["direction"] == "lower"
    assert row["estimate"] == pytest.approx(center, abs=4 * 1.2533 * sd / np.sqrt(2 * MANY))
    assert row["lower"] == pytest.approx(center - 1.645 * sd, abs=QUANTILE_ERROR * sd)
    assert row["upper"] == pytest.approx(center + 1.645 * sd, abs=QUANTILE_ERROR * sd)
    # A new observation has the residual of the benchmark as well; no error is known of a Brier.
    wide = 100 * scores.std() * np.sqrt(LATENT_SD**2 + (1 - 0.36) * 0.5**2)
    assert row["lower_observed"] == pytest.approx(center - 1.645 * wide, abs=QUANTILE_ERROR * wide)
    assert row["upper_observed"] == pytest.approx(center + 1.645 * wide, abs=QUANTILE_ERROR * wide)


@pytest.mark.parametrize("ci_prob", [0.5, 0.9])
def test_quantiles_of_an_expected_accuracy_are_linked_quantiles(build_known_fit, ci_prob):
    fit = build_known_fit()
    row = row_of(fit, "reading", ci_prob=ci_prob)
    z = stats.norm.ppf((1 + ci_prob) / 2)
    for name, shift in (("lower", -z), ("estimate", 0.0), ("upper", z)):
        latent = 0.3 + LATENT_SD * shift
        near = [0.25 + 0.75 * expit(latent + s * QUANTILE_ERROR * LATENT_SD) for s in (-1, 1)]
        assert 100 * near[0] < row[name] < 100 * near[1]
    assert row["direction"] == "higher"
    assert row["ci_prob"] == ci_prob


def test_observations_have_the_tails_of_a_student(build_known_fit):
    fit = build_known_fit(tau_family=0.0, rho_lm=0.0, nu_beyond_one=2.0)
    row = row_of(fit, "proofs")
    spread = fit.dataset.scores.query("benchmark == 'proofs'")["score"].std()
    assert row["sd"] == pytest.approx(0, abs=EXACT)
    half = (row["upper_observed"] - row["lower_observed"]) / 2 / (100 * spread * 0.5)
    t = stats.t(3)
    error = 4 * np.sqrt(0.05 * 0.95 / (4 * MANY)) / t.pdf(t.ppf(0.95))  # of half a difference
    assert half == pytest.approx(t.ppf(0.95), abs=error)
    assert half - error > stats.norm.ppf(0.95)


def test_observations_have_a_typical_sampling_error_and_the_score_scale_residual(build_known_fit):
    fit = build_known_fit(tau_family=0.0, sigma=1e-9, sigma_score=0.02)
    row = row_of(fit, "puzzles")  # every score has a standard error of 0.015
    half = (row["upper_observed"] - row["lower_observed"]) / 2
    sd = 100 * np.hypot(0.015, 0.02)
    assert half == pytest.approx(1.645 * sd, abs=QUANTILE_ERROR * sd)


def test_intervals_of_observations_stay_in_the_possible_range(build_known_fit):
    table = predict(build_known_fit(sigma_score=5.0), new_lms()).table().set_index("benchmark")
    assert table.loc["reading", ["lower_observed", "upper_observed"]].tolist() == [0, 100]


# Seeds.


def test_predictions_follow_from_the_seed(fake_fit):
    one, same, other = (predict(fake_fit, new_lms(), seed=s).table() for s in (1, 1, 2))
    pd.testing.assert_frame_equal(one, same)
    assert (one["estimate"] != other["estimate"]).all()
    assert (one["lower_observed"] != other["lower_observed"]).any()


@pytest.mark.parametrize("spec", [ModelSpec(), ADDITIVE], ids=["default", "additive"])
def test_a_prediction_does_not_depend_on_the_rest_of_the_table(small, build_fake_fit, spec):
    fit = build_fake_fit(small, spec=spec)
    table = new_lms(3, lm_family=["gnu", "yak", "gnu"], attention=[None, "gqa", None],
                    context_length=[np.nan, 2048, 4096], code_share=np.nan)  # fmt: skip
    whole = predict(fit, table).table()
    last = predict(fit, table[::-1]).table()
    alone = predict(fit, table.iloc[[2]]).table()
    for part in (last, alone):
        expected = whole[whole["lm"] == "new-2"].reset_index(drop=True)
        found = part[part["lm"] == "new-2"].reset_index(drop=True)
        pd.testing.assert_frame_equal(found, expected, rtol=1e-9)


def test_effects_of_lms_and_families_are_independent(small, build_fake_fit):
    fit = build_fake_fit(small, draws=MANY)
    placed = place(fit, new_lms(2, lm_family=["gnu", "yak"]))
    parameters = placed.parameters
    drawn = np.stack([parameters[name][..., -k].ravel() for name in ("u", "v") for k in (1, 2)])
    drawn = np.concatenate([drawn, parameters["w"][..., -2:, :].reshape(2 * MANY, -1).T])
    # Correlations of 4000 independent normal numbers have a standard error of 0.016.
    assert np.abs(np.corrcoef(drawn) - np.eye(len(drawn))).max() < 4 * 0.016
    assert np.abs(drawn.std(axis=1) - 1).max() < 4 / np.sqrt(4 * MANY)


# Coverage.


def test_intervals_for_the_lms_of_the_data_hold_their_scores():
    """Predictions of the lms that the posterior has learned from, as new members of their families.

    Since the effects of their families are fitted to these scores, and the lm's own effect is drawn
    anew, more than the nominal 90 % lie inside: 97 % when this was written. Less than 90 %, or all
    of them, would be a fault; so would be intervals of the expected score that hold as many.
    """
    fit = load_reference_fit()
    table = predict(fit, fit.dataset.lms).table().set_index(["lm", "benchmark"])
    score = 100 * fit.dataset.scores.set_index(["lm", "benchmark"])["score"]
    rows = table.join(score, how="inner")
    assert len(rows) == len(score)
    observed = rows["score"].between(rows["lower_observed"], rows["upper_observed"]).mean()
    expected = rows["score"].between(rows["lower"], rows["upper"]).mean()
    assert 0.90 < observed < 0.99
    assert expected < observed - 0.02
    assert (rows["score"] - rows["estimate"]).abs().mean() < 2.5


def test_intervals_hold_nine_of_ten_scores_that_the_model_draws():
    """Scores of new lms of new families, drawn by another formula from half of the posterior."""
    fit = load_reference_fit()
    lms = fit.dataset.lms.iloc[::10].reset_index(drop=True)
    lms = lms.assign(lm_family=[f"new {k}" for k in range(len(lms))])
    table = predict(fit, lms).table()
    rng = np.random.default_rng(3)
    p, design = fit.parameters, fit.design
    fixed = fixed_part(p, design, fit.spec)[..., ::10, :]
    shape = fixed.shape
    sigma, rho = p["sigma"][..., None, :], p["rho_lm"][..., None, None]
    one, task = p["rho_family"][..., None, None], design.task_family_index
    u, v = rng.standard_normal((2, *shape[:-1], 1))
    w = rng.standard_normal((*shape[:-1], len(design.task_families)))[..., task]
    latent = fixed + p["tau_family"][..., None, :] * (np.sqrt(one) * u + np.sqrt(1 - one) * w)
    latent = latent + sigma * np.sqrt(rho) * v
    outcomes = design.outcomes
    accuracy, slope = expit(latent), expit(latent) * expit(-latent)
    mean = np.where(outcomes.is_logistic, outcomes.floor + (1 - outcomes.floor) * accuracy,
                    outcomes.location + outcomes.spread * latent)  # fmt: skip
    slope = np.where(outcomes.is_logistic, (1 - outcomes.floor) * slope, outcomes.spread)
    se = pd.Series(outcomes.se).groupby(outcomes.benchmark_index).median().to_numpy()
    on_score = p["sigma_score"][..., None, None] * outcomes.is_logistic
    scale = np.sqrt(se**2 + on_score**2 + (sigma * np.sqrt(1 - rho) * slope) ** 2)
    nu = 1 + p["nu_beyond_one"][..., None, None]
    scores = 100 * (mean + scale * rng.standard_t(np.broadcast_to(nu, shape))).reshape(
        -1, *shape[2:]
    )
    lower, upper = (
        table[name].to_numpy().reshape(shape[2:]) for name in ("lower_observed", "upper_observed")
    )
    highest = np.where(outcomes.is_logistic, 100, 200)
    scores = np.clip(scores, 0, highest)  # as the interval is
    inside = ((scores >= lower) & (scores <= upper)).mean()
    # Two samples of 1000 draws for each of 130 intervals whose draws share parameters: the error of
    # their mean is below that of one interval, sqrt(2 * 0.09 / 1000) = 0.013.
    assert inside == pytest.approx(0.9, abs=0.013)


# The table.


def test_table_has_a_row_for_every_lm_and_benchmark(fake_fit):
    found = predict(fake_fit, new_lms(2))
    table = found.table()
    assert table[["lm", "benchmark"]].to_numpy().tolist() == [
        [lm, benchmark] for lm in ("new-0", "new-1") for benchmark in fake_fit.design.benchmarks
    ]
    values = pd.Series(found.expected.sel(lm="new-1", benchmark="recall").values.ravel())
    row = table.set_index(["lm", "benchmark"]).loc[("new-1", "recall")]
    assert row["estimate"] == pytest.approx(values.median())
    assert [row["lower"], row["upper"]] == pytest.approx(values.quantile([0.05, 0.95]).tolist())
    assert row["units"] == "percentage points"
    assert found.expected.dims == ("chain", "draw", "lm", "benchmark")
    assert "2 LMs on 4 benchmarks" in repr(found)
    narrow = found.table(ci_prob=0.5)
    assert (narrow["upper"] - narrow["lower"] < table["upper"] - table["lower"]).all()


def test_what_is_special_about_the_facts_is_told(fake_fit):
    table = new_lms(
        3, lm_family=["gnu", "cat", "gnu"], n_params=[4e9, 4e12, 4e9], released=["2023-06", None,
        "2025-01"], code_share=[12, np.nan, 80], web_share=[70, np.nan, 0],
        books_share=[8, np.nan, 8], reference_share=[5, np.nan, 5], academic_share=[5, np.nan, 5],
        attention=["gqa", None, "gqa"],
    )  # fmt: skip
    rows = predict(fake_fit, table).table().drop_duplicates("lm")
    assert rows["family"].tolist() == ["new", "known", "new"]
    assert rows["extrapolates"].tolist() == ["", "n_params", "released, code_share, web_share"]
    assert rows["undisclosed"].tolist()[1].startswith("released, ")
    assert "attention" in rows["undisclosed"].tolist()[1]
    assert rows["undisclosed"].tolist()[1].endswith("mix")


def test_file_and_frame_are_the_same(fake_fit, tmp_path):
    path = tmp_path / "lms.csv"
    new_lms(2).assign(n_params=4 * 10**9, n_tokens=5 * 10**11).to_csv(path, index=False)
    frame = predict(fake_fit, new_lms(2)).table()
    pd.testing.assert_frame_equal(predict(fake_fit, str(path)).table(), frame)
    pd.testing.assert_frame_equal(predict(fake_fit, path).table(), frame)


def test_four_columns_are_enough(fake_bundled_fit):
    new = pd.DataFrame({"lm": ["a"], "lm_family": ["b"], "n_params": [7e9], "n_tokens": [1e12]})
    table = predict(fake_bundled_fit, new).table()
    assert np.isfinite(table[["estimate", "lower_observed", "upper_observed"]]).all(axis=None)
    assert "norm" in table["undisclosed"].iloc[0]


# Ranks of designs.


def test_equal_designs_are_each_the_best_half_of_the_time(small, build_fake_fit):
    fit = build_fake_fit(small, draws=MANY)
    table = rank_designs(fit, new_lms(2)).table()
    assert table["prob_best"].sum() == pytest.approx(1)
    assert table["expected_rank"].sum() == pytest.approx(3)
    assert (np.abs(table["prob_best"] - 0.5) < 4 * table["mcse"]).all()
    assert (table["mcse"] > 0).all()


def test_effect_of_a_shared_new_family_cancels(build_known_fit):
    # On Brier scores alone the difference of two designs is linear, so it cancels to rounding.
    table = new_lms(2, n_params=[4e9, 4e10])
    found = [
        rank_designs(build_known_fit(tau_family=tau, rho_lm=0.0, kappa=0.1), table,
                     benchmarks="proofs")
        for tau in (0.001, 5.0)
    ]  # fmt: skip
    steps = [f.scores.sel(lm="new-1") - f.scores.sel(lm="new-0") for f in found]
    np.testing.assert_allclose(*steps, atol=EXACT)
    assert float(found[1].scores.std()) > 100 * float(found[0].scores.std())
    assert found[1].table().set_index("lm").loc["new-1", "prob_best"] == 1
    apart = table.assign(lm_family=["gnu", "yak"])
    fit = build_known_fit(tau_family=5.0, rho_lm=0.0, kappa=0.1)
    strangers = rank_designs(fit, apart, benchmarks="proofs")
    assert 0.4 < strangers.table().set_index("lm").loc["new-1", "prob_best"] < 0.7


def test_probability_of_the_better_of_two_designs_is_normal(build_known_fit):
    """The difference of two lms of one family: a step in size, and two effects of lms."""
    fit = build_known_fit(kappa=0.1, sigma=0.5, rho_lm=0.36)
    row = rank_designs(fit, new_lms(2, n_params=[4e9, 4e10]), benchmarks="proofs").table()
    size, data = np.log(10) / 1.6, np.log(0.5) / 1.3
    step = 0.1 * size * (1 + data)  # the slopes of size and of its product with data
    expected = stats.norm.cdf(step / (np.sqrt(2) * 0.6 * 0.5))
    found = row.set_index("lm").loc["new-1"]
    assert found["prob_best"] == pytest.approx(expected, abs=4 * found["mcse"])
    assert found["expected_rank"] == pytest.approx(2 - expected, abs=4 * found["mcse_rank"])
    assert 0.55 < expected < 0.95


def test_higher_is_better_on_every_metric(build_known_fit):
    fit = build_known_fit(kappa=1.0, tau_family=0.0, rho_lm=0.0)
    for benchmark in fit.design.benchmarks:
        table = rank_designs(fit, new_lms(2, n_params=[4e9, 4e10]), benchmarks=benchmark).table()
        assert table["lm"].tolist() == ["new-1", "new-0"]
        assert table["prob_best"].tolist() == [1, 0]


def test_score_is_the_mean_over_the_benchmarks_asked(fake_fit):
    names = ["recall", "proofs", "recall"]  # named twice, counted once
    scores = rank_designs(fake_fit, new_lms(2), benchmarks=names).scores
    expected = predict(fake_fit, new_lms(2)).expected
    np.testing.assert_allclose(
        scores, (expected.sel(benchmark="recall") - expected.sel(benchmark="proofs")) / 2
    )


def test_budget_leaves_out_and_names_what_costs_more(fake_fit):
    table = new_lms(3, n_params=[1e9, 2e9, 4e9], n_tokens=1e12)
    found = rank_designs(fake_fit, table, budget=1.2e22)
    assert found.left_out == {"new-2": pytest.approx(2.4e22)}
    rows = found.table().set_index("lm")
    assert rows["training_flop"].to_dict() == pytest.approx({"new-0": 6e21, "new-1": 1.2e22})
    assert set(rows["designs"]) == {2}
    assert "1 over the budget" in repr(found)


# What is refused.

REFUSED_LEVELS = {
    "no such level": (
        {"position_embedding": "alibi"},
        "position_embedding 'alibi'.*learned, rotary",
    ),
    "constant": ({"norm": "rmsnorm"}, "norm 'rmsnorm'.*Allowed: layernorm"),
}


@pytest.mark.parametrize("case", REFUSED_LEVELS)
def test_level_that_the_data_do_not_have_is_refused(fake_fit, case):
    facts, message = REFUSED_LEVELS[case]
    for ask in (predict, rank_designs):
        with pytest.raises(QueryError, match=f"LM .new-0. has {message}"):
            ask(fake_fit, new_lms(**facts))


def test_level_of_a_decision_that_the_spec_leaves_out_does_not_matter(small, build_fake_fit):
    fit = build_fake_fit(small, spec=ModelSpec(decisions=("attention",)))
    assert len(predict(fit, new_lms(norm="rmsnorm", position_embedding="alibi")).table()) == 4


BAD_TABLES = {
    "no column": (new_lms().drop(columns="n_tokens"), "lms, line 1: column 'n_tokens' is missing"),
    "unknown column": (new_lms(norms="x"), r"column 'norms' is not known"),
    "no rows": (new_lms().iloc[:0], "has a header but no rows"),
    "nothing": (pd.DataFrame(), "lms is empty"),
    "twice": (new_lms(2, lm="a"), "lms, line 3, column 'lm': lm 'a' already stands on line 2"),
    "word": (new_lms(attention="gqq"), "line 2, column 'attention': 'gqq'.*Did you mean 'gqa'"),
    "size": (new_lms(n_params=-1), "line 2, column 'n_params': -1 is outside"),
    "blank": (
        new_lms(n_params=np.nan, n_tokens=np.nan),
        "neither n_params nor n_tokens of 'new-0'",
    ),
    "month": (new_lms(released="June"), "column 'released': 'June' is not a month"),
    "mix": (new_lms(code_share=90), "shares of 'new-0' sum to 178 percent"),
    "no table": (["a"], r"lms is \['a'\]\. Allowed: the path of a CSV file, a frame of pandas"),
    "no file": ("nowhere.csv", "nowhere.csv does not exist"),
    "folder": ("tests", "tests is a folder"),
    "long": ("x" * 10_000, r"x\.\.\. \(10000 characters\) does not exist"),
}


@pytest.mark.parametrize("case", BAD_TABLES)
def test_table_that_is_none_is_refused(fake_fit, case):
    table, message = BAD_TABLES[case]
    for ask in (predict, rank_designs):
        with pytest.raises(DataError, match=message) as error:
            ask(fake_fit, table)
        assert len(str(error.value)) < 1500


BAD_OPTIONS = {
    "budget": ({"budget": 0}, "budget is 0.*such as 1e23"),
    "not a number": ({"budget": float("nan")}, "budget is nan"),
    "words": ({"budget": "much"}, "budget is 'much'"),
    "too small": ({"budget": 1e6}, "leaves out all 2 candidates; the cheapest, 'new-0'"),
    "benchmark": ({"benchmarks": ["redding"]}, "'redding'.*Did you mean 'reading'"),
    "no benchmark": ({"benchmarks": []}, "no benchmark is named"),
}


@pytest.mark.parametrize("case", BAD_OPTIONS)
def test_option_of_ranks_is_checked(fake_fit, case):
    options, message = BAD_OPTIONS[case]
    with pytest.raises(QueryError, match=message):
        rank_designs(fake_fit, new_lms(2), **options)


def test_probability_of_an_interval_is_checked(fake_fit):
    with pytest.raises(QueryError, match=r"ci_prob is 1\.5"):
        predict(fake_fit, new_lms(), ci_prob=1.5)
    with pytest.raises(QueryError, match="ci_prob is 0"):
        rank_designs(fake_fit, new_lms()).table(ci_prob=0)


def test_what_is_no_fit_is_refused():
    with pytest.raises(QueryError, match=r"fit is 'fit\.nc'"):
        predict("fit.nc", new_lms())
