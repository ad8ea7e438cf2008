"""The words of library_internals.py: a name in somebody else's library, and what can be needed of it."""

import hashlib
import inspect
import textwrap
from collections.abc import Callable
from pkgutil import resolve_name
from typing import Any, NamedTuple

Need = Callable[[Any], str]
"""Returns what is wrong with what the name stands for, "" for nothing."""


class Internal(NamedTuple):
    """A row. name: "module:attribute.attribute"; where: a file of ours; why: what it does there."""

    name: str
    need: Need
    where: str
    why: str

    @property
    def library(self) -> str:
        """The package that it is imported from."""
        return self.name.partition(":")[0].partition(".")[0]

    def fault(self) -> str:
        """What is wrong, "" for nothing."""
        try:
            found = resolve_name(self.name)
        except (ImportError, AttributeError) as error:
            return f"is gone ({error})"
        return self.need(found)


def digest(of: Any) -> str:
    """A short digest of the source text of a function or method."""
    text = textwrap.dedent(inspect.getsource(inspect.unwrap(of)))
    return hashlib.sha256(text.encode()).hexdigest()[:8]


def there(_: Any) -> str:
    """It exists."""
    return ""


def same(expected: str) -> Need:
    """Its source text is as it was when ours was written; to look at: what it does now, and whether ours still fits."""

    def need(found: Any) -> str:
        now = digest(found)
        return "" if now == expected else f"has changed (its source's digest is {now}, it was {expected})"

    return need


def takes(*names: str) -> Need:
    """Its parameters are just these."""

    def need(found: Any) -> str:
        now = tuple(inspect.signature(found).parameters)
        return "" if now == names else f"takes {', '.join(now)} where ours gives {', '.join(names)}"

    return need


def accepts(*names: str) -> Need:
    """These are among its parameters."""

    def need(found: Any) -> str:
        lacking = [name for name in names if name not in inspect.signature(found).parameters]
        return f"no longer takes {', '.join(lacking)}" if lacking else ""

    return need


def contains(*texts: str) -> Need:
    """These stand in its source text."""

    def need(found: Any) -> str:
        source = inspect.getsource(found)
        lacking = [text for text in texts if text not in source]
        return f"no longer contains {' nor '.join(repr(text) for text in lacking)}" if lacking else ""

    return need


def equals(value: Any) -> Need:
    """It is this value."""
    return lambda found: "" if found == value else f"is {found!r} and not {value!r}"


def lacks(*names: str) -> Need:
    """It has no attribute of these names, which ours gives it."""

    def need(found: Any) -> str:
        taken = [name for name in names if hasattr(found, name)]
        return f"has {', '.join(taken)} of its own now" if taken else ""

    return need


def holds(*names: str) -> Need:
    """It has attributes, or items, of these names."""

    def need(found: Any) -> str:
        lacking = [name for name in names if not hasattr(found, name) and name not in getattr(found, "keys", list)()]
        return f"has no {', '.join(lacking)}" if lacking else ""

    return need
