"""The staff sees every row and no secret, and what it changes is told."""

from datetime import UTC, datetime

import pytest
import redis
from django.test import Client

from billing import customers
from tenants import services
from tenants.audit import recording
from tenants.directory import version_stamp
from tenants.models import AuditEvent, ServerId, Sighting
from tests import people
from tests.tenants.conftest import Acme

PAGES = ("customer", "entitlement", "server", "serverid", "serverkey", "pushapp", "credential", "auditevent")


@pytest.fixture
def staff(db: None) -> Client:
    return people.staff_browser()


def rows(acme: Acme) -> dict[str, int]:
    return {
        "customer": acme.customer.pk,
        "entitlement": acme.customer.entitlement.pk,
        "server": acme.server.pk,
        "serverid": services.server_id_add(server=acme.server, mattermost_id="registered").row.pk,
        "serverkey": acme.key.pk,
        "pushapp": acme.app.pk,
        "credential": acme.credential.pk,
        "auditevent": AuditEvent.objects.filter(action="key.add").latest("pk").pk,
    }


@pytest.mark.parametrize("page", PAGES)
def test_every_page_opens_searches_and_shows_no_secret(acme: Acme, staff: Client, page: str) -> None:
    row = rows(acme)[page]
    for path in (f"{page}/", f"{page}/?q=acme", f"{page}/{row}/change/"):
        answer = staff.get(f"/admin/tenants/{path}")
        assert answer.status_code == 200, path
        text = answer.content.decode()
        assert acme.credential.sealed[:40] not in text
        assert bytes(acme.key.digest).hex() not in text
        assert "v1:" not in text


def test_a_filter_by_what_may_be_empty_says_in_words_what_it_means(acme: Acme, staff: Client) -> None:
    text = staff.get("/admin/tenants/serverkey/?revoked_at__isempty=1&_facets=True").content.decode()
    assert "In use (1)" in text
    assert "Revoked (0)" in text
    for page in ("credential", "pushapp", "finding", "proof", "auditevent"):
        assert "Not empty" not in staff.get(f"/admin/tenants/{page}/").content.decode()


@pytest.mark.parametrize("page", ["serverid", "serverkey", "credential", "entitlement", "auditevent"])
def test_ids_keys_credentials_entitlements_and_events_cannot_be_made_or_changed_by_form(
    acme: Acme, staff: Client, page: str
) -> None:
    assert staff.get(f"/admin/tenants/{page}/add/").status_code == 403
    assert staff.post(f"/admin/tenants/{page}/{rows(acme)[page]}/change/", {"sealed": "v1:x"}).status_code == 403


@pytest.mark.parametrize("page", PAGES)
def test_nothing_can_be_deleted(acme: Acme, staff: Client, page: str) -> None:
    assert staff.post(f"/admin/tenants/{page}/{rows(acme)[page]}/delete/", {"post": "yes"}).status_code == 403


@pytest.mark.django_db(transaction=True)
def test_an_app_can_be_disabled_and_keeps_its_label(acme: Acme, staff: Client, valkey: redis.Redis) -> None:
    before = version_stamp.current(valkey)
    answer = staff.post(f"/admin/tenants/pushapp/{acme.app.pk}/change/", {"label": "apple_x", "topic": "com.x"})
    assert answer.status_code == 302
    acme.app.refresh_from_db()
    assert (acme.app.enabled, acme.app.label, acme.app.topic) == (False, "apple_rn", "com.mattermost.rn")
    assert version_stamp.current(valkey) > before


def test_keys_are_revoked_by_an_action_that_needs_the_right_to_it(acme: Acme, staff: Client) -> None:
    order = {"action": "revoke", "_selected_action": [acme.key.pk]}
    reader = people.person("reader", staff=True)
    reader.is_superuser = False
    reader.save()
    reader.user_permissions.add(*reader.user_permissions.model.objects.filter(codename="view_serverkey"))
    other = people.browser(reader, second_factor=True)
    other.post("/admin/tenants/serverkey/", order)
    acme.key.refresh_from_db()
    assert acme.key.revoked_at is None
    assert staff.post("/admin/tenants/serverkey/", order).status_code == 302
    acme.key.refresh_from_db()
    assert acme.key.revoked_at is not None


def test_server_ids_are_confirmed_by_an_action_that_needs_the_right_to_it(acme: Acme, staff: Client) -> None:
    row = services.server_id_add(server=acme.server, mattermost_id="typed").row
    order = {"action": "confirm", "_selected_action": [row.pk]}
    reader = people.person("reader", staff=True)
    reader.is_superuser = False
    reader.save()
    reader.user_permissions.add(*reader.user_permissions.model.objects.filter(codename="view_serverid"))
    people.browser(reader, second_factor=True).post("/admin/tenants/serverid/", order)
    row.refresh_from_db()
    assert row.confirmed_at is None
    answer = staff.post("/admin/tenants/serverid/", order, follow=True)
    assert "1 server_id was confirmed." in answer.content.decode()
    row.refresh_from_db()
    assert row.confirmed_at is not None
    event = AuditEvent.objects.get(action="server_id.confirm")
    assert (event.actor_kind, event.actor, event.customer_id) == ("staff", "staff@example.com", acme.customer.pk)


def test_one_server_id_that_cannot_be_confirmed_keeps_no_other_from_it(acme: Acme, staff: Client) -> None:
    cosmos = services.server_add(customer=customers.add(name="Cosmos", offer="hpns").row, name="chat").row
    services.server_id_add(server=cosmos, mattermost_id="theirs", confirmed=True)
    ids = [services.server_id_add(server=acme.server, mattermost_id=each).row.pk for each in ("theirs", "own")]
    order = {"action": "confirm", "_selected_action": ids}
    text = staff.post("/admin/tenants/serverid/", order, follow=True).content.decode()
    assert "The server_id theirs is confirmed for chat of cosmos already" in text
    confirmed = ServerId.objects.filter(server=acme.server, confirmed_at__isnull=False)
    assert [row.mattermost_id for row in confirmed] == ["own"]


def test_server_ids_that_wait_are_found_with_the_keys_that_came_with_them(acme: Acme, staff: Client) -> None:
    services.server_id_add(server=acme.server, mattermost_id="certain", confirmed=True)
    services.server_id_add(server=acme.server, mattermost_id="typed")
    at = datetime(2026, 1, 2, 3, 4, tzinfo=UTC)
    text = staff.get("/admin/tenants/serverid/?state=waiting").content.decode()
    assert "typed" in text
    assert "certain" not in text
    assert '<td class="field-seen">never</td>' in text
    Sighting.objects.create(key=acme.key, mattermost_id="typed", first_at=at, last_at=at)
    text = staff.get("/admin/tenants/serverid/?state=waiting&q=acme").content.decode()
    assert '<td class="field-seen">2026-01-02</td>' in text
    assert '<td class="field-seen_elsewhere">never</td>' in text
    text = staff.get("/admin/tenants/serverid/?state=confirmed").content.decode()
    assert "certain" in text
    assert "typed" not in text


@pytest.mark.parametrize(
    "lookup",
    [
        "auth/user/?password__startswith=pbkdf2",
        "tenants/serverkey/?digest__isnull=False",
        "tenants/credential/?sealed__startswith=v1",
        "tenants/invitation/?digest__isnull=False",
    ],
)
def test_no_list_can_be_asked_for_a_secret_letter_by_letter(acme: Acme, staff: Client, lookup: str) -> None:
    assert staff.get(f"/admin/{lookup}").status_code == 400
    assert staff.get("/admin/auth/user/?email__startswith=staff").status_code == 200


def test_what_staff_change_of_servers_and_apps_is_in_the_customers_audit_log(acme: Acme, staff: Client) -> None:
    staff.post(f"/admin/tenants/server/{acme.server.pk}/change/", {"name": "other", "networks": "192.0.2.0/24"})
    staff.post(f"/admin/tenants/pushapp/{acme.app.pk}/change/", {"is_default": ""})
    staff.post("/admin/tenants/server/add/", {"name": "new", "customer": acme.customer.pk, "networks": ""})
    found = AuditEvent.objects.filter(actor="staff@example.com").order_by("pk").values_list("action", flat=True)
    assert list(found) == ["server.rename", "server.networks", "app.disable", "server.add"]


@pytest.mark.parametrize(("name", "networks"), [("other", "garbage"), ("other", "0.0.0.0/0"), ("two\nlines", "")])
def test_what_no_customer_could_save_of_a_server_staff_cannot_either(
    acme: Acme, staff: Client, name: str, networks: str
) -> None:
    """Such a network would end every push of the server in an error."""
    path = f"/admin/tenants/server/{acme.server.pk}/change/"
    assert staff.post(path, {"name": name, "networks": networks}).status_code == 200
    before = acme.server.name
    acme.server.refresh_from_db()
    assert (acme.server.name, acme.server.networks) == (before, [])


def test_staff_read_in_words_what_was_done_by_anybody_and_narrow_it_down(acme: Acme, staff: Client) -> None:
    recording.record("account.log_in", customer=None, target="ada@example.com")
    recording.record("customer.erase", customer=999_999, target="Cosmos")
    text = staff.get("/admin/tenants/auditevent/").content.decode()
    for description in ("Made a key", ">acme<", "Logged in", "Erased the customer", "erased: 999999"):
        assert description in text.partition("<tbody>")[2], description
    narrowed = staff.get("/admin/tenants/auditevent/?action=account.log_in").content.decode()
    narrowed = narrowed.partition("<tbody>")[2].partition("</tbody>")[0]
    assert "ada@example.com" in narrowed
    assert "Made a key" not in narrowed
