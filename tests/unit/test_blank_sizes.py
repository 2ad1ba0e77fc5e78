"""LMs whose number of parameters or tokens is blank: read, estimated, asked about, refused."""

import logging
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

import bayesmeta as bm
from bayesmeta.crossvalidation.baselines import _features
from bayesmeta.data.load import read_dataset, read_lms
from bayesmeta.design.scale import D_REFERENCE, LOG_D_UNIT, scale_covariates
from bayesmeta.design.sizes import (
    FEWEST_COMPLETE,
    _covariance,
    _infer,
    _restricted_loss,
    _unfold,
    fill_sizes,
    find_missing_sizes,
    tabulate_sizes,
)
from bayesmeta.errors import DataError, QueryError
from bayesmeta.estimates.predictions import estimate_sizes, place_lms
from bayesmeta.inference.saved_fits import load_fit
from bayesmeta.model.spec import ModelSpec, build_design_for
from bayesmeta.plots.scaling_plot import _scale_of

ESTIMATED = ModelSpec(unknown_numbers="estimated")
BLANK = [1, 4, 9]
STATEMENT = "attention: gqa > mha"


def blank(dataset, rows, column="n_tokens"):
    """The same tables with a size of some LMs blank."""
    lms = dataset.lms.astype({column: float})
    lms.loc[rows, column] = np.nan
    return replace(dataset, lms=lms)


@pytest.fixture(scope="module")
def partly(small):
    """The small dataset without the tokens of three LMs."""
    return blank(small, BLANK)


@pytest.fixture(scope="module")
def partly_fit(partly, build_fake_fit):
    return build_fake_fit(partly, spec=ModelSpec())


def new_lm(**facts):
    known = {"lm": "new", "lm_family": "gnu", "n_params": 4e9, "n_tokens": np.nan}
    return pd.DataFrame([{**known, "released": "2023-02", **facts}])


# What is known of sizes.


def test_hidden_tokens_of_the_bundled_lms_lie_in_their_intervals(bundled):
    covered = []
    for seed in range(1, 11):
        rows = np.random.default_rng(seed).choice(len(bundled.lms), 30, replace=False)
        found = tabulate_sizes(find_missing_sizes(blank(bundled, rows).lms), ci_prob=0.9)
        truth = bundled.lms.set_index("lm").loc[found["lm"], "n_tokens"].to_numpy()
        covered.append(((found["lower"] <= truth) & (truth <= found["upper"])).sum())
    assert all(24 <= n <= 30 for n in covered)
    assert 25.5 <= np.mean(covered) <= 28.5  # of 300 with a standard error of 5: three of these


def test_unknown_sizes_are_normal_given_the_others():
    """The mean and covariance that the inverse covariance of all gives."""
    rng = np.random.default_rng(2)
    root = rng.normal(size=(8, 8))
    K, sizes = root @ root.T + np.eye(8), rng.normal(size=8)
    sizes[[1, 4]] = np.nan
    location, lower = _infer(K, sizes, new=np.zeros(8, bool), estimated=True)
    precision, u = np.linalg.inv(K), np.isnan(sizes)
    covariance = np.linalg.inv(precision[np.ix_(u, u)])
    mean = -covariance @ precision[np.ix_(u, ~u)] @ sizes[~u]
    np.testing.assert_allclose(location, mean, rtol=1e-9)
    np.testing.assert_allclose(lower @ lower.T, covariance, rtol=1e-9)


def test_new_unknowns_given_estimated_ones_have_the_joint_law():
    """The third LM is new: given both unknowns of the others, it has its part of the whole."""
    rng = np.random.default_rng(3)
    root = rng.normal(size=(6, 6))
    K, sizes = root @ root.T + np.eye(6), rng.normal(size=6)
    sizes[[1, 2]] = np.nan
    told = _infer(K, np.append(sizes[:4], [np.nan, np.nan]), new=np.arange(6) > 3, estimated=True)
    both = _infer(K, np.append(sizes[:4], [np.nan, np.nan]), new=np.zeros(6, bool), estimated=True)
    np.testing.assert_allclose(told[0], both[0], rtol=1e-8)
    np.testing.assert_allclose(told[1] @ told[1].T, both[1] @ both[1].T, rtol=1e-8)
    fixed = _infer(K, np.append(sizes[:4], [np.nan, np.nan]), new=np.arange(6) > 3, estimated=False)
    np.testing.assert_allclose(fixed[0][2:], both[0][2:], rtol=1e-8)
    np.testing.assert_allclose(
        (fixed[1] @ fixed[1].T)[2:, 2:], (both[1] @ both[1].T)[2:, 2:], rtol=1e-8
    )


def test_likelihood_of_recorded_sizes_is_that_of_their_covariance(small):
    """Family by family with the trend summed out, or all at once: the same up to a constant."""
    covariates = scale_covariates(blank(small, BLANK).lms)
    families = pd.factorize(small.lms["lm_family"])[0]
    sizes, years = covariates[:, :2], covariates[:, 3]
    trend, blocks = np.column_stack([np.ones(12), years]), []
    for k in range(5):
        lm, column = np.nonzero(~np.isnan(sizes) & (families == k)[:, None])
        of_trend = np.column_stack([trend[lm] * (column == c)[:, None] for c in (0, 1)])
        blocks.append((lm, column, np.column_stack([of_trend, sizes[lm, column]])))
    gaps = []
    for seed in range(3):
        parameters = np.random.default_rng(seed).normal(0, 0.3, 6)
        K = _covariance(*_unfold(parameters), years=years, families=families)
        known = ~np.isnan(sizes.ravel())
        K, y = K[np.ix_(known, known)], sizes.ravel()[known]
        dense = 0.5 * (np.linalg.slogdet(K)[1] + y @ np.linalg.solve(K, y))
        gaps.append(dense - _restricted_loss(parameters, blocks))
    np.testing.assert_allclose(gaps, gaps[0], rtol=1e-9)


def test_a_family_without_any_tokens_has_wider_intervals(bundled):
    families = bundled.lms["lm_family"]
    whole = find_missing_sizes(blank(bundled, families.eq("opt").to_numpy()).lms)
    one = find_missing_sizes(blank(bundled, [int(families.eq("opt").argmax())]).lms)
    assert whole.sd.min() > 1.5 * one.sd[0]
    truth = np.log(180e9 / D_REFERENCE) / LOG_D_UNIT
    assert (np.abs(whole.location - truth) < 1.645 * whole.sd).all()


def test_the_order_of_lms_does_not_matter(partly):
    order = np.random.default_rng(1).permutation(12)
    mixed = partly.lms.iloc[order].reset_index(drop=True)
    one, other = (
        tabulate_sizes(find_missing_sizes(lms), ci_prob=0.9).set_index(["lm", "fact"])
        for lms in (partly.lms, mixed)
    )
    pd.testing.assert_frame_equal(one, other.loc[one.index], rtol=1e-4)  # an optimiser's error


def test_parameters_may_be_blank_as_well(small):
    found = tabulate_sizes(
        find_missing_sizes(blank(small, [2], column="n_params").lms), ci_prob=0.9
    )
    assert found[["lm", "fact"]].to_numpy().tolist() == [["ant-3", "n_params"]]
    assert found["lower"][0] < 7e9 < found["upper"][0]


def test_where_all_is_recorded_nothing_is_estimated(small):
    assert find_missing_sizes(small.lms) is None
    assert fill_sizes(small.lms) is small.lms
    assert build_design_for(small, spec=ESTIMATED).sizes is None


@pytest.mark.parametrize("column", ["n_tokens", "n_params"])
def test_too_few_that_record_both_are_refused(small, refusal, column):
    rows = np.arange(FEWEST_COMPLETE - 1, 12)
    for spec in (ModelSpec(), ESTIMATED):
        with refusal(DataError, column, str(len(rows)), f"{FEWEST_COMPLETE - 1} LMs", "Fill them"):
            build_design_for(blank(small, rows, column), spec=spec)
    assert build_design_for(blank(small, rows[1:], column), spec=ModelSpec()).sizes is None


# Fits.


def test_typical_sizes_make_the_design_of_tables_filled_with_estimates(partly):
    spec = ModelSpec()
    found = build_design_for(partly, spec=spec)
    filled = build_design_for(replace(partly, lms=fill_sizes(partly.lms)), spec=spec)
    for name in ("covariates", "scale", "scale_center", "scale_basis", "between"):
        np.testing.assert_allclose(getattr(found, name), getattr(filled, name), atol=1e-9)
    assert found.sizes is None


def test_fits_are_saved_with_blank_sizes(partly, build_fake_fit, tmp_path):
    for spec in (ModelSpec(), ESTIMATED):
        fit = build_fake_fit(partly, spec=spec)
        fit.save(tmp_path / "fit.nc")
        loaded = load_fit(tmp_path / "fit.nc")
        assert loaded.dataset.checksum == partly.checksum
        assert loaded.dataset.lms["n_tokens"].isna().sum() == len(BLANK)
        one, other = (bm.query(f, STATEMENT).effect["estimate"] for f in (fit, loaded))
        assert one == pytest.approx(other, abs=1e-4)  # draws are kept in single precision


def test_estimates_follow_draws_where_scores_inform_them(partly, build_fake_fit):
    fit = build_fake_fit(partly, spec=ESTIMATED, override={"size_unknown": 0.5})
    expected = D_REFERENCE * np.exp(0.5 * LOG_D_UNIT)
    np.testing.assert_allclose(estimate_sizes(fit)[["estimate", "lower", "upper"]], expected)
    alone = estimate_sizes(build_fake_fit(partly, spec=ModelSpec()))
    assert (alone["lower"] < alone["estimate"]).all()


def test_scores_at_given_tokens_do_not_depend_on_estimated_ones(partly, build_fake_fit):
    at, answers = {"n_params": 7e9, "n_tokens": 1e12}, []
    for value in (-0.5, 0.5):
        fit = build_fake_fit(partly, spec=ESTIMATED, override={"size_unknown": value})
        answers.append(
            [bm.query(fit, STATEMENT, at=where).effect["estimate"] for where in (at, {})]
        )
    (one, own), (other, moved) = answers
    assert one == pytest.approx(other, abs=1e-9)
    assert own != pytest.approx(moved, abs=1e-9)


# Answers.


def test_an_answer_says_of_how_many_lms_tokens_are_estimated(partly_fit, default_fit):
    answer = bm.query(partly_fit, STATEMENT)
    assert "tokens of 3 estimated" in repr(answer)
    assert answer.to_dict()["estimated"] == {"n_tokens": 3}
    of_one = bm.query(partly_fit, STATEMENT, lm_family="bee")
    assert of_one.to_dict()["estimated"] == {"n_tokens": 1}
    for known in (
        bm.query(partly_fit, STATEMENT, at={"n_tokens": 1e12, "n_params": 1e9}),
        bm.query(default_fit, STATEMENT),
    ):
        assert "estimated" not in known.to_dict()
        assert "estimated" not in repr(known).split("evidence")[0]


def test_predictions_integrate_over_blank_tokens(partly, build_fake_fit):
    for spec in (ModelSpec(), ESTIMATED):
        fit = build_fake_fit(partly, spec=spec, draws=400)
        placed = place_lms(fit, read_lms(new_lm()), seed=1)
        drawn = placed.parameters["size_unknown"][..., -1].ravel()
        told = find_missing_sizes(
            pd.concat([partly.lms, new_lm(lm="new")], ignore_index=True),
            among=np.arange(13) < 12, estimated=False,
        )  # fmt: skip
        if spec is not ESTIMATED:  # given draws that no data made, the mean is another
            error = told.sd[-1] / np.sqrt(drawn.size)
            assert drawn.mean() == pytest.approx(told.location[-1], abs=4 * error)
            assert drawn.std() == pytest.approx(told.sd[-1], rel=0.1)
        if spec is ESTIMATED:
            old = placed.parameters["size_unknown"][..., :-1]
            np.testing.assert_array_equal(old, fit.parameters["size_unknown"])
        wide, narrow = (
            bm.predict(fit, new_lm(**facts)).expected.std(["chain", "draw"]).mean()
            for facts in ({}, {"n_tokens": 1e12})
        )
        assert wide > narrow
        assert "n_tokens" in bm.predict(fit, new_lm()).table()["undisclosed"][0]


def test_a_prediction_without_tokens_does_not_depend_on_the_rest(partly, build_fake_fit):
    for spec in (ModelSpec(), ESTIMATED):
        fit = build_fake_fit(partly, spec=spec)
        table = pd.concat(
            [new_lm(), new_lm(lm="b", lm_family="bee"), new_lm(lm="c", n_tokens=1e12)]
        )
        both, alone = (bm.predict(fit, one).expected for one in (table, table.iloc[[1]]))
        np.testing.assert_allclose(both.values[..., [1], :], alone.values, rtol=1e-9)


def test_tokens_of_a_new_lm_follow_its_family(partly_fit):
    many, few = (
        place_lms(partly_fit, read_lms(new_lm(lm_family=name)), seed=1).parameters["size_unknown"]
        for name in ("dog", "ant")
    )
    assert np.median(many) > np.median(few) + 1


def test_a_budget_needs_sizes(partly_fit, refusal):
    table = pd.concat([new_lm(), new_lm(lm="known", n_tokens=1e12)])
    with refusal(QueryError, "new", "n_tokens", "Fill them in"):
        bm.rank_designs(partly_fit, table, budget=1e25)
    assert len(bm.rank_designs(partly_fit, table).table()) == 2


def test_baselines_and_figures_see_estimates(partly, partly_fit):
    assert np.isfinite(_features(partly)[["log_n_tokens", "product"]]).all(axis=None)
    assert np.isfinite(_scale_of(partly_fit, along="compute")).all()


def test_blank_sizes_stand_beside_bundled_ones(bundled):
    own = replace(bundled, lms=bundled.lms.assign(lm="own/" + bundled.lms["lm"]),
                  scores=bundled.scores.assign(lm="own/" + bundled.scores["lm"]),
                  generations=None, experiments=None)  # fmt: skip
    both = bundled.add(blank(own, np.arange(92)))
    assert both.lms["n_tokens"].isna().sum() == 92
    assert np.isfinite(build_design_for(both, spec=ModelSpec()).covariates).all()


# Files.


def test_blank_tokens_are_read_and_said(tmp_path, caplog):
    (tmp_path / "lms.csv").write_text(
        "lm,lm_family,n_params,n_tokens\nopen-7b,open,7300000000,\nother-1b,other,,1.34e11\n"
    )
    (tmp_path / "scores.csv").write_text(
        "lm,benchmark,score\nopen-7b,hellaswag,0.5\nother-1b,hellaswag,0.4\n"
    )
    with caplog.at_level(logging.WARNING):
        data = read_dataset(tmp_path)
    assert data.lms["n_tokens"].isna().tolist() == [True, False]
    assert "n_tokens is blank for 1 LM (open-7b): it is estimated" in caplog.text
    assert "n_params is blank for 1 LM (other-1b): it is estimated" in caplog.text
    data.save(tmp_path / "again")
    assert read_dataset(tmp_path / "again").checksum == data.checksum


def test_counts_of_complete_tables_are_whole(bundled):
    assert bundled.lms[["n_params", "n_tokens"]].dtypes.tolist() == [np.int64, np.int64]
