"""Filters of the delivery's pages: which pushes of which time a page is about, as it stands in the URL's query.

    range=1h|24h|7d|30d|90d, or from= and to=; server=PUBLIC_ID, app=ID, family=, type=, code=, attribution=, outcome=
    (one of delivery/outcomes/verdict.py, or `failures`: all but sent and gone), and of single pushes acked=yes|no

    filters = parse(request)                       # never fails; filters.notices says what could not be understood
    counted(filters.start, filters.end, by=("code",), **filters.lookups)
    selectors.since(filters.start).filter(filters.of_log())
    f"{reverse('delivery-pushes', args=(slug,))}?{filters.query(outcome='failed')}"

The viewer's time zone is what site.js has put into the cookie `tz`; UTC without one.
"""

import re
import uuid
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any, Final
from urllib.parse import quote_plus
from zoneinfo import ZoneInfo

from django.db.models import Exists, OuterRef, Q
from django.http import HttpRequest
from django.utils import timezone

from delivery.metrics.names import TYPES
from delivery.models import Receipt
from delivery.outcomes.verdict import Outcome
from delivery.pages import spans
from delivery.pages.spans import Span
from delivery.rollups.cells import OTHER
from tenants import scope
from tenants.models import PushApp, Server
from tenants.providers.table import PLATFORMS, PROVIDERS

COOKIE: Final = "tz"
# What is longer is no value of any filter.
LONGEST: Final = 200
FAMILIES: Final = {**{row.family: row.name for row in PROVIDERS.values()}, OTHER: "Unknown platform"}
ATTRIBUTIONS: Final = {
    "ours": "ours, the push service's",
    "provider": "Apple's or Google's",
    "customer": "yours: key, app or server",
    "device": "the device's",
}
# The outcome that stands for each by which no push went on; a device that is gone has had its answer.
FAILURES: Final = "failures"
FAILED: Final = tuple(outcome.value for outcome in Outcome if outcome not in (Outcome.SENT, Outcome.GONE))
_CHOICES: Final = {
    "family": frozenset(FAMILIES),
    "type": TYPES | {OTHER},
    "outcome": frozenset((*(outcome.value for outcome in Outcome), FAILURES)),
    "attribution": frozenset(ATTRIBUTIONS),
    "acked": frozenset(("yes", "no")),
}
# What the counts do not tell apart: only single pushes are chosen by it.
_LOG_ONLY: Final = frozenset(("acked",))
_CODE: Final = re.compile(r"[a-z0-9_]{1,64}")


@dataclass(frozen=True)
class Filters:
    """What a page is about. `values` are the filters beside the time, as the query spells them; `notices` are
    sentences about what was asked for and is not shown."""

    span: Span
    zone: ZoneInfo
    values: dict[str, str] = field(default_factory=dict)
    server: Server | None = None
    app: PushApp | None = None
    notices: tuple[str, ...] = ()

    @property
    def start(self) -> datetime:
        """When the span begins, in UTC."""
        return self.span.start

    @property
    def end(self) -> datetime:
        """Before when it ends, in UTC."""
        return self.span.end

    @property
    def words(self) -> str:
        """The span as it is spoken of."""
        return spans.words(self.span, self.zone)

    @property
    def lookups(self) -> dict[str, Any]:
        """The filters beside the time, as delivery/rollups/reading.py takes them."""
        others = {"server", "app", *_LOG_ONLY}
        found: dict[str, Any] = {name: value for name, value in self.values.items() if name not in others}
        if found.get("outcome") == FAILURES:
            found["outcome__in"] = FAILED
            del found["outcome"]
        if self.server is not None:
            found["server_id"] = self.server.pk
        if "app" in self.values:
            found["app_id"] = self.app.pk if self.app else 0
        return found

    @property
    def owner(self) -> dict[str, int]:
        """Those of them that say whose pushes they are, as `lookups`: the server and the app."""
        named = {"server_id": self.server, "app_id": self.app}
        return {name: row.pk for name, row in named.items() if row is not None}

    def of_log(self) -> Q:
        """The same pushes as a condition on rows of the delivery log, its bounds of time included."""
        condition = Q(accepted_at__gte=self.start, accepted_at__lt=self.end)
        lookups = self.lookups
        if lookups.get("app_id") == 0:
            del lookups["app_id"]
            condition &= Q(app=None)
        family, kind = lookups.pop("family", ""), lookups.get("type", "")
        if kind == OTHER:
            del lookups["type"]
            condition &= ~Q(type__in=TYPES)
        for head, name in PLATFORMS.items():
            if family == name:
                condition &= Q(platform__startswith=head)
            elif family == OTHER:
                condition &= ~Q(platform__startswith=head)
        if acked := self.values.get("acked"):
            receipts = Receipt.objects.filter(customer=OuterRef("customer"), ack_id=OuterRef("ack_id"))
            condition &= Q(Exists(receipts)) if acked == "yes" else ~Q(Exists(receipts))
        return condition & Q(**lookups)

    def query(self, **changes: str | datetime | None) -> str:
        """The query of a URL (without "?") that shows the same but for the changes: values of filters ("" or None
        leaves one out), `range`, or `start` and `end`."""
        values: dict[str, Any] = {**_time(self.span, changes), **self.values}
        for name, value in changes.items():
            if name not in ("range", "start", "end"):
                values[name] = value
        return "&".join([f"{name}={_encoded(value)}" for name, value in values.items() if value])


# A page has hundreds of links, with the same few values in each. Of strangers' values none is longer than LONGEST.
_encoded: Final = lru_cache(maxsize=2048)(quote_plus)


def _time(span: Span, changes: dict[str, Any]) -> dict[str, str]:
    if changes.get("range"):
        return {"range": changes["range"]}
    if span.range and not {"start", "end"} & set(changes):
        return {"range": span.range}
    start, end = changes.get("start") or span.start, changes.get("end") or span.end
    return {"from": _spell(start), "to": _spell(end)}


def _spell(moment: datetime) -> str:
    """A moment with its offset, so that whoever opens a link elsewhere sees the same."""
    return moment.astimezone(UTC).replace(tzinfo=None).isoformat(timespec="minutes") + "Z"


def parse(request: HttpRequest, *, now: datetime | None = None) -> Filters:
    """The filters of a request for a page of a customer, in its scope. Bad input gives a notice and the default."""
    now = now or timezone.now()
    notices: list[str] = []
    asked = {name: text for name, value in request.GET.items() if (text := str(value).strip())}
    for name in [name for name, value in asked.items() if len(value) > LONGEST or "\0" in value]:
        if name in _KNOWN:
            notices.append(f"The filter {name} is longer than anything that it could name: it was left out.")
        del asked[name]
    zone, span = _zone(request, notices), spans.last(spans.DEFAULT, now)
    try:
        span = _span(asked, zone, now, notices)
    except spans.SpanError as error:
        notices.append(f"{error} Shown are {spans.WORDS[spans.DEFAULT]}.")
    found = Filters(span, zone)
    values = {name: asked[name] for name in _CHOICES if name in asked and _chosen(name, asked[name], notices)}
    if code := asked.get("code"):
        if _CODE.fullmatch(code):
            values["code"] = code
        else:
            notices.append("There is no such code: the filter was left out.")
    found = _of_server(replace(found, values=values), asked.get("server", ""), notices)
    found = _of_app(found, asked.get("app", ""), notices)
    return replace(found, notices=tuple(notices))


_KNOWN: Final = frozenset((*_CHOICES, "code", "server", "app", "range", "from", "to"))


def _zone(request: HttpRequest, notices: list[str]) -> ZoneInfo:
    name = request.COOKIES.get(COOKIE, "")
    if found := spans.zone_of(name or "UTC"):
        return found
    notices.append("Your browser's time zone is not known here: times are in UTC.")
    return ZoneInfo("UTC")


def _span(asked: dict[str, str], zone: ZoneInfo, now: datetime, notices: list[str]) -> Span:
    if "from" in asked or "to" in asked:
        span, said = spans.between(asked.get("from", ""), asked.get("to", ""), zone, now)
        notices.extend([said] if said else [])
        return span
    name = asked.get("range", spans.DEFAULT)
    if name not in spans.RANGES:
        raise spans.SpanError(f"The ranges are {', '.join(spans.RANGES)}, or one from and to.")
    return spans.last(name, now)


def _chosen(name: str, value: str, notices: list[str]) -> bool:
    if value in _CHOICES[name]:
        return True
    notices.append(f"The filter {name} knows {', '.join(sorted(_CHOICES[name]))}: it was left out.")
    return False


def _of_server(found: Filters, wanted: str, notices: list[str]) -> Filters:
    """With the server of this public id or name."""
    if not wanted:
        return found
    try:
        condition = Q(public_id=uuid.UUID(wanted))
    except ValueError:
        condition = Q(name=wanted)
    server = Server.objects.filter(condition).first()
    if server is None:
        notices.append("There is no such server: shown are all.")
        return found
    return replace(found, server=server, values={**found.values, "server": str(server.public_id)})


def _of_app(found: Filters, wanted: str, notices: list[str]) -> Filters:
    """With the app of this id, the customer's own or one of the operator's; 0: the pushes for which there was none."""
    if not wanted:
        return found
    app = None
    if wanted != "0":
        number = int(wanted) if wanted.isascii() and wanted.isdigit() and len(wanted) < 19 else 0
        app = PushApp.objects.filter(pk=number).first() or scope.shared_apps().filter(pk=number).first()
        if app is None:
            notices.append("There is no such app: shown are all.")
            return found
    return replace(found, app=app, values={**found.values, "app": wanted})
