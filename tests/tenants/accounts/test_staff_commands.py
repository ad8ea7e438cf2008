"""The commands about people: what staff and customers' first owners are made with."""

import pytest
from django.contrib.auth.models import User
from django.core import mail
from django.core.management import CommandError
from django.test import Client
from pytest_django import Settings

from tests.people import PASSWORD, browser
from tests.tenants.accounts.conftest import Cast, events
from tests.tenants.accounts.test_invitations import BROKEN
from tests.tenants.accounts.test_log_in import log_in
from tests.tenants.accounts.test_second_factor import enrol
from tests.tenants.management.test_commands import run

STAFF = "grace@example.com"


def test_from_nothing_to_staff_with_a_password(db: None, client: Client) -> None:
    made = run("staff", "add", "--email", "Grace@Example.com", "--name", "Grace")
    assert (made["email"], made["name"], made["staff"], made["changed"]) == (STAFF, "Grace", True, True)
    link = made["password_link"]
    assert link.startswith("https://push.example.com/account/password/reset/key/")
    answer = client.get(link.removeprefix("https://push.example.com"))
    client.post(answer["Location"], {"password1": PASSWORD, "password2": PASSWORD})
    answer = log_in(client, STAFF, query="?next=/admin/", follow=True)
    assert answer.redirect_chain[-1][0] == "/account/second-factor/?next=/admin/"
    (event,) = events("staff.add")
    assert (event.actor_kind, event.target) == ("command", STAFF)
    assert not run("staff", "add", "--email", STAFF)["changed"]
    assert [row["email"] for row in run("staff", "list")] == [STAFF]


def test_a_member_becomes_staff_and_an_ordinary_person_again(cast: Cast) -> None:
    assert run("staff", "add", "--email", "ada@example.com")["changed"]
    ada = Client()
    log_in(ada, "ada@example.com")
    enrol(ada)
    assert ada.get("/admin/").status_code == 200
    assert run("staff", "remove", "--email", "ada@example.com")["changed"]
    assert ada.get("/account/").status_code == 302
    assert browser(cast.ada, second_factor=True).get("/admin/", follow=True).status_code == 403
    assert cast.role(cast.ada) == "owner"
    assert run("staff", "reset-second-factor", "--email", "ada@example.com")["removed"] == 2


def test_an_address_of_two_accounts_goes_to_the_one_that_has_shown_it(cast: Cast) -> None:
    User.objects.create_user("mallory", "ada@example.com", "x")
    run("staff", "add", "--email", "ada@example.com")
    assert [user.username for user in User.objects.filter(is_staff=True)] == ["ada"]


def test_the_first_owner_is_invited_and_the_link_is_printed_once(cast: Cast, settings: Settings) -> None:
    settings.EMAIL_BACKEND = BROKEN
    made = run("invitation", "add", "--customer", "acme", "--email", "dora@example.com")
    assert (made["role"], made["invited_by"]) == ("owner", None)
    assert "could not be sent" in made["problem"]
    assert Client().get(made["link"].removeprefix("https://push.example.com")).status_code == 200
    settings.EMAIL_BACKEND = "django.core.mail.backends.locmem.EmailBackend"
    assert run("invitation", "add", "--customer", "acme", "--email", "dora@example.com")["problem"] is None
    assert "The operator of the push notification service invites you" in mail.outbox[0].body
    (listed,) = run("invitation", "list", "--customer", "acme")
    assert "link" not in listed
    assert run("invitation", "withdraw", "--customer", "acme", "--email", "Dora@example.com")["changed"]
    assert run("invitation", "list", "--customer", "acme") == []


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("staff add --email grace", "no e-mail address"),
        ("staff remove --email nobody@example.com", "nobody has the e-mail address"),
        ("invitation add --customer acme --email ben@example.com", "a member of Acme already"),
        ("invitation add --customer none --email d@example.com", "no customer 'none'"),
        ("invitation withdraw --customer acme --email d@example.com", "no open invitation"),
    ],
)
def test_what_is_wrong_is_one_line(cast: Cast, words: str, message: str) -> None:
    with pytest.raises(CommandError, match=message) as raised:
        run(*words.split())
    assert "\n" not in str(raised.value)
