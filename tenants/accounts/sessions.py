"""The end of sessions: when nothing was done for a while, in any case after a week, and their deletion.

Django keeps expired sessions until somebody deletes them, and moves the end of one whenever it saves it.
"""

import time
from typing import Any, Final

from allauth.account.authentication import AUTHENTICATION_METHODS_SESSION_KEY
from allauth.usersessions.models import UserSession
from django.conf import settings
from django.contrib.sessions.backends import db
from django.contrib.sessions.models import Session
from django.db import transaction
from django.http import HttpRequest
from django.utils import timezone
from django.utils.deprecation import MiddlewareMixin

# Seconds without a page that somebody has asked for.
IDLE_MAX: Final = 8 * 3600.0
# Seconds between two notes of when something was done: each is a write.
NOTED_EVERY: Final = 300.0
SEEN_KEY: Final = "seen_at"


class SessionStore(db.SessionStore):
    """Django's sessions in the database, but that one that is over is empty, and gone, when it is loaded.

    Only then: whoever asks for no session asks no database. `is_asked_for`: somebody has asked for the page, and not
    the page by itself, which does not count as done, or an open page would keep its session for ever.
    """

    is_asked_for = False

    def load(self) -> dict[str, Any]:
        """What is in the session; {} when it is over."""
        found: dict[str, Any] = super().load()
        records = found.get(AUTHENTICATION_METHODS_SESSION_KEY) or ()
        if not records:
            return found  # nobody is logged in
        now, begun = time.time(), float(records[0]["at"])
        seen = float(found.get(SEEN_KEY, begun))
        if now - begun > settings.SESSION_COOKIE_AGE or now - seen > IDLE_MAX:
            self.delete(self.session_key)
            self._session_key = None
            return {}
        if now - seen > NOTED_EVERY and self.is_asked_for:
            found[SEEN_KEY] = now
            self.modified = True
        return found


class SessionEnds(MiddlewareMixin):
    """Middleware below the one of sessions: says who asks."""

    def process_request(self, request: HttpRequest) -> None:
        """Tell the session of a request whether a person has asked."""
        request.session.is_asked_for = not request.headers.get("HX-Request")  # type: ignore[attr-defined]


def forget() -> int:
    """Delete expired sessions, and what is remembered of browsers whose session is gone; returns how many sessions."""
    with transaction.atomic():
        deleted, _ = Session.objects.filter(expire_date__lt=timezone.now()).delete()
        UserSession.objects.exclude(session_key__in=Session.objects.values("session_key")).delete()
    return deleted
