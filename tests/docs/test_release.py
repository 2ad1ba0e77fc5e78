"""What a release is made of agrees: versions, dependencies, Pythons, and addresses of pages."""

import json
import re
import tomllib
from pathlib import Path

import pytest

import bayesmeta as bm

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]


def read(name):
    return (ROOT / name).read_text("utf-8")


def list_pythons():
    """Minor versions that `make` accepts."""
    first, last = re.search(r"\(3, (\d+)\) <= .* <= \(3, (\d+)\)", read("Makefile")).groups()
    return [f"3.{minor}" for minor in range(int(first), int(last) + 1)]


def test_all_files_name_one_version():
    assert PROJECT["version"] == bm.__version__
    assert json.loads(read(".zenodo.json"))["version"] == bm.__version__
    assert f'set version = "{bm.__version__}"' in read("recipe/meta.yaml")


def test_recipe_needs_what_the_package_needs():
    recipe = read("recipe/meta.yaml")
    run = recipe[recipe.index("  run:") : recipe.index("test:")]
    needed = dict(re.findall(r"- ([\w-]+) >=([\d.]+)", run))
    assert needed.pop("python") == PROJECT["requires-python"].removeprefix(">=")
    needed["matplotlib"] = needed.pop("matplotlib-base")
    assert needed == dict(one.split(">=") for one in PROJECT["dependencies"])


def test_classifiers_name_every_python():
    named = re.findall(r"Python :: (3\.\d+)", " ".join(PROJECT["classifiers"]))
    assert named == list_pythons()
    assert PROJECT["requires-python"] == f">={named[0]}"


@pytest.mark.parametrize("workflow", ["release", "checks"])
def test_workflows_try_every_python(workflow):
    text = read(f".github/workflows/{workflow}.yml")
    tried = set(re.findall(r'"(3\.\d+)"', text))
    assert tried == set(list_pythons())


def test_the_release_check_tries_every_python():
    minors = re.search(r"MINORS = \(([\d, ]+)\)", read("scripts/check-release.py"))[1]
    assert [f"3.{minor}" for minor in minors.split(", ")] == list_pythons()


def test_workflows_make_what_the_makefile_has():
    targets = set(re.findall(r"^([a-z-]+):", read("Makefile"), re.MULTILINE))
    named = re.search(r"target: \[(.+)\]", read(".github/workflows/checks.yml"))[1].split(", ")
    assert set(named) <= targets
    notebooks = re.search(r"notebook: \[(.+)\]", read(".github/workflows/checks.yml"))[1]
    assert notebooks.split(", ") == sorted(p.stem for p in (ROOT / "notebooks").glob("*.ipynb"))


def test_llms_txt_leads_to_pages():
    links = re.findall(r"\]\(([^)]+)\.html\)", read("docs/_top/llms.txt"))
    assert links
    assert [link for link in links if not (ROOT / f"{link}.md").exists()] == []


def test_the_site_has_a_lock_of_its_own():
    locked = read("requirements-docs.lock")
    extras = PROJECT["optional-dependencies"]
    for wanted in (*extras["docs"], *extras["release"], *PROJECT["dependencies"]):
        assert re.search(rf"^{wanted.partition('>=')[0]}==", locked, re.MULTILINE), wanted
    assert "sphinx" not in read("requirements-dev.lock")
