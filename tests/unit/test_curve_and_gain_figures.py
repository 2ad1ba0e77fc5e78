"""Figures of gains over scale and of curves with their optimum, against what they are made of."""

import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg

from bayesmeta import plots
from bayesmeta.crossvalidation.scoreboard import load_scoreboard
from bayesmeta.errors import QueryError
from bayesmeta.estimates.curves import curve


@pytest.fixture(scope="module")
def board():
    return load_scoreboard()


def test_gains_are_those_of_the_means_by_benchmark(board):
    table = plots.gains(board).table
    errors = board.table().set_index(["scheme", "model", "benchmark"])["mae"].sort_index()
    assert len(table) == 2 * 2 * 14
    for row in table[table["benchmark"] != "mean"].itertuples():
        mine, other = (errors[row.scheme, name, row.benchmark] for name in (row.model, row.over))
        assert row.gain == pytest.approx(100 * (1 - mine / other))
    for row in table[table["benchmark"] == "mean"].itertuples():
        mine, other = (errors[row.scheme, name].mean() for name in (row.model, row.over))
        assert row.gain == pytest.approx(100 * (1 - mine / other))
    assert (table["lower"] <= table["gain"]).all()
    assert (table["gain"] <= table["upper"]).all()


def test_gains_stand_by_task_family_with_the_mean_below(board):
    drawn = plots.gains(board)
    table = drawn.table[drawn.table["scheme"] == "random"].drop_duplicates("benchmark")
    assert table["task_family"].ne(table["task_family"].shift()).sum() == 9  # and that of the mean
    left, right = drawn.figure.axes
    labels = [label.get_text() for label in left.get_yticklabels()]
    assert labels[0] == "nli: ANLI"
    assert labels[-1] == "mean over benchmarks"
    points = {
        (round(float(x), 6), round(float(y)))
        for axes in (left, right)
        for line in axes.get_lines()
        if line.get_marker() in ("o", "s")
        for x, y in line.get_xydata()
    }
    rows = list(dict.fromkeys(drawn.table["benchmark"]))
    for row in drawn.table.itertuples():
        assert (round(row.gain, 6), len(rows) - 1 - rows.index(row.benchmark)) in points


def test_intervals_beyond_the_axis_end_in_an_arrowhead(board):
    drawn = plots.gains(board)
    left = drawn.figure.axes[0].get_xlim()[0]
    beyond = int((drawn.table["lower"] < left).sum())
    arrows = [
        point
        for axes in drawn.figure.axes
        for line in axes.get_lines()
        if line.get_marker() == "<"
        for point in line.get_xdata()
    ]
    assert beyond == len(arrows) > 0


@pytest.mark.parametrize(
    "settings, message",
    [
        ({"pairs": [("ful", "scale")]}, "Did you mean 'full'"),
        ({"pairs": []}, "one to 4 pairs"),
        ({"pairs": ["full", "scale"]}, "one to 4 pairs"),
        ({"schemes": ["randm"]}, "Did you mean 'random'"),
        ({"schemes": []}, "no scheme was named"),
        ({"data": "folder"}, "Allowed: Dataset"),
    ],
)
def test_gains_that_were_not_scored_are_refused(board, settings, message):
    with pytest.raises(QueryError, match=message):
        plots.gains(board, **settings)


def test_curve_shows_where_its_maximum_lies(fake_bundled_fit):
    found = curve(fake_bundled_fit, "code_share")
    drawn = plots.curve(found)
    optimum = found.optimum()
    for target, points in drawn.table.groupby("target", sort=False):
        mass = points.set_index("grid")["prob_optimum"]
        assert mass.sum() == pytest.approx(1)
        best = found.draws.sel(target=target).idxmax("grid")
        for share in (mass.index[0], mass.idxmax()):
            assert mass[share] == pytest.approx(float((best == share).mean()))
        row = optimum.loc[target]
        assert mass.iloc[0] == pytest.approx(row["prob_at_lower_edge"])
        assert mass[(mass.index >= 15) & (mass.index <= 25)].sum() == pytest.approx(
            row["prob_between_15_25"]
        )
        assert points["prob_between_15_25"].unique() == pytest.approx([row["prob_between_15_25"]])


def test_strips_are_as_high_as_their_tick_says(fake_bundled_fit):
    drawn = plots.curve(curve(fake_bundled_fit, "code_share"))
    FigureCanvasAgg(drawn.figure).draw()
    strips = [strip for axes in drawn.axes for strip in axes.child_axes]
    highest = drawn.table.groupby("target", sort=False)["prob_optimum"].max()
    assert [axes.get_yticks()[0] for axes in strips] == pytest.approx(highest.tolist())


@pytest.mark.parametrize("venue", ["neurips", "icml", "nature"])
def test_a_venue_gives_its_widths_to_figures_without_one(board, venue):
    usual = plots.VENUES["default"]
    with plots.use(venue=venue):
        widths = [
            float(drawn.figure.get_figwidth())
            for drawn in (plots.scoreboard(board), plots.gains(board), plots.gains(board, width=4))
        ]
    assert widths == [*plots.VENUES[venue], 4]
    assert plots.gains(board).figure.get_figwidth() == usual[1]
    with pytest.raises(QueryError, match=r"venue 'icmll' is not known\. Did you mean 'icml'"):
        plots.use(venue="icmll")
