"""The rules of the house that a tool can check; each has a test that shows it can fail."""

import ast
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from tests import schedule

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


def offences(paths: Iterable[Path], rule: Callable[[Path], Iterable[str]]) -> list[str]:
    """What a rule finds in any of the files: each offence after the name of its file."""
    return [f"{path}: {offence}" for path in paths for offence in rule(path)]


def misfits(path: Path) -> Iterator[str]:
    """What is wrong with a Python file of ours, tests too: its length, its name, its imports."""
    if too_long(path):
        yield f"more than {LONGEST} lines: split it by step or noun"
    if path.stem in DRAWERS:
        yield "a drawer for odds and ends"
    if path != ROOT / "hpns" / "settings_test.py":  # a settings file is one that extends another
        yield from faults_of(path.read_text(encoding="utf-8"))


def unsaid(path: Path) -> Iterator[str]:
    """What is public in a Python file and has no docstring."""
    return undocumented(path.read_text(encoding="utf-8"))


def test_every_file_is_short_and_imports_openly() -> None:
    files = sources(*APPS, "tests")
    assert len(files) > 400
    assert offences(files, misfits) == []


def test_all_that_is_public_says_what_it_is() -> None:
    files = sources(*APPS)
    assert len(files) > 200
    assert offences(files, unsaid) == []


def test_every_file_that_breaks_a_rule_is_named(tmp_path: Path) -> None:
    sources_of = {"a.py": "x = 1\n" * (LONGEST + 1), "utils.py": '"""Docs."""\n', "b.py": "from os import *\n"}
    for name, source in sources_of.items():
        (tmp_path / name).write_text(source)
    paths = [tmp_path / name for name in sources_of]
    assert offences(paths, misfits) == [
        f"{tmp_path}/a.py: more than {LONGEST} lines: split it by step or noun",
        f"{tmp_path}/utils.py: a drawer for odds and ends",
        f"{tmp_path}/b.py: line 1: a star import",
    ]
    assert offences(paths, unsaid) == [f"{tmp_path}/a.py: the module", f"{tmp_path}/b.py: the module"]


def test_the_rules_notice_what_they_forbid(tmp_path: Path) -> None:
    (tmp_path / "long.py").write_text("x = 1\n" * (LONGEST + 1))
    assert too_long(tmp_path / "long.py")
    assert list(faults_of("def f():\n    import os\n"))
    assert list(faults_of("from . import x\n"))
    assert list(faults_of("from os import *\n"))
    assert list(faults_of("if TYPE_CHECKING:\n    pass\n"))
    assert not list(faults_of("from os import path\n"))
    assert list(undocumented("def f():\n    pass\n")) == ["the module", "f"]
    assert not list(undocumented('"""Docs."""\n'))


def test_what_the_schedule_keeps_together_is_there() -> None:
    paths = [str(path.relative_to(ROOT)) for path in sources("tests")]
    begins = [begin for together in schedule.TOGETHER for begin in together]
    gone = [begin for begin in [*begins, "tests/nowhere/"] if not any(path.startswith(begin) for path in paths)]
    assert gone == ["tests/nowhere/"]


def test_a_push_travels_down_and_the_contracts_notice_what_travels_up(tmp_path: Path) -> None:
    # A planted violation in a copy of the tree: the wire must not know the queue.
    for app in APPS:
        subprocess.run(["cp", "-r", str(ROOT / app), str(tmp_path / app)], check=True)
    (tmp_path / "pyproject.toml").write_text((ROOT / "pyproject.toml").read_text())
    command = [str(Path(sys.executable).parent / "lint-imports"), "--no-cache"]
    kept = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False, timeout=60)
    assert kept.returncode == 0, kept.stdout
    wire = tmp_path / "delivery" / "wire.py"
    wire.write_text(wire.read_text() + "\nfrom delivery import outbox\n")
    broken = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False, timeout=60)
    assert broken.returncode == 1
    assert "A push travels down and never back up BROKEN" in broken.stdout
