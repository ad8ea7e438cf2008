"""The tour: one push from a Mattermost server to a phone, every stage real. Read this first."""

import json

import pytest

from tests import phones
from tests.stage import Stage


@pytest.fixture
def stage(service: Stage) -> Stage:
    """A whole service: see tests/stage.py."""
    return service


def test_a_message_reaches_the_iphone_and_the_server_is_told_ok(stage: Stage) -> None:
    device = "ab" * 32
    assert stage.push(device_id=device, message="ada: lunch?") == {"status": "OK"}
    (request,) = stage.sandbox.requests(device, count=1)
    assert request["path"] == f"/3/device/{device}"
    assert request["json"]["aps"]["alert"] == {"title": "Town Square", "body": "ada: lunch?"}


def test_a_message_reaches_the_android_phone_and_the_server_is_told_ok(stage: Stage) -> None:
    device = "fT3_abc:APA91b" + "x" * 120
    assert stage.push(platform="android_rn-v2", device_id=device, message="ada: lunch?") == {"status": "OK"}
    (request,) = stage.sandbox.requests(device, count=1)
    assert request["json"]["message"]["data"]["message"] == "ada: lunch?"


def test_each_push_ends_as_one_row_without_text_or_token(stage: Stage) -> None:
    device = "cd" * 32
    stage.push(device_id=device, ack_id="the-one-row", message="a secret text")
    (row,) = stage.logged(1, where="ack_id = 'the-one-row'")
    assert (row["outcome"], row["answer"], len(row["attempts"])) == ("sent", "OK", 1)
    assert row["accepted_at"] <= row["ended_at"]
    assert device not in str(row)
    assert "secret" not in str(row)


def test_a_dead_device_is_told_remove(stage: Stage) -> None:
    device = "dd" * 32
    stage.sandbox.script(device, {"status": 410, "json": {"reason": "Unregistered", "timestamp": 1}})
    assert stage.push(device_id=device) == {"status": "REMOVE"}


def test_a_platform_without_an_app_is_told_what_to_add(stage: Stage) -> None:
    answer = stage.push(platform="apple_other-v2")
    assert answer["status"] == "FAIL"
    assert answer["error"].startswith("no_app no mobile app is set up for the platform apple_other: add")


def test_an_ack_is_answered_at_once(stage: Stage) -> None:
    ack = {"id": "a", "received_at": 1, "platform": "ios", "type": "message", "post_id": "", "is_id_loaded": False}
    status, body = stage.post(f"/t/{stage.key}/api/v1/ack", json.dumps(ack).encode())
    assert (status, json.loads(body)) == (200, {"status": "OK"})


def test_what_a_phone_acks_stands_beside_its_push_and_is_counted(stage: Stage) -> None:
    device = "ef" * 32
    stage.push(device_id=device)
    before = phones.ack(stage, "an-ack-of-no-push")
    ack_id = phones.acknowledge(stage, device)
    found = phones.receipt(stage, ack_id)
    (row,) = stage.logged(1, where=f"trace = '{found['trace']}'")
    assert before == {"status": "OK"}
    assert (found["push_at"], found["server_id"]) == (row["accepted_at"], row["server_id"])
    assert (found["platform"], found["type"], found["repeated"]) == ("ios", "message", False)
    assert row["accepted_at"] <= found["received_at"]
    assert phones.acked_in_minute_of(stage, found) == 1
