"""Subscriptions: only who confirms is kept, one click ends them, and nobody can have others flooded with mails."""

from datetime import timedelta

import pytest
import redis
from django.core import mail, signing
from pytest_django import Settings

from billing.incidents import subscribing
from billing.models import Notice, Subscriber
from tests.billing.incidents.canary_world import NOW
from tests.browsing import Browser

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def public(settings: Settings, valkey: redis.Redis) -> None:
    settings.PUBLIC_URL = "https://push.example.com"


def post(browser: Browser, address: str, **fields: str) -> tuple[int, str]:
    answer = browser.post(address, fields)
    return answer.status_code, answer.content.decode()


def link() -> str:
    """The way in the last mail."""
    return next(line for line in mail.outbox[-1].body.splitlines() if "/status/" in line).partition(".com")[2].strip()


def test_a_link_comes_first_and_nothing_is_stored_before_it_was_confirmed() -> None:
    browser = Browser()
    status, page = post(browser, "/status/subscribe/", email="Sue@Example.com")
    assert (status, "on its way to Sue@Example.com" in page) == (200, True)
    assert not Subscriber.objects.exists()
    assert browser.get(link()).status_code == 200
    assert not Subscriber.objects.exists()
    assert "from now on" in post(browser, link())[1]
    assert [row.email for row in Subscriber.objects.all()] == ["sue@example.com"]
    # Opened once more it changes nothing.
    post(browser, link())
    assert Subscriber.objects.count() == 1


def test_one_click_of_a_mail_program_ends_it_and_takes_back_what_waits() -> None:
    Subscriber.objects.create(email="sue@example.com", confirmed_at=NOW)
    Notice.objects.create(
        email="sue@example.com", kind="window", subject_id=1, subscriber=True, created_at=NOW, due_at=NOW
    )
    address = f"/status/leave/{subscribing.leaving_token('sue@example.com')}/"
    browser = Browser()
    browser.handler.enforce_csrf_checks = True
    try:
        assert browser.get(address).status_code == 200
        assert Subscriber.objects.exists()
        status, page = post(browser, address, **{"List-Unsubscribe": "One-Click"})
    finally:
        browser.handler.enforce_csrf_checks = False
    assert (status, "no more mails" in page) == (200, True)
    assert not Subscriber.objects.exists()
    assert not Notice.objects.exists()
    assert post(browser, address)[0] == 200


@pytest.mark.parametrize(
    "token",
    ["x", "eyJhIjoxfQ:1abc:def", signing.dumps("sue@example.com", salt="another")],
    ids=["nonsense", "forged", "of another kind"],  # the third one says when it was made
)
def test_a_link_that_nobody_signed_for_this_opens_nothing(token: str) -> None:
    browser = Browser()
    for door in ("confirm", "leave"):
        assert post(browser, f"/status/{door}/{token}/")[0] == 404
    assert not Subscriber.objects.exists()


def test_a_link_to_confirm_ends_nothing_and_the_other_way_round() -> None:
    leaving = subscribing.leaving_token("sue@example.com")
    assert subscribing.confirm(token=leaving, now=NOW) is None
    subscribing.ask(email="sue@example.com", address="192.0.2.1")
    assert subscribing.leaver_of(link().split("/")[3]) is None


def test_a_link_lapses_after_three_days(monkeypatch: pytest.MonkeyPatch) -> None:
    subscribing.ask(email="sue@example.com", address="192.0.2.1")
    token = link().split("/")[3]
    assert subscribing.address_of(token) == "sue@example.com"
    monkeypatch.setattr(subscribing, "CONFIRM_SECONDS", timedelta(seconds=-1).total_seconds())
    assert subscribing.address_of(token) is None


def test_one_network_can_cause_a_few_mails_an_hour_only() -> None:
    for number in range(subscribing.BY_NETWORK):
        subscribing.ask(email=f"a{number}@example.com", address=f"192.0.2.{number}")
    with pytest.raises(subscribing.TooManyError):
        subscribing.ask(email="more@example.com", address="192.0.2.77")
    assert len(mail.outbox) == subscribing.BY_NETWORK
    subscribing.ask(email="more@example.com", address="198.51.100.1")


def test_one_address_is_mailed_twice_a_day_whoever_asks_and_nobody_learns_of_it() -> None:
    for number in range(5):
        subscribing.ask(email="sue@example.com", address=f"10.{number}.0.1")
    assert len(mail.outbox) == subscribing.TO_ADDRESS


def test_all_together_have_a_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(subscribing, "ALL", 3)
    for number in range(3):
        subscribing.ask(email=f"a{number}@example.com", address=f"10.{number}.0.1")
    with pytest.raises(subscribing.TooManyError):
        subscribing.ask(email="b@example.com", address="10.9.0.1")


def test_the_page_says_too_many_with_429_and_keeps_what_was_typed() -> None:
    browser = Browser()
    answers = [post(browser, "/status/subscribe/", email=f"a{number}@example.com") for number in range(7)]
    assert [status for status, _ in answers] == [200] * 5 + [429] * 2
    assert "a6@example.com" in answers[-1][1]


@pytest.mark.parametrize(
    "email", ["", "sue", "sue@", "sue@example.com\nBcc: all@example.com", "a" * 300 + "@x.example"]
)
def test_what_is_no_address_is_told_and_mailed_to_nobody(email: str) -> None:
    status, page = post(Browser(), "/status/subscribe/", email=email)
    assert (status, "has to be changed" in page) == (200, True)
    assert mail.outbox == []


def test_there_is_an_end_to_how_many_subscribe(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(subscribing, "SUBSCRIBERS_MAX", 0)
    subscribing.ask(email="sue@example.com", address="192.0.2.1")
    assert "as many subscribers as there can be" in post(Browser(), link())[1]


def test_without_the_counters_nobody_is_mailed(settings: Settings) -> None:
    settings.CACHES = {
        "default": {**settings.CACHES["default"], "LOCATION": "redis://127.0.0.1:1/0"},
    }
    status, page = post(Browser(), "/status/subscribe/", email="sue@example.com")
    assert (status, "at the moment" in page) == (200, True)
    assert mail.outbox == []
