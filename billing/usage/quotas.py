"""Quotas: what follows from a month's usage, the amounts that are included, and the mails that went out. Pure.

    80 %    a mail
    100 %   a mail; from then on grace: pushes go on as before, for 7 days or up to 120 %, whatever ends first
    then    a mail that announces limits, and 7 days after it the limits, until the month ends

Times count from when a mail was sent, never from when it should have been: while nobody is told (the timetable is down)
nothing begins. Only the latest mail that is due is sent, so that after a pause no warning comes behind a later one.
Limits are slower pushes, never none, and nothing of them touches wipes of devices: those have a budget of their own
(delivery/ingest/limits.py). They are announced only if they would begin within the month, and end with it. What can be
paid for beyond what is included (devices with a price) is told of and not limited; servers are told of alone.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from enum import IntEnum, StrEnum
from typing import Final, NamedTuple

from billing.facts import Month, Terms, Usage
from billing.usage import months

NEAR_PERCENT: Final = 80
FULL_PERCENT: Final = 100
GRACE_PERCENT: Final = 120
GRACE: Final = timedelta(days=7)
ANNOUNCED_AHEAD: Final = timedelta(days=7)
# Said of a use where nothing is included; and no more is said of any.
BEYOND: Final = 1_000
MOST_PERCENT: Final = 1_000_000


class Measure(StrEnum):
    """What is measured against an included amount."""

    PUSHES = "pushes"
    DEVICES = "devices"
    SERVERS = "servers"


class Step(StrEnum):
    """What a mail is about: each is sent once a month for each measure."""

    NEAR = "near"
    FULL = "full"
    LIMITS = "limits"


class Level(IntEnum):
    """How far a customer is, the worst last."""

    WITHIN = 0
    NEAR = 1
    FULL = 2
    """In grace, or beyond what is included with no limits to come."""
    ANNOUNCED = 3
    LIMITED = 4


class Notice(NamedTuple):
    """A mail that was sent."""

    month: Month
    measure: Measure
    step: Step
    at: datetime


class Share(NamedTuple):
    """How much of an included amount is used, in whole percent, cut."""

    measure: Measure
    used: int
    included: int
    percent: int


class Due(NamedTuple):
    """A mail that is to be sent now."""

    measure: Measure
    step: Step


class MeasureState(NamedTuple):
    """One measure: its share, level, until when the grace lasts at most, when limits begin, and the mail that is due.
    Times are None where they do not apply or nobody was told yet."""

    share: Share
    level: Level
    grace_until: datetime | None = None
    limits_at: datetime | None = None
    due: Due | None = None


class QuotaState(NamedTuple):
    """All measures that have an included amount, the worst first."""

    measures: tuple[MeasureState, ...]

    @property
    def level(self) -> Level:
        """The worst one."""
        return self.measures[0].level if self.measures else Level.WITHIN

    @property
    def worst(self) -> MeasureState | None:
        """The measure that it is about; None where nothing is bounded."""
        return self.measures[0] if self.measures else None

    @property
    def due(self) -> tuple[Due, ...]:
        """The mails to be sent now."""
        return tuple(each.due for each in self.measures if each.due is not None)

    @property
    def limited(self) -> bool:
        """Whether limits are in force."""
        return self.level is Level.LIMITED

    @property
    def percent(self) -> int | None:
        """The highest share; None where nothing is bounded. Servers count once there are too many: to use all of one's
        servers is how it should be."""
        return max((each.share.percent for each in self.measures if _tells(each.share)), default=None)


def quota(now: datetime, usage: Usage, terms: Terms, history: Sequence[Notice]) -> QuotaState:
    """What follows at `now` from the usage of a month. Of another month than the one that `now` is in: its shares, and
    nothing to do. history: mails that went out, of any month, in any order."""
    running = months.month_of(now) == usage.month
    found = []
    for measure, used, included in _measures(usage, terms):
        if included is not None:
            share = Share(measure, used, included, percent(used, included))
            sent = {each.step: each.at for each in history if each[:2] == (usage.month, measure)}
            found.append(_state(now, usage.month, share, terms, sent) if running else MeasureState(share, Level.WITHIN))
    return QuotaState(tuple(sorted(found, key=lambda each: (-each.level, -each.share.percent))))


def percent(used: int, included: int) -> int:
    """A share in whole percent, cut; of nothing included it is 0 or BEYOND."""
    if included <= 0:
        return BEYOND if used > 0 else 0
    return min(used * 100 // included, MOST_PERCENT)


def can_be_limited(measure: Measure, terms: Terms) -> bool:
    """Whether more than is included may be answered by limits: it is not where more has its price."""
    return measure is Measure.PUSHES or (measure is Measure.DEVICES and not terms.device_price_minor)


def _measures(usage: Usage, terms: Terms) -> tuple[tuple[Measure, int, int | None], ...]:
    return (
        (Measure.PUSHES, usage.pushes, terms.included_pushes),
        (Measure.DEVICES, usage.devices, terms.included_devices),
        (Measure.SERVERS, usage.servers, terms.included_servers),
    )


def _tells(share: Share) -> bool:
    return share.measure is not Measure.SERVERS or share.used > share.included


def _state(now: datetime, month: Month, share: Share, terms: Terms, sent: dict[Step, datetime]) -> MeasureState:
    measure = share.measure
    if share.percent < NEAR_PERCENT or not _tells(share):
        return MeasureState(share, Level.WITHIN)
    if share.percent < FULL_PERCENT:
        told = Step.NEAR in sent or Step.FULL in sent
        return MeasureState(share, Level.NEAR, due=None if told else Due(measure, Step.NEAR))
    if Step.FULL not in sent:
        return MeasureState(share, Level.FULL, due=Due(measure, Step.FULL))
    if not can_be_limited(measure, terms):
        return MeasureState(share, Level.FULL)
    grace_until = sent[Step.FULL] + GRACE
    if Step.LIMITS in sent:
        limits_at = sent[Step.LIMITS] + ANNOUNCED_AHEAD
        if limits_at >= months.ends(month):
            return MeasureState(share, Level.FULL, grace_until)
        return MeasureState(share, Level.LIMITED if now >= limits_at else Level.ANNOUNCED, grace_until, limits_at)
    spent = share.percent >= GRACE_PERCENT or now >= grace_until
    # Limits that would begin after the month has ended are none: then nothing is announced.
    if spent and now + ANNOUNCED_AHEAD < months.ends(month):
        return MeasureState(share, Level.FULL, grace_until, due=Due(measure, Step.LIMITS))
    return MeasureState(share, Level.FULL, grace_until)
