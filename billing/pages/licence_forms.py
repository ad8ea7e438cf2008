"""The forms of the licence page: a file or its text, and which server it is for."""

from collections.abc import Iterable
from typing import Any, Final

from django import forms

from billing.licences import file
from tenants.models import Server
from tenants.pages.forms import EitherFile, EitherText

LATER: Final = ("", "I will say later")


class ServerField(forms.ChoiceField):
    """One of the customer's servers, by its public id; its value is the row, None for none."""

    def __init__(self, servers: Iterable[Server], *, required: bool, **kwargs: Any) -> None:
        """`servers`: what can be chosen; the only one is chosen already."""
        self._servers = {str(row.public_id): row for row in servers}
        named = [(public_id, row.name) for public_id, row in self._servers.items()]
        choices = named if required or len(named) == 1 else [LATER, *named]
        super().__init__(choices=choices, required=required, **kwargs)

    def clean(self, value: Any) -> Server | None:
        """The server."""
        return self._servers.get(super().clean(value))


class UploadForm(forms.Form):
    """A licence: the file, or the text that is in it."""

    file = EitherFile(
        required=False,
        label="Licence file",
        help_text="As Mattermost sent it, named such as acme.mattermost-license; about 2 KiB.",
        error_messages={"empty": "This file is empty: choose the one that Mattermost sent."},
    )
    text = EitherText(
        required=False,
        label="Or its text",
        help_text="All that is in the file: one long text of letters, digits, + and /.",
        widget=forms.Textarea(attrs={"rows": 4, "spellcheck": "false", "autocapitalize": "off", "autocomplete": "off"}),
    )

    def __init__(self, *args: Any, servers: Iterable[Server], **kwargs: Any) -> None:
        """`servers`: the customer's; without any the licence is bound to one later."""
        super().__init__(*args, **kwargs)
        rows = list(servers)
        if rows:
            self.fields["server"] = ServerField(
                rows,
                required=False,
                label="Server",
                help_text="A licence is for one server: the one that runs with it.",
            )

    def clean(self) -> dict[str, Any]:
        """One of the two is given."""
        given: dict[str, Any] = super().clean() or self.cleaned_data
        if not self.errors and bool(given.get("file")) == bool(given.get("text")):
            both = bool(given.get("file"))
            text = "Give one of the two: a file, or a text." if both else "Choose the licence file, or paste its text."
            self.add_error("text" if both else "file", text)
        return given

    @property
    def given_field(self) -> str:
        """The field that the licence came in."""
        return "file" if self.cleaned_data.get("file") else "text"

    def content(self) -> bytes:
        """The bytes of the licence, as far as anything that is one goes."""
        upload = self.cleaned_data.get("file")
        return bytes(upload.read(file.FILE_MAX + 1)) if upload else str(self.cleaned_data["text"]).encode()


class BindForm(forms.Form):
    """Which server a licence is for."""

    def __init__(self, *args: Any, servers: Iterable[Server], **kwargs: Any) -> None:
        """`servers`: the customer's."""
        super().__init__(*args, **kwargs)
        self.fields["server"] = ServerField(servers, required=True, label="Server")
