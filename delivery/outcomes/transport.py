"""Transport errors: why a request to a provider came to nothing below HTTP, or was never made.

Invariant: the values are contracts. They stand as `reason` in the attempts of the delivery log, in log lines, and in
the codes of verdicts; delivery/outcomes/own.py, or a provider's outcomes.py, has a row for each of
them and each state of the wire that it can have.
"""

from enum import StrEnum
from typing import Literal


class TransportFault(StrEnum):
    """The kind of a transport error. A member is a str, so it is a reason like those of Apple and Google."""

    DNS = "dns"
    """The name of the provider could not be resolved."""
    CONNECT = "connect"
    """No address of the provider took a TCP connection."""
    TLS = "tls"
    """The TLS handshake failed, or the certificate of the provider could not be verified."""
    PROXY = "proxy"
    """The outgoing proxy could not be reached, or refused CONNECT."""
    TIMEOUT_CONNECT = "timeout_connect"
    """The deadline passed before the request was sent."""
    TIMEOUT = "timeout"
    """The deadline passed after the request was sent, and no response had come."""
    CLOSED = "closed"
    """The provider closed the connection (FIN, or TLS's close_notify)."""
    RESET = "reset"
    """The connection was reset, or the stream by RST_STREAM with a code other than REFUSED_STREAM."""
    REFUSED_STREAM = "refused_stream"
    """The provider disowned this request alone: RST_STREAM with REFUSED_STREAM (RFC 9113, 8.7)."""
    GOAWAY = "goaway"
    """The provider ended the connection and disowned the request: a GOAWAY whose last stream id is lower (6.8)."""
    PROTOCOL = "protocol"
    """The provider violated HTTP/2, or did not offer it by ALPN."""
    STOPPED = "stopped"
    """This process closed the connection because it is shutting down, or because nobody used it any more."""
    CREDENTIAL = "credential"
    """The app's credential cannot sign, cannot be loaded, or was not accepted in TLS or by the token endpoint."""
    CLOCK = "clock"
    """Our clock is wrong, and the provider does not accept what was signed by it."""
    TOKEN_ENDPOINT = "token_endpoint"  # noqa: S105
    """Google's OAuth token endpoint gave no access token."""
    SIGNATURE = "signature"
    """We could not sign the request for an access token in time."""
    BAD_TOKEN = "bad_token"  # noqa: S105
    """The device token fits into no request."""
    TOO_LARGE = "too_large"
    """The body is larger than the provider takes."""


NoFault = Literal[""]
"""In the place of a fault where there is none: the request was answered, or has not ended yet."""
