"""The shape of the package: names of files, what hides what, and what is public."""

import ast
import importlib
import sys
from collections import Counter
from pathlib import Path

import pytest

import bayesmeta as bm

PACKAGE = Path(bm.__file__).parent
FILES = sorted(PACKAGE.rglob("*.py"))
MODULES = [
    ".".join(("bayesmeta", *path.relative_to(PACKAGE).with_suffix("").parts))
    for path in FILES
    if path.stem not in ("__init__", "__main__")
]

MOST_FILES = 157
"""Python files of the package, every `__init__.py` included."""

MOST_LINES = 60
"""Lines of a function, its docstring aside; it then does more than one thing."""


def test_the_package_has_few_files_and_no_name_twice():
    names = Counter(path.name for path in FILES if path.name != "__init__.py")
    assert [name for name, count in names.items() if count > 1] == []
    assert len(FILES) <= MOST_FILES


@pytest.mark.parametrize("module", MODULES)
def test_no_name_hides_a_module(module):
    """`import a.b.c as m` gives what stands under the name `c` in `a.b`, module or not."""
    bound = {}
    exec(f"import {module} as m", bound)
    assert bound["m"] is sys.modules[module]


def test_public_names_are_listed_and_only_those():
    assert dir(bm) == sorted(bm.__all__)
    for name in bm.__all__:
        assert getattr(bm, name) is not None


def test_an_old_name_works_and_says_its_new_one():
    with pytest.warns(FutureWarning, match=r"bm\.swaps is called bm\.substitutions now"):
        assert bm.swaps is bm.substitutions
    assert "swaps" not in bm.__all__


def test_type_checkers_are_told_of_the_same_names():
    tree = ast.parse((PACKAGE / "__init__.pyi").read_text())
    told = {}
    for node in tree.body:
        if isinstance(node, ast.ImportFrom) and node.module != "bayesmeta":
            told |= {alias.asname: node.module for alias in node.names}
    for name, module in told.items():
        assert getattr(importlib.import_module(module), name) is getattr(bm, name)
    pairs = [node for node in tree.body if isinstance(node, ast.Assign)]
    same = {node.targets[0].id: node.value.id for node in pairs}
    assert same == {"plot": "plots", **bm.CALLED_BY}
    assert {*told, *same} == set(bm.__all__)


def test_functions_are_short():
    long = []
    for path in FILES:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                documented = ast.get_docstring(node) is not None
                first = node.body[int(documented)].lineno if len(node.body) > documented else 0
                if first and node.end_lineno - first + 1 > MOST_LINES:
                    long.append(f"{path.name}:{node.name}")
    assert long == []
