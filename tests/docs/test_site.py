"""Pages of the site say what the package does; nothing here needs what builds the site."""

import importlib.util
import json
import re
from pathlib import Path

import jsonschema
import pytest

import bayesmeta as bm
from bayesmeta import defaults
from bayesmeta.cli.shared import CONTENTS

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
PAGES = {str(path.relative_to(DOCS)): path.read_text("utf-8") for path in DOCS.rglob("*.md")}
FENCE = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
# Figures that take seconds each; tests/cli draws them too.
HEAVY = {f"gallery/{kind}.md" for kind in ("calibration", "ppc", "prior-posterior", "ranks")}
BLOCKS = [
    pytest.param(text, id=f"{page}-{number}", marks=[pytest.mark.slow] if page in HEAVY else [])
    for page, content in sorted(PAGES.items())
    for number, (kind, text) in enumerate(FENCE.findall(content))
    if kind == "python"
]
WITH_OUTPUT = sorted(page for page, content in PAGES.items() if "```console\n" in content)
COMMANDS = [name for places in CONTENTS.values() for names in places.values() for name in names]
SCHEMAS = {path.stem: json.loads(path.read_text("utf-8")) for path in DOCS.rglob("schemas/*.json")}


def read_script(name):
    spec = importlib.util.spec_from_file_location(name.replace("-", "_"), ROOT / "scripts" / name)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def ask(command):
    """What a command prints as JSON."""
    return json.loads(read_script("refresh-docs.py").run(f"bayesmeta {command} --format json"))


@pytest.mark.parametrize("page", WITH_OUTPUT)
def test_transcripts_are_what_the_commands_print(page):
    assert read_script("refresh-docs.py").refresh(PAGES[page]) == PAGES[page]


def test_transcripts_show_refusals_only_where_they_teach():
    refused = {
        page for page in WITH_OUTPUT if re.search("^(error|Error|Usage):", PAGES[page], re.M)
    }
    assert refused == {"howto/own_lms.md", "howto/own_decisions.md"}


@pytest.mark.parametrize("text", BLOCKS)
def test_python_examples_run(run_example, tmp_path, text):
    run_example(text)
    for drawn in re.findall(r'save_figure\(drawn, "([\w-]+\.pdf)"\)', text):
        assert (tmp_path / drawn).stat().st_size > 1000


@pytest.mark.parametrize("page", sorted(PAGES))
def test_pages_are_short_and_lead_somewhere(page):
    assert len(PAGES[page].splitlines()) <= 400
    text = FENCE.sub("", PAGES[page])
    for target in re.findall(r"\]\(([^)#]+)[^)]*\)", text):
        assert target.startswith("https://") or (DOCS / page).parent.joinpath(target).exists()


def test_every_command_has_a_page_that_shows_it():
    index = PAGES["questions/index.md"]
    for name in COMMANDS:
        assert f"```{{command}} {name}\n" in PAGES[f"questions/{name}.md"]
        assert f"({name}.md)" in index
    pages = {page for page in PAGES if page.startswith("questions/")}
    assert pages == {f"questions/{name}.md" for name in [*COMMANDS, "index"]}


def test_every_public_name_is_in_the_reference():
    topics = re.findall(r"^- ([\w -]+): ((?:.+\n)(?:  .+\n)*)", bm.__doc__, re.MULTILINE)
    shown = set(re.findall(r"```{public} (.+)\n", "".join(PAGES.values())))
    assert shown == {topic for topic, _ in topics} | {"figures", "results"}
    named = {name for _, names in topics for name in re.findall(r"`(\w+)`", names)}
    assert named | {"BayesmetaError"} == set(bm.__all__)


def test_gallery_shows_every_figure():
    from bayesmeta.cli.plot_command import POSTERIOR, RECORDED

    kinds = {*POSTERIOR, *RECORDED}
    assert {f"gallery/{kind}.md" for kind in kinds} < set(PAGES)
    for kind in kinds:
        assert f"bayesmeta plot {kind} " in PAGES[f"gallery/{kind}.md"]
        assert (ROOT / "figures" / f"{kind}.png").exists()


def test_thresholds_and_verdicts_are_those_of_the_package():
    page = PAGES["meaning/verdicts.md"]
    rows = dict(re.findall(r"^\| `([A-Z_]+)` \| ([\d.]+) \|", page, re.MULTILINE))
    assert len(rows) >= 8
    assert {name: float(value) for name, value in rows.items()} == {
        name: getattr(defaults, name) for name in rows
    }
    explained = re.findall(r"^\| ([a-z -]+) \| ", page, re.MULTILINE)[1:5]
    assert sorted(explained) == sorted(defaults.VERDICTS)
    assert set(defaults.VERDICTS) <= set(
        re.findall(r"^\| ([a-z -]+) \| ", PAGES["meaning/claims.md"], re.MULTILINE)
    )


def test_exit_codes_are_those_of_the_command_line():
    from bayesmeta.cli import shared

    page = PAGES["development/stability.md"]
    codes = {int(code) for code in re.findall(r"^\| (\d+) \| ", page, re.MULTILINE)}
    named = (shared.EXIT_UNCHECKED, shared.EXIT_BAD_INPUT, shared.EXIT_INTERRUPTED)
    assert codes == {0, *named}


@pytest.mark.parametrize(
    "name, command",
    [
        ("query", 'query "attention: gqa > mha"'),
        ("query", 'query "norm: rmsnorm > layernorm"'),
        ("query", 'query "code_share: 20 > 5" --more-than 1 --at n_params=7e9,n_tokens=2e12'),
        ("evidence", 'evidence "attention: gqa > mha"'),
        ("evidence", 'evidence "norm: rmsnorm > layernorm"'),
        ("effects", "effects"),
        ("curve", "curve code_share"),
        ("check", "check"),
    ],
)
def test_json_is_as_its_schema_says(name, command):
    jsonschema.validate(ask(command), SCHEMAS[name])


def test_a_schema_refuses_what_lacks_a_key():
    answer = ask('query "attention: gqa > mha"')
    del answer["evidence"]["lms"]
    with pytest.raises(jsonschema.ValidationError, match="'lms' is a required property"):
        jsonschema.validate(answer, SCHEMAS["query"])


def test_a_claim_is_as_its_schema_says(tmp_path):
    bm.claim(bm.load_reference_fit(), "attention: gqa > mha").save(tmp_path / "claim.json")
    jsonschema.validate(json.loads((tmp_path / "claim.json").read_text()), SCHEMAS["claim"])


@pytest.mark.parametrize("name", sorted(SCHEMAS))
def test_schemas_are_valid_and_shown(name):
    jsonschema.Draft202012Validator.check_schema(SCHEMAS[name])
    assert f"```{{schema}} {name}\n" in PAGES["reference/json.md"]


def test_the_tour_is_true():
    answer = bm.query(bm.load_reference_fit(), "attention: gqa > mha")
    association = answer.as_association
    assert association.effect["lower"] > 0
    assert answer.effect["lower"] < 0 < answer.effect["upper"]
    assert answer.prob_equivalent.estimate > 0.5
    assert answer.verdict == "conflicting"
    lms = bm.load_dataset().lms
    text = PAGES["tour.md"]
    assert f"what {len(lms)} models, {lms['lm_family'].nunique()} families" in text
    assert f"{lms['lm_family'].nunique()} families: LMs of one family share" in text
    better, worse = (
        bm.query(bm.load_reference_fit(), "code_share: 30 > 10", benchmark=name).as_association
        for name in ("humaneval", "lambada")
    )
    assert better.effect["lower"] > 0 > worse.effect["upper"]
    for one in (better, worse):
        changed = bm.query(bm.load_reference_fit(), "code_share: 30 > 10", benchmark=one.target)
        assert abs(changed.effect["estimate"]) < abs(one.effect["estimate"])
        assert changed.effect["lower"] < 0 < changed.effect["upper"]
    assert len(bm.ladders(bm.load_reference_fit(), "code_share: 20 > 5", by="overall").table()) == 3


def test_numbers_of_the_tour_are_printed_or_counted():
    text = FENCE.sub("", PAGES["tour.md"])
    text = re.sub(r"\]\([^)]*\)|^## \d\.|\(\d minutes?\)|^\d\. ", "", text, flags=re.MULTILINE)
    lms = bm.load_dataset().lms
    counted = {str(len(lms)), str(lms["lm_family"].nunique())}
    assert set(re.findall(r"\d+(?:\.\d+)?", text)) == counted
