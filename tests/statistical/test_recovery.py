"""Known effects, put into simulated scores of the real lms, come back from the sampler.

Scores are drawn in numpy from chosen parameters, with the lms, the families and the missing facts
of the bundled data. `attention` varies inside families, `position_embedding` between them only.
"""

from dataclasses import replace

import numpy as np
import pytest
from scipy.special import softmax

from bayesmeta import ModelSpec
from bayesmeta.estimates.contrasts import effects
from bayesmeta.estimates.counterfactual import contrast_draws
from bayesmeta.estimates.question import Contrast
from bayesmeta.inference.diagnostics import check
from bayesmeta.inference.sample import fit
from bayesmeta.model.predictor import score_distribution
from bayesmeta.model.spec import build_design_for

DECISIONS = ("position_embedding", "attention", "code_share")
TRUTH = ModelSpec(decisions=DECISIONS, interactions="none", unknown_numbers="estimated")
"""The model that the scores are drawn from: undisclosed mixes are unlike the typical one."""

SPECS = {"the same model": TRUTH, "the default": ModelSpec(decisions=DECISIONS)}
"""The models that are fitted. The default takes undisclosed mixes for typical ones, and has to find
that nothing interacts."""

SETTINGS = {"draws": 600, "tune": 400, "chains": 2, "seed": 7, "progress": False}

CONTRASTS = (
    Contrast("attention", "gqa", "mha"),
    Contrast("position_embedding", "rotary", "learned"),
    Contrast("code_share", 40.0, 10.0),
)

INTERVAL = 0.9

COVERED = 0.75
"""Of 39 intervals of 90 %, at least this share holds its truth. They share families and hyper-
parameters, so that they fail together: 6 misses more than expected are allowed."""

CORRELATION = 0.8
"""Estimates of 39 effects follow the truths; shrinkage and noise cost the rest."""

CERTAIN = 2.0
"""Posterior standard deviations: a truth further from zero than this must have the right sign."""

RHAT_LOOSE = 1.05
"""800 draws locate intervals well enough; the strict limits are for fits that are reported."""

LATENT = {"gqa": 0.7, "rotary": 0.6}
"""Latent gain of a level over the commonest other: about ten points at mid-range."""

CODE = 1.0
"""Latent gain of one unit (25 points of the mix) of code."""


def true_parameters(dataset):
    """Choose all parameters by hand or at random, without any look at a posterior."""
    design = build_design_for(dataset, spec=TRUTH)
    rng = np.random.default_rng(11)
    n_benchmarks, n_tasks = len(design.benchmarks), len(design.task_families)
    n_mixes = len(design.mix_groups)
    by_task = rng.normal(0, 0.35, (3, n_tasks))[:, design.task_family_index]
    strength = 1 + by_task + rng.normal(0, 0.3, (3, n_benchmarks))
    gain = {"gqa": strength[0] * LATENT["gqa"], "rotary": strength[1] * LATENT["rotary"]}
    beta = np.zeros((len(design.terms), n_benchmarks))
    for k, term in enumerate(design.terms):
        if term.level in gain:
            beta[k] = gain[term.level]
        elif term.level == "code_share":
            beta[k] = strength[2] * CODE * 0.25
    for name in design.decisions:
        columns = design.columns_of(name)
        beta[columns] -= beta[columns].mean(axis=0)
    y, b = design.outcomes.y, design.outcomes.benchmark_index
    mean = np.bincount(b, weights=y) / np.bincount(b)
    p = np.clip((mean - design.outcomes.floor) / (1 - design.outcomes.floor), 0.1, 0.9)
    kappa = np.array([0.6, 0.35, 0.05, 0.1]) + rng.normal(0, 0.05, (n_benchmarks, 4))
    rng.choice([-1, 1], (2, n_tasks))  # once the signs of a curve: what follows stays as it was
    return {
        "alpha": np.where(design.outcomes.is_logistic, np.log(p / (1 - p)), 0.0),
        "kappa": kappa,
        "beta": beta,
        "x_unknown": np.zeros(len(design.missing.names)),
        "mix_unknown": softmax(design.mix.log_mean + 0.4 * rng.normal(size=(n_mixes, 6)), axis=1),
        "sigma": np.full(n_benchmarks, 0.15),
        "rho_lm": 0.5,
        "v": rng.normal(size=len(design.lms)),
        "tau_family": np.full(n_benchmarks, 0.3),
        "rho_family": 0.6,
        "u": rng.normal(size=len(design.lm_families)),
        "w": rng.normal(size=(len(design.lm_families), n_tasks)),
        "sigma_score": 0.008,
        "nu_beyond_one": 20.0,
    }


def with_scores(dataset, parameters):
    """The dataset with scores drawn from the model, within the range of their metric."""
    design = build_design_for(dataset, spec=TRUTH)
    lead = {name: np.asarray(value, float) for name, value in parameters.items()}
    drawn = score_distribution(lead, design=design, spec=TRUTH).draw(12)
    metric = dataset.benchmarks.set_index("benchmark")["metric"]
    top = np.where(dataset.scores["benchmark"].map(metric) == "accuracy", 1.0, 2.0)
    return replace(dataset, scores=dataset.scores.assign(score=np.clip(drawn, 0.0, top)))


def effect_draws(fit, *, by):
    """Draws of all effects, shape (draw, effect)."""
    parts = [contrast_draws(fit, contrast=contrast, by=by).values for contrast in CONTRASTS]
    return np.concatenate([part.reshape(-1, part.shape[-1]) for part in parts], axis=1)


def recovers(draws, truth):
    """Whether draws (draw, effect) tell the truth (effect,): intervals, order and signs."""
    lower, upper = np.quantile(draws, [(1 - INTERVAL) / 2, (1 + INTERVAL) / 2], axis=0)
    mean, sd = draws.mean(axis=0), draws.std(axis=0)
    certain = np.abs(truth) > CERTAIN * sd
    covered = np.mean((lower <= truth) & (truth <= upper)) >= COVERED
    ordered = np.corrcoef(mean, truth)[0, 1] > CORRELATION
    signed = (np.sign(mean[certain]) == np.sign(truth[certain])).all()
    return bool(covered and ordered and signed)


@pytest.fixture(scope="module")
def parameters(bundled):
    return true_parameters(bundled)


@pytest.fixture(scope="module")
def truth_fit(bundled, parameters, build_fake_fit):
    """A posterior that holds nothing but the truth."""
    return build_fake_fit(bundled, spec=TRUTH, chains=1, draws=1, override=parameters)


@pytest.fixture(scope="module")
def truth(truth_fit):
    return effect_draws(truth_fit, by="benchmark")[0]


@pytest.fixture(scope="module", params=SPECS.values(), ids=SPECS.keys())
def spec(request):
    return request.param


@pytest.fixture(scope="module")
def fitted(bundled, parameters, spec):
    return fit(with_scores(bundled, parameters), spec, **SETTINGS)


@pytest.fixture(scope="module")
def draws(fitted):
    return effect_draws(fitted, by="benchmark")


def test_truths_are_worth_recovering(truth):
    assert np.abs(truth).max() > 5
    assert np.std(truth) > 2


def test_chains_agree(fitted):
    assert fitted.shape == (SETTINGS["chains"], SETTINGS["draws"])
    table = check(fitted).table.set_index("parameter")
    assert (table.loc[["alpha", "beta", "kappa"], "rhat"] < RHAT_LOOSE).all()


def test_effects_on_benchmarks_are_recovered(draws, truth):
    assert recovers(draws, truth)


def test_flipped_effects_are_not_recovered(draws, truth):
    assert not recovers(draws, -truth)


@pytest.mark.parametrize("k", range(len(CONTRASTS)), ids=[c.label for c in CONTRASTS])
def test_flipping_one_decision_is_noticed(draws, truth, k):
    n = len(truth) // len(CONTRASTS)
    flipped = truth.copy()
    flipped[k * n : (k + 1) * n] *= -1
    assert not recovers(draws, flipped)


def test_standard_deviations_mistaken_for_variances_are_noticed(draws, truth):
    mean, sd = draws.mean(axis=0), draws.std(axis=0)
    narrow = mean + (draws - mean) * 0.01 * sd  # in fractions of a score, where sd < 1
    assert not recovers(narrow, truth)


@pytest.mark.parametrize("k", range(len(CONTRASTS)), ids=[c.label for c in CONTRASTS])
def test_overall_effect_is_recovered(fitted, truth_fit, k):
    values = effect_draws(fitted, by="overall")[:, k]
    lower, upper = np.quantile(values, [(1 - INTERVAL) / 2, (1 + INTERVAL) / 2])
    assert lower <= effect_draws(truth_fit, by="overall")[0, k] <= upper


def test_large_effects_are_told_from_zero(fitted):
    table = effects(fitted, "attention").table().set_index("level")
    assert table.loc["gqa", "prob_helps"] > 0.95


def test_same_scores_and_seed_give_a_fit_of_the_given_data(fitted, spec):
    record = fitted.provenance
    assert record["data_checksum"] == fitted.dataset.checksum
    assert record["spec_checksum"] == spec.checksum
    assert (record["draws"], record["chains"], record["seed"]) == (600, 2, 7)
    assert set(record["seconds"]) == {"compile", "sample", "total"}


def test_kept_variables_are_those_of_the_model(fitted, spec, list_dims):
    found = {name: v.dims[2:] for name, v in fitted.draws.items()}
    assert found == list_dims(fitted.design, spec)


def test_fitted_draws_survive_a_file(fitted, tmp_path):
    from bayesmeta.inference.saved_fits import load_fit

    fitted.save(tmp_path / "fit.nc")
    found = effect_draws(load_fit(tmp_path / "fit.nc"), by="overall")
    # Single precision of the draws, on effects of a few points.
    np.testing.assert_allclose(found, effect_draws(fitted, by="overall"), atol=1e-3)
