"""The pages of outcome codes: /codes/ and /codes/<code>/. Public and the same for everybody, so that a server's log can
lead to them: no login, no customer, no database.
"""

import difflib
from collections.abc import Callable
from functools import wraps
from http import HTTPStatus
from typing import Any, Final, NamedTuple

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.template.loader import render_to_string
from django.views.decorators.cache import cache_control
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_GET

from delivery.insight.catalogue import ENTRIES, Entry
from delivery.insight.durations import lasting
from delivery.outcomes.verdict import Outcome, Retry
from delivery.protocol import schedule
from tenants.providers.table import PROVIDERS

# The texts change with a version, and whoever follows a link out of a log does not mind an hour.
SECONDS: Final = 3600
# Characters of an unknown code that are shown.
SHOWN: Final = 64
ACKS: Final = "missing_ack_"

TOLD: Final = {
    "OK": "OK: the server counts it as sent and logs nothing.",
    "REMOVE": "REMOVE: the server sends nothing more to this device until the app registers anew.",
    "FAIL": "FAIL, with the text that led you here in its log. Mattermost does not send the push again.",
}
PHONE: Final = {
    Outcome.SENT: "The provider sends it on to the phone. Whether it came, only the phone's receipt says.",
    Outcome.GONE: "Nothing is shown. If the app is still on the phone, its user has to log in again to get pushes.",
    Outcome.REFUSED: "This push is not shown. The device stays registered, and the next push is sent to it.",
    Outcome.UNKNOWN: "Nobody knows whether it was shown. It is not sent again, or it might come twice.",
    Outcome.FAILED: "This push is not shown. The device stays registered, and the next push is sent to it.",
    Outcome.EXPIRED: "This push is not shown: it would have come too late to be of use.",
    Outcome.LOST: "Nobody knows whether it was shown. The next push is sent to the device.",
}
_PLANS: Final = {
    "a message": schedule.MESSAGE,
    "a wipe": schedule.WIPE,
    "a call": schedule.CALL,
    "a clear or a badge": schedule.STATE,
}
_FOR: Final = ", ".join(f"{what} for {lasting(plan.lifetime * 1000)}" for what, plan in _PLANS.items())
_LATER: Final = (
    f"after growing pauses, no sooner than the provider asks for: {_FOR}. When the deadline of its answer comes, the"
    " server is told OK, because the push is queued; FAIL only where it is not tried for so long: a test push, one"
    " whose time is over before its next try, and any push while the queue has no room for it. What is not taken in"
    " all that time ends as expired, with the code of its last try"
)
AGAIN: Final = {
    Retry.SAFE: f"Yes, for nothing was sent: {_LATER}.",
    Retry.AT_ONCE: f"Yes, at once on a new connection, for the provider took nothing; then {_LATER}.",
    Retry.BACKOFF: f"Yes, for the provider took nothing: {_LATER}.",
    Retry.REPLACE: (
        "Yes, where a second one would take the place of the first on the phone, for the first may have been taken:"
        f" {_LATER}. A call, and what names no post, is not sent to an Android phone again."
    ),
    Retry.ONCE: (
        "Once, under the same ids, where a second one would take the place of the first on the phone, for the first may"
        " have been taken. Meanwhile the server is told OK when the deadline of its answer comes, because the push is"
        " queued; a test push is FAIL. A call, and what names no post, is not sent to an Android phone again."
    ),
    Retry.RENEW: "Once and at once, with a new token.",
    Retry.NEVER: "No: it would end in the same way.",
}
PHONE_OF_ACKS: Final = "The notification is shown all the same; only its receipt is not counted."

Page = Callable[..., HttpResponse]


class Group(NamedTuple):
    """Codes that stand together in the list."""

    title: str
    rows: list[list[Any]]


def _public(view: Page) -> Page:
    """A page that anybody may read, and keep for a while."""
    # It changes nothing, and another method is told so: 405, not 403.
    page: Page = csrf_exempt(require_GET(cache_control(public=True, max_age=SECONDS)(view)))
    return wraps(view)(page)


@_public
def index(_request: HttpRequest) -> HttpResponse:
    """Every code, by whose word it is."""
    context = {"groups": _groups(), "columns": [{"label": label} for label in ("Code", "What happened", "Whose it is")]}
    return HttpResponse(render_to_string("delivery/codes/index.html", {**context, "version": settings.VERSION}))


@_public
def code(_request: HttpRequest, code: str) -> HttpResponse:
    """One code; for an unknown one the page says so (404), and which are like it."""
    entry = ENTRIES.get(code.lower())
    if entry is None:
        like = difflib.get_close_matches(code.lower()[:SHOWN], ENTRIES, n=5, cutoff=0.5)
        unknown = {"code": code[:SHOWN], "like": like, "version": settings.VERSION}
        return HttpResponse(render_to_string("delivery/codes/unknown.html", unknown), status=HTTPStatus.NOT_FOUND)
    of_ack = entry.code.startswith(ACKS)
    context = {
        "entry": entry,
        "provider": PROVIDERS[entry.provider].name if entry.provider else "",
        "told": TOLD[entry.answer],
        "again": AGAIN[entry.retry] if entry.outcome is not Outcome.SENT and not of_ack else "",
        "phone": PHONE_OF_ACKS if of_ack else PHONE[entry.outcome],
        "version": settings.VERSION,
    }
    return HttpResponse(render_to_string("delivery/codes/code.html", context))


def _groups() -> list[Group]:
    found = [Group(f"What {row.name} says", []) for row in PROVIDERS.values()]
    found += [Group("On the way to Apple and Google", []), Group("What this push service says itself", [])]
    for entry in ENTRIES.values():
        found[_place(entry)].rows.append(
            [{"href": f"{entry.code}/", "text": entry.code}, entry.title, entry.whose[:1].upper() + entry.whose[1:]]
        )
    return found


def _place(entry: Entry) -> int:
    families = list(PROVIDERS)
    if entry.provider:
        return families.index(entry.provider)
    return len(families) + (not entry.code.startswith("transport_"))
