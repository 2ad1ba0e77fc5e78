"""What the documents say is what the package does: output, numbers, names, files, modules."""

import importlib.util
import json
import re
import subprocess
from pathlib import Path

import pandas as pd
import pytest

import bayesmeta as bm
from bayesmeta import defaults
from bayesmeta.data.load import load_corrections

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
DOCUMENTS = (
    "README.md", "ARCHITECTURE.md", "MODEL.md", "CHANGELOG.md", "CONTRIBUTING.md",
    "VALIDATION.md", "data/README.md",
)  # fmt: skip

FENCE = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
NUMBER = re.compile(r"(?<![\w.])\d+(?:\.\d+)?(?![\w.]*\w)")

# Words that belong to a machine or a registry, put together here so that this file has none.
FORBIDDEN = (
    *(f"/{name}/" for name in ("ro" + "ot", "wo" + "rk", "t" + "mp", "ho" + "me")),
    "../" + "shared",
    *(f"{name}.org" for name in ("py" + "pi", "python" + "hosted", "ana" + "conda")),
    "arti" + "factory",
)
QUICK = ("query", "effects", "check", "curve", "scoreboard", "data show", "data validate")
LONGEST_LINE = 5000  # longer ones hold encoded images, in which any word may turn up by chance

# Exit codes, which tests/cli holds commands to, and the ends of a probability and of a share.
CERTAIN = (
    "exit code is 0 if", ", 1 if it did not", "and 2 for bad input", "probability of 0 or 1 means",
    "reaches 0 or 100 says", "... larger than 1 point;","MMLU (0-shot)",
)  # fmt: skip


def read_script(name):
    spec = importlib.util.spec_from_file_location(name.replace("-", "_"), ROOT / "scripts" / name)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def blocks(language):
    return [text for kind, text in FENCE.findall(README) if kind == language]


def prose():
    """README without blocks, inline code, links' targets, numbers of papers and of figures."""
    text = FENCE.sub("", README)
    text = re.sub(r"\[(?:doi|arXiv):[^]]*\]\([^)]*\)", "", text)
    text = re.sub(r"\]\([^)]*\)", "]", text)
    text = re.sub(r"`[^`]*`|\*Figure \d+\.", "", text)
    return re.sub(r"\b(?:et al\.|Reich|Röver) \d{4}|Apache-2\.0", "", text)


def tracked_files():
    run = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    if run.returncode:
        pytest.skip("not a git checkout")
    return [ROOT / name for name in run.stdout.splitlines() if (ROOT / name).is_file()]


def count_facts():
    """Counts that prose may quote, computed from the tables."""
    lms = bm.load_dataset().lms
    published = bm.load_dataset(version="as-published")
    corrections = load_corrections()
    scores = corrections[corrections["field"].str.startswith("score:")]
    cells = bm.load_scoreboard().cells
    return {
        "lms": len(lms),
        "families": lms["lm_family"].nunique(),
        "benchmarks": len(published.benchmarks),
        "studies": bm.load_experiments().arms["study"].nunique(),
        "corrections": len(corrections),
        "dropped": int((scores["corrected_value"].fillna("") == "").sum()),
        "restored": int((scores["published_value"].fillna("") == "").sum()),
        "gaps": int(published.lms["position_embedding"].isna().sum()),
        "seeds of the paper": cells.loc[cells["scheme"] == "random", "n"].max()
        // cells.loc[cells["scheme"] == "random", "n_scores"].max(),
    }


def quote_facts():
    """Counts of the tables and settings of the package, in the words around them."""
    n, p = count_facts(), {name: f"{v:g}" for name, v in vars(defaults).items() if name.isupper()
                           and isinstance(v, int | float)}  # fmt: skip
    inner, outer = (f"{100 * prob:g} %" for prob in defaults.SCORED_PROBS)
    first, last = re.search(r"\(3, (\d+)\) <= .* <= \(3, (\d+)\)", read("Makefile")).groups()
    versions = [f"3.{minor}" for minor in range(int(first), int(last) + 1)]
    return [
        f"Python {', '.join(versions[:-1])} or {versions[-1]} is needed",
        f"{n['lms']} base language models",
        f"of {n['families']} families on",
        f"{n['benchmarks']} benchmark settings, and to {n['studies']} studies of controlled",
        f"disagree, with a probability above {p['PROB_CONFLICT']} |",
        f"its direction has a probability of at least {p['CERTAIN']}, and of at least "
        f"{p['PROB_EXPERIMENTS']} by the experiments alone |",
        f"R-hat of at most {p['RHAT_MAX']}, {p['ESS_MIN']} effective draws",
        f"of at least {p['BFMI_MIN']}, for every element",
        f"over {n['seeds of the paper']} re-splits",
        f"{n['corrections']} rows, each with reason",
        f"({n['gaps']} of {n['lms']} position embeddings",
        f"drops {n['dropped']} scores",
        f"restores {n['restored']} that",
        f"{inner} and {outer}",
        inner,
        f"{100 * defaults.CI_PROB:g} %",
    ]


def quote_scores():
    """Errors and gains of the recorded evaluation, in the words around them."""
    board, published = bm.load_scoreboard(), bm.load_scoreboard("as-published")
    new, known, before = (
        scores.means().set_index(["scheme", "model"]).loc[scheme, "mae"].map("{:.2f}".format)
        for scores, scheme in
        ((board, "leave-family-out"), (board, "random"), (published, "leave-family-out"))
    )  # fmt: skip
    gains = board.gains("full", over="scale").set_index(["scheme", "benchmark"])
    gains = gains.loc["leave-family-out"]
    over = gains["gain"].abs().map("{:.1f}".format)
    mean = gains.loc["mean"]
    assert (gains.loc[["lambada", "hellaswag", "humaneval", "arc_challenge"], "gain"] > 0).all()
    assert (gains.loc[["mmlu_0shot", "truthfulqa"], "gain"] < 0).all()
    return [
        f"{new['full']} points against {new['xgboost-all']} of XGBoost on all facts and "
        f"{new['scale']} of its own scale part, and {known['full']} against "
        f"{known['xgboost-all']} and {known['scale']} under random",
        f"gains {over['mean']} percent, with an interval from {mean['lower']:.2f} to "
        f"{mean['upper']:.2f}",
        f"LAMBADA {over['lambada']}, HellaSwag {over['hellaswag']}, HumanEval {over['humaneval']}",
        f"ARC-Challenge {over['arc_challenge']} percent better",
        f"{over['mmlu_0shot']} and TruthfulQA {over['truthfulqa']} percent worse",
        f"it has {before['full']} points against {before['scale+family-dummies']} of the family "
        f"dummies, {before['scale']} of scale alone and {before['xgboost-all']} of XGBoost",
    ]


def quote_answers():
    """What the shipped posterior says, in the words around it."""
    found = bm.query(bm.load_reference_fit(), "code_share: 50 > 0", benchmark="hellaswag")
    return [f"it goes with {-found.association['estimate']:.0f} points less among LMs"]


def quote_refits():
    """Recorded costs of a refit, in the words around them."""
    record = json.loads(read("data/refits.json"))
    warm, cold, rebuild = (record[name] for name in ("warm", "cold", "rebuild"))
    return [
        f"takes {warm['median_seconds']} seconds (median)",
        f"against {rebuild['median_seconds']} when the model is built",
        f"({cold['median_seconds']} seconds without)",
        f"of {warm['mae_monte_carlo_sd']} points in a fold's",
    ]


@pytest.mark.parametrize("document", ["README.md", "VALIDATION.md"])
def test_console_blocks_show_what_the_commands_print(document):
    text = read(document)
    assert read_script("refresh-docs.py").refresh(text) == text


def test_there_are_console_blocks_of_every_quick_command():
    shown = "".join(blocks("console"))
    for command in QUICK:
        assert f"$ bayesmeta {command}" in shown


@pytest.mark.parametrize("number", range(len(blocks("python"))))
def test_python_examples_run(run_example, number):
    names = run_example(blocks("python")[number])
    if "slope" in names:
        check_slope(names["slope"], blocks("python")[number])


def check_slope(slope, block):
    """The numbers of the comment, a mean and a standard deviation, are those of the draws."""
    mean, sd, *_ = map(float, re.findall(r"-?0\.\d+", block[block.index("# about") :]))
    assert float(slope.mean()) == pytest.approx(mean, abs=0.001)
    assert float(slope.std()) == pytest.approx(sd, abs=0.001)


def test_thresholds_are_those_of_the_package():
    rows = dict(re.findall(r"^\| `([A-Z_]+)` \| ([\d.]+) \|", README, re.MULTILINE))
    thresholds = {name for name, value in vars(defaults).items() if isinstance(value, int | float)}
    assert rows.keys() >= {
        name for name in thresholds if re.search("^(CONTRACTION|FAMILIES|STUDIES|PROB)_", name)
    }
    assert {name: float(value) for name, value in rows.items()} == {
        name: getattr(defaults, name) for name in rows
    }


def test_verdicts_are_explained_in_the_words_that_are_given():
    section = README[README.index("## Verdicts") :]
    explained = re.findall(r"^\| ([a-z -]+) \| ", section, re.MULTILINE)[1:5]
    assert sorted(explained) == sorted(defaults.VERDICTS)


def test_every_number_in_the_prose_is_that_of_its_source():
    # A table of thresholds is held to the package above.
    text = re.sub(r"^\|  \| [\d.]+ \|.*$", "", prose(), flags=re.MULTILINE)
    text = " ".join(text.split())
    for quote in (*quote_scores(), *quote_facts(), *quote_answers(), *quote_refits(), *CERTAIN):
        assert quote in text, quote
        text = text.replace(quote, "")
    around = [text[max(m.start() - 50, 0) : m.end() + 30] for m in NUMBER.finditer(text)]
    assert around == []


def test_a_question_takes_less_time_than_the_imports_it_is_compared_with():
    assert "takes less time than an interpreter that imports numpy, pandas and\nxarray" in README
    assert json.loads(read("data/questions.json"))["ratios"]["query_to_imports"] < 1


def test_sentences_about_the_data_are_true():
    lms = bm.load_dataset().lms
    varies = {c: lms.groupby("lm_family")[c].nunique() > 1 for c in lms.columns}
    for decision in ("norm", "position_embedding", "biases", "block", "activation"):
        assert not varies[decision].any()
    assert sorted(varies["code_share"][varies["code_share"]].index) == ["codegen", "llama2-220M"]
    web = lms.groupby("lm_family")["web_share"].agg(lambda share: share.max() - share.min())
    assert sorted(web[web > 0.1].index) == ["codegen", "llama2-220M"]
    assert int((web > 0).sum()) == 3
    for _, ladder in lms[lms["lm_family"].isin(["codegen", "llama2-220M"])].groupby("lm_family"):
        assert ladder[["web_share", "code_share"]].corr().iloc[0, 1] < -0.95
    with_rmsnorm = lms[lms["norm"] == "rmsnorm"]
    assert set(with_rmsnorm["position_embedding"]) == {"rotary"}
    assert set(with_rmsnorm["activation"]) == {"swiglu", "geglu"}
    scored = lms[lms["lm"].isin(bm.load_dataset().scores["lm"])]
    assert set(lms["lm"]) - set(scored["lm"]) == {"LLM360/CrystalCoder"}
    last_stage = lms.loc[lms["lm_family"] == "codegen", "code_share"].max()
    beyond = scored.loc[scored["code_share"] > last_stage, "lm_family"].value_counts()
    assert beyond.to_dict() == {"llama2-220M": 3, "polycoder": 1}


def anchors_of(path):
    titles = re.findall(r"^#+ (.+)$", path.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-") for title in titles}


@pytest.mark.parametrize("document", DOCUMENTS)
def test_links_lead_somewhere(document):
    path = ROOT / document
    text = path.read_text(encoding="utf-8")
    for target in re.findall(r"\]\(([^)]+)\)", text):
        if target.startswith("https://"):
            continue
        name, _, anchor = target.partition("#")
        found = path.parent / name if name else path
        assert found.exists(), target
        assert not anchor or anchor in anchors_of(found), target


@pytest.mark.parametrize("document", DOCUMENTS)
def test_files_that_documents_name_exist(document):
    text = FENCE.sub("", read(document))
    named = re.findall(r"`((?:[\w-]+/)+(?:[\w-]+\.[a-z]+)?)`", text.partition("## [0.1.0]")[0])
    within = (ROOT, ROOT / "bayesmeta", ROOT / "tests", (ROOT / document).parent)
    committed = [name for name in named if not name.startswith(("out/", "my/"))]
    assert [n for n in committed if not any((folder / n).exists() for folder in within)] == []


def test_every_public_name_in_the_documents_exists():
    texts = [README, *(p.read_text(encoding="utf-8") for p in (ROOT / "notebooks").glob("*.ipynb"))]
    names = {name for text in texts for name in re.findall(r"\bbm\.(\w+)", text)}
    assert names
    assert names <= set(bm.__all__)


def test_architecture_lists_the_modules_that_exist():
    rows = re.findall(
        r"^\| `bayesmeta/(\w*)/?` \|.*?\| (.*) \|$", read("ARCHITECTURE.md"), re.MULTILINE
    )
    listed = [
        Path(folder, name)
        for folder, modules in rows
        for entry in modules.split("; ")
        for name in re.findall(r"^`(\w+)`", entry)
    ]
    package = ROOT / "bayesmeta"
    exist = [path.relative_to(package).with_suffix("") for path in package.rglob("*.py")]
    assert sorted(listed) == sorted(path for path in exist if path.name != "__init__")


def test_architecture_names_functions_that_exist():
    text = read("ARCHITECTURE.md")
    lives = text[text.index("## The life of a fit") : text.index("## What to touch")]
    named = set(re.findall(r"`(?:\w+\.)*([A-Za-z_]+)`", lives)) - {"cli", "estimates", "data"}
    source = "".join(p.read_text(encoding="utf-8") for p in (ROOT / "bayesmeta").rglob("*.py"))
    defined = set(re.findall(r"^ *(?:def|class) (\w+)|^    (\w+):", source, re.MULTILINE))
    assert named - {name for pair in defined for name in pair} == set()


def test_architecture_is_short():
    assert len(read("ARCHITECTURE.md").splitlines()) < 150


def test_architecture_states_the_order_that_import_linter_enforces():
    import tomllib

    contracts = tomllib.loads(read("pyproject.toml"))["tool"]["importlinter"]["contracts"]
    layers = [layer for layer in contracts[0]["layers"] if not layer.startswith("(")]
    assert " > ".join(layers).replace(" | ", ", ") in read("ARCHITECTURE.md")


def test_changelog_and_citation_name_this_version():
    assert f"## [{bm.__version__}]" in read("CHANGELOG.md")
    assert f"version: {bm.__version__}\n" in read("CITATION.cff")


def test_no_file_names_a_machine_or_a_registry():
    found = []
    for path in tracked_files():
        try:
            text = path.read_text(encoding="utf-8")
        except UnicodeDecodeError:
            continue
        lines = [line for line in text.splitlines() if len(line) < LONGEST_LINE]
        found += [(path.name, word) for word in FORBIDDEN for line in lines if word in line]
    assert pd.DataFrame(found).drop_duplicates().to_numpy().tolist() == []


def read(name):
    return (ROOT / name).read_text(encoding="utf-8")


@pytest.mark.parametrize("page", ["README.md", "VALIDATION.md", "MODEL.md"])
def test_names_of_the_package_exist(page):
    text = (ROOT / page).read_text(encoding="utf-8")
    named = set(re.findall(r"\bbm\.((?:plot\.)?[A-Za-z_]+)", text))
    missing = {name for name in named if not has_name(name)}
    assert not missing


def has_name(name):
    place = bm.plot if name.startswith("plot.") else bm
    return hasattr(place, name.removeprefix("plot."))
