"""The page of a customer's settings."""

import pytest
import redis
from django.test import Client

from billing import customers
from tenants.models import AuditEvent, Customer
from tests.browsing import browser

pytestmark = pytest.mark.django_db


@pytest.fixture
def acme(valkey: redis.Redis) -> Customer:
    """Acme, with nothing yet."""
    return customers.add(name="Acme", offer="hpns").row


@pytest.fixture
def ada(acme: Customer) -> Client:
    """Ada, who owns Acme."""
    return browser(acme, "owner")


@pytest.mark.parametrize("content", Customer.Content.values)
def test_what_phones_may_show_is_chosen(ada: Client, acme: Customer, content: str) -> None:
    assert ada.post("/c/acme/settings/content/", {"content": content}).status_code == 302
    acme.refresh_from_db()
    assert acme.content == content


def test_a_content_that_is_none_changes_nothing(ada: Client, acme: Customer) -> None:
    assert ada.post("/c/acme/settings/content/", {"content": "everything"}).status_code == 200
    acme.refresh_from_db()
    assert acme.content == "as_sent"


def test_contacts_are_saved_line_by_line_and_audited(ada: Client, acme: Customer) -> None:
    ada.post("/c/acme/settings/contacts/", {"contacts": "ops@acme.example\nada@acme.example, ops@acme.example"})
    acme.refresh_from_db()
    assert acme.contacts == ["ops@acme.example", "ada@acme.example"]
    assert AuditEvent.objects.get(action="customer.contacts").details["after"] == "ops@acme.example, ada@acme.example"


def test_an_address_that_is_none_is_named(ada: Client, acme: Customer) -> None:
    text = ada.post("/c/acme/settings/contacts/", {"contacts": "ops@acme.example\nnobody"}).content.decode()
    assert "&#x27;nobody&#x27; is no e-mail address" in text
    acme.refresh_from_db()
    assert acme.contacts == []


@pytest.mark.parametrize("name", ["", "Acme\nBcc: all@example.com", "x" * 201])
def test_a_name_that_will_not_do_is_refused(ada: Client, acme: Customer, name: str) -> None:
    ada.post("/c/acme/settings/name/", {"name": name})
    acme.refresh_from_db()
    assert acme.name == "Acme"


def test_no_form_changes_what_is_not_on_it(ada: Client, acme: Customer) -> None:
    extra = {"name": "New", "slug": "other", "offer": "eas", "status": "suspended", "content": "id_only", "id": "999"}
    ada.post("/c/acme/settings/name/", extra)
    acme.refresh_from_db()
    assert (acme.name, acme.slug, acme.offer, acme.status, acme.content) == ("New", "acme", "hpns", "active", "as_sent")


@pytest.mark.parametrize("which", ["name", "content", "contacts"])
def test_a_viewer_changes_nothing(acme: Customer, which: str) -> None:
    ben = browser(acme, "viewer")
    assert "Save" not in ben.get("/c/acme/settings/").content.decode()
    assert ben.post(f"/c/acme/settings/{which}/", {which: "generic"}).status_code == 403
