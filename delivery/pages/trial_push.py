"""The page for test pushes: /c/<slug>/test/..."""

import json
from datetime import datetime, timedelta
from typing import Any, Final, NamedTuple

from django.conf import settings
from django.db.models import Q
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone

from delivery import selectors
from delivery.ingest import trial_push
from delivery.insight import catalogue, phone_tests, pushes, timeline
from delivery.insight.troubles import troubles
from delivery.log import acknowledged
from delivery.models import Delivery
from delivery.pages.trial_form import TestPushForm
from delivery.protocol import policy
from delivery.protocol.wire import Push
from tenants import scope
from tenants.directory.live import DIRECTORY
from tenants.directory.snapshot import Identity
from tenants.models import Customer, PushApp, Server, ServerKey
from tenants.pages.door import CustomerRequest, customer_page

# How long a test push is looked for after it was sent, and how far back a phone's own test may lie.
RECENT: Final = timedelta(days=1)
LIVE: Final = timedelta(minutes=30)
# How long the page of a test push asks for the phone's receipt.
RECEIPT_AWAITED: Final = timedelta(minutes=2)
# How far back phones' own tests are listed, and how many.
TESTS_SINCE: Final = timedelta(days=7)
TESTS_SHOWN: Final = 5
# In the session: the answers to the latest test pushes, and of how many.
SESSION_KEY: Final = "test_pushes"
REMEMBERED_MOST: Final = 10


class PhonesTest(NamedTuple):
    """A `test` that a phone has had sent, and what its code means."""

    row: Delivery
    meaning: catalogue.Entry | None

    @property
    def advice(self) -> str:
        """What to do, as a sentence; "" for a code that is not known."""
        return self.meaning.advice_for(self.row.attribution) if self.meaning is not None else ""

    @property
    def label(self) -> str:
        """The label that an app for this phone is to have; "" where the test named no platform."""
        return policy.app_label(self.row.platform)[0]


@customer_page("delivery.see", change="push.test", in_steps=True)
def test_push(request: CustomerRequest) -> HttpResponse:
    """The form; POST sends a push and leads to what became of it. No transaction waits for the provider with it."""
    with request.step():
        apps, servers = _apps(), _servers()
        form = TestPushForm(request.POST or None, servers=servers, apps=apps, sandbox=bool(settings.SANDBOX_URL))
        wanted = _wanted(request, form) if request.method == "POST" and form.is_valid() else None
    if wanted is not None:
        try:
            sent = trial_push.send(*wanted, settings.PUSH_DEADLINE)
        except trial_push.TrialPushError as error:
            form.add_error(None, f"The test push could not be sent: {error}.")
        else:
            answer = json.loads(sent.answer)
            _remember(request, sent.ack_id, {**answer, "ms": round(sent.seconds * 1000)})
            return redirect("test-push-result", request.customer.slug, sent.ack_id)
    now = timezone.now()
    context = {"form": form, "servers": servers, "apps": apps, "since": int(now.timestamp()), "now": now}
    with request.step():
        context |= {"troubles": troubles(request.customer, now=now), "tests": _phones_tests(now)}
        return render(request, "delivery/test/form.html", context)


@customer_page("delivery.see")
def result(request: CustomerRequest, ack_id: str) -> HttpResponse:
    """What became of a test push; the live part of it is asked for until the log knows."""
    since = timezone.now() - RECENT
    row = pushes.named(pushes.by_ack(ack_id)).filter(accepted_at__gte=since).order_by("-accepted_at").first()
    context: dict[str, Any] = {
        "ack_id": ack_id,
        "row": row,
        **_steps(row),
        "now": timezone.now(),
        "answered": request.session.get(SESSION_KEY, {}).get(ack_id),
        "phone_page": settings.SANDBOX_URL,
    }
    part = "delivery/test/steps.html" if request.headers.get("HX-Request") else "delivery/test/result.html"
    return render(request, part, context)


@customer_page("delivery.see")
def live(request: CustomerRequest) -> HttpResponse:
    """The last `test` that an app of the customer's has sent since the page was opened: the app does that when its
    user connects to a server (GET /api/v4/system/ping?device_id=...)."""
    opened_at = request.GET.get("since", "")
    since = timezone.now() - LIVE
    if opened_at.isascii() and opened_at.isdigit() and len(opened_at) < 12:
        since = max(since, timezone.datetime.fromtimestamp(int(opened_at), timezone.get_current_timezone()))  # type: ignore[attr-defined]
    row = selectors.since(since).filter(type=phone_tests.TYPE).first()
    context = {"row": row, **_steps(row), "since": opened_at, "now": timezone.now()}
    return render(request, "delivery/test/live.html", context)


def _steps(row: Delivery | None) -> dict[str, Any]:
    """The steps of a test push that the log knows, and whether its phone may still acknowledge it."""
    if row is None:
        return {"steps": [], "acked": False, "acks": False}
    receipts = acknowledged.receipts_of(row)
    young = timezone.now() - row.accepted_at < RECEIPT_AWAITED
    return {"steps": timeline.of(row, receipts), "acked": bool(receipts), "acks": row.answer == "OK" and young}


def _phones_tests(now: datetime) -> list[PhonesTest]:
    """The last `test` pushes that phones have had sent, the latest first, each with its reason where it failed."""
    rows = phone_tests.latest(now - TESTS_SINCE, now, TESTS_SHOWN)
    return [PhonesTest(row, catalogue.entry(row.code)) for row in rows]


def _wanted(request: CustomerRequest, form: TestPushForm) -> tuple[Identity, Push] | None:
    """Whose push a valid form asks for, and the push; None when nothing can be sent, and then the form says why."""
    given = form.cleaned_data
    if request.customer.status == Customer.Status.SUSPENDED:
        form.add_error(
            None, f"{request.customer.name} is suspended: every push is refused, and this one would be, too."
        )
        return None
    who = _identity(given["server_row"])
    if who is None:
        form.add_error("server", "No key of this server is in use yet. A key works two seconds after it was made.")
        return None
    server_id = _server_id(given["server_row"])
    return who, trial_push.make_push(given["token"], given["platform"], server_id, request.customer.name)


def _remember(request: CustomerRequest, ack_id: str, answer: dict[str, Any]) -> None:
    kept = {**request.session.get(SESSION_KEY, {}), ack_id: answer}
    request.session[SESSION_KEY] = dict(list(kept.items())[-REMEMBERED_MOST:])


def _servers() -> list[Server]:
    """The servers with a key in use."""
    living = ServerKey.in_use("keys__") & Q(keys__isnull=False)
    return list(Server.of_people().filter(living, disabled_at=None).distinct())


def _apps() -> list[PushApp]:
    """The apps that the customer can push to, its own first; a shared one of the same label is not reached then."""
    own = list(PushApp.objects.filter(enabled=True))
    labels = {row.label for row in own}
    return own + [row for row in scope.shared_apps() if row.label not in labels]


def _identity(server: Server) -> Identity | None:
    """The identity that a push of this server has, as the path of a push knows it by the latest of its keys."""
    for prefix in (
        ServerKey.objects.filter(server=server, revoked_at=None).order_by("-created_at").values_list("prefix")
    ):
        found = DIRECTORY.find(prefix[0])
        if found is not None and found.active and not (0 < found.expires_at <= timezone.now().timestamp()):
            return found
    return None


def _server_id(server: Server) -> str:
    """The server_id that the server is known by, so that a phone finds it; else one that says what this is."""
    known = server.server_ids.values_list("mattermost_id", flat=True).first()
    return str(known or "test-push-of-hpns")
