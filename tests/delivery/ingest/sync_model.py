"""A model of how Valkey syncs its append-only file, against which what counts as saved is held."""

from delivery.ingest.durability import Look


class Model:
    """flushAppendOnlyFile() of Valkey 9.1 under `everysec`, with a disk that takes as long as it likes.

    Times are in milliseconds. number: of the last write; synced: up to which they are on the disk.
    """

    def __init__(self) -> None:
        self.now = 10_000
        self.number = self.written = self.synced = 0
        self.begun_at = 9_000
        self.sync: tuple[int, int] | None = None  # up to which number, and when it ends
        self.postponed_at = 0
        self.covered = 0  # up to which number the last sync that has begun reaches

    def step(self, milliseconds: int, *, write: bool, disk: int) -> None:
        """Let time pass, in turns of at most 100 ms as Valkey's own timer makes them; then write, and end the turn."""
        end = self.now + milliseconds
        while self.now < end:
            self.now = min(self.now + 100, end)
            self._flush(disk)
        if write:
            self.number += 1
        self._flush(disk)

    def _flush(self, disk: int) -> None:
        if self.sync is not None and self.now >= self.sync[1]:
            self.synced, self.sync = self.sync[0], None
        if self.written == self.number:
            if self.covered != self.written and self.now - self.begun_at >= 1000 and self.sync is None:
                self._begin(disk)
            return
        if self.sync is not None:
            if not self.postponed_at:
                self.postponed_at = self.now
                return
            if self.now - self.postponed_at < 2000:
                return
        self.written, self.postponed_at = self.number, 0
        if self.now - self.begun_at >= 1000:
            if self.sync is None:
                self._begin(disk)
            self.begun_at = self.now

    def _begin(self, disk: int) -> None:
        self.covered, self.begun_at = self.written, self.now
        self.sync = (self.written, self.now + disk)

    def look(self) -> Look:
        """What INFO would say."""
        syncing = int(self.sync is not None and self.now < self.sync[1])
        return Look(self.now / 1000, self.number, syncing, ("one life",))
