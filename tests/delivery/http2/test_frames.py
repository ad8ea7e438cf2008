"""HTTP/2 framing: another implementation reads what we serialise; a peer's bytes are parsed wherever TCP cuts them."""

from collections.abc import Iterable
from itertools import pairwise

import pytest
from hyperframe.frame import (
    AltSvcFrame,
    ContinuationFrame,
    DataFrame,
    Frame,
    GoAwayFrame,
    HeadersFrame,
    PingFrame,
    PriorityFrame,
    PushPromiseFrame,
    RstStreamFrame,
    SettingsFrame,
    WindowUpdateFrame,
)
from hypothesis import given
from hypothesis import strategies as st

from delivery.http2 import frames
from delivery.http2.frames import FrameError, FrameParser
from tests.delivery.http2.peer import read

MAX_BLOCK_BYTES = 40_000
Parsed = list[tuple[int, int, int, bytes]]
CONVERSATION: list[tuple[Frame, tuple[int, int, int, bytes] | None]] = [
    (SettingsFrame(0, {3: 100}), (frames.SETTINGS, 0, 0, b"\0\3\0\0\0\x64")),
    (SettingsFrame(0, flags=["ACK"]), (frames.SETTINGS, 1, 0, b"")),
    (HeadersFrame(1, b"\x88", flags=["END_HEADERS", "END_STREAM"]), (frames.HEADERS, 5, 1, b"\x88")),
    (HeadersFrame(3, b"\x8d", flags=["END_HEADERS"]), (frames.HEADERS, 4, 3, b"\x8d")),
    (DataFrame(3, b"{}"), (frames.DATA, 0, 3, b"{}")),
    (DataFrame(3, b"pad", pad_length=4, flags=["PADDED", "END_STREAM"]), (frames.DATA, 9, 3, b"pad")),
    (HeadersFrame(5, b"\x88a", flags=[]), None),
    (ContinuationFrame(5, b"b"), None),
    (ContinuationFrame(5, b"c", flags=["END_HEADERS"]), (frames.HEADERS, 4, 5, b"\x88abc")),
    (PingFrame(0, b"12345678"), (frames.PING, 0, 0, b"12345678")),
    (RstStreamFrame(5, 8), (frames.RST_STREAM, 0, 5, b"\0\0\0\x08")),
    (WindowUpdateFrame(0, 9), (frames.WINDOW_UPDATE, 0, 0, b"\0\0\0\x09")),
    (PriorityFrame(7, depends_on=1, stream_weight=2), (frames.PRIORITY, 0, 7, b"\0\0\0\1\2")),
    (AltSvcFrame(0, b"o", b"new"), (10, 0, 0, b"\0\1onew")),
    (GoAwayFrame(0, 5, 0, b"bye"), (frames.GOAWAY, 0, 0, b"\0\0\0\5\0\0\0\0bye")),
]
SENT = b"".join(frame.serialize() for frame, _ in CONVERSATION)
MEANT = [meant for _, meant in CONVERSATION if meant is not None]


def parse(parts: Iterable[bytes], max_block_bytes: int = MAX_BLOCK_BYTES) -> Parsed:
    """The frames of what comes in parts."""
    parser = FrameParser(max_block_bytes)
    return [frame for part in parts for frame in parser.feed(part)]


@given(st.integers(0, 2**30 - 1).map(lambda n: 2 * n + 1), st.binary(max_size=400), st.binary(max_size=400))
def test_a_request_is_headers_and_data_that_end_the_stream(stream_id: int, header_block: bytes, body: bytes) -> None:
    headers, data = read(frames.request(stream_id, header_block, body))
    assert isinstance(headers, HeadersFrame)
    assert (headers.stream_id, set(headers.flags), headers.data) == (stream_id, {"END_HEADERS"}, header_block)
    assert isinstance(data, DataFrame)
    assert (data.stream_id, set(data.flags), data.data) == (stream_id, {"END_STREAM"}, body)


def test_a_request_may_be_as_large_as_a_frame() -> None:
    headers, data = read(frames.request(1, b"h" * frames.MAX_PAYLOAD_BYTES, b"b" * frames.MAX_PAYLOAD_BYTES))
    assert (headers.data, data.data) == (b"h" * frames.MAX_PAYLOAD_BYTES, b"b" * frames.MAX_PAYLOAD_BYTES)


def test_settings_are_read_back() -> None:
    values = {frames.HEADER_TABLE_SIZE: 0, frames.ENABLE_PUSH: 0, frames.INITIAL_WINDOW_SIZE: 131_072}
    [frame] = read(frames.settings(values))
    assert (type(frame), frame.settings, set(frame.flags)) == (SettingsFrame, values, set())


@pytest.mark.parametrize(
    ("frame_type", "flags", "stream_id", "payload", "meant"),
    [
        (frames.PING, frames.ACK, 0, b"12345678", PingFrame(0, b"12345678", flags=["ACK"])),
        (frames.RST_STREAM, 0, 2**31 - 1, b"\0\0\0\x08", RstStreamFrame(2**31 - 1, frames.CANCEL)),
        (frames.WINDOW_UPDATE, 0, 0, b"\0\1\0\0", WindowUpdateFrame(0, 65_536)),
        (frames.SETTINGS, frames.ACK, 0, b"", SettingsFrame(0, flags=["ACK"])),
        (frames.DATA, frames.END_STREAM, 1, b"x" * 300, DataFrame(1, b"x" * 300, flags=["END_STREAM"])),
    ],
)
def test_a_frame_is_what_another_implementation_writes(
    frame_type: int, flags: int, stream_id: int, payload: bytes, meant: Frame
) -> None:
    assert frames.frame(frame_type, flags, stream_id, payload) == meant.serialize()


def test_a_conversation_is_cut_into_its_frames() -> None:
    assert parse([SENT]) == MEANT


def test_a_conversation_may_be_cut_at_any_byte() -> None:
    for at in range(len(SENT)):
        assert parse([SENT[:at], SENT[at:]]) == MEANT
    assert parse(SENT[at : at + 1] for at in range(len(SENT))) == MEANT


@given(st.lists(st.integers(0, len(SENT))))
def test_a_conversation_may_come_in_any_parts(places: list[int]) -> None:
    edges = [0, *sorted(places), len(SENT)]
    assert parse(SENT[one:other] for one, other in pairwise(edges)) == MEANT


def test_a_frame_is_told_as_soon_as_it_is_whole() -> None:
    parser = FrameParser(MAX_BLOCK_BYTES)
    ping = PingFrame(0, b"12345678").serialize()
    assert list(parser.feed(ping + ping[:-1])) == [(frames.PING, 0, 0, b"12345678")]
    assert list(parser.feed(ping[-1:])) == [(frames.PING, 0, 0, b"12345678")]
    assert list(parser.feed(b"")) == []


def test_the_reserved_bit_of_a_stream_is_ignored() -> None:
    assert parse([b"\0\0\0\0\1\x80\0\0\5"]) == [(frames.DATA, 1, 5, b"")]


@pytest.mark.parametrize(("frame_type", "flag"), [(frames.DATA, 0), (frames.HEADERS, frames.END_HEADERS)])
@pytest.mark.parametrize(
    ("payload", "kept"), [(b"\x00abc", b"abc"), (b"\x02abc\0\0", b"abc"), (b"\x00", b""), (b"\x02\0\0", b"")]
)
def test_padding_is_taken_off(frame_type: int, flag: int, payload: bytes, kept: bytes) -> None:
    flags = frames.PADDED | flag
    assert parse([frames.frame(frame_type, flags, 1, payload)]) == [(frame_type, flags, 1, kept)]


@pytest.mark.parametrize("frame_type", [frames.DATA, frames.HEADERS])
@pytest.mark.parametrize("payload", [b"", b"\x01", b"\x04abc", b"\xff" + b"x" * 254])
def test_more_padding_than_there_is_content_is_refused(frame_type: int, payload: bytes) -> None:
    with pytest.raises(FrameError, match="too much padding"):
        parse([frames.frame(frame_type, frames.PADDED | frames.END_HEADERS, 1, payload)])


@pytest.mark.parametrize("flags", [["PRIORITY"], ["PRIORITY", "PADDED"]])
def test_the_priority_in_a_head_is_skipped(flags: list[str]) -> None:
    padding = 3 if "PADDED" in flags else 0
    frame = HeadersFrame(1, b"\x88", pad_length=padding, depends_on=3, stream_weight=9, flags=["END_HEADERS", *flags])
    [(frame_type, _, stream_id, block)] = parse([frame.serialize()])
    assert (frame_type, stream_id, block) == (frames.HEADERS, 1, b"\x88")


def test_a_head_in_several_frames_is_one_that_ends_the_stream_where_the_first_said_so() -> None:
    first = HeadersFrame(1, b"a", pad_length=2, flags=["END_STREAM", "PADDED"])
    rest = [ContinuationFrame(1, b""), ContinuationFrame(1, b"b"), ContinuationFrame(1, b"c", flags=["END_HEADERS"])]
    [(frame_type, flags, stream_id, block)] = parse([one.serialize() for one in (first, *rest)])
    assert (frame_type, stream_id, block) == (frames.HEADERS, 1, b"abc")
    assert flags & frames.END_STREAM
    assert flags & frames.END_HEADERS


def test_the_next_head_begins_anew_after_one_in_several_frames() -> None:
    first = [HeadersFrame(1, b"a"), ContinuationFrame(1, b"b", flags=["END_HEADERS"])]
    found = parse([one.serialize() for one in (*first, HeadersFrame(3, b"c", flags=["END_HEADERS"]))])
    assert [(stream_id, block) for _, _, stream_id, block in found] == [(1, b"ab"), (3, b"c")]


@pytest.mark.parametrize(
    "between",
    [
        DataFrame(1, b"x"),
        DataFrame(1, b"x", flags=["END_STREAM"]),
        HeadersFrame(1, b"x", flags=["END_HEADERS"]),
        HeadersFrame(3, b"x"),
        ContinuationFrame(3, b"x", flags=["END_HEADERS"]),
        PingFrame(0, b"12345678"),
        SettingsFrame(0, {}),
        RstStreamFrame(1, 7),
        WindowUpdateFrame(0, 1),
        GoAwayFrame(0),
        PushPromiseFrame(1, 2, b"x", flags=["END_HEADERS"]),
        AltSvcFrame(0, b"https://a.example", b"x"),
    ],
    ids=lambda frame: type(frame).__name__,
)
def test_no_other_frame_may_come_within_a_head(between: Frame) -> None:
    with pytest.raises(FrameError, match="broken off"):
        parse([HeadersFrame(1, b"\x88").serialize(), between.serialize()])


def test_a_continuation_of_nothing_is_refused() -> None:
    whole = HeadersFrame(1, b"\x88", flags=["END_HEADERS"])
    with pytest.raises(FrameError, match="no header block"):
        parse([whole.serialize(), ContinuationFrame(1, b"", flags=["END_HEADERS"]).serialize()])


@pytest.mark.parametrize(("last", "refused"), [(MAX_BLOCK_BYTES - 32_768, False), (MAX_BLOCK_BYTES - 32_767, True)])
def test_a_head_may_be_so_long_and_no_longer(last: int, refused: bool) -> None:
    parts: list[Frame] = [HeadersFrame(1, b"h" * 16_384), ContinuationFrame(1, b"h" * 16_384)]
    parts.append(ContinuationFrame(1, b"h" * last, flags=["END_HEADERS"]))
    sent = [part.serialize() for part in parts]
    if refused:
        with pytest.raises(FrameError, match="too long"):
            parse(sent)
    else:
        assert parse(sent) == [(frames.HEADERS, 4, 1, b"h" * MAX_BLOCK_BYTES)]


def test_a_head_without_an_end_is_refused_before_it_is_whole() -> None:
    parser = FrameParser(MAX_BLOCK_BYTES)
    assert list(parser.feed(HeadersFrame(1, b"h" * 16_384).serialize())) == []
    assert list(parser.feed(ContinuationFrame(1, b"h" * 16_384).serialize())) == []
    with pytest.raises(FrameError, match="too long"):
        list(parser.feed(ContinuationFrame(1, b"h" * 16_384).serialize()))


@pytest.mark.parametrize(("parts", "refused"), [(32, False), (33, True)])
def test_a_head_may_come_in_so_many_frames_and_no_more(parts: int, refused: bool) -> None:
    whole = [HeadersFrame(1, b"h"), *[ContinuationFrame(1, b"h")] * (parts - 2)]
    sent = [one.serialize() for one in (*whole, ContinuationFrame(1, b"h", flags=["END_HEADERS"]))]
    if refused:
        with pytest.raises(FrameError, match="too long"):
            parse(sent)
    else:
        assert parse(sent * 2) == [(frames.HEADERS, 4, 1, b"h" * parts)] * 2


def test_a_frame_may_be_so_long_and_no_longer_and_is_refused_by_its_first_bytes() -> None:
    longest = b"x" * 16_384
    assert parse([DataFrame(1, longest).serialize()]) == [(frames.DATA, 0, 1, longest)]
    with pytest.raises(FrameError, match="too long"):
        parse([DataFrame(1, longest + b"x").serialize()[:9]])


@given(st.integers(10, 255), st.integers(0, 255), st.integers(0, 2**31 - 1), st.binary(max_size=40))
def test_a_frame_of_an_unknown_type_is_passed_on_as_it_is(
    frame_type: int, flags: int, stream_id: int, payload: bytes
) -> None:
    assert parse([frames.frame(frame_type, flags, stream_id, payload)]) == [(frame_type, flags, stream_id, payload)]


def test_of_each_setting_of_a_peer_the_last_value_is_read_and_unknown_ones_too() -> None:
    payload = b"\0\4\0\0\0\1\x99\x99\xff\xff\xff\xff\0\4\0\0\0\2"
    assert frames.read_settings(payload) == {4: 2, 0x9999: 2**32 - 1}
    assert frames.read_settings(b"") == {}


@pytest.mark.parametrize(
    ("key", "value", "refused"),
    [
        (frames.INITIAL_WINDOW_SIZE, 2**31 - 1, False),
        (frames.INITIAL_WINDOW_SIZE, 2**31, True),
        (frames.INITIAL_WINDOW_SIZE, 0, False),
        (frames.MAX_FRAME_SIZE, 16_384, False),
        (frames.MAX_FRAME_SIZE, 16_383, True),
        (frames.MAX_CONCURRENT_STREAMS, 0, False),
        (frames.MAX_CONCURRENT_STREAMS, 2**32 - 1, False),
    ],
)
def test_a_setting_out_of_bounds_is_refused(key: int, value: int, refused: bool) -> None:
    payload = key.to_bytes(2, "big") + value.to_bytes(4, "big")
    if refused:
        with pytest.raises(FrameError, match="out of bounds"):
            frames.read_settings(payload)
    else:
        assert frames.read_settings(payload) == {key: value}


@pytest.mark.parametrize("size", [1, 5, 7, 13])
def test_settings_that_are_cut_off_are_refused(size: int) -> None:
    with pytest.raises(FrameError, match="wrong size"):
        frames.read_settings(bytes(size))


def test_a_number_has_31_bits() -> None:
    assert frames.read_uint31(b"\xff\xff\xff\xff") == 2**31 - 1
    assert frames.read_uint31(b"\0\0\0\0\x80\0\0\7", 4) == 7


def test_what_flow_control_counts_is_data_with_its_padding_and_nothing_else() -> None:
    parser = FrameParser(MAX_BLOCK_BYTES)
    list(parser.feed(SENT))
    assert parser.flow_controlled_bytes == len(b"{}") + len(b"pad") + 1 + 4
