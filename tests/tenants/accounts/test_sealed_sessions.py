"""What a session holds is sealed, and a session that cannot be opened is an empty one."""

import pytest
from django.contrib.sessions.backends.db import SessionStore
from django.contrib.sessions.models import Session
from pytest_django import Settings

from tenants.accounts.sealed_sessions import Serializer

pytestmark = pytest.mark.django_db
OTHER = "other:" + "b3RoZXJvdGhlcm90aGVyb3RoZXJvdGhlcm90aGVyb3Q="


def kept() -> SessionStore:
    session = SessionStore()
    session["mfa.totp.secret"] = "JBSWY3DPEHPK3PXP"
    session.save()
    return session


def test_what_is_kept_comes_back_and_cannot_be_read_from_the_table() -> None:
    key = kept().session_key
    assert SessionStore(key)["mfa.totp.secret"] == "JBSWY3DPEHPK3PXP"
    data = Serializer().dumps({"mfa.totp.secret": "JBSWY3DPEHPK3PXP"})
    assert b"JBSWY" not in data
    assert b"totp" not in data
    assert Session.objects.get(pk=key).session_data.count(":") == 2


def test_after_a_change_of_keys_the_old_one_still_opens(settings: Settings) -> None:
    key, before = kept().session_key, settings.VAULT_KEYS
    settings.VAULT_KEYS = [OTHER, *before]
    assert SessionStore(key)["mfa.totp.secret"] == "JBSWY3DPEHPK3PXP"
    settings.VAULT_KEYS = [OTHER]
    assert dict(SessionStore(key).items()) == {}
