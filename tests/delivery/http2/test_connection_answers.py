"""One HTTP/2 connection, receiving: responses, violations of the protocol, and the end."""

import asyncio

import pytest
from hyperframe.frame import (
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
from delivery.http2.connection_sender import MAX_RESPONSE_BYTES
from delivery.outcomes.verdict import ANSWERED, MAYBE
from tests.delivery.http2.peer import AT, HEADER_BLOCK, Peer, connected_peer, headers, outline, result

WINDOW = SettingsFrame.INITIAL_WINDOW_SIZE
DATE = "Sun, 09 Sep 2001 01:46:40 GMT"
"""AT as HTTP writes it."""


@pytest.fixture
async def peer() -> Peer:
    """A peer without wishes."""
    return await connected_peer()


async def test_an_answer_is_its_status_and_its_body(peer: Peer) -> None:
    first, second = peer.send(), peer.send()
    await peer.deliver(headers(3, 400, flags=()), DataFrame(3, b'{"reason":'), headers(1, 200))
    assert (peer.ended, result(first)) == ([first], (200, "", ANSWERED, b""))
    await peer.deliver(DataFrame(3, b'"BadTopic"}', flags=["END_STREAM"]))
    assert (peer.ended, result(second)) == ([first, second], (400, "", ANSWERED, b'{"reason":"BadTopic"}'))
    assert (peer.connection.streams, peer.lost) == ({}, [])


async def test_an_answer_may_end_with_an_empty_frame(peer: Peer) -> None:
    stream = peer.send()
    await peer.deliver(headers(1, 200, flags=()), DataFrame(1, b"{}"), DataFrame(1, flags=["END_STREAM"]))
    assert (peer.ended, result(stream)) == ([stream], (200, "", ANSWERED, b"{}"))


@pytest.mark.parametrize("prefix", [b"", b"\x20"], ids=["plain", "after a change of the table"])
async def test_the_status_of_a_head_is_read_however_it_is_written(peer: Peer, prefix: bytes) -> None:
    for number, block in enumerate((b"\x88", b"\x8d", b"\x08\x03200", b"\x48\x82\x10\x01"), 1):
        peer.send()
        await peer.deliver(HeadersFrame(2 * number - 1, prefix + block, flags=["END_HEADERS", "END_STREAM"]))
    assert [one.status for one in peer.ended] == [200, 404, 200, 200]


async def test_an_interim_answer_is_not_the_answer(peer: Peer) -> None:
    stream = peer.send()
    await peer.deliver(headers(1, 103, ("link", "</x>"), flags=()), headers(1, 100, flags=()))
    assert (peer.ended, stream.wire) == ([], MAYBE)
    await peer.deliver(headers(1, 410, flags=()), DataFrame(1, b"{}", flags=["END_STREAM"]))
    assert (peer.ended, result(stream)) == ([stream], (410, "", ANSWERED, b"{}"))


async def test_trailers_end_an_answer_and_change_nothing_of_it(peer: Peer) -> None:
    stream = peer.send()
    trailers = HeadersFrame(1, b"\x00\x0bgrpc-status\x010", flags=["END_HEADERS", "END_STREAM"])
    await peer.deliver(headers(1, 400, ("retry-after", "7"), flags=()), DataFrame(1, b"{}"), trailers)
    assert (peer.ended, result(stream), stream.retry_after) == ([stream], (400, "", ANSWERED, b"{}"), 7.0)


async def test_the_padding_of_a_body_is_no_part_of_it(peer: Peer) -> None:
    stream = peer.send()
    part = DataFrame(1, b"{", pad_length=9, flags=["PADDED"])
    await peer.deliver(
        headers(1, 400, flags=()), part, DataFrame(1, b"}", pad_length=0, flags=["PADDED", "END_STREAM"])
    )
    assert result(stream) == (400, "", ANSWERED, b"{}")


async def test_a_body_may_be_so_long_and_is_cut_off_above(peer: Peer) -> None:
    longest = [DataFrame(1, b"x" * 16_384) for _ in range(4)]
    stream, other = peer.send(), peer.send()
    assert outline(await peer.deliver(headers(1, 400, flags=()), *longest))[-1:] == [("Data", 3, 2)], "no reset"
    assert (peer.ended, stream.received_bytes) == ([], MAX_RESPONSE_BYTES)
    [reset] = await peer.deliver(DataFrame(1, b"x"))
    assert (type(reset), reset.stream_id, reset.error_code) == (RstStreamFrame, 1, frames.CANCEL)
    assert (peer.ended, result(stream)) == ([stream], (400, "", ANSWERED, b""))
    await peer.deliver(DataFrame(1, b"x", flags=["END_STREAM"]), headers(3, 200))
    assert (peer.ended, peer.lost) == ([stream, other], [])


@pytest.mark.parametrize(("length", "truncated"), [(MAX_RESPONSE_BYTES, False), (MAX_RESPONSE_BYTES + 1, True)])
async def test_a_body_that_is_announced_too_long_is_not_waited_for(peer: Peer, length: int, truncated: bool) -> None:
    stream = peer.send()
    await peer.written_frames()
    found = await peer.deliver(headers(1, 400, ("content-length", str(length)), flags=()))
    assert [(type(one), one.stream_id) for one in found] == ([(RstStreamFrame, 1)] if truncated else [])
    assert (peer.ended, result(stream)) == ([stream] if truncated else [], (400, "", ANSWERED, b""))


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("120", 120.0),
        ("0", 0.0),
        ("Sun, 09 Sep 2001 01:47:40 GMT", 60.0),
        ("Sunday, 09-Sep-01 01:47:40 GMT", 60.0),
        ("Sun Sep  9 01:47:40 2001", 60.0),
        ("Sun, 09 Sep 2001 01:40:00 GMT", 0.0),
        ("-5", 0.0),
        ("9" * 400, 0.0),
        ("soon", 0.0),
        ("", 0.0),
    ],
)
async def test_retry_after_is_seconds_or_a_date(peer: Peer, value: str, seconds: float) -> None:
    stream = peer.send()
    await peer.deliver(headers(1, 429, ("retry-after", value)))
    assert (result(stream), stream.retry_after) == ((429, "", ANSWERED, b""), seconds)


@pytest.mark.parametrize(("value", "date"), [(DATE, AT), ("yesterday", 0.0), ("", 0.0)])
async def test_the_date_of_a_refusal_is_read(peer: Peer, value: str, date: float) -> None:
    stream = peer.send()
    await peer.deliver(headers(1, 403, ("apns-id", "1"), ("date", value)))
    assert (stream.date, stream.retry_after, stream.content_length) == (date, 0.0, None)


async def test_only_the_status_of_a_success_is_read(peer: Peer) -> None:
    stream = peer.send()
    await peer.deliver(headers(1, 200, ("date", DATE), ("retry-after", "9")))
    assert (stream.status, stream.date, stream.retry_after) == (200, 0.0, 0.0)


async def test_what_comes_for_a_request_that_was_given_up_is_ignored(peer: Peer) -> None:
    given_up, other = peer.send(), peer.send()
    await peer.written_frames()
    peer.connection.cancel(given_up)
    [reset] = await peer.written_frames()
    assert (type(reset), reset.stream_id, reset.error_code) == (RstStreamFrame, 1, frames.CANCEL)
    late = [headers(1, 400, flags=()), DataFrame(1, b"{}"), WindowUpdateFrame(1, 9), RstStreamFrame(1, 7)]
    assert await peer.deliver(*late, headers(1, 200)) == []
    assert (peer.ended, given_up.status, given_up.fault, given_up.wire) == ([], 0, "", MAYBE)
    peer.connection.cancel(given_up)
    assert await peer.deliver(headers(3, 200)) == []
    assert (peer.ended, peer.lost) == ([other], [])


async def test_frames_of_unknown_types_and_priorities_are_ignored(peer: Peer) -> None:
    assert await peer.deliver(frames.frame(0xFA, 1, 1, b"x"), frames.frame(frames.PRIORITY, 0, 1, bytes(5))) == []
    assert peer.lost == []


async def test_an_answer_before_the_request_is_whole_ends_it_and_the_rest_is_not_sent() -> None:
    peer = await connected_peer({WINDOW: 10})
    stream = peer.send(b"x" * 40)
    await peer.written_frames()
    [reset] = await peer.deliver(headers(1, 413), WindowUpdateFrame(1, 100))
    assert (type(reset), reset.stream_id) == (RstStreamFrame, 1)
    assert (peer.ended, result(stream)) == ([stream], (413, "", ANSWERED, b""))


async def test_the_end_of_a_connection_that_we_left_is_told_once(peer: Peer) -> None:
    stream = peer.send()
    await peer.deliver(PushPromiseFrame(1, 2, b"\x82", flags=["END_HEADERS"]), headers(1, 200))
    assert (peer.lost, peer.closed, peer.ended, peer.connection.streams) == (["protocol"], True, [], {1: stream})
    peer.connection.connection_lost(None)
    assert peer.lost == ["protocol"]


@pytest.mark.parametrize(
    "first", [PingFrame(0, bytes(8)), WindowUpdateFrame(0, 1), GoAwayFrame(0), RstStreamFrame(1, 7), b"HTTP/1.1 4"]
)
async def test_what_begins_without_settings_is_not_http2(first: Frame | bytes) -> None:
    peer = Peer()
    *_, goaway = await peer.deliver(first, SettingsFrame(0))
    assert (type(goaway), peer.lost, peer.closed) == (GoAwayFrame, ["protocol"], True)


@pytest.mark.parametrize(
    ("error", "fault"),
    [
        (None, "closed"),
        (ConnectionResetError(104, "Connection reset by peer"), "reset"),
        (TimeoutError("no answer to a keep-alive"), "reset"),
        (OSError("EOF occurred in violation of protocol"), "closed"),
    ],
)
async def test_the_end_of_a_connection_is_reported_once_with_its_kind(
    peer: Peer, error: Exception | None, fault: str
) -> None:
    stream = peer.send()
    peer.connection.connection_lost(error)
    peer.connection.connection_lost(error)
    peer.connection.close()
    await asyncio.sleep(0)
    assert (peer.lost, peer.connection.streams, peer.connection.can_send(0)) == ([fault], {1: stream}, False)


async def test_a_connection_that_we_close_sends_goaway_after_what_was_sent_and_is_not_lost(peer: Peer) -> None:
    peer.send()
    peer.connection.close()
    peer.connection.close()
    assert (peer.closed, peer.connection.can_send(0)) == (True, False)
    peer.connection.connection_lost(None)
    *sent, goaway = await peer.written_frames()
    assert outline(sent)[-2:] == [("Headers", 1, len(HEADER_BLOCK)), ("Data", 1, 2)]
    assert (type(goaway), goaway.error_code, peer.lost) == (GoAwayFrame, 0, [])


@pytest.mark.parametrize("value", ["²", "1²", "²" * 3])  # digits to str.isdigit(), but not to int() and float()
async def test_digits_of_another_alphabet_are_no_number(peer: Peer, value: str) -> None:
    stream = peer.send()
    latin = b"\x00\x0bretry-after" + bytes([len(value)]) + value.encode("latin-1")
    await peer.deliver(HeadersFrame(1, b"\x8d" + latin, flags=["END_HEADERS", "END_STREAM"]))
    assert (stream.status, stream.retry_after) == (404, 0.0)


@pytest.mark.parametrize(
    "value", [DATE.replace("2001", "9" * 10), DATE.replace("09", "9" * 20), DATE.replace("GMT", "+" + "9" * 20)]
)
async def test_a_date_out_of_all_bounds_is_none(peer: Peer, value: str) -> None:
    stream = peer.send()
    await peer.deliver(headers(1, 403, ("date", value), ("retry-after", value)))
    assert (stream.date, stream.retry_after) == (0.0, 0.0)


async def test_an_answer_stays_one_while_the_rest_of_its_request_is_sent() -> None:
    peer = await connected_peer({WINDOW: 10})
    stream = peer.send(b"x" * 40)
    await peer.deliver(headers(1, 413, flags=()), WindowUpdateFrame(1, 100), DataFrame(1, b"{}", flags=["END_STREAM"]))
    assert result(stream) == (413, "", ANSWERED, b"{}")


@pytest.mark.parametrize("fault", [RstStreamFrame(1, 7), GoAwayFrame(0, last_stream_id=0)])
async def test_what_was_answered_cannot_be_disowned(peer: Peer, fault: Frame) -> None:
    stream = peer.send()
    await peer.deliver(headers(1, 410, flags=()), fault)
    assert (peer.ended, stream.status, stream.wire, stream.body) == ([stream], 410, ANSWERED, b"")


@pytest.mark.parametrize("first", [headers(1, 200), DataFrame(1, b"x")])
async def test_an_answer_before_the_settings_is_not_http2(first: Frame) -> None:
    peer = Peer()
    await peer.deliver(first, SettingsFrame(0))
    assert (peer.lost, peer.closed) == (["protocol"], True)


async def test_what_comes_after_we_closed_the_connection_is_not_looked_at() -> None:
    peer = Peer()
    peer.connection.close()
    await peer.deliver(SettingsFrame(0))
    assert not peer.connection.can_send(0)
    await peer.deliver(b"HTTP/1.1 400 Bad Request\r\n\r\n")
    assert peer.lost == []
