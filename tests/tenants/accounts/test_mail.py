"""E-mail: what is sent, and what is said when it is not."""

from smtplib import SMTPException
from typing import Any

import pytest
from django.core import mail as outgoing
from pytest_django import Settings

from tenants import mail

UNKNOWN = "account/email/unknown_account"


def test_an_email_is_text_on_plain_lines_from_the_address_of_the_settings(settings: Settings) -> None:
    settings.DEFAULT_FROM_EMAIL = "Push <push@example.com>"
    mail.send(UNKNOWN, to="a@example.com", context={"email": "a@example.com"})
    (sent,) = outgoing.outbox
    assert (sent.from_email, sent.to, sent.subject) == ("Push <push@example.com>", ["a@example.com"], "New password")
    assert sent.body.endswith("https://push.example.com\n")
    assert sent.content_subtype == "plain"


@pytest.mark.parametrize(
    ("trouble", "message"),
    [
        (SMTPException("550 <secret@example.com> s3cr3t"), "the mail server refused it"),
        (ConnectionRefusedError(111, "refused"), "the mail server cannot be reached"),
        (TimeoutError(), "the mail server cannot be reached"),
    ],
)
def test_what_goes_wrong_is_said_without_what_the_server_said(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, trouble: Exception, message: str
) -> None:
    def fail(*_: Any) -> int:
        raise trouble

    monkeypatch.setattr("django.core.mail.backends.locmem.EmailBackend.send_messages", fail)
    with pytest.raises(mail.MailError, match=message) as raised:
        mail.send(UNKNOWN, to="a@example.com", context={})
    assert "s3cr3t" not in str(raised.value)


def test_an_address_cannot_add_a_header() -> None:
    with pytest.raises(mail.MailError, match="malformed"):
        mail.send(UNKNOWN, to="a@example.com\nBcc: b@example.com", context={})
    assert outgoing.outbox == []


def test_a_server_that_is_silent_is_given_up(settings: Settings) -> None:
    assert 0 < settings.EMAIL_TIMEOUT <= 10
