"""E-mail about quotas: to whom it goes, and what it says. To the owners and to the contacts for billing, once each."""

from collections.abc import Sequence
from datetime import datetime

from billing import money
from billing.facts import Terms
from billing.usage import limiting, months
from billing.usage.quotas import ANNOUNCED_AHEAD, GRACE, GRACE_PERCENT, Due, Measure, QuotaState, can_be_limited
from billing.usage.sources import Sources
from tenants import mail
from tenants.models import Customer, Membership, Role

WORDS = {Measure.PUSHES: "pushes", Measure.DEVICES: "active devices", Measure.SERVERS: "servers"}


def readers(customer: Customer, known: Sources) -> list[str]:
    """The addresses, each once however it is written."""
    owners = Membership.objects.filter(customer=customer, role=Role.OWNER, user__is_active=True).order_by("pk")
    found = [*owners.values_list("user__email", flat=True), *known.contacts(customer)]
    return list({address.casefold(): address for address in reversed(found) if address}.values())[::-1]


def send(customer: Customer, state: QuotaState, due: Due, terms: Terms, to: Sequence[str], now: datetime) -> None:
    """Send the mail that is due to all of them. Raises MailError if it reached nobody."""
    share = next(each.share for each in state.measures if each.share.measure is due.measure)
    month = months.month_of(now)
    context = {
        "customer": customer,
        "step": due.step.value,
        "what": WORDS[due.measure],
        "used": f"{share.used:,}",
        "included": f"{share.included:,}",
        "percent": share.percent,
        "month": months.words(month),
        "next_month": months.words(months.moved(month, 1)),
        "limits": can_be_limited(due.measure, terms),
        "price": money.text(terms.device_price_minor, terms.currency)
        if due.measure is Measure.DEVICES and terms.device_price_minor
        else "",
        "grace_until": now + GRACE,
        "grace_percent": GRACE_PERCENT,
        "limits_at": now + ANNOUNCED_AHEAD,
        "rate": f"{limiting.rate_of(terms):,}",
    }
    failed: mail.MailError | None = None
    reached = 0
    for address in to:
        try:
            mail.send("billing/mail/quota", to=address, context=context)
            reached += 1
        except mail.MailError as error:
            failed = error
    if failed is not None and not reached:
        raise failed
