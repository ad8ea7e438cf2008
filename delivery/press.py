"""Makes the commands that put a sealed batch into the queue, out of an envelope that Celery itself has made once."""

import base64
import time
from typing import Any

import msgspec
from celery import current_app
from kombu import Connection
from kombu.transport import virtual

from delivery import batch, tasks, valkey

# Bytes of a sealed batch that travel inside the task; larger ones get a key of their own.
EMBED = 6000
# Seconds that a payload is kept for: longer than any push is worth delivering.
PAYLOAD_KEPT = 8 * 24 * 3600

TASK, BATCH, SEALED, AT = "@TASK@", "@BATCH@", "@SEALED@", "@AT@"


class Press:
    """The envelopes of one web process."""

    def __init__(self, process: str) -> None:
        """`process`: this process's name; the number of its last batch stands in `sent:PROCESS`."""
        self._sent = f"sent:{process}"
        self._shapes = [envelope(with_payload=False), envelope(with_payload=True)]

    def commands(self, batch_id: str, number: int, sealed: bytes) -> tuple[bytes, int]:
        """The packed commands of one transaction that publishes a batch, and how many they are."""
        name = batch_id.encode()
        queue, message = self._shapes[len(sealed) <= EMBED]
        message = message.replace(TASK.encode(), name).replace(BATCH.encode(), name)
        message = message.replace(b'"%b"' % AT.encode(), b"%.3f" % time.time())
        parts = [valkey.pack(("MULTI",))]
        if len(sealed) <= EMBED:
            message = message.replace(SEALED.encode(), base64.b64encode(sealed))
        else:
            parts.append(valkey.pack(("SET", batch.payload_key(batch_id), sealed, "EX", str(PAYLOAD_KEPT))))
        parts.append(valkey.pack(("LPUSH", queue, message)))
        parts.append(valkey.pack(("SET", self._sent, str(number), "EX", "86400")))
        parts.append(valkey.pack(("EXEC",)))
        return b"".join(parts), len(parts)


class _CapturingChannel(virtual.Channel):  # type: ignore[misc]
    """A kombu channel that keeps what would be put on the wire."""

    do_restore = False
    body_encoding = None

    def _put(self, queue: str, message: dict[str, Any], **_: Any) -> None:
        self.connection.captured.append((queue, message))


class _CapturingTransport(virtual.Transport):  # type: ignore[misc]
    """A kombu transport whose channels keep their messages in `captured`."""

    Channel = _CapturingChannel

    def __init__(self, client: Any, **options: Any) -> None:
        super().__init__(client, **options)
        self.captured: list[tuple[str, dict[str, Any]]] = []


def envelope(*, with_payload: bool) -> tuple[str, bytes]:
    """The queue's name and the message of a `deliver` task as Celery itself makes it, with marks to fill in.

    TASK stands for the task's id (twice, and as the delivery tag), BATCH for the batch's id, AT with its quotes for the
    unix time, SEALED (only with_payload) for the sealed pushes in base64. Making the envelope once and filling it in
    costs a few microseconds a batch; apply_async costs 300 to 600.
    """
    with Connection(transport=_CapturingTransport) as connection:
        producer = current_app.amqp.Producer(connection.channel())
        args = (BATCH, SEALED) if with_payload else (BATCH,)
        tasks.deliver.apply_async(
            args, producer=producer, task_id=TASK, add_to_parent=False, retry=False, argsrepr="", kwargsrepr=""
        )
        queue, message = connection.transport.captured[0]
    message["properties"]["delivery_tag"] = TASK
    message["headers"]["at"] = AT  # for the age of the oldest batch on the page of metrics
    message["properties"]["delivery_info"]["redelivered"] = False
    return queue, msgspec.json.encode(message)
