"""A web process's outbox that sends by itself, to the rough server in Apple's place."""

import asyncio
from typing import Any

import redis

from delivery.ingest import intake
from delivery.ingest.outbox import Outbox
from delivery.ingest.own_delivery import OwnDelivery
from delivery.log.rows import ROWS
from delivery.queue import batch, valkey
from hpns.celery import commands
from hpns.celery.lease import Lease
from tests.delivery.http2.rough_server import RoughServer
from tests.delivery.links import until
from tests.delivery.web_process import ACME, body

NAME = "web@here:1:abcdef"
TAKEN = commands.processing_list(NAME, batch.QUEUE)


class Sender:
    """An outbox that sends by itself to the rough server in Apple's place, and looks at its Valkey."""

    def __init__(self, store: redis.Redis, server: RoughServer, name: str = NAME) -> None:
        self.store, self.server, self.name = store, server, name
        self.outbox = Outbox(own=self._own)

    def _own(self, link: valkey.Link) -> OwnDelivery:
        self.lease = Lease(self.name, link, asyncio.get_running_loop(), problems=list, on_renewed=lambda: None)
        self.lease.queues.append(batch.QUEUE)
        self.own = OwnDelivery(link, self.lease, commands.processing_list(self.name, batch.QUEUE))
        return self.own

    def send(self, behaviour: str, **members: Any) -> "asyncio.Future[bytes]":
        """A push to a phone for which the server behaves so."""
        return intake.accept(self.outbox, ACME, body(device_id=behaviour, **members))

    async def begun(self, behaviour: str) -> None:
        """Wait until such a push has come to the server whole."""
        await until(lambda: self.server.complete[behaviour])

    def traces(self) -> list[str]:
        """Of the rows that wait for the log, one of each."""
        return [line.split(b"\t")[2].decode() for line in b"".join(self.store.lrange(ROWS, 0, -1)).splitlines()]
