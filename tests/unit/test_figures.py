"""Figures show what they say, in every look, with no text cut off or over another."""

import re
from dataclasses import replace
from statistics import NormalDist

import numpy as np
import pandas as pd
import pytest
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import to_rgb
from matplotlib.patches import Rectangle
from matplotlib.text import Text
from PIL import Image

from bayesmeta import defaults, plots
from bayesmeta.crossvalidation.scoreboard import load_scoreboard
from bayesmeta.errors import QueryError
from bayesmeta.estimates.answer import query
from bayesmeta.estimates.contrasts import effects, substitutions
from bayesmeta.estimates.counterfactual import mean_score_at
from bayesmeta.estimates.curves import curve
from bayesmeta.model.spec import ModelSpec
from bayesmeta.robustness.within_family import ladders
from bayesmeta.specification_curves.results import load_multiverse

STATEMENT = "code_share: 20 > 5"
CELL_INKS = ("#010101", "#FEFEFE")
MARKERS = ("o", "D", "^", "v", "s", "P")


@pytest.fixture(scope="module")
def asked(fake_bundled_fit):
    """What figures are drawn of."""
    fit = fake_bundled_fit
    return {
        "all": effects(fit),
        "benchmark": effects(fit, by="benchmark"),
        "task_family": effects(fit, ["norm", "code_share"], by="task_family"),
        "one": effects(fit, "block", by="benchmark"),
        "swaps": substitutions(fit, "code_share"),
        "of an lm": effects(fit, "attention: gqa > mha", by="benchmark", lms=fit.design.lms[0]),
        "one latent": effects(fit, "code_share: 20 > 5", by="benchmark", scale="latent"),
        "of a swap": effects(fit, "code_share: +10 from web_share", by="task_family"),
        "many ladders": ladders(fit, "n_params: 14e9 > 7e9", by="overall"),
        "curve": curve(fit),
        "ladders": ladders(fit),
        "multiverse": load_multiverse(),
        "scoreboard": load_scoreboard(),
    }


@pytest.fixture(scope="module")
def draw(fake_bundled_fit, asked):
    """Draw a figure by its name."""
    fit = fake_bundled_fit
    return {
        "forest": lambda: plots.forest(asked["all"]),
        "forest by benchmark": lambda: plots.forest(asked["one"]),
        "forest of swaps": lambda: plots.forest(asked["swaps"]),
        "forest of an lm": lambda: plots.forest(asked["of an lm"]),
        "forest of a swap": lambda: plots.forest(asked["of a swap"]),
        "atlas of one contrast": lambda: plots.atlas(asked["one latent"]),
        "many ladders": lambda: plots.ladders(asked["many ladders"]),
        "atlas": lambda: plots.atlas(asked["benchmark"]),
        "atlas by task family": lambda: plots.atlas(asked["task_family"]),
        "scaling": lambda: plots.scaling(fit),
        "evidence": lambda: plots.evidence(fit, STATEMENT),
        "evidence of a swap": lambda: plots.evidence(fit, "code_share: +10 from web_share"),
        "prior-posterior": lambda: plots.prior_posterior(asked["all"], prior=asked["all"]),
        "gains": lambda: plots.gains(asked["scoreboard"]),
        "calibration": lambda: plots.calibration(fit),
        "ranks": lambda: plots.ranks(
            {name: np.arange(60)[:, None] % 7 for name in ("tau_beta", "u", "log_likelihood")},
            n_draws=7,
        ),
        "curve": lambda: plots.curve(asked["curve"]),
        "tradeoff": lambda: plots.tradeoff(asked["curve"]),
        "ladders": lambda: plots.ladders(asked["ladders"]),
        "ppc": lambda: plots.ppc(fit, draws=10),
        "scoreboard": lambda: plots.scoreboard(asked["scoreboard"]),
        "specification curve": lambda: plots.specification_curve(
            asked["multiverse"], statement=STATEMENT, target="code"
        ),
    }


NEW = ["forest", "forest by benchmark", "forest of swaps", "atlas", "atlas by task family",
       "scaling", "evidence", "evidence of a swap", "gains", "prior-posterior",
       "calibration", "ranks", "forest of an lm", "forest of a swap", "atlas of one contrast",
       "many ladders"]  # fmt: skip
OLD = ["curve", "tradeoff", "ladders", "ppc", "scoreboard", "specification curve"]


def written(figure, monkeypatch):
    """List the texts that are drawn, with what they cover in pixels."""
    seen, original = {}, Text.draw

    def record(self, renderer):
        if self.get_visible() and self.get_text().strip():
            seen[self] = Text.get_window_extent(self, renderer)
        original(self, renderer)

    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    with monkeypatch.context() as patch:
        patch.setattr(Text, "draw", record)
        canvas.draw()
    return seen


@pytest.mark.parametrize(
    "name, style, venue",
    [
        *((name, "paper", venue) for name in NEW + OLD for venue in ("default", "neurips", "acl")),
        ("forest", "screen", "default"),
        ("evidence", "screen", "default"),
    ],
)
def test_no_text_is_cut_off_or_over_another(draw, monkeypatch, name, style, venue):
    with plots.use(style=style, venue=venue):
        figure = draw[name]().figure
    seen = list(written(figure, monkeypatch).items())
    for legend in figure.legends:
        box = legend.get_window_extent()
        assert not any(box.overlaps(axes.get_window_extent()) for axes in figure.axes)
    assert len(seen) > 10
    for text, box in seen:
        page = figure.bbox
        spare = (box.x0 - page.x0, page.x1 - box.x1, box.y0 - page.y0, page.y1 - box.y1)
        assert min(spare) > -1, text.get_text()
    for k, (text, box) in enumerate(seen):
        for other, its in seen[k + 1 :]:
            wide = min(box.x1, its.x1) - max(box.x0, its.x0)
            high = min(box.y1, its.y1) - max(box.y0, its.y0)
            assert min(wide, high) < 1.5, (text.get_text(), other.get_text())


# Numbers of texts that are no data: of the question, of names, of captions.
SAID = {
    "forest of swaps": {10},
    "forest of a swap": {10},
    "atlas of one contrast": {20, 5},
    "evidence of a swap": {10},
    "evidence": {20, 5},
    "ladders": {20, 5},
    "many ladders": {14, 7, 14e9, 7e9},
    "specification curve": {20, 5},
    "curve": {15, 25},
    "calibration": {2.0},  # LogiQA 2.0
}
NUMBER = re.compile(r"(?<![\w.\-])[-+]?(?:\d+\.?\d*|\.\d+)(?![\w-]*[A-Za-z])")


def numbers_in(text):
    """Numbers of a text, each with its digits behind the point."""
    plain = text.replace("\N{MINUS SIGN}", "-")
    return [
        (float(found), len(found.partition(".")[2]))
        for found in NUMBER.findall(plain)
        if not re.search(r"[<>] " + re.escape(found), plain)  # a bound
    ]


def is_drawn_from(number, digits, columns):
    """Whether a printed number is one of the table, rounded, or a share of it in percent."""
    return any(
        (np.abs(factor * column - number) <= 0.5001 * 10.0**-digits).any()
        for column in columns
        for factor in (1, 100)
    )


@pytest.mark.parametrize("name", NEW + OLD)
def test_every_number_in_a_figure_is_in_its_table(draw, monkeypatch, name):
    drawn = draw[name]()
    numeric = drawn.table.select_dtypes("number")
    columns = [numeric[column].dropna().to_numpy(float) for column in numeric]
    words = " ".join(map(str, drawn.table.select_dtypes(exclude="number").to_numpy().ravel()))
    columns.append(np.array([number for number, _ in numbers_in(words)], float))
    shown = set(written(drawn.figure, monkeypatch))
    for axes in drawn.figure.findobj(Axes):
        for axis in (axes.xaxis, axes.yaxis):
            shown -= set(axis.get_ticklabels(which="both"))
    checked = 0
    for text in shown:
        content = text.get_text()
        if content in words or content.split() == drawn.caption.split():
            continue
        for number, digits in numbers_in(content):
            if number in SAID.get(name, set()):
                continue
            assert is_drawn_from(number, digits, columns), (content, number)
            checked += 1
    assert checked or name in ("scaling", "ppc", "ladders", "ranks", "gains", "scoreboard",
                               "specification curve")  # fmt: skip


def luminance(colour):
    """Relative luminance, as WCAG defines it."""
    part = np.array(to_rgb(colour))
    linear = np.where(part <= 0.04045, part / 12.92, ((part + 0.055) / 1.055) ** 2.4)
    return float(linear @ [0.2126, 0.7152, 0.0722])


def contrast(one, other):
    """Ratio of contrast of two colours, from 1 to 21."""
    low, high = sorted(luminance(colour) for colour in (one, other))
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("name", NEW + OLD)
def test_dark_figures_can_be_read(draw, monkeypatch, name):
    with plots.use(theme="dark"):
        figure = draw[name]().figure
    ground = figure.get_facecolor()
    assert luminance(ground) < 0.02
    for text in written(figure, monkeypatch):
        if text.get_color() not in CELL_INKS:
            assert contrast(text.get_color(), ground) > 7, text.get_text()
    for axes in figure.axes:
        for line in axes.get_lines():
            assert contrast(line.get_color(), ground) > 1.5
            if line.get_marker() in MARKERS:
                assert contrast(line.get_markeredgecolor(), ground) > 3


def test_numbers_of_an_atlas_stand_out_in_their_cells(draw):
    for theme in ("light", "dark"):
        with plots.use(theme=theme):
            axes = draw["atlas"]().figure.axes[0]
        cells = [patch for patch in axes.patches if isinstance(patch, Rectangle)]
        numbers = [text for text in axes.texts if text.get_color() in CELL_INKS]
        assert len(cells) == len(numbers)
        for cell, number in zip(cells, numbers, strict=True):
            assert contrast(cell.get_facecolor(), number.get_color()) > 4


def test_a_look_ends_with_its_block_and_stays_with_its_figures(draw, tmp_path):
    with plots.use(style="screen", theme="dark"):
        dark = draw["forest by benchmark"]()
    light = draw["forest by benchmark"]()
    sizes = []
    for name, drawn in (("dark", dark), ("light", light)):
        image = Image.open(plots.save_figure(drawn, tmp_path / f"{name}.png")).convert("L")
        sizes.append(image.size[0] / plots.COLUMN_WIDTH)
        assert (image.getpixel((2, 2)) < 40) == (name == "dark")
    assert sizes == pytest.approx([300, 300], abs=1)
    assert dark.figure.get_figwidth() == pytest.approx(1.5 * light.figure.get_figwidth())
    with pytest.raises(QueryError, match=r"'darkk' is not known\. Did you mean 'dark'"):
        plots.use(theme="darkk")
    with pytest.raises(QueryError, match="Allowed: paper, screen"):
        plots.use(style=3)


def test_a_look_can_be_chosen_for_good():
    before = plots.use(theme="dark")
    try:
        assert plots.forest  # what follows is drawn dark
        with plots.use(style="screen"):
            pass
        drawn = plots.scoreboard(load_scoreboard())
        assert luminance(drawn.figure.get_facecolor()) < 0.02
    finally:
        before.__exit__(None, None, None)
    assert luminance(plots.scoreboard(load_scoreboard()).figure.get_facecolor()) > 0.9


def test_text_of_a_pdf_is_text_in_an_embedded_font(draw, tmp_path):
    drawn = draw["evidence"]()
    plots.save_figure(drawn, tmp_path / "a.pdf")
    drawn.figure.savefig(tmp_path / "b.pdf")
    for name in ("a.pdf", "b.pdf"):
        content = (tmp_path / name).read_bytes()
        assert b"/FontFile2" in content
        assert b"/Type3" not in content


PLOTS = {
    "forest": plots.forest, "atlas": plots.atlas, "curve": plots.curve,
    "tradeoff": plots.tradeoff, "scaling": plots.scaling, "calibration": plots.calibration,
    "ppc": plots.ppc, "ladders": plots.ladders, "scoreboard": plots.scoreboard,
    "specification_curve": plots.specification_curve,
    "prior_posterior": lambda given: plots.prior_posterior(given, prior=given),
    "ranks": lambda given: plots.ranks(given, n_draws=100),
    "evidence": lambda given: plots.evidence(given, STATEMENT),
    "save_figure": lambda given: plots.save_figure(given, "figure.pdf"),
}  # fmt: skip


@pytest.mark.parametrize("name", PLOTS)
@pytest.mark.parametrize("given", [None, pd.DataFrame(), "fit.nc", plots], ids=type)
def test_a_wrong_object_is_refused(name, given):
    if name == "forest" and isinstance(given, pd.DataFrame):
        pytest.skip("a table of one's own is drawn")
    with pytest.raises(QueryError, match=rf"plot\.{name} was given .*Allowed: .* returns it"):
        PLOTS[name](given)


def test_a_prior_of_another_kind_is_refused(asked):
    with pytest.raises(QueryError, match=r"prior_posterior was given None.*sample_prior"):
        plots.prior_posterior(asked["all"], prior=None)


@pytest.mark.parametrize("width", [0, -3, np.nan, np.inf, "3.35", True, 1e9])
def test_a_bad_width_is_refused(asked, width):
    with pytest.raises(QueryError, match="inches from 2 to 20"):
        plots.atlas(asked["task_family"], width=width)


@pytest.mark.parametrize("ci_prob", [0, 1, -1, 90, np.nan, None, "0.9", True])
def test_a_bad_probability_is_refused(fake_bundled_fit, asked, ci_prob):
    for call in (
        lambda: plots.forest(asked["all"], ci_prob=ci_prob),
        lambda: plots.scaling(fake_bundled_fit, ci_prob=ci_prob),
        lambda: plots.specification_curve(asked["multiverse"], ci_prob=ci_prob),
    ):
        with pytest.raises(QueryError, match="Allowed: a number between 0 and 1"):
            call()


@pytest.mark.parametrize("draws", [0, -1, 2.5, None, "many", True])
def test_a_bad_number_of_draws_is_refused(fake_bundled_fit, draws):
    with pytest.raises(QueryError, match=r"draws of plot\.ppc is .*whole number from 1 up"):
        plots.ppc(fake_bundled_fit, draws=draws)
    with pytest.raises(QueryError, match=r"n_draws of plot\.ranks"):
        plots.ranks({"a": np.arange(5)}, n_draws=draws)


def test_atlas_shows_effects_certainty_and_verdicts(asked):
    found = asked["benchmark"]
    verdicts = found.verdicts.copy()
    verdicts[0, :4] = defaults.VERDICTS
    found = replace(found, verdicts=verdicts)
    drawn = plots.atlas(found)
    axes, table = drawn.figure.axes[0], drawn.table
    wanted = found.table()
    pd.testing.assert_frame_equal(table, wanted[wanted["level"] != "undisclosed"])
    cells = [patch for patch in axes.patches if isinstance(patch, Rectangle)]
    numbers = [text for text in axes.texts if text.get_color() in CELL_INKS]
    names = [tick.get_text().split("\n")[-1] for tick in axes.get_xticklabels()]
    labels = dict(
        zip(found.draws["target"].values, found.draws["label"].values.tolist(), strict=True)
    )
    columns = dict(zip(names, axes.get_xticks(), strict=True))
    n = len(labels)
    assert len(cells) == len(table)
    assert sorted(names) == sorted(labels.values())
    for k, row in table.iterrows():
        place = columns[labels[row["target"]]]
        own = [
            (cell, text)
            for cell, text in zip(cells[k - k % n : k - k % n + n],
                                  numbers[k - k % n : k - k % n + n], strict=True)
            if abs(text.get_position()[0] - place) < 1e-9
        ]  # fmt: skip
        ((cell, text),) = own
        number = text.get_text().strip("()").replace("\N{MINUS SIGN}", "-")
        assert float(number) == pytest.approx(row["estimate"], abs=0.051)
        red, _, blue, _ = cell.get_facecolor()
        if abs(row["prob_helps"] - 0.5) > 0.1 and row["verdict"] != "prior-dominated":
            assert (blue > red) == (row["prob_helps"] > 0.5)
        assert (text.get_text()[0] == "(") == (row["verdict"] == "prior-dominated")
        style = {"supported": "-", "conflicting": "--", "prior-dominated": ":"}.get(row["verdict"])
        assert (cell.get_linewidth() > 0) == (style is not None)
        assert style is None or cell.get_linestyle() == style


def test_atlas_groups_benchmarks_by_task_family(asked, fake_bundled_fit):
    axes = plots.atlas(asked["benchmark"]).figure.axes[0]
    design = fake_bundled_fit.design
    task = dict(zip(design.benchmark_labels, design.task_family_index, strict=True))
    x = axes.get_xticks()
    order = [task[tick.get_text().split("\n")[-1]] for tick in axes.get_xticklabels()]
    assert len(np.flatnonzero(np.diff(order))) == len(design.task_families) - 1
    apart = np.diff(x) > 1
    assert (apart == (np.diff(order) != 0)).all()
    headed = [tick.get_text() for tick in axes.get_xticklabels() if "\n" in tick.get_text()]
    assert len(headed) == len(design.task_families)


def test_atlas_refuses_effects_by_lm_family(fake_bundled_fit):
    found = effects(fake_bundled_fit, "norm", by="lm_family")
    with pytest.raises(QueryError, match="Allowed: benchmark, task_family, overall"):
        plots.atlas(found)


def test_forest_counts_lms_and_families(asked, fake_bundled_fit):
    table = plots.forest(asked["all"]).table
    lms = fake_bundled_fit.dataset.lms
    scored = lms[lms["lm"].isin(fake_bundled_fit.dataset.scores["lm"])]
    row = table[(table["decision"] == "attention") & (table["level"] == "gqa")].iloc[0]
    gqa = scored[scored["attention"] == "gqa"]
    assert (row["lms"], row["lm_families"]) == (len(gqa), gqa["lm_family"].nunique())
    row = table[table["decision"] == "code_share"].iloc[0]
    known = scored[scored["code_share"].notna()]
    assert (row["lms"], row["lm_families"]) == (len(known), known["lm_family"].nunique())
    swapped = plots.forest(asked["swaps"]).table
    assert (swapped["lms"] == swapped["n_lms"]).all()


def test_forests_say_what_was_averaged_over(asked, fake_bundled_fit):
    name = fake_bundled_fit.design.lms[0]
    assert f", averaged over {name}. Marks" in plots.forest(asked["of an lm"]).caption
    assert "over all benchmarks. Marks" in plots.forest(asked["all"]).caption
    assert "averaged" not in plots.forest(asked["one"]).caption
    some = effects(fake_bundled_fit, "norm", by="benchmark", lm_family=["pythia", "opt"])
    assert "averaged over pythia, opt." in plots.atlas(some).caption


def test_many_ladders_differ_in_colour_or_marker(asked):
    drawn = plots.ladders(asked["many ladders"]).figure.axes[0].containers
    marks = [part.lines[0] for part in drawn if part.lines[0] is not None]
    looks = {(mark.get_marker(), mark.get_color()) for mark in marks}
    assert len(looks) == len(marks) > 15


def test_forest_by_benchmark_is_grouped_by_task_family(asked, fake_bundled_fit):
    drawn = plots.forest(asked["one"])
    table = drawn.table
    assert table["task_family"].ne(table["task_family"].shift()).sum() == 8
    order = {name: k for k, name in enumerate(fake_bundled_fit.design.benchmarks)}
    own = asked["one"].table().set_index("target")["estimate"]
    assert table["estimate"].tolist() == own.loc[table["target"]].tolist()
    assert set(table["target"]) == set(order)
    labels = [tick.get_text() for tick in drawn.axes[0].get_yticklabels()]
    places = drawn.axes[0].get_yticks()
    assert labels[: len(table)] == table["label"].tolist()
    heading = labels.index("nli")
    assert heading >= len(table)
    assert places[heading] == max(places) > places[labels.index("ANLI")]


def test_scaling_shows_scores_and_what_the_model_expects(default_fit):
    fit = default_fit
    drawn = plots.scaling(fit)
    table = drawn.table
    scores = table[table["what"] == "score"].set_index(["lm", "benchmark"])
    lms = fit.dataset.lms.set_index("lm")
    for row in fit.dataset.scores.itertuples():
        found = scores.loc[(row.lm, row.benchmark)]
        assert found["estimate"] == pytest.approx(100 * row.score)
        compute = 6.0 * lms.loc[row.lm, "n_params"] * lms.loc[row.lm, "n_tokens"]
        assert found["scale"] == pytest.approx(compute)
    line = table[(table["what"] == "expected") & (table["benchmark"] == "proofs")]
    point = line.iloc[7]
    ratio = np.median(lms["n_tokens"] / lms["n_params"])
    size = np.sqrt(point["scale"] / 6 / ratio)
    draws = mean_score_at(fit, settings={"n_params": size, "n_tokens": ratio * size})
    wanted = np.quantile(-draws[..., fit.design.benchmarks.index("proofs")], [0.05, 0.5, 0.95])
    assert point[["lower", "estimate", "upper"]].tolist() == pytest.approx(wanted)  # a Brier score
    assert drawn.figure.axes[2].yaxis_inverted()


def test_scaling_along_size_alone_keeps_the_tokens(default_fit):
    table = plots.scaling(default_fit, along="n_params").table
    point = table[(table["what"] == "expected") & (table["benchmark"] == "reading")].iloc[3]
    draws = mean_score_at(default_fit, settings={"n_params": point["scale"]})
    index = default_fit.design.benchmarks.index("reading")
    assert point["estimate"] == pytest.approx(np.median(draws[..., index]))


def test_scaling_colours_the_families_that_are_named(fake_bundled_fit):
    figure = plots.scaling(fake_bundled_fit, families=["yi", "opt"]).figure
    (legend,) = figure.legends
    shown = [text.get_text() for text in legend.get_texts()]
    assert shown == ["yi", "opt", "expected score", "other families"]


@pytest.mark.parametrize(
    "arguments, message",
    [({"along": "flops"}, "Allowed: compute, n_params, n_tokens"),
     ({"families": ["pythias"]}, "Did you mean 'pythia'"),
     ({"families": ["yi", "opt", "xglm", "pythia", "codegen", "bloom", "smollm"]}, "up to 6")],
    ids=["along", "family", "too many"],
)  # fmt: skip
def test_scaling_refuses_what_it_cannot_show(fake_bundled_fit, arguments, message):
    with pytest.raises(QueryError, match=message):
        plots.scaling(fake_bundled_fit, **arguments)


def test_scaling_needs_a_model_with_scale(small, build_fake_fit, additive):
    fit = build_fake_fit(small, spec=ModelSpec(**additive, scaling="none"))
    with pytest.raises(QueryError, match="has no scale"):
        plots.scaling(fit)


@pytest.mark.parametrize("ci_prob", [0.9, 0.5])
def test_evidence_card_shows_what_the_answer_says(fake_bundled_fit, ci_prob):
    fit = fake_bundled_fit
    drawn = plots.evidence(fit, STATEMENT, benchmark="lambada", ci_prob=ci_prob)
    answer = query(fit, STATEMENT, benchmark="lambada", ci_prob=ci_prob)
    card, table = answer.evidence, drawn.table.set_index("part")
    ends = ["estimate", "lower", "upper"]
    assert table.loc["all data", ends].tolist() == [answer.effect[key] for key in ends]
    z, z90 = (NormalDist().inv_cdf((1 + p) / 2) for p in (ci_prob, 0.9))
    for part, found in (
        ("all, linearised", card.all_families),
        ("within families", card.within_families),
        ("between families", card.between_families),
        (f"without {card.most_influential_family}", card.without_it),
    ):
        sd = (found["upper"] - found["estimate"]) / z90
        wanted = [found["estimate"], found["estimate"] - z * sd, found["estimate"] + z * sd]
        assert table.loc[part, ends].tolist() == pytest.approx(wanted)
    assert table.loc["prior", "upper"] == pytest.approx(z * card.prior_sd)
    each = table.loc["without each family"].set_index("lm_family")["estimate"]
    assert each[card.most_influential_family] == pytest.approx(card.without_it["estimate"])
    assert len(each) == fit.dataset.lms.merge(fit.dataset.scores, on="lm")["lm_family"].nunique()
    title = drawn.figure.get_suptitle().replace("\n", " ")
    assert card.verdict in title
    assert "on lambada" in title
    assert answer.support.lower() in drawn.caption.lower()


def test_a_card_without_siblings_has_no_such_rows(fake_bundled_fit):
    drawn = plots.evidence(fake_bundled_fit, "position_embedding: rotary > learned")
    assert not {"within families", "between families"} & set(drawn.table["part"])


def test_a_card_of_a_statement_that_cannot_be_read_is_refused(fake_bundled_fit):
    for statement in (None, "", "code_share", "colour: red > blue"):
        with pytest.raises(QueryError):
            plots.evidence(fake_bundled_fit, statement)


def test_task_families_and_ladders_are_no_markup_and_fit(small, build_fake_fit, monkeypatch):
    names = {"logic": r"$\foo{$", "language": "T" * 300}
    benchmarks = small.benchmarks.assign(task_family=small.benchmarks["task_family"].replace(names))
    assert set(names.values()) <= set(benchmarks["task_family"])
    fit = build_fake_fit(replace(small, benchmarks=benchmarks), spec=ModelSpec())
    for drawn in (plots.curve(curve(fit)), plots.ladders(ladders(fit, STATEMENT))):
        page = drawn.figure.bbox
        seen = written(drawn.figure, monkeypatch)
        assert any(r"\$\foo{\$" in text.get_text() for text in seen)
        for text, box in seen.items():
            assert box.x0 > page.x0 - 1, text.get_text()


def test_names_of_the_data_are_no_markup(small, build_fake_fit, monkeypatch):
    names = {"ant": "a$b$_c", "bee": "_bee", "cat": "x" * 200}
    lms = small.lms.assign(lm_family=small.lms["lm_family"].replace(names))
    labels = ["$alpha$", "y" * 200, "Überprüfung", "a_b^c"]
    benchmarks = small.benchmarks.assign(label=labels)
    fit = build_fake_fit(replace(small, lms=lms, benchmarks=benchmarks), spec=ModelSpec())
    for drawn in (
        plots.scaling(fit),
        plots.evidence(fit, "attention: gqa > mha"),
        plots.atlas(effects(fit, by="benchmark")),
        plots.forest(effects(fit, "attention", by="benchmark")),
        plots.forest(effects(fit, "attention", by="lm_family")),
        plots.curve(curve(fit, "code_share", by="benchmark")),
        plots.calibration(fit),
        plots.ppc(fit, draws=10),
    ):
        assert written(drawn.figure, monkeypatch)
    shown = [text.get_text() for text in plots.scaling(fit).figure.legends[0].get_texts()]
    assert {" _bee", r"a\$b\$_c"} <= set(shown)
