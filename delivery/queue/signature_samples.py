"""Samples of signatures: a push a minute of each key and server_id, from web processes by Valkey to the worker.

The web process, which has the whole push, compares the signature's claims with it and hands on a digest: no device
token and no text leaves it. Verifying, which costs as much as a whole push, is the worker's (tenants/proofs/evidence).
Losing some does little harm: the next minute's are as good.
"""

from typing import Any, Final

import redis

from delivery.models import Delivery
from delivery.protocol.wire import Push
from delivery.queue import handover, shared_clock, valkey
from tenants import key_sightings
from tenants.proofs import evidence, signatures
from tenants.proofs.evidence import Sample

WAITING: Final = "usage:signatures"
# Samples that wait in one process, and in Valkey while nobody records: a verification takes 100 us.
UNSENT_MOST: Final = 2_000
ENTRIES_MOST: Final = 5_000
CHUNK: Final = 500
# What a Mattermost server never signs: it says nothing of all other pushes.
NEVER_SIGNED: Final = frozenset(("test", "session"))
ACK_ID_MAX: Final = 64


class SignatureSamples:
    """The samples of one web process, on its loop; key_usage.py says which pushes are samples, and when to flush()."""

    def __init__(self, link: valkey.Link) -> None:
        self._link = link
        self._unsent: list[Sample] = []
        self._wrong: set[str] = set()

    def take(self, key_id: int, server_id: str, push: Push) -> None:
        """Take a push with this key for a sample; `server_id` as it is kept."""
        if len(self._unsent) >= UNSENT_MOST:
            return
        server_id = _kept(server_id)
        now = int(shared_clock.now())
        try:
            signed = signatures.read(push.signature, push.ack_id, push.device_id)
        except signatures.Unsigned:
            if push.type not in NEVER_SIGNED:
                self._unsent.append(Sample(key_id, server_id, now, evidence.UNSIGNED))
        except signatures.BadSignature:
            self._unsent.append(Sample(key_id, server_id, now, evidence.BAD))
        else:
            ack_id, values = _kept(push.ack_id)[:ACK_ID_MAX], (signed.digest.hex(), signed.signature.hex())
            self._unsent.append(Sample(key_id, server_id, now, evidence.SIGNED, ack_id, *values))

    def note_wrong(self, server_id: str) -> None:
        """Note a push by server_id alone that is not signed with a key that speaks for it: the key may have changed."""
        name = _kept(server_id)[: key_sightings.SERVER_ID_MAX_LENGTH]
        if name not in self._wrong and len(self._unsent) < UNSENT_MOST:
            self._wrong.add(name)
            self._unsent.append(Sample(0, name, int(shared_clock.now()), evidence.WRONG))

    def flush(self) -> None:
        """Push what is new to Valkey now; what it cannot take is sampled anew."""
        unsent, self._unsent = self._unsent, []
        self._wrong.clear()
        if unsent and self._link.up:
            handover.post(self._link, WAITING, unsent, ENTRIES_MOST)


def _kept(text: str) -> str:
    """A text as PostgreSQL takes it, and as the log and sightings have it."""
    return text.replace("\0", "")


def write(store: redis.Redis) -> int:
    """Verify and record the samples that wait in Valkey; returns how many that were.

    Raises what the stores raise; what PostgreSQL did not take is back in its place then.
    """
    return handover.drain(store, WAITING, _record, CHUNK)


def _record(rows: list[Any]) -> None:
    evidence.record([Sample(*row) for row in rows], _sent_elsewhere)


def _sent_elsewhere(ack_id: str, customer_id: int) -> bool:
    """Whether the log has a push of another customer with this ack_id, by an index."""
    return Delivery.objects.filter(ack_id=ack_id).exclude(customer_id=customer_id).exists()
