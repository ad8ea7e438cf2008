"""The devices of a customer: /c/<slug>/delivery/devices/: how many were reached, the silent and the removed ones, and a
search by device id, which is made a fingerprint on the way in and is neither kept nor shown again."""

from datetime import UTC, datetime, time, timedelta
from typing import Any, Final
from urllib.parse import urlencode

from django import forms
from django.conf import settings
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils import timezone

from delivery.devices import history, reading
from delivery.devices.naming import NoDeviceError, fingerprint_of
from delivery.insight import devices as sayings
from delivery.insight.charts import Chart, Kind, Series
from delivery.models import Device
from delivery.pages import filters, spans
from delivery.pages.filters import FAMILIES, Filters
from delivery.rollups.reading import midnights
from tenants import keyset
from tenants.keyset import Cursor
from tenants.models import Server
from tenants.pages.door import CustomerRequest, customer_page

DAY: Final = timedelta(days=1)
# Days without an acknowledgement after which a device is silent.
SILENT_DAYS: Final = (7, 14, 30)
REMOVED_RANGES: Final = ("7d", "30d", "90d")
MONTHS: Final = 13
# Servers that are offered as a choice.
OFFERED_MOST: Final = 50
# Hex digits of a fingerprint that are shown.
SHORT: Final = 12


class UnechoedInput(forms.TextInput):
    """An input that is never filled with what was typed."""

    def get_context(self, name: str, value: Any, attrs: dict[str, Any] | None) -> dict[str, Any]:
        """As Django's, without the value."""
        return super().get_context(name, None, attrs)


class FindForm(forms.Form):
    """The search by device id, which is a secret of the phone's."""

    device_id = forms.CharField(
        label="Device id",
        widget=UnechoedInput(attrs={"autocomplete": "off", "spellcheck": "false"}),
        help_text="As your server's database has it (column deviceid of the table sessions), with its platform before "
        "it or without. It is not stored: only a fingerprint of it is looked for.",
    )

    def clean_device_id(self) -> str:
        """The fingerprint."""
        try:
            return fingerprint_of(self.cleaned_data["device_id"], settings.HASH_KEY)
        except NoDeviceError as error:
            raise forms.ValidationError(str(error)) from None


@customer_page("delivery.see", methods=("GET", "HEAD", "POST"), read_only=True)
def devices(request: CustomerRequest) -> HttpResponse:
    """All of them; POST looks for one. `?days=` without a receipt, `?range=` of removals, `?server=`."""
    form = FindForm(request.POST or None)
    unknown = False
    if request.method == "POST" and form.is_valid():
        device = form.cleaned_data["device_id"]
        if known(device):
            return redirect("device", request.customer.slug, device)
        unknown = True
    return render(request, "delivery/devices/list.html", {**_context(request), "form": form, "unknown": unknown})


def known(device: str) -> bool:
    """Whether anything of this fingerprint is known of the customer."""
    return bool(reading.of_device(device) or history.page(device, (), None).rows)


def short(device: str) -> str:
    """A fingerprint as it is shown."""
    return device[:SHORT]


def server_names(ids: set[int]) -> dict[int, str]:
    """The names of servers."""
    return dict(Server.objects.filter(pk__in=ids).values_list("pk", "name"))


def _context(request: CustomerRequest) -> dict[str, Any]:
    chosen, now = filters.parse(request), timezone.now()
    days = _days(request)
    span = chosen.span if chosen.span.range in REMOVED_RANGES else spans.last("30d", now)
    lookups = {name: value for name, value in chosen.lookups.items() if name in ("server_id", "family", "app_id")}
    quiet = reading.silent_page(now, days, _cursor(request, "silent"), **lookups)
    gone = reading.removed_page(span.start, span.end, _cursor(request, "removed"), **lookups)
    mute = sayings.mute_servers(now, {row.server_id for row in quiet.rows})
    names = server_names({row.server_id for row in (*quiet.rows, *gone.rows)})
    link = _Links(request, chosen, days, span.range)
    active, months = _active(chosen, now)
    return {
        "filters": chosen,
        "days": days,
        "range_words": spans.words(span, chosen.zone),
        "silent_total": reading.total(reading.silent(now, days, **lookups)),
        "removed_total": reading.total(reading.removed(span.start, span.end, **lookups)),
        "this_month": months[-1],
        "any": any(months) or bool(gone.rows) or Device.objects.exists(),
        "active": active,
        "removed_chart": _removed_chart(span, chosen, lookups),
        "day_choices": [(f"{each} days", link(days=each), each == days) for each in SILENT_DAYS],
        "range_choices": [(f"{each[:-1]} days", link(range=each), each == span.range) for each in REMOVED_RANGES],
        "servers": _servers(chosen),
        "silent_columns": _columns("Device", "Platform", "Server", "Last receipt", "Last sent to", "Likely cause"),
        "silent_rows": [_silent_row(request, row, names, mute) for row in quiet.rows],
        "causes": list(dict.fromkeys(sayings.silence(row, mute) for row in quiet.rows)),
        "silent_newest": link() if request.GET.get("silent") else "",
        "silent_older": link(silent=quiet.next_cursor),
        "removed_columns": _columns("Removed", "Device", "Platform", "Server", "Why"),
        "removed_rows": [_removed_row(request, row, names) for row in gone.rows],
        "removed_newest": link() if request.GET.get("removed") else "",
        "removed_older": link(removed=gone.next_cursor),
    }


class _Links:
    """Addresses of this page with another choice; "" for a next page that there is not."""

    def __init__(self, request: CustomerRequest, chosen: Filters, days: int, span: str) -> None:
        self._base = {**chosen.values, "days": days, "range": span}
        self._at = reverse("devices", args=(request.customer.slug,))

    def __call__(self, **changes: Any) -> str:
        if any(value is None for value in changes.values()):
            return ""
        return f"{self._at}?{urlencode({**self._base, **changes})}"


def _days(request: CustomerRequest) -> int:
    asked = request.GET.get("days", "")
    return next((days for days in SILENT_DAYS if asked == str(days)), SILENT_DAYS[0])


def _cursor(request: CustomerRequest, name: str) -> Cursor | None:
    return keyset.parse(request.GET.get(name, ""), number=True)


def _columns(*labels: str) -> list[dict[str, str]]:
    return [{"label": label} for label in labels]


def _servers(chosen: Filters) -> list[tuple[str, str, bool]]:
    rows = Server.objects.order_by("name").values_list("public_id", "name")[:OFFERED_MOST]
    found = [(str(public_id), name, str(public_id) == chosen.values.get("server")) for public_id, name in rows]
    if chosen.server is not None and not any(is_chosen for *_, is_chosen in found):
        found.append((str(chosen.server.public_id), chosen.server.name, True))
    return found


def _active(chosen: Filters, now: datetime) -> tuple[Chart, list[int | None]]:
    """The chart of active devices by month, and its figures."""
    months = list(reading.months_until(now.astimezone(UTC).date(), MONTHS))
    found = reading.active_by_month(chosen.server.pk if chosen.server else 0, months)
    figures = [found.get(month) for month in months]
    steps = [datetime.combine(month, time(), UTC) for month in months]
    return Chart(
        "active", "Active devices by month", "devices", steps, (Series("Active", figures),), Kind.BARS
    ), figures


def _removed_chart(span: spans.Span, chosen: Filters, lookups: dict[str, Any]) -> Chart:
    found = reading.removed_by_day(span.start, span.end, chosen.zone, **lookups)
    steps = midnights(span.start, span.end, chosen.zone)
    figures = [found.get(step.astimezone(chosen.zone), 0) for step in steps]
    return Chart("removed", "Removed devices by day", "devices", steps, (Series("Removed", figures),), Kind.BARS)


def _link(request: CustomerRequest, device: str) -> dict[str, str]:
    return {"text": short(device), "href": reverse("device", args=(request.customer.slug, device))}


def _silent_row(request: CustomerRequest, row: Device, names: dict[int, str], mute: set[int]) -> list[Any]:
    return [
        _link(request, row.device),
        FAMILIES.get(row.family, row.family),
        names.get(row.server_id, ""),
        {"at": row.acked_at} if row.acked_at else "none ever",
        {"at": row.sent_at},
        sayings.silence(row, mute).words,
    ]


def _removed_row(request: CustomerRequest, row: Device, names: dict[int, str]) -> list[Any]:
    why = sayings.reason(row.removed_code)
    after = sayings.LOG_IN_AGAIN if row.is_removed else "It is back: pushes were taken for it since."
    return [
        {"at": row.removed_at, "exact": True},
        _link(request, row.device),
        FAMILIES.get(row.family, row.family),
        names.get(row.server_id, ""),
        f"{why[:1].upper()}{why[1:]}. {after}",
    ]
