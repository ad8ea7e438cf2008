"""What a provider says of devices that are gone: judged by the fuse, and remembered where REMOVE is told.

Invariant: REMOVE is said of no device but by the fuse (delivery/devices/remove_fuse.py), and who is removed is known
to all processes (delivery/devices/dead.py).
"""

from typing import Final

from delivery.devices.dead import DeadDevices
from delivery.devices.remove_fuse import RemoveFuse
from delivery.outcomes.verdict import Answer, Attempt, Verdict
from delivery.providers import table
from delivery.providers.base import Try
from delivery.queue import batch, shared_clock

# Seconds before its deadline from which on a push may have been answered for it.
NEARLY: Final = 0.1


class GoneDevices:
    """One per process that sends."""

    def __init__(self, fuse: RemoveFuse, dead: DeadDevices, deadline: float) -> None:
        """deadline: seconds after its acceptance at which a push's server is answered at the latest."""
        self._fuse, self._dead, self._deadline = fuse, dead, deadline

    def accepted(self, item: batch.Item, tried: Try) -> None:
        """Take note that a provider accepted a push: its device is there, and its credential good."""
        self._fuse.accepted(item.customer, tried.target.credential_id, tried.push.device_id)
        if tried.push.type == "test":
            self._dead.registered(item.server, tried.push)

    def judge(self, item: batch.Item, tried: Try, verdict: Verdict, attempt: Attempt) -> Verdict:
        """The verdict on an answer that says that the device is gone; a device that is removed for it is remembered."""
        push, proven, gone_at = tried.push, table.PROVEN.get(verdict.code), attempt.gone_at / 1000
        judged = self._fuse.judge(
            item.customer,
            tried.target,
            push.device_id,
            verdict,
            proven,
            counts=push.type != "test",
            is_back=self._dead.is_back(item.server, push, gone_at),
        )
        if judged.answer is Answer.REMOVE:
            is_late = shared_clock.now() - item.at >= self._deadline - NEARLY
            self._dead.add(item.server, push, owed=is_late, gone_at=gone_at)
        return judged
