"""A day on which everything needs somebody: rows as the parts of the service would have left them."""

import uuid
from datetime import datetime, timedelta
from typing import Final, NamedTuple

from billing import customers
from billing.models import (
    CanaryMinute,
    Incident,
    Invoice,
    InvoiceDraft,
    LastStanding,
    LicenceCase,
    LicenceProof,
    Plan,
    PlanVersion,
    RoundFailure,
    SlaCredit,
    SlaLedger,
    SlaRoot,
    Subscription,
)
from billing.usage import months
from tenants.models import Credential, Customer, Finding, PushApp, ServerId
from tests.browsing import Tenant

DAY: Final = timedelta(days=1)
LICENCE: Final = "licence".ljust(26, "x")
SERVER_ID: Final = "server".ljust(26, "y")
NUMBER: Final = "INV-2026-00001"


class Terms(NamedTuple):
    """What licences and cases have in common."""

    issuer: str = "mattermost"
    licence_id: str = LICENCE
    company: str = "Acme Holding"
    sku: str = "enterprise"
    users: int = 100


def busy(acme: Tenant, now: datetime) -> None:
    """Furnish it."""
    _licences(acme, now)
    _subscriptions(acme.customer, now)
    _money(acme.customer, now)
    for kind in Finding.Kind:
        first = now - 3 * DAY
        Finding.objects.create(
            server=acme.server, key=acme.key, kind=kind, mattermost_id=SERVER_ID, first_at=first, last_at=now
        )
    ServerId.objects.create(server=acme.server, mattermost_id=SERVER_ID)
    app = PushApp.objects.create(label="apple_rn", topic="com.acme", family="apns", host="production")
    Credential.objects.create(
        app=app, slot="current", kind="apns_key", key_id="ABC123DEFG", sealed="v1:x", refused_at=now
    )
    Incident.objects.create(title="Slow", components=["apns"], impact="slow", started_at=now - DAY, published_at=now)
    customer = customers.add(name="Canary", offer="hpns").row
    Customer.objects.filter(pk=customer.pk).update(canary=True)
    at = (now - timedelta(minutes=9)).replace(second=0, microsecond=0)
    CanaryMinute.objects.create(at=at, family="apns", good=True, ms=1)
    RoundFailure.objects.create(
        customer_id=acme.customer.pk, round="sla_months", why="x", first_at=now - DAY, last_at=now
    )
    yesterday = (now - DAY).date()
    SlaLedger.objects.create(customer=acme.customer, public_id=uuid.uuid4(), begins=yesterday)
    SlaRoot.objects.create(day=yesterday, size=0, root="ab" * 32, key="k", signature="s", sealed_at=now)
    customers.request_erasure(customer=customers.add(name="Leaving", offer="hpns").row)


def _licences(acme: Tenant, now: datetime) -> None:
    terms = {**Terms()._asdict(), "customer": acme.customer, "digest": "ab" * 32, "starts_at": now - 300 * DAY}
    LicenceProof.objects.create(**terms, expires_at=now + 20 * DAY)
    other = customers.add(name="Other", offer="hpns").row
    LicenceProof.objects.create(**{**terms, "customer": other, "licence_id": "o" * 26}, expires_at=now - DAY)
    case = {**terms, "customer": other, "kind": "double_use", "expires_at": now + DAY}
    LicenceCase.objects.create(**case, first_at=now - 2 * DAY, last_at=now)


def _subscriptions(customer: Customer, now: datetime) -> None:
    plan, _ = Plan.objects.get_or_create(code="two", defaults={"name": "Two", "basis": "paid", "offer": customer.offer})
    version, _ = PlanVersion.objects.get_or_create(plan=plan, version=1)
    for state, ahead in (("trial", 5), ("past_due", 40), ("restricted", 6), ("suspended", 30)):
        row = Subscription.objects.create(
            customer=customer,
            version=version,
            basis="trial" if state == "trial" else "paid",
            starts_at=now - 60 * DAY,
            anchor_at=now - 60 * DAY,
            trial_ends_at=now + 5 * DAY,
            offer_pending=False,
        )
        LastStanding.objects.create(
            subscription=row,
            state=state,
            serves=state != "suspended",
            may_grow=False,
            since=now - 10 * DAY,
            next_change_at=now + ahead * DAY,
            sentence=f"It is {state}.",
            evaluated_at=now,
        )


def _money(customer: Customer, now: datetime) -> None:
    due = (now - 4 * DAY).date()
    Invoice.objects.create(
        number=NUMBER,
        series="INV",
        sequence=1,
        year=2026,
        kind="invoice",
        customer_id=customer.pk,
        customer_name="Acme Holding",
        issued_at=now - 34 * DAY,
        due_on=due,
        currency="EUR",
        net_minor=10_000,
        tax_minor=1_900,
        gross_minor=11_900,
        document={},
    )
    InvoiceDraft.objects.create(
        customer=customer, kind="invoice", currency="EUR", ready_on=due, computed_at=now, lines=[]
    )
    month = months.moved(months.month_of(now), -1)
    SlaCredit.objects.create(
        customer=customer,
        month=month.first,
        percent=10,
        price_minor=49_900,
        amount_minor=4_990,
        currency="EUR",
        root="ab" * 32,
        made_at=now,
    )
