"""The whole database and Valkey's files, raw, after everything that holds a secret went through: there is none in them.

test_unspoken.py looks for the like in logs and answers.
"""

import base64
import json
import math
import re
import zlib
from collections.abc import Iterator

import psycopg
import pytest
from django.core import signing
from psycopg import sql

from tests.faults import planted_secrets
from tests.faults.pushes import TEXT, android, iphone, push, wait_for_worker
from tests.stage import Stage
from tests.waiting import PATIENCE, wait_for

CHUNK_BYTES = 18
"""Bytes out of the middle of a long secret that are looked for: a part of it is a leak, too."""
PLANTED = b"planted: a secret that somebody forgot in a table"


@pytest.fixture(scope="module")
def secrets(service: Stage, keys: dict[str, str]) -> dict[str, bytes]:
    """Everything that must not be found, by what it is, after it all was used."""
    seeded: dict[str, str] = json.loads(service.run("-c", planted_secrets.SEED, str(service.sandbox.folder)))
    key = seeded["key"]
    devices = {
        "an iPhone": {"device_id": iphone()},
        "an iPhone that is gone": {"device_id": iphone("dead0410")},
        "an Android phone": {"platform": "android_rn-v2", "device_id": android()},
        "a phone without an app": {"platform": "nobody's", "device_id": iphone()},
        "a phone in the queue": {"device_id": iphone()},
    }
    wait_for_worker(service)
    for content in ("as_sent", "generic", "id_only"):
        service.manage("customer", "content", "--slug", "iris", "--to", content)
        wait_for(lambda content=content: content_of(service, key) == content, 5, f"{content} is in force")
        for name, members in devices.items():
            if name != "a phone in the queue":
                answer = push(service, key, **members)
                ack = {"id": answer.ack_id, "platform": "ios", "type": "message", "device_id": members["device_id"]}
                service.post(f"/t/{key}/api/v1/ack", json.dumps(ack).encode())
    for members in devices.values():
        push(service, seeded["a revoked key"], **members)
        push(service, f"{key[:-4]}AAAA", **members)
    basic = base64.b64encode(f"push:{key}".encode()).decode()
    service.post("/api/v1/send_push", b"{}", {"Authorization": f"Basic {basic}"})
    wait_for(
        lambda: service.rows("outcome = 'sent'") and not service.redis().exists("log:rows"),
        PATIENCE,
        "rows are written",
    )
    wait_for(lambda: has_receipts(service), PATIENCE, "receipts are written")
    service.stop("worker")
    push(service, key, **devices["a phone in the queue"])  # it waits there, sealed

    found = {name: text.encode() for name, text in seeded.items()}
    found |= {f"the token of {name}": members["device_id"].encode() for name, members in devices.items()}
    found |= {f"the secret of {name}": seeded[name].rpartition("_")[2].encode() for name in ("key", "a revoked key")}
    found |= {"a text": TEXT.encode(), "the password of the database": b"pages-password"}
    for name in ("SECRET_KEY", "HASH_KEY", "VAULT_KEYS"):
        found[name] = service.env[name].rpartition(":")[2].encode()
    return dict(_bare(found))


def has_receipts(service: Stage) -> bool:
    """Whether the log's writer has kept any."""
    with psycopg.connect(service.postgres.url) as connection:
        return connection.execute("SELECT 1 FROM delivery_receipt LIMIT 1").fetchone() is not None


def content_of(service: Stage, key: str) -> str:
    """What of a push's content goes on at present, by what Apple gets of one."""
    device = iphone()
    push(service, key, device_id=device)
    received = service.sandbox.requests(device)[-1]["json"]
    if received.get("id_loaded"):
        return "id_only"
    return "as_sent" if TEXT in str(received) else "generic"


def _bare(found: dict[str, bytes]) -> Iterator[tuple[str, bytes]]:
    """Each as it is, and what is base64 or hex of something else also as that; PEM without its frame and lines."""
    for name, secret in found.items():
        body = re.sub(rb"-----[A-Z ]+-----|\s", b"", secret) if b"-----" in secret else secret
        yield name, body
        if re.fullmatch(rb"[0-9a-f]{64}", body):
            yield f"{name}, as bytes", bytes.fromhex(body.decode())
        elif re.fullmatch(rb"[A-Za-z0-9+/_-]{40,}=*", body) and len(body) % 4 == 0:
            yield f"{name}, as bytes", base64.b64decode(body, altchars=b"-_" if b"-" in body or b"_" in body else None)


def forms(secret: bytes) -> dict[str, bytes]:
    """How a secret may be written; in base64 also where it begins in the middle of three bytes."""
    middle = (len(secret) - CHUNK_BYTES) // 2
    piece = secret[middle : middle + CHUNK_BYTES] if middle > 0 else secret
    found = {"raw": piece, "hex": piece.hex().encode(), "HEX": piece.hex().upper().encode()}
    for shift in range(3):
        encoded = base64.b64encode(bytes(shift) + piece)
        # The characters at both ends depend on what stands beside.
        core = encoded[math.ceil(shift * 8 / 6) : (shift + len(piece)) * 8 // 6]
        found |= {f"base64+{shift}": core, f"base64url+{shift}": core.translate(bytes.maketrans(b"+/", b"-_"))}
    return found


def found_in(dumps: dict[str, bytes], secrets: dict[str, bytes]) -> list[str]:
    """Which dump holds which secret in which form."""
    return [
        f"{where}: {name} ({form})"
        for name, secret in secrets.items()
        for form, text in forms(secret).items()
        for where, dump in dumps.items()
        if text in dump
    ]


def dumped(service: Stage) -> dict[str, bytes]:
    """Every table by its name, each column as text; the sessions unpacked; Valkey's files, which are not packed."""
    dumps = {}
    with psycopg.connect(service.postgres.url) as connection:
        tables = connection.execute(
            "SELECT n.nspname, c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace "
            "WHERE c.relkind IN ('r', 'm') AND n.nspname NOT IN ('pg_catalog', 'information_schema')"
        ).fetchall()
        for schema, name in tables:
            question = sql.SQL("COPY (SELECT t::text FROM {} t) TO STDOUT").format(sql.Identifier(schema, name))
            with connection.cursor().copy(question) as copy:
                dumps[name] = b"".join(bytes(block) for block in copy)
        sessions = connection.execute("SELECT session_data FROM django_session").fetchall()
        dumps["sessions"] = b"\n".join(unpacked(data) for (data,) in sessions)
    with service.redis() as valkey:
        valkey.config_set("rdbcompression", "no")
        valkey.save()
    home = service.folder.servers / "valkey"
    for file in sorted([*home.rglob("*.aof"), *home.rglob("*.rdb")]):
        dumps[file.name] = file.read_bytes()
    return dumps


def unpacked(session: str) -> bytes:
    """A session as whoever reads the table can have it, without any key (django.core.signing.dumps)."""
    data = session.partition(":")[0]
    plain = base64.urlsafe_b64decode(data.lstrip(".") + "==")
    return zlib.decompress(plain) if data.startswith(".") else plain


@pytest.fixture(scope="module")
def dumps(service: Stage, secrets: dict[str, bytes]) -> dict[str, bytes]:
    """Of the service as it is after all that."""
    return dumped(service)


def test_the_dump_is_of_everything_and_everything_went_through(
    dumps: dict[str, bytes], secrets: dict[str, bytes]
) -> None:
    appended = b"".join(dump for name, dump in dumps.items() if name.endswith(".aof"))
    assert b"delivery.deliver" in appended
    assert b"delivery.deliver" in dumps["dump.rdb"], "no push waits: this test shows nothing of the queue"
    assert b"directory:copy" in dumps["dump.rdb"]
    for table, expected in {
        "tenants_customer": b"Iris",
        "tenants_serverkey": secrets["key"][3:11],
        "tenants_credential": b"v1:s1:",
        "tenants_invitation": b"joe@iris.example",
        "tenants_auditevent": b"account.log_in",
        "mfa_authenticator": b"v1:s1:",
        "auth_user": b"pbkdf2_",
        "delivery_receipt": b"message,ios",
        "sessions": b"\n",
    }.items():
        # Partitions by day are dumped each by its own name.
        assert any(expected in dump for name, dump in dumps.items() if name.startswith(table)), table
    log = b"".join(dump for name, dump in dumps.items() if name.startswith("delivery_"))
    assert {outcome for outcome in (b"sent", b"gone", b"refused") if outcome in log} == {b"sent", b"gone", b"refused"}
    assert len(secrets) > 25


def test_no_secret_is_in_it_in_any_form(dumps: dict[str, bytes], secrets: dict[str, bytes]) -> None:
    assert found_in(dumps, secrets) == []


def test_the_search_finds_each_secret_in_each_form(secrets: dict[str, bytes]) -> None:
    """The guard of the guard: in whatever stands around it."""
    for name, secret in secrets.items():
        for lead in (b"", b"x", b"xy"):
            around = lead + b"xxx" + secret + b"yyy"
            shapes = (around, around.hex().encode(), base64.b64encode(around), base64.urlsafe_b64encode(around))
            for shape in shapes:
                assert found_in({"dump": b"..." + shape + b"..."}, {name: secret}), name
    assert found_in({"dump": b"nothing of it"}, secrets) == []


def test_the_search_sees_what_a_session_would_hold() -> None:
    held = PLANTED.decode()
    for data in (held, held * 20):  # the longer one is packed
        signed = signing.dumps({"secret": data}, key="k", salt="s", compress=True)
        assert found_in({"sessions": unpacked(signed)}, {"it": PLANTED}) == ["sessions: it (raw)"]


def test_the_dump_shows_what_is_planted(service: Stage, secrets: dict[str, bytes]) -> None:
    with psycopg.connect(service.postgres.url, autocommit=True) as connection, service.redis() as valkey:
        try:
            connection.execute("CREATE TABLE planted (a text, b bytea, c jsonb)")
            row = (PLANTED.decode(), b"packed " + PLANTED, json.dumps({"in": [base64.b64encode(PLANTED).decode()]}))
            connection.execute("INSERT INTO planted VALUES (%s, %s, %s)", row)
            valkey.set("planted", PLANTED * 100)
            dumps = dumped(service)
        finally:
            connection.execute("DROP TABLE IF EXISTS planted")
            valkey.delete("planted")
    places = found_in(dumps, {"it": PLANTED})
    for place in (
        "planted: it (raw)",
        "planted: it (hex)",
        "planted: it (base64",
        "dump.rdb: it (raw)",
        ".aof: it (raw)",
    ):
        assert any(place in found for found in places), (place, places)
