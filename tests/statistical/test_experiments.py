"""Known effects, biased associations: experiments bring the effect back, planted faults do not.

Scores of LMs are simulated with an association that is effect and bias, scores of arms with the
effect alone, through the link itself and not through contrasts. Nothing else differs.
"""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

import bayesmeta as bm
from bayesmeta.design.facts import training_data
from bayesmeta.inference.refit import Refitter
from bayesmeta.model.spec import ModelSpec, build_design_for

EFFECT, BIAS = -0.3, 1.0
"""Latent gain of one level over the other: a few points at mid-range, and many that LMs have for
other reasons. Signs differ, so that the association says the opposite."""

RUN, NOISE = 0.04, 0.004
"""Standard deviation of what a training run adds on all benchmarks, latent, a point; and on each
alone, on the score scale."""

BENCHMARKS = [f"task_{k}" for k in range(6)]
SPEC = ModelSpec(
    decisions=("attention",), interactions="none", release_date="none", family_effects="none",
    likelihood="normal", experiments="included",
)  # fmt: skip
REPEATS = 20
"""Simulations of the arms: of intervals of 90 % two or fewer miss by chance, five in one of 40."""

SETTINGS = {"chains": 1, "tune": 400, "draws": 400}


def simulate_lms(rng):
    """Tables of 40 LMs of 20 families, half of them with the level."""
    n = 40
    lms = pd.DataFrame({
        "lm": [f"lm {k}" for k in range(n)], "lm_family": [f"family {k // 2}" for k in range(n)],
        "n_params": (1e9 * 2 ** rng.uniform(0, 5, n)).round().astype(int),
        "n_tokens": (1e11 * 2 ** rng.uniform(0, 4, n)).round().astype(int),
        "attention": np.where(np.arange(n) % 4 < 2, "mha", "gqa"),
    })  # fmt: skip
    skill = 0.5 * np.log10(lms["n_params"] / 7e9) + 0.4 * np.log10(lms["n_tokens"] / 1e12)
    gain = (EFFECT + BIAS) * (lms["attention"] == "gqa")
    latent = (skill + gain).to_numpy()[:, None] + rng.normal(0, 0.1, (n, len(BENCHMARKS)))
    p = 1 / (1 + np.exp(-latent))
    scores = pd.DataFrame({
        "lm": np.repeat(lms["lm"], len(BENCHMARKS)), "benchmark": BENCHMARKS * n,
        "score": p.ravel(), "se": 0.005,
    })  # fmt: skip
    return lms, scores


def simulate_arms(rng, *, studies=4, groups=3, run=RUN, flip=()):
    """Arms of each level in every group, and their scores on all benchmarks."""
    arms, results = [], []
    for s in range(studies):
        for g in range(groups):
            middle = rng.normal(0, 0.4, len(BENCHMARKS))
            for level in ("mha", "gqa"):
                sign = -1 if s in flip else 1
                gain = sign * EFFECT * (level == "gqa")
                latent = middle + gain + rng.normal(0, run)
                score = 1 / (1 + np.exp(-latent)) + rng.normal(0, NOISE, len(BENCHMARKS))
                key = {"study": f"study {s}", "group": f"group {g}", "arm": level}
                arms.append({**key, "n_params": 1e9, "n_tokens": 1e11, "attention": level})
                results += [{**key, "benchmark": b, "protocol": "0-shot", "score": y, "n_seeds": 1}
                            for b, y in zip(BENCHMARKS, score, strict=True)]  # fmt: skip
    return pd.DataFrame(arms), pd.DataFrame(results)


def simulate(folder, *, seed=1, **how):
    """A dataset with experiments, by way of files."""
    rng = np.random.default_rng(seed)
    lms, scores = simulate_lms(rng)
    arms, results = simulate_arms(rng, **how)
    benchmarks = pd.DataFrame({"benchmark": BENCHMARKS, "metric": "accuracy", "chance": 0.0,
                               "task_family": "one", "n_items": 20000})  # fmt: skip
    inside = folder / "experiments"
    inside.mkdir(parents=True)
    for name, table in {"lms": lms, "scores": scores, "benchmarks": benchmarks,
                        "experiments/arms": arms, "experiments/results": results,
                        "experiments/benchmarks": benchmarks}.items():  # fmt: skip
        table.to_csv(folder / f"{name}.csv", index=False)
    return bm.read_dataset(folder)


def measure_gain(tree, design, *, name):
    """Draws of the latent gain of the level, mean over benchmarks."""
    level = [term.level for term in design.terms]
    values = tree["posterior"].to_dataset().transpose("chain", "draw", ...)[name].to_numpy()[0]
    return (values[:, level.index("gqa")] - values[:, level.index("mha")]).mean(axis=-1)


@pytest.fixture(scope="module")
def simulated(tmp_path_factory):
    """Data simulated with a seed, and other arms and sizes of noise: `simulated(seed=1, ...)`."""
    return lambda **how: simulate(tmp_path_factory.mktemp("simulated") / "tables", **how)


@pytest.fixture(scope="module")
def fit_gain(simulated):
    """Draws of effect and association given experiments: `fit_gain(spec, experiments)`.

    A spec is compiled once, with the scores of the first simulation, and learns from others.
    """
    dataset, compiled = simulated(seed=1), {}

    def fit(spec, experiments=dataset.experiments):
        if spec not in compiled:
            compiled[spec] = Refitter(dataset, spec=spec, warm=False)
        design = build_design_for(replace(dataset, experiments=experiments), spec=spec)
        data = {n: v for n, v in training_data(design).items() if n.startswith("data_contrast_")}
        tree = compiled[spec].sample(data, seed=3, **SETTINGS)
        names = ["beta" if spec.bias == "none" else "beta_effect", "beta"]
        return [measure_gain(tree, design, name=name) for name in names]

    return fit


def covers(draws, truth):
    lower, upper = np.quantile(draws, [0.05, 0.95])
    return bool(lower < truth < upper)


def test_experiments_bring_back_the_effect_and_leave_the_association(fit_gain):
    effect, association = fit_gain(SPEC)
    assert covers(effect, EFFECT)
    assert np.quantile(effect, 0.95) < 0 < np.quantile(association, 0.05)
    # Tables, chance and the spread of LMs allow a tenth.
    assert association.mean() == pytest.approx(EFFECT + BIAS, abs=0.1)


def test_a_study_with_flipped_signs_makes_the_effect_miss(fit_gain, simulated):
    effect, _ = fit_gain(SPEC, simulated(seed=1, flip=(0,)).experiments)
    assert not covers(effect, EFFECT)


@pytest.mark.slow
def test_without_bias_the_effect_is_taken_for_the_association(fit_gain):
    effect, _ = fit_gain(replace(SPEC, bias="none"))
    assert not covers(effect, EFFECT)


@pytest.mark.slow
def test_without_run_effects_intervals_are_too_narrow(fit_gain, simulated):
    # Effects are alike in all studies here, so that nothing else can take what runs do.
    arms = [simulated(seed=seed).experiments for seed in range(2, 2 + REPEATS)]
    covered = {}
    for run_effects in ("random", "none"):
        spec = replace(SPEC, study_effects="none", run_effects=run_effects)
        covered[run_effects] = sum(covers(fit_gain(spec, own)[0], EFFECT) for own in arms)
    assert covered["random"] >= 0.75 * REPEATS > covered["none"]
