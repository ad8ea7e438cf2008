"""The forms of the pages for apps and credentials."""

from typing import Any, Final

from django import forms

from tenants.providers import pem, table
from tenants.providers.table import PROVIDERS

# The labels that Mattermost's apps of today send come first; servers since 11.9 let no others log in.
LABELS: Final = sorted(
    (label for provider in PROVIDERS.values() for label in provider.labels),
    key=lambda label: label[1].startswith("Classic"),
)


class NeededBySome(forms.CharField):
    """A text that some files need and others have not: its help says which, so that it is not marked as optional."""

    unmarked = True


class AppForm(forms.Form):
    """An app of the customer's own."""

    label = forms.ChoiceField(choices=LABELS, label="Platform", help_text="What the app's phones are registered as.")
    topic = forms.CharField(
        max_length=255, label="Bundle id or package name", help_text="Such as com.example.chat, as in the store."
    )
    host = forms.ChoiceField(
        choices=table.hosts,
        initial=table.HOSTS[0],
        label="Apple's host",
        help_text="Production for builds of the App Store and TestFlight, sandbox for builds out of Xcode.",
    )

    def provider_host(self) -> str:
        """The host that was chosen, if the label's provider has several; else none."""
        provider = PROVIDERS.get(table.family_of(self.cleaned_data["label"]))
        return str(self.cleaned_data["host"]) if provider is not None and provider.hosts else ""


class AppChangeForm(forms.Form):
    """Another bundle id or package name of an app, and where its provider has several hosts, another host."""

    topic = AppForm.base_fields["topic"]
    host = AppForm.base_fields["host"]

    def __init__(self, *args: Any, family: str, **kwargs: Any) -> None:
        """`family`: whose app it is."""
        super().__init__(*args, **kwargs)
        if not PROVIDERS[family].hosts:
            del self.fields["host"]


class UploadForm(forms.Form):
    """A file of Apple's or Google's that pushes are signed with."""

    file = forms.FileField(label="File")
    key_id = NeededBySome(
        required=False, max_length=20, label="Key id", help_text="For a .p8 whose name is not AuthKey_….p8."
    )
    team_id = NeededBySome(
        required=False,
        max_length=20,
        label="Team id",
        help_text="For a .p8: ten characters, at Apple under Membership.",
    )
    password = NeededBySome(
        required=False,
        max_length=200,
        strip=False,
        label="Password",
        help_text="For a .p12 or .pem that has one. It is not kept.",
        widget=forms.PasswordInput(attrs={"autocomplete": "off"}),
    )

    def __init__(self, *args: Any, family: str, **kwargs: Any) -> None:
        """`family`: whose app it is for; what only other providers' files need is not asked for."""
        super().__init__(*args, **kwargs)
        provider = PROVIDERS[family]
        self.fields["file"].help_text = provider.upload_help
        for name in set(self.fields) - {"file"} - provider.upload_fields:
            del self.fields[name]

    def content(self) -> bytes:
        """The file, as far as anything that is a credential goes."""
        return bytes(self.cleaned_data["file"].read(pem.SIZE_MAX + 1))
