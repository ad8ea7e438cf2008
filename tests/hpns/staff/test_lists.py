"""The admin's lists: what staff look for is found by what pages show of it, and each object has its audit log."""

import logging
from typing import Any

import pytest
from django.utils import timezone

from billing import customers
from billing.models import UsageLimit
from tenants import services
from tenants.models import Customer, Server, ServerKey
from tests.browsing import Browser, staff
from tests.delivery.admin.test_deliveries import write
from tests.staff_cast import of_role

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("valkey")]
PUSHES = "/admin/delivery/delivery/"


@pytest.fixture
def sam() -> Browser:
    """Somebody of the staff, with a second factor shown."""
    return Browser().enter(staff(), factor=True)


@pytest.fixture
def acme() -> Customer:
    return customers.add(name="Acme", offer="eas").row


@pytest.fixture
def chat(acme: Customer) -> Server:
    return services.server_add(customer=acme, name="chat.acme").row


def found(sam: Browser, **query: str) -> list[str]:
    """The trace ids of a list of pushes."""
    answer = sam.get(PUSHES, query)
    assert answer.status_code == 200
    return [row.trace for row in answer.context["cl"].result_list]


def test_pushes_are_found_by_customer_and_by_server(sam: Browser, acme: Customer, chat: Server) -> None:
    other = services.server_add(customer=acme, name="talk.acme").row
    cosmos = services.server_add(customer=customers.add(name="Cosmos", offer="eas").row, name="chat.cosmos").row
    write(chat, "a")
    write(other, "b", age=50, ack_id="b")
    write(cosmos, "c", age=40, ack_id="c")
    write(chat, "old", age=30 * 3600, ack_id="old")
    assert found(sam, q="Acme") == ["b", "a"]
    assert found(sam, q="acme") == ["b", "a"]
    assert found(sam, q="chat.acme") == ["a"]
    assert found(sam, q="chat.") == ["c", "a"]
    assert found(sam, q="nobody") == []
    assert found(sam, customer="cosmos") == ["c"]
    assert found(sam, customer="COSMOS ", code="apns_unknown") == ["c"]
    assert found(sam, customer="nobody") == []
    assert found(sam, q="b", customer="acme") == ["b"]


def test_numbers_are_read_as_on_all_other_pages(sam: Browser, acme: Customer) -> None:
    now = timezone.now()
    UsageLimit.objects.create(customer=acme, month=now.date().replace(day=1), began_at=now, rate=1200, burst=12480)
    text = sam.get("/admin/billing/usagelimit/").content.decode()
    assert '<td class="field-rate">1,200</td>' in text
    assert '<td class="field-burst">12,480</td>' in text
    assert sam.get("/admin/billing/usagelimit/?o=-3").status_code == 200, "they can be sorted by it"
    Server.objects.bulk_create(Server(customer=acme, name=f"chat-{number}.acme") for number in range(1_001))
    assert "\n1,001 servers\n" in sam.get("/admin/tenants/server/").content.decode()


def test_a_key_is_found_as_pages_show_it(sam: Browser, chat: Server) -> None:
    key = services.key_add(server=chat).row
    for shown in (str(key), f"hk_{key.prefix}", key.prefix, f"hk_{key.prefix}_{'x' * 32}"):
        page = sam.get("/admin/tenants/serverkey/", {"q": shown}).content.decode()
        assert f"/serverkey/{key.pk}/change/" in page, shown
        page = sam.get("/admin/tenants/customer/", {"q": shown}).content.decode()
        assert f"/customer/{chat.customer_id}/change/" in page, shown
    assert not ServerKey.objects.exclude(pk=key.pk).exists()
    write(chat, "a")
    assert found(sam, q=f"hk_{key.prefix}_...") == []


@pytest.mark.parametrize(
    "address",
    ["/admin/delivery/delivery/?customer__slug=acme", "/admin/tenants/serverkey/?digest__startswith=a"],
)
def test_an_address_that_narrows_down_by_what_no_list_takes_is_a_page_and_a_line_without_traceback(
    sam: Browser, address: str, caplog: Any
) -> None:
    answer = sam.get(address)
    assert answer.status_code == 400
    assert "This request cannot be read" in answer.content.decode()
    lines = [each for each in caplog.records if not each.name.startswith("django")]
    assert [each.exc_info for each in lines] == [None]
    assert "does not take" in lines[0].getMessage()
    assert logging.getLogger("django.security.DisallowedModelAdminLookup").getEffectiveLevel() == logging.CRITICAL


def test_the_history_of_an_object_is_its_audit_log(sam: Browser, acme: Customer, chat: Server) -> None:
    key = services.key_add(server=chat).row
    services.server_networks(server=chat, networks=["192.0.2.0/24"])
    customers.suspend(customer=acme, reason="unpaid since May")
    text = sam.get(f"/admin/tenants/customer/{acme.pk}/history/").content.decode()
    for words in ("Took the customer on", "Suspended the customer", "reason: unpaid since May", "Made a key"):
        assert words in text
    text = sam.get(f"/admin/tenants/server/{chat.pk}/history/").content.decode()
    assert "Changed where a server may push from" in text
    assert "Made a key" not in text
    assert "Made a key" in sam.get(f"/admin/tenants/serverkey/{key.pk}/history/").content.decode()
    assert "any single object" not in text


def test_the_first_page_has_no_list_of_acts_beside_the_audit_log(sam: Browser) -> None:
    text = sam.get("/admin/").content.decode()
    assert "Recent actions" not in text
    assert 'href="/admin/tenants/auditevent/"' in text


def test_a_history_tells_nobody_what_their_role_does_not_include(acme: Customer, chat: Server) -> None:
    services.key_add(server=chat)
    text = of_role("finance").get(f"/admin/tenants/customer/{acme.pk}/history/").content.decode()
    assert "Took the customer on" in text
    assert "Made a key" not in text


def test_outcome_and_code_and_the_way_to_a_customers_pages_stand_at_the_left(
    sam: Browser, acme: Customer, chat: Server
) -> None:
    write(chat, "a")
    page = sam.get(PUSHES)
    assert list(page.context["cl"].list_display[:4]) == ["when", "outcome", "code", "customer"]
    text = page.content.decode()
    assert text.count('<option value="') > 50
    assert 'href="?code=' not in text
    assert sam.get("/admin/tenants/customer/").context["cl"].list_display[1:4] == ["name", "slug", "pages"]


def test_limits_say_their_unit(sam: Browser, acme: Customer) -> None:
    text = sam.get(f"/admin/tenants/customer/{acme.pk}/change/").content.decode()
    for unit in ("(pushes a second)", "(pushes at once)", "(pushes waiting at a time)"):
        assert text.count(unit) >= 2
    assert "rate (pushes/s)" in sam.get("/admin/tenants/entitlement/").content.decode().lower()


def test_the_admin_writes_a_moment_as_all_pages_do(sam: Browser, acme: Customer) -> None:
    Customer.objects.update(created_at="2026-11-30T14:36:18Z")
    text = sam.get("/admin/tenants/customer/").content.decode()
    assert "30 Nov 2026, 14:36" in text
    assert "p.m." not in text


def test_groups_are_in_no_list(sam: Browser) -> None:
    text = sam.get("/admin/").content.decode()
    assert "/auth/group/" not in text
    assert sam.get("/admin/auth/group/").status_code == 404
