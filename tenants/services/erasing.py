"""Erases a customer: deletes its rows and its people's accounts, and leaves of its audit log what has to be kept.

By the owner of the tables alone: nobody else may touch the audit log. What is kept, and why: docs/OPERATIONS.md.
"""

import logging
import re
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Final, NamedTuple

from django.conf import settings
from django.contrib.auth.models import User
from django.db import DEFAULT_DB_ALIAS, connections, models, transaction
from django.db.models import Q
from django.utils import timezone

from tenants.fence import TenantModel
from tenants.models import (
    AuditEvent,
    Credential,
    Customer,
    Finding,
    Invitation,
    Membership,
    Proof,
    PushApp,
    Rejection,
    RemoveHold,
    Server,
    ServerId,
    ServerKey,
    Sighting,
    Site,
)
from tenants.services.second_factors import end_sessions

log = logging.getLogger(__name__)

# In this order, so that nothing points at what is gone.
ROWS: Final[tuple[tuple[type[TenantModel], str], ...]] = (
    (Finding, "server__customer"),
    (Proof, "key__server__customer"),
    (Site, "server__customer"),
    (Rejection, "key__server__customer"),
    (Sighting, "key__server__customer"),
    (ServerKey, "server__customer"),
    (ServerId, "server__customer"),
    (Server, "customer"),
    (RemoveHold, "customer"),
    (Credential, "app__customer"),
    (PushApp, "customer"),
    (Invitation, "customer"),
    (Membership, "customer"),
)
# Evidence of what was agreed on, and when: by the noun of the action, or the whole of it.
AGREEMENT_NOUNS: Final = (
    *("offer", "limit", "entitlement", "subscription", "licence", "erasure"),
    *("invoice", "payment", "sla_credit"),
)
# Of them what is evidence of issued documents: it is kept as long as these are, which is for longer.
DOCUMENT_NOUNS: Final = ("invoice", "payment", "sla_credit")
AGREEMENTS: Final = ("customer.add", "customer.suspend", "customer.resume", "customer.erase")
_EMAIL: Final = re.compile(r"[^\s@<>,;:\"'()\[\]]+@[^\s@<>,;:\"'()\[\]]+")


Documented = Callable[..., Collection[int]]
"""Which customers, by their numbers, there are documents of that the law keeps; takes `using`, a connection."""
_documented: Final[list[Documented]] = []


def wire(documented: Documented) -> None:
    """Say who knows of documents (billing, which this layer cannot import), at the start of a process."""
    _documented[:] = [documented]


class Erased(NamedTuple):
    """How many accounts and events of the audit log went, and how many events stay."""

    accounts: int
    events: int
    kept: int


def customer_erase(*, customer: Customer) -> Erased:
    """Delete a customer and what belongs to it. Raises django.db.ProtectedError for a row of a kind it knows not of."""
    with transaction.atomic():
        departing = list(leavers(customer))
        with _audit_log_open(DEFAULT_DB_ALIAS):
            deleted, kept = _reduce_audit_log(customer, departing)
        for model, lookup in ROWS:
            model.objects.filter(**{lookup: customer}).delete()
        for user in departing:
            end_sessions(user)
            user.delete()
        customer.delete()
    return Erased(len(departing), deleted, kept)


def leavers(customer: Customer) -> "models.QuerySet[User]":
    """The customer's people whose accounts are of no use without it: members of nobody else, and no staff."""
    members = User.objects.filter(memberships__customer=customer, is_staff=False, is_superuser=False)
    elsewhere = Membership.objects.exclude(customer=customer).values("user_id")
    return members.exclude(pk__in=elsewhere).order_by("pk")


def agreements(customer_id: int) -> "models.QuerySet[AuditEvent]":
    """The events that are kept of a customer, the first one first."""
    wanted = Q(action__in=AGREEMENTS)
    for noun in AGREEMENT_NOUNS:
        wanted |= Q(action__startswith=f"{noun}.")
    return AuditEvent.objects.filter(wanted, customer_id=customer_id).order_by("at", "id")


def erased_forget(*, using: str = DEFAULT_DB_ALIAS) -> int:
    """Delete what was kept of customers whose year of erasure ended AGREEMENT_YEARS ago. How many events.

    While documents of one are kept, the events about them stay, and the one of the erasure, by which it is known.
    `using`: a connection of the owner of the tables.
    """
    before = datetime(timezone.now().year - settings.AGREEMENT_YEARS, 1, 1, tzinfo=UTC)
    with transaction.atomic(using=using), _audit_log_open(using):
        events = AuditEvent.objects.using(using)
        erased = events.filter(action="customer.erase", at__lt=before).values_list("customer_id", flat=True)
        # By a list: the events that say which are among those that go.
        gone = set(erased) - set(Customer.objects.using(using).values_list("pk", flat=True))
        documented = gone & {customer for ask in _documented for customer in ask(using=using)}
        kept = Q(action="customer.erase")
        for noun in DOCUMENT_NOUNS:
            kept |= Q(action__startswith=f"{noun}.")
        deleted = events.filter(customer_id__in=gone).exclude(kept, customer_id__in=documented).delete()[0]
    if deleted:
        # What cannot be brought back, done by a timetable: nobody should have to guess where it has gone.
        log.warning(
            "%d audit events are deleted that were kept of customers erased before %s, by their numbers: %s",
            deleted,
            before.date(),
            ", ".join(sorted(map(str, gone))),
        )
    return deleted


def _reduce_audit_log(customer: Customer, departing: list[User]) -> tuple[int, int]:
    """Delete what is no agreement, and the logins of who leaves; take persons out of the rest."""
    kept = list(agreements(customer.pk))
    others = AuditEvent.objects.filter(customer_id=customer.pk).exclude(pk__in=[event.pk for event in kept])
    deleted = others.delete()[0]
    ids = [user.pk for user in departing]
    own = Q(actor_kind=AuditEvent.Kind.MEMBER, actor_id__in=ids)
    about = Q(target_id__in=ids) & (Q(action__startswith="account.") | Q(action__startswith="second_factor."))
    deleted += AuditEvent.objects.filter(own | about, customer_id=None).delete()[0]
    names = _Names()
    for event in kept:
        AuditEvent.objects.filter(pk=event.pk).update(**_without_persons(event, names))
    return deleted, len(kept)


class _Names:
    """Stands for each person by a number, the same one in all events."""

    def __init__(self) -> None:
        self._known: dict[str, int] = {}

    def of(self, address: str) -> str:
        return f"erased person {self._known.setdefault(address.lower(), len(self._known) + 1)}"

    def instead(self, text: str) -> str:
        return _EMAIL.sub(lambda found: self.of(found[0]), text)


def _without_persons(event: AuditEvent, names: _Names) -> dict[str, object]:
    """What changes in an event. The operator's own people stay in it: they answer for what they did."""
    target = names.instead(event.target)
    changes: dict[str, object] = {
        "address": None,
        "target": target,
        "details": {
            name: names.instead(value) if isinstance(value, str) else value for name, value in event.details.items()
        },
    }
    if event.actor_kind == AuditEvent.Kind.MEMBER:
        changes |= {"actor": names.of(event.actor), "actor_id": None}
    if target != event.target:
        changes["target_id"] = None
    return changes


@contextmanager
def _audit_log_open(using: str) -> Iterator[None]:
    """Inside, the owner of the tables may change the audit log; see migration 0003."""
    with connections[using].cursor() as cursor:
        cursor.execute("SELECT set_config('hpns.erasure', 'on', true)")
        yield
        cursor.execute("SELECT set_config('hpns.erasure', '', true)")
