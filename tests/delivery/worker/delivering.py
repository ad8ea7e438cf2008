"""Pushes through a worker's Deliverer to a server that plays Apple: what their servers are told, and every attempt."""

import asyncio
import itertools
import time
from typing import Any

import msgspec
import pytest
import redis
from cryptography.hazmat.primitives.asymmetric import ec

from delivery.devices.dead import DeadDevices
from delivery.devices.remove_fuse import RemoveFuse
from delivery.http2.engine import Engine
from delivery.outcomes.verdict import Attempt, Verdict
from delivery.protocol.wire import Push
from delivery.providers.base import Target
from delivery.queue import batch, valkey
from delivery.sandbox import demo
from delivery.worker.attempts import Deliverer
from delivery.worker.batch_progress import BatchProgress
from delivery.worker.credential_reports import Reporter
from delivery.worker.routes import Route
from delivery.worker.settlement import Settler
from tenants.directory.live import Directory

PLATFORM = "apple_rn-v2"
CUSTOMER = 1
PROCESS = "abcdef"


def apple_target(origin: str) -> Target:
    """An app of Apple's with a key, whose pushes go there."""
    secret = {
        "key_pem": demo.private_pem(ec.generate_private_key(ec.SECP256R1())).decode(),
        "key_id": "K" * 10,
        "team_id": "T" * 10,
    }
    return Target(1, "apns", "com.example.app", "", origin, 1, "apns_key", secret)


def a_push(token: str, **members: Any) -> Push:
    """A push to a device token."""
    usual = {"platform": PLATFORM, "ack_id": token, "server_id": "s1", "type": "message", "message": "hi"}
    return Push(device_id=token, **{**usual, **members})


class Pushes:
    """Sends pushes of one app, each a batch of its own."""

    def __init__(self, engine: Engine, origin: str, link: valkey.Link, store: redis.Redis) -> None:
        """origin: where the app's pushes go; link and store: the same Valkey, to settle in and to look at."""
        loop = asyncio.get_running_loop()
        target = apple_target(origin)
        self.dead = DeadDevices(link, b"hash key", Directory())
        fuse = self.fuse = RemoveFuse(link, b"hash key", Directory())
        self._deliverer = Deliverer(loop, engine, Reporter(loop), Settler(link, loop, b"hash key"), fuse, self.dead)
        self._deliverer.routes._known[CUSTOMER, PLATFORM] = Route("apple_rn", 2, 1, False, target, None)
        self._loop, self._store = loop, store
        self._numbers = itertools.count(1)

    def add_spare(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Give the app a second credential."""
        target = self._deliverer.routes._known[CUSTOMER, PLATFORM].target
        assert target is not None
        monkeypatch.setattr(
            self._deliverer.routes, "spare", lambda route: msgspec.structs.replace(target, credential_id=2)
        )

    async def push(self, token: str, **members: str) -> tuple[Attempt, ...]:
        """Push to a device token until it is settled; all attempts that were made."""
        work = self._work(token, **members)
        self._deliverer.begin(work, 0, work.items[0], time.time(), self._loop.time())
        await asyncio.wait_for(work.finished, 30)
        return work.attempts[0]

    def window(self, age: float, **members: str) -> float:
        """The seconds that the first attempt has of a push that was accepted so long ago."""
        windows: list[float] = []
        self._deliverer._senders["apns"].send = lambda tried: windows.append(tried.timeout)  # type: ignore[method-assign]
        work = self._work("ok_late", **members)
        self._deliverer.begin(work, 0, work.items[0], work.items[0].at + age, self._loop.time())
        return windows[0]

    async def refused(self, verdict: Verdict) -> None:
        """End a push with a verdict of our own."""
        work = self._work("ok_refused")
        self._deliverer.end(work, 0, verdict)
        await asyncio.wait_for(work.finished, 30)

    def _work(self, token: str, **members: str) -> BatchProgress:
        item = batch.Item("trace", time.time(), CUSTOMER, 1, 1, 100, a_push(token, **members))
        work = BatchProgress(f"{PROCESS}:{next(self._numbers)}", [item], self._loop.create_future())
        work.started_at = self._loop.time()
        return work

    def told(self) -> list[str]:
        """What the servers of all pushes were told, those that ended first first: "OK", or the text of the FAIL."""
        found = []
        for blob in self._store.lrange(batch.reply_key(PROCESS), 0, -1):
            short, texts = batch.unpack_results(blob)
            found += ["OK" if answer == 0 else str(answer) for _, _, answer in short]
            found += [text for _, _, text in texts]
        return found
