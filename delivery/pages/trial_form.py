"""The form of the page for test pushes."""

import re
from collections.abc import Sequence
from typing import Any, Final

from django import forms

from delivery.protocol import policy
from delivery.providers import table
from tenants.models import PushApp, Server
from tenants.pages.forms import EitherText
from tenants.providers.table import family_of

SANDBOX: Final = "sandbox"
PASTED: Final = "pasted"
_TOKEN: Final = re.compile(r"[A-Za-z0-9:_-]{16,512}")


class TestPushForm(forms.Form):
    """Which server sends, to which app, on which phone."""

    saves_nothing = True

    server = forms.ChoiceField(label="Server", help_text="The push counts as this server's, within its limits.")
    app = forms.ChoiceField(label="App")
    target = forms.ChoiceField(label="Phone", widget=forms.RadioSelect)
    device_id = EitherText(
        required=False,
        max_length=600,
        label="Device ID",
        widget=forms.TextInput(attrs={"autocomplete": "off", "spellcheck": "false"}),
        help_text="As Mattermost keeps it, such as apple_rn-v2:5b33..., or the token behind the colon alone.",
    )

    def __init__(
        self, *args: Any, servers: Sequence[Server], apps: Sequence[PushApp], sandbox: bool, **kwargs: Any
    ) -> None:
        """`servers`: those with a key in use; `apps`: those that this customer can push to; `sandbox`: is there one?"""
        super().__init__(*args, **kwargs)
        self._servers = {str(row.public_id): row for row in servers}
        self._apps = {str(row.pk): row for row in apps}
        self.fields["server"].choices = [(key, row.name) for key, row in self._servers.items()]  # type: ignore[attr-defined]
        self.fields["app"].choices = [  # type: ignore[attr-defined]
            (key, f"{row.label} ({row.topic}{', shared' if row.customer_id is None else ''})")
            for key, row in self._apps.items()
        ]
        targets = [(PASTED, "A phone whose device ID I have")]
        if sandbox:
            targets.insert(0, (SANDBOX, "The sandbox's phone"))
        self.fields["target"].choices = targets  # type: ignore[attr-defined]
        self.fields["target"].initial = targets[0][0]

    def clean(self) -> dict[str, Any]:
        """Find out the token and the platform."""
        given: dict[str, Any] = super().clean() or self.cleaned_data
        app = self._apps.get(given.get("app", ""))
        if app is None or given.get("target") is None:
            return given
        given["app_row"] = app
        given["server_row"] = self._servers.get(given.get("server", ""))
        given["platform"], given["token"] = f"{app.label}-v2", table.PROVIDERS[app.family].sandbox_phone
        if given["target"] == PASTED:
            self._paste(given, app)
        return given

    def _paste(self, given: dict[str, Any], app: PushApp) -> None:
        text = given.get("device_id", "").strip()
        head, colon, token = text.partition(":")
        if colon and policy.app_label(head)[0] == app.label:
            given["platform"] = head
        elif colon and family_of(head):
            self.add_error("device_id", f"This is a device of the app {policy.app_label(head)[0]}, not of {app.label}.")
            return
        else:
            token = text
        if not _TOKEN.fullmatch(token):
            self.add_error("device_id", "A device token is at least 16 letters, digits, :, _ or - long. Copy it whole.")
            return
        given["token"] = token
