"""Limits on password attempts: by account and network, by network, and by account from where it is not known.

Nobody locks anybody out: a browser in which somebody has logged in before has a count of its own, by a signed cookie,
and so has each network. The bound on guessing from many networks leaves out those browsers, and the networks of
sessions that there are. https://owasp.org/www-community/Slow_Down_Online_Guessing_Attacks_with_Device_Cookies
"""

import secrets
from typing import Any, Final

from allauth.account.models import EmailAddress
from allauth.core.internal import ratelimit
from allauth.usersessions.models import UserSession
from django.conf import settings
from django.contrib.auth.base_user import AbstractBaseUser
from django.core import signing
from django.core.cache import cache
from django.http import HttpRequest, HttpResponseBase
from django.utils.crypto import salted_hmac

BY_NETWORK: Final = "10/m/ip"
# Of one account, from one network or in one browser that is known.
BY_PLACE: Final = "5/5m/key"
# Of one account, from all networks together from which it is not known.
BY_ACCOUNT: Final = "30/h/key"
# Of all accounts together: failed attempts that are noted in the audit log.
NOTED: Final = "300/h/key"
# Seconds in which further attempts at one account from one network are not noted again.
NOTED_AGAIN: Final = 300
COOKIE_AGE: Final = 180 * 86_400
# Accounts that a browser is known for.
ACCOUNTS_MAX: Final = 5
_SALT: Final = "tenants.accounts.known_browser"
_APP, _ACTION = "allauth.account", "login_failed"


def cookie_name() -> str:
    """The cookie by which a browser is known. https://datatracker.ietf.org/doc/html/draft-ietf-httpbis-rfc6265bis"""
    return "__Host-known" if settings.SESSION_COOKIE_SECURE else "known"


def consume(request: HttpRequest, tried: str, address: str) -> ratelimit.RateLimitUsage | None:
    """Count an attempt at the account with the folded address `tried`; None over a limit. `address`: the client's."""
    browser, accounts = _known_browser(request)
    network = ratelimit.truncate_ip(address)
    if _digest(tried) in accounts:
        wanted = [(BY_PLACE, f"{tried} in {browser}")]
    else:
        wanted = [(BY_NETWORK, ""), (BY_PLACE, f"{tried} from {network}")]
        if not _is_known_from(tried, network):
            wanted.append((BY_ACCOUNT, tried))
    usage = ratelimit.RateLimitUsage(usage=[])
    for rate, key in wanted:
        one = ratelimit.consume(request, app=_APP, action=_ACTION, config={_ACTION: rate}, key=key)
        if one is None:
            usage.rollback()
            return None
        usage.usage += one.usage
    return usage


def is_worth_noting(request: HttpRequest, tried: str, address: str) -> bool:
    """Whether a failed attempt goes into the audit log: few of each account and network, and of all, do."""
    if not cache.add(f"failed:{_digest(tried)}:{address}", "noted", NOTED_AGAIN):
        return False
    config = {_ACTION: NOTED}
    return ratelimit.consume(request, app=_APP, action=_ACTION, config=config, key="failed attempts") is not None


def remember(request: HttpRequest, response: HttpResponseBase, user: AbstractBaseUser) -> None:
    """Make the browser known for the addresses of somebody who has just logged in with it."""
    browser, accounts = _known_browser(request)
    mine = [_digest(each) for each in _addresses(user)]
    kept = [*mine, *(each for each in accounts if each not in mine)][:ACCOUNTS_MAX]
    response.set_cookie(
        cookie_name(),
        signing.dumps([browser or secrets.token_urlsafe(12), *kept], salt=_SALT),
        max_age=COOKIE_AGE,
        secure=settings.SESSION_COOKIE_SECURE,
        httponly=True,
        samesite="Lax",
    )


def _known_browser(request: HttpRequest) -> tuple[str, list[str]]:
    """A browser's own number, and digests of the accounts that it is known for; nothing of one that is not known."""
    try:
        found: Any = signing.loads(request.COOKIES.get(cookie_name(), ""), salt=_SALT, max_age=COOKIE_AGE)
    except signing.BadSignature:
        return "", []
    return str(found[0]), [str(each) for each in found[1:]]


def _is_known_from(tried: str, network: str) -> bool:
    """Whether there is a session of this account from the network."""
    of_account = UserSession.objects.filter(user__emailaddress__email__iexact=tried, user__emailaddress__verified=True)
    return any(ratelimit.truncate_ip(address) == network for address in of_account.values_list("ip", flat=True)[:100])


def _addresses(user: AbstractBaseUser) -> list[str]:
    return [each.lower() for each in EmailAddress.objects.filter(user=user).values_list("email", flat=True)]


def _digest(address: str) -> str:
    return salted_hmac(_SALT, address).hexdigest()[:16]
