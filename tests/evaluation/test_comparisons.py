"""Tables, comparisons and intervals of a scoreboard small enough to be worked out by hand."""

import numpy as np
import pandas as pd
import pandas.testing as pdt
import pytest

from bayesmeta import defaults
from bayesmeta.crossvalidation.scoreboard import (
    Scoreboard,
    build_cells,
    interval,
    load_scoreboard,
    resample_families,
)
from bayesmeta.errors import EvaluationError

EXACT = 1e-9
"""Rounding error of a few sums of doubles near one hundred."""

SAVED = 1e-4
"""A saved table keeps five digits."""

# Errors of one lm on one benchmark, seed by seed. `ant-2` has no score on `proofs`, so that the
# two families do not count the same there.
RANDOM = {
    "good": {
        ("reading", "ant-1"): (0.01, 0.03),
        ("reading", "ant-2"): (0.02, 0.02),
        ("reading", "bee-1"): (0.04, 0.06),
        ("proofs", "ant-1"): (0.10, 0.10),
        ("proofs", "bee-1"): (0.20, 0.40),
    },
    "poor": {
        ("reading", "ant-1"): (0.02, 0.06),
        ("reading", "ant-2"): (0.04, 0.04),
        ("reading", "bee-1"): (0.08, 0.12),
        ("proofs", "ant-1"): (0.10, 0.10),
        ("proofs", "bee-1"): (0.30, 0.30),
    },
}
UNSEEN = {
    "good": {
        ("reading", "ant-1"): (0.05,),
        ("reading", "ant-2"): (0.05,),
        ("reading", "bee-1"): (0.08,),
        ("proofs", "ant-1"): (0.20,),
        ("proofs", "bee-1"): (0.40,),
    },
    "poor": {
        ("reading", "ant-1"): (0.10,),
        ("reading", "ant-2"): (0.10,),
        ("reading", "bee-1"): (0.10,),
        ("proofs", "ant-1"): (0.30,),
        ("proofs", "bee-1"): (0.30,),
    },
}
# Where the outcome lies in the predictive of `good`: within the central half up to 0.25 from the
# middle, within nine tenths up to 0.45. `poor` forecasts points.
PITS = {
    ("reading", "ant-1"): (0.50, 0.76),
    ("reading", "ant-2"): (0.26, 0.04),
    ("reading", "bee-1"): (0.74, 0.96),
    ("proofs", "ant-1"): (0.10, 0.40),
    ("proofs", "bee-1"): (0.60, 0.70),
}
HALF_READING, HALF_PROOFS = 100 * 3 / 6, 100 * 3 / 4
MOST_READING, MOST_PROOFS = 100 * 4 / 6, 100.0


def make_rows(scheme, errors):
    """Rows as `run_fold` returns them."""
    rows = []
    for model, cells in errors.items():
        for (benchmark, lm), values in cells.items():
            for seed, error in enumerate(values):
                point = model == "poor"
                rows.append(
                    {
                        "scheme": scheme, "seed": seed, "fold": 0, "model": model, "lm": lm,
                        "lm_family": lm[:3], "benchmark": benchmark, "estimate": 0.5,
                        "abs_error": error, "crps": error if point else error / 2,
                        "log_density": np.nan if point else 1 - 10 * error,
                        "pit": np.nan if point else PITS[benchmark, lm][seed], "seconds": 0.1,
                    }
                )  # fmt: skip
    return pd.DataFrame(rows)


@pytest.fixture(scope="module")
def rows():
    return pd.concat([make_rows("random", RANDOM), make_rows("leave-family-out", UNSEEN)])


@pytest.fixture(scope="module")
def board(rows):
    return Scoreboard(build_cells(rows))


def random_cells(seed=1, *, n_families=12, models=("one", "two")):
    """Cells of twelve families on three benchmarks; a third of them is missing."""
    rng = np.random.default_rng(seed)
    rows = []
    for scheme in ("random", "leave-family-out"):
        for model in models:
            for f in range(n_families):
                for b in range(3):
                    if b != f % 3 and rng.random() < 0.5:
                        continue  # a family has a score on one benchmark at least
                    rows.append(
                        {
                            "scheme": scheme, "model": model, "benchmark": f"b{b}",
                            "lm_family": f"f{f}", "abs_error": rng.gamma(2, 0.03), "crps": 0.1,
                            "log_density": 0.0, "inside_50": 0.5, "inside_90": 0.9,
                            "n": int(rng.integers(1, 9)), "n_scores": 1,
                        }
                    )  # fmt: skip
    return pd.DataFrame(rows)


def mean_error_by_loop(cells, weight, *, average):
    """Mean over benchmarks, score by score, each family as often as it was drawn."""
    by_benchmark = {}
    for row in cells:
        copies = int(weight[row.lm_family]) * (row.n if average == "benchmarks" else 1)
        by_benchmark.setdefault(row.benchmark, []).extend([100 * row.abs_error] * copies)
    return np.mean([np.mean(values) for values in by_benchmark.values() if values])


def bootstrap_by_loop(board, statistic):
    """Ends of the interval of a function of family weights."""
    families = list(dict.fromkeys(board.cells["lm_family"]))
    draws = [
        statistic(dict(zip(families, weight, strict=True)))
        for weight in resample_families(len(families))
    ]
    return np.quantile(draws, [0.05, 0.95])


def cells_of(board, scheme, model):
    cells = board.cells.query("scheme == @scheme and model == @model")
    return list(cells.itertuples())


def line(table, **labels):
    """The one row of a table with these labels."""
    for column, value in labels.items():
        table = table[table[column] == value]
    (row,) = table.to_dict(orient="records")
    return row


def close(value):
    return pytest.approx(value, abs=EXACT)


def test_table_averages_scores(board):
    found = line(board.table(), scheme="random", model="good", benchmark="reading")
    assert found["mae"] == close(3.0)
    assert found["crps"] == close(1.5)
    assert found["coverage50"] == close(HALF_READING)
    assert found["coverage90"] == close(MOST_READING)
    assert found["log_density"] == close(1 - 10 * 0.03)
    poor = line(board.table(), scheme="random", model="poor", benchmark="reading")
    assert poor["mae"] == close(6)
    unseen = board.table().query("scheme == 'leave-family-out'").set_index(["model", "benchmark"])
    assert unseen["mae"].to_dict() == {
        ("good", "reading"): close(6),
        ("good", "proofs"): close(30),
        ("poor", "reading"): close(10),
        ("poor", "proofs"): close(30),
    }


def test_table_counts_scores_and_not_seeds(board):
    n = board.table().set_index(["scheme", "model", "benchmark"])["n"]
    assert n.xs("reading", level="benchmark").eq(3).all()
    assert n.xs("proofs", level="benchmark").eq(2).all()


def test_table_has_the_agreed_columns_in_the_order_of_the_run(board):
    table = board.table()
    assert list(table) == [
        "scheme", "model", "benchmark", "mae", "coverage50", "coverage90", "crps", "log_density",
        "n",
    ]  # fmt: skip
    order = [("random", "good"), ("random", "poor")]
    order += [("leave-family-out", "good"), ("leave-family-out", "poor")]
    assert list(dict.fromkeys(zip(table["scheme"], table["model"], strict=True))) == order


def test_point_forecasts_have_no_intervals(board):
    poor = board.table().query("model == 'poor'")
    assert poor[["coverage50", "coverage90", "log_density"]].isna().all(axis=None)
    np.testing.assert_allclose(poor["crps"], poor["mae"], atol=EXACT)
    means = board.means().query("model == 'poor'")
    assert means[["coverage50", "coverage90", "log_density"]].isna().all(axis=None)


def test_means_weigh_benchmarks_alike(board):
    found = line(board.means(), scheme="random", model="good")
    assert found["mae"] == close((3 + 20) / 2)
    assert found["crps"] == close((1.5 + 10) / 2)
    assert found["coverage50"] == close((HALF_READING + HALF_PROOFS) / 2)
    assert found["coverage90"] == close((MOST_READING + MOST_PROOFS) / 2)
    assert found["log_density"] == close(1 - 10 * (0.03 + 0.2) / 2)


def test_means_over_families_weigh_families_alike(board):
    # On reading, the three scores of `good` average 3; its families average 2 and 5.
    assert line(board.means(), scheme="random", model="good")["mae_families"] == close(
        ((2 + 5) / 2 + (10 + 30) / 2) / 2
    )
    assert line(board.means(), scheme="random", model="poor")["mae_families"] == close(
        ((4 + 10) / 2 + (10 + 30) / 2) / 2
    )


def test_differences(board):
    table = board.differences("good")
    assert set(table["model"]) == {"poor"}
    assert set(table["reference"]) == {"good"}
    expected = {
        ("random", "benchmarks"): 13 - 11.5,
        ("random", "families"): 13.5 - 11.75,
        ("leave-family-out", "benchmarks"): 20 - 18,
        ("leave-family-out", "families"): 20 - (6.5 + 30) / 2,
    }
    found = table.set_index(["scheme", "average"])["difference"].to_dict()
    assert found == {key: close(value) for key, value in expected.items()}


def test_differences_change_sign_with_the_reference():
    board = Scoreboard(random_cells())
    one, other = board.differences("one"), board.differences("two")
    np.testing.assert_allclose(one["difference"], -other["difference"], atol=EXACT)
    np.testing.assert_allclose(one["lower"], -other["upper"], atol=EXACT)


def test_gains_are_in_percent_of_the_other_models_error(board):
    table = board.gains("good", over="poor")
    found = table.set_index(["scheme", "benchmark"])["gain"].to_dict()
    expected = {
        ("random", "reading"): 50,
        ("random", "proofs"): 0,
        ("random", "mean"): 100 * (1 - 11.5 / 13),
        ("leave-family-out", "reading"): 40,
        ("leave-family-out", "proofs"): 0,
        ("leave-family-out", "mean"): 10,
    }
    assert found == {key: close(value) for key, value in expected.items()}


def test_leakage(board):
    table = board.leakage().set_index("model")
    assert table.loc["good", ["random", "leave_family_out", "leakage"]].tolist() == [
        close(11.5), close(18), close(6.5)
    ]  # fmt: skip
    assert table.loc["poor", "leakage"] == close(20 - 13)


def test_every_estimate_lies_in_its_interval():
    board = Scoreboard(random_cells())
    for estimate, table in tables_with_intervals(board, "one", "two").items():
        assert (table["lower"] < table[estimate]).all()
        assert (table[estimate] < table["upper"]).all()


@pytest.mark.parametrize("average", ["benchmarks", "families"])
def test_interval_of_a_difference_is_that_of_a_loop(average):
    board = Scoreboard(random_cells())
    one, two = (cells_of(board, "random", model) for model in ("one", "two"))
    expected = bootstrap_by_loop(
        board,
        lambda weight: (
            mean_error_by_loop(two, weight, average=average)
            - mean_error_by_loop(one, weight, average=average)
        ),
    )
    found = line(board.differences("one"), scheme="random", average=average)
    np.testing.assert_allclose([found["lower"], found["upper"]], expected, rtol=EXACT)


def test_intervals_of_means_and_gains_are_those_of_a_loop():
    board = Scoreboard(random_cells(seed=2))
    one, two = (cells_of(board, "leave-family-out", model) for model in ("one", "two"))
    mean = bootstrap_by_loop(board, lambda w: mean_error_by_loop(one, w, average="benchmarks"))
    gain = bootstrap_by_loop(
        board,
        lambda w: (
            100
            - 100
            * mean_error_by_loop(one, w, average="benchmarks")
            / mean_error_by_loop(two, w, average="benchmarks")
        ),
    )
    found = line(board.means(), scheme="leave-family-out", model="one")
    np.testing.assert_allclose([found["lower"], found["upper"]], mean, rtol=EXACT)
    table = board.gains("one", over="two")
    found = line(table, scheme="leave-family-out", benchmark="mean")
    np.testing.assert_allclose([found["lower"], found["upper"]], gain, rtol=EXACT)


def test_interval_of_leakage_draws_the_same_families_for_both_schemes():
    board = Scoreboard(random_cells(seed=3))
    free, leaky = (cells_of(board, scheme, "one") for scheme in ("leave-family-out", "random"))
    expected = bootstrap_by_loop(
        board,
        lambda w: (
            mean_error_by_loop(free, w, average="benchmarks")
            - mean_error_by_loop(leaky, w, average="benchmarks")
        ),
    )
    found = line(board.leakage(), model="one")
    np.testing.assert_allclose([found["lower"], found["upper"]], expected, rtol=EXACT)


def test_interval_of_a_constant_difference_is_that_constant():
    cells = random_cells(models=("one",))
    worse = cells.assign(model="two", abs_error=cells["abs_error"] + 0.01)
    table = Scoreboard(pd.concat([cells, worse])).differences("one")
    np.testing.assert_allclose(table[["difference", "lower", "upper"]], 1, atol=EXACT)


def test_gain_over_a_multiple_of_the_error_is_certain():
    cells = random_cells(models=("one",))
    worse = cells.assign(model="two", abs_error=4 * cells["abs_error"])
    table = Scoreboard(pd.concat([cells, worse])).gains("one", over="two")
    np.testing.assert_allclose(table[["gain", "lower", "upper"]], 75, atol=EXACT)


def tables_with_intervals(board, one, other):
    """Every summary that has intervals, each with its rows of estimates."""
    return {
        "mae": board.means(),
        "difference": board.differences(one),
        "gain": board.gains(one, over=other),
        "leakage": board.leakage(),
    }


def test_few_families_give_no_interval(board):
    for estimate, table in tables_with_intervals(board, "good", "poor").items():
        assert table[estimate].notna().all()
        assert table[["lower", "upper"]].isna().all(axis=None)


def test_ten_families_are_the_fewest_that_are_resampled():
    for n_families, known in ((9, False), (10, True)):
        board = Scoreboard(random_cells(n_families=n_families))
        for table in tables_with_intervals(board, "one", "two").values():
            assert table[["lower", "upper"]].notna().to_numpy().tolist() == [[known] * 2] * len(
                table
            )


def test_few_families_on_one_side_are_enough_to_have_no_interval():
    cells = random_cells()
    few = cells["lm_family"].isin(["f10", "f11", "f12"]) | (cells["scheme"] == "random")
    table = Scoreboard(cells[few]).leakage()
    assert len(table) == 2
    assert table["leakage"].notna().all()
    assert table[["lower", "upper"]].isna().all(axis=None)


def test_scheme_with_few_families_does_not_take_the_others_intervals():
    cells = random_cells()
    few = cells.query("scheme == 'random' and lm_family in ['f1', 'f2']").assign(scheme="largest")
    both = Scoreboard(pd.concat([cells, few]))
    for estimate, table in tables_with_intervals(both, "one", "two").items():
        if "scheme" not in table:
            continue
        largest = table["scheme"] == "largest"
        assert largest.any()
        assert table.loc[largest, estimate].notna().all()
        assert table.loc[largest, ["lower", "upper"]].isna().all(axis=None)
        assert table.loc[~largest, ["lower", "upper"]].notna().all(axis=None)


def test_interval_is_equal_tailed():
    values = np.linspace(0, 100, 1001)
    np.testing.assert_allclose(interval(values[:, None]), [[5], [95]], atol=EXACT)


def test_resampled_families_are_as_many_as_there_are():
    weight = resample_families(7)
    assert weight.shape == (defaults.BOOTSTRAP_DRAWS, 7)
    np.testing.assert_array_equal(weight.sum(axis=1), 7)
    np.testing.assert_array_equal(weight, resample_families(7))
    # Of 2000 resamples: four Monte Carlo errors of a count with mean and variance near one.
    np.testing.assert_allclose(weight.mean(axis=0), 1, atol=4 / np.sqrt(2000))


def test_model_of_one_scheme_is_compared_there_only(rows):
    both = Scoreboard(build_cells(rows))
    part = Scoreboard(build_cells(rows.query("scheme == 'random' or model == 'good'")))
    assert part.leakage()["model"].tolist() == ["good"]
    assert set(part.differences("good")["scheme"]) == {"random"}
    assert set(part.differences("poor")["scheme"]) == {"random"}
    assert set(part.gains("good", over="poor")["scheme"]) == {"random"}
    pdt.assert_frame_equal(
        part.differences("good"), both.differences("good").query("scheme == 'random'")
    )


def test_one_scheme_alone_has_no_leakage(rows):
    table = Scoreboard(build_cells(rows.query("scheme == 'random'"))).leakage()
    assert len(table) == 0
    assert list(table) == ["model", "random", "leave_family_out", "leakage", "lower", "upper"]


def test_saved_scoreboard_reads_back(tmp_path):
    path, board = tmp_path / "board.csv", Scoreboard(random_cells())
    board.save(path)
    again = Scoreboard(pd.read_csv(path))
    pdt.assert_frame_equal(again.table(), board.table(), rtol=SAVED)
    pdt.assert_frame_equal(again.means(), board.means(), rtol=SAVED)
    assert [file.name for file in tmp_path.iterdir()] == ["board.csv"]
    again.save(path.with_name("again.csv"))
    assert path.read_bytes() == path.with_name("again.csv").read_bytes()


def test_saved_point_forecasts_still_have_no_intervals(board, tmp_path):
    board.save(tmp_path / "board.csv")
    again = Scoreboard(pd.read_csv(tmp_path / "board.csv"))
    pdt.assert_frame_equal(again.table(), board.table(), rtol=SAVED)


def test_scoreboard_says_how_much_it_holds(board):
    assert repr(board) == "Scoreboard(2 schemes, 2 models, 2 benchmarks)"


@pytest.mark.parametrize(
    "ask",
    [
        lambda board: board.differences("fair"),
        lambda board: board.gains("fair", over="good"),
        lambda board: board.gains("good", over="fair"),
    ],
)
def test_unknown_model(board, ask):
    with pytest.raises(
        EvaluationError, match=r"^model 'fair' was not scored\. Allowed: good, poor\. "
    ):
        ask(board)


def test_unknown_version_of_the_record():
    with pytest.raises(EvaluationError, match=r"version 'raw' .*Allowed: as-published, corrected"):
        load_scoreboard("raw")
