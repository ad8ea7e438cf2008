"""Sessions whose time is over go, and only they."""

import os
import subprocess
import sys
import time
from datetime import timedelta

import pytest
import redis
from allauth.usersessions.models import UserSession
from django.contrib.sessions.models import Session
from django.utils import timezone
from pytest_django import Settings

from hpns import variables
from hpns.local import verify
from tenants.accounts import sessions
from tests.browsing import RECORDS, Browser, staff
from tests.people import person
from tests.roles import WORKER, acting_as
from tests.stage import ROOT

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


def logged_in(**session: float) -> Browser:
    """A browser of the staff, whose session was changed so."""
    browser = Browser().enter(staff(), factor=True)
    there = browser.session
    records = there[RECORDS]
    if (at := session.pop("at", None)) is not None:
        there[RECORDS] = [{**each, "at": at} for each in records]
    for name, value in session.items():
        there[name] = value
    there.save()
    return browser


def test_a_session_ends_when_nothing_was_done_for_hours(valkey: redis.Redis) -> None:
    now = time.time()
    browser = logged_in(at=now - 20 * 3600, seen_at=now - sessions.IDLE_MAX + 60)
    assert browser.get("/account/").status_code == 200
    assert browser.session[sessions.SEEN_KEY] > now - 60
    browser = Browser().enter(person("pat"), factor=True)
    there = browser.session
    there[sessions.SEEN_KEY] = now - sessions.IDLE_MAX - 60
    there.save()
    assert browser.get("/account/").status_code == 302
    assert not Session.objects.filter(session_key=there.session_key).exists()


def test_a_session_ends_after_a_week_whatever_was_done(valkey: redis.Redis, settings: Settings) -> None:
    now = time.time()
    assert logged_in(at=now - settings.SESSION_COOKIE_AGE - 60, seen_at=now).get("/account/").status_code == 302


def test_what_a_page_asks_for_by_itself_keeps_no_session_alive(valkey: redis.Redis) -> None:
    seen = time.time() - 3600
    browser = logged_in(at=seen, seen_at=seen)
    browser.get("/account/", headers={"HX-Request": "true"})
    assert browser.session[sessions.SEEN_KEY] == seen


def test_cookies_are_bound_to_our_host_alone_where_everything_is_https() -> None:
    assert variables.cookie_names(True) == ("__Host-sessionid", "__Host-csrftoken")
    assert variables.cookie_names(False) == ("sessionid", "csrftoken")
    program = (
        "from django.conf import settings as s; print(s.SESSION_COOKIE_NAME, s.SESSION_COOKIE_SECURE, "
        "s.SESSION_COOKIE_PATH, s.SESSION_COOKIE_DOMAIN)"
    )
    kept = {name: os.environ[name] for name in ("PATH", "PYTHONPYCACHEPREFIX") if name in os.environ}
    env = {**verify.deployment(), **kept, "DJANGO_SETTINGS_MODULE": "hpns.settings"}
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, env=env, capture_output=True, text=True, check=True, timeout=60
    )
    # What the prefix demands: https://developer.mozilla.org/docs/Web/HTTP/Reference/Headers/Set-Cookie#cookie_prefixes
    assert done.stdout.split() == ["__Host-sessionid", "True", "/", "None"]
