"""Changing which mobile app a label stands for, and removing apps. The rows stay: pushes of the past name them."""

from django.db import IntegrityError, transaction
from django.utils import timezone

from tenants.audit import recording
from tenants.changes import Changed, collision, notify_processes
from tenants.models import Credential, PushApp
from tenants.problem import ProblemError
from tenants.providers import table
from tenants.services.apps import check_topic
from tenants.services.credentials import slots


def app_change(*, app: PushApp, topic: str, host: str = "") -> Changed[PushApp]:
    """Give an app another bundle id or package name, or another of its provider's hosts (none: the host stays).

    Its keys stay, unchecked; a certificate is for one bundle id, so that an app with one raises ProblemError.
    """
    provider = table.PROVIDERS[app.family]
    check_topic(topic, provider)
    if host and host not in provider.hosts:
        raise ProblemError(f"the host must be {' or '.join(provider.hosts) or 'left out'}", field="host")
    with transaction.atomic():
        held = slots(app.pk)
        there = PushApp.objects.get(pk=app.pk)
        wanted = {"topic": topic, "host": host or there.host}
        before = {name: getattr(there, name) for name in wanted}
        if before == wanted:
            return Changed(there, changed=False)
        bound = [row.key_id for row in held.values() if row.kind in provider.bound_kinds]
        if bound:
            raise ProblemError(
                f"the certificate {' and '.join(bound)} is for {there.topic} alone: delete it first, then change this",
                field="topic",
            )
        there.topic, there.host = wanted["topic"], wanted["host"]
        there.save(update_fields=["topic", "host"])
        # What the provider said was about the app as it was.
        Credential.objects.filter(app=there).update(
            checked_at=None, check_code="", refused_at=None, refused_code="", signs_since=timezone.now()
        )
        recording.record(
            "app.change",
            customer=there.customer_id,
            target=there,
            target_id=there.pk,
            before=", ".join(filter(None, before.values())),
            after=", ".join(filter(None, wanted.values())),
        )
        notify_processes(there.customer_id)
    return Changed(there, changed=True)


def app_remove(*, app: PushApp) -> Changed[PushApp]:
    """Take an app off its customer's pages for good; its credentials are deleted, secret and all."""
    try:
        with transaction.atomic():
            held = slots(app.pk)
            there = PushApp.objects.get(pk=app.pk)
            if there.removed_at is not None:
                return Changed(there, changed=False)
            for row in held.values():
                recording.record(
                    "credential.remove",
                    customer=there.customer_id,
                    target=row,
                    target_id=row.pk,
                    kind=row.kind,
                    slot=row.slot,
                )
            Credential.objects.filter(app=there).delete()
            there.enabled, there.is_default, there.removed_at = False, False, timezone.now()
            there.save(update_fields=["enabled", "is_default", "removed_at"])
            recording.record(
                "app.remove", customer=there.customer_id, target=there, target_id=there.pk, topic=there.topic
            )
            notify_processes(there.customer_id)
    except IntegrityError as error:
        raise collision(error) from error
    return Changed(there, changed=True)
