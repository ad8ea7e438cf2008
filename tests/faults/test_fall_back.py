"""A key that Apple revokes: the very push that finds it out arrives, signed with the other key, and people are told."""

import json
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple

import psycopg
import pytest

from tests.faults.pushes import PROMPT, PushAnswer, at_once, iphone, push, rows, wait_for_changes
from tests.stage import Stage
from tests.waiting import PATIENCE, wait_for

LABEL = "apple_twice"


class Seen(NamedTuple):
    """Pushes before and after the key was revoked, and the one that found it out with its row."""

    before: PushAnswer
    first: PushAnswer
    row: dict[str, Any]
    device: str
    later: dict[str, PushAnswer]


def credentials(service: Stage) -> dict[str, dict[str, Any]]:
    """The app's credentials by slot."""
    listed = json.loads(service.manage("credential", "list", "--customer", "acme"))
    return {row["slot"]: row for row in listed if row["label"] == LABEL}


@pytest.fixture(scope="module")
def seen(service: Stage, keys: dict[str, str]) -> Seen:
    """An app with a key that is revoked while another one waits; all of its pushes are for one device."""
    owner = ("--customer", "acme", "--label", LABEL)
    revoked, good = service.sandbox.add_key("REVOKE1234"), service.sandbox.demo
    ids = ("--team-id", good.team_id)
    service.manage("customer", "contacts", "--slug", "acme", "--to", "ada@acme.example")
    service.manage("app", "add", *owner, "--topic", "com.mattermost.rn")
    service.manage("credential", "add", *owner, "--p8", str(revoked), "--key-id", "REVOKE1234", *ids)
    waiting = ("--p8", str(good.apns_key), "--key-id", good.key_id, *ids, "--slot", "next")
    service.manage("credential", "add", *owner, *waiting)
    device = iphone()
    wait_for_changes(service)
    before = push(service, platform=f"{LABEL}-v2", device_id=device)
    service.sandbox.remove_key("REVOKE1234")
    first = push(service, platform=f"{LABEL}-v2", device_id=device)
    row = rows(service, {"first": first})["first"]
    later = {str(number): {"platform": f"{LABEL}-v2", "device_id": device} for number in range(5)}
    return Seen(before, first, row, device, at_once(service, **later))


def test_the_push_that_finds_the_key_revoked_is_delivered_with_the_other_one(seen: Seen) -> None:
    assert seen.first.status == "OK", seen.first
    assert seen.first.seconds < PROMPT
    tried = [(attempt["status"], attempt.get("reason", "")) for attempt in seen.row["attempts"]]
    assert tried == [(403, "InvalidProviderToken"), (200, "")]
    assert seen.row["outcome"] == "sent"


def test_later_pushes_are_signed_with_the_other_key_at_once(seen: Seen, service: Stage) -> None:
    assert {answer.status for answer in seen.later.values()} == {"OK"}
    for row in rows(service, seen.later).values():
        assert len(row["attempts"]) == 1
    requests = service.sandbox.requests(seen.device)
    signers = [request["headers"]["authorization"]["jwt_header"]["kid"] for request in requests]
    assert signers[-6:] == [service.sandbox.demo.key_id] * 6
    assert signers.count("REVOKE1234") == len(signers) - 6, "the revoked key was tried once after its end"


def test_both_change_places_and_the_refusal_is_known_within_seconds(seen: Seen, service: Stage) -> None:
    def swapped() -> bool:
        return credentials(service)["current"]["key_id"] == f"TEAM123456/{service.sandbox.demo.key_id}"

    wait_for(swapped, PATIENCE, "the slots change places")
    waiting = credentials(service)["next"]
    assert waiting["key_id"] == "TEAM123456/REVOKE1234"
    assert waiting["refused_code"] == "apns_invalid_provider_token"
    with psycopg.connect(service.postgres.url) as connection:
        query = "SELECT actor_kind, details ->> 'code' FROM tenants_auditevent WHERE action = 'credential.fall_back'"
        assert connection.execute(query).fetchall() == [("service", "apns_invalid_provider_token")]


def test_the_contacts_are_told_once_and_in_words(seen: Seen, service: Stage) -> None:
    subject = f"Subject: Apple refuses a key of the app {LABEL}, the other one is in use"
    wait_for(lambda: subject in service.log("worker"), PATIENCE, "the e-mail is written")
    log = service.log("worker")
    assert log.count(subject) == 1
    assert "To: ada@acme.example" in log
    assert "Pushes go on with the Apple token key" in log


def test_a_push_in_flight_is_not_harmed_by_a_promotion(seen: Seen, service: Stage) -> None:
    owner = ("--customer", "acme", "--label", LABEL)
    third = service.sandbox.add_key("THIRD12345")
    service.manage("credential", "add", *owner, "--file", str(third), "--team-id", "TEAM123456", "--slot", "next")
    slow = iphone("dead0003")  # answered after three seconds
    with ThreadPoolExecutor(1) as threads:
        under_way = threads.submit(push, service, platform=f"{LABEL}-v2", device_id=slow)
        service.sandbox.requests(slow, count=1)
        service.manage("credential", "promote", *owner)
        assert under_way.result().status == "OK"

    def signed() -> bool:
        answer = push(service, platform=f"{LABEL}-v2", device_id=seen.device)
        assert answer.status == "OK", answer
        last = service.sandbox.requests(seen.device)[-1]
        return bool(last["headers"]["authorization"]["jwt_header"]["kid"] == "THIRD12345")

    wait_for(signed, PATIENCE, "the promoted key signs")
    attempts = service.sandbox.requests(slow)
    assert len(attempts) == 1
