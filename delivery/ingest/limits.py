"""Rate limits and ceilings of pushes in flight, per server and customer; of the test service, per network and phone.

A push costs a token for each 8 KB of its body that it begins. Acks are never limited. Wipes of revoked sessions have a
budget of their own, which is large, because a phone must hear that it is to be wiped whatever else its server sends;
and only so many of them may wait that no key, a leaked one least, keeps all others out. Tests have a limit of their
own per server, because anybody on the internet can make a Mattermost server send one
(GET /api/v4/system/ping?device_id=...), and must not use up what its people need; bodies that are no push have one for
the same reason. Pushes by a server_id, which is no secret, share no limit with those that come with a key.
"""

import math
import time
from typing import Final, NamedTuple

from delivery.ingest.queue_memory import QueueMemory
from delivery.ingest.token_bucket import Bucket
from delivery.log import rows
from delivery.protocol import policy
from delivery.protocol.wire import Push
from delivery.queue import valkey
from tenants.directory.snapshot import Identity, Limit
from tenants.ticks import tick

BYTES_PER_TOKEN: Final = 8_192
TESTS: Final = Limit(5, 200)
# Requests that cannot be read as a push, per server.
UNREADABLE: Final = Limit(50, 2_000)
# Wipes, per server and again per customer; a customer whose own limits are higher has those once more. Whoever logs
# all people of a server out sends one for each of their sessions: a small one has a few thousand, and one of 50,000
# phones has the burst of a paid offer for them.
WIPES: Final = Limit(50, 2_000)
# Of the test service, for each source network and each phone.
NETWORK: Final = Limit(2, 60)
DEVICE: Final = Limit(1, 20)
# Buckets of networks and phones that one process remembers; strangers choose them.
MOST: Final = 20_000
# Seconds after which a bucket that nobody uses is forgotten, and between two looks at all of them.
IDLE: Final = 60.0
# The same of a bucket of somebody whom we know: all that it had leased has long been given back.
KNOWN_IDLE: Final = 600.0
TICK: Final = 1.0
# Seconds without a push after which Valkey's memory is looked at less often, and between two looks then.
QUIET: Final = 10.0
QUIET_INTERVAL: Final = 4.5


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
        self._wipes_most = waiting_limit * 3 // 4
        self.memory = QueueMemory(link)
        self._allowances: dict[tuple[int, int], Allowance] = {}
        self._buckets: dict[str, Bucket] = {}

    def admit(self, who: Identity, push: Push, source: str = "", cost: int = 1) -> Allowance | LimitExceeded:
        """Take the tokens that one push costs, or name the limit that it exceeds.

        `source` is the network of an unknown caller; `cost` is what body_cost() says of the push's body. The caller
        acquires the allowance if it takes the push on.
        """
        allowance = self._allowances.get((who.key_id, who.server_id))
        if allowance is None or allowance.who is not who:
            allowance = self._allowance(who)
        kind = push.type
        if kind == "session" and not who.anonymous and policy.is_wipe(push):
            return self._wipe(allowance, cost)
        server, customer = allowance.server, allowance.customer
        if (server.in_flight >= server.report_at or customer.in_flight >= customer.report_at) and (
            exceeded := self._ceiling(allowance)
        ):
            return exceeded
        if (
            server.tokens - cost >= server.refill_at
            and customer.tokens - cost >= customer.refill_at
            and kind != "test"
            and not who.anonymous
        ):
            server.tokens -= cost
            customer.tokens -= cost
            server.taken += cost
            customer.taken += cost
            return allowance
        # Without Valkey nobody is over a limit: the push will not be taken for a reason that is ours.
        if not self._link.up:
            return allowance
        if who.anonymous:
            exceeded = self._anonymous(push, source, cost)
            return exceeded or _take(server, customer, "the free test service", cost) or allowance
        if kind == "test":
            return self._test(who, cost) or allowance
        return _take(server, customer, "this server", cost) or allowance

    def admit_stranger(self, push: Push, source: str, cost: int = 1) -> LimitExceeded | None:
        """Take the tokens that anybody's push costs, by network and phone; None, or the limit that it exceeds."""
        return self._anonymous(push, source, cost) if self._link.up else None

    def admit_unreadable(self, who: Identity, size: int) -> LimitExceeded | None:
        """Take the tokens that a request of `size` bytes costs that is no push; None, or the limit that it exceeds."""
        if not self._link.up:
            return None
        bucket = self._bucket(f"limit:unreadable:{_kind(who)}:{who.server_id}", UNREADABLE)
        if bucket.take(body_cost(size)):
            return None
        return LimitExceeded(
            f"this server may send {UNREADABLE.rate} requests a second that are no push, and sent more"
        )

    def exhausted(self, who: Identity, size: int) -> LimitExceeded | None:
        """The limit that a large body exceeds for sure, before anybody reads it; None: read it, and let admit() say.

        Takes no tokens, and does not look at what the body is: no test and no wipe is that large.
        """
        allowance = self._allowances.get((who.key_id, who.server_id))
        if allowance is None or allowance.who is not who:
            allowance = self._allowance(who)
        for bucket, whose in ((allowance.server, "this server"), (allowance.customer, "this customer")):
            if self._link.up and bucket.is_empty():
                cost = body_cost(size)
                bucket.taken += cost
                return _rate_exceeded(bucket, whose, cost)
        return None

    def _wipe(self, allowance: Allowance, cost: int) -> Allowance | LimitExceeded:
        """Admit the wipe of a session: by its own budget, whatever else is over a limit or waits."""
        who = allowance.who
        if who.key_id:
            waiting = allowance.customer.in_flight
            if waiting >= self._wipes_most:
                return LimitExceeded(f"{waiting:,} pushes of this customer wait already")
        elif exceeded := self._ceiling(allowance):
            return exceeded
        if not self._link.up:
            return allowance
        server, customer = (
            self._bucket(f"limit:wipe:{_kind(who)}:{name}:{number}", _wipe_limit(limit))
            for name, number, limit in (
                ("server", who.server_id, who.server),
                ("customer", who.customer_id, who.customer),
            )
        )
        return _take(server, customer, "wipes of this server", cost) or allowance

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

    def _test(self, who: Identity, cost: int) -> LimitExceeded | None:
        """Tests, with a limit of their own."""
        bucket = self._bucket(f"limit:test:{_kind(who)}:{who.server_id}", TESTS)
        return None if bucket.take(cost) else _rate_exceeded(bucket, "test pushes of this server", cost)

    def _anonymous(self, push: Push, source: str, cost: int) -> LimitExceeded | None:
        if len(self._buckets) > MOST:
            return LimitExceeded("more callers at once than the free test service is made for")
        network = self._bucket(f"limit:network:{source}", NETWORK)
        if not network.take(cost):
            return _rate_exceeded(network, "the free test service from your network", cost)
        if not push.device_id:
            return None
        device = self._bucket(f"limit:device:{rows.fingerprint(push.device_id, self._hash_key)}", DEVICE)
        return None if device.take(cost) else _rate_exceeded(device, "the free test service to one phone", cost)

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
        """Report pushes in flight, return unused tokens and forget idle buckets, once a second."""
        polled_at = -math.inf
        while True:
            await tick(TICK)
            if not self._link.up:
                continue
            now, forgotten = time.monotonic(), False
            if now - polled_at > QUIET_INTERVAL or any(_is_in_use(each, now) for each in self._buckets.values()):
                polled_at = now
                self.memory.poll()
            for key, bucket in list(self._buckets.items()):
                idle = now - bucket.last_used
                if bucket.limit.in_flight and (bucket.in_flight or bucket.reported or bucket.in_flight_elsewhere):
                    bucket.lease()
                elif idle > 2 * TICK:
                    bucket.return_unused()
                strange = key.startswith(("limit:network:", "limit:device:"))
                if idle > (IDLE if strange else KNOWN_IDLE) and not bucket.in_flight and not bucket.reported:
                    del self._buckets[key]
                    forgotten = True
            if forgotten:
                self._forget_allowances()

    def _forget_allowances(self) -> None:
        """Forget the allowances whose buckets are forgotten: of keys that are no longer used, or gone."""
        buckets = self._buckets
        self._allowances = {
            key: allowance
            for key, allowance in self._allowances.items()
            if allowance.server.key in buckets and allowance.customer.key in buckets
        }


def _is_in_use(bucket: Bucket, now: float) -> bool:
    return bucket.in_flight > 0 or now - bucket.last_used < QUIET


def body_cost(size: int) -> int:
    """The tokens that a body of `size` bytes costs, at least one."""
    return -(-size // BYTES_PER_TOKEN) or 1


def _kind(who: Identity) -> str:
    """By what a server is known: what comes by its server_id shares no bucket with what comes with its key."""
    return "server" if who.key_id else "listed"


def _wipe_limit(limit: Limit) -> Limit:
    """The budget for wipes of whoever has this limit for all else."""
    return Limit(max(limit.rate, WIPES.rate), max(limit.burst, WIPES.burst)) if limit.rate else Limit()


def _take(server: Bucket, customer: Bucket, whose: str, cost: int) -> LimitExceeded | None:
    """Take tokens of both, or of neither."""
    if not server.take(cost):
        return _rate_exceeded(server, whose, cost)
    if not customer.take(cost):
        server.refund(cost)
        return _rate_exceeded(customer, whose.replace("this server", "this customer"), cost)
    return None


def _rate_exceeded(bucket: Bucket, whose: str, cost: int) -> LimitExceeded:
    limit, seen = bucket.limit, max(bucket.rate_seen, bucket.taken, 1)
    may = f"{whose} may send {limit.rate:,} pushes a second and {limit.burst:,} at once"
    counted = f" (a body counts as one push for each {BYTES_PER_TOKEN // 1024} KB)" if cost > 1 else ""
    return LimitExceeded(f"{may}, and sent {seen:,} in one second{counted}")
