"""Keys, credentials and erasure need a login of a moment ago: a session that was left open is not enough."""

import time
from io import BytesIO
from typing import Any

import pytest

from tenants.models import AuditEvent, Credential, Customer, PushApp, ServerKey
from tests.browsing import RECORDS, Browser
from tests.people import PASSWORD
from tests.tenants.conftest import Cast

pytestmark = pytest.mark.django_db

REAUTHENTICATE = "/account/reauthenticate/"


def an_hour_ago(browser: Browser) -> Browser:
    """The same browser, with a login of an hour ago."""
    found = browser.twin()
    session = found.session
    session[RECORDS] = [{"method": "password", "at": time.time() - 3600}]
    session["seen_at"] = time.time()
    session.save()
    return found


def with_password(cast: Cast) -> Browser:
    """Ada, who has a password to show, an hour after her login."""
    owner = cast.acme.customer.memberships.get(role="owner").user
    owner.set_password(PASSWORD)
    owner.save()
    return an_hour_ago(Browser().enter(owner))


def addresses(cast: Cast) -> dict[str, dict[str, Any]]:
    """What is sent where."""
    server, key = cast.acme.server, ServerKey.objects.filter(server=cast.acme.server).first()
    assert key is not None
    return {
        f"/c/acme/servers/{server.public_id}/keys/": {"key_name": "another"},
        f"/c/acme/servers/{server.public_id}/keys/{key.prefix}/revoke/": {"typed": key.prefix},
        "/c/acme/settings/erase/": {"typed": "acme"},
    }


@pytest.mark.parametrize("place", [0, 1, 2])
def test_what_needs_it_is_not_done_before_the_password_is_shown(cast: Cast, place: int) -> None:
    ada = with_password(cast)
    address, form = list(addresses(cast).items())[place]
    keys = ServerKey.objects.filter(revoked_at=None).count()
    answer = ada.post(address, form)
    assert answer.status_code == 302, address
    assert answer["Location"].startswith(f"{REAUTHENTICATE}?next=%2Fc%2Facme%2F")
    assert ServerKey.objects.filter(revoked_at=None).count() == keys
    assert Customer.objects.get(slug="acme").status == "active"
    assert ada.get(address).status_code in (200, 405), "to look needs none"


def test_the_page_goes_on_with_what_was_asked_once_the_password_was_shown_and_asks_no_more(cast: Cast) -> None:
    ada = with_password(cast)
    address = f"/c/acme/servers/{cast.acme.server.public_id}/keys/"
    way = ada.post(address, {"key_name": "asked before"})["Location"]
    assert "Show that it is you" in ada.get(way).content.decode()
    wrong = ada.post(way, {"password": "wrong", "next": address})
    assert "not your password" in wrong.content.decode()
    assert not ServerKey.objects.filter(name="asked before").exists()
    shown = ada.post(way, {"password": PASSWORD, "next": address})
    key = ServerKey.objects.get(name="asked before")
    assert f"{key.prefix}_" in shown.content.decode()
    assert AuditEvent.objects.filter(action="key.add", target=str(key)).exists()
    assert ada.post(address, {"key_name": "at once"}).status_code == 200
    assert ServerKey.objects.filter(name="at once").exists()


def test_an_upload_is_asked_for_again_for_its_file_is_not_kept(cast: Cast, p8: bytes) -> None:
    app = PushApp.objects.create(
        customer=cast.acme.customer, label="apple_own", topic="com.own", family="apns", host="production"
    )
    ada, page = with_password(cast), f"/c/acme/apps/{app.pk}/"
    answer = ada.post(f"{page}credentials/", {"file": _file(p8)}, headers={"Referer": f"https://x.example{page}"})
    assert answer.status_code == 302
    assert answer["Location"].startswith(REAUTHENTICATE)
    assert not Credential.objects.filter(app=app).exists()
    back = ada.post(answer["Location"], {"password": PASSWORD, "next": page}, follow=True)
    assert back.redirect_chain[-1][0] == page
    assert "Choose the file again" in back.content.decode()


def _file(content: bytes) -> Any:
    made = BytesIO(content)
    made.name = "AuthKey_ABC123DEFG.p8"
    return made
