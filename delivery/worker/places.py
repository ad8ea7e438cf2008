"""Bulkhead: how much of a process's memory the pushes in its hands may take up.

A provider that says nothing holds each push for its whole deadline. A bound that counts batches is soon reached then,
for a batch has one push as well as two hundred, and whoever pushes elsewhere waits with them. So it counts bytes, of
which a silent provider can hold many seconds' worth.
"""

from typing import Final

# Bytes of the pushes in a process's hands, as they are estimated.
MOST: Final = 64_000_000
# Bytes of memory that a push takes up beside its own (measured: 5 to 6 kB with its request), and how many copies of
# those there are: sealed, decoded, in its request.
PUSH: Final = 6_000
COPIES: Final = 3


def cost(pushes: int, size: int) -> int:
    """The bytes of memory that a batch of so many pushes takes up, which has `size` bytes as it travels."""
    return pushes * PUSH + size * COPIES


class Places:
    """See the module. `held`: bytes in the process's hands."""

    def __init__(self, most: int = MOST) -> None:
        """most: in bytes."""
        self._most = most
        self.held = 0

    @property
    def left(self) -> int:
        """The bytes that are not held; fewer than 0 where the last batch was larger."""
        return self._most - self.held

    def are_few(self) -> bool:
        """Whether more than half of them are held."""
        return 2 * self.held > self._most

    def has_room(self, more: int = 0) -> bool:
        """Whether one more batch may be taken; `more`: bytes that are to come before it."""
        return self.held + more < self._most

    def take(self, size: int) -> None:
        """Count bytes as held."""
        self.held += size

    def give_back(self, size: int) -> None:
        """Count bytes as held no longer."""
        self.held -= size


WORKER: Final = Places()
"""Those of this process, if it is a worker: whoever takes messages from the queue asks whether there is room."""
