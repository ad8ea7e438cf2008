"""Every wait for a provider has an end: each step of a dial, and an idle connection behind which nobody is any more."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import pytest

from delivery.http2.engine import Engine
from delivery.http2.pooled_requests import EARLY_SECONDS
from delivery.outcomes.verdict import NOT_SENT
from tests.delivery.http2.posting import post
from tests.delivery.http2.rough_server import RoughServer
from tests.delivery.http2.test_dial import deaf
from tests.delivery.http2.test_engine import listening

OK = "/3/device/ok"


@asynccontextmanager
async def hanging(step: str, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[tuple[str, str]]:
    """An origin and a proxy at which a dial hangs in this step."""
    async with AsyncExitStack() as stack:
        silent = await stack.enter_async_context(listening(lambda reader, writer: None))
        if step == "name":
            monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", _never)
        if step == "TCP":
            with socket.socket() as free:
                free.bind(("127.0.0.7", 0))
                port = free.getsockname()[1]
            stack.enter_context(deaf(["127.0.0.7"], port))
            yield f"https://127.0.0.7:{port}", ""
            return
        proxies = {"proxy": f"http://127.0.0.1:{silent}", "TLS to the proxy": f"https://127.0.0.1:{silent}"}
        yield f"https://127.0.0.1:{silent}", proxies.get(step, "")


async def _never(*args: Any, **options: Any) -> Any:
    await asyncio.sleep(60)


@pytest.mark.parametrize("step", ["name", "TCP", "proxy", "TLS to the proxy", "TLS"])
async def test_each_step_of_a_dial_has_a_deadline(
    rough: RoughServer, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    monkeypatch.setattr("delivery.http2.dialer.DIAL_SECONDS", 0.2)
    async with hanging(step, monkeypatch) as (origin, proxy):
        engine = Engine(asyncio.get_running_loop(), rough.ca_file, proxy, patient=False)
        seen = await post(engine, origin, OK, seconds=50)
        await engine.close()
    # A proxy of ours that is silent is none of the provider's doing.
    assert (seen.fault, seen.wire) == ("proxy" if "proxy" in step else "timeout_connect", NOT_SENT)
    assert seen.ms < 40_000


async def test_each_request_ends_by_its_own_deadline_whichever_came_first(rough: RoughServer, plain: Engine) -> None:
    ended: list[float] = []

    async def ask(seconds: float) -> None:
        seen = await post(plain, rough.origin, "/3/device/silence", seconds=seconds)
        ended.append(seconds)
        assert (seen.fault, seen.ms >= (seconds - EARLY_SECONDS) * 1000 - 1) == ("timeout", True)

    await post(plain, rough.origin, OK)
    order = (1.6, 0.4, 1.2, 0.8, 0.02)
    await asyncio.gather(*map(ask, order))
    assert ended == sorted(order)


async def test_a_connection_wakes_for_the_first_deadline_alone(rough: RoughServer, plain: Engine) -> None:
    await post(plain, rough.origin, OK, seconds=90)
    [pooled] = plain.channel(rough.origin, 1).connections()
    late, early = (asyncio.ensure_future(post(plain, rough.origin, "/3/device/silence", seconds=s)) for s in (60, 30))
    await asyncio.sleep(0)
    assert pooled._timer is not None
    assert pooled._timer.when() == pytest.approx(asyncio.get_running_loop().time() + 30, abs=1)
    await plain.close()
    assert pooled._timer is None
    assert [(await each).status for each in (late, early)] == [0, 0]


async def test_a_dial_ends_with_the_last_request_that_waits_for_it(
    rough: RoughServer, plain: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with hanging("TLS", monkeypatch) as (origin, _):
        short, long = await asyncio.gather(post(plain, origin, OK, seconds=0.2), post(plain, origin, OK, seconds=0.6))
        assert {short.fault, long.fault} == {"timeout_connect"}
        assert plain.channel_states()[0].connections == 0


async def test_an_idle_connection_that_does_not_answer_a_ping_is_left_before_a_push_comes(
    rough: RoughServer, plain: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("delivery.http2.pooled_connection.PING_AFTER", 0.0)
    monkeypatch.setattr("delivery.http2.pooled_connection.PING_SECONDS", 0.1)
    assert (await post(plain, rough.origin, "/3/device/deaf")).status == 200
    plain._sweep()
    await asyncio.sleep(0.2)
    assert plain.channel_states()[0].connections == 0
    assert (await post(plain, rough.origin, OK)).new_connections == 1


async def test_an_idle_connection_that_answers_is_used_on(
    rough: RoughServer, plain: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("delivery.http2.pooled_connection.PING_AFTER", 0.0)
    assert (await post(plain, rough.origin, OK)).status == 200
    [pooled] = plain.channel(rough.origin, 1).connections()
    connection = pooled._connection
    assert connection is not None
    plain._sweep()
    assert connection.ping_unanswered
    async with asyncio.timeout(30):
        while connection.ping_unanswered:
            await asyncio.sleep(0.01)
    pooled._judge_ping(connection)
    assert (await post(plain, rough.origin, OK)).new_connections == 0
