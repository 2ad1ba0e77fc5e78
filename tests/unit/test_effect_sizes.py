"""Tables of effect sizes: what is read, what is refused and how, and fits that come back."""

import dataclasses

import numpy as np
import pandas as pd
import pytest

import bayesmeta as bm
from bayesmeta.errors import DataError, EvaluationError, FitError, QueryError, SpecError, StoreError
from bayesmeta.inference.diagnostics import thin_fit
from bayesmeta.studies.study_design import build_effect_design

COLUMNS = {"effect": "yi", "se": "sei", "study": "trial"}

DEFAULT_CHECKSUM = "c22f23804f17"
"""Of `ModelSpec()`, which shares blocks with this model: the shipped posterior belongs to it."""

CSV = """\
trial,yi,sei,dose,arm,lab,room
one,0.10,0.10,5,low,north,1
two,0.30,0.20,10,high,north,1
three,0.20,0.15,15,low,north,2
four,-0.10,0.30,10,mid,south,1
five,0.40,0.12,20,high,south,1
six,0.00,0.10,5,mid,south,2
"""


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "trials.csv"
    path.write_text(CSV)
    return path


@pytest.fixture
def frame(path):
    return pd.read_csv(path)


@pytest.fixture(scope="module")
def fitted(tmp_path_factory):
    path = tmp_path_factory.mktemp("table") / "trials.csv"
    path.write_text(CSV)
    table = bm.read_effect_sizes(
        path, **COLUMNS, groups=["lab", "room"], moderators=["dose", "arm"]
    )
    return bm.fit(table, seed=1, draws=50, tune=100, chains=2, progress=False)


def read(table, **changes):
    return bm.read_effect_sizes(table, **(COLUMNS | changes))


def test_columns_are_read_and_others_left_out(path):
    table = read(path, moderators=["dose"])
    assert list(table.frame) == ["trial", "yi", "sei", "dose"]
    assert table.studies == ("one", "two", "three", "four", "five", "six")
    np.testing.assert_array_equal(table.y, [0.1, 0.3, 0.2, -0.1, 0.4, 0.0])
    np.testing.assert_array_equal(table.errors, [0.1, 0.2, 0.15, 0.3, 0.12, 0.1])


def test_a_frame_is_read_like_a_file(path, frame):
    roles = {"groups": ("lab",), "moderators": ("dose", "arm")}
    from_file, from_frame = read(path, **roles), read(frame, **roles)
    pd.testing.assert_frame_equal(from_file.frame, from_frame.frame)
    assert from_file.checksum == from_frame.checksum
    assert (from_file.source, from_frame.source) == (str(path), "memory")


def test_checksum_tells_roles_apart(path):
    assert read(path, moderators=["lab"]).checksum != read(path, groups=["lab"]).checksum


def test_the_frame_given_is_not_changed(frame):
    before = frame.copy()
    table = read(frame, moderators=["arm"])
    table.frame["yi"] = 9.0
    pd.testing.assert_frame_equal(frame, before)


def test_text_moderators_have_one_column_per_level_but_the_first(path):
    design = build_effect_design(read(path, moderators=["dose", "arm"]))
    assert design.moderators == ("dose", "arm[low]", "arm[mid]")
    np.testing.assert_array_equal(design.X[:, 0], [5, 10, 15, 10, 20, 5])
    np.testing.assert_array_equal(design.X[:, 1:], [[1, 0], [0, 0], [1, 0], [0, 1], [0, 0], [0, 1]])


def test_inner_groups_are_taken_inside_outer_ones(path):
    lab, room = build_effect_design(read(path, groups=["lab", "room"])).groups
    assert lab.labels == ("north", "south")
    assert room.labels == ("north/1", "north/2", "south/1", "south/2")
    assert room.index.tolist() == [0, 0, 1, 2, 2, 3]


def change(column, row, value):
    def apply(frame):
        frame = frame.astype({column: object})
        frame.loc[row, column] = value
        return frame

    return apply


def add(**columns):
    return lambda frame: frame.assign(**columns)


BAD = {
    "missing column": (
        None, {"effect": "y"},
        r"effect names the column 'y', which is missing\. Did you mean|.*Columns that there are: t",
    ),
    "misspelt moderator": (
        None, {"moderators": ["dosis"]},
        r"moderators names the column 'dosis', which is missing\. Did you mean 'dose'\? Columns th",
    ),
    "text effect": (
        change("yi", 1, "big"), {},
        r"the frame, row 2, column 'yi': 'big' is not a finite number\. Allowed: digits .* Correct",
    ),
    "blank effect": (
        change("yi", 2, np.nan), {},
        r"the frame, row 3, column 'yi': the cell is blank\. Allowed: a value for every study\. Fi",
    ),
    "infinite effect": (change("yi", 0, np.inf), {}, r"row 1, column 'yi': 'inf' is not a finite"),
    "infinite se": (change("sei", 0, np.inf), {}, r"row 1, column 'sei': 'inf' is not a finite"),
    "zero se": (
        change("sei", 3, 0.0), {},
        r"row 4, column 'sei': the standard error is 0\. Allowed: a number above 0\. An effect .* ",
    ),
    "negative se": (change("sei", 5, -0.1), {}, r"row 6, column 'sei': the standard error is -0"),
    "duplicate study": (
        change("trial", 4, "one"), {},
        r"row 5, column 'trial': study 'one' stood already in row 1\. Allowed: every study once\. ",
    ),
    "one study": (
        lambda frame: frame.head(1), {},
        r"the frame holds 1 study\. Allowed: at least 2, since one study .* Add a row",
    ),
    "constant moderator": (
        add(site="here"), {"moderators": ["site"]},
        r"moderator 'site' is 'here' in every study\. Allowed: columns that vary, since .* Leave i",
    ),
    "constant number": (add(k=3), {"moderators": ["k"]}, r"moderator 'k' is 3\.0 in every study"),
    "moderator with a missing cell": (
        change("dose", 1, None), {"moderators": ["dose"]},
        r"row 2, column 'dose': the cell is blank\. Allowed: a value for every study\. Fill the ce",
    ),
    "one group": (
        add(site="here"), {"groups": ["site"]},
        r"group 'site' has one label in every study\. Allowed: columns with several labels, since ",
    ),
    "inner group that adds nothing": (
        add(copy=lambda frame: frame["lab"]), {"groups": ["lab", "copy"]},
        r"group 'copy' has one label inside 'lab'\. Allowed: columns with several labels, since",
    ),
    "a group for each study": (
        add(k=range(6)), {"groups": ["k"]},
        r"group 'k' has another label in every study\. Allowed: columns in which some .* Leave it ",
    ),
    "blank group": (change("lab", 0, ""), {"groups": ["lab"]}, r"row 1, column 'lab': the cell is"),
    "two roles": (
        None, {"groups": ["lab"], "moderators": ["lab"]},
        r"column 'lab' is named twice, as groups and as moderators\. Allowed: one role for each co",
    ),
    "a moderator that is text in one row": (
        change("dose", 1, "abc"), {"moderators": ["dose"]},
        r"row 2, column 'dose': 'abc' is not a finite number, but other cells of this moderator",
    ),
    "no list of groups": (None, {"groups": None}, r"groups is None\. Allowed: a list of column n"),
    "a set of groups": (None, {"groups": {"lab"}}, r"groups is \{'lab'\}\. Allowed: a list of col"),
    "groups as text": (
        None, {"groups": "lab"},
        r"groups is 'lab'\. Allowed: a list of column names, such as \['dose'\]",
    ),
    "slash in a group": (
        lambda frame: frame.rename(columns={"lab": "l/b"}), {"groups": ["l/b"]},
        r"groups names the column 'l/b'\. Allowed: names without a slash, .* Rename",
    ),
    "two columns of one name": (
        lambda frame: pd.concat([frame, frame[["yi"]]], axis=1), {},
        r"the frame has two columns 'yi'\. Keep one of them",
    ),
}  # fmt: skip


@pytest.mark.parametrize("spoil,roles,message", BAD.values(), ids=BAD.keys())
def test_bad_tables_are_refused_with_one_paragraph(frame, spoil, roles, message):
    with pytest.raises(DataError, match=message) as caught:
        read(frame if spoil is None else spoil(frame), **roles)
    assert "\n" not in str(caught.value)


def test_files_are_blamed_by_line(path, refusal):
    path.write_text(CSV.replace("0.30,0.20", "0.30,zero"))
    with refusal(DataError, "trials.csv, line 3, column 'sei'", "'zero'"):
        read(path)


@pytest.mark.parametrize(
    "text,message",
    [
        ("", r"trials\.csv is empty\. Its first line must name the columns"),
        ("trial,yi,yi,sei\n", r"line 1: column 'yi' appears 2 times\. Keep one of them"),
        (
            "trial,yi,sei\na,1\n",
            r"line 2: the row has 2 cells, but the header names 3 columns\. Add",
        ),
        ("trial,yi,sei\n", r"trials\.csv holds 0 studies\. Allowed: at least 2"),
    ],
)
def test_bad_files(path, text, message):
    path.write_text(text)
    with pytest.raises(DataError, match=message):
        read(path)


def test_a_file_that_is_not_there(tmp_path, refusal):
    with refusal(DataError, "none.csv", "does not exist", "CSV"):
        read(tmp_path / "none.csv")


def test_collinear_moderators_are_refused(frame, refusal):
    twice = frame.assign(milligrams=1000 * frame["dose"] + 3)
    with refusal(DataError, "'milligrams'", "linear combination of dose"):
        build_effect_design(read(twice, moderators=["dose", "milligrams"]))


def test_more_coefficients_than_studies_are_refused(frame, refusal):
    many = frame.assign(k=list("abcdef"))
    with refusal(DataError, "'k[e]'", "linear combination of dose, k[b]"):
        build_effect_design(read(many, moderators=["dose", "k"]))


@pytest.mark.parametrize(
    "values,message",
    [
        ({"tau": "half_normal"}, r"tau 'half_normal' is not known\. Did you mean 'half-normal'\?"),
        (
            {"tau": "flat"},
            r"Allowed: half-cauchy, half-normal, log-normal, uniform, none\. Correct it",
        ),
        (
            {"likelihood": "student"},
            r"likelihood 'student' is not known\. Did you mean 'student-t'",
        ),
        ({"mu_sd": 0.0}, r"mu_sd is 0\.0\. Allowed: a positive number, in the unit of the effects"),
        ({"tau_scale": float("inf")}, r"tau_scale is inf\. Allowed: a positive number"),
        ({"moderator_sd": "1"}, r"moderator_sd is '1'\. Allowed: a positive number"),
    ],
)
def test_bad_specs(values, message):
    with pytest.raises(SpecError, match=message):
        bm.EffectSizeSpec(**values)


def test_specs_go_to_plain_values_and_back():
    spec = bm.EffectSizeSpec(mu_sd=2.0, tau="uniform")
    assert bm.EffectSizeSpec.from_dict(spec.to_dict()) == spec
    assert len({spec.checksum, bm.EffectSizeSpec().checksum, bm.ModelSpec().checksum}) == 3
    with pytest.raises(SpecError, match=r"key 'mu_sb' is not known\. Did you mean 'mu_sd'"):
        bm.EffectSizeSpec.from_dict({"mu_sb": 1.0})


def test_the_other_model_is_what_it_was():
    assert bm.ModelSpec(experiments="ignored").checksum.startswith(DEFAULT_CHECKSUM)


def test_data_and_spec_have_to_belong_together(path, small, refusal):
    with refusal(FitError, "EffectSizes", "bm.EffectSizeSpec()"):
        bm.fit(read(path), bm.ModelSpec())
    with refusal(FitError, "Dataset", "bm.ModelSpec()"):
        bm.fit(small, bm.EffectSizeSpec())
    with refusal(FitError, "Allowed", "Dataset", "bm.read_effect_sizes"):
        bm.fit("trials.csv")


def test_draws_have_names_and_labels(fitted):
    dims = {str(name): values.dims[2:] for name, values in fitted.draws.items()}
    assert dims == {
        "mu": (), "tau": (), "gamma": ("moderator",), "theta": ("study",),
        "tau_group": ("grouping",), "u_lab": ("group_lab",), "u_room": ("group_room",),
    }  # fmt: skip
    assert fitted.draws["moderator"].values.tolist() == ["dose", "arm[low]", "arm[mid]"]
    assert fitted.draws["grouping"].values.tolist() == ["lab", "room"]
    assert fitted.draws["group_room"].values.tolist()[0] == "north/1"
    assert fitted.posterior["posterior"].sizes["study"] == 6
    assert repr(fitted).startswith("EffectSizeFit(2 chains x 50 draws, EffectSizes(6 studies, gr")


def test_check_judges_such_a_fit(fitted):
    report = bm.check(fitted)
    assert set(report.table["parameter"]) == set(fitted.draws)
    assert not report.passed  # 100 draws are too few
    checked = fitted.with_diagnostics(report.to_dict())
    assert checked.failures == report.failures


def test_loo_has_a_row_for_every_study(fitted):
    found = bm.loo(fitted)
    assert list(found.table["study"]) == list(fitted.dataset.studies)
    assert found.by("lab")["n"].tolist() == [3, 3]
    with pytest.raises(EvaluationError, match=r"Allowed: lab, room, study"):
        found.by("benchmark")
    with pytest.raises(EvaluationError, match=r"refit is True, which is not there for effect siz"):
        bm.loo(fitted, refit=True)
    with pytest.raises(EvaluationError, match=r"leave_out is 'lm_family', which is not there for"):
        bm.loo(fitted, leave_out="lm_family")
    assert f"over {len(fitted.dataset.studies)} studies" in repr(found)
    assert "refit=True" not in repr(found)


def test_two_coefficients_of_one_name_are_refused(refusal):
    columns = {"s": list("abcd"), "y": [0.0, 1, 0, 2], "e": [1.0] * 4, "m": list("uvuv")}
    frame = pd.DataFrame({**columns, "m[v]": [1.0, 2, 4, 3]})
    table = bm.read_effect_sizes(frame, effect="y", se="e", study="s", moderators=["m", "m[v]"])
    with pytest.raises(DataError, match=r"two coefficients would be called 'm\[v\]'"):
        build_effect_design(table)
    with refusal(FitError, "cores", "0", "whole number from 1 up", "None"):
        bm.fit(dataclasses.replace(table, moderators=()), cores=0)


@pytest.mark.parametrize("share", [0, 1, 1.5, True, "high"])
def test_a_target_acceptance_is_a_share(share, refusal):
    with refusal(FitError, "target_accept", repr(share), "between 0 and 1", "0.9"):
        bm.fit(bm.load_dataset(experiments=False), target_accept=share)


def test_fits_of_effect_sizes_are_compared(fitted):
    table = bm.compare({"one": fitted, "same": fitted})
    assert table["elpd_diff"].tolist() == [0.0, 0.0]
    assert table["elpd"].iloc[0] == pytest.approx(bm.loo(fitted).table["log_density"].sum())


def test_a_saved_fit_comes_back(fitted, tmp_path):
    fitted.save(tmp_path / "fit.nc")
    back = bm.load_fit(tmp_path / "fit.nc")
    assert isinstance(back, bm.EffectSizeFit)
    assert back.spec == fitted.spec
    assert back.provenance == fitted.provenance
    assert back.dataset.roles == fitted.dataset.roles
    assert back.dataset.source == fitted.dataset.source
    pd.testing.assert_frame_equal(back.dataset.frame, fitted.dataset.frame)
    for name, values in fitted.draws.items():
        np.testing.assert_allclose(back.draws[name], values, rtol=1e-6)
    assert thin_fit(back, draws=20).shape == (2, 10)


def test_a_saved_fit_whose_table_was_changed_is_refused(fitted, tmp_path):
    import h5py

    path = tmp_path / "fit.nc"
    fitted.save(path)
    with h5py.File(path, "r+") as file:
        text = file["dataset/effect_sizes"][()].decode()
        del file["dataset/effect_sizes"]
        file["dataset/effect_sizes"] = text.replace("0.4", "0.5")
    with pytest.raises(StoreError, match=r"holds other data or another spec than it was fitted wi"):
        bm.load_fit(path)


def test_questions_about_lms_are_refused(fitted, refusal):
    with refusal(
        QueryError, "an object of type EffectSizeFit", "bm.load_reference_fit()", "bm.summary"
    ):
        bm.query(fitted, "norm: rmsnorm > layernorm")


def test_a_common_effect_has_no_energy_that_could_mix_slowly():
    frame = pd.DataFrame({"s": ["a", "b"], "y": [0.3, 0.5], "se": [0.1, 0.1]})
    table = bm.read_effect_sizes(frame, effect="y", se="se", study="s")
    report = bm.check(bm.fit(table, bm.EffectSizeSpec(tau="none"), seed=1))
    assert report.passed
    assert report.values["bfmi_min"] == 2
