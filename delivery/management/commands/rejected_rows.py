"""`manage.py rejected_rows list | drop`: rows of the delivery log, and receipts, that the database did not take."""

from typing import Any, Final, cast

from delivery.log import receipt_lines, segments, writing
from tenants import redis_client
from tenants.management.subcommands import Option, SubcommandsCommand, subcommand

# Seconds for an answer of Valkey.
_TIMEOUT: Final = 10.0
_KINDS: Final = {"rows": writing.REJECTED, "receipts": receipt_lines.QUEUE.rejected}
_SHOWN: Final = 50
_KIND: Final = Option("--kind", "rows of the log (default), or receipts", choices=tuple(_KINDS), default="rows")


class Command(SubcommandsCommand):
    """Rejected rows."""

    help = (
        f"Rows that the database did not take, of which Valkey keeps the latest {segments.REJECTED_MOST:,}: what is in"
        " them, and an end to them. Each was logged with the reason when it was rejected."
    )

    @subcommand("Print how many there are, and the latest.", _KIND)
    def list_(self, kind: str) -> dict[str, Any]:
        """Print the latest lines, the newest last, as they would have been copied into the table."""
        with redis_client.connect(_TIMEOUT) as store:
            lines = cast("list[bytes]", store.lrange(_KINDS[kind], -_SHOWN, -1))
            return {
                "kept": store.llen(_KINDS[kind]),
                "bytes": store.memory_usage(_KINDS[kind]) or 0,
                "latest": [line.decode(errors="backslashreplace").rstrip("\n") for line in lines],
            }

    @subcommand("Drop them all: they are in no count and no page, and nothing will ever write them.", _KIND)
    def drop(self, kind: str) -> dict[str, Any]:
        """Print how many were dropped."""
        with redis_client.connect(_TIMEOUT) as store:
            dropped = store.llen(_KINDS[kind])
            store.unlink(_KINDS[kind])
            return {"dropped": dropped}
