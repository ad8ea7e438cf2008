"""Rate limits and ceilings of pushes in flight, per server and customer; of the test service, per network and phone.

Acks are never limited, and neither is the rate of pushes of the type `session` that come with a key: a phone must hear
that it is to be wiped. Only so many of them may wait that no key, a leaked one least, keeps all others out. Tests have
a limit of their own per server, because anybody on the internet can make a Mattermost server send one
(GET /api/v4/system/ping?device_id=...), and must not use up what its people need. For the same reason pushes by a
server_id, which is no secret, share no limit with those that come with a key.
"""

import asyncio
import time
from typing import Final, NamedTuple

from delivery.ingest.token_bucket import Bucket
from delivery.log import rows
from delivery.protocol.wire import Push
from delivery.queue import valkey
from tenants.directory.snapshot import Identity, Limit

TESTS: Final = Limit(5, 200)
# Of a server that pushes by its server_id.
SESSIONS: Final = Limit(50, 2_000)
# Types of pushes that have a limit of their own.
SEPARATE: Final = frozenset(("test", "session"))
# Of the test service, for each source network and each phone.
NETWORK: Final = Limit(2, 60)
DEVICE: Final = Limit(1, 20)
# Buckets of networks and phones that one process remembers; strangers choose them.
MOST: Final = 20_000
# Seconds after which a bucket that nobody uses is forgotten, and between two looks at all of them.
IDLE: Final = 60.0
TICK: Final = 1.0


class LimitExceeded(NamedTuple):
    """A push may not be taken on; `reason` says which limit it is over, in words for the customer's log."""

    reason: str


class Allowance:
    """The buckets that the pushes of one identity share. acquire() for each push that is taken on."""

    __slots__ = ("customer", "server", "who")

    def __init__(self, who: Identity, server: Bucket, customer: Bucket) -> None:
        self.who, self.server, self.customer = who, server, customer

    def acquire(self) -> None:
        """Count one push more as in flight."""
        self.server.in_flight += 1
        self.customer.in_flight += 1

    def release(self) -> None:
        """Count a push that has its answer as in flight no longer."""
        self.server.in_flight -= 1
        self.customer.in_flight -= 1


class Limits:
    """The limits of one web process; maintain() on its loop."""

    def __init__(self, link: valkey.Link, process: str, hash_key: bytes, waiting_limit: int) -> None:
        """`waiting_limit`: how many pushes may wait in this process, of everybody."""
        self._link, self._process, self._hash_key = link, process, hash_key
        self._sessions_most = waiting_limit * 3 // 4
        self._allowances: dict[tuple[int, int], Allowance] = {}
        self._buckets: dict[str, Bucket] = {}

    def admit(self, who: Identity, push: Push, source: str = "") -> Allowance | LimitExceeded:
        """Take the tokens that one push costs, or name the limit that it exceeds.

        `source` is the network of an unknown caller. The caller acquires the allowance if it takes the push on.
        """
        allowance = self._allowances.get((who.key_id, who.server_id))
        if allowance is None or allowance.who is not who:
            allowance = self._allowance(who)
        kind = push.type
        if kind == "session" and who.key_id:
            waiting = allowance.customer.in_flight
            if waiting < self._sessions_most:
                return allowance
            return LimitExceeded(f"{waiting:,} pushes of this customer wait already")
        server, customer = allowance.server, allowance.customer
        if (server.in_flight >= server.report_at or customer.in_flight >= customer.report_at) and (
            exceeded := self._ceiling(allowance)
        ):
            return exceeded
        if (
            server.tokens > server.refill_at
            and customer.tokens > customer.refill_at
            and kind not in SEPARATE
            and not who.anonymous
        ):
            server.tokens -= 1
            customer.tokens -= 1
            server.taken += 1
            customer.taken += 1
            return allowance
        # Without Valkey nobody is over a limit: the push will not be taken for a reason that is ours.
        if not self._link.up:
            return allowance
        if who.anonymous:
            return self._anonymous(push, source) or self._shared(allowance, "the free test service") or allowance
        if kind in SEPARATE:
            return self._separate(who, kind) or allowance
        return self._shared(allowance, "this server") or allowance

    def _ceiling(self, allowance: Allowance) -> LimitExceeded | None:
        """The ceiling of pushes in flight, of the server or the customer, that one push more would exceed."""
        if not self._link.up:
            return None
        for bucket, whose in ((allowance.server, "this server"), (allowance.customer, "this customer")):
            if bucket.is_full():
                waiting = bucket.in_flight + bucket.in_flight_elsewhere
                ceiling = f"{bucket.limit.in_flight:,} pushes waiting at a time"
                return LimitExceeded(f"{whose} may have {ceiling}, and {waiting:,} wait")
        return None

    def _separate(self, who: Identity, kind: str) -> LimitExceeded | None:
        """Tests, and what wipes phones of a server that has no key: each with a limit of its own."""
        whose = "server" if who.key_id else "listed"
        bucket = self._bucket(f"limit:{kind}:{whose}:{who.server_id}", TESTS if kind == "test" else SESSIONS)
        return None if bucket.take() else _rate_exceeded(bucket, f"{kind} pushes of this server")

    def _shared(self, allowance: Allowance, whose: str) -> LimitExceeded | None:
        if not allowance.server.take():
            return _rate_exceeded(allowance.server, whose)
        if not allowance.customer.take():
            allowance.server.refund()
            return _rate_exceeded(allowance.customer, "this customer")
        return None

    def _anonymous(self, push: Push, source: str) -> LimitExceeded | None:
        if len(self._buckets) > MOST:
            return LimitExceeded("more callers at once than the free test service is made for")
        network = self._bucket(f"limit:network:{source}", NETWORK)
        if not network.take():
            return _rate_exceeded(network, "the free test service from your network")
        device = self._bucket(f"limit:device:{rows.fingerprint(push.device_id, self._hash_key)}", DEVICE)
        return None if device.take() else _rate_exceeded(device, "the free test service to one phone")

    def _allowance(self, who: Identity) -> Allowance:
        """The buckets of an identity; their limits are the directory's latest."""
        prefix = "" if who.key_id or who.anonymous else "listed-"
        server = self._bucket(f"limit:{prefix}server:{who.server_id}", who.server)
        customer = self._bucket(f"limit:{prefix}customer:{who.customer_id}", who.customer)
        allowance = self._allowances[who.key_id, who.server_id] = Allowance(who, server, customer)
        return allowance

    def _bucket(self, key: str, limit: Limit) -> Bucket:
        bucket = self._buckets.get(key)
        if bucket is None:
            bucket = self._buckets[key] = Bucket(key, limit, self._link, self._process)
        bucket.set_limit(limit)
        return bucket

    async def maintain(self) -> None:
        """Report pushes in flight, return unused tokens and forget idle buckets of strangers, once a second."""
        while True:
            await asyncio.sleep(TICK)
            if not self._link.up:
                continue
            now = time.monotonic()
            for key, bucket in list(self._buckets.items()):
                idle = now - bucket.last_used
                if bucket.limit.in_flight and (bucket.in_flight or bucket.reported or bucket.in_flight_elsewhere):
                    bucket.lease()
                elif idle > 2 * TICK:
                    bucket.return_unused()
                if idle > IDLE and key.startswith(("limit:network:", "limit:device:")):
                    del self._buckets[key]


def _rate_exceeded(bucket: Bucket, whose: str) -> LimitExceeded:
    limit, seen = bucket.limit, max(bucket.rate_seen, bucket.taken, 1)
    may = f"{whose} may send {limit.rate:,} pushes a second and {limit.burst:,} at once"
    return LimitExceeded(f"{may}, and sent {seen:,} in one second")
