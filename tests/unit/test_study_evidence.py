"""What experiments say by themselves: closed forms, what counts as measured, verdicts, printing."""

import numpy as np
import pandas as pd
import pytest

import bayesmeta as bm
from bayesmeta import defaults
from bayesmeta.data.experiments import Experiments
from bayesmeta.data.load import load_experiments, load_run_noise
from bayesmeta.design.arm_scores import build_arm_scores
from bayesmeta.errors import QueryError
from bayesmeta.estimates.arm_comparisons import compare_runs, estimate_studies
from bayesmeta.estimates.question import Contrast, Substitution
from bayesmeta.estimates.summary import pool_studies

NOISE = load_run_noise()


def experiments(arms, scores, *, benchmark="hellaswag"):
    """Experiments with the facts of arms, and one score of each."""
    arms = pd.DataFrame(arms).assign(study="s", group="g")
    arms["arm"] = [str(k) for k in range(len(arms))]
    for name, value in {"corpus": None, "control": "clean"}.items():
        if name not in arms:
            arms[name] = value
    results = arms[["study", "group", "arm"]].assign(
        benchmark=benchmark, protocol="acc", score=scores, se=np.nan, n_seeds=1
    )
    benchmarks = pd.DataFrame(
        {"benchmark": [benchmark], "direction": ["higher"], "n_items": [164.0]}
    )
    return Experiments(studies=pd.DataFrame(), arms=arms, results=results, benchmarks=benchmarks)


def estimate(made, statement, benchmark="hellaswag"):
    """What every study says of a statement on a benchmark."""
    arms = build_arm_scores(made, benchmarks=[benchmark])
    return estimate_studies(compare_runs(arms, statement), on=np.array([True]))


def pool(estimates, se):
    return pool_studies([{"estimate": y, "se": s} for y, s in zip(estimates, se, strict=True)])


GQA = Contrast("attention", level="gqa", reference="mha")
CODE = Contrast("code_share", level=50.0, reference=0.0)


def test_two_arms_give_their_difference_and_the_noise_of_two_runs():
    made = experiments({"attention": ["gqa", "mha"]}, [0.52, 0.50])
    (row,) = estimate(made, GQA)
    assert row["estimate"] == pytest.approx(2.0)
    assert row["se"] == pytest.approx(100 * NOISE["hellaswag"] * np.sqrt(2))
    assert (row["n"], row["control"]) == (1, "clean")


def test_where_no_repeated_runs_are_recorded_the_sampling_of_items_counts():
    assert "humaneval" not in NOISE
    made = experiments({"attention": ["gqa", "mha"]}, [0.52, 0.50], benchmark="humaneval")
    (row,) = estimate(made, GQA, benchmark="humaneval")
    sampling = 0.3 * (0.52 * 0.48 + 0.5 * 0.5) / 164
    assert row["se"] == pytest.approx(100 * np.sqrt(2 * defaults.USUAL_NOISE**2 + sampling))


def test_share_is_a_slope_over_the_arms_between_the_two_values():
    made = experiments({"code_share": [0.0, 25.0, 50.0, 90.0]}, [0.50, 0.49, 0.48, 0.30])
    (row,) = estimate(made, CODE)
    assert row["estimate"] == pytest.approx(-2.0)


def test_reversed_statement_has_the_other_sign():
    made = experiments({"code_share": [0.0, 50.0]}, [0.50, 0.48])
    back = Contrast("code_share", level=0.0, reference=50.0)
    (row,) = estimate(made, back)
    assert row["estimate"] == pytest.approx(2.0)


@pytest.mark.parametrize(
    "arms",
    [
        {"attention": ["gqa", "gqa"]},
        {"attention": ["gqa", "mqa"]},
        {"attention": ["gqa", "mha"], "corpus": ["c4", "pile"]},
    ],
    ids=["one level", "another level", "another corpus"],
)
def test_group_that_does_not_vary_the_decision_alone_measures_nothing(arms):
    made = experiments(arms, [0.5, 0.4])
    assert estimate(made, GQA) == []


def test_short_span_is_not_extrapolated():
    made = experiments({"code_share": [0.0, 5.0]}, [0.5, 0.4])
    assert estimate(made, CODE) == []


def test_substitution_is_measured_where_the_other_parts_stand_still():
    mix = {"code_share": [0.0, 10.0], "web_share": [100.0, 90.0], "books_share": [0.0, 0.0],
           "reference_share": [0.0, 0.0], "academic_share": [0.0, 0.0]}  # fmt: skip
    swap = Substitution("code_share", donor="web_share", points=10)
    (measured,) = estimate(experiments(mix, [0.5, 0.49]), swap)
    assert measured["estimate"] == pytest.approx(-1.0)
    moved = {**mix, "books_share": [0.0, 5.0], "web_share": [100.0, 85.0]}
    assert estimate(experiments(moved, [0.5, 0.49]), swap) == []


def test_levels_of_a_group_do_not_matter():
    low, high = (
        estimate(experiments({"attention": ["gqa", "mha"]}, scores), GQA)[0]["estimate"]
        for scores in ([0.32, 0.30], [0.72, 0.70])
    )
    assert low == pytest.approx(high)


def test_weakest_control_of_the_arms_is_named():
    arms = {"attention": ["gqa", "mha"], "control": ["clean", "parameter-matched"]}
    (row,) = estimate(experiments(arms, [0.5, 0.4]), GQA)
    assert row["control"] == "parameter-matched"


@pytest.mark.parametrize(
    "arms, control",
    [
        ({"attention": ["gqa", "mha"]}, "clean"),
        ({"attention": ["gqa", "mha"], "mlp_ratio": [4.0, 4.5]}, "confounded"),
        ({"attention": ["gqa", "mha"], "also_changes": ["depth", None]}, "confounded"),
    ],
    ids=["one decision", "two decisions", "something else"],
)
def test_control_that_is_not_said_is_inferred(arms, control):
    made = experiments({**arms, "control": [None, None]}, [0.5, 0.4])
    assert estimate(made, GQA)[0]["control"] == control


def test_studies_that_agree_pool_to_their_precision_weighted_mean():
    estimates, se = np.array([1.0, 1.1, 0.9, 1.0]), np.array([0.5, 0.6, 0.5, 0.7])
    found = pool(estimates, se)
    weight = 1 / se**2
    assert found.estimate == pytest.approx((weight * estimates).sum() / weight.sum(), abs=0.02)
    assert weight.sum() ** -0.5 < found.sd < 1.6 * weight.sum() ** -0.5


def test_studies_that_disagree_have_heterogeneity_and_a_wide_prediction():
    found = pool(np.array([-4.0, 0.0, 0.1]), np.array([0.3, 0.3, 0.3]))
    assert found.tau > 1.5
    assert found.prediction_sd > found.sd > 0.8


def test_one_study_leans_on_the_prior_of_the_heterogeneity():
    found = pool(np.array([1.0]), np.array([0.1]))
    assert found.sd**2 == pytest.approx(0.1**2 + 1.0, abs=0.15)  # E tau^2 of a half-normal
    assert pool(np.array([]), np.array([])) is None


def test_moments_are_those_of_the_joint_posterior():
    rng = np.random.default_rng(1)
    y, se = np.array([0.5, 2.0]), np.array([0.4, 0.8])
    tau, mu = np.abs(rng.standard_normal(400_000)), rng.uniform(-12, 14, 400_000)
    variance = se**2 + tau[:, None] ** 2
    log = -0.5 * (np.log(variance) + (y - mu[:, None]) ** 2 / variance).sum(axis=1)
    weight = np.exp(log - log.max())
    weight /= weight.sum()
    found = pool(y, se)
    assert found.estimate == pytest.approx(weight @ mu, abs=0.03)
    assert found.sd == pytest.approx(np.sqrt(weight @ mu**2 - (weight @ mu) ** 2), abs=0.03)


def test_shipped_posterior_stands_beside_the_experiments():
    found = bm.evidence(bm.load_reference_fit(), "attention: gqa > mha")
    assert found.verdict == "conflicting"
    assert found.prob_conflict > 0.9
    assert set(found.studies["study"]) == {"deepseek-v2", "llama2", "smol-playbook", "tpa"}
    assert found.studies["weight"].sum() == pytest.approx(100)
    sources = found.table()["source"].tolist()
    assert sources[-4:] == ["all LMs", "association", "effect", "new setting"]
    assert "conflicting" in str(found)


def test_keys_that_others_rely_on_are_there():
    found = bm.evidence(bm.load_reference_fit(), "code_share: 50 > 0", benchmark="hellaswag")
    keys = {"statement", "target", "sources", "studies", "heterogeneity", "prob_conflict",
            "confounded_with", "verdict"}  # fmt: skip
    assert set(found.to_dict()) == keys
    assert set(found.to_dict()["studies"][0]) >= {"study", "source", "estimate", "se", "weight",
                                                  "clean"}  # fmt: skip


def test_no_experiment_is_said():
    found = bm.evidence(bm.load_reference_fit(), "norm: rmsnorm > layernorm")
    assert found.verdict == "association only"
    assert "No controlled experiment" in str(found)
    assert found.to_dict()["prob_conflict"] is None


def test_prior_dominated_stays_so_without_experiments():
    found = bm.evidence(bm.load_reference_fit(), "position_embedding: sinusoidal > rotary")
    assert found.verdict == "prior-dominated"


def test_contrast_needs_both_of_its_levels(refusal):
    with refusal(QueryError, "over", "None", "attention: gqa > mha"):
        bm.evidence(bm.load_reference_fit(), "attention", "gqa")


def test_controlled_code_on_hellaswag_is_what_the_study_prints():
    """Half code instead of web at 4.2B costs about a point, at 2.8B less than two."""
    found = {row["study"]: row["estimate"] for row in estimate(load_experiments(), CODE)}
    assert -2.5 < found["muennighoff"] < -0.5


def test_the_unrecorded_part_of_the_mix_is_what_the_others_leave():
    found = bm.evidence(bm.load_reference_fit(), "swap code_share -> other_share by 10")
    assert "other_share" in found.answer.statement
    assert found.verdict in defaults.VERDICTS


def test_evidence_takes_a_place_in_the_statement(fake_fit):
    arms = load_experiments()
    beside = bm.evidence(fake_fit, "GQA vs MHA", benchmark="reading", experiments=arms)
    inside = bm.evidence(fake_fit, "GQA vs MHA on Reading", experiments=arms)
    assert inside.answer.target == "reading"
    assert inside.to_dict() == beside.to_dict()


def test_a_statement_without_studies_has_a_table(fake_fit):
    table = bm.evidence(fake_fit, "context_length: 4096 > 2048").table()
    assert set(table["control"]) == {""}
