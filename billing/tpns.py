"""The free test service (TPNS): the one customer that pushes without a key are put down to."""

from typing import Final

from django.db import transaction

from billing import customers
from tenants.audit import recording
from tenants.changes import Changed, notify_processes
from tenants.models import Server

NAME: Final = "Free test service"
SLUG: Final = "test-service"
SERVER: Final = "anybody without a key"


def add() -> Changed[Server]:
    """Make its customer and server; the same again changes nothing. settings.TEST_SERVICE switches it on and off."""
    with transaction.atomic():
        customer = customers.add(name=NAME, offer="tpns", slug=SLUG).row
        server, created = Server.objects.get_or_create(anonymous=True, defaults={"customer": customer, "name": SERVER})
        if created:
            recording.record("server.add", customer=customer, target=SERVER, target_id=server.pk)
            notify_processes(customer.pk)
    return Changed(server, created)
