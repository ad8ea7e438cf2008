"""A filter of the admin's lists whose value is typed: a customer's slug, a code; a list of all would be too long."""

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
