"""Your own folder: what may be left out, what is filled in, what comes back."""

import io
import math
from pathlib import Path

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bayesmeta.data.corrections import apply_corrections
from bayesmeta.data.csv_tables import format_table, read_table
from bayesmeta.data.dataset import count_stages
from bayesmeta.data.load import bundled_folder, load_dataset, read_dataset, read_lms
from bayesmeta.data.schema import column_names
from bayesmeta.errors import DataError, StoreError
from bayesmeta.whole_files import write_text

CORRECTIONS = "lm,field,published_value,corrected_value\n"


def test_valid_folder(texts, write_folder):
    folder = write_folder(texts)
    data = read_dataset(folder)
    assert tuple(data.lms.columns) == column_names("lms")
    assert data.lms["norm"].isna().all()
    assert data.lms["n_tokens"].tolist() == [20 * 10**9, 300 * 10**9, 100 * 10**9]
    assert data.benchmarks["direction"].tolist() == ["higher", "lower"]
    assert data.benchmarks["label"].tolist() == ["reading", "proofs"]
    assert data.counts().to_dict() == {"reading": 3, "proofs": 2}
    assert data.source == str(folder)
    assert repr(data).startswith("Dataset(3 lms, 2 benchmarks, 5 scores")


def test_tables_without_epochs_are_hashed_and_written_as_ever(texts, write_folder, tmp_path):
    plain = read_dataset(write_folder(texts))
    assert plain.lms["n_epochs"].isna().all()
    assert "n_epochs" not in plain.format_tables()["lms"]
    assert count_stages(plain.lms).tolist() == [0, 0, 0]
    further = ("n_epochs,derived_from", "1,", ",elsewhere; small", "4.25,large")
    rows = zip(texts["lms"].splitlines(), further, strict=True)
    texts["lms"] = "".join(f"{row},{cells}\n" for row, cells in rows)
    data = read_dataset(write_folder(texts))
    assert data.lms["n_epochs"].fillna(0).tolist() == [1, 0, 4.25]
    assert count_stages(data.lms).tolist() == [0, 2, 3]
    # Without the rows of the others, what is named still counts.
    assert count_stages(data.lms.iloc[[1]]).tolist() == [2]
    assert data.checksum != plain.checksum
    (saved := tmp_path / "saved").mkdir()
    data.save(saved)
    assert read_dataset(saved).checksum == data.checksum


def test_blank_scores_are_left_out(texts, write_folder):
    texts["scores"] = texts["scores"].replace("0.40,0.01", ",")
    data = read_dataset(write_folder(texts))
    assert len(data.scores) == 4
    assert "other" in data.lms["lm"].tolist()


def test_bundled_benchmarks_serve_known_names(texts, write_folder):
    del texts["benchmarks"]
    texts["scores"] = texts["scores"].replace("reading", "hellaswag").replace("proofs", "anli")
    data = read_dataset(write_folder(texts))
    assert data.benchmarks["benchmark"].tolist() == ["anli", "hellaswag"]
    assert data.benchmarks["metric"].tolist() == ["brier", "accuracy"]


def test_bundled_benchmarks_need_no_row_beside_own_ones(texts, write_folder):
    texts["scores"] = texts["scores"].replace("proofs", "anli")
    texts["benchmarks"] = texts["benchmarks"].splitlines()[0] + "\nreading,language,accuracy\n"
    benchmarks = read_dataset(write_folder(texts)).benchmarks.set_index("benchmark")
    assert benchmarks.index.tolist() == ["reading", "anli"]
    assert benchmarks.loc["anli", "n_items"] == 3200
    # A row of one's own counts.
    texts["benchmarks"] += "anli,inference,brier\n"
    own = read_dataset(write_folder(texts)).benchmarks.set_index("benchmark")
    assert own.loc["anli", "task_family"] == "inference"
    assert math.isnan(own.loc["anli", "n_items"])


def test_bundled_folder_reads_like_the_bundled_data():
    for version in ("as-published", "corrected"):
        read = read_dataset(bundled_folder(), version=version)
        assert read.checksum == load_dataset(version=version, experiments=True).checksum


def test_byte_order_mark_and_windows_line_ends(texts, write_folder):
    plain = read_dataset(write_folder(texts)).checksum
    windows = {
        name: b"\xef\xbb\xbf" + text.replace("\n", "\r\n").encode() for name, text in texts.items()
    }
    assert read_dataset(write_folder(windows)).checksum == plain


def test_own_corrections_are_applied(texts, write_folder):
    rows = "small,norm,,rmsnorm\nlarge,score:proofs,0.9,\nother,n_params,2000000000,3000000000\n"
    rows += "large,derived_from,,small\nlarge,n_epochs,,1.67\n"
    folder = write_folder({**texts, "corrections": CORRECTIONS + rows})
    data = read_dataset(folder)
    assert data.lms.loc[0, "norm"] == "rmsnorm"
    assert data.lms.loc[2, "n_params"] == 3 * 10**9
    assert data.lms.loc[1, ["derived_from", "n_epochs"]].tolist() == ["small", 1.67]
    assert data.counts()["proofs"] == 1
    published = read_dataset(folder, version="as-published")
    assert published.counts()["proofs"] == 2
    assert published.lms["norm"].isna().all()


def test_a_correction_may_blank_tokens(texts, write_folder):
    row = "small,n_tokens,20000000000,\n"
    data = read_dataset(write_folder({**texts, "corrections": CORRECTIONS + row}))
    assert data.lms.set_index("lm")["n_tokens"].isna().to_dict() == {
        "small": True, "large": False, "other": False
    }  # fmt: skip


@pytest.mark.parametrize(
    "row, message",
    [
        ("smal,norm,,rmsnorm", r"line 2, column 'lm': 'smal' is not in lms.csv.*mean 'small'"),
        ("small,nrm,,rmsnorm", r"line 2, column 'field': 'nrm' is not.*Did you mean 'norm'\?.*All"),
        ("small,score:proof,1.1,", r"column 'field': scores.csv has no row.*Did you mean 'proofs'"),
        ("small,norm,alibi,rmsnorm", r"column 'published_value': it says 'alibi' for 'norm'.*holds "
                                     r"a blank cell.*another version"),
        ("small,score:proofs,1.2,", r"it says '1.2' for 'score' of 'small'.*holds '1.1'"),
        ("small,n_params,2e9,", r"it says '2e9' for 'n_params' of 'small'.*holds '1000000000'"),
        ("small,code_share,10,much", r"column 'corrected_value': 'much' is not a number"),
        ("small,norm,,batchnorm", r"lms.csv, line 2, column 'norm': 'batchnorm'.*Allowed: layern"),
    ],
)  # fmt: skip
def test_wrong_corrections(row, message, texts, write_folder):
    folder = write_folder({**texts, "corrections": CORRECTIONS + row + "\n"})
    with pytest.raises(DataError, match=message):
        read_dataset(folder)


def test_corrections_leave_the_originals_alone(texts, write_folder):
    folder = write_folder(texts)
    lms = read_table(folder / "lms.csv", table="lms")
    scores = read_table(folder / "scores.csv", table="scores")
    before = format_table(lms, table="lms"), format_table(scores, table="scores")
    rows = pd.DataFrame(
        [("small", "norm", None, "rmsnorm"), ("small", "score:proofs", "1.1", "1.0")],
        columns=["lm", "field", "published_value", "corrected_value"],
    )
    changed, _ = apply_corrections(lms, scores, rows)
    assert changed.loc[2, "norm"] == "rmsnorm"
    assert (format_table(lms, table="lms"), format_table(scores, table="scores")) == before


@given(st.lists(st.floats(0, 1) | st.just(math.nan), min_size=1, max_size=20))
def test_scores_survive_writing_and_reading(tmp_path_factory, values):
    frame = pd.DataFrame({"lm": [f"lm{i}" for i in range(len(values))], "benchmark": "b"})
    frame["score"] = values
    path = tmp_path_factory.mktemp("round") / "scores.csv"
    write_text(path, text=format_table(frame, table="scores"))
    back = read_table(path, table="scores")["score"].reset_index(drop=True)
    pd.testing.assert_series_equal(back, frame["score"], check_exact=True)


def test_writing_leaves_no_half_file(tmp_path, monkeypatch, refusal):
    def fail_half_way(path, data):
        with path.open("wb") as file:
            file.write(data[:1])
        raise OSError(28, "No space left on device")

    path = tmp_path / "lms.csv"
    with refusal(StoreError, "missing/lms.csv", "cannot be written"):
        write_text(tmp_path / "missing" / "lms.csv", text="x")
    write_text(path, text="whole")
    monkeypatch.setattr(Path, "write_bytes", fail_half_way)
    with refusal(StoreError, "lms.csv", "No space left on device"):
        write_text(path, text="other")
    assert path.read_text() == "whole"
    assert list(tmp_path.iterdir()) == [path]


def test_every_score_blank_is_refused(tmp_path):
    (tmp_path / "lms.csv").write_text(
        "lm,lm_family,n_params,n_tokens\na,f,1000000000,20000000000\n"
    )
    (tmp_path / "scores.csv").write_text("lm,benchmark,score\na,hellaswag,\n")
    with pytest.raises(DataError, match=r"every cell in column 'score' of scores.csv is blank"):
        read_dataset(tmp_path)


def test_shares_written_as_fractions_are_refused(tmp_path):
    (tmp_path / "lms.csv").write_text(
        "lm,lm_family,n_params,n_tokens,code_share,web_share,books_share,reference_share,"
        "academic_share\na,f,1000000000,20000000000,0.1,0.7,0.1,0.05,0.05\n"
    )
    (tmp_path / "scores.csv").write_text("lm,benchmark,score\na,hellaswag,0.5\n")
    with pytest.raises(
        DataError, match=r"line 2, column 'web_share': .* as if they were fractions"
    ):
        read_dataset(tmp_path)


READ = [  # column, how a cell may be written, what it says, what is said of it
    ("n_params", "7B", 7_000_000_000, "n_params of large: read '7B' as 7,000,000,000"),
    ("n_params", "7.3b", 7_300_000_000, "n_params of large: read '7.3b' as 7,300,000,000"),
    ("n_params", "14 B", 14_000_000_000, "n_params of large: read '14 B' as 14,000,000,000"),
    ("n_tokens", "1.5T", 1_500_000_000_000, "n_tokens of large: read '1.5T' as 1,500,000,000,000"),
    ("n_tokens", "134000000000.00002", 134_000_000_000, ""),
    ("n_tokens", "9007199254740993", 2**53 + 1, ""),
    ("n_params", "7e9", 7_000_000_000, ""),
    ("position_embedding", "Rotary", "rotary", ""),
    ("released", "2023-07-18", "2023-07", ""),
    ("released", "2023-07-18 00:00:00", "2023-07", ""),
    ("released", "2023-07-18T09:30:00Z", "2023-07", ""),
    ("code_share", "20%", 20.0, ""),
    ("code_share", "20.000000000000004", 20.000000000000004, ""),
    ("web_share", "0.5%", 0.5, ""),
    ("code_share", "100.00000000000001", 100.0, ""),
    ("code_share", "N/A", None, ""),
    ("code_share", "NA", None, ""),
    ("norm", "n/a", None, ""),
    ("biases", "None", "none", ""),
]  # fmt: skip


@pytest.mark.parametrize("column, text, value, said", READ)
def test_cells_as_people_write_them(column, text, value, said, texts, write_folder, caplog):
    lms = pd.read_csv(io.StringIO(texts["lms"]), dtype=str).reindex(columns=column_names("lms"))
    lms = lms.assign(web_share=None).astype(object)
    lms.loc[1, column] = text
    data = read_dataset(write_folder(texts | {"lms": lms.to_csv(index=False)}))
    found = data.lms.loc[1, column]
    assert pd.isna(found) if value is None else found == value
    assert [record.message for record in caplog.records] == ([said] if said else [])


def test_an_index_that_pandas_wrote_is_no_column(texts, write_folder):
    plain = read_dataset(write_folder(texts)).checksum
    for start in (0, 1):
        frames = {name: pd.read_csv(io.StringIO(text), dtype=str) for name, text in texts.items()}
        for name, frame in frames.items():
            frame.index += start
            texts[name] = frame.to_csv()
        assert read_dataset(write_folder(texts)).checksum == plain
        texts = {name: frame.to_csv(index=False) for name, frame in frames.items()}


def test_a_column_without_a_name_that_counts_nothing_is_refused(texts, write_folder, refusal):
    texts["scores"] = texts["scores"].replace("score,se", "score,").replace("0.01", "5")
    with refusal(DataError, "scores.csv, line 1", "column 4 has no name"):
        read_dataset(write_folder(texts))


def test_a_label_may_be_na(texts, write_folder):
    rows = "benchmark,label,task_family,metric\nreading,NA,language,accuracy\nproofs,,l,brier\n"
    data = read_dataset(write_folder(texts | {"benchmarks": rows}))
    assert data.benchmarks["label"].tolist() == ["NA", "proofs"]


def test_families_that_differ_by_case_are_one(texts, write_folder, caplog):
    texts["lms"] = texts["lms"].replace("large,one", "large,One").replace("two", "PYTHIA")
    own = read_dataset(write_folder(texts))
    assert own.lms["lm_family"].tolist() == ["one", "one", "PYTHIA"]
    both = load_dataset().add(own)
    assert both.lms["lm_family"].tolist()[-3:] == ["one", "one", "pythia"]
    new = read_lms(own.lms.iloc[[2]], families=["olmo", "pythia"])
    assert new["lm_family"].tolist() == ["pythia"]
    assert [record.message for record in caplog.records] == [
        "lm_family of large: read 'One' as 'one'",
        "lm_family of other: read 'PYTHIA' as 'pythia'",
        "lm_family of other: read 'PYTHIA' as 'pythia'",
    ]  # fmt: skip


FRACTIONS = "lm,lm_family,n_params,n_tokens,code_share\n{}other,two,2e9,1e11,\n"


@pytest.mark.parametrize("cells", [("0.15", "0.3"), ("0", "1"), ("0.5%", "0.3")])
def test_shares_that_may_be_fractions_are_asked_about(cells, texts, write_folder, refusal):
    rows = "small,one,1e9,1e12,{}\nlarge,one,2e9,1e12,{}\n".format(*cells)
    folder = write_folder(texts | {"lms": FRACTIONS.format(rows)})
    value = cells[0] if cells[0] == "0.15" else cells[1]
    with refusal(DataError, f"{value} percent, or the fraction {value}", f"'{value}%'", "by 100"):
        read_dataset(folder)


def test_small_shares_in_percent_are_written_and_read_again(texts, write_folder, tmp_path):
    rows = "small,one,1e9,1e12,0%\nlarge,one,2e9,1e12,0.5%\n"
    data = read_dataset(write_folder(texts | {"lms": FRACTIONS.format(rows)}))
    assert data.lms["code_share"].tolist()[:2] == [0, 0.5]
    data.save(tmp_path / "saved")
    assert read_dataset(tmp_path / "saved").checksum == data.checksum


def test_few_items_allow_a_large_error(texts, write_folder, refusal):
    texts["scores"] = texts["scores"].replace("0.40,0.01", "0.40,0.2")
    texts["benchmarks"] = texts["benchmarks"].replace("metric", "metric,n_items")
    few = texts["benchmarks"].replace("accuracy", "accuracy,7").replace("brier", "brier,")
    assert read_dataset(write_folder(texts | {"benchmarks": few})).scores["se"].max() == 0.2
    more = few.replace(",7", ",8")
    with refusal(DataError, "line 6, column 'se'", "'reading'", "0.2"):
        read_dataset(write_folder(texts | {"benchmarks": more}))


GENERATION = "lm,generated_web_share,generated_code_share\nsmall,60,30\n"


def test_generations_are_read_and_are_part_of_the_content(texts, write_folder):
    plain = read_dataset(write_folder(texts))
    data = read_dataset(write_folder({**texts, "generation": GENERATION}))
    assert plain.generations is None
    assert data.generations["generated_code_share"].tolist() == [30.0]
    assert data.checksum != plain.checksum


@pytest.mark.parametrize(
    "old, new, message",
    [
        ("small,", "smal,", r"generation.csv, line 2, column 'lm': 'smal' has no row in lms.csv"),
        ("60", "160", r"generation.csv, line 2, column 'generated_web_share': 160 is outside"),
        ("60", "80", r"column 'generated_web_share': the generated shares of 'small' sum to 110"),
    ],
)
def test_wrong_generations(old, new, message, texts, write_folder):
    folder = write_folder({**texts, "generation": GENERATION.replace(old, new)})
    with pytest.raises(DataError, match=message):
        read_dataset(folder)
