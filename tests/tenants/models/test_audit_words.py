"""Each action that the code records has words for people, and no words are there for what nobody records."""

import ast
from collections.abc import Iterator

import pytest

from tenants.models.audit_words import DESCRIPTIONS, description
from tests.test_house import APPS, sources

Function = ast.FunctionDef | ast.AsyncFunctionDef


class Unreadable(Exception):
    """An action that is not said where it is recorded, nor by whoever calls that function of the same file."""


def recorded(source: str) -> set[str]:
    """The actions that a source text records by recording.record, also where they are handed through its own
    functions.
    """
    tree = ast.parse(source)
    functions = [node for node in ast.walk(tree) if isinstance(node, Function)]
    found: set[str] = set()
    for function in functions:
        for call in _calls(function, "record", of="recording"):
            found |= set(_actions_in(call.args[0], function, functions))
    return found


def _calls(inside: ast.AST, name: str, of: str = "") -> Iterator[ast.Call]:
    for node in ast.walk(inside):
        if not isinstance(node, ast.Call):
            continue
        called = node.func
        if isinstance(called, ast.Name) and not of and called.id == name:
            yield node
        if isinstance(called, ast.Attribute) and called.attr == name and ast.unparse(called.value) == of:
            yield node


def _actions_in(value: ast.expr, function: Function, functions: list[Function]) -> Iterator[str]:
    """The texts that a value can be, as it is used in a function."""
    if isinstance(value, ast.Constant) and isinstance(value.value, str):
        yield value.value
    elif isinstance(value, ast.IfExp):
        yield from _actions_in(value.body, function, functions)
        yield from _actions_in(value.orelse, function, functions)
    elif isinstance(value, ast.Name):
        values = list(_given(value.id, function, functions))
        if not values:
            raise Unreadable(f"line {value.lineno}: {value.id}")
        for each, where in values:
            yield from _actions_in(each, where, functions)
    else:
        raise Unreadable(f"line {value.lineno}: {ast.unparse(value)}")


def _given(name: str, function: Function, functions: list[Function]) -> Iterator[tuple[ast.expr, Function]]:
    """What a name stands for: what the function puts into it, and what its callers do."""
    for node in ast.walk(function):
        if isinstance(node, ast.Assign) and [name] == [ast.unparse(target) for target in node.targets]:
            yield node.value, function
    places = [argument.arg for argument in function.args.args]
    if name in places:
        for caller in functions:
            for call in _calls(caller, function.name):
                yield call.args[places.index(name)], caller


def everything_recorded() -> set[str]:
    """By all of our code."""
    return {action for path in sources(*APPS) for action in recorded(path.read_text(encoding="utf-8"))}


def test_each_action_that_is_recorded_has_words_and_no_other_has() -> None:
    assert everything_recorded() == set(DESCRIPTIONS)


def test_no_file_records_in_a_way_that_is_not_looked_at() -> None:
    """Whoever imports the function itself, or another name of its module, is not found above."""
    for path in sources(*APPS):
        text = path.read_text(encoding="utf-8")
        assert "from tenants.audit.recording import record" not in text, path
        assert "recording as " not in text, path


def test_all_words_are_different_and_read_as_a_sentence() -> None:
    assert len(set(DESCRIPTIONS.values())) == len(DESCRIPTIONS)
    assert all(text[0].isupper() and not text.endswith(".") for text in DESCRIPTIONS.values())


def test_what_is_no_action_is_shown_as_it_is() -> None:
    assert description("key") == "key"
    assert description("key.revoke") == "Revoked a key"


@pytest.mark.parametrize(
    ("source", "found"),
    [
        ("def f():\n    recording.record('a.b', customer=None)", {"a.b"}),
        ("def f(x):\n    recording.record('a.b' if x else 'a.c', customer=None)", {"a.b", "a.c"}),
        ("def f(x):\n    y = 'a.b' if x else 'a.c'\n    recording.record(y, customer=None)", {"a.b", "a.c"}),
        ("def f(x, y):\n    recording.record(y)\ndef g():\n    return f(1, 'a.b')", {"a.b"}),
        ("def f():\n    other.record('a.b')", set()),
    ],
)
def test_an_action_is_found_wherever_it_is_said(source: str, found: set[str]) -> None:
    assert recorded(source) == found


@pytest.mark.parametrize("source", ["def f(x):\n    recording.record(x.y)", "def f(x):\n    recording.record(x)"])
def test_an_action_that_cannot_be_read_is_noticed(source: str) -> None:
    with pytest.raises(Unreadable):
        recorded(source)
