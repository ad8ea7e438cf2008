"""Composes the lines of a document out of terms, usage and credits. Pure."""

from collections.abc import Iterable, Mapping
from datetime import date
from decimal import Decimal
from typing import Final, NamedTuple

from billing.facts import Month, Terms, Usage
from billing.invoices.document import Line
from billing.invoices.periods import Step, last_day

_EACH: Final = {1: "month", 12: "year"}


class MonthCredit(NamedTuple):
    """What is left of the SLA credit for one month."""

    month: Month
    percent: int
    left_minor: int
    root: str


def fees(terms: Terms, step: Step, usage: Mapping[Month, Usage]) -> list[Line]:
    """The lines of a step: the period that begins, and devices beyond those included in the months that have ended.

    A month of which no usage is known is left out.
    """
    lines: list[Line] = []
    if step.period and terms.price_minor:
        start, end = step.period
        each = _EACH.get(terms.period_months, f"{terms.period_months} months")
        lines.append(Line(f"{terms.name or terms.plan}, 1 {each}", terms.price_minor, start=start, end=end))
    for month in step.months:
        used = usage.get(month)
        if used is None or terms.included_devices is None or not terms.device_price_minor:
            continue
        beyond = used.devices - terms.included_devices
        if beyond > 0:
            detail = f"{used.devices:,} active devices, of which {terms.included_devices:,} are included"
            lines.append(
                Line(
                    "Active devices beyond those included",
                    terms.device_price_minor,
                    Decimal(beyond),
                    month.first,
                    last_day(month),
                    detail,
                )
            )
    return lines


def credit_lines(granted: Iterable[MonthCredit], net_minor: int) -> list[Line]:
    """The lines that use SLA credits, the oldest first, up to what the other lines come to."""
    lines: list[Line] = []
    left = max(0, net_minor)
    for credit in sorted(granted):
        used = min(left, credit.left_minor)
        if used > 0:
            month = f"{credit.month.year:04d}-{credit.month.month:02d}"
            text = f"SLA credit for {named(credit.month)} ({credit.percent} %)"
            lines.append(
                Line(text, used, Decimal(-1), credit.month.first, last_day(credit.month), "", month, credit.root)
            )
            left -= used
    return lines


def credits_after(granted: Iterable[MonthCredit], net_minor: int) -> list[MonthCredit]:
    """What is left of SLA credits after a document of that amount has used them."""
    months = sorted(granted)
    used = {line.month: -line.amount_minor for line in credit_lines(months, net_minor)}
    left = [(each, used.get(f"{each.month.year:04d}-{each.month.month:02d}", 0)) for each in months]
    return [each._replace(left_minor=each.left_minor - gone) for each, gone in left if each.left_minor > gone]


def statement_lines(terms: Terms, month: Month, used: Usage | None) -> list[Line]:
    """The lines of a statement for a customer whose licence includes the service: what was used, for nothing."""
    detail = "Included in your Mattermost licence"
    if used is not None:
        counted = ((used.pushes, "push", "es"), (used.devices, "active device", "s"), (used.servers, "server", "s"))
        pushes, devices, servers = (f"{n:,} {one}{'' if n == 1 else more}" for n, one, more in counted)
        detail += f": {pushes} to {devices} of {servers}"
    return [
        Line(f"{terms.name or terms.plan}, {named(month)}", 0, start=month.first, end=last_day(month), detail=detail)
    ]


def named(month: Month) -> str:
    """A month in words: "October 2026"."""
    return f"{month.first:%B %Y}"


def spanned(start: date, end: date) -> str:
    """A span of days in words."""
    return f"{start.day} {start:%b %Y} – {end.day} {end:%b %Y}"
