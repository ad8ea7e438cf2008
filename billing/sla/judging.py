"""Service level "sla-1": the verdict on each minute, uptime of a month, latency shares, credit. Pure, integers only.

A minute (UTC, by when its pushes were accepted) has V valid pushes of a customer, F of them failed by us, and the
service's canary. The minute is

- excluded, if maintenance that was announced 72 hours ahead covers it: neither good nor bad, at most 240 a month;
- bad, if V >= 20 and F/V > 5 %, or V < 20 and F >= 2 and F/V >= 50 %, or the canary was bad, or the canary is missing
  and the whole service had no good push in that minute;
- good otherwise.

    by_time     = 1 - bad / (minutes - excluded)
    by_requests = 1 - F/V of all pushes of the month, those in excluded minutes too, if V >= 1,000
    uptime      = the worse of both, in percent, cut (never rounded up) to three decimals

By time alone a customer with few pushes could fail all month with no bad minute; hence both.
"""

from collections.abc import Iterable, Mapping
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Final, NamedTuple

from billing.facts import Month, SlaMonth

VERSION: Final = "sla-1"
MINUTE: Final = timedelta(minutes=1)
DAY_MINUTES: Final = 1_440

# Verdicts, and what they rest on.
OK, BAD, EXCLUDED = "ok", "bad", "excluded"
FAILURES, CANARY, NO_PUSH, MAINTENANCE = "failures", "canary", "no_push", "maintenance"
# The canary: "off" where the operator has set up none, and minutes without pushes cannot be judged.
GOOD, MISSING, OFF = "good", "missing", "off"
CANARIES: Final = (GOOD, BAD, MISSING, OFF)

MANY: Final = 20
REQUESTS_FROM: Final = 1_000
EXCLUDED_MAX: Final = 240
ANNOUNCED: Final = timedelta(hours=72)
# Uptime below which so many percent of the month's fee are credited, the worst first.
CREDITS: Final = ((Decimal("95.0"), 50), (Decimal("99.0"), 25), (Decimal("99.9"), 10))
PROMISED: Final = Decimal("99.9")
PROMISED_3S: Final = Decimal("99.0")
PROMISED_1S: Final = Decimal("95.0")
FULL: Final = Decimal("100.000")


class Observed(NamedTuple):
    """What is known of a minute before it is judged. `service_good`: some customer's push was handed off in it."""

    minute: datetime
    valid: int
    failed: int
    le_1s: int
    le_3s: int
    canary: str = GOOD
    excluded: bool = False
    service_good: bool = True


class Row(NamedTuple):
    """A judged minute, as the ledger has it. `failed_ours` and both latencies are among the valid pushes; the other
    failures are told beside them, whether they are valid events or not."""

    minute: datetime
    valid: int
    failed_ours: int
    failed_provider: int
    failed_customer: int
    failed_device: int
    le_1s: int
    le_3s: int
    canary: str
    verdict: str
    reason: str


class Window(NamedTuple):
    """Maintenance from `start` to before `end`, told to customers at `announced_at`."""

    start: datetime
    end: datetime
    announced_at: datetime


class Judged(NamedTuple):
    """A month: the verdict by minute, of the minutes that something is known of, and the figures."""

    verdicts: dict[datetime, str]
    month: SlaMonth


def verdict(valid: int, failed: int, canary: str, *, excluded: bool, service_good: bool) -> tuple[str, str]:
    """The verdict on a minute (OK, BAD, EXCLUDED) and what it rests on. Raises ValueError for impossible figures."""
    if not 0 <= failed <= valid or canary not in CANARIES:
        raise ValueError(f"no minute has {failed} failed of {valid} valid pushes and a canary {canary!r}")
    if excluded:
        return EXCLUDED, MAINTENANCE
    if failures_are_bad(valid, failed):
        return BAD, FAILURES
    if canary == BAD:
        return BAD, CANARY
    if canary == MISSING and not service_good:
        return BAD, NO_PUSH
    return OK, ""


def failures_are_bad(valid: int, failed: int) -> bool:
    """Whether so many failures alone make a minute bad."""
    if valid >= MANY:
        return failed * 20 > valid
    return failed >= 2 and failed * 2 >= valid


def sla_1(observed: Iterable[Observed], month: Month, minutes: int) -> Judged:
    """The whole of sla-1 over a month of so many minutes; those that are not among `observed` were idle and good."""
    rows = []
    for one in observed:
        word, reason = verdict(one.valid, one.failed, one.canary, excluded=one.excluded, service_good=one.service_good)
        rows.append(Row(one.minute, one.valid, one.failed, 0, 0, 0, one.le_1s, one.le_3s, one.canary, word, reason))
    return Judged({row.minute: row.verdict for row in rows}, summed(rows, month, minutes))


def summed(rows: Iterable[Row], month: Month, minutes: int) -> SlaMonth:
    """The figures of a month of so many minutes out of its judged rows, each minute once."""
    valid = failed = bad = excluded = le_1s = le_3s = 0
    for row in rows:
        valid += row.valid
        failed += row.failed_ours
        le_1s += row.le_1s
        le_3s += row.le_3s
        bad += row.verdict == BAD
        excluded += row.verdict == EXCLUDED
    return of_sums(
        month,
        minutes=minutes,
        bad=bad,
        excluded=excluded,
        valid=valid,
        failed=failed,
        le_1s=le_1s,
        le_3s=le_3s,
    )


def of_sums(
    month: Month, *, minutes: int, bad: int, excluded: int, valid: int, failed: int, le_1s: int, le_3s: int
) -> SlaMonth:
    """The figures of a month out of the sums of its rows."""
    share = percent(minutes - excluded - bad, minutes - excluded)
    by_time = FULL if share is None else share
    by_requests = percent(valid - failed, valid) if valid >= REQUESTS_FROM else None
    uptime = by_time if by_requests is None else min(by_time, by_requests)
    return SlaMonth(
        month=month,
        valid=valid,
        failed_ours=failed,
        minutes=minutes,
        bad_minutes=bad,
        excluded_minutes=excluded,
        by_time=by_time,
        by_requests=by_requests,
        uptime=uptime,
        within_1s=percent(le_1s, valid),
        within_3s=percent(le_3s, valid),
        credit_percent=credit_percent(uptime),
    )


def percent(part: int, whole: int) -> Decimal | None:
    """A share in percent, cut to three decimals; None of nothing."""
    return Decimal(part * 100_000 // whole).scaleb(-3) if whole > 0 else None


def credit_percent(uptime: Decimal) -> int:
    """How much of the month's fee is credited for an uptime in percent: 0, 10, 25 or 50."""
    return next((credited for below, credited in CREDITS if uptime < below), 0)


def credit_minor(price_minor: int, credited_percent: int) -> int:
    """The credit in minor units on a month's price, rounded up: in the customer's favour. Raises ValueError below 0."""
    if price_minor < 0:
        raise ValueError("a price is no less than nothing")
    return -(-price_minor * credited_percent // 100)


def budget(figures: SlaMonth, ahead: int = 0) -> tuple[int, int | None]:
    """How many more bad minutes, and failed pushes, the promise bears in a month (less than 0: it is broken); the
    latter None while pushes are too few to count.

    ahead: minutes of the month that are still to come: the minutes are the whole month's, and the pushes those so far,
    for nobody knows how many there will be.
    """
    minutes = budget_minutes(figures, ahead) - figures.bad_minutes
    return minutes, None if figures.by_requests is None else figures.valid // 1_000 - figures.failed_ours


def budget_minutes(figures: SlaMonth, ahead: int = 0) -> int:
    """How many bad minutes the promise bears in the whole month."""
    return (figures.minutes + ahead - figures.excluded_minutes) // 1_000


def exclusions(windows: Iterable[Window], first: date, last: date) -> set[datetime]:
    """The minutes from the day `first` to the day `last` (of one month; its first days have to be among them) that are
    excluded: wholly in a window that was announced 72 h before it began, the first 240 of the month."""
    begin, end = midnight(first), midnight(last) + timedelta(days=1)
    found: set[datetime] = set()
    for window in windows:
        if window.start - window.announced_at < ANNOUNCED:
            continue
        minute = max(begin, _next_minute(window.start))
        while minute + MINUTE <= min(window.end, end):
            found.add(minute)
            minute += MINUTE
    return set(sorted(found)[:EXCLUDED_MAX])


def corrected(rows: Iterable[Row], corrections: Iterable[Row]) -> list[Row]:
    """The rows of a month in order, each replaced by the last of its corrections; these in the order of filing."""
    found = {row.minute: row for row in rows}
    found.update((row.minute, row) for row in corrections)
    return [found[minute] for minute in sorted(found)]


def in_favour(before: Row, after: Row) -> bool:
    """Whether a correction can only lower uptime: no fewer failures, no more pushes that went well, no better
    verdict and no quicker hand-off."""
    rank = {OK: 0, EXCLUDED: 1, BAD: 2}
    return (
        after.failed_ours >= before.failed_ours
        and after.valid >= before.valid
        and after.valid - after.failed_ours <= before.valid - before.failed_ours
        and rank[after.verdict] >= rank[before.verdict]
        and after.le_1s <= before.le_1s
        and after.le_3s <= before.le_3s
    )


def is_kept(row: Row) -> bool:
    """Whether the ledger has a line for it: an idle good minute has none."""
    return row.valid > 0 or row.verdict != OK


def midnight(day: date) -> datetime:
    """When a day begins, in UTC."""
    return datetime(day.year, day.month, day.day, tzinfo=UTC)


def days_of(month: Month) -> list[date]:
    """The days of a month."""
    first = month.first
    following = (first + timedelta(days=32)).replace(day=1)
    return [first + timedelta(days=number) for number in range((following - first).days)]


def month_of(day: date) -> Month:
    """The month that a day is in."""
    return Month(day.year, day.month)


def _next_minute(moment: datetime) -> datetime:
    floor = moment.replace(second=0, microsecond=0)
    return floor if floor == moment else floor + MINUTE


Canaries = Mapping[datetime, str]
"""The canary's verdict by minute; a minute that is not in it is missing."""
