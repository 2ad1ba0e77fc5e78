"""Pages of the site say what the package does; nothing here needs what builds the site."""

import importlib.util
import json
import re
import shlex
from pathlib import Path

import click
import jsonschema
import pytest
from click.testing import CliRunner

import bayesmeta as bm
from bayesmeta import defaults
from bayesmeta.cli.shared import CONTENTS, app

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
README = (ROOT / "README.md").read_text("utf-8")
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
    names = run_example(text)
    if "slope" in names:
        check_slope(names["slope"], text)
    for drawn in re.findall(r'save_figure\(drawn, "([\w-]+\.pdf)"\)', text):
        assert (tmp_path / drawn).stat().st_size > 1000


def check_slope(slope, block):
    """The numbers of the comment, a mean and a standard deviation, are those of the draws."""
    mean, sd, *_ = map(float, re.findall(r"-?0\.\d+", block[block.index("# about") :]))
    assert float(slope.mean()) == pytest.approx(mean, abs=0.001)
    assert float(slope.std()) == pytest.approx(sd, abs=0.001)


def test_the_slope_is_checked_somewhere():
    assert len([one for one in BLOCKS if "slope = " in one.values[0]]) == 1


# Commands that do not fit, and that tests/cli does not run as they stand here.
RUN = ("doctor", "effects", "tipping")
COMMAND_LINES = [
    pytest.param(line, id=f"{page}-{line}")
    for page, content in {**PAGES, "README.md": README}.items()
    for kind, text in FENCE.findall(content)
    if kind == "sh"
    for line in re.findall("^bayesmeta .*$", text, re.MULTILINE)
]


@pytest.mark.parametrize("line", COMMAND_LINES)
def test_command_lines_are_understood(line, monkeypatch, tmp_path):
    """Every command and option exists; those that take no time are run."""
    _, name, *words = shlex.split(line, comments=True)
    words = words[: words.index(">")] if ">" in words else words
    above = click.Context(app, info_name="bayesmeta")
    command = app.get_command(above, name)
    while isinstance(command, click.Group):
        above = click.Context(command, info_name=name, parent=above)
        command = command.get_command(above, words.pop(0))
    command.make_parser(click.Context(command, parent=above)).parse_args([*words])
    if name in RUN:
        monkeypatch.chdir(tmp_path)
        ran = CliRunner().invoke(app, [name, *words])
        assert ran.exit_code == 0, ran.output


INLINE = {
    (command, option)
    for content in (*PAGES.values(), README)
    for command, options in re.findall(r"`bayesmeta (\w+)([^`]*)`", FENCE.sub("", content))
    for option in ["", *re.findall(r"--[a-z-]+", options)]
}


def test_commands_and_options_named_in_the_prose_exist():
    above = click.Context(app, info_name="bayesmeta")
    for name, option in INLINE:
        command = app.get_command(above, name)
        assert command is not None, name
        parts = command.commands.values() if isinstance(command, click.Group) else [command]
        known = {o for one in parts for p in one.get_params(above) for o in p.opts}
        assert not option or option in known, (name, option)


# What a new user wants to know, and the words of the page that answer it.
ASKED = {
    "How do I look at draws in a notebook with ArviZ?": (
        "tutorials.md",
        "az.plot_rank(fit.posterior",
    ),
    "Which notebook comes first?": ("tutorials.md", "01_quickstart.ipynb), to begin with"),
    "Can I give it data frames instead of files?": (
        "tutorials.md",
        "own = bm.Dataset.from_frames(lms, scores)",
    ),
    "How do I get a figure in the width of a venue?": ("howto/paper.md", 'venue="neurips"'),
    "Which code draws this figure?": ("gallery/three-answers.md", "bm.plot.three_answers("),
    "What must the caption say?": ("howto/paper.md", "## A caption"),
    "Is that probability a p value?": ("meaning/index.md", "no p value"),
    "How probable is more than one point?": ("questions/query.md", "`--more-than 1`"),
    "Which of the three do I report?": ("meaning/claims.md", "## Which of the three to report"),
    "Where does it not hold?": ("meaning/limitations.md", "**Experiments are small.**"),
}


@pytest.mark.parametrize("question", ASKED)
def test_a_question_of_a_new_user_is_answered_within_two_clicks(question):
    page, words = ASKED[question]
    assert words in PAGES[page]
    first = follow("index.md")
    assert page in first | {second for one in first for second in follow(one)}


def follow(page):
    """Pages that a page links to in its text."""
    targets = re.findall(r"\]\(([^)#]+\.md)[^)]*\)", FENCE.sub("", PAGES[page]))
    found = {(DOCS / page).parent.joinpath(target).resolve() for target in targets}
    return {str(one.relative_to(DOCS)) for one in found if one.is_relative_to(DOCS)}


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
    thresholds = {name for name, value in vars(defaults).items() if isinstance(value, int | float)}
    assert rows.keys() >= {
        name for name in thresholds if re.search("^(CONTRACTION|FAMILIES|STUDIES|PROB)_", name)
    }
    assert len(rows) >= 8
    assert {name: float(value) for name, value in rows.items()} == {
        name: getattr(defaults, name) for name in rows
    }
    explained = re.findall(r"^\| ([a-z -]+) \| ", page, re.MULTILINE)[1:5]
    assert sorted(explained) == sorted(defaults.VERDICTS)
    assert set(defaults.VERDICTS) <= set(
        re.findall(r"^\| ([a-z -]+) \| ", PAGES["meaning/claims.md"], re.MULTILINE)
    )


def test_widths_of_venues_are_those_of_the_package():
    from bayesmeta.plots.look import VENUES

    row = r"^\| ((?:`[a-z]+`(?:, )?)+)[^|]* \| `([\d.]+)` \| `([\d.]+)` \|$"
    shown = {
        name: (float(column), float(page))
        for names, column, page in re.findall(row, PAGES["howto/paper.md"], re.MULTILINE)
        for name in re.findall(r"[a-z]+", names)
    }
    assert shown == VENUES


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
