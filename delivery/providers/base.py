"""What a sender is given and what it gives back. Pure data, no I/O.

Invariant: for each Try exactly one Attempt comes back, through on_done, on the event loop and within the try's timeout.
"""

import time
from collections.abc import Callable
from typing import Literal

import msgspec

from delivery.outcomes.transport import TransportFault
from delivery.outcomes.verdict import NOT_SENT, Attempt
from delivery.protocol.wire import Push

Family = Literal["apns", "fcm"]
Kind = Literal["apns_key", "apns_cert", "fcm_account"]


class Target(msgspec.Struct, gc=False):
    """One app with its opened credential, shared by all pushes of the app.

    topic is the bundle id (fcm: the package name); project is the Firebase project ("" for apns); origin is
    "https://host[:port]"; secret holds, by kind, {"key_pem", "key_id", "team_id"}, {"cert_pem", "key_pem"} or
    {"account_json"}. Senders keep connections and tokens by credential_id: a changed secret needs a new id.
    """

    app_id: int
    family: Family
    topic: str
    project: str
    origin: str
    credential_id: int
    kind: Kind
    secret: dict[str, str]

    def __repr__(self) -> str:
        """Return a text without the secret, for logs and tracebacks."""
        return f"Target(app_id={self.app_id}, topic={self.topic!r}, origin={self.origin!r}, kind={self.kind!r})"


class Try:
    """One attempt to be made.

    push_id is the apns-id (a UUID; "" for FCM, which has none); expires_at is in unix seconds; app_version is the
    number behind "-v" of the platform; timeout is a hard limit in seconds for everything: dial, handshake, access token
    and answer. batch and index belong to the caller. on_done(try, attempt) must not raise.
    """

    __slots__ = (
        "app_version",
        "batch",
        "expires_at",
        "index",
        "on_done",
        "push",
        "push_id",
        "target",
        "timeout",
    )

    def __init__(
        self,
        push: Push,
        target: Target,
        push_id: str,
        expires_at: int,
        app_version: int,
        timeout: float,
        on_done: "Callable[[Try, Attempt], None]",
        batch: object = None,
        index: int = 0,
    ) -> None:
        """Take the values as they are; see the class for their units."""
        self.push = push
        self.target = target
        self.push_id = push_id
        self.expires_at = expires_at
        self.app_version = app_version
        self.timeout = timeout
        self.on_done = on_done
        self.batch = batch
        self.index = index


def unsent(provider: str, host: str, fault: TransportFault, detail: str) -> Attempt:
    """Return the attempt that came to nothing before anything was sent."""
    return Attempt(provider, host, 0, fault, NOT_SENT, time.time(), 0, detail=detail)
