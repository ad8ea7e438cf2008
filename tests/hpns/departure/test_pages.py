"""An owner asks for the erasure of the customer: it is suspended, the operator is told, and nothing is erased yet."""

import pytest
from django.core import mail
from django.test import Client
from pytest_django import DjangoCaptureOnCommitCallbacks, Settings

from billing import customers
from tenants.models import AuditEvent, Customer
from tests.browsing import browser

pytestmark = pytest.mark.django_db
ADDRESS = "/c/acme/settings/erase/"


@pytest.fixture(autouse=True)
def operator(settings: Settings) -> None:
    """An operator who reads e-mail."""
    settings.OPERATOR_EMAIL = ["ops@push.example.com"]
    settings.SUPPORT_CONTACT = "support@push.example.com"


@pytest.mark.parametrize("slug", ["", "Acme", "cosmos", "acme2"])
def test_without_the_slug_nothing_is_done(ada: Client, customer: Customer, slug: str) -> None:
    text = ada.post(ADDRESS, {"typed": slug}).content.decode()
    assert "This is not acme. Nothing was changed." in text or not slug
    customer.refresh_from_db()
    assert customer.status == "active"
    assert not AuditEvent.objects.filter(action="erasure.ask").exists()


def test_the_customer_is_suspended_and_the_operator_told_once(
    ada: Client, customer: Customer, django_capture_on_commit_callbacks: DjangoCaptureOnCommitCallbacks
) -> None:
    for _ in range(2):
        with django_capture_on_commit_callbacks(execute=True):
            assert ada.post(ADDRESS, {"typed": " acme "}).status_code == 302
    customer.refresh_from_db()
    assert customer.status == "suspended"
    event = AuditEvent.objects.get(action="erasure.ask")
    assert (event.actor, event.customer_id) == ("owner@acme.example", customer.pk)
    assert AuditEvent.objects.get(action="customer.suspend").details == {"reason": "an owner asked for its erasure"}
    (letter,) = mail.outbox
    assert (letter.to, letter.subject) == (["ops@push.example.com"], "Acme asks to be erased")
    assert "owner@acme.example, an owner of Acme" in letter.body
    assert "manage.py customer erase --slug acme --yes-erase acme" in letter.body
    text = ada.get(ADDRESS).content.decode()
    assert "by owner@acme.example. Pushes of Acme are refused" in text
    assert "support@push.example.com" in text
    assert 'name="typed"' not in text


@pytest.mark.django_db(transaction=True)  # what is done after the commit is told on the next page
def test_an_operator_who_cannot_be_told_is_named(ada: Client, settings: Settings) -> None:
    settings.OPERATOR_EMAIL = []
    ada.post(ADDRESS, {"typed": "acme"})
    assert "could not be told by e-mail: write to support@push.example.com" in ada.get(ADDRESS).content.decode()
    assert AuditEvent.objects.filter(action="erasure.ask").exists()


def test_a_customer_that_was_resumed_can_ask_again(ada: Client, customer: Customer) -> None:
    ada.post(ADDRESS, {"typed": "acme"})
    customers.resume(customer=customer)
    assert 'name="typed"' in ada.get(ADDRESS).content.decode()
    ada.post(ADDRESS, {"typed": "acme"})
    customer.refresh_from_db()
    assert customer.status == "suspended"
    assert AuditEvent.objects.filter(action="erasure.ask").count() == 2


def test_a_customer_that_the_operator_suspended_may_ask_too(ada: Client, customer: Customer) -> None:
    customers.suspend(customer=customer, reason="unpaid")
    ada.post(ADDRESS, {"typed": "acme"})
    assert AuditEvent.objects.filter(action="erasure.ask").count() == 1
    assert AuditEvent.objects.get(action="customer.suspend").details == {"reason": "unpaid"}


@pytest.mark.parametrize("role", ["viewer", "admin"])
def test_owners_alone_ask_and_see_the_way_there(customer: Customer, role: str) -> None:
    somebody = browser(customer, role)
    assert somebody.post(ADDRESS, {"typed": "acme"}).status_code == 403
    assert ADDRESS not in somebody.get("/c/acme/settings/").content.decode()
    customer.refresh_from_db()
    assert customer.status == "active"


def test_an_owner_finds_both_ways_in_the_settings(ada: Client) -> None:
    text = ada.get("/c/acme/settings/").content.decode()
    assert ADDRESS in text
    assert "/c/acme/settings/export/" in text
