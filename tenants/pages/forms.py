"""What the forms of customers' pages share: a field of lines, a word that confirms, and how a change is made."""

from collections.abc import Callable
from typing import Any

from django import forms
from django.contrib import messages
from django.http import HttpRequest

from tenants.changes import Changed
from tenants.problem import ProblemError


class LinesField(forms.CharField):
    """A list, typed one a line or with commas; its value is a list of what was typed."""

    def __init__(self, *, rows: int, **kwargs: Any) -> None:
        """`rows`: how tall it is; the rest as forms.CharField. Nothing is a list, too."""
        attrs = {"rows": rows, "spellcheck": "false", "autocapitalize": "off"}
        super().__init__(required=False, max_length=4_000, widget=forms.Textarea(attrs=attrs), **kwargs)

    def clean(self, value: Any) -> list[str]:
        """The lines."""
        return str(super().clean(value)).replace(",", "\n").splitlines()


class ConfirmForm(forms.Form):
    """Confirmation of a dangerous act: its object's name, typed again by whoever is about to do it."""

    # Its own error says that nothing was changed.
    saves_nothing = True

    typed = forms.CharField(max_length=200, label="Type it to confirm")

    def __init__(self, *args: Any, expected: str, what: str = "", **kwargs: Any) -> None:
        """`expected`: what has to be typed; `what` it is, such as "the slug", where the page does not say so."""
        super().__init__(*args, **kwargs)
        self._expected = expected
        self.fields["typed"].label = f"Type {f'{what} ' if what else ''}{expected} to confirm"
        self.fields["typed"].widget.attrs.update({"autocomplete": "off", "spellcheck": "false"})

    def clean_typed(self) -> str:
        """Raise a ValidationError for anything but `expected`."""
        typed = str(self.cleaned_data["typed"]).strip()
        if typed != self._expected:
            raise forms.ValidationError(f"This is not {self._expected}. Nothing was changed.")
        return typed


class EitherFile(forms.FileField):
    """A file or what stands beside it: one of the two is needed, so that none is marked as optional."""

    unmarked = True


class EitherText(forms.CharField):
    """A text or what stands beside it, as EitherFile."""

    unmarked = True


def saved(request: HttpRequest, form: forms.Form, change: Callable[[], Changed[Any]]) -> bool:
    """Apply the change of a form, with a message on the next page whether anything changed.

    False: what is wrong stands at the form, beside its field, or the first one where a service names none of the
    form's; nothing was changed.
    """
    if not form.is_valid():
        return False
    try:
        changed = change().changed
    except ProblemError as problem:
        named = problem.field in form.fields
        form.add_error(problem.field if named else next(iter(form.fields)), problem.sentence)
        return False
    messages.success(request, "Saved." if changed else "Nothing to change: it was so already.")
    return True
