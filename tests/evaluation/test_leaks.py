"""Nothing that a model learns from depends on a held-out score."""

from collections.abc import Mapping
from dataclasses import fields, is_dataclass, replace

import numpy as np
import pytest

from bayesmeta.crossvalidation.schemes import SCHEMES, build_folds
from bayesmeta.design.facts import training_data
from bayesmeta.model.predictor import family_effects
from bayesmeta.model.spec import ModelSpec, build_design_for

EXACT = 1e-10
"""Rounding error of sums over some ninety lms."""

OWN = ("outcomes.y", "outcomes.se")
"""What a design holds of each score alone: there, held-out entries may and must differ."""

OPTIONS = pytest.mark.specs(
    "default", "normal", "random families", "additive", "estimated", "within-between",
    "no decisions", "no scaling", "law",
)  # fmt: skip
ANY_SCHEME = pytest.mark.parametrize("scheme", SCHEMES)


def change_held_out(dataset, test, *, seed):
    """The dataset with other held-out scores, all of them possible, some at the very ends."""
    rng = np.random.default_rng(seed)
    new = rng.uniform(0, 1, len(dataset.scores))
    new[rng.random(len(new)) < 0.2] = 0.0
    new[rng.random(len(new)) < 0.2] = 1.0
    scores = dataset.scores.copy()
    for column, values in (("score", new), ("se", new / 9)):
        scores[column] = np.where(test, values, scores[column])
    return replace(dataset, scores=scores)


def arrays_of(thing, prefix=""):
    """Every array and every other value of nested dataclasses, by its path."""
    for field in fields(thing):
        value, name = getattr(thing, field.name), prefix + field.name
        if is_dataclass(value):
            yield from arrays_of(value, f"{name}.")
        elif isinstance(value, Mapping):
            yield from ((f"{name}[{key}]", part) for key, part in value.items())
        else:
            yield name, value


def first_folds(dataset, scheme, n=3):
    return build_folds(dataset, scheme=scheme, seeds=[0])[:n]


def families_on_one_side(dataset, *, spec):
    """A design with the family `bee` held out, and which lms these are."""
    test = dataset.scores["lm"].str.startswith("bee").to_numpy()
    design = build_design_for(dataset, spec=spec, train=~test)
    return design, np.array([name.startswith("bee") for name in design.lms])


@ANY_SCHEME
@OPTIONS
def test_training_data_know_no_held_out_score(bundled, scheme, spec):
    for fold in first_folds(bundled, scheme):
        changed = change_held_out(bundled, fold.test, seed=fold.index)
        one, other = (
            training_data(build_design_for(data, spec=spec, train=fold.train))
            for data in (bundled, changed)
        )
        assert one.keys() == other.keys()
        assert len(one["data_y"]) == fold.train.sum()
        for name, values in one.items():
            np.testing.assert_array_equal(values, other[name], err_msg=name)


@ANY_SCHEME
@pytest.mark.parametrize("options", [{}, {"unknown_numbers": "estimated"}], ids=str)
@pytest.mark.parametrize("name", ["bundled", "small"])
def test_design_knows_no_held_out_score(request, name, scheme, options):
    spec = ModelSpec(**options)
    dataset = request.getfixturevalue(name)
    for fold in first_folds(dataset, scheme):
        changed = change_held_out(dataset, fold.test, seed=fold.index)
        one, other = (
            dict(arrays_of(build_design_for(data, spec=spec, train=fold.train)))
            for data in (dataset, changed)
        )
        for path in OWN:
            assert (one[path][fold.test] != other[path][fold.test]).any()
            np.testing.assert_array_equal(one[path][fold.train], other[path][fold.train])
        for path in one.keys() - set(OWN):
            np.testing.assert_array_equal(one[path], other[path], err_msg=path)


def test_without_a_fold_the_same_change_is_seen(bundled):
    # The probe works: learned from, the same scores move floors, centres and training data.
    (fold,) = first_folds(bundled, "largest")
    changed = change_held_out(bundled, fold.test, seed=0)
    spec = ModelSpec()
    one, other = (training_data(build_design_for(data, spec=spec)) for data in (bundled, changed))
    moved = {name for name, values in one.items() if (values != other[name]).any()}
    assert moved >= {
        "data_y", "data_floor", "data_location", "data_spread", "data_column_center",
    }  # fmt: skip


def test_rest_of_a_design_does_not_depend_on_the_split(bundled):
    # A compiled graph serves every split: what is no training data is a constant in it.
    (fold,) = first_folds(bundled, "largest")
    whole, part = (
        build_design_for(bundled, spec=ModelSpec(), train=train) for train in (None, fold.train)
    )
    by_split = {name.removeprefix("data_") for name in training_data(whole)} | {"train"}
    by_split |= {"scale_center", "X_center", "surface_center"}  # parts of `column_center`
    one, other = dict(arrays_of(whole)), dict(arrays_of(part))
    for path in one:
        if path.rpartition(".")[2] not in by_split:
            np.testing.assert_array_equal(one[path], other[path], err_msg=path)


@pytest.mark.parametrize("scheme", ["random", "leave-family-out", "largest"])
def test_scale_basis_is_orthonormal_over_the_lms_learned_from(bundled, scheme):
    for fold in first_folds(bundled, scheme):
        design = build_design_for(bundled, spec=ModelSpec(), train=fold.train)
        known = np.isin(design.lms, bundled.scores.loc[fold.train, "lm"])
        assert 0 < known.sum() < len(known)
        assert not design.scale_basis[~known].any()
        gram = design.scale_basis.T @ design.scale_basis
        np.testing.assert_allclose(gram, np.eye(10), atol=EXACT)
        n, d, _, t = design.scale[known].T
        columns = np.column_stack(
            [np.ones(known.sum()), design.scale[known], n**2, d**2, t**2, n * t, d * t]
        )
        basis = design.scale_basis[known]
        np.testing.assert_allclose(basis @ (basis.T @ columns), columns, atol=EXACT)


def test_scale_basis_of_two_lms_has_two_columns(small):
    train = small.scores["lm"].isin(["ant-1", "bee-1"]).to_numpy()
    basis = build_design_for(small, spec=ModelSpec(), train=train).scale_basis
    assert basis.shape == (12, 10)
    np.testing.assert_allclose(basis.T @ basis, np.diag([1, 1, *[0] * 8]), atol=EXACT)


def test_benchmark_without_a_score_to_learn_from_makes_no_gaps(small):
    train = (small.scores["benchmark"] != "puzzles").to_numpy()
    for name, values in training_data(
        build_design_for(small, spec=ModelSpec(), train=train)
    ).items():
        assert np.isfinite(values).all(), name


@pytest.mark.parametrize("kind", ["orthogonal", "random"])
def test_family_effects_of_held_out_lms_are_the_free_draw(small, build_fake_fit, kind):
    spec = ModelSpec(family_effects=kind)
    draws = build_fake_fit(small, spec=spec, chains=1, draws=5).parameters
    design, held_out = families_on_one_side(small, spec=spec)
    found = family_effects(draws, design=design, spec=spec)[0]
    bee, task = design.lm_families.index("bee"), design.task_family_index
    for k in range(5):
        one = {name: values[0, k] for name, values in draws.items()}
        family = np.sqrt(one["rho_family"]) * one["u"][bee]
        family = family + np.sqrt(1 - one["rho_family"]) * one["w"][bee][task]
        own = np.sqrt(one["rho_lm"]) * one["v"][held_out]
        expected = one["tau_family"] * family + one["sigma"] * own[:, None]
        np.testing.assert_allclose(found[k][held_out], expected, atol=EXACT)


def test_family_effects_of_the_others_are_orthogonal_to_their_scale(small, build_fake_fit):
    draws = build_fake_fit(small, chains=1, draws=5).parameters
    design, held_out = families_on_one_side(small, spec=ModelSpec())
    found = family_effects(draws, design=design, spec=ModelSpec())[0][:, ~held_out]
    columns = np.column_stack([np.ones((~held_out).sum()), design.scale[~held_out]])
    np.testing.assert_allclose(columns.T @ found, 0, atol=EXACT)


def test_held_out_family_leaves_the_others_alone(small, build_fake_fit):
    # The effects of lms learned from do not change with the draw of the family held out.
    draws = build_fake_fit(small, chains=1, draws=5).parameters
    design, held_out = families_on_one_side(small, spec=ModelSpec())
    bee = design.lm_families.index("bee")
    moved = {name: values.copy() for name, values in draws.items()}
    moved["u"][..., bee] += 1
    moved["v"][..., held_out] -= 1
    one, other = (family_effects(d, design=design, spec=ModelSpec())[0] for d in (draws, moved))
    np.testing.assert_array_equal(one[:, ~held_out], other[:, ~held_out])
    assert (one[:, held_out] != other[:, held_out]).all()
