"""Tables to arrays: coding of levels, composition, centres, missing facts, floors."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.stats import ortho_group

from bayesmeta.data.decisions import DECISIONS
from bayesmeta.data.load import load_dataset
from bayesmeta.data.vocabulary import MIX_COLUMNS
from bayesmeta.design.composition import DOMAINS, build_mix
from bayesmeta.design.facts import build_design, set_parts, standardise
from bayesmeta.design.outcomes import build_outcomes
from bayesmeta.design.overlap import find_overlaps
from bayesmeta.design.terms import MIX_UNIT
from bayesmeta.errors import SpecError
from bayesmeta.model.predictor import law_skill, law_slopes
from bayesmeta.model.spec import ModelSpec, Priors, build_design_for

EXACT = 1e-12
"""Rounding error of a few sums of doubles near one."""

GRID_ERROR = 0.02
"""The functions are orthogonal on a grid of 201 points; other grids differ by O(1/201)."""

CODE = DOMAINS.index("code_share")
FRACTIONS = st.floats(0, 1)
PARTS = arrays(float, len(DOMAINS), elements=st.floats(0.001, 1))


@pytest.fixture(scope="module")
def design(bundled):
    return build_design(bundled)


@pytest.fixture(scope="module")
def small_design(small):
    return build_design(small)


@pytest.fixture(scope="module")
def mix(small):
    return build_mix(small.lms)


def level_rows(design, decision):
    """Rows of the loading of one decision, and its own columns of it."""
    own = design.free_decision == design.decisions.index(decision)
    rows = design.loading[design.columns_of(decision)]
    return rows[:, own], rows[:, ~own]


def several_levels(design):
    return [name for name in design.decisions if len(design.columns_of(name)) > 1]


def test_bundled_data_inform_all_decisions_with_levels(design):
    levels = {name for name, decision in DECISIONS.items() if decision.kind == "categorical"}
    assert set(several_levels(design)) == levels | {"mix"}


def test_effects_of_levels_sum_to_zero(design):
    for name in several_levels(design):
        own, other = level_rows(design, name)
        np.testing.assert_allclose(own.sum(axis=0), 0, atol=EXACT)
        assert not other.any()


def test_effects_of_levels_have_all_their_degrees_of_freedom(design):
    for name in several_levels(design):
        own, _ = level_rows(design, name)
        assert own.shape == (len(own), len(own) - 1)
        assert np.linalg.matrix_rank(own) == len(own) - 1


def test_any_effects_that_sum_to_zero_can_be_reached(design):
    rng = np.random.default_rng(1)
    for name in several_levels(design):
        own, _ = level_rows(design, name)
        wanted = rng.normal(size=len(own))
        wanted -= wanted.mean()
        free = np.linalg.lstsq(own, wanted, rcond=None)[0]
        np.testing.assert_allclose(own @ free, wanted, atol=EXACT)


def pairwise_variances(loading):
    covariance = loading @ loading.T
    size = np.diag(covariance)
    return (size[:, None] + size - 2 * covariance)[np.triu_indices(len(loading), 1)]


def test_every_pair_of_levels_has_the_same_prior(design):
    for name in several_levels(design):
        np.testing.assert_allclose(pairwise_variances(level_rows(design, name)[0]), 2, rtol=EXACT)


def test_rotated_coding_has_the_same_prior(design):
    own, _ = level_rows(design, "mix")
    turn = ortho_group.rvs(own.shape[1], random_state=2)
    np.testing.assert_allclose(pairwise_variances(own @ turn), 2, rtol=1e-10)


def test_numeric_decision_has_one_free_coefficient(design):
    own, other = level_rows(design, "context_length")
    np.testing.assert_array_equal(own, [[1.0]])
    assert not other.any()


def test_every_lm_has_one_level(design):
    for name in set(several_levels(design)) - {"mix"}:
        np.testing.assert_array_equal(design.X[:, design.columns_of(name)].sum(axis=1), 1)


def test_columns_hold_the_recorded_level(design, bundled):
    words = bundled.lms["attention"].str.replace("mha_local", "mha")
    for k in design.columns_of("attention"):
        expected = (words == design.terms[k].level).to_numpy(float)
        np.testing.assert_array_equal(design.X[:, k], expected)


def test_numeric_column_is_a_standardised_logarithm(design, bundled):
    (k,) = design.columns_of("context_length")
    logs = np.log2(bundled.lms["context_length"].to_numpy(float))
    expected = (logs - np.nanmean(logs)) / np.nanstd(logs)
    np.testing.assert_allclose(design.X[:, k], expected, rtol=1e-10)
    assert standardise(2048, design.terms[k]) == pytest.approx(
        (11 - np.nanmean(logs)) / np.nanstd(logs)
    )


@given(data=st.data())
def test_completed_mix_sums_to_one(mix, data):
    unknown = data.draw(arrays(float, (len(mix.group_names), 6), elements=st.floats(0.001, 1)))
    full = mix.complete(unknown / unknown.sum(axis=1, keepdims=True))
    np.testing.assert_allclose(full.sum(axis=1), 1, atol=EXACT)
    assert (full >= 0).all()


@given(data=st.data())
def test_completed_mix_keeps_recorded_parts(mix, data):
    unknown = data.draw(arrays(float, (len(mix.group_names), 6), elements=st.floats(0.001, 1)))
    full = mix.complete(unknown)
    recorded = ~np.isnan(mix.known)
    np.testing.assert_array_equal(full[recorded], mix.known[recorded])


def test_undisclosed_rest_is_divided_in_the_proportions_of_the_unknown_mix(mix, small):
    unknown = np.array([[0.1, 0.2, 0.3, 0.1, 0.2, 0.1], [0.4, 0.1, 0.1, 0.1, 0.1, 0.2]])
    full = mix.complete(unknown)
    cat, dog = (small.lms["lm"] == name for name in ("cat-1", "dog-1"))
    np.testing.assert_allclose(full[cat][0], unknown[0], atol=EXACT)
    parts = np.delete(unknown[1], CODE)
    np.testing.assert_allclose(
        np.delete(full[dog][0], CODE), 0.7 * parts / parts.sum(), atol=EXACT
    )  # fmt: skip


def test_siblings_with_one_record_share_an_unknown_mix(mix):
    assert mix.group_names == ("cat", "dog")
    assert mix.group.tolist() == [0, 0, 1, 1]


def test_mix_completes_many_draws_at_once(mix):
    unknown = np.random.default_rng(4).dirichlet(np.ones(6), (3, 5, 2))
    full = mix.complete(unknown)
    assert full.shape == (3, 5, 12, 6)
    np.testing.assert_array_equal(full[1, 2], mix.complete(unknown[1, 2]))


def test_other_share_is_what_recorded_domains_leave(mix, small):
    shares = small.lms[list(DOMAINS[:-1])].to_numpy(float) / 100
    bee = (small.lms["lm_family"] == "bee").to_numpy()
    np.testing.assert_allclose(mix.known[bee, -1], 1 - shares[bee].sum(axis=1), atol=EXACT)


def test_no_disclosed_mix_means_no_mix(small):
    code = small.lms["code_share"].where(small.lms["lm_family"] == "dog")
    assert build_mix(small.lms.assign(code_share=code)) is None


def test_domain_that_no_lm_records_is_no_part(small):
    mix = build_mix(small.lms.assign(books_share=np.nan))
    assert mix.domains == tuple(name for name in DOMAINS if name != "books_share")
    ant = (small.lms["lm"] == "ant-1").to_numpy()
    np.testing.assert_allclose(mix.known[ant, -1], 0.1, atol=EXACT)


def test_mix_without_code(small):
    design = build_design(replace(small, lms=small.lms.assign(code_share=np.nan)))
    assert "code_share" not in design.mix.domains


def test_mix_columns_hold_the_mix(design):
    assert [term.level for term in design.terms[design.mix_columns]] == list(DOMAINS)
    np.testing.assert_array_equal(design.X[:, design.mix_columns], design.mix.known / MIX_UNIT)


@given(parts=PARTS, share=FRACTIONS, domain=st.sampled_from(DOMAINS))
def test_shifted_part_has_its_new_share(parts, share, domain):
    new = set_parts(parts / parts.sum(), shares={domain: share}, typical=np.full(6, 1 / 6))
    assert new[DOMAINS.index(domain)] == share
    assert new.sum() == pytest.approx(1, abs=EXACT)


@given(parts=PARTS, share=st.floats(0, 0.99), domain=st.sampled_from(DOMAINS))
def test_shifting_keeps_the_proportions_of_the_others(parts, share, domain):
    old = parts / parts.sum()
    new = set_parts(old, shares={domain: share}, typical=np.full(6, 1 / 6))
    others = np.arange(6) != DOMAINS.index(domain)
    np.testing.assert_allclose(
        new[others] / new[others].sum(), old[others] / old[others].sum(), atol=1e-9
    )


def test_lm_with_nothing_but_code_gets_typical_others():
    only_code = np.eye(6)[CODE]
    typical = np.array([0.5, 0.1, 0.1, 0.1, 0.1, 0.1])
    new = set_parts(only_code, shares={"code_share": 0.4}, typical=typical)
    np.testing.assert_allclose(new, [1 / 3, 0.4, 1 / 15, 1 / 15, 1 / 15, 1 / 15], atol=EXACT)


def test_shifting_many_lms_equals_one_by_one():
    mixes = np.random.default_rng(5).dirichlet(np.ones(6), (2, 3))
    typical = np.full(6, 1 / 6)
    new = set_parts(mixes, shares={"web_share": 0.3}, typical=typical)
    one = set_parts(mixes[1, 2], shares={"web_share": 0.3}, typical=typical)
    np.testing.assert_allclose(new[1, 2], one, atol=EXACT)


def weights_by_hand(dataset, benchmark):
    """Weights of the lms that have a score: squared variance of a Bernoulli above the floor."""
    outcomes = build_outcomes(dataset)
    b = dataset.benchmarks["benchmark"].tolist().index(benchmark)
    rows = dataset.scores[dataset.scores["benchmark"] == benchmark].set_index("lm")["score"]
    p = ((rows - outcomes.floor[b]) / (1 - outcomes.floor[b])).clip(0.01, 0.99)
    weight = (p * (1 - p)) ** 2 if outcomes.is_logistic[b] else p * 0 + 1
    return weight / weight.sum()


@pytest.mark.parametrize("benchmark", ["arc_challenge", "mathqa"])
def test_scale_centre_is_the_information_weighted_mean(design, bundled, benchmark):
    weight = weights_by_hand(bundled, benchmark)
    scale = pd.DataFrame(design.scale, index=design.lms).loc[weight.index]
    expected = scale.mul(weight, axis=0).sum()
    b = design.benchmarks.index(benchmark)
    np.testing.assert_allclose(design.scale_center[b], expected, rtol=1e-10)


def test_centre_of_a_decision_averages_recorded_values_only(design, bundled):
    weight = weights_by_hand(bundled, "gsm8k")
    (k,) = design.columns_of("english_share")
    x = pd.Series(design.X[:, k], index=design.lms).loc[weight.index]
    weight = weight[x.notna()]
    expected = (x.dropna() * weight).sum() / weight.sum()
    assert design.X_center[design.benchmarks.index("gsm8k"), k] == pytest.approx(expected)


def test_scale_covariates_are_logs_about_the_reference_lm(design, bundled):
    size = np.log(bundled.lms["n_params"].to_numpy(float) / 7e9)
    data = np.log(bundled.lms["n_tokens"].to_numpy(float) / 1e12)
    for k, expected in ((0, size), (1, data), (2, size * data)):
        unit = expected @ expected / (design.scale[:, k] @ expected)
        assert unit > 0
        np.testing.assert_allclose(design.scale[:, k] * unit, expected, atol=1e-10)


def test_lm_without_a_date_stands_at_the_mean_date(small_design, small):
    undated = small.lms["released"].isna().to_numpy()
    dates = pd.to_datetime(small.lms["released"], format="%Y-%m")
    years = dates.dt.year + (dates.dt.month - 1) / 12
    np.testing.assert_array_equal(small_design.scale[undated, 3], 0)
    np.testing.assert_allclose(
        small_design.scale[~undated, 3], (years - years.mean()).dropna(), atol=1e-9
    )


def test_scale_basis_is_orthonormal(design):
    gram = design.scale_basis.T @ design.scale_basis
    np.testing.assert_allclose(gram, np.eye(5), atol=1e-10)


def test_scale_basis_spans_intercept_and_covariates(design, bundled):
    columns = np.column_stack([np.ones(len(design.lms)), design.scale])
    projected = design.scale_basis @ (design.scale_basis.T @ columns)
    scored = np.isin(design.lms, bundled.scores["lm"])
    np.testing.assert_allclose(projected[scored], columns[scored], atol=1e-10)
    assert not projected[~scored].any()


def test_scale_basis_leaves_out_a_constant_date(small):
    lms = small.lms.assign(released="2023-01")
    basis = build_design(replace(small, lms=lms)).scale_basis
    assert basis.shape == (12, 5)
    np.testing.assert_allclose(basis.T @ basis, np.diag([1, 1, 1, 1, 0]), atol=1e-10)


def test_undisclosed_words_make_a_level_of_their_own():
    published = load_dataset(version="as-published")
    design = build_design(published)
    for name, decision in DECISIONS.items():
        if decision.kind != "categorical" or name not in design.decisions:
            continue
        levels = [design.terms[k].level for k in design.columns_of(name)]
        blank = decision.read(published.lms).isna().to_numpy()
        assert ("undisclosed" in levels) == blank.any()
        if blank.any():
            column = design.X[:, design.columns_of(name)[levels.index("undisclosed")]]
            np.testing.assert_array_equal(column, blank.astype(float))


def test_as_published_version_has_undisclosed_levels():
    design = build_design(load_dataset(version="as-published"))
    assert "undisclosed" in [term.level for term in design.terms]


def test_missing_cells_are_those_without_a_number(small_design, small):
    expected = {
        (row, name)
        for name in ("context_length", "english_share")
        for row in np.flatnonzero(small.lms[name].isna())
    }
    missing = small_design.missing
    found = {
        (row, small_design.terms[k].decision)
        for row, k in zip(missing.row, missing.term, strict=True)
    }
    assert found == expected


def test_family_shares_one_unknown_number(small_design):
    missing = small_design.missing
    assert set(missing.names) == {"context_length:cat", "english_share:cat", "english_share:elk"}
    family = np.array(small_design.lm_family_index)[missing.row]
    keys = list(zip(missing.term, family, strict=True))
    assert len(set(zip(keys, missing.slot, strict=True))) == len(set(keys)) == len(missing.names)


def test_unknown_number_is_centred_on_family_means(small_design, small):
    slot = small_design.missing.names.index("context_length:cat")
    logs = np.log2(small.lms["context_length"]).groupby(small.lms["lm_family"]).mean().dropna()
    assert small_design.missing.location[slot] == pytest.approx(logs.mean())
    assert small_design.missing.spread[slot] == pytest.approx(logs.std(ddof=1))
    assert not small_design.missing.is_share[slot]


def one_benchmark(small, **columns):
    """The small data with changed scores of `puzzles`, a test of two options."""
    scores = small.scores[small.scores["benchmark"] == "puzzles"].assign(**columns)
    return replace(small, scores=pd.concat(
        [small.scores[small.scores["benchmark"] != "puzzles"], scores], ignore_index=True
    ))  # fmt: skip


def floor_of(dataset):
    names = dataset.benchmarks["benchmark"].tolist()
    return build_outcomes(dataset).floor[names.index("puzzles")]


def test_floor_is_chance_when_all_score_above_it(small):
    assert floor_of(one_benchmark(small, score=0.7, se=0.01)) == 0.5


def test_floor_is_two_standard_errors_below_the_lowest_score(small):
    score = np.linspace(0.45, 0.9, 12)
    assert floor_of(one_benchmark(small, score=score, se=0.02)) == pytest.approx(0.41)


def test_floor_may_be_below_zero(small):
    score = np.linspace(0.01, 0.9, 12)
    assert floor_of(one_benchmark(small, score=score, se=0.02)) == pytest.approx(-0.03)


def test_missing_error_of_an_accuracy_comes_from_its_items(small):
    blank = small.scores["se"].isna() & (small.scores["benchmark"] == "reading")
    (row,) = np.flatnonzero(blank)
    successes, n = 1000 * small.scores["score"][row] + 2, 1004
    expected = np.sqrt(successes / n * (1 - successes / n) / n)
    assert build_outcomes(small).se[row] == pytest.approx(expected)


def test_brier_score_has_no_known_error(small):
    brier = (small.scores["benchmark"] == "proofs").to_numpy()
    assert not build_outcomes(small).se[brier].any()


def test_identity_link_makes_lower_brier_scores_better(small):
    outcomes = build_outcomes(small)
    b = small.benchmarks["benchmark"].tolist().index("proofs")
    scores = small.scores.loc[small.scores["benchmark"] == "proofs", "score"]
    assert outcomes.spread[b] == pytest.approx(-scores.std())
    assert outcomes.location[b] == pytest.approx(scores.mean())
    assert outcomes.is_logistic.tolist() == [
        name != "proofs" for name in small.benchmarks["benchmark"]
    ]


def test_decision_that_does_not_vary_is_left_out(small_design):
    assert "norm" not in small_design.decisions
    assert set(small_design.decisions) == {
        "position_embedding", "attention", "context_length", "english_share", "mix", "disclosure"
    }  # fmt: skip


def test_disclosure_follows_from_the_shares(small):
    lms = small.lms.assign(**dict.fromkeys(MIX_COLUMNS, np.nan), english_share=50.0)
    lms.loc[0, "code_share"] = 0.0
    words = DECISIONS["disclosure"].read(lms).tolist()
    assert words == ["disclosed"] + ["withheld"] * (len(lms) - 1)
    design = build_design(replace(small, lms=lms))
    columns = design.X[:, design.columns_of("disclosure")]
    assert [design.terms[k].level for k in design.columns_of("disclosure")] == [
        "disclosed", "withheld"
    ]  # fmt: skip
    np.testing.assert_array_equal(columns[:, 1], [0.0] + [1.0] * (len(lms) - 1))


def test_disclosure_is_switched_off_with_its_decision(small):
    others = [name for name in DECISIONS if name != "disclosure"]
    assert "disclosure" not in build_design(small, decisions=others).decisions


def test_only_wanted_decisions_enter(bundled):
    design = build_design(bundled, decisions=("norm", "mlp_ratio"))
    assert design.decisions == ("norm", "mlp_ratio")
    assert design.mix is None


def test_no_decisions_make_an_empty_matrix(bundled):
    design = build_design(bundled, decisions=())
    assert design.X.shape == (92, 0)
    assert design.terms == design.decisions == ()


def test_unknown_decision(bundled, refusal):
    with refusal(SpecError, "'atention'", "'attention'", "position_embedding"):
        build_design(bundled, decisions=("atention",))


LAW = {"size_exponent": 0.35, "data_exponent": 0.37, "size_fraction": 0.67}


def test_law_is_the_reducible_loss_of_the_published_form(bundled):
    # E + A / N^a + B / D^b with coefficients that give size its share of the loss at 7B and 1T.
    n, d = (bundled.lms[name].to_numpy(float) for name in ("n_params", "n_tokens"))
    loss = 0.67 * 7e9**0.35 / n**0.35 + 0.33 * 1e12**0.37 / d**0.37
    found = law_skill(build_design(bundled, scale_terms=(), law=True).log_scale, **LAW)
    np.testing.assert_allclose(found, -np.log(loss), rtol=1e-9)


def test_linear_law_is_the_tangent_of_the_law():
    h = 1e-4
    steps = np.array([[h, 0], [-h, 0], [0, h], [0, -h], [h, h], [-h, -h], [h, -h], [-h, h]])
    up, down, right, left, *corners = law_skill(steps, **LAW)
    mixed = (corners[0] + corners[1] - corners[2] - corners[3]) / (4 * h**2)
    units = np.array([1.6, 1.3, 1.6 * 1.3])
    slopes = np.array([(up - down) / (2 * h), (right - left) / (2 * h), mixed]) * units
    np.testing.assert_allclose(law_slopes(Priors()), slopes, rtol=1e-5)


@pytest.mark.parametrize("exponent", [0.25, 0.35, 0.45])
def test_projection_under_the_law_takes_all_but_a_trace_of_it(bundled, exponent):
    design = build_design(bundled, scale_terms=("released",), law=True)
    law = law_skill(design.log_scale, **(LAW | {"size_exponent": exponent}))
    law = law[np.isin(design.lms, bundled.scores["lm"])]
    basis = design.scale_basis[np.isin(design.lms, bundled.scores["lm"])]
    left = law - basis @ (basis.T @ law)
    assert left.var() < 0.01 * law.var()


@pytest.mark.parametrize(
    "options, n",
    [({}, 10), ({"scaling": "chinchilla"}, 10), ({"release_date": "none"}, 6),
     ({"scaling": "none"}, 3), ({"interactions": "none"}, 5)],
)  # fmt: skip
def test_bends_are_projected_off_where_there_is_a_surface(bundled, options, n):
    basis = build_design_for(bundled, spec=ModelSpec(**options)).scale_basis
    np.testing.assert_allclose(basis.T @ basis, np.eye(n), atol=1e-10)


@pytest.mark.parametrize("n, is_kept", [(49, False), (50, True)])
def test_few_lms_keep_the_bends_of_their_families(bundled, n, is_kept):
    lms = bundled.scores["lm"].unique()[:n]
    train = bundled.scores["lm"].isin(lms).to_numpy()
    basis = build_design_for(bundled, spec=ModelSpec(), train=train).scale_basis
    assert basis.any(axis=0).sum() == (10 if is_kept else 5)


def test_projection_is_the_same_under_the_law(bundled, design):
    other = build_design(bundled, scale_terms=("released",), law=True)
    assert other.scale.shape == (92, 1)
    np.testing.assert_allclose(
        other.scale_basis @ other.scale_basis.T, design.scale_basis @ design.scale_basis.T,
        atol=1e-10,
    )  # fmt: skip


def changed(small, **columns):
    return replace(small, lms=small.lms.assign(**columns))


def test_bundled_decisions_vary_apart_from_each_other(design):
    assert find_overlaps(design, decisions=tuple(DECISIONS)) == ()


@pytest.mark.parametrize("version", ["as-published", "corrected"])
@pytest.mark.parametrize("decision", DECISIONS)
def test_any_decision_of_the_bundled_data_may_be_named(version, decision):
    design = build_design_for(load_dataset(version=version), spec=ModelSpec(decisions=(decision,)))
    assert design.terms


def test_named_constant_decision_is_refused(small, refusal):
    with refusal(SpecError, "'norm'", "does not vary", "Leave out norm", "add"):
        build_design_for(small, spec=ModelSpec(decisions=("norm", "attention")))


@pytest.mark.parametrize("value", [0.0, np.nan])
def test_named_constant_part_of_the_mix_is_refused(small, value, refusal):
    books = small.lms["books_share"]
    data = changed(small, books_share=books.where(books.isna(), value))
    with refusal(SpecError, "'books_share'", "does not vary"):
        build_design_for(data, spec=ModelSpec(decisions=("books_share", "code_share")))


def test_named_copy_of_a_decision_is_refused(small, refusal):
    norm = small.lms["attention"].map({"mha": "layernorm", "gqa": "rmsnorm"})
    spec = ModelSpec(decisions=("position_embedding", "norm", "attention"))
    with refusal(SpecError, "'norm'", "linear combination of attention", "Leave out norm", "add"):
        build_design_for(changed(small, norm=norm), spec=spec)


def test_named_sum_of_two_decisions_is_refused(small, refusal):
    # Twice the context and twice the ratio: log2 of the one is a sum over both others' logs.
    rng = np.random.default_rng(1)
    ratio = 2.0 ** rng.integers(1, 4, 12)
    attention = np.array(["mha", "gqa"] * 6)
    context = ratio * 512 * np.where(attention == "gqa", 4, 1)
    data = changed(small, mlp_ratio=ratio, attention=attention, context_length=context)
    spec = ModelSpec(decisions=("position_embedding", "attention", "context_length", "mlp_ratio"))
    with refusal(SpecError, "'attention'", "linear combination of context_length, mlp_ratio"):
        build_design_for(data, spec=spec)


def test_named_merged_levels_are_refused_and_the_finer_decision_is_not(small):
    block = ["serial", "parallel"] * 6
    activation = np.where(
        np.arange(12) % 2 == 0, np.where(np.arange(12) < 6, "gelu", "relu"), "swiglu"
    )
    data = changed(small, block=block, activation=activation)
    design = build_design(data)
    (overlap,) = find_overlaps(design, decisions=("block", "activation"))
    assert (overlap.decision, overlap.others) == ("block", ("activation",))


def test_one_lm_that_differs_makes_a_combination_inexact(small):
    norm = small.lms["attention"].map({"mha": "layernorm", "gqa": "rmsnorm"})
    norm.iloc[0] = "rmsnorm"
    spec = ModelSpec(decisions=("norm", "attention"))
    assert build_design_for(changed(small, norm=norm), spec=spec).decisions == spec.decisions


def test_decisions_that_tell_every_lm_from_every_other_are_not_called_combinations(small):
    few = replace(small, lms=small.lms.iloc[[0, 2, 3]].reset_index(drop=True), scores=small.scores[
        small.scores["lm"].isin(["ant-1", "ant-3", "bee-1"])].reset_index(drop=True))  # fmt: skip
    spec = ModelSpec(decisions=("position_embedding", "attention"))
    assert build_design_for(few, spec=spec).decisions == spec.decisions


def test_default_decisions_are_kept_though_they_overlap(small):
    norm = small.lms["attention"].map({"mha": "layernorm", "gqa": "rmsnorm"})
    design = build_design_for(changed(small, norm=norm), spec=ModelSpec())
    assert {"norm", "attention"} <= set(design.decisions)
