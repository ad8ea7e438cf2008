"""The rules of the house that a tool can check; each has a test that shows it can fail."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
APPS = ("hpns", "billing", "delivery", "tenants")
LONGEST = 300
DRAWERS = {"utils", "util", "common", "helpers", "helper", "core", "base_utils", "misc"}


def sources(*folders: str) -> list[Path]:
    """Our Python files, migrations left out."""
    found = [path for folder in folders for path in sorted((ROOT / folder).rglob("*.py"))]
    return [path for path in found if "migrations" not in path.parts]


def too_long(path: Path) -> bool:
    """Whether a file has more lines than a reader holds in mind."""
    return len(path.read_text(encoding="utf-8").splitlines()) > LONGEST


def posing(path: Path) -> bool:
    """Whether a file of the product is called like one of the tests."""
    return path.name.startswith("test_") and "tests" not in path.relative_to(ROOT).parts


def faults_of(source: str) -> Iterator[str]:
    """Imports inside functions, relative ones, star imports and type-checking detours of a source text."""
    tree = ast.parse(source)
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            for inner in ast.walk(node):
                if isinstance(inner, ast.Import | ast.ImportFrom):
                    yield f"line {inner.lineno}: an import inside the function {node.name}"
        elif isinstance(node, ast.ImportFrom):
            if node.level:
                yield f"line {node.lineno}: a relative import"
            if any(alias.name == "*" for alias in node.names):
                yield f"line {node.lineno}: a star import"
        elif isinstance(node, ast.Name) and node.id == "TYPE_CHECKING":
            yield f"line {node.lineno}: a detour around an import cycle"


def undocumented(source: str) -> Iterator[str]:
    """The module and the public functions and classes of a source text that have no docstring."""
    tree = ast.parse(source)
    if tree.body and not ast.get_docstring(tree):
        yield "the module"
    for node in tree.body:
        named = isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef)
        if named and not node.name.startswith("_") and not ast.get_docstring(node):
            yield node.name


@pytest.mark.parametrize("path", sources(*APPS, "tests"), ids=lambda path: str(path.relative_to(ROOT)))
def test_a_file_is_short_and_imports_openly(path: Path) -> None:
    assert not too_long(path), f"{path} has more than {LONGEST} lines: split it by step or noun"
    assert path.stem not in DRAWERS, f"{path} is a drawer for odds and ends"
    assert not posing(path), f"{path} is no test: a file of the product is not called test_*"
    if path.relative_to(ROOT) != Path("hpns/settings_test.py"):  # a settings file is one that extends another
        assert not list(faults_of(path.read_text(encoding="utf-8")))


@pytest.mark.parametrize("path", sources(*APPS), ids=lambda path: str(path.relative_to(ROOT)))
def test_what_is_public_says_what_it_is(path: Path) -> None:
    assert not list(undocumented(path.read_text(encoding="utf-8")))


def test_the_rules_notice_what_they_forbid(tmp_path: Path) -> None:
    (tmp_path / "long.py").write_text("x = 1\n" * (LONGEST + 1))
    assert too_long(tmp_path / "long.py")
    assert posing(ROOT / "delivery" / "test_forms.py")
    assert not posing(ROOT / "tests" / "test_house.py")
    assert list(faults_of("def f():\n    import os\n"))
    assert list(faults_of("from . import x\n"))
    assert list(faults_of("from os import *\n"))
    assert list(faults_of("if TYPE_CHECKING:\n    pass\n"))
    assert not list(faults_of("from os import path\n"))
    assert list(undocumented("def f():\n    pass\n")) == ["the module", "f"]
    assert not list(undocumented('"""Docs."""\n'))
