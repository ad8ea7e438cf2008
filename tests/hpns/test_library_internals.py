"""What our code leans on in libraries beyond their documentation is as it was: here an upgrade fails first, by name."""

import re
from importlib.metadata import version

import pytest

from tests.hpns.library_internals import EXACT, INTERNALS
from tests.hpns.library_needs import Internal, Need, accepts, contains, digest, equals, holds, lacks, same, takes, there
from tests.stage import ROOT

PINNED = re.compile(r"^([a-z0-9-]+)(?:\[[a-z,]+\])?==(\S+)$", re.MULTILINE)


def pins(text: str) -> dict[str, str]:
    """The exact pins of a file of requirements."""
    return dict(PINNED.findall(text))


def sentence(internal: Internal, fault: str) -> str:
    """What is said of a fault to whoever upgrades."""
    return (
        f"{internal.name} of {internal.library} {fault}. {internal.where} needs it ({internal.why}): compare it with "
        f"the version before, change what leans on it, then its row in tests/hpns/library_internals.py."
    )


@pytest.mark.parametrize("internal", INTERNALS, ids=lambda internal: internal.name)
def test_what_we_lean_on_is_as_it_was(internal: Internal) -> None:
    fault = internal.fault()
    assert not fault, sentence(internal, fault)


@pytest.mark.parametrize("name", sorted(pins((ROOT / "requirements.in").read_text())))
def test_what_is_pinned_exactly_is_installed_and_locked_in_that_version(name: str) -> None:
    wanted = pins((ROOT / "requirements.in").read_text())[name]
    assert version(name) == wanted
    for lock in ("requirements.lock", "requirements-dev.lock"):
        assert f"{name}=={wanted} \\" in (ROOT / lock).read_text().splitlines(), lock


def test_a_library_with_methods_that_are_replaced_is_pinned_exactly() -> None:
    assert set(EXACT) <= set(pins((ROOT / "requirements.in").read_text()))
    assert set(EXACT) <= {internal.library for internal in INTERNALS}


@pytest.mark.parametrize("where", sorted({internal.where for internal in INTERNALS}))
def test_each_row_names_a_file_of_ours(where: str) -> None:
    assert (ROOT / where).is_file()


class Theirs:
    """Stands for something in a library."""

    kept = 1

    def method(self, first: int, second: int = 2) -> int:
        return first + second


def other(self: object, first: int) -> int:
    return first


@pytest.mark.parametrize(
    ("need", "good", "bad", "words"),
    [
        (same(digest(Theirs.method)), Theirs.method, other, "has changed"),
        (
            takes("self", "first", "second"),
            Theirs.method,
            other,
            "takes self, first where ours gives self, first, second",
        ),
        (accepts("second"), Theirs.method, other, "no longer takes second"),
        (contains("first + second"), Theirs.method, other, "no longer contains 'first + second'"),
        (equals(1), Theirs.kept, 2, "is 2 and not 1"),
        (holds("kept"), Theirs, other, "has no kept"),
        (holds("kept"), {"kept": 1}, {}, "has no kept"),
        (lacks("kept"), other, Theirs, "has kept of its own now"),
    ],
)
def test_each_need_notices_what_it_is_for(need: Need, good: object, bad: object, words: str) -> None:
    assert need(good) == ""
    assert words in need(bad)


@pytest.mark.parametrize("name", ["kombu.nowhere:thing", "kombu:Connection._no_such_method"])
def test_what_is_gone_is_said_with_where_it_is_needed(name: str) -> None:
    internal = Internal(name, there, "hpns/celery/hub.py", "a reason")
    assert internal.fault().startswith("is gone (")
    assert "hpns/celery/hub.py needs it (a reason)" in sentence(internal, internal.fault())


def test_only_exact_pins_are_read_as_such() -> None:
    assert pins("a==1.0\nb~=2.0\nc[x]==3\n# d==4\n") == {"a": "1.0", "c": "3"}
