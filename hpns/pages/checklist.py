"""The checklist of a customer's home page: what the first push needs, and what of it is done."""

from datetime import timedelta
from typing import Final, NamedTuple

from django.db.models import Q
from django.urls import reverse
from django.utils import timezone

from delivery import selectors
from tenants import scope
from tenants.models import Credential, PushApp, Server, ServerKey, Use
from tenants.pages.door import CustomerRequest

# How far back a push that was handed off is looked for, and at how many pushes.
RECENT: Final = timedelta(days=7)
PUSHES_SAMPLED: Final = 200


class Item(NamedTuple):
    """One thing to do on the way to the first push: what, whether it is done, what was found, and where to do it, if
    the one who looks may."""

    title: str
    done: bool
    found: str
    link: str
    button: str
    may: bool


def of(request: CustomerRequest) -> list[Item]:
    """What the first push needs, in the order in which it is done; each is seen by itself."""
    recent = selectors.since(timezone.now() - RECENT)
    handed_off = "OK" in recent.values_list("answer", flat=True)[:PUSHES_SAMPLED]
    slug = request.customer.slug
    servers = list(Server.of_people()[:2])
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
            handed_off,
            "A push was handed off." if handed_off else "It goes the whole way and shows each step.",
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
        return "Pushes have come with it."
    if keys.last_at:
        return "Pushes came with a key that is refused now: enter the new one."
    return "System Console, Environment, Push Notification Server."


def _apps() -> tuple[bool, str]:
    """Whether there is an app that can be signed for, and in words which."""
    current = Credential.objects.filter(slot=Credential.Slot.CURRENT, app__enabled=True)
    lasting = Q(expires_at=None) | Q(expires_at__gt=timezone.now())
    signed = current.filter(lasting, refused_at=None).values_list("app__label", flat=True)
    labels = sorted(set(signed))
    if labels:
        return True, f"Signed for: {', '.join(labels)}."
    # An app of one's own takes the place of the operator's of the same label, whether it can be signed for or not.
    own = set(PushApp.objects.filter(enabled=True).values_list("label", flat=True))
    shared = [row.label for row in scope.shared_apps() if row.label not in own]
    if shared:
        return True, f"The operator's apps: {', '.join(shared)}."
    if current.exists():
        return False, "The credential of your app is refused or has ended: upload another one."
    if PushApp.objects.filter(enabled=True).exists():
        return False, "Your app has no credential yet."
    return False, "Add your own app with its key from Apple or Google."
