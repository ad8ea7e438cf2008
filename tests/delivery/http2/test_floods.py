"""A peer that floods a connection costs bounded time and memory: it is left, and what it took is accounted for."""

from collections.abc import Callable, Iterator

import pytest
from hpack import Encoder
from hyperframe.frame import (
    ContinuationFrame,
    DataFrame,
    Frame,
    HeadersFrame,
    PingFrame,
    PriorityFrame,
    RstStreamFrame,
    SettingsFrame,
    WindowUpdateFrame,
)

from delivery.http2 import connection, frames
from delivery.http2.connection_sender import MAX_RESPONSE_BYTES
from delivery.outcomes.verdict import ANSWERED, MAYBE
from tests.delivery.http2.peer import Peer, connected_peer, headers, result

Flood = Callable[[int], Frame | bytes]
FLOODS: dict[str, Flood] = {
    "PING": lambda n: PingFrame(0, bytes(8)),
    "answers to no PING": lambda n: PingFrame(0, bytes(8), flags=["ACK"]),
    "SETTINGS": lambda n: SettingsFrame(0, {SettingsFrame.INITIAL_WINDOW_SIZE: 65_535 + n % 2}),
    "acknowledged SETTINGS": lambda n: SettingsFrame(0, flags=["ACK"]),
    "RST_STREAM of no stream": lambda n: RstStreamFrame(1001, 8),
    "WINDOW_UPDATE": lambda n: WindowUpdateFrame(1, 1),
    "PRIORITY": lambda n: PriorityFrame(1),
    "an unknown type": lambda n: frames.frame(0xFA, 0, 0, b"x"),
    "empty DATA": lambda n: DataFrame(1),
    "DATA of no stream": lambda n: DataFrame(1001, b"x"),
    "HEADERS of no stream": lambda n: headers(1001, 200),
    "interim answers": lambda n: headers(1, 103, flags=()),
}


@pytest.mark.parametrize("flood", FLOODS.values(), ids=FLOODS)
async def test_a_flood_of_frames_that_answer_nothing_ends_the_connection(
    flood: Flood, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection, "MAX_CONTROL_FRAMES", 100)
    peer = await connected_peer()
    stream = peer.send()
    if flood is FLOODS["empty DATA"]:
        await peer.deliver(headers(1, 400, flags=()))
    await peer.deliver(*map(flood, range(98)))
    assert not peer.lost
    await peer.deliver(*map(flood, range(98, 102)))
    assert (peer.lost, peer.closed, peer.lost_texts) == (["protocol"], True, ["flood of frames that answer nothing"])
    assert stream.wire == (ANSWERED if stream.status else MAYBE)


@pytest.mark.parametrize("flood", [FLOODS["WINDOW_UPDATE"], FLOODS["PING"], FLOODS["SETTINGS"]])
async def test_a_busy_peer_that_answers_may_send_as_many_between_its_answers(
    flood: Flood, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection, "MAX_CONTROL_FRAMES", 100)
    peer = await connected_peer()
    for number in range(10):
        stream = peer.send()
        await peer.deliver(*map(flood, range(90)), headers(1 + 2 * number, 200))
        assert stream.status == 200
    assert not peer.lost


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
        assert len((peer.connection._parser._block or (0, 0, b""))[2]) <= MAX_RESPONSE_BYTES
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
