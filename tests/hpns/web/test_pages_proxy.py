"""The way of a page: what of a request travels to the pages process, what is refused on the way, and who waits."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from hpns.web import page_gates, pages_app, pages_client, pages_proxy
from hpns.web.pages_proxy import BODY_MAX, BYTES_EACH, HEADERS_MAX, LINES_MAX, REQUESTS_EACH, TARGET_MAX, UPLOAD_MAX
from tests.hpns.web.pages_service import Request, Service, echo, listening, serving
from tests.waiting import PATIENCE

UPLOAD = "/c/acme/apps/7/credentials/"
SESSION = "csrftoken=x; sessionid=abc"


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever is refused is told so without delay."""
    for module in (pages_proxy, pages_app):
        monkeypatch.setattr(module, "REFUSAL_SECONDS", 0.0)
    monkeypatch.setattr(pages_proxy, "DISCARD_SECONDS", 0.01)


async def begun(service: Service, *requests: Request) -> list["asyncio.Task[Request]"]:
    """Run requests, and return once the proxy has taken note of each."""
    tasks = [asyncio.create_task(service.run(each)) for each in requests]
    await asyncio.sleep(0.05)
    return tasks


# --- What travels


async def test_who_asks_and_by_which_name_is_the_scopes_own_again_and_no_header_can_say_otherwise() -> None:
    async with serving(echo) as service:
        await service.get(
            "/account/",
            query=b"next=%2Fc%2F&x=a+b",
            x_hpns_client="http 127.0.0.1 1",
            X_Hpns_Client="http 127.0.0.1 1",
            x_forwarded_for="127.0.0.1",
            connection="close, x-hpns-client, cookie",
            cookie="sessionid=ä",
            te="trailers",
        )
        (scope,) = service.seen
    assert (scope["client"], scope["scheme"]) == (("203.0.113.9", 4711), "https")
    assert (scope["path"], scope["query_string"]) == ("/account/", b"next=%2Fc%2F&x=a+b")
    headers = dict(scope["headers"])
    assert (headers[b"host"], headers[b"cookie"]) == (b"push.example.com", "sessionid=ä".encode())
    assert b"x-hpns-client" not in headers
    assert b"te" not in headers


@pytest.mark.parametrize("path", ["/", "//", "/..", "/a/./b", "/%2e%2e", "/\0", "/ä b?c#d", "/probe"])
async def test_a_path_arrives_as_it_was_asked_for(path: str) -> None:
    async with serving(echo) as service:
        assert (await service.get(path)).status == 200
        assert service.seen[0]["path"] == path


@pytest.mark.parametrize("size", [0, 1, BODY_MAX])
async def test_a_body_arrives_whole(size: int) -> None:
    async with serving(echo) as service:
        assert (await service.get(method="POST", body=b"b" * size)).body == b"b" * size


async def test_a_method_that_http_does_not_know_is_a_bad_request() -> None:
    async with serving(echo) as service:
        assert (await service.get(method="NO SUCH")).status == 400


async def test_whoever_reaches_the_socket_without_being_a_web_process_gets_nothing() -> None:
    async with serving(echo) as service:
        reader, writer = await asyncio.open_unix_connection(str(service.path))
        writer.write(b"GET / HTTP/1.1\r\nHost: push.example.com\r\nConnection: close\r\n\r\n")
        assert (await reader.read()).startswith(b"HTTP/1.1 400 ")
        writer.close()
        assert service.seen == []


# --- What is refused


async def test_a_head_that_is_larger_than_any_browsers_is_refused_before_anybody_works_on_it() -> None:
    async with serving(echo) as service:
        assert (await service.get("/" + "a" * TARGET_MAX, method="POST")).status == 414
        assert (await service.get(query=b"a" * TARGET_MAX)).status == 414
        assert (await service.get(cookie="a" * HEADERS_MAX)).status == 431
        assert service.seen == []


@pytest.mark.parametrize(
    ("path", "cookie", "most"),
    [
        ("/account/login/", SESSION, BODY_MAX),
        (UPLOAD, "", BODY_MAX),
        (UPLOAD, SESSION, UPLOAD_MAX),
        ("/c/acme/licence/", SESSION, UPLOAD_MAX),
        ("/c/acme/sla/reconcile/", SESSION, LINES_MAX),
        ("/c/acme/sla/reconcile/", "", BODY_MAX),
        ("/admin/tenants/pushapp/add/", SESSION, UPLOAD_MAX),
        ("/admin/tenants/pushapp/12/change/", SESSION, UPLOAD_MAX),
        (f"{UPLOAD}7/check/", SESSION, BODY_MAX),
    ],
)
async def test_only_uploads_of_people_who_are_logged_in_may_be_large(path: str, cookie: str, most: int) -> None:
    async with serving(echo) as service:
        assert (await service.get(path, method="POST", body=b"b" * most, cookie=cookie)).status == 200
        refused = await service.get(path, method="POST", body=b"b" * (most + 1), cookie=cookie)
        assert (refused.status, refused.headers["connection"]) == (413, "close")
        # One that only says so is not waited for.
        withheld = await service.get(path, method="POST", body=None, cookie=cookie, content_length=str(most + 1))
        assert withheld.status == 413
        assert len(service.seen) == 1


async def test_bodies_that_never_come_hold_a_bounded_share_and_others_are_served(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with serving(echo) as service:
        fit = BYTES_EACH // BODY_MAX
        withheld = [service.request(method="POST", body=None, content_length=str(BODY_MAX)) for _ in range(fit + 3)]
        tasks = await begun(service, *withheld)
        assert [task.done() for task in tasks] == [False] * fit + [True] * 3
        assert {task.result().status for task in tasks[fit:]} == {503}
        other = await service.get(method="POST", body=b"b" * BODY_MAX, client="203.0.113.10")
        assert other.status == 200
        for each in withheld:
            each.left.set()
        await asyncio.wait(tasks)
        assert (await service.get(method="POST", body=b"b" * BODY_MAX)).status == 200


async def test_a_body_that_does_not_come_in_time_is_told_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pages_proxy, "BODY_SECONDS", 0.05)
    async with serving(echo) as service:
        assert (await service.get(method="POST", body=None, content_length="5")).status == 408


async def test_one_client_has_a_bounded_number_of_requests_under_way() -> None:
    async with serving(echo) as service:
        held = [service.request(method="POST", body=None, content_length="1") for _ in range(REQUESTS_EACH)]
        tasks = await begun(service, *held)
        refused = await service.get()
        assert (refused.status, refused.headers["retry-after"]) == (503, "5")
        assert (await service.get(client="203.0.113.10")).status == 200
        for each in held:
            each.left.set()
        await asyncio.wait(tasks)
        assert (await service.get()).status == 200


# --- Pages that are not there


async def test_without_a_pages_process_the_answer_is_503_and_says_when_to_come_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(pages_client, "CONNECT_SECONDS", 0.2)
    service = Service(tmp_path / "pages.sock")
    for _ in range(2):
        found = await service.get()
        assert (found.status, found.headers["retry-after"]) == (503, "5")
    assert caplog.text.count("the pages process does not answer") == 1
    assert "ClientConnectorError" in await service.proxy.probe(1)
    await service.proxy.close()


async def test_a_pages_process_that_is_just_being_started_is_waited_for(tmp_path: Path) -> None:
    service = Service(tmp_path / "pages.sock")
    task = asyncio.create_task(service.get())
    await asyncio.sleep(0.2)
    async with listening(service.path, echo):
        assert (await task).status == 200
        assert await service.proxy.probe(5) == ""
        await service.proxy.close()


async def test_a_page_that_never_comes_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pages_client, "CONNECT_SECONDS", 0.1)
    monkeypatch.setattr(pages_client, "RESPONSE_SECONDS", 0.1)

    async def hanging(_scope: dict[str, Any], _receive: Any, _send: Any) -> None:
        await asyncio.sleep(60)

    async with serving(hanging) as service:
        assert (await service.get()).status == 503


async def test_an_answer_that_breaks_off_while_it_is_made_is_never_begun() -> None:
    async def breaking(_scope: dict[str, Any], _receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"half", "more_body": True})
        raise RuntimeError("the database went away")

    async with serving(breaking) as service:
        found = await service.get()
        assert found.status == 500
        assert b"half" not in found.body


# --- Who leaves, and who reads slowly


async def test_whoever_leaves_ends_what_was_done_for_them() -> None:
    ended = asyncio.Event()

    async def waiting(_scope: dict[str, Any], receive: Any, _send: Any) -> None:
        while (await receive())["type"] != "http.disconnect":
            pass
        ended.set()

    async with serving(waiting) as service:
        request = service.request()
        (task,) = await begun(service, request)
        request.left.set()
        await task
        async with asyncio.timeout(PATIENCE):
            await ended.wait()


async def test_a_slow_reader_holds_no_place_and_what_it_has_not_taken_waits_in_a_file() -> None:
    size = 8 * 1024 * 1024

    async def large(_scope: dict[str, Any], _receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        for _ in range(8):
            await send({"type": "http.response.body", "body": b"l" * (size // 8), "more_body": True})
        await send({"type": "http.response.body", "body": b""})

    async with serving(large) as service:
        readers = [service.request(client=f"203.0.113.{number}") for number in range(page_gates.CONCURRENT + 1)]
        for each in readers:
            each.taking.clear()
        tasks = await begun(service, *readers)
        async with asyncio.timeout(PATIENCE):
            while len(service.seen) < len(readers):
                await asyncio.sleep(0.01)
        for each in readers[1:]:
            each.left.set()
        readers[0].taking.set()
        await asyncio.wait(tasks)
        assert readers[0].headers["content-length"] == str(size)
        assert len(readers[0].body) == size
