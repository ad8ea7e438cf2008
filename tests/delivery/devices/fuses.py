"""Fuses of several processes at one Valkey, in a time of the tests."""

from collections.abc import Sequence
from typing import Final

import msgspec

from delivery.devices.remove_fuse import RemoveFuse
from delivery.outcomes.verdict import ANSWERED, Answer, Attempt, Verdict
from delivery.providers import table
from delivery.queue import valkey
from tenants.directory.snapshot import RemoveHoldRow

KEY: Final = b"hash key of the tests"
CUSTOMER: Final = 7
GONE: Final = table.judge(Attempt("apns", "h", 410, "Unregistered", ANSWERED, 0.0, 1))
BAD: Final = table.judge(Attempt("apns", "h", 400, "BadDeviceToken", ANSWERED, 0.0, 1))


class Signed(msgspec.Struct):
    """What a push was signed with."""

    credential_id: int = 1
    signs_since: float = 0.0


class Holds:
    """What the directory says."""

    def __init__(self) -> None:
        self.rows: dict[tuple[int, int], RemoveHoldRow] = {}

    def remove_hold(self, customer_id: int, credential_id: int) -> RemoveHoldRow | None:
        """The hold of a pair."""
        return self.rows.get((customer_id, credential_id))


class Fuses:
    """The fuses of so many processes."""

    def __init__(self, links: Sequence[valkey.Link], now: float = 2_000_000.0) -> None:
        self.links, self.now, self.holds = links, now, Holds()
        self.each = [self._made(link) for link in links]

    def _made(self, link: valkey.Link) -> RemoveFuse:
        return RemoveFuse(link, KEY, self.holds, lambda: self.now)

    def restart(self, index: int) -> None:
        """Let a process begin anew, with nothing in its memory."""
        self.each[index] = self._made(self.links[index])

    async def wait(self, seconds: float = 1.0) -> None:
        """Let time pass, in which the processes exchange what they have counted."""
        self.now += seconds
        for _ in range(2):  # so that the first hears of what the last has shared
            for fuse in self.each:
                await fuse.exchange()

    def accept(self, *tokens: str, process: int = 0, credential: int = 1, customer: int = CUSTOMER) -> None:
        """Pushes that the provider accepted."""
        for token in tokens:
            self.each[process].accepted(customer, credential, token)

    def judge(
        self,
        token: str,
        verdict: Verdict = BAD,
        process: int = 0,
        signed: Signed | None = None,
        customer: int = CUSTOMER,
        *,
        counts: bool = True,
    ) -> Answer:
        """What is told of a push of which the provider says that its device is gone."""
        proven = table.PROVEN.get(verdict.code)
        fuse = self.each[process]
        return fuse.judge(customer, signed or Signed(), token, verdict, proven, counts=counts).answer
