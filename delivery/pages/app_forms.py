"""The forms of the pages for apps and credentials."""

from typing import Any, Final

from django import forms

from tenants.credentials import provider_files
from tenants.models import PushApp

# The labels that Mattermost's apps of today send; servers since 11.9 let no others log in.
LABELS: Final = (
    ("apple_rn", "iPhone (apple_rn)"),
    ("apple_rnbeta", "iPhone, beta (apple_rnbeta)"),
    ("android_rn", "Android (android_rn)"),
    ("apple", "Classic iPhone app of before 2018 (apple)"),
    ("android", "Classic Android app of before 2018 (android)"),
)


class AppForm(forms.Form):
    """An app of the customer's own."""

    label = forms.ChoiceField(choices=LABELS, label="Platform", help_text="What the app's phones are registered as.")
    topic = forms.CharField(
        max_length=255, label="Bundle id or package name", help_text="Such as com.example.chat, as in the store."
    )
    host = forms.ChoiceField(
        choices=PushApp.Host.choices,
        initial=PushApp.Host.PRODUCTION,
        label="Apple's host",
        help_text="Production for builds of the App Store and TestFlight, sandbox for builds out of Xcode.",
    )

    def apple_host(self) -> str:
        """The host for an app of Apple's; Google has one only."""
        return str(self.cleaned_data["host"]) if self.cleaned_data["label"].startswith("apple") else ""


class UploadForm(forms.Form):
    """A file of Apple's or Google's that pushes are signed with."""

    file = forms.FileField(
        label="File",
        help_text="Apple's key (.p8), or a certificate with its key (.p12, .pem).",
    )
    key_id = forms.CharField(
        required=False, max_length=20, label="Key id", help_text="For a .p8 whose name is not AuthKey_….p8."
    )
    team_id = forms.CharField(
        required=False,
        max_length=20,
        label="Team id",
        help_text="For a .p8: ten characters, at Apple under Membership.",
    )
    password = forms.CharField(
        required=False,
        max_length=200,
        strip=False,
        label="Password",
        help_text="For a .p12 or .pem that has one. It is not kept.",
        widget=forms.PasswordInput(attrs={"autocomplete": "off"}),
    )

    def __init__(self, *args: Any, family: str, **kwargs: Any) -> None:
        """`family`: whose app it is for, apns or fcm; what only the other's files need is not asked for."""
        super().__init__(*args, **kwargs)
        if family == PushApp.Family.FCM:
            self.fields[
                "file"
            ].help_text = "Google's service account (.json): Firebase console, Project settings, Service accounts."
            for name in ("key_id", "team_id", "password"):
                del self.fields[name]

    def content(self) -> bytes:
        """The file, as far as anything that is a credential goes."""
        return bytes(self.cleaned_data["file"].read(provider_files.SIZE_MAX + 1))
