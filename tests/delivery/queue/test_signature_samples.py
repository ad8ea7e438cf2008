"""Samples of signatures: taken in the web process without a word of the push, verified in the worker."""

import json

import msgspec
import pytest
import redis
from django.db import connection

from billing import customers
from delivery.protocol import mattermost_id
from delivery.protocol.wire import Push
from delivery.queue import signature_samples, valkey
from delivery.queue.key_usage import KeyUsage
from delivery.queue.signature_samples import WAITING
from hpns.local.mattermost_site import Installation
from tenants.models import Proof
from tenants.proofs import signatures
from tenants.proofs.evidence import Sample
from tests.log_as_text import LOG_COLUMNS
from tests.tenants.conftest import Acme, acme, p8

__all__ = ["acme", "p8"]
DEVICE, TEXT = "ab" * 32, "a secret text"


def push(installation: Installation, **changes: str) -> Push:
    made = installation.signed({"device_id": DEVICE, "platform": "apple_rn", "type": "message", "message": TEXT})
    return msgspec.convert({**made, **changes}, Push)


async def waiting(link: valkey.Link, store: redis.Redis) -> list[list[object]]:
    await link.drain()
    return [json.loads(entry) for entry in store.lrange(WAITING, 0, -1)]


async def test_one_push_a_minute_of_a_key_and_server_id_is_a_sample(link: valkey.Link, store: redis.Redis) -> None:
    usage, home, other = KeyUsage(link), Installation(), Installation()
    for _ in range(3):
        for installation in (home, other):
            usage.observe(3, push(installation))
    usage.flush()
    assert [(entry[0], entry[1], entry[3]) for entry in await waiting(link, store)] == [
        (3, home.diagnostic_id, "signed"),
        (3, other.diagnostic_id, "signed"),
    ]


async def test_no_text_and_no_token_is_in_valkey(link: valkey.Link, store: redis.Redis) -> None:
    usage = KeyUsage(link)
    usage.observe(3, push(Installation()))
    usage.flush()
    await link.drain()
    for key in store.scan_iter():
        if store.type(key) == b"list":
            everything = b"".join(store.lrange(key, 0, -1))
            assert DEVICE.encode() not in everything
            assert TEXT.encode() not in everything
            assert b"eyJ" not in everything  # the claims, in base64


async def test_what_is_wrong_with_a_signature_is_said_by_a_word(link: valkey.Link, store: redis.Redis) -> None:
    usage = KeyUsage(link)
    home = Installation()
    usage.observe(1, push(home, signature=""))
    usage.observe(2, push(home, signature="a.b.c"))
    usage.observe(3, push(home, ack_id="another"))
    usage.observe(4, push(home, type="test", signature=""))
    usage.observe(5, push(home, type="session", signature=""))
    usage.flush()
    assert [(entry[0], entry[3]) for entry in await waiting(link, store)] == [(1, "unsigned"), (2, "bad"), (3, "bad")]


async def test_what_waits_has_a_bound(link: valkey.Link, store: redis.Redis, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(signature_samples, "UNSENT_MOST", 3)
    usage = KeyUsage(link)
    for number in range(1, 9):
        usage.observe(number, push(Installation()))
        usage.samples.note_wrong(f"server {number}")
    usage.flush()
    assert len(await waiting(link, store)) == 3


async def test_a_forged_push_by_server_id_is_noted_once_a_look(link: valkey.Link, store: redis.Redis) -> None:
    usage = KeyUsage(link)
    for _ in range(3):
        usage.samples.note_wrong("x" * 300)
    usage.flush()
    ((key, name, _, state, *_),) = await waiting(link, store)
    assert (key, name, state) == (0, "x" * 64, "wrong")


@pytest.mark.django_db
def test_the_worker_proves_a_server_by_two_of_its_pushes(store: redis.Redis, acme: Acme) -> None:
    home = Installation()
    for minute in range(2):
        taken = signature_samples.SignatureSamples.__new__(signature_samples.SignatureSamples)
        taken._unsent, taken._wrong = [], set()
        sent = push(home)
        taken.take(acme.key.pk, sent.server_id, sent)
        (sample,) = taken._unsent
        store.rpush(WAITING, json.dumps(sample._replace(at=sample.at + 60 * minute)))
    assert signature_samples.write(store) == 2
    assert Proof.objects.get().public_key == home.public_key
    assert store.llen(WAITING) == 0


@pytest.mark.django_db
def test_a_signature_that_the_log_knows_of_another_customers_push_proves_nothing(
    store: redis.Redis, acme: Acme
) -> None:
    sent = push(Installation())
    customer = customers.add(name="Victim", offer="hpns").row
    with connection.cursor() as cursor:
        cursor.execute(
            f"INSERT INTO delivery_delivery ({LOG_COLUMNS}) VALUES ('t', now(), now(), %s, %s, NULL, NULL"  # noqa: S608
            ", 'p', 't', '', %s, 'm', 'd', 1, 'sent', 'ok', 'OK', 'ours', true, '[]', NULL, 1)",
            [customer.pk, acme.server.pk, mattermost_id.pack(sent.ack_id)],
        )
    signed = signatures.read(sent.signature, sent.ack_id, sent.device_id)
    values = (sent.ack_id, signed.digest.hex(), signed.signature.hex())
    store.rpush(WAITING, json.dumps(Sample(acme.key.pk, sent.server_id, 1_800_000_000, "signed", *values)))
    assert signature_samples.write(store) == 1
    assert Proof.objects.get().last == "replayed"


async def test_what_postgresql_takes_in_no_text_is_left_out_of_a_sample(link: valkey.Link, store: redis.Redis) -> None:
    usage, home = KeyUsage(link), Installation()
    usage.observe(3, msgspec.structs.replace(push(home), server_id="a\0b"))
    usage.samples.note_wrong("c\0d")
    usage.flush()
    assert [entry[1] for entry in await waiting(link, store)] == ["ab", "cd"]
