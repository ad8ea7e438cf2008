"""The verdict table: complete for what the providers document, closed for everything else, and in words that help."""

import re
from collections.abc import Mapping
from typing import Any

import pytest
from firebase_admin import messaging

from delivery.outcomes import own
from delivery.outcomes.judge import attributed, refusal, text
from delivery.outcomes.verdict import (
    ANSWERED,
    MAYBE,
    NOT_SENT,
    TROUBLED,
    Answer,
    Attempt,
    Outcome,
    Retry,
    Verdict,
    WireState,
)
from delivery.providers.apns import outcomes as apns
from delivery.providers.fcm import outcomes as fcm
from delivery.providers.table import judge

APPLE = {
    400: "BadCollapseId BadDeviceToken BadExpirationDate BadMessageId BadPriority BadTopic DeviceTokenNotForTopic"
    " DuplicateHeaders IdleTimeout InvalidPushType MissingDeviceToken MissingTopic PayloadEmpty TopicDisallowed",
    403: "BadCertificate BadCertificateEnvironment ExpiredProviderToken Forbidden InvalidProviderToken"
    " MissingProviderToken UnrelatedKeyIdInToken BadEnvironmentKeyInToken BadEnvironmentKeyIdInToken",
    404: "BadPath",
    405: "MethodNotAllowed",
    410: "ExpiredToken Unregistered",
    413: "PayloadTooLarge",
    429: "TooManyProviderTokenUpdates TooManyRequests",
    500: "InternalServerError",
    503: "ServiceUnavailable Shutdown",
}
GOOGLE = {
    400: "INVALID_ARGUMENT UNSPECIFIED_ERROR",
    401: "THIRD_PARTY_AUTH_ERROR UNAUTHENTICATED",
    403: "SENDER_ID_MISMATCH PERMISSION_DENIED",
    404: "UNREGISTERED NOT_FOUND",
    429: "QUOTA_EXCEEDED RESOURCE_EXHAUSTED",
    500: "INTERNAL UNSPECIFIED_ERROR",
    503: "UNAVAILABLE",
    504: "DEADLINE_EXCEEDED",
}
REMOVING = {("apns", 410, "Unregistered"), ("apns", 410, "ExpiredToken"), ("fcm", 404, "UNREGISTERED")}
TABLES: dict[str, Mapping[tuple[int, str], Verdict]] = {"apns": apns.ANSWERS, "fcm": fcm.ANSWERS}


def documented(page: Mapping[int, str], provider: str) -> list[tuple[str, int, str]]:
    return [(provider, status, reason) for status, reasons in page.items() for reason in reasons.split()]


DOCUMENTED = documented(APPLE, "apns") + documented(GOOGLE, "fcm")
OWN = [*own.TRANSPORT.values(), *fcm.TRANSPORT.values(), own.UNKNOWN_FAULT, *own.REFUSALS.values()]
ALL = [
    *apns.ANSWERS.values(),
    apns.UNKNOWN,
    *fcm.ANSWERS.values(),
    fcm.UNKNOWN,
    *OWN,
]


def answered(provider: str, status: int, reason: str = "") -> Attempt:
    return Attempt(provider, "push.example", status, reason, ANSWERED, 1_795_000_000.0, 12)


def unanswered(fault: str, wire: WireState) -> Attempt:
    return Attempt("apns", "push.example", 0, fault, wire, 1_795_000_000.0, 12)


def removing(tables: Mapping[str, Mapping[tuple[int, str], Verdict]]) -> set[tuple[str, int, str]]:
    """Which answers of the tables mute a phone."""
    return {
        (provider, *key)
        for provider, table in tables.items()
        for key, row in table.items()
        if row.answer is Answer.REMOVE
    }


@pytest.mark.parametrize(("provider", "status", "reason"), DOCUMENTED)
def test_each_documented_answer_has_a_row_of_its_own(provider: str, status: int, reason: str) -> None:
    verdict = judge(answered(provider, status, reason))
    snake = re.sub(r"(?<=[a-z])(?=[A-Z])", "_", reason).lower()
    assert verdict.code == f"{provider}_{snake}"


def test_no_row_stands_for_an_answer_that_nobody_documents() -> None:
    ours = {(provider, *key) for provider, table in TABLES.items() for key in table}
    assert ours - set(DOCUMENTED) == {
        ("apns", 200, ""),
        ("apns", 403, "InvalidProviderToken/iat"),
        ("apns", 429, "TooManyProviderTokenUpdates/overtaken"),
        ("fcm", 200, ""),
        ("fcm", 400, "INVALID_ARGUMENT/message.token"),
    }


def test_firebase_admin_knows_no_error_code_that_the_table_lacks() -> None:
    known = {reason for _, _, reason in DOCUMENTED}
    theirs: dict[str, Any] = messaging._MessagingService.FCM_ERROR_TYPES
    assert set(theirs) - known == {"APNS_AUTH_ERROR"}, "the old name of THIRD_PARTY_AUTH_ERROR"


@pytest.mark.parametrize("provider", ["apns", "fcm"])
def test_success_is_sent_and_ok(provider: str) -> None:
    verdict = judge(answered(provider, 200))
    assert (verdict.outcome, verdict.answer, verdict.retry) == (Outcome.SENT, Answer.OK, Retry.NEVER)


def test_every_2xx_of_google_is_sent_and_only_200_of_apple() -> None:
    assert judge(answered("fcm", 201)).answer is Answer.OK
    assert judge(answered("apns", 204)).outcome is Outcome.UNKNOWN


def test_only_three_answers_mute_a_phone() -> None:
    assert removing(TABLES) == REMOVING
    assert not [row.code for row in OWN if row.answer is Answer.REMOVE]


def test_the_guard_against_muting_phones_notices_one_row_too_many() -> None:
    planted = {"apns": {**apns.ANSWERS, (400, "BadDeviceToken"): apns.ANSWERS[410, "Unregistered"]}}
    assert removing(planted) - REMOVING == {("apns", 400, "BadDeviceToken")}


@pytest.mark.parametrize(("provider", "status", "reason"), DOCUMENTED)
def test_a_documented_reason_under_another_status_is_unknown(provider: str, status: int, reason: str) -> None:
    for other in {400, 403, 404, 410, 418, 429, 500, 503} - {
        s for p, s, r in DOCUMENTED if (p, r) == (provider, reason)
    }:
        assert judge(answered(provider, other, reason)).outcome is Outcome.UNKNOWN


@pytest.mark.parametrize("provider", ["apns", "fcm", "a new provider"])
@pytest.mark.parametrize("status", [0, 204, 301, 400, 404, 410, 500, 503, 599])
@pytest.mark.parametrize("reason", ["", "SomethingNew", "unregistered", "Unregistered ", "REMOVE"])
def test_an_invented_answer_is_unknown_and_never_mutes_a_phone(provider: str, status: int, reason: str) -> None:
    verdict = judge(answered(provider, status, reason))
    if provider == "fcm" and status == 204:
        assert verdict.answer is Answer.OK
        return
    assert (verdict.outcome, verdict.answer) == (Outcome.UNKNOWN, Answer.FAIL)
    # What says by its status that it passes is tried again where a repeat replaces the push, whatever else it says.
    passes = status in TROUBLED and provider != "a new provider"
    assert verdict.retry is (Retry.REPLACE if passes else Retry.NEVER)
    assert verdict.level == ("warning" if verdict.code.endswith("_trouble") else "error")


@pytest.mark.parametrize("provider", ["apns", "fcm"])
@pytest.mark.parametrize("status", [429, 500, 502, 503, 504])
def test_an_error_of_a_server_without_a_reason_is_the_providers_passing_trouble(provider: str, status: int) -> None:
    verdict = judge(answered(provider, status, ""))
    assert (verdict.code, verdict.attribution) == (f"{provider}_trouble", "provider")
    assert "documentation" not in verdict.cause
    assert judge(answered(provider, 418, "")).code == f"{provider}_unknown"


def test_an_invented_answer_would_be_noticed_if_it_had_a_row(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(apns.ANSWERS, (400, "SomethingNew"), apns.ANSWERS[410, "Unregistered"])
    assert judge(answered("apns", 400, "SomethingNew")).outcome is not Outcome.UNKNOWN


def test_the_fuse_is_asked_for_the_four_answers_that_a_wrong_key_can_cause() -> None:
    fused = {row.code for row in ALL if row.remove_when_proven}
    assert fused == {
        "apns_bad_device_token",
        "apns_device_token_not_for_topic",
        "apns_missing_device_token",
        "fcm_sender_id_mismatch",
    }
    assert all(row.answer is Answer.FAIL for row in ALL if row.remove_when_proven)


@pytest.mark.parametrize(("fault", "wire"), own.TRANSPORT)
def test_a_transport_fault_is_retried_only_if_nothing_was_sent_or_once(fault: str, wire: WireState) -> None:
    verdict = judge(unanswered(fault, wire))
    if wire == MAYBE:
        assert (verdict.outcome, verdict.retry) == (Outcome.UNKNOWN, Retry.ONCE)
    else:
        assert verdict.outcome is not Outcome.UNKNOWN
        assert verdict.retry in (Retry.SAFE, Retry.AT_ONCE, Retry.NEVER)


@pytest.mark.parametrize(
    "fault", ["dns", "connect", "tls", "proxy", "timeout_connect", "refused_stream", "goaway", "credential"]
)
def test_a_fault_before_sending_cannot_be_claimed_of_a_sent_request(fault: str) -> None:
    assert judge(unanswered(fault, MAYBE)).outcome is Outcome.UNKNOWN
    assert judge(unanswered(fault, NOT_SENT)).outcome is not Outcome.UNKNOWN


def test_only_safe_retries_follow_a_fault_and_only_other_retries_follow_an_answer() -> None:
    answers = [row for table in TABLES.values() for row in table.values()]
    assert {row.code for row in answers if row.retry in (Retry.SAFE, Retry.AT_ONCE)} == set()
    assert {row.code for row in answers if row.retry is Retry.RENEW} == {
        "apns_expired_provider_token",
        "apns_provider_token_overtaken",
        "apns_invalid_provider_token_iat",
        "fcm_unauthenticated",
    }


@pytest.mark.parametrize("code", own.REFUSALS)
def test_each_refusal_of_our_own_is_fail_and_final(code: str) -> None:
    verdict = refusal(code)
    assert (verdict.code, verdict.answer, verdict.retry) == (code, Answer.FAIL, Retry.NEVER)


def test_a_refusal_that_nobody_wrote_a_row_for_is_an_error_in_our_code() -> None:
    with pytest.raises(KeyError):
        refusal("no_such_code")


def test_a_customers_mistake_is_no_event_of_the_sla() -> None:
    wrong = [row.code for row in ALL if row.attribution == "customer" and row.counts_in_sla]
    assert wrong == []
    assert all(row.counts_in_sla for row in ALL if row.attribution in ("ours", "provider"))


def test_a_fault_of_a_shared_apps_credential_is_ours_and_counts() -> None:
    customers = judge(answered("apns", 403, "InvalidProviderToken"))
    shared = attributed(customers, True)
    assert (customers.attribution, customers.counts_in_sla) == ("customer", False)
    assert (shared.attribution, shared.counts_in_sla, shared.code) == ("ours", True, customers.code)
    assert attributed(customers, False) is customers
    assert attributed(refusal("malformed"), True) is refusal("malformed")


@pytest.mark.parametrize("verdict", ALL, ids=lambda verdict: verdict.code)
def test_each_text_says_the_code_the_cause_what_to_do_and_the_trace(verdict: Verdict) -> None:
    sentence = text(verdict, "trace-7")
    assert re.fullmatch(r"[a-z0-9_]+ [^:]+(: [^:]+)?: [^{}!]+ \(trace trace-7\)", sentence), sentence
    assert sentence.startswith(f"{verdict.code} ")
    assert not re.search(r"[{}!]|oops|please|sorry|invalid input", sentence, re.IGNORECASE)


def test_details_stand_in_the_text_as_they_are() -> None:
    sentence = text(judge(answered("apns", 400, "BadTopic")), "t", topic="com.example.{braces}")
    assert "the topic com.example.{braces}" in sentence


def test_codes_are_unique_where_their_meaning_differs() -> None:
    by_code: dict[str, Verdict] = {}
    for verdict in ALL:
        if verdict.code != "sent":
            assert by_code.setdefault(verdict.code, verdict) == verdict
