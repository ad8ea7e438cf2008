"""Streams that we have reset: what still comes for them was on its way, and is no fault of the peer's (RFC 9113, 5.1).

Invariant: no stream that was reset is ever taken for one that was not; of the oldest it is no more known than that they
may have been.
"""

from typing import Final

_MOST: Final = 256
"""Streams that are known one by one."""


class ResetStreams:
    """The ids of the streams that one side of a connection has reset."""

    def __init__(self) -> None:
        """Start with none."""
        self._ids: dict[int, None] = {}
        self._maybe = 0  # all ids up to this one may be of reset streams

    def add(self, stream_id: int) -> None:
        """Remember a stream that was reset."""
        self._ids[stream_id] = None
        if len(self._ids) > _MOST:
            oldest = next(iter(self._ids))
            del self._ids[oldest]
            self._maybe = max(self._maybe, oldest)

    def __contains__(self, stream_id: int) -> bool:
        """Tell whether a stream was, or may have been, reset."""
        return stream_id <= self._maybe or stream_id in self._ids
