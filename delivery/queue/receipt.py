"""Receipt handle of a message that was taken off the queue: what has to go when its batch is settled.

The transport puts it among the message's properties and settlement removes the message by it, in the script that
settles the last push of the batch: both happen or neither does, and no command is spent on an acknowledgement. A
broker whose messages have none (RabbitMQ) is acknowledged by Celery as ever.
"""

from collections.abc import Mapping
from typing import Any, Final

PROPERTY: Final = "receipt"


class Receipt:
    """One message as it stands in a processing list.

    key: that list in the Valkey of the results; item: the bytes of the message; removed: the server has confirmed that
    the message is not in the list any more.
    """

    __slots__ = ("item", "key", "removed")

    def __init__(self, key: str, item: bytes) -> None:
        self.key, self.item, self.removed = key, item, False


def of(request: Mapping[str, Any]) -> Receipt | None:
    """Return the receipt of a task's message, given Celery's request; None where its transport gives none.

    What a publisher writes into the properties is text and never a Receipt.
    """
    receipt = (request.get("properties") or {}).get(PROPERTY)
    return receipt if isinstance(receipt, Receipt) else None
