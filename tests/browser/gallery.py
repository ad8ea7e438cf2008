"""The gallery: every part on pages that are there for the tests alone. A urlconf; see conftest.py for its server."""

from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

from django import forms
from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.urls import include, path

from tenants.pages.forms import ConfirmForm
from tests.browser import gallery_charts
from tests.browser.gallery_names import ARABIC, HOSTILE, NAMES, UNBROKEN, WORDS, dress, render_own

handler404 = "hpns.pages.front.not_found"
handler500 = "hpns.pages.front.server_error"


class ThingForm(forms.Form):
    """One field of each kind."""

    name = forms.CharField(label="Name", help_text="What you call this Mattermost installation.")
    email = forms.EmailField(label="E-mail address", required=False)
    offer = forms.ChoiceField(label="Offer", choices=[("hpns", "HPNS"), ("eas", "EAS")])
    networks = forms.CharField(
        label="Networks", required=False, widget=forms.Textarea(attrs={"rows": 3}), help_text="One a line."
    )
    policy = forms.ChoiceField(
        label="Content of pushes",
        choices=[("as_sent", "As sent"), ("generic", "Generic text"), ("id_only", "Only the id")],
        widget=forms.RadioSelect,
        help_text="Applied before the queue.",
    )
    key = forms.FileField(label="Key file", required=False, help_text="A .p8 file of Apple.")
    sure = forms.BooleanField(label="I have read what will happen")
    hidden = forms.CharField(widget=forms.HiddenInput, initial="x")


class FilterForm(forms.Form):
    """Some filters."""

    server = forms.CharField(label="Server", required=False)
    outcome = forms.ChoiceField(label="Outcome", choices=[("", "All"), ("sent", "Sent")], required=False)


def context(kind: str) -> dict[str, Any]:
    """What the page of a kind shows."""
    now = datetime.now(UTC)
    much = kind == "much"
    text = WORDS if much else "chat.example.com"
    count = 40 if much else 4
    columns = [
        {"label": "Server"},
        {"label": "Outcome"},
        {"label": "Last push"},
        {"label": "Key"},
        {"label": "Pushes", "number": True},
    ]
    rows = [
        [
            {"text": (ARABIC, UNBROKEN, HOSTILE, text)[row % 4] if much else text, "href": "?server=1"},
            {
                "kind": ("good", "warn", "bad", "quiet")[row % 4],
                "text": ("Sent", "Late", "Refused", "Expired")[row % 4],
                "code": "BadTopic" if row % 4 == 2 else "",
                "note": "(3 times)" if row % 4 == 3 else "",
            },
            {"at": now - timedelta(minutes=row * 400 + 1)},
            {"code": UNBROKEN if much and row % 4 == 1 else "hk_7Qm2"},
            12480 * (row + 1) ** (3 if much else 1),
        ]
        for row in range(count)
    ]
    steps = [
        {"kind": "good", "label": "Accepted", "text": text, "after": 0},
        {"kind": "warn", "label": "Tried", "text": "Apple answered 503 ServiceUnavailable", "after": 340},
        {"kind": "bad", "label": "Refused", "text": UNBROKEN if much else "BadDeviceToken", "after": 1210},
        {"kind": "quiet", "label": "Receipt", "text": "None yet", "after": 1300},
    ]
    wrong = ThingForm({"name": "", "email": "ada@" if not much else UNBROKEN, "offer": "tpns", "networks": ARABIC})
    return {
        "kind": kind,
        "now": now,
        "old": now - timedelta(days=40),
        "text": text,
        "long": UNBROKEN if much else "https://push.example.com/t/hk_7Qm2ExampleOnly",
        "columns": columns,
        "rows": rows,
        "steps": steps,
        "form": wrong if kind == "wrong" else ThingForm(initial={"name": text}),
        "filter_form": FilterForm(),
        "confirm_form": ConfirmForm(prefix="confirm", expected="hk_7Qm2"),
        "own_customers": customers(kind),
    }


def customers(kind: str) -> list[SimpleNamespace]:
    """Whose member the reader is."""
    count = {"empty": 1, "much": 30}.get(kind, 3)
    names = (NAMES[kind], "Cosmos", ARABIC)
    return [SimpleNamespace(pk=place, slug=f"c{place}", name=names[place % 3]) for place in range(count)]


def show(request: HttpRequest, kind: str) -> HttpResponse:
    """A page with all parts: normal, empty, much, wrong."""
    dress(request, kind)
    if kind != "empty":
        messages.success(request, "Saved.")
        messages.error(request, "Apple refused key ABC123 (InvalidProviderToken) since 09:14. Upload a new key.")
    return render_own(request, f"gallery/{'empty' if kind == 'empty' else 'parts'}.html", context(kind))


def any_place(request: HttpRequest, slug: str) -> HttpResponse:
    """The page of an entry of the navigation."""
    dress(request, "normal")
    return render_own(request, "gallery/empty.html", context("empty"))


def login(request: HttpRequest) -> HttpResponse:
    """A page on the way in, with nobody logged in."""
    return render_own(request, "gallery/entrance.html", {"form": ThingForm()})


def fail(_request: HttpRequest) -> HttpResponse:
    """A fault of ours."""
    raise RuntimeError


def refuse(_request: HttpRequest) -> HttpResponse:
    """Not with this role."""
    raise PermissionDenied


def _place(below: str, name: str) -> Any:
    return path(f"c/<slug:slug>/{below}", any_place, name=name)


urlpatterns = [
    path("gallery/login/", login, name="account-start"),
    path("gallery/fail/", fail),
    path("gallery/refuse/", refuse),
    path("gallery/charts/<str:kind>/", gallery_charts.page),
    path("gallery/<str:kind>/", show),
    path("gallery/sent/", show, {"kind": "normal"}, name="account_logout"),
    _place("", "customer"),
    _place("delivery/", "delivery"),
    _place("servers/", "servers"),
    _place("apps/", "apps"),
    _place("people/", "people"),
    _place("subscription/", "subscription"),
    _place("audit/", "audit"),
    _place("settings/", "settings"),
    path("", include("hpns.urls")),
]
