"""Tells customers by e-mail that the chain of their SLA files broke, and when it was begun anew: each once.

What is to be told is noted when days are sealed (`note`), for only then does a chain break or begin anew. It is sent in
each round until it went out (`send_due`): a mail server that is away delays it.
"""

import logging
from collections.abc import Iterator
from datetime import date, datetime, timedelta
from functools import partial
from typing import Final

from django.conf import settings
from django.db import transaction
from django.urls import reverse

from billing import rounds
from billing.dates import day as words_of
from billing.models import SlaBreakMail, SlaDay, SlaLedger
from billing.sla import breaks, judging
from billing.sla.ledger import Break
from billing.sla.sources import Sources
from tenants import mail
from tenants.models import Customer, Membership, Role

log = logging.getLogger(__name__)

_DAY: Final = timedelta(days=1)
_BROKEN, _ANEW = SlaBreakMail.Kind.BROKEN, SlaBreakMail.Kind.ANEW


def readers(customer: Customer, sources: Sources) -> list[str]:
    """Who hears of the ledger: the owners, the contacts, and who is billed; the operator where there is nobody. Each
    address once, however it is written."""
    owners = Membership.objects.filter(customer=customer, role=Role.OWNER, user__is_active=True).order_by("pk")
    named = [*owners.values_list("user__email", flat=True), *customer.contacts, *sources.contacts(customer)]
    found = {address.casefold(): address for address in reversed(named) if address}
    return [*found.values()][::-1] or list(settings.OPERATOR_EMAIL)


def note(now: datetime) -> None:
    """Walk each chain, and note which mails are to be sent; what is noted of a chain that is whole again is none."""
    isolation = rounds.Isolation(rounds.Round.SLA_MAILS, now)
    for of in SlaLedger.objects.order_by("customer_id"):
        isolation.attempt(of.customer_id, partial(_note, of, now))


def send_due(now: datetime, sources: Sources) -> int:
    """Send what was noted and has not gone out; how many mails' worth of news."""
    waiting = SlaBreakMail.objects.filter(sent_at=None).order_by("pk")
    isolation = rounds.Isolation(rounds.Round.SLA_MAILS, now)
    rows = list(waiting.values_list("customer_id", "pk"))
    return sum(isolation.attempt(customer_id, partial(_send, pk, now, sources)) or 0 for customer_id, pk in rows)


def months_of(since: date, begins: date) -> str:
    """The months of the days from the first to before the second one: "January 2026", or from which to which."""
    first, last = f"{since:%B %Y}", f"{begins - _DAY:%B %Y}"
    return first if first == last else f"{first} to {last}"


def _note(of: SlaLedger, now: datetime) -> None:
    broken = breaks.broken(of)
    days = [(_ANEW, each.begins) for each in _begun(of)]
    if broken is not None:
        days.append((_BROKEN, broken.broke_on))
    else:
        breaks.noted().filter(customer_id=of.customer_id).delete()
    for kind, day in days:
        SlaBreakMail.objects.get_or_create(customer_id=of.customer_id, kind=kind, day=day, defaults={"found_at": now})


def _begun(of: SlaLedger) -> Iterator[Break]:
    """The breaks after which the new chain has its first file."""
    known = breaks.renewals(of.customer_id)
    sealed = set(
        SlaDay.objects.filter(customer_id=of.customer_id, day__in=[each.begins for each in known]).values_list(
            "day", flat=True
        )
    )
    return (each for each in known if each.begins in sealed)


def _send(pk: int, now: datetime, sources: Sources) -> bool:
    """Send one to all of its readers, behind the row's lock. Raises MailError where it reached none of them."""
    with transaction.atomic():
        row = SlaBreakMail.objects.select_for_update(skip_locked=True, of=("self",)).filter(pk=pk, sent_at=None)
        found = row.select_related("customer").first()
        if found is None:
            return False
        context = _context(found)
        failed: mail.MailError | None = None
        reached = 0
        people = readers(found.customer, sources) if context is not None else []
        for address in people:
            try:
                mail.send("billing/mail/sla_break", to=address, context=context or {})
                reached += 1
            except mail.MailError as error:  # logged there
                failed = error
        if failed is not None and not reached:
            raise failed
        if context is not None and not people:
            log.warning("nobody can be told by e-mail of the SLA ledger of the customer %d", found.customer_id)
        found.sent_at = now
        found.save(update_fields=("sent_at",))
    return bool(reached)


def _context(row: SlaBreakMail) -> dict[str, object] | None:
    """What the templates need; None where there is nothing to say any more: it was begun anew before anybody heard."""
    of = SlaLedger.objects.get(customer_id=row.customer_id)
    known = breaks.renewals(row.customer_id)
    path = reverse("sla", args=(row.customer.slug,))
    context = {
        "customer": row.customer,
        "anew": row.kind == _ANEW,
        "address": mail.link(path) if settings.PUBLIC_URL else "",
    }
    if row.kind == _ANEW:
        one = next((each for each in known if each.begins == row.day), None)
        return None if one is None else {**context, **_anew(one, of)}
    if any(each.broke_on <= row.day < each.begins for each in _begun(of)):
        return None
    return {**context, **_broken(row.day, of)}


def _broken(since: date, of: SlaLedger) -> dict[str, object]:
    return {
        "broke_on": words_of(judging.midnight(since)),
        "missing": not SlaDay.objects.filter(customer_id=of.customer_id, day=since).exists(),
        "good_to": _good_to(since, of),
    }


def _anew(one: Break, of: SlaLedger) -> dict[str, object]:
    return {
        "broke_on": words_of(judging.midnight(one.broke_on)),
        "good_to": _good_to(one.broke_on, of),
        "begins": words_of(judging.midnight(one.begins)),
        "last": words_of(judging.midnight(one.begins - _DAY)),
        "reason": one.reason,
        "decided_by": one.decided_by,
        "decided_on": words_of(one.decided_at),
        "months": months_of(one.broke_on, one.begins),
    }


def _good_to(since: date, of: SlaLedger) -> str:
    """The last day before a break; "" where it has none."""
    return words_of(judging.midnight(since - _DAY)) if since > of.begins else ""
