"""Lost pushes: what was accepted, and of which nothing is left but whose it was; each ends in a row of its own."""

import logging
from typing import Final

from django.conf import settings

from delivery.log.rows import NO_KEY, fingerprint, row
from delivery.metrics import counting
from delivery.outcomes import judge
from delivery.protocol.wire import Push
from delivery.queue import ledger
from tenants.directory.live import DIRECTORY

logger = logging.getLogger(__name__)

_NOWHERE: Final = judge.refusal("lost")


def line(head: ledger.Head, now: float) -> bytes:
    """The row of a lost push; now: in unix seconds. It is counted against us."""
    who = f"{head.customer}\t{head.server}\t{head.key or NO_KEY}"
    device = fingerprint("", settings.HASH_KEY)
    return row(head.trace, head.at, now, who, None, Push(), device, head.size, _NOWHERE, ())


def report(head: ledger.Head, now: float) -> None:
    """Say in the log and in the metrics that a push is lost."""
    logger.critical("a push was accepted and is lost", extra={"trace": head.trace, "customer": head.customer})
    if head.customer not in DIRECTORY.canaries:
        counting.ended(Push(), _NOWHERE, now - head.at, head.key != 0)


def end(head: ledger.Head, now: float) -> bytes:
    """Report a lost push; its row."""
    report(head, now)
    return line(head, now)
