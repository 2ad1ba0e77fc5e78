"""Controlled experiments: the bundled tables, folders of one's own, and everything refused."""

import re

import pandas as pd
import pytest

import bayesmeta as bm
from bayesmeta.data.arm_facts import fill_from_group, list_facts
from bayesmeta.data.csv_tables import format_table, read_table
from bayesmeta.data.experiments import FILES
from bayesmeta.data.load import bundled_folder
from bayesmeta.data.schema import COLUMNS, KEYS, column_names
from bayesmeta.data.vocabulary import MIX_COLUMNS
from bayesmeta.errors import DataError

FOLDER = bundled_folder() / "experiments"
ALL_ROWS = 3348
"""Scores and losses that were collected."""

ARMS = """study,group,arm,n_params,n_tokens,attention,code_share,web_share
mine,small,many,1000000000,20000000000,mha,10,80
mine,small,few,1000000000,20000000000,gqa,,
mine,large,many,7000000000,,mha,,
mine,large,few,7000000000,,gqa,,
"""
RESULTS = """study,group,arm,benchmark,protocol,score,se,n_seeds
mine,small,many,hellaswag,"acc, 0-shot",0.41,0.005,1
mine,small,few,hellaswag,"acc, 0-shot",0.42,0.004,3
mine,large,many,hellaswag,"acc, 0-shot",0.61,,
mine,large,few,hellaswag,"acc, 0-shot",0.60,,
"""
TEXTS = {"arms": ARMS, "results": RESULTS}


@pytest.fixture(scope="module")
def experiments():
    return bm.load_experiments()


def read(name):
    table = {"benchmarks": "experiment_benchmarks"}.get(name, name)
    return read_table(FOLDER / f"{name}.csv", table=table)


def test_counts(experiments):
    assert repr(experiments).startswith("Experiments(16 studies, 67 groups, 207 arms, 2,576 res")
    assert len(experiments.studies) == 31
    left_out = read("left_out")
    assert len(experiments.results) + left_out["rows"].sum() == ALL_ROWS
    assert set(left_out["study"]) <= set(experiments.studies["study"])
    silent = set(experiments.studies["study"]) - set(experiments.arms["study"])
    assert silent <= set(left_out["study"])
    assert experiments.summarise()["n_results"].sum() == 2576


def test_the_dictionary_has_the_counts_and_every_column():
    text = (bundled_folder() / "README.md").read_text()
    for name in ("studies", "arms", "results", "benchmarks", "left_out", "run_noise"):
        assert f"| `experiments/{name}.csv` | {len(read(name))} |" in text
    told = text[text.index("## `experiments/`") : text.index("## Open questions")]
    for table in ("studies", "arms", "results", "left_out", "run_noise"):
        assert [name for name in column_names(table) if f"`{name}`" not in told] == []
    words = [word for column in COLUMNS["arms"][-1:] for word in column.allowed]
    assert [word for word in words if word not in told] == []
    assert f"{ALL_ROWS} published" in told
    assert f"other {read('left_out')['rows'].sum()}" in told


def test_files_are_in_canonical_form():
    for name in ("studies", "arms", "results", "benchmarks", "left_out", "run_noise"):
        path = FOLDER / f"{name}.csv"
        table = {"benchmarks": "experiment_benchmarks"}.get(name, name)
        frame = read(name)
        assert format_table(frame, table=table) == path.read_text()
        assert tuple(path.read_text().split("\n", 1)[0].split(",")) == column_names(table)
        assert not frame.duplicated(list(KEYS[table])).any()
        assert all(column.accepts(frame[column.name]).all() for column in COLUMNS[table])


def test_every_arm_is_dated_cited_and_scored(experiments):
    arms, key = experiments.arms, ["study", "group", "arm"]
    assert arms[["released", "citation", "control"]].notna().all(axis=None)
    scored = experiments.results[key].drop_duplicates()
    assert len(arms.merge(scored, on=key)) == len(arms)
    assert (
        experiments.studies[["title", "year", "url", "licence", "read_from"]].notna().all(axis=None)
    )


def test_blank_cells_are_unknown_for_a_whole_group(experiments):
    pd.testing.assert_frame_equal(read("arms").reset_index(drop=True), experiments.arms)


def test_one_run_has_one_set_of_scores_and_facts(experiments):
    arms = experiments.arms[experiments.arms["run"].notna()]
    held = ["n_params", "n_tokens", "position_embedding", "attention", "corpus"]
    for _, run in arms.groupby(["study", "run"]):
        assert len(run) > 1
        assert (run[held].nunique() <= 1).all()
    scores = experiments.results.merge(arms[["study", "group", "arm", "run"]])
    spread = scores.groupby(["study", "run", "benchmark", "protocol"])["score"].nunique()
    assert (spread == 1).all()


def test_shares_are_those_of_the_lms(experiments, bundled):
    arms = experiments.arms
    pile = arms[arms["study"].eq("bigscience-tr3") & arms["corpus"].eq("pile")]
    lms = bundled.lms.set_index("lm")
    for name in MIX_COLUMNS:
        assert pile[name].tolist() == [lms.loc["EleutherAI/pythia-1.4b", name]]
    dolma = arms[arms["corpus"].eq("dolma")]
    assert (dolma["code_share"] == lms.loc["allenai/OLMo-7B-hf", "code_share"]).all()
    assert arms[list(MIX_COLUMNS)].sum(axis="columns").max() <= 100.2


def test_errors_of_single_runs_come_from_the_items(experiments):
    items = experiments.benchmarks.set_index("benchmark")["n_items"]
    rows = experiments.results.query("n_seeds == 1 and study == 'gadre'")
    n = rows["benchmark"].map(items)
    expected = (rows["score"] * (1 - rows["score"]) / n) ** 0.5
    assert ((rows["se"] / expected - 1).abs() < 0.01).all()
    assert (experiments.results["se"].dropna() > 0).all()


def test_checksums(experiments, bundled):
    assert experiments.checksum == bm.load_experiments().checksum
    both = bm.load_dataset()
    assert bundled.experiments is None
    assert both.checksum != bundled.checksum == bm.load_dataset(experiments=False).checksum
    assert both.experiments is not None
    assert both.experiments.checksum == experiments.checksum


def test_contrasts_of_the_scheme(experiments, audited):
    path = audited / "experiments" / "scheme.csv"
    if not path.is_file():
        pytest.skip("the contrasts are not on this machine")
    starts = {"eleuther-rotary-harness": "eleuther", "deepseek-v2": "deepseekv2",
              "smol-playbook": "smol", "bigscience-tr3": "bigscience"}  # fmt: skip
    # Where an arm has several protocols, the contrasts are of their mean, MMLU's shots included.
    scores = experiments.results.replace({"benchmark": {"mmlu_0shot": "mmlu_5shot"}})
    means = scores.groupby(["study", "group", "arm", "benchmark"])["score"].mean()
    contrasts = pd.read_csv(path, dtype={"arm": str, "base": str})
    assert len(contrasts) == 296
    for row in contrasts.to_dict("records"):
        study, ahead = row["study"], "code-" if row["study"] == "muennighoff" else ""
        group = row["group"].removeprefix(f"{starts.get(study, study)}-")
        one, two = (
            means[study, group, f"{ahead}{row[name]}", row["benchmark"]] for name in ("arm", "base")
        )
        assert abs(100 * (one - two) - row["observed"]) < 0.06, row


def test_own_folder(write_folder):
    folder = write_folder(TEXTS)
    own = bm.read_experiments(folder)
    assert own.source == str(folder)
    assert own.arms["code_share"].tolist()[:2] == [10, 10]  # blank: as the other arm
    assert own.arms["n_tokens"].isna().sum() == 2
    assert own.studies["study"].tolist() == ["mine"]
    assert own.benchmarks["benchmark"].tolist() == ["hellaswag"]
    assert own.summarise().loc[0, ["n_groups", "n_arms", "decisions"]].tolist() == [
        2, 4, "attention",
    ]  # fmt: skip


def test_the_example_of_the_dictionary_can_be_read(write_folder):
    text = (bundled_folder() / "README.md").read_text()
    arms, results = re.findall(r"(?:^ {4}.*\n)+", text, re.MULTILINE)
    folder = write_folder({"arms": arms, "results": results})
    assert bm.read_experiments(folder).summarise()["decisions"].tolist() == [
        "code_share, web_share"
    ]


def test_spreadsheet_habits_are_taken(write_folder):
    clean = bm.read_experiments(write_folder(TEXTS)).checksum
    odd = {
        name: b"\xef\xbb\xbf" + text.replace("\n", "\r\n").encode() for name, text in TEXTS.items()
    }
    assert bm.read_experiments(write_folder(odd)).checksum == clean


def test_own_benchmarks(write_folder):
    texts = {name: text.replace("hellaswag", "riddles") for name, text in TEXTS.items()}
    texts["benchmarks"] = "benchmark,task_family,metric\nriddles,logic,accuracy\n"
    own = bm.read_experiments(write_folder(texts)).benchmarks
    assert own[["label", "direction"]].to_numpy().tolist() == [["riddles", "higher"]]


def test_experiments_are_added_saved_and_read(write_folder, experiments, tmp_path, refusal):
    own = bm.read_experiments(write_folder(TEXTS))
    data = bm.load_dataset().add(own)
    assert data.experiments.arms["study"].nunique() == 17
    assert "17 studies" in repr(data)
    with refusal(DataError, "study 'mine'", "another study", "Remove"):
        data.add(own)
    data.save(tmp_path / "both")
    again = bm.read_dataset(tmp_path / "both")
    assert again.checksum == data.checksum
    assert {file.name for file in (tmp_path / "both/experiments").iterdir()} == {*FILES.values()}
    with refusal(DataError, "experiments", "name another folder"):
        bm.load_dataset(experiments=False).save(tmp_path / "both")
    with refusal(DataError, "Dataset", "Experiments", "bm.read_experiments"):
        data.add("folder")


def test_a_benchmark_has_one_metric(write_folder, experiments, refusal):
    texts = TEXTS | {"benchmarks": "benchmark,task_family,metric\nhellaswag,commonsense,brier\n"}
    with refusal(DataError, "hellaswag", "accuracy", "brier", "another name"):
        experiments.add(bm.read_experiments(write_folder(texts)))


def test_saved_fit_keeps_experiments(build_fake_fit, small, write_folder, tmp_path):
    data = small.add(bm.read_experiments(write_folder(TEXTS)))
    with pytest.warns(UserWarning, match="experiments of the data say nothing here"):
        fit = build_fake_fit(data)
    fit.save(tmp_path / "fit.nc")
    assert bm.load_fit(tmp_path / "fit.nc").dataset.checksum == data.checksum


def test_blank_cells_that_others_disagree_on_stay_blank():
    names = {"study": "s", "group": "g", "arm": list("abc")}
    norms = pd.DataFrame({**names, "norm": ["layernorm", None, "rmsnorm"]})
    assert fill_from_group(norms)["norm"].isna().tolist() == [False, True, False]
    web = {**names, "web_share": [80, 80, None]}
    alone = fill_from_group(pd.DataFrame({**web, "code_share": [10, 20, None]}))
    assert alone["web_share"].tolist() == [80, 80, 80]
    assert alone["code_share"].isna().tolist() == [False, False, True]
    partly = fill_from_group(pd.DataFrame({**web, "code_share": [10, 20, 30]}))
    assert partly["web_share"].isna().tolist() == [False, False, True]


# where the message says it is | what is changed in that file | what else it names
REFUSED = """
arms, line 4, column 'group' | mine,large,few,7000000000,,gqa,, -> \
    | 'many'; 'mine'; 'large'; alone; two arms or more; Add
arms, line 2, column 'group' | mha,10,80 -> gqa,10,80 \
    | 'many'; 'few'; 'small'; 'mine'; differ in nothing; attention
arms, line 3, column 'attention' | gqa,, -> gkq,, | 'few'; 'mine'; 'gkq'; 'gqa'; mha, gqa, mqa
arms, line 3, column 'arm' | mine,small,few -> mine,small,many | 'mine'; 'small'; 'many'; line 2
arms, line 2, column 'web_share' | mha,10,80 -> mha,30,80 | 'many'; 'mine'; 110; 100.5; Rescale
arms, line 2, column 'code_share' | mha,10,80 -> mha,110,0 | 'many'; 'mine'; 110; 100; percent
arms, line 2, column 'web_share' | mha,10,80 -> mha,0.2,0.8 | 'many'; 'mine'; 1; fractions; 100
arms, line 2, column 'n_params' | 1000000000,20000000000,mha -> 1Q,20000000000,mha \
    | '1Q'; whole number
arms, line 2, column 'n_params' | 1000000000,20000000000,mha -> 1.3,20000000000,mha \
    | 'many'; 'mine'; '1.3'; 7000000000; billions; 1.3B
arms, line 2, column 'web_share' | mha,10,80 -> mha,0.1,0.8 | 'many'; 0.9; fractions; 100
arms, line 2, column 'code_share' | mha,10,80 -> mha,0.1, \
    | 'many'; 'small'; 'mine'; 0.1; fraction; percent; 100; fill in
arms, line 3, column 'attention' | gqa,, -> g\x1bqa,, | 'few'; x1bqa; 'gqa'
arms, line 3, column 'arm' | mine,small,few -> mine,small,f\u200bew \
    | u200bew; 'mine'; printed; 200 printable characters
arms, line 1: column 6 | attention -> | no name; index
arms, line 1: column 'grp' | study,group -> study,grp | 'grp'; group
arms, line 1: column 'n_tokens' | n_tokens -> context_length | 'n_tokens'; n_params
arms, line 1: the columns | study,group,arm,n_params,n_tokens,attention,code_share,web_share -> \
    study;group;arm | semicolons; commas
results, line 3, column 'arm' | mine,small,few -> mine,small,fewer \
    | 'fewer'; 'small'; 'mine'; arms.csv; 'few'; many, few; add a row
results, line 3, column 'group' | mine,small,few -> mine,tiny,few | 'tiny'; small, large; add
results, line 3, column 'study' | mine,small,few -> yours,small,few | 'yours'; 'few'; mine; add
results, line 3, column 'benchmark' | few,hellaswag,"acc, 0-shot",0.42 -> \
    few,helaswag,"acc, 0-shot",0.42 | 'few'; 'mine'; 'helaswag'; 'hellaswag'; benchmarks.csv
results, line 3, column 'score' | 0.42 -> 42 | 'few'; 'mine'; 42; percent; a loss; accuracy; 100
results, line 3, column 'score' | 0.42 -> 420.5 | 'few'; 'mine'; 420.5; a loss; perplexity
results, line 3, column 'score' | 0.42 -> -0.42 | 'few'; 'mine'; -0.42; accuracy
results, line 3, column 'score' | 0.42 -> | blank; number
results, line 3, column 'se' | 0.004 -> 0 | 'few'; 'mine'; 0; 'hellaswag'; blank; unknown
results, line 3, column 'se' | 0.004 -> -1 | 'few'; 'mine'; -1; number
results, line 3, column 'n_seeds' | 0.004,3 -> 0.004,0 | 'few'; 'mine'; 0; whole number
results, line 3, column 'n_seeds' | 0.004,3 -> 0.004,1234 | 'few'; 'mine'; 1234; 1000
results, line 3, column 'n_seeds' | 0.004,3 -> 0.004,2.5 | 'few'; 'mine'; '2.5'; Round it
results, line 3, column 'se' | 0.004 -> 0.48 | 'few'; 'mine'; 0.48; 'hellaswag'; 0.1; percent; 100
results, line 3, column 'se' | 0.004 -> 1e-300 | 'few'; 'mine'; 1e-300; blank
results, line 3, column 'score' | 0.42 -> 1.2 | 'few'; 'mine'; a Brier score; percent; metric
results, line 3, column 'score' | 0.42 -> n/a | 'few'; 'small'; 'mine'; 'n/a'; a number
results, line 3, column 'study' | mine,small,few -> ,small,few | 'few'; blank; Fill
results, line 3, column 'arm' | mine,small,few -> mine,small,NA | 'NA'; 'small'; blank; Fill
results, line 3, column 'protocol' | mine,small,few -> mine,small,many \
    | 'mine'; 'small'; 'many'; 'hellaswag'; line 2; Remove
results, line 1: column 'scores' | score,se -> se,scores | 'scores'; 'score'
"""
CASES = [
    [cell.strip() for cell in row.split("|")]
    for row in REFUSED.strip().replace("\\\n", " ").splitlines()
]


@pytest.mark.parametrize("where, change, named", CASES)
def test_refusals(write_folder, refusal, where, change, named):
    table, (old, _, new) = where.partition(",")[0], change.partition(" ->")
    assert old in TEXTS[table]
    new = new.strip().replace("\\x1b", "\x1b").replace("\\u200b", "\u200b")
    folder = write_folder(TEXTS | {table: TEXTS[table].replace(old, new, 1)})
    with refusal(DataError, *named.split("; ")) as caught:
        bm.read_experiments(folder)
    assert str(caught.value).startswith(f"{folder}/{where.replace(table, f'{table}.csv', 1)}")


@pytest.mark.parametrize("table", TEXTS)
def test_long_values_are_cut(write_folder, table):
    for old in (TEXTS[table].split(",", 1)[0], "small", "few", "gqa", "0.42", "hellaswag"):
        folder = write_folder(TEXTS | {table: TEXTS[table].replace(old, 5000 * "4", 1)})
        if old in TEXTS[table]:
            with pytest.raises(DataError) as caught:
                bm.read_experiments(folder)
            assert len(str(caught.value)) < 1500 + len(str(folder))


def test_arms_of_a_group_are_compared_on_something(write_folder, refusal):
    named = ("arms.csv, line 4, column 'group'", "'large'", "'mine'", "protocol", "Add them")
    for old, new in (("few,hellaswag", "few,piqa"), ("0-shot", "5-shot")):
        head, tail = RESULTS.rsplit(old, 1)
        with refusal(DataError, *named):
            bm.read_experiments(write_folder(TEXTS | {"results": head + new + tail}))


def test_what_is_no_csv_text_is_placed(write_folder, refusal):
    for text, line in ((ARMS.replace("large,few", 'large,"few'), 5),
                       (ARMS.replace("large,few", "large,féw").encode("latin-1"), 5)):  # fmt: skip
        with refusal(DataError, "arms.csv", f"line {line}", "CSV UTF-8"):
            bm.read_experiments(write_folder(TEXTS | {"arms": text}))


def test_experiments_do_not_stand_among_other_tables(write_folder, texts, refusal):
    folder = write_folder(TEXTS)
    with refusal(DataError, "arms.csv", "bm.read_experiments", "data add", "Move"):
        bm.read_dataset(folder)
    with refusal(DataError, "arms.csv", "name another folder"):
        bm.load_dataset().save(folder)
    assert {file.name for file in folder.glob("*.csv")} == {"arms.csv", "results.csv"}
    with refusal(DataError, "experiments", "beside lms.csv"):
        bm.read_dataset(write_folder(texts))


def test_a_dataset_and_its_experiments_agree_on_metrics(write_folder, refusal):
    texts = {name: text.replace("hellaswag", "anli") for name, text in TEXTS.items()}
    texts["benchmarks"] = "benchmark,task_family,metric\nanli,nli,accuracy\n"
    with refusal(DataError, "anli", "accuracy", "brier", "another name"):
        bm.load_dataset().add(bm.read_experiments(write_folder(texts)))


@pytest.mark.parametrize("folder", [None, 3, b"folder"])
def test_folders_are_paths(folder, experiments, refusal):
    for read_folder in (bm.read_experiments, bm.read_dataset):
        with refusal(DataError, "folder", str(folder).strip("'"), "path"):
            read_folder(folder)
        with pytest.raises(DataError, match="characters"):
            read_folder(5000 * "x")
    with refusal(DataError, "own", "bm.read_experiments"):
        experiments.add(folder)


def test_a_folder_that_cannot_be_made_is_refused_before_anything_is_written(tmp_path, refusal):
    (tmp_path / "experiments").write_text("")
    with refusal(DataError, f"{tmp_path}/experiments", "cannot be made", "Name another"):
        bm.load_dataset().save(tmp_path)
    assert [file.name for file in tmp_path.iterdir()] == ["experiments"]


def test_blank_protocols_are_one_protocol(write_folder, refusal):
    texts = {name: text.replace('"acc, 0-shot"', "") for name, text in TEXTS.items()}
    bm.read_experiments(write_folder(texts))
    texts["results"] += "mine,large,few,hellaswag,,0.7,,\n"
    with refusal(DataError, "results.csv, line 6", "'few'", "'hellaswag'", "line 5"):
        bm.read_experiments(write_folder(texts))


def test_studies_of_ones_own(write_folder, refusal):
    texts = TEXTS | {"studies": "study,title,year\nyours,A study,2025\n"}
    with refusal(DataError, "arms.csv, line 2, column 'study'", "'mine'", "studies.csv", "yours"):
        bm.read_experiments(write_folder(texts))
    texts["studies"] += "mine,A run,2026\n"
    assert bm.read_experiments(write_folder(texts)).studies["year"].tolist() == [2025, 2026]


def test_missing_files(write_folder, tmp_path, refusal):
    with refusal(DataError, f"{tmp_path}/nowhere/arms.csv", "results.csv", "Correct the path"):
        bm.read_experiments(tmp_path / "nowhere")
    with refusal(DataError, "results.csv", "does not exist", "add the file"):
        bm.read_experiments(write_folder({"arms": ARMS}))
    (tmp_path / "results.csv").mkdir()
    with refusal(DataError, "results.csv", "is a folder"):
        bm.read_experiments(tmp_path)


def test_facts_are_columns_of_the_schema():
    facts = set(list_facts(bm.load_experiments().arms))
    assert facts < set(column_names("arms"))
    assert {"n_params", "attention", "corpus", "web_share", "stage"} <= facts
