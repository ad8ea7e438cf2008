"""The timeline of one push: each step with its time, the provider's words and ours."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from delivery.insight import timeline
from delivery.models import Delivery, Receipt
from tenants.models import PushApp, Server, ServerKey

AT = datetime(2026, 1, 2, tzinfo=UTC)


def push(*attempts: dict[str, Any], seconds: float = 1.0, **more: Any) -> Delivery:
    """A row of the log that is in no database."""
    given = {"answer": "OK", "outcome": "sent", "code": "sent", "type": "message", "platform": "apple_rn-v2", **more}
    app, key = PushApp(label="apple_rn", family="apns"), ServerKey(prefix="7Qm2aaaa", name="office")
    logged = [{"host": "h", "ms": 20, **each, "at": AT.timestamp() + each["at"]} for each in attempts]
    row = Delivery(accepted_at=AT, ended_at=AT + timedelta(seconds=seconds), attempts=logged, size=1700, ack_id="a")
    for name, value in {"server": Server(name="chat"), "app": app, "key": key, **given}.items():
        setattr(row, name, value)
    return row


def receipt(seconds: float) -> Receipt:
    """Its receipt, that long after it came in."""
    return Receipt(received_at=AT + timedelta(seconds=seconds), phone_at=AT)


def labels(row: Delivery, *receipts: Receipt) -> list[tuple[str, int | None, str]]:
    """The steps in short."""
    return [(step.label, step.after, step.kind) for step in timeline.of(row, receipts)]


def test_a_push_that_arrives_has_each_step_up_to_the_phones_receipt() -> None:
    row = push({"at": 0.01, "status": 200, "ms": 25}, seconds=0.04)
    assert labels(row, receipt(1.2), receipt(3)) == [
        ("Came in", 0, "good"),
        ("Queued", None, "good"),
        ("Sent", 10, "good"),
        ("Handed off", 35, "good"),
        ("OK", 40, "good"),
        ("Delivered", 1200, "good"),
        ("Again", 3000, "quiet"),
    ]
    first = timeline.of(row, ())[0].text
    assert first == "From chat, with the key hk_7Qm2aaaa_... (office), 1,700 bytes"


def test_the_steps_say_what_was_refused_and_what_was_never_answered_in_the_providers_words_and_ours() -> None:
    row = push(
        {"at": 0.01, "status": 0, "ms": 50, "reason": "closed", "detail": "the connection was idle"},
        {"at": 0.1, "status": 403, "reason": "InvalidProviderToken"},
        answer="FAIL",
        outcome="refused",
        code="apns_invalid_provider_token",
    )
    steps = timeline.of(row, ())
    assert [(step.label, step.after, step.words, step.code) for step in steps[2:]] == [
        ("Tried", 10, "", ""),
        ("No answer", 60, "closed", "transport_closed"),
        ("Sent", 100, "", ""),
        ("Refused", 120, "403 InvalidProviderToken", "apns_invalid_provider_token"),
        ("FAIL", 1000, "", "apns_invalid_provider_token"),
    ]
    assert "before the push was sent. the connection was idle" in steps[3].note
    assert steps[4].text == "Attempt 2 of 2: sent once more to h"


def test_a_push_that_was_tried_again_later_says_of_each_attempt_when_and_how_long_it_waited() -> None:
    busy = {"status": 503, "reason": "ServiceUnavailable"}
    row = push(
        {**busy, "at": 0.01}, {**busy, "at": 0.5}, {**busy, "at": 12.52}, {"at": 80.0, "status": 200}, seconds=80.1
    )
    steps = timeline.of(row, ())
    assert [(step.label, step.after) for step in steps[2:-2]] == [
        *[("Sent", 10), ("Refused", 30), ("Sent", 500), ("Refused", 520), ("Sent", 12_520), ("Refused", 12_540)],
        *[("Sent", 80_000), ("Handed off", 80_020)],
    ]
    waited = [step.note.partition("Tried again ")[2] for step in steps if step.label == "Refused"]
    assert waited == ["", "12 s later.", "1 min 7 s later."]
    assert "had been told OK after 5 s: the push stood safely in the queue" in steps[-2].text


def test_a_push_that_was_tried_for_its_whole_lifetime_says_that_it_was_given_up() -> None:
    busy = {"status": 503, "reason": "ServiceUnavailable"}
    row = push({**busy, "at": 1}, {**busy, "at": 70}, seconds=120, outcome="expired", code="apns_service_unavailable")
    step = timeline.of(row, ())[-2]
    assert (step.label, step.after, step.kind) == ("Expired", 120_000, "bad")
    assert step.text.startswith("Given up 2 min after it came in")


def test_an_attempt_whose_name_was_not_found_is_not_said_to_be_sent() -> None:
    row = push({"at": 0.01, "status": 0, "ms": 5, "reason": "dns"}, answer="FAIL", outcome="failed", code="x")
    steps = timeline.of(row, ())
    assert "Sent" not in [step.label for step in steps]
    assert (steps[2].label, steps[2].kind) == ("Tried", "quiet")
    assert steps[2].text == "Tried to send it to h"


def test_a_second_attempt_after_a_refused_key_is_the_spare_credentials() -> None:
    refused = {"at": 0.01, "status": 403, "reason": "InvalidProviderToken"}
    row = push(refused, {"at": 0.1, "status": 200})
    assert "with the app's other credential" in timeline.of(row, ())[4].text


def test_a_second_attempt_after_an_old_token_is_one_with_a_new_token_and_the_third_the_spares() -> None:
    old = {"status": 403, "reason": "ExpiredProviderToken"}
    row = push({**old, "at": 0.01}, {**old, "at": 0.1}, {"at": 0.2, "status": 200})
    texts = [step.text for step in timeline.of(row, ()) if step.label == "Sent"]
    assert "with a new token" in texts[1]
    assert "with the app's other credential" in texts[2]


@pytest.mark.parametrize(
    ("code", "label"), [("unknown_key", "Turned away"), ("over_limit", "Turned away"), ("no_app", "Not sent")]
)
def test_a_push_that_was_never_sent_says_whether_it_came_into_the_queue(code: str, label: str) -> None:
    row = push(answer="FAIL", outcome="refused", code=code)
    names = [step.label for step in timeline.of(row, ())]
    assert label in names
    assert ("Queued" in names) == (label == "Not sent")


@pytest.mark.parametrize("answer", ["OK", "FAIL"])
def test_a_late_end_says_what_the_server_had_been_told(answer: str) -> None:
    row = push(
        {"at": 6, "status": 503, "reason": "Shutdown"}, seconds=7, answer=answer, outcome="failed", code="apns_shutdown"
    )
    assert f"had been told {answer} after 5 s" in timeline.of(row, ())[-1].text


@pytest.mark.parametrize(
    ("platform", "words"), [("apple_rn-v2", "notifications are off for the app"), ("android_rn-v2", "battery saver")]
)
def test_a_missing_receipt_is_explained_by_the_platform(platform: str, words: str) -> None:
    row = push({"at": 0.01, "status": 200}, platform=platform, app=None)
    last = timeline.of(row, ())[-1]
    assert (last.label, last.after) == ("No receipt", None)
    assert words in last.note


def test_a_push_of_a_moment_ago_and_one_without_an_ack_id_are_not_said_to_be_unacknowledged() -> None:
    row = push({"at": 0.01, "status": 200})
    row.ended_at = datetime.now(UTC)
    assert "None has come yet" in timeline.of(row, ())[-1].note
    row.ack_id = ""
    assert "no ack id" in timeline.of(row, ())[-1].note


def test_attempts_are_told_in_words_though_neither_app_nor_platform_names_a_provider() -> None:
    refused = {"at": 0.01, "status": 403, "reason": "InvalidProviderToken"}
    row = push(refused, {**refused, "at": 0.1}, answer="FAIL", outcome="refused", code="apns_invalid_provider_token")
    row.app, row.platform = None, "p"
    codes = [step.code for step in timeline.of(row, ()) if step.label == "Refused"]
    assert codes == ["apns_invalid_provider_token"] * 2


def test_a_row_of_an_older_version_has_its_steps_without_words_for_its_code() -> None:
    row = push({"at": 0.01, "status": 418}, answer="FAIL", outcome="failed", code="of_an_older_version")
    assert [step.label for step in timeline.of(row, ())][-1] == "FAIL"


def test_an_attempt_that_was_sent_and_never_answered_is_named_where_it_was_tried_again() -> None:
    row = push({"at": 0.01, "status": 0, "reason": "timeout", "ms": 1500}, {"at": 1.6, "status": 200}, seconds=2)
    found = next(step for step in timeline.of(row, ()) if step.label == "No answer")
    assert found.code == "transport_timeout_unanswered"
