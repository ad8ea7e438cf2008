"""Corrections of sealed minutes: a row of today's file that takes the place of the minute's, in the figures at once.

One in the customer's favour needs nothing but its reason; one against it is mailed to the customer before it is made,
and is not made where the mail cannot be sent.
"""

from datetime import datetime, timedelta
from typing import Any

from django.db import transaction

from billing.facts import SlaMonth
from billing.models import SlaCorrection
from billing.sla import judging, keeping, ledger, months, reading, sealing, telling
from billing.sla.judging import Row
from billing.sla.sources import Sources
from tenants import mail
from tenants.audit import recording
from tenants.models import Customer
from tenants.problem import ProblemError


def correct(
    customer: Customer,
    minute: datetime,
    *,
    reason: str,
    now: datetime,
    sources: Sources,
    excluded: bool | None = None,
    **changes: Any,
) -> tuple[SlaCorrection, SlaMonth | None]:
    """Correct figures (of Row) of a sealed minute; the verdict follows from them. The month's figures, if it is closed.

    Raises ProblemError for a minute that is not sealed, an impossible figure, a reason that cannot stand in the file,
    and where a correction against the customer could not be mailed.
    """
    of, last = reading.ledger_of(customer), keeping.sealed_to()
    day = minute.date()
    if of is None or last is None or not of.begins <= day <= last or minute.second or minute.microsecond:
        raise ProblemError(f"{minute:%Y-%m-%dT%H:%MZ} is not sealed: until then its figures are computed by themselves")
    if not ledger.FREE_TEXT.fullmatch(reason):
        raise ProblemError("the reason is 3 to 200 of letters, digits, spaces and .:;()/'_- (it stands in a CSV file)")
    before = _row(customer, minute)
    after = _after(before, reason, excluded, changes)
    favours = judging.in_favour(before, after)
    if not favours:
        _tell(customer, before, after, reason, sources)
    with transaction.atomic():
        keeping.hold()
        filed = max(now.date(), _sealed() + timedelta(days=1))
        made = SlaCorrection.objects.create(
            customer=customer, day=filed, favours_customer=favours, made_at=now, **after._asdict()
        )
        recording.record(
            "sla.correct",
            customer=customer,
            target=ledger.line(before),
            corrected=ledger.line(after),
            favours_customer=favours,
        )
        month, told = judging.month_of(day), None
        if months.is_closed(month):
            told = months.close(of, month, now=now, sources=sources)
    return made, told


def _sealed() -> Any:
    return keeping.sealed_to()


def _row(customer: Customer, minute: datetime) -> Row:
    """The row of a minute as it counts now; of an idle one that is implied, an empty good one."""
    end = minute + judging.MINUTE
    own = keeping.rows_of(customer.pk, minute, end)
    found = judging.corrected(own, sealing.corrections_of(customer.pk, minute=minute))
    return found[0] if found else Row(minute, 0, 0, 0, 0, 0, 0, 0, judging.GOOD, judging.OK, "")


def _after(before: Row, reason: str, excluded: bool | None, changes: dict[str, Any]) -> Row:
    wrong = set(changes) - {*Row._fields[1:9]}
    if wrong:
        raise ProblemError(f"no figure of a minute: {', '.join(sorted(wrong))}")
    row = before._replace(**changes)
    no_push = before.canary == judging.MISSING and before.verdict == judging.BAD
    out = before.verdict == judging.EXCLUDED if excluded is None else excluded
    try:
        word, _ = judging.verdict(row.valid, row.failed_ours, row.canary, excluded=out, service_good=not no_push)
        row = row._replace(verdict=word, reason=ledger.CORRECTION + reason)
        ledger.parsed(ledger.line(row))
    except ValueError as error:
        raise ProblemError(f"these figures cannot be: {error}") from None
    return row


def _tell(customer: Customer, before: Row, after: Row, reason: str, sources: Sources) -> None:
    """Mail a correction against the customer to telling.readers()."""
    context = {"customer": customer, "before": before, "after": after, "reason": reason}
    for address in telling.readers(customer, sources):
        mail.send("billing/mail/sla_corrected", to=address, context=context)
