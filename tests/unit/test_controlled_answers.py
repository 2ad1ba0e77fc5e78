"""What controlled experiments found, against the tables, and what fits say of the same arms."""

import numpy as np
import pandas as pd
import pytest

import bayesmeta as bm
from bayesmeta import defaults
from bayesmeta.data.load import bundled_folder, load_run_noise
from bayesmeta.design.arm_contrasts import noise_variance
from bayesmeta.errors import QueryError
from bayesmeta.estimates.controlled_answers import COMPARISONS
from bayesmeta.model.predictor import contrast_distribution
from bayesmeta.model.spec import ModelSpec, build_differences, build_pairs

SPEC = ModelSpec(decisions=("attention", "code_share", "web_share", "books_share"))
FOLDER = bundled_folder() / "experiments"
ARMS, RESULTS = (pd.read_csv(FOLDER / f"{name}.csv") for name in ("arms", "results"))


@pytest.fixture(scope="module")
def fake(bundled_informed, build_fake_fit):
    """Independent draws of a model with few decisions, given the bundled experiments."""
    return build_fake_fit(bundled_informed, spec=SPEC, draws=20)


@pytest.fixture(scope="module")
def found(fake):
    return bm.controlled_answers(fake).table().set_index(["question", "benchmark"])


def score(study, group, arm, benchmark):
    """The mean score of an arm on a benchmark, in points."""
    keys = {"study": study, "group": group, "arm": arm, "benchmark": benchmark}
    rows = np.logical_and.reduce([RESULTS[name] == value for name, value in keys.items()])
    return 100 * RESULTS["score"][rows].mean()


@pytest.mark.parametrize(
    "question, benchmark, study, group, level, reference",
    [
        ("corpus: pile > oscar", "lambada", "bigscience-tr3", "corpus-1.3B", "pile", "oscar"),
        ("n_epochs: 44 > 1", "hellaswag", "muennighoff", "epochs-4.2B", "epochs-44", "epochs-1"),
        ("code_share: 90 > 0", "winogrande", "muennighoff", "code-4.2B-c4", "code-90", "code-0"),
    ],
)
def test_one_pair_of_arms_gives_its_difference(
    found, question, benchmark, study, group, level, reference
):
    row = found.loc[(question, benchmark)]
    high, low = (score(study, group, arm, benchmark) for arm in (level, reference))
    assert row["controlled"] == pytest.approx(high - low)
    name, shown = row["studies"].split(" ")
    assert name == study
    assert float(shown) == pytest.approx(high - low, abs=0.0501)


def test_studies_are_averaged_by_their_noise_and_heterogeneity(found):
    """Attention on MMLU, by hand: three studies, of which one has four groups."""
    row = found.loc[("attention: gqa > mha", "mmlu_5shot")]
    own = ARMS[ARMS["attention"].isin(["gqa", "mha"])]
    own = own.merge(RESULTS[RESULTS["benchmark"] == "mmlu_5shot"], on=["study", "group", "arm"])
    mean = own.pivot_table(index=["study", "group"], columns="attention", values="score")
    gap = (100 * (mean["gqa"] - mean["mha"])).dropna()
    said = dict(part.rsplit(" ", 1) for part in row["studies"].split(", "))
    assert set(said) == set(gap.index.get_level_values("study"))
    for study in ("deepseek-v2", "llama2"):
        assert float(said[study]) == pytest.approx(gap[study].iloc[0], abs=0.051)
    assert gap.groupby("study").mean().min() < row["controlled"] < 0
    assert row["noise"] < 100 * load_run_noise()["mmlu_5shot"] * np.sqrt(2)


def test_losses_alone_leave_the_controlled_estimate_blank(bundled_informed, build_fake_fit):
    fit = build_fake_fit(bundled_informed, spec=ModelSpec(decisions=("norm",)), draws=5)
    table = bm.controlled_answers(fit).table().set_index("question")
    row = table.loc["norm: rmsnorm > layernorm"]
    assert pd.isna(row["controlled"])
    assert np.isfinite(row["effect"])


def test_differences_are_those_of_pairs_of_the_same_arms(fake):
    """A difference of two arms is their pair, and that of their pairs with a third arm."""
    arms = fake.dataset.experiments.arms.reset_index(drop=True)
    in_group = (arms["group"] == "code-4.2B-c4").to_numpy()
    names = arms["arm"].where(in_group)
    sides = np.stack([(names == "code-70").astype(int) - (names == "code-30").astype(int)])
    differences = build_differences(fake.dataset, fake.design, spec=SPEC, sides=sides)
    pairs = build_pairs(fake.dataset, fake.design, spec=SPEC)
    mu, of_pairs = (
        contrast_distribution(fake.parameters, contrasts=c, spec=SPEC).mu
        for c in (differences, pairs)
    )
    assert len(differences.y) == 3
    for k, (benchmark, protocol) in enumerate(
        zip(differences.benchmark_index, differences.labels["protocol"], strict=True)
    ):
        cell = (pairs.benchmark_index == benchmark) & (pairs.labels["protocol"] == protocol)
        cell &= pairs.labels["group"] == "code-4.2B-c4"
        n_arms = len(set(pairs.labels["arm"][cell]) | set(pairs.labels["base"][cell]))
        assert cell.sum() == n_arms * (n_arms - 1) / 2

        def find(arm, base, cell=cell):
            asked = (pairs.labels["arm"] == arm) & (pairs.labels["base"] == base)
            (row,) = np.flatnonzero(cell & asked)
            return row

        whole = find("code-70", "code-30")
        high, low = (find(arm, "code-0") for arm in ("code-70", "code-30"))
        for values, one in ((pairs.y, differences.y[k]), (of_pairs, mu[..., k])):
            np.testing.assert_allclose(values[..., whole], one, atol=1e-12)
            np.testing.assert_allclose(values[..., high] - values[..., low], one, atol=1e-12)


def test_noise_of_a_difference_of_means(fake):
    """Four arms on one side of a cell and one on the other, all of one seed."""
    arms = fake.dataset.experiments.arms.reset_index(drop=True)
    arms_of = arms["group"] == "attention"
    level = (arms_of & (arms["attention"] == "gqa")).to_numpy(int)
    reference = (arms_of & (arms["attention"] == "mha")).to_numpy(int)
    made = build_differences(
        fake.dataset, fake.design, spec=SPEC, sides=np.stack([level - reference])
    )
    four = np.flatnonzero(level).size
    np.testing.assert_allclose(made.repeats, 1 + 1 / four)
    noise = noise_variance(made, benchmarks=fake.design.benchmarks)
    assert (noise > made.repeats * 1e-6).all()


def test_effect_in_the_arms_leaves_out_what_is_special_to_a_study(bundled_informed, build_fake_fit):
    """Without effects, all that a fit says of arms is what is special to their studies."""
    none = {"beta": 0.0, "surface": 0.0, "kappa": 0.0, "arm_effect": 0.0, "beta_effect": 0.0,
            "surface_effect": 0.0}  # fmt: skip
    fit = build_fake_fit(bundled_informed, spec=SPEC, draws=10, override=none)
    table = bm.controlled_answers(fit).table().dropna(subset=["controlled"])
    np.testing.assert_allclose(table["at_arms"].astype(float), 0.0, atol=1e-9)
    assert (table["fitted"].astype(float).abs() > 1e-6).any()
    quiet = build_fake_fit(
        bundled_informed, spec=SPEC, draws=10, override={**none, "study_effect": 0.0}
    )
    table = bm.controlled_answers(quiet).table().dropna(subset=["controlled"])
    np.testing.assert_allclose(table["fitted"].astype(float), 0.0, atol=1e-9)
    gap = table["controlled"].abs().astype(float)
    assert (table["reproduced"] == (gap <= 1.64 * table["noise"].astype(float)))[gap > 3].all()


def list_faults(table):
    """Statements whose support clean or parameter-matched experiments contradict."""
    known = table[table["control"].isin(["clean", "parameter-matched"])]
    known = known[known["verdict"] == defaults.SUPPORTED]
    return known[np.sign(known["effect"]) != np.sign(known["controlled"])]


def test_no_support_that_experiments_contradict(bundled_informed, build_fake_fit):
    """Not even where a posterior is sure of the wrong direction of everything."""
    for sign in (-1, 1):
        rng = np.random.default_rng(3)
        fit = build_fake_fit(bundled_informed, spec=SPEC, draws=10)
        names = [str(name) for name in fit.posterior["posterior"]["term"].values]
        effect = np.zeros((len(names), 13))
        for k, name in enumerate(names):
            effect[k] = sign * 0.5 * ("gqa" in name or "mqa" in name) - sign * 0.5 * ("mha" in name)
        effect = effect + 0.001 * rng.standard_normal((2, 10, *effect.shape))
        made = build_fake_fit(
            bundled_informed, spec=SPEC, draws=10, override={"beta": effect, "beta_effect": effect}
        )
        table = bm.controlled_answers(made).table()
        own = table[table["question"].str.startswith("attention")]
        assert (np.sign(own["effect"].astype(float)) == sign).all()
        assert list_faults(table).empty


def test_no_support_that_experiments_contradict_in_the_shipped_posterior():
    found = bm.controlled_answers(bm.load_reference_fit())
    assert list_faults(found.table()).empty
    asked = {(one.label, name) for one in COMPARISONS for name in one.benchmarks or ("overall",)}
    assert set(zip(found.rows["question"], found.rows["benchmark"], strict=True)) == asked
    assert found.rows["reproduced"].sum() >= 36  # recorded: 36 of 42


def test_fit_without_experiments_is_refused(fake_bundled_fit):
    with pytest.raises(QueryError, match="tells associations alone"):
        bm.controlled_answers(fake_bundled_fit)
