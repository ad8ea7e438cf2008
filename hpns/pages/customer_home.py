"""A customer's home page: the steps up to the first push, and the last pushes. /c/<slug>/"""

from datetime import timedelta
from typing import Any, Final, NamedTuple

from django.http import HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils import timezone

from delivery import selectors
from delivery.models import Delivery
from tenants import scope
from tenants.models import Credential, PushApp, Server, ServerKey, Use
from tenants.pages.door import CustomerRequest, customer_page

# How far back the home page looks into the log, and at how many pushes.
RECENT: Final = timedelta(days=7)
PUSHES_SAMPLED: Final = 200
SHOWN: Final = 10
ANSWERS: Final = {"OK": ("good", "Delivered"), "REMOVE": ("warn", "Device gone")}


class Item(NamedTuple):
    """One thing to do on the way to the first push: what, whether it is done, what was found, and where to do it, if
    the one who looks may."""

    title: str
    done: bool
    found: str
    link: str
    button: str
    may: bool


@customer_page("see")
def home(request: CustomerRequest) -> HttpResponse:
    """The checklist until all of it is done, and the last pushes."""
    recent = selectors.since(timezone.now() - RECENT)
    items = _checklist(request, "OK" in recent.values_list("answer", flat=True)[:PUSHES_SAMPLED])
    pushes = list(recent[:SHOWN])
    context = {
        "items": items,
        "open": [each for each in items if not each.done],
        "pushes": pushes,
        "columns": [{"label": label} for label in ("Came", "Server", "App", "Type", "What became of it")],
        "rows": [_cells(push) for push in pushes],
    }
    return render(request, "hpns/home.html", context)


def _cells(push: Delivery) -> list[Any]:
    """A push as a row of parts/table.html."""
    kind, text = ANSWERS.get(push.answer, ("bad", "Failed"))
    became = {
        "kind": kind,
        "text": text,
        "code": push.code if kind == "bad" else "",
        "note": f"({push.count} times)" if push.count > 1 else "",
    }
    return [{"at": push.accepted_at}, push.server.name, push.platform, push.type, became]


def _checklist(request: CustomerRequest, delivered: bool) -> list[Item]:
    """What the first push needs, in the order in which it is done; each is seen by itself."""
    slug = request.customer.slug
    servers = list(Server.objects.filter(anonymous=False)[:2])
    servers_url = reverse("servers", args=(slug,))
    there = reverse("server", args=(slug, servers[0].public_id)) if len(servers) == 1 else servers_url
    keys = ServerKey.use_of(ServerKey.objects.all())
    ready, found = _apps()
    testing = reverse("test-push", args=(slug,))
    return [
        Item(
            "Add your Mattermost server",
            bool(servers),
            f"{servers[0].name}{' and more' if servers[1:] else ''}" if servers else "Each has a key of its own.",
            servers_url,
            "Add server",
            request.may("server.change"),
        ),
        Item(
            "Make a key for it",
            keys.living > 0,
            _key_found(keys),
            there,
            "Make key",
            request.may("key.change"),
        ),
        Item(
            "Have an app to push to",
            ready,
            found,
            reverse("apps", args=(slug,)),
            "Set up app",
            request.may("app.change"),
        ),
        Item(
            "Send a test push",
            delivered,
            "A push was delivered." if delivered else "It goes the whole way and shows each step.",
            testing,
            "Send test push",
            request.may("push.test"),
        ),
        Item(
            "Enter the key in Mattermost",
            keys.used_at is not None,
            _entered(keys),
            there,
            "Show server",
            request.may("key.change"),
        ),
    ]


def _key_found(keys: Use) -> str:
    """What was found of keys, in words."""
    if keys.living:
        return "A key is in use."
    if keys.made:
        return (
            "No key is in use: every one was revoked or has expired, and pushes with them are refused. Make a new one."
        )
    return "The key tells us that a push is yours."


def _entered(keys: Use) -> str:
    """What was found of pushes with a key, in words."""
    if keys.used_at:
        return "Pushes with it arrive."
    if keys.last_at:
        return "Pushes came with a key that is refused now: enter the new one."
    return "System Console, Environment, Push Notification Server."


def _apps() -> tuple[bool, str]:
    """Whether there is an app that can be signed for, and in words which."""
    signed = Credential.objects.filter(slot=Credential.Slot.CURRENT, app__enabled=True)
    labels = sorted(set(signed.values_list("app__label", flat=True)))
    if labels:
        return True, f"Signed for: {', '.join(labels)}."
    shared = [row.label for row in scope.shared_apps()]
    if shared:
        return True, f"The operator's apps: {', '.join(shared)}."
    if PushApp.objects.filter(enabled=True).exists():
        return False, "Your app has no credential yet."
    return False, "Add your own app with its key from Apple or Google."
