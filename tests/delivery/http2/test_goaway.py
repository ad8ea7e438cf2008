"""What a peer says when it disowns requests or asks for calm, and what becomes of the requests and the connection."""

import asyncio
import logging

import pytest
from hyperframe.frame import GoAwayFrame, RstStreamFrame

from delivery.http2.engine import Engine
from delivery.http2.error_codes import LONGEST_DEBUG_DATA, goaway_reason, goaway_text, name
from delivery.outcomes.verdict import MAYBE, NOT_SENT
from tests.delivery.http2.peer import connected_peer, result
from tests.delivery.http2.posting import FIELD_BLOCK, post
from tests.delivery.http2.rough_server import RoughServer

OK = "/3/device/ok"
CALM = 11
TOKEN = "5a" * 32


@pytest.fixture(autouse=True)
def _as_new(rough: RoughServer) -> None:
    rough.goaway = (0, b"")


@pytest.mark.parametrize(
    ("code", "debug_data", "text"),
    [
        (0, b"", "GOAWAY NO_ERROR"),
        (CALM, b"too_many_pings", "GOAWAY ENHANCE_YOUR_CALM: too_many_pings"),
        (1, b'{"reason":"Shutdown"}', 'GOAWAY PROTOCOL_ERROR: {"reason":"Shutdown"}'),
        (2, b"a\r\nb\x00\x1b[31mc\xc3\xbc", "GOAWAY INTERNAL_ERROR: a b [31mc"),
        (2**32 - 1, b" \n ", "GOAWAY 4294967295"),
        (7, b"token " + TOKEN.encode() + b" is bad", "GOAWAY REFUSED_STREAM: token ... is bad"),
        (7, b"x" * 75 + b" " + TOKEN.encode(), "GOAWAY REFUSED_STREAM: ... ..."),
        (0, b"no " * 1000, f"GOAWAY NO_ERROR: {('no ' * 1000)[:LONGEST_DEBUG_DATA]}".rstrip()),
    ],
)
def test_debug_data_are_a_short_printable_line_without_a_secret(code: int, debug_data: bytes, text: str) -> None:
    assert goaway_text(code, debug_data) == text
    assert len(text) <= LONGEST_DEBUG_DATA + 40


def test_an_error_code_that_has_no_name_is_a_number() -> None:
    assert (name(11), name(13), name(14)) == ("ENHANCE_YOUR_CALM", "HTTP_1_1_REQUIRED", "14")


async def test_a_disowned_request_holds_what_the_goaway_said() -> None:
    peer = await connected_peer()
    taken, disowned = peer.send(), peer.send()
    await peer.deliver(GoAwayFrame(0, last_stream_id=1, error_code=2, additional_data=b"restarting"))
    assert (result(disowned), disowned.error) == ((0, "goaway", NOT_SENT, b""), "GOAWAY INTERNAL_ERROR: restarting")
    assert peer.notices == [(2, "GOAWAY INTERNAL_ERROR: restarting", True)]
    assert (peer.connection.taken, taken.fault) == (1, "")


async def test_a_reset_request_holds_the_name_of_the_error() -> None:
    peer = await connected_peer()
    refused, broken = peer.send(), peer.send()
    await peer.deliver(RstStreamFrame(1, 7), RstStreamFrame(3, 2))
    assert (refused.error, broken.error, peer.notices) == (
        "RST_STREAM REFUSED_STREAM",
        "RST_STREAM INTERNAL_ERROR",
        [],
    )


async def test_who_loses_its_connection_after_a_goaway_is_told_both() -> None:
    peer = await connected_peer()
    await peer.deliver(GoAwayFrame(0, 2**31 - 1, 0, b"bye"))
    peer.connection.connection_lost(ConnectionResetError(104, "Connection reset by peer"))
    assert peer.lost_texts == ["GOAWAY NO_ERROR: bye; [Errno 104] Connection reset by peer"]


@pytest.mark.parametrize(("code", "level"), [(0, logging.INFO), (2, logging.WARNING)])
async def test_the_log_has_what_a_peer_said_once_in_a_second(
    rough: RoughServer, plain: Engine, caplog: pytest.LogCaptureFixture, code: int, level: int
) -> None:
    rough.goaway = (code, b"restarting")
    with caplog.at_level(logging.INFO, "delivery.http2"):
        for _ in range(3):
            assert (await post(plain, rough.origin, OK)).status == 200
            seen = await post(plain, rough.origin, "/3/device/retire")
            assert (seen.fault, seen.wire, seen.error) == ("goaway", NOT_SENT, f"GOAWAY {name(code)}: restarting")
    [first, *others] = [record for record in caplog.records if "GOAWAY" in record.getMessage()]
    assert (first.levelno, first.getMessage()) == (level, f"localhost has sent GOAWAY {name(code)}: restarting")
    assert len(others) < 2 or "more since" in others[0].getMessage()


TURNED_DOWN = b'{"reason":"BadCertificateEnvironment"}'
REFUSALS = frozenset(("BadCertificateEnvironment",))


@pytest.mark.parametrize(
    ("debug_data", "reason"),
    [
        (TURNED_DOWN, "BadCertificateEnvironment"),
        (b"", ""),
        (b"restarting", ""),
        (b"{}", ""),
        (b'{"reason":7}', ""),
        (b"[" * 5_000, ""),
        (b'{"reason":"\xff"}', ""),
    ],
)
def test_the_reason_in_debug_data_is_read(debug_data: bytes, reason: str) -> None:
    assert goaway_reason(debug_data) == reason


async def test_a_goaway_that_turns_the_credential_down_says_so_of_what_it_disowns_alone() -> None:
    peer = await connected_peer(refusals=REFUSALS)
    taken, disowned = peer.send(), peer.send()
    await peer.deliver(GoAwayFrame(0, last_stream_id=1, additional_data=TURNED_DOWN))
    assert (result(disowned), disowned.error) == ((0, "credential", NOT_SENT, b""), "BadCertificateEnvironment")
    assert (peer.connection.refusal, taken.fault) == ("BadCertificateEnvironment", "")


async def test_a_goaway_with_a_reason_that_is_not_the_credentials_is_one_as_any_other() -> None:
    peer = await connected_peer(refusals=REFUSALS)
    disowned = peer.send()
    await peer.deliver(GoAwayFrame(0, last_stream_id=0, additional_data=b'{"reason":"Shutdown"}'))
    assert (disowned.fault, peer.connection.refusal) == ("goaway", "")


async def test_what_waits_for_a_credential_that_was_turned_down_ends_with_it_and_dials_only_now_and_then(
    rough: RoughServer, plain: Engine
) -> None:
    rough.goaway = (0, TURNED_DOWN)
    channel = plain.channel(rough.origin, 77, refusals=REFUSALS)
    before = rough.connections
    seen: list[tuple[str, str, int]] = []
    for number in range(100):
        channel.post(
            f"/3/device/retire_{number}",
            FIELD_BLOCK,
            b"{}",
            10,
            lambda stream: seen.append((stream.fault, stream.error, stream.wire)),
        )
        await asyncio.sleep(0.01)
    while len(seen) < 100:
        await asyncio.sleep(0.01)
    assert set(seen) == {("credential", "BadCertificateEnvironment", NOT_SENT)}
    assert rough.connections - before < 15


async def test_a_refused_request_costs_no_connection_and_goes_out_again_on_the_same(
    rough: RoughServer, plain: Engine
) -> None:
    assert (await post(plain, rough.origin, OK)).status == 200
    before = rough.connections
    for number in range(5):
        seen = await post(plain, rough.origin, f"/3/device/refuse_{number}")
        assert (seen.fault, seen.wire, seen.error) == ("refused_stream", NOT_SENT, "RST_STREAM REFUSED_STREAM")
        assert (await post(plain, rough.origin, OK)).new_connections == 0
    assert rough.connections == before


async def test_a_connection_that_does_nothing_but_refuse_is_left(
    rough: RoughServer, plain: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("delivery.http2.pooled_connection.UNRESPONSIVE_SECONDS", 0.2)
    assert (await post(plain, rough.origin, OK)).status == 200
    before = rough.connections
    for number in range(60):
        await post(plain, rough.origin, f"/3/device/refuse_on_{number}")
        if rough.connections > before:
            return
        await asyncio.sleep(0.01)
    raise AssertionError("it is used on and on")


@pytest.mark.parametrize("behaviour", ["retire", "calm"], ids=["GOAWAY", "RST_STREAM"])
async def test_a_peer_that_asks_for_calm_gets_nothing_for_a_while(
    rough: RoughServer, plain: Engine, monkeypatch: pytest.MonkeyPatch, behaviour: str
) -> None:
    monkeypatch.setattr("delivery.http2.backoff.CALM_PAUSE", 1.5)
    rough.goaway = (CALM, b"slow down")
    assert (await post(plain, rough.origin, OK)).status == 200
    before, came = rough.connections, rough.came
    seen = await post(plain, rough.origin, f"/3/device/{behaviour}_asks")
    if behaviour == "retire":
        assert (seen.fault, seen.wire, seen.error) == ("goaway", NOT_SENT, "GOAWAY ENHANCE_YOUR_CALM: slow down")
    else:  # it may have been taken (RFC 9113, 8.7)
        assert (seen.fault, seen.wire, seen.error) == ("reset", MAYBE, "RST_STREAM ENHANCE_YOUR_CALM")
    hurried = await post(plain, rough.origin, OK, seconds=0.2)
    assert (hurried.status, hurried.wire, hurried.error) == (0, NOT_SENT, seen.error), "it says why it was not sent"
    assert hurried.fault == ("goaway" if behaviour == "retire" else "refused_stream")
    assert (rough.connections, rough.came) == (before, came + 1), "neither dialled nor sent to"
    patient = await asyncio.gather(*(post(plain, rough.origin, OK, seconds=20) for _ in range(20)))
    assert {one.status for one in patient} == {200}
    assert rough.connections == before + (behaviour == "retire")


async def test_who_waits_for_a_connection_in_vain_is_told_what_ended_those_before(
    rough: RoughServer, plain: Engine
) -> None:
    rough.goaway = (2, b"restarting")
    for number in range(6):
        await post(plain, rough.origin, f"/3/device/retire_{number}", seconds=10)
    came = rough.came
    seen = await post(plain, rough.origin, OK, seconds=0.1)
    assert (seen.status, seen.fault, seen.error, seen.wire) == (
        0,
        "goaway",
        "GOAWAY INTERNAL_ERROR: restarting",
        NOT_SENT,
    )
    assert rough.came == came
