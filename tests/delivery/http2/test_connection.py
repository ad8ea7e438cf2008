"""One HTTP/2 connection, sending: requests within the peer's settings and windows; GOAWAY, RST_STREAM and PING."""

import asyncio

import h2.config
import h2.connection
import h2.events
import pytest
from hyperframe.frame import DataFrame, GoAwayFrame, PingFrame, RstStreamFrame, SettingsFrame, WindowUpdateFrame
from hypothesis import given
from hypothesis import strategies as st

from delivery.http2 import frames
from delivery.http2.stream import Stream
from delivery.outcomes.verdict import ANSWERED, MAYBE, NOT_SENT
from tests.delivery.http2.peer import HEADER_BLOCK, Peer, connected_peer, headers, outline, result

STREAMS, WINDOW = SettingsFrame.MAX_CONCURRENT_STREAMS, SettingsFrame.INITIAL_WINDOW_SIZE


@pytest.fixture
async def peer() -> Peer:
    """A peer without wishes."""
    return await connected_peer()


async def test_no_request_is_sent_before_the_peer_has_said_its_settings() -> None:
    peer = Peer()
    await asyncio.sleep(0)
    assert peer.written.startswith(frames.PREFACE)
    settings, window = await peer.written_frames()
    assert settings.settings == {
        SettingsFrame.HEADER_TABLE_SIZE: 0,
        SettingsFrame.ENABLE_PUSH: 0,
        WINDOW: 131_072,
        SettingsFrame.MAX_HEADER_LIST_SIZE: 16_384,
    }
    assert (window.stream_id, window.window_increment) == (0, 2**30 - 65_535)
    assert (peer.connection.can_send(0), peer.connection.settings_received, peer.capacity_calls) == (False, False, 0)
    await peer.deliver(SettingsFrame(0))
    assert (peer.connection.can_send(0), peer.connection.settings_received, peer.capacity_calls) == (True, True, 1)


async def test_settings_are_acknowledged_and_an_acknowledgement_is_not(peer: Peer) -> None:
    [answer] = await peer.deliver(SettingsFrame(0, {STREAMS: 7}))
    assert (type(answer), set(answer.flags), answer.settings) == (SettingsFrame, {"ACK"}, {})
    assert await peer.deliver(SettingsFrame(0, flags=["ACK"])) == []


async def test_a_ping_is_answered_and_an_answer_is_not(peer: Peer) -> None:
    [answer] = await peer.deliver(PingFrame(0, b"12345678"))
    assert (type(answer), set(answer.flags), answer.opaque_data) == (PingFrame, {"ACK"}, b"12345678")
    assert await peer.deliver(PingFrame(0, b"12345678", flags=["ACK"])) == []


@pytest.mark.parametrize(("settings", "most"), [({STREAMS: 2}, 2), ({}, 100)])
async def test_there_is_room_for_as_many_requests_as_the_peer_takes(settings: dict[int, int], most: int) -> None:
    peer = await connected_peer(settings)
    for _ in range(most):
        assert peer.connection.can_send(2)
        peer.send()
    assert not peer.connection.can_send(2)
    await peer.deliver(headers(1, 200))
    assert peer.connection.can_send(2)
    await peer.deliver(SettingsFrame(0, {STREAMS: 0}))
    assert not peer.connection.can_send(0)


async def test_there_is_no_room_while_the_peer_reads_slowly(peer: Peer) -> None:
    peer.connection.pause_writing()
    assert not peer.connection.can_send(2)
    peer.connection.resume_writing()
    assert (peer.connection.can_send(2), peer.capacity_calls) == (True, 2)


async def test_requests_of_one_turn_of_the_loop_are_whole_and_leave_together(peer: Peer) -> None:
    sent = [peer.send(b"{}"), peer.send(b"")]
    assert (peer.written, {one.wire for one in sent}) == (b"", {MAYBE})
    found = await peer.written_frames()
    assert outline(found) == [
        ("Headers", 1, len(HEADER_BLOCK)),
        ("Data", 1, 2),
        ("Headers", 3, len(HEADER_BLOCK)),
        ("Data", 3, 0),
    ]
    assert ["END_STREAM" in one.flags for one in found] == [False, True, False, True]


async def test_a_body_goes_out_as_its_stream_allows_and_counts_as_sent_with_its_last_byte() -> None:
    peer = await connected_peer({WINDOW: 10})
    stream = peer.send(b"0123456789abcdefghijklmno")
    found = await peer.written_frames()
    for grant in (10, 4):
        assert stream.wire == NOT_SENT
        found += await peer.deliver(WindowUpdateFrame(1, grant))
    assert stream.wire == NOT_SENT
    found += await peer.deliver(WindowUpdateFrame(1, 100))
    assert stream.wire == MAYBE
    assert [one.data for one in found[1:]] == [b"0123456789", b"abcdefghij", b"klmn", b"o"]
    assert ["END_STREAM" in one.flags for one in found] == [False, False, False, False, True]
    assert await peer.deliver(WindowUpdateFrame(1, 100)) == []


async def test_bodies_go_out_as_the_connection_allows() -> None:
    peer = await connected_peer({WINDOW: 2**20})
    assert peer.connection.can_send(70_000), "nothing else is under way"
    large = peer.send(b"x" * 70_000)
    assert outline(await peer.written_frames())[1:] == [("Data", 1, 16_384)] * 2 + [("Data", 1, 16_383)]
    assert large.wire == NOT_SENT
    assert outline(await peer.deliver(WindowUpdateFrame(0, 20_848))) == [("Data", 1, 16_384), ("Data", 1, 4464)]
    assert large.wire == NOT_SENT
    assert outline(await peer.deliver(WindowUpdateFrame(0, 101))) == [("Data", 1, 1)]
    assert large.wire == MAYBE
    for _ in range(2):
        peer.send(b"x" * 8192)
    assert (peer.connection.can_send(100), peer.connection.can_send(101)) == (True, False)


async def test_a_window_that_changes_under_way_changes_what_may_be_sent() -> None:
    peer = await connected_peer({WINDOW: 10})
    peer.send(b"x" * 40)
    await peer.written_frames()
    assert outline(await peer.deliver(SettingsFrame(0, {WINDOW: 15}))) == [("Settings", 0, 0), ("Data", 1, 5)]
    assert outline(await peer.deliver(SettingsFrame(0, {WINDOW: 5}))) == [("Settings", 0, 0)]
    assert outline(await peer.deliver(WindowUpdateFrame(1, 10))) == [], (
        "it makes up for what was sent beyond the window"
    )
    assert outline(await peer.deliver(WindowUpdateFrame(1, 3))) == [("Data", 1, 3)]


async def test_another_implementation_answers_requests_of_every_size() -> None:
    peer, server = Peer(), h2.connection.H2Connection(h2.config.H2Configuration(client_side=False))
    server.initiate_connection()
    bodies: dict[int, int] = {}
    sizes = [0, 1, 16_384, 16_385, 65_535, 200_000]
    waiting = [Stream(HEADER_BLOCK, b"x" * size, 0.0, 0.0, 0.0, lambda stream: None, size) for size in sizes]
    for _ in range(100):
        await asyncio.sleep(0)
        received, peer.written = peer.written, b""
        for event in server.receive_data(received):
            if isinstance(event, h2.events.DataReceived):
                bodies[event.stream_id] = bodies.get(event.stream_id, 0) + len(event.data)
                if event.flow_controlled_length:
                    server.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
            elif isinstance(event, h2.events.StreamEnded):
                server.send_headers(event.stream_id, [(":status", "400"), ("apns-id", str(event.stream_id))])
                server.send_data(event.stream_id, b"%d" % bodies[event.stream_id], end_stream=True)
        peer.connection.data_received(server.data_to_send())
        while waiting and peer.connection.can_send(len(waiting[0].unsent_body)):
            peer.connection.send(waiting.pop(0))
    assert [(one.status, one.wire, one.body) for one in peer.ended] == [(400, ANSWERED, b"%d" % n) for n in sizes]


async def test_a_goaway_disowns_later_requests_and_lets_the_others_be_answered(peer: Peer) -> None:
    first, second, third = peer.send(), peer.send(), peer.send()
    await peer.deliver(GoAwayFrame(0, last_stream_id=3))
    assert (result(third), peer.ended) == ((0, "goaway", NOT_SENT, b""), [third])
    assert (peer.connection.can_send(0), first.wire, second.wire) == (False, MAYBE, MAYBE)
    await peer.deliver(headers(1, 200), headers(3, 410))
    assert (result(first), result(second), peer.lost) == ((200, "", ANSWERED, b""), (410, "", ANSWERED, b""), [])


async def test_a_second_goaway_disowns_what_the_first_had_left(peer: Peer) -> None:
    first, second = peer.send(), peer.send()
    await peer.deliver(GoAwayFrame(0, last_stream_id=2**31 - 1))
    assert (peer.ended, peer.connection.can_send(0)) == ([], False)
    await peer.deliver(SettingsFrame(0))
    assert not peer.connection.can_send(0), "new settings do not open it again"
    await peer.deliver(GoAwayFrame(0, last_stream_id=1))
    assert (peer.ended, result(second)) == ([second], (0, "goaway", NOT_SENT, b""))
    await peer.deliver(GoAwayFrame(0, last_stream_id=1), headers(1, 200))
    assert peer.ended == [second, first]


@pytest.mark.parametrize(
    ("code", "fault", "wire"), [(7, "refused_stream", NOT_SENT), (0, "reset", MAYBE), (2, "reset", MAYBE)]
)
async def test_a_reset_request_was_not_sent_only_where_the_peer_says_so(
    peer: Peer, code: int, fault: str, wire: int
) -> None:
    stream, other = peer.send(), peer.send()
    await peer.deliver(RstStreamFrame(1, code))
    assert (peer.ended, result(stream)) == ([stream], (0, fault, wire, b""))
    assert peer.connection.streams == {3: other}


async def test_a_request_that_was_reset_before_its_last_byte_was_not_sent() -> None:
    peer = await connected_peer({WINDOW: 10})
    stream = peer.send(b"x" * 40)
    assert outline(await peer.deliver(RstStreamFrame(1, 8), WindowUpdateFrame(1, 99))) == [
        ("Headers", 1, len(HEADER_BLOCK)),
        ("Data", 1, 10),
    ]
    assert result(stream) == (0, "reset", NOT_SENT, b"")


async def test_what_a_peer_has_sent_is_granted_anew(peer: Peer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("delivery.http2.connection.RECEIVE_WINDOW", 4000)
    peer.send()
    peer.connection.cancel(peer.send())
    await peer.written_frames()
    assert await peer.deliver(headers(1, 400, flags=()), DataFrame(1, b"x" * 1500), DataFrame(3, b"x" * 500)) == []
    [grant] = await peer.deliver(DataFrame(3, b"x"))
    assert (type(grant), grant.stream_id, grant.window_increment) == (WindowUpdateFrame, 0, 2001)
    assert await peer.deliver(DataFrame(3, b"x" * 2000)) == []


_CONTENTS = [
    b"",
    b"\0\0\0\0",
    b"\0\0\0\7",
    bytes(8),
    b"\x7f\xff\xff\xff",
    b"\0\4\0\0\0\5",
    b"\x88",
    b"\x8d",
    b"\x08\x03103",
]
_FRAMES = st.builds(
    frames.frame,
    st.sampled_from([*range(10), 10]),
    st.sampled_from([0, 1, 4, 5, 8, 9, 12, 13, 37]),
    st.sampled_from([0, 1, 3, 5, 7]),
    st.sampled_from(_CONTENTS) | st.binary(max_size=20),
)


@given(st.lists(_FRAMES, max_size=12), st.integers(0, 50))
def test_whatever_a_peer_says_each_request_ends_once_or_is_left_for_the_end(frames_: list[bytes], size: int) -> None:
    async def talk() -> None:
        peer = await connected_peer({WINDOW: 20})
        sent = [peer.send(b"x" * size) for _ in range(3)]
        for one in frames_:
            if not peer.closed:
                peer.connection.data_received(one)
        still_open = list(peer.connection.streams.values())
        assert sorted(map(id, [*peer.ended, *still_open])) == sorted(map(id, sent))
        assert all(one.status or one.fault for one in peer.ended)
        assert peer.lost in ([], ["protocol"])
        assert peer.closed is bool(peer.lost)
        assert all(one.wire != MAYBE for one in sent if one.unsent_body)

    asyncio.run(talk())


async def test_padding_that_a_peer_has_sent_is_granted_anew(peer: Peer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("delivery.http2.connection.RECEIVE_WINDOW", 4000)
    peer.connection.cancel(peer.send())
    await peer.written_frames()
    found = await peer.deliver(*[DataFrame(1, b"x", pad_length=249, flags=["PADDED"])] * 9)  # RFC 9113, 6.1: all counts
    assert [(one.stream_id, one.window_increment) for one in found] == [(0, 9 * 251)]


async def test_a_ping_of_a_wrong_size_is_not_answered_with_another_one(peer: Peer) -> None:
    [goaway] = await peer.deliver(frames.frame(frames.PING, 0, 0, b"1234567"))  # RFC 9113, 6.7: FRAME_SIZE_ERROR
    assert (type(goaway), peer.lost) == (GoAwayFrame, ["protocol"])


async def test_a_peer_that_asks_and_asks_and_reads_nothing_is_left(peer: Peer) -> None:
    ping = PingFrame(0, b"12345678")
    peer.connection.pause_writing()
    peer.write_buffer_size = 1_000_000
    assert [type(one) for one in await peer.deliver(ping)] == [PingFrame], "it may be slow for a while"
    peer.write_buffer_size = 2_000_000
    await peer.deliver(ping)
    assert (peer.lost, peer.closed) == (["protocol"], True)


async def test_a_peer_may_be_quicker_than_our_preface() -> None:
    peer = Peer(connected=False)
    peer.connection.data_received(SettingsFrame(0).serialize() + PingFrame(0, b"12345678").serialize())
    await asyncio.sleep(0)
    assert peer.written == b""
    peer.connection.connection_made(peer)  # type: ignore[arg-type]
    await asyncio.sleep(0)
    assert peer.written.startswith(frames.PREFACE)
    assert [type(one) for one in await peer.written_frames()] == [
        SettingsFrame,
        WindowUpdateFrame,
        SettingsFrame,
        PingFrame,
    ]
    assert peer.connection.can_send(0)


async def test_a_caller_may_give_the_others_up_when_a_goaway_disowns_one(peer: Peer) -> None:
    first, second = peer.send(), peer.send()
    peer.on_stream_ended = lambda stream: peer.connection.cancel(second)
    await peer.deliver(GoAwayFrame(0, last_stream_id=0))
    assert (peer.ended, second.fault, peer.lost) == ([first], "", [])
