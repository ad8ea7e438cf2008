"""Staff send an invitation again, and no page of theirs says the name of a constraint."""

import pytest
import redis
from django.core import mail
from pytest_django import Settings

from billing import customers
from tenants.models import Customer, Invitation, PushApp
from tests.browsing import Browser, staff

LIST = "/admin/tenants/invitation/"


@pytest.fixture
def somebody(db: None, valkey: redis.Redis, settings: Settings) -> Browser:
    """Somebody of the staff."""
    settings.PUBLIC_URL = "https://push.example.com"
    return Browser().enter(staff(), factor=True)


@pytest.mark.django_db(transaction=True)
def test_an_invitation_is_sent_again_from_the_list_with_a_new_link(somebody: Browser) -> None:
    made = customers.take_on(name="Acme", offer="hpns", owner_email="ada@acme.example")
    form = {"action": "send_again", "_selected_action": [made.invitation.row.pk]}
    answer = somebody.post(LIST, form, follow=True)
    assert "An invitation is on its way to ada@acme.example." in answer.content.decode()
    (sent,) = mail.outbox
    assert sent.to == ["ada@acme.example"]
    old, new = Invitation.objects.order_by("pk")
    assert old.withdrawn_at is not None
    assert (new.role, new.withdrawn_at) == ("owner", None)
    assert made.invitation.link not in sent.body
    answer = somebody.post(LIST, {**form, "_selected_action": [old.pk]}, follow=True)
    assert "it was accepted or withdrawn" in answer.content.decode()
    assert len(mail.outbox) == 1


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"label": "apple_rn", "family": "apns", "topic": "com.x", "host": ""}, ""),
        ({"label": "apple-v2", "family": "apns", "topic": "com.x", "host": "production"}, "without -v in it"),
        ({"label": "android_rn", "family": "fcm", "topic": "com.x", "host": "production"}, "leave the host out"),
    ],
)
def test_an_app_is_added_or_refused_in_plain_words(somebody: Browser, fields: dict[str, str], said: str) -> None:
    answer = somebody.post("/admin/tenants/pushapp/add/", {**fields, "enabled": "on"}, follow=True)
    text = answer.content.decode()
    assert "is violated" not in text
    assert said in text.lower()
    assert PushApp.objects.exists() == (not said)


def test_a_rate_without_a_burst_is_refused_in_plain_words(somebody: Browser) -> None:
    customer = customers.add(name="Acme", offer="hpns").row
    form = {
        "name": "Acme", "offer": "hpns", "content": "as_sent", "contacts": "",
        "entitlement-TOTAL_FORMS": "1", "entitlement-INITIAL_FORMS": "1",
        "entitlement-0-id": customer.entitlement.pk, "entitlement-0-customer": customer.pk, "entitlement-0-rate": "7",
    }  # fmt: skip
    text = somebody.post(f"/admin/tenants/customer/{customer.pk}/change/", form).content.decode()
    assert "set rate and burst both, or neither" in text.lower()
    assert "is violated" not in text


def test_the_page_of_a_customer_says_who_asked_for_its_erasure_and_what_to_do(somebody: Browser) -> None:
    customer = customers.add(name="Acme", offer="hpns").row
    address = f"/admin/tenants/customer/{customer.pk}/change/"
    assert "customer erase" not in somebody.get(address).content.decode()
    customers.request_erasure(customer=customer)
    assert "customer erase --slug acme" in somebody.get(address).content.decode()
    customers.resume(customer=Customer.objects.get(pk=customer.pk))
    assert "customer erase" not in somebody.get(address).content.decode()
