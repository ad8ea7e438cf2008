"""Sends e-mail: plain text, made of two templates, with Django's backends.

Invariant: a subject is one line, whatever names stand in it. Sending takes as long as the mail server takes, so it is
never done in a transaction that others wait for.
"""

import logging
import threading
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from smtplib import SMTPException
from typing import Final
from urllib.parse import urljoin

from django.conf import settings
from django.core.mail import EmailMessage
from django.template.loader import render_to_string
from django.utils import timezone

from tenants.problem import ProblemError

log = logging.getLogger(__name__)

# E-mails of send_later() that may wait; each for EMAIL_TIMEOUT at most once it is its turn.
WAITING_MAX: Final = 50
_waiting = threading.BoundedSemaphore(WAITING_MAX)
_later = ThreadPoolExecutor(max_workers=2, thread_name_prefix="mail")


class MailError(ProblemError):
    """An e-mail that could not be sent; the text says to whom and why, `reason` only why: that is what logs may say."""

    def __init__(self, to: str, reason: str) -> None:
        super().__init__(f"the e-mail to {to} could not be sent ({reason})")
        self.reason = reason


def send(template: str, *, to: str, context: Mapping[str, object], headers: Mapping[str, str] | None = None) -> None:
    """Send `template`_subject.txt and `template`_message.txt to one address, with further headers. Raises MailError."""
    message = _message(template, to, context, headers or {})
    try:
        message.send()
    except (SMTPException, OSError, ValueError) as error:  # BadHeaderError is one, and what no IDNA can name
        log.warning("An e-mail could not be sent: %s", error)
        raise MailError(to, _why(error)) from error


def send_later(template: str, *, to: str, context: Mapping[str, object]) -> None:
    """As send(), but nobody waits or learns what came of it: how long that takes says nothing of an address.

    Where many wait already it is not sent, which the log says.
    """
    message = _message(template, to, context, {})
    if not _waiting.acquire(blocking=False):
        log.warning("An e-mail was not sent: %d others wait for the mail server", WAITING_MAX)
        return
    _later.submit(_send_waiting, message)


def _send_waiting(message: EmailMessage) -> None:
    try:
        message.send()
    except (SMTPException, OSError, ValueError) as error:
        log.warning("An e-mail could not be sent: %s", error)
    finally:
        _waiting.release()


def _message(template: str, to: str, context: Mapping[str, object], headers: Mapping[str, str]) -> EmailMessage:
    known = {"public_url": settings.PUBLIC_URL, "now": timezone.now(), **context}
    subject = " ".join(render_to_string(f"{template}_subject.txt", known).split())
    text = render_to_string(f"{template}_message.txt", known).strip() + "\n"
    return EmailMessage(subject, text, settings.DEFAULT_FROM_EMAIL, [to], headers=dict(headers))


def link(path: str) -> str:
    """The absolute address of one of our pages, for an e-mail. Raises ProblemError where PUBLIC_URL is not set.

    Not made of the request: whoever sends a request chooses the name in it.
    """
    if not settings.PUBLIC_URL:
        raise ProblemError("no link can be made: the operator has to set PUBLIC_URL")
    return str(urljoin(settings.PUBLIC_URL, path))


def _why(error: Exception) -> str:
    """The kind of error, without the text of a mail server: that may hold addresses and names of theirs."""
    if isinstance(error, ValueError):
        return "the address or a name in it is malformed"
    if isinstance(error, SMTPException):
        return "the mail server refused it"
    return "the mail server cannot be reached"
