"""The HTTP/2 engine: which connection of the pool a request takes, its deadline, and its transport errors."""

import asyncio
import socket
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest
import uvloop

from delivery.http2.engine import MAX_CONNECTIONS, STREAMS_PER_CONNECTION, Engine
from delivery.outcomes.verdict import MAYBE, NOT_SENT
from delivery.sandbox import certificates
from tests.delivery.http2.posting import Seen, post
from tests.delivery.http2.rough_server import RoughServer
from tests.sandbox_fixture import SandboxClient

PATH = "/3/device/" + "ab" * 32


def connections(sandbox: SandboxClient, marker: str) -> set[int]:
    """The connections on which requests with this marker came."""
    return {request["connection"] for request in sandbox.requests(marker)}


@asynccontextmanager
async def listening(serve: Callable[[asyncio.StreamReader, asyncio.StreamWriter], object]) -> AsyncIterator[int]:
    """A plain TCP server on a free port."""
    server = await asyncio.start_server(serve, "127.0.0.1", 0)  # type: ignore[arg-type]
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()


async def test_two_hundred_requests_at_once_share_one_connection(sandbox: SandboxClient, engine: Engine) -> None:
    sandbox.script("*", {"status": 200, "delay": 0.1})
    seen = await asyncio.gather(*(post(engine, sandbox.origin, f"/3/device/share{n}") for n in range(200)))
    assert {one.status for one in seen} == {200}
    assert len(connections(sandbox, "share")) == 1
    assert sum(one.new_connections for one in seen) == 1


async def test_more_requests_than_one_connection_should_carry_may_open_a_few_more(
    sandbox: SandboxClient, engine: Engine
) -> None:
    sandbox.script("*", {"status": 200, "delay": 0.2})
    many = STREAMS_PER_CONNECTION * 3
    seen = await asyncio.gather(*(post(engine, sandbox.origin, f"/3/device/many{n}", seconds=5) for n in range(many)))
    assert {one.status for one in seen} == {200}
    assert 1 <= len(connections(sandbox, "many")) <= MAX_CONNECTIONS


async def test_of_those_that_wait_for_a_connection_the_one_with_the_least_time_left_goes_first(
    rough: RoughServer, plain: Engine
) -> None:
    waits = {"ok_long": 30.0, "ok_short": 10.0, "ok_middle": 20.0, "ok_longest": 30.0}
    await asyncio.gather(*(post(plain, rough.origin, f"/3/device/{name}", seconds=waits[name]) for name in waits))
    assert [name for name in rough.complete if name in waits] == ["ok_short", "ok_middle", "ok_long", "ok_longest"]


async def test_each_credential_has_a_connection_of_its_own(sandbox: SandboxClient, engine: Engine) -> None:
    sandbox.script("own", {"status": 200})
    for credential in (1, 2, 1):
        await post(engine, sandbox.origin, "/3/device/own", credential=credential)
    used = [request["connection"] for request in sandbox.requests("own")]
    assert used[0] == used[2] != used[1]
    assert [(state.credential_id, state.connections, state.in_flight) for state in engine.channel_states()] == [
        (1, 1, 0),
        (2, 1, 0),
    ]


async def test_a_connection_that_answers_nothing_gets_no_further_requests(rough: RoughServer, plain: Engine) -> None:
    assert (await post(plain, rough.origin, "/3/device/ok")).new_connections == 1
    assert (await post(plain, rough.origin, "/3/device/silence", seconds=0.3)).fault == "timeout"
    assert (await post(plain, rough.origin, "/3/device/ok")).new_connections == 1
    assert (await post(plain, rough.origin, "/3/device/ok")).new_connections == 0


async def test_requests_leave_a_quiet_connection_before_the_first_of_them_has_timed_out(
    rough: RoughServer, plain: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("delivery.http2.pooled_connection.UNRESPONSIVE_SECONDS", 0.2)
    await post(plain, rough.origin, "/3/device/ok")
    stuck = asyncio.create_task(post(plain, rough.origin, "/3/device/silence", seconds=2.0))
    await asyncio.sleep(0.3)
    seen = await post(plain, rough.origin, "/3/device/ok")
    assert (seen.status, seen.new_connections, stuck.done()) == (200, 1, False)
    assert plain.channel_states()[0].connections == 2
    assert (await stuck).fault == "timeout"
    await asyncio.sleep(0.05)
    assert plain.channel_states()[0].connections == 1


async def test_what_was_not_written_yet_when_a_connection_ends_goes_out_on_the_next(
    rough: RoughServer, plain: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("delivery.http2.engine.MAX_CONNECTIONS", 1)
    await post(plain, rough.origin, "/3/device/ok")
    # The server takes a hundred at once, and says goodbye after the first.
    names = ["drain_then", *(f"silence_{n}_then" for n in range(99)), *(f"ok_{n}_then" for n in range(5))]
    seen = await asyncio.gather(*(post(plain, rough.origin, f"/3/device/{name}") for name in names))
    assert (seen[0].status, {one.fault for one in seen[1:100]}) == (200, {"goaway"})
    assert {one.status for one in seen[100:]} == {200}
    assert [rough.complete[name] for name in names[100:]] == [1] * 5


async def test_one_hanging_request_does_not_cost_a_connection_that_answers_others(
    sandbox: SandboxClient, engine: Engine
) -> None:
    sandbox.scripts({"feed": [{"hang": True}], "c0de": [{"status": 200}]})
    stuck = asyncio.create_task(post(engine, sandbox.origin, "/3/device/feed", seconds=0.6))
    for _ in range(5):
        await asyncio.sleep(0.1)
        assert (await post(engine, sandbox.origin, "/3/device/c0de")).status == 200
    assert (await stuck).fault == "timeout"
    assert (await post(engine, sandbox.origin, "/3/device/c0de")).new_connections == 0
    assert len(connections(sandbox, "c0de")) == 1


async def test_requests_that_follow_each_other_have_each_its_own_timeout(
    sandbox: SandboxClient, engine: Engine
) -> None:
    sandbox.scripts({"feed": [{"hang": True}], "c0de": [{"status": 200, "delay": 0.5}]})
    for seconds in (0.3, 1.2, 0.3):
        assert (await post(engine, sandbox.origin, "/3/device/c0de", seconds=2)).status == 200
        seen = await post(engine, sandbox.origin, "/3/device/feed", seconds=seconds)
        assert seen.fault == "timeout"
        # Long ones may be cut by a little, never exceeded: the deadline of the push depends on it.
        assert seconds * 1000 - 64 <= seen.ms < seconds * 1000 + 250


async def test_a_provider_that_takes_the_connection_and_says_nothing_costs_the_timeout_and_no_more(
    engine: Engine,
) -> None:
    async with listening(lambda reader, writer: None) as port:
        began = time.monotonic()
        seen = await asyncio.gather(*(post(engine, f"https://localhost:{port}", PATH, seconds=0.4) for _ in range(50)))
        assert time.monotonic() - began < 10  # one after the other they would take 20 s
    assert {(one.fault, one.wire) for one in seen} == {("timeout_connect", NOT_SENT)}


async def test_a_host_that_takes_no_connection_at_all_costs_the_timeout_and_no_more(engine: Engine) -> None:
    with socket.socket() as deaf:
        deaf.bind(("127.0.0.1", 0))
        deaf.listen(0)
        port = deaf.getsockname()[1]
        fill = [socket.socket() for _ in range(3)]
        for one in fill:
            one.setblocking(False)
            one.connect_ex(("127.0.0.1", port))
        seen = await post(engine, f"https://127.0.0.1:{port}", PATH, seconds=0.4)
        for one in fill:
            one.close()
    assert (seen.fault, seen.wire) == ("timeout_connect", NOT_SENT)
    assert seen.ms < 1500


async def test_a_name_that_does_not_exist_is_said_so(hasty: Engine) -> None:
    seen = await post(hasty, "https://push.invalid", PATH)
    assert (seen.fault, seen.wire) in {("dns", NOT_SENT), ("timeout_connect", NOT_SENT)}


async def test_a_port_where_nobody_listens_is_said_so(hasty: Engine) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        seen = await post(hasty, f"https://127.0.0.1:{free.getsockname()[1]}", PATH)
    assert (seen.fault, seen.wire) == ("connect", NOT_SENT)


async def test_a_certificate_of_a_stranger_is_not_accepted(sandbox: SandboxClient, hasty: Engine) -> None:
    sandbox.mode("wrong_certificate")
    seen = await post(hasty, sandbox.origin, PATH)
    assert (seen.fault, seen.wire) == ("tls", NOT_SENT)
    assert sandbox.requests("ab" * 32) == []


async def test_without_a_ca_file_only_public_authorities_are_trusted(sandbox: SandboxClient) -> None:
    engine = Engine(asyncio.get_running_loop(), patient=False)
    seen = await post(engine, sandbox.origin, PATH)
    await engine.close()
    assert (seen.fault, seen.wire) == ("tls", NOT_SENT)


async def test_a_server_without_http2_is_refused(sandbox: SandboxClient) -> None:
    engine = Engine(asyncio.get_running_loop(), sandbox.ca_file, patient=False)
    async with _http1(sandbox) as port:
        seen = await post(engine, f"https://localhost:{port}", PATH)
    await engine.close()
    assert (seen.status, seen.fault, seen.wire) == (0, "protocol", NOT_SENT)


@asynccontextmanager
async def _http1(sandbox: SandboxClient) -> AsyncIterator[int]:
    tls = certificates.context(sandbox.folder, "server")
    tls.set_alpn_protocols(["http/1.1"])

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(100)
        writer.write(b"HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\n\r\n")
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=tls)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()


async def test_closing_the_engine_ends_what_is_under_way(sandbox: SandboxClient, engine: Engine) -> None:
    sandbox.script("feed", {"hang": True})
    under_way = [asyncio.create_task(post(engine, sandbox.origin, "/3/device/feed", seconds=5)) for _ in range(3)]
    assert len(await asyncio.to_thread(sandbox.requests, "feed", count=3)) == 3
    await engine.close()
    seen: list[Seen] = await asyncio.gather(*under_way)
    assert {(one.fault, one.wire) for one in seen} == {("stopped", MAYBE)}


async def test_a_channel_that_nobody_uses_is_closed(rough: RoughServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("delivery.http2.engine.SWEEP_SECONDS", 0.05)
    engine = Engine(asyncio.get_running_loop(), rough.ca_file)
    await post(engine, rough.origin, "/3/device/ok")
    assert len(engine.channel_states()) == 1
    monkeypatch.setattr("delivery.http2.engine.IDLE_SECONDS", 0.1)
    for _ in range(1200):
        await asyncio.sleep(0.05)
        if not engine.channel_states():
            break
    assert engine.channel_states() == []
    monkeypatch.setattr("delivery.http2.engine.IDLE_SECONDS", 60)
    assert (await post(engine, rough.origin, "/3/device/ok")).status == 200
    await engine.close()


async def test_a_channel_on_which_a_request_is_under_way_is_not_closed(
    sandbox: SandboxClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("delivery.http2.engine.SWEEP_SECONDS", 0.02)
    monkeypatch.setattr("delivery.http2.engine.IDLE_SECONDS", 0)
    engine = Engine(asyncio.get_running_loop(), sandbox.ca_file)
    sandbox.script("feed", {"delay": 0.3})
    seen = await post(engine, sandbox.origin, "/3/device/feed", seconds=10)
    assert seen.error == ""
    assert seen.status == 200
    await engine.close()


def test_it_runs_on_uvloop(provider_process: SandboxClient) -> None:
    async def twenty() -> list[Seen]:
        engine = Engine(asyncio.get_running_loop(), provider_process.ca_file)
        seen = await asyncio.gather(*(post(engine, provider_process.origin, PATH) for _ in range(20)))
        await engine.close()
        return seen

    assert {one.status for one in uvloop.run(twenty())} == {403}


async def test_what_a_callers_mistake_raises_stays_with_the_caller(
    sandbox: SandboxClient, engine: Engine, caplog: pytest.LogCaptureFixture
) -> None:
    def stumble(stream: object) -> None:
        raise RuntimeError("in the caller's callback")

    engine.channel(sandbox.origin, 1).post(PATH, b"", b"{}", 2.0, stumble)
    await asyncio.sleep(0.2)
    assert (await post(engine, sandbox.origin, PATH)).status == 403
    assert "in the caller's callback" in caplog.text
