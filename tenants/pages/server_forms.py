"""The forms of the pages for servers and keys. They check what people typed; the services say what cannot be."""

from datetime import timedelta
from typing import Any

from django import forms
from django.utils import timezone

from tenants.pages.forms import LinesField

# Days after which a key may end; people choose, they do not count.
LIFETIMES = (("", "never"), ("30", "30 days"), ("90", "90 days"), ("365", "a year"))


class NameForm(forms.Form):
    """The name of a server."""

    name = forms.CharField(
        max_length=200,
        label="Name",
        help_text="What you call this Mattermost installation, such as chat.example.com.",
    )


class KeyForm(forms.Form):
    """A new key."""

    key_name = forms.CharField(
        max_length=200,
        required=False,
        label="Name",
        help_text="Where the key will be used, for the day it is replaced.",
    )
    lifetime = forms.ChoiceField(choices=LIFETIMES, required=False, label="It ends after")

    def expires_at(self) -> Any:
        """When the key ends; None for never."""
        days = self.cleaned_data["lifetime"]
        return timezone.now() + timedelta(days=int(days)) if days else None


class NetworksForm(forms.Form):
    """Where a server's keys are taken from."""

    networks = LinesField(
        rows=4, label="Networks", help_text="One a line, such as 192.0.2.0/24 or 2001:db8::1. Empty: from anywhere."
    )


class ServerIdForm(forms.Form):
    """A server_id to register."""

    mattermost_id = forms.CharField(
        max_length=64,
        label="Server ID",
        help_text="In Mattermost: main menu, About, Server ID. It has 26 letters and digits.",
    )
