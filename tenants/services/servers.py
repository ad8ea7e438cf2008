"""Changes to servers, their server_ids and their keys."""

import re
from collections.abc import Sequence
from datetime import datetime
from typing import Final, NamedTuple

from django.conf import settings
from django.db import IntegrityError, transaction
from django.utils import timezone

from tenants import keys, network
from tenants.audit import recording
from tenants.changes import Changed, normalised_name, notify_processes
from tenants.models import Customer, Server, ServerId, ServerKey
from tenants.problem import ProblemError
from tenants.services.growth import SERVER_IDS_MAX, check_may_grow

NETWORKS_MAX: Final = 50
_SERVER_ID: Final = re.compile(r"[A-Za-z0-9_-]{1,64}")


class NewKey(NamedTuple):
    """A key's row, and its text: the only time that it is known."""

    row: ServerKey
    text: str


def server_add(*, customer: Customer, name: str) -> Changed[Server]:
    """Add one Mattermost installation of a customer."""
    name = normalised_name(name, "server")
    with transaction.atomic():
        if not Server.objects.filter(customer=customer, name=name, removed_at=None).exists():
            check_may_grow(customer.pk, "servers")
        row, created = Server.objects.get_or_create(customer=customer, name=name, removed_at=None)
        if created:
            recording.record("server.add", customer=customer, target=name, target_id=row.pk)
    return Changed(row, created)


def server_rename(*, server: Server, name: str) -> Changed[Server]:
    """Give a server another name."""
    name = normalised_name(name, "server")
    before = server.name
    if before == name:
        return Changed(server, changed=False)
    try:
        with transaction.atomic():
            server.name = name
            server.save(update_fields=["name"])
            recording.record(
                "server.rename", customer=server.customer_id, target=name, target_id=server.pk, before=before
            )
    except IntegrityError as error:
        server.name = before
        raise ProblemError(f"there is a server with the name {name} already") from error
    return Changed(server, changed=True)


def server_networks(*, server: Server, networks: Sequence[str]) -> Changed[Server]:
    """Take the server's keys from these networks alone ("192.0.2.0/24", "2001:db8::1"); none: from anywhere."""
    try:
        wanted = [str(each) for each in dict.fromkeys(network.networks(filter(None, map(str.strip, networks))))]
    except ValueError as error:
        raise ProblemError(str(error)) from error
    if len(wanted) > NETWORKS_MAX:
        raise ProblemError(f"a server can have {NETWORKS_MAX} networks at most")
    if any(each.endswith("/0") for each in wanted):
        raise ProblemError("a network that ends in /0 is everywhere: leave the list empty for that")
    with transaction.atomic():
        there = Server.objects.select_for_update().get(pk=server.pk)
        before, changed = there.networks, there.networks != wanted
        if changed:
            there.networks = wanted
            there.save(update_fields=["networks"])
            recording.record(
                "server.networks",
                customer=there.customer_id,
                target=there.name,
                target_id=there.pk,
                before=", ".join(before) or "anywhere",
                after=", ".join(wanted) or "anywhere",
            )
            notify_processes(there.customer_id)
    return Changed(there, changed)


def server_id_add(*, server: Server, mattermost_id: str, confirmed: bool = False) -> Changed[ServerId]:
    """Register a server_id (System Console, About: "Server ID") as this server's.

    `confirmed`: staff say that it is; else it waits for server_id_confirm, and speaks for nobody. Whoever registers one
    that waits learns nothing of other customers: a server_id is no secret, but who is a customer may be.
    """
    if not _SERVER_ID.fullmatch(mattermost_id):
        raise ProblemError(
            "a server_id has 26 letters and digits: copy it from a push, or from Mattermost's About page"
        )
    with transaction.atomic():
        known = ServerId.objects.filter(mattermost_id=mattermost_id, confirmed_at__isnull=False)
        if not confirmed and known.filter(server__customer=server.customer_id).exclude(server=server).exists():
            raise ProblemError(_TAKEN)
        there = ServerId.objects.filter(server=server).values_list("mattermost_id", flat=True)
        if mattermost_id not in there and len(there) >= SERVER_IDS_MAX:
            raise ProblemError(f"a server can have {SERVER_IDS_MAX} server_ids at most: remove one of them first")
        row, created = ServerId.objects.get_or_create(server=server, mattermost_id=mattermost_id)
        if created:
            recording.record("server_id.add", customer=server.customer_id, target=mattermost_id, server=server.name)
        if confirmed:
            row, confirmed_now = server_id_confirm(server_id=row)
            created = created or confirmed_now
    return Changed(row, created)


_TAKEN: Final = "this server_id is registered already, with another server: ask whoever operates this push service"


def server_id_confirm(*, server_id: ServerId) -> Changed[ServerId]:
    """Take a server_id for its server's from now on. For staff alone: what is wrong names the other server."""
    try:
        with transaction.atomic():
            # A member may be about to forget it.
            row = ServerId.objects.select_for_update().filter(pk=server_id.pk).first()
            if row is None:
                raise ProblemError(f"the server_id {server_id.mattermost_id} was forgotten in the meantime")
            if row.confirmed_at is not None:
                return Changed(row, changed=False)
            row.confirmed_at = timezone.now()
            row.save(update_fields=["confirmed_at"])
            recording.record(
                "server_id.confirm",
                customer=row.server.customer_id,
                target=row.mattermost_id,
                server=row.server.name,
            )
            notify_processes(row.server.customer_id)
    except IntegrityError as error:
        known = ServerId.objects.filter(mattermost_id=server_id.mattermost_id, confirmed_at__isnull=False)
        other = known.select_related("server__customer").first()
        raise ProblemError(_TAKEN if other is None else _confirmed_for(other)) from error
    return Changed(row, changed=True)


def _confirmed_for(other: ServerId) -> str:
    server = other.server
    return (
        f"the server_id {other.mattermost_id} is confirmed for {server.name} of {server.customer.slug} already: "
        "find out whose it is, and if need be take it from that one first (`server id-remove`)"
    )


def server_id_remove(*, server_id: ServerId) -> None:
    """Forget a server_id; pushes that come by it alone are refused from now on."""
    with transaction.atomic():
        recording.record(
            "server_id.remove",
            customer=server_id.server.customer_id,
            target=server_id.mattermost_id,
            server=server_id.server.name,
        )
        server_id.delete()
        notify_processes(server_id.server.customer_id)


def key_add(*, server: Server, name: str = "", expires_at: datetime | None = None, purpose: str = "") -> NewKey:
    """Make another key for a server. Its text is returned, and kept nowhere. `purpose`: see keys.derived_key()."""
    if expires_at is not None and expires_at <= timezone.now():
        raise ProblemError("the key would be expired from the beginning")
    name = normalised_name(name, "key") if name.strip() else ""
    made = keys.derived_key(settings.HASH_KEY, purpose) if purpose else keys.new_key(settings.HASH_KEY)
    text, prefix, digest = made
    with transaction.atomic():
        check_may_grow(server.customer_id, "keys")
        row = ServerKey.objects.create(server=server, prefix=prefix, digest=digest, name=name, expires_at=expires_at)
        recording.record(
            "key.add", customer=server.customer_id, target=row, target_id=row.pk, server=server.name, expires=expires_at
        )
        notify_processes(server.customer_id, key=row.pk)
    return NewKey(row, text)


def key_revoke(*, key: ServerKey) -> Changed[ServerKey]:
    """Revoke a key for good. `changed` says whether that is news."""
    with transaction.atomic():
        changed = ServerKey.objects.filter(pk=key.pk, revoked_at=None).update(revoked_at=timezone.now())
        if changed:
            recording.record(
                "key.revoke",
                customer=key.server.customer_id,
                target=key,
                target_id=key.pk,
                name=key.name,
                server=key.server.name,
            )
        notify_processes(key.server.customer_id, key=key.pk)
    key.refresh_from_db()
    return Changed(key, changed == 1)
