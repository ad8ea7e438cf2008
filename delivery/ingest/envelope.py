"""Makes the commands that put a sealed batch into the queue, out of an envelope that Celery itself has made once."""

import base64
import time

from delivery import tasks
from delivery.queue import batch, valkey

# Bytes of a sealed batch that travel inside the task; larger ones get a key of their own.
EMBED = 6000
# Seconds that a payload is kept for: longer than any push is worth delivering.
PAYLOAD_KEPT = 8 * 24 * 3600


class Press:
    """The envelopes of one web process."""

    def __init__(self, process: str) -> None:
        """`process`: this process's name; the number of its last batch stands in `sent:PROCESS`."""
        self._sent = f"sent:{process}"
        self._shapes = [tasks.envelope(with_payload=False), tasks.envelope(with_payload=True)]

    def commands(self, batch_id: str, number: int, sealed: bytes) -> tuple[bytes, int]:
        """The packed commands of one transaction that publishes a batch, and how many they are."""
        name = batch_id.encode()
        queue, message = self._shapes[len(sealed) <= EMBED]
        message = message.replace(tasks.TASK.encode(), name).replace(tasks.BATCH.encode(), name)
        message = message.replace(b'"%b"' % tasks.AT.encode(), b"%.3f" % time.time())
        parts = [valkey.pack(("MULTI",))]
        if len(sealed) <= EMBED:
            message = message.replace(tasks.SEALED.encode(), base64.b64encode(sealed))
        else:
            parts.append(valkey.pack(("SET", batch.payload_key(batch_id), sealed, "EX", str(PAYLOAD_KEPT))))
        parts.append(valkey.pack(("LPUSH", queue, message)))
        parts.append(valkey.pack(("SET", self._sent, str(number), "EX", "86400")))
        parts.append(valkey.pack(("EXEC",)))
        return b"".join(parts), len(parts)
