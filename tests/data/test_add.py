"""Own tables below the bundled ones, and tables written so that they read back."""

from dataclasses import replace

import pandas as pd
import pytest

from bayesmeta.data.load import load_dataset, read_dataset
from bayesmeta.errors import DataError

LMS = """lm,lm_family,n_params,n_tokens,code_share,web_share
ours-a,ours,1000000000,20000000000,0,100
ours-b,ours,1000000000,20000000000,30,70
"""
SCORES = """lm,benchmark,score
ours-a,hellaswag,0.41
ours-b,hellaswag,0.40
ours-b,triage,0.55
"""
BENCHMARKS = """benchmark,task_family,metric
hellaswag,commonsense,accuracy
triage,safety,accuracy
"""


def without_hellaswag(data):
    """The bundled tables without scores on hellaswag, as second dataset."""
    return replace(data, scores=data.scores.query("benchmark != 'hellaswag'"))


@pytest.fixture
def own(write_folder):
    return read_dataset(write_folder({"lms": LMS, "scores": SCORES, "benchmarks": BENCHMARKS}))


@pytest.mark.parametrize("version", ["corrected", "as-published"])
def test_bundled_tables_stay_and_own_ones_stand_below(own, version):
    bundled = load_dataset(version=version)
    both = bundled.add(own)
    for name, n in (("lms", 92), ("scores", len(bundled.scores)), ("benchmarks", 13)):
        joined, first = getattr(both, name), getattr(bundled, name)
        pd.testing.assert_frame_equal(joined.iloc[:n], first)
    assert both.lms["lm"].tolist()[92:] == ["ours-a", "ours-b"]
    assert both.scores["score"].tolist()[-3:] == [0.41, 0.40, 0.55]
    assert both.benchmarks["benchmark"].tolist()[13:] == ["triage"]
    # The own table gives hellaswag no items and another label: the bundled row counts.
    assert both.benchmarks.set_index("benchmark").loc["hellaswag", "n_items"] == 10042
    assert (both.version, both.source) == (version, f"bundled and {own.source}")


def test_what_lms_write_is_kept(own):
    bundled = load_dataset()
    for both in (bundled.add(own), own.add(without_hellaswag(bundled))):
        assert both.format_tables()["generation"] == bundled.format_tables()["generation"]


def test_known_lm_gets_a_score_on_a_new_benchmark(write_folder):
    bundled = load_dataset()
    blank = bundled.lms["context_length"].isna()
    known = bundled.lms.loc[~blank].iloc[:1].assign(context_length=None)
    folder = write_folder(
        {
            "lms": known.to_csv(index=False),
            "scores": f"lm,benchmark,score\n{known['lm'].iloc[0]},triage,0.5\n",
            "benchmarks": "benchmark,task_family,metric\ntriage,safety,accuracy\n",
        }
    )
    both = bundled.add(read_dataset(folder))
    pd.testing.assert_frame_equal(both.lms, bundled.lms)
    assert len(both.scores) == len(bundled.scores) + 1


def test_cell_that_is_blank_in_the_first_is_filled(own, write_folder):
    first = own.add(without_hellaswag(load_dataset()))
    assert first.lms.loc[first.lms["lm"] == "ours-a", "norm"].isna().all()
    named = LMS.replace("share\n", "share,norm\n").replace("100\n", "100,rmsnorm\n")
    named = named.replace("70\n", "70,\n")
    scores = "lm,benchmark,score\nours-a,triage,0.5\nours-b,gsm8k,0.1\n"
    bench = "benchmark,task_family,metric\ntriage,safety,accuracy\ngsm8k,math,accuracy\n"
    folder = write_folder({"lms": named, "scores": scores, "benchmarks": bench})
    filled = first.add(read_dataset(folder)).lms.set_index("lm")["norm"]
    assert filled["ours-a"] == "rmsnorm"
    assert pd.isna(filled["ours-b"])


CLASHES = {
    "second score": (
        SCORES, LMS, BENCHMARKS, "lm 'ours-a' has a score on benchmark 'hellaswag' in "
    ),
    "another size": (
        SCORES.replace("hellaswag", "gsm8k"), LMS.replace("1000000000,", "1100000000,"),
        BENCHMARKS.replace("hellaswag,commonsense", "gsm8k,math"),
        "lm 'ours-a' has n_params 1000000000 in ",
    ),
    "another benchmark": (
        SCORES.replace("ours-b,triage,0.55\n", "").replace("hellaswag", "triage"), LMS,
        "benchmark,task_family,metric\ntriage,law,accuracy\n",
        "benchmark 'triage' has task_family safety in ",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", CLASHES)
def test_what_both_say_has_to_agree(own, write_folder, case):
    scores, lms, benchmarks, said = CLASHES[case]
    folder = write_folder({"lms": lms, "scores": scores, "benchmarks": benchmarks})
    with pytest.raises(DataError, match=said) as caught:
        own.add(read_dataset(folder))
    assert "Allowed: one " in str(caught.value)


def test_own_tables_have_to_be_a_dataset():
    with pytest.raises(DataError, match=r"own is 'my'\. Allowed: a Dataset"):
        load_dataset().add("my")  # pyright: ignore[reportArgumentType]


def test_saved_tables_read_back(own, tmp_path):
    both = load_dataset().add(own)
    both.save(tmp_path / "both")
    back = read_dataset(tmp_path / "both")
    # One lm of the bundled ones has no score: it has to come back too.
    assert len(back.lms) == 94
    assert back.checksum == both.checksum


def test_tables_that_would_be_refused_are_not_written(tmp_path):
    with pytest.raises(DataError, match=r"sea-lion-7b' sum to 103\.12"):
        load_dataset(version="as-published").save(tmp_path / "published")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["corrections", "generation"])
def test_table_that_would_be_read_too_is_refused(own, tmp_path, name):
    (tmp_path / "both").mkdir()
    (tmp_path / "both" / f"{name}.csv").write_text("lm\n")
    with pytest.raises(DataError, match=rf"holds {name}\.csv, which is no part"):
        own.save(tmp_path / "both")
    assert not (tmp_path / "both" / "scores.csv").exists()


def test_folder_that_cannot_be_made_is_one_message(own, tmp_path):
    with pytest.raises(DataError, match="cannot be made"):
        own.save(tmp_path / "no" / "both")
