"""The rules of the house that a tool can check; each has a test that shows it can fail."""

import ast
import re
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import pytest

from tests import schedule

ROOT = Path(__file__).resolve().parent.parent
APPS = ("hpns", "billing", "delivery", "tenants")
LONGEST = 300
# One file by its purpose: a customer downloads it, reads it, and runs it without anything else.
IN_ONE_PIECE = {ROOT / "billing/sla/verifier/verify_sla.py": 375}
STYLES = (
    ROOT / "hpns/static/hpns/site.css",
    ROOT / "hpns/static/hpns/sla.css",
    ROOT / "delivery/static/delivery/sandbox/phone.css",
)
DRAWERS = {"utils", "util", "common", "helpers", "helper", "core", "base_utils", "misc"}


def sources(*folders: str) -> list[Path]:
    """Our Python files, migrations left out."""
    found = [path for folder in folders for path in sorted((ROOT / folder).rglob("*.py"))]
    return [path for path in found if "migrations" not in path.parts]


# A settings file extends another by a star import; all else holds for it, too.
EXTENDING = (ROOT / "hpns" / "settings.py", ROOT / "hpns" / "settings_test.py")


def too_long(path: Path) -> bool:
    """Whether a file has more lines than a reader holds in mind."""
    return len(path.read_text(encoding="utf-8").splitlines()) > IN_ONE_PIECE.get(path, LONGEST)


def posing(path: Path) -> bool:
    """Whether a file of the product is called like one of the tests."""
    return path.name.startswith("test_") and path.is_relative_to(ROOT) and "tests" not in path.relative_to(ROOT).parts


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


def shared_threads(source: str) -> Iterator[str]:
    """Where a source text runs blocking work in asyncio's default executor, which all kinds of work share."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Attribute) and node.attr in ("to_thread", "run_in_executor"):
            yield f"line {node.lineno}: {node.attr}; use delivery/executors.py"


def undocumented(source: str) -> Iterator[str]:
    """The module and the public functions and classes of a source text that have no docstring."""
    tree = ast.parse(source)
    if tree.body and not ast.get_docstring(tree):
        yield "the module"
    for node in tree.body:
        named = isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef)
        if named and not node.name.startswith("_") and not ast.get_docstring(node):
            yield node.name


def unused_parts(root: Path) -> set[str]:
    """The templates of parts/ that no page includes, neither itself nor by way of a part that a page includes."""
    parts = {f"parts/{path.name}": path.read_text(encoding="utf-8") for path in (root / "templates/parts").iterdir()}
    pages = [path for path in (root / "templates").rglob("*") if path.is_file() and path.parent.name != "parts"]
    pages += [path for app in APPS for path in (root / app).rglob("*.py")]
    looked_at = [path.read_text(encoding="utf-8") for path in pages]
    unused = set(parts)
    while looked_at:
        text = looked_at.pop()
        included = {name for name in unused if f'"{name}"' in text}
        unused -= included
        looked_at += [parts[name] for name in included]
    return unused


def unused_classes(css: str, texts: str) -> set[str]:
    """The classes of a stylesheet that no word of the pages' templates and scripts names."""
    css = re.sub(r"/\*.*?\*/", "", css, flags=re.DOTALL)
    return set(re.findall(r"\.([a-zA-Z][\w-]*)(?=[^{}]*\{)", css)) - set(re.findall(r"[\w-]+", texts))


# Where providers have names: their two folders, the sandbox that plays them, the reader of the reference proxy's
# configuration, the demo, and the settings of their origins.
OF_PROVIDERS = (
    "delivery/providers",
    "tenants/providers",
    "delivery/sandbox",
    "hpns/push_proxy",
    "hpns/local",
    "hpns/settings.py",
)
PROVIDER = re.compile(r"(apns|fcm)(_|$)", re.IGNORECASE)


def providers_named_in(source: str) -> Iterator[str]:
    """The names and texts of a source text that single out one provider; what people read in sentences is none."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            named = node.value
        else:
            named = next(
                (value for field in ("id", "attr", "arg", "name") if (value := getattr(node, field, None))), ""
            )
        if isinstance(named, str) and PROVIDER.match(named):
            yield f"line {node.lineno}: {named}"  # type: ignore[attr-defined]


def offences(paths: Iterable[Path], rule: Callable[[Path], Iterable[str]]) -> list[str]:
    """What a rule finds in any of the files: each offence after the name of its file."""
    return [f"{path}: {offence}" for path in paths for offence in rule(path)]


def misfits(path: Path) -> Iterator[str]:
    """What is wrong with a Python file of ours, tests too: its length, its name, its imports."""
    if too_long(path):
        yield f"more than {LONGEST} lines: split it by step or noun"
    if path.stem in DRAWERS:
        yield "a drawer for odds and ends"
    if posing(path):
        yield "no test: a file of the product is not called test_*"
    faults = faults_of(path.read_text(encoding="utf-8"))
    yield from (fault for fault in faults if path not in EXTENDING or not fault.endswith("a star import"))


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


def test_no_blocking_work_is_in_threads_that_all_kinds_of_it_share() -> None:
    product = [path for path in sources(*APPS) if "sandbox" not in path.parts]
    assert len(product) > 200
    assert offences(product, lambda path: shared_threads(path.read_text(encoding="utf-8"))) == []
    assert len(list(shared_threads("await asyncio.to_thread(f)\nloop.run_in_executor(None, f)"))) == 2


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


def test_no_file_names_a_provider_but_those_that_are_about_one() -> None:
    others = [path for path in sources(*APPS) if not str(path.relative_to(ROOT)).startswith(OF_PROVIDERS)]
    assert len(others) > 200
    assert offences(others, lambda path: providers_named_in(path.read_text(encoding="utf-8"))) == []


def test_a_provider_that_is_named_is_noticed() -> None:
    source = (
        'if app.family == "apns":\n    kind = "fcm_account"\n'
        'text = "Apple says no"\ndef f(fcm): return settings.APNS_HOST\n'
    )
    named = {"line 1: apns", "line 2: fcm_account", "line 4: fcm", "line 4: APNS_HOST"}
    assert set(providers_named_in(source)) == named


def test_each_part_of_a_page_is_used_by_a_page() -> None:
    assert not unused_parts(ROOT)


def test_a_part_that_only_unused_parts_include_is_noticed(tmp_path: Path) -> None:
    texts = {
        "pages/page.html": '{% include "parts/used.html" %}',
        "parts/used.html": '{% include "parts/by_a_part.html" %}',
        "parts/by_a_part.html": "",
        "parts/unused.html": '{% include "parts/by_an_unused_part.html" %}',
        "parts/by_an_unused_part.html": '{% include "parts/by_an_unused_part.html" %}',
    }
    for name, text in texts.items():
        (tmp_path / "templates" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "templates" / name).write_text(text)
    assert unused_parts(tmp_path) == {"parts/unused.html", "parts/by_an_unused_part.html"}


@pytest.mark.parametrize("css", STYLES, ids=lambda path: path.name)
def test_each_class_of_a_stylesheet_is_on_a_page(css: Path) -> None:
    made = [ROOT / "templates", css.parent, *(ROOT / app for app in APPS)]
    files = [path for folder in made for path in folder.rglob("*") if path.suffix in (".html", ".js", ".py")]
    assert not unused_classes(css.read_text(), "\n".join(path.read_text() for path in files))


def test_a_class_that_no_page_has_is_noticed() -> None:
    css = "/* .no { } */ a.used, .menu > .unused:hover { margin: .5em; } @media print { .also-unused { margin: 0; } }"
    assert unused_classes(css, '<a class="used menu">') == {"unused", "also-unused"}


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


def test_what_the_schedule_keeps_together_is_there() -> None:
    paths = [str(path.relative_to(ROOT)) for path in sources("tests")]
    begins = [begin for together in schedule.TOGETHER for begin in together]
    gone = [begin for begin in [*begins, "tests/nowhere/"] if not any(path.startswith(begin) for path in paths)]
    assert gone == ["tests/nowhere/"]
