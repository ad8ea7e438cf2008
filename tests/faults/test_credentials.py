"""Credentials and keys that are no good: the server is told what to do, the row says whose it is, no phone is muted."""

import json
from typing import Any, NamedTuple

import pytest

from tests.faults.pushes import FOLLOWED, PROMPT, PushAnswer, android, at_once, iphone, push, rows
from tests.stage import Stage
from tests.waiting import PATIENCE, wait_for


class Bad(NamedTuple):
    """What comes of a push to an app: how its FAIL begins, what it says to do, and whose fault the row says it is."""

    cause: str
    fix: str
    attribution: str
    attempts: int


BAD = {
    "apple_bare": Bad(
        "no_credential the app apple_bare has no credential", "upload a key for it on the app's page", "customer", 0
    ),
    "apple_sealed": Bad(
        "credential_unreadable the credential of the app apple_sealed cannot be decrypted",
        "uploading the credential again helps at once",
        "ours",
        0,
    ),
    "apple_lapsed": Bad(
        "credential_unusable the credential of the app could not be used (the certificate expired on ",
        "check it on the app's page, or upload a new one",
        "customer",
        1,
    ),
    "apple_foreign": Bad(
        "apns_topic_disallowed this Apple key or certificate may not send to the topic com.example.foreign",
        "set the right bundle id",
        "customer",
        1,
    ),
    "apple_strange": Bad(
        "apns_invalid_provider_token Apple refused the signing token made with key STRANGE123",
        "check that key id, team id and key file belong together",
        "customer",
        1,
    ),
    "android_unlisted": Bad(
        "credential_unusable the credential of the app could not be used (400 invalid_grant)",
        "upload a new one",
        "customer",
        1,
    ),
}


class Seen(NamedTuple):
    """The answer to a push, and its row."""

    answer: PushAnswer
    row: dict[str, Any]


@pytest.fixture(scope="module")
def seen(service: Stage, keys: dict[str, str]) -> dict[str, Seen]:
    """A push to each of the bad apps, to a token that would be gone, beside pushes to good ones, all at once."""

    def known() -> bool:
        return push(service, platform="apple_certified-v2").status == "OK"  # the last of Acme's apps to be added

    wait_for(known, PATIENCE, "the new apps are known")
    pushes = {
        label: {
            "platform": f"{label}-v2",
            "device_id": iphone("dead0410") if label.startswith("apple") else android("unregistered:"),
        }
        for label in BAD
    }
    good = {f"good {label}": {"platform": f"{label}-v2"} for label in ("apple_rn", "android_rn", "apple_certified")}
    answers = at_once(service, **pushes, **good)
    row = rows(service, answers)
    return {name: Seen(answers[name], row[name]) for name in answers}


@pytest.mark.parametrize("label", BAD)
def test_a_bad_credential_is_told_with_what_to_do_about_it(seen: dict[str, Seen], label: str) -> None:
    answer = seen[label].answer
    assert answer.error.startswith(BAD[label].cause), answer
    assert BAD[label].fix in answer.error
    assert f"(trace {seen[label].row['trace']})" in answer.error
    assert answer.seconds < PROMPT


@pytest.mark.parametrize("label", BAD)
def test_a_bad_credential_ends_as_one_row_that_names_whose_it_is(seen: dict[str, Seen], label: str) -> None:
    row = seen[label].row
    assert row["attribution"] == BAD[label].attribution
    assert row["outcome"] == ("failed" if BAD[label].attribution == "ours" else "refused")
    assert row["counts"] == (BAD[label].attribution == "ours")
    assert len(row["attempts"]) == BAD[label].attempts
    assert row["app_id"]


@pytest.mark.parametrize("label", BAD)
def test_a_bad_credential_never_mutes_a_phone(seen: dict[str, Seen], label: str) -> None:
    assert (seen[label].answer.status, seen[label].row["answer"]) == ("FAIL", "FAIL")


def test_other_credentials_are_not_harmed_by_bad_ones(seen: dict[str, Seen]) -> None:
    good = {name: one.answer for name, one in seen.items() if name.startswith("good ")}
    assert len(good) == 3
    assert {answer.status for answer in good.values()} == {"OK"}
    assert max(answer.seconds for answer in good.values()) < PROMPT


def served(service: Stage, key: str) -> PushAnswer | None:
    """The answer to a push of the shared app, unless its customer is still suspended."""
    answer = push(service, key, platform="apple_shared-v2")
    return None if answer.code == "suspended" else answer


def test_the_same_fault_in_a_shared_app_is_ours(service: Stage, keys: dict[str, str]) -> None:
    # Other tests suspend and resume customers; that takes up to two seconds to reach everybody.
    answers = {"push": wait_for(lambda: served(service, keys["hugo"]), PATIENCE, "Hugo is served")}
    assert answers["push"].code == "apns_invalid_provider_token"
    row = rows(service, answers)["push"]
    assert (row["attribution"], row["counts"]) == ("ours", True)


def test_a_service_account_that_google_disables_is_noticed_though_its_token_is_fresh(
    service: Stage, seen: dict[str, Seen]
) -> None:
    assert push(service, platform="android_leaving-v2").status == "OK"
    accounts = service.sandbox.demo.accounts
    listed = json.loads(accounts.read_bytes())
    listed["fcm"] = [one for one in listed["fcm"] if not one["client_email"].startswith("android_leaving@")]
    accounts.write_text(json.dumps(listed))
    answers = {name: push(service, platform="android_leaving-v2") for name in ("first", "second")}
    for one in answers.values():
        assert one.error.startswith("credential_unusable the credential of the app could not be used (400"), one
    row = rows(service, answers)
    reasons = [(attempt["status"], attempt["reason"]) for attempt in row["first"]["attempts"]]
    assert reasons == [(401, "UNAUTHENTICATED"), (0, "credential")]
    assert {one["answer"] for one in row.values()} == {"FAIL"}
    assert push(service, platform="android_rn-v2").status == "OK"


def test_a_new_credential_takes_effect_within_two_seconds(service: Stage, seen: dict[str, Seen]) -> None:
    p8 = str(service.sandbox.demo.apns_key)
    ids = ("--key-id", service.sandbox.demo.key_id, "--team-id", service.sandbox.demo.team_id)
    service.manage("credential", "add", "--customer", "acme", "--label", "apple_strange", "--p8", p8, *ids)
    wait_for(lambda: push(service, platform="apple_strange-v2").status == "OK", FOLLOWED, "the new credential is used")


def test_a_revoked_key_is_refused_within_two_seconds(service: Stage, keys: dict[str, str]) -> None:
    assert push(service, keys["spare"]).status == "OK"
    service.manage("key", "revoke", "--prefix", keys["spare_prefix"])
    answer = wait_for(
        lambda: (one := push(service, keys["spare"])).status == "FAIL" and one, FOLLOWED, "the key is refused"
    )
    assert answer.error.startswith("revoked_key this server key has been revoked: make a new key"), answer
    assert push(service).status == "OK", "the server's other key is good"


def test_a_suspended_customer_is_refused_within_two_seconds(service: Stage, keys: dict[str, str]) -> None:
    service.manage("customer", "suspend", "--slug", "hugo", "--reason", "unpaid")
    answer = wait_for(
        lambda: (one := push(service, keys["hugo"])).code == "suspended" and one, FOLLOWED, "he is refused"
    )
    assert answer.error.startswith("suspended the account is suspended: ask whoever operates"), answer
    assert push(service).status == "OK", "other customers notice nothing"
