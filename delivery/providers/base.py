"""What a push provider is to the worker, what its sender is given and what it gives back. Data types, no I/O.

Invariant: for each Try exactly one Attempt comes back, through on_done, on the event loop and within the try's timeout.
"""

import time
from collections.abc import Callable, Mapping
from typing import Final, Protocol

import msgspec

from delivery.http2.engine import Channel, Engine
from delivery.http2.peer_clock import TOLERANCE, PeerClock
from delivery.outcomes.transport import TransportFault
from delivery.outcomes.verdict import CLOCK, NOT_SENT, Attempt, Outcomes, Verdict
from delivery.protocol.wire import Push

Setting = Callable[[str], str]
"""Reads one of our settings by its name."""


SIGNS_NOT: Final = float("inf")


class Target(msgspec.Struct, gc=False):
    """One app with its opened credential, shared by all pushes of the app.

    family names the provider and kind its credential, whose secret is as the provider's file in tenants/providers says;
    topic is the bundle id or package name; project is the Firebase project ("" where there is none); origin is
    "https://host[:port]"; signs_since: when the credential began to sign for the app as it is (unix seconds; SIGNS_NOT:
    it does not yet). Senders keep connections and tokens by credential_id: a changed secret needs a new id.
    first_tries counts the pushes that were sent with it (see delivery/worker/retry_budget.py).
    """

    app_id: int
    family: str
    topic: str
    project: str
    origin: str
    credential_id: int
    kind: str
    secret: dict[str, str]
    first_tries: int = 0
    signs_since: float = 0.0

    def __repr__(self) -> str:
        """Return a text without the secret, for logs and tracebacks."""
        return f"Target(app_id={self.app_id}, topic={self.topic!r}, origin={self.origin!r}, kind={self.kind!r})"


class Try:
    """One attempt to be made.

    push_id is the apns-id (a UUID; "" for a provider that takes none); expires_at is in unix seconds; app_version is
    the number behind "-v" of the platform; timeout is a hard limit in seconds for everything: dial, handshake, access
    token and answer. batch and index belong to the caller; tenant is the customer whose turn it may have to wait for.
    on_done(try, attempt) must not raise.
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
        "tenant",
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
        tenant: int = 0,
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
        self.tenant = tenant


FORGET_SECONDS: Final = 1800.0
"""A credential that nothing was sent with for so long is forgotten: its customer may be gone. It is longer than the 20
minutes in which Apple wants no second token of a key."""


def is_abandoned(channel: Channel) -> bool:
    """Tell whether nothing was sent on a channel for FORGET_SECONDS."""
    return time.monotonic() - channel.used_at > FORGET_SECONDS


class TooLargeError(Exception):
    """A body larger than its provider takes, which no shorter text would mend: it is not sent. str() says how large."""


def unsent(provider: str, host: str, fault: TransportFault, detail: str) -> Attempt:
    """Return the attempt that came to nothing before anything was sent."""
    return Attempt(provider, host, 0, fault, NOT_SENT, time.time(), 0, detail=detail)


def clock_remark(clock: PeerClock, ahead: float) -> str:
    """Return the remark on something that was signed with a wrong time; ahead: by how many seconds (behind: < 0)."""
    skew = clock.skew()
    if abs(skew) > TOLERANCE:
        return f"{CLOCK} is {_offset(skew)}"
    return f"{CLOCK} was {_offset(ahead)} when it signed"


def _offset(seconds: float) -> str:
    return f"{abs(seconds):.0f} s {'ahead' if seconds > 0 else 'behind'}"


class Sender(Protocol):
    """Sends to one provider over the process's HTTP/2 engine."""

    def send(self, t: Try) -> None:
        """Make one attempt; t.on_done(t, attempt) follows on the loop, within t.timeout and not before send returns."""


def no_ids(kind: str, key_id: str) -> dict[str, str]:
    """Find nothing in a credential's key_id."""
    return {"team_id": "", "key_id": ""}


def nothing_special(verdict: Verdict, attempt: Attempt) -> None:
    """Leave a verdict to the descriptions by its code."""


def no_project(kind: str, secret: Mapping[str, str]) -> str:
    """Find no project in a credential: its provider has none."""
    return ""


def shows_twice(push: Push) -> bool:
    """Hold that no second push takes the first one's place: what is not known of a provider is not tried on phones."""
    return False


class CredentialTrial(msgspec.Struct, frozen=True):
    """How a credential is tried at its provider without reaching a phone, and what is said of the result.

    nobody is a device token of the right form that belongs to nobody; good are the codes of verdicts that say that the
    credential was accepted; accepted() says so in a sentence; descriptions are cause and fix by code, instead of the
    table's, which speak to somebody whose push has failed; ids() finds in a credential's key_id, by its kind, what they
    name; special() has a description for a verdict that its code alone does not tell enough of, or None.
    """

    nobody: str
    good: frozenset[str]
    accepted: Callable[[Target], str]
    descriptions: Mapping[str, tuple[str, str]]
    ids: Callable[[str, str], dict[str, str]] = no_ids
    special: Callable[[Verdict, Attempt], tuple[str, str] | None] = nothing_special


class Cause(msgspec.Struct, frozen=True):
    """A likely cause: in a few words, and as sentences."""

    words: str
    text: str


class Silence(msgspec.Struct, frozen=True):
    """Why a phone that is sent to acknowledges nothing, likeliest first: where it never has, and where it stopped."""

    never: Cause = Cause(
        "Old app, app removed, or offline",
        "Its app may be too old to acknowledge, or removed without logging out; or the phone is offline.",
    )
    stopped: Cause = Cause(
        "App removed, or offline", "Its app was removed without logging out, or the phone is switched off or offline."
    )


class Provider(msgspec.Struct, frozen=True):
    """One push provider as the worker needs it: how a push is sent to it, and what its answers mean.

    origin(host, setting) is the origin for an app's host, read from the settings that its tenants' half names;
    sender(engine, setting, dry_run) makes its sender, which with dry_run reaches no phone; project(kind, secret)
    finds the project that a credential is for; takes_push_id says whether each push carries an id of ours;
    sandbox_phone is a device token that the provider sandbox delivers to; silence says why receipts of a phone of this
    platform can be missing; replaces(push) says whether a second one takes the first one's place on the phone, so that
    it may be sent again though it may have arrived.
    """

    family: str
    origin: Callable[[str, Setting], str]
    sender: Callable[[Engine, Setting, bool], Sender]
    takes_push_id: bool
    outcomes: Outcomes
    trial: CredentialTrial
    sandbox_phone: str
    project: Callable[[str, Mapping[str, str]], str] = no_project
    replaces: Callable[[Push], bool] = shows_twice
    silence: Silence = Silence()
