"""What a web process knows of limits is bounded by the keys that are in use."""

import asyncio

import pytest

from delivery.ingest import limits
from delivery.ingest.limits import Limits
from tenants.directory.snapshot import Limit
from tests.delivery.ingest.limiting import admitted, identity
from tests.delivery.links import until


async def test_keys_that_nobody_uses_are_forgotten_and_what_is_in_flight_is_not(
    process: Limits, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "TICK", 0.005)
    monkeypatch.setattr(limits, "KNOWN_IDLE", 0.05)
    waiting = admitted(process, identity(server=Limit(0, 0, 20)))
    waiting.acquire()
    maintenance = asyncio.create_task(process.maintain())
    admitted(process, identity(key_id=4, server_id=7))
    await until(lambda: "limit:server:7" not in process._buckets)
    assert [key for key, _ in process._allowances] == [waiting.who.key_id]
    assert process._buckets[waiting.server.key] is waiting.server, "it has a push in flight"
    waiting.release()
    await until(lambda: not process._buckets and not process._allowances)
    maintenance.cancel()
