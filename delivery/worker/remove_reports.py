"""Fuses of REMOVE that have tripped: from the processes that send, by way of Valkey, to the database and the people.

What a process finds out it uses at once (delivery/devices/remove_fuse.py). `record` takes what was reported; `recheck`
ends the holds whose fuse would not trip any more. Invariant: whoever comes first writes it down, all others find it.
"""

import logging
from datetime import timedelta
from typing import Final

import redis
from django.db import connections
from django.utils import timezone

from delivery.devices import remove_counts
from delivery.devices.remove_fuse import TRIPPED, Tripped
from delivery.outcomes.removal import WINDOW
from delivery.queue import handover
from tenants import services
from tenants.credentials import mails
from tenants.models import RemoveHold
from tenants.problem import ProblemError

logger = logging.getLogger(__name__)

# How long a hold stays at least: so that all that led to it has left the window.
HELD: Final = timedelta(seconds=WINDOW)
_CHUNK: Final = 100


def write(store: redis.Redis) -> list[RemoveHold]:
    """Write down the fuses that were reported; returns the holds that an e-mail is due for. Blocks.

    Raises what the stores raise; what PostgreSQL did not take is back in its place then.
    """
    due: list[RemoveHold] = []

    def record(rows: list[list[object]]) -> None:
        for row in rows:
            tripped = Tripped(*row)  # type: ignore[arg-type]  # as they were posted
            held = services.remove_hold_trip(**tripped._asdict())
            if held is not None and held[1]:
                due.append(held[0])

    handover.drain(store, TRIPPED, record, _CHUNK)
    return due


def mail(hold: RemoveHold) -> None:
    """Send the e-mail about a hold. Blocks; raises mail.MailError."""
    try:
        mails.remove_held(hold)
    finally:
        connections.close_all()


def release_settled(store: redis.Redis) -> int:
    """End the holds whose fuse would not trip any more; how many. Blocks; raises what the stores raise."""
    released = 0
    for hold in RemoveHold.objects.filter(held_at__lt=timezone.now() - HELD).order_by("held_at"):
        pair = (hold.customer_id, hold.credential_id)
        seconds, _ = store.time()
        _, script, keys, *rest = remove_counts.look(pair, (), (), float(seconds))
        reply = store.eval(script, int(keys), *rest)
        if remove_counts.parse(reply).counts.has_tripped:
            continue
        try:
            released += services.remove_hold_release(hold=hold, by_hand=False).changed
        except ProblemError:  # its credential was removed meanwhile
            continue
    if released:
        logger.warning("devices of %d credentials are removed again: their fuses would not trip any more", released)
    return released
