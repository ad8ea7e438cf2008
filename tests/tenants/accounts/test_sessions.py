"""Sessions whose time is over go, and only they."""

from datetime import timedelta

import pytest
import redis
from allauth.usersessions.models import UserSession
from django.contrib.sessions.models import Session
from django.utils import timezone

from tenants.accounts import sessions
from tests.browsing import staff
from tests.roles import WORKER, acting_as

pytestmark = pytest.mark.django_db


def test_expired_sessions_go_with_what_is_known_of_their_browsers(valkey: redis.Redis) -> None:
    now, user = timezone.now(), staff()
    for key, until in (("old", now - timedelta(seconds=1)), ("new", now + timedelta(days=1))):
        Session.objects.create(session_key=key, session_data="x", expire_date=until)
        UserSession.objects.create(user=user, session_key=key, ip="192.0.2.1", user_agent="x")
    with acting_as(WORKER):
        assert sessions.forget() == 1
    assert list(Session.objects.values_list("session_key", flat=True)) == ["new"]
    assert list(UserSession.objects.values_list("session_key", flat=True)) == ["new"]
