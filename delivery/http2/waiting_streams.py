"""The requests that wait for a connection, or for one of its streams: by tenants in turn, of each by the time left.

A connection takes so many streams at once as its peer allows (SETTINGS_MAX_CONCURRENT_STREAMS), and several tenants may
share it. Each tenant has a queue of its own here, and one request is taken of each in turn (round robin, as in
delivery/queue/fair_queue.py, for requests that cost the same). Of a tenant who has the least time left goes first, so
that what was disowned goes before what is new. What is urgent has queues of its own, which are served first, but not
alone while something else waits, and of which a tenant has a few places. Pure data.
"""

from bisect import bisect_right
from collections import OrderedDict, deque
from math import inf
from typing import Final

from delivery.http2.stream import Stream

# Urgent ones that are taken in a row while others wait, and of a tenant that may wait as such.
IN_A_ROW: Final = 3
URGENT_MOST: Final = 20

_Ring = OrderedDict[int, deque[Stream]]


class WaitingStreams:
    """See the module. count: how many wait."""

    def __init__(self) -> None:
        # By tenant; whose turn it is stands first; no queue is empty.
        self._urgent: _Ring = OrderedDict()
        self._usual: _Ring = OrderedDict()
        self._in_a_row = 0
        self.count = 0

    def add(self, stream: Stream) -> None:
        """Let a request wait for its tenant's turn."""
        self.count += 1
        tenant, ring = stream.tenant, self._usual
        if stream.urgent and len(self._urgent.get(tenant, ())) < URGENT_MOST:
            ring = self._urgent
        queue = ring.get(tenant)
        if queue is None:
            ring[tenant] = deque((stream,))
        elif stream.deadline >= queue[-1].deadline:
            queue.append(stream)
        else:
            queue.insert(bisect_right(queue, stream.deadline, key=_deadline), stream)

    def _ring(self) -> _Ring:
        """Where the next request is taken from."""
        urgent = bool(self._urgent) and (self._in_a_row < IN_A_ROW or not self._usual)
        return self._urgent if urgent else self._usual

    def first(self) -> Stream:
        """Return the request whose turn it is. LookupError where none waits."""
        ring = self._ring()
        return ring[next(iter(ring))][0] if ring else _none()

    def take(self) -> Stream:
        """Remove and return it. LookupError where none waits."""
        ring = self._ring()
        if not ring:
            return _none()
        self._in_a_row = self._in_a_row + 1 if ring is self._urgent else 0
        tenant, queue = next(iter(ring.items()))
        self.count -= 1
        stream = queue.popleft()
        if queue:
            ring.move_to_end(tenant)
        else:
            del ring[tenant]
        return stream

    def first_deadline(self) -> float:
        """Return the earliest deadline (time.monotonic); infinite where none waits."""
        queues = (queue for ring in (self._urgent, self._usual) for queue in ring.values())
        return min((queue[0].deadline for queue in queues), default=inf)

    def take_until(self, limit: float) -> list[Stream]:
        """Remove and return those whose deadline is reached at a time (time.monotonic)."""
        taken: list[Stream] = []
        for ring in (self._urgent, self._usual):
            for tenant, queue in list(ring.items()):
                while queue and queue[0].deadline <= limit:
                    taken.append(queue.popleft())
                if not queue:
                    del ring[tenant]
        self.count -= len(taken)
        return taken

    def take_all(self) -> list[Stream]:
        """Remove and return all of them, in the order of their turns."""
        return [self.take() for _ in range(self.count)]


def _none() -> Stream:
    raise LookupError("no request waits")


def _deadline(stream: Stream) -> float:
    return stream.deadline
