"""Each frame that RFC 9113 forbids a server to send ends its stream or the connection, with the error that it demands.

Where the RFC leaves a choice, the table says what we do. Beyond it: a peer that does not shrink its table to what we
ask for is understood (response_headers.py), and frames of a stream that has ended are refused once.
"""

import pytest
from hpack import Encoder
from hyperframe.frame import (
    ContinuationFrame,
    DataFrame,
    Frame,
    GoAwayFrame,
    HeadersFrame,
    PingFrame,
    PushPromiseFrame,
    RstStreamFrame,
    SettingsFrame,
    WindowUpdateFrame,
)

from delivery.http2 import frames
from delivery.outcomes.verdict import ANSWERED, MAYBE, NOT_SENT
from tests.delivery.http2.peer import HEADER_BLOCK, Peer, connected_peer, headers, result

PROTOCOL, FLOW, CLOSED, SIZE = (
    frames.PROTOCOL_ERROR,
    frames.FLOW_CONTROL_ERROR,
    frames.STREAM_CLOSED,
    frames.FRAME_SIZE_ERROR,
)
COMPRESSION, CALM = frames.COMPRESSION_ERROR, frames.ENHANCE_YOUR_CALM
MOST = 2**31 - 1
Sent = list[Frame | bytes]
END = ["END_HEADERS", "END_STREAM"]


def raw(frame_type: int, stream_id: int, size: int, flags: int = 0) -> bytes:
    """A frame of zeros."""
    return frames.frame(frame_type, flags, stream_id, bytes(size))


def setting(key: int, value: int) -> bytes:
    """A SETTINGS frame with one value."""
    return frames.frame(frames.SETTINGS, 0, 0, key.to_bytes(2, "big") + value.to_bytes(4, "big"))


def head(*fields: tuple[str, str], flags: list[str] | None = None) -> Frame:
    """HEADERS of stream 1 with just these fields."""
    encoder = Encoder()
    encoder.header_table_size = 0
    return HeadersFrame(1, encoder.encode(fields), flags=flags or END)


OPEN = headers(1, 400, flags=())
STATUS = (":status", "400")

CONNECTION: dict[str, tuple[Sent, int]] = {
    "4.2 a frame that is too long": ([b"\x00\x40\x01\0\0\0\0\0\1"], SIZE),
    "4.3 a block that is cut off": ([HeadersFrame(1, b"\x00\x0agrpc", flags=["END_HEADERS"])], COMPRESSION),
    "4.3 a field from a table": ([HeadersFrame(1, b"\xbe", flags=["END_HEADERS"])], COMPRESSION),
    "4.3 a larger table": ([HeadersFrame(1, b"\x3f\xe2\x1f\x8d", flags=["END_HEADERS"])], COMPRESSION),
    "4.3 a broken Huffman code": ([HeadersFrame(1, b"\x08\x84\xff\xff\xff\xff", flags=["END_HEADERS"])], COMPRESSION),
    "4.3 a block broken off by another frame": ([HeadersFrame(1, b"\x88"), PingFrame(0, bytes(8))], PROTOCOL),
    "4.3 a block broken off by another stream": ([HeadersFrame(1, b"\x88"), ContinuationFrame(3, b"")], PROTOCOL),
    "4.3 a block broken off by an unknown type": ([HeadersFrame(1, b"\x88"), raw(0xFA, 1, 1)], PROTOCOL),
    "5.1 DATA of an idle stream": ([DataFrame(5, b"x")], PROTOCOL),
    "5.1 HEADERS of an idle stream": ([headers(5, 200)], PROTOCOL),
    "5.1 RST_STREAM of an idle stream": ([RstStreamFrame(5, 8)], PROTOCOL),
    "5.1 WINDOW_UPDATE of an idle stream": ([WindowUpdateFrame(5, 1)], PROTOCOL),
    "5.1.1 HEADERS of a stream of its own": ([headers(2, 200)], PROTOCOL),
    "5.1.1 DATA of a stream of its own": ([DataFrame(2, b"x")], PROTOCOL),
    "5.1.1 RST_STREAM of a stream of its own": ([RstStreamFrame(2, 8)], PROTOCOL),
    "5.1.1 WINDOW_UPDATE of a stream of its own": ([WindowUpdateFrame(2, 1)], PROTOCOL),
    "6.1 DATA of the connection": ([raw(frames.DATA, 0, 1)], PROTOCOL),
    "6.1 DATA with too much padding": ([OPEN, frames.frame(frames.DATA, frames.PADDED, 1, b"\x05abcd")], PROTOCOL),
    "6.2 HEADERS of the connection": ([frames.frame(frames.HEADERS, 5, 0, b"\x88")], PROTOCOL),
    "6.2 HEADERS with too much padding": ([frames.frame(frames.HEADERS, 12, 1, b"\x05\x88")], PROTOCOL),
    "6.2 HEADERS too short for their priority": ([frames.frame(frames.HEADERS, 36, 1, b"\0\0\0\0")], SIZE),
    "6.3 PRIORITY of the connection": ([raw(frames.PRIORITY, 0, 5)], PROTOCOL),
    "6.4 RST_STREAM of the connection": ([raw(frames.RST_STREAM, 0, 4)], PROTOCOL),
    "6.4 RST_STREAM that is too short": ([raw(frames.RST_STREAM, 1, 3)], SIZE),
    "6.4 RST_STREAM that is too long": ([raw(frames.RST_STREAM, 1, 5)], SIZE),
    "6.5 SETTINGS of a stream": ([raw(frames.SETTINGS, 1, 0)], PROTOCOL),
    "6.5 SETTINGS that are cut off": ([raw(frames.SETTINGS, 0, 5)], SIZE),
    "6.5 SETTINGS that acknowledge and say more": ([raw(frames.SETTINGS, 0, 6, frames.ACK)], SIZE),
    "6.5.2 ENABLE_PUSH of 1": ([setting(frames.ENABLE_PUSH, 1)], PROTOCOL),
    "6.5.2 ENABLE_PUSH of 2": ([setting(frames.ENABLE_PUSH, 2)], PROTOCOL),
    "6.5.2 INITIAL_WINDOW_SIZE beyond the largest": ([setting(frames.INITIAL_WINDOW_SIZE, MOST + 1)], FLOW),
    "6.5.2 MAX_FRAME_SIZE below the smallest": ([setting(frames.MAX_FRAME_SIZE, 16_383)], PROTOCOL),
    "6.5.2 MAX_FRAME_SIZE beyond the largest": ([setting(frames.MAX_FRAME_SIZE, 2**24)], PROTOCOL),
    "6.5.2 a wrong value before a right one": (
        [SettingsFrame(0, {}).serialize()[:2] + b"\x0c\4\0\0\0\0\0" + b"\0\5\0\0\0\1" + b"\0\5\0\0\x40\0"],
        PROTOCOL,
    ),
    "6.6 PUSH_PROMISE": ([PushPromiseFrame(1, 2, b"\x82", flags=["END_HEADERS"])], PROTOCOL),
    "6.7 PING of a stream": ([raw(frames.PING, 1, 8)], PROTOCOL),
    "6.7 PING that is too short": ([raw(frames.PING, 0, 7)], SIZE),
    "6.7 PING that is too long": ([raw(frames.PING, 0, 9)], SIZE),
    "6.7 an answer to PING that is too short": ([raw(frames.PING, 0, 7, frames.ACK)], SIZE),
    "6.8 GOAWAY of a stream": ([raw(frames.GOAWAY, 1, 8)], PROTOCOL),
    "6.8 GOAWAY that is too short": ([raw(frames.GOAWAY, 0, 7)], SIZE),
    "6.9 WINDOW_UPDATE that is too short": ([raw(frames.WINDOW_UPDATE, 0, 3)], SIZE),
    "6.9 WINDOW_UPDATE of a stream that is too long": ([raw(frames.WINDOW_UPDATE, 1, 5)], SIZE),
    "6.9 WINDOW_UPDATE of 0 for the connection": ([raw(frames.WINDOW_UPDATE, 0, 4)], PROTOCOL),
    "6.9.1 a window of the connection beyond the largest": ([WindowUpdateFrame(0, MOST)], FLOW),
    "6.9.2 a window of a stream beyond the largest": (
        [WindowUpdateFrame(1, MOST - 20), setting(frames.INITIAL_WINDOW_SIZE, 100_000)],
        FLOW,
    ),
    "6.10 CONTINUATION of nothing": ([ContinuationFrame(1, b"", flags=["END_HEADERS"])], PROTOCOL),
    "6.10 CONTINUATION after the end of a head": ([OPEN, ContinuationFrame(1, b"")], PROTOCOL),
    "6.10 CONTINUATION of the connection": ([raw(frames.CONTINUATION, 0, 0)], PROTOCOL),
    "10.5 a block without an end": ([HeadersFrame(1, b"x"), *[ContinuationFrame(1, b"x")] * 40], CALM),
    "10.5 more settings than there are": ([frames.frame(frames.SETTINGS, 0, 0, b"\0\4\0\0\0\1" * 33)], CALM),
    "10.5 changes of the table's size without an end": (
        [HeadersFrame(1, b"\x20" * 3 + b"\x8d", flags=["END_HEADERS"])],
        COMPRESSION,
    ),
    "another protocol": ([b"HTTP/1.1 400 Bad Request\r\n\r\n"], SIZE),
}
"""What is received, and the code of our GOAWAY. Streams 1 (some of its body unsent) and 3 are open."""


@pytest.mark.parametrize(("sent", "code"), CONNECTION.values(), ids=CONNECTION)
async def test_a_connection_error_ends_the_connection(sent: Sent, code: int) -> None:
    peer = await connected_peer({SettingsFrame.INITIAL_WINDOW_SIZE: 10})
    first, second = peer.send(b"x" * 70_000), peer.send()
    await peer.written_frames()
    *_, goaway = await peer.deliver(*sent, headers(3, 200))
    assert (type(goaway), goaway.error_code, goaway.last_stream_id) == (GoAwayFrame, code, 0)
    assert (peer.lost, peer.closed, peer.connection.can_send(0)) == (["protocol"], True, False)
    assert (peer.ended, second.status, peer.connection.streams) == ([], 0, {1: first, 3: second})


MALFORMED: dict[str, Sent] = {
    "8.1 DATA before HEADERS": [DataFrame(1, b"{}", flags=["END_STREAM"])],
    "8.1 DATA after an interim answer": [headers(1, 103, flags=()), DataFrame(1, b"{}")],
    "8.1 a second head that is no trailers": [OPEN, headers(1, 400)],
    "8.1 trailers that do not end the stream": [OPEN, head(("grpc-status", "0"), flags=["END_HEADERS"])],
    "8.1 trailers in the place of a head": [head(("grpc-status", "0"))],
    "8.1 an interim answer that ends": [headers(1, 103)],
    "8.1.1 less than its content-length": [
        head(STATUS, ("content-length", "3"), flags=["END_HEADERS"]),
        DataFrame(1, b"{}", flags=["END_STREAM"]),
    ],
    "8.1.1 more than its content-length": [
        head(STATUS, ("content-length", "1"), flags=["END_HEADERS"]),
        DataFrame(1, b"{}", flags=["END_STREAM"]),
    ],
    "8.1.1 a content-length without DATA": [head(STATUS, ("content-length", "1000000"))],
    "8.1.1 less than its content-length before trailers": [
        head(STATUS, ("content-length", "3"), flags=["END_HEADERS"]),
        DataFrame(1, b"{}"),
        head(("grpc-status", "0")),
    ],
    "8.1.1 a content-length that is none": [head(STATUS, ("content-length", "-1"))],
    "8.1.1 an empty content-length": [head(STATUS, ("content-length", ""))],
    "8.1.1 digits of another alphabet": [HeadersFrame(1, b"\x8d\x00\x0econtent-length\x01\xb2", flags=END)],
    "8.1.1 two lengths": [head(STATUS, ("content-length", "0"), ("content-length", "1"))],
    "8.2.1 a name in upper case": [head(STATUS, ("Date", "x"))],
    "8.2.1 a name with a space": [head(STATUS, ("da te", "x"))],
    "8.2.1 a name with a colon": [head(STATUS, ("da:te", "x"))],
    "8.2.1 an empty name": [head(STATUS, ("", "x"))],
    "8.2.1 a name beyond ASCII": [HeadersFrame(1, b"\x8d\x00\x01\xe4\x01x", flags=END)],
    "8.2.1 a value with NUL": [head(STATUS, ("date", "a\0b"))],
    "8.2.1 a value with CR": [head(STATUS, ("date", "a\rb"))],
    "8.2.1 a value with LF": [head(STATUS, ("date", "a\nb"))],
    "8.2.1 a value that begins with a space": [head(STATUS, ("retry-after", " 0"))],
    "8.2.1 a value that ends with a tab": [head(STATUS, ("retry-after", "0\t"))],
    "8.2.2 connection": [head(STATUS, ("connection", "close"))],
    "8.2.2 proxy-connection": [head(STATUS, ("proxy-connection", "x"))],
    "8.2.2 keep-alive": [head(STATUS, ("keep-alive", "timeout=5"))],
    "8.2.2 transfer-encoding": [head(STATUS, ("transfer-encoding", "chunked"))],
    "8.2.2 upgrade": [head(STATUS, ("upgrade", "h2c"))],
    "8.2.2 te": [head(STATUS, ("te", "trailers"))],
    "8.3 a pseudo-header of requests": [head(STATUS, (":path", "/"))],
    "8.3 an unknown pseudo-header": [head(STATUS, (":extra", "x"))],
    "8.3 a pseudo-header twice": [head(STATUS, STATUS)],
    "8.3 a pseudo-header behind a field": [head(("date", "x"), STATUS)],
    "8.3 a pseudo-header in trailers": [OPEN, head(("grpc-status", "0"), (":status", "200"))],
    "8.3.2 no status": [HeadersFrame(1, b"", flags=END)],
    "8.3.2 a status of two digits": [head((":status", "20"))],
    "8.3.2 a status below all that there are": [head((":status", "099"))],
    "8.3.2 a status that is no number": [head((":status", "2 0"))],
    "8.6 101": [headers(1, 101, flags=()), headers(1, 400)],
}
STREAM: dict[str, tuple[Sent, int]] = {
    **{name: (sent, PROTOCOL) for name, sent in MALFORMED.items()},
    "6.3 PRIORITY of a wrong size": ([raw(frames.PRIORITY, 1, 4)], SIZE),
    "6.9 WINDOW_UPDATE of 0 for a stream": ([raw(frames.WINDOW_UPDATE, 1, 4)], PROTOCOL),
    "6.9.1 a window of a stream beyond the largest": ([WindowUpdateFrame(1, MOST), WindowUpdateFrame(1, 1)], FLOW),
    "10.5.1 a header list that is too long": ([head(STATUS, *[("x", "y" * 1000)] * 16)], CALM),
}
"""What is received, and the code of our RST_STREAM. Streams 1 and 3 are open and were sent whole."""


@pytest.mark.parametrize(("sent", "code"), STREAM.values(), ids=STREAM)
async def test_a_stream_error_ends_its_stream_alone(sent: Sent, code: int) -> None:
    peer = await connected_peer()
    first, second = peer.send(), peer.send()
    await peer.written_frames()
    [reset] = await peer.deliver(*sent, headers(3, 200))
    assert (type(reset), reset.stream_id, reset.error_code) == (RstStreamFrame, 1, code)
    assert (peer.ended, result(first), result(second)) == (
        [first, second],
        (0, "protocol", MAYBE, b""),
        (200, "", ANSWERED, b""),
    )
    assert (peer.lost, peer.connection.streams, first.retry_after, bool(first.error)) == ([], {}, 0.0, True)


TAKEN: dict[str, Sent] = {
    "4.1 the reserved bit": [b"\0\0\1\1\5\x80\0\0\1\x8d"],
    "5.5 a frame of an unknown type": [raw(0xFA, 1, 3), raw(0xFA, 0, 3), headers(1, 404)],
    "6.3 PRIORITY of an idle stream": [raw(frames.PRIORITY, 9, 5), headers(1, 404)],
    "6.5.2 ENABLE_PUSH of 0": [setting(frames.ENABLE_PUSH, 0), headers(1, 404)],
    "6.5.2 a setting that nobody knows": [setting(0x99, 2**32 - 1), headers(1, 404)],
    "8.1.1 a length said twice": [head((":status", "404"), ("content-length", "0"), ("content-length", "0"))],
    "8.1.1 the length of another answer": [head((":status", "304"), ("content-length", "7"))],
    "8.2.1 an empty value": [head((":status", "404"), ("date", ""))],
    "8.2.1 a value with a tab within and bytes beyond ASCII": [head((":status", "404"), ("date", "a\tä"))],
    "10.5.1 a list as long as it may be": [head((":status", "404"), *[("x", "y" * 1000)] * 15)],
}


@pytest.mark.parametrize("sent", TAKEN.values(), ids=TAKEN)
async def test_what_looks_odd_and_is_allowed_is_taken(sent: Sent) -> None:
    peer = await connected_peer()
    first = peer.send()
    await peer.deliver(*sent)
    assert (peer.ended, first.status in (304, 404), first.wire, peer.lost) == ([first], True, ANSWERED, [])


async def test_frames_of_a_stream_that_has_ended_are_refused_once() -> None:
    peer = await connected_peer()
    peer.send()
    await peer.deliver(headers(1, 200))
    late = [DataFrame(1, b"x"), headers(1, 200), DataFrame(1, b"x"), WindowUpdateFrame(1, 1), RstStreamFrame(1, 7)]
    [reset] = await peer.deliver(*late)
    assert (type(reset), reset.stream_id, reset.error_code, peer.lost) == (RstStreamFrame, 1, CLOSED, [])


async def test_of_streams_that_we_have_reset_only_the_latest_are_known_and_none_is_refused() -> None:
    peer = await connected_peer()
    for _ in range(300):
        peer.connection.cancel(peer.send())
    await peer.written_frames()
    assert await peer.deliver(DataFrame(1, b"x"), DataFrame(599, b"x"), headers(21, 200)) == []
    assert (peer.lost, len(peer.connection._reset_streams._ids)) == ([], 256)


async def test_a_malformed_answer_to_a_request_that_was_not_sent_whole_leaves_it_unsent() -> None:
    peer = await connected_peer({SettingsFrame.INITIAL_WINDOW_SIZE: 10})
    first = peer.send(b"x" * 40)
    await peer.deliver(head(STATUS, ("connection", "close")))
    assert result(first) == (0, "protocol", NOT_SENT, b"")


async def test_an_acknowledgement_is_no_beginning() -> None:
    peer = Peer()
    await peer.deliver(SettingsFrame(0, flags=["ACK"]), SettingsFrame(0))
    assert (peer.lost, peer.closed) == (["protocol"], True)


async def test_the_last_of_several_values_of_a_setting_counts() -> None:
    peer = await connected_peer()
    await peer.deliver(frames.frame(frames.SETTINGS, 0, 0, b"\0\3\0\0\0\1\0\3\0\0\0\7"))
    assert peer.connection.max_concurrent_streams == 7


@pytest.mark.parametrize(("limit", "sent"), [(299, False), (300, True)])
async def test_no_request_has_more_fields_than_the_peer_takes(limit: int, sent: bool) -> None:
    # Of 32 bytes and their names and values: :method 43, :scheme 44, :authority 51, :path 49, and 113 for the last.
    peer = await connected_peer({SettingsFrame.MAX_HEADER_LIST_SIZE: limit})
    stream = peer.send(header_block=HEADER_BLOCK + b"\x00\x04apns" + bytes([77]) + b"y" * 77)
    assert peer.ended == [], "not from within"
    written = [type(one) for one in await peer.written_frames()]
    if sent:
        assert (written[-2:], peer.ended) == ([HeadersFrame, DataFrame], [])
    else:
        assert HeadersFrame not in written
        assert (peer.ended, result(stream)) == ([stream], (0, "protocol", NOT_SENT, b""))
        assert peer.connection.can_send(0)


async def test_a_large_limit_of_fields_costs_no_request_anything() -> None:
    peer = await connected_peer({SettingsFrame.MAX_HEADER_LIST_SIZE: 8_000})  # as Apple says
    assert peer.connection._whole_bytes > 0
