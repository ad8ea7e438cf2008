"""Budget of request bodies that are being read: how many bytes of them one process holds at once.

A body that comes with its head, as a Mattermost server's does, costs nothing here. One that has to be waited for
reserves what it may become before more of it is read: of its key's share, of its address's, and of the process's
whole. Where one of them is used up its connection is not read from until there is room again, first come, first
served, while the deadline of its body runs. Invariants: no share holds more than its limit, save for bodies of up to
SMALL bytes, which never wait: the flood of one key must not hold up another's pushes; what is reserved is released
once.
"""

import collections
from collections.abc import Hashable, Iterable
from typing import Final, Protocol

MIB: Final = 1024 * 1024
# Bytes of incomplete bodies: of all, of one key, of one client address.
TOTAL, PER_KEY, PER_ADDRESS = 64 * MIB, 4 * MIB, 8 * MIB
# A push is smaller: whatever a provider takes is at most 4 KB.
SMALL: Final = 8 * 1024


class Reader(Protocol):
    """Who reads a body. `waits_for_room` is true as long as it wants the reservation that it has asked for."""

    waits_for_room: bool

    def on_reserved(self, reservation: "Reservation") -> None:
        """There is room for it now."""


class Share:
    """Bytes that are reserved under one name, and the readers that wait for room in it."""

    __slots__ = ("held", "limit", "name", "waiting")

    def __init__(self, name: Hashable, limit: int) -> None:
        self.name, self.limit = name, limit
        self.held = 0
        self.waiting: collections.deque[tuple[Reader, Reservation]] = collections.deque()


class Reservation:
    """So many bytes of several shares."""

    __slots__ = ("shares", "size")

    def __init__(self, shares: tuple[Share, ...], size: int) -> None:
        self.shares, self.size = shares, size

    def full_share(self) -> Share | None:
        """The first share that has no room for it. An empty share has room for anything."""
        if self.size > SMALL:
            for share in self.shares:
                if share.held and share.held + self.size > share.limit:
                    return share
        return None

    def take(self) -> None:
        """Count it."""
        for share in self.shares:
            share.held += self.size


class BodyBudget:
    """The budget of one process, for one event loop."""

    def __init__(self, total: int = TOTAL, per_key: int = PER_KEY, per_address: int = PER_ADDRESS) -> None:
        self.total = Share("total", total)
        self._per_key, self._per_address = per_key, per_address
        self._shares: dict[Hashable, Share] = {}

    def reserve(self, reader: Reader, size: int, *, key: int, address: Hashable) -> Reservation | None:
        """Reserve `size` bytes for a key (its number; 0: none) and an address.

        None: there is no room, and the reader waits for its on_reserved().
        """
        shares = [self._share(("address", address), self._per_address)]
        if key:
            shares.append(self._share(("key", key), self._per_key))
        reservation = Reservation((*shares, self.total), size)
        full = reservation.full_share()
        if full is not None:
            reader.waits_for_room = True
            full.waiting.append((reader, reservation))
            return None
        reservation.take()
        return reservation

    def release(self, reservation: Reservation) -> None:
        """Release a reservation, and let those go on for whom there is room by that."""
        for share in reservation.shares:
            share.held -= reservation.size
        for share in reservation.shares:
            self._admit(share)
        self._forget(reservation.shares)

    def _share(self, name: Hashable, limit: int) -> Share:
        share = self._shares.get(name)
        if share is None:
            share = self._shares[name] = Share(name, limit)
        return share

    def _admit(self, share: Share) -> None:
        while share.waiting:
            reader, reservation = share.waiting[0]
            full = reservation.full_share() if reader.waits_for_room else None
            if full is share:
                return
            share.waiting.popleft()
            if full is not None:
                full.waiting.append((reader, reservation))
            elif reader.waits_for_room:
                reader.waits_for_room = False
                reservation.take()
                reader.on_reserved(reservation)
            else:
                self._forget(reservation.shares)

    def _forget(self, shares: Iterable[Share]) -> None:
        """Forget the shares that nobody uses: strangers choose their names."""
        for share in shares:
            if not share.held and not share.waiting:
                self._shares.pop(share.name, None)
