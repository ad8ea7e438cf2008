"""Security keys and passkeys, with a key in software that does what a real one does."""

import json
import re
from typing import Any

import pytest
from allauth.mfa.models import Authenticator
from django.test import Client

from tests.people import browser, person
from tests.tenants.accounts.conftest import Cast, events
from tests.tenants.accounts.passkey import Passkey
from tests.tenants.accounts.test_log_in import log_in

SITE, ORIGIN = "push.example.com", "https://push.example.com"
ADD, LOGIN, TWO = "/account/2fa/webauthn/add/", "/account/2fa/webauthn/login/", "/account/2fa/authenticate/"


def options(client: Client, address: str) -> Any:
    """What the page asks the browser for."""
    text = client.get(address).content.decode()
    found = re.search(r'<script id="js_data" type="application/json">(.*?)</script>', text, re.DOTALL)
    assert found is not None
    return json.loads(found[1])


def add(client: Client, key: Passkey, origin: str = ORIGIN) -> Any:
    """Add a key; the answer."""
    return client.post(ADD, {"name": "Key", "credential": key.register(options(client, ADD), origin)})


def passwordless(client: Client, key: Passkey, origin: str = ORIGIN) -> bool:
    """Whether the key alone logs in."""
    offered = client.get(LOGIN, HTTP_ACCEPT="application/json").json()
    client.post(LOGIN, {"credential": key.sign(offered, origin)})
    return "_auth_user_id" in client.session


def test_a_key_is_a_second_factor_at_the_next_login(cast: Cast, client: Client) -> None:
    key = Passkey(SITE, verifies=False)
    assert add(browser(cast.ada), key)["Location"] == "/account/2fa/recovery-codes/"
    assert log_in(client, "ada@example.com")["Location"] == TWO
    assert "_auth_user_id" not in client.session
    answer = client.post(TWO, {"credential": key.sign(options(client, TWO), ORIGIN)})
    assert answer["Location"] == "/account/start/"
    kinds = [event.details["kind"] for event in events("account.add_second_factor")]
    assert "webauthn" in kinds


def test_a_passkey_alone_opens_the_account_and_counts_as_both(cast: Cast, client: Client) -> None:
    staff = browser(person("staff", staff=True))
    key = Passkey(SITE)
    add(staff, key)
    assert staff.get("/admin/").status_code == 200
    assert passwordless(client, key)
    assert client.get("/admin/").status_code == 200


def test_a_key_that_asks_for_no_finger_and_no_pin_does_not_log_in_alone(cast: Cast, client: Client) -> None:
    key = Passkey(SITE, verifies=False)
    add(browser(cast.ada), key)
    assert not passwordless(client, key)


@pytest.mark.parametrize(
    "origin", ["https://evil.example", "http://push.example.com", "https://push.example.com.evil.example"]
)
def test_what_was_signed_for_another_site_opens_nothing(cast: Cast, client: Client, origin: str) -> None:
    key = Passkey(SITE)
    assert add(browser(cast.ada), key, origin).status_code == 200
    assert not Authenticator.objects.exists()
    add(browser(cast.ada), key)
    assert not passwordless(client, key, origin)


def test_the_key_of_one_does_not_open_the_account_of_another(cast: Cast, client: Client) -> None:
    mine, theirs = Passkey(SITE), Passkey(SITE)
    theirs.id += b"2"
    add(browser(cast.ada), theirs)
    add(browser(cast.cleo), mine)
    mine.user = theirs.user
    assert not passwordless(client, mine)


def test_an_answer_is_good_for_the_question_that_was_asked(cast: Cast, client: Client) -> None:
    key = Passkey(SITE)
    add(browser(cast.ada), key)
    offered = client.get(LOGIN, HTTP_ACCEPT="application/json").json()
    answer = key.sign(offered, ORIGIN)
    client.get(LOGIN, HTTP_ACCEPT="application/json")
    client.post(LOGIN, {"credential": answer})
    assert "_auth_user_id" not in client.session
    other = Client()
    other.post(LOGIN, {"credential": answer})
    assert "_auth_user_id" not in other.session


def test_a_removed_key_opens_nothing(cast: Cast, client: Client) -> None:
    key, ada = Passkey(SITE), browser(cast.ada)
    add(ada, key)
    row = Authenticator.objects.get(type="webauthn")
    stranger = browser(cast.cleo)
    assert stranger.post(f"/account/2fa/webauthn/keys/{row.pk}/remove/").status_code == 404
    ada.post(f"/account/2fa/webauthn/keys/{row.pk}/remove/")
    assert not Authenticator.objects.exists()
    assert not passwordless(client, key)
