"""Apple and Google as all customers' pushes together show them: whether it is the provider, and since when not.

    provider_standing(family).sentence    # "Apple took 99.9 % of pushes in the last 15 minutes: it is not Apple."

Read out of the rollups of the whole service, at most once a minute for all pages. Needs a scope of any kind; what it
says is the same in each. Raises django.db.Error; a cache that is away costs the reading, and nothing else.
"""

from datetime import datetime, timedelta
from typing import Final

from django.db import connection
from django.utils import timezone

from delivery.insight import kept
from delivery.insight.charts import Chart, Series
from delivery.insight.standing import FEWEST, Figures, Standing, figures, judge
from delivery.rollups.reading import HOUR, MINUTE, counted, floor
from tenants.providers.table import PROVIDERS

NOW: Final = timedelta(minutes=15)
DAY: Final = timedelta(hours=24)
SPANS: Final = {NOW: "15 minutes", DAY: "24 hours"}
STEP: Final = HOUR
NOTHING: Final = "There were too few pushes, or of too few customers, for a rate that says something of the provider."


def provider_standing(family: str, span: timedelta = NOW) -> Standing:
    """How a provider stands over the last 15 minutes, or another of SPANS. Raises KeyError for an unknown family."""
    PROVIDERS[family]
    return _standings(span)[family]


def provider_standings(span: timedelta = NOW) -> list[Standing]:
    """The same of all providers, in the order of every list of them."""
    return list(_standings(span).values())


def name_of(family: str) -> str:
    """What a family's provider is called: Apple, Google."""
    return PROVIDERS[family].name


def day_chart(now: datetime | None = None) -> Chart:
    """The share that each provider took, by the hours of the last day; gaps where nothing may be told."""
    found: tuple[list[datetime], dict[str, list[float | None]]] = kept.kept(
        "providers:day", lambda: _shares(now or timezone.now())
    )
    steps, shares = found
    series = [Series(name_of(family), values) for family, values in shares.items()]
    return Chart(
        "providers", "Handed off by the providers, all customers, 24 hours", "%", steps, series, nothing=NOTHING
    )


def service_figures(span: timedelta) -> dict[str, Figures]:
    """The counts behind it all, by family: for the staff alone."""
    name = f"providers:counts-{span // timedelta(minutes=1)}"
    found: dict[str, Figures] = kept.kept(name, lambda: _figures(span, timezone.now()))
    return found


def _figures(span: timedelta, end: datetime) -> dict[str, Figures]:
    # A day's minutes would be thousands of histograms.
    unit = MINUTE if span <= NOW else HOUR
    by = ("family", "outcome", "attribution", "counts")
    rows = counted(end - span, end, by=by, latencies=True, service=True, unit=unit)
    return {family: figures(row for row in rows if row.of["family"] == family) for family in PROVIDERS}


def _standings(span: timedelta) -> dict[str, Standing]:
    found: dict[str, Standing] = kept.kept(f"providers:{span // timedelta(minutes=1)}", lambda: _read(span))
    return found


def _read(span: timedelta) -> dict[str, Standing]:
    now = timezone.now()
    hidden = _recognisable(now - span, now)
    return {
        family: judge(family, name_of(family), SPANS[span], found, recognisable=hidden[family])
        for family, found in _figures(span, now).items()
    }


def _shares(now: datetime) -> tuple[list[datetime], dict[str, list[float | None]]]:
    start = floor(now - DAY, HOUR)
    steps = [start + STEP * number for number in range(int((now - start) / STEP) + 1)]
    rows = counted(start, now, by=("family", "outcome", "attribution", "counts"), step=STEP, unit=HOUR, service=True)
    told = _hours_of_many(start, now)
    shares: dict[str, list[float | None]] = {}
    for family in PROVIDERS:
        by_step = {
            step: figures(row for row in rows if row.at == step and row.of["family"] == family) for step in steps
        }
        shares[family] = [
            round(100 * found.taken / found.total, 1) if (step, family) in told and found.total >= FEWEST else None
            for step, found in by_step.items()
        ]
    return steps, shares


def _recognisable(start: datetime, end: datetime) -> dict[str, bool]:
    """Whether a rate would be that of few customers, by family: the database says so and nothing else (migration
    0010), for a customer's page may not count the others."""
    with connection.cursor() as cursor:
        found = {}
        for family in PROVIDERS:
            cursor.execute("SELECT hpns_made_up_of_many(%s, %s, %s)", [family, start, end])
            found[family] = not cursor.fetchone()[0]
        return found


def _hours_of_many(start: datetime, end: datetime) -> set[tuple[datetime, str]]:
    """The hours and families whose rates are those of many customers: at night there may be one."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT hour, of_family FROM hpns_hours_of_many(%s, %s)", [start, end])
        return set(cursor.fetchall())
