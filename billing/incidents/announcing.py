"""What staff announce: maintenance and incidents, published and mailed once. The only writer of both.

A row is a draft until it is published; whoever publishes has seen what is mailed and shown (billing/admin). Invariant:
publishing, the mails that it causes and its entry in the audit log are one transaction; the times of a window are never
changed after that.
"""

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Final

from django.db import transaction

from billing.models import Incident, IncidentUpdate, MaintenanceWindow, Notice, Subscriber
from tenants.audit import recording
from tenants.credentials.mails import readers
from tenants.models import Customer
from tenants.problem import ProblemError

# Maintenance that is announced so long ahead is left out of the SLA.
AHEAD: Final = timedelta(hours=72)


def publish_window(*, window: MaintenanceWindow, now: datetime) -> MaintenanceWindow:
    """Announce maintenance to all customers and subscribers. Raises ProblemError."""
    with transaction.atomic():
        row = MaintenanceWindow.objects.select_for_update().get(pk=window.pk)
        if row.published_at is not None:
            raise ProblemError("it is announced already")
        if row.ends_at <= now:
            raise ProblemError("it is over already: maintenance is announced before it begins")
        row.published_at = now
        row.save(update_fields=("published_at",))
        _notify(Notice.Kind.WINDOW, row.pk, now, customers=True)
        recording.record("maintenance.announce", customer=None, target=row.title, target_id=row.pk,
                         starts=row.starts_at.isoformat(), ends=row.ends_at.isoformat())  # fmt: skip
    return row


def cancel_window(*, window: MaintenanceWindow, now: datetime) -> MaintenanceWindow:
    """Take an announcement back, or end what goes on; who was told is told. Raises ProblemError."""
    with transaction.atomic():
        row = MaintenanceWindow.objects.select_for_update().get(pk=window.pk)
        if row.published_at is None:
            raise ProblemError("it is a draft that nobody was told of: delete it")
        if row.cancelled_at is not None or row.ends_at <= now:
            raise ProblemError("it is over already")
        row.cancelled_at = now
        row.save(update_fields=("cancelled_at",))
        Notice.objects.filter(kind=Notice.Kind.WINDOW, subject_id=row.pk).delete()
        _notify(Notice.Kind.CANCELLED, row.pk, now, customers=True)
        recording.record("maintenance.cancel", customer=None, target=row.title, target_id=row.pk)
    return row


def publish_incident(*, incident: Incident, now: datetime) -> Incident:
    """Publish an incident with all updates that are drafts, and mail it to subscribers. Raises ProblemError."""
    with transaction.atomic():
        row = Incident.objects.select_for_update().get(pk=incident.pk)
        drafts = IncidentUpdate.objects.filter(incident=row, published_at=None)
        if not drafts.update(published_at=now):
            raise ProblemError("there is nothing new to publish: write an update first")
        if row.published_at is None:
            row.published_at = now
            row.save(update_fields=("published_at",))
        _notify(Notice.Kind.INCIDENT, row.pk, now, customers=False)
        recording.record("incident.publish", customer=None, target=row.title, target_id=row.pk,
                         impact=row.impact, resolved=row.resolved_at is not None)  # fmt: skip
    return row


def recipients(*, customers: bool) -> dict[str, bool]:
    """Who would be mailed now: addresses, and whether each has subscribed."""
    found = dict.fromkeys(_customers(), False) if customers else {}
    return {**found, **dict.fromkeys(Subscriber.objects.values_list("email", flat=True), True)}


def _customers() -> Iterable[str]:
    for row in Customer.objects.filter(status=Customer.Status.ACTIVE, canary=False):
        yield from (address.lower() for address in readers(row))


def _notify(kind: Notice.Kind, subject: int, now: datetime, *, customers: bool) -> None:
    Notice.objects.bulk_create(
        Notice(email=email, kind=kind, subject_id=subject, subscriber=subscriber, created_at=now, due_at=now)
        for email, subscriber in recipients(customers=customers).items()
    )
