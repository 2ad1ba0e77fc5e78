"""Swaps in the training mix and trade-offs along a share, against closed forms."""

import numpy as np
import pytest
import xarray as xr
from scipy.special import expit

from bayesmeta import defaults, plots
from bayesmeta.design.composition import DOMAINS
from bayesmeta.design.facts import swap_parts
from bayesmeta.errors import QueryError
from bayesmeta.estimates.answer import query
from bayesmeta.estimates.contrasts import substitutions
from bayesmeta.estimates.counterfactual import contrast_draws
from bayesmeta.estimates.curves import Curve, curve
from bayesmeta.estimates.question import Substitution
from bayesmeta.model.predictor import linear_predictor
from bayesmeta.model.spec import ModelSpec

EXACT = 1e-9
"""Rounding error of a few hundred sums of doubles, in percentage points."""

STEP = 2.5
"""Distance of the points of a curve along a share, in percentage points."""

POINTS = 10

# Lms of the small dataset that record at least ten points of the part. `dog` records its code
# share alone; the other share of `bee` is ten but for rounding.
GIVES = {
    "web_share": ["ant-1", "ant-2", "ant-3", "bee-1", "bee-2", "bee-3", "elk-1", "elk-2"],
    "code_share": ["ant-1", "ant-2", "bee-1", "bee-2", "bee-3", "dog-1", "dog-2"],
    "books_share": ["ant-1", "ant-2", "ant-3"],
    "reference_share": ["elk-1", "elk-2"],
    "other_share": ["bee-1", "bee-2", "bee-3"],
}


@pytest.fixture(scope="module")
def linear_fit(small, build_fake_fit, additive):
    """A fit whose mix acts through a straight line only."""
    return build_fake_fit(small, spec=ModelSpec(**additive))


def latent_step(fit, receiver, donor):
    """Latent change of a swap on every benchmark by the straight part, dims chain, draw."""
    beta = fit.draws["beta"]
    grown, shrunk = (beta.sel(term=f"mix[{part}]") for part in (receiver, donor))
    return (grown - shrunk).values * POINTS / 25


def brier_points(small):
    """Percentage points of a Brier benchmark per latent unit."""
    return 100 * small.scores.loc[small.scores["benchmark"] == "proofs", "score"].std()


@pytest.mark.parametrize(
    "receiver, donor",
    [("code_share", "web_share"), ("web_share", "code_share"), ("books_share", "other_share")],
)
def test_swap_on_a_linear_score_is_the_difference_of_two_effects(
    small, linear_fit, receiver, donor
):
    swap = Substitution(receiver, donor=donor, points=POINTS)
    found = contrast_draws(linear_fit, contrast=swap, by="benchmark").sel(target="proofs")
    b = linear_fit.design.benchmarks.index("proofs")
    expected = brier_points(small) * latent_step(linear_fit, receiver, donor)[..., b]
    np.testing.assert_allclose(found, expected, atol=EXACT)


@pytest.mark.parametrize("receiver, donor", [("code_share", "web_share"),
                                             ("web_share", "books_share")])  # fmt: skip
def test_swap_follows_the_surface_at_the_lms_that_can_give(small, default_fit, receiver, donor):
    design, lms = default_fit.design, small.lms.set_index("lm")
    b, surface = design.benchmarks.index("proofs"), design.surface
    bend = np.zeros(surface.n_functions)
    for lm in GIVES[donor]:
        mix = lms.loc[lm, list(DOMAINS[:-1])].to_numpy(float) / 100
        mix = np.append(mix, 1 - mix.sum())
        moved = mix.copy()
        moved[DOMAINS.index(receiver)] += POINTS / 100
        moved[DOMAINS.index(donor)] -= POINTS / 100
        facts = design.facts.of(np.array(design.lms) == lm)
        high, low = (
            surface.evaluate(facts.covariates, part[None], facts.english)[0]
            for part in (moved, mix)
        )
        bend += (high - low) / len(GIVES[donor])
    weights = default_fit.draws["surface"].values[..., b]
    latent = latent_step(default_fit, receiver, donor)[..., b] + weights @ bend
    swap = Substitution(receiver, donor=donor, points=POINTS)
    found = contrast_draws(default_fit, contrast=swap, by="benchmark").sel(target="proofs")
    np.testing.assert_allclose(found, brier_points(small) * latent, atol=EXACT)
    assert np.abs(weights @ bend).max() > 0.01


def test_swap_on_an_accuracy_moves_every_lm_from_where_it_is(linear_fit):
    design = linear_fit.design
    b = design.benchmarks.index("recall")
    eta = linear_predictor(linear_fit.parameters, design=design, spec=linear_fit.spec)
    eta = eta[..., [design.lms.index(lm) for lm in GIVES["books_share"]], b]
    step = latent_step(linear_fit, "code_share", "books_share")[..., b, None]
    floor = design.outcomes.floor[b]
    expected = 100 * (1 - floor) * (expit(eta + step) - expit(eta)).mean(-1)
    swap = Substitution("code_share", donor="books_share", points=POINTS)
    found = contrast_draws(linear_fit, contrast=swap, by="benchmark").sel(target="recall")
    np.testing.assert_allclose(found, expected, atol=EXACT)


def test_moved_parts_still_sum_to_one():
    mix = np.random.default_rng(1).dirichlet(np.ones(len(DOMAINS)), (4, 7))
    amount = mix[..., DOMAINS.index("web_share")].min()
    moved = swap_parts(mix, receiver="books_share", donor="web_share", amount=amount)
    np.testing.assert_allclose(moved.sum(-1), 1)
    assert moved.min() >= 0
    changed = ~np.isclose(moved, mix).all(axis=(0, 1))
    assert {d for d, c in zip(DOMAINS, changed, strict=True) if c} == {"web_share", "books_share"}


def test_all_pairs_that_some_lm_can_make_are_tabled(fake_fit):
    table = substitutions(fake_fit).table()
    pairs = set(zip(table["decision"], table["reference"], strict=True))
    assert pairs == {(a, b) for b in GIVES for a in DOMAINS if a != b}
    assert (table["level"] == "+10").all()
    for row in table.itertuples():
        assert row.n_lms == len(GIVES[row.reference])


@pytest.mark.parametrize("by, place", [("overall", {}), ("task_family", {"task_family": "logic"}),
                                       ("benchmark", {"benchmark": "reading"})])  # fmt: skip
def test_query_of_a_swap_is_its_row_of_the_table(fake_fit, by, place):
    answer = query(fake_fit, "code_share: +10 from web_share", **place)
    table = substitutions(fake_fit, "code_share", by=by).table().set_index(["reference", "target"])
    row = table.loc[("web_share", answer.target)]
    assert set(table.index.get_level_values("reference")) == set(GIVES) - {"code_share"}
    assert answer.effect["estimate"] == row["estimate"]
    assert answer.probability.estimate == row["prob_helps"]
    assert answer.evidence.verdict == row["verdict"]


def test_evidence_of_a_swap_says_over_how_many_lms_it_is_averaged(fake_fit):
    card = query(fake_fit, "web_share: +10 from code_share").evidence
    assert card.lms == {"averaged_over": 7, "too_little": 3, "undisclosed": 2}
    assert card.lm_families == {"averaged_over": 3, "too_little": 2, "undisclosed": 1}
    # `ant` and `bee` vary in both parts by five points; of `cat` and `dog` a part is undisclosed.
    assert card.families_with_both == 2
    assert card.missing_share == pytest.approx(4 / 12)


def test_family_varies_in_a_swap_only_if_both_parts_do(fake_fit):
    assert query(fake_fit, "code_share: +10 from books_share").evidence.families_with_both == 0


def test_answer_about_a_swap_says_what_moves(fake_fit):
    answer = query(fake_fit, "code_share: +10 from web_share")
    assert "LMs with 10 points more code in place of web text" in " ".join(str(answer).split())
    assert "read as     code_share: +10% from web_share" in str(answer)
    assert "averaged over: 8 LMs of 3 families; too little: 0 LMs" in " ".join(
        answer.details.split()
    )


def test_swap_beyond_what_two_families_record_is_prior_dominated(small, fake_fit, build_fake_fit):
    free = np.random.default_rng(1).normal(0, 0.01, (2, 60, fake_fit.design.loading.shape[1], 4))
    override = {"beta": fake_fit.design.loading @ free, "tau_beta": 0.2}
    fit = build_fake_fit(small, override=override)
    inside, beyond = (query(fit, f"code_share: +{k} from web_share") for k in (10, 40))
    assert inside.evidence.contraction >= defaults.CONTRACTION_LEAST
    assert inside.evidence.verdict == "association only"
    assert beyond.evidence.verdict == "prior-dominated"


@pytest.mark.parametrize(
    "statement",
    ["code_share:+10 from web_share", " code_share : + 10.0  from  web_share ",
     "code_share: 10 from web_share"],
)  # fmt: skip
def test_blanks_and_plus_do_not_matter(fake_fit, statement):
    assert query(fake_fit, statement).statement == "code_share: +10 from web_share"


@pytest.mark.parametrize(
    "statement, message",
    [
        ("code_share: +10 from wbe_share", r"'wbe_share' is not in .* Did you mean 'web_share'\?"),
        ("english_share: +10 from web_share", r"'english_share' is not in the training mix of th"),
        ("code_share: +10 from code_share", r"takes from a part what it gives .* two different"),
        ("code_share: +0 from web_share", r"points '0' .* a number above 0 and up to 100"),
        ("code_share: -10 from web_share", r"points '-10' .* a number above 0 and up to 100"),
        ("code_share: +101 from web_share", r"points '101' .* a number above 0 and up to 100"),
        ("code_share: +nan from web_share", r"points 'nan' .* a number above 0 and up to 100"),
        ("code_share: +ten from web_share", r"points 'ten' .* a number above 0 and up to 100"),
        ("code_share: +20 from books_share", r"no LM records 20 percent .* the most is 10\. Move"),
        ("code_share: +10", r"cannot be read\. .* 'swap PART -> PART by POINTS', such as"),
    ],
)
def test_swap_that_cannot_be_asked(fake_fit, statement, message):
    with pytest.raises(QueryError, match=message):
        query(fake_fit, statement)


def test_part_that_no_lm_records(small, build_fake_fit, refusal):
    from dataclasses import replace

    fit = build_fake_fit(replace(small, lms=small.lms.assign(books_share=np.nan)))
    with refusal(QueryError, "'books_share'", "No LM of this fit's data records it"):
        query(fit, "code_share: +10 from books_share")


def test_fit_without_a_mix_has_no_swaps(small, build_fake_fit, refusal):
    fit = build_fake_fit(small, spec=ModelSpec(decisions=("attention",)))
    with refusal(QueryError, "no training mix", "Fit a spec"):
        substitutions(fit)
    with refusal(QueryError, "no training mix", "Fit a spec"):
        query(fit, "code_share: +10 from web_share")


def test_swaps_that_no_lm_can_make(fake_fit, refusal):
    with refusal(QueryError, "95 percent", "fewer points"):
        substitutions(fake_fit, points=95)
    with refusal(QueryError, "'kode_share'", "'code_share'"):
        substitutions(fake_fit, "kode_share")
    with pytest.raises(QueryError, match=r"^by 'task' is not known"):
        substitutions(fake_fit, by="task")


def test_forest_of_swaps_names_both_parts(fake_fit):
    drawn = plots.forest(substitutions(fake_fit, "code_share"))
    *labels, heading = [label.get_text() for label in drawn.axes[0].get_yticklabels()]
    assert heading == "code, +10 points from"
    assert labels[0] == "web"
    assert len(labels) == len(drawn.table) == 4


GRID = np.arange(0, 100.1, STEP)
PEAKS = np.array([[0.0, 10.0, 20.0, 20.0], [30.0, 40.0, 140.0, 120.0]])
"""Where the mean of the losses peaks in each draw of two chains."""

SLOPE, BEND = 0.5, 0.01
"""Points that code gains per point of share; points that the mean of the losses bends by."""


@pytest.fixture(scope="module")
def quadratic():
    """Code on a straight line; two losses whose mean is a parabola with its peak at `PEAKS`."""
    code = np.broadcast_to(SLOPE * GRID, (2, 4, len(GRID)))
    mean = BEND * (PEAKS[..., None] ** 2 - (GRID - PEAKS[..., None]) ** 2)
    tilt = 0.3 * GRID
    draws = xr.DataArray(
        np.stack([mean + tilt, code, mean - tilt], axis=2),
        dims=("chain", "draw", "target", "grid"),
        coords={"chain": [0, 1], "draw": range(4), "target": ["nli", "code", "math"], "grid": GRID},
    )
    return Curve(draws=draws, decision="code_share", by="task_family", recorded=np.array([5.0]))


def test_loss_starts_at_the_peak_of_the_mean_of_the_losses(quadratic):
    found = quadratic.tradeoff().loss_starts
    np.testing.assert_array_equal(found, np.minimum(PEAKS, 100))


def test_weighted_sum_is_best_where_its_parabola_peaks(quadratic):
    np.testing.assert_array_equal(
        quadratic.tradeoff().best_sum, np.minimum(PEAKS + SLOPE / (2 * BEND), 100)
    )
    thrice = quadratic.tradeoff(weights=(1, 2.5)).best_sum
    np.testing.assert_array_equal(thrice, np.minimum(PEAKS + SLOPE / (5 * BEND), 100))
    np.testing.assert_array_equal(
        quadratic.tradeoff(weights=(0, 3)).best_sum, np.minimum(PEAKS, 100)
    )


def test_one_loss_is_its_own_mean(quadratic):
    found = quadratic.tradeoff(loss="nli")
    np.testing.assert_array_equal(found.loss, quadratic.draws.sel(target="nli"))
    np.testing.assert_array_equal(found.loss_starts, np.minimum(PEAKS + 0.3 / (2 * BEND), 100))


def test_table_of_a_tradeoff_summarises_places_and_edges(quadratic):
    row = quadratic.tradeoff().table(ci_prob=0.5).loc["loss_starts"]
    values = np.minimum(PEAKS, 100)
    assert row[["lower", "estimate", "upper"]].tolist() == pytest.approx(
        np.quantile(values, [0.25, 0.5, 0.75])
    )
    assert row["prob_at_lower_edge"] == 1 / 8
    assert row["prob_at_upper_edge"] == 2 / 8
    assert row["mcse"] > 0
    assert row["ci_prob"] == 0.5


def test_path_of_a_tradeoff_holds_both_sides(quadratic):
    path = quadratic.tradeoff().path(ci_prob=0.8).set_index(["side", "grid"])
    gain, loss = path.loc[("gain", 40.0)], path.loc[("loss", 40.0)]
    assert gain["lower"] == gain["estimate"] == gain["upper"] == SLOPE * 40
    values = BEND * (PEAKS**2 - (40 - PEAKS) ** 2)
    assert loss[["lower", "estimate", "upper"]].tolist() == pytest.approx(
        np.quantile(values, [0.1, 0.5, 0.9])
    )


def test_loss_that_falls_and_rises_again_starts_where_it_first_falls(quadratic):
    valley = quadratic.draws.copy(data=-quadratic.draws.values)
    turned = Curve(valley, decision="code_share", by="task_family", recorded=np.array([5.0]))
    # Minus a parabola with its peak at 0 rises from the start; all others fall at first.
    expected = np.where(PEAKS == 0, 100, 0)
    np.testing.assert_array_equal(turned.tradeoff().loss_starts, expected)


def test_loss_without_any_change_never_starts(quadratic):
    flat = quadratic.draws.copy(data=1e-12 * quadratic.draws.values)
    level = Curve(flat, decision="code_share", by="task_family", recorded=np.array([5.0]))
    assert (level.tradeoff().loss_starts == 100).all()


def test_loss_of_a_fit_starts_at_the_peak_of_its_bend(peaked_fit):
    fit, peak = peaked_fit
    both = curve(fit, by="benchmark").tradeoff(gain="recall", loss="proofs")
    found = both.table().loc["loss_starts"]
    assert 0 < peak < 100
    assert found["estimate"] == pytest.approx(peak, abs=STEP / 2 + 0.01)
    assert found["prob_at_lower_edge"] == found["prob_at_upper_edge"] == 0


def test_optimum_at_an_edge_is_flagged(quadratic):
    table = quadratic.optimum()
    assert table.loc["code", "prob_at_upper_edge"] == 1
    assert table.loc["math", "prob_at_lower_edge"] == 2 / 8  # peaks at 0 and 10, less 15 by tilt
    assert table.loc["nli", "prob_at_upper_edge"] == 2 / 8
    assert (table["mcse_edges"] > 0).all()


@pytest.mark.parametrize(
    "words, message",
    [
        (
            {"gain": "codes_x"},
            r"^target 'codes_x' is not in this curve\..* Allowed: nli, code, math",
        ),
        ({"loss": "mathss"}, r"^target 'mathss' is not in this curve\. Did you mean 'math'\?"),
        ({"loss": ["nli", "code"]}, r"needs a gain and a loss that differ, not 'code' and 'nli, "),
        ({"loss": []}, r"needs a gain and a loss that differ"),
        ({"weights": (0, 0)}, r"^weights are \(0, 0\)\. Allowed: two numbers from 0 up"),
        ({"weights": (-1, 1)}, r"^weights are \(-1, 1\)\. Allowed: two numbers from 0 up"),
        ({"weights": (1, np.nan)}, r"^weights are \(1, nan\)\. Allowed: two numbers from 0 up"),
        ({"weights": (1, 1, 1)}, r"^weights are \(1, 1, 1\)\. Allowed: two numbers from 0 up"),
    ],
)
def test_tradeoff_that_cannot_be_asked(quadratic, words, message):
    with pytest.raises(QueryError, match=message):
        quadratic.tradeoff(**words)


def test_curve_over_all_benchmarks_has_no_tradeoff(fake_fit):
    with pytest.raises(QueryError, match=r"differ, .* of a curve by task_family or benchmark"):
        curve(fake_fit, by="overall").tradeoff(gain="overall")


def test_figure_of_a_tradeoff_returns_its_numbers(quadratic):
    drawn = plots.tradeoff(quadratic)
    table = drawn.table.set_index("side")
    assert table.loc["best_sum", "probability"].sum() == pytest.approx(1)
    starts = table.loc["loss_starts"].set_index("grid")["probability"]
    assert starts[20.0] == 2 / 8
    assert table.loc["gain", "estimate"].iloc[-1] == SLOPE * 100
    titles = [axes.get_title(loc="left") for axes in drawn.figure.axes]
    assert titles[1:] == [
        "loss starts at 25 [3.5, 100]; Pr(100) = 25 %",
        "best sum (equal weights) at 50 [28.5, 100]; Pr(100) = 25 %",
    ]
