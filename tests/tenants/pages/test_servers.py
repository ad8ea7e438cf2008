"""The pages for servers and keys: what people see, and what they can and cannot do there."""

import re
from datetime import datetime, timedelta

import pytest
from django.test import Client
from django.utils import timezone
from pytest_django import Settings

from billing import customers
from tenants import keys, services
from tenants.models import AuditEvent, Customer, Role, Server, ServerId, ServerKey, Sighting
from tests.browsing import Browser, browser, member

pytestmark = pytest.mark.django_db


@pytest.fixture
def chat(customer: Customer) -> Server:
    """Acme's server."""
    return services.server_add(customer=customer, name="chat.acme.example").row


def page(server: Server, *more: str) -> str:
    """The address of a server's page, or of one below it."""
    return "/".join([f"/c/{server.customer.slug}/servers/{server.public_id}", *more]) + "/"


def test_a_customer_without_servers_is_told_what_to_do(ada: Client) -> None:
    text = ada.get("/c/acme/servers/").content.decode()
    assert "gets a key of its own" in text
    assert "Add server" in text


def test_a_server_is_added_and_leads_to_its_first_key(ada: Client, customer: Customer) -> None:
    answer = ada.post("/c/acme/servers/", {"name": "  chat.acme.example "}, follow=True)
    row = Server.objects.get(customer=customer)
    assert row.name == "chat.acme.example"
    assert answer.redirect_chain == [(page(row), 302)]
    assert "now make its first key" in answer.content.decode().lower()


@pytest.mark.parametrize(("name", "why"), [("", "required"), ("chat.acme.example", "of this name already")])
def test_a_name_that_will_not_do_is_said_at_the_form_and_kept(ada: Client, chat: Server, name: str, why: str) -> None:
    answer = ada.post("/c/acme/servers/", {"name": name})
    assert answer.status_code == 200
    assert why in answer.content.decode()
    assert Server.objects.count() == 1


def test_a_key_is_shown_once_with_every_way_to_enter_it(ada: Client, chat: Server, settings: Settings) -> None:
    settings.PUBLIC_URL = "https://push.example.com"
    answer = ada.post(page(chat, "keys"), {"key_name": "production", "lifetime": "90"})
    row = ServerKey.objects.get()
    text = answer.content.decode()
    url = f"https://push.example.com/t/hk_{row.prefix}_"
    assert url in text
    key = text[text.index(url) + len("https://push.example.com/t/") :][: keys.LENGTH]
    assert keys.digest(key, settings.HASH_KEY) == bytes(row.digest)
    assert f"mmctl config set EmailSettings.PushNotificationServer &#x27;https://push.example.com/t/{key}&#x27;" in text
    assert f"MM_EMAILSETTINGS_PUSHNOTIFICATIONSERVER=https://push.example.com/t/{key}" in text
    assert f"https://mattermost:{key}@push.example.com" in text
    assert "no-store" in answer["Cache-Control"]
    assert row.name == "production"
    assert row.expires_at is not None
    assert timedelta(days=89) < row.expires_at - timezone.now() < timedelta(days=91)
    assert key not in ada.get(page(chat)).content.decode()


def test_a_key_is_revoked_only_after_its_prefix_was_typed(ada: Client, chat: Server) -> None:
    row = services.key_add(server=chat).row
    where = page(chat, "keys", row.prefix, "revoke")
    assert "cannot be undone" in ada.get(where).content.decode()
    assert f"This is not {row.prefix}" in ada.post(where, {"typed": "yes"}).content.decode()
    row.refresh_from_db()
    assert row.revoked_at is None
    assert ada.post(where, {"typed": row.prefix}).status_code == 302
    row.refresh_from_db()
    assert row.revoked_at is not None
    event = AuditEvent.objects.get(action="key.revoke")
    assert (event.actor, event.customer_id) == ("owner@acme.example", chat.customer_id)


def test_a_second_server_id_of_a_key_is_shown_as_a_clone_or_a_leak(ada: Client, chat: Server) -> None:
    row = services.key_add(server=chat).row
    now = timezone.now()
    Sighting.objects.create(key=row, mattermost_id="one" * 8, first_at=now, last_at=now)
    assert "more than one server ID" not in ada.get(page(chat)).content.decode()
    Sighting.objects.create(key=row, mattermost_id="two" * 8, first_at=now, last_at=now)
    text = ada.get(page(chat)).content.decode()
    assert "more than one server ID" in text
    assert "two" * 8 in text


def test_the_first_push_turns_the_line_green_and_ends_the_asking(ada: Client, chat: Server) -> None:
    row = services.key_add(server=chat).row
    before = ada.get(page(chat, "arrived")).content.decode()
    assert "No push has arrived yet" in before
    assert "hx-get" in before
    ServerKey.objects.filter(pk=row.pk).update(last_used_at=timezone.now())
    after = ada.get(page(chat, "arrived")).content.decode()
    assert "Pushes have come in" in after
    assert "hx-get" not in after


@pytest.mark.parametrize("end", [{"revoked_at": timezone.now()}, {"expires_at": timezone.now()}])
def test_the_line_is_green_no_more_when_no_key_is_in_use_and_says_what_to_do(
    ada: Client, chat: Server, customer: Customer, end: dict[str, datetime]
) -> None:
    services.key_add(server=chat)
    ServerKey.objects.update(last_used_at=timezone.now(), **end)
    text = ada.get(page(chat, "arrived")).content.decode()
    assert "No key in use" in text
    assert "Make a key and enter it in Mattermost." in text
    assert "Pushes have come in" not in text
    assert "hx-get" not in text
    assert (
        "An owner or an admin makes a new one"
        in browser(customer, "viewer").get(page(chat, "arrived")).content.decode()
    )


def test_a_new_key_after_one_that_was_revoked_waits_for_its_own_first_push(ada: Client, chat: Server) -> None:
    services.key_add(server=chat)
    ServerKey.objects.update(last_used_at=timezone.now(), revoked_at=timezone.now())
    new = services.key_add(server=chat).row
    text = ada.get(page(chat, "arrived")).content.decode()
    assert "No push has arrived with a key in use" in text
    assert "hx-get" in text
    ServerKey.objects.filter(pk=new.pk).update(last_used_at=timezone.now())
    assert "Pushes have come in" in ada.get(page(chat, "arrived")).content.decode()


def test_a_server_without_any_key_is_led_to_its_first(ada: Client, chat: Server) -> None:
    text = ada.get(page(chat, "arrived")).content.decode()
    assert "Make the first key and enter it in Mattermost." in text
    assert "hx-get" not in text


def test_networks_are_saved_line_by_line(ada: Client, chat: Server) -> None:
    ada.post(page(chat, "networks"), {"networks": "192.0.2.0/24\n2001:db8::1\n\n"})
    chat.refresh_from_db()
    assert chat.networks == ["192.0.2.0/24", "2001:db8::1/128"]


@pytest.mark.parametrize("typed", ["192.0.2.1/24", "everywhere", "0.0.0.0/0"])
def test_networks_that_are_none_are_named_and_nothing_is_saved(ada: Client, chat: Server, typed: str) -> None:
    answer = ada.post(page(chat, "networks"), {"networks": f"192.0.2.0/24\n{typed}"})
    assert answer.status_code == 200
    assert "/0 is everywhere" in answer.content.decode() or typed in answer.content.decode()
    chat.refresh_from_db()
    assert chat.networks == []


@pytest.mark.parametrize("confirmed", [False, True])
def test_a_server_id_that_another_customer_has_can_be_registered_and_neither_learns_of_the_other(
    ada: Client, chat: Server, confirmed: bool
) -> None:
    cosmos = services.server_add(customer=customers.add(name="Cosmos", offer="hpns").row, name="c").row
    services.server_id_add(server=cosmos, mattermost_id="a" * 26, confirmed=confirmed)
    cleo = Browser().enter(member("cleo", cosmos.customer, Role.OWNER))
    before = without_token(cleo.get(page(cosmos)).content.decode())
    answer = ada.post(page(chat, "ids"), {"mattermost_id": "a" * 26}, follow=True)
    text = answer.content.decode()
    assert "Waits for the operator" in text
    assert "Cosmos" not in text
    assert ServerId.objects.get(server=chat).confirmed_at is None
    assert without_token(cleo.get(page(cosmos)).content.decode()) == before


def without_token(text: str) -> str:
    """A page without what is new each time it is made."""
    return re.sub(r'name="csrfmiddlewaretoken" value="[^"]*"', "", text)


def test_a_server_id_waits_until_the_operator_confirms_it_and_the_page_says_what_that_means(
    ada: Client, chat: Server
) -> None:
    ada.post(page(chat, "ids"), {"mattermost_id": "a" * 26})
    text = ada.get(page(chat)).content.decode()
    assert "Waits for the operator" in text
    assert "a push without a key does not count as this server" in text
    assert "Confirmed" not in text
    services.server_id_confirm(server_id=ServerId.objects.get())
    text = ada.get(page(chat)).content.decode()
    assert "Confirmed" in text
    assert "Waits for the operator" not in text


def test_what_is_another_customers_is_not_found(ada: Client, chat: Server) -> None:
    cosmos = services.server_add(customer=customers.add(name="Cosmos", offer="hpns").row, name="c").row
    key = services.key_add(server=cosmos).row
    known = services.server_id_add(server=cosmos, mattermost_id="a" * 26).row
    strange = f"/c/acme/servers/{cosmos.public_id}/"
    for where in (strange, f"{strange}arrived/"):
        assert ada.get(where).status_code == 404
    for where in ("rename/", "networks/", "ids/", "keys/", f"ids/{known.pk}/remove/", f"keys/{key.prefix}/revoke/"):
        assert ada.post(f"{strange}{where}", {"typed": key.prefix, "name": "mine"}).status_code == 404
    assert ada.post(page(chat, "keys", key.prefix, "revoke"), {"typed": key.prefix}).status_code == 404
    assert ada.post(page(chat, "ids", str(known.pk), "remove")).status_code == 404
    key.refresh_from_db()
    assert key.revoked_at is None


def test_a_viewer_sees_no_form_and_can_change_nothing(customer: Customer, chat: Server) -> None:
    ben = browser(customer, "viewer")
    row = services.key_add(server=chat).row
    text = ben.get(page(chat)).content.decode()
    assert row.prefix in text
    assert "Make key" not in text
    assert "Revoke" not in text
    assert ben.post(page(chat, "keys")).status_code == 403
    assert ben.post("/c/acme/servers/", {"name": "x"}).status_code == 403
    assert ServerKey.objects.count() == 1


def test_names_are_shown_as_text_and_never_run(ada: Client, customer: Customer) -> None:
    evil = "<script>alert(1)</script>"
    row = services.server_add(customer=customer, name=evil).row
    services.key_add(server=row, name=evil)
    for where in ("/c/acme/servers/", page(row)):
        text = ada.get(where).content.decode()
        assert evil not in text
        assert "&lt;script&gt;alert(1)" in text
