"""Data sets whose truth is known: what they keep of the real ones, and what is asked of them."""

from types import SimpleNamespace

import numpy as np
import pytest

import bayesmeta as bm
from bayesmeta.data.arm_facts import list_facts
from bayesmeta.data.decisions import DECISIONS
from bayesmeta.data.load import load_experiments
from bayesmeta.data.vocabulary import MIX_COLUMNS
from bayesmeta.estimates.counterfactual import contrast_draws
from bayesmeta.estimates.question import build_contrast
from bayesmeta.inference.saved_fits import wrap_draws
from bayesmeta.model.predictor import contrast_distribution
from bayesmeta.model.spec import build_design_for
from bayesmeta.validation.placebo import permute_decisions, tabulate_placebo
from bayesmeta.validation.recovery import SETTINGS, Setting, build_truth, score_recovery

DECIDED = [name for name in DECISIONS if name != "disclosure"]
SEED = 5
NOISE = 0.03  # latent; of the size of what a fit of these scores is uncertain by


@pytest.fixture(scope="module")
def dealt(bundled):
    return permute_decisions(bundled, seed=SEED)


@pytest.fixture(scope="module")
def truth(bundled):
    return build_truth(bundled, setting=Setting())


def test_a_deal_moves_decisions_and_nothing_else(bundled, dealt):
    rest = [name for name in bundled.lms.columns if name not in DECIDED]
    assert dealt.lms[rest].equals(bundled.lms[rest])
    assert dealt.scores.equals(bundled.scores)
    assert (dealt.lms.dtypes == bundled.lms.dtypes).all()
    assert dealt.generations is None
    assert permute_decisions(bundled, seed=SEED).checksum == dealt.checksum
    assert permute_decisions(bundled, seed=SEED + 1).checksum != dealt.checksum


def test_siblings_take_the_decisions_of_siblings(bundled, dealt):
    recipes = bundled.lms.groupby("lm_family")[DECIDED]
    known = [{tuple(map(str, row)) for row in part.to_numpy().tolist()} for _, part in recipes]
    for _, part in dealt.lms.groupby("lm_family")[DECIDED]:
        rows = {tuple(map(str, row)) for row in part.to_numpy().tolist()}
        assert any(rows <= recipe for recipe in known)
    moved = dealt.lms["position_embedding"] != bundled.lms["position_embedding"]
    assert moved.mean() > 0.1


def test_a_deal_separates_decisions_from_scale(bundled):
    """Recorded decisions go with size and data, dealt ones only by chance."""
    size = np.log(bundled.lms["n_tokens"].to_numpy(float))

    def correlation(lms):
        return np.corrcoef(lms["norm"] == "rmsnorm", size)[0, 1]

    by_chance = [correlation(permute_decisions(bundled, seed=k).lms) for k in range(30)]
    assert correlation(bundled.lms) > np.quantile(by_chance, 0.95)
    assert abs(np.mean(by_chance)) < 0.15


def test_a_deal_moves_facts_of_arms_inside_their_groups_and_nothing_else(bundled):
    data = bundled.add(load_experiments())
    dealt = permute_decisions(data, seed=SEED).experiments
    arms, moved = data.experiments.arms, dealt.arms
    facts = [name for name in list_facts(arms) if name not in ("n_params", "n_tokens")]
    rest = [name for name in arms if name not in facts]
    assert moved[rest].equals(arms[rest])
    assert (moved.dtypes == arms.dtypes).all()
    assert dealt.results.equals(data.experiments.results)
    for name, rows in arms.groupby(["study", "group"]).indices.items():
        before, after = (
            sorted(map(str, part.iloc[rows][facts].to_numpy(object).tolist()))
            for part in (arms, moved)
        )
        assert before == after, name
    changed = (arms[facts].astype(str) != moved[facts].astype(str)).any(axis=1)
    assert changed.mean() > 0.3


def test_a_deal_of_arms_can_be_fitted(bundled):
    """Contrasts of dealt arms are formed, with other columns and the same scores."""
    data, spec = bundled.add(load_experiments()), bm.ModelSpec()
    before, after = (
        build_design_for(one, spec=spec).contrasts
        for one in (data, permute_decisions(data, seed=2))
    )
    assert np.isfinite(after.y).all()
    assert np.isfinite(after.columns["beta"]).all()
    assert before.columns["beta"].shape[1] == after.columns["beta"].shape[1]


def test_placebo_table_has_every_contrast_on_every_target(fake_bundled_fit):
    table = tabulate_placebo(fake_bundled_fit)
    n = len(bm.effects(fake_bundled_fit).contrasts)
    assert table["by"].value_counts().to_dict() == {
        "overall": n, "task_family": 8 * n, "benchmark": 13 * n,
    }  # fmt: skip


@pytest.mark.parametrize("cell", SETTINGS, ids=[cell.name for cell in SETTINGS])
def test_cells_are_what_they_are_called(bundled, cell):
    found = build_truth(bundled, setting=cell)
    shares = [*MIX_COLUMNS, "english_share"]
    assert not found.full.lms[shares].isna().any(axis=None)
    hidden = bundled.lms.set_index("lm").loc[found.full.lms["lm"], shares].isna()
    is_seen = found.seen.lms[shares].notna()
    assert is_seen.all(axis=None) == (cell.facts == "known")
    if cell.facts == "hidden":
        np.testing.assert_array_equal(~is_seen, hidden)
    known = ~hidden.to_numpy()
    recorded = bundled.lms.set_index("lm").loc[found.full.lms["lm"], shares].to_numpy()
    np.testing.assert_allclose(found.full.lms[shares].to_numpy()[known], recorded[known])
    assert (found.full.lms[list(MIX_COLUMNS)].sum(axis=1) <= 100 + 1e-6).all()
    n_families = found.seen.lms["lm_family"].nunique()
    assert n_families == (33 if cell.families == "many" else 10)
    recipes = found.seen.lms[["position_embedding", "norm", "activation", "biases"]]
    assert (len(recipes.drop_duplicates()) == 6) == (cell.decisions == "bundled")


def test_one_family_breaks_each_bundle(bundled):
    lms = build_truth(bundled, setting=Setting(decisions="bundled")).seen.lms
    families = lms.groupby("lm_family")[["position_embedding", "norm", "activation", "biases"]]
    recipes = families.first().value_counts()
    assert sorted(recipes)[:4] == [1, 1, 1, 1]
    assert len(recipes) == 6


def test_effects_stay_while_families_are_drawn_anew(truth):
    (first, nothing, one), (second, _, other) = truth.draw(1), truth.draw(2)
    assert nothing is None  # there are no experiments
    assert first.shape == second.shape == (len(truth.seen.scores),)
    assert not np.array_equal(first, second)
    np.testing.assert_array_equal(one.parameters["beta"], other.parameters["beta"])
    assert not np.array_equal(one.parameters["u"], other.parameters["u"])
    assert ((first >= 0) & (first <= 2)).all()


@pytest.mark.parametrize("large", [False, True])
def test_effects_have_the_stated_size(bundled, large):
    truth = build_truth(bundled, setting=Setting(effects="large" if large else "typical"))
    fit = truth.draw(1).truth
    contrast = build_contrast(fit.design, decision="attention", level="gqa", reference="mha")
    points = np.abs(contrast_draws(fit, contrast=contrast, by="benchmark").values).mean()
    assert (5 < points < 15) if large else (1 < points < 5)


def fake_refitter(truth, *, shift=0.0, sign=1.0, noise=NOISE):
    """A model whose posterior lies about the truth, or beside it."""

    def draw(*, seed, scores, contrasts):
        drawn, of_arms, fit = truth.draw(seed)
        np.testing.assert_array_equal(drawn, scores)
        np.testing.assert_array_equal(of_arms, contrasts)
        rng = np.random.default_rng(seed)
        values = {name: np.repeat(value, 200, axis=1) for name, value in fit.parameters.items()}
        error = shift + noise * rng.normal(size=values["beta"][:, :1].shape)
        scatter = noise * rng.normal(size=values["beta"].shape)
        values["beta"] = sign * values["beta"] + error + scatter
        return wrap_draws(values, spec=truth.spec, dataset=truth.seen, source="test")

    return SimpleNamespace(fit=draw)


def test_contrasts_are_drawn_from_effects_and_half_of_an_association_is_effect(bundled_informed):
    truth = build_truth(bundled_informed, setting=Setting())
    drawn = truth.draw(5)
    values, design = drawn.truth.parameters, drawn.truth.design
    law = contrast_distribution(values, contrasts=design.contrasts, spec=truth.spec)
    z = (drawn.contrasts - law.mu[0, 0]) / law.sd[0, 0]
    assert z.std() == pytest.approx(1, abs=0.15)
    effect, bias = (values[name][0, 0] for name in ("beta_effect", "beta"))
    bias = bias - effect
    assert np.corrcoef(effect.ravel(), bias.ravel())[0, 1] == pytest.approx(0, abs=0.35)
    assert effect.std() == pytest.approx(bias.std(), rel=0.35)


def test_effects_are_held_against_true_effects(bundled_informed):
    truth = build_truth(bundled_informed, setting=Setting())
    table = score_recovery(fake_refitter(truth, noise=0.0), truth, seed=3)
    assert set(table["kind"]) == {"association", "effect"}
    known = table.set_index(["contrast", "kind"])["tried"].to_dict()
    assert known["attention: gqa > mha", "effect"]
    assert not known["norm: rmsnorm > layernorm", "effect"]
    effects = table[table["kind"] == "effect"]  # these draws are the truth itself
    np.testing.assert_allclose(effects["estimate"], effects["truth"], atol=1e-6)


def covered(truth, **fault):
    tables = [score_recovery(fake_refitter(truth, **fault), truth, seed=k) for k in (3, 4, 5)]
    return np.mean([table["covered"].mean() for table in tables])


def test_intervals_about_the_truth_cover_it(truth):
    assert 0.8 < covered(truth) < 0.97


def test_flipped_effects_are_not_covered(truth):
    assert covered(truth, sign=-1.0) < 0.6


def test_a_variance_taken_for_a_standard_deviation_is_noticed(truth):
    table = score_recovery(fake_refitter(truth), truth, seed=3)
    table = table[table["by"] == "benchmark"]
    half = (table["upper"] - table["lower"]) / 2
    narrow = np.abs(table["estimate"] - table["truth"]) <= half * NOISE
    assert narrow.mean() < 0.2


def test_true_effects_are_those_that_the_scores_are_drawn_from(truth):
    fit = truth.draw(3).truth
    table = score_recovery(fake_refitter(truth), truth, seed=3)
    row = table[(table["contrast"] == "attention: gqa > mha") & (table["by"] == "overall")].iloc[0]
    contrast = build_contrast(fit.design, decision="attention", level="gqa", reference="mha")
    assert row["truth"] == pytest.approx(float(contrast_draws(fit, contrast=contrast).item()))


def test_draws_without_a_sampler_keep_their_values(fake_bundled_fit):
    wrapped = wrap_draws(
        fake_bundled_fit.parameters, spec=fake_bundled_fit.spec,
        dataset=fake_bundled_fit.dataset, source="test",
    )  # fmt: skip
    one, other = (bm.effects(fit, "norm").draws for fit in (wrapped, fake_bundled_fit))
    np.testing.assert_array_equal(one.values, other.values)
    assert wrapped.provenance["sampler"] == "test"
