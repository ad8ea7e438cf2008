"""What needs somebody of the staff today, in sentences: on their first page, and by `manage.py staff today`.

Each sentence has a number, since when it is so, and one address, whose list shows just what was counted. Everybody gets
those that their role includes. In the scope of everything. Raises django.db.Error.
"""

from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Final

from django.db.models import Min

from billing import customers, money
from billing.invoices import converting
from billing.invoices import reading as invoices
from billing.licences import cases
from billing.licences.states import in_state
from billing.models import LicenceProof, SlaCredit, Subscription
from billing.subscriptions.needing import SOON, needing
from billing.usage import months
from delivery.insight import credentials, unknown
from delivery.outcomes.verdict import Outcome
from delivery.rollups.reading import HOUR, counted
from hpns.staff import needs_of_service
from hpns.staff.need import BAD, INFO, RANKS, WARN, Need, address, first, midnight, number_of
from tenants import staff_roles
from tenants.models import Finding

DAY: Final = timedelta(days=1)


def needs(may: Callable[[str], bool], now: datetime) -> list[Need]:
    """What needs somebody who `may` see it, by Django's names of permissions: the worst first."""
    found = [need for permission, look in LOOKS if may(permission) for need in look(now)]
    return sorted(found, key=lambda need: RANKS.index(need.kind))


def _licence_cases(_now: datetime) -> Iterator[Need]:
    rows = cases.unresolved()
    if count := rows.count():
        words = number_of(count, "licence waits for a decision.", "licences wait for a decision.")
        url = address("billing_licencecase_changelist", state="open")
        yield Need("licence_cases", WARN, count, words, first(rows, "first_at"), url)


FINDINGS: Final = {
    Finding.Kind.LEAKED_KEY: (BAD, "server key is used by another installation", "server keys are used by others"),
    Finding.Kind.CLONE: (BAD, "server runs at two sites", "servers run at two sites"),
    Finding.Kind.REPLAYED: (BAD, "server repeats others' signatures", "servers repeat others' signatures"),
    Finding.Kind.CONTESTED: (BAD, "server ID is proven by two customers", "server IDs are proven by two customers"),
    Finding.Kind.RESTORED_BACKUP: (
        WARN,
        "server came back from a backup under another server ID",
        "servers came back from backups under other server IDs",
    ),
    Finding.Kind.CHANGED_KEY: (WARN, "server has another signing key", "servers have other signing keys"),
    Finding.Kind.OTHER_ID: (WARN, "site has another server ID than before", "sites have other server IDs than before"),
}


def _findings(_now: datetime) -> Iterator[Need]:
    for kind, (rank, one, several) in FINDINGS.items():
        rows = Finding.objects.filter(kind=kind, settled_at=None)
        if count := rows.count():
            url = address("tenants_finding_changelist", kind__exact=kind.value, settled_at__isempty=1)
            yield Need(
                f"finding_{kind.value}", rank, count, f"{number_of(count, one, several)}.", first(rows, "first_at"), url
            )


def _drafts(now: datetime) -> Iterator[Need]:
    rows = invoices.ready(now.astimezone(UTC).date())
    if count := rows.count():
        url = address("billing_invoicedraft_changelist", ready="yes", kind__exact="invoice")
        since = midnight(rows.aggregate(first=Min("ready_on"))["first"])
        yield Need("drafts", WARN, count, f"{number_of(count, 'invoice', 'invoices')} to be issued.", since, url)


def _overdue(now: datetime) -> Iterator[Need]:
    found = invoices.overdue(now.astimezone(UTC).date())
    if found:
        sums: dict[str, int] = {}
        for each in found:
            sums[each.invoice.currency] = sums.get(each.invoice.currency, 0) + each.open_minor
        words = number_of(len(found), "invoice is overdue", "invoices are overdue")
        url = address("billing_invoice_changelist", overdue="yes")
        since = midnight(found[0].invoice.due_on)
        yield Need("overdue", BAD, len(found), f"{words}: {_amounts(sums)} open.", since, url)


def _amounts(sums: dict[str, int]) -> str:
    return " and ".join(money.text(amount, currency) for currency, amount in sorted(sums.items()))


SUBSCRIPTIONS: Final = (
    ("stopped", BAD, "subscription is suspended: its pushes fail", "subscriptions are suspended: their pushes fail"),
    (
        "suspending",
        BAD,
        f"subscription will be suspended within {SOON.days} days",
        f"subscriptions will be suspended within {SOON.days} days",
    ),
    ("past_due", WARN, "subscription is past due or restricted", "subscriptions are past due or restricted"),
    ("trial", WARN, f"trial ends within {SOON.days} days", f"trials end within {SOON.days} days"),
)


def _subscriptions(now: datetime) -> Iterator[Need]:
    for need, rank, one, several in SUBSCRIPTIONS:
        rows = needing(Subscription.objects.all(), need, now)
        if count := rows.count():
            url = address("billing_subscription_changelist", needs=need)
            since = None if need == "trial" else first(rows, "last_standing__since")
            yield Need(f"subscription_{need}", rank, count, f"{number_of(count, one, several)}.", since, url)


def _licences(now: datetime) -> Iterator[Need]:
    for state, rank, one, several in (
        ("expired", BAD, "licence has expired and was not renewed", "licences have expired and were not renewed"),
        ("expiring", INFO, "licence ends within 60 days", "licences end within 60 days"),
    ):
        rows = in_state(LicenceProof.objects.all(), state, now)
        if count := rows.count():
            since = first(rows, "expires_at") if state == "expired" else None
            url = address("billing_licenceproof_changelist", state=state)
            yield Need(f"licence_{state}", rank, count, f"{number_of(count, one, several)}.", since, url)


def _unused_credits(_now: datetime) -> Iterator[Need]:
    rows = converting.unused()
    if count := rows.count():
        words = (
            f"{number_of(count, 'SLA credit is', 'SLA credits are')} in another currency than the customer's "
            "invoices, which do not use them. Exchange it at a rate, on an invoice's page, or pay it out."
        )
        url = address("billing_ledgerentry_changelist", unused="yes")
        yield Need("credits_unused", WARN, count, words, first(rows, "at"), url)


def _credits(now: datetime) -> Iterator[Need]:
    month = months.moved(months.month_of(now), -1)
    rows = list(SlaCredit.objects.filter(month=month.first))
    if rows:
        sums: dict[str, int] = {}
        for row in rows:
            sums[row.currency] = sums.get(row.currency, 0) + row.amount_minor
        who = number_of(len({row.customer_id for row in rows}), "customer was", "customers were")
        words = f"{who} credited {_amounts(sums)} for {months.words(month)}, whose promise was not kept."
        url = address("billing_slacredit_changelist", month=months.text(month))
        yield Need("sla_credits", INFO, len(rows), words, min(row.made_at for row in rows), url)


def _erasures(_now: datetime) -> Iterator[Need]:
    asked = customers.erasure_requests()
    if asked:
        who = number_of(len(asked), "customer waits to be erased", "customers wait to be erased")
        url = address("tenants_customer_changelist", erasure="asked")
        yield Need("erasures", WARN, len(asked), f"{who}, as an owner asked.", asked[0].at, url)


def _unknown(now: datetime) -> Iterator[Need]:
    found = unknown.work_list(now)
    if count := sum(found.totals.values()):
        words = f"{number_of(count, 'push', 'pushes')} of the last 7 days got an answer that no table knows."
        since = min((each.first_at for each in found.answers), default=None)
        yield Need("unknown_answers", WARN, count, words, since, address("boards-unknown"))


def _lost(now: datetime) -> Iterator[Need]:
    rows = counted(now - DAY, now, by=("code",), unit=HOUR, service=True, outcome=Outcome.LOST.value)
    if count := sum(row.pushes for row in rows):
        words = (
            f"{number_of(count, 'push', 'pushes')} accepted in the last 24 hours got lost: nothing was left to send."
        )
        yield Need("lost_pushes", BAD, count, words, None, address("delivery_delivery_changelist", outcome="lost"))


def _shared_credentials(now: datetime) -> Iterator[Need]:
    shared = [each for each in credentials.states(now) if each.credential.app.customer_id is None]
    for rank, one, several in (
        (BAD, "shared app's credential is refused or over", "shared apps' credentials are refused or over"),
        (WARN, "shared app's credential ends soon", "shared apps' credentials end soon"),
    ):
        found = [each for each in shared if each.kind == rank]
        if found:
            since = _earliest(each.since for each in found)
            words = f"{number_of(len(found), one, several)}."
            yield Need(f"credentials_{rank}", rank, len(found), words, since, address("boards-providers"))


def _earliest(moments: Iterable[datetime | None]) -> datetime | None:
    return min((at for at in moments if at is not None), default=None)


# Who may see it, and what looks for it.
LOOKS: Final[tuple[tuple[str, Callable[[datetime], Iterator[Need]]], ...]] = (
    ("billing.view_incident", needs_of_service.incidents),
    ("billing.view_canaryminute", needs_of_service.canary),
    ("billing.view_roundfailure", needs_of_service.still_timetable),
    ("billing.view_roundfailure", needs_of_service.failures),
    ("billing.view_slaledger", needs_of_service.ledgers),
    ("tenants.view_finding", _findings),
    ("tenants.view_credential", needs_of_service.refusing_providers),
    ("tenants.view_credential", needs_of_service.paused_credentials),
    ("tenants.view_credential", _shared_credentials),
    ("billing.view_licencecase", _licence_cases),
    ("billing.view_subscription", _subscriptions),
    (staff_roles.MONEY, _overdue),
    ("billing.view_invoicedraft", _drafts),
    ("tenants.view_customer", _erasures),
    (staff_roles.PUSHES, _unknown),
    (staff_roles.PUSHES, _lost),
    ("billing.view_licenceproof", _licences),
    ("billing.view_slacredit", _credits),
    (staff_roles.MONEY, _unused_credits),
)
