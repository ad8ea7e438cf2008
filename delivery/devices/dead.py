"""Dead devices that a process knows of: a push to one is answered with REMOVE before the queue.

An entry is made when a provider's word was believed. One whose server was told so stays for TOLD seconds, for what its
server has on the way already; then the provider is asked again. One whose server was told OK, since the word came
late, is owed: the next push to the device is told it. Invariants, so that nobody who is back is muted: a test push, by
which an app looks for its pushes when it connects, ends the entry everywhere, and is remembered, so that a
word of the provider's about a moment before it makes none (Apple says since when a device is gone, the `timestamp` of
a 410); nothing is answered out of here while the fuse of the credential is held, nor right after it changed.
https://developer.apple.com/documentation/usernotifications/handling-notification-responses-from-apns
Entries are shared by a stream in Valkey, bounded, in which a device is a keyed hash and the last characters of its
token: these are looked up first, so that a push to a living device costs one look into a set.
"""

import logging
from collections import Counter, OrderedDict
from collections.abc import Callable
from typing import Any, Final, NamedTuple, Protocol

from delivery.devices.remove_counts import token_hash
from delivery.outcomes import removal
from delivery.outcomes.removal import Decision
from delivery.protocol import policy
from delivery.protocol.wire import Push
from delivery.queue import shared_clock, valkey
from tenants.directory.snapshot import AppRow, RemoveHoldRow
from tenants.providers.table import family_of
from tenants.ticks import tick

logger = logging.getLogger(__name__)

# Seconds for which a device is known to be dead that its server was told of: what a server has on its way, and less
# than it takes to install an app and to log in.
TOLD: Final = 30.0
# Seconds for which a server is owed the word; then its next push is asked about, as every push is. An app that is
# installed again in this time tests its pushes first.
OWED: Final = 600.0
# Seconds for which it is remembered that an app has registered: a push that is tried again later than its device came
# back may bring such a word.
REGISTERED: Final = 3600.0
TICK: Final = 1.0
STREAM: Final = "remove:dead"
# Entries that a process keeps, and the stream (200 bytes each); and how many are read at a time.
MOST: Final = 20_000
READ_MOST: Final = 2_000
TAIL: Final = 5


class Apps(Protocol):
    """What the directory offers."""

    def route(self, customer_id: int, label: str, family: str) -> AppRow | None:
        """The app that takes a push."""

    def remove_hold(self, customer_id: int, credential_id: int) -> RemoveHoldRow | None:
        """The hold on removals, or its release, if there is any."""


class _Entry(NamedTuple):
    tail: str
    at: float
    until: float
    owed: bool


class Known(NamedTuple):
    """That a device is dead: how the push to it is decided, and through which app it was reached."""

    decision: Decision
    app_id: int


class DeadDevices:
    """The dead devices that one process knows of; run() where pushes come in."""

    def __init__(
        self, link: valkey.Link, hash_key: bytes, apps: Apps, now: Callable[[], float] = shared_clock.now
    ) -> None:
        """now: the shared time, in unix seconds."""
        self._link, self._hash_key, self._apps, self._now = link, hash_key, apps, now
        self._entries: OrderedDict[bytes, _Entry] = OrderedDict()
        self._tails: Counter[str] = Counter()
        # When the apps of devices registered last, the oldest first; at most MOST.
        self._registered: OrderedDict[bytes, float] = OrderedDict()
        self._last = ""  # of the stream, as far as it was read

    def _key(self, server_id: int, push: Push) -> bytes:
        label, _ = policy.app_label(push.platform)
        return token_hash(f"{server_id}\0{label}\0{push.device_id}", self._hash_key)

    def registered(self, server_id: int, push: Push) -> None:
        """Note that a device's app has registered, which it says by a test push."""
        self._share(self._key(server_id, push), _Entry(push.device_id[-TAIL:], self._now(), 0.0, owed=False))

    def is_back(self, server_id: int, push: Push, gone_at: float) -> bool:
        """Whether a device's app is known to have registered later than it was gone by the provider's word; gone_at: in
        unix seconds, 0 where it does not say."""
        return gone_at > 0 and self._registered.get(self._key(server_id, push), 0.0) > gone_at

    def add(self, server_id: int, push: Push, *, owed: bool, gone_at: float = 0.0) -> None:
        """Remember that a device is dead; owed: its server does not know; gone_at: as is_back() has it."""
        if push.type == "test":
            return  # its app is on a phone, and hears what came of it
        now = self._now()
        at = min(gone_at, now) if gone_at > 0 else now
        self._share(
            self._key(server_id, push), _Entry(push.device_id[-TAIL:], at, now + (OWED if owed else TOLD), owed)
        )

    def find(self, customer_id: int, server_id: int, push: Push) -> Known | None:
        """Whether the device of a push is known to be dead; None: its provider is to be asked."""
        if push.device_id[-TAIL:] not in self._tails:
            return None
        key = self._key(server_id, push)
        entry, now = self._entries.get(key), self._now()
        if entry is None or entry.until < now or policy.is_wipe(push):
            return None
        if push.type == "test":
            self.registered(server_id, push)  # its app is there
            return None
        label, _ = policy.app_label(push.platform)
        app = self._apps.route(customer_id, label, family_of(label))
        if app is None or now - app.signs_since < removal.AFTER_CHANGE:
            return None
        hold = self._apps.remove_hold(customer_id, app.credential_id)
        if hold is not None and hold.held:
            return None
        if entry.owed:  # from now on its server knows
            self._share(key, entry._replace(until=now + TOLD, owed=False))
            return Known(Decision.DEFERRED, app.app_id)
        return Known(Decision.KNOWN_DEAD, app.app_id)

    def _share(self, key: bytes, entry: _Entry) -> None:
        self._put(key, entry)
        times = ("a", f"{entry.at:.3f}", "u", f"{entry.until:.3f}", "o", "1" if entry.owed else "0")
        pairs = ("k", key, "t", entry.tail.encode("utf-8", "replace"), *times)
        add = valkey.pack(("XADD", STREAM, "MAXLEN", "~", str(MOST), "*", *pairs))
        self._link.post(add + valkey.pack(("EXPIRE", STREAM, str(int(2 * OWED)))), 2)

    def _put(self, key: bytes, entry: _Entry) -> None:
        if self._registered.get(key, 0.0) > entry.at:
            return  # its app has registered since
        before = self._entries.get(key)
        if before is not None:
            if before.at > entry.at:
                return  # what was shared later has been heard of before
            self._drop(key)
        if entry.until == 0.0 and entry.at > self._now() - REGISTERED:
            self._registered[key] = entry.at
            self._registered.move_to_end(key)
            if len(self._registered) > MOST:
                self._registered.popitem(last=False)
        if entry.until > self._now():
            if len(self._entries) >= MOST:
                self._drop(next(iter(self._entries)))
            self._entries[key] = entry
            self._tails[entry.tail] += 1

    def _drop(self, key: bytes) -> None:
        tail = self._entries.pop(key).tail
        self._tails[tail] -= 1
        if not self._tails[tail]:
            del self._tails[tail]

    async def run(self) -> None:
        """Hear of the entries of other processes, until cancelled."""
        while True:
            await self.read()
            await tick(TICK)

    async def read(self) -> None:
        """Take in what other processes have shared since the last call, and forget what is over."""
        now = self._now()
        for key in [key for key, entry in self._entries.items() if entry.until < now]:
            self._drop(key)
        while self._registered and next(iter(self._registered.values())) < now - REGISTERED:
            self._registered.popitem(last=False)
        if not self._link.up:
            return
        since = f"({self._last}" if self._last else str(int((now - OWED) * 1000))
        try:
            found: Any = await self._link.execute("XRANGE", STREAM, since, "+", "COUNT", str(READ_MOST))
        except ConnectionError:
            return
        if isinstance(found, Exception):
            logger.warning("Valkey does not say which devices are dead: %s", found)
            return
        for number, fields in found:
            self._last = number.decode()
            said = dict(zip(fields[::2], fields[1::2], strict=True))
            tail = said[b"t"].decode("utf-8", "replace")
            self._put(said[b"k"], _Entry(tail, float(said[b"a"]), float(said[b"u"]), said[b"o"] == b"1"))
