"""The page of a customer's settings."""

import pytest
from django.test import Client

from tenants.models import AuditEvent, Customer
from tests.browsing import browser

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize("content", Customer.Content.values)
def test_what_phones_may_show_is_chosen(ada: Client, customer: Customer, content: str) -> None:
    assert ada.post("/c/acme/settings/content/", {"content": content}).status_code == 302
    customer.refresh_from_db()
    assert customer.content == content


def test_a_content_that_is_none_changes_nothing(ada: Client, customer: Customer) -> None:
    assert ada.post("/c/acme/settings/content/", {"content": "everything"}).status_code == 200
    customer.refresh_from_db()
    assert customer.content == "as_sent"


def test_contacts_are_saved_line_by_line_and_audited(ada: Client, customer: Customer) -> None:
    ada.post("/c/acme/settings/contacts/", {"contacts": "ops@acme.example\nada@acme.example, ops@acme.example"})
    customer.refresh_from_db()
    assert customer.contacts == ["ops@acme.example", "ada@acme.example"]
    assert AuditEvent.objects.get(action="customer.contacts").details["after"] == "ops@acme.example, ada@acme.example"


def test_an_address_that_is_none_is_named(ada: Client, customer: Customer) -> None:
    text = ada.post("/c/acme/settings/contacts/", {"contacts": "ops@acme.example\nnobody"}).content.decode()
    assert "&#x27;nobody&#x27; is no e-mail address" in text
    customer.refresh_from_db()
    assert customer.contacts == []


@pytest.mark.parametrize("name", ["", "Acme\nBcc: all@example.com", "x" * 201])
def test_a_name_that_will_not_do_is_refused(ada: Client, customer: Customer, name: str) -> None:
    ada.post("/c/acme/settings/name/", {"name": name})
    customer.refresh_from_db()
    assert customer.name == "Acme"


def test_no_form_changes_what_is_not_on_it(ada: Client, customer: Customer) -> None:
    extra = {"name": "New", "slug": "other", "offer": "hpns", "status": "suspended", "content": "id_only", "id": "999"}
    ada.post("/c/acme/settings/name/", extra)
    customer.refresh_from_db()
    assert (customer.name, customer.slug, customer.offer, customer.status, customer.content) == (
        "New",
        "acme",
        "eas",
        "active",
        "as_sent",
    )


@pytest.mark.parametrize("which", ["name", "content", "contacts"])
def test_a_viewer_changes_nothing(customer: Customer, which: str) -> None:
    ben = browser(customer, "viewer")
    assert "Save" not in ben.get("/c/acme/settings/").content.decode()
    assert ben.post(f"/c/acme/settings/{which}/", {which: "generic"}).status_code == 403
