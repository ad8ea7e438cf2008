"""Nobody takes all pages from others: shares of the gates by client and customer, and gates for what takes long."""

import asyncio
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from types import SimpleNamespace
from typing import Any, cast

import pytest
from asgiref.sync import sync_to_async
from django.http import HttpRequest, HttpResponse
from django.urls import get_resolver
from django.urls.resolvers import URLPattern, URLResolver

from hpns.web import page_gates, pages_app
from hpns.web.page_gates import ASKING_NAMES, DOWNLOAD_NAMES, DOWNLOADS, SHARE, AdmittedCustomer, Gates, Place
from hpns.web.page_limit import Shares
from tenants.waiting_outside import outside
from tests.hpns.web.pages_service import Request, Service, serving
from tests.waiting import PATIENCE


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever is refused is told so without delay, and nobody waits long."""
    monkeypatch.setattr(pages_app, "REFUSAL_SECONDS", 0.0)
    monkeypatch.setattr(page_gates, "QUEUE_TIMEOUT", 0.1)


class Views:
    """Views that hold their threads where the query says so, until they are let go."""

    def __init__(self) -> None:
        self.holding = 0
        self.go_on = threading.Event()

    async def __call__(self, scope: dict[str, Any], receive: Any, send: Any) -> None:
        """ASGI's."""
        assert (await receive())["type"] == "http.request"
        if scope["query_string"] == b"outside":
            await sync_to_async(self._wait_outside)()
        if scope["query_string"] == b"hold":
            # As Django does: whoever has left is not waited for, though a thread cannot be told to end.
            left, view = asyncio.ensure_future(receive()), asyncio.ensure_future(sync_to_async(self._hold)())
            await asyncio.wait([left, view], return_when=asyncio.FIRST_COMPLETED)
            if not view.done():
                view.cancel()
                return
            left.cancel()
        if slug := dict(scope["headers"]).get(b"x-let-in-to"):
            scope[page_gates.ADMITTED_KEY] = slug.decode()
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    def _wait_outside(self) -> None:
        with outside():
            self._hold()

    def _hold(self) -> None:
        self.holding += 1
        try:
            assert self.go_on.wait(PATIENCE)
        finally:
            self.holding -= 1


@asynccontextmanager
async def held(*requests: dict[str, Any]) -> AsyncIterator[tuple[Service, Views]]:
    """A service in which these requests hold all that they are given."""
    views = Views()
    async with serving(views) as service:
        tasks = await hold(service, views, *requests)
        try:
            yield service, views
        finally:
            views.go_on.set()
            await asyncio.gather(*tasks)


async def hold(service: Service, views: Views, *requests: dict[str, Any]) -> list["asyncio.Task[Request]"]:
    """Make the requests, and return when each has a place or has been told that there is none."""
    tasks = [asyncio.create_task(service.get(query=b"hold", **request)) for request in requests]
    async with asyncio.timeout(PATIENCE):
        while views.holding + sum(task.done() for task in tasks) < len(tasks):
            await asyncio.sleep(0.01)
    return tasks


async def test_one_client_holds_no_more_than_its_share_of_the_pages() -> None:
    mine: dict[str, Any] = {"path": "/account/login/", "client": "203.0.113.1"}
    async with held(*[mine] * 12) as (service, views):
        assert views.holding == SHARE
        assert (await service.get("/account/login/", client="203.0.113.1")).status == 503
        assert (await service.get("/account/login/", client="203.0.113.2")).status == 200


async def test_one_customer_holds_no_more_than_its_share_from_however_many_addresses() -> None:
    mine = [{"path": "/c/acme/servers/", "client": f"203.0.113.{number}"} for number in range(12)]
    async with held(*mine) as (service, views):
        assert views.holding == SHARE
        assert (await service.get("/c/acme/", client="203.0.113.100")).status == 503
        assert (await service.get("/c/cosmos/", client="203.0.113.100")).status == 200


async def test_strangers_who_write_a_customers_name_use_up_none_of_its_share() -> None:
    ada: dict[str, Any] = {"client": "203.0.113.200", "cookie": "csrftoken=x; sessionid=adas"}
    strangers = [{"path": "/c/acme/", "client": f"203.0.113.{number}"} for number in range(12)]
    views = Views()
    async with serving(views) as service:
        await service.get("/c/acme/", x_let_in_to="acme", **ada)
        tasks = await hold(service, views, *strangers)
        assert (await service.get("/c/acme/", **ada)).status == 200
        # Her session is good for the customer that it was let in to, and for no other name.
        assert (await service.get("/c/acme/", client="203.0.113.201", cookie="sessionid=forged")).status == 503
        views.go_on.set()
        await asyncio.gather(*tasks)


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/c/acme/audit.csv"),
        ("GET", "/c/acme/delivery/pushes.csv"),
        ("POST", "/c/acme/settings/export/"),
    ],
)
async def test_downloads_of_one_customer_are_made_one_by_one_and_take_no_page_from_anybody(
    method: str, path: str
) -> None:
    many = [{"path": path, "method": method, "client": f"203.0.113.{number}"} for number in range(SHARE)]
    async with held(*many) as (service, views):
        assert views.holding == 1
        told = await service.get(path, method=method, client="203.0.113.100")
        assert (told.status, told.headers["retry-after"]) == (503, "15")
        assert (await service.get("/c/acme/", client="203.0.113.1")).status == 200
        assert (await service.get("/c/cosmos/audit.csv", client="203.0.113.100")).status == 200


async def test_only_a_few_downloads_are_made_at_a_time() -> None:
    many = [{"path": f"/c/customer-{number}/audit.csv", "client": f"203.0.113.{number}"} for number in range(6)]
    async with held(*many) as (service, views):
        assert views.holding == DOWNLOADS
        assert (await service.get("/account/login/")).status == 200


async def test_test_pushes_that_wait_for_a_silent_provider_hold_no_place_of_the_pages() -> None:
    many = [
        {"path": f"/c/customer-{number // 4}/test/", "method": "POST", "client": f"203.0.113.{number}"}
        for number in range(16)
    ]
    async with held(*many) as (service, views):
        assert views.holding == page_gates.ASKING
        for number in range(4):
            assert (await service.get(f"/c/customer-{number}/test/", client="203.0.113.100")).status == 200


async def test_whoever_waits_outside_holds_no_place_and_nobody_waits_for_them() -> None:
    many = [
        {"path": f"/c/customer-{number // 4}/test/", "method": "POST", "client": f"203.0.113.{number}"}
        for number in range(4 * page_gates.ASKING)
    ]
    views = Views()
    async with serving(views) as service:
        tasks = [asyncio.create_task(service.get(query=b"outside", **one)) for one in many]
        async with asyncio.timeout(PATIENCE):
            while views.holding < len(many):
                assert not any(task.done() for task in tasks), "none is turned away"
                await asyncio.sleep(0.01)
        for path in ("/c/customer-0/test/", "/account/signup/"):
            told = await service.get(path, method="POST", client="203.0.113.200")
            assert told.status == 200
        views.go_on.set()
        assert {request.status for request in await asyncio.gather(*tasks)} == {200}
        async with asyncio.timeout(PATIENCE):
            while (await service.get(many[0]["path"], method="POST", client="203.0.113.1")).status != 200:
                await asyncio.sleep(0.01)


def test_only_so_many_wait_outside_and_the_next_keep_their_places() -> None:
    gates = Gates()
    gates.waiting = Shares(2, 1)
    places = [Place(gates.asking, gates.waiting, (f"client {number // 2}",)) for number in range(6)]
    for number, place in enumerate(places):
        assert gates.asking.limit._places.take((f"client {number // 2}",)) is None
        place.leave()
        place.leave()
    assert (gates.waiting.in_use, gates.asking.limit._places.in_use) == (2, 4)
    for place in places:
        place.end()
        place.leave()  # the news of a wait that comes after its end
    assert (gates.waiting.in_use, gates.asking.limit._places.in_use) == (0, 0)


async def test_the_view_of_a_caller_who_has_left_keeps_its_place_until_it_ends() -> None:
    views = Views()
    async with serving(views) as service:
        leaving = [service.request("/account/", query=b"hold") for _ in range(SHARE)]
        tasks = [asyncio.create_task(service.run(each)) for each in leaving]
        async with asyncio.timeout(PATIENCE):
            while views.holding < SHARE:
                await asyncio.sleep(0.01)
        for each in leaving:
            each.left.set()
        await asyncio.wait(tasks)
        await asyncio.sleep(0.1)
        assert views.holding == SHARE
        assert (await service.get("/account/")).status == 503
        views.go_on.set()
        async with asyncio.timeout(PATIENCE):
            while (await service.get("/account/")).status != 200:
                await asyncio.sleep(0.01)


def test_the_page_of_a_customer_leaves_word_whose_it_is() -> None:
    request, response = HttpRequest(), HttpResponse()
    scope: dict[str, Any] = {}
    middleware = AdmittedCustomer(lambda _: response)
    assert middleware.process_response(request, response) is response
    cast(Any, request).scope, cast(Any, request).customer = scope, SimpleNamespace(slug="acme")
    middleware.process_response(request, response)
    assert scope == {page_gates.ADMITTED_KEY: "acme"}


def test_sessions_that_were_let_in_are_remembered_within_a_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(page_gates, "REMEMBERED_MAX", 3)
    gates = Gates()
    for number in range(5):
        scope = {"headers": [(b"cookie", b"sessionid=%d" % number)], page_gates.ADMITTED_KEY: "acme"}
        gates.remember(scope)
    gates.remember({"headers": []})
    assert len(gates._admitted) == 3


def names(resolver: URLResolver | None = None) -> set[str]:
    """The names of all URLs."""
    found: set[str] = set()
    for entry in (resolver or get_resolver()).url_patterns:
        if isinstance(entry, URLResolver):
            found |= names(entry)
        elif isinstance(entry, URLPattern) and entry.name:
            found.add(entry.name)
    return found


def test_every_url_that_has_a_gate_of_its_own_is_there() -> None:
    assert (ASKING_NAMES | DOWNLOAD_NAMES) - names() == set()
