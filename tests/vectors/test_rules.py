"""The rules of the table of differences, tried on what was not recorded."""

import gzip
import json
from urllib.parse import unquote

import pytest
from hyperframe.frame import GoAwayFrame
from hypothesis import assume, given
from hypothesis import strategies as st

from delivery.outcomes.verdict import ANSWERED, MAYBE, NOT_SENT, TROUBLED, Answer, Attempt, Outcome, Retry
from delivery.providers import table
from delivery.providers.apns import sender
from hpns.asgi import WebProcess
from hpns.web.body import BodyError, BodyTooLargeError, decoded
from tests.delivery.http2.peer import connected_peer

LIMIT = 256 * 1024
REASONS = st.sampled_from(["BadDeviceToken", "Unregistered", "InternalServerError", "ServiceUnavailable"])
STATUSES = st.sampled_from([400, 403, 410, 429, 500, 503])


def answered(status: int, body: bytes) -> Attempt:
    """An answer of Apple's, read."""
    attempt = Attempt("apns", "api.push.apple.com", status, "", ANSWERED, 1.0, 1)
    sender._read_refusal(attempt, body)
    return attempt


@given(st.text(max_size=3500))
def test_a_device_token_is_one_segment_of_the_path_or_is_not_sent(token: str) -> None:
    segment = sender.path_segment(token)
    if segment:
        assert not set(segment) & set("/?#\\ ")
        assert segment not in (".", "..")
        assert unquote(segment, errors="surrogatepass") == token
        assert len(segment) <= sender.LONGEST_TOKEN


@pytest.mark.parametrize("length", [1001, 3016])
def test_a_device_token_that_is_too_long_is_not_sent(length: int) -> None:
    assert sender.path_segment("a" * length) == ""
    assert sender.path_segment("a" * 1000)


@given(st.sampled_from(["Reason", "REASON", "reaSon", "rea\u017fon", " reason"]), STATUSES, REASONS)
def test_a_reason_is_read_in_no_other_spelling_of_its_member_whatever_the_status(
    name: str, status: int, reason: str
) -> None:
    verdict = table.judge(answered(status, json.dumps({name: reason}).encode()))
    # Without a reason that can be read, what says by its status that it will pass is trouble of the provider's.
    code = "apns_trouble" if status in TROUBLED else "apns_unknown"
    assert (verdict.answer, verdict.code) == (Answer.FAIL, code)


@given(st.one_of(st.floats(allow_nan=False, allow_infinity=False), st.text(), st.integers(), st.none(), st.booleans()))
def test_a_phone_is_gone_whatever_the_form_of_the_timestamp(timestamp: object) -> None:
    attempt = answered(410, json.dumps({"reason": "Unregistered", "timestamp": timestamp}).encode())
    assert table.judge(attempt).answer is Answer.REMOVE


@given(st.binary(max_size=200), st.sampled_from(["gzip", "x-gzip", "GZIP", "br", "deflate", "gzip, gzip"]))
def test_a_body_is_what_its_content_encoding_says_or_it_is_refused(body: bytes, encoding: str) -> None:
    assume(body[:2] != b"\x1f\x8b")
    with pytest.raises((BodyError, BodyTooLargeError)):
        decoded(body, encoding, LIMIT)
    assert decoded(gzip.compress(body), "gzip", LIMIT) == body
    assert decoded(body, "identity", LIMIT) == body


@given(st.lists(st.sampled_from(["", ".", "..", "api", "v1", "send_push", "ack", "version", "admin", "t"]), max_size=6))
def test_no_path_is_an_endpoint_but_the_two_themselves_and_those_behind_a_key(parts: list[str]) -> None:
    path = "/" + "/".join(parts)
    found = WebProcess.route(_Views(), path)  # type: ignore[arg-type]
    ends = [end for end in ("/api/v1/send_push", "/api/v1/ack") if path.endswith(end)]
    prefix = path[: -len(ends[0])] if ends else "/"
    is_one = bool(ends) and (not prefix or (prefix.startswith("/t/") and prefix.count("/") == 2 and len(prefix) > 3))
    assert (found is not None) == is_one


@pytest.mark.parametrize("provider", ["apns", "fcm"])
@pytest.mark.parametrize("code", [0, 1, 2, 11, 2**32 - 1])
@pytest.mark.parametrize("last", [0, 1, 3, 5, 2**31 - 1])
async def test_what_a_goaway_disowns_is_sent_again_whenever_it_comes_and_what_it_counts_as_taken_once_at_most(
    provider: str, code: int, last: int
) -> None:
    peer = await connected_peer()
    streams = [peer.send() for _ in range(3)]
    await peer.deliver(GoAwayFrame(0, last_stream_id=last, error_code=code))
    peer.connection.connection_lost(None)
    for number, stream in zip((1, 3, 5), streams, strict=True):
        made = Attempt(provider, "host", 0, stream.fault or peer.lost[-1], stream.wire, 1.0, 1)
        verdict = table.judge(made)
        assert verdict.answer is Answer.FAIL
        if number > last:
            assert (stream.wire, verdict.code) == (NOT_SENT, "transport_goaway")
            assert verdict.retry in (Retry.SAFE, Retry.AT_ONCE)
        else:
            assert (stream.wire, verdict.outcome, verdict.retry) == (MAYBE, Outcome.UNKNOWN, Retry.ONCE)


class _Views:
    """What of a web process route() looks at."""

    send_push, ack = object(), object()
