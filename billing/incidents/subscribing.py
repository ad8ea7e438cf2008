"""Subscriptions to the mails of the status page: double opt-in, and out with one click (RFC 8058).

Whoever asks is mailed a link, and only who opens it and confirms is kept: the link holds the address, signed, so that
of an address that was never confirmed there is no row. What anybody can ask for is limited by network, by address and
in all, counted in Valkey; without Valkey nobody is mailed. Invariant: the answer says nothing of who has subscribed.
"""

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import Final

from django.core import signing
from django.core.cache import cache
from django.core.exceptions import ValidationError
from django.core.validators import validate_email
from django.db import connection, transaction
from django.urls import reverse
from redis.exceptions import RedisError

from billing.models import Notice, Subscriber
from tenants import mail, network
from tenants.changes import Changed
from tenants.problem import ProblemError

_CONFIRM: Final = "hpns status confirm"
_LEAVE: Final = "hpns status leave"
_ADDRESS: Final = "SELECT set_config('hpns.address', %s, true)"
# Seconds for which the link in a mail confirms.
CONFIRM_SECONDS: Final = 3 * 24 * 3600
# Mails in so many seconds: to one address, caused by one network, and in all.
HOUR, DAY = 3600, 24 * 3600
TO_ADDRESS, BY_NETWORK, ALL = 2, 5, 300
# Characters of an address (RFC 5321, section 4.5.3.1.3, less the brackets).
EMAIL_MAX: Final = 254
# Subscribers at most: each mail goes to all of them.
SUBSCRIBERS_MAX: Final = 20_000


class TooManyError(ProblemError):
    """More than one may ask for."""


def ask(*, email: str, address: str) -> None:
    """Mail the link that confirms to this address. address: of the network, whose asks are counted.

    Raises ProblemError for no e-mail address and for a mail that cannot be sent, TooManyError.
    """
    email = email.strip().lower()
    try:
        validate_email(email)
        if len(email) > EMAIL_MAX:
            raise ValidationError("too long")
    except ValidationError:
        raise ProblemError("this is no e-mail address, which looks like ada@example.com", field="email") from None
    found = network.rate_limit_network(network.address(address))
    digest = hashlib.sha256(email.encode()).hexdigest()[:32]
    try:
        _count(f"network:{found}", BY_NETWORK, HOUR)
        _count("all", ALL, HOUR)
        is_new = _within(f"address:{digest}", TO_ADDRESS, DAY)
    except RedisError:
        raise ProblemError("nobody can subscribe at the moment: try again later") from None
    # Not told apart for whoever asks: it would say that somebody else has asked for the same address.
    if is_new:
        token = signing.dumps(email, salt=_CONFIRM)
        link = mail.link(reverse("status-confirm", args=(token,)))
        mail.send("billing/mail/status_confirm", to=email, context={"link": link})


def _within(what: str, most: int, seconds: int) -> bool:
    name = f"status:{what}"
    cache.add(name, 0, seconds)
    try:
        return int(cache.incr(name)) <= most
    except ValueError:  # it has lapsed in between
        return True


def _count(what: str, most: int, seconds: int) -> None:
    if not _within(what, most, seconds):
        raise TooManyError("too many have asked from your network or in all: try again in an hour")


def address_of(token: str) -> str | None:
    """The address that a link of ask() confirms; None for any other text and for one that is too old."""
    return _read(token, _CONFIRM, CONFIRM_SECONDS)


def confirm(*, token: str, now: datetime) -> Changed[Subscriber] | None:
    """Subscribe the address of a link; None where address_of() knows none. Raises TooManyError."""
    email = address_of(token)
    if email is None:
        return None
    with _addressed(email):
        there = Subscriber.objects.filter(email=email).first()
        if there is not None:
            return Changed(there, changed=False)
        if _subscribers() >= SUBSCRIBERS_MAX:
            raise TooManyError("there are as many subscribers as there can be")
        row, made = Subscriber.objects.get_or_create(email=email, defaults={"confirmed_at": now})
    return Changed(row, made)


def leaving_token(email: str) -> str:
    """What stands in the link to unsubscribe of each mail to a subscriber; it has no end."""
    return signing.dumps(email, salt=_LEAVE)


def leaver_of(token: str) -> str | None:
    """The address that such a link is of."""
    return _read(token, _LEAVE, None)


def leave(*, email: str) -> bool:
    """Unsubscribe an address, and send what waits for it no more; whether it had subscribed."""
    with _addressed(email):
        gone, _ = Subscriber.objects.filter(email=email.lower()).delete()
        Notice.objects.filter(email=email.lower(), subscriber=True).delete()
    return gone > 0


@contextmanager
def _addressed(email: str) -> Iterator[None]:
    """A transaction in which row-level security shows what is kept of this address (migration 0010)."""
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(_ADDRESS, [email.lower()])
        yield
        cursor.execute(_ADDRESS, [""])


def _subscribers() -> int:
    with connection.cursor() as cursor:
        cursor.execute("SELECT billing_subscribers()")
        return int(cursor.fetchone()[0])


def _read(token: str, salt: str, seconds: int | None) -> str | None:
    try:
        found = signing.loads(token, salt=salt, max_age=seconds)
    except signing.BadSignature:
        return None
    return found if isinstance(found, str) else None
