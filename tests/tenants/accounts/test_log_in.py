"""The way in: what strangers learn of it (nothing), how often they may try, and where it leads."""

import re
import time
from typing import Any

import pytest
from django.contrib.auth.hashers import MD5PasswordHasher
from django.contrib.auth.models import User
from django.core import mail
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from pytest_django import Settings

from tests.people import PASSWORD, browser, person
from tests.tenants.accounts.conftest import Cast, events, join
from tests.tenants.accounts.test_invitations import BROKEN
from tests.waiting import PATIENCE

LOGIN, RESET = "/account/login/", "/account/password/reset/"
NEW_PASSWORD = "another horse, another battery"


class Counting(MD5PasswordHasher):
    """Counts how often a password was hashed: that is what takes the time."""

    algorithm = "counting"
    made = 0

    def encode(self, password: str, salt: str) -> str:
        type(self).made += 1
        return super().encode(password, salt)


def log_in(client: Client, name: str, password: str = PASSWORD, query: str = "", **more: Any) -> Any:
    return client.post(LOGIN + query, {"login": name, "password": password}, **more)


def sent_later(count: int) -> list[Any]:
    """The e-mails, once there are so many: those for a new password are sent beside the answer."""
    until = time.monotonic() + PATIENCE
    while len(mail.outbox) < count and time.monotonic() < until:
        time.sleep(0.01)
    return list(mail.outbox)


def words(answer: Any) -> str:
    """A page without what differs from page to page by itself."""
    return re.sub(r'name="csrfmiddlewaretoken" value="\w+"|value="[^"]*@[^"]*"', "", answer.content.decode())


def test_an_address_and_a_password_open_the_account(cast: Cast, client: Client) -> None:
    answer = log_in(client, "ADA@example.com ", follow=True)
    assert answer.redirect_chain[-1][0] == "/c/acme/"
    (event,) = events("account.log_in")
    assert (event.actor, event.customer_id, event.details) == ("ada@example.com", None, {"methods": "password"})


def test_a_user_name_opens_nothing(cast: Cast, client: Client) -> None:
    log_in(client, "ada")
    assert "_auth_user_id" not in client.session


def test_with_several_customers_one_chooses_and_staff_goes_to_its_pages(cast: Cast, client: Client) -> None:
    join(cast.ada, cast.cosmos, "viewer")
    answer = log_in(client, "ada@example.com", follow=True)
    assert answer.redirect_chain[-1][0] == "/account/customers/"
    text = answer.content.decode()
    assert "/c/acme/" in text
    assert "/c/cosmos/" in text
    person("staff", staff=True)
    other = Client()
    assert log_in(other, "staff@example.com", follow=True).redirect_chain[1][0] == "/admin/"


@pytest.mark.parametrize(
    "wanted",
    [
        "//evil.example",
        "https://evil.example/",
        "https:evil.example",
        "/\\evil.example",
        "javascript:alert(1)",
        "http://testserver/x",
    ],
)
def test_the_login_leads_nowhere_else(cast: Cast, client: Client, wanted: str) -> None:
    answer = log_in(client, "ada@example.com", query=f"?next={wanted}")
    assert answer["Location"] == "/account/start/"
    ada = browser(cast.ada)
    assert ada.get(f"{LOGIN}?next={wanted}")["Location"] == "/account/start/"
    assert ada.post("/account/logout/", {"next": wanted})["Location"] == LOGIN


def test_the_login_leads_to_the_page_that_was_wanted(cast: Cast, client: Client) -> None:
    answer = client.get("/c/acme/people/")
    assert answer["Location"] == f"{LOGIN}?next=/c/acme/people/"
    assert log_in(client, "ada@example.com", query="?next=/c/acme/people/")["Location"] == "/c/acme/people/"


def test_the_session_is_another_one_after_the_login_and_after_the_logout(cast: Cast, client: Client) -> None:
    client.post("/invitation/x/")
    session = client.session
    session["planted"] = "x"
    session.save()
    client.cookies["sessionid"] = session.session_key or ""
    log_in(client, "ada@example.com")
    inside = client.session.session_key
    assert inside != session.session_key
    assert not client.session.exists(session.session_key)
    client.post("/account/logout/")
    assert not client.session.exists(inside)


def test_a_known_and_an_unknown_address_are_refused_in_the_same_words_and_with_the_same_work(
    cast: Cast, client: Client, settings: Settings
) -> None:
    settings.PASSWORD_HASHERS = [f"{__name__}.Counting"]
    cast.ada.set_password(PASSWORD)
    cast.ada.save()
    person("locked").set_unusable_password()
    User.objects.filter(username="ben").update(is_active=False)
    seen = {}
    for name in ("ada@example.com", "nobody@example.com", "ben@example.com"):
        Counting.made = 0
        answer = log_in(client, name, "wrong password")
        seen[name] = (answer.status_code, words(answer))
        if name != "ben@example.com":  # whose hash is of another kind in this test
            assert Counting.made == 1, name
    assert len(set(seen.values())) == 1
    assert "no account with this address and this password" in next(iter(seen.values()))[1]


def test_a_known_and_an_unknown_address_get_the_same_answer_and_the_known_one_alone_an_email_for_a_new_password(
    cast: Cast, client: Client
) -> None:
    seen, queries = [], []
    for name in ("nobody@example.com", "ada@example.com"):
        with CaptureQueriesContext(connection) as made:
            answer = client.post(RESET, {"email": name}, follow=True)
        seen.append((answer.redirect_chain, words(answer)))
        queries.append(len(made))
    assert seen[0] == seen[1]
    assert [sent.to for sent in sent_later(1)] == [["ada@example.com"]]
    assert abs(queries[0] - queries[1]) <= 1


def test_a_mail_server_that_is_away_or_slow_tells_nothing_of_an_address(
    cast: Cast, client: Client, settings: Settings
) -> None:
    settings.EMAIL_BACKEND = BROKEN
    seen = {words(client.post(RESET, {"email": f"{name}@example.com"}, follow=True)) for name in ("ada", "nobody")}
    assert len(seen) == 1
    assert "could not be sent" not in seen.pop()


def test_the_limits_are_the_same_for_all_processes(settings: Settings) -> None:
    """The guard: they are counted where every process sees them, and not in one process's memory."""
    assert settings.CACHES["default"]["BACKEND"].endswith("RedisCache")


def test_the_link_for_a_new_password_is_of_our_public_name_whatever_the_request_says(
    cast: Cast, client: Client
) -> None:
    client.post(RESET, {"email": "ada@example.com"}, HTTP_HOST="testserver:4444")
    (link,) = re.findall(r"https?://\S+/key/\S+", sent_later(1)[0].body)
    assert link.startswith("https://push.example.com/account/password/reset/key/")
    answer = client.get(link.removeprefix("https://push.example.com"))
    assert answer["Location"].endswith("-set-password/")  # the key is in the address no longer
    client.post(answer["Location"], {"password1": NEW_PASSWORD, "password2": NEW_PASSWORD})
    assert [event.target for event in events("account.reset_password")] == ["ada@example.com"]
    assert client.get(link.removeprefix("https://push.example.com")).status_code == 200
    assert log_in(client, "ada@example.com", NEW_PASSWORD)["Location"] == "/account/start/"


def test_a_changed_password_ends_the_other_sessions_is_noted_and_told(cast: Cast) -> None:
    here, there = Client(), Client()
    for client in (here, there):
        log_in(client, "ada@example.com")
    form = {"oldpassword": PASSWORD, "password1": NEW_PASSWORD, "password2": NEW_PASSWORD}
    here.post("/account/password/change/", form)
    assert here.get("/account/").status_code == 200
    assert there.get("/account/").status_code == 302
    assert len(events("account.change_password")) == 1
    assert "Your account was changed" in mail.outbox[-1].body


def test_sessions_are_listed_and_ended(cast: Cast) -> None:
    here, there, third = Client(), Client(HTTP_USER_AGENT="Other browser"), Client()
    for client in (here, there, third):
        log_in(client, "ada@example.com")
    text = here.get("/account/sessions/").content.decode()
    assert "Other browser" in text
    found = re.findall(r"/account/sessions/\d+/end/", text)
    assert len(found) == 2
    stranger = browser(cast.cleo)
    assert stranger.post(found[0]).status_code == 404
    assert here.post(found[0]).status_code == 302
    assert there.get("/account/").status_code == 302
    assert third.get("/account/").status_code == 200
    here.post("/account/sessions/")
    assert third.get("/account/").status_code == 302
    assert here.get("/account/").status_code == 200
    assert len(events("account.end_session")) == 1


def test_a_name_is_kept_on_one_line(cast: Cast) -> None:
    ada = browser(cast.ada)
    assert "on one line" in ada.post("/account/", {"name": "Ada\nLovelace"}).content.decode()
    ada.post("/account/", {"name": " Ada Lovelace "})
    cast.ada.refresh_from_db()
    assert cast.ada.first_name == "Ada Lovelace"


def test_another_address_counts_once_its_code_was_typed(cast: Cast) -> None:
    ada = browser(cast.ada)
    ada.post("/account/email/", {"email": "ada@new.example", "action_add": ""})
    code = re.findall(r"^\s*([A-Z0-9]{4,}-?[A-Z0-9]*)\s*$", mail.outbox[-1].body, re.MULTILINE)[0]
    cast.ada.refresh_from_db()
    assert cast.ada.email == "ada@example.com"
    ada.post("/account/confirm-email/", {"code": code, "action": "verify"})
    cast.ada.refresh_from_db()
    assert cast.ada.email == "ada@new.example"
    (event,) = events("account.change_email")
    assert event.details == {"before": "ada@example.com", "after": "ada@new.example"}


def test_a_session_that_was_left_open_is_not_enough_for_another_address(cast: Cast) -> None:
    ada = browser(cast.ada)
    session = ada.session
    session["account_authentication_methods"] = [{"method": "password", "at": time.time() - 3600}]
    session.save()
    answer = ada.post("/account/email/", {"email": "mallory@example.com", "action_add": ""})
    assert answer["Location"].startswith("/account/reauthenticate/")
    assert not mail.outbox


def test_who_has_no_verified_address_types_a_code_first(db: None, client: Client) -> None:
    """As those whom createsuperuser has made."""
    User.objects.create_superuser("root", "root@example.com", PASSWORD)
    answer = log_in(client, "root@example.com")
    assert answer["Location"] == "/account/confirm-email/"
    code = re.findall(r"^\s*([A-Z0-9]{4,}-?[A-Z0-9]*)\s*$", mail.outbox[-1].body, re.MULTILINE)[0]
    assert "_auth_user_id" not in client.session
    client.post("/account/confirm-email/", {"code": code, "action": "verify"})
    assert "_auth_user_id" in client.session


def test_whoever_is_locked_out_stays_out(cast: Cast, client: Client) -> None:
    inside = Client()
    log_in(inside, "ada@example.com")
    User.objects.filter(username="ada").update(is_active=False)
    assert inside.get("/account/").status_code == 302
    assert log_in(client, "ada@example.com")["Location"] == "/account/inactive/"
    assert "_auth_user_id" not in client.session


def test_no_page_of_accounts_says_please_or_oops(cast: Cast, client: Client) -> None:
    pages = ("login", "password/reset", "password/reset/done", "password/reset/key/1-x", "password/reset/key/done")
    texts = [client.get(f"/account/{page}/").content.decode() for page in pages]
    ada = browser(cast.ada)
    pages = ("", "email/", "password/change/", "2fa/", "2fa/totp/activate/", "2fa/webauthn/", "2fa/webauthn/add/")
    texts += [ada.get(f"/account/{page}").content.decode() for page in (*pages, "sessions/", "logout/")]
    for text in texts:
        assert "<title>" in text
        assert not re.search(r"[Pp]lease|[Oo]ops|[Ss]orry|Sign [IiUu]|!<", text)
        assert "style=" not in text
        assert "<?xml" not in text
        assert not re.search(r"<script(?![^>]*(src=|application/json))", text)
