"""What a libcurl error says about a request: the transport word, and whether the request may have reached the provider.

Pure. Invariant: NOT_SENT is said only where it is sure that the provider has not processed, and will not process, the
request; everything else is MAYBE. What each code means was read off real faults
(tests/delivery/senders/test_http2_faults.py).

The body comes from a reader that cannot rewind. libcurl wants to rewind in two cases, and both end here instead of in
a second request on the wire: the provider disowned the stream (REFUSED_STREAM, or a GOAWAY whose last stream is an
earlier one), or a reused connection broke off. In the second case libcurl has noted the break first, so its text is
another one.
"""

from typing import Final

import pycurl

from delivery.verdict import MAYBE, NOT_SENT

HTTP2_STREAM: Final = 92  # CURLEHTTP2_STREAM
_DISOWNED: Final = "seek callback returned error"
_BEFORE_SENDING: Final = {
    pycurl.E_COULDNT_RESOLVE_HOST: "dns",
    pycurl.E_COULDNT_RESOLVE_PROXY: "proxy",
    pycurl.E_COULDNT_CONNECT: "connect",
    97: "proxy",  # CURLE_PROXY; this and the next have no name in pycurl
    pycurl.E_PEER_FAILED_VERIFICATION: "tls",
    pycurl.E_SSL_CONNECT_ERROR: "tls",
    pycurl.E_SSL_CACERT_BADFILE: "tls",
    pycurl.E_SSL_CERTPROBLEM: "credential",
    pycurl.E_SSL_CIPHER: "tls",
    98: "credential",  # CURLE_SSL_CLIENTCERT
    pycurl.E_SSL_ENGINE_INITFAILED: "tls",
    pycurl.E_SSL_INVALIDCERTSTATUS: "tls",
    pycurl.E_SSL_ISSUER_ERROR: "tls",
    pycurl.E_URL_MALFORMAT: "bad_token",
}
_CERTIFICATE_REFUSED: Final = ("certificate", "unknown ca", "access denied")
"""In the TLS alerts with which a server turns a client certificate down (RFC 5246, 7.2.2)."""
_BROKEN_OFF: Final = {pycurl.E_RECV_ERROR, pycurl.E_SEND_ERROR, HTTP2_STREAM, pycurl.E_SEND_FAIL_REWIND}


def classify(code: int, message: str, body_read: bool, proxy_status: int) -> tuple[str, int]:
    """Return (transport word, NOT_SENT or MAYBE) for a request that ended without an answer.

    code and message are libcurl's; body_read says whether libcurl asked for the request's body, without which no
    request is complete; proxy_status is the HTTP status of the proxy's answer to CONNECT (0: none).
    """
    if not body_read and proxy_status not in (0, 200):
        return "proxy", NOT_SENT
    if not body_read and " alert " in message and any(sign in message for sign in _CERTIFICATE_REFUSED):
        return "credential", NOT_SENT
    word = _BEFORE_SENDING.get(code)
    if word is not None and not body_read:
        return word, NOT_SENT
    if code == pycurl.E_OPERATION_TIMEDOUT:
        return ("timeout", MAYBE) if body_read else ("timeout_connect", NOT_SENT)
    if code == pycurl.E_SEND_FAIL_REWIND and message.startswith(_DISOWNED):
        return "refused_stream", NOT_SENT
    wire = MAYBE if body_read else NOT_SENT
    if "SETTINGS frame" in message:
        return "protocol", NOT_SENT
    if "nghttp2" in message:
        return "protocol", wire
    return ("reset" if code in _BROKEN_OFF else "closed"), wire
