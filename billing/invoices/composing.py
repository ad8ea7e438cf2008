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


def statement_lines(terms: Terms, month: Month, used: Usage | None) -> list[Line]:
    """The lines of a statement for a customer whose licence includes the service: what was used, for nothing."""
    detail = "Included in your Mattermost licence"
    if used is not None:
        detail += f": {used.pushes:,} pushes to {used.devices:,} active devices of {used.servers:,} servers"
    return [
        Line(f"{terms.name or terms.plan}, {named(month)}", 0, start=month.first, end=last_day(month), detail=detail)
    ]


def named(month: Month) -> str:
    """A month in words: "October 2026"."""
    return f"{month.first:%B %Y}"


def spanned(start: date, end: date) -> str:
    """A span of days in words."""
    return f"{start.day} {start:%b %Y} – {end.day} {end:%b %Y}"
