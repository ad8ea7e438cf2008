"""Bulkheads of the pages: which gate a request passes, and whose shares it uses up.

Three gates, so that what takes long takes no place from the rest: downloads, what asks somebody outside (a provider, a
mail server), and everything else. Shares are by client and by customer. That a request is a customer's counts only once
its session has been let in there: anybody can write any customer's name into an address, and must not use up its share.
"""

import hashlib
import re
import time
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from django.conf import settings
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.urls import Resolver404, resolve
from django.utils.deprecation import MiddlewareMixin

from hpns.web.asgi_types import Message
from hpns.web.page_limit import ConcurrencyLimit, Shares, client_share

# Pages that are made at once, far below what PostgreSQL has connections for; and of one client or customer.
CONCURRENT: Final = 16
SHARE: Final = CONCURRENT // 4
# Requests that wait; and for how many seconds until they are refused.
QUEUED: Final = 256
QUEUE_TIMEOUT: Final = 10.0
# Downloads read a customer's whole log: two at once leave the process time for pages.
DOWNLOADS: Final = 2
# Requests that ask somebody outside and are at it themselves; those that wait (tenants/waiting_outside.py) need no
# processor and no connection, but a thread, for up to 13 s (a file with a password), and have left their places.
ASKING: Final = 8
WAITING: Final = 64
WAITING_SHARE: Final = 6

# By GET, and by POST.
CSV_NAMES: Final = frozenset(
    ("audit-csv", "delivery-csv", "delivery-pushes-csv", "sla-files", "usage-csv", "usage-month-csv")
)
DOWNLOAD_NAMES: Final = CSV_NAMES | {"customer-export", "sla-reconcile", "invoices-csv"}
# By POST: these ask Apple or Google, or send an e-mail before they answer.
ASKING_NAMES: Final = frozenset(
    (
        *("credential-upload", "credential-check", "credential-promote", "app-change", "test-push"),
        "server-site",
        *("people-invite", "people-invite-again", "customer-erase"),
        *("account_signup", "account_email", "account_email_verification_sent", "account_reset_password"),
        *("tenants_pushapp_add", "tenants_pushapp_change", "status-subscribe"),
    )
)
# In the scope of a request, set by the middleware below: the slug of the customer whose page it was let into.
ADMITTED_KEY: Final = "hpns.customer"
# Sessions that are remembered with the customer that they were let in to, and for how many seconds.
REMEMBERED_MAX: Final = 10_000
REMEMBERED_SECONDS: Final = 900.0
# A customer's pages, and the session among the cookies.
_CUSTOMER: Final = re.compile(r"/c/([-a-zA-Z0-9_]{1,64})/")


@dataclass(frozen=True)
class Gate:
    """A concurrency limit, and what whoever is refused is told: in how many seconds to come back."""

    limit: ConcurrencyLimit
    retry_after: int


class Place:
    """A request's place in a gate, which it leaves for good when it waits for somebody outside; on the gates' loop."""

    def __init__(self, gate: Gate, waiting: Shares, keys: Sequence[str]) -> None:
        self._gate, self._waiting, self._keys = gate, waiting, keys
        self._is_outside = self._has_ended = False

    def leave(self) -> None:
        """Count the request among those that wait, if they have room; else it keeps its place."""
        if not self._is_outside and not self._has_ended and self._waiting.take(self._keys) is None:
            self._is_outside = True
            self._gate.limit.release(self._keys)

    def end(self) -> None:
        """Give back what the request holds; to be called once."""
        self._has_ended = True
        if self._is_outside:
            self._waiting.give_back(self._keys)
        else:
            self._gate.limit.release(self._keys)


class AdmittedCustomer(MiddlewareMixin):
    """Middleware that leaves word in the request's scope which customer's page it was let into (tenants/pages/door)."""

    def process_response(self, request: HttpRequest, response: HttpResponseBase) -> HttpResponseBase:
        """The response as it is."""
        customer, scope = getattr(request, "customer", None), getattr(request, "scope", None)
        if customer is not None and isinstance(scope, dict):
            scope[ADMITTED_KEY] = customer.slug
        return response


class Gates:
    """The gates of one pages process, on its loop."""

    def __init__(self) -> None:
        self.pages = Gate(ConcurrencyLimit(CONCURRENT, SHARE, QUEUED, QUEUED // 4, QUEUE_TIMEOUT), 5)
        # One after the other is as fast: whoever asks for a third is told so at once.
        self.downloads = Gate(ConcurrencyLimit(DOWNLOADS, 1, 8, 1, QUEUE_TIMEOUT), 15)
        self.asking = Gate(ConcurrencyLimit(ASKING, 2, 32, 8, QUEUE_TIMEOUT), 10)
        self.waiting = Shares(WAITING, WAITING_SHARE)
        self._admitted: OrderedDict[tuple[bytes, str], float] = OrderedDict()
        self._session = re.compile(rb"(?:^|;)\s*" + re.escape(settings.SESSION_COOKIE_NAME.encode()) + rb"=([^;\s]+)")

    def gate(self, scope: Message) -> Gate:
        """The gate of a request (an ASGI scope)."""
        try:
            name = resolve(scope["path"]).url_name
        except Resolver404:
            return self.pages
        if name in DOWNLOAD_NAMES and (scope["method"] == "POST" or name in CSV_NAMES):
            return self.downloads
        return self.asking if name in ASKING_NAMES and scope["method"] == "POST" else self.pages

    def shares(self, scope: Message) -> tuple[str, ...]:
        """The keys of the shares that a request uses up: its client's, and its customer's where it names one."""
        found = [f"client {client_share(scope['client'][0])}" if scope["client"] else "no client"]
        named = _CUSTOMER.match(scope["path"])
        if named:
            slug = named[1]
            until = self._admitted.get((self._digest(scope), slug), 0.0)
            found.append(f"customer {slug}" if until > time.monotonic() else f"strangers at {slug}")
        return tuple(found)

    def remember(self, scope: Message) -> None:
        """Remember the session of a request that was let in to a customer's page."""
        slug = scope.get(ADMITTED_KEY)
        if slug and (digest := self._digest(scope)):
            self._admitted[digest, slug] = time.monotonic() + REMEMBERED_SECONDS
            self._admitted.move_to_end((digest, slug))
            if len(self._admitted) > REMEMBERED_MAX:
                self._admitted.popitem(last=False)

    def _digest(self, scope: Message) -> bytes:
        """A digest of the session's key, b"" without one: the key itself opens the account."""
        for name, value in scope["headers"]:
            if name == b"cookie" and (found := self._session.search(value)):
                return hashlib.sha256(found[1]).digest()[:16]
        return b""
