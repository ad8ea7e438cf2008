"""Switching a server off and removing it on its pages: what is said before, what happens, and whose server it is."""

import pytest
from django.utils import timezone

from billing import customers
from tenants import services
from tenants.models import AuditEvent, Customer, Rejection, Server, ServerId, ServerKey, Site
from tests.browsing import Browser, browser

pytestmark = pytest.mark.django_db


@pytest.fixture
def chat(customer: Customer) -> Server:
    """Acme's server with a key that was used, a server_id and a site."""
    row = services.server_add(customer=customer, name="chat.acme.example").row
    key = services.key_add(server=row).row
    ServerKey.objects.filter(pk=key.pk).update(last_used_at=timezone.now())
    services.server_id_add(server=row, mattermost_id="z" * 26)
    address = "https://chat.acme.example"
    Site.objects.create(server=row, how="fetched", address=address, due_at=timezone.now())
    return row


def page(server: Server, act: str = "") -> str:
    """The address of a server's page, or of one below it."""
    return f"/c/{server.customer.slug}/servers/{server.public_id}/{act}"


def test_what_switching_a_server_off_means_is_said_before_and_nothing_is_changed_by_reading(
    ada: Browser, chat: Server
) -> None:
    text = ada.get(page(chat, "disable/")).content.decode()
    assert "Every push of this server is refused within two seconds. It can be switched on again at any time." in text
    assert "Its 1 key in use, its server IDs and its site stay as they are." in text
    assert "None" not in text.partition("<main")[2]
    chat.refresh_from_db()
    assert chat.disabled_at is None


def test_a_server_is_switched_off_and_on_again_by_its_own_people(ada: Browser, chat: Server) -> None:
    text = ada.post(page(chat, "disable/"), follow=True).content.decode()
    assert "chat.acme.example is switched off: every push with its keys is refused" in text
    assert "Its pushes are refused within two seconds." in text
    assert "(switched off)" in ada.get("/c/acme/servers/").content.decode()
    text = ada.post(page(chat, "enable/"), follow=True).content.decode()
    assert "is switched off" not in text
    assert ServerKey.objects.get().state == "in use"
    actions = AuditEvent.objects.filter(action__startswith="server.", actor_kind="member").order_by("id")
    assert list(actions.values_list("action", flat=True)) == ["server.disable", "server.enable"]


def test_a_removed_server_is_gone_from_its_pages_and_its_name_is_free(ada: Browser, chat: Server) -> None:
    text = ada.get(page(chat, "remove/")).content.decode()
    assert "Its 1 key in use is revoked for good." in text
    assert f"Its server ID <code>{'z' * 26}</code> is forgotten." in text
    assert "https://chat.acme.example is fetched no more." in text
    assert "This cannot be undone." in text
    assert "This is not chat.acme.example." in ada.post(page(chat, "remove/"), {"typed": "chat"}).content.decode()
    Rejection.objects.create(
        key=ServerKey.objects.get(),
        code="revoked_key",
        count=3,
        first_at=timezone.now(),
        last_at=timezone.now(),
        encrypted=True,
    )
    told = ada.post(page(chat, "remove/"), {"typed": "chat.acme.example"}, follow=True)
    assert "chat.acme.example was removed." in told.content.decode()
    assert ada.get(page(chat)).status_code == 404
    assert "still sends with the revoked key" not in ada.get("/c/acme/").content.decode()
    assert ServerKey.objects.get().state == "revoked"
    assert not ServerId.objects.exists()
    assert Site.objects.get().due_at is None
    event = AuditEvent.objects.get(action="server.remove")
    assert (event.target, event.actor, event.details) == (
        "chat.acme.example",
        "owner@acme.example",
        {"keys_revoked": 1},
    )
    ada.post("/c/acme/servers/", {"name": "chat.acme.example"})
    assert Server.of_people().count() == 1
    assert Server.objects.count() == 2


def test_a_viewer_reads_what_it_means_and_can_do_nothing(customer: Customer, chat: Server) -> None:
    ben = browser(customer, "viewer")
    for act in ("disable/", "remove/"):
        assert "An owner or an admin can do that." in ben.get(page(chat, act)).content.decode()
        assert ben.post(page(chat, act), {"typed": chat.name}).status_code == 403
    assert ben.post(page(chat, "enable/")).status_code == 403
    assert "Switch off" not in ben.get(page(chat)).content.decode()
    chat.refresh_from_db()
    assert (chat.disabled_at, chat.removed_at) == (None, None)


def test_an_admin_of_the_customer_can(customer: Customer, chat: Server) -> None:
    assert browser(customer, "admin").post(page(chat, "disable/")).status_code == 302
    chat.refresh_from_db()
    assert chat.disabled_at is not None


def test_anothers_server_cannot_be_touched(ada: Browser, chat: Server) -> None:
    cosmos = customers.add(name="Cosmos", offer="hpns").row
    theirs = services.server_add(customer=cosmos, name="theirs").row
    for act in ("disable/", "enable/", "remove/"):
        address = f"/c/acme/servers/{theirs.public_id}/{act}"
        assert ada.post(address, {"typed": "theirs"}).status_code == 404
        assert ada.post(page(theirs, act), {"typed": "theirs"}).status_code == 404
    theirs.refresh_from_db()
    assert (theirs.disabled_at, theirs.removed_at) == (None, None)


def test_the_keys_come_before_all_forms_and_those_are_folded(ada: Browser, chat: Server) -> None:
    text = ada.get(page(chat)).content.decode().partition("<main")[2]
    assert text.index('id="keys"') < text.index('id="identity"') < text.index('id="ids"') < text.index('id="networks"')
    for form in ("/keys/", "/site/", "/ids/", "/networks/", "/rename/"):
        before = text[: text.index(f'{form}"')]
        assert before.count("<details") > before.count("</details"), form
    wrong = ada.post(page(chat, "networks/"), {"networks": "nowhere"}).content.decode()
    assert '<details class="fold" open><summary>Change the networks' in wrong
