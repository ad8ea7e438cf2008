"""Filters of the admin's lists: a value that is typed, as a list of all would be too long; one of two words."""

from collections.abc import Iterable, Iterator
from typing import Any, ClassVar

from django.contrib import admin
from django.http import HttpRequest


class TextFilter(admin.SimpleListFilter):
    """A filter with a text field in the place of a list. `suggested`: what the field offers while somebody types."""

    template = "admin/text_filter.html"
    suggested: ClassVar[Iterable[str]] = ()
    hint: ClassVar[str] = ""

    def lookups(self, request: HttpRequest, model_admin: Any) -> tuple[tuple[str, str], ...]:
        """None is listed, and the filter is there all the same."""
        return (("", ""),)

    def choices(self, changelist: Any) -> Iterator[Any]:
        """One, for the template: what else the address has, the field, and the way back to all."""
        others = [(name, value) for name, value in changelist.params.items() if name != self.parameter_name]
        yield {
            "selected": bool(self.value()),
            "query_string": changelist.get_query_string(remove=[self.parameter_name]),
            "display": self.value() or "",
            "name": self.parameter_name,
            "others": others,
            "suggested": self.suggested,
            "hint": self.hint,
        }


def whether(name: str, empty: str, filled: str) -> type[admin.FieldListFilter]:
    """A filter by whether a field is empty, in words: what it is called, and what is said of an empty and a filled one.

    Django's own (EmptyFieldListFilter) says "Empty" and "Not empty", which nobody reads as "In use" and "Revoked".
    """

    class Whether(admin.EmptyFieldListFilter):
        def __init__(self, *args: Any, **options: Any) -> None:
            super().__init__(*args, **options)
            self.title = name

        def choices(self, changelist: Any) -> Iterator[Any]:
            for choice, word in zip(super().choices(changelist), ("All", empty, filled), strict=True):
                # Behind the word stands the count, where somebody asked for it.
                _, bracket, count = str(choice["display"]).partition(" (")
                yield {**choice, "display": f"{word}{bracket}{count}"}

    return Whether
