"""Figures compose: on axes given, in an order, with labels, from a table of one's own."""

from inspect import signature

import numpy as np
import pandas as pd
import pytest
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from bayesmeta import defaults, plots
from bayesmeta.crossvalidation.scoreboard import load_scoreboard
from bayesmeta.errors import QueryError
from bayesmeta.estimates.answer import query
from bayesmeta.estimates.contrasts import effects
from bayesmeta.estimates.curves import curve
from bayesmeta.plots.figure import Layout, as_svg
from bayesmeta.plots.heatmap import colour_cell
from bayesmeta.robustness.within_family import ladders
from bayesmeta.specification_curves.results import load_multiverse

CODE = "code_share: 20 > 5"
ENDS = ["estimate", "lower", "upper"]


@pytest.fixture(scope="module")
def all_effects(fake_bundled_fit):
    """Every contrast over all benchmarks."""
    return effects(fake_bundled_fit)


@pytest.fixture(scope="module")
def attention(fake_bundled_fit):
    """Two contrasts by benchmark."""
    return effects(fake_bundled_fit, "attention", by="benchmark")


@pytest.fixture(scope="module")
def draw(fake_bundled_fit, all_effects, attention):
    """Draw a figure by its name, with what all figures take."""
    fit, board = fake_bundled_fit, load_scoreboard()
    path, found = curve(fit), ladders(fit)
    some = {name: np.arange(60)[:, None] % 7 for name in ("tau_beta", "u")}
    return {
        "forest": lambda **how: plots.forest(all_effects, **how),
        "forest by benchmark": lambda **how: plots.forest(attention, **how),
        "prior_posterior": lambda **how: plots.prior_posterior(
            all_effects, prior=all_effects, **how
        ),
        "atlas": lambda **how: plots.atlas(attention, **how),
        "curve": lambda **how: plots.curve(path, **how),
        "tradeoff": lambda **how: plots.tradeoff(path, **how),
        "scaling": lambda **how: plots.scaling(fit, **how),
        "evidence": lambda **how: plots.evidence(fit, CODE, **how),
        "ladders": lambda **how: plots.ladders(found, **how),
        "scoreboard": lambda **how: plots.scoreboard(board, **how),
        "gains": lambda **how: plots.gains(board, **how),
        "ppc": lambda **how: plots.ppc(fit, draws=10, **how),
        "ranks": lambda **how: plots.ranks(some, n_draws=7, **how),
        "specification_curve": lambda **how: plots.specification_curve(
            load_multiverse(), statement=CODE, target="code", **how
        ),
    }


NAMES = ["forest", "forest by benchmark", "prior_posterior", "atlas", "curve", "tradeoff",
         "scaling", "evidence", "ladders", "scoreboard", "gains", "ppc", "ranks",
         "specification_curve"]  # fmt: skip


@pytest.mark.parametrize("name", NAMES)
def test_axes_given_are_drawn_on_and_nothing_else(draw, name):
    own = draw[name]()
    n = len(own.axes)
    figure = Figure(figsize=(3 * n, 5), layout="constrained")
    grid = figure.subplots(1, n + 1, squeeze=False)[0]
    drawn = draw[name](ax=grid[0] if n == 1 else grid[:n])
    assert drawn.axes == tuple(grid[:n])
    assert drawn.figure is figure
    assert figure.axes == [*grid]
    assert figure.texts == figure.legends == []
    assert not any((figure.get_suptitle(), figure.get_supxlabel(), figure.get_supylabel()))
    assert not grid[n].has_data()
    assert drawn.caption == own.caption != ""
    pd.testing.assert_frame_equal(drawn.table, own.table)
    figure.draw_without_rendering()


@pytest.mark.parametrize("name", NAMES)
def test_title_note_and_size_are_the_callers(draw, name):
    drawn = draw[name](title="What it shows", note=False, figsize=(6.2, 5.1))
    assert drawn.figure.get_suptitle() == "What it shows"
    assert drawn.figure.get_size_inches().tolist() == pytest.approx([6.2, 5.1])
    shown = "".join(text.get_text() for text in drawn.figure.texts)
    assert drawn.caption.split(".")[0] not in " ".join(shown.split())
    usual = draw[name]()
    assert usual.caption.split() in [text.get_text().split() for text in usual.figure.texts]


def test_every_plot_takes_the_same_layout_and_says_so():
    kinds = [
        name for name in plots.__all__ if name.islower() and name not in ("use", "save_figure")
    ]
    assert len(kinds) == 21
    for name in kinds:
        function = getattr(plots, name)
        assert {*Layout.__annotations__} < {*signature(function).parameters}
        assert "labels\n    What to write" in function.__doc__
    with pytest.raises(TypeError, match=r"plot\.funnel\(\) got an unexpected.*'axis'"):
        plots.funnel(None, axis=None)


@pytest.mark.parametrize("venue", plots.VENUES)
def test_data_have_half_of_a_forests_width(all_effects, attention, venue):
    one = effects_on(attention, "attention: gqa > mha")
    with plots.use(venue=venue):
        for found in (all_effects, one):
            for how in ({}, {"order": "effect"}):
                drawn = plots.forest(found, **how)
                drawn.figure.draw_without_rendering()
                assert drawn.axes[0].get_position().width >= 0.5
                width = plots.VENUES[venue][0]
                assert drawn.figure.get_figwidth() == pytest.approx(width)


def effects_on(found, label):
    """One contrast of several."""
    from dataclasses import replace

    k = [c.label for c in found.contrasts].index(label)
    return replace(
        found, draws=found.draws.isel(contrast=[k]), contrasts=found.contrasts[k : k + 1],
        verdicts=found.verdicts[k : k + 1], counts=found.counts[k : k + 1],
    )  # fmt: skip


def texts(axes):
    return [text.get_text() for text in axes.texts]


def test_numbers_stand_beside_their_rows(all_effects):
    drawn = plots.forest(all_effects, width=7)
    places = dict(zip([t.get_text() for t in drawn.axes[0].get_yticklabels()],
                      drawn.axes[0].get_yticks(), strict=True))  # fmt: skip
    beside = {text.get_text(): text.xy[1] for text in drawn.axes[0].texts if "[" in text.get_text()}
    row = drawn.table[drawn.table["level"] == "rmsnorm"].iloc[0]
    estimate, lower, upper = (f"{row[end]:+.1f}".replace("-", "\N{MINUS SIGN}") for end in ENDS)
    zero = "0.0"
    said = f"{estimate} [{lower}, {upper}]"
    for sign in ("+", "\N{MINUS SIGN}"):
        said = said.replace(f"{sign}{zero}", zero)
    assert beside[said] == places["rmsnorm"]
    assert {"P(helps)", "LMs", "families"} <= {*texts(drawn.axes[0])}


def test_sides_are_named_where_rows_share_them(all_effects, attention):
    one = plots.forest(effects_on(attention, "attention: gqa > mha")).axes[0]
    assert {"\N{LEFTWARDS ARROW} favours mha", "favours gqa \N{RIGHTWARDS ARROW}"} <= {*texts(one)}
    assert "\N{LEFTWARDS ARROW} lower score" in texts(plots.forest(all_effects).axes[0])


def test_order_and_labels(all_effects):
    drawn = plots.forest(all_effects, order="effect", labels={"gqa": "grouped-query"})
    assert drawn.table["estimate"].is_monotonic_decreasing
    labels = [text.get_text() for text in drawn.axes[0].get_yticklabels()]
    assert labels.index("grouped-query") == drawn.table["level"].tolist().index("gqa")
    some = plots.forest(all_effects, order=["swiglu", "attention: mqa vs mha", "18 vs 8"])
    assert some.table["level"].tolist() == ["swiglu", "mqa", "18"]
    assert [text.get_text() for text in some.axes[0].get_yticklabels()] == [
        "activation: swiglu vs gelu", "attention: mqa vs mha", "code share: 18 vs 8 %",
    ]  # fmt: skip


def test_panels_are_ordered_and_named(draw):
    drawn = draw["curve"](order=["math", "code"], labels={"math": "Mathematics"})
    assert [axes.get_title("left").split("\n")[0] for axes in drawn.axes] == ["Mathematics", "code"]
    first = draw["ladders"](order="effect").axes[0].get_yticklabels()[0].get_text()
    table = draw["ladders"]().table
    others = table[table["lm_family"] == "all others"].set_index("target")["estimate"]
    assert first == others.idxmax().replace("_", " ")


@pytest.mark.parametrize(
    "name, how, message",
    [
        ("forest", {"order": "size"}, "Allowed: given, effect"),
        ("forest", {"order": ["gqx"]}, "order 'gqx' is not drawn here.*Did you mean 'gqa'"),
        ("forest", {"order": 3}, "order is 3.*or a list of names"),
        ("forest", {"labels": {"gqx": "x"}}, "labels 'gqx' is not drawn.*Did you mean 'gqa'"),
        ("forest", {"labels": ["gqa"]}, "Allowed: a mapping from names"),
        ("forest", {"figsize": (3,)}, r"Allowed: width and height in inches"),
        ("forest", {"ax": "axes"}, "ax has an object of type str.*axes of matplotlib"),
        ("forest", {"note": "no"}, "Allowed: True or False"),
        ("forest", {"title": 3}, "title is 3. Allowed: a text"),
        ("forest", {"inner": 50}, "inner is 50.*between 0 and 1"),
        ("gains", {"inner": 0.5}, "no inner interval"),
        ("tradeoff", {"order": "effect"}, "no rows or panels to order"),
    ],
)  # fmt: skip
def test_what_cannot_be_drawn_so_is_refused(draw, name, how, message):
    with pytest.raises(QueryError, match=message):
        draw[name](**how)


def test_another_number_of_axes_is_refused(draw):
    figure = Figure()
    with pytest.raises(QueryError, match=r"ax has 2 axes, and this figure has 8\. Allowed: an arr"):
        draw["curve"](ax=figure.subplots(1, 2))
    with pytest.raises(QueryError, match=r"ax has 2 axes, and this figure has 1\. Allowed: one ax"):
        draw["forest"](ax=figure.subplots(1, 2))


def test_inner_intervals_are_those_of_the_inner_probability(all_effects):
    table = plots.forest(all_effects, ci_prob=0.95, inner=0.8).table
    wanted = all_effects.table(ci_prob=0.8)
    wanted = wanted[wanted["level"] != "undisclosed"]
    np.testing.assert_array_equal(table["inner_lower"], wanted["lower"])
    np.testing.assert_array_equal(table["inner_upper"], wanted["upper"])
    for how in ({"inner": None}, {"ci_prob": 0.4}):
        assert "inner_lower" not in plots.forest(all_effects, **how).table


def lines_of(axes):
    """What is drawn as marks and intervals, and the names beside it."""
    marks = np.concatenate(
        [line.get_xydata() for line in axes.get_lines() if len(line.get_xydata())]
    )
    ends = np.concatenate([part for each in axes.collections for part in each.get_segments()])
    return marks, ends, [text.get_text() for text in axes.get_yticklabels()]


def test_a_table_is_drawn_as_the_effects_it_is_of(all_effects):
    drawn = plots.forest(all_effects, inner=None)
    for table in (all_effects.table(), drawn.table, drawn.table[["group", "label", *ENDS]]):
        again = plots.forest(table, inner=None)
        for mine, other in zip(lines_of(again.axes[0])[:2], lines_of(drawn.axes[0])[:2],
                               strict=True):  # fmt: skip
            np.testing.assert_array_equal(*(np.sort(one.ravel()) for one in (mine, other)))
        assert lines_of(again.axes[0])[2] == lines_of(drawn.axes[0])[2]


@pytest.mark.parametrize(
    "change, message",
    [
        (lambda t: t.drop(columns="lower"), "has no column lower.*label, estimate, lower, upper"),
        (lambda t: t.iloc[:0], "has no row"),
        (lambda t: t.assign(upper=[1, np.nan]), r"upper of 'B' \(row 1 of the table\) is nan"),
        (lambda t: t.assign(estimate=[np.inf, 0]), "estimate of 'A'.*a finite number"),
        (lambda t: t.assign(lower=["low", 0]), "lower of 'A'.*is 'low'|lower of 'A'.*is low"),
        (lambda t: t.assign(lower=[0.5, -1]), "interval of 'A'.*does not hold its estimate"),
    ],
)  # fmt: skip
def test_a_table_that_cannot_be_drawn_is_refused(change, message):
    table = pd.DataFrame({"label": ["A", "B"], "estimate": [0, 0], "lower": -1, "upper": 1})
    with pytest.raises(QueryError, match=message):
        plots.forest(change(table))


def test_several_contrasts_on_several_targets_are_panels_that_share_their_axis(attention):
    drawn = plots.forest(attention)
    labels = attention.draws["label"].values.tolist()
    assert sorted(axes.get_title("left") for axes in drawn.axes) == sorted(labels)
    assert len({axes.get_xlim() for axes in drawn.axes}) == 1
    assert len(drawn.table) == 2 * len(drawn.axes)
    drawn.figure.draw_without_rendering()
    for axes in drawn.axes:
        assert any(text.get_text() and text.get_visible() for text in axes.get_xticklabels())
    with pytest.raises(QueryError, match="several contrasts on several targets"):
        plots.forest(attention.table())


def test_colours_pale_with_what_stands_behind_them():
    def strength(verdict, probability=0.97):
        red, green, blue, _ = colour_cell(probability, verdict)
        return max(red, green, blue) - min(red, green, blue)

    strengths = [strength(verdict) for verdict in defaults.VERDICTS]
    assert strengths == sorted(strengths, reverse=True)
    assert strengths[-1] == 0
    for verdict in defaults.VERDICTS:
        red, _, blue, _ = colour_cell(0.5, verdict)
        assert red == pytest.approx(blue, abs=0.02)
        bins = {tuple(colour_cell(p, verdict)) for p in np.linspace(0, 1, 101)}
        assert len(bins) == {"supported": 9, "prior-dominated": 1}.get(verdict, 5)


def test_an_atlas_has_a_column_of_all_benchmarks(attention, all_effects, fake_bundled_fit):
    whole = effects(fake_bundled_fit, "attention")
    drawn = plots.atlas(attention, overall=whole)
    assert drawn.axes[0].get_xticklabels()[0].get_text() == "all benchmarks"
    own = drawn.table[drawn.table["target"] == "overall"]
    np.testing.assert_array_equal(own["estimate"], whole.table()["estimate"])
    with pytest.raises(QueryError, match="the contrasts of the atlas, over all benchmarks"):
        plots.atlas(attention, overall=all_effects)


def test_a_card_names_the_likelier_side(fake_bundled_fit):
    for statement, sides in ((CODE, ("20 %", "5 %")), ("norm: rmsnorm > layernorm", None)):
        found = query(fake_bundled_fit, statement).as_association
        likely = max(found.probability.estimate, 1 - found.probability.estimate)
        high, low = sides or ("rmsnorm", "layernorm")
        better, worse = (high, low) if found.probability.estimate >= 0.5 else (low, high)
        title = " ".join(plots.evidence(fake_bundled_fit, statement).figure.get_suptitle().split())
        assert f"Pr({better} better than {worse})" in title
        shown = float(title.split(" %;")[0].rsplit(maxsplit=1)[-1]) / 100
        assert shown == pytest.approx(likely, abs=0.006)


@pytest.mark.parametrize("ending", [".svg", ".pdf"])
def test_the_same_figure_is_the_same_file(attention, tmp_path, ending):
    files = [plots.save_figure(plots.atlas(attention), tmp_path / f"{k}{ending}") for k in range(2)]
    assert files[0].read_bytes() == files[1].read_bytes()
    assert as_svg(plots.forest(attention)) == as_svg(plots.forest(attention))


def test_a_figure_and_its_table_unpack(attention):
    figure, table = plots.forest(attention)
    assert isinstance(figure.axes[0], Axes)
    assert len(table) == 26
