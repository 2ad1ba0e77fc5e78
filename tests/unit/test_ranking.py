"""Ranks of levels equal what is known of posteriors with known answers."""

import numpy as np
import pytest

import bayesmeta as bm
from bayesmeta.errors import QueryError
from bayesmeta.estimates.contrasts import effects
from bayesmeta.estimates.ranking import rank_levels
from bayesmeta.model.spec import build_design_for

DECISION = "position_embedding"


@pytest.fixture(scope="module")
def levels(bundled):
    design = build_design_for(bundled, spec=bm.ModelSpec())
    return [design.terms[k].level for k in design.columns_of(DECISION)]


def with_effects(build_fake_fit, bundled, draw, *, draws=400):
    """A fit whose effects of the levels are drawn by `draw(rng, shape)`; all others are zero."""
    spec = bm.ModelSpec()
    design = build_design_for(bundled, spec=spec)
    beta = np.zeros((2, draws, len(design.terms), len(design.benchmarks)))
    columns = design.columns_of(DECISION)
    rng = np.random.default_rng(8)
    values = draw(rng, (2, draws, len(columns), 1))
    beta[:, :, columns] = values - values.mean(axis=2, keepdims=True)
    return build_fake_fit(
        bundled, spec=spec, chains=2, draws=draws, override={"beta": beta, "surface": 0.0}
    )


def test_levels_of_certain_order_have_certain_ranks(build_fake_fit, bundled, levels):
    size = np.arange(len(levels))[None, None, :, None]
    fit = with_effects(build_fake_fit, bundled, lambda _, shape: np.broadcast_to(size, shape))
    table = rank_levels(fit, DECISION, by="benchmark").table()
    for _, part in table.groupby("target"):
        assert part["level"].tolist() == levels[::-1]
        assert part["expected_rank"].tolist() == list(range(1, len(levels) + 1))
        assert part["prob_best"].tolist() == [1.0, *[0.0] * (len(levels) - 1)]
        assert (part["mcse_rank"] == 0).all()


def test_exchangeable_levels_share_the_first_place(build_fake_fit, bundled, levels):
    fit = with_effects(build_fake_fit, bundled, lambda rng, shape: rng.normal(0, 0.3, shape))
    table = rank_levels(fit, DECISION).table()
    n = len(levels)
    assert table["prob_best"].sum() == pytest.approx(1)
    assert table["expected_rank"].sum() == pytest.approx(n * (n + 1) / 2)
    assert (np.abs(table["prob_best"] - 1 / n) < 4 * table["mcse"]).all()
    assert (np.abs(table["expected_rank"] - (n + 1) / 2) < 4 * table["mcse_rank"]).all()
    # Uniform ranks from 1 to n have a variance of (n^2 - 1) / 12.
    expected = np.sqrt((n**2 - 1) / 12 / 800)
    assert table["mcse_rank"].mean() == pytest.approx(expected, rel=0.25)


def test_the_better_of_two_levels_is_the_one_that_helps(fake_bundled_fit):
    by_rank = rank_levels(fake_bundled_fit, "block", by="benchmark").table()
    helps = effects(fake_bundled_fit, "block", by="benchmark").table()
    best = by_rank[by_rank["level"] == "parallel"].set_index("target")["prob_best"]
    expected = helps[helps["level"] == "parallel"].set_index("target")["prob_helps"]
    np.testing.assert_allclose(best.loc[expected.index], expected)


def test_undisclosed_levels_are_not_ranked(fake_fit):
    found = rank_levels(fake_fit, DECISION)
    assert sorted(found.ranks["level"].values) == ["learned", "rotary"]
    assert "2 levels of position_embedding" in repr(found)


def test_numbers_and_unknown_names_are_refused(fake_bundled_fit):
    with pytest.raises(QueryError, match=r"'code_share' is a number.*bm.curve"):
        rank_levels(fake_bundled_fit, "code_share")
    with pytest.raises(QueryError, match="'nrom' is not"):
        rank_levels(fake_bundled_fit, "nrom")
    with pytest.raises(QueryError, match="by 'lm' is not known"):
        rank_levels(fake_bundled_fit, "norm", by="lm")


def test_expected_share_of_wrong_signs(fake_bundled_fit):
    found = effects(fake_bundled_fit, by="benchmark")
    table = found.table()
    expected = np.minimum(table["prob_helps"], 1 - table["prob_helps"]).mean()
    assert found.wrong_signs() == pytest.approx(expected)
