"""Every mistake in a user's folder is named with file, line, column, what is allowed and a cure."""

import pytest

from bayesmeta.data.load import read_dataset, read_lms
from bayesmeta.errors import DataError, listing, suggest


def change(table, old, new):
    return lambda texts: {**texts, table: texts[table].replace(old, new)}


def without(table):
    return lambda texts: {name: text for name, text in texts.items() if name != table}


def become(table, content):
    return lambda texts: {**texts, table: content}


def add(table, line):
    return lambda texts: {**texts, table: texts[table] + line + "\n"}


# what is done to the folder | what the message must hold, in this order
CASES = {
    "misspelt column": (
        change("lms", "position_embedding", "positon_embedding"),
        "lms.csv, line 1: column 'positon_embedding' is not known. "
        "Did you mean 'position_embedding'? Allowed: lm, lm_family",
    ),
    "missing column": (
        become("scores", "lm,score\nsmall,0.3\n"),
        "scores.csv, line 1: column 'benchmark' is missing. Needed: lm, benchmark, score",
    ),
    "column twice": (
        change("scores", "score,se", "score,score"),
        "scores.csv, line 1: column 'score' appears 2 times",
    ),
    "unknown category": (
        change("lms", "rotary", "rotery"),
        "lms.csv, line 3, column 'position_embedding': 'rotery' | "
        "Allowed: rotary, learned, alibi, sinusoidal, or a blank cell | Did you mean 'rotary'?",
    ),
    "category called otherwise": (
        change("lms", "rotary", "rope"),
        "lms.csv, line 3, column 'position_embedding': 'rope' | Here it is called 'rotary'",
    ),
    "unknown metric": (
        change("benchmarks", "brier", "f1"),
        "benchmarks.csv, line 3, column 'metric': 'f1' | Allowed: accuracy, brier.",
    ),
    "accuracy in percent": (
        change("scores", "0.60", "60"),
        "scores.csv, line 4, column 'score': 60 is outside the range of 'reading' | "
        "Allowed: accuracy from 0 to 1 | If 60 is in percent, divide it by 100.",
    ),
    "negative accuracy": (
        change("scores", "0.60", "-0.60"),
        "scores.csv, line 4, column 'score': -0.6 is outside | accuracy from 0 to 1",
    ),
    "Brier score out of range": (
        change("scores", "1.10", "2.10"),
        "scores.csv, line 3, column 'score': 2.1 is outside | Allowed: brier from 0 to 2",
    ),
    "no number": (
        change("scores", "0.60", "60%"),
        "scores.csv, line 4, column 'score': '60%' is not a number. Allowed: a number",
    ),
    "infinite": (
        change("scores", "0.60", "inf"),
        "scores.csv, line 4, column 'score': 'inf' is not a number.",
    ),
    "count beyond everything": (
        change("lms", "7000000000", "1e300"),
        "lms.csv, line 3, column 'n_params': 1e+300 is outside | to 1e+18",
    ),
    "units in a count": (
        change("lms", "7000000000", "7B"),
        "lms.csv, line 3, column 'n_params': '7B' is not a number. Allowed: a whole number from "
        "1000 to 1e+18 (the count of parameters; 7B is 7000000000)",
    ),
    "count with decimals": (
        change("lms", "7000000000", "7000.5"),
        "lms.csv, line 3, column 'n_params': '7000.5' is not a whole number | Round it.",
    ),
    "duplicate lm": (
        change("lms", "other,", "small,"),
        "lms.csv, line 4, column 'lm': lm 'small' already stands on line 2. "
        "Allowed: one row for every lm",
    ),
    "duplicate score": (
        add("scores", "small,reading,0.31,"),
        "scores.csv, line 7, column 'benchmark': lm 'small' and benchmark 'reading' already "
        "stands on line 2. Allowed: one row for every lm and benchmark",
    ),
    "score of an unknown lm": (
        change("scores", "large,reading", "larger,reading"),
        "scores.csv, line 4, column 'lm': 'larger' has no row in lms.csv. Did you mean 'large'? "
        "Allowed: small, large, other",
    ),
    "score on an unknown benchmark": (
        change("scores", "large,reading", "large,readin"),
        "scores.csv, line 4, column 'benchmark': 'readin' has no row in benchmarks.csv. "
        "Did you mean 'reading'? Allowed: reading, proofs",
    ),
    "benchmark that is not bundled": (
        without("benchmarks"),
        "scores.csv, line 2, column 'benchmark': 'reading' is not a bundled benchmark | "
        "no benchmarks.csv | Allowed: anli, arc_challenge",
    ),
    "lm without scores": (
        add("lms", "silent,two,,1000000,1000000,,,"),
        "lms.csv, line 5, column 'lm': no score of 'silent' is in scores.csv. Allowed: every lm",
    ),
    "benchmark without scores": (
        add("benchmarks", "unused,code,accuracy"),
        "benchmarks.csv, line 4, column 'benchmark': no score of 'unused' is in scores.csv. "
        "Allowed:",
    ),
    "missing file": (
        without("scores"),
        "scores.csv does not exist. A dataset folder holds lms.csv, scores.csv",
    ),
    "empty file": (become("lms", ""), "lms.csv is empty. | columns: lm, lm_family"),
    "header only": (
        become("lms", "lm,lm_family,n_params,n_tokens\n"),
        "lms.csv has a header but no rows. Add at least one row below line 1",
    ),
    "binary": (
        become("lms", b"PK\x03\x04\xff\xfe\x00\x81"),
        "lms.csv is not CSV text | Allowed: comma-separated values in UTF-8",
    ),
    "NUL bytes": (become("lms", b"lm,lm_family\0\n"), "lms.csv is not CSV text | UTF-8"),
    "unclosed quote": (
        become("scores", 'lm,benchmark,score\n"small,reading,0.3\n'),
        "scores.csv is not CSV text | Allowed: comma-separated values",
    ),
    "semicolons": (
        become("lms", "lm;lm_family;n_params;n_tokens\na;b;1;2\n"),
        "lms.csv, line 1: the columns are separated by semicolons or tabs. Allowed: commas",
    ),
    "ragged row": (
        change("scores", "large,reading,0.60,0.01", "large,reading,0,60,0.01"),
        "scores.csv, line 4: the row has 5 cells, but the header names 4 columns",
    ),
    "share above 100": (
        change("lms", "rotary,20,80", "rotary,120,0"),
        "lms.csv, line 3, column 'code_share': 120 is outside the allowed range. "
        "Allowed: a number from 0 to 100 (percent of the training tokens)",
    ),
    "negative share": (
        change("lms", "rotary,20,80", "rotary,-1,80"),
        "lms.csv, line 3, column 'code_share': -1 is outside the allowed range. | from 0 to 100",
    ),
    "composition above 100": (
        change("lms", "rotary,20,80", "rotary,20.6,80"),
        "lms.csv, line 3, column 'web_share': the shares of 'large' sum to 100.6 percent "
        "(web_share 80, code_share 20.6). Allowed: a sum of web_share, code_share | at most 100.5",
    ),
    "no parameters": (
        change("lms", "7000000000", "0"),
        "lms.csv, line 3, column 'n_params': 0 is outside the allowed range. "
        "Allowed: a whole number from 1000 to 1e+18",
    ),
    "negative tokens": (
        change("lms", "300000000000", "-3"),
        "lms.csv, line 3, column 'n_tokens': -3 is outside the allowed range. "
        "Allowed: a whole number from 1000 to 1e+18",
    ),
    "blank size": (
        change("lms", "7000000000", ""),
        "lms.csv, line 3, column 'n_params': the cell is blank. Allowed: a whole number",
    ),
    "blank name": (
        change("scores", "large,reading", ",reading"),
        "scores.csv, line 4, column 'lm': the cell is blank. Allowed: text (an lm of lms.csv).",
    ),
    "bad month": (
        change("lms", "2023-07", "2023-13"),
        "lms.csv, line 3, column 'released': '2023-13' is not a month. "
        "Allowed: a year and a month as YYYY-MM",
    ),
    "negative standard error": (
        change("scores", "0.60,0.01", "0.60,-0.01"),
        "scores.csv, line 4, column 'se': -0.01 is outside the allowed range. "
        "Allowed: a number from 0 up",
    ),
    "chance out of range": (
        become("benchmarks", "benchmark,task_family,metric,chance\nreading,l,accuracy,25\n"),
        "benchmarks.csv, line 2, column 'chance': 25 is outside the allowed range. "
        "Allowed: a number from 0 to 2",
    ),
    "blank lines keep the count": (
        change("scores", "large,reading,0.60", "\n\nlarge,reading,x"),
        "scores.csv, line 6, column 'score': 'x' is not a number. | Allowed",
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_message(case, texts, write_folder):
    mistake, parts = CASES[case]
    folder = write_folder(mistake(texts))
    with pytest.raises(DataError) as caught:
        read_dataset(folder)
    message = str(caught.value)
    assert message.startswith(str(folder))
    assert "\n" not in message
    position = 0
    for part in parts.split(" | "):
        position = message.index(part.strip(), position)


def test_shares_may_sum_to_the_limit_but_for_rounding(texts, write_folder):
    code, web, books = 44.2, 20.1, 36.2
    assert code + web + books > 100.5  # by the last bit of a double
    rows = [f"{line},{books if line.startswith('large') else ''}" for line in texts["lms"].split()]
    lms = "\n".join(rows).replace("web_share,", "web_share,books_share")
    folder = write_folder(texts | {"lms": lms.replace("rotary,20,80", f"rotary,{code},{web}")})
    assert read_dataset(folder).lms["books_share"].max() == books


def test_missing_and_empty_folder(tmp_path):
    with pytest.raises(DataError, match=r"nowhere is not a folder\..*holds lms\.csv"):
        read_dataset(tmp_path / "nowhere")
    with pytest.raises(DataError, match=r"is empty\..*holds lms\.csv, scores\.csv"):
        read_dataset(tmp_path)


def test_read_lms_names_its_own_file(tmp_path):
    path = tmp_path / "planned.csv"
    path.write_text("lm,lm_family,n_params,n_tokens,norm\na,f,7e9,1e12,batchnorm\n")
    with pytest.raises(DataError, match=r"planned\.csv, line 2, column 'norm': 'batchnorm'"):
        read_lms(path)


def test_helpers():
    assert suggest("Rotary", ["rotary"]) == " Did you mean 'rotary'?"
    assert suggest("web", ["mix", "web_share"]) == " Did you mean 'web_share'?"
    assert suggest("zzz", ["rotary"]) == suggest("a", []) == suggest("ro", ["rotary_share"]) == ""
    assert listing(["a", 1]) == "a, 1"
