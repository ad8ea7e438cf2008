"""Whether a push is within its server's and its customer's limits; and, of the test service, its network's and phone's.

Acks are never limited, and neither is the rate of pushes of the type `session` that come with a key: a phone must hear
that it is to be wiped. Only so many of them may wait that no key, a leaked one least, keeps all others out. Tests have
a limit of their own per server, because anybody on the internet can make a Mattermost server send one
(GET /api/v4/system/ping?device_id=...), and must not use up what its people need. For the same reason pushes by a
server_id, which is no secret, share no limit with those that come with a key.
"""

import asyncio
import time
from typing import Final

from delivery.ingest.token_bucket import Bucket
from delivery.log import rows
from delivery.protocol.wire import Push
from delivery.queue import valkey
from tenants.directory.snapshot import Identity, Limit

TESTS: Final = Limit(5, 200)
# Of a server that pushes by its server_id.
SESSIONS: Final = Limit(50, 2_000)
# Types of pushes that have a limit of their own.
APART: Final = frozenset(("test", "session"))
# Of the test service, for each source network and each phone.
NETWORK: Final = Limit(2, 60)
DEVICE: Final = Limit(1, 20)
# Buckets of networks and phones that one process remembers; strangers choose them.
MOST: Final = 20_000
# Seconds after which a bucket that nobody uses is forgotten, and between two looks at all of them.
IDLE: Final = 60.0
TICK: Final = 1.0


class Pair:
    """The buckets that the pushes of one identity share, and how many of them wait for their answer."""

    __slots__ = ("customer", "server", "who")

    def __init__(self, who: Identity, server: Bucket, customer: Bucket) -> None:
        self.who, self.server, self.customer = who, server, customer

    def enter(self) -> None:
        """A push waits from now on."""
        self.server.mine += 1
        self.customer.mine += 1

    def leave(self) -> None:
        """A push that waited has its answer."""
        self.server.mine -= 1
        self.customer.mine -= 1


class Limits:
    """The limits of one web process; keep() on its loop."""

    def __init__(self, link: valkey.Link, process: str, hash_key: bytes, waiting_limit: int) -> None:
        """`waiting_limit`: how many pushes may wait in this process, of everybody."""
        self._link, self._process, self._hash_key = link, process, hash_key
        self._sessions_most = waiting_limit * 3 // 4
        self._pairs: dict[tuple[int, int], Pair] = {}
        self._buckets: dict[str, Bucket] = {}

    def admit(self, who: Identity, push: Push, source: str = "") -> Pair | str:
        """Take what one push takes; else say which limit it is over, in words for the customer's log.

        `source` is the network of an unknown caller. The caller enters the pair if it takes the push on.
        """
        pair = self._pairs.get((who.key_id, who.server_id))
        if pair is None or pair.who is not who:
            pair = self._pair(who)
        kind = push.type
        if kind == "session" and who.key_id:
            waiting = pair.customer.mine
            return pair if waiting < self._sessions_most else f"{waiting:,} pushes of this customer wait already"
        server, customer = pair.server, pair.customer
        if (server.mine >= server.roof or customer.mine >= customer.roof) and (full := self._full(pair)):
            return full
        if server.tokens > server.low and customer.tokens > customer.low and kind not in APART and not who.anonymous:
            server.tokens -= 1
            customer.tokens -= 1
            server.asked += 1
            customer.asked += 1
            return pair
        # Without Valkey nobody is told of a limit: the push will not be taken for a reason that is ours.
        if not self._link.up:
            return pair
        if who.anonymous:
            return self._stranger(push, source) or self._common(pair, "the free test service") or pair
        if kind in APART:
            return self._apart(who, kind) or pair
        return self._common(pair, "this server") or pair

    def _full(self, pair: Pair) -> str:
        if not self._link.up:
            return ""
        for bucket, whose in ((pair.server, "this server"), (pair.customer, "this customer")):
            if bucket.is_full():
                waiting = bucket.mine + bucket.elsewhere
                return f"{whose} may have {bucket.limit.in_flight:,} pushes waiting at a time, and {waiting:,} wait"
        return ""

    def _apart(self, who: Identity, kind: str) -> str:
        """Tests, and what wipes phones of a server that has no key: each with a limit of its own."""
        whose = "server" if who.key_id else "listed"
        bucket = self._bucket(f"limit:{kind}:{whose}:{who.server_id}", TESTS if kind == "test" else SESSIONS)
        return "" if bucket.take() else _spent(bucket, f"{kind} pushes of this server")

    def _common(self, pair: Pair, whose: str) -> str:
        if not pair.server.take():
            return _spent(pair.server, whose)
        if not pair.customer.take():
            pair.server.give_back()
            return _spent(pair.customer, "this customer")
        return ""

    def _stranger(self, push: Push, source: str) -> str:
        if len(self._buckets) > MOST:
            return "more callers at once than the free test service is made for"
        network = self._bucket(f"limit:network:{source}", NETWORK)
        if not network.take():
            return _spent(network, "the free test service from your network")
        device = self._bucket(f"limit:device:{rows.fingerprint(push.device_id, self._hash_key)}", DEVICE)
        return "" if device.take() else _spent(device, "the free test service to one phone")

    def _pair(self, who: Identity) -> Pair:
        """The buckets of an identity; their limits are those of the directory's last word."""
        apart = "" if who.key_id or who.anonymous else "listed-"
        server = self._bucket(f"limit:{apart}server:{who.server_id}", who.server)
        customer = self._bucket(f"limit:{apart}customer:{who.customer_id}", who.customer)
        pair = self._pairs[who.key_id, who.server_id] = Pair(who, server, customer)
        return pair

    def _bucket(self, key: str, limit: Limit) -> Bucket:
        bucket = self._buckets.get(key)
        if bucket is None:
            bucket = self._buckets[key] = Bucket(key, limit, self._link, self._process)
        bucket.change(limit)
        return bucket

    async def keep(self) -> None:
        """Once a second: tell how many pushes wait, give back what is not needed, forget strangers that are gone."""
        while True:
            await asyncio.sleep(TICK)
            if not self._link.up:
                continue
            now = time.monotonic()
            for key, bucket in list(self._buckets.items()):
                quiet = now - bucket.touched
                if bucket.limit.in_flight and (bucket.mine or bucket.told or bucket.elsewhere):
                    bucket.ask()
                elif quiet > 2 * TICK:
                    bucket.settle()
                if quiet > IDLE and key.startswith(("limit:network:", "limit:device:")):
                    del self._buckets[key]


def _spent(bucket: Bucket, whose: str) -> str:
    limit, use = bucket.limit, max(bucket.use, bucket.asked, 1)
    may = f"{whose} may send {limit.rate:,} pushes a second and {limit.burst:,} at once"
    return f"{may}, and sent {use:,} in one second"
