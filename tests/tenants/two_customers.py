"""Two customers with a row of each kind, and ways to ask the database for them without any manager."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import pytest
from django.contrib.auth.models import User
from django.db import ProgrammingError, connection, transaction
from django.utils import timezone

from delivery.rollups.increments import Cell, Increments
from tenants import scope
from tenants.audit import recording
from tenants.models import (
    Credential,
    Customer,
    Finding,
    Invitation,
    Membership,
    Proof,
    PushApp,
    Rejection,
    RemoveHold,
    Role,
    ServerId,
    Sighting,
    Site,
)
from tests.billing.furnishing import furnish_billing
from tests.browsing import Tenant, member, tenant
from tests.log_as_text import LOG_COLUMNS
from tests.roles import PAGES, acting_as

NOW = "2026-01-02T03:04:05Z"
# Tables of one customer's rows, each with how many of them Acme has below.
TABLES = {
    "tenants_customer": 1,
    "tenants_entitlement": 1,
    "tenants_membership": 2,
    "tenants_invitation": 1,
    "tenants_server": 1,
    "tenants_serverid": 1,
    "tenants_serverkey": 1,
    "tenants_sighting": 1,
    "tenants_rejection": 1,
    "tenants_site": 1,
    "tenants_proof": 1,
    "tenants_finding": 1,
    "tenants_credential": 1,
    "tenants_removehold": 1,
    "tenants_auditevent": 1,
    "billing_licenceproof": 1,
    "billing_licencecase": 1,
    "delivery_delivery": 1,
    "delivery_receipt": 1,
    "delivery_minute_now": 2,
    "delivery_hour_now": 2,
    "delivery_day_now": 2,
    "delivery_device": 1,
    "delivery_active_device": 1,
    "delivery_device_count": 1,
    "delivery_platform_sighting": 1,
    "billing_slaledger": 1,
    "billing_slaminute": 1,
    "billing_sladay": 1,
    "billing_slafile": 1,
    "billing_slacorrection": 1,
    "billing_slarenewal": 1,
    "billing_slabreakmail": 1,
    "billing_slamonth": 1,
    "billing_slacredit": 1,
    "billing_subscription": 1,
    "billing_override": 1,
    "billing_planchange": 1,
    "billing_laststanding": 1,
    "billing_subscriptionmail": 1,
    "billing_usagemonth": 1,
    "billing_usagecorrection": 1,
    "billing_usagerunning": 1,
    "billing_usagenotice": 1,
    "billing_usagelimit": 1,
    "billing_billingprofile": 1,
    "billing_invoicedraft": 1,
    "billing_invoice": 1,
    "billing_invoicefile": 1,
    "billing_ledgerentry": 1,
    "billing_invoicemail": 1,
}
_ACTIVE = (
    "INSERT INTO delivery_active_device (customer_id, server_id, month, device, days) "
    "VALUES (%s, %s, '2026-01-01', 'd', 1)"
)
_COUNTED = (
    "INSERT INTO delivery_device_count (customer_id, server_id, month, devices, by_day) "
    "VALUES (%s, %s, '2026-01-01', 1, '{1}')"
)
DIGEST = {"Acme": b"a" * 32, "Cosmos": b"c" * 32}


class Cast(NamedTuple):
    """Two customers with a row of each kind, an app that both may use, and Acme's people."""

    acme: Tenant
    cosmos: Tenant
    ada: User
    shared: PushApp


def furnish(one: Tenant) -> User:
    """A row of each kind that there is; its owner."""
    name, customer = one.customer.name, one.customer
    owner = member(f"owner-{one.customer.slug}", customer, Role.OWNER)
    member(f"viewer-{one.customer.slug}", customer, Role.VIEWER)
    Invitation.objects.create(
        customer=customer, email="e@x.example", role="viewer", digest=DIGEST[name], expires_at="2099-01-01T00:00Z"
    )
    ServerId.objects.create(server=one.server, mattermost_id=name)
    Sighting.objects.create(key=one.key, mattermost_id=name, first_at=NOW, last_at=NOW)
    Rejection.objects.create(key=one.key, code="wrong_network", count=1, first_at=NOW, last_at=NOW, encrypted=True)
    Site.objects.create(server=one.server, how="fetched", address=f"{name}.example", mattermost_id=name)
    Proof.objects.create(key=one.key, mattermost_id=name, last="unsigned", last_at=NOW)
    Finding.objects.create(server=one.server, kind="clone", mattermost_id=name, first_at=NOW, last_at=NOW)
    app = PushApp.objects.create(customer=customer, label="apple_own", topic="x", family="apns", host="sandbox")
    credential = Credential.objects.create(app=app, kind="apns_key", sealed="v1:x", key_id=name)
    RemoveHold.objects.create(customer=customer, app=app, credential=credential, devices=5, tokens=9, code="x")
    recording.record("server.add", customer=customer, target=name)
    with connection.cursor() as cursor:
        cursor.execute(
            f"INSERT INTO delivery_delivery ({LOG_COLUMNS}) VALUES (%s, now(), now(), %s, %s, %s, %s"  # noqa: S608
            ", 'p', 't', '', 'a', 'm', 'd', 1, 'sent', 'ok', 'OK', 'ours', true, '[]', NULL, 1)",
            [f"trace-{name}", customer.pk, one.server.pk, one.key.pk, app.pk],
        )
        cursor.execute(
            "INSERT INTO delivery_receipt (id, received_at, customer_id, server_id, ack_id, type, platform, trace, "
            "push_at) VALUES (%s, now(), %s, %s, 'a', 'message', 'ios', %s, now())",
            [f"receipt-{name}", customer.pk, one.server.pk, f"trace-{name}"],
        )
        counted = Increments()
        at = timezone.now().replace(second=0, microsecond=0)
        cell = Cell(at, customer.pk, one.server.pk, app.pk, "apns", "message", "sent", "ok", "ours", counts=True)
        counted.push(cell, 1, 30)
        counted.write(cursor)
        cursor.execute(
            "INSERT INTO delivery_device (customer_id, device, server_id, app_id, family, first_at, last_at) "
            "VALUES (%s, %s, %s, %s, 'apns', now(), now())",
            [customer.pk, name, one.server.pk, app.pk],
        )
        values = [customer.pk, one.server.pk]
        cursor.execute(
            "INSERT INTO delivery_platform_sighting (customer_id, server_id, platform, first_at) "
            "VALUES (%s, %s, 'apple_rn-v2', now())",
            values,
        )
        cursor.execute(_ACTIVE, values)
        cursor.execute(_COUNTED, values)
    furnish_billing(one)
    return owner


def two_customers() -> Cast:
    """Make it all."""
    shared = PushApp.objects.create(label="apple_shared", topic="x", family="apns", host="sandbox")
    Credential.objects.create(app=shared, kind="apns_key", sealed="v1:x", key_id="shared")
    recording.record("settings.change", customer=None)
    acme, cosmos = tenant("Acme"), tenant("Cosmos")
    ada = furnish(acme)
    furnish(cosmos)
    return Cast(acme, cosmos, ada, shared)


def sql(statement: str, *values: Any) -> list[Any]:
    """Ask the database without any manager."""
    with connection.cursor() as cursor:
        cursor.execute(statement, values)
        return cursor.fetchall() if cursor.description else [cursor.rowcount]


def count(table: str) -> int:
    """How many rows of a table are seen."""
    return int(sql(f"SELECT count(*) FROM {table}")[0][0])  # noqa: S608


@contextmanager
def refused() -> Iterator[None]:
    """What is done inside is refused by the database."""
    with (
        pytest.raises(ProgrammingError, match=r"row-level security|permission denied|only added|one by one"),
        transaction.atomic(),
    ):
        yield


@contextmanager
def page_of(one: Tenant | Customer) -> Iterator[None]:
    """Inside is a page of this customer: the pages' role, in the customer's scope, asked for by one of its owners."""
    customer = one if isinstance(one, Customer) else one.customer
    owner = Membership.objects.filter(customer=customer, role=Role.OWNER).select_related("user").first()
    user = owner.user if owner is not None else person_of(customer)
    with acting_as(PAGES), scope.customer(customer), recording.acting(recording.Actor("member", "x", user.pk)):
        yield


@contextmanager
def staff_page() -> Iterator[None]:
    """Inside is a page of the admin: the pages' role, in the staff's scope, asked for by one of them."""
    user, _ = User.objects.get_or_create(username="staff-of-pages", defaults={"is_staff": True})
    with acting_as(PAGES), scope.staff(), recording.acting(recording.Actor("staff", "x", user.pk)):
        yield


def person_of(customer: Customer) -> User:
    """Make an owner."""
    user = User.objects.create_user(f"owner-of-{customer.slug}", f"owner@{customer.slug}.example")
    Membership.objects.create(customer=customer, user=user, role=Role.OWNER)
    return user
