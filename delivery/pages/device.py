"""One device of a customer: /c/<slug>/delivery/devices/<fingerprint>/: what became of its pushes, and how it is now."""

import re
from collections.abc import Iterable
from datetime import datetime
from typing import Any, Final

from django.http import Http404, HttpResponse
from django.shortcuts import render
from django.urls import NoReverseMatch, reverse
from django.utils import timezone

from delivery.devices import history, latest, reading
from delivery.devices.history import Count, History
from delivery.insight import devices as sayings
from delivery.insight.devices import Saying
from delivery.log import acknowledged
from delivery.models import Delivery, Device
from delivery.outcomes.verdict import Outcome
from delivery.pages.devices import SILENT_DAYS, server_names, short
from delivery.pages.filter_bar import OUTCOMES, TYPE_LABELS
from tenants import keyset
from tenants.models import PushApp
from tenants.pages.door import CustomerRequest, customer_page

FINGERPRINT: Final = re.compile(r"[0-9a-f]{32}")
# Columns of one word.
WORDS: Final = frozenset(("Type", "Push"))
_KINDS: Final = {Outcome.SENT.value: "good", Outcome.GONE.value: "warn"}


@customer_page("delivery.see")
def device(request: CustomerRequest, device: str) -> HttpResponse:
    """Its history; `?before=` the next page of its pushes."""
    if not FINGERPRINT.fullmatch(device):
        raise Http404
    now = timezone.now()
    before = keyset.parse(request.GET.get("before", ""))
    known = reading.of_device(device)
    log = history.read(device, known)
    found = log.page() if before is None else history.page(device, known, before)
    acked = _acked({row.trace: row for row in (*found.rows, *log.rows)}.values())
    rows = latest.with_latest(known, log.rows, acked)
    if not rows:
        raise Http404
    servers = {row.server_id for row in (*rows, *found.rows)}
    names, apps = server_names(servers), _apps(rows)
    sessions = log.sessions(rows)
    here = reverse("device", args=(request.customer.slug, device))
    context = {
        "device": device,
        "short": short(device),
        "saying": _saying(rows, now, servers),
        "latest": rows[0],
        "ways_columns": _columns(
            "Server", "App", "State", "Last receipt", "Last sent to", "Sent to since a receipt", "First push"
        ),
        "ways_rows": [_way(row, names, apps, now, log.unacknowledged(row)) for row in rows],
        "several": len({row.server_id for row in rows}) > 1,
        "session": _session(log, rows, sessions),
        "session_columns": _columns("Time", "What", "Server", "What became of it", "Push"),
        "session_rows": [_session_row(request, row, names) for row in sessions],
        "columns": _columns("Time", "Type", "Server", "What became of it", "Receipt", "Push"),
        "rows": [_push(request, row, names, acked) for row in found.rows],
        "newest": here if before else "",
        "older": f"?before={found.next_cursor}" if found.next_cursor else "",
        "before": before,
    }
    return render(request, "delivery/devices/device.html", context)


def _acked(pushes: Iterable[Delivery]) -> dict[str, datetime]:
    """When the first receipt of each push came, by trace."""
    return {trace: found[0].received_at for trace, found in acknowledged.receipts(pushes).items()}


def _columns(*labels: str) -> list[dict[str, Any]]:
    return [{"label": label, "word": label in WORDS} for label in labels]


def _apps(rows: list[Device]) -> dict[int, str]:
    """The labels of the customer's own apps; one of the operator's is called so."""
    return dict(PushApp.objects.filter(pk__in={row.app_id for row in rows}).values_list("pk", "label"))


def _saying(rows: list[Device], now: datetime, servers: set[int]) -> Saying:
    """The state of the way that the last push took, with the likely cause where it is silent."""
    found = sayings.state(rows[0], now, SILENT_DAYS[0])
    if found.word == sayings.SILENT:
        return found._replace(text=sayings.silence(rows[0], sayings.mute_servers(now, servers)).text)
    return found


def _way(row: Device, names: dict[int, str], apps: dict[int, str], now: datetime, silent: Count) -> list[Any]:
    state = sayings.state(row, now, SILENT_DAYS[0])
    app = apps.get(row.app_id, "one of the operator's") if row.app_id else "none was found"
    return [
        names.get(row.server_id, "one that is gone"),
        app,
        {"kind": state.kind, "text": state.word},
        {"at": row.acked_at} if row.acked_at else "none ever",
        {"at": row.sent_at} if row.sent_at else "never",
        _words(silent),
        {"at": row.first_at},
    ]


def _words(count: Count) -> str:
    return f"{count.least} or more" if count.more else str(count.least)


def _session(log: History, ways: list[Device], sessions: list[Delivery]) -> dict[str, Any]:
    """The end of the last session, also one that the log has forgotten, and how many pushes were handed off since."""
    at = max((way.session_at for way in ways if way.session_at), default=None)
    if at is None:
        return {}
    after = log.handed_off_since(at, ways)
    told = not sessions or sessions[0].outcome == Outcome.SENT.value
    kind = "good" if told and not after.least else "warn"
    return {"kind": kind, "at": at, "after": after.least, "words": _words(after), "told": told}


def _session_row(request: CustomerRequest, row: Delivery, names: dict[int, str]) -> list[Any]:
    return [
        {"at": row.accepted_at, "exact": True},
        "Session ended or wiped",
        names.get(row.server_id, ""),
        _outcome(row, acked=False),
        _way_to(request, row),
    ]


def _push(request: CustomerRequest, row: Delivery, names: dict[int, str], acked: dict[str, datetime]) -> list[Any]:
    return [
        {"at": row.accepted_at, "exact": True},
        TYPE_LABELS.get(row.type, row.type),
        names.get(row.server_id, ""),
        _outcome(row, acked=row.trace in acked),
        {"at": acked[row.trace], "exact": True} if row.trace in acked else "none",
        _way_to(request, row),
    ]


def _way_to(request: CustomerRequest, row: Delivery) -> dict[str, Any]:
    """The link to the page of a push, or its trace id where that has none."""
    try:
        return {"text": "Timeline", "href": reverse("push", args=(request.customer.slug, row.trace))}
    except NoReverseMatch:  # an id of another form
        return {"code": row.trace}


def _outcome(row: Delivery, *, acked: bool) -> dict[str, Any]:
    kind, text = _KINDS.get(row.outcome, "bad"), OUTCOMES.get(row.outcome, row.outcome)
    if row.outcome == Outcome.SENT.value:
        return {"kind": kind, "text": "Delivered" if acked else text}
    return {"kind": kind, "text": f"{text}: {sayings.reason(row.code)}"}
