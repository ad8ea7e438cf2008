"""The pages of devices: what is said of each, and that a device id goes no further than its fingerprint."""

import logging
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.conf import settings
from django.db import connection

from delivery.devices import absorbing, counting, history, reading
from delivery.log.rows import fingerprint
from delivery.models import Device
from delivery.providers import table
from delivery.rollups import rebuilding
from tenants.models import Customer, Server
from tests.browsing import Browser, tenant
from tests.delivery.devices.writing import GONE, WRONG, push, receipt
from tests.delivery.rollups.pushes import HOUR, SENT

pytestmark = pytest.mark.django_db
ADDRESS = "/c/acme/delivery/devices/"
TOKEN = "5a" * 32
DAY = 86_400
ANDROID = {"verdict": table.PROVIDERS["fcm"].outcomes.sent, "platform": "android_rn-v2"}


def ago(days: float) -> float:
    """So many days ago, in seconds after HOUR."""
    return (datetime.now(UTC) - timedelta(days=days) - HOUR).total_seconds()


@pytest.fixture
def server(customer: Customer) -> Server:
    return Server.objects.create(customer=customer, name="chat.acme.example")


@pytest.fixture
def phone(customer: Customer, server: Server) -> Any:
    """Writes a push of a phone of Acme's, so many days ago."""
    number = iter(range(1000))

    def write(days: float, verdict: Any = SENT, *, acked: bool = False, **members: Any) -> str:
        trace = f"{next(number):012x}-1"
        second = round(ago(days), 3)
        wanted = {"customer": customer.pk, "server": server.pk, "device": fingerprint(TOKEN, settings.HASH_KEY)}
        push(trace, second, verdict, **{**wanted, "ack_id": trace, **members})
        if acked:
            receipt(trace, second)
            with connection.cursor() as cursor:
                cursor.execute(
                    "UPDATE delivery_receipt SET customer_id = %s, server_id = %s, ack_id = d.ack_id "
                    "FROM delivery_delivery d WHERE d.trace = %s AND delivery_receipt.trace = d.trace",
                    [customer.pk, server.pk, trace],
                )
        return trace

    return write


def taken_in() -> None:
    absorbing.absorb()
    counting.count_active()


def text_of(browser: Browser, address: str = ADDRESS) -> str:
    answer = browser.get(address)
    assert answer.status_code == 200, answer.status_code
    return " ".join(answer.content.decode().split())


def test_with_no_device_the_page_says_what_will_be_here(ada: Browser) -> None:
    text = text_of(ada)
    assert "No push was for a phone yet." in text
    assert "There are no devices yet" in text


def test_the_answer_counts_active_silent_and_removed_devices(
    ada: Browser, phone: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(absorbing, "SETTLED", -2 * absorbing.MINUTE)  # some minutes ago another month may have been
    now = 0
    for days in (20, 10, 3, now):
        phone(days)
    for days in (20, now):
        phone(days, acked=True, device="b" * 32)
    phone(2, GONE, device="c" * 32)
    taken_in()
    text = text_of(ada)
    assert '2 phones were reached this month. <a href="#silent">1</a> is sent to and has acknowledged nothing' in text
    assert '<a href="#removed">1</a> was removed in the last 30 days.' in text
    assert "The app is no longer installed on this device, or has a new token (410 Unregistered)" in text
    assert "Its user has to log in to the app again." in text
    assert "Notifications are most likely switched off for the app" in text


def test_a_silent_android_phone_has_other_causes_and_one_that_had_acknowledged_too(ada: Browser, phone: Any) -> None:
    for days in (20, 1):
        phone(days, device="a" * 32, **ANDROID)
        phone(days, device="b" * 32, acked=days == 20, **ANDROID)
    taken_in()
    text = text_of(ada)
    assert "an Android phone acknowledges even where notifications are blocked" in text
    assert "most likely removed without logging out, or a battery saver" in text
    text = text_of(ada, f"{ADDRESS}{'b' * 32}/")
    assert "It has acknowledged nothing after the push of <time" in text
    assert "most likely removed without logging out, or a battery saver" in text


def test_a_phone_is_silent_after_as_many_days_as_are_asked_for(ada: Browser, phone: Any) -> None:
    for days in (10, 1):
        phone(days)
    taken_in()
    assert "None has been silent for 14 days" in text_of(ada, f"{ADDRESS}?days=14")
    assert "for 7 days" in text_of(ada, f"{ADDRESS}?days=9999999999999999999999")


@pytest.mark.parametrize("way", ["acked lately", "not sent to any more", "removed", "new"])
def test_these_are_not_silent(ada: Browser, phone: Any, way: str) -> None:
    phone({"new": 5}.get(way, 20))
    if way == "not sent to any more":
        phone(9)
    else:
        phone(1, acked=way == "acked lately")
    if way == "removed":
        phone(0.5, GONE)
    taken_in()
    assert "None has been silent for 7 days" in text_of(ada)


def test_a_server_whose_receipts_never_come_is_the_cause(ada: Browser, phone: Any) -> None:
    for days in range(1, 26):
        phone(days)
    start = (datetime.now(UTC) - timedelta(days=30)).replace(minute=0, second=0, microsecond=0)
    rebuilding.rebuild(start, start + timedelta(days=31))
    taken_in()
    assert "No phone of this server has acknowledged anything for 30 days" in text_of(ada)


def test_more_devices_than_a_page_holds_follow_on_the_next(
    ada: Browser, phone: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reading, "SIZE", 2)
    for number in range(5):
        phone(10, device=f"{number:032x}")
        phone(1 + number / 100, device=f"{number:032x}")
    taken_in()
    seen, address = [], ADDRESS
    for _ in range(3):
        text = text_of(ada, address)
        seen += [number for number in range(5) if f"devices/{number:032x}/" in text]
        address = text.partition('rel="next" href="')[2].partition('"')[0].replace("&amp;", "&")
    assert seen == [0, 1, 2, 3, 4]


# --- search


def test_a_phone_is_found_by_its_id_which_stands_nowhere_afterwards(
    ada: Browser, phone: Any, caplog: pytest.LogCaptureFixture
) -> None:
    phone(1)
    taken_in()
    with caplog.at_level(logging.DEBUG):
        answer = ada.post(ADDRESS, {"device_id": f"apple_rn-v2:{TOKEN}"})
    assert answer.status_code == 302
    assert answer["Location"] == f"{ADDRESS}{fingerprint(TOKEN, settings.HASH_KEY)}/"
    assert TOKEN not in caplog.text
    assert TOKEN not in text_of(ada, answer["Location"])


@pytest.mark.parametrize(
    ("typed", "message"),
    [
        ("ff" * 32, "No push to this device is known"),
        ("", "This field is required"),
        ("a\0b", "Null characters are not allowed"),
        ("x" * 5_000, "A device id has no more than 2,000 characters: this has 5,000"),
        ("<script>alert(1)</script>", "No push to this device is known"),
        ("'; DROP TABLE delivery_device; --", "No push to this device is known"),
    ],
)
def test_what_is_not_found_is_told_and_not_written_into_the_page(ada: Browser, typed: str, message: str) -> None:
    answer = ada.post(ADDRESS, {"device_id": typed})
    assert answer.status_code == 200
    assert message in answer.content.decode()
    assert not typed or typed not in answer.content.decode()


def test_another_customers_device_is_not_found(ada: Browser, phone: Any) -> None:
    other = tenant("Cosmos")
    phone(1, customer=other.customer.pk, server=other.server.pk)
    taken_in()
    assert "No push to this device is known" in ada.post(ADDRESS, {"device_id": TOKEN}).content.decode()
    assert ada.get(f"{ADDRESS}{fingerprint(TOKEN, settings.HASH_KEY)}/").status_code == 404
    assert "There are no devices yet" in text_of(ada)


# --- one device


def page_of(ada: Browser, query: str = "") -> str:
    return text_of(ada, f"{ADDRESS}{fingerprint(TOKEN, settings.HASH_KEY)}/{query}")


def test_a_removed_device_says_when_why_and_what_to_do(ada: Browser, phone: Any) -> None:
    phone(5)
    phone(3, GONE)
    taken_in()
    text = page_of(ada)
    assert "Removed on <time" in text
    why = "because the app is no longer installed on this device, or has a new token (410 Unregistered)"
    assert f"{why}. Its user has to log in to the app again." in text
    assert "Device gone: the app is no longer installed" in text


def test_a_device_that_no_provider_ever_took_a_push_for_was_never_sent_to(ada: Browser, phone: Any) -> None:
    phone(3, GONE)
    taken_in()
    text = page_of(ada)
    assert 'data-label="Last sent to">never<' in text
    assert "{" not in text.partition("<main")[2].replace("{&quot;", "")


def test_a_device_that_acknowledges_says_so(ada: Browser, phone: Any) -> None:
    phone(3)
    phone(1, acked=True)
    taken_in()
    text = page_of(ada)
    assert "The phone has acknowledged the last push." in text
    assert text.count("Handed off</span>") == 1
    assert text.count("Delivered</span>") == 1
    assert "chat.acme.example" in text


def test_a_failing_device_says_why(ada: Browser, phone: Any) -> None:
    phone(1, WRONG)
    taken_in()
    assert "because Apple does not accept this device token (400 BadDeviceToken)" in page_of(ada)


def test_pushes_after_its_session_has_ended_are_told_of(ada: Browser, phone: Any) -> None:
    phone(3, type="session")
    assert "and no push was handed off for it since." in page_of(ada)
    phone(2)
    phone(1)
    phone(0.5, WRONG)
    taken_in()
    text = page_of(ada)
    assert "2 pushes were handed off for it since" in text
    assert "Session ended or wiped" in text
    assert "The phone was not told of the end" not in text


def test_a_phone_that_was_not_told_of_its_sessions_end_is_told_of(ada: Browser, phone: Any) -> None:
    phone(3, WRONG, type="session")
    assert "The phone was not told of the end: that push came to nothing" in page_of(ada)


def test_what_the_tables_do_not_know_yet_is_said_at_once(ada: Browser, phone: Any) -> None:
    phone(3)
    assert "Apple took the last push; the phone has not acknowledged it." in page_of(ada)
    taken_in()
    phone(0.001, GONE)
    text = page_of(ada)
    assert "Removed on <time" in text
    assert text.count('<td data-label="First push">') == 1


def test_a_device_of_which_only_the_table_knows_is_shown(ada: Browser, customer: Customer, server: Server) -> None:
    at = datetime.now(UTC) - timedelta(days=300)
    values = {"first_at": at, "last_at": at, "sent_at": at, "removed_code": "", "failed_code": ""}
    Device.objects.create(
        pk=1, customer=customer, server_id=server.pk, app_id=0, family="other",
        device=fingerprint(TOKEN, settings.HASH_KEY), **values,
    )  # fmt: skip
    assert "The log has none of its pushes any more" in page_of(ada)


def test_its_pushes_are_paged(ada: Browser, phone: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(history, "ROWS", 2)
    for days in (1, 2, 3):
        phone(days)
    taken_in()
    first = page_of(ada)
    older = first.partition('rel="next" href="')[2].partition('"')[0].replace("&amp;", "&")
    assert first.count("Handed off</span>") == 3  # two pushes, and the way that it is reached
    assert page_of(ada, older).count("Handed off</span>") == 2
    assert "There are no older pushes" in page_of(ada, "?before=2020-01-01T00:00:00%2B00:00~x")


@pytest.mark.parametrize(
    "cursor", ["x", "~", "2026-01-01~1", "2026-01-01T00:00:00+00:00~x", "0001-01-01T00:00:00+23:59~1", f"~{'9' * 99}"]
)
def test_a_cursor_that_is_none_begins_at_the_newest(ada: Browser, phone: Any, cursor: str) -> None:
    phone(1)
    taken_in()
    for address in (f"{ADDRESS}?", f"{ADDRESS}{fingerprint(TOKEN, settings.HASH_KEY)}/?"):
        for name in ("silent", "removed", "before"):
            assert ada.get(address, {name: cursor}).status_code == 200
