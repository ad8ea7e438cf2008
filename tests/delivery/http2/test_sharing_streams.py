"""Several tenants on one connection whose streams are all in use: who is sent next."""

import asyncio
from collections.abc import Callable

import pytest

from delivery.http2.engine import Engine
from delivery.http2.stream import Stream
from delivery.http2.waiting_streams import IN_A_ROW, URGENT_MOST, WaitingStreams
from tests.delivery.http2.posting import BODY, FIELD_BLOCK
from tests.delivery.http2.rough_server import RoughServer

STREAMS = 100
"""That the rough server allows at once, as h2 does where it is told nothing else."""
FLOOD, QUIET, OTHER = 1, 2, 3


class Posts:
    """Posts of several tenants through one channel, and the statuses that came."""

    def __init__(self, engine: Engine, rough: RoughServer) -> None:
        self.channel = engine.channel(rough.origin, 1)
        self.statuses: list[int] = []
        self._ends: list[asyncio.Future[None]] = []

    def post(self, tenant: int, name: str, seconds: float = 60.0, *, urgent: bool = False) -> None:
        end: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._ends.append(end)
        path, on_done = f"/3/device/{name}", self._ended(end)
        self.channel.post(path, FIELD_BLOCK, BODY, seconds, on_done, None, tenant, urgent=urgent)

    def _ended(self, end: "asyncio.Future[None]") -> Callable[[Stream], None]:
        def on_done(stream: Stream) -> None:
            self.statuses.append(stream.status)
            end.set_result(None)

        return on_done

    async def all_ended(self) -> None:
        async with asyncio.timeout(100):
            await asyncio.gather(*self._ends)


def order_of(rough: RoughServer, mark: str) -> list[str]:
    """The names of a test's requests, in the order in which they came to the server."""
    return [name for name in rough.complete if mark in name]


async def test_a_quiet_tenants_request_waits_for_no_flood_of_another_ones(plain: Engine, rough: RoughServer) -> None:
    posts = Posts(plain, rough)
    for number in range(5 * STREAMS):
        posts.post(FLOOD, f"slow_a{number}")
    posts.post(QUIET, "slow_aquiet")
    await posts.all_ended()
    assert set(posts.statuses) == {200}
    assert order_of(rough, "slow_a").index("slow_aquiet") < STREAMS


async def test_two_floods_share_and_each_keeps_its_own_order(plain: Engine, rough: RoughServer) -> None:
    posts = Posts(plain, rough)
    for number in range(2 * STREAMS):
        posts.post(FLOOD, f"slow_b1_{number}")
    for number in range(2 * STREAMS):
        posts.post(OTHER, f"slow_b2_{number}")
    await posts.all_ended()
    found = order_of(rough, "slow_b")
    first = found[: 2 * STREAMS]
    assert sum(name.startswith("slow_b1") for name in first) == STREAMS
    for mark in ("slow_b1_", "slow_b2_"):
        numbers = [int(name.removeprefix(mark)) for name in first if name.startswith(mark)]
        assert numbers == sorted(numbers)


async def test_a_call_goes_ahead_of_what_waits_for_a_stream_of_its_own_tenant_and_of_others(
    plain: Engine, rough: RoughServer
) -> None:
    posts = Posts(plain, rough)
    for number in range(3 * STREAMS):
        posts.post(FLOOD, f"slow_c{number}")
        posts.post(OTHER, f"slow_cother{number}")
    posts.post(FLOOD, "slow_ccall", urgent=True)
    await posts.all_ended()
    assert set(posts.statuses) == {200}
    assert order_of(rough, "slow_c").index("slow_ccall") < 2 * STREAMS


def test_urgent_requests_leave_turns_to_others_and_a_flood_of_them_is_none() -> None:
    waiting = WaitingStreams()
    for number in range(URGENT_MOST + 5):
        waiting.add(Stream(b"", b"", 0.0, 0.0, 1.0, None, f"u{number}", FLOOD, urgent=True))
    waiting.add(Stream(b"", b"", 0.0, 0.0, 1.0, None, "q", QUIET))
    tags = [stream.tag for stream in waiting.take_all()]
    assert tags[: IN_A_ROW + 1] == [*(f"u{number}" for number in range(IN_A_ROW)), f"u{URGENT_MOST}"]
    assert tags[2 * IN_A_ROW + 1] == "q"
    assert len(tags) == URGENT_MOST + 6
    assert not waiting.count


def test_an_urgent_request_whose_time_is_up_is_taken_out() -> None:
    waiting = WaitingStreams()
    for tag, deadline in (("late", 1.0), ("call", 2.0)):
        waiting.add(Stream(b"", b"", 0.0, 0.0, deadline, None, tag, FLOOD, urgent=True))
    assert [stream.tag for stream in waiting.take_until(1.0)] == ["late"]
    assert waiting.first().tag == waiting.take().tag == "call"
    assert not waiting.count


def test_who_has_the_least_time_left_is_first_of_its_tenant_and_what_is_too_late_is_taken_out() -> None:
    waiting = WaitingStreams()
    streams = {
        name: Stream(b"", b"", 0.0, 0.0, deadline, None, name, tenant)
        for name, tenant, deadline in (("a3", 1, 3.0), ("a1", 1, 1.0), ("b2", 2, 2.0), ("a2", 1, 2.0), ("b1", 2, 1.0))
    }
    for stream in streams.values():
        waiting.add(stream)
    assert {stream.tag for stream in waiting.take_until(1.0)} == {"a1", "b1"}
    assert waiting.count == 3
    assert waiting.first() is streams["a2"]
    assert [waiting.take().tag for _ in range(3)] == ["a2", "b2", "a3"]
    assert not waiting.count
    for take in (waiting.take, waiting.first):
        with pytest.raises(LookupError):
            take()
    for name in ("a1", "a2", "b1"):
        waiting.add(streams[name])
    assert [stream.tag for stream in waiting.take_all()] == ["a1", "b1", "a2"]
    assert (waiting.count, len(waiting._usual)) == (0, 0)
