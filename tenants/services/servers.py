"""Changes to servers and their keys."""

from datetime import datetime
from typing import NamedTuple

from django.conf import settings
from django.db import transaction
from django.utils import timezone

from tenants import audit, keys
from tenants.changes import Changed, named, tell
from tenants.models import Customer, Server, ServerKey
from tenants.problem import ProblemError


class NewKey(NamedTuple):
    """A key's row, and its text: the only time that it is known."""

    row: ServerKey
    text: str


def server_add(*, customer: Customer, name: str) -> Changed[Server]:
    """Add one Mattermost installation of a customer."""
    name = named(name, "server")
    with transaction.atomic():
        row, created = Server.objects.get_or_create(customer=customer, name=name)
        if created:
            audit.record("server.add", customer=customer, target=name, target_id=row.pk)
    return Changed(row, created)


def key_add(*, server: Server, name: str = "", expires_at: datetime | None = None) -> NewKey:
    """Make another key for a server. Its text is returned, and kept nowhere."""
    if expires_at is not None and expires_at <= timezone.now():
        raise ProblemError("the key would be expired from the beginning")
    name = named(name, "key") if name.strip() else ""
    text, prefix, digest = keys.new_key(settings.HASH_KEY)
    with transaction.atomic():
        row = ServerKey.objects.create(server=server, prefix=prefix, digest=digest, name=name, expires_at=expires_at)
        audit.record(
            "key.add", customer=server.customer_id, target=row, target_id=row.pk, server=server.name, expires=expires_at
        )
        tell()
    return NewKey(row, text)


def key_revoke(*, key: ServerKey) -> Changed[ServerKey]:
    """Revoke a key for good. `changed` says whether that is news."""
    with transaction.atomic():
        changed = ServerKey.objects.filter(pk=key.pk, revoked_at=None).update(revoked_at=timezone.now())
        if changed:
            audit.record(
                "key.revoke",
                customer=key.server.customer_id,
                target=key,
                target_id=key.pk,
                name=key.name,
                server=key.server.name,
            )
        tell()
    key.refresh_from_db()
    return Changed(key, changed == 1)
