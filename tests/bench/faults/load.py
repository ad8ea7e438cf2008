"""Pushes of several customers at a rate, whether answers come or not; each with what its server was told.

An open loop on a thread of its own: the thread that kills and starts processes is another. A connection is used again
while it lives, as a Mattermost server does it, and nothing is sent twice.
"""

import asyncio
import contextlib
import json
import random
import secrets
import threading
import time
from collections import deque
from typing import Any, Final, NamedTuple

from tests.bench.faults.records import GONE, NO_ANSWER, RESET, UNREACHED, Told, code_of
from tests.stage import a_push

GIVEN_UP: Final = 30.0
"""Seconds that a Mattermost server waits for an answer."""
CONNECTIONS_MOST: Final = 1_000
"""Connections at a time; a push that finds none free waits, and is late for it."""


class Kind(NamedTuple):
    """A kind of push: how many in a hundred, and what is other than in an ordinary one."""

    name: str
    share: int
    members: dict[str, Any]


KINDS: Final = (
    Kind("message", 52, {}),
    Kind("android", 26, {"platform": "android_rn-v2"}),
    Kind("clear", 6, {"type": "clear", "message": ""}),
    Kind("badge", 3, {"type": "update_badge", "message": ""}),
    Kind("call", 6, {"transport": "voip", "sub_type": "calls"}),
    Kind("slow", 5, {"device_id": "dead0001"}),
    Kind("gone", 2, {"device_id": GONE}),
)


class Customer(NamedTuple):
    """Whose pushes: a name and its server's key."""

    name: str
    key: str


class Load:
    """`rate` pushes a second from start() to stop(); `told` by ack_id."""

    def __init__(self, port: int, customers: list[Customer], rate: float, seed: int) -> None:
        self.port, self.customers, self.rate = port, customers, rate
        self.name = f"f{secrets.token_hex(3)}"  # begins each ack_id
        self.told: dict[str, Told] = {}
        self._random = random.Random(seed)  # noqa: S311 - replayed by its seed
        self._idle: deque[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = deque()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._run()), daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self) -> None:
        """Begin no more, and wait until each has its answer or none. Raises AssertionError when that does not come."""
        self._stopping.set()
        self._thread.join(GIVEN_UP + 30)
        assert not self._thread.is_alive(), "the load does not end"

    async def _run(self) -> None:
        places = asyncio.Semaphore(CONNECTIONS_MOST)
        pushing: set[asyncio.Task[None]] = set()
        started, count = time.monotonic(), 0
        while not self._stopping.is_set():
            # What is due by now, so that a machine that stood still catches up.
            for _ in range(int((time.monotonic() - started) * self.rate) - count):
                count += 1
                task = asyncio.create_task(self._push(count, places))
                pushing.add(task)
                task.add_done_callback(pushing.discard)
            await asyncio.sleep(0.005)
        if pushing:
            await asyncio.wait(pushing, timeout=GIVEN_UP + 10)
        for _, writer in self._idle:
            writer.close()

    async def _push(self, number: int, places: asyncio.Semaphore) -> None:
        customer = self.customers[number % len(self.customers)]
        kind = self._random.choices(KINDS, [each.share for each in KINDS])[0]
        ack_id = f"{self.name}-{number}"
        push = a_push(ack_id=ack_id, **kind.members)
        push["device_id"] = self._device(push)
        request = _request(customer.key, json.dumps(push).encode())
        told = self.told[ack_id] = Told(ack_id, customer.name, kind.name, time.time(), gone=kind.name == "gone")
        async with places:
            told.at, started = time.time(), time.monotonic()
            try:
                async with asyncio.timeout(GIVEN_UP):
                    reader, writer = await self._connection()
                    (told.status, told.code), is_kept = await _answered(reader, writer, request)
                if is_kept:
                    self._idle.append((reader, writer))
                else:
                    writer.close()
            except ConnectionRefusedError:
                told.status = UNREACHED
            except ConnectionResetError:
                told.status = RESET
            except asyncio.IncompleteReadError as ended:
                told.status = NO_ANSWER if ended.partial else RESET
            except (OSError, TimeoutError, ValueError):
                told.status = NO_ANSWER
            told.seconds = time.monotonic() - started

    def _device(self, push: dict[str, Any]) -> str:
        if push["platform"].startswith("android"):
            return f"fine:{self._random.randbytes(68).hex()}"
        marker: str = push["device_id"][:8] if push["device_id"].startswith("dead0") else ""
        return marker + self._random.randbytes(32).hex()[len(marker) :]

    async def _connection(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """A connection: an idle one, or one that is made."""
        while self._idle:
            reader, writer = self._idle.pop()
            if not reader.at_eof() and not writer.is_closing():
                return reader, writer
            writer.close()
        return await asyncio.open_connection("127.0.0.1", self.port)


def _request(key: str, body: bytes) -> bytes:
    head = f"POST /t/{key}/api/v1/send_push HTTP/1.1\r\nHost: push\r\nUser-Agent: Mattermost-Bot/1.1\r\n"
    return head.encode() + b"Content-Length: %d\r\n\r\n%b" % (len(body), body)


async def _answered(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, request: bytes
) -> tuple[tuple[str, str], bool]:
    """Status and code of the answer, and whether the connection may be used again. Raises OSError, IncompleteReadError,
    ValueError: there is none."""
    try:
        writer.write(request)
        head = (await reader.readuntil(b"\r\n\r\n")).lower()
        length = int(head.partition(b"content-length:")[2].split(b"\r\n", 1)[0])
        body = await reader.readexactly(length)
        if not head.startswith(b"http/1.1 200"):
            raise ValueError(head.partition(b"\r\n")[0])
        return code_of(body), b"\r\nconnection: close" not in head
    except BaseException:
        with contextlib.suppress(OSError):
            writer.close()
        raise
