"""Broken chains of the SLA's ledger: where one broke, how it was begun anew, and in which file a day is sealed.

A chain breaks where a customer's file of a day could not be made, or where a head does not follow from the one before.
From then on no file of it can be sealed, until staff begin it anew (billing/sla/renewing.py): the new chain's genesis
names the break, and its first file holds the minutes of the days in between.
"""

from collections.abc import Sequence
from datetime import date, timedelta
from typing import NamedTuple

from django.db.models import Exists, OuterRef, Q, QuerySet

from billing.models import SlaBreakMail, SlaDay, SlaLedger, SlaRenewal
from billing.sla import keeping, ledger
from billing.sla.ledger import Break

_DAY = timedelta(days=1)


class Broken(NamedTuple):
    """Where a chain is broken: the first day without a head that follows, and the head before it (hex)."""

    broke_on: date
    old_head: str


def renewals(customer_id: int) -> list[Break]:
    """The breaks of a customer's chain that it was begun anew after, in order; without those within a later one."""
    found: list[Break] = []
    for row in SlaRenewal.objects.filter(customer_id=customer_id).order_by("begins"):
        while found and found[-1].begins > row.broke_on:
            found.pop()
        found.append(Break(row.broke_on, row.old_head, row.begins, row.decided_at, row.decided_by, row.reason))
    return found


def file_of(known: Sequence[Break], day: date) -> date:
    """The day in whose file a day's minutes stand: its own, but for the days of a break. known: renewals()."""
    for each in known:
        if each.broke_on <= day < each.begins:
            day = each.begins
    return day


def late_from(known: Sequence[Break], day: date) -> date:
    """The first day whose minutes stand in the file of `day`: itself, but where a chain begins anew."""
    for each in reversed(known):
        if each.begins == day:
            day = each.broke_on
    return day


def broken(of: SlaLedger) -> Broken | None:
    """Where a chain is broken that was not begun anew since; None where it is whole up to the last sealed day."""
    public_id, known = str(of.public_id), renewals(of.customer_id)
    head, expected, coming = ledger.genesis(public_id), of.begins, [*known]
    rows = SlaDay.objects.filter(customer_id=of.customer_id).order_by("day").values_list("day", "sha", "head")
    for day, sha, sealed in rows:
        if file_of(known, day) != day:
            continue
        while coming and coming[0].begins <= day:
            if (coming[0].broke_on, coming[0].old_head) != (expected, head.hex()):
                return Broken(expected, head.hex())
            head, expected = ledger.anew(public_id, coming[0]), coming.pop(0).begins
        follows = ledger.chained(head, bytes.fromhex(sha))
        if day != expected or follows.hex() != sealed:
            return Broken(expected, head.hex())
        head, expected = follows, day + _DAY
    if coming:  # decided, and its first day is not sealed yet
        head, expected = ledger.anew(public_id, coming[-1]), coming[-1].begins
    last = keeping.sealed_to()
    return Broken(expected, head.hex()) if last is not None and expected <= last else None


def noted() -> QuerySet[SlaBreakMail]:
    """What was found broken when days were sealed (billing/sla/telling.py), and was not begun anew since."""
    renewed = SlaRenewal.objects.filter(customer_id=OuterRef("customer_id"), begins__gt=OuterRef("day"))
    return SlaBreakMail.objects.filter(~Exists(renewed), kind=SlaBreakMail.Kind.BROKEN)


def all_broken() -> QuerySet[SlaLedger]:
    """The ledgers whose chain is broken and not begun anew since: by what was noted of them; or they have no file of
    the last sealed day though they had begun. To walk the chain itself is broken()'s."""
    last = keeping.sealed_to()
    if last is None:
        return SlaLedger.objects.none()
    sealed = SlaDay.objects.filter(customer_id=OuterRef("customer_id"), day=last)
    renewed = SlaRenewal.objects.filter(customer_id=OuterRef("customer_id"), begins__gt=last)
    found = Exists(noted().filter(customer_id=OuterRef("customer_id")))
    return SlaLedger.objects.filter(found | Q(~Exists(sealed), ~Exists(renewed), begins__lte=last))


def broke_on(of: SlaLedger) -> date:
    """The first day without a head that follows, of a ledger that is in all_broken()."""
    found = noted().filter(customer_id=of.customer_id).order_by("day").values_list("day", flat=True).first()
    if found is not None:
        return found
    ends = [each.begins for each in renewals(of.customer_id)]
    last = last_file(of.customer_id)
    return max([of.begins, *ends, *([last + _DAY] if last is not None else [])])


def last_file(customer_id: int) -> date | None:
    """The last day of a customer's own chain; None before its first."""
    return SlaDay.objects.filter(customer_id=customer_id).order_by("-day").values_list("day", flat=True).first()
