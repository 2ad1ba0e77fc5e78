"""Figures of calibration show what they are given, and leave their band where a model is wrong."""

import numpy as np
import pandas as pd
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg

from bayesmeta import plots
from bayesmeta.inference.leave_one_out import LeaveOneOut
from bayesmeta.model.predictor import score_distribution


def give_pit(fit, pit):
    """What `loo` returns, with these probabilities."""
    design = fit.design
    benchmarks = np.array(design.benchmarks)[design.outcomes.benchmark_index]
    table = pd.DataFrame(
        {
            "benchmark": benchmarks,
            "pit": pit,
            "log_density": 0.0,
            "pareto_k": 0.0,
            "refitted": False,
        }
    )
    return LeaveOneOut(table=table, elpd_data=None, checksum="")


def outside(drawn):
    """Benchmarks whose line leaves the band."""
    table = drawn.table
    leaves = (table["difference"] < table["lower"]) | (table["difference"] > table["upper"])
    return set(table.loc[leaves, "benchmark"])


@pytest.fixture(scope="module")
def uniform(fake_bundled_fit):
    """Equally spaced values for every benchmark: as uniform as can be."""
    index = fake_bundled_fit.design.outcomes.benchmark_index
    pit = np.empty(len(index))
    for b in np.unique(index):
        n = (index == b).sum()
        pit[index == b] = np.random.default_rng(b).permutation((np.arange(n) + 0.5) / n)
    return pit


def test_uniform_values_stay_inside_the_band(fake_bundled_fit, uniform):
    drawn = plots.calibration(fake_bundled_fit, found=give_pit(fake_bundled_fit, uniform))
    assert outside(drawn) == set()
    assert set(drawn.table["benchmark"]) == set(fake_bundled_fit.design.benchmarks)


@pytest.mark.parametrize(
    "fault",
    [lambda pit: 0.5 + (pit - 0.5) / 2, lambda pit: np.where(pit < 0.5, pit**3, 1 - (1 - pit) ** 3),
     lambda pit: pit**2],
    ids=["too wide", "too narrow", "biased"],
)  # fmt: skip
def test_faults_leave_the_band(fake_bundled_fit, uniform, fault):
    drawn = plots.calibration(fake_bundled_fit, found=give_pit(fake_bundled_fit, fault(uniform)))
    assert outside(drawn) == set(fake_bundled_fit.design.benchmarks)


def test_titles_tell_the_coverage(fake_bundled_fit, uniform):
    found = give_pit(fake_bundled_fit, 0.5 + (uniform - 0.5) / 2)
    drawn = plots.calibration(fake_bundled_fit, found=found)
    titles = [axes.get_title("left") for axes in drawn.figure.axes if axes.get_visible()]
    assert len(titles) == len(fake_bundled_fit.design.benchmarks)
    assert all(title.endswith(" and 100 % inside") for title in titles)


def test_every_number_in_titles_and_caption_is_in_the_table(fake_bundled_fit, uniform):
    given = give_pit(fake_bundled_fit, uniform**1.3)
    bad = given.table.index % 7 == 0
    given.table.loc[bad, "pareto_k"] = 0.9
    drawn = plots.calibration(fake_bundled_fit, found=given)
    said = drawn.table.groupby("benchmark", sort=False)[["inside_50", "inside_90"]].first()
    titles = [
        axes.get_title("left").split("\n") for axes in drawn.figure.axes if axes.get_visible()
    ]
    assert [line for _, line in titles] == [
        f"{a:.0f} and {b:.0f} % inside" for a, b in said.to_numpy()
    ]
    pit = given.table.groupby("benchmark", sort=False)["pit"]
    np.testing.assert_allclose(
        said["inside_90"], pit.agg(lambda values: 100 * values.between(0.05, 0.95).mean())
    )
    counts = drawn.table.groupby("benchmark")[["n", "pareto_k_bad"]].first().sum().astype(int)
    assert counts.tolist() == [len(given.table), bad.sum()]
    caption = drawn.caption
    assert f"{bad.sum()} of {len(given.table)} scores have a Pareto k above 0.7" in caption
    assert "equal-tailed 50 % and 90 % intervals" in caption


@pytest.mark.parametrize("width", [plots.COLUMN_WIDTH, plots.PAGE_WIDTH])
@pytest.mark.parametrize("name", ["calibration", "ppc"])
def test_titles_and_captions_have_room(fake_bundled_fit, uniform, name, width):
    given = {"found": give_pit(fake_bundled_fit, uniform)} if name == "calibration" else {}
    figure = getattr(plots, name)(fake_bundled_fit, width=width, **given).figure
    renderer = FigureCanvasAgg(figure).get_renderer()
    figure.draw(renderer)
    shown = [axes for axes in figure.axes if axes.get_visible()]
    boxes = [axes._left_title.get_window_extent(renderer) for axes in shown]
    assert not [1 for k, one in enumerate(boxes) for other in boxes[:k] if one.overlaps(other)]
    for box in (*boxes, figure._supxlabel.get_window_extent(renderer)):
        assert 0 <= box.x0 < box.x1 <= figure.bbox.x1


def test_predictive_check_shows_recorded_and_simulated_scores(fake_bundled_fit):
    fit, outcomes = fake_bundled_fit, fake_bundled_fit.design.outcomes
    drawn = plots.ppc(fit, draws=40, seed=4)
    flat = {k: v.reshape(-1, *v.shape[2:]) for k, v in fit.parameters.items()}
    n = len(next(iter(flat.values())))
    chosen = np.unique(np.linspace(0, n - 1, 40).round().astype(int))
    again = score_distribution(
        {k: v[chosen] for k, v in flat.items()}, design=fit.design, spec=fit.spec
    ).draw(4)
    for b, (benchmark, points) in enumerate(drawn.table.groupby("benchmark", sort=False)):
        assert benchmark == fit.design.benchmarks[b]
        rows = outcomes.benchmark_index == b
        middle = points.iloc[len(points) // 2]
        score = middle["score"] / 100
        assert middle["recorded"] == np.mean(outcomes.y[rows] <= score)
        shares = [np.mean(one[rows] <= score) for one in again]
        assert middle["lower"] == pytest.approx(np.quantile(shares, 0.05))
        assert middle["upper"] == pytest.approx(np.quantile(shares, 0.95))
        assert points["recorded"].is_monotonic_increasing


def test_ranks_outside_the_band_are_those_of_wrong_posteriors():
    rng = np.random.default_rng(5)
    even = rng.integers(0, 101, size=(200, 4))
    low = rng.integers(0, 70, size=200)
    drawn = plots.ranks({"tau_beta": even, "sigma": low}, n_draws=100)
    table = drawn.table
    table["outside"] = ~table["difference"].between(table["lower"], table["upper"])
    found = table.groupby("parameter")["outside"].any()
    assert found.to_dict() == {"tau beta": False, "sigma": True}
    titles = [axes.get_title("left") for axes in drawn.figure.axes if axes.get_visible()]
    assert titles == ["tau beta (4)", "sigma"]
    row = table[(table["parameter"] == "sigma") & (table["rank"] >= 0.5)].iloc[0]
    share = np.mean((low + 0.5) / 101 <= row["rank"])
    assert row["difference"] == pytest.approx(share - row["rank"])
