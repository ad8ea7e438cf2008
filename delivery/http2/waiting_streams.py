"""The requests that wait for a connection, or for one of its streams: by tenants in turn, of each by the time left.

A connection takes so many streams at once as its peer allows (SETTINGS_MAX_CONCURRENT_STREAMS), and several tenants may
share it. Each tenant has a queue of its own here, and one request is taken of each in turn (round robin, as in
delivery/queue/fair_queue.py, for requests that cost the same). Of a tenant who has the least time left goes first, so
that what was disowned goes before what is new. Pure data.
"""

from bisect import bisect_right
from collections import OrderedDict, deque

from delivery.http2.stream import Stream


class WaitingStreams:
    """See the module. count: how many wait."""

    def __init__(self) -> None:
        self._queues: OrderedDict[int, deque[Stream]] = OrderedDict()  # whose turn it is stands first; none is empty
        self.count = 0

    def add(self, stream: Stream) -> None:
        """Let a request wait for its tenant's turn."""
        self.count += 1
        queue = self._queues.get(stream.tenant)
        if queue is None:
            self._queues[stream.tenant] = deque((stream,))
        elif stream.deadline >= queue[-1].deadline:
            queue.append(stream)
        else:
            queue.insert(bisect_right(queue, stream.deadline, key=_deadline), stream)

    def first(self) -> Stream:
        """Return the request whose turn it is. LookupError where none waits."""
        return self._queues[next(iter(self._queues))][0] if self._queues else _none()

    def take(self) -> Stream:
        """Remove and return it. LookupError where none waits."""
        if not self._queues:
            return _none()
        tenant, queue = next(iter(self._queues.items()))
        self.count -= 1
        stream = queue.popleft()
        if queue:
            self._queues.move_to_end(tenant)
        else:
            del self._queues[tenant]
        return stream

    def take_until(self, limit: float) -> list[Stream]:
        """Remove and return those whose deadline is reached at a time (time.monotonic)."""
        taken: list[Stream] = []
        for tenant, queue in list(self._queues.items()):
            while queue and queue[0].deadline <= limit:
                taken.append(queue.popleft())
            if not queue:
                del self._queues[tenant]
        self.count -= len(taken)
        return taken

    def take_all(self) -> list[Stream]:
        """Remove and return all of them, in the order of their turns."""
        return [self.take() for _ in range(self.count)]


def _none() -> Stream:
    raise LookupError("no request waits")


def _deadline(stream: Stream) -> float:
    return stream.deadline
