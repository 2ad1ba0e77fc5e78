"""What two datasets have different, cell by cell."""

from dataclasses import replace

import pandas as pd
import pytest

import bayesmeta as bm
from bayesmeta.data.differences import count_differences
from bayesmeta.data.load import load_corrections
from bayesmeta.errors import DataError


def test_versions_differ_in_what_the_corrections_say():
    found = bm.diff_datasets(bm.load_dataset(version="as-published"), bm.load_dataset())
    rows = load_corrections().fillna("")
    rows = rows[rows["published_value"] != rows["corrected_value"]]
    of_lms = rows[~rows["field"].str.startswith("score:")]
    numbers = pd.to_numeric(of_lms["published_value"], errors="coerce") == pd.to_numeric(
        of_lms["corrected_value"], errors="coerce"
    )
    expected = set(zip(*(of_lms.loc[~numbers, name] for name in ("lm", "field")), strict=True))
    cells = found[found["table"] == "lms"]
    assert set(zip(cells["row"], cells["column"], strict=True)) == expected
    assert (cells["change"] == "changed").all()
    filled = rows["field"].str.startswith("score:") & rows["published_value"].eq("")
    assert count_differences(found)["scores"]["added"] == filled.sum()


def test_every_cell_of_a_row_that_one_has(bundled):
    fewer = replace(bundled, scores=bundled.scores.iloc[1:])
    row = bundled.scores.iloc[0]
    for pair, change, place in (((fewer, bundled), "added", "after"),
                                ((bundled, fewer), "removed", "before")):  # fmt: skip
        found = bm.diff_datasets(*pair).set_index("column")
        assert set(found["change"]) == {change}
        assert set(found["row"]) == {f"{row['lm']}, {row['benchmark']}"}
        assert float(found.loc["score", place]) == row["score"]
        assert found.loc["source", place] == row["source"]
        counts = {"added": 0, "removed": 0, "changed": 0, change: 1}
        assert count_differences(found.reset_index()) == {"scores": counts}


def test_order_says_nothing_and_differences_can_be_laid_over(bundled):
    assert len(bm.diff_datasets(bundled, replace(bundled, lms=bundled.lms.iloc[::-1]))) == 0
    other = replace(bundled, lms=bundled.lms.assign(norm="rmsnorm"))
    found = bm.diff_datasets(bundled, other)
    laid = bundled.lms.set_index("lm")["norm"].copy()
    laid.update(found.set_index("row")["after"])
    assert laid.tolist() == other.lms["norm"].tolist()
    assert set(found["column"]) == {"norm"}


def test_experiments_are_tables_too(bundled):
    with_them = bm.load_dataset(experiments=True)
    counts = count_differences(bm.diff_datasets(bundled, with_them))
    assert counts["results"] == {"added": 2576, "removed": 0, "changed": 0}
    alone = bm.load_experiments()
    assert len(bm.diff_datasets(alone, alone)) == 0


def test_only_datasets_differ():
    with pytest.raises(DataError, match=r"after is 'corrected'\. Allowed: a Dataset"):
        bm.diff_datasets(bm.load_dataset(), "corrected")  # pyright: ignore[reportArgumentType]
