"""The pigeon post, a third provider, as the worker needs it. test_third_provider puts it into a copy."""

import os
from typing import Final
from urllib.parse import urlsplit

import msgspec

from delivery.http2 import hpack_encoding
from delivery.http2.engine import Engine
from delivery.http2.stream import Stream
from delivery.outcomes.verdict import Answer, Attempt, Outcome, Outcomes, Verdict, failed, troubled
from delivery.providers.base import CredentialTrial, Provider, Setting, Target, Try

ACCEPTED: Final = Verdict(Outcome.SENT, "sent", Answer.OK, "provider", "the pigeon flies", "nothing", "info")
GONE: Final = Verdict(
    Outcome.GONE, "pigeon_gone", Answer.REMOVE, "device", "this loft is empty", "let its user log in again", "info"
)
KEY: Final = failed(
    "pigeon_wrong_key",
    "the pigeons do not know this key",
    "upload another one",
    attribution="customer",
    outcome=Outcome.REFUSED,
    counts_in_sla=False,
    is_credential_fault=True,
    is_key_fault=True,
)
UNKNOWN: Final = failed(
    "pigeon_unknown",
    "the pigeon came back with {status}",
    "report it with the trace id",
    attribution="provider",
    outcome=Outcome.UNKNOWN,
)


class PigeonSender:
    """One request a push, as the two real senders make theirs."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def send(self, t: Try) -> None:
        """Make one attempt."""
        channel = self._engine.channel(t.target.origin, t.target.credential_id)
        head = hpack_encoding.field_block([(b"authorization", t.target.secret["pigeon_secret"])])
        body = msgspec.json.encode({"loft": t.push.device_id, "note": t.push.message})
        channel.post("/fly", head, body, t.timeout, self._ended, t)

    def _ended(self, stream: Stream) -> None:
        t = stream.tag
        host = urlsplit(t.target.origin).hostname or ""
        attempt = Attempt("pigeon", host, stream.status, stream.fault, stream.wire, stream.at, stream.ms)
        t.on_done(t, attempt)


def _origin(host: str, setting: Setting) -> str:
    return os.environ["PIGEON_ORIGIN"]


def _accepted(target: Target) -> str:
    return f"the pigeons know the way to {target.topic}"


PIGEON: Final = Provider(
    family="pigeon",
    origin=_origin,
    sender=lambda engine, setting, dry_run: PigeonSender(engine),
    takes_push_id=False,
    outcomes=Outcomes(
        accepts=range(200, 201),
        sent=ACCEPTED,
        answers={(404, ""): GONE, (401, ""): KEY},
        unknown=UNKNOWN,
        trouble=troubled("pigeon_trouble", "The pigeon post"),
    ),
    trial=CredentialTrial(
        nobody="nobodys-loft",
        good=frozenset(("sent", "pigeon_gone")),
        accepted=_accepted,
        descriptions={},
    ),
    sandbox_phone="a-loft-of-the-sandbox",
)
