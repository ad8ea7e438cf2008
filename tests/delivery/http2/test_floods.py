"""A peer that floods a connection costs bounded time and memory: it is left, and what it took is accounted for."""

import asyncio
from collections.abc import Callable, Iterator

import pytest
from hpack import Encoder
from hyperframe.frame import (
    ContinuationFrame,
    DataFrame,
    Frame,
    GoAwayFrame,
    HeadersFrame,
    PingFrame,
    PriorityFrame,
    RstStreamFrame,
    SettingsFrame,
    WindowUpdateFrame,
)

from delivery.http2 import connection_responses, frames
from delivery.http2.connection_sender import MAX_RESPONSE_BYTES, MAX_RESPONSE_FIELDS
from delivery.http2.turns import TURN_BYTES
from delivery.outcomes.verdict import ANSWERED, MAYBE
from tests.delivery.http2.peer import Peer, connected_peer, headers, result

Flood = Callable[[int], Frame | bytes]
FLOODS: dict[str, Flood] = {
    "PING": lambda n: PingFrame(0, bytes(8)),
    "answers to no PING": lambda n: PingFrame(0, bytes(8), flags=["ACK"]),
    "RST_STREAM of no stream": lambda n: RstStreamFrame(3, 8),
    "WINDOW_UPDATE": lambda n: WindowUpdateFrame(1, 1),
    "WINDOW_UPDATE of the connection": lambda n: WindowUpdateFrame(0, 1),
    "PRIORITY": lambda n: PriorityFrame(1),
    "an unknown type": lambda n: frames.frame(0xFA, 0, 0, b"x"),
    "empty DATA": lambda n: DataFrame(1),
    "empty DATA with padding": lambda n: DataFrame(1, pad_length=9, flags=["PADDED"]),
    "empty DATA with a flag of no meaning": lambda n: frames.frame(frames.DATA, 2, 1),
    "DATA of no stream": lambda n: DataFrame(3, b"x"),
    "HEADERS of no stream": lambda n: headers(3, 200),
    "interim answers": lambda n: headers(1, 103, flags=()),
}
EXPENSIVE: dict[str, Flood] = {
    "SETTINGS": lambda n: SettingsFrame(0, {SettingsFrame.INITIAL_WINDOW_SIZE: 65_535 + n % 2}),
    "acknowledged SETTINGS": lambda n: SettingsFrame(0, flags=["ACK"]),
    "GOAWAY": lambda n: GoAwayFrame(0, last_stream_id=2**31 - 1),
    "interim answers with many fields": lambda n: headers(1, 103, *[("link", "x" * 60)] * 100, flags=()),
}


@pytest.mark.parametrize("flood", FLOODS.values(), ids=FLOODS)
async def test_a_flood_of_frames_that_answer_nothing_ends_the_connection(
    flood: Flood, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> None:
    monkeypatch.setattr(connection_responses, "MAX_CONTROL_FRAMES", 200)
    peer = await connected_peer()  # its SETTINGS count as a hundred
    stream = peer.send()
    peer.connection.cancel(peer.send())
    if "empty DATA" in request.node.name:
        await peer.deliver(headers(1, 400, flags=()))
        await peer.deliver(*[PingFrame(0, bytes(8))] * 100)
    await peer.deliver(*map(flood, range(98)))
    assert not peer.lost
    await peer.deliver(*map(flood, range(98, 102)))
    assert (peer.lost, peer.closed, peer.lost_texts) == (["protocol"], True, ["flood of frames that answer nothing"])
    assert stream.wire == (ANSWERED if stream.status else MAYBE)


@pytest.mark.parametrize("flood", EXPENSIVE.values(), ids=EXPENSIVE)
async def test_a_flood_of_what_costs_more_ends_the_connection_earlier(flood: Flood) -> None:
    peer = await connected_peer()
    peer.send()
    await peer.deliver(*map(flood, range(98)))
    assert not peer.lost
    await peer.deliver(*map(flood, range(98, 140)))
    assert (peer.closed, peer.lost_texts) == (True, ["flood of frames that answer nothing"])


@pytest.mark.parametrize("flood", [FLOODS["WINDOW_UPDATE"], FLOODS["PING"]])
async def test_a_busy_peer_that_answers_may_send_as_many_between_its_answers(
    flood: Flood, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection_responses, "MAX_CONTROL_FRAMES", 200)
    peer = await connected_peer()
    for number in range(10):
        stream = peer.send()
        await peer.deliver(*map(flood, range(90)), headers(1 + 2 * number, 200))
        assert stream.status == 200
    assert not peer.lost


async def test_a_read_is_processed_in_turns_and_nothing_more_is_read_meanwhile() -> None:
    peer = await connected_peer()
    stream = peer.send()
    pings = 200_000 // 17
    peer.connection.data_received(
        PingFrame(0, bytes(8)).serialize() * (pings // 2) + headers(1, 400, flags=()).serialize()
    )
    assert peer.reading_paused
    assert len(peer.connection._write_buffer) < 2, "nothing of it is processed in the turn in which it came"
    others = 0
    while not stream.status:
        before = peer.connection._control_frames
        await asyncio.sleep(0)
        others += 1
        assert peer.connection._control_frames - before <= TURN_BYTES // 17 + 1
    assert others >= pings // 2 * 17 // TURN_BYTES
    peer.connection.data_received(DataFrame(1, b"{}", flags=["END_STREAM"]).serialize())
    await peer.deliver()
    assert (result(stream), peer.reading_paused, peer.lost) == ((400, "", ANSWERED, b"{}"), False, [])


async def test_what_came_before_the_end_of_a_connection_is_processed_before_it() -> None:
    peer = await connected_peer()
    stream = peer.send()
    peer.connection.data_received(PingFrame(0, bytes(8)).serialize() * 2_000 + headers(1, 200).serialize())
    peer.connection.connection_lost(None)
    assert (stream.status, peer.ended, peer.lost) == (200, [stream], ["closed"])


async def test_windows_that_grow_in_small_steps_are_looked_at_once_for_all_that_wait() -> None:
    peer = await connected_peer()
    for _ in range(5):
        peer.send(b"x" * 20_000)
    looks = peer.capacity_calls
    await peer.deliver(*[WindowUpdateFrame(0, 1)] * 1_000)
    assert peer.capacity_calls == looks + 1


async def test_a_new_window_size_concerns_only_requests_that_wait() -> None:
    peer = await connected_peer()
    whole = peer.send()
    await peer.deliver(SettingsFrame(0, {SettingsFrame.INITIAL_WINDOW_SIZE: 7}))
    waiting = peer.send(b"x" * 40)
    await peer.deliver(SettingsFrame(0, {SettingsFrame.INITIAL_WINDOW_SIZE: 9}))
    assert (whole.send_window, len(waiting.unsent_body)) == (0, 31)


def _fragments(size: int) -> Iterator[Frame]:
    """A header block that goes on and on."""
    yield HeadersFrame(1, b"\x00\x01x")
    while True:
        yield ContinuationFrame(1, b"x" * size)


@pytest.mark.parametrize("size", [0, 1, 16_384])
async def test_a_header_block_without_an_end_is_kept_no_longer_than_the_limit(size: int) -> None:
    peer = await connected_peer()
    peer.send()
    delivered = 0
    for frame in _fragments(size):
        await peer.deliver(frame)
        delivered += 1
        if peer.lost:
            break
        assert len((peer.connection._parser._block or (0, 0, b""))[2]) <= MAX_RESPONSE_FIELDS
    assert delivered <= 34
    assert peer.lost == ["protocol"]


async def test_fields_that_a_small_block_unpacks_to_are_bounded() -> None:
    encoder = Encoder()
    block = encoder.encode([(":status", "400"), ("x", "y" * 3000)])
    repeated = b"\xbe" * 4000  # 4,000 times the field that stands in the table now: 12 MB of 4 KB
    peer = await connected_peer()
    stream = peer.send()
    await peer.deliver(HeadersFrame(1, block + repeated, flags=["END_HEADERS", "END_STREAM"]))
    assert (peer.lost, stream.status) == (["protocol"], 0)


async def test_a_body_is_kept_no_longer_than_the_limit_and_only_while_its_stream_is_open() -> None:
    peer = await connected_peer()
    stream = peer.send()
    await peer.deliver(headers(1, 400, flags=()))
    for _ in range(100):
        await peer.deliver(DataFrame(1, b"x" * 16_384))
        assert len(stream.body) <= MAX_RESPONSE_BYTES
    assert (result(stream), peer.lost) == ((400, "", ANSWERED, b""), [])


async def test_answers_to_a_peer_that_reads_nothing_are_bounded() -> None:
    peer = Peer()
    await peer.deliver(SettingsFrame(0))
    peer.connection.pause_writing()
    peer.write_buffer_size = 1_100_000
    await peer.deliver(PingFrame(0, bytes(8)))
    assert peer.lost_texts == ["peer that asks and reads nothing"]


async def test_no_request_is_written_to_a_peer_that_reads_nothing() -> None:
    peer = await connected_peer()
    peer.connection.pause_writing()
    peer.connection.hold()
    assert not peer.connection.can_send(1)
    peer.connection.release()
    assert not peer.connection.can_send(1), "it reads as slowly as before"
    peer.connection.resume_writing()
    assert peer.connection.can_send(1)
