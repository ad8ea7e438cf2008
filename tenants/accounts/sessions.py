"""The end of sessions: when nothing was done for a while, in any case after a week, and their deletion.

Django keeps expired sessions until somebody deletes them, and moves the end of one whenever it saves it.
"""

import time
from typing import Final

from allauth.account.authentication import AUTHENTICATION_METHODS_SESSION_KEY
from allauth.usersessions.models import UserSession
from django.conf import settings
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


class SessionEnds(MiddlewareMixin):
    """Middleware below the one of sessions: one that is over is emptied before anybody looks at it.

    What a page asks for by itself does not count as done, or an open page would keep its session for ever.
    """

    def process_request(self, request: HttpRequest) -> None:
        """Look at the session that a request brings, if any."""
        if settings.SESSION_COOKIE_NAME not in request.COOKIES:
            return
        records = request.session.get(AUTHENTICATION_METHODS_SESSION_KEY) or ()
        if not records:
            return  # nobody is logged in
        now, begun = time.time(), float(records[0]["at"])
        seen = float(request.session.get(SEEN_KEY, begun))
        if now - begun > settings.SESSION_COOKIE_AGE or now - seen > IDLE_MAX:
            request.session.flush()
        elif now - seen > NOTED_EVERY and not request.headers.get("HX-Request"):
            request.session[SEEN_KEY] = now


def forget() -> int:
    """Delete expired sessions, and what is remembered of browsers whose session is gone; returns how many sessions."""
    with transaction.atomic():
        deleted, _ = Session.objects.filter(expire_date__lt=timezone.now()).delete()
        UserSession.objects.exclude(session_key__in=Session.objects.values("session_key")).delete()
    return deleted
