"""The size of our dynamic header table: a peer's smaller limit is acknowledged before anything is said in it."""

import asyncio

import h2.config
import h2.connection
import h2.events
import h2.settings
import pytest
from hpack import Decoder, InvalidTableSizeError
from hyperframe.frame import HeadersFrame, SettingsFrame

from delivery.http2 import hpack_encoding
from delivery.http2.connection_sender import MAX_REQUEST_FIELDS
from delivery.http2.engine import Engine
from delivery.http2.stream import Stream
from tests.delivery.http2.peer import HEADER_BLOCK, Peer, connected_peer, outline

TABLE_SIZE, WINDOW = SettingsFrame.HEADER_TABLE_SIZE, SettingsFrame.INITIAL_WINDOW_SIZE
UPDATE = b"\x20"
"""Dynamic table size update to 0 (RFC 7541, 6.3)."""


async def blocks(peer: Peer, *bodies: bytes) -> list[bytes]:
    """The header blocks of requests with these bodies."""
    for body in bodies:
        peer.send(body)
    return [frame.data for frame in await peer.written_frames() if isinstance(frame, HeadersFrame)]


def strict(limit: int) -> Decoder:
    """A decoder that has told us this limit and will not take a block that does not acknowledge it."""
    decoder = Decoder()
    decoder.max_allowed_table_size = limit
    return decoder


@pytest.mark.parametrize("limit", [0, 1, 100, 4095])
async def test_a_smaller_table_is_acknowledged_in_the_first_block_and_in_no_other(limit: int) -> None:
    peer = await connected_peer({TABLE_SIZE: limit})
    found = await blocks(peer, b"{}", b"{}")
    assert found == [UPDATE + HEADER_BLOCK, HEADER_BLOCK]
    decoder = strict(limit)
    assert [dict(decoder.decode(block))[":path"] for block in found] == ["/3/device/ab"] * 2


def test_a_strict_decoder_refuses_a_block_without_it() -> None:
    with pytest.raises(InvalidTableSizeError):
        strict(100).decode(HEADER_BLOCK)


@pytest.mark.parametrize("settings", [{}, {TABLE_SIZE: 4096}, {TABLE_SIZE: 65_536}], ids=str)
async def test_a_peer_that_allows_the_usual_size_costs_no_byte(settings: dict[int, int]) -> None:
    peer = await connected_peer(settings)
    assert await blocks(peer, b"{}", b"{}") == [HEADER_BLOCK] * 2


async def test_a_limit_that_comes_later_is_acknowledged_then_and_one_that_rises_again_is_not_forgotten() -> None:
    peer = await connected_peer()
    assert await blocks(peer, b"{}") == [HEADER_BLOCK]
    for limit in (100, 8192):  # the smallest of those between two blocks counts (RFC 7541, 4.2)
        await peer.deliver(SettingsFrame(0, {TABLE_SIZE: limit}))
    assert await blocks(peer, b"{}", b"{}") == [UPDATE + HEADER_BLOCK, HEADER_BLOCK]
    await peer.deliver(SettingsFrame(0, {TABLE_SIZE: 0}))
    assert await blocks(peer, b"{}") == [HEADER_BLOCK], "the table has no size already"


@pytest.mark.parametrize("size", [0, 2, 8192, 8193, 20_000])
@pytest.mark.parametrize("window", [0, 1, 65_535])
async def test_the_first_request_is_whole_whatever_its_body_and_the_window(size: int, window: int) -> None:
    peer = await connected_peer({TABLE_SIZE: 0, WINDOW: window})
    peer.send(b"x" * size)
    head, *rest = await peer.written_frames()
    assert (head.data, "END_STREAM" in head.flags) == (UPDATE + HEADER_BLOCK, False)
    assert sum(size for _, _, size in outline(rest)) == min(size, window)
    assert any("END_STREAM" in frame.flags for frame in rest) is (size <= window)


@pytest.mark.parametrize("limit", [0, 100, 4096])
async def test_another_implementation_takes_all_requests(limit: int) -> None:
    peer, server = Peer(), h2.connection.H2Connection(h2.config.H2Configuration(client_side=False))
    server.local_settings = h2.settings.Settings(
        client=False, initial_values={h2.settings.SettingCodes.HEADER_TABLE_SIZE: limit}
    )
    server.decoder.max_allowed_table_size = limit
    server.initiate_connection()
    paths = []
    waiting = [Stream(HEADER_BLOCK, b"{}", 0.0, 0.0, 0.0, lambda stream: None, None) for _ in range(3)]
    for _ in range(10):
        await asyncio.sleep(0)
        received, peer.written = peer.written, b""
        events = server.receive_data(received)
        paths += [dict(event.headers)[b":path"] for event in events if isinstance(event, h2.events.RequestReceived)]
        peer.connection.data_received(server.data_to_send())
        while waiting and peer.connection.can_send(2):
            peer.connection.send(waiting.pop(0))
    assert (paths, peer.lost) == ([b"/3/device/ab"] * 3, [])


async def test_a_request_with_more_fields_than_any_push_has_is_not_sent(plain: Engine) -> None:
    channel = plain.channel("https://localhost:9", 1)
    start = len(hpack_encoding.request_start("localhost:9")) + len(hpack_encoding.content_length_field(0))
    room = MAX_REQUEST_FIELDS - start - len(hpack_encoding.string_literal(b"/" * 6_000)) + 6_000
    with pytest.raises(ValueError, match="too long"):
        channel.post("/" * (room + 1), b"", b"", 0.1, lambda stream: None)
    channel.post("/" * room, b"", b"", 0.1, lambda stream: None)
