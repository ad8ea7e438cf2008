"""Counts the usage of a customer in a month, out of the hours and the set of active devices. Writes nothing."""

from collections.abc import Mapping, Sequence
from datetime import date, datetime, timedelta
from typing import Any, NamedTuple

from billing.facts import Month, Usage
from billing.usage import months
from billing.usage.sources import Sources
from delivery.selectors.usage import Devices, Pushes, devices_counted, devices_exactly, pushes
from tenants.models import Customer, Sighting


class ServerUsage(NamedTuple):
    """What one server (its id) used in a month."""

    server: int
    pushes: int
    devices: int


class Settled(NamedTuple):
    """Pushes of the days before `until`, as they were counted within the last hour, so that a page need not read all
    hours of a month. by_day: of each of those days."""

    until: date
    by_server: Mapping[int, int]
    by_day: Sequence[int]


class Figures(NamedTuple):
    """What a customer used in a month. devices: counted once for each server that reached them, phones: once; both None
    where they were not counted yet. by_day: pushes of each day that has begun; devices_by_day: as devices."""

    month: Month
    pushes: int
    devices: int | None
    phones: int | None
    servers: int
    seats: int | None
    by_server: tuple[ServerUsage, ...]
    by_day: tuple[int, ...]
    devices_by_day: tuple[int, ...]

    @property
    def usage(self) -> Usage:
        """For other parts of billing."""
        return Usage(self.month, self.pushes, self.devices or 0, self.servers, self.seats)

    @property
    def counted(self) -> tuple[Any, ...]:
        """What another count of the same month must come to: all but what is a matter of the moment."""
        return self.pushes, self.devices, self.phones, self.by_server, self.by_day, self.devices_by_day


def count(customer: Customer, month: Month, now: datetime, known: Sources) -> Figures:
    """Count a month that has begun at `now`, exactly."""
    return count_with_pushes(customer, month, now, known)[0]


def count_with_pushes(customer: Customer, month: Month, now: datetime, known: Sources) -> tuple[Figures, Pushes]:
    """As count(), with the pushes by day and server."""
    found = pushes(customer.pk, month.first, months.moved(month, 1).first)
    devices = devices_exactly(customer.pk, month.first)
    return _assembled(customer, month, now, known, _figures(days_begun(month, now), found, devices, None)), found


def count_for_page(customer: Customer, month: Month, now: datetime, known: Sources, settled: Settled | None) -> Figures:
    """As count(), as quickly as a page needs it: devices as they were counted last, at most an hour ago, and of the
    pushes the days that are not settled."""
    first = max(month.first, settled.until) if settled is not None else month.first
    found = pushes(customer.pk, first, months.moved(month, 1).first, in_days=True)
    devices = devices_counted(customer.pk, month.first)
    values = _figures(days_begun(month, now), found, devices, settled)
    if values["pushes"] and not devices and settled is None:
        values |= {"devices": None, "phones": None}
    return _assembled(customer, month, now, known, values)


def settle(found: Pushes, until: date) -> dict[int, int]:
    """The pushes of each server on the days before `until`."""
    sums: dict[int, int] = {}
    for (day, server), number in found.items():
        if day < until:
            sums[server] = sums.get(server, 0) + number
    return sums


def _assembled(customer: Customer, month: Month, now: datetime, known: Sources, values: dict[str, Any]) -> Figures:
    return Figures(month=month, seats=known.seats(customer), servers=servers(customer, month, known), **values)


def _figures(begun: int, found: Pushes, devices: Mapping[int, Devices], settled: Settled | None) -> dict[str, Any]:
    by_server, by_day = dict.fromkeys((server for server in devices if server), 0), [0] * begun
    if settled is not None:
        by_server |= settled.by_server
        by_day[: len(settled.by_day)] = settled.by_day
    for (day, server), number in found.items():
        # Where a clock was ahead there are pushes of days that have not begun: they count when those have.
        if day.day <= begun:
            by_server[server] = by_server.get(server, 0) + number
            by_day[day.day - 1] += number
    of_servers = [each for server, each in devices.items() if server]
    rows = [ServerUsage(server, number, _devices(devices, server)) for server, number in by_server.items()]
    return {
        "pushes": sum(by_server.values()),
        "devices": sum(each.month for each in of_servers),
        "phones": _devices(devices, 0),
        "by_server": tuple(sorted(rows, key=lambda each: (-each.pushes, -each.devices, each.server))),
        "by_day": tuple(by_day),
        "devices_by_day": tuple(
            sum(each.by_day[day] for each in of_servers if day < len(each.by_day)) for day in range(begun)
        ),
    }


def days_begun(month: Month, now: datetime) -> int:
    """How many days of the month have begun."""
    if months.over(month, now):
        return months.days(month)
    return max(0, (now - months.begins(month)) // timedelta(days=1) + 1)


def servers(customer: Customer, month: Month, known: Sources) -> int:
    """How many different server_ids the customer has proven; without any, how many its keys were seen with."""
    if proven := set(known.proven_ids(customer)):
        return len(proven)
    seen = Sighting.objects.filter(
        key__server__customer_id=customer.pk, first_at__lt=months.ends(month), last_at__gte=months.begins(month)
    )
    return seen.values("mattermost_id").distinct().count()


def _devices(devices: Mapping[int, Devices], server: int) -> int:
    return devices[server].month if server in devices else 0
