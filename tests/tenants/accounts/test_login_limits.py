"""How often a password may be tried, by whom, and what is left of it: nobody locks anybody else out."""

from typing import Any

import pytest
from django.core import signing
from django.test import Client

from tenants.accounts import login_limits
from tests.people import PASSWORD, browser
from tests.tenants.accounts.conftest import Cast, events
from tests.tenants.accounts.test_log_in import RESET, log_in, sent_later


def test_the_form_for_a_new_password_is_limited_by_address_known_or_not_and_by_network(
    cast: Cast, client: Client
) -> None:
    for name in ("ada@example.com", "nobody@example.com"):
        statuses = [
            client.post(RESET, {"email": name}, REMOTE_ADDR=f"192.0.2.{number}").status_code for number in range(5)
        ]
        assert statuses == [302] * 3 + [429] * 2, name
    statuses = [
        client.post(RESET, {"email": f"x{number}@example.com"}, REMOTE_ADDR="198.51.100.1").status_code
        for number in range(22)
    ]
    assert statuses == [302] * 20 + [429] * 2
    assert [sent.to for sent in sent_later(3)] == [["ada@example.com"]] * 3


def test_wrong_passwords_from_a_strangers_network_lock_nobody_else_out(cast: Cast, client: Client) -> None:
    for number in range(7):
        # Another Host each time, and the address in several spellings.
        spelled = ("ada@example.com", "ADA@example.com", " ada@Example.com")[number % 3]
        log_in(client, spelled, "wrong", REMOTE_ADDR="192.0.2.1", HTTP_HOST=f"testserver:{number + 1}")
    answer = log_in(client, "ada@example.com", REMOTE_ADDR="192.0.2.1", HTTP_HOST="testserver:99")
    assert "too many attempts" in answer.content.decode()
    assert "_auth_user_id" not in client.session
    assert log_in(Client(), "ada@example.com", REMOTE_ADDR="192.0.2.99")["Location"] == "/account/start/"
    assert log_in(client, "ben@example.com", REMOTE_ADDR="192.0.2.1")["Location"] == "/account/start/"


def guess_from_everywhere(name: str) -> Any:
    """A botnet's forty guesses, and its last answer."""
    for number in range(40):
        answer = log_in(Client(), name, "wrong", REMOTE_ADDR=f"198.51.100.{number}")
    return answer


def test_guesses_from_many_networks_have_a_bound_that_never_shuts_out_a_browser_or_a_network_of_the_owner(
    cast: Cast, client: Client
) -> None:
    log_in(client, "ada@example.com", REMOTE_ADDR="192.0.2.1")
    elsewhere = Client()  # a session that lasts, from another network
    log_in(elsewhere, "ada@example.com", REMOTE_ADDR="2001:db8:1:2::5")
    client.post("/account/logout/")
    assert "too many attempts" in guess_from_everywhere("ada@example.com").content.decode()
    # Known by its cookie, in a network that is new; then by the network, in a browser that is new.
    assert log_in(client, "ada@example.com", REMOTE_ADDR="203.0.113.7")["Location"] == "/account/start/"
    assert log_in(Client(), "ada@example.com", REMOTE_ADDR="2001:db8:1:2::9")["Location"] == "/account/start/"
    answer = log_in(Client(), "ada@example.com", REMOTE_ADDR="203.0.113.8")
    assert "in which you have logged in before" in answer.content.decode()


def test_a_known_browser_has_a_limit_of_its_own_and_nobody_makes_one_known(cast: Cast, client: Client) -> None:
    log_in(client, "ada@example.com")
    client.post("/account/logout/")
    for _ in range(5):
        log_in(client, "ada@example.com", "wrong")
    assert "too many attempts" in log_in(client, "ada@example.com").content.decode()
    known = client.cookies[login_limits.cookie_name()].value
    assert "ada" not in signing.b64_decode(known.partition(":")[0].encode()).decode("latin-1")
    guess_from_everywhere("ben@example.com")
    for cookie in (known, known[:-3] + "abc", "x"):
        stranger = Client()
        stranger.cookies[login_limits.cookie_name()] = cookie
        answer = log_in(stranger, "ben@example.com", REMOTE_ADDR="203.0.113.9")
        assert "too many attempts" in answer.content.decode(), cookie


def test_each_wrong_password_leaves_a_line_but_a_flood_of_them_few_and_never_what_may_be_a_password(
    cast: Cast, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    log_in(client, "ada@example.com", "wrong", REMOTE_ADDR="192.0.2.7")
    log_in(client, "ada@example.com", "wrong", REMOTE_ADDR="192.0.2.7")
    log_in(client, "hunter2-my-password@example.com", "wrong", REMOTE_ADDR="192.0.2.8")
    assert [(event.target, event.address) for event in events("account.log_in_failed")] == [
        ("ada@example.com", "192.0.2.7"),
        ("an address without account", "192.0.2.8"),
    ]
    monkeypatch.setattr(login_limits, "NOTED", "2/h/key")
    for number in range(6):
        log_in(client, f"x{number}@example.com", "wrong", REMOTE_ADDR=f"192.0.2.{100 + number}")
    assert len(events("account.log_in_failed")) == 4


@pytest.mark.parametrize(
    ("password", "why"),
    [
        ("passwordpassword", "only repeats a shorter one"),
        ("PassWordpassword", "only repeats a shorter one"),
        ("hunterhunterhunter", "only repeats a shorter one"),
        ("password-password", "only repeats a shorter one"),
        ("Welcome2026welcome!", "only repeats a shorter one"),
        ("Password!2026", "a common one with a little added"),
        ("aaaabbbbaaaabbbbb", "too few different characters"),
        ("horse battery " * 9 + "staple!", "128 characters are the most"),
    ],
)
def test_a_password_that_is_guessed_quickly_or_is_too_long_is_refused_with_the_reason(
    cast: Cast, password: str, why: str
) -> None:
    fields = {"oldpassword": PASSWORD, "password1": password, "password2": password}
    answer = browser(cast.ada).post("/account/password/change/", fields)
    assert why in answer.content.decode()
    cast.ada.refresh_from_db()
    assert cast.ada.check_password(PASSWORD)


def test_a_password_of_128_characters_is_taken(cast: Cast) -> None:
    password = ("correct horse battery staple, " * 5)[:127] + "!"
    fields = {"oldpassword": PASSWORD, "password1": password, "password2": password}
    browser(cast.ada).post("/account/password/change/", fields)
    cast.ada.refresh_from_db()
    assert cast.ada.check_password(password)


def test_ten_wrong_passwords_shut_a_network_address_for_every_account(cast: Cast, client: Client) -> None:
    for number in range(10):
        log_in(client, f"nobody{number}@example.com", "wrong", REMOTE_ADDR="192.0.2.7")
    answer = log_in(client, "ada@example.com", REMOTE_ADDR="192.0.2.7")
    assert "too many attempts" in answer.content.decode()
    assert log_in(client, "ada@example.com", REMOTE_ADDR="192.0.2.8")["Location"] == "/account/start/"


def test_a_burst_of_wrong_passwords_is_noted_once_with_where_it_came_from(cast: Cast, client: Client) -> None:
    for _ in range(9):
        log_in(client, "ada@example.com", "wrong", REMOTE_ADDR="192.0.2.7")
    (event,) = events("account.log_in_limited")
    assert (event.target, event.address, event.actor_kind) == ("ada@example.com", "192.0.2.7", "service")
