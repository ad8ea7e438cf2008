"""The gallery's charts: with figures, with none, with too many, and in a part that asks by itself."""

import itertools
import math
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from django.http import HttpRequest, HttpResponse

from delivery.insight.charts import Band, Chart, Kind, Marker, MarkerKind, Series
from tests.browser.gallery_names import ARABIC, HOSTILE, UNBROKEN, WORDS, dress, render_own

# 00:30 at night in Tokyo, the day after.
NOON: Final = datetime(2026, 11, 30, 15, 30, tzinfo=UTC)
_ASKED = itertools.count()


def charts(kind: str, more: int = 0) -> list[Chart]:
    """One of bars, one of lines. more: is added to each figure."""
    if kind == "empty":
        return [Chart("pushes", "Pushes", "pushes", [NOON], [Series("Handed off", [None])])]
    much = kind == "much"
    count = 720 if much else 48
    steps = [NOON + timedelta(minutes=30 * place) for place in range(count)]
    wave = [round(400 + 300 * math.sin(place / 5)) + more for place in range(count)]
    gap: list[Any] = [None if 20 <= place < 24 or place == 30 else value for place, value in enumerate(wave)]
    labels = (WORDS, ARABIC, UNBROKEN[:90], HOSTILE) if much else ("Handed off", "Acked", "Failed", "Device gone")
    all_series = [Series(label, [v and v // (n + 1) for v in gap], f"?of={n}") for n, label in enumerate(labels)]
    marks = [
        Marker(NOON + timedelta(hours=4), "Key hk_7Qm2 was revoked", MarkerKind.KEY),
        Marker(NOON + timedelta(hours=4, minutes=5), "Chat first sent apple_rn-v2", MarkerKind.VERSION, "?v=2"),
        Marker(NOON + timedelta(hours=18), HOSTILE if much else "Network moved", MarkerKind.NETWORK),
    ]
    bands = [Band(NOON + timedelta(hours=7), NOON + timedelta(hours=9), "Apple answers slowly")]
    latency = [value and value * 4.3 for value in gap]
    return [
        Chart("pushes", "Pushes by what became of them", "pushes", steps, all_series, Kind.BARS, marks, bands),
        Chart("latency", "Time to hand-off", "ms", steps, [Series("p50", gap), Series("p95", latency)], markers=marks),
        Chart("share", "Handed off", "%", steps, [Series(f"n{n}", [99.9 - n] * count) for n in range(4)], bands=bands),
    ]


def page(request: HttpRequest, kind: str) -> HttpResponse:
    """All charts of a kind; the first one in a part that asks twice a second, with other figures each time."""
    dress(request, "much" if kind == "much" else "normal")
    part = "part" in request.GET
    found = charts(kind, next(_ASKED) if part else 0)
    return render_own(request, f"gallery/{'charts_live' if part else 'charts'}.html", {"kind": kind, "charts": found})
