"""Seals days of the ledger: the files, their chains, the tree of all heads, and its signed root.

A day is sealed two days later, days in order and each in one transaction: all customers' files and the root, or none.
A customer whose own file cannot be made (its chain is broken, a minute of it is impossible) is left out of the tree,
and shown to staff: its months are closed and credited all the same, from the minutes that are kept. Its chain is broken
by that, until staff begin it anew (billing/sla/renewing.py): then the days that were left out stand in the first file.
"""

from collections.abc import Iterator, Sequence
from datetime import UTC, date, datetime, timedelta
from functools import partial
from typing import Final

from django.db import transaction
from django.db.models import Min

from billing.models import SlaCorrection, SlaDay, SlaFile, SlaLedger, SlaRoot
from billing.rounds import Isolation, Round
from billing.sla import breaks, judging, keeping, keys, ledger
from billing.sla.judging import Row
from billing.sla.sources import Sources
from tenants.problem import ProblemError

SEALED_AFTER: Final = 2
"""Days from a day to the one on which it is sealed."""


def days_to_seal(now: datetime) -> Iterator[date]:
    """The days that are to be sealed, in order."""
    last = keeping.sealed_to()
    day = last + timedelta(days=1) if last else SlaLedger.objects.aggregate(first=Min("begins"))["first"]
    while day is not None and day <= now.date() - timedelta(days=SEALED_AFTER):
        yield day
        day += timedelta(days=1)


def seal(day: date, *, now: datetime, sources: Sources) -> SlaRoot:
    """Write the day's minutes for the last time and seal it; the root that there is, if it was sealed already."""
    with transaction.atomic():
        keeping.hold()
        there = SlaRoot.objects.filter(day=day).first()
        if there is not None:
            return there
        signer = keys.signer()
        start = judging.midnight(day)
        unwritten = keeping.write_part(day, start, start + timedelta(days=1), sources).failed
        isolation = Isolation(Round.SLA_SEAL, now)
        ledgers = SlaLedger.objects.filter(begins__lte=day).order_by("customer_id")
        files = (
            isolation.attempt(of.customer_id, partial(_file, of, day, unwritten), whole=keeping.REPEATED)
            for of in ledgers
        )
        days = sorted((each for each in files if each is not None), key=lambda each: each.head)
        heads = [bytes.fromhex(each.head) for each in days]
        paths = ledger.proofs(heads)
        for index, each in enumerate(days):
            each.index, each.size, each.path = index, len(days), [node.hex() for node in paths[index]]
        SlaDay.objects.bulk_create(days)
        tree = ledger.root(heads)
        return SlaRoot.objects.create(
            day=day,
            size=len(heads),
            root=tree.hex(),
            key=signer.key,
            signature=signer.sign(ledger.message(day, len(heads), tree)),
            sealed_at=now,
        )


def corrections_of(customer_id: int, **lookups: object) -> list[Row]:
    """A customer's corrections in the order of the files, as rows."""
    found = SlaCorrection.objects.filter(customer_id=customer_id, **lookups).order_by("day", "id")
    return [Row(minute.astimezone(UTC), *rest) for minute, *rest in found.values_list(*Row._fields)]


def filed_days(customer_id: int, start: datetime, end: datetime, last: date) -> set[date]:
    """The days up to `last` whose files hold corrections of minutes from `start` to before `end`, or the minutes."""
    found = SlaCorrection.objects.filter(customer_id=customer_id, minute__gte=start, minute__lt=end)
    known, filed = breaks.renewals(customer_id), set(found.values_list("day", flat=True))
    late = {each.begins for each in known if each.broke_on < end.date() and start.date() < each.begins}
    return {day for day in (breaks.file_of(known, each) for each in filed | late) if day <= last}


def _file(of: SlaLedger, day: date, unwritten: frozenset[int]) -> SlaDay:
    """Write a customer's file of a day; its row, without the place in the tree. Raises ProblemError for one of those
    whose minutes are `unwritten`, and for a broken chain."""
    if of.customer_id in unwritten:
        raise ProblemError(f"the minutes of {day} could not be written, and a file without them would be final")
    known = breaks.renewals(of.customer_id)
    start, first = judging.midnight(day), breaks.late_from(known, day)
    rows = keeping.rows_of(of.customer_id, start, start + timedelta(days=1))
    late = keeping.rows_of(of.customer_id, judging.midnight(first), start) if first < day else []
    # What was filed on a day that has no file stands in this one, too, after the minutes that it may be about.
    filed = corrections_of(of.customer_id, day__gte=first, day__lte=day)
    content = ledger.day_file(rows, [*(row._replace(reason=ledger.SEALED_LATE) for row in late), *filed])
    head = ledger.chained(_previous(of, day, known), ledger.sha(content))
    SlaFile.objects.create(customer_id=of.customer_id, day=day, content=content.decode("ascii"))
    return SlaDay(customer_id=of.customer_id, day=day, sha=ledger.sha(content).hex(), head=head.hex())


def _previous(of: SlaLedger, day: date, known: Sequence[ledger.Break]) -> bytes:
    for each in known:
        if each.begins == day:
            return ledger.anew(str(of.public_id), each)
    if of.begins == day:
        return ledger.genesis(str(of.public_id))
    before = SlaDay.objects.filter(customer_id=of.customer_id, day=day - timedelta(days=1)).first()
    if before is None:
        raise ProblemError(
            f"the ledger {of.public_id} lacks the day before {day}: its chain is broken until it is begun anew"
        )
    return bytes.fromhex(before.head)
