"""No module imports another that imports it in turn: inside functions and for types included."""

import ast
from pathlib import Path

ROOT = Path(__file__).parents[2]
PACKAGE = "bayesmeta"


def name_module(path: Path, *, root: Path) -> str:
    parts = path.relative_to(root).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def find_imports(root: Path) -> dict[str, set[str]]:
    """Modules of the package that each of its modules imports, wherever the statement stands."""
    paths = {name_module(path, root=root): path for path in (root / PACKAGE).rglob("*.py")}
    imports = {}
    for module, path in paths.items():
        named = set()
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                named |= {alias.name for alias in node.names}
            elif isinstance(node, ast.ImportFrom):
                assert node.level == 0, f"{module}: a relative import"
                whole = {f"{node.module}.{alias.name}" for alias in node.names}
                named |= {name if name in paths else str(node.module) for name in whole}
        imports[module] = named & set(paths) - {module}
    return imports


def find_cycles(imports: dict[str, set[str]]) -> set[frozenset[str]]:
    """Groups of modules each of which reaches all others of its group."""

    def reach(start: str) -> set[str]:
        seen, todo = set(), [start]
        while todo:
            new = imports[todo.pop()] - seen
            seen |= new
            todo += new
        return seen

    reached = {module: reach(module) for module in imports}
    groups = {
        frozenset(other for other in found if module in reached[other])
        for module, found in reached.items()
    }
    return groups - {frozenset()}


def test_no_modules_import_each_other():
    assert not find_cycles(find_imports(ROOT))


def test_the_search_sees_imports_inside_functions(tmp_path):
    folder = tmp_path / PACKAGE
    folder.mkdir()
    (folder / "__init__.py").write_text("from bayesmeta.low import f\n")
    (folder / "low.py").write_text("def f():\n    from bayesmeta import high\n    high.g()\n")
    (folder / "high.py").write_text("import bayesmeta.low\ndef g(): ...\n")
    assert find_cycles(find_imports(tmp_path)) == {frozenset({"bayesmeta.low", "bayesmeta.high"})}
