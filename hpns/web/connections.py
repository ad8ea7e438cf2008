"""Table of a process's connections: how many there may be, in all and from one address, and for how long each may wait.

Idle connections are what a server keeps by the thousands, and what a stranger opens by the thousands. Invariants: no
address has more than PER_ADDRESS connections, save trusted proxies, behind which many servers are; a new connection
that finds its address's share or the whole table full takes the place of the one that has been idle longest, of the
same address or of the address that has the most idle ones; one with a request under way is never closed for another.
"""

import ipaddress
import itertools
from collections.abc import Callable, Iterator
from functools import lru_cache
from typing import Final, Protocol

# Connections of one process; less where the kernel gives it fewer descriptors.
TOTAL: Final = 20_000
# Of one address: IPv4, or a /64 of IPv6, which is one network's. Mattermost keeps two idle ones to a host (Go's
# MaxIdleConnsPerHost), so this is the share of several hundred servers behind one address.
PER_ADDRESS: Final = 1_000
# When the table is full, so many are closed at once: to look for the address with the most takes long.
EVICTED: Final = 64
# Bits of an IPv6 address that name a network (RFC 4291, 2.5.1).
_NETWORK_BITS: Final = 64


class Connection(Protocol):
    """What the table needs of a connection."""

    address: "AddressEntry"
    waiting: "Waiting | None"

    def close_idle(self) -> None:
        """Close it: it is idle. Its place is released at once, unless a part of an answer has yet to be read."""

    def on_timeout(self, waiting: "Waiting") -> None:
        """It has been in this state for too long."""


class AddressEntry:
    """The connections from one address: how many, and the idle ones, longest idle first."""

    __slots__ = ("count", "idle", "is_trusted", "name")

    def __init__(self, name: str, *, is_trusted: bool) -> None:
        self.name, self.is_trusted = name, is_trusted
        self.count = 0
        self.idle: dict[Connection, None] = {}


class Waiting:
    """A state in which connections wait for their peers, `seconds` at most. `is_idle`: no request is under way."""

    __slots__ = ("is_idle", "seconds", "since")

    def __init__(self, seconds: float, *, is_idle: bool = False) -> None:
        self.seconds, self.is_idle = seconds, is_idle
        self.since: dict[Connection, float] = {}  # in the order of their times

    def add(self, connection: Connection, now: float) -> None:
        """A connection comes into this state."""
        self.since[connection] = now
        if self.is_idle:
            connection.address.idle[connection] = None

    def remove(self, connection: Connection) -> None:
        """It leaves it."""
        del self.since[connection]
        if self.is_idle:
            del connection.address.idle[connection]

    def expire(self, now: float) -> None:
        """Tell those that have waited for too long."""
        latest = now - self.seconds
        expired = []
        for connection, since in self.since.items():
            if since > latest:
                break
            expired.append(connection)
        for connection in expired:
            if connection.waiting is self:  # not ended by what the one before it brought about
                connection.on_timeout(self)


class ConnectionTable:
    """The connections of one process, for one event loop."""

    def __init__(
        self, is_trusted: Callable[[str], bool], *, total: int = TOTAL, per_address: int = PER_ADDRESS
    ) -> None:
        """`is_trusted`: whether an address is a proxy of ours."""
        self._is_trusted = is_trusted
        self.total, self.per_address = total, per_address
        self.count = 0
        self.evicted = 0
        self.refused = 0
        self._entries: dict[str, AddressEntry] = {}

    def admit(self, host: str) -> AddressEntry | None:
        """Count a new connection from this address; None when there is no room for it. release() ends it."""
        name = network_of(host)
        entry = self._entries.get(name)
        if entry is None:
            entry = self._entries[name] = AddressEntry(name, is_trusted=self._is_trusted(host))
        if entry.count >= self.per_address and not entry.is_trusted:
            self._evict(entry, 1)
        elif self.count >= self.total:
            self._evict(self._entry_with_most_idle(), EVICTED)
        if self.count >= self.total or (entry.count >= self.per_address and not entry.is_trusted):
            self.refused += 1
            self._forget(entry)
            return None
        self._entries[name] = entry  # its last connection may just have been evicted
        entry.count += 1
        self.count += 1
        return entry

    def release(self, entry: AddressEntry) -> None:
        """A connection of this address is closed, or about to be."""
        entry.count -= 1
        self.count -= 1
        self._forget(entry)

    def _forget(self, entry: AddressEntry) -> None:
        if not entry.count:
            self._entries.pop(entry.name, None)

    def _evict(self, entry: AddressEntry | None, number: int) -> None:
        """Close that many of the connections of an address that have been idle longest; each releases its place."""
        if entry is not None:
            for connection in list(itertools.islice(entry.idle, number)):
                self.evicted += 1
                connection.close_idle()

    def _entry_with_most_idle(self) -> AddressEntry | None:
        entries: Iterator[AddressEntry] = (entry for entry in self._entries.values() if entry.idle)
        return max(entries, key=lambda entry: (not entry.is_trusted, len(entry.idle)), default=None)


@lru_cache(maxsize=4096)
def network_of(host: str) -> str:
    """The network by which an address's connections are counted: itself, or its /64 of IPv6."""
    address = ipaddress.ip_address(host.partition("%")[0])
    if address.version == 4:
        return str(address)
    mapped = address.ipv4_mapped
    return str(mapped or ipaddress.ip_network((address, _NETWORK_BITS), strict=False))
