"""Flow control: a large body waits for the peer's window, and no other request waits for it."""

import asyncio

import pytest
from hyperframe.frame import HeadersFrame, RstStreamFrame, SettingsFrame, WindowUpdateFrame

from delivery.http2.connection_sender import LARGE_BYTES, RESERVED_WINDOW
from delivery.http2.engine import Engine
from delivery.outcomes.verdict import ANSWERED, MAYBE, NOT_SENT
from tests.delivery.http2.peer import connected_peer, headers, outline, result
from tests.delivery.http2.posting import post
from tests.sandbox_fixture import SandboxClient

HUGE = b"x" * 240_000
STREAMS, WINDOW = SettingsFrame.MAX_CONCURRENT_STREAMS, SettingsFrame.INITIAL_WINDOW_SIZE


async def test_small_requests_pass_a_large_one_that_waits_for_the_window() -> None:
    peer = await connected_peer()
    large = [peer.send(HUGE) for _ in range(3)]
    await peer.written_frames()
    assert peer.connection._connection_window == RESERVED_WINDOW
    for _ in range(4):
        assert peer.connection.can_send(4096)
        small = peer.send(b"x" * 4096)
        assert small.wire == MAYBE
    assert outline(await peer.written_frames())[1::2] == [("Data", 7 + 2 * n, 4096) for n in range(4)]
    assert not peer.connection.can_send(1), "the window is used up"
    assert {one.wire for one in large} == {NOT_SENT}


async def test_what_a_window_has_beyond_the_reserve_is_for_large_bodies_one_after_the_other() -> None:
    peer = await connected_peer({WINDOW: 2**20})
    first, second = peer.send(b"x" * 60_000), peer.send(b"x" * 60_000)
    assert [size for name, stream, size in outline(await peer.written_frames()) if name == "Data"] == [
        16_384,
        16_384,
        16_383,
    ]
    found = outline(await peer.deliver(WindowUpdateFrame(0, 20_000)))
    assert [(stream, size) for _, stream, size in found] == [(1, 10_849), (3, 9151)]
    assert (first.wire, second.wire) == (MAYBE, NOT_SENT)
    found = outline(await peer.deliver(WindowUpdateFrame(0, 2**20)))
    assert sum(size for _, _, size in found) == 60_000 - 9151
    assert (second.wire, peer.connection._large) == (MAYBE, {})


async def test_a_large_body_goes_out_while_small_ones_come_and_go() -> None:
    peer = await connected_peer({WINDOW: 2**20})
    large = peer.send(HUGE)
    for number in range(60):
        small = peer.send(b"x" * 4096)
        stream_id = small.stream_id
        await peer.deliver(WindowUpdateFrame(0, 4096 + 5000), headers(stream_id, 200))
        assert result(small) == (200, "", ANSWERED, b""), number
    assert large.wire == MAYBE


@pytest.mark.parametrize("end", ["answered", "reset", "cancelled"])
async def test_a_large_body_whose_stream_has_ended_takes_no_more_of_the_window(end: str) -> None:
    peer = await connected_peer({WINDOW: 2**20})
    large = peer.send(HUGE)
    await peer.written_frames()
    if end == "answered":
        await peer.deliver(headers(1, 413))
    elif end == "reset":
        await peer.deliver(RstStreamFrame(1, 8))
    else:
        peer.connection.cancel(large)
    await peer.written_frames()
    assert outline(await peer.deliver(WindowUpdateFrame(0, 2**20))) == []
    assert (peer.connection._large, peer.connection._cramped, peer.connection.streams) == ({}, {}, {})


async def test_a_request_that_finds_no_window_at_all_is_begun_when_nothing_else_is_under_way() -> None:
    peer = await connected_peer()
    for _ in range(8):
        peer.send(b"x" * LARGE_BYTES)
    assert not peer.connection.can_send(4096)
    await peer.deliver(*[headers(1 + 2 * number, 200) for number in range(8)])
    assert peer.connection.can_send(4096), "the peer may enlarge the window only then"
    last = peer.send(b"x" * 4096)
    await peer.written_frames()
    await peer.deliver(WindowUpdateFrame(0, 8192))
    assert last.wire == MAYBE


async def test_a_large_body_is_a_stream_like_any_other() -> None:
    peer = await connected_peer({STREAMS: 2})
    peer.send(HUGE)
    assert peer.connection.can_send(len(HUGE))
    peer.send(HUGE)
    assert not peer.connection.can_send(1)
    assert [frame.stream_id for frame in await peer.written_frames() if isinstance(frame, HeadersFrame)] == [1, 3]


async def test_quiet_pushes_are_answered_at_once_beside_bodies_that_fill_the_window(
    sandbox: SandboxClient, engine: Engine
) -> None:
    """A provider with RFC 9113's windows far away: of a large body a quarter is sent in each round trip."""
    sandbox.script("*", {"status": 200})
    sandbox.settings(windows={"delay": 0.3})
    large = []
    for number in range(5):
        path = f"/3/device/large{number}"
        large.append(asyncio.create_task(post(engine, sandbox.origin, path, seconds=20, body=HUGE)))
        for _ in range(3):
            seen = await post(engine, sandbox.origin, "/3/device/quiet", seconds=20, body=b"x" * 4096)
            assert (seen.status, any(one.done() for one in large)) == (200, False), "it waited for a large one"
    await engine.close()
    assert {one.fault for one in await asyncio.gather(*large)} == {"stopped"}
    assert len({request["connection"] for request in sandbox.requests("quiet")}) == 1
