"""A statement under every specification: the grid, its data, the fits, what is summed up."""

import itertools
import json
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace

import numpy as np
import pandas as pd
import pandas.testing as pdt
import pytest
from click.testing import CliRunner

import bayesmeta as bm
from bayesmeta import cli, defaults, jobs
from bayesmeta.data.load import load_corrections
from bayesmeta.errors import BayesmetaError, EvaluationError, QueryError
from bayesmeta.inference.refit import Refitter
from bayesmeta.specification_curves import specification_fits
from bayesmeta.specification_curves.grid import (
    CHOICES,
    apply_to_spec,
    build_grid,
    build_variant,
    list_choices,
)

LEARNED = "position_embedding: rotary > learned"
CODE = "code_share: 20 > 5"
SMALL_GRID = {"missing": ["kept", "dropped"], "likelihood": ["student", "normal"]}
DEFAULT = {name: levels[0] for name, levels in CHOICES.items()}
PAIRS_OFF = 7  # of 48 specifications 15 are given: the default and its departures in one choice
OF_EXPERIMENTS = ("experiments", "bias_width")  # which the bundled data of tests lack
"""How far the number of specifications with two levels may be from an even number. Those around
the default specification, eleven of 48, make default levels meet too often."""


@pytest.fixture
def fits(monkeypatch, build_fake_fit):
    """Replace sampling by random draws; count what is compiled and what is fitted."""
    counts = Counter()

    class FakeRefitter:
        def __init__(self, dataset, *, spec, warm):
            counts["compiled"] += 1
            self.dataset, self.spec = dataset, spec

        def fit(self, *, seed, train, chains, tune, draws):
            counts["fitted"] += 1
            if counts["fitted"] == counts.get("stop"):
                raise KeyboardInterrupt
            kept = self.dataset.scores[train].reset_index(drop=True)
            made = build_fake_fit(
                replace(self.dataset, scores=kept),
                spec=self.spec,
                chains=chains,
                draws=draws,
                seed=seed,
            )
            about = {"chains": chains, "divergences": 1}
            return replace(made, provenance={**made.provenance, **about})

    monkeypatch.setattr(specification_fits, "Refitter", FakeRefitter)
    monkeypatch.setattr(defaults, "RECOVERY_DRAWS", 10)
    return counts


def ask(data, statement=LEARNED, *, grid=SMALL_GRID, n="all", **settings):
    return bm.multiverse(data, statement, grid=grid, n=n, progress=False, **settings)


def assert_same(found, other):
    pdt.assert_frame_equal(found.table(), other.table(), check_exact=True)


def make_table(rows, **columns):
    """A multiverse of made-up numbers; rows are levels of choices."""
    cells = pd.DataFrame(rows).assign(
        specification=range(len(rows)), statement=LEARNED, target="overall", ci_prob=0.9, note=""
    )
    return bm.Multiverse(cells.assign(lower=-1.0, upper=1.0, **columns))


# The grid.


def test_default_grid_is_balanced():
    grid = build_grid(CHOICES, n=defaults.SPECIFICATIONS, seed=1)
    assert len({tuple(specification.items()) for specification in grid}) == 48
    for name, levels in CHOICES.items():
        counts = Counter(specification[name] for specification in grid)
        assert counts == dict.fromkeys(levels, 48 // len(levels))
    for one, other in itertools.combinations(CHOICES, 2):
        counts = Counter((s[one], s[other]) for s in grid)
        even = 48 / len(CHOICES[one]) / len(CHOICES[other])
        for pair in itertools.product(CHOICES[one], CHOICES[other]):
            assert abs(counts[pair] - even) <= PAIRS_OFF, (one, other, pair)


@pytest.mark.parametrize("n", [15, 16, 30, 48, 100])
def test_grid_holds_the_default_specification_and_its_departures(n):
    grid = build_grid(CHOICES, n=n, seed=3)
    assert len(grid) == n
    assert grid[0] == DEFAULT
    departures = [
        {**DEFAULT, name: level} for name, levels in CHOICES.items() for level in levels[1:]
    ]
    assert all(departure in grid for departure in departures)
    for name, levels in CHOICES.items():
        counts = Counter(s[name] for s in grid)
        assert set(counts) == set(levels)


def test_grid_depends_on_its_seed_alone():
    grids = [build_grid(CHOICES, n=24, seed=seed) for seed in (1, 1, 2)]
    assert grids[0] == grids[1] != grids[2]


def test_full_cross():
    small = {name: CHOICES[name] for name in ("family_effects", "likelihood")}
    for n in ("all", 8, 100):
        assert len(build_grid(small, n=n, seed=1)) == 4 * 2
    assert len(build_grid(CHOICES, n="all", seed=1)) == np.prod([*map(len, CHOICES.values())])


def test_own_data_have_no_other_version(small):
    choices = list_choices(small, spec=bm.ModelSpec(scaling="none"))
    gone = ("data", "flagged", "experiments", "bias_width")  # of the bundled data, of experiments
    assert list(choices) == [name for name in CHOICES if name not in gone]
    assert choices["scaling"] == ("none", "loglinear", "chinchilla")


def test_default_levels_are_those_of_the_given_data(bundled):
    published = bm.load_dataset(version="as-published")
    for data, levels in ((bundled, ("corrected", "out")), (published, ("as-published", "in"))):
        choices = list_choices(data, spec=bm.ModelSpec())
        assert (choices["data"][0], choices["flagged"][0]) == levels


def test_model_of_a_specification():
    made = apply_to_spec(bm.ModelSpec(), {"family_effects": "none", "prior_width": "doubled"})
    expected = bm.ModelSpec(family_effects="none", priors=bm.Priors(beta_tau=0.2))
    assert made.checksum == expected.checksum
    assert apply_to_spec(bm.ModelSpec(), DEFAULT).checksum == bm.ModelSpec().checksum


# The data of a specification.


def learned_from(variant):
    return variant.dataset.scores[variant.train].reset_index(drop=True)


def build_of(version, flagged, *, missing="kept", decisions=()):
    data = bm.load_dataset(version=version)
    specification = {"data": version, "flagged": flagged, "missing": missing}
    return build_variant(data, specification, decisions=decisions)


@pytest.mark.parametrize(
    "version,flagged", [("corrected", "out"), ("as-published", "in")]
)  # fmt: skip
def test_usual_treatment_of_flagged_runs_gives_the_data_as_they_are(version, flagged):
    data, variant = bm.load_dataset(version=version), build_of(version, flagged)
    pdt.assert_frame_equal(learned_from(variant), data.scores)
    pdt.assert_frame_equal(variant.dataset.lms, data.lms)


def test_flagged_runs_go_out_and_in():
    corrections = load_corrections()
    dropped = corrections[corrections["field"].str.startswith("score:")
                          & corrections["corrected_value"].isna()]  # fmt: skip
    for version, usual in (("corrected", "out"), ("as-published", "in")):
        scores = {kind: learned_from(build_of(version, kind)) for kind in ("out", "in")}
        index = {kind: found.set_index(["lm", "benchmark"]) for kind, found in scores.items()}
        extra = index["in"].index.difference(index["out"].index)
        assert len(extra) == len(dropped) == 46
        assert set(extra) == set(zip(dropped["lm"], dropped["field"].str[6:], strict=True))
        assert index["in"].loc[extra, "score"].to_numpy() == pytest.approx(
            bm.load_dataset(version="as-published")
            .scores.set_index(["lm", "benchmark"])
            .loc[extra, "score"]
            .to_numpy()
        )
        assert usual in index


def test_both_treatments_of_flagged_runs_are_one_graph():
    variants = [build_of("corrected", flagged) for flagged in ("out", "in")]
    assert variants[0].dataset.checksum == variants[1].dataset.checksum
    assert variants[0].identity != variants[1].identity


def test_lms_that_do_not_record_what_is_asked_are_dropped():
    published = bm.load_dataset(version="as-published").lms
    variant = build_of("as-published", "in", missing="dropped", decisions=["position_embedding"])
    lms = variant.dataset.lms
    assert lms["lm"].tolist() == published["lm"][published["position_embedding"].notna()].tolist()
    assert set(variant.dataset.scores["lm"]) <= set(lms["lm"])
    assert len(variant.train) == len(variant.dataset.scores)
    mix = build_of("as-published", "in", missing="dropped", decisions=["code_share"]).dataset.lms
    parts = ["web_share", "code_share", "books_share", "reference_share", "academic_share"]
    assert mix["lm"].tolist() == published["lm"][published[parts].notna().all(axis=1)].tolist()


# The fits.


def test_table_has_a_row_for_every_specification_and_statement(small, fits):
    found = ask(small, [LEARNED, (CODE, "logic"), (CODE, "puzzles")])
    table = found.table()
    assert len(table) == 4 * 3
    assert found.asked == [(LEARNED, "overall"), (CODE, "logic"), (CODE, "puzzles")]
    assert found.choices["likelihood"] == ("student", "normal")
    assert (table["lower"] < table["estimate"]).all()
    assert table["probability"].between(0, 1).all()
    assert (table["divergences"] == 1).all()
    # Two likelihoods: all lms; those with a position embedding; those with a whole mix.
    assert fits["fitted"] == fits["compiled"] == 2 * 3


def test_numbers_are_those_of_the_fit(small, fits, build_fake_fit):
    found = ask(small)
    draws = found.draws[0]
    row = found.table().iloc[0]
    assert row["estimate"] == np.quantile(draws, 0.5)
    assert row["probability"] == (draws > 0).mean()
    seeds = []
    real = specification_fits.Refitter.fit

    def note(self, **settings):
        seeds.append((settings["seed"], self.spec.checksum, len(self.dataset.lms)))
        return real(self, **settings)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(specification_fits.Refitter, "fit", note)
        ask(small)
    (seed,) = [s for s, spec, n in seeds if spec == bm.ModelSpec().checksum and n == 12]
    fit = build_fake_fit(small, spec=bm.ModelSpec(), draws=10, seed=seed)
    answer = bm.query(fit, LEARNED)
    assert row["probability"] == answer.probability.estimate
    assert row["mcse"] == answer.probability.mcse
    for name in ("estimate", "lower", "upper"):
        assert row[name] == pytest.approx(answer.effect[name], abs=1e-4)


def test_specifications_with_the_same_data_and_model_are_one_fit(small, fits):
    found = ask(small, "attention: gqa > mha")  # which every lm records
    assert len(found.table()) == 4
    assert fits["fitted"] == 2


def test_flagged_scores_share_a_compiled_graph(bundled, fits):
    ask(bundled, grid={"flagged": ["in", "out"]})
    assert fits == {"compiled": 1, "fitted": 2}


def test_statements_do_not_change_one_another(small, fits):
    alone, together = ask(small, CODE), ask(small, [LEARNED, CODE])
    pdt.assert_frame_equal(alone.table(), together.select(CODE), check_exact=True)


def test_level_that_a_version_does_not_have_is_reported(bundled, fits):
    statement = "position_embedding: sinusoidal > learned"
    found = ask(bundled, statement, grid={"data": ["corrected", "as-published"]})
    table = found.table().set_index("data")
    assert fits["fitted"] == 1
    assert table["estimate"].notna().to_dict() == {"corrected": True, "as-published": False}
    assert "sinusoidal" in table["note"]["as-published"]
    assert found.summary()["answered"].tolist() == [1]
    assert "cannot be asked in 1" in repr(found)
    assert found.influence()["effect_spread"].isna().all()


def test_decision_that_others_determine_is_noted(small, fits):
    lms = small.lms.assign(norm=np.where(small.lms["attention"] == "gqa", "rmsnorm", "layernorm"))
    data = replace(small, lms=lms)
    row = ask(data, "norm: rmsnorm > layernorm", grid={"likelihood": ["student"]}).table().iloc[0]
    assert "linear combination of attention" in row["note"]
    assert "Only the prior" in row["note"]
    assert np.isfinite(row["estimate"])


def test_interval_of_another_probability(small, fits):
    found = ask(small)
    narrow = found.table(ci_prob=0.5)
    assert (narrow["ci_prob"] == 0.5).all()
    assert narrow["upper"].to_numpy() == pytest.approx(np.quantile(found.draws, 0.75, axis=1))
    with pytest.raises(QueryError, match=r"ci_prob is 2"):
        found.table(ci_prob=2)


def test_results_do_not_depend_on_where_fits_run(small, fits):
    with ThreadPoolExecutor(3) as pool:
        assert_same(ask(small, executor=pool), ask(small))


def test_seed_matters(small, fits):
    first, other = ask(small), ask(small, seed=2)
    assert (first.table()["estimate"] != other.table()["estimate"]).all()


def files_in(folder):
    return {path.name: path.read_bytes() for path in (folder / "fits").glob("[!.]*")}


def test_interrupted_run_goes_on(small, fits, tmp_path):
    whole = ask(small)
    out, n_fits = tmp_path / "run", fits["fitted"]
    fits.clear()
    fits["stop"] = 3
    with pytest.raises(KeyboardInterrupt):
        ask(small, out=out)
    before = files_in(out)
    assert len(before) == 2
    fits.clear()
    assert_same(ask(small, out=out), whole)
    assert fits["fitted"] == n_fits - 2
    assert files_in(out).items() >= before.items()


def test_finished_fits_are_not_computed_again(small, fits, tmp_path):
    first = ask(small, out=tmp_path / "run")
    fits.clear()
    assert_same(ask(small, out=tmp_path / "run"), first)
    assert not fits
    one = sorted((tmp_path / "run" / "fits").iterdir())[0]
    one.unlink()
    assert_same(ask(small, out=tmp_path / "run"), first)
    assert fits["fitted"] == 1
    assert one.exists()


def test_other_settings_are_other_fits(small, fits, tmp_path, monkeypatch):
    ask(small, out=tmp_path)
    monkeypatch.setattr(defaults, "RECOVERY_DRAWS", 30)
    fits.clear()
    assert ask(small, out=tmp_path).draws.shape == (4, 2 * 30)
    assert fits["fitted"] == 4


def test_saved_table_comes_back(small, fits, tmp_path):
    found = ask(small, [LEARNED, CODE])
    found.save(tmp_path / "saved.csv")
    loaded = bm.load_multiverse(tmp_path / "saved.csv")
    pdt.assert_frame_equal(
        loaded.table().assign(specification=found.table()["specification"]),
        found.table(),
        rtol=1e-3,
        atol=1e-4,
        check_dtype=False,
    )
    assert loaded.choices == found.choices
    with pytest.raises(QueryError, match=r"ci_prob is 0\.5, and this record has no draws"):
        loaded.table(ci_prob=0.5)
    (tmp_path / "other.csv").write_text("a,b\n1,2\n")
    with pytest.raises(EvaluationError, match=r"other\.csv cannot be read as a multiverse"):
        bm.load_multiverse(tmp_path / "other.csv")


def test_real_fit_of_a_part_is_the_fit_of_tables_without_the_rest(small, monkeypatch):
    spec = bm.ModelSpec(
        decisions=("position_embedding",),
        scaling="none",
        release_date="none",
        family_effects="none",
        interactions="none",
        pooling="none",
    )  # the least that compiles
    train = np.arange(len(small.scores)) % 5 > 0
    refitter = Refitter(small, spec=spec, warm=False)
    fit = refitter.fit(seed=1, train=train, tune=30, draws=20)
    pdt.assert_frame_equal(fit.dataset.scores, small.scores[train].reset_index(drop=True))
    assert fit.provenance["chains"] == 2
    assert fit.provenance["divergences"] >= 0
    monkeypatch.setattr(specification_fits, "Refitter", lambda *_, **__: refitter)
    monkeypatch.setattr(defaults, "RECOVERY_TUNE", 30)
    monkeypatch.setattr(defaults, "RECOVERY_DRAWS", 20)
    found = ask(small, grid={"likelihood": ["student"]}, spec=spec)
    assert found.table()["rhat"].notna().all()


# What is summed up.


def test_influence_is_that_of_main_effects():
    rows = [
        {"data": data, "prior_width": width}
        for data in ("corrected", "as-published")
        for width in ("default", "halved", "doubled")
    ]
    moves = {"corrected": 0, "as-published": 2, "default": 0, "halved": -1, "doubled": 4}
    effect = [1.0 + sum(moves[level] for level in row.values()) for row in rows]
    for kept in (range(6), (0, 1, 2, 3), (0, 2, 4, 5)):  # a main effect is found in a part as well
        some = [effect[k] for k in kept]
        found = make_table([rows[k] for k in kept], estimate=some, probability=np.array(some) / 10)
        table = found.influence().set_index("choice")
        assert table.index.tolist() == ["prior_width", "data"]
        assert table["effect_spread"].tolist() == pytest.approx([5, 2])
        assert table["probability_spread"].tolist() == pytest.approx([0.5, 0.2])
        assert table["highest_at"].tolist() == ["doubled", "as-published"]
        assert table["lowest_at"].tolist() == ["halved", "corrected"]
        assert (table["n"] == len(kept)).all()


def test_choices_that_cannot_be_told_apart_have_no_influence():
    rows = [
        {"scaling": "loglinear", "likelihood": "student", "missing": "kept"},
        {"scaling": "chinchilla", "likelihood": "normal", "missing": "kept"},
        {"scaling": "loglinear", "likelihood": "student", "missing": "dropped"},
    ]
    found = make_table(rows, estimate=[0.0, 1.0, 3.0], probability=[0.5, 0.6, 0.9])
    table = found.influence().set_index("choice")
    assert table["effect_spread"]["missing"] == pytest.approx(3)
    assert table["effect_spread"][["scaling", "likelihood"]].isna().all()


def test_words_name_the_choice_that_moves_most_where_there_is_one():
    rows = [{"likelihood": "student"}, {"likelihood": "normal"}]
    both = make_table(rows, estimate=[0.0, 1.0], probability=[0.5, 0.6])
    assert "the choice of likelihood moves it most, by 1.0 points" in repr(both)
    one = make_table(rows[:1], estimate=[0.5], probability=[0.6])
    assert "moves it most" not in repr(one)


def test_summary_counts_what_is_certain():
    rows = [{"data": "corrected"}] * 3 + [{"data": "as-published"}] * 3
    estimate = [0.0, -2.0, np.nan, 1.0, 2.0, 3.0]
    probability = [0.5, 0.01, np.nan, 0.94, 0.96, 0.99]
    found = make_table(rows, estimate=estimate, probability=probability)
    whole = found.summary().iloc[0]
    assert (whole["specifications"], whole["answered"]) == (6, 5)
    assert (whole["share_above"], whole["share_below"]) == (2 / 5, 1 / 5)
    assert (whole["lowest"], whole["median"], whole["highest"]) == (-2, 1, 3)
    parts = found.summary(by="data").set_index("data")
    assert parts["share_above"].to_dict() == {"corrected": 0, "as-published": pytest.approx(2 / 3)}
    with pytest.raises(EvaluationError, match=r"choice 'dat' is not in.*Did you mean 'data'"):
        found.summary(by="dat")
    assert "above 0.95 in 2 of 5 and below 0.05 in 1, and cannot be asked in 1" in repr(found)


# Refusals.


BAD = {
    "choice": ({"grid": {"likelyhood": ["normal"]}}, "Did you mean 'likelihood'"),
    "level": ({"grid": {"likelihood": ["norml"]}}, "Did you mean 'normal'"),
    "level twice": ({"grid": {"likelihood": ["normal", "normal"]}}, "named twice"),
    "no levels": ({"grid": {"likelihood": []}}, "Allowed: a list of"),
    "word as levels": ({"grid": {"likelihood": "normal"}}, "Allowed: a list of"),
    "version of own data": ({"grid": {"data": ["corrected"]}}, "Only the bundled data have it"),
    "empty grid": ({"grid": {}}, "levels by choice"),
    "n": ({"n": 2}, "whole number from 3 up"),
    "number in words": ({"n": "many"}, "'all', or a whole number"),
    "true": ({"n": True}, "'all', or a whole number"),
    "seed": ({"seed": -1}, "seed is -1"),
    "statement": ({"statement": "rotary is better"}, "cannot be read"),
    "level of a decision": ({"statement": "position_embedding: rotery > learned"}, "rotary"),
    "target": ({"statement": (LEARNED, "lambda")}, "Allowed"),
    "target in a list": ({"statement": [(LEARNED, "logik")]}, "Did you mean 'logic'"),
    "nothing asked": ({"statement": []}, "statement is"),
    "asked twice": ({"statement": [CODE, CODE]}, "is asked twice"),
}


@pytest.mark.parametrize("case", BAD)
def test_nonsense_is_refused_before_anything_is_fitted(small, fits, tmp_path, case):
    changes, message = BAD[case]
    with pytest.raises(BayesmetaError, match=message) as caught:
        ask(small, out=tmp_path / "run", **changes)
    assert "\n" not in str(caught.value)
    assert not fits
    assert not (tmp_path / "run").exists()


def test_folder_that_holds_something_else(small, fits, tmp_path):
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(EvaluationError, match=r"holds no results of a multiverse"):
        ask(small, out=tmp_path)
    with pytest.raises(EvaluationError, match=r"data is 'tables'"):
        ask("tables")
    assert not fits


# The command and the figure.


def run(*words):
    return CliRunner().invoke(cli.app, [str(word) for word in words])


@pytest.fixture
def in_threads(monkeypatch):
    """Let the command run where sampling is replaced."""

    @contextmanager
    def executor(*_, **__):
        with ThreadPoolExecutor(2) as pool:
            yield pool

    monkeypatch.setattr(jobs, "open_executor", executor)


WORDS = ("--choice", "likelihood=student,normal", "--n", "all")


def test_json_has_the_agreed_keys(small_folder, fits, in_threads, tmp_path):
    words = ("--task-family", "logic", "--out", tmp_path / "run", "--format", "json")
    result = run("multiverse", LEARNED, "--data", small_folder, *WORDS, *words)
    assert result.exit_code == 0
    rows = json.loads(result.stdout)
    assert [row["specification"]["likelihood"] for row in rows] == ["student", "normal"]
    assert {"probability", "mcse", "estimate", "lower", "upper", "ci_prob", "units"} <= set(rows[0])
    assert {row["target"] for row in rows} == {"logic"}
    saved = bm.load_multiverse(tmp_path / "run" / "multiverse.csv")
    assert saved.table()["estimate"].tolist() == pytest.approx([r["estimate"] for r in rows], 1e-3)


def test_table_ends_with_a_paragraph(small_folder, fits, in_threads):
    result = run("multiverse", LEARNED, CODE, "--data", small_folder, *WORDS)
    assert result.exit_code == 0
    assert "What moves it" in result.stdout
    assert result.stdout.rstrip().splitlines()[-1].startswith("2 specifications of one model")


@pytest.mark.parametrize("part,column", [("influence", "choice"), ("summary", "share_above")])
def test_part_of_the_record_is_shown(part, column):
    result = run("multiverse", "--recorded", "--task-family", "code", "--show", part,
                 "--format", "json")  # fmt: skip
    rows = json.loads(result.stdout)
    assert all(row["target"] == "code" and column in row for row in rows)
    expected = getattr(bm.load_multiverse(), part)()
    assert len(rows) == (expected["target"] == "code").sum()


@pytest.mark.parametrize(
    "words,message",
    [
        ((), "no statement is given"),
        ((LEARNED, "--choice", "likelihood"), "NAME=LEVEL"),
        ((LEARNED, "--choice", "data=raw"), "as-published"),
        ((LEARNED, "--choice", "data=corrected", "--choice", "data=corrected"), "given twice"),
        ((LEARNED, "--benchmark", "anli", "--task-family", "nli"), "Name one of them"),
        (("norm: rmsnorm > layrnorm",), "layernorm"),
        ((LEARNED, "--format", "xml"), "latex"),
        ((LEARNED, "--show", "sumary"), "'summary'"),
        (("norm: rmsnorm > layernorm", "--recorded"), "is not in the record"),
    ],
)
def test_bad_words_are_refused(fits, words, message):
    result = run("multiverse", *words)
    assert isinstance(result.exception, BayesmetaError)
    assert message in str(result.exception)
    assert not fits


def draw_curve(bundled, **changes):
    grid = {name: list(levels) for name, levels in CHOICES.items() if name not in OF_EXPERIMENTS}
    return bm.plot.specification_curve(ask(bundled, n=14, grid={**grid, **changes}))


def test_specification_curve_is_sorted_and_fits(bundled, fits):
    drawn = draw_curve(bundled, scaling=["loglinear"])
    assert drawn.table["estimate"].is_monotonic_increasing
    assert sorted(drawn.table["specification"]) == list(range(14))
    figure = drawn.figure
    figure.draw_without_rendering()  # which lays it out
    effect, probability, choices = figure.axes
    labels = [label.get_text() for label in choices.get_yticklabels()]
    assert (
        len(labels)
        == len(set(labels))
        == sum(len(levels) for name, levels in CHOICES.items() if name not in OF_EXPERIMENTS) - 2
    )
    assert [text.get_text() for text in figure.legends[0].get_texts()] == [
        "facts as published", "facts corrected", "default specification",
    ]  # fmt: skip
    assert "90 % equal-tailed" in drawn.caption
    edge = figure.bbox
    boxes = [label.get_window_extent() for label in choices.get_yticklabels()]
    boxes += [axes.yaxis.label.get_window_extent() for axes in (effect, probability)]
    assert all(box.x0 >= edge.x0 and box.y0 >= edge.y0 for box in boxes)
    rows = sorted(box.y0 for box in boxes[:-2])
    assert min(np.diff(rows)) > 0.8 * max(box.height for box in boxes[:-2])
    # The default specification is marked where it stands.
    place = drawn.table.index[drawn.table["specification"] == 0][0]
    marked = [patch.get_x() + 0.5 for patch in effect.patches]
    assert marked == pytest.approx([place])


def test_curve_of_own_data_has_no_versions(small, fits):
    found = ask(small, [LEARNED, CODE])
    with pytest.raises(QueryError, match=r"names 2 of those that were asked.*and its target"):
        bm.plot.specification_curve(found)
    drawn = bm.plot.specification_curve(found, statement=CODE)
    assert len(drawn.table) == 4
    assert len(drawn.figure.axes) == 3
