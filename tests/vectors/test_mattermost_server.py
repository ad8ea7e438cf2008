"""The requests of a real Mattermost server, byte for byte, but for the key in the place of its credentials."""

import asyncio
import base64
import json
from collections.abc import Callable, Mapping

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import load_der_public_key

from tests.stage import Stage
from tests.vectors import load, replay
from tests.vectors.http1 import Answer, Connection
from tests.vectors.http1 import request as http_request
from tests.vectors.load import ServerRequest
from tests.waiting import PATIENCE, wait_for

# The recorded server's own key; its phones have it and verify each push with it.
SERVERS_KEY = (
    "MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEP07SsxQoRw7TqWI0/CkRneFYPVy8egVSVewS91Y+haS2563TpMVWZrCgI8IhFv7y23HKU1a/Hd1X"
    "To/oIGXG7w=="
)
PREFIX = "/t/acme"
ADD = """
import sys
import django
django.setup()
from tenants import services
from tenants.models import Customer
server = services.server_add(customer=Customer.objects.get(name="Acme"), name=sys.argv[1]).row
print(services.key_add(server=server).text)
"""


@pytest.fixture
def key(stage: Stage, request: pytest.FixtureRequest) -> str:
    """The key of a server of this test's own: what has come from another server is no repeat."""
    name = f"chat{abs(hash(request.node.name))}.acme.example"
    added = stage.run("-c", ADD, name).strip()
    wait_for(lambda: stage.push(key=added)["status"] == "OK", PATIENCE, "the key is known")
    return added


def in_path(one: ServerRequest, key: str) -> bytes:
    """As from a server whose setting is https://HOST/t/KEY; recorded credentials beside it stay as they are."""
    path = f"/t/{key}{one.path.removeprefix(PREFIX)}"
    return http_request(one.method, path, one.headers, one.body)


def as_password(one: ServerRequest, key: str) -> bytes:
    """As from a server whose setting is https://x:KEY@HOST: the header stands where Go puts it."""
    headers = [(name, value) for name, value in one.headers if name != "Authorization"]
    headers.insert(3, ("Authorization", replay.basic(key)))
    return http_request(one.method, one.path.removeprefix(PREFIX), headers, one.body)


def expected(one: ServerRequest) -> str:
    """OK, or the code of the FAIL, by what the request holds."""
    body = json.loads(one.body)
    if one.path.endswith("/ack"):
        return "OK"
    if not body["device_id"]:
        return "missing_device_id"
    return "no_app" if body["platform"].startswith("windows") else "OK"


async def send(port: int, contents: list[bytes]) -> list[Answer]:
    """Send these requests one after the other over one connection."""
    connection = Connection(port)
    answers = [await connection.send(content) for content in contents]
    await connection.close()
    return answers


@pytest.mark.parametrize("with_key", [in_path, as_password])
def test_each_request_of_a_real_server_is_answered_rightly(
    stage: Stage, key: str, with_key: Callable[[ServerRequest, str], bytes]
) -> None:
    requests = load.server_requests()
    answers = asyncio.run(send(stage.port, [with_key(one, key) for one in requests]))
    wrong = []
    for one, answer in zip(requests, answers, strict=True):
        seen = replay.Seen(answer)
        if answer.status != 200 or (seen.code or seen.verdict) != expected(one):
            wrong.append(f"{one.path}: {answer.status} {answer.body!r} instead of {expected(one)}")
    assert not wrong
    assert len(answers) == 59


def test_the_connection_is_kept_for_the_next_request_whatever_the_answer(stage: Stage) -> None:
    refused = next(one for one in load.server_requests() if expected(one) == "missing_device_id")
    answers = asyncio.run(send(stage.port, [in_path(refused, stage.key)] * 3))
    assert [answer.status for answer in answers] == [200] * 3
    assert all(answer.headers.get("connection", "keep-alive") == "keep-alive" for answer in answers)


def verifies(data: Mapping[str, str], device: str) -> bool:
    """Whether a phone would find the push's signature good: a JWT over its ack id and its own device id."""
    head, claims, signature = data["signature"].split(".")
    raw = base64.urlsafe_b64decode(signature + "==")
    key = load_der_public_key(base64.b64decode(SERVERS_KEY))
    assert isinstance(key, ec.EllipticCurvePublicKey)
    half = len(raw) // 2
    der = encode_dss_signature(int.from_bytes(raw[:half]), int.from_bytes(raw[half:]))
    key.verify(der, f"{head}.{claims}".encode(), ec.ECDSA(SHA256()))  # raises
    body = json.loads(base64.urlsafe_b64decode(claims + "=="))
    return bool(body == {"ack_id": data["ack_id"], "device_id": device})


def test_the_servers_signature_reaches_the_phone_as_it_was_and_verifies(stage: Stage, key: str) -> None:
    signed = {}
    for one in load.server_requests():
        body = json.loads(one.body)
        if body.get("signature"):
            signed[body["ack_id"]] = body
    stage.sandbox.clear()
    asyncio.run(send(stage.port, [in_path(one, key) for one in load.server_requests()]))
    relayed = 0
    for got in stage.sandbox.requests():
        if got["provider"] == "oauth":
            continue
        data = got["json"] if got["provider"] == "apns" else got["json"]["message"]["data"]
        if data["ack_id"] not in signed:
            continue
        pushed = signed[data["ack_id"]]
        assert data["signature"] == pushed["signature"]
        assert f'"{pushed["signature"]}"' in got["body"]
        assert verifies(data, pushed["device_id"])
        relayed += 1
    assert relayed == len(signed) >= 40
