"""Every mistake in a user's folder is named with file, line, column, what is allowed and a cure."""

import re

import pytest

from bayesmeta.data.load import read_dataset, read_lms
from bayesmeta.errors import DataError, listing, suggest

# where the message says it is | what is changed in that file | what else it names
CHANGED = """
lms, line 1: column 'positon_embedding' | position_embedding -> positon_embedding \
    | 'position_embedding'; lm, lm_family
scores, line 1: column 'score' | score,se -> score,score | 2 times
lms, line 3, column 'position_embedding' | rotary -> rotery \
    | 'rotery'; 'rotary'; rotary, learned, alibi, sinusoidal; blank
lms, line 3, column 'position_embedding' | rotary -> rope | 'rope'; 'rotary'
benchmarks, line 3, column 'metric' | brier -> f1 | 'f1'; accuracy, brier
scores, line 4, column 'score' | 0.60 -> 60 | 60; 'reading'; accuracy; 0; 1; percent; 100
scores, line 4, column 'score' | 0.60 -> -0.60 | -0.6; accuracy; 0; 1
scores, line 3, column 'score' | 1.10 -> 2.10 | 2.1; brier; 0; 2
scores, line 4, column 'score' | 0.60 -> 60% | '60%'; number
scores, line 4, column 'score' | 0.60 -> inf | 'inf'; number
scores, line 6, column 'score' | large,reading,0.60 -> \\n\\nlarge,reading,x | 'x'; number
scores, line 4 | large,reading,0.60,0.01 -> large,reading,0,60,0.01 | 5; 4 columns
lms, line 3, column 'n_params' | 7000000000 -> 1e300 | 1e+300; 1e+18
lms, line 3, column 'n_params' | 7000000000 -> 7.3 | '7.3'; billions; 7.3B; whole number; 1000
lms, line 3, column 'n_tokens' | 300000000000 -> 300 | '300'; billions; 300B; whole number; 1e+18
lms, line 3, column 'n_params' | 7000000000 -> 7Q | '7Q'; whole number; 1000; 1e+18; 7000000000
lms, line 3, column 'n_params' | 7000000000 -> 1_000_000_000 | '1_000_000_000'; thousands
lms, line 3, column 'n_params' | 7000000000 -> 7000.5 | '7000.5'; whole number; Round
lms, line 3, column 'n_params' | 7000000000 -> 0 | 0; whole number; 1000; 1e+18
lms, line 3, column 'n_tokens' | 7000000000,300000000000 -> , \
    | 'large'; n_params; n_tokens; Fill one in; leave the LM out
lms, line 3, column 'n_tokens' | 300000000000 -> 0 | 0; whole number; 1000; 1e+18
lms, line 3, column 'n_tokens' | 300000000000 -> withheld | 'withheld'; number; blank
lms, line 3, column 'n_tokens' | 300000000000 -> -3 | -3; whole number; 1000; 1e+18
lms, line 3, column 'code_share' | rotary,20,80 -> rotary,120,0 | 120; 0; 100; percent
lms, line 3, column 'code_share' | rotary,20,80 -> rotary,-1,80 | -1; 0; 100
lms, line 3, column 'web_share' | rotary,20,80 -> rotary,20.6,80 \
    | 'large'; 100.6; web_share 80; code_share 20.6; 100.5
lms, line 3, column 'released' | 2023-07 -> 2023-13 | '2023-13'; month; YYYY-MM
scores, line 4, column 'lm' | large,reading -> larger,reading \
    | 'larger'; 'large'; lms.csv; small, large, other
scores, line 4, column 'lm' | large,reading -> ,reading | blank; text; lms.csv
scores, line 4, column 'benchmark' | large,reading -> large,readin \
    | 'readin'; 'reading'; benchmarks.csv; reading, proofs
scores, line 4, column 'se' | 0.60,0.01 -> 0.60,-0.01 | -0.01; number; 0
scores, line 4, column 'se' | 0.60,0.01 -> 0.60,0.5 | 'reading'; 0.5; 0.1; 26 items; percent; blank
scores, line 4, column 'se' | 0.60,0.01 -> 0.60,0 | 'reading'; 0; above 0; blank cell for unknown
scores, line 3, column 'se' | 1.10, -> 1.10,0.3 | 'proofs'; 0.3; 0.2; brier
lms, line 2, column 'web_share' | 10,80 -> 0.1,0.8 | fractions; percent; 100
lms, line 3, column 'released' | 2023-07 -> 2023-02-31 | '2023-02-31'; full date
"""

# where the message says it is | what is written below that file | what else it names
ADDED = """
scores, line 7, column 'benchmark' | small,reading,0.31, | 'small'; 'reading'; line 2; one row
lms, line 5, column 'lm' | small,two,,1000000,1000000,,, | 'small'; line 2; one row
lms, line 5, column 'lm' | silent,two,,1000000,1000000,,, | 'silent'; scores.csv; every lm
benchmarks, line 4, column 'benchmark' | unused,code,accuracy | 'unused'; scores.csv; Allowed
"""

# where the message says it is; what is written instead of a file; what else it names
REPLACED = [
    ("scores.csv, line 1", {"scores": "lm,score\nsmall,0.3\n"}, "'benchmark'; benchmark, score"),
    ("scores.csv, line 2",
     {"benchmarks": None, "scores": "lm,benchmark,score\nsmall,reading,0.3\nlarge,anli,1\n"},
     "'benchmark'; 'reading'; benchmarks.csv; anli"),
    ("scores.csv", {"scores": None}, "exist; lms.csv, scores.csv"),
    ("lms.csv", {"lms": ""}, "empty; lm, lm_family"),
    ("lms.csv", {"lms": "lm,lm_family,n_params,n_tokens\n"}, "header; line 1"),
    ("lms.csv", {"lms": b"PK\x03\x04\xff\xfe\x00\x81"}, "CSV; comma-separated; UTF-8"),
    ("lms.csv", {"lms": b"lm,lm_family\0\n"}, "CSV; UTF-8"),
    ("scores.csv", {"scores": 'lm,benchmark\n"small,reading\n'}, "CSV; comma-separated"),
    ("lms.csv, line 1", {"lms": "lm;lm_family\na;b\n"}, "semicolons; commas"),
    ("benchmarks.csv, line 2, column 'chance'",
     {"benchmarks": "benchmark,task_family,metric,chance\nreading,l,accuracy,25\n"
      "proofs,l,brier,2\n"}, "25; 0; 2"),
]  # fmt: skip


# where the message says it is; a further column of the three LMs; what else the message names
COLUMN = [
    ("line 3, column 'n_epochs'", "n_epochs", ("1", "0.5", "4"), "0.5; 1; 1000; 1 is once"),
    ("line 2, column 'n_epochs'", "n_epochs", ("2000", "1", ""), "2000; 1000; on average"),
    ("line 3, column 'derived_from'", "derived_from", ("", "large", ""),
     "'large' continues 'large': a circle; whose weights; blank cell for training from scratch"),
    ("line 2, column 'derived_from'", "derived_from", ("unlisted; other", "small", "large"),
     "'small' continues 'unlisted', which continues 'other', which continues 'large', which "
     "continues 'small': a circle; another lm of the circle"),
]  # fmt: skip


def rows_of(text):
    return [[cell.strip() for cell in row.split("|")] for row in text.strip().splitlines()]


@pytest.fixture
def hold_to(write_folder, refusal):
    """A folder of tables is refused: where, and by naming what."""

    def hold(tables, *, where, named):
        folder = write_folder({name: text for name, text in tables.items() if text is not None})
        with refusal(DataError, *named.split("; ")) as caught:
            read_dataset(folder)
        assert str(caught.value).startswith(f"{folder}/{where}")

    return hold


def place(where):
    """The table that a place is in, and how a message writes the place."""
    table = where.partition(",")[0]
    return table, where.replace(table, f"{table}.csv", 1)


@pytest.mark.parametrize("where, change, named", rows_of(CHANGED))
def test_changed_cell(texts, hold_to, where, change, named):
    (table, where), (old, _, new) = place(where), change.partition(" ->")
    assert old in texts[table]
    text = texts[table].replace(old, new.strip().replace("\\n", "\n"))
    hold_to(texts | {table: text}, where=where, named=named)


@pytest.mark.parametrize("where, line, named", rows_of(ADDED))
def test_added_line(texts, hold_to, where, line, named):
    table, where = place(where)
    hold_to(texts | {table: f"{texts[table]}{line}\n"}, where=where, named=named)


@pytest.mark.parametrize("where, name, cells, named", COLUMN)
def test_further_column(texts, hold_to, where, name, cells, named):
    rows = zip(texts["lms"].splitlines(), (name, *cells), strict=True)
    lms = "".join(f"{row},{cell}\n" for row, cell in rows)
    hold_to(texts | {"lms": lms}, where=f"lms.csv, {where}", named=named)


@pytest.mark.parametrize("where, tables, named", REPLACED)
def test_file_that_is_otherwise(texts, hold_to, where, tables, named):
    hold_to(texts | tables, where=where, named=named)


MANY = {
    "lms": "LM,lm_family,n_params,n_tokens,norm,released\n"
    "a,f,7.3,1e12,rmsnrm,2023\nb,f,1e9,much,rmsnorm,\nb,f,1e9,1e12,rmsnorm,\n",
    "scores": "lm,benchmark,score,se\na,hellaswag,50,0.5\nc,helaswag,0.5,\nc,helaswag,0.4,\n",
}


def test_all_problems_are_named_at_once(write_folder):
    with pytest.raises(DataError) as caught:
        read_dataset(write_folder(MANY))
    *problems, last = str(caught.value).splitlines()
    assert tuple(problems) == caught.value.problems
    assert last == "10 problems in all."
    places = [re.sub(r".*/(\w+)\.csv, line (\d+), column '(\w+)'.*", r"\1 \2 \3", one)
              for one in problems]  # fmt: skip
    assert places == [
        "lms 2 n_params", "lms 2 released", "lms 2 norm", "lms 3 n_tokens", "lms 4 lm",
        "scores 2 score", "scores 2 se", "scores 3 benchmark", "scores 3 lm", "scores 4 benchmark",
    ]  # fmt: skip


def test_many_problems_are_counted(texts, write_folder):
    rows = [f"lm{k},one,,7,{'much' if k % 2 else '1e12'},,,\n" for k in range(300)]
    with pytest.raises(DataError) as caught:
        read_dataset(write_folder(texts | {"lms": texts["lms"] + "".join(rows)}))
    lines = str(caught.value).splitlines()
    assert len(lines) == 11
    assert "lms.csv, line 5, column 'n_params': '7' is too small" in lines[0]
    assert lines[-1] == "450 problems in all; the first 10 are shown."


def test_wrong_columns_are_all_named(texts, write_folder):
    lms = texts["lms"].replace("position_embedding", "layout").replace("n_tokens", "tokens")
    lms = lms.replace("lm_family", "developer")
    with pytest.raises(DataError) as caught:
        read_dataset(write_folder(texts | {"lms": lms}))
    named = [re.findall(r"column '(\w+)' is ([\w ]+)\.", one)[0] for one in caught.value.problems]
    assert named == [("tokens", "not known"), ("layout", "not known"), ("lm_family", "missing")]


def test_a_circle_is_one_problem(texts, write_folder):
    rows = zip(texts["lms"].splitlines(), ("derived_from", "other", "small", "large"), strict=True)
    lms = "".join(f"{row},{cell}\n" for row, cell in rows)
    with pytest.raises(DataError) as caught:
        read_dataset(write_folder(texts | {"lms": lms}))
    assert len(caught.value.problems) == 1


def test_shares_may_sum_to_the_limit_but_for_rounding(texts, write_folder):
    code, web, books = 44.2, 20.1, 36.2
    assert code + web + books > 100.5  # by the last bit of a double
    rows = [f"{line},{books if line.startswith('large') else ''}" for line in texts["lms"].split()]
    lms = "\n".join(rows).replace("web_share,", "web_share,books_share")
    folder = write_folder(texts | {"lms": lms.replace("rotary,20,80", f"rotary,{code},{web}")})
    assert read_dataset(folder).lms["books_share"].max() == books


def test_missing_and_empty_folder(tmp_path, refusal):
    with refusal(DataError, f"{tmp_path}/nowhere", "lms.csv, scores.csv"):
        read_dataset(tmp_path / "nowhere")
    with refusal(DataError, str(tmp_path), "empty", "lms.csv, scores.csv"):
        read_dataset(tmp_path)


def test_read_lms_names_its_own_file(tmp_path, refusal):
    path = tmp_path / "planned.csv"
    path.write_text("lm,lm_family,n_params,n_tokens,norm\na,f,7e9,1e12,batchnorm\n")
    with refusal(DataError, "planned.csv, line 2, column 'norm'", "'batchnorm'", "rmsnorm"):
        read_lms(path)


def test_helpers():
    assert suggest("Rotary", ["rotary"]) == " Did you mean 'rotary'?"
    assert suggest("web", ["mix", "web_share"]) == " Did you mean 'web_share'?"
    assert suggest("zzz", ["rotary"]) == suggest("a", []) == suggest("ro", ["rotary_share"]) == ""
    assert listing(["a", 1]) == "a, 1"
