"""Pages that follow each other share a connection to the database, and few are kept by threads without a page."""

import asyncio
import threading
from typing import Any

import pytest
from asgiref.sync import sync_to_async
from django.db import connection, connections

from hpns.web.pages_app import WARM
from tenants.waiting_outside import outside
from tests.hpns.web.pages_service import Service, serving
from tests.waiting import PATIENCE

pytestmark = pytest.mark.django_db(transaction=True)


class Views:
    """Views that answer with the process of PostgreSQL that served them; `together`: once so many are there."""

    def __init__(self, together: int) -> None:
        self._all_there = threading.Barrier(together)

    async def __call__(self, scope: dict[str, Any], receive: Any, send: Any) -> None:
        """ASGI's."""
        assert (await receive())["type"] == "http.request"
        views = {b"": _process, b"together": self._together, b"close": self._close, b"outside": self._wait_outside}
        asked = views[scope["query_string"]]
        found = await sync_to_async(asked)()
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": str(found).encode()})

    def _together(self) -> int:
        self._all_there.wait(PATIENCE)
        found = _process()
        self._all_there.wait(PATIENCE)
        return found

    def _wait_outside(self) -> int:
        found = _process()
        with outside():
            self._all_there.wait(PATIENCE)
            self._all_there.wait(PATIENCE)
        return found

    def _close(self) -> None:
        self._all_there.wait(PATIENCE)
        connections.close_all()


def _process() -> int:
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_backend_pid()")
        return int(cursor.fetchone()[0])


async def test_pages_that_follow_each_other_share_a_connection() -> None:
    async with serving(Views(WARM)) as service:
        used = {(await service.get(f"/{number}")).body for number in range(2 * WARM + 2)}
        # The next one may come before the thread of the last one is free.
        assert len(used) <= WARM + 1
        await _at_once(service, WARM, b"close")


async def test_no_more_than_a_few_connections_are_kept_for_pages_to_come() -> None:
    many = WARM + 2
    async with serving(Views(many)) as service:
        used = {int(body) for body in await _at_once(service, many, b"together")}
        assert len(used) == many
        async with asyncio.timeout(PATIENCE):
            while len(await sync_to_async(_open)(used)) != WARM:
                await asyncio.sleep(0.05)
        await _at_once(service, many, b"close")
    await sync_to_async(connections.close_all)()


async def test_whoever_waits_outside_holds_no_connection() -> None:
    views = Views(2)
    async with serving(views) as service:
        waiting = asyncio.create_task(service.get("/c/acme/test/", method="POST", query=b"outside"))
        await asyncio.to_thread(views._all_there.wait, PATIENCE)
        mine = await sync_to_async(_of_this_process)()
        await asyncio.to_thread(views._all_there.wait, PATIENCE)
        assert int((await waiting).body) not in mine
    await sync_to_async(connections.close_all)()


async def _at_once(service: Service, many: int, query: bytes) -> list[bytes]:
    asked = (service.get(query=query, client=f"203.0.113.{number}") for number in range(many))
    return [request.body for request in await asyncio.gather(*asked)]


def _of_this_process() -> set[int]:
    with connection.cursor() as cursor:
        cursor.execute("SELECT pid FROM pg_stat_activity WHERE datname = current_database()")
        return {row[0] for row in cursor.fetchall()}


def _open(processes: set[int]) -> set[int]:
    with connection.cursor() as cursor:
        cursor.execute("SELECT pid FROM pg_stat_activity WHERE pid = ANY(%s)", [list(processes)])
        return {row[0] for row in cursor.fetchall()}
