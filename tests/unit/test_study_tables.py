"""Tables of effect sizes as people have them: separators, frames, types, gaps, other measures."""

import narwhals as nw
import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

import bayesmeta as bm
from bayesmeta.errors import DataError, FitError, SpecError
from bayesmeta.studies.study_design import build_effect_design

ROLES = {"effect": "y", "se": "se", "study": "s"}

FRAME = pd.DataFrame(
    {
        "s": list("abcdef"),
        "y": [0.1, 0.2, 0.3, 0.1, 0.2, 0.4],
        "se": [0.1, 0.2, 0.1, 0.3, 0.1, 0.2],
        "dose": [1, 2, 3, 4, 5, 7],
        "arm": ["low", "mid", "high", "low", "mid", "high"],
        "lab": ["n", "n", "m", "m", "o", "o"],
        "test": ["u", "v", "u", "v", "u", "v"],
    }
)


def read(frame=FRAME, **roles):
    return bm.read_effect_sizes(frame, **(ROLES | roles))


def design(frame=FRAME, **roles):
    return build_effect_design(read(frame, **roles))


# Files.


@pytest.mark.parametrize(
    "text",
    [
        "s;y;se\na;0,1;0,1\nb;0,2;0,1\n",
        "s\ty\tse\na\t.1\t.1\nb\t.2\t.1\n",
        "s,y,se\na,.1,.1\nb,.2,.1\n",
    ],
    ids=["semicolons", "tabs", "commas"],
)
def test_separators_are_seen(tmp_path, text):
    path = tmp_path / "table.csv"
    path.write_text(text)
    table = read(path)
    np.testing.assert_array_equal(table.y, [0.1, 0.2])
    assert table.studies == ("a", "b")


def test_decimal_commas_are_refused_where_commas_separate(tmp_path, refusal):
    path = tmp_path / "table.csv"
    path.write_text('s,y,se\na,"0,1",.1\nb,.2,.1\n')
    with refusal(DataError, "line 2, column 'y'", "'0,1'", "point"):
        read(path)


# Frames.


def test_any_frame_and_a_dict_are_read():
    columns = {name: FRAME[name].tolist() for name in FRAME}
    expected = read(moderators=["dose", "arm"])
    for given in (columns, pa.table(columns), nw.from_native(FRAME)):
        found = read(given, moderators=["dose", "arm"])
        pd.testing.assert_frame_equal(found.frame, expected.frame)
        assert found.checksum == expected.checksum


def test_what_is_no_table_is_refused(refusal):
    with refusal(DataError, "ndarray", "pandas, polars", "dict of columns"):
        read(np.ones((3, 3)))
    with refusal(DataError, "dict of columns", "same length"):
        read({"s": ["a"], "y": [1.0, 2.0], "se": [0.1]})


@pytest.mark.parametrize("labels", [(0, 1, 2), (("x", 1), ("x", 2), None), ("a", 1.5, True)])
def test_columns_are_labelled_by_anything(labels):
    frame = FRAME[["s", "y", "se"]].copy()
    frame.columns = pd.Index(list(labels), tupleize_cols=False)
    if None in labels:
        with pytest.raises(DataError, match="se"):  # None stands for a role that is left out
            bm.read_effect_sizes(frame, study=labels[0], effect=labels[1], se=labels[2])
        return
    found = bm.read_effect_sizes(frame, study=labels[0], effect=labels[1], se=labels[2])
    np.testing.assert_array_equal(found.y, FRAME["y"])


def test_labels_that_are_missing_are_named_as_they_were_given(refusal):
    with refusal(DataError, "effect names the column 'Y'", "Did you mean 'y'?"):
        read(effect="Y")
    with refusal(DataError, "effect names the column 7"):
        read(effect=7)


# Types.


def test_categories_are_no_numbers_and_keep_their_order():
    arms = pd.Categorical(["1", "2", "3", "1", "2", "3"])
    level = pd.Categorical(FRAME["arm"], ["low", "mid", "high"], ordered=True)
    frame = FRAME.assign(arm=arms, level=level)
    assert design(frame, moderators=["arm"]).moderators == ("arm[2]", "arm[3]")
    assert design(frame, moderators=["level"]).moderators == ("level[mid]", "level[high]")
    unused = frame.assign(level=level.add_categories("top"))
    assert design(unused, moderators=["level"]).moderators == ("level[mid]", "level[high]")


def test_categories_of_other_frames_keep_their_order():
    arrow = pa.table(FRAME).set_column(
        4, "arm", pa.array(FRAME["arm"]).dictionary_encode()
    )  # in order of appearance
    assert design(arrow, moderators=["arm"]).moderators == ("arm[mid]", "arm[high]")


@pytest.mark.parametrize(
    "levels,expected",
    [
        (None, ("arm[low]", "arm[mid]")),
        ("low", ("arm[high]", "arm[mid]")),
        (["mid", "low", "high"], ("arm[low]", "arm[high]")),
    ],
)
def test_the_reference_is_chosen(levels, expected):
    roles = {} if levels is None else {"levels": {"arm": levels}}
    assert design(moderators=["arm"], **roles).moderators == expected


def test_numbers_become_levels_on_request():
    found = design(FRAME.assign(k=[1, 2, 3, 1, 2, 3]), moderators=["k"], levels={"k": "2"})
    assert found.moderators == ("k[1]", "k[3]")


def test_levels_that_are_not_there_are_refused(refusal):
    with refusal(DataError, "level of 'arm' 'top' is not known", "high, low, mid"):
        read(moderators=["arm"], levels={"arm": "top"})
    with refusal(DataError, "levels of 'arm' leave out mid", "all levels"):
        read(moderators=["arm"], levels={"arm": ["low", "high"]})
    with refusal(DataError, "levels of 'amr'", "Did you mean 'arm'?"):
        read(moderators=["arm"], levels={"amr": "low"})


def test_dates_are_refused(refusal):
    dated = FRAME.assign(date=pd.date_range("2001-01-01", periods=6))
    with refusal(DataError, "moderator 'date' holds dates", "the year"):
        read(dated, moderators=["date"])


@pytest.mark.parametrize("kind", ["Int64", "Float32", "object", "string", "int16"])
def test_kinds_of_numbers_are_alike(kind):
    typed = FRAME.assign(dose=FRAME["dose"].astype(kind))
    np.testing.assert_array_equal(design(typed, moderators=["dose"]).X, FRAME[["dose"]])


def test_numpy_numbers_are_settings():
    table = read()
    settings = {"draws": np.int64(10), "seed": np.int64(3), "chains": np.int8(2)}
    assert bm.fit(table, progress=False, **settings).shape == (2, 10)
    assert bm.EffectSizeSpec(tau_scale=np.int64(2)).tau_scale == 2.0
    assert bm.EffectSizeSpec(tau_scale=np.float32(0.5)) == bm.EffectSizeSpec(tau_scale=0.5)
    for wrong in (True, np.bool_(True), "1"):
        with pytest.raises(SpecError, match="tau_scale is"):
            bm.EffectSizeSpec(tau_scale=wrong)
    with pytest.raises(FitError, match="draws is True"):
        bm.fit(table, draws=True)


# Gaps.

SPELLINGS = ["", "NA", "n/a", "NaN", "null", "None", ".", "-", "?", "#N/A", None, np.nan, pd.NA]


@pytest.mark.parametrize("blank", SPELLINGS, ids=map(repr, SPELLINGS))
@pytest.mark.parametrize("column", ["y", "dose"])
def test_gaps_are_refused_and_dropped_on_request(refusal, column, blank):
    frame = FRAME.astype({column: object})
    frame.loc[1, column] = blank
    with refusal(DataError, f"row 2, column '{column}'", "blank", "missing='drop'"):
        read(frame, moderators=["dose"])
    found = read(frame, moderators=["dose"], missing="drop")
    assert found.dropped == ("b",)
    assert found.studies == ("a", "c", "d", "e", "f")
    assert "1 left out" in repr(found)
    assert found.frame["dose"].dtype == float


def test_gaps_are_named_and_counted(refusal):
    frame = FRAME.astype({"y": object, "arm": object})
    frame.loc[[1, 2], "y"] = np.nan
    frame.loc[[2, 4], "arm"] = "NA"
    with refusal(DataError, "3 of 6 rows", "'y' in row 2, 3", "'arm' in row 3, 5"):
        read(frame, moderators=["arm"])
    with refusal(DataError, "1 study without the 5 that lack a value", "at least 2"):
        read(FRAME.assign(y=[0.1, *[None] * 5]), missing="drop")
    with refusal(DataError, "missing 'ignore' is not known", "refuse, drop"):
        read(missing="ignore")


def test_a_study_may_be_called_na():
    frame = FRAME.assign(s=["NA", *"bcdef"])
    assert read(frame).studies[0] == "NA"


def test_underscores_make_no_number(refusal):
    with refusal(DataError, "'1_0' is not a finite number"):
        read(FRAME.assign(y=["1_0", *FRAME["y"][1:]]))


# Errors in another form.


def test_variances_and_limits_are_turned_into_standard_errors():
    z = 1.959963984540054
    frame = FRAME.assign(
        vi=FRAME["se"] ** 2, low=FRAME["y"] - z * FRAME["se"], high=FRAME["y"] + z * FRAME["se"]
    )
    for roles in ({"variance": "vi"}, {"limits": ["low", "high"]}):
        found = read(frame, se=None, **roles)
        np.testing.assert_allclose(found.errors, FRAME["se"], rtol=1e-12)
    narrow = read(frame, se=None, limits=["low", "high"], ci_prob=0.9)
    np.testing.assert_allclose(narrow.errors, FRAME["se"] * z / 1.6448536269514722)


def test_bad_errors_are_refused(refusal):
    ratios = FRAME.assign(low=FRAME["y"] - 0.05, high=FRAME["y"] + 1)
    with refusal(DataError, "row 1, column 'high'", "not in the middle", "logarithms"):
        read(ratios, se=None, limits=["low", "high"])
    with refusal(DataError, "is not above the lower one", "order of limits"):
        read(ratios, se=None, limits=["high", "low"])
    with refusal(DataError, "the variance is -1", "above 0"):
        read(FRAME.assign(vi=-1.0), se=None, variance="vi")
    with refusal(DataError, "errors are given by se, variance", "one of"):
        read(FRAME.assign(vi=1.0), variance="vi")
    with refusal(DataError, "errors are given by nothing"):
        read(se=None)
    with refusal(DataError, "limits names 1 columns", "Allowed: 2"):
        read(se=None, limits=["y"])


COUNTS = pd.DataFrame(
    {"s": list("abc"), "a": [4, 0, 3], "n1": [20, 30, 40], "c": [11, 2, 0], "n2": [25, 31, 38]}
)
TWO_BY_TWO = {"study": "s", "counts": ["a", "n1", "c", "n2"]}


def test_counts_are_log_odds_ratios():
    found = bm.read_effect_sizes(COUNTS, **TWO_BY_TWO)
    assert found.y[0] == pytest.approx(np.log(4 * 14 / (16 * 11)))
    assert found.errors[0] == pytest.approx(np.sqrt(1 / 4 + 1 / 16 + 1 / 11 + 1 / 14))
    assert found.y[1] == pytest.approx(np.log(0.5 * 29.5 / (30.5 * 2.5)))


def test_bad_counts_are_refused(refusal):
    with refusal(DataError, "row 1, column 'a'", "24 events of 20 cases", "totals"):
        bm.read_effect_sizes(COUNTS.assign(a=[24, 0, 3]), **TWO_BY_TWO)
    with refusal(DataError, "the count is 0.5", "whole numbers"):
        bm.read_effect_sizes(COUNTS.assign(c=[0.5, 2, 0]), **TWO_BY_TWO)
    with refusal(DataError, "counts names 3 columns", "Allowed: 4"):
        bm.read_effect_sizes(COUNTS, study="s", counts=["a", "n1", "c"])
    with refusal(DataError, "counts and effect are given"):
        bm.read_effect_sizes(COUNTS, effect="a", **TWO_BY_TWO)
    with refusal(FitError, "'binomial' needs counts"):
        bm.fit(read(), bm.EffectSizeSpec(likelihood="binomial"))


# Errors that are correlated.


def covariance(rho=0.5):
    se, lab = FRAME["se"].to_numpy(), FRAME["lab"].to_numpy()
    together = np.where(lab[:, None] == lab, rho, 0.0) + (1 - rho) * np.eye(6)
    return together * np.outer(se, se)


def test_rho_in_clusters_is_a_covariance_matrix():
    by_rho = read(cluster="lab", rho=0.5)
    np.testing.assert_allclose(by_rho.correlated, covariance())
    by_matrix = read(covariance=covariance(), se=None)
    np.testing.assert_allclose(by_matrix.errors, FRAME["se"])
    both = [bm.fit(one, seed=1, progress=False) for one in (by_rho, by_matrix)]
    for name in ("mu", "tau", "theta"):
        np.testing.assert_allclose(*(one.parameters[name] for one in both), rtol=1e-6, atol=1e-9)


def test_rows_that_are_dropped_leave_the_matrix_too():
    gap = FRAME.assign(y=[0.1, np.nan, *FRAME["y"][2:]])
    found = read(gap, covariance=covariance(), missing="drop")
    np.testing.assert_allclose(found.correlated, np.delete(np.delete(covariance(), 1, 0), 1, 1))


def spoiled(i, j, value):
    matrix = covariance()
    matrix[i, j] = value
    return matrix


BAD_MATRICES = {
    "shape": (np.eye(3), ["shape (3, 3)", "(6, 6)"]),
    "not symmetric": (spoiled(0, 1, 0.001), ["not symmetric", "row 1, column 2"]),
    "not finite": (spoiled(0, 0, np.nan), ["not finite"]),
    "not positive": (covariance(1.0), ["not positive definite", "eigenvalue"]),
    "correlations": (np.eye(6), ["diagonal in row 1", "not one of correlations"]),
    "text": ([["a"]], ["not a matrix of numbers"]),
}


@pytest.mark.parametrize("matrix,words", BAD_MATRICES.values(), ids=BAD_MATRICES.keys())
def test_matrices_that_are_none_are_refused(refusal, matrix, words):
    with refusal(DataError, *words):
        read(covariance=matrix)


@pytest.mark.parametrize(
    "rho,word", [(1.0, "between -1 and 1"), ("a", "between"), (None, "rho is")]
)
def test_bad_correlations_are_refused(refusal, rho, word):
    with refusal(DataError, word):
        read(cluster="lab", rho=rho)


def test_student_t_errors_are_independent(refusal):
    spec = bm.EffectSizeSpec(likelihood="student-t")
    with refusal(FitError, "student-t", "independent errors"):
        bm.fit(read(cluster="lab", rho=0.5), spec, progress=False)


# Groups and formulas.


def test_groups_cross():
    found = design(groups=["lab"], crossed=["test"])
    assert [level.name for level in found.groups] == ["lab", "test"]
    assert found.groups[1].labels == ("u", "v")
    assert found.groups[1].index.tolist() == [0, 1, 0, 1, 0, 1]


def test_formulas_respect_types_and_order():
    found = design(moderators="dose + arm", levels={"arm": ["low", "mid", "high"]})
    assert found.moderators == ("dose", "arm[mid]", "arm[high]")
    listed = design(moderators=["dose", "arm"], levels={"arm": ["low", "mid", "high"]})
    np.testing.assert_array_equal(found.X, listed.X)
    curved = design(moderators="dose + I(dose ** 2)")
    np.testing.assert_array_equal(curved.X[:, 1], FRAME["dose"] ** 2)
    assert design(moderators="scale(dose) * test").moderators[-1] == "scale(dose):test[v]"


@pytest.mark.parametrize(
    "formula,words",
    [
        ("0 + dose", ["leaves the mean out"]),
        ("dose +", ["cannot be used"]),
        ("dosis", ["'dosis'", "Did you mean 'dose'?"]),
        ("nothing(dose)", ["cannot be used"]),
        ("(1 | lab)", ["groups"]),
        ("lab ~ dose", ["moderators alone"]),
        ("__import__('os')", ["functions that may be called"]),
    ],
)
def test_bad_formulas_are_refused(refusal, formula, words):
    with refusal(DataError, *words):
        design(moderators=formula)


ALL = [
    {"moderators": "dose * test", "groups": ["lab"]},
    {"moderators": ["arm"], "levels": {"arm": "mid"}, "crossed": ["lab", "test"]},
    {"cluster": "lab", "rho": 0.3},
    {"covariance": covariance(), "se": None},
]


@pytest.mark.parametrize("roles", ALL, ids=["formula", "levels", "rho", "matrix"])
def test_saved_fits_keep_everything(tmp_path, roles):
    fit = bm.fit(read(**roles), draws=20, progress=False)
    fit.save(tmp_path / "fit.nc")
    back = bm.load_fit(tmp_path / "fit.nc")
    assert back.dataset.checksum == fit.dataset.checksum
    assert back.design.moderators == fit.design.moderators
    np.testing.assert_array_equal(back.design.X, fit.design.X)
    np.testing.assert_allclose(back.log_likelihood(), fit.log_likelihood(), rtol=1e-4, atol=1e-4)


# Tables as they come out of spreadsheets, frames and databases.


@pytest.mark.parametrize(
    "text",
    ["s|y|se\na|0.1|0.1\nb|0.2|0.1\n", "sep=;\ns;y;se\na;0,1;0,1\nb;0,2;0,1\n",
     "s,y,se\na,\u22120.1,.1\nb,.2,.1\n"],
    ids=["bars", "a spreadsheet's first line", "minus signs"],
)  # fmt: skip
def test_files_of_other_programs_are_read(tmp_path, text):
    path = tmp_path / "table.csv"
    path.write_text(text, encoding="utf-8")
    np.testing.assert_allclose(abs(read(path).y), [0.1, 0.2])


@pytest.mark.parametrize(
    "text,parts",
    [
        ("My table\ns,y,se\na,.1,.1\nb,.2,.1\n", ("line 1", "'My table'", "only column")),
        ("s y se\na .1 .1\nb .2 .1\n", ("'s y se'", "only column")),
        ("s;y;se;n\na;0,1;0,1;1.990\nb;0,2;0,1;1991\n", ("'1.990'", "not a finite number")),
        ("s;y;se;n\na;0,1;0,1;3\nb;0.2;0,1;4\n", ("column 'y'", "'0.2'", "a comma")),
    ],
)
def test_files_that_cannot_be_read_say_why(tmp_path, refusal, text, parts):
    path = tmp_path / "table.csv"
    path.write_text(text)
    with refusal(DataError, *parts):
        read(path, moderators=["n"] if "n" in text.split("\n")[0].split(";") else [])


def test_folders_and_homes_are_named(tmp_path, refusal, monkeypatch):
    with refusal(DataError, "is a folder"):
        read(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    FRAME.to_csv(tmp_path / "table.csv", index=False)
    assert read("~/table.csv").studies == tuple("abcdef")


def test_rows_records_and_named_indexes_are_tables():
    expected = read().y
    for table in (
        FRAME.to_dict("records"),
        FRAME.to_records(index=False),
        FRAME.set_index("s"),
        FRAME.set_index(["s", "lab"]),
    ):
        np.testing.assert_array_equal(read(table).y, expected)


def test_whole_numbers_that_became_floats_are_the_same_labels():
    frame = FRAME.assign(kind=[1.0, 2.0, 3.0, 1.0, 2.0, np.nan], s=np.arange(6.0))
    table = read(frame, moderators=["kind"], levels={"kind": [2, 1, 3]}, missing="drop")
    assert table.levels["kind"] == ("2", "1", "3")
    assert table.studies == tuple("01234")
    assert table.dropped == ("5",)


BLANKS = ["\u2013", "\u2014", "\u2026", "*", "NR", "not reported", "n/a", "#N/A", "nd"]


@pytest.mark.parametrize("cell", BLANKS)
def test_gaps_in_more_spellings_are_gaps(cell):
    frame = FRAME.assign(y=[cell, *map(str, FRAME["y"][1:])])
    assert read(frame, missing="drop").dropped == ("a",)


@pytest.mark.parametrize(
    "frame,roles,parts",
    [
        (FRAME, {"levels": {"arm": "low"}}, ("'arm' is not a moderator", "Allowed: none")),
        (FRAME, {"levels": "arm"}, ("levels is 'arm'", "levels by moderator")),
        (FRAME.assign(se=[1e-300, *[0.1] * 5]), {}, ("row 1", "'se'", "1e-300")),
        (FRAME.assign(y=[1e308, *[0.1] * 5]), {}, ("row 1", "'y'", "1e+308")),
        (FRAME.assign(tau=range(6)), {"moderators": ["tau"]}, ("name of a result",)),
        (FRAME.assign(t=pd.to_timedelta(range(6), unit="D")), {"moderators": ["t"]},
         ("dates or times",)),
        (FRAME.assign(t=1e9 + 1e-7 * np.arange(6)), {"moderators": ["t"]}, ("is rounding",)),
        (FRAME, {"moderators": "dose**2"}, ("I(year**2)",)),
        (FRAME, {"moderators": "np.exp(dose * dose * dose * dose)"}, ("is inf",)),
        (FRAME, {"covariance": np.eye(6), "cluster": "lab", "rho": 0.5}, ("covariance and rho",)),
    ],
)  # fmt: skip
def test_what_would_be_misread_is_refused(refusal, frame, roles, parts):
    with refusal(DataError, *parts):
        design(frame, **roles)


def test_variances_beside_a_covariance_matrix_have_to_be_its_diagonal(refusal):
    frame = FRAME.assign(v=FRAME["se"] ** 2)
    roles = {"se": None, "variance": "v"}
    good = read(frame, covariance=np.diag(frame["v"]), **roles)
    np.testing.assert_allclose(good.errors, FRAME["se"])
    with refusal(DataError, "diagonal"):
        read(frame, covariance=np.diag(2 * frame["v"]), **roles)


def test_a_covariance_matrix_that_names_studies_is_put_in_their_order():
    rng = np.random.default_rng(1)
    root = rng.normal(size=(6, 6)) * 0.02 + np.diag(FRAME["se"])
    V = root @ root.T
    named = pd.DataFrame(V, index=FRAME["s"], columns=FRAME["s"])
    mixed = named.loc[list("fbdace"), list("cafebd")]
    np.testing.assert_array_equal(read(se=None, covariance=mixed).correlated, V)


def test_events_without_a_bound_ask_for_a_prior(refusal):
    frame = pd.DataFrame({"s": list("abc"), "a": [0, 0, 0], "n": 20, "c": [1, 2, 3], "m": 20})
    table = bm.read_effect_sizes(frame, study="s", counts=["a", "n", "c", "m"])
    with refusal(FitError, "no study has an event among the treated", "mu_sd"):
        bm.fit(table, progress=False)
    spec = bm.EffectSizeSpec(likelihood="binomial", mu_sd=2.8)
    assert np.median(bm.fit(table, spec, progress=False).parameters["mu"]) < -1


def test_millions_of_events_are_for_the_normal_likelihood(refusal):
    frame = pd.DataFrame({"s": list("ab"), "a": [10**6, 10**6], "n": 10**8, "c": 10**6, "m": 10**8})
    table = bm.read_effect_sizes(frame, study="s", counts=["a", "n", "c", "m"])
    with refusal(FitError, "likelihood='normal'"):
        bm.fit(table, progress=False)
    assert bm.fit(table, bm.EffectSizeSpec(), progress=False).parameters["mu"].std() < 1


def test_small_units_are_shown_with_decimals_enough():
    frame = FRAME.assign(y=1e-6 * FRAME["y"], se=1e-6 * FRAME["se"])
    shown = repr(bm.summary(bm.fit(read(frame), progress=False)))
    assert "0.00000" in shown
    assert " 0.000000 " not in shown.split("prob_positive")[1].split("tau")[0]
