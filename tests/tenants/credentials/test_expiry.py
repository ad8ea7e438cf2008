"""Whoever has a certificate that ends is told in time, once for each warning, and again when a mail was not sent."""

from datetime import datetime, timedelta

import pytest
from django.core import mail as outbox
from pytest_django import Settings

from tenants import services
from tenants.credentials import expiry, mails
from tenants.models import Credential, Customer
from tenants.providers import apple_files
from tenants.providers.base import Parsed
from tests.tenants import files
from tests.tenants.conftest import Acme
from tests.tenants.files import NOW

DAY = timedelta(days=1)


@pytest.fixture
def own(acme: Acme) -> Credential:
    """A certificate of an app of Acme's own, which has contacts; it ends 300 days from NOW."""
    services.customer_contacts(customer=acme.customer, contacts=["ada@acme.example", "ben@acme.example"])
    app = services.app_add(label="apple_own", topic="com.example.app", customer=acme.customer).row
    return services.credential_add(app=app, parsed=certificate()).row


def certificate() -> Parsed:
    """A push certificate that ends 300 days from NOW."""
    return apple_files.apple_certificate_pem(files.certificate_pem(), now=NOW)


def end(row: Credential) -> datetime:
    assert row.expires_at is not None
    return row.expires_at


@pytest.mark.parametrize(
    ("left", "days"),
    [(31 * DAY, None), (30 * DAY, 30), (15 * DAY, 30), (14 * DAY, 14), (2 * DAY, 7), (DAY, 1), (0 * DAY, 0)],
)
def test_the_warning_that_is_due_is_the_last_whose_day_has_come(left: timedelta, days: int | None) -> None:
    assert expiry.due(NOW + left, NOW) == days


def test_each_warning_comes_once_to_every_contact(own: Credential) -> None:
    warnings = []
    for hours_left in range(24 * 32, -49, -12):
        expiry.warn(end(own) - timedelta(hours=hours_left))
        warnings += [(hours_left // 24, mail.subject) for mail in outbox.outbox if mail.to == ["ada@acme.example"]]
        assert len(outbox.outbox) % 2 == 0
        outbox.outbox.clear()
    assert [left for left, _ in warnings] == [30, 14, 7, 1, 0]
    assert warnings[0][1] == "The certificate of the app apple_own expires in 30 days"
    assert warnings[3][1] == "The certificate of the app apple_own expires in 1 day"
    assert warnings[4][1] == "The certificate of the app apple_own has expired"


def test_a_warning_that_was_missed_is_not_sent_later(own: Credential) -> None:
    assert expiry.warn(end(own) - 3 * DAY) == 1
    assert expiry.warn(end(own) - 3 * DAY) == 0
    assert "expires in 3 days" in outbox.outbox[0].subject


def test_a_warning_says_what_to_do(own: Credential) -> None:
    expiry.warn(end(own) - 6 * DAY)
    text = outbox.outbox[0].body
    assert "Apple certificate abcdef of the app apple_own (com.example.app) of Acme expires on 28 Mar 2027" in text
    assert "upload it as the next one and promote it" in text


def test_what_waits_is_warned_of_in_other_words(own: Credential) -> None:
    Credential.objects.filter(pk=own.pk).update(slot="next")
    expiry.warn(end(own) - 6 * DAY)
    assert "It is the next one and signs nothing at present" in outbox.outbox[0].body


def test_keys_without_an_end_and_apps_that_are_off_are_not_warned_of(own: Credential, acme: Acme) -> None:
    own.app.enabled = False
    own.app.save()
    assert acme.credential.expires_at is None
    assert expiry.warn(end(own)) == 0


def test_a_warning_that_could_not_be_sent_is_sent_the_next_time(own: Credential, settings: Settings) -> None:
    working = settings.EMAIL_BACKEND
    settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
    settings.EMAIL_HOST, settings.EMAIL_PORT = "127.0.0.1", 1  # nobody listens there
    assert expiry.warn(end(own) - 6 * DAY) == 0
    settings.EMAIL_BACKEND = working
    assert expiry.warn(end(own) - 6 * DAY) == 1
    assert len(outbox.outbox) == 2


def test_a_shared_apps_end_is_told_to_the_operator(acme: Acme, settings: Settings) -> None:
    settings.OPERATOR_EMAIL = ["ops@push.example"]
    app = services.app_add(label="apple_shared", topic="com.example.app").row
    row = services.credential_add(app=app, parsed=certificate()).row
    assert expiry.warn(end(row) - 6 * DAY) == 1
    assert [mail.to for mail in outbox.outbox] == [["ops@push.example"]]
    assert "shared by all customers" in outbox.outbox[0].body


def test_without_contacts_the_owners_are_told(acme: Acme, django_user_model: type) -> None:
    for name, role in (("ada", "owner"), ("ben", "viewer")):
        user = django_user_model.objects.create_user(name, f"{name}@acme.example")  # type: ignore[attr-defined]
        acme.customer.memberships.create(user=user, role=role)
    assert mails.readers(acme.customer) == ["ada@acme.example"]
    assert mails.readers(Customer.objects.get(pk=acme.customer.pk)) == ["ada@acme.example"]


def test_a_name_cannot_write_into_the_head_of_an_e_mail(own: Credential, acme: Acme) -> None:
    Customer.objects.filter(pk=acme.customer.pk).update(name="Acme\r\nBcc: cleo@cosmos.example")
    expiry.warn(end(own) - 6 * DAY)
    message = outbox.outbox[0].message()
    assert message["Bcc"] is None
    assert "\n" not in outbox.outbox[0].subject
