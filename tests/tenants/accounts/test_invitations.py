"""Invitations: by e-mail, good once and for a week, for one address, and as far as the inviter's own right."""

import re
from smtplib import SMTPServerDisconnected
from typing import Any

import pytest
from django.core import mail
from django.core.mail.backends.locmem import EmailBackend
from django.db import connection
from django.test import Client
from pytest_django import Settings

from tenants import services
from tenants.models import AuditEvent, Invitation, Membership
from tenants.problem import ProblemError
from tenants.services import invitation_tokens
from tests.people import browser
from tests.tenants.accounts.conftest import Cast

NEW = "dora@example.com"


class Broken(EmailBackend):
    """A mail server that hangs up."""

    def send_messages(self, messages: Any) -> int:
        raise SMTPServerDisconnected("please run connect() first")


BROKEN = f"{__name__}.Broken"


def invite(cast: Cast, email: str = NEW, role: str = "viewer") -> services.NewInvitation:
    made = services.invitation_add(customer=cast.acme, email=email, role=role, by=cast.member(cast.ada))
    services.invitation_send(made=made)
    return made


def path(made: services.NewInvitation) -> str:
    return made.link.removeprefix("https://push.example.com")


def test_the_email_has_the_link_and_the_database_has_not(cast: Cast) -> None:
    made = invite(cast)
    (sent,) = mail.outbox
    assert sent.to == [NEW]
    assert made.link in sent.body
    assert "ada@example.com invites you to Acme as a viewer" in sent.body
    token = path(made).split("/")[2]
    assert len(token) == 43
    with connection.cursor() as cursor:
        cursor.execute("SELECT i::text FROM tenants_invitation i UNION ALL SELECT e::text FROM tenants_auditevent e")
        kept = " ".join(row[0] for row in cursor.fetchall())
    assert NEW in kept
    assert token not in kept


def test_looking_at_the_link_does_not_use_it_up_and_keeps_it_to_us(cast: Cast, client: Client) -> None:
    made = invite(cast)
    for _ in range(3):
        answer = client.get(path(made))
        assert answer.status_code == 200
        assert client.head(path(made)).status_code == 200
    text = answer.content.decode()
    assert "Acme" in text
    assert NEW in text
    assert answer["Referrer-Policy"] == "same-origin"
    assert "no-store" in answer["Cache-Control"]
    assert not re.search(r"(src|href|action)=\"(https?:)?//", text)
    assert Invitation.objects.get().accepted_at is None
    assert not client.session.keys()


def test_the_same_again_sends_a_new_link_and_one_stays_open(cast: Cast) -> None:
    first, second = invite(cast), invite(cast, " DORA@example.com ")
    assert first.link != second.link
    assert Invitation.objects.filter(accepted_at=None, withdrawn_at=None).get() == second.row
    assert len(mail.outbox) == 2


def test_who_is_a_member_already_cannot_be_invited(cast: Cast) -> None:
    with pytest.raises(ProblemError, match=r"ben@example\.com is a member of Acme already"):
        invite(cast, "BEN@example.com")


def test_a_customer_cannot_write_to_the_whole_world(cast: Cast, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tenants.services.invitations.PER_DAY_MAX", 2)
    invite(cast)
    invite(cast)
    with pytest.raises(ProblemError, match="2 invitations in a day"):
        invite(cast)
    assert len(mail.outbox) == 2


@pytest.mark.parametrize(
    "email", ["", "dora", "dora@example.com\nBcc: x@example.com", "a@b@c", "x" * 250 + "@example.com"]
)
def test_what_is_no_address_is_refused(cast: Cast, email: str) -> None:
    with pytest.raises(ProblemError, match="e-mail address"):
        invite(cast, email)
    assert mail.outbox == []


def test_a_name_cannot_add_a_header_or_a_line_to_the_head_of_an_email(cast: Cast) -> None:
    # Forms refuse such a name; a row that was there before them may have one.
    cast.acme.name = "Acme\r\nBcc: everybody@example.com\r\n\r\nBuy"
    cast.acme.save()
    invite(cast)
    (sent,) = mail.outbox
    head = sent.message().as_bytes().partition(b"\n\n")[0]
    assert b"\nBcc:" not in head
    assert "\n" not in sent.subject
    assert sent.recipients() == [NEW]


def test_a_script_in_a_name_is_shown_as_text(cast: Cast, client: Client) -> None:
    cast.acme.name = "<script>alert(1)</script>"
    cast.acme.save()
    cast.ada.first_name = "<img src=x>"
    cast.ada.save()
    made = invite(cast)
    assert "<script>alert(1)</script>" in mail.outbox[0].body  # text is text
    for page in (client.get(path(made)), browser(cast.ada).get("/c/acme/people/")):
        assert "<script>alert" not in page.content.decode()
        assert "<img src=x>" not in page.content.decode()


@pytest.mark.django_db(transaction=True)
def test_an_email_that_cannot_be_sent_is_said_and_can_be_sent_again(cast: Cast, settings: Settings) -> None:
    settings.EMAIL_BACKEND = BROKEN
    ada = browser(cast.ada)
    answer = ada.post("/c/acme/people/invite/", {"email": NEW, "role": "viewer"}, follow=True)
    assert (
        "dora@example.com is invited, but the e-mail to dora@example.com could not be sent" in answer.content.decode()
    )
    row = Invitation.objects.get()
    settings.EMAIL_BACKEND = "django.core.mail.backends.locmem.EmailBackend"
    answer = ada.post(f"/c/acme/people/invitations/{row.pk}/again/", follow=True)
    assert "is on its way to dora@example.com" in answer.content.decode()
    assert len(mail.outbox) == 1


def test_without_a_public_address_no_invitation_is_made(cast: Cast, settings: Settings) -> None:
    settings.PUBLIC_URL = ""
    with pytest.raises(ProblemError, match="has to set PUBLIC_URL"):
        invite(cast)
    assert not Invitation.objects.exists()


def test_only_an_owner_invites_owners(cast: Cast) -> None:
    by = cast.member(cast.ivan)
    with pytest.raises(ProblemError, match="only an owner may make"):
        services.invitation_add(customer=cast.acme, email=NEW, role="owner", by=by)
    services.invitation_add(customer=cast.acme, email=NEW, role="admin", by=by)
    answer = browser(cast.ivan).post("/c/acme/people/invite/", {"email": NEW, "role": "owner"})
    assert "owner is not one of the available choices" in answer.content.decode()
    with pytest.raises(ProblemError, match="only owners and admins"):
        services.invitation_add(customer=cast.acme, email=NEW, role="viewer", by=cast.member(cast.ben))
    assert invite(cast, role="owner").row.role == "owner"


def test_an_admin_does_not_end_an_owners_invitation_by_inviting_as_something_else(cast: Cast) -> None:
    made = invite(cast, role="owner")
    by = cast.member(cast.ivan)
    for role in ("viewer", "admin"):
        with pytest.raises(ProblemError, match="only an owner may make, lower or remove an owner"):
            services.invitation_add(customer=cast.acme, email=NEW, role=role, by=by)
    made.row.refresh_from_db()
    assert made.row.withdrawn_at is None
    assert services.invitation_add(customer=cast.acme, email=NEW, role="admin", by=cast.member(cast.ada)).row.pk


def test_another_customers_member_is_nobody_here(cast: Cast) -> None:
    by = Membership.objects.get(user=cast.cleo)
    with pytest.raises(ProblemError, match="only owners and admins"):
        services.invitation_add(customer=cast.acme, email=NEW, role="viewer", by=by)


def test_every_step_is_in_the_audit_log_and_no_token(cast: Cast) -> None:
    made = invite(cast)
    services.invitation_withdraw(invitation=made.row, by=services.OPERATOR)
    assert not services.invitation_withdraw(invitation=made.row, by=services.OPERATOR).changed
    acts = list(AuditEvent.objects.filter(customer_id=cast.acme.pk, target=NEW).order_by("pk"))
    assert [event.action for event in acts] == ["invitation.add", "invitation.withdraw"]


def test_a_token_and_a_server_key_never_have_the_same_digest() -> None:
    text, digest = invitation_tokens.new_token(b"k" * 32)
    assert digest == invitation_tokens.digest(text, b"k" * 32)
    assert digest != invitation_tokens.digest(text, b"l" * 32)
    assert len(digest) == invitation_tokens.DIGEST_LENGTH
