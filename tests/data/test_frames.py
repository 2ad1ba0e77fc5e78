"""Tables in memory, of any library: everything that takes a table takes all of them."""

from dataclasses import replace

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

import bayesmeta as bm
from bayesmeta.errors import DataError, EvaluationError, FitError, QueryError
from bayesmeta.tables.frames import as_frame

LMS = {
    "lm": ["a", "b", "c"],
    "lm_family": ["f", "f", "g"],
    "released": ["2023-07-18", None, "2024-01"],
    "n_params": [1_000_000_000, 7_000_000_000, 70_000_000_000],
    "n_tokens": ["300B", "1T", "2T"],
    "attention": ["MHA", None, "gqa"],
    "code_share": [0.0, None, 20.0],
}
SCORES = {
    "lm": ["a", "b", "c", "a"],
    "benchmark": ["hellaswag", "hellaswag", "hellaswag", "own"],
    "score": [0.4, 0.5, None, 0.9],
}
BENCHMARKS = {"benchmark": ["own"], "task_family": ["safety"], "metric": ["accuracy"]}
ARMS = {
    "study": ["s", "s"],
    "group": ["one", "one"],
    "arm": ["a", "b"],
    "n_params": [1e9, 1e9],
    "n_tokens": [2e10, 2e10],
    "norm": ["rmsnorm", "layernorm"],
}
RESULTS = {
    "study": ["s", "s"],
    "group": ["one", "one"],
    "arm": ["a", "b"],
    "benchmark": ["hellaswag", "hellaswag"],
    "score": [0.51, 0.5],
}
LIBRARIES = {
    "pandas": pd.DataFrame,
    "polars": pl.DataFrame,
    "pyarrow": pa.table,
    "dict": dict,
    "rows": lambda columns: pd.DataFrame(columns).to_dict("records"),
    "nullable": lambda columns: pd.DataFrame(columns).convert_dtypes(),
}


@pytest.fixture(params=list(LIBRARIES))
def make(request):
    """What a library makes of columns."""
    return LIBRARIES[request.param]


def write_folder(folder, tables):
    for name, columns in tables.items():
        pd.DataFrame(columns).to_csv(folder / f"{name}.csv", index=False)
    return folder


def test_frames_make_the_dataset_that_their_files_make(make, tmp_path):
    tables = {"lms": LMS, "scores": SCORES, "benchmarks": BENCHMARKS}
    expected = bm.read_dataset(write_folder(tmp_path, tables))
    found = bm.Dataset.from_frames(make(LMS), make(SCORES), benchmarks=make(BENCHMARKS))
    assert found.checksum == expected.checksum
    assert found.lms["n_tokens"].tolist() == [3e11, 1e12, 2e12]
    assert found.lms["attention"].tolist()[::2] == ["mha", "gqa"]
    assert len(found.scores) == 3


def test_frames_make_the_experiments_that_their_files_make(make, tmp_path):
    expected = bm.read_experiments(write_folder(tmp_path, {"arms": ARMS, "results": RESULTS}))
    found = bm.Experiments.from_frames(make(ARMS), make(RESULTS))
    assert found.checksum == expected.checksum
    data = bm.Dataset.from_frames(
        make(LMS), make(SCORES), benchmarks=make(BENCHMARKS), experiments=found
    )
    assert data.experiments is not None
    assert data.experiments.arms["arm"].tolist() == ["a", "b"]


def test_rows_of_experiments_are_counted(make):
    wrong = RESULTS | {"score": [0.5, 51.0]}
    with pytest.raises(DataError, match=r"^results, row 2, column 'score': .*arm 'b'"):
        bm.Experiments.from_frames(make(ARMS), make(wrong))
    lms = LMS | {"lm": ["a, line 9, column", "b", "c"]}
    with pytest.raises(DataError) as told:
        bm.Dataset.from_frames(make(lms), make(SCORES))
    first, *_, last, _ = str(told.value).split("\n")
    assert first.startswith("scores, row 1, column 'lm': 'a' has no row")
    assert "a, line 9, column, b" in first
    assert last.startswith("scores, row 4, column 'benchmark': 'own' is not a bundled benchmark")
    assert "no table of benchmarks is given" in last


def test_experiments_of_frames_have_own_studies_and_benchmarks(make):
    studies = {"study": ["s"], "title": ["Norms"], "licence": ["CC-BY"]}
    results = RESULTS | {"benchmark": ["own", "own"]}
    found = bm.Experiments.from_frames(
        make(ARMS), make(results), studies=make(studies), benchmarks=make(BENCHMARKS)
    )
    assert found.summarise()["licence"].tolist() == ["CC-BY"]
    assert found.benchmarks["benchmark"].tolist() == ["own"]


def test_generations_come_along():
    bundled = bm.load_dataset(experiments=False)
    bundled = bundled.keep_lms(bundled.lms["lm"].isin(bundled.scores["lm"]).to_numpy())
    tables = {"benchmarks": bundled.benchmarks, "generations": bundled.generations}
    found = bm.Dataset.from_frames(
        pl.DataFrame(bundled.lms.to_dict("list"), strict=False),
        pa.table(bundled.scores.to_dict("list")),
        **{name: pl.DataFrame(table.to_dict("list")) for name, table in tables.items()},
    )
    assert found.checksum == bundled.checksum


def test_the_class_itself_takes_frames_of_any_library(make, small):
    found = replace(small, scores=make(small.scores.to_dict("list")))
    assert found.checksum == small.checksum
    assert found.scores["score"].dtype in (float, "Float64")


def test_an_index_may_be_a_column():
    lms = pd.DataFrame(LMS).set_index("lm")
    scores = pd.DataFrame(SCORES).set_index(["lm", "benchmark"])
    found = bm.Dataset.from_frames(lms, scores, benchmarks=BENCHMARKS)
    assert found.lms["lm"].tolist() == ["a", "b", "c"]


@pytest.mark.parametrize("name", ["lms", "scores", "benchmarks", "generations"])
@pytest.mark.parametrize(
    "given", ["lms.csv", 3, np.ones((2, 2)), pl.LazyFrame(LMS), pd.Series([1])]
)
def test_what_is_no_table_is_refused_by_its_name(name, given):
    tables = {"lms": LMS, "scores": SCORES, name: given}
    allowed = rf"^{name} is .*Allowed: a frame of pandas, polars"
    with pytest.raises(DataError, match=allowed) as told:
        bm.Dataset.from_frames(**tables)
    assert len(str(told.value)) < 500
    with pytest.raises(DataError, match=allowed):
        bm.Dataset(**({"lms": LMS, "scores": SCORES, "benchmarks": BENCHMARKS} | {name: given}))


@pytest.mark.parametrize(
    "lms, scores, said",
    [
        (LMS | {"lm_family": ["f", None, "g"]}, SCORES, "lms, row 2, column 'lm_family'"),
        (LMS, SCORES | {"score": [0.4, 51, None, 0.9]}, "scores, row 2, column 'score'"),
        (LMS, SCORES | {"lm": ["a", "b", "x", "a"]}, "'x'"),
        (LMS, SCORES | {"benchmark": ["hellaswagg"] * 4}, "Did you mean 'hellaswag'?"),
        (LMS | {"colour": ["red"] * 3}, SCORES, "column 'colour' is not known"),
        ({"lm": []}, SCORES, "lms"),
        ({}, SCORES, "lms is"),
    ],
)
def test_content_is_checked_as_that_of_files(make, lms, scores, said):
    with pytest.raises(DataError) as told:
        bm.Dataset.from_frames(make(lms), make(scores))
    assert said in str(told.value)


def test_predictions_and_designs_take_frames_of_any_library(make, fake_fit):
    new = {
        "lm": ["x", "y"],
        "lm_family": ["n", "n"],
        "n_params": [1e9, 7e9],
        "n_tokens": [1e11] * 2,
    }
    expected = bm.predict(fake_fit, pd.DataFrame(new)).table()
    pd.testing.assert_frame_equal(bm.predict(fake_fit, make(new)).table(), expected)
    assert len(bm.rank_designs(fake_fit, make(new)).table()) == 2


def test_effect_sizes_and_their_moderators_take_frames_of_any_library(make):
    columns = {"s": list("abcd"), "y": [0.1, 0.3, 0.2, 0.5], "se": [0.1] * 4, "dose": [1, 2, 3, 4]}
    roles = {"effect": "y", "se": "se", "study": "s", "moderators": ["dose"]}
    found = bm.read_effect_sizes(make(columns), **roles)
    assert found.checksum == bm.read_effect_sizes(pd.DataFrame(columns), **roles).checksum
    fit = bm.fit(found, draws=50, chains=1)
    assert bm.predict_effects(fit, make({"dose": [1, 5]}))["dose"].tolist() == [1.0, 5.0]
    with pytest.raises(QueryError, match=r"^moderators is 7\. Allowed: a frame of pandas, polars"):
        bm.predict_effects(fit, 7)


def test_categories_keep_their_order():
    levels = pl.Enum(["low", "mid", "high"])
    frame = pl.DataFrame({"arm": pl.Series(["high", "low", None], dtype=levels)})
    found = as_frame(frame, what="arms")["arm"]
    assert found.cat.categories.tolist() == ["low", "mid", "high"]
    assert found.isna().tolist() == [False, False, True]


def test_tables_of_any_library_are_written(make):
    columns = {"lm": ["a", None], "sd": [0.123, None], "n": [1, 2]}
    text = bm.format_table(make(columns), fmt="md")
    assert text == bm.format_table(pd.DataFrame(columns), fmt="md")
    assert "| a | 0.12 | 1 |" in text


def test_functions_that_take_a_dataset_name_the_way_there(fake_fit):
    frame = pd.DataFrame(LMS | {"lm": ["<name>"] * 3})
    asked = (
        (FitError, lambda: bm.fit(frame)),
        (FitError, lambda: bm.fit(pl.DataFrame(LMS))),
        (DataError, lambda: bm.load_dataset().add(frame)),
        (DataError, lambda: bm.changes(fake_fit, frame)),
        (EvaluationError, lambda: bm.evaluate(frame)),
    )
    for error, ask in asked:
        with pytest.raises(error, match=r"of type DataFrame\..*bm\.Dataset\.from_frames") as told:
            ask()
        assert "<name>" not in str(told.value)


@pytest.mark.parametrize(
    "ask",
    [
        bm.query,
        bm.evidence,
        bm.effects,
        bm.rank_levels,
        bm.leave_family_out,
        bm.claim,
        bm.curve,
        bm.tipping_point,
        bm.ladders,
    ],
)
def test_a_question_before_the_fit_is_told_the_order(ask, fake_fit):
    with pytest.raises(QueryError, match=r"'norm: a > b'.*The fit comes first") as told:
        ask("norm: a > b", fake_fit)
    assert "chains" not in str(told.value)


def test_what_is_no_fit_is_told_what_makes_one(small):
    with pytest.raises(QueryError, match=r"of type Dataset\..*bm\.fit\(data\)"):
        bm.query(small, "attention: gqa > mha")
    frame = {"s": list("ab"), "y": [0.1, 0.3], "se": [0.1, 0.2]}
    fit = bm.fit(bm.read_effect_sizes(frame, effect="y", se="se", study="s"), draws=20, chains=1)
    with pytest.raises(QueryError, match=r"of type EffectSizeFit\..*bm\.summary"):
        bm.query(fit, "attention: gqa > mha")
