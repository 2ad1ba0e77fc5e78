"""A fit as one page: what it says, that names in it are inert, and that its panel is right."""

import base64
import hashlib
import html
import json
import re
import subprocess
from concurrent.futures import BrokenExecutor, Executor, Future
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import bayesmeta as bm
from bayesmeta.data.load import read_dataset
from bayesmeta.errors import QueryError
from bayesmeta.estimates.counterfactual import choose_kind, contrast_draws
from bayesmeta.estimates.question import parse_statement
from bayesmeta.inference.saved_fits import wrap_draws
from bayesmeta.jobs import open_executor
from bayesmeta.model.spec import ModelSpec
from bayesmeta.reporting import panel as panels
from bayesmeta.tables.wording import MEANINGS

LIMIT = 4_000_000
ASKED = ("attention", "code_share", "n_params")
NASTY_FAMILY = (
    '</script><script>window.hacked = 1</script>\'&|_%$x^$ `語言` <img src=x onerror="hack()">'
)
NASTY_LABEL = "<b onclick='hack()'>it's | \"100 %\" of_ωμέγα</b> &amp; ]]> <!--"
NASTY_BENCHMARK = "-->a'b\"c d|e_f</script>"
VOID = {"meta", "link", "br", "img", "input", "path", "use"}


def quoted(text):
    return '"' + text.replace('"', '""') + '"'


@pytest.fixture(scope="module")
def nasty(small_folder, tmp_path_factory, build_fake_fit):
    """A fit whose families, benchmarks, labels and task families are full of markup."""
    folder = tmp_path_factory.mktemp("nasty")
    lms, scores, benchmarks = (
        (small_folder / f"{name}.csv").read_text(encoding="utf-8")
        for name in ("lms", "scores", "benchmarks")
    )
    lms = re.sub(r"^(bee-\d),bee,", lambda m: f"{m[1]},{quoted(NASTY_FAMILY)},", lms, flags=re.M)
    benchmarks = benchmarks.replace("Reading", quoted(NASTY_LABEL))
    benchmarks = benchmarks.replace(",logic,", f",{quoted(NASTY_FAMILY)},")
    benchmarks = benchmarks.replace("puzzles", quoted(NASTY_BENCHMARK))
    scores = scores.replace("puzzles", quoted(NASTY_BENCHMARK))
    for name, text in (("lms", lms), ("scores", scores), ("benchmarks", benchmarks)):
        (folder / f"{name}.csv").write_text(text, encoding="utf-8")
    return build_fake_fit(read_dataset(folder), spec=ModelSpec())


def write(fit, folder, **settings):
    page, markdown = bm.report(fit, folder, **settings)
    return page, page.read_text(encoding="utf-8"), markdown.read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def nasty_report(nasty, tmp_path_factory):
    return write(nasty, tmp_path_factory.mktemp("report"))


@pytest.fixture(scope="module")
def reference():
    return bm.load_reference_fit()


OF_SHIPPED = [name for name in ASKED if name != "n_params"]


@pytest.fixture(scope="module")
def shipped_report(reference, tmp_path_factory):
    return write(reference, tmp_path_factory.mktemp("report"), decisions=OF_SHIPPED)


def read_studies(n=6, **roles):
    rng = np.random.default_rng(1)
    frame = pd.DataFrame({
        "s": [NASTY_FAMILY, NASTY_LABEL, *(f"study {k}" for k in range(2, n))],
        "y": rng.normal(0.3, 0.2, n), "se": rng.uniform(0.05, 0.2, n), "dose": np.arange(n),
        "arm": [NASTY_BENCHMARK if k % 2 else "b" for k in range(n)],
        "lab": [f"lab {k // 2}" for k in range(n)],
    })  # fmt: skip
    return bm.read_effect_sizes(frame, effect="y", se="se", study="s", **roles)


@pytest.fixture(scope="module")
def studies_report(tmp_path_factory):
    fit = bm.fit(read_studies(moderators=["dose", "arm"], missing="drop"))
    return write(fit, tmp_path_factory.mktemp("report"))


class Page(HTMLParser):
    """Elements, their attributes, text outside of scripts and styles, and unclosed elements."""

    def __init__(self, text):
        super().__init__()
        self.elements, self.texts, self.open, self.scripts = [], [], [], []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if self.open and self.open[-1] == "script":
            self.scripts.append((self.elements[-1][1], data))
        elif self.open and self.open[-1] != "style":
            self.texts.append(data)

    def handle_comment(self, data):
        raise AssertionError(f"a comment: {data}")


@pytest.fixture(scope="module", params=["nasty", "shipped", "studies"])
def page(request):
    return Page(request.getfixturevalue(f"{request.param}_report")[1])


def test_page_is_well_formed(page):
    assert page.open == []
    ids = [attrs["id"] for _, attrs in page.elements if "id" in attrs]
    assert [name for name in set(ids) if ids.count(name) > 1] == []
    links = [attrs["href"][1:] for tag, attrs in page.elements if tag == "a"]
    assert {link for link in links if not link.startswith("decision=")} <= set(ids)


def test_page_loads_nothing(page):
    loading = {"src", "srcset", "data", "action", "background", "poster", "ping"}
    for tag, attrs in page.elements:
        assert not loading & set(attrs), tag
        for name in ("href", "xlink:href"):
            assert attrs.get(name, "#").startswith("#"), tag
        assert tag not in ("link", "iframe", "object", "embed", "base", "img")
        assert "url(" not in attrs.get("style", "").replace("url(#", "")
        assert not any(name.startswith("on") for name in attrs)


def test_only_the_script_of_the_page_may_run(page):
    policy = next(a["content"] for t, a in page.elements if "http-equiv" in a)
    assert "default-src 'none'" in policy
    runs = [text for attrs, text in page.scripts if attrs.get("type") != "application/json"]
    assert len(runs) == 1
    digest = base64.b64encode(hashlib.sha256(runs[0].encode()).digest()).decode()
    assert f"script-src 'sha256-{digest}'" in policy


def test_every_control_has_a_label_and_the_page_a_skip_link(page):
    controls = {a["id"] for t, a in page.elements if t in ("select", "input")}
    has_panel = any(attrs.get("id") == "panel" for _, attrs in page.elements)
    asked = {"typed", "decision", "level", "over", "value", "base", "where", "equivalence"}
    assert controls == (asked if has_panel else set())
    assert controls == {a["for"] for t, a in page.elements if t == "label"}
    first = next(a for t, a in page.elements if t == "a")
    assert first["href"] == "#content"
    assert any("width=device-width" in a.get("content", "") for t, a in page.elements)
    assert all(a["aria-label"] for t, a in page.elements if a.get("role") in ("img", "region"))


def test_page_and_markdown_say_the_same(shipped_report, reference):
    _, text, markdown = shipped_report
    shown = " ".join(Page(text).texts)
    checksum = reference.provenance["data_checksum"]
    for words in (
        "The fit passes its checks",
        "effects on single benchmarks",
        "620 contrasts between arms of controlled experiments",
        "Three things are told apart",
        "effect in a new setting",
        "attention: gqa > mha on mmlu_5shot",
        *MEANINGS.values(),
        "Data and provenance",
        checksum,
    ):
        assert words in shown
        assert words.replace(">", "\\>").replace("_", "\\_") in markdown
    assert "scores in 90 % intervals" in markdown  # the recorded evaluation is of this model
    assert "significan" not in (text + markdown).lower()


def test_names_are_inert_and_can_be_read(nasty_report, nasty):
    _, text, _ = nasty_report
    page = Page(text)
    shown = " ".join(page.texts)
    assert NASTY_FAMILY in shown
    assert NASTY_LABEL in shown
    assert not any(tag == "b" for tag, _ in page.elements)
    (content,) = (data for attrs, data in page.scripts if attrs.get("id") == "answers")
    assert not set("<>&") & set(content)
    targets = [target["name"] for target in json.loads(content)["targets"]]
    assert targets == ["overall", *nasty.design.task_families, *nasty.design.benchmarks]
    assert "scoreboard" not in {attrs.get("id") for _, attrs in page.elements}


def test_markdown_tables_are_whole_and_names_in_them_inert(nasty_report):
    _, _, markdown = nasty_report
    lines = markdown.splitlines()
    widths = [len(re.findall(r"(?<!\\)\|", line)) for line in lines]
    assert sum(widths) > 100
    for (line, width), (after, next_width) in pairwise(zip(lines, widths, strict=True)):
        if line.startswith("|") and after.startswith("|"):
            assert width == next_width
    assert re.search(r"(?<!\\)[<>]", markdown) is None
    assert "</script\\>" not in markdown.replace("\\<", "")


def read_answers(text):
    """The answers that a page looks up."""
    (content,) = (data for attrs, data in Page(text).scripts if attrs.get("id") == "answers")
    return json.loads(content)


def find_answer(part, level, over, target):
    """The answer on a target, what its card shares with other targets, and whether it is turned."""
    pair = next(c for c in part["pairs"] if set(c["pair"]) == {level, over})
    return pair["answers"][target["answer"]], pair, pair["pair"][0] != level


def turn(part, turned):
    """An estimate with its interval, of the contrast the other way round if it is turned."""
    return [-part[0], -part[2], -part[1]] if turned else part


def describe(part):
    return [part["estimate"], part["lower"], part["upper"]]


@pytest.mark.parametrize("name", ["nasty", "shipped"])
def test_embedded_answers_are_those_of_query(name, request):
    """Effects, probabilities, verdicts and cards of a page against what `query` says."""
    fit = request.getfixturevalue({"nasty": "nasty", "shipped": "reference"}[name])
    _, text, _ = request.getfixturevalue(f"{name}_report")
    content, rng = read_answers(text), np.random.default_rng(1)
    for part in content["decisions"]:
        for k, target in enumerate(content["targets"]):
            level, over = rng.choice(len(part["levels"]), 2, replace=False)
            margin = k % len(content["margins"])
            statement = f"{part['name']}: {part['levels'][level]} > {part['levels'][over]}"
            where = {} if target["by"] == "overall" else {target["by"]: target["name"]}
            settings = {"equivalence": content["margins"][margin], **where}
            answer = bm.query(fit, statement, **settings)
            on, pair, turned = find_answer(part, level, over, target)
            asked = answer.probability
            assert on["negative" if turned else "positive"] == pytest.approx(
                [asked.estimate, asked.mcse], rel=1e-8
            )
            assert turn(on["effect"], turned) == pytest.approx(describe(answer.effect), rel=1e-8)
            for kind in ("association", "new_setting"):
                other = getattr(answer, kind)
                assert (kind in on["others"]) == (other is not None)
                if other is not None:
                    told = on["others"][kind]
                    shown = told["negative" if turned else "positive"]
                    asked = [other["probability"], other["mcse"]]
                    assert shown == pytest.approx(asked, rel=1e-8)
                    estimate = turn(told["effect"], turned)
                    assert estimate == pytest.approx(describe(other), rel=1e-8)
            ways = [[way.estimate, way.mcse] for way in answer.three_way.values()]
            for shown, way in zip(on["ways"][margin], ways[::-1] if turned else ways, strict=True):
                assert shown == pytest.approx(way, rel=1e-8)
            found, contrast = answer.evidence, parse_statement(fit.design, statement)
            gain = contrast_draws(fit, contrast=contrast, by=target["by"], kind=choose_kind(fit))
            gain = gain.sel(target=target["name"]).values * (-1 if turned else 1)
            quantiles = np.quantile(gain, (np.arange(100) + 0.5) / 100)
            np.testing.assert_allclose(on["quantiles"], quantiles, rtol=1e-3, atol=1e-9)
            assert on["verdict"] == found.verdict
            assert on["contraction"] == pytest.approx(found.contraction)
            assert content["families"][on["family"]] == found.most_influential_family
            without = turn(on["without"], turned)
            assert without == pytest.approx(describe(found.without_it), rel=1e-8, abs=1e-12)
            assert (on["within"] is None) == (found.within_families is None)
            assert dict(pair["lms"]) == found.lms


def test_targets_of_the_same_benchmarks_share_answers(shipped_report):
    content = read_answers(shipped_report[1])
    used = {target["answer"] for target in content["targets"]}
    for part in content["decisions"]:
        for pair in part["pairs"]:
            assert used == set(range(len(pair["answers"])))
    assert len(used) < len(content["targets"])


@pytest.mark.slow
def test_whole_report_of_the_shipped_posterior_is_below_the_limit(reference, tmp_path):
    _, text, _ = write(reference, tmp_path)
    assert len(text.encode()) < LIMIT


def test_fit_of_many_draws_is_thinned_and_the_report_says_so(small, build_fake_fit, tmp_path):
    fit = build_fake_fit(small, spec=ModelSpec(), draws=700)
    _, text, _ = write(fit, tmp_path, decisions="attention")
    assert read_answers(text)["draws"] <= 1000
    assert "The fit has 1400 draws" in text


def test_report_is_the_same_every_time(default_fit, tmp_path):
    first, second = (write(default_fit, tmp_path, decisions="attention")[1:] for _ in range(2))
    assert first == second


def test_report_is_the_same_where_a_worker_draws_its_figures(shipped_report, reference, tmp_path):
    with open_executor(workers=1, processes=True) as executor:
        asked = {"decisions": OF_SHIPPED, "progress": False}
        files = bm.report(reference, tmp_path, executor=executor, **asked)
    assert tuple(path.read_text(encoding="utf-8") for path in files) == shipped_report[1:]


class _Dead(Executor):
    """A pool whose workers have died."""

    def submit(self, *_, **__):
        begun = Future()
        begun.set_exception(BrokenExecutor("a worker died"))
        return begun


def test_report_is_written_where_its_worker_dies(default_fit, tmp_path):
    asked = {"decisions": "attention", "progress": False}
    whole = bm.report(default_fit, tmp_path / "whole", **asked)
    left = bm.report(default_fit, tmp_path / "left", executor=_Dead(), **asked)
    assert [path.read_bytes() for path in left] == [path.read_bytes() for path in whole]


def test_fit_without_decisions_is_reported(small, build_fake_fit, tmp_path):
    fit = build_fake_fit(small, spec=ModelSpec(decisions=(), interactions="none"))
    _, text, _ = write(fit, tmp_path)
    assert {part["name"] for part in read_answers(text)["decisions"]} == {"n_params", "n_tokens"}


def test_draws_that_no_sampler_made_are_reported_without_checks(small, build_fake_fit, tmp_path):
    drawn = build_fake_fit(small, spec=ModelSpec(), draws=700)
    made = wrap_draws(drawn.parameters, spec=drawn.spec, dataset=small, source="prior")
    _, text, _ = write(made, tmp_path, decisions="attention")
    assert "nothing to check" in text


def test_failed_checks_are_said_first(build_fake_fit, small, tmp_path):
    fit = build_fake_fit(small, spec=ModelSpec(), draws=30)  # few draws
    _, text, markdown = write(fit, tmp_path, decisions="attention")
    assert "FAILED ITS CHECKS" in text.split("</section>")[0]
    assert "FAILED ITS CHECKS" in markdown


def test_levels_without_difference_can_be_said(default_fit):
    offers = {offer.name: offer for offer in panels.list_offers(default_fit)}
    assert offers["attention"].levels == ("gqa", "mha")
    assert all(len(offer.levels) <= 5 for offer in offers.values() if offer.kind != "categorical")
    for offer in offers.values():
        assert all(level != over for level, over in offer.pairs)


@pytest.mark.parametrize("decisions", ["atention", ["attention", "atention"]])
def test_unknown_decision_is_refused_before_anything_is_written(default_fit, tmp_path, decisions):
    with pytest.raises(QueryError, match="Did you mean 'attention'"):
        bm.report(default_fit, tmp_path / "out", decisions=decisions)
    assert not (tmp_path / "out").exists()


def test_folder_that_cannot_be_made_is_refused(default_fit, tmp_path):
    with pytest.raises(QueryError, match="cannot be made"):
        bm.report(default_fit, tmp_path / "no" / "where")
    (tmp_path / "file").write_text("")
    with pytest.raises(QueryError, match="cannot be made"):
        bm.report(default_fit, tmp_path / "file")


def test_what_is_no_fit_is_refused(tmp_path):
    with pytest.raises(QueryError, match="Allowed: a Fit"):
        bm.report("fit.nc", tmp_path)


# ---- in a browser ------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def browser(need_tool):
    return need_tool("chromium", "chromium-browser", "google-chrome")


LOOP, MOST_LOOPS = 5_000_000, 3
"""Square roots that are taken in the page before each question, and how much longer than them an
answer may take: a busy machine slows down both."""

# Fills in the form of a page as a reader would, and keeps every answer and what is shown of it.
DRIVER = """
<pre id="collected"></pre>
<script>
const form = document.getElementById("question"), collected = [];
const set = (name, value) => {
  form.elements[name].value = value;
  form.elements[name].dispatchEvent(new Event("change", { bubbles: true }));
};
const timed = (count) => {  // a loop that takes this machine as long as it is busy
  const start = performance.now();
  let sum = 0;
  for (let i = 0; i < count; i++) sum += Math.sqrt(i);
  collected.sum = sum;
  return performance.now() - start;
};
for (const question of QUESTIONS) {
  const loop = timed(LOOP);
  for (const [name, value] of Object.entries(question)) set(name, String(value));
  if (question.typed) form.requestSubmit();
  const shown = (id) => document.getElementById(id).textContent;
  collected.push({
    answer: JSON.parse(document.getElementById("answer").dataset.answer || "null"),
    trouble: shown("trouble"), probability: shown("probability"), effect: shown("effect"),
    interval: shown("interval"), command: shown("command"), verdict: shown("verdict"),
    evidence: shown("behind"), kinds: shown("kinds"), hash: location.hash, loop,
    practically: shown("practically"), about: shown("about"),
  });
}
document.getElementById("collected").textContent = JSON.stringify(collected);
</script>
"""


def dump(browser, path, profile, *, asked="", more=()):
    """The document of a page once its scripts have run."""
    run = subprocess.run(
        [browser, "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic",
         "--no-first-run", "--disable-background-networking", "--disable-component-update",
         "--host-resolver-rules=MAP * ~NOTFOUND",  # there is no network
         "--disable-sync", "--disable-dev-shm-usage", f"--user-data-dir={profile}", "--dump-dom",
         *more, f"{path.as_uri()}{asked}"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert run.returncode == 0, run.stderr[-2000:]
    assert more or 'data-errors="0"' in run.stdout, re.findall(r'data-error="[^"]*"', run.stdout)
    return run.stdout


def ask_page(browser, path, text, questions, tmp_path):
    """Answers of a page's panel to questions, each as values of its form."""
    text = re.sub(r"<meta http-equiv[^>]*>", "", text)  # else the driver may not run
    driver = DRIVER.replace("QUESTIONS", json.dumps(questions)).replace("LOOP", str(LOOP))
    driven = tmp_path / "driven.html"
    driven.write_text(text.replace("</body>", driver + "</body>"), encoding="utf-8")
    document = dump(browser, driven, tmp_path / "profile")
    found = re.search(r'<pre id="collected">(.*?)</pre>', document, re.S)
    return json.loads(html.unescape(found[1]))


def name_sides(part, level, over):
    """Values of the fields of two stored levels: places of levels, or numbers to type."""
    if not part["values"]:
        return {"level": level, "over": over}
    return {"value": part["levels"][level], "base": part["levels"][over]}


def choose_questions(content, *, n, seed=2):
    """Questions as values of the form, and as what `query` takes."""
    rng, found = np.random.default_rng(seed), []
    for _ in range(n):
        d = int(rng.integers(len(content["decisions"])))
        part = content["decisions"][d]
        level, over = map(int, rng.choice(len(part["levels"]), 2, replace=False))
        where = int(rng.integers(len(content["targets"])))
        target, margin = content["targets"][where], float(rng.choice([0.1, 0.5, 0.5, 1, 2, 2.5]))
        form = {"decision": d, **name_sides(part, level, over), "where": where,
                "equivalence": margin}  # fmt: skip
        place = {} if target["by"] == "overall" else {target["by"]: target["name"]}
        statement = f"{part['name']}: {part['levels'][level]} > {part['levels'][over]}"
        found.append((form, statement, {"equivalence": margin, **place}))
    return found


def assert_way(shown, part, *, n_bounds):
    """Hold one of three ways against that of `query`.

    At a margin that is not stored each of its bounds lies somewhere between two of a hundred
    quantiles.
    """
    if n_bounds:
        assert shown["p"] == pytest.approx(part.estimate, abs=0.01 * n_bounds)
        assert shown["mcse"] is None
    else:
        assert shown["p"] == pytest.approx(part.estimate, rel=1e-8)
        assert shown["mcse"] == pytest.approx(part.mcse, rel=1e-8)


def check_answer(shown, answer):
    """Hold one answer of a panel against that of `query`, digits as printed included."""
    found = shown["answer"]
    assert found["statement"] == answer.statement
    assert found["target"] == answer.target
    assert found["probability"] == pytest.approx(answer.probability.estimate, rel=1e-8)
    assert found["mcse"] == pytest.approx(answer.probability.mcse, rel=1e-8)
    for name in ("estimate", "lower", "upper"):
        assert found[name] == pytest.approx(answer.effect[name], rel=1e-8)
    for name, part in answer.three_way.items():
        n_bounds = 2 if name == "equivalent" else 1
        stored = answer.equivalence in panels.MARGINS
        assert_way(found["three_way"][name], part, n_bounds=0 if stored else n_bounds)
    if answer.equivalence in panels.MARGINS:
        assert found["practically"] == answer.practically
    kinds = {"association": answer.association, "new_setting": answer.new_setting}
    told = {name: part for name, part in kinds.items() if part is not None}
    own = "effect" if told else "association"
    assert set(found["three"]) == {own, *told}
    for name, part in told.items():
        assert found["three"][name]["p"] == pytest.approx(part["probability"], rel=1e-8)
        assert found["three"][name]["range"] == pytest.approx(describe(part), rel=1e-8)
        assert f"{part['estimate']:+.1f}" in shown["kinds"].replace("\N{MINUS SIGN}", "-")
    assert found["three"][own]["p"] == found["probability"]
    assert found["verdict"] == answer.evidence.verdict
    assert found["family"] == answer.evidence.most_influential_family
    assert (found["within"] is None) == (answer.evidence.within_families is None)
    assert shown["probability"] == str(answer.probability)
    plain = (shown["effect"] + shown["interval"]).replace("\N{MINUS SIGN}", "-")
    e = answer.effect
    assert f"{e['estimate']:+.1f} percentage points" in plain
    assert f"90 % interval {e['lower']:+.1f} to {e['upper']:+.1f}" in plain


@pytest.mark.parametrize("which, n", [("nasty", 60), ("shipped", 200)])
def test_panel_answers_as_query_does(request, browser, which, n, tmp_path):
    path, text, _ = request.getfixturevalue(f"{which}_report")
    fit = request.getfixturevalue({"nasty": "nasty", "shipped": "reference"}[which])
    asked = choose_questions(read_answers(text), n=n)
    shown = ask_page(browser, path, text, [form for form, _, _ in asked], tmp_path)
    for (_, statement, settings), one in zip(asked, shown, strict=True):
        check_answer(one, bm.query(fit, statement, **settings))
        # The shipped fit is what a command asks that names none.
        assert one["command"].endswith(" --fit FIT.nc") == (which == "nasty")
    took, loop = (np.median([find(one) for one in shown]) for find in
                  (lambda one: one["answer"]["milliseconds"], lambda one: one["loop"]))  # fmt: skip
    assert took < MOST_LOOPS * loop


ABOUT = {"probability": 0.1, "share": 0.2}
"""How far what is read between stored answers may be off: of a probability, and of the ends and the
middle of an interval in its widths. Half of them are within a tenth of that."""


def test_numbers_between_stored_ones_are_about_right(browser, shipped_report, reference, tmp_path):
    path, text, _ = shipped_report
    content, rng = read_answers(text), np.random.default_rng(4)
    names = [part["name"] for part in content["decisions"]]
    code = names.index("code_share")
    sides = [[30, 10], [12, 27], [9, 10], [49, 1], [5, 45], [22, 21], [40, 8]]
    where = rng.integers(len(content["targets"]), size=len(sides))
    forms = [
        {"decision": code, "value": f"{a}%", "base": str(b), "where": int(w), "equivalence": 0.5}
        for (a, b), w in zip(sides, where, strict=True)
    ]
    *shown, outside = ask_page(browser, path, text, [*forms, {"value": 80}], tmp_path)
    off = []
    for (high, low), w, one in zip(sides, where, shown, strict=True):
        target = content["targets"][w]
        place = {} if target["by"] == "overall" else {target["by"]: target["name"]}
        answer, found = bm.query(reference, f"code_share: {high} > {low}", **place), one["answer"]
        assert found["statement"] == answer.statement
        assert found["mcse"] is None
        assert one["probability"].startswith("about ")
        assert one["about"].startswith("About: ")
        assert found["probability"] == pytest.approx(
            answer.probability.estimate, abs=ABOUT["probability"]
        )
        e = answer.effect
        width = e["upper"] - e["lower"]
        gaps = [abs(found[k] - e[k]) / width for k in ("estimate", "lower", "upper")]
        assert max(gaps) <= ABOUT["share"]
        off += gaps
        assert answer.verdict in found["verdict"].split(" or ")
    assert np.median(off) <= ABOUT["share"] / 10 * 3
    assert "answers values from 0 to 50" in outside["trouble"]
    assert 'bayesmeta query "code_share: 80 > 8"' in outside["trouble"]


def test_typed_questions_are_read_as_query_reads_them(browser, shipped_report, reference, tmp_path):
    path, text, _ = shipped_report
    typed = [
        "gqa vs mha", "GQA > multi-head attention on HumanEval", "is MQA better than MHA?",
        "code share: 18% > 8% on nli", "code 30 percent < 50%", "attention: mha or gqa",
        "mha -> gqa", "attention: mha → gqa, math", "code 30% → 50%",
    ]  # fmt: skip
    nonsense = ["does code help?", "gqa vs mha on Nowhere", "gqa vs rope"]
    shown = ask_page(browser, path, text, [{"typed": one} for one in typed + nonsense], tmp_path)
    for words, one in zip(typed, shown, strict=False):
        answer = bm.query(reference, words)
        assert one["trouble"] == ""
        assert one["answer"]["statement"] == answer.statement
        assert one["answer"]["target"] == answer.target
        assert one["answer"]["probability"] == pytest.approx(answer.probability.estimate)
    for one in shown[len(typed) :]:
        assert one["answer"] is None
        assert one["trouble"]


def test_practice_is_never_stronger_than_the_verdict(browser, shipped_report, tmp_path):
    path, text, _ = shipped_report
    asked = choose_questions(read_answers(text), n=60, seed=5)
    for one in ask_page(browser, path, text, [form for form, _, _ in asked], tmp_path):
        verdict = one["answer"]["verdict"]
        if verdict in ("conflicting", "prior-dominated"):
            assert "undecided" in one["practically"]
        if verdict == "association only" and "undecided" not in one["practically"]:
            assert "no experiments settle it" in one["practically"]


def test_address_is_a_question_and_names_stay_text(browser, nasty_report, tmp_path):
    path, text, _ = nasty_report
    form, _, _ = choose_questions(read_answers(text), n=1)[0]
    last = len(read_answers(text)["targets"]) - 1
    (one,) = ask_page(browser, path, text, [{**form, "where": last}], tmp_path)
    document = dump(browser, path, tmp_path / "other", asked=one["hash"])
    again = json.loads(html.unescape(re.search(r'data-answer="([^"]*)"', document)[1]))
    assert {**again, "milliseconds": 0} == {**one["answer"], "milliseconds": 0}
    assert again["target"] == NASTY_BENCHMARK
    assert "window.hacked" not in re.sub(r"<[^>]*>", "", "".join(re.findall(
        r"<script>.*?</script>", document, re.S)))  # fmt: skip
    words = one["command"]
    assert words.startswith("bayesmeta query ")
    echoed = subprocess.run(["bash", "-c", words.replace("bayesmeta query", "printf '%s\\n'")],
                            capture_output=True, text=True, check=True).stdout  # fmt: skip
    assert NASTY_BENCHMARK in echoed.splitlines()


def test_nonsense_in_form_and_address_is_answered_in_words(browser, nasty_report, tmp_path):
    path, text, _ = nasty_report
    names = [part["name"] for part in read_answers(text)["decisions"]]
    attention = names.index("attention")
    same, negative, good = ask_page(
        browser, path, text,
        [{"decision": attention, "level": 0, "over": 0}, {"over": 1, "equivalence": -1},
         {"equivalence": 0.5}],
        tmp_path,
    )  # fmt: skip
    assert same["trouble"] == "Choose two different values."
    assert "number from 0 up" in negative["trouble"]
    assert good["trouble"] == ""
    assert good["answer"] is not None
    nonsense = "#decision=attention&level=%3Cscript%3E&over=gqa&where=x:y&equivalence=abc"
    document = dump(browser, path, tmp_path / "other", asked=nonsense)
    # What is not known stays as it was: that is the level that is named on the other side.
    said = re.search(r'<p id="trouble"[^>]*>([^<]*)</p>', document)[1]
    assert said == "Choose two different values."


# What a page looks like in a frame, and what its tables do; it is told to the page around it.
LOOK = """
<script>AXE</script>
<script>
window.addEventListener("load", async () => {
  const found = {};
  found.dark = matchMedia("(prefers-color-scheme: dark)").matches;
  found.width = innerWidth;
  const root = document.documentElement;
  found.wider = root.scrollWidth - root.clientWidth;
  const wide = (one) => one.getBoundingClientRect().width;
  found.narrowest = Math.min(...[...document.querySelectorAll("tbody th")]
    .filter((one) => !one.closest("details")).map(wide)) / 16;
  const card = document.querySelector(".card, #summary p + p");
  found.answered = card.getBoundingClientRect().bottom <= innerHeight;
  const second = "thead th:nth-child(2)";
  const sort = document.querySelector(`#effects ${second}, #studies ${second}`);
  const table = sort.closest("table");
  const column = () => [...table.tBodies[0].rows].map((row) => row.cells[1].textContent);
  found.before = column();
  sort.querySelector("button").click();
  found.sorted = [sort.getAttribute("aria-sort"), column()];
  sort.querySelector("button").click();
  found.turned = [sort.getAttribute("aria-sort"), column()];
  const tools = table.closest(".scroll").previousElementSibling;
  const filter = tools.querySelector("input");
  filter.value = table.tBodies[0].rows[0].cells[0].textContent;
  filter.dispatchEvent(new Event("input"));
  found.left = [...table.tBodies[0].rows].filter((row) => !row.hidden).length;
  const blobs = [];
  URL.createObjectURL = (blob) => { blobs.push(blob); return "#"; };
  HTMLAnchorElement.prototype.click = () => {};
  tools.querySelector("button").click();
  const figure = document.querySelector("figure .tools button");
  figure.click();
  [found.csv, found.svg] = await Promise.all(blobs.map((blob) => blob.text()));
  filter.value = "";
  filter.dispatchEvent(new Event("input"));
  const seen = await axe.run(document, { resultTypes: ["violations"] });
  found.violations = seen.violations.map((one) =>
    [one.id, one.nodes.length, one.nodes[0].target.join(" "), one.nodes[0].failureSummary]);
  found.errors = document.documentElement.dataset.error || "";
  parent.postMessage(found, "*");
});
</script>
"""
FRAMES = """<!DOCTYPE html><title>frames</title>
<script>
const told = {};
window.addEventListener("message", ({ data, source }) => {
  for (const frame of document.querySelectorAll("iframe")) {
    if (frame.contentWindow === source) told[frame.id] = data;
  }
  document.title = JSON.stringify(told);
});
</script>
"""
SIZES = ((1280, 900), (390, 844))


@pytest.fixture(scope="module")
def axe():
    """The accessibility checks of axe-core, as JavaScript."""
    folder = pytest.importorskip("axe_core_python", reason="axe-core-python is not installed")
    return Path(folder.__file__).with_name("axe.min.js").read_text(encoding="utf-8")


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_page_can_be_read_on_a_desk_and_on_a_phone(
    browser, axe, shipped_report, studies_report, theme, tmp_path
):
    """Nothing is cut off or pale, the first screen answers, tables sort, filter, download."""
    frames = FRAMES
    for name, (_, text, _) in (("shipped", shipped_report), ("studies", studies_report)):
        text = re.sub(r"<meta http-equiv[^>]*>", "", text)  # else the checks may not run
        checks = LOOK.replace("AXE", axe)
        (tmp_path / f"{name}.html").write_text(text.replace("</body>", checks + "</body>"))
        for width, height in SIZES:
            frames += f'<iframe id="{name}-{width}" src="{name}.html" width="{width}" '
            frames += f'height="{height}" style="border:0"></iframe>\n'
    (tmp_path / "frames.html").write_text(frames, encoding="utf-8")
    dark = ("--blink-settings=preferredColorScheme=0",) * (theme == "dark")
    document = dump(browser, tmp_path / "frames.html", tmp_path / "profile", more=(
        "--virtual-time-budget=100000", "--allow-file-access-from-files", *dark))  # fmt: skip
    told = json.loads(html.unescape(re.search(r"<title>(.*?)</title>", document, re.S)[1]))
    assert set(told) == {f"{name}-{width}" for name in ("shipped", "studies") for width, _ in SIZES}
    for name, found in told.items():
        assert (found["width"], found["dark"]) == (int(name.split("-")[1]), theme == "dark")
        assert found["wider"] <= 0, name
        assert found["narrowest"] >= 6, name
        assert found["answered"], name
        assert found["errors"] == ""
        assert found["violations"] == [], name
        order, column = found["sorted"]
        assert order == "ascending"
        assert sorted(column) == sorted(found["before"])
        numbers = [float(re.match(r"[+-]?[\d.]+", one.replace("\N{MINUS SIGN}", "-"))[0])
                   for one in column]  # fmt: skip
        assert numbers == sorted(numbers)
        assert found["turned"][0] == "descending"
        assert 1 <= found["left"] < len(column)
        assert len(found["csv"].strip().split("\r\n")) == len(column) + 1
        assert found["svg"].startswith("<svg")


# --- A meta-analysis ------------------------------------------------------------------------------


def test_the_report_of_a_meta_analysis_has_its_sections(studies_report):
    _, text, markdown = studies_report
    names = re.findall(r'<section id="([\w-]+)"', text)
    assert names == ["summary", "studies", "heterogeneity", "influence", "small-studies", "priors",
                     "checks", "origin"]  # fmt: skip
    figures = re.findall(r'id="figure-([\w-]+)"', text)
    assert figures == ["studies", "bubble-0", "baujat", "funnel"]
    assert "Models of publication bias are averaged for independent studies" in markdown
    assert "this table has moderators" in markdown


def test_the_report_says_what_the_functions_say(tmp_path):
    fit = bm.fit(read_studies())
    _, text, markdown = write(fit, tmp_path)
    for row in bm.summary(fit).table.to_dict("records"):
        cells = [f"{row[k]:.3f}" for k in ("estimate", "sd", "lower", "upper")]
        assert f"| {row['quantity']} | {' | '.join(cells)} |" in markdown
    averaged = bm.average_models(fit.dataset, bm.EnsembleSpec())
    for row in averaged.components.to_dict("records"):
        assert f"| {row['component']} | {row['models']} | 0.500 |" in markdown
        assert f"| {row['inclusion_bf']:.3f} |" in markdown
    assert "4 chains of 1000" in text
    assert fit.prior_report["stated"] in html.unescape(text)


def test_the_report_shouts_where_a_prior_contradicts_the_data(tmp_path):
    fit = bm.fit(read_studies(), bm.EffectSizeSpec(mu_sd=0.001))
    markdown = write(fit, tmp_path)[2]
    assert "THE FIT FAILED ITS CHECKS" in markdown.split("## Does it pass")[0]
    assert "contradicts the data" in markdown


@pytest.mark.parametrize(
    "roles,said",
    [
        ({"groups": ["lab"]}, "this table has groups"),
        ({"cluster": "lab", "rho": 0.5}, "this table has correlated errors"),
    ],
)
def test_reports_of_tables_that_no_average_is_for_say_so(tmp_path, roles, said):
    assert said in write(bm.fit(read_studies(**roles)), tmp_path)[2]


def test_the_report_of_two_studies_leaves_refits_out(tmp_path):
    fit = bm.fit(read_studies(2), bm.EffectSizeSpec(tau="none"))
    markdown = write(fit, tmp_path)[2]
    assert r"bm.leave\_study\_out makes them" in markdown
    assert "all studies share one effect" in markdown


def test_a_meta_analysis_has_no_decisions(tmp_path):
    with pytest.raises(QueryError, match="this is a fit of effect sizes, which has none"):
        bm.report(bm.fit(read_studies()), tmp_path, decisions="attention")
