"""Undisclosed mixes: the record of what generations say about them, and hidden ones found again.

Generations are simulated from the model, with the lms, the mixes and the families of the bundled
data; then the mixes of as many families as really hide theirs are hidden.
"""

import importlib.util
import json
from dataclasses import replace

import numpy as np
import pytest
from scipy.special import softmax

from bayesmeta.data.load import bundled_folder
from bayesmeta.data.vocabulary import MIX_COLUMNS
from bayesmeta.model.blocks import build_fact_model
from bayesmeta.model.spec import ModelSpec, build_design_for

SPEC = ModelSpec(
    decisions=("web_share", "code_share"), unknown_numbers="estimated", generations="measured"
)
SEEDS = (1, 2, 3)
INTERVAL, COVERED = 0.9, 0.73
"""Of 180 intervals of 90 % at least 73 % hold their truth: three standard errors less. Shares of
one mix depend on each other, so that the standard error of the coverage is that of the ten families
of three data sets, 0.3 / sqrt(30). Intervals of half the width would hold 59 %."""

SMALLEST = 0.01
"""What log-ratios add to every share."""


@pytest.fixture(scope="module")
def script():
    path = bundled_folder().parent / "scripts" / "measure-missing.py"
    spec = importlib.util.spec_from_file_location("measure_missing", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def record():
    return json.loads((bundled_folder() / "missing.json").read_text(encoding="utf-8"))


def test_record_is_of_the_families_and_settings_of_the_script(record, script, bundled):
    families = script.list_families(bundled)
    keys = {(row["family"], row["share"]) for row in record["rows"]}
    assert keys == {(family, share) for family in families for share in script.SHARES}
    assert {name: record[name] for name in script.SETTINGS} == script.SETTINGS
    for share in script.SHARES:
        for name in ("measured", "ignored"):
            found = script.summarise(record["rows"], share, name)
            assert record["summary"][share][name] == found


def test_generations_narrow_hidden_shares(record):
    for share in ("code_share", "web_share"):
        measured, ignored = (record["summary"][share][name] for name in ("measured", "ignored"))
        assert measured["mean_width"] < ignored["mean_width"]
        assert measured["mean_absolute_error"] < ignored["mean_absolute_error"]


def with_generations(dataset, law, *, seed):
    """Known mixes drawn from the prior for every family, and what its lms write of them."""
    rng = np.random.default_rng(seed)
    log_mean = build_design_for(dataset, spec=SPEC).mix.log_mean
    families = dict.fromkeys(dataset.lms["lm_family"])
    mixes = {name: softmax(log_mean + rng.normal(size=len(log_mean))) for name in families}
    known = np.array([mixes[name] for name in dataset.lms["lm_family"]])
    lms = dataset.lms.assign(**dict(zip(MIX_COLUMNS, 100 * known[:, :-1].T, strict=True)))
    lms.loc[lms["lm_family"].isin(list(families)[::3]), list(MIX_COLUMNS)] = np.nan
    seen = replace(dataset, lms=lms)
    design = build_design_for(seen, spec=SPEC)
    values = {
        "generation_intercept": rng.normal(0, 0.5, 5), "generation_slope": np.full(5, 0.6),
        "tau_generation": np.full(5, 0.4), "sigma_generation": np.full(5, 0.3),
        "mix_unknown": np.array([mixes[name] for name in design.mix_groups]),
    }  # fmt: skip
    mu, sd = law(values, design=design)
    noisy = mu + sd * rng.standard_t(SPEC.priors.generation_nu, mu.shape)
    logs = design.generations.rotation.T @ noisy
    parts = softmax(np.column_stack([logs, -logs.sum(axis=1)]), axis=1)
    shares = np.clip(parts * (1 + 6 * SMALLEST) - SMALLEST, 0, None)
    shares = 100 * shares / shares.sum(axis=1, keepdims=True)
    names = [f"generated_{name}" for name in MIX_COLUMNS]
    table = dataset.generations.set_index("lm")
    rows = [dataset.lms["lm"][row] for row in design.generations.rows]
    table.loc[rows, names] = shares[:, :-1]
    return replace(seen, generations=table.reset_index()), mixes


def test_hidden_mixes_of_simulated_generations_are_covered(bundled, generation_distribution):
    found = [recover_mixes(bundled, generation_distribution, seed=seed) for seed in SEEDS]
    covered, error, swapped = np.mean(found, axis=0)
    assert covered >= COVERED
    # The probe works: another family's mix is not what these intervals are about.
    assert error < 0.8 * swapped


def recover_mixes(bundled, law, *, seed):
    """Share of intervals that hold hidden mixes; mean error of these, and of other families'."""
    import nutpie

    data, mixes = with_generations(bundled, law, seed=seed)
    design = build_design_for(data, spec=SPEC)
    measured = {design.lm_families[g] for g in design.lm_family_index[design.generations.rows]}
    compiled = nutpie.compile_pymc_model(
        build_fact_model(design, spec=SPEC), var_names=["mix_unknown", "generation_slope"]
    )
    tree = nutpie.sample(compiled, chains=2, tune=300, draws=400, seed=1, cores=1,
                         progress_bar=False, save_warmup=False)  # fmt: skip
    draws = tree["posterior"]["mix_unknown"].transpose("chain", "draw", ...).values
    draws = draws.reshape(-1, *draws.shape[2:])
    truth = np.array([mixes[name] for name in design.mix_groups])
    lower, upper = np.quantile(draws, [(1 - INTERVAL) / 2, (1 + INTERVAL) / 2], axis=0)
    asked = [g for g, name in enumerate(design.mix_groups) if name in measured]
    assert len(asked) >= 8
    covered = (lower <= truth) & (truth <= upper)
    swapped = np.roll(truth, 1, axis=0)
    errors = [np.abs(draws.mean(axis=0) - mix)[asked].mean() for mix in (truth, swapped)]
    return covered[asked].mean(), *errors


@pytest.fixture(scope="module")
def sizes():
    return json.loads((bundled_folder() / "sizes.json").read_text(encoding="utf-8"))


def test_record_of_hidden_tokens_is_of_the_script(sizes, bundled):
    path = bundled_folder().parent / "scripts" / "measure-sizes.py"
    spec = importlib.util.spec_from_file_location("measure_sizes", path)
    script = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(script)
    assert {name: sizes[name] for name in script.SETTINGS} == script.SETTINGS
    assert [(fit["unknown_numbers"], fit["hidden_by_seed"]) for fit in sizes["fits"]] == list(
        script.FITS
    )
    again = [script.cover_by_facts(bundled, seed=seed) for seed in (1, 2)]
    assert sizes["covered_by_facts"][:2] == again
    for fit in sizes["fits"]:
        for kind, rows in fit["shifts"].items():
            assert fit[f"largest_{kind}_shift"] == script.find_largest(rows)


def test_hidden_tokens_are_covered_and_move_no_effect(sizes):
    """Of 30 intervals of 90 % 27 hold their truth on average; half a standard deviation."""
    assert 25.5 <= np.mean(sizes["covered_by_facts"]) <= 28.5
    for fit in sizes["fits"]:
        assert fit["largest_effect_shift"] < 0.5
        assert 24 <= fit["covered"] <= 30


def test_the_documented_figures_of_hidden_tokens_are_recorded(sizes):
    text = (bundled_folder().parent / "MODEL.md").read_text(encoding="utf-8")
    for fit in sizes["fits"]:
        shifts = [f"{fit[f'largest_{kind}_shift']:.2f}" for kind in ("effect", "association")]
        row = [f"`{fit['unknown_numbers']}`", fit["hidden_by_seed"], fit["covered"], *shifts]
        assert f"| {' | '.join(map(str, row))} |" in text
    mean, low, high = (f(sizes["covered_by_facts"]) for f in (np.mean, min, max))
    assert f"{mean:.1f} of 30 on average ({low} to {high})" in " ".join(text.split())
