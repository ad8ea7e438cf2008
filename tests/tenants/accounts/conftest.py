"""The cast: Ada owns Acme, Ivan administers it, Ben views it; Cleo owns Cosmos and is a stranger to Acme."""

from typing import NamedTuple

import pytest
import redis
from django.contrib.auth.models import User
from django.core import mail
from pytest_django import Settings

from billing import customers
from tenants.models import AuditEvent, Customer, Membership
from tests.people import person


class Cast(NamedTuple):
    """Who there is."""

    acme: Customer
    cosmos: Customer
    ada: User
    ivan: User
    ben: User
    cleo: User

    def member(self, user: User) -> Membership:
        """Somebody's place in Acme."""
        return Membership.objects.get(customer=self.acme, user=user)

    def role(self, user: User) -> str | None:
        """Somebody's role in Acme, None for a stranger."""
        found = Membership.objects.filter(customer=self.acme, user=user).first()
        return found.role if found else None


def join(user: User, customer: Customer, role: str) -> User:
    """Make somebody a member, without an invitation."""
    Membership.objects.create(user=user, customer=customer, role=role)
    return user


@pytest.fixture(autouse=True)
def surroundings(valkey: redis.Redis, settings: Settings) -> None:
    """An empty cache, and an address for links."""
    settings.PUBLIC_URL = "https://push.example.com"


@pytest.fixture
def cast(db: None) -> Cast:
    """See above."""
    acme = customers.add(name="Acme", offer="hpns").row
    cosmos = customers.add(name="Cosmos", offer="eas").row
    made = Cast(
        acme,
        cosmos,
        join(person("ada"), acme, "owner"),
        join(person("ivan"), acme, "admin"),
        join(person("ben"), acme, "viewer"),
        join(person("cleo"), cosmos, "owner"),
    )
    mail.outbox.clear()
    return made


def events(action: str) -> list[AuditEvent]:
    """What the audit log says of an act, the first one first."""
    return list(AuditEvent.objects.filter(action=action).order_by("pk"))
