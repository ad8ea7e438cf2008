"""Apple's checks, over the wire: each has a push that passes it beside the one that does not."""

import json
import time
import uuid
from pathlib import Path

import pycurl
import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from delivery.sandbox.demo import private_pem
from tests.delivery.sandbox.client import ALERT, DEVICE, Pusher
from tests.sandbox_fixture import SandboxClient

OK = 200


def refused(answer: object, status: int, reason: str) -> None:
    assert (answer.status, answer.reason) == (status, reason)  # type: ignore[attr-defined]


def test_a_good_push_is_taken_with_its_own_id(push: Pusher) -> None:
    number = str(uuid.uuid4())
    answer = push.apns(apns_id=number, apns_priority="10", apns_expiration="1900000000", apns_collapse_id="c" * 64)
    assert (answer.status, answer.body, answer.headers["apns-id"]) == (OK, b"", number)


def test_a_push_without_an_id_is_given_one(push: Pusher) -> None:
    assert uuid.UUID(push.apns().headers["apns-id"])


@pytest.mark.parametrize(
    ("headers", "status", "reason"),
    [
        ({"authorization": None}, 403, "MissingProviderToken"),
        ({"authorization": "bearer nonsense"}, 403, "InvalidProviderToken"),
        ({"apns_topic": None}, 400, "MissingTopic"),
        ({"apns_topic": "com.mattermost/rn"}, 400, "BadTopic"),
        ({"apns_topic": "com.example.other"}, 400, "TopicDisallowed"),
        ({"apns_push_type": "shout"}, 400, "InvalidPushType"),
        ({"apns_push_type": "voip"}, 400, "InvalidPushType"),
        ({"apns_topic": "com.mattermost.rn.voip"}, 400, "InvalidPushType"),
        ({"apns_priority": "7"}, 400, "BadPriority"),
        ({"apns_push_type": "background", "apns_priority": "10"}, 400, "BadPriority"),
        ({"apns_expiration": "tomorrow"}, 400, "BadExpirationDate"),
        ({"apns_collapse_id": "c" * 65}, 400, "BadCollapseId"),
        ({"apns_id": "12345"}, 400, "BadMessageId"),
    ],
)
def test_a_wrong_header_is_refused_in_apples_words(
    push: Pusher, headers: dict[str, str | None], status: int, reason: str
) -> None:
    refused(push.apns(**headers), status, reason)


def test_a_signature_by_another_key_is_refused(push: Pusher) -> None:
    stranger = push.sign(key=private_pem(ec.generate_private_key(ec.SECP256R1())).decode())
    refused(push.apns(authorization=f"bearer {stranger}"), 403, "InvalidProviderToken")


def test_an_unlisted_key_id_or_another_team_is_refused(push: Pusher) -> None:
    for token in (push.sign(key_id="ZZZ123ZZZZ"), push.sign(team="TEAM999999")):
        refused(push.apns(authorization=f"bearer {token}"), 403, "InvalidProviderToken")


def test_a_token_older_than_an_hour_is_expired_and_a_younger_one_is_not(push: Pusher) -> None:
    refused(push.apns(authorization=f"bearer {push.sign(age=3700)}"), 403, "ExpiredProviderToken")
    assert push.apns(authorization=f"bearer {push.sign(age=3500)}").status == OK


def test_a_token_from_the_future_is_refused(push: Pusher) -> None:
    refused(push.apns(authorization=f"bearer {push.sign(age=-600)}"), 403, "InvalidProviderToken")


def test_a_new_token_too_soon_is_refused_only_where_that_is_switched_on(sandbox: SandboxClient, push: Pusher) -> None:
    first, second = push.sign(age=10), push.sign(age=20)
    assert [push.apns(authorization=f"bearer {token}").status for token in (first, second)] == [OK, OK]
    sandbox.settings(limit_token_updates=True)
    assert push.apns(authorization=f"bearer {first}").status == OK
    refused(push.apns(authorization=f"bearer {second}"), 429, "TooManyProviderTokenUpdates")


@pytest.mark.parametrize(("push_type", "topic", "most"), [("alert", "", 4096), ("voip", ".voip", 5120)])
def test_a_payload_of_one_byte_too_many_is_refused(push: Pusher, push_type: str, topic: str, most: int) -> None:
    headers = {"apns_push_type": push_type, "apns_topic": f"com.mattermost.rn{topic}"}
    fitting = json.dumps({"x": ""}).encode()
    fitting = fitting.replace(b'""', b'"' + b"y" * (most - len(fitting)) + b'"')
    assert push.apns(body=fitting, **headers).status == OK
    refused(push.apns(body=fitting.replace(b"x", b"xx"), **headers), 413, "PayloadTooLarge")


@pytest.mark.parametrize("body", [b"", b"{}", b"no json", b"[1]"])
def test_a_body_that_is_no_payload_is_refused(push: Pusher, body: bytes) -> None:
    refused(push.apns(body=body), 400, "PayloadEmpty")


@pytest.mark.parametrize("device", ["a1" * 31, "zz" * 32, "a1" * 31 + "%41"])
def test_a_malformed_device_token_is_refused_unless_tokens_are_lenient(
    sandbox: SandboxClient, push: Pusher, device: str
) -> None:
    refused(push.apns(device), 400, "BadDeviceToken")
    sandbox.settings(lenient_tokens=True)
    assert push.apns(device).status == OK


def test_wrong_paths_and_methods_are_refused(push: Pusher) -> None:
    body, headers = json.dumps(ALERT).encode(), [f"authorization: bearer {push.token}", "apns-topic: com.mattermost.rn"]
    refused(push.post("/3/devices/" + DEVICE, body, headers), 404, "BadPath")
    refused(push.post("/3/device/", body, headers), 400, "MissingDeviceToken")
    refused(push.post("/3/device/" + DEVICE, body, headers, method="PUT"), 405, "MethodNotAllowed")
    refused(push.post("/3/device/" + DEVICE, body, [*headers, "apns-topic: com.other"]), 400, "DuplicateHeaders")


def test_an_unregistered_device_is_told_with_the_time_since_when(push: Pusher) -> None:
    answer = push.apns("dead0410" + "0" * 56)
    refused(answer, 410, "Unregistered")
    assert 0 < json.loads(answer.body)["timestamp"] < time.time() * 1000


def test_a_wrong_key_is_told_about_before_a_dead_device(push: Pusher) -> None:
    refused(push.apns("dead0410" + "0" * 56, authorization="bearer x"), 403, "InvalidProviderToken")


def test_too_many_requests_say_when_to_come_back(push: Pusher) -> None:
    answer = push.apns("dead0429" + "0" * 56)
    refused(answer, 429, "TooManyRequests")
    assert answer.headers["retry-after"] == "2"


def test_the_host_that_was_asked_for_is_kept(sandbox: SandboxClient, push: Pusher) -> None:
    for host in ("api.push.apple.com", "api.sandbox.push.apple.com"):
        assert push.apns(host=host).status == OK
    hosts = [request["host"].partition(":")[0] for request in sandbox.requests()]
    assert hosts == ["api.push.apple.com", "api.sandbox.push.apple.com"]


def test_a_listed_client_certificate_pushes_to_its_topic_alone(
    sandbox: SandboxClient, push: Pusher, tmp_path: Path
) -> None:
    file = tmp_path / "certificate.pem"
    file.write_bytes(sandbox.add_certificate("com.mattermost.cert"))
    path, body = f"/3/device/{DEVICE}", json.dumps(ALERT).encode()
    assert push.post(path, body, [], certificate=str(file)).status == OK
    assert push.post(path, body, ["apns-topic: com.mattermost.cert.voip"], certificate=str(file)).status == OK
    other = push.post(path, body, ["apns-topic: com.mattermost.rn"], certificate=str(file))
    refused(other, 400, "TopicDisallowed")
    assert sandbox.requests()[0]["client_certificate"]["uid"] == "com.mattermost.cert"


def test_an_unlisted_client_certificate_is_refused(sandbox: SandboxClient, push: Pusher, tmp_path: Path) -> None:
    file = tmp_path / "certificate.pem"
    listed = sandbox.demo.accounts.read_bytes()
    file.write_bytes(sandbox.add_certificate("com.mattermost.unlisted"))
    sandbox.demo.accounts.write_bytes(listed)
    answer = push.post(f"/3/device/{DEVICE}", json.dumps(ALERT).encode(), [], certificate=str(file))
    refused(answer, 403, "BadCertificate")


def test_apple_does_not_speak_http_1(push: Pusher) -> None:
    answer = push.post(f"/3/device/{DEVICE}", b"{}", [], http=pycurl.CURL_HTTP_VERSION_1_1)
    assert answer.status == 505
