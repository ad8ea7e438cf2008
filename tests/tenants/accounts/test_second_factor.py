"""Second factors: sealed, asked for at each login, and what staff need before any page of the admin."""

import json
import time
from typing import Any

import pytest
import time_machine
from allauth.mfa.models import Authenticator
from allauth.mfa.totp.internal.auth import format_hotp_value, hotp_value
from django.contrib.auth.models import User
from django.db import connection
from django.test import Client
from pytest_django import Settings

from tenants import services
from tenants.problem import ProblemError
from tests.people import PASSWORD, browser, person
from tests.tenants.accounts.conftest import Cast, events
from tests.tenants.accounts.test_log_in import log_in

ACTIVATE, TWO = "/account/2fa/totp/activate/", "/account/2fa/authenticate/"


def code(secret: str, *, steps: int = 0) -> str:
    return format_hotp_value(hotp_value(secret, int(time.time()) // 30 + steps))


def enrol(client: Client) -> str:
    """Set up an authenticator app; its secret."""
    client.get(ACTIVATE)
    secret = str(client.session["mfa.totp.secret"])
    answer = client.post(ACTIVATE, {"code": code(secret)})
    assert answer["Location"] == "/account/2fa/recovery-codes/"
    return secret


@pytest.fixture
def staff(db: None) -> User:
    return person("staff", staff=True)


def test_staff_are_led_from_the_first_login_to_a_second_factor_and_into_the_admin(staff: User, client: Client) -> None:
    answer = client.get("/admin/tenants/customer/", follow=True)
    assert answer.redirect_chain[-1][0] == "/account/login/?next=/admin/tenants/customer/"
    answer = log_in(client, "staff@example.com", query="?next=/admin/tenants/customer/", follow=True)
    assert answer.redirect_chain[-1][0] == "/account/second-factor/?next=/admin/tenants/customer/"
    assert ACTIVATE in answer.content.decode()
    enrol(client)
    assert client.get("/account/start/")["Location"] == "/admin/tenants/customer/"
    assert client.get("/admin/tenants/customer/").status_code == 200


def test_staff_with_a_second_factor_show_it_at_each_login(staff: User, client: Client) -> None:
    log_in(client, "staff@example.com")
    secret = enrol(client)
    other = Client()
    assert log_in(other, "staff@example.com", query="?next=/admin/")["Location"] == TWO
    assert "_auth_user_id" not in other.session
    assert other.get("/admin/").status_code == 302
    assert other.post(TWO, {"code": "000000"}).status_code == 200
    assert "_auth_user_id" not in other.session
    assert other.post(TWO, {"code": code(secret)})["Location"] == "/admin/"
    assert other.get("/admin/").status_code == 200
    assert [event.details["methods"] for event in events("account.log_in")] == ["password", "password + mfa"]
    assert [event.target for event in events("account.refuse_code")] == ["staff@example.com"]


def test_no_page_of_the_admin_opens_with_the_password_alone(staff: User) -> None:
    client = browser(staff)
    for address in ("/admin/", "/admin/tenants/customer/", "/admin/jsi18n/", "/admin/auth/user/", "/admin/nothing/"):
        answer = client.get(address)
        assert (answer.status_code, answer["Location"]) == (302, f"/admin/login/?next={address}"), address
    assert client.post("/admin/login/", {"username": "staff", "password": PASSWORD})["Location"].startswith(
        "/account/second-factor/"
    )


def test_a_session_that_has_not_shown_it_is_asked_for_it(staff: User) -> None:
    enrolled = browser(staff)
    secret = enrol(enrolled)
    late = browser(staff)
    answer = late.get("/admin/", follow=True)
    assert answer.redirect_chain[-1][0] == "/account/2fa/reauthenticate/?next=/admin/"
    # A code is good once; the next one is, too.
    answer = late.post("/account/2fa/reauthenticate/?next=/admin/", {"code": code(secret, steps=1), "next": "/admin/"})
    assert answer["Location"] == "/admin/"
    assert late.get("/admin/").status_code == 200


def test_whoever_is_no_staff_is_refused_also_with_a_second_factor(cast: Cast) -> None:
    assert browser(cast.ada, second_factor=True).get("/admin/", follow=True).status_code == 403
    User.objects.filter(pk=cast.ada.pk).update(is_superuser=True)
    assert browser(cast.ada, second_factor=True).get("/admin/", follow=True).status_code == 403


def test_the_proof_of_one_person_is_nothing_worth_for_another(staff: User, cast: Cast) -> None:
    client = browser(cast.ada, second_factor=True)
    records = client.session["account_authentication_methods"]
    client.force_login(staff)
    session = client.session
    session["account_authentication_methods"] = records
    session["account_authentication_methods_user"] = str(cast.ada.pk)
    session.save()
    assert client.get("/admin/").status_code == 302


def test_the_first_second_factor_ends_the_sessions_without_it(cast: Cast) -> None:
    here, there = Client(), Client()
    for client in (here, there):
        log_in(client, "ada@example.com")
    enrol(here)
    assert there.get("/account/").status_code == 302
    assert here.get("/account/").status_code == 200


def test_without_any_second_factor_none_counts_as_shown(staff: User) -> None:
    client = browser(staff)
    enrol(client)
    assert client.get("/admin/").status_code == 200
    client.post("/account/2fa/totp/deactivate/")
    assert not Authenticator.objects.exists()
    assert client.get("/admin/").status_code == 302
    kinds = [event.details["kind"] for event in events("account.remove_second_factor")]
    assert kinds == ["totp", "recovery_codes"]


def test_the_second_factor_is_set_up_with_the_password_at_hand(cast: Cast) -> None:
    client = browser(cast.ada)
    with time_machine.travel(time.time() + 3600, tick=True):
        answer = client.get(ACTIVATE)
        assert answer["Location"].startswith("/account/reauthenticate/?next=")
        assert client.post(answer["Location"], {"password": PASSWORD, "next": ACTIVATE})["Location"] == ACTIVATE
        assert client.get(ACTIVATE).status_code == 200


def test_a_code_is_good_once(cast: Cast) -> None:
    secret = enrol(browser(cast.ada))
    now = time.time()
    with time_machine.travel(now, tick=False):
        statuses = []
        for _ in range(2):
            client = Client()
            log_in(client, "ada@example.com")
            statuses.append(client.post(TWO, {"code": code(secret, steps=1)}).status_code)
    assert statuses == [302, 200]


def test_five_wrong_codes_shut_the_way_for_a_while(cast: Cast, client: Client) -> None:
    secret = enrol(browser(cast.ada))
    log_in(client, "ada@example.com")
    for number in range(5):
        client.post(TWO, {"code": "000000"}, REMOTE_ADDR=f"192.0.2.{number}")
    answer = client.post(TWO, {"code": code(secret)})
    assert answer.status_code == 200
    assert "too many attempts" in answer.content.decode()


def test_a_recovery_code_opens_the_account_once(cast: Cast) -> None:
    ada = browser(cast.ada)
    enrol(ada)
    one = Authenticator.objects.get(type="recovery_codes").wrap().generate_codes()[0]
    assert one in ada.get("/account/2fa/recovery-codes/").content.decode()
    statuses = []
    for _ in range(2):
        client = Client()
        log_in(client, "ada@example.com")
        statuses.append(client.post(TWO, {"code": one}).status_code)
    assert statuses == [302, 200]


def test_no_secret_of_it_lies_open_in_the_database(cast: Cast, client: Client) -> None:
    log_in(client, "ada@example.com")
    secret = enrol(client)
    codes = Authenticator.objects.get(type="recovery_codes").wrap().generate_codes()
    with connection.cursor() as cursor:
        cursor.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")
        dump = ""
        for (table,) in cursor.fetchall():
            cursor.execute(f'SELECT t::text FROM "{table}" t')  # noqa: S608
            dump += "\n".join(row[0] for row in cursor.fetchall())
    assert "v1:t1:" in dump
    assert secret not in dump
    assert not any(one in dump for one in codes)
    assert secret not in client.session.values()


def test_resealing_moves_every_secret_to_the_first_key(cast: Cast, settings: Settings) -> None:
    ada = browser(cast.ada)
    secret = enrol(ada)
    codes = Authenticator.objects.get(type="recovery_codes").wrap().generate_codes()
    old = settings.VAULT_KEYS
    settings.VAULT_KEYS = ["new:" + "A" * 43 + "=", *old]
    assert services.second_factors_reseal() == 2
    assert services.second_factors_reseal() == 0
    settings.VAULT_KEYS = settings.VAULT_KEYS[:1]
    assert Authenticator.objects.get(type="recovery_codes").wrap().generate_codes() == codes
    client = Client()
    log_in(client, "ada@example.com")
    assert client.post(TWO, {"code": code(secret, steps=1)}).status_code == 302
    settings.VAULT_KEYS = old
    with pytest.raises(ProblemError, match="'new', which is not in VAULT_KEYS"):
        services.second_factors_reseal()


def test_who_has_lost_it_is_helped_by_the_operator_and_logged_out(cast: Cast, client: Client) -> None:
    log_in(client, "ada@example.com")
    enrol(client)
    assert services.second_factor_reset(user=cast.ada) == 2
    assert client.get("/account/").status_code == 302
    assert log_in(client, "ada@example.com")["Location"] == "/account/start/"
    (event,) = events("second_factor.reset")
    assert (event.target, event.details) == ("ada@example.com", {"kinds": "recovery_codes, totp"})


def test_the_admin_shows_people_and_nothing_that_opens_an_account(staff: User, cast: Cast) -> None:
    client = browser(staff)
    secret = enrol(client)
    row = Authenticator.objects.get(type="totp")
    key = client.session.session_key or "-"
    for page in ("", "?q=ada", f"{staff.pk}/change/", f"{cast.ada.pk}/change/"):
        text = client.get(f"/admin/auth/user/{page}", follow=True).content.decode()
        assert "@example.com" in text, page
        for hidden in (secret, row.data["secret"], key, staff.password, "pbkdf2", "md5$"):
            assert hidden not in text
    for gone in ("mfa/authenticator/", "usersessions/usersession/", "account/emailaddress/"):
        assert client.get(f"/admin/{gone}").status_code == 404


def test_the_admin_locks_people_out_and_nobody_themselves(staff: User, cast: Cast) -> None:
    inside = Client()
    log_in(inside, "ada@example.com")
    client = browser(staff, second_factor=True)
    client.post(f"/admin/auth/user/{cast.ada.pk}/change/", {"email": "x@example.com", "is_staff": "on"})
    cast.ada.refresh_from_db()
    assert (cast.ada.is_active, cast.ada.is_staff, cast.ada.email) == (False, False, "ada@example.com")
    assert inside.get("/account/").status_code == 302
    assert [event.target for event in events("person.lock_out")] == ["ada@example.com"]
    assert client.post(f"/admin/auth/user/{staff.pk}/change/", {}).status_code == 403


@pytest.mark.parametrize(
    "sent",
    [
        "[]",
        "1",
        '"x"',
        "{}",
        '{"response": 1}',
        '{"id": "x", "rawId": "x", "response": {}}',
        "{",
        '{"response": {"userHandle": "MQ"}}',
    ],
)
def test_a_passkey_that_is_none_is_refused(cast: Cast, client: Client, sent: Any) -> None:
    client.get("/account/2fa/webauthn/login/", HTTP_ACCEPT="application/json")
    assert client.post("/account/2fa/webauthn/login/", {"credential": sent})["Location"] == "/account/login/"
    assert "_auth_user_id" not in client.session


def test_the_pages_for_security_keys_offer_what_a_browser_needs(cast: Cast, client: Client) -> None:
    text = browser(cast.ada).get("/account/2fa/webauthn/add/").content.decode()
    assert '"id": "push.example.com"' in text
    assert "mfa/js/webauthn.js" in text
    offered = client.get("/account/2fa/webauthn/login/", HTTP_ACCEPT="application/json")
    assert json.loads(offered.content)["request_options"]["publicKey"]["userVerification"] == "required"
