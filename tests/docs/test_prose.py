"""Numbers and claims in the prose of README and of the site are those of their sources."""

import json
import re
from pathlib import Path

import pytest

import bayesmeta as bm
from bayesmeta import defaults
from bayesmeta.data.load import load_corrections
from bayesmeta.estimates import controlled_answers

ROOT = Path(__file__).parents[2]
PUBLISHED = ROOT / "tests" / "statistical" / "published" / "estimates.json"
PAGES = ["README.md", *(str(p.relative_to(ROOT)) for p in sorted((ROOT / "docs").rglob("*.md")))]
# Its numbers are those of tests/statistical: one test reads its table, the others repeat the rest.
PAGES.remove("docs/published_results.md")
TEXTS = {page: (ROOT / page).read_text("utf-8") for page in PAGES}

FENCE = re.compile(r"^```[^\n]*\n.*?^```$", re.MULTILINE | re.DOTALL)
NUMBER = re.compile(r"(?<![\w.])\d+(?:\.\d+)?(?![\w.]*\w)")

# Exit codes, which tests/cli holds commands to, the ends of a probability and of a share, versions
# of a standard, and names that hold a number.
CERTAIN = (
    "exit code is 0 if", ", 1 if it did not", "and 2 for bad input", "Exit code 0: the fit passed",
    "checks. 1: it did not", "all the same. 2: bad input", "Exit code 1: something differs",
    "probability of 0 or 1 means", "reaches 0 or 100 says", "Semantic Versioning]. Before 1.0",
    "MMLU (0-shot)",
)  # fmt: skip

# How far interpolated answers of the report's panel were from those of `query`, over statements of
# all its numbers. No record holds it: tests/unit/test_report.py has bounds for `code_share` alone.
MEASURED = (
    "nine ends of intervals in ten were within 13 % of the interval's width and nine "
    "probabilities in ten within 0.07; the worst, of , were off by 0.33 of the width and by 0.34",
)

# What another test reads: thresholds in test_site.py, exit codes there too.
ROWS_TESTED_ELSEWHERE = r"^\| (?:`[A-Z_]+` \| [\d.]+|\d+) \|.*$"


def prose(text):
    """A page without blocks, inline code, formulas, links' targets, titles, years of papers."""
    text = FENCE.sub("", text)
    text = re.sub(ROWS_TESTED_ELSEWHERE, "", text, flags=re.MULTILINE)
    text = re.sub(r"\[(?:doi|arXiv):[^]]*\]\([^)]*\)|<img [^>]*>", "", text)
    text = re.sub(r"\]\([^)]*\)", "]", text)
    text = re.sub(r"\$\$.*?\$\$|\$[^$]*\$", "", text, flags=re.DOTALL)
    text = re.sub(r"`[^`]*`", "", text)
    text = re.sub(r"^#+ .*$|^\d\. ", "", text, flags=re.MULTILINE)
    text = " ".join(text.split())
    return re.sub(r"\b(?:et al\.|Stewart|Spiegelhalter|Röver) \d{4}|Apache-2\.0", "", text)


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
        "contrasts": len(bm.effects(bm.load_reference_fit()).table()),
        "seeds of the paper": cells.loc[cells["scheme"] == "random", "n"].max()
        // cells.loc[cells["scheme"] == "random", "n_scores"].max(),
    }


def list_pythons():
    first, last = re.search(
        r"\(3, (\d+)\) <= .* <= \(3, (\d+)\)", (ROOT / "Makefile").read_text("utf-8")
    ).groups()
    return [f"3.{minor}" for minor in range(int(first), int(last) + 1)]


def quote_facts():
    """Counts of the tables and settings of the package, in the words around them."""
    n, p = count_facts(), {name: f"{v:g}" for name, v in vars(defaults).items() if name.isupper()
                           and isinstance(v, int | float)}  # fmt: skip
    inner, outer = (f"{100 * prob:g} %" for prob in defaults.SCORED_PROBS)
    *versions, newest = list_pythons()
    return [
        f"Python {', '.join(versions)} or {newest} is needed",
        f"{n['lms']} base language models",
        f"of {n['families']} families on",
        f"{n['families']} families: LMs of one family share",
        f"{n['benchmarks']} benchmark settings, and to {n['studies']} studies of controlled",
        f"of the {n['contrasts']} contrasts that",
        f"Fits of {len(json.loads(PUBLISHED.read_text('utf-8')))} public data sets",
        f"disagree, with a probability above {p['PROB_CONFLICT']} |",
        f"its direction has a probability of at least {p['CERTAIN']}, and of at least "
        f"{p['PROB_EXPERIMENTS']} by the experiments alone |",
        f"R-hat of at most {p['RHAT_MAX']}, {p['ESS_MIN']} effective draws",
        f"of at least {p['BFMI_MIN']}, for every element",
        f"Where is above {p['PARETO_K_MAX']} the linearised",
        f"above {p['PARETO_K_MAX']} says that importance weights",
        f"within {controlled_answers._CLEAR} standard deviations of the noise",
        f"over {n['seeds of the paper']} re-splits",
        f"{n['corrections']} rows, each with reason",
        f"({n['gaps']} of {n['lms']} position embeddings",
        f"drops {n['dropped']} scores",
        f"restores {n['restored']} that",
        f"{inner} and {outer}",
        f"those of {inner} are a little too wide",
        f"{100 * defaults.CI_PROB:g} %",
    ]


def quote_scores():
    """Errors and gains of the recorded evaluation, in the words around them."""
    board, published = bm.load_scoreboard(), bm.load_scoreboard("as-published")
    new, known, before, then = (
        scores.means().set_index(["scheme", "model"]).loc[scheme, "mae"].map("{:.2f}".format)
        for scores, scheme in
        ((board, "leave-family-out"), (board, "random"), (published, "leave-family-out"),
         (published, "random"))
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
        f"{new['full']} points, against {new['scale']} of its own part for size, data and date, "
        f"and {new['xgboost-all']} of XGBoost on all facts",
        f"gains {over['mean']} percent, with an interval from {mean['lower']:.2f} to "
        f"{mean['upper']:.2f}",
        f"LAMBADA {over['lambada']}, HellaSwag {over['hellaswag']}, HumanEval {over['humaneval']}",
        f"ARC-Challenge {over['arc_challenge']} percent better",
        f"{over['mmlu_0shot']} and TruthfulQA {over['truthfulqa']} percent worse",
        f"has {known['scale+family-dummies']} points under random splits, between "
        f"{known['xgboost-scale']} on scale alone and {known['xgboost-all']} on all design facts; "
        f"on the facts as published it has {then['scale+family-dummies']} against "
        f"{then['xgboost-all']} on all",
        f"it has {before['full']} points against {before['scale+family-dummies']} of the family "
        f"dummies, {before['scale']} of scale alone and {before['xgboost-all']} of XGBoost",
    ]


FINDINGS = (
    ("attention: gqa > mha", None, "experiments and LMs disagree**: {effect} over all benchmarks"),
    ("position_embedding: rotary > learned", None, "is not settled**: {effect} over all bench"),
    ("code_share: 50 > 0", "hellaswag", "experiments and LMs disagree**: {effect} on HellaSwag"),
)
COUNTED = {1: "one study", 4: "four studies"}


def ask(statement, benchmark):
    return bm.query(bm.load_reference_fit(), statement, benchmark=benchmark)


def quote_findings():
    """Effect, interval, probability, verdict and sources of the findings of README."""
    for statement, benchmark, words in FINDINGS:
        found = ask(statement, benchmark)
        effect, lower, upper = (f"{found.effect[k]:+.1f}" for k in ("estimate", "lower", "upper"))
        yield words.format(effect=effect)
        # Rounded as the package rounds a probability.
        chance = re.search(r"helps: (\d+) %", str(found))[1]
        yield f"({lower} to {upper}), {chance} %; *{found.verdict}*:"
        if found.verdict == "conflicting":
            yield (
                f"it goes with {found.association['estimate']:+.1f} among LMs, and with "
                f"{found.evidence.experiments['estimate']:+.1f} in "
                f"{COUNTED[len(found.evidence.studies)]} of experiments"
            )


def quote_answers():
    """What the shipped posterior says, in the words around it."""
    found = ask("code_share: 50 > 0", "hellaswag")
    code = ask("code_share: 30 > 10", "humaneval")
    assert code.verdict == defaults.ASSOCIATION_ONLY
    effect, association = (
        [f"{part[name]:+.1f}" for name in ("estimate", "lower", "upper")]
        for part in (code.effect, code.association)
    )
    return [
        f"goes with {-found.association['estimate']:.0f} points less among LMs",
        "The model estimates that 30 % of code instead of 10 % changes",
        f"the HumanEval score by {effect[0]} points",
        f"interval {effect[1]} to {effect[2]}); this estimate is not supported",
        "LMs with 30 % of code ",
        f"score {association[0].lstrip('+')} points higher on HumanEval than LMs with 10 % (",
        f"interval {association[1]} to {association[2]}), adjusted for size",
    ]


def quote_refits():
    """Recorded costs of a refit, in the words around them."""
    record = json.loads((ROOT / "data" / "refits.json").read_text("utf-8"))
    warm, cold, rebuild = (record[name] for name in ("warm", "cold", "rebuild"))
    return [
        f"takes {warm['median_seconds']} seconds (median)",
        f"against {rebuild['median_seconds']} when the model is built",
        f"({cold['median_seconds']} seconds without)",
        f"of {warm['mae_monte_carlo_sd']} points in a fold's",
    ]


def quote_places():
    """Recorded costs of refits in every place, and of a fit by every sampler, as rows of tables."""
    places, samplers = (
        json.loads((ROOT / "data" / f"{name}.json").read_text("utf-8"))[key]
        for name, key in (("refits", "places"), ("samplers", "samplers"))
    )
    return [
        "Seconds for the 12 refits of four random splits",
        *(f"| {place} | {seconds} |" for place, seconds in places.items()),
        *(f"| | {found['ess_per_second']:.1f} |" for found in samplers.values()),
    ]


def quote_steps():
    """Changes whose effect is shown, of decisions that declare none."""
    number, share = (bm.Decision("any", kind).step for kind in ("number", "share"))
    return [f"a factor ({number:g} if left out), percentage points ({share:g})"]


@pytest.fixture(scope="module")
def quotes():
    sources = (quote_steps, quote_scores, quote_facts, quote_findings, quote_answers, quote_refits,
               quote_places)  # fmt: skip
    return [quote for source in sources for quote in source()] + [*CERTAIN, *MEASURED]


def test_every_quote_stands_somewhere(quotes):
    texts = [prose(text) for text in TEXTS.values()]
    assert [quote for quote in quotes if not any(quote in text for text in texts)] == []


@pytest.mark.parametrize("page", PAGES)
def test_every_number_in_the_prose_is_that_of_its_source(page, quotes):
    text = prose(TEXTS[page])
    for quote in quotes:
        text = text.replace(quote, "")
    around = [text[max(m.start() - 50, 0) : m.end() + 30] for m in NUMBER.finditer(text)]
    assert around == []


def test_a_number_without_a_source_is_found():
    text = prose("Of `7` LMs 12 are new\n\n```console\n99\n```\n\n[13](14) $15$\n")
    assert NUMBER.findall(text) == ["12", "13"]


def test_readme_is_short_and_names_its_evidence():
    text = TEXTS["README.md"]
    assert len(text.splitlines()) <= 150
    assert {ask(*one[:2]).verdict for one in FINDINGS} == {"conflicting", "association only"}
    effects = bm.effects(bm.load_reference_fit()).table()
    assert "none is *supported* by experiments, and\nevery interval includes zero" in text
    assert "supported" not in set(effects["verdict"])
    assert ((effects["lower"] < 0) & (effects["upper"] > 0)).all()
    rotary = ask("position_embedding: rotary > learned", None)
    assert len(rotary.evidence.studies) == 1
    assert rotary.evidence.families_with_both == 0
    board = bm.load_scoreboard()
    leads = board.differences("full").set_index(["scheme", "model", "average"])
    for model in ("scale", "xgboost-all"):
        assert leads.loc[("leave-family-out", model, "benchmarks"), "lower"] < 0


def test_what_stands_between_contrasts_and_support_is_true():
    """README, the page on verdicts and VALIDATION.md say why nothing is supported."""
    fit = bm.load_reference_fit()
    cards = [bm.evidence(fit, c.label) for c in bm.effects(fit).contrasts]
    enough = [card for card in cards if len(card.studies) >= defaults.STUDIES_LEAST]
    assert {card.verdict for card in enough} == {defaults.CONFLICTING}
    assert len(enough) == 2
    assert "on the only two that have as many, experiments and LMs disagree" in prose(
        TEXTS["README.md"]
    )
    assert sum(len(card.studies) == 0 for card in cards) > len(cards) / 2
    power = ("position_embedding: rotary > learned", "norm: rmsnorm > layernorm",
             "activation: swiglu > gelu", "biases: none > all")  # fmt: skip
    assert max(len(bm.evidence(fit, one).studies) for one in power) == 1
    assert not bm.load_validation("power")["supported"].any()


def test_a_question_takes_less_time_than_the_imports_it_is_compared_with():
    text = prose(TEXTS["docs/first_minute.md"])
    assert "takes less time than an interpreter that imports numpy, pandas and xarray" in text
    record = json.loads((ROOT / "data" / "questions.json").read_text("utf-8"))
    assert record["ratios"]["query_to_imports"] < 1


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


def test_in_two_of_three_families_the_larger_lms_have_grouped_queries():
    lms = bm.load_dataset().lms
    both = lms.groupby("lm_family").filter(lambda f: {"gqa", "mha"} <= set(f["attention"]))
    sizes = both.pivot_table(
        index="lm_family", columns="attention", values="n_params", aggfunc=["min", "max"]
    )
    larger = sizes[("min", "gqa")] > sizes[("max", "mha")]
    assert (int(larger.sum()), len(larger)) == (2, 3)
    assert "in two of the three families that use both it is the larger LMs" in prose(
        TEXTS["docs/first_minute.md"]
    )


def test_sentences_about_effects_are_true():
    fit = bm.load_reference_fit()
    table = bm.effects(fit).table()
    wide = table[(table["lower"] < -1) & (table["upper"] > 1)]
    architecture = wide[~wide["level"].isin(["sinusoidal", "withheld"])]
    whole = {"norm", "biases", "block", "weight_tying", "mlp_ratio"}
    named = table["decision"].isin(whole) | (table["level"] == "alibi")
    assert set(table[named].index) == set(architecture.index)
    optimum = bm.curve(fit, "code_share").optimum()
    assert (optimum["lower"] == 0).all()
    assert (optimum["upper"] > 50).all()
    assert optimum["estimate"].idxmax() == "code"
