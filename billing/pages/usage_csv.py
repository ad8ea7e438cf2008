"""Usage as CSV: all closed months with the running one, and a month by day."""

from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from typing import Any, Final

from asgiref.sync import sync_to_async
from django.http import HttpResponseBase
from django.shortcuts import redirect
from django.utils import timezone

from billing.facts import Month
from billing.usage import months, reading, sources
from billing.usage.counting import Figures
from tenants import scope
from tenants.models import Customer
from tenants.pages.csv_lines import csv_answer, lines
from tenants.pages.door import CustomerRequest, customer_page
from tenants.problem import ProblemError

HISTORY: Final = ("month_utc", "pushes", "active_devices", "phones", "servers", "seats", "counted")
DAYS: Final = ("day_utc", "pushes", "active_devices")


@customer_page("subscription.see")
def history_csv(request: CustomerRequest) -> HttpResponseBase:
    """A line for each month, the latest first."""
    return csv_answer(_history(request.customer), f"{request.customer.slug}-usage.csv")


@customer_page("subscription.see")
def month_csv(request: CustomerRequest, month: str) -> HttpResponseBase:
    """A line for each day of a month. What is none is said by its page."""
    now = timezone.now()
    try:
        wanted = months.parse(month, now)
    except ProblemError:
        return redirect("usage-month", request.customer.slug, month)
    return csv_answer(_days(request.customer, wanted, now), f"{request.customer.slug}-usage-{months.text(wanted)}.csv")


async def _history(customer: Customer) -> AsyncIterator[bytes]:
    yield lines([HISTORY])
    yield await sync_to_async(_all_months)(customer)


def _all_months(customer: Customer) -> bytes:
    now = timezone.now()
    with scope.customer(customer.pk):
        running = reading.detail(customer, months.month_of(now), now, sources.current()).figures
        closed = reading.history(customer, now)
    rows = [_cells(running, "so far")]
    rows += [_cells(found, "corrected" if changed else "closed") for found, changed in closed]
    return lines(rows)


def _cells(found: Figures, counted: str) -> tuple[Any, ...]:
    usage = (found.pushes, found.devices, found.phones, found.servers, found.seats)
    return months.text(found.month), *usage, counted


async def _days(customer: Customer, month: Month, now: datetime) -> AsyncIterator[bytes]:
    yield lines([DAYS])
    yield await sync_to_async(_all_days)(customer, month, now)


def _all_days(customer: Customer, month: Month, now: datetime) -> bytes:
    with scope.customer(customer.pk):
        found = reading.detail(customer, month, now, sources.current()).figures
    devices = found.devices_by_day if found.devices is not None else [None] * len(found.by_day)
    dates = (month.first + timedelta(days=day) for day in range(len(found.by_day)))
    return lines(zip(dates, found.by_day, devices, strict=True))
