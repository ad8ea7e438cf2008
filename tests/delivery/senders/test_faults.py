"""What libcurl's codes mean. The faults themselves are made in test_http2_faults, test_http2 and test_egress."""

import pycurl
import pytest

from delivery.outcomes import Outcome, judge
from delivery.senders.faults import HTTP2_STREAM, classify
from delivery.verdict import MAYBE, NOT_SENT, Attempt

CODES = [
    value for name, value in vars(pycurl).items() if name.startswith("E_") and isinstance(value, int) and value > 0
]


@pytest.mark.parametrize(
    ("code", "message", "word"),
    [
        (pycurl.E_COULDNT_RESOLVE_HOST, "Could not resolve host: push.invalid", "dns"),
        (pycurl.E_COULDNT_RESOLVE_PROXY, "Could not resolve proxy: proxy.invalid", "proxy"),
        (pycurl.E_COULDNT_CONNECT, "Failed to connect", "connect"),
        (pycurl.E_PEER_FAILED_VERIFICATION, "certificate verify failed", "tls"),
        (pycurl.E_SSL_CONNECT_ERROR, "SSL routines::unexpected eof while reading", "tls"),
        (pycurl.E_SSL_CONNECT_ERROR, "SSL routines::tlsv1 alert unknown ca", "credential"),
        (pycurl.E_SSL_CONNECT_ERROR, "SSL routines::sslv3 alert certificate revoked", "credential"),
        (pycurl.E_SSL_CONNECT_ERROR, "SSL routines::tlsv1 alert protocol version", "tls"),
        (pycurl.E_SSL_CERTPROBLEM, "could not load PEM client certificate", "credential"),
        (pycurl.E_OPERATION_TIMEDOUT, "Connection timed out", "timeout_connect"),
        (pycurl.E_RECV_ERROR, "Recv failure: Connection reset by peer", "reset"),
    ],
)
def test_what_happened_before_the_body_was_read_was_not_sent(code: int, message: str, word: str) -> None:
    assert classify(code, message, False, 0) == (word, NOT_SENT)


@pytest.mark.parametrize("code", CODES)
def test_once_the_body_was_read_only_a_disowned_request_is_surely_not_sent(code: int) -> None:
    assert classify(code, "something", True, 0)[1] == MAYBE


def test_a_rewind_that_was_wanted_after_a_broken_connection_is_not_taken_for_a_disowned_request() -> None:
    rewind = pycurl.E_SEND_FAIL_REWIND
    assert classify(rewind, "seek callback returned error 1", True, 0) == ("refused_stream", NOT_SENT)
    assert classify(rewind, "Recv failure: Connection reset by peer", True, 0) == ("reset", MAYBE)


def test_a_stream_that_was_reset_may_have_been_processed() -> None:
    assert classify(HTTP2_STREAM, "HTTP/2 stream 3 reset by server (error 0x8 CANCEL)", True, 0) == ("reset", MAYBE)


@pytest.mark.parametrize("code", CODES)
@pytest.mark.parametrize("body_read", [False, True])
def test_every_code_has_a_word_with_a_row_in_the_verdict_table(code: int, body_read: bool) -> None:
    word, wire = classify(code, "something", body_read, 0)
    verdict = judge(Attempt("apns", "push.example", 0, word, wire, 0.0, 1))
    assert verdict.code != "transport_unknown"
    assert (verdict.outcome is Outcome.UNKNOWN) == (wire == MAYBE)
