"""What the documents say is what the package does: output, numbers, names, files, modules."""

import importlib.util
import re
import subprocess
from pathlib import Path

import pandas as pd
import pytest

import bayesmeta as bm

ROOT = Path(__file__).parents[2]
PAGES = [str(path.relative_to(ROOT)) for path in sorted((ROOT / "docs").rglob("*.md"))]
DOCUMENTS = [
    "README.md", "ARCHITECTURE.md", "MODEL.md", "CHANGELOG.md", "CONTRIBUTING.md",
    "VALIDATION.md", "data/README.md", *PAGES,
]  # fmt: skip

FENCE = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)

# Words that belong to a machine or a registry, put together here so that this file has none.
FORBIDDEN = (
    *(f"/{name}/" for name in ("ro" + "ot", "wo" + "rk", "t" + "mp", "ho" + "me")),
    "../" + "shared",
    *(f"{name}.org" for name in ("py" + "pi", "python" + "hosted", "ana" + "conda")),
    "arti" + "factory",
)
QUICK = ("query", "effects", "check", "curve", "scoreboard", "data show", "data validate")
LONGEST_LINE = 5000  # longer ones hold encoded images, in which any word may turn up by chance


def read_script(name):
    spec = importlib.util.spec_from_file_location(name.replace("-", "_"), ROOT / "scripts" / name)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def blocks(page, language):
    return [text for kind, text in FENCE.findall(read(page)) if kind == language]


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


@pytest.mark.parametrize("document", ["README.md", "VALIDATION.md"])
def test_console_blocks_show_what_the_commands_print(document):
    text = read(document)
    assert read_script("refresh-docs.py").refresh(text) == text


def test_there_are_console_blocks_of_every_quick_command():
    shown = "".join(text for page in ("README.md", *PAGES) for text in blocks(page, "console"))
    for command in QUICK:
        assert f"$ bayesmeta {command}" in shown


def test_the_python_example_runs(run_example, tmp_path):
    (example,) = blocks("README.md", "python")
    run_example(example)
    assert (tmp_path / "forest.pdf").stat().st_size > 1000


def anchors_of(path):
    titles = re.findall(r"^#+ (.+)$", path.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-") for title in titles}


@pytest.mark.parametrize("document", DOCUMENTS)
def test_links_lead_somewhere(document):
    path = ROOT / document
    text = path.read_text(encoding="utf-8")
    for target in re.findall(r"\]\(([^)]+)\)|<img src=\"([^\"]+)\"", text):
        target = "".join(target)
        if target.startswith("https://"):
            continue
        name, _, anchor = target.partition("#")
        found = path.parent / name if name else path
        assert found.exists(), target
        assert not anchor or anchor in anchors_of(found), target


@pytest.mark.parametrize("document", DOCUMENTS)
def test_no_page_is_long(document):
    assert len(read(document).splitlines()) <= 400


@pytest.mark.parametrize("document", DOCUMENTS)
def test_files_that_documents_name_exist(document):
    text = FENCE.sub("", read(document))
    named = re.findall(r"`((?:[\w-]+/)+(?:[\w-]+\.[a-z]+)?)`", text.partition("## [0.1.0]")[0])
    within = (ROOT, ROOT / "bayesmeta", ROOT / "tests", (ROOT / document).parent)
    committed = [name for name in named if not name.startswith(("out/", "my/"))]
    assert [n for n in committed if not any((folder / n).exists() for folder in within)] == []


def test_every_public_name_in_the_documents_exists():
    notebooks = [p.read_text(encoding="utf-8") for p in (ROOT / "notebooks").glob("*.ipynb")]
    texts = [*map(read, ("README.md", *PAGES)), *notebooks]
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


@pytest.mark.parametrize("page", ["README.md", "VALIDATION.md", "MODEL.md", *PAGES])
def test_names_of_the_package_exist(page):
    text = (ROOT / page).read_text(encoding="utf-8")
    named = set(re.findall(r"\bbm\.((?:plot\.)?[A-Za-z_]+)", text))
    missing = {name for name in named if not has_name(name)}
    assert not missing


def has_name(name):
    place = bm.plot if name.startswith("plot.") else bm
    return hasattr(place, name.removeprefix("plot."))
