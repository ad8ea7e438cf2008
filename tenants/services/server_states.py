"""Switching servers off and on, and removing them. The rows stay: pushes and statements of the past name them."""

from django.db import transaction
from django.utils import timezone

from tenants.audit import recording
from tenants.changes import Changed, notify_processes
from tenants.models import Server, ServerId, ServerKey
from tenants.problem import ProblemError
from tenants.proofs import sites
from tenants.services.servers import key_revoke, server_id_remove


def server_enable(*, server: Server, enabled: bool) -> Changed[Server]:
    """Take pushes of a server, or refuse every one with its keys; keys, server_ids and site stay as they are."""
    with transaction.atomic():
        there = Server.objects.select_for_update().get(pk=server.pk)
        if there.removed_at is not None:
            raise ProblemError(f"{there.name} was removed in the meantime")
        if (there.disabled_at is None) == enabled:
            return Changed(there, changed=False)
        there.disabled_at = None if enabled else timezone.now()
        there.save(update_fields=["disabled_at"])
        recording.record(
            "server.enable" if enabled else "server.disable",
            customer=there.customer_id,
            target=there.name,
            target_id=there.pk,
        )
        notify_processes(there.customer_id)
    return Changed(there, changed=True)


def server_remove(*, server: Server) -> Changed[Server]:
    """Take a server off its customer's pages for good: its keys are revoked, its server_ids forgotten, its site is
    fetched no more. Its name is free again; its pushes stay in the log as long as all others."""
    with transaction.atomic():
        there = Server.objects.select_for_update().get(pk=server.pk)
        if there.removed_at is not None:
            return Changed(there, changed=False)
        keys = ServerKey.objects.filter(server=there, revoked_at=None).select_related("server")
        revoked = sum(key_revoke(key=key).changed for key in keys)
        for each in ServerId.objects.filter(server=there).select_related("server"):
            server_id_remove(server_id=each)
        sites.forget(server=there)
        there.removed_at = timezone.now()
        there.disabled_at = there.disabled_at or there.removed_at
        there.save(update_fields=["disabled_at", "removed_at"])
        recording.record(
            "server.remove", customer=there.customer_id, target=there.name, target_id=there.pk, keys_revoked=revoked
        )
        notify_processes(there.customer_id)
    return Changed(there, changed=True)
