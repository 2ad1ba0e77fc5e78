"""Contrasts between arms of experiments: what enters them, what does not, and in which units."""

from dataclasses import replace

import numpy as np
import pytest
from scipy import integrate, stats

from bayesmeta.design import arm_contrasts
from bayesmeta.design.facts import training_data
from bayesmeta.model.spec import ModelSpec, build_design_for, build_pairs, with_contrasts

SPEC = ModelSpec(experiments="included")


def with_results(dataset, **columns):
    """The dataset with other columns of its results."""
    assert dataset.experiments is not None
    results = dataset.experiments.results.assign(**columns)
    return replace(dataset, experiments=replace(dataset.experiments, results=results))


def contrasts_of(dataset, *, pairs=False):
    design = build_design_for(dataset, spec=SPEC)
    return build_pairs(dataset, design, spec=SPEC) if pairs else design.contrasts


def cells_of(contrasts):
    """Rows of the contrasts of every cell."""
    keys = (contrasts.study_index, contrasts.benchmark_index, *contrasts.labels.values())
    keys = list(
        zip(*keys[:2], contrasts.labels["group"], contrasts.labels["protocol"], strict=True)
    )
    return [np.array([k == key for k in keys]) for key in dict.fromkeys(keys)]


def pairs_with_the_first(dataset):
    """Differences of every arm from the first one of its cell."""
    found = contrasts_of(dataset, pairs=True)
    base = found.labels["base"]
    first = [rows & (base == base[rows][0]) for rows in cells_of(found)]
    return found.of(np.logical_or.reduce(first))


def term(design, decision, level=None):
    return [t.label for t in design.terms].index(f"{decision}[{level}]" if level else decision)


@pytest.fixture(scope="module")
def contrasts(informed):
    return contrasts_of(informed)


@pytest.fixture(scope="module")
def exact(informed):
    """The dataset with scores that follow from known coefficients, and those, (term, benchmark)."""
    design = build_design_for(informed, spec=SPEC)
    beta = design.loading @ np.random.default_rng(2).normal(
        size=(design.loading.shape[1], len(design.benchmarks))
    )
    arms, results = informed.experiments.arms, informed.experiments.results
    coded = arm_contrasts.code_arms(informed, arms, coding={"decisions": SPEC.decisions})
    latent = np.nan_to_num(coded.facts.X[len(design.lms) :] @ beta)
    names = ["study", "group", "arm"]
    row = arms.reset_index().set_index(names)["index"].loc[list(map(tuple, results[names].values))]
    benchmark = [design.benchmarks.index(name) for name in results["benchmark"]]
    floor = design.outcomes.floor[benchmark]
    # Differences so small that the link is straight.
    p = 1 / (1 + np.exp(-1e-4 * latent[row, benchmark]))
    return with_results(informed, score=floor + (1 - floor) * p), 1e-4 * beta


def explains(contrasts, beta):
    """Whether known coefficients give every contrast."""
    expected = np.einsum("ct,tc->c", contrasts.columns["beta"], beta[:, contrasts.benchmark_index])
    size = np.abs(contrasts.y).max()
    return bool(np.allclose(contrasts.y, expected, rtol=1e-2, atol=1e-3 * size))


@pytest.mark.parametrize("pairs", [False, True])
def test_contrasts_are_columns_times_coefficients_on_the_score_scale(exact, pairs):
    dataset, beta = exact
    assert explains(contrasts_of(dataset, pairs=pairs), beta)


def test_a_flipped_sign_of_a_study_is_seen(exact):
    dataset, beta = exact
    found = contrasts_of(dataset)
    assert not explains(replace(found, y=np.where(found.study_index == 1, -1, 1) * found.y), beta)


def test_levels_in_place_of_contrasts_are_seen(exact, monkeypatch):
    dataset, beta = exact

    def keep_levels(cell, *, pairs):
        every = np.arange(len(cell))
        return np.eye(len(cell)), every, every

    monkeypatch.setattr(arm_contrasts, "_contrast_weights", keep_levels)
    assert not explains(contrasts_of(dataset), beta)


@pytest.mark.parametrize("pairs", [False, True])
def test_the_level_of_a_group_changes_nothing_but_the_slope_of_the_link(informed, pairs):
    results = informed.experiments.results
    shift = 0.05 * (results["group"] == "code") - 0.03 * (results["group"] == "small")
    shifted = with_results(informed, score=results["score"] + shift)
    one, other = (contrasts_of(data, pairs=pairs) for data in (informed, shifted))
    np.testing.assert_allclose(one.y, other.y, atol=1e-12)
    for cell in cells_of(one):
        ratios = [
            other.columns[name][cell][used] / values[cell][used]
            for name, values in one.columns.items()
            if (used := np.abs(values[cell]) > 1e-4).any()
        ]
        np.testing.assert_allclose(np.concatenate(ratios), ratios[0][0], rtol=1e-6)


def test_orthonormal_contrasts_are_an_intercept_with_a_flat_prior(informed):
    dataset = with_results(informed, n_seeds=1)
    found, results = contrasts_of(dataset), dataset.experiments.results
    cell = (found.labels["group"] == "code") & (found.benchmark_index == 1)
    assert cell.sum() == 3
    sd = np.sqrt(found.sampling + found.repeats * 0.01**2)[cell]
    np.testing.assert_allclose(sd, sd[0])
    scores = results["score"][(results["group"] == "code") & (results["benchmark"] == "recall")]
    rng, differences = np.random.default_rng(1), []
    steps, *_ = arm_contrasts._contrast_weights(np.zeros(4, np.int64), pairs=False)
    np.testing.assert_allclose(steps @ scores, found.y[cell])
    for _ in range(3):
        mean = rng.normal(0, 0.02, 4)

        def density(level, mean=mean):
            return np.exp(stats.norm.logpdf(scores, level + mean, sd[0]).sum() - 10)

        middle = (scores - mean).mean()
        whole, _ = integrate.quad(density, middle - 0.1, middle + 0.1, points=[middle])
        by_contrasts = stats.norm.logpdf(found.y[cell], steps @ mean, sd).sum()
        differences.append(np.log(whole) + 10 - by_contrasts)
    np.testing.assert_allclose(differences, -0.5 * np.log(4), atol=1e-6)


def test_pairs_and_orthonormal_contrasts_span_the_same_differences(informed):
    found = [contrasts_of(informed, pairs=pairs) for pairs in (False, True)]
    whole, pairs = (np.column_stack([c.y, *c.columns.values()]) for c in found)
    for rows, two in zip(*map(cells_of, found), strict=True):
        weights = np.linalg.lstsq(whole[rows].T, pairs[two].T, rcond=None)[0]
        np.testing.assert_allclose(weights.T @ whole[rows], pairs[two], atol=3e-6)
        assert np.linalg.matrix_rank(weights) == rows.sum()
        assert two.sum() == rows.sum() * (rows.sum() + 1) / 2


def test_pairs_are_differences_of_every_two_arms(informed):
    found, results = contrasts_of(informed, pairs=True), informed.experiments.results
    scores = results.set_index(["study", "group", "arm", "benchmark", "protocol"])["score"]
    benchmarks = build_design_for(informed, spec=SPEC).benchmarks
    for k, y in enumerate(found.y):
        study, benchmark = found.studies[found.study_index[k]], benchmarks[found.benchmark_index[k]]
        group, protocol, arm, base = (found.labels[n][k] for n in ("group", "protocol", "arm",
                                                                   "base"))  # fmt: skip
        one, other = (scores[study, group, name, benchmark, protocol] for name in (arm, base))
        assert y == pytest.approx(one - other, abs=1e-12)


def test_what_no_lm_has_what_is_alone_and_what_has_no_link_is_left_out(informed, contrasts):
    design = build_design_for(informed, spec=SPEC)
    assert "mqa" not in contrasts.labels["arm"]
    assert "alone" not in contrasts.labels["group"]
    assert design.benchmarks.index("proofs") not in contrasts.benchmark_index
    # Two groups of two arms on four cells, one of four and one of three arms on three.
    assert len(contrasts.y) == 2 * 4 + 3 * 3 + 3 * 2


def test_blank_cells_make_no_difference(informed, contrasts):
    design = build_design_for(informed, spec=SPEC)
    values = contrasts.columns["beta"]
    assert all(np.isfinite(v).all() for v in contrasts.columns.values())
    for decision in ("position_embedding", "english_share", "disclosure"):
        assert not values[:, design.columns_of(decision)].any()
    length = values[:, term(design, "context_length")]
    assert set(contrasts.labels["group"][length != 0]) == {"large"}
    heads = values[:, term(design, "attention", "gqa")]
    assert set(contrasts.labels["group"][heads != 0]) == {"small", "large", "heads"}


def test_groups_that_share_a_run_share_its_effect(contrasts):
    for name in ("mixes/base", "mixes/crawl"):
        used = contrasts.columns["runs"][:, contrasts.runs.index(name)] != 0
        assert set(contrasts.labels["group"][used]) == {"code", "heads"}
    assert len(contrasts.runs) == 9


def test_effects_of_averaged_runs_are_smaller(informed):
    found = pairs_with_the_first(informed)
    one = (found.labels["group"] == "code") & (found.labels["arm"] == "some")
    runs = found.columns["runs"][one]
    some, base = (np.abs(runs[:, found.runs.index(f"mixes/{n}")]) for n in ("code/some", "base"))
    np.testing.assert_allclose(base / some, np.sqrt(3))
    np.testing.assert_allclose(found.repeats[one], 1 + 1 / 3)


def test_repeated_tokens_lose_worth(informed):
    found = pairs_with_the_first(informed)
    labels = [t.label for t in found.arm_terms]
    assert labels == ["corpus[crawl]", "corpus[webtext]", "n_epochs"]
    more = (found.labels["arm"] == "more") & (found.benchmark_index == 1)
    slope = found.columns["arm_facts"][(found.labels["arm"] == "crawl") & (found.labels["group"] ==
                                       "code") & (found.benchmark_index == 1), 0]  # fmt: skip
    # Read four times, tokens are worth 93 percent of new ones: 1 + 15.4 (1 - exp(-3/15.4)) of 4.
    np.testing.assert_allclose(
        np.exp(found.columns["arm_facts"][more, 2] / slope), 0.9315, rtol=1e-3
    )


def test_known_error_is_a_share_of_the_binomial_variance(informed):
    found, results = pairs_with_the_first(informed), informed.experiments.results
    two = results[(results["group"] == "small") & (results["benchmark"] == "recall")]
    p = two["score"][two["arm"] != "mqa"].mean()
    cell = (found.labels["group"] == "small") & (found.benchmark_index == 1)
    np.testing.assert_allclose(found.sampling[cell], 2 * 0.3 * p * (1 - p) / 500)
    stated = with_results(informed, se=0.02)
    np.testing.assert_allclose(pairs_with_the_first(stated).sampling[cell], 2 * 0.3 * 0.02**2)


def test_benchmark_without_a_number_of_items(informed):
    blank = replace(informed, benchmarks=informed.benchmarks.assign(n_items=np.nan))
    assert not contrasts_of(blank).sampling.any()


def test_results_without_protocol_and_number_of_runs(informed):
    results = informed.experiments.results
    one = results[results["protocol"] == "0-shot"].reset_index(drop=True)
    found = []
    for columns in ({"n_seeds": 1.0}, {"n_seeds": np.nan, "protocol": np.nan}):
        tables = replace(informed.experiments, results=one.assign(**columns))
        found.append(contrasts_of(replace(informed, experiments=tables)))
    assert len(found[0].y) == 21
    for name in ("y", "sampling", "repeats"):
        np.testing.assert_array_equal(*(getattr(c, name) for c in found))


def test_shares_of_a_mix_are_filled_together(informed):
    arms = informed.experiments.arms
    blank = arms.assign(books_share=arms["books_share"].where(arms["arm"] != "gqa"))
    found = arm_contrasts.code_arms(informed, blank, coding={"decisions": SPEC.decisions})
    gqa = np.flatnonzero((blank["arm"] == "gqa").to_numpy()) + len(informed.lms)
    recorded = dict(zip(found.mix.domains, found.mix.recorded[gqa].T, strict=True))
    assert np.isnan(recorded["books_share"]).all()


@pytest.mark.parametrize("pairs", [False, True])
def test_contrasts_are_slopes_times_fewer_differences(informed, pairs):
    found = contrasts_of(informed, pairs=pairs)
    differences, index, slope = found.factor()
    for name, values in found.columns.items():
        np.testing.assert_allclose(slope[:, None] * differences[name][index], values, atol=1e-9)
        assert len(differences[name]) < len(values)
    # The same arms differ in the same way, whichever benchmark they are compared on.
    names = found.labels
    arms = [names["group"], names["arm"], *([names["base"]] if pairs else [])]
    pair = [found.study_index[:, None] == found.study_index]
    pair += [name[:, None] == name for name in arms]
    if pairs:
        assert (index[:, None] == index)[np.logical_and.reduce(pair)].all()


def test_settings_hold_every_difference_of_a_study(informed, contrasts):
    # With its settings free, a study explains all differences of the facts of its arms.
    design = build_design_for(informed, spec=SPEC)
    free = contrasts.columns["beta"] @ design.loading
    for s in range(2):
        own = contrasts.study_index == s
        settings = contrasts.columns["settings"][own]
        used = settings[:, [name == contrasts.studies[s] for name in contrasts.setting_study]]
        assert not settings[:, [name != contrasts.studies[s] for name in
                                contrasts.setting_study]].any()  # fmt: skip
        both = np.column_stack([used, free[own], contrasts.columns["arm_facts"][own]])
        assert np.linalg.matrix_rank(both, tol=1e-5) == np.linalg.matrix_rank(used, tol=1e-5)


def test_directions_of_settings_hang_on_no_order_or_sign():
    rows = np.array([[1.0, 0, 1, 2], [0, 1, 1, -1], [1, 1, 2, 1], [0, 0, 1e-9, 0]])
    basis = arm_contrasts._span(rows)
    assert basis.shape == (2, 4)
    assert basis @ basis.T == pytest.approx(np.eye(2))
    assert (rows @ basis.T) @ basis == pytest.approx(rows, abs=1e-8)
    for same in (rows[::-1], -rows, 2 * rows, rows[[2, 1]]):
        assert arm_contrasts._span(same) == pytest.approx(basis)
    assert arm_contrasts._span(np.zeros((3, 4))).shape == (0, 4)


def test_a_held_out_study_leaves_no_trace(informed):
    results = informed.experiments.results
    own = results["study"] == "heads"
    other = with_results(informed, score=results["score"].where(~own, 1 - results["score"]))
    found = []
    for data in (informed, other):
        design = build_design_for(data, spec=SPEC)
        assert len(training_data(design)["data_contrast_y"]) == 23
        held = replace(design, contrasts=design.contrasts.hold_out("heads"))
        found.append(training_data(held))
    assert len(found[0]["data_contrast_y"]) == 15
    for name, values in found[0].items():
        np.testing.assert_array_equal(values, found[1][name])


def test_experiments_without_a_usable_contrast(informed, refusal):
    none = with_results(informed, benchmark="proofs")
    with pytest.warns(UserWarning, match="experiments of the data say nothing here"):
        assert build_design_for(none, spec=SPEC).contrasts is None


def test_experiments_that_are_not_there(small):
    assert build_design_for(small, spec=SPEC).contrasts is None


def test_other_contrasts_are_those_of_other_scores(informed):
    design = build_design_for(informed, spec=SPEC)
    y = design.contrasts.y + np.random.default_rng(1).normal(0, 0.01, len(design.contrasts.y))
    other = with_contrasts(informed, design, y, spec=SPEC)
    found = build_design_for(other, spec=SPEC).contrasts
    np.testing.assert_allclose(found.y, y, atol=1e-12)
    for name, columns in design.contrasts.columns.items():
        np.testing.assert_allclose(found.columns[name], columns, atol=1e-12)
    # Results of arms that are not compared, such as those on a Brier score, stay.
    unused = informed.experiments.results["benchmark"] == "proofs"
    same = other.experiments.results["score"] == informed.experiments.results["score"]
    assert same[unused].all()
    assert not same[~unused].all()
